/* See LICENSE file for copyright and licence details. */
/*
 * After a crash: every letter of the journal is in its mailboxes exactly once, or in the queue.
 *
 * For each mailbox the last note in the journal says up to where it was on the disk. What stands
 * behind is, after a mere crash or power cut, nothing but letters that came after the note (in the
 * journal, or one of the queue), the last ones maybe torn or with zeros where blocks were never
 * written. Then the mailbox is cut behind the last whole one, and the others are appended again. If
 * anything else stands there, another program has written to the mailbox; then nothing is cut but a
 * torn letter at the very end, and only letters whose id is in no message of the mailbox are
 * appended.
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
#include "lib/mbox.h"
#include "lib/text.h"
#include "mail.h"
#include "store.h"

enum {
	IDS = 256,		/* looked for in one pass over a mailbox */
	PIECE = 1 << 14,
	HEADER = 2048		/* of a message in which our trace field must be */
};

struct noted {
	struct note note;
	/* journal records from here on came after it; 0: there is no note */
	off_t after;
};

static struct noted noted[ACCOUNTS];
static char piece[PIECE];

/* The mailbox at hand. */
static struct {
	int user, fd;
	int sick;		/* something could not be read: nothing that was concluded counts */
	off_t size;
} box;

/* ---- letters ---- */

/* A letter's record as a mail: 0, or -1 if the tag is odd. */
static int
as_mail(struct mail *m, const struct record *r)
{
	char tag[JOURNAL_TAG + 1], *e;

	memcpy(tag, r->tag, JOURNAL_TAG);
	tag[JOURNAL_TAG] = '\0';
	e = strchr(tag, ' ');
	if (!e || text_copy(m->id, sizeof(m->id), tag, (size_t)(e - tag)) < 0)
		return -1;
	m->fd = journal.fd;
	m->at = r->at;
	m->text = r->at + (off_t)strtoul(e + 1, NULL, 10);
	m->end = r->at + (off_t)r->n;
	return m->text <= m->end ? 0 : -1;
}

/* The state of an account in a letter's envelope: 'T', 'D', or 0: it is no recipient. */
static int
state(const struct mail *m, int user)
{
	const char *line = NULL;
	struct rcpt r;
	char *env = mail_envelope(m);

	box.sick |= !env;
	while (env && mail_rcpt(env, &line, &r))
		if (r.user == user)
			return r.state;
	return 0;
}

/* Must the journal bring this letter to the account? Not if the queue has it and still will. */
static int
wanted(const struct mail *m, int user)
{
	struct mail queued;
	int bad, s = 0;

	if (!state(m, user))
		return 0;
	if (queue_open(&queued, m->id, &bad) == 0) {
		s = state(&queued, user);
		(void)close(queued.fd);		/* only read from */
	} else {
		box.sick |= !bad && errno != ENOENT;
	}
	return s != 'T';
}

/* The next letter for the mailbox at hand in the journal, from *at: 1 or 0. */
static int
next_letter(off_t *at, struct mail *m)
{
	struct record r;
	int more;

	while ((more = journal_next(&journal, at, &r)) > 0)
		if (r.type == RECORD_LETTER && as_mail(m, &r) == 0 && wanted(m, box.user))
			return 1;
	box.sick |= more < 0;
	return 0;
}

/* ---- does the mailbox hold what we would have written? ---- */

static int
box_read(void *p, size_t n, off_t at)
{
	if (fs_read(box.fd, p, n, at) == 0)
		return 0;
	box.sick = 1;
	return -1;
}

enum fit { FIT_NO, FIT_TORN, FIT_WHOLE };

/*
 * Compare with the file at *at; a byte that is zero there fits, but tears. A letter that goes
 * beyond the end of the file is torn. *at moves behind what fitted.
 */
static enum fit
fits(const struct mail *m, off_t *at)
{
	struct emit e;
	const char *p;
	enum fit f = FIT_WHOLE;
	off_t pos = *at;
	ssize_t i, k, n;

	emit_init(&e, m, box.user);
	while ((n = emit_next(&e, &p)) > 0) {
		while (n) {
			k = n < PIECE ? n : PIECE;
			if (k > box.size - pos) {
				k = box.size - pos;
				f = FIT_TORN;
			}
			if (k == 0 || box_read(piece, (size_t)k, pos) < 0) {
				*at = pos;
				return k ? FIT_NO : FIT_TORN;
			}
			for (i = 0; i < k; i++) {
				if (piece[i] != p[i] && piece[i])
					return FIT_NO;
				if (piece[i] != p[i])
					f = FIT_TORN;
			}
			pos += k;
			p += k;
			n -= k;
		}
	}
	box.sick |= n < 0;
	if (n < 0)
		return FIT_NO;
	*at = pos;
	return f;
}

/* One letter of the queue may have been under way: the same for those. */
static void
fit_queued(off_t *at)
{
	struct fs_dir d;
	struct mail m;
	const char *name;
	int bad;

	if (fs_diropen(&d, "spool/queue") < 0) {
		box.sick = 1;
		return;
	}
	while ((name = fs_dirnext(&d))) {
		if (queue_open(&m, name, &bad) < 0) {
			box.sick |= !bad;
			continue;
		}
		if (state(&m, box.user) == 'T')
			(void)fits(&m, at);
		(void)close(m.fd);	/* only read from */
	}
	box.sick |= d.bad;
}

/* Behind the line ends that an append puts first, when the note's end is not a blank line; *torn:
 * there is a zero in the place of one. */
static off_t
mended(off_t at, int *torn)
{
	char t[2] = { '\n', '\n' };
	int i;

	if (at == 0)
		return 0;
	if (box_read(at == 1 ? t + 1 : t, at == 1 ? 1 : 2, at == 1 ? 0 : at - 2) < 0)
		return at;
	for (i = t[1] != '\n' ? 2 : t[0] != '\n'; i > 0 && at < box.size; i--, at++) {
		if (box_read(t, 1, at) < 0 || (t[0] != '\n' && t[0]))
			break;
		*torn |= !t[0];
	}
	return at;
}

static int
all_zero(off_t at)
{
	char c;

	for (; at < box.size; at++)
		if (box_read(&c, 1, at) < 0 || c)
			return 0;
	return 1;
}

/*
 * Is everything behind the note ours? Then *whole is where the letters that are whole end, and *rec
 * the place in the journal behind them.
 */
static int
only_ours(const struct noted *n, off_t *whole, off_t *rec)
{
	struct mail m;
	off_t at, next = n->after;
	int torn = 0;

	*whole = (off_t)n->note.size;
	*rec = n->after;
	if ((uint64_t)box.size < n->note.size)
		return 0;
	at = mended((off_t)n->note.size, &torn);
	while (at < box.size && next_letter(&next, &m)) {
		torn |= fits(&m, &at) != FIT_WHOLE;
		if (!torn) {
			*whole = at;
			*rec = next;
		}
	}
	if (at < box.size)
		fit_queued(&at);
	return all_zero(at);
}

/* ---- the other case: which letters are there? ---- */

static struct {
	struct mail m[IDS];
	unsigned char found[IDS];
	int n;
	off_t at;		/* where the last one that was found begins */
	struct mbox_msg last;	/* the last message of the mailbox */
	int last_is;		/* the letter in it, -1: none of these */
} look;

/* The id in our trace field: the first " id " behind the first "by" of the header. */
static int
find_id(const char *h)
{
	const char *end = strstr(h, "\n\n"), *p = strstr(h, "\n\tby ");
	int i;

	p = p ? strstr(p, " id ") : NULL;
	if (!p || (end && p > end))
		return -1;
	for (i = 0; i < look.n; i++)
		if (!strncmp(p + 4, look.m[i].id, strlen(look.m[i].id)))
			return i;
	return -1;
}

static void
seen(void *arg, const struct mbox_msg *m)
{
	char h[HEADER + 1];
	ssize_t n;

	(void)arg;
	n = pread(box.fd, h, m->end - m->text < HEADER ? (size_t)(m->end - m->text) : HEADER,
	    (off_t)m->text);
	box.sick |= n < 0;
	h[n > 0 ? n : 0] = '\0';
	look.last = *m;
	look.last_is = find_id(h);
	if (look.last_is >= 0) {
		look.found[look.last_is] = 1;
		look.at = (off_t)m->from;
	}
}

static int
pass(void)
{
	struct mbox_scan s;
	ssize_t n;

	look.last_is = -1;
	memset(look.found, 0, sizeof(look.found));
	mbox_scan_init(&s, 0, seen, NULL);
	while ((n = pread(box.fd, piece, sizeof(piece), (off_t)s.at)) > 0)
		mbox_scan_feed(&s, piece, (size_t)n);
	mbox_scan_end(&s);
	return n < 0 || box.sick ? -1 : 0;
}

/* The last message may be a torn letter of ours: then it is cut off and counts as missing. */
static int
cut_torn(void)
{
	off_t at = (off_t)look.last.from;
	enum fit f;

	if (look.last_is < 0)
		return 0;
	f = fits(&look.m[look.last_is], &at);
	if (box.sick)
		return -1;
	if (f != FIT_TORN || at < box.size)
		return 0;
	look.found[look.last_is] = 0;
	box.size = (off_t)look.last.from;
	return box_cut(box.user, box.size);
}

/* The account has the letter of the queue, on the disk: T becomes D. */
static int
mark(const struct mail *m)
{
	const char *line = NULL;
	struct rcpt r;
	char *env = mail_envelope(m);

	if (!env || fsync(box.fd) < 0)
		return -1;
	while (mail_rcpt(env, &line, &r))
		if (r.user == box.user && r.state == 'T' &&
		    fs_write(m->fd, "D", 1, m->at + r.at) < 0)
			return -1;
	return fs_sync(m->fd);
}

/* A letter of the queue: torn at the end of the mailbox it is cut off, whole it is not brought
 * again. */
static int
check_queued(const struct mail *m)
{
	look.m[0] = *m;
	look.n = 1;
	if (pass() < 0 || cut_torn() < 0)
		return -1;
	if (!look.found[0] || fits(m, &look.at) != FIT_WHOLE)
		return box.sick ? -1 : 0;
	return mark(m);
}

static int
check_queue(void)
{
	struct fs_dir d;
	struct mail m;
	const char *name;
	int bad, r = 0;

	if (fs_diropen(&d, "spool/queue") < 0)
		return -1;
	while ((name = fs_dirnext(&d))) {
		if (queue_open(&m, name, &bad) < 0) {
			box.sick |= !bad;
			continue;
		}
		if (r == 0 && state(&m, box.user) == 'T')
			r = check_queued(&m);
		(void)close(m.fd);	/* what was written was synced */
	}
	return d.bad ? -1 : r;
}

/* Into the mailbox, or, if another program has locked it, into the queue. */
static int
bring(const struct mail *m)
{
	if (store_append(m, box.user) != R_OK)
		return store_defer(m, box.user);
	log_event(m->id, "recovered to=%s", user_at(box.user)->name);
	return 0;
}

static int
add_missing(const struct noted *n)
{
	off_t rec = n->after;
	int i, more;

	do {
		for (look.n = 0; look.n < IDS && next_letter(&rec, &look.m[look.n]); look.n++)
			;
		more = look.n == IDS;
		if (box.sick || (look.n && (pass() < 0 || cut_torn() < 0)))
			return -1;
		for (i = 0; i < look.n; i++) {
			if (!look.found[i] && bring(&look.m[i]) < 0)
				return -1;
		}
	} while (more);
	return 0;
}

/* ---- one mailbox ---- */

static int
add_rest(off_t whole, off_t rec)
{
	struct mail m;

	if (box.size > whole && box_cut(box.user, whole) < 0)
		return -1;
	while (next_letter(&rec, &m))
		if (bring(&m) < 0)
			return -1;
	return 0;
}

static int
changed(const struct noted *n)
{
	log_event("-", "mailbox-changed user=%s note=\"recovery looks for each letter\"",
	    user_at(box.user)->name);
	if (box.fd < 0)
		return add_rest(0, n->after);
	return check_queue() < 0 ? -1 : add_missing(n);
}

static int
recover_box(int user, const struct noted *n)
{
	char path[PATH_TEXT];
	struct stat st;
	off_t rec, whole;
	int r;

	box.user = user;
	box.size = 0;
	box.sick = 0;
	box.fd = open(box_path(path, user), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (box.fd < 0 && errno != ENOENT)
		return -1;
	memset(&st, 0, sizeof(st));
	if (box.fd >= 0 && fstat(box.fd, &st) == 0)
		box.size = st.st_size;
	if (n->note.was && n->note.ino == (uint64_t)st.st_ino &&
	    n->note.was == (uint64_t)box.size) {
		box.size = (off_t)n->note.size;
		box.sick |= box_cut(user, box.size) < 0;
	}
	r = (!n->note.ino || n->note.ino == (uint64_t)st.st_ino) && only_ours(n, &whole, &rec);
	if (box.sick)
		r = -1;
	else if (r)
		r = add_rest(whole, rec);
	else
		r = changed(n);
	/* what is there may never have been synced: the journal must not forget it before it is */
	if (box.fd >= 0) {
		r |= fsync(box.fd);
		(void)close(box.fd);
	}
	return r < 0 || box.sick || box_sync(user) < 0 || fs_syncdir("mail") < 0 ? -1 : 0;
}

/* ---- all ---- */

static int
read_note(const struct record *r, off_t after)
{
	struct note n;
	int user = user_find(r->tag, strnlen(r->tag, JOURNAL_TAG));

	if (user < 0 || r->n != sizeof(n))
		return 0;
	if (fs_read(journal.fd, &n, sizeof(n), r->at) < 0)
		return -1;
	noted[user].note = n;
	noted[user].after = after;
	return 0;
}

/* An account is gone: its letters go into the queue, which will set them aside. */
static int
keep_orphans(const struct mail *m)
{
	const char *line = NULL;
	struct rcpt r;
	char *env = mail_envelope(m);

	while (env && mail_rcpt(env, &line, &r))
		if (r.user < 0)
			return store_queue(m);
	return env ? 0 : -1;
}

/* Letters for other servers: their files, then what was changed in them. */
static int
recover_out(void)
{
	char id[JOURNAL_TAG + 1], mark[64];
	struct record r;
	struct mail m;
	off_t at = 0;
	int more;

	while ((more = journal_next(&journal, &at, &r)) > 0)
		if (r.type == RECORD_LETTER && as_mail(&m, &r) == 0 && out_recover(&m) < 0)
			return -1;
	at = 0;
	while (more == 0 && (more = journal_next(&journal, &at, &r)) > 0) {
		if (r.type == RECORD_MARK && r.n <= sizeof(mark)) {
			(void)text_copy(id, sizeof(id), r.tag, strnlen(r.tag, JOURNAL_TAG));
			if (fs_read(journal.fd, mark, (size_t)r.n, r.at) < 0 ||
			    out_remark(id, mark, (size_t)r.n) < 0)
				return -1;
		}
		more = 0;
	}
	return more < 0 || out_recall() < 0 || out_sync() < 0 ? -1 : 0;
}

int
recover(void)
{
	struct record r;
	struct mail m;
	off_t at = 0;
	int i, more;

	memset(noted, 0, sizeof(noted));
	while ((more = journal_next(&journal, &at, &r)) > 0) {
		if (r.type == RECORD_NOTE && read_note(&r, at) < 0)
			return -1;
		if (r.type == RECORD_LETTER && as_mail(&m, &r) == 0 && keep_orphans(&m) < 0)
			return -1;
	}
	if (more < 0 || recover_out() < 0)
		return -1;
	for (i = 0; i < ACCOUNTS; i++) {
		if (noted[i].after && recover_box(i, &noted[i]) < 0) {
			store_trouble("recovery");
			return -1;
		}
	}
	return 0;
}
