/* with: letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Mailboxes: what an append leaves behind, whatever stood there before and wherever it is cut;
 * locks against other programs; files that are replaced behind our back; notes and syncs; failing
 * calls.
 */
#include <signal.h>
#include <sys/resource.h>

#include "rooms.h"

enum { SIZE = 1 << 18 };

static const char path[] = "mail/alice";
static char was[SIZE], now[SIZE], text[SIZE];
static int alice, bob;

#define HEAD "From s@x Mon Jan  5 23:23:01 1970\nReturn-Path: <s@x>\n" \
	"Delivered-To: alice+tag@localhost\n"
#define ENVELOPE "F<s@x>\nT<alice+tag@localhost> alice\n\n"

/* ---- letters at rest ---- */

static struct mail
letter(const char *envelope, const char *p, size_t n)
{
	struct mail m;
	size_t k = strlen(envelope);

	memcpy(text, "before", 6);
	memcpy(text + 6, envelope, k);
	memcpy(text + 6 + k, p, n);
	memset(&m, 0, sizeof(m));
	(void)new_id(m.id);
	spill("letter", text, 6 + k + n);
	m.fd = open("letter", O_RDWR);
	m.at = 6;
	m.text = (off_t)(6 + k);
	m.end = (off_t)(6 + k + n);
	return m;
}

static enum res
deliver(const char *p, size_t n, int64_t until)
{
	struct mail m = letter(ENVELOPE, p, n);
	struct append a;
	enum res r = append_begin(&a, alice, &m);

	while (r == R_AGAIN)
		r = append_step(&a, until);
	(void)close(m.fd);
	return r;
}

static int
box_is(const char *want, size_t n)
{
	size_t got = slurp(path, now, sizeof(now));

	return test_mem(now, got, want, n, __FILE__, __LINE__, "the mailbox");
}

static void
fresh(const char *p, size_t n)
{
	CHECK_INT(store_checkpoint(), 0);
	(void)unlink(path);
	if (n)
		spill(path, p, n);
}

/* ---- what is appended ---- */

static void
test_text(void)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "", "\n" },
		{ "x", "x\n\n" },
		{ "x\n", "x\n\n" },
		{ "S: x\n\ny\n", "S: x\n\ny\n\n" },
		{ "From x\n", ">From x\n\n" },
		{ "From", "From\n\n" },
		{ "From ", ">From \n\n" },
		{ ">From \n>>>From x\n> From x\nfrom x\n From x\n",
		    ">>From \n>>>>From x\n> From x\nfrom x\n From x\n\n" },
		{ "\n\n\n", "\n\n\n\n" },
		{ "a\rb\r\n", "a\rb\r\n\n" },
	};
	char want[1024];
	size_t i;
	int n;

	for (i = 0; i < LEN(t); i++) {
		fresh("", 0);
		CHECK_INT(deliver(t[i].in, strlen(t[i].in), INT64_MAX), R_OK);
		n = snprintf(want, sizeof(want), HEAD "%s", t[i].out);
		box_is(want, (size_t)n);
	}
}

/* However the file ends, a blank line stands before the new From_ line. */
static void
test_mend(void)
{
	static const struct {
		const char *before, *mend;
	} t[] = {
		{ "", "" }, { "\n", "" }, { "x", "\n\n" }, { "\n\n", "" }, { "x\n", "\n" },
		{ "xy", "\n\n" }, { "xy\n", "\n" }, { "xy\n\n", "" }, { "xy\n\n\n", "" },
		    { "xy\r\n", "\n" },
		{ "xy\r\n\r\n", "\n" },
	};
	char want[1024];
	size_t i;
	int n;

	for (i = 0; i < LEN(t); i++) {
		fresh(t[i].before, strlen(t[i].before));
		CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
		n = snprintf(want, sizeof(want), "%s%s" HEAD "y\n\n", t[i].before, t[i].mend);
		box_is(want, (size_t)n);
	}
}

/* A text is read in pieces: a From_ line may lie across the border of two. */
static void
test_pieces(void)
{
	enum { PIECE = 1 << 15 };
	static char in[3 * PIECE], want[3 * PIECE + 1024];
	size_t at, n, o, i;
	int64_t until;

	for (at = PIECE - 8; at <= PIECE + 2; at++) {
		memset(in, 'z', sizeof(in));
		n = 2 * PIECE + at % 5;
		memcpy(in + at, "\n>From \n", 8);
		memcpy(in + 2 * at - PIECE, "\nFrom ", 6);
		o = strlen(HEAD);
		memcpy(want, HEAD, o);
		for (i = 0; i < n; i++) {
			if (i && in[i - 1] == '\n' && (!memcmp(in + i, "From ", 5) ||
			    !memcmp(in + i, ">From ", 6)))
				want[o++] = '>';
			want[o++] = in[i];
		}
		want[o++] = '\n';
		want[o++] = '\n';
		for (until = 0; until >= 0; until = until ? -1 : INT64_MAX) {
			fresh("", 0);
			CHECK_INT(deliver(in, n, until), R_OK);
			box_is(want, o);
		}
	}
	for (n = PIECE - 2; n < PIECE + 3; n++) {	/* the text ends at the border */
		fresh("", 0);
		CHECK_INT(deliver(in, n, 0), R_OK);
		CHECK_INT(box_size(alice), strlen(HEAD) + n + 2);
	}
}

static void
test_envelope(void)
{
	static const char env[] = "F<a@b>\nT<alice@localhost> alice\nD<\"x> y\"@localhost> bob\n"
	    "T<far@far.example>\nT<nobody@localhost> nobody\nXalice\n\nT<late@localhost> alice\n";
	static const struct {
		char state;
		int user;
		const char *name;
	} want[] = { { 'T', 0, "alice" }, { 'D', 1, "bob" }, { 'T', -1, "nobody" } };
	struct mail m = letter(env, "text\n", 5);
	const char *line = NULL;
	struct rcpt r;
	char *e;
	size_t i;

	e = mail_envelope(&m);
	CHECK(e && !strcmp(e, env));
	for (i = 0; e && mail_rcpt(e, &line, &r); i++) {
		if (!CHECK(i < LEN(want)))
			break;
		CHECK_INT(r.state, want[i].state);
		CHECK_INT(r.user, want[i].user < 0 ? -1 : want[i].user ? bob : alice);
		CHECK_MEM(r.name, r.nname, want[i].name, strlen(want[i].name));
		CHECK_INT(e[r.at], want[i].state);
	}
	CHECK_INT(i, LEN(want));
	m.at = 5;
	CHECK(!mail_envelope(&m));
	m.at = m.text + 1;
	CHECK(!mail_envelope(&m));
	m.at = 6;
	m.text = m.end + 10;
	CHECK(!mail_envelope(&m));
	(void)close(m.fd);
}

/* Who it was for as it was written; a sender that would break the From_ line. */
static void
test_head(void)
{
	static const struct {
		const char *env, *head;
	} t[] = {
		{ "F<>\nT<Postmaster> alice\n\n",
		    "From MAILER-DAEMON Mon Jan  5 23:23:01 1970\nReturn-Path: <>\n"
		    "Delivered-To: Postmaster\n" },
		{ "F<\"a \\\" b\"@x>\nT<bob@localhost> bob\nD<\"a> \"@localhost> alice\n"
		    "T<z@localhost> alice\n\n",
		    "From \"a-\\\"-b\"@x Mon Jan  5 23:23:01 1970\nReturn-Path: <\"a \\\" b\"@x>\n"
		    "Delivered-To: \"a> \"@localhost\n" },
		{ "F<a@x>\n\n",
		    "From a@x Mon Jan  5 23:23:01 1970\nReturn-Path: <a@x>\n"
		    "Delivered-To: alice\n" },
	};
	struct append a;
	struct mail m;
	char want[1024];
	enum res r;
	size_t i;
	int n;

	for (i = 0; i < LEN(t); i++) {
		fresh("", 0);
		m = letter(t[i].env, "y\n", 2);
		r = append_begin(&a, alice, &m);
		while (r == R_AGAIN)
			r = append_step(&a, 0);
		CHECK_INT(r, R_OK);
		n = snprintf(want, sizeof(want), "%sy\n\n", t[i].head);
		box_is(want, (size_t)n);
		(void)close(m.fd);
	}
}

/* ---- locks ---- */

/* Can another program lock it now? */
static int
lockable(void)
{
	pid_t p = fork();
	int st;

	if (p == 0) {
		struct flock f;
		int fd = open(path, O_RDWR);

		memset(&f, 0, sizeof(f));
		f.l_type = F_WRLCK;
		_exit(fd >= 0 && fcntl(fd, F_SETLK, &f) == 0 ? 1 : 0);
	}
	if (waitpid(p, &st, 0) != p || !WIFEXITED(st))
		abort();
	return WEXITSTATUS(st);
}

static void
test_locks(void)
{
	struct append a;
	struct other o;
	struct mail m;
	int fd;

	fresh(BYTES("x\n\n"));
	other_lock(&o, path);
	log_clear();
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_TEMP);
	CHECK(!was_logged("mailbox-trouble"));
	box_is("x\n\n", 3);
	other_end(&o);
	/* we hold it from the first byte to the last, and no longer */
	m = letter(ENVELOPE, "y\n", 2);
	CHECK(lockable());
	CHECK_INT(append_begin(&a, alice, &m), R_AGAIN);
	CHECK(!lockable());
	CHECK(box_busy(alice));
	fd = open(path, O_RDONLY);	/* closing any descriptor ends classic locks, not ours */
	(void)close(fd);
	CHECK(!lockable());
	CHECK_INT(append_begin(&a, alice, &m), R_TEMP);
	CHECK(!lockable());
	while (append_step(&a, 0) == R_AGAIN)
		CHECK(!lockable());
	CHECK(!box_busy(alice));
	CHECK(lockable());
	(void)close(m.fd);
	/* uses add up */
	CHECK(box_open(alice, 0) >= 0);
	CHECK_INT(box_lock(alice), 0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	CHECK(!lockable());
	CHECK_INT(box_lock(alice), 0);
	box_unlock(alice);
	CHECK(!lockable());
	box_unlock(alice);
	CHECK(lockable());
	CHECK_INT(box_claim(alice), 0);
	CHECK_INT(box_claim(alice), -1);
	CHECK_INT(box_claim(bob), 0);
	CHECK(lockable());		/* a session alone locks nobody out */
	CHECK(box_used(alice));
	box_disclaim(alice);
	box_disclaim(bob);
	CHECK(!box_used(alice));
}

static void
dot(int64_t age)
{
	struct timespec t[2];

	spill("mail/alice.lock", "", 0);
	t[0].tv_sec = t[1].tv_sec = (time_t)(loop_wall - age);
	t[0].tv_nsec = t[1].tv_nsec = 0;
	if (utimensat(AT_FDCWD, "mail/alice.lock", t, 0) < 0)
		abort();
}

static void
test_dot_locks(void)
{
	fresh(BYTES("x\n\n"));
	dot(0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_TEMP);
	dot(300);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_TEMP);
	box_is("x\n\n", 3);
	CHECK(lockable());
	dot(100000);			/* forgotten, or from a clock that was wrong */
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	dot(-100000);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	(void)unlink("mail/alice.lock");
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
}

/* ---- files that are replaced ---- */

static void
replace(const char *p, size_t n)
{
	spill("mail/x", p, n);
	if (rename("mail/x", path) < 0)
		abort();
}

static void
test_replaced(void)
{
	int fd;

	fresh(BYTES("x\n\n"));
	CHECK_INT(deliver("one\n", 4, INT64_MAX), R_OK);
	replace(BYTES("y\n\n"));
	CHECK_INT(deliver("two\n", 4, INT64_MAX), R_OK);
	box_is(BYTES("y\n\n" HEAD "two\n\n"));
	(void)unlink(path);
	CHECK_INT(deliver("three\n", 6, INT64_MAX), R_OK);
	box_is(BYTES(HEAD "three\n\n"));
	/* between our opening and our locking it: the lock on the old one is worth nothing */
	fd = box_open(alice, 0);
	CHECK(fd >= 0);
	replace(BYTES("z\n\n"));
	CHECK_INT(box_lock(alice), -1);
	CHECK_INT(errno, EAGAIN);
	CHECK_INT(deliver("four\n", 5, INT64_MAX), R_OK);
	box_is(BYTES("z\n\n" HEAD "four\n\n"));
	/* a link is not a mailbox */
	CHECK_INT(store_checkpoint(), 0);
	(void)unlink(path);
	spill("victim", "v", 1);
	if (symlink("../victim", path) < 0)
		abort();
	CHECK_INT(deliver("five\n", 5, INT64_MAX), R_TEMP);
	CHECK_INT(slurp("victim", now, sizeof(now)), 1);
	(void)unlink(path);
}

static void
test_ours(void)
{
	struct stamp a, b;
	struct stat st;

	memset(&a, 0, sizeof(a));
	fresh(BYTES("x\n\n"));
	CHECK_INT(deliver("one\n", 4, INT64_MAX), R_OK);
	(void)stat(path, &st);
	fs_stamp(&b, &st);
	CHECK(!box_ours(alice, &a, &b));	/* an index without a stamp is worth nothing */
	CHECK(box_ours(alice, &b, &b));
	a = b;
	box_indexed(alice, &a);
	CHECK_INT(deliver("two\n", 4, INT64_MAX), R_OK);
	(void)stat(path, &st);
	fs_stamp(&b, &st);
	CHECK(!fs_same(&a, &b));
	CHECK(box_ours(alice, &a, &b));
	spill_behind(path, "y\n\n", 3);
	(void)stat(path, &st);
	fs_stamp(&b, &st);
	CHECK(!box_ours(alice, &a, &b));
	CHECK_INT(deliver("three\n", 6, INT64_MAX), R_OK);
	(void)stat(path, &st);
	fs_stamp(&b, &st);
	CHECK(!box_ours(alice, &a, &b));
}

/* ---- notes and syncs ---- */

static void
test_notes(void)
{
	struct note n;
	struct stat st;
	unsigned before;

	fresh("", 0);
	CHECK_INT(box_note(alice, &n), 1);
	CHECK(!n.ino && !n.size);
	spill(path, "x\n\n", 3);
	(void)stat(path, &st);
	CHECK_INT(box_note(alice, &n), 1);
	CHECK_INT(n.ino, st.st_ino);
	CHECK_INT(n.size, 3);
	box_noted(alice);
	CHECK_INT(box_note(alice, &n), 0);
	CHECK_INT(box_dirty(), 0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	CHECK_INT(box_dirty(), 1);
	CHECK_INT(box_note(alice, &n), 0);
	fault_set(F_SYNC, 1, 1, EIO);
	CHECK_INT(box_sync(alice), -1);
	CHECK_INT(box_syncall(), -1);
	CHECK(fault_clear() > 1);
	CHECK_INT(box_dirty(), 1);
	CHECK_INT(box_note(alice, &n), 0);
	before = nsyncs;
	CHECK_INT(box_sync(alice), 0);
	CHECK(nsyncs > before);
	CHECK_INT(box_dirty(), 0);
	CHECK_INT(box_note(alice, &n), 1);
	CHECK_INT(n.size, box_size(alice));
	before = nsyncs;
	CHECK_INT(box_syncall(), 0);
	CHECK_INT(nsyncs, before);
	/* what is forgotten is not synced and not noted */
	box_noted(alice);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	box_forget(alice);
	CHECK_INT(box_dirty(), 0);
	CHECK_INT(box_note(alice, &n), 1);
	CHECK_INT(box_cut(alice, 3), 0);
	box_is("x\n\n", 3);
	CHECK_INT(box_cut(bob, 0), -1);
}

/* A mailbox that is new: its directory is synced too, before it counts as synced. */
static void
test_directory(void)
{
	unsigned before;

	fresh("", 0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
	fault_set(F_SYNC, 2, 0, EIO);
	CHECK_INT(box_sync(alice), -1);
	CHECK_INT(fault_clear(), 1);
	before = nsyncs;
	CHECK_INT(box_sync(alice), 0);
	CHECK(nsyncs > before);
}

/* ---- trouble ---- */

static void
test_trouble(void)
{
	static const struct {
		int what, err;
	} t[] = { { F_WRITE, EIO }, { F_WRITE, ENOSPC } };
	static char in[100000];
	size_t i, n;
	int at;
	enum res r;

	memset(in, 'x', sizeof(in));
	for (i = 0; i < LEN(t); i++) {
		for (at = 1; at < 20; at++) {
			fresh(BYTES("x\n"));
			CHECK_INT(deliver("old\n", 4, INT64_MAX), R_OK);
			n = slurp(path, was, sizeof(was));
			fault_set(t[i].what, at, 0, t[i].err);
			r = deliver(in, sizeof(in), 0);
			if (!fault_clear())
				break;
			CHECK_INT(r, R_TEMP);
			box_is(was, n);
			CHECK(lockable());
			CHECK_INT(deliver("new\n", 4, INT64_MAX), R_OK);
			CHECK_INT(box_size(alice), n + strlen(HEAD) + 5);
		}
		CHECK(at > 4 && at < 20);
		CHECK_INT(r, R_OK);
	}
}

/* A limit of the kernel, not of ours. */
static void
test_limit(void)
{
	static char in[100000];
	struct rlimit old, few;
	size_t n;

	memset(in, 'x', sizeof(in));
	fresh(BYTES("x\n\n"));
	n = slurp(path, was, sizeof(was));
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	few = old;
	few.rlim_cur = 50000;
	(void)signal(SIGXFSZ, SIG_IGN);
	spill("letter", in, 0);
	{
		struct mail m = letter(ENVELOPE, in, sizeof(in));
		struct append a;
		enum res r;

		CHECK_INT(setrlimit(RLIMIT_FSIZE, &few), 0);
		r = append_begin(&a, alice, &m);
		while (r == R_AGAIN)
			r = append_step(&a, 0);
		CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
		CHECK_INT(r, R_TEMP);
		(void)close(m.fd);
	}
	CHECK(was_logged("mailbox-trouble user=alice at=\"append\""));
	box_is(was, n);
}

static void
test_gone(void)
{
	char users[ACCOUNTS * 64];
	size_t n = slurp("users", users, sizeof(users));

	fresh("", 0);
	spill("users", BYTES("bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"));
	CHECK_INT(user_load(), 0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_PERM);
	CHECK_INT(access(path, F_OK), -1);
	spill("users", users, n);
	CHECK_INT(user_load(), 0);
	CHECK_INT(deliver("y\n", 2, INT64_MAX), R_OK);
}

static void
test_init(void)
{
	spill("mail/.alice.new", "x", 1);
	spill("mail/.zoe.new", "x", 1);
	box_init();
	CHECK_INT(access("mail/.alice.new", F_OK), -1);
	CHECK_INT(access("mail/.zoe.new", F_OK), 0);	/* not ours */
}

int
main(void)
{
	store_here();
	alice = user_find("alice", 5);
	bob = user_find("bob", 3);
	last_id = 0;
	test_text();
	test_mend();
	test_pieces();
	test_envelope();
	test_head();
	test_locks();
	test_dot_locks();
	test_replaced();
	test_ours();
	test_notes();
	test_directory();
	test_trouble();
	test_limit();
	test_gone();
	test_init();
	return test_end();
}
