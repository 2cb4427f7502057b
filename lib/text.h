/* Text without surprises: comparing, numbers, escapes, base64, dates. All of it bounded. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
	DATE_TEXT = 40		/* room for any of the dates below, with the NUL */
};

/* ASCII only, whatever the locale. */
int text_lower(int ch);
int text_alnum(int ch);

/* Equal without regard to ASCII case? */
int text_ieq(const char *a, size_t na, const char *b, size_t nb);

/* The same against a C string. */
int text_is(const char *a, size_t na, const char *b);

/* Does a[0..na) begin with the C string b, without regard to case? */
int text_begins(const char *a, size_t na, const char *b);

/* Copy n bytes and a NUL into dst; returns 0, or -1 (dst empty) if it does not fit. */
int text_copy(char *dst, size_t size, const char *src, size_t n);

/* Decimal digits only, at least one, no overflow: 0, else -1. */
int text_u64(const char *p, size_t n, uint64_t *v);

/*
 * Copy for a log line, a reply or a header: printable ASCII stays, `"` and `\` get a backslash,
 * everything else becomes \xNN; cut at the end of dst (with "..." when cut). NUL-terminated.
 * Returns dst.
 */
char *text_escape(char *dst, size_t size, const void *p, size_t n);

/* base64 (RFC 4648): encode returns the length without the NUL it writes, 0 if dst is too small. */
size_t text_base64(char *dst, size_t size, const void *p, size_t n);

/* Strict decode (padding needed, no white space): length, or -1. dst may be src. */
long text_unbase64(void *dst, size_t size, const char *p, size_t n);

/* RFC 5322 3.3: "Sun, 22 Nov 2026 03:03:14 +0000". Always UTC; returns dst. */
char *text_date(char dst[DATE_TEXT], int64_t t);

/* As asctime(3) without its newline: "Sun Nov 22 03:03:14 2026". */
char *text_fromdate(char dst[DATE_TEXT], int64_t t);

/* "2026-11-22T03:03:14Z" */
char *text_utc(char dst[DATE_TEXT], int64_t t);

#endif
