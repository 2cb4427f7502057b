/* See LICENSE file for copyright and licence details. */
/*
 * TLS 1.2 by BearSSL as a transport of the loop, for both sides.
 *
 * An engine (struct tls) is taken from a static pool when TLS begins and given back with the
 * connection.  pump() moves records between engine and socket until nothing moves; every hook of
 * the transport begins or ends with it.  What only the handshake needs is given back after it: our
 * key (cert.c), or the judge of the server's certificates (trust.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/ip.h"
#include "lib/log.h"
#include "lib/text.h"
#include "tls.h"

enum {
	OUTPUT = 4096 + 85,		/* a record of 4 KiB with what TLS adds */
	SHAKE_MS = 4,			/* of a turn, for handshakes */
	PUMP_MAX = 64			/* records at once from one peer */
};

enum state { T_SHAKING, T_UP, T_FINISHING, T_FINISHED };

struct tls {
	union {
		br_ssl_engine_context eng;	/* both begin with it */
		br_ssl_server_context server;
		br_ssl_client_context client;
	} u;
	struct cred *cred;		/* a server's, while it shakes hands */
	struct judge *judge;		/* a client's */
	struct tls *next;		/* in the free list */
	enum state state;
	int eof;			/* the peer's end of the socket */
	unsigned char out[OUTPUT];
	unsigned char in[BR_SSL_BUFSIZE_INPUT];
};

static struct tls pool[TLS_SESSIONS];
static struct tls *free_list;
static int fresh;			/* engines from here on have never been used */

const size_t tls_memory = sizeof(pool);

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
	scram_wipe(&t->u, sizeof(t->u));
	scram_wipe(t->in, 1024);
	scram_wipe(t->out, 256);
	t->next = free_list;
	free_list = t;
}

/* The handshake is over. */
static void
shaken(struct tls *t)
{
	cert_done(t->cred);
	trust_done(t->judge);
	t->cred = NULL;
	t->judge = NULL;
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

/* BearSSL's choice would bring both forms of Poly1305 along, one of which is never used. */
static void
chapol(br_ssl_engine_context *e)
{
#if defined(__x86_64__) || defined(__aarch64__)
	br_chacha20_run sse2 = br_chacha20_sse2_get();

	br_ssl_engine_set_chacha20(e, sse2 ? sse2 : br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(e, br_poly1305_ctmulq_get());
	br_ssl_engine_set_chapol(e, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
#else
	br_ssl_engine_set_default_chapol(e);
#endif
}

/* What BearSSL's own profiles do, less what is old: no CBC, no RSA key exchange, no SHA-1. */
static void
profile(br_ssl_engine_context *e)
{
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	suites(e);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(e);
	chapol(e);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_all_flags(e, BR_OPT_ENFORCE_SERVER_PREFERENCES | BR_OPT_NO_RENEGOTIATION);
}

/* No table: each pointer of one costs 32 octets in a program that may lie anywhere. */
static const char *
explain(int err)
{
	switch (err) {
	case BR_ERR_UNSUPPORTED_VERSION:
		return "tls: version not supported, or not TLS";
	case BR_ERR_BAD_VERSION:
		return "tls: wrong version";
	case BR_ERR_BAD_LENGTH:
		return "tls: bad record length";
	case BR_ERR_TOO_LARGE:
		return "tls: record too large";
	case BR_ERR_BAD_MAC:
		return "tls: record damaged";
	case BR_ERR_NO_RANDOM:
		return "tls: no random numbers";
	case BR_ERR_UNKNOWN_TYPE:
		return "tls: unknown record type";
	case BR_ERR_UNEXPECTED:
		return "tls: unexpected message";
	case BR_ERR_BAD_CCS:
		return "tls: bad ChangeCipherSpec";
	case BR_ERR_BAD_ALERT:
		return "tls: bad alert";
	case BR_ERR_BAD_HANDSHAKE:
		return "tls: bad handshake message";
	case BR_ERR_BAD_CIPHER_SUITE:
		return "tls: bad cipher suite";
	case BR_ERR_BAD_SECRENEG:
		return "tls: insecure renegotiation";
	case BR_ERR_BAD_FINISHED:
		return "tls: bad Finished";
	case BR_ERR_INVALID_ALGORITHM:
		return "tls: no common algorithm";
	case BR_ERR_BAD_SIGNATURE:
		return "tls: server does not own the key of its certificate";
	case BR_ERR_WRONG_KEY_USAGE:
		return "tls: certificate is not for this suite";
	case BR_ERR_RECV_FATAL_ALERT + 40:
		return "tls: peer says: handshake failure";
	case BR_ERR_RECV_FATAL_ALERT + 42:
		return "tls: peer says: bad certificate";
	case BR_ERR_RECV_FATAL_ALERT + 43:
		return "tls: peer says: unsupported certificate";
	case BR_ERR_RECV_FATAL_ALERT + 45:
		return "tls: peer says: certificate expired";
	case BR_ERR_RECV_FATAL_ALERT + 46:
		return "tls: peer says: certificate unknown";
	case BR_ERR_RECV_FATAL_ALERT + 48:
		return "tls: peer says: unknown CA";
	case BR_ERR_RECV_FATAL_ALERT + 70:
		return "tls: peer says: protocol version";
	case BR_ERR_RECV_FATAL_ALERT + 112:
		return "tls: peer says: unrecognized name";
	case BR_ERR_SEND_FATAL_ALERT + 40:
		return "tls: no common cipher suite";
	case BR_ERR_SEND_FATAL_ALERT + 70:
		return "tls: version too old";
	case BR_ERR_SEND_FATAL_ALERT + 86:
		return "tls: version fallback";
	}
	return err >= BR_ERR_SEND_FATAL_ALERT ? "tls: alert sent" :
	    err >= BR_ERR_RECV_FATAL_ALERT ? "tls: alert received" :
	    err >= BR_ERR_X509_OK ? trust_explain(err) : "tls: handshake failed";
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
	p = br_ssl_engine_recvrec_buf(&t->u.eng, &n);
	if (!p)
		return 0;
	r = recv(c->fd, p, n, 0);
	if (r < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
	if (r > 0)
		br_ssl_engine_recvrec_ack(&t->u.eng, (size_t)r);
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
		r = push(c, &t->u.eng);
	} while (r > 0);
	return r;
}

/* Has this turn spent its time for handshakes? A record of one may cost milliseconds. */
static int
spent(void)
{
	return loop_ms() - loop_now > SHAKE_MS;
}

/* Move records both ways until nothing moves: 0 or -1 (errno), but what has come can be read.
 * Bounded: the rest is still there the next time, in the socket. */
static int
pump(struct conn *c, struct tls *t)
{
	int e, in, n, out;

	for (n = 0; n < PUMP_MAX; n++) {
		out = push(c, &t->u.eng);
		e = errno;
		in = pull(c, t);
		if (!in && out < 0)
			errno = e;
		if (in < 0 || (!in && out < 0))
			return -1;
		if ((!in && !out) || (t->state == T_SHAKING && spent()))
			break;
	}
	return push_all(c, t);
}

/* Has the engine ended with an error? Then that is why. */
static int
failed(struct conn *c, struct tls *t)
{
	int err = br_ssl_engine_last_error(&t->u.eng);

	if (!err)
		return 0;
	if (!c->closing)
		c->why = explain(err);
	errno = EPROTO;
	return 1;
}

/* Handshakes share a part of the turn; those that come too late are left in their sockets until the
 * next. */
static int
too_late(void)
{
	static int64_t last;

	if (last != loop_now) {
		last = loop_now;
		return 0;
	}
	return spent();
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
	if (br_ssl_engine_current_state(&t->u.eng) & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) {
		t->state = T_UP;
		shaken(t);
		return 1;
	}
	if (t->eof || br_ssl_engine_current_state(&t->u.eng) == BR_SSL_CLOSED) {
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
	int r;

	if (t->state >= T_FINISHING)
		return discard(c, p, n);
	r = pump(c, t);
	s = br_ssl_engine_recvapp_buf(&t->u.eng, &have);
	if (s && n) {
		if (n > have)
			n = have;
		memcpy(p, s, n);
		scram_wipe(s, n < 1024 ? n : 0);	/* passwords come in short records */
		br_ssl_engine_recvapp_ack(&t->u.eng, n);
		return (ssize_t)n;
	}
	if (r < 0 || failed(c, t))
		return -1;
	if (t->eof || br_ssl_engine_current_state(&t->u.eng) == BR_SSL_CLOSED)
		return 0;
	errno = EAGAIN;
	return -1;
}

static ssize_t
tls_write(struct conn *c, const void *p, size_t n)
{
	struct tls *t = c->tls;
	br_ssl_engine_context *e = &t->u.eng;
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
	unsigned state = br_ssl_engine_current_state(&t->u.eng);
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
	state = br_ssl_engine_current_state(&t->u.eng);
	return (state & BR_SSL_RECVAPP) || state == BR_SSL_CLOSED || t->eof;
}

/* close_notify, and no waiting for the peer's. */
static int
finish(struct conn *c)
{
	struct tls *t = c->tls;

	if (t->state == T_UP) {
		br_ssl_engine_close(&t->u.eng);
		t->state = T_FINISHING;
	}
	if (t->state == T_FINISHING && push_all(c, t) == 0 &&
	    br_ssl_engine_current_state(&t->u.eng) & BR_SSL_SENDREC)
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
	shaken(t);
	tls_put(t);
	c->tls = NULL;
}

static const struct transport transport_tls = {
	tls_read, tls_write, events, up, pending, finish, release
};

/* An engine for c, all set but for its side. */
static struct tls *
ready(struct conn *c)
{
	struct tls *t = tls_get();

	if (!t) {
		c->why = "tls: too many sessions";
		return NULL;
	}
	t->cred = NULL;
	t->judge = NULL;
	t->state = T_SHAKING;
	t->eof = 0;
	return t;
}

/* Buffers and random numbers, and off it goes. */
static void
arm(br_ssl_engine_context *e, struct tls *t)
{
	unsigned char seed[48];

	br_ssl_engine_set_buffers_bidi(e, t->in, sizeof(t->in), t->out, sizeof(t->out));
	random_bytes(seed, sizeof(seed));
	br_ssl_engine_inject_entropy(e, seed, sizeof(seed));
	scram_wipe(seed, sizeof(seed));
	e->rng_os_rand_done = 1;	/* or it opens /dev/urandom: a chroot has none */
}

static int
begin(struct conn *c, struct tls *t, int ok)
{
	if (!ok) {
		shaken(t);
		tls_put(t);
		return -1;
	}
	c->tls = t;
	c->tp = &transport_tls;
	return 0;
}

int
tls_start(struct conn *c)
{
	struct tls *t = ready(c);

	if (!t)
		return -1;
	br_ssl_server_zero(&t->u.server);
	profile(&t->u.eng);
	t->cred = cert_use(&t->u.server);
	arm(&t->u.eng, t);
	return begin(c, t, t->cred && br_ssl_server_reset(&t->u.server));
}

/* The name to ask for (RFC 6066 3): no address, no dot at the end. */
static const char *
asked(char dst[256], const char *name)
{
	size_t n = strlen(name);
	struct ip a;

	if (n && name[n - 1] == '.')
		n--;
	if (name[0] == '[' || ip_parse(&a, name) == 0 || text_copy(dst, 256, name, n) < 0)
		return NULL;
	return dst;
}

int
tls_connect(struct conn *c, const char *name, const struct tls_trust *trust)
{
	struct tls *t = ready(c);
	char sni[256];

	if (!t)
		return -1;
	br_ssl_client_zero(&t->u.client);
	profile(&t->u.eng);
	br_ssl_engine_set_default_rsavrfy(&t->u.eng);
	br_ssl_engine_set_default_ecdsa(&t->u.eng);
	t->judge = trust_use(&t->u.eng, trust, &c->why);
	arm(&t->u.eng, t);
	return begin(c, t, t->judge && br_ssl_client_reset(&t->u.client, asked(sni, name), 0));
}

const char *
tls_version(const struct conn *c)
{
	return c->tp == &transport_tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	const struct tls *t = c->tls;

	if (c->tp != &transport_tls)
		return NULL;
	switch (t->u.eng.session.cipher_suite) {
#define SUITE(x) case BR_##x: return #x
	SUITE(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
	SUITE(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
	SUITE(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
	SUITE(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
	SUITE(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);
	SUITE(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256);
#undef SUITE
	}
	return "unknown";
}
