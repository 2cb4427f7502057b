/* See LICENSE file for copyright and licence details. */
/*
 * without landlock|seccomp|both COMMAND...: run it as if on a kernel that lacks these: landlock_...
 * calls are not implemented (ENOSYS), prctl(PR_SET_SECCOMP) is not known (EINVAL).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sandbox.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

enum {
	LOAD = 0x20, JUMP_IF = 0x15, RETURN = 0x06, ALLOW = 0x7fff0000, ERROR = 0x50000,
	NOTHING = 0xfffff,	/* no number of a call, and not PR_SET_SECCOMP */
	SET_SECCOMP = 22, BY_FILTER = 2,
	ARG = 16 + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)
};

int
main(int argc, char *argv[])
{
	struct sandbox_op op[] = {
		{ LOAD, 0, 0, 0 },
		{ JUMP_IF, 4, 0, SYS_landlock_create_ruleset },
		{ JUMP_IF, 0, 2, SYS_prctl },
		{ LOAD, 0, 0, ARG },
		{ JUMP_IF, 2, 0, SET_SECCOMP },
		{ RETURN, 0, 0, ALLOW },
		{ RETURN, 0, 0, ERROR | ENOSYS },
		{ RETURN, 0, 0, ERROR | EINVAL },
	};
	struct {
		unsigned short n;
		struct sandbox_op *op;
	} program = { sizeof(op) / sizeof(op[0]), op };

	if (argc < 3)
		return 64;
	if (!strcmp(argv[1], "seccomp"))
		op[1].k = NOTHING;
	else if (!strcmp(argv[1], "landlock"))
		op[4].k = NOTHING;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(SET_SECCOMP, BY_FILTER, &program, 0, 0) < 0) {
		perror("without");
		return 71;
	}
	(void)execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 69;
}
