/* See LICENSE file for copyright and licence details. */
/*
 * A letter written anew: the envelope with other recipients where rules or scanners want that (or
 * the mailboxes for junk), on top of the text what we found out (RFC 8601) and the trace field, its
 * header with the changes of scanners, and its body, copied in slices, or a new one.
 *
 * Scanners count fields, and each has seen the header as it came. So nothing is taken out before
 * the end, and a field that one has added or taken away is marked, and not so for the next.
 */
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "lib/authres.h"
#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"

enum {
	PIECE = 1 << 14,
	STEPS = 50000,		/* of the changes: fields passed, 64 octets moved; some ms */
	RESULTS = 8192		/* octets of the field with results, all names at their longest */
};

enum mark {
	PLAIN,
	FORGED,			/* claims to be our findings */
	ADDED, OTHERS,		/* by this scanner; by one before it: this one does not know it */
	TAKEN, GONE		/* the same of those taken away */
};

/* The header while it is being changed; the mark of a field is that of its first octet. */
static struct {
	size_t n;
	size_t steps;
	int full;		/* too large, or too many steps */
	char b[HEADER_MAX + EDITS_MAX + 2];
	unsigned char mark[HEADER_MAX + EDITS_MAX + 2];
} head;

/* ---- the envelope ---- */

/* The line of it at an offset, NUL-terminated without its end: its length with it; 0: the blank
 * one, -1: trouble. */
static long
envelope_line(const struct letter *l, uint64_t at, char line[OUT_LINE + 1])
{
	long k, n = letter_read(l, line, OUT_LINE, at);
	const char *lf;

	/* at the border of what is still in memory it comes in two pieces */
	while (n > 0 && n < OUT_LINE && !memchr(line, '\n', (size_t)n)) {
		k = letter_read(l, line + n, OUT_LINE - (size_t)n, at + (uint64_t)n);
		if (k <= 0)
			return -1;
		n += k;
	}
	lf = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	if (!lf)
		return -1;
	line[lf - line] = '\0';
	return lf == line ? 0 : lf - line + 1;
}

/* "X<mailbox> rest": cut into mailbox and rest ("" if there is none): 0 or -1. */
static int
split(char *line, const char **mailbox, const char **rest)
{
	char *gt = strrchr(line, '>');

	if (line[0] == '\0' || line[1] != '<' || !gt)
		return -1;
	*gt = '\0';
	*mailbox = line + 2;
	*rest = gt[1] == ' ' ? gt + 2 : "";
	return 0;
}

/* One of our accounts? Parameters have a '=', or are this word. */
static int
is_account(const char *rest)
{
	return *rest && !strchr(rest, '=') && strcmp(rest, "HERE") != 0;
}

const char *
amend_rcpt(struct letter *l, int i)
{
	static char line[OUT_LINE + 1];
	const char *mailbox = NULL, *rest;
	uint64_t at = 0;
	long n;

	for (i++; i >= 0 && (n = envelope_line(l, at, line)) > 0; at += (uint64_t)n, i--)
		if (split(line, &mailbox, &rest) < 0)
			return NULL;
	return i < 0 ? mailbox : NULL;
}

/* The change of the scanners at *at, which moves on: what it brings with it; NULL: that was all. */
static const char *
next_edit(const struct inspection *i, size_t *at, struct edit *e)
{
	const char *text;

	if (*at >= i->nedits)
		return NULL;
	memcpy(e, i->edits + *at, sizeof(*e));
	text = i->edits + *at + sizeof(*e);
	*at += sizeof(*e) + e->n;
	return text;
}

/* Does a scanner take this recipient away? */
static int
removed(const struct inspection *i, const char *mailbox)
{
	struct edit e;
	size_t at = 0;
	const char *text;

	while ((text = next_edit(i, &at, &e)))
		if (e.what == EDIT_NO_RCPT && text_is(mailbox, strlen(mailbox), text))
			return 1;
	return 0;
}

/* Into an account's mailbox, or the one that it has for junk. */
static void
to_account(struct inspection *i, const char *rcpt, const char *name)
{
	char junk[NAME_TEXT + 8];
	struct user_set to;
	int slot, n;

	n = snprintf(junk, sizeof(junk), "%s.junk", name);
	slot = i->mark ? user_find(junk, (size_t)n) : -1;
	if (slot < 0)
		slot = user_find(name, strlen(name));
	memset(&to, 0, sizeof(to));
	if (slot >= 0)
		to.bit[slot / 8] |= (unsigned char)(1 << (slot % 8));
	/* gone since, or the envelope is full: it may come again */
	if (slot < 0 || letter_rcpt(&i->letter, rcpt, strlen(rcpt), &to) != R_OK)
		i->letter.bad = R_TEMP;
}

static void
to_remote(struct inspection *i, const char *to, size_t n, const char *params)
{
	if (letter_out(&i->letter, to, n, params) != R_OK)
		i->letter.bad = R_TEMP;
}

/* Does it go to that address at another server already? */
static int
has(const struct letter *l, const char *to, size_t n)
{
	static char line[OUT_LINE + 1];
	const char *mailbox, *rest;
	uint64_t at = 0;
	long k;

	for (; (k = envelope_line(l, at, line)) > 0; at += (uint64_t)k)
		if (at && split(line, &mailbox, &rest) == 0 && !is_account(rest) &&
		    text_is(to, n, mailbox))
			return 1;
	return 0;
}

static void
also_remote(struct inspection *i, const char *to, size_t n, const char *params)
{
	i->leaves = 1;
	if (!has(&i->letter, to, n))
		to_remote(i, to, n, params);
}

/* To an address or account of config.h or of a scanner. What leaves us has been forwarded (relay.h)
 * for its first recipient, or who writes config.h. */
static void
also_to(struct inspection *i, const char *to)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789.-_@";
	char forward[ADDR_TEXT + HOST_TEXT + 32], text[ADDR_TEXT + 8];
	const char *rcpt = i->s->rcpt;
	struct user_set set;
	struct forwards f;
	struct addr a;
	int k;

	if (!strchr(rcpt, '@') || strspn(rcpt, safe) != strlen(rcpt))
		rcpt = NULL;
	(void)snprintf(forward, sizeof(forward), "FORWARD=%s%s", rcpt ? rcpt : "postmaster@",
	    rcpt ? "" : host);

	switch (user_meant(&set, &f, &a, to)) {
	case W_LOCAL:
		for (k = 0; k < ACCOUNTS; k++)
			if (user_in(&set, k))
				to_account(i, to, user_at(k)->name);
		for (k = 0; k < f.n; k++)
			also_remote(i, f.to[k].p, f.to[k].n, forward);
		break;
	case W_REMOTE:
		also_remote(i, to, strlen(to), forward);
		break;
	case W_LATER:
		i->letter.bad = R_TEMP;
		break;
	case W_UNKNOWN:
		log_event(i->s->sid, "amend to=\"%s\" error=\"nobody has this address\"",
		    text_escape(text, sizeof(text), to, strlen(to)));
		break;
	}
}

static void
old_rcpt(struct inspection *i, char *line)
{
	const char *mailbox, *rest;

	if (split(line, &mailbox, &rest) < 0 || removed(i, mailbox))
		return;
	if (is_account(rest))
		to_account(i, mailbox, rest);
	else
		to_remote(i, mailbox, strlen(mailbox), rest);
}

/* What rules and scanners add; how many. */
static int
new_rcpts(struct inspection *i)
{
	const struct rule *r = i->rule;
	const char *text;
	struct edit e;
	size_t at = 0;
	int n = 0;

	if (r && (r->deed == DO_COPY || r->deed == DO_REDIRECT || r->deed == DO_MAILBOX)) {
		also_to(i, r->arg);
		n++;
	}
	while ((text = next_edit(i, &at, &e))) {
		if (e.what == EDIT_RCPT) {
			also_to(i, text);
			n++;
		}
	}
	return n;
}

/* The sender that the last scanner to say so wants, else as it was. */
static const char *
sender(const struct inspection *i, const char *was)
{
	const char *text;
	struct edit e;
	size_t at = 0;

	while ((text = next_edit(i, &at, &e)))
		if (e.what == EDIT_SENDER)
			was = text;
	return was;
}

/* 0 or -1. */
static int
envelope(struct inspection *i)
{
	static char line[OUT_LINE + 1];
	const struct letter *old = &i->s->letter;
	const struct rule *r = i->rule;
	int instead = r && (r->deed == DO_REDIRECT || r->deed == DO_MAILBOX);
	int slot = SESSIONS + OWN_LETTERS + 2 * conn_slot(i->s->c);
	const char *mailbox, *rest, *from;
	uint64_t at;
	long n;

	n = envelope_line(old, 0, line);
	if (n <= 0 || split(line, &mailbox, &rest) < 0)
		return -1;
	from = sender(i, mailbox);
	if (letter_begin(&i->letter, slot, from, strlen(from), rest) != R_OK)
		return -1;
	memcpy(i->letter.id, old->id, sizeof(i->letter.id));	/* the one that scanners know */
	for (at = (uint64_t)n; (n = envelope_line(old, at, line)) > 0; at += (uint64_t)n)
		if (!instead)
			old_rcpt(i, line);
	/* sent to nobody else but those that do not exist, it would be lost */
	if (new_rcpts(i) && letter_alone(&i->letter))
		return -1;
	return n < 0 || i->letter.bad ? -1 : 0;
}

/* ---- what we found out ---- */

static const char *
spf_domain(const struct smtp *s)
{
	const char *at = strrchr(s->sender, '@');

	return at ? at + 1 : s->helo;
}

static void
put_dkim(struct authres *a, const struct dkimcheck *d)
{
	const struct dkim_signature *g;
	int k;

	for (k = 0; k < d->n; k++) {
		g = &d->sig[k];
		authres_result(a, "dkim", dkim_word(g->result), g->reason ? g->reason : "");
		authres_property(a, "header.d", g->domain);
		authres_property(a, "header.s", g->selector);
		authres_property(a, "header.b", g->b);
	}
	if (!d->n)
		authres_result(a, "dkim", "none", "");
}

static void
results(struct inspection *i)
{
	static char field[RESULTS];
	struct smtp *s = i->s;
	struct authres a;
	char text[IP_TEXT + 16];

	authres_begin(&a, field, sizeof(field), host);
	authres_result(&a, "iprev", s->visit.name[0] ? "pass" :
	    s->visit.found & BIT(F_PTR_LATER) ? "temperror" : "fail", "");
	authres_property(&a, "policy.iprev", ip_text(text, &s->c->peer));
	authres_result(&a, "spf", spf_word(s->visit.spf_helo), "");
	authres_property(&a, "smtp.helo", s->helo);
	if (s->sender[0]) {
		authres_result(&a, "spf", spf_word(s->visit.spf), "");
		authres_property(&a, "smtp.mailfrom", spf_domain(s));
	}
	put_dkim(&a, &i->dkim);
	if (i->dmarc_known) {
		authres_result(&a, "dmarc", dmarc_word(i->dmarc.result), "");
		if (i->dmarc.domain[0]) {
			(void)snprintf(text, sizeof(text), "p=%s",
			    dmarc_policy_word(i->dmarc.policy));
			authres_comment(&a, text);
		}
		authres_property(&a, "header.from", i->author);
	}
	letter_text(&i->letter, field, authres_end(&a));
}

static void
top(struct inspection *i)
{
	char field[160];
	int n;

	if (i->s->visit.stranger)
		results(i);
	if (i->mark) {
		n = snprintf(field, sizeof(field), "X-Spam-Flag: YES\nX-Spam-Reason: %s\n", i->why);
		letter_text(&i->letter, field, (size_t)n);
	}
	smtp_trace(i->s, &i->letter);
}

/* ---- the header ---- */

/* The end of the field at an offset: behind its last line. */
static size_t
field_end(size_t at)
{
	const char *lf;

	head.steps++;
	do {
		lf = memchr(head.b + at, '\n', head.n - at);
		at = lf ? (size_t)(lf - head.b) + 1 : head.n;
	} while (at < head.n && (head.b[at] == ' ' || head.b[at] == '\t'));
	return at;
}

/* The length of its name, and where its value begins; 0: it has none. */
static size_t
name_size(size_t at, size_t end, size_t *value)
{
	const char *p = head.b + at, *colon = memchr(p, ':', end - at);
	size_t n = colon ? (size_t)(colon - p) : 0;

	if (n && memchr(p, '\n', n))
		return 0;
	*value = at + n + 1;
	for (; n && (p[n - 1] == ' ' || p[n - 1] == '\t'); n--)
		;
	return n;
}

/* Is there no such field, for the scanner whose changes are being made? */
static int
hidden(size_t at)
{
	return head.mark[at] == OTHERS || head.mark[at] == TAKEN;
}

/* Put text in place of old octets. */
static void
put(size_t at, size_t old, const char *p, size_t n, enum mark mark)
{
	if (head.n - old + n >= sizeof(head.b)) {
		head.full = 1;
		return;
	}
	head.steps += (head.n - at) / 64;
	memmove(head.b + at + n, head.b + at + old, head.n - at - old);
	memmove(head.mark + at + n, head.mark + at + old, head.n - at - old);
	memcpy(head.b + at, p, n);
	head.mark[at] = (unsigned char)mark;
	head.n += n - old;
}

/* The offset of field number `index`, from 0; the end if there are not so many. */
static size_t
nth(uint32_t index)
{
	size_t at;

	for (at = 0; at < head.n && index; at = field_end(at))
		index -= !hidden(at);
	return at;
}

/* The offset of the index-th field of a name, from 1; the end if there is none. */
static size_t
nth_named(const char *name, uint32_t index)
{
	size_t at, end, n, value;

	for (at = 0; at < head.n; at = end) {
		end = field_end(at);
		n = hidden(at) ? 0 : name_size(at, end, &value);
		if (n && text_is(head.b + at, n, name) && --index == 0)
			break;
	}
	return at;
}

/* Another value for a field, or none. */
static void
change(size_t at, const char *field, size_t n, int taken)
{
	if (at == head.n) {
		if (!taken)
			put(at, 0, field, n, ADDED);
	} else if (taken) {
		head.mark[at] = TAKEN;
	} else {
		put(at, field_end(at) - at, field, n, head.mark[at] == ADDED ? ADDED : PLAIN);
	}
}

/* The next scanner does not know what this one has done. */
static void
settle(void)
{
	size_t at;

	for (at = 0; at < head.n; at = field_end(at))
		if (head.mark[at] == ADDED || head.mark[at] == TAKEN)
			head.mark[at]++;
}

static void
edit_header(const struct edit *e, const char *name)
{
	static char field[SCAN_EDITS + 4];
	const char *value;
	size_t n;

	if (e->what == EDIT_END)
		settle();
	if (e->what > EDIT_CHANGE)
		return;
	value = name + strlen(name) + 1;
	n = (size_t)snprintf(field, sizeof(field), "%s:%s\n", name, value);
	if (e->what == EDIT_CHANGE)
		change(nth_named(name, e->index ? e->index : 1), field, n, !*value);
	else
		put(e->what == EDIT_ADD ? head.n : nth(e->index), 0, field, n, ADDED);
}

/* Mark those that claim to be our findings. */
static void
forged(void)
{
	static const char name[] = "Authentication-Results";
	size_t at, end, n, value;

	for (at = 0; at < head.n; at = end) {
		end = field_end(at);
		n = name_size(at, end, &value);
		if (n && text_is(head.b + at, n, name) &&
		    authres_claims(head.b + value, end - value, host))
			head.mark[at] = FORGED;
	}
}

/* Without those that are to go. */
static void
clean(void)
{
	size_t at, end, to = 0;

	for (at = 0; at < head.n; at = end) {
		end = field_end(at);
		if (head.mark[at] == FORGED || head.mark[at] == TAKEN || head.mark[at] == GONE)
			continue;
		memmove(head.b + to, head.b + at, end - at);
		to += end - at;
	}
	head.n = to;
}

/* 0 or -1. */
static int
write_header(struct inspection *i)
{
	const char *p = inspect_header(i), *text;
	struct edit e;
	size_t at = 0;

	head.full = 0;
	if (!p) {
		i->letter.bad = R_TEMP;
		return -1;
	}
	memcpy(head.b, p, i->header);
	head.n = i->header;
	head.steps = 0;
	if (head.n && head.b[head.n - 1] != '\n')
		head.b[head.n++] = '\n';
	memset(head.mark, PLAIN, head.n);
	if (i->s->visit.stranger)
		forged();
	while (!head.full && (text = next_edit(i, &at, &e))) {
		edit_header(&e, text);
		head.full |= head.steps > STEPS;
	}
	clean();
	letter_text(&i->letter, head.b, head.n);
	return head.full ? -1 : 0;
}

/* ---- the body ---- */

int
amend_body(struct inspection *i, const char *p, size_t n)
{
	int slot = SESSIONS + OWN_LETTERS + 2 * conn_slot(i->s->c) + 1;
	const char *cr;
	size_t k;

	if (!p) {
		i->lost = i->rebodied && i->rebodied != i->scanner + 1;
		i->rebodied = i->scanner + 1;
		letter_abort(&i->body);
		(void)letter_begin(&i->body, slot, "", 0, "");
		letter_text(&i->body, "", 0);
	}
	/* lines end in LF here */
	for (; p && n; p += k, n -= k) {
		cr = memchr(p, '\r', n);
		k = cr ? (size_t)(cr - p) : n;
		letter_text(&i->body, p, k);
		k += cr != NULL;
	}
	return i->body.bad || (uint64_t)i->body.size > message_max + ENVELOPE_SPARE ? -1 : 0;
}

enum res
amend_begin(struct inspection *i)
{
	if (envelope(i) < 0)
		return R_TEMP;
	top(i);
	if (write_header(i) < 0)
		return head.full ? R_PERM : R_TEMP;
	if (i->rebodied)
		letter_text(&i->letter, "\n", 1);
	i->at = i->rebodied ? 0 : i->header;
	return i->letter.bad ? R_TEMP : R_OK;
}

enum res
amend_work(struct inspection *i)
{
	static char piece[PIECE];
	const struct letter *l = i->rebodied ? &i->body : &i->s->letter;
	int64_t start = loop_ms();
	long n;

	do {
		n = letter_read(l, piece, sizeof(piece), (uint64_t)l->text + i->at);
		if (n < 0)
			return R_TEMP;
		letter_text(&i->letter, piece, (size_t)n);
		i->at += (uint64_t)n;
	} while (n && loop_ms() - start < SLICE_MS);
	if (i->letter.bad)
		return R_TEMP;
	return n ? R_AGAIN : R_OK;
}
