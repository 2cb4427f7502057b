/* See LICENSE file for copyright and licence details. */
/*
 * rules[] of config.h. The patterns are the owner's and have been checked at the start; the texts
 * are a stranger's: they are made harmless and at most TEXT octets long before lib/glob sees
 * them, the end of a long one too. The null sender is "<>".
 */
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "lib/glob.h"
#include "lib/header.h"
#include "lib/log.h"
#include "lib/text.h"
#include "lib/words.h"

enum {
	NRULES = sizeof(rules) / sizeof(*rules),
	TEXT = 1024,
	WORDS = 200		/* of a refusal */
};

/* Is one of several patterns empty? */
static int
has_empty(const char *p)
{
	for (;; p++) {
		if (!*p || *p == '|')
			return 1;
		for (; *p && *p != '|'; p++)
			p += *p == '\\' && p[1];
		if (!*p)
			return 0;
	}
}

/* ---- the start ---- */

static void
bad_row(int row, const char *what)
{
	die(EX_CONFIG, "config.h: rules[] row %d { \"%s\", \"%s\", \"%s\" }: %s", row + 1,
	    rules[row].field, rules[row].pattern, rules[row].arg, what);
}

static void
check_place(int row)
{
	const struct rule *r = &rules[row];
	const char *f;

	if (r->place > IN_ATTACHMENT || r->deed > DO_MAILBOX)
		bad_row(row, "no such place or deed");
	for (f = r->field; *f > ' ' && *f < 0x7f && *f != ':'; f++)
		;
	if (*f || f - r->field >= HEADER_NAME || (r->place == IN_HEADER) != (f > r->field))
		bad_row(row, "IN_HEADER has the name of a field, other places have none");
	if (has_empty(r->pattern))
		bad_row(row, "a pattern is empty");
	if (r->place == IN_CONNECTION && strchr(r->pattern, '/'))
		bad_row(row, "a pattern such as 192.0.2.* is wanted, not a network");
}

static void
check_deed(int row)
{
	const struct rule *r = &rules[row];
	size_t i, n = strlen(r->arg);
	struct user_set to;
	struct forwards out;
	struct addr a;

	switch (r->deed) {
	case DO_ACCEPT:
	case DO_MARK:
	case DO_DISCARD:
		if (n)
			bad_row(row, "this deed has no argument");
		break;
	case DO_REFUSE:
		for (i = 0; i < n && r->arg[i] >= ' ' && r->arg[i] < 0x7f; i++)
			;
		if (i < n || n > WORDS)
			bad_row(row, "the words are not ASCII, or too many");
		break;
	case DO_REDIRECT:
	case DO_COPY:
		if (addr_mailbox(&a, r->arg, n) < 0 && !user_valid(r->arg, n))
			bad_row(row, "neither an address nor an account or alias of ours");
		break;
	case DO_MAILBOX:
		if (!user_valid(r->arg, n))
			bad_row(row, "not a name of an account");
		break;
	}
	if (r->deed >= DO_REDIRECT && user_meant(&to, &out, &a, r->arg) == W_UNKNOWN)
		log_event("-", "config.h table=rules row=%d error=\"nobody has this address: %s\"",
		    row + 1, r->arg);
}

void
rules_check(void)
{
	int i;

	for (i = 0; i < NRULES; i++) {
		if (!rules[i].pattern[0])
			continue;
		check_place(i);
		check_deed(i);
	}
}

/* ---- matching ---- */

static int
fits(const struct rule *r, const char *text)
{
	return glob_match(r->pattern, text, strlen(text));
}

/* Is it for this place, and a field given by n octets? */
static int
applies(const struct rule *r, enum place place, const char *field, size_t n)
{
	return r->pattern[0] && r->place == place && text_is(field, n, r->field);
}

const struct rule *
rule_match(enum place place, const char *field, const char *text, size_t n)
{
	char t[TEXT + 1];
	size_t nfield = strlen(field);
	int i;

	if (place == IN_MAIL && !n) {
		text = "<>";
		n = 2;
	}
	if (n > TEXT) {
		memcpy(t, text, TEXT / 2);
		memcpy(t + TEXT / 2, text + n - TEXT / 2, TEXT / 2);
		(void)words_clean(t, t, TEXT);
	} else {
		(void)words_clean(t, text, n);
	}
	for (i = 0; i < NRULES; i++) {
		if (applies(&rules[i], place, field, nfield) && fits(&rules[i], t))
			return &rules[i];
	}
	return NULL;
}

int
rule_row(const struct rule *r)
{
	return (int)(r - rules);
}

int
rule_any(enum place place)
{
	int i;

	for (i = 0; i < NRULES; i++) {
		if (rules[i].pattern[0] && rules[i].place == place)
			return 1;
	}
	return 0;
}

/* The first of the rows before `best` that fits a field of n octets. */
static int
field_match(const char *p, size_t n, int best)
{
	const char *colon = memchr(p, ':', n);
	char t[TEXT + 1] = "";
	size_t nname;
	int i, known = 0;

	if (!colon)
		return best;
	nname = (size_t)(colon - p);
	while (nname && (p[nname - 1] == ' ' || p[nname - 1] == '\t'))
		nname--;
	for (i = 0; i < best; i++) {
		if (!applies(&rules[i], IN_HEADER, p, nname))
			continue;
		if (!known++)
			(void)words_decode(t, sizeof(t), colon + 1, n - (size_t)(colon + 1 - p));
		if (fits(&rules[i], t))
			return i;
	}
	return best;
}

const struct rule *
rule_header(const char *p, size_t n)
{
	const char *end = p + n, *nl, *e;
	int best = NRULES;

	if (!rule_any(IN_HEADER))
		return NULL;
	for (; p < end; p = e) {
		for (e = p; e < end && (e == p || *e == ' ' || *e == '\t'); e = nl ? nl + 1 : end)
			nl = memchr(e, '\n', (size_t)(end - e));
		best = field_match(p, (size_t)(e - p), best);
	}
	return best < NRULES ? &rules[best] : NULL;
}
