/* See LICENSE file for copyright and licence details. */
/*
 * SMTP sessions as a whole, for f_smtp.c and f_submission.c: over made-up letters (store.c) that
 * are kept in memory, a peer that says what the input says, cut as it says, and what must hold of
 * all that it is told. The last two octets of the input are set aside: how it goes, and the
 * cutting; "\r\n" stands for the plain case.
 */
#ifndef LETTERS_H
#define LETTERS_H

#include "house.h"
#include "lib/addr.h"
#include "lib/text.h"
#include "replies.h"
#include "smtp.h"
#include "test/unit/t_welcome.h"
#include "wire.h"

enum { SAID = 1 << 14, TEXT = 1 << 17 };

/* How it goes. */
enum {
	GO_ROW = 3,		/* which listener */
	GO_FULL = 4,		/* the disk is full, when a letter begins */
	GO_BROKEN = 8,		/* trouble in its text */
	GO_UNSYNCED = 16,	/* or when it is synced */
	GO_SLOW = 32,		/* the sync comes only turns later */
	GO_POOR = 64,		/* few recipients in an hour, small messages, small mailboxes */
	GO_IP6 = 128
};
static int go;

static const struct listener *letters_row;

const struct listener *
conn_listener(const struct conn *c)
{
	HOLDS(c);
	return letters_row;
}

/* ---- one letter at a time ---- */

static struct {
	struct letter *l;	/* NULL: none has begun */
	int nrcpt, nout;
	int finished, turns;
	size_t n;
	char sender[ADDR_TEXT + 1];
	char text[TEXT];
} now;

/* What letters came of a session, beside those that are queued. */
static unsigned refused, began;
static int knows;		/* the session has logged in, or is trusted */
static const char *input;
static size_t ninput;

/* By the target: a letter is complete. */
static void letters_complete(const char *text, size_t n);

/* May mail go to a mailbox that is not ours, for a stranger? */
static int
may_leave(const char *rcpt, size_t n, const char *params)
{
	static const char *const forwards[] = {
		"a@one.example", "Bob@Two.example", "bob@TWO.example", "c@three.example"
	};
	const char *at = memrchr(rcpt, '@', n);
	size_t i;

	if (at && user_relays(at + 1, n - (size_t)(at + 1 - rcpt)))
		return 1;
	for (i = 0; i < sizeof(forwards) / sizeof(*forwards); i++)
		if (text_ieq(rcpt, n, forwards[i], strlen(forwards[i])))
			return strstr(params, "FORWARD=") != NULL;
	/* <postmaster> needs no domain */
	if (!at || user_owns(at + 1, n - (size_t)(at + 1 - rcpt)))
		return strstr(params, "HERE") != NULL;
	/* a bounce of what was forwarded */
	return !now.sender[0] && memmem(input, ninput, "0=", 2);
}

enum res
store_room(uint64_t size)
{
	HOLDS(size <= message_max);
	return go & GO_FULL ? R_TEMP : R_OK;
}

int
store_broken(void)
{
	return go & GO_FULL && go & GO_BROKEN;
}

enum res
letter_begin(struct letter *l, int slot, const char *sender, size_t n, const char *params)
{
	HOLDS(!now.l && slot >= 0 && slot < SESSIONS && n <= ADDR_TEXT);
	HOLDS(!n || (!memchr(sender, '\n', n) && !memchr(sender, 0, n)));
	HOLDS(!strpbrk(params, "\r\n>") && strlen(params) < 1200);
	memset(&now, 0, (size_t)((char *)now.text - (char *)&now));
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (go & GO_BROKEN && began % 3 == 2)
		return R_TEMP;
	now.l = l;
	if (n)
		memcpy(now.sender, sender, n);
	(void)new_id(l->id);
	l->size = (off_t)n + 8;
	began++;
	return R_OK;
}

enum res
letter_rcpt(struct letter *l, const char *rcpt, size_t n, const struct user_set *to)
{
	int i, some = 0;

	HOLDS(l == now.l && !now.finished && !l->text && n <= ADDR_TEXT);
	HOLDS(!memchr(rcpt, '\n', n) && !memchr(rcpt, '\r', n));
	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(to, i)) {
			HOLDS(user_at(i) && !user_at(i)->gone);
			l->to.bit[i / 8] |= (unsigned char)(1 << i % 8);
			some = 1;
		}
	/* some, or all of them are outside */
	now.nrcpt += some;
	l->size += (off_t)n + 16;
	HOLDS(l->size < ENVELOPE_MAX);
	return R_OK;
}

enum res
letter_out(struct letter *l, const char *rcpt, size_t n, const char *params)
{
	HOLDS(l == now.l && !now.finished && !l->text && n && n <= ADDR_TEXT);
	HOLDS(!memchr(rcpt, '\n', n) && !memchr(rcpt, '\r', n) && !strpbrk(params, "\r\n>"));
	HOLDS(knows || may_leave(rcpt, n, params));
	HOLDS(++now.nout <= RECIPIENTS);
	l->out = 1;
	l->size += (off_t)(n + strlen(params)) + 5;
	HOLDS(l->size < ENVELOPE_MAX);
	return R_OK;
}

void
letter_text(struct letter *l, const char *p, size_t n)
{
	HOLDS(l == now.l && !now.finished && (p || !n));
	HOLDS(now.nrcpt + now.nout > 0);
	if (!l->text)
		l->text = l->size;
	l->size += (off_t)n;
	if (n >= sizeof(now.text) - now.n || (go & GO_BROKEN && now.n + n > 600)) {
		l->bad = R_TEMP;
		l->full = go & GO_POOR;
	}
	if (l->bad)
		return;
	memcpy(now.text + now.n, p, n);
	now.n += n;
}

void
letter_finish(struct letter *l)
{
	HOLDS(l == now.l && !now.finished && l->text && l->done && !l->bad);
	now.finished = 1;
	l->pending = 1;
	HOLDS(!memchr(now.text, '\r', now.n));
	letters_complete(now.text, now.n);
}

/* It is synced now: only here may somebody be told so. */
static void
letters_sync(void)
{
	struct letter *l = now.l;
	enum res r = go & GO_UNSYNCED ? R_TEMP : R_OK;

	l->pending = 0;
	now.finished = 0;
	if (r == R_OK) {
		HOLDS(queued < LETTERS_MAX);
		memcpy(ids[queued++], l->id, ID_TEXT);
	} else {
		refused++;
	}
	l->done(l, r);
}

void
letter_drop(struct letter *l)
{
	letter_abort(l);
}

void
letter_abort(struct letter *l)
{
	if (l == now.l && now.l && now.finished)
		letters_sync();
	if (l == now.l)
		now.l = NULL;
	memset(&l->to, 0, sizeof(l->to));
	l->text = l->size = 0;
	l->bad = R_OK;
	l->pending = l->out = 0;
}

/* Only rules throw letters away. */
int
letter_alone(const struct letter *l)
{
	HOLDS(l == now.l && now.nrcpt + now.nout > 0);
	return 0;
}

uint64_t
box_size(int user)
{
	HOLDS(user_at(user));
	return 100;
}

static int
letters_commit(int quiet)
{
	(void)quiet;
	if (!now.l || !now.finished)
		return 0;
	if (go & GO_SLOW && ++now.turns < 4)
		return 1;
	letters_sync();
	return 0;
}

/* ---- TLS, that is none ---- */

static struct transport letters_secret;

int
tls_start(struct conn *c)
{
	letters_secret = transport_plain;
	c->tp = &letters_secret;
	c->tls = &letters_secret;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	return c->tls ? "TLS_SUITE" : NULL;
}

/* ---- a session ---- */

struct answer {
	size_t n;
	unsigned queued, refused, began;
	int ended;
	char b[WIRE_OUT];
};

static struct answer whole, cut;

static void
letters_session(struct answer *a, const char *p, size_t n, uint32_t seed)
{
	struct ip ip;
	struct conn *c;
	struct wire *w;
	int fd = wire_socket(0, 0, 0);

	queued = refused = began = 0;
	now.l = NULL;
	house_ids = 0;
	input = p;
	ninput = n;
	c = conn_new(fd, &smtp_kind, &transport_plain, 0);
	HOLDS(c && ip_parse(&ip, go & GO_IP6 ? "2001:db8::7" : "198.51.100.7") == 0);
	c->peer = ip;
	if (letters_row->tls == TLS_WRAP)
		HOLDS(tls_start(c) == 0);
	w = wire_of(fd);
	wire_rest(letters_commit);
	a->ended = wire_say(w, p, n, seed, letters_commit) || c->closing;
	if (w->open)
		wire_hangup(w, letters_commit);
	HOLDS(!now.l && conn_free() == SESSIONS && !w->open);
	a->n = w->nout;
	memcpy(a->b, w->out, w->nout);
	a->queued = queued;
	a->refused = refused;
	a->began = began;
	HOLDS(sound(w->out, w->nout) == queued);
	HOLDS(begins(a->b, a->n, "220 "));
}

/* The same whatever the cuts, but where it matters whether something comes behind STARTTLS. */
static void
letters_compare(void)
{
	if (memmem(whole.b, whole.n, "554 5.5.1 Nothing may follow STARTTLS", 37) ||
	    memmem(cut.b, cut.n, "220 2.0.0 Go ahead", 18))
		return;
	if (whole.n != cut.n || memcmp(whole.b, cut.b, cut.n))
		fprintf(stderr, "whole:\n%.*scut:\n%.*s", (int)whole.n, whole.b, (int)cut.n,
		    cut.b);
	HOLDS(whole.n == cut.n && !memcmp(whole.b, cut.b, cut.n));
	HOLDS(whole.ended == cut.ended && whole.queued == cut.queued);
	HOLDS(whole.refused == cut.refused && whole.began == cut.began);
}

/* Takes the last two octets off; the seed of the cuts. */
static uint32_t
letters_go(const uint8_t *data, size_t *size)
{
	uint32_t seed = 1;

	go = 0;
	if (*size >= 2) {
		go = data[*size - 2] ^ '\r';
		seed = 1 + (data[*size - 1] ^ '\n');
		*size -= 2;
	}
	message_max = go & GO_POOR ? 1500 : 50 << 20;
	quota = go & GO_POOR ? 1200 : 0;
	return seed;
}

#endif
