/* See LICENSE file for copyright and licence details. */
/*
 * A client of SMTP sessions over the real loop, store and mailboxes, and a socket pair; only
 * passwords and TLS are made up. For t_smtp.c and t_session.c.
 */
#ifndef T_SMTP_H
#define T_SMTP_H

#include <sys/socket.h>

#include "lib/text.h"
#include "rooms.h"
#include "t_welcome.h"

/* ---- what the rest of the server would do ---- */

enum { HERE = -1, MX, SUBMIT, SUBMIT_TLS, SUBMIT_WRAP, TRUST };

static const struct listener rows[] = {
	{ "::", 25, TLS_START, SMTP, 0 },
	{ "::", 587, TLS_NONE, SUBMISSION, 1 },
	{ "::", 587, TLS_START, SUBMISSION, 0 },
	{ "::", 465, TLS_WRAP, SUBMISSION, 0 },
	{ "::", 2525, TLS_NONE, TRUSTED, 1 },
};
static const struct listener here = { "", 0, TLS_NONE, LOCAL, 0 };
static const char *from_ip = "192.0.2.1";
static int budget;			/* recipients that a login or trusted host may still have */
static struct transport secret;		/* plain, but it passes for TLS */
static int64_t fail_delay;		/* what a failed login costs */
static int fails, slices;

const struct listener *
conn_listener(const struct conn *c)
{
	return c->listener < 0 ? &here : &rows[c->listener];
}

int
guard_trusted(const struct ip *ip)
{
	struct ip net;
	int i;

	for (i = 0; i < 2; i++)
		if (ip_parse(&net, i ? "192.0.2.64" : "192.0.2.0") == 0 &&
		    ip_within(ip, &net, i ? 128 : 124))
			return i;
	return -1;
}

int
guard_spend(int user, const struct ip *ip)
{
	if (user < 0)
		CHECK(guard_trusted(ip) >= 0);
	return budget-- > 0 ? 0 : -1;
}

int
tls_start(struct conn *c)
{
	secret = transport_plain;
	c->tp = &secret;
	c->tls = &secret;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	return c->tls ? "TLS_SUITE" : NULL;
}

static enum res
judge(struct login *l)
{
	l->slot = user_login(l->sasl.name, strlen(l->sasl.name));
	if (strcmp(l->sasl.password, "secret") != 0)
		l->slot = -1;
	return l->slot < 0 ? R_PERM : R_OK;
}

enum res
login_start(struct login *l)
{
	if (!strcmp(l->sasl.name, "temp"))
		return R_TEMP;
	if (!strcmp(l->sasl.name, "bob") && judge(l) == R_OK)
		return R_OK;		/* as one whose password is remembered */
	slices = 3;
	return R_AGAIN;
}

enum res
login_work(struct login *l, int *slot)
{
	enum res r;

	if (--slices)
		return R_AGAIN;
	r = judge(l);
	*slot = l->slot;
	return r;
}

int
guard_repeats(const struct login *l, const struct ip *peer)
{
	(void)l;
	(void)peer;
	return 0;
}

int64_t
guard_failed(const struct ip *peer)
{
	(void)peer;
	fails++;
	return fail_delay;
}

void
guard_passed(const struct ip *peer)
{
	(void)peer;
	fails = 0;
}

/* ---- a client ---- */

static struct conn conns[SESSIONS], *peer;
static struct buf bufs[2 * SESSIONS];
static struct pollfd polls[SESSIONS];
static int client = -1;
static int row;

static void
start_client(const char *ip)
{
	int fd[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		abort();
	client = fd[0];
	peer = conn_new(fd[1], &smtp_kind, &transport_plain, 0);
	if (!peer || ip_parse(&peer->peer, ip) < 0)
		abort();
	peer->listener = row;
	if (conn_listener(peer)->tls == TLS_WRAP && tls_start(peer) < 0)
		abort();
	for (i = 0; i < 2; i++)
		loop_turn(0, NULL, store_commit);
}

static int
gone(void)
{
	return !conn_at(conn_slot(peer));
}

/* Take turns until the server has nothing more to do; what it said goes to out. */
static size_t
settle(char *out, size_t size)
{
	int64_t end = loop_ms() + 5000;
	size_t n = 0;
	ssize_t got;
	int quiet = 0;

	while (quiet < 2 && loop_ms() < end) {
		loop_turn(0, NULL, store_commit);
		quiet++;
		while ((got = recv(client, out + n, size - n, 0)) > 0)
			n += (size_t)got, quiet = 0;
		if (!gone() && (peer->again || peer->working || peer->hold_until || peer->held ||
		    (peer->out && size > n)))
			quiet = 0;
	}
	if (quiet < 2)
		(void)CHECK_MSG(0, "the server does not come to rest");
	return n;
}

static void
end_client(void)
{
	int i;

	(void)close(client);
	client = -1;
	for (i = 0; i < 100 && !gone(); i++)
		loop_turn(10, NULL, store_commit);
	if (!gone())
		(void)CHECK_MSG(0, "the session does not end");
}

static size_t
send_all(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t at, piece, got;

	got = settle(out, size);
	for (at = 0; at < n; at += piece) {
		piece = test_piece(cut, at, n);
		if (piece > 4096)
			piece = 4096;	/* what surely fits into the socket */
		if (send(client, in + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			break;		/* the server has hung up */
		got += settle(out + got, size - got);
	}
	if (gone() || peer->closing)
		out[got++] = '$';	/* it ended */
	return got;
}

static void
drain_queue(void)
{
	int i;

	for (i = 0; i < 1000 && queue_tick(1) == 0; i++)
		;
	if (i == 1000)
		(void)CHECK_MSG(0, "the queue does not come to rest");
}

/* What waits for other servers, by its id. */
static size_t
take_out(char *out, size_t size)
{
	char path[PATH_TEXT];
	size_t n = 0, k;
	unsigned id;

	for (id = 1; id <= last_id; id++) {
		(void)snprintf(path, sizeof(path), "spool/out/0006410f3a2b1%08x", id);
		k = slurp(path, out + n + 6, size - n - 6);
		if (!k)
			continue;
		memcpy(out + n, "[out]\n", 6);
		n += 6 + k;
		(void)unlink(path);
	}
	return n;
}

/* What has come into the mailboxes and waits for others; they are empty afterwards. */
static size_t
take_boxes(char *out, size_t size)
{
	static const char *const names[] = { "alice", "bob" };
	char path[PATH_TEXT];
	size_t i, n = 0, k;

	drain_queue();
	if (store_checkpoint() < 0)
		(void)CHECK_MSG(0, "no checkpoint");
	for (i = 0; i < LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "mail/%s", names[i]);
		k = slurp(path, out + n + 8, size - n - 8);
		if (k) {
			memcpy(out + n, i ? "[bob]\n\n\n" : "[alice]\n", 8);
			n += 8 + k;
		}
		(void)unlink(path);
	}
	return n + take_out(out + n, size - n);
}

/* A session: what the server says, a $ if it ends it, and what is in the mailboxes then. */
static size_t
session(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t got;

	last_id = 0;
	budget = 1000;
	start_client(from_ip);
	got = send_all(out, size, in, n, cut);
	end_client();
	return got + take_boxes(out + got, size - got);
}

static char said[1 << 20];
static size_t nsaid;

static inline void
talk(const char *in, size_t n)
{
	struct cut c;

	c.first = c.step = n;
	nsaid = session(said, sizeof(said), in, n, &c);
}

/* ---- transcripts ---- */

#define HI "220 mx.example.org ESMTP\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define HOST "250 mx.example.org\r\n"
#define FROM "250 2.1.0 Ok\r\n"
#define TO "250 2.1.5 Ok\r\n"
#define GO "354 End with a line of a single dot\r\n"
#define QUEUED(n) "250 2.0.0 Ok: queued as " ID(n) "\r\n"
#define BYE "221 2.0.0 mx.example.org Bye\r\n"
#define BAD_ARG "501 5.5.4 Syntax error in argument\r\n"
#define BAD_SEQ "503 5.5.1 Bad sequence of commands\r\n"
#define EHLO_FIRST "503 5.5.1 EHLO first\r\n"
#define UNKNOWN "500 5.5.1 Unknown command\r\n"
#define NO_USER "550 5.1.1 No such user here\r\n"
#define TOO_MANY "421 4.7.0 mx.example.org too many errors\r\n$"
#define FEATURES(tls, auth) "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n" \
	"250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n" \
	"250-ENHANCEDSTATUSCODES\r\n" tls auth "250-LIMITS RCPTMAX=100\r\n" \
	"250 HELP\r\n"
#define STARTTLS "250-STARTTLS\r\n"
#define AUTH "250-AUTH PLAIN LOGIN\r\n"
#define ALICE "[alice]\n"
#define BOB "[bob]\n\n\n"
#define HEAD(from, path, to) "From " from " Mon Jan  5 23:23:01 1970\nReturn-Path: <" path ">\n" \
	"Delivered-To: " to "\n"
#define TRACE(with, n, tls, to) \
	"Received: from c.example ([192.0.2.1])\n\tby mx.example.org with " \
	with " id " ID(n) "\n" tls "\t" to "; " DATE "\n"
#define START "EHLO c.example\r\n"
#define STARTED HI FEATURES(STARTTLS, "")
#define SMTP_A(n) HEAD("s@far.example", "s@far.example", "alice@localhost") \
	TRACE("ESMTP", n, "", "for <alice@localhost>")
#define TXN "MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n"
#define TXN_OK FROM TO GO

#define CHECK_SAID(text) CHECK_MEM(said, nsaid, (text), strlen(text))

static inline int
told(const char *text)
{
	return memmem(said, nsaid, text, strlen(text)) != NULL;
}

/* ---- long inputs ---- */

static char big[1 << 17];
static size_t nbig;

static inline void
add(const char *text)
{
	memcpy(big + nbig, text, strlen(text));
	nbig += strlen(text);
}

static inline void
add_many(char c, size_t n)
{
	memset(big + nbig, c, n);
	nbig += n;
}

/* ---- start ---- */

static inline void
smtp_test_init(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, SESSIONS };

	loop_init(&mem);
	store_here();
	forward_init();
}

#endif
