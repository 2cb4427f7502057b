/* What those need who look at strangers and their messages: guard.c, inspect.c, whom they ask. */
#ifndef CHECK_H
#define CHECK_H

#include "lib/milter.h"
#include "lib/table.h"
#include "mail.h"

/* ---- limit.c: what an address may do in a time ---- */

/* Check limits[] (die() with the row) and open the table of bans, spool/bans. In the store. */
void limit_init(void);

/* A connection has come (limit_gone() when it ends, if this said 0): 0; -1: banned or too many, the
 * reason is *why ("banned", "too many connections at once", ...). Trusted networks are never
 * counted, here and below. */
int limit_connect(const struct ip *peer, const char **why);
void limit_gone(const struct ip *peer);

/* One more C_MESSAGES, C_REFUSED or C_LOGINS: 0; -1: that is one more than it may (and a ban has
 * begun, if the row says so; logged), or it is banned. */
int limit_count(enum counted what, const struct ip *peer);

/* Has limit_count() said -1 in this window, or is it banned? For answers that must not tell what is
 * there, nor whether a password is right. */
int limit_reached(enum counted what, const struct ip *peer);

/* The ms that the answer to the n-th wrong recipient of a session waits, n from 1. */
int64_t limit_tarpit(int n);

/* The network that an address counts for. */
struct ip limit_network(const struct ip *peer);

extern const size_t limit_memory;

/* ---- grey.c: greylisting ---- */

/* Check the times (die()) and open spool/grey. In the store. */
void grey_init(void);

/* A doubtful letter: R_OK: its network is known, or the letter has come again in time; R_TEMP: not
 * yet, *wait is how many seconds more. */
enum res grey_ask(const struct ip *peer, const char *sender, const char *rcpt, int64_t *wait);

/* A letter from there was taken that was above doubt (DMARC passed): it is known for a while. */
void grey_known_good(const struct ip *peer);

extern const size_t grey_memory;

/* ---- rules.c: rules[] of config.h ---- */

/* Start: die() with the row that cannot be. */
void rules_check(void);

/* The first row for this place (and header field) whose pattern fits, NULL: none. text need not end
 * in a NUL and may be anything. */
const struct rule *rule_match(enum place place, const char *field, const char *text, size_t n);

/* Its place in the table, from 0. (Each file that includes config.h has a table of its own.) */
int rule_row(const struct rule *r);

/* Are there rows for it at all? */
int rule_any(enum place place);

/* The same for all fields of a header (LF line ends), unfolded and decoded (RFC 2047). */
const struct rule *rule_header(const char *p, size_t n);

/* ---- scan.c: a message before a content scanner (lib/milter.h) ---- */

enum { SCAN_REPLY = 512, SCAN_EDITS = 16384, SCAN_NOTE = 128 };

enum scan_result {
	SCAN_ACCEPT, SCAN_REJECT, SCAN_TEMPFAIL, SCAN_DISCARD,
	SCAN_DOWN			/* not there, too slow, or not making sense: logged */
};

/*
 * A change that a scanner wants, packed one after the other in `edits`: this, then `n` octets: NAME
 * NUL VALUE NUL, or an address NUL (and NULs up to the next struct). Everything is checked: a field
 * is to be written as NAME ":" VALUE LF, the space and folds are in VALUE; an address is a mailbox
 * without <>, of EDIT_SENDER perhaps "", of recipients perhaps without a domain. To be done in this
 * order; numbers count fields as they are then.
 */
struct edit {
	enum {
		EDIT_ADD,		/* a field at the end of the header */
		EDIT_INSERT,		/* before field number `index` (from 0), or at the end */
		/* the index-th of this name (from 1); VALUE "": remove it; if there is none, and a
		 * VALUE: as EDIT_ADD */
		EDIT_CHANGE,
		EDIT_RCPT, EDIT_NO_RCPT, EDIT_SENDER,
		EDIT_END	/* of those of one scanner (inspect.c) */
	} what;
	uint32_t index;
	uint32_t n;
};

/* What the scanner is told. All strings are the caller's until `done`. */
struct scan_facts {
	struct ip peer;			/* all zero: the local socket */
	int port;
	const char *name;		/* of its address, confirmed; "": none */
	/* "" if there is none */
	const char *helo, *id, *sender, *login, *tls_version, *tls_cipher;
	/* the i-th recipient as written, NUL-terminated; NULL: no more. Asked in order, once. */
	const char *(*rcpt)(void *arg, int i);
	/* n octets of the message as it came (LF line ends) at an offset: how many (0: its end),
	 * -1 */
	long (*read)(void *arg, char *p, size_t n, uint64_t at);
	/* a new body comes, piece by piece, with CR LF line ends (p NULL: it begins): 0 or -1. It
	 * counts only if the result is SCAN_ACCEPT. */
	int (*body)(void *arg, const char *p, size_t n);
	size_t header;			/* octets of its header, the blank line not included */
	void *arg;
};

/* All zero at first. */
struct scan {
	/* Never called from scan_start() or scan_cancel(). The scan is the caller's again and may
	 * be started at once. */
	void (*done)(struct scan *s);
	void *arg;			/* the caller's */
	enum scan_result result;
	char reply[SCAN_REPLY];		/* REJECT, TEMPFAIL: always as "550 5.7.1 words" */
	char quarantine[SCAN_NOTE];	/* ACCEPT: why, escaped; "": not wanted */
	size_t nedits;			/* octets of them; ACCEPT */
	_Alignas(8) char edits[SCAN_EDITS];
	/* the rest is scan.c's own */
	struct conn *c;			/* NULL: nothing under way */
	const struct scanner *row;
	struct scan_facts f;
	int64_t began;
	uint32_t version, may, wants;	/* as agreed: its version, actions, steps */
	int step, nrcpt;
	const char *rcpt;
	char asked;			/* the last that it was told */
	char waiting;			/* for a reply to that */
	char passing, lf;		/* in the rest of a long field; behind an LF in it */
	char body;			/* the packet under way is one of the body */
	uint64_t at;			/* what comes next of the message */
	uint64_t from, left;		/* what is still to be sent of the packet under way */
	struct milter_in in;
};

/* Start: die() with the row of scanners[] that cannot be. */
void scan_check(void);

/* Show the message to a scanner: 0, `done` will be called in a later turn; -1: no connection is
 * free now (the result is SCAN_DOWN, it is logged, `done` is not called). */
int scan_start(struct scan *s, const struct scanner *row, const struct scan_facts *f);

/* Forget it; harmless if nothing is under way. */
void scan_cancel(struct scan *s);

#endif
