/* See LICENSE file for copyright and licence details. */
/* The header of a message passing by (RFC 5322 2.2): which fields are there, and where it ends. */
#include <string.h>

#include "header.h"
#include "text.h"

#define FNV UINT32_C(2166136261)	/* where FNV-1a begins */

void
header_init(struct header *h)
{
	memset(h, 0, sizeof(*h));
	h->first = 1;
}

static void
let_go(struct header *h)
{
	if (h->nname)
		h->emit(h->arg, h->name, h->nname);
	h->nname = 0;
}

/* FNV-1a of what counts in an address. */
static uint32_t
hash(uint32_t v, const char *p, size_t n)
{
	for (; n; p++, n--)
		if (!memchr(" \t\r\n<>", *p, 6))
			v = (v ^ (uint32_t)text_lower((unsigned char)*p)) * 16777619;
	return v;
}

uint32_t
header_hash(const char *address, size_t n)
{
	return hash(hash(FNV, ":", 1), address, n);	/* as it stands behind the field's name */
}

/* A field has ended. */
static void
field_end(struct header *h)
{
	if (h->hashing && h->delivered)
		h->delivered(h->arg, h->hash);
	h->hashing = 0;
}

static void
finish(struct header *h, int blank)
{
	field_end(h);
	h->blank = blank;
	h->state = H_DONE;
	h->end(h->arg);
}

/* A field: its name is in h->name, maybe with spaces behind it (RFC 5322 4.5). */
static void
field(struct header *h)
{
	size_t n = h->nname;

	while (n && (h->name[n - 1] == ' ' || h->name[n - 1] == '\t'))
		n--;
	h->received += text_is(h->name, n, "Received");
	h->date |= text_is(h->name, n, "Date");
	h->message_id |= text_is(h->name, n, "Message-ID");
	h->hashing = text_is(h->name, n, "Delivered-To");
	h->hash = FNV;
	let_go(h);
	h->state = H_VALUE;
}

/* One byte at the start of a line or in a name: 1 if it was eaten, 0 if it is to be looked at
 * again. */
static int
name(struct header *h, char ch)
{
	int space = ch == ' ' || ch == '\t';

	if (h->state == H_LINE && ch == '\n') {
		finish(h, 1);
		return 0;
	}
	if (h->state == H_LINE && space && !h->first) {
		h->state = H_VALUE;	/* a folded line */
		return 0;
	}
	if (h->state == H_LINE)
		field_end(h);
	if (ch == ':' && h->nname) {
		field(h);
		return 0;
	}
	if (h->nname == HEADER_NAME || ch == ':' || ch == '\n' || (space && !h->nname) ||
	    (!space && (h->state == H_SPACE || ch < 33 || ch > 126))) {
		finish(h, 0);
		let_go(h);
		return 0;
	}
	h->name[h->nname++] = ch;
	h->state = space ? H_SPACE : H_NAME;
	return 1;
}

void
header_feed(struct header *h, const char *p, size_t n)
{
	const char *lf;
	size_t k;

	while (n) {
		k = n;
		if (h->state == H_VALUE) {
			lf = memchr(p, '\n', n);
			if (lf) {
				k = (size_t)(lf - p) + 1;
				h->state = H_LINE;
				h->first = 0;
			}
		} else if (h->state != H_DONE) {
			k = (size_t)name(h, *p);
			p += k;
			n -= k;
			continue;
		}
		if (h->hashing)
			h->hash = hash(h->hash, p, k);
		h->emit(h->arg, p, k);
		p += k;
		n -= k;
	}
}

void
header_finish(struct header *h)
{
	if (h->state == H_DONE)
		return;
	finish(h, h->state == H_LINE && !h->first);
	let_go(h);
}
