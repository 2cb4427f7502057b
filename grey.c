/* See LICENSE file for copyright and licence details. */
/*
 * Greylisting: a doubtful letter is taken when it comes again, since programs that send spam mostly
 * do not try twice. Rows of spool/grey (lib/table.h) are of two kinds:
 *
 *	a letter	network, sender and recipient; ends grey_retry after it first came
 *	a network	/24 of IPv4, /64 of IPv6; ends grey_known after its last letter
 *
 * All rows of a network lie in SPREAD sets, so that one network alone disturbs no more of the
 * others than share these with it. In a full set the row that ends first gives way: letters before
 * networks, and the oldest first. A sender whose every try comes from another network passes when
 * one of them tries twice.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "lib/log.h"
#include "lib/text.h"

enum {
	SPREAD = 8,		/* a power of two; of TABLE_WAYS rows each */
	STEPS = 64		/* the end of a known network is not moved with each letter */
};

_Static_assert(GREYS >= SPREAD * (int)TABLE_WAYS && !(GREYS & (GREYS - 1)),
    "GREYS is not a power of two, or too small");

static struct table_row rows[GREYS];
static struct table table = { .row = rows, .n = GREYS, .fd = -1 };

const size_t grey_memory = sizeof(rows);

void
grey_init(void)
{
	if (grey_wait < 0 || grey_retry <= grey_wait || grey_known < 1000 ||
	    grey_retry / 1000 >= INT_MAX || grey_known / 1000 >= INT_MAX)
		die(EX_CONFIG, "config.h: grey_wait, grey_retry, grey_known: these times cannot "
		    "be");
	table.life = (uint32_t)((grey_retry > grey_known ? grey_retry : grey_known) / 1000);
	random_bytes(table.secret, sizeof(table.secret));
	if (table_open(&table, "spool/grey") < 0)
		log_event("-", "disk-trouble at=\"spool/grey\" error=\"%s\"", strerror(errno));
}

static void
save(const struct table_row *r)
{
	if (table_save(&table, r) < 0)
		log_event("-", "disk-trouble at=\"spool/grey\" error=\"%s\"", strerror(errno));
}

/* A NUL and the text in lower case: senders do not always write an address the same way. */
static char *
put(char *p, const char *text)
{
	int i;

	*p++ = '\0';
	for (i = 0; i < ADDR_TEXT && *text; i++)
		*p++ = (char)text_lower((unsigned char)*text++);
	return p;
}

/* The keys of a network and of a letter from there. */
static void
keys(unsigned char known[TABLE_KEY], unsigned char letter[TABLE_KEY], const struct ip *peer,
    const char *sender, const char *rcpt)
{
	char b[sizeof(peer->a) + 2 * (1 + ADDR_TEXT)];
	struct ip net = limit_network(peer);
	uint32_t set, spread;
	char *p = b + sizeof(net.a);

	memcpy(b, net.a, sizeof(net.a));
	table_key(&table, known, b, (size_t)(p - b));
	p = put(put(p, sender), rcpt);
	table_key(&table, letter, b, (size_t)(p - b));
	memcpy(&set, known, sizeof(set));
	memcpy(&spread, letter, sizeof(spread));
	set = (set & ~(uint32_t)(SPREAD - 1)) | (spread & (SPREAD - 1));
	memcpy(letter, &set, sizeof(set));
}

/* The network is known from now on for grey_known. */
static void
know(const unsigned char key[TABLE_KEY])
{
	int64_t until = loop_wall + grey_known / 1000;
	struct table_row *r = table_find(&table, key, loop_wall);

	if (r && (until - r->until) * STEPS < grey_known / 1000)
		return;
	r = table_make(&table, key, loop_wall, until);
	r->until = (uint32_t)until;
	save(r);
}

void
grey_known_good(const struct ip *peer)
{
	unsigned char known[TABLE_KEY], letter[TABLE_KEY];

	keys(known, letter, peer, "", "");
	know(known);
}

enum res
grey_ask(const struct ip *peer, const char *sender, const char *rcpt, int64_t *wait)
{
	unsigned char known[TABLE_KEY], letter[TABLE_KEY];
	struct table_row *r;
	int64_t age;

	keys(known, letter, peer, sender, rcpt);
	*wait = 0;
	if (table_find(&table, known, loop_wall)) {
		know(known);
		return R_OK;
	}
	r = table_find(&table, letter, loop_wall);
	if (!r) {
		r = table_make(&table, letter, loop_wall, loop_wall + grey_retry / 1000);
		save(r);
	}
	age = loop_wall - r->since;
	if (age < 0) {
		r->since = (uint32_t)loop_wall;		/* the clock was set back */
		save(r);
		age = 0;
	}
	*wait = (grey_wait + 999) / 1000 - age;
	if (*wait > 0)
		return R_TEMP;
	*wait = 0;
	r->until = 0;
	save(r);
	know(known);
	return R_OK;
}
