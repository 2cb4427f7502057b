/* See LICENSE file for copyright and licence details. */
/*
 * The canonical forms of header fields and bodies, RFC 6376 3.4.  Nothing is written anywhere: it
 * all goes into a hash as it passes by.
 */
#include <string.h>

#include "canon.h"
#include "text.h"

static int
is_space(int ch)
{
	return ch == ' ' || ch == '\t';
}

/* Where the line that p begins with ends: at its LF, or at the end. */
static size_t
line_of(const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);

	return lf ? (size_t)(lf - p) : n;
}

/* Lines put together to one, in which white space is one space; at the end it is held back in
 * *space. */
static void
words(br_sha256_context *c, int *space, const char *p, size_t n)
{
	char out[256];
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (is_space(p[i]))
			*space = 1;
		if (is_space(p[i]) || p[i] == '\n')
			continue;
		if (k + 2 > sizeof(out)) {
			br_sha256_update(c, out, k);
			k = 0;
		}
		if (*space)
			out[k++] = ' ';
		*space = 0;
		out[k++] = p[i];
	}
	br_sha256_update(c, out, k);
}

/* ---- a field ---- */

/* The length of the name that p[0..n) is, 0: it is none (RFC 5322 2.2, 4.5). */
static size_t
name_of(const char *p, size_t n)
{
	size_t i;

	while (n && is_space(p[n - 1]))
		n--;
	for (i = 0; i < n; i++) {
		if (p[i] < 33 || p[i] > 126)
			return 0;
	}
	return n;
}

int
canon_next(struct canon_field *f, const char **p, const char *end)
{
	const char *q = *p, *colon;

	if (q == end)
		return 0;
	f->p = q;
	do {
		q = memchr(q, '\n', (size_t)(end - q));
		q = q ? q + 1 : end;
	} while (q < end && is_space(*q));
	*p = q;
	f->n = (size_t)(q - f->p);
	if (q[-1] == '\n')
		f->n--;
	colon = memchr(f->p, ':', f->n);
	f->nname = colon ? name_of(f->p, (size_t)(colon - f->p)) : 0;
	f->value = colon ? (size_t)(colon - f->p) + 1 : 0;
	return f->nname ? 1 : -1;
}

static void
hash_name(br_sha256_context *c, const char *p, size_t n)
{
	char text[64];
	size_t i, k;

	for (; n; p += k, n -= k) {
		k = n < sizeof(text) ? n : sizeof(text);
		for (i = 0; i < k; i++)
			text[i] = (char)text_lower((unsigned char)p[i]);
		br_sha256_update(c, text, k);
	}
}

/* Some of a field: as it is, or made relaxed. */
static void
some(br_sha256_context *c, int how, int *space, const char *p, size_t n)
{
	size_t k;

	if (how == CANON_RELAXED) {
		words(c, space, p, n);
		return;
	}
	while ((k = line_of(p, n)) < n) {
		br_sha256_update(c, p, k);
		br_sha256_update(c, "\r\n", 2);
		p += k + 1;
		n -= k + 1;
	}
	br_sha256_update(c, p, n);
}

void
canon_field(br_sha256_context *c, int how, const struct canon_field *f, size_t from, size_t to)
{
	size_t at = 0;
	int space = 0;

	if (how == CANON_RELAXED) {
		hash_name(c, f->p, f->nname);
		br_sha256_update(c, ":", 1);
		for (at = f->value; at < f->n && (is_space(f->p[at]) || f->p[at] == '\n'); at++)
			;
	}
	if (at < from)
		some(c, how, &space, f->p + at, from - at);
	if (at < to)
		at = to;
	some(c, how, &space, f->p + at, f->n - at);
}

/* ---- a body ---- */

void
canon_body_init(struct canon_body *b, int how)
{
	br_sha256_init(&b->hash);
	b->how = how;
	b->blank = b->space = b->line = 0;
}

/* Blank lines count only if something follows: the hash as it was before them is kept. */
static void
line_end(struct canon_body *b)
{
	if (!b->line && !b->blank) {
		b->before = b->hash;
		b->blank = 1;
	}
	br_sha256_update(&b->hash, "\r\n", 2);
	b->line = b->space = 0;
}

/* Some of a line. */
static void
line(struct canon_body *b, const char *p, size_t n)
{
	size_t i = 0;

	if (b->how == CANON_RELAXED) {
		for (; i < n && is_space(p[i]); i++)
			b->space = 1;
	}
	if (i == n)
		return;
	b->line = 1;
	b->blank = 0;
	if (b->how == CANON_RELAXED)
		words(&b->hash, &b->space, p + i, n - i);
	else
		br_sha256_update(&b->hash, p, n);
}

void
canon_body(struct canon_body *b, const char *p, size_t n)
{
	size_t k;

	for (; n; p += k, n -= k) {
		k = line_of(p, n);
		line(b, p, k);
		if (k == n)
			break;
		line_end(b);
		k++;
	}
}

uint64_t
canon_body_hash(const struct canon_body *b, unsigned char hash[br_sha256_SIZE])
{
	br_sha256_context c = b->blank ? b->before : b->hash;
	uint64_t n;

	/* RFC 6376 3.4.3: with "simple", a body is never empty */
	if (b->line || (b->how == CANON_SIMPLE && !br_sha256_state(&c, hash)))
		br_sha256_update(&c, "\r\n", 2);
	n = br_sha256_state(&c, hash);
	br_sha256_out(&c, hash);
	return n;
}
