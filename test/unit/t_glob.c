/* with: lib/glob.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Patterns against texts; and the same as fnmatch() says, for random ones. */
#include <fnmatch.h>
#include <string.h>

#include "lib/glob.h"
#include "test.h"

static const struct {
	const char *pattern, *text;
	int match;
} cases[] = {
	{ "", "", 1 }, { "", "a", 0 }, { "*", "", 1 }, { "*", "abc", 1 }, { "?", "", 0 },
	{ "?", "a", 1 }, { "a?c", "abc", 1 }, { "a?c", "ac", 0 }, { "a*", "a", 1 },
	{ "*.exe", "x.exe", 1 }, { "*.exe", "X.EXE", 1 }, { "*.exe", "x.exe.txt", 0 },
	{ "*.exe", ".exe", 1 }, { "*a*b*c", "xxaxxbxxc", 1 }, { "*a*b*c", "xxaxxcxxb", 0 },
	{ "[a-c]", "b", 1 }, { "[a-c]", "B", 1 }, { "[a-c]", "d", 0 }, { "[!a-c]", "d", 1 },
	{ "[!a-c]", "a", 0 }, { "[]]", "]", 1 }, { "[]a]", "a", 1 }, { "[a-]", "-", 1 },
	{ "[", "[", 1 }, { "[a", "[a", 1 }, { "x[", "x[", 1 }, { "\\*", "*", 1 }, { "\\*", "a", 0 },
	{ "[\\]]", "]", 1 }, { "a|b", "b", 1 }, { "a|b", "a", 1 }, { "a|b", "a|b", 0 },
	{ "a\\|b", "a|b", 1 }, { "a||b", "", 1 }, { "*.vb[es]|*.js", "a.VBS", 1 },
	{ "*.vb[es]|*.js", "a.js", 1 }, { "*.vb[es]|*.js", "a.jsx", 0 },
	{ "127.0.0.[2-9]", "127.0.0.4", 1 }, { "127.0.0.[2-9]", "127.0.0.10", 0 },
};

/* The same text with a NUL in it, and one of which only a part counts. */
static void
lengths(void)
{
	CHECK(glob_match("a?b", "a\0b", 3));
	CHECK(glob_match("*b", "a\0b", 3));
	CHECK(!glob_match("a", "a\0b", 3));
	CHECK(glob_match("ab", "abc", 2));
}

/* Would take for ever if each "*" tried all places of all others. */
static void
hostile(void)
{
	static char text[4096];

	memset(text, 'a', sizeof(text));
	CHECK(!glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, sizeof(text)));
}

static void
as_fnmatch(void)
{
	static const char letters[] = "ab*?[]!-";
	char pattern[8], text[8];
	uint64_t seed = 1;
	int i, k;

	for (i = 0; i < 200000; i++) {
		for (k = 0; k < 6; k++)
			pattern[k] = letters[test_random(&seed) % 5];
		pattern[test_random(&seed) % 7] = '\0';
		for (k = 0; k < 6; k++)
			text[k] = letters[test_random(&seed) % 2];
		text[test_random(&seed) % 7] = '\0';
		if (strchr(pattern, '['))
			continue;
		if (glob_match(pattern, text, strlen(text)) != !fnmatch(pattern, text, 0))
			CHECK_MSG(0, "\"%s\" \"%s\"", pattern, text);
	}
	CHECK(1);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_MSG(glob_match(cases[i].pattern, cases[i].text, strlen(cases[i].text)) ==
		    cases[i].match, "\"%s\" \"%s\"", cases[i].pattern, cases[i].text);
	lengths();
	hostile();
	as_fnmatch();
	return test_end();
}
