/* with: lib/dot.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The end of DATA: tables, every combination of CR, LF, NUL, dot and a letter around an end of data
 * against a second machine written from the table in dot.h, and any split of the input.
 */
#include "lib/dot.h"
#include "test.h"

static char out[65536];

static const struct {
	const char *in;
	size_t n;
	const char *want;	/* NULL: bad */
	size_t eaten;		/* 0: it has not ended */
} t[] = {
	{ BYTES(".\r\n"), "", 3 },
	{ BYTES("\r\n.\r\n"), "\n", 5 },
	{ BYTES("a\r\n.\r\n"), "a\n", 6 },
	{ BYTES("a\r\n.\r\nQUIT\r\n"), "a\n", 6 },
	{ BYTES("a\r\n..\r\n.\r\n"), "a\n.\n", 10 },
	{ BYTES("..\r\n...\r\n.x\r\n.\r\n"), ".\n..\nx\n", 16 },
	{ BYTES(". \r\n.\r\n"), " \n", 7 },
	{ BYTES("a.\r\n.\r\n"), "a.\n", 7 },
	{ BYTES("a\r\n. .\r\n.\r\n"), "a\n .\n", 11 },
	{ BYTES("a\r\n"), "a\n", 0 },
	{ BYTES("a\r\n.\r"), "a\n", 0 },
	{ BYTES("a\r\n."), "a\n", 0 },
	{ BYTES("a\r"), "a", 0 },
	/* smuggling: none of these ends anything */
	{ BYTES("a\n.\nb\r\n.\r\n"), NULL, 10 },
	{ BYTES("a\r.\rb\r\n.\r\n"), NULL, 10 },
	{ BYTES("a\r\n.\nb\r\n.\r\n"), NULL, 11 },
	{ BYTES("a\n.\r\nb\r\n.\r\n"), NULL, 11 },
	{ BYTES("a\r.\r\nb\r\n.\r\n"), NULL, 11 },
	{ BYTES("a\r\n.\rb\r\n.\r\n"), NULL, 11 },
	{ BYTES("a\r\n.\r\r\n.\r\n"), NULL, 10 },
	{ BYTES("a\n\n.\r\nb\r\n.\r\n"), NULL, 12 },
	{ BYTES("a\r\r\n.\r\n"), NULL, 7 },
	{ BYTES("a\r\n\0.\r\nb\r\n.\r\n"), "a\n\0.\nb\n", 13 },
	{ BYTES("a\r\n.\0\r\nb\r\n.\r\n"), "a\n\0\nb\n", 13 },
	{ BYTES("a\r\0\n.\r\nb\r\n.\r\n"), NULL, 13 },
	{ BYTES("a\r\n.\r\0\nb\r\n.\r\n"), NULL, 13 },
	{ BYTES("\n"), NULL, 0 },
	{ BYTES("\r"), "", 0 },
	{ BYTES("\rx"), NULL, 0 },
};

/* The table of dot.h, word by word: bytes are judged one at a time. */
struct slow {
	enum dot_state s;
	int bad;
	size_t o;
	char out[65536];
};

static void
emit(struct slow *m, char ch)
{
	m->out[m->o++] = ch;
}

static void
slow_byte(struct slow *m, char ch)
{
	int cr, lf, dot;

	cr = ch == '\r';
	lf = ch == '\n';
	dot = ch == '.';
	switch (m->s) {
	case DOT_BOL:
		if (cr) { m->s = DOT_CR; }
		else if (lf) { m->bad = 1; m->s = DOT_TEXT; }
		else if (dot) { m->s = DOT_DOT; }
		else { emit(m, ch); m->s = DOT_TEXT; }
		break;
	case DOT_TEXT:
		if (cr) { m->s = DOT_CR; }
		else if (lf) { m->bad = 1; }
		else { emit(m, ch); }
		break;
	case DOT_CR:
		if (cr) { m->bad = 1; }
		else if (lf) { emit(m, ch); m->s = DOT_BOL; }
		else { m->bad = 1; m->s = DOT_TEXT; }
		break;
	case DOT_DOT:
		if (cr) { m->s = DOT_DOTCR; }
		else if (lf) { m->bad = 1; m->s = DOT_TEXT; }
		else { emit(m, ch); m->s = DOT_TEXT; }
		break;
	case DOT_DOTCR:
		if (cr) { m->bad = 1; m->s = DOT_CR; }
		else if (lf) { m->s = DOT_END; }
		else { m->bad = 1; m->s = DOT_TEXT; }
		break;
	case DOT_END:
		break;
	}
}

static size_t
slow_feed(struct slow *m, const char *in, size_t n)
{
	size_t i;

	m->s = DOT_BOL;
	m->bad = 0;
	m->o = 0;
	for (i = 0; i < n && m->s != DOT_END; i++)
		slow_byte(m, in[i]);
	return i;
}

/* What came out, if it is of use to anyone, and the state. */
static size_t
machine(char *res, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct dot d;
	size_t at, eat, o;

	dot_init(&d);
	o = 0;
	for (at = 0; at < n && d.s != DOT_END; at += eat) {
		eat = test_piece(c, at, n);
		o += dot_feed(&d, out + o, in + at, &eat);
		if (!eat || o > at + eat)
			CHECK_MSG(0, "no progress, or more out than in");
	}
	if (d.bad)
		o = 0;
	memcpy(res, out, o);
	return o + (size_t)snprintf(res + o, size - o, " %d %d %lu", d.s, d.bad, (unsigned long)at);
}

static void
tables(void)
{
	static char copy[256];
	struct dot d;
	size_t i, n, o;

	for (i = 0; i < LEN(t); i++) {
		dot_init(&d);
		n = t[i].n;
		o = dot_feed(&d, out, t[i].in, &n);
		CHECK_MSG(n == (t[i].eaten ? t[i].eaten : t[i].n), "row %d: %d bytes eaten", (int)i,
		    (int)n);
		CHECK_MSG((d.s == DOT_END) == (t[i].eaten != 0), "row %d: ended or not", (int)i);
		CHECK_MSG(d.bad == !t[i].want, "row %d: bad is %d", (int)i, d.bad);
		if (t[i].want && strlen(t[i].want) == o)
			CHECK_MEM(out, o, t[i].want, strlen(t[i].want));
		/* the output may be written over the input */
		memcpy(copy, t[i].in, t[i].n);
		n = t[i].n;
		dot_init(&d);
		CHECK(dot_feed(&d, copy, copy, &n) == o && !memcmp(copy, out, o));
		CHECK_SPLIT(machine, t[i].in, t[i].n);
	}
	dot_init(&d);
	n = 0;
	CHECK(dot_feed(&d, out, "", &n) == 0 && n == 0 && d.s == DOT_BOL);
	d.s = DOT_END;
	n = 3;
	CHECK(dot_feed(&d, out, "abc", &n) == 0 && n == 0);
}

/* All strings of 9 bytes over five letters, each behind nothing and behind a line. */
static void
combinations(void)
{
	static const char letter[] = { '\r', '\n', '.', 'x', '\0' };
	static struct slow m;
	struct dot d;
	char in[16];
	size_t i, j, v, n, o, eaten;
	unsigned long wrong;

	wrong = 0;
	for (i = 0; i < 2 * 1953125; i++) {
		v = i / 2;
		n = 0;
		if (i % 2) {
			memcpy(in, "a\r\n", 3);
			n = 3;
		}
		for (j = 0; j < 9; j++, v /= 5)
			in[n++] = letter[v % 5];
		eaten = slow_feed(&m, in, n);
		dot_init(&d);
		j = n;
		o = dot_feed(&d, out, in, &j);
		wrong += j != eaten || d.s != m.s || d.bad != m.bad;
		wrong += !d.bad && (o != m.o || memcmp(out, m.out, o) != 0);
	}
	CHECK_INT(wrong, 0);
}

/* Long random bodies made of the pieces that matter. */
static void
random_bodies(void)
{
	static const char *const part[] = {
		"\r\n", "\r\n", "\r\n", ".", "..", "\r", "\n",
		"text of some length", "x", "\r\n.\r\n"
	};
	static char in[40000];
	static struct slow m;
	uint64_t seed;
	size_t n, len;
	int round, k, kinds;

	seed = 7;
	for (round = 0; round < 200; round++) {
		/* most rounds have no bare CR or LF, or bodies would all be bad */
		kinds = round % 4 ? 5 : (int)LEN(part);
		for (n = 0; n < (size_t)(round % 8 ? 300 : 20000); n += len) {
			k = (int)(test_random(&seed) % (uint32_t)kinds);
			k = kinds == 5 && test_random(&seed) % 2 ? 7 : k;
			len = strlen(part[k]);
			memcpy(in + n, part[k], len);
		}
		if (round % 4)
			n += (size_t)snprintf(in + n, sizeof(in) - n, "\r\n.\r\nNOOP\r\n");
		CHECK_SPLIT(machine, in, n);
		slow_feed(&m, in, n);
		len = n;
		{
			struct dot d;
			size_t o;

			dot_init(&d);
			o = dot_feed(&d, out, in, &len);
			CHECK(d.s == m.s && d.bad == m.bad);
			if (!m.bad)
				CHECK_MEM(out, o, m.out, m.o);
		}
	}
}

/* BDAT: the same machine, but dots are text and nothing ends it. */
static size_t
chunk_machine(char *res, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct dot d;
	size_t at, eat, o;

	dot_init(&d);
	d.chunks = 1;
	o = 0;
	for (at = 0; at < n; at += eat) {
		eat = test_piece(c, at, n);
		o += dot_feed(&d, out + o, in + at, &eat);
		if (!eat || o > at + eat)
			CHECK_MSG(0, "no progress, or more out than in");
	}
	if (d.bad)
		o = 0;
	memcpy(res, out, o);
	return o + (size_t)snprintf(res + o, size - o, " %d %d", d.s, d.bad);
}

static void
chunks(void)
{
	static const struct {
		const char *in;
		size_t n;
		const char *want;
	} table[] = {
		{ BYTES(".\r\n"), ".\n 0 0" },
		{ BYTES("a\r\n.\r\n..\r\n."), "a\n.\n..\n. 1 0" },
		{ BYTES("a\r"), "a 2 0" },
		{ BYTES("a\r\n.\nb"), " 1 1" },
		{ BYTES("\n"), " 1 1" },
		{ BYTES("\r\r"), " 2 1" },
		{ BYTES("\r."), " 1 1" },
		{ BYTES("\r\n\r\n.\r\n\r\n"), "\n\n.\n\n 0 0" },
	};
	struct cut whole = { 1 << 20, 1 << 20 };
	char got[64];
	size_t i, n;

	for (i = 0; i < LEN(table); i++) {
		n = chunk_machine(got, sizeof(got), table[i].in, table[i].n, &whole);
		CHECK_MEM(got, n, table[i].want, strlen(table[i].want));
		CHECK_SPLIT(chunk_machine, table[i].in, table[i].n);
	}
}

int
main(void)
{
	chunks();
	tables();
	combinations();
	random_bodies();
	return test_end();
}
