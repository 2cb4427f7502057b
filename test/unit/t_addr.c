/* with: lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Mailboxes and paths of RFC 5321: tables of our own, and isemail's 164 addresses read as for MAIL
 * FROM (VECTORS/address): those legal in SMTP are accepted, those never legal are refused.
 */
#include "lib/addr.h"
#include "lib/text.h"
#include "test.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"
#define A64 A60 "aaaa"
#define U2 "\xc3\xa4"
#define U3 "\xe2\x82\xac"
#define U4 "\xf0\x9f\x93\xa7"

static const struct {
	const char *in;
	int allow;
	const char *mailbox, *local, *domain;	/* NULL: refused */
	int literal;
} paths[] = {
	{ "<a@b>", 0, "a@b", "a", "b", 0 },
	{ "<A.b+c@Example.COM>", 0, "A.b+c@Example.COM", "A.b+c", "Example.COM", 0 },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", 0, "!#$%&'*+-/=?^_`{|}~@b", "!#$%&'*+-/=?^_`{|}~", "b", 0 },
	{ "<\"a b\"@c>", 0, "\"a b\"@c", "\"a b\"", "c", 0 },
	{ "<\"\"@c>", 0, "\"\"@c", "\"\"", "c", 0 },
	{ "<\"a\\\"@\\>b\"@c>", 0, "\"a\\\"@\\>b\"@c", "\"a\\\"@\\>b\"", "c", 0 },
	{ "<\"<>@,;:\"@c>", 0, "\"<>@,;:\"@c", "\"<>@,;:\"", "c", 0 },
	{ "<a@[192.0.2.1]>", 0, "a@[192.0.2.1]", "a", "[192.0.2.1]", 1 },
	{ "<@r:a@b>", 0, "a@b", "a", "b", 0 },
	{ "<@r.x,@s-t.y:a@b>", 0, "a@b", "a", "b", 0 },
	{ "<>", ADDR_NULL, "", "", "", 0 },
	{ "<Postmaster>", ADDR_BARE, "Postmaster", "Postmaster", "", 0 },
	{ "<\"x y\">", ADDR_BARE, "\"x y\"", "\"x y\"", "", 0 },
	{ "<a@b>", ADDR_BARE | ADDR_NULL, "a@b", "a", "b", 0 },
	{ "<" A64 "@b>", 0, A64 "@b", A64, "b", 0 },
	{ "<a@" A63 "." A63 "." A63 "." A63 ">", 0, "a@" A63 "." A63 "." A63 "." A63, "a",
	    A63 "." A63 "." A63 "." A63, 0 },
	{ "<a@0-0.1>", 0, "a@0-0.1", "a", "0-0.1", 0 },
	{ "<>", 0, NULL, NULL, NULL, 0 },
	{ "<>", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "<postmaster>", ADDR_NULL, NULL, NULL, NULL, 0 },
	{ "<@r:postmaster>", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "", ADDR_BARE | ADDR_NULL, NULL, NULL, NULL, 0 },
	{ "<", ADDR_BARE | ADDR_NULL, NULL, NULL, NULL, 0 },
	{ "<a", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "a@b", 0, NULL, NULL, NULL, 0 },
	{ "<a@b", 0, NULL, NULL, NULL, 0 },
	{ "<a@b ", 0, NULL, NULL, NULL, 0 },
	{ "< a@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b >", 0, NULL, NULL, NULL, 0 },
	{ "<a @b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@ b>", 0, NULL, NULL, NULL, 0 },
	{ "<<a@b>>", 0, NULL, NULL, NULL, 0 },
	{ "<a@>", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "<@b>", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "<@>", ADDR_BARE, NULL, NULL, NULL, 0 },
	{ "<@b:>", ADDR_BARE | ADDR_NULL, NULL, NULL, NULL, 0 },
	{ "<@b,:a@c>", 0, NULL, NULL, NULL, 0 },
	{ "<@b,@c>", 0, NULL, NULL, NULL, 0 },
	{ "<@b", 0, NULL, NULL, NULL, 0 },
	{ "<@b,", 0, NULL, NULL, NULL, 0 },
	{ "<@b:", 0, NULL, NULL, NULL, 0 },
	{ "<@b@c:a@d>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b@c>", 0, NULL, NULL, NULL, 0 },
	{ "<a%b@>", 0, NULL, NULL, NULL, 0 },
	{ "<.a@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a.@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a..b@c>", 0, NULL, NULL, NULL, 0 },
	{ "<a@.b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b.>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b..c>", 0, NULL, NULL, NULL, 0 },
	{ "<a@-b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b->", 0, NULL, NULL, NULL, 0 },
	{ "<a@b-.c>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b_c>", 0, NULL, NULL, NULL, 0 },
	{ "<a(c)@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b(c)>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a@b>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\\\"@b>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\\", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\"b@c>", 0, NULL, NULL, NULL, 0 },
	{ "<a\"b\"@c>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\".\"b\"@c>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\tb\"@c>", 0, NULL, NULL, NULL, 0 },
	{ "<\"a\\\tb\"@c>", 0, NULL, NULL, NULL, 0 },
	{ "<a\xc3\xa4@b>", 0, NULL, NULL, NULL, 0 },
	{ "<\"\xc3\xa4\"@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@\xc3\xa4>", 0, NULL, NULL, NULL, 0 },
	/* UTF-8, where it is allowed */
	{ "<a" U2 "@b>", ADDR_UTF8, "a" U2 "@b", "a" U2, "b", 0 },
	{ "<" U3 "." U4 "@" U2 ".x" U3 ">", ADDR_UTF8, U3 "." U4 "@" U2 ".x" U3,
	    U3 "." U4, U2 ".x" U3, 0 },
	{ "<\"a " U2 "\\\"\"@b>", ADDR_UTF8, "\"a " U2 "\\\"\"@b", "\"a " U2 "\\\"\"", "b", 0 },
	{ "<@" U2 ":a@b>", ADDR_UTF8, "a@b", "a", "b", 0 },
	{ "<" U2 ">", ADDR_UTF8 | ADDR_BARE, U2, U2, "", 0 },
	{ "<a@" A60 "a" U2 "a>", ADDR_UTF8, "a@" A60 "a" U2 "a", "a", A60 "a" U2 "a", 0 },
	{ "<a@" A60 "aa" U2 "a>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<" A60 "a" U3 "@b>", ADDR_UTF8, A60 "a" U3 "@b", A60 "a" U3, "b", 0 },
	{ "<" A60 "aa" U3 "@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<\"\\" U2 "\"@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a@[" U2 "]>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xc3@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xc3\xc3\xa4@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xa4@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xc2\x85@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xc0\xaf@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xe0\x80\xaf@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xed\xa0\x80@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\xff@b>", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a@-" U2 ">", ADDR_UTF8, NULL, NULL, NULL, 0 },
	{ "<a\x7f@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@[192.0.2.1>", 0, NULL, NULL, NULL, 0 },
	{ "<a@[192.0.2.1].b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@b[192.0.2.1]>", 0, NULL, NULL, NULL, 0 },
	{ "<" A64 "a@b>", 0, NULL, NULL, NULL, 0 },
	{ "<a@" A64 ">", 0, NULL, NULL, NULL, 0 },
	{ "<a@" A63 "." A63 "." A63 "." A63 ".a>", 0, NULL, NULL, NULL, 0 },
};

static const struct {
	const char *in;
	int want;
} literals[] = {
	{ "[0.0.0.0]", 1 },
	{ "[255.255.255.255]", 1 },
	{ "[1.02.003.4]", 1 },			/* Snum = 1*3DIGIT */
	{ "[IPv6:1:2:3:4:5:6:7:8]", 1 },
	{ "[ipV6:ABCD:ef01::]", 1 },
	{ "[IPv6:::]", 1 },
	{ "[IPv6:::1]", 1 },
	{ "[IPv6:1::]", 1 },
	{ "[IPv6:1:2:3:4:5:6::]", 1 },
	{ "[IPv6:::3:4:5:6:7:8]", 1 },
	{ "[IPv6:1::3:4:5:6:7]", 1 },
	{ "[IPv6:1:2:3:4:5:6:192.0.2.1]", 1 },
	{ "[IPv6:::192.0.2.1]", 1 },
	{ "[IPv6:::ffff:192.0.2.1]", 1 },
	{ "[IPv6:1:2:3:4::192.0.2.1]", 1 },
	{ "[IPv6:1::2:192.0.2.1]", 1 },
	{ "[x-tag:anything!goes~]", 1 },
	{ "[1:2]", 1 },				/* a tag of digits is one by the grammar */
	{ "[]", 0 },
	{ "[", 0 },
	{ "]", 0 },
	{ "", 0 },
	{ "[ 1.2.3.4]", 0 },
	{ "[1.2.3]", 0 },
	{ "[1.2.3.]", 0 },
	{ "[1.2.3.4.5]", 0 },
	{ "[1.2.3.256]", 0 },
	{ "[1.2.3.0004]", 0 },
	{ "[.1.2.3]", 0 },
	{ "[1..2.3]", 0 },
	{ "[IPv6:]", 0 },
	{ "[IPv6::]", 0 },
	{ "[IPv6:1]", 0 },
	{ "[IPv6:1:2:3:4:5:6:7]", 0 },
	{ "[IPv6:1:2:3:4:5:6:7:8:9]", 0 },
	{ "[IPv6:1:2:3:4:5:6:7::]", 0 },	/* :: for one group: not in RFC 5321 4.1.3 */
	{ "[IPv6:::2:3:4:5:6:7:8]", 0 },
	{ "[IPv6:1::2::3]", 0 },
	{ "[IPv6:1:::2]", 0 },
	{ "[IPv6::::]", 0 },
	{ "[IPv6:1:2:3:4:5:6:7:]", 0 },
	{ "[IPv6::1:2:3:4:5:6:7]", 0 },
	{ "[IPv6:12345::]", 0 },
	{ "[IPv6:g::]", 0 },
	{ "[IPv6:1:2:3:4:5:192.0.2.1]", 0 },
	{ "[IPv6:1:2:3:4:5:6:7:192.0.2.1]", 0 },
	{ "[IPv6:1:2:3:4:5::192.0.2.1]", 0 },
	{ "[IPv6:192.0.2.1]", 0 },
	{ "[IPv6:::192.0.2.1:1]", 0 },
	{ "[IPv6:::192.0.2]", 0 },
	{ "[IPv6:fe80::1%eth0]", 0 },
	{ "[tag-:x]", 0 },
	{ "[tag:]", 0 },
	{ "[:x]", 0 },
	{ "[tag:a b]", 0 },
	{ "[tag:a\\b]", 0 },
	{ "[tag:[]", 0 },
	{ "[t g:x]", 0 },
};

static const struct {
	const char *in;
	const char *want;
} locals[] = {
	{ "<Alice@b>", "alice" },
	{ "<\"Alice\"@b>", "alice" },
	{ "<\"Al\\ice\"@b>", "alice" },
	{ "<\"a \\\"Q\\\\\"@b>", "a \"q\\" },
	{ "<\"\"@b>", "" },
	{ "<PostMaster>", "postmaster" },
	{ "<A" U2 "B@b>", "a" U2 "b" },
	{ "<" A64 "@b>", A64 },
	{ "<>", "" },
};

static void
check_path(size_t i)
{
	struct addr a;
	long n;

	n = addr_path(&a, paths[i].in, strlen(paths[i].in), paths[i].allow);
	if (!paths[i].mailbox) {
		CHECK_MSG(n < 0, "%s was accepted", paths[i].in);
		return;
	}
	if (!CHECK_MSG(n == (long)strlen(paths[i].in), "%s was refused", paths[i].in))
		return;
	CHECK_MEM(a.mailbox, a.nmailbox, paths[i].mailbox, strlen(paths[i].mailbox));
	CHECK_MEM(a.local, a.nlocal, paths[i].local, strlen(paths[i].local));
	CHECK_MEM(a.domain, a.ndomain, paths[i].domain, strlen(paths[i].domain));
	CHECK_INT(a.literal, paths[i].literal);
}

static void
tables(void)
{
	char dst[ADDR_LOCAL + 1], *exact;
	struct addr a;
	size_t i, n;

	for (i = 0; i < LEN(paths); i++) {
		check_path(i);
		/* each beginning of it is refused, as if it were all */
		for (n = 0; n < strlen(paths[i].in); n++) {
			/* in memory of its own, so that the sanitizer sees what is read behind
			 * it */
			exact = malloc(n ? n : 1);
			if (!exact)
				abort();
			memcpy(exact, paths[i].in, n);
			if (addr_path(&a, exact, n, paths[i].allow) >= 0)
				CHECK_MSG(0, "%s: accepted at %d", paths[i].in, (int)n);
			free(exact);
		}
	}
	for (i = 0; i < LEN(literals); i++) {
		n = strlen(literals[i].in);
		CHECK_MSG(addr_literal(literals[i].in, n) == literals[i].want,
		    "%s", literals[i].in);
	}
	for (i = 0; i < LEN(locals); i++) {
		CHECK(addr_path(&a, locals[i].in, strlen(locals[i].in),
		    ADDR_BARE | ADDR_NULL | ADDR_UTF8) > 0);
		CHECK_INT(addr_local(dst, &a), strlen(locals[i].want));
		CHECK_STR(dst, locals[i].want);
	}
	CHECK_INT(addr_path(&a, BYTES("<a@b> SIZE=5"), 0), 5);
	CHECK_INT(addr_path(&a, BYTES("<> X"), ADDR_NULL), 2);
	CHECK_INT(addr_path(&a, BYTES("<a\0b@c>"), 0), -1);
	CHECK_INT(addr_path(&a, BYTES("<\"a\0b\"@c>"), 0), -1);
	CHECK_INT(addr_path(&a, BYTES("<a@b\0>"), 0), -1);
	CHECK_INT(addr_mailbox(&a, BYTES("a@b")), 0);
	CHECK_INT(addr_mailbox(&a, BYTES("a@b>")), -1);
	CHECK_INT(addr_mailbox(&a, BYTES(U2 "@b")), -1);
	CHECK_INT(addr_mailbox8(&a, BYTES(U2 "@b" U3)), 0);
	CHECK_INT(addr_mailbox8(&a, BYTES(U2 "@b\xff")), -1);
	CHECK_INT(addr_mailbox8(&a, BYTES(U2)), -1);
	CHECK_INT(addr_mailbox(&a, BYTES("a")), -1);
	CHECK_INT(addr_mailbox(&a, "", 0), -1);
	CHECK_INT(addr_mailbox(&a, BYTES("@r:a@b")), -1);
	CHECK(addr_domain(BYTES("mail.example.org")));
	CHECK(addr_domain(BYTES("x")));
	CHECK(!addr_domain(BYTES("mail.example.org ")));
	CHECK(!addr_domain(BYTES("[192.0.2.1]")));
	CHECK(!addr_domain("", 0));
	CHECK(!addr_domain(BYTES("a\0")));
}

/* Every two, three and four octets, against the ranges of RFC 3629 4, less the controls. */
static void
characters(void)
{
	unsigned char s[4];
	unsigned long bad = 0, good = 0;
	size_t want;
	uint32_t i, u;

	for (i = 0; i < 1u << 24; i++) {
		s[0] = (unsigned char)(i >> 16);
		s[1] = (unsigned char)(i >> 8);
		s[2] = (unsigned char)i;
		s[3] = 0x81;
		want = 0;
		if (s[0] >= 0xc2 && s[0] <= 0xdf &&
		    s[1] >= (s[0] == 0xc2 ? 0xa0 : 0x80) && s[1] <= 0xbf)
			want = 2;
		else if (s[0] >= 0xe0 && s[0] <= 0xef && s[1] >= (s[0] == 0xe0 ? 0xa0 : 0x80) &&
		    s[1] <= (s[0] == 0xed ? 0x9f : 0xbf) && s[2] >= 0x80 && s[2] <= 0xbf)
			want = 3;
		else if (s[0] >= 0xf0 && s[0] <= 0xf4 && s[1] >= (s[0] == 0xf0 ? 0x90 : 0x80) &&
		    s[1] <= (s[0] == 0xf4 ? 0x8f : 0xbf) && s[2] >= 0x80 && s[2] <= 0xbf)
			want = 4;
		bad += addr_utf8((const char *)s, 4) != want;
		good += want != 0;
		for (u = 1; want && u < want; u++)
			bad += addr_utf8((const char *)s, u) != 0;
	}
	CHECK_INT(bad, 0);
	CHECK(good > 500000);
	CHECK(addr_ascii(BYTES("abc\x7f")) && addr_ascii("", 0) && !addr_ascii(BYTES("ab\x80")));
}

/* ---- isemail's tests: the little of XML that they use ---- */

/* The text between <name> and </name> behind *p, which moves behind it; NULL: there are no more. */
static const char *
element(char **p, const char *name, size_t *n)
{
	char open[40], shut[40], *a, *z;

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(shut, sizeof(shut), "</%s>", name);
	a = strstr(*p, open);
	z = a ? strstr(a, shut) : NULL;
	if (!z)
		return NULL;
	a += strlen(open);
	*n = (size_t)(z - a);
	*p = z;
	return a;
}

/* A code point as UTF-8, or as the control character that U+2400 to U+2420 stand for. */
static size_t
utf8(char *d, unsigned long u)
{
	if (u >= 0x2400 && u <= 0x2420)
		u -= 0x2400;
	if (u < 0x80) {
		d[0] = (char)u;
		return 1;
	}
	d[0] = (char)(0xc0 | u >> 6);
	d[1] = (char)(0x80 | (u & 63));
	return 2;
}

/* Entities and symbols of control characters undone. */
static size_t
undo(char *d, const char *p, size_t n)
{
	static const struct { const char *name, *text; } ent[] = {
		{ "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" }, { "&quot;", "\"" },
	};
	unsigned long u;
	size_t i, k, o;

	o = 0;
	for (i = 0; i < n; ) {
		if (n - i > 3 && !strncmp(p + i, "&#", 2)) {
			u = p[i + 2] == 'x' ? strtoul(p + i + 3, NULL, 16) :
			    strtoul(p + i + 2, NULL, 10);
			o += utf8(d + o, u);
			while (i < n && p[i++] != ';')
				;
			continue;
		}
		if (n - i >= 3 && !memcmp(p + i, "\xe2\x90", 2)) {
			o += utf8(d + o, 0x2400 + ((unsigned char)p[i + 2] & 63u));
			i += 3;
			continue;
		}
		for (k = 0; k < LEN(ent) && strncmp(p + i, ent[k].name, strlen(ent[k].name)) != 0;
		    k++)
			;
		d[o++] = k < LEN(ent) ? *ent[k].text : p[i];
		i += k < LEN(ent) ? strlen(ent[k].name) : 1;
	}
	return o;
}

static int
legal(const char *category, size_t n)
{
	if (text_is(category, n, "ISEMAIL_ERR"))
		return 0;
	return text_is(category, n, "ISEMAIL_VALID_CATEGORY") ||
	    text_is(category, n, "ISEMAIL_DNSWARN") || text_is(category, n, "ISEMAIL_RFC5321") ?
	    1 : -1;
}

static void
isemail(void)
{
	const char *path, *p;
	char *text, *at, addr[2048];
	struct addr a;
	size_t n, len;
	int nlegal, nillegal, want, ok;

	path = test_vectors("address/isemail/tests.xml");
	text = path ? test_slurp(path, &n) : NULL;
	if (!text)
		return;
	nlegal = nillegal = 0;
	for (at = text; (p = element(&at, "address", &n)) != NULL; ) {
		addr[0] = '<';
		len = undo(addr + 1, p, n < 1000 ? n : 1000) + 1;
		addr[len++] = '>';
		p = element(&at, "category", &n);
		if (!p)
			break;
		want = legal(p, n);
		if (want < 0 || len == 2 || memchr(addr, '\r', len) || memchr(addr, '\n', len))
			/* CR and LF cannot be in a command line; <> is the null sender */
			continue;
		ok = addr_path(&a, addr, len, ADDR_NULL) == (long)len;
		CHECK_MSG(ok == want, "%.*s: %s", (int)len, addr, ok ? "accepted" : "refused");
		*(want ? &nlegal : &nillegal) += 1;
	}
	CHECK_INT(nlegal, 38);
	CHECK_INT(nillegal, 44);
	free(text);
}

int
main(void)
{
	tables();
	characters();
	isemail();
	return test_end();
}
