/* See LICENSE file for copyright and licence details. */
/*
 * A server that follows a script, and sessions with it over the real loop and loopback; TLS, keys
 * and signatures are made up. For t_client.c and t_send.c.
 *
 * The steps of a script are separated by "|":
 *
 *	Stext	the server says a line		Ctext	the client must say this line
 *	Rtext	the same raw, \1 for NUL	T	the text, to CR LF . CR LF, goes to `text`
 *	Ln	a line of n octets		Nn	n lines of one reply
 *	X	the server closes		A	it resets the connection
 *	H	it closes its side only		Wn	n seconds go by
 *	Q	turns go by, and the client must say nothing
 *	E	by now the session must be over
 *
 * At the end of the script the client must have nothing more to say.
 */
#ifndef T_CLIENT_H
#define T_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "lib/log.h"
#include "lib/text.h"
#include "store.h"
#include "test.h"

/* ---- what the rest of the server would do ---- */

char host[HOST_TEXT] = "mx.example.org";
int stopping;
static int64_t ahead;		/* seconds */
static char logged[1 << 16];
static size_t nlogged;

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC)
		t->tv_sec += (time_t)ahead;
	return r;
}

static int socket_error;	/* of IPv6 sockets; 0: there are some */

int
socket(int domain, int type, int protocol)
{
	errno = socket_error;
	if (domain == AF_INET6 && socket_error)
		return -1;
	return (int)syscall(SYS_socket, domain, type, protocol);
}

void
log_event(const char *id, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (nlogged > sizeof(logged) / 2)
		nlogged = 0;
	nlogged += (size_t)snprintf(logged + nlogged, 100, "%s ", id);
	va_start(ap, fmt);
	n = vsnprintf(logged + nlogged, 1000, fmt, ap);
	va_end(ap);
	nlogged += (size_t)(n < 1000 ? n : 999);
	logged[nlogged++] = '\n';
	logged[nlogged] = '\0';
}

void
bug(const char *file, int at, const char *what)
{
	printf("%s:%d: %s\n", file, at, what);
	fflush(stdout);
	abort();
}

char *
session_id(char dst[ID_TEXT])
{
	memcpy(dst, "cafe", 5);
	return dst;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
store_mark(const char *id, const void *p, size_t n)
{
	(void)id;
	(void)p;
	(void)n;
	return 0;
}

void
store_trouble(const char *what)
{
	(void)what;
}

void
store_break(const char *what)
{
	(void)what;
}

int64_t
mail_birth(const char *id)
{
	char us[14];

	memcpy(us, id, 13);
	us[13] = '\0';
	return (int64_t)(strtoull(us, NULL, 16) / 1000000);
}

int
relay_sender(const struct sending *s, const char *sender, char dst[ADDR_TEXT + 1])
{
	(void)snprintf(dst, ADDR_TEXT + 1, "%s%s", s->forward ? "SRS0=" : "", sender);
	return 0;
}

static enum { TLS_GOOD, TLS_NO_ENGINE, TLS_BROKEN, TLS_SLOW } tls_is;
static struct transport secret;		/* plain, but it passes for TLS */

static int
secret_up(struct conn *c)
{
	if (tls_is == TLS_BROKEN)
		c->why = "tls: peer says: handshake failure";
	return tls_is == TLS_BROKEN ? -1 : tls_is == TLS_GOOD;
}

int
tls_trust(struct tls_trust *t, const char *word)
{
	t->how = TRUST_ANY;
	return strcmp(word, "bad") == 0 ? -1 : 0;
}

int
tls_connect(struct conn *c, const char *name, const struct tls_trust *t)
{
	CHECK_STR(name, "mx.far.example");
	CHECK(t->how == TRUST_ANY);
	secret = transport_plain;
	secret.up = secret_up;
	c->tp = &secret;
	return tls_is == TLS_NO_ENGINE ? -1 : 0;
}

/* A signature is the length of the text and a sum of it. */
static br_rsa_private_key rsa;
static struct dkim_sign *fed;
static unsigned long long fed_octets;
static unsigned fed_sum;
static char fed_last;
static int inits, finishes;

void
dkim_init(struct dkim_sign *d)
{
	memset(d, 0, sizeof(*d));
	fed_octets = 0;
	fed_sum = 0;
	fed_last = '\n';
	inits++;
	fed = d;
}

void
dkim_feed(struct dkim_sign *d, const char *p, size_t n)
{
	size_t i;

	CHECK(d == fed);
	for (i = 0; i < n; i++) {
		d->in_body |= p[i] == '\n' && fed_last == '\n';
		fed_last = p[i];
		fed_sum = fed_sum * 31 + (unsigned char)p[i];
	}
	fed_octets += n;
}

int
dkim_from(const struct dkim_sign *d, char *dst, size_t n)
{
	(void)d;
	(void)snprintf(dst, n, "here.example");
	return 0;
}

static int have_key;

const br_rsa_private_key *
sign_key(const char *domain)
{
	CHECK_STR(domain, "here.example");
	return have_key ? &rsa : NULL;
}

long
dkim_finish(struct dkim_sign *d, char dst[DKIM_FIELD], const char *domain, const char *selector,
    const br_rsa_private_key *key, int64_t when)
{
	CHECK(key == &rsa && d == fed);
	finishes++;
	return snprintf(dst, DKIM_FIELD, "DKIM-Signature: d=%s; s=%s; t=%lld;\n\tn=%llu; b=%x\n",
	    domain, selector, (long long)when, fed_octets, fed_sum);
}

/* ---- letters ---- */

enum { QUEUE = 128 };

static struct sending queue[QUEUE];
static int nqueue, taken;
static char calls[8192];	/* what was told of outcomes and the end */
static char words[WORDS];	/* the last ones of an outcome, and of the end */
static char over_words[WORDS];
static int overs;

/* A letter: its lines, without the blank one, and its text. */
static inline struct sending *
letter(const char *envelope, const char *text, size_t n)
{
	struct sending *s = &queue[nqueue++];
	size_t k = strlen(envelope);
	const char *p;

	memset(s, 0, sizeof(*s));
	(void)snprintf(s->id, sizeof(s->id), "0006410f3a2b1%08x", nqueue);
	s->fd = memfd_create("letter", MFD_CLOEXEC);
	if (s->fd < 0 || write(s->fd, envelope, k) != (ssize_t)k || write(s->fd, "\n", 1) != 1 ||
	    write(s->fd, text, n) != (ssize_t)n)
		abort();
	for (p = envelope; *p; p = strchr(p, '\n') + 1)
		if (*p == 'T')
			s->to[s->n++].at = p - envelope;
	s->text = (off_t)k + 1;
	s->end = s->text + (off_t)n;
	return s;
}

static void
call(const char *fmt, ...)
{
	size_t n = strlen(calls);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(calls + n, sizeof(calls) - n, fmt, ap);
	va_end(ap);
}

static struct sending *
next(void *arg)
{
	CHECK(arg == &nqueue && !overs);
	return taken < nqueue ? &queue[taken++] : NULL;
}

static void
told(void *arg, struct sending *s)
{
	int i;

	CHECK(arg == &nqueue && !overs && taken > 0 && s == &queue[taken - 1]);
	for (i = 0; i < s->n; i++) {
		call("%c%s%s ", "-SLF"[s->to[i].outcome], s->to[i].status,
		    (const char *[]){ "", "d", "m" }[s->to[i].dsn]);
		memcpy(words, s->to[i].words, sizeof(words));
		CHECK(strlen(words) > 0);
	}
	call(";");
	(void)close(s->fd);
	s->fd = -1;
}

static void
over(void *arg, enum over why, const char *status, const char *why_words)
{
	static const char *const names[] = { "done", "connect", "tls", "login", "lost" };

	CHECK(arg == &nqueue);
	overs++;
	call("%s", names[why]);
	if (why != OVER_DONE)
		CHECK_MSG(*status && *why_words, "no words");
	(void)snprintf(over_words, sizeof(over_words), "%s", why_words);
}

static const struct client_user user = { next, told, over };

/* ---- the server ---- */

enum { CONNS = 8 };

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int listening = -1, server = -1, drip;
static struct hop hop;
static char in[1 << 20], text[1 << 20];	/* what the client said, not yet looked at; texts */
static size_t nin, ntext;

static inline void
listen_here(void)
{
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);

	memset(&sa, 0, sizeof(sa));
	sa.sin_family = AF_INET;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listening < 0 || bind(listening, (struct sockaddr *)&sa, n) < 0 ||
	    listen(listening, 8) < 0 || getsockname(listening, (struct sockaddr *)&sa, &n) < 0 ||
	    ip_from(&hop.ip, &hop.port, (struct sockaddr *)&sa) < 0)
		abort();
	(void)snprintf(hop.host, sizeof(hop.host), "mx.far.example");
}

/* A turn; what the client says is read. */
static inline void
spin(int ms)
{
	static const int on = 1;
	ssize_t n;

	loop_turn(ms, NULL, NULL);
	if (server == -1 && listening >= 0) {
		server = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	while (server >= 0 && (n = recv(server, in + nin, sizeof(in) - nin, 0)) > 0)
		nin += (size_t)n;
}

static inline void
rest(void)
{
	int i;

	for (i = 0; i < 8; i++)
		spin(i == 7);
}

static inline void
say(const char *p, size_t n)
{
	size_t i, k;

	for (i = 0; i < n && server >= 0; i += k) {
		k = drip ? 1 : n - i;
		if (send(server, p + i, k, MSG_NOSIGNAL) != (ssize_t)k)
			break;
		if (drip)
			spin(0);
	}
}

/* Wait for `end` in what the client says: how many octets that is with it; 0: it does not come. */
static inline size_t
await(const char *end, size_t n)
{
	const char *p;
	int i;

	for (i = 0; i < 2000; i++) {
		p = memmem(in, nin, end, n);
		if (p)
			return (size_t)(p - in) + n;
		if (overs && i > 5)
			break;
		spin(1);
	}
	return 0;
}

static inline void
forget(size_t n)
{
	memmove(in, in + n, nin - n);
	nin -= n;
}

/* The client's next line must be this one. */
static inline int
expect(const char *what, const char *p, size_t n)
{
	size_t k = await("\r\n", 2);

	if (!k || k - 2 != n || memcmp(in, p, n) != 0) {
		CHECK_MSG(0, "%s: the client says \"%.*s\", not \"%.*s\"", what,
		    (int)(k ? k - 2 : nin), in, (int)n, p);
		return -1;
	}
	forget(k);
	return 0;
}

static inline int
take_text(const char *what)
{
	size_t k;

	/* an empty text is its dot alone */
	while (nin < 3 && !overs && await("\n", 1) == 0)
		spin(1);
	k = nin >= 3 && !memcmp(in, ".\r\n", 3) ? 3 : await("\r\n.\r\n", 5);
	if (!k) {
		CHECK_MSG(0, "%s: the text does not end", what);
		return -1;
	}
	memcpy(text + ntext, in, k);
	ntext += k;
	forget(k);
	return 0;
}

static inline void
hang_up(int reset)
{
	static const struct linger now = { 1, 0 };

	if (server < 0)
		return;
	if (reset && setsockopt(server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		abort();
	rest();
	(void)close(server);
	server = -2;
	rest();
}

/* Long ones: a line, or lines. */
static inline void
say_much(char kind, int n)
{
	char s[4096];
	int i;

	memset(s, 'x', sizeof(s));
	memcpy(s, "250-", 4);
	if (kind == 'L') {
		s[3] = ' ';
		memcpy(s + n - 2, "\r\n", 2);
		say(s, (size_t)n);
		return;
	}
	for (i = 0; i < n; i++)
		say("250-more\r\n", 10);
}

static inline int
step(const char *what, const char *p, size_t n)
{
	char raw[4096];
	size_t i;

	switch (*p) {
	case 'S':
	case 'R':
		memcpy(raw, p + 1, n - 1);
		for (i = 0; i + 1 < n && *p == 'R'; i++)
			raw[i] = (char)(raw[i] == 1 ? 0 : raw[i]);
		memcpy(raw + n - 1, "\r\n", 2);
		say(raw, *p == 'S' ? n + 1 : n - 1);
		return 0;
	case 'C':
		return expect(what, p + 1, n - 1);
	case 'T':
		return take_text(what);
	case 'L':
	case 'N':
		say_much(*p, atoi(p + 1));
		return 0;
	case 'A':
	case 'X':
		hang_up(*p == 'A');
		return 0;
	case 'H':
		(void)shutdown(server, SHUT_WR);
		return 0;
	case 'W':
		rest();
		ahead += atoi(p + 1);
		rest();
		return 0;
	case 'E':
		rest();
		return CHECK_MSG(overs, "%s: the session goes on", what) ? 0 : -1;
	case 'Q':
		rest();
		return CHECK_MSG(nin == 0, "%s: the client says \"%.*s\"", what,
		    (int)nin, in) ? 0 : -1;
	default:
		abort();
	}
}

static inline void
follow(const char *script)
{
	const char *p, *e;

	for (p = script; *p; p = *e ? e + 1 : e) {
		e = p + strcspn(p, "|");
		if (step(script, p, (size_t)(e - p)) < 0)
			return;
	}
}

static inline void
clear_all(void)
{
	while (nqueue > 0)
		if (queue[--nqueue].fd >= 0)
			(void)close(queue[nqueue].fd);
	taken = overs = 0;
	nin = ntext = nlogged = 0;
	calls[0] = logged[0] = words[0] = over_words[0] = '\0';
	server = -1;
}

/* The session has been begun: follow the script to its end, and look that all is over once. */
static inline void
play(const char *script)
{
	int i;

	for (i = 0; i < 100 && server == -1; i++)
		spin(1);
	follow(script);
	rest();
	if (server >= 0)
		CHECK_MSG(nin == 0, "%s: the client says more: \"%.*s\"", script, (int)nin, in);
	hang_up(0);
	for (i = 0; i < 1500 && !overs; i++)
		spin(1);
	CHECK_MSG(overs == 1, "%s: over was called %d times", script, overs);
	CHECK_INT(conn_free(), CONNS);
	CHECK_INT(client_count(), 0);
}

/* A session over a route with the letters that were made; what is left of them is in `calls`. */
static inline void
session(const struct route *r, const char *script)
{
	hop.route = r;
	if (client_start(&hop, &user, &nqueue) < 0)
		abort();
	CHECK_INT(client_count(), 1);
	CHECK(!overs);
	play(script);
}

#define CHECK_CALLS(name, want) \
	CHECK_MSG(!strcmp(calls, (want)), "%s: got %s, want %s (%s)", (name), calls, (want), words)

static inline void
client_test_init(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };

	(void)signal(SIGPIPE, SIG_IGN);
	loop_init(&mem);
	listen_here();
}

#endif
