/* with: letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/idn.c lib/ip.c lib/journal.c lib/mbox.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The start of a server on what a crash, or somebody, has left: a journal whose records are whole
 * but say anything, mailboxes, letters of the queue and of those for other servers. The input is a
 * script of operations, an octet each with those that belong to it. It comes to an end, nothing
 * leaks, and a second start changes no mailbox. As long as the script does only what a server that
 * dies may have done (and another program that appends), each letter is in its mailbox once, and
 * what was in it before is still there.
 */
#include <dirent.h>
#include <limits.h>

#include "house.h"
#include "store.h"
#include "wire.h"

enum { MOST = 1 << 12, LETTERS_MOST = 16, BOX = 1 << 20, JOURNAL = 64 << 10 };

#define LONG_AGO "Mon Jan  5 23:23:01 1970"	/* HOUSE_BIRTH */
#define FOREIGN "From f%d@x " LONG_AGO "\nSubject: foreign\n\nbody\n\n"

static const char *const dirs[] = {
	"mail", "spool", "spool/tmp", "spool/queue", "spool/out", "spool/hold", "spool/bad",
	"spool/index", "tls"
};
static const char *const names[] = { "alice", "bob" };

/* A letter of the script. */
static struct {
	char id[ID_TEXT];
	char head[200];		/* what begins it, as it came, and is in no other one */
	int to;			/* bits: alice, bob */
	off_t at, text, end;	/* in the journal */
} letters[LETTERS_MOST];
static int nletters, nforeign, wild;

static const uint8_t *in;
static size_t nin;

static unsigned
octet(void)
{
	if (!nin)
		return 0;
	nin--;
	return *in++;
}

/* Octets of the input, at most so many. */
static const char *
octets(size_t *n)
{
	const char *p = (const char *)in;

	*n = *n < nin ? *n : nin;
	in += *n;
	nin -= *n;
	return p;
}

static const char *
box_name(int user)
{
	static char path[PATH_TEXT];

	(void)snprintf(path, sizeof(path), "mail/%s", names[user]);
	return path;
}

static off_t
box_end(int user)
{
	struct stat st;

	return stat(box_name(user), &st) < 0 ? -1 : st.st_size;
}

static void
append(int user, const char *p, size_t n)
{
	int fd = open(box_name(user), O_WRONLY | O_CREAT | O_APPEND, 0600);

	HOLDS(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

static void
put(uint32_t type, const char *tag, const void *p, size_t n)
{
	if (journal_fits(&journal, n) && journal_begin(&journal, type, tag, n) == 0)
		HOLDS(journal_add(&journal, p, n) == 0 && journal_end(&journal) == 0);
}

/* ---- what a server does before it dies ---- */

static int noted;		/* bits: there is a note for this mailbox */

static void
note(int user)
{
	struct note n = { 0, 0, 0 };
	struct stat st;

	if (noted >> user & 1)
		return;
	if (stat(box_name(user), &st) == 0) {
		n.ino = (uint64_t)st.st_ino;
		n.size = (uint64_t)st.st_size;
	}
	put(RECORD_NOTE, names[user], &n, sizeof(n));
	noted |= 1 << user;
}

/* One letter into the journal; its text ends as the input says. */
static void
letter(unsigned how)
{
	char b[2048], tag[JOURNAL_TAG];
	size_t n, k = octet();
	const char *p = octets(&k);
	int i = nletters;

	if (i == LETTERS_MOST || !journal_fits(&journal, sizeof(b) + 4096))
		return;
	letters[i].to = 1 + how % 3;
	note(0);
	note(1);
	(void)new_id(letters[i].id);
	n = (size_t)snprintf(b, sizeof(b), "F<s@far.example>\n%s%s%s\n",
	    letters[i].to & 1 ? "T<alice@localhost> alice\n" : "",
	    letters[i].to & 2 ? "T<bob@localhost> bob\n" : "",
	    how & 8 ? "T<x@far.example>\n" : "");
	letters[i].text = (off_t)n;
	n += (size_t)snprintf(letters[i].head, sizeof(letters[i].head),
	    "Received: from x ([192.0.2.1])\n\tby mx.example.org with SMTP id %s\n\t; Sun\n",
	    letters[i].id);
	memcpy(b + letters[i].text, letters[i].head, strlen(letters[i].head));
	if (k)
		memcpy(b + n, p, k);
	n += k;
	(void)snprintf(tag, sizeof(tag), "%s %u", letters[i].id, (unsigned)letters[i].text);
	put(RECORD_LETTER, tag, b, n);
	letters[i].at = journal.last;
	letters[i].end = letters[i].at + (off_t)n;
	letters[i].text += letters[i].at;
	nletters++;
}

/* All letters that are not in a mailbox yet go there; the last write is torn, or has holes. */
static void
deliver(int user, unsigned cut, unsigned hole)
{
	static char b[1 << 16];
	static const char lines[] = "\n\n";
	static int done[2];
	struct mail m = { .fd = journal.fd };
	struct emit e;
	const char *p;
	size_t n = 0, i;
	off_t end;
	ssize_t k;

	if (nletters == 0)
		done[0] = done[1] = 0;
	for (; done[user] < nletters; done[user]++) {
		i = (size_t)done[user];
		if (!(letters[i].to >> user & 1))
			continue;
		end = n ? 0 : box_end(user);
		if (end > 0) {		/* as append_begin() mends the end */
			int fd = open(box_name(user), O_RDONLY);
			char t[2] = { '\n', '\n' };

			HOLDS(pread(fd, end == 1 ? t + 1 : t, end == 1 ? 1 : 2,
			    end == 1 ? 0 : end - 2) > 0 && close(fd) == 0);
			n = t[1] != '\n' ? 2 : t[0] != '\n';
			memcpy(b, lines, n);
		}
		memcpy(m.id, letters[i].id, ID_TEXT);
		m.at = letters[i].at;
		m.text = letters[i].text;
		m.end = letters[i].end;
		emit_init(&e, &m, user);
		while ((k = emit_next(&e, &p)) > 0) {
			HOLDS(n + (size_t)k <= sizeof(b));
			memcpy(b + n, p, (size_t)k);
			n += (size_t)k;
		}
		HOLDS(k == 0);
	}
	for (i = 0; i < hole && i < n; i++)
		b[n - 1 - i] = 0;
	append(user, b, n > cut ? n - cut : 0);
}

static void
foreign(int user)
{
	char b[200];
	int n = snprintf(b, sizeof(b), FOREIGN, nforeign++);

	append(user, b, (size_t)n);
}

/* ---- what nobody does ---- */

static void
any_note(unsigned how)
{
	struct note n;
	struct stat st;
	size_t k = sizeof(n);
	const char *p = octets(&k);

	memset(&n, 0, sizeof(n));
	memcpy(&n, p, k);
	if (how & 2 && stat(box_name(how & 1), &st) == 0) {
		n.ino = (uint64_t)st.st_ino;
		n.size %= (uint64_t)st.st_size + 2;
		if (how & 4)
			n.was = (uint64_t)st.st_size;
	}
	put(RECORD_NOTE, names[how & 1], &n, sizeof(n));
}

static void
any_record(unsigned how)
{
	char tag[JOURNAL_TAG + 1] = "";
	size_t k = how & 8 ? 0 : octet() % (JOURNAL_TAG + 1), n;
	const char *p = octets(&k);

	if (k)
		memcpy(tag, p, k);
	if (how & 8)
		(void)snprintf(tag, sizeof(tag), "%s %u", letters[0].id[0] ? letters[0].id : "x",
		    octet());
	n = octet() * 2;
	p = octets(&n);
	put(how & 3, tag, p, n);
}

/* A file of the queue, or for other servers. */
static void
any_file(unsigned how)
{
	char path[PATH_TEXT];
	size_t n = octet();
	const char *p = octets(&n);

	if (how & 4 && how & 3 && nletters)
		(void)snprintf(path, sizeof(path), "%s/%s", how & 1 ? "spool/queue" : "spool/out",
		    letters[how % (unsigned)nletters].id);
	else
		(void)snprintf(path, sizeof(path), "%s/" HOUSE_BIRTH "%08x",
		    how & 1 ? "spool/queue" : how & 2 ? "spool/out" : "spool/tmp", how);
	house_spill(path, p, n);
}

static void
script(void)
{
	unsigned op, how;
	size_t n;
	const char *p;

	while (nin > 1) {
		op = octet() & 7;
		how = octet();
		wild |= op > 3;
		switch (op) {
		case 0:
		case 1:
			letter(how);
			break;
		case 2:
			/* a torn write is the last one there was */
			if (how >> 1)
				nin = 0;
			deliver(how & 1, how >> 1, how >> 5);
			break;
		case 3:
			foreign(how & 1);
			break;
		case 4:
			any_note(how);
			break;
		case 5:
			any_record(how);
			break;
		case 6:
			any_file(how);
			break;
		case 7:
			n = how;
			p = octets(&n);
			append(how & 1, p, n);
			break;
		}
	}
}

/* ---- */

static void
empty(const char *path)
{
	char file[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d)))
		if (e->d_type == DT_REG) {
			(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
			(void)unlink(file);
		}
	if (d)
		(void)closedir(d);
}

static void
empty_all(void)
{
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		empty(dirs[i]);
}

/* Let everything be done that is due, and a while later. */
static void
settle(void)
{
	int i, k;

	for (k = 0; k < 3; k++) {
		for (i = 0; i < 10000 && store_tick() == 0; i++)
			wire_ms++;
		HOLDS(i < 10000);
		wire_ms += 10000;
		loop_clock();
	}
	for (i = 0; i < 1000 && queue_tick(1) == 0; i++)
		;
	HOLDS(i < 1000);
}

static char boxes[2][BOX], again[BOX];
static size_t nboxes[2];

/* A start, and what it leads to. */
static void
start(void)
{
	jmp_buf out;

	house_exit = &out;
	if (setjmp(out) == 0)
		store_init();
	else
		HOLDS(!"it cannot start");
	house_exit = NULL;
	settle();
}

static void
stop(void)
{
	(void)store_commit(1);
	(void)store_checkpoint();
	journal_close(&journal);
}

/* Messages that begin with this: a text cannot, its From lines are quoted. */
static int
count(int user, const char *what)
{
	const char *p = boxes[user], *at = p;
	int k = 0;

	while ((at = memmem(at, nboxes[user] - (size_t)(at - p), what, strlen(what)))) {
		k += at == p || at[-1] == '\n';
		at++;
	}
	return k;
}

/* Each letter is there once, and all that was foreign. */
static void
complete(void)
{
	char what[512];
	int i, user;

	for (i = 0; i < nletters; i++)
		for (user = 0; user < 2; user++) {
			(void)snprintf(what, sizeof(what), "From s@far.example " LONG_AGO "\n"
			    "Return-Path: <s@far.example>\nDelivered-To: %s@localhost\n%s",
			    names[user], letters[i].head);
			HOLDS(count(user, what) == (letters[i].to >> user & 1));
		}
	for (i = 0; i < nforeign; i++) {
		(void)snprintf(what, sizeof(what), FOREIGN, i);
		HOLDS(count(0, what) + count(1, what) == 1);
	}
}

static void
make_all(void)
{
	static const char users[] = "alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"
	    "bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n";
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		(void)mkdir(dirs[i], 0700);
	house_spill("users", users, sizeof(users) - 1);
	WIRE_LOOP(SESSIONS);
	journal_size = JOURNAL;
	HOLDS(user_load() == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int up;
	int files, user;

	if (!up)
		make_all();
	up = 1;
	if (size > MOST)
		return 0;
	empty_all();
	in = data;
	nin = size;
	files = house_files();
	memset(letters, 0, sizeof(letters));
	nletters = nforeign = wild = noted = 0;
	house_ids = 0;
	HOLDS(journal_open(&journal, "spool", "spool/journal", JOURNAL) == 0);
	deliver(0, 0, 0);
	script();
	journal_close(&journal);
	HOLDS(house_files() == files);

	start();
	HOLDS(wild || !store_broken());
	for (user = 0; user < 2; user++)
		nboxes[user] = house_slurp(box_name(user), boxes[user], BOX);
	if (!wild)
		complete();
	stop();
	start();
	for (user = 0; user < 2 && !wild; user++) {
		HOLDS(house_slurp(box_name(user), again, BOX) == nboxes[user]);
		HOLDS(!memcmp(again, boxes[user], nboxes[user]));
	}
	stop();
	/* whatever it was, on a clean disk it goes on */
	empty_all();
	start();
	HOLDS(!store_broken());
	stop();
	HOLDS(house_files() == files);
	return 0;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	memset(v, 0, sizeof(*v));
	return n && *p ? 0 : -1;
}
