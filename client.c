/* See LICENSE file for copyright and licence details. */
/*
 * One session with another server, SMTP or LMTP: letters are asked for one by one (send.c), and
 * each recipient has its outcome in the end. `input` reads replies, `drain` says what comes next:
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
 * A reply that nobody has asked for ends the session: all later ones would be taken for answers to
 * something else. However it ends, end() sees to it that all recipients have an outcome.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/text.h"

enum {
	LETTERS = 100,		/* of one session */
	SECRETS = 8192		/* octets of the file `secrets` */
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

const size_t client_memory = sizeof(pool);	/* and send_memory */

/* ---- how it ends ---- */

/* The first reason counts. */
void
client_because(struct session *s, enum over over, const char *status, const char *words)
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
	client_because(s, over, status, words);
	s->state = C_QUIT;
	conn_put(s->c, "QUIT\r\n", 6);
	conn_close(s->c, "quit");
}

/* It broke off, as the state says. */
void
client_lost(struct session *s, const char *what)
{
	enum over over = ways[s->state].over;
	char words[WORDS];

	if (s->state == C_IDLE && !s->letters)
		over = OVER_CONNECT;	/* or it would be tried again at once */
	if (send_undecided(s))
		(void)snprintf(words, sizeof(words), "connection lost after the final dot");
	else
		(void)snprintf(words, sizeof(words), "%s %s", what, ways[s->state].when);
	client_because(s, over, ways[s->state].status, words);
}

/* The other server does not keep to the protocol. */
void
client_breach(struct session *s, const char *what)
{
	char raw[80];
	const char *p;
	size_t n;

	p = conn_in(s->c, &n);
	log_event(s->id, "client to=%s breach=\"%s\" input=\"%s\"", s->hop.host, what,
	    text_escape(raw, sizeof(raw), p, p ? n : 0));
	client_lost(s, what);
	conn_abort(s->c, what);
}

static void
end(struct conn *c)
{
	struct session *s = c->session;
	char ip[IP_TEXT], words[WORDS];

	client_lost(s, c->why ? c->why : "ended");
	(void)text_escape(words, sizeof(words), s->words, strlen(s->words));
	if (send_undecided(s))
		log_event(s->s->id, "possible-duplicate to=%s[%s] reason=\"%s\"", s->hop.host,
		    ip_text(ip, &s->hop.ip), c->why);
	if (s->over != OVER_DONE)
		log_event(s->id, "client to=%s[%s] port=%d over words=\"%s\"", s->hop.host,
		    ip_text(ip, &s->hop.ip), s->hop.port, words);
	send_end(s);
	s->c = NULL;
	count--;
	s->u->over(s->arg, s->over, s->status, s->words);
}

/* ---- saying ---- */

/*
 * A command begins: its state, and how long its reply may take. Something that was said before we
 * have asked is not its answer.
 */
int
client_begin(struct session *s, enum state state, int64_t ms)
{
	size_t n;

	if (!s->waiting && conn_in(s->c, &n)) {
		client_breach(s, "unexpected reply");
		return -1;
	}
	s->state = state;
	if (!s->waiting++)
		conn_limit(s->c, ms, ms);	/* and from then on with each reply */
	return 0;
}

static void
say(struct session *s, enum state state, const char *verb, const char *arg)
{
	if (client_begin(s, state, client_reply) == 0)
		conn_printf(s->c, "%s%s%s\r\n", verb, *arg ? " " : "", arg);
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

/* Has who greets us our own name? Names without a dot, as of machines that have none, do not
 * count. */
static int
is_self(const char *p, size_t n)
{
	const char *space = memchr(p, ' ', n);

	return strchr(host, '.') && text_is(p, space ? (size_t)(space - p) : n, host);
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

	if ((s->state == C_EHLO || s->state == C_HELO) && !s->reply.lines)
		s->self = is_self(p, n);
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

	for (p = buf; n > 0 && *p; p = e + strspn(e, "\r\n")) {
		e = p + strcspn(p, "\r\n");
		name = p + strcspn(p, " \r\n");
		if (*name != ' ' || !text_ieq(p, (size_t)(name - p), key, strlen(key)))
			continue;
		name++;
		word = name + strcspn(name, " \r\n");
		if (word > name && *word == ' ' && word + 1 < e &&
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
	} else if (client_begin(s, state, client_reply) == 0) {
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
		leave(s, OVER_LOGIN, "4.7.4",
		    "the server offers neither AUTH PLAIN nor AUTH LOGIN");
}

/* Who we are is said: now STARTTLS if it is wanted, or the login. */
static void
greeted(struct session *s)
{
	int may = s->hop.route->tls == ROUTE_MAY && !s->hop.clear && s->can & CAN_TLS;
	int must = s->hop.route->tls == ROUTE_MUST;

	if (s->tls || !(may || must))
		login(s);
	else if (s->can & CAN_TLS)
		say(s, C_STARTTLS, "STARTTLS", "");
	else
		leave(s, OVER_LOGIN, "4.7.4", "the server does not offer STARTTLS");
}

static int
secure(struct conn *c)
{
	struct session *s = c->session;
	struct tls_trust trust;

	if (tls_trust(&trust, s->hop.route->verify) == 0 &&
	    tls_connect(c, s->hop.host, &trust) == 0)
		return 0;
	client_because(s, OVER_LOGIN, "4.7.5", c->why ? c->why : "no TLS to be had on our side");
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
		(void)client_begin(s, C_GREETING, client_reply);
}

/* ---- between letters ---- */

static void
idle(struct session *s)
{
	size_t n;

	if (conn_in(s->c, &n)) {
		client_breach(s, "unexpected reply");
		return;
	}
	if (s->c->eof) {
		client_lost(s, "closed by peer");
		conn_close(s->c, "closed by peer");
		return;
	}
	if (s->open) {
		say(s, C_RSET, "RSET", "");
		return;
	}
	s->s = s->letters < LETTERS ? s->u->next(s->arg) : NULL;
	if (s->s)
		send_take(s);
	else
		leave(s, OVER_DONE, "", "");
}

/* ---- what the replies mean ---- */

enum outcome
client_class(const struct session *s)
{
	int first = s->reply.code / 100;

	return first == 2 ? O_SENT : first == 5 ? O_FAILED : O_LATER;
}

const char *
client_status(const struct session *s)
{
	static const char *const general[] = { "2.0.0", "4.0.0", "4.0.0", "5.0.0" };

	return s->reply.status[0] ? s->reply.status : general[s->reply.code / 100 - 2];
}

/* What was refused before the first letter. */
static void
refused(struct session *s, enum over over)
{
	leave(s, over, client_status(s), s->reply.words);
}

static void
hello_reply(struct session *s)
{
	if (s->state == C_HELO || client_class(s) != O_SENT)
		s->can = 0;
	if (client_class(s) == O_SENT && s->self && !s->hop.route->host[0])
		leave(s, OVER_CONNECT, "4.4.6",
		    "the server is this host: mail would go in a circle");
	else if (client_class(s) == O_SENT)
		greeted(s);
	else if (client_class(s) == O_FAILED && s->state == C_EHLO &&
	    s->hop.route->protocol == ROUTE_SMTP)
		say(s, C_HELO, "HELO", host);
	else
		refused(s, OVER_CONNECT);
}

static void
starttls_reply(struct session *s)
{
	size_t n;

	if (s->reply.code == 220 && conn_in(s->c, &n))
		client_breach(s, "clear text behind the reply");
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
		if (client_class(s) != O_SENT)
			leave(s, OVER_DONE, "", "");
		break;
	case C_ENVELOPE:
	case C_TEXT:
	case C_DOT:
		send_reply(s);
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
		client_because(s, over, client_status(s), s->reply.words);
	} else {
		conn_limit(s->c, client_reply, client_reply);
		dispatch(s);
	}
	if (last && !send_undecided(s))
		client_because(s, ways[s->state].over, client_status(s), s->reply.words);
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

	while (!conn_deaf(c) && (s->waiting || s->state == C_TEXT) && (p = conn_in(c, &n))) {
		r = reply_feed(&s->reply, p, &n);
		if (n)
			conn_eat(c, n);
		if (r == REPLY_MORE)
			return;
		if (r == REPLY_BAD) {
			client_breach(s, "no valid reply");
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
		else if (was == C_ENVELOPE || was == C_TEXT)
			send_say(s);
	} while (!conn_busy(c) && (s->state == C_IDLE || s->state != was));
}

static void
work(struct conn *c)
{
	send_work(c->session);
}

/* Late, or we are to stop: then a server that has a whole letter may still say whether it takes
 * it. */
static void
expire(struct conn *c)
{
	if (!stopping || !send_undecided(c->session))
		conn_abort(c, stopping ? "stopping" : "timed out");
}

static const struct kind client_kind = {
	.name = "client", .start = start, .input = input, .drain = drain, .work = work,
	.expire = expire, .end = end
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
	s->c->eager = 1;
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
