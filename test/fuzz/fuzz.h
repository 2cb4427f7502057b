/* See LICENSE file for copyright and licence details. */
/* What the fuzz targets share: what must hold, and pieces cut as the input itself says. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLDS(x) do { \
	if (!(x)) { \
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x); \
		abort(); \
	} \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The size of the next piece of n bytes, by a small generator that one byte of the input seeds. */
static inline size_t
fuzz_piece(uint32_t *seed, size_t n)
{
	size_t piece;

	*seed = *seed * 1664525 + 1013904223;
	piece = *seed >> 24 & 1 ? 1 + (*seed >> 25) % 8 : 1 + (*seed >> 16) % 200;
	return piece < n ? piece : n;
}

/* The first byte seeds the cutting, the rest is the input. */
static inline uint32_t
fuzz_seed(const uint8_t **data, size_t *size)
{
	uint32_t seed;

	if (!*size)
		return 0;
	seed = **data;
	++*data;
	--*size;
	return seed;
}

#endif
