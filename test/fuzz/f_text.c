/* with: lib/header.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Texts: the header of a mail passing by, cut anyhow, goes through as it is, and ends, and has the
 * fields, that a plain reading finds. Base64 and what is escaped are read back; a number is one.
 */
#include "fuzz.h"
#include "lib/header.h"
#include "lib/text.h"

enum { MOST = 1 << 14, TOLD = 64 };

struct seen {
	size_t n, end;			/* octets that came out, in all and of the header */
	int ends, blank, received, date, message_id;
	size_t told;
	uint32_t hash[TOLD];
};

static const char *now;			/* what must come out next */
static struct seen want, whole, cut;

/* ---- the header ---- */

static void
emit(void *arg, const char *p, size_t n)
{
	struct seen *s = arg;

	HOLDS(n > 0 && !memcmp(p, now + s->n, n));
	s->n += n;
}

static void
end(void *arg)
{
	struct seen *s = arg;

	s->ends++;
	s->end = s->n;
}

static void
delivered(void *arg, uint32_t hash)
{
	struct seen *s = arg;

	HOLDS(!s->ends);
	s->hash[s->told++ % TOLD] = hash;
}

/* seed 0: uncut. */
static void
run(struct seen *s, const char *p, size_t n, uint32_t seed)
{
	struct header h;
	size_t at, k;

	memset(s, 0, sizeof(*s));
	header_init(&h);
	h.emit = emit;
	h.end = end;
	h.delivered = delivered;
	h.arg = s;
	now = p;
	for (at = 0; at < n; at += k) {
		k = seed ? fuzz_piece(&seed, n - at) : n;
		header_feed(&h, p + at, k);
	}
	header_finish(&h);
	HOLDS(s->n == n && s->ends == 1);
	s->blank = h.blank;
	s->received = h.received;
	s->date = h.date;
	s->message_id = h.message_id;
}

/* The length of a field's name with its colon at p, a line of n octets; 0: it is no field. */
static size_t
name_of(const char *p, size_t n, size_t *name)
{
	size_t i, k;

	for (i = 0; i < n && p[i] >= 33 && p[i] <= 126 && p[i] != ':'; i++)
		;
	*name = i;
	for (k = i; k < n && (p[k] == ' ' || p[k] == '\t'); k++)
		;
	return i && k < n && p[k] == ':' && k <= HEADER_NAME ? k + 1 : 0;
}

/* One field of n octets, folded or not, with a name. */
static void
field(const char *p, size_t n, size_t name, size_t colon)
{
	want.received += text_is(p, name, "Received");
	want.date |= text_is(p, name, "Date");
	want.message_id |= text_is(p, name, "Message-ID");
	if (text_is(p, name, "Delivered-To"))
		want.hash[want.told++ % TOLD] = header_hash(p + colon, n - colon);
}

/* A plain reading, a field at a time. */
static void
plain(const char *p, size_t n)
{
	const char *lf;
	size_t at = 0, colon, len, name;

	memset(&want, 0, sizeof(want));
	want.ends = 1;
	want.n = n;
	while (at < n && p[at] != '\n') {
		lf = memchr(p + at, '\n', n - at);
		len = lf ? (size_t)(lf + 1 - (p + at)) : n - at;
		colon = name_of(p + at, len, &name);
		if (!colon)
			break;
		while (at + len < n && p[at + len - 1] == '\n' && memchr(" \t", p[at + len], 2)) {
			lf = memchr(p + at + len, '\n', n - at - len);
			len = lf ? (size_t)(lf + 1 - (p + at)) : n - at;
		}
		field(p + at, len, name, colon);
		at += len;
	}
	want.end = at;
	want.blank = at < n ? p[at] == '\n' : at && p[at - 1] == '\n';
}

/* ---- the rest ---- */

static void
base64(const char *p, size_t n)
{
	static char back[MOST + 1], text[2 * MOST];
	size_t len, size = (n + 2) / 3 * 4;
	long k;

	len = text_base64(text, size + 1, p, n);
	HOLDS(len == size && strlen(text) == len);
	HOLDS(text_base64(back, size, p, n) == 0 || !n);
	HOLDS(text_unbase64(back, n, text, len) == (long)n && !memcmp(back, p, n));
	HOLDS(!n || text_unbase64(back, n - 1, text, len) == -1);
	memcpy(back, p, n);
	k = text_unbase64(back, n, back, n);	/* in place */
	HOLDS(k == text_unbase64(text, sizeof(text), p, n));
	if (k < 0)
		return;
	HOLDS(!memcmp(back, text, (size_t)k));
	HOLDS(text_base64(text, sizeof(text), back, (size_t)k) == n && !memcmp(text, p, n));
}

/* Octets of p[0..n) that are escaped in text[0..used), which must end with one of them. */
static size_t
escaped(const char *text, size_t used, const char *p, size_t n)
{
	char one[5];
	size_t at = 0, i, len;

	for (i = 0; i < n && at < used; i++) {
		(void)snprintf(one, sizeof(one), p[i] < ' ' || p[i] > '~' ? "\\x%02x" :
		    strchr("\"\\", p[i]) ? "\\%c" : "%c", (unsigned char)p[i]);
		len = strlen(one);
		HOLDS(at + len <= used && !memcmp(text + at, one, len));
		at += len;
	}
	HOLDS(at == used);
	return i;
}

static void
escape(const char *p, size_t n, size_t size)
{
	static char all[4 * MOST + 1], text[4 * MOST + 1];
	size_t full, used;

	full = strlen(text_escape(all, sizeof(all), p, n));
	HOLDS(escaped(all, full, p, n) == n);
	used = strlen(text_escape(text, size, p, n));
	HOLDS(used < size && used <= full);
	if (used == full) {
		HOLDS(!strcmp(text, all));
		return;
	}
	HOLDS(full >= size);
	if (size < 4) {
		HOLDS(escaped(text, used, p, n) < n);
		return;
	}
	HOLDS(used >= 3 && used + 4 > size - 4 && !strcmp(text + used - 3, "..."));
	HOLDS(escaped(text, used - 3, p, n) < n);
}

static void
number(const char *p, size_t n)
{
	char text[24];
	uint64_t v;
	size_t i;

	if (text_u64(p, n, &v) < 0) {
		for (i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++)
			;
		HOLDS(i < n || !n || n > 19);
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	for (; n > 1 && *p == '0'; p++, n--)
		;
	HOLDS(strlen(text) == n && !memcmp(text, p, n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_seed(&data, &size);
	const char *p = (const char *)data;

	if (!size || size > MOST)
		return 0;
	plain(p, size);
	run(&whole, p, size, 0);
	HOLDS(!memcmp(&want, &whole, sizeof(want)));
	run(&cut, p, size, seed + 1);
	HOLDS(!memcmp(&cut, &whole, sizeof(cut)));
	base64(p, size);
	escape(p, size, 1 + seed);
	number(p, size < 40 ? size : 40);
	return 0;
}
