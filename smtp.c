/* See LICENSE file for copyright and licence details. */
/*
 * SMTP server sessions, RFC 5321: mail from other servers, and submission (RFC 6409) by our users.
 * Senders and recipients are in envelope.c.
 *
 *	state      may come next
 *	S_WAIT     nothing: we have not spoken yet (guard.c)
 *	S_START    EHLO, HELO (and what is always allowed: NOOP, HELP, VRFY, RSET, QUIT, STARTTLS)
 *	S_READY    MAIL, AUTH
 *	S_MAIL     RCPT
 *	S_RCPT     RCPT, DATA, BDAT
 *	S_DATA     the text, up to CR LF . CR LF (lib/dot.h); one reply when it has ended
 *	S_BDAT     BDAT (RFC 3030)
 *	S_CHUNK    as many octets as BDAT has said; one reply
 *	S_AUTH     a line of a SASL exchange
 *
 * RSET, EHLO and the end of a text lead to S_READY, STARTTLS to S_START with everything forgotten.
 * A chunk that is out of place is swallowed before it is answered: it must not pass for commands.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "lib/log.h"
#include "lib/text.h"
#include "smtp.h"

enum {
	LINE = 2048,		/* octets of a command with CR LF; RFC 5321 and others want 1,200 */
	AUTH_LINE = 4096,	/* of a line in an AUTH exchange */
	HOPS = 100		/* RFC 5321 6.3 */
};

static const char hello_first[] = "503 5.5.1 EHLO first";
static const char bad_sequence[] = "503 5.5.1 Bad sequence of commands";
static const char no_rcpt[] = "554 5.5.1 No valid recipients";
static const char too_large[] = "552 5.3.4 Message too large";

static struct smtp sessions[SESSIONS];

const size_t smtp_memory = sizeof(sessions);

/* ---- replies ---- */

void
smtp_reply(struct smtp *s, const char *text)
{
	conn_printf(s->c, "%s\r\n", text);
}

void
smtp_refuse(struct smtp *s, const char *text)
{
	if (++s->errors < ERRORS) {
		smtp_reply(s, text);
		return;
	}
	conn_printf(s->c, "%s\r\n421 4.7.0 %s too many errors\r\n", text, host);
	conn_close(s->c, "too many errors");
}

void
smtp_reject(struct smtp *s, const char *text, const char *arg, size_t n)
{
	char ip[IP_TEXT], what[160], reply[320];

	log_event(s->sid, "smtp from=%s refused=\"%s\" reply=\"%s\"", ip_text(ip, &s->c->peer),
	    text_escape(what, sizeof(what), arg, n),
	    text_escape(reply, sizeof(reply), text, strlen(text)));
	smtp_refuse(s, text);
}

const char *
smtp_disk(int full)
{
	return full ? "452 4.3.1 Not enough disk space, try again later" :
	    "451 4.3.0 Disk trouble, try again later";
}

static void
smtp_expire(struct conn *c)
{
	conn_printf(c, "421 4.%s %s %s\r\n", stopping ? "3.2" : "4.2", host,
	    stopping ? "is going down" : "has waited too long");
	conn_close(c, stopping ? "stopping" : "timed out");
}

/* ---- transactions ---- */

static void
forget(struct smtp *s)
{
	inspect_cancel(s);
	letter_abort(&s->letter);
	smtp_forget(s);
	if (s->state != S_START)
		s->state = S_READY;
}

int
smtp_ours(const struct smtp *s)
{
	return s->user >= 0 || s->trusted >= 0 || conn_listener(s->c)->protocol == LOCAL;
}

static int
may_auth(const struct smtp *s)
{
	return s->tls || conn_listener(s->c)->clear_auth;
}

static void
bad_argument(struct smtp *s)
{
	smtp_refuse(s, "501 5.5.4 Syntax error in argument");
}

/* What clients put there is often not a domain; it only has to be harmless in a trace field. */
static int
helo_ok(const char *p, size_t n)
{
	size_t i;

	if (n < 1 || n > ADDR_DOMAIN)
		return 0;
	for (i = 0; i < n; i++)
		if (!text_alnum((unsigned char)p[i]) && !memchr("-._:[]", p[i], 6))
			return 0;
	return 1;
}

static int
hello(struct smtp *s, const char *p, size_t n)
{
	if (!helo_ok(p, n)) {
		bad_argument(s);
		return -1;
	}
	(void)text_copy(s->helo, sizeof(s->helo), p, n);
	guard_helo(s);
	s->state = S_READY;
	forget(s);
	return 0;
}

static void
helo(struct smtp *s, const char *p, size_t n)
{
	if (hello(s, p, n) < 0)
		return;
	s->esmtp = 0;
	conn_printf(s->c, "250 %s\r\n", host);
}

static void
ehlo(struct smtp *s, const char *p, size_t n)
{
	if (hello(s, p, n) < 0)
		return;
	s->esmtp = 1;
	conn_printf(s->c, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n"
	    "250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n"
	    "%s%s250-LIMITS RCPTMAX=%d\r\n250 HELP\r\n", host, (unsigned long long)message_max,
	    conn_listener(s->c)->tls == TLS_START && !s->tls ? "250-STARTTLS\r\n" : "",
	    may_auth(s) ? "250-AUTH PLAIN LOGIN\r\n" : "", RECIPIENTS);
}

/* ---- texts: DATA and BDAT ---- */

/* RFC 5321 4.4, RFC 3848, RFC 6531 4.3, RFC 8314. */
void
smtp_trace(struct smtp *s, struct letter *l)
{
	char date[DATE_TEXT], ip[IP_TEXT], field[HOST_TEXT + DNS_NAME + 2 * ADDR_TEXT + 512];
	const char *name = s->visit.name;
	int n;

	n = snprintf(field, sizeof(field), "Received: from %s (%s%s[%s%s])\n"
	    "\tby %s with %s%s%s id %s\n", s->helo, name, *name ? " " : "",
	    ip_is4(&s->c->peer) ? "" : "IPv6:", ip_text(ip, &s->c->peer), host,
	    s->utf8 ? "UTF8SMTP" : s->esmtp ? "ESMTP" : "SMTP", s->esmtp && s->tls ? "S" : "",
	    s->esmtp && s->user >= 0 ? "A" : "", l->id);
	letter_text(l, field, (size_t)n);
	if (s->tls) {
		n = snprintf(field, sizeof(field), "\t(%s %s)\n",
		    tls_version(s->c), tls_cipher(s->c));
		letter_text(l, field, (size_t)n);
	}
	text_date(date, loop_wall);
	if (s->nrcpt == 1)
		n = snprintf(field, sizeof(field), "\tfor <%s>; %s\n", s->rcpt, date);
	else
		n = snprintf(field, sizeof(field), "\t; %s\n", date);
	letter_text(l, field, (size_t)n);
}

static void
text(void *arg, const char *p, size_t n)
{
	struct smtp *s = arg;

	letter_text(&s->letter, p, n);
}

/* The header ends: what a client of our own should have written into it, RFC 6409 8.1 and 8.2. */
static void
complete(void *arg)
{
	struct smtp *s = arg;
	char date[DATE_TEXT], field[HOST_TEXT + 128];
	int n;

	if (!smtp_ours(s) || (s->header.date && s->header.message_id))
		return;
	if (!s->header.date) {
		n = snprintf(field, sizeof(field), "Date: %s\n", text_date(date, loop_wall));
		letter_text(&s->letter, field, (size_t)n);
	}
	if (!s->header.message_id) {
		n = snprintf(field, sizeof(field), "Message-ID: <%s@%s>\n", s->letter.id, host);
		letter_text(&s->letter, field, (size_t)n);
	}
	if (!s->header.blank)
		letter_text(&s->letter, "\n", 1);
}

/* What inspect.c will write anew has no trace fields yet. */
static void
begin(struct smtp *s)
{
	if (inspect_wanted(s))
		letter_text(&s->letter, "", 0);
	else
		smtp_trace(s, &s->letter);
	s->size = 0;
	dot_init(&s->dot);
	header_init(&s->header);
	s->header.emit = text;
	s->header.end = complete;
	s->header.delivered = smtp_delivered;
	s->header.arg = s;
}

static void
data(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n) {
		bad_argument(s);
		return;
	}
	if (!s->nrcpt) {
		smtp_refuse(s, no_rcpt);
		return;
	}
	begin(s);
	s->state = S_DATA;
	conn_limit(s->c, smtp_data_idle, smtp_data_total);
	smtp_reply(s, "354 End with a line of a single dot");
}

/* The answer to a message that is complete, or NULL: it is fine. */
static const char *
verdict(const struct smtp *s)
{
	if (s->dot.bad || s->dot.s == DOT_CR)
		return "554 5.6.0 Bare CR or LF in the message (RFC 5321 2.3.8)";
	if (s->size > message_max)
		return too_large;
	if (s->header.received >= HOPS)
		return "554 5.4.6 Too many Received fields: a loop";
	if (s->looped)
		return "554 5.4.6 It was forwarded for this address before: a loop";
	if (smtp_quota(&s->letter.to, s->size))
		return "452 4.2.2 Mailbox full";
	if (s->letter.bad)
		return smtp_disk(s->letter.full);
	return NULL;
}

static void
accepted(struct letter *l, enum res r)
{
	struct smtp *s = (struct smtp *)((char *)l - offsetof(struct smtp, letter));
	static const char *const via[] = { "smtp", "submission", "pop3", "trusted", "local" };
	char ip[IP_TEXT], from[ADDR_TEXT + 32];

	if (r == R_OK) {
		log_event(s->sid, "smtp from=%s helo=%s via=%s tls=%s user=%s sender=\"%s\" "
		    "rcpt=%d size=%llu -> %s %s", ip_text(ip, &s->c->peer), s->helo,
		    via[conn_listener(s->c)->protocol], s->tls ? tls_cipher(s->c) : "-",
		    s->user >= 0 ? user_at(s->user)->name : "-",
		    text_escape(from, sizeof(from), s->sender, strlen(s->sender)), s->nrcpt,
		    (unsigned long long)s->size, letter_alone(l) ? "discarded" : "queued", l->id);
		conn_printf(s->c, "250 2.0.0 Ok: queued as %s\r\n", l->id);
	} else {
		smtp_reply(s, smtp_disk(l->full));
	}
	forget(s);
	conn_resume(s->c);
}

void
smtp_answer(struct smtp *s, const char *error)
{
	if (error) {
		smtp_reject(s, error, s->sender, strlen(s->sender));
		forget(s);
		conn_resume(s->c);
		return;
	}
	if (letter_alone(&s->letter)) {
		s->letter.bad = R_OK;
		accepted(&s->letter, R_OK);
		return;
	}
	s->letter.done = accepted;
	letter_finish(&s->letter);
}

static void
end_of_data(struct smtp *s)
{
	const char *error;

	header_finish(&s->header);
	error = verdict(s);
	s->state = S_READY;
	conn_limit(s->c, smtp_idle, session_total);
	conn_hold(s->c);
	if (!error && inspect_wanted(s))
		inspect_start(s);
	else
		smtp_answer(s, error);
}

/* How long the text may still take, in ms. */
static int64_t
left(const struct smtp *s)
{
	return s->until > loop_now ? s->until - loop_now : 1;
}

/* What is wrong with the chunk that follows; NULL: nothing so far. */
static const char *
chunk_error(const struct smtp *s)
{
	if (s->state == S_START)
		return hello_first;
	if (s->state == S_READY)
		return bad_sequence;
	return s->nrcpt ? NULL : no_rcpt;
}

/* All of a chunk is there. Errors are told at the last one, but for those that end the text. */
static void
end_of_chunk(struct smtp *s)
{
	const char *error = s->error;

	s->state = s->before;
	if (!error && !s->last && (s->size > message_max || s->letter.bad))
		error = s->letter.bad ? smtp_disk(s->letter.full) : too_large;
	if (!error && s->last) {
		if (s->dot.s == DOT_TEXT && s->size <= message_max && !s->dot.bad)
			header_feed(&s->header, "\n", 1);
		end_of_data(s);
		return;
	}
	conn_limit(s->c, smtp_idle, s->state == S_BDAT ? left(s) : session_total);
	if (!error) {
		smtp_reply(s, "250 2.0.0 Go on");
		return;
	}
	smtp_reject(s, error, "BDAT", 4);
	if (s->state == S_BDAT)
		forget(s);
}

/* "n" or "n LAST": 0 or -1. */
static int
chunk_size(struct smtp *s, const char *p, size_t n)
{
	const char *sp = memchr(p, ' ', n);
	size_t k = sp ? (size_t)(sp - p) : n;

	s->last = sp != NULL;
	if (text_u64(p, k, &s->chunk) < 0)
		return -1;
	for (; k < n && p[k] == ' '; k++)
		;
	return sp && !text_is(p + k, n - k, "LAST") ? -1 : 0;
}

static void
bdat(struct smtp *s, const char *p, size_t n)
{
	if (chunk_size(s, p, n) < 0) {
		/* what follows may be a chunk or a command: nobody knows */
		bad_argument(s);
		conn_close(s->c, "BDAT without a size");
		return;
	}
	if (s->state == S_BDAT && loop_now >= s->until) {
		smtp_expire(s->c);	/* a drip of chunks puts no end to the time it has */
		return;
	}
	s->error = chunk_error(s);
	s->before = s->state;
	if (!s->error && s->state != S_BDAT) {
		begin(s);
		s->dot.chunks = 1;
		s->until = loop_now + smtp_data_total;
		s->before = S_BDAT;
	}
	s->state = S_CHUNK;
	if (!s->chunk) {
		end_of_chunk(s);
		return;
	}
	conn_limit(s->c, smtp_data_idle, s->error ? smtp_data_total : left(s));
}

/* Octets of the text that are at hand. */
static void
swallow(struct smtp *s)
{
	static char out[BUFSZ];
	const char *in;
	size_t k, n;

	in = conn_in(s->c, &n);
	if (s->state == S_CHUNK && n > s->chunk)
		n = (size_t)s->chunk;
	if (s->state == S_DATA || !s->error) {
		k = dot_feed(&s->dot, out, in, &n);
		s->size += n;
		if (s->size <= message_max && !s->dot.bad)
			header_feed(&s->header, out, k);
	}
	conn_eat(s->c, n);
	if (s->state == S_DATA) {
		if (s->dot.s == DOT_END)
			end_of_data(s);
		return;
	}
	s->chunk -= n;
	if (!s->chunk)
		end_of_chunk(s);
}

/* ---- AUTH ---- */

/* No more passwords are looked at. */
static void
banned(struct smtp *s)
{
	sasl_wipe(&s->login.sasl);
	conn_printf(s->c, "421 4.7.0 %s Too many failed logins, try again later\r\n", host);
	conn_close(s->c, "too many failed logins");
}

/* The session is held until the password has been looked at. */
static void
login_result(struct smtp *s, enum res r, int slot)
{
	char ip[IP_TEXT];

	if (r == R_AGAIN) {
		conn_work(s->c);
		return;
	}
	conn_resume(s->c);
	if (r == R_OK) {
		s->user = slot;
		s->visit.stranger = 0;
		guard_passed(&s->c->peer);
		smtp_reply(s, "235 2.7.0 Welcome");
	} else if (r == R_TEMP) {
		smtp_reply(s, "454 4.7.0 Accounts cannot be read now");
	} else {
		log_event(s->sid, "login-failed from=%s protocol=smtp user=\"%s\"",
		    ip_text(ip, &s->c->peer), s->tried);
		conn_delay(s->c, guard_failed(&s->c->peer));
		if (!guard_repeats(&s->login, &s->c->peer) &&
		    limit_count(C_LOGINS, &s->c->peer) < 0)
			banned(s);
		else
			smtp_refuse(s, "535 5.7.8 Wrong name or password");
	}
}

static void
auth_answer(struct smtp *s, enum sasl_result r)
{
	enum res begun;

	s->state = S_READY;
	switch (r) {
	case SASL_MORE:
		s->state = S_AUTH;
		conn_printf(s->c, "334 %s\r\n", s->login.sasl.challenge);
		return;
	case SASL_DONE:
		if (limit_reached(C_LOGINS, &s->c->peer)) {
			banned(s);
			return;
		}
		conn_hold(s->c);
		(void)text_escape(s->tried, sizeof(s->tried), s->login.sasl.name,
		    strlen(s->login.sasl.name));
		begun = login_start(&s->login);
		login_result(s, begun, s->login.slot);
		return;
	case SASL_BAD:
		smtp_refuse(s, "501 5.5.2 Bad AUTH data");
		break;
	case SASL_CANCEL:
		smtp_refuse(s, "501 5.7.0 AUTH given up");
		break;
	case SASL_UNKNOWN:
		smtp_refuse(s, "504 5.5.4 Unknown mechanism");
		break;
	}
	sasl_wipe(&s->login.sasl);
}

static void
auth(struct smtp *s, const char *p, size_t n)
{
	const char *sp = memchr(p, ' ', n), *initial = sp ? sp + 1 : NULL;
	size_t nmech = sp ? (size_t)(sp - p) : n, ninitial = sp ? n - nmech - 1 : 0;

	if (!may_auth(s))
		smtp_refuse(s, "538 5.7.11 Encryption required: STARTTLS first");
	else if (s->user >= 0)
		smtp_refuse(s, "503 5.5.1 Already authenticated");
	else if (!n)
		bad_argument(s);
	else
		auth_answer(s, sasl_start(&s->login.sasl, p, nmech, initial, ninitial));
}

static void
smtp_work(struct conn *c)
{
	struct smtp *s = c->session;
	enum res r;
	int slot;

	if (s->inspection) {
		inspect_work(s);
		return;
	}
	r = login_work(&s->login, &slot);
	login_result(s, r, slot);
}

/* ---- the rest ---- */

static void
starttls(struct smtp *s, const char *p, size_t n)
{
	size_t more;

	(void)p;
	if (n) {
		bad_argument(s);
	} else if (conn_listener(s->c)->tls != TLS_START || s->tls) {
		smtp_refuse(s, "503 5.5.1 TLS is not to be had now");
	} else if (conn_in(s->c, &more)) {
		smtp_reply(s, "554 5.5.1 Nothing may follow STARTTLS");
		conn_close(s->c, "commands behind STARTTLS");
	} else {
		smtp_reply(s, "220 2.0.0 Go ahead");
		conn_upgrade(s->c, tls_start);
	}
}

static void
rset(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n) {
		bad_argument(s);
		return;
	}
	forget(s);
	smtp_reply(s, "250 2.0.0 Ok");
}

static void
noop(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	(void)n;
	smtp_reply(s, "250 2.0.0 Ok");
}

static void
vrfy(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n)
		smtp_reply(s, "252 2.0.0 Send it, then we will see");
	else
		bad_argument(s);
}

static void
help(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	(void)n;
	smtp_reply(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT: "
	    "RFC 5321");
}

static void
quit(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n) {
		bad_argument(s);
		return;
	}
	conn_printf(s->c, "221 2.0.0 %s Bye\r\n", host);
	conn_close(s->c, NULL);
}

/* ---- commands ---- */

#define ANY (S_START | S_READY | S_MAIL | S_RCPT | S_BDAT)

static const struct verb {
	const char *name;
	int states;		/* in which it is allowed */
	void (*run)(struct smtp *s, const char *arg, size_t n);
} verbs[] = {
	{ "MAIL",     S_READY,         smtp_mail },
	{ "RCPT",     S_MAIL | S_RCPT, smtp_rcpt },
	{ "DATA",     S_MAIL | S_RCPT, data },
	{ "BDAT",     ANY,             bdat },
	{ "EHLO",     ANY,             ehlo },
	{ "HELO",     ANY,             helo },
	{ "QUIT",     ANY,             quit },
	{ "RSET",     ANY,             rset },
	{ "NOOP",     ANY,             noop },
	{ "STARTTLS", ANY,             starttls },
	{ "AUTH",     S_READY,         auth },
	{ "VRFY",     ANY,             vrfy },
	{ "HELP",     ANY,             help },
};

/* Control characters have no place in a command. */
static int
clean(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return 0;
	return 1;
}

static void
command(struct smtp *s, const char *p, size_t n)
{
	const char *sp;
	size_t i, nv;

	while (n && p[n - 1] == ' ')
		n--;
	sp = memchr(p, ' ', n);
	nv = sp ? (size_t)(sp - p) : n;
	if (!clean(p, n)) {
		smtp_refuse(s, "500 5.5.2 Control characters in command");
		return;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!text_is(p, nv, verbs[i].name))
			continue;
		if (!(verbs[i].states & s->state)) {
			smtp_refuse(s, s->state == S_START ? hello_first : bad_sequence);
			return;
		}
		for (; nv < n && p[nv] == ' '; nv++)
			;
		verbs[i].run(s, p + nv, n - nv);
		return;
	}
	smtp_refuse(s, "500 5.5.1 Unknown command");
}

/* A complete line, without its line end. */
static void
line(struct smtp *s, const char *p, size_t n)
{
	if (s->state == S_AUTH)
		auth_answer(s, sasl_step(&s->login.sasl, p, n));
	else
		command(s, p, n);
}

static size_t
limit(const struct smtp *s, const char *p, size_t n)
{
	return s->state == S_AUTH || text_begins(p, n, "AUTH ") ? AUTH_LINE : LINE;
}

/* One line of the input, or part of one that is too long: 1, or 0: wait for more. */
static int
take_line(struct smtp *s)
{
	char copy[AUTH_LINE];
	const char *lf, *p;
	size_t k, n;

	p = conn_in(s->c, &n);
	if (!n)
		return 0;
	lf = memchr(p, '\n', n);
	k = lf ? (size_t)(lf - p) + 1 : n;
	if (!s->skip && k <= limit(s, p, n)) {
		if (!lf)
			return 0;
		memcpy(copy, p, k);
		conn_eat(s->c, k);
		if (k < 2 || copy[k - 2] != '\r')
			smtp_refuse(s, "500 5.5.2 Lines end in CR LF");
		else
			line(s, copy, k - 2);
		scram_wipe(copy, k);
		return 1;
	}
	conn_eat(s->c, k);
	if (lf) {
		smtp_refuse(s, "500 5.5.2 Line too long");
		if (s->state == S_AUTH)
			s->state = S_READY;
	}
	s->skip = !lf;
	return 1;
}

static void
smtp_input(struct conn *c)
{
	struct smtp *s = c->session;
	size_t n;

	if (s->state == S_WAIT) {
		guard_early(s);
		conn_hold(c);
	}
	while (!conn_busy(c) && conn_in(c, &n)) {
		if (s->state & (S_DATA | S_CHUNK))
			swallow(s);
		else if (!take_line(s))
			return;
	}
}

/* ---- the life of a session ---- */

void
smtp_greet(struct smtp *s)
{
	s->state = S_START;
	conn_printf(s->c, "220 %s ESMTP\r\n", host);
	conn_resume(s->c);
}

/* Also when TLS has come up: then all is forgotten but who the peer is. */
static void
smtp_start(struct conn *c)
{
	struct smtp *s = &sessions[conn_slot(c)];
	int again = c->session == s;
	struct visit visit = s->visit;

	if (again)
		letter_abort(&s->letter);
	memset(s, 0, sizeof(*s));
	if (again) {
		s->visit = visit;
		s->visit.stranger = visit.met;
	}
	s->c = c;
	s->state = again ? S_START : S_WAIT;
	s->user = -1;
	s->trusted = conn_listener(c)->protocol == TRUSTED ? guard_trusted(&c->peer) : -1;
	s->letter.fd = -1;
	s->tls = c->tls != NULL;
	c->session = s;
	session_id(s->sid);
	conn_limit(c, smtp_idle, session_total);
	if (!again)
		guard_open(s);
}

static void
smtp_end(struct conn *c)
{
	struct smtp *s = c->session;
	char ip[IP_TEXT];

	if (conn_listener(c)->protocol != LOCAL)
		limit_gone(&c->peer);
	if (!s) {
		log_event("-", "smtp from=%s ended=\"%s\"", ip_text(ip, &c->peer),
		    c->why ? c->why : "-");
		return;
	}
	if (c->why && strcmp(c->why, "closed by peer") != 0)
		log_event(s->sid, "smtp from=%s ended=\"%s\"", ip_text(ip, &c->peer), c->why);
	inspect_cancel(s);
	guard_close(s);
	letter_drop(&s->letter);
	scram_wipe(&s->login, sizeof(s->login));
}

const struct kind smtp_kind = {
	.name = "smtp",
	.start = smtp_start,
	.input = smtp_input,
	.work = smtp_work,
	.expire = smtp_expire,
	.end = smtp_end,
};
