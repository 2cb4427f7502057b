/* with: smtp.c store.c queue.c recover.c box.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/sasl.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * SMTP sessions over the real loop, store and mailboxes, and a socket pair; only passwords and TLS are
 * made up. Whole transcripts with the mailboxes they lead to, fed at once, cut at every byte, and in
 * small pieces: always the same.
 */
#include <sys/socket.h>

#include "rooms.h"

#include "lib/text.h"

/* ---- what the rest of the server would do ---- */

enum { MX, SUBMIT, SUBMIT_TLS, SUBMIT_WRAP };

static const struct listener rows[] = {
	{ "::", 25, TLS_START, SMTP, 0 },
	{ "::", 587, TLS_NONE, SUBMISSION, 1 },
	{ "::", 587, TLS_START, SUBMISSION, 0 },
	{ "::", 465, TLS_WRAP, SUBMISSION, 0 },
};
static struct transport secret;		/* plain, but it passes for TLS */
static int64_t fail_delay;		/* what a failed login costs */
static int fails, slices;

const struct listener *
conn_listener(const struct conn *c)
{
	return &rows[c->listener];
}

int
tls_start(struct conn *c)
{
	secret = transport_plain;
	c->tp = &secret;
	c->tls = &secret;
	return 0;
}

const char *
tls_version(const struct conn *c)
{
	return c->tls ? "TLSv1.2" : NULL;
}

const char *
tls_cipher(const struct conn *c)
{
	return c->tls ? "TLS_SUITE" : NULL;
}

static enum res
judge(struct login *l)
{
	l->slot = user_login(l->sasl.name, strlen(l->sasl.name));
	if (strcmp(l->sasl.password, "secret") != 0)
		l->slot = -1;
	return l->slot < 0 ? R_PERM : R_OK;
}

enum res
login_start(struct login *l)
{
	if (!strcmp(l->sasl.name, "temp"))
		return R_TEMP;
	if (!strcmp(l->sasl.name, "bob") && judge(l) == R_OK)
		return R_OK;		/* as one whose password is remembered */
	slices = 3;
	return R_AGAIN;
}

enum res
login_work(struct login *l, int *slot)
{
	enum res r;

	if (--slices)
		return R_AGAIN;
	r = judge(l);
	*slot = l->slot;
	return r;
}

int64_t
guard_failed(const struct ip *peer)
{
	(void)peer;
	fails++;
	return fail_delay;
}

void
guard_passed(const struct ip *peer)
{
	(void)peer;
	fails = 0;
}

/* ---- a client ---- */

static struct conn conns[SESSIONS], *peer;
static struct buf bufs[2 * SESSIONS];
static struct pollfd polls[SESSIONS];
static int client = -1;
static int row;

static void
start_client(const char *ip)
{
	int fd[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		abort();
	client = fd[0];
	peer = conn_new(fd[1], &smtp_kind, &transport_plain, 0);
	if (!peer || ip_parse(&peer->peer, ip) < 0)
		abort();
	peer->listener = row;
	if (rows[row].tls == TLS_WRAP && tls_start(peer) < 0)
		abort();
	for (i = 0; i < 2; i++)
		loop_turn(0, NULL, store_commit);
}

static int
gone(void)
{
	return !conn_at(conn_slot(peer));
}

/* Take turns until the server has nothing more to do; what it said goes to out. */
static size_t
settle(char *out, size_t size)
{
	int64_t end = loop_ms() + 5000;
	size_t n = 0;
	ssize_t got;
	int quiet = 0;

	while (quiet < 2 && loop_ms() < end) {
		loop_turn(0, NULL, store_commit);
		quiet++;
		while ((got = recv(client, out + n, size - n, 0)) > 0)
			n += (size_t)got, quiet = 0;
		if (!gone() && (peer->again || peer->working || peer->hold_until || peer->held ||
		    (peer->out && size > n)))
			quiet = 0;
	}
	if (quiet < 2)
		(void)CHECK_MSG(0, "the server does not come to rest");
	return n;
}

static void
end_client(void)
{
	int i;

	(void)close(client);
	client = -1;
	for (i = 0; i < 100 && !gone(); i++)
		loop_turn(10, NULL, store_commit);
	if (!gone())
		(void)CHECK_MSG(0, "the session does not end");
}

static size_t
send_all(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t at, piece, got;

	got = settle(out, size);
	for (at = 0; at < n; at += piece) {
		piece = test_piece(cut, at, n);
		if (piece > 4096)
			piece = 4096;	/* what surely fits into the socket */
		if (send(client, in + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			break;		/* the server has hung up */
		got += settle(out + got, size - got);
	}
	if (gone() || peer->closing)
		out[got++] = '$';	/* it ended */
	return got;
}

static void
drain_queue(void)
{
	int i;

	for (i = 0; i < 1000 && queue_tick(1) == 0; i++)
		;
	if (i == 1000)
		(void)CHECK_MSG(0, "the queue does not come to rest");
}

/* What has come into the mailboxes; they are empty afterwards. */
static size_t
take_boxes(char *out, size_t size)
{
	static const char *const names[] = { "alice", "bob" };
	char path[PATH_TEXT];
	size_t i, n = 0, k;

	drain_queue();
	if (store_checkpoint() < 0)
		(void)CHECK_MSG(0, "no checkpoint");
	for (i = 0; i < LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "mail/%s", names[i]);
		k = slurp(path, out + n + 8, size - n - 8);
		if (k) {
			memcpy(out + n, i ? "[bob]\n\n\n" : "[alice]\n", 8);
			n += 8 + k;
		}
		(void)unlink(path);
	}
	return n;
}

/* A session: what the server says, a $ if it ends it, and what is in the mailboxes then. */
static size_t
session(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t got;

	last_id = 0;
	start_client("192.0.2.1");
	got = send_all(out, size, in, n, cut);
	end_client();
	return got + take_boxes(out + got, size - got);
}

static char said[1 << 20];
static size_t nsaid;

static void
talk(const char *in, size_t n)
{
	struct cut c;

	c.first = c.step = n;
	nsaid = session(said, sizeof(said), in, n, &c);
}

/* ---- transcripts ---- */

#define HI "220 mx.example.org ESMTP\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define HOST "250 mx.example.org\r\n"
#define FROM "250 2.1.0 Ok\r\n"
#define TO "250 2.1.5 Ok\r\n"
#define GO "354 End with a line of a single dot\r\n"
#define QUEUED(n) "250 2.0.0 Ok: queued as " ID(n) "\r\n"
#define BYE "221 2.0.0 mx.example.org Bye\r\n"
#define BAD_ARG "501 5.5.4 Syntax error in argument\r\n"
#define BAD_SEQ "503 5.5.1 Bad sequence of commands\r\n"
#define EHLO_FIRST "503 5.5.1 EHLO first\r\n"
#define UNKNOWN "500 5.5.1 Unknown command\r\n"
#define NO_USER "550 5.1.1 No such user here\r\n"
#define TOO_MANY "421 4.7.0 mx.example.org too many errors\r\n$"
#define FEATURES(tls, auth) "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n" \
	"250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n" tls auth "250-LIMITS RCPTMAX=100\r\n250 HELP\r\n"
#define STARTTLS "250-STARTTLS\r\n"
#define AUTH "250-AUTH PLAIN LOGIN\r\n"
#define ALICE "[alice]\n"
#define BOB "[bob]\n\n\n"
#define HEAD(from, path, to) "From " from " Mon Jan  5 23:23:01 1970\nReturn-Path: <" path ">\n" \
	"Delivered-To: " to "\n"
#define TRACE(with, n, tls, to) "Received: from c.example ([192.0.2.1])\n\tby mx.example.org with " \
	with " id " ID(n) "\n" tls "\t" to "; " DATE "\n"
#define START "EHLO c.example\r\n"
#define STARTED HI FEATURES(STARTTLS, "")
#define SMTP_A(n) HEAD("s@far.example", "s@far.example", "alice@localhost") \
	TRACE("ESMTP", n, "", "for <alice@localhost>")
#define TXN "MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n"
#define TXN_OK FROM TO GO

static const struct script {
	int row;
	const char *in;
	size_t n;
	const char *out;
} scripts[] = {
	/* every command before EHLO */
	{ MX, BYTES(""), HI },
	{ MX, BYTES("NOOP\r\nNOOP with words\r\nRSET\r\nHELP\r\nVRFY alice\r\nQUIT\r\n"),
	    HI OK OK OK
	    "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY STARTTLS AUTH QUIT: RFC 5321\r\n"
	    "252 2.0.0 Send it, then we will see\r\n" BYE "$" },
	{ MX, BYTES("MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\nQUIT\r\n"),
	    HI EHLO_FIRST EHLO_FIRST EHLO_FIRST BYE "$" },
	{ MX, BYTES("AUTH PLAIN\r\nXYZZY\r\nHELO\r\nEHLO \r\nVRFY\r\n"),
	    HI EHLO_FIRST UNKNOWN BAD_ARG BAD_ARG "501 5.5.4 Syntax error in argument\r\n" TOO_MANY },
	/* greetings */
	{ MX, BYTES("helo c.example\r\nehlo c.example\r\nEHLO [192.0.2.7]\r\n"),
	    HI HOST FEATURES(STARTTLS, "") FEATURES(STARTTLS, "") },
	{ MX, BYTES("EHLO a b\r\nEHLO a\"b\r\nHELO <a>\r\nHELO c_1.example   \r\n"),
	    HI BAD_ARG BAD_ARG BAD_ARG HOST },
	{ SUBMIT, BYTES(START), HI FEATURES("", AUTH) },
	{ SUBMIT_TLS, BYTES(START), HI FEATURES(STARTTLS, "") },
	{ SUBMIT_WRAP, BYTES(START), HI FEATURES("", AUTH) },
	/* commands out of order */
	{ MX, BYTES(START "RCPT TO:<alice@localhost>\r\nDATA\r\nNOOP\r\n"), STARTED BAD_SEQ BAD_SEQ OK },
	{ MX, BYTES(START "MAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nAUTH PLAIN\r\nRSET\r\nMAIL FROM:<>\r\n"),
	    STARTED FROM BAD_SEQ "554 5.5.1 No valid recipients\r\n" BAD_SEQ OK FROM },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<bob@localhost>\r\nMAIL FROM:<>\r\nAUTH PLAIN\r\n"
	    "HELO again\r\nRCPT TO:<bob@localhost>\r\nMAIL FROM:<>\r\n"),
	    STARTED FROM TO BAD_SEQ BAD_SEQ HOST BAD_SEQ FROM },
	{ MX, BYTES(START "RSET x\r\nQUIT x\r\nDATA x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@localhost>\r\n"
	    "DATA x\r\nQUIT\r\n"),
	    STARTED BAD_ARG BAD_ARG BAD_SEQ FROM TO BAD_ARG BYE "$" },
	/* senders and parameters */
	{ MX, BYTES(START "MAIL FROM:s@far.example\r\nMAIL <s@far.example>\r\nMAIL\r\nMAIL FROM\r\n"),
	    STARTED "501 5.1.7 Bad sender address\r\n501 5.1.7 Bad sender address\r\n"
	    "501 5.1.7 Bad sender address\r\n501 5.1.7 Bad sender address\r\n" },
	{ MX, BYTES(START "MAIL FROM:<a@b>x\r\nMAIL FROM:<a@b> SIZE\r\nMAIL FROM:<a@b> SIZE=1 size=2\r\n"
	    "MAIL FROM:<a@b> BODY=BINARYMIME\r\n"),
	    STARTED "501 5.5.4 Syntax error behind the address\r\n501 5.5.4 Syntax error in parameter\r\n"
	    "501 5.5.4 Syntax error in parameter\r\n501 5.5.4 Bad BODY\r\n" },
	{ MX, BYTES(START "MAIL FROM:<a@b> SIZE=99999999999\r\nMAIL FROM:<a@b> SIZE=-1\r\n"
	    "MAIL FROM:<a@b> SIZE=99999999999999999999999\r\nMAIL FROM:<a@b> FOO=bar\r\n"),
	    STARTED "552 5.3.4 Message too large\r\n501 5.5.4 Bad SIZE\r\n501 5.5.4 Bad SIZE\r\n"
	    "555 5.5.4 Unknown parameter\r\n" },
	{ MX, BYTES(START "MAIL FROM: <a@b>  SIZE=52428800 body=8bitmime AUTH=<>  \r\nRSET\r\n"
	    "MAIL FROM:<@x.example,@y.example:a@b> BODY=7BIT\r\nRSET\r\nMAIL FROM:<\"a b\"@[192.0.2.1]>\r\n"),
	    STARTED FROM OK FROM OK FROM },
	/* recipients */
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:alice\r\nRCPT TO:<nobody@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\nRCPT TO:<alice@localhost> NOTIFY=NEVER\r\n"),
	    STARTED FROM "501 5.1.3 Bad recipient address\r\n" NO_USER "550 5.7.1 Relaying denied\r\n"
	    "555 5.5.4 Unknown parameter\r\n" },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> SIZE=1\r\nRCPT TO:<alice@localhost>x\r\n"
	    "RCPT TO:<alice>\r\nDATA\r\n"),
	    STARTED FROM "555 5.5.4 Unknown parameter\r\n501 5.5.4 Syntax error behind the address\r\n"
	    NO_USER "554 5.5.1 No valid recipients\r\n" },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<ALICE+tag@MX.example.ORG>\r\n"
	    "RCPT TO:<\"al\\ice\"@localhost>\r\nRCPT TO:<@a.example:any@catch.example>\r\n"
	    "RCPT TO:<alice@[127.0.0.1]>\r\nDATA\r\n.\r\n"),
	    STARTED FROM TO TO TO TO "550 5.7.1 Relaying denied\r\n" GO QUEUED(1)
	    ALICE HEAD("MAILER-DAEMON", "", "Postmaster") TRACE("ESMTP", 1, "", "") "\n"
	    BOB HEAD("MAILER-DAEMON", "", "any@catch.example") TRACE("ESMTP", 1, "", "") "\n" },
	/* one mail; HELO; alias to two; the same account twice */
	{ MX, BYTES("HELO c.example\r\n" TXN "Subject: hi\r\n\r\nHello\r\n.\r\nQUIT\r\n"),
	    HI HOST TXN_OK QUEUED(1) BYE "$" ALICE
	    HEAD("s@far.example", "s@far.example", "alice@localhost")
	    TRACE("SMTP", 1, "", "for <alice@localhost>") "Subject: hi\n\nHello\n\n" },
	{ MX, BYTES(START "MAIL FROM:<s@far.example>\r\nRCPT TO:<team@localhost>\r\n"
	    "RCPT TO:<alice@localhost>\r\nDATA\r\nSubject: hi\r\n\r\nHello\r\n.\r\n"),
	    STARTED FROM TO TO GO QUEUED(1) ALICE
	    HEAD("s@far.example", "s@far.example", "team@localhost") TRACE("ESMTP", 1, "", "")
	    "Subject: hi\n\nHello\n\n" BOB
	    HEAD("s@far.example", "s@far.example", "team@localhost") TRACE("ESMTP", 1, "", "")
	    "Subject: hi\n\nHello\n\n" },
	/* a burst with three mails, one of which is refused */
	{ MX, BYTES(START TXN "one\r\n.\r\n" TXN "t\nwo\r\n.\r\n" TXN "three\r\n.\r\nNOOP\r\nQUIT\r\nNOOP\r\n"),
	    STARTED TXN_OK QUEUED(1) TXN_OK "554 5.6.0 Bare CR or LF in the message (RFC 5321 2.3.8)\r\n"
	    TXN_OK QUEUED(3) OK BYE "$" ALICE SMTP_A(1) "one\n\n" SMTP_A(3) "three\n\n" },
	/* a sender with blanks in a From_ line; 8 bits, NULs, dots, From_ lines */
	{ MX, BYTES(START "MAIL FROM:<\"a b\"@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n.\r\n"),
	    STARTED TXN_OK QUEUED(1) ALICE HEAD("\"a-b\"@far.example", "\"a b\"@far.example", "alice@localhost")
	    TRACE("ESMTP", 1, "", "for <alice@localhost>") "\n" },
	{ MX, BYTES(START TXN "..\r\n...\r\n.x\r\nFrom me\r\n>From you\r\n>>From\r\n\xff\xfe 8 bits\r\n"
	    "\r\n\r\n.\r\n"),
	    STARTED TXN_OK QUEUED(1) ALICE SMTP_A(1)
	    ".\n..\nx\n>From me\n>>From you\n>>From\n\xff\xfe 8 bits\n\n\n\n" },
	/* what is behind DATA that was refused are commands; what is behind one that was taken is text */
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<nobody@localhost>\r\nDATA\r\nNOOP\r\n"),
	    STARTED FROM NO_USER "554 5.5.1 No valid recipients\r\n" OK },
	{ MX, BYTES(START TXN "QUIT\r\nRSET\r\n.\r\nRSET\r\n"),
	    STARTED TXN_OK QUEUED(1) OK ALICE SMTP_A(1) "QUIT\nRSET\n\n" },
	/* lines that are none */
	{ MX, BYTES("NOOP\nNOOP\r\nNO\0OP\r\nNOOP \x07\r\nNOOP\rNOOP\r\n"),
	    HI "500 5.5.2 Lines end in CR LF\r\n" OK "500 5.5.2 Control characters in command\r\n"
	    "500 5.5.2 Control characters in command\r\n500 5.5.2 Control characters in command\r\n" },
	{ MX, BYTES("\r\n \r\nNOOP\r\n"), HI UNKNOWN UNKNOWN OK },
	{ MX, BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\nGET / HTTP/1.1\r\nA: b\r\n\n\n"),
	    HI "500 5.5.2 Control characters in command\r\n" UNKNOWN UNKNOWN
	    "500 5.5.2 Lines end in CR LF\r\n500 5.5.2 Lines end in CR LF\r\n" TOO_MANY },
	/* errors of all kinds add up */
	{ MX, BYTES(START "X\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@localhost>\r\nRCPT TO:<x@far.example>\r\n"
	    "DATA\r\nMAIL FROM:<>\r\nNOOP\r\n"),
	    STARTED UNKNOWN FROM NO_USER "550 5.7.1 Relaying denied\r\n554 5.5.1 No valid recipients\r\n"
	    BAD_SEQ TOO_MANY },
	/* TLS */
	{ MX, BYTES(START "STARTTLS\r\n"), STARTED "220 2.0.0 Go ahead\r\n" },
	{ MX, BYTES("STARTTLS now\r\n"), HI BAD_ARG },
	{ SUBMIT, BYTES("STARTTLS\r\n"), HI "503 5.5.1 TLS is not to be had now\r\n" },
	{ SUBMIT_WRAP, BYTES("STARTTLS\r\n"), HI "503 5.5.1 TLS is not to be had now\r\n" },
	/* AUTH: where, how */
	{ MX, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
	    STARTED "538 5.7.11 Encryption required: STARTTLS first\r\n" },
	{ SUBMIT, BYTES(START "AUTH\r\nAUTH CRAM-MD5\r\nAUTH PLAIN ====\r\nAUTH LOGIN AA\r\n"),
	    HI FEATURES("", AUTH) BAD_ARG "504 5.5.4 Unknown mechanism\r\n501 5.5.2 Bad AUTH data\r\n"
	    "501 5.5.2 Bad AUTH data\r\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nAUTH PLAIN\r\nNOOP\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n503 5.5.1 Already authenticated\r\n" OK },
	{ SUBMIT, BYTES(START "auth plain\r\nAGJvYgBzZWNyZXQ=\r\nMAIL FROM:<bob@localhost>\r\n"),
	    HI FEATURES("", AUTH) "334 \r\n235 2.7.0 Welcome\r\n" FROM },
	{ SUBMIT, BYTES(START "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nNOOP\r\n"),
	    HI FEATURES("", AUTH) "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 Welcome\r\n" OK },
	{ SUBMIT, BYTES(START "AUTH LOGIN YWxpY2U=\r\nc2VjcmV0\r\n"),
	    HI FEATURES("", AUTH) "334 UGFzc3dvcmQ6\r\n235 2.7.0 Welcome\r\n" },
	{ SUBMIT, BYTES(START "AUTH LOGIN YWxpY2U=\r\n*\r\nAUTH PLAIN\r\nQUIT\r\nAUTH PLAIN =\r\nNOOP\r\n"),
	    HI FEATURES("", AUTH) "334 UGFzc3dvcmQ6\r\n501 5.7.0 AUTH given up\r\n334 \r\n"
	    "501 5.5.2 Bad AUTH data\r\n501 5.5.2 Bad AUTH data\r\n" OK },
	{ SUBMIT, BYTES(START "AUTH PLAIN AHRlbXAAc2VjcmV0\r\nAUTH PLAIN AGFsaWNlAHdyb25n\r\n"
	    "AUTH PLAIN AG5vYm9keQBzZWNyZXQ=\r\nMAIL FROM:<alice@localhost>\r\n"),
	    HI FEATURES("", AUTH) "454 4.7.0 Accounts cannot be read now\r\n"
	    "535 5.7.8 Wrong name or password\r\n535 5.7.8 Wrong name or password\r\n"
	    "530 5.7.0 Authentication required\r\n" },
	/* submission: header fields are added; with whose name */
	{ SUBMIT_WRAP, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<alice@localhost>\r\n"
	    "RCPT TO:<bob@localhost>\r\nDATA\r\nSubject: hi\r\n\r\nHello\r\n.\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n" FROM TO GO QUEUED(1) BOB
	    HEAD("alice@localhost", "alice@localhost", "bob@localhost")
	    TRACE("ESMTPSA", 1, "\t(TLSv1.2 TLS_SUITE)\n", "for <bob@localhost>")
	    "Subject: hi\nDate: " DATE "\nMessage-ID: <" ID(1) "@mx.example.org>\n\nHello\n\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<>\r\nRCPT TO:<bob@localhost>\r\n"
	    "DATA\r\nno header\r\n.\r\nMAIL FROM:<team@localhost>\r\nRCPT TO:<bob@localhost>\r\nDATA\r\n"
	    "date: x\r\nMessage-id : y\r\n\r\n.\r\nMAIL FROM:<alice+x@localhost>\r\nRCPT TO:<bob@localhost>\r\n"
	    "DATA\r\nDate: x\r\n.\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n" FROM TO GO QUEUED(1) FROM TO GO QUEUED(2)
	    FROM TO GO QUEUED(3)
	    BOB HEAD("MAILER-DAEMON", "", "bob@localhost") TRACE("ESMTPA", 1, "", "for <bob@localhost>")
	    "Date: " DATE "\nMessage-ID: <" ID(1) "@mx.example.org>\n\nno header\n\n"
	    HEAD("team@localhost", "team@localhost", "bob@localhost")
	    TRACE("ESMTPA", 2, "", "for <bob@localhost>") "date: x\nMessage-id : y\n\n\n"
	    HEAD("alice+x@localhost", "alice+x@localhost", "bob@localhost")
	    TRACE("ESMTPA", 3, "", "for <bob@localhost>")
	    "Date: x\nMessage-ID: <" ID(3) "@mx.example.org>\n\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<bob@localhost>\r\n"
	    "MAIL FROM:<x@far.example>\r\nMAIL FROM:<alice@mx.example.org>\r\nRCPT TO:<x@far.example>\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n553 5.7.1 You may not send as this address\r\n"
	    "553 5.7.1 You may not send as this address\r\n" FROM "550 5.7.1 Relaying denied\r\n" },
	{ SUBMIT, BYTES(START "MAIL FROM:<alice@localhost>\r\nMAIL FROM:<>\r\n"),
	    HI FEATURES("", AUTH) "530 5.7.0 Authentication required\r\n530 5.7.0 Authentication required\r\n" },
	/* from another server nothing is added */
	{ MX, BYTES(START TXN "Subject: x\r\n\r\ny\r\n.\r\n"),
	    STARTED TXN_OK QUEUED(1) ALICE SMTP_A(1) "Subject: x\n\ny\n\n" },
};

static void
test_scripts(void)
{
	const struct script *t;
	size_t i;

	for (i = 0; i < LEN(scripts); i++) {
		t = &scripts[i];
		row = t->row;
		talk(t->in, t->n);
		if (!CHECK_MEM(said, nsaid, t->out, strlen(t->out)))
			test_show("for ", t->in, t->n);
		CHECK_SPLIT(session, t->in, t->n);
	}
	row = MX;
}

int
main(void)
{
	static const struct loop_memory mem = { conns, bufs, polls, SESSIONS };

	loop_init(&mem);
	store_here();
	test_scripts();
	return test_end();
}
