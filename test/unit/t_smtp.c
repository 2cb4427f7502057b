/* with: smtp.c envelope.c forward.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/sasl.c lib/srs.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * SMTP sessions, over the real loop, store and mailboxes: whole transcripts with the mailboxes
 * they lead to, fed at once, cut at every byte, and in small pieces: always the same.
 */
#include "t_smtp.h"

/* ---- transcripts ---- */

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
	    "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY "
	    "STARTTLS AUTH QUIT: RFC 5321\r\n"
	    "252 2.0.0 Send it, then we will see\r\n" BYE "$" },
	{ MX, BYTES("MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\nQUIT\r\n"),
	    HI EHLO_FIRST EHLO_FIRST EHLO_FIRST BYE "$" },
	{ MX, BYTES("AUTH PLAIN\r\nXYZZY\r\nHELO\r\nEHLO \r\nVRFY\r\n"),
	    HI EHLO_FIRST UNKNOWN BAD_ARG BAD_ARG "501 5.5.4 Syntax error in argument\r\n"
	    TOO_MANY },
	{ MX, BYTES("RSET\r\nMAIL FROM:<>\r\n"), HI OK EHLO_FIRST },
	/* greetings */
	{ MX, BYTES("helo c.example\r\nehlo c.example\r\nEHLO [192.0.2.7]\r\n"),
	    HI HOST FEATURES(STARTTLS, "") FEATURES(STARTTLS, "") },
	{ MX, BYTES("EHLO a b\r\nEHLO a\"b\r\nHELO <a>\r\nHELO c_1.example   \r\n"),
	    HI BAD_ARG BAD_ARG BAD_ARG HOST },
	{ SUBMIT, BYTES(START), HI FEATURES("", AUTH) },
	{ SUBMIT_TLS, BYTES(START), HI FEATURES(STARTTLS, "") },
	{ SUBMIT_WRAP, BYTES(START), HI FEATURES("", AUTH) },
	/* commands out of order */
	{ MX, BYTES(START "RCPT TO:<alice@localhost>\r\nDATA\r\nNOOP\r\n"), STARTED BAD_SEQ BAD_SEQ
	    OK },
	{ MX, BYTES(START "MAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nAUTH PLAIN\r\nRSET\r\n"
	    "MAIL FROM:<>\r\n"),
	    STARTED FROM BAD_SEQ "554 5.5.1 No valid recipients\r\n" BAD_SEQ OK FROM },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<bob@localhost>\r\nMAIL FROM:<>\r\n"
	    "AUTH PLAIN\r\n"
	    "HELO again\r\nRCPT TO:<bob@localhost>\r\nMAIL FROM:<>\r\n"),
	    STARTED FROM TO BAD_SEQ BAD_SEQ HOST BAD_SEQ FROM },
	{ MX, BYTES(START "RSET x\r\nQUIT x\r\nDATA x\r\nMAIL FROM:<>\r\n"
	    "RCPT TO:<bob@localhost>\r\n"
	    "DATA x\r\nQUIT\r\n"),
	    STARTED BAD_ARG BAD_ARG BAD_SEQ FROM TO BAD_ARG BYE "$" },
	/* senders and parameters */
	{ MX, BYTES(START "MAIL FROM:s@far.example\r\nMAIL <s@far.example>\r\nMAIL\r\n"
	    "MAIL FROM\r\n"),
	    STARTED "501 5.1.7 Bad sender address\r\n501 5.1.7 Bad sender address\r\n"
	    "501 5.1.7 Bad sender address\r\n501 5.1.7 Bad sender address\r\n" },
	{ MX, BYTES(START "MAIL FROM:<a@b>x\r\nMAIL FROM:<a@b> SIZE\r\n"
	    "MAIL FROM:<a@b> SIZE=1 size=2\r\n"
	    "MAIL FROM:<a@b> BODY=BINARYMIME\r\n"),
	    STARTED "501 5.5.4 Syntax error behind the address\r\n"
	    "501 5.5.4 Syntax error in parameter\r\n"
	    "501 5.5.4 Syntax error in parameter\r\n501 5.5.4 Bad BODY\r\n" },
	{ MX, BYTES(START "MAIL FROM:<a@b> SIZE=99999999999\r\nMAIL FROM:<a@b> SIZE=-1\r\n"
	    "MAIL FROM:<a@b> SIZE=99999999999999999999999\r\nMAIL FROM:<a@b> FOO=bar\r\n"),
	    STARTED "552 5.3.4 Message too large\r\n501 5.5.4 Bad SIZE\r\n501 5.5.4 Bad SIZE\r\n"
	    "555 5.5.4 Unknown parameter\r\n" },
	{ MX, BYTES(START "MAIL FROM: <a@b>  SIZE=52428800 body=8bitmime AUTH=<>  \r\nRSET\r\n"
	    "MAIL FROM:<@x.example,@y.example:a@b> BODY=7BIT\r\nRSET\r\n"
	    "MAIL FROM:<\"a b\"@[192.0.2.1]>\r\n"),
	    STARTED FROM OK FROM OK FROM },
	/* recipients */
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:alice\r\nRCPT TO:<nobody@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\nRCPT TO:<alice@localhost> SIZE=1\r\n"),
	    STARTED FROM "501 5.1.3 Bad recipient address\r\n" NO_USER
	    "550 5.7.1 Relaying denied\r\n"
	    "555 5.5.4 Unknown parameter\r\n" },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> SIZE=1\r\n"
	    "RCPT TO:<alice@localhost>x\r\n"
	    "RCPT TO:<alice>\r\nDATA\r\n"),
	    STARTED FROM "555 5.5.4 Unknown parameter\r\n"
	    "501 5.5.4 Syntax error behind the address\r\n"
	    NO_USER "554 5.5.1 No valid recipients\r\n" },
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n"
	    "RCPT TO:<ALICE+tag@MX.example.ORG>\r\n"
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
	{ MX, BYTES(START TXN "one\r\n.\r\n" TXN "t\nwo\r\n.\r\n" TXN "three\r\n.\r\nNOOP\r\n"
	    "QUIT\r\nNOOP\r\n"),
	    STARTED TXN_OK QUEUED(1) TXN_OK
	    "554 5.6.0 Bare CR or LF in the message (RFC 5321 2.3.8)\r\n"
	    TXN_OK QUEUED(3) OK BYE "$" ALICE SMTP_A(1) "one\n\n" SMTP_A(3) "three\n\n" },
	/* a sender with blanks in a From_ line; 8 bits, NULs, dots, From_ lines */
	{ MX, BYTES(START "MAIL FROM:<\"a b\"@far.example>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n"
	    ".\r\n"),
	    STARTED TXN_OK QUEUED(1) ALICE HEAD("\"a-b\"@far.example", "\"a b\"@far.example",
	    "alice@localhost")
	    TRACE("ESMTP", 1, "", "for <alice@localhost>") "\n" },
	{ MX, BYTES(START TXN "..\r\n...\r\n.x\r\nFrom me\r\n>From you\r\n>>From\r\n"
	    "\xff\xfe 8 bits\r\n"
	    "\r\n\r\n.\r\n"),
	    STARTED TXN_OK QUEUED(1) ALICE SMTP_A(1)
	    ".\n..\nx\n>From me\n>>From you\n>>From\n\xff\xfe 8 bits\n\n\n\n" },
	/* behind DATA that was refused stand commands, behind one that was taken stands text */
	{ MX, BYTES(START "MAIL FROM:<>\r\nRCPT TO:<nobody@localhost>\r\nDATA\r\nNOOP\r\n"),
	    STARTED FROM NO_USER "554 5.5.1 No valid recipients\r\n" OK },
	{ MX, BYTES(START TXN "QUIT\r\nRSET\r\n.\r\nRSET\r\n"),
	    STARTED TXN_OK QUEUED(1) OK ALICE SMTP_A(1) "QUIT\nRSET\n\n" },
	/* lines that are none */
	{ MX, BYTES("NOOP\nNOOP\r\nNO\0OP\r\nNOOP \x07\r\nNOOP\rNOOP\r\n"),
	    HI "500 5.5.2 Lines end in CR LF\r\n" OK "500 5.5.2 Control characters in command\r\n"
	    "500 5.5.2 Control characters in command\r\n"
	    "500 5.5.2 Control characters in command\r\n" },
	{ MX, BYTES("\r\n \r\nNOOP\r\n"), HI UNKNOWN UNKNOWN OK },
	{ MX, BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\nGET / HTTP/1.1\r\nA: b\r\n\n\n"),
	    HI "500 5.5.2 Control characters in command\r\n" UNKNOWN UNKNOWN
	    "500 5.5.2 Lines end in CR LF\r\n500 5.5.2 Lines end in CR LF\r\n" TOO_MANY },
	/* errors of all kinds add up */
	{ MX, BYTES(START "X\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\n"
	    "DATA\r\nMAIL FROM:<>\r\nNOOP\r\n"),
	    STARTED UNKNOWN FROM NO_USER "550 5.7.1 Relaying denied\r\n"
	    "554 5.5.1 No valid recipients\r\n"
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
	    HI FEATURES("", AUTH) BAD_ARG "504 5.5.4 Unknown mechanism\r\n"
	    "501 5.5.2 Bad AUTH data\r\n"
	    "501 5.5.2 Bad AUTH data\r\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nAUTH PLAIN\r\nNOOP\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n503 5.5.1 Already authenticated\r\n" OK },
	{ SUBMIT, BYTES(START "auth plain\r\nAGJvYgBzZWNyZXQ=\r\nMAIL FROM:<bob@localhost>\r\n"),
	    HI FEATURES("", AUTH) "334 \r\n235 2.7.0 Welcome\r\n" FROM },
	{ SUBMIT, BYTES(START "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nNOOP\r\n"),
	    HI FEATURES("", AUTH) "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 Welcome\r\n"
	    OK },
	{ SUBMIT, BYTES(START "AUTH LOGIN YWxpY2U=\r\nc2VjcmV0\r\n"),
	    HI FEATURES("", AUTH) "334 UGFzc3dvcmQ6\r\n235 2.7.0 Welcome\r\n" },
	{ SUBMIT, BYTES(START "AUTH LOGIN YWxpY2U=\r\n*\r\nAUTH PLAIN\r\nQUIT\r\nAUTH PLAIN =\r\n"
	    "NOOP\r\n"),
	    HI FEATURES("", AUTH) "334 UGFzc3dvcmQ6\r\n501 5.7.0 AUTH given up\r\n334 \r\n"
	    "501 5.5.2 Bad AUTH data\r\n501 5.5.2 Bad AUTH data\r\n" OK },
	{ SUBMIT, BYTES(START "AUTH PLAIN AHRlbXAAc2VjcmV0\r\nAUTH PLAIN AGFsaWNlAHdyb25n\r\n"
	    "AUTH PLAIN AG5vYm9keQBzZWNyZXQ=\r\nMAIL FROM:<alice@localhost>\r\n"),
	    HI FEATURES("", AUTH) "454 4.7.0 Accounts cannot be read now\r\n"
	    "535 5.7.8 Wrong name or password\r\n535 5.7.8 Wrong name or password\r\n"
	    "530 5.7.0 Authentication required\r\n" },
	{ SUBMIT_WRAP, BYTES("HELO c.example\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
	    "MAIL FROM:<alice@localhost>\r\nRCPT TO:<bob@localhost>\r\nDATA\r\n"
	    "Date: x\r\nMessage-ID: y\r\n\r\n.\r\n"),
	    HI HOST "235 2.7.0 Welcome\r\n" FROM TO GO QUEUED(1) BOB
	    HEAD("alice@localhost", "alice@localhost", "bob@localhost")
	    TRACE("SMTP", 1, "\t(TLSv1.2 TLS_SUITE)\n", "for <bob@localhost>")
	    "Date: x\nMessage-ID: y\n\n\n" },
	/* submission: header fields are added; with whose name */
	{ SUBMIT_WRAP, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
	    "MAIL FROM:<alice@localhost>\r\n"
	    "RCPT TO:<bob@localhost>\r\nDATA\r\nSubject: hi\r\n\r\nHello\r\n.\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n" FROM TO GO QUEUED(1) BOB
	    HEAD("alice@localhost", "alice@localhost", "bob@localhost")
	    TRACE("ESMTPSA", 1, "\t(TLSv1.2 TLS_SUITE)\n", "for <bob@localhost>")
	    "Subject: hi\nDate: " DATE "\nMessage-ID: <" ID(1) "@mx.example.org>\n\nHello\n\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<>\r\n"
	    "RCPT TO:<bob@localhost>\r\n"
	    "DATA\r\nno header\r\n.\r\nMAIL FROM:<team@localhost>\r\nRCPT TO:<bob@localhost>\r\n"
	    "DATA\r\n"
	    "date: x\r\nMessage-id : y\r\n\r\n.\r\nMAIL FROM:<alice+x@localhost>\r\n"
	    "RCPT TO:<bob@localhost>\r\n"
	    "DATA\r\nDate: x\r\n.\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n" FROM TO GO QUEUED(1) FROM TO GO QUEUED(2)
	    FROM TO GO QUEUED(3)
	    BOB HEAD("MAILER-DAEMON", "", "bob@localhost") TRACE("ESMTPA", 1, "",
	    "for <bob@localhost>")
	    "Date: " DATE "\nMessage-ID: <" ID(1) "@mx.example.org>\n\nno header\n\n"
	    HEAD("team@localhost", "team@localhost", "bob@localhost")
	    TRACE("ESMTPA", 2, "", "for <bob@localhost>") "date: x\nMessage-id : y\n\n\n"
	    HEAD("alice+x@localhost", "alice+x@localhost", "bob@localhost")
	    TRACE("ESMTPA", 3, "", "for <bob@localhost>")
	    "Date: x\nMessage-ID: <" ID(3) "@mx.example.org>\n\n" },
	{ SUBMIT, BYTES(START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<bob@localhost>\r\n"
	    "MAIL FROM:<x@far.example>\r\nMAIL FROM:<alice@mx.example.org>\r\n"
	    "RCPT TO:<x@far.example>\r\n"),
	    HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n"
	    "553 5.7.1 You may not send as this address\r\n"
	    "553 5.7.1 You may not send as this address\r\n" FROM TO },
	{ SUBMIT, BYTES(START "MAIL FROM:<alice@localhost>\r\nMAIL FROM:<>\r\n"),
	    HI FEATURES("", AUTH) "530 5.7.0 Authentication required\r\n"
	    "530 5.7.0 Authentication required\r\n" },
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

/* ---- end of data ---- */

/*
 * All sequences of CR, LF, dot and NUL up to six bytes stand behind "x" and before "y" CR LF . CR
 * LF. By the standard: the text ends at the first CR LF . CR LF, wherever that is, and is refused
 * if there was a CR without LF or a LF without CR before it.
 */
static void
smuggle(const char *seq, size_t n)
{
	char in[512], body[64], want[512];
	static const char from[] = START TXN;
	const char *end, *p;
	size_t nin, nbody, o = 0;
	int bare = 0;

	memcpy(in, from, sizeof(from) - 1);
	nin = sizeof(from) - 1;
	body[0] = 'x';
	memcpy(body + 1, seq, n);
	memcpy(body + 1 + n, "y\r\n.\r\n", 6);
	nbody = n + 7;
	memcpy(in + nin, body, nbody);
	nin += nbody;
	end = memmem(body, nbody, "\r\n.\r\n", 5);
	for (p = body; p < end + 2; p++) {
		bare |= *p == '\r' && p[1] != '\n';
		bare |= *p == '\n' && (p == body || p[-1] != '\r');
		if (*p == '\r' || (*p == '.' && p > body && p[-1] == '\n'))
			continue;
		want[o++] = *p;
	}
	talk(in, nin);
	end = memmem(said, nsaid, GO, strlen(GO));
	if (!CHECK(end != NULL))
		return;
	end += strlen(GO);
	if (bare) {
		if (!CHECK(!strncmp(end, "554 5.6.0 ", 10) && !memmem(said, nsaid, "[alice]", 7)))
			test_show("in", body, nbody);
		return;
	}
	want[o++] = '\n';
	p = memmem(said, nsaid, ALICE SMTP_A(1), strlen(ALICE SMTP_A(1)));
	if (!CHECK(!strncmp(end, QUEUED(1), strlen(QUEUED(1))) && p)) {
		test_show("in", body, nbody);
		return;
	}
	p += strlen(ALICE SMTP_A(1));
	(void)CHECK_MEM(p, nsaid - (size_t)(p - said), want, o);
}

static void
test_smuggling(void)
{
	static const char bytes[] = { '\r', '\n', '.', '\0' };
	char seq[6];
	unsigned i, n, k;

	for (n = 0; n <= 6; n++) {
		for (i = 0; i < 1u << 2 * n; i++) {
			for (k = 0; k < n; k++)
				seq[k] = bytes[i >> 2 * k & 3];
			smuggle(seq, n);
		}
	}
}

/* ---- limits ---- */

/* A command that is n octets long with its CR LF. */
static void
long_command(const char *start, size_t n)
{
	nbig = 0;
	add(start);
	add_many('x', n - strlen(start) - 2);
	add("\r\nHELP\r\n");
	talk(big, nbig);
	if (n < 3000)
		CHECK_SPLIT(session, big, nbig);
}

static void
test_long_lines(void)
{
	static const size_t too_long[] = { 2049, 2050, 4000, 8191, 8192, 8193, 8194, 20000,
	    100000 };
	size_t i;

	long_command("NOOP ", 2048);
	CHECK(told(HI OK "214 "));
	for (i = 0; i < LEN(too_long); i++) {
		long_command("NOOP ", too_long[i]);
		CHECK(told(HI "500 5.5.2 Line too long\r\n214 "));
	}
	row = SUBMIT;
	nbig = 0;
	add(START "AUTH PLAIN ");
	add_many('A', 4096 - 13);
	add("\r\nAUTH PLAIN ");
	add_many('A', 4096 - 12);
	add("\r\nAUTH PLAIN\r\n");
	add_many('A', 4094);
	add("\r\nAUTH PLAIN\r\n");
	add_many('A', 4095);
	add("\r\nNOOP\r\n");
	talk(big, nbig);
	CHECK(told(FEATURES("", AUTH) "501 5.5.2 Bad AUTH data\r\n500 5.5.2 Line too long\r\n"
	    "334 \r\n"
	    "501 5.5.2 Bad AUTH data\r\n334 \r\n500 5.5.2 Line too long\r\n" OK) ||
	    !CHECK_STR(said, ""));
	row = MX;
}

/* Lines of the text may have any length. */
static void
test_long_text(void)
{
	static const size_t lines[] = { 998, 999, 5000, 15000, 60000 };
	size_t i, at;

	for (i = 0; i < LEN(lines); i++) {
		nbig = 0;
		add(START TXN);
		at = nbig;
		add_many('z', lines[i]);
		add("\r\n.\r\n");
		talk(big, nbig);
		CHECK(told(QUEUED(1)));
		CHECK(memmem(said, nsaid, big + at, lines[i]) != NULL);
		CHECK_MEM(said + nsaid - lines[i] - 2, lines[i], big + at, lines[i]);
		if (i == 3)
			CHECK_SPLIT(session, big, nbig);
	}
}

static void
test_recipients(void)
{
	int i;

	nbig = 0;
	add(START "MAIL FROM:<>\r\n");
	for (i = 0; i < RECIPIENTS; i++)
		add(i % 2 ? "RCPT TO:<bob@localhost>\r\n" : "RCPT TO:<alice+x@localhost>\r\n");
	talk(big, nbig);
	CHECK_INT(count(said, nsaid, TO), RECIPIENTS);
	add("RCPT TO:<bob@localhost>\r\nDATA\r\n.\r\n");
	talk(big, nbig);
	CHECK_INT(count(said, nsaid, TO), RECIPIENTS);
	CHECK(told(TO "452 4.5.3 Too many recipients\r\n" GO QUEUED(1) ALICE "From "));
	CHECK_INT(count(said, nsaid, "\nDelivered-To: "), 2);
	CHECK_SPLIT(session, big, nbig);
}

static void
test_hops(void)
{
	int i, hops;

	for (hops = 99; hops <= 100; hops++) {
		nbig = 0;
		add(START TXN);
		for (i = 0; i < hops; i++)
			add(i % 3 ? "Received: x\r\n" : "rEceived :\r\n x\r\n");
		add("\r\nReceived: no header\r\n.\r\nNOOP\r\n");
		talk(big, nbig);
		CHECK(told(hops < 100 ? GO QUEUED(1) OK : GO
		    "554 5.4.6 Too many Received fields: a loop\r\n" OK));
		CHECK_INT(told("[alice]"), hops < 100);
		CHECK_SPLIT(session, big, nbig);
	}
}

/* message_max counts the octets of the text as they are sent, without the final dot... */
static void
test_size(void)
{
	int over;

	message_max = 500;
	for (over = 0; over <= 1; over++) {
		nbig = 0;
		add("HELO c.example\r\n" TXN);
		add_many('z', 500 - 5 + (size_t)over);	/* ...or with it: the limit is no promise */
		add("\r\n.\r\nNOOP\r\n");
		talk(big, nbig);
		CHECK(told(over ? GO "552 5.3.4 Message too large\r\n" OK : GO QUEUED(1) OK));
		CHECK_INT(told("[alice]"), !over);
		CHECK_SPLIT(session, big, nbig);
	}
	talk(BYTES("HELO c.example\r\nMAIL FROM:<> SIZE=500\r\nRSET\r\nMAIL FROM:<> SIZE=501\r\n"));
	CHECK_SAID(HI HOST FROM OK "552 5.3.4 Message too large\r\n");
	/* what was declared does not count */
	talk(BYTES("HELO c.example\r\nMAIL FROM:<> SIZE=500\r\nRCPT TO:<alice@localhost>\r\n"
	    "DATA\r\nthe text\r\n.\r\n"));
	CHECK(told(GO QUEUED(1)));
	message_max = 50 << 20;
}

static void
test_large(void)
{
	size_t at, i;

	nbig = 0;
	add(START "MAIL FROM:<>\r\nRCPT TO:<team@localhost>\r\n"
	    "RCPT TO:<alice@localhost>\r\nDATA\r\n");
	at = nbig;
	for (i = 0; i < 600; i++)
		add("From here it is a line of a letter that is not small\r\n");
	add(".\r\n");
	talk(big, nbig);
	CHECK(told(GO QUEUED(1) ALICE));
	CHECK(told("[bob]\n\n\nFrom MAILER-DAEMON "));
	CHECK_INT(count(said, nsaid, "\n>From here it is a line"), 1200);
	CHECK_INT(access("spool/queue/" ID(1), F_OK), -1);
	CHECK_SPLIT(session, big, at + 600 * 54 + 3);
}

static void
test_quota(void)
{
	static const char two[] = "HELO c.example\r\n" TXN "1\r\n.\r\n" TXN "2\r\n.\r\n";

	quota = 200;
	/* the first fits just so, then the mailbox is over its quota */
	talk(BYTES(two));
	CHECK(told(TXN_OK QUEUED(1) FROM "452 4.2.2 Mailbox full\r\n"
	    "554 5.5.1 No valid recipients\r\n"));
	CHECK_INT(count(said, nsaid, "\nDelivered-To: "), 1);
	talk(BYTES("HELO c.example\r\nMAIL FROM:<> SIZE=200\r\nRCPT TO:<alice@localhost>\r\n"));
	CHECK(told(FROM "452 4.2.2 Mailbox full\r\n"));
	nbig = 0;
	add("HELO c.example\r\n" TXN);
	add_many('z', 300);
	add("\r\n.\r\n");
	talk(big, nbig);
	CHECK(told(TXN_OK "452 4.2.2 Mailbox full\r\n"));
	CHECK(!told("[alice]"));
	quota = 0;
}

int
main(void)
{
	smtp_test_init();
	test_scripts();
	test_smuggling();
	test_long_lines();
	test_long_text();
	test_recipients();
	test_hops();
	test_size();
	test_large();
	test_quota();
	return test_end();
}
