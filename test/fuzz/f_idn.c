/* with: lib/idn.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Domain names beyond ASCII. What is written is ASCII in lower case, label by label of the right
 * length, its own form, and read by a decoder of Punycode (RFC 3492 6.2) it is what went in. Two
 * names are the same whichever of them stands first and however they are written.
 */
#include "fuzz.h"
#include "lib/addr.h"
#include "lib/idn.h"
#include "lib/text.h"

enum { LABEL = 63, MOST = 400 };

static uint32_t
adapt(uint32_t delta, uint32_t points, int first)
{
	uint32_t k;

	delta /= first ? 700 : 2;
	delta += delta / points;
	for (k = 0; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

/* The characters of a label as UTF-8: its length. */
static size_t
utf8(char *dst, const uint32_t *u, size_t n)
{
	size_t at = 0, i, k, len;

	for (i = 0; i < n; i++) {
		len = u[i] < 0x80 ? 1 : u[i] < 0x800 ? 2 : u[i] < 0x10000 ? 3 : 4;
		HOLDS(u[i] < 0x110000);
		for (k = len; k > 1; k--)
			dst[at + k - 1] = (char)(0x80 | (u[i] >> (6 * (len - k)) & 0x3f));
		dst[at] = (char)(u[i] >> (6 * (len - 1)) | (len > 1 ? 0xf00u >> len & 0xff : 0));
		at += len;
	}
	return at;
}

/* What stands behind "xn--", as characters: how many. */
static size_t
decode(uint32_t u[LABEL], const char *p, size_t n)
{
	uint32_t at = 0, bias = 72, ch = 0x80, digit, k, t, was, weight;
	size_t done = 0, i = 0, dash;

	for (dash = n; dash > 0 && p[dash - 1] != '-'; dash--)
		;
	for (; dash && i < dash - 1; i++)
		u[done++] = (unsigned char)p[i];
	for (i = dash; i < n; done++) {
		was = at;
		for (weight = 1, k = 36;; k += 36) {
			HOLDS(i < n && text_alnum(p[i]));
			digit = (uint32_t)(p[i] >= 'a' ? p[i] - 'a' : p[i] - '0' + 26);
			i++;
			at += digit * weight;
			t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			if (digit < t)
				break;
			weight *= 36 - t;
		}
		bias = adapt(at - was, (uint32_t)done + 1, !was);
		ch += at / ((uint32_t)done + 1);
		at %= (uint32_t)done + 1;
		HOLDS(done < LABEL);
		memmove(u + at + 1, u + at, (done - at) * sizeof(*u));
		u[at++] = ch;
	}
	return done;
}

/* One label, as it was and as it came out. */
static void
label(const char *in, size_t nin, const char *p, size_t n)
{
	char back[4 * LABEL + 1];
	uint32_t u[LABEL];
	size_t i, k;

	HOLDS(n <= LABEL);
	for (i = 0; i < n; i++)
		HOLDS(!(p[i] & 0x80) && text_lower(p[i]) == p[i]);
	if (addr_ascii(in, nin)) {
		HOLDS(text_ieq(in, nin, p, n));
		return;
	}
	HOLDS(n > 4 && !memcmp(p, "xn--", 4));
	k = decode(u, p + 4, n - 4);
	k = utf8(back, u, k);
	HOLDS(text_ieq(in, nin, back, k));
}

static void
one(const char *in, size_t n)
{
	char dst[ADDR_DOMAIN + 1], same[ADDR_DOMAIN + 1];
	const char *e, *end = in + n, *o = dst, *q;
	size_t len;

	if (idn_ascii(dst, sizeof(dst), in, n) < 0)
		return;
	len = strlen(dst);
	HOLDS(len < sizeof(dst));
	for (;; in = e + 1, o = q + 1) {
		e = memchr(in, '.', (size_t)(end - in));
		q = strchr(o, '.');
		HOLDS(!e == !q);
		e = e ? e : end;
		q = q ? q : dst + len;
		label(in, (size_t)(e - in), o, (size_t)(q - o));
		if (e == end)
			break;
	}
	HOLDS(idn_ascii(same, len + 1, dst, len) == 0 && !strcmp(same, dst));
	HOLDS(!len || idn_ascii(same, len, dst, len) < 0);
	HOLDS(idn_same(dst, len, end - n, n) && idn_same(end - n, n, dst, len));
}

/* The first byte says where the input is cut into two names. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char x[ADDR_DOMAIN + 1], y[ADDR_DOMAIN + 1];
	const char *a, *b;
	size_t na, nb;
	int good, s;

	if (size < 2 || size > MOST || memchr(data + 1, '\0', size - 1))
		return 0;
	a = (const char *)data + 1;
	na = data[0] % size;
	b = a + na;
	nb = size - 1 - na;
	one(a, na);
	one(b, nb);
	one(a, size - 1);
	s = idn_same(a, na, b, nb);
	good = idn_ascii(x, sizeof(x), a, na) == 0 && idn_ascii(y, sizeof(y), b, nb) == 0;
	HOLDS(s == idn_same(b, nb, a, na) && idn_same(a, na, a, na));
	HOLDS(s == ((good && !strcmp(x, y)) || text_ieq(a, na, b, nb)));
	return 0;
}
