/* with: lib/dot.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The end of DATA. Any bytes: cut anyhow it comes to the same, it ends exactly at the first
 * CR LF . CR LF, and a body without bare CR and LF, stuffed as a client does, comes out as it was.
 */
#include "fuzz.h"
#include "lib/dot.h"

enum { MOST = 1 << 16 };

static char whole[MOST], cut[MOST], stuffed[3 * MOST], text[MOST];

static void
splits(const char *p, size_t n, uint32_t seed)
{
	struct dot a, b;
	size_t na, nb, ea, at, eat;

	dot_init(&a);
	ea = n;
	na = dot_feed(&a, whole, p, &ea);
	HOLDS(ea <= n && na <= ea);
	HOLDS(a.s == DOT_END || ea == n);
	dot_init(&b);
	nb = 0;
	for (at = 0; at < n && b.s != DOT_END; at += eat) {
		eat = fuzz_piece(&seed, n - at);
		nb += dot_feed(&b, cut + nb, p + at, &eat);
	}
	HOLDS(at == ea && a.s == b.s && a.bad == b.bad);
	HOLDS(a.bad || (na == nb && !memcmp(whole, cut, na)));
}

/* Where is the end? -1: nowhere. */
static long
find_end(const char *p, size_t n)
{
	size_t i;

	if (n >= 3 && !memcmp(p, ".\r\n", 3))
		return 3;
	for (i = 0; i + 5 <= n; i++) {
		if (!memcmp(p + i, "\r\n.\r\n", 5))
			return (long)(i + 5);
	}
	return -1;
}

static void
ends(const char *p, size_t n)
{
	struct dot d;
	size_t eaten;
	long end;

	dot_init(&d);
	eaten = n;
	(void)dot_feed(&d, whole, p, &eaten);
	end = find_end(p, n);
	HOLDS((d.s == DOT_END) == (end >= 0));
	HOLDS(end < 0 || (size_t)end == eaten);
}

/* The input as a text of LF lines, sent as a client does. */
static void
there_and_back(const char *p, size_t n)
{
	struct dot d;
	size_t i, o, eaten, bol, len;

	o = len = 0;
	bol = 1;
	for (i = 0; i < n; i++) {
		if (p[i] == '\r')
			continue;
		text[len++] = p[i];
		if (bol && p[i] == '.')
			stuffed[o++] = '.';
		if (p[i] == '\n')
			stuffed[o++] = '\r';
		stuffed[o++] = p[i];
		bol = p[i] == '\n';
	}
	if (!bol) {
		memcpy(stuffed + o, "\r\n", 2);
		o += 2;
		text[len++] = '\n';
	}
	memcpy(stuffed + o, ".\r\nQUIT\r\n", 9);
	dot_init(&d);
	eaten = o + 9;
	HOLDS(dot_feed(&d, stuffed, stuffed, &eaten) == len);	/* in place */
	HOLDS(d.s == DOT_END && !d.bad && eaten == o + 3);
	HOLDS(!memcmp(stuffed, text, len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed;

	seed = fuzz_seed(&data, &size);
	if (size >= MOST)
		return 0;
	splits((const char *)data, size, seed);
	ends((const char *)data, size);
	there_and_back((const char *)data, size);
	return 0;
}
