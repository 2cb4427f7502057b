/* with: lib/x509.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * Certificates: ours are read back by ourselves and judged by openssl; what is cut or damaged is
 * refused or at least does no harm.
 */
#include <unistd.h>

#include <bearssl_hash.h>
#include <bearssl_pem.h>
#include <bearssl_rand.h>
#include <bearssl_x509.h>

#include "lib/x509.h"
#include "test.h"

static unsigned char kbuf[BR_EC_KBUF_PRIV_MAX_SIZE], pub[BR_EC_KBUF_PUB_MAX_SIZE];
static br_ec_private_key sk;
static br_ec_public_key pk;

static void
key(int curve)
{
	br_hmac_drbg_context drbg;

	br_hmac_drbg_init(&drbg, &br_sha256_vtable, "the same each time", 18);
	if (!br_ec_keygen(&drbg.vtable, br_ec_get_default(), &sk, kbuf, curve) ||
	    !br_ec_compute_pub(br_ec_get_default(), &pk, pub, &sk))
		abort();
}

static size_t
make(unsigned char der[X509_MAX], const char *a, const char *b, int64_t from, int64_t until)
{
	const char *names[X509_NAMES];
	struct x509_self self;

	names[0] = a;
	names[1] = b;
	memset(&self, 0, sizeof(self));
	self.name = names;
	self.nname = !a ? 0 : !b ? 1 : 2;
	self.from = from;
	self.until = until;
	self.key = &sk;
	memset(self.serial, 0xff, sizeof(self.serial));
	return x509_self(der, &self);
}

static int
has(const unsigned char *p, size_t n, const void *what, size_t k)
{
	size_t i;

	for (i = 0; i + k <= n; i++)
		if (memcmp(p + i, what, k) == 0)
			return 1;
	return 0;
}

/* RFC 5280 4.1.2.5: the form changes with the year 2050. */
static const struct {
	int64_t t;
	const char *text;		/* NULL: cannot be written */
} dates[] = {
	{ 0, "\x17\x0d" "700101000000Z" },
	{ 951782399, "\x17\x0d" "000228235959Z" },
	{ 951782400, "\x17\x0d" "000229000000Z" },
	{ 951868800, "\x17\x0d" "000301000000Z" },
	{ 1795318506, "\x17\x0d" "261122033506Z" },
	{ 1709251199, "\x17\x0d" "240229235959Z" },
	{ 2524607999, "\x17\x0d" "491231235959Z" },
	{ 2524608000, "\x18\x0f" "20500101000000Z" },
	{ 4107542399, "\x18\x0f" "21000228235959Z" },
	{ 4107542400, "\x18\x0f" "21000301000000Z" },
	{ 253402300799, "\x18\x0f" "99991231235959Z" },
	{ 253402300800, NULL },
	{ -1, NULL }
};

static void
times(void)
{
	unsigned char der[X509_MAX];
	struct x509_info info;
	size_t i, n;

	for (i = 0; i < LEN(dates); i++) {
		n = make(der, "mx.example.org", NULL, dates[i].t, dates[i].t);
		if (!dates[i].text) {
			CHECK_INT(n, 0);
			continue;
		}
		CHECK(has(der, n, dates[i].text, strlen(dates[i].text)));
		CHECK_INT(x509_info(&info, der, n), 0);
		CHECK_INT(info.not_before, dates[i].t);
		CHECK_INT(info.not_after, dates[i].t);
	}
}

/* Dates that are none: the validity of a certificate of ours is overwritten. */
static void
bad_times(void)
{
	static const char *const bad[] = {
		"700001000000Z", "701301000000Z", "700100000000Z", "700132000000Z", "700101240000Z",
		"700101006000Z", "700101000061Z", "7001010000000", "70010100000aZ", "-70101000000Z",
		"7 0101000000Z", "70010100+000Z"
	};
	unsigned char der[X509_MAX];
	struct x509_info info;
	size_t at, i, n;

	n = make(der, "mx.example.org", NULL, 0, 0);
	for (at = 0; at + 13 < n && memcmp(der + at, dates[0].text, 15) != 0; at++)
		;
	for (i = 0; i < LEN(bad); i++) {
		memcpy(der + at + 2, bad[i], 13);
		CHECK_MSG(x509_info(&info, der, n) < 0, "%s", bad[i]);
	}
	/* two digits from 50 on are of the last century */
	memcpy(der + at + 2, "500101000000Z", 13);
	CHECK_INT(x509_info(&info, der, n), 0);
	CHECK_INT(info.not_before, -631152000);
}

static void
contents(void)
{
	static const unsigned char serial[] = {
		0x02, 0x10, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff
	};
	unsigned char der[X509_MAX];
	char name[1400];
	struct x509_info info;
	size_t n;

	n = make(der, "mx.example.org", "localhost", 0, 1);
	CHECK_INT(x509_info(&info, der, n), 0);
	CHECK_INT(info.kind, BR_KEYTYPE_EC);
	CHECK_INT(info.curve, BR_EC_secp256r1);
	CHECK_MEM(info.pub, info.npub, pk.q, pk.qlen);
	CHECK(has(der, n, serial, sizeof(serial)));
	CHECK(has(der, n, BYTES("\x82\x0emx.example.org\x82\x09localhost")));
	/* the longest name there can be, and one that is too long for the buffer */
	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	n = make(der, name, "localhost", 0, 1);
	CHECK(n && x509_info(&info, der, n) == 0);
	CHECK(has(der, n, name, 255) && has(der, n, "mail server", 11));
	name[255] = 'x';
	name[sizeof(name) - 1] = '\0';
	CHECK_INT(make(der, name, NULL, 0, 1), 0);
	name[900] = '\0';
	CHECK_INT(make(der, name, NULL, 0, 1), 0);
	CHECK_INT(make(der, NULL, NULL, 0, 1), 0);
	key(BR_EC_secp384r1);
	CHECK_INT(make(der, "mx.example.org", NULL, 0, 1), 0);
	key(BR_EC_secp256r1);
}

/* Each cut is refused, each damaged octet does no harm (memory of exact size: sanitizers see). */
static void
damage(void)
{
	unsigned char der[X509_MAX], *p;
	struct x509_info info;
	size_t i, k, n;

	n = make(der, "mx.example.org", "localhost", 0, 1);
	for (i = 0; i < n; i++) {
		p = malloc(i ? i : 1);
		memcpy(p, der, i);
		CHECK_MSG(x509_info(&info, p, i) < 0, "cut at %zu", i);
		free(p);
	}
	der[n] = 0;
	CHECK(x509_info(&info, der, n + 1) < 0);
	p = malloc(n);
	for (i = 0; i < n; i++) {
		for (k = 0; k < 256; k++) {
			memcpy(p, der, n);
			p[i] = (unsigned char)k;
			if (x509_info(&info, p, n) == 0 && info.npub)
				k += info.pub + info.npub > p + n ? 256 : 0;
		}
		CHECK_MSG(k == 256, "key out of bounds at %zu", i);
	}
	free(p);
}

static int
run(const char *command)
{
	return system(command) == 0;
}

/* What openssl thinks of it. */
static void
judged(void)
{
	unsigned char der[X509_MAX];
	char *p, pem[2 * X509_MAX];
	FILE *f;
	size_t n;

	if (!run("openssl version >/dev/null 2>&1")) {
		test_skipped++;
		return;
	}
	n = make(der, "mx.example.org", "localhost", 1600000000, 2600000000);
	br_pem_encode(pem, der, n, "CERTIFICATE", BR_PEM_LINE64);
	f = fopen("self.pem", "w");
	if (!f || fputs(pem, f) < 0 || fclose(f) != 0)
		abort();
	CHECK(run("openssl verify -x509_strict -check_ss_sig -purpose sslserver"
	    " -verify_hostname mx.example.org -CAfile self.pem self.pem >out 2>&1"));
	CHECK(run("openssl verify -x509_strict -verify_hostname localhost -CAfile self.pem self.pem"
	    " >>out 2>&1"));
	CHECK(!run("openssl verify -verify_hostname example.org -CAfile self.pem self.pem"
	    " >/dev/null 2>&1"));
	CHECK(run("openssl x509 -in self.pem -noout -text >text"));
	p = test_slurp("text", &n);
	if (CHECK(p != NULL)) {
		CHECK(strstr(p, "Version: 3 (0x2)") != NULL);
		CHECK(strstr(p, "Not Before: Sep 13 12:26:40 2020 GMT") != NULL);
		CHECK(strstr(p, "Not After : May 22 14:13:20 2052 GMT") != NULL);
		CHECK(strstr(p, "DNS:mx.example.org, DNS:localhost") != NULL);
		CHECK(strstr(p, "CA:FALSE") != NULL);
		CHECK(strstr(p, "TLS Web Server Authentication") != NULL);
		CHECK(strstr(p, "Signature Algorithm: ecdsa-with-SHA256") != NULL);
		free(p);
	}
	(void)unlink("self.pem");
	(void)unlink("out");
	(void)unlink("text");
}

int
main(void)
{
	key(BR_EC_secp256r1);
	times();
	bad_times();
	contents();
	damage();
	judged();
	return test_end();
}
