/* See LICENSE file for copyright and licence details. */
/*
 * TLS 1.2 by BearSSL as a transport of the loop, and the key and certificate for it.
 *
 * An engine (struct tls) is taken from a static pool when TLS begins and given back with the
 * connection.  pump() moves records between engine and socket until nothing moves; every hook of
 * the transport begins or ends with it.  Two slots hold a certificate chain and its key each: a
 * changed pair is loaded into the one that is not in use.  Engines look at a slot only while they
 * shake hands, and are counted in it until then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <bearssl_ec.h>
#include <bearssl_pem.h>
#include <bearssl_rand.h>
#include <bearssl_ssl.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/pem.h"
#include "lib/text.h"
#include "lib/x509.h"
#include "mail.h"

#define DIR_TLS "tls"
#define CERT_PEM "tls/cert.pem"
#define KEY_PEM "tls/key.pem"

enum {
	OUTPUT = 4096 + 85,		/* a record of 4 KiB with what TLS adds */
	FILE_MAX = 32768,		/* octets of a PEM file */
	CACHE = 16384,			/* sessions that may be resumed, about 100 octets each */
	CACHE_MS = 3600000,		/* their keys are forgotten so often */
	LOOK_MS = 30000,		/* between two looks at the files */
	SHAKE_MS = 4,			/* of a turn, for handshakes */
	PUMP_MAX = 64,			/* records at once from one peer */
	DAY = 86400,
	WARN_DAYS = 14,
	SLOW_RSA = 384			/* octets of a modulus: longer ones hold up the loop */
};

enum state { T_SHAKING, T_UP, T_FINISHING, T_FINISHED };

struct cred {
	struct pem_chain chain;
	struct pem_key key;
	int shaking;			/* engines that look at it */
};

struct tls {
	br_ssl_server_context sc;
	struct cred *cred;		/* while it shakes hands */
	struct tls *next;		/* in the free list */
	enum state state;
	int eof;			/* the peer's end of the socket */
	unsigned char out[OUTPUT];
	unsigned char in[BR_SSL_BUFSIZE_INPUT];
};

static struct tls pool[TLS_SESSIONS];
static struct tls *free_list;
static int fresh;			/* engines from here on have never been used */

static struct cred creds[2];
static struct cred *active;		/* NULL: none yet */
static char text[FILE_MAX];		/* of a file that is being loaded */
static struct stamp tried[2];		/* certificate and key when they were last looked into */
static int64_t looked, warned;

static br_ssl_session_cache_lru cache;
static unsigned char cache_store[CACHE];
static int64_t cache_born;

const size_t tls_memory = sizeof(pool) + sizeof(creds) + sizeof(cache_store);

void
random_bytes(void *p, size_t n)
{
	unsigned char *s = p;
	ssize_t r;

	while (n) {
		r = getrandom(s, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			bug(__FILE__, __LINE__, "getrandom");
		s += r;
		n -= (size_t)r;
	}
}

/* ---- engines ---- */

static struct tls *
tls_get(void)
{
	struct tls *t = free_list;

	if (t)
		free_list = t->next;
	else if (fresh < TLS_SESSIONS)
		t = &pool[fresh++];
	return t;
}

/* Its keys, and passwords that may still lie at the beginning of the buffers. */
static void
tls_put(struct tls *t)
{
	scram_wipe(&t->sc, sizeof(t->sc));
	scram_wipe(t->in, 1024);
	scram_wipe(t->out, 256);
	t->next = free_list;
	free_list = t;
}

static void
forget_cred(struct tls *t)
{
	if (t->cred)
		t->cred->shaking--;
	t->cred = NULL;
}

/* With AES in hardware it is the faster one, without it ChaCha20 is, and leaks no timing. */
static void
suites(br_ssl_engine_context *e)
{
	static const uint16_t aes[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
	};
	static const uint16_t chacha[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	};

	if (br_aes_x86ni_ctr_get_vtable() || br_aes_pwr8_ctr_get_vtable())
		br_ssl_engine_set_suites(e, aes, sizeof(aes) / sizeof(aes[0]));
	else
		br_ssl_engine_set_suites(e, chacha, sizeof(chacha) / sizeof(chacha[0]));
}

/* What BearSSL's own profiles do, less what is old: no CBC, no RSA key exchange, no SHA-1. */
static void
profile(br_ssl_server_context *sc)
{
	br_ssl_engine_context *e = &sc->eng;

	br_ssl_server_zero(sc);
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	suites(e);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_chapol(e);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_all_flags(e, BR_OPT_ENFORCE_SERVER_PREFERENCES | BR_OPT_NO_RENEGOTIATION);
	br_ssl_server_set_cache(sc, &cache.vtable);
}

static void
identity(br_ssl_server_context *sc, const struct cred *k)
{
	if (pem_kind(&k->key) == BR_KEYTYPE_EC)
		br_ssl_server_set_single_ec(sc, k->chain.cert, k->chain.n,
		    br_skey_decoder_get_ec(&k->key.d), BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
		    br_ec_get_default(), br_ecdsa_sign_asn1_get_default());
	else
		br_ssl_server_set_single_rsa(sc, k->chain.cert, k->chain.n,
		    br_skey_decoder_get_rsa(&k->key.d), BR_KEYTYPE_SIGN,
		    br_rsa_private_get_default(), br_rsa_pkcs1_sign_get_default());
}

static const char *
explain(int err)
{
	static const struct { int err; const char *text; } table[] = {
		{ BR_ERR_UNSUPPORTED_VERSION, "tls: version not supported, or not TLS" },
		{ BR_ERR_BAD_VERSION, "tls: wrong version" },
		{ BR_ERR_BAD_LENGTH, "tls: bad record length" },
		{ BR_ERR_TOO_LARGE, "tls: record too large" },
		{ BR_ERR_BAD_MAC, "tls: record damaged" },
		{ BR_ERR_NO_RANDOM, "tls: no random numbers" },
		{ BR_ERR_UNKNOWN_TYPE, "tls: unknown record type" },
		{ BR_ERR_UNEXPECTED, "tls: unexpected message" },
		{ BR_ERR_BAD_CCS, "tls: bad ChangeCipherSpec" },
		{ BR_ERR_BAD_ALERT, "tls: bad alert" },
		{ BR_ERR_BAD_HANDSHAKE, "tls: bad handshake message" },
		{ BR_ERR_BAD_CIPHER_SUITE, "tls: bad cipher suite" },
		{ BR_ERR_BAD_SECRENEG, "tls: insecure renegotiation" },
		{ BR_ERR_BAD_FINISHED, "tls: bad Finished" },
		{ BR_ERR_INVALID_ALGORITHM, "tls: no common algorithm" },
		{ BR_ERR_RECV_FATAL_ALERT + 40, "tls: peer says: handshake failure" },
		{ BR_ERR_RECV_FATAL_ALERT + 42, "tls: peer says: bad certificate" },
		{ BR_ERR_RECV_FATAL_ALERT + 43, "tls: peer says: unsupported certificate" },
		{ BR_ERR_RECV_FATAL_ALERT + 45, "tls: peer says: certificate expired" },
		{ BR_ERR_RECV_FATAL_ALERT + 46, "tls: peer says: certificate unknown" },
		{ BR_ERR_RECV_FATAL_ALERT + 48, "tls: peer says: unknown CA" },
		{ BR_ERR_SEND_FATAL_ALERT + 40, "tls: no common cipher suite" },
		{ BR_ERR_SEND_FATAL_ALERT + 70, "tls: version too old" },
		{ BR_ERR_SEND_FATAL_ALERT + 86, "tls: version fallback" }
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].err == err)
			return table[i].text;
	return err >= BR_ERR_SEND_FATAL_ALERT ? "tls: alert sent" :
	    err >= BR_ERR_RECV_FATAL_ALERT ? "tls: alert received" : "tls: error";
}

/* ---- the transport ---- */

/* One write to the socket: 1 something moved, 0 not, -1 error. */
static int
push(struct conn *c, br_ssl_engine_context *e)
{
	unsigned char *p;
	ssize_t r;
	size_t n;

	p = br_ssl_engine_sendrec_buf(e, &n);
	if (!p)
		return 0;
	r = send(c->fd, p, n, MSG_NOSIGNAL);
	if (r < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
	if (r > 0)
		br_ssl_engine_sendrec_ack(e, (size_t)r);	/* never 0: that is undefined */
	return r > 0;
}

/* One read from the socket, the same. */
static int
pull(struct conn *c, struct tls *t)
{
	unsigned char *p;
	ssize_t r;
	size_t n;

	if (t->eof)
		return 0;
	p = br_ssl_engine_recvrec_buf(&t->sc.eng, &n);
	if (!p)
		return 0;
	r = recv(c->fd, p, n, 0);
	if (r < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
	if (r > 0)
		br_ssl_engine_recvrec_ack(&t->sc.eng, (size_t)r);
	else
		t->eof = 1;
	return r > 0;
}

/* What the engine has to say, as far as the socket takes it: 0 or -1. */
static int
push_all(struct conn *c, struct tls *t)
{
	int r;

	do {
		r = push(c, &t->sc.eng);
	} while (r > 0);
	return r;
}

/* Move records both ways until nothing moves: 0 or -1 (errno). Bounded: the rest is still there the
 * next time, in the socket. */
static int
pump(struct conn *c, struct tls *t)
{
	int in, n, out;

	for (n = 0; n < PUMP_MAX; n++) {
		out = push(c, &t->sc.eng);
		in = out < 0 ? -1 : pull(c, t);
		if (in < 0)
			return -1;
		if (!in && !out)
			break;
	}
	return push_all(c, t);
}

/* Has the engine ended with an error? Then that is why. */
static int
failed(struct conn *c, struct tls *t)
{
	int err = br_ssl_engine_last_error(&t->sc.eng);

	if (!err)
		return 0;
	if (!c->closing)
		c->why = explain(err);
	errno = EPROTO;
	return 1;
}

/*
 * Handshakes cost milliseconds; they share a part of the turn, and those that come too late are
 * left in their sockets until the next.
 */
static int
too_late(void)
{
	static int64_t last;

	if (last != loop_now) {
		last = loop_now;
		return 0;
	}
	return loop_ms() - loop_now > SHAKE_MS;
}

static int
up(struct conn *c)
{
	struct tls *t = c->tls;

	if (too_late())
		return 0;
	if (pump(c, t) < 0) {
		c->why = "tls: connection lost in the handshake";
		return -1;
	}
	if (failed(c, t))
		return -1;
	if (br_ssl_engine_current_state(&t->sc.eng) & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) {
		t->state = T_UP;
		forget_cred(t);
		return 1;
	}
	if (t->eof || br_ssl_engine_current_state(&t->sc.eng) == BR_SSL_CLOSED) {
		c->why = "tls: closed in the handshake";
		errno = ECONNRESET;
		return -1;
	}
	return 0;
}

/* After our close_notify what still comes is thrown away. */
static ssize_t
discard(struct conn *c, void *p, size_t n)
{
	ssize_t r = recv(c->fd, p, n, 0);

	if (r > 0) {
		scram_wipe(p, (size_t)r);
		errno = EAGAIN;
		r = -1;
	}
	return r;
}

static ssize_t
tls_read(struct conn *c, void *p, size_t n)
{
	struct tls *t = c->tls;
	unsigned char *s;
	size_t have;

	if (t->state >= T_FINISHING)
		return discard(c, p, n);
	if (pump(c, t) < 0)
		return -1;
	s = br_ssl_engine_recvapp_buf(&t->sc.eng, &have);
	if (s && n) {
		if (n > have)
			n = have;
		memcpy(p, s, n);
		scram_wipe(s, n < 1024 ? n : 0);	/* passwords come in short records */
		br_ssl_engine_recvapp_ack(&t->sc.eng, n);
		return (ssize_t)n;
	}
	if (failed(c, t))
		return -1;
	if (t->eof || br_ssl_engine_current_state(&t->sc.eng) == BR_SSL_CLOSED)
		return 0;
	errno = EAGAIN;
	return -1;
}

static ssize_t
tls_write(struct conn *c, const void *p, size_t n)
{
	struct tls *t = c->tls;
	br_ssl_engine_context *e = &t->sc.eng;
	const unsigned char *s = p;
	unsigned char *b;
	size_t k, left = n;

	while (left) {
		b = br_ssl_engine_sendapp_buf(e, &k);
		if (!b)
			break;
		if (k > left)
			k = left;
		memcpy(b, s, k);
		br_ssl_engine_sendapp_ack(e, k);
		br_ssl_engine_flush(e, 0);
		s += k;
		left -= k;
		if (push_all(c, t) < 0)
			return -1;
	}
	if (left < n)
		return (ssize_t)(n - left);
	if (push_all(c, t) < 0 || failed(c, t))
		return -1;
	errno = br_ssl_engine_current_state(e) == BR_SSL_CLOSED ? EPIPE : EAGAIN;
	return -1;
}

static int
events(struct conn *c, int want)
{
	struct tls *t = c->tls;
	unsigned state = br_ssl_engine_current_state(&t->sc.eng);
	int ev = want & POLLOUT;

	if (state & BR_SSL_SENDREC)
		ev |= POLLOUT;
	if (t->state >= T_FINISHING)
		ev |= want & POLLIN;
	else if ((state & BR_SSL_RECVREC) && !t->eof && (t->state == T_SHAKING || want & POLLIN))
		ev |= POLLIN;
	return ev;
}

/* Also the place where output leaves that waited in the engine for the socket. */
static int
pending(struct conn *c)
{
	struct tls *t = c->tls;
	unsigned state;

	if (t->state != T_UP)
		return 0;
	if (push_all(c, t) < 0)
		return 1;	/* the next read says so */
	state = br_ssl_engine_current_state(&t->sc.eng);
	return (state & BR_SSL_RECVAPP) || state == BR_SSL_CLOSED || t->eof;
}

/* close_notify, and no waiting for the peer's. */
static int
finish(struct conn *c)
{
	struct tls *t = c->tls;

	if (t->state == T_UP) {
		br_ssl_engine_close(&t->sc.eng);
		t->state = T_FINISHING;
	}
	if (t->state == T_FINISHING && push_all(c, t) == 0 &&
	    br_ssl_engine_current_state(&t->sc.eng) & BR_SSL_SENDREC)
		return 0;
	t->state = T_FINISHED;
	return 1;
}

static void
release(struct conn *c)
{
	struct tls *t = c->tls;

	if (!t)
		return;
	forget_cred(t);
	tls_put(t);
	c->tls = NULL;
}

static const struct transport transport_tls = {
	tls_read, tls_write, events, up, pending, finish, release
};

int
tls_start(struct conn *c)
{
	unsigned char seed[48];
	struct tls *t;

	if (!active)
		return -1;
	t = tls_get();
	if (!t)
		return -1;
	profile(&t->sc);
	identity(&t->sc, active);
	br_ssl_engine_set_buffers_bidi(&t->sc.eng, t->in, sizeof(t->in), t->out, sizeof(t->out));
	random_bytes(seed, sizeof(seed));
	br_ssl_engine_inject_entropy(&t->sc.eng, seed, sizeof(seed));
	scram_wipe(seed, sizeof(seed));
	t->sc.eng.rng_os_rand_done = 1;	/* or it opens /dev/urandom: a chroot has none */
	if (!br_ssl_server_reset(&t->sc)) {
		tls_put(t);
		return -1;
	}
	t->cred = active;
	t->cred->shaking++;
	t->state = T_SHAKING;
	t->eof = 0;
	c->tls = t;
	c->tp = &transport_tls;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tp == &transport_tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	static const struct { uint16_t id; const char *name; } table[] = {
#define SUITE(x) { BR_##x, #x }
		SUITE(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
		SUITE(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
		SUITE(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
		SUITE(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
		SUITE(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
		SUITE(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)
#undef SUITE
	};
	const struct tls *t = c->tls;
	size_t i;

	if (c->tp != &transport_tls)
		return NULL;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].id == t->sc.eng.session.cipher_suite)
			return table[i].name;
	return "unknown";
}

/* ---- key and certificate ---- */

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
