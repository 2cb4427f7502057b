/* See LICENSE file for copyright and licence details. */
/*
 * The loop (lib/loop.c) over peers in memory, for fuzz targets of sessions: no socket, no poll, no
 * clock but ours, so that each run is the same and a second of waiting costs nothing. A target does
 * not name lib/loop.c among its sources.
 */
#ifndef WIRE_H
#define WIRE_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "lib/loop.h"

enum {
	WIRES = 8,
	WIRE_FD = 1 << 20,	/* as a descriptor the first one has this number */
	WIRE_OUT = 1 << 20,	/* octets that a peer reads in all */
	WIRE_TURNS = 1 << 20,	/* more of them are a busy loop */
	WIRE_LATER = 20000	/* ms: what comes only after such a time does not come */
};

/* A peer: what it says, and what it has been told. */
struct wire {
	int open;
	const char *in;
	size_t at, may, n;	/* read so far, may be read, there is */
	int eof;		/* nothing will follow */
	int full;		/* it reads no more */
	size_t nout;
	uint32_t seed;		/* of what it takes in one go; 0: all */
	char out[WIRE_OUT];
};

static struct wire wires[WIRES];
static int64_t wire_ms;		/* the clock */
static int wire_wall = 1795316594;	/* Sun, 22 Nov 2026 03:03:14 +0000 */
static int wire_slow;		/* ms that each look at the clock within a hook takes */
static int wire_looks, wire_refuse;

static struct wire *
wire_of(int fd)
{
	HOLDS(fd >= WIRE_FD && fd < WIRE_FD + WIRES && wires[fd - WIRE_FD].open);
	return &wires[fd - WIRE_FD];
}

/* The loop looks once before it waits and once after. */
static int
wire_clock(clockid_t which, struct timespec *t)
{
	int64_t ms = wire_ms + (wire_looks++ ? (int64_t)(wire_looks - 1) * wire_slow : 0);

	(void)which;
	t->tv_sec = (time_t)(ms / 1000);
	t->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}

static time_t
wire_time(time_t *t)
{
	(void)t;
	return (time_t)(wire_wall + wire_ms / 1000);
}

static int
wire_poll(struct pollfd *p, nfds_t n, const struct timespec *ts, const sigset_t *sigs)
{
	struct wire *w;
	int got = 0;
	nfds_t i;

	(void)sigs;
	for (i = 0; i < n; i++) {
		w = wire_of(p[i].fd);
		p[i].revents = 0;
		if (p[i].events & POLLIN && (w->at < w->may || (w->eof && w->at == w->n)))
			p[i].revents |= POLLIN;
		if (p[i].events & POLLOUT && !w->full)
			p[i].revents |= POLLOUT;
		got += p[i].revents != 0;
	}
	if (!got)
		wire_ms += (int64_t)ts->tv_sec * 1000 + ts->tv_nsec / 1000000;
	wire_looks = 0;
	return got;
}

static ssize_t
wire_recv(int fd, void *p, size_t n, int flags)
{
	struct wire *w = wire_of(fd);

	(void)flags;
	if (n > w->may - w->at)
		n = w->may - w->at;
	if (n)
		memcpy(p, w->in + w->at, n);
	w->at += n;
	if (n || (w->eof && w->at == w->n))
		return (ssize_t)n;
	errno = EAGAIN;
	return -1;
}

static ssize_t
wire_send(int fd, const void *p, size_t n, int flags)
{
	struct wire *w = wire_of(fd);
	size_t room = sizeof(w->out) - w->nout;

	(void)flags;
	if (w->seed && n)
		n = fuzz_piece(&w->seed, n);
	if (n >= room) {
		w->full = 1;
		errno = EAGAIN;
		return -1;
	}
	memcpy(w->out + w->nout, p, n);
	w->nout += n;
	return (ssize_t)n;
}

static int
wire_close(int fd)
{
	wire_of(fd)->open = 0;
	return 0;
}

static int
wire_shutdown(int fd, int how)
{
	(void)how;
	wire_of(fd)->eof = 1;
	return 0;
}

/* A new one that has not said anything. */
static int
wire_socket(int domain, int type, int protocol)
{
	int i;

	(void)domain;
	(void)type;
	(void)protocol;
	for (i = 0; i < WIRES && wires[i].open; i++)
		;
	HOLDS(i < WIRES);
	memset(&wires[i], 0, offsetof(struct wire, out));
	wires[i].open = 1;
	return WIRE_FD + i;
}

static int
wire_connect(int fd, const struct sockaddr *sa, socklen_t n)
{
	(void)wire_of(fd);
	HOLDS(sa && n);
	errno = wire_refuse ? ECONNREFUSED : EINPROGRESS;
	return -1;
}

static int
wire_getsockopt(int fd, int level, int name, void *p, socklen_t *n)
{
	(void)wire_of(fd);
	HOLDS(level == SOL_SOCKET && name == SO_ERROR && *n == sizeof(int));
	memset(p, 0, sizeof(int));
	return 0;
}

static int
wire_setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
	(void)wire_of(fd);
	(void)level;
	(void)name;
	HOLDS(p && n);
	return 0;
}

static int
wire_getpeername(int fd, struct sockaddr *sa, socklen_t *n)
{
	(void)wire_of(fd);
	memset(sa, 0, *n);
	return 0;
}

#define clock_gettime wire_clock
#define time wire_time
#define ppoll wire_poll
#define recv wire_recv
#define send wire_send
#define close wire_close
#define shutdown wire_shutdown
#define socket wire_socket
#define connect wire_connect
#define getsockopt wire_getsockopt
#define setsockopt wire_setsockopt
#define getpeername wire_getpeername
#include "lib/loop.c"
#undef clock_gettime
#undef time
#undef ppoll
#undef recv
#undef send
#undef close
#undef shutdown
#undef socket
#undef connect
#undef getsockopt
#undef setsockopt
#undef getpeername

/* Once a process: a loop for so many connections. */
#define WIRE_LOOP(n) do { \
	static struct conn wire_conns[n]; \
	static struct buf wire_bufs[2 * (n)]; \
	static struct pollfd wire_polls[n]; \
	static const struct loop_memory wire_memory = { wire_conns, wire_bufs, wire_polls, n }; \
	wire_ms = 1000000; \
	loop_init(&wire_memory); \
} while (0)

static inline struct wire *
wire_at(const struct conn *c)
{
	return wire_of(c->fd);
}

/* What the program does before each turn; the ms until it wants to be called again, or wait. */
static int (*wire_tick)(int wait);

static inline void
wire_turn(int wait, int (*commit)(int))
{
	if (wire_tick)
		wait = wire_tick(wait);
	wire_looks = 0;
	loop_turn(wait, NULL, commit);
}

/*
 * Take turns until nothing moves any more. What comes by itself within WIRE_LATER (the answer to a
 * login that failed) is waited for.
 */
static inline void
wire_rest(int (*commit)(int))
{
	int turns, quiet = 0;
	int64_t at;

	for (turns = 0; quiet < 2; turns++) {
		HOLDS(turns < WIRE_TURNS);
		at = wire_ms;
		wire_turn(WIRE_LATER, commit);
		quiet = wire_ms - at == WIRE_LATER ? quiet + 1 : 0;
		if (quiet)
			wire_ms = at;
	}
}

/* The peer says it all, in pieces as a seed says (0: at once), and goes. Has the session ended? */
static inline int
wire_say(struct wire *w, const char *in, size_t n, uint32_t seed, int (*commit)(int))
{
	w->in = in;
	w->n = n;
	w->at = w->may = 0;
	w->seed = seed;
	while (w->may < n && w->open) {
		w->may += seed ? fuzz_piece(&seed, n - w->may) : n;
		wire_rest(commit);
	}
	return !w->open;
}

static inline void
wire_hangup(struct wire *w, int (*commit)(int))
{
	int i;

	w->n = w->may;
	w->eof = 1;
	for (i = 0; w->open && i < 20; i++)
		wire_turn(3600000, commit);
	HOLDS(!w->open);
}

#endif
