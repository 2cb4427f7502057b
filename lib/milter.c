/* See LICENSE file for copyright and licence details. */
/*
 * Packets of the milter protocol: a length (4 octets, the network's order) that counts what
 * follows, a command (1 octet), data. What filters say is checked here: nothing that comes out can
 * end a line, a header or a reply before its time.
 */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "milter.h"
#include "reply.h"

enum { HEAD = 5, FIELD_NAME = 256 };

/* ---- to the filter ---- */

static void
store(unsigned char p[4], size_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static uint32_t
load(const void *p)
{
	const unsigned char *u = p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

void
milter_put(struct milter_out *o, const void *p, size_t n)
{
	if (o->full || n > o->room - o->n) {
		o->full = 1;
		return;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

void
milter_begin(struct milter_out *o, char what)
{
	o->head = o->n;
	milter_put(o, "\0\0\0", 4);
	milter_put(o, &what, 1);
}

void
milter_string(struct milter_out *o, const char *s)
{
	milter_put(o, s, strlen(s) + 1);
}

void
milter_end(struct milter_out *o, size_t more)
{
	if (!o->full)
		store((unsigned char *)o->p + o->head, o->n - o->head - 4 + more);
}

/* ---- from the filter ---- */

static enum milter_got
bad(struct milter_in *m, const char *why)
{
	m->why = why;
	return MILTER_BAD;
}

/* A piece of a new body. A filter that ends lines with LF alone is helped. */
static int
new_body(struct milter_in *m, const char *p, size_t n)
{
	size_t i, from = 0;

	for (i = 0; i < n; i++) {
		if (m->cr && p[i] != '\n')
			return -1;
		if (!m->cr && p[i] == '\n') {
			if (m->body(m->arg, p + from, i - from) < 0 ||
			    m->body(m->arg, "\r", 1) < 0)
				return -1;
			from = i;
		}
		m->cr = p[i] == '\r';
	}
	return n > from ? m->body(m->arg, p + from, n - from) : 0;
}

/* The head is complete. */
static enum milter_got
begin(struct milter_in *m)
{
	m->n = load(m->head);
	m->what = (char)m->head[4];
	if (!m->n)
		return bad(m, "empty packet");
	m->n--;
	m->have = 0;
	if (m->what == 'b') {
		if (!m->new_body && m->body(m->arg, NULL, 0) < 0)
			return bad(m, "new body refused");
		m->new_body = 1;
		return MILTER_READY;
	}
	if (m->n >= m->room)
		return bad(m, "packet too long");
	m->data = m->end - m->n - 1;
	m->data[m->n] = '\0';
	return MILTER_READY;
}

enum milter_got
milter_feed(struct milter_in *m, const char *p, size_t *n)
{
	size_t at = 0, k;

	if (m->nhead == HEAD && m->have == m->n)
		m->nhead = 0;
	while (m->nhead < HEAD) {
		if (at == *n)
			return MILTER_MORE;
		m->head[m->nhead++] = (unsigned char)p[at++];
		if (m->nhead == HEAD && begin(m) == MILTER_BAD)
			return MILTER_BAD;
	}
	k = m->n - m->have < *n - at ? m->n - m->have : *n - at;
	if (m->what != 'b')
		memcpy(m->data + m->have, p + at, k);
	else if (new_body(m, p + at, k) < 0)
		return bad(m, "new body refused, or with a bare CR");
	m->have += (uint32_t)k;
	*n = at + k;
	return m->have == m->n ? MILTER_READY : MILTER_MORE;
}

int
milter_options(const struct milter_in *in, uint32_t *version, uint32_t *actions, uint32_t *steps)
{
	if (in->what != 'O' || in->n < 12)
		return -1;
	*version = load(in->data);
	*actions = load(in->data + 4);
	*steps = load(in->data + 8);
	return *version < 2 || *version > MILTER_VERSION || *actions & ~(uint32_t)MILTER_ACTIONS ||
	    *steps & ~(uint32_t)MILTER_STEPS ? -1 : 0;
}

/* ---- changes ---- */

static const struct form {
	char what;
	unsigned char index, least, most;	/* is there an index, how many strings */
	uint32_t action;
} forms[] = {
	{ '+', 0, 1, 1, MILTER_ADD_RCPT | MILTER_ADD_RCPT_PAR },
	{ '2', 0, 1, 2, MILTER_ADD_RCPT_PAR },
	{ '-', 0, 1, 1, MILTER_DEL_RCPT },
	{ 'e', 0, 1, 2, MILTER_SENDER },
	{ 'h', 0, 2, 2, MILTER_ADD_FIELD },
	{ 'i', 4, 2, 2, MILTER_ADD_FIELD },
	{ 'm', 4, 2, 2, MILTER_CHANGE_FIELD },
	{ 'q', 0, 1, 1, MILTER_QUARANTINE },
	{ 'y', 0, 1, 1, 0 },
};

int
milter_change(struct milter_change *m, const struct milter_in *in)
{
	const struct form *f = forms, *e = forms + sizeof(forms) / sizeof(*forms);
	const char *p = in->data, *end = in->data + in->n;

	while (f < e && f->what != in->what)
		f++;
	if (f == e)
		return 0;
	if (in->n < f->index)
		return -1;
	m->action = f->action;
	m->index = f->index ? load(p) : 0;
	m->s[1] = "";
	m->n[1] = 0;
	p += f->index;
	/* the NUL of the last string may be missing: ours is behind it */
	for (m->strings = 0; p < end; m->strings++) {
		if (m->strings == f->most)
			return -1;
		m->s[m->strings] = p;
		m->n[m->strings] = strlen(p);
		p += m->n[m->strings] + 1;
	}
	return m->strings < f->least ? -1 : 1;
}

/* A field name: RFC 5322 2.2. */
static int
name_fits(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] < 33 || p[i] > 126 || p[i] == ':')
			return 0;
	return n > 0 && n < FIELD_NAME;
}

/* The end of a run of line ends at p, NULL: there is a bare CR in it. */
static const char *
line_end(const char *p, const char *end)
{
	while (p < end && (*p == '\r' || *p == '\n')) {
		if (*p == '\r' && (p + 1 == end || p[1] != '\n'))
			return NULL;
		p++;
	}
	return p;
}

long
milter_field(char *dst, const struct milter_change *m, int lead)
{
	const char *p = m->s[1], *e = p + m->n[1];
	char *o = dst + m->n[0] + 1;

	if (!name_fits(m->s[0], m->n[0]) || o >= p)
		return -1;
	memmove(dst, m->s[0], m->n[0] + 1);
	if (!lead && p < e && *p != ' ' && *p != '\t')
		*o++ = ' ';
	while (p < e) {
		if (o + 2 > p)
			return -1;	/* it would write what is not read yet */
		if (*p != '\r' && *p != '\n') {
			*o++ = *p++;
			continue;
		}
		p = line_end(p, e);
		if (!p)
			return -1;
		if (p == e)
			break;
		*o++ = '\n';
		if (*p != ' ' && *p != '\t')
			*o++ = '\t';
	}
	*o++ = '\0';
	return o - dst;
}

long
milter_mailbox(char *dst, const struct milter_change *m, int null)
{
	const char *p = m->s[0];
	char t[ADDR_TEXT + 8];
	struct addr a;
	int n;

	n = snprintf(t, sizeof(t), *p == '<' ? "%s" : "<%s>", p);
	if (n < 0 || (size_t)n >= sizeof(t) || dst > m->s[0] ||
	    addr_path(&a, t, (size_t)n, ADDR_UTF8 | (null ? ADDR_NULL : ADDR_BARE)) != n)
		return -1;
	memcpy(dst, a.mailbox ? a.mailbox : "", a.nmailbox);
	dst[a.nmailbox] = '\0';
	return (long)a.nmailbox + 1;
}

/* ---- replies ---- */

/* Its text with "%%" as "%", LF alone as a space, CR LF at the end: the octets. What is too long is
 * cut, a line that is not the first one as a whole. */
static size_t
plain_text(char *dst, size_t room, const char *p, size_t n)
{
	size_t i, k, o = 0;

	for (i = 0; i < n && o < room - 2; i++) {
		if (p[i] == '%' && i + 1 < n && p[i + 1] == '%')
			i++;
		dst[o++] = p[i] == '\n' && (!i || p[i - 1] != '\r') ? ' ' : p[i];
	}
	for (k = o; i < n && k && dst[k - 1] != '\n'; k--)
		;
	if (i < n && k)
		o = k;
	while (o && strchr(" \r\n", dst[o - 1]))
		o--;
	dst[o++] = '\r';
	dst[o++] = '\n';
	return o;
}

int
milter_reply(char dst[MILTER_REPLY], const struct milter_change *m)
{
	char t[REPLY_LINE], status[sizeof(((struct reply *)0)->status)] = "x.7.1";
	const char *words;
	struct reply r;
	size_t n, k;

	memset(&r, 0, sizeof(r));
	reply_init(&r);
	n = plain_text(t, sizeof(t), m->s[0], m->n[0]);
	if (reply_feed(&r, t, &n) == REPLY_BAD || !r.lines || r.code < 400)
		return -1;
	k = strlen(r.status);
	words = r.words + 3;
	/* 421 would end the session */
	if (r.code == 421)
		r.code = 451;
	status[0] = (char)('0' + r.code / 100);
	if (k && !strncmp(words, " ", 1) && !strncmp(words + 1, r.status, k)) {
		memcpy(status, r.status, k + 1);
		words += 1 + k;
	}
	(void)snprintf(dst, MILTER_REPLY, "%d %s%s", r.code, status,
	    words[strspn(words, " ")] ? words : " Refused by a filter");
	return r.code / 100;
}
