/* with: lib/reply.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Replies of servers: tables of good and bad ones, limits of lines and words, what is left behind a
 * reply, and any split of the input.
 */
#include "lib/reply.h"
#include "test.h"

static char seen[1 << 17];		/* the lines as told, each with a | behind it */
static size_t nseen;

static void
told(void *arg, const char *p, size_t n)
{
	(void)arg;
	memcpy(seen + nseen, p, n);
	nseen += n;
	seen[nseen++] = '|';
	seen[nseen] = '\0';
}

static void
begin(struct reply *r)
{
	memset(r, 0, sizeof(*r));
	r->line = told;
	reply_init(r);
	nseen = 0;
	seen[0] = '\0';
}

static const struct {
	const char *in, *status, *words, *lines;
	int code;
	size_t left;
} good[] = {
	{ "220 mx ESMTP\r\n", "", "220 mx ESMTP", "mx ESMTP|", 220, 0 },
	{ "250\r\n", "", "250", "|", 250, 0 },
	{ "250 \r\n", "", "250", "|", 250, 0 },
	{ "250-\r\n250 \r\n", "", "250", "||", 250, 0 },
	{ "250-\r\n250\r\n", "", "250", "||", 250, 0 },
	{ "250-a\r\n250-b\r\n250 c\r\n", "", "250 a b c", "a|b|c|", 250, 0 },
	{ "250 2.1.0 Ok\r\n", "2.1.0", "250 2.1.0 Ok", "2.1.0 Ok|", 250, 0 },
	{ "550-5.1.1 No\r\n550 5.1.1 user\r\n", "5.1.1", "550 5.1.1 No user",
	    "5.1.1 No|5.1.1 user|", 550, 0 },
	{ "550-5.1.1 No\r\n550 5.7.1 user\r\n", "5.1.1", "550 5.1.1 No 5.7.1 user",
	    "5.1.1 No|5.7.1 user|", 550, 0 },
	{ "550-No\r\n550 5.7.1 user\r\n", "5.7.1", "550 No 5.7.1 user", "No|5.7.1 user|", 550, 0 },
	{ "550-5.1.1\r\n550 5.1.1\r\n", "5.1.1", "550 5.1.1 5.1.1", "5.1.1|5.1.1|", 550, 0 },
	{ "450 4.123.321\r\n", "4.123.321", "450 4.123.321", "4.123.321|", 450, 0 },
	/* what is none, or of another class */
	{ "550 2.1.5 x\r\n", "", "550 2.1.5 x", "2.1.5 x|", 550, 0 },
	{ "250 2.1\r\n", "", "250 2.1", "2.1|", 250, 0 },
	{ "250 2.1.\r\n", "", "250 2.1.", "2.1.|", 250, 0 },
	{ "250 2..1 x\r\n", "", "250 2..1 x", "2..1 x|", 250, 0 },
	{ "250 2.1.1234\r\n", "", "250 2.1.1234", "2.1.1234|", 250, 0 },
	{ "250 2.1234.1\r\n", "", "250 2.1234.1", "2.1234.1|", 250, 0 },
	{ "250 2.1.0x\r\n", "", "250 2.1.0x", "2.1.0x|", 250, 0 },
	{ "250 2.1.0.1 x\r\n", "", "250 2.1.0.1 x", "2.1.0.1 x|", 250, 0 },
	/* what is behind it */
	{ "250 a\r\n250 b\r\n", "", "250 a", "a|", 250, 7 },
	{ "354 go\r\nx", "", "354 go", "go|", 354, 1 },
	{ "354 go\r\n\n", "", "354 go", "go|", 354, 1 },
	/* octets that no log line should see */
	{ "599 \x01\x7f\xc3\xa4\x1b[2J\t\rx\r\n", "", "599 ?????[2J??x",
	    "\x01\x7f\xc3\xa4\x1b[2J\t\rx|", 599, 0 },
};

static const struct {
	const char *in;
	size_t n;
} bad[] = {
	{ BYTES("\r\n") },
	{ BYTES("\n") },
	{ BYTES("25\r\n") },
	{ BYTES("250\n") },
	{ BYTES("250 ok\n") },
	{ BYTES("250 ok\n250 ok\r\n") },
	{ BYTES("250-ok\n250 ok\r\n") },
	{ BYTES("2500 ok\r\n") },
	{ BYTES("250_ok\r\n") },
	{ BYTES("250\tok\r\n") },
	{ BYTES(" 250 ok\r\n") },
	{ BYTES("25x ok\r\n") },
	{ BYTES("-50 ok\r\n") },
	{ BYTES("199 ok\r\n") },
	{ BYTES("600 ok\r\n") },
	{ BYTES("000 ok\r\n") },
	{ BYTES("999 ok\r\n") },
	{ BYTES("HTTP/1.1 400 Bad Request\r\n") },
	{ BYTES("SSH-2.0-x\r\n") },
	{ BYTES("250 a\0b\r\n") },
	{ BYTES("25\0 ab\r\n") },
	{ BYTES("250-a\r\n251 b\r\n") },
	{ BYTES("250-a\r\n550 b\r\n") },
	{ BYTES("250-a\r\n\r\n") },
	{ BYTES("250-a\r\nb\r\n") },
};

/* For CHECK_SPLIT: all replies of the input, until it ends or one is bad. */
static size_t
replies(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	static char pending[1 << 17];
	enum reply_result res = REPLY_MORE;
	size_t at = 0, have = 0, k, o = 0;
	struct reply r;

	begin(&r);
	for (; at < n && res != REPLY_BAD; at += k) {
		k = test_piece(cut, at, n);
		memcpy(pending + have, in + at, k);
		have += k;
		do {
			size_t take = have;

			res = reply_feed(&r, pending, &take);
			memmove(pending, pending + take, have - take);
			have -= take;
			if (res == REPLY_READY) {
				o += (size_t)snprintf(out + o, size - o, "%d %s[%s]%d;", r.code,
				    r.status, r.words, r.lines);
				reply_init(&r);
			}
		} while (res == REPLY_READY && have);
	}
	o += (size_t)snprintf(out + o, size - o, "%s", res == REPLY_BAD ? "BAD" : "");
	memcpy(out + o, seen, nseen);
	return o + nseen;
}

static void
test_tables(void)
{
	struct reply r;
	size_t i, n;

	for (i = 0; i < LEN(good); i++) {
		begin(&r);
		n = strlen(good[i].in);
		CHECK_MSG(reply_feed(&r, good[i].in, &n) == REPLY_READY, "%s", good[i].words);
		CHECK_INT(strlen(good[i].in) - n, good[i].left);
		CHECK_INT(r.code, good[i].code);
		CHECK_STR(r.status, good[i].status);
		CHECK_STR(r.words, good[i].words);
		CHECK_INT(r.nwords, strlen(r.words));
		CHECK_STR(seen, good[i].lines);
		CHECK_SPLIT(replies, good[i].in, strlen(good[i].in));
		/* each beginning of it is not yet a reply */
		for (n = 0; n + good[i].left < strlen(good[i].in); n++) {
			size_t k = n;

			begin(&r);
			CHECK(reply_feed(&r, good[i].in, &k) == REPLY_MORE && k <= n);
		}
	}
	for (i = 0; i < LEN(bad); i++) {
		begin(&r);
		n = bad[i].n;
		CHECK_MSG(reply_feed(&r, bad[i].in, &n) == REPLY_BAD, "%s", bad[i].in);
		CHECK_SPLIT(replies, bad[i].in, bad[i].n);
	}
}

static char big[1 << 17];

static size_t
lines(int count, const char *text, const char *last)
{
	size_t n = 0;

	while (count-- > 0)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "250-%s\r\n", text);
	return n + (size_t)snprintf(big + n, sizeof(big) - n, "%s", last);
}

static void
test_limits(void)
{
	struct reply r;
	size_t n, k;

	/* a line of REPLY_LINE octets is the longest */
	for (k = REPLY_LINE - 2; k <= REPLY_LINE + 2; k++) {
		memset(big, 'x', k);
		memcpy(big, "250 ", 4);
		memcpy(big + k - 2, "\r\n", 2);
		begin(&r);
		n = k;
		CHECK_INT(reply_feed(&r, big, &n), k <= REPLY_LINE ? REPLY_READY : REPLY_BAD);
		CHECK_SPLIT(replies, big, k);
		if (k > REPLY_LINE)
			continue;
		CHECK_INT(r.nwords, REPLY_WORDS - 1);
		CHECK_INT(strlen(r.words), REPLY_WORDS - 1);
	}
	/* without an end it is known to be too long in good time */
	memset(big, '2', sizeof(big));
	begin(&r);
	n = REPLY_LINE - 1;
	CHECK_INT(reply_feed(&r, big, &n), REPLY_MORE);
	CHECK_INT(n, 0);
	n = REPLY_LINE;
	CHECK_INT(reply_feed(&r, big, &n), REPLY_BAD);
	/* lines */
	n = lines(REPLY_LINES - 1, "x", "250 y\r\n");
	CHECK_SPLIT(replies, big, n);
	begin(&r);
	CHECK_INT(reply_feed(&r, big, &n), REPLY_READY);
	CHECK_INT(r.lines, REPLY_LINES);
	n = lines(REPLY_LINES, "x", "250 y\r\n");
	CHECK_SPLIT(replies, big, n);
	begin(&r);
	CHECK_INT(reply_feed(&r, big, &n), REPLY_BAD);
	n = lines(5000, "endless", "");
	begin(&r);
	CHECK_INT(reply_feed(&r, big, &n), REPLY_BAD);
	/* without somebody who wants the lines */
	begin(&r);
	r.line = NULL;
	n = lines(2, "x", "250 y\r\n");
	CHECK_INT(reply_feed(&r, big, &n), REPLY_READY);
	CHECK_STR(r.words, "250 x x y");
	CHECK_INT(nseen, 0);
}

/* A reader is used for one reply after the other. */
static void
test_again(void)
{
	struct reply r;
	size_t n;

	begin(&r);
	n = lines(0, "", "550 5.1.1 no\r\n250 yes\r\n");
	CHECK_INT(reply_feed(&r, big, &n), REPLY_READY);
	CHECK_INT(n, 14);
	reply_init(&r);
	n = 9;
	CHECK_INT(reply_feed(&r, big + 14, &n), REPLY_READY);
	CHECK_INT(r.code, 250);
	CHECK_STR(r.status, "");
	CHECK_STR(r.words, "250 yes");
	CHECK_INT(r.lines, 1);
}

int
main(void)
{
	test_tables();
	test_limits();
	test_again();
	return test_end();
}
