/* See LICENSE file for copyright and licence details. */
/*
 * One session with another server, SMTP or LMTP: letters are asked for one by one, and each recipient
 * gets its outcome. `input` reads replies, `drain` says what comes next:
 *
 *	C_CONNECT, C_GREETING, C_EHLO, C_HELO, C_STARTTLS, C_SHAKE, C_AUTH, C_LOGIN, C_NAME,
 *	C_PASSWORD	what was said last, until a letter may come
 *	C_IDLE		the next letter is taken, or QUIT
 *	C_RSET		a transaction that led to nothing is undone
 *	C_WORK		in slices: is there 8-bit text, and the DKIM signature
 *	C_ENVELOPE	MAIL, RCPT and DATA, with PIPELINING ahead of their replies
 *	C_TEXT, C_DOT	the text, and what is said to it
 *	C_QUIT		last words
 *
 * `waiting` is the number of replies that are owed to us. A reply that nobody has asked for ends the
 * session: all later ones would be taken for answers to something else. However it ends, end() gives
 * those recipients an outcome that have none.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/dkim.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/reply.h"
#include "lib/text.h"
#include "lib/vec.h"
#include "relay.h"

enum {
	LETTERS = 100,		/* of one session */
	PIECE = 16384,		/* of a letter read at once */
	SECRETS = 8192		/* octets of the file `secrets` */
};

enum state {
	C_CONNECT, C_GREETING, C_EHLO, C_HELO, C_STARTTLS, C_SHAKE, C_AUTH, C_LOGIN, C_NAME,
	C_PASSWORD, C_IDLE, C_RSET, C_WORK, C_ENVELOPE, C_TEXT, C_DOT, C_QUIT
};

/* What a server can do. */
enum {
	CAN_PIPELINE = 1, CAN_SIZE = 2, CAN_8BIT = 4, CAN_UTF8 = 8, CAN_DSN = 16, CAN_TLS = 32,
	CAN_PLAIN = 64, CAN_LOGIN = 128
};

enum asked { A_NOT, A_ASKED, A_ACCEPTED };

struct session {
	struct conn *c;			/* NULL: the session is free */
	const struct client_user *u;
	void *arg;
	struct hop hop;
	char id[ID_TEXT];
	enum state state;
	unsigned can;
	int tls;			/* it is up */
	int waiting;
	struct reply reply;

	int ended;			/* the next three are known */
	enum over over;
	char status[STATUS_TEXT];
	char words[WORDS];

	struct sending *s;		/* the letter, or NULL */
	int letters;			/* so far */
	int open;			/* the server has a transaction */
	int said, heard;		/* 0: MAIL, then the recipients; n + 1: DATA; n + 2: all */
	int asked_for, accepted;	/* recipients */
	unsigned char asked[RECIPIENTS];

	int scan, sign, known;		/* C_WORK: look for 8-bit text; sign; there is a key */
	int queued;			/* it waits for the signer */
	int body;			/* the blank line has been seen */
	unsigned char last;		/* octet */
	unsigned char high_head, high_body;	/* all octets or'ed */
	int utf8;			/* SMTPUTF8 was said */
	off_t at;			/* in the field and the text behind it */
	int bol;			/* a line begins */
	size_t nfield;
	char field[DKIM_FIELD];		/* DKIM-Signature */
};

/* What a session that breaks off in a state means. */
static const struct {
	const char *when, *status;
	enum over over;
} ways[] = {
	[C_CONNECT]  = { "while connecting", "4.4.1", OVER_CONNECT },
	[C_GREETING] = { "before the greeting", "4.4.2", OVER_CONNECT },
	[C_EHLO]     = { "after EHLO", "4.4.2", OVER_CONNECT },
	[C_HELO]     = { "after HELO", "4.4.2", OVER_CONNECT },
	[C_STARTTLS] = { "after STARTTLS", "4.7.5", OVER_TLS },
	[C_SHAKE]    = { "in the TLS handshake", "4.7.5", OVER_TLS },
	[C_AUTH]     = { "after AUTH", "4.4.2", OVER_LOGIN },
	[C_LOGIN]    = { "after AUTH", "4.4.2", OVER_LOGIN },
	[C_NAME]     = { "after AUTH", "4.4.2", OVER_LOGIN },
	[C_PASSWORD] = { "after AUTH", "4.4.2", OVER_LOGIN },
	[C_IDLE]     = { "between letters", "4.4.2", OVER_DONE },
	[C_RSET]     = { "after RSET", "4.4.2", OVER_DONE },
	[C_WORK]     = { "before MAIL", "4.4.2", OVER_LOST },
	[C_ENVELOPE] = { "after MAIL, RCPT or DATA", "4.4.2", OVER_LOST },
	[C_TEXT]     = { "within the text", "4.4.2", OVER_LOST },
	[C_DOT]      = { "after the final dot", "4.4.2", OVER_LOST },
	[C_QUIT]     = { "after QUIT", "4.4.2", OVER_DONE }
};

static struct session pool[CLIENTS];
static int count;
static struct dkim_sign signer;		/* is large: there is one for all */
static struct session *signing;		/* who has it */
static char piece[PIECE];
static struct out_line line;

const size_t client_memory = sizeof(pool) + sizeof(signer) + sizeof(piece) + sizeof(line);

/* ---- how it ends ---- */

/* The first reason counts. */
static void
because(struct session *s, enum over over, const char *status, const char *words)
{
	if (s->ended)
		return;
	s->ended = 1;
	s->over = over;
	(void)text_copy(s->status, sizeof(s->status), status, strlen(status));
	(void)snprintf(s->words, sizeof(s->words), "%s", words);
}

/* With QUIT. */
static void
leave(struct session *s, enum over over, const char *status, const char *words)
{
	because(s, over, status, words);
	s->state = C_QUIT;
	conn_put(s->c, "QUIT\r\n", 6);
	conn_close(s->c, "quit");
}

/* Has all of the final dot left, and is somebody without an answer to it? */
static int
undecided(const struct session *s)
{
	return s->state == C_DOT && s->waiting && conn_room(s->c) == BUFSZ;
}

/* It broke off, as the state says. */
static void
lost(struct session *s, const char *what)
{
	char words[WORDS];

	if (undecided(s))
		(void)snprintf(words, sizeof(words), "connection lost after the final dot");
	else
		(void)snprintf(words, sizeof(words), "%s %s", what, ways[s->state].when);
	because(s, ways[s->state].over, ways[s->state].status, words);
}

/* The other server does not keep to the protocol. */
static void
breach(struct session *s, const char *what)
{
	char raw[80];
	const char *p;
	size_t n;

	p = conn_in(s->c, &n);
	log_event(s->id, "client to=%s breach=\"%s\" input=\"%s\"", s->hop.host, what,
	    text_escape(raw, sizeof(raw), p, p ? n : 0));
	lost(s, what);
	conn_abort(s->c, what);
}

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

/* Let another session have the signer. */
static void
unclaim(struct session *s)
{
	int i;

	s->queued = 0;
	if (signing != s)
		return;
	signing = NULL;
	for (i = 0; i < CLIENTS; i++) {
		if (!pool[i].c || !pool[i].queued)
			continue;
		pool[i].queued = 0;
		conn_work(pool[i].c);
		return;
	}
}

static void
end(struct conn *c)
{
	struct session *s = c->session;
	char ip[IP_TEXT], words[WORDS];

	lost(s, c->why ? c->why : "ended");
	(void)text_escape(words, sizeof(words), s->words, strlen(s->words));
	if (s->s && undecided(s))
		log_event(s->s->id, "possible-duplicate to=%s[%s] reason=\"%s\"", s->hop.host,
		    ip_text(ip, &s->hop.ip), c->why);
	if (s->over != OVER_DONE)
		log_event(s->id, "client to=%s[%s] port=%d over words=\"%s\"", s->hop.host,
		    ip_text(ip, &s->hop.ip), s->hop.port, words);
	unclaim(s);
	if (s->s) {
		outcomes(s, O_LATER, s->status[0] == '4' ? s->status : "4.4.2", s->words);
		sent(s);
	}
	s->c = NULL;
	count--;
	s->u->over(s->arg, s->over, s->status, s->words);
}

/* ---- saying ---- */

/*
 * A command begins: its state, and how long its reply may take. Something that was said before we
 * have asked is not its answer.
 */
static int
begin(struct session *s, enum state state, int64_t ms)
{
	size_t n;

	if (!s->waiting && conn_in(s->c, &n)) {
		breach(s, "unexpected reply");
		return -1;
	}
	s->state = state;
	s->waiting++;
	conn_limit(s->c, ms, ms);
	return 0;
}

static void
say(struct session *s, enum state state, const char *verb, const char *arg)
{
	if (begin(s, state, client_reply) == 0)
		conn_printf(s->c, "%s%s%s\r\n", verb, *arg ? " " : "", arg);
}

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
	unsigned char all = 0;

	for (; *p; p++)
		all |= (unsigned char)*p;
	return all >> 7;
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

/* Hand a parameter of `line` on, if it is there. */
static void
pass(struct session *s, const char *key)
{
	const char *p;
	size_t n;

	p = out_param(&line, key, &n);
	if (!p || !n)
		return;
	conn_printf(s->c, " %s=", key);
	conn_put(s->c, p, n);
}

/* ---- greeting, TLS, AUTH ---- */

static void
hello(struct session *s)
{
	s->can = 0;
	say(s, C_EHLO, s->hop.route->protocol == ROUTE_LMTP ? "LHLO" : "EHLO", host);
}

/* The words of the AUTH line. */
static void
mechanisms(struct session *s, const char *p, size_t n)
{
	const char *space;
	size_t k;

	for (; n; p += k, n -= k) {
		space = memchr(p, ' ', n);
		k = space ? (size_t)(space - p) : n;
		if (text_is(p, k, "PLAIN"))
			s->can |= CAN_PLAIN;
		if (text_is(p, k, "LOGIN"))
			s->can |= CAN_LOGIN;
		if (k < n)
			k++;
	}
}

/* A line of a reply; those to EHLO name what the server can do, but for the first. */
static void
capability(void *arg, const char *p, size_t n)
{
	static const struct { const char *name; unsigned bit; } table[] = {
		{ "PIPELINING", CAN_PIPELINE }, { "SIZE", CAN_SIZE }, { "8BITMIME", CAN_8BIT },
		{ "SMTPUTF8", CAN_UTF8 }, { "DSN", CAN_DSN }, { "STARTTLS", CAN_TLS }
	};
	struct session *s = arg;
	size_t i, k;

	if (s->state != C_EHLO || !s->reply.lines)
		return;
	for (k = 0; k < n && p[k] != ' ' && p[k] != '='; k++)
		;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (text_is(p, k, table[i].name))
			s->can |= table[i].bit;
	if (text_is(p, k, "AUTH") && k < n)
		mechanisms(s, p + k + 1, n - k - 1);
}

/* Name and password of a route, from the file `secrets`: into buf. 0; -1 (logged). */
static int
secret(struct session *s, char buf[SECRETS], struct sasl *l)
{
	const char *key = s->hop.route->auth, *e, *p, *name, *word;
	ssize_t n = fs_slurp("secrets", buf, SECRETS);

	for (p = buf; n > 0 && *p; p = e + (*e == '\n')) {
		e = p + strcspn(p, "\r\n");
		name = p + strcspn(p, " \r\n");
		if (*name != ' ' || !text_ieq(p, (size_t)(name - p), key, strlen(key)))
			continue;
		name++;
		word = name + strcspn(name, " \r\n");
		if (*word == ' ' && word + 1 < e &&
		    text_copy(l->name, sizeof(l->name), name, (size_t)(word - name)) == 0 &&
		    text_copy(l->password, sizeof(l->password), word + 1,
		    (size_t)(e - word - 1)) == 0)
			return 0;
	}
	log_event(s->id, "client to=%s error=\"no line for %s in secrets\"", s->hop.host, key);
	return -1;
}

/* One line of the dialogue: for AUTH PLAIN both, for LOGIN the name or the password. */
static void
answer(struct session *s, enum state state)
{
	char buf[SECRETS], b64[(SASL_NAME + SASL_PASSWORD) * 4 / 3 + 8];
	struct sasl l;
	size_t n = 0;

	if (secret(s, buf, &l) < 0) {
		leave(s, OVER_LOGIN, "4.7.8", "no name and password for this route");
	} else if (begin(s, state, client_reply) == 0) {
		if (state != C_PASSWORD) {
			buf[n] = '\0';
			n += state == C_AUTH;
			memcpy(buf + n, l.name, strlen(l.name));
			n += strlen(l.name);
		}
		if (state == C_AUTH)
			buf[n++] = '\0';
		if (state != C_NAME) {
			memcpy(buf + n, l.password, strlen(l.password));
			n += strlen(l.password);
		}
		(void)text_base64(b64, sizeof(b64), buf, n);
		conn_printf(s->c, "%s", state == C_AUTH ? "AUTH PLAIN " : "");
		conn_put(s->c, b64, strlen(b64));
		conn_put(s->c, "\r\n", 2);
		scram_wipe(b64, sizeof(b64));
	}
	scram_wipe(buf, sizeof(buf));
	scram_wipe(&l, sizeof(l));
}

static void
login(struct session *s)
{
	if (!s->hop.route->auth[0])
		s->state = C_IDLE;
	else if (!s->tls && s->hop.route->tls != ROUTE_CLEAR)
		leave(s, OVER_LOGIN, "4.7.4", "no TLS, and so no password is sent");
	else if (s->can & CAN_PLAIN)
		answer(s, C_AUTH);
	else if (s->can & CAN_LOGIN)
		say(s, C_LOGIN, "AUTH LOGIN", "");
	else
		leave(s, OVER_LOGIN, "4.7.4", "the server offers neither AUTH PLAIN nor AUTH LOGIN");
}

/* Who we are is said: now STARTTLS if it is wanted, or the login. */
static void
greeted(struct session *s)
{
	enum route_tls want = s->hop.route->tls;

	if (s->tls || want == ROUTE_CLEAR || (want == ROUTE_MAY && s->hop.clear))
		login(s);
	else if (s->can & CAN_TLS)
		say(s, C_STARTTLS, "STARTTLS", "");
	else if (want == ROUTE_MAY)
		login(s);
	else
		leave(s, OVER_LOGIN, "4.7.4", "the server does not offer STARTTLS");
}

static int
secure(struct conn *c)
{
	struct session *s = c->session;
	struct tls_trust trust;

	if (tls_trust(&trust, s->hop.route->verify) == 0 && tls_connect(c, s->hop.host, &trust) == 0)
		return 0;
	because(s, OVER_LOGIN, "4.7.5", "no TLS to be had on our side");
	return -1;
}

static void
shake(struct session *s)
{
	s->state = C_SHAKE;
	conn_limit(s->c, tls_handshake, tls_handshake);
	conn_upgrade(s->c, secure);
}

/* Connected, or TLS is up. */
static void
start(struct conn *c)
{
	struct session *s = c->session;

	if (s->state == C_CONNECT && s->hop.route->tls == ROUTE_WRAP) {
		shake(s);
		return;
	}
	s->tls = s->state == C_SHAKE;
	if (s->tls && s->hop.route->tls != ROUTE_WRAP)
		hello(s);
	else
		(void)begin(s, C_GREETING, client_reply);
}

/* ---- the letter before it is sent ---- */

/* The whole of it cannot go: why. */
static void
refuse(struct session *s, enum outcome o, const char *status, const char *words)
{
	outcomes(s, o, status, words);
	sent(s);
}

/* What was learnt of the text decides whether it can go there. */
static void
ready(struct session *s)
{
	unsigned char all = s->high_head | s->high_body;

	unclaim(s);
	s->at = 0;
	s->bol = 1;
	if (all >> 7 && !(s->can & CAN_8BIT))
		refuse(s, O_FAILED, "5.6.3", "the text has 8-bit characters, which the server does not take");
	else if (s->utf8 && s->high_head >> 7 && !(s->can & CAN_UTF8))
		refuse(s, O_FAILED, "5.6.7", "the header needs SMTPUTF8, which the server does not offer");
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

/* The time of birth, the first 13 digits of the id, in seconds. */
static int64_t
born(const char *id)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t v = 0;
	const char *d;
	int i;

	for (i = 0; i < 13 && id[i] && (d = strchr(hex, id[i])); i++)
		v = v << 4 | (uint64_t)(d - hex);
	return (int64_t)(v / 1000000);
}

static void
finish_signature(struct session *s)
{
	const br_rsa_private_key *k;
	char domain[HOST_TEXT];
	long n;

	k = key(domain);
	n = k ? dkim_finish(&signer, s->field, domain, dkim_selector, k, born(s->s->id)) : -1;
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

static void
work(struct conn *c)
{
	struct session *s = c->session;
	int64_t until = loop_ms() + SLICE_MS;
	enum res r;

	if (s->state != C_WORK)
		return;
	if (s->sign && signing != s) {
		if (signing) {
			s->queued = 1;
			return;
		}
		signing = s;
		dkim_init(&signer);
	}
	do
		r = look(s);
	while (r == R_AGAIN && loop_ms() < until);
	if (r == R_AGAIN) {
		conn_work(c);
		return;
	}
	if (r == R_OK) {
		ready(s);
		return;
	}
	unclaim(s);
	log_event(s->s->id, "client error=\"the text cannot be read\"");
	refuse(s, O_LATER, "4.3.0", "the letter cannot be read");
}

/* Begin with a letter: what must be known of its text? */
static void
take(struct session *s)
{
	size_t n;

	s->letters++;
	s->said = s->heard = s->asked_for = s->accepted = 0;
	s->queued = s->known = s->body = s->high_head = s->high_body = 0;
	s->last = '\n';
	s->at = 0;
	s->nfield = 0;
	memset(s->asked, A_NOT, sizeof(s->asked));
	s->state = C_WORK;
	if (fetch(s, 0) < 0) {
		refuse(s, O_LATER, "4.3.0", "the letter cannot be read");
		return;
	}
	s->utf8 = out_param(&line, "SMTPUTF8", &n) != NULL || high(line.mailbox);
	s->sign = out_param(&line, "BY", &n) != NULL;
	s->scan = !(s->can & CAN_8BIT) || (s->utf8 && !(s->can & CAN_UTF8));
	if (high(line.mailbox) && !(s->can & CAN_UTF8))
		refuse(s, O_FAILED, "5.6.7", "the sender needs SMTPUTF8, which the server does not offer");
	else if (s->scan || s->sign)
		conn_work(s->c);
	else
		ready(s);
}

/* Between letters. */
static void
idle(struct session *s)
{
	size_t n;

	if (conn_in(s->c, &n)) {
		breach(s, "unexpected reply");
		return;
	}
	if (s->c->eof) {
		because(s, OVER_DONE, "", "");
		conn_close(s->c, "closed by peer");
		return;
	}
	if (s->open) {
		say(s, C_RSET, "RSET", "");
		return;
	}
	s->s = s->letters < LETTERS ? s->u->next(s->arg) : NULL;
	if (s->s)
		take(s);
	else
		leave(s, OVER_DONE, "", "");
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
	if (begin(s, C_ENVELOPE, client_reply) < 0)
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
	if (begin(s, C_ENVELOPE, client_reply) < 0)
		return;
	s->asked[i] = A_ASKED;
	s->asked_for++;
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
	if (s->asked_for && (s->accepted || s->waiting) && begin(s, C_ENVELOPE, client_data) == 0)
		conn_put(s->c, "DATA\r\n", 6);
}

/* Say what can be said now. */
static void
envelope(struct session *s)
{
	while (!conn_busy(s->c) && (!s->waiting || s->can & CAN_PIPELINE) && s->said < s->s->n + 2) {
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

/* CR LF for each LF, dots at line beginnings twice. There is no CR in a letter; if there were, it does
 * not leave. *n becomes what was eaten; room of 8 makes progress. */
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
			because(s, OVER_LOST, "4.3.0", "the letter cannot be read");
			conn_abort(s->c, "the letter cannot be read");
			return;
		}
		conn_used(s->c, stuff(s, p, room, piece, &n));
		s->at += (off_t)n;
	}
}

/* ---- what the replies mean ---- */

static enum outcome
class(const struct session *s)
{
	int first = s->reply.code / 100;

	return first == 2 ? O_SENT : first == 5 ? O_FAILED : O_LATER;
}

static const char *
status(const struct session *s)
{
	static const char *const general[] = { "2.0.0", "4.0.0", "4.0.0", "5.0.0" };

	return s->reply.status[0] ? s->reply.status : general[s->reply.code / 100 - 2];
}

/* The reply decides for all that have no outcome. */
static void
verdict(struct session *s)
{
	outcomes(s, class(s), status(s), s->reply.words);
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

	if (class(s) == O_SENT) {
		s->asked[i] = A_ACCEPTED;
		s->accepted += t->outcome == O_NONE;
	} else if (too_many(s)) {
		outcome(t, O_LATER, "4.5.3", s->reply.words);
	} else {
		outcome(t, class(s), status(s), s->reply.words);
	}
}

/* DATA was said: the text, or, as nobody is there to get it, a lone dot. */
static void
data_reply(struct session *s)
{
	if (s->reply.code != 354) {
		if (class(s) == O_SENT)
			breach(s, "no 354 to DATA");
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
		breach(s, "unknown reply");
		return;
	}
	if (s->heard == 0) {
		s->heard = 1;
		s->open = class(s) == O_SENT;
		if (s->reply.code == 354)
			breach(s, "354 to MAIL");
		else if (!s->open)
			verdict(s);
		return;
	}
	while (s->heard <= n && s->asked[s->heard - 1] != A_ASKED)
		s->heard++;
	if (s->heard > n)
		data_reply(s);
	else if (s->reply.code == 354)
		breach(s, "354 to RCPT");
	else
		rcpt_reply(s, s->heard++ - 1);
}

/* To the final dot; LMTP answers for each recipient that was accepted. */
static void
dot_reply(struct session *s)
{
	struct target *t;
	int i;

	if (s->reply.code / 100 == 3) {
		s->waiting++;
		breach(s, "unknown reply");
		return;
	}
	for (i = 0; i < s->s->n; i++) {
		t = &s->s->to[i];
		if (s->asked[i] != A_ACCEPTED || t->outcome != O_NONE)
			continue;
		t->dsn = class(s) == O_SENT && s->can & CAN_DSN;
		outcome(t, class(s), status(s), s->reply.words);
		if (s->hop.route->protocol == ROUTE_LMTP)
			break;
	}
	if (!s->waiting)
		sent(s);
}

/*
 * A reply within the text. A refusal is taken at its word: we break off before the final dot, and
 * nobody gets the letter.
 */
static void
early_reply(struct session *s)
{
	if (class(s) == O_SENT || s->reply.code / 100 == 3) {
		breach(s, "unexpected reply");
		return;
	}
	verdict(s);
	lost(s, "refused");
	conn_abort(s->c, "refused within the text");
}

/* What was refused before the first letter. */
static void
refused(struct session *s, enum over over)
{
	leave(s, over, status(s), s->reply.words);
}

static void
hello_reply(struct session *s)
{
	if (class(s) == O_SENT)
		greeted(s);
	else if (class(s) == O_FAILED && s->state == C_EHLO && s->hop.route->protocol == ROUTE_SMTP) {
		s->can = 0;
		say(s, C_HELO, "HELO", host);
	} else
		refused(s, OVER_CONNECT);
}

static void
starttls_reply(struct session *s)
{
	size_t n;

	if (s->reply.code == 220 && conn_in(s->c, &n))
		breach(s, "clear text behind the reply");
	else if (s->reply.code == 220)
		shake(s);
	else if (s->hop.route->tls == ROUTE_MAY)
		login(s);
	else
		refused(s, OVER_LOGIN);
}

static void
auth_reply(struct session *s)
{
	if (s->reply.code == 235)
		s->state = C_IDLE;
	else if (s->reply.code == 334 && (s->state == C_LOGIN || s->state == C_NAME))
		answer(s, s->state == C_LOGIN ? C_NAME : C_PASSWORD);
	else
		refused(s, OVER_LOGIN);
}

static void
dispatch(struct session *s)
{
	switch (s->state) {
	case C_GREETING:
		if (s->reply.code == 220)
			hello(s);
		else
			refused(s, OVER_CONNECT);
		break;
	case C_EHLO:
	case C_HELO:
		hello_reply(s);
		break;
	case C_STARTTLS:
		starttls_reply(s);
		break;
	case C_AUTH:
	case C_LOGIN:
	case C_NAME:
	case C_PASSWORD:
		auth_reply(s);
		break;
	case C_RSET:
		s->open = 0;
		s->state = C_IDLE;
		if (class(s) != O_SENT)
			leave(s, OVER_DONE, "", "");
		break;
	case C_ENVELOPE:
		envelope_reply(s);
		break;
	case C_DOT:
		dot_reply(s);
		break;
	case C_TEXT:
		early_reply(s);
		break;
	case C_CONNECT:
	case C_SHAKE:
	case C_IDLE:
	case C_WORK:
	case C_QUIT:
		break;		/* nothing is awaited */
	}
}

/* A reply is complete. */
static void
heard(struct session *s)
{
	enum over over = s->state == C_STARTTLS ? OVER_CONNECT : ways[s->state].over;
	int last = s->reply.code == 421;

	if (s->state != C_TEXT)
		s->waiting--;
	if (last && s->state < C_IDLE) {
		because(s, over, status(s), s->reply.words);
	} else if (s->state == C_DOT && conn_room(s->c) < BUFSZ) {
		early_reply(s);		/* not all of the dot has left */
	} else {
		conn_limit(s->c, client_reply, client_reply);
		dispatch(s);
	}
	if (last && !undecided(s))
		because(s, ways[s->state].over, status(s), s->reply.words);
	if (last)
		conn_close(s->c, "421");
}

static void
input(struct conn *c)
{
	struct session *s = c->session;
	enum reply_result r;
	const char *p;
	size_t n;

	while (!conn_busy(c) && (s->waiting || s->state == C_TEXT) && (p = conn_in(c, &n))) {
		r = reply_feed(&s->reply, p, &n);
		if (n)
			conn_eat(c, n);
		if (r == REPLY_MORE)
			return;
		if (r == REPLY_BAD) {
			breach(s, "no valid reply");
			return;
		}
		heard(s);
		reply_init(&s->reply);
	}
}

static void
drain(struct conn *c)
{
	struct session *s = c->session;
	enum state was;

	do {
		was = s->state;
		if (was == C_IDLE)
			idle(s);
		else if (was == C_ENVELOPE)
			envelope(s);
		else if (was == C_TEXT)
			text(s);
	} while (!conn_busy(c) && (s->state == C_IDLE || s->state != was));
}

static const struct kind client_kind = {
	.name = "client", .start = start, .input = input, .drain = drain, .work = work, .end = end
};

int
client_start(const struct hop *h, const struct client_user *u, void *arg)
{
	struct session *s = pool;

	while (s < pool + CLIENTS && s->c)
		s++;
	if (s == pool + CLIENTS)
		return -1;
	memset(s, 0, sizeof(*s));
	s->c = conn_connect(&h->ip, h->port, &client_kind, 0);
	if (!s->c)
		return -1;
	s->c->session = s;
	s->u = u;
	s->arg = arg;
	s->hop = *h;
	(void)session_id(s->id);
	s->reply.line = capability;
	s->reply.arg = s;
	reply_init(&s->reply);
	conn_limit(s->c, client_connect, client_connect);
	count++;
	return 0;
}

int
client_count(void)
{
	return count;
}
