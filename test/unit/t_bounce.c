/* with: bounce.c forward.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/srs.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Reports over a real store: who gets one about what, its bytes, its lines whatever others had
 * written, a disk that fails. And the senders of forwarded mail. With BOUNCES=DIR in the
 * environment each report is also left there as a file, for test/interop/bounce.py.
 */
#include "lib/text.h"
#include "relay.h"
#include "rooms.h"

enum { SIZE = 1 << 20 };

static char box[SIZE], report[SIZE], letter[SIZE];
static unsigned char which[RECIPIENTS];
static struct sending s;
static int nreports;

#define ID7 "0006410f0000000000007"

#define TEXT "Received: from x ([192.0.2.1])\n\tby mx.example.org with ESMTPSA id " ID7 "\n" \
	"From: bob@localhost\nSubject: hello\n\nThe text.\n"

/* Are no letters taken over from store.c here? Then nobody looks for them. */
void
relay_new(const char *id)
{
	(void)id;
}

/* ---- letters on their way out ---- */

/* A letter as out.c would have it: F line and T lines, then the text. */
static void
letter_is(const char *envelope, const char *text, size_t n)
{
	size_t k = strlen(envelope);
	const char *p;

	memcpy(letter, envelope, k);
	letter[k] = '\n';
	memcpy(letter + k + 1, text, n);
	spill("letter", letter, k + 1 + n);
	memset(&s, 0, sizeof(s));
	memset(which, 0, sizeof(which));
	memcpy(s.id, ID7, sizeof(ID7));
	s.fd = open("letter", O_RDWR);
	s.text = (off_t)k + 1;
	s.end = (off_t)(k + 1 + n);
	for (p = strchr(envelope, '\n'); p && p[1]; p = strchr(p + 1, '\n')) {
		s.to[s.n].at = p + 1 - envelope;
		s.to[s.n].outcome = O_FAILED;
		strncpy(s.to[s.n].status, "5.1.1", STATUS_TEXT);
		strncpy(s.to[s.n].words, "550 5.1.1 no such user", WORDS - 1);
		which[s.n++] = 1;
	}
}

static void
letter_gone(void)
{
	(void)close(s.fd);
}

/* The files in a directory: how many, and the name of one of them. */
static int
files(const char *dir, char *name, size_t size)
{
	struct fs_dir d;
	const char *p;
	int n = 0;

	if (fs_diropen(&d, dir) < 0)
		return 0;
	for (; (p = fs_dirnext(&d)); n++)
		(void)snprintf(name, size, "%s/%s", dir, p);
	return n;
}

/* What has come: "alice", "bob", or the recipient for another server; "" nothing, "?" too much. */
static const char *
arrived(size_t *n)
{
	static char to[ADDR_TEXT + 1];
	char name[600], path[600];
	int alice, bob, out;
	const char *p;

	ticks();
	alice = (int)slurp("mail/alice", box, sizeof(box));
	bob = (int)slurp("mail/bob", box, sizeof(box));
	out = files("spool/out", name, sizeof(name));
	if ((alice > 0) + (bob > 0) + out > 1)
		return "?";
	*n = slurp(alice ? "mail/alice" : bob ? "mail/bob" : name, report, sizeof(report));
	(void)unlink("mail/alice");
	(void)unlink("mail/bob");
	if (out) {
		(void)unlink(name);
		p = strstr(report, "\nT<");
		if (p)
			(void)text_copy(to, sizeof(to), p + 3, strcspn(p + 3, ">"));
		return p ? to : "?";
	}
	if ((alice || bob) && getenv("BOUNCES")) {
		(void)snprintf(path, sizeof(path), "%s/%03d.eml", getenv("BOUNCES"), nreports++);
		spill(path, report, *n);
	}
	return alice ? "alice" : bob ? "bob" : "";
}

#define EIGHT "\nContent-Transfer-Encoding: 8bit\n"

#define GOT(want) do { \
	const char *who_ = arrived(&n); \
	CHECK_STR(who_, want); \
} while (0)

/* What must hold for every line, whoever wrote what stands in it. */
static void
check_lines(const char *p, size_t n)
{
	int eight = memmem(p, n, "Encoding: 8bit\n", 15) != NULL;
	const char *e = p + n, *lf;
	size_t i;

	for (; p < e; p = lf + 1) {
		lf = memchr(p, '\n', (size_t)(e - p));
		if (!CHECK(lf != NULL))
			return;
		if (lf - p > 998)
			CHECK_MSG(0, "a line of %d octets", (int)(lf - p));
		for (i = 0; p + i < lf; i++)
			if (!p[i] || p[i] == '\r' || (!eight && (unsigned char)p[i] > 126))
				CHECK_MSG(0, "octet %d at %d: %.60s", (unsigned char)p[i], (int)i,
				    p);
	}
}

/* ---- who gets one ---- */

#define FAIL REPORT_FAILED
#define WAIT REPORT_DELAYED
#define SENT REPORT_SENT
#define BOB "<bob@localhost> BY=bob"

static void
test_who(void)
{
	static const struct {
		enum report what;
		const char *from, *to;
		enum dsn dsn;
		const char *want;
	} t[] = {
		{ FAIL, BOB, "<x@far.example>", 0, "bob" },
		{ WAIT, BOB, "<x@far.example>", 0, "bob" },
		{ SENT, BOB, "<x@far.example>", 0, "" },
		/* the null sender */
		{ FAIL, "<> BY=bob", "<x@far.example> NOTIFY=FAILURE", 0, "" },
		{ WAIT, "<> BY=bob", "<x@far.example> NOTIFY=DELAY", 0, "" },
		{ SENT, "<> BY=bob", "<x@far.example> NOTIFY=SUCCESS", 0, "" },
		{ FAIL, "<>", "<x@far.example>", 0, "" },
		/* from outside */
		{ FAIL, "<a@out.example>", "<x@far.example>", 0, "alice" },
		{ WAIT, "<a@out.example>", "<x@far.example>", 0, "" },
		{ WAIT, "<a@out.example>", "<x@far.example> NOTIFY=DELAY", 0, "" },
		{ SENT, "<a@out.example>", "<x@far.example> NOTIFY=SUCCESS", 0, "a@out.example" },
		{ SENT, "<a@out.example>", "<x@far.example>", 0, "" },
		{ FAIL, "<a@out.example>", "<x@far.example> NOTIFY=NEVER", 0, "" },
		{ FAIL, "<a@out.example>", "<x@far.example> FORWARD=team@localhost", 0, "alice" },
		/* NOTIFY */
		{ FAIL, BOB, "<x@far.example> NOTIFY=NEVER", 0, "" },
		{ WAIT, BOB, "<x@far.example> NOTIFY=NEVER", 0, "" },
		{ SENT, BOB, "<x@far.example> NOTIFY=NEVER", 0, "" },
		{ FAIL, BOB, "<x@far.example> NOTIFY=DELAY,SUCCESS", 0, "" },
		{ WAIT, BOB, "<x@far.example> notify=delay,success", 0, "bob" },
		{ SENT, BOB, "<x@far.example> NOTIFY=DELAY,SUCCESS", 0, "bob" },
		{ FAIL, BOB, "<x@far.example> NOTIFY=SUCCESS,FAILURE,DELAY", 0, "bob" },
		{ WAIT, BOB, "<x@far.example> NOTIFY=SUCCESS,FAILURE", 0, "" },
		{ FAIL, BOB, "<x@far.example> NOTIFY=", 0, "" },
		{ FAIL, BOB, "<x@far.example> NOTIFY=XFAILURE,FAILUREX", 0, "" },
		/* a success the next server will tell of, or cannot */
		{ SENT, BOB, "<x@far.example> NOTIFY=SUCCESS", DSN_PROMISED, "" },
		{ SENT, BOB, "<x@far.example> NOTIFY=SUCCESS", DSN_DELIVERED, "bob" },
		{ SENT, BOB, "<x@far.example> NOTIFY=SUCCESS", DSN_NONE, "bob" },
		{ FAIL, BOB, "<x@far.example>", DSN_PROMISED, "bob" },
		/* who handed it in, and where its sender lives */
		{ FAIL, "<bob@localhost> BODY=8BITMIME BY=local", "<x@far.example>", 0, "bob" },
		{ FAIL, "<bob@localhost> BY=[192.0.2.7] ENVID=x", "<x@far.example>", 0, "bob" },
		{ FAIL, "<z@catch.example> BY=local", "<x@far.example>", 0, "bob" },
		{ FAIL, "<j@out.example> BY=bob", "<x@far.example>", 0, "j@out.example" },
		{ WAIT, "<j@out.example> BY=bob", "<x@far.example>", 0, "j@out.example" },
		{ FAIL, "<j@[192.0.2.9]> BY=bob", "<x@far.example>", 0, "j@[192.0.2.9]" },
		{ FAIL, "<\"a b\"@out.example> BY=x", "<x@far.example>", 0, "\"a b\"@out.example" },
		/* a sender of ours that nobody is */
		{ FAIL, "<printer@localhost> BY=[192.0.2.7]", "<x@far.example>", 0, "alice" },
		{ WAIT, "<printer@localhost> BY=[192.0.2.7]", "<x@far.example>", 0, "" },
		{ FAIL, "<BOB+tag@mx.example.org> BY=bob", "<x@far.example>", 0, "bob" },
	};
	char envelope[600];
	const char *who;
	size_t i, n;

	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(envelope, sizeof(envelope), "F%s\nT%s\n", t[i].from, t[i].to);
		letter_is(envelope, BYTES(TEXT));
		s.to[0].dsn = t[i].dsn;
		CHECK_INT(bounce(t[i].what, &s, which, 1795400000), 0);
		who = arrived(&n);
		(void)CHECK_MSG(!strcmp(who, t[i].want), "row %d, %d F%s T%s: got %s, want %s",
		    (int)i, (int)t[i].what, t[i].from, t[i].to, who, t[i].want);
		if (n)
			check_lines(report, n);
		letter_gone();
	}
}

/* ---- what stands in it ---- */

static const char failed_report[] =
    "From MAILER-DAEMON Sun Nov 22 03:03:14 2026\n"
    "Return-Path: <>\n"
    "Delivered-To: bob@localhost\n"
    "Received: from mx.example.org\n"
    "\tby mx.example.org id @ID@\n"
    "\t; " DATE "\n"
    "Date: " DATE "\n"
    "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\n"
    "To: <bob@localhost>\n"
    "Subject: Mail could not be delivered\n"
    "Message-ID: <@ID@@mx.example.org>\n"
    "Auto-Submitted: auto-replied\n"
    "MIME-Version: 1.0\n"
    "Content-Type: multipart/report; report-type=delivery-status;\n"
    "\tboundary=\"=_@ID@.0707070707070707\"\n"
    "\n"
    "This is a report in MIME format (RFC 6522).\n"
    "\n"
    "--=_@ID@.0707070707070707\n"
    "Content-Type: text/plain; charset=us-ascii\n"
    "\n"
    "This is the mail server mx.example.org.\n"
    "\n"
    "Your message of Sun, 22 Nov 2026 02:13:54 +0000 could not be delivered.\n"
    "\n"
    "  <x@far.example>\n"
    "    forwarded for <team@localhost>\n"
    "    mail.far.example said:\n"
    "    550 5.1.1 <x@far.example> no such user here, nor was there ever one of\n"
    "    that name\n"
    "\n"
    "  <y@dead.example>\n"
    "    given up after 0 hours; at last:\n"
    "    no answer\n"
    "\n"
    "The header of the message follows.\n"
    "\n"
    "--=_@ID@.0707070707070707\n"
    "Content-Type: message/delivery-status\n"
    "\n"
    "Original-Envelope-Id: a+b\n"
    "Reporting-MTA: dns; mx.example.org\n"
    "Arrival-Date: Sun, 22 Nov 2026 02:13:54 +0000\n"
    "\n"
    "Original-Recipient: rfc822;x+y@list.example\n"
    "Final-Recipient: rfc822; x@far.example\n"
    "Action: failed\n"
    "Status: 5.1.1\n"
    "Remote-MTA: dns; mail.far.example\n"
    "Diagnostic-Code: smtp; 550 5.1.1 <x@far.example> no such user here, nor was\n"
    "    there ever one of that name\n"
    "Last-Attempt-Date: " DATE "\n"
    "Final-Log-ID: @LETTER@\n"
    "\n"
    "Final-Recipient: rfc822; y@dead.example\n"
    "Action: failed\n"
    "Status: 4.4.1\n"
    "Remote-MTA: dns; mail.far.example\n"
    "Diagnostic-Code: X-Maild; no answer\n"
    "Last-Attempt-Date: " DATE "\n"
    "Final-Log-ID: @LETTER@\n"
    "\n"
    "--=_@ID@.0707070707070707\n"
    "Content-Type: text/rfc822-headers\n"
    "\n"
    "Received: from x ([192.0.2.1])\n"
    "\tby mx.example.org with ESMTPSA id " ID7 "\n"
    "From: bob@localhost\n"
    "Subject: hello\n"
    "\n"
    "--=_@ID@.0707070707070707--\n"
    "\n";

/* The template with the ids filled in. */
static size_t
fill(char *dst, const char *p, const char *id, const char *other)
{
	size_t n = 0;

	while (*p) {
		if (!strncmp(p, "@ID@", 4) || !strncmp(p, "@LETTER@", 8)) {
			memcpy(dst + n, p[1] == 'I' ? id : other, 21);
			n += 21;
			p += p[1] == 'I' ? 4 : 8;
		} else {
			dst[n++] = *p++;
		}
	}
	return n;
}

static void
test_bytes(void)
{
	static const char envelope[] = "F<bob@localhost> ENVID=a+2Bb BY=bob\n"
	    "T<x@far.example> NOTIFY=FAILURE ORCPT=rfc822;x+2By@list.example "
	    "FORWARD=team@localhost\n"
	    "T<y@dead.example>\nT<z@fine.example>\n";
	static char want[8192];
	char id[ID_TEXT], came[ID_TEXT];
	const char *p;
	size_t k, n;

	letter_is(envelope, BYTES(TEXT));
	/* born 2,960 seconds before the wall clock of the tests */
	(void)snprintf(came, sizeof(came), "%013llx00000000", (1795316594LL - 2960) * 1000000);
	memcpy(s.id, came, sizeof(s.id));
	s.host = "mail.far.example";
	(void)snprintf(s.to[0].words, WORDS, "550 5.1.1 <x@far.example> no such user here, nor was"
	    " there ever one of that name");
	(void)snprintf(s.to[1].status, STATUS_TEXT, "4.4.1");
	(void)snprintf(s.to[1].words, WORDS, "no answer");
	which[2] = 0;
	(void)snprintf(id, sizeof(id), "0006410f3a2b1%08x", last_id + 1);
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("bob");
	k = fill(want, failed_report, id, came);
	/* but for the From_ line, which tells the time in the report's id */
	p = strchr(report, '\n');
	CHECK_MEM(p, n - (size_t)(p - report), strchr(want, '\n'), k - strcspn(want, "\n"));
	letter_gone();
}

/* A line of the last report. */
static int
has(const char *line)
{
	return strstr(report, line) != NULL;
}

static void
test_delayed(void)
{
	size_t n;

	letter_is("F<bob@localhost> BY=bob RET=FULL\nT<x@far.example>\n", BYTES(TEXT));
	(void)snprintf(s.to[0].status, STATUS_TEXT, "5.7.8");
	(void)snprintf(s.to[0].words, WORDS, "535 5.7.8 wrong password");
	CHECK_INT(bounce(REPORT_DELAYED, &s, which, 1795400000), 0);
	GOT("bob");
	CHECK(has("\nSubject: Mail is delayed\n"));
	CHECK(has("\nAction: delayed\nStatus: 4.7.8\n"
	    "Diagnostic-Code: smtp; 535 5.7.8 wrong password\n"));
	CHECK(has("\nWill-Retry-Until: Mon, 23 Nov 2026 02:13:20 +0000\n"));
	CHECK(has("\nIt will be tried until Mon, 23 Nov 2026 02:13:20 +0000.\n"));
	CHECK(has("\nContent-Type: text/rfc822-headers\n") && !has("The text."));
	letter_gone();
}

static void
test_sent(void)
{
	size_t n;

	letter_is("W<bob@localhost> BY=bob\nD<x@far.example> NOTIFY=SUCCESS\n"
	    "D<y@far.example> NOTIFY=SUCCESS\nD<z@far.example> NOTIFY=SUCCESS\n"
	    "T<q@far.example> NOTIFY=SUCCESS\n", BYTES(TEXT));
	s.to[0].dsn = DSN_DELIVERED;
	s.to[2].dsn = DSN_PROMISED;
	s.to[0].status[0] = '\0';
	(void)snprintf(s.to[1].status, STATUS_TEXT, "2.6.0");
	which[3] = 0;
	CHECK_INT(bounce(REPORT_SENT, &s, which, 0), 0);
	GOT("bob");
	CHECK(has("\nFinal-Recipient: rfc822; x@far.example\n"
	    "Action: delivered\nStatus: 2.0.0\nLast"));
	CHECK(has("\nFinal-Recipient: rfc822; y@far.example\n"
	    "Action: relayed\nStatus: 2.6.0\nLast"));
	CHECK(!has("z@far.example") && !has("q@far.example"));
	letter_gone();
}

/* To a postmaster: whose it was; and never the text. */
static void
test_postmaster(void)
{
	size_t n;

	letter_is("F<a@out.example> RET=FULL\nT<x@far.example>\n", BYTES(TEXT));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("alice");
	CHECK(has("\nTo: <postmaster@mx.example.org>\n"));
	CHECK(has("\nA message from\n  <a@out.example>\n"));
	CHECK(!has("The text."));
	letter_gone();
}

/* The sender is an alias for outside addresses: marked, so that circles are noticed. */
static void
test_away(void)
{
	size_t n;

	letter_is("F<away+tag@localhost> BY=local\nT<x@far.example>\n", BYTES(TEXT));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("a@one.example");
	CHECK(!strncmp(report, "F<> BY=local\nT<a@one.example> FORWARD=away+2Btag@localhost\n"
	    "T<Bob@Two.example> FORWARD=away+2Btag@localhost\n\nReceived: ", 109));
	CHECK(has("\nTo: <away+tag@localhost>\n"));
	letter_gone();
}

/* RET=FULL, up to what fits. */
static void
test_full(void)
{
	static char text[70000];
	size_t n, size;

	letter_is("F<bob@localhost> RET=FULL BY=bob\nT<x@far.example>\n", BYTES(TEXT));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("bob");
	CHECK(has("\nContent-Type: message/rfc822\n\n" TEXT "\n--=_"));
	letter_gone();
	for (size = 65530; size < 65543; size++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "Subject: x\n\n", 12);
		for (n = 70; n < sizeof(text); n += 70)
			text[n] = '\n';
		letter_is("F<bob@localhost> RET=FULL BY=bob\nT<x@far.example>\n", text, size);
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		GOT("bob");
		(void)CHECK_MSG(has("message/rfc822") == (size <= 65536), "of %d octets",
		    (int)size);
		(void)CHECK_MSG(has("text/rfc822-headers\n\nSubject: x\n\n--=_") == (size > 65536),
		    "of %d octets", (int)size);
		check_lines(report, n);
		letter_gone();
	}
}

/* ---- bad input ---- */

/* Headers of any kind: what comes of them. */
static void
test_headers(void)
{
	static const struct {
		const char *text;
		size_t n;
		const char *want;
		size_t nwant;
	} t[] = {
		{ BYTES(""), BYTES("") },
		{ BYTES("\n"), BYTES("") },
		{ BYTES("\nSubject: x\n"), BYTES("") },
		{ BYTES("Subject: x\n"), BYTES("Subject: x\n") },
		{ BYTES("Subject: x"), BYTES("Subject: x\n") },
		{ BYTES("Subject"), BYTES("") },
		{ BYTES("Subject: x\nno field\nY: z\n"), BYTES("Subject: x\n") },
		{ BYTES("A: 1\n folded\n\tmore\nB: 2\n\nC: 3\n"),
		    BYTES("A: 1\n folded\n\tmore\nB: 2\n") },
		{ BYTES("A: \0\0x\nB: 2\n\n"), BYTES("A: ??x\nB: 2\n") },
		{ BYTES("From a@b Sun Nov 22 03:03:14 2026\nA: 1\n\n"), BYTES("") },
		{ BYTES("A: \n\n\n"), BYTES("A: \n") },
		{ BYTES("A: x\n.\n\n"), BYTES("A: x\n") },
		{ BYTES("A: --=_x\n--=_y\n\n"), BYTES("A: --=_x\n") },
	};
	static const char type[] = "\nContent-Type: text/rfc822-headers\n\n";
	const char *p, *e;
	size_t i, n;

	for (i = 0; i < LEN(t); i++) {
		letter_is("F<bob@localhost> BY=bob\nT<x@far.example>\n", t[i].text, t[i].n);
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		GOT("bob");
		p = memmem(report, n, type, sizeof(type) - 1);
		p = p ? p + sizeof(type) - 1 : report;
		e = memmem(p, n - (size_t)(p - report), "\n--=_0006", 9);
		if (CHECK(e != NULL))
			CHECK_MEM(p, (size_t)(e - p), t[i].want, t[i].nwant);
		check_lines(report, n);
		letter_gone();
	}
}

static void
test_long(void)
{
	static const char type[] = "\nContent-Type: text/rfc822-headers\n\n";
	static char text[300000];
	const char *p;
	size_t i, n;

	/* one line of any length around the limit */
	for (i = 985; i < 2100; i += i < 1000 ? 1 : 97) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "S: ", 3);
		text[i] = '\n';
		text[i + 1] = '\n';
		letter_is("F<bob@localhost> BY=bob\nT<x@far.example>\n", text, i + 2);
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		GOT("bob");
		check_lines(report, n);
		letter_gone();
	}
	/* one line without an end, in a header and as all there is; a header of 200 KB */
	for (i = 0; i < 3; i++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "S: x\nL: ", 8);
		if (i == 1)
			text[1] = 'a';
		for (n = 8; i == 2 && n < 200000; n += 60)
			memcpy(text + n, "\nX: ", 4);
		letter_is("F<bob@localhost> BY=bob RET=FULL\nT<x@far.example>\n", text, 200000);
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		GOT("bob");
		check_lines(report, n);
		p = memmem(report, n, type, sizeof(type) - 1);
		if (CHECK(p != NULL))
			p += sizeof(type) - 1;
		if (p && i == 0)
			CHECK(!memcmp(p, "S: x\n\n--=_", 10));
		if (p && i == 1)
			CHECK(!memcmp(p, "\n--=_", 5));
		if (p && i == 2)
			CHECK(!memcmp(p, "S: x\nL: \nX: aaa", 15) && n > 65000 && n < 70000);
		letter_gone();
	}
}

/* Every octet in everything that others write; nothing of it may begin a line of its own. */
static void
test_octets(void)
{
	static const char *const kinds[] = {
		"F<bob@localhost> BY=bob\nT<x@far.example>\n",
		"F<bob@localhost> BY=bob SMTPUTF8\nT<x\xc3\xa4@far.example>\n",
	};
	char envelope[1024];
	int ch, i, what;
	size_t k, n;

	for (k = 0; k < LEN(kinds); k++) {
		for (ch = 1; ch < 256; ch++) {
			letter_is(kinds[k], BYTES("Subject: x\n\n"));
			s.host = s.to[0].words;
			for (i = 0; i < WORDS - 1; i++)
				s.to[0].words[i] = (char)(i % 40 == 3 ? ' ' : i % 4 ? 'w' : ch);
			if (ch % 2)
				memcpy(s.to[0].words, "550 ", 4);
			for (i = 0; i < STATUS_TEXT - 1; i++)
				s.to[0].status[i] = (char)ch;
			CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
			GOT("bob");
			check_lines(report, n);
			CHECK(has("\nStatus: 5.0.0\n"));
			CHECK_INT(count(report, n, "\nAction: "), 1);
			letter_gone();
			/* as xtext: line ends, escapes, halves of them */
			(void)snprintf(envelope, sizeof(envelope),
			    "F<bob@localhost> BY=bob ENVID=+%02X+0A+0D+00+"
			    "\nT<x@far.example> ORCPT=rfc822;a+%02X+0AX-Bad:+20y+0d+G1+1 "
			    "FORWARD=+%02X+0A\n", ch,
			    ch, ch);
			letter_is(envelope, BYTES("Subject: x\n\n"));
			what = ch % 2 ? REPORT_FAILED : REPORT_DELAYED;
			CHECK_INT(bounce((enum report)what, &s, which, 0), 0);
			GOT("bob");
			check_lines(report, n);
			CHECK(!has("\nX-Bad"));
			CHECK(has("?X-Bad: y+0d+G1+1\n"));
			letter_gone();
		}
	}
}

static void
test_addresses(void)
{
	static const char *const t[] = {
		"\"a b\"@far.example", "\"a\\\"b>\"@far.example", "\"\\\\\"@far.example",
		    "\"> <\"@far.example",
		"a@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@far.example", "\"a;b,c\"@far.example",
		"\"=?utf-8?q?x?=\"@far.example",
	};
	char envelope[1024], want[512];
	size_t i, n;

	for (i = 0; i < LEN(t); i++) {
		(void)snprintf(envelope, sizeof(envelope),
		    "F<bob@localhost> BY=bob\nT<%s> NOTIFY=FAILURE\n",
		    t[i]);
		letter_is(envelope, BYTES(TEXT));
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		GOT("bob");
		(void)snprintf(want, sizeof(want), "\nFinal-Recipient: rfc822; %s\n", t[i]);
		(void)CHECK_MSG(has(want), "%s", t[i]);
		letter_gone();
		/* and as the sender */
		(void)snprintf(envelope, sizeof(envelope), "F<%s> BY=bob\nT<x@far.example>\n",
		    t[i]);
		letter_is(envelope, BYTES(TEXT));
		CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
		(void)arrived(&n);
		(void)snprintf(want, sizeof(want), "\nT<%s>\n\nReceived: ", t[i]);
		(void)CHECK_MSG(has(want), "%s", t[i]);
		(void)snprintf(want, sizeof(want), "\nTo: <%s>\n", t[i]);
		(void)CHECK_MSG(has(want), "%s", t[i]);
		CHECK(!strncmp(report, "F<> BY=local\n", 13));
		check_lines(report, n);
		letter_gone();
	}
}

/* As many recipients as there may be, each with as much as there may be. */
static void
test_many(void)
{
	static char envelope[RECIPIENTS * OUT_LINE + 100];
	size_t k, n;
	int i;

	k = (size_t)snprintf(envelope, sizeof(envelope), "F<bob@localhost> BY=bob RET=FULL\n");
	for (i = 0; i < RECIPIENTS; i++)
		k += (size_t)snprintf(envelope + k, sizeof(envelope) - k,
		    "T<%0250d@far.example> NOTIFY=FAILURE "
		    "ORCPT=rfc822;%0500d FORWARD=%0100d\n", i, i, i);
	letter_is(envelope, BYTES(TEXT));
	for (i = 0; i < RECIPIENTS; i++) {
		memset(s.to[i].words, 'w', WORDS - 1);
		memcpy(s.to[i].words, "550 ", 4);
	}
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("bob");
	CHECK_INT(count(report, n, "\nAction: failed\n"), RECIPIENTS);
	check_lines(report, n);
	letter_gone();
}

/* UTF-8 in addresses (RFC 6533), and 8-bit text in the original alone. */
static void
test_utf8(void)
{
	static const char text[] = "Subject: gr\xc3\xbc\xc3\x9f" "e\n\nBl\xc3\xb6" "d.\n";
	size_t n;

	letter_is("F<bob@localhost> BY=bob SMTPUTF8 ENVID=x\nT<j\xc3\xb6@d\xc3\xb6.example> "
	    "ORCPT=utf-8;j\\x{F6}@d\xc3\xb6.example\nT<ascii@far.example>\n", BYTES(text));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("bob");
	CHECK(has("\nContent-Type: message/global-delivery-status" EIGHT "\n"));
	CHECK(has("\nOriginal-Recipient: utf-8;j\\x{F6}@d\xc3\xb6.example\n"
	    "Final-Recipient: utf-8; j\xc3\xb6@d\xc3\xb6.example\n"));
	CHECK(has("\nFinal-Recipient: rfc822; ascii@far.example\n"));
	CHECK(has("\nContent-Type: message/global-headers" EIGHT "\nSubject: gr"));
	CHECK(has("\n  <j\xc3\xb6@d\xc3\xb6.example>\n"));
	letter_gone();

	letter_is("F<j\xc3\xb6@d\xc3\xb6.example> BY=bob SMTPUTF8 RET=FULL\nT<ascii@far.example>\n",
	    BYTES(text));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("j\xc3\xb6@d\xc3\xb6.example");
	CHECK(!strncmp(report, "F<> BY=local BODY=8BITMIME SMTPUTF8\n", 36));
	CHECK(has("\nTo: <j\xc3\xb6@d\xc3\xb6.example>\n"));
	CHECK(has("\nContent-Type: message/global" EIGHT "\nSubject: gr"));
	letter_gone();

	/* only the text is UTF-8: a server without SMTPUTF8 will do for the report */
	letter_is("F<j@out.example> BY=bob SMTPUTF8\nT<ascii@far.example>\n", BYTES(text));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("j@out.example");
	CHECK(!strncmp(report, "F<> BY=local BODY=8BITMIME\n", 27));
	CHECK(has("\nContent-Type: message/delivery-status\n\n"));
	CHECK(has("\nContent-Type: message/global-headers" EIGHT "\nSubject: gr"));
	letter_gone();

	letter_is("F<bob@localhost> BY=bob\nT<ascii@far.example>\n", BYTES(text));
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), 0);
	GOT("bob");
	CHECK(has("\nContent-Type: text/rfc822-headers" EIGHT "\nSubject: gr"));
	letter_gone();
}

/* ---- a disk that fails ---- */

/* Each call fails in turn, alone or for good: what is said to be queued comes once, else never. */
static void
test_faults(void)
{
	static const int kinds[] = { F_WRITE, F_SYNC, F_NAME };
	static char text[30000];
	size_t i, k, size, n;
	int at, r, hit, stay, want;

	memset(text, 'x', sizeof(text));
	memcpy(text, "Subject: s\n\n", 12);
	for (i = 70; i < sizeof(text); i += 70)
		text[i] = '\n';
	for (k = 0; k < LEN(kinds) * 2; k++) {
		for (size = 100; size <= sizeof(text); size += sizeof(text) - 100) {
			stay = k % 2;
			for (at = 1, hit = 1; hit && at < 60; at++) {
				letter_is("F<bob@localhost> BY=bob RET=FULL\nT<x@far.example>\n",
				    text, size);
				CHECK_INT(store_checkpoint(), 0);
				fault_set(kinds[k / 2], at, stay, EIO);
				r = bounce(REPORT_FAILED, &s, which, 0);
				hit = fault_clear();
				for (i = 0; i < 6; i++) {
					pass_s(6);
					ticks();
				}
				want = r == 0;
				n = slurp("mail/bob", box, sizeof(box));
				(void)CHECK_MSG(count(box, n, "\nAction: failed\n") == want,
				    "kind %d call %d: said %d, there are %d", kinds[k / 2], at, r,
				    count(box, n, "\nAction: failed\n"));
				CHECK(hit || r == 0);
				(void)unlink("mail/bob");
				letter_gone();
			}
		}
	}
}

/* The letter itself cannot be read. */
static void
test_unreadable(void)
{
	size_t n;

	letter_is("F<bob@localhost> BY=bob\nT<x@far.example>\n", BYTES(TEXT));
	(void)close(s.fd);
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), -1);
	letter_is("F<bob@localhost> BY=bob\nT<x@far.example>\n", BYTES(TEXT));
	s.to[0].at += 1;
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), -1);
	s.to[0].at -= 1;
	s.end += 5;
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), -1);
	s.end = s.text - 1;
	CHECK_INT(bounce(REPORT_FAILED, &s, which, 0), -1);
	GOT("");
	letter_gone();
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- forwarding ---- */

static void
test_forward(void)
{
	char a[ADDR_TEXT + 1], b[ADDR_TEXT + 1], first[64], second[64];
	struct stat st;
	size_t n;

	forward_init();
	CHECK_INT(stat("srs.secret", &st), 0);
	CHECK_INT(st.st_size, 32);
	CHECK_INT(st.st_mode & 07777, 0600);
	n = slurp("srs.secret", first, sizeof(first));
	CHECK_INT(forward_sender("joe@out.example", a), 0);
	CHECK(!strncmp(a, "SRS0=", 5) && strstr(a, "=out.example=joe@mx.example.org"));
	CHECK_INT(forward_reverse(a, (size_t)(strchr(a, '@') - a), b), 0);
	CHECK_STR(b, "joe@out.example");
	CHECK_INT(forward_reverse("SRS0=AAAAA=AA=out.example=joe", 29, b), -1);
	/* our own senders and the null sender stay */
	CHECK_INT(forward_sender("bob@mx.example.org", b), 0);
	CHECK_STR(b, "bob@mx.example.org");
	CHECK_INT(forward_sender("z@Catch.Example", b), 0);
	CHECK_STR(b, "z@Catch.Example");
	CHECK_INT(forward_sender("", b), 0);
	CHECK_STR(b, "");
	CHECK_INT(forward_sender("\"a b\"@out.example", b), -1);
	CHECK_STR(b, "");
	/* the same secret the next time */
	forward_init();
	CHECK_INT(slurp("srs.secret", second, sizeof(second)), n);
	CHECK(!memcmp(first, second, n));
	CHECK_INT(forward_sender("joe@out.example", b), 0);
	CHECK_STR(b, a);
	/* for a sending */
	memset(&s, 0, sizeof(s));
	CHECK_INT(relay_sender(&s, "joe@out.example", b), 0);
	CHECK_STR(b, "joe@out.example");
	s.forward = 1;
	CHECK_INT(relay_sender(&s, "joe@out.example", b), 0);
	CHECK_STR(b, a);
}

/* Secrets that are not made by us, or not there. */
static void
test_secret(void)
{
	static const struct {
		size_t n;
		int ok;
	} t[] = { { 0, 0 }, { 15, 0 }, { 16, 1 }, { 32, 1 }, { 64, 1 }, { 65, 0 } };
	char long_one[80];
	size_t i;
	pid_t pid;
	int st;

	memset(long_one, 's', sizeof(long_one));
	for (i = 0; i < LEN(t); i++) {
		spill("srs.secret", long_one, t[i].n);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			(void)close(1);
			forward_init();
			_exit(0);
		}
		CHECK(pid > 0 && waitpid(pid, &st, 0) == pid);
		CHECK_INT(WIFEXITED(st) && !WEXITSTATUS(st), t[i].ok);
	}
}

int
main(void)
{
	int before;

	store_here();
	before = descriptors();
	test_who();
	test_bytes();
	test_delayed();
	test_sent();
	test_postmaster();
	test_away();
	test_full();
	test_headers();
	test_long();
	test_octets();
	test_addresses();
	test_many();
	test_utf8();
	test_unreadable();
	test_faults();
	test_forward();
	test_secret();
	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(descriptors(), before);
	return test_end();
}
