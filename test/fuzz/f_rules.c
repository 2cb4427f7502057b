/* with: lib/addr.c lib/glob.c lib/text.c lib/words.c */
/* See LICENSE file for copyright and licence details. */
/* Rules: a hostile header or text is nothing but a text; a row that fits a field is found. */
#undef CONFIG
#define CONFIG "test/unit/t_rules.h"
#include "rules.c"

#include "fuzz.h"

void
die(int code, const char *fmt, ...)
{
	(void)code;
	(void)fmt;
	abort();
}

enum where
user_meant(struct user_set *to, struct forwards *out, struct addr *a, const char *text)
{
	HOLDS(to && out && a && text);
	return W_LOCAL;
}

void
log_event(const char *id, const char *fmt, ...)
{
	HOLDS(!id && fmt);
}

int
user_valid(const char *name, size_t n)
{
	(void)name;
	return n > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char more[] = "\nSubject: [invoice]\n";
	const struct rule *r, *s;
	int place;
	char *p;

	rules_check();
	p = malloc(size + sizeof(more));
	HOLDS(p);
	if (size)
		memcpy(p, data, size);
	for (place = IN_CONNECTION; place <= IN_ATTACHMENT; place++) {
		r = rule_match((enum place)place, place == IN_HEADER ? "Subject" : "", p, size);
		HOLDS(!r || (r->place == (enum place)place && r->pattern[0]));
		HOLDS(!r || r != &rules[1]);
	}
	r = rule_header(p, size);
	HOLDS(!r || r->place == IN_HEADER);
	memcpy(p + size, more, sizeof(more) - 1);
	s = rule_header(p, size + sizeof(more) - 1);
	HOLDS(s == &rules[6]);
	(void)r;
	free(p);
	return 0;
}
