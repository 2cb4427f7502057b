/* See LICENSE file for copyright and licence details. */
/*
 * The envelope in SMTP sessions: MAIL and RCPT with their parameters (RFC 1870, 3461, 4954, 6152,
 * 6531), and who may send as whom and to whom:
 *
 *	a login			as what leads to it	to anywhere
 *	a trusted network	as trusted[] says	to anywhere
 *	this machine (LOCAL)	as anybody		to anywhere
 *	anybody else		as anybody		to our domains and relay_domains[]
 *
 * One more thing is taken from anybody: bounces of mail that an alias has forwarded (lib/srs.h).
 * What is accepted goes into the lines of a queue file (store.c, relay.h).
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "lib/log.h"
#include "lib/srs.h"
#include "lib/text.h"
#include "relay.h"
#include "smtp.h"

enum {
	P_SIZE = 1, P_BODY = 2, P_AUTH = 4, P_UTF8 = 8, P_RET = 16, P_ENVID = 32,
	P_NOTIFY = 64, P_ORCPT = 128,
	P_MAIL = 63, P_RCPT = P_NOTIFY | P_ORCPT
};

enum { N_NEVER = 1, N_SUCCESS = 2, N_FAILURE = 4, N_DELAY = 8 };

struct params {
	int seen;		/* P_ bits */
	uint64_t size;
	int eight;		/* BODY=8BITMIME */
	int full;		/* RET=FULL */
	int notify;		/* N_ bits */
	const char *envid, *orcpt;
	size_t nenvid, norcpt;
};

/* Parameters as they stand in a line of a queue file. */
struct line {
	size_t n;
	int over;		/* they are too long */
	char b[OUT_LINE - ADDR_TEXT - 8];
};

static const char too_many[] = "452 4.5.3 Too many recipients";
static const char nobody[] = "550 5.1.1 No such user here";

/* ---- parameters as they are sent ---- */

/* RFC 3461 4: "+" begins two capital hexadecimal digits; or, if allowed, UTF-8 (RFC 6533 3). */
static int
xtext(const char *p, size_t n, size_t most, int allow)
{
	size_t i, len;
	int hex = 0;

	for (i = 0; i < n; i += len) {
		len = allow & ADDR_UTF8 && !hex ? addr_utf8(p + i, n - i) : 0;
		if (len)
			continue;
		len = 1;
		if (hex && !memchr("0123456789ABCDEF", p[i], 16))
			return 0;
		if (!hex && (p[i] < 0x21 || p[i] > 0x7e || p[i] == '='))
			return 0;
		hex = hex ? hex - 1 : p[i] == '+' ? 2 : 0;
	}
	return n >= 1 && n <= most && !hex;
}

static int
take_size(struct params *m, const char *v, size_t n)
{
	return n > 20 ? -1 : text_u64(v, n, &m->size);
}

static int
take_body(struct params *m, const char *v, size_t n)
{
	m->eight = text_is(v, n, "8BITMIME");
	return m->eight || text_is(v, n, "7BIT") ? 0 : -1;
}

/* RFC 4954 5; nobody here is trusted with that. */
static int
take_auth(struct params *m, const char *v, size_t n)
{
	(void)m;
	return text_is(v, n, "<>") || xtext(v, n, 500, 0) ? 0 : -1;
}

static int
take_ret(struct params *m, const char *v, size_t n)
{
	m->full = text_is(v, n, "FULL");
	return m->full || text_is(v, n, "HDRS") ? 0 : -1;
}

static int
take_envid(struct params *m, const char *v, size_t n)
{
	m->envid = v;
	m->nenvid = n;
	return xtext(v, n, 100, 0) ? 0 : -1;
}

/* "NEVER", or one or more of the others. */
static int
take_notify(struct params *m, const char *v, size_t n)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	const char *end = v + n, *e;
	size_t i;

	for (;; v = e + 1) {
		e = memchr(v, ',', (size_t)(end - v));
		e = e ? e : end;
		for (i = 0; i < 4 && !text_is(v, (size_t)(e - v), words[i]); i++)
			;
		if (i == 4)
			return -1;
		m->notify |= 1 << i;
		if (e == end)
			break;
	}
	return m->notify & N_NEVER && m->notify != N_NEVER ? -1 : 0;
}

/* An address type, ";", and the address as xtext. */
static int
take_orcpt(struct params *m, const char *v, size_t n)
{
	size_t k;

	m->orcpt = v;
	m->norcpt = n;
	for (k = 0; k < n && (text_alnum((unsigned char)v[k]) || v[k] == '-'); k++)
		;
	if (!k || k == n || v[k] != ';' || n > 500)
		return -1;
	return xtext(v + k + 1, n - k - 1, 500, text_is(v, k, "utf-8") ? ADDR_UTF8 : 0) ? 0 : -1;
}

static const struct key {
	const char *name;
	int bit;
	int (*take)(struct params *m, const char *v, size_t n);	/* NULL: it has no value */
	const char *error;
} keys[] = {
	{ "SIZE",     P_SIZE,   take_size,   "501 5.5.4 Bad SIZE" },
	{ "BODY",     P_BODY,   take_body,   "501 5.5.4 Bad BODY" },
	{ "AUTH",     P_AUTH,   take_auth,   "501 5.5.4 Bad AUTH" },
	{ "SMTPUTF8", P_UTF8,   NULL,        NULL },
	{ "RET",      P_RET,    take_ret,    "501 5.5.4 Bad RET" },
	{ "ENVID",    P_ENVID,  take_envid,  "501 5.5.4 Bad ENVID" },
	{ "NOTIFY",   P_NOTIFY, take_notify, "501 5.5.4 Bad NOTIFY" },
	{ "ORCPT",    P_ORCPT,  take_orcpt,  "501 5.5.4 Bad ORCPT" },
};

static const char *
param(struct params *m, int allowed, const char *p, size_t n)
{
	const char *v = memchr(p, '=', n);
	size_t i, nk = v ? (size_t)(v - p) : n;
	const struct key *k;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].bit & allowed && text_is(p, nk, keys[i].name))
			break;
	if (i == sizeof(keys) / sizeof(keys[0]))
		return "555 5.5.4 Unknown parameter";
	k = &keys[i];
	if (m->seen & k->bit || !v != !k->take)
		return "501 5.5.4 Syntax error in parameter";
	m->seen |= k->bit;
	return k->take && k->take(m, v + 1, n - nk - 1) < 0 ? k->error : NULL;
}

/* The parameters behind a path, each after a space. */
static const char *
params(struct params *m, int allowed, const char *p, size_t n)
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
		if (k && (error = param(m, allowed, p, k)))
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
	len = addr_path(a, *p + k, *n - k, allow | ADDR_UTF8);
	if (len < 0)
		return -1;
	*p += k + (size_t)len;
	*n -= k + (size_t)len;
	return 0;
}

/* ---- parameters as they are kept ---- */

/*
 * A word more: the key and a value, which becomes xtext if it is to be escaped. A '>' is escaped in
 * any case: the last one in a line is where the address ends.
 */
static void
put(struct line *l, const char *key, const char *v, size_t n, int escaped)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i, k = strlen(key);
	char ch;

	l->over |= l->n + k + 5 > sizeof(l->b);
	if (l->over)
		return;
	if (l->n)
		l->b[l->n++] = ' ';
	memcpy(l->b + l->n, key, k);
	l->n += k;
	for (i = 0; i < n; i++) {
		l->over |= l->n + 4 > sizeof(l->b);
		if (l->over)
			break;
		ch = v[i];
		if (ch == '>' || (escaped && (ch < 0x21 || ch > 0x7e || ch == '+' || ch == '='))) {
			l->b[l->n++] = '+';
			l->b[l->n++] = hex[(unsigned char)ch >> 4];
			ch = hex[ch & 15];
		}
		l->b[l->n++] = ch;
	}
	l->b[l->n] = '\0';
}

static void
put_word(struct line *l, const char *key, const char *v)
{
	put(l, key, v, strlen(v), 0);
}

static void
start(struct line *l)
{
	l->n = 0;
	l->over = 0;
	l->b[0] = '\0';
}

static void
put_sender(struct line *l, const struct smtp *s, const struct params *m)
{
	char ip[IP_TEXT], by[IP_TEXT + 8];

	start(l);
	if (m->eight)
		put_word(l, "BODY=8BITMIME", "");
	if (m->seen & P_UTF8)
		put_word(l, "SMTPUTF8", "");
	if (m->seen & P_RET)
		put_word(l, "RET=", m->full ? "FULL" : "HDRS");
	if (m->seen & P_ENVID)
		put(l, "ENVID=", m->envid, m->nenvid, 0);
	if (!smtp_ours(s))
		return;
	(void)snprintf(by, sizeof(by), "[%s%s]", ip_is4(&s->c->peer) ? "" : "IPv6:",
	    ip_text(ip, &s->c->peer));
	put_word(l, "BY=", s->user >= 0 ? user_at(s->user)->name : s->trusted >= 0 ? by : "local");
}

static void
put_rcpt(struct line *l, const struct params *m)
{
	static const char *const lists[] = {
		"", "SUCCESS", "FAILURE", "SUCCESS,FAILURE", "DELAY", "SUCCESS,DELAY",
		"FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"
	};

	start(l);
	if (m->seen & P_NOTIFY)
		put_word(l, "NOTIFY=", m->notify & N_NEVER ? "NEVER" : lists[m->notify >> 1]);
	if (m->seen & P_ORCPT)
		put(l, "ORCPT=", m->orcpt, m->norcpt, 0);
}

/* ---- MAIL ---- */

void
smtp_forget(struct smtp *s)
{
	s->nrcpt = s->nout = s->nforward = s->nalias = 0;
	s->utf8 = s->looped = 0;
	s->sender[0] = s->rcpt[0] = '\0';
}

/* May this session use this sender? The reply if not. */
static const char *
sender_error(const struct smtp *s, const struct addr *a)
{
	enum protocol p = conn_listener(s->c)->protocol;

	if ((p == SUBMISSION || p == TRUSTED) && !smtp_ours(s))
		return "530 5.7.0 Authentication required";
	if (s->user >= 0 && a->nmailbox && !send_as_anyone && !user_may_send(s->user, a))
		return "553 5.7.1 You may not send as this address";
	return NULL;
}

static const char *
mail_error(struct smtp *s, struct addr *a, struct params *m, const char *p, size_t n)
{
	const char *error = params(m, P_MAIL, p, n);

	if (error)
		return error;
	if (!(m->seen & P_UTF8) && !addr_ascii(a->mailbox, a->nmailbox))
		return "553 5.6.7 Such an address needs SMTPUTF8";
	error = sender_error(s, a);
	if (!error && m->size > message_max)
		error = "552 5.3.4 Message too large";
	if (s->user < 0 && s->trusted >= 0 && trusted[s->trusted].sender[0]) {
		a->mailbox = trusted[s->trusted].sender;
		a->nmailbox = strlen(a->mailbox);
	}
	return error;
}

void
smtp_mail(struct smtp *s, const char *p, size_t n)
{
	const char *all = p, *error;
	size_t nall = n;
	struct params m;
	struct line line;
	struct addr a;

	if (path(&a, "FROM:", &p, &n, ADDR_NULL) < 0)
		error = "501 5.1.7 Bad sender address";
	else
		error = mail_error(s, &a, &m, p, n);
	if (error) {
		smtp_reject(s, error, all, nall);
		return;
	}
	if (store_room(m.size) != R_OK) {
		smtp_reply(s, smtp_disk(!store_broken()));
		return;
	}
	put_sender(&line, s, &m);
	if (letter_begin(&s->letter, conn_slot(s->c), a.mailbox, a.nmailbox, line.b) != R_OK) {
		letter_abort(&s->letter);
		smtp_reply(s, smtp_disk(s->letter.full));
		return;
	}
	(void)text_copy(s->sender, sizeof(s->sender), a.mailbox, a.nmailbox);
	s->size = m.size;
	error = guard_mail(s);
	if (error) {
		letter_abort(&s->letter);
		smtp_forget(s);
		smtp_reject(s, error, all, nall);
		return;
	}
	s->utf8 = (m.seen & P_UTF8) != 0;
	s->state = S_MAIL;
	smtp_reply(s, "250 2.1.0 Ok");
}

/* ---- RCPT ---- */

int
smtp_quota(const struct user_set *to, uint64_t size)
{
	int i;

	if (!quota)
		return 0;
	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(to, i) && box_size(i) + size >= quota)
			return 1;
	return 0;
}

/* One more recipient for somebody who may have only so many: NULL, or the reply. */
static const char *
spend(const struct smtp *s)
{
	if ((s->user >= 0 || s->trusted >= 0) && guard_spend(s->user, &s->c->peer) < 0)
		return "450 4.7.1 Too many recipients in an hour, try again later";
	return NULL;
}

/* The reply when a recipient did not get into the letter; NULL: it did. */
static const char *
written(const struct smtp *s, enum res r)
{
	return r == R_OK ? NULL : r == R_PERM ? too_many : smtp_disk(s->letter.full);
}

/* For another server. Whether it may is known. */
static const char *
out(struct smtp *s, const struct addr *a, const struct params *m)
{
	const char *error;
	struct line line;

	if (s->nout >= RECIPIENTS)
		return too_many;
	put_rcpt(&line, m);
	if (line.over)
		return "501 5.5.4 Parameters too long";
	error = spend(s);
	if (!error)
		error = written(s, letter_out(&s->letter, a->mailbox, a->nmailbox, line.b));
	s->nout += !error;
	return error;
}

/* Only those that the letter does not go to already. */
static void
new_only(const struct smtp *s, struct forwards *f)
{
	int i, k, n = 0;

	for (i = 0; i < f->n; i++) {
		for (k = 0; k < s->nforward && s->forward[k] != f->to[i].id; k++)
			;
		if (k == s->nforward)
			f->to[n++] = f->to[i];
	}
	f->n = n;
}

/* The address that leads elsewhere, with a domain. */
static size_t
alias_text(char dst[ADDR_TEXT + HOST_TEXT], const struct addr *a)
{
	return (size_t)snprintf(dst, ADDR_TEXT + HOST_TEXT, "%.*s%s%s", (int)a->nmailbox,
	    a->mailbox, a->ndomain ? "" : "@", a->ndomain ? "" : host);
}

/*
 * The outside addresses an alias leads to. Each goes out with the alias in the header
 * (Delivered-To), and a letter that comes back with it has gone round in a circle.
 */
static enum res
send_on(struct smtp *s, const struct forwards *f, const char *alias, size_t n, const char *line)
{
	enum res r = R_OK;
	int i;

	for (i = 0; i < f->n && r == R_OK; i++) {
		r = letter_out(&s->letter, f->to[i].p, f->to[i].n, line);
		s->forward[s->nforward++] = (unsigned short)f->to[i].id;
		s->nout++;
	}
	if (r == R_OK)
		s->alias[s->nalias++] = header_hash(alias, n);
	return r;
}

/* Will all their lines fit into the envelope? If not, none is written, and the client comes
 * again. */
static int
fits(const struct smtp *s, const struct addr *a, const struct user_set *to,
    const struct forwards *f, size_t nline)
{
	size_t n = 0;
	int i;

	for (i = 0; i < ACCOUNTS; i++)
		if (user_in(to, i) && !user_in(&s->letter.to, i))
			n += a->nmailbox + NAME_TEXT + 8;
	for (i = 0; i < f->n; i++)
		n += f->to[i].n + nline + 8;
	return s->nout + f->n <= RECIPIENTS &&
	    (size_t)s->letter.size + n + ENVELOPE_SPARE <= ENVELOPE_MAX;
}

/* One of ours: accounts, outside addresses, or both. */
static const char *
ours(struct smtp *s, const struct addr *a, const struct params *m, const struct user_set *to,
    struct forwards *f)
{
	char alias[ADDR_TEXT + HOST_TEXT];
	size_t n = alias_text(alias, a);
	int leaves = f->n > 0;
	const char *error;
	struct line line;
	enum res r;

	put_rcpt(&line, m);
	if (leaves)
		put(&line, "FORWARD=", alias, n, 1);
	else if (m->notify & N_SUCCESS)
		put_word(&line, "HERE", "");
	if (line.over)
		return "501 5.5.4 Parameters too long";
	new_only(s, f);
	if (!fits(s, a, to, f, line.n))
		return too_many;
	if (smtp_quota(to, s->size))
		return "452 4.2.2 Mailbox full";
	error = spend(s);
	if (error)
		return error;
	r = letter_rcpt(&s->letter, a->mailbox, a->nmailbox, to);
	if (r == R_OK && leaves)
		r = send_on(s, f, alias, n, line.b);
	else if (r == R_OK && m->notify & N_SUCCESS)	/* the relay tells the sender */
		r = letter_out(&s->letter, a->mailbox, a->nmailbox, line.b);
	return written(s, r);
}

/* To where it lives; `may` it go to other servers? */
static const char *
take_to(struct smtp *s, const struct addr *a, const struct params *m, int may, enum where w,
    const struct user_set *to, struct forwards *f)
{
	const char *error;

	switch (w) {
	case W_LOCAL:
		error = guard_grey(s, a);
		return error ? error : ours(s, a, m, to, f);
	case W_REMOTE:
		error = may ? guard_grey(s, a) : "550 5.7.1 Relaying denied";
		return error ? error : out(s, a, m);
	case W_LATER:
		return "451 4.3.0 Accounts cannot be read now";
	case W_UNKNOWN:
		guard_wrong(s);
		break;
	}
	return nobody;
}

static const char *
take(struct smtp *s, const struct addr *a, const struct params *m, int may)
{
	struct user_set to;
	struct forwards f;
	enum where w = user_resolve(&to, &f, a);

	return take_to(s, a, m, may, w, &to, &f);
}

/* A rewritten sender is written to: only a report may be, and it goes where mail had come from. */
static const char *
back(struct smtp *s, const struct addr *a, const struct params *m)
{
	char dst[ADDR_TEXT + 1];
	struct addr b;

	if (s->sender[0] || forward_reverse(a->local, a->nlocal, dst) < 0 ||
	    addr_mailbox8(&b, dst, strlen(dst)) < 0)
		return nobody;
	return take(s, &b, m, 1);
}

/* As it was written. */
static const char *
take_own(struct smtp *s, const struct addr *a, const struct params *m)
{
	if (user_owns(a->domain, a->ndomain) && srs_is(a->local, a->nlocal))
		return back(s, a, m);
	return take(s, a, m, smtp_ours(s) || user_relays(a->domain, a->ndomain));
}

/* Does the letter go to where a rule says already, by this one or another? */
static int
goes_there(const struct visit *v, const struct rule *r)
{
	int i;

	for (i = 0; i < RULES; i++)
		if (v->there[i] && !strcmp(rules[i].arg, r->arg))
			return 1;
	return 0;
}

/* To where a rule of config.h says: an address, or a local part of ours. What leaves us has been
 * forwarded for the recipient. */
static const char *
elsewhere(struct smtp *s, const struct addr *a, const struct params *m, const struct rule *r)
{
	char alias[ADDR_TEXT + HOST_TEXT];
	size_t n = alias_text(alias, a);
	struct user_set set;
	struct forwards f;
	const char *error;
	struct addr there;
	struct line line;
	enum where w = user_meant(&set, &f, &there, r->arg);

	if (w == W_UNKNOWN)
		return nobody;		/* the owner's mistake, not the client's */
	if (w != W_REMOTE)
		return take_to(s, &there, m, 1, w, &set, &f);
	put_rcpt(&line, m);
	put(&line, "FORWARD=", alias, n, 1);
	if (line.over)
		return "501 5.5.4 Parameters too long";
	if (s->nout >= RECIPIENTS || s->nalias >= RECIPIENTS)
		return too_many;
	if (goes_there(&s->visit, r))
		return NULL;
	error = written(s, letter_out(&s->letter, there.mailbox, there.nmailbox, line.b));
	if (error)
		return error;
	s->nout++;
	s->alias[s->nalias++] = header_hash(alias, n);
	s->visit.there[rule_row(r)] = 1;
	return NULL;
}

/* A recipient of its own rule. */
static const char *
by_rule(struct smtp *s, const struct addr *a, const struct params *m, const struct rule *r)
{
	const char *error;

	if (r->deed == DO_DISCARD)
		return NULL;
	if (r->deed == DO_REDIRECT || r->deed == DO_MAILBOX)
		return elsewhere(s, a, m, r);
	error = take_own(s, a, m);
	if (error)
		return error;
	if (r->deed == DO_ACCEPT)
		s->visit.accepted++;
	else if (r->deed == DO_MARK)
		s->visit.mark = 1;
	else if (r->deed == DO_COPY)
		error = elsewhere(s, a, m, r);
	if (error)	/* the letter itself is taken */
		log_event(s->sid, "rule copy=\"%s\" error=\"%s\"", r->arg, error);
	return NULL;
}

static const char *
rcpt_error(struct smtp *s, const struct addr *a, const struct params *m)
{
	const struct rule *rule;
	const char *error;

	if (!s->utf8 && !addr_ascii(a->mailbox, a->nmailbox))
		return "553 5.6.7 Such an address needs SMTPUTF8";
	if (!s->utf8 && m->orcpt && !addr_ascii(m->orcpt, m->norcpt))
		return "501 5.5.4 Bad ORCPT";
	if (s->nrcpt >= RECIPIENTS)
		return too_many;
	error = guard_rcpt(s, a, &rule);
	if (error)
		return error;
	return rule ? by_rule(s, a, m, rule) : take_own(s, a, m);
}

void
smtp_rcpt(struct smtp *s, const char *p, size_t n)
{
	const char *all = p, *error;
	size_t nall = n;
	struct params m;
	struct addr a;

	if (path(&a, "TO:", &p, &n, ADDR_BARE) < 0)
		error = "501 5.1.3 Bad recipient address";
	else
		error = params(&m, P_RCPT, p, n);
	if (!error)
		error = rcpt_error(s, &a, &m);
	if (error) {
		smtp_reject(s, error, all, nall);
		return;
	}
	if (!s->nrcpt++)
		(void)text_copy(s->rcpt, sizeof(s->rcpt), a.mailbox, a.nmailbox);
	s->state = S_RCPT;
	smtp_reply(s, "250 2.1.5 Ok");
}

void
smtp_delivered(void *arg, uint32_t hash)
{
	struct smtp *s = arg;
	int i;

	for (i = 0; i < s->nalias; i++)
		s->looped |= s->alias[i] == hash;
}
