/* See LICENSE file for copyright and licence details. */
/*
 * Words of a header that are encoded, an octet at a time; nothing is kept but what comes out of
 * them, and of that the beginning and the end.
 */
#include <string.h>

#include "addr.h"
#include "text.h"
#include "words.h"

enum { UTF8, LATIN, OTHER };	/* a charset */
enum { NO_ESCAPE, IN_ESCAPE, ESCAPE_ENDS };	/* words.escape */
enum { RUN = 16 };

/* ---- text that is cut in the middle ---- */

/* Does it count for nothing at the end of a name? Windows drops dots and spaces there. */
int
keep_idle(char ch)
{
	return (unsigned char)ch <= ' ' || ch == 0x7f || strchr(".\"/\\", ch) != NULL;
}

void
keep_init(struct keep *k, char *p, size_t size)
{
	k->p = p;
	k->size = (uint16_t)size;
	k->n = k->run = k->cut = 0;
}

/* A long run of dots and spaces must not push out what is before it, which may be the end; the last
 * of them may be the dot of what is. */
void
keep_put(struct keep *k, char ch)
{
	size_t half = k->size / 2, quarter = k->size / 4;

	k->run = keep_idle(ch) ? k->run + 1 : 0;
	if (k->run > RUN) {
		k->run = RUN;
		k->cut = 1;
		k->p[k->n - 1] = ch;
		return;
	}
	if (k->n == k->size) {
		memmove(k->p + half, k->p + half + quarter, k->size - half - quarter);
		k->n = (uint16_t)(k->n - quarter);
		k->cut = 1;
	}
	k->p[k->n++] = ch;
}

/* Valid UTF-8 without control characters; as long as before. */
size_t
words_clean(char *dst, const char *p, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len) {
		len = addr_utf8(p + i, n - i);
		if (len) {
			memmove(dst + i, p + i, len);
			continue;
		}
		dst[i] = (char)(p[i] >= ' ' && p[i] < 0x7f ? p[i] : '?');
		len = 1;
	}
	dst[n] = '\0';
	return n;
}

static int
white(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* ---- encodings ---- */

static int
hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)text_lower(ch);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* One octet in, none to three out, in h->held. */
size_t
hex_feed(struct hex *h, char escape, char ch)
{
	size_t n;

	if (h->n ? hex_digit(ch) < 0 : ch != escape) {
		n = h->n;
		h->n = 0;
		if (n && ch == escape) {	/* what was held back was none; here one begins */
			h->n = 1;
			return n;
		}
		h->held[n] = ch;
		return n + 1;
	}
	h->held[h->n++] = ch;
	if (h->n < 3)
		return 0;
	h->n = 0;
	h->held[0] = (char)(16 * hex_digit(h->held[1]) + hex_digit(ch));
	return 1;
}

static int
b64_digit(char ch)
{
	static const char other[] = "+/";
	const char *p;

	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	p = ch ? strchr(other, ch) : NULL;
	return p ? (int)(p - other) + 62 : -1;
}

/* The octet that is complete now, or -1: none; padding begins anew, what else is there is left
 * out. */
int
b64_feed(unsigned char *bits, unsigned char *acc, char ch)
{
	int v = b64_digit(ch);
	unsigned all;

	if (ch == '=')
		*bits = 0;
	if (v < 0)
		return -1;
	all = (unsigned)*acc << 6 | (unsigned)v;
	*acc = (unsigned char)(all & 0x3f);
	if (!*bits) {
		*bits = 6;
		return -1;
	}
	*bits = (unsigned char)(*bits - 2);
	return (int)(all >> *bits & 0xff);
}

/* ---- encoded words ---- */

/* Its name may have a language behind it, RFC 2231 5. What claims to be ASCII or ISO-8859-1 is read
 * as windows-1252, as everybody does. */
unsigned char
words_charset(const char *p, size_t n)
{
	static const struct {
		const char *name;
		unsigned char charset;
	} names[] = {
		{ "utf-8", UTF8 }, { "utf8", UTF8 }, { "", UTF8 }, { "us-ascii", LATIN },
		{ "ascii", LATIN }, { "iso-8859-1", LATIN }, { "latin1", LATIN },
		{ "windows-1252", LATIN }, { "cp1252", LATIN },
	};
	const char *star = memchr(p, '*', n);
	size_t i;

	if (star)
		n = (size_t)(star - p);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (text_is(p, n, names[i].name))
			return names[i].charset;
	}
	return OTHER;
}

/* What windows-1252 has where ISO-8859-1 has control characters. */
static unsigned
windows(unsigned char ch)
{
	static const uint16_t codes[32] = {
		0x20ac, '?', 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, '?', 0x017d, '?',
		'?', 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, '?', 0x017e, 0x0178,
	};

	return ch < 0xa0 ? codes[ch - 0x80] : ch;
}

/* Escapes of ISO 2022 (ESC ( B, ESC $ B, ESC $ ( D) change between charsets, and nobody shows them:
 * does the octet belong to one? */
static int
escape(struct words *w, char ch)
{
	int in = w->escape;

	if (ch == 0x1b)
		w->escape = IN_ESCAPE;
	else if (in && (ch == '(' || ch == ')' || ch == '$'))
		w->escape = ESCAPE_ENDS;
	else
		w->escape = NO_ESCAPE;
	if (in == IN_ESCAPE && !w->escape)
		keep_put(w->out, 0x1b);		/* it was none */
	return w->escape || (in == ESCAPE_ENDS && (text_alnum(ch) || ch == '@'));
}

/* One octet of a charset: 1 if it is a NUL, where a name ends for programs in C. */
static int
put(struct words *w, int cs, char c)
{
	struct keep *k = w->out;
	unsigned char ch = (unsigned char)c;
	unsigned u = ch;

	if (cs == OTHER && escape(w, c))
		return 0;
	if (cs == OTHER && !ch)
		return 1;		/* or it is UTF-16 */
	if (cs == OTHER && ch >= 0x80)
		u = '?';
	if (cs == LATIN && ch >= 0x80)
		u = windows(ch);
	if (cs != LATIN || u < 0x80) {
		keep_put(k, (char)u);
		return !u;
	}
	if (u >= 0x800) {
		keep_put(k, (char)(0xe0 | u >> 12));
		keep_put(k, (char)(0x80 | (u >> 6 & 0x3f)));
	} else {
		keep_put(k, (char)(0xc0 | u >> 6));
	}
	keep_put(k, (char)(0x80 | (u & 0x3f)));
	return 0;
}

void
words_init(struct words *w, struct keep *out)
{
	memset(w, 0, sizeof(*w));
	w->out = out;
}

/* What was held back is nothing but text. */
static void
words_release(struct words *w)
{
	size_t i;

	for (; w->spaces; w->spaces--)
		keep_put(w->out, ' ');
	for (i = 0; i < w->nhold; i++)
		(void)put(w, w->base, w->hold[i]);
	w->nhold = w->after = 0;
	w->state = W_TEXT;
}

static int
words_data(struct words *w, char ch)
{
	size_t i, n;
	int v, nul = 0;

	w->odd |= (unsigned char)white(ch);
	if (w->b64) {
		v = b64_feed(&w->bits, &w->acc, ch);
		w->odd |= ch != '=' && b64_digit(ch) < 0;
		return v >= 0 ? put(w, w->charset, (char)v) : 0;
	}
	n = hex_feed(&w->hex, '=', (char)(ch == '_' ? ' ' : ch));
	for (i = 0; i < n; i++)
		nul |= put(w, w->charset, w->hex.held[i]);
	return nul;
}

static int
words_text(struct words *w, char ch)
{
	if (ch == '=') {
		w->hold[0] = ch;
		w->nhold = 1;
		w->state = W_BEGIN;
		return 0;
	}
	if (w->after && white(ch)) {	/* RFC 2047 6.2: it is not there if a word follows */
		w->spaces++;
		return 0;
	}
	words_release(w);
	return put(w, w->base, ch);
}

/* The beginning of an encoded word, "=?charset?B?": does it go on? Some take everything for a
 * charset, with spaces and question marks too. */
static int
words_begin(struct words *w, char ch)
{
	size_t n = w->nhold;
	unsigned char charset, b64;

	if (n > 3 && ch == '?' && w->hold[n - 2] == '?' && strchr("bBqQ", w->hold[n - 1])) {
		charset = words_charset(w->hold + 2, n - 4);
		b64 = text_lower(w->hold[n - 1]) == 'b';
		if (w->join && w->after && charset == w->charset && b64 == w->b64)
			w->torn |= w->bits || w->hex.n || w->escape;
		else
			w->bits = w->hex.n = w->escape = 0;
		w->charset = charset;
		w->b64 = b64;
		w->state = W_DATA;
		w->spaces = w->nhold = 0;
		return 1;
	}
	if (n > 1 && ch == '?' && w->hold[n - 1] == '=') {
		w->nhold--;		/* it begins here */
		words_release(w);
		w->hold[0] = '=';
		w->nhold = 1;
		w->state = W_BEGIN;
	} else if (n == sizeof(w->hold) || !ch || (n == 1 && ch != '?')) {
		return 0;
	}
	w->odd |= w->nhold > 1 && ch != '?' && !text_alnum(ch) && !strchr("-_*:+.", ch);
	w->hold[w->nhold++] = ch;
	return 1;
}

/* 1: there was a NUL. */
int
words_feed(struct words *w, char ch)
{
	int nul = 0;

	if (w->state == W_TEXT)
		return words_text(w, ch);
	if (w->state == W_END) {
		w->state = W_TEXT;
		w->after = 1;
		if (ch == '=')
			return 0;
		w->state = W_DATA;
		w->odd = 1;
		nul = words_data(w, '?');
	}
	if (w->state == W_DATA) {
		if (ch != '?')
			return nul | words_data(w, ch);
		w->state = W_END;
		return nul;
	}
	if (words_begin(w, ch))
		return 0;
	words_release(w);
	return words_text(w, ch);
}

void
words_end(struct words *w)
{
	if (w->state == W_DATA || w->state == W_END)
		w->odd = 1;
	else if (w->state != W_TEXT)
		words_release(w);
}

size_t
words_decode(char *dst, size_t size, const char *p, size_t n)
{
	struct words w;
	struct keep k;
	size_t i;

	keep_init(&k, dst, size - 1 < 0xffff ? size - 1 : 0xffff);
	words_init(&w, &k);
	for (i = 0; i < n; i++) {
		if (p[i] != '\n' && p[i] != '\r' && (k.n || w.state != W_TEXT || !white(p[i])))
			(void)words_feed(&w, p[i]);
	}
	words_end(&w);
	n = k.n;
	while (n && white(dst[n - 1]))
		n--;
	return words_clean(dst, dst, n);
}
