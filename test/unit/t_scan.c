/* with: scan.c lib/milter.c lib/loop.c lib/reply.c lib/addr.c lib/text.c lib/ip.c */
/* config: test/unit/t_scan.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The dialogue with a content scanner, whose part the test plays from a script: the order of what it
 * is told under each of its wishes, results, changes, and everything that makes it count as down:
 * silence, nonsense, a lost connection, early answers with deaf ears.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lib/log.h"
#include "test.h"

enum { CONNS = 4, MS = 5000 };

struct scanner scanners[3];
char host[HOST_TEXT] = "mx.example.org";
const char version[] = "test";

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int64_t ahead;		/* ms */
static char logged[4096];
static int nlogged;

int
clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_MONOTONIC) {
		t->tv_sec += (time_t)(ahead / 1000);
		t->tv_nsec += (long)(ahead % 1000) * 1000000;
		t->tv_sec += t->tv_nsec / 1000000000;
		t->tv_nsec %= 1000000000;
	}
	return r;
}

void
log_event(const char *id, const char *fmt, ...)
{
	va_list ap;

	(void)id;
	nlogged++;
	va_start(ap, fmt);
	(void)vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
	if (getenv("SHOW_LOG"))
		puts(logged);
}

void
die(int code, const char *fmt, ...)
{
	(void)fmt;
	_exit(code);
}

void
bug(const char *file, int line, const char *what)
{
	printf("%s:%d: %s\n", file, line, what);
	abort();
}

/* ---- the scanner's side ---- */

/* What it says to a command, instead of c; the n-th time (0: each time). Packets without their
 * lengths, with \1 between them; or, behind \2, octets as they are. */
struct line {
	char to;
	int nth;
	const char *p;
	size_t n;
};

static struct peer {
	int listener, fd;
	const struct line *script;	/* up to one with to == 0 */
	const char *options;		/* data of its O, 12 octets; NULL: all, nothing declined */
	int deaf;			/* it reads no more after so many octets */
	int leave;			/* it closes after this command */
	size_t seen, have;
	int count[128];
	char trail[4096];
	size_t ntrail;
	char in[1 << 18], body[1 << 20], field[1 << 17];
	size_t nbody, nfield, largest;
} peer;

static const char all[] = "\0\0\0\6\0\0\1\377\0\0\0\0";

static void
mark(const char *p, size_t n)
{
	if (n < sizeof(peer.trail) - peer.ntrail) {
		memcpy(peer.trail + peer.ntrail, p, n);
		peer.ntrail += n;
		peer.trail[peer.ntrail] = '\0';
	}
}

static void
say(const char *p, size_t n)
{
	size_t at;
	ssize_t k;

	for (at = 0; at < n && peer.fd >= 0; at += (size_t)k) {
		k = send(peer.fd, p + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0) {
			CHECK_MSG(errno == EPIPE || errno == ECONNRESET, "send: %d", errno);
			return;
		}
	}
}

static void
say_packets(const char *p, size_t n)
{
	static char t[1 << 16];
	const char *end;
	size_t k, o = 0;

	if (n && *p == '\2') {
		say(p + 1, n - 1);
		return;
	}
	for (; n; p += k, n -= k) {
		end = memchr(p, '\1', n);
		k = end ? (size_t)(end - p) : n;
		memset(t + o, 0, 2);
		o += 2;
		t[o++] = (char)(k >> 8);
		t[o++] = (char)k;
		memcpy(t + o, p, k);
		o += k;
		k += end != NULL;
	}
	say(t, o);
}

static void
answer(char what)
{
	const struct line *l;
	char options[17] = "\0\0\0\15O";

	if (what == 'O') {
		memcpy(options + 5, peer.options ? peer.options : all, 12);
		say(options, sizeof(options));
		return;
	}
	for (l = peer.script; l && l->to; l++)
		if (l->to == what && (!l->nth || l->nth == peer.count[(int)what])) {
			say_packets(l->p, l->n);
			return;
		}
	if (what != 'D' && what != 'Q')
		say("\0\0\0\1c", 5);
}

/* A packet has come: data is p[0..n). */
static void
hear(char what, const char *p, size_t n)
{
	char head[2] = { what, '\0' };

	peer.count[(int)what]++;
	if (n > peer.largest)
		peer.largest = n;
	if (what == 'B') {
		memcpy(peer.body + peer.nbody, p, n);
		peer.nbody += n;
	}
	if (what == 'L') {
		memcpy(peer.field, p, n);
		peer.nfield = n;
	}
	if (what != 'B' || peer.count['B'] == 1)
		mark(head, 1);
	answer(what);
	if (peer.leave == what) {
		(void)close(peer.fd);
		peer.fd = -1;
	}
}

static void
peer_turn(void)
{
	size_t n;
	ssize_t k;

	if (peer.fd < 0 && peer.listener >= 0)
		peer.fd = accept4(peer.listener, NULL, NULL, SOCK_NONBLOCK);
	if (peer.fd < 0 || (peer.deaf && peer.seen >= (size_t)peer.deaf))
		return;
	k = recv(peer.fd, peer.in + peer.have, sizeof(peer.in) - peer.have, MSG_DONTWAIT);
	if (k == 0)
		mark("$", peer.ntrail && peer.trail[peer.ntrail - 1] == '$' ? 0 : 1);
	if (k <= 0)
		return;
	peer.have += (size_t)k;
	peer.seen += (size_t)k;
	while (peer.fd >= 0 && peer.have >= 5) {
		n = (size_t)((unsigned char)peer.in[1] << 16 | (unsigned char)peer.in[2] << 8 |
		    (unsigned char)peer.in[3]);
		CHECK(peer.in[0] == 0 && n >= 1 && n <= 65536);
		if (peer.have < 4 + n)
			break;
		hear(peer.in[4], peer.in + 5, n - 1);
		peer.have -= 4 + n;
		memmove(peer.in, peer.in + 4 + n, peer.have);
	}
}

static void
peer_close(void)
{
	if (peer.fd >= 0)
		(void)close(peer.fd);
	if (peer.listener >= 0)
		(void)close(peer.listener);
	peer.fd = peer.listener = -1;
	memset(&peer, 0, sizeof(peer));
	peer.fd = peer.listener = -1;
}

/* ---- the server's side ---- */

static struct scan scan;
static struct scanner row = { "one", "unix:sock", 0, DOWN_ACCEPT, MS };
static const char *mail;
static size_t nmail, unreadable;
static int dones, nrcpts, body_begins, body_bad;
static char new_body[1 << 16];
static size_t nnew;
static struct scan_facts facts;

static const char *
rcpt(void *arg, int i)
{
	static const char *const who[] = { "bob@example.org", "eve@example.org" };

	(void)arg;
	CHECK(i <= nrcpts);
	return i < nrcpts ? who[i] : NULL;
}

static long
get(void *arg, char *p, size_t n, uint64_t at)
{
	(void)arg;
	if (unreadable && at + n > unreadable)
		return -1;
	if (at >= nmail)
		return 0;
	/* not all at once */
	if (n > 3000)
		n = 3000;
	if (n > nmail - at)
		n = nmail - at;
	memcpy(p, mail + at, n);
	return (long)n;
}

static int
take(void *arg, const char *p, size_t n)
{
	(void)arg;
	if (body_bad)
		return -1;
	if (!p) {
		body_begins++;
		return 0;
	}
	memcpy(new_body + nnew, p, n);
	nnew += n;
	return 0;
}

static void
done(struct scan *s)
{
	CHECK(s == &scan && !s->c);
	dones++;
}

static void
set_mail(const char *p, size_t n)
{
	const char *end = strstr(p, "\n\n");

	mail = p;
	nmail = n;
	facts.header = end ? (size_t)(end + 1 - p) : n;
}

static const char small[] = "From: a@b\nSubject: x\n y\n\nbody\n";

static void
defaults(void)
{
	memset(&facts, 0, sizeof(facts));
	(void)ip_parse(&facts.peer, "192.0.2.7");
	facts.port = 4711;
	facts.name = "a.example.net";
	facts.helo = "helo.example";
	facts.id = "0123abc";
	facts.sender = "ann@example.net";
	facts.login = facts.tls_version = facts.tls_cipher = "";
	facts.rcpt = rcpt;
	facts.read = get;
	facts.body = take;
	nrcpts = 1;
	unreadable = 0;
	set_mail(small, sizeof(small) - 1);
	dones = nnew = body_begins = body_bad = 0;
	peer_close();
	row.address = "unix:sock";
	row.ms = MS;
}

static void
turn(void)
{
	loop_turn(0, NULL, NULL);
	peer_turn();
}

static void
listen_local(int backlog)
{
	struct sockaddr_un sa;

	memset(&sa, 0, sizeof(sa));
	sa.sun_family = AF_UNIX;
	memcpy(sa.sun_path, "sock", 5);
	(void)unlink("sock");
	peer.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(bind(peer.listener, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK(listen(peer.listener, backlog) == 0);
}

/* Start and go on until it is done, or for ms on the loop's clock. */
static void
go(void)
{
	int i, before = dones;

	if (peer.listener < 0)
		listen_local(5);
	CHECK(scan_start(&scan, &row, &facts) == 0 && dones == before);
	for (i = 0; i < 20000 && dones == before; i++)
		turn();
	CHECK_INT(dones, before + 1);
	for (i = 0; i < 6; i++) {
		turn();
		ahead += i == 3 ? 1100 : 0;	/* a peer that talks on is listened to so long */
	}
	CHECK_INT(conn_free(), CONNS);
}

/* All of one dialogue. */
static void
script(const struct line *l, const char *trail, enum scan_result want, const char *reply)
{
	peer.script = l;
	go();
	CHECK_STR(peer.trail, trail);
	CHECK_INT(scan.result, want);
	if (reply)
		CHECK_STR(scan.reply, reply);
	if (want != SCAN_ACCEPT)
		CHECK(!scan.nedits && !scan.quarantine[0]);
}

#define SAYS(c, p) { c, 0, p, sizeof(p) - 1 }
#define NTH(c, i, p) { c, i, p, sizeof(p) - 1 }
#define END { 0, 0, NULL, 0 }

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
			CHECK_MSG(scan.result == t[i].want, "row %zu to %c: %d", i, commands[k],
			    scan.result);
			CHECK_STR(scan.reply, t[i].reply);
			CHECK(peer.trail[peer.ntrail - 1] == '$');
			CHECK(strchr(peer.trail, 'Q') != NULL || scan.result == SCAN_DOWN);
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
		memcpy(large + i, "\n folded x", 10);
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
		{ { SAYS('E', "hX\0v\0" "\1hX:\0v\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1hX\0\r\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1+a b\0" "\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1ba\r\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1b\ra\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1m\0\0\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1l\1c"), END } },
		{ { SAYS('E', "hX\0v\0" "\1s"), END } },
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
	CHECK_STR(edits(), "add 0 X: v|insert 3 Y: a\n\tb|change 2 Subj:|change 1 Subj: x|rcpt 0 a@b|rcpt 0 c@d|"
	    "no 0 e@f|sender 0 |");
	CHECK_STR(scan.quarantine, "a\\\"b\\xc3x");
	CHECK(body_begins == 1);
	CHECK_MEM(new_body, nnew, "n\r\nm\r\n", 6);
	for (i = 0; i < LEN(bad); i++) {
		defaults();
		peer.script = bad[i].l;
		go();
		CHECK_MSG(scan.result == SCAN_DOWN && !scan.nedits, "row %zu", i);
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
	CHECK(scan.result == SCAN_DOWN && !scan.nedits);
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
		CHECK(scan.result == SCAN_ACCEPT || scan.result == SCAN_DOWN);
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
		if (!k)
			continue;
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
