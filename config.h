/* All settings of maild. Edit, type make, restart. */

/* ---- who am I ---- */

/* The name in greetings, trace fields and the first certificate; "" asks the system. */
static const char hostname[] = "";

/* Mail for these domains is ours; "" stands for the host name. */
static const char *const domains[] = { "localhost", "" };

/* ---- listeners ---- */

/*
 * address    "::" is all of IPv6, "0.0.0.0" all of IPv4; "" leaves the row out
 * port       the option -p N is added to it
 * TLS        TLS_NONE, TLS_START (STARTTLS, STLS), TLS_WRAP (from the first byte)
 * protocol   SMTP (from other servers), SUBMISSION (from our users), POP3
 * clear      1: passwords are taken without TLS too. Only for networks you trust
 */
static const struct listener listeners[] = {
	/* address     port  TLS        protocol    clear */
	{ "::",          25, TLS_START, SMTP,       0 },
	{ "0.0.0.0",     25, TLS_START, SMTP,       0 },
	{ "::",         587, TLS_START, SUBMISSION, 0 },
	{ "0.0.0.0",    587, TLS_START, SUBMISSION, 0 },
	{ "::",         465, TLS_WRAP,  SUBMISSION, 0 },
	{ "0.0.0.0",    465, TLS_WRAP,  SUBMISSION, 0 },
	{ "::",         110, TLS_START, POP3,       0 },
	{ "0.0.0.0",    110, TLS_START, POP3,       0 },
	{ "::",         995, TLS_WRAP,  POP3,       0 },
	{ "0.0.0.0",    995, TLS_WRAP,  POP3,       0 },
};

/* ---- aliases ---- */

/*
 * from   "local" (in every domain of ours), "local@domain", or "*@domain" for all that is not found
 * to     one or more accounts or aliases, separated by spaces
 * The exact address is looked for first, then the local part, then the account, then the catch-all.
 * postmaster reaches the first account if no row says otherwise.
 */
static const struct alias aliases[] = {
	{ "abuse",         "postmaster" },
	{ "hostmaster",    "postmaster" },
	{ "mailer-daemon", "postmaster" },
	{ "root",          "postmaster" },
};

/* What separates a subaddress: alice+list@ is alice@. 0: there are none. */
static const char subaddress = '+';

/* May a login send as anybody? 0: only as itself and the aliases that lead to it. */
static const int send_as_anyone = 0;

/* ---- passwords ---- */

/* Shortest password, in octets. */
static const size_t password_min = 8;

/* PBKDF2 rounds for new passwords; at least 4096. More is safer and slower. */
static const uint32_t password_rounds = 16384;

/* The wait before the answer to a failed login: the first time, doubled for each more, at most (ms). */
static const int64_t login_delay = 1000, login_delay_max = 30000;

/* An address without failed logins for so long (ms) starts anew. */
static const int64_t login_forget = 600000;

/* ---- limits ---- */

enum {
	SESSIONS = 1500,	/* connections at once, all protocols */
	SPARE = 16,		/* of these, kept for our own work */
	TLS_SESSIONS = 256,	/* of these, with TLS (25 KB each when used) */
	ACCOUNTS = 256,		/* accounts at most */
	RECIPIENTS = 100,	/* of one message; RFC 5321 wants at least 100 */
	ERRORS = 20,		/* a session with more errors is ended */
	GUARDED = 512,		/* addresses with failed logins that are remembered */
	BOXES = 64		/* mailboxes written to between two checkpoints */
};

/* The largest message, in octets. */
static const uint64_t message_max = 50 << 20;

/* The largest mailbox, in octets; 0: no limit. */
static const uint64_t quota = 0;

/* Space and inodes that must stay free on the disk, or mail is refused with 452. */
static const uint64_t disk_reserve = 16 << 20, inode_reserve = 256;

/* The journal: its size on disk; messages over letter_small are not put into it but made files. */
static const uint64_t journal_size = 8 << 20, letter_small = 256 << 10;

/* ---- times, in ms ---- */

/* RFC 5321 4.5.3.2: silence before a command, within DATA; and the whole of a message. */
static const int64_t smtp_idle = 300000, smtp_data_idle = 180000, smtp_data_total = 3600000;

/* RFC 1939 3: at least ten minutes. */
static const int64_t pop3_idle = 600000;

/* From the greeting, STLS or a failed login to the next login. */
static const int64_t pop3_login = 60000;

/* A TLS handshake, and a session that has not logged in or sent a first message. */
static const int64_t tls_handshake = 30000, session_total = 86400000;

/* Mail is in the mailboxes, synced, so often. */
static const int64_t checkpoint_every = 1000;

/* A mailbox that another program has locked is tried again so often. */
static const int64_t retry_locked = 5000;

/* ---- where ---- */

/* The store, unless -d says otherwise. */
static const char store_dir[] = "/var/mail/maild";

/* Started by root: who to become, and who owns the store. Numbers: no file is needed to know them. */
static const uid_t run_uid = 8025;
static const gid_t run_gid = 8025;
