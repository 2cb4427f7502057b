/* See LICENSE file for copyright and licence details. */
/*
 * The keys that sign our mail, dkim/DOMAIN.pem, and the command that makes them.  A domain becomes
 * part of a path only if key_path() finds nothing in it but small letters, digits, hyphens and
 * single dots between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <bearssl_pem.h>
#include <bearssl_rand.h>
#include <bearssl_x509.h>

#include "lib/idn.h"
#include "lib/log.h"
#include "lib/pem.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "mail.h"

#define DIR_DKIM "dkim"
#define LOCK_DKIM "dkim/lock"
#define NEW_DKIM "dkim/new"

enum {
	KEYS = 4,		/* that are kept in memory */
	FILE_MAX = 8192,	/* octets of a PEM file */
	BITS = 2048,		/* of the keys we make */
	BITS_MIN = 1024,	/* RFC 8301 3.2 */
	BITS_MAX = 3072,	/* longer ones would hold up the loop for each letter */
	EXPONENT = 65537,
	DOMAIN = 200,		/* octets; a file name and a DNS name are made of it */
	KEY_PATH = DOMAIN + 16,
	RECORD = 1024,		/* octets of a TXT record's text */
	STRING = 255		/* of one string in it, RFC 1035 3.3 */
};

struct slot {
	char domain[DOMAIN + 1];
	struct stamp stamp;	/* of the file when it was looked into */
	const char *why;	/* it cannot be used; NULL: it can */
	struct pem_key key;
};

static struct slot slots[KEYS];
static int oldest;
static char text[FILE_MAX];

/* 0, or -1: no key can be of this domain. */
static int
key_path(char dst[KEY_PATH], const char *domain)
{
	size_t i, n = strlen(domain);

	if (n > DOMAIN || !addr_domain(domain, n))
		return -1;
	for (i = 0; i < n; i++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", domain[i]))
			return -1;
	}
	(void)snprintf(dst, KEY_PATH, DIR_DKIM "/%s.pem", domain);
	return 0;
}

/* NULL, or why there is no key. */
static const char *
load(struct pem_key *k, const char *path)
{
	const char *why;
	uint32_t bits;
	ssize_t n;

	n = fs_slurp(path, text, sizeof(text));
	if (n < 0)
		return strerror(errno);
	why = pem_key(k, text, (size_t)n);
	scram_wipe(text, (size_t)n);
	if (why)
		return why;
	if (pem_kind(k) != BR_KEYTYPE_RSA)
		return "not an RSA key";
	bits = br_skey_decoder_get_rsa(&k->d)->n_bitlen;
	return bits < BITS_MIN ? "shorter than 1024 bits" :
	    bits > BITS_MAX ? "longer than 3072 bits" : NULL;
}

static struct slot *
slot_of(const char *domain)
{
	struct slot *s;
	int i;

	for (i = 0; i < KEYS; i++) {
		if (strcmp(slots[i].domain, domain) == 0)
			return &slots[i];
	}
	s = &slots[oldest];
	oldest = (oldest + 1) % KEYS;
	memset(&s->stamp, 0, sizeof(s->stamp));
	(void)text_copy(s->domain, sizeof(s->domain), domain, strlen(domain));	/* it fits */
	return s;
}

const br_rsa_private_key *
sign_key(const char *domain)
{
	char path[KEY_PATH];
	struct stamp stamp;
	struct stat st;
	struct slot *s;

	if (key_path(path, domain) < 0)
		return NULL;
	if (stat(path, &st) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			log_event("-", "dkim file=%s error=\"%s\"", path, strerror(errno));
		return NULL;
	}
	fs_stamp(&stamp, &st);
	s = slot_of(domain);
	if (!fs_same(&s->stamp, &stamp)) {
		s->stamp = stamp;
		s->why = load(&s->key, path);
		if (s->why)
			log_event("-", "dkim file=%s error=\"%s\"", path, s->why);
	}
	return s->why ? NULL : br_skey_decoder_get_rsa(&s->key.d);
}

/* ---- the command ---- */

/* One at a time, until the program ends. */
static void
lock(const char *dir)
{
	int fd;

	if (fs_mkdir(".", DIR_DKIM) < 0)
		die(EX_CANTCREAT, "%s/" DIR_DKIM ":", dir);
	fd = open(LOCK_DKIM, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fs_own(fd, DIR_DKIM) < 0)
		die(EX_CANTCREAT, "%s/" LOCK_DKIM ":", dir);
	if (fs_lock(fd) < 0)
		die(EX_TEMPFAIL, "%s/" LOCK_DKIM " is held by another program:", dir);
}

static void
make_key(const char *dir, const char *path)
{
	static unsigned char priv[BR_RSA_KBUF_PRIV_SIZE(BITS)], pub[BR_RSA_KBUF_PUB_SIZE(BITS)];
	static unsigned char d[BITS / 8], der[PEM_KEY];
	unsigned char seed[32];
	br_hmac_drbg_context rng;
	br_rsa_private_key sk;
	br_rsa_public_key pk;
	size_t n;

	random_bytes(seed, sizeof(seed));
	br_hmac_drbg_init(&rng, &br_sha256_vtable, seed, sizeof(seed));
	if (!br_rsa_keygen_get_default()(&rng.vtable, &sk, priv, &pk, pub, BITS, EXPONENT))
		die(EX_SOFTWARE, "no key could be made");
	n = br_rsa_compute_privexp_get_default()(d, &sk, EXPONENT);
	n = br_encode_rsa_raw_der(NULL, &sk, &pk, d, n) <= sizeof(der) ?
	    br_encode_rsa_raw_der(der, &sk, &pk, d, n) : 0;
	BUG_IF(!n || br_pem_encode(NULL, NULL, n, BR_ENCODE_PEM_RSA_RAW, 0) >= sizeof(text));
	n = br_pem_encode(text, der, n, BR_ENCODE_PEM_RSA_RAW, 0);
	if (fs_replace(DIR_DKIM, NEW_DKIM, path, text, n, 0600) < 0)
		die(EX_CANTCREAT, "%s/%s:", dir, path);
}

/* Does a signature of the one verify with the other? */
static int
fits(const br_rsa_private_key *sk, const br_rsa_public_key *pk)
{
	unsigned char hash[br_sha256_SIZE] = { 1 }, got[br_sha256_SIZE], sig[BITS_MAX / 8];

	return br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, sizeof(hash), sk, sig) &&
	    br_rsa_pkcs1_vrfy_get_default()(sig, (sk->n_bitlen + 7) / 8, BR_HASH_OID_SHA256,
	    sizeof(got), pk, got) && memcmp(hash, got, sizeof(hash)) == 0;
}

/*
 * The text of the TXT record, RFC 6376 3.6.1. The exponent of a key that others have made is found
 * by trying: BearSSL leaves it out when it reads a key, and computes it only for keys of its own.
 */
static void
record(char dst[RECORD], const br_rsa_private_key *sk)
{
	static const char begin[] = "v=DKIM1; k=rsa; p=";
	static unsigned char e[] = { 1, 0, 1 }, e3[] = { 3 };
	unsigned char n[BITS_MAX / 8], der[X509_MAX];
	br_rsa_public_key pk = { n, 0, e, sizeof(e) };

	pk.nlen = br_rsa_compute_modulus_get_default()(n, sk);
	if (!fits(sk, &pk)) {
		pk.e = e3;
		pk.elen = sizeof(e3);
		if (!fits(sk, &pk))
			die(EX_DATAERR, "the key is damaged, or its exponent neither 65537 nor 3");
	}
	memcpy(dst, begin, sizeof(begin));
	(void)text_base64(dst + sizeof(begin) - 1, RECORD - sizeof(begin), der, x509_rsa(der, &pk));
}

static void
print_record(const char *domain, const char *value)
{
	const char *p;

	(void)printf("%s._domainkey.%s. IN TXT (", dkim_selector, domain);
	for (p = value; *p; p += strnlen(p, STRING))
		(void)printf("%s\"%.*s\"", p == value ? " " : "\n\t", STRING, p);
	(void)printf(" )\n; Put this into the zone of %s: mail from it is signed with the key, the "
	    "strings are one text.\n", domain);
}

int
sign_command(const char *name, const char *dir)
{
	char domain[DOMAIN + 1], path[KEY_PATH], value[RECORD];
	struct stat st;
	const char *why;

	if (idn_ascii(domain, sizeof(domain), name, strlen(name)) < 0 || key_path(path, domain) < 0)
		die(EX_DATAERR, "this is not the name of a domain, or longer than %d octets",
		    DOMAIN);
	lock(dir);
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			die(EX_NOINPUT, "%s/%s:", dir, path);
		make_key(dir, path);
	}
	why = load(&slots[0].key, path);
	if (why)
		die(EX_DATAERR, "%s/%s: %s", dir, path, why);
	record(value, br_skey_decoder_get_rsa(&slots[0].key.d));
	print_record(domain, value);
	return EX_OK;
}
