/* with: lib/idn.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Domain names beyond ASCII: samples of RFC 3492 7.1 and what Python's punycode codec says. */
#include "lib/addr.h"
#include "lib/idn.h"
#include "test.h"

#define L10 "abcdefghij"
#define L58 L10 L10 L10 L10 L10 "abcdefgh"

static const struct {
	const char *name, *want;	/* want: NULL if it is no name */
} t[] = {
	{ "b\xc3\xbc" "cher", "xn--bcher-kva" },
	{ "B\xc3\xbc" "CHER.Example", "xn--bcher-kva.example" },
	{ "mail.m\xc3\xbcnchen.example", "mail.xn--mnchen-3ya.example" },
	{ "fa\xc3\x9f", "xn--fa-hia" },
	{ "\xc3\xbc", "xn--tda" },
	{ "\xc3\xbc-", "xn----dha" },
	{ "--\xc3\xbc", "xn-----yka" },
	{ "\xe4\xbe\x8b\xe3\x81\x88.\xe4\xbe\x8b\xe3\x81\x88", "xn--r8jz45g.xn--r8jz45g" },
	{ "\xd0\xb8\xd1\x81\xd0\xbf\xd1\x8b\xd1\x82\xd0\xb0\xd0\xbd\xd0\xb8\xd0\xb5",
	    "xn--80akhbyknj4f" },
	/* RFC 3492 7.1 (B), (O), (R) */
	{ "\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4"
	    "\xe4\xb8\xad\xe6\x96\x87", "xn--ihqwcrb4cv8a8dqg056pqjye" },
	{ "Maji-\xe3\x81\xa7Koi-\xe3\x81\x99\xe3\x82\x8b-5\xe7\xa7\x92\xe5\x89\x8d",
	    "xn--maji-koi--5-683j1f8tv592b5e1f" },
	{ "\xe3\x81\x9d\xe3\x81\xae\xe3\x82\xb9\xe3\x83\x94\xe3\x83\xbc\xe3\x83\x89\xe3\x81\xa7",
	    "xn--d9juau41awczczp" },
	{ "\xf0\x9f\x98\x80", "xn--e28h" },
	{ "a\xf0\x9f\x98\x80" "b", "xn--ab-no82a" },
	/* nothing to do */
	{ "Example.ORG", "example.org" },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
	{ "[192.0.2.1]", "[192.0.2.1]" },
	{ "", "" },
	{ "a..b", "a..b" },		/* whether it is a domain is for others to say */
	{ L58 "abcde", L58 "abcde" },
	/* not names */
	{ L58 "abcdef", NULL },
	{ L58 "\xc3\xbc", NULL },
	{ "\xc3", NULL },
	{ "x\xc3.\xbc", NULL },
	{ "\xc0\xaf", NULL },
	{ "\xed\xa0\x80", NULL },
	{ "ok.\xf4\x90\x80\x80", NULL },
};

static void
test_labels(void)
{
	char dst[ADDR_DOMAIN + 1];
	size_t i;
	int r;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		memset(dst, 'x', sizeof(dst));
		r = idn_ascii(dst, sizeof(dst), t[i].name, strlen(t[i].name));
		CHECK(r == (t[i].want ? 0 : -1));
		if (t[i].want)
			CHECK_STR(dst, t[i].want);
	}
}

/* It ends at the room there is, and at the end of what is given. */
static void
test_room(void)
{
	static const char name[] = "m\xc3\xbcnchen.b\xc3\xbc" "cher";
	char dst[40];
	size_t n;

	for (n = 1; n < sizeof(dst); n++) {
		memset(dst, '#', sizeof(dst));
		CHECK((idn_ascii(dst, n, name, sizeof(name) - 1) == 0) == (n > 28));
		CHECK(dst[n] == '#' || n == sizeof(dst));
	}
	CHECK(idn_ascii(dst, sizeof(dst), name, 8) == 0);
	CHECK_STR(dst, "xn--mnchen-3ya");
}

static void
test_same(void)
{
	static const struct {
		const char *a, *b;
		int same;
	} s[] = {
		{ "a.example", "A.Example", 1 },
		{ "b\xc3\xbc" "cher.Example", "xn--bcher-kva.example", 1 },
		{ "XN--bcher-KVA.example", "b\xc3\xbc" "cher.example", 1 },
		{ "b\xc3\xbc" "cher", "b\xc3\xbc" "cher", 1 },
		{ "bucher", "b\xc3\xbc" "cher", 0 },
		{ "a.example", "a.example.", 0 },
		{ "\xc3", "\xc3\x28", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		CHECK(idn_same(s[i].a, strlen(s[i].a), s[i].b, strlen(s[i].b)) == s[i].same);
}

int
main(void)
{
	test_labels();
	test_room();
	test_same();
	return test_end();
}
