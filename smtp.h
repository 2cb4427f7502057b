/* What smtp.c (sessions, texts) and envelope.c (senders and recipients) share. */
#ifndef SMTP_H
#define SMTP_H

#include "lib/dns.h"
#include "lib/dot.h"
#include "lib/header.h"
#include "lib/spf.h"
#include "mail.h"

enum {
	S_START = 1, S_READY = 2, S_MAIL = 4, S_RCPT = 8, S_DATA = 16, S_AUTH = 32,
	S_BDAT = 64,			/* between two chunks of a text */
	S_CHUNK = 128,			/* within one */
	S_WAIT = 256			/* the greeting is still to come */
};

enum {
	DNSLISTS = sizeof(dnslists) / sizeof(*dnslists),
	RULES = sizeof(rules) / sizeof(*rules)
};

struct smtp;

#define BIT(f) (UINT32_C(1) << (f))
#define SPF_FINDINGS (BIT(F_SPF_NONE) | BIT(F_SPF_NEUTRAL) | BIT(F_SPF_SOFTFAIL) | \
	BIT(F_SPF_FAIL) | BIT(F_SPF_TEMP) | BIT(F_SPF_PERM))

/* What is known of a peer, if it is a stranger, and of its letter. */
struct visit {
	int stranger;
	int met;			/* it was one when it came; TLS begins anew */
	uint32_t found;			/* BIT(F_...) of each finding about the peer */
	uint32_t letter;		/* and about its letter */
	enum action listed;		/* the severest list it is on, */
	const char *zone;		/* which is this one; NULL: none */
	int good;			/* a list says so */
	int accepting;			/* a rule takes this recipient, whoever it comes from */
	const struct rule *rule;	/* that decides about the peer, NULL */
	const struct rule *letter_rule;	/* or about its letter */
	int mark;			/* one of its recipients has a rule for that */
	int accepted, wrong;		/* recipients that rules accept; that do not exist */
	unsigned char there[RULES];	/* rows by which it goes to another server already */
	char name[DNS_NAME];		/* of its address, confirmed; "" */
	enum spf_result spf_helo, spf;
	struct spf *check;		/* under way, or NULL */
	int nth;			/* name of its address that is looked at */
	struct dns_query names, lists[DNSLISTS];

	/* waiting: until nothing is pending, but not before `from`, and not after `until` */
	void (*go)(struct smtp *s);
	int pending;
	int64_t from, until;
	struct smtp *next;
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
	struct visit visit;
	struct inspection *inspection;	/* of its text, under way; NULL */

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

/* The greeting, and an answer to a text (NULL: it is accepted, s->letter is what goes into the
 * journal); both after guard_wait(). */
void smtp_greet(struct smtp *s);
void smtp_answer(struct smtp *s, const char *error);

/* The Received field of a letter of the session. */
void smtp_trace(struct smtp *s, struct letter *l);

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

/* ---- guard.c ---- */

/* A session begins: smtp_greet() will be called, at once or when the peer is known. */
void guard_open(struct smtp *s);

/* It ends: nothing is under way any more. */
void guard_close(struct smtp *s);

/* It speaks too early. */
void guard_early(struct smtp *s);

/* s->helo, s->sender are known (the session is held until the second is checked). NULL, or the
 * reply: not now. */
void guard_helo(struct smtp *s);
const char *guard_mail(struct smtp *s);

/* What stands against taking a recipient at all; *rule: what to do with it, NULL: take it. The
 * reply, or NULL. */
const char *guard_rcpt(struct smtp *s, const struct addr *a, const struct rule **rule);

/* And when it is known that it exists. The reply, or NULL. */
const char *guard_grey(struct smtp *s, const struct addr *a);

/* It does not exist: count that; the answer waits. */
void guard_wrong(struct smtp *s);

/* Call go when visit.pending is 0, or after guard_wait (then it is not); never from here. */
void guard_later(struct smtp *s, int64_t least, int64_t most, void (*go)(struct smtp *s));

/* The reply to what is refused for a finding; a word for it. */
const char *guard_reply(enum finding f);
const char *guard_word(enum finding f);

/* What counts of the findings about the peer and its letter. */
uint32_t guard_found(const struct visit *v);

/* Does one of them call for that? *which is the first. */
int guard_calls(uint32_t found, enum action a, enum finding *which);

/* The reply of a rule that refuses. */
const char *guard_refusal(const struct rule *r);

/* ---- inspect.c ---- */

/* Is the text to be looked into, or changed, before it is accepted? Then look: smtp_answer() will
 * be called. The session is held. */
int inspect_wanted(const struct smtp *s);
void inspect_start(struct smtp *s);

/* A slice of that, from the work hook. */
void inspect_work(struct smtp *s);

/* Forget it. */
void inspect_cancel(struct smtp *s);

#endif
