/* The author of a message: the domain of its one From field, and what is wrong with its header. */
#ifndef FROM_H
#define FROM_H

#include <stddef.h>

#include "addr.h"

enum from {
	FROM_OK,
	FROM_NONE,		/* no From field */
	FROM_TWO,		/* more than one */
	FROM_DOMAINS,		/* addresses of different domains in it, or none, or syntax */
	FROM_NAME,		/* a line of the header that is no field, or with a malformed name:
				 * white space before the colon, a control or 8-bit octet in it */
	FROM_NUL		/* a NUL in the header */
};

/*
 * Look at a header (LF line ends, without its blank line). FROM_OK: dst has the domain of its
 * author as the DNS has it (lower case, A-labels), or "" if it is an address literal; otherwise dst
 * is empty. What is wrong in more than one way is NUL before NAME, NAME before TWO or NONE.
 */
enum from from_domain(char dst[ADDR_DOMAIN + 1], const char *p, size_t n);

/*
 * The same for the value of one From field (behind the colon; folded with LF): 0, or -1: not a
 * mailbox-list of RFC 5322 3.4, or of more than one domain. Folding, comments and dots in a display
 * name (RFC 5322 4.1) are allowed, and UTF-8 (RFC 6532); groups, routes, encoded words or "@" in a
 * local part, and the other obsolete forms are not.
 */
int from_field(char dst[ADDR_DOMAIN + 1], const char *value, size_t n);

/* Why, in words for a reply: "two From fields". */
const char *from_words(enum from f);

#endif
