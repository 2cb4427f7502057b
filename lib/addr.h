/* Mailbox addresses of the SMTP envelope: RFC 5321 4.1.2 and 4.1.3. */
#ifndef ADDR_H
#define ADDR_H

#include <stddef.h>

enum {
	ADDR_LOCAL = 64,	/* RFC 5321 4.5.3.1.1 */
	ADDR_DOMAIN = 255,	/* 4.5.3.1.2 */
	ADDR_TEXT = ADDR_LOCAL + 1 + ADDR_DOMAIN
};

/* What is allowed beside a full Mailbox. */
enum {
	ADDR_NULL = 1,		/* <> : the null reverse-path */
	ADDR_BARE = 2,		/* <Postmaster>, any local part without a domain */
	ADDR_UTF8 = 4		/* UTF-8 in local part and labels, RFC 6531 3.3 */
};

/* Pointers into the parsed text; nothing is owned. All zero for <>. */
struct addr {
	const char *mailbox;	/* the Mailbox as it was written, without source route and <> */
	size_t nmailbox;
	const char *local;	/* its local part as written: a Dot-string or a "Quoted-string" */
	size_t nlocal;
	const char *domain;	/* empty for ADDR_BARE */
	size_t ndomain;
	int literal;		/* the domain is an address literal [..] */
};

/*
 * Parse a Path ("<" [ A-d-l ":" ] Mailbox ">") at the start of p[0..n): the number of bytes it
 * takes, or -1 if it is not one or too long. A source route is accepted and left out.
 */
long addr_path(struct addr *a, const char *p, size_t n, int allow);

/* Is all of it ASCII? */
int addr_ascii(const char *p, size_t n);

/* The octets of the character beyond ASCII at the start of p[0..n): 2 to 4, or 0 if there is none
 * (RFC 3629), or if it is a control character. */
size_t addr_utf8(const char *p, size_t n);

/* The same as addr_path() for a bare Mailbox that fills p[0..n) exactly: 0 or -1. */
int addr_mailbox(struct addr *a, const char *p, size_t n);

/* And with UTF-8 allowed. */
int addr_mailbox8(struct addr *a, const char *p, size_t n);

/* Is p[0..n) a Domain (RFC 5321 4.1.2) or an address literal (4.1.3)? For HELO, EHLO. */
int addr_domain(const char *p, size_t n);
int addr_literal(const char *p, size_t n);

/*
 * The local part without quotes and backslashes, in lower case, NUL-terminated: for look-ups, never
 * for relaying. UTF-8 stays as it is. Returns its length; dst has room for ADDR_LOCAL + 1. A NUL
 * cannot occur in it.
 */
size_t addr_local(char *dst, const struct addr *a);

#endif
