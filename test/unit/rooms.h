/* See LICENSE file for copyright and licence details. */
/*
 * What tests of several rooms share: the settings of test/unit/t_rooms.h, stand-ins for the rooms
 * that are not linked, a store in the present directory, a clock and ids that are the same in
 * each run, and a disk that fails on demand: the calls that change it are replaced here. Syncs
 * are counted but not done, so that thousands of sessions take no time.
 */
#ifndef ROOMS_H
#define ROOMS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "mail.h"
#include "store.h"
#include "test.h"

/* ---- settings ---- */

uint64_t message_max = 50 << 20, quota, disk_reserve = 1 << 20, inode_reserve;
uint64_t journal_size = 256 << 10, letter_small = 16 << 10;
int64_t smtp_idle = 300000, smtp_data_idle = 180000, smtp_data_total = 3600000;
int64_t session_total = 86400000, checkpoint_every = 1000, retry_locked = 5000;
int send_as_anyone;

/* ---- stand-ins ---- */

char host[HOST_TEXT] = "mx.example.org";
const char version[] = "test";
int stopping;

static unsigned last_id;
static unsigned long long id_us = 0x0006410f3a2b1;	/* when letters come */

#define ID(n) "0006410f3a2b10000000" #n

char *
new_id(char dst[ID_TEXT])
{
	(void)snprintf(dst, ID_TEXT, "%013llx%08x", id_us, ++last_id);
	return dst;
}

char *
session_id(char dst[ID_TEXT])
{
	memcpy(dst, "cafe", 5);
	return dst;
}

void
random_bytes(void *p, size_t n)
{
	memset(p, 7, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	(void)p;
	(void)n;
	memset(v, 0, sizeof(*v));
	return 0;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

/* The wall clock stands still: Sun, 22 Nov 2026 03:03:14 +0000. */
#define DATE "Sun, 22 Nov 2026 03:03:14 +0000"
time_t
time(time_t *t)
{
	if (t)
		*t = 1795316594;
	return 1795316594;
}

/*
 * The monotonic clock runs, but may be put forward; or each look at it takes a second: then a slice
 * of work is as short as can be.
 */
static int64_t ahead;
static int slow;

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC)
		t->tv_sec += (time_t)((ahead += slow) / 1000);
	return r;
}

/* So many seconds go by. */
static inline void
pass_s(int s)
{
	ahead += (int64_t)1000 * s;
	loop_clock();
}

/* The log, the last part of it. */
static char logged[1 << 16];
static size_t nlogged;

void
log_event(const char *id, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	size_t n;
	int e = errno;

	n = (size_t)snprintf(line, 64, "%s ", id);
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - n - 2, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	line[n] = '\0';
	if (nlogged + n >= sizeof(logged))
		nlogged = 0;
	memcpy(logged + nlogged, line, n);
	nlogged += n;
	logged[nlogged] = '\0';
	if (getenv("SHOW_LOG"))
		fprintf(stderr, "%s", line);
	errno = e;
}

static inline int
was_logged(const char *what)
{
	return nlogged && strstr(logged, what) != NULL;
}

static inline void
log_clear(void)
{
	nlogged = 0;
	logged[0] = '\0';
}

void
die(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\n", strerror(errno));
	fflush(stdout);
	_exit(code);
}

void
bug(const char *file, int line, const char *what)
{
	printf("%s:%d: %s\n", file, line, what);
	fflush(stdout);
	abort();
}

/* ---- the disk ---- */

enum { F_NONE, F_WRITE = 1, F_SYNC = 2, F_NAME = 4, F_CUT = 8, F_ANY = 15 };

/* The call number `at`, counted from 1, of those in `what` fails; with `stay` all after it too. */
static struct {
	int what, at, stay, err;
	int seen;		/* such calls so far */
	int hit;		/* calls that failed */
} fault;
static unsigned nsyncs;

/*
 * What was done, a letter a call: w write, s sync, n rename, c cut; A: a letter was answered for.
 */
static char trail[4096];
static size_t ntrail;

static inline void
trail_clear(void)
{
	ntrail = 0;
	trail[0] = '\0';
}

static inline void
trail_add(char what)
{
	if (ntrail < sizeof(trail) - 1)
		trail[ntrail++] = what;
	trail[ntrail] = '\0';
}

/* With ENOSPC a write takes the half first, as it does when a disk becomes full. */
static inline void
fault_set(int what, int at, int stay, int err)
{
	memset(&fault, 0, sizeof(fault));
	fault.what = what;
	fault.at = at;
	fault.stay = stay;
	fault.err = err;
}

static inline int
fault_clear(void)
{
	int hit = fault.hit;

	memset(&fault, 0, sizeof(fault));
	return hit;
}

static int
faulty(int what)
{
	if (!(fault.what & what))
		return 0;
	fault.seen++;
	if (fault.seen != fault.at && !(fault.stay && fault.seen > fault.at))
		return 0;
	fault.hit++;
	errno = fault.err;
	if (getenv("SHOW_LOG"))
		fprintf(stderr, "fault %d of kind %d\n", fault.seen, what);
	return 1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	trail_add('w');
	if (faulty(F_WRITE)) {
		if (fault.hit > 1 || fault.err != ENOSPC || n < 2)
			return -1;
		n /= 2;
		fault.at++;		/* the next one fails in any case */
		fault.stay = 1;
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

static int
sync_it(void)
{
	nsyncs++;
	trail_add('s');
	return faulty(F_SYNC) ? -1 : 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return sync_it();
}

int
fsync(int fd)
{
	(void)fd;
	return sync_it();
}

int
syncfs(int fd)
{
	(void)fd;
	return sync_it();
}

int
ftruncate(int fd, off_t size)
{
	trail_add('c');
	return faulty(F_CUT) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int
rename(const char *from, const char *to)
{
	trail_add('n');
	return faulty(F_NAME) ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- files ---- */

static inline void
spill(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || close(fd) < 0)
		abort();
}

/* As a foreign program does it that has the lock. */
static inline void
spill_behind(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || close(fd) < 0)
		abort();
}

/* The whole of a file, its size or 0 if there is none. */
static inline size_t
slurp(const char *path, char *dst, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t k;
	size_t n = 0;

	if (fd < 0)
		return 0;
	while (n < size && (k = read(fd, dst + n, size - n)) > 0)
		n += (size_t)k;
	(void)close(fd);
	if (n == size)
		abort();
	dst[n] = '\0';
	return n;
}

static inline int
count(const char *hay, size_t n, const char *needle)
{
	const char *p = hay;
	int k = 0;

	while ((p = memmem(p, n - (size_t)(p - hay), needle, strlen(needle)))) {
		k++;
		p++;
	}
	return k;
}

/* ---- another process that holds a lock on a file ---- */

struct other {
	pid_t pid;
	int go;			/* our end of a pipe: closing it lets the other go on */
};

/*
 * It waits until it has the lock (classic fcntl, as mail programs do), or says 0 when already
 * there.
 */
static inline void
other_lock(struct other *o, const char *path)
{
	int up[2], down[2];
	struct flock f;
	char c;

	if (pipe(up) < 0 || pipe(down) < 0)
		abort();
	o->pid = fork();
	if (o->pid == 0) {
		int fd = open(path, O_RDWR | O_CREAT, 0600);

		(void)close(down[1]);
		memset(&f, 0, sizeof(f));
		f.l_type = F_WRLCK;
		if (fd < 0 || fcntl(fd, F_SETLK, &f) < 0 || write(up[1], "x", 1) != 1)
			_exit(1);
		(void)read(down[0], &c, 1);
		_exit(0);
	}
	(void)close(up[1]);
	(void)close(down[0]);
	o->go = down[1];
	CHECK(o->pid > 0 && read(up[0], &c, 1) == 1);
	(void)close(up[0]);
}

static inline void
other_end(struct other *o)
{
	int st;

	(void)close(o->go);
	CHECK(waitpid(o->pid, &st, 0) == o->pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

/* ---- letters ---- */

/* A letter's way through letter_begin() and so on, without a session. */
static struct letter post_letter;
static enum res post_answer;

/* The trace field, by which recovery knows it. Returns its length. */
static inline size_t
trace_field(char *dst, size_t size, const char *id)
{
	return (size_t)snprintf(dst, size, "Received: from x ([192.0.2.1])\n"
	    "\tby mx.example.org with SMTP "
	    "id %s\n\t; " DATE "\n", id);
}

static inline void
post_answered(struct letter *l, enum res r)
{
	post_answer = r;
	trail_add('A');
	letter_abort(l);
}

/* To up to two accounts (the second may be NULL); the answer, R_AGAIN if there was none. */
static inline enum res
post(const char *one, const char *two, const char *text, size_t n)
{
	struct user_set to;
	struct letter *l = &post_letter;
	char trace[256];
	int slot;

	post_answer = R_AGAIN;
	if (letter_begin(l, 0, "s@far.example", 13, "") != R_OK) {
		letter_abort(l);
		return R_TEMP;
	}
	for (; one; one = two, two = NULL) {
		slot = user_find(one, strlen(one));
		memset(&to, 0, sizeof(to));
		to.bit[slot / 8] = (unsigned char)(1 << slot % 8);
		if (letter_rcpt(l, one, strlen(one), &to) != R_OK)
			break;
	}
	letter_text(l, trace, trace_field(trace, sizeof(trace), l->id));
	letter_text(l, text, n);
	l->done = post_answered;
	letter_finish(l);
	(void)store_commit(1);
	return post_answer;
}

/* Let the store do what it has to do now. */
static inline void
ticks(void)
{
	int i;

	for (i = 0; i < 100000 && store_tick() == 0; i++)
		;
	if (i == 100000)
		(void)CHECK_MSG(0, "the store does not come to rest");
}

/* ---- a store ---- */

#define USERS "alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\nbob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"

static inline void
store_here(void)
{
	if (access("users", F_OK) < 0)
		spill("users", USERS, sizeof(USERS) - 1);
	loop_clock();
	store_init();
}

#endif
