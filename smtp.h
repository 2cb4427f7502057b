/* What smtp.c (sessions, texts) and envelope.c (senders and recipients) share. */
#ifndef SMTP_H
#define SMTP_H

#include "lib/dot.h"
#include "lib/header.h"
#include "mail.h"

enum {
	S_START = 1, S_READY = 2, S_MAIL = 4, S_RCPT = 8, S_DATA = 16, S_AUTH = 32,
	S_BDAT = 64,			/* between two chunks of a text */
	S_CHUNK = 128			/* within one */
};

struct smtp {
	struct conn *c;
	char sid[ID_TEXT];
	int state;
	int esmtp;			/* it said EHLO */
	int tls;
	int skip;			/* swallowing the rest of a line that is too long */
	int errors;
	int user;			/* the login's slot, -1: none */
	int trusted;			/* the row of trusted[] that lets it in, -1: none */
	int nrcpt;
	uint64_t size;			/* octets of the text so far, as SMTP counts them */
	struct letter letter;
	struct dot dot;
	struct header header;
	char helo[ADDR_DOMAIN + 1];
	char sender[ADDR_TEXT + 1];
	char rcpt[ADDR_TEXT + 1];	/* the first */
	char tried[64];			/* the name of the login, escaped */
	struct login login;

	/* of the envelope */
	int utf8;			/* SMTPUTF8 was said */
	int looped;			/* forwarded for an address that forwarded it before */
	int nout;			/* recipients for other servers */
	int nforward, nalias;
	unsigned short forward[RECIPIENTS];	/* ids (struct forwards) that it goes to */
	uint32_t alias[RECIPIENTS];	/* header_hash() of the addresses that led there */

	/* BDAT */
	uint64_t chunk;			/* octets left of the chunk */
	int last;			/* it is the last one */
	int before;			/* the state to go back to when the chunk was not wanted */
	const char *error;		/* why not, NULL: it is */
	int64_t until;			/* loop_now: the text must be complete */
};

/* Replies: as they are; errors of the peer, which are counted; and those with a log line: what the
 * peer wanted and why it did not get it. */
void smtp_reply(struct smtp *s, const char *text);
void smtp_refuse(struct smtp *s, const char *text);
void smtp_reject(struct smtp *s, const char *text, const char *arg, size_t n);

/* The reply to a letter with disk trouble. */
const char *smtp_disk(int full);

/* Does it hand in mail for our own people: a login, a trusted network, this machine? */
int smtp_ours(const struct smtp *s);

/* ---- envelope.c ---- */

/* MAIL and RCPT, with what stands behind the verb. */
void smtp_mail(struct smtp *s, const char *p, size_t n);
void smtp_rcpt(struct smtp *s, const char *p, size_t n);

/* Is one of the mailboxes too full for so much more? */
int smtp_quota(const struct user_set *to, uint64_t size);

/* A Delivered-To field passes by (lib/header.h); arg: the session. */
void smtp_delivered(void *arg, uint32_t hash);

/* Nothing is known of an envelope any more. */
void smtp_forget(struct smtp *s);

#endif
