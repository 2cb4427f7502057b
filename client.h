/* What client.c (a session with another server) and send.c (one letter in it) share. */
#ifndef CLIENT_H
#define CLIENT_H

#include "lib/dkim.h"
#include "lib/reply.h"
#include "relay.h"

enum state {
	C_CONNECT, C_GREETING, C_EHLO, C_HELO, C_STARTTLS, C_SHAKE, C_AUTH, C_LOGIN, C_NAME,
	C_PASSWORD, C_IDLE, C_RSET, C_WORK, C_ENVELOPE, C_TEXT, C_DOT, C_QUIT
};

/* What a server can do. */
enum {
	CAN_PIPELINE = 1, CAN_SIZE = 2, CAN_8BIT = 4, CAN_UTF8 = 8, CAN_DSN = 16, CAN_TLS = 32,
	CAN_PLAIN = 64, CAN_LOGIN = 128
};

struct session {
	struct conn *c;			/* NULL: the session is free */
	const struct client_user *u;
	void *arg;
	struct hop hop;
	char id[ID_TEXT];
	enum state state;
	unsigned can;
	int tls;			/* it is up */
	int self;			/* the server has our own name */
	int waiting;			/* replies that are owed to us */
	struct reply reply;

	int ended;			/* the next three are known */
	enum over over;
	char status[STATUS_TEXT];
	char words[WORDS];

	struct sending *s;		/* the letter, or NULL */
	int letters;			/* so far */
	int open;			/* the server has a transaction */
	int said, heard;		/* 0: MAIL, then the recipients; n + 1: DATA; n + 2: all */
	int tried, accepted;		/* recipients */
	unsigned char asked[RECIPIENTS];	/* RCPT has been said */

	int scan, sign, known;		/* C_WORK: look for 8-bit text; sign; there is a key */
	struct session *queue;		/* who waits for the signer behind us */
	int body;			/* the blank line has been seen */
	unsigned char last;		/* octet */
	unsigned char high_head, high_body;	/* all octets or'ed */
	int utf8;			/* the letter needs SMTPUTF8 */
	off_t at;			/* in the field and the text behind it */
	int bol;			/* a line begins */
	size_t nfield;
	char field[DKIM_FIELD + 2 * (ADDR_TEXT + 16)];	/* Delivered-To, DKIM-Signature */
};

/* ---- client.c ---- */

/* Why the session ends; the first reason counts. */
void client_because(struct session *s, enum over over, const char *status, const char *words);

/* The same, as the state says: `what` has happened. */
void client_lost(struct session *s, const char *what);

/* The other server does not keep to the protocol: break off. */
void client_breach(struct session *s, const char *what);

/* A command begins, and its reply may take so long: 0; -1: there is something in the input that
 * nobody has asked for, and the session is broken off. */
int client_begin(struct session *s, enum state state, int64_t ms);

/* What the reply means, and its status code (or a general one). */
enum outcome client_class(const struct session *s);
const char *client_status(const struct session *s);

/* ---- send.c ---- */

/* s->s is a new letter. */
void send_take(struct session *s);

/* C_WORK: a slice. */
void send_work(struct session *s);

/* C_ENVELOPE and C_TEXT: say what can be said now. */
void send_say(struct session *s);

/* C_ENVELOPE, C_TEXT and C_DOT: a reply is complete. */
void send_reply(struct session *s);

/* Has all of the final dot left, and is somebody without an answer to it? */
int send_undecided(const struct session *s);

/* The session ends: let go of the signer; missing outcomes come from s->status and s->words. */
void send_end(struct session *s);

extern const size_t send_memory;

#endif
