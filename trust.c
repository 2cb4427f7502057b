/* See LICENSE file for copyright and licence details. */
/*
 * Whom we believe as a client: certificates of other servers, and those that vouch for them.
 *
 * A judge (struct judge) stands between an engine and what BearSSL has for chains, which checks
 * them (TRUST_CA, TRUST_BUILTIN); or it only takes the key out of the first certificate (TRUST_ANY,
 * TRUST_PIN), and that the server owns it its signature in the handshake proves.  The certificates
 * that vouch are kept as names and keys in one pool: first those compiled in, which stay, then
 * those of tls/ca.pem, which are read again when the file has changed and no judge looks at them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pem.h"
#include "lib/spki.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "tls.h"

#define CA_PEM "tls/ca.pem"

enum {
	ROOTS = 160,			/* certificates that vouch; Debian has 144 */
	ROOM = 131072,			/* octets of their names and keys */
	MIN_RSA = 256,			/* octets of a modulus */
	CERT_MAX = 4096,		/* octets of one certificate that vouches, DER */
	CHAIN = 6,			/* certificates of a chain: each costs milliseconds */
	YEAR_0 = 719528			/* days from there to 1970 */
};

struct judge {
	const br_x509_class *vtable;
	struct judge *next;		/* in the free list */
	struct tls_trust trust;
	int certs;			/* of the chain, seen so far */
	union {
		br_x509_minimal_context minimal;
		struct spki spki;
	} x;
	br_x509_pkey key;		/* in x.spki */
};

/* Certificates as they are read. */
struct loader {
	struct pem pem;
	unsigned char der[CERT_MAX];
	int left_out;
};

static struct judge pool[CLIENTS];
static struct judge *free_list;
static int fresh;

static br_x509_trust_anchor roots[ROOTS];
static unsigned char room[ROOM];
static int nroots, nbuiltin;		/* the first ones are compiled in */
static size_t used, used_builtin;
static int builtin_read;
static int watching;			/* judges that look at those of the file */
static struct stamp tried;		/* the file when it was last looked into */

/* ---- certificates that vouch ---- */

/* A copy in the room, which has been seen to be there. */
static unsigned char *
keep(const unsigned char *p, size_t n)
{
	unsigned char *s = room + used;

	memcpy(s, p, n);
	used += n;
	return s;
}

/* BearSSL's form of a key whose parts are at pub and exp; -1: not of a kind it has. */
static int
key_of(br_x509_pkey *k, const struct x509_info *i, unsigned char *pub, unsigned char *exp)
{
	k->key_type = (unsigned char)i->kind;
	if (i->kind == BR_KEYTYPE_RSA) {
		k->key.rsa.n = pub;
		k->key.rsa.nlen = i->npub;
		k->key.rsa.e = exp;
		k->key.rsa.elen = i->nexp;
		return 0;
	}
	k->key.ec.curve = i->curve;
	k->key.ec.q = pub;
	k->key.ec.qlen = i->npub;
	return i->curve ? 0 : -1;
}

/* The certificate has been read: a place in the pool, if it is one and there is room. 0 or -1. */
static int
take(const struct pem *o)
{
	br_x509_trust_anchor *a = &roots[nroots];
	struct x509_info i;

	if (nroots == ROOTS || x509_info(&i, o->der, o->n) < 0 ||
	    i.nsubject + i.npub + i.nexp > ROOM - used ||
	    key_of(&a->pkey, &i, room + used, room + used + i.npub) < 0)
		return -1;
	(void)keep(i.pub, i.npub);
	(void)keep(i.exp, i.nexp);
	a->dn.data = keep(i.subject, i.nsubject);
	a->dn.len = i.nsubject;
	a->flags = i.ca ? BR_X509_TA_CA : 0;
	nroots++;
	return 0;
}

static void
load_begin(struct loader *l)
{
	pem_init(&l->pem, pem_is_cert, l->der, sizeof(l->der));
	l->left_out = 0;
}

/* Whole lines. */
static void
feed(struct loader *l, const char *p, size_t n)
{
	const char *end = p + n;
	int r;

	while ((r = pem_next(&l->pem, &p, end)) != 0)
		if (r < 0 || take(&l->pem) < 0)
			l->left_out++;
}

static void
load_end(const struct loader *l, const char *what, int from)
{
	log_event("-", "tls trust=%s certificates=%d left_out=%d", what, nroots - from,
	    l->left_out + l->pem.inside);
}

/* Those of config.h, once. */
static void
load_builtin(void)
{
	struct loader l;

	if (builtin_read)
		return;
	builtin_read = 1;
	load_begin(&l);
	feed(&l, anchors, sizeof(anchors) - 1);
	if (sizeof(anchors) > 1)
		load_end(&l, "builtin", 0);
	nbuiltin = nroots;
	used_builtin = used;
}

static int
read_file(struct loader *l, int fd)
{
	char b[4096];
	size_t have = 0, k;
	ssize_t n;

	while ((n = read(fd, b + have, sizeof(b) - have)) > 0) {
		have += (size_t)n;
		for (k = have; k && b[k - 1] != '\n'; k--)
			;
		if (!k && have == sizeof(b))
			k = have;	/* that is no line of ours */
		feed(l, b, k);
		have -= k;
		memmove(b, b + k, have);
	}
	feed(l, b, have);
	return n < 0 ? -1 : 0;
}

/* Those of the file, in place of what there was of it. */
static void
load_file(void)
{
	struct loader l;
	int fd;

	nroots = nbuiltin;
	used = used_builtin;
	load_begin(&l);
	fd = open(CA_PEM, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_file(&l, fd) < 0)
		log_event("-", "tls file=%s error=\"%s\"", CA_PEM, strerror(errno));
	if (fd < 0)
		return;
	(void)close(fd);	/* only read from */
	load_end(&l, CA_PEM, nbuiltin);
}

static void
look(void)
{
	static int looked;
	struct stamp now;
	struct stat st;

	load_builtin();
	memset(&now, 0, sizeof(now));
	if (stat(CA_PEM, &st) == 0)
		fs_stamp(&now, &st);
	if (watching || (looked && fs_same(&now, &tried)))
		return;
	looked = 1;
	tried = now;
	load_file();
}

/* ---- judges ---- */

static int
checks_chain(const struct judge *j)
{
	return j->trust.how == TRUST_CA || j->trust.how == TRUST_BUILTIN;
}

/* More than that is not looked at, and leads to nobody who is trusted. */
static int
looks(const struct judge *j)
{
	return j->certs < (checks_chain(j) ? CHAIN : 1);
}

static struct judge *
judge(const br_x509_class **ctx)
{
	return (struct judge *)(void *)ctx;
}

/* Without a name BearSSL would not look at the one in the certificate: an address matches none. */
static void
start_chain(const br_x509_class **ctx, const char *server)
{
	struct judge *j = judge(ctx);

	j->certs = 0;
	if (checks_chain(j)) {
		br_x509_minimal_vtable.start_chain(&j->x.minimal.vtable,
		    server && *server ? server : "[]");
	} else {
		spki_init(&j->x.spki);
	}
}

static void
start_cert(const br_x509_class **ctx, uint32_t n)
{
	struct judge *j = judge(ctx);

	if (looks(j) && checks_chain(j))
		br_x509_minimal_vtable.start_cert(&j->x.minimal.vtable, n);
}

static void
append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct judge *j = judge(ctx);

	if (looks(j) && checks_chain(j))
		br_x509_minimal_vtable.append(&j->x.minimal.vtable, p, n);
	else if (looks(j))
		spki_push(&j->x.spki, p, n);
}

static void
end_cert(const br_x509_class **ctx)
{
	struct judge *j = judge(ctx);

	if (looks(j) && checks_chain(j))
		br_x509_minimal_vtable.end_cert(&j->x.minimal.vtable);
	if (looks(j))
		j->certs++;
}

static int
is_pinned(const unsigned char pin[32], const struct spki *s)
{
	unsigned char hash[32];
	br_sha256_context sha;

	br_sha256_init(&sha);
	br_sha256_update(&sha, s->der, s->n);
	br_sha256_out(&sha, hash);
	return memcmp(hash, pin, sizeof(hash)) == 0;
}

static unsigned
end_chain(const br_x509_class **ctx)
{
	struct judge *j = judge(ctx);
	struct spki *s = &j->x.spki;
	struct x509_info i;

	if (checks_chain(j))
		return br_x509_minimal_vtable.end_chain(&j->x.minimal.vtable);
	if (!j->certs)
		return BR_ERR_X509_EMPTY_CHAIN;
	if (!spki_done(s) || x509_key(&i, s->der, s->n) < 0)
		return BR_ERR_X509_TRUNCATED;
	if (j->trust.how == TRUST_PIN && !is_pinned(j->trust.pin, s))
		return ERR_PIN;
	if (key_of(&j->key, &i, s->der + (i.pub - s->der), s->der + (i.exp - s->der)) < 0)
		return BR_ERR_X509_UNSUPPORTED;
	return 0;
}

static const br_x509_pkey *
get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct judge *j = (const struct judge *)(const void *)ctx;

	if (checks_chain(j))
		return br_x509_minimal_vtable.get_pkey(&j->x.minimal.vtable, usages);
	if (usages)
		*usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	return &j->key;
}

static const br_x509_class judge_class = {
	sizeof(struct judge), start_chain, start_cert, append, end_cert, end_chain, get_pkey
};

static void
strict(struct judge *j, const br_x509_trust_anchor *a, int n)
{
	br_x509_minimal_context *x = &j->x.minimal;

	br_x509_minimal_init(x, &br_sha256_vtable, a, (size_t)n);
	br_x509_minimal_set_hash(x, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(x, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(x, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_rsa(x, br_rsa_pkcs1_vrfy_get_default());
	br_x509_minimal_set_ecdsa(x, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
	br_x509_minimal_set_minrsa(x, MIN_RSA);
	br_x509_minimal_set_time(x, (uint32_t)(loop_wall / 86400 + YEAR_0),
	    (uint32_t)(loop_wall % 86400));
}

struct judge *
trust_use(br_ssl_engine_context *e, const struct tls_trust *t, const char **why)
{
	struct judge *j = free_list;
	int from, n;

	if (!j && fresh == CLIENTS) {
		*why = "tls: too many handshakes";
		return NULL;
	}
	if (t->how == TRUST_CA || t->how == TRUST_BUILTIN)
		look();
	from = t->how == TRUST_CA ? nbuiltin : 0;
	n = t->how == TRUST_CA ? nroots - nbuiltin : nbuiltin;
	if (!n && (t->how == TRUST_CA || t->how == TRUST_BUILTIN)) {
		*why = t->how == TRUST_CA ? "no certificates to trust in " CA_PEM :
		    "no certificates to trust compiled in";
		return NULL;
	}
	if (j)
		free_list = j->next;
	else
		j = &pool[fresh++];
	j->vtable = &judge_class;
	j->trust = *t;
	if (checks_chain(j))
		strict(j, roots + from, n);
	watching += t->how == TRUST_CA;
	br_ssl_engine_set_x509(e, &j->vtable);
	return j;
}

void
trust_done(struct judge *j)
{
	if (!j)
		return;
	watching -= j->trust.how == TRUST_CA;
	j->next = free_list;
	free_list = j;
}

const char *
trust_explain(int err)
{
	switch (err) {
	case BR_ERR_X509_EMPTY_CHAIN:
		return "there is no certificate";
	case BR_ERR_X509_UNSUPPORTED:
	case BR_ERR_X509_WRONG_KEY_TYPE:
		return "certificate has a key of a kind that is not known";
	case BR_ERR_X509_BAD_SIGNATURE:
		return "certificate has a bad signature";
	case BR_ERR_X509_EXPIRED:
		return "certificate has expired or is not valid yet";
	case BR_ERR_X509_DN_MISMATCH:
		return "certificates are not a chain";
	case BR_ERR_X509_BAD_SERVER_NAME:
		return "certificate is for another name";
	case BR_ERR_X509_CRITICAL_EXTENSION:
		return "certificate has an unknown critical extension";
	case BR_ERR_X509_NOT_CA:
		return "certificate is signed by one that may not sign";
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
		return "certificate is not for this use";
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return "certificate has a weak key";
	case BR_ERR_X509_NOT_TRUSTED:
		return "certificate is not trusted";
	case ERR_PIN:
		return "public key is not the pinned one";
	}
	return "certificate is damaged";
}

/* ---- the words of routes[] ---- */

static int
nibble(char ch)
{
	ch = (char)text_lower(ch);
	return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static int
pin(unsigned char dst[32], const char *hex)
{
	int hi, i, lo;

	if (strlen(hex) != 64)
		return -1;
	for (i = 0; i < 32; i++) {
		hi = nibble(hex[2 * i]);
		lo = nibble(hex[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		dst[i] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

int
tls_trust(struct tls_trust *t, const char *word)
{
	memset(t, 0, sizeof(*t));
	if (strncmp(word, "sha256:", 7) == 0) {
		t->how = TRUST_PIN;
		return pin(t->pin, word + 7);
	}
	if (strcmp(word, "ca") == 0)
		t->how = TRUST_CA;
	else if (strcmp(word, "builtin") == 0)
		t->how = TRUST_BUILTIN;
	else if (*word)
		return -1;
	return 0;
}
