/* Sender Policy Framework, RFC 7208: may this address send for that domain? Look-ups by lib/dns. */
#ifndef SPF_H
#define SPF_H

#include "addr.h"
#include "dns.h"
#include "ip.h"

enum spf_result {
	SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR
};

enum {
	SPF_LOOKUPS = 10,	/* RFC 7208 4.6.4: terms that ask the DNS; MX and PTR names of one */
	SPF_VOID = 2,		/* of these, without an answer */
	SPF_WORDS = 256		/* an explanation or a reason, with its NUL */
};

/* One check. Owned by the caller until `done` has been called or spf_cancel(). */
struct spf {
	void (*done)(struct spf *s);	/* never called from spf_check() itself */
	void *arg;			/* the caller's */
	enum spf_result result;
	/* SPF_FAIL: what the domain says about it (exp=), printable ASCII; errors: what is wrong
	 * (ours); else "" */
	char words[SPF_WORDS];
	/* the rest is lib/spf.c's own */
};

/*
 * Check peer against the policy of the domain of `sender` (a mailbox as written; without a local
 * part "postmaster" stands for it), or with the null sender ("") of postmaster@helo. receiver: our
 * host name, for the macro r. `helo` and `sender` are copied. Bounded in look-ups, and in time by
 * the caller (spf_cancel).
 */
void spf_check(struct spf *s, const struct ip *peer, const char *helo, const char *sender,
    const char *receiver);

/* Forget it; harmless if nothing is under way. */
void spf_cancel(struct spf *s);

/* "pass", "fail", ... as RFC 8601 2.7.2 spells them. */
const char *spf_word(enum spf_result r);

#endif
