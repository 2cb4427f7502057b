/* with: lib/srs.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Sender rewriting: there, back, further on, and everything that must not come back. */
#include "lib/srs.h"
#include "test.h"

enum { DAY = 20779 };

static const struct srs ours = { (const unsigned char *)"0123456789abcdef", 16, "fwd.example" };
static const struct srs other = { (const unsigned char *)"0123456789abcdeg", 16, "fwd.example" };
static const struct srs second = { (const unsigned char *)"another secret of theirs", 24,
    "two.example" };
static const struct srs third = { (const unsigned char *)"the third one has this", 22,
    "three.example" };

#define L10 "abcdefghij"
#define L64 L10 L10 L10 L10 L10 L10 "abcd"

static size_t
local_of(const char *address)
{
	return (size_t)(strrchr(address, '@') - address);
}

static int
back(const struct srs *s, char *dst, const char *address, int64_t day)
{
	return srs_reverse(s, dst, address, local_of(address), day);
}

/* What the forms look like; the hashes were computed by Python's hmac and base64 modules. */
static void
test_forms(void)
{
	static const struct {
		const char *sender, *want;
	} t[] = {
		{ "joe@example.org", "SRS0=U22QH=JL=example.org=joe@fwd.example" },
		{ "Joe.B+x@Example.ORG", "SRS0=KS4Y2=JL=Example.ORG=Joe.B+x@fwd.example" },
		{ "a=b=c@d", "SRS0=Q2YL5=JL=d=a=b=c@fwd.example" },
		{ "SRS0=HHH=TT=example.org=joe@one.example",
		    "SRS1=XIUFG=one.example==HHH=TT=example.org=joe@fwd.example" },
		{ "srs0+HHH=TT=example.org=joe@one.example",
		    "SRS1=GWKUN=one.example=+HHH=TT=example.org=joe@fwd.example" },
		{ "SRS0-x@one.example", "SRS1=LISKS=one.example=-x@fwd.example" },
		{ "SRS1=XXX=one.example==HHH=TT=example.org=joe@two.example",
		    "SRS1=XIUFG=one.example==HHH=TT=example.org=joe@fwd.example" },
		{ "SRS1-XXX=one.example=+HHH=TT=a=joe@two.example",
		    "SRS1=D4OK6=one.example=+HHH=TT=a=joe@fwd.example" },
		/* not what they look like */
		{ "SRS0=@d", "SRS0=XFZD2=JL=d=SRS0=@fwd.example" },
		{ "SRS1=x=y@d", "SRS0=LJV4O=JL=d=SRS1=x=y@fwd.example" },
		{ "SRS1=h=y=z@d", "SRS0=4KGFI=JL=d=SRS1=h=y=z@fwd.example" },
		{ "SRS2=a@d", "SRS0=3TH4Q=JL=d=SRS2=a@fwd.example" },
		{ "j\xc3\xb6@d\xc3\xb6.example",
		    "SRS0=GQRR6=JL=d\xc3\xb6.example=j\xc3\xb6@fwd.example" },
	};
	char dst[ADDR_TEXT + 1];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(srs_forward(&ours, dst, t[i].sender, DAY), 0);
		CHECK_STR(dst, t[i].want);
		CHECK(srs_is(dst, local_of(dst)));
	}
}

static void
test_refused(void)
{
	static const char *const t[] = {
		"", "postmaster", "\"a b\"@example.org", "\"a\"@b", "a@[192.0.2.1]", "@b", "a@",
		    "a b@c",
		"a@b c", "a\n@b", "a@b\n", "a@b>", "<a@b", "a,b@c", "a@@c", "a\\@c",
		L64 "@b.example", L10 L10 L10 L10 L10 "a@b",
		    "SRS0=" L10 L10 L10 L10 L10 L10 "@b.example",
	};
	struct srs s = ours;
	char dst[ADDR_TEXT + 1], name[ADDR_DOMAIN + 2];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		memcpy(dst, "x", 2);
		(void)CHECK_MSG(srs_forward(&ours, dst, t[i], DAY) == -1, "%s: %s", t[i], dst);
		CHECK_STR(dst, "");
	}
	/* exactly full, and one too many: 15 of ours, the domain, the local part */
	CHECK_INT(srs_forward(&ours, dst, L10 L10 L10 L10 "abcdefgh@b", DAY), 0);
	CHECK_INT(local_of(dst), ADDR_LOCAL);
	CHECK_INT(srs_forward(&ours, dst, L10 L10 L10 L10 "abcdefghi@b", DAY), -1);
	/* a name of ours as long as may be */
	memset(name, 'd', sizeof(name));
	name[ADDR_DOMAIN] = '\0';
	s.domain = name;
	CHECK_INT(srs_forward(&s, dst, L10 L10 L10 L10 "abcdefgh@b", DAY), 0);
	CHECK_INT(strlen(dst), ADDR_TEXT);
	name[ADDR_DOMAIN] = 'd';
	name[ADDR_DOMAIN + 1] = '\0';
	CHECK_INT(srs_forward(&s, dst, "a@b", DAY), -1);
}

static void
test_back(void)
{
	static const char *const t[] = {
		"joe@example.org", "Joe.B+x@Example.ORG", "a=b=c@d", "SRS0=@d", "SRS1=x=y@d", "=@d",
		"!#$%&'*+-/=?^_`{|}~@x-y.example", "j\xc3\xb6@d\xc3\xb6.example",
	};
	char there[ADDR_TEXT + 1], dst[ADDR_TEXT + 1];
	size_t i, k;
	int day;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(srs_forward(&ours, there, t[i], DAY), 0);
		CHECK_INT(back(&ours, dst, there, DAY), 0);
		CHECK_STR(dst, t[i]);
		CHECK_INT(back(&other, dst, there, DAY), -1);
		CHECK_STR(dst, "");
		there[4] = '+';
		CHECK_INT(back(&ours, dst, there, DAY), 0);
		there[4] = '-';
		CHECK_INT(back(&ours, dst, there, DAY), 0);
		there[4] = '.';
		CHECK_INT(back(&ours, dst, there, DAY), -1);
		there[4] = '=';
		/* folded to capitals, to small letters */
		for (k = 0; there[k]; k++)
			if (there[k] >= 'a' && there[k] <= 'z')
				there[k] = (char)(there[k] - 32);
		CHECK_INT(back(&ours, dst, there, DAY), 0);
		CHECK(strlen(dst) == strlen(t[i]));
		for (k = 0; there[k]; k++)
			if (there[k] >= 'A' && there[k] <= 'Z')
				there[k] = (char)(there[k] + 32);
		CHECK_INT(back(&ours, dst, there, DAY), 0);
		/* the age, over all days a stamp can show */
		for (day = 0; day < 1024; day++) {
			CHECK_INT(srs_forward(&ours, there, t[i], DAY + day), 0);
			if (back(&ours, dst, there, DAY + day + 21) ||
			    !back(&ours, dst, there, DAY + day + 22) ||
			    !back(&ours, dst, there, DAY + day - 1))
				CHECK_MSG(0, "%s on day %d", t[i], day);
		}
	}
}

/* Every other octet in every place makes it void, but for letters in another case. */
static void
test_tampered(void)
{
	static const char *const t[] = {
		"joe@example.org", "SRS0=HHH=TT=example.org=joe@one.example",
	};
	char there[ADDR_TEXT + 1], dst[ADDR_TEXT + 1];
	int ch, was;
	size_t i, k, n;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(srs_forward(&ours, there, t[i], DAY), 0);
		n = local_of(there);
		for (k = 0; k < n; k++) {
			was = (unsigned char)there[k];
			for (ch = 0; ch < 256; ch++) {
				if ((ch | 32) == (was | 32) && (was | 32) >= 'a' &&
				    (was | 32) <= 'z')
					continue;
				if (ch == was || (k == 4 && strchr("=+-", ch)))
					continue;
				there[k] = (char)ch;
				if (srs_reverse(&ours, dst, there, n, DAY) != -1 || *dst)
					CHECK_MSG(0, "octet %d as %02x: %s", (int)k, ch, dst);
			}
			there[k] = (char)was;
		}
		for (k = 0; k < n; k++)
			CHECK_INT(srs_reverse(&ours, dst, there, k, DAY), -1);
		CHECK_INT(srs_reverse(&ours, dst, there, n, DAY), 0);
	}
}

/* Three forwarders: the last one's bounce goes to the first, that one's to the sender. */
static void
test_chain(void)
{
	char a[ADDR_TEXT + 1], b[ADDR_TEXT + 1], c[ADDR_TEXT + 1], dst[ADDR_TEXT + 1];

	CHECK_INT(srs_forward(&ours, a, "joe@example.org", DAY), 0);
	CHECK_INT(srs_forward(&second, b, a, DAY), 0);
	CHECK_INT(srs_forward(&third, c, b, DAY), 0);
	CHECK_INT(back(&third, dst, c, DAY + 1), 0);
	CHECK_STR(dst, a);
	CHECK_INT(back(&second, dst, b, DAY + 1), 0);
	CHECK_STR(dst, a);
	CHECK_INT(back(&ours, dst, a, DAY + 2), 0);
	CHECK_STR(dst, "joe@example.org");
	CHECK_INT(back(&second, dst, c, DAY), -1);
	/* an SRS1 form whose hash is that of an SRS0 form */
	a[3] = '1';
	CHECK_INT(back(&ours, dst, a, DAY), -1);
}

static void
test_is(void)
{
	static const struct {
		const char *p;
		int want;
	} t[] = {
		{ "SRS0=a", 1 }, { "srs0+a", 1 }, { "sRs1-a", 1 }, { "SRS1=", 1 }, { "SRS0", 0 },
		{ "SRS2=a", 0 }, { "SRS0a", 0 }, { "xSRS0=a", 0 }, { "", 0 }, { "S", 0 },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++)
		CHECK_INT(srs_is(t[i].p, strlen(t[i].p)), t[i].want);
}

int
main(void)
{
	test_forms();
	test_refused();
	test_back();
	test_tampered();
	test_chain();
	test_is();
	return test_end();
}
