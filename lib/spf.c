/* See LICENSE file for copyright and licence details. */
/*
 * Sender Policy Framework (RFC 7208), a machine with a stack: one level for each `include` that is
 * open. When a policy comes, all of it is checked for its syntax, and what is still to be done
 * about it is kept in `text`: the terms that ask the DNS, up to the first that fits whatever the
 * DNS says, which is kept as an `all`. So nothing is asked for twice. At most 10 such terms are of
 * use, so that room is never missed by a policy that is meant to work.
 *
 *	state	asks for			then
 *	RECORD	the policy of a domain		TERM
 *	TERM	what the next term wants	TERM, HOSTS; RECORD, REVERSE; EXPLAIN or the end
 *	HOSTS	addresses of the next MX	TERM
 *	REVERSE	names of the peer		NAMES
 *	NAMES	addresses of the next of them	`back`
 *	EXPLAIN	the text behind exp=		TELL
 *	TELL					the end
 *
 * A term or text with a macro p is put off: REVERSE and NAMES find out the name, and come back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "idn.h"
#include "spfterm.h"
#include "text.h"

enum state { RECORD, TERM, HOSTS, REVERSE, NAMES, EXPLAIN, TELL };
enum next { WAIT, AGAIN, DONE };
enum rank { NONE, OTHER, BELOW, SAME };	/* of a name of the peer, held against another */

/* The next term of p[*at..n), *at is moved to it: its length, 0: there is none. */
static size_t
next_term(const char *p, size_t n, size_t *at)
{
	size_t i;

	while (*at < n && p[*at] == ' ')
		++*at;
	for (i = *at; i < n && p[i] != ' '; i++)
		;
	return i - *at;
}

/* ---- results ---- */

/* The end, because of an error. detail: anything. */
static enum next
fault(struct spf *s, enum spf_result result, const char *what, const char *detail, size_t n)
{
	int len = snprintf(s->words, sizeof(s->words), "%s: ", what);

	s->result = result;
	(void)text_escape(s->words + len, sizeof(s->words) - (size_t)len, detail, n);
	return DONE;
}

/* The same, with the term that is being worked on. */
static enum next
term_fault(struct spf *s, enum spf_result result, const char *what)
{
	return fault(s, result, what, s->text + s->term, s->nterm);
}

/* Go back to the level below. */
static void
leave(struct spf *s)
{
	s->used = s->level[s->depth].domain;
	s->depth--;
	s->p[0] = '\0';
}

/* The result of this level: what it means for those below (RFC 7208 5.2). */
static enum next
judge(struct spf *s, enum spf_result result)
{
	s->state = TERM;
	while (s->depth) {
		if (result != SPF_PASS) {
			leave(s);
			return AGAIN;
		}
		result = (enum spf_result)s->level[s->depth].result;
		leave(s);
	}
	s->result = result;
	if (result != SPF_FAIL || !s->exp)
		return DONE;
	s->state = EXPLAIN;
	return AGAIN;
}

/* ---- questions ---- */

/* states[s->state].got() */
static enum next answer(struct spf *s, const struct dns_answer *a);

/* Ask, for what the state is about. A name that cannot be one does not exist (RFC 7208 4.8). */
static enum next
ask(struct spf *s, const char *name, enum dns_type type)
{
	struct dns_answer a;

	if (dns_ask(&s->q, name, type) == 0)
		return WAIT;
	memset(&a, 0, sizeof(a));
	a.status = DNS_NXDOMAIN;
	if (errno != EINVAL) {
		if (s->result != SPF_FAIL)
			return fault(s, SPF_TEMPERROR, "DNS too busy", name, strlen(name));
		a.status = DNS_TIMEOUT;
	}
	return answer(s, &a);
}

static enum next
ask_address(struct spf *s, const char *name)
{
	return ask(s, name, ip_is4(&s->peer) ? DNS_A : DNS_AAAA);
}

static int
is_error(const struct dns_answer *a)
{
	return a->status == DNS_SERVFAIL || a->status == DNS_TIMEOUT;
}

/* Is the peer among the addresses, as far as a term wants to know? */
static int
has_peer(const struct spf *s, const struct dns_answer *a, int bits4, int bits6)
{
	int i, bits = ip_is4(&s->peer) ? 96 + bits4 : bits6;

	for (i = 0; i < a->n; i++)
		if (ip_within(&s->peer, &a->rr[i].ip, bits))
			return 1;
	return 0;
}

/* Append to `text`, with `end` behind it: 0, or -1: there is no room (some is kept for names). */
static int
add(struct spf *s, const char *p, size_t n, char end)
{
	if (n >= sizeof(s->text) - DNS_NAME - s->used)
		return -1;
	memcpy(s->text + s->used, p, n);
	s->used = (uint16_t)(s->used + n);
	s->text[s->used++] = end;
	return 0;
}

/* Keep the names of an answer behind `text` and a name there already; s->name is the first. */
static void
keep_names(struct spf *s, size_t at, const struct dns_answer *a)
{
	int i;

	s->name = (uint16_t)at;
	s->left = 0;
	for (i = 0; i < a->n && s->left < SPF_LOOKUPS; i++) {
		if (text_copy(s->text + at, sizeof(s->text) - at, a->rr[i].text, a->rr[i].n) < 0)
			return;
		at += strlen(s->text + at) + 1;
		s->left++;
	}
}

static const char *
name(const struct spf *s)
{
	return s->text + s->name;
}

static void
next_name(struct spf *s)
{
	s->name = (uint16_t)(s->name + strlen(name(s)) + 1);
	s->left--;
}

/* ---- the policy of a domain ---- */

/* Begin with a domain at the present level: there is nothing else in it. */
static enum next
begin(struct spf *s, const char *whose)
{
	struct spf_level *l = &s->level[s->depth];

	l->domain = s->used;
	s->state = RECORD;
	s->p[0] = '\0';
	if (add(s, whose, strlen(whose), '\0') < 0)
		return fault(s, SPF_PERMERROR, "policies too long", whose, strlen(whose));
	return AGAIN;
}

static enum next
record(struct spf *s)
{
	return ask(s, spf_domain(s), DNS_TXTS);
}

static int
is_policy(const struct dns_rr *r)
{
	return text_begins(r->text, r->n, "v=spf1") && (r->n == 6 || r->text[6] == ' ');
}

/* Does a term fit whatever the DNS says? */
static int
fits(const struct spf *s, const struct spf_term *t)
{
	int six = t->what == SPF_IP6;

	if (t->what != SPF_IP4 && !six)
		return t->what == SPF_ALL;
	return ip_is4(&s->peer) != six &&
	    ip_within(&s->peer, &t->net, six ? t->bits6 : 96 + t->bits4);
}

/* What has been seen of a policy. */
struct policy {
	int exps;
	int asking;			/* terms that ask the DNS */
	int over;			/* what follows is not of use */
	const char *redirect;
	size_t nredirect;
};

/* Keep a term: NULL, or what is wrong. */
static const char *
keep(struct spf *s, const char *p, size_t n)
{
	return add(s, p, n, ' ') < 0 ? "policies too long" : NULL;
}

/* Keep what a mechanism means. */
static const char *
keep_mechanism(struct spf *s, struct policy *y, const struct spf_term *t, const char *p, size_t n)
{
	char all[] = "+all";

	if (y->over)
		return NULL;
	if (fits(s, t)) {
		y->over = 1;
		all[0] = spf_signs[t->result];
		return keep(s, all, 4);
	}
	if (t->what == SPF_IP4 || t->what == SPF_IP6)
		return NULL;
	y->over = s->lookups + ++y->asking > SPF_LOOKUPS;
	return keep(s, p, n);
}

/* Take a term of a policy: NULL, or what is wrong. */
static const char *
take_term(struct spf *s, struct policy *y, const char *p, size_t n)
{
	uint16_t at = s->used;
	struct spf_term t;

	if (spf_parse(&t, p, n) < 0)
		return "no such term";
	switch (t.what) {
	case SPF_UNKNOWN:
		return NULL;
	case SPF_EXP:
		if (y->exps++)
			return "second exp";
		if (!s->depth && add(s, p, n, ' ') == 0)
			s->exp = at;
		return NULL;
	case SPF_REDIRECT:
		if (y->redirect)
			return "second redirect";
		y->redirect = p;
		y->nredirect = n;
		return NULL;
	default:
		return keep_mechanism(s, y, &t, p, n);
	}
}

/* Check a policy, and keep what is of use. */
static enum next
take_policy(struct spf *s, const char *p, size_t n)
{
	struct spf_level *l = &s->level[s->depth];
	struct policy y = { 0 };
	const char *wrong = NULL;
	size_t at, len;

	l->at = s->used;
	if (!s->depth)
		s->exp = 0;
	for (at = 6; !wrong && (len = next_term(p, n, &at)) > 0; at += wrong ? 0 : len)
		wrong = take_term(s, &y, p + at, len);
	if (!wrong && y.redirect && !y.over)
		wrong = keep(s, y.redirect, y.nredirect);
	if (wrong)
		return fault(s, SPF_PERMERROR, wrong, p + at, len);
	l->end = s->used;
	s->state = TERM;
	return AGAIN;
}

static enum next
got_record(struct spf *s, const struct dns_answer *a)
{
	const char *d = spf_domain(s);
	int i, found = -1;

	if (is_error(a))
		return fault(s, SPF_TEMPERROR, "DNS error", d, strlen(d));
	for (i = 0; i < a->n; i++) {
		if (!is_policy(&a->rr[i]))
			continue;
		if (found >= 0)
			return fault(s, SPF_PERMERROR, "two policies", d, strlen(d));
		found = i;
	}
	if (found >= 0)
		return take_policy(s, a->rr[found].text, a->rr[found].n);
	if (a->cut)
		return fault(s, SPF_PERMERROR, "too many texts", d, strlen(d));
	if (s->lookups)		/* include, redirect */
		return fault(s, SPF_PERMERROR, "no policy", d, strlen(d));
	return DONE;
}

/* ---- names of the peer, RFC 7208 5.5 ---- */

/* Find one that is `enough` for base, and come back to a state. */
static enum next
find_name(struct spf *s, const char *base, enum rank enough, enum state back)
{
	(void)text_copy(s->text + s->used, DNS_NAME, base, strlen(base));
	s->enough = (unsigned char)enough;
	s->back = (unsigned char)back;
	s->state = REVERSE;
	return AGAIN;
}

static enum next
reverse(struct spf *s)
{
	static const char spec[] = "%{ir}.%{v}.arpa";
	char dst[DNS_NAME];

	spf_expand(s, dst, spec, sizeof(spec) - 1);
	return ask(s, dst, DNS_PTR);
}

static enum next
got_reverse(struct spf *s, const struct dns_answer *a)
{
	keep_names(s, s->used + strlen(s->text + s->used) + 1, a);
	s->rank = NONE;
	s->state = NAMES;
	return AGAIN;
}

/* There are no more names to ask for, or one is good enough. */
static enum next
named(struct spf *s)
{
	const char *p = s->rank ? s->text + s->best : "unknown";
	struct spf_term t;

	s->state = s->back;
	if (s->enough == SAME) {
		(void)text_copy(s->p, sizeof(s->p), p, strlen(p));
		return AGAIN;
	}
	(void)spf_parse(&t, s->text + s->term, s->nterm);
	return s->rank >= BELOW ? judge(s, t.result) : AGAIN;
}

static enum next
names(struct spf *s)
{
	if (!s->left || s->rank >= s->enough)
		return named(s);
	return ask_address(s, name(s));
}

static enum rank
rank_of(const char *p, const char *base)
{
	size_t n = strlen(p), len = strlen(base);

	if (n < len || !text_ieq(p + n - len, len, base, len))
		return OTHER;
	return n == len ? SAME : p[n - len - 1] == '.' ? BELOW : OTHER;
}

/* An error of the DNS only means that this name is none. */
static enum next
got_names(struct spf *s, const struct dns_answer *a)
{
	enum rank r = has_peer(s, a, 32, 128) ? rank_of(name(s), s->text + s->used) : NONE;

	if (r > s->rank) {
		s->rank = (unsigned char)r;
		s->best = s->name;
	}
	next_name(s);
	return AGAIN;
}

/* ---- terms that ask the DNS ---- */

/* Begin with one; dst is the name that it is about. */
static enum next
ask_term(struct spf *s, const struct spf_term *t, const char *dst)
{
	struct spf_level *l = &s->level[s->depth];

	switch (t->what) {
	case SPF_INCLUDE:
		s->depth++;
		l[1].result = (unsigned char)t->result;
		return begin(s, dst);
	case SPF_REDIRECT:
		s->used = l->domain;
		return begin(s, dst);
	case SPF_PTR:
		return find_name(s, dst, BELOW, TERM);
	case SPF_EXISTS:
		return ask(s, dst, DNS_A);
	case SPF_MX:
		return ask(s, dst, DNS_MX);
	default:
		return ask_address(s, dst);
	}
}

static enum next
term(struct spf *s)
{
	struct spf_level *l = &s->level[s->depth];
	size_t at = l->at, n = next_term(s->text, l->end, &at);
	char dst[DNS_NAME];
	struct spf_term t;

	if (!n)
		return judge(s, SPF_NEUTRAL);
	s->term = (uint16_t)at;
	s->nterm = (uint16_t)n;
	(void)spf_parse(&t, s->text + at, n);
	if (t.what != SPF_EXP && t.what != SPF_ALL && s->lookups == SPF_LOOKUPS)
		return term_fault(s, SPF_PERMERROR, "too many look-ups");
	if (t.what != SPF_EXP && !s->p[0] && spf_wants_p(t.spec, t.nspec))
		return find_name(s, spf_domain(s), SAME, TERM);
	l->at = (uint16_t)(at + n);
	if (t.what == SPF_EXP)
		return AGAIN;
	if (t.what == SPF_ALL)
		return judge(s, t.result);
	s->lookups++;
	spf_expand(s, dst, t.nspec ? t.spec : "%{d}", t.nspec ? t.nspec : 4);
	return ask_term(s, &t, dst);
}

static enum next
got_addresses(struct spf *s, const struct spf_term *t, const struct dns_answer *a)
{
	if (t->what == SPF_EXISTS ? a->n > 0 : has_peer(s, a, t->bits4, t->bits6))
		return judge(s, t->result);
	if (a->cut)
		return term_fault(s, SPF_PERMERROR, "too many addresses");
	return AGAIN;
}

static enum next
got_term(struct spf *s, const struct dns_answer *a)
{
	struct spf_term t;

	if (is_error(a))
		return term_fault(s, SPF_TEMPERROR, "DNS error");
	(void)spf_parse(&t, s->text + s->term, s->nterm);
	if (t.what != SPF_MX)
		return got_addresses(s, &t, a);
	keep_names(s, s->used, a);
	if (a->n > s->left)
		return term_fault(s, SPF_PERMERROR, "too many names");
	s->state = HOSTS;
	return AGAIN;
}

static enum next
hosts(struct spf *s)
{
	if (s->left)
		return ask_address(s, name(s));
	s->state = TERM;
	return AGAIN;
}

static enum next
got_hosts(struct spf *s, const struct dns_answer *a)
{
	struct spf_term t;

	if (is_error(a))
		return term_fault(s, SPF_TEMPERROR, "DNS error");
	next_name(s);
	(void)spf_parse(&t, s->text + s->term, s->nterm);
	return got_addresses(s, &t, a);
}

/* ---- the explanation of a fail, RFC 7208 6.2: what is wrong with it does not matter ---- */

static enum next
explain(struct spf *s)
{
	size_t at = s->exp, n = next_term(s->text, s->used, &at);
	char dst[DNS_NAME];
	struct spf_term t;

	(void)spf_parse(&t, s->text + at, n);
	if (!s->p[0] && spf_wants_p(t.spec, t.nspec))
		return find_name(s, spf_domain(s), SAME, EXPLAIN);
	spf_expand(s, dst, t.spec, t.nspec);
	return ask(s, dst, DNS_TXTS);
}

static enum next
got_explain(struct spf *s, const struct dns_answer *a)
{
	const struct dns_rr *r = a->rr;

	s->story = s->used;
	s->nstory = (uint16_t)r->n;
	if (a->n != 1 || a->cut || !spf_is_explanation(r->text, r->n) ||
	    add(s, r->text, r->n, '\0') < 0)
		return DONE;
	s->state = TELL;
	return AGAIN;
}

static enum next
tell(struct spf *s)
{
	const char *p = s->text + s->story;

	if (!s->p[0] && spf_wants_p(p, s->nstory))
		return find_name(s, spf_domain(s), SAME, TELL);
	spf_expand_words(s, p, s->nstory);
	return DONE;
}

/* ---- the machine ---- */

static const struct {
	enum next (*step)(struct spf *s);
	enum next (*got)(struct spf *s, const struct dns_answer *a);
} states[] = {
	[RECORD] = { record, got_record },
	[TERM] = { term, got_term },
	[HOSTS] = { hosts, got_hosts },
	[REVERSE] = { reverse, got_reverse },
	[NAMES] = { names, got_names },
	[EXPLAIN] = { explain, got_explain },
	[TELL] = { tell, NULL }
};

static enum next
answer(struct spf *s, const struct dns_answer *a)
{
	return states[s->state].got(s, a);
}

static void
run(struct spf *s, enum next n)
{
	while (n == AGAIN)
		n = states[s->state].step(s);
	if (n == DONE)
		s->done(s);
}

/* A void look-up is one of a term. Who has no name (REVERSE) is not to blame the domain for it, nor
 * has an IPv6 peer to do with how many of its MX have IPv4 only (HOSTS). */
static void
answered(struct dns_query *q, const struct dns_answer *a)
{
	struct spf *s = q->arg;

	if (s->state == TERM && !a->n && !is_error(a) && ++s->voids > SPF_VOID)
		run(s, term_fault(s, SPF_PERMERROR, "too many void look-ups"));
	else
		run(s, answer(s, a));
}

/* The sender into `sender`, with its domain as the DNS has it: 0, or -1: there is no such domain
 * (RFC 7208 4.3). */
static int
set_sender(struct spf *s, const char *sender)
{
	const char *d = strrchr(sender, '@'), *local = "postmaster";
	size_t n = strlen(local);
	char *dst;

	if (d && d > sender) {
		local = sender;
		n = (size_t)(d - sender);
	}
	d = d ? d + 1 : sender;
	if (n > ADDR_LOCAL)
		return -1;
	memcpy(s->sender, local, n);
	s->sender[n] = '@';
	s->at = (uint16_t)n;
	dst = s->sender + n + 1;
	if (*d == '[' || idn_ascii(dst, DNS_NAME - 2, d, strlen(d)) < 0)
		return -1;
	n = strcspn(dst, ".");
	return dst[n] && dst[n + 1] ? 0 : -1;
}

void
spf_check(struct spf *s, const struct ip *peer, const char *helo, const char *sender,
    const char *receiver)
{
	size_t n = strlen(helo);

	s->result = SPF_NONE;
	s->words[0] = '\0';
	s->receiver = *receiver ? receiver : "unknown";
	s->q.done = answered;
	s->q.arg = s;
	s->q.slot = -1;
	s->peer = *peer;
	s->depth = s->lookups = s->voids = 0;
	s->used = s->exp = 0;
	s->at = 0;
	(void)text_copy(s->helo, sizeof(s->helo), helo, n < ADDR_DOMAIN ? n : ADDR_DOMAIN);
	n = set_sender(s, *sender ? sender : helo) == 0;
	run(s, n ? begin(s, s->sender + s->at + 1) : DONE);
}

void
spf_cancel(struct spf *s)
{
	dns_cancel(&s->q);
}

const char *
spf_word(enum spf_result r)
{
	static const char *const words[] = {
		"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"
	};

	return words[r];
}
