/* with: */
/* See LICENSE file for copyright and licence details. */
/*
 * Journals that are read after a crash, from a file in memory. Written by ourselves as the input
 * says and then damaged: what was synced is there, whatever of the rest is missing or torn, nothing
 * is there that was not written, and nothing comes back after a reset. Any bytes as a file: records
 * lie within it, and what is written behind them or after a reset is found.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"

enum { SIZE = 4096 * 4, FD = 1000, OPS = 64, RECORDS = 64 };

static unsigned char disk[SIZE], synced[SIZE];
static off_t used;		/* the file's size; -1: there is none */
static int opened;

static int
mem_open(const char *path, int flags, ...)
{
	HOLDS(!strcmp(path, "j") && !opened);
	if (used < 0 && !(flags & O_CREAT)) {
		errno = ENOENT;
		return -1;
	}
	used = used < 0 ? 0 : used;
	opened = 1;
	return FD;
}

static int
mem_close(int fd)
{
	HOLDS(fd == FD && opened);
	opened = 0;
	return 0;
}

static off_t
mem_lseek(int fd, off_t at, int whence)
{
	HOLDS(fd == FD && !at && whence == SEEK_END);
	return used;
}

static int
mem_fsync(int fd)
{
	HOLDS(fd == FD && opened);
	memcpy(synced, disk, sizeof(synced));
	return 0;
}

#define open mem_open
#define close mem_close
#define lseek mem_lseek
#define fsync mem_fsync
#include "lib/journal.c"
#undef open
#undef close
#undef lseek
#undef fsync

int
fs_write(int fd, const void *p, size_t n, off_t at)
{
	HOLDS(fd == FD && opened && at >= 0 && at + (off_t)n <= SIZE);
	memcpy(disk + at, p, n);
	used = at + (off_t)n > used ? at + (off_t)n : used;
	return 0;
}

int
fs_read(int fd, void *p, size_t n, off_t at)
{
	HOLDS(fd == FD && opened && at >= 0);
	if (at + (off_t)n > used) {
		errno = ENODATA;
		return -1;
	}
	memcpy(p, disk + at, n);
	return 0;
}

int
fs_sync(int fd)
{
	return mem_fsync(fd);
}

int
fs_syncdir(const char *path)
{
	return strcmp(path, ".");
}

int
fs_own(int fd, const char *dir)
{
	return fd != FD || strcmp(dir, ".");
}

void
bug(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* ---- what was written ---- */

struct want {
	uint32_t type;
	char tag[JOURNAL_TAG + 1];
	size_t n;
	unsigned char fill;
};

static struct want want[RECORDS];
static int nwant, nsynced;

static unsigned char
byte(const struct want *w, size_t i)
{
	return (unsigned char)(w->fill + i * (w->type & 3) + i / 100);
}

/* 0; -1: there is no room. */
static int
put(struct journal *j, const struct want *w, uint32_t *seed)
{
	static unsigned char b[2048];
	size_t at, i, k;
	off_t end = j->end;
	int fits = journal_fits(j, w->n);

	for (i = 0; i < w->n; i++)
		b[i] = byte(w, i);
	if (journal_begin(j, w->type, w->tag, w->n) < 0) {
		HOLDS(!fits && errno == ENOSPC && j->end == end);
		return -1;
	}
	HOLDS(fits);
	for (at = 0; at < w->n; at += k) {
		k = fuzz_piece(seed, w->n - at);
		HOLDS(journal_add(j, b + at, k) == 0);
	}
	HOLDS(journal_end(j) == 0 && j->end > end && j->last > end);
	return 0;
}

static int
equal(const struct record *r, const struct want *w)
{
	char tag[JOURNAL_TAG + 1] = "";
	size_t i;

	memcpy(tag, r->tag, JOURNAL_TAG);
	if (r->type != w->type || r->n != w->n || strcmp(tag, w->tag))
		return 0;
	for (i = 0; i < w->n; i++)
		if (disk[r->at + (off_t)i] != byte(w, i))
			return 0;
	return 1;
}

/* All records: how many there are, that they lie where they may, and each the next one wanted. */
static int
records(const struct journal *j, int check)
{
	struct record r;
	off_t at = 0, was;
	int n = 0;

	for (;; n++) {
		was = at;
		if (!journal_next(j, &at, &r))
			break;
		HOLDS(r.at >= FIRST && r.at > was && at > r.at - 1 && r.at + (off_t)r.n <= used);
		if (check)
			HOLDS(n < nwant && equal(&r, &want[n]));
	}
	HOLDS(at == was && (at ? at : FIRST) == j->end && journal_empty(j) == !n);
	return n;
}

/*
 * It can be gone on with: behind what is there, and after a reset. Only a journal of others has
 * records of generations to come.
 */
static void
goes_on(struct journal *j, int mine, uint32_t seed)
{
	const struct want more = { 9, "more", 100, 'x' };
	int n = records(j, 0), room = journal_fits(j, more.n);
	uint64_t gen = j->gen;

	HOLDS((put(j, &more, &seed) == 0) == room);
	HOLDS(journal_sync(j) == 0);
	journal_close(j);
	HOLDS(journal_open(j, ".", "j", SIZE - FIRST) == 0);
	HOLDS(records(j, 0) >= n + room);
	/* never to the last generation there can be: that would take longer than there are stars */
	if (gen > UINT64_MAX - 2)
		return;
	HOLDS(journal_reset(j) == 0 && journal_empty(j) && j->gen == gen + 1);
	journal_close(j);
	HOLDS(journal_open(j, ".", "j", SIZE - FIRST) == 0 && j->gen == gen + 1);
	HOLDS(journal_empty(j) || !mine);
	j->end = FIRST;
	want[0] = more;
	nwant = 1;
	HOLDS(put(j, &more, &seed) == 0);
	journal_close(j);
	HOLDS(journal_open(j, ".", "j", SIZE - FIRST) == 0);
	HOLDS(mine ? records(j, 1) == 1 : records(j, 0) >= 1);
}

/* ---- ours, damaged ---- */

/* Records, syncs and resets, three bytes each. */
static void
script(struct journal *j, const uint8_t **p, size_t *n, uint32_t *seed)
{
	struct want *w;
	int i;

	for (i = 0; i < OPS && *n >= 3 && **p != 0xff; i++, *p += 3, *n -= 3) {
		switch (**p & 7) {
		case 0:
			HOLDS(journal_sync(j) == 0);
			nsynced = nwant;
			break;
		case 1:
			HOLDS(journal_reset(j) == 0);
			nwant = nsynced = 0;
			break;
		default:
			if (nwant == RECORDS)
				break;
			w = &want[nwant];
			w->type = **p >> 3;
			w->n = (size_t)(*p)[1] << ((*p)[2] & 3);
			w->fill = (*p)[2];
			(void)snprintf(w->tag, sizeof(w->tag), "%0*d", 1 + ((*p)[2] >> 3), i);
			nwant += put(j, w, seed) == 0;
		}
	}
}

/*
 * The crash: of the pages written since the last sync any may be missing, and any may be torn. Each
 * two bytes behind the script say that of half a page.
 */
static void
crash(const uint8_t *p, size_t n)
{
	enum { HALF = 512 };
	size_t at, i, k;

	for (i = 0; i + 1 < n; i += 2) {
		at = p[i] % (SIZE / HALF) * HALF;
		k = (size_t)p[i + 1] * 2;
		if (at + HALF > (size_t)FIRST || at == 0 || at == JOURNAL_HEAD)
			memcpy(disk + at + k, synced + at + k, HALF - k);
	}
}

static void
ours(const uint8_t *p, size_t n, uint32_t seed)
{
	struct journal j;
	size_t at;
	int found;

	used = -1;
	nwant = nsynced = 0;
	memset(disk, 0, sizeof(disk));
	HOLDS(journal_open(&j, ".", "j", SIZE - FIRST) == 0 && used == SIZE && journal_empty(&j));
	memcpy(synced, disk, sizeof(synced));
	script(&j, &p, &n, &seed);
	HOLDS(records(&j, 1) == nwant);
	journal_close(&j);
	if (n && *p == 0xff) {
		p++;
		n--;
	}
	if (n & 1) {		/* or one bit is another one: in a record, not in a header */
		at = (size_t)FIRST + ((size_t)p[0] << 8 | p[n / 2]) % (SIZE - FIRST);
		disk[at] ^= (unsigned char)(1 << (p[n - 1] & 7));
		nsynced = 0;
	} else {
		crash(p, n);
	}
	HOLDS(journal_open(&j, ".", "j", SIZE - FIRST) == 0);
	found = records(&j, 1);
	HOLDS(found >= nsynced);
	goes_on(&j, 1, seed);
	journal_close(&j);
}

/* ---- any ---- */

static void
theirs(const uint8_t *p, size_t n)
{
	const size_t h = sizeof(struct header);
	struct journal j;
	size_t at, i;

	memset(disk, 0, sizeof(disk));
	for (i = 0; i < n && i < 2 * h + SIZE - (size_t)FIRST; i++) {
		at = i < h ? i : i < 2 * h ? JOURNAL_HEAD + i - h : (size_t)FIRST + i - 2 * h;
		disk[at] = p[i];
	}
	used = i > 2 * h && p[i - 1] & 1 ? FIRST + (off_t)(i - 2 * h) : SIZE;
	if (journal_open(&j, ".", "j", SIZE - FIRST) < 0) {
		HOLDS(errno == EILSEQ && !opened);
		return;
	}
	HOLDS(j.size == SIZE && used == SIZE);
	goes_on(&j, 0, 1);
	journal_close(&j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_seed(&data, &size);

	if (seed & 1)
		theirs(data, size);
	else
		ours(data, size, seed * 2654435761U);
	return 0;
}
