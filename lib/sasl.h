/* Server side of SASL PLAIN (RFC 4616) and LOGIN, the same for SMTP AUTH and POP3 AUTH. */
#ifndef SASL_H
#define SASL_H

#include <stddef.h>

enum {
	SASL_NAME = 320,	/* octets of a name, with the NUL; an address fits */
	SASL_PASSWORD = 256	/* octets of a password, with the NUL */
};

enum sasl_result {
	SASL_MORE,		/* send s->challenge (base64, maybe empty) and wait for a line */
	SASL_DONE,		/* s->name and s->password are there */
	SASL_BAD,		/* malformed: base64, NULs, lengths */
	SASL_CANCEL,		/* the client sent "*" */
	SASL_UNKNOWN		/* no such mechanism */
};

struct sasl {
	int state;
	const char *challenge;	/* static text */
	char name[SASL_NAME];
	char password[SASL_PASSWORD];
};

/* mech as sent (any case); initial response or NULL, "=" stands for an empty one. An authorization
 * identity of PLAIN must be empty or equal to the name. */
enum sasl_result sasl_start(struct sasl *s, const char *mech, size_t nmech, const char *initial,
    size_t ninitial);

/* The next line of the client, without its line end. */
enum sasl_result sasl_step(struct sasl *s, const char *line, size_t n);

/* Overwrite name and password. */
void sasl_wipe(struct sasl *s);

#endif
