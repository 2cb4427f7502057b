/* with: tls.c cert.c trust.c lib/fs.c lib/ip.c lib/log.c lib/loop.c lib/pem.c lib/scram.c lib/spki.c lib/text.c lib/x509.c */
/*
 * See LICENSE file for copyright and licence details.
 * TLS under the loop, against a client made of BearSSL in the same process: handshakes cut to
 * single octets, pipelining, a peer that does not read, endings, STARTTLS, certificates that
 * change while handshakes are under way, and engines that run out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bearssl_ssl.h>

#include "lib/log.h"
#include "lib/pem.h"
#include "mail.h"
#include "test.h"

enum { CONNS = TLS_SESSIONS + 20 };

char host[HOST_TEXT] = "mx.example.org";

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];

/*
 * ---- the server ----
 * A line comes back; QUIT ends, STARTTLS begins TLS, MANY gives 100 KB, WAIT waits for 200 ms.
 */

static char ended[200];		/* why the last session ended */
static char last[100];		/* what an eager one has heard */
static int ends, starts;
static size_t many;		/* octets still to come of MANY */

static void
began(struct conn *c)
{
	starts++;
	(void)c;
}

static void
line(struct conn *c, const char *p, size_t n)
{
	if (n == 5 && !memcmp(p, "QUIT\n", 5)) {
		conn_put(c, "bye\n", 4);
		conn_close(c, "quit");
	} else if (n == 9 && !memcmp(p, "STARTTLS\n", 9)) {
		conn_put(c, "go\n", 3);
		conn_upgrade(c, tls_start);
	} else if (n == 5 && !memcmp(p, "MANY\n", 5)) {
		many = 100000;
	} else if (n == 5 && !memcmp(p, "WAIT\n", 5)) {
		conn_delay(c, 200);
	} else {
		conn_put(c, p, n);
	}
}

static void
input(struct conn *c)
{
	const char *e, *p;
	size_t n;

	if (c->eager && (p = conn_in(c, &n)))
		(void)snprintf(last, sizeof(last), "%.*s", (int)n, p);
	while (!many && (p = conn_in(c, &n)) && (e = memchr(p, '\n', n)) && !conn_busy(c)) {
		n = (size_t)(e - p) + 1;
		line(c, p, n);
		conn_eat(c, n);
	}
}

static void
drain(struct conn *c)
{
	size_t i, n;
	char *p;

	if (!many)
		return;
	p = conn_space(c, &n);
	if (n > many)
		n = many;
	for (i = 0; i < n; i++)
		p[i] = (char)('a' + (many - i) % 26);
	many -= n;
	conn_used(c, n);
}

static void
end(struct conn *c)
{
	ends++;
	(void)snprintf(ended, sizeof(ended), "%s", c->why ? c->why : "");
}

static const struct kind echo = { "echo", began, input, drain, NULL, NULL, NULL, end };

/* ---- the client ---- */

struct client {
	br_ssl_client_context sc;
	br_x509_minimal_context xm;
	br_x509_knownkey_context known;
	unsigned char io[BR_SSL_BUFSIZE_BIDI];
	struct pem_chain chain;		/* whose key it trusts */
	br_ec_public_key pk;
	struct conn *server;
	size_t step;			/* octets that pass at once */
	int fd, gone;
};

static struct client one, two;

static void
trust(struct client *k, const char *pem)
{
	char *p;
	size_t n;

	p = test_slurp(pem, &n);
	if (!p || pem_chain(&k->chain, p, n))
		abort();
	free(p);
	k->pk.curve = k->chain.leaf.curve;
	k->pk.q = (unsigned char *)k->chain.leaf.pub;
	k->pk.qlen = k->chain.leaf.npub;
	br_x509_knownkey_init_ec(&k->known, &k->pk, BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN);
}

/* The client's engine, from the beginning. */
static void
engine(struct client *k)
{
	br_ssl_client_init_full(&k->sc, &k->xm, NULL, 0);
	br_ssl_engine_set_x509(&k->sc.eng, &k->known.vtable);
	br_ssl_engine_set_buffer(&k->sc.eng, k->io, sizeof(k->io), 1);
	br_ssl_client_reset(&k->sc, host, 0);
}

static void
plain(struct client *k)
{
	int fds[2], small = 4096;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	k->fd = fds[1];
	k->gone = 0;
	k->step = 65536;
	k->server = conn_new(fds[0], &echo, &transport_plain, 0);
	if (!k->server)
		abort();
}

static void
start(struct client *k, size_t step)
{
	plain(k);
	trust(k, "tls/cert.pem");
	engine(k);
	k->step = step;
	CHECK_INT(tls_start(k->server), 0);
}

/* Move a step in each direction; 1 if anything did. */
static int
move(struct client *k)
{
	unsigned char *p;
	size_t n;
	ssize_t r;
	int moved = 0;

	p = br_ssl_engine_sendrec_buf(&k->sc.eng, &n);
	if (p) {
		r = send(k->fd, p, n < k->step ? n : k->step, MSG_NOSIGNAL);
		if (r > 0) {
			br_ssl_engine_sendrec_ack(&k->sc.eng, (size_t)r);
			moved = 1;
		}
	}
	p = br_ssl_engine_recvrec_buf(&k->sc.eng, &n);
	if (p && !k->gone) {
		r = recv(k->fd, p, n < k->step ? n : k->step, 0);
		if (r > 0) {
			br_ssl_engine_recvrec_ack(&k->sc.eng, (size_t)r);
			moved = 1;
		}
		k->gone = !r;
	}
	return moved;
}

static unsigned
state(struct client *k)
{
	return br_ssl_engine_current_state(&k->sc.eng);
}

static void
turn(void)
{
	loop_turn(0, NULL, NULL);
}

/* Client and loop by turns until the client's state has one of these bits, or nothing moves. */
static int
until(struct client *k, unsigned bits)
{
	int idle = 0;

	while (!(state(k) & bits) && idle < 200) {
		idle = move(k) ? 0 : idle + 1;
		turn();
	}
	return (state(k) & bits) != 0;
}

/* The state of the server's loop when nobody sends anything. */
static void
quiet(void)
{
	int i;

	for (i = 0; i < 50; i++)
		turn();
}

static void
settle(struct client *k)
{
	int idle;

	for (idle = 0; idle < 20; turn())
		idle = move(k) ? 0 : idle + 1;
}

static int
put(struct client *k, const char *p, size_t n)
{
	unsigned char *b;
	size_t room;

	while (n) {
		if (!until(k, BR_SSL_SENDAPP))
			return 0;
		b = br_ssl_engine_sendapp_buf(&k->sc.eng, &room);
		if (room > n)
			room = n;
		memcpy(b, p, room);
		br_ssl_engine_sendapp_ack(&k->sc.eng, room);
		br_ssl_engine_flush(&k->sc.eng, 0);
		p += room;
		n -= room;
	}
	return 1;
}

/* Up to n octets of what comes. */
static size_t
get(struct client *k, char *p, size_t n)
{
	unsigned char *b;
	size_t have, got = 0;

	while (got < n && until(k, BR_SSL_RECVAPP)) {
		b = br_ssl_engine_recvapp_buf(&k->sc.eng, &have);
		if (have > n - got)
			have = n - got;
		memcpy(p + got, b, have);
		br_ssl_engine_recvapp_ack(&k->sc.eng, have);
		got += have;
	}
	return got;
}

static void
stop(struct client *k)
{
	(void)close(k->fd);
	quiet();
}

static void
ask(struct client *k, const char *p)
{
	char answer[200];
	size_t n = strlen(p);

	CHECK(put(k, p, n));
	n = get(k, answer, n);
	CHECK_MEM(answer, n, p, strlen(p));
}

/* ---- tests ---- */

static void
first_start(void)
{
	struct stat st;

	CHECK_INT(stat("tls/key.pem", &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_INT(stat("tls/cert.pem", &st), 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	CHECK_INT(stat("tls", &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
}

static void
cuts(void)
{
	static const size_t steps[] = { 65536, 1, 2, 3, 5, 7, 100, 1000 };
	size_t i;

	for (i = 0; i < LEN(steps); i++) {
		starts = ends = 0;
		start(&one, steps[i]);
		ask(&one, "hello\n");
		CHECK_STR(tls_version(one.server), "TLSv1.2");
		CHECK(strstr(tls_cipher(one.server), "TLS_ECDHE_ECDSA_WITH_") != NULL);
		ask(&one, "a second time\n");
		CHECK_INT(starts, 1);
		stop(&one);
		CHECK_INT(ends, 1);
		CHECK_STR(ended, "closed by peer");
	}
}

/* Many lines in one go: all answered, though nothing more comes from the socket after it. */
static void
pipelined(void)
{
	static char in[20000], out[20000];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i % 10 == 9 ? '\n' : (char)('0' + i / 10 % 10);
	start(&one, 65536);
	CHECK(put(&one, in, sizeof(in)));
	while (state(&one) & BR_SSL_SENDREC && move(&one))
		turn();
	CHECK_MEM(out, get(&one, out, sizeof(out)), in, sizeof(in));
	stop(&one);
}

/* A client that sends on and on before it reads: with one buffer for both this stands still. */
static void
crossing(void)
{
	static char in[300000], out[300000];
	size_t at = 0, got = 0, n;
	unsigned char *b;
	int idle = 0;

	for (n = 0; n < sizeof(in); n++)
		in[n] = n % 50 == 49 ? '\n' : (char)('a' + n / 50 % 26);
	start(&one, 65536);
	while (got < sizeof(in) && idle < 1000) {
		idle++;
		b = br_ssl_engine_sendapp_buf(&one.sc.eng, &n);
		if (b && at < sizeof(in)) {
			n = n < sizeof(in) - at ? n : sizeof(in) - at;
			memcpy(b, in + at, n);
			br_ssl_engine_sendapp_ack(&one.sc.eng, n);
			br_ssl_engine_flush(&one.sc.eng, 0);
			at += n;
			idle = 0;
		}
		b = br_ssl_engine_recvapp_buf(&one.sc.eng, &n);
		if (b) {
			memcpy(out + got, b, n);
			br_ssl_engine_recvapp_ack(&one.sc.eng, n);
			got += n;
			idle = 0;
		}
		if (move(&one))
			idle = 0;
		turn();
	}
	CHECK_MEM(out, got, in, sizeof(in));
	stop(&one);
}

/* A session that is held up, with much input waiting in the engine: the loop sleeps meanwhile. */
static void
held(void)
{
	static char in[12000], out[12000];
	int turns = 0;
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i % 10 == 9 ? '\n' : '.';
	start(&one, 65536);
	ask(&one, "hello\n");
	memcpy(in, "WAIT\n....\n", 10);
	CHECK(put(&one, in, sizeof(in)));
	while (state(&one) & BR_SSL_SENDREC && move(&one))
		turn();
	quiet();
	for (loop_clock(); one.server->hold_until > loop_now && turns < 1000; turns++)
		loop_turn(100, NULL, NULL);
	CHECK_MSG(turns < 10, "%d turns", turns);
	CHECK_MEM(out, get(&one, out, sizeof(out) - 5), in + 5, sizeof(in) - 5);
	stop(&one);
}

/* Long output to a client that reads late, and an orderly end behind it. */
static void
late_reader(void)
{
	static char out[100004];
	size_t i, n;
	int ok = 1;

	start(&one, 65536);
	CHECK(put(&one, "MANY\n", 5));
	while (state(&one) & BR_SSL_SENDREC && move(&one))
		turn();
	quiet();
	CHECK(many > 0 && many < 100000);
	CHECK(put(&one, "QUIT\n", 5));
	n = get(&one, out, sizeof(out));
	CHECK_INT(n, sizeof(out));
	for (i = 0; i < n && i < 100000; i++)
		ok &= out[i] == (char)('a' + (100000 - i) % 26);
	CHECK(ok && n > 100000 && !memcmp(out + 100000, "bye\n", 4));
	/* close_notify has come: the engine has ended without an error */
	settle(&one);
	CHECK_INT(state(&one), BR_SSL_CLOSED);
	CHECK_INT(br_ssl_engine_last_error(&one.sc.eng), 0);
	stop(&one);
	CHECK_STR(ended, "quit");
}

/* Who has gone with our octets unread may have said why. */
static void
last_words(void)
{
	unsigned char *p;
	size_t n;

	start(&one, 65536);
	CHECK(put(&one, "MANY\n", 5));
	while (state(&one) & BR_SSL_SENDREC && move(&one))
		turn();
	quiet();
	CHECK(many > 0 && many < 100000);
	one.server->eager = 1;
	CHECK(put(&one, "552 too big\n", 12));
	p = br_ssl_engine_sendrec_buf(&one.sc.eng, &n);
	if (!p || send(one.fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		abort();
	br_ssl_engine_sendrec_ack(&one.sc.eng, n);
	ends = 0;
	stop(&one);
	CHECK_STR(last, "552 too big\n");
	CHECK_INT(ends, 1);
	many = 0;
}

/* What comes instead of a handshake, or in its midst. */
static void
broken(void)
{
	static const struct { const char *text; size_t n; const char *why; } t[] = {
		{ BYTES("EHLO example.org\r\n"), "tls: version not supported, or not TLS" },
		{ BYTES("\x16\x03\x01\x00\x05hello"), "tls: unexpected message" },
		{ BYTES("\x16\x02\x00\x00\x05hello"), "tls: version not supported, or not TLS" },
		{ BYTES("\x16\x03\x01\xff\xffhello"), "tls: bad record length" },
		{ BYTES("\x17\x03\x03\x00\x05hello"), "tls: unexpected message" },
		{ BYTES("\x15\x03\x03\x00\x02\x02\x30"), "tls: peer says: unknown CA" },
		{ BYTES(""), "tls: closed in the handshake" },
		{ BYTES("\x16\x03"), "tls: closed in the handshake" }
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		ended[0] = '\0';
		start(&one, 65536);
		CHECK_INT(send(one.fd, t[i].text, t[i].n, MSG_NOSIGNAL), (long long)t[i].n);
		(void)shutdown(one.fd, SHUT_WR);
		quiet();
		CHECK_STR(ended, t[i].why);
		(void)close(one.fd);
	}
	/* a damaged record after the handshake */
	start(&one, 65536);
	ask(&one, "hello\n");
	CHECK_INT(send(one.fd, "\x17\x03\x03\x00\x20"
	    "0123456789abcdef0123456789abcdef", 37, 0), 37);
	quiet();
	CHECK(ends && conn_at(0) == NULL);
	(void)close(one.fd);
}

/* The peer wants to negotiate anew: it is told no. (BearSSL takes that for the end.) */
static void
renegotiation(void)
{
	start(&one, 65536);
	ask(&one, "hello\n");
	CHECK(br_ssl_engine_renegotiate(&one.sc.eng));
	settle(&one);
	CHECK_INT(br_ssl_engine_last_error(&one.sc.eng), BR_ERR_RECV_FATAL_ALERT + 100);
	stop(&one);
}

/* What was sent in clear text behind STARTTLS is gone. */
static void
starttls(void)
{
	char text[3];

	plain(&one);
	trust(&one, "tls/cert.pem");
	CHECK(tls_version(one.server) == NULL && tls_cipher(one.server) == NULL);
	CHECK_INT(send(one.fd, "STARTTLS\nQUIT\n", 14, 0), 14);
	quiet();
	CHECK_INT(recv(one.fd, text, 3, 0), 3);
	CHECK_MEM(text, 3, "go\n", 3);
	engine(&one);
	ask(&one, "still here\n");
	stop(&one);
}

static void
copy(const char *from, const char *to)
{
	char *p;
	size_t n;
	FILE *f;

	p = test_slurp(from, &n);
	f = fopen("new", "wb");
	if (!p || !f || fwrite(p, 1, n, f) != n || fclose(f) || rename("new", to))
		abort();
	free(p);
}

static void
install(const char *cert, const char *key, int force)
{
	copy(cert, "tls/cert.pem");
	copy(key, "tls/key.pem");
	tls_reload(force);
}

/* Has the server's pair this certificate? The client would not go on with another. */
static int
uses(const char *cert)
{
	int r;

	plain(&two);
	trust(&two, cert);
	engine(&two);
	r = tls_start(two.server) == 0 && until(&two, BR_SSL_SENDAPP);
	stop(&two);
	return r;
}

/* Pairs b and c were made by main(); a handshake keeps the pair with which it began. */
static void
renewal(void)
{
	copy("tls/cert.pem", "a.cert");
	copy("tls/key.pem", "a.key");
	CHECK(uses("a.cert") && !uses("b.cert"));
	start(&one, 65536);
	CHECK(move(&one));
	install("b.cert", "b.key", 1);
	CHECK(uses("b.cert") && !uses("a.cert"));
	/* the slot of pair a is still looked at: c has to wait */
	install("c.cert", "c.key", 1);
	CHECK(uses("b.cert"));
	ask(&one, "the old pair was good for this\n");
	tls_reload(1);
	CHECK(uses("c.cert") && !uses("b.cert"));
	ask(&one, "and the session lives\n");
	stop(&one);
}

/* Both or neither. */
static void
mismatch(void)
{
	FILE *f;

	install("c.cert", "c.key", 1);
	install("b.cert", "a.key", 1);
	CHECK(uses("c.cert"));
	(void)unlink("tls/key.pem");
	tls_reload(1);
	CHECK(uses("c.cert"));
	f = fopen("tls/key.pem", "w");
	if (!f || fputs("-----BEGIN PRIVATE KEY-----\n", f) < 0 || fclose(f))
		abort();
	tls_reload(1);
	CHECK(uses("c.cert"));
	install("a.cert", "a.key", 1);
	CHECK(uses("a.cert"));
}

/* Without a signal it is seen in half a minute, and not looked at in between. */
static void
by_itself(void)
{
	install("b.cert", "b.key", 0);
	CHECK(uses("a.cert"));
	loop_now += 29000;
	tls_reload(0);
	CHECK(uses("a.cert"));
	loop_now += 31000;
	tls_reload(0);
	loop_clock();
	CHECK(uses("b.cert"));
}

/* More sessions than engines: the rest is told so, and one that is given back serves again. */
static void
exhaustion(void)
{
	static int fd[CONNS];
	struct conn *c;
	int i, n = 0, pair[2];

	for (i = 0; i < TLS_SESSIONS + 3; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
			abort();
		fd[i] = pair[1];
		c = conn_new(pair[0], &echo, &transport_plain, 0);
		if (tls_start(c) == 0)
			n++;
		else
			conn_abort(c, "none left");
	}
	CHECK_INT(n, TLS_SESSIONS);
	quiet();
	(void)close(fd[7]);
	quiet();
	start(&one, 65536);
	ask(&one, "hello\n");
	stop(&one);
	for (i = 0; i < TLS_SESSIONS + 3; i++)
		if (i != 7)
			(void)close(fd[i]);
	quiet();
	CHECK_INT(conn_free(), CONNS);
}

/* Many sessions, some of them resumed: the cache goes round several times. */
static void
resumption(void)
{
	static br_ssl_session_parameters kept[40];
	br_ssl_session_parameters now;
	uint64_t seed = 1;
	unsigned i, k, resumed = 0, tries = 0;

	for (i = 0; i < 600; i++) {
		k = test_random(&seed) % LEN(kept);
		start(&one, 65536);
		if (kept[k].session_id_len && i % 2) {
			tries++;
			br_ssl_engine_set_session_parameters(&one.sc.eng, &kept[k]);
			br_ssl_client_reset(&one.sc, host, 1);
		}
		ask(&one, "hello\n");
		br_ssl_engine_get_session_parameters(&one.sc.eng, &now);
		resumed += i % 2 && !memcmp(now.session_id, kept[k].session_id, 32);
		kept[k] = now;
		stop(&one);
	}
	CHECK_MSG(tries > 100 && resumed > tries / 2, "%u of %u resumed", resumed, tries);
}

static void
randomness(void)
{
	unsigned char a[300], b[300];

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b) - 1);
	CHECK(memcmp(a, b, 32) != 0);
	CHECK(memcmp(a + 268, b + 268, 31) != 0);
	CHECK_INT(b[sizeof(b) - 1], 0);
}

/* A pair of its own under another name. */
static void
spare(const char *cert, const char *key)
{
	tls_init();
	if (rename("tls/cert.pem", cert) < 0 || rename("tls/key.pem", key) < 0)
		abort();
}

int
main(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };
	char dir[] = "tls.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0 || !freopen("log", "w", stderr))
		abort();
	loop_init(&mem);
	spare("b.cert", "b.key");
	spare("c.cert", "c.key");
	tls_init();
	first_start();
	cuts();
	pipelined();
	crossing();
	held();
	late_reader();
	last_words();
	broken();
	renegotiation();
	starttls();
	renewal();
	mismatch();
	by_itself();
	exhaustion();
	resumption();
	randomness();
	return test_end();
}
