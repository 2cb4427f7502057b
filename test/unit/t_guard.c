/* with: lib/addr.c lib/log.c lib/sasl.c lib/scram.c lib/text.c lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/* Failed logins and their delays; passwords checked in slices, remembered only while they hold. */
#undef CONFIG
#define CONFIG "test/unit/t_guard.h"
#include "guard.c"
#include "login.c"

#include <sys/wait.h>

#include "lib/text.h"
#include "test.h"

int64_t loop_now;
static int64_t clock_ms;
static int ticks;		/* every so many looks at the clock a millisecond has gone by */
static int unreadable;
static struct user users[3];

int64_t
loop_ms(void)
{
	static int looks;

	if (ticks && ++looks % ticks == 0)
		clock_ms++;
	return clock_ms;
}

void
random_bytes(void *p, size_t n)
{
	memset(p, 0x5a, n);
}

int
user_load(void)
{
	return unreadable ? -1 : 0;
}

const struct user *
user_at(int slot)
{
	return slot >= 0 && slot < 3 && users[slot].name[0] ? &users[slot] : NULL;
}

int
user_login(const char *name, size_t n)
{
	int i;

	for (i = 0; i < 3; i++)
		if (!users[i].gone && strlen(users[i].name) == n && !memcmp(users[i].name, name, n))
			return i;
	return -1;
}

static void account(int slot, const char *name, const char *password);

/* ---- failures ---- */

static int64_t
failed(const char *address)
{
	struct ip a;

	if (ip_parse(&a, address) < 0)
		abort();
	return guard_failed(&a);
}

static void
passed(const char *address)
{
	struct ip a;

	if (ip_parse(&a, address) < 0)
		abort();
	guard_passed(&a);
}

static void
delays(void)
{
	loop_now = 1000;
	CHECK_INT(failed("192.0.2.1"), 20);
	CHECK_INT(failed("192.0.2.1"), 40);
	CHECK_INT(failed("192.0.2.1"), 80);
	CHECK_INT(failed("192.0.2.1"), 100);
	CHECK_INT(failed("192.0.2.1"), 100);
	CHECK_INT(failed("192.0.2.2"), 20);
	passed("192.0.2.1");
	CHECK_INT(failed("192.0.2.1"), 20);
	CHECK_INT(failed("192.0.2.2"), 40);
	loop_now += login_forget + 1;
	CHECK_INT(failed("192.0.2.1"), 20);
	CHECK_INT(failed("192.0.2.1"), 40);
	loop_now += login_forget;
	CHECK_INT(failed("192.0.2.1"), 80);
	/* IPv6 counts by /64, and passing one that never failed does nothing */
	passed("2001:db8::9");
	CHECK_INT(failed("2001:db8:0:1::1"), 20);
	CHECK_INT(failed("2001:db8:0:1:ffff::2"), 40);
	CHECK_INT(failed("2001:db8:0:2::1"), 20);
}

/* The table is full: who has been quiet for longest is forgotten. */
static void
replacing(void)
{
	loop_now += 1000000;
	CHECK_INT(failed("192.0.2.1"), 20);
	loop_now++;
	CHECK_INT(failed("192.0.2.2"), 20);
	loop_now++;
	CHECK_INT(failed("192.0.2.3"), 20);
	loop_now++;
	CHECK_INT(failed("192.0.2.4"), 20);
	loop_now++;
	CHECK_INT(failed("192.0.2.1"), 40);
	loop_now++;
	CHECK_INT(failed("192.0.2.5"), 20);	/* takes the place of .2 */
	CHECK_INT(failed("192.0.2.3"), 40);
	CHECK_INT(failed("192.0.2.4"), 40);
	CHECK_INT(failed("192.0.2.1"), 80);
	loop_now++;
	CHECK_INT(failed("192.0.2.2"), 20);
}

/* ---- who needs no login; how many recipients ---- */

static void
networks(void)
{
	static const struct {
		const char *address;
		int row;
	} t[] = {
		{ "192.0.2.0", 0 }, { "192.0.2.255", 0 },
		{ "192.0.3.0", -1 }, { "192.0.1.255", -1 },
		{ "198.51.100.7", 1 }, { "198.51.100.6", -1 }, { "198.51.100.8", -1 },
		{ "2001:db8::1", 2 }, { "2001:db8:0:ffff::1", 2 }, { "2001:db9::", -1 },
		{ "::1", 3 }, { "::2", -1 }, { "127.0.0.1", -1 }, { "10.0.0.1", -1 },
		{ "fe80::1", 4 }, { "febf::1", 4 }, { "fec0::1", -1 },
	};
	struct ip a;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(ip_parse(&a, t[i].address), 0);
		CHECK_MSG(guard_trusted(&a) == t[i].row, "%s: %d", t[i].address, guard_trusted(&a));
	}
	/* a network of IPv6 never means one of IPv4, though these are kept as such */
	trusted[4].network = "::/0";
	CHECK_INT(ip_parse(&a, "10.0.0.1"), 0);
	CHECK_INT(guard_trusted(&a), -1);
	CHECK_INT(ip_parse(&a, "fec0::1"), 0);
	CHECK_INT(guard_trusted(&a), 4);
	trusted[4].network = "0.0.0.0/0";
	CHECK_INT(guard_trusted(&a), -1);
	CHECK_INT(ip_parse(&a, "10.0.0.1"), 0);
	CHECK_INT(guard_trusted(&a), 4);
	trusted[4].network = "fe80::/10";
}

/* Run guard_check() in a child: its exit code. */
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
		(void)close(STDERR_FILENO);
		guard_check();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
checks(void)
{
	static const char *const bad[] = {
		"", "192.0.2", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "192.0.2.0/8/8",
		"::/129", "::g", "/8", "example.org", " 192.0.2.1", "192.0.2.1 ", "[::1]",
		"0000000000000000000000000000000000000000000000000000000000000000000000000000"
	};
	struct ip a;
	size_t i;

	CHECK_INT(checked(), 0);
	CHECK_INT(ip_parse(&a, "fe80::1"), 0);
	for (i = 0; i < LEN(bad); i++) {
		trusted[4].network = bad[i];
		CHECK_MSG(checked() == EX_CONFIG, "\"%s\" is taken", bad[i]);
		CHECK_INT(guard_trusted(&a), -1);
	}
	trusted[4].network = "fe80::/10";
	trusted[4].sender = "no address";
	CHECK_INT(checked(), EX_CONFIG);
	trusted[4].sender = "";
	trusted[4].hourly = -1;
	CHECK_INT(checked(), EX_CONFIG);
	trusted[4].hourly = 0;
	CHECK_INT(checked(), 0);
}

/* How many of `tries` are granted. */
static int
spent(int user, const char *address, int tries)
{
	struct ip a;
	int n = 0;

	if (ip_parse(&a, address) < 0)
		abort();
	while (tries--)
		n += guard_spend(user, &a) == 0;
	return n;
}

static void
hours(void)
{
	int i;

	account(0, "alice", "x");
	account(1, "bob", "x");
	loop_now = 5000;
	CHECK_INT(spent(0, "203.0.113.1", 4), 4);
	CHECK_INT(spent(0, "203.0.113.2", 10), 3);	/* the login counts, not the address */
	CHECK_INT(spent(1, "203.0.113.2", 10), 7);
	loop_now += 3600000 - 1;
	CHECK_INT(spent(0, "203.0.113.2", 1), 0);
	loop_now++;
	CHECK_INT(spent(0, "203.0.113.2", 10), 7);
	/* hosts, each for itself; those without a limit or a row are not counted */
	CHECK_INT(spent(-1, "192.0.2.1", 10), 3);
	CHECK_INT(spent(-1, "192.0.2.2", 10), 3);
	CHECK_INT(spent(-1, "198.51.100.7", 1000), 1000);
	CHECK_INT(spent(-1, "10.0.0.1", 1000), 1000);
	CHECK_INT(spent(-1, "2001:db8::1", 10), 2);
	CHECK_INT(spent(-1, "2001:db8::2", 10), 0);	/* the same /64 */
	CHECK_INT(spent(-1, "192.0.2.1", 10), 0);
	loop_now += 3600000;
	CHECK_INT(spent(-1, "192.0.2.1", 2), 2);
	/* more hosts than the table has room for: the oldest hour gives way, nobody is refused */
	for (i = 10; i < 10 + GUARDED; i++) {
		char text[IP_TEXT];

		loop_now++;
		(void)snprintf(text, sizeof(text), "192.0.2.%d", i);
		CHECK_INT(spent(-1, text, 3), 3);
	}
	CHECK_INT(spent(-1, "192.0.2.13", 1), 0);
	CHECK_INT(spent(-1, "192.0.2.1", 4), 3);
}

/* ---- logins ---- */

static void
account(int slot, const char *name, const char *password)
{
	struct scram_verifier v;
	struct scram_work w;

	memset(&v, 0, sizeof(v));
	v.iterations = 5000;
	v.nsalt = SCRAM_SALT;
	memset(v.salt, 's' + slot + password[0], sizeof(v.salt));
	scram_start(&w, &v, password, strlen(password));
	while (!scram_step(&w, 1000))
		;
	scram_finish(&w, &v);
	(void)text_copy(users[slot].name, sizeof(users[slot].name), name, strlen(name));
	scram_format(users[slot].verifier, &v);
	users[slot].gone = 0;
}

static int
empty(const void *p, size_t n)
{
	const unsigned char *s = p;

	while (n && !*s)
		s++, n--;
	return !n;
}

/* Log in: the result, and how many slices it took (0: known at once). */
static enum res
login(const char *name, const char *password, int *slot, int *slices)
{
	static struct login l;
	enum res r;

	memset(&l, 0xa5, sizeof(l));
	(void)text_copy(l.sasl.name, sizeof(l.sasl.name), name, strlen(name));
	(void)text_copy(l.sasl.password, sizeof(l.sasl.password), password, strlen(password));
	*slices = 0;
	*slot = -2;
	r = login_start(&l);
	if (r == R_OK) {
		*slot = l.slot;
	} else if (r == R_AGAIN) {
		do {
			r = login_work(&l, slot);
			(*slices)++;
		} while (r == R_AGAIN);
		if (r == R_OK)
			CHECK_INT(*slot, l.slot);
	}
	CHECK(empty(l.sasl.password, sizeof(l.sasl.password)));
	CHECK(empty(&l.work, sizeof(l.work)));
	CHECK(empty(&l.verifier, sizeof(l.verifier)));
	return r;
}

static void
logins(void)
{
	int slot, slices, first, i;

	ticks = 5;		/* 1 ms every 5 steps */
	account(0, "alice", "opensesame");
	account(1, "bob", "hunter22");
	CHECK_INT(login("alice", "opensesame", &slot, &first), R_OK);
	CHECK_INT(slot, 0);
	CHECK(first > 2);
	/* now it is known */
	CHECK_INT(login("alice", "opensesame", &slot, &slices), R_OK);
	CHECK_INT(slot, 0);
	CHECK_INT(slices, 0);
	/* a wrong one is derived each time, before and after, and an unknown name just so */
	for (i = 0; i < 3; i++) {
		CHECK_INT(login("alice", "opensesamE", &slot, &slices), R_PERM);
		CHECK(slices >= first - 1 && slices <= first + 1);
		CHECK_INT(slot, -1);
		CHECK_INT(login("mallory", "opensesame", &slot, &slices), R_PERM);
		CHECK(slices >= first - 1 && slices <= first + 1);
		CHECK_INT(slot, -1);
	}
	CHECK_INT(login("alice", "opensesame", &slot, &slices), R_OK);
	CHECK_INT(slices, 0);
	CHECK_INT(login("bob", "opensesame", &slot, &slices), R_PERM);
	CHECK_INT(login("bob", "hunter22", &slot, &slices), R_OK);
	CHECK_INT(slot, 1);
	CHECK_INT(login("alice", "", &slot, &slices), R_PERM);
}

/* Passwords that change: what was remembered holds no longer. */
static void
changes(void)
{
	int slot, slices;

	account(0, "alice", "newsecret");
	CHECK_INT(login("alice", "opensesame", &slot, &slices), R_PERM);
	CHECK_INT(login("alice", "newsecret", &slot, &slices), R_OK);
	CHECK(slices > 0);
	CHECK_INT(login("alice", "newsecret", &slot, &slices), R_OK);
	CHECK_INT(slices, 0);
	users[0].gone = 1;
	CHECK_INT(login("alice", "newsecret", &slot, &slices), R_PERM);
	users[0].gone = 0;
	(void)text_copy(users[0].verifier, sizeof(users[0].verifier), "nonsense", 8);
	CHECK_INT(login("alice", "newsecret", &slot, &slices), R_PERM);
	CHECK(slices > 0);
	unreadable = 1;
	CHECK_INT(login("alice", "newsecret", &slot, &slices), R_TEMP);
	unreadable = 0;
}

/* The account changes, or ends, while its password is being derived. */
static void
races(void)
{
	static struct login l;
	int slot = -2, slices;
	enum res r;

	account(0, "alice", "first-one");
	(void)text_copy(l.sasl.name, sizeof(l.sasl.name), "alice", 5);
	(void)text_copy(l.sasl.password, sizeof(l.sasl.password), "first-one", 9);
	CHECK_INT(login_start(&l), R_AGAIN);
	CHECK_INT(login_work(&l, &slot), R_AGAIN);
	account(0, "alice", "second-one");
	while ((r = login_work(&l, &slot)) == R_AGAIN)
		;
	CHECK_INT(r, R_OK);		/* it began in time */
	CHECK_INT(login("alice", "first-one", &slot, &slices), R_PERM);
	CHECK_INT(login("alice", "second-one", &slot, &slices), R_OK);

	account(0, "alice", "third-one");
	(void)text_copy(l.sasl.name, sizeof(l.sasl.name), "alice", 5);
	(void)text_copy(l.sasl.password, sizeof(l.sasl.password), "third-one", 9);
	CHECK_INT(login_start(&l), R_AGAIN);
	CHECK_INT(login_work(&l, &slot), R_AGAIN);
	users[0].gone = 1;
	while ((r = login_work(&l, &slot)) == R_AGAIN)
		;
	CHECK_INT(r, R_PERM);
	CHECK_INT(slot, -1);
}

int
main(void)
{
	delays();
	replacing();
	networks();
	checks();
	hours();
	logins();
	changes();
	races();
	return test_end();
}
