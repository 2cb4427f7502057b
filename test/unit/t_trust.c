/* with: tls.c cert.c trust.c lib/fs.c lib/ip.c lib/log.c lib/loop.c lib/pem.c lib/scram.c lib/spki.c lib/text.c lib/x509.c */
/*
 * See LICENSE file for copyright and licence details.
 * TLS as a client under the loop, against our own server in the same loop and against one made of
 * BearSSL: which certificates are believed and what is said of the others, names, dates, pinned
 * keys, a key that the server does not own, tls/ca.pem in all states, endings and garbage.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bearssl_pem.h>
#include <bearssl_ssl.h>

#include "lib/log.h"
#include "lib/pem.h"
#include "lib/x509.h"
#include "mail.h"
#include "test.h"

enum { CONNS = TLS_SESSIONS + 20, DAY = 86400 };

char host[HOST_TEXT] = "mx.example.org";

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];

/* ---- the client and, in the same loop, our own server ---- */

static char got[300];		/* how it ended, or "up" and what the server sent back */
static int ends, ups;

static void
called(struct conn *c)
{
	ups++;
	conn_put(c, "hello\n", 6);
}

static void
heard(struct conn *c)
{
	const char *p;
	size_t n;

	p = conn_in(c, &n);
	(void)snprintf(got, sizeof(got), "up %.*s", (int)n - 1, p);
	conn_eat(c, n);
}

static void
ended(struct conn *c)
{
	ends++;
	if (strncmp(got, "up", 2) != 0)
		(void)snprintf(got, sizeof(got), "%s", c->why ? c->why : "no reason");
}

static const struct kind caller = { "caller", called, heard, NULL, NULL, NULL, NULL, ended };

static void
echo_input(struct conn *c)
{
	const char *p;
	size_t n;

	p = conn_in(c, &n);
	conn_put(c, p, n);
	conn_eat(c, n);
}

static const struct kind echo = { "echo", NULL, echo_input, NULL, NULL, NULL, NULL, NULL };

static void
turns(int n)
{
	while (n-- > 0)
		loop_turn(0, NULL, NULL);
}

static void
pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	got[0] = '\0';
}

/* A client on fd. NULL: it could not begin, `got` says why. */
static struct conn *
call(int fd, const char *name, const char *word)
{
	struct tls_trust t;
	struct conn *c;

	c = conn_new(fd, &caller, &transport_plain, 0);
	if (!c || tls_trust(&t, word) < 0)
		abort();
	if (tls_connect(c, name, &t) == 0)
		return c;
	conn_abort(c, c->why ? c->why : "no reason");
	turns(1);
	return NULL;
}

/* A session with our own server, to its end; what came of it. */
static const char *
ask(const char *name, const char *word)
{
	struct conn *c, *s;
	int before = conn_free(), fds[2], i, slot;

	pair(fds);
	s = conn_new(fds[0], &echo, &transport_plain, 0);
	if (!s || tls_start(s) < 0)
		abort();
	c = call(fds[1], name, word);
	slot = c ? conn_slot(c) : -1;
	for (i = 0; i < 200 && !got[0]; i++)
		turns(1);
	if (strncmp(got, "up", 2) == 0) {
		CHECK_STR(tls_version(c), "TLSv1.2");
		CHECK_STR(tls_cipher(c), tls_cipher(s));
		CHECK(strstr(tls_cipher(c), "TLS_ECDHE_ECDSA_WITH_") != NULL);
	}
	if (slot >= 0 && conn_at(slot) == c)
		conn_abort(c, "done");
	conn_abort(s, "done");
	turns(5);
	CHECK_INT(conn_free(), before);
	return got;
}

/* CHECK_STR looks at its argument twice. */
#define CHECK_ASK(name, word, want) \
	CHECK_MSG(!strcmp(ask((name), (word)), (want)), "%s %s: %s", (name), (word), got)

/* ---- keys and certificates ---- */

static struct pem_key keys[2];

static void
write_file(const char *path, const char *p, size_t n)
{
	FILE *f = fopen("new", "wb");

	if (!f || fwrite(p, 1, n, f) != n || fclose(f) || rename("new", path))
		abort();
}

static void
copy(const char *from, const char *to)
{
	size_t n;
	char *p;

	p = test_slurp(from, &n);
	if (!p)
		abort();
	write_file(to, p, n);
	free(p);
}

/* A certificate for a key, PEM, in a file; its DER comes back too. */
static size_t
issue(const char *path, int key, const char *name, int64_t from, int64_t until, unsigned char *der)
{
	const char *names[X509_NAMES] = { name, "*.example.net" };
	unsigned char own[X509_MAX];
	struct x509_self s;
	char pem[4096];
	size_t n;

	s.name = names;
	s.nname = 2;
	s.from = time(NULL) + from;
	s.until = time(NULL) + until;
	s.key = br_skey_decoder_get_ec(&keys[key].d);
	random_bytes(s.serial, sizeof(s.serial));
	if (!der)
		der = own;
	n = x509_self(der, &s);
	if (!n)
		abort();
	write_file(path, pem, br_pem_encode(pem, der, n, "CERTIFICATE", 0));
	return n;
}

static void
load_key(struct pem_key *k, const char *path)
{
	size_t n;
	char *p;

	p = test_slurp(path, &n);
	if (!p || pem_key(k, p, n))
		abort();
	free(p);
}

/* By rename: a change within the clock's grain would go unseen otherwise. */
static void
ca(const char *const *paths, size_t n)
{
	static char all[200000];
	size_t i, len, at = 0;
	char *p;

	for (i = 0; i < n; i++) {
		p = test_slurp(paths[i], &len);
		if (!p || at + len > sizeof(all))
			abort();
		memcpy(all + at, p, len);
		at += len;
		free(p);
	}
	write_file("tls/ca.pem", all, at);
}

static void
serve(const char *cert)
{
	copy(cert, "tls/cert.pem");
	tls_reload(1);
}

/* ---- who is believed ---- */

static void
words(void)
{
	static const struct { const char *word; int r, how; } t[] = {
		{ "", 0, TRUST_ANY }, { "ca", 0, TRUST_CA }, { "builtin", 0, TRUST_BUILTIN },
		{ "CA", -1, 0 }, { "ca ", -1, 0 }, { "c", -1, 0 }, { "builtins", -1, 0 },
		{ "any", -1, 0 }, { "sha256:", -1, 0 }, { "sha256", -1, 0 },
		{ "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", 0,
		    TRUST_PIN },
		{ "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1", -1, 0 },
		{ "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F0", -1,
		    0 },
		{ "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1g", -1,
		    0 },
		{ "sha256: 00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", -1, 0 }
	};
	struct tls_trust k;
	size_t i;
	int r;

	for (i = 0; i < LEN(t); i++) {
		r = tls_trust(&k, t[i].word);
		CHECK_MSG(r == t[i].r && (r || (int)k.how == t[i].how), "%s: %d %d", t[i].word, r,
		    (int)k.how);
		if (!r && k.how == TRUST_PIN)
			CHECK(k.pin[0] == 0 && k.pin[10] == 10 && k.pin[31] == 31);
	}
}

static void
names(void)
{
	static const char other[] = "certificate is for another name";
	static const struct { const char *name, *want; } t[] = {
		{ "mx.example.org", "up hello" }, { "MX.Example.oRG", "up hello" },
		{ "mx.example.org.", "up hello" }, { "a.example.net", "up hello" },
		{ "x.example.org", other }, { "example.org", other }, { "xmx.example.org", other },
		{ "mx.example.orgx", other }, { "mx.example.or", other },
		{ "a.b.example.net", other }, { "example.net", other },
		{ "192.0.2.1", other }, { "[192.0.2.1]", other }, { "2001:db8::1", other },
		{ "[IPv6:2001:db8::1]", other }, { "", other }, { ".", other }
	};
	static const char *const just[] = { "a.cert" };
	size_t i;

	serve("a.cert");
	ca(just, 1);
	for (i = 0; i < LEN(t); i++) {
		CHECK_MSG(!strcmp(ask(t[i].name, "ca"), t[i].want), "%s: %s", t[i].name, got);
		CHECK_ASK(t[i].name, "", "up hello");
	}
}

static void
dates(void)
{
	static const char *const all[] = { "old.cert", "young.cert" };

	ca(all, 2);
	serve("old.cert");
	CHECK_ASK(host, "ca", "certificate has expired or is not valid yet");
	CHECK_ASK(host, "", "up hello");
	serve("young.cert");
	CHECK_ASK(host, "ca", "certificate has expired or is not valid yet");
}

static void
strangers(void)
{
	static const char *const both[] = { "b.cert", "a.cert" }, *const other[] = { "b.cert" };

	serve("a.cert");
	ca(other, 1);
	CHECK_ASK(host, "ca", "certificate is not trusted");
	CHECK_ASK(host, "", "up hello");
	ca(both, 2);
	CHECK_ASK(host, "ca", "up hello");
	serve("a2.cert");		/* the same name and key in another certificate */
	CHECK_ASK(host, "ca", "up hello");
	CHECK_ASK(host, "builtin", "no certificates to trust compiled in");
}

static const char *
pinned(char dst[80], const unsigned char *spki, size_t n)
{
	unsigned char hash[32];
	br_sha256_context sha;
	int i;

	br_sha256_init(&sha);
	br_sha256_update(&sha, spki, n);
	br_sha256_out(&sha, hash);
	(void)snprintf(dst, 80, "sha256:");
	for (i = 0; i < 32; i++)
		(void)snprintf(dst + 7 + 2 * i, 3, "%02x", hash[i]);
	return dst;
}

static void
pins(void)
{
	unsigned char der[X509_MAX];
	struct x509_info info;
	char word[80];
	size_t n;

	n = issue("a3.cert", 0, "another.example.org", -DAY, DAY, der);
	serve("a3.cert");
	if (x509_info(&info, der, n) < 0)
		abort();
	pinned(word, info.pub - 26, info.npub + 26);
	CHECK_ASK(host, word, "up hello");
	CHECK_ASK("192.0.2.1", word, "up hello");
	serve("old.cert");
	CHECK_ASK("", word, "up hello");
	word[70] = word[70] == '0' ? '1' : '0';
	CHECK_ASK(host, word, "public key is not the pinned one");
	pinned(word, info.pub - 26, info.npub + 26);
	copy("b.key", "tls/key.pem");
	serve("b.cert");
	CHECK_ASK(host, word, "public key is not the pinned one");
	copy("a.key", "tls/key.pem");
	serve("a.cert");
}

/* ---- tls/ca.pem ---- */

static void
no_file(void)
{
	(void)unlink("tls/ca.pem");
	CHECK_ASK(host, "ca", "no certificates to trust in tls/ca.pem");
	CHECK_ASK(host, "", "up hello");
	write_file("tls/ca.pem", "", 0);
	CHECK_ASK(host, "ca", "no certificates to trust in tls/ca.pem");
}

/* That it is wanted and missing is in the log at once. */
static void
missing(void)
{
	size_t n;
	char *log;

	(void)unlink("tls/ca.pem");
	CHECK_ASK(host, "ca", "no certificates to trust in tls/ca.pem");
	log = test_slurp("log", &n);
	CHECK(log && strstr(log, "tls file=tls/ca.pem error=\"No such file or directory\""));
	free(log);
}

/* Odd texts around and in place of certificates. */
static void
texts(void)
{
	static const char *const t[] = {
		"%s", "junk\n%s", "%.0s", "-----BEGIN CERTIFICATE-----\nMAA=\n%s",
		"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n%s",
		"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n%s",
		"-----BEGIN X509 CRL-----\nMAAA\n-----END X509 CRL-----\n%s",
		"-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\r\n\r\n%s\r\n",
		"%1$s%1$s", "%s-----BEGIN CERTIFICATE-----\nMAA=\n", "# %s\nmore"
	};
	static char all[10000];
	char *pem, *p;
	size_t i, n;

	pem = test_slurp("a.cert", &n);
	if (!pem)
		abort();
	for (i = 0; i < LEN(t); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(all, sizeof(all), t[i], pem);
#pragma GCC diagnostic pop
		write_file("tls/ca.pem", all, strlen(all));
		(void)ask(host, "ca");
		CHECK_MSG(!strcmp(got, "up hello") == (i != 2 && i != 10), "%zu: %s", i,
		    got);
	}
	/* DOS line ends, and none at the end */
	for (p = pem, n = 0; *p; p++) {
		if (*p == '\n')
			all[n++] = '\r';
		all[n++] = *p;
	}
	write_file("tls/ca.pem", all, n - 2);
	CHECK_ASK(host, "ca", "up hello");
	free(pem);
}

/* More than there is room for: the rest is left out, and said so. */
static void
crowd(void)
{
	static const char *paths[170];
	static char word[200];
	size_t i, n;
	char *log;

	for (i = 0; i < LEN(paths); i++)
		paths[i] = "b.cert";
	paths[159] = "a.cert";
	ca(paths, LEN(paths));
	CHECK_ASK(host, "ca", "up hello");
	log = test_slurp("log", &n);
	(void)snprintf(word, sizeof(word), "trust=tls/ca.pem certificates=160 left_out=10\n");
	CHECK(log && strstr(log, word));
	free(log);
	paths[159] = "b.cert";
	paths[160] = "a.cert";
	ca(paths, LEN(paths));
	CHECK_ASK(host, "ca", "certificate is not trusted");
}

/* What a handshake looks at stays until it is over. */
static void
renewal(void)
{
	static const char *const a[] = { "a.cert" }, *const b[] = { "b.cert" };
	struct conn *s;
	int fds[2], i;
	char first[sizeof(got)];

	ca(a, 1);
	CHECK_ASK(host, "ca", "up hello");
	pair(fds);
	if (!call(fds[1], host, "ca"))
		abort();
	turns(3);
	ca(b, 1);
	CHECK_ASK(host, "ca", "up hello");
	got[0] = '\0';
	s = conn_new(fds[0], &echo, &transport_plain, 0);
	if (!s || tls_start(s) < 0)
		abort();
	for (i = 0; i < 200 && !got[0]; i++)
		turns(1);
	memcpy(first, got, sizeof(got));
	CHECK_STR(first, "up hello");
	conn_abort(s, "done");
	turns(10);
	CHECK_INT(conn_free(), CONNS);
	CHECK_ASK(host, "ca", "certificate is not trusted");
}

/* ---- against a server made of BearSSL ---- */

struct peer {
	br_ssl_server_context sc;
	unsigned char io[BR_SSL_BUFSIZE_BIDI];
	struct pem_chain chain;
	size_t step;
	int fd;
};

static struct peer peer;
static struct conn *client;

/* A server with a certificate and one of the keys. */
static void
listening(const char *cert, int key, size_t step)
{
	size_t n;
	char *p;

	p = test_slurp(cert, &n);
	if (!p || pem_chain(&peer.chain, p, n))
		abort();
	free(p);
	br_ssl_server_init_full_ec(&peer.sc, peer.chain.cert, peer.chain.n, BR_KEYTYPE_EC,
	    br_skey_decoder_get_ec(&keys[key].d));
	br_ssl_engine_set_buffer(&peer.sc.eng, peer.io, sizeof(peer.io), 1);
	peer.step = step;
}

static void
calling(const char *name, const char *word)
{
	int fds[2];

	br_ssl_server_reset(&peer.sc);
	pair(fds);
	peer.fd = fds[0];
	client = call(fds[1], name, word);
	if (!client)
		abort();
}

static int
move(void)
{
	br_ssl_engine_context *e = &peer.sc.eng;
	int moved = 0;
	unsigned char *p;
	ssize_t r;
	size_t n;

	p = br_ssl_engine_sendrec_buf(e, &n);
	if (p && (r = send(peer.fd, p, n < peer.step ? n : peer.step, MSG_NOSIGNAL)) > 0) {
		br_ssl_engine_sendrec_ack(e, (size_t)r);
		moved = 1;
	}
	p = br_ssl_engine_recvrec_buf(e, &n);
	if (p && (r = recv(peer.fd, p, n < peer.step ? n : peer.step, 0)) > 0) {
		br_ssl_engine_recvrec_ack(e, (size_t)r);
		moved = 1;
	}
	p = br_ssl_engine_recvapp_buf(e, &n);
	if (p && n == 6) {
		memcpy(br_ssl_engine_sendapp_buf(e, &n), p, 6);
		br_ssl_engine_recvapp_ack(e, 6);
		br_ssl_engine_sendapp_ack(e, 6);
		br_ssl_engine_flush(e, 0);
		moved = 1;
	}
	return moved;
}

static void
settle(void)
{
	int idle;

	for (idle = 0; idle < 20; turns(1))
		idle = move() ? 0 : idle + 1;
}

static void
hang_up(void)
{
	(void)close(peer.fd);
	turns(20);
	CHECK_INT(conn_free(), CONNS);
}

static void
cuts(void)
{
	static const size_t steps[] = { 65536, 1, 2, 3, 5, 7, 100, 1000 };
	static const char *const just[] = { "a.cert" };
	static const char *const w[] = { "", "ca" };
	size_t i;

	ca(just, 1);
	for (i = 0; i < 2 * LEN(steps); i++) {
		listening("a.cert", 0, steps[i / 2]);
		calling(host, w[i % 2]);
		settle();
		CHECK_STR(got, "up hello");
		CHECK_STR(br_ssl_engine_get_server_name(&peer.sc.eng), host);
		hang_up();
	}
}

static void
server_names(void)
{
	static const struct { const char *name, *want; } t[] = {
		{ "mx.example.org", "mx.example.org" }, { "mx.example.org.", "mx.example.org" },
		{ "192.0.2.1", "" }, { "[192.0.2.1]", "" }, { "2001:db8::1", "" }, { "", "" }
	};
	size_t i;

	listening("a.cert", 0, 65536);
	for (i = 0; i < LEN(t); i++) {
		calling(t[i].name, "");
		settle();
		CHECK_STR(got, "up hello");
		CHECK_STR(br_ssl_engine_get_server_name(&peer.sc.eng), t[i].want);
		hang_up();
	}
}

/* A server that shows a certificate and has not got its key. */
static void
impostor(void)
{
	static const char *const just[] = { "a.cert" };
	unsigned char der[X509_MAX];
	struct x509_info info;
	char word[80];
	size_t i, n;

	n = issue("a4.cert", 0, host, -DAY, DAY, der);
	if (x509_info(&info, der, n) < 0)
		abort();
	pinned(word, info.pub - 26, info.npub + 26);
	ca(just, 1);
	for (i = 0; i < 3; i++) {
		listening("a4.cert", 1, 65536);
		calling(host, i == 0 ? "" : i == 1 ? "ca" : word);
		settle();
		CHECK_STR(got, "tls: server does not own the key of its certificate");
		hang_up();
	}
}

/* The server wants another handshake: it is told no, and nobody looks at its certificate. */
static void
renegotiation(void)
{
	listening("a.cert", 0, 65536);
	calling(host, "");
	settle();
	CHECK_STR(got, "up hello");
	(void)br_ssl_engine_renegotiate(&peer.sc.eng);
	settle();
	CHECK_INT(br_ssl_engine_last_error(&peer.sc.eng), BR_ERR_RECV_FATAL_ALERT + 100);
	hang_up();
}

/* Servers with which there is nothing to agree on. */
static void
incompatible(void)
{
	static const uint16_t old[] = { BR_TLS_RSA_WITH_AES_128_CBC_SHA };

	listening("a.cert", 0, 65536);
	br_ssl_engine_set_suites(&peer.sc.eng, old, 1);
	calling(host, "");
	settle();
	CHECK_STR(got, "tls: peer says: handshake failure");
	hang_up();
	listening("a.cert", 0, 65536);
	br_ssl_engine_set_versions(&peer.sc.eng, BR_TLS10, BR_TLS11);
	calling(host, "");
	settle();
	CHECK_STR(got, "tls: peer says: handshake failure");
	hang_up();
}

static void
garbage(void)
{
	static const struct { const char *text; size_t n; const char *why; } t[] = {
		{ BYTES("220 mx.example.org ESMTP\r\n"), "tls: version not supported, or not TLS" },
		{ BYTES("\x16\x03\x03\x00\x05hello"), "tls: unexpected message" },
		{ BYTES("\x16\x03\x03\xff\xffhello"), "tls: bad record length" },
		{ BYTES("\x15\x03\x03\x00\x02\x02\x46"), "tls: peer says: protocol version" },
		{ BYTES("\x15\x03\x03\x00\x02\x02\x28"), "tls: peer says: handshake failure" },
		{ BYTES(""), "tls: closed in the handshake" },
		{ BYTES("\x16\x03\x03"), "tls: closed in the handshake" }
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		listening("a.cert", 0, 65536);
		calling(host, "");
		turns(5);
		CHECK_INT(send(peer.fd, t[i].text, t[i].n, MSG_NOSIGNAL), (long long)t[i].n);
		(void)shutdown(peer.fd, SHUT_WR);
		turns(20);
		CHECK_STR(got, t[i].why);
		hang_up();
	}
}

/* The server goes away after so many octets, at each place of the handshake. */
static void
broken_off(void)
{
	size_t i, n, limit, sent;
	unsigned char *p;
	ssize_t r;

	for (limit = 0; limit < 900; limit += 7) {
		listening("a.cert", 0, 65536);
		calling(host, "ca");
		for (i = sent = 0; i < 100 && sent < limit; i++) {
			turns(1);
			p = br_ssl_engine_recvrec_buf(&peer.sc.eng, &n);
			if (p && (r = recv(peer.fd, p, n, 0)) > 0)
				br_ssl_engine_recvrec_ack(&peer.sc.eng, (size_t)r);
			p = br_ssl_engine_sendrec_buf(&peer.sc.eng, &n);
			n = p && n > limit - sent ? limit - sent : n;
			if (p && (r = send(peer.fd, p, n, MSG_NOSIGNAL)) > 0) {
				br_ssl_engine_sendrec_ack(&peer.sc.eng, (size_t)r);
				sent += (size_t)r;
			}
		}
		(void)shutdown(peer.fd, SHUT_WR);
		turns(20);
		CHECK_MSG(!strcmp(got, "tls: closed in the handshake") ||
		    !strncmp(got, "up", 2) || ups, "%zu: %s", limit, got);
		hang_up();
	}
}

/* ---- limits ---- */

static void
exhaustion(void)
{
	static int fd[CLIENTS + 1];
	int fds[2], i;

	for (i = 0; i <= CLIENTS; i++) {
		pair(fds);
		fd[i] = fds[0];
		if (i < CLIENTS)
			CHECK(call(fds[1], host, i % 2 ? "" : "ca") != NULL);
		else
			CHECK(call(fds[1], host, "") == NULL);
	}
	CHECK_STR(got, "tls: too many handshakes");
	(void)close(fd[7]);
	turns(5);
	CHECK_ASK(host, "", "up hello");
	for (i = 0; i <= CLIENTS; i++)
		if (i != 7)
			(void)close(fd[i]);
	turns(5);
	CHECK_INT(conn_free(), CONNS);
}

static void
prepare(void)
{
	tls_init();
	copy("tls/key.pem", "b.key");
	if (unlink("tls/key.pem") < 0 || unlink("tls/cert.pem") < 0)
		abort();
	tls_init();
	copy("tls/key.pem", "a.key");
	load_key(&keys[0], "a.key");
	load_key(&keys[1], "b.key");
	(void)issue("a.cert", 0, host, -DAY, DAY, NULL);
	(void)issue("a2.cert", 0, host, -DAY, 2 * DAY, NULL);
	(void)issue("b.cert", 1, "b.example.org", -DAY, DAY, NULL);
	(void)issue("old.cert", 0, host, -2 * DAY, -DAY, NULL);
	(void)issue("young.cert", 0, host, DAY, 2 * DAY, NULL);
}

int
main(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };
	char dir[] = "trust.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0 || !freopen("log", "w", stderr))
		abort();
	loop_init(&mem);
	prepare();
	missing();
	words();
	names();
	dates();
	strangers();
	pins();
	no_file();
	texts();
	crowd();
	renewal();
	cuts();
	server_names();
	impostor();
	renegotiation();
	incompatible();
	garbage();
	broken_off();
	exhaustion();
	return test_end();
}
