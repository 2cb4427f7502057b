/* See LICENSE file for copyright and licence details. */
/*
 * The maildrop: a mailbox as one POP3 session sees it. It is read through an index,
 *
 *	spool/index/NAME	one struct index_head, then a struct drop_msg for each message
 *
 * which is only a cache: valid for the very state of the mailbox (inode, size, times) and the boot
 * it was made for, since nothing of it is ever synced. When only we have appended since, the tail
 * is scanned; otherwise everything, in slices. Marks for deletion are kept in the index too, each
 * with the number of its session, so that a session needs no memory for them.
 *
 * Deleting: everything, and nothing new: cut to nothing; a tail, and nothing new: cut there; else
 * what stays is copied to mail/.NAME.new in slices, while appends to the old file go on; when the
 * copy has caught up it is synced and renamed over the mailbox. A crash leaves the old one or the
 * new one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "mail.h"

enum {
	JOBS = 8,		/* scans and copies at once */
	RECORDS = 64,		/* records written to or read from the index at once */
	PIECE = 1 << 16,	/* of a mailbox read at once */
	PUSH = 1 << 20,		/* bytes copied between asking the kernel to write */
	SYNC = 4 << 20,		/* and between waiting for it, so that no wait is long */
	SMALL = 1 << 20,	/* a message that drop_check reads in full */
	TAIL = 1024		/* what it reads behind a message */
};

struct index_head {
	uint64_t magic;
	unsigned char boot[16];
	struct stamp stamp;
	uint64_t octets;
	uint32_t n, epoch;
};

#define INDEX_MAGIC UINT64_C(0x3178646e69696d31)
#define INDEX_FIRST ((off_t)sizeof(struct index_head))

struct job {
	struct drop *d;		/* NULL: free */
	struct mbox_scan scan;
	struct drop_msg rec[RECORDS];
	uint32_t nrec;		/* records in rec */
	uint32_t i, kept;	/* next record to look at, and to write */
	int bad;
	int strange;		/* something stands before the first message */
	int fd;			/* the new mailbox */
	uint64_t from, to;	/* bytes of the old one to copy */
	uint64_t at, pushed, synced;	/* of the new one */
	uint64_t octets;	/* kept */
	int tail;		/* copying what the index does not know */
};

static struct job jobs[JOBS];
static char piece[PIECE];
static unsigned char boot[16];

const size_t drop_memory = sizeof(jobs) + sizeof(piece);

void
drop_init(void)
{
	char text[64];

	if (fs_slurp("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 32)
		random_bytes(boot, sizeof(boot));
	else
		memcpy(boot, text, sizeof(boot));
}

/* ---- the index file ---- */

static off_t
record_at(uint32_t i)
{
	return INDEX_FIRST + (off_t)i * (off_t)sizeof(struct drop_msg);
}

static int
get_head(const struct drop *d, struct index_head *h)
{
	struct stat st;

	return fs_read(d->index, h, sizeof(*h), 0) == 0 && h->magic == INDEX_MAGIC &&
	    !memcmp(h->boot, boot, sizeof(boot)) && fstat(d->index, &st) == 0 &&
	    st.st_size >= record_at(h->n) ? 0 : -1;
}

/* Without a stamp the index says: scan again. */
static int
put_head(const struct drop *d, const struct stamp *st)
{
	struct index_head h;

	memset(&h, 0, sizeof(h));
	h.magic = INDEX_MAGIC;
	memcpy(h.boot, boot, sizeof(boot));
	if (st)
		h.stamp = *st;
	h.octets = d->octets;
	h.n = d->n;
	h.epoch = d->epoch;
	return fs_write(d->index, &h, sizeof(h), 0);
}

static const char *
index_path(char path[PATH_TEXT], int user)
{
	(void)snprintf(path, PATH_TEXT, "spool/index/%s", user_at(user)->name);
	return path;
}

static int
open_index(struct drop *d)
{
	char path[PATH_TEXT];

	d->index = open(index_path(path, d->user), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return d->index < 0 ? -1 : 0;
}

static int
flush_records(struct job *j)
{
	if (j->nrec && fs_write(j->d->index, j->rec, j->nrec * sizeof(j->rec[0]),
	    record_at(j->kept)) < 0)
		return -1;
	j->kept += j->nrec;
	j->nrec = 0;
	return 0;
}

static int
add_record(struct job *j, const struct drop_msg *m)
{
	j->rec[j->nrec++] = *m;
	return j->nrec == RECORDS ? flush_records(j) : 0;
}

/* ---- jobs ---- */

static struct job *
job_get(struct drop *d)
{
	int i;

	for (i = 0; i < JOBS && jobs[i].d; i++)
		;
	if (i == JOBS)
		return NULL;
	memset(&jobs[i], 0, sizeof(jobs[i]));
	jobs[i].d = d;
	jobs[i].fd = -1;
	d->job = &jobs[i];
	return d->job;
}

static void
job_put(struct drop *d)
{
	if (d->job) {
		if (d->job->fd >= 0)
			(void)close(d->job->fd);	/* given up */
		d->job->d = NULL;
		d->job = NULL;
	}
}

static int
lock(struct drop *d)
{
	if (box_lock(d->user) < 0)
		return -1;
	d->locked = 1;
	return 0;
}

static void
unlock(struct drop *d)
{
	if (d->locked)
		box_unlock(d->user);
	d->locked = 0;
}

void
drop_close(struct drop *d)
{
	char path[PATH_TEXT];

	if (d->state == D_CLOSED)
		return;
	if (d->state == D_COPY) {
		(void)snprintf(path, sizeof(path), "mail/.%s.new", user_at(d->user)->name);
		(void)unlink(path);	/* may not have been made yet */
	}
	job_put(d);
	unlock(d);
	if (d->index >= 0)
		(void)close(d->index);	/* only a cache */
	if (d->fd >= 0)
		(void)close(d->fd);	/* what we changed was synced */
	if (d->state != D_WAIT)
		box_disclaim(d->user);
	d->fd = d->index = -1;
	d->state = D_CLOSED;
}

static void
trouble(const struct drop *d, const char *what)
{
	log_event("-", "maildrop-trouble user=%s at=\"%s\" error=\"%s\"", user_at(d->user)->name,
	    what, strerror(errno));
}

/* The mailbox was claimed by d. */
static enum drop_res
fail(struct drop *d, const char *what)
{
	trouble(d, what);
	if (d->state == D_WAIT)
		d->state = D_OPEN;	/* so that it is let go */
	drop_close(d);
	return DROP_TEMP;
}

static int
record(struct drop *d, uint32_t i, struct drop_msg *m)
{
	return i < d->n ? fs_read(d->index, m, sizeof(*m), record_at(i)) : -1;
}

/* ---- opening ---- */

static enum drop_res
begin_session(struct drop *d, const struct stamp *valid)
{
	d->epoch++;
	d->state = D_OPEN;
	d->nmarked = 0;
	d->marked_octets = 0;
	d->first = d->n;
	return put_head(d, valid) < 0 ? fail(d, "index") : DROP_READY;
}

static void
emitted(void *arg, const struct mbox_msg *m)
{
	struct job *j = arg;
	struct drop_msg r;

	memset(&r, 0, sizeof(r));
	r.m = *m;
	j->d->octets += m->octets;
	j->strange |= !j->d->n++ && m->from;
	if (add_record(j, &r) < 0)
		j->bad = errno;
}

static enum drop_res
scan(struct drop *d)
{
	struct job *j = d->job;
	int64_t until = loop_ms() + SLICE_MS;
	size_t n;

	do {
		if (j->scan.at == d->covered) {
			mbox_scan_end(&j->scan);
			if (flush_records(j) < 0 || j->bad)
				return fail(d, "index");
			if (j->strange || (!d->n && d->covered))
				log_event("-", "mailbox-odd user=%s "
				    "note=\"it does not begin with a From_ line\"",
				    user_at(d->user)->name);
			box_indexed(d->user, &d->stamp);
			job_put(d);
			unlock(d);
			return begin_session(d, &d->stamp);
		}
		n = d->covered - j->scan.at < PIECE ? (size_t)(d->covered - j->scan.at) : PIECE;
		if (fs_read(d->fd, piece, n, (off_t)j->scan.at) < 0)
			return fail(d, "scan");
		mbox_scan_feed(&j->scan, piece, n);
		if (j->bad) {
			errno = j->bad;
			return fail(d, "index");
		}
	} while (loop_ms() < until);
	return DROP_AGAIN;
}

/* The index is of no use, or (tail) only its last message may have changed and more may follow. */
static enum drop_res
begin_scan(struct drop *d, int tail)
{
	struct drop_msg last;
	struct job *j = job_get(d);
	uint64_t from = 0;

	if (!j)
		return DROP_AGAIN;
	if (tail && d->n) {
		if (record(d, d->n - 1, &last) < 0)
			return fail(d, "index");
		from = last.m.from;
		d->octets -= last.m.octets;
		d->n--;
	} else {
		d->n = 0;
		d->octets = 0;
	}
	j->kept = d->n;
	mbox_scan_init(&j->scan, from, emitted, j);
	if (put_head(d, NULL) < 0)
		return fail(d, "index");
	d->state = D_SCAN;
	return scan(d);
}

/* The mailbox is open and locked. */
static enum drop_res
look(struct drop *d)
{
	struct index_head h;
	struct stat st;
	enum drop_res r;
	int valid;

	if (fstat(d->fd, &st) < 0 || open_index(d) < 0)
		return fail(d, "index");
	fs_stamp(&d->stamp, &st);
	d->covered = d->stamp.size;
	valid = get_head(d, &h) == 0;
	d->n = valid ? h.n : 0;
	d->octets = valid ? h.octets : 0;
	d->epoch = valid ? h.epoch : 0;
	if (valid && fs_same(&h.stamp, &d->stamp)) {
		unlock(d);
		box_indexed(d->user, &d->stamp);
		return begin_session(d, &d->stamp);
	}
	r = begin_scan(d, valid && box_ours(d->user, &h.stamp, &d->stamp));
	if (r == DROP_AGAIN && d->state == D_WAIT) {
		unlock(d);
		(void)close(d->index);
		(void)close(d->fd);
		d->fd = d->index = -1;
		box_disclaim(d->user);
	}
	return r;
}

static enum drop_res
try_open(struct drop *d)
{
	int fd;

	if (store_broken()) {
		d->state = D_CLOSED;	/* a torn letter may be in sight */
		return DROP_TEMP;
	}
	if (box_busy(d->user))
		return DROP_AGAIN;
	if (box_claim(d->user) < 0) {
		d->state = D_CLOSED;
		return DROP_INUSE;
	}
	fd = box_open(d->user, 0);
	if (fd < 0 && errno == ENOENT) {
		d->state = D_OPEN;
		return DROP_READY;
	}
	if (fd >= 0)
		d->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (d->fd < 0 || lock(d) < 0) {
		int busy = d->fd >= 0 && errno == EAGAIN;

		(void)fail(d, d->fd < 0 ? "open" : "lock");
		return busy ? DROP_INUSE : DROP_TEMP;
	}
	return look(d);
}

enum drop_res
drop_open(struct drop *d, int user)
{
	memset(d, 0, sizeof(*d));
	d->user = user;
	d->fd = d->index = -1;
	d->state = D_WAIT;
	return try_open(d);
}

/* ---- reading ---- */

int
drop_msg(struct drop *d, uint32_t i, struct drop_msg *m)
{
	if (record(d, i, m) == 0)
		return 0;
	trouble(d, "index");
	return -1;
}

ssize_t
drop_read(struct drop *d, void *p, size_t n, uint64_t at)
{
	ssize_t r = pread(d->fd, p, n, (off_t)at);

	if (r < 0)
		trouble(d, "read");
	return r;
}

static int
ours(const struct drop *d)
{
	struct stamp now;
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return 0;
	fs_stamp(&now, &st);
	return box_ours(d->user, &d->stamp, &now);
}

/* Does a message begin at m->from and one that does, or nothing, follow it? */
static int
bounded(const struct drop *d, const struct mbox_msg *m)
{
	char t[8];
	ssize_t n;

	if (m->text - m->from < 6 ||
	    fs_read(d->fd, t, 5, (off_t)m->from) < 0 || memcmp(t, "From ", 5))
		return 0;
	n = pread(d->fd, t, 6, (off_t)m->end);
	if (n <= 0)
		return n == 0;
	return t[0] == '\n' && (n == 1 || (n == 6 && !memcmp(t + 1, "From ", 5)));
}

static void
same(void *arg, const struct mbox_msg *m)
{
	struct drop_msg *want = arg;

	if (!memcmp(&want->m, m, sizeof(*m)))
		want->mark = 1;
}

int
drop_check(struct drop *d, const struct drop_msg *m)
{
	struct mbox_scan s;
	struct drop_msg want = *m;
	uint64_t left = m->m.end - m->m.from + TAIL;
	ssize_t n;

	if (ours(d))
		return 0;
	if (!bounded(d, &m->m))
		return -1;
	if (left > SMALL)
		return 0;
	want.mark = 0;
	mbox_scan_init(&s, m->m.from, same, &want);
	for (; left; left -= (uint64_t)n) {
		n = pread(d->fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)s.at);
		if (n <= 0)
			break;
		mbox_scan_feed(&s, piece, (size_t)n);
	}
	if (!want.mark)
		mbox_scan_end(&s);
	return want.mark ? 0 : -1;
}

/* ---- marking ---- */

int
drop_marked(const struct drop *d, const struct drop_msg *m)
{
	return m->mark == d->epoch;
}

int
drop_mark(struct drop *d, uint32_t i)
{
	struct drop_msg m;

	if (drop_msg(d, i, &m) < 0)
		return -1;
	if (m.mark == d->epoch)
		return 0;
	m.mark = d->epoch;
	if (fs_write(d->index, &m, sizeof(m), record_at(i)) < 0) {
		trouble(d, "index");
		return -1;
	}
	d->nmarked++;
	d->marked_octets += m.m.octets;
	if (i < d->first)
		d->first = i;
	return 0;
}

void
drop_reset(struct drop *d)
{
	char path[PATH_TEXT];

	if (!d->nmarked)
		return;
	d->epoch++;
	d->nmarked = 0;
	d->marked_octets = 0;
	d->first = d->n;
	if (put_head(d, &d->stamp) < 0)
		/* or a later session took the number */
		(void)unlink(index_path(path, d->user));
}

/* ---- deleting ---- */

/* Does a message begin there, not before `least`, as the index says? If not, the index is damaged:
 * it is not used again. */
static int
begins(struct drop *d, uint64_t at, uint64_t least)
{
	char t[5];

	if (at >= least && at < d->covered && fs_read(d->fd, t, sizeof(t), (off_t)at) == 0 &&
	    !memcmp(t, "From ", sizeof(t)))
		return 1;
	(void)put_head(d, NULL);
	errno = EILSEQ;
	return 0;
}

/* The journal knows of it while it is done: a crash leaves the old mailbox or the new one. */
static int
shorten(struct drop *d, uint64_t size, struct stat *st)
{
	int e = 0;

	if (store_cut(d->user, d->covered, size) < 0)
		return -1;
	if (ftruncate(d->fd, (off_t)size) < 0 || fs_sync(d->fd) < 0 || fstat(d->fd, st) < 0)
		e = errno;
	(void)store_checkpoint();	/* it is no longer true; if this fails it says so itself */
	errno = e;
	return e ? -1 : 0;
}

/* Cut the mailbox behind its first `keep` messages. */
static enum drop_res
cut(struct drop *d, uint32_t keep)
{
	struct drop_msg m;
	struct stat st;

	if (record(d, keep, &m) < 0 || !begins(d, m.m.from, 0))
		return fail(d, "index");
	if (shorten(d, m.m.from, &st) < 0)
		return fail(d, "truncate");
	d->n = keep;
	d->octets -= d->marked_octets;
	fs_stamp(&d->stamp, &st);
	box_indexed(d->user, &d->stamp);
	(void)put_head(d, &d->stamp);	/* otherwise it is simply scanned again */
	drop_close(d);
	return DROP_READY;
}

/* The next stretch of messages that stay, maybe an empty one: 1; 0 when there are no more, -1 on
 * trouble. Looks at RECORDS messages at most. */
static int
stretch(struct drop *d)
{
	struct job *j = d->job;
	struct drop_msg m, next;
	uint32_t last = d->n - j->i < RECORDS ? d->n : j->i + RECORDS;
	uint64_t least = j->to;
	int some = 0;

	if (j->i == d->n)
		return 0;
	for (; j->i < last; j->i++) {
		if (record(d, j->i, &m) < 0)
			return -1;
		if (drop_marked(d, &m) && some)
			break;
		if (drop_marked(d, &m))
			continue;
		next.m.from = d->covered;
		if (j->i + 1 < d->n && record(d, j->i + 1, &next) < 0)
			return -1;
		if (!some)
			j->from = m.m.from;
		some = 1;
		j->to = next.m.from;
		m.m.end = m.m.end - m.m.from + (j->at + (m.m.from - j->from));
		m.m.text = m.m.text - m.m.from + (j->at + (m.m.from - j->from));
		m.m.from = j->at + (m.m.from - j->from);
		m.mark = 0;
		j->octets += m.m.octets;
		if (add_record(j, &m) < 0)
			return -1;
	}
	if (some && (!begins(d, j->from, least) ||
	    (j->to != d->covered && !begins(d, j->to, j->from + 1))))
		return -1;
	return 1;
}

/* Let the disk keep up with the copy, so that the last sync is short. */
static int
push(struct job *j)
{
	if (j->at - j->pushed >= PUSH) {
		(void)sync_file_range(j->fd, (off_t)j->pushed, (off_t)(j->at - j->pushed),
		    SYNC_FILE_RANGE_WRITE);	/* only a hint */
		j->pushed = j->at;
	}
	if (j->at - j->synced >= SYNC) {
		j->synced = j->at;
		return fs_sync(j->fd);
	}
	return 0;
}

/* The copy is complete: it becomes the mailbox. */
static enum drop_res
swap(struct drop *d)
{
	struct job *j = d->job;
	char path[PATH_TEXT], tmp[PATH_TEXT];
	struct stat st;

	(void)snprintf(tmp, sizeof(tmp), "mail/.%s.new", user_at(d->user)->name);
	if (flush_records(j) < 0 || fsync(j->fd) < 0 ||
	    rename(tmp, box_path(path, d->user)) < 0 || fs_syncdir("mail") < 0 ||
	    fstat(j->fd, &st) < 0)
		return fail(d, "rewrite");
	box_replace(d->user, j->fd);
	j->fd = -1;
	d->n = j->kept;
	d->octets = j->octets;
	fs_stamp(&d->stamp, &st);
	if (!j->tail) {
		(void)put_head(d, &d->stamp);	/* otherwise it is simply scanned again */
		box_indexed(d->user, &d->stamp);
	}
	d->state = D_OPEN;		/* nothing to clean up */
	drop_close(d);
	return DROP_READY;
}

/* Nothing is left of what the index knows; is there something new behind it? 1, 0 or -1. */
static int
more(struct drop *d)
{
	struct job *j = d->job;
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return -1;
	if (!j->tail)
		j->from = d->covered;
	if ((uint64_t)st.st_size <= j->from)
		return 0;
	j->tail = 1;
	j->to = (uint64_t)st.st_size;
	return 1;
}

static enum drop_res
copy(struct drop *d)
{
	struct job *j = d->job;
	int64_t until = loop_ms() + SLICE_MS;
	size_t n;
	int r;

	do {
		if (j->from == j->to) {
			r = j->tail ? 0 : stretch(d);
			if (r == 0 && box_busy(d->user))
				return DROP_AGAIN;
			if (r == 0) {
				/* letters whose note is about the old file belong into it */
				(void)store_commit(1);
				r = more(d);
			}
			if (r < 0)
				return fail(d, "rewrite");
			if (r == 0)
				return swap(d);
		}
		n = j->to - j->from < PIECE ? (size_t)(j->to - j->from) : PIECE;
		if (!n)
			continue;
		if (fs_read(d->fd, piece, n, (off_t)j->from) < 0 ||
		    fs_write(j->fd, piece, n, (off_t)j->at) < 0)
			return fail(d, "rewrite");
		j->from += n;
		j->at += n;
		if (push(j) < 0)
			return fail(d, "rewrite");
	} while (loop_ms() < until);
	return DROP_AGAIN;
}

/* The mailbox is ours and what the index says: delete. */
static enum drop_res
delete(struct drop *d)
{
	struct job *j = d->job;
	struct drop_msg first;
	char tmp[PATH_TEXT];
	struct stat st;

	if (store_checkpoint() < 0)	/* the journal knows the mailbox as it was */
		return fail(d, "checkpoint");
	if (fstat(d->fd, &st) < 0 || record(d, 0, &first) < 0 || !begins(d, first.m.from, 0))
		return fail(d, "index");
	if (d->first + d->nmarked == d->n && (uint64_t)st.st_size == d->covered &&
	    !box_busy(d->user))
		return cut(d, d->first);
	d->state = D_COPY;
	(void)snprintf(tmp, sizeof(tmp), "mail/.%s.new", user_at(d->user)->name);
	j->fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0 || fs_own(j->fd, "mail") < 0 || put_head(d, NULL) < 0)
		return fail(d, "rewrite");
	j->i = j->kept = 0;
	/* what stands before it is no message, but it is not ours to drop */
	j->to = first.m.from;
	return copy(d);
}

/* A foreign program has written to the mailbox. If all our messages still begin where they did, it
 * has only appended, and what it appended stays. */
static enum drop_res
verify(struct drop *d)
{
	struct job *j = d->job;
	int64_t until = loop_ms() + SLICE_MS;
	struct drop_msg m;

	do {
		if (j->i == d->n)
			return delete(d);
		if (record(d, j->i, &m) < 0)
			return fail(d, "index");
		if (!bounded(d, &m.m) || (j->i + 1 == d->n && drop_check(d, &m) < 0)) {
			errno = EBUSY;
			return fail(d, "changed by another program");
		}
		j->i++;
	} while (loop_ms() < until);
	return DROP_AGAIN;
}

enum drop_res
drop_commit(struct drop *d)
{
	struct stat a, b;
	char path[PATH_TEXT];

	if (!d->nmarked) {
		drop_close(d);
		return DROP_READY;
	}
	d->state = D_QUIT;
	if (!job_get(d))
		return DROP_AGAIN;	/* others are at it */
	if (fstat(d->fd, &a) < 0 || stat(box_path(path, d->user), &b) < 0 || a.st_ino != b.st_ino ||
	    a.st_dev != b.st_dev || box_open(d->user, 0) < 0 || lock(d) < 0)
		return fail(d, "lock");
	d->state = D_VERIFY;
	return ours(d) ? delete(d) : verify(d);
}

enum drop_res
drop_work(struct drop *d)
{
	switch (d->state) {
	case D_WAIT:
		return try_open(d);
	case D_SCAN:
		return scan(d);
	case D_QUIT:
		return drop_commit(d);
	case D_VERIFY:
		return verify(d);
	case D_COPY:
		return copy(d);
	case D_OPEN:
		return DROP_READY;
	case D_CLOSED:
		break;
	}
	return DROP_TEMP;
}
