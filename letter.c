/* See LICENSE file for copyright and licence details. */
/*
 * A letter on its way in: its envelope and text, in queue format (store.c), until letter_finish()
 * puts it into the journal. Small ones are in a pen only, others in a scratch file, spool/tmp/SLOT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "mail.h"
#include "store.h"

/*
 * What was written to a letter last stays here until it is too much or another letter wants the
 * pen: small letters need no scratch file, and others are written in large pieces.
 */
struct pen {
	struct letter *l;		/* whose it is; NULL: free */
	size_t n;
	char b[8192];
};

enum { PENS = 64 };

static struct pen pens[PENS];

const size_t letter_memory = sizeof(pens);

char *
letter_path(char path[PATH_TEXT], const struct letter *l)
{
	(void)snprintf(path, PATH_TEXT, "spool/tmp/%d", l->slot);
	return path;
}

int
letter_spill(struct letter *l)
{
	char path[PATH_TEXT];

	if (l->bad || !l->pen || !l->pen->n)
		return l->bad ? -1 : 0;
	if (l->fd < 0) {
		letter_path(path, l);
		l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (l->fd < 0 || fs_write(l->fd, l->pen->b, l->pen->n, l->size - (off_t)l->pen->n) < 0) {
		l->bad = R_TEMP;
		l->full = errno == ENOSPC || errno == EDQUOT;
		store_trouble("scratch");
		return -1;
	}
	l->pen->n = 0;
	return 0;
}

void
letter_unpen(struct letter *l)
{
	if (l->pen)
		l->pen->l = NULL;
	l->pen = NULL;
}

/* A pen for a letter: another one must finish with its own when there are too many. */
static void
take_pen(struct letter *l)
{
	static int next;
	struct pen *p = &pens[next];

	next = (next + 1) % PENS;
	if (p->l) {
		(void)letter_spill(p->l);	/* it knows of the trouble */
		letter_unpen(p->l);
	}
	p->l = l;
	p->n = 0;
	l->pen = p;
}

static void
append(struct letter *l, const char *p, size_t n)
{
	size_t k;

	if (!l->pen)
		take_pen(l);
	while (n && !l->bad) {
		k = sizeof(l->pen->b) - l->pen->n;
		if (!k) {
			(void)letter_spill(l);		/* it notes the trouble */
			continue;
		}
		k = k < n ? k : n;
		memcpy(l->pen->b + l->pen->n, p, k);
		l->pen->n += k;
		l->size += (off_t)k;
		p += k;
		n -= k;
	}
}

enum res
letter_begin(struct letter *l, int slot, const char *sender, size_t n, const char *params)
{
	char line[ADDR_TEXT + 8];
	int len;

	memset(l, 0, sizeof(*l));
	new_id(l->id);
	l->slot = slot;
	l->fd = -1;
	len = snprintf(line, sizeof(line), "F<%.*s>%s", (int)n, sender, *params ? " " : "");
	append(l, line, (size_t)len);
	append(l, params, strlen(params));
	append(l, "\n", 1);
	return l->bad;
}

enum res
letter_out(struct letter *l, const char *rcpt, size_t n, const char *params)
{
	if (l->size + ENVELOPE_SPARE > ENVELOPE_MAX)
		return R_PERM;
	append(l, "T<", 2);
	append(l, rcpt, n);
	append(l, *params ? "> " : ">", *params ? 2 : 1);
	append(l, params, strlen(params));
	append(l, "\n", 1);
	l->out = 1;
	return l->bad;
}

enum res
letter_rcpt(struct letter *l, const char *rcpt, size_t n, const struct user_set *to)
{
	char line[ADDR_TEXT + NAME_TEXT + 8];
	int i, len;

	for (i = 0; i < ACCOUNTS; i++) {
		if (!user_in(to, i) || user_in(&l->to, i))
			continue;
		if (l->size + ENVELOPE_SPARE > ENVELOPE_MAX)
			return R_PERM;
		len = snprintf(line, sizeof(line), "T<%.*s> %s\n", (int)n, rcpt, user_at(i)->name);
		append(l, line, (size_t)len);
		if (l->bad)
			return l->bad;
		l->to.bit[i / 8] |= (unsigned char)(1 << (i % 8));
	}
	return R_OK;
}

void
letter_text(struct letter *l, const char *p, size_t n)
{
	if (!l->text) {
		append(l, "\n", 1);
		l->text = l->size;
	}
	append(l, p, n);
	/*
	 * What is too large for the journal will be synced by itself: let the disk begin early. Its
	 * size may not have been declared, and as much again will be needed in the mailbox.
	 */
	if (l->size - l->pushed > (1 << 20)) {
		if (l->bad == R_OK && store_room((uint64_t)l->size / 2) != R_OK) {
			l->bad = R_TEMP;
			l->full = !store_broken();
		}
		(void)sync_file_range(l->fd, l->pushed, l->size - l->pushed, SYNC_FILE_RANGE_WRITE);
		l->pushed = l->size;
	}
}

const char *
letter_pen(const struct letter *l, size_t *n)
{
	*n = l->pen ? l->pen->n : 0;
	return l->pen ? l->pen->b : NULL;
}

long
letter_read(const struct letter *l, char *p, size_t n, uint64_t at)
{
	size_t pen_n;
	const char *pen = letter_pen(l, &pen_n);
	off_t from = (off_t)at, held = l->size - (off_t)pen_n;

	if (l->bad)
		return -1;
	if (from >= l->size)
		return 0;
	if (n > (uint64_t)(l->size - from))
		n = (size_t)(l->size - from);
	if (from >= held) {
		memcpy(p, pen + (from - held), n);
		return (long)n;
	}
	if (n > (uint64_t)(held - from))
		n = (size_t)(held - from);
	if (fs_read(l->fd, p, n, from) == 0)
		return (long)n;
	store_trouble("scratch");
	return -1;
}

/* For the last time: its file is of no use any more. */
void
letter_drop(struct letter *l)
{
	if (l->pending)
		(void)store_commit(1);
	if (l->fd >= 0 && !l->named && ftruncate(l->fd, 0) < 0)
		store_trouble("scratch");
	letter_abort(l);
}

void
letter_move(struct letter *dst, struct letter *src)
{
	letter_drop(dst);
	*dst = *src;
	if (dst->pen)
		dst->pen->l = dst;
	src->pen = NULL;
	src->fd = -1;
}

int
letter_alone(const struct letter *l)
{
	static const struct user_set nobody;

	return !l->out && !memcmp(&l->to, &nobody, sizeof(nobody));
}

void
letter_nobody(struct letter *l)
{
	memset(&l->to, 0, sizeof(l->to));
	l->out = 0;
}

void
letter_abort(struct letter *l)
{
	if (l->pending)
		(void)store_commit(1);
	letter_unpen(l);
	/* nothing that counts is in it, but a large one takes room on the disk */
	if (l->fd >= 0 && !l->named && (uint64_t)l->size > letter_small && ftruncate(l->fd, 0) < 0)
		store_trouble("scratch");
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}
