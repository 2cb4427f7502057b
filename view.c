/* See LICENSE file for copyright and licence details. */
/*
 * The queue as text, for the postmaster: piece by piece, so that ten thousand letters take neither
 * memory nor the time of others. What is only known while the server runs (who is being sent to,
 * the last words of other servers) comes from relay.c, which knows nothing in a command of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "lib/text.h"
#include "relay.h"

enum { SHOWN = 3 * ADDR_TEXT };	/* of an address or the parameters behind it, escaped */

static const char *const rooms[] = { "spool/out", "spool/hold", "spool/queue" };
enum { OUT, HOLD, LOCAL_ONLY, NROOMS };

int
id_valid(const char *id)
{
	return strlen(id) == 21 && strspn(id, "0123456789abcdef") == 21;
}

/* ---- a letter ---- */

static void
age_text(char dst[16], int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 3600)
		(void)snprintf(dst, 16, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		(void)snprintf(dst, 16, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
	else
		(void)snprintf(dst, 16, "%dd%02dh", (int)(s / 86400), (int)(s / 3600 % 24));
}

static char *
params_text(char dst[SHOWN], const char *params)
{
	dst[0] = ' ';
	text_escape(dst + 1, SHOWN - 1, params, strlen(params));
	if (!*params)
		dst[0] = '\0';
	return dst;
}

static char *
mailbox_text(char dst[SHOWN], const char *mailbox)
{
	return text_escape(dst, SHOWN, mailbox, strlen(mailbox));
}

static size_t
letter_line(const struct view *v, const struct out_line *l, char *dst)
{
	char from[SHOWN], params[SHOWN], age[16], next[DATE_TEXT] = "-";
	const char *state = v->room == HOLD ? "hold" : v->room == LOCAL_ONLY ? "local" : "deferred";
	int64_t due;

	if (v->room == OUT) {
		due = relay_due(v->id);
		if (relay_busy(v->id))
			state = "active";
		else if (due <= loop_wall)
			(void)text_copy(next, sizeof(next), "now", 3);
		else
			text_utc(next, due);
	}
	age_text(age, loop_wall - mail_birth(v->id));
	return (size_t)snprintf(dst, VIEW_PIECE, "%s %-8s %7s %9lld %-20s <%s>%s\n", v->id, state,
	    age, (long long)(v->end - v->text), next, mailbox_text(from, l->mailbox),
	    params_text(params, l->params));
}

static size_t
rcpt_line(const struct view *v, const struct out_line *l, char *dst)
{
	char to[SHOWN], params[SHOWN], last[2 * WORDS];
	const char *words = NULL;

	last[0] = '\0';
	if (l->state == 'T' && v->room != LOCAL_ONLY)
		words = outcome_words(v->id, v->at);
	if (words)
		text_escape(last, sizeof(last), words, strlen(words));
	return (size_t)snprintf(dst, VIEW_PIECE, "\t%-7s <%s>%s%s%s%s\n",
	    l->state == 'T' ? "waiting" : "done", mailbox_text(to, l->mailbox),
	    params_text(params, l->params), words ? " \"" : "", last, words ? "\"" : "");
}

/* Where the text begins, -1: not a letter. */
static off_t
find_text(int fd)
{
	static struct out_line l;
	off_t at = 0;
	long n;

	while ((n = out_line(fd, at, &l)) > 0 && at < ENVELOPE_MAX &&
	    (at == 0) == (l.state == 'F' || l.state == 'W'))
		at += n;
	return n == 0 && at > 0 ? at + 1 : -1;
}

static void
put_down(struct view *v)
{
	if (v->fd >= 0)
		(void)close(v->fd);	/* only read from */
	v->fd = -1;
}

static int
take_up(struct view *v, const char *id)
{
	char path[PATH_TEXT];
	struct stat st;

	if (!id_valid(id)) {
		errno = EILSEQ;
		return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", rooms[v->room], id);
	v->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (v->fd < 0)
		return -1;
	v->text = fstat(v->fd, &st) == 0 && S_ISREG(st.st_mode) ? find_text(v->fd) : -1;
	if (v->text < 0) {
		put_down(v);
		errno = EILSEQ;
		return -1;
	}
	(void)text_copy(v->id, sizeof(v->id), id, strlen(id));
	v->end = st.st_size;
	v->at = 0;
	v->any = 1;
	return 0;
}

/* The next line of the letter in hand that is of this room: its length, 0: the envelope ends. */
static ssize_t
next_line(struct view *v, char *dst)
{
	static struct out_line l;
	size_t k = 0;
	long n;

	while (!k && (n = out_line(v->fd, v->at, &l)) > 0) {
		if (v->at == 0)
			k = letter_line(v, &l, dst);
		else if (out_remote(&l) == (v->room != LOCAL_ONLY))
			k = rcpt_line(v, &l, dst);
		v->at += n;
	}
	return (ssize_t)k;
}

static ssize_t
next_text(struct view *v, char *dst)
{
	ssize_t n;

	if (v->at < v->text) {
		v->at = v->text;
		*dst = '\n';
		return 1;
	}
	n = pread(v->fd, dst, VIEW_PIECE, v->at);
	if (n > 0)
		v->at += n;
	return n;
}

/* ---- all of them ---- */

void
view_queue(struct view *v)
{
	memset(v, 0, sizeof(*v));
	v->fd = v->dir.fd = -1;
	v->room = -1;
}

int
view_show(struct view *v, const char *id)
{
	view_queue(v);
	v->one = 1;
	do
		v->room++;
	while (take_up(v, id) < 0 && errno == ENOENT && v->room < NROOMS - 1);
	return v->fd < 0 ? -1 : 0;
}

/* Take up the next letter: 1; 0: there are no more; -1. */
static int
next_letter(struct view *v)
{
	const char *name;

	for (;;) {
		if (v->dir.fd < 0) {
			if (v->room == NROOMS || ++v->room == NROOMS)
				return 0;
			if (fs_diropen(&v->dir, rooms[v->room]) < 0 && errno != ENOENT)
				return -1;
		}
		while ((name = fs_dirnext(&v->dir))) {
			if (take_up(v, name) == 0)
				return 1;
			/* it has left meanwhile, or is none of ours */
		}
		if (v->dir.bad)
			return -1;
	}
}

ssize_t
view_next(struct view *v, char *dst)
{
	ssize_t n;
	int r;

	for (;;) {
		if (v->fd >= 0) {
			n = next_line(v, dst);
			if (!n && v->one)
				n = next_text(v, dst);
			if (n)
				return n;
			put_down(v);
		}
		if (v->one)
			return 0;
		r = next_letter(v);
		if (r < 0)
			return -1;
		if (r == 0)
			break;
	}
	n = v->any ? 0 : snprintf(dst, VIEW_PIECE, "the queue is empty\n");
	v->any = 1;
	return n;
}

void
view_end(struct view *v)
{
	put_down(v);
	if (v->dir.fd >= 0)
		(void)close(v->dir.fd);	/* only read from */
	v->dir.fd = -1;
}
