/* The header of a message passing by (RFC 5322 2.2): which fields are there, and where it ends. */
#ifndef HEADER_H
#define HEADER_H

#include <stddef.h>
#include <stdint.h>

enum { HEADER_NAME = 78 };	/* of a field, RFC 5322 2.1.1 less the colon */

struct header {
	/* All that is fed comes out here, in order. */
	void (*emit)(void *arg, const char *p, size_t n);
	/*
	 * The header ends here: called once, before its blank line, or (blank is 0) before the
	 * first line that is no field, or at the end of the text. What is emitted now is the last
	 * of the header.
	 */
	void (*end)(void *arg);
	/* May be NULL: the value of a Delivered-To field, as header_hash() makes it. */
	void (*delivered)(void *arg, uint32_t hash);
	void *arg;
	int blank;		/* it ended with a blank line */
	int received;		/* Received fields so far */
	int date, message_id;	/* such fields so far */
	enum { H_LINE, H_NAME, H_SPACE, H_VALUE, H_DONE } state;
	int first;		/* no line is complete yet */
	int hashing;		/* within a Delivered-To field */
	uint32_t hash;
	size_t nname;
	char name[HEADER_NAME];	/* bytes held back: they may be a field's name */
};

/* Text with LF line ends begins. The callbacks and arg are set by the caller afterwards. */
void header_init(struct header *h);

void header_feed(struct header *h, const char *p, size_t n);

/* The text ends. */
void header_finish(struct header *h);

/* A number for an address: case, white space and <> around it make no difference. */
uint32_t header_hash(const char *address, size_t n);

#endif
