/* See LICENSE file for copyright and licence details. */
/*
 * Password verifiers in the form of RFC 5803, derived in slices (RFC 5802, RFC 7677).
 * SaltedPassword is PBKDF2-HMAC-SHA-256 with one block; its rounds are counted down in struct
 * scram_work, so that a caller can do some of them and come back.  The key schedule of HMAC is kept
 * between rounds.
 */
#include <stdio.h>
#include <string.h>

#include "scram.h"
#include "text.h"

static const char mechanism[] = "SCRAM-SHA-256$";

void
scram_wipe(void *p, size_t n)
{
	volatile unsigned char *s = p;

	while (n--)
		*s++ = 0;
}

/* HMAC of two pieces; b may be empty. out may be one of them. */
static void
hmac(unsigned char out[32], const br_hmac_key_context *key, const void *a, size_t na, const void *b,
    size_t nb)
{
	br_hmac_context h;

	br_hmac_init(&h, key, 0);
	br_hmac_update(&h, a, na);
	br_hmac_update(&h, b, nb);
	br_hmac_out(&h, out);
}

/* The bytes up to `end`, which must be there, decoded to dst: their number, or -1. Moves *p on. */
static long
field(void *dst, size_t size, const char **p, const char *end, int stop)
{
	const char *e;
	long n;

	e = stop ? memchr(*p, stop, (size_t)(end - *p)) : end;
	if (!e)
		return -1;
	n = text_unbase64(dst, size, *p, (size_t)(e - *p));
	*p = stop ? e + 1 : e;
	return n;
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	const char *colon, *end = p + n;
	uint64_t rounds;
	long salt;

	memset(v, 0, sizeof(*v));
	if (n < sizeof(mechanism) - 1 || memcmp(p, mechanism, sizeof(mechanism) - 1) != 0)
		return -1;
	p += sizeof(mechanism) - 1;
	colon = memchr(p, ':', (size_t)(end - p));
	if (!colon || text_u64(p, (size_t)(colon - p), &rounds) < 0 || rounds < SCRAM_MIN_ITER ||
	    rounds > SCRAM_MAX_ITER)
		return -1;
	v->iterations = (uint32_t)rounds;
	p = colon + 1;
	salt = field(v->salt, sizeof(v->salt), &p, end, '$');
	if (salt < 1)
		return -1;
	v->nsalt = (size_t)salt;
	if (field(v->stored, sizeof(v->stored), &p, end, ':') != sizeof(v->stored) ||
	    field(v->server, sizeof(v->server), &p, end, 0) != sizeof(v->server))
		return -1;
	return 0;
}

char *
scram_format(char dst[SCRAM_TEXT], const struct scram_verifier *v)
{
	char salt[92], server[48], stored[48];
	int n;

	(void)text_base64(salt, sizeof(salt), v->salt, v->nsalt);
	(void)text_base64(stored, sizeof(stored), v->stored, sizeof(v->stored));
	(void)text_base64(server, sizeof(server), v->server, sizeof(v->server));
	n = snprintf(dst, SCRAM_TEXT, "%s%lu:%s$%s:%s", mechanism, (unsigned long)v->iterations,
	    salt, stored, server);
	if (n < 0 || n >= SCRAM_TEXT)
		dst[0] = '\0';		/* a salt that is not ours; half a verifier is none */
	return dst;
}

void
scram_start(struct scram_work *w, const struct scram_verifier *v, const char *pw, size_t npw)
{
	static const unsigned char one[4] = { 0, 0, 0, 1 };

	br_hmac_key_init(&w->key, &br_sha256_vtable, pw, npw);
	hmac(w->u, &w->key, v->salt, v->nsalt, one, sizeof(one));
	memcpy(w->t, w->u, sizeof(w->t));
	w->left = v->iterations ? v->iterations - 1 : 0;
}

int
scram_step(struct scram_work *w, uint32_t n)
{
	br_hmac_context h;
	size_t i;

	if (n > w->left)
		n = w->left;
	w->left -= n;
	while (n--) {
		br_hmac_init(&h, &w->key, 0);
		br_hmac_update(&h, w->u, sizeof(w->u));
		br_hmac_out(&h, w->u);
		for (i = 0; i < sizeof(w->t); i++)
			w->t[i] ^= w->u[i];
	}
	scram_wipe(&h, sizeof(h));
	return !w->left;
}

/* SaltedPassword in w->t to StoredKey and ServerKey (RFC 5802 3); wipes w. */
static void
keys(unsigned char stored[32], unsigned char server[32], struct scram_work *w)
{
	br_sha256_context sha;

	br_hmac_key_init(&w->key, &br_sha256_vtable, w->t, sizeof(w->t));
	hmac(w->u, &w->key, "Client Key", 10, "", 0);
	br_sha256_init(&sha);
	br_sha256_update(&sha, w->u, sizeof(w->u));
	br_sha256_out(&sha, stored);
	hmac(server, &w->key, "Server Key", 10, "", 0);
	scram_wipe(&sha, sizeof(sha));
	scram_wipe(w, sizeof(*w));
}

int
scram_check(struct scram_work *w, const struct scram_verifier *v)
{
	unsigned char differ, server[32], stored[32];
	size_t i;

	keys(stored, server, w);
	differ = 0;
	for (i = 0; i < sizeof(stored); i++)
		differ |= stored[i] ^ v->stored[i];
	scram_wipe(stored, sizeof(stored));
	scram_wipe(server, sizeof(server));
	return !differ;
}

void
scram_finish(struct scram_work *w, struct scram_verifier *v)
{
	keys(v->stored, v->server, w);
}
