/* See LICENSE file for copyright and licence details. */
/*
 * Text without surprises: comparing, numbers, escapes, base64, dates. ASCII whatever the locale is;
 * every length is given, nothing is written past the end of a destination.
 */
#include <string.h>

#include "text.h"

struct civil {
	int year, month, day, wday, hour, min, sec;
};

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
text_lower(int ch)
{
	return ch >= 'A' && ch <= 'Z' ? ch + 32 : ch;
}

int
text_alnum(int ch)
{
	return (ch >= '0' && ch <= '9') || (text_lower(ch) >= 'a' && text_lower(ch) <= 'z');
}

int
text_ieq(const char *a, size_t na, const char *b, size_t nb)
{
	size_t i;

	if (na != nb)
		return 0;
	for (i = 0; i < na; i++) {
		if (text_lower((unsigned char)a[i]) != text_lower((unsigned char)b[i]))
			return 0;
	}
	return 1;
}

int
text_is(const char *a, size_t na, const char *b)
{
	return text_ieq(a, na, b, strlen(b));
}

int
text_begins(const char *a, size_t na, const char *b)
{
	size_t nb;

	nb = strlen(b);
	return na >= nb && text_ieq(a, nb, b, nb);
}

int
text_copy(char *dst, size_t size, const char *src, size_t n)
{
	if (n >= size) {
		if (size)
			dst[0] = '\0';
		return -1;
	}
	if (n)
		memcpy(dst, src, n);
	dst[n] = '\0';
	return 0;
}

int
text_u64(const char *p, size_t n, uint64_t *v)
{
	uint64_t x, d;
	size_t i;

	if (!n)
		return -1;
	x = 0;
	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		d = (uint64_t)(p[i] - '0');
		if (x > (UINT64_MAX - d) / 10)
			return -1;
		x = x * 10 + d;
	}
	*v = x;
	return 0;
}

/* One byte as it is shown: its length is 1, 2 or 4. */
static size_t
escape_one(char out[4], unsigned char ch)
{
	static const char hex[] = "0123456789abcdef";

	if (ch < 0x20 || ch > 0x7e) {
		out[0] = '\\';
		out[1] = 'x';
		out[2] = hex[ch >> 4];
		out[3] = hex[ch & 15];
		return 4;
	}
	out[0] = '\\';
	out[1] = (char)ch;
	if (ch == '"' || ch == '\\')
		return 2;
	out[0] = (char)ch;
	return 1;
}

char *
text_escape(char *dst, size_t size, const void *p, size_t n)
{
	const unsigned char *s = p;
	char one[4];
	size_t i, len, used, safe;

	if (!size)
		return dst;
	used = safe = 0;	/* safe: up to here there is room for the dots */
	for (i = 0; i < n; i++) {
		len = escape_one(one, s[i]);
		if (len > size - 1 - used)
			break;
		memcpy(dst + used, one, len);
		used += len;
		if (used + 4 <= size)
			safe = used;
	}
	if (i < n && size >= 4) {
		memcpy(dst + safe, "...", 3);
		used = safe + 3;
	}
	dst[used] = '\0';
	return dst;
}

size_t
text_base64(char *dst, size_t size, const void *p, size_t n)
{
	const unsigned char *s = p;
	uint32_t x;
	size_t i, o;

	if (size < 1 || n / 3 + (n % 3 != 0) > (size - 1) / 4)
		return 0;
	o = 0;
	for (i = 0; i < n; i += 3) {
		x = (uint32_t)s[i] << 16;
		x |= i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0;
		x |= i + 2 < n ? s[i + 2] : 0;
		dst[o++] = alphabet[x >> 18];
		dst[o++] = alphabet[x >> 12 & 63];
		dst[o++] = alphabet[x >> 6 & 63];
		dst[o++] = alphabet[x & 63];
	}
	if (n % 3)
		dst[o - 1] = '=';
	if (n % 3 == 1)
		dst[o - 2] = '=';
	dst[o] = '\0';
	return o;
}

static int
sextet(int ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	if (ch == '+' || ch == '/')
		return ch == '+' ? 62 : 63;
	return -1;
}

/* Four characters, the last `pad` of them padding, to 24 bits; -1: malformed, or bits left over. */
static long
quantum(const char *p, int pad)
{
	long x;
	int i, v;

	x = 0;
	for (i = 0; i < 4; i++) {
		v = i < 4 - pad ? sextet((unsigned char)p[i]) : 0;
		if (v < 0)
			return -1;
		x = x * 64 + v;
	}
	if ((pad == 1 && (x & 0xff)) || (pad == 2 && (x & 0xffff)))
		return -1;
	return x;
}

long
text_unbase64(void *dst, size_t size, const char *p, size_t n)
{
	unsigned char *d = dst;
	size_t i, o;
	long x;
	int j, pad;

	if (n % 4)
		return -1;
	o = 0;
	for (i = 0; i < n; i += 4) {
		pad = 0;
		if (i + 4 == n && p[i + 3] == '=')
			pad = p[i + 2] == '=' ? 2 : 1;
		x = quantum(p + i, pad);
		if (x < 0)
			return -1;
		for (j = 0; j < 3 - pad; j++) {
			if (o == size)
				return -1;
			d[o++] = (unsigned char)(x >> (16 - 8 * j) & 0xff);
		}
	}
	return (long)o;
}

/*
 * The proleptic Gregorian calendar by arithmetic on eras of 400 years that begin in March. Times
 * outside the years 1970 to 9999 are taken for the nearest inside.
 */
static void
civil(struct civil *c, int64_t t)
{
	int64_t day;
	int era, doe, yoe, doy, mp, sec;

	if (t < 0)
		t = 0;
	if (t > 253402300799)
		t = 253402300799;
	day = t / 86400;
	sec = (int)(t % 86400);
	c->hour = sec / 3600;
	c->min = sec / 60 % 60;
	c->sec = sec % 60;
	c->wday = (int)((day + 4) % 7);
	day += 719468;		/* since 0000-03-01 */
	era = (int)(day / 146097);
	doe = (int)(day % 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c->day = doy - (153 * mp + 2) / 5 + 1;
	c->month = mp < 10 ? mp + 2 : mp - 10;		/* 0 is January */
	c->year = era * 400 + yoe + (c->month < 2);
}

/* Write v in exactly n digits; returns what is behind them. */
static char *
digits(char *dst, int n, int v)
{
	int i;

	for (i = n - 1; i >= 0; i--) {
		dst[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return dst + n;
}

static char *
put(char *dst, const char *src, size_t n)
{
	memcpy(dst, src, n);
	return dst + n;
}

/* "03:03:14" */
static char *
put_clock(char *d, const struct civil *c)
{
	d = digits(d, 2, c->hour);
	*d++ = ':';
	d = digits(d, 2, c->min);
	*d++ = ':';
	return digits(d, 2, c->sec);
}

char *
text_date(char dst[DATE_TEXT], int64_t t)
{
	struct civil c;
	char *d;

	civil(&c, t);
	d = put(dst, days[c.wday], 3);
	d = put(d, ", ", 2);
	d = digits(d, c.day < 10 ? 1 : 2, c.day);
	*d++ = ' ';
	d = put(d, months[c.month], 3);
	*d++ = ' ';
	d = digits(d, 4, c.year);
	*d++ = ' ';
	d = put_clock(d, &c);
	(void)put(d, " +0000", 7);
	return dst;
}

char *
text_fromdate(char dst[DATE_TEXT], int64_t t)
{
	struct civil c;
	char *d;

	civil(&c, t);
	d = put(dst, days[c.wday], 3);
	*d++ = ' ';
	d = put(d, months[c.month], 3);
	d = put(d, "  ", c.day < 10 ? 2 : 1);
	d = digits(d, c.day < 10 ? 1 : 2, c.day);
	*d++ = ' ';
	d = put_clock(d, &c);
	*d++ = ' ';
	d = digits(d, 4, c.year);
	*d = '\0';
	return dst;
}

char *
text_utc(char dst[DATE_TEXT], int64_t t)
{
	struct civil c;
	char *d;

	civil(&c, t);
	d = digits(dst, 4, c.year);
	*d++ = '-';
	d = digits(d, 2, c.month + 1);
	*d++ = '-';
	d = digits(d, 2, c.day);
	*d++ = 'T';
	d = put_clock(d, &c);
	(void)put(d, "Z", 2);
	return dst;
}
