/* See LICENSE file for copyright and licence details. */
/*
 * Replies of an SMTP server, read strictly: RFC 5321 4.2, RFC 2034. Only whole lines are taken, so
 * nothing depends on how the input was cut.
 */
#include <string.h>

#include "reply.h"

void
reply_init(struct reply *r)
{
	r->code = r->lines = 0;
	r->nwords = 0;
	r->status[0] = r->words[0] = '\0';
}

static int
digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* "D.DDD.DDD" of a class, with a space or nothing behind it: its length; 0: there is none. */
static size_t
status(const char *p, size_t n, int class)
{
	size_t i = 1, first;
	int part;

	if (n < 5 || p[0] != '0' + class)
		return 0;
	for (part = 0; part < 2; part++) {
		if (i == n || p[i] != '.')
			return 0;
		first = ++i;
		while (i < n && i - first < 3 && digit(p[i]))
			i++;
		if (i == first)
			return 0;
	}
	return i == n || p[i] == ' ' ? i : 0;
}

static void
add(struct reply *r, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && r->nwords < sizeof(r->words) - 1; i++)
		r->words[r->nwords++] = (char)(p[i] < 0x20 || p[i] > 0x7e ? '?' : p[i]);
	r->words[r->nwords] = '\0';
}

/* The text of a line. The status code that servers repeat in each of them is kept once. */
static void
text(struct reply *r, const char *p, size_t n)
{
	size_t k = status(p, n, r->code / 100);

	if (k && !r->status[0]) {
		memcpy(r->status, p, k);
		r->status[k] = '\0';
	} else if (k && k < n && k == strlen(r->status) && !memcmp(p, r->status, k)) {
		p += k + 1;
		n -= k + 1;
	}
	if (n) {
		add(r, " ", 1);
		add(r, p, n);
	}
}

/* A line without its end. */
static enum reply_result
line(struct reply *r, const char *p, size_t n)
{
	int code;

	if (n < 3 || !digit(p[0]) || !digit(p[1]) || !digit(p[2]) || memchr(p, '\0', n))
		return REPLY_BAD;
	code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
	if (code < 200 || code > 599 || (n > 3 && p[3] != ' ' && p[3] != '-'))
		return REPLY_BAD;
	if (r->lines == REPLY_LINES || (r->lines && code != r->code))
		return REPLY_BAD;
	if (!r->lines)
		add(r, p, 3);
	r->code = code;
	text(r, p + (n > 3 ? 4 : 3), n > 3 ? n - 4 : 0);
	if (r->line)
		r->line(r->arg, p + (n > 3 ? 4 : 3), n > 3 ? n - 4 : 0);
	r->lines++;
	return n > 3 && p[3] == '-' ? REPLY_MORE : REPLY_READY;
}

enum reply_result
reply_feed(struct reply *r, const char *p, size_t *n)
{
	enum reply_result res = REPLY_MORE;
	size_t at = 0, len;
	const char *lf;

	while (res == REPLY_MORE && at < *n) {
		len = *n - at < REPLY_LINE ? *n - at : REPLY_LINE;
		lf = memchr(p + at, '\n', len);
		if (!lf) {
			if (len == REPLY_LINE)
				res = REPLY_BAD;
			break;
		}
		len = (size_t)(lf - (p + at));
		if (!len || lf[-1] != '\r') {
			res = REPLY_BAD;
			break;
		}
		res = line(r, p + at, len - 1);
		if (res != REPLY_BAD)
			at += len + 1;
	}
	*n = at;
	return res;
}
