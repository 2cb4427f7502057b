/* with: lib/pem.c lib/x509.c lib/scram.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * Chains and keys as openssl writes them, in all forms; a key fits its own certificate only.
 */
#include <unistd.h>

#include <bearssl_ec.h>

#include "lib/pem.h"
#include "test.h"

enum { KINDS = 6 };

static const char *const name[KINDS] = { "p256", "other", "p384", "p521", "rsa", "big" };

static struct pem_chain chain;
static struct pem_key keys;

/* A command in which $N is the name of a pair. */
static int
run(const char *command, const char *n)
{
	return setenv("N", n, 1) == 0 && system(command) == 0;
}

static void
make(void)
{
	static const char *const how[KINDS] = {
		"openssl ecparam -name prime256v1 -genkey -out $N.key",
		"openssl ecparam -name prime256v1 -genkey -out $N.key",
		"openssl ecparam -name secp384r1 -genkey -out $N.key",
		"openssl ecparam -name secp521r1 -genkey -out $N.key",
		"openssl genrsa -traditional -out $N.key 2048 2>/dev/null ||"
		    " openssl genrsa -out $N.key 2048 2>/dev/null",
		"openssl genrsa -out $N.key 4096 2>/dev/null"
	};
	size_t i;

	for (i = 0; i < KINDS; i++) {
		if (!CHECK(run(how[i], name[i])) ||
		    !CHECK(run("openssl req -x509 -new -key $N.key -subj /CN=t -days 60 -out $N.crt"
		    " 2>/dev/null", name[i])) ||
		    !CHECK(run("openssl pkcs8 -topk8 -nocrypt -in $N.key -out $N.p8", name[i])) ||
		    !CHECK(run("openssl pkey -in $N.key -outform DER -out $N.der", name[i])) ||
		    !CHECK(run("openssl x509 -in $N.crt -outform DER -out $N.cer", name[i])) ||
		    !CHECK(run("openssl x509 -in $N.crt -text -out $N.text", name[i])))
			return;
	}
}

static char *
slurp(const char *base, const char *end, size_t *n)
{
	char path[80], *p;

	(void)snprintf(path, sizeof(path), "%s.%s", base, end);
	p = test_slurp(path, n);
	if (!p)
		abort();
	return p;
}

static const char *
load_chain(const char *base, const char *end)
{
	const char *why;
	char *p;
	size_t n;

	p = slurp(base, end, &n);
	why = pem_chain(&chain, p, n);
	free(p);
	return why ? why : "";
}

static const char *
load_key(const char *base, const char *end)
{
	const char *why;
	char *p;
	size_t n;

	p = slurp(base, end, &n);
	why = pem_key(&keys, p, n);
	free(p);
	return why ? why : "";
}

static void
forms(void)
{
	static const char *const certs[] = { "crt", "cer", "text" };
	static const char *const forms[] = { "key", "p8", "der" };
	size_t i, j, k;

	for (i = 0; i < KINDS; i++) {
		for (k = 0; k < LEN(certs); k++) {
			CHECK_STR(load_chain(name[i], certs[k]), "");
			CHECK_INT(chain.n, 1);
			CHECK_INT(chain.leaf.not_after - chain.leaf.not_before, 60 * 86400);
			CHECK_INT(chain.leaf.ca, 1);
			CHECK_MEM(chain.leaf.subject, chain.leaf.nsubject, "\x30\x0c\x31\x0a"
			    "\x30\x08\x06\x03\x55\x04\x03\x0c\x01t", 14);
			CHECK_MEM(chain.leaf.exp, chain.leaf.nexp, "\1\0\1",
			    chain.leaf.kind == BR_KEYTYPE_RSA ? 3 : 0);
		}
		for (j = 0; j < KINDS; j++) {
			for (k = 0; k < LEN(forms); k++) {
				CHECK_STR(load_key(name[j], forms[k]), "");
				CHECK_INT(pem_fits(&keys, &chain), i == j);
			}
		}
	}
}

/* Text that is put together here; `p` may hold anything. */
static const char *
chain_of(const char *p, size_t n)
{
	const char *why = pem_chain(&chain, p, n);

	return why ? why : "";
}

static const char *
key_of(const char *p, size_t n)
{
	const char *why = pem_key(&keys, p, n);

	return why ? why : "";
}

/* Line ends of DOS, none at the end, and several objects in a file. */
static void
variants(void)
{
	static char text[65536];
	char *c, *k;
	size_t i, j, m, n;

	c = slurp("p256", "crt", &n);
	k = slurp("p256", "key", &m);
	for (i = j = 0; i < n; i++) {
		if (c[i] == '\n')
			text[j++] = '\r';
		text[j++] = c[i];
	}
	CHECK_STR(chain_of(text, j), "");
	CHECK_STR(chain_of(text, j - 1), "");
	CHECK_STR(chain_of(text, j - 2), "");
	CHECK_INT(chain.n, 1);
	CHECK_STR(chain_of(c, n - 1), "");
	/* key and certificates in one file; the leaf is the first */
	(void)snprintf(text, sizeof(text), "%s%s%s%s", c, k, c, c);
	CHECK_STR(chain_of(text, strlen(text)), "");
	CHECK_INT(chain.n, 3);
	CHECK_STR(key_of(text, strlen(text)), "");
	CHECK(pem_fits(&keys, &chain));
	for (text[0] = '\0', i = 0; i < PEM_CERTS; i++)
		memcpy(text + i * n, c, n);
	CHECK_STR(chain_of(text, i * n), "");
	CHECK_INT(chain.n, PEM_CERTS);
	memcpy(text + i * n, c, n);
	CHECK_STR(chain_of(text, (i + 1) * n), "too many certificates");
	free(c);
	free(k);
}

static void
refused(void)
{
	static const char huge[20000] = "\x30";
	static char text[40000];
	size_t i;

	CHECK_STR(chain_of("", 0), "no certificate in it");
	CHECK_STR(key_of("", 0), "no private key in it");
	CHECK_STR(chain_of(BYTES("hello\n")), "no certificate in it");
	CHECK_STR(load_chain("p256", "key"), "no certificate in it");
	CHECK_STR(chain_of(BYTES("-----BEGIN CERTIFICATE-----\nMAA=\nMAAA\n"
	    "-----END CERTIFICATE-----\n")), "damaged PEM");
	CHECK_STR(chain_of(BYTES("-----BEGIN CERTIFICATE-----\nMAA=\n"
	    "-----END CERTIFICATE-----\n")), "not a certificate");
	CHECK_STR(chain_of(BYTES("-----BEGIN CERTIFICATE-----\nMAA=\n"
	    "-----BEGIN CERTIFICATE-----\n")), "damaged PEM");
	CHECK_STR(load_key("p256", "crt"), "no private key in it");
	CHECK_STR(chain_of(huge, sizeof(huge)), "too large");
	CHECK_STR(key_of(huge, sizeof(huge)), "too large");
	CHECK_STR(chain_of(huge, 1000), "not a certificate");
	CHECK_STR(key_of(huge, 1000), "not a key of a kind that is known");
	(void)snprintf(text, sizeof(text), "-----BEGIN CERTIFICATE-----\n");
	for (i = 0; i < 400; i++)
		memcpy(text + 28 + 65 * i,
		    "MIIBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 65);
	memcpy(text + 28 + 65 * i, "-----END CERTIFICATE-----\n", 26);
	CHECK_STR(chain_of(text, 28 + 65 * i + 26), "too large");
	CHECK(run("openssl ec -in $N.key -aes128 -passout pass:x -out enc.key 2>/dev/null",
	    "p256"));
	CHECK_STR(load_key("enc", "key"), "the key is encrypted; it must not be");
	CHECK_INT(system("openssl pkcs8 -topk8 -in p256.key -passout pass:x -out enc.p8"), 0);
	CHECK_STR(load_key("enc", "p8"), "the key is encrypted; it must not be");
	CHECK_INT(system("openssl genpkey -algorithm ed25519 -out ed.key"), 0);
	CHECK_STR(load_key("ed", "key"), "not a key of a kind that is known");
	CHECK_INT(pem_kind(&keys), 0);
	CHECK_STR(load_chain("p256", "crt"), "");
	CHECK_INT(pem_fits(&keys, &chain), 0);
}

/* Cut anywhere, and with each octet damaged in its turn: never a key that fits, never a crash. */
static void
damage(void)
{
	char *c, *k, *p;
	size_t i, m, n;

	c = slurp("p256", "crt", &n);
	k = slurp("p256", "der", &m);
	/* what is cut behind the last octet of the certificate does no harm */
	for (i = 0; i < (size_t)(strstr(c, "-----END") - c); i++) {
		p = malloc(i + 1);
		memcpy(p, c, i);
		CHECK_MSG(pem_chain(&chain, p, i) != NULL, "certificate cut at %zu", i);
		free(p);
	}
	for (i = 28; i < n; i++) {
		c[i] ^= 0x15;
		(void)pem_chain(&chain, c, n);
		c[i] ^= 0x15;
	}
	CHECK_STR(chain_of(c, n), "");
	for (i = 0; i < m; i++) {
		p = malloc(i + 1);
		memcpy(p, k, i);
		CHECK_MSG(pem_key(&keys, p, i) != NULL, "key cut at %zu", i);
		free(p);
	}
	for (i = 0; i < m; i++) {
		k[i] ^= 0x40;
		if (!pem_key(&keys, k, m))
			(void)pem_fits(&keys, &chain);
		k[i] ^= 0x40;
	}
	free(c);
	free(k);
}

/* The directory is the runner's, but leave nothing in it. */
static void
clean(void)
{
	static const char *const ends[] = { "key", "crt", "p8", "der", "cer", "text" };
	char path[80];
	size_t i, j;

	for (i = 0; i < KINDS; i++) {
		for (j = 0; j < LEN(ends); j++) {
			(void)snprintf(path, sizeof(path), "%s.%s", name[i], ends[j]);
			(void)unlink(path);
		}
	}
	(void)unlink("enc.key");
	(void)unlink("enc.p8");
	(void)unlink("ed.key");
}

int
main(void)
{
	if (system("openssl version >/dev/null 2>&1") != 0) {
		test_skipped++;
		return test_end();
	}
	make();
	if (!test_failed) {
		forms();
		variants();
		refused();
		damage();
	}
	clean();
	return test_end();
}
