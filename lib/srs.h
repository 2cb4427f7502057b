/* Sender rewriting for forwarded mail: SRS0 and SRS1 local parts with an HMAC-SHA256. */
#ifndef SRS_H
#define SRS_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

/* Who forwards: a secret (any length, at least 16 octets) and our domain. */
struct srs {
	const unsigned char *secret;
	size_t nsecret;
	const char *domain;
};

/*
 * The sender that stands for `sender` (a Mailbox) when we forward:
 * "SRS0=HHHH=TT=domain=local@ours", for an SRS0 or SRS1 of others an SRS1 form. day: real time /
 * 86400. 0; -1: it cannot be rewritten (too long for RFC 5321, quoted): use the null sender.
 */
int srs_forward(const struct srs *s, char dst[ADDR_TEXT + 1], const char *sender, int64_t day);

/* Is the local part one of these forms (not whether it is genuine)? */
int srs_is(const char *local, size_t n);

/*
 * Back: the address a bounce to local part `local` goes to. 0; -1: not made by us, or older than 21
 * days. The comparison takes the same time wherever the difference is.
 */
int srs_reverse(const struct srs *s, char dst[ADDR_TEXT + 1], const char *local, size_t n,
    int64_t day);

#endif
