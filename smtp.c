/* See LICENSE file for copyright and licence details. */
/*
 * SMTP server sessions, RFC 5321: mail from other servers, and submission (RFC 6409) by our users.
 *
 *	state      may come next
 *	S_START    EHLO, HELO (and what is always allowed: NOOP, HELP, VRFY, RSET, QUIT, STARTTLS)
 *	S_READY    MAIL, AUTH
 *	S_MAIL     RCPT
 *	S_RCPT     RCPT, DATA
 *	S_DATA     the text, up to CR LF . CR LF (lib/dot.h); one reply when it has ended
 *	S_AUTH     a line of a SASL exchange
 *
 * RSET, EHLO and the end of DATA lead to S_READY, STARTTLS to S_START with everything forgotten.
 */
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/dot.h"
#include "lib/header.h"
#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"

enum { S_START = 1, S_READY = 2, S_MAIL = 4, S_RCPT = 8, S_DATA = 16, S_AUTH = 32 };

enum {
	LINE = 1024,		/* octets of a command with CR LF; RFC 5321 4.5.3.1.4 wants 512 */
	AUTH_LINE = 4096,	/* of a line in an AUTH exchange */
	HOPS = 100		/* RFC 5321 6.3 */
};

struct smtp {
	struct conn *c;
	char sid[ID_TEXT];
	int state;
	int esmtp;			/* it said EHLO */
	int tls;
	int skip;			/* swallowing the rest of a line that is too long */
	int errors;
	int user;			/* the login's slot, -1: none */
	int nrcpt;
	uint64_t size;			/* octets of the text so far, as SMTP counts them */
	struct letter letter;
	struct dot dot;
	struct header header;
	char helo[ADDR_DOMAIN + 1];
	char sender[ADDR_TEXT + 1];
	char rcpt[ADDR_TEXT + 1];	/* the first */
	char tried[64];			/* the name of the login, escaped */
	struct login login;
};

static struct smtp sessions[SESSIONS];

const size_t smtp_memory = sizeof(sessions);

/* ---- replies ---- */

static void
reply(struct smtp *s, const char *text)
{
	conn_printf(s->c, "%s\r\n", text);
}

/* A reply that counts as an error of the peer. */
static void
refuse(struct smtp *s, const char *text)
{
	if (++s->errors < ERRORS) {
		reply(s, text);
		return;
	}
	conn_printf(s->c, "%s\r\n421 4.7.0 %s too many errors\r\n", text, host);
	conn_close(s->c, "too many errors");
}

/* The same, with a log line: what the peer wanted and why it did not get it. */
static void
reject(struct smtp *s, const char *text, const char *arg, size_t n)
{
	char ip[IP_TEXT], what[160];

	log_event(s->sid, "smtp from=%s refused=\"%s\" reply=\"%s\"", ip_text(ip, &s->c->peer),
	    text_escape(what, sizeof(what), arg, n), text);
	refuse(s, text);
}

/* ---- transactions ---- */

static void
forget(struct smtp *s)
{
	letter_abort(&s->letter);
	s->nrcpt = 0;
	s->sender[0] = s->rcpt[0] = '\0';
	if (s->state != S_START)
		s->state = S_READY;
}

static int
submission(const struct smtp *s)
{
	return conn_listener(s->c)->protocol == SUBMISSION;
}

static int
may_auth(const struct smtp *s)
{
	return s->tls || conn_listener(s->c)->clear_auth;
}

static void
bad_argument(struct smtp *s)
{
	refuse(s, "501 5.5.4 Syntax error in argument");
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
	    "250-ENHANCEDSTATUSCODES\r\n%s%s250-LIMITS RCPTMAX=%d\r\n250 HELP\r\n", host,
	    (unsigned long long)message_max,
	    conn_listener(s->c)->tls == TLS_START && !s->tls ? "250-STARTTLS\r\n" : "",
	    may_auth(s) ? "250-AUTH PLAIN LOGIN\r\n" : "", RECIPIENTS);
}

/* ---- MAIL ---- */

struct params {
	uint64_t size;
	int seen;		/* bits: 1 SIZE, 2 BODY, 4 AUTH */
	const char *error;
};

/* RFC 4954 5: "<>", or an address as xtext (RFC 3461 4): "+" begins two capital hexadecimal digits. */
static int
auth_param(const char *p, size_t n)
{
	size_t i;
	int hex = 0;

	if (text_is(p, n, "<>"))
		return 1;
	for (i = 0; i < n; i++) {
		if (hex && !memchr("0123456789ABCDEF", p[i], 16))
			return 0;
		if (!hex && (p[i] < 0x21 || p[i] > 0x7e || p[i] == '='))
			return 0;
		hex = hex ? hex - 1 : p[i] == '+' ? 2 : 0;
	}
	return n >= 1 && n <= 500 && !hex;
}

static const char *
param(struct params *m, const char *p, size_t n)
{
	const char *v = memchr(p, '=', n);
	size_t nk = v ? (size_t)(v - p) : n, nv = v ? n - nk - 1 : 0;
	int bit;

	if (text_is(p, nk, "SIZE"))
		bit = 1;
	else if (text_is(p, nk, "BODY"))
		bit = 2;
	else if (text_is(p, nk, "AUTH"))
		bit = 4;
	else
		return "555 5.5.4 Unknown parameter";
	if (!v || m->seen & bit)
		return "501 5.5.4 Syntax error in parameter";
	m->seen |= bit;
	v++;
	if (bit == 1 && (nv > 20 || text_u64(v, nv, &m->size) < 0))
		return "501 5.5.4 Bad SIZE";
	if (bit == 2 && !text_is(v, nv, "7BIT") && !text_is(v, nv, "8BITMIME"))
		return "501 5.5.4 Bad BODY";
	if (bit == 4 && !auth_param(v, nv))
		return "501 5.5.4 Bad AUTH";
	return NULL;
}

/* The parameters behind a path, each after a space. */
static const char *
params(struct params *m, const char *p, size_t n)
{
	const char *error;
	size_t k;

	memset(m, 0, sizeof(*m));
	while (n) {
		if (*p != ' ')
			return "501 5.5.4 Syntax error behind the address";
		for (; n && *p == ' '; p++, n--)
			;
		for (k = 0; k < n && p[k] != ' '; k++)
			;
		if (k && (error = param(m, p, k)))
			return error;
		p += k;
		n -= k;
	}
	return NULL;
}

/* "FROM:<path> params": the path in *a, the rest in *p; 0, or -1 if it is not of that form. */
static int
path(struct addr *a, const char *word, const char **p, size_t *n, int allow)
{
	size_t k = strlen(word);
	long len;

	if (!text_begins(*p, *n, word))
		return -1;
	for (; k < *n && (*p)[k] == ' '; k++)
		;
	len = addr_path(a, *p + k, *n - k, allow);
	if (len < 0)
		return -1;
	*p += k + (size_t)len;
	*n -= k + (size_t)len;
	return 0;
}

/* May this session use this sender? The reply if not. */
static const char *
sender_error(const struct smtp *s, const struct addr *a)
{
	if (submission(s) && s->user < 0)
		return "530 5.7.0 Authentication required";
	if (s->user >= 0 && a->nmailbox && !send_as_anyone && !user_may_send(s->user, a))
		return "553 5.7.1 You may not send as this address";
	return NULL;
}

static const char *
disk_error(int full)
{
	return full ? "452 4.3.1 Not enough disk space, try again later" :
	    "451 4.3.0 Disk trouble, try again later";
}

static void
mail(struct smtp *s, const char *p, size_t n)
{
	const char *all = p, *error;
	size_t nall = n;
	struct params m;
	struct addr a;

	if (path(&a, "FROM:", &p, &n, ADDR_NULL) < 0) {
		reject(s, "501 5.1.7 Bad sender address", all, nall);
		return;
	}
	error = params(&m, p, n);
	if (!error)
		error = sender_error(s, &a);
	if (!error && m.size > message_max)
		error = "552 5.3.4 Message too large";
	if (error) {
		reject(s, error, all, nall);
		return;
	}
	if (store_room(m.size) != R_OK) {
		reply(s, disk_error(!store_broken()));
		return;
	}
	if (letter_begin(&s->letter, conn_slot(s->c), a.mailbox, a.nmailbox, "") != R_OK) {
		letter_abort(&s->letter);
		reply(s, disk_error(s->letter.full));
		return;
	}
	(void)text_copy(s->sender, sizeof(s->sender), a.mailbox, a.nmailbox);
	s->size = m.size;
	s->state = S_MAIL;
	reply(s, "250 2.1.0 Ok");
}

/* ---- RCPT ---- */

/* Is one of the mailboxes too full for this letter? */
static int
over_quota(const struct user_set *to, uint64_t size)
{
	int i;

	if (!quota)
		return 0;
	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(to, i) && box_size(i) + size >= quota)
			return 1;
	return 0;
}

static const char *
rcpt_error(struct smtp *s, const struct addr *a, struct user_set *to)
{
	if (s->nrcpt >= RECIPIENTS)
		return "452 4.5.3 Too many recipients";
	switch (user_resolve(to, NULL, a)) {
	case W_LOCAL:
		break;
	case W_UNKNOWN:
		return "550 5.1.1 No such user here";
	case W_REMOTE:
		return "550 5.7.1 Relaying denied";
	case W_LATER:
		return "451 4.3.0 Accounts cannot be read now";
	}
	if (over_quota(to, s->size))
		return "452 4.2.2 Mailbox full";
	if (letter_rcpt(&s->letter, a->mailbox, a->nmailbox, to) != R_OK)
		return disk_error(s->letter.full);
	return NULL;
}

static void
rcpt(struct smtp *s, const char *p, size_t n)
{
	const char *all = p, *error;
	size_t nall = n;
	struct user_set to;
	struct params m;
	struct addr a;

	if (path(&a, "TO:", &p, &n, ADDR_BARE) < 0) {
		reject(s, "501 5.1.3 Bad recipient address", all, nall);
		return;
	}
	error = n ? params(&m, p, n) : NULL;
	if (!error && n && m.seen)
		error = "555 5.5.4 Unknown parameter";
	if (!error)
		error = rcpt_error(s, &a, &to);
	if (error) {
		reject(s, error, all, nall);
		return;
	}
	if (!s->nrcpt++)
		(void)text_copy(s->rcpt, sizeof(s->rcpt), a.mailbox, a.nmailbox);
	s->state = S_RCPT;
	reply(s, "250 2.1.5 Ok");
}

/* ---- DATA ---- */

/* RFC 5321 4.4, RFC 3848, RFC 8314. */
static void
trace(struct smtp *s)
{
	char date[DATE_TEXT], ip[IP_TEXT], field[HOST_TEXT + 2 * ADDR_TEXT + 512];
	int n;

	n = snprintf(field, sizeof(field), "Received: from %s ([%s%s])\n\tby %s with %s%s%s id %s\n",
	    s->helo, ip_is4(&s->c->peer) ? "" : "IPv6:", ip_text(ip, &s->c->peer), host,
	    s->esmtp ? "ESMTP" : "SMTP", s->esmtp && s->tls ? "S" : "",
	    s->esmtp && s->user >= 0 ? "A" : "", s->letter.id);
	letter_text(&s->letter, field, (size_t)n);
	if (s->tls) {
		n = snprintf(field, sizeof(field), "\t(%s %s)\n", tls_version(s->c), tls_cipher(s->c));
		letter_text(&s->letter, field, (size_t)n);
	}
	text_date(date, loop_wall);
	if (s->nrcpt == 1)
		n = snprintf(field, sizeof(field), "\tfor <%s>; %s\n", s->rcpt, date);
	else
		n = snprintf(field, sizeof(field), "\t; %s\n", date);
	letter_text(&s->letter, field, (size_t)n);
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

	if (s->user < 0 || (s->header.date && s->header.message_id))
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

static void
data(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n) {
		bad_argument(s);
		return;
	}
	if (!s->nrcpt) {
		refuse(s, "554 5.5.1 No valid recipients");
		return;
	}
	trace(s);
	s->size = 0;
	dot_init(&s->dot);
	header_init(&s->header);
	s->header.emit = text;
	s->header.end = complete;
	s->header.arg = s;
	s->state = S_DATA;
	conn_limit(s->c, smtp_data_idle, smtp_data_total);
	reply(s, "354 End with a line of a single dot");
}

/* The answer to a message that is complete, or NULL: it is fine. */
static const char *
verdict(const struct smtp *s)
{
	if (s->dot.bad)
		return "554 5.6.0 Bare CR or LF in the message (RFC 5321 2.3.8)";
	if (s->size > message_max)
		return "552 5.3.4 Message too large";
	if (s->header.received >= HOPS)
		return "554 5.4.6 Too many Received fields: a loop";
	if (over_quota(&s->letter.to, s->size))
		return "452 4.2.2 Mailbox full";
	if (s->letter.bad)
		return disk_error(s->letter.full);
	return NULL;
}

static void
accepted(struct letter *l, enum res r)
{
	struct smtp *s = (struct smtp *)((char *)l - offsetof(struct smtp, letter));
	char ip[IP_TEXT], from[ADDR_TEXT + 32];

	if (r == R_OK) {
		log_event(s->sid, "smtp from=%s helo=%s tls=%s user=%s sender=\"%s\" rcpt=%d size=%llu"
		    " -> queued %s", ip_text(ip, &s->c->peer), s->helo, s->tls ? tls_cipher(s->c) : "-",
		    s->user >= 0 ? user_at(s->user)->name : "-",
		    text_escape(from, sizeof(from), s->sender, strlen(s->sender)), s->nrcpt,
		    (unsigned long long)s->size, l->id);
		conn_printf(s->c, "250 2.0.0 Ok: queued as %s\r\n", l->id);
	} else {
		reply(s, disk_error(l->full));
	}
	forget(s);
	conn_resume(s->c);
}

static void
end_of_data(struct smtp *s)
{
	const char *error;

	header_finish(&s->header);
	error = verdict(s);
	s->state = S_READY;
	conn_limit(s->c, smtp_idle, session_total);
	if (error) {
		reject(s, error, s->sender, strlen(s->sender));
		forget(s);
		return;
	}
	s->letter.done = accepted;
	conn_hold(s->c);
	letter_finish(&s->letter);
}

static void
swallow(struct smtp *s)
{
	static char out[BUFSZ];
	const char *in;
	size_t k, n;

	in = conn_in(s->c, &n);
	k = dot_feed(&s->dot, out, in, &n);
	conn_eat(s->c, n);
	s->size += n;
	if (s->size <= message_max && !s->dot.bad)
		header_feed(&s->header, out, k);
	if (s->dot.s == DOT_END)
		end_of_data(s);
}

/* ---- AUTH ---- */

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
		guard_passed(&s->c->peer);
		reply(s, "235 2.7.0 Welcome");
	} else if (r == R_TEMP) {
		reply(s, "454 4.7.0 Accounts cannot be read now");
	} else {
		log_event(s->sid, "login-failed from=%s protocol=smtp user=\"%s\"",
		    ip_text(ip, &s->c->peer), s->tried);
		conn_delay(s->c, guard_failed(&s->c->peer));
		refuse(s, "535 5.7.8 Wrong name or password");
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
		conn_hold(s->c);
		(void)text_escape(s->tried, sizeof(s->tried), s->login.sasl.name,
		    strlen(s->login.sasl.name));
		begun = login_start(&s->login);
		login_result(s, begun, s->login.slot);
		return;
	case SASL_BAD:
		refuse(s, "501 5.5.2 Bad AUTH data");
		break;
	case SASL_CANCEL:
		refuse(s, "501 5.7.0 AUTH given up");
		break;
	case SASL_UNKNOWN:
		refuse(s, "504 5.5.4 Unknown mechanism");
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
		refuse(s, "538 5.7.11 Encryption required: STARTTLS first");
	else if (s->user >= 0)
		refuse(s, "503 5.5.1 Already authenticated");
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
		refuse(s, "503 5.5.1 TLS is not to be had now");
	} else if (conn_in(s->c, &more)) {
		reply(s, "554 5.5.1 Nothing may follow STARTTLS");
		conn_close(s->c, "commands behind STARTTLS");
	} else {
		reply(s, "220 2.0.0 Go ahead");
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
	reply(s, "250 2.0.0 Ok");
}

static void
noop(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	(void)n;
	reply(s, "250 2.0.0 Ok");
}

static void
vrfy(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	if (n)
		reply(s, "252 2.0.0 Send it, then we will see");
	else
		bad_argument(s);
}

static void
help(struct smtp *s, const char *p, size_t n)
{
	(void)p;
	(void)n;
	reply(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY STARTTLS AUTH QUIT: RFC 5321");
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

#define ANY (S_START | S_READY | S_MAIL | S_RCPT)

static const struct verb {
	const char *name;
	int states;		/* in which it is allowed */
	void (*run)(struct smtp *s, const char *arg, size_t n);
} verbs[] = {
	{ "MAIL",     S_READY,         mail },
	{ "RCPT",     S_MAIL | S_RCPT, rcpt },
	{ "DATA",     S_MAIL | S_RCPT, data },
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
		refuse(s, "500 5.5.2 Control characters in command");
		return;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!text_is(p, nv, verbs[i].name))
			continue;
		if (!(verbs[i].states & s->state)) {
			refuse(s, s->state == S_START ? "503 5.5.1 EHLO first" :
			    "503 5.5.1 Bad sequence of commands");
			return;
		}
		for (; nv < n && p[nv] == ' '; nv++)
			;
		verbs[i].run(s, p + nv, n - nv);
		return;
	}
	refuse(s, "500 5.5.1 Unknown command");
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
			refuse(s, "500 5.5.2 Lines end in CR LF");
		else
			line(s, copy, k - 2);
		scram_wipe(copy, k);
		return 1;
	}
	conn_eat(s->c, k);
	if (lf) {
		refuse(s, "500 5.5.2 Line too long");
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

	while (!conn_busy(c) && conn_in(c, &n)) {
		if (s->state == S_DATA)
			swallow(s);
		else if (!take_line(s))
			return;
	}
}

/* ---- the life of a session ---- */

static void
smtp_start(struct conn *c)
{
	struct smtp *s = &sessions[conn_slot(c)];
	int again = c->session == s;

	if (again)
		letter_abort(&s->letter);
	memset(s, 0, sizeof(*s));
	s->c = c;
	s->state = S_START;
	s->user = -1;
	s->letter.fd = -1;
	s->tls = c->tls != NULL;
	c->session = s;
	session_id(s->sid);
	conn_limit(c, smtp_idle, session_total);
	if (!again)
		conn_printf(c, "220 %s ESMTP\r\n", host);
}

static void
smtp_expire(struct conn *c)
{
	conn_printf(c, "421 4.%s %s %s\r\n", stopping ? "3.2" : "4.2", host,
	    stopping ? "is going down" : "has waited too long");
	conn_close(c, stopping ? "stopping" : "timed out");
}

static void
smtp_end(struct conn *c)
{
	struct smtp *s = c->session;
	char ip[IP_TEXT];

	if (!s) {
		log_event("-", "smtp from=%s ended=\"%s\"", ip_text(ip, &c->peer), c->why ? c->why : "-");
		return;
	}
	if (c->why && strcmp(c->why, "closed by peer") != 0)
		log_event(s->sid, "smtp from=%s ended=\"%s\"", ip_text(ip, &c->peer), c->why);
	letter_abort(&s->letter);
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
