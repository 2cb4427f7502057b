/* 16 bytes at a time, by the vectors of gcc and clang: SSE2, NEON, or plain words without those. */
#ifndef VEC_H
#define VEC_H

#include <stddef.h>
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

/* The sum of all bytes of a vector; its order does not matter. */
VEC_INLINE uint64_t
vec_sum(const vec *v)
{
	const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
	uint64_t w[2], x;

	memcpy(w, v, sizeof(w));
	x = (w[0] & even) + (w[0] >> 8 & even) + (w[1] & even) + (w[1] >> 8 & even);
	return x * UINT64_C(0x0001000100010001) >> 48;
}

/*
 * Copy up to the first a or b, or all n bytes: how many these are. Up to n bytes of out are
 * written; it may lie at or before `in` in the same memory.
 */
VEC_INLINE size_t
vec_copy(char *out, const char *in, size_t n, char a, char b)
{
	const vec va = VEC_ALL((unsigned char)a), vb = VEC_ALL((unsigned char)b);
	size_t i;
	vec v, stop;

	for (i = 0; n - i >= VEC; i += VEC) {
		vec_load(&v, in + i);
		stop = (vec)((v == va) | (v == vb));
		if (vec_any(&stop))
			break;
		memcpy(out + i, &v, VEC);
	}
	for (; i < n && in[i] != a && in[i] != b; i++)
		out[i] = in[i];
	return i;
}

#endif
