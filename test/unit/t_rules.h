/* See LICENSE file for copyright and licence details. */
/* The settings for t_rules.c: config.h with other rules, which the test changes. */
#define rules shipped_rules
#include "config.h"
#undef rules

static struct rule rules[] = {
	{ IN_CONNECTION, "", "192.0.2.*|*.bad.example", DO_REFUSE, "no" },
	{ IN_HELO, "", "", DO_REFUSE, "never" },
	{ IN_HELO, "", "localhost", DO_MARK, "" },
	{ IN_MAIL, "", "<>", DO_DISCARD, "" },
	{ IN_MAIL, "", "*@friend.example|*[0-9][0-9]@*", DO_ACCEPT, "" },
	{ IN_RCPT, "", "old@*", DO_REDIRECT, "new@example.org" },
	{ IN_HEADER, "Subject", "*[[]invoice]*", DO_COPY, "accounts" },
	{ IN_HEADER, "List-Id", "*<dev.example>*", DO_MAILBOX, "lists" },
	{ IN_HEADER, "subject", "a\\|b|\xc3\xa9*|*end", DO_MARK, "" },
	{ IN_ATTACHMENT, "", "*.exe|*.vb[es]", DO_MARK, "" },
	{ IN_ATTACHMENT, "", "*.*", DO_ACCEPT, "" },
};
