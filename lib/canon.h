/* The canonical forms of header fields and bodies, RFC 6376 3.4, of text with LF line ends. */
#ifndef CANON_H
#define CANON_H

#include <stddef.h>
#include <stdint.h>

#include <bearssl_hash.h>

enum { CANON_SIMPLE, CANON_RELAXED };

/* A field of a header. */
struct canon_field {
	const char *p;
	size_t n;		/* without the end of its last line */
	size_t nname;		/* of its name, without white space behind it */
	size_t value;		/* behind the colon */
};

/* The field at *p, which moves behind it: 1; 0: there is none; -1: there is something else. */
int canon_next(struct canon_field *f, const char **p, const char *end);

/*
 * Hash a field, without its line end: as if the octets from `from` to `to` were not there, for a
 * signature is not in its own hash (3.7). They must lie in its value, and not before all of it.
 */
void canon_field(br_sha256_context *c, int how, const struct canon_field *f, size_t from,
    size_t to);

/* A body that passes by. */
struct canon_body {
	br_sha256_context hash;
	br_sha256_context before;	/* as it was before the blank lines */
	int how;
	int blank;			/* the lines just before were blank */
	int space;			/* white space held back */
	int line;			/* the line has other octets already */
};

void canon_body_init(struct canon_body *b, int how);
void canon_body(struct canon_body *b, const char *p, size_t n);

/* What it is so far; a last line without an end gets one. Returns how many octets were hashed. */
uint64_t canon_body_hash(const struct canon_body *b, unsigned char hash[br_sha256_SIZE]);

#endif
