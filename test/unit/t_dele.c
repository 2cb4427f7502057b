/* with: drop.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The end of a POP3 session: what is deleted and what stays, with mail of our own and of other
 * programs coming in between, and with each call failing.
 */
#include "t_drop.h"

/* ---- deleting ---- */

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

/*
 * What has to be on the disk before what: the journal says that a tail is cut off, it is cut and
 * synced, and the journal forgets it; else the new file is synced before it gets the name, and the
 * directory after.
 */
static void
check_trail(const unsigned char *gone, int n)
{
	int first = 0;

	while (first < n && !gone[first])
		first++;
	if (first == n)
		CHECK_STR(trail, "");
	else if (!memchr(gone + first, 0, (size_t)(n - first)))
		CHECK_MSG(!strncmp(trail, "wscsws", 6) && !strchr(trail, 'n'), "%s", trail);
	else
		CHECK_MSG(strstr(trail, "sns") != NULL, "%s", trail);
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
	CHECK_INT(store_checkpoint(), 0);
	trail_clear();
	r = drop_commit(&d);
	for (i = 0; r == DROP_AGAIN && i < 1000; i++) {
		if (i == 1 && (mode == M_OURS_DURING || mode == M_THEIRS_DURING))
			come(mode, &all);
		r = drop_work(&d);
	}
	slow = 0;
	CHECK_INT(r, DROP_READY);
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
	if (mode == M_QUIET)
		check_trail(gone, n);
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

/* ---- a crash ---- */

static int
child(int (*f)(void))
{
	pid_t p = fork();
	int st;

	if (p == 0)
		_exit(f());
	if (waitpid(p, &st, 0) != p || !WIFEXITED(st))
		abort();
	return WEXITSTATUS(st);
}

static int another;		/* one more letter comes before the end */

/* A letter comes, is deleted, and the server ends without a word. */
static int
delete_and_die(void)
{
	drop_test_init();
	deliver(1);
	deliver(2);
	deliver(3);
	if (start() != DROP_READY || d.n != 3 || drop_mark(&d, 1) < 0)
		return 1;
	if (go_on(drop_commit(&d)) != DROP_READY)
		return 2;
	if (another)
		deliver(4);
	return 0;
}

static int
look_again(void)
{
	drop_test_init();
	if (start() != DROP_READY)
		return 1;
	if (d.n != (another ? 3 : 2) || subject(0) != 1 || subject(1) != 3)
		return 2;
	return another && subject(2) != 4 ? 3 : 0;
}

/* The journal does not bring back what was deleted. */
static void
test_crash(void)
{
	for (another = 0; another < 2; another++) {
		CHECK_INT(child(delete_and_die), 0);
		CHECK_INT(child(look_again), 0);
		CHECK_INT(child(look_again), 0);
		(void)unlink(path);
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
	n = message(text, 23);		/* behind that one */
	CHECK_INT(write(fd2, text, n), n);
	ticks();
	deliver(24);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, 15);
	CHECK_INT(subject(9), 19);
	CHECK_INT(subject(10), 20);
	CHECK_INT(subject(11), 21);
	CHECK_INT(subject(12), 22);
	CHECK_INT(subject(13), 23);
	CHECK_INT(subject(14), 24);
	drop_close(&d);
	pass_s(200);
	ticks();
	(void)close(fd);
	(void)close(fd2);
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
 * The call number `at` fails, while a session opens or deletes; then the mailbox is what it was,
 * or, if only the very last sync has failed, what it should become.
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
			for (at = 1; at < 200 && trouble(which, t[i].what, at, t[i].stay,
			    t[i].err); at++)
				;
			CHECK_MSG(at > 2 && at < 200, "%d calls", at);
			CHECK_INT(store_checkpoint(), 0);
			pass_s(200);
			ticks();
			CHECK_MSG(descriptors() <= before + 1, "%d descriptors more",
			    descriptors() - before);
		}
	}
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

/* The place of message i in the index, and what a record says there. */
static void
reindex(int i, struct drop_msg *m, int put)
{
	int fd = open("spool/index/alice", O_RDWR);
	off_t at = 80 + (off_t)sizeof(*m) * i;	/* behind struct index_head */

	if (fd < 0 || (put ? fs_write(fd, m, sizeof(*m), at) : fs_read(fd, m, sizeof(*m), at)) < 0 ||
	    close(fd) < 0)
		abort();
}

/* Nothing was deleted, and then all is as it was. */
static void
refused(int which)
{
	CHECK_INT(go_on(drop_commit(&d)), DROP_TEMP);
	CHECK_MSG(box_is(was, nwas), "pattern %d", which);
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
	CHECK_INT(start(), DROP_READY);
	check_messages(0, 20, NULL);
	drop_close(&d);
}

/* A message twice: none would be torn, but a mailbox does not grow by deleting. */
static void
test_twice(void)
{
	struct drop_msg m, n;

	fresh(20);
	CHECK_INT(start(), DROP_READY);
	CHECK_INT(drop_mark(&d, 5), 0);
	reindex(2, &m, 0);
	reindex(6, &n, 0);
	n.m.from = m.m.from;
	reindex(6, &n, 1);
	refused(-1);
}

/* An index that says what cannot be deletes nothing, and is not used again. */
static void
test_damaged(void)
{
	static const uint64_t shifts[] = { 1, UINT64_C(1) << 40, UINT64_MAX };
	unsigned char gone[2 * MAX];
	struct drop_msg m;
	size_t k;
	int i, which;

	for (which = 1; which < PATTERNS; which++) {
		for (k = 0; k < LEN(shifts); k++) {
			fresh(20);
			CHECK_INT(start(), DROP_READY);
			mark(gone, which, 20);
			for (i = 0; !gone[i]; i++)
				;
			reindex(i, &m, 0);
			m.m.from += shifts[k];
			reindex(i, &m, 1);
			refused(which);
		}
	}
}

int
main(void)
{
	test_crash();
	drop_test_init();
	test_deletions();
	test_prefix();
	test_damaged();
	test_twice();
	test_foreign();
	test_late_append();
	test_trouble();
	return test_end();
}
