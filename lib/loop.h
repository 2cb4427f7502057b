/* The event loop: every descriptor the program watches is a struct conn; one poll() a turn. */
#ifndef LOOP_H
#define LOOP_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ip.h"

enum {
	BUFSZ = 8192,		/* bytes of an input or output buffer */
	SLICE_MS = 2		/* how long a work hook may run before it must come back */
};

struct conn;

/* One for each direction of a connection, taken from a pool only while it holds bytes. */
struct buf {
	struct buf *next;	/* in the free list */
	uint32_t a, z;		/* the bytes in use are b[a] to b[z - 1] */
	char b[BUFSZ];
};

/*
 * What a connection does with events; any hook may be NULL. Handlers never call read, write or
 * poll on their descriptor and never free a connection: conn_close() only marks it.
 */
struct kind {
	const char *name;
	/* Accepted or connected, and again after conn_upgrade() has brought TLS up. */
	void (*start)(struct conn *c);
	/*
	 * There are buffered bytes (conn_in): eat what is complete with conn_eat() and leave the
	 * rest. Called only while the output is at most half full, so a reply of BUFSZ / 2 always
	 * fits; stop when conn_busy(c), you will be called again. Bytes left uneaten come back with
	 * more, and when the buffer is full without progress `input` must have closed the
	 * connection.
	 */
	void (*input)(struct conn *c);
	/* The output is at most half full: produce more. Called every turn in which that is so. */
	void (*drain)(struct conn *c);
	/* A kind without a byte stream (listener, pipe): its descriptor has an event. */
	void (*ready)(struct conn *c, int revents);
	/* Asked for by conn_work(): do at most SLICE_MS of it; ask again or be done. */
	void (*work)(struct conn *c);
	/* A deadline has passed: say goodbye and conn_close(). NULL: closed without a word. */
	void (*expire)(struct conn *c);
	/* The connection ends: release what the session owns. Called exactly once. */
	void (*end)(struct conn *c);
};

/* How bytes reach the descriptor. Return values and errno as read(2) and write(2). */
struct transport {
	ssize_t (*read)(struct conn *c, void *p, size_t n);
	ssize_t (*write)(struct conn *c, const void *p, size_t n);
	/* The poll mask that this transport needs to serve `want` (POLLIN, POLLOUT or both or
	 * 0). */
	int (*events)(struct conn *c, int want);
	/*
	 * 1: bytes can flow; 0: still shaking hands; -1: it failed (errno or why says how). Called
	 * after each event of the descriptor until it says 1.
	 */
	int (*up)(struct conn *c);
	/* 1 when read() has bytes without waiting for the descriptor. */
	int (*pending)(struct conn *c);
	/* Orderly end of the sending side: 1 done (or hopeless), 0 wants to be called again. */
	int (*finish)(struct conn *c);
	/* Release what the transport owns (not the descriptor). */
	void (*release)(struct conn *c);
};

extern const struct transport transport_plain;

struct conn {
	const struct kind *kind;	/* NULL: the slot is free */
	const struct transport *tp;
	void *session;			/* the kind's own */
	void *tls;			/* the transport's own */
	struct buf *in, *out;		/* NULL when empty */
	int (*upgrade)(struct conn *);	/* wanted once the output is empty */
	int64_t idle_ms;		/* allowed silence; 0: no limit */
	int64_t idle_by;		/* when the silence has lasted too long */
	int64_t total_by;		/* the end of the state, whatever happens; 0: none */
	int64_t hold_until;		/* conn_delay(): no input before that */
	const char *why;		/* of conn_close(), for the log */
	uint64_t bytes_in, bytes_out;
	struct ip peer, local;
	uint64_t moved;			/* bytes eaten and produced: has a hook made progress? */
	int fd;
	int peer_port;
	int listener;			/* the program's: the row of its table it came in by */
	int polled;			/* its place in the turn's poll array, -1: none */
	uint32_t born;			/* turn of its birth: not looked at in that turn */
	/* set by `drain`: more output follows in the next turn for sure */
	unsigned char more;
	unsigned char up;		/* the transport is up and start() has been called */
	unsigned char held;		/* conn_hold() */
	/* set by its user: input is taken however much output waits */
	unsigned char eager;
	unsigned char working;		/* conn_work() */
	unsigned char again;		/* look at it next turn without waiting for an event */
	unsigned char blocked;		/* the last write did not take all */
	unsigned char eof;		/* the peer has closed its side */
	/* 1: flush, then close; 2: waiting for the peer's last bytes */
	unsigned char closing;
	unsigned char expired;		/* the expire hook has been called */
	unsigned char dead;		/* to be freed at the end of the turn */
};

/* Memory of the loop, owned by the caller for good: n connections, 2n buffers, n pollfds. */
struct loop_memory {
	struct conn *conns;
	struct buf *bufs;
	struct pollfd *polls;
	int n;
};

extern int64_t loop_now;	/* monotonic milliseconds, read once a turn */
extern int64_t loop_wall;	/* real time, seconds, read once a turn */

void loop_init(const struct loop_memory *m);

/* Re-read the clocks (loop_turn does it too). */
void loop_clock(void);

/* Milliseconds of monotonic time right now, to bound slices of work. */
int64_t loop_ms(void);

/*
 * One turn: wait at most max_ms for events, serve them, run due deadlines and one slice of work,
 * call `commit` (may be NULL) when all input of the turn has been seen, then write what it left.
 * `commit` is told whether no event had come; as long as it returns 1 the next turn does not wait.
 */
void loop_turn(int max_ms, const sigset_t *sigs, int (*commit)(int quiet));

/* A new connection on a non-blocking descriptor; NULL when the pool is full (fd stays the
 * caller's). `keep` slots must stay free for others. */
struct conn *conn_new(int fd, const struct kind *k, const struct transport *tp, int keep);

/*
 * A new connection of our own to an address, TCP_NODELAY, being made; `start` is called when it
 * stands, and if it cannot be made it ends with `why`. NULL: no slot, or no descriptor now.
 */
struct conn *conn_connect(const struct ip *to, int port, const struct kind *k, int keep);

/* The number of a connection: 0 to n - 1, the same all its life. */
int conn_slot(const struct conn *c);

/* The connection in a slot, or NULL if it is free; for walks over all of them. */
struct conn *conn_at(int slot);

/* Free slots left. */
int conn_free(void);

/* The buffered input: pointer and *n; conn_eat() takes n bytes of it away. */
const char *conn_in(struct conn *c, size_t *n);
void conn_eat(struct conn *c, size_t n);

/* 1 when input must not be looked at now: closing, held, delayed, upgrading or output over half
 * full. */
int conn_busy(const struct conn *c);

/* The same, but for the output: what counts for an eager one. */
int conn_deaf(const struct conn *c);

/* Room in the output buffer. */
size_t conn_room(const struct conn *c);

/* Append to the output. What does not fit closes the connection (a broken promise of ours). */
void conn_put(struct conn *c, const void *p, size_t n);
void conn_printf(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Direct access for producers: pointer to *n free bytes, then how many were used. NULL: no room. */
char *conn_space(struct conn *c, size_t *n);
void conn_used(struct conn *c, size_t n);

/* No input until conn_resume(): the answer comes later. */
void conn_hold(struct conn *c);
void conn_resume(struct conn *c);

/* No input and no output for ms from now on (what is in the output already waits too). */
void conn_delay(struct conn *c, int64_t ms);

/* Ask for the work hook. */
void conn_work(struct conn *c);

/* Limits of the present state: silence and total, in ms; 0: none. Replaces those before. */
void conn_limit(struct conn *c, int64_t idle_ms, int64_t total_ms);

/* After the output has left: start(c) puts another transport in (returns -1: close). */
void conn_upgrade(struct conn *c, int (*start)(struct conn *c));

/* Flush, end the transport in order, close. `why` is a static string for the log. */
void conn_close(struct conn *c, const char *why);

/* The same without flushing. */
void conn_abort(struct conn *c, const char *why);

#endif
