/* See LICENSE file for copyright and licence details. */
/* What must hold of all that an SMTP server says, for f_smtp.c and others. */
#ifndef REPLIES_H
#define REPLIES_H

#include "fuzz.h"
#include "mail.h"

enum { LETTERS_MAX = 1 << 12 };

/* The letters that are synced, and may be acknowledged. */
static unsigned queued;
static char ids[LETTERS_MAX][ID_TEXT];

/* Some are taken and thrown away. */
static int discards;

static int
begins(const char *p, size_t n, const char *with)
{
	return n >= strlen(with) && !memcmp(p, with, strlen(with));
}

/*
 * Lines that end in CR LF, of printable ASCII, each with a code. How many letters it acknowledges:
 * those that are synced, in order.
 */
static unsigned
sound(const char *p, size_t n)
{
	const char *end = p + n, *e, *s;
	unsigned done = 0;
	int more = 0, code[3] = { 0, 0, 0 }, i;

	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		HOLDS(e && e - p >= 5 && e[-1] == '\r' && e - p < 600);
		for (s = p; s < e - 1; s++)
			HOLDS(*s >= 0x20 && *s < 0x7f);
		HOLDS(p[0] >= '2' && p[0] <= '5' && p[1] >= '0' && p[1] <= '5' && p[2] >= '0' &&
		    p[2] <= '9' && (p[3] == ' ' || p[3] == '-'));
		for (i = 0; i < 3; i++) {
			HOLDS(!more || code[i] == p[i]);
			code[i] = p[i];
		}
		more = p[3] == '-';
		if (!begins(p, (size_t)(e - p), "250 2.0.0 Ok: queued as "))
			continue;
		if (done < queued && begins(p + 24, (size_t)(e - p) - 24, ids[done])) {
			HOLDS((size_t)(e - 1 - p) == 24 + strlen(ids[done]));
			done++;
		} else {
			HOLDS(discards);
		}
	}
	HOLDS(!more && done <= queued);
	return done;
}

#endif
