/* with: lib/dnsmsg.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Messages of the DNS: names, questions, answers made by hand. Each answer is also cut at each of
 * its octets, and has each of them changed: what is read then must still lie within it.
 */
#include "lib/dnsmsg.h"
#include "test.h"

#define CHECK_BYTES(got, ngot, s) CHECK_MEM((got), (ngot), (s), sizeof(s) - 1)

enum { ID = 0x1234, CNAME = 5, NS = 2, SOA = 6, OPT = 41 };

/* ---- a message in the making ---- */

static unsigned char msg[65536];
static size_t len;

static void
b8(unsigned v)
{
	msg[len++] = (unsigned char)v;
}

static void
b16(unsigned v)
{
	b8(v >> 8 & 0xff);
	b8(v & 0xff);
}

static void
b32(unsigned long v)
{
	b16((unsigned)(v >> 16));
	b16((unsigned)(v & 0xffff));
}

static void
raw(const char *s, size_t n)
{
	memcpy(msg + len, s, n);
	len += n;
}

/* "a.b" as labels; with @N at its end a pointer to N instead of the root. */
static void
nm(const char *s)
{
	size_t n;

	while (*s && *s != '@') {
		n = strcspn(s, ".@");
		b8((unsigned)n);
		raw(s, n);
		s += n + (s[n] == '.');
	}
	if (*s)
		b16(0xc000 | (unsigned)atoi(s + 1));
	else
		b8(0);
}

/* The header and the question; flags: octets 2 and 3. */
static void
begin(unsigned flags, const char *name, unsigned type)
{
	len = 0;
	b16(ID);
	b16(flags);
	b16(1);
	b16(0);
	b16(0);
	b16(0);
	nm(name);
	b16(type);
	b16(1);
}

/* One more record in a section: 0 answer, 1 authority, 2 additional. */
static void
more(int section)
{
	unsigned char *p = msg + 6 + 2 * section;
	unsigned n = (unsigned)p[0] << 8 | p[1];

	p[0] = (unsigned char)((n + 1) >> 8);
	p[1] = (unsigned char)(n + 1);
}

static size_t data_at;

static void
rr(int section, const char *owner, unsigned type, unsigned long ttl)
{
	more(section);
	nm(owner);
	b16(type);
	b16(1);
	b32(ttl);
	b16(0);
	data_at = len;
}

static void
end(void)
{
	size_t n = len - data_at;

	msg[data_at - 2] = (unsigned char)(n >> 8);
	msg[data_at - 1] = (unsigned char)n;
}

static void
rr_name(int section, const char *owner, unsigned type, unsigned long ttl, const char *name)
{
	rr(section, owner, type, ttl);
	nm(name);
	end();
}

static void
rr_mx(const char *owner, unsigned long ttl, unsigned preference, const char *name)
{
	rr(0, owner, DNS_MX, ttl);
	b16(preference);
	nm(name);
	end();
}

static void
rr_raw(int section, const char *owner, unsigned type, unsigned long ttl, const char *p, size_t n)
{
	rr(section, owner, type, ttl);
	raw(p, n);
	end();
}

static void
rr_soa(const char *owner, unsigned long ttl, unsigned long minimum)
{
	rr(1, owner, SOA, ttl);
	nm("ns@12");
	nm("root@12");
	b32(1);
	b32(2);
	b32(3);
	b32(4);
	b32(minimum);
	end();
}

/* ---- what comes of it ---- */

static struct dns_found f;
static struct dns_answer a;

static void
inside(int type)
{
	int i;

	dnsmsg_unpack(&a, type, f.b, f.n);
	if (a.n != f.rrs)
		CHECK_INT(a.n, f.rrs);
	for (i = 0; i < a.n; i++)
		if (a.rr[i].text < f.b || a.rr[i].text + a.rr[i].n >= f.b + f.n ||
		    a.rr[i].text[a.rr[i].n])
			CHECK_MSG(0, "record %d lies outside", i);
	if (strlen(f.name) > 253)
		CHECK_INT(strlen(f.name), 253);
}

/* From a block of its own size, so that the sanitizer sees the first octet beyond. */
static int
reads(const unsigned char *p, size_t n, const char *name, int type, int links)
{
	unsigned char *q = malloc(n ? n : 1);
	int m;

	if (!q)
		abort();
	memcpy(q, p, n);
	m = (int)dnsmsg_read(&f, q, n, name, type, ID, links);
	free(q);
	if (m == M_OK)
		inside(type);
	return m;
}

static void
hurt(const char *name, int type, int want)
{
	size_t i;
	int m;

	for (i = 0; i < len; i++) {
		m = reads(msg, i, name, type, DNS_CHAIN);
		if (m == want && want >= M_FOLLOW)
			CHECK_MSG(0, "cut at %lu of %lu: still good",
			    (unsigned long)i, (unsigned long)len);
	}
	for (i = 0; i < len && i < 4000; i++) {
		msg[i] ^= 0xff;
		(void)reads(msg, len, name, type, DNS_CHAIN);
		msg[i] ^= 0xff ^ 0x01;
		(void)reads(msg, len, name, type, DNS_CHAIN);
		msg[i] ^= 0x01 ^ 0xc0;
		(void)reads(msg, len, name, type, DNS_CHAIN);
		msg[i] ^= 0xc0;
	}
}

/* Read msg as the answer to a question, and what remains of it when it is hurt. */
static void
expect(int line, const char *name, int type, int want)
{
	int m = reads(msg, len, name, type, DNS_CHAIN);

	CHECK_MSG(m == want, "line %d: got %d, want %d", line, m, want);
	hurt(name, type, want);
	(void)reads(msg, len, name, type, DNS_CHAIN);
}

#define EXPECT(name, type, want) expect(__LINE__, (name), (type), (want))

/* ---- tests ---- */

static char long_name[400];	/* 4 labels of 63, the last one of n: 253 is the most */

static const char *
of_length(size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		long_name[i] = i % 64 == 63 ? '.' : 'x';
	long_name[n] = '\0';
	return long_name;
}

static void
names(void)
{
	static const struct {
		const char *in, *want;	/* NULL: refused */
	} t[] = {
		{ "example.org", "example.org" },
		{ "example.org.", "example.org" },
		{ "EXAMPLE.Org", "example.org" },
		{ "_dmarc.example.org", "_dmarc.example.org" },
		{ "0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa" },
		{ "a", "a" },
		{ "", NULL },
		{ ".", NULL },
		{ "..", NULL },
		{ ".a", NULL },
		{ "a..b", NULL },
		{ "a.b..", NULL },
		{ "a b!%.c", "a b!%.c" },	/* %_ in SPF, RFC 7208 7.3 */
		{ "a\tb", NULL },
		{ "a\\b", NULL },
		{ "\xc3\xa4.example", NULL },
		{ "a\x7f", NULL },
	};
	char dst[DNS_NAME];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		if (!CHECK_MSG(dnsmsg_name(dst, t[i].in) == (t[i].want ? 0 : -1), "%s", t[i].in))
			continue;
		if (t[i].want)
			CHECK_STR(dst, t[i].want);
	}
	CHECK_INT(dnsmsg_name(dst, of_length(253)), 0);
	CHECK_INT(dnsmsg_name(dst, of_length(254)), -1);
	CHECK_INT(dnsmsg_name(dst, of_length(300)), -1);
	CHECK_INT(dnsmsg_name(dst, of_length(63)), 0);
	memset(long_name, 'x', 64);
	long_name[64] = '\0';
	CHECK_INT(dnsmsg_name(dst, long_name), -1);
}

static void
questions(void)
{
	unsigned char p[DNSMSG_ASK];
	size_t n;

	n = dnsmsg_ask(p, "mx.example.org", DNS_MX, 0xbeef, 1);
	CHECK_BYTES(p, n, "\xbe\xef\x01\0\0\1\0\0\0\0\0\1\2mx\7example\3org\0\0\17\0\1"
	    "\0\0\51\4\320\0\0\0\0\0\0");
	n = dnsmsg_ask(p, "a", DNS_A, 1, 0);
	CHECK_BYTES(p, n, "\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1");
	n = dnsmsg_ask(p, of_length(253), DNS_AAAA, 1, 1);
	CHECK_INT(n, 12 + 255 + 4 + 11);
	CHECK(n <= sizeof(p));
	/* our own question is not an answer */
	CHECK_INT(reads(p, n, long_name, DNS_AAAA, 8), M_ALIEN);
}

static void
addresses(void)
{
	struct ip want;

	begin(0x8180, "Mail.Example.ORG", DNS_A);
	rr_raw(0, "@12", DNS_A, 300, BYTES("\300\0\2\1"));
	rr_raw(0, "mail.example.org", DNS_A, 200, BYTES("\300\0\2\2"));
	rr_raw(0, "other.example.org", DNS_A, 1, BYTES("\300\0\2\3"));
	EXPECT("mail.example.org", DNS_A, M_OK);
	CHECK_INT(a.n, 2);
	CHECK_INT(f.ttl, 200);
	memcpy(want.a, "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\2", 16);
	CHECK_MEM(a.rr[1].ip.a, 16, want.a, 16);
	/* the right answer to another question */
	CHECK_INT(reads(msg, len, "mail.example.net", DNS_A, 8), M_ALIEN);
	CHECK_INT(reads(msg, len, "mail.example.org", DNS_AAAA, 8), M_ALIEN);
	msg[0] ^= 1;
	CHECK_INT(reads(msg, len, "mail.example.org", DNS_A, 8), M_ALIEN);

	begin(0x8180, "a.example", DNS_AAAA);
	rr_raw(0, "@12", DNS_AAAA, 0x80000005UL, BYTES("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\31"));
	EXPECT("a.example", DNS_AAAA, M_OK);
	CHECK_MEM(a.rr[0].ip.a, 16, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\31", 16);
	CHECK_INT(f.ttl, 0);

	begin(0x8180, "a.example", DNS_A);
	rr_raw(0, "@12", DNS_A, 5, BYTES("\300\0\2"));		/* 3 octets */
	rr_raw(0, "@12", DNS_AAAA, 5, BYTES("\300\0\2\1"));
	EXPECT("a.example", DNS_A, M_REFUSED);
	rr_raw(0, "@12", DNS_A, 7, BYTES("\300\0\2\1"));
	EXPECT("a.example", DNS_A, M_OK);
	CHECK_INT(a.n, 1);
	msg[len - 4 - 2 - 4 - 1] = 3;				/* its class is CHAOS */
	EXPECT("a.example", DNS_A, M_REFUSED);
}

static void
exchangers(void)
{
	begin(0x8180, "example.org", DNS_MX);
	rr_mx("@12", 60, 10, "MX1@12");
	rr_mx("@12", 60, 65535, "Mx2.Example.NET");
	rr_mx("@12", 60, 1, "");
	rr_mx("@12", 60, 5, "b ad.example.net");
	rr_mx("@12", 60, 5, "b\"ad.example.net");
	rr_mx("@12", 60, 5, "b\xff");
	EXPECT("example.org", DNS_MX, M_OK);
	CHECK_INT(a.n, 3);
	CHECK_STR(a.rr[0].text, "mx1.example.org");
	CHECK_INT(a.rr[0].n, 15);
	CHECK_INT(a.rr[0].preference, 10);
	CHECK_STR(a.rr[1].text, "mx2.example.net");
	CHECK_INT(a.rr[1].preference, 65535);
	CHECK_STR(a.rr[2].text, "");
	CHECK_INT(a.rr[2].n, 0);
	/* nothing but rubbish is not "there is none" */
	begin(0x8180, "example.org", DNS_MX);
	rr_mx("@12", 60, 5, "b ad.example.net");
	EXPECT("example.org", DNS_MX, M_REFUSED);
	/* octets behind the name, or none */
	begin(0x8180, "example.org", DNS_MX);
	rr_raw(0, "@12", DNS_MX, 60, BYTES("\0\1\1a\0x"));
	rr_raw(0, "@12", DNS_MX, 60, BYTES("\0\1"));
	rr_raw(0, "@12", DNS_MX, 60, BYTES("\0"));
	rr_raw(0, "@12", DNS_MX, 60, BYTES(""));
	EXPECT("example.org", DNS_MX, M_REFUSED);
	begin(0x8180, "4.3.2.1.in-addr.arpa", DNS_PTR);
	rr_name(0, "@12", DNS_PTR, 60, "Host_1.example");
	EXPECT("4.3.2.1.in-addr.arpa", DNS_PTR, M_OK);
	CHECK_STR(a.rr[0].text, "host_1.example");
}

static void
texts(void)
{
	static char big[256 * 40];
	size_t i;

	begin(0x8180, "example.org", DNS_TXTS);
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\6v=spf1\0\5 -all"));
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\3a\0\xff"));
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES(""));
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\0"));
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\3ab"));		/* too long for its record */
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\1a\377"));
	EXPECT("example.org", DNS_TXTS, M_OK);
	CHECK_INT(a.n, 4);
	CHECK_BYTES(a.rr[0].text, a.rr[0].n, "v=spf1 -all");
	CHECK_BYTES(a.rr[1].text, a.rr[1].n, "a\0\xff");
	CHECK_INT(a.rr[2].n, 0);
	CHECK_INT(a.rr[3].n, 0);
	CHECK_INT(f.cut, 0);
	/* more than is kept: what fits is there */
	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i % 256 ? 'x' : '\377');
	begin(0x8180, "example.org", DNS_TXTS);
	rr_raw(0, "@12", DNS_TXTS, 60, big, 256 * 20);
	rr_raw(0, "@12", DNS_TXTS, 60, big, 256 * 20);
	rr_raw(0, "@12", DNS_TXTS, 60, BYTES("\5small"));
	CHECK_INT(reads(msg, len, "example.org", DNS_TXTS, 8), M_OK);
	CHECK_INT(a.n, 2);
	CHECK_INT(a.rr[0].n, 255 * 20);
	CHECK_INT(f.cut, 1);
	begin(0x8180, "example.org", DNS_TXTS);
	rr_raw(0, "@12", DNS_TXTS, 60, big, 256 * 40);
	CHECK_INT(reads(msg, len, "example.org", DNS_TXTS, 8), M_REFUSED);
	begin(0x8180, "example.org", DNS_A);
	for (i = 0; i < DNS_RRS + 1; i++)
		rr_raw(0, "@12", DNS_A, 60, BYTES("\300\0\2\1"));
	CHECK_INT(reads(msg, len, "example.org", DNS_A, 8), M_OK);
	CHECK_INT(a.n, DNS_RRS);
	CHECK_INT(f.cut, 1);
}

static void
chains(void)
{
	char one[16], two[16];
	int i;

	/* in no order, with strangers between */
	begin(0x8180, "a.example", DNS_A);
	rr_raw(0, "c.example", DNS_A, 60, BYTES("\300\0\2\1"));
	rr_name(0, "b.example", CNAME, 50, "C.example");
	rr_name(0, "x.example", CNAME, 1, "y.example");
	rr_raw(0, "b.example", DNS_A, 60, BYTES("\300\0\2\2"));
	rr_raw(0, "y.example", DNS_A, 60, BYTES("\300\0\2\3"));
	rr_name(0, "@12", CNAME, 40, "b.example");
	EXPECT("a.example", DNS_A, M_OK);
	CHECK_INT(a.n, 1);
	CHECK_INT(a.rr[0].ip.a[15], 1);
	CHECK_INT(f.ttl, 40);
	CHECK_INT(f.links, 2);
	CHECK_STR(f.name, "c.example");
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 2), M_OK);
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 1), M_REFUSED);
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 0), M_REFUSED);
	/* it ends outside */
	begin(0x8180, "a.example", DNS_MX);
	rr_name(0, "@12", CNAME, 40, "B/25.example");
	EXPECT("a.example", DNS_MX, M_FOLLOW);
	CHECK_STR(f.name, "b/25.example");
	CHECK_INT(f.ttl, 40);
	/* it ends with nothing */
	rr_soa("example", 300, 30);
	EXPECT("a.example", DNS_MX, M_NODATA);
	CHECK_INT(f.ttl, 30);
	/* to the root, or to what no text can show */
	begin(0x8180, "a.example", DNS_MX);
	rr_name(0, "@12", CNAME, 40, "");
	EXPECT("a.example", DNS_MX, M_REFUSED);
	begin(0x8180, "a.example", DNS_MX);
	rr_name(0, "@12", CNAME, 40, "b\tc.example");
	EXPECT("a.example", DNS_MX, M_REFUSED);
	/* loops */
	begin(0x8180, "a.example", DNS_A);
	rr_name(0, "@12", CNAME, 40, "@12");
	EXPECT("a.example", DNS_A, M_REFUSED);
	begin(0x8180, "a.example", DNS_A);
	rr_name(0, "@12", CNAME, 40, "b.example");
	rr_name(0, "b.example", CNAME, 40, "@12");
	EXPECT("a.example", DNS_A, M_REFUSED);
	/* the longest, and one longer */
	begin(0x8180, "n0", DNS_A);
	for (i = 0; i <= DNS_CHAIN; i++) {
		(void)snprintf(one, sizeof(one), "n%d", i);
		(void)snprintf(two, sizeof(two), "n%d", i + 1);
		if (i == DNS_CHAIN) {
			rr_raw(0, one, DNS_A, 60, BYTES("\300\0\2\1"));
			EXPECT("n0", DNS_A, M_OK);
		}
		rr_name(0, one, CNAME, 60, two);
	}
	EXPECT("n0", DNS_A, M_REFUSED);
	/* asked for itself it is not followed */
	begin(0x8180, "a.example", CNAME);
	rr_name(0, "@12", CNAME, 40, "b.example");
	EXPECT("a.example", CNAME, M_OK);
	CHECK_STR(a.rr[0].text, "b.example");
}

static void
nothing(void)
{
	begin(0x8183, "a.example", DNS_A);
	EXPECT("a.example", DNS_A, M_NXDOMAIN);
	CHECK_INT(f.ttl, 0);
	rr_soa("example", 20, 300);
	EXPECT("a.example", DNS_A, M_NXDOMAIN);
	CHECK_INT(f.ttl, 20);
	begin(0x8180, "a.example", DNS_A);
	EXPECT("a.example", DNS_A, M_NODATA);
	CHECK_INT(f.ttl, 0);
	rr_soa("example", 900, 300);
	EXPECT("a.example", DNS_A, M_NODATA);
	CHECK_INT(f.ttl, 300);
	/* records of another type are none */
	begin(0x8180, "a.example", DNS_A);
	rr_mx("@12", 60, 1, "b.example");
	EXPECT("a.example", DNS_A, M_NODATA);
	/* a CNAME whose target does not exist */
	begin(0x8183, "a.example", DNS_A);
	rr_name(0, "@12", CNAME, 40, "b.example");
	rr_soa("example", 900, 300);
	EXPECT("a.example", DNS_A, M_NXDOMAIN);
	CHECK_INT(f.ttl, 40);
	/* a referral */
	begin(0x8000, "a.example", DNS_A);
	rr_name(1, "example", NS, 60, "ns.example");
	EXPECT("a.example", DNS_A, M_REFUSED);
	begin(0x8400, "a.example", DNS_A);
	rr_name(1, "example", NS, 60, "ns.example");
	EXPECT("a.example", DNS_A, M_NODATA);
}

static void
codes(void)
{
	static const struct {
		unsigned flags;
		int want;
	} t[] = {
		{ 0x0180, M_ALIEN },		/* not an answer */
		{ 0x8980, M_ALIEN },		/* another opcode */
		{ 0x8181, M_FORMERR }, { 0x8184, M_FORMERR },
		{ 0x8182, M_REFUSED }, { 0x8185, M_REFUSED }, { 0x8186, M_REFUSED },
		{ 0x818f, M_REFUSED },
		{ 0x8380, M_TRUNCATED }, { 0x8382, M_TRUNCATED },
		{ 0x8580, M_OK }, { 0x8000, M_OK }, { 0x8130, M_OK },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		begin(t[i].flags, "a.example", DNS_A);
		rr_raw(0, "@12", DNS_A, 60, BYTES("\300\0\2\1"));
		EXPECT("a.example", DNS_A, t[i].want);
		/* without the question only errors are believed */
		msg[5] = 0;
		memmove(msg + 12, msg + 27, len - 27);
		CHECK_INT(reads(msg, 12, "a.example", DNS_A, 8),
		    t[i].want == M_FORMERR || t[i].want == M_REFUSED || t[i].flags == 0x8382 ?
		    t[i].want : M_ALIEN);
	}
	/* two questions, another class */
	begin(0x8180, "a.example", DNS_A);
	msg[5] = 2;
	EXPECT("a.example", DNS_A, M_ALIEN);
	begin(0x8180, "a.example", DNS_A);
	msg[len - 1] = 3;
	EXPECT("a.example", DNS_A, M_ALIEN);
	/* an error code in the extended part: BADVERS looks like "no such record" */
	begin(0x8180, "a.example", DNS_A);
	rr_raw(2, "", OPT, 0, BYTES(""));
	EXPECT("a.example", DNS_A, M_NODATA);
	begin(0x8180, "a.example", DNS_A);
	rr_raw(2, "", OPT, 1UL << 24, BYTES(""));
	EXPECT("a.example", DNS_A, M_REFUSED);
	/* fewer records than promised */
	begin(0x8180, "a.example", DNS_A);
	rr_raw(0, "@12", DNS_A, 60, BYTES("\300\0\2\1"));
	msg[11] = 1;
	EXPECT("a.example", DNS_A, M_REFUSED);
}

static void
pointers(void)
{
	size_t at, i;

	/* to itself, forwards, to the second octet of itself, behind the end */
	static const unsigned to[] = { 0, 2, 1, 5000, 0x3fff };

	for (i = 0; i < LEN(to); i++) {
		begin(0x8180, "a.example", DNS_A);
		more(0);
		b16(0xc000 | (to[i] < 12 ? (unsigned)len + to[i] : to[i]));
		raw(BYTES("\0\1\0\1\0\0\0\1\0\4\300\0\2\1"));
		EXPECT("a.example", DNS_A, M_REFUSED);
	}
	/* two that point at each other: the later one is refused */
	begin(0x8180, "a.example", DNS_A);
	at = len;
	more(0);
	b8(1);
	b8('a');
	b16(0xc000 | (unsigned)at);
	raw(BYTES("\0\1\0\1\0\0\0\1\0\4\300\0\2\1"));
	EXPECT("a.example", DNS_A, M_REFUSED);
	/* into the header: it is read as labels, harmlessly */
	begin(0x8180, "a.example", DNS_A);
	rr_raw(0, "@0", DNS_A, 60, BYTES("\300\0\2\1"));
	(void)reads(msg, len, "a.example", DNS_A, 8);
	/* kinds of labels that do not exist */
	for (i = 0x40; i < 0xc0; i += 0x20) {
		begin(0x8180, "a.example", DNS_A);
		more(0);
		b8((unsigned)i);
		raw(BYTES("aaaaaaaa\0\0\1\0\1\0\0\0\1\0\4\300\0\2\1"));
		EXPECT("a.example", DNS_A, M_REFUSED);
	}
	/* a name too long, by pointers */
	begin(0x8180, "a.example", DNS_A);
	rr_name(0, "b.example", DNS_PTR, 60, of_length(250));
	at = data_at;
	rr_name(0, "b.example", DNS_PTR, 60, "ab");
	len--;
	b16(0xc000 | (unsigned)at);
	end();
	rr_raw(0, "@12", DNS_A, 60, BYTES("\300\0\2\1"));
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 8), M_OK);
	begin(0x8180, "a.example", DNS_PTR);
	rr_name(0, "b.example", DNS_PTR, 60, of_length(250));
	at = data_at;
	rr_name(0, "@12", DNS_PTR, 60, "abc");
	len--;
	b16(0xc000 | (unsigned)at);
	end();
	CHECK_INT(reads(msg, len, "a.example", DNS_PTR, 8), M_REFUSED);
	msg[len - 6] = 2;
	memmove(msg + len - 3, msg + len - 2, 2);
	len--;
	end();
	CHECK_INT(reads(msg, len, "a.example", DNS_PTR, 8), M_OK);
	CHECK_INT(a.rr[0].n, 253);
}

/* Pointers to pointers end somewhere; the worst message of all is read in no time. */
static void
worst(void)
{
	char at[16];
	size_t i;

	begin(0x8180, "a.example", DNS_A);
	rr(0, "b", 99, 60);
	b8(0);
	for (i = 0; i < 200; i++)
		b16(0xc000 | (unsigned)(i ? len - 2 : len - 1));
	end();
	(void)snprintf(at, sizeof(at), "@%d", (int)len - 2 * (200 - 125));
	rr_raw(0, at, DNS_A, 60, BYTES("\300\0\2\1"));
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 8), M_NODATA);
	(void)snprintf(at, sizeof(at), "@%d", (int)(data_at - 12 - 2 * (200 - 126)));
	rr_raw(0, at, DNS_A, 60, BYTES("\300\0\2\1"));
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 8), M_REFUSED);
	/* only so many records are looked at */
	begin(0x8180, "a.example", DNS_A);
	for (i = 0; i < 200; i++)
		rr_raw(0, "b", DNS_A, 60, BYTES("\300\0\2\1"));
	rr_raw(0, "@12", DNS_A, 60, BYTES("\300\0\2\1"));
	CHECK_INT(reads(msg, len, "a.example", DNS_A, 8), M_REFUSED);
	CHECK_INT(f.cut, 1);
}

int
main(void)
{
	names();
	questions();
	addresses();
	exchangers();
	texts();
	chains();
	nothing();
	codes();
	pointers();
	worst();
	return test_end();
}
