/* with: lib/alist.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Fields with addresses. Any bytes: cut anyhow they come to the same, and nothing is found in them
 * that was not there. What is found in a field without a fault is found again as it is, and among
 * names, comments, groups and folded lines.
 */
#include "fuzz.h"
#include "lib/alist.h"

enum { MOST = 1 << 14 };

struct seen {
	size_t n;			/* addresses */
	size_t octets;			/* of all of them, each with a NUL behind it */
	int bad;
	char b[2 * MOST];
};

static struct seen whole, cut, again;
static char dressed[64 * MOST];

static void
found(void *arg, const char *p, size_t n)
{
	struct seen *s = arg;

	HOLDS(n > 0 && n <= ALIST_TEXT && s->octets + n < sizeof(s->b));
	HOLDS(!memchr(p, '\r', n) && !memchr(p, '\n', n));
	memcpy(s->b + s->octets, p, n);
	s->octets += n;
	s->b[s->octets++] = '\0';
	s->n++;
}

/* seed 0: uncut. */
static void
run(struct seen *s, const char *p, size_t n, uint32_t seed)
{
	struct alist a;
	size_t at, k;

	s->n = s->octets = 0;
	alist_init(&a);
	a.found = found;
	a.arg = s;
	for (at = 0; at < n; at += k) {
		k = seed ? fuzz_piece(&seed, n - at) : n;
		alist_feed(&a, p + at, k);
	}
	alist_end(&a);
	s->bad = a.bad;
}

static int
same(const struct seen *a, const struct seen *b)
{
	return a->n == b->n && a->octets == b->octets && a->bad == b->bad &&
	    !memcmp(a->b, b->b, a->octets);
}

/* Its bytes are there, in their order. */
static void
within(const struct seen *s, const char *p, size_t n)
{
	size_t at = 0, i;

	for (i = 0; i < s->octets; i++) {
		if (!s->b[i])
			continue;
		while (at < n && p[at] != s->b[i])
			at++;
		HOLDS(at++ < n);
	}
}

static size_t
put(size_t at, const char *p)
{
	size_t n = strlen(p);

	HOLDS(at + n <= sizeof(dressed));
	memcpy(dressed + at, p, n);
	return at + n;
}

/* All that was found, as somebody else would write it. */
static void
dress(const struct seen *s, uint32_t seed)
{
	static const char *const before[] = {
		"", " ", "<", "A. N. Other <", "\"x\\\" <y@z>, \"\r\n <", "(c (d, \\( <e@f>) g) ",
		"a\r\n\tb (c)<", "=?utf-8?q?x?= \"y\"<"
	};
	static const char *const behind[] = {
		"", "\r\n ", " (x@y, \\) <z>)", ",", " , (k) ,\r\n\t"
	};
	const char *p, *end = s->b + s->octets, *w;
	int group = 0;
	size_t at = 0;

	for (p = s->b; p < end; p += strlen(p) + 1) {
		seed = seed * 1664525 + 1013904223;
		if (!group && seed >> 31) {
			at = put(at, "(a) Some \"g:\" :");
			group = 1;
		}
		/* a route, or what is nothing without brackets */
		w = before[strpbrk(p, ",:<>;") ? 2 + (seed >> 28) % 3 : (seed >> 28) % 8];
		at = put(put(at, w), p);
		if (strchr(w, '<') && w[strlen(w) - 1] == '<')
			at = put(at, ">");
		at = put(at, behind[(seed >> 24) % 5]);
		at = put(at, group && seed >> 30 & 1 ? ";" : ",");
		group &= !(seed >> 30 & 1);
	}
	if (group)
		at = put(at, ";");
	run(&again, dressed, at, seed | 1);
	HOLDS(same(s, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_seed(&data, &size);

	if (!size || size > MOST)
		return 0;
	run(&whole, (const char *)data, size, 0);
	run(&cut, (const char *)data, size, seed + 1);
	HOLDS(same(&whole, &cut));
	within(&whole, (const char *)data, size);
	if (!whole.bad && !memchr(data, '\0', size))
		dress(&whole, seed * 2654435761U);
	return 0;
}
