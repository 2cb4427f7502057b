/* See LICENSE file for copyright and licence details. */
/*
 * The frame of the unit tests. A program is tables of {input, expected} and checks; each failure is
 * printed with its place, and the last line says "N passed, N failed" (and what was skipped).
 * main() ends with `return test_end();`.
 */
#ifndef TEST_H
#define TEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEN(a) (sizeof(a) / sizeof(*(a)))

/* A string constant that may hold NULs: pointer and length. */
#define BYTES(s) (s), sizeof(s) - 1

/* All evaluate to 1 when the check has passed. The text after the condition is printf's. */
#define CHECK(ok) test_check((ok) != 0, __FILE__, __LINE__, "%s", #ok)
#define CHECK_MSG(ok, ...) test_check((ok) != 0, __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_INT(got, want) \
	test_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got)
#define CHECK_STR(got, want) \
	test_mem((got), strlen(got), (want), strlen(want), __FILE__, __LINE__, #got)
#define CHECK_MEM(got, ngot, want, nwant) \
	test_mem((got), (ngot), (want), (nwant), __FILE__, __LINE__, #got)
#define CHECK_SPLIT(machine, in, n) test_split((machine), (in), (n), __FILE__, __LINE__)

/* How an input is to be cut: the first piece is `first` bytes long, those after it `step`. */
struct cut {
	size_t first, step;
};

/*
 * A machine for CHECK_SPLIT: feed in[0..n) to a new one in pieces as test_piece() says, write what
 * came out and the state it is left in to out, return how many bytes that is.
 */
typedef size_t machine_fn(char *out, size_t size, const char *in, size_t n, const struct cut *c);

static unsigned long test_passed, test_failed, test_skipped;

static inline int test_check(int ok, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* stdarg only here: the programs need not care. */
#include <stdarg.h>

static inline int
test_check(int ok, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (ok) {
		test_passed++;
		return 1;
	}
	test_failed++;
	printf("%s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return 0;
}

static inline void
test_show(const char *what, const void *p, size_t n)
{
	const unsigned char *s;
	size_t i;

	s = p;
	printf("\t%s %lu: \"", what, (unsigned long)n);
	for (i = 0; i < n && i < 400; i++) {
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\' || s[i] == '"')
			printf("\\x%02x", s[i]);
		else
			putchar(s[i]);
	}
	printf("\"%s\n", i < n ? "..." : "");
}

static inline int
test_int(long long got, long long want, const char *file, int line, const char *what)
{
	return test_check(got == want, file, line, "%s: got %lld, want %lld", what, got, want);
}

static inline int
test_mem(const void *got, size_t ngot, const void *want, size_t nwant, const char *file, int line,
    const char *what)
{
	const unsigned char *g, *w;
	size_t i;

	g = got;
	w = want;
	if (test_check(ngot == nwant && (!ngot || !memcmp(got, want, ngot)), file, line,
	    "%s differs", what))
		return 1;
	for (i = 0; i < ngot && i < nwant && g[i] == w[i]; i++)
		;
	printf("\tfrom byte %lu of %lu, want %lu:\n", (unsigned long)i, (unsigned long)ngot,
	    (unsigned long)nwant);
	i = i < 80 ? 0 : i - 40;
	test_show("got ", g + i, ngot - i);
	test_show("want", w + i, nwant - i);
	return 0;
}

/* How many bytes the next piece has when `at` of n bytes have been fed. */
static inline size_t
test_piece(const struct cut *c, size_t at, size_t n)
{
	size_t piece;

	piece = at < c->first ? c->first - at : c->step;
	return piece < n - at ? piece : n - at;
}

/*
 * The machine is fed uncut, cut at each position (at 2,000 of them spread out when the input is
 * long), and in pieces of 1, 2, 3, 5, 7, 63, 64, 65 and 129 bytes: each time it must come to the
 * same. Counts as one check.
 */
static inline int
test_split(machine_fn *machine, const char *in, size_t n, const char *file, int line)
{
	static const size_t steps[] = { 1, 2, 3, 5, 7, 63, 64, 65, 129 };
	struct cut c;
	size_t size, nwant, ngot, i, jump;
	char *want, *got;
	int ok;

	size = 4 * n + 65536;
	want = malloc(size);
	got = malloc(size);
	if (!want || !got)
		abort();
	c.first = c.step = n ? n : 1;
	nwant = machine(want, size, in, n, &c);
	jump = n / 2000 + 1;
	ok = 1;
	for (i = 0; ok && i < n + LEN(steps) * jump; i += jump) {
		c.first = i < n ? i : 0;
		c.step = i < n ? n : steps[(i - n) / jump % LEN(steps)];
		ngot = machine(got, size, in, n, &c);
		ok = ngot == nwant && !memcmp(got, want, nwant);
	}
	test_check(ok, file, line, "cut at %lu, then by %lu: another result",
	    (unsigned long)c.first, (unsigned long)c.step);
	if (!ok) {
		test_show("in  ", in, n);
		test_show("cut ", got, ngot);
		test_show("want", want, nwant);
	}
	free(want);
	free(got);
	return ok;
}

/* Pseudo-random numbers, the same in every run: xorshift64*. */
static inline uint32_t
test_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(*seed * UINT64_C(2685821657736338717) >> 32);
}

/*
 * The path of a file or directory of others' test data, from the environment's VECTORS. NULL, and
 * one check counted as skipped, when it is not there. Static memory.
 */
static inline const char *
test_vectors(const char *name)
{
	static char path[4096];
	const char *dir;
	FILE *f;

	dir = getenv("VECTORS");
	if (dir && *dir && snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path)) {
		f = fopen(path, "r");
		if (f) {
			fclose(f);
			return path;
		}
	}
	test_skipped++;
	return NULL;
}

/* The whole of a file, NUL-terminated, malloc'ed; NULL if it cannot be read. */
static inline char *
test_slurp(const char *path, size_t *n)
{
	FILE *f;
	char *p, *q;
	size_t size, got;

	f = fopen(path, "rb");
	if (!f)
		return NULL;
	size = 65536;
	p = malloc(size);
	*n = 0;
	while (p && (got = fread(p + *n, 1, size - *n - 1, f)) > 0) {
		*n += got;
		if (size - *n > 1)
			continue;
		size *= 2;
		q = realloc(p, size);
		if (!q)
			free(p);
		p = q;
	}
	fclose(f);
	if (p)
		p[*n] = '\0';
	return p;
}

static inline int
test_end(void)
{
	printf("%lu passed, %lu failed", test_passed, test_failed);
	if (test_skipped)
		printf(", %lu skipped", test_skipped);
	putchar('\n');
	return test_failed != 0;
}

#endif
