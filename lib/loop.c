/* See LICENSE file for copyright and licence details. */
/*
 * The event loop. Each turn: poll, serve what has events (read one buffer, call the hooks, write),
 * one slice of long work, the program's commit, the replies that came of it, deadlines, and last
 * the freeing of what has ended. Nothing here knows a protocol.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

enum {
	FLUSH_MS = 30000,	/* for a peer to take our last words */
	LINGER_MS = 1000	/* for it to stop talking after them */
};

static struct loop_memory mem;
static struct buf *free_bufs;
static int high;		/* slots from here on have never been used, or are free again */
static int used;		/* connections */
static int next_work;		/* slot whose turn to work it is */
static uint32_t turn;

int64_t loop_now, loop_wall;

int64_t
loop_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);	/* cannot fail on Linux */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
loop_clock(void)
{
	loop_now = loop_ms();
	loop_wall = time(NULL);
}

void
loop_init(const struct loop_memory *m)
{
	int i;

	mem = *m;
	free_bufs = NULL;
	high = used = next_work = 0;
	for (i = 0; i < mem.n; i++)
		mem.conns[i].kind = NULL;
	loop_clock();
}

/* ---- buffers ---- */

/* Fresh buffers are taken from the array in order, so that unused ones stay untouched pages. */
static struct buf *
buf_get(void)
{
	static int fresh;
	struct buf *b = free_bufs;

	if (b) {
		free_bufs = b->next;
	} else {
		BUG_IF(fresh >= 2 * mem.n);
		b = &mem.bufs[fresh++];
	}
	b->a = b->z = 0;
	return b;
}

static void
buf_put(struct buf **b)
{
	if (*b) {
		(*b)->next = free_bufs;
		free_bufs = *b;
		*b = NULL;
	}
}

const char *
conn_in(struct conn *c, size_t *n)
{
	*n = c->in ? c->in->z - c->in->a : 0;
	return c->in ? c->in->b + c->in->a : NULL;
}

void
conn_eat(struct conn *c, size_t n)
{
	BUG_IF(!c->in || n > c->in->z - c->in->a);
	c->in->a += (uint32_t)n;
	c->moved += n;
	if (c->in->a == c->in->z)
		buf_put(&c->in);
}

static size_t
pending_out(const struct conn *c)
{
	return c->out ? c->out->z - c->out->a : 0;
}

size_t
conn_room(const struct conn *c)
{
	return BUFSZ - pending_out(c);
}

char *
conn_space(struct conn *c, size_t *n)
{
	struct buf *b;

	if (!c->out)
		c->out = buf_get();
	b = c->out;
	if (b->a) {
		memmove(b->b, b->b + b->a, b->z - b->a);
		b->z -= b->a;
		b->a = 0;
	}
	*n = BUFSZ - b->z;
	return *n ? b->b + b->z : NULL;
}

void
conn_used(struct conn *c, size_t n)
{
	BUG_IF(!c->out || n > BUFSZ - c->out->z);
	c->out->z += (uint32_t)n;
	c->moved += n;
	if (c->out->a == c->out->z)
		buf_put(&c->out);
}

void
conn_put(struct conn *c, const void *p, size_t n)
{
	size_t room;
	char *s;

	if (c->dead || c->closing || !n)
		return;
	s = conn_space(c, &room);
	if (n > room) {
		conn_abort(c, "reply too long");
		return;
	}
	memcpy(s, p, n);
	conn_used(c, n);
}

void
conn_printf(struct conn *c, const char *fmt, ...)
{
	char line[BUFSZ / 2];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		conn_abort(c, "reply too long");
	else
		conn_put(c, line, (size_t)n);
}

/* ---- connections ---- */

struct conn *
conn_new(int fd, const struct kind *k, const struct transport *tp, int keep)
{
	struct conn *c;
	int i;

	if (mem.n - used <= keep)
		return NULL;
	for (i = 0; i < high && mem.conns[i].kind; i++)
		;
	if (i == mem.n)
		return NULL;
	if (i == high)
		high++;
	c = &mem.conns[i];
	memset(c, 0, sizeof(*c));
	c->kind = k;
	c->tp = tp;
	c->fd = fd;
	c->born = turn;
	c->again = 1;
	c->polled = -1;
	used++;
	return c;
}

int
conn_slot(const struct conn *c)
{
	return (int)(c - mem.conns);
}

struct conn *
conn_at(int slot)
{
	return slot >= 0 && slot < high && mem.conns[slot].kind ? &mem.conns[slot] : NULL;
}

int
conn_free(void)
{
	return mem.n - used;
}

int
conn_deaf(const struct conn *c)
{
	return c->dead || c->closing || c->held || c->upgrade || c->hold_until > loop_now;
}

int
conn_busy(const struct conn *c)
{
	return conn_deaf(c) || pending_out(c) > BUFSZ / 2;
}

void
conn_hold(struct conn *c)
{
	c->held = 1;
}

void
conn_resume(struct conn *c)
{
	c->held = 0;
	c->again = 1;
	if (c->idle_ms)
		c->idle_by = loop_now + c->idle_ms;
}

void
conn_delay(struct conn *c, int64_t ms)
{
	c->hold_until = loop_now + ms;
	if (c->idle_ms)
		c->idle_by = c->hold_until + c->idle_ms;
}

void
conn_work(struct conn *c)
{
	c->working = 1;
}

void
conn_limit(struct conn *c, int64_t idle_ms, int64_t total_ms)
{
	c->idle_ms = idle_ms;
	c->idle_by = idle_ms ? loop_now + idle_ms : 0;
	c->total_by = total_ms ? loop_now + total_ms : 0;
}

void
conn_upgrade(struct conn *c, int (*start)(struct conn *))
{
	c->upgrade = start;
	c->again = 1;
}

void
conn_close(struct conn *c, const char *why)
{
	if (c->dead || c->closing)
		return;
	c->why = why;
	c->closing = 1;
	c->again = 1;
	c->held = c->working = 0;
	c->idle_ms = c->idle_by = 0;
	c->total_by = (c->hold_until > loop_now ? c->hold_until : loop_now) + FLUSH_MS;
}

void
conn_abort(struct conn *c, const char *why)
{
	if (c->dead)
		return;
	if (!c->closing)
		c->why = why;
	c->dead = 1;
}

static void
release(struct conn *c)
{
	if (c->kind->end)
		c->kind->end(c);
	if (c->tp)
		c->tp->release(c);
	if (c->fd >= 0)
		(void)close(c->fd);	/* nothing of value is written through it */
	buf_put(&c->in);
	buf_put(&c->out);
	c->kind = NULL;
	used--;
	while (high > 0 && !mem.conns[high - 1].kind)
		high--;
}

/* ---- the plain transport ---- */

static ssize_t
plain_read(struct conn *c, void *p, size_t n)
{
	return recv(c->fd, p, n, 0);
}

static ssize_t
plain_write(struct conn *c, const void *p, size_t n)
{
	return send(c->fd, p, n, c->more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
}

static int
plain_events(struct conn *c, int want)
{
	(void)c;
	return want;
}

static int
plain_up(struct conn *c)
{
	(void)c;
	return 1;
}

static int
plain_pending(struct conn *c)
{
	(void)c;
	return 0;
}

static int
plain_finish(struct conn *c)
{
	(void)c;
	return 1;
}

static void
plain_release(struct conn *c)
{
	(void)c;
}

const struct transport transport_plain = {
	plain_read, plain_write, plain_events, plain_up, plain_pending, plain_finish, plain_release
};

/* ---- connections of our own ---- */

static int
connect_events(struct conn *c, int want)
{
	(void)c;
	(void)want;
	return POLLOUT;
}

/* How it ended only SO_ERROR tells; as long as there is no peer it has not ended. */
static int
connect_up(struct conn *c)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int e = 0;

	n = sizeof(e);
	if (!c->why && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 && e)
		c->why = strerror(e);
	if (c->why)
		return -1;
	n = sizeof(sa);
	if (getpeername(c->fd, (struct sockaddr *)&sa, &n) < 0)
		return errno == ENOTCONN ? 0 : -1;
	c->tp = &transport_plain;
	return 1;
}

static const struct transport transport_connect = {
	plain_read, plain_write, connect_events, connect_up, plain_pending, plain_finish,
	plain_release
};

/* The socket address; its length. */
static socklen_t
address(struct sockaddr_storage *sa, const struct ip *to, int port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof(*sa));
	if (ip_is4(to)) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		memcpy(&in->sin_addr, to->a + 12, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	memcpy(&in6->sin6_addr, to->a, 16);
	return sizeof(*in6);
}

/* Why there is no socket: is it for now? Else there are none to such an address (no IPv6). */
static int
exhausted(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM;
}

struct conn *
conn_connect(const struct ip *to, int port, const struct kind *k, int keep)
{
	static const int on = 1;
	struct sockaddr_storage sa;
	socklen_t n = address(&sa, to, port);
	struct conn *c;
	int e = 0, fd;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && exhausted(e = errno))
		return NULL;
	c = conn_new(fd, k, &transport_connect, keep);
	if (!c) {
		if (fd >= 0)
			(void)close(fd);	/* never used */
		return NULL;
	}
	c->peer = *to;
	c->peer_port = port;
	if (e) {
		c->why = strerror(e);
		return c;
	}
	/* only slower without */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
		c->why = strerror(errno);
	return c;
}

/* ---- serving one connection ---- */

static int
soft(int e)
{
	return e == EAGAIN || e == EWOULDBLOCK || e == EINTR;
}

static void
alive(struct conn *c)
{
	if (c->idle_ms)
		c->idle_by = loop_now + c->idle_ms;
}

static void
flush(struct conn *c)
{
	struct buf *b = c->out;
	ssize_t n;

	if (!b || c->dead || c->hold_until > loop_now)
		return;
	n = c->tp->write(c, b->b + b->a, b->z - b->a);
	if (n < 0) {
		c->blocked = soft(errno) ? 1 : 0;
		if (!c->blocked)
			conn_abort(c, c->why ? c->why : "write failed");
		return;
	}
	b->a += (uint32_t)n;
	c->bytes_out += (uint64_t)n;
	c->blocked = b->a < b->z;
	if (n)
		alive(c);
	if (!c->blocked)
		buf_put(&c->out);
}

/* Does it want to read? */
static int
thirsty(const struct conn *c)
{
	if (c->eof || c->dead)
		return 0;
	if (c->closing)
		return c->closing == 2;
	return !(c->eager ? conn_deaf(c) : conn_busy(c)) && (!c->in || c->in->z - c->in->a < BUFSZ);
}

static void
fill(struct conn *c)
{
	struct buf *b;
	ssize_t n;

	if (!c->in)
		c->in = buf_get();
	b = c->in;
	if (b->a && b->z == BUFSZ) {
		memmove(b->b, b->b + b->a, b->z - b->a);
		b->z -= b->a;
		b->a = 0;
	}
	n = c->tp->read(c, b->b + b->z, BUFSZ - b->z);
	if (n > 0) {
		b->z += (uint32_t)n;
		c->bytes_in += (uint64_t)n;
		alive(c);
		return;
	}
	if (n == 0)
		c->eof = 1;
	else if (!soft(errno))
		conn_abort(c, c->why ? c->why : "read failed");
	if (b->a == b->z)
		buf_put(&c->in);
}

/* The last words have left; wait a little for a peer that is still talking, or TCP resets it and it
 * may never see them. */
static void
part(struct conn *c)
{
	if (c->out || !c->tp->finish(c))
		return;
	if (c->eof || (!c->why && !c->in)) {
		c->dead = 1;
		return;
	}
	(void)shutdown(c->fd, SHUT_WR);		/* it may be gone already */
	c->closing = 2;
	c->total_by = loop_now + LINGER_MS;
}

static void
closing(struct conn *c)
{
	flush(c);
	if (c->closing == 1) {
		if (c->hold_until <= loop_now)
			part(c);
		return;
	}
	buf_put(&c->in);
	fill(c);
	if (c->eof)
		c->dead = 1;
}

/* Let the hooks look at what there is; come back next turn if that got us anywhere. */
static void
feed(struct conn *c)
{
	uint64_t before = c->moved, made;
	int full, more = 0;

	if (c->in && c->kind->input && !conn_busy(c))
		c->kind->input(c);
	if (c->kind->drain) {
		made = c->moved;
		more = conn_busy(c);
		if (!more)
			c->kind->drain(c);
		more |= c->moved != made;
	}
	full = c->out != NULL;
	flush(c);
	if (c->moved != before || (full && !c->out))
		c->again = c->in || more || c->closing || c->eof;
	else if (c->in && c->in->z - c->in->a == BUFSZ && !conn_busy(c))
		conn_abort(c, "input not understood");
	else if (c->eof && !c->out && !c->held && !c->working && c->hold_until <= loop_now &&
	    !c->closing)
		conn_abort(c, "closed by peer");
	if (!c->dead && (c->closing || (c->tp->pending(c) && thirsty(c))))
		c->again = 1;
}

/* Bring the transport up; 1 when it is. */
static int
up(struct conn *c)
{
	int r;

	if (c->up)
		return 1;
	r = c->tp->up(c);
	if (r < 0)
		conn_abort(c, c->why ? c->why : "handshake failed");
	if (r <= 0)
		return 0;
	c->up = 1;
	if (c->kind->start)
		c->kind->start(c);
	return !c->dead;
}

static void
upgrade(struct conn *c)
{
	int (*start)(struct conn *) = c->upgrade;

	c->upgrade = NULL;
	c->up = 0;
	c->again = 1;
	buf_put(&c->in);
	if (start(c) < 0)
		conn_abort(c, c->why ? c->why : "no TLS to be had");
}

/* Before anything is written: if the peer has gone, its last words would be lost with it. */
static void
hear(struct conn *c, int revents)
{
	if (thirsty(c) && (revents || c->tp->pending(c)))
		fill(c);
	if (c->in && !conn_deaf(c))
		c->kind->input(c);
}

static void
serve(struct conn *c, int revents)
{
	c->again = 0;
	if (c->kind->ready) {
		if (revents)
			c->kind->ready(c, revents);
		return;
	}
	if (c->closing) {
		closing(c);
		return;
	}
	if (!up(c))
		return;
	if (c->eager)
		hear(c, revents);
	if (c->blocked || c->out)
		flush(c);
	if (c->upgrade && !c->out && !c->dead) {
		upgrade(c);
		return;
	}
	if (!c->eager && thirsty(c) && (revents || c->tp->pending(c)))
		fill(c);
	if (!c->dead)
		feed(c);
	if (c->upgrade && !c->out)
		c->again = 1;
}

/* ---- a turn ---- */

static int
sooner(int64_t wait, int64_t by)
{
	by -= loop_now;
	if (by < 0)
		by = 0;
	return (int)(by < wait ? by : wait);
}

/* Which events does it wait for? */
static int
wants(struct conn *c)
{
	int want = 0;

	if (c->kind->ready)
		return c->hold_until > loop_now ? 0 : POLLIN;
	if (c->up && thirsty(c))
		want |= POLLIN;
	if (c->out && c->hold_until <= loop_now)
		want |= POLLOUT;
	if (c->closing == 1 && c->hold_until > loop_now)
		return 0;
	return c->tp->events(c, want);
}

/* Fill the poll array; returns how long there is nothing else to do. */
static int
prepare(int wait, int *n)
{
	struct conn *c;
	int i, want;

	*n = 0;
	for (i = 0; i < high; i++) {
		c = &mem.conns[i];
		c->polled = -1;
		if (!c->kind)
			continue;
		if (c->again || c->working)
			wait = 0;
		if (c->hold_until > loop_now)
			wait = sooner(wait, c->hold_until);
		else if (c->idle_by && !c->held)
			wait = sooner(wait, c->idle_by);
		if (c->total_by && !c->held)
			wait = sooner(wait, c->total_by);
		want = wants(c);
		if (!want)
			continue;
		c->polled = *n;
		mem.polls[*n].fd = c->fd;
		mem.polls[*n].events = (short)want;
		mem.polls[*n].revents = 0;
		(*n)++;
	}
	return wait;
}

static void
work(void)
{
	struct conn *c;
	int i, s;

	for (i = 0; i < high; i++) {
		s = (next_work + i) % high;
		c = &mem.conns[s];
		if (!c->kind || !c->working || c->dead)
			continue;
		next_work = s + 1;
		c->working = 0;
		c->kind->work(c);
		flush(c);
		if (!c->working)
			c->again = 1;
		return;
	}
}

static void
deadline(struct conn *c)
{
	if (c->hold_until && c->hold_until <= loop_now) {
		c->hold_until = 0;
		c->again = 1;
	}
	if (c->held || c->dead || c->hold_until)
		return;
	if (!(c->idle_by && c->idle_by <= loop_now) && !(c->total_by && c->total_by <= loop_now))
		return;
	if (c->closing || c->expired || !c->kind->expire || !c->up) {
		conn_abort(c, "timed out");
		return;
	}
	c->expired = 1;
	c->kind->expire(c);
	flush(c);
}

static void
finish_turn(void)
{
	struct conn *c;
	int i;

	for (i = 0; i < high; i++) {
		c = &mem.conns[i];
		if (!c->kind)
			continue;
		if (c->out && !c->blocked && !c->dead)
			flush(c);
		deadline(c);
	}
	for (i = high - 1; i >= 0; i--)
		if (mem.conns[i].kind && mem.conns[i].dead)
			release(&mem.conns[i]);
}

void
loop_turn(int max_ms, const sigset_t *sigs, int (*commit)(int quiet))
{
	static int owing;	/* commit waits for more, or for quiet */
	struct timespec ts;
	struct conn *c;
	int got, i, last, n, revents, wait;

	loop_clock();
	wait = prepare(owing ? 0 : max_ms, &n);
	ts.tv_sec = wait / 1000;
	ts.tv_nsec = (long)(wait % 1000) * 1000000;
	got = ppoll(mem.polls, (nfds_t)n, &ts, sigs);
	turn++;
	loop_clock();
	last = high;
	for (i = 0; i < last && i < high; i++) {
		c = &mem.conns[i];
		if (!c->kind || c->dead || c->born == turn)
			continue;
		revents = got > 0 && c->polled >= 0 ? mem.polls[c->polled].revents : 0;
		if (revents || c->again)
			serve(c, revents);
	}
	work();
	if (commit)
		owing = commit(got <= 0);
	finish_turn();
}
