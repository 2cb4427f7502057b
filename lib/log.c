/* See LICENSE file for copyright and licence details. */
/*
 * The log: one line an event on stderr, "TIME ID VERB key=value ...". A line is one write(2), so
 * that lines of several processes do not mix. Nothing can be done when it fails, so nothing is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "text.h"

enum { LINE = 1000 };

/* The characters that snprintf has really left in a buffer of so many bytes. */
static size_t
kept(int n, size_t size)
{
	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

void
log_event(const char *id, const char *fmt, ...)
{
	char line[LINE], date[DATE_TEXT];
	va_list ap;
	size_t n, i;
	int saved;

	saved = errno;
	text_utc(date, (int64_t)time(NULL));
	n = kept(snprintf(line, LINE, "%s %s ", date, id), LINE);
	va_start(ap, fmt);
	n += kept(vsnprintf(line + n, LINE - n, fmt, ap), LINE - n);
	va_end(ap);
	for (i = 0; i < n; i++) {
		if ((unsigned char)line[i] < 0x20)
			line[i] = '?';
	}
	line[n++] = '\n';	/* in place of the NUL */
	if (write(2, line, n) < 0)
		errno = saved;	/* there is nobody to tell */
	errno = saved;
}

void
die(int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;
	int saved;

	saved = errno;
	(void)fputs("maild: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	n = strlen(fmt);
	if (n && fmt[n - 1] == ':')
		(void)fprintf(stderr, " %s", strerror(saved));
	(void)fputc('\n', stderr);
	exit(code);
}

void
bug(const char *file, int line, const char *what)
{
	log_event("-", "bug at %s:%d: %s", file, line, what);
	abort();
}
