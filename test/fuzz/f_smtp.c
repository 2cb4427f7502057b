/* with: smtp.c envelope.c forward.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/idn.c lib/ip.c lib/sasl.c lib/srs.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * A session of a stranger at port 25, whole and in pieces: the same replies, each of them in form;
 * no letter is acknowledged that was not synced; what was taken as a text stands in the input as
 * it came; nothing goes to where a stranger has no business. Before it, in the clear or (made up)
 * TLS, accounts and aliases of test/unit/t_rooms.h.
 */
#include "letters.h"

static const struct listener rows[] = {
	{ "::", 25, TLS_START, SMTP, 0 },
	{ "::", 25, TLS_NONE, SMTP, 0 },
	{ "::", 2525, TLS_NONE, TRUSTED, 0 },
	{ "::", 25, TLS_WRAP, SMTP, 1 },
};

/* ---- nobody has the password ---- */

enum res
login_start(struct login *l)
{
	HOLDS(memchr(l->sasl.name, 0, sizeof(l->sasl.name)));
	return l->sasl.name[0] == 't' ? R_TEMP : R_AGAIN;
}

enum res
login_work(struct login *l, int *slot)
{
	HOLDS(l);
	*slot = -1;
	return R_PERM;
}

int64_t
guard_failed(const struct ip *peer)
{
	HOLDS(peer);
	return 1000;
}

void
guard_passed(const struct ip *peer)
{
	HOLDS(!peer);
}

int
guard_trusted(const struct ip *peer)
{
	HOLDS(peer);
	return -1;
}

int
guard_repeats(const struct login *l, const struct ip *peer)
{
	HOLDS(l && peer);
	return 0;
}

int
guard_spend(int user, const struct ip *peer)
{
	HOLDS(user < 0 && !peer);
	return 0;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

int
scram_parse(struct scram_verifier *v, const char *p, size_t n)
{
	memset(v, 0, sizeof(*v));
	return n && *p ? 0 : -1;
}

/* ---- texts ---- */

/* The whole input with LF line ends and without stuffed dots, as if all of it were a text. */
static size_t
plain(char *dst)
{
	const char *p = input, *end = input + ninput;
	size_t n = 0;
	int bol = 1;

	for (; p < end; p++) {
		if (bol && *p == '.' && !begins(p, (size_t)(end - p), ".\r\n"))
			p++;
		bol = p + 1 < end && begins(p, (size_t)(end - p), "\r\n");
		p += bol;
		if (p < end)
			dst[n++] = *p;
	}
	return n;
}

/* Is BDAT in the input? Its texts have other rules. */
static int
chunks(void)
{
	size_t i;

	for (i = 0; i + 4 < ninput; i++)
		if (text_is(input + i, 4, "BDAT"))
			return 1;
	return 0;
}

/* The text behind our trace field, and the dot that ends it, are a part of the input. */
static void
letters_complete(const char *text, size_t n)
{
	static char all[SAID + 1], sent[TEXT + 2];
	const char *p = text, *end = text + n;

	HOLDS(begins(p, n, "Received: from "));
	do {
		p = memchr(p, '\n', (size_t)(end - p));
		HOLDS(p && p++);
	} while (p < end && (p - text < 7 || !begins(p - 7, 7, " +0000\n")));
	memcpy(sent, p, (size_t)(end - p));
	memcpy(sent + (end - p), ".\n", 2);
	if (!chunks())
		HOLDS(memmem(all, plain(all), sent, (size_t)(end - p) + 2));
}

/* ---- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char users[] = "alice:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n"
	    "bob:SCRAM-SHA-256$4096:AAAA$AAAA:AAAA\n";
	static char in[SAID + 1];
	static int up;
	uint32_t seed;

	if (!up) {
		house_spill("users", users, sizeof(users) - 1);
		WIRE_LOOP(SESSIONS);
		forward_init();
		up = 1;
	}
	if (size > SAID)
		return 0;
	seed = letters_go(data, &size);
	memcpy(in, data, size);
	in[size] = '\0';
	letters_row = &rows[go & GO_ROW];
	knows = 0;
	wire_slow = 0;
	letters_session(&whole, in, size, 0);
	wire_slow = 1;
	letters_session(&cut, in, size, seed);
	letters_compare();
	return 0;
}
