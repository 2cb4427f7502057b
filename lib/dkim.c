/* See LICENSE file for copyright and licence details. */
/*
 * DKIM signatures, RFC 6376 with RFC 8301.  The body is hashed while it passes by; the header is
 * kept as it came, for what is signed of it is known only when all of it is there.
 */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "dkim.h"
#include "idn.h"
#include "text.h"

enum {
	/* fields that are signed; a header with more of them is no mail's */
	PICKS = 32,
	COLUMN = 72,		/* lines of ours are folded here */
	RSA_MAX = 512,		/* octets of a signature */
	BASE64 = 4 * ((RSA_MAX + 2) / 3) + 1
};

struct field {
	struct canon_field f;
	const char *name;	/* as in signed_names[] */
};

struct out {
	char *p;
	size_t n, column;
	int full;
};

/* The domain of an address while it is being read. */
struct domain {
	char text[ADDR_DOMAIN + 1];
	size_t n;
	int at;			/* behind the @ */
	int gap;		/* there was white space */
	enum { BARE, INSIDE, BEHIND } angle;
	int bad;
};

/* RFC 6376 5.4.1, less what mailing lists change, and how the body is to be read. */
static const char *const signed_names[] = {
	"from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
	"reply-to", "mime-version", "content-type", "content-transfer-encoding", "content-id",
	"content-description", "content-disposition", "content-language"
};

/* ---- the header ---- */

/* Some of it, up to the blank line at most: how much was taken. */
static size_t
header(struct dkim_sign *d, const char *p, size_t n)
{
	const char *lf;
	size_t k;

	if (*p == '\n' && (!d->nheader || d->header[d->nheader - 1] == '\n')) {
		d->in_body = 1;
		return 1;
	}
	lf = memchr(p, '\n', n);
	k = lf ? (size_t)(lf - p) + 1 : n;
	if (k > sizeof(d->header) - d->nheader) {
		d->failed = 1;
		return n;
	}
	memcpy(d->header + d->nheader, p, k);
	d->nheader += k;
	return k;
}

/* The name in signed_names[] that p[0..n) is; NULL: another one. */
static const char *
known(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(signed_names) / sizeof(*signed_names); i++) {
		if (text_is(p, n, signed_names[i]))
			return signed_names[i];
	}
	return NULL;
}

/* The fields to be signed, in their order: how many, or -1: too many, or no header. */
static int
pick(const struct dkim_sign *d, struct field f[PICKS])
{
	const char *p = d->header, *end = d->header + d->nheader;
	struct field one;
	int n = 0, r;

	while ((r = canon_next(&one.f, &p, end)) > 0) {
		one.name = known(one.f.p, one.f.nname);
		if (!one.name)
			continue;
		if (n == PICKS)
			return -1;
		f[n++] = one;
	}
	return r < 0 || d->failed ? -1 : n;
}

/* ---- whose is it? ---- */

/* Behind the comment or quoted string that begins at p. */
static const char *
skip(const char *p, const char *end)
{
	int quote = *p++ == '"', depth = 1;

	for (; p < end && depth; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (quote)
			depth = *p != '"';
		else
			depth += (*p == '(') - (*p == ')');
	}
	return p;
}

/* An address is complete: one without a domain is none, another domain than those before is bad. */
static void
address(struct domain *d, char dst[ADDR_DOMAIN + 1])
{
	d->text[d->n] = '\0';
	if (d->n && *dst && strcmp(dst, d->text) != 0)
		d->bad = 1;
	else if (d->n)
		memcpy(dst, d->text, d->n + 1);
	d->n = 0;
	d->at = 0;
	d->angle = BARE;
}

/* An octet of a domain, which may have white space around its dots (RFC 5322 4.4). */
static void
append(struct domain *d, char ch)
{
	if (!d->at || d->angle == BEHIND)
		return;
	if (d->n == ADDR_DOMAIN || (d->gap && d->n && ch != '.' && d->text[d->n - 1] != '.'))
		d->bad = 1;
	else
		d->text[d->n++] = (char)text_lower((unsigned char)ch);
	d->gap = 0;
}

/* An octet outside of comments and quoted strings. */
static void
octet(struct domain *d, char ch, char dst[ADDR_DOMAIN + 1])
{
	switch (ch) {
	case ' ':
	case '\t':
	case '\n':
		d->gap = 1;
		return;
	case '>':
		d->angle = BEHIND;
		return;
	case ',':
	case ';':
		if (ch == ';' || d->angle != INSIDE) {
			address(d, dst);
			return;
		}
		break;		/* of a source route */
	case '<':
	case ':':		/* the end of a group's name or of a source route */
	case '@':
		if (d->angle == BEHIND)
			return;
		d->angle = ch == '<' ? INSIDE : d->angle;
		break;
	default:
		append(d, ch);
		return;
	}
	d->at = ch == '@';
	d->n = 0;
	d->gap = 0;
}

/* The one domain of the addresses in a From field, as the DNS has it: 0 or -1. */
static int
single(const struct field *f, char dst[ADDR_DOMAIN + 1])
{
	const char *p = f->f.p + f->f.value, *end = f->f.p + f->f.n;
	char found[ADDR_DOMAIN + 1] = "";
	struct domain d;

	memset(&d, 0, sizeof(d));
	while (p < end) {
		if (*p == '(' || *p == '"') {
			p = skip(p, end);
			d.gap = 1;
		} else {
			octet(&d, *p++, found);
		}
	}
	address(&d, found);
	if (d.bad || idn_ascii(dst, ADDR_DOMAIN + 1, found, strlen(found)) < 0)
		return -1;
	return addr_domain(dst, strlen(dst)) ? 0 : -1;
}

int
dkim_from(const struct dkim_sign *d, char *dst, size_t n)
{
	struct field f[PICKS], *from = NULL;
	char domain[ADDR_DOMAIN + 1];
	int i, picked;

	picked = pick(d, f);
	for (i = 0; i < picked; i++) {
		if (f[i].name != signed_names[0])
			continue;
		if (from)
			return -1;
		from = &f[i];
	}
	if (!from || single(from, domain) < 0)
		return -1;
	return text_copy(dst, n, domain, strlen(domain));
}

/* ---- the signature ---- */

static void
put(struct out *o, const char *p, size_t n)
{
	if (n >= DKIM_FIELD - o->n) {
		o->full = 1;
		return;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
	o->column += n;
}

static void
fold(struct out *o)
{
	put(o, "\n\t", 2);
	o->column = 1;
}

/* Something that stays in one piece; the space that it begins with is of no meaning. */
static void
piece(struct out *o, const char *s)
{
	size_t n = strlen(s);

	if (o->column + n > COLUMN) {
		fold(o);
		if (*s == ' ') {
			s++;
			n--;
		}
	}
	put(o, s, n);
}

static void
tag(struct out *o, const char *name, const char *value)
{
	char text[ADDR_DOMAIN + 8];

	if (snprintf(text, sizeof(text), " %s=%s;", name, value) >= (int)sizeof(text))
		o->full = 1;
	else
		piece(o, text);
}

/* From the last field to the first, for that is how verifiers look for them (5.4.2). */
static void
name_fields(struct out *o, const struct field *f, int n)
{
	char text[64];

	piece(o, " h=");
	while (n--) {
		(void)snprintf(text, sizeof(text), "%s:", f[n].name);
		piece(o, text);
	}
	piece(o, "from;");	/* one that is not there (8.15) */
}

/* The hash of the body. */
static void
body_hash(const struct dkim_sign *d, char dst[BASE64])
{
	unsigned char hash[br_sha256_SIZE];

	(void)canon_body_hash(&d->body, hash);
	(void)text_base64(dst, BASE64, hash, sizeof(hash));	/* there is room */
}

/* All but the value of b=, which the hash of the header is made of too. */
static void
write_tags(struct out *o, const struct dkim_sign *d, const struct field *f, int n,
    const char *domain, const char *selector, int64_t when)
{
	char text[BASE64];

	put(o, "DKIM-Signature:", 15);
	piece(o, " v=1; a=rsa-sha256; c=relaxed/relaxed;");
	tag(o, "d", domain);
	tag(o, "s", selector);
	(void)snprintf(text, sizeof(text), "%lld", (long long)when);
	tag(o, "t", text);
	name_fields(o, f, n);
	body_hash(d, text);
	tag(o, "bh", text);
	piece(o, " b=");
}

/* RFC 6376 3.7 */
static void
header_hash(const struct out *o, const struct field *f, int n, unsigned char hash[br_sha256_SIZE])
{
	const struct canon_field own = { o->p, o->n, 14, 15 };
	br_sha256_context c;

	br_sha256_init(&c);
	while (n--) {
		canon_field(&c, CANON_RELAXED, &f[n].f, 0, 0);
		br_sha256_update(&c, "\r\n", 2);
	}
	canon_field(&c, CANON_RELAXED, &own, 0, 0);
	br_sha256_out(&c, hash);
}

static int
write_signature(struct out *o, const unsigned char hash[br_sha256_SIZE],
    const br_rsa_private_key *key)
{
	unsigned char sig[RSA_MAX];
	char text[BASE64];
	size_t i, k, n;

	n = (key->n_bitlen + 7) / 8;
	if (n > sizeof(sig) || !br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash,
	    br_sha256_SIZE, key, sig))
		return -1;
	n = text_base64(text, sizeof(text), sig, n);
	for (i = 0; i < n; i += k) {
		if (o->column >= COLUMN)
			fold(o);
		k = COLUMN - o->column < n - i ? COLUMN - o->column : n - i;
		put(o, text + i, k);
	}
	put(o, "\n", 1);
	return o->full ? -1 : 0;
}

void
dkim_init(struct dkim_sign *d)
{
	d->in_body = d->failed = 0;
	d->nheader = 0;
	canon_body_init(&d->body, CANON_RELAXED);
}

void
dkim_feed(struct dkim_sign *d, const char *p, size_t n)
{
	size_t k;

	while (n && !d->in_body && !d->failed) {
		k = header(d, p, n);
		p += k;
		n -= k;
	}
	if (!d->failed)
		canon_body(&d->body, p, n);
}

long
dkim_finish(struct dkim_sign *d, char dst[DKIM_FIELD], const char *domain, const char *selector,
    const br_rsa_private_key *key, int64_t when)
{
	unsigned char hash[br_sha256_SIZE];
	struct out o = { dst, 0, 0, 0 };
	struct field f[PICKS];
	int i, n;

	n = pick(d, f);
	for (i = 0; i < n && f[i].name != signed_names[0]; i++)
		;
	if (i >= n)
		return -1;
	write_tags(&o, d, f, n, domain, selector, when);
	if (o.full)
		return -1;
	header_hash(&o, f, n, hash);
	if (write_signature(&o, hash, key) < 0)
		return -1;
	dst[o.n] = '\0';
	return (long)o.n;
}
