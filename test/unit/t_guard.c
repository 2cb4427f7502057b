/* with: lib/addr.c lib/log.c lib/text.c lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/* Networks that need no login. */
#undef CONFIG
#define CONFIG "test/unit/t_guard.h"
#include "guard.c"

#include <sys/wait.h>

#include "test.h"

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

int
main(void)
{
	networks();
	checks();
	return test_end();
}
