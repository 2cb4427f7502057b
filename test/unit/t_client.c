/* with: client.c send.c out.c lib/reply.c lib/addr.c lib/loop.c lib/ip.c lib/fs.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Sessions with other servers: each reply and each way to break off at each step, with and without
 * PIPELINING, greetings, STARTTLS and its tricks, logins, connections that cannot be made.
 */
#include "t_client.h"

#define LETTER "F<s@here.example>\nT<a@far.example>\n"
#define TEXT "Subject: x\n\nhello\n"
#define HI "S220 mx.far.example ESMTP|CEHLO mx.example.org|"
#define ONE "S250-mx.far.example|S250-SIZEX|S250 8BITMIME|"
#define PIPE "S250-mx.far.example|S250-pipelining|S250 8BITMIME|"
#define MAIL "CMAIL FROM:<s@here.example>|"
#define RCPT "CRCPT TO:<a@far.example>|"
#define BYE "CQUIT|S221 bye|"

static const struct route clear = { "*", "*", "", 25, ROUTE_CLEAR, "", "", ROUTE_SMTP };
static const struct route smart = { "*", "*", "isp", 25, ROUTE_CLEAR, "", "", ROUTE_SMTP };
static const struct route may = { "*", "*", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP };
static const struct route must = { "*", "*", "", 25, ROUTE_MUST, "", "", ROUTE_SMTP };
static const struct route wrap = { "*", "*", "", 465, ROUTE_WRAP, "", "", ROUTE_SMTP };
static const struct route unknown = { "*", "*", "", 25, ROUTE_MUST, "bad", "", ROUTE_SMTP };
static const struct route lmtp = { "*", "*", "", 24, ROUTE_CLEAR, "", "", ROUTE_LMTP };
static const struct route auth = { "*", "*", "", 587, ROUTE_MUST, "", "isp", ROUTE_SMTP };
static const struct route auth_may = { "*", "*", "", 587, ROUTE_MAY, "", "isp", ROUTE_SMTP };
static const struct route auth_clear = { "*", "*", "", 587, ROUTE_CLEAR, "", "isp", ROUTE_SMTP };
static const struct route auth_none = { "*", "*", "", 587, ROUTE_CLEAR, "", "nobody", ROUTE_SMTP };
static const struct route auth_bad = { "*", "*", "", 587, ROUTE_CLEAR, "", "broken", ROUTE_SMTP };

static void
run(const struct route *r, const char *script, const char *want)
{
	clear_all();
	(void)letter(LETTER, TEXT, sizeof(TEXT) - 1);
	session(r, script);
	CHECK_CALLS(script, want);
}

/* ---- everything at each step ---- */

/* The steps of a session with a letter for one recipient, and how a server follows them. */
static const struct {
	const char *name, *before, *asked, *fine;
} steps[] = {
	{ "greeting", "", "", "S220 hi|" },
	{ "EHLO", "", "CEHLO mx.example.org|", ONE },
	{ "MAIL", "", MAIL, "S250 2.1.0 Ok|" },
	{ "RCPT", "", RCPT, "S250 2.1.5 Ok|" },
	{ "DATA", "", "CDATA|", "S354 go|" },
	{ "dot", "", "T|", "S250 2.0.0 Ok|" },
};
enum { GREETING, EHLO_, MAIL_, RCPT_, DATA_, DOT_, STEPS };

/*
 * What the server does at a step, and what becomes of it there: `early` before MAIL, `mid` up to
 * DATA, `dot` at the end. "*": the session goes on.
 */
static const struct {
	const char *what, *early, *mid, *dot;
	int dup;		/* after the dot it may have been delivered */
} events[] = {
	{ "S450 4.2.0 later|", "connect", "*L4.2.0 ;done", "*L4.2.0 ;done", 0 },
	{ "S450 later|", "connect", "*L4.0.0 ;done", "*L4.0.0 ;done", 0 },
	{ "S550-5.1.1 no|S550 5.1.1 user|", "*connect", "*F5.1.1 ;done", "*F5.1.1 ;done", 0 },
	{ "S554 no|", "*connect", "*F5.0.0 ;done", "*F5.0.0 ;done", 0 },
	{ "S421 4.3.2 bye|", "connect", "L4.3.2 ;lost", "L4.3.2 ;done", 0 },
	{ "S421 4.3.2 bye|X|", "connect", "L4.3.2 ;lost", "L4.3.2 ;done", 0 },
	{ "X|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "A|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "H|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R2|X|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R250-half|X|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R250 half|X|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R250-half\r\n|X|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "Shallo|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "S|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "S199 what|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "S350 what|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },	/* QUIT if early */
	{ "R250 ok\n|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R250 o\1k\r\n|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "R250-a\r\n251 b\r\n|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "L1025|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "L3000|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "N200|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "W601|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
	{ "W200|R2|W200|R5|W200|R0|W200|E|", "connect", "L4.4.2 ;lost", "L4.4.2 ;lost", 1 },
};

/* Up to a step all is well; with PIPELINING the commands come together. Then what is asked
 * there. */
static size_t
upto(char *dst, size_t size, int at, int pipelined)
{
	const char *asked, *fine;
	size_t n = 0;
	int i;

	for (i = 0; i <= at; i++) {
		asked = steps[i].asked;
		fine = i == EHLO_ && pipelined ? PIPE : steps[i].fine;
		if (pipelined && i >= MAIL_ && i <= DATA_)
			asked = i == MAIL_ ? MAIL RCPT "CDATA|" : "";
		n += (size_t)snprintf(dst + n, size - n, "%s%s", asked, i < at ? fine : "");
	}
	return n;
}

/* What follows when the session goes on after a refusal at a step. */
static const char *
after(int at, int pipelined)
{
	static const char *const single[] = {
		BYE, "CHELO mx.example.org|S550 no|" BYE, BYE, "CRSET|S250 Ok|" BYE,
		"CRSET|S250 Ok|" BYE, BYE
	};
	static const char *const piped[] = {
		BYE, "CHELO mx.example.org|S550 no|" BYE, "S503 no|S503 no|" BYE,
		"S554 no|CRSET|S250 Ok|" BYE, "CRSET|S250 Ok|" BYE, BYE
	};

	return pipelined ? piped[at] : single[at];
}

static void
one_event(size_t e, int at, int pipelined)
{
	const char *want = at < MAIL_ ? events[e].early : at < DOT_ ? events[e].mid : events[e].dot;
	int goes_on = *want == '*' || (at < MAIL_ && (strstr(events[e].what, "S450") ||
	    strstr(events[e].what, "S350")));
	char script[2048];
	size_t n;

	n = upto(script, sizeof(script), at, pipelined);
	/* a refused EHLO is tried as HELO, but only for good */
	(void)snprintf(script + n, sizeof(script) - n, "%s%s", events[e].what,
	    !goes_on ? "" : at == EHLO_ && *want != '*' ? BYE : after(at, pipelined));
	run(&clear, script, want + (*want == '*'));
	CHECK_MSG((strstr(logged, "possible-duplicate") != NULL) == (at == DOT_ && events[e].dup),
	    "%s: duplicate? %s", script, logged);
	if (at == DOT_ && events[e].dup)
		CHECK_STR(words, "connection lost after the final dot");
}

static void
test_matrix(void)
{
	size_t e;
	int at;

	for (e = 0; e < LEN(events); e++) {
		for (at = 0; at < STEPS; at++) {
			one_event(e, at, 0);
			if (at >= MAIL_)
				one_event(e, at, 1);
		}
	}
}

/* ---- the beginning ---- */

#define SENT_ONE MAIL "S250 Ok|" RCPT "S250 Ok|CDATA|S354 go|T|S250 2.6.0 Ok|" BYE

static const struct {
	const struct route *route;
	const char *script, *want;
} begins[] = {
	{ &clear, HI ONE SENT_ONE, "S2.6.0 ;done" },
	{ &clear, "S220-mx|S220-more|S220 end|CEHLO mx.example.org|" ONE SENT_ONE, "S2.6.0 ;done" },
	{ &clear, HI "S502 what|CHELO mx.example.org|S250 mx|" SENT_ONE, "S2.6.0 ;done" },
	{ &clear, HI "S502-SIZE|S502-SIZE|S502 what|CHELO mx.example.org|S250-x|S250 SIZE|"
	    SENT_ONE, "S2.6.0 ;done" },
	{ &clear, HI "S502 what|CHELO mx.example.org|S421 bye|", "connect" },
	{ &clear, HI "S502 what|CHELO mx.example.org|X|", "connect" },
	{ &clear, HI "S451 wait|" BYE, "connect" },
	{ &clear, "S250 hi|" BYE, "connect" },
	{ &lmtp, "S220 hi|CLHLO mx.example.org|" ONE SENT_ONE, "S2.6.0m ;done" },
	{ &lmtp, "S220 hi|CLHLO mx.example.org|S500 no|" BYE, "connect" },
	/* who has our name is us, by another way; not where config.h leads */
	{ &clear, HI "S250-MX.example.ORG hello|S250 SIZE|" BYE, "connect" },
	{ &clear, HI "S502 what|CHELO mx.example.org|S250 mx.example.org|" BYE, "connect" },
	{ &clear, HI "S250-mx.example.org.x|S250-mx.example.org|S250 8BITMIME|" SENT_ONE,
	    "S2.6.0 ;done" },
	{ &smart, HI "S250-mx.example.org|S250 8BITMIME|" SENT_ONE, "S2.6.0 ;done" },
	/* capabilities are words of their own, and not in the first line */
	{ &clear, HI "S250-PIPELINING|S250-XPIPELINING|S250 8BITMIME PIPELINING|" SENT_ONE,
	    "S2.6.0 ;done" },
	/* STARTTLS */
	{ &may, HI ONE SENT_ONE, "S2.6.0 ;done" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|CEHLO mx.example.org|" ONE SENT_ONE,
	    "S2.6.0 ;done" },
	{ &must, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|CEHLO mx.example.org|" ONE SENT_ONE,
	    "S2.6.0 ;done" },
	/* what was offered before is forgotten, and there is no second STARTTLS */
	{ &must, HI "S250-x|S250-PIPELINING|S250-SIZE|S250-DSN|S250 STARTTLS|CSTARTTLS|S220 go|"
	    "CEHLO mx.example.org|S250-x|S250-8BITMIME|S250 STARTTLS|" SENT_ONE, "S2.6.0 ;done" },
	{ &must, HI ONE BYE, "login" },
	{ &must, HI "S250-STARTTLS|S250 x|" BYE, "login" },
	{ &must, HI "S550 no|CHELO mx.example.org|S250 x|" BYE, "login" },
	{ &must, HI "S250-x|S250 STARTTLS|CSTARTTLS|S454 not now|" BYE, "login" },
	{ &must, HI "S250-x|S250 STARTTLS|CSTARTTLS|S502 no|" BYE, "login" },
	{ &must, HI "S250-x|S250 STARTTLS|CSTARTTLS|S250 Ok|" BYE, "login" },
	{ &may, HI "S250-x|S250-8BITMIME|S250 STARTTLS|CSTARTTLS|S454 not now|" SENT_ONE,
	    "S2.6.0 ;done" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|S421 bye|", "connect" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|X|", "tls" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|W301|", "tls" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|Shm|", "tls" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|X|", "connect" },
	{ &unknown, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|", "login" },
	{ &wrap, HI ONE SENT_ONE, "S2.6.0 ;done" },
	{ &wrap, HI "S250-x|S250-8BITMIME|S250 STARTTLS|" SENT_ONE, "S2.6.0 ;done" },
};

/* As above, but what the server says comes in one piece, or it would mean another thing. */
static const struct {
	const struct route *route;
	const char *script, *want;
} pieces[] = {
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|R220 go\r\n250 evil\r\n|", "tls" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|R220 go\r\n2|", "tls" },
	{ &may, HI "S250-x|S250 STARTTLS|CSTARTTLS|R220 go\r\n\1|", "tls" },
	{ &must, HI "S250-x|S250 STARTTLS|CSTARTTLS|R220 go\r\n\r\n|", "tls" },
	{ &clear, "R220 hi\r\n250 x\r\n|", "connect" },
	{ &clear, HI "R250-x\r\n250 8BITMIME\r\n250 x\r\n|E|", "connect" },
	{ &clear, HI "R250-x\r\n250 8BITMIME\r\n421 x\r\n|E|", "connect" },
	{ &clear, HI ONE MAIL "R250 Ok\r\n250 Ok\r\n|", "L4.4.2 ;lost" },
	{ &clear, HI ONE MAIL "S250 Ok|" RCPT "R250 Ok\r\n354 go\r\n|", "L4.4.2 ;lost" },
	{ &clear, HI PIPE MAIL RCPT "CDATA|R250 Ok\r\n250 Ok\r\n354 go\r\n250 sent\r\n|",
	    "L4.4.2 ;lost" },
	{ &clear, HI PIPE MAIL RCPT "CDATA|R250 Ok\r\n250 Ok\r\n354 go\r\n550 5.7.1 no\r\n|",
	    "F5.7.1 ;done" },
	/* more than one reply to the dot: the first counts, and the session is over */
	{ &clear, HI ONE MAIL "S250 Ok|" RCPT "S250 Ok|CDATA|S354 go|T|"
	    "R250 2.6.0 Ok\r\n421 bye\r\n|", "S2.6.0 ;done" },
	{ &clear, HI ONE MAIL "S250 Ok|" RCPT "S250 Ok|CDATA|S354 go|T|"
	    "R250 2.6.0 Ok\r\n250 again\r\n|", "S2.6.0 ;done" },
};

static void
test_begin(void)
{
	size_t i;

	tls_is = TLS_GOOD;
	for (drip = 0; drip < 2; drip++)
		for (i = 0; i < LEN(begins); i++)
			run(begins[i].route, begins[i].script, begins[i].want);
	drip = 0;
	for (i = 0; i < LEN(pieces); i++)
		run(pieces[i].route, pieces[i].script, pieces[i].want);
	run(&may, pieces[0].script, "tls");
	CHECK(strstr(logged, "clear text behind the reply") != NULL);
}

static void
test_tls(void)
{
	static const char script[] = HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|";

	tls_is = TLS_BROKEN;
	run(&may, script, "tls");
	CHECK_STR(over_words, "tls: peer says: handshake failure in the TLS handshake");
	run(&wrap, "Q|", "tls");
	tls_is = TLS_NO_ENGINE;
	run(&may, script, "login");
	run(&wrap, "Q|", "login");
	tls_is = TLS_SLOW;
	run(&may, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|W31|", "tls");
	CHECK_STR(over_words, "timed out in the TLS handshake");
	tls_is = TLS_GOOD;
	/* after a failure a moment ago */
	hop.clear = 1;
	run(&may, HI "S250-x|S250-8BITMIME|S250 STARTTLS|" SENT_ONE, "S2.6.0 ;done");
	run(&must, HI "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|CEHLO mx.example.org|X|", "connect");
	hop.clear = 0;
}

/* ---- logins ---- */

/* "\0us@isp\0pass word", "us@isp", "pass word" */
#define PLAIN "CAUTH PLAIN AHVzQGlzcABwYXNzIHdvcmQ=|"
#define NAME "CdXNAaXNw|"
#define PASSWORD "CcGFzcyB3b3Jk|"
#define TLS "S250-x|S250 STARTTLS|CSTARTTLS|S220 go|CEHLO mx.example.org|"
#define BOTH "S250-x|S250-8BITMIME|S250 AUTH LOGIN PLAIN|"
#define LOGIN "S250-x|S250-8BITMIME|S250 AUTH CRAM-MD5 LOGIN|"

static const struct {
	const struct route *route;
	const char *script, *want;
} logins[] = {
	{ &auth, HI TLS BOTH PLAIN "S235 2.7.0 Ok|" SENT_ONE, "S2.6.0 ;done" },
	{ &auth, HI TLS LOGIN "CAUTH LOGIN|S334 VXNlcm5hbWU6|" NAME "S334 UGFzc3dvcmQ6|" PASSWORD
	    "S235 Ok|" SENT_ONE, "S2.6.0 ;done" },
	{ &auth, HI TLS "S250-x|S250-8BITMIME|S250 AUTH=PLAIN|" PLAIN "S235 Ok|" SENT_ONE,
	    "S2.6.0 ;done" },
	{ &auth, HI TLS BOTH PLAIN "S535 5.7.8 no|" BYE, "login" },
	{ &auth, HI TLS BOTH PLAIN "S454 later|" BYE, "login" },
	{ &auth, HI TLS BOTH PLAIN "S250 Ok|" BYE, "login" },
	{ &auth, HI TLS BOTH PLAIN "S334 |" BYE, "login" },
	{ &auth, HI TLS BOTH PLAIN "S421 bye|", "login" },
	{ &auth, HI TLS BOTH PLAIN "X|", "login" },
	{ &auth, HI TLS BOTH PLAIN "W301|", "login" },
	{ &auth, HI TLS BOTH PLAIN "Shm|", "login" },
	{ &auth, HI TLS LOGIN "CAUTH LOGIN|S504 no|" BYE, "login" },
	{ &auth, HI TLS LOGIN "CAUTH LOGIN|S334 x|" NAME "S535 no|" BYE, "login" },
	{ &auth, HI TLS LOGIN "CAUTH LOGIN|S334 x|" NAME "S334 x|" PASSWORD "S535 no|" BYE,
	    "login" },
	{ &auth, HI TLS LOGIN "CAUTH LOGIN|S334 x|" NAME "S334 x|" PASSWORD "S334 x|" BYE,
	    "login" },
	{ &auth, HI TLS ONE BYE, "login" },
	{ &auth, HI TLS "S250-x|S250 AUTH CRAM-MD5 XPLAIN LOGINX|" BYE, "login" },
	/* never without TLS, but where it is said so */
	{ &auth, HI BOTH BYE, "login" },
	{ &auth_may, HI BOTH BYE, "login" },
	{ &auth_may, HI "S250-x|S250-AUTH PLAIN|S250 STARTTLS|CSTARTTLS|S454 no|" BYE, "login" },
	{ &auth_may, HI TLS BOTH PLAIN "S235 Ok|" SENT_ONE, "S2.6.0 ;done" },
	{ &auth_clear, HI BOTH PLAIN "S235 Ok|" SENT_ONE, "S2.6.0 ;done" },
	{ &auth_none, HI BOTH BYE, "login" },
	{ &auth_bad, HI BOTH BYE, "login" },
};

static void
secrets(const char *s)
{
	int fd = open("secrets", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, s, strlen(s)) != (ssize_t)strlen(s))
		abort();
	(void)close(fd);
}

static void
test_login(void)
{
	static char big[10000];
	size_t i;

	secrets("# comment\nbroken name\nbroken \nbroken  x\n"
	    "isp2 a b\nisp us@isp pass word\r\nx y z");
	for (drip = 0; drip < 2; drip++) {
		for (i = 0; i < LEN(logins); i++) {
			run(logins[i].route, logins[i].script, logins[i].want);
			CHECK(!strstr(logged, "pass word") && !strstr(logged, "cGFzcyB3b3Jk") &&
			    !strstr(logged, "AHVz"));
		}
	}
	drip = 0;
	secrets("isp us@isp pass word");	/* without a line end */
	run(logins[0].route, logins[0].script, logins[0].want);
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "isp us@isp ", 11);
	big[11 + SASL_PASSWORD] = '\n';
	secrets(big);				/* too long a password, and too large a file */
	run(&auth_clear, HI BOTH BYE, "login");
	(void)unlink("secrets");
	run(&auth_clear, HI BOTH BYE, "login");
}

/* ---- connections that cannot be made ---- */

static void
start_to(const struct ip *ip, int port)
{
	struct hop h = hop;

	clear_all();
	server = -2;
	h.ip = *ip;
	h.port = port;
	h.route = &clear;
	if (client_start(&h, &user, &nqueue) < 0)
		abort();
	CHECK(!overs);
}

static void
test_connect(void)
{
	struct ip ip = hop.ip;
	struct hop h = hop;
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);
	int fd, fill[4];
	size_t i;

	/* refused: nobody listens there */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memset(&sa, 0, sizeof(sa));
	sa.sin_family = AF_INET;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		abort();
	start_to(&ip, ntohs(sa.sin_port));
	play("Q");
	CHECK_CALLS("refused", "connect");
	CHECK_STR(over_words, "Connection refused while connecting");
	/* fails at once */
	if (ip_parse(&ip, "255.255.255.255") < 0)
		abort();
	start_to(&ip, 25);
	play("Q");
	CHECK_CALLS("unreachable", "connect");
	/* there is no IPv6 in the kernel */
	if (ip_parse(&ip, "2001:db8::1") < 0)
		abort();
	socket_error = EAFNOSUPPORT;
	start_to(&ip, 25);
	play("Q");
	CHECK_CALLS("no IPv6", "connect");
	CHECK_INT(over_words[0], 'A');
	/* but no more sockets now: it was not the host */
	socket_error = EMFILE;
	h.ip = ip;
	CHECK_INT(client_start(&h, &user, &nqueue), -1);
	CHECK_INT(conn_free(), CONNS);
	socket_error = 0;
	/* nobody answers: the queue of the listener is full */
	ip = hop.ip;
	if (listen(fd, 0) < 0)
		abort();
	for (i = 0; i < LEN(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, n);
	}
	start_to(&ip, ntohs(sa.sin_port));
	rest();
	CHECK(!overs);
	play("W29|Q|W2");
	CHECK_CALLS("no answer", "connect");
	CHECK_STR(over_words, "timed out while connecting");
	for (i = 0; i < LEN(fill); i++)
		(void)close(fill[i]);
	(void)close(fd);
}

/* No slot, no session, no socket. */
static void
test_full(void)
{
	int fd[1024], k = 0, i;

	clear_all();
	hop.route = &clear;
	for (i = 0; i < CONNS; i++)
		CHECK_INT(client_start(&hop, &user, &nqueue), 0);
	CHECK_INT(client_start(&hop, &user, &nqueue), -1);
	CHECK_INT(client_count(), CONNS);
	for (i = 0; i < 500 && overs < CONNS; i++) {
		loop_turn(1, NULL, NULL);
		server = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (server >= 0)
			(void)close(server);
	}
	CHECK_INT(overs, CONNS);
	CHECK_INT(client_count(), 0);
	CHECK_INT(conn_free(), CONNS);
	/* descriptors */
	while (k < 1024 && (fd[k] = dup(listening)) >= 0)
		k++;
	if (k < 1024)
		CHECK_INT(client_start(&hop, &user, &nqueue), -1);
	while (k > 0)
		(void)close(fd[--k]);
	CHECK_INT(client_count(), 0);
	CHECK_INT(conn_free(), CONNS);
}

/* `over` may begin the next session: its own slot and session are free then. */
static int again;

static void
over_again(void *arg, enum over why, const char *status, const char *why_words)
{
	over(arg, why, status, why_words);
	if (again-- > 0) {
		overs = 0;
		CHECK_INT(client_start(&hop, &user, arg), 0);
		CHECK_INT(client_count(), 1);
	}
}

static void
test_again(void)
{
	static const struct client_user eager = { next, told, over_again };

	clear_all();
	(void)letter(LETTER, TEXT, sizeof(TEXT) - 1);
	again = 1;
	hop.route = &clear;
	CHECK_INT(client_start(&hop, &eager, &nqueue), 0);
	while (server < 0)
		spin(1);
	follow("S554 no|CQUIT|X|");
	CHECK_STR(calls, "connect");
	server = -1;
	play(HI ONE SENT_ONE);
	CHECK_STR(calls, "connectS2.6.0 ;done");
}

int
main(void)
{
	client_test_init();
	test_matrix();
	drip = 1;
	test_matrix();
	drip = 0;
	test_begin();
	test_tls();
	test_login();
	test_connect();
	test_again();
	test_full();
	return test_end();
}
