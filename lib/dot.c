/* See LICENSE file for copyright and licence details. */
/*
 * The body of DATA, RFC 5321 4.1.1.4 and 4.5.2: only CR LF . CR LF ends it; and that of BDAT.
 * Within a line all up to the next CR is copied at once; the bytes around a line end go through the
 * table of dot.h.
 */
#include <string.h>

#include "dot.h"
#include "vec.h"

void
dot_init(struct dot *d)
{
	d->s = DOT_BOL;
	d->bad = d->chunks = 0;
}

/* What is at hand of a line, up to a CR: its length. A bare LF changes nothing but `bad`. */
static size_t
text(struct dot *d, char *out, size_t *o, const char *in, size_t n)
{
	const char *cr;
	size_t len;

	if (!d->bad) {
		len = vec_copy(out + *o, in, n, '\r', '\n');
		*o += len;
		if (len == n || in[len] == '\r')
			return len;
		d->bad = 1;
	}
	cr = memchr(in, '\r', n);
	return cr ? (size_t)(cr - in) : n;
}

/* One byte in a state other than TEXT and END: the next state; 1 in *emit when it is text. */
static enum dot_state
step(struct dot *d, char ch, int *emit)
{
	enum dot_state s;

	s = d->s;
	*emit = 0;
	if (ch == '\r') {
		d->bad |= s == DOT_CR || s == DOT_DOTCR;
		return s == DOT_DOT ? DOT_DOTCR : DOT_CR;
	}
	if (ch == '\n') {
		if (s == DOT_DOTCR)
			return DOT_END;
		*emit = s == DOT_CR;
		d->bad |= s != DOT_CR;
		return s == DOT_CR ? DOT_BOL : DOT_TEXT;
	}
	if (ch == '.' && s == DOT_BOL && !d->chunks)
		return DOT_DOT;
	*emit = 1;
	d->bad |= s == DOT_CR || s == DOT_DOTCR;
	return DOT_TEXT;
}

size_t
dot_feed(struct dot *d, char *out, const char *in, size_t *n)
{
	size_t i, o;
	int emit;

	i = o = 0;
	while (i < *n && d->s != DOT_END) {
		if (d->s == DOT_TEXT) {
			i += text(d, out, &o, in + i, *n - i);
			if (i == *n)
				break;
		}
		d->s = step(d, in[i], &emit);
		if (emit && !d->bad)
			out[o++] = in[i];
		i++;
	}
	*n = i;
	return o;
}
