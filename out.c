/* See LICENSE file for copyright and licence details. */
/*
 * Letters that wait for other servers: files in queue format (relay.h), spool/out/ID, on hold
 * spool/hold/ID. They are written when the letter is in the journal, and synced at the next
 * checkpoint, when most are gone already. What changes in them before is in the journal too:
 *
 *	RECORD_MARK	tag: id; payload: struct mark, a state byte that was overwritten
 *
 * After a crash recovery makes each file anew that is missing or damaged and overwrites the marks
 * again: nothing that was noted as sent is sent twice, as far as the marks were on the disk.
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
#include "relay.h"
#include "store.h"

enum {
	TOUCHED = 512,		/* files that a checkpoint must sync */
	MANY = 32,		/* of these: one syncfs() for all, which is faster */
	UNNOTED = 256,
	PIECE = 1 << 14
};

struct mark {
	uint64_t at;
	uint64_t state;
};

static struct {
	char id[ID_TEXT];
	int fresh;		/* made since the last checkpoint: all of it is in the journal */
} touched[TOUCHED];
static int ntouched;
/* Marks that the disk did not take: recovery is tried until it does. */
static struct {
	char id[ID_TEXT];
	struct mark mark;
} unnoted[UNNOTED];
static int nunnoted;
static int dir_dirty;
static char piece[PIECE], other[PIECE];

static char *
out_path(char path[PATH_TEXT], const char *room, const char *id)
{
	(void)snprintf(path, PATH_TEXT, "spool/%s/%s", room, id);
	return path;
}

/* ---- lines ---- */

/* Take the mailbox and the parameters apart: 0 or -1. */
static int
parse(struct out_line *l, size_t n)
{
	char *close = l->text + n;

	l->state = l->text[0];
	l->text[n] = '\0';
	if (!strchr("FWTD", l->state) || l->text[1] != '<' || strlen(l->text) != n)
		return -1;
	while (close > l->text + 1 && *close != '>')
		close--;
	if (*close != '>' || (close[1] && close[1] != ' '))
		return -1;
	*close = '\0';
	l->mailbox = l->text + 2;
	l->params = close[1] ? close + 2 : "";
	return 0;
}

long
out_line(int fd, off_t at, struct out_line *l)
{
	ssize_t n = pread(fd, l->text, OUT_LINE, at);
	const char *e;

	if (n <= 0)
		return -1;
	e = memchr(l->text, '\n', (size_t)n);
	if (!e)
		return -1;
	n = e - l->text;
	if (n == 0)
		return 0;
	return parse(l, (size_t)n) < 0 ? -1 : n + 1;
}

const char *
out_param(const struct out_line *l, const char *key, size_t *n)
{
	const char *p = l->params;
	size_t k, nk = strlen(key);

	while (*p) {
		k = strcspn(p, " ");
		if (k >= nk && text_ieq(p, nk, key, nk) && (k == nk || p[nk] == '=')) {
			*n = k == nk ? 0 : k - nk - 1;
			return k == nk ? p + nk : p + nk + 1;
		}
		p += k;
		p += strspn(p, " ");
	}
	return NULL;
}

int
out_remote(const struct out_line *l)
{
	return (l->state == 'T' || l->state == 'D') &&
	    (!*l->params || (*l->params >= 'A' && *l->params <= 'Z'));
}

/* Where the text begins, or -1 with errno: it does not parse. */
static off_t
text_at(int fd)
{
	struct out_line l;
	off_t at = 0;
	long n;

	errno = 0;
	while ((n = out_line(fd, at, &l)) > 0) {
		if ((at == 0) != (l.state == 'F' || l.state == 'W'))
			break;
		at += n;
	}
	if (n == 0 && at > 0)
		return at + 1;
	if (!errno)
		errno = EILSEQ;
	return -1;
}

int
out_open(const char *id, int held, off_t *text, off_t *end)
{
	char path[PATH_TEXT];
	struct stat st;
	int e, fd;

	fd = open(out_path(path, held ? "hold" : "out", id), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	*text = fstat(fd, &st) < 0 ? -1 : text_at(fd);
	if (*text >= 0) {
		*end = st.st_size;
		return fd;
	}
	e = errno;
	(void)close(fd);	/* only read from */
	errno = e;
	return -1;
}

/* ---- what a checkpoint must sync ---- */

/* syncfs() for all of them: 1; 0: it must be done file by file. */
static int
sync_all(void)
{
	int fd, r;

	fd = open("spool/out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	r = syncfs(fd);
	(void)close(fd);	/* only read from */
	return r == 0;
}

/*
 * What could not be synced may be lost, whatever a second sync says: recovery makes it anew.
 * written: there was a sync_all(); before Linux 5.8 that does not tell of errors, but the file
 * does.
 */
static int
sync_one(const char *id, int fresh, int written)
{
	char path[PATH_TEXT];
	int fd, r;

	fd = open(out_path(path, "out", id), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		fd = open(out_path(path, "hold", id), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;	/* done with already */
	r = written ? sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) : fs_sync(fd);
	if (r < 0 && fresh && unlink(path) < 0)
		store_trouble("spool/out");
	(void)close(fd);	/* synced or failed */
	return r;
}

int
out_sync(void)
{
	int written = ntouched >= MANY && sync_all();

	for (; ntouched; ntouched--)
		if (sync_one(touched[ntouched - 1].id, touched[ntouched - 1].fresh, written) < 0)
			return -1;
	if (dir_dirty && fs_syncdir("spool/out") < 0)
		return -1;
	dir_dirty = 0;
	return 0;
}

int
out_dirty(void)
{
	return ntouched || dir_dirty;
}

/* Its place in the list, the end if it is not there. Those that are asked for came last, mostly. */
static int
find(const char *id)
{
	int i;

	for (i = ntouched - 1; i >= 0; i--)
		if (!strcmp(touched[i].id, id))
			return i;
	return ntouched;
}

/* It is gone: there is nothing to sync. */
static void
untouch(const char *id)
{
	int i = find(id);

	if (i < ntouched)
		touched[i] = touched[--ntouched];
}

/* Room in the list is made by syncing what is in it. */
static int
touch(const char *id, int fresh)
{
	if (find(id) < ntouched)
		return 0;
	if (ntouched == TOUCHED && out_sync() < 0) {
		/* as at a checkpoint: only the journal has what was lost */
		store_break("spool/out");
		return -1;
	}
	(void)text_copy(touched[ntouched].id, ID_TEXT, id, strlen(id));
	touched[ntouched++].fresh = fresh;
	return 0;
}

/* ---- making and marking ---- */

/* Copy a letter at rest into a file: 0 or -1. */
static int
copy(const struct mail *m, int fd)
{
	off_t at;
	size_t n;

	for (at = m->at; at < m->end; at += (off_t)n) {
		n = m->end - at < PIECE ? (size_t)(m->end - at) : PIECE;
		if (fs_read(m->fd, piece, n, at) < 0 || fs_write(fd, piece, n, at - m->at) < 0)
			return -1;
	}
	return 0;
}

int
out_put(const struct mail *m)
{
	char tmp[PATH_TEXT], path[PATH_TEXT];
	int e, fd, r;

	if (touch(m->id, 1) < 0)
		return -1;
	(void)snprintf(tmp, sizeof(tmp), "spool/tmp/o%s", m->id);
	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	r = copy(m, fd);
	if (close(fd) < 0 || r < 0 || rename(tmp, out_path(path, "out", m->id)) < 0) {
		e = errno;
		(void)unlink(tmp);	/* swept at the next start otherwise */
		errno = e;
		return -1;
	}
	dir_dirty = 1;
	return 0;
}

int
out_mark(const char *id, int fd, off_t at, char state)
{
	struct mark k = { (uint64_t)at, (uint64_t)state };
	struct stat st;
	int r = touch(id, 0);

	if (r == 0)
		r = fs_write(fd, &state, 1, at);
	if (store_mark(id, &k, sizeof(k)) < 0)
		r = -1;
	if (r == 0 && fstat(fd, &st) == 0 && !st.st_nlink)
		r = out_remark(id, &k, sizeof(k));	/* recovery has made the file anew */
	if (r == 0)
		return 0;
	store_break("spool/out");
	if (nunnoted < UNNOTED) {
		(void)text_copy(unnoted[nunnoted].id, ID_TEXT, id, strlen(id));
		unnoted[nunnoted++].mark = k;
	} else {
		log_event(id, "possible-duplicate at=%lld note=\"it could not be noted what became "
		    "of a recipient\"", (long long)at);
	}
	return -1;
}

int
out_finish(const char *id, int fd)
{
	char path[PATH_TEXT];
	struct out_line l;
	off_t at = 0;
	long n;

	while ((n = out_line(fd, at, &l)) > 0) {
		if (l.state == 'T' && out_remote(&l))
			return 0;
		at += n;
	}
	if (n < 0 || (unlink(out_path(path, "out", id)) < 0 &&
	    (errno != ENOENT || unlink(out_path(path, "hold", id)) < 0) && errno != ENOENT)) {
		store_trouble("spool/out");
		return -1;
	}
	untouch(id);
	dir_dirty = 1;
	return 1;
}

static int
move(const char *id, const char *from, const char *to)
{
	char old[PATH_TEXT], new[PATH_TEXT], dir[PATH_TEXT];

	if (rename(out_path(old, from, id), out_path(new, to, id)) < 0)
		return -1;
	if (fs_syncdir(out_path(dir, to, "")) < 0 || fs_syncdir(out_path(dir, from, "")) < 0)
		return -1;
	return 0;
}

int
out_hold(const char *id)
{
	return move(id, "out", "hold");
}

int
out_release(const char *id)
{
	return move(id, "hold", "out");
}

/* ---- recovery ---- */

/* Does a byte of the file stand for the one of the journal? Only states may have changed. */
static int
stands_for(char now, char was)
{
	return now == was || (was == 'T' && now == 'D') || (was == 'F' && now == 'W');
}

/* Is the file the letter, but for its states? 1, 0 or -1. */
static int
same(const struct mail *m, int fd)
{
	struct stat st;
	off_t at;
	size_t i, n;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_size != m->end - m->at)
		return 0;
	for (at = m->at; at < m->end; at += (off_t)n) {
		n = m->end - at < PIECE ? (size_t)(m->end - at) : PIECE;
		if (fs_read(m->fd, piece, n, at) < 0 || fs_read(fd, other, n, at - m->at) < 0)
			return -1;
		for (i = 0; i < n; i++)
			if (!(at + (off_t)i < m->text ? stands_for(other[i], piece[i]) :
			    other[i] == piece[i]))
				return 0;
	}
	return 1;
}

/* Has it recipients for other servers? */
static int
goes_out(const struct mail *m)
{
	struct out_line l;
	off_t at = m->at;
	long n;

	while ((n = out_line(m->fd, at, &l)) > 0 && !out_remote(&l))
		at += n;
	return n < 0 ? -1 : n > 0;
}

int
out_recover(const struct mail *m)
{
	off_t text, end;
	int fd, r = goes_out(m);

	if (r <= 0)
		return r;
	r = touch(m->id, 1);
	if (r < 0)
		return -1;
	fd = out_open(m->id, 0, &text, &end);
	if (fd < 0 && errno == ENOENT)
		fd = out_open(m->id, 1, &text, &end);
	if (fd < 0 && errno != ENOENT && errno != EILSEQ && errno != ENODATA)
		return -1;
	if (fd >= 0) {
		r = same(m, fd);
		(void)close(fd);	/* only read from */
	}
	if (r < 0 || (r == 0 && out_put(m) < 0))
		return -1;
	dir_dirty = 1;
	return 0;
}

int
out_recall(void)
{
	for (; nunnoted; nunnoted--)
		if (out_remark(unnoted[nunnoted - 1].id, &unnoted[nunnoted - 1].mark,
		    sizeof(struct mark)) < 0)
			return -1;
	return 0;
}

int
out_remark(const char *id, const void *p, size_t n)
{
	struct mark k;
	off_t text, end;
	char state;
	int fd, r = 0;

	if (n != sizeof(k))
		return 0;
	memcpy(&k, p, n);
	state = (char)k.state;
	if (touch(id, 0) < 0)
		return -1;
	fd = out_open(id, 0, &text, &end);
	if (fd < 0 && errno == ENOENT)
		fd = out_open(id, 1, &text, &end);
	if (fd < 0)
		return errno == ENOENT || errno == EILSEQ ? 0 : -1;
	if ((off_t)k.at < text)
		r = fs_write(fd, &state, 1, (off_t)k.at);
	if (r == 0 && out_finish(id, fd) < 0)
		r = -1;
	(void)close(fd);	/* synced at the end of the recovery */
	return r;
}
