/* The hash by which a certificate's public key is pinned: SHA-256 of its SubjectPublicKeyInfo. */
#ifndef SPKI_H
#define SPKI_H

#include <stddef.h>
#include <stdint.h>

#include <bearssl_hash.h>

/* A certificate (DER) that comes in pieces. */
struct spki {
	br_sha256_context sha;
	uint32_t left;			/* octets of the present element that are still to come */
	int item, state, more;
};

void spki_init(struct spki *s);
void spki_push(struct spki *s, const void *p, size_t n);

/* 0, or -1: what came was no certificate, or not as far as its key. */
int spki_out(const struct spki *s, unsigned char hash[32]);

#endif
