/* Patterns with wildcards. */
#ifndef GLOB_H
#define GLOB_H

#include <stddef.h>

/*
 * Does all of p[0..n) match a pattern? "*" is any number of octets, "?" one, "[a-z]" one of these,
 * "[!a-z]" none of these, "\" takes the next as it is; ASCII case does not count. Several patterns
 * may stand between "|": one of them is enough. The time is at most pattern times text.
 */
int glob_match(const char *pattern, const char *p, size_t n);

#endif
