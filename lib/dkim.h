/* DKIM signatures, RFC 6376 with RFC 8301: rsa-sha256, relaxed/relaxed, in one pass over the
 * text. */
#ifndef DKIM_H
#define DKIM_H

#include <stddef.h>
#include <stdint.h>

#include <bearssl_rsa.h>

#include "canon.h"

enum {
	DKIM_FIELD = 2048,	/* room for a DKIM-Signature field with its line ends */
	DKIM_HEADER = 65536	/* octets of a header that can be signed */
};

struct dkim_sign {
	int in_body;			/* the blank line has been seen */
	int failed;			/* the header is too long to be signed */
	size_t nheader;
	char header[DKIM_HEADER];	/* as it came, with LF line ends */
	struct canon_body body;
};

/* A text with LF line ends is fed piece by piece, header and body. */
void dkim_init(struct dkim_sign *d);
void dkim_feed(struct dkim_sign *d, const char *p, size_t n);

/*
 * The domain of the address in the From field, lower case and A-labels (RFC 8616 4),
 * NUL-terminated; room for n. 0, or -1: there is no such field, or more than one, or no single
 * domain in it. Usable once the header is fed.
 */
int dkim_from(const struct dkim_sign *d, char *dst, size_t n);

/*
 * The field, folded, ending in a LF, NUL-terminated, to be put before the first field. `when` is
 * t=, real time. Signs From (twice, so that none can be added), To, Cc, Subject, Date, Message-ID,
 * In-Reply-To, References, Reply-To, MIME-Version and the usual Content-*, as far as they are
 * there. Its length, or -1: not signable (no proper header, no From in it, or too much).
 */
long dkim_finish(struct dkim_sign *d, char dst[DKIM_FIELD], const char *domain,
    const char *selector, const br_rsa_private_key *key, int64_t when);

#endif
