/* with: lib/alist.c lib/addr.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Addresses in fields: RFC 5322 3.4, appendix A, obsolete forms, and what is none. */
#include "lib/addr.h"
#include "lib/alist.h"
#include "test.h"

static char out[65536];
static size_t nout;

static void
found(void *arg, const char *p, size_t n)
{
	(void)arg;
	memcpy(out + nout, p, n);
	nout += n;
	out[nout++] = '|';
}

static size_t
machine(char *dst, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct alist a;
	size_t at, k;

	(void)size;
	nout = 0;
	alist_init(&a);
	a.found = found;
	for (at = 0; at < n; at += k) {
		k = test_piece(c, at, n);
		alist_feed(&a, in + at, k);
	}
	alist_end(&a);
	if (a.bad)
		out[nout++] = '!';
	memcpy(dst, out, nout);
	return nout;
}

static const struct {
	const char *in, *want;		/* "!" at the end: it was not all understood */
} cases[] = {
	{ "", "" },
	{ " ", "" },
	{ "a@example.org", "a@example.org|" },
	{ "  bob\r\n", "bob|" },
	{ "a@b, c@d", "a@b|c@d|" },
	{ "a@b,,\n\tc@d,", "a@b|c@d|" },
	{ "A B <a@b>", "a@b|" },
	{ "\"Doe, John\" <john@example.org>, x@y", "john@example.org|x@y|" },
	{ "\"a \\\" b, c\" <a@b>", "a@b|" },
	{ "\"john doe\"@example.org", "\"john doe\"@example.org|" },
	{ "\"a\\\"b\"@c", "\"a\\\"b\"@c|" },
	{ "<\"x y\"@c>", "\"x y\"@c|" },
	{ "\"a\\\r\n \"@c", "\"a\\ \"@c|" },
	{ "\"a\\\n\"b\"@c, d@e", "\"a\\\"b\"@c|d@e|" },
	{ "a@b (the boss, at work)", "a@b|" },
	{ "a(one(two, \\) three) four)@(five)b", "a@b|" },
	{ "(only a comment)", "" },
	{ "Friends: a@b, C D <c@d>; e@f", "a@b|c@d|e@f|" },
	{ "undisclosed-recipients:;", "" },
	{ "Hidden recipients (nobody can see them) : ;", "" },
	{ "a@b; c@d", "a@b|c@d|" },
	{ "x@[IPv6:2001:db8::1], y@[192.0.2.1]", "x@[IPv6:2001:db8::1]|y@[192.0.2.1]|" },
	{ "<x@[IPv6:2001:db8::1]>", "x@[IPv6:2001:db8::1]|" },
	{ "<@a,@b:c@d>", "@a,@b:c@d|" },
	{ "J. R. Hacker <j@r>", "j@r|" },
	{ "=?utf-8?q?J=C3=BCrgen?= <j@r>", "j@r|" },
	{ "J\xc3\xbcrgen <j\xc3\xbc@r>", "j\xc3\xbc@r|" },
	/* RFC 5322 A.1.3, A.5 and A.6.1 */
	{ "A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
	    "joe@where.test|joe@where.test|jdoe@one.test|" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "pete@silly.test|" },
	{ "A Group(Some people)\n :Chris Jones <c@(Chris's host.)public.example>,\n"
	    "  joe@example.org,\n"
	    " John <jdoe@one.test> (my dear friend); (the end of the group)",
	    "c@public.example|joe@example.org|jdoe@one.test|" },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	    "@node.test:mary@example.net|jdoe@test.example|" },
	{ "joe @ example . org", "joe@example.org|" },
	/* no addresses */
	{ "John Doe", "!" },
	{ "John Doe, Jr. <j@d>", "j@d|!" },
	{ "a b@c", "!" },
	{ "a@b c@d", "!" },
	{ "a@b (x) c", "!" },
	{ "<a b@c>", "!" },
	{ "<a@b", "!" },
	{ "a@b>", "a@b|!" },
	{ "<a@b> c", "a@b|!" },
	{ "<a@b> <c@d>", "a@b|!" },
	{ "<<a@b>>", "a@b|!" },
	{ "<>", "!" },
	{ "\"a@b", "\"a@b|!" },
	{ "a@b (", "a@b|!" },
	{ "a@b )", "!" },
	{ "a)@b", "a)@b|!" },
	{ "a@[1.2", "a@[1.2|!" },
	{ "\"a\\", "\"a\\|!" },
	{ "a@b: c@d", "c@d|!" },
	{ ": c@d", "c@d|!" },
	{ "a: b: c@d;", "c@d|!" },
	{ "a@b, <c", "a@b|!" },
};

static void
test_table(void)
{
	char got[65536];
	struct cut whole;
	size_t i, n;

	for (i = 0; i < LEN(cases); i++) {
		whole.first = whole.step = strlen(cases[i].in) + 1;
		n = machine(got, sizeof(got), cases[i].in, strlen(cases[i].in), &whole);
		got[n] = '\0';
		CHECK_MSG(!strcmp(got, cases[i].want), "\"%s\": got \"%s\", want \"%s\"",
		    cases[i].in, got, cases[i].want);
		CHECK_SPLIT(machine, cases[i].in, strlen(cases[i].in));
	}
}

static void
test_bounds(void)
{
	static char in[4 * ALIST_TEXT], got[65536];
	struct cut c = { sizeof(in), sizeof(in) };
	size_t n;

	memset(in, 'x', sizeof(in));
	n = machine(got, sizeof(got), in, ALIST_TEXT, &c);
	CHECK_INT(n, ALIST_TEXT + 1);
	n = machine(got, sizeof(got), in, ALIST_TEXT + 1, &c);
	CHECK_MEM(got, n, "!", 1);
	memcpy(in + sizeof(in) - 5, "<a@b>", 5);	/* a long name does no harm */
	n = machine(got, sizeof(got), in, sizeof(in), &c);
	CHECK_MEM(got, n, "a@b|", 4);
	memset(in, '(', sizeof(in));
	n = machine(got, sizeof(got), in, sizeof(in), &c);
	CHECK_MEM(got, n, "!", 1);
	n = machine(got, sizeof(got), "a\0b", 3, &c);
	CHECK(n && got[n - 1] == '!');
}

/*
 * Each address that lib/addr.c takes comes out of a field as it went in, bare and in <>. The file
 * names the addresses in <address> elements; those with entities are left out.
 */
static void
test_isemail(void)
{
	const char *path = test_vectors("address/isemail/tests.xml");
	char *text, *p, *e, got[65536], in[1024];
	struct cut c = { sizeof(in), sizeof(in) };
	struct addr a;
	size_t n;
	int seen = 0;

	text = path ? test_slurp(path, &n) : NULL;
	for (p = text; p && (p = strstr(p, "<address>")); p = e) {
		p += 9;
		e = strstr(p, "</address>");
		n = (size_t)(e - p);
		if (memchr(p, '&', n) || n > 500 || addr_mailbox(&a, p, n) < 0)
			continue;
		seen++;
		memcpy(in, p, n);
		CHECK_INT(machine(got, sizeof(got), in, n, &c), n + 1);
		CHECK_MEM(got, n, p, n);
		in[0] = '<';
		memcpy(in + 1, p, n);
		in[n + 1] = '>';
		CHECK_INT(machine(got, sizeof(got), in, n + 2, &c), n + 1);
		CHECK_MEM(got, n, p, n);
	}
	if (text)
		CHECK(seen > 20);
	free(text);
}

int
main(void)
{
	test_table();
	test_bounds();
	test_isemail();
	return test_end();
}
