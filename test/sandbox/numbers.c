/* See LICENSE file for copyright and licence details. */
/*
 * Is the filter of this architecture what it is meant to be? The numbers come from the kernel's own
 * headers (numbers.h is made of them by test/sandbox/numbers), those of the filter from libc's.
 */
#include <asm/unistd.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>

#include "test/sandbox/filter.h"

#define ALLOW 0x7fff0000U
#define KILL 0x80000000U

/* line: of test/sandbox/calls, one of whose names must be allowed; 0: never */
static const struct {
	const char *name;
	int32_t nr;
	int line;
} all[] = {
#include "numbers.h"
};

static struct sandbox_op op[SANDBOX_OPS];
static int n, bad, asked;

/* Arguments that every rule likes, or those that are given. */
static uint32_t
ask(int32_t nr, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
	struct filter_call call = { .nr = nr, .arch = KERNEL_ARCH, .arg = { a, b, c } };

	if (!strcmp(name, "socket") && !a)
		call.arg[0] = 2, call.arg[1] = 1;
	if (!strcmp(name, "setsockopt"))
		call.arg[1] = 6, call.arg[2] = 1;
	if (!strncmp(name, "fcntl", 5) && !b)
		call.arg[1] = 3;
	asked++;
	return filter_run(op, n, &call);
}

static void
wrong(const char *what, const char *name)
{
	printf("%s: %s\n", what, name);
	bad++;
}

/* Is one of the names of a line let through? */
static int
line_allowed(int line)
{
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].line == line && ask(all[i].nr, all[i].name, 0, 0, 0) == ALLOW)
			return 1;
	return 0;
}

static void
arguments(const char *name, int32_t nr)
{
	if (!strcmp(name, "socket") && (ask(nr, "", 2, 1, 0) != ALLOW ||
	    ask(nr, "", 10, 2, 0) != ALLOW || ask(nr, "", 1, 1, 0) != ALLOW ||
	    ask(nr, "", 16, 1, 0) != KILL || ask(nr, "", 2, 3, 0) != KILL ||
	    ask(nr, "", 2, 1, 262) != KILL))
		wrong("arguments", name);
	if (!strncmp(name, "mmap", 4) && ask(nr, "", 0, 0, 3) == ALLOW &&
	    ask(nr, "", 0, 0, 7) != KILL)
		wrong("arguments", name);
	if (!strncmp(name, "fcntl", 5) && ask(nr, name, 0, 3, 0) == ALLOW &&
	    ask(nr, name, 0, 8, 0) != KILL)
		wrong("arguments", name);
}

int
main(void)
{
	static const struct sandbox most = { .bind = 1, .local = 1 };
	size_t i;

	n = sandbox_filter(op, &most);
	if (n <= 0)
		wrong("no filter", "for this architecture");
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].line && !line_allowed(all[i].line))
			wrong("not let through", all[i].name);
		if (!all[i].line && ask(all[i].nr, all[i].name, 0, 0, 0) != KILL)
			wrong("let through", all[i].name);
		arguments(all[i].name, all[i].nr);
	}
	printf("%d instructions, %d calls of the kernel, %d questions, %d wrong\n", n,
	    (int)(sizeof(all) / sizeof(all[0])), asked, bad);
	return bad != 0;
}
