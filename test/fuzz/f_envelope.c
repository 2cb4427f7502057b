/* with: out.c lib/addr.c lib/fs.c lib/header.c lib/ip.c lib/srs.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Arguments of MAIL (the first line) and RCPT (the others). What is taken has the parameters that a
 * plain reading allows, and what is refused has not; the lines of the queue file are read back
 * (out.c) with the same address and the same values.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "envelope.c"
#include "store.h"
#include "test/unit/t_welcome.h"

enum { MOST = 1 << 13, MOST_WORDS = 64 };

/* What the last line of the queue file says, and the last reply. */
static struct out_line line;
static int file = -1, lines, replies, locals;
static char reply[4];
static const struct listener listener = { "::", 25, TLS_START, SMTP, 0 };
char host[HOST_TEXT] = "mx.example.org";

/* ---- what the others do ---- */

static void
take_line(char state, const char *p, size_t n, const char *params)
{
	static char text[2 * OUT_LINE];
	size_t len;

	len = (size_t)snprintf(text, sizeof(text), "%c<%.*s>%s%s\n", state, (int)n, p,
	    *params ? " " : "", params);
	HOLDS(len <= OUT_LINE && len <= ENVELOPE_SPARE);
	if (file < 0)
		file = memfd_create("line", 0);
	HOLDS(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, text, len, 0) == (ssize_t)len);
	HOLDS(out_line(file, 0, &line) == (long)len);
	HOLDS(line.state == state && strlen(line.mailbox) == n);
	HOLDS(!n || !memcmp(line.mailbox, p, n));
	HOLDS(!strcmp(line.params, params));
	lines++;
}

enum res
letter_begin(struct letter *l, int slot, const char *sender, size_t n, const char *params)
{
	memset(l, 0, sizeof(*l));
	HOLDS(slot == 0);
	take_line('F', sender, n, params);
	return R_OK;
}

enum res
letter_out(struct letter *l, const char *rcpt, size_t n, const char *params)
{
	HOLDS(!*params || out_remote(&(struct out_line){ .state = 'T', .params = params }));
	l->out = 1;
	take_line('T', rcpt, n, params);
	return R_OK;
}

enum res
letter_rcpt(struct letter *l, const char *rcpt, size_t n, const struct user_set *to)
{
	HOLDS(l && rcpt && n && to);
	locals++;
	return R_OK;
}

void
letter_abort(struct letter *l)
{
	HOLDS(!l);
}

void
smtp_greet(struct smtp *s)
{
	HOLDS(!s);
}

/* Only where a rule says. */
enum where
user_meant(struct user_set *to, struct forwards *out, struct addr *a, const char *text)
{
	HOLDS(to && out && a && !text);
	return W_UNKNOWN;
}

void
smtp_reply(struct smtp *s, const char *text)
{
	HOLDS(s && strlen(text) > 4 && text[3] == ' ');
	memcpy(reply, text, 3);
	replies++;
}

void
smtp_reject(struct smtp *s, const char *text, const char *arg, size_t n)
{
	HOLDS(arg || !n);
	HOLDS(*text == '4' || *text == '5');
	smtp_reply(s, text);
}

const char *
smtp_disk(int full)
{
	HOLDS(full != full);
	return NULL;
}

int
smtp_ours(const struct smtp *s)
{
	return s->user >= 0;
}

enum res
store_room(uint64_t size)
{
	HOLDS(size <= message_max);
	return R_OK;
}

int
store_broken(void)
{
	return 0;
}

void
log_event(const char *id, const char *fmt, ...)
{
	HOLDS(id && fmt && !"an event");
}

void
store_trouble(const char *what)
{
	HOLDS(!what);
}

void
store_break(const char *what)
{
	HOLDS(!what);
}

int
store_mark(const char *id, const void *p, size_t n)
{
	HOLDS(!id && !p && n);
	return -1;
}

const struct user *
user_at(int slot)
{
	static const struct user alice = { .name = "alice" };

	HOLDS(slot == 0);
	return &alice;
}

int
user_in(const struct user_set *set, int slot)
{
	return set->bit[slot / 8] >> slot % 8 & 1;
}

int
user_may_send(int slot, const struct addr *a)
{
	HOLDS(slot == 0 && a->nmailbox);
	return 1;
}

int
user_owns(const char *domain, size_t n)
{
	return !n || text_is(domain, n, "o");
}

int
user_relays(const char *domain, size_t n)
{
	return text_is(domain, n, "r");
}

/* Those of domain "o", by their first letter: an account, two others, both, nobody. */
enum where
user_resolve(struct user_set *to, struct forwards *out, const struct addr *a)
{
	memset(to, 0, sizeof(*to));
	memset(out, 0, sizeof(*out));
	if (!user_owns(a->domain, a->ndomain))
		return W_REMOTE;
	if (strchr("xyz", *a->local))
		return *a->local == 'x' ? W_UNKNOWN : W_LATER;
	to->bit[0] = *a->local != 'f';
	if (strchr("fb", *a->local)) {
		out->to[0].p = "one@far.example";
		out->to[1].p = "\"t > o\"@far.example";
		out->to[0].n = strlen(out->to[0].p);
		out->to[1].n = strlen(out->to[1].p);
		out->to[1].id = 1;
		out->n = 2;
	}
	return W_LOCAL;
}

uint64_t
box_size(int user)
{
	HOLDS(user >= 0);
	return 0;
}

int
guard_spend(int user, const struct ip *peer)
{
	HOLDS(user >= 0 && peer);
	return 0;
}

int
forward_reverse(const char *local, size_t n, char dst[ADDR_TEXT + 1])
{
	HOLDS(srs_is(local, n));
	(void)snprintf(dst, ADDR_TEXT + 1, "%s", n & 1 ? "back@far.example" : "f@o");
	return n % 3 ? 0 : -1;
}

const struct listener *
conn_listener(const struct conn *c)
{
	HOLDS(c);
	return &listener;
}

int
conn_slot(const struct conn *c)
{
	HOLDS(c);
	return 0;
}

/* ---- a plain reading ---- */

struct word {
	const char *p;			/* "KEY=VALUE" or "KEY" */
	size_t n, key;			/* with the '=' if there is one */
};

static struct word words[MOST_WORDS];
static int nwords;

/* The words behind the path; -1: not of that form. */
static int
split(const char *p, size_t n)
{
	const char *end = p + n, *eq;
	struct word *w;

	nwords = 0;
	if (n && *p != ' ')
		return -1;
	while (p < end && nwords < MOST_WORDS) {
		for (; p < end && *p == ' '; p++)
			;
		w = &words[nwords];
		for (w->p = p; p < end && *p != ' '; p++)
			;
		w->n = (size_t)(p - w->p);
		eq = memchr(w->p, '=', w->n);
		w->key = eq ? (size_t)(eq + 1 - w->p) : w->n;
		nwords += w->n > 0;
	}
	return 0;
}

static const struct word *
find(const char *key)
{
	int i;

	for (i = 0; i < nwords && !text_is(words[i].p, words[i].key, key); i++)
		;
	return i < nwords ? &words[i] : NULL;
}

static int
is_xtext(const char *p, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] <= ' ' || p[i] > '~' || p[i] == '=')
			return 0;
		if (p[i] == '+' && (i + 2 >= n || !memchr(hex, p[i + 1], 16) ||
		    !memchr(hex, p[i + 2], 16)))
			return 0;
	}
	return n > 0;
}

/* Its value is one of these, "a b c". */
static int
among(const char *p, size_t n, const char *list)
{
	size_t k;

	for (; *list; list += k + (list[k] == ' ')) {
		k = strcspn(list, " ");
		if (text_ieq(p, n, list, k))
			return 1;
	}
	return 0;
}

/* Bits: NEVER 1, SUCCESS 2, FAILURE 4, DELAY 8; -1. */
static int
notify(const char *p, size_t n)
{
	static const char *const each[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	const char *end = p + n, *e;
	int bits = 0, i;

	for (e = p; e < end || p <= end; p = e + 1) {
		for (e = p; e < end && *e != ','; e++)
			;
		for (i = 0; i < 4 && !text_is(p, (size_t)(e - p), each[i]); i++)
			;
		if (i == 4)
			return -1;
		bits |= 1 << i;
		if (e == end)
			break;
	}
	return bits & 1 && bits != 1 ? -1 : bits;
}

static int
type_of(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && (text_alnum((unsigned char)p[i]) || p[i] == '-'); i++)
		;
	return i && i < n && p[i] == ';' ? (int)i : -1;
}

/* 1, 0; -1: it depends (UTF-8, sizes). */
static int
good(const struct word *w, int mail)
{
	const char *v = w->p + w->key;
	size_t k = w->key, n = w->n - w->key;
	uint64_t size;
	int i;

	if (mail && text_is(w->p, k, "SIZE="))
		return n > 20 || text_u64(v, n, &size) < 0 ? 0 : size <= message_max ? 1 : -1;
	if (mail && text_is(w->p, k, "BODY="))
		return among(v, n, "7BIT 8BITMIME");
	if (mail && text_is(w->p, k, "AUTH="))
		return text_is(v, n, "<>") || (n <= 500 && is_xtext(v, n));
	if (mail && text_is(w->p, k, "SMTPUTF8"))
		return 1;
	if (mail && text_is(w->p, k, "RET="))
		return among(v, n, "FULL HDRS");
	if (mail && text_is(w->p, k, "ENVID="))
		return n <= 100 && is_xtext(v, n);
	if (!mail && text_is(w->p, k, "NOTIFY="))
		return notify(v, n) > 0;
	if (mail || !text_is(w->p, k, "ORCPT="))
		return 0;
	i = type_of(v, n);
	if (i < 0 || n > 500)
		return 0;
	return text_is(v, (size_t)i, "utf-8") && !addr_ascii(v, n) ? -1 :
	    is_xtext(v + i + 1, n - (size_t)i - 1);
}

/* The same of all words. */
static int
all_good(int mail)
{
	int i, k, r, sure = 1;

	for (i = 0; i < nwords; i++) {
		r = good(&words[i], mail);
		for (k = 0; k < i; k++)
			if (text_ieq(words[i].p, words[i].key, words[k].p, words[k].key))
				r = 0;
		if (!r)
			return 0;
		sure &= r > 0;
	}
	return sure ? 1 : -1;
}

/* ---- */

/* The value in the line is that of the word, with each '>' as "+3E". */
static void
kept(const char *key, const struct word *w)
{
	const char *p, *v = w ? w->p + w->key : NULL, *e = w ? w->p + w->n : NULL;
	size_t n;

	p = out_param(&line, key, &n);
	HOLDS(!p == !w);
	for (; w && v < e; v++) {
		if (*v == '>') {
			HOLDS(n >= 3 && !memcmp(p, "+3E", 3));
			p += 3;
			n -= 3;
		} else {
			HOLDS(n && *p == *v);
			p++;
			n--;
		}
	}
	HOLDS(!w || !n);
}

/* NOTIFY in the line has these bits. */
static void
kept_notify(const struct word *w)
{
	const char *p;
	size_t n;

	p = out_param(&line, "NOTIFY", &n);
	HOLDS(!p == !w);
	HOLDS(!w || notify(p, n) == notify(w->p + w->key, w->n - w->key));
}

static void
mail(struct smtp *s, const char *p, size_t n)
{
	const struct word *w;
	struct addr a;
	size_t k, skip = 5;
	int eight, r;
	long len;

	lines = replies = 0;
	smtp_mail(s, p, n);
	HOLDS(replies == 1 && lines == (*reply == '2') && (s->state == S_MAIL) == lines);
	for (; skip < n && p[skip] == ' '; skip++)
		;
	len = text_begins(p, n, "FROM:") ?
	    addr_path(&a, p + skip, n - skip, ADDR_NULL | ADDR_UTF8) : -1;
	if (len < 0 || split(p + skip + len, n - skip - (size_t)len) < 0) {
		HOLDS(!lines);
		return;
	}
	r = all_good(1);
	HOLDS(r || !lines);
	if (!lines) {
		HOLDS(r < 1 || (!find("SMTPUTF8") && !addr_ascii(a.mailbox, a.nmailbox)));
		return;
	}
	HOLDS(!strcmp(line.mailbox, s->sender) && a.nmailbox == strlen(s->sender));
	HOLDS(s->utf8 == !!find("SMTPUTF8") && s->utf8 == !!out_param(&line, "SMTPUTF8", &k));
	w = find("BODY=");
	eight = w && text_is(w->p + w->key, w->n - w->key, "8BITMIME");
	HOLDS(eight == !!out_param(&line, "BODY", &k));
	w = find("RET=");
	HOLDS(!w == !out_param(&line, "RET", &k));
	kept("ENVID", find("ENVID="));
	HOLDS(!!out_param(&line, "BY", &k) == (s->user >= 0));
}

static void
rcpt(struct smtp *s, const char *p, size_t n)
{
	const struct word *w;
	size_t k, skip = 3;
	struct addr a;
	long len;
	int r, was = s->nrcpt;

	lines = replies = locals = 0;
	smtp_rcpt(s, p, n);
	HOLDS(replies == 1 && s->nrcpt == was + (*reply == '2'));
	HOLDS(*reply == '2' ? lines + locals > 0 : lines + locals == 0);
	HOLDS(s->nrcpt <= RECIPIENTS && s->nout <= RECIPIENTS);
	for (; skip < n && p[skip] == ' '; skip++)
		;
	len = text_begins(p, n, "TO:") ?
	    addr_path(&a, p + skip, n - skip, ADDR_BARE | ADDR_UTF8) : -1;
	if (len < 0 || split(p + skip + len, n - skip - (size_t)len) < 0) {
		HOLDS(*reply == '5');
		return;
	}
	r = all_good(0);
	HOLDS(r || *reply == '5');
	if (!lines) {
		/* a plain one goes to anywhere */
		HOLDS(r < 1 || s->user < 0 || was == RECIPIENTS || s->nout >= RECIPIENTS - 1 ||
		    user_owns(a.domain, a.ndomain) || !addr_ascii(a.mailbox, a.nmailbox));
		return;
	}
	HOLDS(s->user >= 0 || user_owns(a.domain, a.ndomain) || user_relays(a.domain, a.ndomain));
	w = find("ORCPT=");
	HOLDS(!w || s->utf8 || addr_ascii(w->p, w->n));
	kept("ORCPT", w);
	kept_notify(find("NOTIFY="));
	HOLDS(!out_param(&line, "HERE", &k) || (locals && lines == 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct smtp s;
	static struct conn c;
	uint32_t seed = fuzz_seed(&data, &size);
	const char *p = (const char *)data, *end = p + size, *e;
	int i;

	if (!size || size > MOST)
		return 0;
	memset(&s, 0, sizeof(s));
	s.c = &c;
	s.user = seed & 1 ? 0 : -1;
	s.trusted = -1;
	smtp_forget(&s);
	for (i = 0; p <= end; i++, p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		if (!i)
			mail(&s, p, (size_t)(e - p));
		else if (s.state & (S_MAIL | S_RCPT))
			rcpt(&s, p, (size_t)(e - p));
	}
	return 0;
}
