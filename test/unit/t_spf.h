/* See LICENSE file for copyright and licence details. */
/*
 * For t_spf.c: a resolver that answers from a zone of lines "NAME TYPE DATA" when it is told to,
 * and one check from its start to its end.
 */
#ifndef T_SPF_H
#define T_SPF_H

#include <errno.h>

#include "lib/loop.h"
#include "lib/spf.h"
#include "lib/text.h"
#include "test.h"

enum { RECORDS = 4096, SUITE = 203, MOST = 233 };

int64_t loop_wall = 1700000000;

/* ---- the resolver ---- */

static struct {
	char name[512];
	int type;			/* 0: other questions for it time out; -1: fail */
	char data[9000];
	size_t n;
} zone[RECORDS];
static int nzone;

static struct {
	struct dns_query *q;
	char name[DNS_NAME];
	enum dns_type type;
} asked[32];
static int asks, busy_from, cut;
static char asked_log[65536];

/* Labels of 1 to 63 octets, 253 in all, printable (a blank for the suite's sake). */
static int
is_dns_name(const char *p)
{
	size_t i, n = strlen(p), start = 0;

	n -= n && p[n - 1] == '.';
	if (n > 253)
		return 0;
	for (i = 0; i <= n; i++) {
		if (i < n && (p[i] < ' ' || p[i] > '~' || p[i] == '\\'))
			return 0;
		if (i < n && p[i] != '.')
			continue;
		if (i == start || i - start > 63)
			return 0;
		start = i + 1;
	}
	return 1;
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	size_t i;

	asks++;
	q->slot = -1;
	if (busy_from && asks >= busy_from) {
		errno = EAGAIN;
		return -1;
	}
	if (!is_dns_name(name)) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < LEN(asked) && asked[i].q; i++)
		;
	if (i == LEN(asked))
		abort();
	(void)text_copy(asked[i].name, DNS_NAME, name, strlen(name));
	if (name[strlen(name) - 1] == '.')
		asked[i].name[strlen(name) - 1] = '\0';
	asked[i].type = type;
	asked[i].q = q;
	q->slot = (int)i;
	i = strlen(asked_log);
	(void)snprintf(asked_log + i, sizeof(asked_log) - i, "%d:%s ", type, name);
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	if (q->slot >= 0 && q->slot < (int)LEN(asked) && asked[q->slot].q == q)
		asked[q->slot].q = NULL;
	q->slot = -1;
}

static int
type_of(const char *p, size_t n)
{
	static const struct {
		const char *name;
		int type;
	} types[] = {
		{ "A", DNS_A }, { "AAAA", DNS_AAAA }, { "MX", DNS_MX }, { "PTR", DNS_PTR },
		{ "TXT", DNS_TXTS }, { "CNAME", DNS_CNAME }, { "TIMEOUT", 0 }, { "FAIL", -1 },
	};
	size_t i;

	for (i = 0; i < LEN(types); i++)
		if (strlen(types[i].name) == n && !memcmp(types[i].name, p, n))
			return types[i].type;
	printf("no such type: %.*s\n", (int)n, p);
	abort();
}

/* Undo \xNN: the length. */
static size_t
unescape(char *dst, const char *p, size_t n)
{
	char hex[3] = "";
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (p[i] == '\\' && n - i > 3) {
			memcpy(hex, p + i + 2, 2);
			dst[o++] = (char)strtol(hex, NULL, 16);
			i += 3;
		} else {
			dst[o++] = p[i];
		}
	}
	dst[o] = '\0';
	return o;
}

static void
rr(struct dns_answer *a, int i)
{
	static char low[64][DNS_NAME];
	struct dns_rr *r;
	size_t k;

	if (a->n == DNS_RRS) {
		a->cut = 1;
		return;
	}
	r = &a->rr[a->n];
	r->text = zone[i].data;
	r->n = zone[i].n;
	if (zone[i].type == DNS_A || zone[i].type == DNS_AAAA) {
		if (ip_parse(&r->ip, zone[i].data) < 0)
			abort();
	} else if (zone[i].type != DNS_TXTS) {
		if (zone[i].type == DNS_MX) {
			r->text = strchr(r->text, ' ') + 1;
			r->n = strlen(r->text);
		}
		r->n -= r->n && r->text[r->n - 1] == '.';
		for (k = 0; k < r->n; k++)
			low[a->n][k] = (char)text_lower((unsigned char)r->text[k]);
		low[a->n][k] = '\0';
		r->text = low[a->n];
	}
	a->n++;
}

/* What the zone has for a name: its status. */
static void
look(struct dns_answer *a, const char *name, int type)
{
	int i, links, silent = 1;
	const char *alias = name;

	memset(a, 0, sizeof(*a));
	for (links = 0; alias && links < 9; links++) {
		name = alias;
		alias = NULL;
		a->status = DNS_NXDOMAIN;
		for (i = 0; i < nzone; i++) {
			if (!text_is(name, strlen(name), zone[i].name))
				continue;
			a->status = DNS_NODATA;
			if (zone[i].type == DNS_CNAME)
				alias = zone[i].data;
			else if (zone[i].type <= 0)
				silent = zone[i].type;
			else if (zone[i].type == type)
				rr(a, i);
		}
	}
	if (alias)
		a->status = DNS_SERVFAIL;
	else if (a->n)
		a->status = DNS_OK;
	else if (silent < 1)
		a->status = silent ? DNS_SERVFAIL : DNS_TIMEOUT;
	a->cut |= a->n && cut;
}

/* Answer a question: 0 if there is none. */
static int
deliver(int i)
{
	static struct dns_answer a;
	struct dns_query *q = asked[i].q;

	if (!q)
		return 0;
	look(&a, asked[i].name, asked[i].type);
	asked[i].q = NULL;
	q->slot = -1;
	q->done(q, &a);
	memset(&a, 0x55, sizeof(a));
	return 1;
}

static void
zone_line(const char *p, size_t n)
{
	const char *sp = memchr(p, ' ', n), *e = p + n, *sp2;

	if (!sp || nzone == RECORDS || n > 8900)
		abort();
	(void)unescape(zone[nzone].name, p, (size_t)(sp - p));
	p = sp + 1;
	sp2 = memchr(p, ' ', (size_t)(e - p));
	if (!sp2)
		sp2 = e;
	zone[nzone].type = type_of(p, (size_t)(sp2 - p));
	p = sp2 < e ? sp2 + 1 : e;
	zone[nzone].n = unescape(zone[nzone].data, p, (size_t)(e - p));
	nzone++;
}

/* Lines "NAME TYPE DATA"; each with a newline but the last. */
static void
zone_add(const char *p)
{
	size_t n;

	for (; *p; p += n + (p[n] == '\n')) {
		n = strcspn(p, "\n");
		if (n)
			zone_line(p, n);
	}
}

/* What most tests find in the DNS. */
static const char common[] =
	"example.com A 192.0.2.1\nexample.com AAAA 2001:db8::1\n"
	"example.com MX 10 mx1.example.com\nexample.com MX 20 mx2.example.com\n"
	"mx1.example.com A 192.0.2.11\nmx2.example.com A 192.0.2.12\n"
	"mx2.example.com AAAA 2001:db8::12\n"
	"a.example.com A 192.0.2.2\na.example.com A 192.0.2.3\n"
	"six.example.com AAAA 2001:db8::6\n"
	"mapped.example.com AAAA ::ffff:192.0.2.1\n"
	"null.example.com MX 0 .\n"
	"late.example.com TIMEOUT\nbad.example.com FAIL\n"
	"badhost.example.com MX 1 bad.example.com\n"
	"1.2.0.192.in-addr.arpa PTR Host.Example.com.\n"
	"2.2.0.192.in-addr.arpa PTR nowhere.example.com\n"
	"3.2.0.192.in-addr.arpa PTR badexample.com\n"
	"4.2.0.192.in-addr.arpa FAIL\n"
	"5.2.0.192.in-addr.arpa PTR bad.example.com\n5.2.0.192.in-addr.arpa PTR ex.example.net\n"
	"6.2.0.192.in-addr.arpa PTR ex.example.net\n6.2.0.192.in-addr.arpa PTR w.example.com\n"
	"6.2.0.192.in-addr.arpa PTR example.com\n"
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa PTR"
	" host.example.com\n"
	"host.example.com A 192.0.2.1\nhost.example.com AAAA 2001:db8::1\n"
	"w.example.com A 192.0.2.6\nexample.com A 192.0.2.6\n"
	"badexample.com A 192.0.2.3\nex.example.net A 192.0.2.5\nex.example.net A 192.0.2.6\n"
	"pass.example.com TXT v=spf1 +all\nfail.example.com TXT v=spf1 -all exp=why.example.com\n"
	"soft.example.com TXT v=spf1 ~all\nneutral.example.com TXT v=spf1 ?all\n"
	"empty.example.com TXT v=spf1\nwrong.example.com TXT v=spf1 all foo\n"
	"none.example.com TXT hello\n"
	"why.example.com TXT Because.\n"
	"two.example.com TXT a\ntwo.example.com TXT b\n"
	"long.example.com TXT v=spf1 include:pass.example.com -all\n"
	"redir.example.com TXT v=spf1 redirect=fail.example.com\n";

/* ---- checks ---- */

static struct spf spf;
static int ended;

static void
ends(struct spf *s)
{
	ended++;
	CHECK_INT(s->q.slot, -1);
}

static int
is_printable(const char *p)
{
	size_t n = strnlen(p, SPF_WORDS);

	while (*p >= ' ' && *p <= '~')
		p++;
	return n < SPF_WORDS && !*p;
}

static void
start(struct spf *s, const char *peer, const char *helo, const char *sender)
{
	struct ip ip;

	if (ip_parse(&ip, peer) < 0)
		abort();
	asks = 0;
	asked_log[0] = '\0';
	memset(s, 0x55, sizeof(*s));
	s->q.slot = -1;
	s->done = ends;
	ended = 0;
	spf_check(s, &ip, helo, sender, "mx.example.org");
}

static void
finish(void)
{
	int i;

	for (i = 0; i < 1000 && deliver(0); i++)
		;
	CHECK_INT(ended, 1);
	CHECK(asks <= MOST);
	CHECK(is_printable(spf.words));
}

/* The check of the sender u@example.com, or another. */
static const char *
check(const char *peer, const char *helo, const char *sender)
{
	start(&spf, peer, helo, sender);
	finish();
	return spf_word(spf.result);
}

/* The same with the result that is wanted: 1 or 0. */
static int
comes_to(const char *want, const char *peer, const char *helo, const char *sender)
{
	return !strcmp(check(peer, helo, sender), want);
}

#endif
