/* See LICENSE file for copyright and licence details. */
/*
 * The postmaster's commands. Those for accounts work on the files of the store, whether the server
 * runs or not: the file `users` is replaced as a whole under the lock of `users.lock`, and the
 * server sees that it is another one. Those for the queue ask the server by its socket `control`;
 * when it does not run they do the same by themselves. Started by root they first become the owner
 * of the store, so that what they make is his and nothing that lies there can lead root astray.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "lib/fs.h"
#include "lib/text.h"
#include "mail.h"
#include "relay.h"

enum {
	LOCK_MS = 10000,	/* how long to wait for somebody else's lock */
	NAP_MS = 20,
	BOX_TEXT = NAME_TEXT + 64
};

struct secret {
	char text[SASL_PASSWORD];
	size_t n;
};

struct command {
	const char *name;
	const char *args;
	int min, max;		/* of them */
	int (*run)(char **args, const char *dir);
	const char *help;
};

static int passwd(char **args, const char *dir);
static int list_users(char **args, const char *dir);
static int userdel(char **args, const char *dir);
static int look(char **args, const char *dir);
static int change(char **args, const char *dir);
static int dkim(char **args, const char *dir);
static int help(char **args, const char *dir);

/* The arguments of run() begin with the name of the command. */
static const struct command commands[] = {
	{ "passwd",  " NAME",        1, 1, passwd,     "make an account, or change its password" },
	{ "users",   "",             0, 0, list_users, "accounts with their messages and bytes" },
	{ "userdel", " NAME",        1, 1, userdel,
	    "end an account; its mailbox is moved aside" },
	{ "queue",   "",             0, 0, look,       "letters that wait, and why" },
	{ "show",    " ID",          1, 1, look,       "a letter of the queue" },
	{ "flush",   " [ID|DOMAIN]", 0, 1, change,     "try to send now: all, one, a domain's" },
	{ "hold",    " ID",          1, 1, change,     "keep a letter until it is flushed" },
	{ "drop",    " ID [quiet]",  1, 2, change,     "give up a letter; its sender is told" },
	{ "dkim",    " DOMAIN",      1, 1, dkim,       "the key that signs mail, its DNS record" },
	{ "help",    "",             0, 0, help,       "this text" },
};

enum { NCOMMANDS = sizeof(commands) / sizeof(*commands) };

static volatile sig_atomic_t caught;

int
fail(int code, const char *fmt, ...)
{
	va_list ap;
	int e = errno;

	(void)fprintf(stderr, "maild: ");
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (*fmt && fmt[strlen(fmt) - 1] == ':')
		(void)fprintf(stderr, " %s", strerror(e));
	(void)fputc('\n', stderr);
	return code;
}

/* The exit code for an errno. */
static int
code_of(int e)
{
	switch (e) {
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	case EFBIG:
	case ENOSPC:
	case EDQUOT:
	case EROFS:
		return EX_CANTCREAT;
	case ENOENT:
	case ENOTDIR:
		return EX_NOINPUT;
	case EAGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_IOERR;
	}
}

/* ---- the store ---- */

static int
is_empty(void)
{
	struct fs_dir d;
	int n = 0;

	if (fs_diropen(&d, ".") < 0)
		return 0;
	while (fs_dirnext(&d))
		n++;
	return !n && !d.bad && d.hidden == 2;
}

/* Started by root: become the owner of the present directory; config.h says who owns a new one. */
static int
become_owner(void)
{
	struct stat st;

	if (geteuid())
		return 0;
	if (stat(".", &st) < 0)
		return -1;
	if (!st.st_uid && is_empty()) {
		if (chown(".", run_uid, run_gid) < 0 || stat(".", &st) < 0)
			return -1;
	}
	if (!st.st_uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
		return -1;
	return 0;
}

static int
enter(const char *dir, int make)
{
	(void)umask(077);
	if (make && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return fail(code_of(errno), "cannot make the store %s:", dir);
	if (chdir(dir) < 0)
		return fail(code_of(errno), "no store in %s:", dir);
	if (become_owner() < 0)
		return fail(code_of(errno), "cannot become the owner of %s:", dir);
	return 0;
}

/* Wait for the lock of a file, but not for ever: 0, or -1 with errno. */
static int
lock(int fd)
{
	int ms;

	for (ms = 0; fs_lock(fd) < 0; ms += NAP_MS) {
		if (errno != EAGAIN || ms >= LOCK_MS)
			return -1;
		(void)poll(NULL, 0, NAP_MS);	/* a nap */
	}
	return 0;
}

/* The accounts are ours until the program ends, and in the table. Returns an exit code. */
static int
lock_users(const char *dir)
{
	int fd;

	fd = open("users.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(code_of(errno), "%s/users.lock:", dir);
	if (lock(fd) < 0)
		return fail(code_of(errno), "%s/users.lock is held by another program:", dir);
	if (user_load() < 0)
		return fail(code_of(errno), "%s/users:", dir);
	return 0;
}

static int
check_name(const char *name)
{
	if (user_valid(name, strlen(name)))
		return 0;
	return fail(EX_DATAERR, "bad name: 1 to %d of a-z, 0-9, '.', '_' and '-', the first one a "
	    "letter or a digit", NAME_TEXT - 1);
}

/* ---- passwd ---- */

static void
catch(int sig)
{
	caught = sig;
}

/*
 * One byte of standard input: 1, 0 at its end, -1. Signals are let through only while it waits, so
 * that none is lost between a look at `caught` and the wait.
 */
static int
next_byte(char *ch, const sigset_t *mask)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

	if (mask && ppoll(&p, 1, NULL, mask) < 0)
		return -1;
	return (int)read(STDIN_FILENO, ch, 1);
}

/* One line of standard input: an exit code. */
static int
read_line(struct secret *s, const sigset_t *mask)
{
	char ch = '\0';
	int r, any = 0;

	s->n = 0;
	while ((r = next_byte(&ch, mask)) > 0 && ch != '\n') {
		any = 1;
		if (s->n < sizeof(s->text))
			s->text[s->n++] = ch;
	}
	if (r < 0 && caught)
		return EX_IOERR;
	if (r < 0)
		return fail(EX_IOERR, "standard input:");
	if (!r && !any)
		return fail(EX_NOINPUT, "no password on standard input");
	if (s->n && s->n < sizeof(s->text) && s->text[s->n - 1] == '\r')
		s->n--;
	return 0;
}

static int
check_password(const struct secret *s)
{
	size_t i;

	if (s->n < password_min)
		return fail(EX_DATAERR, "the password is too short: at least %zu octets",
		    password_min);
	if (s->n >= sizeof(s->text))
		return fail(EX_DATAERR, "the password is too long: at most %zu octets",
		    sizeof(s->text) - 1);
	for (i = 0; i < s->n; i++) {
		if ((unsigned char)s->text[i] < ' ' || s->text[i] == 0x7f)
			return fail(EX_DATAERR, "the password has a control character");
	}
	return 0;
}

/* Ask twice. */
static int
ask(struct secret *s, const char *name, const sigset_t *mask)
{
	struct secret again;
	int code;

	(void)fprintf(stderr, "Password for %s: ", name);
	code = read_line(s, mask);
	if (code || (code = check_password(s)))
		return code;
	(void)fprintf(stderr, "Once more: ");
	code = read_line(&again, mask);
	if (!code && (again.n != s->n || memcmp(again.text, s->text, s->n)))
		code = fail(EX_DATAERR, "the two passwords differ");
	scram_wipe(&again, sizeof(again));
	return code;
}

/* The terminal without echo for as long as we ask; put back whatever happens. */
static int
ask_terminal(struct secret *s, const char *name)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	enum { NSIGS = sizeof(sigs) / sizeof(*sigs) };
	struct sigaction act, old[NSIGS];
	struct termios echo, quiet;
	sigset_t block, before, wait;
	int code, i;

	if (tcgetattr(STDIN_FILENO, &echo) < 0)
		return fail(EX_IOERR, "the terminal:");
	quiet = echo;
	quiet.c_lflag = (quiet.c_lflag & ~(tcflag_t)ECHO) | ECHONL | ICANON;
	memset(&act, 0, sizeof(act));
	act.sa_handler = catch;
	(void)sigemptyset(&act.sa_mask);
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGTSTP);
	(void)sigprocmask(SIG_BLOCK, &block, &before);
	wait = before;
	(void)sigaddset(&wait, SIGTSTP);
	for (i = 0; i < NSIGS; i++)
		(void)sigaddset(&block, sigs[i]);
	(void)sigprocmask(SIG_BLOCK, &block, NULL);
	for (i = 0; i < NSIGS; i++)
		(void)sigaction(sigs[i], &act, &old[i]);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet) < 0)
		code = fail(EX_IOERR, "the terminal:");
	else
		code = ask(s, name, &wait);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &echo);
	for (i = 0; i < NSIGS; i++)
		(void)sigaction(sigs[i], &old[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (caught)
		(void)raise(caught);
	return code;
}

static void
derive(char text[SCRAM_TEXT], const struct secret *s)
{
	struct scram_verifier v;
	struct scram_work w;

	memset(&v, 0, sizeof(v));
	v.iterations = password_rounds;
	v.nsalt = SCRAM_SALT;
	random_bytes(v.salt, v.nsalt);
	scram_start(&w, &v, s->text, s->n);
	while (!scram_step(&w, SCRAM_MIN_ITER))
		;
	scram_finish(&w, &v);
	(void)scram_format(text, &v);
}

/* A verifier for the password that we are told: an exit code. */
static int
get_verifier(char text[SCRAM_TEXT], const char *name)
{
	struct secret s;
	int code;

	if (isatty(STDIN_FILENO)) {
		code = ask_terminal(&s, name);
	} else {
		code = read_line(&s, NULL);
		if (!code)
			code = check_password(&s);
	}
	if (!code)
		derive(text, &s);
	scram_wipe(&s, sizeof(s));
	return code;
}

static int
count_users(void)
{
	const struct user *u;
	int i, n = 0;

	for (i = 0; (u = user_at(i)); i++)
		n += !u->gone;
	return n;
}

static int
passwd(char **args, const char *dir)
{
	char path[BOX_TEXT], verifier[SCRAM_TEXT];
	const char *name = args[1];
	struct stat st;
	int code, new;

	user_check_passwords();
	code = check_name(name);
	if (code || (code = enter(dir, 1)) || (code = get_verifier(verifier, name)) ||
	    (code = lock_users(dir)))
		return code;
	new = user_find(name, strlen(name)) < 0;
	if (new && count_users() == ACCOUNTS)
		return fail(EX_CANTCREAT, "there are %d accounts: ACCOUNTS in config.h", ACCOUNTS);
	if (user_write(name, verifier) < 0)
		return fail(code_of(errno), "%s/users:", dir);
	(void)printf(new ? "account %s made\n" : "password of %s changed\n", name);
	(void)snprintf(path, sizeof(path), "mail/%s", name);
	if (new && stat(path, &st) == 0 && st.st_size)
		(void)printf("the mailbox %s/%s was there before and belongs to it now\n",
		    dir, path);
	return 0;
}

/* ---- users ---- */

static void
count(void *arg, const struct mbox_msg *m)
{
	uint64_t *n = arg;

	(void)m;
	++*n;
}

/* Messages and bytes of a mailbox; none if it is not there. 0 or -1. */
static int
scan(const char *path, uint64_t *messages, uint64_t *bytes)
{
	static char piece[16384];
	struct mbox_scan s;
	ssize_t n;
	int fd;

	*messages = *bytes = 0;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	mbox_scan_init(&s, 0, count, messages);
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		mbox_scan_feed(&s, piece, (size_t)n);
		*bytes += (uint64_t)n;
	}
	mbox_scan_end(&s);
	(void)close(fd);	/* only read from */
	return n < 0 ? -1 : 0;
}

static int
list_users(char **args, const char *dir)
{
	char path[BOX_TEXT];
	const struct user *u;
	uint64_t bytes, messages;
	int code, i;

	(void)args;
	code = enter(dir, 0);
	if (code)
		return code;
	if (user_load() < 0)
		return fail(code_of(errno), "%s/users:", dir);
	for (i = 0; (u = user_at(i)); i++) {
		(void)snprintf(path, sizeof(path), "mail/%s", u->name);
		if (scan(path, &messages, &bytes) < 0)
			code = fail(code_of(errno), "%s/%s:", dir, path);
		else
			(void)printf("%-*s %8llu %12llu\n", NAME_TEXT - 1, u->name,
			    (unsigned long long)messages, (unsigned long long)bytes);
	}
	return code;
}

/* ---- userdel ---- */

/* Lock the mailbox that is at the path now: 0 (*there says whether there is one), or -1. */
static int
lock_box(const char *path, int *there)
{
	struct stat a, b;
	int fd, ms;

	for (ms = 0; ms < LOCK_MS; ms += NAP_MS) {
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		*there = fd >= 0;
		if (fd < 0)
			return errno == ENOENT ? 0 : -1;
		if (lock(fd) < 0)
			return -1;
		if (fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino)
			return 0;
		(void)close(fd);	/* it was replaced while we waited: only a lock is lost */
	}
	errno = EAGAIN;
	return -1;
}

/* Move the mailbox to a name that no account can have (it has capitals) and no file has. */
static int
move_aside(const char *name, const char *path, char aside[BOX_TEXT])
{
	char day[DATE_TEXT];
	struct stat st;
	int i, n = 0;

	(void)text_utc(day, time(NULL));
	for (i = 0; day[i]; i++)
		if (day[i] != '-' && day[i] != ':')
			day[n++] = day[i];
	day[n] = '\0';
	(void)snprintf(aside, BOX_TEXT, "mail/%s.deleted.%s", name, day);
	for (i = 2; lstat(aside, &st) == 0; i++)
		(void)snprintf(aside, BOX_TEXT, "mail/%s.deleted.%s-%d", name, day, i);
	if (errno != ENOENT || rename(path, aside) < 0)
		return -1;
	return fs_syncdir("mail");
}

static int
end_mailbox(const char *name, const char *path, const char *dir)
{
	char aside[BOX_TEXT], index[BOX_TEXT];

	if (move_aside(name, path, aside) < 0)
		return fail(code_of(errno), "%s/%s cannot be moved aside; try userdel again:",
		    dir, path);
	(void)snprintf(index, sizeof(index), "spool/index/%s", name);
	if (unlink(index) < 0 && errno != ENOENT)
		return fail(code_of(errno), "%s/%s:", dir, index);
	(void)printf("its mailbox is now %s/%s\n", dir, aside);
	return 0;
}

/* The account goes first: after a crash before the mailbox is moved, the same command moves it. */
static int
userdel(char **args, const char *dir)
{
	char path[BOX_TEXT];
	const char *name = args[1];
	int code, known, there;

	code = check_name(name);
	if (code || (code = enter(dir, 0)) || (code = lock_users(dir)))
		return code;
	(void)snprintf(path, sizeof(path), "mail/%s", name);
	known = user_find(name, strlen(name)) >= 0;
	if (lock_box(path, &there) < 0)
		return errno == EAGAIN ? fail(EX_TEMPFAIL, "%s/%s is locked by another program; "
		    "nothing was changed", dir, path) :
		    fail(code_of(errno), "%s/%s, nothing was changed:", dir, path);
	if (!known && !there)
		return fail(EX_NOUSER, "no account %s in %s", name, dir);
	if (known && user_write(name, NULL) < 0)
		return fail(code_of(errno), "%s/users:", dir);
	(void)printf(known ? "account %s ended\n" : "account %s had ended before\n", name);
	return there ? end_mailbox(name, path, dir) : 0;
}

/* ---- dkim ---- */

static int
dkim(char **args, const char *dir)
{
	int code;

	code = enter(dir, 1);
	return code ? code : sign_command(args[1], dir);
}

/* ---- the queue ---- */

/* The last line of an answer says how it went: an exit code. */
static int
verdict(const char *p, size_t n)
{
	uint64_t code;
	size_t digits;

	if (text_is(p, n, "ok\n"))
		return 0;
	if (!text_begins(p, n, "error: ") || p[n - 1] != '\n')
		return fail(EX_TEMPFAIL, "the server has broken off");
	p += 7;
	n -= 8;
	for (digits = 0; digits < n && p[digits] != ' '; digits++)
		;
	if (text_u64(p, digits, &code) < 0 || code > 255)
		code = EX_SOFTWARE;
	digits += digits < n;
	return fail((int)code, "%.*s", (int)(n - digits), p + digits);
}

/* Copy an answer to standard output, all but its last line. Returns an exit code. */
static int
copy_answer(int fd)
{
	static char b[2 * VIEW_PIECE];
	size_t k, n = 0;
	ssize_t got;

	while ((got = read(fd, b + n, sizeof(b) - n)) > 0) {
		n += (size_t)got;
		/* up to the line feed before the last line; all of a line without an end */
		for (k = n - 1; k && b[k - 1] != '\n'; k--)
			;
		if (!k && n == sizeof(b))
			k = n / 2;
		if (k && fwrite(b, 1, k, stdout) != k)
			return fail(EX_IOERR, "standard output:");
		n -= k;
		memmove(b, b + k, n);
	}
	if (got < 0)
		return fail(EX_TEMPFAIL, "the server:");
	return verdict(b, n);
}

/* Let the server do it: an exit code, or -1: there is none. */
static int
ask_server(char **args, const char *dir)
{
	char line[CONTROL_LINE];
	int code, fd, i, n;

	for (n = i = 0; args[i]; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%s%.200s", i ? " " : "",
		    args[i]);
	if (strchr(line, '\n'))
		return fail(EX_USAGE, "%s: not an argument", args[0]);
	line[n++] = '\n';
	fd = control_dial(CONTROL_SOCKET);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return -1;
	if (fd < 0)
		return fail(code_of(errno), "%s/%s:", dir, CONTROL_SOCKET);
	/* a server that has gone shows when we read */
	(void)send(fd, line, (size_t)n, MSG_NOSIGNAL);
	code = copy_answer(fd);
	(void)close(fd);	/* all was read */
	return code;
}

/* What relay.c knows when it has just begun. */
static void
relay_alone(void)
{
	loop_clock();
	relay_init();
}

static int
look(char **args, const char *dir)
{
	static char piece[VIEW_PIECE];
	struct view v;
	ssize_t n;
	int code;

	code = enter(dir, 0);
	if (code || (code = ask_server(args, dir)) >= 0)
		return code;
	relay_alone();
	view_queue(&v);
	if (args[1] && view_show(&v, args[1]) < 0)
		return errno == ENOENT ? fail(EX_NOINPUT, "no such letter waits") :
		    fail(errno == EILSEQ ? EX_DATAERR : EX_IOERR, "not a letter");
	while ((n = view_next(&v, piece)) > 0)
		(void)fwrite(piece, 1, (size_t)n, stdout);	/* trouble is seen at the end */
	view_end(&v);
	return n < 0 ? fail(code_of(errno), "%s/spool:", dir) : 0;
}

/* What the server does for us otherwise, with the store as it is after a start. */
static int
change(char **args, const char *dir)
{
	char answer[CONTROL_LINE];
	int code, n;

	code = enter(dir, 0);
	if (code || (code = ask_server(args, dir)) >= 0)
		return code;
	if (!strcmp(args[0], "flush"))
		return fail(EX_TEMPFAIL, "the server is not running");
	for (n = 1; args[n]; n++)
		;
	store_lock();
	loop_clock();
	store_init();
	relay_init();
	code = control_change(args, n, answer);
	(void)store_commit(1);
	if (store_checkpoint() < 0)
		code = fail(EX_IOERR, "the disk:");
	if (code && *answer)
		return fail(code, "%s", answer);
	if (*answer)
		(void)printf("%s\n", answer);
	return code;
}

/* ---- which one ---- */

static void
usage(FILE *f)
{
	int i;

	(void)fprintf(f, "usage: maild [-d DIR] [-p N]        serve; N is added to every port\n");
	for (i = 0; i < NCOMMANDS; i++)
		(void)fprintf(f, "       maild [-d DIR] %s%-*s %s\n", commands[i].name,
		    21 - (int)strlen(commands[i].name), commands[i].args, commands[i].help);
	(void)fprintf(f,
	    "       maild [-d DIR] sendmail [...]        takes a message, see sendmail(8)\n");
}

static int
help(char **args, const char *dir)
{
	(void)args;
	(void)printf("maild %s, a mail server. The store is %s.\n", version, dir);
	usage(stdout);
	return 0;
}

/* Take -d DIR out of the arguments, wherever it stands: how many are left, or -1. */
static int
options(int argc, char **argv, const char **dir)
{
	int i, n = 0;

	for (i = 0; i < argc; i++) {
		if (argv[i][0] != '-')
			argv[n++] = argv[i];
		else if (argv[i][1] == 'd' && argv[i][2])
			*dir = argv[i] + 2;
		else if (!strcmp(argv[i], "-d") && i + 1 < argc)
			*dir = argv[++i];
		else
			return -1;
	}
	return n;
}

static const struct command *
find_command(const char *name)
{
	int i;

	for (i = 0; i < NCOMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

int
admin_run(int argc, char **argv, const char *dir)
{
	const struct command *c;
	char shown[64];
	int code, n;

	c = argc ? find_command(argv[0]) : NULL;
	if (!c) {
		(void)fail(EX_USAGE, "unknown command%s%s", argc ? ": " : "",
		    text_escape(shown, sizeof(shown), argc ? argv[0] : "",
		    argc ? strlen(argv[0]) : 0));
		usage(stderr);
		return EX_USAGE;
	}
	n = options(argc - 1, argv + 1, &dir);
	if (n < c->min || n > c->max) {
		(void)fail(EX_USAGE, "%s: wrong arguments", c->name);
		usage(stderr);
		return EX_USAGE;
	}
	argv[n + 1] = NULL;
	code = c->run(argv, dir);
	if ((fflush(stdout) || ferror(stdout)) && !code)
		code = fail(EX_IOERR, "standard output:");
	return code;
}
