/* See LICENSE file for copyright and licence details. */
/*
 * Certificate chains and private keys from files, PEM (RFC 7468) or DER.  PEM is read line by line
 * and not by BearSSL, which spends 130 ns on an octet: for all authorities there are that would be
 * 30 ms.  It decodes the keys; here is what it leaves to others: which objects count, bounds, and
 * whether a key fits a certificate.
 */
#include <string.h>

#include <bearssl_ec.h>

#include "pem.h"
#include "scram.h"
#include "text.h"

enum { RSA_MAX = 512 };		/* octets of a modulus: BearSSL takes no more */

/* ---- PEM ---- */

void
pem_init(struct pem *o, int (*wanted)(const char *name, size_t n), unsigned char *der, size_t size)
{
	memset(o, 0, sizeof(*o));
	o->wanted = wanted;
	o->der = der;
	o->size = size;
}

/* A line of base64 within an object that is wanted. */
static void
decode(struct pem *o, const char *p, size_t n)
{
	long k;

	if (!n)
		return;
	k = o->padded ? -1 : text_unbase64(o->der + o->n, o->size - o->n, p, n);
	if (k < 0) {
		o->over |= n / 4 * 3 > o->size - o->n;
		o->bad = 1;
		return;
	}
	o->n += (size_t)k;
	o->padded = p[n - 1] == '=';
}

/* A line, without its end: 0, or what pem_next() returns. */
static int
line(struct pem *o, const char *p, size_t n)
{
	int was = o->inside;

	while (n && (unsigned char)p[n - 1] <= ' ')
		n--;
	if (text_begins(p, n, "-----BEGIN ")) {
		for (p += 11, n -= 11; n && p[n - 1] == '-'; n--)
			;
		o->inside = o->wanted(p, n);
		o->n = 0;
		o->bad = o->over = o->padded = 0;
		return was ? -1 : 0;
	}
	if (!was)
		return 0;
	if (text_begins(p, n, "-----END "))
		o->inside = 0;
	else
		decode(o, p, n);
	if (o->bad)
		o->inside = 0;
	return o->bad ? -1 : !o->inside;
}

int
pem_next(struct pem *o, const char **p, const char *end)
{
	const char *e;
	int r = 0;

	while (!r && *p < end) {
		e = memchr(*p, '\n', (size_t)(end - *p));
		r = line(o, *p, (size_t)((e ? e : end) - *p));
		*p = e ? e + 1 : end;
	}
	return r;
}

int
pem_is_cert(const char *name, size_t n)
{
	return text_is(name, n, "CERTIFICATE") || text_is(name, n, "X509 CERTIFICATE");
}

static int
is_key(const char *name, size_t n)
{
	return text_is(name, n, "PRIVATE KEY") || text_is(name, n, "RSA PRIVATE KEY") ||
	    text_is(name, n, "EC PRIVATE KEY");
}

/* ---- certificates and keys ---- */

/* One more certificate, DER, which lies at the end of c->der already. */
static const char *
add(struct pem_chain *c, size_t n)
{
	struct x509_info info;

	if (c->n == PEM_CERTS)
		return "too many certificates";
	if (x509_info(&info, c->der + c->used, n) < 0)
		return "not a certificate";
	if (!c->n)
		c->leaf = info;
	c->cert[c->n].data = c->der + c->used;
	c->cert[c->n].data_len = n;
	c->n++;
	c->used += n;
	return NULL;
}

const char *
pem_chain(struct pem_chain *c, const char *text, size_t n)
{
	const char *end = text + n, *why;
	struct pem o;
	int r;

	c->n = c->used = 0;
	if (n && text[0] == 0x30) {
		if (n > sizeof(c->der))
			return "too large";
		memcpy(c->der, text, n);
		return add(c, n);
	}
	for (;;) {
		pem_init(&o, pem_is_cert, c->der + c->used, sizeof(c->der) - c->used);
		r = pem_next(&o, &text, end);
		if (r < 0 || o.inside)
			return o.over ? "too large" : "damaged PEM";
		if (!r)
			return c->n ? NULL : "no certificate in it";
		why = add(c, o.n);
		if (why)
			return why;
	}
}

static int
contains(const char *p, size_t n, const char *word)
{
	size_t i, k = strlen(word);

	for (i = 0; i + k <= n; i++)
		if (memcmp(p + i, word, k) == 0)
			return 1;
	return 0;
}

/* A PEM file to DER in o. */
static const char *
key_der(struct pem *o, const char *text, size_t n)
{
	const char *p = text;
	int r;

	if (contains(text, n, "ENCRYPTED"))
		return "the key is encrypted; it must not be";
	r = pem_next(o, &p, text + n);
	if (r < 0 || o->inside)
		return o->over ? "too large" : "damaged PEM";
	return r ? NULL : "no private key in it";
}

const char *
pem_key(struct pem_key *k, const char *text, size_t n)
{
	unsigned char der[PEM_KEY];
	const char *why = NULL;
	struct pem o;

	br_skey_decoder_init(&k->d);
	pem_init(&o, is_key, der, sizeof(der));
	if (!n || text[0] != 0x30) {
		why = key_der(&o, text, n);
	} else if (n > sizeof(der)) {
		why = "too large";
	} else {
		memcpy(der, text, n);
		o.n = n;
	}
	if (!why) {
		br_skey_decoder_push(&k->d, der, o.n);
		if (!pem_kind(k))
			why = "not a key of a kind that is known";
	}
	scram_wipe(der, sizeof(der));
	if (why)
		scram_wipe(&k->d, sizeof(k->d));
	return why;
}

int
pem_kind(const struct pem_key *k)
{
	return br_skey_decoder_key_type(&k->d);
}

static int
ec_fits(const br_ec_private_key *k, const struct x509_info *leaf)
{
	unsigned char pub[BR_EC_KBUF_PUB_MAX_SIZE];
	br_ec_public_key pk;
	size_t n;

	if (k->curve != leaf->curve)
		return 0;
	n = br_ec_compute_pub(br_ec_get_default(), &pk, pub, k);
	return n && n == leaf->npub && memcmp(pub, leaf->pub, n) == 0;
}

/* Is the modulus p * q? (BearSSL 0.6 has a function for it, which gives up at 4096 bits.) */
static int
rsa_fits(const br_rsa_private_key *k, const struct x509_info *leaf)
{
	unsigned char mod[RSA_MAX + 2];
	size_t i, j, n = k->plen + k->qlen;
	uint32_t carry;

	if (n > sizeof(mod))
		return 0;
	memset(mod, 0, sizeof(mod));
	for (i = k->plen; i > 0; i--) {
		carry = 0;
		for (j = k->qlen; j > 0; j--) {
			carry += mod[i + j - 1] + (uint32_t)k->p[i - 1] * k->q[j - 1];
			mod[i + j - 1] = carry & 0xff;
			carry >>= 8;
		}
		mod[i - 1] = (unsigned char)carry;
	}
	for (i = 0; i < n && !mod[i]; i++)
		;
	return n - i == leaf->npub && memcmp(mod + i, leaf->pub, n - i) == 0;
}

int
pem_fits(const struct pem_key *k, const struct pem_chain *c)
{
	if (!c->n || pem_kind(k) != c->leaf.kind)
		return 0;
	if (pem_kind(k) == BR_KEYTYPE_EC)
		return ec_fits(br_skey_decoder_get_ec(&k->d), &c->leaf);
	return rsa_fits(br_skey_decoder_get_rsa(&k->d), &c->leaf);
}
