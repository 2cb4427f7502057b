/* with: lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Comparing, numbers, escapes, base64 and dates. */
#include "lib/text.h"
#include "test.h"

static void
compare(void)
{
	int ch;

	for (ch = -1; ch < 256; ch++) {
		CHECK_INT(text_lower(ch), ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
		CHECK_INT(text_alnum(ch), (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
		    (ch >= 'a' && ch <= 'z'));
	}
	CHECK(text_ieq(BYTES("MAIL from"), BYTES("mail FROM")));
	CHECK(text_ieq("", 0, "", 0));
	CHECK(!text_ieq(BYTES("abc"), BYTES("abcd")));
	CHECK(!text_ieq(BYTES("[x"), BYTES("{x")));
	CHECK(!text_ieq(BYTES("\xc4x"), BYTES("\xe4x")));
	CHECK(text_ieq(BYTES("a\0B"), BYTES("A\0b")));
	CHECK(!text_ieq(BYTES("a\0b"), BYTES("a\0c")));
	CHECK(text_is(BYTES("Quit"), "QUIT"));
	CHECK(!text_is(BYTES("Quit\0"), "QUIT"));
	CHECK(text_begins(BYTES("IPv6:::1"), "ipV6:"));
	CHECK(text_begins(BYTES("x"), ""));
	CHECK(!text_begins(BYTES("IPv"), "ipv6"));
}

static void
copy(void)
{
	char d[4];

	CHECK_INT(text_copy(d, sizeof(d), "abc", 3), 0);
	CHECK_MEM(d, 4, "abc", 4);
	CHECK_INT(text_copy(d, sizeof(d), "abcd", 4), -1);
	CHECK_STR(d, "");
	CHECK_INT(text_copy(d, sizeof(d), NULL, 0), 0);
	CHECK_STR(d, "");
	CHECK_INT(text_copy(d, 0, "a", 1), -1);
	CHECK_INT(text_copy(d, 1, "a", 1), -1);
}

static void
numbers(void)
{
	static const struct {
		const char *in;
		int result;
		uint64_t want;
	} t[] = {
		{ "0", 0, 0 },
		{ "7", 0, 7 },
		{ "007", 0, 7 },
		{ "4294967296", 0, UINT64_C(4294967296) },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -1, 0 },
		{ "18446744073709551620", -1, 0 },
		{ "99999999999999999999", -1, 0 },
		{ "000000000000000000000000000001", 0, 1 },
		{ "", -1, 0 },
		{ "-1", -1, 0 },
		{ "+1", -1, 0 },
		{ " 1", -1, 0 },
		{ "1 ", -1, 0 },
		{ "0x10", -1, 0 },
		{ "1e3", -1, 0 },
	};
	uint64_t v;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		v = 0;
		CHECK_INT(text_u64(t[i].in, strlen(t[i].in), &v), t[i].result);
		CHECK_MSG(v == t[i].want, "%s: another value", t[i].in);
	}
	CHECK_INT(text_u64(BYTES("1\0"), &v), -1);
}

static void
escapes(void)
{
	static const struct {
		size_t size;
		const char *in;
		size_t n;
		const char *want;
	} t[] = {
		{ 40, BYTES("plain text ~!"), "plain text ~!" },
		{ 40, BYTES("a\"b\\c"), "a\\\"b\\\\c" },
		{ 40, BYTES("a\r\n\0\x7f\xff"), "a\\x0d\\x0a\\x00\\x7f\\xff" },
		{ 4, BYTES("abc"), "abc" },
		{ 4, BYTES("abcd"), "..." },
		{ 5, BYTES("abcde"), "a..." },
		{ 12, BYTES("abcdefghijk"), "abcdefghijk" },
		{ 12, BYTES("abcdefghijkl"), "abcdefgh..." },
		{ 12, BYTES("abcdef\001hij"), "abcdef..." },
		{ 12, BYTES("abcd\001hijk"), "abcd\\x01..." },
		{ 12, BYTES("abcde\001hij"), "abcde..." },
		{ 12, BYTES("abcdefg\001"), "abcdefg\\x01" },
		{ 3, BYTES("ab"), "ab" },
		{ 3, BYTES("abc"), "ab" },
		{ 2, BYTES("\""), "" },
		{ 1, BYTES("x"), "" },
		{ 40, BYTES(""), "" },
	};
	char d[40], one[1];
	size_t i, n;

	for (i = 0; i < LEN(t); i++)
		CHECK_STR(text_escape(d, t[i].size, t[i].in, t[i].n), t[i].want);
	one[0] = 'x';
	CHECK(text_escape(one, 0, "a", 1) == one && one[0] == 'x');
	/* whatever the size is, nothing is written behind it */
	for (n = 1; n < sizeof(d) - 1; n++) {
		memset(d, '#', sizeof(d));
		text_escape(d, n, BYTES("\001\002ab\"cd\003efghijklmnop\004"));
		CHECK(d[n] == '#' && memchr(d, '\0', n));
	}
}

static void
base64(void)
{
	static const struct {
		const char *in, *want;
	} t[] = {		/* RFC 4648 10 */
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd", "//79" },
		{ "\xfb\xef\xbe", "++++" },
	};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "Zm 9", "Zm9v\n",
		"Zm-_", "=Zg=", "Zg=a", "Z=g=", "Zm9vZg==Zm9v", "Zm9v====",
	};
	char d[16];
	size_t i, n;

	for (i = 0; i < LEN(t); i++) {
		n = strlen(t[i].want);
		CHECK_INT(text_base64(d, n + 1, t[i].in, strlen(t[i].in)), n);
		CHECK_STR(d, t[i].want);
		CHECK_INT(text_base64(d, n, t[i].in, strlen(t[i].in)), 0);
		memcpy(d, t[i].want, n);
		CHECK_INT(text_unbase64(d, sizeof(d), d, n), strlen(t[i].in));
		CHECK(!memcmp(d, t[i].in, strlen(t[i].in)));
		if (*t[i].in)
			CHECK_INT(text_unbase64(d, strlen(t[i].in) - 1, t[i].want, n), -1);
	}
	for (i = 0; i < LEN(bad); i++)
		CHECK_MSG(text_unbase64(d, sizeof(d), bad[i], strlen(bad[i])) < 0, "%s", bad[i]);
	CHECK_INT(text_unbase64(d, sizeof(d), BYTES("Zg\0=")), -1);
	CHECK_INT(text_unbase64(d, 0, "", 0), 0);
}

static void
base64_all(void)
{
	unsigned char in[100], out[100];
	char text[140];
	uint64_t seed;
	size_t n, i, len;

	seed = 1;
	for (n = 0; n <= sizeof(in); n++) {
		for (i = 0; i < n; i++)
			in[i] = (unsigned char)(test_random(&seed) & 255);
		len = text_base64(text, sizeof(text), in, n);
		CHECK_INT(len, (n + 2) / 3 * 4);
		CHECK_INT(text_unbase64(out, sizeof(out), text, len), n);
		CHECK(!memcmp(in, out, n));
	}
}

static void
dates(void)
{
	static const struct {
		int64_t t;
		const char *date, *from, *utc;
	} t[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000", "Thu Jan  1 00:00:00 1970",
		    "1970-01-01T00:00:00Z" },
		{ -5, "Thu, 1 Jan 1970 00:00:00 +0000", "Thu Jan  1 00:00:00 1970",
		    "1970-01-01T00:00:00Z" },
		{ 951782399, "Mon, 28 Feb 2000 23:59:59 +0000", "Mon Feb 28 23:59:59 2000",
		    "2000-02-28T23:59:59Z" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000", "Tue Feb 29 00:00:00 2000",
		    "2000-02-29T00:00:00Z" },
		{ 1795316594, "Sun, 22 Nov 2026 03:03:14 +0000", "Sun Nov 22 03:03:14 2026",
		    "2026-11-22T03:03:14Z" },
		{ INT64_C(2147483648), "Tue, 19 Jan 2038 03:14:08 +0000",
		    "Tue Jan 19 03:14:08 2038", "2038-01-19T03:14:08Z" },
		{ INT64_C(4107542400), "Mon, 1 Mar 2100 00:00:00 +0000",
		    "Mon Mar  1 00:00:00 2100", "2100-03-01T00:00:00Z" },
		{ INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000", "Fri Dec 31 23:59:59 9999",
		    "9999-12-31T23:59:59Z" },
	};
	char d[DATE_TEXT];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_STR(text_date(d, t[i].t), t[i].date);
		CHECK_STR(text_fromdate(d, t[i].t), t[i].from);
		CHECK_STR(text_utc(d, t[i].t), t[i].utc);
	}
}

/* Every day of 200 years against the C library. */
static void
calendar(void)
{
	char d[DATE_TEXT], want[DATE_TEXT];
	int64_t t;
	time_t when;
	int wrong;

	wrong = 0;
	for (t = 0; t < INT64_C(86400) * 365 * 200; t += 86400 + 7) {
		when = (time_t)t;
		strftime(want, sizeof(want), "%a %b %e %H:%M:%S %Y", gmtime(&when));
		wrong += strcmp(text_fromdate(d, t), want) != 0;
	}
	CHECK_INT(wrong, 0);
}

int
main(void)
{
	compare();
	copy();
	numbers();
	escapes();
	base64();
	base64_all();
	dates();
	calendar();
	return test_end();
}
