/* See LICENSE file for copyright and licence details. */
/*
 * A content scanner that follows a script, at the other end of a local socket or a loopback port,
 * and the caller of scan.c with a small mail, a clock that may be put forward, and a log. For
 * t_scan.c.
 */
#ifndef T_SCANNER_H
#define T_SCANNER_H

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lib/log.h"
#include "test.h"

enum { CONNS = 4, MS = 5000 };

struct scanner scanners[3];
char host[HOST_TEXT] = "mx.example.org";
const char version[] = "test";

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int64_t ahead;		/* ms */
static char logged[4096];
static int nlogged;

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC) {
		t->tv_sec += (time_t)(ahead / 1000);
		t->tv_nsec += (long)(ahead % 1000) * 1000000;
		t->tv_sec += t->tv_nsec / 1000000000;
		t->tv_nsec %= 1000000000;
	}
	return r;
}

void
log_event(const char *id, const char *fmt, ...)
{
	va_list ap;

	(void)id;
	nlogged++;
	va_start(ap, fmt);
	(void)vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
	if (getenv("SHOW_LOG"))
		puts(logged);
}

void
die(int code, const char *fmt, ...)
{
	(void)fmt;
	_exit(code);
}

void
bug(const char *file, int line, const char *what)
{
	printf("%s:%d: %s\n", file, line, what);
	abort();
}

/* ---- the scanner's side ---- */

/* What it says to a command, instead of c; the n-th time (0: each time). Packets without their
 * lengths, with \1 between them; or, behind \2, octets as they are. */
struct line {
	char to;
	int nth;
	const char *p;
	size_t n;
};

static struct peer {
	int listener, fd;
	const struct line *script;	/* up to one with to == 0 */
	const char *options;		/* data of its O, 12 octets; NULL: all, nothing declined */
	int deaf;			/* it reads no more after so many octets */
	int leave;			/* it closes after this command */
	size_t seen, have;
	int count[128];
	char trail[4096];
	size_t ntrail;
	char in[1 << 18], body[1 << 20], field[1 << 17];
	size_t nbody, nfield, largest;
} peer;

static const char all[] = "\0\0\0\6\0\0\1\377\0\0\0\0";

static void
mark(const char *p, size_t n)
{
	if (n < sizeof(peer.trail) - peer.ntrail) {
		memcpy(peer.trail + peer.ntrail, p, n);
		peer.ntrail += n;
		peer.trail[peer.ntrail] = '\0';
	}
}

static void
say(const char *p, size_t n)
{
	size_t at;
	ssize_t k;

	for (at = 0; at < n && peer.fd >= 0; at += (size_t)k) {
		k = send(peer.fd, p + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0) {
			CHECK_MSG(errno == EPIPE || errno == ECONNRESET, "send: %d", errno);
			return;
		}
	}
}

static void
say_packets(const char *p, size_t n)
{
	static char t[1 << 16];
	const char *end;
	size_t k, o = 0;

	if (n && *p == '\2') {
		say(p + 1, n - 1);
		return;
	}
	for (; n; p += k, n -= k) {
		end = memchr(p, '\1', n);
		k = end ? (size_t)(end - p) : n;
		memset(t + o, 0, 2);
		o += 2;
		t[o++] = (char)(k >> 8);
		t[o++] = (char)k;
		memcpy(t + o, p, k);
		o += k;
		k += end != NULL;
	}
	say(t, o);
}

static void
answer(char what)
{
	const struct line *l;
	char options[17] = "\0\0\0\15O";

	if (what == 'O') {
		memcpy(options + 5, peer.options ? peer.options : all, 12);
		say(options, sizeof(options));
		return;
	}
	for (l = peer.script; l && l->to; l++)
		if (l->to == what && (!l->nth || l->nth == peer.count[(int)what])) {
			say_packets(l->p, l->n);
			return;
		}
	if (what != 'D' && what != 'Q')
		say("\0\0\0\1c", 5);
}

/* A packet has come: data is p[0..n). */
static void
hear(char what, const char *p, size_t n)
{
	char head[2] = { what, '\0' };

	peer.count[(int)what]++;
	if (n > peer.largest)
		peer.largest = n;
	if (what == 'B') {
		memcpy(peer.body + peer.nbody, p, n);
		peer.nbody += n;
	}
	if (what == 'L') {
		memcpy(peer.field, p, n);
		peer.nfield = n;
	}
	if (what != 'B' || peer.count['B'] == 1)
		mark(head, 1);
	answer(what);
	if (peer.leave == what) {
		(void)close(peer.fd);
		peer.fd = -1;
	}
}

static void
peer_turn(void)
{
	size_t n;
	ssize_t k;

	if (peer.fd < 0 && peer.listener >= 0)
		peer.fd = accept4(peer.listener, NULL, NULL, SOCK_NONBLOCK);
	if (peer.fd < 0 || (peer.deaf && peer.seen >= (size_t)peer.deaf))
		return;
	k = recv(peer.fd, peer.in + peer.have, sizeof(peer.in) - peer.have, MSG_DONTWAIT);
	if (k == 0)
		mark("$", peer.ntrail && peer.trail[peer.ntrail - 1] == '$' ? 0 : 1);
	if (k <= 0)
		return;
	peer.have += (size_t)k;
	peer.seen += (size_t)k;
	while (peer.fd >= 0 && peer.have >= 5) {
		n = (size_t)((unsigned char)peer.in[1] << 16 | (unsigned char)peer.in[2] << 8 |
		    (unsigned char)peer.in[3]);
		CHECK(peer.in[0] == 0 && n >= 1 && n <= 65536);
		if (peer.have < 4 + n)
			break;
		hear(peer.in[4], peer.in + 5, n - 1);
		peer.have -= 4 + n;
		memmove(peer.in, peer.in + 4 + n, peer.have);
	}
}

static void
peer_close(void)
{
	if (peer.fd >= 0)
		(void)close(peer.fd);
	if (peer.listener >= 0)
		(void)close(peer.listener);
	peer.fd = peer.listener = -1;
	memset(&peer, 0, sizeof(peer));
	peer.fd = peer.listener = -1;
}

/* ---- the server's side ---- */

static struct scan scan;
static struct scanner row = { "one", "unix:sock", 0, DOWN_ACCEPT, MS };
static const char *mail;
static size_t nmail, unreadable;
static int dones, nrcpts, body_begins, body_bad;
static char new_body[1 << 16];
static size_t nnew;
static struct scan_facts facts;

static const char *
rcpt(void *arg, int i)
{
	static const char *const who[] = { "bob@example.org", "eve@example.org" };

	(void)arg;
	CHECK(i <= nrcpts);
	return i < nrcpts ? who[i] : NULL;
}

static long
get(void *arg, char *p, size_t n, uint64_t at)
{
	(void)arg;
	if (unreadable && at + n > unreadable)
		return -1;
	if (at >= nmail)
		return 0;
	/* not all at once */
	if (n > 2999)
		n = 2999;
	if (n > nmail - at)
		n = nmail - at;
	memcpy(p, mail + at, n);
	return (long)n;
}

static int
take(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (body_bad)
		return -1;
	if (!p) {
		body_begins++;
		return 0;
	}
	memcpy(new_body + nnew, p, n);
	nnew += n;
	return 0;
}

static void
done(struct scan *s)
{
	CHECK(s == &scan && !s->c);
	dones++;
}

static void
set_mail(const char *p, size_t n)
{
	const char *end = strstr(p, "\n\n");

	mail = p;
	nmail = n;
	facts.header = end ? (size_t)(end + 1 - p) : n;
}

static const char small[] = "From: a@b\nSubject: x\n y\n\nbody\n";

static void
defaults(void)
{
	memset(&facts, 0, sizeof(facts));
	(void)ip_parse(&facts.peer, "192.0.2.7");
	facts.port = 4711;
	facts.name = "a.example.net";
	facts.helo = "helo.example";
	facts.id = "0123abc";
	facts.sender = "ann@example.net";
	facts.login = facts.tls_version = facts.tls_cipher = "";
	facts.rcpt = rcpt;
	facts.read = get;
	facts.body = take;
	nrcpts = 1;
	unreadable = 0;
	set_mail(small, sizeof(small) - 1);
	dones = nnew = body_begins = body_bad = 0;
	peer_close();
	row.address = "unix:sock";
	row.ms = MS;
}

static void
turn(void)
{
	loop_turn(0, NULL, NULL);
	peer_turn();
}

static void
listen_local(int backlog)
{
	struct sockaddr_un sa;

	memset(&sa, 0, sizeof(sa));
	sa.sun_family = AF_UNIX;
	memcpy(sa.sun_path, "sock", 5);
	(void)unlink("sock");
	peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(bind(peer.listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK(listen(peer.listener, backlog) == 0);
}

/* Start and go on until it is done, or for ms on the loop's clock. */
static void
go(void)
{
	int i, before = dones;

	if (peer.listener < 0)
		listen_local(5);
	CHECK(scan_start(&scan, &row, &facts) == 0 && dones == before);
	for (i = 0; i < 20000 && dones == before; i++)
		turn();
	CHECK_INT(dones, before + 1);
	for (i = 0; i < 6; i++) {
		turn();
		ahead += i == 3 ? 1100 : 0;	/* a peer that talks on is listened to so long */
	}
	CHECK_INT(conn_free(), CONNS);
}

/* All of one dialogue. */
static void
script(const struct line *l, const char *trail, enum scan_result want, const char *reply)
{
	peer.script = l;
	go();
	CHECK_STR(peer.trail, trail);
	CHECK_INT(scan.result, want);
	if (reply)
		CHECK_STR(scan.reply, reply);
	if (want != SCAN_ACCEPT)
		CHECK(!scan.nedits && !scan.quarantine[0]);
}

#define SAYS(c, p) { c, 0, p, sizeof(p) - 1 }
#define NTH(c, i, p) { c, i, p, sizeof(p) - 1 }
#define END { 0, 0, NULL, 0 }

#endif
