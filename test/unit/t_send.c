/* with: client.c send.c out.c lib/reply.c lib/addr.c lib/loop.c lib/ip.c lib/fs.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Letters in sessions with other servers: what leaves is byte-exact, which recipient gets which
 * outcome, parameters, 8-bit and UTF-8 text, signatures, many letters in one session, LMTP.
 */
#include "t_client.h"

#define LETTER "F<s@here.example>\nT<a@far.example>\n"
#define THREE "F<s@here.example>\nT<a@far.example>\nT<b@far.example>\nT<c@far.example>\n"
#define HI "S220 mx.far.example ESMTP|CEHLO mx.example.org|"
#define LHI "S220 mx.far.example LMTP|CLHLO mx.example.org|"
#define ONE "S250-mx.far.example|S250 8BITMIME|"
#define NONE "S250 mx.far.example|"
#define PIPE "S250-mx.far.example|S250-PIPELINING|S250 8BITMIME|"
#define MAIL "CMAIL FROM:<s@here.example>|"
#define RCPT(x) "CRCPT TO:<" x "@far.example>|"
#define OK "S250 Ok|"
#define GO "CDATA|S354 go|T|"
#define TXN MAIL OK RCPT("a") OK GO "S250 2.6.0 Ok|"
#define BYE "CQUIT|S221 bye|"
#define BURST MAIL RCPT("a") RCPT("b") RCPT("c") "CDATA|"
#define RSET "CRSET|S250 Ok|"

static const struct route clear = { "*", "*", "", 25, ROUTE_CLEAR, "", "", ROUTE_SMTP };
static const struct route lmtp = { "*", "*", "", 24, ROUTE_CLEAR, "", "", ROUTE_LMTP };

static void
run(const struct route *r, const char *envelope, const char *body, const char *script,
    const char *want)
{
	clear_all();
	(void)letter(envelope, body, strlen(body));
	session(r, script);
	CHECK_CALLS(script, want);
}

/* ---- bytes ---- */

static const struct {
	const char *in;
	size_t n;
	const char *out;
	size_t nout;
} exact[] = {
	{ BYTES(""), BYTES(".\r\n") },
	{ BYTES("\n"), BYTES("\r\n.\r\n") },
	{ BYTES("\n\n"), BYTES("\r\n\r\n.\r\n") },
	{ BYTES("x"), BYTES("x\r\n.\r\n") },
	{ BYTES("x\n"), BYTES("x\r\n.\r\n") },
	{ BYTES("."), BYTES("..\r\n.\r\n") },
	{ BYTES(".\n"), BYTES("..\r\n.\r\n") },
	{ BYTES("..\n"), BYTES("...\r\n.\r\n") },
	{ BYTES(".x\n.\n.y"), BYTES("..x\r\n..\r\n..y\r\n.\r\n") },
	{ BYTES("x.\n.\n\n.\n"), BYTES("x.\r\n..\r\n\r\n..\r\n.\r\n") },
	{ BYTES("Subject: x\n\n.\n"), BYTES("Subject: x\r\n\r\n..\r\n.\r\n") },
	{ BYTES(">From x\nFrom y\n"), BYTES(">From x\r\nFrom y\r\n.\r\n") },
	{ BYTES("a\0b\n\0\n"), BYTES("a\0b\r\n\0\r\n.\r\n") },
	{ BYTES("\xc3\xa4\x80\xff\n"), BYTES("\xc3\xa4\x80\xff\r\n.\r\n") },
	/* there are none; but none leave */
	{ BYTES("a\rb\r\nc\r\r\n\r.\r"), BYTES("ab\r\nc\r\n..\r\n.\r\n") },
};

static char made[1 << 19], want[1 << 20];

/* As dot_feed() does it the other way, written differently. */
static size_t
stuffed(char *out, const char *p, size_t n)
{
	size_t i, o = 0;
	char last = '\n';

	for (i = 0; i < n; last = p[i++]) {
		if (p[i] == '.' && last == '\n')
			out[o++] = '.';
		if (p[i] == '\n')
			out[o++] = '\r';
		out[o++] = p[i];
	}
	if (last != '\n') {
		out[o++] = '\r';
		out[o++] = '\n';
	}
	memcpy(out + o, ".\r\n", 3);
	return o + 3;
}

static void
goes(const char *p, size_t n)
{
	clear_all();
	(void)letter(LETTER, p, n);
	session(&clear, HI ONE TXN BYE);
	CHECK_CALLS("text", "S2.6.0 ;done");
}

static void
test_exact(void)
{
	size_t i;

	for (i = 0; i < LEN(exact); i++) {
		goes(exact[i].in, exact[i].n);
		CHECK_MEM(text, ntext, exact[i].out, exact[i].nout);
	}
}

/* Long lines, and line ends and dots at each place of a buffer. */
static void
test_long(void)
{
	static const char stuff[] = "\n.\n..x.\n\n.";
	uint64_t seed = 7;
	size_t i, n, o;

	for (n = 4990; n < 5010; n += 5) {
		memset(made, 'x', n);
		made[n] = '\n';
		made[n + 1] = '.';
		goes(made, n + 2);
		o = stuffed(want, made, n + 2);
		CHECK_MEM(text, ntext, want, o);
	}
	for (n = BUFSZ - 20; n < BUFSZ + 20; n++) {
		memset(made, 'y', n);
		memcpy(made + n, stuff, sizeof(stuff) - 1);
		goes(made, n + sizeof(stuff) - 1);
		o = stuffed(want, made, n + sizeof(stuff) - 1);
		CHECK_MEM(text, ntext, want, o);
	}
	for (i = 0; i < sizeof(made); i++)
		made[i] = "\n.abc.\n\n.x"[test_random(&seed) % 10];
	goes(made, sizeof(made));
	o = stuffed(want, made, sizeof(made));
	CHECK_MEM(text, ntext, want, o);
	/* dots only, and line ends only: twice as long on the way */
	memset(made, '\n', 60000);
	goes(made, 60000);
	o = stuffed(want, made, 60000);
	CHECK_MEM(text, ntext, want, o);
	for (i = 0; i < 60000; i++)
		made[i] = i % 2 ? '\n' : '.';
	goes(made, 60000);
	o = stuffed(want, made, 60000);
	CHECK_MEM(text, ntext, want, o);
}

/* ---- who gets which outcome ---- */

static const struct {
	const struct route *route;
	const char *script, *want;
} outcomes[] = {
	{ &clear, HI ONE MAIL OK RCPT("a") OK RCPT("b") "S550 5.1.1 no|" RCPT("c") "S450 4.2.0 x|"
	    GO "S250 2.0.0 Ok|" BYE, "S2.0.0 F5.1.1 L4.2.0 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") "S251 Ok|" RCPT("b") OK RCPT("c") "S252 Ok|" GO
	    "S554 5.7.1 spam|" BYE, "F5.7.1 F5.7.1 F5.7.1 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") "S550 no|" RCPT("b") OK RCPT("c") OK GO
	    "S451 later|" BYE, "F5.0.0 L4.0.0 L4.0.0 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") "S550 no|" RCPT("b") "S551 no|" RCPT("c")
	    "S450 x|" RSET BYE, "F5.0.0 F5.0.0 L4.0.0 ;done" },
	{ &clear, HI ONE MAIL "S552 5.3.4 too big|" BYE, "F5.3.4 F5.3.4 F5.3.4 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") OK RCPT("b") "S550 no|" RCPT("c") OK
	    "CDATA|S451 4.3.0 x|" RSET BYE, "L4.3.0 F5.0.0 L4.3.0 ;done" },
	/* one recipient too many: later; a full mailbox, or the first: never */
	{ &clear, HI ONE MAIL OK RCPT("a") OK RCPT("b") "S552 too many|" RCPT("c")
	    "S452 4.5.3 too many|" GO "S250 2.0.0 Ok|" BYE, "S2.0.0 L4.5.3 L4.5.3 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") "S552 full|" RCPT("b") OK RCPT("c") "S552 5.2.2 full|" GO
	    "S250 2.0.0 Ok|" BYE, "F5.0.0 S2.0.0 F5.2.2 ;done" },
	{ &clear, HI ONE MAIL OK RCPT("a") OK RCPT("b") "S552 5.5.3 many|" RCPT("c") OK GO
	    "S250 2.0.0 Ok|" BYE, "S2.0.0 L4.5.3 S2.0.0 ;done" },
	/* with PIPELINING */
	{ &clear, HI PIPE BURST "S250 Ok|S250 Ok|S550 no|S450 x|S354 go|T|S250 2.0.0 Ok|" BYE,
	    "S2.0.0 F5.0.0 L4.0.0 ;done" },
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S550 no|S450 x|S554 none|" RSET BYE,
	    "F5.0.0 F5.0.0 L4.0.0 ;done" },
	{ &clear, HI PIPE BURST "S550 5.1.8 no|S503 no|S503 no|S503 x|S503 none|" BYE,
	    "F5.1.8 F5.1.8 F5.1.8 ;done" },
	/* 354 though nobody is there, or nobody should be: a lone dot, and nothing sent */
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S550 no|S450 x|S354 go|T|S554 none|" BYE,
	    "F5.0.0 F5.0.0 L4.0.0 ;done" },
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S550 no|S450 x|S354 go|T|S250 2.6.0 Ok|" BYE,
	    "F5.0.0 F5.0.0 L4.0.0 ;done" },
	{ &clear, HI PIPE BURST "S450 x|S250 Ok|S250 Ok|S250 Ok|S354 go|T|S250 2.6.0 Ok|" BYE,
	    "L4.0.0 L4.0.0 L4.0.0 ;done" },
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S550 no|S450 x|S354 go|T|X|",
	    "F5.0.0 F5.0.0 L4.0.0 ;lost" },
	/* it breaks off in the middle of the replies */
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S250 Ok|X|", "F5.0.0 L4.4.2 L4.4.2 ;lost" },
	{ &clear, HI PIPE BURST "S250 Ok|S250 Ok|S421 4.7.0 x|", "L4.7.0 L4.7.0 L4.7.0 ;lost" },
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|S421 4.7.0 x|", "F5.0.0 L4.7.0 L4.7.0 ;lost" },
	{ &clear, HI PIPE BURST "S250 Ok|S550 no|Sgarbage|", "F5.0.0 L4.4.2 L4.4.2 ;lost" },
	{ &clear, HI PIPE BURST "S354 go|", "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	{ &clear, HI PIPE BURST "S250 Ok|S354 go|", "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	{ &clear, HI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S250 Ok|",
	    "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	/* LMTP: a reply for each that was accepted */
	{ &lmtp, LHI ONE MAIL OK RCPT("a") OK RCPT("b") OK RCPT("c") OK GO
	    "S250 2.1.5 Ok|S550 5.2.2 full|S450 4.2.1 x|" BYE, "S2.1.5m F5.2.2 L4.2.1 ;done" },
	{ &lmtp, LHI ONE MAIL OK RCPT("a") OK RCPT("b") "S550 no|" RCPT("c") OK GO
	    "S250 2.1.5 Ok|S450 4.2.1 x|" BYE, "S2.1.5m F5.0.0 L4.2.1 ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S550 no|S250 Ok|S250 Ok|S354 go|T|S550 5.2.2 full|"
	    "S250 2.1.5 Ok|" BYE, "F5.0.0 F5.2.2 S2.1.5m ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S550 no|S550 no|S550 no|S503 none|" RSET BYE,
	    "F5.0.0 F5.0.0 F5.0.0 ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S550 no|S550 no|S550 no|S354 go|T|" BYE,
	    "F5.0.0 F5.0.0 F5.0.0 ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S554 no|" RSET BYE,
	    "F5.0.0 F5.0.0 F5.0.0 ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S354 go|T|S250 2.1.5 Ok|X|",
	    "S2.1.5m L4.4.2 L4.4.2 ;lost" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S354 go|T|S250 2.1.5 Ok|"
	    "S421 4.3.2 bye|", "S2.1.5m L4.3.2 L4.4.2 ;lost" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S354 go|T|S250 2.1.5 Ok|"
	    "S550 5.2.2 x|S421 4.3.2 bye|", "S2.1.5m F5.2.2 L4.3.2 ;done" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S354 go|T|S250 2.1.5 Ok|W601|",
	    "S2.1.5m L4.4.2 L4.4.2 ;lost" },
	{ &lmtp, LHI PIPE BURST "S250 Ok|S250 Ok|S250 Ok|S250 Ok|S354 go|T|W599|S250 2.1.5 Ok|W599|"
	    "S250 2.1.5 Ok|W599|S250 2.1.5 Ok|" BYE, "S2.1.5m S2.1.5m S2.1.5m ;done" },
	/* it reports itself */
	{ &lmtp, LHI "S250-x|S250-DSN|S250 8BITMIME|" MAIL OK RCPT("a") OK RCPT("b") OK RCPT("c") OK
	    GO "S250 2.1.5 Ok|S250 2.1.5 Ok|S550 no|" BYE, "S2.1.5d S2.1.5d F5.0.0 ;done" },
};

/* How long the client waits for each reply, and not longer. */
static const struct {
	const char *script, *want;
} waits[] = {
	{ "W299|" HI "W299|" ONE MAIL "W299|" OK RCPT("a") "W299|" OK RCPT("b") "W299|" OK RCPT("c")
	    "W299|" OK "CDATA|W119|S354 go|T|W599|S250 2.6.0 Ok|CQUIT|",
	    "S2.6.0 S2.6.0 S2.6.0 ;done" },
	{ HI PIPE BURST "W299|S250 Ok|W299|S250 Ok|W299|S250 Ok|W299|S250 Ok|W119|S354 go|T|W599|"
	    "S250 2.6.0 Ok|" BYE, "S2.6.0 S2.6.0 S2.6.0 ;done" },
	{ "W301|E|", "connect" },
	{ HI "W301|E|", "connect" },
	{ HI ONE MAIL "W301|E|", "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	{ HI ONE MAIL OK RCPT("a") "W301|E|", "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	{ HI ONE MAIL OK RCPT("a") OK RCPT("b") OK RCPT("c") OK "CDATA|W121|E|",
	    "L4.4.2 L4.4.2 L4.4.2 ;lost" },
	{ HI ONE MAIL OK RCPT("a") OK RCPT("b") OK RCPT("c") OK "CDATA|S354 go|T|W601|E|",
	    "L4.4.2 L4.4.2 L4.4.2 ;lost" },
};

static void
test_waits(void)
{
	size_t i;

	for (i = 0; i < LEN(waits); i++)
		run(&clear, THREE, "x\n", waits[i].script, waits[i].want);
}

static void
test_outcomes(void)
{
	size_t i;

	for (drip = 0; drip < 2; drip++) {
		for (i = 0; i < LEN(outcomes); i++) {
			run(outcomes[i].route, THREE, "x\n", outcomes[i].script, outcomes[i].want);
			/* a lone dot is not a letter */
			CHECK_MSG(!strstr(outcomes[i].script, "T|S554 none|") || ntext == 3,
			    "%s", outcomes[i].script);
			/* whose fate is unknown is named, and nobody else */
			CHECK_INT(strstr(logged, "possible-duplicate") != NULL,
			    strstr(outcomes[i].want, "S2.1.5m L4.4.2") ||
			    strstr(outcomes[i].want, "L4.3.2 L4.4.2"));
		}
	}
	drip = 0;
	run(&clear, LETTER, "x\n", HI ONE MAIL "S550-5.7.1 go|S550 5.7.1 away \x1b[1m|" BYE,
	    "F5.7.1 ;done");
	CHECK_STR(words, "550 5.7.1 go away ?[1m");
}

/* ---- replies within the text ---- */

static void
big_text(size_t n)
{
	memset(made, 'z', n);
	made[n - 1] = '\n';
	clear_all();
	(void)letter(LETTER, made, n);
}

static struct conn *
only(void)
{
	int i;

	for (i = 0; i < CONNS && !conn_at(i); i++)
		;
	return conn_at(i);
}

/* Up to the text, there being little room for what the server does not read. */
static void
begin_text(void)
{
	static const int small = 4096;
	socklen_t n = sizeof(int);
	int i, old = 0;

	hop.route = &clear;
	(void)getsockopt(listening, SOL_SOCKET, SO_RCVBUF, &old, &n);
	(void)setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (client_start(&hop, &user, &nqueue) < 0 ||
	    setsockopt(only()->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) < 0)
		abort();
	while (server == -1)
		spin(1);
	follow(HI ONE MAIL OK RCPT("a") OK "CDATA|");
	CHECK_INT(nin, 0);
	(void)setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &old, sizeof(old));
	say("354 go\r\n", 8);
	for (i = 0; i < 50; i++)
		loop_turn(0, NULL, NULL);
	CHECK(only() && only()->bytes_out < sizeof(made) / 2);
}

/* The session ends, whatever the server has read. */
static void
end_text(const char *what, const char *calls_want)
{
	int i;

	hang_up(0);
	for (i = 0; i < 2000 && !overs; i++)
		spin(1);
	CHECK_MSG(!strcmp(calls, calls_want), "%s: got %s, want %s", what, calls, calls_want);
	CHECK(!strstr(logged, "possible-duplicate"));
	CHECK_INT(overs, 1);
	CHECK_INT(client_count(), 0);
	CHECK_INT(conn_free(), CONNS);
}

static void
early(const char *reply, const char *calls_want)
{
	int i;

	big_text(sizeof(made));
	begin_text();
	(void)send(server, reply, strlen(reply), MSG_NOSIGNAL);
	for (i = 0; i < 20; i++)
		loop_turn(0, NULL, NULL);
	rest();
	CHECK_INT(overs, 1);
	CHECK(!await("\r\n.\r\n", 5));	/* the final dot has not left */
	end_text(reply, calls_want);
}

/* The answer is heard although the server reads nothing more; also when it is gone a moment
 * later. */
static void
early_deaf(const char *reply, const char *calls_want, int gone)
{
	int i;

	big_text(sizeof(made));
	begin_text();
	(void)send(server, reply, strlen(reply), MSG_NOSIGNAL);
	if (gone) {
		(void)close(server);	/* with a reset: there was more to read */
		server = -2;
	}
	for (i = 0; i < 5; i++)
		loop_turn(0, NULL, NULL);
	CHECK_INT(overs, 1);
	end_text(reply, calls_want);
}

/* A server that does not read, and one that reads too slowly. */
static void
test_slow(void)
{
	int i;

	big_text(sizeof(made));
	begin_text();
	ahead += 179;
	loop_turn(0, NULL, NULL);
	loop_turn(0, NULL, NULL);
	CHECK(!overs);
	ahead += 2;
	loop_turn(0, NULL, NULL);
	loop_turn(0, NULL, NULL);
	CHECK_INT(overs, 1);
	CHECK_STR(over_words, "timed out within the text");
	end_text("not read", "L4.4.2 ;lost");
	big_text(sizeof(made));
	begin_text();
	for (i = 0; i < 200 && !overs; i++) {
		ahead += 30;
		(void)recv(server, in, 2000, 0);
		loop_turn(0, NULL, NULL);
		loop_turn(0, NULL, NULL);
	}
	CHECK_INT(i, 120);		/* an hour */
	CHECK_STR(over_words, "timed out within the text");
	end_text("slow", "L4.4.2 ;lost");
}

/* The last of the text and the dot wait for room in the socket when an answer comes to them. */
static void
test_stuck(void)
{
	struct session *s;
	uint64_t fits;
	size_t n;
	int i;

	big_text(sizeof(made));
	begin_text();
	fits = only()->bytes_out;
	hang_up(0);
	for (n = (size_t)fits + 8000; n > fits; n -= 500) {
		big_text(n);
		begin_text();
		s = only()->session;
		if (s->state == C_DOT && conn_room(s->c) < BUFSZ)
			break;
		hang_up(0);
	}
	CHECK(n > fits);
	(void)send(server, "250 2.6.0 sure\r\n", 16, MSG_NOSIGNAL);
	for (i = 0; i < 20; i++)
		loop_turn(0, NULL, NULL);
	end_text("stuck", "L4.4.2 ;lost");
	CHECK_STR(words, "unexpected reply after the final dot");
}

static void
test_early(void)
{
	int gone;

	early("552 5.3.4 too big\r\n", "F5.3.4 ;done");
	early("451 4.3.0 no\r\n", "L4.3.0 ;lost");
	early("421 4.3.2 bye\r\n", "L4.3.2 ;lost");
	early("250 2.0.0 sure\r\n", "L4.4.2 ;lost");
	early("354 again\r\n", "L4.4.2 ;lost");
	early("what\r\n", "L4.4.2 ;lost");
	for (gone = 0; gone < 2; gone++) {
		early_deaf("552 5.3.4 too big\r\n", "F5.3.4 ;done", gone);
		early_deaf("552-5.3.4 too\r\n552 5.3.4 big\r\n", "F5.3.4 ;done", gone);
		early_deaf("421 4.3.2 bye\r\n", "L4.3.2 ;lost", gone);
		early_deaf("250 2.0.0 sure\r\n", "L4.4.2 ;lost", gone);
	}
}

/* ---- parameters ---- */

#define DSN "S250-x|S250-DSN|S250 8BITMIME|"
#define ALL "S250-x|S250-SIZE 1000|S250-DSN|S250-SMTPUTF8|S250 8BITMIME|"

static const struct {
	const char *envelope, *text, *script, *want;
} params[] = {
	{ "F<>\nT<a@far.example>\n", "x\n", HI ONE "CMAIL FROM:<>|" OK RCPT("a") OK GO
	    "S250 2.6.0 Ok|" BYE, "S2.6.0 ;done" },
	{ "F<\"a b>\"@here.example>\nT<\" \"@far.example>\n", "x\n",
	    HI ONE "CMAIL FROM:<\"a b>\"@here.example>|" OK "CRCPT TO:<\" \"@far.example>|" OK GO
	    "S250 2.6.0 Ok|" BYE, "S2.6.0 ;done" },
	/* W: the sender knows of the delay */
	{ "W<s@here.example> BODY=8BITMIME RET=HDRS ENVID=q+2B1 BY=login\n"
	    "T<a@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x.example\n", "12345678\n",
	    HI ALL "CMAIL FROM:<s@here.example> SIZE=9 BODY=8BITMIME RET=HDRS ENVID=q+2B1|" OK
	    "CRCPT TO:<a@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o@x.example|" OK GO
	    "S250 2.6.0 Ok|" BYE, "S2.6.0d ;done" },
	{ "F<s@here.example> BODY=8BITMIME RET=HDRS ENVID=q BY=login\n"
	    "T<a@far.example> NOTIFY=NEVER\n", "x\n", HI NONE TXN BYE, "S2.6.0 ;done" },
	{ "F<s@here.example> BODY=7BIT\nT<a@far.example>\n", "x\n", HI ONE TXN BYE,
	    "S2.6.0 ;done" },
	{ LETTER, "x\n", HI DSN TXN BYE, "S2.6.0d ;done" },
	/* no 8-bit text without 8BITMIME, in the header or behind it */
	{ LETTER, "x: y\n\n\xc3\xa4\n", HI NONE BYE, "F5.6.3 ;done" },
	{ LETTER, "x: \xc3\xa4\n\ny\n", HI NONE BYE, "F5.6.3 ;done" },
	{ LETTER, "x: \xc3\xa4\n\ny\n", HI ONE TXN BYE, "S2.6.0 ;done" },
	{ "F<s@here.example> BODY=8BITMIME\nT<a@far.example>\n", "x\n", HI NONE TXN BYE,
	    "S2.6.0 ;done" },
	/* SMTPUTF8 is wanted only if it is needed */
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example>\n", "x: y\n\nz\n", HI ONE TXN BYE,
	    "S2.6.0 ;done" },
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example>\n", "x: y\n\n\xc3\xa4\n", HI ONE
	    "CMAIL FROM:<s@here.example> BODY=8BITMIME|" OK RCPT("a") OK GO "S250 2.6.0 Ok|" BYE,
	    "S2.6.0 ;done" },
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example>\n", "x: \xc3\xa4\n\nz\n", HI ONE BYE,
	    "F5.6.7 ;done" },
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example>\n", "x: \xc3\xa4\n\nz\n", HI ALL
	    "CMAIL FROM:<s@here.example> SIZE=9 SMTPUTF8|" OK RCPT("a") OK GO "S250 2.6.0 Ok|" BYE,
	    "S2.6.0d ;done" },
	{ "F<\xc3\xa4@here.example> SMTPUTF8\nT<a@far.example>\n", "x\n", HI ONE BYE,
	    "F5.6.7 ;done" },
	{ "F<\xc3\xa4@here.example> SMTPUTF8\nT<a@far.example>\n", "x\n", HI ALL
	    "CMAIL FROM:<\xc3\xa4@here.example> SIZE=2 SMTPUTF8|" OK RCPT("a") OK GO
	    "S250 2.6.0 Ok|" BYE, "S2.6.0d ;done" },
	{ "F<s@here.example> SMTPUTF8\nT<\xc3\xa4@far.example>\nT<a@far.example>\n", "x\n",
	    HI ONE TXN BYE, "F5.6.7 S2.6.0 ;done" },
	{ "F<s@here.example>\nT<\xc3\xa4@far.example>\n", "x\n", HI ALL
	    "CMAIL FROM:<s@here.example> SIZE=2|" OK RSET BYE, "F5.6.7 ;done" },
	/* nor does a parameter that needs it go without it */
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example> NOTIFY=NEVER ORCPT=utf-8;\xc3\xa4@x\n",
	    "x\n",
	    HI DSN MAIL OK "CRCPT TO:<a@far.example> NOTIFY=NEVER|" OK GO "S250 2.6.0 Ok|" BYE,
	    "S2.6.0d ;done" },
	{ "F<s@here.example> SMTPUTF8\nT<a@far.example> ORCPT=utf-8;\xc3\xa4@x\n", "x\n",
	    HI ALL "CMAIL FROM:<s@here.example> SIZE=2 SMTPUTF8|" OK
	    "CRCPT TO:<a@far.example> ORCPT=utf-8;\xc3\xa4@x|" OK GO "S250 2.6.0 Ok|" BYE,
	    "S2.6.0d ;done" },
	/* files that are damaged */
	{ "F<s@here\x01.example>\nT<a@far.example>\n", "x\n", HI ONE BYE, "L4.3.0 ;done" },
	{ "X<s@here.example>\nT<a@far.example>\n", "x\n", HI ONE BYE, "L4.3.0 ;done" },
	{ "F<s@here.example>\nT<a\r@far.example>\nT<a@far.example>\n", "x\n", HI ONE TXN BYE,
	    "L4.3.0 S2.6.0 ;done" },
	{ "F<s@here.example>\nT<a@far.example\nT<a@far.example>\n", "x\n", HI ONE TXN BYE,
	    "L4.3.0 S2.6.0 ;done" },
};

static void
test_params(void)
{
	static const char forwarded[] = "Delivered-To: b+x@us.example\r\n"
	    "Delivered-To: list@us.example\r\nx\r\n.\r\n";
	struct sending *s;
	size_t i;

	for (drip = 0; drip < 2; drip++)
		for (i = 0; i < LEN(params); i++)
			run(&clear, params[i].envelope, params[i].text, params[i].script,
			    params[i].want);
	drip = 0;
	clear_all();
	s = letter("F<s@here.example>\nT<a@far.example> FORWARD=list@us.example\n"
	    "T<b@far.example> NOTIFY=NEVER FORWARD=list@us.example\n"
	    "T<c@far.example> FORWARD=b+2Bx@us.example\n", "x\n", 2);
	s->forward = 1;
	session(&clear, HI ONE "CMAIL FROM:<SRS0=s@here.example>|" OK RCPT("a") OK RCPT("b") OK
	    RCPT("c") OK GO "S250 2.6.0 Ok|" BYE);
	CHECK_CALLS("forward", "S2.6.0 S2.6.0 S2.6.0 ;done");
	CHECK_MEM(text, ntext, forwarded, sizeof(forwarded) - 1);
	/* the text ends before its end */
	clear_all();
	s = letter(LETTER, "x\n", 2);
	s->end += 1000;
	session(&clear, HI ONE MAIL OK RCPT("a") OK "CDATA|S354 go|");
	CHECK_CALLS("short", "L4.3.0 ;lost");
	clear_all();
	s = letter(LETTER, "x\n", 2);
	s->end += 1000;
	session(&clear, HI NONE BYE);
	CHECK_CALLS("short, scanned", "L4.3.0 ;done");
}

/* A recipient for whom all is decided already is not asked for. */
static void
test_decided(void)
{
	struct sending *s;

	clear_all();
	s = letter(THREE, "x\n", 2);
	s->to[0].outcome = O_FAILED;
	memcpy(s->to[0].words, "before", 7);
	session(&clear, HI ONE MAIL OK RCPT("b") OK RCPT("c") OK GO "S250 2.6.0 Ok|" BYE);
	CHECK_CALLS("decided", "F S2.6.0 S2.6.0 ;done");
}

/* ---- many ---- */

/* A hundred recipients with long addresses: the commands do not fit the buffers at once. */
static void
test_burst(int pipelined)
{
	static char envelope[65536], long_name[61];
	size_t n;
	int i, bursts = 0;

	memset(long_name, 'l', sizeof(long_name) - 1);
	n = (size_t)snprintf(envelope, sizeof(envelope), "F<s@here.example>\n");
	for (i = 0; i < RECIPIENTS; i++)
		n += (size_t)snprintf(envelope + n, sizeof(envelope) - n,
		    "T<%s%d@%s.%s.%s.example>\n", long_name, i, long_name, long_name, long_name);
	clear_all();
	(void)letter(envelope, "x\n", 2);
	hop.route = &clear;
	if (client_start(&hop, &user, &nqueue) < 0)
		abort();
	while (server == -1)
		spin(1);
	follow(pipelined ? HI PIPE : HI ONE);
	follow(MAIL OK);
	for (i = 0; i < RECIPIENTS; i++) {
		n = await("\r\n", 2);
		CHECK(n > 200 && !memcmp(in, "RCPT TO:<", 9));
		bursts += nin > n;
		forget(n);
		follow(i % 2 ? "S250 Ok|" : "S550 5.1.1 no|");
	}
	CHECK(pipelined ? bursts > 50 : bursts == 0);
	play(GO "S250 2.6.0 Ok|" BYE);
	for (i = 0; i < RECIPIENTS; i++)
		CHECK_INT(queue[0].to[i].outcome, i % 2 ? O_SENT : O_FAILED);
	CHECK(strstr(calls, ";done") != NULL);
}

/* Letter after letter: refused ones are undone with RSET, at most a hundred in a session. */
static void
test_letters(void)
{
	int i;

	clear_all();
	for (i = 0; i < 4; i++)
		(void)letter(LETTER, "x\n", 2);
	session(&clear, HI ONE TXN MAIL OK RCPT("a") "S550 5.1.1 no|" RSET MAIL "S451 x|" TXN BYE);
	CHECK_CALLS("letters", "S2.6.0 ;F5.1.1 ;L4.0.0 ;S2.6.0 ;done");
	CHECK_INT(ntext, 12);
	/* RSET is refused: the next letters are left for another session */
	clear_all();
	for (i = 0; i < 2; i++)
		(void)letter(LETTER, "x\n", 2);
	session(&clear, HI ONE MAIL OK RCPT("a") "S550 5.1.1 no|CRSET|S500 no|" BYE);
	CHECK_CALLS("no RSET", "F5.1.1 ;done");
	CHECK_INT(taken, 1);
	/* after 421, and when it has closed behind its answer, none is taken either */
	clear_all();
	for (i = 0; i < 2; i++)
		(void)letter(LETTER, "x\n", 2);
	session(&clear, HI ONE MAIL OK RCPT("a") OK GO "S421 4.3.2 bye|");
	CHECK_CALLS("421", "L4.3.2 ;done");
	CHECK_INT(taken, 1);
	/* letters that cannot go there do not stop it */
	clear_all();
	for (i = 0; i < 5; i++)
		(void)letter(LETTER, i % 2 ? "x\n" : "\xc3\xa4\n", i % 2 ? 2 : 3);
	session(&clear, HI NONE TXN TXN BYE);
	CHECK_CALLS("8-bit", "F5.6.3 ;S2.6.0 ;F5.6.3 ;S2.6.0 ;F5.6.3 ;done");
	clear_all();
	for (i = 0; i < 5; i++)
		(void)letter("F<\xc3\xa4@here.example>\nT<a@far.example>\n", "x\n", 2);
	session(&clear, HI ONE BYE);
	CHECK_CALLS("UTF-8", "F5.6.7 ;F5.6.7 ;F5.6.7 ;F5.6.7 ;F5.6.7 ;done");
	clear_all();
	session(&clear, HI ONE BYE);
	CHECK_CALLS("none", "done");
	/* the server has gone while a letter was looked at: the next one is not taken */
	clear_all();
	(void)letter(LETTER, "\xc3\xa4\n", 3);
	(void)letter(LETTER, "x\n", 2);
	session(&clear, HI NONE "H|E|");
	CHECK_CALLS("gone", "F5.6.3 ;done");
	CHECK_INT(taken, 1);
}

static void
test_hundred(void)
{
	int i;

	clear_all();
	for (i = 0; i < 101; i++)
		(void)letter(LETTER, "x\n", 2);
	hop.route = &clear;
	if (client_start(&hop, &user, &nqueue) < 0)
		abort();
	while (server == -1)
		spin(1);
	follow(HI PIPE);
	for (i = 0; i < 100; i++)
		follow(MAIL RCPT("a") "CDATA|S250 Ok|S250 Ok|S354 go|T|S250 2.6.0 Ok|");
	play(BYE);
	CHECK_INT(taken, 100);
	CHECK_INT(ntext, 600);
}

/* ---- signatures ---- */

#define BY "F<s@here.example> BY=alice\nT<a@far.example>\n"
#define SIGNED(n) "CMAIL FROM:<s@here.example> SIZE=" n "|" OK RCPT("a") OK GO "S250 2.6.0 Ok|"

static void
test_sign(void)
{
	static const char head[] = "DKIM-Signature: d=here.example; s=maild; t=429781;\r\n\t";
	static const char small[] = "From: s@here.example\n\n.x\n";
	char line[128];
	unsigned sum = 0;
	size_t i, n, o;

	have_key = 1;
	for (i = 0; i < sizeof(small) - 1; i++)
		sum = sum * 31 + (unsigned char)small[i];
	run(&clear, BY, small, HI ONE TXN BYE, "S2.6.0 ;done");
	n = (size_t)snprintf(want, sizeof(want), "%sn=25; b=%x\r\n"
	    "From: s@here.example\r\n\r\n..x\r\n.\r\n", head, sum);
	CHECK_MEM(text, ntext, want, n);
	CHECK_INT(finishes, 1);
	/* a large one, in slices; another session waits for its turn */
	for (i = 0; i < sizeof(made); i++)
		made[i] = (char)("From: a@b.example\n\n..text\n"[i % 26]);
	for (sum = 0, i = 0; i < sizeof(made); i++)
		sum = sum * 31 + (unsigned char)made[i];
	clear_all();
	(void)letter(BY, made, sizeof(made));
	session(&clear, HI ONE TXN BYE);
	n = (size_t)snprintf(line, sizeof(line), "n=%lu; b=%x\r\n",
	    (unsigned long)sizeof(made), sum);
	CHECK(!memcmp(text, head, sizeof(head) - 1));
	CHECK(!memcmp(text + sizeof(head) - 1, line, n));
	o = stuffed(want, made, sizeof(made));
	CHECK_MEM(text + sizeof(head) - 1 + n, ntext - (sizeof(head) - 1) - n, want, o);
	CHECK_INT(finishes, 2);
	/* a header only */
	run(&clear, BY, "From: s@here.example\n", HI ONE TXN BYE, "S2.6.0 ;done");
	CHECK_INT(finishes, 3);
	/* no key: it is known when the header ends, and nothing more is read */
	have_key = 0;
	run(&clear, BY, small, HI ONE TXN BYE, "S2.6.0 ;done");
	CHECK_INT(finishes, 3);
	CHECK_INT(ntext, 32);
	/* nobody of ours: nothing is looked at */
	have_key = 1;
	i = (size_t)inits;
	run(&clear, LETTER, small, HI ONE TXN BYE, "S2.6.0 ;done");
	CHECK_INT(inits, i);
	/* the size that is told counts the field */
	run(&clear, BY, "From: x\n\n", HI "S250-x|S250 SIZE|" SIGNED("77") BYE, "S2.6.0 ;done");
	/* 8-bit text is found on the way */
	run(&clear, BY, "From: x\n\n\xc3\xa4\n", HI NONE BYE, "F5.6.3 ;done");
	have_key = 0;
}

/* ---- the end of all ---- */

static void
stop_now(void)
{
	int i;

	stopping = 1;
	for (i = 0; i < CONNS; i++)
		if (conn_at(i))
			conn_at(i)->kind->expire(conn_at(i));
}

/* We are to stop: who has all of a letter may still answer, all else is left. */
static void
test_stop(void)
{
	static const struct {
		const char *before, *after, *want;
	} t[] = {
		{ HI ONE MAIL OK RCPT("a") OK "CDATA|S354 go|T|", "S250 2.6.0 Ok|" BYE,
		    "S2.6.0 ;done" },
		{ HI ONE MAIL OK RCPT("a") OK "CDATA|S354 go|T|", "W601|", "L4.4.2 ;lost" },
		{ HI ONE MAIL OK RCPT("a") OK "CDATA|", "Q|", "L4.4.2 ;lost" },
		{ HI ONE MAIL, "Q|", "L4.4.2 ;lost" },
		{ HI, "Q|", "connect" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		clear_all();
		(void)letter(LETTER, "x\n", 2);
		hop.route = &clear;
		if (client_start(&hop, &user, &nqueue) < 0)
			abort();
		while (server == -1)
			spin(1);
		follow(t[i].before);
		stop_now();
		play(t[i].after);
		CHECK_CALLS(t[i].after, t[i].want);
		stopping = 0;
	}
}

/* ---- several sessions at once ---- */

enum { TOGETHER = 4 };

static struct {
	int fd, over;
	char got[1 << 20];
	size_t n;
	struct sending *s;
} many[TOGETHER];
static int done;

static struct sending *
many_next(void *arg)
{
	int i = *(int *)arg;
	struct sending *s = many[i].s;

	many[i].s = NULL;
	return s;
}

static void
many_sent(void *arg, struct sending *s)
{
	(void)arg;
	done += s->to[0].outcome == O_SENT;
}

static void
many_over(void *arg, enum over why, const char *status, const char *why_words)
{
	(void)why;
	(void)status;
	(void)why_words;
	many[*(int *)arg].over++;
}

/* All want the signer; one of them breaks off while it has it, or waits for it. */
static void
test_together(int victim)
{
	static const struct client_user u = { many_next, many_sent, many_over };
	static int number[TOGETHER] = { 0, 1, 2, 3 };
	static const char script[] = "220 x\r\n250-x\r\n250 8BITMIME\r\n";
	static const char rest_of_it[] =
	    "250 Ok\r\n250 Ok\r\n354 go\r\n250 2.6.0 Ok\r\n221 bye\r\n";
	int i, k, turn;
	ssize_t n;

	have_key = 1;
	done = finishes = 0;
	clear_all();
	server = -2;
	hop.route = &clear;
	memset(made, 'a', sizeof(made));
	memcpy(made, "From: x\n\n", 9);
	for (i = 0; i < TOGETHER; i++) {
		many[i].n = 0;
		many[i].over = 0;
		many[i].fd = -1;
		many[i].s = letter(BY, made, sizeof(made));
		if (client_start(&hop, &u, &number[i]) < 0)
			abort();
	}
	for (turn = 0; turn < 50; turn++) {
		loop_turn(0, NULL, NULL);
		for (i = 0; i < TOGETHER && many[i].fd >= 0; i++)
			;
		if (i < TOGETHER)
			many[i].fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	/* the greeting and the capabilities come line by line, the rest as the client asks */
	for (i = 0; i < TOGETHER; i++)
		CHECK(send(many[i].fd, script, 7, MSG_NOSIGNAL) == 7);
	for (turn = 0; turn < 4; turn++)
		loop_turn(0, NULL, NULL);
	for (i = 0; i < TOGETHER; i++)
		CHECK(send(many[i].fd, script + 7, sizeof(script) - 8, MSG_NOSIGNAL) > 0);
	for (turn = 0; turn < 4; turn++)
		loop_turn(0, NULL, NULL);
	if (victim >= 0) {
		(void)close(many[victim].fd);
		many[victim].fd = -1;
	}
	for (turn = 0; turn < 20000; turn++) {
		loop_turn(0, NULL, NULL);
		for (k = i = 0; i < TOGETHER; i++) {
			k += many[i].over;
			if (many[i].fd < 0)
				continue;
			n = recv(many[i].fd, many[i].got + many[i].n,
			    sizeof(many[i].got) - many[i].n, 0);
			if (n > 0)
				many[i].n += (size_t)n;
		}
		if (k == TOGETHER)
			break;
		for (i = 0; i < TOGETHER; i++) {
			static const char *const asked[] = {
				"MAIL FROM:<s@here.example>\r\n", "RCPT TO:<a@far.example>\r\n",
				"DATA\r\n", "\r\n.\r\n", "QUIT\r\n"
			};
			const char *p = rest_of_it;

			if (many[i].fd < 0 || many[i].n < 6)
				continue;
			for (k = 0; k < 5; k++, p = strchr(p, '\n') + 1) {
				size_t len = strlen(asked[k]);

				if (many[i].n < len ||
				    memcmp(many[i].got + many[i].n - len, asked[k], len) != 0)
					continue;
				many[i].n = 0;
				(void)send(many[i].fd, p, (size_t)(strchr(p, '\n') + 1 - p),
				    MSG_NOSIGNAL);
				if (k == 4) {
					(void)close(many[i].fd);
					many[i].fd = -1;
				}
				break;
			}
			if (k == 5 && many[i].n == 21 && !memcmp(many[i].got, "EHLO", 4))
				many[i].n = 0;
		}
	}
	for (i = 0; i < TOGETHER; i++) {
		CHECK_INT(many[i].over, 1);
		if (many[i].fd >= 0)
			(void)close(many[i].fd);
	}
	CHECK_INT(done, victim < 0 ? TOGETHER : TOGETHER - 1);
	CHECK(finishes >= TOGETHER - 1);
	CHECK_INT(client_count(), 0);
	CHECK_INT(conn_free(), CONNS);
	have_key = 0;
}

int
main(void)
{
	int i;

	client_test_init();
	test_exact();
	test_long();
	test_outcomes();
	test_waits();
	test_early();
	test_slow();
	test_stuck();
	test_params();
	test_decided();
	test_burst(0);
	test_burst(1);
	test_letters();
	test_hundred();
	test_sign();
	test_stop();
	for (i = -1; i < TOGETHER; i++)
		test_together(i);
	return test_end();
}
