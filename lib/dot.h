/* The body of DATA, RFC 5321 4.1.1.4 and 4.5.2: only CR LF . CR LF ends it; and that of BDAT. */
#ifndef DOT_H
#define DOT_H

#include <stddef.h>

enum dot_state { DOT_BOL, DOT_TEXT, DOT_CR, DOT_DOT, DOT_DOTCR, DOT_END };

struct dot {
	enum dot_state s;
	int bad;		/* sticky: there was a bare CR or a bare LF */
	/* text of BDAT (RFC 3030): dots mean nothing, it never ends by itself */
	int chunks;
};

/* Before the first byte: state BOL; the caller may set `chunks` then. */
void dot_init(struct dot *d);

/*
 * Take from in[0..*n) what belongs to the body, write it with LF line ends and without stuffed dots
 * to out, which has room for *n bytes and may be `in` itself. On return *n is how many bytes were
 * eaten (never past the end of the body), and the result is how many were written. d->s == DOT_END:
 * the body is complete. The states:
 *
 *	state    CR         LF            dot              other
 *	BOL      CR         bad, TEXT     DOT (dropped)    emit, TEXT
 *	TEXT     CR         bad           emit             emit
 *	CR       bad        emit LF, BOL  bad, emit, TEXT  bad, emit, TEXT
 *	DOT      DOTCR      bad, TEXT     emit, TEXT       emit, TEXT
 *	DOTCR    bad, CR    END           bad, emit, TEXT  bad, emit, TEXT
 *
 * (After `bad` the text is of no use to anyone: it is only swallowed.)
 */
size_t dot_feed(struct dot *d, char *out, const char *in, size_t *n);

#endif
