/* See LICENSE file for copyright and licence details. */
/*
 * Messages of the DNS (RFC 1035 4). An answer is an enemy's: every length is checked, pointers in
 * names lead only backwards, and of the records only those of the name we asked for, and of the
 * names that its CNAMEs lead to, are taken. Names become lower-case text without the last dot; one
 * with octets that text cannot show belongs to nothing we ask for.
 */
#include <string.h>

#include "dnsmsg.h"
#include "text.h"

enum {
	HEADER = 12, IN = 1, TYPE_NS = 2, TYPE_SOA = 6, TYPE_OPT = 41,
	QR = 0x80, OPCODE = 0x78, AA = 0x04, TC = 0x02, RD = 0x01,	/* octet 2 */
	RCODE = 0x0f,							/* octet 3 */
	FORMERR = 1, NXDOMAIN = 3, NOTIMP = 4,
	LABEL = 63,
	JUMPS = 127,		/* pointers in a name: it has no more labels */
	LOOKED_AT = 200		/* records of the answer: reading is quick, whatever they are */
};

/* What the octets of a name are like. */
enum { HOST, PRINTABLE, STRANGE };

struct packet {
	const unsigned char *p;
	size_t n;
};

struct rr {
	size_t owner;		/* where its name is */
	unsigned type, class;
	uint32_t ttl;
	size_t at, n;		/* its data */
};

static unsigned
u16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t
u32(const unsigned char *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

static unsigned char *
put16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
	return p + 2;
}

/* ---- names ---- */

static int
kind_of(int ch)
{
	if (text_alnum(ch) || ch == '-' || ch == '_')
		return HOST;
	return ch >= ' ' && ch <= '~' && ch != '.' && ch != '\\' ? PRINTABLE : STRANGE;
}

/* Append a label to the text of a name: the worst kind of its octets, or -1: too long. */
static int
label(char dst[DNS_NAME], size_t *len, const unsigned char *p, size_t n)
{
	int k, worst = HOST;
	size_t i;

	/* 253 octets of text are 255 of a message */
	if (*len + (*len > 0) + n > DNS_NAME - 3)
		return -1;
	if (*len)
		dst[(*len)++] = '.';
	for (i = 0; i < n; i++) {
		k = kind_of(p[i]);
		if (k > worst)
			worst = k;
		dst[(*len)++] = (char)text_lower(p[i]);
	}
	return worst;
}

/*
 * The name at *at, which is moved behind it: the worst kind of its octets, or -1: broken. A pointer
 * must lead to before the labels it ends, so it cannot come back to them.
 */
static int
name_at(const struct packet *m, size_t *at, char dst[DNS_NAME])
{
	size_t len = 0, pos = *at, run = pos, to;
	int jumps = 0, k, worst = HOST;
	unsigned n;

	for (;;) {
		if (pos >= m->n)
			return -1;
		n = m->p[pos];
		if (!n)
			break;
		if (n > LABEL) {
			if (n < 0xc0 || m->n - pos < 2 || jumps++ == JUMPS)
				return -1;
			to = u16(m->p + pos) & 0x3fff;
			if (jumps == 1)
				*at = pos + 2;
			if (to >= run)
				return -1;
			run = pos = to;
			continue;
		}
		if (m->n - pos <= n || (k = label(dst, &len, m->p + pos + 1, n)) < 0)
			return -1;
		if (k > worst)
			worst = k;
		pos += n + 1;
	}
	dst[len] = '\0';
	if (!jumps)
		*at = pos + 1;
	return worst;
}

int
dnsmsg_name(char dst[DNS_NAME], const char *name)
{
	size_t i, len = 0, n = strlen(name), start = 0;
	int k;

	if (n && name[n - 1] == '.')
		n--;
	for (i = 0; i <= n; i++) {
		if (i < n && name[i] != '.')
			continue;
		if (i == start || i - start > LABEL)
			return -1;
		k = label(dst, &len, (const unsigned char *)name + start, i - start);
		if (k < 0 || k == STRANGE)
			return -1;
		start = i + 1;
	}
	dst[len] = '\0';
	return 0;
}

/* ---- questions ---- */

size_t
dnsmsg_ask(unsigned char p[DNSMSG_ASK], const char *name, int type, unsigned id, int edns)
{
	static const unsigned char opt[11] = {
		0, 0, TYPE_OPT, DNSMSG_UDP >> 8, DNSMSG_UDP & 0xff
	};
	unsigned char *s = p + HEADER;
	size_t n;

	memset(p, 0, HEADER);
	(void)put16(p, id);
	p[2] = RD;
	p[5] = 1;
	p[11] = edns != 0;
	for (; *name; name += name[n] == '.' ? n + 1 : n) {
		n = strcspn(name, ".");
		*s++ = (unsigned char)n;
		memcpy(s, name, n);
		s += n;
	}
	*s++ = 0;
	s = put16(s, (unsigned)type);
	s = put16(s, IN);
	if (edns) {
		memcpy(s, opt, sizeof(opt));
		s += sizeof(opt);
	}
	return (size_t)(s - p);
}

/* ---- records ---- */

/* Move *at behind the name there: 0, or -1: broken. */
static int
skip_name(const struct packet *m, size_t *at)
{
	while (*at < m->n && m->p[*at] && m->p[*at] <= LABEL)
		*at += m->p[*at] + 1;
	if (*at >= m->n || (m->p[*at] && m->p[*at] < 0xc0))
		return -1;
	*at += m->p[*at] ? 2 : 1;
	return 0;
}

/* The record at *at, which is moved behind it: 0, or -1: broken. */
static int
record_at(const struct packet *m, size_t *at, struct rr *r)
{
	const unsigned char *p;

	r->owner = *at;
	if (skip_name(m, at) < 0 || *at > m->n || m->n - *at < 10)
		return -1;
	p = m->p + *at;
	r->type = u16(p);
	r->class = u16(p + 2);
	r->ttl = u32(p + 4);
	if (r->ttl >> 31)		/* RFC 2181 8 */
		r->ttl = 0;
	r->n = u16(p + 8);
	r->at = *at + 10;
	if (r->n > m->n - r->at)
		return -1;
	*at = r->at + r->n;
	return 0;
}

/* A name in the data of a record, up to its end: the kind of its octets, or -1. */
static int
name_in(const struct packet *m, const struct rr *r, size_t skip, char dst[DNS_NAME])
{
	size_t at = r->at + skip;
	int k = skip < r->n ? name_at(m, &at, dst) : -1;

	return at == r->at + r->n ? k : -1;
}

/* ---- what is kept of them ---- */

/* Room for a record of n octets: where they go, NULL if there is none. */
static char *
pack(struct dns_found *f, unsigned preference, size_t n)
{
	uint16_t head[2];
	char *s = f->b + f->n;

	if (f->rrs == DNS_RRS || sizeof(f->b) - f->n < sizeof(head) + n + 1) {
		f->cut = 1;
		return NULL;
	}
	head[0] = (uint16_t)preference;
	head[1] = (uint16_t)n;
	memcpy(s, head, sizeof(head));
	s += sizeof(head);
	s[n] = '\0';
	f->n += sizeof(head) + n + 1;
	f->rrs++;
	return s;
}

static int
take_ip(struct dns_found *f, const struct packet *m, const struct rr *r)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	size_t size = r->type == DNS_A ? 4 : 16;
	char *s;

	if (r->n != size)
		return -1;
	s = pack(f, 0, 16);
	if (s) {
		memcpy(s, mapped, sizeof(mapped));
		memcpy(s + 16 - size, m->p + r->at, size);
	}
	return 0;
}

static int
take_name(struct dns_found *f, const struct packet *m, const struct rr *r)
{
	size_t skip = r->type == DNS_MX ? 2 : 0;
	char name[DNS_NAME], *s;

	if (name_in(m, r, skip, name) != HOST)
		return -1;
	s = pack(f, skip ? u16(m->p + r->at) : 0, strlen(name));
	if (s)
		memcpy(s, name, strlen(name));
	return 0;
}

/* The strings of a TXT record, joined (RFC 7208 3.3). */
static int
take_text(struct dns_found *f, const struct packet *m, const struct rr *r)
{
	const unsigned char *p = m->p + r->at, *e = p + r->n, *q;
	size_t n = 0;
	char *s;

	for (q = p; q < e; q += *q + 1) {
		if (*q >= e - q)
			return -1;
		n += *q;
	}
	s = pack(f, 0, n);
	for (q = p; s && q < e; q += *q + 1) {
		memcpy(s, q + 1, *q);
		s += *q;
	}
	return 0;
}

/* Keep a record: 0, or -1: it is not as it should be. */
static int
take(struct dns_found *f, const struct packet *m, const struct rr *r)
{
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		return take_ip(f, m, r);
	case DNS_TXTS:
		return take_text(f, m, r);
	default:
		return take_name(f, m, r);
	}
}

void
dnsmsg_unpack(struct dns_answer *a, int type, const char *b, size_t n)
{
	const char *e = b + n;
	struct dns_rr *r;
	uint16_t head[2];

	for (a->n = 0; b < e && a->n < DNS_RRS; a->n++) {
		r = &a->rr[a->n];
		memset(r, 0, sizeof(*r));
		memcpy(head, b, sizeof(head));
		r->preference = head[0];
		r->n = head[1];
		r->text = b + sizeof(head);
		if (type == DNS_A || type == DNS_AAAA)
			memcpy(r->ip.a, r->text, sizeof(r->ip.a));
		b = r->text + r->n + 1;
	}
}

/* ---- answers ---- */

/* What the sections of an answer say, besides the records we want. */
struct survey {
	size_t answers;		/* where they begin */
	int n;			/* how many are looked at */
	int soa, ns;		/* in the authority section */
	uint32_t ttl;		/* of that SOA: of what is not there (RFC 2308 5) */
	int bad;		/* an extended error code, or the name of a record is broken */
};

static void
authority(struct survey *v, const struct packet *m, const struct rr *r)
{
	uint32_t minimum;

	if (r->type == TYPE_NS)
		v->ns = 1;
	if (r->type != TYPE_SOA || r->n < 22)
		return;
	v->soa = 1;
	minimum = u32(m->p + r->at + r->n - 4);
	v->ttl = minimum < r->ttl ? minimum : r->ttl;
}

/* Walk over all records once: 0, or -1: broken. */
static int
survey(struct survey *v, const struct packet *m, size_t at)
{
	struct rr r;
	unsigned i, n;
	int section;

	memset(v, 0, sizeof(*v));
	v->answers = at;
	for (section = 0; section < 3; section++) {
		n = u16(m->p + 6 + 2 * section);
		if (section == 0)
			v->n = n < LOOKED_AT ? (int)n : LOOKED_AT;
		for (i = 0; i < n; i++) {
			if (record_at(m, &at, &r) < 0)
				return -1;
			if (section == 1)
				authority(v, m, &r);
			if (section == 2 && r.type == TYPE_OPT && r.ttl >> 24)
				v->bad = 1;
		}
	}
	return 0;
}

/* The next record of a type with the name the chain has reached, from *i and *at on: 1 or 0. */
static int
next_of(const struct dns_found *f, const struct packet *m, struct survey *v, unsigned type, int *i,
    size_t *at, struct rr *r)
{
	char owner[DNS_NAME];
	int k;

	while (*i < v->n) {
		(*i)++;
		if (record_at(m, at, r) < 0)
			return 0;
		if (r->type != type || r->class != IN)
			continue;
		k = name_at(m, &r->owner, owner);
		if (k < 0)
			v->bad = 1;
		else if (k != STRANGE && !strcmp(owner, f->name))
			return 1;
	}
	return 0;
}

static void
shortest(struct dns_found *f, uint32_t ttl)
{
	if (ttl < f->ttl)
		f->ttl = ttl;
}

/* Follow the CNAMEs as far as the answer knows them: 0, or -1: broken, or too many. */
static int
follow(struct dns_found *f, const struct packet *m, struct survey *v, int links)
{
	struct rr r;
	size_t at;
	int i, k;

	for (;;) {
		i = 0;
		at = v->answers;
		if (!next_of(f, m, v, DNS_CNAME, &i, &at, &r))
			return v->bad ? -1 : 0;
		k = name_in(m, &r, 0, f->name);
		if (k < 0 || k == STRANGE || !f->name[0] || f->links++ == links)
			return -1;
		shortest(f, r.ttl);
	}
}

/* The records at the end of the chain: how many were not as they should be. */
static int
collect(struct dns_found *f, const struct packet *m, struct survey *v, int type)
{
	size_t at = v->answers;
	int bad = 0, i = 0;
	struct rr r;

	while (next_of(f, m, v, (unsigned)type, &i, &at, &r)) {
		if (take(f, m, &r) < 0)
			bad++;
		else
			shortest(f, r.ttl);
	}
	if (v->n == LOOKED_AT)
		f->cut = 1;
	return bad;
}

/* No records: what does that mean? RFC 2308 2 */
static enum dnsmsg
nothing(struct dns_found *f, const struct packet *m, const struct survey *v)
{
	int none = (m->p[3] & RCODE) == NXDOMAIN;

	if (!none && !v->soa) {
		if (f->links)
			return M_FOLLOW;
		if (v->ns && !(m->p[2] & AA))
			return M_REFUSED;	/* a referral: it does not look up for us */
	}
	shortest(f, v->soa ? v->ttl : 0);
	return none ? M_NXDOMAIN : M_NODATA;
}

/* Is it the answer to our question? Where the records begin; 0: no. */
static size_t
matches(const struct packet *m, const char *name, int type, unsigned id)
{
	char asked[DNS_NAME];
	size_t at = HEADER;
	unsigned n;

	if (m->n < HEADER || u16(m->p) != id || (m->p[2] & (QR | OPCODE)) != QR)
		return 0;
	n = u16(m->p + 4);
	/* who does not understand the question need not repeat it */
	if (!n && (m->p[3] & RCODE) && (m->p[3] & RCODE) != NXDOMAIN)
		return at;
	if (n != 1 || name_at(m, &at, asked) < 0 || strcmp(asked, name) != 0 || m->n - at < 4)
		return 0;
	return u16(m->p + at) == (unsigned)type && u16(m->p + at + 2) == IN ? at + 4 : 0;
}

enum dnsmsg
dnsmsg_read(struct dns_found *f, const unsigned char *p, size_t n, const char *name, int type,
    unsigned id, int links)
{
	const struct packet m = { p, n };
	struct survey v;
	size_t at = matches(&m, name, type, id);
	int bad;

	if (!at)
		return M_ALIEN;
	if (p[2] & TC)
		return M_TRUNCATED;
	switch (p[3] & RCODE) {
	case 0:
	case NXDOMAIN:
		break;
	case FORMERR:
	case NOTIMP:
		return M_FORMERR;
	default:
		return M_REFUSED;
	}
	f->links = f->cut = f->rrs = 0;
	f->n = 0;
	f->ttl = UINT32_MAX;
	(void)text_copy(f->name, sizeof(f->name), name, strlen(name));
	if (survey(&v, &m, at) < 0 || v.bad)
		return M_REFUSED;
	if (type != DNS_CNAME && follow(f, &m, &v, links) < 0)
		return M_REFUSED;
	if ((p[3] & RCODE) == NXDOMAIN)
		return nothing(f, &m, &v);
	bad = collect(f, &m, &v, type);
	if (v.bad)
		return M_REFUSED;
	if (f->rrs)
		return M_OK;
	return bad || f->cut ? M_REFUSED : nothing(f, &m, &v);
}
