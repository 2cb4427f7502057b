/* with: smtp.c envelope.c forward.c user.c login.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/idn.c lib/ip.c lib/sasl.c lib/srs.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * A submission session with AUTH, whole and in pieces, as f_smtp.c, with the whole way of a login
 * (login.c, lib/sasl.c, lib/scram.c with one round of PBKDF2): who is let in has given the right
 * name and password, where passwords may be given; nobody else hands in anything. What a client of
 * our own did not write into the header is there afterwards, once.
 */
#include <strings.h>

#include "lib/scram.h"
#define SCRAM_MIN_ITER 1
#include "lib/scram.c"
#undef SCRAM_MIN_ITER

#include "letters.h"

static const struct listener rows[] = {
	{ "::", 587, TLS_NONE, SUBMISSION, 1 },
	{ "::", 587, TLS_START, SUBMISSION, 0 },
	{ "::", 465, TLS_WRAP, SUBMISSION, 0 },
	{ "::", 2525, TLS_NONE, TRUSTED, 1 },
};

/* ---- texts ---- */

/* Fields of this name in the header; there may be spaces before the colon (RFC 5322 4.5). */
static int
fields(const char *p, size_t n, const char *name)
{
	const char *end = p + n, *e, *q;
	int found = 0;

	for (; p < end && *p != '\n'; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		HOLDS(e);
		if ((size_t)(e - p) <= strlen(name) || strncasecmp(p, name, strlen(name)) != 0)
			continue;
		for (q = p + strlen(name); *q == ' ' || *q == '\t'; q++)
			;
		found += *q == ':';
	}
	return found;
}

static void
letters_complete(const char *text, size_t n)
{
	HOLDS(knows || letters_row->protocol == TRUSTED);
	HOLDS(begins(text, n, "Received: from "));
	HOLDS(fields(text, n, "Date") > 0 && fields(text, n, "Message-ID") > 0);
}

/* ---- logins ---- */

static const char *names[] = { "alice", "bob" };
static const char *const words[] = { "secret", "\xc3\xbc b" };

/*
 * To be let in, a session has said the right words: in AUTH PLAIN all in one, in AUTH LOGIN one by
 * one.
 */
static int
said_right(void)
{
	char raw[64], b64[96];
	size_t i, k;

	for (i = 0; i < 2; i++) {
		(void)text_base64(b64, sizeof(b64), words[i], strlen(words[i]));
		if (memmem(input, ninput, b64, strlen(b64)))
			return 1;
		/* behind "identity NUL name NUL" it depends on how long these are */
		for (k = 0; k < 3; k++) {
			memset(raw, 0, sizeof(raw));
			memcpy(raw + k, words[i], strlen(words[i]));
			(void)text_base64(b64, sizeof(b64), raw, k + strlen(words[i]));
			if (memmem(input, ninput, b64 + 4 * (k > 0), strlen(b64) / 4 * 4 - 4 -
			    4 * (k > 0)))
				return 1;
		}
	}
	return 0;
}

/* Each 235 is right; nothing is handed in without one. */
static void
logins(const struct answer *a)
{
	const char *p = a->b, *end = a->b + a->n, *e, *tls = NULL;
	int in = 0, sent = 0;

	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		if (begins(p, (size_t)(e - p), "220 2.0.0 Go ahead")) {
			tls = p;
			in = 0;
		}
		if (begins(p, (size_t)(e - p), "235 ")) {
			HOLDS(!in && said_right());
			HOLDS(letters_row->clear_auth || tls || letters_row->tls == TLS_WRAP);
			in = 1;
		}
		if (begins(p, (size_t)(e - p), "250 2.1.0 ") ||
		    begins(p, (size_t)(e - p), "354 ")) {
			HOLDS(in || letters_row->protocol == TRUSTED);
			sent = 1;
		}
	}
	HOLDS(sent || !a->began);
}

/* ---- a trusted network, and what may be sent in an hour ---- */

int
guard_trusted(const struct ip *peer)
{
	return ip_is4(peer) ? 1 : -1;
}

static int budget;

int
guard_spend(int user, const struct ip *peer)
{
	HOLDS(user >= -1 && user < 2 && peer);
	HOLDS(user >= 0 || letters_row->protocol == TRUSTED);
	return budget-- > 0 ? 0 : -1;
}

/* ---- start ---- */

static void
make_users(void)
{
	char text[SCRAM_TEXT], file[4 * SCRAM_TEXT] = "";
	struct scram_verifier v;
	struct scram_work w;
	size_t i, n = 0;

	for (i = 0; i < 2; i++) {
		memset(&v, 0, sizeof(v));
		v.iterations = 1;
		v.nsalt = 4;
		scram_start(&w, &v, words[i], strlen(words[i]));
		while (!scram_step(&w, 1))
			;
		scram_finish(&w, &v);
		n += (size_t)snprintf(file + n, sizeof(file) - n, "%s:%s\n", names[i],
		    scram_format(text, &v));
	}
	house_spill("users", file, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char in[SAID + 1];
	static int up;
	struct ip peer;
	uint32_t seed;

	if (!up) {
		make_users();
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
	knows = 1;
	HOLDS(ip_parse(&peer, go & GO_IP6 ? "2001:db8::7" : "198.51.100.7") == 0);
	guard_passed(&peer);
	budget = go & GO_POOR ? 2 : 1000;
	wire_slow = 0;
	letters_session(&whole, in, size, 0);
	guard_passed(&peer);
	budget = go & GO_POOR ? 2 : 1000;
	wire_slow = 1;
	letters_session(&cut, in, size, seed);
	letters_compare();
	logins(&whole);
	logins(&cut);
	return 0;
}
