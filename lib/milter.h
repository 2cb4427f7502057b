/* The milter protocol, version 6: its packets written, read and checked. No network. See scan.c. */
#ifndef MILTER_H
#define MILTER_H

#include <stddef.h>
#include <stdint.h>

enum {
	MILTER_VERSION = 6,
	MILTER_DATA = 65535,		/* octets of a packet's data that a filter takes */
	MILTER_REPLY = 320		/* room for what milter_reply() writes */
};

/* What a filter may want to do; all of them. */
enum {
	MILTER_ADD_FIELD = 0x1, MILTER_NEW_BODY = 0x2, MILTER_ADD_RCPT = 0x4,
	MILTER_DEL_RCPT = 0x8, MILTER_CHANGE_FIELD = 0x10, MILTER_QUARANTINE = 0x20,
	MILTER_SENDER = 0x40, MILTER_ADD_RCPT_PAR = 0x80, MILTER_MACROS = 0x100,
	MILTER_ACTIONS = 0x1ff
};

/* What it does not want to be told (NO) or will not answer (NR), and more about the dialogue. */
enum {
	MILTER_NO_CONNECT = 0x1, MILTER_NO_HELO = 0x2, MILTER_NO_MAIL = 0x4, MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10, MILTER_NO_HEADER = 0x20, MILTER_NO_EOH = 0x40,
	MILTER_NR_HEADER = 0x80, MILTER_NO_UNKNOWN = 0x100, MILTER_NO_DATA = 0x200,
	MILTER_SKIP = 0x400,		/* it may have enough of the body */
	MILTER_RCPT_REJ = 0x800,	/* it wants to hear of refused recipients too */
	MILTER_NR_CONNECT = 0x1000, MILTER_NR_HELO = 0x2000, MILTER_NR_MAIL = 0x4000,
	MILTER_NR_RCPT = 0x8000, MILTER_NR_DATA = 0x10000, MILTER_NR_UNKNOWN = 0x20000,
	MILTER_NR_EOH = 0x40000, MILTER_NR_BODY = 0x80000,
	MILTER_LEADSPC = 0x100000,	/* values of fields with the space behind the colon */
	MILTER_STEPS = 0x1fffff
};

/* ---- to the filter ---- */

/* Packets being written one behind the other; all zero but p and room at first. */
struct milter_out {
	char *p;
	size_t room, n;
	size_t head;		/* where the present packet begins */
	int full;		/* it did not fit: p[0..n) is of no use */
};

void milter_begin(struct milter_out *o, char what);
void milter_put(struct milter_out *o, const void *p, size_t n);
void milter_string(struct milter_out *o, const char *s);	/* with its NUL */
/* more: octets of data that will follow behind o->n. */
void milter_end(struct milter_out *o, size_t more);

/* ---- from the filter ---- */

enum milter_got { MILTER_MORE, MILTER_READY, MILTER_BAD };

struct milter_in {
	/* The caller's: data is gathered in the `room` octets before `end`, at their end, with a
	 * NUL behind it. */
	char *end;
	size_t room;
	/* Data of a new body ('b') comes out here instead, with CR LF line ends; p is NULL when it
	 * begins. 0 or -1. */
	int (*body)(void *arg, const char *p, size_t n);
	void *arg;
	/* a packet that is READY: its command and data */
	char what;
	uint32_t n;
	char *data;
	const char *why;	/* what was BAD */
	int cr;			/* the new body so far ends with a CR */
	int new_body;
	uint32_t have;		/* octets of the data seen, of the head */
	unsigned nhead;
	unsigned char head[5];
};

/*
 * Take input: *n is how much there is, and then how much was taken. READY: a packet is complete,
 * what follows is left; call it again for the next. MORE: all was taken. BAD: too long, an empty
 * packet, a bare CR in a body, or `body` said no.
 */
enum milter_got milter_feed(struct milter_in *m, const char *p, size_t *n);

/* What packets of a change, of quarantine, or with a reply say. */
struct milter_change {
	uint32_t action;	/* that it must have said it may do (one of them), 0: none */
	uint32_t index;
	const char *s[2];	/* NUL-terminated */
	size_t n[2];
	int strings;
};

/* Take such a packet apart: 1; 0: it is of another kind; -1: it is broken. */
int milter_change(struct milter_change *m, const struct milter_in *in);

/* The answer to the options: 0 or -1 (too short, a version or options that were not offered). */
int milter_options(const struct milter_in *in, uint32_t *version, uint32_t *actions,
    uint32_t *steps);

/*
 * A field as it will be: NAME NUL VALUE NUL, so that NAME ":" VALUE LF is right: folded lines begin
 * with white space, no CR, no line end last, and the space behind the colon (lead: the value has
 * it already). dst lies before the strings of m in the same memory. The octets written, or -1: no
 * proper name, a bare CR, no room.
 */
long milter_field(char *dst, const struct milter_change *m, int lead);

/* An address, with or without <>, as a mailbox without them and a NUL; `null`: may be <>. As above;
 * -1: it is none. */
long milter_mailbox(char *dst, const struct milter_change *m, int null);

/*
 * A reply of the filter's own as one line "550 5.7.1 words": lines joined, %% is %, printable, the
 * status code always there. Its first digit, 4 or 5; -1: no such reply.
 */
int milter_reply(char dst[MILTER_REPLY], const struct milter_change *m);

#endif
