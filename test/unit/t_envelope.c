/* with: smtp.c envelope.c forward.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/sasl.c lib/srs.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Who may send as whom and to whom, and what of it stands in the queue: whole sessions over the
 * real store, each fed at once, cut at every byte, and in small pieces.
 */
#include "t_smtp.h"

#define LOGIN START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
#define LOGGED HI FEATURES("", AUTH) "235 2.7.0 Welcome\r\n"
#define DENIED "550 5.7.1 Relaying denied\r\n"
#define ADDED(n) "Date: " DATE "\nMessage-ID: <" ID(n) "@mx.example.org>\n\n"
#define UTF "\xc3\xbc"

static const struct script {
	int row;
	const char *ip;
	const char *in, *out;
} scripts[] = {
	/* a login: to anywhere, as itself */
	{ SUBMIT, "198.51.100.1", LOGIN "MAIL FROM:<alice@localhost>\r\nRCPT TO:<x@far.example>\r\n"
	    "RCPT TO:<bob@localhost>\r\nRCPT TO:<\"odd > one\"@[192.0.2.9]>\r\nDATA\r\n.\r\n",
	    LOGGED FROM TO TO TO GO QUEUED(1) BOB
	    HEAD("alice@localhost", "alice@localhost", "bob@localhost")
	    "Received: from c.example ([198.51.100.1])\n\tby mx.example.org with ESMTPA id " ID(1)
	    "\n\t; " DATE "\n" ADDED(1) "\n[out]\nF<alice@localhost> BY=alice\nT<x@far.example>\n"
	    "T<bob@localhost> bob\nT<\"odd > one\"@[192.0.2.9]>\n\n"
	    "Received: from c.example ([198.51.100.1])\n\tby mx.example.org with ESMTPA id " ID(1)
	    "\n\t; " DATE "\n" ADDED(1) },
	{ SUBMIT, "198.51.100.1", START "MAIL FROM:<alice@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\n",
	    HI FEATURES("", AUTH) "530 5.7.0 Authentication required\r\n" BAD_SEQ },
	/* after STARTTLS or a failed login nobody is known */
	{ SUBMIT, "198.51.100.1", START "AUTH PLAIN AGFsaWNlAHdyb25n\r\n"
	    "MAIL FROM:<alice@localhost>\r\n",
	    HI FEATURES("", AUTH) "535 5.7.8 Wrong name or password\r\n"
	    "530 5.7.0 Authentication required\r\n" },
	/* a trusted host, without and with a sender of its own; one that is not trusted; a login
	 * there */
	{ TRUST, "192.0.2.5", START "MAIL FROM:<any@where.example>\r\nRCPT TO:<x@far.example>\r\n"
	    "DATA\r\nSubject: s\r\n.\r\n",
	    HI FEATURES("", AUTH) FROM TO GO QUEUED(1)
	    "[out]\nF<any@where.example> BY=[192.0.2.5]\n"
	    "T<x@far.example>\n\nReceived: from c.example ([192.0.2.5])\n\tby mx.example.org with "
	    "ESMTP id " ID(1) "\n\tfor <x@far.example>; " DATE "\nSubject: s\nDate: " DATE
	    "\nMessage-ID: <" ID(1) "@mx.example.org>\n" },
	{ TRUST, "192.0.2.64", START "MAIL FROM:<any@where.example>\r\n"
	    "RCPT TO:<alice@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\nDATA\r\nDate: d\r\nMessage-ID: m\r\n\r\n.\r\n",
	    HI FEATURES("", AUTH) FROM TO TO GO QUEUED(1) ALICE
	    HEAD("printer@example.org", "printer@example.org", "alice@localhost")
	    "Received: from c.example ([192.0.2.64])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\t; " DATE "\nDate: d\nMessage-ID: m\n\n\n"
	    "[out]\nF<printer@example.org> BY=[192.0.2.64]\n"
	    "T<alice@localhost> alice\nT<x@far.example>\n\n"
	    "Received: from c.example ([192.0.2.64])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\t; " DATE "\nDate: d\nMessage-ID: m\n\n" },
	{ TRUST, "192.0.2.65", LOGIN "MAIL FROM:<any@where.example>\r\n"
	    "MAIL FROM:<alice@localhost>\r\n"
	    "RCPT TO:<x@far.example>\r\nDATA\r\nDate: d\r\nMessage-ID: m\r\n\r\n.\r\n",
	    LOGGED "553 5.7.1 You may not send as this address\r\n" FROM TO GO QUEUED(1)
	    "[out]\nF<alice@localhost> BY=alice\nT<x@far.example>\n\n"
	    "Received: from c.example ([192.0.2.65])\n\tby mx.example.org with ESMTPA id " ID(1)
	    "\n\tfor <x@far.example>; " DATE "\nDate: d\nMessage-ID: m\n\n" },
	{ TRUST, "192.0.2.64", LOGIN "MAIL FROM:<alice@localhost>\r\nRCPT TO:<x@far.example>\r\n"
	    "DATA\r\nDate: d\r\nMessage-ID: m\r\n\r\n.\r\n",
	    LOGGED FROM TO GO QUEUED(1) "[out]\nF<alice@localhost> BY=alice\nT<x@far.example>\n\n"
	    "Received: from c.example ([192.0.2.64])\n\tby mx.example.org with ESMTPA id " ID(1)
	    "\n\tfor <x@far.example>; " DATE "\nDate: d\nMessage-ID: m\n\n" },
	{ TRUST, "192.0.2.65", START "MAIL FROM:<any@where.example>\r\nRCPT TO:<x@far.example>\r\n",
	    HI FEATURES("", AUTH) "530 5.7.0 Authentication required\r\n" BAD_SEQ },
	/* the same host on port 25 is like any other */
	{ MX, "192.0.2.5", START "MAIL FROM:<any@where.example>\r\nRCPT TO:<x@far.example>\r\n",
	    STARTED FROM DENIED },
	/* this machine: no TLS, no AUTH, no questions */
	{ HERE, "::1", START "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nSTARTTLS\r\n"
	    "MAIL FROM:<any@where.example> BODY=8BITMIME\r\nRCPT TO:<x@far.example>\r\n"
	    "DATA\r\nDate: d\r\n\r\n.\r\n",
	    HI FEATURES("", "") "538 5.7.11 Encryption required: STARTTLS first\r\n"
	    "503 5.5.1 TLS is not to be had now\r\n" FROM TO GO QUEUED(1)
	    "[out]\nF<any@where.example> BODY=8BITMIME BY=local\nT<x@far.example>\n\n"
	    "Received: from c.example ([IPv6:::1])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\tfor <x@far.example>; " DATE "\nDate: d\n"
	    "Message-ID: <" ID(1) "@mx.example.org>\n\n" },
	/* what we carry on for anybody; nothing is added */
	{ MX, "198.51.100.1", START "MAIL FROM:<> SIZE=5 RET=HDRS\r\nRCPT TO:<X@Behind.Example>\r\n"
	    "RCPT TO:<x@sub.behind.example>\r\nRCPT TO:<x@behind.example.>\r\n"
	    "RCPT TO:<@behind.example:x@far.example>\r\nDATA\r\n.\r\n",
	    STARTED FROM TO DENIED "501 5.1.3 Bad recipient address\r\n" DENIED GO QUEUED(1)
	    "[out]\nF<> RET=HDRS\nT<X@Behind.Example>\n\n"
	    "Received: from c.example ([198.51.100.1])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\tfor <X@Behind.Example>; " DATE "\n" },
	/* aliases that lead elsewhere: each address once in a letter */
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example>\r\n"
	    "RCPT TO:<mixed+a=b@catch.example>\r\n"
	    "RCPT TO:<away@LOCALHOST>\r\nDATA\r\nSubject: s\r\n.\r\n",
	    STARTED FROM TO TO GO QUEUED(1) ALICE
	    HEAD("s@far.example", "s@far.example", "mixed+a=b@catch.example")
	    TRACE("ESMTP", 1, "", "")
	    "Subject: s\n\n[out]\nF<s@far.example>\nT<mixed+a=b@catch.example> alice\n"
	    "T<bob@TWO.example> FORWARD=mixed+2Ba+3Db@catch.example\n"
	    "T<c@three.example> FORWARD=mixed+2Ba+3Db@catch.example\n"
	    "T<a@one.example> FORWARD=mixed+2Ba+3Db@catch.example\n\n" TRACE("ESMTP", 1, "", "")
	    "Subject: s\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example>\r\n"
	    "RCPT TO:<\"away\"@localhost> NOTIFY=delay,FAILURE ORCPT=rfc822;a+3Eb>c\r\n"
	    "RCPT TO:<mixed@localhost> NOTIFY=NEVER\r\nDATA\r\n.\r\n",
	    STARTED FROM TO TO GO QUEUED(1) ALICE
	    HEAD("s@far.example", "s@far.example", "mixed@localhost") TRACE("ESMTP", 1, "", "") "\n"
	    "[out]\nF<s@far.example>\n"
	    "T<a@one.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+3Eb+3Ec "
	    "FORWARD=\"away\"@localhost\n"
	    "T<Bob@Two.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+3Eb+3Ec "
	    "FORWARD=\"away\"@localhost\n"
	    "T<mixed@localhost> alice\n"
	    "T<c@three.example> NOTIFY=NEVER FORWARD=mixed@localhost\n\n"
	    TRACE("ESMTP", 1, "", "") },
	/* ...that come back: with the field that went out with them, or another */
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example>\r\nRCPT TO:<away@localhost>\r\nDATA\r\n"
	    "Delivered-To: mixed@localhost\r\ndelivered-TO : <Away@\r\n LOCALHOST>\r\n\r\n.\r\n"
	    "MAIL FROM:<s@far.example>\r\nRCPT TO:<away@localhost>\r\nDATA\r\n"
	    "Delivered-To: away@localhost",
	    STARTED FROM TO GO "554 5.4.6 It was forwarded for this address before: a loop\r\n"
	    FROM TO GO },
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example>\r\nRCPT TO:<away@localhost>\r\nDATA\r\n"
	    "X: y\r\nDelivered-To: away@localhost\r\n.\r\nMAIL FROM:<s@far.example>\r\n"
	    "RCPT TO:<alice@localhost>\r\nDATA\r\nDelivered-To: away@localhost\r\n\r\n.\r\n",
	    STARTED FROM TO GO "554 5.4.6 It was forwarded for this address before: a loop\r\n"
	    FROM TO GO QUEUED(2) ALICE SMTP_A(2) "Delivered-To: away@localhost\n\n\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example>\r\nRCPT TO:<away@localhost>\r\nDATA\r\n"
	    "Delivered-To: mixed@localhost\r\nDelivered: away@localhost\r\n\r\n"
	    "Delivered-To: away@localhost\r\n.\r\n",
	    STARTED FROM TO GO QUEUED(1) "[out]\nF<s@far.example>\n"
	    "T<a@one.example> FORWARD=away@localhost\nT<Bob@Two.example> FORWARD=away@localhost\n\n"
	    TRACE("ESMTP", 1, "", "for <away@localhost>")
	    "Delivered-To: mixed@localhost\nDelivered: away@localhost\n\n"
	    "Delivered-To: away@localhost\n" },
	/* DSN: RFC 3461 */
	{ HERE, "::1", START "MAIL FROM:<a@b> RET=FULL ENVID=QQ314+2B>x BODY=8BITMIME AUTH=<>\r\n"
	    "RCPT TO:<x@far.example> ORCPT=RFC822;x@far.example NOTIFY=SUCCESS,FAILURE,DELAY\r\n"
	    "RCPT TO:<y@far.example> NOTIFY=never\r\nRCPT TO:<z@far.example> NOTIFY=Success\r\n"
	    "DATA\r\nDate: x\r\nMessage-ID: y\r\n\r\n.\r\n",
	    HI FEATURES("", "") FROM TO TO TO GO QUEUED(1)
	    "[out]\nF<a@b> BODY=8BITMIME RET=FULL ENVID=QQ314+2B+3Ex BY=local\n"
	    "T<x@far.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=RFC822;x@far.example\n"
	    "T<y@far.example> NOTIFY=NEVER\nT<z@far.example> NOTIFY=SUCCESS\n\n"
	    "Received: from c.example ([IPv6:::1])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\t; " DATE "\nDate: x\nMessage-ID: y\n\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<> RET=\r\nMAIL FROM:<> RET\r\n"
	    "MAIL FROM:<> RET=BODY\r\nMAIL FROM:<> RET=FULL RET=FULL\r\nNOOP\r\n",
	    STARTED "501 5.5.4 Bad RET\r\n501 5.5.4 Syntax error in parameter\r\n"
	    "501 5.5.4 Bad RET\r\n501 5.5.4 Syntax error in parameter\r\n" OK },
	{ MX, "192.0.2.1", START "MAIL FROM:<> ENVID=\r\nMAIL FROM:<> ENVID=a=b\r\n"
	    "MAIL FROM:<> ENVID=+3e\r\nMAIL FROM:<> ENVID=a+3\r\nNOOP\r\n",
	    STARTED "501 5.5.4 Bad ENVID\r\n501 5.5.4 Bad ENVID\r\n501 5.5.4 Bad ENVID\r\n"
	    "501 5.5.4 Bad ENVID\r\n" OK },
	{ MX, "192.0.2.1", START "MAIL FROM:<> NOTIFY=NEVER\r\nMAIL FROM:<> ENVID=1 ENVID=1\r\n"
	    "MAIL FROM:<> ORCPT=rfc822;x@y\r\nMAIL FROM:<> FORWARD=x\r\n",
	    STARTED "555 5.5.4 Unknown parameter\r\n501 5.5.4 Syntax error in parameter\r\n"
	    "555 5.5.4 Unknown parameter\r\n555 5.5.4 Unknown parameter\r\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> NOTIFY=\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY=NEVER,FAILURE\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY=SUCCESS,\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY=,SUCCESS\r\nNOOP\r\n",
	    STARTED FROM "501 5.5.4 Bad NOTIFY\r\n501 5.5.4 Bad NOTIFY\r\n501 5.5.4 Bad NOTIFY\r\n"
	    "501 5.5.4 Bad NOTIFY\r\n" OK },
	{ MX, "192.0.2.1", START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> NOTIFY=NOW\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY=DELAY NOTIFY=DELAY\r\n"
	    "RCPT TO:<alice@localhost> RET=FULL\r\nNOOP\r\n",
	    STARTED FROM "501 5.5.4 Bad NOTIFY\r\n501 5.5.4 Syntax error in parameter\r\n"
	    "501 5.5.4 Syntax error in parameter\r\n555 5.5.4 Unknown parameter\r\n" OK },
	{ MX, "192.0.2.1", START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> ORCPT=x@y\r\n"
	    "RCPT TO:<alice@localhost> ORCPT=rfc822;\r\nRCPT TO:<alice@localhost> ORCPT=;x@y\r\n"
	    "RCPT TO:<alice@localhost> ORCPT=rf c822;x@y\r\nNOOP\r\n",
	    STARTED FROM "501 5.5.4 Bad ORCPT\r\n501 5.5.4 Bad ORCPT\r\n501 5.5.4 Bad ORCPT\r\n"
	    "501 5.5.4 Bad ORCPT\r\n" OK },
	{ MX, "192.0.2.1", START "MAIL FROM:<>\r\nRCPT TO:<alice@localhost> ORCPT=rfc822;x=y\r\n"
	    "RCPT TO:<alice@localhost> ORCPT=rfc822;x+3\r\n"
	    "RCPT TO:<alice@localhost> ORCPT=a;x ORCPT=a;x\r\n"
	    "RCPT TO:<alice@localhost> ORCPT=utf-8;" UTF "@x\r\nNOOP\r\n",
	    STARTED FROM "501 5.5.4 Bad ORCPT\r\n501 5.5.4 Bad ORCPT\r\n"
	    "501 5.5.4 Syntax error in parameter\r\n501 5.5.4 Bad ORCPT\r\n" OK },
	/* a mailbox's line stays as it is; who wants to hear of the delivery is told by the
	 * relay */
	{ MX, "192.0.2.1", START "MAIL FROM:<s@far.example> RET=FULL ENVID=1\r\n"
	    "RCPT TO:<alice@localhost> NOTIFY=SUCCESS ORCPT=rfc822;alice@localhost\r\n"
	    "DATA\r\n.\r\n",
	    STARTED FROM TO GO QUEUED(1) ALICE SMTP_A(1) "\n"
	    "[out]\nF<s@far.example> RET=FULL ENVID=1\nT<alice@localhost> alice\n"
	    "T<alice@localhost> NOTIFY=SUCCESS ORCPT=rfc822;alice@localhost HERE\n\n"
	    "Received: from c.example ([192.0.2.1])\n\tby mx.example.org with ESMTP id " ID(1)
	    "\n\tfor <alice@localhost>; " DATE "\n" },
	/* SMTPUTF8: RFC 6531 */
	{ HERE, "::1", START "MAIL FROM:<j" UTF "@b" UTF "cher.example> SMTPUTF8\r\n"
	    "RCPT TO:<" UTF "@far.example> ORCPT=utf-8;" UTF "@x\r\nDATA\r\nDate: x\r\n"
	    "Message-ID: y\r\nSubject: " UTF "\r\n\r\n.\r\n",
	    HI FEATURES("", "") FROM TO GO QUEUED(1)
	    "[out]\nF<j" UTF "@b" UTF "cher.example> SMTPUTF8 BY=local\n"
	    "T<" UTF "@far.example> ORCPT=utf-8;" UTF "@x\n\n"
	    "Received: from c.example ([IPv6:::1])\n\tby mx.example.org with UTF8SMTP id " ID(1)
	    "\n\tfor <" UTF "@far.example>; " DATE "\nDate: x\nMessage-ID: y\n"
	    "Subject: " UTF "\n\n" },
	{ SUBMIT_WRAP, "198.51.100.1", LOGIN
	    "MAIL FROM:<alice@localhost> BODY=8BITMIME SMTPUTF8\r\n"
	    "RCPT TO:<alice+" UTF "@localhost>\r\nDATA\r\nDate: x\r\nMessage-ID: y\r\n\r\n.\r\n",
	    LOGGED FROM TO GO QUEUED(1) ALICE
	    HEAD("alice@localhost", "alice@localhost", "alice+" UTF "@localhost")
	    "Received: from c.example ([198.51.100.1])\n\tby mx.example.org with UTF8SMTPSA id "
	    ID(1) "\n\t(TLSv1.2 TLS_SUITE)\n\tfor <alice+" UTF "@localhost>; " DATE
	    "\nDate: x\nMessage-ID: y\n\n\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<j" UTF "@b>\r\nMAIL FROM:<a@b" UTF ">\r\n"
	    "MAIL FROM:<a@\xff> SMTPUTF8\r\nMAIL FROM:<\xc3@b> SMTPUTF8\r\n",
	    STARTED "553 5.6.7 Such an address needs SMTPUTF8\r\n"
	    "553 5.6.7 Such an address needs SMTPUTF8\r\n501 5.1.7 Bad sender address\r\n"
	    "501 5.1.7 Bad sender address\r\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<a@b> SMTPUTF8=1\r\n"
	    "MAIL FROM:<a@b> SMTPUTF8 SMTPUTF8\r\n"
	    "MAIL FROM:<a@b>\r\nRCPT TO:<" UTF "@catch.example>\r\nVRFY " UTF " SMTPUTF8\r\n",
	    STARTED "501 5.5.4 Syntax error in parameter\r\n501 5.5.4 Syntax error in parameter\r\n"
	    FROM "553 5.6.7 Such an address needs SMTPUTF8\r\n"
	    "252 2.0.0 Send it, then we will see\r\n" },
	{ MX, "192.0.2.1", START "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<" UTF "@localhost>\r\n"
	    "RCPT TO:<" UTF "@far.example>\r\nRCPT TO:<\xc2\x80@catch.example>\r\n"
	    "RCPT TO:<\"" UTF " " UTF "\"@catch.example>\r\n",
	    STARTED FROM NO_USER DENIED "501 5.1.3 Bad recipient address\r\n" TO },
};

static void
test_scripts(void)
{
	const struct script *t;
	size_t i;

	for (i = 0; i < LEN(scripts); i++) {
		t = &scripts[i];
		row = t->row;
		from_ip = t->ip;
		talk(t->in, strlen(t->in));
		if (!CHECK_MEM(said, nsaid, t->out, strlen(t->out)))
			test_show("for ", t->in, strlen(t->in));
		CHECK_SPLIT(session, t->in, strlen(t->in));
	}
	row = MX;
	from_ip = "192.0.2.1";
}

/* Nobody is let through on port 25 who is not meant to be, however it is spelled. */
static void
test_tricks(void)
{
	static const char *const senders[] = {
		"<s@far.example>", "<>", "<alice@localhost>", "<alice@mx.example.org> AUTH=<>",
		"<alice@localhost> AUTH=alice@localhost", "<@localhost:s@far.example>",
		"<root@[127.0.0.1]>",
	};
	static const char *const tricks[] = {
		"x@far.example", "X@FAR.EXAMPLE", "x%far.example@localhost",
		"x%far.example@mx.example.org", "x%far.example@[127.0.0.1]", "x%far.example",
		"far.example!x", "far.example!x@localhost", "@localhost:x@far.example",
		"@mx.example.org,@localhost:x@far.example",
		"@far.example:x%far.example@localhost", "\"x@far.example\"@localhost",
		"\"x@far.example\"", "\"x%far.example\"@localhost",
		"\"<x@far.example>\"@localhost", "x@far.example@localhost",
		"x@localhost@far.example", "x@[192.0.2.9]", "x@[127.0.0.1]", "alice@[127.0.0.1]",
		"x@[IPv6:::1]", "x+alice@far.example", "alice+x@far.example",
		"alice@localhost.far.example", "alice@far.example.localhost",
		"x@far.example,alice@localhost", "alice@localhost,x@far.example",
		"x@far.example\\@localhost", "\"x\\@far.example\"@localhost",
		"alice@localhost>,<x@far.example", "x@far.example%localhost",
		"x@behind.example@far.example", "x%behind.example@far.example",
		"x@sub.behind.example", "x@xbehind.example", "x@behind.example.far.example",
		"SRS0=AAAA=AA=far.example=x@localhost", "SRS0=AAAA=AA=far.example=x@far.example",
		"SRS1=AAAA=far.example==AA=AA=a=b@localhost",
		"SRS0+AAAA=AA=far.example=x@mx.example.org", "postmaster@far.example",
		"postmaster%far.example@localhost", "away@far.example", "a@one.example", "x@",
		"@far.example", "x@.", "x@far.example.", "root@127.0.0.1",
	};
	size_t i, k;

	for (i = 0; i < LEN(senders); i++) {
		for (k = 0; k < LEN(tricks); k++) {
			nbig = 0;
			add(START "MAIL FROM:");
			add(senders[i]);
			add("\r\nRCPT TO:<");
			add(tricks[k]);
			add(">\r\nDATA\r\nNOOP\r\n");
			talk(big, nbig);
			CHECK_MSG(told(FROM "550 ") || told(FROM "501 5."), "%s, from %s",
			    tricks[k], senders[i]);
			CHECK(told("554 5.5.1 No valid recipients\r\n" OK) && !told("[out]"));
		}
	}
}

/* Mail for a sender that we have rewritten: from <> only, and only with our hash. */
static void
test_back(void)
{
	char srs[ADDR_TEXT + 1], *at;
	int good;

	CHECK_INT(forward_sender("s@far.example", srs), 0);
	at = strchr(srs, '@');
	CHECK(at != NULL);
	for (good = 0; good < 4; good++) {
		nbig = 0;
		add(START "MAIL FROM:<");
		add(good == 1 ? "s@far.example" : "");
		add(">\r\nRCPT TO:<");
		add(srs);
		add(">\r\nDATA\r\n.\r\n");
		if (good == 2)
			((char *)memmem(big, nbig, "far.example=", 12))[0] = 'g';
		if (good == 3)
			(void)memcpy(strchr(strstr(big, "TO:<"), '@') + 1, "xyz", 3);
		talk(big, nbig);
		CHECK_INT(told(TO), !good);
		CHECK_INT(told("T<s@far.example>\n\n"), !good);
		CHECK_INT(told(good == 3 ? DENIED : NO_USER), good > 0);
		CHECK_SPLIT(session, big, nbig);
	}
	/* a login may write to it as little */
	row = SUBMIT;
	nbig = 0;
	add(LOGIN "MAIL FROM:<alice@localhost>\r\nRCPT TO:<");
	add(srs);
	add(">\r\n");
	talk(big, nbig);
	CHECK(told(NO_USER));
	row = MX;
	/* one of ours has sent it: it stays here */
	CHECK_INT(forward_sender("alice@localhost", srs), 0);
	CHECK_STR(srs, "alice@localhost");
}

/* A limit: the reply, and nothing that was refused gets into the letter. */
static void
test_limit(void)
{
	static const struct {
		int row;
		const char *ip, *start;
	} t[] = {
		{ SUBMIT, "198.51.100.1", LOGIN "MAIL FROM:<alice@localhost>\r\n" },
		{ TRUST, "192.0.2.2", START "MAIL FROM:<alice@localhost>\r\n" },
		{ HERE, "::1", START "MAIL FROM:<alice@localhost>\r\n" },
		{ MX, "192.0.2.2", START "MAIL FROM:<alice@localhost>\r\n" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		row = t[i].row;
		start_client(t[i].ip);
		budget = 2;
		nbig = 0;
		add(t[i].start);
		add("RCPT TO:<nobody@localhost>\r\nRCPT TO:<x@behind.example>\r\n"
		    "RCPT TO:<bob@localhost>\r\nRCPT TO:<y@behind.example>\r\n"
		    "RCPT TO:<alice@localhost>\r\nRCPT TO:<away@localhost>\r\nDATA\r\n.\r\n");
		last_id = 0;
		CHECK(send(client, big, nbig, MSG_NOSIGNAL) == (ssize_t)nbig);
		nsaid = settle(said, sizeof(said));
		end_client();
		nsaid += take_boxes(said + nsaid, sizeof(said) - nsaid);
		CHECK_INT(count(said, nsaid, "450 4.7.1 Too many recipients in an hour"),
		    i < 2 ? 3 : 0);
		CHECK_INT(count(said, nsaid, TO), i < 2 ? 2 : 5);
		CHECK_INT(count(said, nsaid, "[out]"), 1);
		CHECK_INT(count(said, nsaid, "\nT<"), i < 2 ? 2 : 6);
		CHECK_INT(told("[alice]"), i >= 2);
	}
	row = MX;
}

/* A forward alias is one recipient of MAIL, but lines add up: what does not fit is refused as a
 * whole. */
static void
test_many(void)
{
	int i, k;

	row = HERE;
	nbig = 0;
	add(START "MAIL FROM:<>\r\n");
	for (i = 0; i < RECIPIENTS - 1; i++)
		add("RCPT TO:<x@far.example>\r\n");
	add("RCPT TO:<mixed@localhost>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n.\r\n");
	talk(big, nbig);
	CHECK_INT(count(said, nsaid, TO), RECIPIENTS);
	CHECK(told(TO "452 4.5.3 Too many recipients\r\n" TO GO QUEUED(1)));
	CHECK_INT(count(said, nsaid, "\nT<x@far.example>\n"), RECIPIENTS - 1);
	CHECK(!told("FORWARD"));
	/* the longest lines there can be */
	nbig = 0;
	add(START "MAIL FROM:<> ENVID=");
	add_many('>', 100);
	add("\r\nRCPT TO:<alice@localhost> ORCPT=rfc822;");
	add_many('o', 494);
	add("\r\nRCPT TO:<alice@localhost> ORCPT=rfc822;");
	add_many('>', 493);
	add("\r\nRCPT TO:<away+");
	add_many('+', 58);
	add("@localhost> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;");
	add_many('o', 493);
	add("\r\n");
	for (i = 0; i < RECIPIENTS; i++) {
		add("RCPT TO:<");
		add_many('l', 64);
		for (k = 0; k < 4; k++) {
			add(k ? "." : "@");
			add_many('d', k < 3 ? 63 : 62);
		}
		add("> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;");
		add_many('o', 493);
		add("\r\n");
	}
	add("DATA\r\n.\r\n");
	talk(big, nbig);
	CHECK_INT(count(said, nsaid, TO), RECIPIENTS - 1);	/* one counts for two */
	CHECK_INT(count(said, nsaid, "452 4.5.3 Too many recipients\r\n"), 2);
	CHECK(told("[out]\nF<> ENVID=+3E+3E"));
	CHECK(told("501 5.5.4 Bad ORCPT\r\n501 5.5.4 Parameters too long\r\n" TO));
	CHECK_INT(count(said, nsaid, " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;ooo"), RECIPIENTS);
	CHECK_INT(count(said, nsaid, " FORWARD=away+2B+2B"), 2);
	row = MX;
}

int
main(void)
{
	smtp_test_init();
	test_scripts();
	test_tricks();
	test_back();
	test_limit();
	test_many();
	return test_end();
}
