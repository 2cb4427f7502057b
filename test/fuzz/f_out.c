/* with: lib/fs.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Files of letters that wait for other servers. Any bytes: a file is taken for a letter only if a
 * plain reading of the format (relay.h) says so too, and then its lines are found where they are;
 * a mark changes one byte; the file is removed when nobody is left, and not before; after a crash
 * it is what the journal has, with marks or without.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "out.c"

enum { MOST = 1 << 15 };

static const char id[] = "0006410f3a2b100000001", path[] = "spool/out/0006410f3a2b100000001";
static char in[MOST], now[MOST + 1];

/* ---- what the others do ---- */

void
log_event(const char *id, const char *fmt, ...)
{
	HOLDS(id && fmt && !"an event");
}

void
store_trouble(const char *what)
{
	(void)what;
	HOLDS(!"trouble");
}

void
store_break(const char *what)
{
	(void)what;
	HOLDS(!"break");
}

int
store_mark(const char *letter, const void *p, size_t n)
{
	HOLDS(!strcmp(letter, id) && n == sizeof(struct mark) && p);
	return 0;
}

/* ---- a plain reading ---- */

/* A line of n octets without its end: is it one of the envelope? */
static int
is_line(const char *p, size_t n, int first)
{
	const char *close = n ? memrchr(p, '>', n) : NULL;

	return n < OUT_LINE && n >= 3 && !memchr(p, '\0', n) &&
	    memchr(first ? "FW" : "TD", *p, 2) &&
	    p[1] == '<' && close > p + 1 && (close == p + n - 1 || close[1] == ' ');
}

/* Where the text begins; 0: it is no letter. */
static size_t
plain(const char *p, size_t n)
{
	const char *lf;
	size_t at = 0, len;

	while (at < n) {
		lf = memchr(p + at, '\n', n - at);
		if (!lf)
			return 0;
		len = (size_t)(lf - (p + at));
		if (!len)
			return at ? at + 1 : 0;
		if (!is_line(p + at, len, !at))
			return 0;
		at += len + 1;
	}
	return 0;
}

/* ---- */

static int
put(const char *name, const char *p, size_t n)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	HOLDS(fd >= 0 && fs_write(fd, p, n, 0) == 0);
	return fd;
}

static void
params(const struct out_line *l)
{
	static const char *const keys[] = { "BY", "NOTIFY", "ORCPT", "HERE", "FORWARD", "x" };
	const char *p;
	size_t i, n;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		n = sizeof(l->text);
		p = out_param(l, keys[i], &n);
		if (!p)
			continue;
		HOLDS(p >= l->params && p + n <= l->params + strlen(l->params));
		HOLDS(!memchr(p, ' ', n) && (!p[n] || p[n] == ' '));
		HOLDS(n == 0 || p[-1] == '=');
		HOLDS(p - (n || p[-1] == '=') - strlen(keys[i]) >= l->params);
	}
}

/* All lines, one of them marked if it is a recipient for others: how many of those are left. */
static int
lines(int fd, size_t text, uint32_t which, off_t *marked)
{
	struct out_line l;
	off_t at = 0;
	int left = 0;
	long n;

	*marked = -1;
	while ((n = out_line(fd, at, &l)) > 0) {
		HOLDS((size_t)(at + n) < text && l.state == in[at] && in[at + n - 1] == '\n');
		HOLDS(l.mailbox == l.text + 2 &&
		    (!*l.params || (l.params > l.mailbox && l.params < l.text + n)));
		HOLDS(!memcmp(in + at + 2, l.mailbox, strlen(l.mailbox)));
		params(&l);
		if (l.state == 'T' && out_remote(&l)) {
			left++;
			if (which-- == 0) {
				*marked = at;
				left--;
			}
		}
		at += n;
	}
	HOLDS(n == 0 && (size_t)at + 1 == text);
	return left;
}

/* What the journal has comes back over whatever is there. */
static void
recovered(size_t n, size_t text, uint32_t seed)
{
	struct mail m = { .at = 0, .text = (off_t)text, .end = (off_t)n };
	size_t i, at = seed % n;
	ssize_t got;
	int any, fd;

	memcpy(m.id, id, sizeof(id));
	m.fd = put("spool/journal", in, n);
	memcpy(now, in, n);
	now[at] = (char)(now[at] ^ (seed >> 16 & 3 ? 'T' ^ 'D' : 1));
	(void)close(put(path, now, seed >> 18 & 7 ? n : at));
	any = goes_out(&m);
	HOLDS(out_recover(&m) == 0);
	(void)close(m.fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = pread(fd, now, sizeof(now), 0);
	HOLDS(fd >= 0 && got >= 0);
	(void)close(fd);
	if (!any)
		return;
	HOLDS((size_t)got == n);
	for (i = 0; i < n; i++)
		HOLDS(now[i] == in[i] || (i < text && ((in[i] == 'T' && now[i] == 'D') ||
		    (in[i] == 'F' && now[i] == 'W'))));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int made;
	off_t at, end, text;
	uint32_t seed;
	ssize_t got;
	int fd, left;

	seed = fuzz_seed(&data, &size) * 2654435761U;
	if (!size || size > sizeof(in))
		return 0;
	if (!made) {
		made = 1;
		HOLDS(!mkdir("spool", 0700) && !mkdir("spool/out", 0700) &&
		    !mkdir("spool/hold", 0700) && !mkdir("spool/tmp", 0700));
	}
	memcpy(in, data, size);
	(void)close(put(path, in, size));
	fd = out_open(id, 0, &text, &end);
	HOLDS((fd < 0 ? 0 : (size_t)text) == plain(in, size));
	if (fd < 0) {
		HOLDS(errno == EILSEQ);
		return 0;
	}
	HOLDS((size_t)end == size);
	left = lines(fd, (size_t)text, seed >> 24 & 3, &at);
	HOLDS(at < 0 || out_mark(id, fd, at, 'D') == 0);
	got = pread(fd, now, sizeof(now), 0);
	if (at >= 0)
		in[at] = 'D';
	HOLDS((size_t)got == size && !memcmp(now, in, size));
	HOLDS(out_finish(id, fd) == !left && (access(path, F_OK) == 0) == !!left);
	(void)close(fd);
	recovered(size, (size_t)text, seed);
	ntouched = dir_dirty = 0;	/* nothing is synced here */
	return 0;
}
