/* See LICENSE file for copyright and licence details. */
/*
 * What an address may do in a time. Strangers are counted twice, by address and by network (/24 of
 * IPv4, /64 of IPv6), in a table of COUNTED entries by sets of TABLE_WAYS. The secret of spool/bans
 * chooses the set. When one is full, the entry that was used least recently gives way, those with
 * open connections last: who wants somebody forgotten has to bring about COUNTED others, blindly.
 *
 * Bans are rows of spool/bans, with their end as real time (lib/table.h). Who is banned costs a
 * look there and no entry. When a set is full, the ban that ends first gives way. A network can
 * fill few rows, since soon it is banned as a whole: then its addresses get no further.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "lib/log.h"

enum {
	/* what an entry stands for: one of these two for each stranger, .. */
	ADDRESS, NETWORK,
	HOST,			/* .. this one for who is trusted */
	TELL = 60000,		/* ms: who has too many connections is in the log once in .. */
	HOUR = 3600000
};

_Static_assert(COUNTED >= (int)TABLE_WAYS && !(COUNTED & (COUNTED - 1)),
    "COUNTED is not a power of two, or too small");

/* So many since then: a window begins with the first that falls into none. C_OPEN has no window. */
struct tally {
	int64_t since;			/* loop_now; of C_OPEN when the log was told */
	int n;
	int told;			/* the log knows that it was too many */
};

struct entry {
	unsigned char key[TABLE_KEY];
	int64_t used;			/* loop_now; 0: free */
	struct tally c[NCOUNTED];
};

/* A stranger. */
struct who {
	const struct ip *peer;
	unsigned char key[2][TABLE_KEY];
	struct entry *e[2];
};

static const char *const names[NCOUNTED] = {
	"open", "connects", "messages", "refused", "logins"
};

static struct entry entries[COUNTED];
static struct tally by_login[ACCOUNTS];
static struct table_row ban_rows[COUNTED];
static struct table bans = { .row = ban_rows, .n = COUNTED, .fd = -1 };
static const struct limit *row_of[NCOUNTED];

const size_t limit_memory = sizeof(entries) + sizeof(by_login) + sizeof(ban_rows);

/* ---- start ---- */

static void
check_row(const struct limit *l)
{
	int row = (int)(l - limits) + 1;

	if (l->counted >= NCOUNTED)
		die(EX_CONFIG, "config.h: limits[] row %d: what is counted?", row);
	if (row_of[l->counted])
		die(EX_CONFIG, "config.h: limits[] row %d: there is a row for it already", row);
	if (l->address < 0 || l->network < 0 || l->window < 0 || l->ban < 0 ||
	    l->ban / 1000 >= INT_MAX)
		die(EX_CONFIG, "config.h: limits[] row %d: a number cannot be", row);
	if (!l->window && l->counted != C_OPEN)
		die(EX_CONFIG, "config.h: limits[] row %d: it has no window", row);
}

void
limit_init(void)
{
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		check_row(&limits[i]);
		row_of[limits[i].counted] = &limits[i];
		if (bans.life < limits[i].ban / 1000 + 1)
			bans.life = (uint32_t)(limits[i].ban / 1000 + 1);
	}
	if (tarpit < 0 || tarpit_max < 0)
		die(EX_CONFIG, "config.h: tarpit is negative");
	random_bytes(bans.secret, sizeof(bans.secret));
	if (table_open(&bans, "spool/bans") < 0)
		log_event("-", "disk-trouble at=\"spool/bans\" error=\"%s\"", strerror(errno));
}

/* ---- entries ---- */

struct ip
limit_network(const struct ip *peer)
{
	struct ip net = *peer;
	size_t keep = ip_is4(peer) ? 15 : 8;

	memset(net.a + keep, 0, sizeof(net.a) - keep);
	return net;
}

static void
key_of(unsigned char key[TABLE_KEY], const struct ip *ip, int scope)
{
	unsigned char b[1 + sizeof(ip->a)];

	b[0] = (unsigned char)scope;
	memcpy(b + 1, ip->a, sizeof(ip->a));
	table_key(&bans, key, b, sizeof(b));
}

/* Who must stay has the highest. */
static int64_t
rank(const struct entry *e)
{
	return e->used + (e->c[C_OPEN].n ? INT64_MAX / 2 : 0);
}

/* The entry of a key. make: in place of another one, but not of `keep`. NULL: there is none. */
static struct entry *
entry_of(const unsigned char key[TABLE_KEY], int make, const struct entry *keep)
{
	struct entry *e, *end, *worst;
	uint32_t v;

	memcpy(&v, key, sizeof(v));
	e = &entries[(v & (COUNTED / TABLE_WAYS - 1)) * TABLE_WAYS];
	worst = e + (e == keep);
	for (end = e + TABLE_WAYS; e < end; e++) {
		if (e->used && !memcmp(e->key, key, TABLE_KEY))
			break;
		if (e != keep && rank(e) < rank(worst))
			worst = e;
	}
	if (e == end) {
		if (!make)
			return NULL;
		e = worst;
		memset(e, 0, sizeof(*e));
		memcpy(e->key, key, TABLE_KEY);
	}
	e->used = loop_now + 1;
	return e;
}

/* 0, or -1: it is no stranger. */
static int
identify(struct who *w, const struct ip *peer)
{
	struct ip net;

	if (guard_trusted(peer) >= 0)
		return -1;
	net = limit_network(peer);
	w->peer = peer;
	key_of(w->key[ADDRESS], peer, ADDRESS);
	key_of(w->key[NETWORK], &net, NETWORK);
	return 0;
}

static void
entries_of(struct who *w, int make)
{
	w->e[ADDRESS] = entry_of(w->key[ADDRESS], make, NULL);
	w->e[NETWORK] = entry_of(w->key[NETWORK], make, w->e[ADDRESS]);
}

/* ---- too many ---- */

static int
most(enum counted what, int scope)
{
	if (!row_of[what])
		return 0;
	return scope == ADDRESS ? row_of[what]->address : row_of[what]->network;
}

static int
banned(const struct who *w)
{
	return table_find(&bans, w->key[ADDRESS], loop_wall) ||
	    table_find(&bans, w->key[NETWORK], loop_wall);
}

static void
ban(const unsigned char key[TABLE_KEY], enum counted what, int64_t seconds)
{
	struct table_row *r = table_make(&bans, key, loop_wall, loop_wall + seconds);

	r->n = what;
	if (table_save(&bans, r) < 0)
		log_event("-", "disk-trouble at=\"spool/bans\" error=\"%s\"", strerror(errno));
}

/* One line, with the address first and nothing that a peer has written: fail2ban reads it. */
static void
abuse(const struct who *w, int scope, enum counted what, int n)
{
	char from[IP_TEXT], net[IP_TEXT], network[IP_TEXT + 16] = "";
	int64_t seconds = (row_of[what]->ban + 999) / 1000;
	struct tally *t = &w->e[scope]->c[what];
	struct ip ip;

	if (!seconds && t->told && (what != C_OPEN || loop_now - t->since < TELL))
		return;
	t->told = 1;
	if (what == C_OPEN)
		t->since = loop_now;
	if (seconds)
		ban(w->key[scope], what, seconds);
	if (scope == NETWORK) {
		ip = limit_network(w->peer);
		(void)snprintf(network, sizeof(network), " network=%s/%d", ip_text(net, &ip),
		    ip_is4(&ip) ? 24 : 64);
	}
	log_event("-", "abuse from=%s%s what=%s count=%d banned=%lld", ip_text(from, w->peer),
	    network, names[what], n, (long long)seconds);
}

/* One more: how many there are in its window. */
static int
tick(struct tally *t, int64_t window)
{
	if (!t->n || loop_now - t->since >= window) {
		t->since = loop_now;
		t->n = t->told = 0;
	}
	if (t->n < INT_MAX)
		t->n++;
	return t->n;
}

/* 0, or -1: n is more than the row allows. */
static int
check(const struct who *w, int scope, enum counted what, int n)
{
	if (!most(what, scope) || n <= most(what, scope))
		return 0;
	abuse(w, scope, what, n);
	return -1;
}

/* One more for the address, and, if that may, for its network: no address alone uses up what its
 * neighbours may do. 0, or -1: too many. */
static int
count(const struct who *w, enum counted what)
{
	int i;

	if (!row_of[what])
		return 0;
	for (i = ADDRESS; i <= NETWORK; i++)
		if (check(w, i, what, tick(&w->e[i]->c[what], row_of[what]->window)) < 0)
			return -1;
	return 0;
}

/* ---- what others ask ---- */

int
limit_connect(const struct ip *peer, const char **why)
{
	struct who w;
	int i;

	if (identify(&w, peer) < 0)
		return 0;
	*why = "banned";
	if (banned(&w))
		return -1;
	entries_of(&w, 1);
	*why = "too many connections in a short time";
	if (count(&w, C_CONNECTS) < 0)
		return -1;
	*why = "too many connections at once";
	for (i = ADDRESS; i <= NETWORK; i++)
		if (check(&w, i, C_OPEN, w.e[i]->c[C_OPEN].n + 1) < 0)
			return -1;
	for (i = ADDRESS; i <= NETWORK; i++)
		w.e[i]->c[C_OPEN].n++;
	return 0;
}

void
limit_gone(const struct ip *peer)
{
	struct who w;
	int i;

	if (identify(&w, peer) < 0)
		return;
	entries_of(&w, 0);
	for (i = ADDRESS; i <= NETWORK; i++)
		if (w.e[i] && w.e[i]->c[C_OPEN].n)
			w.e[i]->c[C_OPEN].n--;
}

int
limit_count(enum counted what, const struct ip *peer)
{
	struct who w;

	if (identify(&w, peer) < 0)
		return 0;
	if (banned(&w))
		return -1;
	entries_of(&w, 1);
	return count(&w, what);
}

int
limit_reached(enum counted what, const struct ip *peer)
{
	const struct tally *t;
	struct who w;
	int i;

	if (identify(&w, peer) < 0)
		return 0;
	if (banned(&w))
		return 1;
	entries_of(&w, 0);
	for (i = ADDRESS; i <= NETWORK; i++) {
		if (!w.e[i] || !most(what, i))
			continue;
		t = &w.e[i]->c[what];
		if (t->n > most(what, i) && loop_now - t->since < row_of[what]->window)
			return 1;
	}
	return 0;
}

int64_t
limit_tarpit(int n)
{
	int64_t ms = tarpit;

	for (; n > 1 && ms < tarpit_max; n--)
		ms *= 2;
	if (n < 1)
		return 0;
	return ms < tarpit_max ? ms : tarpit_max;
}

/* ---- recipients in an hour ---- */

/* The tally of a trusted address: all of IPv4, a /64 of IPv6. */
static struct tally *
tally_of(const struct ip *peer)
{
	struct ip host_ip = ip_is4(peer) ? *peer : limit_network(peer);
	unsigned char key[TABLE_KEY];

	key_of(key, &host_ip, HOST);
	return &entry_of(key, 1, NULL)->c[C_MESSAGES];
}

int
guard_spend(int user, const struct ip *peer)
{
	int row = user < 0 ? guard_trusted(peer) : -1, n;
	char ip[IP_TEXT];
	struct tally *t;

	n = user >= 0 ? login_hourly : row >= 0 ? trusted[row].hourly : 0;
	if (!n)
		return 0;
	t = user >= 0 ? &by_login[user] : tally_of(peer);
	if (tick(t, HOUR) <= n)
		return 0;
	if (!t->told)
		log_event("-", "limit from=%s user=%s recipients=%d note=\"no more this hour\"",
		    ip_text(ip, peer), user >= 0 ? user_at(user)->name : "-", n);
	t->told = 1;
	return -1;
}
