/* with: lib/dns.c lib/dnsmsg.c lib/loop.c lib/log.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Messages of the DNS. An input is read as an answer to the question it repeats; as what follows a
 * right header and question, with flags and counts from its first bytes; and as text. What is taken
 * from an answer lies where it should, is text where it should be, and names are their own form.
 */
#include "fuzz.h"
#include "lib/dns.h"
#include "lib/dnsmsg.h"
#include "lib/text.h"

enum { ID = 0x4711 };

static void
host(const struct dns_rr *r)
{
	size_t i;

	HOLDS(r->n <= 253 && strlen(r->text) == r->n);
	for (i = 0; i < r->n; i++)
		HOLDS((text_alnum(r->text[i]) && r->text[i] == text_lower(r->text[i])) ||
		    strchr("-_.", r->text[i]));
}

static void
records(const struct dns_found *f, int type)
{
	struct dns_answer a;
	int i;

	dnsmsg_unpack(&a, type, f->b, f->n);
	HOLDS(f->n <= sizeof(f->b) && a.n == f->rrs && a.n > 0 && a.n <= DNS_RRS);
	for (i = 0; i < a.n; i++) {
		HOLDS(a.rr[i].text >= f->b && a.rr[i].text + a.rr[i].n < f->b + f->n);
		HOLDS(!a.rr[i].text[a.rr[i].n]);
		if (type == DNS_MX || type == DNS_PTR || type == DNS_CNAME)
			host(&a.rr[i]);
		if (type == DNS_A || type == DNS_AAAA)
			HOLDS(a.rr[i].n == 16);
		if (type == DNS_A)
			HOLDS(ip_is4(&a.rr[i].ip));
	}
}

static void
answer(const uint8_t *p, size_t n, const char *name, int type, unsigned id, int links)
{
	struct dns_found f;
	char again[DNS_NAME];
	enum dnsmsg m;

	memset(&f, 0, sizeof(f));
	m = dnsmsg_read(&f, p, n, name, type, id, links);
	HOLDS(m == dnsmsg_read(&f, p, n, name, type, id, links));
	if (m < M_FOLLOW)
		return;
	HOLDS(f.links <= links && f.ttl < 0x80000000U);
	HOLDS(dnsmsg_name(again, f.name) == 0 && !strcmp(again, f.name));
	if (m == M_OK)
		records(&f, type);
	else
		HOLDS(!f.rrs && !f.n);
	if (m == M_FOLLOW)
		HOLDS(f.links > 0);
}

/* The answer to the question that is in it. */
static void
whole(const uint8_t *p, size_t n)
{
	char text[300], name[DNS_NAME];
	size_t at = 12, len = 0;

	while (at < n && p[at] && p[at] < 64 && p[at] < n - at && len + p[at] + 2 < sizeof(text)) {
		memcpy(text + len, p + at + 1, p[at]);
		len += p[at];
		text[len++] = '.';
		at += p[at] + 1;
	}
	text[len] = '\0';
	if (n < 17 || at > n - 5 || strlen(text) != len || dnsmsg_name(name, text) < 0)
		return;
	answer(p, n, name, p[at + 1] << 8 | p[at + 2], (unsigned)p[0] << 8 | p[1], DNS_CHAIN);
}

/* Its first byte says what is asked for, seven are flags and counts, the rest of it are records. */
static void
prefixed(const uint8_t *data, size_t size)
{
	static const int types[] = {
		DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXTS, DNS_AAAA, DNS_A, DNS_MX
	};
	static const unsigned char question[] = "\1a\7example\0\0\0\0\1";
	static uint8_t b[65536];
	int links, type;
	uint8_t *p;
	size_t n = 12 + sizeof(question) - 1;

	if (size < 8 || size > sizeof(b) - n)
		return;
	type = types[*data & 7];
	links = *data >> 3 & 15;
	data++;
	size--;
	memset(b, 0, n);
	b[0] = ID >> 8;
	b[1] = ID & 0xff;
	b[2] = (data[0] & 0x07) | 0x80;
	b[3] = data[0] >> 3;
	b[5] = 1;
	memcpy(b + 6, data + 1, 6);
	memcpy(b + 12, question, sizeof(question) - 1);
	b[n - 3] = (uint8_t)type;
	memcpy(b + n, data + 7, size - 7);
	n += size - 7;
	p = malloc(n);
	HOLDS(p != NULL);
	memcpy(p, b, n);
	answer(p, n, "a.example", type, ID, links);
	free(p);
}

/* A name that is accepted is asked for, and its question understood. */
static void
asked(const char *text)
{
	unsigned char q[DNSMSG_ASK];
	char name[DNS_NAME], again[DNS_NAME];
	struct dns_found f;
	size_t n;

	if (dnsmsg_name(name, text) < 0)
		return;
	HOLDS(strlen(name) <= 253 && dnsmsg_name(again, name) == 0 && !strcmp(again, name));
	n = dnsmsg_ask(q, name, DNS_TXTS, ID, 1);
	HOLDS(n <= sizeof(q) && dnsmsg_read(&f, q, n, name, DNS_TXTS, ID, 0) == M_ALIEN);
	q[2] |= 0x80;
	HOLDS(dnsmsg_read(&f, q, n, name, DNS_TXTS, ID, 0) == M_NODATA);
}

static void
as_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct dns_server s[2];
	int n;

	HOLDS(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	asked(text);
	n = dns_resolv_conf(s, 2, text);
	HOLDS(n >= 0 && n <= 2);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_text(data, size);
	whole(data, size);
	prefixed(data, size);
	return 0;
}
