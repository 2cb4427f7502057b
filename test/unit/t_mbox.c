/* with: lib/mbox.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Mailboxes: From_ lines, the scanner against a slow one written line by line and against Python's
 * mailbox module, quoting and sending as each other's inverse for arbitrary bytes, TOP, unique-ids;
 * all of it for any split of the input.
 */
#include <stdarg.h>

#include "lib/mbox.h"
#include "lib/text.h"
#include "test.h"

enum { BIG = 1 << 20, MSGS = 20000 };

#define F1 "From a@b Thu Jan  1 00:00:00 1970\n"
#define F2 "From c d Fri Jan  2 03:04:05 +0100 1970\n"

static struct mbox_msg got[MSGS], want[MSGS];
static size_t ngot, nwant;
static char file[4 * BIG];
static size_t nfile;

/* ---- From_ lines ---- */

static void
from_lines(void)
{
	static const struct {
		const char *in;
		int want;
	} t[] = {
		{ "From a@b Thu Jan  1 00:00:00 1970", 1 },
		{ "From a@b Thu Jan  1 00:00:00 1970\r", 1 },
		{ "From a@b  Thu Jan 01 00:00:00 1970", 1 },
		{ "From MAILER-DAEMON Fri Jul  8 12:08:34 2011", 1 },
		{ "From - Fri Aug 24 11:55:47 2018", 1 },
		{ "From Thu Jan  1 00:00:00 1970", 1 },
		{ "From  Thu Jan  1 00:00:00 1970", 1 },
		{ "From \"a b\"@c Thu Jan  1 00:00:00 1970", 1 },
		{ "From a b c Thu Jan  1 00:00:00 1970", 1 },
		{ "From Thu Thu Jan  1 00:00:00 1970", 1 },
		{ "From a@b Thu Jan  1 00:00 1970", 1 },
		{ "From a@b Thu Jan  1 0:00 1970", 1 },
		{ "From a@b Thu Jan  1 00:00:00 PST 1970", 1 },
		{ "From a@b Thu Jan  1 00:00:00 MET DST 1970", 1 },
		{ "From a@b Thu Jan  1 00:00:00 +0100 1970", 1 },
		{ "From a@b Thu Jan  1 00:00:00 1970 -0800", 1 },
		{ "From a@b Thu Jan  1 00:00:00 1970 remote from host", 1 },
		{ "From a@b Thu, 1 Jan 00:00:00 1970", 1 },
		{ "From a@b thu jan  1 00:00:00 1970", 1 },
		{ "From a@b\tThu Jan  1 00:00:00 1970 ", 1 },
		{ "From", 0 },
		{ "From ", 0 },
		{ "From: a@b Thu Jan  1 00:00:00 1970", 0 },
		{ "from a@b Thu Jan  1 00:00:00 1970", 0 },
		{ ">From a@b Thu Jan  1 00:00:00 1970", 0 },
		{ " From a@b Thu Jan  1 00:00:00 1970", 0 },
		{ "From a@b", 0 },
		{ "From here to there on Thu Jan  1", 0 },
		{ "From a@b Thu Jan  1 00:00:00", 0 },
		{ "From a@b Thu Jan  1 00:00:00 70", 0 },
		{ "From a@b Thu Jan  1 00:00:00 19700", 0 },
		{ "From a@b Thu Jan  1 24:00:00 1970", 0 },
		{ "From a@b Thu Jan  1 00:60:00 1970", 0 },
		{ "From a@b Thu Jan  1 00:00:62 1970", 0 },
		{ "From a@b Thu Jan  1 00.00.00 1970", 0 },
		{ "From a@b Thu Jan  1 00: 1970", 0 },
		{ "From a@b Thu Jan  1 00 1970", 0 },
		{ "From a@b Thu Jan  1 00:00:00x 1970", 0 },
		{ "From a@b Thu Jan 32 00:00:00 1970", 0 },
		{ "From a@b Thu Jan  0 00:00:00 1970", 0 },
		{ "From a@b Thx Jan  1 00:00:00 1970", 0 },
		{ "From a@b Thu Jax  1 00:00:00 1970", 0 },
		{ "From a@b Jan  1 00:00:00 1970", 0 },
		{ "From a@b Thu Jan  1 00:00:00 1970 and more", 1 },	/* c-client: zone, zone */
		{ "From a@b Thu Jan  1 00:00:00 1970 (and more)", 0 },
		{ "From a@bThu Jan  1 00:00:00 1970", 0 },
		{ "", 0 },
	};
	static const char date[] = " Thu Jan  1 00:00:00 1970";
	char line[1100];
	size_t i, n;

	for (i = 0; i < LEN(t); i++)
		CHECK_MSG(mbox_isfrom(t[i].in, strlen(t[i].in)) == t[i].want, "\"%s\"", t[i].in);
	CHECK(mbox_isfrom(BYTES("From a\0b Thu Jan  1 00:00:00 1970")));
	CHECK(!mbox_isfrom(BYTES("From a@b Thu Jan  1 00:00:00 1970\0")));
	for (n = 900; n < sizeof(line); n++) {
		memset(line, 'x', n);
		memcpy(line, "From ", 5);
		memcpy(line + n - strlen(date), date, strlen(date));
		if (mbox_isfrom(line, n) != (n < MBOX_FROM))
			break;
	}
	CHECK_INT(n, sizeof(line));
}

/* ---- the scanner, and a slow one ---- */

static void
emit(void *arg, const struct mbox_msg *m)
{
	if (ngot < MSGS)
		got[ngot] = *m;
	ngot++;
	(void)arg;
}

static void
scan(const char *in, size_t n, uint64_t at, const struct cut *c)
{
	static struct mbox_scan s;
	char *piece;
	size_t i, len;

	ngot = 0;
	mbox_scan_init(&s, at, emit, NULL);
	for (i = 0; i < n; i += len) {
		len = test_piece(c, i, n);
		/* a piece of its own, so that the sanitizer sees what is read beside it */
		piece = malloc(len);
		if (!piece)
			abort();
		memcpy(piece, in + i, len);
		mbox_scan_feed(&s, piece, len);
		free(piece);
	}
	mbox_scan_end(&s);
}

static void
scan_all(const char *in, size_t n)
{
	struct cut c;

	c.first = c.step = n ? n : 1;
	scan(in, n, 0, &c);
}

/* Everything about the messages, for comparing. */
static size_t
scan_machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	size_t i;

	scan(in, n, 1000000007, c);
	memcpy(out, &ngot, sizeof(ngot));
	for (i = 0; i < ngot && sizeof(ngot) + (i + 1) * sizeof(*got) <= size; i++)
		memcpy(out + sizeof(ngot) + i * sizeof(*got), &got[i], sizeof(*got));
	return sizeof(ngot) + i * sizeof(*got);
}

/* Does a line (with or without its LF) match ^>*From ? *gt is how many > there are. */
static int
is_quotable(const char *p, size_t n, size_t *gt)
{
	for (*gt = 0; *gt < n && p[*gt] == '>'; ++*gt)
		;
	return n - *gt >= 5 && !memcmp(p + *gt, "From ", 5);
}

/* The length of the line at p with its LF. */
static size_t
line_len(const char *p, size_t n)
{
	const char *lf;

	lf = n ? memchr(p, '\n', n) : NULL;
	return lf ? (size_t)(lf - p) + 1 : n;
}

/* A text as it is in a mailbox to its form on the wire; `stuff`: dots doubled. */
static size_t
slow_wire(char *out, const char *p, size_t n, int stuff)
{
	size_t i, o, len, gt;

	o = 0;
	for (i = 0; i < n; i += len) {
		len = line_len(p + i, n - i);
		if (stuff && p[i] == '.')
			out[o++] = '.';
		gt = is_quotable(p + i, len, &gt) && gt;
		memcpy(out + o, p + i + gt, len - gt);
		o += len - gt;
		if (p[i + len - 1] != '\n') {
			out[o++] = '\r';
			out[o++] = '\n';
		} else if (len < 2 || p[i + len - 2] != '\r') {
			out[o - 1] = '\r';
			out[o++] = '\n';
		}
	}
	return o;
}

static void
slow_end(uint64_t end)
{
	static char wire[8 * BIG];
	struct mbox_msg *m;

	m = &want[nwant - 1];
	m->end = end;
	m->octets = slow_wire(wire, file + m->text, (size_t)(end - m->text), 0);
}

static void
slow_scan(void)
{
	size_t i, len, text, blank;

	nwant = 0;
	blank = 1;
	for (i = 0; i < nfile; i += len) {
		len = line_len(file + i, nfile - i);
		text = file[i + len - 1] == '\n' ? len - 1 : len;
		if (blank && mbox_isfrom(file + i, text)) {
			if (nwant)
				slow_end(i - blank);
			want[nwant].from = i;
			want[nwant].text = i + len;
			nwant++;
		}
		blank = 0;
		if (text < len && (len == 1 || (len == 2 && file[i] == '\r')))
			blank = len;
	}
	if (nwant)
		slow_end(nfile - blank * (want[nwant - 1].text < nfile));
}

static int
compare(const char *what, unsigned long round)
{
	size_t i;

	slow_scan();
	scan_all(file, nfile);
	if (!CHECK_MSG(ngot == nwant, "%s %lu: %lu messages, want %lu", what, round,
	    (unsigned long)ngot, (unsigned long)nwant))
		return 0;
	for (i = 0; i < ngot; i++) {
		if (got[i].from != want[i].from || got[i].text != want[i].text ||
		    got[i].end != want[i].end || got[i].octets != want[i].octets)
			break;
	}
	if (CHECK_MSG(i == ngot, "%s %lu: message %lu differs", what, round, (unsigned long)i))
		return 1;
	printf("\tgot  %lu %lu %lu %lu\n", (unsigned long)got[i].from, (unsigned long)got[i].text,
	    (unsigned long)got[i].end, (unsigned long)got[i].octets);
	printf("\twant %lu %lu %lu %lu\n", (unsigned long)want[i].from,
	    (unsigned long)want[i].text, (unsigned long)want[i].end,
	    (unsigned long)want[i].octets);
	test_show("file", file, nfile);
	return 0;
}

static void
scan_tables(void)
{
	static const struct {
		const char *in;
		size_t n;
		const char *text[4];
	} t[] = {
		{ BYTES(""), { NULL } },
		{ BYTES("\n"), { NULL } },
		{ BYTES("no From_ line\n\nat all\n"), { NULL } },
		{ BYTES(F1), { "" } },
		{ BYTES(F1 "\n"), { "" } },
		{ BYTES(F1 "\n\n"), { "\n" } },
		{ BYTES(F1 "\n" F2 "\n"), { "", "" } },
		{ BYTES(F1 "A: b\n\nbody\n\n"), { "A: b\n\nbody\n" } },
		{ BYTES(F1 "A: b\n\nbody\n"), { "A: b\n\nbody\n" } },
		{ BYTES(F1 "A: b\n\nbody"), { "A: b\n\nbody" } },
		{ BYTES(F1 "A: b\n\nbody\n\n" F2 "C: d\n\nx\n\n\n"),
		    { "A: b\n\nbody\n", "C: d\n\nx\n\n" } },
		{ BYTES(F1 "A: b\n\nbody\n" F2 "C: d\n"), { "A: b\n\nbody\n" F2 "C: d\n" } },
		{ BYTES(F1 "A: b\n\nFrom me to you\n"), { "A: b\n\nFrom me to you\n" } },
		{ BYTES(F1 "A: b\n\n>" F2), { "A: b\n\n>" F2 } },
		{ BYTES(F1 F2 "\n"), { F2 } },
		{ BYTES(F1 "A: b\n\n" "From a Thu Jan  1 00:00:00 1970"), { "A: b\n", "" } },
		{ BYTES("junk\n\n" F1 "A: b\n"), { "A: b\n" } },
		{ BYTES("\n\n" F1 "A: b\n"), { "A: b\n" } },
		{ BYTES(F1 "A: b\r\n\r\nbody\r\n\r\n" F2 "x\r\n\r\n"),
		    { "A: b\r\n\r\nbody\r\n", "x\r\n" } },
		{ BYTES(F1 "A: b\n\nbody\n\r\r\n" F2), { "A: b\n\nbody\n\r\r\n" F2 } },
		{ BYTES(F1 "A: b\n\nbody\n \n" F2), { "A: b\n\nbody\n \n" F2 } },
	};
	size_t i, k;

	for (i = 0; i < LEN(t); i++) {
		memcpy(file, t[i].in, t[i].n);
		nfile = t[i].n;
		if (!compare("row", i))
			continue;
		for (k = 0; t[i].text[k] && k < ngot; k++)
			CHECK_MEM(file + got[k].text, got[k].end - got[k].text, t[i].text[k],
			    strlen(t[i].text[k]));
		CHECK(k == ngot && !t[i].text[k]);
		CHECK_SPLIT(scan_machine, file, nfile);
	}
}

/* ---- random mailboxes ---- */

static uint64_t seed;

static uint32_t
pick(uint32_t n)
{
	return test_random(&seed) % n;
}

static const char *const part[] = {
	"\n", "\n", "\n\n", "\n\n", "\r\n", "\r", "From ", "\nFrom ", ">", ">>", "\n>From ",
	"\n>>>From x\n", "Fr", "\nF", "\n>Fro", "\n\n" F1, "\n\n" F2, "\r\n\r\n" F1, F1, ".", "\n.",
	"\n..\n", "Status: RO\n", "X-Mozilla-Status: 0000\n", "Content-Length: 12\n folded\n",
	"Subject: x\n", "x-uid", " ", "some text that is a little longer\n", "\n\nFrom me to you\n",
};

/* Bytes of all kinds; `n` of them at least. */
static size_t
random_bytes(char *p, size_t n)
{
	const char *s;
	size_t o, len, i;

	for (o = 0; o < n; ) {
		switch (pick(16)) {
		case 0:
			p[o++] = (char)(pick(256) & 255);
			break;
		case 1:
			len = pick(pick(8) ? 200 : 1500);
			memset(p + o, pick(2) ? '>' : 'y', len);
			o += len;
			break;
		case 2:
			len = 8 * pick(30);
			for (i = 0; i < len; i++)
				p[o++] = (char)(pick(256) & 255);
			break;
		default:
			s = part[pick(LEN(part))];
			len = strlen(s);
			memcpy(p + o, s, len);
			o += len;
			break;
		}
	}
	return o;
}

static void
random_mailboxes(void)
{
	unsigned long round;

	seed = 42;
	for (round = 0; round < 3000; round++) {
		nfile = 0;
		if (pick(8)) {
			memcpy(file, F1, strlen(F1));
			nfile = strlen(F1);
		}
		nfile += random_bytes(file + nfile, pick(round % 16 ? 600 : 6000));
		if (pick(4) == 0 && nfile)
			nfile -= pick(3) % nfile;
		if (!compare("random mailbox", round))
			return;
		if (round % 8 == 0 && !CHECK_SPLIT(scan_machine, file, nfile))
			return;
	}
}

/* ---- quoting and sending ---- */

static size_t
quote_machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct mbox_quote q;
	size_t i, o, len, w;

	mbox_quote_init(&q);
	o = 0;
	for (i = 0; i < n; i += len) {
		len = test_piece(c, i, n);
		w = mbox_quote_feed(&q, out + o, in + i, len);
		if (w > 2 * len + 16 || o + w > size)
			CHECK_MSG(0, "%lu bytes of %lu", (unsigned long)w, (unsigned long)len);
		o += w;
	}
	w = mbox_quote_end(&q, out + o);
	if (w > 16)
		CHECK_MSG(0, "%lu bytes at the end", (unsigned long)w);
	return o + w;
}

static size_t
slow_quote(char *out, const char *p, size_t n)
{
	size_t i, o, len, gt;

	o = 0;
	for (i = 0; i < n; i += len) {
		len = line_len(p + i, n - i);
		if (is_quotable(p + i, len, &gt))
			out[o++] = '>';
		memcpy(out + o, p + i, len);
		o += len;
	}
	if (o && out[o - 1] != '\n')
		out[o++] = '\n';
	return o;
}

static int64_t send_lines;

static size_t
send_machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	struct mbox_send s;
	size_t i, o, len, eaten, room, w;

	mbox_send_init(&s, send_lines);
	o = 0;
	for (i = 0; i < n && !s.done; i += eaten) {
		len = eaten = test_piece(c, i, n);
		room = 16 + (c->first + 7 * i) % 50;
		if (c->step == n)
			room = size - o;
		w = mbox_send_feed(&s, out + o, room, in + i, &eaten);
		if (w > room || eaten > len || (!eaten && !s.done))
			CHECK_MSG(0, "room %lu: wrote %lu, ate %lu", (unsigned long)room,
			    (unsigned long)w, (unsigned long)eaten);
		o += w;
	}
	w = mbox_send_end(&s, out + o);
	if (w > 24)
		CHECK_MSG(0, "%lu bytes at the end", (unsigned long)w);
	return o + w;
}

/* RETR, or the first lines of it for TOP, with the dot. */
static size_t
slow_send(char *out, const char *p, size_t n, int64_t lines)
{
	size_t i, o, len;
	int header;

	o = slow_wire(out, p, n, 1);
	header = 1;
	for (i = 0; lines >= 0 && i < o && (header || lines > 0); i += len) {
		len = line_len(out + i, o - i);
		if (!header)
			lines--;
		else if (len == 2 && out[i] == '\r')
			header = 0;
	}
	if (lines >= 0)
		o = i;
	memcpy(out + o, ".\r\n", 3);
	return o + 3;
}

static void
quote_tables(void)
{
	static const struct {
		const char *in, *quoted, *sent;	/* sent: without the dot at the end */
	} t[] = {
		{ "", "", "" },
		{ "a", "a\n", "a\r\n" },
		{ "a\n", "a\n", "a\r\n" },
		{ "\n", "\n", "\r\n" },
		{ "\n\n", "\n\n", "\r\n\r\n" },
		{ "From ", ">From \n", "From \r\n" },
		{ "From", "From\n", "From\r\n" },
		{ "From x\n>From x\n>>From x\nFrom:\n>From\n", 
		    ">From x\n>>From x\n>>>From x\nFrom:\n>From\n",
		    "From x\r\n>From x\r\n>>From x\r\nFrom:\r\n>From\r\n" },
		{ "\n From x\nfrom x\n>", "\n From x\nfrom x\n>\n",
		    "\r\n From x\r\nfrom x\r\n>\r\n" },
		{ "> From x\n>FFrom \n>Fr>om \n", "> From x\n>FFrom \n>Fr>om \n",
		    "> From x\r\n>FFrom \r\n>Fr>om \r\n" },
		{ ".\n..\na.\n", ".\n..\na.\n", "..\r\n...\r\na.\r\n" },
		{ "a\r\nb\rc\n", "a\r\nb\rc\n", "a\r\nb\rc\r\n" },
		{ "Fro\nFrom", "Fro\nFrom\n", "Fro\r\nFrom\r\n" },
	};
	static char a[1000], b[1000];
	struct cut c;
	size_t i, n;

	send_lines = -1;
	for (i = 0; i < LEN(t); i++) {
		n = strlen(t[i].in);
		c.first = c.step = 1000;
		n = quote_machine(a, sizeof(a), t[i].in, n, &c);
		CHECK_MEM(a, n, t[i].quoted, strlen(t[i].quoted));
		n = send_machine(b, sizeof(b), a, n, &c);
		snprintf(a, sizeof(a), "%s.\r\n", t[i].sent);
		CHECK_MEM(b, n, a, strlen(a));
		CHECK_SPLIT(quote_machine, t[i].in, strlen(t[i].in));
		CHECK_SPLIT(send_machine, t[i].quoted, strlen(t[i].quoted));
	}
}

static void
top_tables(void)
{
	static const struct {
		const char *in;
		int lines;
		const char *want;
	} t[] = {
		{ "A: b\n\n1\n2\n3\n", 0, "A: b\r\n\r\n.\r\n" },
		{ "A: b\n\n1\n2\n3\n", 1, "A: b\r\n\r\n1\r\n.\r\n" },
		{ "A: b\n\n1\n\n3\n", 2, "A: b\r\n\r\n1\r\n\r\n.\r\n" },
		{ "A: b\n\n1\n2\n3\n", 3, "A: b\r\n\r\n1\r\n2\r\n3\r\n.\r\n" },
		{ "A: b\n\n1\n2\n3\n", 99, "A: b\r\n\r\n1\r\n2\r\n3\r\n.\r\n" },
		{ "A: b\n\n1\n2", 2, "A: b\r\n\r\n1\r\n2\r\n.\r\n" },
		{ "A: b\n", 0, "A: b\r\n.\r\n" },
		{ "A: b", 0, "A: b\r\n.\r\n" },
		{ "", 0, ".\r\n" },
		{ "\n\nx\n", 0, "\r\n.\r\n" },
		{ "\n\nx\n", 1, "\r\n\r\n.\r\n" },
		{ "A: b\r\n\r\n1\r\n2\r\n", 1, "A: b\r\n\r\n1\r\n.\r\n" },
		{ "A: b\n\r\r\n1\n\n2\n", 0, "A: b\r\n\r\r\n1\r\n\r\n.\r\n" },
		{ "A: b\n\n>From 1\n.2\n3\n", 2, "A: b\r\n\r\nFrom 1\r\n..2\r\n.\r\n" },
		{ ">From x\n>\n.\n\n1\n2\n", 1, "From x\r\n>\r\n..\r\n\r\n1\r\n.\r\n" },
	};
	static char a[1000];
	struct cut c;
	size_t i, n;

	for (i = 0; i < LEN(t); i++) {
		send_lines = t[i].lines;
		c.first = c.step = strlen(t[i].in) + 1;
		n = send_machine(a, sizeof(a), t[i].in, strlen(t[i].in), &c);
		CHECK_MEM(a, n, t[i].want, strlen(t[i].want));
		CHECK_SPLIT(send_machine, t[i].in, strlen(t[i].in));
	}
}

/* Quote and send against the slow ones, for arbitrary bytes. */
static void
random_texts(void)
{
	static char text[20000], a[100000], b[100000];
	struct cut c;
	size_t n, na, nb;
	int round;

	seed = 99;
	for (round = 0; round < 1500; round++) {
		n = random_bytes(text, pick(round % 16 ? 400 : 4000));
		c.first = pick(50);
		c.step = 1 + pick(300);
		na = quote_machine(a, sizeof(a), text, n, &c);
		nb = slow_quote(b, text, n);
		if (!CHECK_MEM(a, na, b, nb))
			return;
		send_lines = pick(3) ? -1 : (int64_t)pick(30);
		na = send_machine(a, sizeof(a), text, n, &c);
		nb = slow_send(b, text, n, send_lines);
		if (!CHECK_MEM(a, na, b, nb))
			return;
		if (round % 16)
			continue;
		if (!CHECK_SPLIT(quote_machine, text, n) || !CHECK_SPLIT(send_machine, text, n))
			return;
	}
}

/* ---- there and back ---- */

static char texts[BIG];
static size_t text_at[600], text_len[600];

/* Put some arbitrary texts into a mailbox as a delivery does. */
static size_t
deliver(size_t count, uint32_t most)
{
	struct cut c;
	size_t i, n;

	n = nfile = 0;
	for (i = 0; i < count; i++) {
		text_at[i] = n;
		text_len[i] = pick(10) ? random_bytes(texts + n, pick(most)) : 0;
		n += text_len[i];
		memcpy(file + nfile, F2, strlen(F2));
		nfile += strlen(F2);
		c.first = pick(500);
		c.step = 1 + pick(200);
		nfile += quote_machine(file + nfile, sizeof(file) - nfile, texts + text_at[i],
		    text_len[i], &c);
		file[nfile++] = '\n';
	}
	return n;
}

/* The text on the wire: as it was but for line ends. */
static size_t
on_wire(char *out, const char *p, size_t n)
{
	size_t i, o;

	o = 0;
	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && (!i || p[i - 1] != '\r'))
			out[o++] = '\r';
		out[o++] = p[i];
	}
	if (n && p[n - 1] != '\n') {
		if (p[n - 1] != '\r')
			out[o++] = '\r';
		out[o++] = '\n';	/* the mailbox needed one */
	}
	return o;
}

/* Dots taken off again as a client does, and the end. */
static size_t
unstuff(char *p, size_t n)
{
	size_t i, o, len, dot;

	o = 0;
	for (i = 0; i + 3 < n; i += len) {
		len = line_len(p + i, n - i);
		dot = p[i] == '.';
		memmove(p + o, p + i + dot, len - dot);
		o += len - dot;
	}
	return o;
}

static void
round_trip(void)
{
	static char a[2 * BIG], b[2 * BIG];
	struct cut c;
	size_t i, count, na, nb;
	int round;

	seed = 20260102;
	for (round = 0; round < 300; round++) {
		count = 1 + pick(12);
		deliver(count, round % 16 ? 800 : 8000);
		c.first = pick(5000);
		c.step = 1 + pick(round % 2 ? 100 : 10000);
		scan(file, nfile, 0, &c);
		if (!CHECK_INT(ngot, count))
			return;
		for (i = 0; i < count; i++) {
			send_lines = -1;
			na = send_machine(a, sizeof(a), file + got[i].text,
			    (size_t)(got[i].end - got[i].text), &c);
			na = unstuff(a, na);
			nb = on_wire(b, texts + text_at[i], text_len[i]);
			if (!CHECK_MEM(a, na, b, nb) || !CHECK_INT(got[i].octets, nb))
				return;
		}
	}
}

/* ---- Python's mailbox module ---- */

static const char script[] =
	"import mailbox, sys, zlib\n"
	"m = mailbox.mbox(sys.argv[1], create=False)\n"
	"for k in m.keys():\n"
	"    b = m.get_bytes(k)\n"
	"    print(len(b), zlib.crc32(b))\n"
	"print('end')\n";

static uint32_t
crc32(const char *p, size_t n)
{
	uint32_t crc;
	int k;

	crc = UINT32_MAX;
	while (n--) {
		crc ^= (unsigned char)*p++;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

/* The same messages in the file at a path as in file[]? */
static void
python_agrees(const char *path)
{
	char cmd[5000], line[80], mine[80];
	FILE *f;
	size_t i;
	int ended;

	snprintf(cmd, sizeof(cmd), "python3 -I script.py '%s'", path);
	f = popen(cmd, "r");
	if (!f)
		abort();
	scan_all(file, nfile);
	ended = 0;
	for (i = 0; fgets(line, sizeof(line), f); i++) {
		line[strcspn(line, "\n")] = '\0';
		ended = !strcmp(line, "end");
		if (ended || i >= ngot)
			break;
		snprintf(mine, sizeof(mine), "%lu %lu", (unsigned long)(got[i].end - got[i].text),
		    (unsigned long)crc32(file + got[i].text, (size_t)(got[i].end - got[i].text)));
		if (!CHECK_STR(mine, line))
			break;
	}
	CHECK_MSG(i == ngot && ended, "%s: not all of our %lu messages", path, (unsigned long)ngot);
	pclose(f);
}

static void
python_vectors(const char *name, size_t count)
{
	const char *path;
	char *p;

	path = test_vectors(name);
	p = path ? test_slurp(path, &nfile) : NULL;
	if (!p || nfile > sizeof(file)) {
		free(p);
		return;
	}
	memcpy(file, p, nfile);
	free(p);
	compare(name, 0);
	CHECK_INT(ngot, count);
	CHECK_SPLIT(scan_machine, file, nfile);
	python_agrees(path);
}

static void
python(void)
{
	FILE *f;
	int round;

	if (system("python3 -I -c 'import mailbox' 2>/dev/null") != 0) {
		test_skipped++;
		return;
	}
	f = fopen("script.py", "w");
	if (!f || fputs(script, f) < 0 || fclose(f) != 0)
		abort();
	seed = 5;
	for (round = 0; round < 6; round++) {
		deliver(500, round < 3 ? 200 : 1500);
		f = fopen("box", "w");
		if (!f || fwrite(file, 1, nfile, f) != nfile || fclose(f) != 0)
			abort();
		compare("delivered", (unsigned long)round);
		CHECK_INT(ngot, 500);
		python_agrees("box");
	}
	python_vectors("mbox/imaptest/imaptest.mbox", 48);
	python_vectors("mbox/mox/importtest.mbox", 2);
	python_vectors("mbox/thunderbird/mbox_modern", 2);
	python_vectors("mbox/thunderbird/mbox_mboxrd", 2);
}

/* ---- unique-ids ---- */

static const char *
uid_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The unique-id of the first message of a mailbox. */
static const char *
uid_of(const char *fmt, ...)
{
	static char ring[4][UIDL_TEXT];
	static int k;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(file, sizeof(file), fmt, ap);
	va_end(ap);
	scan_all(file, (size_t)n);
	if (!ngot)
		abort();
	k = (k + 1) % 4;
	return mbox_uidl(ring[k], got[0].uid);
}

#define SAME(a, b) CHECK_STR(uid_of("%s", a), uid_of("%s", b))
#define OTHER(a, b) CHECK(strcmp(uid_of("%s", a), uid_of("%s", b)) != 0)

static void
uid_fields(void)
{
	static const char plain[] = F1 "A: 1\nB: 2\n\nbody\n\n";
	static const char *const fields[] = {
		"Status: RO\n", "Status:\n", "X-Status: A\n", "x-status: A\n", "X-UID: 17\n",
		"X-UIDL: abc\n", "X-IMAP: 1 2\n", "X-IMAPbase: 1 2\n", "X-Keywords: a b\n",
		"X-KEYWORDS: a\n\tb\n c\n", "Content-Length: 5\n", "Lines: 1\n",
		"X-Mozilla-Status: 0001\n", "X-Mozilla-Status2: 0000\n",
		"X-Mozilla-Keys:             \n", "Status: R\r\n", "X-Mozilla-Status:\n 0001\n",
	};
	static const char *const kept[] = {
		"Statu: RO\n", "Statuss: RO\n", "X-Stat: A\n", "X-Mozilla: 1\n",
		"Content-Type: a\n", "Line: 1\n", "C: 3\n", "X-Spam: 1\n", "Subject: Status: RO\n",
		" folded\n", "X-Keywords2: 1\n", "X-IMAPbase2: 1\n", "Status RO\n",
	};
	static char box[2000];
	size_t i;

	for (i = 0; i < LEN(fields); i++) {
		snprintf(box, sizeof(box), F1 "%sA: 1\nB: 2\n\nbody\n\n", fields[i]);
		SAME(plain, box);
		snprintf(box, sizeof(box), F1 "A: 1\n%sB: 2\n\nbody\n\n", fields[i]);
		SAME(plain, box);
		snprintf(box, sizeof(box), F1 "A: 1\nB: 2\n%s\nbody\n\n", fields[i]);
		SAME(plain, box);
		CHECK_SPLIT(scan_machine, box, strlen(box));
	}
	for (i = 0; i < LEN(kept); i++) {
		snprintf(box, sizeof(box), F1 "A: 1\n%sB: 2\n\nbody\n\n", kept[i]);
		OTHER(plain, box);
		CHECK_SPLIT(scan_machine, box, strlen(box));
	}
}

static void
uid_content(void)
{
	static char long_body[2 * MBOX_BODY];
	size_t n;

	/* appending, and what comes behind the message, changes nothing */
	SAME(F1 "A: 1\n\nb\n", F1 "A: 1\n\nb\n\n");
	SAME(F1 "A: 1\n\nb\n", F1 "A: 1\n\nb");
	SAME(F1 "A: 1\n\nb\n\n", F1 "A: 1\n\nb\n\n" F2 "x\n");
	SAME(F1 "A: 1\n", F1 "A: 1\n\n");
	SAME(F1 "A: 1\n", F1 "A: 1\n\n" F2);
	/* a field more that is not counted does not make the body longer */
	SAME(F1 "Status: O\n\n", F1);
	OTHER(F1 "A: 1\n\nb\n", F2 "A: 1\n\nb\n");
	OTHER(F1 "A: 1\n\nb\n", F1 "A: 2\n\nb\n");
	OTHER(F1 "A: 1\n\nb\n", F1 "A: 1\n\nbb\n");
	OTHER(F1 "A: 1\n\nb\n", F1 "A: 1\nb\n");
	OTHER(F1 "A: 1\nB: 2\n\n", F1 "B: 2\nA: 1\n\n");
	OTHER(F1 "A: 1\n\none\n", F1 "A: 1\n\ntwo\n");
	OTHER(F1 "A: 1\n\n12\n", F1 "A: 1\n\n21\n");
	OTHER(F1 "A: 1\n\n1\n2\n", F1 "A: 1\n\n12\n\n");
	OTHER(F1 "\n1\n", F1 "\n2\n");
	/* a body as long as what is kept of it, give or take, with and without its last line end */
	for (n = MBOX_BODY - 4; n < MBOX_BODY + 4; n++) {
		memset(long_body, 'b', sizeof(long_body));
		long_body[n] = '\0';
		CHECK_STR(uid_of(F1 "A: 1\n\n%s", long_body),
		    uid_of(F1 "A: 1\n\n%s\n", long_body));
		CHECK_STR(uid_of(F1 "A: 1\n\n%s", long_body),
		    uid_of(F1 "A: 1\n\n%s\n\n" F2, long_body));
		CHECK_SPLIT(scan_machine, file, 60 + n);
	}
	/* the same on every machine and in every version: clients remember them */
	CHECK_STR(uid_of("%s", F1 "A: 1\nB: 2\n\nbody\n\n"), "8ddoQyEXRaGBULt1Bww3YsywLJae3M3e");
}

static int
by_uid(const void *a, const void *b)
{
	return memcmp(((const struct mbox_msg *)a)->uid, ((const struct mbox_msg *)b)->uid, 24);
}

/* Near-equal headers: no two ids share even their first or last 8 bytes, all bits change. */
static void
uid_spread(void)
{
	static unsigned char list[MSGS][24];
	unsigned long ones[192], i, bad;
	char text[UIDL_TEXT];
	size_t n, k, same;

	memset(ones, 0, sizeof(ones));
	nfile = 0;
	for (i = 0; i < MSGS; i++)
		nfile += (size_t)snprintf(file + nfile, sizeof(file) - nfile,
		    F1 "Message-ID: <%lu@b>\n\n%.*s\n\n", i / 2, (int)(i % 2 + 1), "xx");
	scan_all(file, nfile);
	CHECK_INT(ngot, MSGS);
	for (n = 1; n < ngot; n++) {
		for (k = 0; k < 192; k++)
			ones[k] += (got[n].uid[k / 8] ^ got[n - 1].uid[k / 8]) >> k % 8 & 1;
	}
	bad = 0;
	for (k = 0; k < 192; k++)
		bad += ones[k] < MSGS * 47 / 100 || ones[k] > MSGS * 53 / 100;
	CHECK_INT(bad, 0);
	for (same = n = 0; n < ngot; n++)
		memcpy(list[n], got[n].uid, 24);
	for (k = 0; k < 24; k += 8) {
		for (n = 0; n < ngot; n++) {
			memset(got[n].uid, 0, 24);
			memcpy(got[n].uid, list[n] + k, 8);
		}
		qsort(got, ngot, sizeof(*got), by_uid);
		for (n = 1; n < ngot; n++)
			same += !by_uid(&got[n], &got[n - 1]);
	}
	CHECK_INT(same, 0);
	mbox_uidl(text, list[0]);
	CHECK_INT(strlen(text), 32);
	CHECK_INT(strspn(text,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 32);
}

/* A mailbox of over 4 GiB: offsets and octets are 64 bits wide. */
static void
huge(void)
{
	static struct mbox_scan s;
	uint64_t start;
	size_t i, n;

	start = UINT64_C(1) << 33;
	ngot = 0;
	mbox_scan_init(&s, start, emit, NULL);
	mbox_scan_feed(&s, BYTES(F1 "A: b\n\n"));
	for (n = 0; n < BIG; n += 64) {
		memset(file + n, 'x', 63);
		file[n + 63] = '\n';
	}
	for (i = 0; i < 4200; i++)
		mbox_scan_feed(&s, file, n);
	mbox_scan_feed(&s, BYTES("\n" F2 "\n"));
	mbox_scan_end(&s);
	CHECK_INT(ngot, 2);
	CHECK_INT(got[0].text, start + strlen(F1));
	CHECK_INT(got[0].end, start + strlen(F1) + 6 + UINT64_C(4200) * BIG);
	CHECK_INT(got[0].octets, 8 + UINT64_C(4200) * (BIG + BIG / 64));
	CHECK_INT(got[1].from, got[0].end + 1);
}

int
main(void)
{
	from_lines();
	scan_tables();
	random_mailboxes();
	quote_tables();
	top_tables();
	random_texts();
	round_trip();
	python();
	uid_fields();
	uid_content();
	uid_spread();
	if (sizeof(void *) == 8)
		huge();
	return test_end();
}
