/* X.509 certificates (RFC 5280): what we must know of one, and making one that signs itself. */
#ifndef X509_H
#define X509_H

#include <stddef.h>
#include <stdint.h>

#include <bearssl_ec.h>
#include <bearssl_rsa.h>

enum {
	X509_MAX = 1200,	/* room for a certificate of ours */
	X509_NAMES = 2		/* names in it, at most */
};

/* What a certificate says; pointers go into its DER. */
struct x509_info {
	int64_t not_before, not_after;	/* seconds since 1970, UTC */
	int kind;			/* BR_KEYTYPE_RSA, BR_KEYTYPE_EC, or 0: something else */
	int curve;			/* of an EC key: BR_EC_secp256r1 ..., 0: something else */
	const unsigned char *pub;	/* the point, or the modulus without leading zeros */
	size_t npub;
	const unsigned char *exp;	/* of an RSA key, without leading zeros */
	size_t nexp;
	const unsigned char *subject;	/* its name, DER */
	size_t nsubject;
	int ca;				/* it may sign others */
};

/* Look into a certificate that fills der[0..n) exactly: 0, or -1 if it is none. */
int x509_info(struct x509_info *i, const unsigned char *der, size_t n);

/* The same for a SubjectPublicKeyInfo alone: kind, curve, pub, exp. */
int x509_key(struct x509_info *i, const unsigned char *der, size_t n);

/* The same for an RSA key of a DKIM record: a SubjectPublicKeyInfo, or a bare RSAPublicKey. */
int x509_rsa_key(struct x509_info *i, const unsigned char *der, size_t n);

struct x509_self {
	const char *const *name;	/* DNS names; the first is the subject too */
	size_t nname;
	int64_t from, until;		/* validity */
	unsigned char serial[16];	/* random; two bits are changed: a proper number */
	const br_ec_private_key *key;	/* on P-256 */
};

/* A certificate for a TLS server, signed with its own key (ECDSA, SHA-256): its length, or 0 if a
 * name is too long or the key is not on P-256. */
size_t x509_self(unsigned char dst[X509_MAX], const struct x509_self *s);

/* The SubjectPublicKeyInfo of an RSA key, as DKIM records have it: its length, or 0: too large. */
size_t x509_rsa(unsigned char dst[X509_MAX], const br_rsa_public_key *k);

#endif
