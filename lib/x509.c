/* See LICENSE file for copyright and licence details. */
/*
 * X.509 certificates (RFC 5280) in DER: validity and public key of one that is given, and making
 * one that signs itself.  The writer fills its buffer from the end to the front, so that each
 * length is known when its turn comes.
 */
#include <string.h>

#include <bearssl_hash.h>
#include <bearssl_x509.h>

#include "text.h"
#include "x509.h"

enum {
	BOOLEAN = 0x01, INTEGER = 0x02, BITS = 0x03, OCTETS = 0x04, UTF8 = 0x0c, UTC_TIME = 0x17,
	GENERAL_TIME = 0x18, SEQUENCE = 0x30, SET = 0x31, DNS_NAME = 0x82, CONTEXT_0 = 0xa0,
	CONTEXT_3 = 0xa3
};

#define YEAR_2050 INT64_C(2524608000)
#define YEAR_10000 INT64_C(253402300800)

/* ---- reading ---- */

struct der {
	const unsigned char *p, *end;
};

/* The next element must have this tag: its contents in `body`, `in` moves behind it. 0 or -1. */
static int
take(struct der *in, int tag, struct der *body)
{
	size_t left = (size_t)(in->end - in->p), n;
	int i;

	if (left < 2 || in->p[0] != tag)
		return -1;
	n = in->p[1];
	in->p += 2;
	left -= 2;
	if (n & 0x80) {
		i = (int)(n & 0x7f);
		if (i < 1 || i > 3 || (size_t)i > left)
			return -1;
		left -= (size_t)i;
		for (n = 0; i > 0; i--)
			n = n << 8 | *in->p++;
	}
	if (n > left)
		return -1;
	body->p = in->p;
	body->end = in->p + n;
	in->p += n;
	return 0;
}

static int
is(const struct der *d, const void *p, size_t n)
{
	return (size_t)(d->end - d->p) == n && memcmp(d->p, p, n) == 0;
}

/* Days from 1970-01-01 to the first of a month in the Gregorian calendar. */
static int64_t
days(int year, int month)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t y = year;

	if (month < 3)
		y--;		/* a leap day counts from March on */
	return (int64_t)(year - 1970) * 365 + before[month - 1] + (y / 4 - y / 100 + y / 400) - 477;
}

/* Two digits, or -1. */
static int
two(const unsigned char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/* RFC 5280 4.1.2.5: YYMMDDhhmmssZ up to 2049, else YYYYMMDDhhmmssZ. */
static int
when(struct der *in, int64_t *t)
{
	struct der d;
	int i, year, f[6];

	if (take(in, UTC_TIME, &d) == 0 && d.end - d.p == 13) {
		year = two(d.p) < 50 ? 2000 : 1900;
	} else if (take(in, GENERAL_TIME, &d) == 0 && d.end - d.p == 15) {
		year = two(d.p) * 100;
		d.p += 2;
	} else {
		return -1;
	}
	for (i = 0; i < 6; i++, d.p += 2) {
		f[i] = two(d.p);
		if (f[i] < 0)
			return -1;
	}
	if (*d.p != 'Z' || year < 0 || f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > 31 ||
	    f[3] > 23 || f[4] > 59 || f[5] > 60)
		return -1;
	year += f[0];
	*t = (((days(year, f[1]) + f[2] - 1) * 24 + f[3]) * 60 + f[4]) * 60 + f[5];
	return 0;
}

static int
curve(const struct der *oid)
{
	static const unsigned char p256[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	static const unsigned char p384[] = { 0x2b, 0x81, 0x04, 0x00, 0x22 };
	static const unsigned char p521[] = { 0x2b, 0x81, 0x04, 0x00, 0x23 };

	if (is(oid, p256, sizeof(p256)))
		return BR_EC_secp256r1;
	if (is(oid, p384, sizeof(p384)))
		return BR_EC_secp384r1;
	if (is(oid, p521, sizeof(p521)))
		return BR_EC_secp521r1;
	return 0;
}

/* A number without leading zeros. */
static int
number(struct der *in, const unsigned char **p, size_t *n)
{
	struct der d;

	if (take(in, INTEGER, &d) < 0)
		return -1;
	while (d.p < d.end && !*d.p)
		d.p++;
	*p = d.p;
	*n = (size_t)(d.end - d.p);
	return 0;
}

/* The numbers of an RSAPublicKey, RFC 8017 A.1.1. */
static int
rsa_key(struct x509_info *i, struct der *seq)
{
	i->kind = BR_KEYTYPE_RSA;
	return number(seq, &i->pub, &i->npub) < 0 || number(seq, &i->exp, &i->nexp) < 0 ? -1 : 0;
}

/* SubjectPublicKeyInfo, RFC 3279 2.3, RFC 5480 2. */
static int
public_key(struct x509_info *i, struct der *spki)
{
	static const unsigned char rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
	static const unsigned char ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
	struct der alg, bits, oid, par, seq;

	if (take(spki, SEQUENCE, &alg) < 0 || take(&alg, 0x06, &oid) < 0 ||
	    take(spki, BITS, &bits) < 0 || bits.p == bits.end || *bits.p++ != 0)
		return -1;
	i->pub = i->exp = bits.p;
	if (is(&oid, ec, sizeof(ec))) {
		i->kind = BR_KEYTYPE_EC;
		if (take(&alg, 0x06, &par) == 0)
			i->curve = curve(&par);
		i->npub = (size_t)(bits.end - bits.p);
	} else if (is(&oid, rsa, sizeof(rsa))) {
		return take(&bits, SEQUENCE, &seq) < 0 ? -1 : rsa_key(i, &seq);
	}
	return 0;
}

int
x509_key(struct x509_info *i, const unsigned char *der, size_t n)
{
	struct der all, spki;

	memset(i, 0, sizeof(*i));
	all.p = der;
	all.end = der + n;
	return take(&all, SEQUENCE, &spki) < 0 || all.p != all.end ? -1 : public_key(i, &spki);
}

int
x509_rsa_key(struct x509_info *i, const unsigned char *der, size_t n)
{
	struct der all, seq;

	memset(i, 0, sizeof(*i));
	all.p = der;
	all.end = der + n;
	if (take(&all, SEQUENCE, &seq) < 0 || all.p != all.end)
		return -1;
	if (seq.p < seq.end && *seq.p == INTEGER)
		return rsa_key(i, &seq);
	return public_key(i, &seq) < 0 || i->kind != BR_KEYTYPE_RSA ? -1 : 0;
}

/* Basic constraints, RFC 5280 4.2.1.9, among what follows the key. */
static int
is_ca(struct der *tbs)
{
	static const unsigned char basic[] = { 0x55, 0x1d, 0x13 };
	struct der all, ext, list, oid, value;

	while (tbs->p < tbs->end && *tbs->p != CONTEXT_3)
		if (take(tbs, *tbs->p, &all) < 0)
			return 0;
	if (take(tbs, CONTEXT_3, &all) < 0 || take(&all, SEQUENCE, &list) < 0)
		return 0;
	while (take(&list, SEQUENCE, &ext) == 0) {
		if (take(&ext, 0x06, &oid) < 0 || !is(&oid, basic, sizeof(basic)))
			continue;
		if (ext.p < ext.end && *ext.p == BOOLEAN)
			(void)take(&ext, BOOLEAN, &value);	/* critical: so what */
		return take(&ext, OCTETS, &all) == 0 && take(&all, SEQUENCE, &ext) == 0 &&
		    take(&ext, BOOLEAN, &value) == 0 && is(&value, "\xff", 1);
	}
	return 0;
}

int
x509_info(struct x509_info *i, const unsigned char *der, size_t n)
{
	struct der all, cert, skip, spki, tbs, validity;

	memset(i, 0, sizeof(*i));
	all.p = der;
	all.end = der + n;
	if (take(&all, SEQUENCE, &cert) < 0 || all.p != all.end || take(&cert, SEQUENCE, &tbs) < 0)
		return -1;
	if (tbs.p < tbs.end && *tbs.p == CONTEXT_0 && take(&tbs, CONTEXT_0, &skip) < 0)
		return -1;
	/* serial number, signature algorithm, issuer; validity; subject; key */
	if (take(&tbs, INTEGER, &skip) < 0 || take(&tbs, SEQUENCE, &skip) < 0 ||
	    take(&tbs, SEQUENCE, &skip) < 0 || take(&tbs, SEQUENCE, &validity) < 0)
		return -1;
	i->subject = tbs.p;
	if (take(&tbs, SEQUENCE, &skip) < 0)
		return -1;
	i->nsubject = (size_t)(tbs.p - i->subject);
	if (take(&tbs, SEQUENCE, &spki) < 0)
		return -1;
	i->ca = is_ca(&tbs);
	if (when(&validity, &i->not_before) < 0 || when(&validity, &i->not_after) < 0)
		return -1;
	/* what follows: signature algorithm and signature */
	if (take(&cert, SEQUENCE, &skip) < 0 || take(&cert, BITS, &skip) < 0 || cert.p != cert.end)
		return -1;
	return public_key(i, &spki);
}

/* ---- writing ---- */

struct out {
	unsigned char b[X509_MAX];
	size_t at;		/* what is written so far: b[at] to the end; 0: too much */
};

static void
put(struct out *o, const void *p, size_t n)
{
	if (n >= o->at) {
		o->at = 0;
		return;
	}
	o->at -= n;
	memcpy(o->b + o->at, p, n);
}

/* Put tag and length before all that was written since `end`, a former value of o->at. */
static void
wrap(struct out *o, int tag, size_t end)
{
	unsigned char head[4] = { (unsigned char)tag };
	size_t n = end - o->at, h = 1;

	if (!o->at)
		return;
	if (n > 255) {
		head[h++] = 0x82;
		head[h++] = (unsigned char)(n >> 8);
	} else if (n > 127) {
		head[h++] = 0x81;
	}
	head[h++] = (unsigned char)(n & 0xff);
	put(o, head, h);
}

static void
item(struct out *o, int tag, const void *p, size_t n)
{
	size_t end = o->at;

	put(o, p, n);
	wrap(o, tag, end);
}

/* RFC 5280 4.1.2.5: years from 2050 on need the long form. */
static void
date(struct out *o, int64_t t)
{
	char utc[DATE_TEXT];
	size_t i, n = 0;

	if (t < 0 || t >= YEAR_10000) {
		o->at = 0;
		return;
	}
	(void)text_utc(utc, t);
	for (i = 0; utc[i]; i++)
		if (!strchr("-T:", utc[i]))
			utc[n++] = utc[i];
	if (t < YEAR_2050)
		item(o, UTC_TIME, utc + 2, n - 2);
	else
		item(o, GENERAL_TIME, utc, n);
}

/* Issuer and subject: the common name, if it is not too long for one (64 characters). */
static void
subject(struct out *o, const char *name)
{
	static const unsigned char cn[] = { 0x06, 0x03, 0x55, 0x04, 0x03 };
	size_t end = o->at;

	if (strlen(name) > 64)
		name = "mail server";
	item(o, UTF8, name, strlen(name));
	put(o, cn, sizeof(cn));
	wrap(o, SEQUENCE, end);
	wrap(o, SET, end);
	wrap(o, SEQUENCE, end);
}

/* RFC 5280 4.2.1.6 */
static void
names(struct out *o, const struct x509_self *s)
{
	static const unsigned char san[] = { 0x06, 0x03, 0x55, 0x1d, 0x11 };
	size_t end = o->at, i;

	for (i = s->nname; i > 0; i--)
		item(o, DNS_NAME, s->name[i - 1], strlen(s->name[i - 1]));
	wrap(o, SEQUENCE, end);
	wrap(o, OCTETS, end);
	put(o, san, sizeof(san));
	wrap(o, SEQUENCE, end);
}

/* RFC 5280 4.2.1.2; the key's hash is SHA-256, cut, as in RFC 7093 2. */
static void
key_id(struct out *o, const br_ec_public_key *pk)
{
	static const unsigned char ski[] = { 0x06, 0x03, 0x55, 0x1d, 0x0e };
	unsigned char hash[32];
	br_sha256_context sha;
	size_t end = o->at;

	br_sha256_init(&sha);
	br_sha256_update(&sha, pk->q, pk->qlen);
	br_sha256_out(&sha, hash);
	item(o, OCTETS, hash, 20);
	wrap(o, OCTETS, end);
	put(o, ski, sizeof(ski));
	wrap(o, SEQUENCE, end);
}

static void
extensions(struct out *o, const struct x509_self *s, const br_ec_public_key *pk)
{
	static const unsigned char fixed[] = {
		/* basicConstraints, critical: not a CA */
		0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x02, 0x30, 0x00,
		/* keyUsage, critical: digitalSignature */
		0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02,
		0x07, 0x80,
		/* extendedKeyUsage: serverAuth */
		0x30, 0x13, 0x06, 0x03, 0x55, 0x1d, 0x25, 0x04, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b,
		0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01
	};
	size_t end = o->at;

	names(o, s);
	key_id(o, pk);
	put(o, fixed, sizeof(fixed));
	wrap(o, SEQUENCE, end);
	wrap(o, CONTEXT_3, end);
}

static const unsigned char ecdsa_sha256[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02
};

/* TBSCertificate, from its end to its beginning. */
static void
tbs(struct out *o, const struct x509_self *s, const br_ec_public_key *pk)
{
	static const unsigned char spki[] = {
		0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
		0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00
	};
	static const unsigned char v3[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
	unsigned char serial[sizeof(s->serial)];
	size_t end;

	memcpy(serial, s->serial, sizeof(serial));
	serial[0] = (serial[0] & 0x3f) | 0x40;	/* positive, and of full length */
	extensions(o, s, pk);
	end = o->at;
	put(o, pk->q, pk->qlen);
	put(o, spki, sizeof(spki));
	wrap(o, SEQUENCE, end);
	subject(o, s->name[0]);
	end = o->at;
	date(o, s->until);
	date(o, s->from);
	wrap(o, SEQUENCE, end);
	subject(o, s->name[0]);
	put(o, ecdsa_sha256, sizeof(ecdsa_sha256));
	item(o, INTEGER, serial, sizeof(serial));
	put(o, v3, sizeof(v3));
	wrap(o, SEQUENCE, sizeof(o->b));
}

size_t
x509_self(unsigned char dst[X509_MAX], const struct x509_self *s)
{
	unsigned char hash[32], pub[BR_EC_KBUF_PUB_MAX_SIZE], sig[BR_EC_KBUF_PUB_MAX_SIZE + 1];
	br_ec_public_key pk;
	br_sha256_context sha;
	struct out o, t;
	size_t n;

	t.at = sizeof(t.b);
	o.at = sizeof(o.b);
	if (!s->nname || s->nname > X509_NAMES || s->key->curve != BR_EC_secp256r1 ||
	    br_ec_compute_pub(br_ec_get_default(), &pk, pub, s->key) != 65)
		return 0;
	tbs(&t, s, &pk);
	if (!t.at)
		return 0;
	br_sha256_init(&sha);
	br_sha256_update(&sha, t.b + t.at, sizeof(t.b) - t.at);
	br_sha256_out(&sha, hash);
	sig[0] = 0;		/* bits that are not used in the last octet of the BIT STRING */
	n = br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), &br_sha256_vtable, hash, s->key,
	    sig + 1);
	if (!n)
		return 0;
	item(&o, BITS, sig, n + 1);
	put(&o, ecdsa_sha256, sizeof(ecdsa_sha256));
	put(&o, t.b + t.at, sizeof(t.b) - t.at);
	wrap(&o, SEQUENCE, sizeof(o.b));
	if (!o.at)
		return 0;
	n = sizeof(o.b) - o.at;
	memcpy(dst, o.b + o.at, n);
	return n;
}

/* Big-endian, without leading zeros. */
static void
integer(struct out *o, const unsigned char *p, size_t n)
{
	size_t end = o->at;

	put(o, p, n);
	if (n && p[0] & 0x80)
		put(o, "", 1);	/* a zero octet: it is not negative */
	wrap(o, INTEGER, end);
}

size_t
x509_rsa(unsigned char dst[X509_MAX], const br_rsa_public_key *k)
{
	static const unsigned char rsa[] = {
		0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
		0x00
	};
	struct out o;
	size_t n;

	o.at = sizeof(o.b);
	integer(&o, k->e, k->elen);
	integer(&o, k->n, k->nlen);
	wrap(&o, SEQUENCE, sizeof(o.b));
	put(&o, "", 1);		/* no unused bits in the BIT STRING */
	wrap(&o, BITS, sizeof(o.b));
	put(&o, rsa, sizeof(rsa));
	wrap(&o, SEQUENCE, sizeof(o.b));
	n = o.at ? sizeof(o.b) - o.at : 0;
	memcpy(dst, o.b + o.at, n);
	return n;
}
