/* See LICENSE file for copyright and licence details. */
/*
 * The text of a message is looked into when all of it is there, in this order:
 *
 *	read	its header: the author, signatures, rules; its body, in slices: hashes, names of
 *		attachments
 *	keys	of its signatures, from the DNS
 *	policy	of its author's domain (DMARC)
 *	judge	policies[] and rules[]: refuse, mark, or go on
 *	scan	each scanner in turn; what they want changed is collected
 *	copy	the letter is written anew (amend.c): what we found out on top, changes applied
 *
 * The mail of our own people has only the last two. The session is held meanwhile; DNS and scanners
 * are waited for as guard.c does, long work comes in slices.
 */
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "lib/log.h"
#include "lib/text.h"

enum {
	PIECE = 1 << 14,
	NSCANNERS = sizeof(scanners) / sizeof(*scanners),
	BUSY_MS = 20,			/* until the next look whether there is room */
	HURRY_MS = 1000			/* for what the DNS says, when there is none */
};

/* Not known before the text. */
#define LATE (BIT(F_DKIM_NONE) | BIT(F_DKIM_FAIL) | BIT(F_AUTHOR) | BIT(F_DMARC_NONE) | \
	BIT(F_DMARC_WATCH) | BIT(F_DMARC_QUARANTINE) | BIT(F_DMARC_REJECT) | BIT(F_DMARC_TEMP) | \
	BIT(F_DMARC_PERM))

static const char too_many[] = "451 4.3.0 Content scanners want too many changes";
static struct inspection inspections[INSPECTED];
static char header[HEADER_MAX + 2];

static void next_scanner(struct smtp *s);

/* ---- the text as it came ---- */

char *
inspect_header(struct inspection *i)
{
	size_t at;
	long n = 0;

	for (at = 0; at < i->header; at += (size_t)n) {
		n = letter_read(&i->s->letter, header + at, i->header - at,
		    (uint64_t)i->s->letter.text + at);
		if (n <= 0)
			return NULL;
	}
	header[i->header] = '\0';
	return header;
}

/* Where its header ends: the octets before the blank line; -1: it is too large; -2: trouble. */
static long
header_size(const struct letter *l)
{
	size_t n = 0, seen = 0;
	const char *lf;
	long k = 1;

	for (; n < sizeof(header) && k > 0; n += k > 0 ? (size_t)k : 0)
		k = letter_read(l, header + n, sizeof(header) - n, (uint64_t)l->text + n);
	if (k < 0)
		return -2;
	if (n && header[0] == '\n')
		return 0;
	while ((lf = memchr(header + seen, '\n', n - seen))) {
		seen = (size_t)(lf - header) + 1;
		if (seen < n && header[seen] == '\n')
			return seen <= HEADER_MAX ? (long)seen : -1;
	}
	return n <= HEADER_MAX ? (long)n : -1;
}

/* ---- the life of an inspection ---- */

int
inspect_wanted(const struct smtp *s)
{
	int k;

	if (s->visit.stranger)
		return 1;
	for (k = 0; k < NSCANNERS; k++)
		if (scanners[k].address[0] && scanners[k].ours)
			return 1;
	return 0;
}

void
inspect_cancel(struct smtp *s)
{
	struct inspection *i = s->inspection;

	if (!i)
		return;
	dkimcheck_cancel(&i->dkim);
	dmarc_cancel(&i->dmarc);
	scan_cancel(&i->scan);
	letter_drop(&i->body);
	letter_drop(&i->letter);
	s->visit.pending = 0;
	s->inspection = NULL;
	i->s = NULL;
}

static void
answer(struct smtp *s, const char *error)
{
	inspect_cancel(s);
	smtp_answer(s, error);
}

/* ---- what we found out ---- */

static void
why(struct inspection *i, const char *what, const char *p, size_t n)
{
	char text[64];

	i->mark = 1;
	if (!i->why[0])
		(void)snprintf(i->why, sizeof(i->why), "%s%s%s", what, n ? " " : "",
		    text_escape(text, sizeof(text), p, n));
}

static void
attachment(void *arg, const char *name, size_t n)
{
	struct inspection *i = arg;
	const struct rule *r = rule_match(IN_ATTACHMENT, "", name, n);

	/* of all names the first row counts */
	if (!r || (i->rule && (i->rule->place != IN_ATTACHMENT || i->rule <= r)))
		return;
	i->rule = r;
	i->mark = 0;
	i->why[0] = '\0';
	if (r->deed == DO_MARK)
		why(i, "attachment", name, n);
}

static int
dkim_passed(const struct inspection *i)
{
	int k, n = 0;

	for (k = 0; k < i->dkim.n; k++)
		n += i->dkim.sig[k].result == DKIM_PASS;
	return n;
}

/* Could a part that is not known yet have passed? */
static int
uncertain(const struct inspection *i)
{
	int k;

	for (k = 0; k < i->dkim.n; k++)
		if (i->dkim.sig[k].result == DKIM_TEMPERROR)
			return 1;
	return i->dkim_late || i->s->visit.spf == SPF_TEMPERROR;
}

static enum finding
dmarc_finding(const struct inspection *i)
{
	static const enum finding of[] = {
		[POLICY_NONE] = F_DMARC_WATCH, [POLICY_QUARANTINE] = F_DMARC_QUARANTINE,
		[POLICY_REJECT] = F_DMARC_REJECT
	};

	switch (i->dmarc.result) {
	case DMARC_NONE:
		return F_DMARC_NONE;
	case DMARC_PASS:
		return NFINDINGS;
	case DMARC_TEMPERROR:
		return F_DMARC_TEMP;
	case DMARC_PERMERROR:
		return F_DMARC_PERM;
	case DMARC_FAIL:
		break;
	}
	return uncertain(i) && i->dmarc.policy != POLICY_NONE ? F_DMARC_TEMP :
	    of[i->dmarc.policy];
}

/* All findings that count now. What the author's domain stands by is not judged by SPF. */
static uint32_t
findings(struct inspection *i)
{
	struct visit *v = &i->s->visit;
	enum finding f;

	if (!i->dkim.n)
		v->letter |= BIT(F_DKIM_NONE);
	else if (!dkim_passed(i))
		v->letter |= BIT(F_DKIM_FAIL);
	if (i->from != FROM_OK)
		v->letter |= BIT(F_AUTHOR);
	f = i->dmarc_known ? dmarc_finding(i) : F_DMARC_NONE;
	if (f < NFINDINGS)
		v->letter |= BIT(f);
	return guard_found(v) & ~(f < NFINDINGS ? 0 : SPF_FINDINGS);
}

static void
tell(const struct inspection *i, const char *what, const char *reason)
{
	const struct visit *v = &i->s->visit;
	char ip[IP_TEXT], rule[16];

	(void)snprintf(rule, sizeof(rule), i->rule ? " rule=%d" : "", i->rule ?
	    rule_row(i->rule) + 1 : 0);
	log_event(i->s->sid, "check from=%s name=%s spf=%s dkim=%s dmarc=%s author=%s -> %s%s%s%s",
	    ip_text(ip, &i->s->c->peer), v->name[0] ? v->name : "-", spf_word(v->spf),
	    !i->dkim.n ? "none" : dkim_passed(i) ? "pass" : dkim_word(i->dkim.sig[0].result),
	    i->dmarc_known ? dmarc_word(i->dmarc.result) : "none",
	    i->author[0] ? i->author : "-", what, rule, *reason ? " " : "", reason);
}

/* The rule for all of it: 1: it is decided. */
static int
ruled(struct inspection *i)
{
	struct smtp *s = i->s;

	switch (i->rule->deed) {
	case DO_REFUSE:
		tell(i, "refused", "");
		answer(s, guard_refusal(i->rule));
		return 1;
	case DO_DISCARD:
		tell(i, "discarded", "");
		letter_nobody(&s->letter);
		answer(s, NULL);
		return 1;
	case DO_MARK:
		why(i, "rule", "", 0);
		break;
	case DO_ACCEPT:
	case DO_REDIRECT:
	case DO_COPY:
	case DO_MAILBOX:
		break;
	}
	return 0;
}

static const char *
greylisted(struct smtp *s, uint32_t found, enum finding *f)
{
	struct addr a;

	if (!guard_calls(found & LATE, A_GREYLIST, f) ||
	    addr_mailbox8(&a, s->rcpt, strlen(s->rcpt)) < 0)
		return NULL;
	s->visit.accepting = 0;		/* that was said of the last recipient */
	return guard_grey(s, &a);
}

static const char *
author_reply(enum from f)
{
	static char reply[128];

	(void)snprintf(reply, sizeof(reply), "550 5.6.0 The header does not name one author: %s",
	    from_words(f));
	return reply;
}

/* Refuse, mark, or go on. */
static void
judge(struct smtp *s)
{
	struct inspection *i = s->inspection;
	uint32_t found = findings(i);
	const char *error = NULL, *what = "refused";
	enum finding f = F_AUTHOR;

	if (i->rule && ruled(i))
		return;
	if (!(i->rule && i->rule->deed == DO_ACCEPT) && s->visit.accepted < s->nrcpt) {
		if (guard_calls(found, A_REFUSE, &f))
			error = f == F_AUTHOR ? author_reply(i->from) : guard_reply(f);
		else if ((error = greylisted(s, found, &f)))
			what = "greylisted";
		if (error) {
			tell(i, what, guard_word(f));
			answer(s, error);
			return;
		}
		if (guard_calls(found, A_MARK, &f))
			why(i, guard_word(f), "", 0);
		if (s->visit.listed == A_MARK && !s->visit.good)
			why(i, s->visit.zone, "", 0);
		if (s->visit.mark)
			why(i, "rule", "", 0);
	}
	tell(i, i->mark ? "marked" : "accepted", i->why);
	if (i->dmarc_known && i->dmarc.result == DMARC_PASS)
		grey_known_good(&s->c->peer);
	next_scanner(s);
}

static void
policy_known(struct smtp *s)
{
	struct inspection *i = s->inspection;

	if (s->visit.pending) {
		dmarc_cancel(&i->dmarc);
		i->dmarc.result = DMARC_TEMPERROR;
	}
	s->visit.pending = 0;
	judge(s);
}

static void
policy_done(struct dmarc *d)
{
	((struct smtp *)d->arg)->visit.pending = 0;
}

static void
ask_policy(struct smtp *s)
{
	struct inspection *i = s->inspection;
	const char *at = strrchr(s->sender, '@');
	int k;

	if (i->from != FROM_OK || !i->author[0]) {
		judge(s);
		return;
	}
	dmarc_begin(&i->dmarc, i->author);
	if (s->visit.spf == SPF_PASS)
		dmarc_spf(&i->dmarc, at ? at + 1 : s->helo);
	for (k = 0; k < i->dkim.n; k++)
		if (i->dkim.sig[k].result == DKIM_PASS)
			dmarc_dkim(&i->dmarc, i->dkim.sig[k].domain);
	i->dmarc_known = 1;
	i->dmarc.done = policy_done;
	i->dmarc.arg = s;
	s->visit.pending = 1;
	dmarc_check(&i->dmarc);
	guard_later(s, 0, i->hurry ? HURRY_MS : guard_wait, policy_known);
}

static void
keys_known(struct smtp *s)
{
	struct inspection *i = s->inspection;

	i->dkim_late = s->visit.pending;
	if (s->visit.pending)
		dkimcheck_cancel(&i->dkim);
	s->visit.pending = 0;
	ask_policy(s);
}

static void
keys_done(struct dkimcheck *d)
{
	((struct smtp *)d->arg)->visit.pending = 0;
}

static void
ask_keys(struct smtp *s)
{
	struct inspection *i = s->inspection;

	i->dkim.done = keys_done;
	i->dkim.arg = s;
	if (!dkimcheck_finish(&i->dkim)) {
		ask_policy(s);
		return;
	}
	s->visit.pending = 1;
	guard_later(s, 0, guard_wait, keys_known);
}

/* ---- reading ---- */

/* 0 or -1. */
static int
read_header(struct inspection *i)
{
	struct smtp *s = i->s;
	const char *p = inspect_header(i);

	i->rule = s->visit.rule ? s->visit.rule : s->visit.letter_rule;
	if (!p)
		return -1;
	if (!i->rule)
		i->rule = rule_header(p, i->header);
	i->from = from_domain(i->author, p, i->header);
	if (i->from != FROM_OK)
		i->author[0] = '\0';
	dkimcheck_header(&i->dkim, p, i->header, loop_wall);
	return 0;
}

/* A slice of the pass through the text. */
static void
read_some(struct inspection *i)
{
	static char piece[PIECE];
	struct smtp *s = i->s;
	size_t body = i->header + 1, skip;
	int64_t start = loop_ms();
	long n;

	while (loop_ms() - start < SLICE_MS) {
		n = letter_read(&s->letter, piece, sizeof(piece),
		    (uint64_t)s->letter.text + i->at);
		if (n < 0) {
			answer(s, smtp_disk(s->letter.full));
			return;
		}
		if (!n) {
			mime_finish(&i->mime);
			i->work = I_WAIT;
			ask_keys(s);
			return;
		}
		mime_feed(&i->mime, piece, (size_t)n);
		skip = i->at < body ? (size_t)(body - i->at) : 0;
		if (skip < (size_t)n)
			dkimcheck_body(&i->dkim, piece + skip, (size_t)n - skip);
		i->at += (uint64_t)n;
	}
	conn_work(s->c);
}

/* ---- scanners ---- */

static const char *
facts_rcpt(void *arg, int k)
{
	struct smtp *s = ((struct inspection *)arg)->s;

	/* to be discarded; but filters know no message without a recipient */
	if (letter_alone(&s->letter))
		return k ? NULL : s->rcpt;
	return amend_rcpt(&s->letter, k);
}

static long
facts_read(void *arg, char *p, size_t n, uint64_t at)
{
	struct letter *l = &((struct inspection *)arg)->s->letter;

	return letter_read(l, p, n, (uint64_t)l->text + at);
}

static int
facts_body(void *arg, const char *p, size_t n)
{
	return amend_body(arg, p, n);
}

static void
scan_done(struct scan *c)
{
	((struct smtp *)c->arg)->visit.pending = 0;
}

/* What the scanner said, and on to the next. */
static void
scanned(struct smtp *s)
{
	struct inspection *i = s->inspection;
	const struct scanner *row = &scanners[i->scanner];
	static const struct edit over = { EDIT_END, 0, 0 };
	char reply[SCAN_REPLY];

	if (s->visit.pending) {
		scan_cancel(&i->scan);
		i->scan.result = SCAN_DOWN;
	}
	s->visit.pending = 0;
	switch (i->scan.result) {
	case SCAN_REJECT:
	case SCAN_TEMPFAIL:
		log_event(s->sid, "scan by=%s -> refused", row->name);
		memcpy(reply, i->scan.reply, sizeof(reply));
		answer(s, reply);
		return;
	case SCAN_DISCARD:
		log_event(s->sid, "scan by=%s -> discarded", row->name);
		letter_nobody(&s->letter);
		answer(s, NULL);
		return;
	case SCAN_DOWN:
		if (i->rebodied == i->scanner + 1)
			i->rebodied = 0;	/* it may be half of one */
		if (row->down == DOWN_TEMPFAIL || i->lost) {
			answer(s, "451 4.7.1 A content scanner is not there, try again later");
			return;
		}
		break;
	case SCAN_ACCEPT:
		if (i->nedits + i->scan.nedits + sizeof(over) > sizeof(i->edits)) {
			answer(s, too_many);
			return;
		}
		memcpy(i->edits + i->nedits, i->scan.edits, i->scan.nedits);
		i->nedits += i->scan.nedits;
		memcpy(i->edits + i->nedits, &over, sizeof(over));
		i->nedits += sizeof(over);
		i->lost = 0;
		if (i->scan.quarantine[0]) {
			log_event(s->sid, "scan by=%s -> quarantined \"%s\"", row->name,
			    i->scan.quarantine);
			i->held = 1;
			why(i, row->name, i->scan.quarantine, strlen(i->scan.quarantine));
		}
		break;
	}
	i->scanner++;
	next_scanner(s);
}

static void
show(struct inspection *i, const struct scanner *row)
{
	struct smtp *s = i->s;
	struct scan_facts f;

	memset(&f, 0, sizeof(f));
	f.peer = s->c->peer;
	f.port = s->c->peer_port;
	f.name = s->visit.name;
	f.helo = s->helo;
	f.id = s->letter.id;
	f.sender = s->sender;
	f.login = s->user >= 0 ? user_at(s->user)->name : "";
	f.tls_version = s->tls ? tls_version(s->c) : "";
	f.tls_cipher = s->tls ? tls_cipher(s->c) : "";
	f.rcpt = facts_rcpt;
	f.read = facts_read;
	f.body = facts_body;
	f.header = i->header;
	f.arg = i;
	i->scan.done = scan_done;
	i->scan.arg = s;
	s->visit.pending = scan_start(&i->scan, row, &f) == 0;
	guard_later(s, 0, 4 * row->ms + 1000, scanned);	/* it keeps the time itself */
}

static void
next_scanner(struct smtp *s)
{
	struct inspection *i = s->inspection;
	const struct scanner *row;
	enum res r;

	for (; i->scanner < NSCANNERS; i->scanner++) {
		row = &scanners[i->scanner];
		if (row->address[0] && (s->visit.stranger || row->ours)) {
			show(i, row);
			return;
		}
	}
	i->work = I_COPY;
	r = amend_begin(i);
	if (r != R_OK)
		answer(s, r == R_PERM ? too_many : i->letter.bad ? smtp_disk(i->letter.full) :
		    "451 4.3.5 Rules or scanners leave no recipient that is known");
	else if (i->held && (s->nout || i->leaves))	/* there is no mailbox for junk elsewhere */
		answer(s, "554 5.7.1 A content scanner wants this held back");
	else
		conn_work(s->c);
}

/* ---- slices ---- */

static void
copy_some(struct inspection *i)
{
	struct smtp *s = i->s;
	enum res r = amend_work(i);

	if (r == R_AGAIN) {
		conn_work(s->c);
	} else if (r == R_OK) {
		letter_move(&s->letter, &i->letter);
		answer(s, smtp_quota(&s->letter.to, s->size) ? "452 4.2.2 Mailbox full" : NULL);
	} else {
		answer(s, smtp_disk(i->letter.full));
	}
}

void
inspect_work(struct smtp *s)
{
	struct inspection *i = s->inspection;

	switch (i->work) {
	case I_READ:
		read_some(i);
		break;
	case I_COPY:
		copy_some(i);
		break;
	case I_WAIT:
		break;
	}
}

/* ---- the beginning ---- */

static struct inspection *
free_one(void)
{
	int k;

	for (k = 0; k < INSPECTED; k++)
		if (!inspections[k].s)
			return &inspections[k];
	return NULL;
}

/* Who waits longest for the DNS goes on without: nobody keeps all others out by slow answers. */
static void
hurry(void)
{
	struct inspection *i, *first = NULL;
	int k;

	for (k = 0; k < INSPECTED; k++) {
		i = &inspections[k];
		if (i->s && !i->hurry && i->s->visit.pending && i->scan.arg == NULL &&
		    (!first || i->s->visit.until < first->s->visit.until))
			first = i;
	}
	if (!first)
		return;
	first->hurry = 1;
	if (first->s->visit.until > loop_now + HURRY_MS)
		first->s->visit.until = loop_now + HURRY_MS;
}

/* With memory for it. */
static void
begin(struct smtp *s, struct inspection *i)
{
	long n = header_size(&s->letter);

	memset(i, 0, offsetof(struct inspection, edits));
	i->body.fd = i->letter.fd = -1;
	i->s = s;
	s->inspection = i;
	if (n < 0) {
		answer(s, n == -1 ? "552 5.3.4 The header is too large" :
		    smtp_disk(s->letter.full));
		return;
	}
	i->header = (size_t)n;
	if (!s->visit.stranger) {
		next_scanner(s);
		return;
	}
	if (read_header(i) < 0) {
		answer(s, smtp_disk(s->letter.full));
		return;
	}
	mime_init(&i->mime, attachment, i);
	i->work = I_READ;
	conn_work(s->c);
}

/* All memory is in use: wait a little, but not for ever. */
static void
again(struct smtp *s)
{
	struct inspection *i = free_one();

	s->visit.pending = 0;
	if (i)
		begin(s, i);
	else if (loop_now >= s->until)
		smtp_answer(s, "451 4.3.2 Too busy, try again later");
	else
		guard_later(s, BUSY_MS, BUSY_MS, again);
	if (!i)
		hurry();
}

void
inspect_start(struct smtp *s)
{
	s->until = loop_now + guard_wait;
	again(s);
}
