/* The mbox file format, dialect mboxrd: finding messages in it, quoting for it, reading from it. */
#ifndef MBOX_H
#define MBOX_H

#include <stddef.h>
#include <stdint.h>

enum {
	UIDL_TEXT = 71,		/* RFC 1939 7: 1 to 70 characters 0x21 to 0x7e, and a NUL */
	MBOX_FROM = 1000,	/* a longer line is not a From_ line */
	MBOX_BODY = 512		/* bytes of the body that the unique-id knows beside its length */
};

/*
 * One message as it lies in the file. The octets are those of its form on the wire (CR LF line
 * ends, one `>` off each `>+From ` line, no dot-stuffing): exactly what RETR sends.
 */
struct mbox_msg {
	uint64_t from;		/* offset of its From_ line */
	uint64_t text;		/* offset of its first byte, behind the From_ line */
	/* offset behind its last byte; the blank line that separates is not its */
	uint64_t end;
	uint64_t octets;	/* RETR's octets */
	unsigned char uid[24];	/* see mbox_uidl() */
};

/*
 * The scanner: a machine that is fed the file piece by piece, from an offset where a From_ line
 * stands (or the file's end), and calls `emit` for each message that is complete.
 * A message starts at the first byte fed or after a blank line, with a From_ line that parses.
 * A message ends before the blank line ahead of the next From_ line, or before the blank
 * line at the end of the file (if there is none: at the end). Bytes ahead of the first From_ line
 * belong to no message: it is seen by the `from` of the first.
 */
struct mbox_scan {
	void (*emit)(void *arg, const struct mbox_msg *m);
	void *arg;
	uint64_t at;		/* offset of the next byte to be fed */
	/* the rest is the machine's own */
	struct mbox_msg m;	/* the message under way */
	uint64_t from;		/* where a line stands that may be a From_ line */
	uint64_t extra;		/* octets less bytes of the message so far, modulo 2^64 */
	uint64_t head_octets;	/* octets of its header, with the blank line */
	uint64_t body;		/* offset of its body */
	uint64_t h[2];		/* the hash of its header */
	uint64_t hashed;	/* bytes that went into it */
	unsigned char block[16];	/* hashed % 16 bytes that wait for more */
	char last[3];		/* the last bytes fed */
	unsigned char state;
	unsigned char active;	/* there is a message under way */
	unsigned char head;	/* its header is not yet over */
	unsigned char field;	/* where we are in a header field */
	unsigned char skip;	/* this field is not hashed */
	unsigned char nname;
	unsigned char matched;	/* letters of "From " behind a `>` */
	unsigned char sep;	/* bytes of the blank line ahead of `from` */
	char name[16];		/* the beginning of a header line */
	size_t nbody, nline;
	char start[MBOX_BODY];	/* the first bytes of the body */
	char line[MBOX_FROM];	/* the beginning of what may be a From_ line */
};

/* Does p[0..n), without its LF, parse as a From_ line: "From ", something, an asctime-like date? */
int mbox_isfrom(const char *p, size_t n);

void mbox_scan_init(struct mbox_scan *s, uint64_t at, void (*emit)(void *, const struct mbox_msg *),
    void *arg);
void mbox_scan_feed(struct mbox_scan *s, const char *p, size_t n);
/* The file ends here: emits the last message. */
void mbox_scan_end(struct mbox_scan *s);

/*
 * The unique-id of a message as text, from m->uid; returns dst. It is made of the From_ line, the
 * header without the fields that programs change in place, the length of the body and its first
 * bytes: exact copies of a message have the same one (RFC 1939 7 allows that).
 */
char *mbox_uidl(char dst[UIDL_TEXT], const unsigned char uid[24]);

/*
 * Quoting for an append: text with LF line ends in, the same with a `>` before each line that
 * matches ^>*From out.
 */
struct mbox_quote {
	int state;
	int matched;		/* letters of "From " that are held back */
};
void mbox_quote_init(struct mbox_quote *q);
/* Returns the bytes written to out (at most 2 * n + 16). */
size_t mbox_quote_feed(struct mbox_quote *q, char *out, const char *in, size_t n);
/* End of the text: what was held back, and a LF if the last line has none (at most 16 bytes). */
size_t mbox_quote_end(struct mbox_quote *q, char *out);

/*
 * Sending to a POP3 client: bytes of a message as they lie in the file in, wire form out: LF
 * becomes CR LF (a CR before the LF is not doubled), one `>` comes off `>+From `, a dot at a line
 * start is doubled. With lines >= 0 (TOP) it stops behind the header, the blank line and so many
 * lines.
 */
struct mbox_send {
	int64_t lines;		/* of the body still to come; -1: all (RETR) */
	int done;		/* TOP has had its lines: feed no more */
	int state;
	int matched;		/* letters of "From " that are held back, behind a held `>` */
	int header;		/* the blank line is still to come */
	int blank;		/* what the line is so far: 1 nothing, 2 a CR, 0 more */
	int cr;			/* the last byte was a CR */
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
