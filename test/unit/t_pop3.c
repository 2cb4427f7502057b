/* with: lib/addr.c lib/loop.c lib/mbox.c lib/sasl.c lib/scram.c lib/text.c lib/ip.c lib/log.c */
/* See LICENSE file for copyright and licence details. */
/*
 * POP3 sessions over the real loop and a socket pair, with accounts, maildrop and TLS made up:
 * whole transcripts, cut at every byte, and what happens when the maildrop does not play along.
 */
#undef CONFIG
#define CONFIG "test/unit/t_pop3.h"
#include "login.c"
#include "pop3.c"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

/* ---- what the rest of the server would do ---- */

char host[HOST_TEXT] = "mx.example.org";
int stopping;

static struct listener row = { "::", 110, TLS_START, POP3, 1 };
static struct transport secret;		/* plain, but it passes for TLS */
static struct user alice = { .name = "alice" };

static struct {
	const char *mbox;
	size_t n;
	struct drop_msg msg[8];
	uint32_t nmsg;
	enum drop_res open, commit;	/* what they come to in the end */
	int slices;			/* and after how many */
	int left;
	int committing, is_open, changed, bad_index, reads;	/* reads: until they fail */
	unsigned committed;		/* bits of what was deleted */
} box;

char *
session_id(char dst[ID_TEXT])
{
	(void)text_copy(dst, ID_TEXT, "cafe", 4);
	return dst;
}

const struct listener *
conn_listener(const struct conn *c)
{
	(void)c;
	return &row;
}

const char *
tls_version(const struct conn *c)
{
	return c->tp == &secret ? "TLSv1.2" : NULL;
}

int
tls_start(struct conn *c)
{
	c->tp = &secret;
	return 0;
}

void
random_bytes(void *p, size_t n)
{
	memset(p, 0x5a, n);
}

int
user_load(void)
{
	return 0;
}

const struct user *
user_at(int slot)
{
	return slot == 0 ? &alice : NULL;
}

int
user_login(const char *name, size_t n)
{
	return text_is(name, n, "alice") ? 0 : -1;
}

static struct {
	int most;			/* failed logins; 0: any */
	int n;
	int gone;			/* connections that have ended */
} limited;

int
limit_count(enum counted what, const struct ip *ip)
{
	(void)ip;
	CHECK(what == C_LOGINS);
	return limited.most && ++limited.n > limited.most ? -1 : 0;
}

int
limit_reached(enum counted what, const struct ip *ip)
{
	(void)ip;
	CHECK(what == C_LOGINS);
	return limited.most && limited.n > limited.most;
}

void
limit_gone(const struct ip *ip)
{
	(void)ip;
	limited.gone++;
}

static enum drop_res
after_slices(struct drop *d, enum drop_res r)
{
	if (box.left-- > 0)
		return DROP_AGAIN;
	if (r == DROP_READY && !box.committing) {
		d->state = D_OPEN;
		box.is_open = 1;
	} else {
		drop_close(d);
	}
	return r;
}

enum drop_res
drop_open(struct drop *d, int slot)
{
	uint32_t i;

	memset(d, 0, sizeof(*d));
	d->user = slot;
	d->n = box.nmsg;
	d->epoch = 1;
	for (i = 0; i < box.nmsg; i++) {
		d->octets += box.msg[i].m.octets;
		box.msg[i].mark = 0;
	}
	box.left = box.slices;
	box.committing = 0;
	return after_slices(d, box.open);
}

enum drop_res
drop_work(struct drop *d)
{
	return after_slices(d, box.committing ? box.commit : box.open);
}

enum drop_res
drop_commit(struct drop *d)
{
	uint32_t i;

	for (i = 0; i < box.nmsg && box.commit == DROP_READY; i++)
		if (drop_marked(d, &box.msg[i]))
			box.committed |= 1u << i;
	box.left = box.slices;
	box.committing = 1;
	return after_slices(d, box.commit);
}

void
drop_close(struct drop *d)
{
	d->state = D_CLOSED;
	box.is_open = 0;
}

int
drop_msg(struct drop *d, uint32_t i, struct drop_msg *m)
{
	(void)d;
	if (box.bad_index)
		return -1;
	*m = box.msg[i];
	return 0;
}

int
drop_check(struct drop *d, const struct drop_msg *m)
{
	(void)d;
	(void)m;
	return box.changed ? -1 : 0;
}

ssize_t
drop_read(struct drop *d, void *p, size_t n, uint64_t at)
{
	(void)d;
	if (box.reads && !--box.reads) {
		errno = EIO;
		return -1;
	}
	if (at >= box.n)
		return 0;
	if (n > box.n - at)
		n = box.n - at;
	memcpy(p, box.mbox + at, n);
	return (ssize_t)n;
}

int
drop_marked(const struct drop *d, const struct drop_msg *m)
{
	return m->mark == d->epoch;
}

int
drop_mark(struct drop *d, uint32_t i)
{
	box.msg[i].mark = d->epoch;
	d->nmarked++;
	d->marked_octets += box.msg[i].m.octets;
	return 0;
}

void
drop_reset(struct drop *d)
{
	d->epoch++;
	d->nmarked = 0;
	d->marked_octets = 0;
}

/* ---- a client ---- */

enum { CONNS = 4 };

static struct conn conns[CONNS], *peer;
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int client = -1;		/* its end of the pair */
static int busy_ms;		/* how long settle() waits for a delayed answer */

static void
emit(void *arg, const struct mbox_msg *m)
{
	(void)arg;
	box.msg[box.nmsg++].m = *m;
}

static void
mailbox(const char *mbox, size_t n)
{
	static struct mbox_scan s;

	memset(&box, 0, sizeof(box));
	box.mbox = mbox;
	box.n = n;
	mbox_scan_init(&s, 0, emit, NULL);
	mbox_scan_feed(&s, mbox, n);
	mbox_scan_end(&s);
}

static void
start_client(void)
{
	int fd[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		abort();
	limited.gone = 0;
	client = fd[0];
	peer = conn_new(fd[1], &pop3_kind, row.tls == TLS_WRAP ? &secret : &transport_plain, 0);
	if (!peer || ip_parse(&peer->peer, "192.0.2.1") < 0)
		abort();
	for (i = 0; i < 2; i++)
		loop_turn(0, NULL, NULL);
}

/* Take turns until the server has nothing more to do; returns what it said, appended to out. */
static size_t
settle(char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;
	int quiet = 0;
	int64_t end = loop_ms() + 5000;

	while (quiet < 2 && loop_ms() < end) {
		loop_turn(busy_ms, NULL, NULL);
		while ((got = recv(client, out + n, size - n, 0)) > 0)
			n += (size_t)got, quiet = 0;
		if (!conn_at(conn_slot(peer)) || (!peer->again && !peer->working &&
		    !peer->hold_until && (!peer->out || size == n)))
			quiet++;
		else
			quiet = 0;
	}
	CHECK(quiet >= 2);
	return n;
}

static void
end_client(void)
{
	int i;

	(void)close(client);
	client = -1;
	for (i = 0; i < 100 && conn_at(conn_slot(peer)); i++)
		loop_turn(10, NULL, NULL);
	CHECK(!conn_at(conn_slot(peer)));
	CHECK(!box.is_open);
	CHECK_INT(limited.gone, 1);
}

/* A session: all that the server says to `in`, cut into pieces. */
static size_t
session(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t at, piece, got = 0;

	box.committed = 0;
	start_client();
	for (at = 0; at < n; at += piece) {
		piece = test_piece(cut, at, n);
		if (send(client, in + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			break;		/* the server has hung up */
		got += settle(out + got, size - got);
	}
	if (!n)
		got = settle(out, size);
	if (!conn_at(conn_slot(peer)) || peer->closing)
		out[got++] = '$';	/* it ended */
	end_client();
	return got;
}

static size_t
whole(char *out, size_t size, const char *in, size_t n)
{
	struct cut c;

	c.first = c.step = n;
	return session(out, size, in, n, &c);
}

/* Does the server say `want` (with its greeting, and a $ if it hangs up)? */
static void
check_session(const char *file, int line, const char *in, size_t n, const char *want)
{
	static char out[65536];
	size_t got = whole(out, sizeof(out), in, n);

	(void)test_mem(out, got, want, strlen(want), file, line, "what the server says");
}

#define CHECK_SESSION(...) check_session(__FILE__, __LINE__, __VA_ARGS__)

#define GREETING "+OK mx.example.org maild ready\r\n"
#define LOGIN "USER alice\r\nPASS opensesame\r\n"
#define WELCOME "+OK Now the password\r\n+OK 3 messages (92 octets)\r\n"
#define MORE_CAPA "PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n" \
	"IMPLEMENTATION maild\r\n.\r\n"
#define CAPA "+OK Capability list follows\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN LOGIN\r\n"
#define SHUT_OUT "-ERR [SYS/TEMP] Too many failed logins, try again later\r\n$"
#define BYE "+OK Bye\r\n$"

static const char mbox[] =
    "From a@b Thu Jan  1 00:00:00 2026\nSubject: one\n\n.dot\n>From me\n\n"
    "From a@b Thu Jan  1 00:00:00 2026\nSubject: two\n\nline 1\nline 2\nline 3\n\n"
    "From a@b Thu Jan  1 00:00:00 2026\nSubject: three\n\nx\n\n";

struct talk {
	const char *in, *out;
};

static const struct talk talks[] = {
	{ "QUIT\r\n", BYE },
	{ "quit\r\n", BYE },
	{ "QUIT now\r\n", "-ERR Wrong arguments\r\n" },
	{ "CAPA\r\nQUIT\r\n", CAPA "STLS\r\n" MORE_CAPA BYE },
	{ LOGIN "CAPA\r\nQUIT\r\n", WELCOME CAPA "STLS\r\n" MORE_CAPA BYE },
	{ LOGIN "STAT\r\nLIST\r\nLIST 2\r\nNOOP\r\nQUIT\r\n", WELCOME "+OK 3 92\r\n"
	    "+OK 3 messages\r\n1 31\r\n2 40\r\n3 21\r\n.\r\n+OK 2 40\r\n+OK\r\n" BYE },
	{ LOGIN "RETR 1\r\nRETR 3\r\n", WELCOME
	    "+OK 31 octets\r\nSubject: one\r\n\r\n..dot\r\nFrom me\r\n.\r\n"
	    "+OK 21 octets\r\nSubject: three\r\n\r\nx\r\n.\r\n" },
	{ LOGIN "TOP 2 0\r\nTOP 2 1\r\nTOP 2 99999999999999999999\r\n"
	    "TOP 2 18446744073709551615\r\n",
	    WELCOME "+OK 40 octets\r\nSubject: two\r\n\r\n.\r\n"
	    "+OK 40 octets\r\nSubject: two\r\n\r\nline 1\r\n.\r\n-ERR Wrong arguments\r\n"
	    "+OK 40 octets\r\nSubject: two\r\n\r\nline 1\r\nline 2\r\nline 3\r\n.\r\n" },
	{ LOGIN "DELE 2\r\nSTAT\r\nLIST\r\nRETR 2\r\nDELE 2\r\nLIST 2\r\nRSET\r\nSTAT\r\n"
	    "DELE 1\r\nQUIT\r\n", WELCOME
	    "+OK Deleted when you quit\r\n+OK 2 52\r\n+OK 2 messages\r\n1 31\r\n3 21\r\n.\r\n"
	    "-ERR That message is deleted\r\n-ERR That message is deleted\r\n"
	    "-ERR That message is deleted\r\n+OK Nothing is deleted\r\n+OK 3 92\r\n"
	    "+OK Deleted when you quit\r\n" BYE },
	{ LOGIN "RETR 0\r\nRETR 4\r\nRETR\r\nRETR 1 2\r\nRETR x\r\n", WELCOME
	    "-ERR No such message\r\n-ERR No such message\r\n-ERR Wrong arguments\r\n"
	    "-ERR Wrong arguments\r\n-ERR Wrong arguments\r\n" },
	{ LOGIN "RETR -1\r\nRETR  1\r\nRETR 1 \r\nTOP 1\r\nLIST 1 \r\nLIST \r\nSTAT\r\n", WELCOME
	    "-ERR Wrong arguments\r\n-ERR Wrong arguments\r\n-ERR Wrong arguments\r\n"
	    "-ERR Wrong arguments\r\n-ERR Wrong arguments\r\n-ERR too many errors\r\n$" },
	{ LOGIN "USER alice\r\nAUTH PLAIN\r\nSTLS\r\nFOO\r\n\r\n", WELCOME
	    "-ERR Not in a session\r\n-ERR Not in a session\r\n-ERR Not in a session\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n" },
	{ "STAT\r\nRETR 1\r\nNOOP\r\nRSET\r\nUSER\r\n", "-ERR Log in first\r\n-ERR Log in first\r\n"
	    "-ERR Log in first\r\n-ERR Log in first\r\n-ERR Wrong arguments\r\n" },
	{ "PASS opensesame\r\nUSER alice\r\nUSER bob\r\nUSER alice\r\nPASS \r\nPASS opensesame\r\n",
	    "-ERR USER first\r\n+OK Now the password\r\n+OK Now the password\r\n"
	    "+OK Now the password\r\n-ERR Wrong arguments\r\n+OK 3 messages (92 octets)\r\n" },
	/* AUTH */
	{ "AUTH PLAIN AGFsaWNlAG9wZW5zZXNhbWU=\r\nNOOP\r\n",
	    "+OK 3 messages (92 octets)\r\n+OK\r\n" },
	{ "AUTH PLAIN\r\nAGFsaWNlAG9wZW5zZXNhbWU=\r\nNOOP\r\n",
	    "+ \r\n+OK 3 messages (92 octets)\r\n+OK\r\n" },
	{ "AUTH LOGIN\r\nYWxpY2U=\r\nb3BlbnNlc2FtZQ==\r\nNOOP\r\n", "+ VXNlcm5hbWU6\r\n"
	    "+ UGFzc3dvcmQ6\r\n+OK 3 messages (92 octets)\r\n+OK\r\n" },
	{ "AUTH LOGIN YWxpY2U=\r\n*\r\nAUTH PLAIN =\r\nAUTH X\r\nAUTH\r\nAUTH PLAIN !\r\n",
	    "+ UGFzc3dvcmQ6\r\n-ERR Cancelled\r\n-ERR Malformed response\r\n"
	    "-ERR No such mechanism\r\n-ERR Wrong arguments\r\n-ERR Malformed response\r\n" },
	{ "AUTH PLAIN\r\nQU\rIT\r\nQUIT\r\n", "+ \r\n-ERR NUL or CR within a line\r\n" BYE },
	/* line ends */
	{ "CAPA\nQUIT\r\n", "-ERR Lines end with CR LF\r\n$" },
	{ "\nQUIT\r\n", "-ERR Lines end with CR LF\r\n$" },
	{ LOGIN "DELE 1\nQUIT\r\n", WELCOME "-ERR Lines end with CR LF\r\n$" },
	{ LOGIN "NO\rOP\r\nNOOP\r\r\nNOOP\r\n", WELCOME "-ERR NUL or CR within a line\r\n"
	    "-ERR NUL or CR within a line\r\n+OK\r\n" },
	{ "STLS\r\nQUIT\r\n", "-ERR Nothing may be queued behind STLS\r\n$" },
	/* errors */
	{ "A\r\nB\r\nC\r\nD\r\nE\r\nF\r\nQUIT\r\n",
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR too many errors\r\n$" },
};

static void
transcripts(void)
{
	static char out[65536];
	const char *want;
	size_t i, n;

	for (i = 0; i < LEN(talks); i++) {
		n = whole(out, sizeof(out), talks[i].in, strlen(talks[i].in));
		want = talks[i].out;
		if (!CHECK_MEM(out, strlen(GREETING), GREETING, strlen(GREETING)))
			continue;
		if (!CHECK_MEM(out + strlen(GREETING), n - strlen(GREETING), want, strlen(want)))
			printf("\trow %lu\n", (unsigned long)i);
		if (strncmp(talks[i].in, "STLS", 4))
			CHECK_SPLIT(session, talks[i].in, strlen(talks[i].in));
	}
	CHECK_SESSION(BYTES(LOGIN "NO\0OP\r\nDELE 1\0\r\nSTAT\r\n"),
	    GREETING WELCOME "-ERR NUL or CR within a line\r\n"
	    "-ERR NUL or CR within a line\r\n+OK 3 92\r\n");
}

static void
uidls(void)
{
	char want[512], out[1024], a[UIDL_TEXT], b[UIDL_TEXT];
	size_t n;

	(void)mbox_uidl(a, box.msg[0].m.uid);
	(void)mbox_uidl(b, box.msg[2].m.uid);
	n = whole(out, sizeof(out), BYTES(LOGIN "DELE 2\r\nUIDL\r\nUIDL 3\r\nUIDL 2\r\n"));
	out[n] = '\0';
	(void)snprintf(want, sizeof(want), GREETING WELCOME "+OK Deleted when you quit\r\n"
	    "+OK 2 messages\r\n1 %s\r\n3 %s\r\n.\r\n+OK 3 %s\r\n-ERR That message is deleted\r\n",
	    a, b, b);
	CHECK_STR(out, want);
}

/* Lines about the limits: what is too long is answered when it ends, and never obeyed. */
static void
long_lines(void)
{
	static char in[16384], out[4096];
	size_t i, n, len;
	int ok;

	for (len = LINE - 3; len < LINE + 3; len++) {
		memset(in, 'x', sizeof(in));
		memcpy(in, "USER ", 5);
		memcpy(in + len - 2, "\r\nQUIT\r\n", 8);
		n = whole(out, sizeof(out), in, len + 6);
		out[n] = '\0';
		ok = len <= LINE;
		CHECK_STR(out, ok ? GREETING "+OK Now the password\r\n" BYE :
		    GREETING "-ERR The line is too long\r\n" BYE);
		CHECK_SPLIT(session, in, len + 6);
	}
	for (i = 0; i < 3; i++) {
		len = i == 0 ? LONG_LINE : i == 1 ? LONG_LINE + 1 : 3 * BUFSZ / 2;
		memset(in, 'A', sizeof(in));
		memcpy(in, "AUTH PLAIN ", 11);
		memcpy(in + len - 2, "\r\nQUIT\r\n", 8);
		CHECK_SESSION(in, len + 6,
	    i == 0 ? GREETING "-ERR Malformed response\r\n" BYE :
		    GREETING "-ERR The line is too long\r\n" BYE);
	}
	memcpy(in, "AUTH PLAIN\r\n", 12);
	memset(in + 12, 'A', sizeof(in) - 12);
	memcpy(in + 3000, "\r\nQUIT\r\n", 8);
	CHECK_SESSION(in, 3008,
	    GREETING "+ \r\n-ERR The line is too long\r\n" BYE);
	/* a long line without an end, and a bare LF at its end */
	memset(in, 'x', sizeof(in));
	memcpy(in + 9000, "\nQUIT\r\n", 7);
	CHECK_SESSION(in, 9007,
	    GREETING "-ERR Lines end with CR LF\r\n$");
}

static void
logins(void)
{
	static char out[4096];
	int64_t t;
	size_t n;

	CHECK_SESSION(BYTES("USER alice\r\nPASS wrong\r\n"
	    "USER bob\r\nPASS opensesame\r\n" LOGIN),
	    GREETING "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n" WELCOME);
	CHECK_SESSION(BYTES("USER alice\r\nPASS a\r\nUSER alice\r\nPASS b\r\n"
	    "AUTH PLAIN AGEAYg==\r\n" LOGIN),
	    GREETING "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "-ERR [AUTH] Wrong name or password\r\n$");
	login_delay = 60;
	busy_ms = 5;
	guard_passed(&peer->peer);
	t = loop_ms();
	n = whole(out, sizeof(out), BYTES("USER alice\r\nPASS a\r\n"
	    "USER alice\r\nPASS b\r\nNOOP\r\n"));
	t = loop_ms() - t;
	out[n] = '\0';
	CHECK_STR(out, GREETING "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n-ERR Log in first\r\n");
	CHECK_MSG(t >= 180, "two failures took %ld ms", (long)t);
	login_delay = busy_ms = 0;
	guard_passed(&peer->peer);
	/* the same wrong password is counted once */
	limited.most = 1;
	CHECK_SESSION(BYTES("USER alice\r\nPASS c\r\nUSER alice\r\nPASS c\r\n" LOGIN),
	    GREETING "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n" WELCOME);
	CHECK_INT(limited.n, 1);
	limited.n = 0;
	/* one failed login more than an address may have: then not even the right password is looked
	 * at, here and in other sessions */
	limited.most = 1;
	CHECK_SESSION(BYTES("USER alice\r\nPASS a\r\nUSER alice\r\nPASS b\r\n" LOGIN),
	    GREETING "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n"
	    "+OK Now the password\r\n" SHUT_OUT);
	CHECK_SESSION(BYTES(LOGIN "STAT\r\n"), GREETING "+OK Now the password\r\n" SHUT_OUT);
	CHECK_SESSION(BYTES("AUTH PLAIN AGFsaWNlAG9wZW5zZXNhbWU=\r\nSTAT\r\n"),
	    GREETING SHUT_OUT);
	CHECK_SESSION(BYTES("AUTH PLAIN\r\nAGFsaWNlAG9wZW5zZXNhbWU=\r\nSTAT\r\n"),
	    GREETING "+ \r\n" SHUT_OUT);
	CHECK_INT(limited.n, 2);
	limited.most = limited.n = 0;
	CHECK_SESSION(BYTES(LOGIN "NOOP\r\n"), GREETING WELCOME "+OK\r\n");
}

/* No passwords in clear text, unless the listener takes them. */
static void
clear_text(void)
{
	row.clear_auth = 0;
	CHECK_SESSION(BYTES("CAPA\r\n" LOGIN "AUTH PLAIN AGFsaWNlAG9wZW5zZXNhbWU=\r\n"),
	    GREETING "+OK Capability list follows\r\nTOP\r\nUIDL\r\nSTLS\r\n" MORE_CAPA
	    "-ERR No passwords in clear text: send STLS first\r\n"
	    "-ERR No passwords in clear text: send STLS first\r\n"
	    "-ERR No passwords in clear text: send STLS first\r\n");
	row.tls = TLS_WRAP;
	CHECK_SESSION(BYTES("CAPA\r\nSTLS\r\n" LOGIN "CAPA\r\n"),
	    GREETING CAPA MORE_CAPA "-ERR TLS is up already\r\n" WELCOME CAPA MORE_CAPA);
	row.tls = TLS_NONE;
	CHECK_SESSION(BYTES("CAPA\r\nSTLS\r\n"),
	    GREETING "+OK Capability list follows\r\nTOP\r\nUIDL\r\n" MORE_CAPA
	    "-ERR No TLS here\r\n");
	row.tls = TLS_START;
	row.clear_auth = 1;
}

/* After STLS nothing of before holds, there is no second greeting, and the rest goes over TLS. */
static void
starttls(void)
{
	static const char *const line[] = { "USER alice\r\n", "STLS\r\n", "PASS opensesame\r\n",
	    "CAPA\r\n", "STLS\r\n", LOGIN };
	static char out[4096];
	size_t i, n = 0;

	start_client();
	for (i = 0; i < LEN(line); i++) {
		CHECK(send(client, line[i], strlen(line[i]), 0) > 0);
		n += settle(out + n, sizeof(out) - n);
	}
	end_client();
	out[n] = '\0';
	CHECK_STR(out, GREETING "+OK Now the password\r\n+OK Begin TLS\r\n-ERR USER first\r\n"
	    CAPA MORE_CAPA "-ERR TLS is up already\r\n" WELCOME);
}

static void
trouble(void)
{
	static char out[4096];
	size_t n;

	box.slices = 3;
	CHECK_SESSION(BYTES(LOGIN "DELE 1\r\nDELE 3\r\nQUIT\r\n"),
	    GREETING WELCOME "+OK Deleted when you quit\r\n+OK Deleted when you quit\r\n" BYE);
	CHECK_INT(box.committed, 5);
	(void)whole(out, sizeof(out), BYTES(LOGIN "DELE 1\r\n"));
	CHECK_INT(box.committed, 0);
	box.commit = DROP_TEMP;
	CHECK_SESSION(BYTES(LOGIN "DELE 1\r\nQUIT\r\n"),
	    GREETING WELCOME "+OK Deleted when you quit\r\n"
	    "-ERR [SYS/TEMP] Nothing was deleted\r\n$");
	box.open = DROP_INUSE;
	CHECK_SESSION(BYTES(LOGIN "QUIT\r\n"),
	    GREETING "+OK Now the password\r\n"
	    "-ERR [IN-USE] Another session has this mailbox\r\n" BYE);
	box.open = DROP_TEMP;
	CHECK_SESSION(BYTES(LOGIN "QUIT\r\n"),
	    GREETING "+OK Now the password\r\n"
	    "-ERR [SYS/TEMP] Your mailbox cannot be read now\r\n" BYE);
	mailbox(BYTES(mbox));
	box.changed = 1;
	CHECK_SESSION(BYTES(LOGIN "RETR 1\r\nTOP 1 0\r\nNOOP\r\n"),
	    GREETING WELCOME
	    "-ERR [SYS/TEMP] Another program changed the mailbox: log in again\r\n"
	    "-ERR [SYS/TEMP] Another program changed the mailbox: log in again\r\n+OK\r\n");
	mailbox(BYTES(mbox));
	box.bad_index = 1;
	CHECK_SESSION(BYTES(LOGIN "LIST 1\r\n"),
	    GREETING WELCOME "-ERR [SYS/TEMP] The index cannot be read now\r\n");
	n = whole(out, sizeof(out), BYTES(LOGIN "LIST\r\n"));
	CHECK(n < 5 || memcmp(out + n - 5, "\r\n.\r\n", 5));
	CHECK(out[n - 1] == '$');
	mailbox(BYTES(mbox));
}

/* A message of 3 MB to a reader that takes its time; and one that cannot be read to the end. */
static void
large(void)
{
	enum { BODY = 3000000 };
	static char text[BODY + 100], out[2 * BODY];
	struct cut all = { 100, 100 };
	size_t i, n, head;

	head = (size_t)snprintf(text, sizeof(text),
	    "From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\n");
	for (i = 0; i < BODY; i++)
		text[head + i] = (char)(i % 50 == 49 ? '\n' : i % 50 == 0 ? '.' : 'a' + i % 26);
	text[head + BODY] = '\n';
	mailbox(text, head + BODY + 1);
	start_client();
	CHECK(send(client, BYTES(LOGIN "RETR 1\r\nNOOP\r\n"), 0) > 0);
	for (i = n = 0; i < 20000 && n < 2 * BODY - 4096; i++) {
		loop_turn(0, NULL, NULL);
		n += (size_t)(recv(client, out + n, 4096, 0) + 1);
		if (out[n - 1] == '\0')
			n--;
		if (n > 5 && !memcmp(out + n - 5, "+OK\r\n", 5))
			break;
	}
	end_client();
	CHECK_MEM(out + n - 10, 10, "\r\n.\r\n+OK\r\n", 10);
	/* dot-stuffed lines of 49 + CR LF, and what is about them */
	CHECK_INT(n, strlen(GREETING "+OK Now the password\r\n+OK 1 messages (3060014 octets)\r\n"
	    "+OK 3060014 octets\r\n") + 14 + BODY / 50 * 52 + 3 + 5);
	box.reads = 100;
	n = session(out, sizeof(out), BYTES(LOGIN "RETR 1\r\nNOOP\r\n"), &all);
	CHECK(n > 500000 && n < BODY && out[n - 1] == '$');
	CHECK(!strstr(out + 200, "\r\n.\r\n") || strstr(out + 200, "\r\n.\r\n") > out + n);
	mailbox(BYTES(mbox));
}

/* Silence: before login, and after it. Nothing is said, nothing is deleted. */
static void
silence(void)
{
	static char out[4096];
	size_t n;

	pop3_login = 50;
	busy_ms = 40;
	start_client();
	(void)settle(out, sizeof(out));
	CHECK_INT(settle(out, sizeof(out)), 0);
	CHECK(!conn_at(conn_slot(peer)) || peer->closing);
	end_client();
	pop3_login = 60000;
	pop3_idle = 50;
	start_client();
	CHECK(send(client, BYTES(LOGIN "DELE 1\r\n"), 0) > 0);
	n = settle(out, sizeof(out));
	out[n] = '\0';
	CHECK_STR(out, GREETING WELCOME "+OK Deleted when you quit\r\n");
	CHECK_INT(settle(out, sizeof(out)), 0);
	CHECK(!conn_at(conn_slot(peer)) || peer->closing);
	end_client();
	CHECK_INT(box.committed, 0);
	pop3_idle = 600000;
	busy_ms = 0;
}

static void
make_account(void)
{
	struct scram_verifier v;
	struct scram_work w;

	memset(&v, 7, sizeof(v));
	v.iterations = 4096;
	v.nsalt = SCRAM_SALT;
	scram_start(&w, &v, "opensesame", 10);
	while (!scram_step(&w, 1000))
		;
	scram_finish(&w, &v);
	(void)scram_format(alice.verifier, &v);
}

int
main(void)
{
	struct loop_memory m = { conns, bufs, polls, CONNS };

	if (dup2(open("log", O_WRONLY | O_CREAT, 0600), 2) < 0)
		abort();
	secret = transport_plain;
	loop_init(&m);
	make_account();
	mailbox(BYTES(mbox));
	transcripts();
	uidls();
	long_lines();
	logins();
	clear_text();
	starttls();
	trouble();
	large();
	silence();
	return test_end();
}
