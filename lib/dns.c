/* See LICENSE file for copyright and licence details. */
/*
 * A resolver that never blocks. Each try of a question has a socket of its own, connected to the
 * server asked: the kernel lets nobody else answer, and the port is as random as the id. The hooks
 * of the loop only read answers; what is to be sent, and what silence means, is for dns_tick():
 *
 *	NEW	the name may be in the cache
 *	SEND	the next try is due: by UDP, or by TCP after a truncated answer
 *	WAIT	for the answer, until `by`
 *
 * A chain of CNAMEs that ends outside an answer makes the question NEW again, with another name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "dnsmsg.h"
#include "log.h"
#include "loop.h"
#include "text.h"

enum {
	QUESTIONS = 768,	/* under way at once */
	STREAMS = 4,		/* of these by TCP */
	FIRST_MS = 3000,	/* for an answer, when a server is asked for the first time */
	SECOND_MS = 5000,	/* and for the second, or by TCP */
	TOTAL_MS = 40000,	/* for a question, with all its CNAMEs */
	BUSY_MS = 50,		/* until the next look whether a stream is free */
	SHY_MS = 30000,		/* a server that was silent is not asked first for so long */
	ALIENS = 16,		/* wrong answers until somebody seems to be guessing: then TCP */
	DAY = 86400,
	NEGATIVE = 3600,	/* seconds that "no" is believed at most */
	ENTRIES = 512,		/* answers in the cache */
	CACHE = 65536		/* octets of them */
};

enum state { NEW, SEND, WAIT };

/* An answer by TCP as it comes in. */
struct stream {
	int used;
	size_t n;
	unsigned char b[2 + DNSMSG_TCP];
};

struct question {
	struct dns_query *q;	/* NULL: free */
	struct conn *c;
	struct stream *s;
	int64_t by;		/* when this try has taken too long */
	int64_t end;		/* when all of it has */
	uint32_t ttl;		/* the shortest of the chain */
	uint16_t type, id;
	unsigned char state;
	unsigned char links;	/* CNAMEs followed */
	unsigned char first;	/* the server that was asked first */
	unsigned char tries;	/* each server has two */
	unsigned char tired;	/* a bit for each server that will not answer this */
	unsigned char plain;	/* without EDNS */
	unsigned char tcp;
	unsigned char aliens;
	char name[DNS_NAME];	/* that was asked for */
	char at[DNS_NAME];	/* that the chain has reached */
};

/* In the cache: the name with its NUL and the packed records lie in its octets, in this order. */
struct entry {
	int64_t until, used;	/* monotonic */
	uint32_t at;
	uint16_t nname, n;
	uint16_t type;
	unsigned char status, cut;
};

static struct dns_server servers[DNS_SERVERS];
static int64_t shy[DNS_SERVERS];
static int nservers;
static void (*fill)(void *p, size_t n);
static struct question questions[QUESTIONS];
static int high;			/* behind the last one in use */
static struct stream streams[STREAMS];
static struct dns_found found;
static struct {
	struct entry e[ENTRIES];
	int n;
	uint32_t used;		/* octets */
	char b[CACHE];
} cache;
static int delivered;		/* in this tick: who was told may have something to do now */

const size_t dns_memory = sizeof(questions) + sizeof(streams) + sizeof(found) + sizeof(cache);

/* ---- the cache ---- */

static void
forget(struct entry *e)
{
	uint32_t size = (uint32_t)e->nname + e->n;

	memmove(cache.b + e->at, cache.b + e->at + size, cache.used - e->at - size);
	cache.used -= size;
	for (cache.n--; e < cache.e + cache.n; e++) {
		e[0] = e[1];
		e->at -= size;
	}
}

/* The entry with this name and type, or NULL. */
static struct entry *
lookup(const char *name, int type)
{
	size_t n = strlen(name) + 1;
	struct entry *e;

	for (e = cache.e; e < cache.e + cache.n; e++)
		if (e->type == type && e->nname == n && !memcmp(cache.b + e->at, name, n))
			return e;
	return NULL;
}

/* The one that is missed least: it is out of date, or has not been asked for the longest time. */
static struct entry *
least(void)
{
	struct entry *e, *k = cache.e;
	int64_t use, worst = INT64_MAX;

	for (e = cache.e; e < cache.e + cache.n; e++) {
		use = e->until <= loop_now ? -1 : e->used;
		if (use < worst) {
			worst = use;
			k = e;
		}
	}
	return k;
}

static void
keep(const struct question *t, enum dns_status status, uint32_t ttl)
{
	size_t n = strlen(t->name) + 1;
	struct entry *e = lookup(t->name, t->type);

	if (e)
		forget(e);
	if (!ttl)
		return;
	while (cache.n == ENTRIES || sizeof(cache.b) - cache.used < n + found.n)
		forget(least());
	e = &cache.e[cache.n++];
	e->until = loop_now + (int64_t)ttl * 1000;
	e->used = loop_now;
	e->at = cache.used;
	e->nname = (uint16_t)n;
	e->n = (uint16_t)found.n;
	e->type = t->type;
	e->status = (unsigned char)status;
	e->cut = (unsigned char)found.cut;
	memcpy(cache.b + e->at, t->name, n);
	memcpy(cache.b + e->at + n, found.b, found.n);
	cache.used += (uint32_t)(n + found.n);
}

/* ---- the end of a question ---- */

/* The connection of a try is no longer wanted. */
static void
leave(struct question *t)
{
	if (t->s)
		t->s->used = 0;
	t->s = NULL;
	if (!t->c)
		return;
	t->c->session = NULL;
	conn_abort(t->c, NULL);
	t->c = NULL;
}

static void
deliver(struct question *t, const struct dns_answer *a)
{
	struct dns_query *q = t->q;

	leave(t);
	t->q = NULL;
	q->slot = -1;
	delivered = 1;
	q->done(q, a);
}

/* There is no answer to be had. */
static void
fail(struct question *t)
{
	struct dns_answer a;

	memset(&a, 0, sizeof(a));
	a.status = t->tired ? DNS_SERVFAIL : DNS_TIMEOUT;
	deliver(t, &a);
}

static void
answer(struct question *t, enum dns_status status)
{
	uint32_t most = status == DNS_OK ? DAY : NEGATIVE;
	struct dns_answer a;

	memset(&a, 0, sizeof(a));
	a.status = status;
	a.ttl = found.ttl < t->ttl ? found.ttl : t->ttl;
	if (a.ttl > most)
		a.ttl = most;
	a.cut = found.cut;
	keep(t, status, a.ttl);
	dnsmsg_unpack(&a, t->type, found.b, found.n);
	deliver(t, &a);
}

/* ---- what an answer leads to ---- */

static int
server_of(const struct question *t)
{
	return (t->first + t->tries) % nservers;
}

/* Once more, or by other means, with the same server. */
static void
again(struct question *t)
{
	leave(t);
	t->state = SEND;
}

static void
next_try(struct question *t)
{
	t->tries++;
	t->tcp = t->aliens = 0;
	again(t);
}

/* A server that does not help: it need not be asked again. */
static void
refused(struct question *t)
{
	t->tired |= (unsigned char)(1 << server_of(t));
	next_try(t);
}

/* No word from it. */
static void
silent(struct question *t)
{
	shy[server_of(t)] = loop_now + SHY_MS;
	next_try(t);
}

/* Begin to ask for t->at. */
static void
begin(struct question *t)
{
	int i;

	t->state = NEW;
	t->tries = t->tired = t->plain = t->tcp = t->aliens = t->first = 0;
	for (i = nservers - 1; i >= 0; i--)
		if (shy[i] <= loop_now)
			t->first = (unsigned char)i;
}

static void
follow(struct question *t)
{
	leave(t);
	t->links = (unsigned char)(t->links + found.links);
	if (found.ttl < t->ttl)
		t->ttl = found.ttl;
	(void)text_copy(t->at, sizeof(t->at), found.name, strlen(found.name));
	begin(t);
}

static void
alien(struct question *t)
{
	if (t->tcp) {
		refused(t);
	} else if (++t->aliens == ALIENS) {
		t->tcp = 1;
		again(t);
	}
}

static void
judge(struct question *t, const unsigned char *p, size_t n)
{
	enum dnsmsg m;

	m = dnsmsg_read(&found, p, n, t->at, t->type, t->id, DNS_CHAIN - t->links);
	if (m != M_ALIEN)
		shy[server_of(t)] = 0;
	switch (m) {
	case M_ALIEN:
		alien(t);
		break;
	case M_TRUNCATED:
		if (t->tcp) {
			refused(t);
		} else {
			t->tcp = 1;
			again(t);
		}
		break;
	case M_FORMERR:
		if (t->plain) {
			refused(t);
		} else {
			t->plain = 1;
			again(t);
		}
		break;
	case M_REFUSED:
		refused(t);
		break;
	case M_FOLLOW:
		follow(t);
		break;
	case M_OK:
		answer(t, DNS_OK);
		break;
	case M_NODATA:
		answer(t, DNS_NODATA);
		break;
	case M_NXDOMAIN:
		answer(t, DNS_NXDOMAIN);
		break;
	}
}

/* ---- connections ---- */

/* The loop has ended it: there is no such server, or it has hung up. */
static void
ended(struct conn *c)
{
	struct question *t = c->session;

	if (!t)
		return;
	t->c = NULL;
	silent(t);
}

static void
datagram(struct conn *c, int revents)
{
	static unsigned char b[DNSMSG_UDP];
	ssize_t n = recv(c->fd, b, sizeof(b), MSG_TRUNC);
	struct question *t = c->session;

	(void)revents;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			silent(t);
		return;
	}
	if ((size_t)n > sizeof(b)) {
		n = sizeof(b);
		b[2] |= 2;	/* TC */
	}
	judge(t, b, (size_t)n);
}

static void
octets(struct conn *c)
{
	struct question *t = c->session;
	struct stream *s = t->s;
	const char *p;
	size_t n, want;

	while (!c->dead && (p = conn_in(c, &n)) != NULL) {
		want = s->n < 2 ? 2 - s->n : 2 + ((size_t)s->b[0] << 8 | s->b[1]) - s->n;
		if (n > want)
			n = want;
		memcpy(s->b + s->n, p, n);
		conn_eat(c, n);
		s->n += n;
		if (s->n < 2)
			continue;
		want = (size_t)s->b[0] << 8 | s->b[1];
		if (want <= DNSMSG_TCP && s->n < 2 + want)
			continue;
		if (want > DNSMSG_TCP)
			refused(t);
		else
			judge(t, s->b + 2, want);
		return;			/* there is one answer to a connection */
	}
}

static const struct kind udp_kind = { .name = "dns", .ready = datagram, .end = ended };
static const struct kind tcp_kind = { .name = "dns", .input = octets, .end = ended };

/* A socket for one question to a server, or NULL. */
static struct conn *
dial(const struct dns_server *s)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to(&sa, &s->ip, s->port);
	struct conn *c = NULL;
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	if (connect(fd, (struct sockaddr *)&sa, n) == 0)
		c = conn_new(fd, &udp_kind, NULL, 0);
	if (!c)
		(void)close(fd);	/* never used */
	return c;
}

/* Open the connection of a try: 0 or -1. */
static int
open_try(struct question *t)
{
	const struct dns_server *s = &servers[server_of(t)];

	t->c = t->tcp ? conn_connect(&s->ip, s->port, &tcp_kind, 0) : dial(s);
	if (!t->c)
		return -1;
	t->c->session = t;
	return 0;
}

/*
 * Send the question: 0 or -1. The second time without EDNS: in small routers there are servers that
 * throw away what they do not know.
 */
static int
put(struct question *t)
{
	unsigned char b[2 + DNSMSG_ASK];
	size_t n;

	fill(&t->id, sizeof(t->id));
	n = dnsmsg_ask(b + 2, t->at, t->type, t->id, !t->plain && t->tries < nservers);
	b[0] = (unsigned char)(n >> 8);
	b[1] = (unsigned char)n;
	if (!t->tcp)
		return send(t->c->fd, b + 2, n, MSG_NOSIGNAL) < 0 ? -1 : 0;
	conn_put(t->c, b, n + 2);
	return 0;
}

static struct stream *
stream_get(void)
{
	int i;

	for (i = 0; i < STREAMS; i++) {
		if (!streams[i].used) {
			streams[i].used = 1;
			streams[i].n = 0;
			return &streams[i];
		}
	}
	return NULL;
}

/* The next try, with the first server that can be reached. */
static void
attempt(struct question *t)
{
	int64_t ms;

	for (; t->tries < 2 * nservers; next_try(t)) {
		if (t->tired >> server_of(t) & 1)
			continue;
		if (t->tcp && !t->s && (t->s = stream_get()) == NULL) {
			t->by = loop_now + BUSY_MS;
			return;
		}
		if (open_try(t) < 0 || put(t) < 0)
			continue;
		ms = t->tries < nservers && !t->tcp ? FIRST_MS : SECOND_MS;
		t->by = loop_now + ms;
		t->state = WAIT;
		return;
	}
	fail(t);
}

/* ---- questions ---- */

void
dns_init(const struct dns_server *s, int n, void (*random)(void *p, size_t n))
{
	int i;

	memset(questions, 0, sizeof(questions));
	high = 0;
	memset(shy, 0, sizeof(shy));
	for (i = 0; i < STREAMS; i++)
		streams[i].used = 0;
	cache.n = 0;
	cache.used = 0;
	fill = random;
	nservers = n < DNS_SERVERS ? n : DNS_SERVERS;
	for (i = 0; i < nservers; i++)
		servers[i] = s[i];
	if (nservers > 0)
		return;
	nservers = 1;
	servers[0].port = 53;
	BUG_IF(ip_parse(&servers[0].ip, "127.0.0.1") < 0);
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	struct question *t;
	int i;

	dns_cancel(q);
	for (i = 0; i < QUESTIONS && questions[i].q; i++)
		;
	if (i == QUESTIONS) {
		errno = EAGAIN;
		return -1;
	}
	t = &questions[i];
	if (dnsmsg_name(t->name, name) < 0) {
		errno = EINVAL;
		return -1;
	}
	(void)text_copy(t->at, sizeof(t->at), t->name, strlen(t->name));
	t->q = q;
	t->c = NULL;
	t->s = NULL;
	t->type = (uint16_t)type;
	t->links = 0;
	t->ttl = UINT32_MAX;
	t->end = loop_now + TOTAL_MS;
	begin(t);
	q->slot = i;
	if (i >= high)
		high = i + 1;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	int i = q->slot;

	if (i >= 0 && i < QUESTIONS && questions[i].q == q) {
		leave(&questions[i]);
		questions[i].q = NULL;
	}
	q->slot = -1;
}

/* Does the cache know it? If not it is asked for. */
static void
look(struct question *t)
{
	struct entry *e = lookup(t->at, t->type);
	struct dns_answer a;
	int64_t left;

	if (!e || e->until <= loop_now) {
		t->state = SEND;
		return;
	}
	e->used = loop_now;
	left = (e->until - loop_now + 999) / 1000;
	memset(&a, 0, sizeof(a));
	a.status = (enum dns_status)e->status;
	a.ttl = left < t->ttl ? (uint32_t)left : t->ttl;
	a.cut = e->cut;
	dnsmsg_unpack(&a, t->type, cache.b + e->at + e->nname, e->n);
	deliver(t, &a);
}

static void
step(struct question *t)
{
	if (t->end <= loop_now) {
		fail(t);
		return;
	}
	if (t->state == NEW)
		look(t);
	if (t->q && t->state == WAIT && t->by <= loop_now)
		silent(t);
	if (t->q && t->state == SEND)
		attempt(t);
}

int
dns_tick(int wait)
{
	struct question *t;
	int64_t ms;

	delivered = 0;
	for (t = questions; t < questions + high; t++)
		if (t->q)
			step(t);
	while (high && !questions[high - 1].q)
		high--;
	for (t = questions; t < questions + high; t++) {
		if (!t->q)
			continue;
		ms = (t->by < t->end ? t->by : t->end) - loop_now;
		if (t->state == NEW || ms < 0)
			ms = 0;
		if (ms < wait)
			wait = (int)ms;
	}
	return delivered ? 0 : wait;
}

/* ---- helpers of those who ask ---- */

char *
dns_reverse(char dst[DNS_NAME], const struct ip *a)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = a->a;
	char *s = dst;
	int i;

	if (ip_is4(a)) {
		(void)snprintf(dst, DNS_NAME, "%d.%d.%d.%d.in-addr.arpa",
		    p[15], p[14], p[13], p[12]);
		return dst;
	}
	for (i = 15; i >= 0; i--) {
		*s++ = hex[p[i] & 15];
		*s++ = '.';
		*s++ = hex[p[i] >> 4];
		*s++ = '.';
	}
	memcpy(s, "ip6.arpa", sizeof("ip6.arpa"));
	return dst;
}

/* The word at p, up to n octets: its length; *skip: the blanks before it. */
static size_t
word(const char *p, size_t n, size_t *skip)
{
	size_t i;

	for (*skip = 0; *skip < n && (p[*skip] == ' ' || p[*skip] == '\t'); (*skip)++)
		;
	for (i = *skip; i < n && p[i] != ' ' && p[i] != '\t' && p[i] != '\r'; i++)
		;
	return i - *skip;
}

static int
name_server(struct dns_server *s, const char *p, size_t n)
{
	char text[IP_TEXT];
	size_t skip, len = word(p, n, &skip);

	if (skip || len != 10 || memcmp(p, "nameserver", 10) != 0)
		return -1;
	len = word(p + 10, n - 10, &skip);
	s->port = 53;
	return text_copy(text, sizeof(text), p + 10 + skip, len) < 0 ? -1 : ip_parse(&s->ip, text);
}

int
dns_resolv_conf(struct dns_server *s, int max, const char *text)
{
	size_t n;
	int k = 0;

	for (; *text && k < max; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		if (name_server(&s[k], text, n) == 0)
			k++;
	}
	return k;
}
