/* See LICENSE file for copyright and licence details. */
/*
 * The SubjectPublicKeyInfo of a certificate (RFC 5280 4.1) that comes in pieces: a walk over the
 * elements before it, of which only tags and lengths count.  Nothing else is kept, so that a
 * certificate may be as long as it likes.
 */
#include <string.h>

#include "spki.h"

/* Where we are. The first two elements are entered, those up to the key skipped. */
enum { CERTIFICATE, TBS, VERSION, SERIAL, SIGNATURE, ISSUER, VALIDITY, SUBJECT, KEY };

enum { TAG, LENGTH, LONG, BODY, DONE, BAD };

void
spki_init(struct spki *s)
{
	s->n = 0;
	s->left = 0;
	s->item = CERTIFICATE;
	s->state = TAG;
	s->more = 0;
}

static void
next(struct spki *s)
{
	s->state = s->item == KEY ? DONE : TAG;
	s->item++;
}

/* The length is known. */
static void
body(struct spki *s)
{
	if (s->item <= TBS || !s->left)
		next(s);
	else
		s->state = BODY;
}

static void
tag(struct spki *s, unsigned ch)
{
	static const unsigned char want[] = {
		0x30, 0x30, 0xa0, 0x02, 0x30, 0x30, 0x30, 0x30, 0x30
	};

	if (s->item == VERSION && ch != want[VERSION])
		s->item = SERIAL;
	s->state = ch == want[s->item] ? LENGTH : BAD;
}

static void
octet(struct spki *s, unsigned ch)
{
	switch (s->state) {
	case TAG:
		tag(s, ch);
		break;
	case LENGTH:
		s->left = ch < 0x80 ? ch : 0;
		s->more = (int)(ch & 0x7f);
		if (ch < 0x80)
			body(s);
		else
			s->state = s->more < 1 || s->more > 3 ? BAD : LONG;
		break;
	case LONG:
		s->left = s->left << 8 | ch;
		if (--s->more == 0)
			body(s);
		break;
	}
}

/* Octets of the key. */
static void
keep(struct spki *s, const unsigned char *p, size_t n)
{
	if (n > sizeof(s->der) - s->n) {
		s->state = BAD;
		return;
	}
	memcpy(s->der + s->n, p, n);
	s->n += n;
}

void
spki_push(struct spki *s, const void *p, size_t n)
{
	const unsigned char *b = p;
	size_t k;

	while (n && s->state < DONE) {
		k = s->state == BODY && n > s->left ? s->left : s->state == BODY ? n : 1;
		if (s->item == KEY)
			keep(s, b, k);
		if (s->state == BODY) {
			s->left -= (uint32_t)k;
			if (!s->left)
				next(s);
		} else {
			octet(s, *b);	/* nothing, if it is bad now */
		}
		b += k;
		n -= k;
	}
}

int
spki_done(const struct spki *s)
{
	return s->state == DONE;
}
