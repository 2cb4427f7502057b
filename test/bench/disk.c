/* See LICENSE file for copyright and licence details. */
/*
 * What the disk under a directory can do at best: synced appends of 2 KiB by one writer, the same
 * into blocks that exist already, many letters behind one sync, and new files synced and renamed.
 * disk DIR [MS]: prints "name value" lines, in operations a second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LETTER = 2048, AREA = 8 << 20 };

static char data[1 << 18];
static double span = 1.0;

static void
die(const char *what)
{
	(void)fprintf(stderr, "disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
put(int fd, size_t n, off_t at)
{
	if (pwrite(fd, data, n, at) != (ssize_t)n)
		die("write");
}

static int
make(const char *name)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die(name);
	return fd;
}

static void
done(int fd, const char *name)
{
	if (close(fd) < 0 || unlink(name) < 0)
		die(name);
}

/* One writer: n bytes at the end of a file, a sync, and so on. */
static void
append(const char *title, size_t n)
{
	int fd = make("bench.append");
	double start = now();
	long k = 0;
	off_t at = 0;

	while (now() - start < span) {
		put(fd, n, at);
		if (fdatasync(fd) < 0)
			die("fdatasync");
		at += (off_t)n;
		k++;
	}
	(void)printf("%s %.0f\n", title, (double)k / (now() - start));
	done(fd, "bench.append");
}

/* The same into blocks that are there already, as a journal of a fixed size does. */
static void
overwrite(const char *title, size_t n, int letters)
{
	int fd = make("bench.over");
	double start;
	long k = 0;
	off_t at;

	for (at = 0; at < AREA; at += (off_t)sizeof(data))
		put(fd, sizeof(data), at);
	if (fsync(fd) < 0)
		die("fsync");
	at = 0;
	start = now();
	while (now() - start < span) {
		put(fd, n, at);
		if (fdatasync(fd) < 0)
			die("fdatasync");
		at += (off_t)n;
		if (at + (off_t)n > AREA)
			at = 0;
		k += letters;
	}
	(void)printf("%s %.0f\n", title, (double)k / (now() - start));
	done(fd, "bench.over");
}

/* A file for each letter: made, written, synced, renamed. */
static void
files(void)
{
	char name[64];
	double start = now(), t;
	long k = 0, i;
	int fd;

	while (now() - start < span) {
		fd = make("bench.tmp");
		put(fd, LETTER, 0);
		if (fsync(fd) < 0 || close(fd) < 0)
			die("fsync");
		(void)snprintf(name, sizeof(name), "bench.new.%ld", k++);
		if (rename("bench.tmp", name) < 0)
			die("rename");
	}
	t = now() - start;
	for (i = 0; i < k; i++) {
		(void)snprintf(name, sizeof(name), "bench.new.%ld", i);
		if (unlink(name) < 0)
			die(name);
	}
	(void)printf("files_2k %.0f\n", (double)k / t);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 64;
	if (argc > 2)
		span = (double)strtol(argv[2], NULL, 10) / 1000;
	if (chdir(argv[1]) < 0)
		die(argv[1]);
	(void)memset(data, 'x', sizeof(data));
	append("append_2k", LETTER);
	append("append_100k", 100 << 10);
	overwrite("overwrite_2k", LETTER, 1);
	overwrite("overwrite_10x2k", (size_t)10 * LETTER, 10);
	overwrite("overwrite_100x2k", (size_t)100 * LETTER, 100);
	files();
	return 0;
}
