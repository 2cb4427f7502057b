/* See LICENSE file for copyright and licence details. */
/* Sessions in which nobody is a stranger: what guard.c, inspect.c and limit.c do, left out. */
#ifndef T_WELCOME_H
#define T_WELCOME_H

#include "check.h"
#include "smtp.h"

void
guard_open(struct smtp *s)
{
	smtp_greet(s);
}

void
guard_close(struct smtp *s)
{
	(void)s;
}

void
guard_early(struct smtp *s)
{
	(void)s;
}

void
guard_helo(struct smtp *s)
{
	(void)s;
}

const char *
guard_mail(struct smtp *s)
{
	(void)s;
	return NULL;
}

const char *
guard_rcpt(struct smtp *s, const struct addr *a, const struct rule **rule)
{
	(void)s;
	(void)a;
	*rule = NULL;
	return NULL;
}

const char *
guard_grey(struct smtp *s, const struct addr *a)
{
	(void)s;
	(void)a;
	return NULL;
}

void
guard_wrong(struct smtp *s)
{
	(void)s;
}

int
inspect_wanted(const struct smtp *s)
{
	(void)s;
	return 0;
}

void
inspect_start(struct smtp *s)
{
	(void)s;
}

void
inspect_work(struct smtp *s)
{
	(void)s;
}

void
inspect_cancel(struct smtp *s)
{
	(void)s;
}

int
limit_count(enum counted what, const struct ip *peer)
{
	(void)what;
	(void)peer;
	return 0;
}

int
rule_row(const struct rule *r)
{
	(void)r;
	return 0;
}

int
limit_reached(enum counted what, const struct ip *peer)
{
	(void)what;
	(void)peer;
	return 0;
}

void
limit_gone(const struct ip *peer)
{
	(void)peer;
}

#endif
