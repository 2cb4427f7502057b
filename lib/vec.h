/* 16 bytes at a time, by the vectors of gcc and clang: SSE2, NEON, or plain words without those. */
#ifndef VEC_H
#define VEC_H

#include <stdint.h>
#include <string.h>

enum { VEC = 16 };

typedef unsigned char vec __attribute__((vector_size(16)));

/* An initialiser: the same byte everywhere. */
#define VEC_ALL(c) { c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c }

/* Even at -Os these must not be calls. Vectors are never passed by value: not every ABI can. */
#define VEC_INLINE static inline __attribute__((always_inline))

VEC_INLINE void
vec_load(vec *v, const char *p)
{
	memcpy(v, p, sizeof(*v));
}

/* Is there a byte that is not 0? */
VEC_INLINE int
vec_any(const vec *v)
{
	uint64_t w[2];

	memcpy(w, v, sizeof(w));
	return (w[0] | w[1]) != 0;
}

#endif
