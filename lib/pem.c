/* See LICENSE file for copyright and licence details. */
/*
 * Certificate chains and private keys from files, PEM (RFC 7468) or DER.  BearSSL decodes; here is
 * what it leaves to others: which objects count, bounds, and whether a key fits a certificate.
 */
#include <string.h>

#include <bearssl_ec.h>
#include <bearssl_pem.h>

#include "pem.h"
#include "scram.h"

enum { RSA_MAX = 512 };		/* octets of a modulus: BearSSL takes no more */

struct sink {
	unsigned char *b;
	size_t n, size;
	int over;
};

static void
sink(void *arg, const void *p, size_t n)
{
	struct sink *s = arg;

	if (n > s->size - s->n) {
		s->over = 1;
		return;
	}
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

static int
is_cert(const char *name)
{
	return strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
}

static int
is_key(const char *name)
{
	return strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "RSA PRIVATE KEY") == 0 ||
	    strcmp(name, "EC PRIVATE KEY") == 0;
}

/* Feed some of *p to the decoder, without the CR of DOS line ends; at the end a line end that the
 * last line may lack. 0: that was it. */
static int
feed(br_pem_decoder_context *pem, const char **p, const char *end)
{
	const char *cr;

	if (*p == end)
		return br_pem_decoder_push(pem, "\n", 1) == 0;
	cr = memchr(*p, '\r', (size_t)(end - *p));
	if (cr == *p)
		(*p)++;
	else
		*p += br_pem_decoder_push(pem, *p, (size_t)((cr ? cr : end) - *p));
	return 1;
}

/*
 * The next object with a name that is wanted goes to s; *p moves behind it. 1: there was one, 0: no
 * more, -1: broken.
 */
static int
object(struct sink *s, int (*wanted)(const char *), const char **p, const char *end)
{
	br_pem_decoder_context pem;
	int more, want = 0;

	br_pem_decoder_init(&pem);
	do {
		more = feed(&pem, p, end);
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			want = wanted(br_pem_decoder_name(&pem));
			br_pem_decoder_setdest(&pem, want ? sink : NULL, s);
			break;
		case BR_PEM_END_OBJ:
			if (want)
				return s->over ? -1 : 1;
			break;
		case BR_PEM_ERROR:
			return -1;
		}
	} while (more);
	return want ? -1 : 0;
}

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
	struct sink s;
	int r;

	c->n = c->used = 0;
	if (n && text[0] == 0x30) {
		if (n > sizeof(c->der))
			return "too large";
		memcpy(c->der, text, n);
		return add(c, n);
	}
	for (;;) {
		s.b = c->der + c->used;
		s.size = sizeof(c->der) - c->used;
		s.n = 0;
		s.over = 0;
		r = object(&s, is_cert, &text, end);
		if (r < 0)
			return s.over ? "too large" : "damaged PEM";
		if (!r)
			return c->n ? NULL : "no certificate in it";
		why = add(c, s.n);
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

/* A PEM file to DER in s. */
static const char *
key_der(struct sink *s, const char *text, size_t n)
{
	const char *p = text;

	if (contains(text, n, "ENCRYPTED"))
		return "the key is encrypted; it must not be";
	switch (object(s, is_key, &p, text + n)) {
	case 1:
		return NULL;
	case 0:
		return "no private key in it";
	default:
		return s->over ? "too large" : "damaged PEM";
	}
}

const char *
pem_key(struct pem_key *k, const char *text, size_t n)
{
	unsigned char der[PEM_KEY];
	const char *why = NULL;
	struct sink s = { der, 0, sizeof(der), 0 };

	br_skey_decoder_init(&k->d);
	if (n && text[0] == 0x30)
		sink(&s, text, n);
	else
		why = key_der(&s, text, n);
	if (s.over)
		why = "too large";
	if (!why) {
		br_skey_decoder_push(&k->d, der, s.n);
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
