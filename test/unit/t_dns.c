/* with: lib/dns.c lib/dnsmsg.c lib/loop.c lib/log.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The resolver against two servers of this program on loopback that do what a script says, with a
 * clock that is put forward. Each letter of a script is one question:
 *
 *	a answer	d silence	i wrong id	q wrong question	t truncated
 *	s SERVFAIL	r REFUSED	f FORMERR	n NXDOMAIN	o no data
 *	O no data without SOA	e as a, but silence to EDNS
 *	c CNAME to the next name	l CNAME to itself	B a datagram too long	g garbage
 *	and by TCP: p in pieces		x hang up	L length too long	m as long as may be
 *
 * The log has for each question the server, u or t for UDP or TCP, and - if it came without EDNS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/dns.h"
#include "lib/loop.h"
#include "test.h"

enum { CONNS = 70, SERVERS = 2, PEERS = 8, MAX = 16384 };

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int64_t ahead;		/* ms */

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC) {
		t->tv_sec += (time_t)(ahead / 1000);
		t->tv_nsec += (long)(ahead % 1000) * 1000000;
		if (t->tv_nsec >= 1000000000) {
			t->tv_nsec -= 1000000000;
			t->tv_sec++;
		}
	}
	return r;
}

/* ---- the servers ---- */

struct server {
	int udp, tcp, port;
	/* what to do with the next questions; at its end: the last letter */
	const char *script;
	int peer[PEERS];	/* by TCP */
	unsigned char b[PEERS][2 + MAX];	/* what is still to be said to them */
	size_t n[PEERS], at[PEERS], step[PEERS];
};

static struct server servers[SERVERS];
static char trail[8192];
static int questions;
static unsigned ids[8], ports[8];	/* of the last ones by UDP */
static unsigned long ttl;		/* of the records they give */

static int
listener(int type, int *port)
{
	struct sockaddr_in sin;
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)*port);
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, n) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 8) < 0) ||
	    getsockname(fd, (struct sockaddr *)&sin, &n) < 0) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	*port = ntohs(sin.sin_port);
	return fd;
}

static void
open_server(struct server *s)
{
	int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < PEERS; i++)
		s->peer[i] = -1;
	for (i = 0; i < 100; i++) {
		s->port = 0;
		s->udp = listener(SOCK_DGRAM, &s->port);
		s->tcp = listener(SOCK_STREAM, &s->port);
		if (s->udp >= 0 && s->tcp >= 0)
			return;
		if (s->udp >= 0)
			(void)close(s->udp);
	}
	abort();
}

static void
note(const char *s)
{
	size_t n = strlen(trail);

	(void)snprintf(trail + n, sizeof(trail) - n, "%s%s", n ? " " : "", s);
}

/* A record whose owner is the name asked for. */
static size_t
add(unsigned char *p, size_t n, unsigned type, const void *data, size_t ndata)
{
	unsigned char head[12] = { 0xc0, 12, 0, 0, 0, 1 };

	head[3] = (unsigned char)type;
	head[6] = (unsigned char)(ttl >> 24);
	head[7] = (unsigned char)(ttl >> 16);
	head[8] = (unsigned char)(ttl >> 8);
	head[9] = (unsigned char)ttl;
	head[10] = (unsigned char)(ndata >> 8);
	head[11] = (unsigned char)ndata;
	memcpy(p + n, head, 12);
	memcpy(p + n + 12, data, ndata);
	p[type == 6 ? 9 : 7]++;
	return n + 12 + ndata;
}

/* A CNAME to the name that begins with the next letter: "a.example" leads to "b.example". */
static size_t
link_to(unsigned char *p, size_t n, int next)
{
	unsigned char data[4] = { 1, 0, 0xc0, 14 };

	data[1] = (unsigned char)(p[13] + next);
	return add(p, n, 5, data, sizeof(data));
}

static size_t
right(unsigned char *p, size_t n, unsigned type)
{
	unsigned char text[251];

	memset(text, 'x', sizeof(text));
	text[0] = 250;
	switch (type) {
	case DNS_A:
		return add(p, n, type, "\300\0\2\1", 4);
	case DNS_MX:
		return add(p, n, type, "\0\12\2mx\300\14", 7);
	default:
		return add(p, n, type, text, sizeof(text));
	}
}

static size_t
no_such(unsigned char *p, size_t n)
{
	return add(p, n, 6, "\300\14\300\14\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 24);
}

/* Turn a question of n octets into what the script says: its new length. */
static size_t
reply(unsigned char *p, size_t n, int what)
{
	unsigned type;

	p[2] = 0x81;
	p[3] = 0x80;
	if (p[11]) {
		n -= 11;
		p[11] = 0;
	}
	type = p[n - 3];
	switch (what) {
	case 'i':
		p[0] ^= 0x55;
		break;
	case 'q':
		p[13] ^= 1;
		break;
	case 't':
		p[2] |= 2;
		return n;
	case 's':
		p[3] |= 2;
		return n;
	case 'r':
		p[3] |= 5;
		return n;
	case 'f':
		p[3] |= 1;
		p[5] = 0;
		return 12;
	case 'n':
		p[3] |= 3;
		return no_such(p, n);
	case 'o':
		return no_such(p, n);
	case 'O':
		return n;
	case 'c':
	case 'l':
		return link_to(p, n, what == 'c');
	case 'B':
		while (n < 1300)
			n = right(p, n, DNS_TXTS);
		return n;
	case 'm':
		while (n + 12 + 251 <= MAX)
			n = right(p, n, DNS_TXTS);
		return add(p, n, 99, p, MAX - n - 12);
	case 'g':
		return n - 6;
	default:
		break;
	}
	return right(p, n, type);
}

static int
next_of(struct server *s)
{
	int ch = *s->script;

	if (ch && s->script[1])
		s->script++;
	return ch;
}

static void
logged(const struct server *s, int how, const unsigned char *p)
{
	char text[4] = { (char)('0' + (s - servers)), (char)how, p[11] ? '\0' : '-', '\0' };

	note(text);
	questions++;
}

/* One question by UDP: 0 when there is none. */
static int
serve_udp(struct server *s)
{
	static unsigned char p[2 + MAX];
	struct sockaddr_in from;
	socklen_t nfrom = sizeof(from);
	ssize_t n = recvfrom(s->udp, p, sizeof(p), 0, (struct sockaddr *)&from, &nfrom);
	size_t k;
	int what;

	if (n < 12)
		return 0;
	ids[questions % 8] = (unsigned)p[0] << 8 | p[1];
	ports[questions % 8] = from.sin_port;
	logged(s, 'u', p);
	what = next_of(s);
	if (!what || what == 'd' || (what == 'e' && p[11]))
		return 1;
	k = reply(p, (size_t)n, what);
	CHECK_INT(sendto(s->udp, p, k, 0, (struct sockaddr *)&from, nfrom), k);
	return 1;
}

static void
hang_up(struct server *s, int i)
{
	(void)close(s->peer[i]);
	s->peer[i] = -1;
}

/* A question has come: begin to answer. */
static void
heard(struct server *s, int i, size_t n)
{
	unsigned char *p = s->b[i];
	size_t k;
	int what;

	CHECK_INT((size_t)p[0] << 8 | p[1], n - 2);
	logged(s, 't', p + 2);
	what = next_of(s);
	if (what == 'x') {
		hang_up(s, i);
		return;
	}
	if (!what || what == 'd')
		return;
	k = reply(p + 2, n - 2, what);
	p[0] = (unsigned char)(k >> 8);
	p[1] = (unsigned char)k;
	if (what == 'L')
		p[0] = p[1] = 0xff;
	s->n[i] = k + 2;
	s->at[i] = 0;
	s->step[i] = what == 'p' ? 1 : MAX;
}

static void
serve_tcp(struct server *s)
{
	ssize_t n;
	size_t k;
	int fd, i;

	fd = s->tcp < 0 ? -1 : accept4(s->tcp, NULL, NULL, SOCK_NONBLOCK);
	for (i = 0; i < PEERS; i++) {
		if (fd >= 0 && s->peer[i] < 0) {
			s->peer[i] = fd;
			s->n[i] = 0;
			fd = -1;
		}
		if (s->peer[i] < 0)
			continue;
		n = recv(s->peer[i], s->n[i] ? (unsigned char *)trail + 8000 : s->b[i],
		    s->n[i] ? 100 : MAX, 0);
		if (n == 0)
			hang_up(s, i);
		else if (n > 0 && !s->n[i])
			heard(s, i, (size_t)n);
		if (s->peer[i] < 0 || !s->n[i])
			continue;
		k = s->n[i] - s->at[i];
		n = send(s->peer[i], s->b[i] + s->at[i], k < s->step[i] ? k : s->step[i],
		    MSG_NOSIGNAL);
		if (n > 0)
			s->at[i] += (size_t)n;
	}
}

/* ---- the client's side ---- */

static uint64_t seed = 4711;

static void
unpredictable(void *p, size_t n)
{
	unsigned char *s = p;

	while (n-- > 0)
		*s++ = (unsigned char)test_random(&seed);
}

static struct dns_answer got;
static char first_text[300];
static int answers;
static int busy;		/* we are in dns_ask() */

static void
done(struct dns_query *q, const struct dns_answer *a)
{
	CHECK_INT(q->slot, -1);
	CHECK(!busy);
	CHECK((a->status == DNS_OK) == (a->n > 0));
	got = *a;
	answers++;
	(void)snprintf(first_text, sizeof(first_text), "%s", a->n && a->rr[0].text &&
	    a->rr[0].text[0] ? a->rr[0].text : "");
}

static void
pump(int n)
{
	int i;

	while (n-- > 0) {
		(void)dns_tick(0);
		loop_turn(0, NULL, NULL);
		for (i = 0; i < SERVERS; i++) {
			while (serve_udp(&servers[i]))
				;
			serve_tcp(&servers[i]);
		}
	}
}

static void
later(int64_t ms)
{
	ahead += ms;
	pump(4);
}

static void
start(int n, const char *zero, const char *one)
{
	struct dns_server s[SERVERS];
	int i;

	for (i = 0; i < n; i++) {
		if (ip_parse(&s[i].ip, "127.0.0.1") < 0)
			abort();
		s[i].port = servers[i].port;
	}
	servers[0].script = zero;
	servers[1].script = one;
	dns_init(s, n, unpredictable);
	trail[0] = '\0';
	answers = questions = 0;
	ttl = 300;
}

static void
ask(struct dns_query *q, const char *name, enum dns_type type)
{
	q->done = done;
	q->slot = -1;
	busy = 1;
	CHECK_INT(dns_ask(q, name, type), 0);
	busy = 0;
	CHECK(q->slot >= 0);
}

/* All connections have ended (they do at the end of a turn). */
static void
quiet(int line)
{
	pump(2);
	CHECK_MSG(conn_free() == CONNS, "line %d: %d connections left", line, CONNS - conn_free());
	CHECK_MSG(dns_tick(7777) == 7777, "line %d: it is not idle", line);
}

/* ---- tests ---- */

/* One question with scripts for two servers; jumps: how often 5 seconds must pass. */
static void
scripts(void)
{
	static const struct {
		const char *zero, *one, *trail;
		enum dns_type type;
		enum dns_status status;
		int jumps;
	} t[] = {
		{ "a", "d", "0u", DNS_A, DNS_OK, 0 },
		{ "a", "d", "0u", DNS_TXTS, DNS_OK, 0 },
		{ "n", "d", "0u", DNS_A, DNS_NXDOMAIN, 0 },
		{ "o", "d", "0u", DNS_A, DNS_NODATA, 0 },
		{ "O", "d", "0u", DNS_A, DNS_NODATA, 0 },
		/* silence */
		{ "d", "a", "0u 1u", DNS_A, DNS_OK, 1 },
		{ "da", "d", "0u 1u 0u-", DNS_A, DNS_OK, 2 },
		{ "d", "da", "0u 1u 0u- 1u-", DNS_A, DNS_OK, 3 },
		{ "d", "d", "0u 1u 0u- 1u-", DNS_A, DNS_TIMEOUT, 4 },
		/* refusals */
		{ "s", "a", "0u 1u", DNS_A, DNS_OK, 0 },
		{ "r", "n", "0u 1u", DNS_A, DNS_NXDOMAIN, 0 },
		{ "s", "s", "0u 1u", DNS_A, DNS_SERVFAIL, 0 },
		{ "s", "d", "0u 1u 1u-", DNS_A, DNS_SERVFAIL, 2 },
		{ "d", "r", "0u 1u 0u-", DNS_A, DNS_SERVFAIL, 2 },
		{ "ds", "r", "0u 1u 0u-", DNS_A, DNS_SERVFAIL, 1 },
		/* without EDNS */
		{ "fa", "d", "0u 0u-", DNS_A, DNS_OK, 0 },
		{ "f", "a", "0u 0u- 1u-", DNS_A, DNS_OK, 0 },
		{ "f", "f", "0u 0u- 1u-", DNS_A, DNS_SERVFAIL, 0 },
		{ "e", "e", "0u 1u 0u-", DNS_A, DNS_OK, 2 },
		/* strangers' answers are not looked at */
		{ "i", "a", "0u 1u", DNS_A, DNS_OK, 1 },
		{ "q", "a", "0u 1u", DNS_A, DNS_OK, 1 },
		{ "g", "a", "0u 1u", DNS_A, DNS_OK, 1 },
		/* TCP */
		{ "ta", "d", "0u 0t", DNS_A, DNS_OK, 0 },
		{ "tp", "d", "0u 0t", DNS_TXTS, DNS_OK, 0 },
		{ "Ba", "d", "0u 0t", DNS_TXTS, DNS_OK, 0 },
		{ "tm", "d", "0u 0t", DNS_TXTS, DNS_OK, 0 },
		{ "tn", "d", "0u 0t", DNS_A, DNS_NXDOMAIN, 0 },
		{ "tx", "a", "0u 0t 1u", DNS_A, DNS_OK, 0 },
		{ "td", "ta", "0u 0t 1u 1t", DNS_A, DNS_OK, 1 },
		{ "tt", "a", "0u 0t 1u", DNS_A, DNS_OK, 0 },
		{ "ti", "a", "0u 0t 1u", DNS_A, DNS_OK, 0 },
		{ "tL", "a", "0u 0t 1u", DNS_A, DNS_OK, 0 },
		{ "tfa", "d", "0u 0t 0t-", DNS_A, DNS_OK, 0 },
		/* chains */
		{ "ca", "d", "0u 0u", DNS_A, DNS_OK, 0 },
		{ "cccca", "d", "0u 0u 0u 0u 0u", DNS_A, DNS_OK, 0 },
		{ "ccccccccn", "d", "0u 0u 0u 0u 0u 0u 0u 0u 0u", DNS_A, DNS_NXDOMAIN, 0 },
		{ "c", "c", "0u 0u 0u 0u 0u 0u 0u 0u 0u 1u", DNS_A, DNS_SERVFAIL, 0 },
		{ "l", "l", "0u 1u", DNS_A, DNS_SERVFAIL, 0 },
		{ "csa", "a", "0u 0u 1u", DNS_A, DNS_OK, 0 },
		{ "tcta", "d", "0u 0t 0u 0t", DNS_A, DNS_OK, 0 },
	};
	struct dns_query q;
	size_t i;
	int k;

	for (i = 0; i < LEN(t); i++) {
		start(2, t[i].zero, t[i].one);
		ask(&q, "a.example", t[i].type);
		/* in pieces and through many hands: some turns */
		for (k = 0; k <= t[i].jumps; k++) {
			CHECK_MSG(!answers, "%s/%s: an answer after %d", t[i].zero, t[i].one, k);
			if (k)
				ahead += 5000;
			pump(400);
		}
		if (!CHECK_MSG(answers == 1, "%s/%s: %d answers", t[i].zero, t[i].one, answers))
			dns_cancel(&q);
		else if (!CHECK_MSG(got.status == t[i].status, "%s/%s", t[i].zero, t[i].one))
			CHECK_INT(got.status, t[i].status);
		CHECK_STR(trail, t[i].trail);
		quiet(__LINE__);
	}
}

/* The answer as it is handed over, and how long it waits. */
static void
plain(void)
{
	struct dns_query q;

	start(2, "a", "d");
	q.arg = &q;
	ask(&q, "A.Example.", DNS_A);
	CHECK_INT(dns_tick(9999), 3000);
	pump(4);
	CHECK_INT(answers, 1);
	CHECK_INT(got.n, 1);
	CHECK_INT(got.ttl, 300);
	CHECK_INT(got.cut, 0);
	CHECK_MEM(got.rr[0].ip.a, 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\1", 16);
	ask(&q, "b.example", DNS_MX);
	pump(4);
	CHECK_STR(first_text, "mx.b.example");
	CHECK_INT(got.rr[0].preference, 10);
	CHECK_INT(got.rr[0].n, 12);
	quiet(__LINE__);
	/* what is no name is refused, and leaves nothing behind */
	q.slot = -1;
	errno = 0;
	CHECK_INT(dns_ask(&q, "a..b", DNS_A), -1);
	CHECK_INT(errno, EINVAL);
	CHECK_INT(q.slot, -1);
	CHECK_INT(dns_ask(&q, "", DNS_A), -1);
	quiet(__LINE__);
}

static void
waits(void)
{
	struct dns_query q;
	int i;

	start(2, "d", "d");
	ask(&q, "a.example", DNS_A);
	pump(3);
	later(2990);
	CHECK_STR(trail, "0u");
	later(20);
	CHECK_STR(trail, "0u 1u");
	later(2980);
	CHECK_STR(trail, "0u 1u");
	later(30);
	CHECK_STR(trail, "0u 1u 0u-");
	later(4900);
	CHECK_STR(trail, "0u 1u 0u-");
	later(200);
	CHECK_STR(trail, "0u 1u 0u- 1u-");
	later(4800);
	CHECK_INT(answers, 0);
	later(300);
	CHECK_INT(answers, 1);
	CHECK_INT(got.status, DNS_TIMEOUT);
	quiet(__LINE__);
	/* never the same port, nor the same id */
	CHECK(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[3]);
	CHECK(ports[0] != ports[1] || ports[1] != ports[2] || ports[2] != ports[3]);
	/* it is not remembered */
	servers[0].script = "a";
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_INT(got.status, DNS_OK);
	/* who was silent is not asked first, for a while */
	start(2, "d", "a");
	ask(&q, "a.example", DNS_A);
	pump(3);
	later(3100);
	ask(&q, "b.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 1u 1u");
	later(30000);
	ask(&q, "c.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 1u 1u 0u");
	dns_cancel(&q);
	quiet(__LINE__);
	/* a chain of slow answers ends too: 11 seconds for the first, 6 for each other */
	start(2, "d", "dcdcdcdcdcdcdcdcdcdcdc");
	ask(&q, "a.example", DNS_A);
	for (i = 0; i < 60 && !answers; i++)
		later(1000);
	CHECK_INT(answers, 1);
	CHECK_INT(got.status, DNS_TIMEOUT);
	CHECK(i >= 38 && i <= 41);
	quiet(__LINE__);
}

static void
remembered(void)
{
	struct dns_query q;

	start(1, "a", "d");
	ask(&q, "a.example", DNS_A);
	pump(4);
	ask(&q, "A.EXAMPLE", DNS_A);
	CHECK_INT(dns_tick(100), 0);	/* whoever was told may want to do something now */
	CHECK_INT(answers, 2);
	CHECK_INT(got.n, 1);
	CHECK_MEM(got.rr[0].ip.a, 16, "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\1", 16);
	later(100000);
	ask(&q, "a.example", DNS_A);
	pump(1);
	CHECK(got.ttl >= 199 && got.ttl <= 200);
	CHECK_STR(trail, "0u");
	ask(&q, "a.example", DNS_MX);
	pump(4);
	CHECK_STR(trail, "0u 0u");
	ask(&q, "a.example", DNS_MX);
	pump(1);
	CHECK_STR(first_text, "mx.a.example");
	CHECK_INT(got.rr[0].preference, 10);
	ask(&q, "a.exampl", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 0u 0u");
	later(200100);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 0u 0u 0u");
	quiet(__LINE__);
	/* what is not there, too; the SOA says how long */
	start(1, "no", "d");
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_INT(got.ttl, 5);
	ask(&q, "b.example", DNS_A);
	pump(4);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_INT(got.status, DNS_NXDOMAIN);
	ask(&q, "b.example", DNS_A);
	pump(4);
	CHECK_INT(got.status, DNS_NODATA);
	CHECK_STR(trail, "0u 0u");
	later(5000);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 0u 0u");
	/* without one it is not, nor what may not live */
	start(1, "O", "d");
	ask(&q, "a.example", DNS_A);
	pump(4);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 0u");
	start(1, "a", "d");
	ttl = 0;
	ask(&q, "a.example", DNS_A);
	pump(4);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_STR(trail, "0u 0u");
	/* a day at most */
	ttl = 1000000;
	ask(&q, "b.example", DNS_A);
	pump(4);
	CHECK_INT(got.ttl, 86400);
	/* the chain's name, with the shortest TTL of it */
	start(1, "ca", "d");
	ttl = 100;
	ask(&q, "a.example", DNS_A);
	pump(1);
	CHECK_STR(trail, "0u");
	ttl = 300;
	pump(4);
	ask(&q, "a.example", DNS_A);
	pump(4);
	CHECK_INT(got.ttl, 100);
	CHECK_STR(trail, "0u 0u");
	quiet(__LINE__);
}

static void
ask_name(struct dns_query *q, int i, enum dns_type type)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "n%d.example", i);
	ask(q, name, type);
}

/* More than the cache holds: what was used last is still there. */
static void
full(void)
{
	struct dns_query q;
	int i;

	start(1, "a", "d");
	for (i = 0; i < 1500; i++) {
		ask_name(&q, i, DNS_A);
		pump(3);
		later(1);
		ask_name(&q, 0, DNS_A);
		pump(1);
	}
	CHECK_INT(answers, 3000);
	CHECK_INT(questions, 1500);
	ask_name(&q, 1499, DNS_A);
	pump(3);
	ask_name(&q, 1300, DNS_A);
	pump(3);
	CHECK_INT(questions, 1500);
	ask_name(&q, 700, DNS_A);
	pump(3);
	CHECK_INT(questions, 1501);
	/* by octets, not only by entries */
	start(1, "m", "d");
	for (i = 0; i < 40; i++) {
		servers[0].script = "tm";
		ask_name(&q, i, DNS_TXTS);
		pump(30);
	}
	CHECK_INT(answers, 40);
	CHECK_INT(got.cut, 1);
	CHECK_INT(got.n, 8192 / 255);
	CHECK_INT(got.rr[31].n, 250);
	ask_name(&q, 39, DNS_TXTS);
	pump(1);
	CHECK_INT(got.n, 8192 / 255);
	ask_name(&q, 34, DNS_TXTS);
	pump(1);
	CHECK_INT(answers, 42);
	ask_name(&q, 30, DNS_TXTS);
	pump(1);
	CHECK_INT(answers, 42);
	dns_cancel(&q);
	quiet(__LINE__);
}

static void
never(struct conn *c, int revents)
{
	CHECK_MSG(0, "slot %d has an event: %x", conn_slot(c), (unsigned)revents);
}

static void
many(void)
{
	static const struct kind idle = { .name = "idle", .ready = never };
	static struct dns_query q[769];
	int i, k;

	/* by UDP, the last one has no place */
	start(1, "a", "d");
	for (i = 0; i < 768; i++)
		ask_name(&q[i], i, DNS_A);
	q[768].slot = -1;
	CHECK_INT(dns_ask(&q[768], "a.example", DNS_A), -1);
	CHECK_INT(errno, EAGAIN);
	pump(2000);
	CHECK_INT(answers, 768);
	quiet(__LINE__);
	/* by TCP they wait for each other, and none is lost */
	start(1, "t", "d");
	for (i = 0; i < 6; i++)
		ask_name(&q[i], i, DNS_TXTS);
	pump(2);
	CHECK_STR(trail, "0u 0u 0u 0u 0u 0u");
	servers[0].script = "p";
	pump(8);
	CHECK_STR(trail, "0u 0u 0u 0u 0u 0u 0t 0t 0t 0t");
	for (k = 0; k < 40 && answers < 6; k++) {
		ahead += 50;
		pump(100);
	}
	CHECK_INT(answers, 6);
	quiet(__LINE__);
	/* no connections to be had */
	for (i = 0; i < CONNS; i++)
		if (!conn_new(-1, &idle, NULL, 0))
			CHECK(0);
	ask(&q[0], "z.example", DNS_A);
	(void)dns_tick(0);
	CHECK_INT(answers, 7);
	CHECK_INT(got.status, DNS_TIMEOUT);
	for (i = 0; i < CONNS; i++)
		conn_abort(conn_at(i), NULL);
	quiet(__LINE__);
}

/* Guessing at ids makes it ask by TCP. */
static void
guessed(void)
{
	struct sockaddr_in to;
	struct dns_query q;
	unsigned char p[12] = { 0, 0, 0x81, 0x80 };
	int fd, i, port = 0;

	start(1, "d", "d");
	ask(&q, "a.example", DNS_A);
	pump(3);
	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = (in_port_t)ports[0];
	/* from elsewhere nothing gets through */
	fd = listener(SOCK_DGRAM, &port);
	for (i = 0; i < 30; i++)
		(void)sendto(fd, p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to));
	(void)close(fd);
	servers[0].script = "a";
	pump(40);
	CHECK_STR(trail, "0u");
	for (i = 0; i < 15; i++)
		(void)sendto(servers[0].udp, p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to));
	pump(40);
	CHECK_STR(trail, "0u");
	(void)sendto(servers[0].udp, p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to));
	pump(10);
	CHECK_STR(trail, "0u 0t");
	CHECK_INT(answers, 1);
	quiet(__LINE__);
}

/* Nobody there: ICMP says so at once. */
static void
closed(void)
{
	struct dns_server s[2];
	struct dns_query q;
	int fd, port = 0;

	fd = listener(SOCK_DGRAM, &port);
	(void)close(fd);
	start(1, "a", "d");
	CHECK_INT(ip_parse(&s[0].ip, "127.0.0.1"), 0);
	s[1].ip = s[0].ip;
	s[0].port = port;
	s[1].port = servers[0].port;
	dns_init(s, 2, unpredictable);
	ask(&q, "a.example", DNS_A);
	pump(6);
	CHECK_INT(answers, 1);
	CHECK_INT(got.status, DNS_OK);
	dns_init(s, 1, unpredictable);
	ask(&q, "a.example", DNS_A);
	pump(6);
	CHECK_INT(answers, 2);
	CHECK_INT(got.status, DNS_TIMEOUT);
	/* no route, or no such family: the same */
	CHECK_INT(ip_parse(&s[0].ip, "255.255.255.255"), 0);
	dns_init(s, 2, unpredictable);
	ask(&q, "a.example", DNS_A);
	pump(6);
	CHECK_INT(answers, 3);
	CHECK_INT(got.status, DNS_OK);
	/* no TCP */
	start(1, "t", "d");
	port = servers[0].port;
	(void)close(servers[0].tcp);
	servers[0].tcp = -1;
	ask(&q, "a.example", DNS_A);
	pump(20);
	CHECK_STR(trail, "0u 0u-");
	CHECK_INT(answers, 1);
	CHECK_INT(got.status, DNS_TIMEOUT);
	quiet(__LINE__);
	servers[0].tcp = listener(SOCK_STREAM, &port);
	CHECK(servers[0].tcp >= 0);
}

/* Asks the next name with the same query, from within. */
static void
chained(struct dns_query *q, const struct dns_answer *a)
{
	static const char *const next[] = { "b.example", "a.example", "c.example" };

	CHECK_INT(a->status, DNS_OK);
	if (answers < 3)
		CHECK_INT(dns_ask(q, next[answers], DNS_A), 0);
	answers++;
}

static void
cancels(void)
{
	struct dns_query q, r;

	memset(&q, 0, sizeof(q));
	start(2, "a", "d");
	dns_cancel(&q);			/* a slot of 0 that was never asked */
	ask(&r, "a.example", DNS_A);
	q.slot = r.slot;
	dns_cancel(&q);
	pump(4);
	CHECK_INT(answers, 1);
	/* at once, while it waits, by TCP, from the cache */
	ask(&q, "b.example", DNS_A);
	dns_cancel(&q);
	pump(4);
	ask(&q, "b.example", DNS_A);
	(void)dns_tick(0);
	dns_cancel(&q);
	quiet(__LINE__);
	servers[0].script = "td";
	ask(&q, "b.example", DNS_A);
	pump(8);
	CHECK_STR(trail, "0u 0u 0u 0t");
	dns_cancel(&q);
	dns_cancel(&q);
	ask(&q, "a.example", DNS_A);
	dns_cancel(&q);
	CHECK_INT(q.slot, -1);
	quiet(__LINE__);
	CHECK_INT(answers, 1);
	/* asked again before the answer: only the second counts */
	servers[0].script = "a";
	ask(&q, "c.example", DNS_A);
	CHECK_INT(dns_ask(&q, "d.example", DNS_A), 0);
	pump(6);
	CHECK_INT(answers, 2);
	quiet(__LINE__);
	start(1, "a", "d");
	q.done = chained;
	CHECK_INT(dns_ask(&q, "a.example", DNS_A), 0);
	pump(12);
	CHECK_INT(answers, 4);
	CHECK_STR(trail, "0u 0u 0u");
	quiet(__LINE__);
}

static void
helpers(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "", "" },
		{ "nameserver 192.0.2.1\n", "192.0.2.1" },
		{ "nameserver 192.0.2.1", "192.0.2.1" },
		{ "# x\n; y\nsearch a b\nnameserver\t 192.0.2.1 # z\r\nnameserver 2001:db8::1\r\n"
		    "options edns0\n", "192.0.2.1 2001:db8::1" },
		{ " nameserver 192.0.2.1\nnameservers 192.0.2.1\nnameserver192.0.2.1\n", "" },
		{ "nameserver\nnameserver \nnameserver x\nnameserver fe80::1%eth0\n", "" },
		{ "\n\n\nnameserver ::1\n\n", "::1" },
		{ "nameserver ::1\nnameserver ::2\nnameserver ::3\nnameserver ::4\n"
		    "nameserver ::5\n", "::1 ::2 ::3" },
		{ "nameserver 11111111111111111111111111111111111111111111111111111111111\n", "" },
	}, r[] = {
		{ "192.0.2.1", "1.2.0.192.in-addr.arpa" },
		{ "255.255.255.254", "254.255.255.255.in-addr.arpa" },
		{ "2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		    "8.b.d.0.1.0.0.2.ip6.arpa" },
	};
	struct dns_server s[3];
	char name[DNS_NAME], text[IP_TEXT];
	struct ip ip;
	size_t i;
	int k, n;

	for (i = 0; i < LEN(t); i++) {
		trail[0] = '\0';
		n = dns_resolv_conf(s, 3, t[i].text);
		for (k = 0; k < n; k++) {
			note(ip_text(text, &s[k].ip));
			CHECK_INT(s[k].port, 53);
		}
		CHECK_STR(trail, t[i].want);
	}
	for (i = 0; i < LEN(r); i++) {
		CHECK_INT(ip_parse(&ip, r[i].text), 0);
		CHECK_STR(dns_reverse(name, &ip), r[i].want);
	}
	CHECK(dns_memory < 896 * 1024);
	dns_init(NULL, 0, unpredictable);	/* this machine's */
}

int
main(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };
	int i;

	loop_init(&mem);
	for (i = 0; i < SERVERS; i++)
		open_server(&servers[i]);
	scripts();
	plain();
	waits();
	remembered();
	full();
	many();
	guessed();
	closed();
	cancels();
	helpers();
	return test_end();
}
