/* Terms of SPF policies and the macros in them: their syntax, and what they expand to. RFC 7208. */
#ifndef SPFTERM_H
#define SPFTERM_H

#include <stddef.h>

#include "spf.h"

/* Terms; and an unknown modifier. */
enum spf_what {
	SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS, SPF_REDIRECT,
	SPF_EXP, SPF_UNKNOWN
};

struct spf_term {
	enum spf_what what;
	enum spf_result result;		/* if it fits */
	int bits4, bits6;		/* of an address that count */
	struct ip net;			/* IP4, IP6 */
	const char *spec;		/* a domain-spec */
	size_t nspec;			/* 0: there is none */
};

/* The sign of a result: '-' is that of SPF_FAIL. */
extern const char spf_signs[];

/* The term p[0..n): 0, or -1: it is not one. t points into it. */
int spf_parse(struct spf_term *t, const char *p, size_t n);

/* Are its macros as they should be, and of those that are allowed in explanations? */
int spf_is_explanation(const char *p, size_t n);

/* Does it have a macro p? */
int spf_wants_p(const char *p, size_t n);

/* The domain of the level that is worked on. */
const char *spf_domain(const struct spf *s);

/* A domain-spec as a name: without the last dot, cut from the left to 253 octets (7.3). */
void spf_expand(const struct spf *s, char dst[DNS_NAME], const char *p, size_t n);

/* An explanation into s->words. */
void spf_expand_words(struct spf *s, const char *p, size_t n);

#endif
