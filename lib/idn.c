/* See LICENSE file for copyright and licence details. */
/*
 * Punycode (RFC 3492), one way: a label's ASCII letters first, then, for each other character in
 * the order of their numbers, how far to go from the one before, as digits of a number with a base
 * that changes from digit to digit.
 */
#include <stdint.h>
#include <string.h>

#include "addr.h"
#include "idn.h"
#include "text.h"

enum {
	LABEL = 63,			/* RFC 1035 2.3.4 */
	BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72	/* RFC 3492 5 */
};

/* A name as it is written. */
struct name {
	char *p, *end;			/* end: room for the NUL is behind it */
	int full;			/* something did not fit */
};

static void
put(struct name *d, int ch)
{
	if (d->p < d->end)
		*d->p++ = (char)ch;
	else
		d->full = 1;
}

/* RFC 3492 6.1 */
static uint32_t
adapt(uint32_t delta, uint32_t points, int first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static void
put_number(struct name *d, uint32_t q, uint32_t bias)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint32_t k, t;

	for (k = BASE; ; k += BASE) {
		t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
		if (q < t)
			break;
		put(d, digits[t + (q - t) % (BASE - t)]);
		q = (q - t) / (BASE - t);
	}
	put(d, digits[q]);
}

/* RFC 3492 6.3. With at most LABEL characters delta cannot overflow. */
static void
punycode(struct name *d, const uint32_t *u, uint32_t n)
{
	uint32_t i, next, now = 0x80, delta = 0, bias = FIRST_BIAS, basic, done = 0;

	for (i = 0; i < n; i++)
		if (u[i] < 0x80) {
			put(d, text_lower((int)u[i]));
			done++;
		}
	basic = done;
	if (basic)
		put(d, '-');
	for (; done < n; now++, delta++) {
		for (next = UINT32_MAX, i = 0; i < n; i++)
			if (u[i] >= now && u[i] < next)
				next = u[i];
		delta += (next - now) * (done + 1);
		now = next;
		for (i = 0; i < n; i++) {
			delta += u[i] < now;
			if (u[i] != now)
				continue;
			put_number(d, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
}

/* The characters of a label: how many, or -1. */
static int
characters(uint32_t u[LABEL], const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t i, len;
	int k = 0;

	for (; n; s += len, n -= len) {
		len = *s < 0x80 ? 1 : addr_utf8((const char *)s, n);
		if (!len || k == LABEL)
			return -1;
		u[k] = len == 1 ? *s : *s & (0x7fu >> len);
		for (i = 1; i < len; i++)
			u[k] = u[k] << 6 | (s[i] & 0x3f);
		k++;
	}
	return k;
}

static int
label(struct name *d, const char *p, size_t n)
{
	const char *start = d->p;
	uint32_t u[LABEL];
	size_t i;
	int k;

	if (addr_ascii(p, n)) {
		for (i = 0; i < n; i++)
			put(d, text_lower((unsigned char)p[i]));
	} else {
		k = characters(u, p, n);
		if (k < 0)
			return -1;
		for (i = 0; i < 4; i++)
			put(d, "xn--"[i]);
		punycode(d, u, (uint32_t)k);
	}
	return d->full || d->p - start > LABEL ? -1 : 0;
}

int
idn_ascii(char *dst, size_t size, const char *p, size_t n)
{
	struct name d = { dst, dst + size - 1, 0 };
	const char *e = p + n, *dot;

	for (; ; p = dot + 1) {
		dot = memchr(p, '.', (size_t)(e - p));
		if (label(&d, p, (size_t)((dot ? dot : e) - p)) < 0)
			return -1;
		if (!dot)
			break;
		put(&d, '.');
	}
	*d.p = '\0';
	return 0;
}

int
idn_same(const char *a, size_t na, const char *b, size_t nb)
{
	char x[ADDR_DOMAIN + 1], y[ADDR_DOMAIN + 1];

	return text_ieq(a, na, b, nb) || (idn_ascii(x, sizeof(x), a, na) == 0 &&
	    idn_ascii(y, sizeof(y), b, nb) == 0 && !strcmp(x, y));
}
