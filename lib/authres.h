/* Writing and reading Authentication-Results fields, RFC 8601. */
#ifndef AUTHRES_H
#define AUTHRES_H

#include <stddef.h>

enum { AUTHRES_VALUE = 256 };	/* octets of a value; the rest is cut off */

/* A field being written into the caller's memory, folded, LF line ends. What does not fit is left
 * out result by result: the field is always well-formed. */
struct authres {
	char *p;
	size_t size, n;
	size_t safe;		/* up to here it is complete */
	size_t column;
	int results;
	int full;
};

/* "Authentication-Results: ID". id: our host name. */
void authres_begin(struct authres *a, char *p, size_t size, const char *id);

/* "; METHOD=RESULT", on a line of its own; reason: "" or text of ours or of a peer: quoted and
 * escaped. */
void authres_result(struct authres *a, const char *method, const char *result, const char *reason);

/* " PTYPE.PROPERTY=VALUE" of the result before; value: anything a peer may have said: written as it
 * is where RFC 8601 allows it, quoted and escaped otherwise; no line end, control or 8-bit octet
 * but valid UTF-8 comes through ('?' instead). Values over 256 octets are cut. Some readers want
 * what may be quoted in the last place. */
void authres_property(struct authres *a, const char *name, const char *value);

/* A comment with text that is made harmless: " (p=reject)". Behind the id or a result. */
void authres_comment(struct authres *a, const char *text);

/* The end ("none" if there was no result), with its LF: its length; a NUL follows. 0: there was no
 * room, not even for that (size has room for the id, and 40 octets). */
size_t authres_end(struct authres *a);

/* Does a field's value (behind the colon, LF line ends, comments and folding allowed) claim the
 * authserv-id `id`? Case does not count, a U-label is its A-label, and what cannot be parsed up to
 * its first result counts as a claim (RFC 8601 5). */
int authres_claims(const char *p, size_t n, const char *id);

#endif
