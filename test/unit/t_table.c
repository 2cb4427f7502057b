/* with: lib/table.c lib/fs.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Tables that are kept in a file: rows and their ends, which one gives way, what is there after a
 * restart, and files that are none of ours, damaged, cut off, or that cannot be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/table.h"
#include "test.h"

enum { ROWS = 16, LIFE = 1000, NOW = 1800000000, HEAD = 64, SIZE = HEAD + ROWS * 32 };

static struct table_row rows[ROWS];
static struct table t;

/* As at a start; `secret`: what the caller's are. */
static int
start(const char *path, char secret)
{
	if (t.n && t.fd >= 0)
		(void)close(t.fd);
	memset(rows, 0, sizeof(rows));
	memset(&t, 0, sizeof(t));
	t.row = rows;
	t.n = ROWS;
	t.life = LIFE;
	memset(t.secret, secret, sizeof(t.secret));
	return table_open(&t, path);
}

/* A key of set 0 or 1. */
static const unsigned char *
key(int set, int i)
{
	static unsigned char k[4][TABLE_KEY];
	static int turn;
	unsigned char *p = k[turn++ % 4];

	memset(p, 0, TABLE_KEY);
	p[0] = (unsigned char)set;
	p[TABLE_KEY - 1] = (unsigned char)i;
	return p;
}

static struct table_row *
make(int set, int i, int64_t now, int64_t until)
{
	struct table_row *r = table_make(&t, key(set, i), now, until);

	if (!CHECK(r != NULL))
		abort();
	CHECK_MEM((char *)r->key, TABLE_KEY, (const char *)key(set, i), TABLE_KEY);
	return r;
}

static int
there(int set, int i, int64_t now)
{
	return table_find(&t, key(set, i), now) != NULL;
}

/* ---- rows ---- */

static void
lives(void)
{
	struct table_row *r;

	CHECK_INT(start("a", 1), 0);
	CHECK(!there(0, 1, NOW));
	r = make(0, 1, NOW, NOW + 10);
	CHECK_INT(r->since, NOW);
	CHECK_INT(r->until, NOW + 10);
	CHECK_INT(r->n, 0);
	r->n = 7;
	CHECK(make(0, 1, NOW + 3, NOW + 20) == r);	/* the one that is there, as it is */
	CHECK_INT(r->n, 7);
	CHECK_INT(r->until, NOW + 10);
	CHECK(there(0, 1, NOW + 9));
	CHECK(!there(0, 1, NOW + 10));
	CHECK(!there(1, 1, NOW));
	CHECK(!there(0, 2, NOW));
	/* the clock is set back: a row cannot have longer than LIFE to go */
	CHECK(there(0, 1, NOW + 10 - LIFE));
	CHECK(!there(0, 1, NOW + 10 - LIFE - 1));
	CHECK(!there(0, 1, 0));
	CHECK(!there(0, 1, INT64_MAX - LIFE));
	CHECK(!there(0, 0, NOW));
	/* what never was a row is none at any time */
	CHECK(!there(0, 0, 0));
	CHECK(!there(0, 0, 1));
	/* after 2106 nothing is kept, and nothing worse happens */
	r = make(0, 3, UINT32_MAX + (int64_t)5, UINT32_MAX + (int64_t)50);
	CHECK(!there(0, 3, UINT32_MAX + (int64_t)6));
	/* a table that is not there */
	t.n = 0;
	CHECK(!table_find(&t, key(0, 1), NOW));
	CHECK(!table_make(&t, key(0, 1), NOW, NOW + 1));
	t.n = ROWS;
}

/* In a full set the row that ends first gives way, those that have ended before all. */
static void
replacing(void)
{
	int i;

	CHECK_INT(start("b", 1), 0);
	for (i = 0; i < TABLE_WAYS; i++)
		(void)make(1, i, NOW, NOW + 100 + (i * 5) % 8);
	for (i = 0; i < TABLE_WAYS; i++)
		CHECK(there(1, i, NOW));
	(void)make(1, 50, NOW, NOW + 500);
	CHECK(!there(1, 0, NOW));			/* had 100 */
	(void)make(1, 51, NOW, NOW + 500);
	CHECK(!there(1, 5, NOW));			/* 101: 5 * 5 % 8 */
	for (i = 1; i < TABLE_WAYS; i++)
		CHECK_INT(there(1, i, NOW), i != 5);
	(void)make(1, 52, NOW + 103, NOW + 104);	/* 2 and 7 had until then */
	(void)make(1, 53, NOW + 103, NOW + 104);
	for (i = 50; i < 54; i++)
		CHECK(there(1, i, NOW + 103));
	for (i = 0; i < TABLE_WAYS; i++)
		CHECK(!there(0, i, NOW));
	for (i = 0; i < 1000; i++) {
		(void)make(i & 1, i >> 2, NOW + i, NOW + i + LIFE);
		CHECK(there(i & 1, i >> 2, NOW + i));
	}
}

/* ---- files ---- */

static void
restart(void)
{
	unsigned char k1[TABLE_KEY], k2[TABLE_KEY];
	struct table_row *r;
	struct stat st;
	int i;

	CHECK_INT(start("c", 1), 0);
	CHECK(stat("c", &st) == 0 && st.st_size == SIZE && (st.st_mode & 07777) == 0600);
	table_key(&t, k1, "text", 4);
	for (i = 0; i < 5; i++) {
		r = make(i & 1, i, NOW, NOW + 10 + i);
		r->n = (uint32_t)i * 1000;
		CHECK_INT(table_save(&t, r), 0);
	}
	(void)make(1, 9, NOW, NOW + 10);		/* not saved */
	CHECK_INT(start("c", 2), 0);
	for (i = 0; i < 5; i++) {
		r = table_find(&t, key(i & 1, i), NOW);
		if (CHECK(r != NULL)) {
			CHECK_INT(r->n, i * 1000);
			CHECK_INT(r->until, NOW + 10 + i);
			CHECK_INT(r->since, NOW);
		}
	}
	CHECK(!there(1, 9, NOW));
	/* the secret is the file's: keys stay the same, and differ with it and with the text */
	table_key(&t, k2, "text", 4);
	CHECK(!memcmp(k1, k2, TABLE_KEY));
	table_key(&t, k2, "texT", 4);
	CHECK(memcmp(k1, k2, TABLE_KEY) != 0);
	CHECK_INT(start("d", 2), 0);
	table_key(&t, k2, "text", 4);
	CHECK(memcmp(k1, k2, TABLE_KEY) != 0);
}

static void
spoil(const char *path, off_t at, const void *p, size_t n, off_t size)
{
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0 && fs_write(fd, p, n, at) == 0);
	CHECK(size < 0 || ftruncate(fd, size) == 0);
	(void)close(fd);
}

/* Files that are not ours, of another version or size: made anew. */
static void
strangers(void)
{
	static const struct {
		const char *what;
		off_t at, size;
	} cases[] = {
		{ "magic", 0, -1 }, { "version", 7, -1 }, { "rows", 8, -1 }, { "more rows", 15, -1 },
		{ "padding", 48, -1 }, { "more padding", 63, -1 },
		{ "empty", 0, 0 }, { "cut in the head", 0, 10 }, { "cut in a row", 40, SIZE - 1 },
		{ "too long", 40, SIZE + 1 }, { "only a head", 40, HEAD },
	};
	unsigned char secret[TABLE_SECRET];
	struct stat st;
	size_t i;

	for (i = 0; i < LEN(cases); i++) {
		CHECK_INT(start("e", 'A'), 0);
		memcpy(secret, t.secret, sizeof(secret));
		CHECK_INT(table_save(&t, make(1, 1, NOW, NOW + 10)), 0);
		spoil("e", cases[i].at, "\xff", 1, cases[i].size);
		CHECK_INT(start("e", (char)('B' + i)), 0);
		CHECK_MSG(!there(1, 1, NOW), "%s", cases[i].what);
		CHECK_MSG(memcmp(t.secret, secret, sizeof(secret)) != 0, "%s", cases[i].what);
		CHECK(stat("e", &st) == 0 && st.st_size == SIZE);
		CHECK_INT(table_save(&t, make(1, 2, NOW, NOW + 10)), 0);
		CHECK_INT(start("e", 'Z'), 0);
		CHECK(there(1, 2, NOW));
	}
}

/* Rows that hold anything: no more than false rows, and room for true ones. */
static void
damage(void)
{
	static unsigned char junk[ROWS * 32];
	uint32_t seed = 1;
	size_t i;
	int round;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < sizeof(junk); i++) {
			seed = seed * 1103515245 + 12345;
			junk[i] = round ? (unsigned char)(seed >> 16) : 0xff;
		}
		CHECK_INT(start("f", 1), 0);
		spoil("f", HEAD, junk, sizeof(junk), -1);
		CHECK_INT(start("f", 1), 0);
		for (i = 0; i < TABLE_WAYS; i++)
			(void)make((int)(i + (size_t)round) & 1, (int)i + 1, NOW, NOW + LIFE);
		for (i = 0; i < TABLE_WAYS; i++)
			CHECK(there((int)(i + (size_t)round) & 1, (int)i + 1, NOW));
	}
}

/* Somebody cuts the file off, or removes it, while it is open: no signal, and the rows stay. */
static void
cut_off(void)
{
	CHECK_INT(start("g", 1), 0);
	CHECK_INT(table_save(&t, make(1, 1, NOW, NOW + 10)), 0);
	CHECK(truncate("g", 0) == 0);
	CHECK(there(1, 1, NOW));
	CHECK_INT(table_save(&t, make(1, 2, NOW, NOW + 10)), 0);
	CHECK(unlink("g") == 0);
	CHECK_INT(table_save(&t, make(1, 3, NOW, NOW + 10)), 0);
	CHECK(there(1, 1, NOW) && there(1, 2, NOW) && there(1, 3, NOW));
	CHECK_INT(start("g", 1), 0);
	CHECK(!there(1, 1, NOW));
}

/* No file can be had: in memory only. The disk fills up later: told once, until it is well again. */
static void
trouble(void)
{
	struct rlimit old, none;

	CHECK(mkdir("dir", 0700) == 0 && symlink("c", "link") == 0 && mkfifo("fifo", 0600) == 0);
	CHECK(start("dir", 1) < 0 && errno == EISDIR);
	CHECK(start("no/file", 1) < 0 && errno == ENOENT);
	CHECK(start("link", 1) < 0 && errno == ELOOP);
	CHECK(start("fifo", 1) < 0 && errno == EINVAL);
	CHECK_INT(t.fd, -1);
	CHECK_INT(table_save(&t, make(1, 1, NOW, NOW + 10)), 0);
	CHECK(there(1, 1, NOW));

	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	CHECK_INT(start("h", 1), 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
	CHECK(table_save(&t, make(1, 1, NOW, NOW + 10)) < 0 && errno == EFBIG);
	CHECK_INT(table_save(&t, make(1, 2, NOW, NOW + 10)), 0);
	CHECK(start("i", 1) < 0 && errno == EFBIG);
	CHECK_INT(start("h", 1), 0);	/* to read is allowed */
	CHECK(table_save(&t, make(1, 3, NOW, NOW + 10)) < 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CHECK_INT(table_save(&t, make(1, 4, NOW, NOW + 10)), 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
	CHECK(table_save(&t, make(1, 5, NOW, NOW + 10)) < 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	CHECK_INT(start("h", 1), 0);
	CHECK(!there(1, 1, NOW) && !there(1, 3, NOW) && there(1, 4, NOW) && !there(1, 5, NOW));
}

int
main(void)
{
	lives();
	replacing();
	restart();
	strangers();
	damage();
	cut_off();
	trouble();
	return test_end();
}
