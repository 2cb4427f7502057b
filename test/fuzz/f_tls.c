/* with: lib/pem.c lib/x509.c lib/spki.c lib/scram.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Certificates and keys. What is found in a certificate lies in it; its key is the same read at
 * once, in pieces, alone, and by BearSSL; so are the days it is good for. A PEM text cut between
 * lines is read as a whole one is, and what is encoded comes back.
 *
 * An even first byte: two more say how long the private key behind them is, the rest is a
 * certificate. An odd one: a text follows.
 */
#include "fuzz.h"
#include "lib/pem.h"
#include "lib/scram.h"
#include "lib/spki.h"
#include "lib/text.h"

enum { MOST = 1 << 14, ROOM = 4096, OBJECTS = 64 };

struct seen {
	size_t n, at;
	int res[OBJECTS], over[OBJECTS];
	size_t len[OBJECTS];
	unsigned char b[MOST];		/* all objects */
	int inside;
};

static struct seen whole, cut;
static struct pem_chain chain;
static struct pem_key key;
static unsigned char room[ROOM + 64];
static char text[4 * MOST];

/* ---- DER ---- */

static void
within(const unsigned char *p, size_t n, const unsigned char *in, size_t nin)
{
	HOLDS(p >= in && n <= nin && (size_t)(p - in) <= nin - n);
}

static void
same_key(const struct x509_info *a, const struct x509_info *b)
{
	HOLDS(a->kind == b->kind && a->curve == b->curve);
	HOLDS(a->npub == b->npub && a->nexp == b->nexp);
	HOLDS(!a->npub || !memcmp(a->pub, b->pub, a->npub));
	HOLDS(!a->nexp || !memcmp(a->exp, b->exp, a->nexp));
}

static int64_t
seconds(uint32_t days, uint32_t s)
{
	return ((int64_t)days - 719528) * 86400 + s;	/* since the year 0 */
}

/* How often basic constraints may be in it. */
static int
basics(const unsigned char *p, size_t n)
{
	int found = 0;

	for (; n >= 3; p++, n--)
		found += !memcmp(p, "\x55\x1d\x13", 3);
	return found;
}

/* BearSSL's reading of the same certificate. It is more strict. */
static void
others(const struct x509_info *i, const unsigned char *p, size_t n)
{
	static br_x509_decoder_context d;
	const br_x509_pkey *k;

	br_x509_decoder_init(&d, NULL, NULL);
	br_x509_decoder_push(&d, p, n);
	k = br_x509_decoder_get_pkey(&d);
	if (!k)
		return;
	HOLDS(i->kind == k->key_type);
	if (i->kind == BR_KEYTYPE_EC) {
		HOLDS(i->curve == k->key.ec.curve && i->npub == k->key.ec.qlen);
		HOLDS(!i->npub || !memcmp(i->pub, k->key.ec.q, i->npub));
	} else {
		HOLDS(i->npub == k->key.rsa.nlen && i->nexp == k->key.rsa.elen);
		HOLDS(!i->npub || !memcmp(i->pub, k->key.rsa.n, i->npub));
		HOLDS(!i->nexp || !memcmp(i->exp, k->key.rsa.e, i->nexp));
	}
	HOLDS(i->not_before == seconds(d.notbefore_days, d.notbefore_seconds));
	HOLDS(i->not_after == seconds(d.notafter_days, d.notafter_seconds));
	/* we are more strict about what is true; several of them are against RFC 5280 4.2 */
	HOLDS(!i->ca || d.isCA || basics(p, n) > 1);
}

/* The key alone, by a walk in pieces; i: what the whole certificate says, NULL: it is none. */
static void
alone(const struct x509_info *i, const unsigned char *p, size_t n, uint32_t seed)
{
	static struct spki s, t;
	const unsigned char *spki;
	struct x509_info k;
	size_t at, len;

	spki_init(&s);
	spki_push(&s, p, n);
	spki_init(&t);
	for (at = 0; at < n; at += len) {
		len = fuzz_piece(&seed, n - at);
		spki_push(&t, p + at, len);
	}
	HOLDS(spki_done(&s) == spki_done(&t) && s.n == t.n && s.n <= SPKI_MAX);
	HOLDS(!memcmp(s.der, t.der, s.n));
	if (!i) {
		if (spki_done(&s) && x509_key(&k, s.der, s.n) == 0)
			within(k.pub, k.npub, s.der, s.n);
		return;
	}
	spki = i->subject + i->nsubject;
	if (!spki_done(&s)) {
		HOLDS(p + n - spki > SPKI_MAX);
		return;
	}
	HOLDS(s.n <= (size_t)(p + n - spki) && !memcmp(spki, s.der, s.n));
	HOLDS(x509_key(&k, s.der, s.n) == 0);
	within(k.pub, k.npub, s.der, s.n);
	within(k.exp, k.nexp, s.der, s.n);
	same_key(&k, i);
}

static int
certificate(const unsigned char *p, size_t n, uint32_t seed)
{
	struct x509_info i;

	if (x509_info(&i, p, n) < 0) {
		alone(NULL, p, n, seed);
		return 0;
	}
	within(i.pub, i.npub, p, n);
	within(i.exp, i.nexp, p, n);
	within(i.subject, i.nsubject, p, n);
	HOLDS(i.nsubject >= 2 && i.subject[0] == 0x30);
	HOLDS(!i.kind || i.kind == BR_KEYTYPE_EC || i.kind == BR_KEYTYPE_RSA);
	HOLDS(i.kind == BR_KEYTYPE_EC || !i.curve);
	HOLDS(i.kind != BR_KEYTYPE_RSA || ((!i.npub || *i.pub) && (!i.nexp || *i.exp)));
	alone(&i, p, n, seed);
	others(&i, p, n);
	return 1;
}

/* ---- PEM ---- */

static int
begins(const char *p, const char *end, const char *word)
{
	return text_begins(p, (size_t)(end - p), word);
}

/* The object that ends at `end`: its lines as one, decoded, are what is in the room. */
static void
decoded(const char *p, const char *end, size_t n)
{
	static char all[2 * MOST], der[MOST];
	size_t at = 0;
	const char *e;

	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		if (begins(p, e, "-----BEGIN "))
			at = 0;
		else if (!begins(p, e, "-----END "))
			for (; p < e; p++)
				if ((unsigned char)*p > ' ')
					all[at++] = *p;
	}
	HOLDS(text_unbase64(der, sizeof(der), all, at) == (long)n && !memcmp(der, room, n));
}

/* Lines of p, in pieces; seed 0: all at once. */
static void
objects(struct seen *s, const char *p, size_t n, size_t size, uint32_t seed)
{
	const char *end = p + n, *e, *from = p;
	struct pem o;
	int r;

	s->n = s->at = 0;
	memset(room, 0x5a, sizeof(room));
	pem_init(&o, pem_is_cert, room, size);
	for (; p < end; p = e) {
		e = end;
		if (seed) {
			e = memchr(p, '\n', (size_t)(end - p));
			while (e && fuzz_piece(&seed, 100) < 50)
				e = memchr(e + 1, '\n', (size_t)(end - e - 1));
			e = e ? e + 1 : end;
		}
		while ((r = pem_next(&o, &p, e)) != 0) {
			HOLDS(p <= e && s->n < OBJECTS && (r == 1 || r == -1));
			s->res[s->n] = r;
			s->over[s->n] = o.over;
			s->len[s->n++] = r > 0 ? o.n : 0;
			HOLDS(o.n <= size && o.over <= 1 && (!o.over || r < 0));
			HOLDS(s->at + o.n <= sizeof(s->b));
			if (r > 0) {
				decoded(from, p, o.n);
				memcpy(s->b + s->at, room, o.n);
				s->at += o.n;
			}
			from = p;
		}
		HOLDS(p == e);
	}
	HOLDS(room[size] == 0x5a && !memcmp(room + size, room + size + 1, sizeof(room) - size - 1));
	s->inside = o.inside;
}

static size_t
encode(size_t at, const char *name, const unsigned char *p, size_t n, uint32_t seed)
{
	size_t i, k, width = 3 * (1 + seed % 40);

	at += (size_t)snprintf(text + at, sizeof(text) - at, "-----BEGIN %s-----\n", name);
	for (i = 0; i < n; i += k) {
		k = n - i < width ? n - i : width;
		at += text_base64(text + at, sizeof(text) - at, p + i, k);
		text[at++] = '\n';
	}
	return at + (size_t)snprintf(text + at, sizeof(text) - at, "-----END %s-----\n", name);
}

/*
 * A chain and a key from the text of one file; slow: EC keys are compared too. Returns what is
 * wrong with the chain.
 */
static const char *
loaded(const char *p, size_t n, int slow)
{
	const char *why = pem_chain(&chain, p, n), *bad = pem_key(&key, p, n);
	const unsigned char *b = (const unsigned char *)&key;
	struct x509_info i;
	size_t at = 0, k;

	for (k = 0; !why && k < chain.n; k++) {
		HOLDS(chain.cert[k].data == chain.der + at);
		HOLDS(x509_info(&i, chain.cert[k].data, chain.cert[k].data_len) == 0);
		HOLDS(k || !memcmp(&i, &chain.leaf, sizeof(i)));
		at += chain.cert[k].data_len;
	}
	HOLDS(why || (chain.n > 0 && chain.n <= PEM_CERTS && at == chain.used && at <= PEM_CHAIN));
	for (k = 0; bad && k < sizeof(key); k++)
		HOLDS(!b[k]);
	HOLDS(bad || pem_kind(&key) == BR_KEYTYPE_EC || pem_kind(&key) == BR_KEYTYPE_RSA);
	if (!why && !bad && (slow || pem_kind(&key) == BR_KEYTYPE_RSA))
		HOLDS(!pem_fits(&key, &chain) || pem_kind(&key) == chain.leaf.kind);
	return why;
}

static void
pair(const unsigned char *p, size_t n, uint32_t seed)
{
	size_t at, nkey;
	const char *why;
	int good;

	if (n < 2)
		return;
	nkey = (size_t)p[0] << 8 | p[1];
	p += 2;
	n -= 2;
	nkey = nkey < n ? nkey : n;
	good = certificate(p + nkey, n - nkey, seed);
	at = encode(0, nkey && p[0] == 0x30 ? "PRIVATE KEY" : "EC PRIVATE KEY", p, nkey, seed);
	at = encode(at, "CERTIFICATE", p + nkey, n - nkey, seed);
	objects(&whole, text, at, ROOM, 0);
	if (n - nkey <= ROOM)
		HOLDS(whole.n == 1 && whole.res[0] == 1 && !whole.inside && whole.at == n - nkey &&
		    !memcmp(whole.b, p + nkey, whole.at));
	else
		HOLDS(whole.n && whole.res[0] == -1 && whole.over[0]);
	why = loaded(text, at, n && p[n - 1] % 32 == 0);
	HOLDS((why == NULL) == good);
	if (n - nkey && p[nkey] == 0x30)
		HOLDS((pem_chain(&chain, (const char *)p + nkey, n - nkey) == NULL) == good);
	/* a good key is the same in DER */
	if (nkey && p[0] == 0x30)
		HOLDS(!pem_key(&key, (const char *)p, nkey) == !pem_key(&key, text, at));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_seed(&data, &size);
	const char *p = (const char *)data;

	if (!size || size > MOST - 2)
		return 0;
	if (seed & 1) {
		if (size < OBJECTS * 11) {
			objects(&whole, p, size, 3 * seed, 0);
			objects(&cut, p, size, 3 * seed, seed);
			HOLDS(whole.n == cut.n && whole.at == cut.at && whole.inside == cut.inside);
			HOLDS(!memcmp(whole.res, cut.res, whole.n * sizeof(*whole.res)));
			HOLDS(!memcmp(whole.len, cut.len, whole.n * sizeof(*whole.len)));
			HOLDS(!memcmp(whole.b, cut.b, whole.at));
		}
		(void)loaded(p, size, seed == 1);
	} else {
		pair(data, size, seed);
	}
	return 0;
}
