/* Replies of an SMTP server, read strictly: RFC 5321 4.2, RFC 2034 (enhanced status codes). */
#ifndef REPLY_H
#define REPLY_H

#include <stddef.h>

enum {
	REPLY_LINE = 1024,	/* octets of one line with CR LF; longer ones end the session */
	REPLY_LINES = 128,	/* of one reply */
	REPLY_WORDS = 256	/* of its text are kept */
};

enum reply_result { REPLY_MORE, REPLY_READY, REPLY_BAD };

struct reply {
	int code;			/* 200 to 599 */
	char status[12];		/* its enhanced status code if it fits the code, or "" */
	/* code and text, lines joined by spaces, others than 0x20-0x7e as "?" */
	char words[REPLY_WORDS];
	size_t nwords;
	int lines;
	/* Called for each line of the text (behind code and separator), may be NULL. */
	void (*line)(void *arg, const char *p, size_t n);
	void *arg;
};

/* A reply begins; line and arg are kept. */
void reply_init(struct reply *r);

/*
 * Take input: *n is how much there is, and then how much was taken. READY: one reply is complete,
 * what follows is left. MORE: all was taken or an incomplete line is left. BAD: not a reply (code,
 * another code in a later line, bare LF, NUL, too long).
 */
enum reply_result reply_feed(struct reply *r, const char *p, size_t *n);

#endif
