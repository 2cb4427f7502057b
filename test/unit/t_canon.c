/* with: lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Canonical forms: what is hashed, octet for octet, however the text is cut. */
#include <bearssl_hash.h>

#include "test.h"

static struct {
	char p[1 << 18];
	size_t n;
} hashed;

static void
note(br_sha256_context *c, const void *p, size_t n)
{
	br_sha224_update(c, p, n);
	if (n <= sizeof(hashed.p) - hashed.n) {
		memcpy(hashed.p + hashed.n, p, n);
		hashed.n += n;
	}
}

#undef br_sha256_update
#define br_sha256_update note
#include "lib/canon.c"

/* ---- bodies ---- */

static const struct {
	const char *in, *simple, *relaxed;
} bodies[] = {
	/* RFC 6376 3.4.5 */
	{ " C \nD \t E\n\n\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ "", "\r\n", "" },
	{ "\n", "\r\n", "" },
	{ "\n\n\n", "\r\n", "" },
	{ " \n\t\n \t ", " \r\n\t\r\n \t \r\n", "" },
	{ " \n\n\n", " \r\n", "" },
	{ "a", "a\r\n", "a\r\n" },
	{ "a\n", "a\r\n", "a\r\n" },
	{ "a \t", "a \t\r\n", "a\r\n" },
	{ "a\n\n \n\t\n", "a\r\n\r\n \r\n\t\r\n", "a\r\n" },
	{ "a\n\n\n\n", "a\r\n", "a\r\n" },
	{ "\n\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
	{ "a\n\nb\n\n\nc\n\n", "a\r\n\r\nb\r\n\r\n\r\nc\r\n", "a\r\n\r\nb\r\n\r\n\r\nc\r\n" },
	{ "  a  b\t\tc \t d  \n", "  a  b\t\tc \t d  \r\n", " a b c d\r\n" },
	{ ".\n..\nFrom x\n", ".\r\n..\r\nFrom x\r\n", ".\r\n..\r\nFrom x\r\n" },
	{ "\xc3\xa9 \xff\n", "\xc3\xa9 \xff\r\n", "\xc3\xa9 \xff\r\n" },
	{ "a\rb\n", "a\rb\r\n", "a\rb\r\n" },
};

static int how;

/* Hash and number of octets. */
static size_t
machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	unsigned char hash[br_sha256_SIZE];
	struct canon_body b;
	uint64_t len;
	size_t at, k;

	(void)size;
	canon_body_init(&b, how);
	for (at = 0; at < n; at += k) {
		k = test_piece(c, at, n);
		canon_body(&b, in + at, k);
	}
	len = canon_body_hash(&b, hash);
	memcpy(out, hash, sizeof(hash));
	memcpy(out + sizeof(hash), &len, sizeof(len));
	return sizeof(hash) + sizeof(len);
}

static void
check_body(const char *in, size_t n, const char *want, size_t nwant)
{
	unsigned char got[br_sha256_SIZE], hash[br_sha256_SIZE];
	struct canon_body b;
	br_sha256_context c;

	canon_body_init(&b, how);
	canon_body(&b, in, n);
	CHECK_INT(canon_body_hash(&b, got), nwant);
	br_sha256_init(&c);
	br_sha224_update(&c, want, nwant);
	br_sha256_out(&c, hash);
	if (!CHECK_MSG(!memcmp(got, hash, sizeof(hash)), "another body"))
		test_show("in", in, n);
	/* it can be asked again, and go on */
	CHECK_INT(canon_body_hash(&b, got), nwant);
	CHECK_MEM(got, sizeof(got), hash, sizeof(hash));
	CHECK_SPLIT(machine, in, n);
}

static void
test_bodies(void)
{
	size_t i;

	for (i = 0; i < LEN(bodies); i++) {
		how = CANON_SIMPLE;
		check_body(bodies[i].in, strlen(bodies[i].in), bodies[i].simple,
		    strlen(bodies[i].simple));
		how = CANON_RELAXED;
		check_body(bodies[i].in, strlen(bodies[i].in), bodies[i].relaxed,
		    strlen(bodies[i].relaxed));
	}
	check_body(BYTES("a\0 \0b"), BYTES("a\0 \0b\r\n"));
	how = CANON_SIMPLE;
	check_body(BYTES("a\0 \0b"), BYTES("a\0 \0b\r\n"));
}

/* ---- fields ---- */

/* '|' in the text: from there, and to there, nothing counts. */
static const struct {
	const char *in, *simple, *relaxed;
} fields[] = {
	/* RFC 6376 3.4.5 */
	{ "A: X\n", "A: X", "a:X" },
	{ "B : Y\t\n\tZ  \n", "B : Y\t\r\n\tZ  ", "b:Y Z" },
	{ "Subject:\n", "Subject:", "subject:" },
	{ "Subject: \t \n", "Subject: \t ", "subject:" },
	{ "Subject:x", "Subject:x", "subject:x" },
	{ "SUBJECT\t:\n a\n\t\tb \n  c\n", "SUBJECT\t:\r\n a\r\n\t\tb \r\n  c", "subject:a b c" },
	{ "S: a\n \n b\n\t\n", "S: a\r\n \r\n b\r\n\t", "s:a b" },
	{ "S: a:b\n", "S: a:b", "s:a:b" },
	{ "S:\xc3\xa9  x\r\n", "S:\xc3\xa9  x\r", "s:\xc3\xa9 x\r" },
	{ "D: b=|x y|\n", "D: b=", "d:b=" },
	{ "D: b=|\n  x\n\ty z\n |; c\n", "D: b=; c", "d:b=; c" },
	{ "D: b=||; c", "D: b=; c", "d:b=; c" },
	{ "D: a \n b=|x|;\n c", "D: a \r\n b=;\r\n c", "d:a b=; c" },
	{ "D:b=|x|", "D:b=", "d:b=" },
	{ "D:b=|x|  \n", "D:b=  ", "d:b=" },
};

static void
check_field(const char *in, size_t n, size_t from, size_t to, int c14n, const char *want)
{
	const char *p = in;
	struct canon_field f;
	br_sha256_context c;

	CHECK_INT(canon_next(&f, &p, in + n), 1);
	CHECK(p == in + n);
	br_sha256_init(&c);
	hashed.n = 0;
	canon_field(&c, c14n, &f, from, to);
	CHECK_MEM(hashed.p, hashed.n, want, strlen(want));
	CHECK_INT(canon_next(&f, &p, in + n), 0);
}

static void
test_fields(void)
{
	char in[128];
	size_t i, k, n, at[2];
	const char *p;

	for (i = 0; i < LEN(fields); i++) {
		at[0] = at[1] = 0;
		for (n = k = 0, p = fields[i].in; *p; p++) {
			if (*p == '|' && k < 2)
				at[k++] = n;
			else
				in[n++] = *p;
		}
		check_field(in, n, at[0], at[1], CANON_SIMPLE, fields[i].simple);
		check_field(in, n, at[0], at[1], CANON_RELAXED, fields[i].relaxed);
	}
}

static void
test_long_name(void)
{
	char in[300], want[300];
	size_t n;

	for (n = 1; n < 200; n++) {
		memset(in, 'X', n);
		memcpy(in + n, ": y", 4);
		memset(want, 'x', n);
		memcpy(want + n, ":y", 3);
		check_field(in, n + 3, 0, 0, CANON_RELAXED, want);
	}
}

/* Headers, and what is a field in them: the lengths of names, 0: a line that is none. */
static const struct {
	const char *in;
	int names[5];
} headers[] = {
	{ "", { -1 } },
	{ "A: x\nBc:y\n\tz\nDef : w", { 1, 2, 3, -1 } },
	{ "no field\nA: x\n", { 0, 1, -1 } },
	{ " A: x\nA: x\n", { 0, 1, -1 } },
	{ ": x\nA:\n", { 0, 1, -1 } },
	{ "A B: x\nA\x80: x\nA\x7f: x\nA:x", { 0, 0, 0, 1, -1 } },
	{ "\n\nA:\n", { 0, 0, 1, -1 } },
	{ "A\n :x\nB:\n", { 0, 1, -1 } },
	{ "A:x\n \n\n", { 1, 0, -1 } },
};

static void
test_next(void)
{
	const char *p, *end;
	struct canon_field f;
	size_t i;
	int k, r;

	for (i = 0; i < LEN(headers); i++) {
		p = headers[i].in;
		end = p + strlen(p);
		for (k = 0; (r = canon_next(&f, &p, end)) != 0 && k < 5; k++) {
			CHECK_INT(r, headers[i].names[k] ? 1 : -1);
			CHECK_INT(f.nname, headers[i].names[k]);
			CHECK(f.p >= headers[i].in && f.p + f.n <= end && f.p + f.n <= p);
		}
		CHECK_INT(headers[i].names[k], -1);
		CHECK(p == end);
	}
	p = "A\0B: x\n";
	CHECK_INT(canon_next(&f, &p, p + 7), -1);
}

int
main(void)
{
	test_bodies();
	test_fields();
	test_long_name();
	test_next();
	return test_end();
}
