/* See LICENSE file for copyright and licence details. */
/*
 * Mailboxes whose messages have numbers, sessions with them, and mail that comes in. For t_drop.c
 * and t_dele.c.
 */
#ifndef T_DROP_H
#define T_DROP_H

#include "rooms.h"

enum { SIZE = 1 << 22, MAX = 64 };

static struct drop d;
static char was[SIZE], now[SIZE];
static size_t nwas, nnow;
static int alice;

/* ---- mailboxes ---- */

static const char path[] = "mail/alice";

/* Message i of a mailbox: its length grows with i, so that no two are alike. */
static inline size_t
message(char *dst, int i)
{
	int k, n;

	n = snprintf(dst, 2048, "From m%d@x Sun Nov 22 01:00:00 2026\nMessage-ID: <%d>\n"
	    "Subject: s%d\n\n",
	    i, i, i);
	for (k = 0; k < i % 7; k++)
		n += snprintf(dst + n, 2048 - (size_t)n, "line %d of %d\n>From me\n", k, i);
	return (size_t)n + (size_t)snprintf(dst + n, 2048 - (size_t)n, "end of %d\n\n", i);
}

/* A mailbox of messages from to to - 1; what is set in `without` is left out. */
static inline size_t
mailbox(char *dst, int from, int to, const unsigned char *without)
{
	size_t n = 0;
	int i;

	for (i = from; i < to; i++)
		if (!without || !without[i])
			n += message(dst + n, i);
	return n;
}

static inline void
fresh(int n)
{
	char index[] = "spool/index/alice";

	CHECK_INT(store_checkpoint(), 0);
	(void)unlink(index);
	nwas = mailbox(was, 0, n, NULL);
	(void)unlink(path);
	if (n)
		spill(path, was, nwas);
}

static inline int
box_is(const char *want, size_t n)
{
	nnow = slurp(path, now, sizeof(now));
	return nnow == n && !memcmp(now, want, n);
}

/* ---- sessions ---- */

static inline enum drop_res
go_on(enum drop_res r)
{
	int i;

	for (i = 0; r == DROP_AGAIN && i < 100000; i++)
		r = drop_work(&d);
	if (r == DROP_AGAIN)
		(void)CHECK_MSG(0, "it does not end");
	return r;
}

static inline enum drop_res
start(void)
{
	return go_on(drop_open(&d, alice));
}

/* The number in the Subject of message i, from the mailbox itself; -1: not a message. */
static inline int
subject(uint32_t i)
{
	struct drop_msg m;
	char text[256], *p;
	ssize_t n;

	if (drop_msg(&d, i, &m) < 0 || m.m.text <= m.m.from || m.m.end < m.m.text)
		return -1;
	n = drop_read(&d, text, m.m.end - m.m.text < 255 ? (size_t)(m.m.end - m.m.text) : 255,
	    m.m.text);
	if (n < 0)
		return -1;
	text[n] = '\0';
	p = strstr(text, "\nSubject: s");
	return p && (!strncmp(text, "Message-ID: ", 12) || !strncmp(text, "Return-Path: ", 13)) ?
	    atoi(p + 11) : -1;
}

/* Are the messages those of the numbers first to last, without those that are marked? */
static inline void
check_messages(int first, int last, const unsigned char *without)
{
	struct drop_msg m;
	uint64_t octets = 0;
	uint32_t n = 0;
	int i;

	for (i = first; i < last; i++) {
		if (without && without[i])
			continue;
		if (!CHECK_INT(subject(n), i))
			return;
		if (drop_msg(&d, n, &m) == 0)
			octets += m.m.octets;
		CHECK_INT(drop_check(&d, &m), 0);
		CHECK(!drop_marked(&d, &m));
		n++;
	}
	CHECK_INT(d.n, n);
	CHECK_INT(d.octets, octets);
}

/* A mark in the index that only a new scan takes away: was the index used? */
static inline void
poison(void)
{
	struct drop_msg m;
	int fd = open("spool/index/alice", O_RDWR);
	off_t at = 80;		/* behind struct index_head */

	if (fd < 0 || fs_read(fd, &m, sizeof(m), at) < 0)
		abort();
	m.pad = 77;
	if (fs_write(fd, &m, sizeof(m), at) < 0 || close(fd) < 0)
		abort();
}

static inline int
poisoned(void)
{
	struct drop_msg m;

	return drop_msg(&d, 0, &m) == 0 && m.pad == 77;
}

/* A session that does nothing; was the index used? */
static inline int
index_used(int n)
{
	int used;

	CHECK_INT(start(), DROP_READY);
	CHECK_INT(d.n, n);
	check_messages(0, n, NULL);
	used = poisoned();
	drop_close(&d);
	return used;
}

static inline void
deliver(int i)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "X: y\nSubject: s%d\n\nend of %d\n", i, i);
	CHECK_INT(post("alice", NULL, text, strlen(text)), R_OK);
}

static inline void
foreign_append(int i)
{
	char text[2048];

	spill_behind(path, text, message(text, i));
}

/* ---- what is deleted ---- */

static inline int
pattern(int which, int i, int n)
{
	switch (which) {
	case 0: return 0;
	case 1: return 1;
	case 2: return i == 0;
	case 3: return i == n - 1;
	case 4: return i % 2 == 0;
	case 5: return i % 2 == 1;
	case 6: return i < n / 2;
	case 7: return i >= n / 2;
	case 8: return i > n / 3 && i < n / 2;
	case 9: return i != n / 2;
	case 10: return i % 13 == 5 || i > n - 3;
	}
	return -1;
}

enum { PATTERNS = 11 };

static inline void
mark(unsigned char *gone, int which, int n)
{
	int i;

	memset(gone, 0, 2 * MAX);
	for (i = 0; i < n; i++) {
		gone[i] = (unsigned char)pattern(which, i, n);
		if (gone[i])
			CHECK_INT(drop_mark(&d, (uint32_t)i), 0);
	}
}

/* ---- start ---- */

static inline void
drop_test_init(void)
{
	char users[ACCOUNTS * 64] = USERS;
	size_t n;
	int i;

	for (i = 2; i < ACCOUNTS; i++) {
		n = strlen(users);
		(void)snprintf(users + n, sizeof(users) - n,
		    "u%d:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n", i);
	}
	spill("users", users, strlen(users));
	drop_init();
	store_here();
	alice = user_find("alice", 5);
}

#endif
