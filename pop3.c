/* See LICENSE file for copyright and licence details. */
/*
 * POP3 sessions: RFC 1939, with CAPA and response codes (RFC 2449, 3206), STLS (RFC 2595) and AUTH
 * (RFC 5034).
 *
 *	state     meaning                             leaves to
 *	P_AUTH    AUTHORIZATION: not logged in        P_SASL by AUTH, P_CHECK by PASS, end by QUIT
 *	P_SASL    waits for a line of an exchange     P_CHECK, P_AUTH
 *	P_CHECK   held: a password is being derived   P_OPEN, P_AUTH after a delay
 *	P_OPEN    held: the maildrop is being read    P_TRANS, P_AUTH ([IN-USE], [SYS/TEMP])
 *	P_TRANS   TRANSACTION                         P_UPDATE by QUIT
 *	P_UPDATE  held: deleting, by slices           end; the answer to QUIT comes only then
 *
 * Long answers (LIST, UIDL, RETR, TOP) are made piece by piece as the output drains: `making` says
 * which, and no command is looked at meanwhile. A reader that does not read costs one buffer.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "lib/log.h"
#include "lib/text.h"

enum {
	LINE = 255,		/* RFC 2449 4: a command with its CR LF */
	LONG_LINE = 2048,	/* AUTH and the lines of its exchange */
	LISTED = 1000,		/* messages looked at in one go, though all may be deleted ones */
	LISTING = 2 * 20 + UIDL_TEXT,	/* room for one line of a listing */
	LOGINS = 3		/* failed ones until we hang up */
};

enum state { P_AUTH = 1, P_SASL = 2, P_CHECK = 4, P_OPEN = 8, P_TRANS = 16, P_UPDATE = 32 };

enum making { M_NOTHING, M_LIST, M_UIDL, M_TEXT };

struct pop3 {
	char id[ID_TEXT];
	enum state state;
	enum making making;
	int skip;			/* within a line that is too long */
	int cr;				/* whose last byte so far was a CR */
	int errors, failures;
	int named;			/* USER was there */
	int user;			/* slot of the account, -1 */
	unsigned retr, top, dele;
	struct login login;
	struct drop drop;
	uint32_t next;			/* M_LIST, M_UIDL: message to come */
	int pieces;			/* M_TEXT: how many goes it took so far */
	uint64_t at;			/* where we are in the mailbox */
	struct drop_msg msg;
	struct mbox_send send;
};

/* Which arguments a verb has. */
enum args { A_NONE, A_TEXT, A_NUMBER, A_MAYBE, A_TWO };

/* A command's arguments. */
struct cmd {
	const char *arg;		/* all behind the first space; NULL: none */
	size_t narg;
	uint64_t v[2];			/* numbers */
	int nv;
	size_t behind;			/* octets of input behind the line */
};

struct verb {
	const char *name;
	int states;
	enum args args;
	void (*run)(struct conn *c, struct pop3 *s, const struct cmd *cmd);
};

static struct pop3 sessions[SESSIONS];

const size_t pop3_memory = sizeof(sessions);

/* ---- replies ---- */

static void
say(struct conn *c, const char *line)
{
	conn_printf(c, "%s\r\n", line);
}

/* An answer to something the peer did wrong: counted. */
static void
fault(struct conn *c, struct pop3 *s, const char *line)
{
	if (++s->errors > ERRORS) {
		say(c, "-ERR too many errors");
		conn_close(c, "too many errors");
		return;
	}
	say(c, line);
}

static char *
put_number(char *p, uint64_t v)
{
	char digit[20];
	int n = 0;

	do {
		digit[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n > 0)
		*p++ = digit[--n];
	return p;
}

/* ---- answers that are made piece by piece: R_OK: complete, R_AGAIN: when there is room ---- */

/* One line of LIST or UIDL; returns its end. */
static char *
list_line(char *p, const struct pop3 *s, const struct drop_msg *m)
{
	char text[UIDL_TEXT];
	size_t n;

	p = put_number(p, (uint64_t)s->next + 1);
	*p++ = ' ';
	if (s->making == M_LIST) {
		p = put_number(p, m->m.octets);
	} else {
		n = strlen(mbox_uidl(text, m->m.uid));
		memcpy(p, text, n);
		p += n;
	}
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static enum res
make_list(struct conn *c, struct pop3 *s)
{
	struct drop_msg m;
	size_t room, used = 0;
	char *p = conn_space(c, &room);
	int looked = 0;

	while (s->next < s->drop.n && room - used > LISTING && looked++ < LISTED) {
		if (drop_msg(&s->drop, s->next, &m) < 0)
			return R_TEMP;
		if (!drop_marked(&s->drop, &m))
			used = (size_t)(list_line(p + used, s, &m) - p);
		s->next++;
	}
	conn_used(c, used);
	if (s->next < s->drop.n || room - used < 3) {
		if (!used)
			conn_work(c);	/* nothing to wait for: be called again all the same */
		return R_AGAIN;
	}
	conn_put(c, ".\r\n", 3);
	return R_OK;
}

/* The end of a message. If it took a while, only now is it sure that nobody cut the mailbox. */
static enum res
make_end(struct conn *c, struct pop3 *s, char *p)
{
	if (s->pieces > 1 && drop_check(&s->drop, &s->msg) < 0)
		return R_TEMP;
	conn_used(c, mbox_send_end(&s->send, p));
	return R_OK;
}

static enum res
make_text(struct conn *c, struct pop3 *s)
{
	static char piece[BUFSZ];
	uint64_t left;
	size_t n, room, used;
	ssize_t got;
	char *p;

	s->pieces++;
	while ((p = conn_space(c, &room)) && room >= 64) {
		left = s->msg.m.end - s->at;
		if (!left || s->send.done)
			return make_end(c, s, p);
		n = left < room ? (size_t)left : room;
		got = drop_read(&s->drop, piece, n, s->at);
		if (got <= 0)
			return R_TEMP;
		n = (size_t)got;
		used = mbox_send_feed(&s->send, p, room, piece, &n);
		conn_used(c, used);
		s->at += n;
		if (!n && !used)
			return R_TEMP;
	}
	return R_AGAIN;
}

/* Go on with a long answer. Trouble in the middle cuts the connection: there is no false end. */
static void
make(struct conn *c, struct pop3 *s)
{
	enum res r = s->making == M_TEXT ? make_text(c, s) : make_list(c, s);

	c->more = r == R_AGAIN;
	if (r == R_AGAIN)
		return;
	s->making = M_NOTHING;
	if (r != R_OK)
		conn_abort(c, "mailbox changed or unreadable");
}

/* ---- any state ---- */

/* Are passwords taken from this connection as it is now? */
static int
may_login(const struct conn *c)
{
	return tls_version(c) || conn_listener(c)->clear_auth;
}

/* RFC 2449 5. The same before and after login; RFC 2595 2.1 wants STLS gone once TLS is up. */
static void
capa(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	int stls = conn_listener(c)->tls == TLS_START && !tls_version(c);

	(void)s;
	(void)cmd;
	conn_printf(c, "+OK Capability list follows\r\nTOP\r\nUIDL\r\n%s%sPIPELINING\r\n"
	    "RESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\nIMPLEMENTATION maild\r\n.\r\n",
	    may_login(c) ? "USER\r\nSASL PLAIN LOGIN\r\n" : "", stls ? "STLS\r\n" : "");
}

static void
quit(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	(void)s;
	(void)cmd;
	say(c, "+OK Bye");
	conn_close(c, NULL);
}

/* ---- AUTHORIZATION ---- */

static void
transaction(struct conn *c, struct pop3 *s)
{
	s->state = P_TRANS;
	s->errors = 0;
	conn_limit(c, pop3_idle, session_total);
	conn_printf(c, "+OK %" PRIu32 " messages (%" PRIu64 " octets)\r\n", s->drop.n,
	    s->drop.octets);
}

/* What drop_open or a slice of it says. */
static void
opened(struct conn *c, struct pop3 *s, enum drop_res r)
{
	if (r == DROP_AGAIN) {
		s->state = P_OPEN;
		conn_hold(c);
		conn_work(c);
		return;
	}
	s->state = P_AUTH;
	switch (r) {
	case DROP_READY:
		transaction(c, s);
		break;
	case DROP_INUSE:
		fault(c, s, "-ERR [IN-USE] Another session has this mailbox");
		break;
	case DROP_TEMP:
	case DROP_AGAIN:
		fault(c, s, "-ERR [SYS/TEMP] Your mailbox cannot be read now");
		break;
	}
	conn_resume(c);
}

/* No more passwords from there: nothing tells whether this one was right. */
static void
shut_out(struct conn *c, struct pop3 *s)
{
	sasl_wipe(&s->login.sasl);
	say(c, "-ERR [SYS/TEMP] Too many failed logins, try again later");
	conn_close(c, "too many failed logins");
}

static void
refused(struct conn *c, struct pop3 *s, const char *name)
{
	char from[IP_TEXT], who[100];
	int64_t ms = guard_failed(&c->peer);

	log_event(s->id, "login-failed from=%s protocol=pop3 user=\"%s\"", ip_text(from, &c->peer),
	    text_escape(who, sizeof(who), name, strlen(name)));
	s->state = P_AUTH;
	s->failures++;
	conn_limit(c, 0, pop3_login + ms);
	conn_delay(c, ms);
	if (!guard_repeats(&s->login, &c->peer) && limit_count(C_LOGINS, &c->peer) < 0)
		shut_out(c, s);
	else
		fault(c, s, "-ERR [AUTH] Wrong name or password");
	if (s->failures >= LOGINS)
		conn_close(c, "too many failed logins");
	conn_resume(c);
}

static void
unchecked(struct conn *c, struct pop3 *s)
{
	s->state = P_AUTH;
	fault(c, s, "-ERR [SYS/TEMP] Passwords cannot be checked now");
	conn_resume(c);
}

static void
accepted(struct conn *c, struct pop3 *s, int user)
{
	guard_passed(&c->peer);
	s->user = user;
	opened(c, s, drop_open(&s->drop, user));
}

/* Name and password are complete. */
static void
check(struct conn *c, struct pop3 *s)
{
	s->named = 0;
	if (limit_reached(C_LOGINS, &c->peer)) {
		shut_out(c, s);
		return;
	}
	switch (login_start(&s->login)) {
	case R_OK:
		accepted(c, s, s->login.slot);
		return;
	case R_AGAIN:
		s->state = P_CHECK;
		conn_hold(c);
		conn_work(c);
		return;
	case R_TEMP:
	case R_PERM:
		break;
	}
	unchecked(c, s);
}

static void
checking(struct conn *c, struct pop3 *s)
{
	char name[SASL_NAME];
	int user = -1;

	(void)text_copy(name, sizeof(name), s->login.sasl.name, strlen(s->login.sasl.name));
	switch (login_work(&s->login, &user)) {
	case R_OK:
		accepted(c, s, user);
		break;
	case R_AGAIN:
		conn_work(c);
		break;
	case R_TEMP:
		unchecked(c, s);
		break;
	case R_PERM:
		refused(c, s, name);
		break;
	}
}

/* May it try to log in? If not, it is told. */
static int
asks(struct conn *c, struct pop3 *s)
{
	if (!may_login(c)) {
		fault(c, s, "-ERR No passwords in clear text: send STLS first");
		return 0;
	}
	return 1;
}

static void
user(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	struct sasl *a = &s->login.sasl;

	s->named = 0;
	if (!asks(c, s))
		return;
	if (text_copy(a->name, sizeof(a->name), cmd->arg, cmd->narg) < 0) {
		fault(c, s, "-ERR The name is too long");
		return;
	}
	s->named = 1;
	say(c, "+OK Now the password");
}

static void
pass(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	struct sasl *a = &s->login.sasl;

	if (!asks(c, s))
		return;
	if (!s->named)
		fault(c, s, "-ERR USER first");
	else if (text_copy(a->password, sizeof(a->password), cmd->arg, cmd->narg) < 0)
		fault(c, s, "-ERR The password is too long");
	else
		check(c, s);
}

static void
exchange(struct conn *c, struct pop3 *s, enum sasl_result r)
{
	s->state = P_AUTH;
	switch (r) {
	case SASL_MORE:
		s->state = P_SASL;
		conn_printf(c, "+ %s\r\n", s->login.sasl.challenge);
		break;
	case SASL_DONE:
		check(c, s);
		break;
	case SASL_BAD:
		fault(c, s, "-ERR Malformed response");
		break;
	case SASL_CANCEL:
		fault(c, s, "-ERR Cancelled");
		break;
	case SASL_UNKNOWN:
		fault(c, s, "-ERR No such mechanism");
		break;
	}
}

static void
auth(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	const char *initial = memchr(cmd->arg, ' ', cmd->narg);
	size_t n = cmd->narg, ninitial = 0;

	s->named = 0;
	if (!asks(c, s))
		return;
	if (initial) {
		n = (size_t)(initial - cmd->arg);
		initial++;
		ninitial = cmd->narg - n - 1;
	}
	exchange(c, s, sasl_start(&s->login.sasl, cmd->arg, n, initial, ninitial));
}

/* RFC 2595 4. What came behind it was sent by someone who is not under TLS: it is never obeyed. */
static void
stls(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	if (conn_listener(c)->tls == TLS_NONE || tls_version(c)) {
		fault(c, s, tls_version(c) ? "-ERR TLS is up already" : "-ERR No TLS here");
		return;
	}
	if (cmd->behind) {
		say(c, "-ERR Nothing may be queued behind STLS");
		conn_close(c, "input behind STLS");
		return;
	}
	say(c, "+OK Begin TLS");
	conn_limit(c, 0, tls_handshake);
	conn_upgrade(c, tls_start);
}

/* ---- TRANSACTION ---- */

/* The message a number means, if it is there and not deleted: 0, or -1 and the peer is told. */
static int
message(struct conn *c, struct pop3 *s, uint64_t number, struct drop_msg *m)
{
	if (!number || number > s->drop.n) {
		fault(c, s, "-ERR No such message");
		return -1;
	}
	if (drop_msg(&s->drop, (uint32_t)number - 1, m) < 0) {
		fault(c, s, "-ERR [SYS/TEMP] The index cannot be read now");
		return -1;
	}
	if (drop_marked(&s->drop, m)) {
		fault(c, s, "-ERR That message is deleted");
		return -1;
	}
	return 0;
}

static void
status(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	(void)cmd;
	conn_printf(c, "+OK %" PRIu32 " %" PRIu64 "\r\n", s->drop.n - s->drop.nmarked,
	    s->drop.octets - s->drop.marked_octets);
}

/* LIST and UIDL: of one message, or of all. */
static void
list_as(struct conn *c, struct pop3 *s, const struct cmd *cmd, enum making what)
{
	char line[LISTING];
	struct drop_msg m;

	s->making = what;
	if (cmd->nv) {
		if (message(c, s, cmd->v[0], &m) == 0) {
			s->next = (uint32_t)cmd->v[0] - 1;
			conn_put(c, "+OK ", 4);
			conn_put(c, line, (size_t)(list_line(line, s, &m) - line));
		}
		s->making = M_NOTHING;
		return;
	}
	s->next = 0;
	conn_printf(c, "+OK %" PRIu32 " messages\r\n", s->drop.n - s->drop.nmarked);
	make(c, s);
}

static void
list(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	list_as(c, s, cmd, M_LIST);
}

static void
uidl(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	list_as(c, s, cmd, M_UIDL);
}

/* Begin to send a message: all of it, or the header and so many lines. 0 or -1. */
static int
send_message(struct conn *c, struct pop3 *s, uint64_t number, int64_t lines)
{
	char line[48], *p = line;

	if (message(c, s, number, &s->msg) < 0)
		return -1;
	if (drop_check(&s->drop, &s->msg) < 0) {
		fault(c, s, "-ERR [SYS/TEMP] Another program changed the mailbox: log in again");
		return -1;
	}
	memcpy(p, "+OK ", 4);
	p = put_number(p + 4, s->msg.m.octets);
	memcpy(p, " octets\r\n", 9);
	conn_put(c, line, (size_t)(p + 9 - line));
	mbox_send_init(&s->send, lines);
	s->at = s->msg.m.text;
	s->pieces = 0;
	s->making = M_TEXT;
	make(c, s);
	return 0;
}

static void
retr(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	if (send_message(c, s, cmd->v[0], -1) == 0)
		s->retr++;
}

static void
top(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	uint64_t lines = cmd->v[1] > INT64_MAX ? INT64_MAX : cmd->v[1];

	if (send_message(c, s, cmd->v[0], (int64_t)lines) == 0)
		s->top++;
}

static void
dele(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	struct drop_msg m;

	if (message(c, s, cmd->v[0], &m) < 0)
		return;
	if (drop_mark(&s->drop, (uint32_t)cmd->v[0] - 1) < 0) {
		fault(c, s, "-ERR [SYS/TEMP] The index cannot be written now");
		return;
	}
	say(c, "+OK Deleted when you quit");
}

static void
rset(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	(void)cmd;
	drop_reset(&s->drop);
	say(c, "+OK Nothing is deleted");
}

static void
noop(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	(void)s;
	(void)cmd;
	say(c, "+OK");
}

/* ---- UPDATE ---- */

/* What drop_commit or a slice of it says. */
static void
committed(struct conn *c, struct pop3 *s, enum drop_res r)
{
	if (r == DROP_AGAIN) {
		conn_hold(c);
		conn_work(c);
		return;
	}
	if (r == DROP_READY) {
		say(c, "+OK Bye");
		conn_close(c, NULL);
		return;
	}
	s->dele = 0;
	say(c, "-ERR [SYS/TEMP] Nothing was deleted");
	conn_close(c, "deletion failed");
}

static void
update(struct conn *c, struct pop3 *s, const struct cmd *cmd)
{
	(void)cmd;
	s->dele = s->drop.nmarked;
	s->state = P_UPDATE;
	committed(c, s, drop_commit(&s->drop));
}

/* ---- lines ---- */

static const struct verb verbs[] = {
	{ "RETR", P_TRANS,           A_NUMBER, retr },
	{ "DELE", P_TRANS,           A_NUMBER, dele },
	{ "LIST", P_TRANS,           A_MAYBE,  list },
	{ "UIDL", P_TRANS,           A_MAYBE,  uidl },
	{ "TOP",  P_TRANS,           A_TWO,    top },
	{ "STAT", P_TRANS,           A_NONE,   status },
	{ "USER", P_AUTH,            A_TEXT,   user },
	{ "PASS", P_AUTH,            A_TEXT,   pass },
	{ "AUTH", P_AUTH,            A_TEXT,   auth },
	{ "STLS", P_AUTH,            A_NONE,   stls },
	{ "QUIT", P_TRANS,           A_NONE,   update },
	{ "QUIT", P_AUTH,            A_NONE,   quit },
	{ "CAPA", P_AUTH | P_TRANS,  A_NONE,   capa },
	{ "NOOP", P_TRANS,           A_NONE,   noop },
	{ "RSET", P_TRANS,           A_NONE,   rset }
};

/* Numbers separated by single spaces: how many, or -1. */
static int
numbers(struct cmd *cmd)
{
	const char *p = cmd->arg, *e = p ? p + cmd->narg : p, *q;

	for (cmd->nv = 0; p && cmd->nv < 2; p = q ? q + 1 : NULL) {
		q = memchr(p, ' ', (size_t)(e - p));
		if (text_u64(p, (size_t)((q ? q : e) - p), &cmd->v[cmd->nv]) < 0)
			return -1;
		cmd->nv++;
	}
	return p ? -1 : cmd->nv;
}

/* Has it the arguments that its verb wants? */
static int
parse(struct cmd *cmd, enum args args)
{
	switch (args) {
	case A_NONE:
		return !cmd->arg;
	case A_TEXT:
		return cmd->arg && cmd->narg;
	case A_NUMBER:
		return numbers(cmd) == 1;
	case A_MAYBE:
		return !cmd->arg || numbers(cmd) == 1;
	case A_TWO:
		return numbers(cmd) == 2;
	}
	return 0;
}

/* A command line without its end. */
static void
command(struct conn *c, struct pop3 *s, const char *p, size_t n, size_t behind)
{
	const char *space = memchr(p, ' ', n);
	struct cmd cmd = { NULL, 0, { 0, 0 }, 0, behind };
	const struct verb *v, *end = verbs + sizeof(verbs) / sizeof(verbs[0]);
	size_t nverb = space ? (size_t)(space - p) : n;
	int known = 0;

	for (v = verbs; v < end; v++) {
		if (!text_is(p, nverb, v->name))
			continue;
		known = 1;
		if (v->states & (int)s->state)
			break;
	}
	if (space) {
		cmd.arg = space + 1;
		cmd.narg = n - nverb - 1;
	}
	if (v < end && parse(&cmd, v->args))
		v->run(c, s, &cmd);
	else if (v < end)
		fault(c, s, "-ERR Wrong arguments");
	else if (known)
		fault(c, s, s->state == P_AUTH ? "-ERR Log in first" : "-ERR Not in a session");
	else
		fault(c, s, "-ERR Unknown command");
}

/* How long may the line be that begins so? */
static size_t
limit(const struct pop3 *s, const char *p, size_t n)
{
	return s->state == P_SASL || text_begins(p, n, "AUTH ") ? LONG_LINE : LINE;
}

/* A line that is answered, but never obeyed. */
static void
no_line(struct conn *c, struct pop3 *s, const char *answer)
{
	s->skip = 0;
	if (s->state == P_SASL) {
		sasl_wipe(&s->login.sasl);
		s->state = P_AUTH;
	}
	fault(c, s, answer);
}

/* Take the next line, or the next piece of one that is too long: 1, or 0: it is not complete. */
static int
take_line(struct conn *c, struct pop3 *s)
{
	size_t n, len;
	const char *p = conn_in(c, &n), *lf;

	if (!n)
		return 0;
	lf = memchr(p, '\n', n);
	if (!lf) {
		if (!s->skip && n < limit(s, p, n))
			return 0;
		s->skip = 1;
		s->cr = p[n - 1] == '\r';
		conn_eat(c, n);
		return 0;
	}
	len = (size_t)(lf - p);
	if (len ? lf[-1] != '\r' : !s->skip || !s->cr) {
		say(c, "-ERR Lines end with CR LF");
		conn_close(c, "bare LF");
	} else if (s->skip || len + 1 > limit(s, p, len)) {
		no_line(c, s, "-ERR The line is too long");
	} else if (memchr(p, '\0', len - 1) || memchr(p, '\r', len - 1)) {
		no_line(c, s, "-ERR NUL or CR within a line");
	} else if (s->state == P_SASL) {
		exchange(c, s, sasl_step(&s->login.sasl, p, len - 1));
	} else {
		command(c, s, p, len - 1, n - len - 1);
	}
	conn_eat(c, len + 1);
	return 1;
}

/* ---- hooks ---- */

static void
input(struct conn *c)
{
	struct pop3 *s = c->session;

	while (s->making == M_NOTHING && !conn_busy(c) && take_line(c, s))
		;
}

static void
drain(struct conn *c)
{
	struct pop3 *s = c->session;

	if (s->making == M_NOTHING)
		return;
	make(c, s);
	input(c);
}

static void
work(struct conn *c)
{
	struct pop3 *s = c->session;

	switch (s->state) {
	case P_CHECK:
		checking(c, s);
		break;
	case P_OPEN:
		opened(c, s, drop_work(&s->drop));
		break;
	case P_UPDATE:
		committed(c, s, drop_work(&s->drop));
		break;
	case P_TRANS:
		drain(c);
		break;
	case P_AUTH:
	case P_SASL:
		break;
	}
}

/* The beginning, and after STLS once more: RFC 2595 4: all is forgotten. */
static void
start(struct conn *c)
{
	struct pop3 *s = c->session;
	int again = s != NULL;

	if (!again) {
		s = c->session = &sessions[conn_slot(c)];
		session_id(s->id);
		s->errors = s->failures = 0;
		s->retr = s->top = s->dele = 0;
	}
	s->state = P_AUTH;
	s->making = M_NOTHING;
	s->skip = s->cr = s->named = 0;
	s->user = -1;
	memset(&s->drop, 0, sizeof(s->drop));
	conn_limit(c, 0, pop3_login);
	if (!again)
		conn_printf(c, "+OK %s maild ready\r\n", host);
}

/* RFC 1939 3: nothing is said, nothing is deleted. */
static void
expire(struct conn *c)
{
	conn_close(c, stopping ? "stopping" : "timed out");
}

/* One line a session. */
static void
report(const struct conn *c, const struct pop3 *s)
{
	const struct user *u = s ? user_at(s->user) : NULL;
	const char *tls = tls_version(c);
	char from[IP_TEXT];

	log_event(s ? s->id : "-", "pop3 from=%s tls=%s user=%s retr=%u top=%u dele=%u in=%" PRIu64
	    " out=%" PRIu64 " -> %s", ip_text(from, &c->peer), tls ? tls : "-", u ? u->name : "-",
	    s ? s->retr : 0, s ? s->top : 0, s ? s->dele : 0, c->bytes_in, c->bytes_out,
	    c->why ? c->why : "quit");
}

static void
end(struct conn *c)
{
	struct pop3 *s = c->session;

	limit_gone(&c->peer);
	report(c, s);
	if (!s)
		return;
	drop_close(&s->drop);
	scram_wipe(&s->login, sizeof(s->login));
	c->session = NULL;
}

const struct kind pop3_kind = { "pop3", start, input, drain, NULL, work, expire, end };
