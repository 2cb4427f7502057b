/* with: lib/sasl.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* SASL PLAIN and LOGIN: whole exchanges, their limits, and that nothing of a failed one stays. */
#include "lib/sasl.h"
#include "lib/text.h"

#include "test.h"

/* An exchange: lines already decoded ("\1" stands for NUL in them), or raw ones after a '!'. */
struct exchange {
	const char *mech, *initial;	/* NULL: none */
	const char *line[3];
	enum sasl_result want;
	const char *name, *password;
};

static const struct exchange exchanges[] = {
	/* PLAIN */
	{ "PLAIN", "\1alice\1secret", { NULL }, SASL_DONE, "alice", "secret" },
	{ "plain", "\1alice\1secret", { NULL }, SASL_DONE, "alice", "secret" },
	{ "PLAIN", NULL, { "\1alice\1secret" }, SASL_DONE, "alice", "secret" },
	{ "PLAIN", "alice\1alice\1secret", { NULL }, SASL_DONE, "alice", "secret" },
	{ "PLAIN", "Alice\1alice\1secret", { NULL }, SASL_DONE, "alice", "secret" },
	{ "PLAIN", "bob\1alice\1secret", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1al\303\257ce@example.org\1p \342\202\254=*", { NULL }, SASL_DONE,
	    "al\303\257ce@example.org", "p \342\202\254=*" },
	{ "PLAIN", "\1alice\1se\1cret", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1alice\1secret\1", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1\1secret", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1alice\1", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1alice", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "alice", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "\1", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!=", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!====", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!AGFsaWNlAHNlY3JldA", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!AGFsaWNlAHNlY3JldA==", { NULL }, SASL_DONE, "alice", "secret" },
	{ "PLAIN", "!AGFsaWNlAHNlY3JldA== ", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", "!*", { NULL }, SASL_BAD, "", "" },
	{ "PLAIN", NULL, { "!*" }, SASL_CANCEL, "", "" },
	{ "PLAIN", NULL, { "!" }, SASL_BAD, "", "" },
	{ "PLAIN", NULL, { "!**" }, SASL_BAD, "", "" },
	{ "PLAIN", NULL, { NULL }, SASL_MORE, "", "" },
	/* LOGIN */
	{ "LOGIN", NULL, { "alice", "secret" }, SASL_DONE, "alice", "secret" },
	{ "login", "alice", { "secret" }, SASL_DONE, "alice", "secret" },
	{ "LOGIN", "alice", { NULL }, SASL_MORE, "alice", "" },
	{ "LOGIN", NULL, { "!*" }, SASL_CANCEL, "", "" },
	{ "LOGIN", NULL, { "alice", "!*" }, SASL_CANCEL, "", "" },
	{ "LOGIN", NULL, { "alice", "!" }, SASL_BAD, "", "" },
	{ "LOGIN", NULL, { "!", NULL }, SASL_BAD, "", "" },
	{ "LOGIN", "!=", { NULL }, SASL_BAD, "", "" },
	{ "LOGIN", NULL, { "al\1ice", NULL }, SASL_BAD, "", "" },
	{ "LOGIN", NULL, { "alice", "sec\1ret" }, SASL_BAD, "", "" },
	{ "LOGIN", NULL, { "alice", "!c2VjcmV0*" }, SASL_BAD, "", "" },
	/* others */
	{ "CRAM-MD5", NULL, { NULL }, SASL_UNKNOWN, "", "" },
	{ "PLAI", NULL, { NULL }, SASL_UNKNOWN, "", "" },
	{ "PLAINX", NULL, { NULL }, SASL_UNKNOWN, "", "" },
	{ "", NULL, { NULL }, SASL_UNKNOWN, "", "" },
};

/* What goes over the wire for a string of the table; its length. */
static size_t
wire(char *dst, size_t size, const char *text)
{
	char raw[512];
	size_t i, n = strlen(text);

	if (text[0] == '!') {
		memcpy(dst, text + 1, n);
		return n - 1;
	}
	memcpy(raw, text, n);
	for (i = 0; i < n; i++)
		if (raw[i] == '\1')
			raw[i] = '\0';
	return text_base64(dst, size, raw, n);
}

static void
tables(void)
{
	const struct exchange *x;
	struct sasl s;
	char line[1024];
	enum sasl_result r;
	size_t i, k, n;

	for (i = 0; i < LEN(exchanges); i++) {
		x = &exchanges[i];
		memset(&s, 'x', sizeof(s));
		n = x->initial ? wire(line, sizeof(line), x->initial) : 0;
		r = sasl_start(&s, x->mech, strlen(x->mech), x->initial ? line : NULL, n);
		for (k = 0; k < LEN(x->line) && x->line[k] && r == SASL_MORE; k++) {
			n = wire(line, sizeof(line), x->line[k]);
			r = sasl_step(&s, line, n);
		}
		CHECK_MSG(r == x->want, "row %lu: got %d, want %d", (unsigned long)i, (int)r,
		    (int)x->want);
		CHECK_STR(s.name, x->name);
		CHECK_STR(s.password, x->password);
	}
}

static void
challenges(void)
{
	struct sasl s;
	char text[32];
	long n;

	CHECK_INT(sasl_start(&s, "PLAIN", 5, NULL, 0), SASL_MORE);
	CHECK_STR(s.challenge, "");
	CHECK_INT(sasl_start(&s, "LOGIN", 5, NULL, 0), SASL_MORE);
	n = text_unbase64(text, sizeof(text), s.challenge, strlen(s.challenge));
	CHECK_MEM(text, (size_t)n, "Username:", 9);
	CHECK_INT(sasl_step(&s, "YQ==", 4), SASL_MORE);
	n = text_unbase64(text, sizeof(text), s.challenge, strlen(s.challenge));
	CHECK_MEM(text, (size_t)n, "Password:", 9);
}

/* Names and passwords of every length about the limits. */
static void
lengths(void)
{
	static char raw[4096], line[8192];
	struct sasl s;
	size_t nname, npw, n;
	int fits;

	for (nname = SASL_NAME - 3; nname < SASL_NAME + 3; nname++) {
		for (npw = SASL_PASSWORD - 3; npw < SASL_PASSWORD + 3; npw++) {
			memset(raw, 'n', sizeof(raw));
			raw[0] = raw[nname + 1] = '\0';
			n = text_base64(line, sizeof(line), raw, nname + npw + 2);
			fits = nname < SASL_NAME && npw < SASL_PASSWORD;
			CHECK_INT(sasl_start(&s, "PLAIN", 5, line, n), fits ? SASL_DONE : SASL_BAD);
			CHECK_INT(strlen(s.name), fits ? nname : 0);
			CHECK_INT(strlen(s.password), fits ? npw : 0);
		}
	}
	memset(raw, 'n', sizeof(raw));
	n = text_base64(line, sizeof(line), raw, 3000);
	CHECK_INT(sasl_start(&s, "PLAIN", 5, line, n), SASL_BAD);
	CHECK_INT(sasl_start(&s, "LOGIN", 5, line, n), SASL_BAD);
}

int
main(void)
{
	tables();
	challenges();
	lengths();
	return test_end();
}
