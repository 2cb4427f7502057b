/* with: lib/reply.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Replies of a server. Any bytes: cut anyhow they come to the same, what is kept is printable and
 * bounded, and a reader that has a whole line's worth of octets does not ask for more.
 */
#include "fuzz.h"
#include "lib/reply.h"

enum { MOST = 1 << 16 };

struct seen {
	enum reply_result res;
	size_t replies, lines, octets, left;
	uint32_t hash;
};

static void
count(void *arg, const char *p, size_t n)
{
	struct seen *s = arg;
	size_t i;

	s->lines++;
	s->octets += n;
	for (i = 0; i < n; i++) {
		HOLDS(p[i] != '\n' && p[i] != '\0');
		s->hash = s->hash * 31 + (unsigned char)p[i];
	}
}

static void
whole(const struct reply *r)
{
	size_t i;

	HOLDS(r->code >= 200 && r->code <= 599);
	HOLDS(r->lines >= 1 && r->lines <= REPLY_LINES);
	HOLDS(r->nwords < sizeof(r->words) && strlen(r->words) == r->nwords && r->nwords >= 3);
	for (i = 0; i < r->nwords; i++)
		HOLDS(r->words[i] >= 0x20 && r->words[i] <= 0x7e);
	HOLDS(!r->status[0] || r->status[0] - '0' == r->code / 100);
	HOLDS(strlen(r->status) < sizeof(r->status));
}

/* All replies in p[0..n), fed in pieces; seed 0: at once. */
static void
run(struct seen *s, const char *p, size_t n, uint32_t seed)
{
	size_t end = seed ? 0 : n, at = 0, take;
	struct reply r;

	memset(s, 0, sizeof(*s));
	memset(&r, 0, sizeof(r));
	r.line = count;
	r.arg = s;
	reply_init(&r);
	do {
		if (seed && end < n)
			end += fuzz_piece(&seed, n - end);
		do {
			take = end - at;
			s->res = reply_feed(&r, p + at, &take);
			HOLDS(take <= end - at);
			at += take;
			if (s->res == REPLY_MORE)
				HOLDS(end - at < REPLY_LINE);
			if (s->res != REPLY_READY)
				break;
			HOLDS(take > 0);
			whole(&r);
			s->replies++;
			reply_init(&r);
		} while (at < end);
	} while (s->res != REPLY_BAD && end < n);
	s->left = n - at;
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
	run(&a, text, size, 0);
	run(&b, text, size, seed + 1);
	HOLDS(a.res == b.res && a.replies == b.replies && a.lines == b.lines);
	HOLDS(a.octets == b.octets && a.left == b.left && a.hash == b.hash);
	return 0;
}
