/* with: lib/scram.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * Password verifiers: the examples of RFC 7677 and RFC 7914, the text form, slices, and how fast.
 */
#include <time.h>

#include "lib/scram.h"
#include "lib/text.h"
#include "test.h"

/* RFC 7914 11 and others' vectors for PBKDF2-HMAC-SHA-256; the first 32 octets of the key. */
static const struct {
	const char *pw, *salt;
	size_t npw, nsalt;
	uint32_t rounds;
	unsigned char key[32];
} pbkdf2[] = {
	{ "passwd", "salt", 6, 4, 1, {
		0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f, 0xec, 0x16, 0x91, 0xc2, 0x25, 0x44,
		0xb6, 0x05, 0xf9, 0x41, 0x85, 0x21, 0x6d, 0xde, 0x04, 0x65, 0xe6, 0x8b, 0x9d, 0x57,
		0xc2, 0x0d, 0xac, 0xbc } },
	{ "Password", "NaCl", 8, 4, 80000, {
		0x4d, 0xdc, 0xd8, 0xf6, 0x0b, 0x98, 0xbe, 0x21, 0x83, 0x0c, 0xee, 0x5e, 0xf2, 0x27,
		0x01, 0xf9, 0x64, 0x1a, 0x44, 0x18, 0xd0, 0x4c, 0x04, 0x14, 0xae, 0xff, 0x08, 0x87,
		0x6b, 0x34, 0xab, 0x56 } },
	{ "password", "salt", 8, 4, 2, {
		0xae, 0x4d, 0x0c, 0x95, 0xaf, 0x6b, 0x46, 0xd3, 0x2d, 0x0a, 0xdf, 0xf9, 0x28, 0xf0,
		0x6d, 0xd0, 0x2a, 0x30, 0x3f, 0x8e, 0xf3, 0xc2, 0x51, 0xdf, 0xd6, 0xe2, 0xd8, 0x5a,
		0x95, 0x47, 0x4c, 0x43 } },
	{ "password", "salt", 8, 4, 4096, {
		0xc5, 0xe4, 0x78, 0xd5, 0x92, 0x88, 0xc8, 0x41, 0xaa, 0x53, 0x0d, 0xb6, 0x84, 0x5c,
		0x4c, 0x8d, 0x96, 0x28, 0x93, 0xa0, 0x01, 0xce, 0x4e, 0x11, 0xa4, 0x96, 0x38, 0x73,
		0xaa, 0x98, 0x13, 0x4a } },
	{ "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 24, 36, 4096, {
		0x34, 0x8c, 0x89, 0xdb, 0xcb, 0xd3, 0x2b, 0x2f, 0x32, 0xd8, 0x14, 0xb8, 0x11, 0x6e,
		0x84, 0xcf, 0x2b, 0x17, 0x34, 0x7e, 0xbc, 0x18, 0x00, 0x18, 0x1c, 0x4e, 0x2a, 0x1f,
		0xb8, 0xdd, 0x53, 0xe1 } },
	{ "pass\0word", "sa\0lt", 9, 5, 4096, {
		0x89, 0xb6, 0x9d, 0x05, 0x16, 0xf8, 0x29, 0x89, 0x3c, 0x69, 0x62, 0x26, 0x65, 0x0a,
		0x86, 0x87, 0x8c, 0x02, 0x9a, 0xc1, 0x3e, 0xe2, 0x76, 0x50, 0x9d, 0x5a, 0xe5, 0x8b,
		0x64, 0x66, 0xa7, 0x24 } }
};

static void
vectors(void)
{
	static const uint32_t slices[] = { 1, 7, 1000, 4095, 4096, 0xffffffff };
	struct scram_verifier v;
	struct scram_work w;
	size_t i, j;

	for (i = 0; i < LEN(pbkdf2); i++) {
		for (j = 0; j < LEN(slices); j++) {
			memset(&v, 0, sizeof(v));
			v.iterations = pbkdf2[i].rounds;
			v.nsalt = pbkdf2[i].nsalt;
			memcpy(v.salt, pbkdf2[i].salt, v.nsalt);
			scram_start(&w, &v, pbkdf2[i].pw, pbkdf2[i].npw);
			while (!scram_step(&w, slices[j]))
				;
			CHECK_MEM(w.t, sizeof(w.t), pbkdf2[i].key, sizeof(pbkdf2[i].key));
			CHECK(scram_step(&w, 1));
			CHECK_MEM(w.t, sizeof(w.t), pbkdf2[i].key, sizeof(pbkdf2[i].key));
		}
	}
}

static void
hmac(unsigned char out[32], const unsigned char key[32], const char *text)
{
	br_hmac_key_context k;
	br_hmac_context h;

	br_hmac_key_init(&k, &br_sha256_vtable, key, 32);
	br_hmac_init(&h, &k, 0);
	br_hmac_update(&h, text, strlen(text));
	br_hmac_out(&h, out);
}

/* RFC 7677 3: both keys are right if the client's proof and the server's signature come out. */
static void
example(void)
{
	static const char message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,"
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	static const char proof[] = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
	static const char answer[] = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	unsigned char key[32], sig[32];
	br_sha256_context sha;
	struct scram_verifier v;
	struct scram_work w;
	char text[64];
	size_t i;

	memset(&v, 0, sizeof(v));
	v.iterations = 4096;
	v.nsalt = (size_t)text_unbase64(v.salt, sizeof(v.salt), "W22ZaJ0SNY7soEsUEjb6gQ==", 24);
	CHECK_INT(v.nsalt, 16);
	scram_start(&w, &v, "pencil", 6);
	while (!scram_step(&w, 100))
		;
	scram_finish(&w, &v);
	hmac(sig, v.server, message);
	text_base64(text, sizeof(text), sig, sizeof(sig));
	CHECK_STR(text, answer);
	/* ClientKey is the proof XOR the signature with StoredKey; its hash is StoredKey again */
	CHECK_INT(text_unbase64(key, sizeof(key), proof, sizeof(proof) - 1), 32);
	hmac(sig, v.stored, message);
	for (i = 0; i < sizeof(key); i++)
		key[i] ^= sig[i];
	br_sha256_init(&sha);
	br_sha256_update(&sha, key, sizeof(key));
	br_sha256_out(&sha, key);
	CHECK_MEM(v.stored, sizeof(v.stored), key, sizeof(key));
}

#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

/* The verifier of RFC 7677's example; others in its form, and what is not. */
static const struct {
	const char *text;
	int ok;
} forms[] = {
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 1 },
	{ "SCRAM-SHA-256$10000000:AA==$" STORED ":" SERVER, 1 },
	{ "", 0 },
	{ "SCRAM-SHA-256$", 0 },
	{ "SCRAM-SHA-256", 0 },
	{ "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "scram-sha-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4095:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$10000001:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4294971392:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$-4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4096 :W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=$" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==" STORED ":" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":", 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$:" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AAAA:" SERVER, 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":AAAA", 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER "\n", 0 },
	{ "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER ":", 0 },
	{ "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", 0 }
};

static void
texts(void)
{
	struct scram_verifier v;
	char back[SCRAM_TEXT];
	size_t i, n;

	for (i = 0; i < LEN(forms); i++) {
		CHECK_MSG(scram_parse(&v, forms[i].text, strlen(forms[i].text)) ==
		    (forms[i].ok ? 0 : -1), "%s", forms[i].text);
		if (forms[i].ok)
			CHECK_STR(scram_format(back, &v), forms[i].text);
	}
	for (n = 0; n < strlen(forms[0].text); n++)
		CHECK_MSG(scram_parse(&v, forms[0].text, n) < 0, "cut at %zu", n);
	/* a salt for which there is no room leaves no half verifier */
	memset(&v, 0, sizeof(v));
	v.iterations = 4096;
	v.nsalt = sizeof(v.salt);
	CHECK_STR(scram_format(back, &v), "");
}

static int
fits(const struct scram_verifier *v, const char *pw, size_t n)
{
	static const struct scram_work zero;
	struct scram_work w;
	int r;

	scram_start(&w, v, pw, n);
	while (!scram_step(&w, 500))
		;
	r = scram_check(&w, v);
	CHECK(memcmp(&w, &zero, sizeof(w)) == 0);
	return r;
}

static void
passwords(void)
{
	struct scram_verifier v;
	char text[SCRAM_TEXT];
	struct scram_work w;

	memset(&v, 0, sizeof(v));
	v.iterations = SCRAM_MIN_ITER;
	v.nsalt = SCRAM_SALT;
	memset(v.salt, 0x5a, v.nsalt);
	scram_start(&w, &v, "correct horse", 13);
	scram_step(&w, SCRAM_MIN_ITER);
	scram_finish(&w, &v);
	scram_format(text, &v);
	memset(&v, 0, sizeof(v));
	CHECK_INT(scram_parse(&v, text, strlen(text)), 0);
	CHECK(fits(&v, "correct horse", 13));
	CHECK(!fits(&v, "correct hors", 12));
	CHECK(!fits(&v, "correct horse", 12));
	CHECK(!fits(&v, "Correct horse", 13));
	CHECK(!fits(&v, "", 0));
	v.stored[31] ^= 1;
	CHECK(!fits(&v, "correct horse", 13));
}

static void
speed(void)
{
	struct timespec a, b;
	struct scram_verifier v;
	struct scram_work w;
	double s;

	memset(&v, 0, sizeof(v));
	v.iterations = 200001;
	v.nsalt = SCRAM_SALT;
	scram_start(&w, &v, "pencil", 6);
	clock_gettime(CLOCK_MONOTONIC, &a);
	scram_step(&w, 200000);
	clock_gettime(CLOCK_MONOTONIC, &b);
	s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%.0f rounds of PBKDF2 a second\n", 200000 / s);
}

int
main(void)
{
	vectors();
	example();
	texts();
	passwords();
	speed();
	return test_end();
}
