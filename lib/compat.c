/* See LICENSE file for copyright and licence details. */
/*
 * What a BearSSL that was compiled with glibc's fortified headers wants from its libc: copies that
 * know the size of their destination.  musl has none of them, glibc has them all.
 */
#include <stdlib.h>
#include <string.h>

#ifndef __GLIBC__

/* These names are the compiler's own: it calls them, so nothing else will do. */
void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);

void *
__memcpy_chk(void *dst, const void *src, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memcpy(dst, src, n);
}

void *
__memmove_chk(void *dst, const void *src, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memmove(dst, src, n);
}

void *
__memset_chk(void *dst, int ch, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memset(dst, ch, n);
}

#endif
