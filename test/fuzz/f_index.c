/* with: pop3.c drop.c box.c user.c lib/addr.c lib/fs.c lib/idn.c lib/ip.c lib/mbox.c lib/sasl.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * A damaged index of a mailbox that is well. The first byte says how many messages there are and
 * what follows: any bytes as the whole file; records behind a head that is right but for its
 * numbers; or changes of single bytes. Whatever the index says, a session comes to an end, its
 * answers have their form, and without a message deleted the mailbox stays as it is. What is no
 * index of this mailbox is not used: then all is as without one.
 */
#include "maildrop.h"

enum { MOST = 1 << 13, STAMP = 24, NUMBERS = 64, HEAD = 80 };

static struct answer was, is;
static char box[BOX], idx[BOX];
static size_t nbox, nidx;

static void
make_box(int n)
{
	int i, k;

	nbox = 0;
	for (i = 0; i < n; i++) {
		nbox += (size_t)snprintf(box + nbox, 200, "From a%d@b Mon Jan  5 23:23:01 1970\n"
		    "Subject: s%d\n\n", i, i);
		for (k = 0; k < i; k++)
			nbox += (size_t)snprintf(box + nbox, 200, ".line %d\n>From me\n", k);
		box[nbox++] = '\n';
	}
	drop_fill(box, nbox);
}

/* The head as it must be, so that what follows is believed. */
static void
make_index(int how, const uint8_t *p, size_t n)
{
	static const char in[] = "USER alice\r\nPASS secret\r\nQUIT\r\n";
	size_t i, at;

	drop_session(&is, in, sizeof(in) - 1, 0);
	nidx = house_slurp(index_file, idx, sizeof(idx));
	HOLDS(nidx >= HEAD);
	if (how == 0) {
		nidx = n;
		memcpy(idx, p, n);
	} else if (how == 1) {
		nidx = n < HEAD - NUMBERS ? HEAD : NUMBERS + n;
		memcpy(idx + NUMBERS, p, n);
	} else {
		for (i = 0; i + 3 <= n; i += 3) {
			at = (size_t)(p[i] << 8 | p[i + 1]) % nidx;
			idx[at] = (char)p[i + 2];
		}
	}
	house_spill(index_file, idx, nidx);
}

/* Everything is asked for, and the messages of a mask deleted. */
static size_t
make_commands(char *in, size_t size, unsigned mask)
{
	size_t n = 0;
	int i;

	n += (size_t)snprintf(in + n, size - n, "USER alice\r\nPASS secret\r\nSTAT\r\nLIST\r\n"
	    "UIDL\r\nLIST 1\r\nUIDL 2\r\nTOP 1 0\r\nTOP 2 1\r\n");
	for (i = 1; i < 8; i++)
		if (mask >> i & 1)
			n += (size_t)snprintf(in + n, size - n, "DELE %d\r\nRETR %d\r\n", i, i + 1);
	return n + (size_t)snprintf(in + n, size - n, "%sSTAT\r\nQUIT\r\n",
	    mask & 1 ? "RSET\r\n" : "");
}

/* Lines, as far as they came before a connection was cut; the first ones are replies. */
static void
look(const struct answer *a)
{
	const char *p = a->b, *end = a->b + a->n, *l;
	int i;

	for (i = 0; p < end && memchr(p, '\n', (size_t)(end - p)); i++)
		if (i < 4)
			HOLDS(drop_reply(&p, end) >= 0);
		else
			(void)drop_line(&p, end, &l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[BOX + 4096];
	static int up;
	char in[1024];
	size_t n, nfirst;
	int how;

	if (!up)
		drop_start();
	up = 1;
	if (size < 2 || size > MOST)
		return 0;
	wire_slow = data[0] >> 7;
	how = data[0] >> 3 & 3;
	n = make_commands(in, sizeof(in), data[1]);
	make_box(data[0] & 7);
	drop_session(&was, in, n, 0);
	drop_look();
	nfirst = nafter;
	memcpy(first, after, nafter);

	make_box(data[0] & 7);
	make_index(how, data + 2, size - 2);
	drop_session(&is, in, n, 0);
	drop_look();
	look(&is);
	if (!(data[1] >> 1))
		HOLDS(nafter == nbox && !memcmp(after, box, nbox));
	HOLDS(nafter <= nbox);
	if (how == 0 && (nidx < HEAD || memcmp(idx + STAMP, data + 2, 1) != 0))
		HOLDS(is.n == was.n && !memcmp(is.b, was.b, is.n) && nafter == nfirst &&
		    !memcmp(after, first, nafter));
	return 0;
}
