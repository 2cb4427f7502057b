/* See LICENSE file for copyright and licence details. */
/*
 * Terms of SPF policies (RFC 7208 4.6.1, 12) and the macros in them (7). A policy is an enemy's: an
 * octet that the grammar does not have makes a term none, and expanding a macro that makes much out
 * of little keeps what is of use of it. No network and no state.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "loop.h"
#include "spfterm.h"
#include "text.h"

enum {
	NAME = 253,		/* octets of a name as text */
	MACROS = 16		/* in one: with more it is taken for none, to bound the time */
};

/* What a term takes; a modifier is one with "=". */
enum { SPEC = 1, MUST = 2, CIDR = 4, NET = 8, MODIFIER = 16 };

static const struct {
	char name[9];
	unsigned char takes;
} kinds[] = {
	[SPF_ALL] = { "all", 0 },
	[SPF_INCLUDE] = { "include", SPEC | MUST },
	[SPF_A] = { "a", SPEC | CIDR },
	[SPF_MX] = { "mx", SPEC | CIDR },
	[SPF_PTR] = { "ptr", SPEC },
	[SPF_IP4] = { "ip4", NET | MUST },
	[SPF_IP6] = { "ip6", NET | MUST },
	[SPF_EXISTS] = { "exists", SPEC | MUST },
	[SPF_REDIRECT] = { "redirect", MODIFIER | SPEC | MUST },
	[SPF_EXP] = { "exp", MODIFIER | SPEC | MUST }
};

/* A macro as it is written. */
struct macro {
	int letter;			/* lower case; or the second octet of "%%", "%_", "%-" */
	int url;
	size_t parts;			/* how many count, from the right; 0: all */
	int reverse;
	const char *delims;
	size_t ndelims;
};

/* What macros expand to: the first octets of it, or the last. */
struct out {
	size_t n;
	int tail, full;
	char b[1024];
};

const char spf_signs[] = " ?+-~";

static const char letters[] = "slodipvh", all_letters[] = "pslodivhcrt";

/* ---- macros, RFC 7208 7 ---- */

/* The macro at p: how many octets it has, or -1: it is none. */
static long
macro_at(struct macro *m, const char *p, size_t n)
{
	const char *s = p + 2, *e = p + n;
	int digits = 0;

	memset(m, 0, sizeof(*m));
	if (n < 2 || !memchr("{%_-", p[1], 4))
		return -1;
	m->letter = (unsigned char)p[1];
	if (p[1] != '{')
		return 2;
	if (s == e)
		return -1;
	m->letter = text_lower((unsigned char)*s);
	m->url = m->letter != (unsigned char)*s;
	for (s++; s < e && *s >= '0' && *s <= '9'; s++, digits = 1)
		m->parts = m->parts < SPF_TEXT ? 10 * m->parts + (size_t)(*s - '0') : m->parts;
	if (digits && !m->parts)
		return -1;
	m->reverse = s < e && text_lower((unsigned char)*s) == 'r';
	s += m->reverse;
	m->delims = s;
	while (s < e && memchr(".-+,/_=", *s, 7))
		s++;
	m->ndelims = (size_t)(s - m->delims);
	if (!m->ndelims) {
		m->delims = ".";
		m->ndelims = 1;
	}
	return s < e && *s == '}' ? s + 1 - p : -1;
}

/* Is it a macro-string, with macros of these letters? *literal: what follows the last macro. */
static int
macro_string(const char *p, size_t n, const char *allowed, size_t *literal)
{
	struct macro m;
	long len;
	size_t i;

	*literal = 0;
	for (i = 0; i < n; i += (size_t)len) {
		len = 1;
		if (p[i] != '%')
			continue;
		len = macro_at(&m, p + i, n - i);
		if (len < 0 || (len > 2 && (!m.letter || !strchr(allowed, m.letter))))
			return 0;
		*literal = i + (size_t)len;
	}
	return 1;
}

int
spf_is_explanation(const char *p, size_t n)
{
	size_t i, literal;

	for (i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] > '~')
			return 0;
	return macro_string(p, n, all_letters, &literal);
}

int
spf_wants_p(const char *p, size_t n)
{
	size_t literal;

	return !macro_string(p, n, all_letters + 1, &literal);
}

static void
put(struct out *o, int ch)
{
	if (o->n == sizeof(o->b)) {
		o->full = 1;
		if (!o->tail)
			return;
		memmove(o->b, o->b + o->n - DNS_NAME, DNS_NAME);
		o->n = DNS_NAME;
	}
	o->b[o->n++] = (char)ch;
}

static void
put_url(struct out *o, int ch)
{
	static const char hex[] = "0123456789ABCDEF";

	if (text_alnum(ch) || (ch && strchr("-._~", ch))) {
		put(o, ch);
		return;
	}
	put(o, '%');
	put(o, hex[ch >> 4]);
	put(o, hex[ch & 15]);
}

/* An address for the macro i: an IPv6 one as 32 digits with dots between. */
static void
dotted(char *dst, const struct ip *a)
{
	static const char hex[] = "0123456789ABCDEF";
	int i;

	for (i = 0; i < 32; i++) {
		*dst++ = hex[a->a[i / 2] >> (i % 2 ? 0 : 4) & 15];
		*dst++ = i < 31 ? '.' : '\0';
	}
}

const char *
spf_domain(const struct spf *s)
{
	return s->text + s->level[s->depth].domain;
}

/* What a letter stands for; buf may be used for it. */
static const char *
value(const struct spf *s, int letter, char buf[64])
{
	switch (letter) {
	case 's':
	case 'l':
		return s->sender;
	case 'o':
		return s->sender + s->at + 1;
	case 'd':
		return spf_domain(s);
	case 'p':
		return s->p;
	case 'v':
		return ip_is4(&s->peer) ? "in-addr" : "ip6";
	case 'h':
		return s->helo;
	case 'r':
		return s->receiver;
	case 't':
		(void)snprintf(buf, 64, "%lld", (long long)loop_wall);
		return buf;
	default:		/* i, c */
		if (letter == 'i' && !ip_is4(&s->peer))
			dotted(buf, &s->peer);
		else
			(void)ip_text(buf, &s->peer);
		return buf;
	}
}

/* Write the parts of v[0..n) that count; those that are left out are at its left in the end. */
static void
put_parts(struct out *o, const struct macro *m, const char *v, size_t n)
{
	void (*one)(struct out *o, int ch) = m->url ? put_url : put;
	size_t i, len, seen = 0;

	for (i = 0; m->parts && i < n && seen < m->parts; i++) {
		len = m->reverse ? i : n - 1 - i;
		if (memchr(m->delims, v[len], m->ndelims) && ++seen == m->parts) {
			v += m->reverse ? 0 : len + 1;
			n = i;
		}
	}
	while (m->reverse) {
		for (i = n; i && !memchr(m->delims, v[i - 1], m->ndelims); i--)
			;
		for (len = i; len < n; len++)
			one(o, (unsigned char)v[len]);
		if (!i)
			return;
		one(o, '.');
		n = i - 1;
	}
	for (i = 0; i < n; i++)
		one(o, memchr(m->delims, v[i], m->ndelims) ? '.' : (unsigned char)v[i]);
}

static void
expand(const struct spf *s, struct out *o, const char *p, size_t n)
{
	int macros = 0;
	struct macro m;
	char buf[64];
	const char *v;
	size_t i;
	long len;

	for (i = 0; i < n && (o->tail || !o->full); i += (size_t)len) {
		len = p[i] == '%' ? macro_at(&m, p + i, n - i) : 0;
		if (len == 2) {
			for (v = m.letter == '-' ? "%20" : m.letter == '_' ? " " : "%"; *v; v++)
				put(o, *v);
		} else if (len > 2) {
			if (o->tail && ++macros > MACROS) {
				o->n = 0;
				return;
			}
			v = value(s, m.letter, buf);
			put_parts(o, &m, v, m.letter == 'l' ? s->at : strlen(v));
		} else {
			put(o, p[i]);
			len = 1;
		}
	}
}

void
spf_expand(const struct spf *s, char dst[DNS_NAME], const char *p, size_t n)
{
	const char *b, *dot;
	struct out o;

	o.n = 0;
	o.full = 0;
	o.tail = 1;
	expand(s, &o, p, n);
	if (o.n && o.b[o.n - 1] == '.')
		o.n--;
	b = o.b;
	if (o.n > NAME) {
		b = o.b + o.n - NAME;
		dot = memchr(b - 1, '.', NAME + 1);
		b = dot ? dot + 1 : o.b + o.n;
	}
	(void)text_copy(dst, DNS_NAME, b, (size_t)(o.b + o.n - b));
}

void
spf_expand_words(struct spf *s, const char *p, size_t n)
{
	struct out o;

	o.n = 0;
	o.tail = o.full = 0;
	expand(s, &o, p, n);
	(void)text_escape(s->words, sizeof(s->words), o.b, o.n);
}

/* ---- terms, RFC 7208 4.6.1 ---- */

static int
is_toplabel(const char *p, size_t n)
{
	int digits = 1;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!text_alnum((unsigned char)p[i]) && p[i] != '-')
			return 0;
		digits &= p[i] >= '0' && p[i] <= '9';
	}
	return n && !digits && p[0] != '-' && p[n - 1] != '-';
}

/* It ends in a macro, or in a dot and a label that is not a number. */
static int
is_domain_spec(const char *p, size_t n)
{
	size_t i, literal;

	if (!n || !macro_string(p, n, letters, &literal))
		return 0;
	if (literal == n)
		return 1;
	n -= p[n - 1] == '.';
	for (i = n; i > literal && p[i - 1] != '.'; i--)
		;
	return i > literal && is_toplabel(p + i, n - i);
}

/* A number of bits: without a leading zero, and not more than max. */
static int
is_bits(const char *p, size_t n, uint64_t max, int *bits)
{
	uint64_t v;

	if (text_u64(p, n, &v) < 0 || v > max || (n > 1 && *p == '0'))
		return 0;
	*bits = (int)v;
	return 1;
}

/* Take the bits after the slashes at the end of p[0..*n): 1: there are none; 0; -1: wrong ones. */
static int
take_bits(const char *p, size_t *n, size_t slashes, uint64_t max, int *bits)
{
	size_t i = *n, digits;

	while (i && p[i - 1] >= '0' && p[i - 1] <= '9')
		i--;
	digits = *n - i;
	if (!digits || i < slashes || memcmp(p + i - slashes, "//", slashes) != 0)
		return 1;
	*n = i - slashes;
	return is_bits(p + i, digits, max, bits) ? 0 : -1;
}

/* Take a dual-cidr-length from the end of p[0..*n): 0, or -1: a wrong one. */
static int
take_cidr(struct spf_term *t, const char *p, size_t *n)
{
	return take_bits(p, n, 2, 128, &t->bits6) < 0 || take_bits(p, n, 1, 32, &t->bits4) < 0 ?
	    -1 : 0;
}

/* ip4-network or ip6-network, and how many bits of it count: 0 or -1. */
static int
take_net(struct spf_term *t, const char *p, size_t n)
{
	int six = t->what == SPF_IP6;
	const char *slash = memchr(p, '/', n);
	size_t len = slash ? (size_t)(slash - p) : n;
	char text[IP_TEXT];

	if (slash && !is_bits(slash + 1, n - len - 1, six ? 128 : 32,
	    six ? &t->bits6 : &t->bits4))
		return -1;
	if (text_copy(text, sizeof(text), p, len) < 0 || (strchr(text, ':') != NULL) != six)
		return -1;
	return ip_parse(&t->net, text);
}

static int
is_name(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && (text_alnum((unsigned char)p[i]) || (i && strchr("-_.", p[i]))); i++)
		;
	return n && i == n && !(p[0] >= '0' && p[0] <= '9');
}

/* SPF_UNKNOWN if it is none of the mechanisms, or modifiers. */
static enum spf_what
kind_of(const char *p, size_t n, int modifier)
{
	enum spf_what k;

	for (k = SPF_ALL; k < SPF_UNKNOWN; k++)
		if (!(kinds[k].takes & MODIFIER) == !modifier && text_is(p, n, kinds[k].name))
			break;
	return k;
}

static int
modifier(struct spf_term *t, const char *p, size_t nname)
{
	size_t literal;

	t->what = kind_of(p, nname, 1);
	if (t->what != SPF_UNKNOWN)
		return is_domain_spec(t->spec, t->nspec) ? 0 : -1;
	return is_name(p, nname) && macro_string(t->spec, t->nspec, all_letters, &literal) ? 0 : -1;
}

/* p[0..n) is what follows its name. */
static int
mechanism(struct spf_term *t, const char *p, size_t n)
{
	int takes = t->what != SPF_UNKNOWN ? kinds[t->what].takes : 0;

	if (t->what == SPF_UNKNOWN || (takes & CIDR && take_cidr(t, p, &n) < 0))
		return -1;
	t->nspec = n ? n - 1 : 0;
	if (!n)
		return takes & MUST ? -1 : 0;
	if (*p != ':' || !takes)
		return -1;
	if (takes & NET)
		return take_net(t, t->spec, t->nspec);
	return is_domain_spec(t->spec, t->nspec) ? 0 : -1;
}

int
spf_parse(struct spf_term *t, const char *p, size_t n)
{
	const char *sign = n && *p ? strchr(spf_signs + 1, *p) : NULL;
	size_t i;

	memset(t, 0, sizeof(*t));
	t->bits4 = 32;
	t->bits6 = 128;
	for (i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return -1;
	for (i = 0; i < n && !strchr(":/=", p[i]); i++)
		;
	t->spec = p + i + 1;
	if (i < n && p[i] == '=') {
		t->nspec = n - i - 1;
		return modifier(t, p, i);
	}
	t->result = sign ? (enum spf_result)(sign - spf_signs) : SPF_PASS;
	t->what = kind_of(p + (sign != NULL), i - (sign != NULL), 0);
	return mechanism(t, p + i, n - i);
}
