/* with: lib/spf.c lib/spfterm.c lib/idn.c lib/addr.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * SPF before a DNS of enemies. The input is lines: three letters (the peer; which question finds
 * the resolver busy; after which all is forgotten), the name of HELO, the sender, then what the
 * questions are answered with, one after the other and round again. A check ends after a bounded
 * number of questions, once, with printable words; asked again, it comes to the same.
 */
#include <errno.h>

#include "fuzz.h"
#include "lib/loop.h"
#include "lib/spf.h"
#include "lib/text.h"

enum { MOST = 233, LINES = 64 };

int64_t loop_wall = 1700000000;

static const char *line[LINES];
static size_t nline[LINES];
static int lines, next, asks, busy, ended;
static struct dns_query *asked;
static enum dns_type type;
static struct ip peer;

static int
is_dns_name(const char *p)
{
	size_t i, n = strlen(p), start = 0;

	n -= n && p[n - 1] == '.';
	for (i = 0; i <= n; i++) {
		if (i < n && (p[i] <= ' ' || p[i] > '~' || p[i] == '\\'))
			return 0;
		if (i < n && p[i] != '.')
			continue;
		if (i == start || i - start > 63)
			return 0;
		start = i + 1;
	}
	return n <= 253;
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type t)
{
	HOLDS(!asked && !ended && strlen(name) <= 253);
	HOLDS(++asks <= MOST);
	q->slot = -1;
	if (asks == busy) {
		errno = EAGAIN;
		return -1;
	}
	if (!is_dns_name(name)) {
		errno = EINVAL;
		return -1;
	}
	asked = q;
	type = t;
	q->slot = 0;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	HOLDS(q->slot < 0 || q == asked);
	if (q == asked)
		asked = NULL;
	q->slot = -1;
}

/* A record of n octets: text; an address for each octet; a name. */
static void
record(struct dns_answer *a, char *dst, const char *p, size_t n)
{
	struct dns_rr *r = &a->rr[a->n++];
	size_t i;

	memset(r, 0, sizeof(*r));
	r->text = dst;
	r->n = type == DNS_TXTS ? n : n < 253 ? n : 253;
	for (i = 0; i < r->n; i++) {
		dst[i] = (char)text_lower((unsigned char)p[i]);
		if (type == DNS_TXTS)
			dst[i] = p[i];
		else if (!text_alnum((unsigned char)p[i]) && p[i] != '-' && p[i] != '.')
			dst[i] = '_';
	}
	dst[i] = '\0';
	r->ip = peer;
	if (n && p[0] != 'p')
		r->ip.a[15] = (unsigned char)p[0];
}

/* The records of a line, with \1 between. */
static void
records(struct dns_answer *a, char *dst, const char *p, size_t n)
{
	const char *q;
	size_t len;

	for (; a->n < DNS_RRS; p = q + 1) {
		q = memchr(p, 1, n);
		len = q ? (size_t)(q - p) : n;
		record(a, dst, p, len);
		dst += a->rr[a->n - 1].n + 1;
		if (!q)
			return;
		n -= len + 1;
	}
	a->cut = 1;
}

static void
deliver(void)
{
	static struct dns_answer a;
	struct dns_query *q = asked;
	char *b = malloc(DNS_DATA + DNS_RRS);

	HOLDS(b != NULL);
	memset(&a, 0, sizeof(a));
	if (!lines || !nline[next] || line[next][0] == 'N')
		a.status = DNS_NXDOMAIN;
	else if (line[next][0] == 'D')
		a.status = DNS_NODATA;
	else if (line[next][0] == 'T')
		a.status = DNS_TIMEOUT;
	else
		records(&a, b, line[next], nline[next]);
	if (lines)
		next = (next + 1) % lines;
	asked = NULL;
	q->slot = -1;
	q->done(q, &a);
	free(b);
}

static void
done(struct spf *s)
{
	size_t i, n = strnlen(s->words, SPF_WORDS);

	HOLDS(!ended++ && !asked);
	HOLDS(n < SPF_WORDS && s->q.slot == -1 && s->used <= SPF_TEXT - DNS_NAME);
	for (i = 0; i < n; i++)
		HOLDS(s->words[i] >= ' ' && s->words[i] <= '~');
	HOLDS(spf_word(s->result)[0]);
	if (s->result == SPF_TEMPERROR || s->result == SPF_PERMERROR)
		HOLDS(n > 0);
	else
		HOLDS(!n || s->result == SPF_FAIL);
}

static void
check(struct spf *s, const char *helo, const char *sender, int forget)
{
	ended = asks = next = 0;
	asked = NULL;
	memset(s, 0x55, sizeof(*s));
	s->done = done;
	spf_check(s, &peer, helo, sender, "mx.example.org");
	while (asked && asks != forget)
		deliver();
	if (asked)
		spf_cancel(s);
	else
		HOLDS(ended == 1);
	HOLDS(!asked);
}

/* Cut the input into lines, the longest of which an answer can hold. */
static void
cut(const char *p, size_t n)
{
	const char *q;
	size_t len;

	for (lines = 0; n && lines < LINES; lines++) {
		q = memchr(p, '\n', n);
		len = q ? (size_t)(q - p) : n;
		line[lines] = p;
		nline[lines] = len < DNS_DATA ? len : DNS_DATA;
		len += q != NULL;
		p += len;
		n -= len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const peers[] = {
		"192.0.2.1", "2001:db8::1", "0.0.0.0", "::", "255.255.255.255"
	};
	static struct spf s[2];
	char helo[1024], sender[1024];
	int forget, i;

	if (size < 4)
		return 0;
	HOLDS(ip_parse(&peer, peers[data[0] % 5]) == 0);
	busy = data[1] - 'a';
	forget = data[2] - 'a';
	cut((const char *)data + 3, size - 3);
	for (i = 0; i < 2; i++)
		(void)text_copy(i ? sender : helo, sizeof(helo), i < lines ? line[i] : "",
		    i < lines ? nline[i] : 0);
	lines = lines > 2 ? lines - 2 : 0;
	memmove(line, line + 2, (size_t)lines * sizeof(*line));
	memmove(nline, nline + 2, (size_t)lines * sizeof(*nline));
	check(&s[0], helo, sender, forget > 0 ? forget : -1);
	check(&s[1], helo, sender, forget > 0 ? forget : -1);
	if (ended)
		HOLDS(s[0].result == s[1].result && !strcmp(s[0].words, s[1].words));
	return 0;
}
