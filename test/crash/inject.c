/* See LICENSE file for copyright and licence details. */
/*
 * inject: run a program and do something to its n-th file-system call.
 *
 *	inject -r REPORT [-n N] [-c COUNT] [-a ACTION] PROGRAM ARGS...
 *
 * Calls are counted from the start of the program, only those that the action is about:
 *   count   nothing happens; changing calls are counted
 *   kill    SIGKILL instead of the n-th changing call
 *   torn    the n-th write is done half, then SIGKILL
 *   short   the n-th write is done half, as on a disk with little room or after a signal
 *   full    the n-th write is done half, and what the file would get next fails with ENOSPC
 *   ENOSPC  the n-th call that may need room fails (COUNT calls from there on)
 *   EIO     the n-th call of any kind fails, reading ones too (COUNT calls from there on)
 *   EROFS   the n-th changing call fails (COUNT calls from there on)
 *   nosync  every sync call says 0 and does nothing; the n-th changing call is killed
 * Sockets, pipes, devices and the standard streams are no file system. REPORT gets "pid P", for
 * a call that was hit "fired N NAME PATH", and at the end "calls N".
 * Works by ptrace and seccomp, so the program may be static, chroot, drop privileges and have
 * filters of its own. Short writes are real ones: the kernel is given a smaller length.
 * x86-64, one process, no threads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What a call does, and what it names. */
enum {
	CHANGES = 1, ROOM = 2, WRITES = 4, SYNCS = 8, READS = 16,
	BY_FD = 32, BY_PATH = 64, BY_AT = 128, OPENS = 256, MAPS = 512, TO_FD = 1024, VECTOR = 2048
};

enum action { COUNT, KILL, TORN, SHORT, FULL, FAIL, NOSYNC };

struct call {
	int nr;
	const char *name;
	int what;
};

static const struct call calls[] = {
	{ SYS_open, "open", OPENS | BY_PATH | READS },
	{ SYS_creat, "creat", CHANGES | ROOM | BY_PATH },
	{ SYS_openat, "openat", OPENS | BY_AT | READS },
	{ SYS_write, "write", CHANGES | ROOM | WRITES | BY_FD },
	{ SYS_pwrite64, "pwrite64", CHANGES | ROOM | WRITES | BY_FD },
	{ SYS_writev, "writev", CHANGES | ROOM | WRITES | BY_FD | VECTOR },
	{ SYS_pwritev, "pwritev", CHANGES | ROOM | WRITES | BY_FD | VECTOR },
	{ SYS_pwritev2, "pwritev2", CHANGES | ROOM | WRITES | BY_FD | VECTOR },
	{ SYS_ftruncate, "ftruncate", CHANGES | ROOM | BY_FD },
	{ SYS_truncate, "truncate", CHANGES | ROOM | BY_PATH },
	{ SYS_fallocate, "fallocate", CHANGES | ROOM | BY_FD },
	{ SYS_rename, "rename", CHANGES | ROOM | BY_PATH },
	{ SYS_renameat, "renameat", CHANGES | ROOM | BY_AT },
	{ SYS_renameat2, "renameat2", CHANGES | ROOM | BY_AT },
	{ SYS_link, "link", CHANGES | ROOM | BY_PATH },
	{ SYS_linkat, "linkat", CHANGES | ROOM | BY_AT },
	{ SYS_symlink, "symlink", CHANGES | ROOM | BY_PATH },
	{ SYS_unlink, "unlink", CHANGES | BY_PATH },
	{ SYS_unlinkat, "unlinkat", CHANGES | BY_AT },
	{ SYS_rmdir, "rmdir", CHANGES | BY_PATH },
	{ SYS_mkdir, "mkdir", CHANGES | ROOM | BY_PATH },
	{ SYS_mkdirat, "mkdirat", CHANGES | ROOM | BY_AT },
	{ SYS_chmod, "chmod", CHANGES | BY_PATH },
	{ SYS_fchmod, "fchmod", CHANGES | BY_FD },
	{ SYS_fchmodat, "fchmodat", CHANGES | BY_AT },
	{ SYS_chown, "chown", CHANGES | BY_PATH },
	{ SYS_lchown, "lchown", CHANGES | BY_PATH },
	{ SYS_fchown, "fchown", CHANGES | BY_FD },
	{ SYS_fchownat, "fchownat", CHANGES | BY_AT },
	{ SYS_utimensat, "utimensat", CHANGES | BY_AT },
	{ SYS_fsync, "fsync", CHANGES | ROOM | SYNCS | BY_FD },
	{ SYS_fdatasync, "fdatasync", CHANGES | ROOM | SYNCS | BY_FD },
	{ SYS_sync_file_range, "sync_file_range", CHANGES | SYNCS | BY_FD },
	{ SYS_syncfs, "syncfs", CHANGES | SYNCS | BY_FD },
	{ SYS_msync, "msync", CHANGES | SYNCS },
	{ SYS_copy_file_range, "copy_file_range", CHANGES | ROOM | TO_FD },
	{ SYS_sendfile, "sendfile", CHANGES | ROOM | BY_FD },
	{ SYS_read, "read", READS | BY_FD },
	{ SYS_pread64, "pread64", READS | BY_FD },
	{ SYS_readv, "readv", READS | BY_FD },
	{ SYS_preadv, "preadv", READS | BY_FD },
	{ SYS_close, "close", READS | BY_FD },
	{ SYS_stat, "stat", READS | BY_PATH },
	{ SYS_lstat, "lstat", READS | BY_PATH },
	{ SYS_fstat, "fstat", READS | BY_FD },
	{ SYS_newfstatat, "newfstatat", READS | BY_AT },
	{ SYS_statx, "statx", READS | BY_AT },
	{ SYS_getdents64, "getdents64", READS | BY_FD },
	{ SYS_statfs, "statfs", READS | BY_PATH },
	{ SYS_fstatfs, "fstatfs", READS | BY_FD },
	{ SYS_mmap, "mmap", READS | MAPS },
};

static pid_t child;
static FILE *report;
static enum action action = COUNT;
static int error, wanted;		/* for FAIL: errno, and a bit the call must have */
static long n, count = 1, seen;
static int full_fd = -1;

static void
fail(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	if (child > 0)
		kill(child, SIGKILL);
	exit(125);
}

/* A C string of the child's; "?" if there is none. */
static void
peek_path(unsigned long at, char *dst, size_t size)
{
	struct iovec to, from;
	ssize_t got = -1;
	size_t len = size - 1;

	while (len && got < 0) {	/* it may end just before a page that is not there */
		to.iov_base = dst;
		from.iov_base = (void *)at;
		to.iov_len = from.iov_len = len;
		got = process_vm_readv(child, &to, 1, &from, 1, 0);
		len = got < 0 && len > 4096 - (at & 4095) ? 4096 - (at & 4095) : len / 2;
	}
	if (got < 0) {
		got = 1;
		dst[0] = '?';
	}
	dst[got] = '\0';
	dst[strcspn(dst, "\n")] = '\0';
}

/* The file behind a descriptor: 1 if it is one of a file system. */
static int
fd_path(unsigned long fd, char *dst, size_t size)
{
	char link[64];
	ssize_t got;

	snprintf(link, sizeof(link), "/proc/%d/fd/%lu", (int)child, fd);
	got = readlink(link, dst, size - 1);
	if (got <= 0)
		return 0;
	dst[got] = '\0';
	return dst[0] == '/' && strncmp(dst, "/dev/", 5) && strncmp(dst, "/memfd:", 7) &&
	    strncmp(dst, "/proc/", 6);
}

/* Is it about a file system, and what does it do? 0: leave it alone. */
static int
classify(const struct call *c, const struct user_regs_struct *r, char *path, size_t size)
{
	unsigned long flags;
	int what = c->what;

	path[0] = '\0';
	if (what & (BY_FD | TO_FD)) {
		unsigned long fd = what & TO_FD ? r->rdx : r->rdi;

		if (fd <= 2 || !fd_path(fd, path, size))
			return 0;
	} else if (what & MAPS) {
		if ((r->r10 & MAP_ANONYMOUS) || !fd_path(r->r8, path, size))
			return 0;
	} else if (what & (BY_PATH | BY_AT)) {
		peek_path(what & BY_AT ? r->rsi : r->rdi, path, size);
	}
	if (what & OPENS) {
		flags = what & BY_AT ? r->rdx : r->rsi;
		if (!strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6))
			return 0;
		if (flags & O_CREAT)
			what |= CHANGES | ROOM;
		if (flags & O_TRUNC)
			what |= CHANGES;
	}
	return what;
}

static void
set_regs(const struct user_regs_struct *r)
{
	if (ptrace(PTRACE_SETREGS, child, NULL, r) < 0)
		fail("PTRACE_SETREGS");
}

/* The call does not happen and returns so. */
static void
skip(struct user_regs_struct *r, long result)
{
	r->orig_rax = (unsigned long)-1;
	r->rax = (unsigned long)result;
	set_regs(r);
}

static void
fired(const struct call *c, const char *path)
{
	fprintf(report, "fired %ld %s %s\n", seen, c->name, path);
	fflush(report);
}

/* Make the write half as long: 1, or 0 if it cannot be halved. */
static int
halve(const struct call *c, struct user_regs_struct *r)
{
	struct iovec v, to, from;

	if (!(c->what & VECTOR)) {
		if (r->rdx < 2)
			return 0;
		r->rdx /= 2;
		set_regs(r);
		return 1;
	}
	if (r->rdx > 1) {
		r->rdx = 1;
		set_regs(r);
		return 1;
	}
	to.iov_base = &v;
	from.iov_base = (void *)r->rsi;
	to.iov_len = from.iov_len = sizeof(v);
	if (process_vm_readv(child, &to, 1, &from, 1, 0) != sizeof(v) || v.iov_len < 2)
		return 0;
	v.iov_len /= 2;		/* stays so: callers set up the vector anew */
	return process_vm_writev(child, &to, 1, &from, 1, 0) == sizeof(v);
}

/* Let the call happen; returns at its end. */
static void
finish_call(void)
{
	int st;

	if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0 || waitpid(child, &st, 0) < 0)
		fail("PTRACE_SYSCALL");
}

/* A call that may be ours to spoil. Returns 1 when the child has been killed. */
static int
stop(void)
{
	struct user_regs_struct r;
	const struct call *c = NULL;
	char path[4200];
	size_t i;
	int what;

	if (ptrace(PTRACE_GETREGS, child, NULL, &r) < 0)
		fail("PTRACE_GETREGS");
	for (i = 0; i < N(calls); i++) {
		if (calls[i].nr == (int)r.orig_rax)
			c = &calls[i];
	}
	if (!c)
		return 0;
	what = classify(c, &r, path, sizeof(path));
	if (full_fd >= 0 && (what & WRITES) && (int)r.rdi == full_fd) {
		full_fd = -1;
		skip(&r, -ENOSPC);
		return 0;
	}
	if (!(what & wanted))
		return 0;
	seen++;
	if (action == NOSYNC && (what & SYNCS))
		skip(&r, 0);
	if (!n || seen < n || seen >= n + count)
		return 0;
	switch (action) {
	case COUNT:
		break;
	case KILL:
	case NOSYNC:
		fired(c, path);
		kill(child, SIGKILL);
		return 1;
	case TORN:
		if (!halve(c, &r))
			break;
		finish_call();
		fired(c, path);
		kill(child, SIGKILL);
		return 1;
	case SHORT:
	case FULL:
		if (!halve(c, &r))
			break;
		fired(c, path);
		if (action == FULL)
			full_fd = (int)r.rdi;
		break;
	case FAIL:
		fired(c, path);
		if (c->nr == SYS_close) {	/* the descriptor is gone in any case */
			finish_call();
			if (ptrace(PTRACE_GETREGS, child, NULL, &r) < 0)
				fail("PTRACE_GETREGS");
			r.rax = (unsigned long)-error;
			set_regs(&r);
		} else {
			skip(&r, -error);
		}
		break;
	}
	return 0;
}

/* The kernel shall tell us of the calls in the table, and of no others. */
static void
filter(void)
{
	struct sock_filter f[2 * N(calls) + 8];
	struct sock_fprog p;
	size_t i, k = 0;

	f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    offsetof(struct seccomp_data, nr));
	for (i = 0; i < N(calls); i++) {
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		    (unsigned)calls[i].nr, 0, 1);
		f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	p.len = (unsigned short)k;
	p.filter = f;
	if (geteuid() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("no_new_privs");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
		fail("seccomp");
}

static void
start(char **argv)
{
	int st;

	child = fork();
	if (child < 0)
		fail("fork");
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			fail("PTRACE_TRACEME");
		raise(SIGSTOP);
		filter();
		execv(argv[0], argv);
		fail(argv[0]);
	}
	if (waitpid(child, &st, 0) < 0 || ptrace(PTRACE_SETOPTIONS, child, NULL,
	    PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) < 0)
		fail("PTRACE_SETOPTIONS");
	fprintf(report, "pid %d\n", (int)child);
	fflush(report);
}

static void
choose(const char *s)
{
	static const struct {
		const char *name;
		enum action action;
		int error, wanted;
	} t[] = {
		{ "count", COUNT, 0, CHANGES }, { "kill", KILL, 0, CHANGES },
		{ "torn", TORN, 0, WRITES }, { "short", SHORT, 0, WRITES },
		{ "full", FULL, 0, WRITES }, { "ENOSPC", FAIL, ENOSPC, ROOM },
		{ "EIO", FAIL, EIO, CHANGES | READS }, { "EROFS", FAIL, EROFS, CHANGES },
		{ "nosync", NOSYNC, 0, CHANGES },
	};
	size_t i;

	for (i = 0; i < N(t); i++) {
		if (!strcmp(t[i].name, s)) {
			action = t[i].action;
			error = t[i].error;
			wanted = t[i].wanted;
			return;
		}
	}
	fprintf(stderr, "inject: no such action: %s\n", s);
	exit(125);
}

/* Run the child to its end; returns what waitpid() said. */
static int
watch(void)
{
	long sig = 0;
	int killed = 0, st;

	while (ptrace(PTRACE_CONT, child, NULL, sig) == 0 || killed) {
		sig = 0;
		if (waitpid(child, &st, 0) < 0)
			fail("waitpid");
		if (WIFEXITED(st) || WIFSIGNALED(st))
			return st;
		if (st >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8)))
			killed = stop();
		else if (WSTOPSIG(st) != SIGTRAP && WSTOPSIG(st) != (SIGTRAP | 0x80))
			sig = WSTOPSIG(st);
	}
	if (waitpid(child, &st, 0) < 0)		/* somebody killed it while it was stopped */
		fail("waitpid");
	return st;
}

int
main(int argc, char **argv)
{
	const char *file = "/dev/stderr";
	int o, st;

	choose("count");
	while ((o = getopt(argc, argv, "+r:n:c:a:")) != -1) {
		switch (o) {
		case 'r':
			file = optarg;
			break;
		case 'n':
			n = strtol(optarg, NULL, 10);
			break;
		case 'c':
			count = strtol(optarg, NULL, 10);
			break;
		case 'a':
			choose(optarg);
			break;
		default:
			exit(125);
		}
	}
	if (optind == argc)
		exit(125);
	report = fopen(file, "we");
	if (!report)
		fail(file);
	start(argv + optind);
	st = watch();
	fprintf(report, "calls %ld\n", seen);
	fclose(report);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}
