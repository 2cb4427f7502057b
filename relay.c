/* See LICENSE file for copyright and licence details. */
/*
 * Mail on its way out: which letter when, to which host.
 *
 * A letter of spool/out is due retry_step * n * n after its birth, which its name tells: nothing is
 * kept about attempts. A walk over the directory takes up the letters that have become due since
 * the walk before; new ones are taken up at once. For each destination (a domain, or a row of
 * routes[] with a host) of a letter there is a job; sessions with a destination's host take its
 * jobs one after the other. What becomes of them is in outcome.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/idn.h"
#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"

enum {
	HASH = 4096,
	WALK = 64,		/* names in a slice of the walk */
	GIVE_UPS = 16,		/* jobs without a host in a slice */
	LOSSES = 3,		/* sessions in a row that broke off: then the host rests */
	PROBES = (CLIENTS + 1) / 2,	/* sessions at once with hosts that may never answer */
	AGAIN_MS = 100,		/* when something that is full may have room */
	SLOW_MS = 1000		/* a session with a job for so long is not waited for */
};

enum { NO_ROW = -1, HERE = -2 };	/* HERE: delivered already, but its sender wants to know */

struct job {
	char id[ID_TEXT];
	int dest;
	int next;		/* of the destination, or of the free ones; -1: the last */
	int chain;		/* of the hash by id */
	off_t at;		/* recipients before this line are dealt with */
	int forward;		/* those with FORWARD are left */
};

struct dest {
	char domain[ADDR_DOMAIN + 1];	/* "" with a row that names a host */
	int row;			/* of routes[], NO_ROW or HERE */
	int used;
	int chain;			/* of the hash by domain */
	int head, tail;			/* jobs that wait, -1 */
	int waiting, sessions;
	int well;		/* it has greeted us: more than one session may be begun */
	int most;		/* that many; PER_HOST, or fewer if it has refused one more */
	int address;			/* of way, the one to try */
	/* bits: addresses that did not answer, that cannot do TLS */
	unsigned bad, clear;
	int losses;
	int64_t rest;			/* no attempt before that */
	char status[STATUS_TEXT], words[WORDS];		/* why it rests */
	struct way way;
};

struct session {
	struct dest *d;			/* NULL: free */
	int job;			/* in hand, -1: none */
	int64_t since;			/* loop_now when it was taken up */
	int address, letters;
	int probe;			/* of a destination that is not yet known to be well */
	int ready;			/* s is its next sending */
	struct hop hop;
	struct sending s;
};

static struct job jobs[ACTIVE];
static int by_id[HASH];
static int free_job, fresh_job, njobs;	/* those from fresh_job on were never used: no memory yet */
static struct dest dests[DESTINATIONS];
static int by_domain[HASH];
static struct session sessions[CLIENTS];
static int probes;
static int spare;		/* destinations that can be had for others, at least */
static struct sending given_up;
static struct {
	struct fs_dir dir;
	int on;
	int64_t from, to;	/* real time: due after the one, not after the other */
	int64_t since;		/* what was due up to then has been taken up */
	int64_t missed;		/* there was no room for letters that were due after this */
	/* those from here on are new: to this walk, the next */
	char first[ID_TEXT], firsts[ID_TEXT];
	int64_t next;		/* the next one is due */
	char only[ADDR_DOMAIN + 1];	/* flush: just this domain */
} walk;
static const int64_t never = INT64_MAX / 4000;	/* real time that is not reached */
static const char none[ID_TEXT] = "g";		/* behind all ids */
static int poked;		/* a destination wants to be looked at */
static int64_t poke_at;
static int next_dest;

const size_t relay_memory = sizeof(jobs) + sizeof(dests) + sizeof(sessions) +
    sizeof(given_up);

/* ---- times ---- */

int64_t
relay_due(const char *id)
{
	return relay_busy(id) ? 0 : outcome_due(id, loop_wall);
}

/* ---- destinations ---- */

static unsigned
hash(const char *s, unsigned h)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619;
	return h;
}

static void
poke(void)
{
	poked = 1;
}

/* Nothing is to be done for it. */
static int
idle(const struct dest *d)
{
	return !d->waiting && !d->sessions && d->way.state != WAY_ASKING;
}

static void
unchain_dest(int i)
{
	int *p = &by_domain[hash(dests[i].domain, (unsigned)dests[i].row) % HASH];

	while (*p != i)
		p = &dests[*p].chain;
	*p = dests[i].chain;
}

static int
new_dest(int row, const char *domain)
{
	static int next;
	struct dest *d;
	int *p, i, n;

	/* if need be one that rests */
	for (n = 0; n < 2 * DESTINATIONS; n++, next = (next + 1) % DESTINATIONS)
		if (idle(&dests[next]) && (n >= DESTINATIONS || dests[next].rest <= loop_now))
			break;
	if (n == 2 * DESTINATIONS)
		return -1;
	i = next;
	next = (next + 1) % DESTINATIONS;
	d = &dests[i];
	if (d->used)
		unchain_dest(i);
	memset(d, 0, sizeof(*d));
	d->used = 1;
	d->row = row;
	d->most = PER_HOST;
	d->head = d->tail = -1;
	(void)text_copy(d->domain, sizeof(d->domain), domain, strlen(domain));
	p = &by_domain[hash(domain, (unsigned)row) % HASH];
	d->chain = *p;
	*p = i;
	return i;
}

/* The domain of a mailbox as the DNS and routes[] have it; "" if there is no such name. */
static void
domain_of(char dst[ADDR_DOMAIN + 1], const char *mailbox)
{
	const char *at = strrchr(mailbox, '@');

	if (!at || idn_ascii(dst, ADDR_DOMAIN + 1, at + 1, strlen(at + 1)) < 0)
		dst[0] = '\0';
}

/* The destination of a recipient: its index; -1: not known, or with `make` no room. */
static int
dest_of(const char *sender, const struct out_line *l, int make)
{
	char domain[ADDR_DOMAIN + 1];
	size_t n;
	int i, row;

	domain_of(domain, l->mailbox);
	row = out_param(l, "HERE", &n) ? HERE : route_row(sender, domain);
	if (row == HERE || (row >= 0 && routes[row].host[0]))
		domain[0] = '\0';
	for (i = by_domain[hash(domain, (unsigned)row) % HASH]; i >= 0; i = dests[i].chain)
		if (dests[i].row == row && !strcmp(dests[i].domain, domain))
			return i;
	return make ? new_dest(row, domain) : -1;
}

/* ---- jobs ---- */

static int *
bucket(const char *id)
{
	return &by_id[hash(id, 0) % HASH];
}

/* A job of this letter, for the destination or for any (-1). */
static int
job_of(const char *id, int dest)
{
	int i;

	for (i = *bucket(id); i >= 0; i = jobs[i].chain)
		if (!strcmp(jobs[i].id, id) && (dest < 0 || jobs[i].dest == dest))
			return i;
	return -1;
}

int
relay_busy(const char *id)
{
	return job_of(id, -1) >= 0;
}

/* At the end of the destination's line, or, for one that goes on, at its head. */
static void
wait_in_line(int i, int first)
{
	struct dest *d = &dests[jobs[i].dest];

	jobs[i].next = first ? d->head : -1;
	if (d->head < 0)
		d->head = d->tail = i;
	else if (first)
		d->head = i;
	else
		d->tail = jobs[d->tail].next = i;
	d->waiting++;
	spare--;
	poke();
}

/* 0, or -1: there is no room. */
static int
add_job(const char *id, int dest)
{
	int i = free_job;

	if (dest < 0 || njobs == ACTIVE)
		return -1;
	if (job_of(id, dest) >= 0)
		return 0;
	if (i < 0)
		i = fresh_job++;
	else
		free_job = jobs[i].next;
	njobs++;
	(void)text_copy(jobs[i].id, ID_TEXT, id, strlen(id));
	jobs[i].dest = dest;
	jobs[i].at = 0;
	jobs[i].forward = 0;
	jobs[i].chain = *bucket(id);
	*bucket(id) = i;
	wait_in_line(i, 0);
	return 0;
}

static void
end_job(int i)
{
	int *p = bucket(jobs[i].id);

	while (*p != i)
		p = &jobs[*p].chain;
	*p = jobs[i].chain;
	jobs[i].next = free_job;
	free_job = i;
	njobs--;
}

/* The next job of a destination, out of its line, or -1. */
static int
take_job(struct dest *d)
{
	int i = d->head;

	if (i >= 0) {
		d->head = jobs[i].next;
		if (d->head < 0)
			d->tail = -1;
		d->waiting--;
	}
	return i;
}

/* No room for it now: the next walk takes it up. */
static void
miss(const char *id)
{
	if (mail_birth(id) - 1 < walk.missed)
		walk.missed = mail_birth(id) - 1;
	if (strcmp(id, walk.firsts) < 0)
		(void)text_copy(walk.firsts, ID_TEXT, id, strlen(id));
	if (walk.next > loop_wall + 1)
		walk.next = loop_wall + 1;
}

/* Make jobs for a letter's recipients (only: of that domain, if it is not ""): 0; -1: no room for
 * some. */
static int
take_up(const char *id, const char *only)
{
	char sender[ADDR_DOMAIN + 1] = "", domain[ADDR_DOMAIN + 1];
	struct out_line l;
	off_t at = 0, end, text;
	int any = 0, fd, r = 0;
	long n;

	fd = out_open(id, 0, &text, &end);
	if (fd < 0) {
		if (errno != ENOENT)
			log_event(id, "unreadable file=spool/out/%s error=\"%s\"",
			    id, strerror(errno));
		return 0;
	}
	while ((n = out_line(fd, at, &l)) > 0) {
		domain_of(domain, l.mailbox);
		if (at == 0)
			(void)text_copy(sender, sizeof(sender), domain, strlen(domain));
		at += n;
		if (l.state != 'T' || !out_remote(&l))
			continue;
		any = 1;
		if (*only && strcmp(domain, only) != 0)
			continue;
		if (add_job(id, dest_of(sender, &l, 1)) < 0)
			r = -1;
	}
	if (!any)
		(void)out_finish(id, fd);	/* a crash came between */
	(void)close(fd);	/* only read from */
	return r;
}

void
relay_new(const char *id)
{
	if (id) {
		/* behind one that waits for the next walk, which would take up both */
		if (walk.missed != never || take_up(id, "") < 0)
			miss(id);
		return;
	}
	if (walk.since > loop_wall - retry_step / 1000)
		walk.since = loop_wall - retry_step / 1000;
	walk.firsts[0] = '\0';
	walk.next = loop_wall;
}

/* Something of the letter is left: the walk must come by when it is due. */
static void
wait_for(const char *id)
{
	int64_t due = outcome_due(id, loop_wall);

	if (due < walk.next)
		walk.next = due;
}

/* 1: nothing of the letter is left; 0. */
static int
conclude(struct sending *s, const char *where)
{
	if (outcome_conclude(s, where))
		return 1;
	wait_for(s->id);
	return 0;
}

/* ---- sendings ---- */

/* The next recipients of a job as a sending: 1; 0: there are none left. */
static int
collect(struct sending *s, struct job *j)
{
	char sender[ADDR_DOMAIN + 1] = "";
	struct out_line l;
	size_t np;
	off_t at = 0;
	long n;

	memcpy(s->id, j->id, ID_TEXT);
	s->n = 0;
	s->forward = j->forward;
	s->fd = out_open(j->id, 0, &s->text, &s->end);
	if (s->fd < 0)
		return 0;
	while (s->n < RECIPIENTS && (n = out_line(s->fd, at, &l)) > 0) {
		if (at == 0)
			domain_of(sender, l.mailbox);
		else if (at >= j->at && l.state == 'T' && out_remote(&l) &&
		    dest_of(sender, &l, 0) == j->dest &&
		    !out_param(&l, "FORWARD", &np) == !s->forward) {
			memset(&s->to[s->n], 0, sizeof(s->to[0]));
			s->to[s->n++].at = at;
		}
		at += n;
	}
	j->at = at;
	if (s->n)
		return 1;
	(void)close(s->fd);	/* only read from */
	s->fd = -1;
	return 0;
}

/* The next sending of a job, also those that were forwarded: 1 or 0. */
static int
next_sending(struct sending *s, struct job *j)
{
	while (!collect(s, j)) {
		if (j->forward)
			return 0;
		j->forward = 1;
		j->at = 0;
	}
	return 1;
}

/* No host is to take a destination's letters: the same outcome for all recipients of a job. */
static void
give_up(int i, enum outcome o, const char *status, const char *words)
{
	struct sending *s = &given_up;
	int k;

	while (next_sending(s, &jobs[i])) {
		for (k = 0; k < s->n; k++) {
			s->to[k].outcome = o;
			s->to[k].dsn = o == O_SENT ? DSN_DELIVERED : DSN_NONE;
			(void)text_copy(s->to[k].status, STATUS_TEXT, status, strlen(status));
			(void)text_copy(s->to[k].words, WORDS, words, strlen(words));
		}
		if (conclude(s, "-"))
			break;
	}
	end_job(i);
}

/* ---- sessions ---- */

static void
finish_job(struct session *x)
{
	end_job(x->job);
	x->job = -1;
}

/* The next sending of the job in hand, or the job's end. */
static void
prepare(struct session *x)
{
	x->ready = next_sending(&x->s, &jobs[x->job]);
	if (!x->ready)
		finish_job(x);
}

/* It is no probe any more, or is over. */
static void
unprobe(struct session *x)
{
	probes -= x->probe;
	x->probe = 0;
}

static struct sending *
session_next(void *arg)
{
	struct session *x = arg;

	if (x->probe) {
		unprobe(x);
		x->d->well = 1;
		poke();
	}
	if (x->letters)
		x->d->losses = 0;	/* it is there after a letter */
	if (stopping || store_broken())
		return NULL;
	x->since = loop_now;
	while (!x->ready && (x->job = take_job(x->d)) >= 0)
		prepare(x);
	x->ready = 0;
	return x->job >= 0 ? &x->s : NULL;
}

static void
session_sent(void *arg, struct sending *s)
{
	struct session *x = arg;

	x->letters++;
	if (conclude(s, x->hop.host))
		finish_job(x);
	else
		prepare(x);
}

/* Leave a destination alone for a while; who waits for it is told why. */
static void
rest(struct dest *d, const char *status, const char *words)
{
	d->rest = loop_now + host_rest;
	d->well = 0;
	d->most = PER_HOST;
	d->address = d->losses = 0;
	d->bad = d->clear = 0;
	if (d->way.state != WAY_ASKING)		/* a question under way stays where it is */
		d->way.state = WAY_NONE;
	(void)text_copy(d->status, sizeof(d->status), status, strlen(status));
	if (d->status[0] == '5')
		d->status[0] = '4';	/* of the host, not of the recipient */
	if (d->status[0] != '4')
		(void)text_copy(d->status, sizeof(d->status), "4.4.1", 5);
	(void)text_copy(d->words, sizeof(d->words), words, strlen(words));
}

/* The next address that is not known to be bad, or rest. */
static void
another(struct session *x, const char *status, const char *words)
{
	struct dest *d = x->d;
	int i;

	d->well = 0;
	d->bad |= 1U << x->address;
	for (i = 0; i < d->way.n && d->bad & 1U << i; i++)
		;
	d->address = i;
	if (i == d->way.n)
		rest(d, status, words);
}

/* A sending that was not begun waits for another session. */
static void
put_back(struct session *x)
{
	struct job *j;

	if (!x->ready)
		return;
	j = &jobs[x->job];
	(void)close(x->s.fd);	/* only read from */
	j->at = x->s.to[0].at;
	j->forward = x->s.forward;
	wait_in_line(x->job, 1);
	x->ready = 0;
	x->job = -1;
}

static void
session_over(void *arg, enum over why, const char *status, const char *words)
{
	struct session *x = arg;
	struct dest *d = x->d;
	char t[2 * WORDS];

	put_back(x);
	unprobe(x);
	d->sessions--;
	if (why != OVER_DONE)
		log_event("-", "host=%s ended=\"%s\"", x->hop.host,
		    text_escape(t, sizeof(t), words, strlen(words)));
	if (why == OVER_TLS && x->hop.route->tls == ROUTE_MAY && !x->hop.clear)
		d->clear |= 1U << x->address;
	else if (why == OVER_CONNECT && d->well && d->sessions)
		d->most = d->sessions;		/* the others go on: it was one too many */
	else if (why == OVER_CONNECT || why == OVER_TLS)
		another(x, status, words);
	else if (why == OVER_LOGIN ||
	    ((why == OVER_LOST || (!x->letters && d->waiting)) && ++d->losses >= LOSSES))
		rest(d, status, words);
	x->d = NULL;
	poke();
}

static const struct client_user user = { session_next, session_sent, session_over };

/* 0, or -1: there is no room. */
static int
begin(struct dest *d)
{
	struct session *x;
	int i;

	for (i = 0; i < CLIENTS && sessions[i].d; i++)
		;
	if (i == CLIENTS || (!d->well && probes >= PROBES))
		return -1;
	x = &sessions[i];
	x->address = d->address < d->way.n ? d->address : 0;
	x->job = -1;
	x->letters = x->ready = 0;
	route_hop(&x->hop, &d->way, x->address);
	x->hop.clear = (d->clear & 1U << x->address) != 0;
	x->d = d;
	if (client_start(&x->hop, &user, x) < 0) {
		x->d = NULL;
		return -1;
	}
	x->probe = !d->well;
	probes += x->probe;
	d->sessions++;
	return 0;
}

/* ---- what a destination needs ---- */

static void
found(struct way *w)
{
	(void)w;
	poke();
}

static void
try_again(void)
{
	if (!poke_at)
		poke_at = loop_now + AGAIN_MS;
}

/* Who waits for a destination where nothing is to be sent to, for now or ever: 1 when some are
 * left. */
static int
let_down(struct dest *d, int *left)
{
	const char *status = d->way.status, *words = d->way.words;
	enum outcome o = O_LATER;

	if (d->row == HERE) {
		o = O_SENT;
		status = "2.0.0";
		words = "delivered to the mailbox";
	} else if (d->row == NO_ROW) {
		o = O_FAILED;
		status = "5.4.4";
		words = "no row of routes[] fits";
	} else if (d->rest > loop_now) {
		status = d->status;
		words = d->words;
	} else if (d->way.state == WAY_NEVER) {
		o = O_FAILED;
	}
	d->sessions++;		/* a report is a new letter, and must not get this slot */
	for (; d->waiting && *left; --*left)
		give_up(take_job(d), o, status, words);
	d->sessions--;
	return d->waiting;
}

/* The sessions of a destination that will ask for a job soon, as far as one can know. */
static int
soon_free(const struct dest *d)
{
	int i, n = 0;

	for (i = 0; d->sessions && i < CLIENTS; i++)
		n += sessions[i].d == d &&
		    (sessions[i].job < 0 || loop_now < sessions[i].since + SLOW_MS);
	return n;
}

static void
serve(struct dest *d, int *left)
{
	struct way *w = &d->way;
	int most;

	if (!d->waiting || w->state == WAY_ASKING)
		return;
	if (w->state != WAY_NONE && w->until <= loop_now && !d->sessions) {
		w->state = WAY_NONE;
		d->address = 0;
		d->bad = d->clear = 0;
		d->most = PER_HOST;
	}
	if (d->rest > loop_now || d->row < 0 || w->state == WAY_LATER || w->state == WAY_NEVER) {
		if (let_down(d, left))
			poke();
		return;
	}
	if (w->state == WAY_NONE && route_find(w, d->row, d->domain, found) < 0) {
		try_again();
		return;
	}
	if (w->state != WAY_OPEN) {
		if (w->state != WAY_ASKING)
			poke();
		return;
	}
	most = d->well ? d->most : 1;
	while (d->sessions < most && soon_free(d) < d->waiting) {
		if (client_count() >= CLIENTS || begin(d) < 0)
			break;
	}
	if (d->sessions < most)
		try_again();
}

static void
serve_all(void)
{
	int i, left = GIVE_UPS;

	for (i = 0; i < DESTINATIONS && !(poked && !left); i++) {
		serve(&dests[next_dest], &left);
		next_dest = (next_dest + 1) % DESTINATIONS;
	}
}

/* ---- the walk ---- */

static int
is_id(const char *name)
{
	return strlen(name) == ID_TEXT - 3 && strspn(name, "0123456789abcdef") == ID_TEXT - 3;
}

static void
begin_walk(void)
{
	if (fs_diropen(&walk.dir, "spool/out") < 0) {
		log_event("-", "disk-trouble at=\"spool/out\" error=\"%s\"", strerror(errno));
		walk.next = loop_wall + 60;
		return;
	}
	walk.on = 1;
	if (walk.missed < walk.since)
		walk.since = walk.missed;
	walk.from = *walk.only ? 0 : walk.since;
	memcpy(walk.first, walk.firsts, ID_TEXT);
	if (*walk.only)
		walk.first[0] = '\0';
	else
		memcpy(walk.firsts, none, ID_TEXT);
	walk.to = loop_wall;
	walk.next = walk.missed = never;
}

static void
end_walk(void)
{
	walk.on = 0;
	if (!*walk.only)
		walk.since = walk.to;
	else
		walk.next = loop_wall;		/* for the others */
	walk.only[0] = '\0';
}

/* Is a letter for this walk? The first attempt was made when it came, mostly. */
static int
is_due(const char *id)
{
	int64_t b = mail_birth(id), from = walk.from;

	if (strcmp(id, walk.first) < 0 && b > from && b <= walk.to)
		from = b;
	return outcome_due(id, from) <= walk.to;
}

/* Is there room for a letter, whoever its recipients are? */
static int
room(void)
{
	int i;

	if (spare <= RECIPIENTS)
		for (i = spare = 0; i < DESTINATIONS; i++)
			spare += idle(&dests[i]);
	return spare > RECIPIENTS && ACTIVE - njobs > RECIPIENTS;
}

static void
walk_on(void)
{
	const char *id;
	int64_t due;
	int i;

	for (i = 0; i < WALK && room(); i++) {
		id = fs_dirnext(&walk.dir);
		if (!id) {
			end_walk();
			return;
		}
		if (!is_id(id))
			continue;
		if (is_due(id))
			(void)take_up(id, walk.only);
		due = outcome_due(id, walk.to);
		if (due < walk.next)
			walk.next = due;
	}
}

/* ---- from outside ---- */

void
relay_init(void)
{
	int i;

	for (i = 0; i < HASH; i++)
		by_id[i] = by_domain[i] = -1;
	for (i = 0; i < DESTINATIONS; i++)
		if (dests[i].used)
			memset(&dests[i], 0, sizeof(dests[i]));
	free_job = -1;
	fresh_job = njobs = 0;
	walk.dir.fd = -1;
	walk.since = loop_wall - retry_step / 1000;	/* the newest may never have been tried */
	walk.firsts[0] = '\0';
	walk.next = loop_wall;
	walk.missed = never;
	store_out = relay_new;
}

int
relay_tick(int wait)
{
	static int64_t last;
	int64_t ms;

	if (store_broken())
		return wait;		/* nothing that is sent could be noted */
	if (loop_wall < last - 60)
		relay_new(NULL);	/* the clock was put back */
	last = loop_wall;
	if (!walk.on && walk.next <= loop_wall)
		begin_walk();
	if (walk.on)
		walk_on();
	if (poked || (poke_at && poke_at <= loop_now)) {
		poked = 0;
		poke_at = 0;
		serve_all();
	}
	if (poked || (walk.on && room()))
		return 0;
	if (poke_at && poke_at - loop_now < wait)
		wait = (int)(poke_at - loop_now);
	ms = walk.on ? wait : (walk.next - loop_wall) * 1000;
	return ms < wait ? (int)(ms > 0 ? ms : 0) : wait;
}

/* Forget what is known against a destination (of a domain, or all). */
static void
refresh(const char *domain)
{
	struct dest *d;
	int i;

	for (i = 0; i < DESTINATIONS; i++) {
		d = &dests[i];
		if (!d->used || (domain && *d->domain && strcmp(d->domain, domain) != 0))
			continue;
		d->rest = 0;
		if (d->way.state == WAY_LATER || d->way.state == WAY_NEVER)
			d->way.state = WAY_NONE;
	}
}

int
relay_flush(const char *what)
{
	off_t text, end;
	int fd;

	if (what && is_id(what)) {
		if (out_release(what) < 0 && errno != ENOENT)
			return -1;
		fd = out_open(what, 0, &text, &end);
		if (fd < 0)
			return -1;
		(void)close(fd);	/* only looked at */
		refresh(NULL);
		if (take_up(what, "") == 0)
			return 1;
		errno = EBUSY;
		return -1;
	}
	if (what && strlen(what) >= sizeof(walk.only)) {
		errno = EINVAL;
		return -1;
	}
	refresh(what);
	if (*walk.only && what && strcmp(walk.only, what) != 0)
		what = NULL;		/* both, and so all */
	if (walk.on) {
		(void)close(walk.dir.fd);	/* only read from */
		if (!*walk.only && strcmp(walk.first, walk.firsts) < 0)
			memcpy(walk.firsts, walk.first, ID_TEXT);
	}
	walk.on = 0;
	(void)text_copy(walk.only, sizeof(walk.only), what ? what : "", what ? strlen(what) : 0);
	if (!what) {
		walk.since = 0;
		walk.firsts[0] = '\0';
	}
	walk.next = loop_wall;
	return 0;
}

int
relay_drop(const char *id, int tell)
{
	if (!relay_busy(id))
		return outcome_drop(&given_up, id, tell);
	errno = EBUSY;
	return -1;
}
