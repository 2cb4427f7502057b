/* Verifying DKIM signatures: RFC 6376 with 8301, 8463 (no Ed25519) and 8616. Keys by lib/dns. */
#ifndef DKIMCHECK_H
#define DKIMCHECK_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "canon.h"
#include "dns.h"

enum {
	DKIM_CHECKED = 8,	/* signatures looked at, from the top; more are left alone */
	DKIM_REASON = 48,	/* room for a reason */
	DKIM_SELECTOR = 64
};

/*
 * RFC 8601 2.7.1. DKIM_NONE: the key is for tests (t=y), so the message counts as unsigned.
 * DKIM_POLICY: whether it would verify or not, we do not believe it: a key that is too short or too
 * long, l= that leaves text out, expired, from the future. DKIM_PERMERROR: malformed, no key,
 * revoked, rsa-sha1, From not signed. DKIM_NEUTRAL: an algorithm that we do not have.
 */
enum dkim_result {
	DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR
};

struct dkim_signature {
	/* DKIM_TEMPERROR as long as it is not known; so it is after dkimcheck_cancel() too */
	enum dkim_result result;
	const char *reason;		/* ours, static; "" */
	char domain[ADDR_DOMAIN + 1];	/* d=, as the DNS has it: lower case, A-labels; "": it is
					 * missing or no domain */
	char selector[DKIM_SELECTOR + 1];	/* s=, in the same way */
	char b[9];			/* the first 8 characters of b=: header.b, RFC 6008 */
	/* the rest is lib/dkimcheck.c's own */
	struct dns_query key;
	uint64_t length;		/* l= */
	unsigned char limited;		/* there is one */
	unsigned char open;		/* to be verified; 2: asked for the key */
	unsigned char inner;		/* the domain of i= is below that of d= */
	unsigned char intact;		/* the body is the one that was signed */
	unsigned char how;		/* the body is made canonical */
	uint16_t nsig;
	unsigned char sig[512];		/* b= */
	unsigned char header[br_sha256_SIZE];	/* its hash */
	unsigned char body[br_sha256_SIZE];	/* bh= */
};

struct dkimcheck {
	/* called from a later turn, if dkimcheck_finish() has said so */
	void (*done)(struct dkimcheck *d);
	void *arg;				/* the caller's */
	int n;					/* signatures below; 0: there are none */
	int more;				/* how many were not looked at */
	struct dkim_signature sig[DKIM_CHECKED];
	/* the rest is lib/dkimcheck.c's own */
	struct canon_body body[2];		/* simple, relaxed */
	int wanted;				/* bits: which of them */
	int waiting;				/* for so many keys */
	int work;				/* what verifying has cost so far */
};

/* The whole header of a message with LF line ends, without the blank line that ends it. It is not
 * needed any more afterwards. wall: real time, seconds (x=, t= in the future). */
void dkimcheck_header(struct dkimcheck *d, const char *p, size_t n, int64_t wall);

/* Some of its body, LF line ends, piece by piece. */
void dkimcheck_body(struct dkimcheck *d, const char *p, size_t n);

/* The body is complete: ask for the keys. 1: `done` will be called when all is known; 0: all is
 * known now, there is nothing to ask for, and `done` will not be called. */
int dkimcheck_finish(struct dkimcheck *d) __attribute__((warn_unused_result));

/* Forget it; harmless if nothing is under way, or in memory that is all zero. */
void dkimcheck_cancel(struct dkimcheck *d);

/* "pass", "neutral", ... as RFC 8601 2.7.1 spells them. */
const char *dkim_word(enum dkim_result r);

#endif
