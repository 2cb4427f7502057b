/* See LICENSE file for copyright and licence details. */
/*
 * A letter in a session with another server: what must be known of its text, the envelope, the
 * text, and what the replies mean for each recipient.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/text.h"
#include "lib/vec.h"

enum { PIECE = 16384 };		/* of a letter read at once */

static struct dkim_sign signer;		/* is large: there is one for all */
static struct session *signing;		/* who has it, the first of the queue */
static char piece[PIECE];
static struct out_line line;

const size_t send_memory = sizeof(signer) + sizeof(piece) + sizeof(line);

/* ---- outcomes ---- */

static void
outcome(struct target *t, enum outcome o, const char *status, const char *words)
{
	if (t->outcome != O_NONE)
		return;
	t->outcome = o;
	(void)text_copy(t->status, sizeof(t->status), status, strlen(status));
	(void)snprintf(t->words, sizeof(t->words), "%s", words);
}

/* The same for all that have none yet. */
static void
outcomes(struct session *s, enum outcome o, const char *status, const char *words)
{
	int i;

	for (i = 0; i < s->s->n; i++)
		outcome(&s->s->to[i], o, status, words);
}

/* Has all of the final dot left, and is somebody without an answer to it? */
int
send_undecided(const struct session *s)
{
	return s->state == C_DOT && s->accepted && s->waiting && conn_room(s->c) == BUFSZ;
}

/* The letter is done with, all its recipients have an outcome. */
static void
sent(struct session *s)
{
	struct sending *l = s->s;

	s->s = NULL;
	s->state = C_IDLE;
	s->c->more = 0;
	s->u->sent(s->arg, l);
}

/* ---- the envelope in the file ---- */

/* Has a line octets that no command may have? */
static int
controls(const char *p)
{
	for (; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return 1;
	return 0;
}

/* Has it octets that are not ASCII? */
static int
high(const char *p)
{
	return !addr_ascii(p, strlen(p));
}

/* A line of the letter's envelope into `line`: 0 or -1. */
static int
fetch(const struct session *s, off_t at)
{
	if (out_line(s->s->fd, at, &line) > 0 && !controls(line.mailbox) && !controls(line.params))
		return 0;
	log_event(s->s->id, "client error=\"the envelope cannot be read\" at=%lld", (long long)at);
	return -1;
}

/* Hand a parameter of `line` on, if it is there and the server can read it. */
static void
pass(struct session *s, const char *key)
{
	const char *p;
	size_t n;

	p = out_param(&line, key, &n);
	if (!p || !n || !(addr_ascii(p, n) || (s->utf8 && s->can & CAN_UTF8)))
		return;
	conn_printf(s->c, " %s=", key);
	conn_put(s->c, p, n);
}

/* ---- the text before it is sent ---- */

/* Wait for the signer: 1 when we have it. */
static int
claim(struct session *s)
{
	struct session **q;

	if (signing == s)
		return 1;
	for (q = &signing; *q && *q != s; q = &(*q)->queue)
		;
	if (!*q) {
		*q = s;
		s->queue = NULL;
	}
	if (signing == s)
		dkim_init(&signer);
	return signing == s;
}

/* Let the next one have it. */
static void
unclaim(struct session *s)
{
	struct session **q;

	for (q = &signing; *q && *q != s; q = &(*q)->queue)
		;
	if (!*q)
		return;
	*q = s->queue;
	if (q == &signing && signing) {
		dkim_init(&signer);
		conn_work(signing->c);
	}
}

/* The whole of it cannot go: why. */
static void
refuse(struct session *s, enum outcome o, const char *status, const char *words)
{
	outcomes(s, o, status, words);
	sent(s);
}

/* An alias as xtext (RFC 3461 4) as a field; *to has room for it. Its length. */
static size_t
delivered_to(char to[ADDR_TEXT + 16], const char *p, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i, k = (size_t)snprintf(to, ADDR_TEXT, "Delivered-To: ");
	const char *h, *l;

	for (i = 0; i < n && k < ADDR_TEXT + 14; i++) {
		to[k] = p[i];
		if (p[i] == '+' && n - i > 2 &&
		    (h = strchr(hex, p[i + 1])) && (l = strchr(hex, p[i + 2]))) {
			to[k] = (char)((h - hex) << 4 | (l - hex));
			i += 2;
		}
		if ((unsigned char)to[k] >= 0x20 && to[k] != 0x7f)
			k++;
	}
	to[k++] = '\n';
	to[k] = '\0';
	return k;
}

/* What was forwarded says for whom it came here: so it is known if it comes again. */
static void
add_delivered(struct session *s)
{
	char to[ADDR_TEXT + 16];
	const char *p;
	size_t k, n;
	int i;

	for (i = 0; i < s->s->n; i++) {
		p = fetch(s, s->s->to[i].at) < 0 ? NULL : out_param(&line, "FORWARD", &n);
		if (!p)
			continue;
		k = delivered_to(to, p, n);
		if (memmem(s->field, s->nfield, to, k) || s->nfield + k > sizeof(s->field))
			continue;
		memmove(s->field + k, s->field, s->nfield);
		memcpy(s->field, to, k);
		s->nfield += k;
	}
}

/* What was learnt of the text decides whether it can go there. */
static void
ready(struct session *s)
{
	static const char eight[] = "the text has 8-bit characters, which the server does not take";
	static const char header[] = "the header needs SMTPUTF8, which the server does not offer";

	unclaim(s);
	s->at = 0;
	s->bol = 1;
	if (s->s->forward)
		add_delivered(s);
	if ((s->high_head | s->high_body) >> 7 && !(s->can & CAN_8BIT))
		refuse(s, O_FAILED, "5.6.3", eight);
	else if (s->utf8 && s->high_head >> 7 && !(s->can & CAN_UTF8))
		refuse(s, O_FAILED, "5.6.7", header);
	else
		s->state = C_ENVELOPE;
}

static void
scan(struct session *s, const char *p, size_t n)
{
	unsigned char all = 0;
	size_t i;

	for (i = 0; i < n && !s->body; i++) {
		s->body = p[i] == '\n' && s->last == '\n';
		s->last = (unsigned char)p[i];
		s->high_head |= s->last;
	}
	for (; i < n; i++)
		all |= (unsigned char)p[i];
	s->high_body |= all;
}

/* When the header is known: is there a key to sign with? */
static const br_rsa_private_key *
key(char domain[HOST_TEXT])
{
	return dkim_from(&signer, domain, HOST_TEXT) == 0 ? sign_key(domain) : NULL;
}

static void
finish_signature(struct session *s)
{
	const br_rsa_private_key *k;
	char domain[HOST_TEXT];
	long n;

	k = key(domain);
	n = k ? dkim_finish(&signer, s->field, domain, dkim_selector, k, mail_birth(s->s->id)) : -1;
	s->nfield = n > 0 ? (size_t)n : 0;
}

/* One piece of it: R_AGAIN, R_OK at the end, R_TEMP. */
static enum res
look(struct session *s)
{
	char domain[HOST_TEXT];
	off_t left = s->s->end - s->s->text - s->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;

	if (fs_read(s->s->fd, piece, n, s->s->text + s->at) < 0)
		return R_TEMP;
	s->at += (off_t)n;
	if (s->scan)
		scan(s, piece, n);
	if (s->sign)
		dkim_feed(&signer, piece, n);
	if (s->sign && !s->known && signer.in_body) {
		s->known = 1;
		s->sign = key(domain) != NULL;
	}
	if ((off_t)n < left && (s->scan || s->sign))
		return R_AGAIN;
	if (s->sign)
		finish_signature(s);
	return R_OK;
}

void
send_work(struct session *s)
{
	int64_t until = loop_ms() + SLICE_MS;
	enum res r;

	if (s->state != C_WORK || (s->sign && !claim(s)))
		return;
	do
		r = look(s);
	while (r == R_AGAIN && loop_ms() < until);
	if (r == R_AGAIN) {
		conn_work(s->c);
	} else if (r == R_OK) {
		ready(s);
	} else {
		unclaim(s);
		log_event(s->s->id, "client error=\"the text cannot be read\"");
		refuse(s, O_LATER, "4.3.0", "the letter cannot be read");
	}
}

/* Begin with a letter: what must be known of its text? */
void
send_take(struct session *s)
{
	size_t n;

	s->letters++;
	s->said = s->heard = s->tried = s->accepted = 0;
	s->known = s->body = s->high_head = s->high_body = 0;
	s->last = '\n';
	s->at = 0;
	s->nfield = 0;
	memset(s->asked, 0, sizeof(s->asked));
	s->state = C_WORK;
	if (fetch(s, 0) < 0) {
		refuse(s, O_LATER, "4.3.0", "the letter cannot be read");
		return;
	}
	s->utf8 = out_param(&line, "SMTPUTF8", &n) != NULL || high(line.mailbox);
	s->sign = out_param(&line, "BY", &n) != NULL;
	s->scan = !(s->can & CAN_8BIT) || (s->utf8 && !(s->can & CAN_UTF8));
	if (high(line.mailbox) && !(s->can & CAN_UTF8))
		refuse(s, O_FAILED, "5.6.7",
		    "the sender needs SMTPUTF8, not offered by the server");
	else if (s->scan || s->sign)
		conn_work(s->c);
	else
		ready(s);
}

/* ---- the envelope ---- */

static void
mail(struct session *s)
{
	char sender[ADDR_TEXT + 1];
	const char *p;
	size_t n;

	if (fetch(s, 0) < 0) {
		outcomes(s, O_LATER, "4.3.0", "the letter cannot be read");
		return;
	}
	(void)relay_sender(s->s, line.mailbox, sender);
	if (client_begin(s, C_ENVELOPE, client_reply) < 0)
		return;
	conn_printf(s->c, "MAIL FROM:<%s>", sender);
	if (s->can & CAN_SIZE)		/* about: without the CRs, RFC 1870 6.1 */
		conn_printf(s->c, " SIZE=%lld",
		    (long long)(s->s->end - s->s->text) + (long long)s->nfield);
	p = out_param(&line, "BODY", &n);
	if ((s->can & CAN_8BIT) && ((p && text_is(p, n, "8BITMIME")) ||
	    (s->high_head | s->high_body) >> 7))
		conn_printf(s->c, " BODY=8BITMIME");
	if ((s->can & CAN_UTF8) && s->utf8)
		conn_printf(s->c, " SMTPUTF8");
	if (s->can & CAN_DSN) {
		pass(s, "RET");
		pass(s, "ENVID");
	}
	conn_put(s->c, "\r\n", 2);
}

static void
rcpt(struct session *s, int i)
{
	struct target *t = &s->s->to[i];

	if (t->outcome != O_NONE)
		return;
	if (fetch(s, t->at) < 0) {
		outcome(t, O_LATER, "4.3.0", "the envelope cannot be read");
		return;
	}
	if (high(line.mailbox) && !(s->utf8 && s->can & CAN_UTF8)) {
		outcome(t, O_FAILED, "5.6.7", "the address needs SMTPUTF8");
		return;
	}
	if (client_begin(s, C_ENVELOPE, client_reply) < 0)
		return;
	s->asked[i] = 1;
	s->tried++;
	conn_printf(s->c, "RCPT TO:<%s>", line.mailbox);
	if (s->can & CAN_DSN) {
		pass(s, "NOTIFY");
		pass(s, "ORCPT");
	}
	conn_put(s->c, "\r\n", 2);
}

/* As long as not all are known to be refused, somebody may be accepted. */
static void
data(struct session *s)
{
	if (!s->tried || (!s->accepted && !s->waiting))
		return;
	if (client_begin(s, C_ENVELOPE, client_data) == 0)
		conn_put(s->c, "DATA\r\n", 6);
}

/* Say what can be said now. */
static void
envelope(struct session *s)
{
	while (!conn_busy(s->c) && s->said < s->s->n + 2) {
		if (s->waiting && !(s->can & CAN_PIPELINE))
			return;
		if (!s->said)
			mail(s);
		else if (s->said <= s->s->n)
			rcpt(s, s->said - 1);
		else
			data(s);
		s->said++;
	}
	if (!s->waiting && s->said == s->s->n + 2 && !s->c->dead) {
		outcomes(s, O_LATER, "4.5.0", "no answer");	/* there is none left */
		sent(s);
	}
}

/* ---- the text ---- */

/* CR LF for each LF, dots at line beginnings twice. There is no CR in a letter; if there were, it
 * does not leave. *n becomes what was eaten; room of 8 makes progress. */
static size_t
stuff(struct session *s, char *out, size_t room, const char *in, size_t *n)
{
	size_t i = 0, k, most, o = 0;

	while (i < *n && o + 4 <= room) {
		if (s->bol && in[i] == '.')
			out[o++] = '.';
		most = *n - i < room - 2 - o ? *n - i : room - 2 - o;
		k = vec_copy(out + o, in + i, most, '\r', '\n');
		i += k;
		o += k;
		s->bol = s->bol && !k;
		if (k == most)
			continue;
		if (in[i] == '\n') {
			out[o++] = '\r';
			out[o++] = '\n';
			s->bol = 1;
		}
		i++;
	}
	*n = i;
	return o;
}

/* All of it is out but the end. */
static void
finish(struct session *s)
{
	if (!s->bol)
		conn_put(s->c, "\r\n", 2);
	conn_put(s->c, ".\r\n", 3);
	s->c->more = 0;
	s->state = C_DOT;
	s->waiting = s->hop.route->protocol == ROUTE_LMTP ? s->accepted : 1;
	conn_limit(s->c, client_dot, client_dot);
	if (!s->waiting)
		sent(s);
}

/* The next piece of the field and the text behind it: its length; 0: it cannot be read. */
static size_t
source(struct session *s, size_t room)
{
	off_t end = (off_t)s->nfield + s->s->end - s->s->text;
	size_t n = end - s->at < (off_t)room ? (size_t)(end - s->at) : room;
	off_t at = s->at - (off_t)s->nfield;

	if (n > PIECE)
		n = PIECE;
	if (at >= 0)
		return fs_read(s->s->fd, piece, n, s->s->text + at) < 0 ? 0 : n;
	if (n > s->nfield - (size_t)s->at)
		n = s->nfield - (size_t)s->at;
	memcpy(piece, s->field + s->at, n);
	return n;
}

static void
text(struct session *s)
{
	off_t end = (off_t)s->nfield + s->s->end - s->s->text;
	size_t n, room;
	char *p;

	s->c->more = 1;
	while ((p = conn_space(s->c, &room)) && room >= 64) {
		if (s->at == end) {
			finish(s);
			return;
		}
		n = source(s, room);
		if (!n) {
			log_event(s->s->id, "client error=\"the text cannot be read\"");
			client_because(s, OVER_LOST, "4.3.0", "the letter cannot be read");
			conn_abort(s->c, "the letter cannot be read");
			return;
		}
		conn_used(s->c, stuff(s, p, room, piece, &n));
		s->at += (off_t)n;
	}
}

void
send_say(struct session *s)
{
	if (s->state == C_ENVELOPE)
		envelope(s);
	else
		text(s);
}

/* ---- what the replies mean ---- */

/* The reply decides for all that have no outcome. */
static void
verdict(struct session *s)
{
	outcomes(s, client_class(s), client_status(s), s->reply.words);
}

/* RFC 5321 4.5.3.1.10: 552 may be said where 452 is meant, for one recipient too many. */
static int
too_many(const struct session *s)
{
	return s->reply.code == 552 && s->accepted && (!s->reply.status[0] ||
	    !strncmp(s->reply.status, "5.5.3", sizeof("5.5.3")));
}

static void
rcpt_reply(struct session *s, int i)
{
	struct target *t = &s->s->to[i];

	if (client_class(s) == O_SENT)
		s->accepted += t->outcome == O_NONE;
	else if (too_many(s))
		outcome(t, O_LATER, "4.5.3", s->reply.words);
	else
		outcome(t, client_class(s), client_status(s), s->reply.words);
}

/* DATA was said: the text, or, as nobody is there to get it, a lone dot. */
static void
data_reply(struct session *s)
{
	if (s->reply.code != 354) {
		if (client_class(s) == O_SENT)
			client_breach(s, "no 354 to DATA");
		else
			verdict(s);
		return;
	}
	s->open = 0;
	s->state = C_TEXT;
	s->waiting = 0;
	if (!s->accepted)
		s->at = s->s->end - s->s->text + (off_t)s->nfield;
	conn_limit(s->c, client_block, smtp_data_total);
}

static void
envelope_reply(struct session *s)
{
	int n = s->s->n;

	if (s->reply.code / 100 == 3 && s->reply.code != 354) {
		client_breach(s, "unknown reply");
		return;
	}
	if (s->heard == 0) {
		s->heard = 1;
		s->open = client_class(s) == O_SENT;
		if (s->reply.code == 354)
			client_breach(s, "354 to MAIL");
		else if (!s->open)
			verdict(s);
		return;
	}
	while (s->heard <= n && !s->asked[s->heard - 1])
		s->heard++;
	if (s->heard > n)
		data_reply(s);
	else if (s->reply.code == 354)
		client_breach(s, "354 to RCPT");
	else
		rcpt_reply(s, s->heard++ - 1);
}

/* To the final dot; LMTP answers for each recipient that was accepted: only these have no outcome
 * yet. */
static void
dot_reply(struct session *s)
{
	int lmtp = s->hop.route->protocol == ROUTE_LMTP;
	struct target *t;
	int i;

	if (s->reply.code / 100 == 3) {
		s->waiting++;
		client_breach(s, "unknown reply");
		return;
	}
	for (i = 0; i < s->s->n; i++) {
		t = &s->s->to[i];
		if (t->outcome != O_NONE)
			continue;
		if (client_class(s) == O_SENT)
			t->dsn = s->can & CAN_DSN ? DSN_PROMISED : lmtp ? DSN_DELIVERED : DSN_NONE;
		outcome(t, client_class(s), client_status(s), s->reply.words);
		if (lmtp)
			break;
	}
	if (s->waiting)
		conn_limit(s->c, client_dot, client_dot);
	else
		sent(s);
}

/*
 * A reply within the text. A refusal is taken at its word: we break off before the final dot, and
 * nobody gets the letter.
 */
static void
early_reply(struct session *s)
{
	if (client_class(s) == O_SENT || s->reply.code / 100 == 3) {
		client_breach(s, "unexpected reply");
		return;
	}
	verdict(s);
	if (client_class(s) == O_FAILED)
		client_because(s, OVER_DONE, "", "");	/* the letter was bad, not the host */
	client_lost(s, "refused");
	conn_abort(s->c, "refused within the text");
}

void
send_reply(struct session *s)
{
	if (s->state == C_ENVELOPE)
		envelope_reply(s);
	else if (s->state == C_DOT && conn_room(s->c) == BUFSZ)
		dot_reply(s);
	else
		early_reply(s);
}

void
send_end(struct session *s)
{
	unclaim(s);
	if (!s->s)
		return;
	outcomes(s, O_LATER, s->status[0] == '4' ? s->status : "4.4.2", s->words);
	sent(s);
}
