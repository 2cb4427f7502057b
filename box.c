/* See LICENSE file for copyright and licence details. */
/*
 * Mailboxes: one mbox file for each account, mail/NAME, dialect mboxrd. Appending under the lock
 * that other programs honour (open-file-description locks exclude fcntl ones), syncing, and knowing
 * whether anyone else has touched the file. The index and POP3's view are in drop.c; what is
 * appended and when it is synced is decided in store.c.
 *
 * All uses of a mailbox in this process share one open file description, so our lock never shuts
 * ourselves out. A mailbox that was rewritten is a new file: programs that had opened the old one
 * and waited for its lock write into a file without a name; it is kept open for a while and what
 * appears at its end is carried over (box_tick).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"
#include "store.h"

enum {
	PIECE = 1 << 15,		/* of a letter's text at a time */
	HEAD = 4 * ADDR_TEXT,		/* what goes before it fits */
	OLD_MS = 180000,		/* how long a replaced mailbox is watched */
	DOT_S = 600			/* a dot lock that is older was forgotten */
};

struct box {
	int fd;				/* open file number + 1; 0: closed */
	int old;			/* the file that was replaced, + 1 */
	int locks;			/* uses of our lock */
	unsigned char noted;		/* a note is in the journal */
	unsigned char dirty;		/* appended to, not synced */
	unsigned char session;		/* a POP3 session has it */
	unsigned char busy;		/* an append is under way */
	off_t old_size;
	int64_t old_until;
	struct stamp indexed;		/* the index was made for this state */
	struct stamp seen;		/* and only we have appended up to this */
};

static struct box boxes[ACCOUNTS];
static int dirty_boxes;
static int dir_dirty;			/* a mailbox was made: mail/ wants a sync */
static char raw[PIECE];
static char quoted[HEAD + 2 * PIECE + 64];

const size_t box_memory = sizeof(boxes) + sizeof(raw) + sizeof(quoted) + ENVELOPE_MAX;

char *
box_path(char dst[PATH_TEXT], int user)
{
	(void)snprintf(dst, PATH_TEXT, "mail/%s", user_at(user)->name);
	return dst;
}

static void
trouble(int user, const char *what)
{
	log_event("-", "mailbox-trouble user=%s at=\"%s\" error=\"%s\"", user_at(user)->name, what,
	    strerror(errno));
}

void
box_init(void)
{
	char path[PATH_TEXT];
	int i;

	for (i = 0; i < ACCOUNTS; i++) {
		if (!user_at(i))
			continue;
		(void)snprintf(path, sizeof(path), "mail/.%s.new", user_at(i)->name);
		(void)unlink(path);	/* mostly not there */
	}
}

/* ---- opening, locking ---- */

static void
box_close(struct box *b)
{
	if (b->fd && !b->dirty && !b->session && !b->busy && !b->locks) {
		(void)close(b->fd - 1);		/* all was synced */
		b->fd = 0;
	}
}

/* Is the open file still the one at the path? */
static int
current(const struct box *b, const char *path)
{
	struct stat a, p;

	return fstat(b->fd - 1, &a) == 0 && stat(path, &p) == 0 && a.st_ino == p.st_ino &&
	    a.st_dev == p.st_dev;
}

int
box_open(int user, int make)
{
	struct box *b = &boxes[user];
	char path[PATH_TEXT];
	int fd;

	box_path(path, user);
	if (b->fd) {
		if (current(b, path))
			return b->fd - 1;
		/* somebody put another file there; what we had appended is theirs to keep */
		log_event("-", "mailbox-replaced user=%s", user_at(user)->name);
		(void)close(b->fd - 1);
		b->fd = b->locks = 0;
		memset(&b->seen, 0, sizeof(b->seen));
	}
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && make) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		dir_dirty = 1;
		if (fd >= 0 && fs_own(fd, "mail") < 0)
			trouble(user, "chown");
	}
	if (fd < 0)
		return -1;
	b->fd = fd + 1;
	return fd;
}

/*
 * Many programs lock twice, by fcntl and by a file NAME.lock. The second alone tells that Python's
 * mailbox module is about to put a new file there: it lets go of the first before it renames.
 */
static int
dot_locked(const char *path)
{
	char lock[PATH_TEXT + 8];
	const char *name = lock + sizeof("mail/") - 1;
	struct stat st;

	(void)snprintf(lock, sizeof(lock), "%s.lock", path);
	return user_find(name, strlen(name)) < 0 && lstat(lock, &st) == 0 &&
	    loop_wall - st.st_mtime < DOT_S && st.st_mtime - loop_wall < DOT_S;
}

int
box_lock(int user)
{
	struct box *b = &boxes[user];
	char path[PATH_TEXT];

	if (!b->locks) {
		if (fs_lock(b->fd - 1) < 0)
			return -1;
		box_path(path, user);
		if (!current(b, path) || dot_locked(path)) {
			fs_unlock(b->fd - 1);
			errno = EAGAIN;
			return -1;
		}
	}
	b->locks++;
	return 0;
}

void
box_unlock(int user)
{
	struct box *b = &boxes[user];

	if (b->locks && !--b->locks) {
		fs_unlock(b->fd - 1);
		box_close(b);
	}
}

int
box_claim(int user)
{
	if (boxes[user].session)
		return -1;
	boxes[user].session = 1;
	return 0;
}

void
box_disclaim(int user)
{
	boxes[user].session = 0;
	box_close(&boxes[user]);
}

int
box_busy(int user)
{
	return boxes[user].busy;
}

uint64_t
box_size(int user)
{
	char path[PATH_TEXT];
	struct stat st;

	return stat(box_path(path, user), &st) < 0 ? 0 : (uint64_t)st.st_size;
}

int
box_ours(int user, const struct stamp *indexed, const struct stamp *st)
{
	const struct box *b = &boxes[user];

	/* an index without a stamp is of no use; a mailbox without one neither: two of them do not
	 * agree */
	return fs_same(indexed, st) || (indexed->ino && fs_same(&b->indexed, indexed) &&
	    fs_same(&b->seen, st));
}

void
box_indexed(int user, const struct stamp *st)
{
	boxes[user].indexed = boxes[user].seen = *st;
}

/* ---- a letter as a mailbox has it ---- */

/* An id begins with the microseconds. */
int64_t
mail_birth(const char *id)
{
	char us[14];

	memcpy(us, id, 13);
	us[13] = '\0';
	return (int64_t)(strtoull(us, NULL, 16) / 1000000);
}

char *
mail_envelope(const struct mail *m)
{
	static char env[ENVELOPE_MAX];
	size_t n = (size_t)(m->text - m->at);

	if (m->text < m->at || n >= sizeof(env) || fs_read(m->fd, env, n, m->at) < 0)
		return NULL;
	env[n] = '\0';
	return (*env == 'F' || *env == 'W') && env[1] == '<' ? env : NULL;
}

int
mail_rcpt(const char *env, const char **line, struct rcpt *r)
{
	const char *e, *p = *line ? *line : env, *name;

	while ((p = strchr(p, '\n')) && (p[1] == 'T' || p[1] == 'D')) {
		p++;
		e = strchr(p, '\n');
		if (!e)
			return 0;
		for (name = e; name > p && *name != '>'; name--)
			;
		if (name == p || name + 1 == e || (name[2] >= 'A' && name[2] <= 'Z'))
			continue;	/* one for another server, maybe with parameters */
		*line = p;
		r->state = *p;
		r->at = p - env;
		r->name = name + 2;
		r->nname = (size_t)(e - name - 2);
		r->user = user_find(r->name, r->nname);
		return 1;
	}
	return 0;
}

/* In a From_ line a sender has no spaces. */
static void
from_sender(char *dst, const char *sender)
{
	const char *s = *sender ? sender : "MAILER-DAEMON";

	while (*s) {
		*dst++ = *s > 0x20 && *s < 0x7f ? *s : '-';
		s++;
	}
	*dst = '\0';
}

/* The recipient as it was written: in the line "T<recipient> account" or "D<...". */
static void
original(char dst[ADDR_TEXT + 1], char *line, const char *name)
{
	char *e, *next;

	(void)text_copy(dst, ADDR_TEXT + 1, name, strlen(name));
	for (; line && (*line == 'T' || *line == 'D'); line = next) {
		next = strchr(line, '\n');
		if (!next)
			return;
		*next++ = '\0';
		e = strrchr(line, '>');
		if (e && e[1] == ' ' && !strcmp(e + 2, name)) {
			(void)text_copy(dst, ADDR_TEXT + 1, line + 2, (size_t)(e - line - 2));
			return;
		}
	}
}

/* From_ line and the trace fields of the delivery. */
static ssize_t
head(const struct emit *e)
{
	char date[DATE_TEXT], from[ADDR_TEXT + 16], to[ADDR_TEXT + 1], *env, *sender, *close, *end;
	int n;

	env = mail_envelope(e->m);
	if (!env || !(end = strchr(env, '\n')))
		return -1;
	sender = env + 2;
	for (close = end; close > sender && *close != '>'; close--)
		;		/* parameters may follow */
	*close = '\0';
	if (strlen(sender) > ADDR_TEXT)
		return -1;
	from_sender(from, sender);
	original(to, end + 1, user_at(e->user)->name);
	n = snprintf(quoted, sizeof(quoted), "From %s %s\nReturn-Path: <%s>\nDelivered-To: %s\n",
	    from, text_fromdate(date, mail_birth(e->m->id)), sender, to);
	return n;
}

void
emit_init(struct emit *e, const struct mail *m, int user)
{
	e->m = m;
	e->user = user;
	e->stage = E_HEAD;
	e->at = m->text;
	mbox_quote_init(&e->q);
}

ssize_t
emit_next(struct emit *e, const char **p)
{
	ssize_t had = 0;
	size_t n = 0;

	*p = quoted;
	if (e->stage == E_HEAD) {
		had = head(e);
		e->stage = E_TEXT;
	}
	if (had < 0 || e->stage == E_DONE)
		return had;
	while (!n) {
		n = e->m->end - e->at < PIECE ? (size_t)(e->m->end - e->at) : PIECE;
		if (n && fs_read(e->m->fd, raw, n, e->at) < 0)
			return -1;
		e->at += (off_t)n;
		n = (size_t)had + mbox_quote_feed(&e->q, quoted + had, raw, n);
		if (e->at == e->m->end) {
			n += mbox_quote_end(&e->q, quoted + n);
			quoted[n++] = '\n';
			e->stage = E_DONE;
		}
	}
	return (ssize_t)n;
}

/* ---- appending ---- */

static void
mark_dirty(struct box *b)
{
	if (!b->dirty)
		dirty_boxes++;
	b->dirty = 1;
}

/* What is missing for the file to end in a blank line: 0 to 2 line ends; -1 on trouble. */
static int
mend(int fd, off_t size)
{
	char t[2] = { '\n', '\n' };

	if (size == 0)
		return 0;
	if (size == 1)
		return fs_read(fd, t + 1, 1, 0) < 0 ? -1 : t[1] == '\n' ? 0 : 2;
	if (fs_read(fd, t, 2, size - 2) < 0)
		return -1;
	return t[1] != '\n' ? 2 : t[0] != '\n';
}

/* It is over: on failure nothing of it stays in the mailbox. */
static enum res
append_end(struct append *a, enum res r)
{
	struct box *b = &boxes[a->user];
	struct stat st;

	b->busy = 0;
	if (r == R_TEMP) {
		trouble(a->user, "append");
		if (a->start >= 0 && ftruncate(b->fd - 1, a->start) < 0) {
			trouble(a->user, "truncate");
			store_break("mailbox");		/* a torn letter: recovery cuts it off */
		}
	}
	if (fstat(b->fd - 1, &st) == 0)
		fs_stamp(&b->seen, &st);
	box_unlock(a->user);
	return r;
}

enum res
append_step(struct append *a, int64_t until)
{
	int fd = boxes[a->user].fd - 1;
	const char *p;
	ssize_t n;

	do {
		n = emit_next(&a->e, &p);
		if (n < 0 || (n && fs_write(fd, p, (size_t)n, a->at) < 0))
			return append_end(a, R_TEMP);
		a->at += n;
		if (n == 0)
			return append_end(a, R_OK);
	} while (a->e.stage == E_DONE || loop_ms() < until);
	return R_AGAIN;
}

enum res
append_begin(struct append *a, int user, const struct mail *m)
{
	struct box *b = &boxes[user];
	struct stamp now;
	struct stat st;
	int fd, n;

	if (!user_at(user) || user_at(user)->gone)
		return R_PERM;
	if (b->busy)
		return R_TEMP;
	fd = box_open(user, 1);
	if (fd < 0 || box_lock(user) < 0) {
		if (fd < 0 || errno != EAGAIN)
			trouble(user, fd < 0 ? "open" : "lock");
		box_close(b);
		return R_TEMP;
	}
	b->busy = 1;
	mark_dirty(b);
	a->user = user;
	a->start = -1;		/* nothing to cut off yet */
	emit_init(&a->e, m, user);
	if (fstat(fd, &st) < 0)
		return append_end(a, R_TEMP);
	fs_stamp(&now, &st);
	if (!fs_same(&now, &b->seen))
		memset(&b->indexed, 0, sizeof(b->indexed));
	a->start = a->at = st.st_size;
	n = mend(fd, st.st_size);
	if (n < 0 || (n && fs_write(fd, "\n\n", (size_t)n, a->at) < 0))
		return append_end(a, R_TEMP);
	a->at += n;
	return R_AGAIN;
}

/* ---- notes and syncs ---- */

int
box_note(int user, struct note *n)
{
	char path[PATH_TEXT];
	struct stat st;

	if (boxes[user].noted)
		return 0;
	if (boxes[user].dirty && !boxes[user].busy && box_sync(user) < 0)
		return -1;		/* the note would not be true */
	memset(n, 0, sizeof(*n));
	if (stat(box_path(path, user), &st) == 0) {
		n->ino = (uint64_t)st.st_ino;
		n->size = (uint64_t)st.st_size;
	}
	return 1;
}

void
box_noted(int user)
{
	boxes[user].noted = 1;
}

static int
sync_dir(void)
{
	if (dir_dirty && fs_syncdir("mail") < 0) {
		log_event("-", "disk-trouble at=\"mail\" error=\"%s\"", strerror(errno));
		return -1;
	}
	dir_dirty = 0;
	return 0;
}

int
box_sync(int user)
{
	struct box *b = &boxes[user];

	if (b->dirty) {
		if (fs_sync(b->fd - 1) < 0) {
			trouble(user, "sync");
			return -1;
		}
		b->dirty = 0;
		dirty_boxes--;
	}
	if (sync_dir() < 0)
		return -1;
	b->noted = 0;
	box_close(b);
	return 0;
}

int
box_syncall(void)
{
	int i, r = 0;

	for (i = 0; i < ACCOUNTS; i++)
		if ((boxes[i].dirty || boxes[i].noted) && !boxes[i].busy && box_sync(i) < 0)
			r = -1;
	return r;
}

void
box_forget(int user)
{
	struct box *b = &boxes[user];

	if (b->dirty)
		dirty_boxes--;
	b->dirty = b->noted = 0;
	memset(&b->indexed, 0, sizeof(b->indexed));
	memset(&b->seen, 0, sizeof(b->seen));
	box_close(b);
}

int
box_used(int user)
{
	return boxes[user].session || boxes[user].busy;
}

int
box_dirty(void)
{
	return dirty_boxes;
}

int
box_cut(int user, off_t size)
{
	char path[PATH_TEXT];
	int fd, r;

	fd = open(box_path(path, user), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	r = fs_lock(fd) < 0 || ftruncate(fd, size) < 0 || fsync(fd) < 0 ? -1 : 0;
	(void)close(fd);	/* synced or failed already */
	return r;
}

/* ---- rewriting: the file that was there before ---- */

void
box_replace(int user, int fd)
{
	struct box *b = &boxes[user];
	struct stat st;

	if (b->old)
		(void)close(b->old - 1);	/* watched long enough */
	b->old = 0;
	if (fstat(b->fd - 1, &st) == 0) {
		/* empty, or a program that had read it might put what it read in the new one's
		 * place */
		b->old = b->fd;
		b->old_size = ftruncate(b->fd - 1, 0) < 0 ? st.st_size : 0;
		b->old_until = loop_now + OLD_MS;
		fs_unlock(b->fd - 1);
	} else {
		(void)close(b->fd - 1);		/* its content lives on in the new one */
	}
	if (b->dirty) {
		b->dirty = 0;
		dirty_boxes--;
	}
	b->noted = 0;
	b->locks = 0;
	b->fd = fd + 1;
	if (fstat(fd, &st) == 0)
		fs_stamp(&b->seen, &st);
	memset(&b->indexed, 0, sizeof(b->indexed));
}

/* Carry over what a program has appended to the old file. */
static int
carry(int user, struct box *b, off_t size)
{
	off_t at, to;
	ssize_t n;
	int fd = box_open(user, 1);
	struct stat st;

	if (fd < 0 || box_lock(user) < 0)
		return -1;
	if (fstat(fd, &st) < 0 || (n = mend(fd, st.st_size)) < 0 ||
	    fs_write(fd, "\n\n", (size_t)n, st.st_size) < 0) {
		box_unlock(user);
		return -1;
	}
	mark_dirty(b);
	to = st.st_size + n;
	for (at = b->old_size; at < size; at += n, to += n) {
		n = size - at < PIECE ? (ssize_t)(size - at) : PIECE;
		if (fs_read(b->old - 1, raw, (size_t)n, at) < 0 ||
		    fs_write(fd, raw, (size_t)n, to) < 0)
			break;
	}
	n = at < size || fs_sync(fd) < 0 ? -1 : 0;
	if (n < 0 && ftruncate(fd, st.st_size) < 0)
		trouble(user, "truncate");
	box_unlock(user);
	return (int)n;
}

static void
watch(int user, struct box *b)
{
	struct stat st;

	if (fstat(b->old - 1, &st) == 0 && st.st_size > b->old_size) {
		if (fs_lock(b->old - 1) < 0)
			return;		/* still writing */
		if (fstat(b->old - 1, &st) < 0 || carry(user, b, st.st_size) < 0) {
			trouble(user, "carry over");
			fs_unlock(b->old - 1);
			return;
		}
		log_event("-", "mailbox-carried user=%s bytes=%lld", user_at(user)->name,
		    (long long)(st.st_size - b->old_size));
		b->old_size = st.st_size;
		fs_unlock(b->old - 1);
	}
	if (loop_now >= b->old_until) {
		(void)close(b->old - 1);
		b->old = 0;
	}
}

void
box_tick(void)
{
	int i;

	for (i = 0; i < ACCOUNTS; i++)
		if (boxes[i].old && !boxes[i].busy)
			watch(i, &boxes[i]);
}
