/* See LICENSE file for copyright and licence details. */
/*
 * A table of fixed size that is kept in a file:
 *
 *	struct head		what it is, and the secret of its keys
 *	struct table_row	n of them, by sets of TABLE_WAYS
 *
 * It is read once and then only written to, a row at a time and never synced. Not mapped: a page
 * of a mapped file that the disk has no room for (on a file system that copies on write), cannot
 * read, or that somebody has cut off, is a SIGBUS; a pwrite() of 32 octets is an error that can be
 * told. And nobody can change what has been read. A row counts only while `until` lies ahead, and
 * not further than `life`: so neither a damaged file nor a clock that was wrong for a while can
 * fill the table for good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bearssl_hash.h>

#include "fs.h"
#include "table.h"

/* In the order of octets of this machine: for another one it is none of ours. */
struct head {
	char magic[8];			/* changes with the form of a row */
	uint64_t n;
	unsigned char secret[TABLE_SECRET];
	uint64_t pad[2];
};

_Static_assert(sizeof(struct head) == 64 && sizeof(struct table_row) == 32, "rows do not straddle");

static void
fill(struct head *h, const struct table *t)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->magic, "maild-t1", sizeof(h->magic));
	h->n = t->n;
	memcpy(h->secret, t->secret, TABLE_SECRET);
}

/* Rows that are in use only: memory that nobody touches costs nothing. 0 or -1. */
static int
load_rows(struct table *t, int fd)
{
	struct table_row some[8 * TABLE_WAYS];
	size_t at, k, n;

	for (at = 0; at < t->n; at += n) {
		n = t->n - at < 8 * TABLE_WAYS ? t->n - at : 8 * TABLE_WAYS;
		if (fs_read(fd, some, n * sizeof(*some),
		    (off_t)(sizeof(struct head) + at * sizeof(*some))) < 0)
			break;
		for (k = 0; k < n; k++)
			if (some[k].until)
				t->row[at + k] = some[k];
	}
	if (at >= t->n)
		return 0;
	memset(t->row, 0, t->n * sizeof(*t->row));
	return -1;
}

/* 1: it was one of ours; 0: it is none. */
static int
load(struct table *t, int fd, const struct stat *st)
{
	struct head h, want;

	if (st->st_size != (off_t)(sizeof(h) + t->n * sizeof(*t->row)) ||
	    fs_read(fd, &h, sizeof(h), 0) < 0)
		return 0;
	fill(&want, t);
	memcpy(want.secret, h.secret, TABLE_SECRET);
	if (memcmp(&h, &want, sizeof(h)) != 0 || load_rows(t, fd) < 0)
		return 0;
	memcpy(t->secret, h.secret, TABLE_SECRET);
	return 1;
}

/* The head comes last: a file that is half made is none of ours. */
static int
make(struct table *t, int fd)
{
	struct head h;

	fill(&h, t);
	if (ftruncate(fd, 0) < 0 || fs_write(fd, t->row, t->n * sizeof(*t->row), sizeof(h)) < 0)
		return -1;
	return fs_write(fd, &h, sizeof(h), 0);
}

int
table_open(struct table *t, const char *path)
{
	struct stat st;
	int saved;

	t->failed = 0;
	t->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return -1;
	if (fstat(t->fd, &st) == 0 && (load(t, t->fd, &st) || make(t, t->fd) == 0))
		return 0;
	saved = errno;
	(void)close(t->fd);	/* no use */
	t->fd = -1;
	errno = saved;
	return -1;
}

static int
lives(const struct table *t, const struct table_row *r, int64_t now)
{
	return r->until > now && r->until <= now + t->life;
}

/* The first of the rows that a key can be in. */
static struct table_row *
set_of(const struct table *t, const unsigned char key[TABLE_KEY])
{
	uint32_t v;

	memcpy(&v, key, sizeof(v));
	return t->row + (v & (t->n / TABLE_WAYS - 1)) * TABLE_WAYS;
}

struct table_row *
table_find(struct table *t, const unsigned char key[TABLE_KEY], int64_t now)
{
	struct table_row *r, *end;

	if (!t->n)
		return NULL;
	r = set_of(t, key);
	for (end = r + TABLE_WAYS; r < end; r++)
		if (lives(t, r, now) && !memcmp(r->key, key, TABLE_KEY))
			return r;
	return NULL;
}

struct table_row *
table_make(struct table *t, const unsigned char key[TABLE_KEY], int64_t now, int64_t until)
{
	struct table_row *r = table_find(t, key, now), *p, *end;

	if (r || !t->n)
		return r;
	p = r = set_of(t, key);
	for (end = p + TABLE_WAYS; p < end && lives(t, r, now); p++)
		if (!lives(t, p, now) || p->until < r->until)
			r = p;
	memcpy(r->key, key, TABLE_KEY);
	r->since = (uint32_t)now;
	r->until = (uint32_t)until;
	r->n = 0;
	return r;
}

int
table_save(struct table *t, const struct table_row *r)
{
	int failed = t->failed;

	if (t->fd < 0)
		return 0;
	t->failed = fs_write(t->fd, r, sizeof(*r), (off_t)(sizeof(struct head) +
	    (size_t)(r - t->row) * sizeof(*r))) < 0;
	return t->failed && !failed ? -1 : 0;
}

void
table_key(const struct table *t, unsigned char key[TABLE_KEY], const void *p, size_t n)
{
	unsigned char sum[br_sha256_SIZE];
	br_sha256_context c;

	br_sha256_init(&c);
	br_sha256_update(&c, t->secret, TABLE_SECRET);
	br_sha256_update(&c, p, n);
	br_sha256_out(&c, sum);
	memcpy(key, sum, TABLE_KEY);
}
