/* The addresses in a field like To: RFC 5322 3.4, with the obsolete forms of 4.4. */
#ifndef ALIST_H
#define ALIST_H

#include <stddef.h>

enum { ALIST_TEXT = 512 };	/* octets of one address, as far as it counts */

/*
 * "A. N. Other" <a@example.org>, bob (a comment), friends: c@example.org, d@example.org;
 *
 * Display names, comments, group names and the space between tokens fall away; what is found are
 * a@example.org, bob, c@example.org and d@example.org. A source route stays.
 */
struct alist {
	void (*found)(void *arg, const char *p, size_t n);
	void *arg;
	int bad;			/* something in it is no address: sticky */
	enum { A_PLAIN, A_ANGLE, A_AFTER } state;
	int depth;			/* of comments */
	int quoted, literal;		/* within "" or [] */
	int escaped;			/* behind a backslash */
	int space;			/* there was space or a comment behind the last token */
	int words;			/* two words with space between: a name, not an address */
	int full;			/* the text was too long */
	int group;
	size_t n;
	char text[ALIST_TEXT];
};

/* A field begins; the callback and arg are set by the caller afterwards. */
void alist_init(struct alist *a);

/* A part of its value; line ends count as space. */
void alist_feed(struct alist *a, const char *p, size_t n);

/* The field ends. */
void alist_end(struct alist *a);

#endif
