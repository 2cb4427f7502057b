/* See LICENSE file for copyright and licence details. */
/*
 * What fuzz targets of several rooms share: the settings of test/unit/t_rooms.h (named in their
 * second line), stand-ins for main() and the log, and files in the present directory, which
 * test/fuzz/run puts into memory.
 */
#ifndef HOUSE_H
#define HOUSE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "lib/log.h"
#include "mail.h"

uint64_t message_max = 50 << 20, quota, disk_reserve, inode_reserve;
uint64_t journal_size = 256 << 10, letter_small = 16 << 10;
int64_t smtp_idle = 300000, smtp_data_idle = 180000, smtp_data_total = 3600000;
int64_t session_total = 86400000, checkpoint_every = 1000, retry_locked = 5000;
int send_as_anyone;

char host[HOST_TEXT] = "mx.example.org";
const char version[] = "test";
int stopping;

/* ---- ids ---- */

static unsigned house_ids;

#define HOUSE_BIRTH "0006410f3a2b1"	/* the microseconds that begin an id */

char *
new_id(char dst[ID_TEXT])
{
	(void)snprintf(dst, ID_TEXT, HOUSE_BIRTH "%08x", ++house_ids);
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

/* ---- the log: each event is one line of printable ASCII, whatever peers and files say ---- */

static unsigned house_events;

void
log_event(const char *id, const char *fmt, ...)
{
	static char line[4096];
	int e = errno, i, n;
	va_list ap;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	HOLDS(id && *id && n > 0);
	for (i = 0; i < n && i < (int)sizeof(line) - 1; i++)
		HOLDS(line[i] >= 0x20 && line[i] < 0x7f);
	if (getenv("SHOW_LOG"))
		fprintf(stderr, "%s %s\n", id, line);
	house_events++;
	errno = e;
}

/* Where die() leads to; NULL: it must not be. */
static jmp_buf *house_exit;

void
die(int code, const char *fmt, ...)
{
	if (getenv("SHOW_LOG"))
		fprintf(stderr, "die: %s (%s)\n", fmt, strerror(errno));
	HOLDS(code && fmt && house_exit);
	longjmp(*house_exit, 1);
}

void
bug(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

/* ---- files ---- */

static inline void
house_spill(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	HOLDS(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

/* The whole of a file, its size or 0 if there is none. */
static inline size_t
house_slurp(const char *path, char *dst, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t k;
	size_t n = 0;

	if (fd < 0)
		return 0;
	while (n < size && (k = read(fd, dst + n, size - n)) > 0)
		n += (size_t)k;
	HOLDS(n < size && close(fd) == 0);
	dst[n] = '\0';
	return n;
}

/* How many descriptors are open? None may leak. */
static inline int
house_files(void)
{
	int fd = open("/dev/null", O_RDONLY);

	HOLDS(fd >= 0 && close(fd) == 0);
	return fd;
}

#endif
