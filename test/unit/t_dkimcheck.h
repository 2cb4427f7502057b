/* See LICENSE file for copyright and licence details. */
/*
 * For t_dkimcheck.c: a signer that reads RFC 6376 in the plainest way, over whole texts in memory
 * (nothing of lib/canon.c is in it), keys, and a DNS of tables that answers when it is told to.
 */
#include <errno.h>

#include <bearssl_hash.h>
#include <bearssl_rand.h>
#include <bearssl_rsa.h>

#include "lib/dkimcheck.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "test.h"

enum { MAIL = 1 << 18 };

/* Append to a text in MAIL octets: its length. */
static size_t put(char *dst, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static size_t
put(char *dst, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst + at, MAIL - at, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= MAIL - at)
		abort();
	return at + (size_t)n;
}

/* ---- keys ---- */

struct pair {
	unsigned char priv[BR_RSA_KBUF_PRIV_SIZE(2048)], pub[BR_RSA_KBUF_PUB_SIZE(2048)];
	br_rsa_private_key sk;
	br_rsa_public_key pk;
	char p[2048];			/* the value of p= */
};

static void
record(char dst[2048], const br_rsa_public_key *pk)
{
	unsigned char der[X509_MAX];
	size_t n = x509_rsa(der, pk);

	if (!n || !text_base64(dst, 2048, der, n))
		abort();
}

static void
make_pair(struct pair *k, unsigned bits, uint32_t e)
{
	br_hmac_drbg_context rng;

	br_hmac_drbg_init(&rng, &br_sha256_vtable, &bits, sizeof(bits));
	if (!br_rsa_keygen_get_default()(&rng.vtable, &k->sk, k->priv, &k->pk, k->pub, bits, e))
		abort();
	record(k->p, &k->pk);
}

/* ---- the DNS ---- */

static struct {
	const char *name;
	enum dns_status status;
	const char *text[3];
} zone[8];

static struct dns_query *asked[64];
static char asked_name[64][512];
static int nasked, refuse;

static void
no_zone(void)
{
	memset(zone, 0, sizeof(zone));
}

/* The one record that there is. */
static void
only(const char *name, const char *text)
{
	no_zone();
	zone[0].name = name;
	zone[0].text[0] = text;
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	if (refuse || strlen(name) > 253 || nasked == (int)LEN(asked)) {
		errno = refuse ? refuse : EINVAL;
		return -1;
	}
	if (type != DNS_TXTS)
		abort();
	q->slot = nasked;
	(void)snprintf(asked_name[nasked], sizeof(asked_name[0]), "%s", name);
	asked[nasked++] = q;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	int i;

	for (i = 0; i < nasked; i++) {
		if (asked[i] == q)
			asked[i] = NULL;
	}
	q->slot = -1;
}

static void
answer(struct dns_query *q, const char *name)
{
	static struct dns_answer a;
	size_t i;

	memset(&a, 0, sizeof(a));
	a.status = DNS_NXDOMAIN;
	for (i = 0; i < LEN(zone) && zone[i].name && strcmp(zone[i].name, name) != 0; i++)
		;
	if (i < LEN(zone) && zone[i].name) {
		a.status = zone[i].status;
		for (; a.n < 3 && a.status == DNS_OK && zone[i].text[a.n]; a.n++) {
			a.rr[a.n].text = zone[i].text[a.n];
			a.rr[a.n].n = strlen(a.rr[a.n].text);
		}
	}
	q->slot = -1;
	q->done(q, &a);
}

/* Answer all that has been asked: how many questions there were. */
static int
deliver(void)
{
	struct dns_query *q;
	int i, n = 0;

	for (i = 0; i < nasked; i++) {
		q = asked[i];
		asked[i] = NULL;
		if (!q)
			continue;
		n++;
		answer(q, asked_name[i]);
	}
	nasked = 0;
	return n;
}

/* ---- the plain signer ---- */

static int
blank(int ch)
{
	return ch == ' ' || ch == '\t';
}

static size_t
plain_field(char *dst, const char *p, size_t n, int relaxed)
{
	const char *colon = memchr(p, ':', n);
	size_t i, at = 0;
	int space = 0, words = 0;

	for (i = 0; !relaxed && i < n; i++) {
		if (p[i] == '\n')
			dst[at++] = '\r';
		dst[at++] = p[i];
	}
	if (!relaxed)
		return at;
	for (; p < colon; p++, n--) {
		if (!blank(*p))
			dst[at++] = (char)text_lower((unsigned char)*p);
	}
	dst[at++] = ':';
	for (i = 1; i < n; i++) {
		if (p[i] == '\n')
			continue;
		if (blank(p[i])) {
			space = 1;
			continue;
		}
		if (space && words)
			dst[at++] = ' ';
		words = 1;
		space = 0;
		dst[at++] = p[i];
	}
	return at;
}

static size_t
plain_body(char *dst, const char *p, size_t n, int relaxed)
{
	size_t at = 0, begin = 0, i;

	for (i = 0; i < n; i++) {
		if (p[i] != '\n')
			dst[at++] = relaxed && p[i] == '\t' ? ' ' : p[i];
		if (relaxed && at > begin + 1 && dst[at - 1] == ' ' && dst[at - 2] == ' ')
			at--;
		if (p[i] != '\n' && i + 1 < n)
			continue;
		if (relaxed && at > begin && dst[at - 1] == ' ')
			at--;
		dst[at++] = '\r';
		dst[at++] = '\n';
		begin = at;
	}
	while (at >= 4 && !memcmp(dst + at - 4, "\r\n\r\n", 4))
		at -= 2;
	if (at == 2 && dst[0] == '\r')
		at = 0;
	if (!at && !relaxed) {
		memcpy(dst, "\r\n", 2);
		at = 2;
	}
	return at;
}

static void
sha256(unsigned char hash[32], const char *p, size_t n)
{
	br_sha256_context c;

	br_sha256_init(&c);
	br_sha256_update(&c, p, n);
	br_sha256_out(&c, hash);
}

/* The value of a tag in a field's text, without white space; "": there is none. */
static const char *
plain_tag(const char *field, const char *name)
{
	static char got[1 << 16];
	size_t n = 0, k = strlen(name);
	const char *p;

	for (p = field; (p = strstr(p, name)) && (!strchr(" \t;:\n", p[-1]) ||
	    p[k + strspn(p + k, " \t\n")] != '='); p++)
		;
	for (p = p ? strchr(p, '=') + 1 : ""; *p && *p != ';'; p++) {
		if (!strchr(" \t\n", *p))
			got[n++] = *p;
	}
	got[n] = '\0';
	return got;
}

/* The fields that h= names, from the bottom up, one after the other, as they are hashed. */
static size_t
plain_header(char *dst, const char *names, const char *header, int relaxed)
{
	static struct {
		const char *p;
		size_t n;
		int used;
	} field[4096];
	const char *p = header, *e, *colon;
	size_t n = 0, at = 0, i, k;

	for (; *p; p = e) {
		for (e = strchr(p, '\n') + 1; blank(*e); e = strchr(e, '\n') + 1)
			;
		field[n].p = p;
		field[n].n = (size_t)(e - p) - 1;
		field[n++].used = 0;
	}
	for (; *names; names += k + (names[k] == ':')) {
		k = strcspn(names, ":");
		for (i = n; i > 0; i--) {
			p = field[i - 1].p;
			colon = strchr(p, ':');
			while (colon > p && blank(colon[-1]))
				colon--;
			if (!field[i - 1].used && text_ieq(p, (size_t)(colon - p), names, k))
				break;
		}
		if (!i)
			continue;
		field[i - 1].used = 1;
		at += plain_field(dst + at, p, field[i - 1].n, relaxed);
		memcpy(dst + at, "\r\n", 2);
		at += 2;
	}
	return at;
}

/* Put text[0..n) in the place of `what`, in lines of `fold` octets; where it lies. */
static char *
replace(char *field, const char *what, const char *text, size_t fold)
{
	char tail[8192], *at = strstr(field, what), *d = at;
	size_t i;

	if (!at)
		return NULL;
	(void)snprintf(tail, sizeof(tail), "%s", at + strlen(what));
	for (i = 0; text[i]; i++) {
		if (fold && i && i % fold == 0) {
			memcpy(d, " \n\t", 3);
			d += 3;
		}
		*d++ = text[i];
	}
	memcpy(d, tail, strlen(tail) + 1);
	return at;
}

/*
 * Write a mail: the field, in which $H stands for the hash of the body and $B for the signature
 * ($h and $b: folded), the header below it, a blank line and the body. Its length.
 */
static size_t
sign(char *mail, const char *field, const char *header, const char *body,
    const br_rsa_private_key *sk)
{
	static char text[2 * MAIL], value[1024], own[MAIL];
	unsigned char hash[32], sig[512];
	size_t n = (sk->n_bitlen + 7) / 8, k;
	int relaxed;
	const char *to;
	char *b;

	(void)put(mail, 0, "%s", field);
	relaxed = strstr(plain_tag(mail, "c"), "/relaxed") != NULL;
	sha256(hash, text, plain_body(text, body, strlen(body), relaxed));
	(void)text_base64(value, sizeof(value), hash, 32);
	(void)replace(mail, "$H", value, 0);
	(void)replace(mail, "$h", value, 7);
	relaxed = text_lower(plain_tag(mail, "c")[0]) == 'r';
	k = plain_header(text, plain_tag(mail, "h"), header, relaxed);
	(void)put(own, 0, "%s", mail);
	b = strstr(own, "$B") ? strstr(own, "$B") : strstr(own, "$b");
	for (to = b ? b + 2 : ""; *to && strchr(" \t\n", *to); to++)
		;
	while (b && strchr(" \t\n", b[-1]))
		b--;
	if (b)
		memmove(b, to, strlen(to) + 1);
	if (*own && own[strlen(own) - 1] == '\n')
		own[strlen(own) - 1] = '\0';
	k += plain_field(text + k, own, strlen(own), relaxed);
	sha256(hash, text, k);
	if (!br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, 32, sk, sig))
		abort();
	(void)text_base64(value, sizeof(value), sig, n);
	(void)replace(mail, "$B", value, 0);
	(void)replace(mail, "$b", value, 20);
	n = strlen(mail);
	return put(mail, n, "%s\n%s", header, body);
}

/* ---- verifying ---- */

#define NOW 1700000000
#define SIG "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; "
#define END "h=from; bh=$H; b=$B\n"
#define FROM "From: a@example.org\n"
#define BODY " a  b\t\n\n\nc\n\n\n"
#define KEY "s._domainkey.example.org"

static struct pair key, small, three;
static struct dkimcheck d;
static char good[MAIL];
static int told;

static void
done(struct dkimcheck *x)
{
	told += x == &d;
}

static void
feed(const char *mail, size_t n)
{
	const char *p = mail, *end = mail + n;

	memset(&d, 0x55, sizeof(d));
	d.done = done;
	told = 0;
	while (p < end && *p != '\n') {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : end;
	}
	dkimcheck_header(&d, mail, (size_t)(p - mail), NOW);
	if (p < end)
		dkimcheck_body(&d, p + 1, (size_t)(end - p) - 1);
}

/* All of it: the result of the first signature. */
static enum dkim_result
check(const char *mail, size_t n)
{
	int wait, i;

	feed(mail, n);
	wait = dkimcheck_finish(&d);
	CHECK_INT(told, 0);
	CHECK_INT(deliver() > 0, wait);
	CHECK_INT(told, wait);
	for (i = 0; i < d.n; i++) {
		CHECK(strlen(d.sig[i].reason) < DKIM_REASON);
		CHECK_INT(d.sig[i].result == DKIM_PASS, !*d.sig[i].reason);
		CHECK(dkim_word(d.sig[i].result)[0]);
	}
	return d.n ? d.sig[0].result : DKIM_NONE;
}

static void
expect(const char *what, enum dkim_result want, const char *reason)
{
	CHECK_MSG(d.n && d.sig[0].result == want, "%s: got %s (%s)", what,
	    d.n ? dkim_word(d.sig[0].result) : "nothing", d.n ? d.sig[0].reason : "");
	if (d.n)
		CHECK_STR(d.sig[0].reason, reason);
}

/* A record with this key in the place of $. */
static const char *
with_key(const char *text, const char *p)
{
	static char out[3][MAIL];
	static int turn;
	char *dst = out[turn = (turn + 1) % 3];
	const char *at;
	size_t n = 0;

	for (at = text; *at; at++) {
		if (*at == '$')
			n = put(dst, n, "%s", p);
		else
			dst[n++] = *at;
	}
	dst[n] = '\0';
	return dst;
}

/* A mail with two signatures, its body cut. */
static size_t
machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	const char *body = strstr(in, "\n\n") + 2;
	size_t at, k, nbody = n - (size_t)(body - in);
	int wait;

	d.done = done;
	dkimcheck_header(&d, in, (size_t)(body - in) - 1, NOW);
	for (at = 0; at < nbody; at += k) {
		k = test_piece(c, at, nbody);
		dkimcheck_body(&d, body + at, k);
	}
	wait = dkimcheck_finish(&d);
	(void)deliver();
	return (size_t)snprintf(out, size, "%d %d %s %s", wait, d.sig[0].result, d.sig[0].reason,
	    d.sig[1].reason);
}

static void
make_keys(void)
{
	make_pair(&key, 1024, 65537);
	make_pair(&small, 768, 65537);
	make_pair(&three, 1024, 3);
	(void)put(good, 0, "v=DKIM1; p=%s", key.p);
}
