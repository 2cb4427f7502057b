/* with: lib/mbox.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The mbox format. Any bytes as a mailbox: cut anyhow they give the same messages, whose octets are
 * exactly what is sent. Any bytes as a text: quoted, put between two others, found and sent, they
 * are what they were.
 */
#include "fuzz.h"
#include "lib/mbox.h"

enum { MOST = 1 << 14, MSGS = 2000 };

struct list {
	struct mbox_msg m[MSGS];
	size_t n;
};

static const char from[] = "From a@b Thu Jan  1 00:00:00 1970\n";
static struct list whole, cut;
static char file[3 * MOST], sent[4 * MOST], wire[4 * MOST];

static void
emit(void *arg, const struct mbox_msg *m)
{
	struct list *l;

	l = arg;
	if (l->n < MSGS)
		l->m[l->n] = *m;
	l->n++;
}

/* seed 0: uncut. */
static void
scan(struct list *l, const char *p, size_t n, uint32_t seed)
{
	static struct mbox_scan s;
	size_t i, len;

	l->n = 0;
	mbox_scan_init(&s, 0, emit, l);
	for (i = 0; i < n; i += len) {
		len = seed ? fuzz_piece(&seed, n - i) : n;
		mbox_scan_feed(&s, p + i, len);
	}
	mbox_scan_end(&s);
	if (l->n > MSGS)
		l->n = MSGS;
}

/* What a client makes of RETR: dots undone, without the end. Returns its length. */
static size_t
retr(const char *p, size_t n, uint32_t seed)
{
	struct mbox_send s;
	size_t i, o, len, room, eaten;
	int bol;

	mbox_send_init(&s, -1);
	o = 0;
	for (i = 0; i < n; i += eaten) {
		eaten = len = fuzz_piece(&seed, n - i);
		room = 16 + seed % 64;
		room = mbox_send_feed(&s, sent + o, room, p + i, &eaten);
		HOLDS(eaten > 0 && eaten <= len && room <= 16 + seed % 64);
		o += room;
	}
	len = mbox_send_end(&s, sent + o);
	HOLDS(len <= 24);
	o += len;
	HOLDS(o >= 3 && !memcmp(sent + o - 3, ".\r\n", 3));
	o -= 3;
	HOLDS(!o || sent[o - 1] == '\n');
	bol = 1;
	for (i = len = 0; i < o; i++) {
		if (!bol || sent[i] != '.')
			wire[len++] = sent[i];
		else
			HOLDS(sent[i + 1] == '.');
		bol = !(bol && sent[i] == '.') && sent[i] == '\n';
	}
	return len;
}

static void
any_mailbox(const char *p, size_t n, uint32_t seed)
{
	const struct mbox_msg *m;
	uint64_t at;
	size_t i;

	scan(&whole, p, n, 0);
	scan(&cut, p, n, seed + 1);
	HOLDS(whole.n == cut.n);
	HOLDS(!memcmp(whole.m, cut.m, whole.n * sizeof(*whole.m)));
	at = 0;
	for (i = 0; i < whole.n; i++) {
		m = &whole.m[i];
		HOLDS(m->from >= at && m->text > m->from && m->end >= m->text && m->end <= n);
		HOLDS(mbox_isfrom(p + m->from, m->text - m->from - (p[m->text - 1] == '\n')));
		HOLDS(m->octets == retr(p + m->text, m->end - m->text, seed));
		at = m->end;
	}
}

static size_t
put(size_t at, const char *p)
{
	memcpy(file + at, p, strlen(p));
	return at + strlen(p);
}

static void
any_text(const char *p, size_t n, uint32_t seed)
{
	struct mbox_quote q;
	size_t i, o, len, w;
	uint32_t s;

	o = put(put(0, from), "\n");
	o = put(o, from);
	mbox_quote_init(&q);
	s = seed;
	for (i = 0; i < n; i += len) {
		len = fuzz_piece(&s, n - i);
		w = mbox_quote_feed(&q, file + o, p + i, len);
		HOLDS(w <= 2 * len + 16);
		o += w;
	}
	w = mbox_quote_end(&q, file + o);
	HOLDS(w <= 16);
	o = put(put(o + w, "\n"), from);
	o = put(o, "\n");
	scan(&whole, file, o, seed + 1);
	HOLDS(whole.n == 3);
	w = retr(file + whole.m[1].text, whole.m[1].end - whole.m[1].text, seed);
	HOLDS(w == whole.m[1].octets);
	for (i = o = 0; i < n; i++) {
		if (p[i] == '\n' && (!i || p[i - 1] != '\r'))
			HOLDS(o < w && wire[o++] == '\r');
		HOLDS(o < w && wire[o++] == p[i]);
	}
	if (n && p[n - 1] != '\n') {
		if (p[n - 1] != '\r')
			HOLDS(o < w && wire[o++] == '\r');
		HOLDS(o < w && wire[o++] == '\n');
	}
	HOLDS(o == w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed;

	seed = fuzz_seed(&data, &size);
	if (size >= MOST - 100)
		return 0;
	any_mailbox((const char *)data, size, seed);
	any_text((const char *)data, size, seed);
	return 0;
}
