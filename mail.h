/* Types and prototypes that the rooms of the appliance share, in the order of the rooms. */
#ifndef MAIL_H
#define MAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include <bearssl_rsa.h>

#include "lib/addr.h"
#include "lib/fs.h"
#include "lib/ip.h"
#include "lib/loop.h"
#include "lib/mbox.h"
#include "lib/sasl.h"
#include "lib/scram.h"

enum { FORWARDS_MAX = 32 };		/* outside addresses one alias may lead to */

/* Results of whatever can fail for now or for good. (access(2), not used here, has an R_OK too.) */
#undef R_OK
enum res { R_OK, R_AGAIN, R_TEMP, R_PERM };

/* ---- config.h: the types of its tables ---- */

enum tls_mode { TLS_NONE, TLS_START, TLS_WRAP };
enum protocol {
	SMTP, SUBMISSION, POP3,
	TRUSTED,			/* as SUBMISSION, and networks of trusted[] need no AUTH */
	LOCAL				/* the socket of the store: our own machine, for sendmail */
};

struct listener {
	const char *address;		/* "" does not listen */
	int port;
	enum tls_mode tls;
	enum protocol protocol;
	int clear_auth;			/* 1: passwords in clear text are taken here */
};

struct alias {
	const char *from;		/* "local", "local@domain" or "*@domain" */
	const char *to;			/* accounts or other aliases, separated by spaces */
};

struct trusted {
	const char *network;		/* "192.0.2.0/24", "2001:db8::/32", an address */
	const char *sender;		/* "": any; or the sender that its mail gets */
	int hourly;			/* recipients in an hour; 0: no limit */
};

/* How a session with another server is made safe. TLS_NONE and TLS_WRAP as for listeners. */
enum route_tls { ROUTE_CLEAR, ROUTE_MAY, ROUTE_MUST, ROUTE_WRAP };
enum route_protocol { ROUTE_SMTP, ROUTE_LMTP };

struct route {
	/* domain of the sender: "example.org", ".example.org" (below it), "*" */
	const char *sender;
	const char *recipient;		/* the same for the recipient */
	const char *host;		/* the next server: a name, an [address]; "": by MX */
	int port;
	enum route_tls tls;
	const char *verify;		/* "", "ca", "builtin", "sha256:HEX" */
	const char *auth;		/* key of a line in `secrets`; "": no AUTH */
	enum route_protocol protocol;
};

/* What is found out about a stranger and its mail, and what may follow from it. */
enum finding {
	F_EARLY,		/* it spoke before our greeting */
	F_PTR,			/* its address has no name, or one that does not lead back */
	F_PTR_LATER,		/* that could not be found out now */
	F_HELO_NAME,		/* HELO with something that is no full host name or literal */
	F_HELO_ALIEN,		/* with our name, or an address that it does not have */
	F_OWN_SENDER,		/* one of our domains as its envelope sender */
	F_SPF_NONE, F_SPF_NEUTRAL, F_SPF_SOFTFAIL, F_SPF_FAIL, F_SPF_TEMP, F_SPF_PERM,
	F_DKIM_NONE, F_DKIM_FAIL,	/* no signature; some, and none is right */
	F_AUTHOR,		/* no author, two From, a NUL: tricks with alignment */
	F_DMARC_NONE,		/* no policy */
	F_DMARC_WATCH, F_DMARC_QUARANTINE, F_DMARC_REJECT, /* it fails: p=none and the others */
	F_DMARC_TEMP, F_DMARC_PERM,
	NFINDINGS
};

/* The severest of all findings counts. */
enum action { A_ACCEPT, A_MARK, A_GREYLIST, A_REFUSE };

struct policy {
	enum finding finding;
	enum action action;
};

struct dnslist {
	const char *zone;
	const char *answers;		/* a pattern (lib/glob.h): "127.0.0.[2-9]" */
	enum action action;		/* A_ACCEPT: a list of the good, others do not count then */
};

/* Where a rule looks, and what it does. */
enum place { IN_CONNECTION, IN_HELO, IN_MAIL, IN_RCPT, IN_HEADER, IN_ATTACHMENT };
enum deed { DO_ACCEPT, DO_REFUSE, DO_MARK, DO_DISCARD, DO_REDIRECT, DO_COPY, DO_MAILBOX };

struct rule {
	enum place place;
	const char *field;		/* IN_HEADER: its name, else "" */
	const char *pattern;		/* lib/glob.h; several between "|" */
	enum deed deed;
	const char *arg;		/* address or account, words of a refusal */
};

/* A content scanner that speaks the milter protocol. */
struct scanner {
	const char *name;
	const char *address;		/* "inet:127.0.0.1:11332", "unix:path/in/the/store" */
	int ours;			/* 1: it sees the mail of our own people too */
	enum { DOWN_ACCEPT, DOWN_TEMPFAIL } down;
	int64_t ms;			/* that it may take for a message */
};

/* What is counted for strangers (trusted[] networks are none), over a time. */
enum counted { C_OPEN, C_CONNECTS, C_MESSAGES, C_REFUSED, C_LOGINS, NCOUNTED };

struct limit {
	enum counted counted;
	int address, network;		/* most for an address, and for its /24 or /64; 0: any */
	int64_t window;			/* ms */
	int64_t ban;			/* ms; 0: only until the window ends */
};

/* ---- mail.c ---- */

enum { HOST_TEXT = 256, ID_TEXT = 24, NAME_TEXT = 33 };

extern char host[HOST_TEXT];		/* our name, from config.h or gethostname() */
extern const char version[];
extern int stopping;			/* SIGTERM has come: say goodbye */

/* A new id: 21 hexadecimal digits, never used before. Returns dst. */
char *new_id(char dst[ID_TEXT]);

/* A new session id for the log, 8 hexadecimal digits. */
char *session_id(char dst[ID_TEXT]);

/* The listener a connection came in by; for the socket `submit` one whose protocol is LOCAL. */
const struct listener *conn_listener(const struct conn *c);

/* ---- smtp.c, pop3.c: the protocols; sessions are kept by slot ---- */

extern const struct kind smtp_kind, pop3_kind;

/* Memory of the sessions in bytes, for the bound that `make size` prints. */
extern const size_t smtp_memory, pop3_memory;

/* ---- user.c: accounts and the addresses that lead to them ---- */

/* Slots of accounts are stable while the server runs: deleted ones are not given to others. */
struct user {
	char name[NAME_TEXT];		/* [a-z0-9][a-z0-9._-]*; "" : free slot */
	int gone;			/* deleted since the start */
	char verifier[SCRAM_TEXT];
};

/* Is it a name an account may have? Everything that becomes a path has passed this. */
int user_valid(const char *name, size_t n);

/* Read (or read again if it has changed) the file `users`: 0, or -1 with errno (the old table
 * stays). Cheap when nothing has changed. */
int user_load(void);

/* For commands, under the lock of users.lock: give an account (new or not) a verifier, or with NULL
 * remove it. The file is replaced as a whole: 0, or -1 with errno and the old one is there. */
int user_write(const char *name, const char *verifier);

/* The account in a slot, also one that is gone; NULL: none there. */
const struct user *user_at(int slot);

/* The slot of a name, -1: none. */
int user_find(const char *name, size_t n);

/* The slot for a login name: "alice" or "alice@own-domain", any case; -1: none. */
int user_login(const char *name, size_t n);

/* A set of accounts: one bit a slot. */
struct user_set {
	unsigned char bit[32];
};
int user_in(const struct user_set *s, int slot);

enum where { W_LOCAL, W_UNKNOWN, W_REMOTE, W_LATER };

/* Outside addresses that aliases lead to: words of config.h. */
struct forwards {
	int n;
	struct {
		const char *p;
		size_t n;
		int id;			/* equal addresses have the same */
	} to[FORWARDS_MAX];
};

/*
 * Where does a recipient live? W_LOCAL: `to` holds the accounts it reaches (aliases, subaddresses,
 * catch-all, postmaster) and `out` (may be NULL) the outside addresses; one of both may be empty.
 * W_UNKNOWN: one of our domains, but nobody. W_REMOTE: not ours. W_LATER: as W_UNKNOWN, but the
 * accounts cannot be read now. Calls user_load().
 */
enum where user_resolve(struct user_set *to, struct forwards *out, const struct addr *a);

/* The same for an address, or a local part of ours, of config.h; *a is what it is. */
enum where user_meant(struct user_set *to, struct forwards *out, struct addr *a, const char *text);

/* Is the domain one of ours? Is it one whose mail we carry on for anybody (relay_domains)? */
int user_owns(const char *domain, size_t n);
int user_relays(const char *domain, size_t n);

/* May this account send as this address (RFC 6409 6.1)? Itself and aliases leading to it alone or
 * not. */
int user_may_send(int slot, const struct addr *a);

/* Start: check domains[], relay_domains[], and aliases[] for loops, bad names, dead ends; die()
 * with table and row. */
void user_check(void);

/* The same for what config.h says of passwords; user_check does it too. */
void user_check_passwords(void);

/* ---- login.c: names and passwords ---- */

struct login {
	struct sasl sasl;
	struct scram_verifier verifier;
	struct scram_work work;
	unsigned char tried[8];		/* stands for the name and password that were wrong */
	int slot;			/* candidate account, -1: none */
	enum { L_IDLE, L_DERIVE } state;
};

/* The name and password in l->sasl are complete: begin to check them. R_OK: known at once, l->slot
 * is the account; R_TEMP: accounts unreadable; R_AGAIN: nothing blocks: call login_work from the
 * work hook until it says something else. */
enum res login_start(struct login *l);

/* R_AGAIN: not yet; R_OK: *slot is the account; R_PERM: no; R_TEMP: accounts unreadable. Takes the
 * same time for unknown names. When it ends, secrets are wiped. */
enum res login_work(struct login *l, int *slot);

/* A login failed: count it for the address (/32, /64); returns the ms to wait before the answer. */
int64_t guard_failed(const struct ip *peer);

/* After guard_failed(): is it the same name and password that was wrong from there the last time? A
 * program with an old password is no attack. */
int guard_repeats(const struct login *l, const struct ip *peer);

/* A login succeeded. */
void guard_passed(const struct ip *peer);

/* ---- limit.c: how much is too much (for strangers: check.h) ---- */

/*
 * One more recipient from a login (user >= 0) or a trusted address (user -1): 0, or -1: it has had
 * its hourly number (the first refusal of an hour is logged).
 */
int guard_spend(int user, const struct ip *peer);

/* ---- guard.c: is this peer welcome? (For sessions: check.h) ---- */

/* The row of trusted[] for an address, -1: none. */
int guard_trusted(const struct ip *peer);

/* Start: check trusted[], dnslists[], rules[] and scanners[]; die() with the row. */
void guard_check(void);

/* Sessions that have waited go on: ms until it wants to be called again, at most `wait`. */
int guard_tick(int wait);

/* ---- tls.c ---- */

extern const size_t tls_memory;

/* Load or make key and certificate in tls/ of the store. `now` is real time. die()s if
 * impossible. */
void tls_init(void);

/* Look whether the files have changed and load them, both or neither; `force`: at once (SIGHUP).
 * Logs what it did, and what expires within 14 days (once a day). Cheap. */
void tls_reload(int force);

/* For conn_upgrade(), and for conn_new() with implicit TLS: makes c a TLS server connection. -1: no
 * engine is free or no certificate. */
int tls_start(struct conn *c);

/* How much a server is trusted to be the one it says it is. */
struct tls_trust {
	enum { TRUST_ANY, TRUST_CA, TRUST_BUILTIN, TRUST_PIN } how;
	unsigned char pin[32];		/* SHA-256 of the certificate's SubjectPublicKeyInfo */
};

/* The same from a word of routes[]: 0, or -1: it is none. */
int tls_trust(struct tls_trust *t, const char *word);

/* As tls_start(), on the client's side: name is the server's, for SNI (not if it is an address)
 * and, but for TRUST_ANY, for the check. When it fails, c->why says how. -1: no engine is free, no
 * anchors. */
int tls_connect(struct conn *c, const char *name, const struct tls_trust *t);

/* "TLSv1.2" and the suite's name as IANA spells it, for trace fields; NULL without TLS. */
const char *tls_version(const struct conn *c);
const char *tls_cipher(const struct conn *c);

/* n unpredictable bytes (getrandom). */
void random_bytes(void *p, size_t n);

/* ---- letter.c: a letter on its way in ---- */

/*
 * Its envelope and text are streamed into spool/tmp; letter_finish() puts
 * it into the journal, and after the sync at the end of the turn `done` is told.
 */
struct letter {
	char id[ID_TEXT];
	int fd;				/* -1: nothing open */
	int slot;
	enum res bad;			/* first trouble: R_OK, R_TEMP (disk), R_PERM (too big) */
	int full;			/* the trouble is a lack of space (452), else I/O (451) */
	int out;			/* it has recipients for other servers */
	int64_t arrival;		/* real time, seconds */
	/* where the text begins in the file; 0: envelope still open */
	off_t text;
	off_t size;			/* bytes so far */
	off_t pushed;			/* up to here the disk was asked to write */
	off_t journal;			/* where its record's payload is in the journal */
	int named;			/* the file is in the queue */
	struct pen *pen;		/* what is not in the file yet; NULL: nothing */
	int pending;			/* finished, `done` not yet told */
	struct user_set to;		/* local accounts, each once */
	void (*done)(struct letter *l, enum res r);
	struct letter *next;		/* in the turn's list */
};

/* Begin: the sender's mailbox as written ("" for the null sender), and parameters as in relay.h (""
 * or "KEY=VALUE KEY"). slot: one for each letter at a time: the connection's; SESSIONS and above:
 * our own letters (OWN_LETTERS), then those written anew (amend.c). */
enum { OWN_LETTERS = 2 };
enum res letter_begin(struct letter *l, int slot, const char *sender, size_t n, const char *params);

/* One recipient as written and the local accounts it means. R_PERM: there are too many. */
enum res letter_rcpt(struct letter *l, const char *rcpt, size_t n, const struct user_set *to);

/* One recipient for another server, with parameters as in relay.h. */
enum res letter_out(struct letter *l, const char *rcpt, size_t n, const char *params);

/* Text with LF line ends. Errors are kept in l->bad; the rest is swallowed. */
void letter_text(struct letter *l, const char *p, size_t n);

/* Forget it. Safe at any time; one that is finished is committed first. */
void letter_abort(struct letter *l);

/* n octets of it at an offset (its text begins at l->text): how many, 0: its end; -1: trouble. */
long letter_read(const struct letter *l, char *p, size_t n, uint64_t at);

/* The same, and its file takes no room on the disk any more. */
void letter_drop(struct letter *l);

/* Has it no recipients (left)? Then it is never finished. Take those it has away. */
int letter_alone(const struct letter *l);
void letter_nobody(struct letter *l);

/* dst, which is forgotten first, becomes src, which is empty then. */
void letter_move(struct letter *dst, struct letter *src);

extern const size_t letter_memory;

/* ---- store.c: accepted letters ---- */

/* Is there room for a letter of so many bytes (0: unknown)? R_OK, or R_TEMP (452 4.3.1). */
enum res store_room(uint64_t size);

/* Has a sync failed, so that nothing is accepted now? */
int store_broken(void);

/* The text is complete: into the journal, `done` is called at the end of the turn. */
void letter_finish(struct letter *l);

/* Be the only server on the store in the present directory, or die() saying who is. */
void store_lock(void);

/* Open the store in the present directory: make what is missing, recover. die()s. */
void store_init(void);

/*
 * End of a turn: one sync for all finished letters, then mailboxes, then answers. Unless all is
 * quiet it may put that off for a few turns, so that more letters share the sync: it then returns 1
 * and wants to be called again soon.
 */
int store_commit(int quiet);

/* Now and then: checkpoint when due, letters that wait for a locked mailbox. Returns ms until it
 * wants to be called again. */
int store_tick(void);

/* Right after a checkpoint: a mailbox will be cut from a size to another, and what a crash leaves
 * of that will be finished by recovery: 0 or -1. */
int store_cut(int user, uint64_t was, uint64_t size);

/* All that is in the journal is in the mailboxes and synced: 0, or -1. Also at the end. */
int store_checkpoint(void);

/* Who wants to hear of letters that have come into spool/out (NULL: any): relay.c. */
extern void (*store_out)(const char *id);

extern const size_t store_memory;

/* ---- box.c: mailboxes, one for each slot of user.c ---- */

/* A letter at rest in a file in queue format: spool/tmp, spool/queue or a record of the journal. */
struct mail {
	char id[ID_TEXT];
	int fd;			/* the caller's */
	off_t at;		/* of its envelope in the file */
	off_t text;
	off_t end;
};

enum { ENVELOPE_MAX = 131072, ENVELOPE_SPARE = 2048 };	/* octets; what a line needs at most */

/* When a letter came, by its id: real time, seconds. */
int64_t mail_birth(const char *id);

/* Its envelope as text, in a static buffer; NULL: it cannot be read. */
char *mail_envelope(const struct mail *m);

/* One of its local recipients. */
struct rcpt {
	char state;		/* 'T': to be delivered, 'D': done */
	off_t at;		/* of that byte, from the start of the envelope */
	int user;		/* the slot of the account; -1: there is none now */
	const char *name;
	size_t nname;
};
/* Walk over them, *line being NULL at first: 1, or 0 at the end. */
int mail_rcpt(const char *env, const char **line, struct rcpt *r);

/*
 * What a mailbox gets for a letter, piece by piece: From_ line, trace fields, quoted text, blank
 * line. The same letter and account always give the same bytes: that is how recovery finds them.
 */
struct emit {
	const struct mail *m;
	int user;
	enum { E_HEAD, E_TEXT, E_DONE } stage;
	off_t at;
	struct mbox_quote q;
};
void emit_init(struct emit *e, const struct mail *m, int user);
/* The next piece in a static buffer: its length, 0: all said, -1: the letter cannot be read. */
ssize_t emit_next(struct emit *e, const char **p);

/* An append under way. */
struct append {
	struct emit e;
	int user;
	off_t start;		/* the mailbox ended here */
	off_t at;
};

/* Both: R_OK: it is in the mailbox (not synced); R_AGAIN: call append_step again; R_TEMP: locked or
 * no space or I/O error (logged but for locks), nothing is changed; R_PERM: no such account. */
enum res append_begin(struct append *a, int user, const struct mail *m);
enum res append_step(struct append *a, int64_t until);

/* mail/NAME of an account. */
enum { PATH_TEXT = 64 };
char *box_path(char dst[PATH_TEXT], int user);

/* Octets in the mailbox now. */
uint64_t box_size(int user);

/* What the journal notes about a mailbox before it is first appended to: all before it is synced.
 * Or before its end is cut off: a file system may write the zeros behind the new end first. */
struct note {
	uint64_t ino, size;	/* both 0: there is no file */
	uint64_t was;		/* 0; or it had this size and is being cut */
};
/* 1: a note is needed, *n is it; 0: there is one in the journal (box_noted was called); -1: no
 * sync. */
int box_note(int user, struct note *n);
void box_noted(int user);

/* Sync what was appended: one mailbox, or all; then notes are void. 0, or -1 (logged). */
int box_sync(int user);
int box_syncall(void);

/* How many mailboxes have unsynced appends. */
int box_dirty(void);

/* Recovery: forget what is known of it; is it in use; cut it at size, durably: 0 or -1. */
void box_forget(int user);
int box_used(int user);
int box_cut(int user, off_t size);

/* Now and then: appends of programs that had waited for a lock on a mailbox we replaced. */
void box_tick(void);

/* Remove what an interrupted rewrite left. At start, before anything else. */
void box_init(void);

/* For drop.c. The open mailbox: its descriptor, or -1 with errno; `make`: create it. */
int box_open(int user, int make);
/* Take or give back our lock on it; uses of it add up. 0; -1: another program has it (EAGAIN). */
int box_lock(int user);
void box_unlock(int user);
/* Is an append under way? */
int box_busy(int user);
/* A POP3 session begins: 0, or -1 if there is one. */
int box_claim(int user);
void box_disclaim(int user);
/* Has nobody changed the file from the state `indexed` to `st` but us, by appending? */
int box_ours(int user, const struct stamp *indexed, const struct stamp *st);
/* The index is that of the state st. */
void box_indexed(int user, const struct stamp *st);
/* fd, renamed over the mailbox and synced, is the mailbox now; the lock on the old one is let
 * go. */
void box_replace(int user, int fd);

extern const size_t box_memory;

/* ---- drop.c: the maildrop, a mailbox as one POP3 session sees it ---- */

enum drop_res { DROP_READY, DROP_AGAIN, DROP_INUSE, DROP_TEMP };

struct drop {
	int user;			/* slot of the account */
	int fd;				/* the mailbox, -1: it does not exist (empty) */
	int index;			/* the index file */
	enum { D_CLOSED, D_WAIT, D_SCAN, D_OPEN, D_QUIT, D_VERIFY, D_COPY } state;
	uint32_t n;			/* messages */
	uint32_t nmarked;
	uint32_t first;			/* no message before this one is marked */
	uint32_t epoch;			/* marks of other epochs do not count */
	uint64_t octets;		/* of all messages */
	uint64_t marked_octets;
	uint64_t covered;		/* bytes of the mailbox that the index knows */
	struct stamp stamp;		/* of the mailbox when that was so */
	struct job *job;		/* slices of work under way */
	int locked;
};

/* A message as the index has it. */
struct drop_msg {
	struct mbox_msg m;
	uint32_t mark;
	uint32_t pad;
};

/* Open the maildrop of an account. DROP_AGAIN: call drop_work until it says otherwise; DROP_INUSE:
 * another session or program has it; DROP_TEMP: trouble (logged). A drop is empty memory at
 * first. */
enum drop_res drop_open(struct drop *d, int user);

/* A slice of opening or of committing. */
enum drop_res drop_work(struct drop *d);

/* Message i (from 0): 0, or -1 on trouble. */
int drop_msg(struct drop *d, uint32_t i, struct drop_msg *m);

/* Is the message still what the index says (has a foreign program changed it)? 0 or -1. */
int drop_check(struct drop *d, const struct drop_msg *m);

/* Bytes of the mailbox at an offset, as pread. */
ssize_t drop_read(struct drop *d, void *p, size_t n, uint64_t at);

/* Is it marked for deletion? */
int drop_marked(const struct drop *d, const struct drop_msg *m);

/* DELE: mark message i: 0 or -1. RSET: unmark all. */
int drop_mark(struct drop *d, uint32_t i);
void drop_reset(struct drop *d);

/* QUIT: remove what is marked. As drop_open; DROP_READY: it is on the disk; DROP_TEMP: nothing was
 * removed. After both the drop is closed. */
enum drop_res drop_commit(struct drop *d);

/* Let go without deleting anything; harmless on one that is closed. */
void drop_close(struct drop *d);

/* At start, before privileges are dropped. */
void drop_init(void);

extern const size_t drop_memory;

/* ---- forward.c: senders of mail that an alias leads outside (lib/srs.h) ---- */

/* Load or make srs.secret in the store; before privileges are dropped. die()s if impossible. */
void forward_init(void);

/* The sender that stands for `sender` when we forward; ours and the null sender stay. 0; -1: there
 * is none, dst is the null sender. */
int forward_sender(const char *sender, char dst[ADDR_TEXT + 1]);

/* Back: where mail for `local` in our domains goes, if srs_is() says it is such a form. 0; -1: not
 * made by us, or too old: 550 5.1.1. Only bounces come to such addresses (null sender). */
int forward_reverse(const char *local, size_t n, char dst[ADDR_TEXT + 1]);

/* ---- sign.c: the keys that sign our mail, dkim/DOMAIN.pem of the store ---- */

/* The key for a domain (of a From field), cached, or NULL: there is none. Valid until the next
 * call. */
const br_rsa_private_key *sign_key(const char *domain);

/* The command `maild dkim DOMAIN`, in the store: make a key if there is none, print the TXT record.
 * An exit code, or it die()s. dir: for what it says. */
int sign_command(const char *domain, const char *dir);

/* ---- control.c: sockets in the store: `control` for the postmaster, `submit` for sendmail ---- */

/* Make and listen; right after privileges are dropped: they belong to who serves. What cannot be
 * made (a full disk) control_tick() tries again; it gives back `wait` (ms), or less. */
void control_init(void);
int control_tick(int wait);

/* ---- sendmail.c: the command line that programs expect ---- */

/* As sendmail(8), mailq(1) or newaliases(1), by argv[0]. Exit code of sysexits(3). */
int sendmail_run(int argc, char **argv, const char *dir);

/* ---- admin.c: the commands ---- */

/* Run the command argv[0] (argv[1] and so on are its arguments) on the store `dir`, which need not
 * exist. Returns the exit code, of sysexits(3). */
int admin_run(int argc, char **argv, const char *dir);

#ifndef CONFIG
#define CONFIG "config.h"
#endif
/* What a wrong word or a missing column would do is the opposite of what was meant, often. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wmissing-field-initializers"
#pragma GCC diagnostic error "-Wenum-conversion"
#pragma GCC diagnostic error "-Wint-conversion"
#include CONFIG
#pragma GCC diagnostic pop

#endif
