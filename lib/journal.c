/* See LICENSE file for copyright and licence details. */
/* A journal: records appended to a file of fixed size, made durable together, forgotten
 * together. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "journal.h"
#include "log.h"

#define MAGIC UINT64_C(0x316c6e724a64696d)
#define FIRST ((off_t)2 * JOURNAL_HEAD)

struct header {
	uint64_t magic, gen, sum;
};

struct head {
	uint32_t magic, type;
	uint64_t gen, n, sum;
	char tag[JOURNAL_TAG];
};

_Static_assert(sizeof(struct head) % 8 == 0, "records stay aligned");

/* The record being written: what fits is kept here, so that most records are one write. */
static struct {
	char b[1 << 16];
	size_t n;		/* bytes in b */
	off_t at;		/* where b goes */
	uint64_t left;		/* payload still to come */
	uint64_t sum;
	size_t part;		/* bytes of the last, incomplete word of the sum */
	unsigned char word[8];
	struct head h;
} cur;

/* A checksum against torn writes, not against malice. */
static uint64_t
mix(uint64_t sum, uint64_t w)
{
	sum = (sum ^ w) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ (sum >> 29);
}

static uint64_t
mix_bytes(uint64_t sum, const unsigned char *p, size_t n)
{
	uint64_t w;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&w, p, 8);
		sum = mix(sum, w);
	}
	if (n) {
		w = 0;
		memcpy(&w, p, n);
		sum = mix(sum, w);
	}
	return sum;
}

/* Start of a record's sum: everything in its head. */
static uint64_t
seed(const struct head *h)
{
	uint64_t sum = mix(mix(mix(MAGIC, h->gen), h->n), h->type);

	return mix_bytes(sum, (const unsigned char *)h->tag, sizeof(h->tag));
}

static off_t
padded(uint64_t n)
{
	return (off_t)((n + 7) & ~UINT64_C(7));
}

/* ---- headers ---- */

static int
put_header(struct journal *j, uint64_t gen)
{
	struct header h;

	h.magic = MAGIC;
	h.gen = gen;
	h.sum = mix(MAGIC, gen);
	return fs_write(j->fd, &h, sizeof(h), (off_t)(gen & 1) * JOURNAL_HEAD);
}

/* 0, or -1: it cannot be read (a file that is too short has none). */
static int
get_header(struct journal *j, off_t at)
{
	struct header h;

	if (fs_read(j->fd, &h, sizeof(h), at) < 0)
		return errno == ENODATA ? 0 : -1;
	if (h.magic == MAGIC && h.sum == mix(MAGIC, h.gen) && h.gen > j->gen)
		j->gen = h.gen;
	return 0;
}

/* Zeros from `at` to the end, which is one of a page. */
static int
fill(int fd, off_t at, off_t size)
{
	static char zero[4096];		/* not const: that would take room in the binary */
	size_t n;

	for (; at < size; at += (off_t)n) {
		n = sizeof(zero) - (size_t)at % sizeof(zero);
		if (fs_write(fd, zero, n, at) < 0)
			return -1;
	}
	return 0;
}

/* A new one appears under its name only when it is complete: an unfinished one is begun anew. */
static int
create(struct journal *j, const char *dir, const char *path, off_t size)
{
	j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0)
		return -1;
	if (fs_own(j->fd, dir) < 0 || fill(j->fd, 0, size) < 0 || put_header(j, 1) < 0 ||
	    fsync(j->fd) < 0 || fs_syncdir(dir) < 0)
		return -1;
	j->gen = 1;
	return 0;
}

/* All zeros so far: its making was cut short, nothing was ever in it. */
static int
blank(int fd)
{
	struct header h;
	static const struct header zero;

	if (fs_read(fd, &h, sizeof(h), 0) < 0 || memcmp(&h, &zero, sizeof(h)) != 0)
		return 0;
	return fs_read(fd, &h, sizeof(h), JOURNAL_HEAD) < 0 || memcmp(&h, &zero, sizeof(h)) == 0;
}

/* 1: there is a valid header; 0: there is none; -1: nobody knows. */
static int
look(struct journal *j)
{
	if (get_header(j, 0) < 0 || get_header(j, JOURNAL_HEAD) < 0)
		return -1;
	return j->gen != 0;
}

static int
give_up(struct journal *j, int e)
{
	journal_close(j);
	errno = e;
	return -1;
}

int
journal_open(struct journal *j, const char *dir, const char *path, off_t size)
{
	struct record r;
	off_t at = 0;
	int found;

	memset(j, 0, sizeof(*j));
	size = FIRST + (size + 4095) / 4096 * 4096;
	j->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd < 0 && errno != ENOENT)
		return -1;
	if (j->fd >= 0) {
		j->size = lseek(j->fd, 0, SEEK_END);
		found = look(j);
		if (found < 0)
			return give_up(j, errno);
		if (!found && j->size && !blank(j->fd))
			return give_up(j, EILSEQ);
		if (!found)
			journal_close(j);
		else if (j->size < size && fill(j->fd, j->size, size) == 0 && fsync(j->fd) == 0)
			j->size = size;	/* if not, it is as good as it was */
	}
	if (j->fd < 0) {
		if (create(j, dir, path, size) < 0)
			return give_up(j, errno);
		j->size = size;
	}
	j->end = j->size;	/* journal_next() stops there */
	while ((found = journal_next(j, &at, &r)) > 0)
		;
	if (found < 0)
		return give_up(j, errno);	/* it may go on behind what cannot be read */
	j->end = j->synced = at ? at : FIRST;
	return 0;
}

/* ---- reading ---- */

/* 1: the sum is right; 0: it is not; -1: it cannot be read. */
static int
whole(const struct journal *j, const struct head *h, off_t at)
{
	static unsigned char b[1 << 15];
	uint64_t left = h->n, sum = seed(h);
	size_t n;

	while (left) {
		n = left < sizeof(b) ? (size_t)left : sizeof(b);
		if (fs_read(j->fd, b, n, at) < 0)
			return -1;
		sum = mix_bytes(sum, b, n);
		at += (off_t)n;
		left -= n;
	}
	return sum == h->sum;
}

int
journal_next(const struct journal *j, off_t *at, struct record *r)
{
	struct head h;
	off_t from = *at ? *at : FIRST;
	int ok;

	if (from + (off_t)sizeof(h) > j->end)
		return 0;
	if (fs_read(j->fd, &h, sizeof(h), from) < 0)
		return -1;
	if (h.magic != (uint32_t)MAGIC || h.gen != j->gen ||
	    h.n > (uint64_t)(j->end - from) - sizeof(h))
		return 0;
	from += (off_t)sizeof(h);
	ok = whole(j, &h, from);
	if (ok <= 0)
		return ok;
	r->type = h.type;
	memcpy(r->tag, h.tag, sizeof(r->tag));
	r->at = from;
	r->n = h.n;
	*at = from + padded(h.n);
	return 1;
}

int
journal_empty(const struct journal *j)
{
	return j->end == FIRST;
}

/* ---- writing ---- */

int
journal_fits(const struct journal *j, uint64_t n)
{
	return n < (uint64_t)j->size &&
	    j->end + (off_t)sizeof(struct head) + padded(n) <= j->size;
}

int
journal_begin(struct journal *j, uint32_t type, const char *tag, uint64_t n)
{
	size_t len = strlen(tag);

	BUG_IF(len > JOURNAL_TAG);
	if (j->bad || !journal_fits(j, n)) {
		errno = j->bad ? EIO : ENOSPC;
		return -1;
	}
	memset(&cur.h, 0, sizeof(cur.h));
	cur.h.magic = (uint32_t)MAGIC;
	cur.h.type = type;
	cur.h.gen = j->gen;
	cur.h.n = n;
	memcpy(cur.h.tag, tag, len);
	cur.sum = seed(&cur.h);
	cur.left = n;
	cur.part = 0;
	cur.at = j->end;
	cur.n = sizeof(cur.h);	/* room for the head, which is known last */
	return 0;
}

static int
spill(struct journal *j)
{
	size_t skip = cur.at == j->end ? sizeof(cur.h) : 0;

	if (fs_write(j->fd, cur.b + skip, cur.n - skip, cur.at + (off_t)skip) < 0)
		return -1;
	cur.at += (off_t)cur.n;
	cur.n = 0;
	return 0;
}

/* The sum goes by words of eight bytes, wherever the pieces are cut. */
static void
sum_add(const unsigned char *p, size_t n)
{
	size_t k;

	if (cur.part) {
		k = 8 - cur.part < n ? 8 - cur.part : n;
		memcpy(cur.word + cur.part, p, k);
		cur.part += k;
		p += k;
		n -= k;
		if (cur.part < 8)
			return;
		cur.sum = mix_bytes(cur.sum, cur.word, 8);
		cur.part = 0;
	}
	k = n & ~(size_t)7;
	cur.sum = mix_bytes(cur.sum, p, k);
	memcpy(cur.word, p + k, n - k);
	cur.part = n - k;
}

int
journal_add(struct journal *j, const void *p, size_t n)
{
	const char *s = p;
	size_t k;

	BUG_IF(n > cur.left);
	cur.left -= n;
	sum_add(p, n);
	while (n) {
		if (cur.n == sizeof(cur.b) && spill(j) < 0)
			return -1;
		k = sizeof(cur.b) - cur.n < n ? sizeof(cur.b) - cur.n : n;
		memcpy(cur.b + cur.n, s, k);
		cur.n += k;
		s += k;
		n -= k;
	}
	return 0;
}

int
journal_end(struct journal *j)
{
	int first = cur.at == j->end;

	BUG_IF(cur.left);
	if (cur.part)
		cur.sum = mix_bytes(cur.sum, cur.word, cur.part);
	cur.h.sum = cur.sum;
	if (first)
		memcpy(cur.b, &cur.h, sizeof(cur.h));
	if (fs_write(j->fd, cur.b, cur.n, cur.at) < 0 ||
	    (!first && fs_write(j->fd, &cur.h, sizeof(cur.h), j->end) < 0))
		return -1;
	j->last = j->end + (off_t)sizeof(cur.h);
	j->end = j->last + padded(cur.h.n);
	return 0;
}

int
journal_sync(struct journal *j)
{
	if (j->bad)
		return -1;
	if (j->synced == j->end)
		return 0;
	if (fs_sync(j->fd) < 0) {
		j->bad = 1;
		return -1;
	}
	j->synced = j->end;
	return 0;
}

int
journal_reset(struct journal *j)
{
	if (j->bad)
		return -1;
	if (put_header(j, j->gen + 1) < 0 || fs_sync(j->fd) < 0) {
		j->bad = 1;
		return -1;
	}
	j->gen++;
	j->end = j->synced = FIRST;
	return 0;
}

void
journal_close(struct journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);	/* what matters was synced */
	j->fd = -1;
}
