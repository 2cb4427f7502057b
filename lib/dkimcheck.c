/* See LICENSE file for copyright and licence details. */
/*
 * Verifying DKIM signatures, RFC 6376.  The header of a message comes at once: its fields are put
 * into order by name, the signatures are read, and what each has signed of the header is hashed;
 * the body passes by.  Then the keys are asked for.  Whatever a message or a key says, the work is
 * bounded: signatures, fields, names in h=, and what the keys cost.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bearssl_rsa.h>

#include "dkimcheck.h"
#include "idn.h"
#include "text.h"
#include "x509.h"

enum {
	FIELDS = 1024,		/* of a header; one with more is no mail's */
	HEADER = 1 << 17,	/* its octets: each signature may have signed all of them */
	NAME = 998,		/* octets of a field's name: a line, RFC 5322 2.1.1 */
	NAMES = 128,		/* in h= */
	TAGS = 32,		/* of a signature or key */
	KEY = 600,		/* octets of a key: one of 4096 bits has 550 */
	BASE64 = 4 * ((KEY + 2) / 3),
	BITS_MIN = 1024,	/* RFC 8301 3.2 */
	BITS_MAX = 4096,	/* BearSSL takes no more */
	EXPONENT = 4,		/* octets: larger ones take too long */
	/* what the keys of a message may cost, one of 1024 bits being 1: some milliseconds */
	WORK = 32,
	SKEW = 300		/* seconds that clocks may differ */
};

struct span {
	const char *p;
	size_t n;
};

struct tag {
	struct span name, value;
	const char *from, *to;	/* the value with the white space around it */
};

/* A tag-list, RFC 6376 3.2. */
struct tags {
	struct tag tag[TAGS];
	int n;
};

/* The header that is being looked at. */
static struct {
	const char *p, *end;
	struct {
		uint32_t at;
		uint16_t nname;
		uint16_t taken;		/* of the last of a name: how many of them are signed */
	} field[FIELDS];
	uint16_t order[FIELDS];		/* by name, those of one name as they came */
	int n, over;
} header;

static int
is_white(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n';
}

static struct span
trim(const char *p, const char *end)
{
	struct span s;

	while (p < end && is_white(*p))
		p++;
	while (p < end && is_white(end[-1]))
		end--;
	s.p = p;
	s.n = (size_t)(end - p);
	return s;
}

static int
is(struct span s, const char *word)
{
	return text_is(s.p, s.n, word);
}

/* Take the first of a list with colons: 1; 0: there is none any more. */
static int
item(struct span *list, struct span *one)
{
	const char *end, *colon;

	if (!list->p)
		return 0;
	end = list->p + list->n;
	colon = memchr(list->p, ':', list->n);
	*one = trim(list->p, colon ? colon : end);
	list->p = colon ? colon + 1 : NULL;
	list->n = colon ? (size_t)(end - list->p) : 0;
	return 1;
}

static int
has(struct span list, const char *word)
{
	struct span one;

	while (item(&list, &one)) {
		if (is(one, word))
			return 1;
	}
	return 0;
}

/* ---- tag-lists, RFC 6376 3.2 ---- */

static int
is_name(struct span s)
{
	size_t i;

	for (i = 0; i < s.n && (text_alnum((unsigned char)s.p[i]) || (i && s.p[i] == '_')); i++)
		;
	return i && i == s.n && (*s.p < '0' || *s.p > '9');
}

/* Beyond ASCII: RFC 8616 5. */
static int
is_value(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] < 33 && !is_white(s.p[i])) || s.p[i] == 127)
			return 0;
	}
	return 1;
}

static const struct tag *
find(const struct tags *t, const char *name, size_t n)
{
	int i;

	for (i = 0; i < t->n; i++) {
		if (t->tag[i].name.n == n && memcmp(t->tag[i].name.p, name, n) == 0)
			return &t->tag[i];
	}
	return NULL;
}

/* One of them, that p[0..end) is. */
static int
add_tag(struct tags *t, const char *p, const char *end)
{
	struct tag *g = &t->tag[t->n];
	const char *eq = memchr(p, '=', (size_t)(end - p));

	if (!eq || t->n == TAGS)
		return -1;
	g->name = trim(p, eq);
	g->value = trim(eq + 1, end);
	g->from = eq + 1;
	g->to = end;
	if (!is_name(g->name) || !is_value(g->value) || find(t, g->name.p, g->name.n))
		return -1;
	t->n++;
	return 0;
}

static int
read_tags(struct tags *t, const char *p, size_t n)
{
	const char *end = p + n, *semi;

	for (t->n = 0; ; p = semi + 1) {
		semi = memchr(p, ';', (size_t)(end - p));
		if (!semi && t->n && !trim(p, end).n)
			return 0;
		if (add_tag(t, p, semi ? semi : end) < 0)
			return -1;
		if (!semi)
			return 0;
	}
}

/* The value of a tag; p is NULL if there is none. */
static struct span
value(const struct tags *t, const char *name)
{
	static const struct span none;
	const struct tag *g = find(t, name, strlen(name));

	return g ? g->value : none;
}

/* Digits: 0 or -1. What does not fit is endless. */
static int
number(struct span s, uint64_t *v)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
	}
	if (text_u64(s.p, s.n, v) < 0)
		*v = UINT64_MAX;
	return s.n ? 0 : -1;
}

/* base64 with white space in it, and maybe without padding: how many octets, of which at most
 * `size` are in dst, or -1. */
static long
unbase64(unsigned char *dst, size_t size, struct span s)
{
	char text[BASE64 + 4];
	size_t i, n = 0;
	long k;

	for (i = 0; i < s.n; i++) {
		if (is_white(s.p[i]))
			continue;
		if (n == BASE64)
			return KEY + 1;
		text[n++] = s.p[i];
	}
	while (n % 4)
		text[n++] = '=';
	k = text_unbase64(text, sizeof(text), text, n);
	if (k > 0)
		memcpy(dst, text, (size_t)k < size ? (size_t)k : size);
	return k;
}

/* ---- the fields of the header ---- */

/* Names in their order: the short ones first. */
static int
compare(const char *a, size_t na, const char *b, size_t nb)
{
	size_t i;
	int d = (na > nb) - (na < nb);

	for (i = 0; i < na && !d; i++)
		d = text_lower((unsigned char)a[i]) - text_lower((unsigned char)b[i]);
	return d;
}

/* How many fields in order are of this name or one before it. */
static int
up_to(const char *name, size_t n)
{
	int lo = 0, hi = header.n, mid, f;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		f = header.order[mid];
		if (compare(header.p + header.field[f].at, header.field[f].nname, name, n) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
add_field(const struct canon_field *f)
{
	int at;

	if (f->nname > NAME)
		return;		/* no h= has it */
	if (header.n == FIELDS) {
		header.over = 1;
		return;
	}
	at = up_to(f->p, f->nname);
	memmove(header.order + at + 1, header.order + at,
	    (size_t)(header.n - at) * sizeof(*header.order));
	header.order[at] = (uint16_t)header.n;
	header.field[header.n].at = (uint32_t)(f->p - header.p);
	header.field[header.n].nname = (uint16_t)f->nname;
	header.n++;
}

/* The last field of a name that is not taken yet (RFC 6376 5.4.2) and not the signature itself. */
static int
take(struct canon_field *f, struct span name, const char *own)
{
	int last = up_to(name.p, name.n) - 1, i, k;
	const char *p;

	if (last < 0)
		return 0;
	k = header.order[last];
	while (last >= header.field[k].taken) {
		i = header.order[last - header.field[k].taken];
		p = header.p + header.field[i].at;
		if (compare(p, header.field[i].nname, name.p, name.n) != 0)
			return 0;
		header.field[k].taken++;
		if (p != own)
			return canon_next(f, &p, header.end);
	}
	return 0;
}

/* Hash what h= names: NULL, or what is wrong with it. */
static const char *
hash_names(br_sha256_context *c, int how, struct span list, const char *own)
{
	struct canon_field f;
	struct span one;
	int i, n = 0, from = 0;

	for (i = 0; i < header.n; i++)
		header.field[i].taken = 0;
	while (item(&list, &one)) {
		if (!one.n)
			return "malformed h=";
		if (n++ == NAMES)
			return "too many names in h=";
		from |= is(one, "from");
		if (take(&f, one, own)) {
			canon_field(c, how, &f, 0, 0);
			br_sha256_update(c, "\r\n", 2);
		}
	}
	return from ? NULL : "From is not signed";
}

/* ---- the tags of a signature, RFC 6376 3.5 and 6.1.1 ---- */

static void
verdict(struct dkim_signature *s, enum dkim_result r, const char *why)
{
	s->result = r;
	s->reason = why;
	s->open = 0;
}

/* A name as the DNS has it; with dots of its own only. */
static int
domain(char dst[ADDR_DOMAIN + 1], struct span s)
{
	if (s.p && idn_ascii(dst, ADDR_DOMAIN + 1, s.p, s.n) == 0 &&
	    addr_domain(dst, strlen(dst)) && strchr(dst, '.'))
		return 0;
	dst[0] = '\0';
	return -1;
}

/* More than the grammar has: there are selectors with an underscore. */
static int
selector(char dst[DKIM_SELECTOR + 1], struct span s)
{
	size_t i = 0;

	if (s.n && idn_ascii(dst, DKIM_SELECTOR + 1, s.p, s.n) == 0)
		for (; text_alnum((unsigned char)dst[i]) || (dst[i] && strchr("-_.", dst[i])); i++)
			;
	if (i && !dst[i] && dst[0] != '.' && dst[i - 1] != '.' && !strstr(dst, ".."))
		return 0;
	dst[0] = '\0';
	return -1;
}

/* header.b, RFC 6008 3. */
static void
first_of_b(struct dkim_signature *s, struct span b)
{
	size_t i, n = 0;

	for (i = 0; i < b.n && n < sizeof(s->b) - 1; i++) {
		if (text_alnum((unsigned char)b.p[i]) || b.p[i] == '+' || b.p[i] == '/')
			s->b[n++] = b.p[i];
		else if (!is_white(b.p[i]))
			break;
	}
	s->b[n] = '\0';
}

/* i=: within d=? */
static int
identity(struct dkim_signature *s, struct span i)
{
	char name[ADDR_DOMAIN + 1];
	const char *end, *at;
	size_t n, nd;

	if (!i.p)
		return 0;
	at = end = i.p + i.n;
	while (at > i.p && at[-1] != '@')
		at--;
	i.n = (size_t)(end - at);
	if (at == i.p)
		return -1;
	i.p = at;
	if (domain(name, i) < 0)
		return -1;
	n = strlen(name);
	nd = strlen(s->domain);
	s->inner = n != nd;
	return n < nd || strcmp(name + n - nd, s->domain) != 0 ||
	    (n > nd && name[n - nd - 1] != '.') ? -1 : 0;
}

/* c=: how header (bit 0) and body (bit 1) are made canonical; -1. */
static int
canonical(struct span c)
{
	static const char *const names[] = {
		"simple/simple", "relaxed/simple", "simple/relaxed", "relaxed/relaxed",
		"simple", "relaxed"
	};
	int i;

	if (!c.p)
		return 0;
	for (i = 0; i < 6; i++) {
		if (is(c, names[i]))
			return i & 3;
	}
	return -1;
}

/* The times are known and we believe in them: 0; -1: they are malformed; 1: a verdict is given. */
static int
times(struct dkim_signature *s, const struct tags *g, int64_t wall)
{
	struct span t = value(g, "t"), x = value(g, "x");
	uint64_t from = 0, until = UINT64_MAX, now = wall > 0 ? (uint64_t)wall : 0;

	if ((t.p && number(t, &from) < 0) || (x.p && number(x, &until) < 0) ||
	    (t.p && x.p && until <= from))
		return -1;
	if (until < now)
		verdict(s, DKIM_POLICY, "the signature has expired");
	else if (from > now + SKEW)
		verdict(s, DKIM_POLICY, "signed in the future");
	return !s->open;
}

/* What must be, and how it must be: NULL, or what is wrong. */
static const char *
syntax(struct dkim_signature *s, const struct tags *g)
{
	static const char *const needed[] = { "v", "a", "b", "bh", "d", "h", "s" };
	struct span l = value(g, "l"), q = value(g, "q");
	size_t i;

	for (i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (!value(g, needed[i]).p)
			return "a tag is missing";
	}
	s->limited = l.p != NULL;
	return !is(value(g, "v"), "1") ? "not version 1" :
	    !s->domain[0] ? "malformed d=" :
	    !s->selector[0] ? "malformed s=" :
	    identity(s, value(g, "i")) < 0 ? "i= is not within d=" :
	    canonical(value(g, "c")) < 0 ? "malformed c=" :
	    q.p && !has(q, "dns/txt") ? "the key is not in the DNS" :
	    l.p && number(l, &s->length) < 0 ? "malformed l=" : NULL;
}

/* b= and bh=. */
static int
binaries(struct dkim_signature *s, const struct tags *g)
{
	long n = unbase64(s->sig, sizeof(s->sig), value(g, "b"));

	if (n <= 0 || unbase64(s->body, sizeof(s->body), value(g, "bh")) != sizeof(s->body))
		return -1;
	if (n > (long)sizeof(s->sig))
		verdict(s, DKIM_POLICY, "the key is too long");
	s->nsig = (uint16_t)n;
	return 0;
}

/* a= */
static void
algorithm(struct dkim_signature *s, struct span a)
{
	if (is(a, "ed25519-sha256"))
		verdict(s, DKIM_NEUTRAL, "Ed25519 is not supported");
	else if (is(a, "rsa-sha1"))
		verdict(s, DKIM_PERMERROR, "rsa-sha1 is not believed");	/* RFC 8301 3.1 */
	else if (!is(a, "rsa-sha256"))
		verdict(s, DKIM_NEUTRAL, "an algorithm that is not known");
}

/* A signature, the field f. */
static void
read_signature(struct dkim_signature *s, const struct canon_field *f, int64_t wall)
{
	const struct tag *b;
	br_sha256_context c;
	const char *why;
	struct tags g;
	int how;

	verdict(s, DKIM_PERMERROR, "malformed tags");
	if (read_tags(&g, f->p + f->value, f->n - f->value) < 0)
		return;
	(void)domain(s->domain, value(&g, "d"));
	(void)selector(s->selector, value(&g, "s"));
	first_of_b(s, value(&g, "b"));
	br_sha256_init(&c);
	how = canonical(value(&g, "c"));
	why = syntax(s, &g);
	if (!why && header.over)
		why = "the header is too long";
	if (!why)
		why = hash_names(&c, how & 1, value(&g, "h"), f->p);
	s->reason = why;
	if (why)
		return;
	verdict(s, DKIM_TEMPERROR, "the key has not come");
	s->open = 1;
	algorithm(s, value(&g, "a"));
	if (!s->open)
		return;
	if (times(s, &g, wall) < 0)
		verdict(s, DKIM_PERMERROR, "malformed t= or x=");
	else if (binaries(s, &g) < 0)
		verdict(s, DKIM_PERMERROR, "malformed b= or bh=");
	b = find(&g, "b", 1);
	canon_field(&c, how & 1, f, (size_t)(b->from - f->p), (size_t)(b->to - f->p));
	br_sha256_out(&c, s->header);
	s->how = (unsigned char)(how >> 1);
}

static int
is_signature(const struct canon_field *f)
{
	return text_is(f->p, f->nname, "DKIM-Signature");
}

/* All fields: how many signatures there are. */
static int
read_fields(const char *p, size_t n)
{
	struct canon_field f;
	int r, signatures = 0;

	header.p = p;
	header.end = p + n;
	header.n = 0;
	header.over = n > HEADER;
	while ((r = canon_next(&f, &p, header.end)) != 0) {
		if (r < 0)
			continue;
		add_field(&f);
		signatures += is_signature(&f);
	}
	return signatures;
}

void
dkimcheck_header(struct dkimcheck *d, const char *p, size_t n, int64_t wall)
{
	struct dkim_signature *s = d->sig;
	struct canon_field f;

	d->wanted = d->waiting = d->work = 0;
	d->more = read_fields(p, n);
	d->n = d->more < DKIM_CHECKED ? d->more : DKIM_CHECKED;
	d->more -= d->n;
	while (s < d->sig + d->n) {
		if (canon_next(&f, &p, header.end) < 0 || !is_signature(&f))
			continue;
		memset(s, 0, sizeof(*s));
		s->key.slot = -1;
		read_signature(s, &f, wall);
		if (s->open)
			d->wanted |= 1 << s->how;
		s++;
	}
	canon_body_init(&d->body[CANON_SIMPLE], CANON_SIMPLE);
	canon_body_init(&d->body[CANON_RELAXED], CANON_RELAXED);
}

void
dkimcheck_body(struct dkimcheck *d, const char *p, size_t n)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (d->wanted >> i & 1)
			canon_body(&d->body[i], p, n);
	}
}

/* ---- keys, RFC 6376 3.6.1 and 6.1.2 ---- */

/* Does the signature verify with the key in p=? */
static void
verify(struct dkimcheck *d, struct dkim_signature *s, struct span p)
{
	unsigned char der[KEY], hash[br_sha256_SIZE];
	long n = unbase64(der, sizeof(der), p);
	struct x509_info i;
	br_rsa_public_key pk;
	size_t bits;
	unsigned top;

	if (n > KEY) {
		verdict(s, DKIM_POLICY, "the key is too long");
		return;
	}
	if (n < 0 || x509_rsa_key(&i, der, (size_t)n) < 0 || !i.npub || !i.nexp) {
		verdict(s, DKIM_PERMERROR, "malformed key");
		return;
	}
	pk.n = der + (i.pub - der);
	pk.nlen = i.npub;
	pk.e = der + (i.exp - der);
	pk.elen = i.nexp;
	bits = 8 * (i.npub - 1);
	for (top = pk.n[0]; top; top >>= 1)
		bits++;
	n = (long)(bits + 1023) / 1024;
	d->work += (int)(n * n);
	if (bits < BITS_MIN)
		verdict(s, DKIM_POLICY, "the key is too short");
	else if (bits > BITS_MAX)
		verdict(s, DKIM_POLICY, "the key is too long");
	else if (i.nexp > EXPONENT || (i.nexp == 1 && i.exp[0] < 3))
		verdict(s, DKIM_PERMERROR, "malformed key");
	else if (d->work > WORK)
		verdict(s, DKIM_POLICY, "too many long keys");
	else if (br_rsa_pkcs1_vrfy_get_default()(s->sig, s->nsig, BR_HASH_OID_SHA256,
	    sizeof(hash), &pk, hash) && memcmp(hash, s->header, sizeof(hash)) == 0)
		verdict(s, DKIM_PASS, "");
	else
		verdict(s, DKIM_FAIL, "the header or the key is another");
}

/* A TXT record. One that is no key says nothing. */
static void
try_key(struct dkimcheck *d, struct dkim_signature *s, const char *text, size_t n)
{
	struct span v, h, k, p, use, flags;
	struct tags g;

	if (read_tags(&g, text, n) < 0)
		return;
	v = value(&g, "v");
	h = value(&g, "h");
	k = value(&g, "k");
	p = value(&g, "p");
	use = value(&g, "s");
	flags = value(&g, "t");
	if (!p.p || (v.p && (v.n != 5 || memcmp(v.p, "DKIM1", 5) != 0 || v.p != g.tag[0].value.p)))
		return;
	if (has(flags, "y"))
		verdict(s, DKIM_NONE, "the key is for tests");
	else if (!p.n)
		verdict(s, DKIM_PERMERROR, "the key is revoked");
	else if (k.p && !is(k, "rsa"))
		verdict(s, DKIM_PERMERROR, "the key is of another kind");
	else if (h.p && !has(h, "sha256"))
		verdict(s, DKIM_PERMERROR, "the key is for other hashes");
	else if (use.p && !has(use, "*") && !has(use, "email"))
		verdict(s, DKIM_PERMERROR, "the key is not for mail");
	else if (s->inner && has(flags, "s"))
		verdict(s, DKIM_PERMERROR, "the key is not for subdomains");
	else if (!s->intact)
		verdict(s, DKIM_FAIL, "the body has changed");
	else
		verify(d, s, p);
}

static void
answered(struct dns_query *q, const struct dns_answer *a)
{
	struct dkimcheck *d = q->arg;
	struct dkim_signature *s = d->sig;
	int i;

	while (&s->key != q)
		s++;
	if (a->status == DNS_NODATA || a->status == DNS_NXDOMAIN)
		verdict(s, DKIM_PERMERROR, "no key");
	else if (a->status != DNS_OK)
		verdict(s, DKIM_TEMPERROR, "no answer from the DNS");
	else
		verdict(s, DKIM_PERMERROR, "malformed key record");
	/* of several, RFC 6376 6.1.2, each is tried */
	for (i = 0; i < a->n && s->result != DKIM_PASS; i++)
		try_key(d, s, a->rr[i].text, a->rr[i].n);
	if (!--d->waiting)
		d->done(d);
}

static void
ask(struct dkimcheck *d, struct dkim_signature *s)
{
	char name[sizeof(s->domain) + sizeof(s->selector) + 16];

	(void)snprintf(name, sizeof(name), "%s._domainkey.%s", s->selector, s->domain);
	s->key.done = answered;
	s->key.arg = d;
	if (dns_ask(&s->key, name, DNS_TXTS) == 0) {
		s->open = 2;
		d->waiting++;
	} else if (errno == EINVAL) {
		verdict(s, DKIM_PERMERROR, "no key");
	} else {
		verdict(s, DKIM_TEMPERROR, "too many questions to the DNS");
	}
}

int
dkimcheck_finish(struct dkimcheck *d)
{
	unsigned char hash[2][br_sha256_SIZE];
	struct dkim_signature *s = d->sig;
	uint64_t n[2];
	int i;

	for (i = 0; i < 2; i++)
		n[i] = canon_body_hash(&d->body[i], hash[i]);
	for (; s < d->sig + d->n; s++) {
		if (s->open != 1)
			continue;
		s->intact = memcmp(hash[s->how], s->body, br_sha256_SIZE) == 0;
		if (s->limited && s->length > n[s->how])
			verdict(s, DKIM_FAIL, "the body is shorter than l=");
		else if (s->limited && s->length < n[s->how])
			verdict(s, DKIM_POLICY, "l= leaves text out");
		else
			ask(d, s);
	}
	return d->waiting > 0;
}

void
dkimcheck_cancel(struct dkimcheck *d)
{
	int i;

	for (i = 0; i < d->n && d->waiting; i++) {
		if (d->sig[i].open == 2)
			dns_cancel(&d->sig[i].key);
		d->sig[i].open = 0;
	}
	d->waiting = 0;
}

const char *
dkim_word(enum dkim_result r)
{
	static const char *const words[] = {
		"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"
	};

	return words[r];
}
