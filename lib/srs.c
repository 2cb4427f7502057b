/* See LICENSE file for copyright and licence details. */
/*
 * Sender rewriting for forwarded mail, as Meng Weng Wong and Shevek describe it:
 *
 *	SRS0=HASH=TT=domain=local	by the first forwarder, for local@domain
 *	SRS1=HASH=host=REST		by each further one; REST is what the first one, `host`,
 *					wrote behind "SRS0", from the separator on
 *
 * TT is the day modulo 1024. HASH covers all behind it. Both are base32 (RFC 4648), and everything
 * is hashed in lower case: local parts change their case on the way. Others may separate by "+" or
 * "-" behind SRS0 and SRS1. A bounce to an SRS1 address goes to the first forwarder straight away.
 */
#include <stdio.h>
#include <string.h>

#include <bearssl_hmac.h>

#include "srs.h"
#include "text.h"

enum {
	HASH = 5,		/* characters of 5 bits */
	STAMP = 2,
	DAYS = 1024,		/* as many as a stamp can tell apart */
	VALID = 21,		/* so many days a bounce may take */
	TAG = 4			/* "SRS0" */
};

/* Some piece of text in somebody else's memory. */
struct part {
	const char *p;
	size_t n;
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static int
digit(char ch)
{
	int i;

	for (i = 0; i < 32; i++)
		if (text_lower(alphabet[i]) == text_lower((unsigned char)ch))
			return i;
	return -1;
}

/* The hash of text[0..n), any case; kind keeps those of SRS0 and SRS1 apart. */
static void
hash(char out[HASH], const struct srs *s, char kind, const char *text, size_t n)
{
	unsigned char mac[32];
	br_hmac_key_context key;
	br_hmac_context h;
	uint64_t bits;
	size_t i;
	char low;

	br_hmac_key_init(&key, &br_sha256_vtable, s->secret, s->nsecret);
	br_hmac_init(&h, &key, 0);
	br_hmac_update(&h, &kind, 1);
	for (i = 0; i < n; i++) {
		low = (char)text_lower((unsigned char)text[i]);
		br_hmac_update(&h, &low, 1);
	}
	br_hmac_out(&h, mac);
	bits = (uint64_t)mac[0] << 24 | (uint64_t)mac[1] << 16 | (uint64_t)mac[2] << 8 | mac[3];
	for (i = 0; i < HASH; i++)
		out[i] = alphabet[bits >> (27 - 5 * i) & 31];
}

static int
genuine(const struct srs *s, char kind, const char *said, const char *text, size_t n)
{
	unsigned char differ = 0;
	char want[HASH];
	size_t i;

	hash(want, s, kind, text, n);
	for (i = 0; i < HASH; i++)
		differ |= (unsigned char)(text_lower((unsigned char)said[i]) ^ text_lower(want[i]));
	return !differ;
}

/* ---- taking apart ---- */

static int
is_tag(const char *p, size_t n, const char *tag)
{
	return n > TAG && text_begins(p, n, tag) && memchr("=+-", p[TAG], 3);
}

int
srs_is(const char *local, size_t n)
{
	return is_tag(local, n, "SRS0") || is_tag(local, n, "SRS1");
}

/* Cut off what stands before the next '=' of *rest: 0, or -1 if there is none, or nothing. */
static int
cut(struct part *before, struct part *rest)
{
	const char *eq = memchr(rest->p, '=', rest->n);

	if (!eq || eq == rest->p)
		return -1;
	before->p = rest->p;
	before->n = (size_t)(eq - rest->p);
	rest->n -= before->n + 1;
	rest->p = eq + 1;
	return 0;
}

/* Only what needs no quotes may go into a local part or come out of it; UTF-8 may. */
static int
plain(const struct part *s, int domain)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (text_alnum((unsigned char)s->p[i]) || (unsigned char)s->p[i] >= 0x80)
			continue;
		if (!s->p[i] || !strchr(domain ? "-." : "!#$%&'*+-/=?^_`{|}~.", s->p[i]))
			return 0;
	}
	return s->n > 0;
}

/* HASH=host=REST of an SRS1 local part, of ours or others: 0 or -1. */
static int
take_srs1(struct part *said, struct part *first, struct part *rest, const struct part *local)
{
	rest->p = local->p + TAG + 1;
	rest->n = local->n - TAG - 1;
	if (cut(said, rest) < 0 || cut(first, rest) < 0 || rest->n < 2 ||
	    !memchr("=+-", *rest->p, 3))
		return -1;
	return plain(first, 1) ? 0 : -1;
}

/* ---- there ---- */

/* The address with the hash of what stands behind it: 0, or -1 if it is too long. */
static int
put(const struct srs *s, char dst[ADDR_TEXT + 1], char kind, const char *text, size_t n)
{
	char h[HASH];
	int k;

	if (TAG + 1 + HASH + 1 + n > ADDR_LOCAL || strlen(s->domain) > ADDR_DOMAIN)
		return -1;
	hash(h, s, kind, text, n);
	k = snprintf(dst, ADDR_TEXT + 1, "SRS%c=%.*s=%.*s@%s", kind, (int)HASH, h, (int)n, text,
	    s->domain);
	return k > 0 && k <= ADDR_TEXT ? 0 : -1;
}

int
srs_forward(const struct srs *s, char dst[ADDR_TEXT + 1], const char *sender, int64_t day)
{
	const char *at = strrchr(sender, '@');
	struct part local, domain, said, first, rest;
	unsigned stamp = (unsigned)(day & (DAYS - 1));
	char text[ADDR_LOCAL + 1];
	int n;

	dst[0] = '\0';
	if (!at)
		return -1;
	local.p = sender;
	local.n = (size_t)(at - sender);
	domain.p = at + 1;
	domain.n = strlen(at + 1);
	if (!plain(&local, 0) || !plain(&domain, 1) || local.n > ADDR_LOCAL ||
	    domain.n > ADDR_DOMAIN)
		return -1;
	if (is_tag(local.p, local.n, "SRS1") && take_srs1(&said, &first, &rest, &local) == 0)
		domain = first;
	else if (is_tag(local.p, local.n, "SRS0") && local.n > TAG + 1)
		rest = (struct part){ local.p + TAG, local.n - TAG };
	else
		rest = (struct part){ NULL, 0 };
	if (rest.p)
		n = snprintf(text, sizeof(text), "%.*s=%.*s", (int)domain.n, domain.p,
		    (int)rest.n, rest.p);
	else
		n = snprintf(text, sizeof(text), "%c%c=%.*s=%.*s", alphabet[stamp >> 5],
		    alphabet[stamp & 31], (int)domain.n, domain.p, (int)local.n, local.p);
	if (n < 0 || n >= (int)sizeof(text))
		return -1;
	return put(s, dst, rest.p ? '1' : '0', text, (size_t)n);
}

/* ---- and back ---- */

static int
fresh(const struct part *stamp, int64_t day)
{
	int hi, lo;

	if (stamp->n != STAMP)
		return 0;
	hi = digit(stamp->p[0]);
	lo = digit(stamp->p[1]);
	return hi >= 0 && lo >= 0 && ((day - hi * 32 - lo) & (DAYS - 1)) <= VALID;
}

static int
join(char dst[ADDR_TEXT + 1], const char *tag, const struct part *local, const struct part *domain)
{
	if (strlen(tag) + local->n > ADDR_LOCAL || domain->n > ADDR_DOMAIN)
		return -1;
	(void)snprintf(dst, ADDR_TEXT + 1, "%s%.*s@%.*s", tag, (int)local->n, local->p,
	    (int)domain->n, domain->p);
	return 0;
}

int
srs_reverse(const struct srs *s, char dst[ADDR_TEXT + 1], const char *local, size_t n, int64_t day)
{
	struct part all = { local, n }, said, domain, rest, stamp;
	char kind;

	dst[0] = '\0';
	if (!srs_is(local, n) || n > ADDR_LOCAL || !plain(&all, 0))
		return -1;
	kind = local[TAG - 1];
	rest.p = local + TAG + 1;
	rest.n = n - TAG - 1;
	if (cut(&said, &rest) < 0 || said.n != HASH || !genuine(s, kind, said.p, rest.p, rest.n))
		return -1;
	if (kind == '1') {
		if (take_srs1(&said, &domain, &rest, &all) < 0)
			return -1;
		return join(dst, "SRS0", &rest, &domain);
	}
	if (cut(&stamp, &rest) < 0 || !fresh(&stamp, day) || cut(&domain, &rest) < 0 ||
	    !plain(&domain, 1) || !rest.n)
		return -1;
	return join(dst, "", &rest, &domain);
}
