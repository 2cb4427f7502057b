/* with: lib/log.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* The log: the form of a line, its limit, that a line is one write; die() and bug(). */
#include <sys/types.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "lib/log.h"
#include "test.h"

static char got[8192];
static size_t ngot;
static int status;

enum { EVENT, LONG, CONTROL, ERRNO, CLOSED, DIE, DIE_ERRNO, BUG };

static void
child(int what)
{
	static char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	errno = ENOENT;
	switch (what) {
	case EVENT:
		log_event("5f3a", "smtp from=%s n=%d", "192.0.2.1", 7);
		break;
	case LONG:
		log_event("-", "%s", text);
		log_event("-", "next");
		break;
	case CONTROL:
		log_event("-", "a\nb\tc%c", 0x1b);
		break;
	case ERRNO:
		log_event("-", "x");
		_exit(errno == ENOENT ? 3 : 4);
	case CLOSED:
		close(2);
		log_event("-", "x");
		_exit(errno == ENOENT ? 3 : 4);
	case DIE:
		die(65, "table %s, row %d", "aliases", 2);
	case DIE_ERRNO:
		die(74, "open %s:", "users");
	case BUG:
		BUG_IF(what == BUG);
		break;
	}
	_exit(0);
}

/* Run the child with a pipe as its stderr: what it writes is in got, how it ended in status. */
static void
run(int what)
{
	int fd[2];
	pid_t pid;
	ssize_t n;

	fflush(stdout);
	ngot = 0;
	if (pipe(fd) < 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		/* O_DIRECT makes it a pipe of packets: one read returns one write */
		if (dup2(fd[1], 2) < 0 || fcntl(2, F_SETFL, O_DIRECT) < 0)
			_exit(99);
		close(fd[0]);
		close(fd[1]);
		child(what);
	}
	close(fd[1]);
	while ((n = read(fd[0], got + ngot, sizeof(got) - ngot - 1)) > 0) {
		ngot += (size_t)n;
		if (what <= ERRNO)
			CHECK_MSG(got[ngot - 1] == '\n', "a write is not a line");
	}
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	got[ngot] = '\0';
}

/* "2026-01-02T03:04:05Z" */
static int
is_time(const char *p)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	size_t i;

	for (i = 0; i < sizeof(form) - 1; i++) {
		if (form[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != form[i])
			return 0;
	}
	return 1;
}

int
main(void)
{
	size_t len;

	run(EVENT);
	CHECK(ngot > 21 && is_time(got));
	CHECK_STR(got + 20, " 5f3a smtp from=192.0.2.1 n=7\n");
	run(LONG);
	len = strcspn(got, "\n") + 1;
	CHECK_INT(len, 1000);
	CHECK_STR(got + len + 20, " - next\n");
	run(CONTROL);
	CHECK_STR(got + 20, " - a?b?c?\n");
	run(ERRNO);
	CHECK_INT(WEXITSTATUS(status), 3);
	run(CLOSED);
	CHECK_INT(WEXITSTATUS(status), 3);
	run(DIE);
	CHECK_STR(got, "maild: table aliases, row 2\n");
	CHECK_INT(WEXITSTATUS(status), 65);
	run(DIE_ERRNO);
	CHECK_STR(got, "maild: open users: No such file or directory\n");
	CHECK_INT(WEXITSTATUS(status), 74);
	run(BUG);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(got, " - bug at ") && strstr(got, "t_log.c:") && strstr(got, "what == BUG"));
	return test_end();
}
