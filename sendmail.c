/* See LICENSE file for copyright and licence details. */
/*
 * sendmail(8) as other programs expect it: cron, mail(1), mutt, scripts. The message is read to its
 * end into a file without a name, so that nothing is sent of one that breaks off; then it goes by
 * SMTP to the socket `submit` of the store. All recipients are taken, or nothing is sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "control.h"
#include "lib/alist.h"
#include "lib/fs.h"
#include "lib/reply.h"
#include "lib/text.h"
#include "mail.h"

enum {
	RCPT_TEXT = RECIPIENTS * (ADDR_TEXT + 1),
	PARAM_TEXT = 100,		/* of -N, -R, -V; RFC 3461 4.4 */
	LOGIN_TEXT = 64,
	WORD_TEXT = 45			/* octets that fit into an encoded word, RFC 2047 2 */
};

/* What a field of the header is to us. */
enum { F_DROP = 1, F_RCPT = 2, F_RESENT = 4, F_FROM = 8, F_FIELD = 16 };

static const struct field {
	const char *name;
	int flags;
} fields[] = {
	{ "To",            F_RCPT },
	{ "Cc",            F_RCPT },
	{ "Bcc",           F_RCPT | F_DROP },
	{ "From",          F_FROM },
	{ "Resent-To",     F_RCPT | F_RESENT },
	{ "Resent-Cc",     F_RCPT | F_RESENT },
	{ "Resent-Bcc",    F_RCPT | F_RESENT | F_DROP },
	{ "Return-Path",   F_DROP },		/* the last server's to write */
};

/* A line of /etc/passwd, as far as it has been read. */
struct login_line {
	int field;
	size_t n, nid;		/* octets of the name and of the id */
	char id[24];
};

/* The message, line by line: what begins a line has all of it, or a buffer full. */
struct lines {
	off_t at;		/* of b in the file */
	size_t a, z;		/* what is left of b */
	int inside;		/* the next piece goes on with a line */
	int flags;		/* of the field we are in */
	int fresh;		/* the piece begins a field */
	char b[BUFSZ];
};

/* Standard input on its way into the file. */
struct intake {
	int cr, dot, any;	/* held back; the line has something already */
	int ended;		/* by a line of a single dot */
};

static struct {
	/* what was asked for */
	const char *from, *name, *notify, *ret, *envid;
	int dots;		/* a line of a single dot does not end the message */
	int extract;		/* -t */
	int queue;		/* -q */
	char mode;
	/* the message */
	int fd;
	uint64_t size, nlines;
	off_t begin;		/* behind a From_ line */
	off_t header;		/* the end of the header */
	int blank;		/* there is the blank line */
	int eight;		/* there are octets over 127 */
	int seen;		/* kinds of fields */
	/* the envelope */
	int code;		/* trouble with addresses: an exit code */
	int utf8;
	int nrcpt;
	size_t nrcpts;
	char rcpts[RCPT_TEXT];
	char sender[ADDR_TEXT + 1];
	char self[ADDR_TEXT + 1];
	/* the server */
	int sock;
	size_t nin, nout;
	char in[REPLY_LINE], out[BUFSZ];
	struct reply reply;
} m;

static struct lines l;

/* ---- addresses ---- */

/* What stands behind the @ of names without one. */
static const char *
own_domain(void)
{
	return user_owns(host, strlen(host)) || !domains[0][0] ? host : domains[0];
}

static int
plain(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && !((unsigned char)p[i] & 0x80); i++)
		;
	return i == n;
}

/* A mailbox as it goes into the envelope, with a domain: 0 or -1. */
static int
qualify(char dst[ADDR_TEXT + 1], const char *p, size_t n)
{
	char path[ALIST_TEXT + 3];
	struct addr a;
	int len;

	if (n > ALIST_TEXT)
		return -1;
	len = snprintf(path, sizeof(path), "<%.*s>", (int)n, p);
	if (addr_path(&a, path, (size_t)len, ADDR_BARE | ADDR_UTF8) != len)
		return -1;
	len = snprintf(dst, ADDR_TEXT + 1, "%.*s%s%s", (int)a.nmailbox, a.mailbox,
	    a.ndomain ? "" : "@", a.ndomain ? "" : own_domain());
	if (len > ADDR_TEXT)
		return -1;
	m.utf8 |= !plain(dst, (size_t)len);
	return 0;
}

static int
no_address(const char *p, size_t n)
{
	char shown[ALIST_TEXT];

	return fail(EX_DATAERR, "not an address: %s", text_escape(shown, sizeof(shown), p, n));
}

/* One more recipient, each once. */
static void
add_rcpt(void *arg, const char *p, size_t n)
{
	char to[ADDR_TEXT + 1];
	const char *r;

	(void)arg;
	if (m.code)
		return;
	if (qualify(to, p, n) < 0) {
		m.code = no_address(p, n);
		return;
	}
	for (r = m.rcpts; r < m.rcpts + m.nrcpts; r += strlen(r) + 1)
		if (!strcmp(r, to))
			return;
	if (m.nrcpt == RECIPIENTS) {
		m.code = fail(EX_DATAERR, "more than %d recipients: nothing was sent", RECIPIENTS);
		return;
	}
	m.nrcpt++;
	(void)text_copy(m.rcpts + m.nrcpts, sizeof(m.rcpts) - m.nrcpts, to, strlen(to));
	m.nrcpts += strlen(to) + 1;
}

static void
set_sender(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (qualify(m.sender, p, n) < 0)
		m.code = no_address(p, n);
}

/* Addresses from the command line: an exit code. */
static int
take_list(const char *p, void (*found)(void *arg, const char *p, size_t n))
{
	struct alist a;

	alist_init(&a);
	a.found = found;
	alist_feed(&a, p, strlen(p));
	alist_end(&a);
	if (a.bad && !m.code)
		m.code = no_address(p, strlen(p));
	return m.code;
}

/* Look for a user in some octets of /etc/passwd, "name:password:id:..." a line: 1: name has it. */
static int
find_login(struct login_line *w, char name[LOGIN_TEXT], const char *id, const char *p, size_t n)
{
	for (; n; p++, n--) {
		if (*p == '\n') {
			memset(w, 0, sizeof(*w));
		} else if (*p != ':') {
			if (!w->field && w->n < LOGIN_TEXT - 1)
				name[w->n++] = *p;
			else if (w->field == 2 && w->nid < sizeof(w->id) - 1)
				w->id[w->nid++] = *p;
		} else if (w->field++ == 2 && strcmp(w->id, id) == 0) {
			name[w->n] = '\0';
			return 1;
		}
	}
	return 0;
}

/* The login name of a user. (getpwuid(3) would bring the heap and stdio along.) 0 or -1. */
static int
login_name(char name[LOGIN_TEXT], const char *id)
{
	struct login_line w = { 0 };
	char b[1024];
	int fd, found = 0;
	ssize_t n;

	fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (!found && (n = read(fd, b, sizeof(b))) > 0)
		found = find_login(&w, name, id, b, (size_t)n);
	(void)close(fd);	/* only read from */
	return found ? 0 : -1;
}

/* Who calls us, and whom the envelope names: an exit code. */
static int
find_sender(void)
{
	char id[24], name[LOGIN_TEXT];

	(void)snprintf(id, sizeof(id), "%ld", (long)getuid());
	if ((login_name(name, id) < 0 || qualify(m.self, name, strlen(name)) < 0) &&
	    qualify(m.self, id, strlen(id)) < 0)
		return fail(EX_CONFIG, "config.h: no address can be made with %s", own_domain());
	if (!m.from)
		memcpy(m.sender, m.self, sizeof(m.sender));
	else if (*m.from && strcmp(m.from, "<>") != 0)
		return take_list(m.from, set_sender);
	return 0;
}

/* ---- standard input into a file ---- */

/* The file has no name, so it is gone when we are; without a directory for it, memory will do. */
static int
open_file(void)
{
	const char *dir = getenv("TMPDIR");
	char path[256];

	if (snprintf(path, sizeof(path), "%s/maild.XXXXXX", dir && *dir ? dir : "/tmp") <
	    (int)sizeof(path) && (m.fd = mkostemp(path, O_CLOEXEC)) >= 0)
		return unlink(path);
	m.fd = memfd_create("message", MFD_CLOEXEC);
	return m.fd < 0 ? -1 : 0;
}

/* What was collected in the output buffer goes to the file. */
static int
spill(void)
{
	if (fs_write(m.fd, m.out, m.nout, (off_t)m.size) < 0)
		return -1;
	m.size += m.nout;
	m.nout = 0;
	return 0;
}

static void
end_line(struct intake *t)
{
	if (t->dot && !t->any && !m.dots) {
		t->ended = 1;
		return;
	}
	if (t->dot)
		m.out[m.nout++] = '.';
	m.out[m.nout++] = '\n';
	m.nlines++;
	t->dot = t->any = 0;
}

/* A CR without LF ends a line too (programs draw progress bars with it): SMTP cannot carry it. */
static void
take_byte(struct intake *t, char ch)
{
	if (ch == '\r') {
		t->cr = 1;
		return;
	}
	if (ch == '\n' || t->cr)
		end_line(t);
	t->cr = 0;
	if (ch == '\n' || t->ended)
		return;
	if (t->dot)
		m.out[m.nout++] = '.';
	t->dot = !t->dot && !t->any && ch == '.';
	if (t->dot)
		return;
	t->any = 1;
	m.eight |= (unsigned char)ch >> 7;
	m.out[m.nout++] = ch;
}

/* All of standard input: an exit code. */
static int
take_message(void)
{
	char b[BUFSZ / 4];
	struct intake t = { 0 };
	ssize_t i, n = 1;

	if (open_file() < 0)
		return fail(EX_CANTCREAT, "a file for the message:");
	while (n > 0 && !t.ended) {
		n = read(STDIN_FILENO, b, sizeof(b));
		if (n < 0)
			return fail(EX_IOERR, "standard input:");
		for (i = 0; i < n && !t.ended; i++)
			take_byte(&t, b[i]);
		if (n == 0 && (t.any || t.dot || t.cr))
			end_line(&t);
		if (spill() < 0)
			return fail(EX_IOERR, "a file for the message:");
		if (m.size + m.nlines > message_max)
			return fail(EX_DATAERR, "the message is larger than %llu octets",
			    (unsigned long long)message_max);
	}
	return 0;
}

/* ---- its header ---- */

static void
rewind_to(off_t at)
{
	l.at = at;
	l.a = l.z = 0;
	l.inside = l.flags = l.fresh = 0;
}

/* The next piece, with its line end if that is in it; NULL: the end. */
static const char *
next_piece(size_t *n)
{
	const char *lf, *p;
	ssize_t k;

	if (l.a == l.z || (!l.inside && l.a && !memchr(l.b + l.a, '\n', l.z - l.a))) {
		l.at += (off_t)l.a;
		l.a = l.z = 0;
		k = pread(m.fd, l.b, sizeof(l.b), l.at);
		if (k <= 0)
			return NULL;
		l.z = (size_t)k;
	}
	p = l.b + l.a;
	lf = memchr(p, '\n', l.z - l.a);
	*n = lf ? (size_t)(lf - p) + 1 : l.z - l.a;
	l.a += *n;
	l.inside = !lf;
	return p;
}

/* The length of a field's name, 0: it is none. RFC 5322 3.6.8; spaces before the colon: 4.5. */
static size_t
field_name(const char *p, size_t n)
{
	size_t i, k;

	for (i = 0; i < n && p[i] > 32 && p[i] < 127 && p[i] != ':'; i++)
		;
	for (k = i; k < n && (p[k] == ' ' || p[k] == '\t'); k++)
		;
	return k < n && p[k] == ':' ? i : 0;
}

static int
field_flags(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (text_is(p, n, fields[i].name))
			return F_FIELD | fields[i].flags;
	return F_FIELD;
}

/* The next piece of the header, or NULL: it has ended. */
static const char *
next_field(size_t *n)
{
	int inside = l.inside;
	const char *p;
	size_t name;

	l.fresh = 0;
	p = next_piece(n);
	if (!p || inside)
		return p;
	if (*p == ' ' || *p == '\t')
		return l.flags ? p : NULL;
	name = field_name(p, *n);
	if (!name)
		return NULL;
	l.flags = field_flags(p, name);
	l.fresh = 1;
	return p;
}

/* Where the header begins and ends, and which fields there are. */
static void
survey(void)
{
	const char *p;
	size_t n;

	rewind_to(0);
	p = next_piece(&n);
	if (p && text_begins(p, n, "From ") && !field_name(p, n)) {
		for (m.begin = (off_t)n; l.inside && next_piece(&n); m.begin += (off_t)n)
			;
	}
	rewind_to(m.begin);
	while (next_field(&n)) {
		m.seen |= l.flags;
		m.header = l.at + (off_t)l.a;
	}
	if (m.header < m.begin)
		m.header = m.begin;
	rewind_to(m.header);
	p = next_piece(&n);
	m.blank = p && *p == '\n';
}

static int
end_list(struct alist *a)
{
	alist_end(a);
	if (a->bad && !m.code)
		m.code = fail(EX_DATAERR, "not an address in a field with recipients");
	return m.code;
}

/* -t: the recipients in the header; those of Resent- fields if there are any: an exit code. */
static int
extract(void)
{
	struct alist a;
	const char *p;
	size_t k, n;

	alist_init(&a);
	rewind_to(m.begin);
	while (!m.code && (p = next_field(&n))) {
		k = 0;
		if (l.fresh) {
			(void)end_list(&a);
			alist_init(&a);
			a.found = add_rcpt;
			k = (size_t)((const char *)memchr(p, ':', n) - p) + 1;
		}
		if ((l.flags & F_RCPT) && (l.flags & F_RESENT) == (m.seen & F_RESENT))
			alist_feed(&a, p + k, n - k);
	}
	return end_list(&a);
}

/* ---- the server ---- */

static int
flush_out(void)
{
	size_t at = 0;
	ssize_t n;

	while (at < m.nout) {
		n = send(m.sock, m.out + at, m.nout - at, MSG_NOSIGNAL);
		if (n <= 0) {
			(void)shutdown(m.sock, SHUT_RDWR);	/* nothing may follow the gap */
			return -1;
		}
		at += (size_t)n;
	}
	m.nout = 0;
	return 0;
}

/* Trouble shows when it is flushed at the end. */
static void
put(const char *p, size_t n)
{
	size_t k;

	while (n) {
		if (m.nout == sizeof(m.out) && flush_out() < 0)
			return;
		k = sizeof(m.out) - m.nout < n ? sizeof(m.out) - m.nout : n;
		memcpy(m.out + m.nout, p, k);
		m.nout += k;
		p += k;
		n -= k;
	}
}

static void
puts_out(const char *text)
{
	put(text, strlen(text));
}

/* A reply: 0, or -1: there is none. */
static int
get_reply(void)
{
	enum reply_result r;
	ssize_t k;
	size_t n;

	reply_init(&m.reply);
	for (;;) {
		n = m.nin;
		r = reply_feed(&m.reply, m.in, &n);
		m.nin -= n;
		memmove(m.in, m.in + n, m.nin);
		if (r != REPLY_MORE)
			return r == REPLY_READY ? 0 : -1;
		k = recv(m.sock, m.in + m.nin, sizeof(m.in) - m.nin, 0);
		if (k <= 0)
			return -1;
		m.nin += (size_t)k;
	}
}

/* Send what was put; is the reply of the class (2 or 3) that we want? An exit code. */
static int
ask(int want, int code, const char *what)
{
	int class;

	if (flush_out() < 0 || get_reply() < 0)
		return fail(EX_TEMPFAIL, "the server has closed the connection");
	class = m.reply.code / 100;
	if (class == want)
		return 0;
	return fail(class == 5 ? code : EX_TEMPFAIL, "%s%s%s", what, *what ? ": " : "",
	    m.reply.words);
}

static int
dial(const char *dir)
{
	if (chdir(dir) == 0)
		m.sock = control_dial(SUBMIT_SOCKET);
	if (m.sock >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return fail(EX_NOPERM, "%s/%s:", dir, SUBMIT_SOCKET);
	if (errno == ENOENT || errno == ECONNREFUSED)
		return fail(EX_TEMPFAIL, "the server is not running");
	return fail(EX_TEMPFAIL, "%s/%s:", dir, SUBMIT_SOCKET);
}

/* ---- the transaction ---- */

static void
put_param(const char *key, const char *value)
{
	if (!value)
		return;
	puts_out(" ");
	puts_out(key);
	puts_out(value);
}

/* All recipients, or none: an exit code. */
static int
envelope(void)
{
	char size[32];
	const char *r;
	int code, worst = 0;

	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)m.size + m.nlines);
	puts_out("MAIL FROM:<");
	puts_out(m.sender);
	puts_out(">");
	put_param("SIZE=", size);
	put_param("BODY=", m.eight ? "8BITMIME" : NULL);
	put_param("SMTPUTF8", m.utf8 ? "" : NULL);
	put_param("RET=", m.ret);
	put_param("ENVID=", m.envid);
	puts_out("\r\n");
	code = ask(2, EX_DATAERR, m.sender);
	if (code)
		return code;
	for (r = m.rcpts; r < m.rcpts + m.nrcpts; r += strlen(r) + 1) {
		puts_out("RCPT TO:<");
		puts_out(r);
		puts_out(">");
		put_param("NOTIFY=", m.notify);
		puts_out("\r\n");
		code = ask(2, EX_NOUSER, r);
		worst = !code || worst == EX_NOUSER ? worst : code;
	}
	return worst;
}

/* A part of the message; it begins a line or not. */
static void
put_piece(const char *p, size_t n, int begins)
{
	if (begins && *p == '.')
		puts_out(".");
	if (p[n - 1] != '\n') {
		put(p, n);
		return;
	}
	put(p, n - 1);
	puts_out("\r\n");
}

/* The full name as a phrase: RFC 5322 3.2.5, RFC 2047. */
static void
put_name(const char *name)
{
	char word[2 * WORD_TEXT];
	size_t i, n = strlen(name);

	if (!plain(name, n)) {
		if (n > WORD_TEXT)
			n = WORD_TEXT;
		while (((unsigned char)name[n] & 0xc0) == 0x80)
			n--;
		(void)text_base64(word, sizeof(word), name, n);
		puts_out("=?utf-8?B?");
		puts_out(word);
		puts_out("?= ");
		return;
	}
	puts_out("\"");
	for (i = 0; i < n; i++) {
		if (name[i] == '"' || name[i] == '\\')
			puts_out("\\");
		put(name + i, 1);
	}
	puts_out("\" ");
}

static void
put_from(void)
{
	puts_out("From: ");
	if (m.name && *m.name)
		put_name(m.name);
	puts_out("<");
	puts_out(*m.sender ? m.sender : m.self);
	puts_out(">\r\n");
}

/* The header without what is only for us, and the body: 0, or -1: it cannot be read to its end. */
static int
put_message(void)
{
	const char *p;
	size_t n;
	int begins;

	if (!(m.seen & F_FROM))
		put_from();
	rewind_to(m.begin);
	while (l.at + (off_t)l.a < m.header) {
		begins = !l.inside;
		p = next_field(&n);
		if (!p)
			return -1;
		if (!(l.flags & F_DROP))
			put_piece(p, n, begins);
	}
	if (!m.blank)
		puts_out("\r\n");
	for (begins = 1; (p = next_piece(&n)); begins = !l.inside)
		put_piece(p, n, begins);
	return (uint64_t)(l.at + (off_t)l.a) == m.size ? 0 : -1;
}

static int
send_message(const char *dir)
{
	int code;

	code = dial(dir);
	if (code || (code = ask(2, EX_TEMPFAIL, "")))
		return code;
	puts_out("EHLO ");
	puts_out(host);
	puts_out("\r\n");
	if ((code = ask(2, EX_TEMPFAIL, "")) || (code = envelope()))
		return code;
	puts_out("DATA\r\n");
	if ((code = ask(3, EX_DATAERR, "")))
		return code;
	if (put_message() < 0)
		return fail(EX_IOERR, "the message cannot be read again; nothing was sent");
	puts_out(".\r\n");
	if ((code = ask(2, EX_DATAERR, "")))
		return code;
	puts_out("QUIT\r\n");
	(void)flush_out();	/* it has the message */
	return 0;
}

/* ---- what can be asked for ---- */

/* -bs: SMTP by standard input and output. */
static int
pass_on(const char *dir)
{
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
	char b[BUFSZ];
	ssize_t n;
	int code;

	code = dial(dir);
	if (code) {
		(void)printf("421 4.3.2 %s The server is not running\r\n", host);
		(void)fflush(stdout);
		return code;
	}
	p[1].fd = m.sock;
	while (poll(p, 2, -1) >= 0) {
		if (p[1].revents) {
			n = recv(m.sock, b, sizeof(b), 0);
			if (n <= 0)
				return n < 0 ? fail(EX_TEMPFAIL, "the server:") : 0;
			if (write(STDOUT_FILENO, b, (size_t)n) != n)
				return fail(EX_IOERR, "standard output:");
		}
		if (p[0].revents) {
			n = read(STDIN_FILENO, m.out, sizeof(m.out));
			m.nout = n > 0 ? (size_t)n : 0;
			if (n <= 0) {
				p[0].fd = -1;
				(void)shutdown(m.sock, SHUT_WR);	/* it answers, and closes */
			} else if (flush_out() < 0) {
				return fail(EX_TEMPFAIL, "the server has closed the connection");
			}
		}
	}
	return fail(EX_OSERR, "poll:");
}

/* Deliver a message. */
static int
deliver(int argc, char **argv, const char *dir)
{
	int code, i;

	for (i = 0; i < argc && !m.code; i++)
		(void)take_list(argv[i], add_rcpt);
	if (m.code)
		return m.code;
	if (!m.extract && !m.nrcpt)
		return m.queue ? 0 : fail(EX_USAGE, "no recipients");
	if ((code = find_sender()) || (code = take_message()))
		return code;
	survey();
	if (m.extract && (code = extract()))
		return code;
	if (!m.nrcpt)
		return fail(EX_DATAERR, "there is no recipient in the header");
	return send_message(dir);
}

/* Text that may stand in a command or a field. */
static int
printable(const char *p, size_t max, int low)
{
	size_t i;

	for (i = 0; p[i]; i++)
		if ((unsigned char)p[i] < low || p[i] == 127)
			return 0;
	return i <= max;
}

/* An option: 0, or -1: it cannot be. Those that are not here are for other sendmails. */
static int
option(int opt, char *arg, const char **dir)
{
	switch (opt) {
	case 'b':
		m.mode = *arg;
		return strchr("mspi", *arg) ? 0 : -1;
	case 'd':
		*dir = arg;
		return 0;
	case 'F':
		m.name = arg;
		return printable(arg, ADDR_TEXT, ' ') ? 0 : -1;
	case 'f':
	case 'r':
		m.from = arg;
		return 0;
	case 'i':
		m.dots = 1;
		return 0;
	case 'I':
		m.mode = 'i';
		return 0;
	case 'o':
		m.dots |= *arg == 'i';
		return 0;
	case 'q':
		m.queue = 1;
		return 0;
	case 't':
		m.extract = 1;
		return 0;
	case 'N':
		m.notify = arg;
		return printable(arg, PARAM_TEXT, '!') ? 0 : -1;
	case 'R':
		m.ret = arg;
		return printable(arg, PARAM_TEXT, '!') ? 0 : -1;
	case 'V':
		m.envid = arg;
		return printable(arg, PARAM_TEXT, '!') ? 0 : -1;
	default:
		return opt == '?' ? -1 : 0;
	}
}

int
sendmail_run(int argc, char **argv, const char *dir)
{
	static const char known[] = "+A:B:C:F:GIL:N:O:R:UV:X:b:cd:e:f:h:imno:p:q::r:stvx:";
	static char queue[] = "queue", *command[] = { queue, NULL };
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	int opt;

	m.fd = m.sock = -1;
	m.mode = 'm';
	if (!strcmp(name, "mailq"))
		m.mode = 'p';
	else if (!strcmp(name, "newaliases"))
		m.mode = 'i';
	optind = 0;		/* main() has read others */
	while ((opt = getopt(argc, argv, known)) != -1)
		if (option(opt, optarg, &dir) < 0)
			return fail(EX_USAGE, "usage: sendmail [-t] [-i] [-f sender] [-F name] "
			    "[-bm | -bp | -bs] [recipient ...]");
	switch (m.mode) {
	case 'p':
		return admin_run(1, command, dir);
	case 'i':
		(void)puts("aliases are in config.h: edit it, type make, restart");
		return 0;
	case 's':
		return pass_on(dir);
	default:
		return deliver(argc - optind, argv + optind, dir);
	}
}
