/* with: lib/sasl.c lib/scram.c lib/text.c lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/* Failed logins and their delays; passwords checked in slices, remembered only while they hold. */
#undef CONFIG
#define CONFIG "test/unit/t_login.h"
#include "login.c"

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

/* One wrong login from an address: is it the one of the last time? */
static int
repeats(const char *address, const char *name, const char *password)
{
	static struct login l;
	struct ip a;
	int slot = -1;

	if (ip_parse(&a, address) < 0)
		abort();
	(void)text_copy(l.sasl.name, sizeof(l.sasl.name), name, strlen(name));
	(void)text_copy(l.sasl.password, sizeof(l.sasl.password), password, strlen(password));
	CHECK_INT(login_start(&l), R_AGAIN);
	while (login_work(&l, &slot) == R_AGAIN)
		;
	CHECK_INT(slot, -1);
	(void)guard_failed(&a);
	return guard_repeats(&l, &a);
}

static void
repeated(void)
{
	loop_now += 10000000;
	CHECK_INT(repeats("192.0.2.1", "alice", "wrong"), 0);
	CHECK_INT(repeats("192.0.2.1", "alice", "wrong"), 1);
	CHECK_INT(repeats("192.0.2.1", "alice", "wrong"), 1);
	CHECK_INT(repeats("192.0.2.1", "alice", "wronG"), 0);
	CHECK_INT(repeats("192.0.2.1", "alice", "wrong"), 0);
	CHECK_INT(repeats("192.0.2.1", "alic", "ewrong"), 0);
	CHECK_INT(repeats("192.0.2.1", "mallory", "wrong"), 0);
	CHECK_INT(repeats("192.0.2.1", "mallory", "wrong"), 1);
	CHECK_INT(repeats("192.0.2.2", "mallory", "wrong"), 0);
	CHECK_INT(repeats("192.0.2.1", "mallory", "wrong"), 1);
	passed("192.0.2.1");
	CHECK_INT(repeats("192.0.2.1", "mallory", "wrong"), 0);
	loop_now += login_forget + 1;
	CHECK_INT(repeats("192.0.2.1", "mallory", "wrong"), 1);
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
	logins();
	repeated();
	changes();
	races();
	return test_end();
}
