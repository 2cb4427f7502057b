/* See LICENSE file for copyright and licence details. */
/* Files: whole writes, durable replacement, locks that do not block. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs.h"

int
fs_write(int fd, const void *p, size_t n, off_t at)
{
	const char *s = p;
	ssize_t r;

	while (n) {
		r = pwrite(fd, s, n, at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (!r)
				errno = ENOSPC;
			return -1;
		}
		s += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int
fs_read(int fd, void *p, size_t n, off_t at)
{
	char *s = p;
	ssize_t r;

	while (n) {
		r = pread(fd, s, n, at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (!r)
				errno = ENODATA;
			return -1;
		}
		s += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int
fs_sync(int fd)
{
	return fdatasync(fd);
}

int
fs_syncdir(const char *path)
{
	int fd, r;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = fsync(fd);
	if (close(fd) < 0)
		r = -1;
	return r;
}

int
fs_own(int fd, const char *dir)
{
	struct stat st;

	if (geteuid())
		return 0;
	if (stat(dir, &st) < 0)
		return -1;
	return fchown(fd, st.st_uid, st.st_gid);
}

int
fs_replace(const char *dir, const char *tmp, const char *path, const void *p, size_t n, mode_t mode)
{
	int bad, e, fd;

	(void)unlink(tmp);	/* mostly not there; never write through what somebody put there */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	bad = fchmod(fd, mode) < 0 || fs_own(fd, dir) < 0 || fs_write(fd, p, n, 0) < 0 ||
	    fsync(fd) < 0;
	e = errno;
	if (close(fd) < 0 && !bad) {
		bad = 1;
		e = errno;
	}
	if (!bad && rename(tmp, path) < 0) {
		bad = 1;
		e = errno;
	}
	if (bad) {
		(void)unlink(tmp);	/* it may not be there */
		errno = e;
		return -1;
	}
	return fs_syncdir(dir);
}

int
fs_mkdir(const char *up, const char *path)
{
	int fd, r;

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = fs_own(fd, up);
	if (close(fd) < 0)
		r = -1;
	return r < 0 ? -1 : fs_syncdir(up);
}

static int
lock(int fd, short type)
{
	struct flock f;

	memset(&f, 0, sizeof(f));
	f.l_type = type;
	f.l_whence = SEEK_SET;
	if (fcntl(fd, F_OFD_SETLK, &f) < 0) {
		if (errno == EACCES)
			errno = EAGAIN;
		return -1;
	}
	return 0;
}

int
fs_lock(int fd)
{
	return lock(fd, F_WRLCK);
}

int
fs_lock_shared(int fd)
{
	return lock(fd, F_RDLCK);
}

void
fs_unlock(int fd)
{
	/* cannot fail for a lock that we hold; close() would do it too */
	(void)lock(fd, F_UNLCK);
}

ssize_t
fs_slurp(const char *path, char *dst, size_t size)
{
	struct stat st;
	ssize_t n = -1;
	int e, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0) {
		if ((uint64_t)st.st_size >= size) {
			errno = EFBIG;
		} else if (fs_read(fd, dst, (size_t)st.st_size, 0) == 0) {
			n = (ssize_t)st.st_size;
			dst[n] = '\0';
		}
	}
	e = errno;
	(void)close(fd);	/* only read from */
	errno = e;
	return n;
}

int
fs_diropen(struct fs_dir *d, const char *path)
{
	d->at = d->n = 0;
	d->bad = d->hidden = 0;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d->fd < 0 ? -1 : 0;
}

/* opendir() would take its buffer from the heap. */
const char *
fs_dirnext(struct fs_dir *d)
{
	enum { RECLEN = 16, NAME = 19 };	/* in struct linux_dirent64 */
	uint16_t len;
	const char *name;

	while (d->fd >= 0) {
		if (d->at == d->n) {
			d->at = 0;
			d->n = syscall(SYS_getdents64, d->fd, d->b, sizeof(d->b));
			if (d->n <= 0) {
				d->bad = d->n < 0;
				(void)close(d->fd);	/* only read from */
				d->fd = -1;
				break;
			}
		}
		memcpy(&len, d->b + d->at + RECLEN, sizeof(len));
		name = d->b + d->at + NAME;
		d->at += len;
		if (name[0] != '.')
			return name;
		d->hidden++;
	}
	return NULL;
}

void
fs_stamp(struct stamp *t, const struct stat *st)
{
	t->dev = (uint64_t)st->st_dev;
	t->ino = (uint64_t)st->st_ino;
	t->size = (uint64_t)st->st_size;
	t->mtime = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	t->ctime = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

int
fs_same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime == b->mtime &&
	    a->ctime == b->ctime;
}
