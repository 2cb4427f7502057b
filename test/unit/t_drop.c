/* with: drop.c store.c queue.c recover.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The maildrop over real mailboxes: when its index may be used and when not, what is deleted and what
 * stays, with mail of our own and of other programs coming in between, and with each call failing.
 */
#include "rooms.h"

enum { SIZE = 1 << 22, MAX = 64 };

static struct drop d;
static char was[SIZE], now[SIZE];
static size_t nwas, nnow;
static int alice;

/* ---- mailboxes ---- */

static const char path[] = "mail/alice";

/* Message i of a mailbox: its length grows with i, so that no two are alike. */
static size_t
message(char *dst, int i)
{
	int k, n;

	n = sprintf(dst, "From m%d@x Sun Nov 22 01:00:00 2026\nMessage-ID: <%d>\nSubject: s%d\n\n", i, i, i);
	for (k = 0; k < i % 7; k++)
		n += sprintf(dst + n, "line %d of %d\n>From me\n", k, i);
	return (size_t)n + (size_t)sprintf(dst + n, "end of %d\n\n", i);
}

/* A mailbox of messages from to to - 1; what is set in `without` is left out. */
static size_t
mailbox(char *dst, int from, int to, const unsigned char *without)
{
	size_t n = 0;
	int i;

	for (i = from; i < to; i++)
		if (!without || !without[i])
			n += message(dst + n, i);
	return n;
}

static void
fresh(int n)
{
	char index[] = "spool/index/alice";

	CHECK_INT(store_checkpoint(), 0);
	(void)unlink(index);
	nwas = mailbox(was, 0, n, NULL);
	(void)unlink(path);
	if (n)
		spill(path, was, nwas);
}

static int
box_is(const char *want, size_t n)
{
	nnow = slurp(path, now, sizeof(now));
	return nnow == n && !memcmp(now, want, n);
}

/* ---- sessions ---- */

static enum drop_res
go_on(enum drop_res r)
{
	int i;

	for (i = 0; r == DROP_AGAIN && i < 100000; i++)
		r = drop_work(&d);
	if (r == DROP_AGAIN)
		(void)CHECK_MSG(0, "it does not end");
	return r;
}

static enum drop_res
start(void)
{
	return go_on(drop_open(&d, alice));
}

/* The number in the Subject of message i, from the mailbox itself; -1: not a message. */
static int
subject(uint32_t i)
{
	struct drop_msg m;
	char text[256], *p;
	ssize_t n;

	if (drop_msg(&d, i, &m) < 0 || m.m.text <= m.m.from || m.m.end < m.m.text)
		return -1;
	n = drop_read(&d, text, m.m.end - m.m.text < 255 ? (size_t)(m.m.end - m.m.text) : 255, m.m.text);
	if (n < 0)
		return -1;
	text[n] = '\0';
	p = strstr(text, "\nSubject: s");
	return p && (!strncmp(text, "Message-ID: ", 12) || !strncmp(text, "Return-Path: ", 13)) ?
	    atoi(p + 11) : -1;
}

/* Are the messages those of the numbers first to last, without those that are marked? */
static void
check_messages(int first, int last, const unsigned char *without)
{
	struct drop_msg m;
	uint64_t octets = 0;
	uint32_t n = 0;
	int i;

	for (i = first; i < last; i++) {
		if (without && without[i])
			continue;
		if (!CHECK_INT(subject(n), i))
			return;
		if (drop_msg(&d, n, &m) == 0)
			octets += m.m.octets;
		CHECK_INT(drop_check(&d, &m), 0);
		CHECK(!drop_marked(&d, &m));
		n++;
	}
	CHECK_INT(d.n, n);
	CHECK_INT(d.octets, octets);
}

/* A mark in the index that only a new scan takes away: was the index used? */
static void
poison(void)
{
	struct drop_msg m;
	int fd = open("spool/index/alice", O_RDWR);
	off_t at = 80;		/* behind struct index_head */

	if (fd < 0 || fs_read(fd, &m, sizeof(m), at) < 0)
		abort();
	m.pad = 77;
	if (fs_write(fd, &m, sizeof(m), at) < 0 || close(fd) < 0)
		abort();
}

static int
poisoned(void)
{
	struct drop_msg m;

	return drop_msg(&d, 0, &m) == 0 && m.pad == 77;
}

/* A session that does nothing; was the index used? */
static int
index_used(int n)
{
	int used;

	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, n);
	check_messages(0, n, NULL);
	used = poisoned();
	drop_close(&d);
	return used;
}

static void
deliver(int i)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "X: y\nSubject: s%d\n\nend of %d\n", i, i);
	CHECK_INT(post("alice", NULL, text, strlen(text)), R_OK);
}

static void
foreign_append(int i)
{
	char text[2048];

	spill_behind(path, text, message(text, i));
}

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

/* ---- deleting ---- */

static int
pattern(int which, int i, int n)
{
	switch (which) {
	case 0: return 0;
	case 1: return 1;
	case 2: return i == 0;
	case 3: return i == n - 1;
	case 4: return i % 2 == 0;
	case 5: return i % 2 == 1;
	case 6: return i < n / 2;
	case 7: return i >= n / 2;
	case 8: return i > n / 3 && i < n / 2;
	case 9: return i != n / 2;
	case 10: return i % 13 == 5 || i > n - 3;
	}
	return -1;
}

enum { PATTERNS = 11 };

enum {
	M_QUIET,
	M_OURS,			/* mail comes before QUIT */
	M_OURS_DURING,		/* between slices of the copy */
	M_THEIRS,		/* another program appends before QUIT */
	M_THEIRS_DURING,
	M_BOTH,
	M_CHECKPOINT,		/* the store syncs in between */
	M_RETURN,		/* RSET, and marked once more */
	MODES
};

/* Something comes in; each is a message of the number *n. */
static void
come(int mode, int *n)
{
	if (mode == M_OURS || mode == M_OURS_DURING || mode == M_BOTH)
		deliver((*n)++);
	if (mode == M_THEIRS || mode == M_THEIRS_DURING || mode == M_BOTH)
		foreign_append((*n)++);
	if (mode == M_CHECKPOINT) {
		deliver((*n)++);
		CHECK_INT(store_checkpoint(), 0);
		deliver((*n)++);
	}
}

static void
mark(unsigned char *gone, int which, int n)
{
	int i;

	memset(gone, 0, 2 * MAX);
	for (i = 0; i < n; i++) {
		gone[i] = (unsigned char)pattern(which, i, n);
		if (gone[i])
			CHECK_INT(drop_mark(&d, (uint32_t)i), 0);
	}
}

static void
test_delete(int which, int mode, int n)
{
	unsigned char gone[2 * MAX];
	enum drop_res r;
	int all = n, i;

	fresh(n);
	CHECK_INT(start(), DROP_READY);
	mark(gone, which, n);
	if (mode == M_RETURN) {
		mark(gone, 1, n);
		drop_reset(&d);
		CHECK_INT(d.nmarked, 0);
		mark(gone, which, n);
	}
	if (mode != M_OURS_DURING && mode != M_THEIRS_DURING)
		come(mode, &all);
	slow = 1000;
	r = drop_commit(&d);
	for (i = 0; r == DROP_AGAIN && i < 1000; i++) {
		if (i == 1 && (mode == M_OURS_DURING || mode == M_THEIRS_DURING))
			come(mode, &all);
		r = drop_work(&d);
	}
	slow = 0;
	CHECK_INT(r, DROP_READY);
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
	for (i = 0; i < 3; i++) {
		CHECK_INT(start(), DROP_READY);
		check_messages(0, all, gone);
		drop_close(&d);
		if (i == 1)
			(void)unlink("spool/index/alice");
		if (i == 0)
			deliver(all++);
	}
	CHECK_INT(store_checkpoint(), 0);
	if (mode == M_QUIET) {
		nwas = mailbox(was, 0, n, gone);
		nnow = slurp(path, now, sizeof(now));
		CHECK(nnow > nwas);
		CHECK_MEM(now, nwas, was, nwas);
	}
}

static void
test_deletions(void)
{
	int i, mode;

	for (mode = 0; mode < MODES; mode++) {
		for (i = 0; i < PATTERNS; i++) {
			test_delete(i, mode, 20);
			test_delete(i, mode, 1);
			test_delete(i, mode, 40);
		}
	}
}

/* ---- what other programs do ---- */

static void
commit_fails(void)
{
	nwas = slurp(path, was, sizeof(was));
	CHECK_INT(go_on(drop_commit(&d)), DROP_TEMP);
	CHECK(box_is(was, nwas));
	CHECK_INT(d.state, D_CLOSED);
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
}

static void
prepare(int n, int which)
{
	unsigned char gone[2 * MAX];

	fresh(n);
	CHECK_INT(start(), DROP_READY);
	mark(gone, which, n);
}

static void
test_foreign(void)
{
	struct other o;
	char *p;
	int which;

	for (which = 1; which < PATTERNS; which++) {
		prepare(20, which);		/* rewritten in place, the first message is gone */
		nnow = mailbox(now, 1, 20, NULL);
		spill(path, now, nnow);
		commit_fails();
		prepare(20, which);		/* put in place by rename */
		nnow = mailbox(now, 0, 20, NULL);
		spill("mail/x", now, nnow);
		if (rename("mail/x", path) < 0)
			abort();
		commit_fails();
		prepare(20, which);		/* emptied */
		spill(path, "", 0);
		commit_fails();
		prepare(20, which);		/* removed */
		(void)unlink(path);
		commit_fails();
		prepare(20, which);		/* of the same size, but not the same */
		nnow = slurp(path, now, sizeof(now));
		p = memmem(now, nnow, "\n\nFrom m12", 10);
		memcpy(p, "\n\nXrom m12", 10);
		spill(path, now, nnow);
		commit_fails();
		prepare(20, which);		/* the last message is another now */
		nnow = slurp(path, now, sizeof(now));
		p = memmem(now, nnow, "\nSubject: s19", 13);
		p[10] = 't';
		spill(path, now, nnow);
		commit_fails();
		prepare(20, which);		/* locked */
		other_lock(&o, path);
		commit_fails();
		other_end(&o);
		CHECK_INT(start(), DROP_READY);
		check_messages(0, 20, NULL);
		drop_close(&d);
	}
}

/* A message that is too large to be read again in full: it is looked at where it begins and ends. */
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

/* A program had opened the mailbox and waits for its lock while we put another in its place. */
static void
test_late_append(void)
{
	struct flock f;
	int fd, fd2;
	char text[2048];
	size_t n;

	prepare(20, 4);
	fd = open(path, O_RDWR | O_APPEND);
	fd2 = open(path, O_RDWR | O_APPEND);
	CHECK_INT(go_on(drop_commit(&d)), DROP_READY);
	memset(&f, 0, sizeof(f));
	f.l_type = F_WRLCK;
	CHECK_INT(fcntl(fd, F_SETLK, &f), 0);
	n = message(text, 20);
	CHECK_INT(write(fd, text, n), n);
	f.l_type = F_UNLCK;
	CHECK_INT(fcntl(fd, F_SETLK, &f), 0);
	ticks();
	deliver(21);
	n = message(text, 22) - 2;	/* without a blank line behind it */
	CHECK_INT(write(fd2, text, n), n);
	ticks();
	deliver(23);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, 14);
	CHECK_INT(subject(9), 19);
	CHECK_INT(subject(10), 20);
	CHECK_INT(subject(11), 21);
	CHECK_INT(subject(12), 22);
	CHECK_INT(subject(13), 23);
	drop_close(&d);
	pass_s(200);
	ticks();
	(void)close(fd);
	(void)close(fd2);
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

/* ---- trouble ---- */

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/*
 * The call number `at` fails, while a session opens or deletes; then the mailbox is what it was, or, if
 * only the very last sync has failed, what it should become.
 */
static int
trouble(int which, int what, int at, int stay, int err)
{
	unsigned char gone[2 * MAX];
	enum drop_res r;
	int hit, phase;

	fresh(20);
	CHECK_INT(store_checkpoint(), 0);
	for (phase = hit = 0; phase < 2 && !hit; phase++) {
		if (phase)
			mark(gone, which, 20);
		if (phase)
			deliver(20);
		fault_set(what, at, stay, err);
		r = phase ? go_on(drop_commit(&d)) : start();
		hit = fault_clear();
		CHECK(r == DROP_READY || (r == DROP_TEMP && hit));
		if (r == DROP_TEMP)
			CHECK_INT(d.state, D_CLOSED);
		at -= phase ? 0 : fault.seen;
	}
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
	drop_close(&d);
	pass_s(10);
	ticks();
	pass_s(10);
	ticks();
	CHECK_INT(start(), DROP_READY);
	if (phase == 1 || (r == DROP_TEMP && d.n == 21))
		check_messages(0, phase == 1 ? 20 : 21, NULL);
	else
		check_messages(0, 21, gone);
	drop_close(&d);
	deliver(21);
	foreign_append(22);
	CHECK_INT(start(), DROP_READY);
	drop_close(&d);
	return hit;
}

static void
test_trouble(void)
{
	static const struct {
		int what, stay, err;
	} t[] = {
		{ F_ANY, 0, EIO }, { F_ANY, 1, EIO }, { F_WRITE, 1, ENOSPC }, { F_SYNC, 1, EIO },
		{ F_ANY, 0, ENOSPC }
	};
	size_t i;
	int at, which, before;

	for (i = 0; i < LEN(t); i++) {
		for (which = 1; which < 5; which++) {
			before = descriptors();
			for (at = 1; at < 200 && trouble(which, t[i].what, at, t[i].stay, t[i].err); at++)
				;
			CHECK_MSG(at > 2 && at < 200, "%d calls", at);
			CHECK_INT(store_checkpoint(), 0);
			pass_s(200);
			ticks();
			CHECK_MSG(descriptors() <= before + 1, "%d descriptors more", descriptors() - before);
		}
	}
}

/* A large mailbox is read in slices, none of which is long. */
static void
test_slices(void)
{
	enum { BIG = 100000 };
	static char text[2048];
	struct drop_msg m;
	int64_t t;
	FILE *f;
	int i, turns = 0, longest = 0;
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
	t = loop_ms();
	if (drop_open(&d, alice) == DROP_AGAIN)
		for (turns = 1; drop_work(&d) == DROP_AGAIN; turns++) {
			if (loop_ms() - t > longest)
				longest = (int)(loop_ms() - t);
			t = loop_ms();
		}
	CHECK_INT(d.n, BIG);
	CHECK_MSG(turns > 3, "%d slices", turns);
	CHECK_MSG(longest < 500, "%d ms", longest);	/* generous: the machine may be busy */
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

/* What stands before the first message is nobody's to drop, whatever is deleted. */
static void
test_prefix(void)
{
	static const char odd[] = "not a message\nat all\n\n";
	size_t n = sizeof(odd) - 1;
	int all;

	for (all = 0; all < 2; all++) {
		fresh(3);
		memmove(was + n, was, nwas);
		memcpy(was, odd, n);
		spill(path, was, nwas + n);
		log_clear();
		CHECK_INT(start(), DROP_READY);
		CHECK(was_logged("mailbox-odd"));
		CHECK_INT(d.n, 3);
		CHECK_INT(drop_mark(&d, 0), 0);
		if (all) {
			CHECK_INT(drop_mark(&d, 1), 0);
			CHECK_INT(drop_mark(&d, 2), 0);
		}
		CHECK_INT(go_on(drop_commit(&d)), DROP_READY);
		nwas = n + (all ? 0 : mailbox(was + n, 1, 3, NULL));
		CHECK(box_is(was, nwas));
		CHECK_INT(start(), DROP_READY);
		CHECK_INT(d.n, all ? 0 : 2);
		if (!all)
			check_messages(1, 3, NULL);
		drop_close(&d);
	}
}

int
main(void)
{
	char users[ACCOUNTS * 64] = USERS;
	int i;

	for (i = 2; i < ACCOUNTS; i++)
		(void)sprintf(users + strlen(users), "u%d:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n", i);
	spill("users", users, strlen(users));
	drop_init();
	store_here();
	alice = user_find("alice", 5);
	test_empty();
	test_index();
	test_broken_index();
	test_uidl();
	test_deletions();
	test_prefix();
	test_foreign();
	test_check_large();
	test_locked();
	test_late_append();
	test_sessions();
	test_ends();
	test_busy();
	test_many();
	test_trouble();
	test_slices();
	return test_end();
}
