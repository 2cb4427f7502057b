/* See LICENSE file for copyright and licence details. */
/*
 * Two sockets in the store. `submit` takes mail of this machine by SMTP (sendmail.c is its client).
 * `control` is the postmaster's: one line with a command, the answer as lines of text, a last line
 * "ok" or "error: CODE WORDS" with a code of sysexits(3), and the connection is closed. Who may use
 * them the modes of the files say (config.h).
 *
 *	queue   show ID   flush [ID|DOMAIN]   hold ID   drop ID [quiet]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "control.h"
#include "lib/idn.h"
#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"

enum {
	CONTROLS = 8,		/* sessions at once; others wait */
	ACCEPTS = 16,		/* taken from a socket in a turn */
	FULL_MS = 50,		/* pause when there is no room */
	IDLE_MS = 60000,
	TOTAL_MS = 600000,
	AGAIN_MS = 5000,	/* a socket that could not be made is tried again */
	DIAL_S = 600,		/* longer than the server takes for anything */
	WORDS_MAX = 3
};

struct control {
	struct conn *c;		/* NULL: free */
	struct view view;
	int viewing;
	char last;		/* byte that was sent; a line end before the first */
};

static struct control sessions[CONTROLS];
static char piece[VIEW_PIECE];

const size_t control_memory = sizeof(sessions) + sizeof(piece);

/* ---- commands ---- */

static int
say(char *answer, int code, const char *words)
{
	(void)snprintf(answer, CONTROL_LINE, "%s", words);
	return code;
}

/* The answer for an errno. */
static int
trouble(char *answer, int e)
{
	switch (e) {
	case ENOENT:
		return say(answer, EX_NOINPUT, "no such letter waits for other servers");
	case EBUSY:
		return say(answer, EX_TEMPFAIL, "it is being sent just now; try again");
	case EILSEQ:
		return say(answer, EX_DATAERR, "not a letter");
	default:
		return say(answer, EX_IOERR, strerror(e));
	}
}

static int
hold(char **words, int n, char *answer)
{
	(void)n;
	if (relay_busy(words[1]))
		return trouble(answer, EBUSY);
	if (out_hold(words[1]) < 0)
		return trouble(answer, errno);
	log_event(words[1], "held by=postmaster");
	return 0;
}

static int
drop(char **words, int n, char *answer)
{
	int quiet = n == 3;

	if (quiet && strcmp(words[2], "quiet") != 0)
		return say(answer, EX_USAGE, "only \"quiet\" may stand behind the id");
	if (relay_drop(words[1], !quiet) < 0)
		return trouble(answer, errno);
	return 0;
}

static int
flush(char **words, int n, char *answer)
{
	char domain[ADDR_DOMAIN + 1], *what = n == 2 ? words[1] : NULL;

	if (what && !id_valid(what)) {
		(void)idn_ascii(domain, sizeof(domain), what, strlen(what));	/* it was checked */
		what = domain;
	}
	if (relay_flush(what) < 0)
		return trouble(answer, errno);
	log_event(what && id_valid(what) ? what : "-", "flushed by=postmaster what=%s",
	    what ? what : "all");
	return 0;
}

/* Also one with labels beyond ASCII. */
static int
is_domain(const char *name)
{
	char domain[ADDR_DOMAIN + 1];

	return idn_ascii(domain, sizeof(domain), name, strlen(name)) == 0 &&
	    addr_domain(domain, strlen(domain));
}

static const struct change {
	const char *name;
	int min, max;		/* words, with this one */
	int id;			/* the second is an id */
	int (*run)(char **words, int n, char *answer);
} changes[] = {
	{ "hold",  2, 2, 1, hold },
	{ "drop",  2, 3, 1, drop },
	{ "flush", 1, 2, 0, flush },
};

int
control_change(char **words, int n, char answer[CONTROL_LINE])
{
	const struct change *c;
	size_t i;

	answer[0] = '\0';
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		c = &changes[i];
		if (strcmp(words[0], c->name) != 0)
			continue;
		if (n < c->min || n > c->max)
			break;
		if (c->id ? !id_valid(words[1]) :
		    n == 2 && !id_valid(words[1]) && !is_domain(words[1]))
			return say(answer, EX_DATAERR, c->id ? "not the id of a letter" :
			    "neither the id of a letter nor a domain");
		return c->run(words, n, answer);
	}
	return say(answer, EX_USAGE, "unknown command or wrong arguments");
}

/* ---- a session of the postmaster ---- */

/* The last line, behind what was said so far. */
static void
finish(struct control *s, int code, const char *words)
{
	if (s->last != '\n')
		conn_put(s->c, "\n", 1);
	if (code)
		conn_printf(s->c, "error: %d %s\n", code, words);
	else
		conn_printf(s->c, "%s%sok\n", words, *words ? "\n" : "");
	view_end(&s->view);
	s->viewing = 0;
	conn_close(s->c, NULL);
}

static void
view(struct control *s, char **words, int n)
{
	char answer[CONTROL_LINE];
	int code;

	view_queue(&s->view);
	s->viewing = 1;
	if (n != (words[0][0] == 's' ? 2 : 1)) {
		finish(s, EX_USAGE, "wrong arguments");
	} else if (n == 2 && view_show(&s->view, words[1]) < 0) {
		code = errno == ENOENT ? say(answer, EX_NOINPUT, "no such letter waits") :
		    trouble(answer, errno);
		finish(s, code, answer);
	}
}

/* Take apart the words of a line that was checked to have no NUL: how many. */
static int
split(char *line, char **words)
{
	char *p = line;
	int n = 0;

	while (*p) {
		p += strspn(p, " \t\r");
		if (!*p)
			break;
		if (n == WORDS_MAX)
			return 0;
		words[n++] = p;
		p += strcspn(p, " \t\r");
		if (*p)
			*p++ = '\0';
	}
	return n;
}

static void
command(struct control *s, char *line)
{
	char answer[CONTROL_LINE], *words[WORDS_MAX] = { NULL };
	int code, n = split(line, words);

	if (n && (!strcmp(words[0], "queue") || !strcmp(words[0], "show"))) {
		view(s, words, n);
		return;
	}
	code = n ? control_change(words, n, answer) : say(answer, EX_USAGE, "no command");
	finish(s, code, answer);
}

static void
control_input(struct conn *c)
{
	struct control *s = c->session;
	char line[CONTROL_LINE];
	const char *p, *lf;
	size_t n;

	p = conn_in(c, &n);
	if (!p || s->viewing)
		return;
	lf = memchr(p, '\n', n);
	if (!lf && n < CONTROL_LINE)
		return;
	n = lf ? (size_t)(lf - p) : n;
	if (n >= CONTROL_LINE || memchr(p, '\0', n)) {
		finish(s, EX_USAGE, "not a command line");
		return;
	}
	(void)text_copy(line, sizeof(line), p, n);
	conn_eat(c, n + 1);
	command(s, line);
}

/* At least a piece; all sessions together share a slice of the turn. */
static void
control_drain(struct conn *c)
{
	struct control *s = c->session;
	int first = 1;
	ssize_t n;

	while (s->viewing && conn_room(c) >= sizeof(piece)) {
		if (!first && loop_ms() >= loop_now + SLICE_MS)
			return;
		first = 0;
		n = view_next(&s->view, piece);
		if (n < 0)
			finish(s, EX_IOERR, strerror(errno));
		else if (n == 0)
			finish(s, 0, "");
		else
			conn_put(c, piece, (size_t)n);
		if (n > 0)
			s->last = piece[n - 1];
	}
}

static void
control_end(struct conn *c)
{
	struct control *s = c->session;

	view_end(&s->view);
	s->c = NULL;
}

static const struct kind control_kind = {
	.name = "control",
	.input = control_input,
	.drain = control_drain,
	.end = control_end,
};

/* ---- accepting ---- */

static void
control_welcome(int fd)
{
	struct conn *c;
	int i;

	for (i = 0; i < CONTROLS - 1 && sessions[i].c; i++)
		;
	/* the postmaster comes in when all others have to wait */
	c = conn_new(fd, &control_kind, &transport_plain, 0);
	if (!c) {
		(void)close(fd);	/* nothing was said yet */
		return;
	}
	memset(&sessions[i], 0, sizeof(sessions[i]));
	view_queue(&sessions[i].view);
	sessions[i].last = '\n';
	sessions[i].c = c;
	c->session = &sessions[i];
	c->listener = -1;
	conn_limit(c, IDLE_MS, TOTAL_MS);
}

static void
submit_welcome(int fd)
{
	static const struct ip here = { .a = { [15] = 1 } };
	struct conn *c;

	c = conn_new(fd, &smtp_kind, &transport_plain, SPARE);
	if (!c) {
		(void)close(fd);	/* nothing was said yet */
		return;
	}
	c->listener = -1;
	c->peer = here;
	conn_limit(c, smtp_idle, session_total);
}

/* Take what waits at a socket, as long as there is room. */
static void
take(struct conn *c, int (*room)(void), void (*welcome)(int fd))
{
	int fd, i;

	for (i = 0; i < ACCEPTS; i++) {
		if (!room()) {
			conn_delay(c, FULL_MS);
			return;
		}
		fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED)
				conn_delay(c, FULL_MS);	/* no descriptors, no memory */
			return;
		}
		welcome(fd);
	}
}

static int
control_room(void)
{
	int i;

	for (i = 0; i < CONTROLS && sessions[i].c; i++)
		;
	return i < CONTROLS && conn_free() > 0;
}

static int
submit_room(void)
{
	return conn_free() > SPARE;
}

static void
control_ready(struct conn *c, int revents)
{
	(void)revents;
	take(c, control_room, control_welcome);
}

static void
submit_ready(struct conn *c, int revents)
{
	(void)revents;
	take(c, submit_room, submit_welcome);
}

static const struct kind control_listener = { .name = "listener", .ready = control_ready };
static const struct kind submit_listener = { .name = "listener", .ready = submit_ready };

/* ---- the sockets ---- */

static socklen_t
address(struct sockaddr_un *sa, const char *name)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	(void)text_copy(sa->sun_path, sizeof(sa->sun_path), name, strlen(name));
	return sizeof(*sa);
}

/* 0, or -1: not now. */
static int
listen_at(const char *name, mode_t mode, const struct kind *k)
{
	struct sockaddr_un sa;
	socklen_t n = address(&sa, name);
	struct conn *c = NULL;
	mode_t old;
	int e, fd, r;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (unlink(name) < 0 && errno != ENOENT)) {
		r = -1;
	} else {
		old = umask(~mode & 0777);	/* there is no moment with another mode */
		r = bind(fd, (struct sockaddr *)&sa, n);
		(void)umask(old);
	}
	if (r == 0 && listen(fd, SOMAXCONN) == 0)
		c = conn_new(fd, k, NULL, 0);
	if (c) {
		c->listener = -1;
		return 0;
	}
	e = errno;
	if (fd >= 0)
		(void)close(fd);	/* nobody has come yet */
	errno = e;
	return -1;
}

/* Whom a socket is for must be able to get at it through the directory; its rooms are closed. */
static void
open_store(mode_t sockets)
{
	mode_t want = (sockets & 0060 ? 0010 : 0) | (sockets & 0006 ? 0001 : 0);
	struct stat st;

	if (stat(".", &st) < 0 ||
	    ((st.st_mode & want) != want && chmod(".", (st.st_mode & 0777) | want) < 0))
		log_event("-", "store-closed error=\"%s\" note=\"others cannot reach its sockets\"",
		    strerror(errno));
}

static struct {
	const char *name;
	const mode_t *mode;
	const struct kind *kind;
	int up;
} doors[] = {
	{ CONTROL_SOCKET, &control_mode, &control_listener, 0 },
	{ SUBMIT_SOCKET, &submit_mode, &submit_listener, 0 },
};

void
control_init(void)
{
	open_store(control_mode | submit_mode);
	(void)control_tick(0);
}

/* On a full disk there may be no room for a name: mail is served all the same. */
int
control_tick(int wait)
{
	static int64_t at;
	size_t i;
	int missing = 0;

	for (i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
		if (!doors[i].up && loop_now >= at) {
			doors[i].up = listen_at(doors[i].name, *doors[i].mode, doors[i].kind) == 0;
			if (!doors[i].up)
				log_event("-", "socket-missing file=%s error=\"%s\"", doors[i].name,
				    strerror(errno));
		}
		missing |= !doors[i].up;
	}
	if (!missing)
		return wait;
	if (loop_now >= at)
		at = loop_now + AGAIN_MS;
	return wait < AGAIN_MS ? wait : AGAIN_MS;
}

int
control_dial(const char *name)
{
	static const struct timeval wait = { .tv_sec = DIAL_S };
	struct sockaddr_un sa;
	socklen_t n = address(&sa, name);
	int e, fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, (struct sockaddr *)&sa, n) == 0)
		return fd;
	e = errno;
	(void)close(fd);	/* nothing was said */
	errno = e;
	return -1;
}
