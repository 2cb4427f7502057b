/* See LICENSE file for copyright and licence details. */
/*
 * A server with a hole: linked to the program, this does one forbidden thing, $PROBE, when SIGUSR1
 * comes, as one would who has got control of it. How that went (an errno, 0: done) is written to
 * the descriptor $PROBE_FD. $PROBE_PORT is a TCP port that no setting names, $PROBE_PID another
 * process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

static int probe, probe_fd, port, root_fd, proc_fd;
static pid_t other;

static long open_absolute(void) { return open("/etc/passwd", O_RDONLY); }
static long open_dots(void) { return open("../../../../../../../../etc/passwd", O_RDONLY); }
static long open_proc(void) { return open("/proc/self/root/etc/passwd", O_RDONLY); }
static long open_kept(void) { return openat(root_fd, "etc/passwd", O_RDONLY); }
static long open_kept_proc(void) { return openat(proc_fd, "cwd/../../../../etc/passwd", O_RDONLY); }
static long list_kept(void) { return openat(root_fd, ".", O_RDONLY | O_DIRECTORY); }
static long execute(void) { return execl("/bin/true", "true", (char *)NULL); }
static long execute_kept(void) { return fexecve(openat(root_fd, "bin/true", O_PATH),
    (char *[]){ NULL }, (char *[]){ NULL }); }
static long trace_me(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0); }
static long trace_other(void) { return ptrace(PTRACE_ATTACH, other, 0, 0); }
static long to_root(void) { return setuid(0); }
static long to_root_all(void) { return setresuid(0, 0, 0); }
static long to_group(void) { return setgid(0); }
static long kill_other(void) { return kill(other, 0); }
static long mounts(void) { return mount("none", ".", "tmpfs", 0, NULL); }
static long unshares(void) { return unshare(CLONE_NEWUSER | CLONE_NEWNET); }
static long roots(void) { return chroot("."); }
static long nothing(void) { return 0; }

static long
forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static int
tcp(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static struct sockaddr_in
here(int n)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)n) };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sa;
}

static long
connects(void)
{
	struct sockaddr_in sa = here(port);

	return connect(tcp(), (struct sockaddr *)&sa, sizeof(sa));
}

static long
binds(void)
{
	struct sockaddr_in sa = here(0);
	int fd = tcp();
	long r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));

	return r < 0 ? r : listen(fd, 1);
}

static long
listens(void)
{
	return listen(tcp(), 1);
}

static long
runs_code(void)
{
	void *p = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static const struct {
	const char *name;
	long (*act)(void);
} acts[] = {
	{ "nothing", nothing },
	{ "open", open_absolute },
	{ "open-dots", open_dots },
	{ "open-proc", open_proc },
	{ "open-kept", open_kept },
	{ "open-kept-proc", open_kept_proc },
	{ "list-kept", list_kept },
	{ "exec", execute },
	{ "exec-kept", execute_kept },
	{ "fork", forks },
	{ "ptrace", trace_me },
	{ "ptrace-other", trace_other },
	{ "kill", kill_other },
	{ "connect", connects },
	{ "bind", binds },
	{ "listen", listens },
	{ "setuid", to_root },
	{ "setresuid", to_root_all },
	{ "setgid", to_group },
	{ "mount", mounts },
	{ "unshare", unshares },
	{ "chroot", roots },
	{ "code", runs_code },
};

static void
on_signal(int sig)
{
	char line[32];
	int n;

	(void)sig;
	errno = 0;
	n = snprintf(line, sizeof(line), "%d\n", acts[probe].act() < 0 ? errno : 0);
	if (write(probe_fd, line, (size_t)n) < 0)
		_exit(99);
}

static int
number(const char *name)
{
	const char *p = getenv(name);

	return p ? (int)strtol(p, NULL, 10) : -1;
}

static void __attribute__((constructor))
get_in(void)
{
	const char *name = getenv("PROBE");
	struct sigaction sa;

	if (!name)
		return;
	for (probe = 0; strcmp(acts[probe].name, name) != 0; )
		if (++probe == sizeof(acts) / sizeof(acts[0]))
			abort();
	probe_fd = number("PROBE_FD");
	port = number("PROBE_PORT");
	other = number("PROBE_PID");
	root_fd = open("/", O_RDONLY | O_DIRECTORY);
	proc_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART;
	(void)sigaction(SIGUSR1, &sa, NULL);
}
