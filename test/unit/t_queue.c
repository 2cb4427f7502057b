/* with: letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Letters that wait: locked mailboxes, large letters, accounts that are gone, files that are no
 * queue files, a restart at any moment, and each call failing: every letter comes once, or is set
 * aside.
 */
#include "rooms.h"

enum { SIZE = 1 << 20 };

static char now[SIZE], large[1 << 17];

/* ---- small things ---- */

static int
there(const char *box, const char *subject)
{
	char path[PATH_TEXT], line[64];
	size_t n;

	(void)snprintf(path, sizeof(path), "mail/%s", box);
	(void)snprintf(line, sizeof(line), "\nSubject: %s\n", subject);
	n = slurp(path, now, sizeof(now));
	return count(now, n, line);
}

static enum res
send_to(const char *one, const char *two, const char *subject)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "X: y\nSubject: %s\n\ny\n", subject);

	return post(one, two, text, (size_t)n);
}

static enum res
send_large(const char *one, const char *two, const char *subject)
{
	int n = snprintf(large, sizeof(large), "X: y\nSubject: %s\n\n", subject);

	memset(large + n, 'l', sizeof(large) - (size_t)n);
	return post(one, two, large, sizeof(large));
}

/* How many files are in a room of the spool. */
static int
files(const char *room)
{
	char path[PATH_TEXT];
	struct fs_dir d;
	int n = 0;

	(void)snprintf(path, sizeof(path), "spool/%s", room);
	if (fs_diropen(&d, path) < 0)
		abort();
	while (fs_dirnext(&d))
		n++;
	return n;
}

static void
clear(const char *room)
{
	char path[2 * PATH_TEXT];
	struct fs_dir d;
	const char *name;

	(void)snprintf(path, sizeof(path), "spool/%s", room);
	if (fs_diropen(&d, path) < 0)
		abort();
	while ((name = fs_dirnext(&d))) {
		(void)snprintf(path, sizeof(path), "spool/%s/%.60s", room, name);
		if (unlink(path) < 0)
			(void)rmdir(path);
	}
}

static void
fresh(void)
{
	ticks();
	CHECK_INT(store_checkpoint(), 0);
	clear("queue");
	clear("bad");
	(void)unlink("mail/alice");
	(void)unlink("mail/bob");
	log_clear();
}

static void
later(void)
{
	pass_s(6);
	ticks();
}

/* ---- mailboxes that are locked ---- */

static void
test_locked(void)
{
	struct other o;

	fresh();
	spill("mail/alice", "", 0);
	other_lock(&o, "mail/alice");
	CHECK_INT(send_to("alice", "bob", "both"), R_OK);
	CHECK_INT(send_to("alice", NULL, "second"), R_OK);
	CHECK_INT(send_to("bob", NULL, "bob"), R_OK);
	CHECK(was_logged("deferred"));
	CHECK_INT(there("bob", "both"), 1);
	CHECK_INT(there("bob", "bob"), 1);
	CHECK_INT(files("queue"), 2);
	later();
	later();
	CHECK_INT(there("alice", "both"), 0);
	CHECK_INT(files("queue"), 2);
	/* nothing in the journal keeps it from being emptied */
	CHECK_INT(store_checkpoint(), 0);
	other_end(&o);
	CHECK(store_tick() > 0);	/* it is not tried all the time */
	later();
	CHECK_INT(there("alice", "both"), 1);
	CHECK_INT(there("alice", "second"), 1);
	CHECK_INT(there("bob", "both"), 1);
	CHECK_INT(there("bob", "bob"), 1);
	CHECK_INT(files("queue"), 0);
	CHECK_INT(files("bad"), 0);
	CHECK(was_logged("delivered to=alice"));
	later();
	CHECK_INT(there("alice", "both"), 1);
}

/* One that is locked is not in the way of others. */
static void
test_others_pass(void)
{
	struct other o;

	fresh();
	spill("mail/alice", "", 0);
	other_lock(&o, "mail/alice");
	CHECK_INT(send_to("alice", NULL, "waits"), R_OK);
	CHECK_INT(send_large("alice", "bob", "large"), R_OK);
	ticks();
	CHECK_INT(there("bob", "large"), 1);
	CHECK_INT(files("queue"), 2);
	later();
	CHECK_INT(there("bob", "large"), 1);
	other_end(&o);
	later();
	CHECK_INT(there("alice", "waits"), 1);
	CHECK_INT(there("alice", "large"), 1);
	CHECK_INT(there("bob", "large"), 1);
	CHECK_INT(files("queue"), 0);
}

/* ---- large letters ---- */

static void
test_large(void)
{
	size_t n;
	int i, turns;

	fresh();
	CHECK_INT(send_large("alice", "bob", "large"), R_OK);
	CHECK_INT(files("queue"), 1);
	CHECK_INT(there("alice", "large"), 0);
	slow = 1000;
	for (turns = 0; store_tick() == 0 && turns < 1000; turns++)
		if (turns % 4 == 0)
			CHECK_INT(send_to("bob", NULL, "small"), R_OK);
	slow = 0;
	later();
	CHECK_INT(there("alice", "large"), 1);
	CHECK_INT(there("bob", "large"), 1);
	CHECK_INT(files("queue"), 0);
	n = slurp("mail/alice", now, sizeof(now));
	CHECK(n > sizeof(large) && !memcmp(now + n - sizeof(large) - 2, large, sizeof(large)));
	CHECK_MSG(turns > 6, "%d slices", turns);
	i = there("bob", "small");
	CHECK_INT(i, (turns + 3) / 4);
}

static void
test_many(void)
{
	char subject[16];
	int i;

	fresh();
	for (i = 0; i < 40; i++) {
		(void)snprintf(subject, sizeof(subject), "n%d", i);
		CHECK_INT(i % 3 ? send_large("alice", NULL, subject) :
		    send_large("bob", "alice", subject), R_OK);
	}
	(void)slurp("mail/alice", now, sizeof(now));
	later();
	CHECK_INT(files("queue"), 0);
	for (i = 0; i < 40; i++) {
		static char box[8 << 20];
		char line[64];
		size_t n = slurp("mail/alice", box, sizeof(box));

		(void)snprintf(line, sizeof(line), "\nSubject: n%d\n", i);
		CHECK_INT(count(box, n, line), 1);
		n = slurp("mail/bob", box, sizeof(box));
		CHECK_INT(count(box, n, line), i % 3 == 0);
	}
}

/* ---- what is no queue file ---- */

static void
test_bad(void)
{
	static const struct {
		const char *name, *text;
		int bad;		/* set aside */
	} t[] = {
		{ "notes", "F<a@b>\nT<alice@localhost> alice\n\nx\n", 1 },
		{ "000000000000000000001", "", 1 },
		{ "000000000000000000002", "\n\n", 1 },
		{ "000000000000000000003", "F<a@b>\nT<alice@localhost> alice\n", 1 },
		{ "000000000000000000004", "some text\n\nF<a@b>\n", 1 },
		{ "000000000000000000005", "F<a@b>\nT<x@localhost> nobody\n\nSubject: lost\n", 1 },
		{ "000000000000000000006",
		    "F<a@b>\nT<x@localhost> nobody\nT<alice@localhost> alice\n\nX: y\n"
		    "Subject: half\n", 1 },
		{ "000000000000000000007",
		    "F<a@b>\nD<bob@localhost> bob\nT<alice@localhost> alice\n\nX: y\n"
		    "Subject: good\n", 0 },
		{ "000000000000000000008", "F<a@b>\nD<bob@localhost> bob\n\nX: y\nSubject: done\n",
		    0 },
		{ "000000000000000000009", "F<a@b>\nT<bob@localhost> bob\n\n", 0 },
	};
	char path[PATH_TEXT];
	size_t i, n;

	fresh();
	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(path, sizeof(path), "spool/queue/%s", t[i].name);
		spill(path, t[i].text, strlen(t[i].text));
	}
	/* an envelope without an end */
	memset(large, 'x', sizeof(large));
	memcpy(large, "F<a@b>\n", 7);
	spill("spool/queue/00000000000000000000a", large, sizeof(large));
	/* a directory and a link stay where they are */
	(void)mkdir("spool/queue/00000000000000000000b", 0700);
	spill("outside", BYTES("F<a@b>\nT<alice@localhost> alice\n\nX: y\nSubject: link\n"));
	if (symlink("../../outside", "spool/queue/00000000000000000000c") < 0)
		abort();
	queue_kick();
	ticks();
	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(path, sizeof(path), "spool/queue/%s", t[i].name);
		CHECK_INT(access(path, F_OK), -1);
		(void)snprintf(path, sizeof(path), "spool/bad/%s", t[i].name);
		CHECK_INT(access(path, F_OK), t[i].bad ? 0 : -1);
		if (t[i].bad && i != 6) {
			n = slurp(path, now, sizeof(now));
			CHECK_MEM(now, n, t[i].text, strlen(t[i].text));
		}
	}
	CHECK_INT(access("spool/bad/00000000000000000000a", F_OK), 0);
	CHECK_INT(there("alice", "half"), 1);
	CHECK_INT(there("alice", "good"), 1);
	CHECK_INT(there("bob", "good"), 0);
	CHECK_INT(there("bob", "done"), 0);
	CHECK_INT(there("alice", "link"), 0);
	n = slurp("mail/bob", now, sizeof(now));
	CHECK_INT(count(now, n, "\nDelivered-To: bob@localhost\n"), 1);
	/* the one that was set aside says who has it, and could be put back */
	n = slurp("spool/bad/000000000000000000006", now, sizeof(now));
	CHECK_INT(count(now, n, "\nD<alice@localhost> alice\n"), 1);
	CHECK_INT(count(now, n, "\nT<x@localhost> nobody\n"), 1);
	CHECK(was_logged("set-aside"));
	clear("queue");
	clear("bad");
}

static void
test_account_gone(void)
{
	struct other o;
	char users[ACCOUNTS * 64];
	size_t n = slurp("users", users, sizeof(users));

	fresh();
	spill("mail/alice", "", 0);
	other_lock(&o, "mail/alice");
	CHECK_INT(send_to("alice", "bob", "orphan"), R_OK);
	other_end(&o);
	spill("users", BYTES("bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"));
	CHECK_INT(user_load(), 0);
	later();
	CHECK_INT(there("alice", "orphan"), 0);
	CHECK_INT(there("bob", "orphan"), 1);
	CHECK_INT(files("queue"), 0);
	CHECK_INT(files("bad"), 1);
	CHECK_INT(there("bob", "orphan"), 1);
	spill("users", users, n);
	CHECK_INT(user_load(), 0);
	clear("bad");
}

/* ---- trouble ---- */

static void
test_trouble(int what, int stay, int err)
{
	static const char *const subjects[] = { "small", "large", "other" };
	struct other o;
	enum res r[3];
	int at, hit, i, k;

	for (at = 1; at < 300; at++) {
		fresh();
		spill("mail/alice", "", 0);
		other_lock(&o, "mail/alice");
		fault_set(what, at, stay, err);
		r[0] = send_to("alice", "bob", subjects[0]);
		r[1] = send_large("bob", "alice", subjects[1]);
		r[2] = send_to("bob", NULL, subjects[2]);
		ticks();
		other_end(&o);
		later();
		hit = fault_clear();
		for (i = 0; i < 8 || (store_broken() && i < 20); i++)
			later();
		CHECK(!store_broken());
		for (i = 0; i < 3; i++) {
			k = there("bob", subjects[i]);
			CHECK_MSG(k == (r[i] == R_OK),
			    "fault %d: letter %d, answer %d: bob has it %d times",
			    at, i, (int)r[i], k);
			k = there("alice", subjects[i]);
			CHECK_MSG(k == (r[i] == R_OK && i < 2),
			    "fault %d: letter %d, answer %d: alice has it"
			    " %d times", at, i, (int)r[i], k);
		}
		CHECK_MSG(files("queue") == 0 && files("bad") == 0,
		    "fault %d: %d in the queue, %d bad", at,
		    files("queue"), files("bad"));
		if (!hit)
			break;
	}
	CHECK_MSG(at > 3 && at < 300, "%d calls", at);
}

/* ---- the order of things ---- */

/* Nothing is answered for before it is on the disk. */
static void
test_order(void)
{
	const char *p;

	fresh();
	CHECK_INT(send_to("alice", NULL, "first"), R_OK);
	trail_clear();
	CHECK_INT(send_to("alice", NULL, "second"), R_OK);
	p = strchr(trail, 's');
	CHECK_MSG(p && strchr(p, 'A') && !memchr(trail, 'A', (size_t)(p - trail)), "%s", trail);
	/* one sync; the mailbox is written to after it, and not synced */
	CHECK_STR(strchr(trail, 's'), "swA");
	trail_clear();
	CHECK_INT(send_large("alice", NULL, "large"), R_OK);
	p = strchr(trail, 'n');
	CHECK_MSG(p && p > trail && p[-1] == 's' && !strncmp(p, "nsA", 3), "%s", trail);
	ticks();
	/* in the end: the mailbox is on the disk before the queue says so */
	p = strrchr(trail, 's');
	CHECK_MSG(p && p - trail > 3 && !memcmp(p - 2, "sws", 3), "%s", trail);
}

/* A checkpoint forgets nothing that it could not sync. */
static void
test_checkpoint(void)
{
	int at, r;

	for (at = 1; at < 10; at++) {
		fresh();
		CHECK_INT(send_to("alice", "bob", "x"), R_OK);
		CHECK(!journal_empty(&journal));
		fault_set(F_SYNC, at, 0, EIO);
		r = store_checkpoint();
		if (!fault_clear())
			break;
		CHECK_INT(r, -1);
		CHECK(store_broken());
		CHECK(!journal_empty(&journal));
		CHECK_INT(send_to("alice", NULL, "refused"), R_TEMP);
		later();
		later();
		CHECK(!store_broken());
		CHECK_INT(there("alice", "x"), 1);
		CHECK_INT(there("bob", "x"), 1);
		CHECK_INT(there("alice", "refused"), 0);
		CHECK_INT(send_to("alice", NULL, "taken"), R_OK);
		CHECK_INT(there("alice", "taken"), 1);
	}
	CHECK_INT(r, 0);
	CHECK(journal_empty(&journal));
	CHECK(at > 3 && at < 10);
}

/* The disk fails while a large letter is half in its mailbox. */
static void
test_broken_append(void)
{
	int i;

	fresh();
	CHECK_INT(send_large("alice", NULL, "large"), R_OK);
	slow = 1000;
	for (i = 0; queue_idle() && i < 100; i++)
		(void)store_tick();
	slow = 0;
	CHECK(!queue_idle());
	fault_set(F_SYNC, 1, 0, EIO);
	CHECK_INT(send_to("alice", NULL, "refused"), R_TEMP);
	CHECK_INT(fault_clear(), 1);
	CHECK(store_broken());
	for (i = 0; i < 3; i++)
		later();
	CHECK(!store_broken());
	CHECK_INT(there("alice", "large"), 1);
	CHECK_INT(there("alice", "refused"), 0);
	CHECK_INT(send_to("alice", NULL, "taken"), R_OK);
	CHECK_INT(there("alice", "taken"), 1);
}

/* Letters that can go neither into their mailbox nor into the queue stay in the journal, some. */
static void
test_owed(void)
{
	struct other o;
	char subject[16];
	enum res r[SESSIONS + 5];
	size_t i;
	int taken = 0;

	fresh();
	spill("mail/alice", "", 0);
	other_lock(&o, "mail/alice");
	fault_set(F_NAME, 1, 1, EIO);
	for (i = 0; i < LEN(r); i++) {
		(void)snprintf(subject, sizeof(subject), "n%d", (int)i);
		r[i] = send_to("alice", NULL, subject);
		taken += r[i] == R_OK;
	}
	CHECK(taken > 0 && taken <= SESSIONS);
	CHECK(fault_clear() > 0);
	other_end(&o);
	for (i = 0; i < 5; i++)
		later();
	CHECK(!store_broken());
	for (i = 0; i < LEN(r); i++) {
		(void)snprintf(subject, sizeof(subject), "n%d", (int)i);
		CHECK_INT(there("alice", subject), r[i] == R_OK);
	}
	CHECK_INT(files("queue"), 0);
}

/* ---- restarts ---- */

static int
child(int (*f)(int), int arg)
{
	pid_t p = fork();
	int st;

	if (p == 0)
		_exit(f(arg));
	if (waitpid(p, &st, 0) != p || !WIFEXITED(st))
		abort();
	return WEXITSTATUS(st);
}

enum { LIVES = 60 };

/*
 * A server that ends without a word after so many slices of work, or (more) after a checkpoint
 * too.
 */
static int
short_life(int arg)
{
	struct other o;
	int i, slices = arg % LIVES;

	store_here();
	other_lock(&o, "mail/alice");
	if (send_to("alice", "bob", "small") != R_OK || send_large("bob", "alice", "large") != R_OK)
		return 1;
	(void)close(o.go);
	(void)waitpid(o.pid, NULL, 0);
	slow = 1000;
	for (i = 0; i < slices; i++) {
		if (i == 8)
			pass_s(6);
		(void)store_tick();
	}
	return arg >= LIVES && store_checkpoint() < 0;
}

static int
next_life(int arg)
{
	(void)arg;
	store_here();
	ticks();
	pass_s(6);
	ticks();
	return store_checkpoint() < 0;
}

static void
test_restarts(void)
{
	int slices;

	for (slices = 0; slices < 2 * LIVES; slices++) {
		if (system("rm -rf mail spool tls && mkdir mail && : >mail/alice") != 0)
			abort();
		CHECK_INT(child(short_life, slices), 0);
		CHECK_INT(child(next_life, 0), 0);
		CHECK_MSG(there("alice", "small") == 1 && there("bob", "small") == 1 &&
		    there("alice", "large") == 1 && there("bob", "large") == 1,
		    "after %d slices: %d %d %d %d", slices, there("alice", "small"), there("bob",
		    "small"),
		    there("alice", "large"), there("bob", "large"));
		CHECK_INT(files("queue"), 0);
	}
}

int
main(void)
{
	test_restarts();
	store_here();
	test_locked();
	test_others_pass();
	test_large();
	test_many();
	test_bad();
	test_account_gone();
	test_order();
	test_checkpoint();
	test_broken_append();
	test_owed();
	test_trouble(F_ANY, 0, EIO);
	test_trouble(F_ANY, 1, EIO);
	test_trouble(F_WRITE, 1, ENOSPC);
	test_trouble(F_WRITE, 0, ENOSPC);
	test_trouble(F_SYNC, 1, EIO);
	return test_end();
}
