/* See LICENSE file for copyright and licence details. */
/*
 * dnsq SERVERS NAME TYPE [NAME TYPE ...]: all questions at once through the resolver, an answer a
 * line. SERVERS: "127.0.0.1#5353,::1#53". A line: NAME TYPE STATUS TTL CUT and the records behind
 * tabs. A second round asks the same again and says how many answers came without a turn of the
 * loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/dns.h"
#include "lib/loop.h"
#include "lib/text.h"

enum { CONNS = 80, MAX = 60 };

static const struct {
	const char *name;
	enum dns_type type;
} types[] = {
	{ "A", DNS_A }, { "AAAA", DNS_AAAA }, { "MX", DNS_MX }, { "TXT", DNS_TXTS },
	{ "PTR", DNS_PTR }, { "CNAME", DNS_CNAME }
};
static const char *const status[] = { "OK", "NODATA", "NXDOMAIN", "SERVFAIL", "TIMEOUT" };

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int answered, loud = 1;

static void
random_bytes(void *p, size_t n)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		abort();
}

static void
print_rr(const char *type, const struct dns_rr *rr)
{
	static char text[4 * DNS_DATA];
	char ip[IP_TEXT];

	if (!strcmp(type, "A") || !strcmp(type, "AAAA"))
		printf("\t%s", ip_text(ip, &rr->ip));
	else if (!strcmp(type, "MX"))
		printf("\t%d %s.", rr->preference, rr->text);
	else
		printf("\t%s", text_escape(text, sizeof(text), rr->text, rr->n));
}

static void
done(struct dns_query *q, const struct dns_answer *a)
{
	char **arg = q->arg;
	int i;

	answered++;
	if (!loud)
		return;
	printf("%s %s %s %lu %d", arg[0], arg[1], status[a->status], (unsigned long)a->ttl, a->cut);
	for (i = 0; i < a->n; i++)
		print_rr(arg[1], &a->rr[i]);
	putchar('\n');
}

static int
servers(struct dns_server *s, char *list)
{
	char *p, *hash;
	int n = 0;

	for (p = strtok(list, ","); p && n < DNS_SERVERS; p = strtok(NULL, ",")) {
		hash = strchr(p, '#');
		s[n].port = hash ? atoi(hash + 1) : 53;
		if (hash)
			*hash = '\0';
		if (ip_parse(&s[n++].ip, p) < 0)
			abort();
	}
	return n;
}

static int
ask(struct dns_query *q, char **arg)
{
	size_t i;

	q->done = done;
	q->arg = arg;
	q->slot = -1;
	for (i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(types[i].name, arg[1]))
			return dns_ask(q, arg[0], types[i].type);
	return -1;
}

int
main(int argc, char **argv)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };
	static struct dns_query q[MAX];
	struct dns_server s[DNS_SERVERS];
	int i, n = argc / 2 - 1;
	int64_t end;

	if (argc < 4 || argc % 2 || n > MAX)
		return 64;
	loop_init(&mem);
	dns_init(s, servers(s, argv[1]), random_bytes);
	for (i = 0; i < n; i++)
		if (ask(&q[i], argv + 2 + 2 * i) < 0)
			return 65;
	end = loop_now + 50000;
	while (answered < n && loop_now < end)
		loop_turn(dns_tick(1000), NULL, NULL);
	loud = answered = 0;
	for (i = 0; i < n; i++)
		if (ask(&q[i], argv + 2 + 2 * i) < 0)
			return 65;
	(void)dns_tick(0);
	printf("again %d\n", answered);
	return 0;
}
