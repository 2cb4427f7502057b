/* Verifying DKIM signatures: RFC 6376 with RFC 8301 and 8463 (no Ed25519). Keys by lib/dns. */
#ifndef DKIMCHECK_H
#define DKIMCHECK_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dns.h"

enum {
	DKIM_CHECKED = 8,	/* signatures looked at, from the top; more are left alone */
	DKIM_REASON = 48
};

/* RFC 8601 2.7.1. DKIM_POLICY: it would verify, but is not to be believed (a key that is too short,
 * one for tests (t=y) counts as if unsigned: DKIM_NONE, l= that leaves text out, From not signed). */
enum dkim_result {
	DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR
};

struct dkim_signature {
	enum dkim_result result;
	const char *reason;		/* ours, static; "" */
	char domain[ADDR_DOMAIN + 1];	/* d=, as the DNS has it: lower case, A-labels; "" */
	char selector[64 + 1];		/* s=; printable; "" (cut if longer) */
	char b[9];			/* the first 8 characters of b= (header.b, RFC 6008) */
	/* the rest is lib/dkimcheck.c's own */
};

struct dkimcheck {
	void (*done)(struct dkimcheck *d);	/* never called from dkimcheck_finish() itself */
	void *arg;				/* the caller's */
	int n;					/* signatures below; 0: there are none */
	int more;				/* how many were not looked at */
	struct dkim_signature sig[DKIM_CHECKED];
	/* the rest is lib/dkimcheck.c's own */
};

/* The whole header of a message with LF line ends, without the blank line that ends it. It is not
 * needed any more afterwards. wall: real time, seconds (x=, t= in the future). */
void dkimcheck_header(struct dkimcheck *d, const char *p, size_t n, int64_t wall);

/* Some of its body, LF line ends, piece by piece. */
void dkimcheck_body(struct dkimcheck *d, const char *p, size_t n);

/* The body is complete: ask for the keys; `done` when all is known. */
void dkimcheck_finish(struct dkimcheck *d);

/* Forget it; harmless if nothing is under way. */
void dkimcheck_cancel(struct dkimcheck *d);

/* "pass", "neutral", ... as RFC 8601 2.7.1 spells them. */
const char *dkim_word(enum dkim_result r);

#endif
