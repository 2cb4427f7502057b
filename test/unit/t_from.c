/* with: lib/from.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The author's domain: what is one, what is refused, and the tricks by which a reader is shown
 * another one than the one that is checked.
 */
#include "lib/from.h"
#include "lib/text.h"
#include "test.h"

#define A10 "aaaaaaaaaa"
#define A63 A10 A10 A10 A10 A10 A10 "aaa"

/* Values of a From field; NULL: refused. */
static const struct {
	const char *value, *domain;
} fields[] = {
	{ " a@b.example\n", "b.example" },
	{ "a@b.example", "b.example" },
	{ " A <a@B.Example>", "b.example" },
	{ " <a@b.example>", "b.example" },
	{ " \"A, B\" <a@b.example>", "b.example" },
	{ " \"\" <a@b.example>", "b.example" },
	{ " A B C <a@b.example>", "b.example" },
	{ " \"A\" B \"C\"<a@b.example>", "b.example" },
	{ " John Q. Public <a@b.example>", "b.example" },
	{ " J.Q. Public and others ... <a@b.example>", "b.example" },
	{ "\n\tA\n\t<a@b.example>\n", "b.example" },
	{ " a@b.example (A)", "b.example" },
	{ " (x (y \\) z) \\\\) a (1)@(2) b.example (3)\n (4)", "b.example" },
	{ " A < a @ b.example >", "b.example" },
	{ " A (c) <(d)a(e)@(f)b.example(g)>(h)", "b.example" },
	{ " a@b.example, c@b.example", "b.example" },
	{ " A <a@b.example>,\n\tC <c@B.EXAMPLE> , d@b.example", "b.example" },
	{ " \"a b\"@c.example", "c.example" },
	{ " \"a\\\"\\\\ b\" <c@d.example>", "d.example" },
	{ " !#$%&'*+-/=?^_`{|}~.x@b.example", "b.example" },
	{ " =?utf-8?q?J=C3=B6?= <a@b.example>", "b.example" },
	{ " a@b", "b" },
	{ " a@1.2.3.4", "1.2.3.4" },
	{ " a@[192.0.2.1]", "" },
	{ " A <a@[IPv6:2001:db8::1]>", "" },
	{ " a@[192.0.2.1], b@[192.0.2.1]", "" },
	{ " a@" A63 "." A63 "." A63 "." A63, A63 "." A63 "." A63 "." A63 },
	/* UTF-8, RFC 6532 */
	{ " J\xc3\xb6 <j\xc3\xb6@b.example>", "b.example" },
	{ " \"J\xc3\xb6\" (\xe2\x82\xac) <j@b\xc3\xbc" "cher.example>", "xn--bcher-kva.example" },
	{ " a@b\xc3\xbc" "cher.example, b@XN--Bcher-kva.Example", "xn--bcher-kva.example" },
	{ " a@\xe4\xbd\x90\xe3\x80\x85\xe6\x9c\xa8.example", "xn--u6jy55gilq.example" },
	/* small letters beside the capitals that are refused */
	{ " a@\xc5\xbc\xc3\xb3\xc5\x82\xc4\x87.example", "xn--kda4b0koi.example" },
	{ " a@\xc4\xb1\xc5\x88\xc7\x90\xd1\xa1\xd3\x8f\xe1\xba\xbf.example",
	    "xn--cfa0c8wy8fzp685j.example" },
	/* tricks that RFC 5322 allows: the address counts */
	{ " \"a@victim.example\" <x@evil.example>", "evil.example" },
	{ " \"a@victim.example <a@victim.example>,\" <x@evil.example>", "evil.example" },
	{ " =?utf-8?q?a=40victim.example?= <x@evil.example>", "evil.example" },
	{ " (a@victim.example) x@evil.example", "evil.example" },
	{ " x(a@victim.example,)@(b@victim.example>)evil.example", "evil.example" },
	/* none, or not one */
	{ "", NULL },
	{ " \n", NULL },
	{ " (a@b.example)", NULL },
	{ " a", NULL },
	{ " a <b>", NULL },
	{ " a@", NULL },
	{ " @b.example", NULL },
	{ " <>", NULL },
	{ " A <>", NULL },
	{ " <a@b.example", NULL },
	{ " a@b.example>", NULL },
	{ " A a@b.example>", NULL },
	{ " <<a@b.example>>", NULL },
	{ " <a@b.example> x", NULL },
	{ " <a@b.example> <a@b.example>", NULL },
	{ " A <a@b.example> B <a@b.example>", NULL },
	{ " <a@b.example>;", NULL },
	{ " a@b.example x", NULL },
	{ " a@b.example c@b.example", NULL },
	{ " a@b.example <a@b.example>", "b.example" },
	{ " a@b@c.example", NULL },
	{ " a b@c.example", NULL },
	{ " .A <a@b.example>", NULL },
	{ " a.@b.example", NULL },
	{ " .a@b.example", NULL },
	{ " a..b@c.example", NULL },
	{ " a. b@c.example", NULL },
	{ " a@b .example", NULL },
	{ " a@b.(c)example", NULL },
	{ " a@b..example", NULL },
	{ " a@b.example.", NULL },
	{ " a@.example", NULL },
	{ " a@-b.example", NULL },
	{ " a@b_c.example", NULL },
	{ " a@b!c.example", NULL },
	{ " a@[192.0.2.1", NULL },
	{ " a@[192.0.2.1] b", NULL },
	{ " a@[192. 0.2.1]", NULL },
	{ " a@[]", NULL },
	{ " a@[192.0.2.1].example", NULL },
	{ " a@a" A63 ".example", NULL },
	{ " a@" A63 "." A63 "." A63 "." A63 ".b", NULL },
	{ " \"a\".b@c.example", NULL },
	{ " a.\"b\"@c.example", NULL },
	{ " ,a@b.example", NULL },
	{ " a@b.example,", NULL },
	{ " a@b.example,,a@b.example", NULL },
	{ " a@b.example; c@b.example", NULL },
	{ " a@b.example\xff", NULL },
	{ " \xff <a@b.example>", "b.example" },
	{ " \"\xff\" <a@b.example>", "b.example" },
	{ " (\xff) a@b.example", "b.example" },
	{ " \xc3\xff@b.example", "b.example" },
	{ " a@\xc0\xaf.example", NULL },
	{ " a\x7f <a@b.example>", NULL },
	{ " a\r\n <a@b.example>", NULL },
	{ " \"a\x01\" <a@b.example>", NULL },
	{ " (a\x01) a@b.example", NULL },
	/* tricks */
	{ " a@victim.example, x@evil.example", NULL },
	{ " x@evil.example, a@victim.example", NULL },
	{ " a@victim.example, <x@evil.example>", NULL },
	{ " \"a@victim.example, \"<x@evil.example>, y@other.example", NULL },
	{ " a@victim.example, x@[192.0.2.1]", NULL },
	{ " a@[192.0.2.2], x@[192.0.2.1]", NULL },
	{ " <a@victim.example><x@evil.example>", NULL },
	{ " a@victim.example <x@evil.example>", NULL },
	{ " a@evil.example a@victim.example <x@evil.example>", NULL },
	{ " A a@Evil.example B <x@evil.example>", "evil.example" },
	{ " \x9b <a@b.example>", NULL },
	{ " a@victim.example x@evil.example", NULL },
	{ " a@victim.example(\n)x@evil.example", NULL },
	{ " a@victim.example: x@evil.example;", NULL },
	{ " Group: a@b.example;", NULL },
	{ " Group:;", NULL },
	{ " undisclosed-recipients:;, a@b.example", NULL },
	{ " <@victim.example:x@evil.example>", NULL },
	{ " <@victim.example,@v.example:x@evil.example>", NULL },
	{ " \"a@victim.example <x@evil.example>", NULL },
	{ " (a@victim.example <x@evil.example>", NULL },
	{ " (a@victim.example\\) <x@evil.example>", NULL },
	{ " ((a@victim.example) <x@evil.example>", NULL },
	{ " x@evil.example (c", NULL },
	{ " <x@evil.example> (c (d)", NULL },
	{ " \"a\\\n <a@b.example>", NULL },
	{ " a@victim.example) <x@evil.example>", NULL },
	{ " \"a\\", NULL },
	{ " (a\\", NULL },
	{ " \"a\\\n\" <a@b.example>", NULL },
	{ " \"a@victim.example\"@evil.example", NULL },
	{ " \"<a@victim.example>\"@evil.example", NULL },
	{ " =?utf-8?b?YUB2aWN0aW0uZXhhbXBsZQ=3D=3D?==?utf-8?q?=00?=@evil.example", NULL },
	{ " \"=?utf-8?q?a=40victim.example?=\"@evil.example", NULL },
	{ " x@=?utf-8?q?victim.example?=", NULL },
	{ " x@evil.example=?utf-8?q?=00?=", NULL },
	{ " a@victim.example\\ <x@evil.example>", NULL },
	/* taken for victim.example by who maps: wide letters, dots of others, what is invisible */
	{ " a@\xef\xbd\x96ictim.example", NULL },
	{ " a@victim\xe3\x80\x82" "example", NULL },
	{ " a@victim\xef\xbc\x8e" "example", NULL },
	{ " a@vic\xe2\x80\x8btim.example", NULL },
	{ " a@vic\xc2\xadtim.example", NULL },
	{ " a@\xf0\x9d\x90\xafictim.example", NULL },
	{ " a@B\xc3\x9c" "CHER.example", NULL },
	{ " a@\xc5\xbfhop.example", NULL },
	{ " a@v\xc4\xb0" "ctim.example", NULL },
	{ " a@\xe1\xb5\x9bictim.example", NULL },
	{ " a@\xc7\x89ubljana.example", NULL },
	{ " a@cafe\xcc\x81.example", NULL },
	{ " a@\xc5\xbb" "b.example", NULL },
	{ " a@\xc5\x87" "b.example", NULL },
	{ " a@\xd1\xa0" "b.example", NULL },
	{ " a@\xe1\xba\xbe" "b.example", NULL },
	{ " a@\xe2\xb1\xbd" "b.example", NULL },
};

static const struct {
	const char *in;
	size_t n;
	enum from result;
	const char *domain;
} headers[] = {
	{ BYTES("From: a@b.example\n"), FROM_OK, "b.example" },
	{ BYTES("From: a@b.example"), FROM_OK, "b.example" },
	{ BYTES("fRoM:a@b.example\nTo: x\n"), FROM_OK, "b.example" },
	{ BYTES("To: x\nFrom:\n a@b.example\n\t(c)\nSubject: From: x@y\n From: y@z\n"), FROM_OK,
	    "b.example" },
	{ BYTES("X:\nFrom: a@b.example\nX-From: c@d\nFro: x@y\nFromm: x@y\nSender: a@c\n"), FROM_OK,
	    "b.example" },
	{ BYTES("From: a@[192.0.2.1]\n"), FROM_OK, "" },
	{ BYTES("!#$%&'*+-./0;<=>?@A[\\]^_`{|}~: x\nFrom: a@b\n"), FROM_OK, "b" },
	{ BYTES("Subject: \xff\x01\r\nFrom: a@b\n"), FROM_OK, "b" },
	{ BYTES(""), FROM_NONE, "" },
	{ BYTES("To: a@b\n"), FROM_NONE, "" },
	{ BYTES("To: x\n From: a@b\n"), FROM_NONE, "" },
	{ BYTES("From: a@b\nFrom: a@b\n"), FROM_TWO, "" },
	{ BYTES("From: a@b\nTo: c\nFROM: a@b\n"), FROM_TWO, "" },
	{ BYTES("From: a@b\nfrom:\n"), FROM_TWO, "" },
	{ BYTES("From:\nFrom:\n"), FROM_TWO, "" },
	{ BYTES("From:\n"), FROM_DOMAINS, "" },
	{ BYTES("From: a\n"), FROM_DOMAINS, "" },
	{ BYTES("From: a@b, c@d\n"), FROM_DOMAINS, "" },
	{ BYTES("From: a@b,\n c@d\n"), FROM_DOMAINS, "" },
	{ BYTES("From : a@b\n"), FROM_NAME, "" },
	{ BYTES("From\t: a@b\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nFrom : a@c\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\n\nTo: x\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\n\n"), FROM_NAME, "" },
	{ BYTES("\nFrom: a@b\n"), FROM_NAME, "" },
	{ BYTES(" X: y\nFrom: a@b\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\n: x\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX y: z\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX\x01: z\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX\x7f: z\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nFr\xc3\xb6m: z\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\n\xef\xbb\xbf" "From: c@d\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX\r: z\n"), FROM_NAME, "" },
	{ BYTES("From a@b Sun Nov 22 03:03:14 2026\nFrom: a@b\n"), FROM_NAME, "" },
	{ BYTES("From a@b: x\nFrom: a@b\n"), FROM_NAME, "" },
	{ BYTES(">From a@b Sun Nov 22 03:03:14 2026\nFrom: a@b\n"), FROM_NAME, "" },
	{ BYTES("From: a@b\nX: \0\n"), FROM_NUL, "" },
	{ BYTES("From: a@b\0, c@d\n"), FROM_NUL, "" },
	{ BYTES("From\0: a@b\n"), FROM_NUL, "" },
	{ BYTES("X\nFrom: a@b\nFrom: a@b\n\0"), FROM_NUL, "" },
};

static void
check_fields(void)
{
	char dst[ADDR_DOMAIN + 1], header[2048];
	size_t i, n;
	int got;

	for (i = 0; i < LEN(fields); i++) {
		n = strlen(fields[i].value);
		got = from_field(dst, fields[i].value, n);
		CHECK_MSG(got == (fields[i].domain ? 0 : -1), "%s: %d", fields[i].value, got);
		CHECK_STR(dst, fields[i].domain ? fields[i].domain : "");
		/* the same within a header, where a line that goes on begins with a space */
		n = (size_t)snprintf(header, sizeof(header), "X: y\nFrom:%s%sTo: z\n",
		    fields[i].value, n && fields[i].value[n - 1] == '\n' ? "" : "\n");
		if (strstr(fields[i].value, "\n)"))
			continue;
		got = from_domain(dst, header, n);
		CHECK_MSG((got == FROM_OK) == (fields[i].domain != NULL), "%s: %d", header, got);
		CHECK_STR(dst, fields[i].domain ? fields[i].domain : "");
	}
}

/* All that is cut off a good field leaves another or none, and is never read past its end. */
static void
check_cut(void)
{
	char dst[ADDR_DOMAIN + 1], *p;
	size_t i, n, k;

	for (i = 0; i < LEN(fields); i++) {
		n = strlen(fields[i].value);
		for (k = 0; k <= n; k++) {
			p = malloc(k ? k : 1);
			if (!p)
				abort();
			memcpy(p, fields[i].value, k);
			if (from_field(dst, p, k) < 0)
				CHECK(!*dst);
			free(p);
		}
	}
}

int
main(void)
{
	static char big[200000];
	char dst[ADDR_DOMAIN + 1];
	size_t i;

	check_fields();
	check_cut();
	for (i = 0; i < LEN(headers); i++) {
		CHECK_MSG(from_domain(dst, headers[i].in, headers[i].n) == headers[i].result,
		    "%lu: %s", (unsigned long)i, headers[i].in);
		CHECK_STR(dst, headers[i].domain);
	}
	CHECK_INT(from_domain(dst, NULL, 0), FROM_NONE);
	for (i = FROM_OK; i <= FROM_NUL; i++)
		CHECK(strlen(from_words((enum from)i)) > 3);
	/* long ones: deep comments, many addresses */
	memset(big, '(', sizeof(big));
	CHECK_INT(from_field(dst, big, sizeof(big)), -1);
	memset(big + sizeof(big) / 2, ')', sizeof(big) / 2);
	memcpy(big + sizeof(big) - 3, "a@b", 3);
	CHECK_INT(from_field(dst, big, sizeof(big)), -1);
	memset(big + sizeof(big) / 2 - 3, ')', sizeof(big) / 2);
	CHECK_INT(from_field(dst, big, sizeof(big)), -1);
	memset(big, '(', sizeof(big) / 2 - 2);
	memset(big + sizeof(big) / 2 - 2, ')', sizeof(big) / 2 - 2);
	memcpy(big + sizeof(big) - 4, " a@b", 4);
	CHECK_INT(from_field(dst, big, sizeof(big)), 0);
	for (i = 0; i + 4 <= sizeof(big); i += 4)
		memcpy(big + i, "a@b,", 4);
	CHECK_INT(from_field(dst, big, sizeof(big)), -1);
	CHECK_INT(from_field(dst, big, sizeof(big) - 1), 0);
	CHECK_STR(dst, "b");
	return test_end();
}
