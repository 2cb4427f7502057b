/* Sender Policy Framework, RFC 7208: may this address send for that domain? Look-ups by lib/dns. */
#ifndef SPF_H
#define SPF_H

#include <stdint.h>

#include "addr.h"
#include "dns.h"
#include "ip.h"

enum spf_result {
	SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR
};

enum {
	SPF_LOOKUPS = 10,	/* terms that ask the DNS; MX and PTR names of one (4.6.4) */
	SPF_VOID = 2,		/* of these, without an answer */
	SPF_WORDS = 256,	/* an explanation or a reason, with its NUL */
	SPF_TEXT = 5120		/* what is left to do of all policies that are open */
};

/* A policy that is open: the sender's own, or one that an `include` has led to. */
struct spf_level {
	uint16_t domain;		/* in `text`: whose it is */
	uint16_t at, end;		/* and what is left of its terms */
	unsigned char result;		/* of the `include`, if this one passes */
};

/* One check. Owned by the caller until `done` has been called or spf_cancel(). */
struct spf {
	/* From spf_check() itself only if no look-up is possible (no domain, DNS too busy). */
	void (*done)(struct spf *s);
	void *arg;			/* the caller's */
	enum spf_result result;		/* SPF_FAIL before `done`: only `words` are still to come */
	/* SPF_FAIL: what the domain says about it (exp=); errors: what is wrong (ours); else "".
	 * Printable ASCII, as text_escape() writes it. */
	char words[SPF_WORDS];
	/* the rest is lib/spf.c's own */
	const char *receiver;
	struct dns_query q;
	struct ip peer;
	struct spf_level level[1 + SPF_LOOKUPS];
	unsigned char depth;		/* the level that is worked on */
	unsigned char state, back;
	unsigned char lookups, voids;
	unsigned char left;		/* names still to be asked for */
	unsigned char rank, enough;	/* how good the best of them is, and may be */
	uint16_t used;			/* octets of `text`; behind them lie names */
	uint16_t term, nterm;		/* the term being worked on */
	uint16_t exp;			/* exp= of the sender's own policy, 0: none */
	uint16_t story, nstory;		/* the explanation, with its macros */
	uint16_t name, best;
	uint16_t at;			/* the @ of the sender */
	char sender[ADDR_TEXT + 1];
	char helo[ADDR_DOMAIN + 1];
	char p[DNS_NAME];		/* the macro p for the present domain; "": not known yet */
	char text[SPF_TEXT];
};

/*
 * Check peer against the policy of the domain of `sender` (a mailbox as written; without a local
 * part "postmaster" stands for it), or with the null sender ("") of postmaster@helo. receiver: our
 * host name, for the macro r; it stays the caller's and must stay. `helo` and `sender` are copied.
 * Bounded in look-ups, and in time by the caller (spf_cancel).
 */
void spf_check(struct spf *s, const struct ip *peer, const char *helo, const char *sender,
    const char *receiver);

/* Forget it; harmless if nothing is under way. */
void spf_cancel(struct spf *s);

/* "pass", "fail", ... as RFC 8601 2.7.2 spells them. */
const char *spf_word(enum spf_result r);

#endif
