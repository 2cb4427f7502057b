/* with: lib/milter.c lib/reply.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Packets of the milter protocol: what is written, octet by octet; what is read, however it is cut;
 * tables of fields, addresses and replies that filters want, good and bad.
 */
#include "lib/milter.h"
#include "test.h"

static char mem[300], text[1 << 16];
static size_t ntext;
static int refuse;

static int
body(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (refuse)
		return -1;
	if (!p) {
		memcpy(text + ntext, "<", 1);
		n = 1;
	} else {
		memcpy(text + ntext, p, n);
	}
	ntext += n;
	return 0;
}

static void
begin(struct milter_in *m)
{
	memset(m, 0, sizeof(*m));
	m->end = mem + sizeof(mem);
	m->room = sizeof(mem);
	m->body = body;
	ntext = 0;
}

static void
test_out(void)
{
	char b[32];
	struct milter_out o = { b, sizeof(b), 0, 0, 0 };

	milter_begin(&o, 'O');
	milter_put(&o, "\1\2\3\4", 4);
	milter_end(&o, 0);
	milter_begin(&o, 'H');
	milter_string(&o, "x.y");
	milter_end(&o, 0);
	milter_begin(&o, 'B');
	milter_end(&o, 65535);
	CHECK(!o.full);
	CHECK_MEM(b, o.n, "\0\0\0\5O\1\2\3\4\0\0\0\5Hx.y\0\0\1\0\0B", 23);
	milter_begin(&o, 'N');
	milter_end(&o, 0);
	CHECK(!o.full && o.n == 28);
	milter_begin(&o, 'N');
	milter_end(&o, 0);
	CHECK(o.full && o.n == 32);
}

/* All packets as text: "what:data|", "BAD". */
static size_t
packets(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t at, piece, take, o = 0;
	enum milter_got got = MILTER_MORE;
	struct milter_in m;
	char exact[512];

	begin(&m);
	for (at = 0; at < n && got != MILTER_BAD; at += piece) {
		piece = test_piece(cut, at, n);
		take = 0;
		while (got != MILTER_BAD && take < piece) {
			size_t k = piece - take;

			/* in memory of its own, for the sanitizer */
			if (k > sizeof(exact))
				k = sizeof(exact);
			memcpy(exact, in + at + take, k);
			got = milter_feed(&m, exact, &k);
			take += k;
			if (got != MILTER_READY)
				continue;
			o += (size_t)snprintf(out + o, size - o, "%c:", m.what);
			if (m.what != 'b') {
				memcpy(out + o, m.data, m.n);
				o += m.n;
				CHECK(m.data[m.n] == '\0' && m.data + m.n + 1 == m.end);
			}
			out[o++] = '|';
		}
	}
	if (got == MILTER_BAD)
		o += (size_t)snprintf(out + o, size - o, "BAD");
	memcpy(out + o, text, ntext);
	return o + ntext;
}

static const struct {
	const char *in;
	size_t n;
	const char *out;
	size_t nout;
} streams[] = {
	{ BYTES("\0\0\0\1c"), BYTES("c:|") },
	{ BYTES("\0\0\0\1c\0\0\0\1p\0\0\0\5qwhy\0\0\0\0\1a"), BYTES("c:|p:|q:why\0|a:|") },
	{ BYTES("\0\0\0\0c"), BYTES("BAD") },
	{ BYTES("\377\377\377\377c"), BYTES("BAD") },
	{ BYTES("\0\0\1\55c"), BYTES("BAD") },		/* 300 octets of data and a NUL */
	{ BYTES("\0\0\0\4ba\r\n\0\0\0\1c"), BYTES("b:|c:|<a\r\n") },
	{ BYTES("\0\0\0\1b\0\0\0\1c"), BYTES("b:|c:|<") },
	/* line ends over packets, and LF alone */
	{ BYTES("\0\0\0\3ba\r\0\0\0\3b\nb\0\0\0\1c"), BYTES("b:|b:|c:|<a\r\nb") },
	{ BYTES("\0\0\0\6ba\n\nb\n\0\0\0\2b\n"), BYTES("b:|b:|<a\r\n\r\nb\r\n\r\n") },
	{ BYTES("\0\0\0\6ba\rb\n\n"), BYTES("BAD<") },
	{ BYTES("\0\0\0\3ba\r\0\0\0\2bx"), BYTES("b:|BAD<a\r") },
	{ BYTES("\0\0\0\5b\r\r\n\n"), BYTES("BAD<") },
	{ BYTES("\0\0\0\5b\0\377.\n"), BYTES("b:|<\0\377.\r\n") },
};

static void
test_in(void)
{
	struct cut whole = { 1 << 20, 1 << 20 };
	char out[1024], big[4096];
	struct milter_in m;
	size_t i, n;

	for (i = 0; i < LEN(streams); i++) {
		n = packets(out, sizeof(out), streams[i].in, streams[i].n, &whole);
		/* what a bad body had before it depends on the cuts: nothing is made of it */
		if (strstr(streams[i].out, "BAD")) {
			CHECK(n >= 3 && memmem(out, n, "BAD", 3));
		} else {
			CHECK_MEM(out, n, streams[i].out, streams[i].nout);
			CHECK_SPLIT(packets, streams[i].in, streams[i].n);
		}
	}
	/* the largest that fits */
	memset(big, 'x', sizeof(big));
	memcpy(big, "\0\0\1\54q", 5);
	n = packets(out, sizeof(out), big, 4 + 300, &whole);
	CHECK(n == 2 + 299 + 1 && out[0] == 'q' && out[n - 1] == '|');
	/* a body that is not wanted, at its beginning and later */
	begin(&m);
	refuse = 1;
	n = 5;
	CHECK(milter_feed(&m, "\0\0\0\3b", &n) == MILTER_BAD);
	refuse = 0;
	begin(&m);
	n = 5;
	CHECK(milter_feed(&m, "\0\0\0\3b", &n) == MILTER_MORE);
	refuse = 1;
	n = 2;
	CHECK(milter_feed(&m, "ab", &n) == MILTER_BAD);
	refuse = 0;
}

/* A packet as it is after milter_feed(). */
static struct milter_in
packet(char what, const char *data, size_t n)
{
	struct milter_in m;
	char head[5] = { 0, 0, 0, 0, what };
	size_t k;

	begin(&m);
	head[2] = (char)((n + 1) >> 8);
	head[3] = (char)(n + 1);
	k = 5;
	(void)milter_feed(&m, head, &k);
	k = n;
	CHECK(!n || milter_feed(&m, data, &k) == MILTER_READY);
	return m;
}

static void
test_options(void)
{
	static const struct {
		const char *data;
		size_t n;
		int want;
	} t[] = {
		{ BYTES("\0\0\0\6\0\0\1\377\0\37\377\377"), 0 },
		{ BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j {x}\0"), 0 },
		{ BYTES("\0\0\0\2\0\0\0\77\0\0\0\177"), 0 },
		{ BYTES("\0\0\0\1\0\0\0\77\0\0\0\177"), -1 },
		{ BYTES("\0\0\0\7\0\0\0\77\0\0\0\177"), -1 },
		{ BYTES("\0\0\0\6\0\0\2\0\0\0\0\0"), -1 },
		{ BYTES("\0\0\0\6\0\0\0\0\20\0\0\0"), -1 },
		{ BYTES("\0\0\0\6\0\0\0\0\0\0\0"), -1 },
	};
	uint32_t version, actions, steps;
	struct milter_in m;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		m = packet('O', t[i].data, t[i].n);
		CHECK_INT(milter_options(&m, &version, &actions, &steps), t[i].want);
	}
	m = packet('O', t[0].data, t[0].n);
	CHECK(milter_options(&m, &version, &actions, &steps) == 0 && version == 6 &&
	    actions == MILTER_ACTIONS && steps == MILTER_STEPS);
	m = packet('c', t[0].data, t[0].n);
	CHECK_INT(milter_options(&m, &version, &actions, &steps), -1);
}

static void
test_change(void)
{
	static const struct {
		char what;
		const char *data;
		size_t n;
		int want;
		const char *a, *b;
		uint32_t index;
	} t[] = {
		{ 'h', BYTES("X\0v\0"), 1, "X", "v", 0 },
		{ 'h', BYTES("X\0v"), 1, "X", "v", 0 },
		{ 'h', BYTES("X\0\0"), 1, "X", "", 0 },
		{ 'h', BYTES("X\0"), -1, "", "", 0 },
		{ 'h', BYTES("X"), -1, "", "", 0 },
		{ 'h', BYTES(""), -1, "", "", 0 },
		{ 'h', BYTES("X\0v\0w\0"), -1, "", "", 0 },
		{ 'i', BYTES("\0\0\1\2X\0v\0"), 1, "X", "v", 258 },
		{ 'i', BYTES("\0\0\1"), -1, "", "", 0 },
		{ 'm', BYTES("\377\377\377\377X\0\0"), 1, "X", "", 0xffffffff },
		{ 'm', BYTES("\0\0\0\1"), -1, "", "", 0 },
		{ '+', BYTES("a@b\0"), 1, "a@b", "", 0 },
		{ '+', BYTES("a@b\0x\0"), -1, "", "", 0 },
		{ '2', BYTES("a@b\0NOTIFY=NEVER\0"), 1, "a@b", "NOTIFY=NEVER", 0 },
		{ '2', BYTES("a@b\0"), 1, "a@b", "", 0 },
		{ '-', BYTES("<a@b>"), 1, "<a@b>", "", 0 },
		{ 'e', BYTES("<>\0"), 1, "<>", "", 0 },
		{ 'e', BYTES("\0"), 1, "", "", 0 },
		{ 'q', BYTES("why\0"), 1, "why", "", 0 },
		{ 'y', BYTES("550 x\0"), 1, "550 x", "", 0 },
		{ 'c', BYTES(""), 0, "", "", 0 },
		{ 'b', BYTES(""), 0, "", "", 0 },
		{ 'Z', BYTES("x"), 0, "", "", 0 },
	};
	struct milter_change c;
	struct milter_in m;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		m = packet(t[i].what, t[i].data, t[i].n);
		CHECK_MSG(milter_change(&c, &m) == t[i].want, "%c row %zu", t[i].what, i);
		if (t[i].want < 1)
			continue;
		CHECK_STR(c.s[0], t[i].a);
		CHECK_STR(c.s[1], t[i].b);
		CHECK_INT(c.n[0], strlen(t[i].a));
		CHECK_INT(c.n[1], strlen(t[i].b));
		CHECK_INT(c.index, t[i].index);
	}
}

static const struct {
	const char *name, *value;
	const char *plain, *lead;	/* as written, NULL: refused */
} fields[] = {
	{ "X", "v", "X: v", "X:v" },
	{ "X", " v", "X: v", "X: v" },
	{ "X", "\tv", "X:\tv", "X:\tv" },
	{ "X", "", "X:", "X:" },
	{ "X", " ", "X: ", "X: " },
	{ "X", "a\n b", "X: a\n b", "X:a\n b" },
	{ "X", "a\n\tb\n c", "X: a\n\tb\n c", "X:a\n\tb\n c" },
	{ "X", "a\r\n b", "X: a\n b", "X:a\n b" },
	/* what would be a field of its own, or the end of the header */
	{ "X", "a\nEvil: b", "X: a\n\tEvil: b", "X:a\n\tEvil: b" },
	{ "X", "a\r\nEvil: b", "X: a\n\tEvil: b", "X:a\n\tEvil: b" },
	{ "X", "a\n\nb", "X: a\n\tb", "X:a\n\tb" },
	{ "X", "a\r\n\r\nb", "X: a\n\tb", "X:a\n\tb" },
	{ "X", "a\n\n b", "X: a\n b", "X:a\n b" },
	{ "X", "\nb", "X: \n\tb", "X:\n\tb" },
	{ "X", "v\n", "X: v", "X:v" },
	{ "X", "v\r\n", "X: v", "X:v" },
	{ "X", "v\n\n\r\n", "X: v", "X:v" },
	{ "X", "a\rb", NULL, NULL },
	{ "X", "a\r", NULL, NULL },
	{ "X", "a\r\r\nb", NULL, NULL },
	{ "X", "a\n\rb", NULL, NULL },
	{ "!~", "\xc3\xa4\x7f\x01", "!~: \xc3\xa4\x7f\x01", "!~:\xc3\xa4\x7f\x01" },
	{ "", "v", NULL, NULL },
	{ "X Y", "v", NULL, NULL },
	{ "X ", "v", NULL, NULL },
	{ "X:", "v", NULL, NULL },
	{ "X\n", "v", NULL, NULL },
	{ "X\x7f", "v", NULL, NULL },
	{ "X\xc3", "v", NULL, NULL },
};

/* A field, or a mailbox (lead < 0), as it comes out in the same memory. */
static long
made(char **out, const char *a, const char *b, int lead, size_t gap)
{
	static char m[1024];
	struct milter_change c;
	size_t na = strlen(a), nb = strlen(b);
	char *p = m + sizeof(m) - na - nb - 2;

	memset(m, '#', sizeof(m));
	memset(&c, 0, sizeof(c));
	memcpy(p, a, na + 1);
	memcpy(p + na + 1, b, nb + 1);
	c.s[0] = p;
	c.n[0] = na;
	c.s[1] = p + na + 1;
	c.n[1] = nb;
	*out = p - gap;
	return lead < 0 ? milter_mailbox(*out, &c, lead == -2) : milter_field(*out, &c, lead);
}

static void
test_fields(void)
{
	char *p, got[256], name[400];
	const char *want;
	size_t i;
	long n, lead;

	for (i = 0; i < 2 * LEN(fields); i++) {
		lead = (long)i & 1;
		want = lead ? fields[i / 2].lead : fields[i / 2].plain;
		n = made(&p, fields[i / 2].name, fields[i / 2].value, (int)lead, 32);
		if (!want || n < 2) {
			CHECK_MSG((n < 0) == !want, "row %zu: %ld", i / 2, n);
			continue;
		}
		CHECK(p[n - 1] == '\0' && p[n] != '\0');
		(void)snprintf(got, sizeof(got), "%s:%s", p, p + strlen(p) + 1);
		CHECK_STR(got, want);
		CHECK_INT(n, strlen(p) + 1 + strlen(p + strlen(p) + 1) + 1);
	}
	/* no room between what is written and what is read */
	CHECK_INT(made(&p, "X", "v", 1, 1), -1);
	CHECK_INT(made(&p, "X", "v", 1, 2), 4);
	CHECK_INT(made(&p, "X", "abc\ndef\nghi\njkl", 1, 1), -1);
	CHECK_INT(made(&p, "X", "abc\ndef\nghi\njkl", 1, 8), 2 + 15 + 3 + 1);
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	CHECK_INT(made(&p, name, "v", 1, 8), 258);
	name[255] = 'n';
	name[256] = '\0';
	CHECK_INT(made(&p, name, "v", 1, 8), -1);
}

static void
test_mailboxes(void)
{
	static const struct {
		const char *in, *rcpt, *sender;
	} t[] = {
		{ "a@b.example", "a@b.example", "a@b.example" },
		{ "<a@b.example>", "a@b.example", "a@b.example" },
		{ "<\"x y\"@b.example>", "\"x y\"@b.example", "\"x y\"@b.example" },
		{ "postmaster", "postmaster", NULL },
		{ "<>", NULL, "" },
		{ "", NULL, "" },
		{ "<a@b.example", NULL, NULL },
		{ "<a@b.example> NOTIFY=NEVER", NULL, NULL },
		{ "a@b.example>", NULL, NULL },
		{ "a b", NULL, NULL },
		{ "a@b\n", NULL, NULL },
		{ "a@b\r\nRCPT TO:<c@d>", NULL, NULL },
		{ "a@", NULL, NULL },
		{ "\xff@b.example", NULL, NULL },
		{ "\xc3\xa4@b.example", "\xc3\xa4@b.example", "\xc3\xa4@b.example" },
	};
	char *p, big[512];
	const char *want;
	size_t i;
	long n;

	for (i = 0; i < 2 * LEN(t); i++) {
		want = i & 1 ? t[i / 2].sender : t[i / 2].rcpt;
		n = made(&p, t[i / 2].in, "", i & 1 ? -2 : -1, 16);
		CHECK_MSG((n < 0) == !want, "row %zu: %ld", i / 2, n);
		if (want && n > 0)
			CHECK_MEM(p, (size_t)n, want, strlen(want) + 1);
	}
	memset(big, 'a', sizeof(big));
	big[511] = '\0';
	CHECK_INT(made(&p, big, "", -1, 16), -1);
}

static void
test_replies(void)
{
	static const struct {
		const char *in, *out;
		int class;
	} t[] = {
		{ "550 5.7.1 no", "550 5.7.1 no", 5 },
		{ "550 5.7.1 no\r\n", "550 5.7.1 no", 5 },
		{ "451 4.3.2 100%% later", "451 4.3.2 100% later", 4 },
		{ "550 5.7.1 100% a %s %%n %", "550 5.7.1 100% a %s %n %", 5 },
		{ "550 no", "550 5.7.1 no", 5 },
		{ "450 no", "450 4.7.1 no", 4 },
		{ "550", "550 5.7.1 Refused by a filter", 5 },
		{ "550 ", "550 5.7.1 Refused by a filter", 5 },
		{ "550-5.7.1  \r\n550\r\n", "550 5.7.1 Refused by a filter", 5 },
		{ "550 5.1.1", "550 5.1.1 Refused by a filter", 5 },
		{ "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c\r\n", "550 5.1.1 a b c", 5 },
		{ "550-a\r\n550 5.1.1 b", "550 5.7.1 a 5.1.1 b", 5 },
		{ "550 4.7.1 other class", "550 5.7.1 4.7.1 other class", 5 },
		{ "421 4.7.0 bye", "451 4.7.0 bye", 4 },
		{ "550-5.1.1 no end", "550 5.1.1 no end", 5 },
		{ "550 a\tb\x01\xc3", "550 5.7.1 a?b??", 5 },
		{ "550 5.7.1 a\nb", "550 5.7.1 a b", 5 },
		{ "550 5.7.1 a\n250 ok\n", "550 5.7.1 a 250 ok", 5 },
		{ "550 5.7.1 a\r\n250 ok\r\n", "550 5.7.1 a", 5 },
		{ "550-5.7.1 a\r\n250 ok\r\n", NULL, -1 },
		{ "550-5.7.1 a\r\n450 ok\r\n", NULL, -1 },
		{ "250 2.0.0 ok", NULL, -1 },
		{ "354 go", NULL, -1 },
		{ "650 x", NULL, -1 },
		{ "55", NULL, -1 },
		{ "", NULL, -1 },
		{ "no", NULL, -1 },
		{ "5500 x", NULL, -1 },
	};
	char dst[MILTER_REPLY], big[3000];
	struct milter_change c;
	size_t i, k;

	memset(&c, 0, sizeof(c));
	for (i = 0; i < LEN(t); i++) {
		c.s[0] = t[i].in;
		c.n[0] = strlen(t[i].in);
		CHECK_MSG(milter_reply(dst, &c) == t[i].class, "%s", t[i].in);
		if (t[i].out)
			CHECK_STR(dst, t[i].out);
	}
	/* lines that are cut in the middle of a code */
	for (k = 30; k < 600; k++) {
		for (i = 0; i + k < sizeof(big); i += k) {
			memset(big + i, 'x', k);
			memcpy(big + i, "550-5.7.1 ", 10);
			memcpy(big + i + k - 2, "\r\n", 2);
		}
		c.s[0] = big;
		c.n[0] = i;
		CHECK_MSG(milter_reply(dst, &c) == 5, "lines of %zu", k);
	}
	for (i = 900; i < 1100; i++) {
		memset(big, '%', sizeof(big));
		memcpy(big, "550 5.7.1 ", 10);
		big[i] = '\0';
		c.s[0] = big;
		c.n[0] = i;
		CHECK(milter_reply(dst, &c) == 5 && strlen(dst) < 300);
		memset(big + 10, 'x', sizeof(big) - 10);
		CHECK(milter_reply(dst, &c) == 5 && strlen(dst) < 300);
	}
}

int
main(void)
{
	test_out();
	test_in();
	test_options();
	test_change();
	test_fields();
	test_mailboxes();
	test_replies();
	return test_end();
}
