/* Certificate chains and private keys from files, PEM or DER, to what BearSSL works with. */
#ifndef PEM_H
#define PEM_H

#include <stddef.h>

#include <bearssl_x509.h>

#include "x509.h"

enum {
	PEM_CERTS = 8,		/* certificates of a chain */
	PEM_CHAIN = 16384,	/* octets of all of them, DER */
	PEM_KEY = 4096		/* of a private key, DER */
};

/*
 * The objects of a PEM text with names that are `wanted`, one by one, as DER in a buffer of the
 * caller's. The text may come in pieces that are whole lines.
 */
struct pem {
	int (*wanted)(const char *name, size_t n);
	unsigned char *der;
	size_t n, size;			/* octets of the object; room for it */
	int inside;			/* the text so far ends within one that is wanted */
	int over;			/* one was larger than the buffer */
	int bad, padded;
};
void pem_init(struct pem *o, int (*wanted)(const char *name, size_t n), unsigned char *der,
    size_t size);

/* 1: the next object is there, and *p behind it; 0: no more of them in p to end; -1: it is damaged
 * or too large. */
int pem_next(struct pem *o, const char **p, const char *end);

/* Is it what certificates are called? For `wanted`. */
int pem_is_cert(const char *name, size_t n);

struct pem_chain {
	br_x509_certificate cert[PEM_CERTS];	/* the leaf first */
	size_t n;
	struct x509_info leaf;
	unsigned char der[PEM_CHAIN];
	size_t used;
};

/* RSA or EC, see pem_kind(). The key itself: wipe it. It points into itself: do not copy it. */
struct pem_key {
	br_skey_decoder_context d;
};

/*
 * Load a chain, or a key (PKCS#1, SEC1, PKCS#8; EC on P-256, P-384 or P-521) from the text of a
 * file. NULL, or what is wrong, as a static text. Other objects in a PEM file are left out.
 */
const char *pem_chain(struct pem_chain *c, const char *text, size_t n);
const char *pem_key(struct pem_key *k, const char *text, size_t n);

/* BR_KEYTYPE_RSA or BR_KEYTYPE_EC. */
int pem_kind(const struct pem_key *k);

/* Is it the private key of the chain's leaf? 1 or 0. */
int pem_fits(const struct pem_key *k, const struct pem_chain *c);

#endif
