/* See LICENSE file for copyright and licence details. */
/*
 * POP3 sessions over a real mailbox, for f_pop3.c and f_index.c: pop3.c, drop.c and box.c with
 * files in the present directory, and a peer in memory that says what the input says.
 */
#ifndef MAILDROP_H
#define MAILDROP_H

#include "house.h"
#include "check.h"
#include "lib/text.h"
#include "store.h"
#include "wire.h"

enum { BOX = 1 << 16, SHOWN = 12 };

static struct listener drop_row = { "::", 110, TLS_START, POP3, 1 };

const struct listener *
conn_listener(const struct conn *c)
{
	HOLDS(c);
	return &drop_row;
}

/* ---- the store ---- */

int
store_broken(void)
{
	return 0;
}

int
store_commit(int quiet)
{
	HOLDS(quiet);
	return 0;
}

int
store_checkpoint(void)
{
	return box_syncall();
}

int
store_cut(int user, uint64_t was, uint64_t size)
{
	HOLDS(user == 0 && size < was);
	return 0;
}

void
store_break(const char *what)
{
	HOLDS(!what);
}

void
store_trouble(const char *what)
{
	HOLDS(!what);
}

/* ---- logins ---- */

enum res
login_start(struct login *l)
{
	l->slot = user_login(l->sasl.name, strlen(l->sasl.name));
	if (l->slot == 0 && !strcmp(l->sasl.password, "secret"))
		return R_OK;
	return l->sasl.name[0] == 't' ? R_TEMP : R_AGAIN;
}

enum res
login_work(struct login *l, int *slot)
{
	HOLDS(l);
	*slot = -1;
	return R_PERM;
}

int64_t
guard_failed(const struct ip *peer)
{
	HOLDS(peer);
	return 1000;
}

void
guard_passed(const struct ip *peer)
{
	HOLDS(peer);
}

int
guard_repeats(const struct login *l, const struct ip *peer)
{
	HOLDS(l && peer);
	return l->sasl.name[0] == 'r';
}

int
limit_count(enum counted what, const struct ip *peer)
{
	HOLDS(what == C_LOGINS && peer);
	return 0;
}

int
limit_reached(enum counted what, const struct ip *peer)
{
	HOLDS(what == C_LOGINS && peer);
	return 0;
}

void
limit_gone(const struct ip *peer)
{
	HOLDS(peer);
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	memset(v, 0, sizeof(*v));
	return n && *p ? 0 : -1;
}

static struct transport drop_secret;

int
tls_start(struct conn *c)
{
	drop_secret = transport_plain;
	c->tp = &drop_secret;
	c->tls = &drop_secret;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tls ? "TLSv1.2" : NULL;
}

/* ---- the mailbox ---- */

static const char box_file[] = "mail/alice", index_file[] = "spool/index/alice";
static char after[BOX + 4096];
static size_t nafter;

/* A new file, and no index of it. */
static void
drop_fill(const void *p, size_t n)
{
	(void)unlink(box_file);
	(void)unlink(index_file);
	house_spill(box_file, p, n);
}

static void
drop_look(void)
{
	nafter = house_slurp(box_file, after, sizeof(after));
	HOLDS(access("mail/.alice.new", F_OK) < 0);
}

/* Once a process. */
static void
drop_start(void)
{
	static const char users[] = "alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n";

	(void)mkdir("mail", 0700);
	(void)mkdir("spool", 0700);
	(void)mkdir("spool/index", 0700);
	house_spill("users", users, sizeof(users) - 1);
	WIRE_LOOP(SESSIONS);
	HOLDS(user_load() == 0 && user_find("alice", 5) == 0);
	drop_init();
}

/* ---- a session ---- */

struct answer {
	size_t n;
	char b[WIRE_OUT];
};

static void
drop_session(struct answer *a, const char *in, size_t n, uint32_t seed)
{
	int fd = wire_socket(0, 0, 0), files = house_files();
	struct wire *w = wire_of(fd);
	struct conn *c;

	c = conn_new(fd, &pop3_kind, &transport_plain, 0);
	HOLDS(c && ip_parse(&c->peer, "198.51.100.7") == 0);
	wire_rest(NULL);
	(void)wire_say(w, in, n, seed, NULL);
	if (w->open)
		wire_hangup(w, NULL);
	a->n = w->nout;
	memcpy(a->b, w->out, a->n);
	HOLDS(conn_free() == SESSIONS);
	wire_ms += 200000;	/* a mailbox that was replaced is watched no longer */
	loop_clock();
	box_tick();
	HOLDS(store_checkpoint() == 0 && !box_used(0) && house_files() == files);
}

/* The line at *p without its CR LF, *p behind it; it ends so. */
static size_t
drop_line(const char **p, const char *end, const char **line)
{
	const char *e = memchr(*p, '\n', (size_t)(end - *p));

	HOLDS(e && e > *p && e[-1] == '\r');
	*line = *p;
	*p = e + 1;
	return (size_t)(e - 1 - *line);
}

/* A reply: "+OK", "-ERR" or "+ " and printable ASCII: 1, 0 or -1. */
static int
drop_reply(const char **p, const char *end)
{
	const char *l;
	size_t i, n = drop_line(p, end, &l);

	for (i = 0; i < n; i++)
		HOLDS(l[i] >= 0x20 && l[i] < 0x7f);
	HOLDS(n <= 510);
	if (n >= 3 && !memcmp(l, "+OK", 3))
		return 1;
	if (n >= 2 && !memcmp(l, "+ ", 2))
		return -1;
	HOLDS(n >= 4 && !memcmp(l, "-ERR", 4));
	return 0;
}

#endif
