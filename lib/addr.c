/* See LICENSE file for copyright and licence details. */
/*
 * Mailbox addresses of the SMTP envelope: RFC 5321 4.1.2 and 4.1.3 to the letter, nothing of what
 * only message headers allow (comments, folding, obsolete forms). Each function that takes text at
 * the start of p[0..n) returns how many bytes it took, 0 when there is no such thing.
 */
#include <string.h>

#include "addr.h"
#include "text.h"

enum { LABEL = 63 };	/* RFC 1035 2.3.4 */

static int
is_atext(int ch)
{
	return text_alnum(ch) || (ch && strchr("!#$%&'*+-/=?^_`{|}~", ch));
}

static int
is_hex(int ch)
{
	return (ch >= '0' && ch <= '9') || (text_lower(ch) >= 'a' && text_lower(ch) <= 'f');
}

int
addr_ascii(const char *p, size_t n)
{
	while (n && !(*p & 0x80))
		p++, n--;
	return !n;
}

size_t
addr_utf8(const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t i, len;
	uint32_t u;

	if (!n || s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	u = s[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		u = u << 6 | (s[i] & 0x3f);
	}
	if (u < 0xa0 || (len == 3 && u < 0x800) || (len == 4 && u < 0x10000) || u > 0x10ffff ||
	    (u >= 0xd800 && u <= 0xdfff))
		return 0;
	return len;
}

/* One character beyond ASCII, if they are allowed. */
static size_t
beyond(const char *p, size_t n, int allow)
{
	return allow & ADDR_UTF8 ? addr_utf8(p, n) : 0;
}

static size_t
dot_string(const char *p, size_t n, int allow)
{
	size_t i, len, start;

	for (i = 0; ; i++) {
		start = i;
		for (; i < n; i += len) {
			len = is_atext((unsigned char)p[i]) ? 1 : beyond(p + i, n - i, allow);
			if (!len)
				break;
		}
		if (i == start)
			return 0;
		if (i == n || p[i] != '.')
			return i;
	}
}

/* quoted-pairSMTP and qtextSMTP: printable ASCII and the space. */
static size_t
quoted_string(const char *p, size_t n, int allow)
{
	size_t i, len;

	if (!n || p[0] != '"')
		return 0;
	for (i = 1; i < n && p[i] != '"'; i += len) {
		len = beyond(p + i, n - i, allow);
		if (len)
			continue;
		if (p[i] == '\\' && ++i == n)
			return 0;
		if (p[i] < 0x20 || p[i] > 0x7e)
			return 0;
		len = 1;
	}
	return i < n ? i + 1 : 0;
}

static size_t
local_part(const char *p, size_t n, int allow)
{
	size_t len;

	len = n && p[0] == '"' ? quoted_string(p, n, allow) : dot_string(p, n, allow);
	return len <= ADDR_LOCAL ? len : 0;
}

/* Letters, digits and hyphens, neither first nor last a hyphen. With others the length that it will
 * have in DNS is not known here: characters are counted. */
static size_t
sub_domain(const char *p, size_t n, int allow)
{
	size_t chars, i, len;

	for (i = chars = 0; i < n; i += len, chars++) {
		len = text_alnum((unsigned char)p[i]) || p[i] == '-' ? 1 :
		    beyond(p + i, n - i, allow);
		if (!len)
			break;
	}
	return i && chars <= LABEL && p[0] != '-' && p[i - 1] != '-' ? i : 0;
}

static size_t
domain(const char *p, size_t n, int allow)
{
	size_t i, len;

	for (i = 0; ; i++) {
		len = sub_domain(p + i, n - i, allow);
		if (!len)
			return 0;
		i += len;
		if (i == n || p[i] != '.')
			return i <= ADDR_DOMAIN ? i : 0;
	}
}

/* Is it all four Snum with dots between? */
static int
ipv4(const char *p, size_t n)
{
	size_t i, len;
	uint64_t v;
	int k;

	i = 0;
	for (k = 0; k < 4; k++) {
		if (k && (i == n || p[i++] != '.'))
			return 0;
		for (len = 0; i + len < n && p[i + len] >= '0' && p[i + len] <= '9'; len++)
			;
		if (len > 3 || text_u64(p + i, len, &v) < 0 || v > 255)
			return 0;
		i += len;
	}
	return i == n;
}

/* IPv6-full, IPv6-comp, IPv6v4-full or IPv6v4-comp; "::" stands for two groups at least. */
static int
ipv6(const char *p, size_t n)
{
	size_t i, len;
	int groups, comp;

	groups = 0;
	comp = n >= 2 && p[0] == ':' && p[1] == ':';
	i = comp ? 2 : 0;
	if (comp && n == 2)
		return 1;
	for (;;) {
		for (len = 0; i + len < n && is_hex((unsigned char)p[i + len]); len++)
			;
		if (i + len < n && p[i + len] == '.') {
			groups += 2;
			if (!ipv4(p + i, n - i))
				return 0;
			break;
		}
		if (!len || len > 4)
			return 0;
		groups++;
		i += len;
		if (i == n)
			break;
		if (p[i++] != ':' || i == n)
			return 0;
		if (p[i] == ':') {
			if (comp++)
				return 0;
			if (++i == n)
				break;
		}
	}
	return comp ? groups <= 6 : groups == 8;
}

/* Standardized-tag ":" 1*dcontent */
static int
general(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && (text_alnum((unsigned char)p[i]) || p[i] == '-'); i++)
		;
	if (!i || i + 1 >= n || p[i] != ':' || p[i - 1] == '-')
		return 0;
	for (i++; i < n; i++) {
		if (p[i] < 33 || p[i] > 126 || (p[i] >= '[' && p[i] <= ']'))
			return 0;
	}
	return 1;
}

int
addr_literal(const char *p, size_t n)
{
	if (n < 3 || n > ADDR_DOMAIN || p[0] != '[' || p[n - 1] != ']')
		return 0;
	p++;
	n -= 2;
	if (text_begins(p, n, "IPv6:"))
		return ipv6(p + 5, n - 5);
	return ipv4(p, n) || general(p, n);
}

int
addr_domain(const char *p, size_t n)
{
	return n && domain(p, n, 0) == n;
}

static size_t
literal(const char *p, size_t n)
{
	const char *end;

	end = n && p[0] == '[' ? memchr(p, ']', n) : NULL;
	if (!end || !addr_literal(p, (size_t)(end - p) + 1))
		return 0;
	return (size_t)(end - p) + 1;
}

/* Local-part "@" ( Domain / address-literal ), or, if allowed, only the first. */
static size_t
mailbox(struct addr *a, const char *p, size_t n, int allow)
{
	size_t i;

	a->mailbox = a->local = p;
	a->nlocal = i = local_part(p, n, allow);
	if (!i)
		return 0;
	a->domain = p + i;
	a->ndomain = 0;
	a->literal = 0;
	if (i < n && p[i] == '@') {
		a->domain = p + ++i;
		a->literal = i < n && p[i] == '[';
		a->ndomain = a->literal ? literal(p + i, n - i) : domain(p + i, n - i, allow);
		if (!a->ndomain)
			return 0;
		i += a->ndomain;
	} else if (!(allow & ADDR_BARE)) {
		return 0;
	}
	a->nmailbox = i;
	return i;
}

/* A-d-l ":" with A-d-l = "@" Domain *( "," "@" Domain ) */
static size_t
source_route(const char *p, size_t n, int allow)
{
	size_t i, len;

	i = 0;
	do {
		if (i == n || p[i++] != '@')
			return 0;
		len = domain(p + i, n - i, allow);
		if (!len)
			return 0;
		i += len;
	} while (i < n && p[i++] == ',');
	return p[i - 1] == ':' ? i : 0;
}

long
addr_path(struct addr *a, const char *p, size_t n, int allow)
{
	size_t i, len;

	memset(a, 0, sizeof(*a));
	if (!n || p[0] != '<')
		return -1;
	if (n > 1 && p[1] == '>')
		return allow & ADDR_NULL ? 2 : -1;
	i = 1;
	if (i < n && p[i] == '@') {
		len = source_route(p + i, n - i, allow);
		if (!len)
			return -1;
		i += len;
		allow &= ~ADDR_BARE;
	}
	len = mailbox(a, p + i, n - i, allow);
	if (!len || i + len == n || p[i + len] != '>')
		return -1;
	return (long)(i + len + 1);
}

int
addr_mailbox(struct addr *a, const char *p, size_t n)
{
	memset(a, 0, sizeof(*a));
	return n && mailbox(a, p, n, 0) == n ? 0 : -1;
}

int
addr_mailbox8(struct addr *a, const char *p, size_t n)
{
	memset(a, 0, sizeof(*a));
	return n && mailbox(a, p, n, ADDR_UTF8) == n ? 0 : -1;
}

size_t
addr_local(char *dst, const struct addr *a)
{
	const char *p, *end;
	size_t o;

	p = a->local;
	end = p + a->nlocal;
	if (a->nlocal > 1 && *p == '"') {
		p++;
		end--;
	}
	o = 0;
	while (p < end && o < ADDR_LOCAL) {
		if (*a->local == '"' && *p == '\\' && p + 1 < end)
			p++;
		dst[o++] = (char)text_lower((unsigned char)*p++);
	}
	dst[o] = '\0';
	return o;
}
