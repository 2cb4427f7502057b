/* See LICENSE file for copyright and licence details. */
/*
 * A message before a content scanner, by the milter protocol: what Sendmail and Postfix speak to
 * their filters, version 6. No RFC describes it, so this is what is spoken. (lib/milter.c has the
 * packets.)
 *
 * A connection is made for each message when all of it is there, and the session of its sender is
 * told as if it took place now. A packet is a length (4 octets, the network's order; of what
 * follows), a command (an ASCII letter), data. Strings end in a NUL.
 *
 *	we say		data					then
 *	O options	version, actions, steps (4 octets each)	O: the same, what it wants of them
 *	D macros	command they belong to, NAME, VALUE, ...	nothing
 *	C connect	name, '4' or '6', port (2 octets), address	a reply
 *	H helo		its word				a reply
 *	M mail		<sender>				a reply
 *	R rcpt		<recipient>, for each			a reply
 *	T data		(from version 4 on)			a reply
 *	L field		name, value, for each			a reply
 *	N end of header						a reply
 *	B body		at most 65535 octets, CR LF, for each	a reply
 *	E end of body						changes, then a reply
 *	Q goodbye						nothing
 *
 * We wait for each reply. Of all that, a filter is not told, or need not answer, what it has
 * declined by the steps (NO and NR of lib/milter.h). We offer it all of actions and steps, since
 * libmilter gives up when one is missing that its filter wants. Of these, RCPT_REJ means nothing
 * here (no refused recipient is part of a message), nor does a choice of macros (each gets all).
 *
 * The name of an address without one is "[address]". The value of a field is without its last
 * line end, folded lines have LF; the white space behind the colon is part of it only if the
 * filter wants that (LEADSPC). A value that does not fit a packet is cut, a NUL in it is a space.
 * Mail of the local socket comes from "localhost", 127.0.0.1, port 0.
 *
 * Macros, as far as there is something to say, before C: j (our name), _ (name [address]), v, t
 * (a date), {daemon_name}, {client_addr}, {client_name}, {client_port}, {client_ptr}; H: s,
 * {tls_version}, {cipher}; M: i (the letter's id), b (a date), r (ESMTP, ESMTPS), {mail_addr},
 * {auth_authen}, {auth_type}; R: {rcpt_addr}.
 *
 * Replies: c continue; a accept (what follows is not shown any more); r reject, t tempfail, y a
 * reply of its own ("550 5.7.1 words", "%%" for "%", may have several lines), 4 and f as t; d
 * discard; s skip (as c; no more of the body). r, t, y and d end it at any time and are for the
 * whole message, also in reply to a single recipient. p, in between, means that it takes longer:
 * the time that it has begins anew, at most PATIENCE times.
 *
 * Changes, after E only: h add a field (name, value), i insert (number from 0, name, value), m
 * change (number from 1 among those of the name, name, value; "" removes it), b new body (all of
 * them, one after the other, are the new body), + and 2 a new recipient (2: with parameters,
 * which are left out), - not to this one, e another sender (and parameters, as with 2), q
 * quarantine (why).
 *
 * What is not of this form, or does not fit, or what the filter did not say it would do, ends it:
 * the scanner counts as down and no change is made. So do a lost connection and a scanner that
 * takes too long.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "check.h"
#include "lib/log.h"
#include "lib/text.h"

enum {
	NSCANNERS = sizeof(scanners) / sizeof(*scanners),
	PATIENCE = 4,		/* times row->ms, for one that says it is at work */
	PIECE = 4096,		/* octets of the message that are looked at together */
	FIELD_HEAD = 1024,	/* where the name of a field ends, or it is none */
	RETRY_MS = 20,		/* for a local socket whose queue is full */
	QUIET_MS = 60000	/* between two log lines about a scanner that is down */
};

enum { S_CONNECT, S_HELO, S_MAIL, S_RCPT, S_DATA, S_HEADER, S_EOH, S_BODY, S_END };

static void input(struct conn *c), drain(struct conn *c), start(struct conn *c),
	end(struct conn *c);

static const struct kind scan_kind = {
	"scan", start, input, drain, NULL, drain, NULL, end
};

/* ---- where it is ---- */

/* The address of a row: 0 and *path is NULL, or the path of a local socket; -1: it is none. */
static int
address(const struct scanner *row, struct ip *ip, int *port, const char **path)
{
	const char *p = row->address, *colon = strrchr(p, ':');
	char host_part[IP_TEXT];
	uint64_t v;
	size_t n;

	*path = NULL;
	if (!strncmp(p, "unix:", 5)) {
		*path = p + 5;
		n = strlen(*path);
		return n && **path != '/' && strncmp(*path, "../", 3) != 0 &&
		    n < sizeof(((struct sockaddr_un *)0)->sun_path) ? 0 : -1;
	}
	if (strncmp(p, "inet:", 5) || colon < p + 5)
		return -1;
	p += 5;
	n = (size_t)(colon - p);
	if (n > 2 && *p == '[' && p[n - 1] == ']') {
		p++;
		n -= 2;
	}
	if (text_copy(host_part, sizeof(host_part), p, n) < 0 || ip_parse(ip, host_part) < 0 ||
	    text_u64(colon + 1, strlen(colon + 1), &v) < 0 || v < 1 || v > 65535)
		return -1;
	*port = (int)v;
	return 0;
}

static const char *
fault(const struct scanner *row)
{
	const char *path, *p;
	struct ip ip;
	int port;

	for (p = row->name; *p; p++)
		if (!text_alnum(*p) && *p != '-' && *p != '.' && *p != '_')
			return "a name has letters, digits and -._";
	if (!row->name[0])
		return "it has no name";
	if (address(row, &ip, &port, &path) < 0)
		return "no address \"inet:ADDRESS:PORT\", and no \"unix:PATH\" in the store";
	if (row->down != DOWN_ACCEPT && row->down != DOWN_TEMPFAIL)
		return "`down` is DOWN_ACCEPT or DOWN_TEMPFAIL";
	return row->ms < 1 ? "it has no time (ms)" : NULL;
}

void
scan_check(void)
{
	const char *what;
	int i;

	for (i = 0; i < NSCANNERS; i++) {
		if (!scanners[i].name[0] && !scanners[i].address[0])
			continue;
		what = fault(&scanners[i]);
		if (what)
			die(EX_CONFIG, "config.h: scanners[] row %d \"%s\": %s", i + 1,
			    scanners[i].name, what);
	}
}

/* A connection to a local socket being made. There is nothing to poll for: it can be made at once
 * or, if the scanner's queue is full, a little later. */
static int
local_events(struct conn *c, int want)
{
	(void)c;
	(void)want;
	return 0;
}

static int
local_up(struct conn *c)
{
	struct scan *s = c->session;
	struct sockaddr_un sa;

	if (!s)
		return -1;
	if (c->hold_until > loop_now)
		return 0;
	memset(&sa, 0, sizeof(sa));
	sa.sun_family = AF_UNIX;
	(void)text_copy(sa.sun_path, sizeof(sa.sun_path), s->row->address + 5,
	    strlen(s->row->address + 5));
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EAGAIN) {
			conn_delay(c, RETRY_MS);
			return 0;
		}
		c->why = strerror(errno);
		return -1;
	}
	c->tp = &transport_plain;
	return 1;
}

static struct conn *
dial(const struct scanner *row)
{
	static struct transport local;
	const char *path;
	struct conn *c;
	struct ip ip;
	int fd, port;

	if (address(row, &ip, &port, &path) < 0)
		return NULL;
	if (!path)
		return conn_connect(&ip, port, &scan_kind, 0);
	local = transport_plain;
	local.events = local_events;
	local.up = local_up;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	c = conn_new(fd, &scan_kind, &local, 0);
	if (!c)
		(void)close(fd);	/* never used */
	return c;
}

/* ---- how it ends ---- */

/* The caller may do anything in `done`, also scan again. */
static void
finish(struct scan *s, enum scan_result result)
{
	struct conn *c = s->c;

	s->result = result;
	if (result != SCAN_ACCEPT) {
		s->nedits = 0;
		s->quarantine[0] = '\0';
	}
	s->c = NULL;
	c->session = NULL;
	if (!c->dead && !c->closing) {
		if (c->out || s->left) {
			conn_abort(c, NULL);	/* it has answered early */
		} else {
			conn_put(c, "\0\0\0\1Q", 5);
			conn_close(c, NULL);
		}
	}
	s->done(s);
}

/* A scanner that is down is down for many messages: not a line for each. */
static void
report(const struct scan *s, const char *why)
{
	static int64_t quiet_until[NSCANNERS];
	int i;

	for (i = 0; i < NSCANNERS && strcmp(scanners[i].name, s->row->name) != 0; i++)
		;
	i %= NSCANNERS;
	if (quiet_until[i] > loop_now)
		return;
	quiet_until[i] = loop_now + QUIET_MS;
	log_event(s->f.id[0] ? s->f.id : "-", "scanner-down name=%s reason=\"%s\"", s->row->name,
	    why);
}

static void
break_off(struct scan *s, const char *why, enum scan_result result)
{
	report(s, why);
	if (!s->c->dead)
		conn_abort(s->c, why);
	finish(s, result);
}

static void
down(struct scan *s, const char *why)
{
	break_off(s, why, SCAN_DOWN);
}

/*
 * It has all of the message, and what it wants cannot be done. The message may have brought that
 * about (hundreds of fields to be removed, a long one to be changed), so this is not as if the
 * scanner were not there.
 */
static void
misfit(struct scan *s, const char *why)
{
	static const char reply[] = "451 4.3.0 A content scanner wants what cannot be done";

	memcpy(s->reply, reply, sizeof(reply));
	break_off(s, why, s->asked == 'E' ? SCAN_TEMPFAIL : SCAN_DOWN);
}

static void
end(struct conn *c)
{
	if (c->session)
		down(c->session, c->why ? c->why : "connection lost");
}

/* ---- what it is told ---- */

static void
macro(struct milter_out *o, const char *name, const char *value)
{
	if (value[0]) {
		milter_string(o, name);
		milter_string(o, value);
	}
}

static void
macros(struct milter_out *o, char what)
{
	milter_begin(o, 'D');
	milter_put(o, &what, 1);
}

/* Who calls: `shown` is the name for people and filters, "[address]" without one. */
static void
say_connect(const struct scan *s, struct milter_out *o)
{
	static const struct ip nobody;
	const struct scan_facts *f = &s->f;
	int local = !memcmp(&f->peer, &nobody, sizeof(nobody));
	int six = !local && !ip_is4(&f->peer);
	char ip[IP_TEXT], shown[HOST_TEXT], both[HOST_TEXT + IP_TEXT], number[12], t[DATE_TEXT];
	const char *name = local ? "localhost" : f->name;

	(void)ip_text(ip, &f->peer);
	if (local)
		(void)text_copy(ip, sizeof(ip), "127.0.0.1", 9);
	(void)snprintf(shown, sizeof(shown), name[0] ? "%s" : "[%s]", name[0] ? name : ip);
	(void)snprintf(both, sizeof(both), name[0] ? "%s [%s]" : "%s", shown, ip);
	(void)snprintf(number, sizeof(number), "%d", f->port);
	macros(o, 'C');
	macro(o, "j", host);
	macro(o, "_", both);
	macro(o, "v", version);
	macro(o, "t", text_date(t, loop_wall));
	macro(o, "{daemon_name}", "maild");
	macro(o, "{client_addr}", ip);
	macro(o, "{client_name}", name[0] ? name : "unknown");
	macro(o, "{client_port}", number);
	macro(o, "{client_ptr}", name[0] ? name : "unknown");
	milter_end(o, 0);
	milter_begin(o, 'C');
	milter_string(o, shown);
	milter_put(o, six ? "6" : "4", 1);
	number[0] = (char)(f->port >> 8);
	number[1] = (char)f->port;
	milter_put(o, number, 2);
	milter_string(o, ip);
	milter_end(o, 0);
}

static void
say_helo(const struct scan *s, struct milter_out *o)
{
	const char *helo = s->f.helo[0] ? s->f.helo : "localhost";

	macros(o, 'H');
	macro(o, "s", helo);
	macro(o, "{tls_version}", s->f.tls_version);
	macro(o, "{cipher}", s->f.tls_cipher);
	milter_end(o, 0);
	milter_begin(o, 'H');
	milter_string(o, helo);
	milter_end(o, 0);
}

static void
say_path(struct milter_out *o, char what, const char *mailbox)
{
	milter_begin(o, what);
	milter_put(o, "<", 1);
	milter_put(o, mailbox, strlen(mailbox));
	milter_string(o, ">");
	milter_end(o, 0);
}

static void
say_mail(const struct scan *s, struct milter_out *o)
{
	char t[DATE_TEXT];

	macros(o, 'M');
	macro(o, "i", s->f.id);
	macro(o, "b", text_date(t, loop_wall));
	macro(o, "r", s->f.tls_version[0] ? "ESMTPS" : "ESMTP");
	macro(o, "{mail_addr}", s->f.sender);
	macro(o, "{auth_authen}", s->f.login);
	macro(o, "{auth_type}", s->f.login[0] ? "PLAIN" : "");
	milter_end(o, 0);
	say_path(o, 'M', s->f.sender);
}

static void
say_rcpt(const struct scan *s, struct milter_out *o)
{
	macros(o, 'R');
	macro(o, "{rcpt_addr}", s->rcpt);
	milter_end(o, 0);
	say_path(o, 'R', s->rcpt);
}

/* In the order of the session; `no`, `nr`: what the filter may have declined. */
static const struct step {
	char what;
	uint32_t no, nr;
	void (*say)(const struct scan *s, struct milter_out *o);	/* NULL: the letter alone */
} steps[] = {
	[S_CONNECT] = { 'C', MILTER_NO_CONNECT, MILTER_NR_CONNECT, say_connect },
	[S_HELO] = { 'H', MILTER_NO_HELO, MILTER_NR_HELO, say_helo },
	[S_MAIL] = { 'M', MILTER_NO_MAIL, MILTER_NR_MAIL, say_mail },
	[S_RCPT] = { 'R', MILTER_NO_RCPT, MILTER_NR_RCPT, say_rcpt },
	[S_DATA] = { 'T', MILTER_NO_DATA, MILTER_NR_DATA, NULL },
	[S_HEADER] = { 'L', MILTER_NO_HEADER, MILTER_NR_HEADER, NULL },
	[S_EOH] = { 'N', MILTER_NO_EOH, MILTER_NR_EOH, NULL },
	[S_BODY] = { 'B', MILTER_NO_BODY, MILTER_NR_BODY, NULL },
	[S_END] = { 'E', 0, 0, NULL },
};

static void
asked(struct scan *s)
{
	s->asked = steps[s->step].what;
	s->waiting = !(s->wants & steps[s->step].nr);
}

/* A step that is one packet, or one with its macros. 1, or -1: the scan is over. */
static int
say(struct scan *s)
{
	char b[BUFSZ / 2];
	struct milter_out o = { b, sizeof(b), 0, 0, 0 };

	if (steps[s->step].say) {
		steps[s->step].say(s, &o);
	} else {
		milter_begin(&o, steps[s->step].what);
		milter_end(&o, 0);
	}
	if (o.full) {
		down(s, "a name or address is too long for it");
		return -1;
	}
	asked(s);
	conn_put(s->c, b, o.n);
	return 1;
}

/* ---- the message ---- */

/* n octets of the message, and before `to`: how many; 0: it ends; -1: trouble, the scan is over. */
static long
get(struct scan *s, char *p, size_t n, uint64_t at, uint64_t to)
{
	long k;

	if (n > to - at)
		n = (size_t)(to - at);
	k = n ? s->f.read(s->f.arg, p, n, at) : 0;
	if (k < 0)
		down(s, "the message cannot be read");
	return k;
}

static int
shorter(struct scan *s)
{
	down(s, "the message has become shorter");
	return -1;
}

/* Put s->at behind the field it is in: 1; 0: not yet, it is long; -1. */
static int
pass(struct scan *s)
{
	uint64_t from = s->at;
	char b[PIECE];
	long n, i;

	while (s->at < from + MILTER_DATA) {
		n = get(s, b, sizeof(b), s->at, s->f.header);
		if (n <= 0)
			return n < 0 ? -1 : 1;
		for (i = 0; i < n; i++, s->at++) {
			if (s->lf && b[i] != ' ' && b[i] != '\t')
				return 1;
			s->lf = b[i] == '\n';
		}
	}
	return 0;
}

/* Begin the field at s->at, if it is one. 1; 0: come back; -1: the scan is over. */
static int
field(struct scan *s)
{
	char b[FIELD_HEAD + 16];
	struct milter_out o = { b, sizeof(b), 0, 0, 0 };
	uint64_t value, till;
	const char *colon;
	char p[FIELD_HEAD];
	size_t name;
	long n;
	int r;

	n = get(s, p, sizeof(p), s->at, s->f.header);
	if (n <= 0)
		return n < 0 ? -1 : shorter(s);
	colon = memchr(p, ':', (size_t)n);
	name = colon ? (size_t)(colon - p) : 0;
	value = s->at + name + 1;
	s->lf = 0;
	r = pass(s);
	if (r < 0)
		return -1;
	s->passing = !r;
	till = s->at - (s->lf != 0);
	while (name && (p[name - 1] == ' ' || p[name - 1] == '\t'))
		name--;
	if (!name || memchr(p, '\n', name) || memchr(p, '\0', name)) {
		conn_work(s->c);	/* there may be many of them */
		return 0;
	}
	if (!(s->wants & MILTER_LEADSPC))
		while (value < till && ++colon < p + n && (*colon == ' ' || *colon == '\t'))
			value++;
	if (till - value > MILTER_DATA - name - 2)
		till = value + (MILTER_DATA - name - 2);
	milter_begin(&o, 'L');
	milter_put(&o, p, name);
	milter_put(&o, "", 1);
	s->from = value;
	s->left = till - value;
	s->body = 0;
	milter_end(&o, (size_t)s->left + 1);
	conn_put(s->c, b, o.n);
	if (!s->left)
		conn_put(s->c, "", 1);
	asked(s);
	return 1;
}

/* Begin a piece of the body: as much as fits a packet. 1; 0: there is no more; -1. */
static int
piece(struct scan *s)
{
	uint64_t at = s->at;
	size_t out = 0;
	char b[PIECE];
	struct milter_out o = { b, sizeof(b), 0, 0, 0 };
	long n, i = 0;

	do {
		n = get(s, b, sizeof(b), at, UINT64_MAX);
		if (n < 0)
			return -1;
		for (i = 0; i < n && out + 1 < MILTER_DATA; i++)
			out += b[i] == '\n' ? 2 : 1;
		at += (uint64_t)i;
	} while (n && i == n);
	if (at == s->at)
		return 0;
	milter_begin(&o, 'B');
	milter_end(&o, out);
	conn_put(s->c, b, o.n);
	s->from = s->at;
	s->left = at - s->at;
	s->body = 1;
	s->at = at;
	asked(s);
	return 1;
}

/* More of the packet that has begun: LF becomes CR LF in the body, NUL a space in a field. */
static void
stream(struct scan *s)
{
	size_t room = conn_room(s->c) / 2;
	char b[PIECE], *p, *o;
	long n, i;

	n = get(s, b, room < sizeof(b) ? room : sizeof(b), s->from, s->from + s->left);
	if (n <= 0) {
		if (!n)
			(void)shorter(s);
		return;
	}
	s->from += (uint64_t)n;
	s->left -= (uint64_t)n;
	o = p = conn_space(s->c, &room);
	for (i = 0; i < n; i++) {
		if (s->body && b[i] == '\n')
			*o++ = '\r';
		*o++ = b[i] || s->body ? b[i] : ' ';
	}
	if (!s->left && !s->body)
		*o++ = '\0';
	conn_used(s->c, (size_t)(o - p));
}

/* Where the body begins: behind the blank line, if there is one. */
static int
body_at(struct scan *s)
{
	char ch;
	long n;

	s->at = s->f.header;
	n = get(s, &ch, 1, s->at, UINT64_MAX);
	if (n > 0 && ch == '\n')
		s->at++;
	return n < 0 ? -1 : 0;
}

/* The header, field by field. 0: come back, there is a long one; -1: the scan is over. */
static int
header(struct scan *s)
{
	int r;

	if (s->passing) {
		r = pass(s);
		if (r == 0)
			conn_work(s->c);
		if (r <= 0)
			return r;
		s->passing = 0;
	}
	if (s->at < s->f.header)
		return field(s);
	s->step++;
	return body_at(s) < 0 ? -1 : 1;
}

/* What comes next: 1; 0: not now; -1: the scan is over, s is the caller's again. */
static int
advance(struct scan *s)
{
	int r;

	if ((s->wants & steps[s->step].no) || (s->step == S_DATA && s->version < 4)) {
		s->step++;
		return s->step == S_EOH && body_at(s) < 0 ? -1 : 1;
	}
	switch (s->step) {
	case S_RCPT:
		s->rcpt = s->f.rcpt(s->f.arg, s->nrcpt++);
		if (!s->rcpt) {
			s->step++;
			return 1;
		}
		return say(s);
	case S_HEADER:
		return header(s);
	case S_BODY:
		r = piece(s);
		if (r < 0)
			return -1;
		s->step += r == 0;
		return 1;
	}
	r = say(s);
	if (r > 0 && s->step < S_END)
		s->step++;
	return r;
}

static void
drain(struct conn *c)
{
	struct scan *s;

	while ((s = c->session) && conn_room(c) >= BUFSZ / 2) {
		if (s->left)
			stream(s);
		else if (s->waiting || advance(s) <= 0)
			break;
	}
}

static void
start(struct conn *c)
{
	/* MILTER_VERSION, MILTER_ACTIONS, MILTER_STEPS */
	static const char options[] = "\0\0\0\15O" "\0\0\0\6" "\0\0\1\377" "\0\37\377\377";

	conn_put(c, options, sizeof(options) - 1);
}

/* ---- what it says ---- */

/* A change behind those that are there. Its octets in s->in.data are at the end of the same
 * memory. */
static int
edit(struct scan *s, const struct milter_change *m)
{
	static const struct {
		char what;
		int edit;
	} kinds[] = {
		{ 'h', EDIT_ADD }, { 'i', EDIT_INSERT }, { 'm', EDIT_CHANGE }, { '+', EDIT_RCPT },
		{ '2', EDIT_RCPT }, { '-', EDIT_NO_RCPT }, { 'e', EDIT_SENDER }
	};
	struct edit e;
	size_t i = 0, at = s->nedits + sizeof(e);
	char *dst = s->edits + at;
	long n;

	while (kinds[i].what != s->in.what)
		i++;
	memset(&e, 0, sizeof(e));
	e.what = kinds[i].edit;
	e.index = e.what == EDIT_CHANGE && !m->index ? 1 : m->index;
	if (dst >= s->in.data)
		n = -1;
	else if (e.what <= EDIT_CHANGE)
		n = milter_field(dst, m, (s->wants & MILTER_LEADSPC) != 0);
	else
		n = milter_mailbox(dst, m, e.what == EDIT_SENDER);
	if (n < 0)
		return -1;
	for (; n % (long)_Alignof(struct edit); n++)
		dst[n] = '\0';
	e.n = (uint32_t)n;
	memcpy(s->edits + s->nedits, &e, sizeof(e));
	s->nedits = at + (size_t)n;
	/* the next one's octets must not lie over these */
	s->in.room = sizeof(s->edits) - s->nedits;
	return 0;
}

/* It has a reply of its own. */
static void
reply(struct scan *s, const struct milter_change *m)
{
	int class = milter_reply(s->reply, m);

	if (class < 0)
		down(s, "its reply is none");
	else
		finish(s, class == 4 ? SCAN_TEMPFAIL : SCAN_REJECT);
}

/* A packet with strings. */
static void
change(struct scan *s, const struct milter_change *m)
{
	if (s->in.what == 'y' && s->waiting)
		reply(s, m);
	else if (s->asked != 'E' || !(s->may & m->action))
		down(s, "a change out of place");
	else if (s->in.what == 'q')
		(void)text_escape(s->quarantine, sizeof(s->quarantine), m->n[0] ? m->s[0] : "-",
		    m->n[0] ? m->n[0] : 1);
	else if (edit(s, m) < 0)
		misfit(s, "a change that cannot be made, or too many");
}

/* It says how it has gone on with what it was told. */
static void
verdict(struct scan *s)
{
	static const struct {
		char what;
		enum scan_result result;
		const char *reply;
	} ends[] = {
		{ 'a', SCAN_ACCEPT, "" },
		{ 'c', SCAN_ACCEPT, "" },
		{ 'd', SCAN_DISCARD, "" },
		{ 'r', SCAN_REJECT, "550 5.7.1 Refused by a filter" },
		{ 't', SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
		{ '4', SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
		{ 'f', SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
	};
	size_t i;

	s->waiting = 0;
	if (s->in.what == 's' && s->asked == 'B') {
		s->step = S_END;
		return;
	}
	if (s->in.what == 'c' && s->asked != 'E')
		return;
	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (ends[i].what == s->in.what && !(s->in.cr && ends[i].result == SCAN_ACCEPT)) {
			memcpy(s->reply, ends[i].reply, strlen(ends[i].reply) + 1);
			finish(s, ends[i].result);
			return;
		}
	down(s, "a reply that is none");
}

static void
options(struct scan *s)
{
	if (milter_options(&s->in, &s->version, &s->may, &s->wants) < 0) {
		down(s, "no proper answer to our options");
		return;
	}
	s->asked = 0;
	s->waiting = 0;
}

/* It is at work: as much time again, but not for ever. */
static void
progress(struct scan *s)
{
	int64_t by = loop_now + s->row->ms, last = s->began + PATIENCE * s->row->ms;

	if (by > last)
		by = last;
	if (by > loop_now)
		conn_limit(s->c, 0, by - loop_now);
	else
		down(s, "timed out");
}

static void
packet(struct scan *s)
{
	struct milter_change m;
	int r;

	if (s->asked == 'O') {
		options(s);
		return;
	}
	if (s->in.what == 'p') {
		progress(s);
		return;
	}
	if (s->in.what == 'b') {
		if (!(s->may & MILTER_NEW_BODY))
			down(s, "a change out of place");
		return;
	}
	r = milter_change(&m, &s->in);
	if (r < 0)
		down(s, "a broken packet");
	else if (r > 0)
		change(s, &m);
	else if (!s->waiting)
		down(s, "it answers what nobody asked");
	else
		verdict(s);
}

static int
new_body(void *arg, const char *p, size_t n)
{
	struct scan *s = arg;

	return s->asked == 'E' ? s->f.body(s->f.arg, p, n) : -1;
}

static void
input(struct conn *c)
{
	enum milter_got got;
	struct scan *s;
	const char *p;
	size_t n;

	while ((s = c->session) && (p = conn_in(c, &n))) {
		got = milter_feed(&s->in, p, &n);
		conn_eat(c, n);
		if (got == MILTER_BAD)
			misfit(s, s->in.why);
		else if (got == MILTER_READY)
			packet(s);
	}
}

/* ---- begin and forget ---- */

int
scan_start(struct scan *s, const struct scanner *row, const struct scan_facts *f)
{
	s->result = SCAN_DOWN;
	s->reply[0] = s->quarantine[0] = '\0';
	s->nedits = 0;
	memset((char *)s + offsetof(struct scan, c), 0, sizeof(*s) - offsetof(struct scan, c));
	s->row = row;
	s->f = *f;
	s->step = S_CONNECT;
	s->asked = 'O';
	s->waiting = 1;
	s->began = loop_now;
	s->in.end = s->edits + sizeof(s->edits);
	s->in.room = sizeof(s->edits);
	s->in.body = new_body;
	s->in.arg = s;
	s->c = dial(row);
	if (!s->c) {
		report(s, "no connection is free");
		return -1;
	}
	s->c->session = s;
	s->c->eager = 1;
	conn_limit(s->c, 0, row->ms);
	return 0;
}

void
scan_cancel(struct scan *s)
{
	if (!s->c)
		return;
	s->c->session = NULL;
	conn_abort(s->c, NULL);
	s->c = NULL;
}
