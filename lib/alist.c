/* See LICENSE file for copyright and licence details. */
/*
 * The addresses in a field like To, RFC 5322 3.4: a machine that is fed byte by byte. It finds
 * where an address begins and ends; whether it is one is for lib/addr.c to say.
 */
#include <string.h>

#include "alist.h"

void
alist_init(struct alist *a)
{
	memset(a, 0, sizeof(*a));
}

/* The next address begins. */
static void
clear(struct alist *a)
{
	a->state = A_PLAIN;
	a->n = 0;
	a->space = a->words = a->full = 0;
}

/* An address, or nothing between two commas (RFC 5322 4.4), ends. */
static void
finish(struct alist *a)
{
	if (a->state == A_ANGLE || a->full || (a->state == A_PLAIN && a->words) ||
	    (a->state == A_AFTER && !a->n))
		a->bad = 1;
	else if (a->n)
		a->found(a->arg, a->text, a->n);
	clear(a);
}

/* A byte of a name or an address. */
static void
keep(struct alist *a, char ch)
{
	if (a->state == A_AFTER) {
		a->bad = 1;
		return;
	}
	if (a->space && a->n && !strchr(".@", a->text[a->n - 1]) && ch != '.' && ch != '@')
		a->words = 1;
	a->space = 0;
	if (a->n == sizeof(a->text)) {
		a->full = 1;
		return;
	}
	a->text[a->n++] = ch;
}

static void
comment(struct alist *a, char ch)
{
	if (a->escaped)
		a->escaped = 0;
	else if (ch == '\\')
		a->escaped = 1;
	else
		a->depth += (ch == '(') - (ch == ')');
}

/* Within a comment, a quoted string or a literal: 1 if the byte was dealt with. */
static int
inside(struct alist *a, char ch)
{
	if (a->depth) {
		comment(a, ch);
		return 1;
	}
	if (!a->escaped && !a->quoted && !a->literal)
		return 0;
	if (ch == '\r' || ch == '\n')
		return 1;	/* folded there: a backslash belongs to what follows */
	if (a->escaped)
		a->escaped = 0;
	else if (ch == '\\')
		a->escaped = 1;
	else if (ch == (a->quoted ? '"' : ']'))
		a->quoted = a->literal = 0;
	keep(a, ch);
	return 1;
}

static void
colon(struct alist *a)
{
	if (a->state == A_ANGLE) {
		keep(a, ':');		/* a source route */
		return;
	}
	if (a->state == A_AFTER || a->group || !a->n || memchr(a->text, '@', a->n))
		a->bad = 1;
	a->group = 1;
	clear(a);
}

static void
angle(struct alist *a, int open)
{
	if (open ? a->state != A_PLAIN : a->state != A_ANGLE) {
		a->bad = 1;
		return;
	}
	if (open)
		clear(a);
	else if (a->words)
		a->full = 1;		/* not to be found */
	a->state = open ? A_ANGLE : A_AFTER;
}

/* A byte that separates, begins or ends something: 1 if it was all dealt with. */
static int
special(struct alist *a, char ch)
{
	switch (ch) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		a->space = 1;
		return 1;
	case '(':
		a->space = 1;
		a->depth = 1;
		return 1;
	case '<':
	case '>':
		angle(a, ch == '<');
		return 1;
	case ':':
		colon(a);
		return 1;
	case ',':
		if (a->state == A_ANGLE)
			keep(a, ch);	/* a source route */
		else
			finish(a);
		return 1;
	case ';':
		finish(a);
		a->group = 0;
		return 1;
	default:
		return 0;
	}
}

static void
one(struct alist *a, char ch)
{
	if (inside(a, ch) || special(a, ch))
		return;
	if (ch == ')' || ch == ']' || !ch)
		a->bad = 1;
	a->quoted = ch == '"';
	a->literal = ch == '[';
	a->escaped = ch == '\\';
	keep(a, ch);
}

void
alist_feed(struct alist *a, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		one(a, p[i]);
}

void
alist_end(struct alist *a)
{
	if (a->depth || a->quoted || a->literal || a->escaped)
		a->bad = 1;
	a->depth = a->quoted = a->literal = a->escaped = 0;
	finish(a);
}
