/* See LICENSE file for copyright and licence details. */
/* The settings for f_stranger.c: those of tests of several rooms, with rules and lists. */
#define rules shipped_rules
#define dnslists shipped_dnslists
#include "test/unit/t_rooms.h"
#undef rules
#undef dnslists

static const struct dnslist dnslists[] = {
	{ "slow.example", "127.0.0.[0-9]*", A_GREYLIST },
	{ "bad.example",  "127.0.0.3",      A_REFUSE },
	{ "good.example", "127.0.0.4",      A_ACCEPT },
};

static const struct rule rules[] = {
	{ IN_CONNECTION, "",        "2001:*",           DO_MARK,     "" },
	{ IN_HELO,       "",        "gone.example",     DO_DISCARD,  "" },
	{ IN_MAIL,       "",        "*@friend.example", DO_ACCEPT,   "" },
	{ IN_RCPT,       "",        "old@*",            DO_REFUSE,   "has left us" },
	{ IN_RCPT,       "",        "copy@*",           DO_COPY,     "x@far.example" },
	{ IN_RCPT,       "",        "to@*",             DO_REDIRECT, "x@far.example" },
	{ IN_RCPT,       "",        "box@*",            DO_MAILBOX,  "alice" },
	{ IN_RCPT,       "",        "take@*",           DO_ACCEPT,   "" },
	{ IN_HEADER,     "Subject", "*[invoice]*",      DO_COPY,     "bob" },
	{ IN_HEADER,     "List-Id", "*<dev.example>*",  DO_MAILBOX,  "bob" },
	{ IN_HEADER,     "X-To",    "*",                DO_REDIRECT, "y@far.example" },
	{ IN_ATTACHMENT, "",        "*.js|*.vb[es]",    DO_REFUSE,   "" },
	{ IN_ATTACHMENT, "",        "*.exe",            DO_MARK,     "" },
};
