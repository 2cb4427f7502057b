/* with: lib/addr.c lib/idn.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * DKIM signatures: what is hashed is the canonical form, octet for octet (what br_sha256_update()
 * is given is written down here), the signature is good for it, and none of it depends on how the
 * text is cut. What verifiers say of them: test/interop/dkim.py.
 */
#include <bearssl_hash.h>
#include <bearssl_rand.h>

#include "test.h"

static struct {
	char p[65536];
	size_t n;
} hashed;

static void
note(br_sha256_context *c, const void *p, size_t n)
{
	br_sha224_update(c, p, n);
	if (n <= sizeof(hashed.p) - hashed.n) {
		memcpy(hashed.p + hashed.n, p, n);
		hashed.n += n;
	}
}

/* A hash begins: that of the header is the last one. */
static void
begin(br_sha256_context *c)
{
	br_sha256_init(c);
	hashed.n = 0;
}

#undef br_sha256_update
#define br_sha256_update note
#define br_sha256_init begin
#include "lib/canon.c"
#include "lib/dkim.c"
#undef br_sha256_init

enum { TEST_BITS = 1024, BIG_BITS = 4096, TIME = 1700000000 };

static unsigned char priv[BR_RSA_KBUF_PRIV_SIZE(TEST_BITS)], pub[BR_RSA_KBUF_PUB_SIZE(TEST_BITS)];
static br_rsa_private_key sk;
static br_rsa_public_key pk;
static struct dkim_sign d;

static void
make_key(void)
{
	br_hmac_drbg_context rng;

	br_hmac_drbg_init(&rng, &br_sha256_vtable, "test", 4);
	if (!br_rsa_keygen_get_default()(&rng.vtable, &sk, priv, &pk, pub, TEST_BITS, 65537))
		abort();
}

static void
feed(const char *in, size_t n)
{
	dkim_init(&d);
	dkim_feed(&d, in, n);
}

/* The value of a tag of a field, without white space: cut out of a copy in static memory. */
static const char *
value(const char *field, const char *name)
{
	static char got[DKIM_FIELD];
	char want[16];
	const char *p;
	size_t n = 0;

	(void)snprintf(want, sizeof(want), "%s=", name);
	for (p = field; (p = strstr(p, want)) && p[-1] != ' ' && p[-1] != '\t'; p++)
		;
	for (p = p ? p + strlen(want) : ""; *p && *p != ';'; p++) {
		if (!strchr(" \t\n", *p))
			got[n++] = *p;
	}
	got[n] = '\0';
	return got;
}

static void
hash64(char dst[BASE64], const char *p, size_t n)
{
	unsigned char hash[32];
	br_sha256_context c;

	br_sha256_init(&c);
	br_sha224_update(&c, p, n);
	br_sha256_out(&c, hash);
	(void)text_base64(dst, BASE64, hash, 32);
}

/* ---- the body ---- */

static const struct {
	const char *in, *want;
} bodies[] = {
	/* RFC 6376 3.4.5 */
	{ " C \nD \t E\n\n\n", " C\r\nD E\r\n" },
	{ "", "" },
	{ "\n", "" },
	{ "\n\n\n", "" },
	{ " \n\t\n \t ", "" },
	{ "a", "a\r\n" },
	{ "a\n", "a\r\n" },
	{ "a \t", "a\r\n" },
	{ "a\n\n \n\t\n", "a\r\n" },
	{ "\n\na", "\r\n\r\na\r\n" },
	{ "\n \na\n\n\n\n b\n\n", "\r\n\r\na\r\n\r\n\r\n\r\n b\r\n" },
	{ "  a  b\t\tc \t d  \n", " a b c d\r\n" },
	{ "\ta\n", " a\r\n" },
	{ "a\n \n\nb \n \n", "a\r\n\r\n\r\nb\r\n" },
	{ ".\n..\nFrom x\n", ".\r\n..\r\nFrom x\r\n" },
	{ "\xc3\xa9 \xff\n", "\xc3\xa9 \xff\r\n" },
	{ "a\rb\n", "a\rb\r\n" },
};

/* All that is made of a mail. */
static size_t
machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	size_t at, k;
	long len;

	dkim_init(&d);
	for (at = 0; at < n; at += k) {
		k = test_piece(c, at, n);
		dkim_feed(&d, in + at, k);
	}
	len = dkim_finish(&d, out, "example.org", "s", &sk, TIME);
	if (len < 0) {
		out[0] = '-';
		len = 1;
	}
	if (dkim_from(&d, out + len, size - (size_t)len) < 0)
		return (size_t)len;
	return (size_t)len + strlen(out + len);
}

static void
test_bodies(void)
{
	static const char begin_text[] = "From: a@example.org\n\n";
	char mail[256], field[DKIM_FIELD], want[BASE64];
	size_t i, n;

	for (i = 0; i < LEN(bodies); i++) {
		n = (size_t)snprintf(mail, sizeof(mail), "%s%s", begin_text, bodies[i].in);
		feed(mail, n);
		CHECK(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0);
		hash64(want, bodies[i].want, strlen(bodies[i].want));
		CHECK_MSG(!strcmp(value(field, "bh"), want), "body %d", (int)i);
		CHECK_SPLIT(machine, mail, n);
	}
	/* no body at all, RFC 6376 3.4.4 */
	feed(begin_text, strlen(begin_text) - 1);
	CHECK(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0);
	CHECK_STR(value(field, "bh"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	/* NULs are octets */
	n = sizeof("From: a@example.org\n\na\0 \0b") - 1;
	feed("From: a@example.org\n\na\0 \0b", n);
	CHECK(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0);
	hash64(want, "a\0 \0b\r\n", 7);
	CHECK_STR(value(field, "bh"), want);
}

/* The body of RFC 8463 A, as somebody else has hashed it. */
static void
test_vector(void)
{
	const char *path = test_vectors("dkim/chasquid/01-rfc8463.msg");
	char *mail, field[DKIM_FIELD];
	size_t n;

	if (!path)
		return;
	mail = test_slurp(path, &n);
	CHECK(mail != NULL);
	if (mail) {
		feed(mail, n);
		CHECK(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0);
		CHECK_STR(value(field, "bh"), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
		CHECK_SPLIT(machine, mail, n);
	}
	free(mail);
}

/* ---- the header ---- */

/* Header, h=, and what is hashed before our own field. */
static const struct {
	const char *in, *names, *want;
} headers[] = {
	{ "From: a@example.org\n", "from:from", "from:a@example.org\r\n" },
	{ "FROM:a@example.org", "from:from", "from:a@example.org\r\n" },
	/* RFC 6376 3.4.5, with names that are signed */
	{ "To: X\nFrom : Y\t\n\tZ  \n", "from:to:from", "from:Y Z\r\nto:X\r\n" },
	{ "From:\n a@\n\t b\nX-Y: z\nSubject: \t \n", "subject:from:from",
	  "subject:\r\nfrom:a@ b\r\n" },
	{ "Subject: 1\nFrom: a\nX: y\nsubject \t:2\nSubjects: 3\nTo: b\n",
	  "to:subject:from:subject:from", "to:b\r\nsubject:2\r\nfrom:a\r\nsubject:1\r\n" },
	{ "From: a\nFrom: b\n", "from:from:from", "from:b\r\nfrom:a\r\n" },
	{ "From: a\nSubject: x\n \n y\n\t\n", "subject:from:from", "subject:x y\r\nfrom:a\r\n" },
	{ "From: a\nSubject: \xc3\xa9  b:c\n", "subject:from:from",
	  "subject:\xc3\xa9 b:c\r\nfrom:a\r\n" },
	{ "Cc: c\nDate: d\nMessage-ID: m\nIn-Reply-To: i\nReferences: r\nReply-To: t\nReceived: x\n"
	  "From: a\nMIME-Version: v\nContent-Type: y\nContent-Transfer-Encoding: e\nSender: s\n"
	  "Content-ID: i\nContent-Description: o\nContent-Disposition: p\nContent-Language: l\n",
	  "content-language:content-disposition:content-description:content-id:"
	  "content-transfer-encoding:content-type:mime-version:from:reply-to:references:"
	  "in-reply-to:message-id:date:cc:from",
	  "content-language:l\r\ncontent-disposition:p\r\ncontent-description:o\r\ncontent-id:i\r\n"
	  "content-transfer-encoding:e\r\ncontent-type:y\r\nmime-version:v\r\nfrom:a\r\n"
	  "reply-to:t\r\nreferences:r\r\nin-reply-to:i\r\nmessage-id:m\r\ndate:d\r\ncc:c\r\n" },
};

/* The field's own part of what is hashed: as it stands, but for its folding. */
static size_t
own_part(char *dst, const char *field)
{
	const char *b = strstr(field, "b=");
	const char *p;
	size_t n = 0;

	while (b && b[-1] != ' ' && b[-1] != '\t')
		b = strstr(b + 1, "b=");
	for (p = field; p < b + 2; p++) {
		if (p > field && (*p == ' ' || *p == '\t') && p[-1] == '\n')
			dst[n++] = ' ';
		else if (*p != '\n')
			dst[n++] = *p;
	}
	memcpy(dst, "dkim-signature:", 15);
	memmove(dst + 15, dst + 16, n - 16);
	return n - 1;
}

static int
verifies(const char *field, const char *p, size_t n)
{
	unsigned char sig[RSA_MAX], got[32], want[32];
	const char *b = value(field, "b");
	br_sha256_context c;
	long len;

	len = text_unbase64(sig, sizeof(sig), b, strlen(b));
	br_sha256_init(&c);
	br_sha224_update(&c, p, n);
	br_sha256_out(&c, want);
	return len == TEST_BITS / 8 && br_rsa_pkcs1_vrfy_get_default()(sig, (size_t)len,
	    BR_HASH_OID_SHA256, sizeof(got), &pk, got) && memcmp(got, want, 32) == 0;
}

static void
test_headers(void)
{
	char field[DKIM_FIELD], want[8192];
	size_t i, n;

	for (i = 0; i < LEN(headers); i++) {
		feed(headers[i].in, strlen(headers[i].in));
		CHECK(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0);
		CHECK_STR(value(field, "h"), headers[i].names);
		n = (size_t)snprintf(want, sizeof(want), "%s", headers[i].want);
		n += own_part(want + n, field);
		CHECK_MEM(hashed.p, hashed.n, want, n);
		CHECK(verifies(field, want, n));
		want[3] ^= 1;
		CHECK(!verifies(field, want, n));
		CHECK_SPLIT(machine, headers[i].in, strlen(headers[i].in));
	}
}

/* ---- From ---- */

static const struct {
	const char *from, *domain;	/* NULL: none */
} froms[] = {
	{ "a@example.org", "example.org" },
	{ "A.B <a.b@Example.ORG>", "example.org" },
	{ "<a@example.org>", "example.org" },
	{ "a@localhost", "localhost" },
	{ "a@example.org (of b@example.net)", "example.org" },
	{ "(a@example.net, (b) \\) c) a@example.org", "example.org" },
	{ "\"a@example.net>, \\\" <\" <a@example.org>", "example.org" },
	{ "\"a@example.net\"@example.org", "example.org" },
	{ "a@example.net <b@example.org>", "example.org" },
	{ "<b@example.org> a@example.net", "example.org" },
	{ "<b@example.org>: a@example.net", "example.org" },
	{ "a@example.org, b@EXAMPLE.org", "example.org" },
	{ "a@example.org, , b@example.org,", "example.org" },
	{ "A list: a@example.org, B <b@example.org>;", "example.org" },
	{ "<@x.example,@y.example:a@example.org>", "example.org" },
	{ "a @ example . org", "example.org" },
	{ "\n a@\n\texample.\n org", "example.org" },
	{ "a@b@example.org", "example.org" },
	{ "a@example.org, b@example.net", NULL },
	{ "a@example.org; b@example.net", NULL },
	{ "a@example.org b", NULL },
	{ "a@exam ple.org", NULL },
	{ "a@exam(x)ple.org", NULL },
	{ "a@-x.org", NULL },
	{ "a@[192.0.2.1]", NULL },
	{ "a@B\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
	{ "a@b\xc3.example", NULL },
	{ "a@example..org", NULL },
	{ "a@../x", NULL },
	{ "a", NULL },
	{ "", NULL },
	{ "<>", NULL },
	{ "undisclosed:;", NULL },
	{ "\"a@example.org", NULL },
	{ "(a@example.org", NULL },
	{ "a@example.org\nFrom: b@example.org", NULL },
};

static void
test_froms(void)
{
	char mail[512], got[ADDR_DOMAIN + 1];
	size_t i, n;

	for (i = 0; i < LEN(froms); i++) {
		n = (size_t)snprintf(mail, sizeof(mail), "To: x@y.z\nFrom: %s\nCc: c@d.e\n\n"
		    "From: z@z.z\n", froms[i].from);
		feed(mail, n);
		if (dkim_from(&d, got, sizeof(got)) < 0)
			CHECK_MSG(!froms[i].domain, "no domain in %s", froms[i].from);
		else
			CHECK_STR(got, froms[i].domain ? froms[i].domain : "none");
		CHECK_SPLIT(machine, mail, n);
	}
	feed("To: a@example.org\n\nFrom: a@example.org\n", 39);
	CHECK_INT(dkim_from(&d, got, sizeof(got)), -1);
	feed("From: a@example.org\n\n", 21);
	CHECK_INT(dkim_from(&d, got, 12), 0);
	CHECK_INT(dkim_from(&d, got, 11), -1);
	/* a domain of any length */
	for (n = 1; n < 400; n++) {
		memcpy(mail, "From: a@", 8);
		memset(mail + 8, 'x', n);
		for (i = 50; i < n; i += 51)
			mail[8 + i] = '.';
		feed(mail, 8 + n);
		CHECK_INT(dkim_from(&d, got, sizeof(got)),
		    n <= ADDR_DOMAIN && mail[7 + n] != '.' ? 0 : -1);
	}
}

/* ---- bounds ---- */

static void
test_shape(void)
{
	static const char mail[] = "From: a@example.org\nTo: b@example.org\nSubject: s\n\nx\n";
	char field[DKIM_FIELD];
	const char *p, *lf;
	long n;

	feed(mail, sizeof(mail) - 1);
	n = dkim_finish(&d, field, "example.org", "maild", &sk, TIME);
	CHECK_INT(n, strlen(field));
	CHECK(!strncmp(field, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; ", 54));
	CHECK_STR(value(field, "d"), "example.org");
	CHECK_STR(value(field, "s"), "maild");
	CHECK_STR(value(field, "t"), "1700000000");
	CHECK(!strstr(field, " l=") && !strstr(field, "\tl=") && !strstr(field, "x="));
	for (p = field; (lf = strchr(p, '\n')); p = lf + 1) {
		CHECK(lf - p <= COLUMN && lf > p);
		CHECK(p == field || *p == '\t');
	}
	CHECK_INT(*p, '\0');
	/* the same mail again, and another time */
	CHECK(verifies(field, hashed.p, hashed.n));
	CHECK_INT(dkim_finish(&d, field, "example.org", "maild", &sk, TIME + 1), n);
	CHECK(verifies(field, hashed.p, hashed.n));
}

static void
test_bounds(void)
{
	static const char begin_text[] = "From: a@example.org\n";
	static char mail[2 * DKIM_HEADER];
	static unsigned char ones[BIG_BITS / 16];
	br_rsa_private_key big = sk;
	char field[DKIM_FIELD], domain[ADDR_DOMAIN + 1], selector[64];
	size_t i, n;

	/* the header */
	memset(mail, 'x', sizeof(mail));
	memcpy(mail, begin_text, sizeof(begin_text) - 1);
	mail[sizeof(begin_text) - 1 + 3] = ':';
	for (n = DKIM_HEADER - 2; n < DKIM_HEADER + 3; n++) {
		feed(mail, n);
		CHECK_INT(dkim_finish(&d, field, "example.org", "s", &sk, TIME) > 0,
		    n <= DKIM_HEADER);
		CHECK_INT(dkim_from(&d, field, sizeof(field)), n <= DKIM_HEADER ? 0 : -1);
	}
	CHECK_SPLIT(machine, mail, DKIM_HEADER + 1000);
	/* fields, and the longest of what is written */
	memset(domain, 'd', sizeof(domain));
	domain[ADDR_DOMAIN] = '\0';
	memset(selector, 's', sizeof(selector));
	selector[63] = '\0';
	for (i = 0; i < 3; i++) {
		n = sizeof(begin_text) - 1;
		while (n < sizeof(begin_text) - 1 + (PICKS - 2 + i) * 29) {
			memcpy(mail + n, "Content-Transfer-Encoding: x\n", 29);
			n += 29;
		}
		feed(mail, n);
		CHECK_INT(dkim_finish(&d, field, domain, selector, &sk, INT64_MAX) > 0, i < 2);
	}
	/* a key that is too long, and one that is none */
	memset(ones, 0xff, sizeof(ones));
	feed(begin_text, sizeof(begin_text) - 1);
	big.n_bitlen = BIG_BITS + 8;
	CHECK_INT(dkim_finish(&d, field, "example.org", "s", &big, TIME), -1);
	big = sk;
	big.p = ones;
	big.p[sk.plen - 1] = 0xfe;
	CHECK_INT(dkim_finish(&d, field, "example.org", "s", &big, TIME), -1);
}

/* Not mail. */
static void
test_none(void)
{
	static const char *const none[] = {
		"", "\n", "\n\nFrom: a@b.c\n", "x", "To: a\n\n",
		"From a@b Sun Nov 22 03:03:14 2026\nFrom: a@b.c\n\n", " x\nFrom: a@b.c\n",
		"From: a@b.c\nno field\n\n", "From: a@b.c\n: no name\n",
		"From: a@b.c\n  \t:x\nA\x80: x\n", "From: a@b.c\nA B: x\n", "From\n : a@b.c\n"
	};
	char field[DKIM_FIELD];
	size_t i;

	for (i = 0; i < LEN(none); i++) {
		feed(none[i], strlen(none[i]));
		CHECK_MSG(dkim_finish(&d, field, "b.c", "s", &sk, TIME) == -1, "%s", none[i]);
		CHECK_INT(dkim_from(&d, field, sizeof(field)), -1);
		CHECK_SPLIT(machine, none[i], strlen(none[i]));
	}
}

int
main(void)
{
	make_key();
	test_bodies();
	test_vector();
	test_headers();
	test_froms();
	test_shape();
	test_bounds();
	test_none();
	return test_end();
}
