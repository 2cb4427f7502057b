/* with: lib/spki.c lib/x509.c lib/pem.c lib/scram.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * The public key of a certificate, by its hash: certificates made by openssl, the hashes by openssl
 * pkey and sha256sum; fed cut at each byte; what is no certificate or ends too early.
 */
#include <bearssl_hash.h>

#include "lib/pem.h"
#include "lib/spki.h"
#include "test.h"

static const struct { const char *what, *pem, *hash; } certs[] = {
	{ "RSA",
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIICEDCCAXmgAwIBAgIUBvdPosfltykS2OtOO92pTgOGknswDQYJKoZIhvcNAQEL\n"
	    "BQAwGjEYMBYGA1UEAwwPcnNhLmV4YW1wbGUub3JnMB4XDTI2MTEyMjA4MTUxNVoX\n"
	    "DTM2MTExOTA4MTUxNVowGjEYMBYGA1UEAwwPcnNhLmV4YW1wbGUub3JnMIGfMA0G\n"
	    "CSqGSIb3DQEBAQUAA4GNADCBiQKBgQC1UeP4mKIenA9pTmKGrUjZMUq7DRPD9QKA\n"
	    "RsYSQ+bRPz/XbjDGfxJW7yJxiuEo+uaxwsMKSz4qqWF5NTNMo2hs1vexovPaOL74\n"
	    "56nNn4uCdrFgLSXutZJjwvyKZwwbNSK3g8pZ78UZ+TR5SsHA5rytp7Pu0BrX5SOv\n"
	    "TfRNgVtTMwIDAQABo1MwUTAdBgNVHQ4EFgQUs6MXtDEJPyofMEjsRz5XUswji3Yw\n"
	    "HwYDVR0jBBgwFoAUs6MXtDEJPyofMEjsRz5XUswji3YwDwYDVR0TAQH/BAUwAwEB\n"
	    "/zANBgkqhkiG9w0BAQsFAAOBgQA5ViQWHDr6bWwZZaYjOmlk7S0yIiKwGPpdI/OF\n"
	    "7gjGZSpLt49WMhvqxmwjCaAGQZZosPpS5FViw/xAnLxU3M5zsQNj0cUR48GNZuSc\n"
	    "Z3UKr38RN4/7Jv07xC0/PtW+I/IBwBTI8Ka+PkvDhKVbUBHtbDSsMeOiEaiiZezB\n"
	    "7d/sFg==\n"
	    "-----END CERTIFICATE-----\n",
	    "b6e61867adb400f3bd937df01d0ae6be71a03ff075d3ba3cab82780e435a3d5b" },
	{ "P-384",
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIIBxjCCAUygAwIBAgIUGs8+wFm5tFlHHJnc/WFxO1Q4eJcwCgYIKoZIzj0EAwIw\n"
	    "GTEXMBUGA1UEAwwOZWMuZXhhbXBsZS5vcmcwIBcNMjYxMTIyMDgxNTE1WhgPMjA4\n"
	    "MTA4MjUwODE1MTVaMBkxFzAVBgNVBAMMDmVjLmV4YW1wbGUub3JnMHYwEAYHKoZI\n"
	    "zj0CAQYFK4EEACIDYgAEOdrhbtIUUGFF/qH/tZ1QMzstzHjBLFwgdDoLkJOufgqU\n"
	    "UXXa/ivUmE7L4Cx2d8VkPgsYtMt7GiVSh7YKO6XWEX9BAtAEpc1mnsOfb3q1iQ5H\n"
	    "80RoHC6aAjqzIEIxvGi1o1MwUTAdBgNVHQ4EFgQUFFi2JSKLfYOFD03yev2cvoQJ\n"
	    "e0owHwYDVR0jBBgwFoAUFFi2JSKLfYOFD03yev2cvoQJe0owDwYDVR0TAQH/BAUw\n"
	    "AwEB/zAKBggqhkjOPQQDAgNoADBlAjEA+6qty92Ngtr0corx5BUg6O0JPg8CU2UH\n"
	    "bMRRLo+0Q5WnpD5H6d9ebsKytnoLdxOOAjBrBGC9FAOSwQBZ+yRlPP93p9D/s/LI\n"
	    "WiUIiIYM5LVwXMVrkx+CpNA0xpGFlasw/dM=\n"
	    "-----END CERTIFICATE-----\n",
	    "af2d874d25188048da626c9c62855c79d46a8fca7e2c8ec30a15b908d17bbb94" },
	{ "P-384, version 1",
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIIBUDCB2AIUaCV6Yk+9E/jEirF6gPB5JnFZ6RUwCgYIKoZIzj0EAwIwDTELMAkG\n"
	    "A1UEAwwCdjEwHhcNMjYxMTIyMDgxNTE1WhcNMzYxMTE5MDgxNTE1WjANMQswCQYD\n"
	    "VQQDDAJ2MTB2MBAGByqGSM49AgEGBSuBBAAiA2IABDna4W7SFFBhRf6h/7WdUDM7\n"
	    "Lcx4wSxcIHQ6C5CTrn4KlFF12v4r1JhOy+AsdnfFZD4LGLTLexolUoe2Cjul1hF/\n"
	    "QQLQBKXNZp7Dn296tYkOR/NEaBwumgI6syBCMbxotTAKBggqhkjOPQQDAgNnADBk\n"
	    "AjBJWlUrwutmELMD21v7gJX4HcgW108VJwYHkONbbBQz4BNZHc8xp6y0Xo9GCOQO\n"
	    "WD4CMHHa+L/HRdCnRGjQWv8bgq6W9wCMDiWeus3fRsgEj4CRiREPxMJ192QWHAKF\n"
	    "sfoNuA==\n"
	    "-----END CERTIFICATE-----\n",
	    "af2d874d25188048da626c9c62855c79d46a8fca7e2c8ec30a15b908d17bbb94" },
	{ "Ed25519",
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIIBLjCB4aADAgECAhQQFFXFr64/Ugt3G8CLLHVwaKi/tjAFBgMrZXAwDTELMAkG\n"
	    "A1UEAwwCZWQwHhcNMjYxMTIyMDgxNTE1WhcNMzYxMTE5MDgxNTE1WjANMQswCQYD\n"
	    "VQQDDAJlZDAqMAUGAytlcAMhAF0eJHNePZJzMKY6G5/9K51jF2rmX1WLdZhQ6QuN\n"
	    "MRUlo1MwUTAdBgNVHQ4EFgQUIsZa03YUzkinYDK5h1HwJiPhLvUwHwYDVR0jBBgw\n"
	    "FoAUIsZa03YUzkinYDK5h1HwJiPhLvUwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD\n"
	    "QQDdmWs1dzadc8RRIOyMO32PWTO/P8ELaXrk5dVF/5YUwx4eD0bC+kUQiyO6k3pu\n"
	    "tPddoFtWleMgNtxaEHr49VkL\n"
	    "-----END CERTIFICATE-----\n",
	    "5a3647f81d4b92f81be7ee3a8ca3ae65cb0f69aa1a49f1a97c8e796b81e5a696" }
};

/* The hash as text, or "none". */
static size_t
hash(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	unsigned char h[32];
	br_sha256_context sha;
	struct spki s;
	size_t at, k;
	int i;

	spki_init(&s);
	for (at = 0; at < n; at += k) {
		k = test_piece(c, at, n);
		spki_push(&s, in + at, k);
	}
	if (!spki_done(&s))
		return (size_t)snprintf(out, size, "none");
	br_sha256_init(&sha);
	br_sha256_update(&sha, s.der, s.n);
	br_sha256_out(&sha, h);
	for (i = 0; i < 32; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", h[i]);
	return 64;
}

static const char *
whole(const void *in, size_t n)
{
	static char out[80];
	struct cut c = { n, n };

	out[hash(out, sizeof(out), in, n, &c)] = '\0';
	return out;
}

static void
real(void)
{
	static struct pem_chain chain;
	const unsigned char *der;
	size_t i, k, n;

	for (i = 0; i < LEN(certs); i++) {
		if (pem_chain(&chain, certs[i].pem, strlen(certs[i].pem)))
			abort();
		der = chain.cert[0].data;
		n = chain.cert[0].data_len;
		CHECK_MSG(!strcmp(whole(der, n), certs[i].hash), "%s: %s", certs[i].what,
		    whole(der, n));
		CHECK_SPLIT(hash, (const char *)der, n);
		/* all that counts is before the key's end; a beginning has no hash */
		for (k = 0; k < n && strcmp(whole(der, k), "none") == 0; k++)
			;
		CHECK_MSG(k > 50 && k < n && !strcmp(whole(der, k), certs[i].hash), "%s: %zu",
		    certs[i].what, k);
	}
}

static void
broken(void)
{
	static const struct { const char *p; size_t n; } t[] = {
		{ BYTES("") }, { BYTES("0") }, { BYTES("hello") }, { BYTES("\x30\x80\x30\x80") },
		{ BYTES("\x30\x84\x01\x01\x01\x01\x30\x03\x02\x01\x01") },
		{ BYTES("\x31\x10\x30\x0e\x02\0\x30\0\x30\0\x30\0\x30\0\x30\0") },
		{ BYTES("\x30\x0e\x31\x0c\x02\0\x30\0\x30\0\x30\0\x30\0\x30\0") },
		{ BYTES("\x30\x0e\x30\x0c\x03\0\x30\0\x30\0\x30\0\x30\0\x30\0") },
		{ BYTES("\x30\x0e\x30\x0c\x02\0\x30\0\x30\0\x30\0\x31\0\x30\0") },
		{ BYTES("\x30\x0e\x30\x0c\x02\0\x30\0\x30\0\x30\0\x30\0\x31\0") },
		{ BYTES("\x30\x0e\x30\x0c\x02\0\x30\0\x30\0\x30\0\x30\0\x30\x05" "abcd") }
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_MSG(!strcmp(whole(t[i].p, t[i].n), "none"), "%zu", i);
		CHECK_SPLIT(hash, t[i].p, t[i].n);
	}
	/* empty elements are odd, but elements: the hash is that of 30 00 */
	CHECK_STR(whole(BYTES("\x30\x10\x30\x0e\xa0\0\x02\0\x30\0\x30\0\x30\0\x30\0\x30\0")),
	    "e4f60d0aa6d7f3d3b6a6494b1c861b99f649c6f9ec51abaf201b20f297327c95");
}

int
main(void)
{
	real();
	broken();
	return test_end();
}
