/* See LICENSE file for copyright and licence details. */
/*
 * Who we are as a TLS server: the key and the certificate chain in tls/ of the store, made by
 * ourselves at the first start, loaded again when they change, watched for their expiry, and the
 * sessions that may be resumed with them.
 *
 * Two slots hold a chain and its key each: a changed pair is loaded into the one that is not in
 * use.  Engines look at a slot only while they shake hands, and are counted in it until then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <bearssl_ec.h>
#include <bearssl_pem.h>
#include <bearssl_rand.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pem.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "tls.h"

#define DIR_TLS "tls"
#define CERT_PEM "tls/cert.pem"
#define KEY_PEM "tls/key.pem"

enum {
	FILE_MAX = 32768,		/* octets of a PEM file */
	CACHE = 16384,			/* sessions that may be resumed, about 100 octets each */
	CACHE_MS = 3600000,		/* their keys are forgotten so often */
	LOOK_MS = 30000,		/* between two looks at the files */
	DAY = 86400,
	WARN_DAYS = 14,
	SLOW_RSA = 384			/* octets of a modulus: longer ones hold up the loop */
};

struct cred {
	struct pem_chain chain;
	struct pem_key key;
	int shaking;			/* engines that look at it */
};

static struct cred creds[2];
static struct cred *active;		/* NULL: none yet */
static char text[FILE_MAX];		/* of a file that is being loaded */
static struct stamp tried[2];		/* certificate and key when they were last looked into */
static int64_t looked, warned;

static br_ssl_session_cache_lru cache;
static unsigned char cache_store[CACHE];
static int64_t cache_born;

struct cred *
cert_use(br_ssl_server_context *sc)
{
	struct cred *k = active;

	if (!k)
		return NULL;
	if (pem_kind(&k->key) == BR_KEYTYPE_EC)
		br_ssl_server_set_single_ec(sc, k->chain.cert, k->chain.n,
		    br_skey_decoder_get_ec(&k->key.d), BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
		    br_ec_get_default(), br_ecdsa_sign_asn1_get_default());
	else
		br_ssl_server_set_single_rsa(sc, k->chain.cert, k->chain.n,
		    br_skey_decoder_get_rsa(&k->key.d), BR_KEYTYPE_SIGN,
		    br_rsa_private_get_default(), br_rsa_pkcs1_sign_get_default());
	br_ssl_server_set_cache(sc, &cache.vtable);
	k->shaking++;
	return k;
}

void
cert_done(struct cred *k)
{
	if (k)
		k->shaking--;
}

static void
complain(const char *path, const char *what)
{
	log_event("-", "tls file=%s error=\"%s\"", path, what);
}

/* A file we cannot read: with the one reason that is not plain to see. */
static void
unreadable(const char *path)
{
	char what[160];

	if (errno == EACCES)
		(void)snprintf(what, sizeof(what), "%s: user %lu must be able to read it",
		    strerror(errno), (unsigned long)geteuid());
	else
		(void)snprintf(what, sizeof(what), "%s", strerror(errno));
	complain(path, what);
}

/* Both files into k: 0, or -1 (logged). */
static int
load(struct cred *k)
{
	const char *why;
	ssize_t n;

	n = fs_slurp(CERT_PEM, text, sizeof(text));
	if (n < 0) {
		unreadable(CERT_PEM);
		return -1;
	}
	why = pem_chain(&k->chain, text, (size_t)n);
	scram_wipe(text, (size_t)n);	/* some have the key in it as well */
	if (why) {
		complain(CERT_PEM, why);
		return -1;
	}
	n = fs_slurp(KEY_PEM, text, sizeof(text));
	if (n < 0) {
		unreadable(KEY_PEM);
		return -1;
	}
	why = pem_key(&k->key, text, (size_t)n);
	scram_wipe(text, (size_t)n);
	if (!why && !pem_fits(&k->key, &k->chain))
		why = "is not the key of the first certificate in " CERT_PEM;
	if (why) {
		complain(KEY_PEM, why);
		scram_wipe(&k->key, sizeof(k->key));
		return -1;
	}
	return 0;
}

/* SHA-256 of the leaf, as other programs print it. */
static char *
fingerprint(char dst[96], const struct cred *k)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char hash[32];
	br_sha256_context sha;
	size_t i;

	br_sha256_init(&sha);
	br_sha256_update(&sha, k->chain.cert[0].data, k->chain.cert[0].data_len);
	br_sha256_out(&sha, hash);
	for (i = 0; i < sizeof(hash); i++) {
		dst[3 * i] = hex[hash[i] >> 4];
		dst[3 * i + 1] = hex[hash[i] & 15];
		dst[3 * i + 2] = ':';
	}
	dst[95] = '\0';
	return dst;
}

/* Say what is in use, and what will not be liked about it. */
static void
announce(const struct cred *k)
{
	char print[96], until[DATE_TEXT];

	log_event("-", "tls cert=%s certificates=%zu key=%s until=%s sha256=%s", CERT_PEM,
	    k->chain.n, pem_kind(&k->key) == BR_KEYTYPE_EC ? "EC" : "RSA",
	    text_utc(until, k->chain.leaf.not_after), fingerprint(print, k));
	if (k->chain.leaf.kind == BR_KEYTYPE_RSA && k->chain.leaf.npub > SLOW_RSA)
		log_event("-", "tls warning=\"RSA key of %zu bits: each handshake holds up all"
		    " sessions for long; EC keys are better\"", k->chain.leaf.npub * 8);
}

/* Once a day. */
static void
check_dates(void)
{
	const struct x509_info *leaf;
	int64_t left, wall = time(NULL);

	if (!active || (wall >= warned && wall - warned < DAY))
		return;
	leaf = &active->chain.leaf;
	left = leaf->not_after - wall;
	if (wall < leaf->not_before)
		log_event("-", "tls warning=\"certificate is not valid yet; is the clock right?\"");
	else if (left < 0)
		log_event("-", "tls warning=\"certificate has expired\" days=%lld",
		    (long long)(-left / DAY));
	else if (left < WARN_DAYS * (int64_t)DAY)
		log_event("-", "tls warning=\"certificate expires soon\" days=%lld",
		    (long long)(left / DAY));
	else
		return;
	warned = wall;
}

/* Sessions of before cannot be resumed after this. */
static void
new_cache(void)
{
	br_ssl_session_cache_lru_init(&cache, cache_store, sizeof(cache_store));
	cache_born = loop_now;
}

static void
stamp(struct stamp *s, const char *path)
{
	struct stat st;

	memset(s, 0, sizeof(*s));
	if (stat(path, &st) == 0)
		fs_stamp(s, &st);
}

/* Load the pair into the slot that nobody looks at, and use it. 0 or -1. */
static int
adopt(void)
{
	struct cred *k = active == &creds[0] ? &creds[1] : &creds[0];

	if (load(k) < 0)
		return -1;
	active = k;
	warned = 0;
	new_cache();
	announce(k);
	return 0;
}

void
tls_reload(int force)
{
	struct stamp now[2];

	if (!force && loop_now - looked < LOOK_MS)
		return;
	looked = loop_now;
	if (loop_now - cache_born > CACHE_MS)
		new_cache();
	stamp(&now[0], CERT_PEM);
	stamp(&now[1], KEY_PEM);
	if (force || !fs_same(&now[0], &tried[0]) || !fs_same(&now[1], &tried[1])) {
		/* a handshake with the pair before the present one: it has to end soon */
		if (creds[active == &creds[0]].shaking)
			return;
		memcpy(tried, now, sizeof(tried));
		if (adopt() < 0 && active)
			log_event("-", "tls note=\"key and certificate of before stay in use\"");
	}
	check_dates();
}

/* ---- the first start ---- */

/* PEM text of an object to a file. */
static void
save(const char *path, const char *tmp, const char *banner, const void *der, size_t n, mode_t mode)
{
	char pem[2048];
	size_t k = br_pem_encode(NULL, NULL, n, banner, BR_PEM_LINE64);

	BUG_IF(k >= sizeof(pem));
	k = br_pem_encode(pem, der, n, banner, BR_PEM_LINE64);
	if (fs_replace(DIR_TLS, tmp, path, pem, k, mode) < 0)
		die(EX_CANTCREAT, "%s:", path);
	scram_wipe(pem, sizeof(pem));
}

/* A new P-256 key in tls/key.pem. */
static void
make_key(void)
{
	unsigned char kbuf[BR_EC_KBUF_PRIV_MAX_SIZE], pub[BR_EC_KBUF_PUB_MAX_SIZE];
	unsigned char der[256], seed[48];
	br_hmac_drbg_context drbg;
	br_ec_private_key sk;
	br_ec_public_key pk;
	size_t n;

	random_bytes(seed, sizeof(seed));
	br_hmac_drbg_init(&drbg, &br_sha256_vtable, seed, sizeof(seed));
	n = br_ec_keygen(&drbg.vtable, br_ec_get_default(), &sk, kbuf, BR_EC_secp256r1);
	BUG_IF(!n);
	n = br_ec_compute_pub(br_ec_get_default(), &pk, pub, &sk);
	BUG_IF(!n || br_encode_ec_raw_der(NULL, &sk, &pk) > sizeof(der));
	n = br_encode_ec_raw_der(der, &sk, &pk);
	save(KEY_PEM, KEY_PEM ".new", "EC PRIVATE KEY", der, n, 0600);
	scram_wipe(der, sizeof(der));
	scram_wipe(kbuf, sizeof(kbuf));
	scram_wipe(seed, sizeof(seed));
	scram_wipe(&drbg, sizeof(drbg));
}

/* A certificate for the key in k, which signs itself, in tls/cert.pem. */
static void
make_cert(const struct pem_key *k)
{
	const char *names[X509_NAMES] = { host, "localhost" };
	unsigned char der[X509_MAX];
	struct x509_self self;
	size_t n;

	self.name = names;
	self.nname = strcmp(host, names[1]) == 0 ? 1 : 2;
	self.from = time(NULL) - DAY;
	self.until = time(NULL) + (int64_t)3652 * DAY;
	self.key = br_skey_decoder_get_ec(&k->d);
	random_bytes(self.serial, sizeof(self.serial));
	n = x509_self(der, &self);
	if (!n)
		die(EX_CONFIG, "cannot make a certificate for the host name %s", host);
	save(CERT_PEM, CERT_PEM ".new", "CERTIFICATE", der, n, 0644);
}

/*
 * There is no certificate: make one, and a key if that is missing too. The key is written first:
 * after a crash between the two we come here again, with a key.
 */
static void
make_pair(void)
{
	const char *why;
	ssize_t n;

	if (fs_mkdir(".", DIR_TLS) < 0)
		die(EX_CANTCREAT, "%s:", DIR_TLS);
	if (access(KEY_PEM, F_OK) < 0)
		make_key();
	n = fs_slurp(KEY_PEM, text, sizeof(text));
	if (n < 0)
		die(EX_NOINPUT, "%s:", KEY_PEM);
	why = pem_key(&creds[1].key, text, (size_t)n);
	scram_wipe(text, (size_t)n);
	if (why)
		die(EX_CONFIG, "%s: %s", KEY_PEM, why);
	if (pem_kind(&creds[1].key) != BR_KEYTYPE_EC ||
	    br_skey_decoder_get_ec(&creds[1].key.d)->curve != BR_EC_secp256r1)
		die(EX_CONFIG, "%s is there, but %s is not", KEY_PEM, CERT_PEM);
	make_cert(&creds[1].key);
	scram_wipe(&creds[1].key, sizeof(creds[1].key));
	log_event("-", "tls note=\"made %s, which signs itself\" host=%s", CERT_PEM, host);
}

void
tls_init(void)
{
	if (access(CERT_PEM, F_OK) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			die(EX_NOINPUT, "%s:", CERT_PEM);
		make_pair();
	}
	looked = loop_now;
	stamp(&tried[0], CERT_PEM);
	stamp(&tried[1], KEY_PEM);
	if (adopt() < 0)
		die(EX_CONFIG, "no TLS without " CERT_PEM " and " KEY_PEM "; see the line above");
	check_dates();
}
