/* See LICENSE file for copyright and licence details. */
/*
 * Where to: the rows of routes[], the MX records of a domain, the addresses of its hosts (RFC 5321
 * 5, RFC 7505). The questions go one after the other: MX, then for each host AAAA and A.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum {
	LEAST_MS = 60000,		/* an answer is used at least so long */
	MOST_MS = 3600000
};

/* ---- rows ---- */

/* Does a pattern of routes[] fit a domain? */
static int
fits(const char *pattern, const char *domain)
{
	size_t n = strlen(domain), np = strlen(pattern);

	if (!strcmp(pattern, "*"))
		return 1;
	if (*pattern != '.')
		return text_ieq(pattern, np, domain, n);
	return n > np && text_ieq(pattern, np, domain + n - np, np);
}

int
route_row(const char *sender, const char *recipient)
{
	size_t i;

	for (i = 0; i < LEN(routes); i++)
		if (fits(routes[i].sender, sender) && fits(routes[i].recipient, recipient))
			return (int)i;
	return -1;
}

/* ---- asking ---- */

static void
settle(struct way *w, int state, const char *status, const char *words)
{
	w->state = state;
	(void)text_copy(w->status, sizeof(w->status), status, strlen(status));
	w->words = words;
	if (state != WAY_OPEN)
		w->until = loop_now + (state == WAY_NEVER ? LEAST_MS : host_rest);
	w->done(w);
}

/* The answer is good as long as the shortest of its parts. */
static void
keep(struct way *w, uint32_t ttl)
{
	int64_t ms = (int64_t)ttl * 1000;

	ms = ms < LEAST_MS ? LEAST_MS : ms > MOST_MS ? MOST_MS : ms;
	if (loop_now + ms < w->until)
		w->until = loop_now + ms;
}

static void
add_address(struct way *w, const struct ip *ip)
{
	static const struct ip none, loopback6 = { { [15] = 1 } };
	int by_mx = !routes[w->row].host[0];

	if (w->n == ADDRESSES || !memcmp(ip, &none, sizeof(none)))
		return;
	/* nobody's MX is our own loopback */
	if (by_mx && (ip_is4(ip) ? ip->a[12] == 127 || ip->a[12] == 0 :
	    ip_within(ip, &loopback6, 128)))
		return;
	w->address[w->n].ip = *ip;
	w->address[w->n++].host = w->host;
}

static void next_question(struct way *w);

static void
addresses(struct dns_query *q, const struct dns_answer *a)
{
	struct way *w = q->arg;
	int i;

	if (a->status == DNS_SERVFAIL || a->status == DNS_TIMEOUT)
		w->soft = 1;
	for (i = 0; i < a->n; i++)
		add_address(w, &a->rr[i].ip);
	if (a->status == DNS_OK)
		keep(w, a->ttl);
	if (w->six == prefer_ipv6) {
		w->six = !w->six;
	} else {
		w->six = prefer_ipv6;
		w->host++;
	}
	next_question(w);
}

/* All questions about hosts are asked. Those without an answer are asked again soon: the best host
 * may be among them. */
static void
conclude(struct way *w)
{
	if (w->soft)
		keep(w, 0);
	if (w->n)
		settle(w, WAY_OPEN, "", "");
	else if (w->soft)
		settle(w, WAY_LATER, "4.4.3", "the name servers do not answer");
	else if (routes[w->row].host[0])	/* our own setting: somebody will mend it */
		settle(w, WAY_LATER, "4.4.4", "the host of routes[] has no address");
	else
		settle(w, WAY_NEVER, "5.4.4", "none of its hosts has an address");
}

static void
next_question(struct way *w)
{
	if (w->host == w->nhosts || w->n == ADDRESSES) {
		conclude(w);
		return;
	}
	w->q.done = addresses;
	while (w->host < w->nhosts &&
	    dns_ask(&w->q, w->hosts[w->host], w->six ? DNS_AAAA : DNS_A) < 0) {
		/* else it is no name: no host of that name is there */
		w->soft |= errno != EINVAL;
		w->host++;
	}
	if (w->host == w->nhosts)
		conclude(w);
}

/* ---- MX ---- */

static void
swap_hosts(struct way *w, int i, int j)
{
	char t[ADDR_DOMAIN + 1];
	uint16_t p = w->preference[i];

	memcpy(t, w->hosts[i], sizeof(t));
	memcpy(w->hosts[i], w->hosts[j], sizeof(t));
	memcpy(w->hosts[j], t, sizeof(t));
	w->preference[i] = w->preference[j];
	w->preference[j] = p;
}

/* Keep the HOSTS best ones. */
static void
add_host(struct way *w, const struct dns_rr *rr)
{
	int i, worst = 0;

	if (w->nhosts < HOSTS) {
		worst = w->nhosts++;
	} else {
		for (i = 1; i < HOSTS; i++)
			if (w->preference[i] > w->preference[worst])
				worst = i;
		if (w->preference[worst] <= rr->preference)
			return;
	}
	(void)text_copy(w->hosts[worst], sizeof(w->hosts[0]), rr->text, rr->n);
	w->preference[worst] = rr->preference;
}

/* By preference; among equals chance decides (RFC 5321 5.1). */
static void
sort_hosts(struct way *w)
{
	unsigned char r[HOSTS];
	int i, j;

	random_bytes(r, sizeof(r));
	for (i = w->nhosts - 1; i > 0; i--)
		swap_hosts(w, i, r[i] % (i + 1));
	for (i = 1; i < w->nhosts; i++)
		for (j = i; j > 0 && w->preference[j - 1] > w->preference[j]; j--)
			swap_hosts(w, j, j - 1);
}

/* We are one of them: those behind us and beside us are not for us to try. */
static long
preference_of_us(const struct dns_answer *a)
{
	long ours = UINT16_MAX + 1L;
	int i;

	for (i = 0; i < a->n; i++)
		if (a->rr[i].preference < ours && text_is(a->rr[i].text, a->rr[i].n, host))
			ours = a->rr[i].preference;
	return ours;
}

static void
by_mx(struct way *w, const struct dns_answer *a)
{
	long ours = preference_of_us(a);
	int i;

	keep(w, a->ttl);
	if (a->n == 1 && a->rr[0].n == 0) {
		settle(w, WAY_NEVER, "5.1.10", "the domain takes no mail (null MX, RFC 7505)");
		return;
	}
	for (i = 0; i < a->n; i++)
		if (a->rr[i].n && a->rr[i].n <= ADDR_DOMAIN && a->rr[i].preference < ours)
			add_host(w, &a->rr[i]);
	sort_hosts(w);
	if (!w->nhosts && ours <= UINT16_MAX)
		settle(w, WAY_NEVER, "5.4.6", "its mail exchanger is this host: a loop");
	else
		next_question(w);
}

static void
exchangers(struct dns_query *q, const struct dns_answer *a)
{
	struct way *w = q->arg;

	switch (a->status) {
	case DNS_OK:
		by_mx(w, a);
		return;
	case DNS_NODATA:		/* the domain is its own exchanger, if it has an address */
		if (text_is(w->name, strlen(w->name), host)) {
			settle(w, WAY_NEVER, "5.4.6", "its mail exchanger is this host: a loop");
			return;
		}
		w->nhosts = 1;
		(void)text_copy(w->hosts[0], sizeof(w->hosts[0]), w->name, strlen(w->name));
		next_question(w);
		return;
	case DNS_NXDOMAIN:
		settle(w, WAY_NEVER, "5.1.2", "there is no such domain");
		return;
	case DNS_SERVFAIL:
		settle(w, WAY_LATER, "4.4.3", "its name servers fail");
		return;
	case DNS_TIMEOUT:
		settle(w, WAY_LATER, "4.4.3", "the name servers do not answer");
		return;
	}
}

/* ---- from outside ---- */

/* An address, also in brackets and with IPv6: before it (RFC 5321 4.1.3): 0 or -1. */
static int
literal(struct ip *ip, const char *name)
{
	char t[IP_TEXT];
	size_t n = strlen(name);

	if (n < 3 || *name != '[' || name[n - 1] != ']')
		return -1;
	name++;
	n -= 2;
	if (text_begins(name, n, "IPv6:")) {
		name += 5;
		n -= 5;
	}
	return text_copy(t, sizeof(t), name, n) < 0 ? -1 : ip_parse(ip, t);
}

int
route_find(struct way *w, int row, const char *domain, void (*done)(struct way *w))
{
	const char *name = routes[row].host[0] ? routes[row].host : domain;
	struct ip ip;
	int asked;

	w->row = row;
	w->done = done;
	w->n = w->nhosts = w->host = w->soft = 0;
	w->six = prefer_ipv6;
	w->until = loop_now + MOST_MS;
	w->q.arg = w;
	(void)text_copy(w->name, sizeof(w->name), name, strlen(name));
	if (literal(&ip, name) == 0) {
		(void)text_copy(w->hosts[0], sizeof(w->hosts[0]), name, strlen(name));
		add_address(w, &ip);
		w->state = w->n ? WAY_OPEN : WAY_NEVER;
		(void)text_copy(w->status, sizeof(w->status), "5.4.4", 5);
		w->words = "not an address for mail";
		return 0;
	} else if (routes[row].host[0]) {
		w->nhosts = 1;
		(void)text_copy(w->hosts[0], sizeof(w->hosts[0]), name, strlen(name));
		w->q.done = addresses;
		asked = dns_ask(&w->q, name, w->six ? DNS_AAAA : DNS_A);
	} else {
		w->q.done = exchangers;
		asked = dns_ask(&w->q, name, DNS_MX);
	}
	w->state = asked == 0 ? WAY_ASKING : errno == EINVAL ? WAY_NEVER : WAY_NONE;
	(void)text_copy(w->status, sizeof(w->status), "5.1.2", 5);
	w->words = "not a name of a domain";
	return w->state == WAY_NONE ? -1 : 0;
}

void
route_hop(struct hop *h, const struct way *w, int i)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->host, w->hosts[w->address[i].host], sizeof(h->host));
	h->ip = w->address[i].ip;
	h->route = &routes[w->row];
	h->port = h->route->port;
}

/* ---- start ---- */

/* "192.0.2.1" or "192.0.2.1#5353": 0 or -1. */
static int
server(struct dns_server *s, const char *text)
{
	const char *hash = strchr(text, '#');
	char ip[IP_TEXT];
	uint64_t port = 53;

	if (hash && (text_u64(hash + 1, strlen(hash + 1), &port) < 0 || port < 1 || port > 65535))
		return -1;
	s->port = (int)port;
	return text_copy(ip, sizeof(ip), text, hash ? (size_t)(hash - text) : strlen(text)) < 0 ?
	    -1 : ip_parse(&s->ip, ip);
}

static void
init_servers(void)
{
	static struct dns_server servers[DNS_SERVERS];
	static char conf[16384];
	size_t i;
	int n = 0;

	for (i = 0; i < LEN(name_servers); i++) {
		if (!name_servers[i][0])
			continue;
		if (n == DNS_SERVERS || server(&servers[n++], name_servers[i]) < 0)
			die(EX_CONFIG, "config.h: name_servers[] row %d \"%s\": not an address, "
			    "or too many", (int)i + 1, name_servers[i]);
	}
	if (!n && fs_slurp("/etc/resolv.conf", conf, sizeof(conf)) > 0)
		n = dns_resolv_conf(servers, DNS_SERVERS, conf);
	dns_init(servers, n, random_bytes);
}

static void
bad_row(size_t row, const char *what)
{
	die(EX_CONFIG, "config.h: routes[] row %d { \"%s\", \"%s\", \"%s\" }: %s", (int)row + 1,
	    routes[row].sender, routes[row].recipient, routes[row].host, what);
}

static void
check_pattern(size_t row, const char *p)
{
	if (strcmp(p, "*") != 0 && !addr_domain(p + (*p == '.'), strlen(p + (*p == '.'))) &&
	    !addr_literal(p, strlen(p)))
		bad_row(row, "a domain is \"example.org\", \".example.org\" or \"*\"");
}

static void
check_row(size_t row)
{
	const struct route *r = &routes[row];
	struct tls_trust trust;
	struct ip ip;

	check_pattern(row, r->sender);
	check_pattern(row, r->recipient);
	if (r->host[0] && literal(&ip, r->host) < 0 && !addr_domain(r->host, strlen(r->host)))
		bad_row(row, "the host is a name or an [address]");
	if (r->port < 1 || r->port > 65535)
		bad_row(row, "not a port");
	if (tls_trust(&trust, r->verify) < 0)
		bad_row(row, "verify is \"\", \"ca\", \"builtin\" or \"sha256:\" and 64 digits");
	if (trust.how != TRUST_ANY && r->tls != ROUTE_MUST && r->tls != ROUTE_WRAP)
		bad_row(row, "verify wants ROUTE_MUST or ROUTE_WRAP");
	if (r->auth[0] && !r->host[0])
		bad_row(row, "auth wants a host");
}

void
route_init(void)
{
	size_t i;

	for (i = 0; i < LEN(routes); i++)
		check_row(i);
	init_servers();
}
