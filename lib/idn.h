/* See LICENSE file for copyright and licence details. */
/* Domain names beyond ASCII as the DNS has them (RFC 5890, 3492). */
#ifndef IDN_H
#define IDN_H

#include <stddef.h>

/*
 * Write domain p[0..n) to dst with each U-label (valid UTF-8) as its A-label ("xn--..."), the other
 * labels in lower case, NUL-terminated. Nothing is mapped beyond ASCII: who writes a U-label has
 * made it lower case and NFC (RFC 5891 4.2.1). 0; -1: no such label, one over 63 octets, no room.
 */
int idn_ascii(char *dst, size_t size, const char *p, size_t n);

/* Are they the same domain? A U-label is its A-label, and case does not count. */
int idn_same(const char *a, size_t na, const char *b, size_t nb);

#endif
