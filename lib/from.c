/* See LICENSE file for copyright and licence details. */
/*
 * Whose is a message? RFC 5322 3.4 with the UTF-8 of RFC 6532, read strictly: what two readers
 * could take for different addresses is none. Functions that read something at the cursor say how
 * long it is and move behind it; 0: there is no such thing here.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>

#include "addr.h"
#include "from.h"
#include "idn.h"
#include "text.h"

struct cursor {
	const char *p, *end;
};

/*
 * Characters that no domain name has, but that some readers take for others: capitals and what is
 * mapped (a long s, wide, raised and joined letters), accents by themselves, the dots of other
 * scripts, what cannot be seen (RFC 5892 2.6, 2.7, roughly). Of Latin and Cyrillic capitals each
 * second is one.
 */
static const struct {
	uint32_t first, last, step;
} never[] = {
	{ 0x80, 0xb6, 1 }, { 0xb8, 0xde, 1 }, { 0x100, 0x130, 2 }, { 0x132, 0x133, 1 },
	{ 0x134, 0x136, 2 }, { 0x139, 0x13d, 2 }, { 0x13f, 0x140, 1 }, { 0x141, 0x147, 2 },
	{ 0x149, 0x149, 1 }, { 0x14a, 0x178, 2 }, { 0x179, 0x17d, 2 }, { 0x17f, 0x17f, 1 },
	{ 0x1a0, 0x1a4, 2 }, { 0x1af, 0x1af, 1 }, { 0x1c4, 0x1cd, 1 }, { 0x1cf, 0x1db, 2 },
	{ 0x1de, 0x1ee, 2 }, { 0x1f1, 0x1f4, 1 }, { 0x1f6, 0x232, 2 }, { 0x2b0, 0x2b8, 1 },
	{ 0x2e0, 0x2e4, 1 }, { 0x300, 0x36f, 1 }, { 0x386, 0x38f, 1 }, { 0x391, 0x3ab, 1 },
	{ 0x400, 0x42f, 1 }, { 0x460, 0x480, 2 }, { 0x48a, 0x4c0, 2 }, { 0x4c1, 0x4cd, 2 },
	{ 0x4d0, 0x52e, 2 }, { 0x531, 0x556, 1 }, { 0x10a0, 0x10cd, 1 }, { 0x1806, 0x180f, 1 },
	{ 0x1d2c, 0x1d6a, 1 }, { 0x1d9b, 0x1dbf, 1 }, { 0x1e00, 0x1e94, 2 },
	{ 0x1e9a, 0x1e9e, 1 }, { 0x1ea0, 0x1efe, 2 }, { 0x2000, 0x2bff, 1 },
	{ 0x2c7c, 0x2c7d, 1 }, { 0x3000, 0x3004, 1 }, { 0x3008, 0x303f, 1 },
	{ 0x3200, 0x33ff, 1 }, { 0xa7f2, 0xa7f4, 1 }, { 0xe000, 0xffff, 1 },
	{ 0x10780, 0x107ba, 1 }, { 0x1d400, 0x1d7ff, 1 }, { 0x1f100, 0x1f1ff, 1 },
	{ 0x1fbf0, 0x1fbf9, 1 }, { 0xe0000, 0x10ffff, 1 }
};

static int
at(const struct cursor *c, char ch)
{
	return c->p < c->end && *c->p == ch;
}

static int
is_space(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n';
}

/* One character of text: printable, or beyond ASCII; names in Latin-1 are still about. */
static size_t
character(const struct cursor *c)
{
	size_t n;

	if (c->p == c->end)
		return 0;
	if (*c->p & 0x80) {
		n = addr_utf8(c->p, (size_t)(c->end - c->p));
		return n ? n : (unsigned char)*c->p >= 0xa0;
	}
	return *c->p > 32 && *c->p < 127;
}

/* White space or a character, quoted by a backslash or not, in a comment or quoted string. */
static size_t
quotable(struct cursor *c)
{
	size_t n;

	if (*c->p == '\\') {
		c->p++;
		if (at(c, '\n'))
			return 0;
	}
	n = c->p < c->end && is_space(*c->p) ? 1 : character(c);
	c->p += n;
	return n;
}

/* Comments and folding white space, as much as there is: 0 or -1. */
static int
cfws(struct cursor *c)
{
	int depth = 0;

	while (c->p < c->end) {
		if (*c->p == '(' || (depth && *c->p == ')'))
			depth += *c->p++ == '(' ? 1 : -1;
		else if (!depth && is_space(*c->p))
			c->p++;
		else if (!depth)
			break;
		else if (!quotable(c))
			return -1;
	}
	return depth ? -1 : 0;
}

static size_t
atom(struct cursor *c)
{
	const char *p = c->p;
	size_t n;

	while ((n = character(c)) > 0 && !strchr("()<>[]:;@\\,.\"", *c->p))
		c->p += n;
	return (size_t)(c->p - p);
}

static size_t
quoted(struct cursor *c)
{
	const char *p = c->p;

	if (!at(c, '"'))
		return 0;
	c->p++;
	while (c->p < c->end && *c->p != '"' && quotable(c))
		;
	if (at(c, '"'))
		return (size_t)(++c->p - p);
	c->p = p;
	return 0;
}

/* A dot-atom or quoted string, but nothing that a reader may decode (RFC 2047 5) or cut at another
 * @. */
static size_t
local_part(struct cursor *c)
{
	const char *p = c->p;
	size_t n;

	if (!quoted(c)) {
		if (!atom(c))
			return 0;
		while (at(c, '.')) {
			c->p++;
			if (!atom(c))
				return 0;
		}
	}
	n = (size_t)(c->p - p);
	if (memchr(p, '@', n) || (memmem(p, n, "=?", 2) && memmem(p, n, "?=", 2)))
		return 0;
	return n;
}

/* Is there a character in p[0..n), valid UTF-8, that no domain has? */
static int
strange(const char *p, size_t n)
{
	size_t i, k, len;
	uint32_t u;

	for (; n; p += len, n -= len) {
		len = addr_utf8(p, n);
		if (!len) {
			len = 1;
			continue;
		}
		u = (unsigned char)*p & (0x7fu >> len);
		for (i = 1; i < len; i++)
			u = u << 6 | ((unsigned char)p[i] & 0x3f);
		for (k = 0; k < sizeof(never) / sizeof(*never); k++) {
			if (u >= never[k].first && u <= never[k].last &&
			    (u - never[k].first) % never[k].step == 0)
				return 1;
		}
	}
	return 0;
}

/* To dst as the DNS has it; a literal in lower case. */
static size_t
domain(struct cursor *c, char dst[ADDR_DOMAIN + 1])
{
	const char *p = c->p;
	size_t n;

	while (character(c) && !strchr("()<>;@\\,\"", *c->p))
		c->p += character(c);
	n = (size_t)(c->p - p);
	if (!n || strange(p, n) || idn_ascii(dst, ADDR_DOMAIN + 1, p, n) < 0)
		return 0;
	return addr_domain(dst, strlen(dst)) || addr_literal(dst, strlen(dst)) ? n : 0;
}

/* Local part, @, domain, with comments and white space around each: 0 or -1. */
static int
addr_spec(struct cursor *c, char dst[ADDR_DOMAIN + 1])
{
	if (cfws(c) < 0 || !local_part(c) || cfws(c) < 0 || !at(c, '@'))
		return -1;
	c->p++;
	return cfws(c) < 0 || !domain(c, dst) || cfws(c) < 0 ? -1 : 0;
}

/*
 * The display name, if any, up to its <: 0 or -1. Scripts write a@b.example <a@b.example>, which no
 * RFC allows: *shown is that domain, "" if there is none.
 */
static int
phrase(struct cursor *c, char shown[ADDR_DOMAIN + 1])
{
	int words = 0;

	*shown = '\0';
	while (cfws(c) == 0) {
		if (quoted(c) || atom(c)) {
			words = 1;
		} else if (words && at(c, '.')) {
			c->p++;
		} else if (words && at(c, '@') && !*shown) {
			c->p++;
			if (!domain(c, shown))
				return -1;
		} else {
			return at(c, '<') ? 0 : -1;
		}
	}
	return -1;
}

static int
mailbox(struct cursor *c, char dst[ADDR_DOMAIN + 1])
{
	char shown[ADDR_DOMAIN + 1];
	struct cursor start = *c;

	if (addr_spec(c, dst) == 0 && !at(c, '<'))
		return 0;
	*c = start;
	if (phrase(c, shown) < 0)
		return -1;
	c->p++;
	if (addr_spec(c, dst) < 0 || !at(c, '>') || (*shown && strcmp(shown, dst) != 0))
		return -1;
	c->p++;
	return cfws(c);
}

int
from_field(char dst[ADDR_DOMAIN + 1], const char *value, size_t n)
{
	struct cursor c = { value, value + n };
	char found[ADDR_DOMAIN + 1] = "";

	while (mailbox(&c, dst) == 0 && (!*found || !strcmp(found, dst))) {
		if (c.p == c.end) {
			if (*dst == '[')
				*dst = '\0';
			return 0;
		}
		if (*c.p++ != ',')
			break;
		memcpy(found, dst, strlen(dst) + 1);
	}
	*dst = '\0';
	return -1;
}

/* Behind the field that begins at p; *colon is its colon, or NULL: it is none. */
static const char *
field(const char *p, const char *end, const char **colon)
{
	const char *q = p;

	while (q < end && *q > 32 && *q < 127 && *q != ':')
		q++;
	*colon = q > p && q < end && *q == ':' ? q : NULL;
	do {
		q = memchr(q, '\n', (size_t)(end - q));
		q = q ? q + 1 : end;
	} while (q < end && (*q == ' ' || *q == '\t'));
	return q;
}

enum from
from_domain(char dst[ADDR_DOMAIN + 1], const char *p, size_t n)
{
	const char *end = p + n, *next, *colon, *value = NULL;
	size_t nvalue = 0;
	int fields = 0;

	*dst = '\0';
	if (n && memchr(p, '\0', n))
		return FROM_NUL;
	for (; p < end; p = next) {
		next = field(p, end, &colon);
		if (!colon)
			return FROM_NAME;
		if (!text_is(p, (size_t)(colon - p), "From"))
			continue;
		value = colon + 1;
		nvalue = (size_t)(next - value);
		fields++;
	}
	if (fields != 1)
		return fields ? FROM_TWO : FROM_NONE;
	return from_field(dst, value, nvalue) < 0 ? FROM_DOMAINS : FROM_OK;
}

const char *
from_words(enum from f)
{
	static const char *const words[] = {
		"a From field", "no From field", "more than one From field",
		"From is not one or more addresses of one domain",
		"a malformed line in the header", "a NUL in the header"
	};

	return words[f];
}
