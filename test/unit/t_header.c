/* with: lib/header.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* The header machine: where a header ends, what is in it, and that nothing is lost or moved. */
#include "lib/header.h"
#include "test.h"

static struct {
	char *p;
	size_t n, size;
} out;

static void
emit(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (n > out.size - out.n)
		abort();
	memcpy(out.p + out.n, p, n);
	out.n += n;
}

static void
end(void *arg)
{
	emit(arg, "|", 1);
}

/* Which of these addresses stood in Delivered-To fields. */
static char delivered[64];

static void
told(void *arg, uint32_t hash)
{
	static const char *const known[] = { "a@b.example", "\"c d\"@e", "" };
	size_t i, n = strlen(delivered);

	(void)arg;
	for (i = 0; i < LEN(known) && header_hash(known[i], strlen(known[i])) != hash; i++)
		;
	(void)snprintf(delivered + n, sizeof(delivered) - n, "+%d", i < LEN(known) ? (int)i : 9);
}

/* What comes out has a bar where the header ends, and the findings behind it. */
static size_t
run(char *dst, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct header h;
	char found[64];
	size_t at, k;

	out.p = dst;
	out.n = 0;
	out.size = size;
	header_init(&h);
	delivered[0] = '\0';
	h.delivered = told;
	h.emit = emit;
	h.end = end;
	for (at = 0; at < n; at += k) {
		k = test_piece(c, at, n);
		header_feed(&h, in + at, k);
	}
	header_finish(&h);
	(void)snprintf(found, sizeof(found), "#%d%d%d%d", h.blank, h.received,
	    h.date, h.message_id);
	emit(NULL, found, strlen(found));
	emit(NULL, delivered, strlen(delivered));
	return out.n;
}

static const struct {
	const char *in, *want;
} table[] = {
	{ "", "|#0000" },
	{ "\n", "|\n#1000" },
	{ "A: b\n\nbody\n", "A: b\n|\nbody\n#1000" },
	{ "A: b\n", "A: b\n|#1000" },
	{ "Date: x\nmessage-id: <y>\n\nDate: no\n",
	    "Date: x\nmessage-id: <y>\n|\nDate: no\n#1011" },
	{ "Received: a\n\tfolded: b\nReceived: c\n\n",
	    "Received: a\n\tfolded: b\nReceived: c\n|\n#1200" },
	{ "A: b\nno field\nDate: x\n", "A: b\n|no field\nDate: x\n#0000" },
	{ "hello\n", "|hello\n#0000" },
	{ "hello", "|hello#0000" },
	{ " folded first\nA: b\n", "| folded first\nA: b\n#0000" },
	{ "Subject : old\nDate\t : x\n\n", "Subject : old\nDate\t : x\n|\n#1010" },
	{ "From a@b Sun Nov 22 03:03:14 2026\nA: b\n",
	    "|From a@b Sun Nov 22 03:03:14 2026\nA: b\n#0000" },
	{ ": empty\n", "|: empty\n#0000" },
	{ "A\x80: b\n", "|A\x80: b\n#0000" },
	{ "Delivered-To: a@b.example\n\nDelivered-To: a@b.example\n",
	    "Delivered-To: a@b.example\n|\nDelivered-To: a@b.example\n#1000+0" },
	{ "delivered-to :\t <A@\n B.EXAMPLE>  \nX: a@b.example\nDELIVERED-TO:\"c d\"@e\n",
	    "delivered-to :\t <A@\n B.EXAMPLE>  \nX: a@b.example\n"
	    "DELIVERED-TO:\"c d\"@e\n|#1000+0+1" },
	{ "Delivered-To: a@b.example", "Delivered-To: a@b.example|#0000+0" },
	{ "Delivered-To:\nDelivered-To: a@b.exampl\nno field\n",
	    "Delivered-To:\nDelivered-To: a@b.exampl\n|no field\n#0000+2+9" },
	{ "Delivered-To: a@b.examplee\nX-Delivered-To: a@b.example\nDelivered: a@b.example\n\n",
	    "Delivered-To: a@b.examplee\nX-Delivered-To: a@b.example\n"
	    "Delivered: a@b.example\n|\n#1000+9" },
	{ "Dates: x\nDat: y\n\n", "Dates: x\nDat: y\n|\n#1000" },
};

int
main(void)
{
	static const struct cut whole = { 1 << 20, 1 << 20 };
	char got[512], lng[200];
	size_t i, n;

	for (i = 0; i < LEN(table); i++) {
		n = run(got, sizeof(got), table[i].in, strlen(table[i].in), &whole);
		CHECK_MEM(got, n, table[i].want, strlen(table[i].want));
		CHECK_SPLIT(run, table[i].in, strlen(table[i].in));
	}
	/* a name that is too long is none */
	memset(lng, 'x', sizeof(lng));
	lng[HEADER_NAME] = ':';
	n = run(got, sizeof(got), lng, sizeof(lng), &whole);
	CHECK(n > 0 && got[0] == 'x');
	lng[HEADER_NAME] = 'x';
	lng[HEADER_NAME + 1] = ':';
	n = run(got, sizeof(got), lng, sizeof(lng), &whole);
	CHECK(n > 0 && got[0] == '|');
	CHECK_SPLIT(run, lng, sizeof(lng));
	return test_end();
}
