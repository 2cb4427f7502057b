/* with: lib/table.c lib/fs.c lib/ip.c lib/text.c lib/log.c */
/* See LICENSE file for copyright and licence details. */
/*
 * What an address may do in a time: by address and network, windows, bans and what is left of them
 * after a restart, clocks that jump, what gives way in a full table, and recipients in an hour.
 */
#undef CONFIG
#define CONFIG "test/unit/t_limit.h"
#include "limit.c"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/text.h"
#include "test.h"

int64_t loop_now, loop_wall;
static struct user users[2] = { { .name = "alice" }, { .name = "bob" } };

void
random_bytes(void *p, size_t n)
{
	memset(p, 0x5a, n);
}

const struct user *
user_at(int slot)
{
	return &users[slot];
}

int
guard_trusted(const struct ip *peer)
{
	if (ip_is4(peer) && (peer->a[12] == 10 || peer->a[12] == 127))
		return peer->a[12] == 10 ? 0 : 2;
	return peer->a[0] == 0xfd ? 1 : -1;
}

/* ---- tools ---- */

static struct ip
ip(const char *text)
{
	struct ip a;

	if (ip_parse(&a, text) < 0)
		abort();
	return a;
}

/* The server starts; bans: 0: without those of before. */
static void
boot(int with_bans)
{
	if (bans.fd >= 0)
		(void)close(bans.fd);
	memset(entries, 0, sizeof(entries));
	memset(ban_rows, 0, sizeof(ban_rows));
	memset(by_login, 0, sizeof(by_login));
	memset(row_of, 0, sizeof(row_of));
	if (!with_bans)
		(void)unlink("spool/bans");
	limit_init();
	if (!loop_now) {
		loop_now = 1000;
		loop_wall = 1800000000;
	}
}

static void
later(int64_t ms)
{
	static int64_t rest;

	loop_now += ms;
	rest += ms;
	loop_wall += rest / 1000;
	rest %= 1000;
}

static int
come(const char *text)
{
	struct ip a = ip(text);
	const char *why = NULL;
	int r = limit_connect(&a, &why);

	CHECK(r == 0 || (why && *why));
	return r;
}

static void
gone(const char *text)
{
	struct ip a = ip(text);

	limit_gone(&a);
}

static int
more(enum counted what, const char *text)
{
	struct ip a = ip(text);

	return limit_count(what, &a);
}

static int
reached(enum counted what, const char *text)
{
	struct ip a = ip(text);

	return limit_reached(what, &a);
}

/* How many lines of the log have this in them? The log begins anew. */
static int
told(const char *what)
{
	static char log[65536];
	char *p;
	ssize_t n = pread(2, log, sizeof(log) - 1, 0);
	int k = 0;

	if (n < 0 || ftruncate(2, 0) < 0 || lseek(2, 0, SEEK_SET) < 0)
		abort();
	log[n] = '\0';
	for (p = log; (p = strstr(p, what)); p++)
		k++;
	return k;
}

/* ---- connections ---- */

static void
open_at_once(void)
{
	boot(0);
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(come("192.0.2.1"), 0);
	(void)told("\n");
	CHECK_INT(come("192.0.2.1"), -1);
	CHECK_INT(come("192.0.2.1"), -1);
	CHECK_INT(told(" - abuse from=192.0.2.1 what=open count=3 banned=0\n"), 1);
	CHECK_INT(come("192.0.2.2"), 0);
	CHECK_INT(come("192.0.2.3"), -1);	/* the network */
	CHECK_INT(told(" - abuse from=192.0.2.3 network=192.0.2.0/24 what=open count=4 banned=0\n"),
	    1);
	CHECK_INT(come("192.0.3.1"), 0);	/* another one */
	gone("192.0.2.1");
	CHECK_INT(come("192.0.2.3"), 0);
	CHECK_INT(come("192.0.2.1"), -1);
	gone("192.0.2.2");
	CHECK_INT(come("192.0.2.1"), 0);
	/* IPv6: an address, and its /64 */
	CHECK_INT(come("2001:db8::1"), 0);
	CHECK_INT(come("2001:db8::1"), 0);
	CHECK_INT(come("2001:db8::1"), -1);
	CHECK_INT(come("2001:db8::ffff:0:0:2"), 0);
	CHECK_INT(come("2001:db8::3"), -1);
	CHECK_INT(told("from=2001:db8::3 network=2001:db8::/64 what=open"), 1);
	CHECK_INT(come("2001:db8:0:1::3"), 0);
	/* an end too many, or of one that never came, is harmless */
	gone("2001:db8:0:1::3");
	gone("2001:db8:0:1::3");
	gone("198.51.100.1");
	CHECK_INT(come("2001:db8:0:1::3"), 0);
	CHECK_INT(come("2001:db8:0:1::3"), 0);
	CHECK_INT(come("2001:db8:0:1::3"), -1);
	/* who stays too many is in the log once a minute */
	(void)told("\n");
	later(TELL - 1);
	CHECK_INT(come("192.0.2.3"), -1);
	CHECK_INT(told("abuse"), 0);
	later(1);
	CHECK_INT(come("192.0.2.3"), -1);
	CHECK_INT(come("192.0.2.3"), -1);
	CHECK_INT(told("abuse"), 1);
}

static void
connects(void)
{
	int i;

	boot(0);
	for (i = 0; i < 10; i++) {
		CHECK_INT(come("192.0.2.1"), 0);
		gone("192.0.2.1");
	}
	for (i = 0; i < 50; i++)
		CHECK_INT(come("192.0.2.1"), -1);
	CHECK_INT(told("from=192.0.2.1 what=connects count=11 banned=0"), 1);
	/* what an address may not do does not count for its network */
	for (i = 0; i < 10; i++) {
		CHECK_INT(come("192.0.2.2"), 0);
		gone("192.0.2.2");
	}
	CHECK_INT(come("192.0.2.3"), -1);
	later(59999);
	CHECK_INT(come("192.0.2.1"), -1);
	later(1);
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(come("192.0.2.3"), 0);
	/* nobody counts those that are trusted */
	for (i = 0; i < 100; i++) {
		CHECK_INT(come("10.1.2.3"), 0);
		CHECK_INT(come("fd00::1"), 0);
		CHECK_INT(more(C_LOGINS, "127.0.0.1"), 0);
		CHECK_INT(more(C_REFUSED, "10.1.2.3"), 0);
		CHECK_INT(more(C_MESSAGES, "fd00::1"), 0);
		CHECK_INT(reached(C_LOGINS, "127.0.0.1"), 0);
	}
}

/* ---- windows and bans ---- */

static void
messages(void)
{
	int i;

	boot(0);
	for (i = 0; i < 4; i++) {
		CHECK_INT(reached(C_MESSAGES, "192.0.2.1"), 0);
		CHECK_INT(more(C_MESSAGES, "192.0.2.1"), 0);
	}
	CHECK_INT(reached(C_MESSAGES, "192.0.2.1"), 0);
	CHECK_INT(more(C_MESSAGES, "192.0.2.1"), -1);
	CHECK_INT(more(C_MESSAGES, "192.0.2.1"), -1);
	CHECK_INT(reached(C_MESSAGES, "192.0.2.1"), 1);
	CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 0);
	CHECK_INT(more(C_LOGINS, "192.0.2.1"), 0);
	CHECK_INT(reached(C_MESSAGES, "192.0.2.2"), 0);
	CHECK_INT(more(C_MESSAGES, "192.0.2.2"), 0);
	CHECK_INT(more(C_MESSAGES, "192.0.2.2"), 0);
	CHECK_INT(more(C_MESSAGES, "192.0.2.2"), -1);	/* the seventh of the network */
	CHECK_INT(reached(C_MESSAGES, "192.0.2.3"), 1);
	CHECK_INT(reached(C_MESSAGES, "192.0.3.3"), 0);
	later(1999);
	CHECK_INT(reached(C_MESSAGES, "192.0.2.1"), 1);
	CHECK_INT(more(C_MESSAGES, "192.0.2.1"), -1);
	later(1);
	CHECK_INT(reached(C_MESSAGES, "192.0.2.1"), 0);
	CHECK_INT(reached(C_MESSAGES, "192.0.2.3"), 0);
	CHECK_INT(more(C_MESSAGES, "192.0.2.1"), 0);
	CHECK_INT(come("192.0.2.1"), 0);	/* no ban comes from that */
}

static void
bans_begin(void)
{
	int i;

	boot(0);
	CHECK_INT(come("192.0.2.1"), 0);
	for (i = 0; i < 3; i++)
		CHECK_INT(more(C_LOGINS, "192.0.2.1"), 0);
	CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 0);
	(void)told("\n");
	CHECK_INT(more(C_LOGINS, "192.0.2.1"), -1);
	CHECK_INT(more(C_LOGINS, "192.0.2.1"), -1);
	CHECK_INT(told(" - abuse from=192.0.2.1 what=logins count=4 banned=60\n"), 1);
	/* for everything, and for what is going on already */
	CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 1);
	CHECK_INT(reached(C_REFUSED, "192.0.2.1"), 1);
	CHECK_INT(more(C_MESSAGES, "192.0.2.1"), -1);
	CHECK_INT(come("192.0.2.1"), -1);
	CHECK_INT(come("192.0.2.2"), 0);
	gone("192.0.2.1");
	/* two more from anywhere else in the network, and one too many */
	CHECK_INT(more(C_LOGINS, "192.0.2.7"), 0);
	CHECK_INT(more(C_LOGINS, "192.0.2.8"), 0);
	CHECK_INT(more(C_LOGINS, "192.0.2.9"), -1);
	CHECK_INT(told("from=192.0.2.9 network=192.0.2.0/24 what=logins count=6 banned=60"), 1);
	CHECK_INT(come("192.0.2.99"), -1);
	CHECK_INT(come("192.0.3.99"), 0);
	later(59999);
	CHECK_INT(come("192.0.2.99"), -1);
	CHECK_INT(come("192.0.2.1"), -1);
	later(1000);
	CHECK_INT(come("192.0.2.99"), 0);
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 0);
	/* a ban that is shorter than its window begins again at once */
	boot(0);
	for (i = 0; i < 2; i++)
		CHECK_INT(more(C_REFUSED, "192.0.2.1"), 0);
	CHECK_INT(more(C_REFUSED, "192.0.2.1"), -1);
	CHECK_INT(told("what=refused count=3 banned=2"), 1);
	later(2000);
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(reached(C_REFUSED, "192.0.2.1"), 1);
	CHECK_INT(more(C_REFUSED, "192.0.2.1"), -1);
	CHECK_INT(told("what=refused count=4 banned=2"), 1);
	CHECK_INT(come("192.0.2.1"), -1);
	later(5000);
	CHECK_INT(reached(C_REFUSED, "192.0.2.1"), 0);
	/* no number for networks: none of them is refused */
	for (i = 1; i < 250; i++) {
		char text[IP_TEXT];

		(void)snprintf(text, sizeof(text), "198.51.100.%d", i);
		CHECK_INT(more(C_REFUSED, text), 0);
	}
}

static void
ban_it(const char *text)
{
	int i;

	for (i = 0; i < 3; i++)
		CHECK_INT(more(C_LOGINS, text), 0);
	CHECK_INT(more(C_LOGINS, text), -1);
}

static void
restarts(void)
{
	boot(0);
	ban_it("192.0.2.1");
	ban_it("2001:db8::1");
	later(30000);
	boot(1);
	CHECK_INT(come("192.0.2.1"), -1);
	CHECK_INT(come("2001:db8::1"), -1);
	CHECK_INT(come("2001:db8::2"), 0);
	loop_now = 5;			/* the machine has been started anew, a minute later */
	loop_wall += 31;
	boot(1);
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(come("2001:db8::1"), 0);
}

/* A clock that is wrong: bans end early, or last no longer than the longest there is. */
static void
clocks(void)
{
	boot(0);
	ban_it("192.0.2.1");
	loop_wall -= 100000000;
	CHECK_INT(come("192.0.2.1"), 0);
	CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 1);	/* the window knows better */
	loop_wall += 100000000;
	CHECK_INT(come("192.0.2.1"), -1);
	loop_wall += 100000000;
	CHECK_INT(come("192.0.2.1"), 0);
	ban_it("192.0.4.1");
	loop_wall -= 100000000;
	CHECK_INT(come("192.0.4.1"), 0);
	loop_wall = 0;			/* a board without a battery */
	ban_it("192.0.3.1");
	CHECK_INT(come("192.0.3.1"), -1);
	loop_wall = 59;
	CHECK_INT(come("192.0.3.1"), -1);
	loop_wall = 1800000000;
	CHECK_INT(come("192.0.3.1"), 0);
}

/* ---- full tables ---- */

static char *
nth(char text[IP_TEXT], int i)
{
	(void)snprintf(text, IP_TEXT, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
	return text;
}

/* Many come once: those with open connections stay, and what they have is counted right. */
static void
crowds(void)
{
	char text[IP_TEXT];
	int i, n, open;

	boot(0);
	open = COUNTED / 8;		/* two entries each: a quarter of the table */
	for (i = 0; i < open; i++) {
		CHECK_INT(come(nth(text, i)), 0);
		CHECK_INT(come(text), 0);
	}
	for (i = open; i < 20 * COUNTED; i++) {
		later(1);
		CHECK_INT(come(nth(text, i)), 0);
		gone(text);
	}
	for (i = n = 0; i < open; i++)
		n += come(nth(text, i)) < 0;
	CHECK_INT(n, open);
	for (i = 0; i < open; i++) {
		gone(nth(text, i));
		CHECK_INT(come(text), 0);
		CHECK_INT(come(text), -1);
	}
	/* more at once than there are entries: nobody is refused, and no number is below 0 */
	boot(0);
	for (i = 0; i < 2 * COUNTED; i++)
		CHECK_INT(come(nth(text, i)), 0);
	for (i = 0; i < 2 * COUNTED; i++)
		gone(nth(text, i));
	for (i = 0; i < COUNTED; i++)
		CHECK_INT(entries[i].c[C_OPEN].n, 0);
}

/* An address and its network in the same set, where all others have open connections. */
static void
same_set(void)
{
	unsigned char key[TABLE_KEY] = { 0 };
	struct entry *a, *b;
	int i;

	boot(0);
	for (i = 0; i < TABLE_WAYS; i++) {
		key[TABLE_KEY - 1] = (unsigned char)i;
		entry_of(key, 1, NULL)->c[C_OPEN].n = i > 0;
	}
	for (; i < 20; i++) {
		key[TABLE_KEY - 1] = (unsigned char)i;
		a = entry_of(key, 1, NULL);
		key[TABLE_KEY - 1] = (unsigned char)(i + 100);
		b = entry_of(key, 1, a);
		CHECK(a != b && a->key[TABLE_KEY - 1] == i);
	}
	CHECK(!entry_of((const unsigned char[TABLE_KEY]){ 0, 1 }, 0, NULL));
}

/* So many are banned after one: how often is it pushed out of its set? */
static void
pushed_out(void)
{
	static const struct {
		int others, least, most;	/* of 200 */
	} t[] = {
		{ COUNTED / 4, 0, 5 }, { COUNTED / 2, 0, 30 }, { COUNTED, 70, 150 },
	};
	char text[IP_TEXT];
	int round, i, n;
	size_t k;

	for (k = 0; k < LEN(t); k++) {
		for (round = n = 0; round < 200; round++) {
			boot(0);
			memset(bans.secret, round, sizeof(bans.secret));
			ban_it("192.0.2.1");
			later(1000);
			for (i = 0; i < t[k].others; i++)
				ban_it(nth(text, i));
			n += come("192.0.2.1") == 0;
		}
		printf("a ban is gone after %d others: %d of 200 times\n", t[k].others, n);
		CHECK(n >= t[k].least && n <= t[k].most);
	}
	/* no ban that ends sooner takes the place of one that ends later while there is another */
	boot(0);
	for (i = 0; i < 20; i++)
		ban_it(nth(text, i));
	for (i = 1000; i < 1000 + 4 * COUNTED; i++) {
		(void)more(C_REFUSED, nth(text, i));
		(void)more(C_REFUSED, text);
		CHECK_INT(more(C_REFUSED, text), -1);
		CHECK_INT(come(text), -1);
	}
	for (i = 0; i < 20; i++)
		CHECK_INT(come(nth(text, i)), -1);
}

/* ---- the rest ---- */

static void
tarpits(void)
{
	static const struct {
		int n, ms;
	} t[] = {
		{ 0, 0 }, { -1, 0 }, { 1, 500 }, { 2, 1000 }, { 3, 2000 }, { 5, 8000 }, { 6, 10000 },
		{ 7, 10000 }, { 1000000, 10000 }
	};
	size_t i;

	for (i = 0; i < LEN(t); i++)
		CHECK_INT(limit_tarpit(t[i].n), t[i].ms);
	tarpit = 20000;
	CHECK_INT(limit_tarpit(1), 10000);
	tarpit = 0;
	CHECK_INT(limit_tarpit(1), 0);
	CHECK_INT(limit_tarpit(INT_MAX), 0);
	tarpit = 500;
}

/* Run limit_init() in a child: its exit code. */
static int
checked(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		memset(row_of, 0, sizeof(row_of));
		limit_init();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
rows(void)
{
	static const struct limit cases[] = {
		{ C_OPEN, 1, 1, 0, 0 },				/* twice */
		{ NCOUNTED, 1, 1, 1, 0 }, { C_REFUSED, -1, 1, 1, 0 }, { C_REFUSED, 1, -1, 1, 0 },
		{ C_REFUSED, 1, 1, 0, 0 }, { C_REFUSED, 1, 1, -1, 0 }, { C_REFUSED, 1, 1, 1, -1 },
		{ C_REFUSED, 1, 1, 1, INT64_MAX },
	};
	const struct limit good = limits[4];
	size_t i;
	int k;

	CHECK_INT(checked(), 0);
	for (i = 0; i < LEN(cases); i++) {
		limits[4] = cases[i];
		CHECK_MSG(checked() == EX_CONFIG, "row %d is taken", (int)i);
	}
	limits[4] = good;
	tarpit = -1;
	CHECK_INT(checked(), EX_CONFIG);
	tarpit = 500;
	/* no row, and no numbers: no limit */
	boot(0);
	row_of[C_CONNECTS] = row_of[C_OPEN] = row_of[C_LOGINS] = NULL;
	limits[2].address = limits[2].network = 0;
	for (k = 0; k < 1000; k++) {
		CHECK_INT(come("192.0.2.1"), 0);
		CHECK_INT(more(C_LOGINS, "192.0.2.1"), 0);
		CHECK_INT(more(C_MESSAGES, "192.0.2.1"), 0);
		CHECK_INT(reached(C_LOGINS, "192.0.2.1"), 0);
	}
	limits[2].address = 4;
	limits[2].network = 6;
	/* bans cannot be kept: they hold until the end of the server */
	(void)rename("spool", "away");
	(void)told("\n");
	boot(1);
	CHECK_INT(told("disk-trouble at=\"spool/bans\""), 1);
	ban_it("192.0.2.1");
	CHECK_INT(come("192.0.2.1"), -1);
	(void)rename("away", "spool");
}

/* How many of `tries` are granted. */
static int
spent(int user, const char *address, int tries)
{
	struct ip a = ip(address);
	int n = 0;

	while (tries--)
		n += guard_spend(user, &a) == 0;
	return n;
}

static void
hours(void)
{
	char text[IP_TEXT];
	int i, n;

	boot(0);
	(void)told("\n");
	CHECK_INT(spent(0, "203.0.113.1", 4), 4);
	CHECK_INT(spent(0, "203.0.113.2", 10), 3);	/* the login counts, not the address */
	CHECK_INT(spent(1, "203.0.113.2", 10), 7);
	CHECK_INT(told("limit from=203.0.113.2 user="), 2);
	later(3600000 - 1);
	CHECK_INT(spent(0, "203.0.113.2", 1), 0);
	CHECK_INT(told("limit"), 0);
	later(1);
	CHECK_INT(spent(0, "203.0.113.2", 10), 7);
	CHECK_INT(told("user=alice recipients=7"), 1);
	/* hosts, each for itself; those without a limit or a row are not counted */
	CHECK_INT(spent(-1, "10.0.0.1", 10), 3);
	CHECK_INT(spent(-1, "10.0.0.2", 10), 3);
	CHECK_INT(told("limit from=10.0.0.2 user=- recipients=3"), 1);
	CHECK_INT(spent(-1, "127.0.0.1", 1000), 1000);
	CHECK_INT(spent(-1, "192.0.2.7", 1000), 1000);
	CHECK_INT(spent(-1, "fd00::1", 10), 2);
	CHECK_INT(spent(-1, "fd00::2", 10), 0);		/* the same /64 */
	CHECK_INT(spent(-1, "fd00:0:0:1::2", 10), 2);
	CHECK_INT(spent(-1, "10.0.0.1", 10), 0);
	later(3600000);
	CHECK_INT(spent(-1, "10.0.0.1", 2), 2);
	/* many hosts: nobody is refused, and few are forgotten */
	for (i = n = 0; i < COUNTED / 2; i++) {
		(void)snprintf(text, sizeof(text), "10.1.%d.%d", i / 256, i % 256);
		CHECK_INT(spent(-1, text, 3), 3);
	}
	for (i = 0; i < COUNTED / 2; i++) {
		(void)snprintf(text, sizeof(text), "10.1.%d.%d", i / 256, i % 256);
		n += spent(-1, text, 1);
	}
	CHECK_MSG(n < COUNTED / 2 / 10, "%d", n);
}

static void
speed(void)
{
	struct timespec a, b;
	char text[IP_TEXT];
	struct ip peer;
	double us;
	int i;

	boot(0);
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < 100000; i++) {
		peer = ip(nth(text, i));
		(void)limit_count(C_MESSAGES, &peer);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	us = (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
	printf("limit_count of a new address takes %.2f us\n", us / 100000);
	CHECK(us / 100000 < 1000);
}

int
main(void)
{
	if (dup2(open("log", O_RDWR | O_CREAT | O_APPEND, 0600), 2) < 0 || mkdir("spool", 0700) < 0)
		abort();
	open_at_once();
	connects();
	messages();
	bans_begin();
	restarts();
	clocks();
	crowds();
	same_set();
	pushed_out();
	tarpits();
	rows();
	hours();
	speed();
	return test_end();
}
