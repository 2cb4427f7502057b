/* See LICENSE file for copyright and licence details. */
/*
 * Reports to senders: multipart/report (RFC 6522) of a text for people, message/delivery-status for
 * programs (RFC 3464; RFC 6533 when addresses are UTF-8), and what they sent: its header, or all of
 * it if they asked for that (RET=FULL). A report is a letter of ours with the null sender, so that
 * nothing ever reports on it. What others wrote goes through clean() before it is in our lines.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/header.h"
#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"

enum {
	EXCERPT = 65536,	/* octets of the original that come along, at most */
	LINE = 990,		/* RFC 5322 2.1.1: 998 */
	WRAP = 76
};

/* The report at hand: there is one at a time. */
static struct {
	enum report what;
	const struct sending *s;
	const unsigned char *which;
	int64_t until;
	struct out_line from, rcpt;	/* the letter's F line; the T line at hand */
	char to[ADDR_TEXT + 1];		/* who is told */
	int postmaster;			/* not the sender */
	int utf8;			/* of addresses: then the report needs SMTPUTF8 */
	int full, eight;		/* the excerpt is the whole letter; has 8-bit octets */
	size_t nexcerpt;
	int ended;			/* its header has been seen to its end */
	char boundary[48];
	struct letter l;
	enum res answer;
} r;

static char excerpt[EXCERPT];

/* ---- pieces ---- */

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	BUG_IF(n < 0 || n >= (int)sizeof(line));
	letter_text(&r.l, line, (size_t)n);
}

static int
hex(char ch)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *p = ch ? strchr(digits, ch) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* What is not printable becomes a question mark, and so does what is no UTF-8, or may not be. */
static void
tame(char *p, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i += k) {
		k = r.utf8 && (p[i] & 0x80) ? addr_utf8(p + i, n - i) : p[i] >= 0x20 && p[i] < 0x7f;
		if (!k) {
			p[i] = '?';
			k = 1;
		}
	}
}

/* Text of others for a line of ours, cut to what fits. xtext (RFC 3461 4) is decoded before. */
static char *
clean(char *dst, size_t size, const char *p, size_t n, int xtext)
{
	size_t i, o = 0;

	for (i = 0; i < n && o < size - 1; i++, o++) {
		dst[o] = p[i];
		if (xtext && p[i] == '+' && n - i > 2 && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
			dst[o] = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
			i += 2;
		}
	}
	tame(dst, o);
	dst[o] = '\0';
	return dst;
}

/* Words, and a line end; the line has col octets already, others begin with four spaces. */
static void
wrap(size_t col, const char *p)
{
	size_t k;

	for (p += strspn(p, " "); *p; p += strspn(p, " ")) {
		k = strcspn(p, " ");
		if (col + 1 + k > WRAP) {
			letter_text(&r.l, "\n   ", 4);
			col = 3;
		}
		letter_text(&r.l, " ", 1);
		letter_text(&r.l, p, k);
		col += 1 + k;
		p += k;
	}
	letter_text(&r.l, "\n", 1);
}

/* ---- who is to know, and of whom ---- */

/* Is the word one of a list with commas? */
static int
listed(const char *p, size_t n, const char *word)
{
	size_t i, k;

	for (i = 0; i < n; i += k + 1) {
		for (k = 0; i + k < n && p[i + k] != ','; k++)
			;
		if (text_is(p + i, k, word))
			return 1;
	}
	return 0;
}

/* RFC 3461 4.1: does the sender want to hear this of the recipient at hand? */
static int
wanted(const struct target *t)
{
	static const char *const words[] = { "FAILURE", "DELAY", "SUCCESS" };
	const char *p;
	size_t n;

	if (r.what == REPORT_SENT && t->dsn == DSN_PROMISED)
		return 0;
	p = out_param(&r.rcpt, "NOTIFY", &n);
	return p ? listed(p, n, words[r.what]) : r.what != REPORT_SENT;
}

/* The next target the report is about, from *i, its line in r.rcpt: 1; 0: no more; -1: trouble. */
static int
next_target(int *i, const struct target **t)
{
	for (; *i < r.s->n; ++*i) {
		if (!r.which[*i])
			continue;
		*t = &r.s->to[*i];
		if (out_line(r.s->fd, (*t)->at, &r.rcpt) <= 0)
			return -1;
		if (wanted(*t)) {
			++*i;
			return 1;
		}
	}
	return 0;
}

/* How many recipients the report is about, -1: trouble. */
static int
count(void)
{
	const struct target *t;
	int any, i = 0, n = 0;

	r.utf8 = !addr_ascii(r.from.mailbox, strlen(r.from.mailbox));
	while ((any = next_target(&i, &t)) > 0) {
		r.utf8 |= !addr_ascii(r.rcpt.mailbox, strlen(r.rcpt.mailbox));
		n++;
	}
	return any < 0 ? -1 : n;
}

static int
asked(const char *key, const char *value)
{
	size_t n;
	const char *p = out_param(&r.from, key, &n);

	return p && (!value || text_is(p, n, value));
}

/* Where does the report go? That it is an address was seen to at MAIL. */
static enum where
find(struct user_set *to, struct forwards *out, const char *mailbox)
{
	const char *at = strrchr(mailbox, '@');
	struct addr a;

	memset(&a, 0, sizeof(a));
	a.mailbox = a.local = mailbox;
	a.nmailbox = strlen(mailbox);
	a.nlocal = at ? (size_t)(at - mailbox) : a.nmailbox;
	a.domain = at ? at + 1 : "";
	a.ndomain = strlen(a.domain);
	a.literal = *a.domain == '[';
	return user_resolve(to, out, &a);
}

/* A failure is told to the postmaster if its sender cannot be told. */
static enum where
addressee(struct user_set *to, struct forwards *out)
{
	enum where w = W_UNKNOWN;

	r.postmaster = 0;
	(void)text_copy(r.to, sizeof(r.to), r.from.mailbox, strlen(r.from.mailbox));
	if (r.what == REPORT_SENT || asked("BY", NULL))
		w = find(to, out, r.to);
	if (w != W_UNKNOWN || r.what != REPORT_FAILED)
		return w;
	r.postmaster = 1;
	(void)snprintf(r.to, sizeof(r.to), "postmaster@%s", host);
	return find(to, out, "postmaster");
}

/* ---- the original ---- */

static void
header_piece(void *arg, const char *p, size_t n)
{
	(void)arg;
	(void)p;
	if (!r.ended)
		r.nexcerpt += n;
}

static void
header_end(void *arg)
{
	(void)arg;
	r.ended = 1;
}

/* The excerpt, read: 0 or -1. A header that is too long is cut behind a line. */
static int
load(void)
{
	struct header h;
	off_t all = r.s->end - r.s->text;
	size_t n = all < EXCERPT ? (size_t)all : EXCERPT;

	r.full = r.what == REPORT_FAILED && all <= EXCERPT && !r.postmaster && asked("RET", "FULL");
	r.nexcerpt = 0;
	r.ended = 0;
	if (all < 0 || fs_read(r.s->fd, excerpt, n, r.s->text) < 0)
		return -1;
	header_init(&h);
	h.emit = header_piece;
	h.end = header_end;
	header_feed(&h, excerpt, n);
	if (all == (off_t)n)
		header_finish(&h);
	while (!r.ended && r.nexcerpt && excerpt[r.nexcerpt - 1] != '\n')
		r.nexcerpt--;
	if (r.full)
		r.nexcerpt = n;
	r.eight = !addr_ascii(excerpt, r.nexcerpt);
	return 0;
}

/* One line without its line end, in pieces of a length that is allowed. */
static void
put_line(char *p, size_t n)
{
	char *nul = p;
	size_t k;

	while ((nul = memchr(nul, '\0', n - (size_t)(nul - p))))
		*nul = '?';		/* RFC 2045 2.8: not even 8bit may have it */
	do {
		k = n < LINE ? n : LINE;
		letter_text(&r.l, p, k);
		letter_text(&r.l, k < n ? "\n " : "\n", k < n ? 2 : 1);
		p += k;
		n -= k;
	} while (n);
}

static void
put_excerpt(void)
{
	char *p = excerpt, *end = excerpt + r.nexcerpt, *lf;
	int global = r.eight && asked("SMTPUTF8", NULL);
	const char *type;

	if (r.full)
		type = global ? "message/global" : "message/rfc822";
	else
		type = global ? "message/global-headers" : "text/rfc822-headers";
	say("\n--%s\nContent-Type: %s\n%s\n", r.boundary, type,
	    r.eight ? "Content-Transfer-Encoding: 8bit\n" : "");
	for (; p < end; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			lf = end;
		put_line(p, (size_t)(lf - p));
	}
}

/* ---- for people ---- */

static void
put_header(void)
{
	static const char *const subject[] = {
		"Mail could not be delivered", "Mail is delayed", "Mail was sent on"
	};
	char date[DATE_TEXT], to[ADDR_TEXT + 1];

	(void)text_date(date, loop_wall);
	(void)clean(to, sizeof(to), r.to, strlen(r.to), 0);
	/* recovery finds the letter by this field */
	say("Received: from %s\n\tby %s id %s\n\t; %s\n", host, host, r.l.id, date);
	say("Date: %s\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\n", date, host);
	say("To: <%s>\nSubject: %s\nMessage-ID: <%s@%s>\n", to, subject[r.what], r.l.id, host);
	say("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"\n%s\n",
	    r.boundary, r.utf8 || r.eight ? "Content-Transfer-Encoding: 8bit\n" : "");
	say("This is a report in MIME format (RFC 6522).\n");
}

static void
explain(void)
{
	char came[DATE_TEXT], until[DATE_TEXT], from[ADDR_TEXT + 1];

	(void)text_date(came, mail_birth(r.s->id));
	say("This is the mail server %s.\n\n", host);
	if (r.postmaster)
		say("A message from\n  <%s>\nof %s could not be delivered,\n"
		    "and its sender cannot be told.",
		    clean(from, sizeof(from), r.from.mailbox, strlen(r.from.mailbox), 0), came);
	else if (r.what == REPORT_FAILED)
		say("Your message of %s could not be delivered.", came);
	else if (r.what == REPORT_DELAYED)
		say("Your message of %s is delayed.\nIt will be tried until %s.\n"
		    "There is no need to send it again.", came, text_date(until, r.until));
	else
		say("Your message of %s was sent on.", came);
	say("\n");
}

static int
in_mailbox(const struct target *t)
{
	return t->dsn == DSN_DELIVERED || !out_remote(&r.rcpt);
}

/* An alias led there: its address is what the sender knows. */
static void
put_alias(const char *indent)
{
	char alias[ADDR_TEXT + 1];
	const char *p;
	size_t n;

	p = out_param(&r.rcpt, "FORWARD", &n);
	if (p && n)
		say("%sforwarded for <%s>\n", indent, clean(alias, sizeof(alias), p, n, 1));
}

/* The server that the letter was with last; NULL: unknown. */
static const char *
remote(void)
{
	return r.s->host && strcmp(r.s->host, "-") != 0 ? r.s->host : NULL;
}

/* The words are a server's if they begin with a reply code. */
static int
is_reply(const struct target *t)
{
	int i;

	for (i = 0; i < 3; i++)
		if (t->words[i] < '0' || t->words[i] > '9')
			return 0;
	return !t->words[3] || t->words[3] == ' ';
}

static void
put_fate(const struct target *t)
{
	char words[WORDS];
	int64_t hours = (loop_wall - mail_birth(r.s->id)) / 3600;

	if (r.what == REPORT_SENT) {
		say("    %s\n", in_mailbox(t) ? "is in the mailbox" :
		    "taken by a server that sends no reports about the rest of the way");
		return;
	}
	if (r.what == REPORT_FAILED && t->status[0] == '4')
		say("    given up after %lld hours; at last:\n", (long long)hours);
	if (remote() && is_reply(t))
		say("    %s said:\n", clean(words, sizeof(words), remote(), strlen(remote()), 0));
	if (t->words[0]) {
		letter_text(&r.l, "   ", 3);
		wrap(3, clean(words, sizeof(words), t->words, strnlen(t->words, WORDS), 0));
	}
}

static int
put_text(void)
{
	const struct target *t;
	char to[ADDR_TEXT + 1];
	int any, i = 0;

	say("\n--%s\nContent-Type: text/plain; charset=%s\n%s\n", r.boundary,
	    r.utf8 ? "utf-8" : "us-ascii", r.utf8 ? "Content-Transfer-Encoding: 8bit\n" : "");
	explain();
	while ((any = next_target(&i, &t)) > 0) {
		say("\n  <%s>\n", clean(to, sizeof(to), r.rcpt.mailbox, strlen(r.rcpt.mailbox), 0));
		put_alias("    ");
		put_fate(t);
	}
	say("\n%s\n", r.full ? "The message follows." : "The header of the message follows.");
	return any;
}

/* ---- for programs ---- */

static const char *
action(const struct target *t)
{
	if (r.what == REPORT_FAILED)
		return "failed";
	if (r.what == REPORT_DELAYED)
		return "delayed";
	return in_mailbox(t) ? "delivered" : "relayed";
}

/* RFC 3463; of the class that belongs to the action. */
static char *
status(char dst[STATUS_TEXT], const struct target *t)
{
	static const char *const unknown[] = { "5.0.0", "4.0.0", "2.0.0" };
	static const char *const classes[] = { "54", "4", "2" };
	size_t n = strnlen(t->status, STATUS_TEXT);
	int dots = 0;
	size_t i;

	(void)text_copy(dst, STATUS_TEXT, t->status, n);
	for (i = 0; i < n; i++) {
		if (t->status[i] == '.' && i && t->status[i - 1] != '.' && i < n - 1)
			dots++;
		else if (t->status[i] < '0' || t->status[i] > '9')
			dots = 9;
	}
	if (dots == 2 && dst[0] == '5' && r.what == REPORT_DELAYED)
		dst[0] = '4';
	if (dots != 2 || dst[1] != '.' || !strchr(classes[r.what], dst[0]))
		(void)text_copy(dst, STATUS_TEXT, unknown[r.what], 5);
	return dst;
}

static void
put_diagnostic(const struct target *t)
{
	char words[WORDS];
	const char *type = is_reply(t) ? "smtp" : "X-Maild";

	if (remote())
		say("Remote-MTA: dns; %s\n", clean(words, sizeof(words), remote(),
		    strlen(remote()), 0));
	(void)clean(words, sizeof(words), t->words, strnlen(t->words, WORDS), 0);
	if (!words[strspn(words, " ")])
		return;
	say("Diagnostic-Code: %s;", type);
	wrap(18 + strlen(type), words);
}

static void
put_group(const struct target *t)
{
	char date[DATE_TEXT], text[OUT_LINE], code[STATUS_TEXT];
	const char *p, *at = strchr(r.rcpt.mailbox, '@') ? "" : "@";	/* <postmaster> */
	size_t n;

	p = out_param(&r.rcpt, "ORCPT", &n);
	if (p && n)
		say("Original-Recipient: %s\n", clean(text, n < 800 ? n + 1 : 800, p, n, 1));
	(void)clean(text, sizeof(text), r.rcpt.mailbox, strlen(r.rcpt.mailbox), 0);
	say("Final-Recipient: %s; %s%s%s\n", addr_ascii(text, strlen(text)) ? "rfc822" : "utf-8",
	    text, at, *at ? host : "");
	say("Action: %s\nStatus: %s\n", action(t), status(code, t));
	if (r.what != REPORT_SENT)
		put_diagnostic(t);
	(void)text_date(date, loop_wall);
	say("Last-Attempt-Date: %s\nFinal-Log-ID: %s\n", date, r.s->id);
	if (r.what == REPORT_DELAYED)
		say("Will-Retry-Until: %s\n", text_date(date, r.until));
}

static int
put_status(void)
{
	char date[DATE_TEXT], text[OUT_LINE];
	const struct target *t;
	const char *p;
	int any, i = 0;
	size_t n;

	say("\n--%s\nContent-Type: message/%sdelivery-status\n%s\n", r.boundary,
	    r.utf8 ? "global-" : "",
	    r.utf8 ? "Content-Transfer-Encoding: 8bit\n" : "");
	p = out_param(&r.from, "ENVID", &n);
	if (p && n)
		say("Original-Envelope-Id: %s\n", clean(text, n < 800 ? n + 1 : 800, p, n, 1));
	(void)text_date(date, mail_birth(r.s->id));
	say("Reporting-MTA: dns; %s\nArrival-Date: %s\n", host, date);
	while ((any = next_target(&i, &t)) > 0) {
		say("\n");
		put_group(t);
	}
	return any;
}

/* ---- the report as a letter ---- */

static void
answered(struct letter *l, enum res answer)
{
	(void)l;
	r.answer = answer;
}

/* FORWARD=address, as xtext. */
static void
forwarded(char *dst, size_t size, const char *address)
{
	size_t n = (size_t)snprintf(dst, size, "FORWARD=");

	for (; *address && n < size - 3; address++) {
		if (text_alnum((unsigned char)*address) || *address == '@' || *address == '.')
			dst[n++] = *address;
		else
			n += (size_t)snprintf(dst + n, size - n, "+%02X", (unsigned char)*address);
	}
	dst[n] = '\0';
}

static void
envelope(const struct user_set *to, const struct forwards *out, enum where w)
{
	char params[OUT_LINE - ADDR_TEXT - 8];
	int i;

	(void)snprintf(params, sizeof(params), "BY=local%s%s",
	    r.utf8 || r.eight ? " BODY=8BITMIME" : "", r.utf8 ? " SMTPUTF8" : "");
	/* trouble is kept in the letter */
	(void)letter_begin(&r.l, SESSIONS, "", 0, params);
	if (w == W_REMOTE) {
		(void)letter_out(&r.l, r.to, strlen(r.to), "");
		return;
	}
	(void)letter_rcpt(&r.l, r.to, strlen(r.to), to);
	forwarded(params, sizeof(params), r.to);
	for (i = 0; i < out->n; i++)
		(void)letter_out(&r.l, out->to[i].p, out->to[i].n, params);
}

static void
draw_boundary(void)
{
	unsigned char random[8];
	size_t i, n;

	random_bytes(random, sizeof(random));
	n = (size_t)snprintf(r.boundary, sizeof(r.boundary), "=_%s.", r.l.id);
	for (i = 0; i < sizeof(random); i++)
		n += (size_t)snprintf(r.boundary + n, sizeof(r.boundary) - n, "%02x", random[i]);
}

/* Compose and commit: 0 or -1. */
static int
post(const struct user_set *to, const struct forwards *out, enum where w)
{
	r.answer = R_TEMP;
	envelope(to, out, w);
	draw_boundary();
	put_header();
	if (put_text() < 0 || put_status() < 0) {
		letter_abort(&r.l);
		return -1;
	}
	put_excerpt();
	say("\n--%s--\n", r.boundary);
	r.l.done = answered;
	letter_finish(&r.l);
	(void)store_commit(1);		/* it calls done */
	letter_abort(&r.l);
	return r.answer == R_OK ? 0 : -1;
}

static int
failed(const char *what)
{
	log_event(r.s->id, "report-deferred reason=\"%s\"", what);
	return -1;
}

int
bounce(enum report what, const struct sending *s, const unsigned char *which, int64_t until)
{
	static const char *const names[] = { "failed", "delayed", "sent" };
	struct user_set to;
	struct forwards out;
	char text[ADDR_TEXT + 1];
	enum where w;
	int n;

	r.what = what;
	r.s = s;
	r.which = which;
	r.until = until;
	if (out_line(s->fd, 0, &r.from) <= 0 || (n = count()) < 0)
		return failed("the letter cannot be read");
	r.utf8 = r.utf8 && asked("SMTPUTF8", NULL);
	if (!n || !r.from.mailbox[0])
		return 0;
	w = addressee(&to, &out);
	if (w == W_UNKNOWN) {
		log_event(s->id, "report=%s to=nobody", names[what]);
		return 0;
	}
	if (w == W_LATER || store_broken())
		return failed("not now");
	if (load() < 0)
		return failed("the letter cannot be read");
	if (post(&to, &out, w) < 0)
		return failed("the store does not take it");
	log_event(s->id, "report=%s to=\"%s\" rcpt=%d -> queued %s", names[what],
	    text_escape(text, sizeof(text), r.to, strlen(r.to)), n, r.l.id);
	return 0;
}
