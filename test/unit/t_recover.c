/* with: letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/log.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Recovery: a store is left as a crash would leave it, then opened again. The mailbox is torn at
 * every byte, or has holes of zeros, or another program has written to it: each letter must be
 * there once and whole, and what the other program wrote as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "relay.h"
#include "store.h"
#include "test.h"

enum { BOX = 1 << 16 };

char host[HOST_TEXT] = "test.example";
const char version[] = "test";
int stopping;

void
random_bytes(void *p, size_t n)
{
	memset(p, 7, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	(void)p;
	(void)n;
	memset(v, 0, sizeof(*v));
	return 0;
}

char *
new_id(char dst[ID_TEXT])
{
	static unsigned n;

	(void)snprintf(dst, ID_TEXT, "0006410f3a2b1%08x", ++n);
	return dst;
}

static void
spill(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || fs_write(fd, p, n, 0) < 0 || close(fd) < 0)
		abort();
}

static size_t
slurp(const char *path, char *dst)
{
	ssize_t n = fs_slurp(path, dst, BOX);

	return n < 0 ? 0 : (size_t)n;
}

/* ---- what the children do: a server that dies, and one that starts ---- */

static void
answered(struct letter *l, enum res r)
{
	if (r != R_OK)
		_exit(3);
	letter_abort(l);
}

static void
send_one(const char *rcpt, const char *body)
{
	static struct letter l;
	struct user_set to;
	struct addr a;

	memset(&to, 0, sizeof(to));
	memset(&a, 0, sizeof(a));
	if (addr_mailbox(&a, rcpt, strlen(rcpt)) < 0 || user_resolve(&to, NULL, &a) != W_LOCAL ||
	    letter_begin(&l, 0, "sender@far.example", 18, "") != R_OK ||
	    letter_rcpt(&l, rcpt, strlen(rcpt), &to) != R_OK)
		_exit(4);
	letter_text(&l, "Received: from x ([192.0.2.1])\n\tby test.example with SMTP id ", 61);
	letter_text(&l, l.id, strlen(l.id));
	letter_text(&l, "\n\t; Sun, 22 Nov 2026 03:03:14 +0000\n", 36);
	letter_text(&l, body, strlen(body));
	l.done = answered;
	letter_finish(&l);
	(void)store_commit(1);
}

static int
child(void (*f)(void))
{
	int st;
	pid_t p = fork();

	if (p == 0) {
		close(2);
		f();
		_exit(0);
	}
	return p < 0 || waitpid(p, &st, 0) != p || !WIFEXITED(st) ? -1 : WEXITSTATUS(st);
}

static void
start(void)
{
	loop_clock();
	store_init();
}

static void
crash(void)
{
	start();
	send_one("alice@localhost", "Subject: one\n\nfirst\nFrom me\n");
	send_one("alice@localhost", "Subject: two\n\nsecond\n\n\n");
	send_one("alice@localhost", "Subject: three\n\nthird\n");
}

static void
crash_unwritten(void)
{
	start();
	send_one("bob@localhost", "Subject: make a note\n\nx\n");
}

/* ---- */

static char before[BOX], after[BOX], got[BOX], journal_now[BOX];
static size_t nbefore, nafter;

/* Only the beginning of the journal is ever written to here. */
static void
journal_was(int save)
{
	int fd = open("spool/journal", O_RDWR);

	if (fd < 0 || (save ? fs_read(fd, journal_now, BOX, 0) :
	    fs_write(fd, journal_now, BOX, 0)) < 0 ||
	    close(fd) < 0)
		abort();
}

static void
fresh(const char *mailbox)
{
	if (system("rm -rf mail spool tls lock") != 0)
		abort();
	spill("users", BYTES("alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"
	    "bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"));
	CHECK_INT(child(start), 0);
	nbefore = strlen(mailbox);
	memcpy(before, mailbox, nbefore);
	if (nbefore)
		spill("mail/alice", before, nbefore);
	CHECK_INT(child(crash), 0);
	nafter = slurp("mail/alice", after);
	journal_was(1);
}

/* Put mailbox and journal back as the crash left them, but the mailbox as given; recover. */
static size_t
recovered(const char *mailbox, size_t n)
{
	int fd = open("mail/alice", O_RDWR | O_TRUNC);

	if (fd < 0 || fs_write(fd, mailbox, n, 0) < 0 || close(fd) < 0)
		abort();
	journal_was(0);
	CHECK_INT(child(start), 0);
	return slurp("mail/alice", got);
}

static int
count(const char *hay, size_t n, const char *needle)
{
	const char *p = hay;
	int k = 0;

	while ((p = memmem(p, n - (size_t)(p - hay), needle, strlen(needle)))) {
		k++;
		p++;
	}
	return k;
}

static void
torn(const char *mailbox)
{
	char b[BOX];
	size_t at, hole, n;

	fresh(mailbox);
	for (at = nbefore; at <= nafter; at += at < nafter - 40 ? 7 : 1) {
		n = recovered(after, at);
		if (!CHECK_MEM(got, n, after, nafter))
			return;
	}
	for (at = nbefore; at < nafter; at += 13) {
		for (hole = 1; at + hole <= nafter; hole = hole * 2 + 1) {
			memcpy(b, after, nafter);
			memset(b + at, 0, hole);
			n = recovered(b, nafter);
			if (!CHECK_MEM(got, n, after, nafter))
				return;
		}
	}
}

/* Another program has appended, or removed, before the crash. */
static void
foreign(void)
{
	static const char theirs[] = "From cron@here Sun Nov 22 04:00:00 2026\n"
	    "Subject: theirs\n\nhi\n\n";
	char b[BOX];
	const char *second;
	size_t n;

	fresh("From old@x Sun Nov 22 01:00:00 2026\nSubject: old\n\nold\n\n");
	memcpy(b, after, nafter);
	memcpy(b + nafter, theirs, sizeof(theirs) - 1);
	n = recovered(b, nafter + sizeof(theirs) - 1);
	CHECK_MEM(got, n, b, nafter + sizeof(theirs) - 1);

	/* theirs stands first, the last of ours is missing */
	second = memmem(after, nafter, "\nSubject: two", 13);
	CHECK(second != NULL);
	while (strncmp(second, "\n\nFrom sender", 13) != 0)
		second--;
	n = (size_t)(second + 2 - after);
	memcpy(b, after, n);
	memcpy(b + n, theirs, sizeof(theirs) - 1);
	n = recovered(b, n + sizeof(theirs) - 1);
	CHECK_INT(count(got, n, "\nSubject: one\n"), 1);
	CHECK_INT(count(got, n, "\nSubject: two\n"), 1);
	CHECK_INT(count(got, n, "\nSubject: three\n"), 1);
	CHECK_INT(count(got, n, "\nSubject: theirs\n"), 1);
	CHECK_INT(count(got, n, "\nSubject: old\n"), 1);

	/* theirs, then one of ours, torn */
	memcpy(b, before, nbefore);
	memcpy(b + nbefore, theirs, sizeof(theirs) - 1);
	n = nbefore + sizeof(theirs) - 1;
	memcpy(b + n, after + nbefore, 230);
	n = recovered(b, n + 230);
	CHECK_INT(count(got, n, "\nSubject: one\n"), 1);
	CHECK_INT(count(got, n, "\nSubject: three\n"), 1);
	CHECK_INT(count(got, n, "\nFrom sender@"), 3);

	/* a shorter file: something of the old mail was removed */
	n = recovered(after + nbefore, nafter - nbefore);
	CHECK_MEM(got, n, after + nbefore, nafter - nbefore);
}

/* An account ends while its letter is in the journal: the letter is kept, in spool/bad at last. */
static void
orphan(void)
{
	fresh("");
	journal_was(0);
	(void)unlink("mail/alice");
	spill("users", BYTES("bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"));
	CHECK_INT(child(start), 0);
	CHECK_INT(system("grep -q 'Subject: two' spool/queue/*"), 0);
}

static size_t keep;

static void
crash_cutting(void)
{
	start();
	if (store_cut(user_find("alice", 5), nafter, keep) < 0)
		_exit(5);
}

/* POP3 was cutting off the last messages: a file system may show zeros there before the new
 * size. */
static void
half_cut(void)
{
	char b[BOX];
	size_t hole, n;

	fresh("");
	keep = (size_t)((const char *)memmem(after + 1, nafter - 1, "\n\nFrom ", 7) + 2 - after);
	CHECK_INT(child(crash_cutting), 0);
	journal_was(1);
	for (hole = 0; hole <= nafter - keep; hole += hole < 40 ? 1 : 17) {
		memcpy(b, after, nafter);
		memset(b + keep, 0, hole);
		n = recovered(b, nafter);
		CHECK_MEM(got, n, after, keep);
	}
	n = recovered(after, keep);
	CHECK_MEM(got, n, after, keep);
	/* another program has written to it since */
	n = recovered(after, nafter - 1);
	CHECK_MEM(got, n, after, nafter - 1);
}

/* ---- letters for other servers ---- */

static char out_id[ID_TEXT];
static off_t mark_at;

static void
crash_sending(void)
{
	static struct letter l;
	off_t text, end;
	int fd;

	start();
	if (letter_begin(&l, 0, "me@localhost", 12, "BY=alice") != R_OK ||
	    letter_out(&l, "a@far.example", 13, "") != R_OK ||
	    letter_out(&l, "b@far.example", 13, "NOTIFY=NEVER") != R_OK)
		_exit(4);
	letter_text(&l, "Subject: out\n\nx\n", 16);
	l.done = answered;
	letter_finish(&l);
	(void)store_commit(1);
	fd = out_open(l.id, 0, &text, &end);
	if (fd < 0 || (mark_at && out_mark(l.id, fd, mark_at, 'D') < 0))
		_exit(6);
	if (mark_at < 0)
		_exit(7);
	(void)out_finish(l.id, fd);
}

static void
crash_all_sent(void)
{
	off_t text, end;
	int fd;

	crash_sending();
	fd = out_open(out_id, 0, &text, &end);
	if (fd < 0 || out_mark(out_id, fd, 42, 'D') < 0 || out_finish(out_id, fd) != 1)
		_exit(6);
}

/* The letter's file after recovery, from a journal and a file as the crash left them. */
static size_t
out_recovered(const char *file, size_t n)
{
	char path[PATH_TEXT];

	(void)snprintf(path, sizeof(path), "spool/out/%s", out_id);
	(void)unlink(path);
	if (file)
		spill(path, file, n);
	journal_was(0);
	CHECK_INT(child(start), 0);
	return slurp(path, got);
}

static void
out_fresh(void (*f)(void))
{
	fresh("");
	(void)snprintf(out_id, sizeof(out_id), "0006410f3a2b1%08x", 1U);
	CHECK_INT(child(f), 0);
	journal_was(1);
}

static void
out_files(void)
{
	static const char whole[] = "F<me@localhost> BY=alice\nT<a@far.example>\n"
	    "T<b@far.example> NOTIFY=NEVER\n\nSubject: out\n\nx\n";
	static const char one[] = "F<me@localhost> BY=alice\nD<a@far.example>\n"
	    "T<b@far.example> NOTIFY=NEVER\n\nSubject: out\n\nx\n";
	char b[sizeof(whole)];
	size_t at, n;

	mark_at = 0;
	out_fresh(crash_sending);
	CHECK_MEM(got, out_recovered(NULL, 0), whole, sizeof(whole) - 1);
	CHECK_MEM(got, out_recovered(whole, sizeof(whole) - 1), whole, sizeof(whole) - 1);
	CHECK_MEM(got, out_recovered(one, sizeof(one) - 1), one, sizeof(one) - 1);
	for (at = 0; at < sizeof(whole) - 1; at++) {
		CHECK_MEM(got, out_recovered(whole, at), whole, sizeof(whole) - 1);
		memcpy(b, whole, sizeof(whole));
		memset(b + at, 0, sizeof(whole) - 1 - at < 9 ? sizeof(whole) - 1 - at : 9);
		n = out_recovered(b, sizeof(whole) - 1);
		CHECK_MEM(got, n, whole, sizeof(whole) - 1);
	}
	mark_at = 25;			/* a's line */
	out_fresh(crash_sending);
	CHECK_MEM(got, out_recovered(NULL, 0), one, sizeof(one) - 1);
	CHECK_MEM(got, out_recovered(whole, sizeof(whole) - 1), one, sizeof(one) - 1);
	mark_at = 25;
	out_fresh(crash_all_sent);
	CHECK_INT(out_recovered(NULL, 0), 0);
	CHECK_INT(out_recovered(one, sizeof(one) - 1), 0);
}

static void
broken_journal(void)
{
	fresh("");
	memset(journal_now, 'x', 9000);
	journal_was(0);
	CHECK_INT(child(crash_unwritten), 0);
	CHECK_INT(system("test -n \"$(ls spool/bad)\""), 0);
}

int
main(void)
{
	torn("");
	torn("From old@x Sun Nov 22 01:00:00 2026\nSubject: old\n\nold\n\n");
	torn("From old@x Sun Nov 22 01:00:00 2026\nSubject: old\n\nno line end");
	foreign();
	orphan();
	half_cut();
	out_files();
	broken_journal();
	return test_end();
}
