/* See LICENSE file for copyright and licence details. */
/*
 * Letters that wait in spool/queue: one at a time, one recipient after the other, in slices. For
 * each: checkpoint, note, append, sync the mailbox, then T becomes D and that is synced too; the
 * file goes when no T is left. A crash in between leaves the T, the note and what recover.c needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"
#include "store.h"

enum { VOIDS = 16 };

static char voided[VOIDS][ID_TEXT];

static struct fs_dir dir;	/* open when q.walking */

static struct {
	struct mail m;		/* m.fd < 0: no file in hand */
	struct append a;
	off_t next;		/* of the recipient lines: those before are dealt with */
	off_t state_at;		/* of the state byte in hand */
	int user;		/* being appended to, -1: none */
	int locked;		/* we hold the lock of its mailbox */
	int left;		/* recipients that must wait */
	int bad;		/* a recipient without an account */
	int walking;
	int late;		/* another round is wanted */
	int64_t at;		/* when, 0: never */
} q = { .m = { .fd = -1 }, .user = -1 };

static void
queue_path(char path[PATH_TEXT], const char *room, const char *id)
{
	(void)snprintf(path, PATH_TEXT, "spool/%s/%s", room, id);
}

void
queue_kick(void)
{
	q.late = 1;
	q.at = loop_now;
}

void
queue_late(void)
{
	q.late = 1;
	if (!q.at)
		q.at = loop_now + retry_locked;
}

void
queue_void(const char *id)
{
	static int next;

	(void)text_copy(voided[next], ID_TEXT, id, strlen(id));
	next = (next + 1) % VOIDS;
	queue_late();
}

/* Was it refused? Then it goes, or the next round tries again. */
static int
refused(const char *id)
{
	char path[PATH_TEXT];
	int i;

	for (i = 0; i < VOIDS && strcmp(voided[i], id) != 0; i++)
		;
	if (i == VOIDS)
		return 0;
	queue_path(path, "queue", id);
	if (unlink(path) < 0)
		queue_late();
	else
		voided[i][0] = '\0';
	return 1;
}

int
queue_idle(void)
{
	return q.user < 0;
}

static void
drop(struct mail *m)
{
	int e = errno;

	(void)close(m->fd);	/* only read from */
	m->fd = -1;
	errno = e;
}

/* An id is 21 hexadecimal digits; its file is read up to the blank line behind the envelope. */
int
queue_open(struct mail *m, const char *id, int *bad)
{
	char path[PATH_TEXT], *env, *e;
	struct stat st;

	*bad = 0;
	m->fd = -1;
	if (text_copy(m->id, sizeof(m->id), id, strlen(id)) < 0 || strlen(id) != ID_TEXT - 3) {
		*bad = 1;
		return -1;
	}
	queue_path(path, "queue", id);
	m->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (m->fd < 0)
		return -1;
	if (fstat(m->fd, &st) < 0) {
		drop(m);
		return -1;
	}
	m->at = 0;
	m->end = st.st_size;
	m->text = st.st_size < ENVELOPE_MAX ? st.st_size : ENVELOPE_MAX - 1;
	errno = 0;
	env = mail_envelope(m);
	e = env ? strstr(env, "\n\n") : NULL;
	if (!e) {
		*bad = env || !errno;	/* what cannot be read now may be very well */
		drop(m);
		return -1;
	}
	m->text = e + 2 - env;
	return 0;
}

static void
set_aside(const char *id, const char *why)
{
	char from[PATH_TEXT], to[PATH_TEXT];

	queue_path(from, "queue", id);
	queue_path(to, "bad", id);
	if (rename(from, to) < 0)
		store_trouble("spool/bad");
	else
		log_event(id, "set-aside file=%s reason=\"%s\"", to, why);
}

/* The file in hand is done with for this round. */
static void
put_down(void)
{
	char path[PATH_TEXT];

	(void)close(q.m.fd);	/* what counts was synced */
	q.m.fd = -1;
	queue_path(path, "queue", q.m.id);
	if (q.left)
		queue_late();
	else if (q.bad)
		set_aside(q.m.id, "no such account");
	else if (unlink(path) < 0 && errno != ENOENT)
		store_trouble("queue");
}

static void
done(enum res r)
{
	int user = q.user;

	q.user = -1;
	/* letters that count on our note, before the sync voids it */
	(void)store_commit(1);
	if (r == R_OK && (box_sync(user) < 0 || fs_write(q.m.fd, "D", 1, q.state_at) < 0 ||
	    fs_sync(q.m.fd) < 0)) {
		/* it may be in the mailbox, and T says it is not: only recovery can tell */
		store_break("queue");
		r = R_TEMP;
	}
	if (q.locked)
		box_unlock(user);
	q.locked = 0;
	if (r == R_OK)
		log_event(q.m.id, "delivered to=%s", user_at(user)->name);
	else
		q.left++;
}

/* The next recipient of the file in hand: 1, or 0 when there is none. */
static int
next_rcpt(void)
{
	const char *line = NULL;
	struct rcpt r;
	char *env = mail_envelope(&q.m);

	if (!env) {
		q.left++;
		return 0;
	}
	while (mail_rcpt(env, &line, &r)) {
		if (r.at < q.next || r.state != 'T')
			continue;
		q.next = r.at + 1;
		if (r.user < 0) {
			q.bad = 1;
			continue;
		}
		q.state_at = r.at;
		q.user = r.user;
		return 1;
	}
	return 0;
}

/*
 * Before the first byte: a checkpoint, so that the note is alone with this letter. No other program
 * gets in between the note and the D.
 */
static enum res
begin(int user)
{
	q.user = -1;
	if (store_checkpoint() < 0)
		return R_TEMP;
	if (user_at(user)->gone)
		return R_PERM;
	q.locked = box_open(user, 1) >= 0 && box_lock(user) == 0;
	if (!q.locked || store_note(user) < 0 || journal_sync(&journal) < 0)
		return R_TEMP;
	q.user = user;
	return append_begin(&q.a, user, &q.m);
}

static void
later(const char *what)
{
	store_trouble(what);
	queue_late();
}

/* Take up the next file: 1, or 0 at the end of the round. */
static int
take_up(void)
{
	const char *name;
	int bad;

	errno = 0;
	while ((name = fs_dirnext(&dir))) {
		if (refused(name))
			continue;
		if (queue_open(&q.m, name, &bad) == 0) {
			q.next = 0;
			q.left = q.bad = 0;
			return 1;
		}
		if (bad)
			set_aside(name, "not a queue file");
		else if (errno != ENOENT)
			later("queue");
		errno = 0;
	}
	if (errno)
		later("spool/queue");
	q.walking = 0;
	return 0;
}

static void
slice(void)
{
	enum res r;

	if (q.user >= 0) {
		r = append_step(&q.a, loop_ms() + SLICE_MS);
		if (r != R_AGAIN)
			done(r);
	} else if (q.m.fd < 0) {
		(void)take_up();
	} else if (next_rcpt()) {
		int user = q.user;

		r = begin(user);
		q.user = user;
		if (r != R_AGAIN)
			done(r);
	} else {
		put_down();
	}
}

int
queue_take(const char *id, off_t *text, off_t *end)
{
	struct mail m;
	int bad;

	if (queue_open(&m, id, &bad) < 0) {
		errno = bad ? EILSEQ : errno;
		return -1;
	}
	(void)close(m.fd);	/* it may change now */
	if (store_checkpoint() < 0) {
		errno = EIO;
		return -1;
	}
	if (queue_open(&m, id, &bad) < 0)
		return -1;
	*text = m.text;
	*end = m.end;
	return m.fd;
}

int
queue_gone(const char *id)
{
	char path[PATH_TEXT];

	queue_path(path, "queue", id);
	return unlink(path) < 0 && errno != ENOENT ? -1 : fs_syncdir("spool/queue");
}

int
queue_tick(int wait)
{
	if (!q.walking && q.late && loop_now >= q.at) {
		q.late = 0;
		q.at = 0;
		if (fs_diropen(&dir, "spool/queue") < 0) {
			store_trouble("spool/queue");
			queue_late();
		} else {
			q.walking = 1;
		}
	}
	if (q.walking) {
		slice();
		return 0;
	}
	if (q.late && q.at - loop_now < wait)
		wait = q.at > loop_now ? (int)(q.at - loop_now) : 0;
	return wait;
}
