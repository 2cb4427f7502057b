/* The mbox file format, dialect mboxrd: finding messages in it, quoting for it, reading from it. */
#ifndef MBOX_H
#define MBOX_H

#include <stddef.h>
#include <stdint.h>

enum { UIDL_TEXT = 71 };	/* RFC 1939 7: 1 to 70 characters 0x21 to 0x7e, and a NUL */

/*
 * One message as it lies in the file. The octets are those of its form on the wire (CR LF line ends,
 * one `>` off each `>+From ` line, no dot-stuffing): exactly what RETR sends.
 */
struct mbox_msg {
	uint64_t from;		/* offset of its From_ line */
	uint64_t text;		/* offset of its first byte, behind the From_ line */
	uint64_t end;		/* offset behind its last byte; the blank line that separates is not its */
	uint64_t octets;	/* RETR's octets */
	unsigned char uid[24];	/* see mbox_uidl() */
};

/*
 * The scanner: a machine that is fed the file piece by piece, from an offset where a From_ line
 * stands (or the file's end), and calls `emit` for each message that is complete.
 * A message starts at the first byte fed or after a blank line, with a From_ line that parses.
 * A message ends before the blank line ahead of the next From_ line, or before the blank
 * line at the end of the file (if there is none: at the end).
 */
struct mbox_scan {
	void (*emit)(void *arg, const struct mbox_msg *m);
	void *arg;
	uint64_t at;		/* offset of the next byte to be fed */
	/* the rest is the machine's own; the implementer completes it */
	struct mbox_msg m;
	int state;
	unsigned long own[96];
};

/* Does p[0..n), without its LF, parse as a From_ line: "From ", something, an asctime-like date? */
int mbox_isfrom(const char *p, size_t n);

void mbox_scan_init(struct mbox_scan *s, uint64_t at, void (*emit)(void *, const struct mbox_msg *),
    void *arg);
void mbox_scan_feed(struct mbox_scan *s, const char *p, size_t n);
/* The file ends here: emits the last message. */
void mbox_scan_end(struct mbox_scan *s);

/* The unique-id of a message as text, from m->uid; returns dst. */
char *mbox_uidl(char dst[UIDL_TEXT], const unsigned char uid[24]);

/*
 * Quoting for an append: text with LF line ends in, the same with a `>` before each line that
 * matches ^>*From out. out has room for 2n + 8 bytes... `bol` state is kept in q between calls.
 */
struct mbox_quote {
	char held[8];		/* bytes of a line whose beginning is still undecided */
	int nheld, state;
};
void mbox_quote_init(struct mbox_quote *q);
/* Returns the bytes written to out (at most 2 * n + 16). */
size_t mbox_quote_feed(struct mbox_quote *q, char *out, const char *in, size_t n);
/* End of the text: what was held back (at most 16 bytes). */
size_t mbox_quote_end(struct mbox_quote *q, char *out);

/*
 * Sending to a POP3 client: bytes of a message as they lie in the file in, wire form out: LF becomes
 * CR LF (a CR before the LF is not doubled), one `>` comes off `>+From `, a dot at a line start is
 * doubled. With lines >= 0 (TOP) it stops after the header, the blank line and so many lines.
 */
struct mbox_send {
	int64_t lines;		/* of the body still to come; -1: all (RETR) */
	int done;		/* TOP has had its lines: feed no more */
	int state;
	char held[8];
	int nheld;
	int header;
	int cr;
};
void mbox_send_init(struct mbox_send *s, int64_t lines);
/*
 * Eats *n bytes at most, writes at most `room` bytes to out; *n becomes what was eaten.
 * Room of 16 always makes progress.
 */
size_t mbox_send_feed(struct mbox_send *s, char *out, size_t room, const char *in, size_t *n);
/* The end: what was held back, CR LF if the last line had none, and ".\r\n"; needs room for 24. */
size_t mbox_send_end(struct mbox_send *s, char *out);

#endif
