/* Files: whole writes, durable replacement, locks that do not block. */
#ifndef FS_H
#define FS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Write or read all n bytes at an offset: 0, or -1 with errno (read: ENODATA at an early end). */
int fs_write(int fd, const void *p, size_t n, off_t at);
int fs_read(int fd, void *p, size_t n, off_t at);

/* fdatasync of a file; fsync of the directory at a path. 0 or -1. */
int fs_sync(int fd);
int fs_syncdir(const char *path);

/*
 * Replace a file durably: after a crash there is the old one or the new one. dir is where it lies,
 * tmp and path are paths of the new and the final name. The new file gets `mode`, and, when we are
 * root, the owner of dir. 0 or -1 with errno (the old file stays, tmp is gone).
 */
int fs_replace(const char *dir, const char *tmp, const char *path, const void *p, size_t n,
    mode_t mode);

/* mkdir -p for one level, mode 0700, owner as of its parent `up` when we are root: 0 or -1. */
int fs_mkdir(const char *up, const char *path);

/* When we are root: give fd to the owner of the directory. 0 or -1. */
int fs_own(int fd, const char *dir);

/* Open-file-description lock on the whole file, never waits: 0, or -1 (EAGAIN: another has it). */
int fs_lock(int fd);
int fs_lock_shared(int fd);
void fs_unlock(int fd);

/* The whole of a small file, NUL-terminated: its length, or -1 with errno (EFBIG: over size -
 * 1). */
ssize_t fs_slurp(const char *path, char *dst, size_t size);

/* The files in a directory, by their names; "." and ".." and other hidden ones are left out. */
struct fs_dir {
	int fd;			/* -1: not open */
	int bad;		/* it could not be read to its end */
	int hidden;		/* names left out so far, with "." and ".." */
	long at, n;		/* in b */
	_Alignas(8) char b[2048];
};
int fs_diropen(struct fs_dir *d, const char *path);		/* not through a link; 0 or -1 */
/* The next name, or NULL at the end (then it is closed). */
const char *fs_dirnext(struct fs_dir *d);

/* Which state of a file is this? Equal stamps: nobody has changed it in between. */
struct stamp {
	uint64_t dev, ino;
	uint64_t size;
	int64_t mtime, ctime;	/* nanoseconds */
};
void fs_stamp(struct stamp *t, const struct stat *st);
int fs_same(const struct stamp *a, const struct stamp *b);

#endif
