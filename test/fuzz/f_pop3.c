/* with: pop3.c drop.c box.c user.c lib/addr.c lib/fs.c lib/idn.c lib/ip.c lib/mbox.c lib/sasl.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * A hostile mailbox, and commands behind a line "%%". First a client that reads everything: STAT,
 * LIST, UIDL and RETR agree to the octet. Then the commands of the input, at once and in pieces:
 * the same answers and the same mailbox after them. Without a QUIT that was answered +OK not an
 * octet of it is another one; with it exactly the messages that were deleted are missing.
 */
#include "maildrop.h"

enum { MOST = 1 << 14, MESSAGES = 4096, WIDTH = 80 };

static struct answer whole, cut, again;

/* What the client that reads everything has found. */
struct list {
	unsigned long n, octets;
	unsigned long size[MESSAGES];
	char uid[MESSAGES][WIDTH];
};

static struct list had, has;

/* One listing: a line for each message, in order. */
static void
listing(struct list *l, const char **p, const char *end, int uids)
{
	const char *line;
	unsigned long i = 0, number, octets;
	char uid[WIDTH];
	size_t n, k;

	HOLDS(drop_reply(p, end) == 1);
	while ((n = drop_line(p, end, &line)) != 1 || *line != '.') {
		HOLDS(i < l->n && n < 100);
		if (uids) {
			HOLDS(sscanf(line, "%lu %79s", &number, uid) == 2 && strlen(uid) <= 70);
			for (k = 0; uid[k]; k++)
				HOLDS(uid[k] > 0x20 && uid[k] < 0x7f);
			if (i < MESSAGES)
				memcpy(l->uid[i], uid, sizeof(uid));
		} else {
			HOLDS(sscanf(line, "%lu %lu", &number, &octets) == 2);
			if (i < MESSAGES)
				l->size[i] = octets;
		}
		HOLDS(number == ++i);
	}
	HOLDS(i == l->n);
}

/* A message: as many octets as LIST has said, lines with CR LF. */
static void
message(const char **p, const char *end, unsigned long want)
{
	const char *line;
	unsigned long octets = 0;
	size_t n;

	HOLDS(drop_reply(p, end) == 1);
	while ((n = drop_line(p, end, &line)) != 1 || *line != '.') {
		octets += n + 2 - (*line == '.' && n > 1);
		HOLDS(*line != '.' || line[1] == '.');
	}
	HOLDS(octets == want);
}

static void
read_all(struct list *l)
{
	char in[1024];
	const char *p, *end;
	unsigned long i, sum = 0, last;
	size_t n;

	n = (size_t)snprintf(in, sizeof(in), "USER alice\r\nPASS secret\r\n"
	    "STAT\r\nLIST\r\nUIDL\r\n");
	for (i = 1; i <= SHOWN; i++)
		n += (size_t)snprintf(in + n, sizeof(in) - n, "RETR %lu\r\n", i);
	n += (size_t)snprintf(in + n, sizeof(in) - n, "LIST 1\r\n");
	drop_session(&again, in, n, 0);
	p = again.b;
	end = p + again.n;
	for (i = 0; i < 3; i++)
		HOLDS(drop_reply(&p, end) == 1);
	HOLDS(sscanf(p, "+OK %lu %lu", &l->n, &l->octets) == 2);
	HOLDS(drop_reply(&p, end) == 1);
	listing(l, &p, end, 0);
	listing(l, &p, end, 1);
	for (i = 0; i < l->n && i < MESSAGES; i++)
		sum += l->size[i];
	HOLDS(sum == l->octets || l->n > MESSAGES);
	last = l->n < SHOWN ? l->n : SHOWN;
	for (i = 0; i < last && again.n < WIRE_OUT / 2; i++)
		message(&p, end, l->size[i]);
}

/* ---- the commands of the input ---- */

/* Is the last answer that to a QUIT that deletes? */
static int
has_quit(const struct answer *a)
{
	static const char bye[] = "+OK Bye\r\n";

	return a->n >= sizeof(bye) - 1 && !memcmp(a->b + a->n - sizeof(bye) + 1, bye,
	    sizeof(bye) - 1);
}

/* What is left stands in the same order as before, and is in sight as it was. */
static void
left_over(void)
{
	unsigned long i, k = 0;

	HOLDS(has.n <= had.n && has.octets <= had.octets);
	for (i = 0; i < has.n && had.n <= MESSAGES; i++, k++) {
		while (k < had.n && (strcmp(had.uid[k], has.uid[i]) != 0 ||
		    had.size[k] != has.size[i]))
			k++;
		HOLDS(k < had.n);
	}
}

static void
obey(const char *mbox, size_t nmbox, const char *p, size_t n, uint32_t seed)
{
	static char first[sizeof(after)];
	size_t nfirst;
	int tls;

	drop_fill(mbox, nmbox);
	drop_session(&whole, p, n, 0);
	drop_look();
	memcpy(first, after, nafter);
	nfirst = nafter;
	if (!has_quit(&whole)) {
		HOLDS(nafter == nmbox && !memcmp(after, mbox, nmbox));
	} else if (nafter != nmbox) {
		read_all(&has);
		left_over();
		HOLDS(has.n < had.n);
	}
	drop_fill(mbox, nmbox);
	drop_session(&cut, p, n, seed);
	drop_look();
	/* whether something comes behind STLS depends on the cuts */
	tls = memmem(whole.b, whole.n, "behind STLS", 11) || memmem(cut.b, cut.n, "Begin TLS", 9);
	HOLDS(tls || (whole.n == cut.n && !memcmp(whole.b, cut.b, cut.n)));
	HOLDS(tls || (nfirst == nafter && !memcmp(first, after, nafter)));
	if (!has_quit(&cut))
		HOLDS(nafter == nmbox && !memcmp(after, mbox, nmbox));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int up;
	uint32_t seed = 1 + fuzz_seed(&data, &size);
	const char *p = (const char *)data, *end = p + size, *commands;
	size_t n;

	if (!up)
		drop_start();
	up = 1;
	if (size > MOST)
		return 0;
	commands = memmem(p, size, "\n%%\n", 4);
	n = commands ? (size_t)(commands + 1 - p) : size;
	drop_fill(p, n);
	wire_slow = seed & 1;
	read_all(&had);
	drop_look();
	HOLDS(nafter == n && !memcmp(after, p, n));
	if (commands)
		obey(p, n, commands + 4, (size_t)(end - commands) - 4, seed);
	return 0;
}
