/* with: scan.c lib/milter.c lib/reply.c lib/addr.c lib/text.c lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/*
 * What a scanner says, any bytes. Packets come out the same however they are cut; and a whole
 * dialogue, over a connection that is made up here, ends with what is safe to write: fields that
 * are one field, addresses, replies, bodies with CR LF.
 */
#include "check.h"
#include "fuzz.h"
#include "lib/log.h"

enum { MOST = 1 << 16 };

/* ---- a connection without a loop ---- */

char host[HOST_TEXT] = "mx.example.org";
const char version[] = "test";
const struct transport transport_plain;
int64_t loop_now = 1000000, loop_wall = 1795316594;

static struct conn the_conn;
static const char *in;
static size_t nin, nout;
static char out[BUFSZ];

void
log_event(const char *id, const char *fmt, ...)
{
	HOLDS(id && fmt);
}

void
die(int code, const char *fmt, ...)
{
	(void)code;
	(void)fmt;
	abort();
}

struct conn *
conn_new(int fd, const struct kind *k, const struct transport *tp, int keep)
{
	(void)fd;
	(void)k;
	(void)tp;
	(void)keep;
	abort();
}

struct conn *
conn_connect(const struct ip *to, int port, const struct kind *k, int keep)
{
	(void)to;
	(void)port;
	(void)keep;
	memset(&the_conn, 0, sizeof(the_conn));
	the_conn.kind = k;
	nout = 0;
	return &the_conn;
}

const char *
conn_in(struct conn *c, size_t *n)
{
	HOLDS(c == &the_conn);
	*n = nin;
	return nin ? in : NULL;
}

void
conn_eat(struct conn *c, size_t n)
{
	HOLDS(c == &the_conn && n <= nin);
	in += n;
	nin -= n;
}

size_t
conn_room(const struct conn *c)
{
	HOLDS(c == &the_conn);
	return BUFSZ - nout;
}

void
conn_put(struct conn *c, const void *p, size_t n)
{
	HOLDS(c == &the_conn && n <= BUFSZ - nout);
	memcpy(out + nout, p, n);
	nout += n;
}

char *
conn_space(struct conn *c, size_t *n)
{
	HOLDS(c == &the_conn);
	*n = BUFSZ - nout;
	return *n ? out + nout : NULL;
}

void
conn_used(struct conn *c, size_t n)
{
	HOLDS(c == &the_conn && n <= BUFSZ - nout);
	nout += n;
}

void
conn_work(struct conn *c)
{
	HOLDS(c == &the_conn);
}

void
conn_delay(struct conn *c, int64_t ms)
{
	HOLDS(c == &the_conn && ms > 0);
}

void
conn_limit(struct conn *c, int64_t idle_ms, int64_t total_ms)
{
	HOLDS(c == &the_conn && !idle_ms && total_ms > 0);
}

void
conn_close(struct conn *c, const char *why)
{
	(void)why;
	c->closing = 1;
}

void
conn_abort(struct conn *c, const char *why)
{
	c->why = why;
	c->dead = 1;
}

/* ---- packets ---- */

struct seen {
	size_t packets, octets;
	uint32_t hash;
	int bad;
};

static int
add(void *arg, const char *p, size_t n)
{
	struct seen *s = arg;
	size_t i;

	for (i = 0; p && i < n; i++)
		s->hash = s->hash * 31 + (unsigned char)p[i];
	s->octets += p ? n : 0;
	return 0;
}

static void
packets(struct seen *s, const char *p, size_t n, uint32_t seed)
{
	static char mem[4096];
	size_t end = seed ? 0 : n, at = 0, take;
	enum milter_got got = MILTER_MORE;
	struct milter_in m;

	memset(s, 0, sizeof(*s));
	memset(&m, 0, sizeof(m));
	m.end = mem + sizeof(mem);
	m.room = sizeof(mem);
	m.body = add;
	m.arg = s;
	while (got != MILTER_BAD && (at < n || end < n)) {
		if (seed && end < n)
			end += fuzz_piece(&seed, n - end);
		do {
			take = end - at;
			got = milter_feed(&m, p + at, &take);
			HOLDS(take <= end - at || got == MILTER_BAD);
			if (got == MILTER_BAD)
				break;
			at += take;
			if (got == MILTER_READY) {
				s->packets++;
				s->hash = s->hash * 31 + (unsigned char)m.what;
				if (m.what != 'b')
					(void)add(s, m.data, m.n);
			}
		} while (at < end);
	}
	s->bad = got == MILTER_BAD;
	if (s->bad)
		s->hash = 0;	/* how much of a body came out before is not the same */
}

/* ---- a dialogue ---- */

static const char mail[] =
    "From: a@b\nX:\nSubject: x\n y\n\nbody\nmore\n";
static char new_body[MOST + 2];
static size_t nbody;
static int dones;

static const char *
rcpt(void *arg, int i)
{
	(void)arg;
	return i < 2 ? "bob@example.org" : NULL;
}

static long
get(void *arg, char *p, size_t n, uint64_t at)
{
	size_t left = at < sizeof(mail) - 1 ? sizeof(mail) - 1 - (size_t)at : 0;

	(void)arg;
	if (n > left)
		n = left;
	memcpy(p, mail + (left ? at : 0), n);
	return (long)n;
}

static int
take_body(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (!p) {
		nbody = 0;
		return 0;
	}
	if (n > sizeof(new_body) - nbody)
		return -1;
	memcpy(new_body + nbody, p, n);
	nbody += n;
	return 0;
}

static void
field_holds(const char *name, const char *value)
{
	const char *p;

	HOLDS(*name);
	for (p = name; *p; p++)
		HOLDS(*p > 32 && *p < 127 && *p != ':');
	for (p = value; *p; p++) {
		HOLDS(*p != '\r');
		if (*p == '\n')
			HOLDS(p[1] == ' ' || p[1] == '\t');
	}
}

static void
mailbox_holds(const char *p, int null)
{
	struct addr a;

	if (!*p)
		HOLDS(null);
	else if (strchr(p, '@'))
		HOLDS(addr_mailbox8(&a, p, strlen(p)) == 0);
	for (; *p; p++)
		HOLDS(*p != '\n' && *p != '\r');
}

static void
edits_hold(const struct scan *s)
{
	const char *p = s->edits, *end = s->edits + s->nedits, *v;
	struct edit e;

	HOLDS(s->nedits <= sizeof(s->edits));
	while (p < end) {
		HOLDS((size_t)(end - p) > sizeof(e));
		memcpy(&e, p, sizeof(e));
		p += sizeof(e);
		HOLDS(e.n > 0 && e.n <= (size_t)(end - p) && p[e.n - 1] == '\0');
		v = p + strlen(p) + 1;
		if (e.what <= EDIT_CHANGE) {
			HOLDS(v < p + e.n && v + strlen(v) < p + e.n);
			field_holds(p, v);
		} else {
			mailbox_holds(p, e.what == EDIT_SENDER);
		}
		p += e.n;
	}
}

static void
done(struct scan *s)
{
	const char *p = s->reply;
	size_t i;

	dones++;
	HOLDS(!s->c);
	if (s->result == SCAN_REJECT || s->result == SCAN_TEMPFAIL) {
		HOLDS(*p == (s->result == SCAN_REJECT ? '5' : '4') && strlen(p) < SCAN_REPLY);
		HOLDS(p[3] == ' ' && p[4] == *p && p[5] == '.' && strchr(p + 4, ' ')[1]);
		for (; *p; p++)
			HOLDS(*p >= 32 && *p < 127);
	}
	if (s->result != SCAN_ACCEPT) {
		HOLDS(!s->nedits && !s->quarantine[0]);
		return;
	}
	edits_hold(s);
	for (p = s->quarantine; *p; p++)
		HOLDS(*p >= 32 && *p < 127);
	for (i = 0; i < nbody; i++) {
		HOLDS(new_body[i] != '\n' || (i && new_body[i - 1] == '\r'));
		HOLDS(new_body[i] != '\r' || (i + 1 < nbody && new_body[i + 1] == '\n'));
	}
}

/* Mostly a whole packet, as it comes from one who waits for what we say. */
static size_t
piece(uint32_t *seed, const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t k = fuzz_piece(seed, n), len;

	if (*seed >> 30 == 0 || n < 5)
		return k;
	len = 4 + ((size_t)u[1] << 16 | (size_t)u[2] << 8 | u[3]);
	return len < n ? len : n;
}

static void
dialogue(const char *p, size_t n, uint32_t seed)
{
	static struct scan s;
	static const struct scanner row = { "it", "inet:127.0.0.1:1", 0, DOWN_ACCEPT, 1000 };
	struct scan_facts f;
	struct conn *c = &the_conn;
	const char *end = p + n;

	memset(&f, 0, sizeof(f));
	f.name = f.helo = f.id = f.sender = f.login = f.tls_version = f.tls_cipher = "";
	f.rcpt = rcpt;
	f.read = get;
	f.body = take_body;
	f.header = 27;
	s.done = done;
	dones = 0;
	nbody = 0;
	HOLDS(scan_start(&s, &row, &f) == 0 && !dones);
	c->kind->start(c);
	in = p;
	nin = 0;
	while (!dones && (in < end || nin)) {
		if (in + nin < end)
			nin += piece(&seed, in + nin, (size_t)(end - in) - nin);
		c->kind->input(c);
		nout = 0;
		if (!c->dead && !c->closing)
			c->kind->drain(c);
	}
	nout = 0;
	c->kind->end(c);
	HOLDS(dones == 1);
	scan_cancel(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[MOST];
	struct seen a, b;
	uint32_t seed = fuzz_seed(&data, &size);

	if (size > sizeof(text))
		size = sizeof(text);
	memcpy(text, data, size);
	packets(&a, text, size, 0);
	packets(&b, text, size, seed + 1);
	HOLDS(a.bad == b.bad && a.packets == b.packets && a.hash == b.hash);
	HOLDS(a.bad || a.octets == b.octets);
	dialogue(text, size, seed);
	return 0;
}
