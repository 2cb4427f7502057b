/* with: */
/* See LICENSE file for copyright and licence details. */
/*
 * The sandbox from inside: a child enters it, does one thing, and tells how that went. Each thing
 * is tried on four kernels: this one, and the same without Landlock, without seccomp and without
 * both, so that each protection is seen to hold by itself, and the thing to go without them.
 * The kernels that lack something are made by answering in its place.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int no_seccomp;		/* the kernel has no filters */
static long version;		/* of Landlock that the kernel claims, -1: the true one */

static int
fake_prctl(int op, unsigned long a, unsigned long b)
{
	if (op == 22 && no_seccomp) {
		errno = EINVAL;
		return -1;
	}
	return prctl(op, a, b, 0L, 0L);
}

static long
fake_syscall(long nr, ...)
{
	void *p;
	va_list ap;
	size_t n;
	long r;
	int a, b;

	va_start(ap, nr);
	if (nr == SYS_landlock_create_ruleset) {
		p = va_arg(ap, void *);
		if (!p && version == 0)
			errno = ENOSYS;
		if (!p && version >= 0) {
			r = version ? version : -1;
		} else {
			n = p ? va_arg(ap, size_t) : 0;
			r = syscall(nr, p, n, p ? 0 : 1);
		}
	} else {
		a = va_arg(ap, int);
		b = va_arg(ap, int);
		p = nr == SYS_landlock_add_rule ? va_arg(ap, void *) : NULL;
		r = syscall(nr, a, b, p, 0);
	}
	va_end(ap);
	return r;
}

#define prctl(op, a, b, c, d) fake_prctl(op, (unsigned long)(a), (unsigned long)(b))
#define syscall fake_syscall
#include "lib/sandbox.c"
#undef prctl
#undef syscall
#undef LEN

#include "test.h"
#include "test/sandbox/filter.h"

enum {
	DONE = 0, KILLED = 1000, ODD = 1001,
	NOBODY = 65534
};

static int lists[2];		/* TCP listeners: of a port that is named, and of one that is not */
static uint16_t named[2];	/* their ports */
static int root_fd;		/* of / */
static struct sandbox plan;
static pid_t other;		/* a process of the same user */

#define NAMED named[0]
#define OTHER named[1]

/* ---- what must not be ---- */

static int
result(long r)
{
	return r < 0 ? errno : DONE;
}

static int
opened(const char *path, int flags)
{
	return result(open(path, flags | O_CLOEXEC, 0600));
}

static int open_passwd(void) { return opened("/etc/passwd", O_RDONLY); }
static int open_up(void) { return opened("../other", O_RDONLY); }
static int open_dots(void) { return opened("sub/../../other", O_RDONLY); }
static int open_link(void) { return opened("link", O_RDONLY); }
static int open_proc(void) { return opened("/proc/self/root/etc/passwd", O_RDONLY); }
static int open_write(void) { return opened("../other", O_WRONLY); }
static int open_create(void) { return opened("../new", O_WRONLY | O_CREAT); }
static int open_kept(void) { return result(openat(root_fd, "etc/passwd", O_RDONLY)); }
static int list_up(void) { return opened("..", O_RDONLY | O_DIRECTORY); }
static int unlink_up(void) { return result(unlink("../other")); }
static int link_up(void) { return result(link("../other", "mine")); }
static int rename_up(void) { return result(rename("file", "../file")); }
static int exec_sh(void) { return result(execl("/bin/sh", "sh", "-c", ":", (char *)NULL)); }
static int exec_own(void) { return result(execl("program", "program", (char *)NULL)); }
static int trace(void) { return result(ptrace(PTRACE_TRACEME, 0, 0, 0)); }
static int to_root(void) { return result(setuid(0)); }
static int to_root2(void) { return result(setresuid(0, 0, 0)); }
static int groups(void) { return result(setgroups(0, NULL)); }
static int mounts(void) { return result(mount("none", ".", "tmpfs", 0, NULL)); }
static int chroots(void) { return result(chroot(".")); }
static int kills(void) { return result(kill(other, 0)); }
static int signals_self(void) { return result(raise(SIGCHLD)); }
static int mprotects(void) { return result(mprotect(&plan, 1, PROT_READ)); }
static int prctls(void) { return result(prctl(PR_SET_NAME, "x", 0, 0, 0)); }
static int mlocks(void) { return result(syscall(SYS_mlock, &plan, sizeof(plan))); }
static int peeks(void) { return result(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0)); }
static int memfd(void) { return result(syscall(SYS_memfd_create, "x", 0)); }
static int limits_up(void) { return result(setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 })); }
static int makes_fifo(void) { return result(mknod("fifo", S_IFIFO | 0600, 0)); }
static int makes_dir(void) { return result(mkdir("dir", 0700)); }
static int owner(void) { return result(fcntl(lists[0], F_SETOWN, getpid())); }
static int raws(void) { return result(socket(AF_INET, SOCK_RAW, 0)); }
static int packets(void) { return result(socket(AF_INET, SOCK_SEQPACKET, 0)); }
static int netlink(void) { return result(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int mptcp(void) { return result(socket(AF_INET, SOCK_STREAM, 262)); }
static int size(void) { return result(ioctl(0, FIONREAD, &(int){ 0 })); }

static int
forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
unshares(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int
maps_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(p == MAP_FAILED ? -1 : 0);
}

static struct sockaddr_in
here(uint16_t port)
{
	struct sockaddr_in sa;

	memset(&sa, 0, sizeof(sa));
	sa.sin_family = AF_INET;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(port);
	return sa;
}

static int
dial(uint16_t port)
{
	struct sockaddr_in sa = here(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

static int dial_other(void) { return dial(OTHER); }

static int
dial_fast(void)
{
	struct sockaddr_in sa = here(OTHER);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int e = result(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&sa, sizeof(sa)));

	return e == EOPNOTSUPP ? DONE : e;
}

static int
binds(void)
{
	struct sockaddr_in sa = here(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

static int
listens(void)
{
	return result(listen(lists[0], 1));
}

/* abstract: the name begins with a NUL */
static int
dial_unix(const char *name, size_t n)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&sa, 0, sizeof(sa));
	sa.sun_family = AF_UNIX;
	memcpy(sa.sun_path, name, n);
	return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&sa,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)));
}

static char abstract[64];	/* the name of an abstract socket of the parent */

static int dial_abstract(void) { return dial_unix(abstract, 1 + strlen(abstract + 1)); }
static int dial_path(void) { return dial_unix("socket", 7); }

static int
bind_path(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "made" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	(void)umask(0177);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1) < 0)
		return errno;
	return result(unlink("made"));
}

static int
attach(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return result(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int)));
}

/* Calls of other numbers for the same processor. */
#ifdef __x86_64__
static int x32(void) { return result(syscall(0x40000000 | SYS_close, -1)) ? DONE : ODD; }

/* an address that does not fit in 32 bits is no file; close() of i386 is number 6 */
static int
i386(void)
{
	long r;

	__asm__ volatile ("int $0x80" : "=a"(r) : "a"(6L), "b"(-1L) : "memory", "r8", "r9",
	    "r10", "r11");
	return r < 0 ? DONE : ODD;
}
#endif

/* ---- what must go on ---- */

static int
files(void)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct statvfs v;
	struct stat st;
	char c[4];
	int fd, fd2;

	fd = open("sub/new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, "abcd", 4, 0) != 4 || pread(fd, c, 4, 0) != 4 ||
	    fcntl(fd, F_OFD_SETLK, &f) < 0 || fchmod(fd, 0644) < 0 || ftruncate(fd, 2) < 0 ||
	    lseek(fd, 0, SEEK_END) != 2 || fstat(fd, &st) < 0 || fdatasync(fd) < 0 || fsync(fd) < 0)
		return errno;
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	(void)syncfs(fd);
	fd2 = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd2 < 0 || close(fd2) < 0 || close(fd) < 0)
		return errno;
	if (link("sub/new", "sub2/linked") < 0 || rename("sub/new", "sub2/moved") < 0 ||
	    rename("sub2/moved", "top") < 0 || stat("top", &st) < 0 || lstat("link", &st) < 0 ||
	    unlink("top") < 0 || unlink("sub2/linked") < 0)
		return errno;
	return result(statvfs("sub", &v));
}

static int
listing(void)
{
	char b[2048];
	int fd = open("sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_getdents64, fd, b, sizeof(b)) <= 0)
		return errno ? errno : ODD;
	return result(close(fd));
}

static int
sockets(void)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa), en = sizeof(int);
	struct pollfd p = { .events = POLLOUT };
	struct timespec t = { 0, 1000 };
	int e, fd, e2 = dial(NAMED);

	if (e2)
		return e2;
	fd = accept4(lists[0], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	p.fd = fd;
	if (fd < 0 || getpeername(fd, (struct sockaddr *)&sa, &n) < 0 ||
	    ppoll(&p, 1, &t, NULL) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &en) < 0 ||
	    send(fd, "x", 1, MSG_NOSIGNAL | MSG_MORE) != 1 || shutdown(fd, SHUT_WR) < 0)
		return errno;
	return recv(fd, &e, 1, 0) < 0 && errno != EAGAIN ? errno : result(close(fd));
}

static int
datagrams(void)
{
	struct sockaddr_in sa = here(OTHER);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    send(fd, "x", 1, 0) < 0)
		return errno;
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 && errno != EAFNOSUPPORT ? errno : DONE;
}

static volatile sig_atomic_t rang;

static void
ring(int sig)
{
	(void)sig;
	rang = 1;
}

/* The signal comes from a timer that was set before. */
static int
handlers(void)
{
	struct timespec t = { 2, 0 };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(NULL, 0, &t, &none) < 0 && errno == EINTR && rang ? DONE : ODD;
}

static int
clocks(void)
{
	struct timespec t;
	char b[8];

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0 || syscall(SYS_getrandom, b, sizeof(b), 0) < 0)
		return errno;
#if LONG_MAX > 0x7fffffff
	if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &t) < 0)
		return errno;
#endif
	return (int)geteuid() < 0;
}

static int
memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : result(munmap(p, 4096));
}

static int
says(void)
{
	int fd = open("sub/err", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? errno : dprintf(fd, "%s\n", strerror(EIO)) < 0 ? errno : DONE;
}

/* ---- how it goes ---- */

/* What holds is in *holds; the result of the act. */
static int
inside(int (*act)(void), int *holds)
{
	struct itimerval it = { .it_value = { 0, 300000 } };
	struct sigaction sa;
	sigset_t alarms;
	int fd[2], got = -1, status;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) < 0)
		return ODD;
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 ||
		    setuid(NOBODY) < 0))
			_exit(255);
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = ring;
		(void)sigaction(SIGALRM, &sa, NULL);
		sigemptyset(&alarms);
		sigaddset(&alarms, SIGALRM);
		(void)sigprocmask(SIG_BLOCK, &alarms, NULL);
		if (act == handlers)
			(void)setitimer(ITIMER_REAL, &it, NULL);
		got = sandbox_enter(&plan);
		if (write(fd[1], &got, sizeof(got)) != sizeof(got))
			_exit(254);
		errno = 0;
		syscall(SYS_exit_group, act());
	}
	(void)close(fd[1]);
	if (read(fd[0], &got, sizeof(got)) != sizeof(got))
		got = -1;
	(void)close(fd[0]);
	*holds = got;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return ODD;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED : ODD;
}

enum { K_FULL, K_SECCOMP, K_LANDLOCK, K_NEITHER, KERNELS };

static const char *const kernels[] = { "full", "seccomp alone", "Landlock alone", "neither" };

static void
on(int kernel)
{
	no_seccomp = kernel == K_LANDLOCK || kernel == K_NEITHER;
	version = kernel == K_SECCOMP || kernel == K_NEITHER ? 0 : -1;
}

/* That this kernel has: K_FULL as enum, bit by bit. */
static int has;

/* ECHILD stands for what depends on the machine: not looked at. */
#define ANY ECHILD

static const struct {
	const char *name;
	int (*act)(void);
	int want[KERNELS];
	int bit;		/* that Landlock must have for that */
} acts[] = {
	{ "open /etc/passwd", open_passwd, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "open ../other", open_up, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "open sub/../../other", open_dots, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "open a link that leads out", open_link, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "open /proc/self/root/etc/passwd", open_proc, { EACCES, DONE, EACCES, DONE },
	    SANDBOX_FILES },
	{ "open etc/passwd below a kept /", open_kept, { EACCES, DONE, EACCES, DONE },
	    SANDBOX_FILES },
	{ "write ../other", open_write, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "list ..", list_up, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "make ../new", open_create, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "link ../other", link_up, { EXDEV, DONE, EXDEV, DONE }, SANDBOX_FILES },
	{ "rename to ../file", rename_up, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "unlink ../other", unlink_up, { EACCES, DONE, EACCES, DONE }, SANDBOX_FILES },
	{ "make a directory", makes_dir, { KILLED, KILLED, EACCES, DONE }, SANDBOX_FILES },
	{ "make a fifo", makes_fifo, { KILLED, KILLED, EACCES, DONE }, SANDBOX_FILES },
	{ "exec /bin/sh", exec_sh, { KILLED, KILLED, EACCES, DONE }, SANDBOX_FILES },
	{ "exec a file of the store", exec_own, { KILLED, KILLED, EACCES, DONE }, SANDBOX_FILES },
	{ "connect to a port not named", dial_other, { EACCES, DONE, EACCES, DONE },
	    SANDBOX_PORTS },
	{ "connect by MSG_FASTOPEN", dial_fast, { KILLED, KILLED, ANY, DONE }, 0 },
	{ "bind", binds, { KILLED, KILLED, EACCES, DONE }, SANDBOX_PORTS },
	{ "listen", listens, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "connect to an abstract socket", dial_abstract, { KILLED, KILLED, EPERM, DONE },
	    SANDBOX_SIGNALS },
	{ "connect to a socket of the store", dial_path, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "kill another", kills, { KILLED, KILLED, EPERM, DONE }, SANDBOX_SIGNALS },
	{ "signal oneself", signals_self, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "fork", forks, { KILLED, KILLED, EAGAIN, EAGAIN }, 0 },
	{ "mlock", mlocks, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "raise a limit", limits_up, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "ptrace", trace, { KILLED, KILLED, ANY, DONE }, 0 },
	{ "process_vm_readv", peeks, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "setuid 0", to_root, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "setresuid 0", to_root2, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "setgroups", groups, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "mount", mounts, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "unshare", unshares, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "chroot", chroots, { KILLED, KILLED, EPERM, EPERM }, 0 },
	{ "memfd_create", memfd, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "memory to execute", maps_code, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "mprotect", mprotects, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "prctl", prctls, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "F_SETOWN", owner, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "ioctl", size, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "a raw socket", raws, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "a socket of another type", packets, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "a netlink socket", netlink, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "a MPTCP socket", mptcp, { KILLED, KILLED, ANY, ANY }, 0 },
	{ "a socket option", attach, { KILLED, KILLED, DONE, DONE }, 0 },
#ifdef __x86_64__
	{ "a call of x32", x32, { KILLED, KILLED, DONE, DONE }, 0 },
	{ "a call of i386", i386, { KILLED, KILLED, ANY, ANY }, 0 },
#endif
	/* what must go on */
	{ "files", files, { DONE, DONE, DONE, DONE }, 0 },
	{ "a directory", listing, { DONE, DONE, DONE, DONE }, 0 },
	{ "sockets", sockets, { DONE, DONE, DONE, DONE }, 0 },
	{ "datagrams", datagrams, { DONE, DONE, DONE, DONE }, 0 },
	{ "signal handlers", handlers, { DONE, DONE, DONE, DONE }, 0 },
	{ "clocks", clocks, { DONE, DONE, DONE, DONE }, 0 },
	{ "memory", memory, { DONE, DONE, DONE, DONE }, 0 },
	{ "words", says, { DONE, DONE, DONE, DONE }, 0 },
};

/* Anew before each act: some undo others' work when they may. */
static void
world(void)
{
	int fd;

	(void)unlink("mine");
	(void)unlink("fifo");
	(void)rmdir("dir");
	(void)rename("../file", "file");
	(void)unlink("../new");
	fd = open("../other", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || (geteuid() == 0 && fchown(fd, NOBODY, NOBODY) < 0) || close(fd) < 0)
		abort();
	(void)close(accept4(lists[0], NULL, NULL, SOCK_NONBLOCK));
	(void)close(accept4(lists[1], NULL, NULL, SOCK_NONBLOCK));
}

static void
test_acts(void)
{
	size_t i;
	int got, holds, k, want;

	for (k = 0; k < KERNELS; k++) {
		on(k);
		for (i = 0; i < LEN(acts); i++) {
			want = acts[i].want[k];
			if ((want == KILLED && !(has & SANDBOX_SECCOMP)) ||
			    (want != DONE && k != K_SECCOMP && k != K_NEITHER &&
			    (has & acts[i].bit) != acts[i].bit)) {
				test_skipped++;
				continue;
			}
			world();
			got = inside(acts[i].act, &holds);
			CHECK_MSG(want == ANY || got == want, "%s, %s: got %d, want %d (holds %d)",
			    acts[i].name, kernels[k], got, want, holds);
		}
	}
}

/* A socket of the store that is still to be made, or that belongs to another program. */
static void
test_local(void)
{
	int holds;

	on(K_FULL);
	if (!(has & SANDBOX_SECCOMP))
		return;
	plan.local = 1;
	CHECK_INT(inside(dial_path, &holds), DONE);
	CHECK_INT(inside(bind_path, &holds), KILLED);
	if (has & SANDBOX_SIGNALS)
		CHECK_INT(inside(dial_abstract, &holds), EPERM);
	plan.local = 0;
	plan.bind = 1;
	CHECK_INT(inside(bind_path, &holds), DONE);
	if (has & SANDBOX_PORTS)
		CHECK_INT(inside(binds, &holds), EACCES);
	CHECK_INT(inside(forks, &holds), KILLED);
	plan.bind = 0;
}

/* Each version of Landlock gives what it has, and mail can be moved under all of them. */
static void
test_versions(void)
{
	static const int bits[] = {
		0, 0, SANDBOX_FILES, SANDBOX_FILES, SANDBOX_FILES | SANDBOX_PORTS,
		SANDBOX_FILES | SANDBOX_PORTS, SANDBOX_FILES | SANDBOX_PORTS | SANDBOX_SIGNALS,
		SANDBOX_FILES | SANDBOX_PORTS | SANDBOX_SIGNALS,
		SANDBOX_FILES | SANDBOX_PORTS | SANDBOX_SIGNALS
	};
	long real = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
	int holds, v;

	on(K_LANDLOCK);
	for (v = 0; v < (int)LEN(bits); v++) {
		if (v > real && v < 8) {
			test_skipped++;
			continue;
		}
		if (v == 8 && real < 6)
			continue;
		version = v;
		world();
		CHECK_INT(inside(files, &holds), DONE);
		CHECK_INT(holds, bits[v] | SANDBOX_LIMITS | SANDBOX_DUMP);
		world();
		CHECK_INT(inside(open_up, &holds), v >= 2 ? EACCES : DONE);
		CHECK_INT(inside(dial_other, &holds), v >= 4 ? EACCES : DONE);
		CHECK_INT(inside(dial_abstract, &holds), v >= 6 ? EPERM : DONE);
	}
}

/* ---- not dumpable, no new privileges; each beside how it was before ---- */

static int dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }
static int no_news(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }
static int filtered(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0); }

static int
cores(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_CORE, &r) < 0 || r.rlim_cur || r.rlim_max;
}

static void
test_flags(void)
{
	int holds;

	on(K_NEITHER);
	CHECK_INT(dumpable(), 1);
	CHECK_INT(inside(dumpable, &holds), 0);
	CHECK_INT(no_news(), 0);
	CHECK_INT(inside(no_news, &holds), 1);
	CHECK_INT(inside(cores, &holds), 0);
	CHECK_INT(inside(filtered, &holds), 0);
	CHECK_INT(holds, SANDBOX_LIMITS | SANDBOX_DUMP);
}

/* ---- what the kernel knows must not fail ---- */

static void
test_trouble(void)
{
	int holds;

	on(K_FULL);
	if (!(has & SANDBOX_FILES)) {
		test_skipped++;
		return;
	}
	plan.dir = "nowhere";
	(void)inside(clocks, &holds);
	CHECK_INT(holds, -1);
	plan.dir = ".";
}

/* ---- the filter as it is ---- */

static void
test_filter(void)
{
	static const struct sandbox most = { .bind = 1, .local = 1 };
	struct sandbox_op op[SANDBOX_OPS];
	struct filter_call c = { 0 };
	int allowed = 0, broken = 0, i, n = sandbox_filter(op, &most);

	if (!CHECK(n > 0 && n <= SANDBOX_OPS))
		return;
	c.arch = op[1].k;
	for (i = -1; i < 4096; i++) {
		c.nr = i;
		allowed += filter_run(op, n, &c) == ALLOW;
		broken += filter_run(op, n, &c) == 0xdead;
	}
	CHECK_INT(broken, 0);
	/* those with rules want arguments; socket, setsockopt, fcntl */
	CHECK_INT(allowed, LEN(calls) - 3);
	for (c.arch = 0, i = 0; i < 4096; i++) {
		c.nr = i;
		if (filter_run(op, n, &c) != KILL)
			break;
	}
	CHECK_INT(i, 4096);
	printf("%d instructions, %d calls\n", n, (int)LEN(calls));
}

static void
copy(const char *from, const char *to)
{
	size_t n = 0;
	char *p = test_slurp(from, &n);
	FILE *f = fopen(to, "wb");

	if (!p || !f || fwrite(p, 1, n, f) != n || fclose(f) || chmod(to, 0700) < 0)
		abort();
	free(p);
}

/* It ends when we do. */
static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		_exit(1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)poll(NULL, 0, 240000);
	_exit(0);
}

/* What should hold here, found out in another way. */
static int
expected(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
	int bits = SANDBOX_LIMITS | SANDBOX_DUMP;

	if (prctl(PR_SET_SECCOMP, 2, NULL, 0, 0) < 0 && errno == EFAULT)
		bits |= SANDBOX_SECCOMP;
	return bits | (v >= 2 ? SANDBOX_FILES : 0) | (v >= 4 ? SANDBOX_PORTS : 0) |
	    (v >= 6 ? SANDBOX_SIGNALS : 0);
}

static void
setup(void)
{
	struct sockaddr_in sa;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t n;
	int fd, i;

	umask(022);
	if (mkdir("store", 0700) < 0 || chdir("store") < 0 || mkdir("sub", 0700) < 0 ||
	    mkdir("sub2", 0700) < 0 || symlink("../other", "link") < 0)
		abort();
	copy("/proc/self/exe", "program");
	other = sleeper();
	fd = open("file", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || close(fd) < 0)
		abort();
	root_fd = open("/", O_RDONLY | O_DIRECTORY);
	for (i = 0; i < 2; i++) {
		sa = here(0);
		n = sizeof(sa);
		lists[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (bind(lists[i], (struct sockaddr *)&sa, n) < 0 || listen(lists[i], 64) < 0 ||
		    getsockname(lists[i], (struct sockaddr *)&sa, &n) < 0)
			abort();
		named[i] = ntohs(sa.sin_port);
	}
	for (i = 0; i < 2; i++) {
		(void)snprintf(abstract + 1, sizeof(abstract) - 1, "sandbox-test-%d", getpid());
		memcpy(un.sun_path, i ? abstract : "socket", i ? sizeof(abstract) : 7);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    (i ? 1 + strlen(abstract + 1) : 7));
		if (bind(fd, (struct sockaddr *)&un, n) < 0 || listen(fd, 64) < 0)
			abort();
	}
	for (i = 0; geteuid() == 0 && i < 7; i++) {
		static const char *const names[] = {
			"..", ".", "sub", "sub2", "program", "file", "socket"
		};

		if (chown(names[i], NOBODY, NOBODY) < 0)
			abort();
	}
	plan.dir = ".";
	plan.ports = named;
	plan.nports = 1;
}

int
main(int argc, char *argv[])
{
	int holds;

	if (argc && !strcmp(argv[0], "program"))
		_exit(0);
	setup();
	has = expected();
	on(K_FULL);
	(void)inside(clocks, &holds);
	printf("this kernel: %d\n", has);
	CHECK_INT(holds, has);
	test_filter();
	test_flags();
	test_acts();
	test_local();
	test_versions();
	test_trouble();
	(void)kill(other, SIGKILL);
	return test_end();
}
