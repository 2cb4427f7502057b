/* See LICENSE file for copyright and licence details. */
/*
 * Is this peer welcome? What is found out about strangers, in which order, and what follows:
 *
 *	connection	its name (forward-confirmed) and lists, while it waits for the greeting;
 *			who speaks meanwhile
 *	HELO		is it a name, is it its own?
 *	MAIL		is it one of our domains; SPF for HELO and for the sender
 *	RCPT		refuse or greylist for all that; count who does not exist
 *	the text	inspect.c
 *
 * Nothing of it waits in the loop: a session that has to is held, and guard_tick() lets it go on
 * when the answers are there or too late. Networks of trusted[] and logins are no strangers.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "lib/glob.h"
#include "lib/idn.h"
#include "lib/log.h"
#include "lib/text.h"
#include "smtp.h"

enum {
	NTRUSTED = sizeof(trusted) / sizeof(*trusted),
	NPOLICIES = sizeof(policies) / sizeof(*policies),
	NAMES = 3		/* of an address that are looked at */
};

/* What is not held against those on a list of the good. */
#define DOUBTS (BIT(F_PTR) | BIT(F_PTR_LATER) | BIT(F_HELO_NAME) | BIT(F_HELO_ALIEN) | SPF_FINDINGS)

static const struct {
	const char *word, *reply;
} findings[NFINDINGS] = {
	[F_EARLY] = { "early",
	    "554 5.5.0 You spoke before our greeting" },
	[F_PTR] = { "no-name",
	    "550 5.7.25 Your address has no name that leads back to it" },
	[F_PTR_LATER] = { "name-unknown",
	    "451 4.7.25 The name of your address cannot be looked up now" },
	[F_HELO_NAME] = { "helo-name",
	    "550 5.7.1 HELO needs your full host name (RFC 5321 4.1.1.1)" },
	[F_HELO_ALIEN] = { "helo-alien",
	    "550 5.7.1 That name or address in HELO is not yours" },
	[F_OWN_SENDER] = { "own-sender",
	    "550 5.7.1 Our own people log in to send (port 587)" },
	[F_SPF_NONE] = { "spf=none",
	    "550 5.7.23 The domain of the sender has no SPF record" },
	[F_SPF_NEUTRAL] = { "spf=neutral",
	    "550 5.7.23 SPF of the sender's domain is neutral about you" },
	[F_SPF_SOFTFAIL] = { "spf=softfail",
	    "550 5.7.23 SPF of the sender's domain does not name you" },
	[F_SPF_FAIL] = { "spf=fail",
	    "550 5.7.23 SPF: you may not send for the sender's domain" },
	[F_SPF_TEMP] = { "spf=temperror",
	    "451 4.4.3 The SPF record of the sender cannot be looked up now" },
	[F_SPF_PERM] = { "spf=permerror",
	    "550 5.7.24 The SPF record of the sender's domain is broken" },
	[F_DKIM_NONE] = { "dkim=none",
	    "550 5.7.20 The message has no DKIM signature" },
	[F_DKIM_FAIL] = { "dkim=fail",
	    "550 5.7.20 No DKIM signature of the message is right" },
	[F_AUTHOR] = { "author",
	    "550 5.6.0 The header does not name one author" },
	[F_DMARC_NONE] = { "dmarc=none",
	    "550 5.7.1 The author's domain has no DMARC policy" },
	[F_DMARC_WATCH] = { "dmarc=fail",
	    "550 5.7.1 DMARC: the message is not of the author's domain" },
	[F_DMARC_QUARANTINE] = { "dmarc=quarantine",
	    "550 5.7.1 DMARC: the message is not of the author's domain" },
	[F_DMARC_REJECT] = { "dmarc=reject",
	    "550 5.7.1 DMARC: the author's domain wants such mail refused" },
	[F_DMARC_TEMP] = { "dmarc=temperror",
	    "451 4.7.1 DMARC: the author's domain cannot be looked up now" },
	[F_DMARC_PERM] = { "dmarc=permerror",
	    "550 5.7.1 DMARC: the record of the author's domain is broken" },
};

static struct spf checks[INSPECTED];
static struct smtp *waiting;

/* ---- networks that need no login ---- */

/* "address" or "address/bits": 0 or -1. */
static int
parse_network(struct ip *net, int *bits, const char *text)
{
	char address[IP_TEXT];
	size_t n = strcspn(text, "/");
	uint64_t v = 128;
	int most;

	if (text_copy(address, sizeof(address), text, n) < 0 || ip_parse(net, address) < 0)
		return -1;
	most = ip_is4(net) ? 32 : 128;
	if (text[n] && (text_u64(text + n + 1, strlen(text + n + 1), &v) < 0 || v > (uint64_t)most))
		return -1;
	*bits = text[n] ? (int)v + 128 - most : 128;
	return 0;
}

int
guard_trusted(const struct ip *peer)
{
	struct ip net;
	int bits, i;

	for (i = 0; i < NTRUSTED; i++) {
		if (parse_network(&net, &bits, trusted[i].network) < 0 ||
		    ip_is4(&net) != ip_is4(peer))
			continue;
		if (ip_within(peer, &net, bits))
			return i;
	}
	return -1;
}

/* ---- what follows from findings ---- */

const char *
guard_reply(enum finding f)
{
	return findings[f].reply;
}

int
guard_calls(uint32_t found, enum action a, enum finding *which)
{
	int i;

	for (i = 0; i < NPOLICIES; i++) {
		if (!(found & BIT(policies[i].finding)) || policies[i].action != a)
			continue;
		*which = policies[i].finding;
		return 1;
	}
	return 0;
}

const char *
guard_word(enum finding f)
{
	return findings[f].word;
}

uint32_t
guard_found(const struct visit *v)
{
	uint32_t found = v->found | v->letter;

	return v->good ? found & ~DOUBTS : found;
}

/* ---- waiting ---- */

void
guard_later(struct smtp *s, int64_t least, int64_t most, void (*go)(struct smtp *s))
{
	struct visit *v = &s->visit;

	v->from = loop_now + least;
	v->until = loop_now + (most > least ? most : least);
	v->go = go;
	v->next = waiting;
	waiting = s;
}

int
guard_tick(int wait)
{
	struct smtp *s, *ready = NULL, **at = &waiting;
	int64_t by;
	void (*go)(struct smtp *s);

	while ((s = *at)) {
		by = s->visit.pending ? s->visit.until : s->visit.from;
		if (by > loop_now) {
			if (by - loop_now < wait)
				wait = (int)(by - loop_now);
			at = &s->visit.next;
			continue;
		}
		*at = s->visit.next;
		s->visit.next = ready;
		ready = s;
	}
	for (; ready; ready = s) {
		s = ready->visit.next;
		go = ready->visit.go;
		ready->visit.go = NULL;
		wait = 0;		/* what it asks is still to be sent */
		go(ready);
	}
	return wait;
}

static void
no_check(struct visit *v)
{
	if (!v->check)
		return;
	spf_cancel(v->check);
	v->check->arg = NULL;
	v->check = NULL;
}

static void
no_questions(struct visit *v)
{
	int i;

	dns_cancel(&v->names);
	for (i = 0; i < DNSLISTS; i++)
		dns_cancel(&v->lists[i]);
	v->pending = 0;
}

void
guard_close(struct smtp *s)
{
	struct smtp **at;

	for (at = &waiting; *at && *at != s; at = &(*at)->visit.next)
		;
	if (*at)
		*at = s->visit.next;
	if (s->visit.stranger)
		no_questions(&s->visit);
	no_check(&s->visit);
}

/* ---- its name ---- */

static void ask_name(struct smtp *s);

/* The name that its address has is one of a host with that address. */
static void
confirmed(struct dns_query *q, const struct dns_answer *a)
{
	struct smtp *s = q->arg;
	struct visit *v = &s->visit;
	int i;

	v->pending--;
	for (i = 0; i < a->n; i++) {
		if (!memcmp(&a->rr[i].ip, &s->c->peer, sizeof(a->rr[i].ip))) {
			v->found &= ~(BIT(F_PTR) | BIT(F_PTR_LATER));
			return;
		}
	}
	if (a->status >= DNS_SERVFAIL)
		v->found |= BIT(F_PTR_LATER);
	v->name[0] = '\0';
	if (++v->nth < NAMES)
		ask_name(s);
}

static void
named(struct dns_query *q, const struct dns_answer *a)
{
	struct smtp *s = q->arg;
	struct visit *v = &s->visit;

	v->pending--;
	if (a->status >= DNS_SERVFAIL)
		v->found |= BIT(F_PTR_LATER);
	if (v->nth >= a->n || text_copy(v->name, sizeof(v->name), a->rr[v->nth].text,
	    a->rr[v->nth].n) < 0)
		return;
	q->done = confirmed;
	if (dns_ask(q, v->name, ip_is4(&s->c->peer) ? DNS_A : DNS_AAAA) == 0) {
		v->pending++;
		return;
	}
	v->name[0] = '\0';
	v->found |= BIT(F_PTR_LATER);	/* too many questions, or no name that can be asked for */
}

/* Its nth name; the resolver remembers them all. */
static void
ask_name(struct smtp *s)
{
	struct visit *v = &s->visit;
	char name[DNS_NAME];

	v->names.done = named;
	v->names.arg = s;
	if (dns_ask(&v->names, dns_reverse(name, &s->c->peer), DNS_PTR) == 0)
		v->pending++;
	else
		v->found |= BIT(F_PTR_LATER);
}

/* ---- lists, RFC 5782 ---- */

/* An answer of a list: is it one that counts? 127.255.255.* are errors. */
static int
counts(const struct dnslist *l, const struct ip *ip, const char *text)
{
	static int64_t told;

	if (!ip_is4(ip) || ip->a[12] != 127)
		return 0;
	if (ip->a[13] != 255 || ip->a[14] != 255)
		return glob_match(l->answers, text, strlen(text));
	if (!told || loop_now - told > 3600000)
		log_event("-", "dnslist zone=%s error=%s note=\"it does not answer us\"", l->zone,
		    text);
	told = loop_now;
	return 0;
}

static void
listed(struct dns_query *q, const struct dns_answer *a)
{
	struct smtp *s = q->arg;
	struct visit *v = &s->visit;
	const struct dnslist *l = &dnslists[q - v->lists];
	char text[IP_TEXT];
	int i;

	v->pending--;
	for (i = 0; i < a->n; i++) {
		if (!counts(l, &a->rr[i].ip, ip_text(text, &a->rr[i].ip)))
			continue;
		if (l->action == A_ACCEPT) {
			v->good = 1;
		} else if (l->action > v->listed) {
			v->listed = l->action;
			v->zone = l->zone;
		}
	}
}

static void
ask_lists(struct smtp *s)
{
	struct visit *v = &s->visit;
	char name[DNS_NAME], asked[2 * DNS_NAME];
	size_t n;
	int i;

	(void)dns_reverse(name, &s->c->peer);
	n = strlen(name) - (ip_is4(&s->c->peer) ? strlen("in-addr.arpa") : strlen("ip6.arpa"));
	for (i = 0; i < DNSLISTS; i++) {
		v->lists[i].done = listed;
		v->lists[i].arg = s;
		v->lists[i].slot = -1;
		(void)snprintf(asked, sizeof(asked), "%.*s%s", (int)n, name, dnslists[i].zone);
		if (*dnslists[i].zone && dns_ask(&v->lists[i], asked, DNS_A) == 0)
			v->pending++;
	}
}

/* ---- the session begins ---- */

static void
known(struct smtp *s)
{
	struct visit *v = &s->visit;
	const struct rule *by_name;
	char ip[IP_TEXT];

	if (v->names.slot >= 0) {	/* what is there of a name is not confirmed */
		v->name[0] = '\0';
		v->found |= BIT(F_PTR_LATER);
	}
	no_questions(v);
	if (!v->name[0] && !(v->found & BIT(F_PTR_LATER)))
		v->found |= BIT(F_PTR);
	if (v->found & BIT(F_PTR_LATER))
		v->found &= ~BIT(F_PTR);
	(void)ip_text(ip, &s->c->peer);
	v->rule = rule_match(IN_CONNECTION, "", ip, strlen(ip));
	by_name = v->name[0] ? rule_match(IN_CONNECTION, "", v->name, strlen(v->name)) : NULL;
	if (by_name && (!v->rule || by_name < v->rule))
		v->rule = by_name;
	smtp_greet(s);
}

void
guard_open(struct smtp *s)
{
	struct visit *v = &s->visit;

	v->met = v->stranger = conn_listener(s->c)->protocol == SMTP &&
	    guard_trusted(&s->c->peer) < 0;
	if (!v->stranger) {
		smtp_greet(s);
		return;
	}
	v->names.slot = -1;
	ask_name(s);
	ask_lists(s);
	guard_later(s, greeting_pause, guard_wait, known);
}

void
guard_early(struct smtp *s)
{
	s->visit.found |= BIT(F_EARLY);
}

/* ---- HELO ---- */

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]": is it this address? */
static int
literal_of(const char *p, size_t n, const struct ip *peer)
{
	char text[IP_TEXT];
	size_t k = text_begins(p, n, "[IPv6:") ? 6 : 1;
	struct ip ip;

	if (n < k + 1 || text_copy(text, sizeof(text), p + k, n - k - 1) < 0 ||
	    ip_parse(&ip, text) < 0)
		return 0;
	return !memcmp(&ip, peer, sizeof(ip));
}

void
guard_helo(struct smtp *s)
{
	struct visit *v = &s->visit;
	size_t n = strlen(s->helo);

	v->found &= ~(BIT(F_HELO_NAME) | BIT(F_HELO_ALIEN));
	if (!v->stranger)
		return;
	if (!v->rule || v->rule->place == IN_HELO)
		v->rule = rule_match(IN_HELO, "", s->helo, n);
	if (addr_literal(s->helo, n)) {
		if (!literal_of(s->helo, n, &s->c->peer))
			v->found |= BIT(F_HELO_ALIEN);
	} else if (text_is(s->helo, n, host) || user_owns(s->helo, n)) {
		v->found |= BIT(F_HELO_ALIEN);
	} else if (!addr_domain(s->helo, n) || !strchr(s->helo, '.')) {
		v->found |= BIT(F_HELO_NAME);
	}
}

/* A rule for an address; quotes and case make no difference. NULL: the null sender. */
static const struct rule *
match_address(enum place place, const struct addr *a)
{
	char local[ADDR_LOCAL + 1], text[ADDR_TEXT + 2];
	int n;

	if (!a)
		return rule_match(place, "", "", 0);
	(void)addr_local(local, a);
	n = snprintf(text, sizeof(text), "%s%s%.*s", local, a->ndomain ? "@" : "",
	    (int)a->ndomain, a->domain);
	return rule_match(place, "", text, (size_t)n);
}

/* ---- MAIL ---- */

static uint32_t
spf_finding(enum spf_result r)
{
	static const enum finding of[] = {
		[SPF_NONE] = F_SPF_NONE, [SPF_NEUTRAL] = F_SPF_NEUTRAL, [SPF_PASS] = NFINDINGS,
		[SPF_FAIL] = F_SPF_FAIL, [SPF_SOFTFAIL] = F_SPF_SOFTFAIL,
		[SPF_TEMPERROR] = F_SPF_TEMP, [SPF_PERMERROR] = F_SPF_PERM
	};

	return of[r] < NFINDINGS ? BIT(of[r]) : 0;
}

static void
checked(struct spf *c)
{
	((struct smtp *)c->arg)->visit.pending = 0;
}

static void
check(struct smtp *s, const char *sender, void (*go)(struct smtp *s))
{
	s->visit.pending = 1;
	s->visit.check->done = checked;
	s->visit.check->arg = s;
	spf_check(s->visit.check, &s->c->peer, s->helo, sender, host);
	guard_later(s, 0, guard_wait, go);
}

/* What came of it. */
static enum spf_result
outcome(struct visit *v)
{
	enum spf_result r = v->check ? v->check->result : SPF_TEMPERROR;

	if (v->pending && v->check)
		spf_cancel(v->check);
	if (v->pending && r != SPF_FAIL)	/* else only its words are still to come */
		r = SPF_TEMPERROR;
	v->pending = 0;
	return r;
}

static void
sender_checked(struct smtp *s)
{
	struct visit *v = &s->visit;

	v->spf = outcome(v);
	v->letter |= spf_finding(v->spf);
	no_check(v);
	conn_resume(s->c);
}

static void
helo_checked(struct smtp *s)
{
	struct visit *v = &s->visit;

	v->spf_helo = outcome(v);
	if (s->sender[0] && !v->check)
		v->spf = SPF_TEMPERROR;
	if (s->sender[0] && v->check) {
		check(s, s->sender, sender_checked);
		return;
	}
	if (!s->sender[0])
		v->spf = v->spf_helo;
	v->letter |= spf_finding(v->spf);
	no_check(v);
	conn_resume(s->c);
}

/* A free one; or that of who waits longest, who goes on without: nobody keeps all others out by
 * name servers that are slow. */
static struct spf *
free_check(void)
{
	struct visit *v, *first = NULL;
	struct spf *c;
	int i;

	for (i = 0; i < INSPECTED; i++) {
		if (!checks[i].arg)
			return &checks[i];
		v = &((struct smtp *)checks[i].arg)->visit;
		if (!first || v->until < first->until)
			first = v;
	}
	c = first->check;
	no_check(first);
	first->until = loop_now;
	return c;
}

const char *
guard_mail(struct smtp *s)
{
	struct visit *v = &s->visit;
	struct addr a;

	v->letter = 0;
	v->letter_rule = NULL;
	v->mark = v->accepted = 0;
	memset(v->there, 0, sizeof(v->there));
	v->spf_helo = v->spf = SPF_NONE;
	if (!smtp_ours(s) && limit_count(C_MESSAGES, &s->c->peer) < 0)
		return "450 4.7.1 Too many messages, try again later";
	if (!v->stranger)
		return NULL;
	memset(&a, 0, sizeof(a));
	(void)addr_mailbox8(&a, s->sender, strlen(s->sender));	/* it was one */
	if (s->sender[0] && user_owns(a.domain, a.ndomain))
		v->letter |= BIT(F_OWN_SENDER);
	if (!v->rule)
		v->letter_rule = match_address(IN_MAIL, s->sender[0] ? &a : NULL);
	v->check = free_check();
	conn_hold(s->c);
	check(s, "", helo_checked);
	return NULL;
}

/* ---- RCPT ---- */

/* The rule that decides about all of the letter, so far. */
static const struct rule *
ruled(const struct visit *v)
{
	return v->rule ? v->rule : v->letter_rule;
}

/* Does a rule say that nobody else is asked? */
static int
exempt(const struct rule *r)
{
	return r && (r->deed == DO_ACCEPT || r->deed == DO_DISCARD);
}

/* For a list; the zone is not in the reply's table. */
static const char *
on_list(const struct visit *v)
{
	static char reply[DNS_NAME + 64];

	(void)snprintf(reply, sizeof(reply), "550 5.7.1 Your address is listed by %s", v->zone);
	return reply;
}

const char *
guard_refusal(const struct rule *r)
{
	static char reply[256];

	(void)snprintf(reply, sizeof(reply), "550 5.7.1 %s", *r->arg ? r->arg : "Not wanted here");
	return reply;
}

/* What is known of the peer and the envelope: a reply, if it is enough to refuse. SPF waits for
 * what DMARC says. */
static const char *
verdict(const struct visit *v)
{
	uint32_t found = guard_found(v) & ~SPF_FINDINGS;
	enum finding f;

	if (v->listed == A_REFUSE && !v->good)
		return on_list(v);
	return guard_calls(found, A_REFUSE, &f) ? guard_reply(f) : NULL;
}

const char *
guard_rcpt(struct smtp *s, const struct addr *a, const struct rule **rule)
{
	struct visit *v = &s->visit;
	const struct rule *r;

	*rule = NULL;
	if (!v->stranger)
		return NULL;
	r = ruled(v);
	if (!r && rule_any(IN_RCPT))
		r = *rule = match_address(IN_RCPT, a);
	if (r && r->deed == DO_REFUSE)
		return guard_refusal(r);
	v->accepting = exempt(r);
	if (r && r->deed == DO_ACCEPT)
		return NULL;
	if (limit_reached(C_REFUSED, &s->c->peer))
		return "451 4.7.1 Too many wrong recipients, try again later";
	return v->accepting ? NULL : verdict(v);
}

const char *
guard_grey(struct smtp *s, const struct addr *a)
{
	static char reply[DNS_NAME + 80];
	struct visit *v = &s->visit;
	char rcpt[ADDR_TEXT + 1];
	enum finding f = NFINDINGS;
	int64_t wait;

	if (!v->stranger || v->accepting)
		return NULL;
	if (!guard_calls(guard_found(v), A_GREYLIST, &f) && (v->good || v->listed != A_GREYLIST))
		return NULL;
	(void)text_copy(rcpt, sizeof(rcpt), a->mailbox, a->nmailbox);
	if (grey_ask(&s->c->peer, s->sender, rcpt, &wait) == R_OK)
		return NULL;
	(void)snprintf(reply, sizeof(reply),
	    "451 4.7.1 Greylisted (%s), come again in %lld seconds",
	    f < NFINDINGS ? findings[f].word : v->zone, (long long)wait);
	return reply;
}

void
guard_wrong(struct smtp *s)
{
	if (!s->visit.stranger || s->visit.good)
		return;
	(void)limit_count(C_REFUSED, &s->c->peer);
	conn_delay(s->c, limit_tarpit(++s->visit.wrong));
}

/* ---- start ---- */

static void
check_trusted(void)
{
	struct addr a;
	struct ip net;
	int bits, i;

	for (i = 0; i < NTRUSTED; i++) {
		if (!*trusted[i].network)
			continue;
		if (parse_network(&net, &bits, trusted[i].network) < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d \"%s\": not an address or "
			    "network", i + 1, trusted[i].network);
		if (trusted[i].sender[0] &&
		    addr_mailbox(&a, trusted[i].sender, strlen(trusted[i].sender)) < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d \"%s\": its sender is not an "
			    "address", i + 1, trusted[i].network);
		if (trusted[i].hourly < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d: hourly is negative", i + 1);
	}
	if (login_hourly < 0)
		die(EX_CONFIG, "config.h: login_hourly is negative");
}

static void
check_policies(void)
{
	uint32_t seen = 0;
	int i;

	for (i = 0; i < NPOLICIES; i++) {
		if (policies[i].finding >= NFINDINGS || policies[i].action > A_REFUSE)
			die(EX_CONFIG, "config.h: policies[] row %d: no such finding or action",
			    i + 1);
		if (seen & BIT(policies[i].finding))
			die(EX_CONFIG, "config.h: policies[] row %d: there is a row for it already",
			    i + 1);
		seen |= BIT(policies[i].finding);
	}
	if (greeting_pause < 0 || guard_wait < 0)
		die(EX_CONFIG, "config.h: greeting_pause or guard_wait is negative");
}

static void
check_lists(void)
{
	char name[2 * DNS_NAME];
	int i;

	for (i = 0; i < DNSLISTS; i++) {
		if (!*dnslists[i].zone)
			continue;
		if (idn_ascii(name, sizeof(name), dnslists[i].zone, strlen(dnslists[i].zone)) < 0 ||
		    strlen(name) > 180 || name[strcspn(name, "/:@ ")])
			die(EX_CONFIG, "config.h: dnslists[] row %d \"%s\": not a domain", i + 1,
			    dnslists[i].zone);
		if (!*dnslists[i].answers || strchr(dnslists[i].answers, '/'))
			die(EX_CONFIG, "config.h: dnslists[] row %d: no answers count (a pattern "
			    "as 127.0.0.[2-9] says which)", i + 1);
	}
}

void
guard_check(void)
{
	check_trusted();
	check_policies();
	check_lists();
	rules_check();
	scan_check();
}
