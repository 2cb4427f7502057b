/* What is found out about strangers and their messages: guard.c, inspect.c, and what they ask. */
#ifndef CHECK_H
#define CHECK_H

#include "lib/table.h"
#include "mail.h"

/* ---- limit.c: what an address may do in a time ---- */

/* Open the table of bans, spool/bans, and check limits[] (die() with the row). In the store. */
void limit_init(void);

/* A connection has come (limit_gone() when it ends, if this said 0): 0; -1: banned or too many, the
 * reason is *why ("banned", "too many connections", ...). Trusted networks are never refused. */
int limit_connect(const struct ip *peer, const char **why);
void limit_gone(const struct ip *peer);

/* One more C_MESSAGES, C_REFUSED or C_LOGINS: 0; -1: that is too many now (and a ban has begun, if
 * the row says so; logged once). */
int limit_count(enum counted what, const struct ip *peer);

/* Is it at its limit already, or banned? For answers that must not tell what is there. */
int limit_reached(enum counted what, const struct ip *peer);

/* The ms that the answer to the n-th wrong recipient of a session waits. */
int64_t limit_tarpit(int n);

extern const size_t limit_memory;

/* ---- grey.c: greylisting ---- */

/* Open spool/grey. In the store. */
void grey_init(void);

/* A doubtful letter: R_OK: its network is known, or the letter has come again in time; R_TEMP: not
 * yet, *wait is how many seconds more. */
enum res grey_ask(const struct ip *peer, const char *sender, const char *rcpt, int64_t *wait);

/* A letter from there was taken that was above doubt (DMARC or SPF passed): it is known for a while. */
void grey_known_good(const struct ip *peer);

extern const size_t grey_memory;

/* ---- rules.c: rules[] of config.h ---- */

/* Start: die() with the row that cannot be. */
void rules_check(void);

/* The first row for this place (and header field) whose pattern fits, NULL: none. text need not end
 * in a NUL and may be anything. */
const struct rule *rule_match(enum place place, const char *field, const char *text, size_t n);

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

/* A change that a scanner wants, packed one after the other in `edits`: this, then `n` octets: NAME
 * NUL VALUE NUL, or an address NUL. */
struct edit {
	enum {
		EDIT_ADD,		/* a field at the end of the header */
		EDIT_INSERT,		/* before field number `index` (0: the first) */
		EDIT_CHANGE,		/* the index-th of this name (from 1); VALUE "": remove it */
		EDIT_RCPT, EDIT_NO_RCPT, EDIT_SENDER
	} what;
	uint32_t index;
	uint32_t n;
};

/* What the scanner is told. All strings are the caller's until `done`. */
struct scan_facts {
	struct ip peer;
	int port;
	const char *name;		/* of its address, confirmed; "": none */
	const char *helo, *id, *sender, *login, *tls_version, *tls_cipher;	/* "" if there is none */
	/* the i-th recipient as written, NUL-terminated; NULL: no more */
	const char *(*rcpt)(void *arg, int i);
	/* n octets of the message as it came (LF line ends) at an offset: how many (0: its end), -1 */
	long (*read)(void *arg, char *p, size_t n, uint64_t at);
	/* a new body comes, piece by piece, with CR LF line ends (p NULL: it begins): 0 or -1 */
	int (*body)(void *arg, const char *p, size_t n);
	size_t header;			/* octets of its header, the blank line not included */
	void *arg;
};

struct scan {
	void (*done)(struct scan *s);	/* never called from scan_start() itself */
	void *arg;			/* the caller's */
	enum scan_result result;
	char reply[SCAN_REPLY];		/* REJECT, TEMPFAIL: "550 5.7.1 words", always of that form */
	char quarantine[SCAN_NOTE];	/* why, escaped; "": not wanted */
	size_t nedits;
	_Alignas(8) char edits[SCAN_EDITS];
	/* the rest is scan.c's own */
};

/* Start: die() with the row of scanners[] that cannot be. */
void scan_check(void);

/* Show the message to a scanner. */
void scan_start(struct scan *s, const struct scanner *row, const struct scan_facts *f);

/* Forget it; harmless if nothing is under way. */
void scan_cancel(struct scan *s);

#endif
