/* with: smtp.c envelope.c forward.c user.c letter.c guard.c inspect.c amend.c rules.c lib/addr.c lib/authres.c lib/canon.c lib/dkimcheck.c lib/dmarc.c lib/dot.c lib/from.c lib/fs.c lib/glob.c lib/header.c lib/idn.c lib/ip.c lib/mime.c lib/sasl.c lib/spf.c lib/spfterm.c lib/srs.c lib/text.c lib/words.c lib/x509.c */
/* config: test/fuzz/strangers.h */
/* See LICENSE file for copyright and licence details. */
/*
 * A session of a stranger with all that is found out about it: its name, lists, HELO, SPF, and of
 * its letters signatures, policies, rules, attachments (guard.c, inspect.c, amend.c). Behind a line
 * "%%" stand the answers of the DNS, a line each; which one a question gets its name says. Whole
 * and in pieces: the same replies, the same letters. What is kept has an envelope that can be read,
 * our trace field, and the results of nobody who claims to be us. Nothing is left under way.
 */
#include <strings.h>

#include "house.h"
#include "check.h"
#include "lib/addr.h"
#include "lib/dns.h"
#include "lib/text.h"
#include "replies.h"
#include "smtp.h"
#include "store.h"
#include "wire.h"

enum { SAID = 1 << 14, KEPT = 1 << 18, ASKED = 32, LINES = 64 };

static const struct listener row = { "::", 25, TLS_START, SMTP, 0 };
static int greylisted, late;

/* ---- the DNS of enemies ---- */

static const char *line[LINES];
static size_t nline[LINES], nlines;
static struct question {
	struct dns_query *q;		/* NULL: free */
	enum dns_type type;
	size_t line;
} asked[ASKED];

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	size_t i, n = strlen(name), h = type;
	int k;

	HOLDS(n < 2 * DNS_NAME && q->done);
	q->slot = -1;
	for (i = 0; i < n; i++) {
		HOLDS(name[i]);
		if (name[i] <= ' ' || name[i] > '~' ||
		    (name[i] == '.' && i && name[i - 1] == '.')) {
			errno = EINVAL;
			return -1;
		}
		h = h * 31 + (size_t)text_lower((unsigned char)name[i]);
	}
	for (k = 0; k < ASKED && asked[k].q; k++)
		HOLDS(asked[k].q != q);
	errno = !n || n > 253 ? EINVAL : EAGAIN;
	if (k == ASKED || !n || n > 253)
		return -1;
	asked[k].q = q;
	asked[k].type = type;
	asked[k].line = nlines ? h % nlines : LINES;
	q->slot = k;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	if (q->slot >= 0 && q->slot < ASKED && asked[q->slot].q == q)
		asked[q->slot].q = NULL;
	q->slot = -1;
}

char *
dns_reverse(char dst[DNS_NAME], const struct ip *a)
{
	(void)snprintf(dst, DNS_NAME, "%d.%s", a->a[15], ip_is4(a) ? "in-addr.arpa" : "ip6.arpa");
	return dst;
}

/* A record of n octets: text, a name, an address. */
static void
record(struct dns_answer *a, char *dst, const char *p, size_t n, enum dns_type type)
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
	HOLDS(ip_parse(&r->ip, type == DNS_AAAA ? "2001:db8::7" : "198.51.100.7") == 0);
	if (n && p[0] >= '0' && p[0] <= '9') {
		HOLDS(ip_parse(&r->ip, "127.0.0.1") == 0);
		r->ip.a[15] = (unsigned char)(p[0] - '0');
	}
}

static void
deliver(struct question *k)
{
	static struct dns_answer answer;
	struct dns_query *q = k->q;
	const char *p = k->line < LINES ? line[k->line] : "N", *e;
	size_t n = k->line < LINES ? nline[k->line] : 1, at = 0, len;
	char *b = malloc(SAID + LINES);		/* of this call only */

	HOLDS(b != NULL);
	answer.n = answer.cut = 0;
	answer.status = DNS_OK;
	if (!n || *p == 'N' || *p == 'D' || *p == 'S' || *p == 'T')
		answer.status = !n || *p == 'N' ? DNS_NXDOMAIN : *p == 'D' ? DNS_NODATA :
		    *p == 'S' ? DNS_SERVFAIL : DNS_TIMEOUT;
	for (; answer.status == DNS_OK && answer.n < DNS_RRS; p = e + 1, n -= len + 1) {
		e = memchr(p, 1, n);
		len = e ? (size_t)(e - p) : n;
		record(&answer, b + at, p, len, k->type);
		at += len + 1;
		if (!e)
			break;
	}
	k->q = NULL;
	q->slot = -1;
	q->done(q, &answer);
	free(b);
}

static int
tick(int wait)
{
	int k;

	for (k = 0; k < ASKED && !late; k++)
		if (asked[k].q)
			deliver(&asked[k]);
	return guard_tick(wait);
}

/* ---- the others ---- */

const struct listener *
conn_listener(const struct conn *c)
{
	HOLDS(c);
	return &row;
}

enum res
grey_ask(const struct ip *peer, const char *sender, const char *rcpt, int64_t *wait)
{
	HOLDS(peer && sender && rcpt);
	*wait = 300;
	return greylisted ? R_TEMP : R_OK;
}

void
grey_known_good(const struct ip *peer)
{
	HOLDS(peer);
}

int
limit_count(enum counted what, const struct ip *peer)
{
	HOLDS(what < NCOUNTED && peer);
	return 0;
}

int
limit_reached(enum counted what, const struct ip *peer)
{
	HOLDS(what < NCOUNTED && peer);
	return 0;
}

void
limit_gone(const struct ip *peer)
{
	HOLDS(peer);
}

int64_t
limit_tarpit(int n)
{
	HOLDS(n > 0);
	return 500;
}

void
scan_check(void)
{
}

int
scan_start(struct scan *s, const struct scanner *r, const struct scan_facts *f)
{
	HOLDS(!s && !r && !f);
	return -1;
}

void
scan_cancel(struct scan *s)
{
	HOLDS(s);
}

enum res
login_start(struct login *l)
{
	HOLDS(l);
	return R_AGAIN;
}

enum res
login_work(struct login *l, int *slot)
{
	HOLDS(l);
	*slot = -1;
	return R_PERM;
}

int64_t
guard_failed(const struct ip *peer)
{
	HOLDS(peer);
	return 1000;
}

int
guard_repeats(const struct login *l, const struct ip *peer)
{
	HOLDS(l && peer);
	return 0;
}

void
guard_passed(const struct ip *peer)
{
	HOLDS(!peer);
}

int
guard_spend(int user, const struct ip *peer)
{
	HOLDS(user < 0 && !peer);
	return 0;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	memset(v, 0, sizeof(*v));
	return n && *p ? 0 : -1;
}

static struct transport secret;

int
tls_start(struct conn *c)
{
	secret = transport_plain;
	c->tp = &secret;
	c->tls = &secret;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	return c->tls ? "TLS_SUITE" : NULL;
}

uint64_t
box_size(int user)
{
	HOLDS(user_at(user));
	return 0;
}

int64_t
mail_birth(const char *id)
{
	HOLDS(id);
	return wire_wall;
}

enum res
store_room(uint64_t size)
{
	HOLDS(size <= message_max);
	return R_OK;
}

int
store_broken(void)
{
	return 0;
}

void
store_trouble(const char *what)
{
	HOLDS(!what);
}

/* ---- letters that are kept ---- */

static struct letter *finished;
static char kept[KEPT];
static size_t nkept;

static int
field_is(const char *p, const char *end, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(end - p) > n && text_is(p, n, name) && p[n] == ':';
}

/* The lines of the envelope. */
static void
look_envelope(const char *p, const char *end)
{
	const char *e, *s;

	HOLDS(p < end && begins(p, (size_t)(end - p), "F<"));
	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		HOLDS(e && memchr(p, '>', (size_t)(e - p)));
		for (s = p; s < e; s++)
			HOLDS((unsigned char)*s >= 0x20 && *s != 0x7f);
		HOLDS(*p == 'F' || begins(p, (size_t)(e - p), "T<"));
	}
}

/* Our trace field comes first of all; Authentication-Results of ours are there once. */
static void
look_header(const char *p, const char *end)
{
	static const char mine[] = "Authentication-Results: mx.example.org;";
	const char *e, *v;
	int ours = 0;

	HOLDS(!memchr(p, '\r', (size_t)(end - p)));
	HOLDS(memmem(p, (size_t)(end - p), "\tby mx.example.org with ", 24));
	for (; p < end && *p != '\n'; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		if (!e)
			break;
		if (!field_is(p, e, "Authentication-Results"))
			continue;
		ours += begins(p, (size_t)(e - p), mine);
		for (v = p + 23; v < e && (*v == ' ' || *v == '\t'); v++)
			;
		HOLDS(begins(p, (size_t)(e - p), mine) || (size_t)(e - v) < 14 ||
		    !text_is(v, 14, "mx.example.org") || text_alnum((unsigned char)v[14]) ||
		    strchr(".-_@!#$%&'*+/=?^`{|}~", v[14]) || (unsigned char)v[14] > 0x7e);
	}
	HOLDS(ours == 1);
}

void
letter_finish(struct letter *l)
{
	uint64_t at = 0;
	long n;

	HOLDS(!finished && l->text > 1 && l->done && !l->bad && !letter_alone(l));
	while ((n = letter_read(l, kept + nkept, sizeof(kept) - nkept, at)) > 0) {
		nkept += (size_t)n;
		at += (uint64_t)n;
	}
	HOLDS(n == 0 && at == (uint64_t)l->size && nkept < sizeof(kept));
	look_envelope(kept + nkept - at, kept + nkept - at + (uint64_t)l->text - 1);
	look_header(kept + nkept - at + (uint64_t)l->text, kept + nkept);
	finished = l;
	l->pending = 1;
}

int
store_commit(int quiet)
{
	struct letter *l = finished;

	(void)quiet;
	if (!l)
		return 0;
	finished = NULL;
	l->pending = 0;
	HOLDS(queued < LETTERS_MAX);
	memcpy(ids[queued++], l->id, ID_TEXT);
	l->done(l, R_OK);
	return 0;
}

/* ---- a session ---- */

static struct answer {
	size_t n, nkept;
	int ended;
	char b[WIRE_OUT], kept[KEPT];
} whole, cut;

static void
session(struct answer *a, const char *p, size_t n, uint32_t seed, const char *from)
{
	int fd, files = house_files(), k;
	struct wire *w;
	struct conn *c;

	queued = 0;
	nkept = 0;
	house_ids = 0;
	fd = wire_socket(0, 0, 0);
	w = wire_of(fd);
	c = conn_new(fd, &smtp_kind, &transport_plain, 0);
	HOLDS(c && ip_parse(&c->peer, from) == 0);
	wire_rest(store_commit);
	HOLDS(w->nout > 4 && !memcmp(w->out, "220 ", 4));
	a->ended = wire_say(w, p, n, seed, store_commit) || c->closing;
	if (w->open)
		wire_hangup(w, store_commit);
	HOLDS(conn_free() == SESSIONS && !finished && house_files() == files);
	for (k = 0; k < ASKED; k++)
		HOLDS(!asked[k].q);
	HOLDS(sound(w->out, w->nout) == queued);
	HOLDS(!memmem(w->out, w->nout, "Too busy", 8));
	a->n = w->nout;
	memcpy(a->b, w->out, a->n);
	a->nkept = nkept;
	memcpy(a->kept, kept, nkept);
}

static void
take_lines(const char *p, const char *end)
{
	const char *e;

	for (nlines = 0; p < end && nlines < LINES; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		line[nlines] = p;
		nline[nlines++] = (size_t)(e - p);
		if (e == end)
			break;
	}
}

static void
make_all(void)
{
	static const char users[] = "alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"
	    "bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\nold:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n";

	(void)mkdir("spool", 0700);
	(void)mkdir("spool/tmp", 0700);
	house_spill("users", users, sizeof(users) - 1);
	WIRE_LOOP(SESSIONS);
	forward_init();
	rules_check();
	wire_tick = tick;
	discards = 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int up;
	uint32_t go = fuzz_seed(&data, &size), seed = 1 + fuzz_seed(&data, &size);
	const char *p = (const char *)data, *end = p + size, *answers;
	const char *from = go & 1 ? "2001:db8::7" : "198.51.100.7";
	int64_t clock;
	size_t n;

	if (!up)
		make_all();
	up = 1;
	if (size > SAID)
		return 0;
	answers = memmem(p, size, "%%\n", 3);
	n = answers ? (size_t)(answers - p) : size;
	take_lines(answers ? answers + 3 : end, end);
	greylisted = go >> 1 & 1;
	late = go >> 2 & 1;
	wire_ms = 1000000;
	loop_clock();
	wire_slow = 0;
	session(&whole, p, n, 0, from);
	clock = wire_ms;
	wire_ms = 1000000;
	loop_clock();
	wire_slow = 1;
	session(&cut, p, n, seed, from);
	if (memmem(whole.b, whole.n, "554 5.5.1 Nothing may follow STARTTLS", 37) ||
	    memmem(cut.b, cut.n, "220 2.0.0 Go ahead", 18))
		return 0;
	if (whole.n != cut.n || memcmp(whole.b, cut.b, cut.n))
		fprintf(stderr, "whole:\n%.*scut:\n%.*s", (int)whole.n, whole.b, (int)cut.n,
		    cut.b);
	HOLDS(whole.n == cut.n && !memcmp(whole.b, cut.b, cut.n) && whole.ended == cut.ended);
	/* the time of day is in the letters, and waiting takes of it */
	HOLDS(clock / 1000 != wire_ms / 1000 || (whole.nkept == cut.nkept &&
	    !memcmp(whole.kept, cut.kept, cut.nkept)));
	return 0;
}
