/* with: scan.c lib/milter.c lib/loop.c lib/reply.c lib/addr.c lib/text.c lib/ip.c */
/* config: test/unit/t_scan.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The dialogue with a content scanner, whose part the test plays from a script: the order of what
 * it is told under each of its wishes, results, changes, and everything that makes it count as
 * down: silence, nonsense, a lost connection, early answers with deaf ears.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/wait.h>

#include "t_scanner.h"

/* ---- tests ---- */

/* The whole dialogue, octet by octet. */
static void
test_words(void)
{
	static const char want[] =
	    "\0\0\0\15O\0\0\0\6\0\0\1\377\0\37\377\377";
	char t[8192];
	struct pollfd p;
	ssize_t n;
	int i;

	defaults();
	listen_local(5);
	facts.login = "ann";
	facts.tls_version = "TLSv1.2";
	facts.tls_cipher = "X";
	CHECK(scan_start(&scan, &row, &facts) == 0);
	for (i = 0; i < 4; i++)
		loop_turn(0, NULL, NULL);
	peer.fd = accept(peer.listener, NULL, NULL);
	n = recv(peer.fd, t, sizeof(t), 0);
	CHECK_MEM(t, (size_t)n, want, sizeof(want) - 1);
	say("\0\0\0\15O\0\0\0\6\0\0\0\0\0\14\360\200", 17);	/* nothing until E answered */
	for (i = 0; i < 20; i++)
		loop_turn(0, NULL, NULL);
	p.fd = peer.fd;
	p.events = POLLIN;
	CHECK(poll(&p, 1, 1000) == 1);
	n = recv(peer.fd, t, sizeof(t), 0);
	/* DATA is answered, so it is the last for now; dates are left out */
	CHECK(n > 100 && t[n - 1] == 'T');
#define HAS(s) CHECK_MSG(memmem(t, (size_t)n, s, sizeof(s) - 1) != NULL, "%s", s)
	HAS("DCj\0mx.example.org\0_\0a.example.net [192.0.2.7]\0v\0test\0t\0");
	HAS("\0{daemon_name}\0maild\0{client_addr}\0" "192.0.2.7\0{client_name}\0a.example.net\0"
	    "{client_port}\0" "4711\0{client_ptr}\0a.example.net\0");
	HAS("\0\0\0\34Ca.example.net\0" "4\22\147192.0.2.7\0");
	HAS("DHs\0helo.example\0{tls_version}\0TLSv1.2\0{cipher}\0X\0");
	HAS("\0\0\0\16Hhelo.example\0");
	HAS("DMi\0" "0123abc\0b\0");
	HAS("\0r\0ESMTPS\0{mail_addr}\0ann@example.net\0{auth_authen}\0ann\0{auth_type}\0PLAIN\0");
	HAS("\0\0\0\23M<ann@example.net>\0");
	HAS("\0\0\0\36DR{rcpt_addr}\0bob@example.org\0\0\0\0\23R<bob@example.org>\0\0\0\0\1T");
	say("\0\0\0\1c", 5);
	for (i = 0; i < 20; i++)
		loop_turn(0, NULL, NULL);
	n = recv(peer.fd, t, sizeof(t), 0);
	CHECK_MEM(t, (size_t)n, "\0\0\0\12LFrom\0a@b\0\0\0\0\16LSubject\0x\n y\0\0\0\0\1N"
	    "\0\0\0\7Bbody\r\n\0\0\0\1E", 14 + 18 + 5 + 11 + 5);
	say("\0\0\0\1a", 5);
	for (i = 0; i < 5; i++)
		loop_turn(0, NULL, NULL);
	CHECK(dones == 1 && scan.result == SCAN_ACCEPT);
	n = recv(peer.fd, t, sizeof(t), 0);
	CHECK_MEM(t, (size_t)n, "\0\0\0\1Q", 5);
	CHECK_INT(recv(peer.fd, t, sizeof(t), 0), 0);
	/* no name; the local socket */
	defaults();
	facts.name = "";
	(void)ip_parse(&facts.peer, "2001:db8::7");
	peer.options = "\0\0\0\6\0\0\1\377\0\20\0\0";		/* with the space */
	script(NULL, "ODCDHDMDRTLLNBEQ$", SCAN_ACCEPT, "");
	CHECK_MEM(peer.field, peer.nfield, "Subject\0 x\n y\0", 14);
	defaults();
	memset(&facts.peer, 0, sizeof(facts.peer));
	facts.name = facts.helo = facts.sender = "";
	nrcpts = 2;
	script(NULL, "ODCDHDMDRDRTLLNBEQ$", SCAN_ACCEPT, "");
}

static void
test_wishes(void)
{
	static const struct {
		const char *options;
		const char *trail;
	} t[] = {
		{ "\0\0\0\6\0\0\0\0\0\0\0\0", "ODCDHDMDRTLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\1", "ODHDMDRTLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\2", "ODCDMDRTLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\4", "ODCDHDRTLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\10", "ODCDHDMTLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\20", "ODCDHDMDRTLLNEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\40", "ODCDHDMDRTNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\0\100", "ODCDHDMDRTLLBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\2\0", "ODCDHDMDRLLNBEQ$" },
		{ "\0\0\0\6\0\0\0\0\0\0\3\177", "OEQ$" },
		{ "\0\0\0\3\0\0\0\0\0\0\0\0", "ODCDHDMDRLLNBEQ$" },
		{ "\0\0\0\2\0\0\0\0\0\0\0\0", "ODCDHDMDRLLNBEQ$" },
	};
	static const struct line mute[] = {
		SAYS('C', ""), SAYS('H', ""), SAYS('M', ""), SAYS('R', ""), SAYS('T', ""),
		SAYS('L', ""), SAYS('N', ""), SAYS('B', ""), END
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		defaults();
		peer.options = t[i].options;
		script(NULL, t[i].trail, SCAN_ACCEPT, "");
		CHECK_MEM(peer.body, peer.nbody, "body\r\n", peer.count['B'] ? 6 : 0);
	}
	/* none of it answered */
	defaults();
	peer.options = "\0\0\0\6\0\0\0\0\0\17\360\200";
	script(mute, "ODCDHDMDRTLLNBEQ$", SCAN_ACCEPT, "");
	/* options that were not offered */
	defaults();
	peer.options = "\0\0\0\6\0\0\0\0\20\0\0\0";
	script(NULL, "O$", SCAN_DOWN, "");
}

/* What it wants when it has all of the message, and what cannot be done. */
#define MISFIT "451 4.3.0 A content scanner wants what cannot be done"

/* Each result in reply to each command. */
static void
test_results(void)
{
	static const char commands[] = "CHMRTLNBE";
	static const struct {
		const char *p;
		size_t n;
		enum scan_result want;
		const char *reply;
	} t[] = {
		{ BYTES("a"), SCAN_ACCEPT, "" },
		{ BYTES("d"), SCAN_DISCARD, "" },
		{ BYTES("r"), SCAN_REJECT, "550 5.7.1 Refused by a filter" },
		{ BYTES("t"), SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
		{ BYTES("4"), SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
		{ BYTES("f"), SCAN_TEMPFAIL, "451 4.7.1 A filter says: try again later" },
		{ BYTES("y550 no %%%\0"), SCAN_REJECT, "550 5.7.1 no %%" },
		{ BYTES("y450 4.2.0 \0"), SCAN_TEMPFAIL,
		    "450 4.2.0 Refused by a filter" },
		{ BYTES("y250 ok\0"), SCAN_DOWN, "" },
		{ BYTES("s"), SCAN_DOWN, "" },
		{ BYTES("O"), SCAN_DOWN, "" },
		{ BYTES("Z"), SCAN_DOWN, "" },
		{ BYTES("\2\0\0\0\0c"), SCAN_DOWN, "" },
		{ BYTES("\2\1\0\0\0c"), SCAN_DOWN, "" },
		{ BYTES("\2HTTP/1.1 400 Bad Request\r\n"), SCAN_DOWN, "" },
	};
	struct line l[2];
	size_t i, k;
	int misfit;

	memset(l, 0, sizeof(l));
	for (i = 0; i < LEN(t); i++)
		for (k = 0; commands[k]; k++) {
			if (commands[k] == 'B' && t[i].p[0] == 's')
				continue;
			defaults();
			l[0].to = commands[k];
			l[0].p = t[i].p;
			l[0].n = t[i].n;
			peer.script = l;
			go();
			misfit = commands[k] == 'E' && t[i].p[0] == '\2';
			CHECK_MSG(scan.result == (misfit ? SCAN_TEMPFAIL : t[i].want),
			    "row %zu to %c: %d", i, commands[k], scan.result);
			if (t[i].want != SCAN_DOWN || misfit)
				CHECK_STR(scan.reply, misfit ? MISFIT : t[i].reply);
			CHECK(peer.trail[peer.ntrail - 1] == '$');
			CHECK(strchr(peer.trail, 'Q') != NULL || t[i].want == SCAN_DOWN);
		}
}

static char large[1 << 20];

/* What the body is to be: LF as CR LF. */
static size_t
crlf(char *dst, const char *p, size_t n)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			dst[o++] = '\r';
		dst[o++] = p[i];
	}
	return o;
}

static void
test_bodies(void)
{
	static const struct line skip[] = { NTH('B', 2, "s"), END };
	static char want[2 << 20];
	static const char *const head = "A: b\n\n";
	static const size_t sizes[] = { 0, 1, 65534, 65535, 65536, 131070, 131071, 400000 };
	size_t i, k, n;

	for (i = 0; i < 3 * LEN(sizes); i++) {
		defaults();
		n = (size_t)snprintf(large, sizeof(large), "%s", head);
		for (k = 0; k < sizes[i / 3]; k++)
			large[n++] = "x\nx\nx"[i % 3 + (i % 3 == 1 ? 0 : (k % 3 == 2))];
		large[n] = '\0';
		set_mail(large, n);
		facts.header = 5;
		go();
		CHECK_INT(scan.result, SCAN_ACCEPT);
		n = crlf(want, large + 6, n - 6);
		CHECK_MEM(peer.body, peer.nbody, want, n);
		CHECK(peer.largest <= 65535);
		CHECK_INT(peer.count['B'], (n + 65534) / 65535 + (n > 65535 && i % 3 &&
		    peer.count['B'] == (int)((n + 65534) / 65535) + 1));
	}
	/* enough of it */
	defaults();
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, head, 6);
	set_mail(large, sizeof(large) - 1);
	script(skip, "ODCDHDMDRTLNBEQ$", SCAN_ACCEPT, "");
	CHECK_INT(peer.count['B'], 2);
	/* no blank line; nothing at all; NUL in the body */
	defaults();
	set_mail("A: b\n", 5);
	script(NULL, "ODCDHDMDRTLNEQ$", SCAN_ACCEPT, "");
	defaults();
	set_mail("", 0);
	script(NULL, "ODCDHDMDRTNEQ$", SCAN_ACCEPT, "");
	defaults();
	set_mail("body\n", 5);
	facts.header = 0;
	script(NULL, "ODCDHDMDRTNBEQ$", SCAN_ACCEPT, "");
	CHECK_MEM(peer.body, peer.nbody, "body\r\n", 6);
	defaults();
	set_mail("\na\0b\n", 5);
	facts.header = 0;
	script(NULL, "ODCDHDMDRTNBEQ$", SCAN_ACCEPT, "");
	CHECK_MEM(peer.body, peer.nbody, "a\0b\r\n", 5);
	/* the disk */
	defaults();
	set_mail(large, sizeof(large) - 1);
	unreadable = 200000;
	ahead += 61000;
	loop_clock();
	go();
	CHECK(scan.result == SCAN_DOWN && strstr(logged, "cannot be read"));
	defaults();
	facts.header = 500;
	go();
	CHECK(scan.result == SCAN_DOWN);
}

static void
test_fields(void)
{
	static const struct {
		const char *in, *tight, *lead;
		size_t n, ntight, nlead;
	} t[] = {
#define ROW(a, b, c) { a, b, c, sizeof(a) - 1, sizeof(b) - 1, sizeof(c) - 1 }
		ROW("A: b\n", "A\0b\0", "A\0 b\0"),
		ROW("A:b\n", "A\0b\0", "A\0b\0"),
		ROW("A:\n", "A\0\0", "A\0\0"),
		ROW("A: \n", "A\0\0", "A\0 \0"),
		ROW("A:\t  b\n", "A\0b\0", "A\0\t  b\0"),
		ROW("A \t: b\n", "A\0b\0", "A\0 b\0"),
		ROW("A:\n b\n\tc\n", "A\0\n b\n\tc\0", "A\0\n b\n\tc\0"),
		ROW("A: b: c\n", "A\0b: c\0", "A\0 b: c\0"),
		ROW("A: b\0c\n", "A\0b c\0", "A\0 b c\0"),
		ROW("A: b", "A\0b\0", "A\0 b\0"),
	};
	char field[64];
	size_t i, n;

	for (i = 0; i < 2 * LEN(t); i++) {
		defaults();
		set_mail(t[i / 2].in, t[i / 2].n);
		facts.header = nmail;
		peer.options = i & 1 ? "\0\0\0\6\0\0\1\377\0\20\0\0" : all;
		script(NULL, "ODCDHDMDRTLNEQ$", SCAN_ACCEPT, "");
		CHECK_MEM(peer.field, peer.nfield, i & 1 ? t[i / 2].lead : t[i / 2].tight,
		    i & 1 ? t[i / 2].nlead : t[i / 2].ntight);
	}
	/* no fields */
	defaults();
	set_mail(": x\nno field\nx y\n z: a\nA: b\n", 29);
	facts.header = nmail;
	script(NULL, "ODCDHDMDRTLNEQ$", SCAN_ACCEPT, "");
	CHECK_MEM(peer.field, peer.nfield, "A\0b\0", 4);
	/* long ones: cut to what fits a packet, and the next is found */
	for (n = 65500; n < 65560; n++) {
		defaults();
		memset(large, 'x', n);
		memcpy(large, "Long:", 5);
		large[n] = '\n';
		(void)snprintf(field, sizeof(field), "B: c\n");
		memcpy(large + n + 1, field, 6);
		set_mail(large, n + 6);
		facts.header = nmail;
		script(NULL, "ODCDHDMDRTLLNEQ$", SCAN_ACCEPT, "");
		CHECK_MEM(peer.field, peer.nfield, "B\0c\0", 4);
		CHECK_INT(peer.largest, n + 1 < 65535 ? n + 1 : 65535);
	}
	defaults();
	for (i = 0; i < sizeof(large) - 16; i += 10)
		memcpy(large + i, "\n folded:x", 10);
	memcpy(large, "Long: x    ", 10);
	(void)snprintf(large + i, 12, "\nB: c\n");
	set_mail(large, strlen(large));
	facts.header = nmail;
	script(NULL, "ODCDHDMDRTLLNEQ$", SCAN_ACCEPT, "");
	CHECK_MEM(peer.field, peer.nfield, "B\0c\0", 4);
}

/* The edits as text. */
static char *
edits(void)
{
	static const char *const names[] = { "add", "insert", "change", "rcpt", "no", "sender" };
	static char t[SCAN_EDITS * 2];
	size_t at = 0, o = 0;
	const char *p;
	struct edit e;

	t[0] = '\0';
	while (at < scan.nedits) {
		memcpy(&e, scan.edits + at, sizeof(e));
		CHECK(at % _Alignof(struct edit) == 0);
		p = scan.edits + at + sizeof(e);
		CHECK(p[e.n - 1] == '\0');
		o += (size_t)snprintf(t + o, sizeof(t) - o, "%s %u %s", names[e.what], e.index, p);
		if (e.what <= EDIT_CHANGE)
			o += (size_t)snprintf(t + o, sizeof(t) - o, ":%s", p + strlen(p) + 1);
		o += (size_t)snprintf(t + o, sizeof(t) - o, "|");
		at += sizeof(e) + e.n;
	}
	CHECK_INT(at, scan.nedits);
	return t;
}

static void
test_edits(void)
{
	static const struct line good[] = { SAYS('E',
	    "hX\0v\0" "\1i\0\0\0\3Y\0a\nb\0" "\1p" "\1m\0\0\0\2Subj\0\0"
	    "\1m\0\0\0\0Subj\0x\0" "\1+a@b\0" "\1" "2<c@d>\0N=X\0" "\1-<e@f>" "\1e<>\0"
	    "\1qa\"b\xc3x\0" "\1bn\r\n" "\1bm\n" "\1c"), END };
	static const struct {
		struct line l[2];
	} bad[] = {
		/* out of its time */
		{ { SAYS('N', "hX\0v\0" "\1c"), END } },
		{ { SAYS('N', "bx\1c"), END } },
		{ { SAYS('N', "qx\1c"), END } },
		{ { SAYS('B', "+a@b\0" "\1c"), END } },
		/* broken: after good ones */
		{ { SAYS('E', "hX\0v\0" "\1hX\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1ba\r\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1m\0\0\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1l\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1s"), END } },
	}, misfit[] = {
		{ { SAYS('E', "hX\0v\0" "\1hX:\0v\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1hX\0\r\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1+a b\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1b\ra\1c"), END } },
	};
	static const struct {
		char option;
		struct line l[2];
	} may[] = {
		{ 1, { SAYS('E', "hX\0v\0" "\1c"), END } },
		{ 1, { SAYS('E', "i\0\0\0\0X\0v\0" "\1c"), END } },
		{ 2, { SAYS('E', "bx\1c"), END } },
		{ 4, { SAYS('E', "+a@b\0" "\1c"), END } },
		{ 8, { SAYS('E', "-a@b\0" "\1c"), END } },
		{ 16, { SAYS('E', "m\0\0\0\2X\0v\0" "\1c"), END } },
		{ 32, { SAYS('E', "qx\1c"), END } },
		{ 64, { SAYS('E', "ea@b\0" "\1c"), END } },
		{ (char)128, { SAYS('E', "2a@b\0" "\1c"), END } },
	};
	static const struct line over[] = {
		SAYS('E', "hX\0v\0" "\1qwhy\0" "\1y550 x\0"), END };
	char options[12];
	size_t i;

	defaults();
	script(good, "ODCDHDMDRTLLNBEQ$", SCAN_ACCEPT, "");
	CHECK_STR(edits(), "add 0 X: v|insert 3 Y: a\n\tb|change 2 Subj:|change 1 Subj: x|"
	    "rcpt 0 a@b|rcpt 0 c@d|no 0 e@f|sender 0 |");
	CHECK_STR(scan.quarantine, "a\\\"b\\xc3x");
	CHECK(body_begins == 1);
	CHECK_MEM(new_body, nnew, "n\r\nm\r\n", 6);
	for (i = 0; i < LEN(bad); i++) {
		defaults();
		peer.script = bad[i].l;
		go();
		CHECK_MSG(scan.result == SCAN_DOWN && !scan.nedits, "row %zu", i);
	}
	for (i = 0; i < LEN(misfit); i++) {
		defaults();
		peer.script = misfit[i].l;
		go();
		CHECK_MSG(scan.result == SCAN_TEMPFAIL && !scan.nedits, "row %zu", i);
		CHECK_STR(scan.reply, MISFIT);
	}
	for (i = 0; i < 2 * LEN(may); i++) {
		defaults();
		memcpy(options, all, 12);
		options[6] = 0;
		options[7] = (char)(i & 1 ? may[i / 2].option : ~may[i / 2].option & ~0x80);
		if (may[i / 2].option == 4 && !(i & 1))
			options[7] = 0x7b;
		peer.options = options;
		peer.script = may[i / 2].l;
		go();
		CHECK_MSG(scan.result == (i & 1 ? SCAN_ACCEPT : SCAN_DOWN), "row %zu", i);
	}
	/* a refusal after changes; a caller that cannot take the body */
	defaults();
	script(over, "ODCDHDMDRTLLNBEQ$", SCAN_REJECT, "550 5.7.1 x");
	defaults();
	body_bad = 1;
	peer.script = good;
	go();
	CHECK(scan.result == SCAN_TEMPFAIL && !scan.nedits);
}

/* As many changes as there is room for, and one more: all sizes around the limit. */
static void
test_full(void)
{
	static char p[32768];
	struct line l[2] = { { 'E', 0, p, 0 }, END };
	size_t pad, n, i, fits = 0;

	for (pad = 0; pad < 200; pad++) {
		defaults();
		for (n = i = 0; i < 162; i++) {
			memcpy(p + n, "hX", 3);
			memset(p + n + 3, 'v', 83);
			memcpy(p + n + 86, "\0\1", 2);
			n += 88;
		}
		memcpy(p + n, "hY", 3);
		memset(p + n + 3, 'w', pad);
		n += 3 + pad;
		memcpy(p + n, "\0\1c", 3);
		l[0].n = n + 3;
		peer.script = l;
		go();
		CHECK(scan.result == SCAN_ACCEPT || scan.result == SCAN_TEMPFAIL);
		if (scan.result == SCAN_ACCEPT) {
			CHECK(fits == pad && scan.nedits <= SCAN_EDITS);
			CHECK_INT(strlen(edits()), 162 * (strlen("add 0 X: |") + 83) +
			    strlen("add 0 Y:|") + (pad ? 1 : 0) + pad);
			fits++;
		} else {
			CHECK(!scan.nedits);
		}
	}
	CHECK(fits > 0 && fits < pad);
	/* what is no change must not lie over those that are there either */
	for (i = 0; i < 2; i++) {
		defaults();
		memcpy(p, "hX", 3);
		memset(p + 3, 'v', 9000);
		memcpy(p + 9003, "\0\1q", 3);
		n = i ? 7000 : 7500;
		memset(p + 9006, 'w', n);
		memcpy(p + 9006 + n, "\0\1c", 3);
		l[0].n = 9006 + n + 3;
		peer.script = l;
		go();
		CHECK_INT(scan.result, i ? SCAN_ACCEPT : SCAN_TEMPFAIL);
		if (i)
			CHECK_INT(strspn(edits() + strlen("add 0 X: "), "v"), 9000);
	}
}

static void
test_time(void)
{
	static const struct line silent[] = { SAYS('E', ""), END };
	static const struct line busy[] = { SAYS('E', "p"), END };
	int i, k;

	/* a second before it is over, and then */
	defaults();
	ahead += 61000;
	loop_clock();
	listen_local(5);
	peer.script = silent;
	CHECK(scan_start(&scan, &row, &facts) == 0);
	for (i = 0; i < 200; i++)
		turn();
	CHECK(peer.count['E'] == 1 && !dones);
	ahead += MS - 1000;
	for (i = 0; i < 5; i++)
		turn();
	CHECK(!dones);
	ahead += 1000;
	for (i = 0; i < 5 && !dones; i++)
		turn();
	CHECK(dones == 1 && scan.result == SCAN_DOWN && strstr(logged, "timed out"));
	/* progress makes it longer, to an end */
	defaults();
	listen_local(5);
	peer.script = busy;
	CHECK(scan_start(&scan, &row, &facts) == 0);
	for (i = 0; i < 200; i++)
		turn();
	for (i = 0; i < 10 && !dones; i++) {

		ahead += MS - 1000;
		say("\0\0\0\1p", 5);
		for (k = 0; k < 5; k++)
			turn();
	}
	CHECK(dones == 1 && scan.result == SCAN_DOWN);
	CHECK_INT(i, 5);		/* 4 times 5 s, in steps of 4 s */
	/* what is down is not logged all the time */
	defaults();
	peer.leave = 'M';
	ahead += 61000;
	loop_clock();
	nlogged = 0;
	go();
	CHECK(scan.result == SCAN_DOWN && nlogged == 1 && strstr(logged, "name=one"));
	for (i = 0; i < 5; i++) {
		defaults();
		peer.leave = 'M';
		go();
		CHECK_INT(scan.result, SCAN_DOWN);
	}
	CHECK_INT(nlogged, 1);
	ahead += 61000;
	defaults();
	peer.leave = 'M';
	go();
	CHECK_INT(nlogged, 2);
}

/* It has decided and stops reading, while much of a packet is still to be sent. */
static void
test_early(void)
{
	int i, k, few = 4096;

	for (k = 0; k < 2; k++) {
		defaults();
		listen_local(5);
		memset(large, 'x', sizeof(large) - 1);
		memcpy(large, "A: b\n\n", 6);
		set_mail(large, sizeof(large) - 1);
		CHECK(scan_start(&scan, &row, &facts) == 0);
		CHECK(setsockopt(scan.c->fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)) == 0);
		for (i = 0; i < 500 && !peer.count['N']; i++)
			turn();
		peer.deaf = 1;
		for (i = 0; i < 200; i++)
			turn();
		CHECK(!dones && conn_room(scan.c) < BUFSZ / 2);
		say(k ? "\0\0\0\1c" : "\0\0\0\1r", 5);
		for (i = 0; i < 200 && !dones; i++)
			turn();
		CHECK(k ? !dones : dones == 1 && scan.result == SCAN_REJECT);
		if (!k) {
			for (i = 0; i < 5; i++)
				turn();
			CHECK_INT(conn_free(), CONNS);
			continue;
		}
		/* that was its reply to this packet; it reads on and all goes its way */
		peer.deaf = 0;
		peer.script = (const struct line[]) { NTH('B', 1, ""), END };
		for (i = 0; i < 20000 && !dones; i++)
			turn();
		CHECK(dones == 1 && scan.result == SCAN_ACCEPT);
		CHECK_INT(peer.nbody, sizeof(large) - 7);
	}
	for (i = 0; i < 5; i++)
		turn();
	CHECK_INT(conn_free(), CONNS);
}

static void
test_down(void)
{
	struct sockaddr_in in;
	socklen_t n = sizeof(in);
	char address[64];
	int fds[64], i, nfds = 0;

	/* nobody there */
	defaults();
	(void)unlink("sock");
	peer.listener = open("/dev/null", O_RDONLY);
	go();
	CHECK(scan.result == SCAN_DOWN);
	/* a connection lost at each command */
	for (i = 0; i < 10; i++) {
		defaults();
		peer.leave = "OCHMRTLNBE"[i];
		go();
		/* it may have said c before */
		CHECK(scan.result == SCAN_DOWN || peer.leave == 'E');
	}
	/* TCP */
	defaults();
	peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(peer.listener, (struct sockaddr *)&in, sizeof(in)) == 0);
	CHECK(getsockname(peer.listener, (struct sockaddr *)&in, &n) == 0);
	(void)snprintf(address, sizeof(address), "inet:127.0.0.1:%d", ntohs(in.sin_port));
	row.address = address;
	go();
	CHECK(scan.result == SCAN_DOWN);
	CHECK(listen(peer.listener, 5) == 0);
	go();
	CHECK_INT(scan.result, SCAN_ACCEPT);
	/* a local socket whose queue is full for a while */
	defaults();
	listen_local(0);
	for (i = 0; i < 64; i++) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "sock" };

		fds[nfds] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[nfds++], (struct sockaddr *)&sa, sizeof(sa)) < 0)
			break;
	}
	CHECK(nfds < 64 && errno == EAGAIN);
	peer.fd = open("/dev/null", O_RDONLY);		/* accepts nobody */
	CHECK(scan_start(&scan, &row, &facts) == 0);
	for (i = 0; i < 20; i++)
		loop_turn(10, NULL, NULL);
	CHECK(!dones);
	(void)close(peer.fd);
	peer.fd = -1;
	for (i = 0; i < nfds; i++)
		(void)close(fds[i]);
	for (i = 0; i < 300 && !dones; i++) {
		loop_turn(5, NULL, NULL);
		peer_turn();
		if (peer.fd >= 0 && strchr(peer.trail, '$') && !dones) {
			(void)close(peer.fd);		/* one of the others */
			peer.fd = -1;
			peer.ntrail = 0;
			peer.trail[0] = '\0';
		}
	}
	CHECK(dones == 1 && scan.result == SCAN_ACCEPT);
	/* and for ever */
	defaults();
	listen_local(0);
	for (nfds = i = 0; i < 64; i++) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "sock" };

		fds[nfds] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fds[nfds++], (struct sockaddr *)&sa, sizeof(sa)) < 0)
			break;
	}
	CHECK(scan_start(&scan, &row, &facts) == 0);
	for (i = 0; i < 10; i++) {
		ahead += MS / 8;
		loop_turn(1, NULL, NULL);
	}
	CHECK(dones == 1 && scan.result == SCAN_DOWN);
	for (i = 0; i < nfds; i++)
		(void)close(fds[i]);
	loop_turn(0, NULL, NULL);
	CHECK_INT(conn_free(), CONNS);
}

static const struct kind idle_kind = { "idle", NULL, NULL, NULL, NULL, NULL, NULL, NULL };

static void
test_slots(void)
{
	struct conn *c[CONNS];
	int i;

	defaults();
	listen_local(5);
	for (i = 0; i < CONNS; i++)
		c[i] = conn_new(open("/dev/null", O_RDONLY), &idle_kind, &transport_plain, 0);
	CHECK_INT(scan_start(&scan, &row, &facts), -1);
	CHECK(scan.result == SCAN_DOWN && !dones);
	scan_cancel(&scan);
	for (i = 0; i < CONNS; i++)
		conn_abort(c[i], NULL);
	turn();
	CHECK_INT(conn_free(), CONNS);
	/* forgotten at each turn */
	for (i = 0; i < 60; i++) {
		int k;

		defaults();
		listen_local(5);
		CHECK(scan_start(&scan, &row, &facts) == 0);
		for (k = 0; k < i && !dones; k++)
			turn();
		k = dones;
		scan_cancel(&scan);
		scan_cancel(&scan);
		CHECK_INT(dones, k);
		for (k = 0; k < 4; k++)
			turn();
		CHECK_INT(conn_free(), CONNS);
	}
	CHECK(dones == 1);		/* the last of them was done before */
}

static int chained;

static void
again(struct scan *s)
{
	if (++chained < 5)
		CHECK(scan_start(s, &row, &facts) == 0);
	else
		dones++;
}

/* `done` starts the next, whatever the result was. */
static void
test_chain(void)
{
	static const struct line reject[] = { SAYS('C', "r"), END };
	int i, k;

	for (k = 0; k < 3; k++) {
		defaults();
		listen_local(5);
		peer.script = k == 1 ? reject : NULL;
		peer.leave = k == 2 ? 'L' : 0;
		chained = 0;
		scan.done = again;
		CHECK(scan_start(&scan, &row, &facts) == 0);
		for (i = 0; i < 2000 && !dones; i++) {
			turn();
			if (peer.fd >= 0 && strchr(peer.trail, '$')) {
				(void)close(peer.fd);
				peer.fd = -1;
				peer.have = peer.ntrail = 0;
				peer.trail[0] = '\0';
			}
		}
		CHECK_INT(chained, 5);
		scan.done = done;
	}
}

static void
test_rows(void)
{
	static const struct {
		struct scanner row;
		int bad;
	} t[] = {
		{ { "", "", 0, DOWN_ACCEPT, 0 }, 0 },
		{ { "a", "inet:127.0.0.1:1", 0, DOWN_ACCEPT, 1 }, 0 },
		{ { "a", "inet:::1:65535", 0, DOWN_TEMPFAIL, 1 }, 0 },
		{ { "a", "inet:[::1]:65535", 0, DOWN_TEMPFAIL, 1 }, 0 },
		{ { "a", "unix:x/y", 1, DOWN_ACCEPT, 1 }, 0 },
		{ { "", "unix:x/y", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a b", "unix:x/y", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "unix:", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "unix:/run/x", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "unix:../x", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "unix:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:localhost:1", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1:", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1:0", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1:65536", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1:1x", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:1@127.0.0.1", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "127.0.0.1:1", 0, DOWN_ACCEPT, 1 }, 1 },
		{ { "a", "inet:127.0.0.1:1", 0, DOWN_ACCEPT, 0 }, 1 },
		{ { "a", "inet:127.0.0.1:1", 0, DOWN_ACCEPT, -1 }, 1 },
	};
	int i, status;
	pid_t pid;

	memset(scanners, 0, sizeof(scanners));
	scanners[0].name = scanners[0].address = scanners[2].name = scanners[2].address = "";
	for (i = 0; i < (int)LEN(t); i++) {
		scanners[1] = t[i].row;
		fflush(stdout);
		pid = fork();
		if (!pid) {
			scan_check();
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		CHECK_MSG((WEXITSTATUS(status) != 0) == t[i].bad, "row %d: %d", i, status);
	}
	scanners[1].name = scanners[1].address = "";
}

int
main(void)
{
	struct loop_memory m = { conns, bufs, polls, CONNS };

	peer.fd = peer.listener = -1;
	scan.done = done;
	loop_init(&m);
	test_rows();
	test_words();
	test_wishes();
	test_results();
	test_bodies();
	test_fields();
	test_edits();
	test_full();
	test_time();
	test_early();
	test_down();
	test_slots();
	test_chain();
	return test_end();
}
