/* with: trust.c lib/fs.c lib/ip.c lib/pem.c lib/scram.c lib/spki.c lib/text.c lib/x509.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Certificate, key and the certificates to trust, as files of the store that are loaded while the
 * server runs (cert.c, trust.c): three parts with lines "%%" between them. Both or neither are
 * taken, and what is taken belongs together: what the key signs the certificate's key verifies.
 * Nothing of a key stays where it was read to. The chain is then looked at as that of another one.
 * (f_tls.c looks into DER and PEM themselves.)
 */
#include "house.h"
#include "wire.h"

static time_t
cert_time(time_t *t)
{
	(void)t;
	return wire_wall;
}

#define time cert_time
#include "cert.c"
#undef time

#include "lib/spki.h"

enum { MOST = 1 << 14, PARTS = 3 };

/* ---- does the pair work? ---- */

static int
signs_ec(const struct cred *k)
{
	const struct x509_info *leaf = &k->chain.leaf;
	unsigned char hash[32] = "any", sig[256];
	br_ec_public_key pk;
	size_t n;

	n = br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), &br_sha256_vtable, hash,
	    br_skey_decoder_get_ec(&k->key.d), sig);
	pk.curve = leaf->curve;
	pk.q = (unsigned char *)(uintptr_t)leaf->pub;
	pk.qlen = leaf->npub;
	return n && br_ecdsa_vrfy_asn1_get_default()(br_ec_get_default(), hash, sizeof(hash), &pk,
	    sig, n);
}

static int
signs_rsa(const struct cred *k)
{
	static const unsigned char oid[] = { 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1 };
	const struct x509_info *leaf = &k->chain.leaf;
	unsigned char hash[32] = "any", back[32], sig[1024];
	br_rsa_public_key pk;

	pk.n = (unsigned char *)(uintptr_t)leaf->pub;
	pk.nlen = leaf->npub;
	pk.e = (unsigned char *)(uintptr_t)leaf->exp;
	pk.elen = leaf->nexp;
	if (leaf->npub > sizeof(sig) || !br_rsa_pkcs1_sign_get_default()(oid, hash, sizeof(hash),
	    br_skey_decoder_get_rsa(&k->key.d), sig))
		return -1;
	return br_rsa_pkcs1_vrfy_get_default()(sig, leaf->npub, oid, sizeof(hash), &pk, back) &&
	    !memcmp(back, hash, sizeof(hash));
}

static void
works(const struct cred *k)
{
	static struct { size_t n; unsigned char b[PEM_CHAIN]; } last;
	size_t i;

	HOLDS(k->chain.n >= 1 && k->chain.n <= PEM_CERTS && k->chain.used <= PEM_CHAIN);
	for (i = 0; i < k->chain.n; i++)
		HOLDS(k->chain.cert[i].data >= k->chain.der && k->chain.cert[i].data_len > 0 &&
		    k->chain.cert[i].data + k->chain.cert[i].data_len <= k->chain.der +
		    k->chain.used);
	HOLDS(pem_kind(&k->key) == k->chain.leaf.kind && pem_fits(&k->key, &k->chain));
	/* it takes its time: only if it is another one */
	if (last.n == k->chain.used && !memcmp(last.b, k->chain.der, last.n))
		return;
	last.n = k->chain.used;
	memcpy(last.b, k->chain.der, last.n);
	if (pem_kind(&k->key) == BR_KEYTYPE_EC)
		HOLDS(signs_ec(k));
	else
		/* all that pem_fits() can know of RSA is the modulus */
		(void)signs_rsa(k);
}

/* ---- as a server's ---- */

static void
judged(const struct cred *k)
{
	static const struct tls_trust by_ca = { .how = TRUST_CA };
	static br_ssl_engine_context e;
	const br_x509_class **x;
	const char *why = NULL;
	struct judge *j = trust_use(&e, &by_ca, &why);
	unsigned usages, err;
	size_t i;

	HOLDS(!j == !!why);
	if (!j)
		return;
	x = (const br_x509_class **)j;
	(*x)->start_chain(x, host);
	for (i = 0; k && i < k->chain.n; i++) {
		(*x)->start_cert(x, (uint32_t)k->chain.cert[i].data_len);
		(*x)->append(x, k->chain.cert[i].data, k->chain.cert[i].data_len);
		(*x)->end_cert(x);
	}
	err = (*x)->end_chain(x);
	HOLDS(err || (k && (*x)->get_pkey((const br_x509_class *const *)x, &usages)));
	(void)trust_explain((int)err);
	trust_done(j);
}

static void
put(const char *path, const char *p, size_t n)
{
	(void)unlink(path);
	if (n)
		house_spill(path, p, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[PARTS] = { CERT_PEM, KEY_PEM, "ca.pem" };
	static int up;
	const char *p = (const char *)data, *end = p + size, *cut;
	struct cred *was = active;
	br_ssl_server_context *sc;
	static br_ssl_server_context server;
	int files = house_files(), i;
	unsigned events = house_events;

	if (!up) {
		(void)mkdir(DIR_TLS, 0700);
		WIRE_LOOP(1);
	}
	up = 1;
	if (size > MOST)
		return 0;
	for (i = 0; i < PARTS; i++) {
		cut = memmem(p, (size_t)(end - p), "%%\n", 3);
		cut = cut && i < PARTS - 1 ? cut : end;
		put(paths[i], p, (size_t)(cut - p));
		p = cut + 3 < end ? cut + 3 : end;
	}
	tls_reload(1);
	HOLDS(house_events > events);
	HOLDS(!memmem(text, sizeof(text), "PRIVATE KEY", 11));
	if (active != was) {
		works(active);
		sc = &server;
		HOLDS(cert_use(sc) == active && active->shaking == 1);
		cert_done(active);
	}
	judged(active != was ? active : NULL);
	/* the next input begins with none */
	active = NULL;
	memset(creds, 0, sizeof(creds));
	HOLDS(house_files() == files);
	return 0;
}
