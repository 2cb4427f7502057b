/* See LICENSE file for copyright and licence details. */
/*
 * Kinds of connections, their clients at the other end of socket pairs, and a clock that may be put
 * forward. For t_loop.c and t_conn.c.
 */
#ifndef T_LOOP_H
#define T_LOOP_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/loop.h"
#include "test.h"

enum { CONNS = 6 };

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int64_t ahead;		/* seconds */

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC)
		t->tv_sec += (time_t)ahead;
	return r;
}

/* What the hooks have seen, a letter for each call. */
static char trail[4096];
static size_t ntrail;

static inline void
step(char what)
{
	if (ntrail < sizeof(trail) - 1)
		trail[ntrail++] = what;
	trail[ntrail] = '\0';
}

static inline void
turns(int n)
{
	while (n-- > 0)
		loop_turn(0, NULL, NULL);
}

/* ---- kinds ---- */

static const char *why;		/* of the last end */
static int ends;

static void
ended(struct conn *c)
{
	ends++;
	why = c->why;
	step('e');
}

static void
started(struct conn *c)
{
	(void)c;
	step('s');
}

/* Lines come back in brackets; some are commands. */
static void
answer(struct conn *c, const char *p, size_t n)
{
	if (n == 4 && !memcmp(p, "hold", 4))
		conn_hold(c);
	else if (n == 5 && !memcmp(p, "delay", 5))
		conn_delay(c, 3000);
	else if (n == 5 && !memcmp(p, "abort", 5))
		conn_abort(c, "asked to");
	else if (n == 4 && !memcmp(p, "work", 4))
		conn_work(c);
	conn_put(c, "[", 1);
	conn_put(c, p, n);
	conn_put(c, "]", 1);
	if (n == 5 && !memcmp(p, "close", 5))
		conn_close(c, NULL);
}

static void
lines(struct conn *c)
{
	const char *lf, *p;
	size_t n;

	step('i');
	while (!conn_busy(c) && (p = conn_in(c, &n)) != NULL) {
		lf = memchr(p, '\n', n);
		if (!lf)
			return;
		answer(c, p, (size_t)(lf - p));
		if (c->dead)
			return;
		conn_eat(c, (size_t)(lf - p) + 1);
	}
}

static void
expired(struct conn *c)
{
	step('x');
	conn_put(c, "late", 4);
}

static void
worked(struct conn *c)
{
	step((char)('0' + conn_slot(c)));
	if (--c->listener > 0)
		conn_work(c);
	else
		conn_put(c, "done", 4);
}

static const struct kind echo = {
	.name = "echo", .start = started, .input = lines, .work = worked, .end = ended
};
static const struct kind polite = {
	.name = "polite", .start = started, .input = lines, .expire = expired, .end = ended
};

/* ---- clients ---- */

static int client[CONNS];
static struct conn *server[CONNS];
static char got[1 << 20];
static size_t ngot;

static inline void
open_pair(int i, const struct kind *k, const struct transport *tp)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		abort();
	client[i] = fd[0];
	server[i] = conn_new(fd[1], k, tp, 0);
	if (!server[i])
		abort();
}

static inline void
begin(const struct kind *k)
{
	open_pair(0, k, &transport_plain);
	turns(2);
	ntrail = 0;
	trail[0] = '\0';
	ends = 0;
	why = NULL;
}

static inline int
gone(void)
{
	return ends == 1;
}

static inline void
say(const char *text)
{
	CHECK_INT(send(client[0], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come, after some turns; at the end of the stream a $. */
static inline const char *
hear(int n)
{
	ssize_t k;

	turns(n);
	ngot = 0;
	while ((k = recv(client[0], got + ngot, sizeof(got) - 2 - ngot, 0)) > 0)
		ngot += (size_t)k;
	if (k == 0)
		got[ngot++] = '$';
	got[ngot] = '\0';
	return got;
}

#define CHECK_HEAR(n, want) do { \
	(void)hear(n); \
	CHECK_STR(got, want); \
} while (0)

static inline void
finish(void)
{
	(void)close(client[0]);
	turns(5);
	if (!gone())
		(void)CHECK_MSG(0, "the connection does not end");
	CHECK_INT(conn_free(), CONNS);
}

/* The loop sleeps as long as it may, and no longer. */
static inline int64_t
slept(int most)
{
	int64_t t = loop_ms();

	loop_turn(most, NULL, NULL);
	return loop_ms() - t;
}

/* ---- a kind that has much to say ---- */

static size_t made, limit;

static void
produce(struct conn *c)
{
	size_t n;
	char *p = conn_space(c, &n);
	size_t i;

	step('d');
	if (n > limit - made)
		n = limit - made;
	for (i = 0; i < n; i++)
		p[i] = (char)('a' + (made + i) % 23);
	made += n;
	conn_used(c, n);
}

static const struct kind producer = {
	.name = "producer", .input = lines, .drain = produce, .end = ended
};

static inline void
loop_test_init(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };

	(void)signal(SIGPIPE, SIG_IGN);
	loop_init(&mem);
	CHECK_INT(conn_free(), CONNS);
}

#endif
