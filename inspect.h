/* What inspect.c (the text of a message looked into) and amend.c (a letter written anew) share. */
#ifndef INSPECT_H
#define INSPECT_H

#include "check.h"
#include "lib/dkimcheck.h"
#include "lib/dmarc.h"
#include "lib/from.h"
#include "lib/mime.h"
#include "smtp.h"

enum {
	HEADER_MAX = 65536,		/* octets of a header; larger ones are refused */
	EDITS_MAX = 2 * SCAN_EDITS	/* of all scanners */
};

/* A message under inspection. s->letter holds it as it came, `letter` will be what is kept. */
struct inspection {
	struct smtp *s;			/* NULL: free */
	size_t header;			/* octets of its header, without the blank line */
	uint64_t at;			/* the pass through the text has come to */
	enum { I_READ, I_COPY, I_WAIT } work;

	enum from from;
	char author[ADDR_DOMAIN + 1];	/* "": none */
	struct mime mime;
	struct dkimcheck dkim;
	int dkim_late;			/* the keys did not come in time */
	struct dmarc dmarc;
	int dmarc_known;
	int hurry;			/* others wait for its memory */
	const struct rule *rule;	/* that decides about it, NULL */
	int mark;
	int held;			/* a scanner wants it held back */
	int leaves;			/* rules or scanners send it to other servers */
	char why[96];			/* escaped */

	int scanner;			/* row of scanners[] */
	struct scan scan;
	size_t nedits;
	int rebodied;			/* the scanner that gave a new body, from 1, */
	struct letter body;		/* which is the text of this */
	int lost;			/* the one of a scanner before it is not there any more */

	struct letter letter;

	_Alignas(8) char edits[EDITS_MAX];
};

/* The header of the message as it came, and its length; NUL-terminated, valid until the next call
 * from anybody. NULL: it cannot be read. */
char *inspect_header(struct inspection *i);

/* ---- amend.c ---- */

/* Begin i->letter: envelope, trace fields, header. R_OK; R_TEMP: trouble, in its `bad`, or it has
 * no recipient; R_PERM: scanners want too many changes. */
enum res amend_begin(struct inspection *i);

/* A slice of its body: R_AGAIN, R_OK: it is complete, R_TEMP. */
enum res amend_work(struct inspection *i);

/* The i-th recipient of a letter as written; NULL: there are no more. */
const char *amend_rcpt(struct letter *l, int i);

/* A new body from a scanner (struct scan_facts). */
int amend_body(struct inspection *i, const char *p, size_t n);

#endif
