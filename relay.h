/* Mail on its way out: what relay.c (when and where to), client.c (SMTP to another server), out.c
 * (the files), bounce.c (reports to senders) and control.c (the postmaster's view) share. */
#ifndef RELAY_H
#define RELAY_H

#include "lib/dns.h"
#include "mail.h"

enum {
	WORDS = 256,		/* of a remote server's reply that are kept */
	STATUS_TEXT = 12	/* an enhanced status code, "5.1.1", with its NUL */
};

/* ---- out.c: letters that wait for other servers, spool/out/ID and spool/hold/ID ---- */

/*
 * Files in queue format (store.c). The lines of out.c are the recipients without an account:
 *
 *	F<sender> PARAMS	as written at MAIL: BODY=8BITMIME SMTPUTF8 RET= ENVID= (RFC 3461),
 *				and BY=login, BY=[address] of a trusted network, or BY=local: who
 *				handed it in; without it, it came from outside
 *	T<recipient> PARAMS	NOTIFY= ORCPT= (RFC 3461), FORWARD=alias@domain (xtext): led there,
 *				HERE: it is in a mailbox already, but its sender wants to know
 *
 * Overwritten in place: T becomes D when the recipient is done with (sent, or a report is queued);
 * F becomes W when the sender has been told of the delay. A letter that is its own journal has the
 * same file under two names, spool/queue/ID for the local recipients; each is unlinked by its own.
 */
enum {
	OUT_LINE = ADDR_TEXT + 960	/* bytes of such a line, at most */
};

/* One of these lines, parsed; pointers into `text`. */
struct out_line {
	char text[OUT_LINE + 1];
	char state;			/* F W T D */
	const char *mailbox;		/* NUL-terminated, as written, without < and > */
	/* "" or "KEY=VALUE KEY ..."; for local recipients: the account */
	const char *params;
};

/* The line at an offset of the file: its length with the line end; 0: it is the blank line; -1. */
long out_line(int fd, off_t at, struct out_line *l);

/* The value of a parameter, case-insensitive key: pointer and *n ("" if it has no value); NULL: not
 * there. */
const char *out_param(const struct out_line *l, const char *key, size_t *n);

/* Is it a recipient for other servers (not one of our accounts)? */
int out_remote(const struct out_line *l);

/* Open spool/out/ID, or with held 1 spool/hold/ID: the descriptor (the caller's) and where the text
 * begins and ends; -1 with errno (EILSEQ: it does not parse). */
int out_open(const char *id, int held, off_t *text, off_t *end);

/* Overwrite a state byte: D for a recipient, W for the sender's line. Durable with the next commit
 * of the journal, in any case at the next checkpoint. 0; -1 (logged): when the disk is mended. */
int out_mark(const char *id, int fd, off_t at, char state);

/* Nothing of it is left to do? Then it is unlinked: 1; 0: there is a T left; -1 (logged). */
int out_finish(const char *id, int fd);

/* From spool/out to spool/hold or back, durably: 0, or -1 with errno. */
int out_hold(const char *id);
int out_release(const char *id);

/* ---- client.c: one session with another server ---- */

enum outcome { O_NONE, O_SENT, O_LATER, O_FAILED };

/* O_SENT: who reports success, if that is wanted? We, but for DSN_PROMISED (RFC 3461 5.2). */
enum dsn { DSN_NONE, DSN_PROMISED, DSN_DELIVERED };

/* A recipient of a sending. */
struct target {
	off_t at;			/* of its line in the file */
	enum outcome outcome;
	/* the other server speaks DSN; or it is in the mailbox (LMTP) */
	enum dsn dsn;
	char status[STATUS_TEXT];	/* of the last reply, or ours: "4.4.1" */
	/* printable ASCII: the reply as it came, lines joined by spaces, or ours */
	char words[WORDS];
};

/* A letter and those of its recipients that go to one destination. Owned by relay.c. */
struct sending {
	char id[ID_TEXT];
	int fd;				/* its file */
	off_t text, end;
	int forward;			/* all have FORWARD: the sender is rewritten (SRS) */
	/* the server that gave the words, for reports; NULL or "-": none */
	const char *host;
	int n;
	struct target to[RECIPIENTS];
};

/* A server and how to talk to it. */
struct hop {
	char host[ADDR_DOMAIN + 1];	/* its name, for TLS and the log */
	struct ip ip;
	int port;
	const struct route *route;	/* the row of config.h */
	/* TLS failed a moment ago: this time without (TLS_MAY only) */
	int clear;
};

/* Why a session is over. */
enum over {
	/* no more letters, or the server wanted no more: the host is well */
	OVER_DONE,
	/* no connection, no greeting, 4xx or 5xx greeting or EHLO: try another host */
	OVER_CONNECT,
	OVER_TLS,		/* the handshake failed: TLS_MAY may try in clear text */
	OVER_LOGIN,		/* AUTH was refused, or the promised TLS is missing: all wait */
	OVER_LOST		/* it broke off in a letter, whose recipients have their outcome */
};

/* What a session asks of its user (relay.c), with `arg` of client_start(). */
struct client_user {
	/* The next letter for this host, or NULL: say QUIT. It stays the session's until `sent`. */
	struct sending *(*next)(void *arg);
	/* All its recipients have an outcome. */
	void (*sent)(void *arg, struct sending *s);
	/* The session has ended; nothing is called after this. words: for the log and the
	 * senders. */
	void (*over)(void *arg, enum over why, const char *status, const char *words);
};

/* Begin to connect. 0: `over` will be called in a later turn; -1: no slot or socket now. */
int client_start(const struct hop *h, const struct client_user *u, void *arg);

/* Sessions going on; at most CLIENTS of config.h. */
int client_count(void);

extern const size_t client_memory;

/* ---- route.c: where to ---- */

enum {
	HOSTS = 8,		/* of a destination that are tried */
	ADDRESSES = 16		/* of all of them together */
};

/* The hosts of a destination, in the order in which they are tried. */
struct way {
	struct dns_query q;		/* under way */
	int row;			/* of routes[] */
	enum { WAY_NONE, WAY_ASKING, WAY_OPEN, WAY_LATER, WAY_NEVER } state;
	char status[STATUS_TEXT];	/* why LATER or NEVER */
	const char *words;
	int64_t until;			/* the answer is good until then (monotonic ms) */
	int n;				/* addresses */
	struct {
		struct ip ip;
		int host;		/* of hosts */
	} address[ADDRESSES];
	/* while asking */
	char name[ADDR_DOMAIN + 1];	/* the destination */
	/* the MX hosts, and the one whose addresses are asked for */
	int nhosts, host;
	int six;			/* its AAAA records come now */
	int soft;			/* an answer was missing: no conclusion from the others */
	char hosts[HOSTS][ADDR_DOMAIN + 1];
	uint16_t preference[HOSTS];
	void (*done)(struct way *w);
};

/* The row of routes[] for the domains of a sender ("" for the null sender) and a recipient; -1:
 * none. */
int route_row(const char *sender, const char *recipient);

/* Find the hosts of a destination: for a row with a host that one, else by MX. 0: the state is
 * OPEN, LATER or NEVER at once (an address), or ASKING: w->done is called in a later turn. -1: not
 * now (too many questions). */
int route_find(struct way *w, int row, const char *domain, void (*done)(struct way *w));

/* The i-th address of an open way, as a hop. */
void route_hop(struct hop *h, const struct way *w, int i);

/* Start: check routes[] and name_servers[], die()ing with the row; read /etc/resolv.conf. Before
 * chroot. */
void route_init(void);

/* ---- forward.c ---- */

/* The sender that MAIL gives for `sender` of the letter's F line: another one if s->forward. 0; -1:
 * it could not be rewritten, dst is the null sender. */
int relay_sender(const struct sending *s, const char *sender, char dst[ADDR_TEXT + 1]);

/* ---- bounce.c: reports to senders, RFC 3464 ---- */

enum report { REPORT_FAILED, REPORT_DELAYED, REPORT_SENT };

/*
 * Write and queue, durably, a report about the targets of s that are marked in `which` (one byte
 * each), if their senders want it (NOTIFY) and may have it: nobody is told for a null sender, and
 * failures of mail that came from outside (no BY) go to postmaster. until: when the next attempt
 * ends (REPORT_DELAYED), real time. 0: it is on the disk or not wanted; -1: not now (logged).
 */
int bounce(enum report what, const struct sending *s, const unsigned char *which, int64_t until);

/* ---- outcome.c: what becomes of a sending ---- */

/* The first attempt to send a letter after t, real time; its end counts as one. */
int64_t outcome_due(const char *id, int64_t t);

/* All recipients of a sending have an outcome: mark them, tell who must know, close its file.
 * where: the host. 1: nothing of the letter is left, it is gone; 0: something is. */
int outcome_conclude(struct sending *s, const char *where);

/* The last words about a recipient; NULL: none are remembered (they are not kept over a
 * restart). */
const char *outcome_words(const char *id, off_t at);

/* As relay_drop(), of a letter that is not busy; s: memory for the work. */
int outcome_drop(struct sending *s, const char *id, int tell);

extern const size_t outcome_memory;

/* ---- relay.c ---- */

/* A letter has come into spool/out: its recipients are looked at at once. */
void relay_new(const char *id);

/* At start, and in each turn: ms until it wants to be called again. */
void relay_init(void);
int relay_tick(int wait);

/* When the next attempt is due, real time; 0: now, it is being worked on. */
int64_t relay_due(const char *id);

/* Try now: a letter (also one on hold), a recipient domain, or everything (NULL). Returns how many
 * letters; -1 with errno: there is no such letter. */
int relay_flush(const char *what);

/* Give up a letter for its recipients that are left; tell: bounce it. 0 or -1 with errno. EBUSY: it
 * is being sent just now. */
int relay_drop(const char *id, int tell);

/* Is it being sent just now? */
int relay_busy(const char *id);

extern const size_t relay_memory;

#endif
