/* See LICENSE file for copyright and licence details. */
/*
 * DMARC, RFC 9989. First a walk up the tree of the DNS from the author's domain (4.10): it finds
 * the record that applies and the organisational domain. Then, unless names tell enough, one from
 * each authenticated domain below that: does it end at the same place? At last, if the policy
 * depends on it, whether the author's domain exists at all. All names are lower case and A-labels.
 * Numbers of sections are those of draft-ietf-dmarc-dmarcbis-41, which became RFC 9989.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dmarc.h"
#include "idn.h"
#include "text.h"

enum { SPF = 1, DKIM = 2 };
enum { ABSENT = -1, INVALID = -2 };	/* of a tag with a policy */
enum { PSD_U, PSD_N, PSD_Y };

/* RFC 9989 4.7: tags and their words; the first one is the default, but for sp and np. */
enum { P, SP, NP, ADKIM, ASPF, PSD, T };

static const struct {
	char name[6], words[3][11];
} tags[DMARC_TAGS] = {
	{ "p", { "none", "quarantine", "reject" } },
	{ "sp", { "none", "quarantine", "reject" } },
	{ "np", { "none", "quarantine", "reject" } },
	{ "adkim", { "r", "s" } },
	{ "aspf", { "r", "s" } },
	{ "psd", { "u", "n", "y" } },
	{ "t", { "n", "y" } }
};

/* A piece of a record. */
struct part {
	const char *p;
	size_t n;
};

/* ---- records, RFC 9989 4.8 ---- */

static struct part
trim(const char *p, const char *end)
{
	struct part a;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	a.p = p;
	a.n = (size_t)(end - p);
	return a;
}

/* What comes before the next `sep`; the text behind it stays in *rest. */
static struct part
cut(struct part *rest, char sep)
{
	const char *end = rest->p + rest->n, *s = memchr(rest->p, sep, rest->n);
	struct part a;

	a = trim(rest->p, s ? s : end);
	rest->p = s ? s + 1 : end;
	rest->n = (size_t)(end - rest->p);
	return a;
}

/* Is there a URI in a list of them? RFC 3986 3.1, roughly: a scheme and something behind it. */
static int
has_uri(struct part list)
{
	struct part uri;
	size_t i;

	while (list.n) {
		uri = cut(&list, ',');
		for (i = 0; i < uri.n && (text_alnum((unsigned char)uri.p[i]) ||
		    (uri.p[i] && strchr("+-.", uri.p[i]))); i++)
			;
		if (i && i + 1 < uri.n && uri.p[i] == ':' && uri.p[i + 1] > ' ')
			return 1;
	}
	return 0;
}

/* A tag that is known; the first of its name counts. */
static void
set(struct dmarc_record *r, const struct part *name, const struct part *value)
{
	size_t i, k;

	for (i = 0; i < DMARC_TAGS && !text_is(name->p, name->n, tags[i].name); i++)
		;
	if (i == DMARC_TAGS || r->tag[i] != ABSENT)
		return;
	r->tag[i] = INVALID;
	for (k = 0; k < 3 && *tags[i].words[k]; k++)
		if (text_is(value->p, value->n, tags[i].words[k]))
			r->tag[i] = (signed char)k;
}

/* What is missing or invalid gets its default; policies: RFC 9989 4.7 and 4.10.1. */
static void
complete(struct dmarc_record *r, int rua)
{
	int i;

	r->bad = 0;
	for (i = P; i <= NP; i++)
		r->bad |= r->tag[i] == INVALID;
	if (r->bad && rua) {
		r->bad = 0;
		r->tag[P] = POLICY_NONE;
		r->tag[SP] = r->tag[NP] = ABSENT;
	}
	for (i = P; i < DMARC_TAGS; i++)
		if (i != SP && i != NP && r->tag[i] < 0)
			r->tag[i] = 0;
}

/* 0; -1: it is no record of DMARC. */
static int
read_record(struct dmarc_record *r, const char *p, size_t n)
{
	struct part rest = { p, n }, name, value = cut(&rest, ';');
	int rua = 0;

	name = cut(&value, '=');
	value = trim(value.p, value.p + value.n);
	if (name.p != p || !text_is(name.p, name.n, "v") || value.n != 6 ||
	    memcmp(value.p, "DMARC1", 6) != 0)
		return -1;
	memset(r->tag, ABSENT, sizeof(r->tag));
	while (rest.n) {
		value = cut(&rest, ';');
		name = cut(&value, '=');
		value = trim(value.p, value.p + value.n);
		if (text_is(name.p, name.n, "rua"))
			rua |= has_uri(value);
		else
			set(r, &name, &value);
	}
	complete(r, rua);
	return 0;
}

/* The one record in an answer: 1; none or several: 0. */
static int
pick(struct dmarc_record *r, const struct dns_answer *a)
{
	struct dmarc_record one;
	int i, n = 0;

	for (i = 0; i < a->n; i++) {
		if (read_record(&one, a->rr[i].text, a->rr[i].n) < 0)
			continue;
		*r = one;
		n++;
	}
	return n == 1 && !a->cut;
}

/* The policy for this author, who is there or not. */
static enum dmarc_policy
policy(const struct dmarc *d, int exists)
{
	const signed char *tag = d->record.tag;
	int which = P;

	if (d->of != d->author) {
		which = tag[SP] >= 0 ? SP : which;
		which = !exists && tag[NP] >= 0 ? NP : which;
	}
	return (enum dmarc_policy)(tag[which] - (tag[which] && tag[T]));
}

/* ---- the tree ---- */

/* One label up; from a long name to its last seven labels. NULL: there is nothing above. */
static const char *
up(const char *name)
{
	const char *p;
	int labels = 1;

	for (p = name; *p; p++)
		labels += *p == '.';
	do {
		name = strchr(name, '.');
		if (!name)
			return NULL;
		name++;
	} while (--labels >= DMARC_WALK);
	return name;
}

/* The name one label below `at`, which is part of `start`. */
static const char *
below(const char *start, const char *at)
{
	const char *p = at - 1;

	while (p > start && p[-1] != '.')
		p--;
	return p;
}

/*
 * A record was found on the walk, RFC 9989 4.10.1 and 4.10.2: does the walk go on? One at a top
 * level domain counts as that of a public suffix even if it does not say so: those written for RFC
 * 9091 do not, and all names below it would be aligned with each other.
 */
static int
take(struct dmarc *d, struct dmarc_record *r)
{
	const char *organisation = d->at;

	if (r->tag[PSD] == PSD_U && !strchr(d->at, '.'))
		r->tag[PSD] = PSD_Y;
	if (r->tag[PSD] == PSD_Y && d->at != d->start)
		organisation = below(d->start, d->at);
	/* one at the author's domain stays; so does that of the organisation, below a suffix's */
	if (d->step == DMARC_AUTHOR && d->of != d->author &&
	    (organisation == d->at || organisation != d->of)) {
		d->record = *r;
		d->of = d->at;
	}
	d->found = organisation;
	return r->tag[PSD] == PSD_U;
}

static void
walk(struct dmarc *d, const char *start)
{
	d->start = d->at = start;
	d->found = NULL;
}

/* ---- alignment ---- */

/* Is the same organisational domain enough for it? */
static int
relaxed(const struct dmarc *d, int i)
{
	return (d->id[i].by & SPF && !d->record.tag[ASPF]) ||
	    (d->id[i].by & DKIM && !d->record.tag[ADKIM]);
}

/* Is the rest of the author's walk of no matter? */
static int
enough(const struct dmarc *d)
{
	int i, others = 0;

	if (d->of != d->author)
		return 0;
	for (i = 0; i < d->n; i++) {
		if (!strcmp(d->id[i].domain, d->author))
			return 1;
		others |= relaxed(d, i);
	}
	return d->record.bad || !others;
}

/* Do the names tell that it is aligned? */
static int
aligned(const struct dmarc *d, int i)
{
	return !strcmp(d->id[i].domain, d->author) ||
	    (relaxed(d, i) && !strcmp(d->id[i].domain, d->organisation));
}

/* Can a walk tell? Organisational domains are found at or above where it starts, and a public
 * suffix that is its own one is nobody else's. */
static int
below_organisation(const struct dmarc *d, int i)
{
	const char *domain = d->id[i].domain;
	size_t n = strlen(domain), k = strlen(d->organisation);

	return n > k && domain[n - k - 1] == '.' && !strcmp(domain + n - k, d->organisation) &&
	    (d->of != d->author || d->record.tag[PSD] != PSD_Y);
}

/* ---- one step after the other; they return 1 when the result is known ---- */

static int
finish(struct dmarc *d, enum dmarc_result r)
{
	d->result = r;
	if (r == DMARC_PASS || r == DMARC_FAIL)
		d->policy = policy(d, d->exists || r == DMARC_PASS);
	return 1;
}

/* No domain is aligned. */
static int
verdict(struct dmarc *d)
{
	if (d->doubt)
		return finish(d, DMARC_TEMPERROR);
	if (d->exists || policy(d, 0) == policy(d, 1))
		return finish(d, DMARC_FAIL);
	d->step = DMARC_EXISTS;
	d->at = d->author;
	return 0;
}

/* The author's walk has ended. */
static int
settle(struct dmarc *d)
{
	int i;

	if (!d->of)
		return finish(d, DMARC_NONE);
	(void)text_copy(d->domain, sizeof(d->domain), d->of, strlen(d->of));
	(void)text_copy(d->organisation, sizeof(d->organisation), d->found, strlen(d->found));
	if (d->record.bad)
		return finish(d, DMARC_PERMERROR);
	for (i = 0; i < d->n; i++)
		if (aligned(d, i))
			return finish(d, DMARC_PASS);
	d->step = DMARC_ID;
	d->i = -1;
	return 0;
}

/* A walk has ended: the next one begins. */
static int
ended(struct dmarc *d)
{
	if (d->step == DMARC_AUTHOR) {
		if (settle(d))
			return 1;
	} else if (d->found && !strcmp(d->found, d->organisation)) {
		return finish(d, DMARC_PASS);
	}
	for (d->i++; d->i < d->n; d->i++) {
		if (relaxed(d, d->i) && below_organisation(d, d->i)) {
			walk(d, d->id[d->i].domain);
			return 0;
		}
	}
	return verdict(d);
}

/* Ask for what is next: 0 or -1, as dns_ask(). */
static int
ask(struct dmarc *d)
{
	char name[sizeof("_dmarc.") + ADDR_DOMAIN];

	if (d->step == DMARC_EXISTS)	/* a CNAME to nowhere is there, too: not followed */
		return dns_ask(&d->q, d->author, DNS_CNAME);
	(void)snprintf(name, sizeof(name), "_dmarc.%s", d->at);
	return dns_ask(&d->q, name, DNS_TXTS);
}

/* Go on until there is a question to wait for. */
static int
proceed(struct dmarc *d)
{
	for (;;) {
		if (!d->at) {
			if (ended(d))
				return 1;
		} else if (d->step == DMARC_ID && !strcmp(d->at, d->organisation)) {
			d->found = d->at;	/* from here on it is the author's walk */
			d->at = NULL;
		} else if (ask(d) == 0) {
			return 0;
		} else if (errno != EINVAL || d->step == DMARC_EXISTS) {
			return finish(d, DMARC_TEMPERROR);
		} else {
			d->at = up(d->at);	/* too long a name to be there */
		}
	}
}

/* What the DNS says to the question of this step. */
static int
hear(struct dmarc *d, const struct dns_answer *a)
{
	struct dmarc_record r;
	int error = a->status != DNS_OK && a->status != DNS_NODATA && a->status != DNS_NXDOMAIN;

	if (error && d->step != DMARC_ID)
		return finish(d, DMARC_TEMPERROR);
	/* RFC 8020: a name exists if one below it does */
	if (d->step == DMARC_EXISTS || d->at == d->author)
		d->exists = a->status != DNS_NXDOMAIN;
	if (d->step == DMARC_EXISTS)
		return finish(d, DMARC_FAIL);
	if (error) {
		d->doubt = 1;
		d->at = NULL;
	} else if (pick(&r, a) && (!take(d, &r) || (d->step == DMARC_AUTHOR && enough(d)))) {
		d->at = NULL;
	} else {
		d->at = up(d->at);
	}
	return proceed(d);
}

static void
answer(struct dns_query *q, const struct dns_answer *a)
{
	struct dmarc *d = q->arg;

	if (hear(d, a))
		d->done(d);
}

/* ---- from outside ---- */

void
dmarc_begin(struct dmarc *d, const char *author)
{
	void (*done)(struct dmarc *) = d->done;
	void *arg = d->arg;

	memset(d, 0, sizeof(*d));
	d->done = done;
	d->arg = arg;
	d->q.done = answer;
	d->q.arg = d;
	d->q.slot = -1;
	if (idn_ascii(d->author, sizeof(d->author), author, strlen(author)) < 0)
		*d->author = '\0';
	memcpy(d->organisation, d->author, sizeof(d->author));
}

static void
add(struct dmarc *d, const char *domain, int by)
{
	char name[ADDR_DOMAIN + 1];
	int i;

	if (idn_ascii(name, sizeof(name), domain, strlen(domain)) < 0 || !*name)
		return;
	for (i = 0; i < d->n && strcmp(d->id[i].domain, name) != 0; i++)
		;
	if (i == DMARC_IDS)
		return;
	d->n += i == d->n;
	(void)text_copy(d->id[i].domain, sizeof(d->id[i].domain), name, strlen(name));
	d->id[i].by |= (unsigned char)by;
}

void
dmarc_spf(struct dmarc *d, const char *domain)
{
	add(d, domain, SPF);
}

void
dmarc_dkim(struct dmarc *d, const char *domain)
{
	add(d, domain, DKIM);
}

void
dmarc_check(struct dmarc *d)
{
	walk(d, d->author);
	if (*d->author ? proceed(d) : finish(d, DMARC_NONE))
		d->done(d);
}

void
dmarc_cancel(struct dmarc *d)
{
	dns_cancel(&d->q);
}

const char *
dmarc_word(enum dmarc_result r)
{
	static const char words[][10] = { "none", "pass", "fail", "temperror", "permerror" };

	return words[r];
}

const char *
dmarc_policy_word(enum dmarc_policy p)
{
	return tags[P].words[p];
}
