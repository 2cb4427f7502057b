/* with: lib/addr.c lib/ip.c lib/text.c lib/fs.c lib/log.c lib/scram.c lib/idn.c */
/* See LICENSE file for copyright and licence details. */
/* Accounts: the file and its slots, look-ups, aliases, and the checks at start. */
#undef CONFIG
#define CONFIG "test/unit/t_user.h"
#include "user.c"

#include <stdio.h>
#include <sys/wait.h>

#include "test.h"

char host[HOST_TEXT] = "mx.example.com";

/* A verifier that differs by `seed`. */
static const char *
verifier(int seed)
{
	static char text[4][SCRAM_TEXT];
	static int turn;
	struct scram_verifier v;

	memset(&v, seed, sizeof(v));
	v.iterations = 4096;
	v.nsalt = SCRAM_SALT;
	turn = (turn + 1) % 4;
	return scram_format(text[turn], &v);
}

static void
put(const char *text)
{
	FILE *f;

	f = fopen("users.new", "wb");
	if (!f || fputs(text, f) < 0 || fclose(f) || rename("users.new", "users"))
		abort();
}

static void
check_file(const char *want)
{
	size_t n = 0;
	char *p;

	p = test_slurp("users", &n);
	if (CHECK(p != NULL))
		CHECK_MEM(p, n, want, strlen(want));
	free(p);
}

static void
names(void)
{
	static const struct {
		const char *name;
		int want;
	} t[] = {
		{ "alice", 1 }, { "a", 1 }, { "0", 1 }, { "a.b-c_d9", 1 }, { "a..", 1 },
		{ "abcdefghijklmnopqrstuvwxyz012345", 1 },
		{ "abcdefghijklmnopqrstuvwxyz0123456", 0 },
		{ "", 0 }, { ".", 0 }, { "..", 0 }, { ".a", 0 }, { "-a", 0 }, { "_a", 0 },
		{ "Alice", 0 }, { "aB", 0 }, { "a/b", 0 }, { "a b", 0 }, { "a:b", 0 }, { "a\n", 0 },
		{ "a\x80", 0 }, { "\xe4", 0 }, { "a+b", 0 }, { "a@b", 0 },
		{ "alice.deleted.20261122T030314Z", 0 },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++)
		CHECK_MSG(user_valid(t[i].name, strlen(t[i].name)) == t[i].want,
		    "\"%s\"", t[i].name);
	CHECK_INT(user_valid("a\0b", 3), 0);
}

static void
loading(void)
{
	char text[4096];

	CHECK_INT(user_load(), 0);
	CHECK(user_at(0) == NULL && first_account() < 0);

	(void)snprintf(text, sizeof(text), "# comment\n\nalice:%s\nnonsense\nbob:%s\nBob:%s\n"
	    "alice:%s\n:%s\ncarol:%s", verifier(1), verifier(2), verifier(3), verifier(3),
	    verifier(3), verifier(3));
	put(text);
	CHECK_INT(user_load(), 0);
	CHECK_INT(user_find("alice", 5), 0);
	CHECK_INT(user_find("bob", 3), 1);
	CHECK_INT(user_find("carol", 5), 2);
	CHECK_INT(user_find("Bob", 3), -1);
	CHECK_INT(user_find("", 0), -1);
	CHECK(user_at(3) == NULL && user_at(-1) == NULL && user_at(ACCOUNTS) == NULL);
	CHECK_STR(user_at(0)->verifier, verifier(1));	/* the first of two lines counts */

	(void)snprintf(text, sizeof(text), "dave:%s\ncarol:%s\nalice:%s\n", verifier(4),
	    verifier(5), verifier(6));
	put(text);
	CHECK_INT(user_load(), 0);
	CHECK_INT(user_find("alice", 5), 0);
	CHECK_STR(user_at(0)->verifier, verifier(6));
	CHECK_INT(user_find("bob", 3), -1);
	CHECK_STR(user_at(1)->name, "bob");
	CHECK_INT(user_at(1)->gone, 1);
	CHECK_INT(user_at(1)->verifier[0], 0);
	CHECK_INT(user_find("carol", 5), 2);
	CHECK_INT(user_find("dave", 4), 3);

	/* five slots; eve gets the last, frank none, and bob his own again */
	(void)snprintf(text, sizeof(text), "eve:%s\nfrank:%s\nbob:%s\n", verifier(7), verifier(8),
	    verifier(9));
	put(text);
	CHECK_INT(user_load(), 0);
	CHECK_INT(user_find("eve", 3), 4);
	CHECK_INT(user_find("frank", 5), -1);
	CHECK_INT(user_find("bob", 3), 1);
	CHECK_INT(user_find("alice", 5), -1);
	CHECK_INT(first_account(), 1);

	CHECK_INT(unlink("users"), 0);
	CHECK_INT(user_load(), 0);
	CHECK_INT(first_account(), -1);
	CHECK_INT(mkdir("users", 0700), 0);
	CHECK_INT(user_load(), -1);	/* unreadable: the old table stays */
	CHECK_INT(rmdir("users"), 0);
}

static void
writing(void)
{
	char text[4096], want[4096];

	CHECK_INT(user_write("alice", verifier(1)), 0);
	(void)snprintf(want, sizeof(want), "alice:%s\n", verifier(1));
	check_file(want);

	(void)snprintf(text, sizeof(text), "alice:broken\nbob:%s\n#x\nalice:%s\n\nalice:%s\nzed",
	    verifier(2), verifier(3), verifier(4));
	put(text);
	CHECK_INT(user_write("alice", verifier(5)), 0);
	(void)snprintf(want, sizeof(want), "alice:broken\nbob:%s\n#x\nalice:%s\n\nzed", verifier(2),
	    verifier(5));
	check_file(want);
	CHECK_INT(user_write("carol", verifier(6)), 0);
	(void)snprintf(want, sizeof(want), "alice:broken\nbob:%s\n#x\nalice:%s\n\nzed\ncarol:%s\n",
	    verifier(2), verifier(5), verifier(6));
	check_file(want);
	CHECK_INT(user_write("bob", NULL), 0);
	CHECK_INT(user_write("alice", NULL), 0);
	CHECK_INT(user_write("nobody", NULL), 0);
	(void)snprintf(want, sizeof(want), "alice:broken\n#x\n\nzed\ncarol:%s\n", verifier(6));
	check_file(want);

	memset(text, '#', sizeof(text));
	text[USERS_FILE - 1] = '\0';
	put(text);
	CHECK_INT(user_write("alice", verifier(1)), -1);	/* no room: the old file stays */
	CHECK_INT(errno, EFBIG);
	check_file(text);
}

/* A table of aliases; rows that are not used name nobody's domain. */
static void
set_aliases(const struct alias *rows, size_t n)
{
	static char unused[NALIASES][16];
	size_t i;

	for (i = 0; i < NALIASES; i++) {
		(void)snprintf(unused[i], sizeof(unused[i]), "unused%d", (int)i);
		aliases[i].from = unused[i];
		aliases[i].to = "alice";
	}
	for (i = 0; i < n; i++)
		aliases[i] = rows[i];
}

static const struct alias good[] = {
	{ "abuse", "postmaster" },
	{ "Sales@Example.org", "bob  carol" },
	{ "sales", "alice" },
	{ "team", "sales bob" },
	{ "team2", "sales@example.org team" },
	{ "*@example.net", "carol" },
	{ "carol", "carol alice" },
	{ "list+x", "bob" },
	{ "list", "alice" },
	{ "gone", "nobody" },
	{ "odd one", "alice" },
};

static void
accounts(void)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "alice:%s\nbob:%s\ncarol:%s\n", verifier(1), verifier(2),
	    verifier(3));
	put(text);
	memset(users, 0, sizeof(users));
	CHECK_INT(user_load(), 0);
}

/* What user_resolve says, as text: "local alice bob", "unknown", "remote". */
static const char *
resolved(const char *mailbox)
{
	static char text[256];
	struct user_set to;
	struct addr a;
	char path[400];
	int i, n;

	n = snprintf(path, sizeof(path), "<%s>", mailbox);
	if (addr_path(&a, path, (size_t)n, ADDR_BARE) < 0)
		return "syntax";
	switch (user_resolve(&to, NULL, &a)) {
	case W_REMOTE:
		return "remote";
	case W_UNKNOWN:
		return "unknown";
	case W_LATER:
		return "later";
	case W_LOCAL:
		break;
	}
	n = snprintf(text, sizeof(text), "local");
	for (i = 0; i < ACCOUNTS; i++) {
		if (user_in(&to, i))
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %s", users[i].name);
	}
	return text;
}

static void
resolving(void)
{
	static const struct {
		const char *mailbox, *want;
	} t[] = {
		{ "alice@example.org", "local alice" },
		{ "ALICE@EXAMPLE.ORG", "local alice" },
		{ "\"alice\"@example.org", "local alice" },
		{ "\"a\\lice\"@example.org", "local alice" },
		{ "bob@mx.example.com", "local bob" },
		{ "bob@MX.Example.Com", "local bob" },
		{ "bob@example.com", "remote" },
		{ "bob@sub.example.org", "remote" },
		{ "bob@[127.0.0.1]", "remote" },
		{ "nobody@example.org", "unknown" },
		{ "nobody@example.net", "local carol alice" },
		{ "\"with space\"@example.net", "local carol alice" },
		{ "bob@example.net", "local bob" },
		{ "sales@example.org", "local alice bob carol" },
		{ "sales@mx.example.com", "local alice" },
		{ "sales+tag@example.org", "local alice bob carol" },
		{ "team@example.org", "local alice bob" },
		{ "team2@example.org", "local alice bob carol" },
		{ "abuse@example.org", "local alice" },
		{ "postmaster@example.org", "local alice" },
		{ "PostMaster@example.org", "local alice" },
		{ "postmaster@example.net", "local carol alice" },
		{ "postmaster", "local alice" },
		{ "Postmaster", "local alice" },
		{ "alice", "unknown" },
		{ "postmaster@example.com", "remote" },
		{ "carol@example.org", "local alice carol" },
		{ "alice+x@example.org", "local alice" },
		{ "alice+x+y@example.org", "local alice" },
		{ "alice+@example.org", "local alice" },
		{ "+alice@example.org", "unknown" },
		{ "alice-x@example.org", "unknown" },
		{ "list+x@example.org", "local bob" },
		{ "list+y@example.org", "local alice" },
		{ "gone@example.org", "unknown" },
		{ "\"odd one\"@example.org", "local alice" },
		{ "*@example.net", "local carol alice" },
		{ "*@example.org", "unknown" },
		{ "\"../alice\"@example.org", "unknown" },
	};
	const char *got, *want;
	size_t i;

	set_aliases(good, LEN(good));
	accounts();
	for (i = 0; i < LEN(t); i++) {
		got = resolved(t[i].mailbox);
		want = t[i].want;
		if (!strcmp(want, "local carol alice"))	/* a set has no order */
			want = "local alice carol";
		CHECK_MSG(!strcmp(got, want), "%s: got %s, want %s", t[i].mailbox, got, want);
	}
	/* a file that cannot be read: who is known stays known, the others may exist by now */
	CHECK(rename("users", "users.kept") == 0 && mkdir("users", 0700) == 0);
	CHECK_STR(resolved("alice@example.org"), "local alice");
	CHECK_STR(resolved("nobody@example.org"), "later");
	CHECK_STR(resolved("nobody@elsewhere.example"), "remote");
	CHECK(rmdir("users") == 0 && rename("users.kept", "users") == 0);
	CHECK_STR(resolved("nobody@example.org"), "unknown");
	put("");	/* seen without being told */
	CHECK_STR(resolved("postmaster@example.org"), "unknown");
	CHECK_STR(resolved("alice@example.org"), "unknown");
}

static void
logins(void)
{
	static const struct {
		const char *name;
		int want;
	} t[] = {
		{ "alice", 0 }, { "Bob", 1 },
		{ "alice@example.org", 0 }, { "ALICE@Example.NET", 0 },
		{ "alice@mx.example.com", 0 }, { "alice@example.com", -1 }, { "alice@", -1 },
		{ "@example.org", -1 }, { "", -1 }, { "nobody", -1 }, { "alice+x", -1 },
		{ "sales", -1 }, { "postmaster", -1 }, { "a@b@example.org", -1 },
		{ "alice@example.org@example.org", -1 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -1 },
	};
	size_t i;

	accounts();
	for (i = 0; i < LEN(t); i++)
		CHECK_MSG(user_login(t[i].name, strlen(t[i].name)) == t[i].want, "%s", t[i].name);
	CHECK_INT(user_login("alice\0", 6), -1);
}

static void
senders(void)
{
	static const struct {
		int slot;
		const char *mailbox;
		int want;
	} t[] = {
		{ 0, "alice@example.org", 1 }, { 1, "alice@example.org", 0 },
		{ 0, "alice+x@example.net", 1 }, { 0, "abuse@example.org", 1 },
		{ 1, "abuse@example.org", 0 }, { 1, "team@example.org", 1 },
		{ 2, "anything@example.net", 1 }, { 1, "anything@example.net", 0 },
		{ 0, "alice@example.com", 0 }, { 0, "nobody@example.org", 0 },
		{ 0, "alice@[127.0.0.1]", 0 }, { -1, "alice@example.org", 0 },
	};
	struct addr a;
	size_t i;

	set_aliases(good, LEN(good));
	accounts();
	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(addr_mailbox(&a, t[i].mailbox, strlen(t[i].mailbox)), 0);
		CHECK_MSG(user_may_send(t[i].slot, &a) == t[i].want, "%d as %s",
		    t[i].slot, t[i].mailbox);
	}
	memset(&a, 0, sizeof(a));
	CHECK_INT(user_may_send(0, &a), 1);
}

/* ---- outside addresses ---- */

static const struct alias outside_rows[] = {
	{ "away",             "Bob@Far.example" },
	{ "both",             "alice away c@far.example" },
	{ "again",            "both bob@far.EXAMPLE x@[192.0.2.1]" },
	{ "alice",            "alice copy@far.example" },
	{ "bob@example.net",  "bob@far.example carol" },
	{ "*@mx.example.com", "all@far.example" },
	{ "copy",             "carol" },
	{ "circle",           "square@far.example" },	/* none */
	{ "square",           "circle" },
	{ "j\xc3\xbcrgen",    "bob j\xc3\xbcrgen@b\xc3\xbc" "cher.example" },
};

/* The accounts and the outside addresses, in order. */
static const char *
leads(const char *mailbox)
{
	static char text[512];
	struct user_set to;
	struct forwards f;
	struct addr a;
	char path[400];
	int i, n;

	n = snprintf(path, sizeof(path), "<%s>", mailbox);
	if (addr_path(&a, path, (size_t)n, ADDR_BARE | ADDR_UTF8) < 0)
		return "syntax";
	if (user_resolve(&to, &f, &a) != W_LOCAL)
		return f.n ? "not ours, but forwarded" : "no";
	n = 0;
	text[0] = '\0';
	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(&to, i))
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%s ", users[i].name);
	for (i = 0; i < f.n; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%.*s ",
		    (int)f.to[i].n, f.to[i].p);
	return text;
}

static void
forwarding(void)
{
	static const struct {
		const char *mailbox, *want;
	} t[] = {
		{ "away@example.org", "Bob@Far.example " },
		{ "AWAY+tag@example.net", "Bob@Far.example " },
		{ "both@example.org", "alice copy@far.example " },
		{ "alice@example.org", "alice copy@far.example " },
		{ "bob@example.net", "carol bob@far.example " },
		{ "bob@example.org", "bob " },
		{ "any@mx.example.com", "all@far.example " },
		{ "copy@far.example", "no" },
		{ "copy@example.org", "carol " },
		{ "away@far.example", "no" },
		{ "away@[192.0.2.1]", "no" },
		{ "j\xc3\xbcrgen@example.org", "bob j\xc3\xbcrgen@b\xc3\xbc" "cher.example " },
		{ "nobody@example.org", "no" },
	};
	const char *got;
	struct addr a;
	size_t i;

	set_aliases(outside_rows, LEN(outside_rows));
	accounts();
	for (i = 0; i < LEN(t); i++) {
		got = leads(t[i].mailbox);
		/* two ways to alice, who has a row of her own: order does not matter */
		if (i != 2)
			CHECK_MSG(!strcmp(got, t[i].want), "%s: got %s, want %s", t[i].mailbox, got,
			    t[i].want);
	}
	got = leads("both@example.org");
	CHECK(strstr(got, "alice ") == got && strstr(got, " c@far.example ") &&
	    strstr(got, " Bob@Far.example ") && strstr(got, " copy@far.example "));
	CHECK_INT(strlen(got), strlen("alice c@far.example Bob@Far.example copy@far.example "));
	got = leads("again@example.org");	/* each once */
	CHECK_INT(strlen(got),
	    strlen("alice c@far.example Bob@Far.example copy@far.example x@[192.0.2.1] "));
	/* who is led elsewhere may send as that address, if it comes back to him as well */
	CHECK_INT(addr_mailbox(&a, BYTES("both@example.org")), 0);
	CHECK_INT(user_may_send(0, &a), 1);
	CHECK_INT(user_may_send(1, &a), 0);
	CHECK_INT(addr_mailbox(&a, BYTES("away@example.org")), 0);
	CHECK_INT(user_may_send(1, &a), 0);
	CHECK(user_relays(BYTES("Behind.Example")) && !user_relays(BYTES("sub.behind.example")));
	CHECK(!user_relays("", 0) && !user_relays(BYTES("example.org")));
}

#define OUT4(x) x "1@o.example " x "2@o.example " x "3@o.example " x "4@o.example "
#define OUT16(x) OUT4(x "a") OUT4(x "b") OUT4(x "c") OUT4(x "d")

/* Run user_check() in a child: its exit code; what it says goes to `said`. */
static int
checked(char *said, size_t size)
{
	size_t at = 0;
	ssize_t n;
	pid_t pid;
	int p[2], status;

	fflush(stdout);
	if (pipe(p) < 0 || (pid = fork()) < 0)
		abort();
	if (!pid) {
		if (dup2(p[1], STDERR_FILENO) < 0)
			_exit(99);
		user_check();
		_exit(0);
	}
	close(p[1]);
	while (at + 1 < size && (n = read(p[0], said + at, size - at - 1)) > 0)
		at += (size_t)n;
	said[at] = '\0';
	close(p[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
checks(void)
{
	static const struct {
		struct alias row[3];
		const char *says;
	} t[] = {
		{ { { "a", "b" }, { "b", "a" } }, "aliases[] row 1" },
		{ { { "x", "a" }, { "a", "b" }, { "b", "alice a" } }, "aliases[] row 2" },
		{ { { "a@example.org", "a@example.net" }, { "a", "a@example.org" } },
		    "leads back" },
		{ { { "", "alice" } }, "row 1" },
		{ { { "a", "" } }, "right side is empty" },
		{ { { "a", "   " } }, "right side is empty" },
		{ { { "a", "alice" }, { "A", "bob" } }, "row 2 { \"A\", \"bob\" }: the same" },
		{ { { "*", "alice" } }, "*@domain" },
		{ { { "*@example.com", "alice" } }, "domains[]" },
		{ { { "a@example.com", "alice" } }, "domains[]" },
		{ { { "a@", "alice" } }, "domains[]" },
		{ { { "a", "bob@exa_mple.com" } }, "no address" },
		{ { { "a", "bob..x@example.com" } }, "no address" },
		{ { { "a", "alice bob@[1.2.3]" } }, "no address" },
		{ { { "a", "bob@\xff.example" } }, "no address" },
		{ { { "a", "x@far.example b" }, { "b", "y@far.example a" } }, "leads back" },
		{ { { "a", OUT16("a") " b" }, { "b", OUT16("b") } }, "row 1" },
		{ { { "a", "b!b" } }, "cannot be an account" },
		{ { { "a", "alice/bob" } }, "cannot be an account" },
	};
	char said[2048];
	size_t i;

	accounts();
	for (i = 0; i < LEN(t); i++) {
		set_aliases(t[i].row, t[i].row[2].from ? 3 : t[i].row[1].from ? 2 : 1);
		CHECK_MSG(checked(said, sizeof(said)) == EX_CONFIG,
		    "case %d is not refused", (int)i);
		CHECK_MSG(strstr(said, t[i].says) != NULL, "case %d: %s", (int)i, said);
	}
	set_aliases(outside_rows, LEN(outside_rows));
	CHECK_INT(checked(said, sizeof(said)), 0);
	CHECK_MSG(!strstr(said, "row="), "%s", said);
	set_aliases(good, 10);
	CHECK_INT(checked(said, sizeof(said)), 0);
	CHECK_MSG(strstr(said, "row=10") && strstr(said, "nobody"), "%s", said);
	domains[0] = "exa mple";
	CHECK_INT(checked(said, sizeof(said)), EX_CONFIG);
	CHECK_MSG(strstr(said, "domains[] row 1") != NULL, "%s", said);
	domains[0] = "example.org";
	set_aliases(good, 1);
	domains[2] = "b\xc3\xbc" "cher.example";
	CHECK_INT(checked(said, sizeof(said)), 0);
	CHECK(user_owns("xn--bcher-kva.Example", 21) && user_owns(domains[2], 15));
	domains[2] = "xn--bcher-kva.example";
	CHECK(user_owns(domains[2], 21) && user_owns("b\xc3\xbc" "cher.example", 15));
	CHECK(!user_owns("bucher.example", 14));
	domains[2] = "example.net";
	relays[1] = "Example.ORG";
	CHECK_INT(checked(said, sizeof(said)), EX_CONFIG);
	CHECK_MSG(strstr(said, "relay_domains[] row 2") != NULL, "%s", said);
	relays[1] = "[192.0.2.1]";
	CHECK_INT(checked(said, sizeof(said)), EX_CONFIG);
	relays[1] = "behind.example";
	CHECK_INT(checked(said, sizeof(said)), 0);
}

/* Every row leads to all the others, or to the next one: it ends, and in time. */
static void
bounds(void)
{
	static char text[NALIASES][16], all[NALIASES * 16];
	struct alias row[NALIASES];
	size_t i, n = 0;

	for (i = 0; i < NALIASES; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "row%d", (int)i);
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s ", text[i]);
		row[i].from = text[i];
		row[i].to = all;
	}
	row[NALIASES - 1].to = "bob";
	set_aliases(row, NALIASES);
	accounts();
	CHECK_STR(resolved("row0@example.org"), "local bob");
	for (i = 0; i + 1 < NALIASES; i++)
		row[i].to = text[i + 1];
	set_aliases(row, NALIASES);
	CHECK_STR(resolved("row0@example.org"), "local bob");
}

int
main(void)
{
	names();
	loading();
	writing();
	resolving();
	logins();
	senders();
	forwarding();
	checks();
	bounds();
	return test_end();
}
