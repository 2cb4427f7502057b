/* See LICENSE file for copyright and licence details. */
/*
 * The sandbox. A seccomp filter, made of this architecture's numbers, lets through the system calls
 * that the server and its libc make while they serve, some with a look at their arguments, and any
 * other kills the process. Landlock closes the file system but for one directory, and TCP but for
 * some ports. The kernel's structures and numbers stand here, since musl brings no headers for them
 * and the program must run on kernels that know less than those it was built on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- seccomp ---- */

/* AUDIT_ARCH_: ELF's number of the machine, 64 bits, little-endian */
#define M(n, wide, little) ((uint32_t)(n) | (wide) << 31 | (little) << 30)
#define LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH M(62, 1U, 1U)
#elif defined(__i386__)
#define ARCH M(3, 0U, 1U)
#elif defined(__aarch64__)
#define ARCH M(183, 1U, 1U)
#elif defined(__arm__) && defined(__ARMEL__)
#define ARCH M(40, 0U, 1U)
#elif defined(__riscv)
#define ARCH M(243, __riscv_xlen == 64 ? 1U : 0U, 1U)
#elif defined(__loongarch64)
#define ARCH M(258, 1U, 1U)
#elif defined(__mips__) && (!defined(_MIPS_SIM) || _MIPS_SIM == _ABIO32)
#define ARCH M(8, 0U, LITTLE ? 1U : 0U)
#elif defined(__mips__) && _MIPS_SIM == _ABI64
#define ARCH M(8, 1U, LITTLE ? 1U : 0U)
#elif defined(__powerpc64__)
#define ARCH M(21, 1U, LITTLE ? 1U : 0U)
#elif defined(__powerpc__)
#define ARCH M(20, 0U, 0U)
#elif defined(__s390x__)
#define ARCH M(22, 1U, 0U)
#else
#define ARCH 0U
#endif

/* Of several calls for the same, that which libc makes on 32 bits. */
#ifdef SYS_fcntl64
#define CALL_FCNTL SYS_fcntl64
#else
#define CALL_FCNTL SYS_fcntl
#endif
#ifdef SYS_mmap2
#define CALL_MMAP SYS_mmap2
#else
#define CALL_MMAP SYS_mmap
#endif

enum {
	/* instructions */
	LOAD = 0x20, AND = 0x54, JUMP_IF = 0x15, RETURN = 0x06,
	/* where in what the filter sees */
	AT_CALL = 0, AT_ARCH = 4, AT_ARG = 16 + (LITTLE ? 0 : 4),
	FASTOPEN = 0x20000000	/* MSG_FASTOPEN: connect() by another name */
};

#define KILL 0x80000000U
#define ALLOW 0x7fff0000U
#define ALL 0xffffffffU

/* Arguments (of 32 bits) that these calls must have, under a mask: any value of those that follow
 * each other for the same argument. */
static const struct rule {
	uint16_t call, arg;
	uint32_t mask, value;
} rules[] = {
	{ SYS_socket, 0, ALL, AF_UNIX },	/* the first: not always */
	{ SYS_socket, 0, ALL, AF_INET },
	{ SYS_socket, 0, ALL, AF_INET6 },
	{ SYS_socket, 1, 15, SOCK_STREAM },
	{ SYS_socket, 1, 15, SOCK_DGRAM },
	{ SYS_socket, 2, ALL, 0 },		/* MPTCP would get round Landlock */
	{ SYS_setsockopt, 1, ALL, IPPROTO_TCP },
	{ SYS_setsockopt, 2, ALL, TCP_NODELAY },
	{ SYS_sendto, 3, FASTOPEN, 0 },
	{ CALL_MMAP, 2, PROT_EXEC, 0 },
	{ CALL_FCNTL, 1, ALL, F_GETFD },
	{ CALL_FCNTL, 1, ALL, F_SETFD },
	{ CALL_FCNTL, 1, ALL, F_GETFL },
	{ CALL_FCNTL, 1, ALL, F_SETFL },
	{ CALL_FCNTL, 1, ALL, F_OFD_SETLK },
	{ CALL_FCNTL, 1, ALL, F_DUPFD_CLOEXEC },
};

enum { TO_BIND = 3 };

/* What may be called, with fallbacks that musl has for older kernels and fewer numbers. */
static const uint16_t calls[] = {
	SYS_bind, SYS_listen, SYS_umask,	/* the first TO_BIND: not always */
	SYS_read, SYS_pread64, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev2, SYS_recvfrom,
	SYS_sendto, SYS_close, SYS_openat, CALL_FCNTL, CALL_MMAP, SYS_munmap, SYS_msync, SYS_brk,
	SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_statx, SYS_getdents64, SYS_renameat2, SYS_linkat,
	SYS_unlinkat, SYS_fchmod, SYS_socket, SYS_connect, SYS_accept4, SYS_getsockopt,
	SYS_setsockopt, SYS_getpeername, SYS_shutdown, SYS_getrandom, SYS_rt_sigreturn,
	SYS_restart_syscall, SYS_exit_group, SYS_exit,
#ifdef SYS_open
	SYS_open, SYS_stat, SYS_lstat, SYS_rename, SYS_link, SYS_unlink,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_lseek
	SYS_lseek, SYS_ftruncate, SYS_statfs,
#endif
#ifdef SYS_fstat
	SYS_fstat,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_sync_file_range
	SYS_sync_file_range,
#endif
#ifdef SYS_sync_file_range2
	SYS_sync_file_range2,
#endif
#ifdef SYS_ppoll
	SYS_ppoll,
#endif
#ifdef SYS_clock_gettime
	SYS_clock_gettime,
#endif
	/* 32 bits */
#ifdef SYS_mmap2
	SYS__llseek, SYS_ftruncate64,
#endif
#ifdef SYS_stat64
	SYS_stat64, SYS_lstat64,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64,
#endif
#ifdef SYS_statfs64
	SYS_statfs64,
#endif
#ifdef SYS_ppoll_time64
	SYS_ppoll_time64, SYS_clock_gettime64,
#endif
#ifdef SYS_clock_gettime32
	SYS_clock_gettime32,
#endif
#ifdef SYS_sigreturn
	SYS_sigreturn,
#endif
	SYS_geteuid,
#ifdef SYS_geteuid32
	SYS_geteuid32,
#endif
};

_Static_assert(6 + 6 * LEN(rules) + LEN(calls) <= SANDBOX_OPS, "the filter has no room");
_Static_assert(LEN(calls) < 255, "a jump is too far");

static int
put(struct sandbox_op *op, int n, int code, int yes, int no, uint32_t k)
{
	op[n].code = (uint16_t)code;
	op[n].yes = (uint8_t)yes;
	op[n].no = (uint8_t)no;
	op[n].k = k;
	return n + 1;
}

/* Rule `first` and those after it for the same argument; *n is the number of instructions. Which
 * rule comes next. */
static size_t
put_rule(struct sandbox_op *op, int *n, size_t first)
{
	const struct rule *r = &rules[first];
	size_t end, i;
	int left;

	for (end = first; end < LEN(rules) && rules[end].call == r->call &&
	    rules[end].arg == r->arg; end++)
		;
	left = (int)(end - first);
	*n = put(op, *n, JUMP_IF, 0, left + 4, r->call);
	*n = put(op, *n, LOAD, 0, 0, (uint32_t)(AT_ARG + 8 * r->arg));
	*n = put(op, *n, AND, 0, 0, r->mask);
	for (i = first; i < end; i++)
		*n = put(op, *n, JUMP_IF, left--, 0, rules[i].value);
	*n = put(op, *n, RETURN, 0, 0, KILL);
	*n = put(op, *n, LOAD, 0, 0, AT_CALL);
	return end;
}

/* The kernel may run other architectures as well; the numbers of x32 are never those of ours. */
int
sandbox_filter(struct sandbox_op op[SANDBOX_OPS], const struct sandbox *s)
{
	size_t i;
	int n = 0;

	if (!ARCH)
		return 0;
	n = put(op, n, LOAD, 0, 0, AT_ARCH);
	n = put(op, n, JUMP_IF, 1, 0, ARCH);
	n = put(op, n, RETURN, 0, 0, KILL);
	n = put(op, n, LOAD, 0, 0, AT_CALL);
	for (i = s->bind || s->local ? 0 : 1; i < LEN(rules); )
		i = put_rule(op, &n, i);
	for (i = s->bind ? 0 : TO_BIND; i < LEN(calls); i++)
		n = put(op, n, JUMP_IF, (int)(LEN(calls) - i), 0, calls[i]);
	n = put(op, n, RETURN, 0, 0, KILL);
	return put(op, n, RETURN, 0, 0, ALLOW);
}

/* A bit, 0: the kernel has none; -1. */
static int
seccomp(const struct sandbox *s)
{
	enum { SET_SECCOMP = 22, BY_FILTER = 2 };
	struct sandbox_op op[SANDBOX_OPS];
	struct {
		unsigned short n;
		const struct sandbox_op *op;
	} program;

	program.n = (unsigned short)sandbox_filter(op, s);
	program.op = op;
	/* who knows filters looks at the pointer; in an emulator there are none */
	if (!program.n || prctl(SET_SECCOMP, BY_FILTER, 0L, 0L, 0L) == 0 || errno != EFAULT)
		return 0;
	return prctl(SET_SECCOMP, BY_FILTER, &program, 0L, 0L) < 0 ? -1 : SANDBOX_SECCOMP;
}

/* ---- Landlock ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
	/* the version of the interface that has .. */
	WITH_REFER = 2, WITH_TRUNCATE = 3, WITH_PORTS = 4, WITH_IOCTL = 5, WITH_SCOPES = 6,
	/* rights of files that we use */
	WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_FILE = 1 << 5,
	MAKE_FILE = 1 << 8, MAKE_SOCKET = 1 << 9, REFER = 1 << 13, TRUNCATE = 1 << 14,
	/* of TCP */
	BIND = 1, CONNECT = 2,
	/* kinds of rules */
	BENEATH = 1, PORT = 2
};

struct ruleset {
	uint64_t files, ports, scopes;
};

static int
allow_dir(int rules_fd, const char *dir, uint64_t rights)
{
	struct {
		uint64_t rights;
		int32_t fd;
	} beneath = { rights, -1 };
	long r;

	beneath.fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (beneath.fd < 0)
		return -1;
	r = syscall(SYS_landlock_add_rule, rules_fd, BENEATH, &beneath, 0);
	(void)close(beneath.fd);	/* nothing was written */
	return r < 0 ? -1 : 0;
}

static int
allow_port(int rules_fd, uint16_t port)
{
	struct {
		uint64_t rights, port;
	} net = { CONNECT, port };

	return syscall(SYS_landlock_add_rule, rules_fd, PORT, &net, 0) < 0 ? -1 : 0;
}

static int
restrict_to(const struct sandbox *s, const struct ruleset *r)
{
	int bad, fd, i;

	fd = (int)syscall(SYS_landlock_create_ruleset, r, sizeof(*r), 0);
	if (fd < 0)
		return -1;
	bad = allow_dir(fd, s->dir, r->files & (WRITE_FILE | READ_FILE | READ_DIR | REMOVE_FILE |
	    MAKE_FILE | (s->bind ? MAKE_SOCKET : 0) | REFER | TRUNCATE)) < 0;
	for (i = 0; r->ports && i < s->nports; i++)
		bad |= allow_port(fd, s->ports[i]) < 0;
	bad |= syscall(SYS_landlock_restrict_self, fd, 0) < 0;
	(void)close(fd);	/* nothing was written */
	return bad ? -1 : 0;
}

/* The bits of what holds, or -1. The first version cannot move files between directories, which the
 * queue needs: it counts as none. */
static int
landlock(const struct sandbox *s)
{
	struct ruleset r = { 0 };
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	if (v < WITH_REFER)
		return 0;
	r.files = (1U << (v >= WITH_IOCTL ? 16 : v >= WITH_TRUNCATE ? 15 : 14)) - 1;
	r.ports = v >= WITH_PORTS ? BIND | CONNECT : 0;
	r.scopes = v >= WITH_SCOPES ? 3 : 0;
	if (restrict_to(s, &r) < 0)
		return -1;
	return SANDBOX_FILES | (r.ports ? SANDBOX_PORTS : 0) | (r.scopes ? SANDBOX_SIGNALS : 0);
}

/* ---- the rest ---- */

static int
limit(void)
{
	static const int none[] = { RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_MEMLOCK };
	static const struct rlimit zero;
	size_t i;
	int bad = 0;

	for (i = 0; i < LEN(none); i++)
		bad |= setrlimit(none[i], &zero) < 0;
	return bad ? -1 : SANDBOX_LIMITS;
}

int
sandbox_enter(const struct sandbox *s)
{
	int files, filter, limits;

	if (prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
		return -1;
	limits = limit();
	files = limits < 0 ? -1 : landlock(s);
	filter = files < 0 ? -1 : seccomp(s);
	return filter < 0 ? -1 : SANDBOX_DUMP | limits | files | filter;
}
