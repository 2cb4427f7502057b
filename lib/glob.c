/* See LICENSE file for copyright and licence details. */
/* Patterns with wildcards. (fnmatch() of the C library brings tables of all scripts with it.) */
#include "glob.h"
#include "text.h"

/* "[a-z]" at pat: is ch in it? Behind it then; NULL: it has no end and is no set. */
static const char *
set(const char *pat, int ch, int *in)
{
	int negate = pat[1] == '!' || pat[1] == '^', from, to;
	const char *s = pat + 1 + negate;

	*in = 0;
	do {
		if (*s == '\\' && s[1])
			s++;
		from = to = text_lower((unsigned char)*s);
		if (!*s)
			return NULL;
		if (s[1] == '-' && s[2] && s[2] != ']') {
			to = text_lower((unsigned char)s[2]);
			s += 2;
		}
		*in |= ch >= from && ch <= to;
		s++;
	} while (*s != ']');
	*in ^= negate;
	return s + 1;
}

/* One octet against what is at pat, which is no "*": behind that, or NULL. */
static const char *
one(const char *pat, char octet)
{
	int ch = text_lower((unsigned char)octet), in;
	const char *end;

	if (!*pat || *pat == '|')
		return NULL;
	if (*pat == '?')
		return pat + 1;
	end = *pat == '[' ? set(pat, ch, &in) : NULL;
	if (end)
		return in ? end : NULL;
	if (*pat == '\\' && pat[1])
		pat++;
	return text_lower((unsigned char)*pat) == ch ? pat + 1 : NULL;
}

/* A single pattern. When it does not go on, the last "*" takes one octet more. */
static int
match(const char *pat, const char *p, size_t n)
{
	const char *star = NULL, *next;
	size_t i = 0, from = 0;

	for (;;) {
		if (*pat == '*') {
			star = ++pat;
			from = i;
			continue;
		}
		if (i == n && (!*pat || *pat == '|'))
			return 1;
		next = i < n ? one(pat, p[i]) : NULL;
		if (next) {
			pat = next;
			i++;
		} else if (star && from < n) {
			pat = star;
			i = ++from;
		} else {
			return 0;
		}
	}
}

/* The next of several; NULL: there is none. */
static const char *
behind(const char *pat)
{
	for (; *pat && *pat != '|'; pat++)
		if (*pat == '\\' && pat[1])
			pat++;
	return *pat ? pat + 1 : NULL;
}

int
glob_match(const char *pattern, const char *p, size_t n)
{
	for (; pattern; pattern = behind(pattern))
		if (match(pattern, p, n))
			return 1;
	return 0;
}
