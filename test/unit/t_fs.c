/* with: lib/fs.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Files: whole writes and reads, durable replacement with each call failing, locks, directories,
 * stamps.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fs.h"
#include "test.h"

/* ---- a disk that does a little at a time, or fails ---- */

static int fail_at, seen, little;
static char calls[256];
static size_t ncalls;

static int
call(char what)
{
	if (ncalls < sizeof(calls) - 1)
		calls[ncalls++] = what;
	calls[ncalls] = '\0';
	seen++;
	if (seen == fail_at)
		errno = EIO;
	return seen == fail_at;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (call('w'))
		return -1;
	if (little && seen % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	if (little && n > 3)
		n = 3;
	return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	if (call('r'))
		return -1;
	if (little && seen % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	if (little && n > 3)
		n = 3;
	return (ssize_t)syscall(SYS_pread64, fd, p, n, at);
}

int
fsync(int fd)
{
	struct stat st;

	(void)fstat(fd, &st);
	return call(S_ISDIR(st.st_mode) ? 'd' : 's') ? -1 : 0;
}

int
rename(const char *from, const char *to)
{
	return call('n') ? -1 : (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

static void
calm(int at)
{
	fail_at = at;
	seen = little = 0;
	ncalls = 0;
}

/* ---- */

static void
test_whole(void)
{
	char b[100], c[100];
	size_t i;
	int fd = open("f", O_RDWR | O_CREAT, 0600);

	for (i = 0; i < sizeof(b); i++)
		b[i] = (char)i;
	calm(0);
	little = 1;
	CHECK_INT(fs_write(fd, b, sizeof(b), 5), 0);
	CHECK_INT(fs_read(fd, c, sizeof(c), 5), 0);
	CHECK_MEM(c, sizeof(c), b, sizeof(b));
	errno = 0;
	CHECK_INT(fs_read(fd, c, sizeof(c), 6), -1);
	CHECK_INT(errno, ENODATA);
	CHECK_INT(fs_read(fd, c, 0, 1000), 0);
	CHECK_INT(fs_write(fd, c, 0, 1000), 0);
	calm(2);
	little = 1;
	CHECK_INT(fs_write(fd, b, sizeof(b), 0), -1);
	CHECK_INT(errno, EIO);
	calm(2);
	little = 1;
	CHECK_INT(fs_read(fd, c, sizeof(c), 0), -1);
	CHECK_INT(errno, EIO);
	calm(0);
	(void)close(fd);
}

static int
holds(const char *path, const char *want)
{
	char b[64];
	ssize_t n = fs_slurp(path, b, sizeof(b));

	return n == (ssize_t)strlen(want) && !strcmp(b, want);
}

static void
test_replace(void)
{
	struct stat st;
	int at, r;

	(void)mkdir("d", 0700);
	calm(0);
	CHECK_INT(fs_replace("d", "d/tmp", "d/f", "first", 5, 0640), 0);
	/* the file is on the disk before its name, and that before the end */
	CHECK_STR(calls, "wsnd");
	CHECK(holds("d/f", "first"));
	CHECK(stat("d/f", &st) == 0 && (st.st_mode & 0777) == 0640);
	for (at = 1; at < 10; at++) {
		calm(at);
		r = fs_replace("d", "d/tmp", "d/f", "other", 5, 0600);
		if (r == 0)
			break;
		CHECK_INT(errno, EIO);
		CHECK_INT(access("d/tmp", F_OK), -1);
		calm(0);
		/* 4: the name may not last */
		CHECK(holds("d/f", at == 4 ? "other" : "first"));
		if (at == 4)
			CHECK_INT(fs_replace("d", "d/tmp", "d/f", "first", 5, 0600), 0);
	}
	CHECK_INT(at, 5);
	calm(0);
	CHECK(holds("d/f", "other"));
	/* what lies where the new file is made is not written through */
	CHECK(symlink("f", "d/tmp") == 0);
	CHECK_INT(fs_replace("d", "d/tmp", "d/g", "third", 5, 0600), 0);
	CHECK(holds("d/f", "other") && holds("d/g", "third"));
	CHECK(lstat("d/g", &st) == 0 && S_ISREG(st.st_mode));
	CHECK_INT(fs_replace("none", "none/tmp", "none/f", "x", 1, 0600), -1);
	CHECK_INT(errno, ENOENT);
}

static int
child_locks(const char *path, int shared)
{
	pid_t p = fork();
	int st;

	if (p == 0) {
		struct flock f;
		int fd = open(path, O_RDWR);

		memset(&f, 0, sizeof(f));
		f.l_type = shared ? F_RDLCK : F_WRLCK;
		_exit(fd >= 0 && fcntl(fd, F_SETLK, &f) == 0 ? 1 : 0);
	}
	if (waitpid(p, &st, 0) != p || !WIFEXITED(st))
		abort();
	return WEXITSTATUS(st);
}

static void
test_locks(void)
{
	int a = open("f", O_RDWR), b = open("f", O_RDWR), c;

	CHECK_INT(child_locks("f", 0), 1);
	CHECK_INT(fs_lock(a), 0);
	CHECK_INT(fs_lock(a), 0);
	CHECK_INT(child_locks("f", 0), 0);
	CHECK_INT(child_locks("f", 1), 0);
	errno = 0;
	CHECK_INT(fs_lock(b), -1);
	CHECK_INT(errno, EAGAIN);
	CHECK_INT(fs_lock_shared(b), -1);
	c = open("f", O_RDWR);
	(void)close(c);
	CHECK_INT(child_locks("f", 0), 0);	/* classic locks would be lost here */
	fs_unlock(a);
	CHECK_INT(child_locks("f", 0), 1);
	CHECK_INT(fs_lock_shared(a), 0);
	CHECK_INT(fs_lock_shared(b), 0);
	CHECK_INT(child_locks("f", 1), 1);
	CHECK_INT(child_locks("f", 0), 0);
	CHECK_INT(fs_lock(a), -1);
	(void)close(b);
	CHECK_INT(fs_lock(a), 0);
	(void)close(a);
	CHECK_INT(child_locks("f", 0), 1);
}

static void
test_small(void)
{
	char b[16];
	int fd = open("s", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK_INT(fs_slurp("s", b, sizeof(b)), 0);
	CHECK_STR(b, "");
	CHECK_INT(fs_write(fd, "123456789012345", 15, 0), 0);
	CHECK_INT(fs_slurp("s", b, sizeof(b)), 15);
	CHECK_STR(b, "123456789012345");
	CHECK_INT(fs_write(fd, "x", 1, 15), 0);
	CHECK_INT(fs_slurp("s", b, sizeof(b)), -1);
	CHECK_INT(errno, EFBIG);
	CHECK_INT(fs_slurp("none", b, sizeof(b)), -1);
	CHECK_INT(errno, ENOENT);
	calm(1);
	CHECK_INT(fs_slurp("s", b, 20), -1);
	CHECK_INT(errno, EIO);
	calm(0);
	(void)close(fd);
}

static void
test_dirs(void)
{
	static unsigned char found[300];
	char name[64];
	struct fs_dir d;
	const char *p;
	size_t i;
	int fd, n = 0;

	calm(0);
	CHECK_INT(fs_mkdir(".", "many"), 0);
	CHECK_STR(calls, "d");
	calm(0);
	CHECK_INT(fs_mkdir(".", "many"), 0);
	CHECK_INT(fs_mkdir("none", "none/x"), -1);
	for (i = 0; i < LEN(found); i++) {
		(void)snprintf(name, sizeof(name), "many/%s%lu",
		    i % 7 ? "a file with a long name " : "",
		    (unsigned long)i);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		(void)close(fd);
	}
	(void)close(open("many/.hidden", O_WRONLY | O_CREAT, 0600));
	CHECK_INT(fs_diropen(&d, "many"), 0);
	while ((p = fs_dirnext(&d))) {
		i = strtoul(strrchr(p, ' ') ? strrchr(p, ' ') : p, NULL, 10);
		CHECK(i < LEN(found) && !found[i]++);
		n++;
	}
	CHECK_INT(n, LEN(found));
	CHECK_INT(d.fd, -1);
	CHECK(!fs_dirnext(&d));
	CHECK_INT(fs_diropen(&d, "none"), -1);
	CHECK(!fs_dirnext(&d));
	CHECK_INT(fs_diropen(&d, "f"), -1);
	CHECK(symlink("many", "link") == 0);
	CHECK_INT(fs_diropen(&d, "link"), -1);
}

static void
test_stamps(void)
{
	struct stamp a, b, c;
	struct stat st;
	struct timespec t[2] = { { 5, 0 }, { 5, 1 } };

	CHECK_INT(stat("f", &st), 0);
	fs_stamp(&a, &st);
	fs_stamp(&b, &st);
	CHECK(fs_same(&a, &b));
	CHECK_INT(utimensat(AT_FDCWD, "f", t, 0), 0);
	CHECK_INT(stat("f", &st), 0);
	fs_stamp(&b, &st);
	CHECK(!fs_same(&a, &b));
	CHECK_INT(b.mtime, 5000000001);
	c = b;
	c.ino++;
	CHECK(!fs_same(&c, &b));
	c = b;
	c.dev++;
	CHECK(!fs_same(&c, &b));
	c = b;
	c.size++;
	CHECK(!fs_same(&c, &b));
	c = b;
	c.ctime++;
	CHECK(!fs_same(&c, &b));
}

int
main(void)
{
	test_whole();
	test_replace();
	test_locks();
	test_small();
	test_dirs();
	test_stamps();
	return test_end();
}
