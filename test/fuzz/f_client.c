/* with: client.c send.c out.c lib/reply.c lib/addr.c lib/fs.c lib/ip.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * What another server says to our client, whole replies and cut anywhere: the client says the same,
 * in lines that are commands; each letter has one outcome for each recipient, in form; what is
 * called sent has gone out as it was, with its dot; no password and no letter goes in clear text
 * where a route wants TLS. The first byte chooses the route, the second how it is cut.
 */
#include <sys/mman.h>

#include "client.h"
#include "house.h"
#include "lib/text.h"
#include "store.h"
#include "wire.h"

enum { MOST = 1 << 12, LETTERS = 4, TEXT = 1 << 12 };

static const struct route routes_here[] = {
	{ "*", "*", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP },
	{ "*", "*", "smart", 25, ROUTE_MUST, "ca", "key", ROUTE_SMTP },
	{ "*", "*", "smart", 25, ROUTE_CLEAR, "", "key", ROUTE_SMTP },
	{ "*", "*", "smart", 25, ROUTE_WRAP, "ca", "key", ROUTE_SMTP },
	{ "*", "*", "lmtp", 24, ROUTE_CLEAR, "", "", ROUTE_LMTP },
	{ "*", "*", "smart", 25, ROUTE_MAY, "bad", "key", ROUTE_SMTP },
	{ "*", "*", "smart", 25, ROUTE_CLEAR, "", "nokey", ROUTE_SMTP },
	{ "*", "*", "smart", 25, ROUTE_CLEAR, "", "", ROUTE_SMTP },
};

/* ---- what the others do ---- */

static size_t tls_at;		/* what was said before TLS; 0: no TLS */
static struct transport secret;

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
store_mark(const char *id, const void *p, size_t n)
{
	HOLDS(!id && p && n);
	return -1;
}

void
store_trouble(const char *what)
{
	HOLDS(!what);
}

void
store_break(const char *what)
{
	HOLDS(!what);
}

int64_t
mail_birth(const char *id)
{
	HOLDS(id);
	return 0;
}

int
relay_sender(const struct sending *s, const char *sender, char dst[ADDR_TEXT + 1])
{
	(void)snprintf(dst, ADDR_TEXT + 1, "%s%s", s->forward ? "SRS0=" : "", sender);
	return 0;
}

int
tls_trust(struct tls_trust *t, const char *word)
{
	t->how = TRUST_ANY;
	return strcmp(word, "bad") == 0 ? -1 : 0;
}

int
tls_connect(struct conn *c, const char *name, const struct tls_trust *t)
{
	HOLDS(name && t && !tls_at);
	secret = transport_plain;
	c->tp = &secret;
	tls_at = wire_at(c)->nout + 1;
	return 0;
}

void
dkim_init(struct dkim_sign *d)
{
	d->in_body = 0;
}

void
dkim_feed(struct dkim_sign *d, const char *p, size_t n)
{
	d->in_body |= memmem(p, n, "\n\n", 2) != NULL;
}

int
dkim_from(const struct dkim_sign *d, char *dst, size_t n)
{
	(void)snprintf(dst, n, "here.example");
	return d ? 0 : -1;
}

const br_rsa_private_key *
sign_key(const char *domain)
{
	static const br_rsa_private_key key;

	return *domain == 'h' ? &key : NULL;
}

long
dkim_finish(struct dkim_sign *d, char dst[DKIM_FIELD], const char *domain, const char *selector,
    const br_rsa_private_key *key, int64_t when)
{
	HOLDS(d && key && !when);
	return snprintf(dst, DKIM_FIELD, "DKIM-Signature: d=%s; s=%s\n", domain, selector);
}

/* ---- letters ---- */

static const struct {
	const char *envelope, *text;
} models[LETTERS] = {
	{ "F<s@here.example> RET=FULL ENVID=a+2Bb\nT<a@far.example> NOTIFY=NEVER\n"
	    "T<b@far.example> ORCPT=rfc822;b@x\n", "Subject: a\n\n.\n..dots\n" },
	{ "F<s@here.example> BY=alice\nT<a@far.example>\n", "From: s@here.example\n\nhi" },
	{ "F<> BODY=8BITMIME\nT<c@far.example> FORWARD=team@here.example\nT<d@far.example>\n",
	    "Subject: \xc3\xbc\n\n\xc3\xbc\n" },
	{ "F<\xc3\xbc@here.example> SMTPUTF8\nT<\xc3\xbc@far.example>\nT<a@far.example>\n", "" },
};

static struct sending letters[LETTERS];
static char wire_text[LETTERS][TEXT];	/* as it is sent */
static int taken, done, overs;

static void
make_letter(int i)
{
	const char *e = models[i].envelope, *p;
	struct sending *s = &letters[i];
	size_t k = strlen(e), n = strlen(models[i].text);
	char *out = wire_text[i];

	(void)snprintf(s->id, sizeof(s->id), HOUSE_BIRTH "%08x", i);
	s->fd = memfd_create("letter", MFD_CLOEXEC);
	HOLDS(s->fd >= 0 && write(s->fd, e, k) == (ssize_t)k && write(s->fd, "\n", 1) == 1);
	HOLDS(write(s->fd, models[i].text, n) == (ssize_t)n);
	for (p = e; *p; p = strchr(p, '\n') + 1)
		if (*p == 'T')
			s->to[s->n++].at = p - e;
	s->text = (off_t)k + 1;
	s->end = s->text + (off_t)n;
	s->forward = strstr(e, "FORWARD=") != NULL;
	for (p = models[i].text; *p; p++) {
		if (*p == '.' && (p == models[i].text || p[-1] == '\n'))
			*out++ = '.';
		if (*p == '\n')
			*out++ = '\r';
		*out++ = *p;
	}
	if (p > models[i].text && p[-1] != '\n')
		out += snprintf(out, 3, "\r\n");
	(void)snprintf(out, 4, ".\r\n");
}

static struct sending *
next(void *arg)
{
	struct sending *s;
	int i;

	HOLDS(arg == &taken && !overs && taken == done);
	if (taken == LETTERS)
		return NULL;
	s = &letters[taken++];
	for (i = 0; i < s->n; i++) {
		s->to[i].outcome = O_NONE;
		s->to[i].dsn = DSN_NONE;
		s->to[i].status[0] = s->to[i].words[0] = '\0';
	}
	return s;
}

static void
check_words(const char *status, const char *words)
{
	size_t i;

	HOLDS(strlen(status) >= 5 && strlen(status) < STATUS_TEXT && status[1] == '.');
	HOLDS(strspn(status, "0123456789.") == strlen(status));
	HOLDS(*words && strlen(words) < WORDS);
	for (i = 0; words[i]; i++)
		HOLDS(words[i] >= 0x20 && words[i] < 0x7f);
}

/* What was told, for comparison. */
static char told[1 << 14];
static size_t ntold;

static void
tell(const char *a, const char *b, int what)
{
	int n = snprintf(told + ntold, sizeof(told) - ntold, "%d %s %s\n", what, a, b);

	ntold += (size_t)n;
	HOLDS(ntold < sizeof(told));
}

static const struct wire *server;

static void
sent(void *arg, struct sending *s)
{
	const char *text;
	int i;

	HOLDS(arg == &taken && !overs && taken == done + 1 && s == &letters[done]);
	text = wire_text[done++];
	for (i = 0; i < s->n; i++) {
		HOLDS(s->to[i].outcome != O_NONE);
		check_words(s->to[i].status, s->to[i].words);
		HOLDS("0245"[s->to[i].outcome] == s->to[i].status[0]);
		tell(s->to[i].status, s->to[i].words, (int)s->to[i].dsn);
		if (s->to[i].outcome == O_SENT)
			HOLDS(memmem(server->out, server->nout, text, strlen(text)));
	}
}

static void
over(void *arg, enum over why, const char *status, const char *words)
{
	HOLDS(arg == &taken && !overs++ && taken == done);
	if (why != OVER_DONE)
		check_words(status, words);
	tell(status, words, why);
}

static const struct client_user user = { next, sent, over };

/* ---- a session ---- */

struct answer {
	size_t n, ntold, tls_at;
	char b[1 << 16], told[sizeof(told)];
};

static struct answer whole, cut;

/* Up to the end of the next reply: its last line has no hyphen. */
static size_t
reply_end(const char *p, size_t n, size_t at)
{
	const char *e;
	size_t start = at;

	for (; at < n; start = at) {
		e = memchr(p + at, '\n', n - at);
		at = e ? (size_t)(e + 1 - p) : n;
		if (at - start < 5 || p[start + 3] != '-')
			break;
	}
	return at;
}

/* Lines in CR LF of printable ASCII or UTF-8; in clear text only what the route allows. */
static void
look(const struct answer *a, const struct route *r)
{
	size_t clear = tls_at ? tls_at - 1 : a->n, i;
	int bare = r->tls == ROUTE_CLEAR || r->tls == ROUTE_MAY;

	for (i = 0; i < a->n; i++) {
		HOLDS(a->b[i] != '\n' || (i && a->b[i - 1] == '\r'));
		HOLDS(a->b[i] != '\r' || (i + 1 < a->n && a->b[i + 1] == '\n'));
		HOLDS((unsigned char)a->b[i] >= 0x20 || a->b[i] == '\r' || a->b[i] == '\n');
	}
	HOLDS(bare || !memmem(a->b, clear, "MAIL FROM", 9));
	HOLDS(r->tls == ROUTE_CLEAR || !memmem(a->b, clear, "AUTH ", 5));
	HOLDS(r->tls == ROUTE_CLEAR || !memmem(a->b, clear, "c2VjcmV0", 8));
	HOLDS(r->tls != ROUTE_WRAP || !clear);
}

static void
session(struct answer *a, const struct route *r, const char *p, size_t n, uint32_t seed, int all)
{
	struct hop hop = { .host = "mx.far.example", .port = 25 };
	struct wire *w = &wires[0];
	size_t at = 0, end;
	int i;

	hop.route = r;
	HOLDS(ip_parse(&hop.ip, "192.0.2.25") == 0);
	taken = done = overs = 0;
	ntold = tls_at = 0;
	server = w;
	HOLDS(client_start(&hop, &user, &taken) == 0 && client_count() == 1 && w->open);
	w->in = p;
	w->n = n;
	w->seed = seed;
	while (at < n && w->open) {
		wire_rest(NULL);
		end = all ? n : reply_end(p, n, at);
		for (; at < end; wire_rest(NULL)) {
			at += seed ? fuzz_piece(&seed, end - at) : end - at;
			w->may = at;
		}
	}
	wire_rest(NULL);
	w->n = w->may;
	w->eof = 1;
	for (i = 0; w->open && i < 50; i++)
		wire_turn(3600000, NULL);
	HOLDS(!w->open && overs == 1 && client_count() == 0 && conn_free() == SESSIONS);
	HOLDS(w->nout < sizeof(a->b));
	a->n = w->nout;
	a->ntold = ntold;
	a->tls_at = tls_at;
	memcpy(a->b, w->out, a->n);
	memcpy(a->told, told, ntold);
	look(a, r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char secrets[] = "key name secret\n";
	static int up;
	const struct route *r;
	uint32_t how = fuzz_seed(&data, &size), seed = 1 + fuzz_seed(&data, &size);
	const char *p = (const char *)data;
	int i;

	if (!up) {
		house_spill("secrets", secrets, sizeof(secrets) - 1);
		WIRE_LOOP(SESSIONS);
		for (i = 0; i < LETTERS; i++)
			make_letter(i);
		up = 1;
	}
	if (size > MOST)
		return 0;
	r = &routes_here[how & 7];
	wire_slow = 0;
	/* all at once: no server that waits for commands, but it may not harm us */
	session(&whole, r, p, size, 0, how >> 3 & 1);
	wire_slow = 1;
	session(&cut, r, p, size, seed, how >> 3 & 1);
	if (how >> 3 & 1)
		return 0;
	HOLDS(whole.n == cut.n && !memcmp(whole.b, cut.b, cut.n) && whole.tls_at == cut.tls_at);
	HOLDS(whole.ntold == cut.ntold && !memcmp(whole.told, cut.told, cut.ntold));
	return 0;
}
