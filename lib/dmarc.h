/* DMARC, RFC 9989: does the author's domain stand by this message? Look-ups by lib/dns. */
#ifndef DMARC_H
#define DMARC_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "dns.h"

enum { DMARC_IDS = 12 };	/* authenticated domains that are looked at */

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
enum dmarc_policy { POLICY_NONE, POLICY_QUARANTINE, POLICY_REJECT };

/* One check. Owned by the caller until `done` has been called or dmarc_cancel(). */
struct dmarc {
	void (*done)(struct dmarc *d);	/* never called from dmarc_check() itself */
	void *arg;			/* the caller's */
	enum dmarc_result result;
	/* of the domain for such a message: p, sp or np, one step milder with t=y (RFC 9989) */
	enum dmarc_policy policy;
	char domain[ADDR_DOMAIN + 1];	/* whose record it is; "" if there is none */
	char organisation[ADDR_DOMAIN + 1];	/* the organisational domain of the author's */
	/* the rest is lib/dmarc.c's own */
};

/* author: the domain of From (from_domain()). */
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
