/* with: lib/table.c lib/fs.c lib/ip.c lib/text.c lib/log.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Greylisting: when a letter passes, how long its network is known, restarts, clocks that jump, and
 * what floods of letters do to others.
 */
/* before mail.h, which undefines its R_OK */
#include <fcntl.h>

#undef CONFIG
#define CONFIG "test/unit/t_grey.h"
#include "grey.c"

#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { DAY = 86400 };

static const int64_t START = 1800000000;

int64_t loop_now, loop_wall;

void
random_bytes(void *p, size_t n)
{
	memset(p, 0x5a, n);
}

struct ip
limit_network(const struct ip *peer)
{
	struct ip net = *peer;
	size_t keep = ip_is4(peer) ? 15 : 8;

	memset(net.a + keep, 0, sizeof(net.a) - keep);
	return net;
}

static struct ip
ip(const char *text)
{
	struct ip a;

	if (ip_parse(&a, text) < 0)
		abort();
	return a;
}

static void
boot(int anew)
{
	if (table.fd >= 0)
		(void)close(table.fd);
	memset(rows, 0, sizeof(rows));
	if (anew) {
		(void)unlink("spool/grey");
		loop_wall = START;
	}
	grey_init();
}

/* How long is it to wait? 0: it passes. */
static int64_t
ask(const char *peer, const char *sender, const char *rcpt)
{
	struct ip a = ip(peer);
	int64_t wait = -1;
	enum res r = grey_ask(&a, sender, rcpt, &wait);

	CHECK(r == R_OK ? wait == 0 : r == R_TEMP && wait > 0);
	return wait;
}

static void
good(const char *peer)
{
	struct ip a = ip(peer);

	grey_known_good(&a);
}

static int
rows_used(void)
{
	int i, n = 0;

	for (i = 0; i < GREYS; i++)
		n += rows[i].until != 0;
	return n;
}

/* ---- letters ---- */

static void
letters(void)
{
	boot(1);
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 300);
	loop_wall += 299;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 1);
	CHECK_INT(ask("192.0.2.200", "A@Example.org", "B@example.NET"), 1);	/* the same */
	CHECK_INT(ask("192.0.3.1", "a@example.org", "b@example.net"), 300);	/* others */
	CHECK_INT(ask("192.0.2.1", "a@example.or", "gb@example.net"), 300);
	CHECK_INT(ask("192.0.2.1", "", "b@example.net"), 300);
	CHECK_INT(ask("192.0.2.1", "a@example.org", ""), 300);
	loop_wall++;
	CHECK_INT(ask("192.0.2.7", "a@example.org", "b@example.net"), 0);
	CHECK_INT(rows_used(), 5);	/* the network in place of the letter */
	/* the network is known now, for other letters too, but not its neighbour */
	CHECK_INT(ask("192.0.2.1", "x@example.org", "y@example.net"), 0);
	CHECK_INT(ask("192.0.2.1", "", "b@example.net"), 0);
	CHECK_INT(ask("192.0.3.1", "x@example.org", "y@example.net"), 300);
	/* IPv6 */
	CHECK_INT(ask("2001:db8::1", "a@example.org", "b@example.net"), 300);
	loop_wall += 1000;
	CHECK_INT(ask("2001:db8:0:1::1", "a@example.org", "b@example.net"), 300);
	CHECK_INT(ask("2001:db8::ffff:1:1:1", "a@example.org", "b@example.net"), 0);
	/* too late: it is a new one */
	CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 300);
	loop_wall += DAY;
	CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 300);
	loop_wall += DAY - 1;
	CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 0);
}

static void
known(void)
{
	int i;

	boot(1);
	good("192.0.2.1");
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 0);
	/* as long as letters come, and 35 days after; that is exact to a 64th part */
	for (i = 0; i < 10; i++) {
		loop_wall += 34 * DAY;
		CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 0);
	}
	loop_wall += 35 * DAY;
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 300);
	good("192.0.2.1");
	loop_wall += 34 * DAY;
	good("192.0.2.1");
	loop_wall += 34 * DAY;
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 0);
}

static void
restarts(void)
{
	boot(1);
	good("192.0.2.1");
	CHECK_INT(ask("2001:db8::1", "a@example.org", "b@example.net"), 300);
	loop_wall += 100;
	boot(0);
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 0);
	CHECK_INT(ask("2001:db8::1", "a@example.org", "b@example.net"), 200);
	loop_wall += 200;
	boot(0);
	CHECK_INT(ask("2001:db8::1", "a@example.org", "b@example.net"), 0);
	boot(0);
	CHECK_INT(ask("2001:db8::1", "x@example.org", "b@example.net"), 0);
	/* no file to be had: all the same until the end of the server */
	(void)rename("spool", "away");
	boot(0);
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 300);
	loop_wall += 300;
	CHECK_INT(ask("192.0.2.2", "a@example.org", "b@example.net"), 0);
	(void)rename("away", "spool");
}

/* A clock that jumps: nobody waits for longer than grey_wait from then on, nobody is kept out. */
static void
clocks(void)
{
	static const int64_t jumps[] = {
		-10, -1000, -DAY, -40 * (int64_t)DAY, -START, 10, 1000, DAY, 40 * (int64_t)DAY,
		400 * (int64_t)DAY, INT32_MAX
	};
	int64_t w;
	size_t i;

	for (i = 0; i < LEN(jumps); i++) {
		boot(1);
		good("192.0.2.1");
		CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 300);
		loop_wall += 5;
		loop_wall += jumps[i];
		w = ask("198.51.100.1", "a@example.org", "b@example.net");
		CHECK(w <= 300);
		loop_wall += w;
		CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 0);
		CHECK_INT(ask("198.51.100.1", "x@example.org", "b@example.net"), 0);
		w = ask("192.0.2.1", "a@example.org", "b@example.net");
		loop_wall += w;
		CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 0);
		loop_wall = START + 20;		/* and is put right again */
		w = ask("203.0.113.1", "a@example.org", "b@example.net");
		CHECK_INT(w, 300);
		loop_wall += w;
		CHECK_INT(ask("203.0.113.1", "a@example.org", "b@example.net"), 0);
	}
}

/* ---- floods ---- */

static char *
network(char text[IP_TEXT], int i)
{
	(void)snprintf(text, IP_TEXT, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
	return text;
}

static void
flood(const char *peer, int n)
{
	char sender[64];
	int i;

	for (i = 0; i < n; i++) {
		(void)snprintf(sender, sizeof(sender), "s%d@example.org", i);
		(void)ask(peer, sender, "b@example.net");
	}
}

static void
floods(void)
{
	enum { OTHERS = 100 };
	char text[IP_TEXT];
	int i, n;

	/* one network, any number of letters: SPREAD sets and no more */
	boot(1);
	flood("192.0.2.1", 20000);
	CHECK_INT(rows_used(), SPREAD * TABLE_WAYS);
	/* others hardly notice, and those that are known do not at all */
	boot(1);
	for (i = 0; i < OTHERS; i++) {
		if (i & 1)
			good(network(text, i));
		else
			CHECK_INT(ask(network(text, i), "a@example.org", "b@example.net"), 300);
	}
	flood("192.0.2.1", 20000);
	loop_wall += 300;
	for (i = n = 0; i < OTHERS; i++) {
		int64_t w = ask(network(text, i), "a@example.org", "b@example.net");

		if (i & 1)
			CHECK_INT(w, 0);
		else
			n += w > 0;
	}
	CHECK_MSG(n <= OTHERS / 10, "%d of %d letters are to wait again", n, OTHERS / 2);
	/* many networks flood: letters are lost, but of those that are known hardly any */
	boot(1);
	for (i = 0; i < OTHERS; i++)
		good(network(text, i));
	for (i = 1000; i < 1000 + GREYS; i++)
		flood(network(text, i), 20);
	for (i = n = 0; i < OTHERS; i++)
		n += ask(network(text, i), "a@example.org", "b@example.net") > 0;
	CHECK_INT(n, 0);
	/* rows that are full of letters do not keep new ones from passing */
	CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 300);
	loop_wall += 300;
	CHECK_INT(ask("198.51.100.1", "a@example.org", "b@example.net"), 0);
}

static void
lengths(void)
{
	static char sender[5000], other[5000];

	boot(1);
	memset(sender, 'x', sizeof(sender) - 1);
	memset(other, 'x', sizeof(other) - 1);
	CHECK_INT(ask("192.0.2.1", sender, other), 300);
	loop_wall += 300;
	other[ADDR_TEXT - 1] = 'y';
	CHECK_INT(ask("192.0.2.1", sender, other), 300);
	CHECK_INT(ask("192.0.2.1", other, sender), 300);
	other[ADDR_TEXT - 1] = 'x';
	CHECK_INT(ask("192.0.2.1", sender, other), 0);
}

/* Run grey_init() in a child: its exit code. */
static int
checked(int64_t wait, int64_t retry, int64_t keep)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		grey_wait = wait;
		grey_retry = retry;
		grey_known = keep;
		grey_init();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
settings(void)
{
	CHECK_INT(checked(1000, 2000, 3000), 0);
	CHECK_INT(checked(0, 1, 1000), 0);
	CHECK_INT(checked(-1, 2000, 3000), EX_CONFIG);
	CHECK_INT(checked(2000, 2000, 3000), EX_CONFIG);
	CHECK_INT(checked(1000, 2000, 0), EX_CONFIG);
	CHECK_INT(checked(1000, INT64_MAX, 3000), EX_CONFIG);
	CHECK_INT(checked(1000, 2000, INT64_MAX), EX_CONFIG);
	/* short times */
	grey_wait = 2000;
	grey_retry = 4000;
	grey_known = 3000;
	boot(1);
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 2);
	loop_wall += 2;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 0);
	loop_wall += 2;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 0);
	loop_wall += 2;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 0);
	loop_wall += 3;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 2);
	loop_wall += 4;
	CHECK_INT(ask("192.0.2.1", "a@example.org", "b@example.net"), 2);
}

int
main(void)
{
	if (dup2(open("log", O_RDWR | O_CREAT | O_APPEND, 0600), 2) < 0 || mkdir("spool", 0700) < 0)
		abort();
	letters();
	known();
	restarts();
	clocks();
	floods();
	lengths();
	settings();
	return test_end();
}
