/* See LICENSE file for copyright and licence details. */
/*
 * The server's side of SASL PLAIN (RFC 4616) and LOGIN (never a standard, but spoken everywhere).
 * What comes out is a name and a password, both without NULs; nobody else ever sees the exchange.
 */
#define _GNU_SOURCE
#include <string.h>

#include "sasl.h"
#include "text.h"

enum { S_PLAIN, S_NAME, S_PASSWORD };

/* authzid NUL authcid NUL passwd, each as long as we take them */
enum { PLAIN_MAX = 2 * SASL_NAME + SASL_PASSWORD };

void
sasl_wipe(struct sasl *s)
{
	explicit_bzero(s->name, sizeof(s->name));
	explicit_bzero(s->password, sizeof(s->password));
}

static enum sasl_result
fail(struct sasl *s, enum sasl_result r)
{
	sasl_wipe(s);
	return r;
}

/* A part of the exchange becomes a string: not empty, no NUL in it, and it fits. */
static int
take(char *dst, size_t size, const char *p, size_t n)
{
	if (!n || memchr(p, '\0', n))
		return -1;
	return text_copy(dst, size, p, n);
}

/* RFC 4616 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd */
static int
plain(struct sasl *s, const char *p, size_t n)
{
	const char *e = p + n, *name, *password;
	size_t nid, nname;

	name = memchr(p, '\0', n);
	if (!name)
		return -1;
	nid = (size_t)(name - p);
	name++;
	password = memchr(name, '\0', (size_t)(e - name));
	if (!password)
		return -1;
	nname = (size_t)(password - name);
	password++;
	if (nid && !text_ieq(p, nid, name, nname))
		return -1;
	if (take(s->name, sizeof(s->name), name, nname) < 0)
		return -1;
	return take(s->password, sizeof(s->password), password, (size_t)(e - password));
}

static enum sasl_result
ask(struct sasl *s, int state, const char *challenge)
{
	s->state = state;
	s->challenge = challenge;
	return SASL_MORE;
}

/* One response, decoded. */
static enum sasl_result
advance(struct sasl *s, const char *p, size_t n)
{
	switch (s->state) {
	case S_PLAIN:
		return plain(s, p, n) < 0 ? SASL_BAD : SASL_DONE;
	case S_NAME:
		if (take(s->name, sizeof(s->name), p, n) < 0)
			return SASL_BAD;
		return ask(s, S_PASSWORD, "UGFzc3dvcmQ6");	/* Password: */
	case S_PASSWORD:
		return take(s->password, sizeof(s->password), p, n) < 0 ? SASL_BAD : SASL_DONE;
	}
	return SASL_BAD;
}

static enum sasl_result
decode(struct sasl *s, const char *line, size_t n)
{
	char text[PLAIN_MAX];
	enum sasl_result r = SASL_BAD;
	long len = 0;

	if (n)
		len = text_unbase64(text, sizeof(text), line, n);
	if (len >= 0)
		r = advance(s, text, (size_t)len);
	explicit_bzero(text, sizeof(text));
	return r == SASL_BAD ? fail(s, r) : r;
}

enum sasl_result
sasl_start(struct sasl *s, const char *mech, size_t nmech, const char *initial, size_t ninitial)
{
	memset(s, 0, sizeof(*s));
	if (text_is(mech, nmech, "PLAIN"))
		(void)ask(s, S_PLAIN, "");
	else if (text_is(mech, nmech, "LOGIN"))
		(void)ask(s, S_NAME, "VXNlcm5hbWU6");		/* Username: */
	else
		return SASL_UNKNOWN;
	if (!initial)
		return SASL_MORE;
	if (ninitial == 1 && initial[0] == '=')		/* RFC 5034 4: an empty response */
		ninitial = 0;
	return decode(s, initial, ninitial);
}

enum sasl_result
sasl_step(struct sasl *s, const char *line, size_t n)
{
	if (n == 1 && line[0] == '*')
		return fail(s, SASL_CANCEL);
	return decode(s, line, n);
}
