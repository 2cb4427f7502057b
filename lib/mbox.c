/* See LICENSE file for copyright and licence details. */
/*
 * The mbox file format, dialect mboxrd. A message is a From_ line, its text and a blank line; a `>`
 * is put before each line of the text that matches ^>*From . Nothing here knows of files: all are
 * machines that take bytes in pieces of any size and give the same result however they were cut.
 *
 * The scanner is two machines over the same bytes. One knows lines: it counts the octets, takes off
 * what quoting has added and looks at lines with F behind a blank line. It is fast because blocks
 * without a line that begins as a From_ line or a quoted one does are only counted. The other
 * hashes the header for the unique-id.
 */
#include <string.h>

#include "mbox.h"
#include "text.h"
#include "vec.h"

enum {
	BLOCK = 64		/* bytes looked at together */
};

enum { IN_LINE, IN_QUOTE, IN_FROM };		/* mbox_scan.state */
enum { F_START, F_BODY };			/* mbox_scan.field */
enum { S_START, S_QUOTE, S_TEXT };		/* mbox_quote.state, mbox_send.state */

static const char from_[] = "From ";

/* ---- From_ lines ---- */

struct words {
	const char *p, *end;
	const char *w;		/* the word at hand */
	size_t n;		/* its length; 0: there are no more */
};

static void
next_word(struct words *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
	c->w = c->p;
	while (c->p < c->end && *c->p != ' ' && *c->p != '\t')
		c->p++;
	c->n = (size_t)(c->p - c->w);
}

/* Is the word one of the names of three letters? */
static int
is_name(const struct words *c, const char *names)
{
	if (c->n != 3)
		return 0;
	for (; *names; names += 3) {
		if (text_ieq(c->w, 3, names, 3))
			return 1;
	}
	return 0;
}

static int
is_weekday(const struct words *c)
{
	struct words w;

	w = *c;
	if (w.n == 4 && w.w[3] == ',')
		w.n = 3;
	return is_name(&w, "SunMonTueWedThuFriSat");
}

static int
is_month(const struct words *c)
{
	return is_name(c, "JanFebMarAprMayJunJulAugSepOctNovDec");
}

/* Digits, min to max of them, at *p; moves *p behind them. -1: no such number up to `limit`. */
static int
number(const char **p, const char *end, int min, int max, int limit)
{
	int n, v;

	v = 0;
	for (n = 0; n < max && *p < end && **p >= '0' && **p <= '9'; n++)
		v = v * 10 + *(*p)++ - '0';
	return n < min || v > limit ? -1 : v;
}

static int
is_day(const struct words *c)
{
	const char *p;

	p = c->w;
	return number(&p, c->p, 1, 2, 31) > 0 && p == c->p;
}

static int
is_year(const struct words *c)
{
	const char *p;

	p = c->w;
	return number(&p, c->p, 4, 4, 9999) >= 0 && p == c->p;
}

/* hh:mm or hh:mm:ss */
static int
is_time(const struct words *c)
{
	const char *p;

	p = c->w;
	if (number(&p, c->p, 1, 2, 23) < 0 || p == c->p || *p++ != ':')
		return 0;
	if (number(&p, c->p, 2, 2, 59) < 0)
		return 0;
	if (p < c->p && *p == ':') {
		p++;
		if (number(&p, c->p, 2, 2, 61) < 0)
			return 0;
	}
	return p == c->p;
}

/* "+0100", "PST" */
static int
is_zone(const struct words *c)
{
	size_t i;
	int ch;

	if (c->n == 5 && (*c->w == '+' || *c->w == '-')) {
		for (i = 1; i < 5 && c->w[i] >= '0' && c->w[i] <= '9'; i++)
			;
		return i == 5;
	}
	for (i = 0; i < c->n; i++) {
		ch = text_lower((unsigned char)c->w[i]);
		if (ch < 'a' || ch > 'z')
			return 0;
	}
	return i > 0 && i <= 6;
}

/* Behind a weekday: "Mmm dd" or "dd Mmm", time, year, with zones before or behind the year. */
static int
is_date(struct words c)
{
	int month;

	next_word(&c);
	month = is_month(&c);
	if (!month && !is_day(&c))
		return 0;
	next_word(&c);
	if (month ? !is_day(&c) : !is_month(&c))
		return 0;
	next_word(&c);
	if (!is_time(&c))
		return 0;
	next_word(&c);
	while (is_zone(&c))
		next_word(&c);
	if (!is_year(&c))
		return 0;
	next_word(&c);
	while (is_zone(&c) && !text_is(c.w, c.n, "remote"))
		next_word(&c);
	return !c.n || text_is(c.w, c.n, "remote");	/* "remote from HOST" is of UUCP */
}

int
mbox_isfrom(const char *p, size_t n)
{
	struct words c;

	if (n && p[n - 1] == '\r')
		n--;
	if (n < 5 || n > MBOX_FROM - 1 || memcmp(p, from_, 5) != 0)
		return 0;
	c.p = c.w = p + 5;
	c.end = p + n;
	c.n = 0;
	/* a sender may be missing or hold spaces: the date is looked for behind each */
	for (next_word(&c); c.n; next_word(&c)) {
		if (is_weekday(&c) && is_date(c))
			return 1;
	}
	return 0;
}

/* ---- the hash of the unique-id ---- */

/*
 * 128 bits of state; a block of 16 bytes goes in by one multiplication of 64 by 64 bits, whose
 * two halves are folded with the factors so that a factor of 0 loses nothing. Not for secrets: who
 * knows it can make two messages with one id, and hides one of his own from a client.
 */
#define K0 UINT64_C(0x243f6a8885a308d3)		/* digits of pi */
#define K1 UINT64_C(0x13198a2e03707344)
#define K2 UINT64_C(0xa4093822299f31d0)

static uint64_t
rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

VEC_INLINE uint64_t
load(const unsigned char *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
	    (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
	    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static void
mix(uint64_t h[2], uint64_t x, uint64_t y)
{
	uint64_t a, b, mid, low, high;

	a = h[0] ^ x;
	b = h[1] ^ y;
	low = (a & UINT32_MAX) * (b & UINT32_MAX);
	mid = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
	high = (a >> 32) * (b >> 32) + (mid >> 32);
	mid = (a & UINT32_MAX) * (b >> 32) + (mid & UINT32_MAX);
	high += mid >> 32;
	low = mid << 32 | (low & UINT32_MAX);
	h[0] = (low ^ rotate(b, 23)) + K2;
	h[1] = high + rotate(a ^ K1, 41);
}

static void
hash(struct mbox_scan *s, const char *p, size_t n)
{
	const unsigned char *q = (const unsigned char *)p;
	size_t have, take;

	have = s->hashed % 16;
	s->hashed += n;
	if (have) {
		take = n < 16 - have ? n : 16 - have;
		memcpy(s->block + have, q, take);
		if (have + take < 16)
			return;
		mix(s->h, load(s->block), load(s->block + 8));
		q += take;
		n -= take;
	}
	for (; n >= 16; n -= 16, q += 16)
		mix(s->h, load(q), load(q + 8));
	memcpy(s->block, q, n);
}

/* The first bytes of the body, without the last line end: it may be missing in the file for now. */
static void
hash_body(struct mbox_scan *s)
{
	uint64_t len;
	size_t n;

	if (s->head || s->m.end <= s->body)
		return;
	len = s->m.end - s->body;
	n = s->nbody;
	if (len <= n) {
		n = (size_t)len;
		if (s->start[n - 1] == '\n')
			n--;
		if (n && n < len && s->start[n - 1] == '\r')
			n--;
	}
	hash(s, s->start, n);
}

/* From_ line, header without what changes, body: to m->uid. */
static void
hash_end(struct mbox_scan *s)
{
	uint64_t body, x;
	size_t n;
	int i, j;

	x = s->hashed;		/* where the header ends */
	hash_body(s);
	mix(s->h, K2, x);
	n = s->hashed % 16;
	memset(s->block + n, 0, 16 - n);
	mix(s->h, load(s->block), load(s->block + 8));
	body = s->head || s->m.octets < s->head_octets ? 0 : s->m.octets - s->head_octets;
	mix(s->h, s->hashed, body);
	mix(s->h, K1, K0);
	for (i = 0; i < 3; i++) {
		mix(s->h, K0, K1);
		x = s->h[0] ^ rotate(s->h[1], 32);
		for (j = 0; j < 8; j++)
			s->m.uid[8 * i + j] = (unsigned char)(x >> (8 * j) & 0xff);
	}
}

char *
mbox_uidl(char dst[UIDL_TEXT], const unsigned char uid[24])
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t x;
	size_t i, o;
	int shift;

	o = 0;
	for (i = 0; i < 24; i += 3) {
		x = (uint32_t)uid[i] << 16 | (uint32_t)uid[i + 1] << 8 | uid[i + 2];
		for (shift = 18; shift >= 0; shift -= 6)
			dst[o++] = digit[x >> shift & 63];
	}
	dst[o] = '\0';
	return dst;
}

/* ---- the header ---- */

/* Fields that programs change in place; the last is the beginning of a family. */
static int
is_volatile(const char *name, size_t n)
{
	static const char *const names[] = {
		"Status", "X-Status", "X-UID", "X-UIDL", "X-IMAP", "X-IMAPbase", "X-Keywords",
		"Content-Length", "Lines"
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (n && name[n - 1] == ':' && text_is(name, n - 1, names[i]))
			return 1;
	}
	return text_begins(name, n, "X-Mozilla-");
}

/* Can a line that begins so be a field that changes, or blank? */
static int
is_of_interest(char ch)
{
	return ch == '\r' || ch == '\n' || (ch && strchr("SsXxCcLl", ch));
}

/*
 * At the start of a header line: take as much as is needed to see what it is, which is held in
 * s->name between pieces. Returns how much was taken of p[0..n).
 */
static size_t
field_start(struct mbox_scan *s, const char *p, size_t n)
{
	size_t i;
	char ch;

	ch = '\0';
	for (i = 0; i < n && s->nname < sizeof(s->name); ) {
		ch = p[i++];
		s->name[s->nname++] = ch;
		if (ch == ':' || ch == '\n' || !is_of_interest(s->name[0]))
			break;
	}
	if (i == n && ch != ':' && ch != '\n' && is_of_interest(s->name[0]) &&
	    s->nname < sizeof(s->name))
		return i;
	if (s->name[0] == '\n' || (s->nname == 2 && !memcmp(s->name, "\r\n", 2))) {
		s->head = 0;
	} else {
		if (s->name[0] != ' ' && s->name[0] != '\t')
			s->skip = (unsigned char)is_volatile(s->name, s->nname);
		if (!s->skip)
			hash(s, s->name, s->nname);
		s->field = ch == '\n' ? F_START : F_BODY;
	}
	s->nname = 0;
	return i;
}

/* Hash what p[0..n) has of the header; returns how much that is. */
static size_t
header(struct mbox_scan *s, const char *p, size_t n)
{
	const char *lf;
	size_t i, len;

	for (i = 0; i < n && s->head; i += len) {
		if (s->field == F_START) {
			len = field_start(s, p + i, n - i);
			continue;
		}
		lf = memchr(p + i, '\n', n - i);
		len = lf ? (size_t)(lf - (p + i)) + 1 : n - i;
		if (!s->skip)
			hash(s, p + i, len);
		if (lf)
			s->field = F_START;
	}
	return i;
}

/* ---- the scanner ---- */

void
mbox_scan_init(struct mbox_scan *s, uint64_t at, void (*emit)(void *, const struct mbox_msg *),
    void *arg)
{
	memset(s, 0, sizeof(*s));
	s->emit = emit;
	s->arg = arg;
	s->at = at;
	s->state = IN_LINE;
	memset(s->last, '\n', sizeof(s->last));
}

/* The byte `back` bytes before p[i]. */
static char
before(const struct mbox_scan *s, const char *p, size_t i, size_t back)
{
	if (i >= back)
		return p[i - back];
	return s->last[sizeof(s->last) + i - back];
}

/* A line starts at p[i]: the length of the blank line before it, 0 if there is none. */
static int
blank_before(const struct mbox_scan *s, const char *p, size_t i)
{
	if (before(s, p, i, 1) != '\n')
		return 0;
	if (before(s, p, i, 2) == '\n')
		return 1;
	return before(s, p, i, 2) == '\r' && before(s, p, i, 3) == '\n' ? 2 : 0;
}

/* The message under way ends `sep` bytes before an offset; they are the blank line. */
static void
end_message(struct mbox_scan *s, uint64_t at, int sep)
{
	if (!s->active)
		return;
	s->m.end = at - (uint64_t)sep;
	s->extra -= sep == 1;
	s->m.octets = s->m.end - s->m.text + s->extra;
	hash_end(s);
	s->active = 0;
	s->emit(s->arg, &s->m);
}

/* The line at s->from is a From_ line, its text begins at an offset. */
static void
start_message(struct mbox_scan *s, const char *line, size_t n, uint64_t text)
{
	end_message(s, s->from, s->sep);
	memset(&s->m, 0, sizeof(s->m));
	s->m.from = s->from;
	s->m.text = text;
	s->extra = s->head_octets = s->hashed = s->body = 0;
	s->nbody = 0;
	s->h[0] = K0;
	s->h[1] = K1;
	s->skip = s->nname = 0;
	s->field = F_START;
	s->active = s->head = 1;
	hash(s, line, n);
	hash(s, "\n", 1);
}

/*
 * BLOCK bytes at p; the bytes before and behind them are there too. Does a line begin in them as
 * a From_ line or a quoted one does? If not, *lf counts the LFs without a CR before them (in each
 * byte of the vector; a block adds at most 4).
 */
VEC_INLINE int
block(vec *lf, const char *p)
{
	static const vec cr = VEC_ALL('\r'), nl = VEC_ALL('\n');
	static const vec f = VEC_ALL('F'), r = VEC_ALL('r'), gt = VEC_ALL('>');
	vec prev, v, next, found, sum;
	int i;

	found = (vec)VEC_ALL(0);
	sum = *lf;
	for (i = 0; i < BLOCK; i += VEC) {
		vec_load(&prev, p + i - 1);
		vec_load(&v, p + i);
		vec_load(&next, p + i + 1);
		sum -= (vec)((v == nl) & (prev != cr));
		found |= (vec)((prev == nl) & (((v == f) & (next == r)) |
		    ((v == gt) & ((next == gt) | (next == f)))));
	}
	if (vec_any(&found))
		return 1;
	*lf = sum;
	return 0;
}

/* Count in whole blocks from p[i] on, while there is nothing to look at; i > 0. Returns where. */
static size_t
blocks(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	vec lf;
	int k, found;

	found = 0;
	while (!found && n - i > BLOCK) {
		lf = (vec)VEC_ALL(0);
		for (k = 0; k < 255 / (BLOCK / VEC) && n - i > BLOCK; k++) {
			found = block(&lf, p + i);
			if (found)
				break;
			i += BLOCK;
		}
		s->extra += vec_sum(&lf);
	}
	return i;
}

/* Count up to the next line that begins with F or >: where it is, or n. */
static size_t
count(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	size_t stop;
	char prev;

	while (i < n) {
		if (i)
			i = blocks(s, p, i, n);
		stop = n - i > BLOCK ? i + BLOCK : n;
		prev = before(s, p, i, 1);
		for (; i < stop; i++) {
			if (prev == '\n' && (p[i] == 'F' || p[i] == '>'))
				return i;
			s->extra += p[i] == '\n' && prev != '\r';
			prev = p[i];
		}
	}
	return n;
}

static size_t
in_line(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	i = count(s, p, i, n);
	if (i == n)
		return n;
	if (p[i] == '>') {
		s->state = IN_QUOTE;
		s->matched = 0;
		return i + 1;
	}
	s->sep = (unsigned char)blank_before(s, p, i);
	if (!s->sep)
		return i + 1;
	s->state = IN_FROM;
	s->from = s->at + i;
	s->nline = 0;
	return i;
}

/* Behind `>` at the start of a line. */
static size_t
in_quote(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	for (; i < n; i++) {
		if (!s->matched && p[i] == '>')
			continue;
		if (p[i] != from_[s->matched]) {
			s->state = IN_LINE;
			return i;
		}
		if (++s->matched == 5) {
			s->extra--;
			s->state = IN_LINE;
			return i + 1;
		}
	}
	return n;
}

/* In a line behind a blank line that may be a From_ line; its LF is only taken when it is one. */
static size_t
in_from(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	const char *line, *lf;
	size_t len;

	lf = memchr(p + i, '\n', n - i);
	len = lf ? (size_t)(lf - (p + i)) : n - i;
	line = p + i;
	if (!lf || s->nline) {
		if (len > sizeof(s->line) - s->nline) {
			s->state = IN_LINE;
			return i + len;
		}
		memcpy(s->line + s->nline, p + i, len);
		line = s->line;
		s->nline += len;
	} else {
		s->nline = len;
	}
	i += len;
	if (!lf)
		return i;
	s->state = IN_LINE;
	if (!mbox_isfrom(line, s->nline))
		return i;
	start_message(s, line, s->nline, s->at + i + 1);
	return i + 1;
}

/* Keep the last three bytes. */
static void
remember(struct mbox_scan *s, const char *p, size_t n)
{
	if (n < sizeof(s->last))
		memmove(s->last, s->last + n, sizeof(s->last) - n);
	else
		p += n - sizeof(s->last);
	n = n < sizeof(s->last) ? n : sizeof(s->last);
	memcpy(s->last + sizeof(s->last) - n, p, n);
}

/* Keep the first bytes of the body, maybe with some of what is behind it. */
static void
keep_start(struct mbox_scan *s, const char *p, size_t n)
{
	if (n > sizeof(s->start) - s->nbody)
		n = sizeof(s->start) - s->nbody;
	memcpy(s->start + s->nbody, p, n);
	s->nbody += n;
}

/* The lines in p[i..n), up to the end of a From_ line or n: returns which. */
static size_t
lines(struct mbox_scan *s, const char *p, size_t i, size_t n)
{
	int head;

	head = s->head;
	while (i < n && s->head <= head) {
		if (s->state == IN_LINE)
			i = in_line(s, p, i, n);
		else if (s->state == IN_QUOTE)
			i = in_quote(s, p, i, n);
		else
			i = in_from(s, p, i, n);
	}
	return i;
}

void
mbox_scan_feed(struct mbox_scan *s, const char *p, size_t n)
{
	size_t i, end;

	for (i = 0; i < n; ) {
		if (!s->head) {
			keep_start(s, p + i, n - i);
			i = lines(s, p, i, n);
			continue;
		}
		/* no From_ line is within: the blank line is its last */
		end = i + header(s, p + i, n - i);
		while (i < end)
			i = lines(s, p, i, end);
		if (!s->head) {
			s->body = s->at + end;
			s->head_octets = s->body - s->m.text + s->extra;
		}
	}
	remember(s, p, n);
	s->at += n;
}

void
mbox_scan_end(struct mbox_scan *s)
{
	int sep;

	if (s->state == IN_FROM && mbox_isfrom(s->line, s->nline))
		start_message(s, s->line, s->nline, s->at);
	if (!s->active)
		return;
	sep = s->at > s->m.text ? blank_before(s, "", 0) : 0;
	if (s->at > s->m.text && s->last[2] != '\n')
		s->extra += 2;
	end_message(s, s->at, sep);
}

/* ---- quoting ---- */

void
mbox_quote_init(struct mbox_quote *q)
{
	q->state = S_START;
	q->matched = 0;
}

/* At the start of a line or behind `>`: one byte. Returns 1 when it was taken. */
static int
quote_start(struct mbox_quote *q, char *out, size_t *o, char ch)
{
	int taken;

	if (!q->matched && ch == '>') {
		q->state = S_QUOTE;
		out[(*o)++] = ch;
		return 1;
	}
	if (ch == from_[q->matched]) {
		q->state = S_QUOTE;
		if (++q->matched < 5)
			return 1;
		out[(*o)++] = '>';	/* it does not matter which of the > is the new one */
	}
	memcpy(out + *o, from_, (size_t)q->matched);
	*o += (size_t)q->matched;
	taken = q->matched == 5;
	q->state = S_TEXT;
	q->matched = 0;
	return taken;
}

size_t
mbox_quote_feed(struct mbox_quote *q, char *out, const char *in, size_t n)
{
	size_t i, o, len;

	o = 0;
	for (i = 0; i < n; ) {
		if (q->state != S_TEXT) {
			i += (size_t)quote_start(q, out, &o, in[i]);
			continue;
		}
		len = vec_copy(out + o, in + i, n - i, '\n', '\n');
		o += len;
		i += len;
		if (i == n)
			break;
		out[o++] = in[i++];
		q->state = S_START;
	}
	return o;
}

size_t
mbox_quote_end(struct mbox_quote *q, char *out)
{
	size_t o;

	o = (size_t)q->matched;
	memcpy(out, from_, o);
	if (q->state != S_START)
		out[o++] = '\n';
	mbox_quote_init(q);
	return o;
}

/* ---- sending ---- */

void
mbox_send_init(struct mbox_send *s, int64_t lines_wanted)
{
	memset(s, 0, sizeof(*s));
	s->lines = lines_wanted;
	s->state = S_START;
	s->header = s->blank = 1;
}

/* The bytes held back: the `>` stays, no "From " came. */
static size_t
send_held(struct mbox_send *s, char *out)
{
	size_t n;

	n = (size_t)s->matched;
	out[0] = '>';
	memcpy(out + 1, from_, n);
	s->state = S_TEXT;
	s->matched = 0;
	return n + 1;
}

/* Behind `>` at the start of a line: one byte. Returns 1 when it was taken. */
static int
send_quote(struct mbox_send *s, char *out, size_t *o, char ch)
{
	s->blank = s->cr = 0;
	if (!s->matched && ch == '>') {
		out[(*o)++] = ch;
		return 1;
	}
	if (ch != from_[s->matched]) {
		*o += send_held(s, out + *o);
		return 0;
	}
	if (++s->matched == 5) {
		memcpy(out + *o, from_, 5);
		*o += 5;
		s->state = S_TEXT;
		s->matched = 0;
	}
	return 1;
}

/* The end of a line. */
static size_t
send_lf(struct mbox_send *s, char *out)
{
	size_t o;

	o = 0;
	if (!s->cr)
		out[o++] = '\r';
	out[o++] = '\n';
	if (s->header && s->blank) {
		s->header = 0;
		s->done = s->lines == 0;
	} else if (!s->header && s->lines > 0) {
		s->done = --s->lines == 0;
	}
	s->state = S_START;
	s->blank = 1;
	s->cr = 0;
	return o;
}

/* What p[0..n) has of a line, its LF too; returns what was taken. out has room for n + 1. */
static size_t
send_text(struct mbox_send *s, char *out, size_t *o, const char *p, size_t n)
{
	size_t len;

	len = vec_copy(out + *o, p, n, '\n', '\n');
	if (len) {
		*o += len;
		s->cr = p[len - 1] == '\r';
		s->blank = s->blank == 1 && len == 1 && s->cr ? 2 : 0;
	}
	if (len == n)
		return n;
	*o += send_lf(s, out + *o);
	return len + 1;
}

size_t
mbox_send_feed(struct mbox_send *s, char *out, size_t room, const char *in, size_t *n)
{
	size_t i, o, len;

	i = o = 0;
	while (i < *n && room - o >= 8 && !s->done) {
		if (s->state == S_QUOTE) {
			i += (size_t)send_quote(s, out, &o, in[i]);
			continue;
		}
		if (s->state == S_START && in[i] == '>') {
			s->state = S_QUOTE;
			i++;
			continue;
		}
		if (s->state == S_START && in[i] == '.')
			out[o++] = '.';
		s->state = S_TEXT;
		len = *n - i < room - o - 2 ? *n - i : room - o - 2;
		i += send_text(s, out, &o, in + i, len);
	}
	*n = i;
	return o;
}

size_t
mbox_send_end(struct mbox_send *s, char *out)
{
	size_t o;

	o = 0;
	if (s->state == S_QUOTE)
		o += send_held(s, out);
	if (s->state != S_START) {
		memcpy(out + o, "\r\n", 2);
		o += 2;
	}
	memcpy(out + o, ".\r\n", 3);
	return o + 3;
}
