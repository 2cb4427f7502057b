/*
 * All settings of maild. Edit, type make, restart.
 *
 * A table keeps at least one row. "" as the first text of a row leaves it out;
 * { F_EARLY, A_ACCEPT } and { C_OPEN, 0, 0, 0, 0 } are rows that do nothing.
 */

/* ---- who am I ---- */

/* The name in greetings, trace fields and the first certificate; "" asks the system. Our MX records
 * should have this name: behind it in a list of them nothing is tried. */
static const char hostname[] = "";

/* Mail for these domains is ours; "" stands for the host name. A domain beyond ASCII may be
 * written as UTF-8 (in lower case and NFC: nothing is mapped) or as its A-label ("xn--..."), here,
 * in relay_domains[] and in the left column of aliases[]. */
static const char *const domains[] = { "localhost", "" };

/* ---- listeners ---- */

/*
 * address    "::" is all of IPv6, "0.0.0.0" all of IPv4; "" leaves the row out
 * port       the option -p N is added to it
 * TLS        TLS_NONE, TLS_START (STARTTLS, STLS), TLS_WRAP (from the first byte)
 * protocol   SMTP (from other servers), SUBMISSION (from our users), POP3, TRUSTED (as SUBMISSION,
 *            and the networks of trusted[] need no login)
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
	/* { "0.0.0.0", 2525, TLS_START, TRUSTED,    0 },	printers, cameras, cron boxes */
};

/*
 * Networks that may send without a login, to anywhere, through a TRUSTED listener, and are no
 * strangers at any other. The first row that fits counts.
 *
 * network    an address, or one with the number of its bits
 * sender     "": the one they give; or the envelope sender that all their mail gets
 * hourly     recipients in an hour, ours too, for each address (/64 of IPv6); 0: no limit
 */
static const struct trusted trusted[] = {
	/* network        sender  hourly */
	{ "127.0.0.0/8",  "",     1000 },
	{ "::1/128",      "",     1000 },
	/* { "192.168.1.20", "printer@example.org", 50 }, */
};

/* Recipients in an hour, ours too, for one login; 0: no limit. */
static const int login_hourly = 1000;

/* ---- aliases ---- */

/*
 * from   "local" (in every domain of ours), "local@domain", or "*@domain" for all that is not found
 * to     one or more accounts, aliases or outside addresses, separated by spaces. An outside domain
 *        beyond ASCII by its A-label: as UTF-8 it gets only mail that came with SMTPUTF8
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

/* ---- the way out ---- */

/*
 * Where mail for others goes. The first row that fits sender and recipient counts.
 *
 * sender     domain of the envelope sender: "example.org", ".example.org" for all below it, "*"
 *            (only this fits reports, which have no sender)
 * recipient  domain of the recipient: the same. Domains beyond ASCII by their A-labels ("xn--...")
 * host       the next server: a name, or an address in []; "": as the MX records say
 * port       mostly 25, 587 or 465
 * TLS        ROUTE_CLEAR never, ROUTE_MAY if it can be had, ROUTE_MUST or not at all, ROUTE_WRAP
 *            from the first byte
 * verify     "": take any certificate; "ca": one that tls/ca.pem of the store vouches for,
 *            "builtin": one of anchors[] below; "sha256:HEX": this public key (what openssl x509
 *            -pubkey, openssl pkey -pubin -outform der and sha256sum say)
 * auth       "": none; or the first word of a line "KEY NAME PASSWORD" in the file `secrets` of the
 *            store
 * protocol   ROUTE_SMTP or ROUTE_LMTP
 */
static const struct route routes[] = {
	/* sender  recipient  host  port  TLS  verify  auth  protocol */
	/* hand a domain to Dovecot by LMTP (and name the domain in relay_domains[]):
	{ "*", "example.org", "[127.0.0.1]", 24, ROUTE_CLEAR, "", "", ROUTE_LMTP }, */
	/* be a backup MX for example.net (and name it in relay_domains[]): its MX records lead
	 * there, and those behind our own name are left out. The row is wanted only before one for
	 * a provider:
	{ "*", "example.net", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP }, */
	/* all other mail through the provider (the usual ones differ in the name only). For "ca"
	 * copy the authorities of your system into the store: cp /etc/ssl/certs/ca-certificates.crt
	 * tls/ca.pem
	{ "*", "*", "smtp.gmail.com",       587, ROUTE_MUST, "ca", "gmail",   ROUTE_SMTP },
	{ "*", "*", "smtp.office365.com",   587, ROUTE_MUST, "ca", "outlook", ROUTE_SMTP },
	{ "*", "*", "smtp.mailbox.org",     465, ROUTE_WRAP, "ca", "mailbox", ROUTE_SMTP },
	{ "*", "*", "smtp.fastmail.com",    465, ROUTE_WRAP, "ca", "fastmail", ROUTE_SMTP },
	{ "*", "*", "mail.gmx.net",         587, ROUTE_MUST, "ca", "gmx",     ROUTE_SMTP },
	{ "*", "*", "smtp.mail.yahoo.com",  465, ROUTE_WRAP, "ca", "yahoo",   ROUTE_SMTP },
	{ "*", "*", "email-smtp.eu-west-1.amazonaws.com",
	    587, ROUTE_MUST, "ca", "ses", ROUTE_SMTP }, */
	{ "*", "*", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP },
};

/* Domains whose mail is taken from anybody and carried on (backup MX, LMTP behind us). */
static const char *const relay_domains[] = { "" };

/* Name servers: addresses, with "#port" if it is not 53; none: those of /etc/resolv.conf. */
static const char *const name_servers[] = { "" };

/* Which addresses of a host are tried first. */
static const int prefer_ipv6 = 1;

/* Certificates that routes with "builtin" trust, in PEM: "-----BEGIN CERTIFICATE-----\n..." */
static const char anchors[] = "";

/* Mail of our own is signed with dkim/DOMAIN.pem of the store, if it is there (maild dkim
 * DOMAIN). */
static const char dkim_selector[] = "maild";

/* Who may use the sockets `control` (maild queue and others) and `submit` (sendmail) of the
 * store. */
static const mode_t control_mode = 0600, submit_mode = 0666;

/* ---- strangers: mail from outside, without a login and not from trusted[] ---- */

/*
 * What follows from what is found out about a stranger and its message; a finding without a row:
 * A_ACCEPT. The severest row that fits counts. What passes DMARC is not refused or marked for SPF;
 * names, HELO and greylisting (for SPF, too) come before its text. Who is on a list of the good is
 * judged by none of these, nor by other lists.
 *
 * finding   see mail.h
 * action    A_ACCEPT; A_MARK: X-Spam-Flag: YES, and into the mailbox of NAME.junk if there is such
 *           an account beside NAME; A_GREYLIST: may come again in some minutes; A_REFUSE
 */
static const struct policy policies[] = {
	{ F_EARLY,            A_REFUSE },	/* no mail server does that */
	{ F_PTR,              A_GREYLIST },
	{ F_HELO_NAME,        A_GREYLIST },
	{ F_HELO_ALIEN,       A_REFUSE },
	{ F_OWN_SENDER,       A_REFUSE },
	{ F_SPF_SOFTFAIL,     A_GREYLIST },
	{ F_SPF_FAIL,         A_MARK },
	{ F_SPF_PERM,         A_GREYLIST },
	{ F_AUTHOR,           A_REFUSE },
	{ F_DMARC_QUARANTINE, A_MARK },
	{ F_DMARC_REJECT,     A_REFUSE },
	{ F_DMARC_TEMP,       A_REFUSE },	/* for now: 451 */
};

/* How long a stranger waits for the greeting (ms); who speaks meanwhile is F_EARLY. */
static const int64_t greeting_pause = 1000;

/* Names, lists and policies that the DNS has not told after so long (ms) count as not known. */
static const int64_t guard_wait = 15000;

/*
 * Lists of addresses in the DNS (RFC 5782). Most want to be asked from a name server of your own;
 * their answers 127.255.255.* mean that they do not answer you, and never count.
 *
 * zone      asked for the address, turned round, in front of it
 * answers   those that count: "*", "127.0.0.[2-9]"
 * action    as above; A_ACCEPT: a list of the good
 */
static const struct dnslist dnslists[] = {
	{ "", "", A_ACCEPT },
	/* { "list.dnswl.org",   "127.0.*.[1-3]", A_ACCEPT }, */
	/* { "zen.spamhaus.org", "127.0.0.*",     A_REFUSE }, */
	/* { "bl.spamcop.net",   "127.0.0.2",     A_GREYLIST }, */
};

/* Greylisting: who comes again after grey_wait and within grey_retry (ms) is known, and his network
 * passes for grey_known after his last letter. */
static const int64_t grey_wait = 300000, grey_retry = 86400000, grey_known = 3024000000;

/*
 * Rules of your own, before all that is above. At each place (in the order of a session) the first
 * row that matches counts, and then no rule of a later place (but after IN_RCPT, one for each
 * recipient, those of the text are asked too). After a field no attachment is looked at.
 *
 * place     IN_CONNECTION (address, or its name), IN_HELO, IN_MAIL, IN_RCPT (addresses), IN_HEADER
 *           (a field, decoded), IN_ATTACHMENT (file names)
 * field     IN_HEADER: which, else ""
 * pattern   with *, ?, [a-z] (one of these); case does not count; several with | between them,
 *           where blanks count; "\\|" and "\\[" are a bar and a bracket; "" leaves the row out.
 *           Addresses are seen without quotes, in lower case, subaddresses as they are; the null
 *           sender is <>
 * deed      DO_ACCEPT (nobody else is asked but scanners), DO_REFUSE, DO_MARK, DO_DISCARD (taken
 *           and thrown away), DO_REDIRECT (instead), DO_COPY (as well), DO_MAILBOX (into this
 *           account's only)
 * argument  an address, an account, or the words of a refusal without its codes
 */
static const struct rule rules[] = {
	/* place         field      pattern              deed        argument */
	/* { IN_CONNECTION, "",       "192.0.2.*",         DO_ACCEPT,   "" }, */
	/* { IN_MAIL,       "",       "*@friend.example",  DO_ACCEPT,   "" }, */
	/* { IN_RCPT,       "",       "old@*",             DO_REFUSE,   "has left us" }, */
	/* { IN_HEADER,     "Subject", "*\\[invoice]*",    DO_COPY,     "accounts" }, */
	/* { IN_HEADER,     "List-Id", "*<dev.example>*",  DO_MAILBOX,  "lists" }, */
	/* programs for Windows; DO_REFUSE makes it strict */
	{ IN_ATTACHMENT, "", "*.exe|*.scr|*.com|*.pif|*.bat|*.cmd|*.vb[es]|*.js|*.jse|*.ws[fh]"
	    "|*.hta|*.cpl|*.msi|*.lnk|*.ps1|*.jar|*.reg|*.iso|*.img|*.vhd", DO_MARK, "" },
};

/*
 * Content scanners that speak the milter protocol, one after the other (maild.8 says how some are
 * set up).
 *
 * name      for the log
 * address   "inet:ADDRESS:PORT" or "unix:PATH", a socket in the store
 * ours      1: mail of our own people goes there too
 * down      DOWN_ACCEPT or DOWN_TEMPFAIL, if it does not answer
 * ms        that a message may take there
 */
static const struct scanner scanners[] = {
	{ "", "", 0, DOWN_ACCEPT, 0 },
	/* { "clamav", "inet:127.0.0.1:7357",  1, DOWN_TEMPFAIL, 60000 }, */
	/* { "rspamd", "inet:127.0.0.1:11332", 0, DOWN_ACCEPT,   30000 }, */
};

/*
 * What one address, and its network (/24 of IPv4, /64 of IPv6), may do. Networks of trusted[] are
 * not counted.
 *
 * counted   C_OPEN connections at once, C_CONNECTS connections, C_MESSAGES of strangers (MAIL
 *           commands), C_REFUSED recipients that do not exist, C_LOGINS that failed (the same wrong
 *           one again counts once)
 * address   so many; 0: any number; and for a network
 * window    the time (ms) in which they are counted; C_OPEN has none
 * ban       for so long (ms) nothing is taken from there then, also after a restart
 */
static const struct limit limits[] = {
	/* counted     address  network  window   ban */
	{ C_OPEN,          20,      60,       0,        0 },
	{ C_CONNECTS,      60,     200,   60000,        0 },
	{ C_MESSAGES,     100,     300,   60000,        0 },
	{ C_REFUSED,       20,      60, 3600000,  3600000 },
	{ C_LOGINS,        10,      40, 3600000, 86400000 },
};

/* The answer to a recipient that does not exist waits so long (ms), longer with each. */
static const int64_t tarpit = 500, tarpit_max = 10000;

/* ---- passwords ---- */

/* Shortest password, in octets. */
static const size_t password_min = 8;

/* PBKDF2 rounds for new passwords; at least 4096. More is safer and slower. */
static const uint32_t password_rounds = 16384;

/* The wait before the answer to a failed login: the first time, doubled for each more, at most
 * (ms). */
static const int64_t login_delay = 1000, login_delay_max = 30000;

/* An address without failed logins for so long (ms) starts anew. */
static const int64_t login_forget = 600000;

/* ---- limits ---- */

enum {
	SESSIONS = 1500,	/* connections at once, all protocols */
	SPARE = 128,		/* of these, kept for our own work: mail going out, DNS */
	TLS_SESSIONS = 256,	/* of these, with TLS (25 KB each when used) */
	ACCOUNTS = 256,		/* accounts at most */
	RECIPIENTS = 100,	/* of one message; RFC 5321 wants at least 100 */
	ERRORS = 20,		/* a session with more errors is ended */
	GUARDED = 512,		/* addresses with failed logins that are remembered */
	COUNTED = 4096,		/* addresses and networks that are counted (a power of two) */
	GREYS = 16384,		/* letters and networks that greylisting knows (a power of two) */
	INSPECTED = 64,		/* messages of strangers looked into at once */
	BOXES = 64,		/* mailboxes written to between two checkpoints */
	CLIENTS = 64,		/* sessions with other servers at once; also of SESSIONS */
	PER_HOST = 4,		/* of these, with one destination */
	DESTINATIONS = 1024,	/* domains that are known to be up or down */
	ACTIVE = 16384		/* letters times destinations that are looked at together */
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

/*
 * The n-th attempt to send a letter is made retry_step * n * n after it came: at once, after 7
 * minutes, 27, an hour, ... Its sender hears of the delay after delay_warning, and it comes back
 * after lifetime.
 */
static const int64_t retry_step = 400000, delay_warning = 14400000, lifetime = 432000000;

/* A host that does not answer is left alone so long. */
static const int64_t host_rest = 300000;

/* RFC 5321 4.5.3.2, as a client: connecting; replies to the greeting and commands; to DATA; each
 * block of the text; the final dot. */
static const int64_t client_connect = 30000, client_reply = 300000, client_data = 120000,
	client_block = 180000, client_dot = 600000;

/* A mailbox that another program has locked is tried again so often. */
static const int64_t retry_locked = 5000;

/* ---- where ---- */

/* The store, unless -d says otherwise. */
static const char store_dir[] = "/var/mail/maild";

/* Started by root: who to become, and who owns the store. Numbers: no file is needed to know
 * them. */
static const uid_t run_uid = 8025;
static const gid_t run_gid = 8025;

/* The server gives up all that it does not need (its log says what holds). 0: only to look at it
 * with a debugger. */
static const int sandbox = 1;
