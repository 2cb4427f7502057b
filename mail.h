/* Types and prototypes that the rooms of the appliance share, in the order of the rooms. */
#ifndef MAIL_H
#define MAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/ip.h"
#include "lib/loop.h"
#include "lib/mbox.h"
#include "lib/sasl.h"
#include "lib/scram.h"

/* Results of whatever can fail for now or for good. (access(2), not used here, has an R_OK too.) */
#undef R_OK
enum res { R_OK, R_AGAIN, R_TEMP, R_PERM };

/* ---- config.h: the types of its tables ---- */

enum tls_mode { TLS_NONE, TLS_START, TLS_WRAP };
enum protocol { SMTP, SUBMISSION, POP3 };

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

/* ---- mail.c ---- */

enum { HOST_TEXT = 256, ID_TEXT = 24, NAME_TEXT = 33 };

extern char host[HOST_TEXT];		/* our name, from config.h or gethostname() */
extern const char version[];

/* A new id: 21 hexadecimal digits, never used before. Returns dst. */
char *new_id(char dst[ID_TEXT]);

/* A new session id for the log, 8 hexadecimal digits. */
char *session_id(char dst[ID_TEXT]);

/* The listener a connection came in by. */
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

/* Read (or read again if it has changed) the file `users`: 0, or -1 with errno (the old table stays).
 * Cheap when nothing has changed. */
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

enum where { W_LOCAL, W_UNKNOWN, W_REMOTE };

/*
 * Where does a recipient live? W_LOCAL: `to` holds the accounts it reaches (aliases, subaddresses,
 * catch-all, postmaster). W_UNKNOWN: one of our domains, but nobody. W_REMOTE: not ours.
 */
enum where user_resolve(struct user_set *to, const struct addr *a);

/* Is the domain one of ours? */
int user_owns(const char *domain, size_t n);

/* May this account send as this address (RFC 6409 6.1)? Itself and aliases leading to it alone or not. */
int user_may_send(int slot, const struct addr *a);

/* Start: check aliases[] for loops, bad names, dead ends; die() with table and row. */
void user_check(void);

/* ---- guard.c: is this peer welcome? Logins and what failed ones cost ---- */

struct login {
	struct sasl sasl;
	struct scram_verifier verifier;
	struct scram_work work;
	int slot;			/* candidate account, -1: none */
	enum { L_IDLE, L_DERIVE } state;
};

/* The name and password in l->sasl are complete: begin to check them. Nothing blocks: call
 * login_work from the work hook until it no longer says R_AGAIN. */
enum res login_start(struct login *l);

/* R_AGAIN: not yet; R_OK: *slot is the account; R_PERM: no; R_TEMP: accounts unreadable. Takes the
 * same time for unknown names. When it ends, secrets are wiped. */
enum res login_work(struct login *l, int *slot);

/* A login failed: count it for the address (/32, /64); returns the ms to wait before the answer. */
int64_t guard_failed(const struct ip *peer);

/* A login succeeded. */
void guard_passed(const struct ip *peer);

/* ---- tls.c ---- */

extern const size_t tls_memory;

/* Load or make key and certificate in tls/ of the store. `now` is real time. die()s if impossible. */
void tls_init(void);

/* Look whether the files have changed and load them, both or neither; `force`: at once (SIGHUP).
 * Logs what it did, and what expires within 14 days (once a day). Cheap. */
void tls_reload(int force);

/* For conn_upgrade(), and for conn_new() with implicit TLS: makes c a TLS server connection. -1: no
 * engine is free or no certificate. */
int tls_start(struct conn *c);

/* "TLSv1.2" and the suite's name as IANA spells it, for trace fields; NULL without TLS. */
const char *tls_version(const struct conn *c);
const char *tls_cipher(const struct conn *c);

/* n unpredictable bytes (getrandom). */
void random_bytes(void *p, size_t n);

/* ---- store.c: accepted letters ---- */

/*
 * A letter on its way in. Its envelope and text are streamed into spool/tmp; letter_finish() puts it
 * into the journal, and after the sync at the end of the turn `done` is told.
 */
struct letter {
	char id[ID_TEXT];
	int fd;				/* -1: nothing open */
	int slot;
	enum res bad;			/* first trouble: R_OK, R_TEMP (disk), R_PERM (too big) */
	int full;			/* the trouble is a lack of space (452), else I/O (451) */
	int64_t arrival;		/* real time, seconds */
	off_t text;			/* where the text begins in the file; 0: envelope still open */
	off_t size;			/* bytes so far */
	struct user_set to;		/* local accounts, each once */
	void (*done)(struct letter *l, enum res r);
	struct letter *next;		/* in the turn's list */
};

/* Is there room for a letter of so many bytes (0: unknown)? R_OK, or R_TEMP (452 4.3.1). */
enum res store_room(uint64_t size);

/* Begin: the sender's mailbox as written ("" for the null sender). slot: the connection's. */
enum res letter_begin(struct letter *l, int slot, const char *sender, size_t n);

/* One recipient as written and the local accounts it means. */
enum res letter_rcpt(struct letter *l, const char *rcpt, size_t n, const struct user_set *to);

/* Text with LF line ends. Errors are kept in l->bad; the rest is swallowed. */
void letter_text(struct letter *l, const char *p, size_t n);

/* The text is complete: into the journal, `done` is called at the end of the turn. */
void letter_finish(struct letter *l);

/* Forget it. Safe at any time before letter_finish and after done. */
void letter_abort(struct letter *l);

/* Open the store in the present directory: make what is missing, take the lock, recover. die()s. */
void store_init(void);

/* End of a turn: one sync for all letters finished in it, then mailboxes, then answers. */
void store_commit(void);

/* Now and then: checkpoint when due, letters that wait for a locked mailbox. Returns ms until it
 * wants to be called again. */
int store_tick(void);

/* All that is in the journal is in the mailboxes and synced: 0, or -1. Also at the end. */
int store_checkpoint(void);

extern const size_t store_memory;

/* ---- box.c: mailboxes ---- */

/* A maildrop: the mailbox as one POP3 session sees it. */
enum drop_res { DROP_READY, DROP_AGAIN, DROP_INUSE, DROP_TEMP };

struct drop {
	int user;			/* slot of the account; -1: closed */
	int fd;				/* the mailbox, -1: it does not exist (empty) */
	int index;			/* the index file */
	uint32_t n;			/* messages */
	uint32_t nmarked;
	uint64_t octets;		/* of all messages */
	uint64_t marked_octets;
	uint32_t epoch;			/* marks with another epoch do not count */
	int state;
	uint64_t own[8];		/* box.c's */
	struct job *job;		/* slices of work under way */
};

/* A message as the index has it. */
struct drop_msg {
	struct mbox_msg m;
	uint32_t mark;
	uint32_t pad;
};

/* Open the maildrop of an account. DROP_AGAIN: call drop_work until it says otherwise; DROP_INUSE: another session
 * has it; DROP_TEMP: trouble (logged). */
enum drop_res drop_open(struct drop *d, int user);

/* A slice of opening or of committing. */
enum drop_res drop_work(struct drop *d);

/* Message i (from 0): 0, or -1 on trouble. */
int drop_msg(struct drop *d, uint32_t i, struct drop_msg *m);

/* Is the message still where the index says (has no foreign program changed the mailbox)? 0 or -1. */
int drop_check(struct drop *d, const struct drop_msg *m);

/* Bytes of the mailbox at an offset, as pread. */
ssize_t drop_read(struct drop *d, void *p, size_t n, uint64_t at);

/* Is it marked for deletion? */
int drop_marked(const struct drop *d, const struct drop_msg *m);

/* DELE: mark message i: 0 or -1. RSET: unmark all. */
int drop_mark(struct drop *d, uint32_t i);
void drop_reset(struct drop *d);

/* QUIT: remove what is marked. As drop_open; DROP_READY: it is on the disk, and the drop is closed. After
 * DROP_TEMP nothing was removed. */
enum drop_res drop_commit(struct drop *d);

/* Let go without deleting anything. */
void drop_close(struct drop *d);

/* ---- admin.c: the commands ---- */

/* Run the command argv[0] (argv[1] and so on are its arguments) on the store `dir`, which need not
 * exist. Returns the exit code, of sysexits(3). */
int admin_run(int argc, char **argv, const char *dir);

#ifndef CONFIG
#define CONFIG "config.h"
#endif
#include CONFIG

#endif
