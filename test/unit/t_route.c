/* with: route.c lib/addr.c lib/fs.c lib/ip.c lib/text.c */
/* config: test/unit/t_route.h */
/* See LICENSE file for copyright and licence details. */
/* Where mail goes, by rows and by made-up answers of name servers. */
#include <errno.h>

#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"
#include "test.h"

char host[HOST_TEXT] = "me.example";
int64_t loop_now, loop_wall;

/* ---- name servers: what is not here does not exist ---- */

static const struct {
	const char *name;
	enum dns_type type;
	enum dns_status status;
	const char *answer;		/* "10 a.example,20 b.example" or addresses */
} zone[] = {
	{ "two.example", DNS_MX, DNS_OK, "20 b.example,10 a.example" },
	{ "a.example", DNS_A, DNS_OK, "192.0.2.1,192.0.2.2" },
	{ "a.example", DNS_AAAA, DNS_OK, "2001:db8::1" },
	{ "b.example", DNS_A, DNS_OK, "192.0.2.3" },
	{ "b.example", DNS_AAAA, DNS_NODATA, "" },
	{ "null.example", DNS_MX, DNS_OK, "0 " },
	{ "plain.example", DNS_MX, DNS_NODATA, "" },
	{ "plain.example", DNS_A, DNS_OK, "192.0.2.4" },
	{ "nothing.example", DNS_MX, DNS_NODATA, "" },
	{ "nothing.example", DNS_A, DNS_NODATA, "" },
	{ "nothing.example", DNS_AAAA, DNS_NODATA, "" },
	{ "fails.example", DNS_MX, DNS_SERVFAIL, "" },
	{ "slow.example", DNS_MX, DNS_TIMEOUT, "" },
	{ "half.example", DNS_MX, DNS_OK, "10 gone.example,20 slow.example" },
	{ "part.example", DNS_MX, DNS_OK, "10 slow.example,20 b.example" },
	{ "slow.example", DNS_A, DNS_TIMEOUT, "" },
	{ "backup.example", DNS_MX, DNS_OK, "10 a.example,20 ME.example,30 b.example" },
	{ "mine.example", DNS_MX, DNS_OK, "10 me.example,20 b.example" },
	{ "equal.example", DNS_MX, DNS_OK, "10 a.example,10 me.example" },
	{ "crowd.example", DNS_MX, DNS_OK, "5 h2.example,5 h1.example,5 h3.example,5 h4.example,"
	    "5 h5.example,5 h6.example,5 h7.example,5 h8.example,5 me.example,1 h9.example" },
	{ "roots.example", DNS_MX, DNS_OK, "0 ,10 " },
	{ "loop.example", DNS_MX, DNS_OK, "10 lo.example" },
	{ "lo.example", DNS_A, DNS_OK, "127.0.0.1,0.0.0.0" },
	{ "lo.example", DNS_AAAA, DNS_OK, "::1" },
	{ "smart.example", DNS_A, DNS_OK, "127.0.0.1" },
	{ "many.example", DNS_MX, DNS_OK, "9 h9.example,8 h8.example,7 h7.example,6 h6.example,"
	    "5 h5.example,4 h4.example,3 h3.example,2 h2.example,1 h1.example,10 a.example" },
	{ "h1.example", DNS_A, DNS_OK, "192.0.2.11" },
	{ "h9.example", DNS_A, DNS_OK, "192.0.2.19" },
};

static struct dns_query *asked;
static char asked_name[DNS_NAME];
static enum dns_type asked_type;
static int full;			/* no more questions now */
static unsigned char dice;

void
random_bytes(void *p, size_t n)
{
	memset(p, dice, n);
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	errno = strchr(name, ' ') ? EINVAL : EAGAIN;
	if (full || strchr(name, ' '))
		return -1;
	asked = q;
	asked_type = type;
	(void)snprintf(asked_name, sizeof(asked_name), "%s", name);
	return 0;
}

void
dns_init(const struct dns_server *s, int n, void (*r)(void *p, size_t n))
{
	(void)s;
	(void)n;
	(void)r;
}

int
dns_resolv_conf(struct dns_server *s, int max, const char *text)
{
	(void)s;
	(void)max;
	(void)text;
	return 0;
}

int
tls_trust(struct tls_trust *t, const char *word)
{
	t->how = TRUST_ANY;
	return *word ? -1 : 0;
}

void
die(int code, const char *fmt, ...)
{
	(void)fmt;
	exit(code);
}

/* One record of an answer. */
static void
record(struct dns_answer *a, char *p)
{
	struct dns_rr *rr = &a->rr[a->n++];
	size_t i;

	if (asked_type != DNS_MX) {
		CHECK_INT(ip_parse(&rr->ip, p), 0);
		return;
	}
	rr->preference = (uint16_t)strtoul(p, &p, 10);
	rr->text = p + 1;
	rr->n = strlen(p + 1);
	for (i = 1; i <= rr->n; i++)
		p[i] = (char)text_lower(p[i]);
}

static void
answer(void)
{
	static char text[512];
	static struct dns_answer a;
	struct dns_query *q = asked;
	char *p;
	size_t i;

	memset(&a, 0, sizeof(a));
	a.status = DNS_NXDOMAIN;
	a.ttl = 600;
	for (i = 0; i < LEN(zone); i++) {
		if (strcmp(zone[i].name, asked_name) != 0 || zone[i].type != asked_type)
			continue;
		a.status = zone[i].status;
		(void)snprintf(text, sizeof(text), "%s", zone[i].answer);
		for (p = text; p && *zone[i].answer; ) {
			char *comma = strchr(p, ',');

			if (comma)
				*comma++ = '\0';
			record(&a, p);
			p = comma;
		}
	}
	asked = NULL;
	q->done(q, &a);
}

/* ---- ---- */

static int done_calls;
static int64_t until;			/* what was found last is good */

static void
done(struct way *w)
{
	(void)w;
	done_calls++;
}

/* All that was found, as "open a.example 192.0.2.1 ...", "never 5.1.2", "later 4.4.3". */
static const char *
find(int row, const char *domain)
{
	static char out[1024];
	static struct way w;
	char ip[IP_TEXT];
	struct hop h;
	int i, n = 0;

	memset(&w, 0, sizeof(w));
	done_calls = 0;
	CHECK_INT(route_find(&w, row, domain, done), 0);
	if (w.state == WAY_ASKING) {
		while (asked && n++ < 100)
			answer();
		CHECK_INT(done_calls, 1);
	}
	if (w.state != WAY_OPEN) {
		(void)snprintf(out, sizeof(out), "%s %s",
		    w.state == WAY_NEVER ? "never" : "later", w.status);
		return out;
	}
	until = w.until - loop_now;
	CHECK(w.until >= loop_now + 60000 && w.until <= loop_now + 3600000);
	(void)snprintf(out, sizeof(out), "open");
	for (i = 0; i < w.n; i++) {
		route_hop(&h, &w, i);
		CHECK_INT(h.port, routes[row].port);
		(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " %s=%s", h.host,
		    ip_text(ip, &h.ip));
	}
	return out;
}

enum { SMART, LMTP, MX };

static const struct {
	int row;
	const char *domain, *want;
} ways[] = {
	{ MX, "two.example", "open a.example=2001:db8::1 a.example=192.0.2.1 a.example=192.0.2.2 "
	    "b.example=192.0.2.3" },
	{ MX, "null.example", "never 5.1.10" },
	{ MX, "plain.example", "open plain.example=192.0.2.4" },
	{ MX, "nothing.example", "never 5.4.4" },
	{ MX, "nowhere.example", "never 5.1.2" },
	{ MX, "fails.example", "later 4.4.3" },
	{ MX, "slow.example", "later 4.4.3" },
	{ MX, "half.example", "later 4.4.3" },
	{ MX, "part.example", "open b.example=192.0.2.3" },
	{ MX, "backup.example",
	    "open a.example=2001:db8::1 a.example=192.0.2.1 a.example=192.0.2.2" },
	{ MX, "mine.example", "never 5.4.6" },
	{ MX, "equal.example", "never 5.4.6" },
	{ MX, "crowd.example", "open h9.example=192.0.2.19" },
	{ MX, "roots.example", "never 5.4.4" },
	{ MX, "loop.example", "never 5.4.4" },
	{ MX, "many.example", "open h1.example=192.0.2.11" },
	{ MX, "no name", "never 5.1.2" },
	{ MX, "[192.0.2.9]", "open [192.0.2.9]=192.0.2.9" },
	{ MX, "[IPv6:2001:db8::9]", "open [IPv6:2001:db8::9]=2001:db8::9" },
	{ MX, "[127.0.0.1]", "never 5.4.4" },
	{ SMART, "any.example", "open smart.example=127.0.0.1" },
	{ LMTP, "any.example", "open [127.0.0.1]=127.0.0.1" },
};

static const struct {
	const char *sender, *recipient;
	int row;
} rows[] = {
	{ "smart.org", "x.example", SMART },
	{ "SMART.org", "x.example", SMART },
	{ "a.smart.org", "x.example", MX },
	{ "", "x.example", MX },
	{ "x.example", "in.lmtp.example", LMTP },
	{ "", "lmtp.example", MX },
	{ "", "xlmtp.example", MX },
};

int
main(void)
{
	static struct way w;
	size_t i;

	for (i = 0; i < LEN(ways); i++)
		CHECK_STR(find(ways[i].row, ways[i].domain), ways[i].want);
	for (i = 0; i < LEN(rows); i++)
		CHECK_MSG(route_row(rows[i].sender, rows[i].recipient) == rows[i].row,
		    "row %d", (int)i);
	/* what was not to be learnt is asked again soon */
	(void)find(MX, "two.example");
	CHECK_INT(until, 600000);
	(void)find(MX, "part.example");
	CHECK_INT(until, 60000);
	full = 1;
	CHECK_INT(route_find(&w, MX, "two.example", done), -1);
	CHECK_INT(w.state, WAY_NONE);
	return test_end();
}
