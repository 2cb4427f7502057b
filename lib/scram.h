/* Password verifiers in the form of RFC 5803, derived in slices (RFC 5802, RFC 7677). */
#ifndef SCRAM_H
#define SCRAM_H

#include <stddef.h>
#include <stdint.h>

#include <bearssl_hmac.h>

enum {
	SCRAM_TEXT = 160,	/* room for a verifier as text, with its NUL */
	SCRAM_SALT = 16,	/* bytes of salt in verifiers that we make */
	SCRAM_MIN_ITER = 4096,	/* RFC 7677 4 */
	SCRAM_MAX_ITER = 10000000
};

struct scram_verifier {
	uint32_t iterations;
	size_t nsalt;
	unsigned char salt[64];
	unsigned char stored[32];	/* StoredKey */
	unsigned char server[32];	/* ServerKey */
};

/* A derivation under way: PBKDF2-HMAC-SHA-256 (RFC 8018), resumable. Key material: scram_wipe. */
struct scram_work {
	br_hmac_key_context key;
	unsigned char u[32], t[32];
	uint32_t left;			/* iterations still to do */
};

/* "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey" (base64) to a verifier: 0 or -1. */
int scram_parse(struct scram_verifier *v, const char *p, size_t n);

/* And back; dst has room for SCRAM_TEXT. Returns dst. */
char *scram_format(char dst[SCRAM_TEXT], const struct scram_verifier *v);

/* Begin to derive from a password with v's salt and iterations. */
void scram_start(struct scram_work *w, const struct scram_verifier *v, const char *pw, size_t npw);

/* Do at most n iterations: 1 when done, else 0. */
int scram_step(struct scram_work *w, uint32_t n);

/* After the last step: does the password fit (constant time)? 1 or 0. Wipes w. */
int scram_check(struct scram_work *w, const struct scram_verifier *v);

/* After the last step: fill in v->stored and v->server. Wipes w. */
void scram_finish(struct scram_work *w, struct scram_verifier *v);

/* Overwrite memory in a way that the compiler keeps. */
void scram_wipe(void *p, size_t n);

#endif
