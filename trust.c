/* See LICENSE file for copyright and licence details. */
/*
 * Whom we believe as a client: certificates of other servers, and those that vouch for them.
 *
 * A judge (struct judge) stands between an engine and what BearSSL has for chains: the one that
 * checks them (TRUST_CA, TRUST_BUILTIN), or the one that only takes the key out of the first
 * certificate (TRUST_ANY, TRUST_PIN); that the server owns this key its signature in the handshake
 * proves. The certificates that vouch are kept as names and keys in one pool: first those
 * compiled in, which stay, then those of tls/ca.pem, which are read again when the file has
 * changed and no judge looks at them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bearssl_pem.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/spki.h"
#include "lib/text.h"
#include "tls.h"

#define CA_PEM "tls/ca.pem"

enum {
	ROOTS = 160,			/* certificates that vouch; Debian has 144 */
	ROOM = 131072,			/* octets of their names and keys */
	MIN_RSA = 256,			/* octets of a modulus */
	CHAIN = 6,			/* certificates of a chain: a signature costs milliseconds */
	YEAR_0 = 719528			/* days from there to 1970 */
};

struct judge {
	const br_x509_class *vtable;
	struct judge *next;		/* in the free list */
	struct tls_trust trust;
	int certs;			/* of the chain, seen so far */
	struct spki spki;
	union {
		br_x509_minimal_context minimal;
		br_x509_decoder_context decoder;
	} x;
};

/* Certificates as they are read. */
struct loader {
	br_pem_decoder_context pem;
	br_x509_decoder_context cert;
	size_t start;			/* where the name of the present one begins in the room */
	int open, over, left_out;
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

/* n octets more of the room; NULL: none left. */
static unsigned char *
keep(struct loader *l, const void *p, size_t n)
{
	unsigned char *s = room + used;

	if (n > ROOM - used) {
		l->over = 1;
		return NULL;
	}
	memcpy(s, p, n);
	used += n;
	return s;
}

static void
name(void *arg, const void *p, size_t n)
{
	(void)keep(arg, p, n);
}

static void
der(void *arg, const void *p, size_t n)
{
	br_x509_decoder_push(arg, p, n);
}

/* An object ends, or is broken off: what there is of it in the room goes, unless it is kept. */
static void
drop(struct loader *l)
{
	if (l->open)
		used = l->start;
	l->left_out += l->open;
	l->open = 0;
}

static void
begin(struct loader *l)
{
	const char *what = br_pem_decoder_name(&l->pem);

	drop(l);
	br_pem_decoder_setdest(&l->pem, NULL, NULL);
	if (strcmp(what, "CERTIFICATE") != 0 && strcmp(what, "X509 CERTIFICATE") != 0)
		return;
	l->open = 1;
	l->start = used;
	l->over = 0;
	br_x509_decoder_init(&l->cert, name, l);
	br_pem_decoder_setdest(&l->pem, der, &l->cert);
}

static int
copy_key(struct loader *l, br_x509_pkey *to, const br_x509_pkey *from)
{
	*to = *from;
	if (from->key_type == BR_KEYTYPE_EC) {
		to->key.ec.q = keep(l, from->key.ec.q, from->key.ec.qlen);
		return to->key.ec.q ? 0 : -1;
	}
	to->key.rsa.n = keep(l, from->key.rsa.n, from->key.rsa.nlen);
	to->key.rsa.e = keep(l, from->key.rsa.e, from->key.rsa.elen);
	return to->key.rsa.n && to->key.rsa.e ? 0 : -1;
}

/* The certificate has been read: a place in the pool, if it is one and there is room. */
static void
take(struct loader *l)
{
	const br_x509_pkey *key;
	br_x509_trust_anchor a;

	key = br_x509_decoder_get_pkey(&l->cert);
	if (l->open && key && !l->over && nroots < ROOTS) {
		a.dn.data = room + l->start;
		a.dn.len = used - l->start;
		a.flags = br_x509_decoder_isCA(&l->cert) ? BR_X509_TA_CA : 0;
		if (copy_key(l, &a.pkey, key) == 0) {
			roots[nroots++] = a;
			l->open = 0;
		}
	}
	drop(l);
}

/* Some PEM text, without CR: BearSSL takes it for an error at places. */
static void
feed(struct loader *l, const char *p, size_t n)
{
	size_t k;

	for (; n; p += k, n -= k) {
		k = br_pem_decoder_push(&l->pem, p, n);
		switch (br_pem_decoder_event(&l->pem)) {
		case BR_PEM_BEGIN_OBJ:
			begin(l);
			break;
		case BR_PEM_END_OBJ:
			take(l);
			break;
		case BR_PEM_ERROR:
			drop(l);
			break;
		}
	}
}

static void
load_begin(struct loader *l)
{
	memset(l, 0, sizeof(*l));
	br_pem_decoder_init(&l->pem);
}

/* The last line may lack its end. */
static void
load_end(struct loader *l, const char *what, int from)
{
	feed(l, "\n", 1);
	drop(l);
	log_event("-", "tls trust=%s certificates=%d left_out=%d", what, nroots - from,
	    l->left_out);
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
	ssize_t i, k, n;

	while ((n = read(fd, b, sizeof(b))) > 0) {
		for (i = k = 0; i < n; i++)
			if (b[i] != '\r')
				b[k++] = b[i];
		feed(l, b, (size_t)k);
	}
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
	struct stamp now;
	struct stat st;

	load_builtin();
	memset(&now, 0, sizeof(now));
	if (stat(CA_PEM, &st) == 0)
		fs_stamp(&now, &st);
	if (watching || fs_same(&now, &tried))
		return;
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
		br_x509_decoder_init(&j->x.decoder, NULL, NULL);
		spki_init(&j->spki);
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

	if (!looks(j))
		return;
	if (checks_chain(j)) {
		br_x509_minimal_vtable.append(&j->x.minimal.vtable, p, n);
	} else {
		br_x509_decoder_push(&j->x.decoder, p, n);
		spki_push(&j->spki, p, n);
	}
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

static unsigned
end_chain(const br_x509_class **ctx)
{
	struct judge *j = judge(ctx);
	unsigned char hash[sizeof(j->trust.pin)];

	if (checks_chain(j))
		return br_x509_minimal_vtable.end_chain(&j->x.minimal.vtable);
	if (!j->certs)
		return BR_ERR_X509_EMPTY_CHAIN;
	if (j->trust.how == TRUST_PIN &&
	    (spki_out(&j->spki, hash) < 0 || memcmp(hash, j->trust.pin, sizeof(hash)) != 0))
		return ERR_PIN;
	return (unsigned)br_x509_decoder_last_error(&j->x.decoder);
}

static const br_x509_pkey *
get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	const struct judge *j = (const struct judge *)(const void *)ctx;

	if (checks_chain(j))
		return br_x509_minimal_vtable.get_pkey(&j->x.minimal.vtable, usages);
	if (usages)
		*usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	return &j->x.decoder.pkey;
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
