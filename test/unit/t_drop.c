/* with: drop.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The maildrop over real mailboxes: when its index may be used and when not; unique-ids; sessions
 * beside each other and their ends; slices.
 */
#include "t_drop.h"

/* ---- the index ---- */

static void
test_empty(void)
{
	static const char *const none[] = { "", "\n", "\n\n", "no mailbox\n\nat all\n" };
	size_t i;

	fresh(0);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, 0);
	CHECK_INT(drop_commit(&d), DROP_READY);
	for (i = 0; i < LEN(none); i++) {
		spill(path, none[i], strlen(none[i]));
		CHECK_INT(start(), DROP_READY);
		CHECK_INT(d.n, 0);
		CHECK_INT(drop_mark(&d, 0), -1);
		CHECK_INT(go_on(drop_commit(&d)), DROP_READY);
		CHECK(box_is(none[i], strlen(none[i])));
	}
}

static void
test_index(void)
{
	struct timespec t[2] = { { 1, 1 }, { 1, 1 } };
	static const unsigned char boot[16] = "another boot....";
	int fd;

	fresh(10);
	CHECK(!index_used(10));
	poison();
	CHECK(index_used(10));			/* nothing has happened */
	deliver(10);
	CHECK(index_used(11));			/* we have appended: only the tail is read */
	deliver(11);
	deliver(12);
	CHECK_INT(store_checkpoint(), 0);
	CHECK(index_used(13));
	(void)utimensat(AT_FDCWD, path, t, 0);
	CHECK(!index_used(13));			/* somebody has touched it */
	poison();
	foreign_append(13);
	CHECK(!index_used(14));
	poison();
	foreign_append(14);
	deliver(15);
	CHECK(!index_used(16));			/* theirs, then ours */
	poison();
	deliver(16);
	foreign_append(17);
	CHECK(!index_used(18));			/* ours, then theirs */
	poison();
	nwas = slurp(path, was, sizeof(was));
	spill("mail/other", was, nwas);
	if (rename("mail/other", path) < 0)
		abort();
	CHECK(!index_used(18));			/* another file of the same bytes */
	poison();
	CHECK(index_used(18));
	fd = open("spool/index/alice", O_RDWR);
	if (fd < 0 || fs_write(fd, boot, sizeof(boot), 8) < 0 || close(fd) < 0)
		abort();
	CHECK(!index_used(18));			/* it was not synced before the machine went down */
	spill("spool/index/alice", BYTES("garbage"));
	CHECK(!index_used(18));
	(void)unlink("spool/index/alice");
	CHECK(!index_used(18));
}

/* An index that was being written when its session ended is of no use, whatever came after. */
static void
test_broken_index(void)
{
	char text[4096];
	size_t n;

	fresh(10);
	CHECK(!index_used(10));
	deliver(10);
	slow = 1000;
	CHECK_INT(drop_open(&d, alice), DROP_AGAIN);	/* the tail is being read */
	drop_close(&d);
	slow = 0;
	/* now another program removes the first message, and mail comes */
	n = message(text, 0);
	nwas = slurp(path, was, sizeof(was));
	spill(path, was + n, nwas - n);
	deliver(11);
	CHECK_INT(start(), DROP_READY);
	check_messages(1, 12, NULL);
	drop_close(&d);
}

static void
uids(char dst[MAX][UIDL_TEXT])
{
	struct drop_msg m;
	uint32_t i;

	for (i = 0; i < d.n && i < MAX; i++) {
		if (drop_msg(&d, i, &m) < 0)
			abort();
		(void)mbox_uidl(dst[i], m.m.uid);
	}
}

static void
test_uidl(void)
{
	static char before[MAX][UIDL_TEXT], after[MAX][UIDL_TEXT];
	int i, k;

	fresh(12);
	CHECK_INT(start(), DROP_READY);
	uids(before);
	for (i = 0; i < 12; i++)
		for (k = 0; k < i; k++)
			CHECK(strcmp(before[i], before[k]) != 0);
	drop_close(&d);
	(void)unlink("spool/index/alice");
	deliver(12);
	foreign_append(13);
	CHECK_INT(start(), DROP_READY);
	uids(after);
	for (i = 0; i < 12; i++)
		CHECK_STR(after[i], before[i]);
	CHECK_INT(drop_mark(&d, 3), 0);
	CHECK_INT(drop_mark(&d, 0), 0);
	CHECK_INT(go_on(drop_commit(&d)), DROP_READY);
	CHECK_INT(start(), DROP_READY);
	uids(after);
	CHECK_INT(d.n, 12);
	CHECK_STR(after[0], before[1]);
	CHECK_STR(after[1], before[2]);
	for (i = 2; i < 10; i++)
		CHECK_STR(after[i], before[i + 2]);
	drop_close(&d);
}

/* ---- messages ---- */

/*
 * A message that is too large to be read again in full: it is looked at where it begins and ends.
 */
static void
test_check_large(void)
{
	static char large[3 << 20];
	struct drop_msg m;
	size_t n;

	n = message(large, 1);
	memset(large + n, 'x', sizeof(large) - n - 100);
	memcpy(large, "From a@x Sun Nov 22 01:00:00 2026\n\n", 36);
	memcpy(large + sizeof(large) - 102, "\n\n", 2);
	message(large + sizeof(large) - 100, 0);
	fresh(0);
	spill(path, large, sizeof(large) - 100 + message(now, 0));
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, 2);
	CHECK_INT(drop_msg(&d, 0, &m), 0);
	CHECK_INT(drop_check(&d, &m), 0);
	spill_behind(path, "\n", 1);
	CHECK_INT(drop_check(&d, &m), 0);
	spill(path, large + 1, sizeof(large) - 100);
	CHECK_INT(drop_check(&d, &m), -1);
	drop_close(&d);
}

static void
test_locked(void)
{
	struct other o;

	fresh(5);
	other_lock(&o, path);
	CHECK_INT(start(), DROP_INUSE);
	other_end(&o);
	CHECK_INT(start(), DROP_READY);
	drop_close(&d);
}

/* ---- sessions beside each other, and their ends ---- */

static void
test_sessions(void)
{
	struct drop other;
	unsigned char gone[2 * MAX];

	fresh(10);
	memset(&other, 0, sizeof(other));
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(drop_open(&other, alice), DROP_INUSE);
	drop_close(&other);
	mark(gone, 1, 10);
	drop_close(&d);			/* a client that is gone has deleted nothing */
	CHECK_INT(start(), DROP_READY);
	check_messages(0, 10, NULL);
	CHECK_INT(drop_mark(&d, 2), 0);
	CHECK_INT(drop_mark(&d, 2), 0);
	CHECK_INT(d.nmarked, 1);
	drop_reset(&d);
	check_messages(0, 10, NULL);
	CHECK_INT(drop_commit(&d), DROP_READY);
	CHECK(box_is(was, nwas));
	drop_close(&d);
	drop_close(&d);
}

/* It ends in the middle of each slice of its opening, and of its deleting. */
static void
test_ends(void)
{
	unsigned char gone[2 * MAX];
	enum drop_res r = DROP_AGAIN;
	int i, k, phase;

	for (phase = 0; phase < 2; phase++) {
		for (k = 0; k < 200; k++) {
			fresh(20);
			slow = 1000;
			r = drop_open(&d, alice);
			for (i = 0; r == DROP_AGAIN && (phase || i < k); i++)
				r = drop_work(&d);
			if (phase) {
				mark(gone, 4, 20);
				foreign_append(20);
				r = drop_commit(&d);
				for (i = 0; r == DROP_AGAIN && i < k; i++)
					r = drop_work(&d);
			}
			if (r == DROP_READY)
				break;
			drop_close(&d);
			slow = 0;
			CHECK_INT(access("mail/.alice.new", F_OK), -1);
			CHECK_INT(start(), DROP_READY);
			check_messages(0, phase ? 21 : 20, NULL);
			drop_close(&d);
		}
		slow = 0;
		drop_close(&d);
		CHECK(k > (phase ? 3 : 0) && k < 200);
	}
}

/* While a large letter is being appended, a session that opens waits, and so does one that ends. */
static void
test_busy(void)
{
	static char text[100000];
	struct append a;
	struct mail m;
	enum res r;
	int i;

	memset(text, 'x', sizeof(text));
	memcpy(text, "F<s@far.example>\nTalice alice\n\nX: y\nSubject: s20\n\n", 50);
	spill("letter", text, sizeof(text));
	memset(&m, 0, sizeof(m));
	new_id(m.id);
	m.fd = open("letter", O_RDONLY);
	m.text = (off_t)(strstr(text, "\n\n") + 2 - text);
	m.end = sizeof(text);
	fresh(20);
	CHECK_INT(append_begin(&a, alice, &m), R_AGAIN);
	CHECK_INT(drop_open(&d, alice), DROP_AGAIN);
	CHECK_INT(drop_work(&d), DROP_AGAIN);
	while ((r = append_step(&a, 0)) == R_AGAIN)
		CHECK_INT(drop_work(&d), DROP_AGAIN);
	CHECK_INT(r, R_OK);
	CHECK_INT(go_on(DROP_AGAIN), DROP_READY);
	check_messages(0, 21, NULL);
	/* the same while messages are being removed */
	text[49 - 3] = '1';
	CHECK_INT(drop_mark(&d, 1), 0);
	CHECK_INT(append_begin(&a, alice, &m), R_AGAIN);
	CHECK_INT(drop_commit(&d), DROP_AGAIN);
	for (i = 0; i < 100; i++)
		CHECK_INT(drop_work(&d), DROP_AGAIN);
	while ((r = append_step(&a, 0)) == R_AGAIN)
		CHECK_INT(drop_work(&d), DROP_AGAIN);
	CHECK_INT(go_on(DROP_AGAIN), DROP_READY);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, 21);
	CHECK_INT(subject(1), 2);
	CHECK_INT(subject(19), 20);
	CHECK_INT(subject(20), 20);
	drop_close(&d);
	(void)close(m.fd);
}

/* More sessions than jobs: some wait, all are served. */
static void
test_many(void)
{
	static struct drop many[ACCOUNTS];
	enum drop_res r[ACCOUNTS];
	char name[PATH_TEXT];
	int i, left, turns;

	nwas = mailbox(was, 0, 30, NULL);
	for (i = 0; i < ACCOUNTS; i++) {
		spill(box_path(name, i), was, nwas);
		(void)snprintf(name, sizeof(name), "spool/index/%s", user_at(i)->name);
		(void)unlink(name);
	}
	slow = 1000;
	for (i = 0; i < ACCOUNTS; i++)
		r[i] = drop_open(&many[i], i);
	for (left = 1, turns = 0; left && turns < 1000; turns++) {
		for (i = left = 0; i < ACCOUNTS; i++) {
			if (r[i] == DROP_AGAIN)
				r[i] = drop_work(&many[i]);
			left += r[i] == DROP_AGAIN;
		}
	}
	slow = 0;
	for (i = 0; i < ACCOUNTS; i++) {
		CHECK_INT(r[i], DROP_READY);
		CHECK_INT(many[i].n, 30);
		drop_close(&many[i]);
	}
}

/* A large mailbox is read in slices, none of which is long. */
static void
test_slices(void)
{
	enum { BIG = 100000 };
	static char text[2048];
	struct drop_msg m;
	clock_t t, longest = 0;
	FILE *f;
	int i, turns = 0;
	size_t n;

	fresh(0);
	f = fopen(path, "w");
	if (!f)
		abort();
	for (i = 0; i < BIG; i++) {
		n = message(text, i);
		if (fwrite(text, 1, n, f) != n)
			abort();
	}
	if (fclose(f) != 0)
		abort();
	d.state = D_CLOSED;
	t = clock();
	if (drop_open(&d, alice) == DROP_AGAIN)
		for (turns = 1; drop_work(&d) == DROP_AGAIN; turns++) {
			if (clock() - t > longest)
				longest = clock() - t;
			t = clock();
		}
	CHECK_INT(d.n, BIG);
	CHECK_MSG(turns > 3, "%d slices", turns);
	/* time of this process: the machine may be busy with others */
	CHECK_MSG(longest < CLOCKS_PER_SEC / 50, "%ld us", (long)longest);
	CHECK_INT(subject(BIG - 1), BIG - 1);
	CHECK_INT(subject(BIG / 2), BIG / 2);
	for (i = 0; i < BIG; i += 2)
		if (drop_mark(&d, (uint32_t)i) < 0)
			abort();
	CHECK_INT(go_on(drop_commit(&d)), DROP_READY);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, BIG / 2);
	CHECK_INT(subject(BIG / 2 - 1), BIG - 1);
	CHECK_INT(drop_msg(&d, 777, &m), 0);
	CHECK_INT(drop_check(&d, &m), 0);
	CHECK_INT(subject(777), 777 * 2 + 1);
	drop_close(&d);
}

int
main(void)
{
	drop_test_init();
	test_empty();
	test_index();
	test_broken_index();
	test_uidl();
	test_check_large();
	test_locked();
	test_sessions();
	test_ends();
	test_busy();
	test_many();
	test_slices();
	return test_end();
}
