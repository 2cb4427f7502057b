/* with: lib/from.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Headers. Who is found an author is that by exactly one line that begins a From field, in a header
 * without a NUL; it is a domain name as the DNS has it, and stays the same with other fields around
 * and with comments; a second From field or another author's address is always noticed.
 */
#include "fuzz.h"
#include "lib/from.h"
#include "lib/text.h"

/* Lines that begin a From field: how many; the value of the last one. */
static int
count(const char *p, size_t n, const char **value, size_t *nvalue)
{
	const char *end = p + n, *lf;
	int found = 0, in = 0;

	for (; p < end; p = lf) {
		lf = memchr(p, '\n', (size_t)(end - p));
		lf = lf ? lf + 1 : end;
		if (text_begins(p, (size_t)(end - p), "From:")) {
			found++;
			in = 1;
			*value = p + 5;
		} else if (*p != ' ' && *p != '\t') {
			in = 0;
		}
		if (in)
			*nvalue = (size_t)(lf - *value);
	}
	return found;
}

static enum from
with(const char *before, const char *p, size_t n, const char *after)
{
	static char all[1 << 17];
	char dst[ADDR_DOMAIN + 1];
	size_t nb = strlen(before), na = strlen(after);

	HOLDS(nb + n + na < sizeof(all));
	memcpy(all, before, nb);
	memcpy(all + nb, p, n);
	memcpy(all + nb + n, after, na);
	return from_domain(dst, all, nb + n + na);
}

static void
good(const char *p, size_t n, const char *dst)
{
	char again[ADDR_DOMAIN + 1];
	const char *value = NULL, *end = n && p[n - 1] == '\n' ? "" : "\n";
	size_t nvalue = 0;

	HOLDS(!memchr(p, '\0', n) && count(p, n, &value, &nvalue) == 1);
	HOLDS(from_field(again, value, nvalue) == 0 && !strcmp(again, dst));
	HOLDS(!*dst || addr_domain(dst, strlen(dst)));
	HOLDS(!*dst || memchr(value, '@', nvalue));
	HOLDS(with("X: y\n z\n", p, n, "") == FROM_OK);
	HOLDS(with("From: a@b\n", p, n, "") == FROM_TWO);
	HOLDS(with("From : a@b\n", p, n, "") == FROM_NAME);
	HOLDS(with("\n", p, n, "") == FROM_NAME);
	HOLDS(with("", p, n, *end ? "\nFROM:" : "FROM:") == FROM_TWO);
	HOLDS(with("", p, n, *end ? "\nfoo" : "foo") == FROM_NAME);
	HOLDS(with("From: x@another.domain,\n (c)", value, nvalue, "") == FROM_DOMAINS ||
	    !strcmp(dst, "another.domain"));
	HOLDS(with("From: (\"<x@y>,)", value, nvalue, "") == FROM_OK);
	HOLDS(with("From: g:", value, nvalue, " ;") != FROM_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dst[ADDR_DOMAIN + 1];
	const char *p = (const char *)data;
	enum from f;

	if (size > 60000)
		return 0;
	f = from_domain(dst, p, size);
	HOLDS(f >= FROM_OK && f <= FROM_NUL && *from_words(f));
	HOLDS(f == FROM_OK || !*dst);
	if (f == FROM_OK)
		good(p, size, dst);
	/* and all of it as a value */
	if (from_field(dst, p, size) < 0)
		HOLDS(!*dst);
	else
		HOLDS(!memchr(p, '\0', size) && memchr(p, '@', size));
	return 0;
}
