/* with: lib/journal.c lib/fs.c lib/log.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* The journal: what was synced is read back, what is torn ends it, what was reset stays away. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/journal.h"
#include "test.h"

enum { SIZE = 1 << 18 };

static void
put(struct journal *j, const char *tag, size_t n, char fill, size_t step)
{
	static char b[SIZE];
	size_t at, k;

	memset(b, fill, n);
	CHECK(journal_begin(j, 7, tag, n) == 0);
	for (at = 0; at < n; at += k) {
		k = n - at < step ? n - at : step;
		CHECK(journal_add(j, b + at, k) == 0);
	}
	CHECK(journal_end(j) == 0);
}

/* Tags and payload lengths of all records, as one string. */
static const char *
list(const char *path)
{
	static char s[4096];
	struct journal j;
	struct record r;
	off_t at = 0;
	size_t n = 0;

	CHECK(journal_open(&j, ".", path, SIZE) == 0);
	s[0] = '\0';
	while (journal_next(&j, &at, &r) > 0 && n < sizeof(s) - 80)
		n += (size_t)snprintf(s + n, sizeof(s) - n, "%.*s:%lu ", JOURNAL_TAG, r.tag,
		    (unsigned long)r.n);
	CHECK(at == 0 || at == j.end);
	journal_close(&j);
	return s;
}

static void
basics(void)
{
	struct journal j;
	size_t step;

	for (step = 1; step < 20; step++) {
		(void)unlink("j");
		CHECK(journal_open(&j, ".", "j", SIZE) == 0);
		CHECK(journal_empty(&j));
		put(&j, "one", 11, 'a', step);
		put(&j, "two", 0, 'b', step);
		put(&j, "three", 70000, 'c', step * 997);	/* more than its buffer */
		CHECK(journal_sync(&j) == 0);
		CHECK(!journal_empty(&j));
		journal_close(&j);
		CHECK_STR(list("j"), "one:11 two:0 three:70000 ");
	}
	CHECK(journal_open(&j, ".", "j", SIZE) == 0);
	CHECK(journal_reset(&j) == 0);
	CHECK(journal_empty(&j));
	journal_close(&j);
	CHECK_STR(list("j"), "");
}

static void
full(void)
{
	struct journal j;

	(void)unlink("f");
	CHECK(journal_open(&j, ".", "f", SIZE) == 0);
	CHECK(journal_fits(&j, SIZE - 4096));
	CHECK(!journal_fits(&j, SIZE + 1));
	CHECK(!journal_fits(&j, UINT64_MAX));
	CHECK(journal_begin(&j, 7, "big", SIZE + 1) < 0 && errno == ENOSPC);
	put(&j, "fits", SIZE - 4096, 'x', 5000);
	CHECK(journal_begin(&j, 7, "more", 5000) < 0 && errno == ENOSPC);
	journal_close(&j);
}

/* Every byte of the last record changed in turn: it is gone, those before it stay. */
static void
torn(void)
{
	struct journal j;
	off_t at, end, start;
	char c, old;

	(void)unlink("t");
	CHECK(journal_open(&j, ".", "t", SIZE) == 0);
	put(&j, "one", 11, 'a', 3);
	start = j.end;
	put(&j, "two", 40, 'b', 3);
	end = j.last + 40;
	for (at = start; at < end; at++) {
		CHECK(fs_read(j.fd, &old, 1, at) == 0);
		c = (char)(old ^ 1);
		CHECK(fs_write(j.fd, &c, 1, at) == 0);
		CHECK_STR(list("t"), "one:11 ");
		CHECK(fs_write(j.fd, &old, 1, at) == 0);
	}
	CHECK_STR(list("t"), "one:11 two:40 ");
	journal_close(&j);
}

/* Records of an earlier generation behind the end do not come back to life. */
static void
generations(void)
{
	struct journal j;

	(void)unlink("g");
	CHECK(journal_open(&j, ".", "g", SIZE) == 0);
	put(&j, "one", 16, 'a', 16);
	put(&j, "old", 16, 'b', 16);
	CHECK(journal_reset(&j) == 0);
	put(&j, "new", 16, 'c', 16);
	CHECK(journal_sync(&j) == 0);
	journal_close(&j);
	CHECK_STR(list("g"), "new:16 ");
}

/* A header that was not written out, or torn: the other one holds, with its records. */
static void
headers(void)
{
	struct journal j;
	char zero[64] = "";

	(void)unlink("h");
	CHECK(journal_open(&j, ".", "h", SIZE) == 0);
	put(&j, "one", 16, 'a', 16);
	CHECK(journal_reset(&j) == 0);
	CHECK(fs_write(j.fd, zero, 8, (off_t)(j.gen & 1) * JOURNAL_HEAD) == 0);
	journal_close(&j);
	CHECK_STR(list("h"), "one:16 ");
	CHECK(journal_open(&j, ".", "h", SIZE) == 0);
	CHECK(fs_write(j.fd, "junk", 4, 0) == 0 && fs_write(j.fd, "junk", 4, JOURNAL_HEAD) == 0);
	journal_close(&j);
	CHECK(journal_open(&j, ".", "h", SIZE) < 0 && errno == EILSEQ);
	/* one whose making was cut short is made again */
	CHECK(truncate("h", 0) == 0 && truncate("h", 100) == 0);
	CHECK_STR(list("h"), "");
}

/* One that is smaller than it should be now, or whose end was lost, gets the room that is
 * missing. */
static void
grows(void)
{
	static const off_t lost[] = { 0, 1000, 4096 + 24, 2 * JOURNAL_HEAD,
	    2 * JOURNAL_HEAD + 100 };
	struct journal j;
	size_t i;

	(void)unlink("s");
	CHECK(journal_open(&j, ".", "s", SIZE / 8) == 0);
	put(&j, "one", 16, 'a', 16);
	CHECK(!journal_fits(&j, SIZE / 8));
	journal_close(&j);
	for (i = 0; i < LEN(lost); i++) {
		CHECK(!lost[i] || truncate("s", lost[i]) == 0);
		CHECK_STR(list("s"), i == 0 || i == 4 ? "one:16 " : "");
		CHECK(journal_open(&j, ".", "s", SIZE) == 0);
		CHECK(j.end <= j.size && journal_fits(&j, SIZE - 4096));
		if (i)
			put(&j, "one", 16, 'a', 16);
		journal_close(&j);
	}
}

int
main(void)
{
	grows();
	basics();
	full();
	torn();
	generations();
	headers();
	return test_end();
}
