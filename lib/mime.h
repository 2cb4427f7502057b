/* The names of attachments: RFC 2045, 2046, 2047, 2183, 2231, however deep they are nested. */
#ifndef MIME_H
#define MIME_H

#include <stddef.h>
#include <stdint.h>

#include "words.h"

enum {
	MIME_NAME = 512,	/* octets of a name; longer ones are cut in the middle */
	MIME_BOUNDS = 32,	/* boundaries of a message; then any line with "--" is one */
	MIME_RAW = 256,		/* octets of a value as it is written */
	MIME_PIECES = 32,	/* of a parameter, RFC 2231 3 */
	MIME_ARENA = 800	/* octets of them all */
};

/*
 * A message passing by, for a filter: where programs that read mail differ about a malformed one,
 * the names that any of them would see are told. The whole message (header, blank line, body; LF
 * line ends) is fed piece by piece, and `name` is told each file name that a part goes by
 * (filename= and name=, also of the message itself, within message/rfc822, and of uuencoded files),
 * some of them more than once: without a path, decoded, valid UTF-8 (what is not, and control
 * octets, become '?'), without dots, spaces and quotes at its end, NUL-terminated, never empty.
 *
 * What is not seen: names within archives, TNEF (winmail.dat) and S/MIME (smime.p7m), in UTF-7, and
 * of files in yEnc. That is what a scanner is for.
 */
struct mime;
typedef void mime_name_fn(void *arg, const char *name, size_t n);

void mime_init(struct mime *m, mime_name_fn *name, void *arg);
void mime_feed(struct mime *m, const char *p, size_t n);

/* The message ends: the last name may be told now. */
void mime_finish(struct mime *m);

/* ---- below: lib/mime.c's own ---- */

/* A piece of a parameter, RFC 2231 3: n octets in the arena. */
struct mime_piece {
	uint16_t index, n;
	unsigned char coded;
};

/* A text of lines with headers in it. */
struct mime_scan {
	unsigned char inner;		/* it is one that was encoded */
	unsigned char line;		/* where we are in a line */
	unsigned char header;		/* in a header, and not in a body */
	unsigned char seen;		/* it has a line */
	unsigned char message, typed, multipart, bounded, coding;	/* what it says */
	unsigned char dashes;
	unsigned char field;		/* which of ours, 0: none */
	unsigned char fold;		/* in the white space that a line begins with */
	/* a field */
	unsigned char at;		/* where we are in its value */
	unsigned char gap;		/* the word ended */
	unsigned char comment;
	unsigned char whole;		/* it is encoded as a whole */
	unsigned char nword;
	char word[28];
	struct words field_words;
	struct keep ahead;
	char ahead_text[128];
	/* a parameter */
	unsigned char what, form, coded, part;
	unsigned char quoted, escaped, mark, watch, odd, early;
	uint16_t index;
	uint16_t ndash;
	uint32_t dash;			/* hash of a line that may be a boundary */
	struct hex hex;
	struct words words, joined;
	struct keep name, joined_name, raw;
	char name_text[MIME_NAME], joined_text[MIME_RAW], raw_text[MIME_RAW];
	unsigned char npieces, pieces;	/* how many; is there more than name*=... */
	struct mime_piece piece[MIME_PIECES];
	uint16_t used;			/* of the arena */
	char arena[MIME_ARENA];
};

struct mime {
	mime_name_fn *name;
	void *arg;
	unsigned char loose;		/* any line with "--" is a boundary */
	unsigned char digest;		/* parts without a type are messages */
	unsigned char coding;		/* of the part passing by, if a header may be in it */
	unsigned char bits, acc;
	unsigned char dashed;
	unsigned char nbounds;
	struct hex hex;
	struct {
		uint32_t hash;
		uint16_t n;
		uint16_t inner;
	} bound[MIME_BOUNDS];
	struct mime_scan outer;		/* the message as it is */
	struct mime_scan inner;		/* a part of it decoded */
};

#endif
