/* DMARC, RFC 9989: does the author's domain stand by this message? Look-ups by lib/dns. */
#ifndef DMARC_H
#define DMARC_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dns.h"

enum {
	DMARC_IDS = 12,		/* authenticated domains that are looked at */
	DMARC_WALK = 8,		/* names that one walk up the tree asks for, RFC 9989 4.10 */
	DMARC_QUESTIONS = DMARC_WALK * (1 + DMARC_IDS) + 1,	/* at most; mostly 1 to 3 */
	DMARC_TAGS = 7
};

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
enum dmarc_policy { POLICY_NONE, POLICY_QUARANTINE, POLICY_REJECT };

/* A record: lib/dmarc.c's own. */
struct dmarc_record {
	signed char tag[DMARC_TAGS];	/* which of its words each has */
	unsigned char bad;		/* no policy can be read from it */
};

/* One check. Owned by the caller, who leaves it where it is, until `done` has been called or
 * dmarc_cancel(). */
struct dmarc {
	/* From dmarc_check() itself only if no look-up is possible (no domain: NONE; DNS too busy:
	 * TEMPERROR). */
	void (*done)(struct dmarc *d);
	void *arg;			/* the caller's */
	/* TEMPERROR: the DNS did not say enough; PERMERROR: a record with a policy that is none */
	enum dmarc_result result;
	/* of the domain for such a message: p, sp or np, one step milder with t=y (RFC 9989); none
	 * after errors. After a pass sp may stand where np would count. */
	enum dmarc_policy policy;
	char domain[ADDR_DOMAIN + 1];	/* whose record it is; "" if there is none */
	/* the organisational domain of the author's; the author's if nothing has depended on it */
	char organisation[ADDR_DOMAIN + 1];
	/* the rest is lib/dmarc.c's own */
	struct dns_query q;
	struct dmarc_record record;	/* the one that applies */
	const char *of;			/* whose: the author's domain or one above it */
	const char *start, *at;		/* of a walk; NULL: it has ended */
	const char *found;		/* the organisational domain, as far as it has come */
	enum { DMARC_AUTHOR, DMARC_ID, DMARC_EXISTS } step;
	int i, n;			/* in id[] */
	unsigned char exists;		/* the author's domain does, for sure */
	unsigned char doubt;		/* a walk from id[] has failed */
	struct {
		char domain[ADDR_DOMAIN + 1];
		unsigned char by;	/* SPF, DKIM or both */
	} id[DMARC_IDS];
	char author[ADDR_DOMAIN + 1];
};

/* author: the domain of From (from_domain()). `done` and `arg` are left as they are. */
void dmarc_begin(struct dmarc *d, const char *author);

/* A domain that SPF (of the envelope sender; not of HELO, but for the null sender) or DKIM has
 * passed; at most DMARC_IDS count. Between begin and check. */
void dmarc_spf(struct dmarc *d, const char *domain);
void dmarc_dkim(struct dmarc *d, const char *domain);

/* Walk the tree of the DNS: RFC 9989 4.10; at most 8 names for each domain. */
void dmarc_check(struct dmarc *d);

/* Forget it; harmless if nothing is under way. */
void dmarc_cancel(struct dmarc *d);

/* "pass", "none", ... and "none", "quarantine", "reject". */
const char *dmarc_word(enum dmarc_result r);
const char *dmarc_policy_word(enum dmarc_policy p);

#endif
