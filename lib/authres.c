/* See LICENSE file for copyright and licence details. */
/*
 * Authentication-Results, RFC 8601 2.2. What is written is what the grammar has, and less where
 * simple readers might stumble: a value is a token or an address as it is, or else a quoted string;
 * lines are folded between results, properties and comments only.
 */
#include <string.h>

#include "addr.h"
#include "authres.h"
#include "idn.h"
#include "text.h"

enum {
	COLUMN = 72,
	TAIL = 8,		/* kept free for "; none", LF and NUL */
	QUOTED = 2 * AUTHRES_VALUE + 2
};

/* RFC 2045 5.1, ASCII only. */
static int
is_token(int ch)
{
	return ch > 32 && ch < 127 && !strchr("()<>@,;:\\\"/[]?=", ch);
}

/* ---- writing ---- */

static void
put(struct authres *a, const char *p, size_t n)
{
	if (a->full || n > a->size - TAIL - a->n) {
		a->full = 1;
		return;
	}
	memcpy(a->p + a->n, p, n);
	a->n += n;
	a->column += n;
}

/* White space before a word of n octets: a new line if this one gets too long. */
static void
space(struct authres *a, size_t n)
{
	int fold = a->column + 1 + n > COLUMN;

	put(a, fold ? "\n\t" : " ", fold ? 2 : 1);
	if (fold)
		a->column = 8;
}

static int
is_tokens(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && is_token((unsigned char)p[i]); i++)
		;
	return n && i == n;
}

/* As it may stand in a property: with a local part or without. */
static int
is_address(const char *p, size_t n)
{
	struct addr a;

	if (n && *p == '@')
		return addr_domain(p + 1, n - 1);
	return addr_mailbox(&a, p, n) == 0 && !a.literal && *a.local != '"';
}

/* Text between marks, harmless; in quotes nothing is lost of it but control octets and 8-bit ones
 * that are not UTF-8. Its length. */
static size_t
enclose(char dst[QUOTED], const char *p, size_t n, char open, char close)
{
	size_t o = 0, len;

	dst[o++] = open;
	for (; n; p += len, n -= len) {
		len = addr_utf8(p, n);
		if (len) {
			memcpy(dst + o, p, len);
			o += len;
			continue;
		}
		len = 1;
		if (open == '"' && (*p == '"' || *p == '\\'))
			dst[o++] = '\\';
		if (*p < ' ' || *p > '~' || (open == '(' && strchr("()\\", *p)))
			dst[o++] = '?';
		else
			dst[o++] = *p;
	}
	dst[o++] = close;
	return o;
}

static size_t
length(const char *s)
{
	size_t n = strlen(s);

	return n < AUTHRES_VALUE ? n : AUTHRES_VALUE;
}

/* NAME=VALUE, or the value alone if there is no name. Addresses are for properties. */
static void
pair(struct authres *a, const char *name, const char *value, int property)
{
	char text[QUOTED];
	size_t n = length(value), k = strlen(name);
	int plain = is_tokens(value, n) || (property && is_address(value, n));

	if (!plain)
		n = enclose(text, value, n, '"', '"');
	space(a, k + 1 + n);
	put(a, name, k);
	put(a, "=", k > 0);
	put(a, plain ? value : text, n);
}

/* What has been written so far is complete, or it goes if it was not. */
static void
settle(struct authres *a)
{
	if (a->full && a->safe) {
		a->n = a->safe;
		a->full = 0;
		a->results -= a->results > 0;
	} else if (!a->full) {
		a->safe = a->n;
	}
}

void
authres_begin(struct authres *a, char *p, size_t size, const char *id)
{
	static const char name[] = "Authentication-Results:";

	memset(a, 0, sizeof(*a));
	a->p = p;
	a->size = size;
	a->full = size < TAIL;
	put(a, name, sizeof(name) - 1);
	pair(a, "", id, 0);
	settle(a);
}

void
authres_result(struct authres *a, const char *method, const char *result, const char *reason)
{
	settle(a);
	put(a, ";\n\t", 3);
	put(a, method, strlen(method));
	put(a, "=", 1);
	put(a, result, strlen(result));
	a->column = 8 + strlen(method) + 1 + strlen(result);
	a->results++;
	if (*reason)
		pair(a, "reason", reason, 0);
}

void
authres_property(struct authres *a, const char *name, const char *value)
{
	if (a->results)
		pair(a, name, value, 1);
}

void
authres_comment(struct authres *a, const char *text)
{
	char dst[QUOTED];
	size_t n = enclose(dst, text, length(text), '(', ')');

	space(a, n);
	put(a, dst, n);
}

size_t
authres_end(struct authres *a)
{
	settle(a);
	if (a->full) {
		if (a->size)
			*a->p = '\0';
		return 0;
	}
	memcpy(a->p + a->n, a->results ? "\n" : "; none\n", a->results ? 2 : TAIL);
	a->n += a->results ? 1 : TAIL - 1;
	return a->n;
}

/* ---- reading ---- */

/* Behind comments and folding white space; NULL: a comment does not end. */
static const char *
cfws(const char *p, const char *end)
{
	int depth = 0;

	for (; p < end && (depth || strchr("( \t\n", *p ? *p : '.')); p++) {
		if (depth && *p == '\\' && p + 1 < end)
			p++;
		else
			depth += (*p == '(') - (*p == ')');
	}
	return depth ? NULL : p;
}

/* The token or quoted string at p, decoded to dst as far as there is room; NULL: there is none. */
static const char *
value(const char *p, const char *end, char dst[AUTHRES_VALUE], size_t *n)
{
	int quoted = p < end && *p == '"';
	size_t len;

	for (p += quoted, *n = 0; p < end; p += len) {
		if (quoted && *p == '"')
			return p + 1;
		p += quoted && *p == '\\' && p + 1 < end;
		if (*p & 0x80)
			len = addr_utf8(p, (size_t)(end - p));
		else if (quoted)
			len = *p >= ' ' || *p == '\t' || *p == '\n';
		else
			len = (size_t)is_token(*p);
		if (!len)
			break;
		if (!(quoted && *p == '\n') && len <= AUTHRES_VALUE - *n) {
			memcpy(dst + *n, p, len);
			*n += len;
		}
	}
	return quoted || !*n ? NULL : p;
}

int
authres_claims(const char *p, size_t n, const char *id)
{
	const char *end = p + n;
	char name[AUTHRES_VALUE];
	size_t len = 0;

	p = cfws(p, end);
	p = p ? value(p, end, name, &len) : NULL;
	p = p ? cfws(p, end) : NULL;
	while (p && p < end && *p >= '0' && *p <= '9')	/* the version */
		p++;
	p = p ? cfws(p, end) : NULL;
	if (!p || (p < end && *p != ';'))
		return 1;
	len -= len && name[len - 1] == '.';
	return idn_same(name, len, id, strlen(id));
}
