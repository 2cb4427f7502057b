/* Giving up what a running server does not need: seccomp, Landlock, limits. Linux only. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stddef.h>
#include <stdint.h>

enum {
	SANDBOX_SECCOMP = 1,	/* system calls that are not on the list kill the process */
	SANDBOX_FILES = 2,	/* Landlock: nothing outside the directory */
	SANDBOX_PORTS = 4,	/* Landlock: TCP connections only to the ports, no bind */
	SANDBOX_LIMITS = 8,	/* no core, no new process, no locked memory */
	SANDBOX_DUMP = 16,	/* not dumpable, no_new_privs */
	SANDBOX_SIGNALS = 32,	/* Landlock: no signals and no abstract sockets to others */
	SANDBOX_OPS = 224	/* of a filter at most */
};

struct sandbox {
	const char *dir;		/* the store: all that is opened is below it */
	const uint16_t *ports;		/* that TCP connects to */
	int nports;
	int bind;			/* a socket in the store is yet to be made: bind() stays */
	int local;			/* there are sockets in the store that it connects to */
};

/*
 * Enter it, for good, after all listeners are bound and root is gone. What the kernel does not know
 * is left out: SANDBOX_ bits of what holds now. -1 with errno: something that it knows has failed.
 */
int sandbox_enter(const struct sandbox *s);

/* An instruction of the filter, as the kernel's struct sock_filter. */
struct sandbox_op {
	uint16_t code;
	uint8_t yes, no;		/* a jump: instructions that are passed over */
	uint32_t k;
};

/* The filter for this architecture (sandbox_enter() installs it): how many instructions; 0: we do
 * not know the architecture. */
int sandbox_filter(struct sandbox_op op[SANDBOX_OPS], const struct sandbox *s);

#endif
