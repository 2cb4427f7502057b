/* See LICENSE file for copyright and licence details. */
/*
 * Accepted letters: from the session's scratch file through the journal into mailboxes.
 *
 *	spool/tmp/SLOT		a letter that is being received, in queue format
 *	spool/journal		letters acknowledged since the last checkpoint (lib/journal.h)
 *	spool/queue/ID		letters that wait: large ones, and those whose mailbox was locked
 *	spool/out/ID		letters for other servers (out.c); large ones have both names
 *	spool/bad/		what could not be understood; never deleted
 *
 * Queue format: the envelope, "F<sender>" and a line "T<recipient> account" for each recipient, a
 * blank line, the text with LF line ends. T becomes D when the letter is in that mailbox, on the
 * disk. The journal has records of three types (for the third see out.c): a letter (tag: id and
 * length of the envelope; payload: queue format) and a note (tag: account; payload: struct note):
 * "all in this mailbox up to here is on the disk". A note goes before the first letter for a
 * mailbox after each sync of it.
 *
 * States a crash may leave, and what recovery makes of them (recover.c):
 *
 *	letter not, or not wholly, in the journal	it was not acknowledged: it is gone
 *	in the journal, not in the mailbox		appended
 *	in the journal, torn in the mailbox		cut at the note, all letters since appended
 *	in both						the same, or left alone: never twice
 *	in the queue, T, mailbox noted			cut at the note; the queue tries again
 *	in the queue, D					it is in the mailbox, synced before the D
 *	a mailbox half cut				cut, if it has the size it had before
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"
#include "store.h"

/* A letter whose mailbox could not be written to: the journal must keep it until it is in the
 * queue. */
struct owed {
	struct mail m;			/* in the journal */
	struct user_set to;		/* accounts that did not get it */
	/* are there any; is its file in spool/out still to be made */
	int local, out;
};

enum { TURNS = 4 };		/* a letter waits so many turns for others to be synced with */

struct journal journal;
void (*store_out)(const char *id);

static struct owed owed[SESSIONS];
static int nowed;
static struct letter *batch, **batch_end = &batch;
static int nbatch;
/* a sync or recovery has failed: nothing is accepted until heal() */
static int broken;
static int64_t checkpoint_at;		/* when the next is due, 0: none */
static int64_t heal_at;
static char piece[1 << 15];

const size_t store_memory = sizeof(owed) + sizeof(piece);

void
store_trouble(const char *what)
{
	static int64_t last;
	static int last_errno;

	if (last && loop_now - last < 60000 && errno == last_errno)
		return;
	last = loop_now;
	last_errno = errno;
	log_event("-", "disk-trouble at=\"%s\" error=\"%s\"", what, strerror(errno));
}

void
store_break(const char *what)
{
	store_trouble(what);
	broken = 1;
}

/* ---- is there room? ---- */

enum res
store_room(uint64_t size)
{
	struct statvfs v;
	uint64_t room;

	if (broken)
		return R_TEMP;
	if (statvfs("spool", &v) < 0) {
		store_trouble("statvfs");
		return R_TEMP;
	}
	room = (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
	if (room < disk_reserve || (room - disk_reserve) / 2 < size ||
	    (v.f_files && v.f_favail < inode_reserve)) {
		errno = ENOSPC;
		store_trouble("room");
		return R_TEMP;
	}
	return R_OK;
}

int
store_broken(void)
{
	return broken;
}

/* ---- into the journal ---- */

/* A letter as it is in the journal. */
static struct mail
journaled(const struct letter *l)
{
	struct mail m;

	memcpy(m.id, l->id, sizeof(m.id));
	m.fd = journal.fd;
	m.at = l->journal;
	m.text = l->journal + l->text;
	m.end = l->journal + l->size;
	return m;
}

static int
put_note(int user, const struct note *n)
{
	if (!checkpoint_at)
		checkpoint_at = loop_now + checkpoint_every;
	if (journal_begin(&journal, RECORD_NOTE, user_at(user)->name, sizeof(*n)) < 0 ||
	    journal_add(&journal, n, sizeof(*n)) < 0)
		return -1;
	return journal_end(&journal);
}

int
store_note(int user)
{
	struct note n;
	int r = box_note(user, &n);

	if (r <= 0)
		return r;
	if (put_note(user, &n) < 0)
		return -1;
	box_noted(user);
	return 0;
}

int
store_mark(const char *id, const void *p, size_t n)
{
	if (!checkpoint_at)
		checkpoint_at = loop_now + checkpoint_every;
	if (!journal_fits(&journal, n) && store_checkpoint() == 0)
		return 0;		/* it has synced the file */
	if (journal_begin(&journal, RECORD_MARK, id, n) < 0 || journal_add(&journal, p, n) < 0)
		return -1;
	return journal_end(&journal);
}

int
store_cut(int user, uint64_t was, uint64_t size)
{
	struct note n;

	if (box_note(user, &n) != 1)
		return -1;
	n.was = was;
	n.size = size;
	if (put_note(user, &n) < 0)
		return -1;
	if (journal_sync(&journal) == 0)
		return 0;
	store_break("journal");
	return -1;
}

static int
copy_in(const struct letter *l)
{
	size_t held, n;
	const char *pen = letter_pen(l, &held);
	off_t at, end = l->size - (off_t)held;

	for (at = 0; at < end; at += (off_t)n) {
		n = end - at < (off_t)sizeof(piece) ? (size_t)(end - at) : sizeof(piece);
		if (fs_read(l->fd, piece, n, at) < 0 || journal_add(&journal, piece, n) < 0)
			return -1;
	}
	return held ? journal_add(&journal, pen, held) : 0;
}

static int
put_letter(struct letter *l)
{
	char tag[JOURNAL_TAG];
	int i;

	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(&l->to, i) && store_note(i) < 0)
			return -1;
	(void)snprintf(tag, sizeof(tag), "%s %u", l->id, (unsigned)l->text);
	if (journal_begin(&journal, RECORD_LETTER, tag, (uint64_t)l->size) < 0 || copy_in(l) < 0 ||
	    journal_end(&journal) < 0)
		return -1;
	l->journal = journal.last;
	return 0;
}

static int
large(const struct letter *l)
{
	return (uint64_t)l->size > letter_small;
}

void
letter_finish(struct letter *l)
{
	enum { NOTES = 16384 };		/* for the notes of all recipients */

	if (!l->text)
		letter_text(l, "", 0);
	if (large(l))
		(void)letter_spill(l);		/* it notes the trouble */
	else if (!l->bad && nowed + nbatch >= SESSIONS)
		l->bad = R_TEMP;	/* the queue takes nothing: no more can be remembered */
	if (l->bad == R_OK && !large(l)) {
		if (!journal_fits(&journal, (uint64_t)l->size + NOTES) ||
		    box_dirty() + 8 > BOXES) {
			(void)store_commit(1);
			(void)store_checkpoint();	/* if it fails put_letter() will */
		}
		if (broken || put_letter(l) < 0) {
			l->bad = R_TEMP;
			l->full = !broken && (errno == ENOSPC || errno == EDQUOT);
			store_trouble("journal");
		}
	}
	letter_unpen(l);	/* it is written: nobody who wants the pen may spill it once more */
	l->next = NULL;
	l->pending = 1;
	*batch_end = l;
	batch_end = &l->next;
	nbatch++;
}

/* ---- out of the journal ---- */

static void
owe(const struct mail *m, const struct user_set *to, int local, int out)
{
	BUG_IF(nowed == SESSIONS);
	owed[nowed].m = *m;
	owed[nowed].to = *to;
	owed[nowed].local = local;
	owed[nowed].out = out;
	nowed++;
}

/* For other servers: 0 or -1. */
static int
send_out(const struct mail *m)
{
	if (out_put(m) < 0)
		return -1;
	if (store_out)
		store_out(m->id);
	return 0;
}

/* Append a small letter to a mailbox, at once. */
enum res
store_append(const struct mail *m, int user)
{
	struct append a;
	enum res r;

	r = append_begin(&a, user, m);
	while (r == R_AGAIN)
		r = append_step(&a, INT64_MAX);
	return r;
}

static void
deliver(struct letter *l)
{
	struct mail m = journaled(l);
	struct user_set late;
	char to[400] = "";
	size_t n = 0;
	int i, out, some = 0;

	memset(&late, 0, sizeof(late));
	for (i = 0; i < ACCOUNTS; i++) {
		if (!user_in(&l->to, i))
			continue;
		if (store_append(&m, i) != R_OK) {
			late.bit[i / 8] |= (unsigned char)(1 << (i % 8));
			some = 1;
		} else if (n < sizeof(to) - NAME_TEXT - 1) {
			n += (size_t)snprintf(to + n, sizeof(to) - n, "%s%s", n ? "," : "",
			    user_at(i)->name);
		} else {
			n = sizeof(to) - 1;	/* the line is long enough */
		}
	}
	if (n)
		log_event(l->id, "delivered to=%s", to);
	out = l->out && send_out(&m) < 0;
	if (out)
		store_trouble("spool/out");
	if (some || out)
		owe(&m, &late, some, out);
	if (some)
		log_event(l->id, "deferred reason=\"mailbox locked or in trouble\"");
}

/* Give the scratch file its names, durably. */
static int
name_large(const struct letter *l, const char *from, const char *queue, const char *out)
{
	static const struct user_set nobody;
	int local = memcmp(&l->to, &nobody, sizeof(nobody)) != 0;

	if (l->out && local && link(from, out) < 0)
		return -1;
	if (rename(from, local ? queue : out) < 0)
		return -1;
	return (l->out && fs_syncdir("spool/out") < 0) || (local && fs_syncdir("spool/queue") < 0) ?
	    -1 : 0;
}

/* A large letter is its own journal: its scratch file, synced, becomes a queue file. */
static int
enqueue(struct letter *l)
{
	char from[PATH_TEXT], queue[PATH_TEXT], out[PATH_TEXT];
	int e;

	letter_path(from, l);
	(void)snprintf(queue, sizeof(queue), "spool/queue/%s", l->id);
	(void)snprintf(out, sizeof(out), "spool/out/%s", l->id);
	if (ftruncate(l->fd, l->size) < 0 || fsync(l->fd) < 0)
		return -1;
	l->named = name_large(l, from, queue, out) == 0;
	if (l->named)
		return 0;
	/* it will be refused, and must not come nevertheless */
	e = errno;
	if ((unlink(queue) < 0 && errno != ENOENT) || (unlink(out) < 0 && errno != ENOENT))
		queue_void(l->id);
	errno = e;
	return -1;
}

static void
commit_large(struct letter *l)
{
	if (enqueue(l) < 0) {
		l->bad = R_TEMP;
		l->full = errno == ENOSPC || errno == EDQUOT;
		store_trouble("queue");
		return;
	}
	queue_kick();
	if (l->out && store_out)
		store_out(l->id);
}

int
store_commit(int quiet)
{
	static int turns;
	struct letter *l, *next;
	int synced;

	if (!batch)
		return 0;
	if (!quiet && ++turns < TURNS)
		return 1;
	turns = 0;
	synced = journal_sync(&journal) == 0;
	if (!synced)
		store_break("journal");
	l = batch;
	batch = NULL;
	batch_end = &batch;
	nbatch = 0;
	for (; l; l = next) {
		next = l->next;
		if (l->bad == R_OK && large(l))
			commit_large(l);
		else if (l->bad == R_OK && synced)
			deliver(l);
		else if (l->bad == R_OK)
			l->bad = R_TEMP;
		l->pending = 0;
		l->done(l, l->bad);
	}
	if (store_settle() < 0 && !checkpoint_at)
		/* the journal keeps them until then */
		checkpoint_at = loop_now + checkpoint_every;
	return 0;
}

/* ---- from the journal into the queue ---- */

/* Write the queue file of a letter, with D for the accounts that have it. */
static int
write_queue(const struct owed *o, int fd)
{
	char *env = mail_envelope(&o->m);
	const char *line = NULL;
	struct rcpt r;
	off_t at;
	size_t n;

	if (!env) {
		errno = EIO;
		return -1;
	}
	while (mail_rcpt(env, &line, &r))
		if (r.user >= 0 && !user_in(&o->to, r.user))
			env[r.at] = 'D';
	n = (size_t)(o->m.text - o->m.at);
	if (fs_write(fd, env, n, 0) < 0)
		return -1;
	for (at = o->m.text; at < o->m.end; at += (off_t)n) {
		n = o->m.end - at < (off_t)sizeof(piece) ? (size_t)(o->m.end - at) : sizeof(piece);
		if (fs_read(o->m.fd, piece, n, at) < 0 || fs_write(fd, piece, n, at - o->m.at) < 0)
			return -1;
	}
	return fsync(fd);
}

static int
settle_local(const struct owed *o)
{
	char tmp[PATH_TEXT], path[PATH_TEXT];
	int fd, r;

	(void)snprintf(tmp, sizeof(tmp), "spool/tmp/q%s", o->m.id);
	(void)snprintf(path, sizeof(path), "spool/queue/%s", o->m.id);
	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	r = write_queue(o, fd);
	if (close(fd) < 0)
		r = -1;
	if (r == 0)
		r = rename(tmp, path);
	return r == 0 ? fs_syncdir("spool/queue") : -1;
}

static int
settle(struct owed *o)
{
	if (o->local && settle_local(o) < 0)
		return -1;
	if (o->local)
		queue_late();
	o->local = 0;
	return o->out ? send_out(&o->m) : 0;
}

int
store_queue(const struct mail *m)
{
	struct owed o;

	memset(&o, 0, sizeof(o));
	o.m = *m;
	return settle_local(&o);
}

int
store_defer(const struct mail *m, int user)
{
	const char *line = NULL;
	struct mail queued;
	struct owed o;
	struct rcpt r;
	char *env;
	int bad, ok = -1;

	if (queue_open(&queued, m->id, &bad) < 0) {
		memset(&o, 0, sizeof(o));
		o.m = *m;
		o.to.bit[user / 8] = (unsigned char)(1 << (user % 8));
		return settle_local(&o);
	}
	env = mail_envelope(&queued);
	while (env && mail_rcpt(env, &line, &r))
		if (r.user == user)
			ok = fs_write(queued.fd, "T", 1, r.at) < 0 ? -1 : fs_sync(queued.fd);
	(void)close(queued.fd);		/* synced or failed */
	return ok;
}

int
store_settle(void)
{
	while (nowed) {
		if (settle(&owed[nowed - 1]) < 0) {
			store_trouble("queue");
			return -1;
		}
		nowed--;
	}
	return 0;
}

/* ---- checkpoint ---- */

int
store_checkpoint(void)
{
	/* or letters that came in this turn would go with the journal */
	(void)store_commit(1);
	if (broken)
		return -1;
	while (!queue_idle())
		(void)queue_tick(0);
	checkpoint_at = 0;
	if (journal_empty(&journal) && !box_dirty() && !out_dirty())
		return 0;
	if (store_settle() < 0) {
		checkpoint_at = loop_now + checkpoint_every;
		return -1;
	}
	if (box_syncall() < 0 || out_sync() < 0 || journal_reset(&journal) < 0) {
		/* what was not synced may be lost, whatever a second sync says: only the journal
		 * has it */
		store_break("checkpoint");
		return -1;
	}
	return 0;
}

/* A journal that can no longer be trusted gives way to a new one. */
static int
renew(void)
{
	struct journal new;

	if (journal_open(&new, "spool", "spool/tmp/journal", (off_t)journal_size) < 0)
		return -1;
	if (rename("spool/tmp/journal", "spool/journal") < 0 || fs_syncdir("spool") < 0) {
		journal_close(&new);
		return -1;
	}
	journal_close(&journal);
	journal = new;
	return 0;
}

/* After a failed sync: do again what a restart would do. */
static void
heal(void)
{
	int i;

	(void)store_commit(1);
	while (!queue_idle())
		/* nobody else would go on with that append, and it is in use */
		(void)queue_tick(0);
	heal_at = loop_now + retry_locked;
	for (i = 0; i < ACCOUNTS; i++)
		if (box_used(i))
			return;
	for (i = 0; i < ACCOUNTS; i++)
		box_forget(i);
	if (!journal.bad)
		(void)journal_sync(&journal);	/* there may be marks (out.c) */
	journal.end = journal.synced;
	nowed = 0;			/* recovery finds them in the journal */
	broken = 0;			/* an append of recovery may fail as well */
	if (recover() < 0 || broken || (journal.bad ? renew() : journal_reset(&journal)) < 0) {
		broken = 1;
		return;
	}
	/* as at start: what recovery has left there waits for nothing else */
	queue_kick();
	if (store_out)
		store_out(NULL);
	log_event("-", "disk-healed");
}

int
store_tick(void)
{
	int wait = 60000;

	if (broken) {
		if (loop_now >= heal_at)
			heal();
		return (int)retry_locked;
	}
	if (checkpoint_at && loop_now >= checkpoint_at && queue_idle())
		(void)store_checkpoint();	/* it says so itself, and is tried again */
	box_tick();
	if (checkpoint_at)
		wait = (int)(checkpoint_at > loop_now ? checkpoint_at - loop_now : 0);
	return queue_tick(wait);
}

/* ---- start ---- */

void
store_lock(void)
{
	struct stat st;
	char who[32];
	int fd, n;

	fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(EX_CANTCREAT, "lock:");
	if (st.st_nlink != 1)
		die(EX_NOPERM, "lock has another name too: not written to");
	if (fs_lock(fd) < 0) {
		if (fs_slurp("lock", who, sizeof(who)) <= 0)
			(void)text_copy(who, sizeof(who), "?", 1);
		who[strcspn(who, "\n")] = '\0';
		die(EX_TEMPFAIL, "the store is in use by process %s", who);
	}
	n = snprintf(who, sizeof(who), "%ld\n", (long)getpid());
	/* a full disk may refuse, and the lock holds without it: it only tells others who we are */
	(void)fs_write(fd, who, (size_t)n, 0);
	(void)ftruncate(fd, n);
	/* fd stays open, and with it the lock, as long as the process lives */
}

static void
make_rooms(void)
{
	static const char *const rooms[] = {
		"mail", "spool", "spool/tmp", "spool/queue", "spool/out", "spool/hold", "spool/bad",
		"spool/index", "tls"
	};
	size_t i;

	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		if (fs_mkdir(strncmp(rooms[i], "spool/", 6) ? "." : "spool", rooms[i]) < 0)
			die(EX_CANTCREAT, "%s:", rooms[i]);
}

static void
sweep(void)
{
	struct fs_dir d;
	const char *name;
	char path[PATH_TEXT];

	if (fs_diropen(&d, "spool/tmp") < 0)
		die(EX_IOERR, "spool/tmp:");
	while ((name = fs_dirnext(&d)))
		if (snprintf(path, sizeof(path), "spool/tmp/%s", name) < (int)sizeof(path))
			(void)unlink(path);	/* of no use to anyone */
}

static void
open_journal(void)
{
	char path[PATH_TEXT];

	if (journal_open(&journal, "spool", "spool/journal", (off_t)journal_size) == 0)
		return;
	if (errno != EILSEQ)
		die(EX_IOERR, "spool/journal:");
	(void)snprintf(path, sizeof(path), "spool/bad/journal.%lld", (long long)loop_wall);
	if (rename("spool/journal", path) < 0)
		die(EX_IOERR, "spool/journal:");
	log_event("-", "journal-unreadable moved=%s", path);
	if (journal_open(&journal, "spool", "spool/journal", (off_t)journal_size) < 0)
		die(EX_IOERR, "spool/journal:");
}

void
store_init(void)
{
	make_rooms();
	sweep();
	if (user_load() < 0)
		die(EX_IOERR, "users:");
	box_init();
	open_journal();
	/* a lock, no room, a bad disk: heal() will go on with it */
	if (recover() < 0 || journal_reset(&journal) < 0)
		store_break("start");
	queue_kick();
}
