/* with: lib/addr.c lib/glob.c lib/idn.c lib/text.c lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/* What is found out about strangers, from a DNS and an SPF that say what the test wants, and what
 * follows; and networks that need no login. */
#undef CONFIG
#define CONFIG "test/unit/t_guard.h"
#include "guard.c"

#include <sys/wait.h>

#include "test.h"

/* ---- the rest of the server ---- */

char host[HOST_TEXT] = "mx.example.org";
int64_t loop_now = 1000, loop_wall;

static const struct listener row = { "::", 25, TLS_START, SMTP, 0 };
static struct {
	struct dns_query *q;
	char name[2 * DNS_NAME];
	enum dns_type type;
} asked[8];
static int greeted, resumed, wrong, reached, greys, busy;
static enum res grey = R_TEMP;
static enum spf_result spf_said;
static struct spf *spf_asked;
static const struct rule *ruling;	/* that fits at place `ruled_at` */
static enum place ruled_at;

const struct listener *
conn_listener(const struct conn *c)
{
	(void)c;
	return &row;
}

static int ours;

int
smtp_ours(const struct smtp *s)
{
	(void)s;
	return ours;
}

void
conn_hold(struct conn *c)
{
	c->held = 1;
}

void
conn_resume(struct conn *c)
{
	c->held = 0;
	resumed++;
}

void
conn_delay(struct conn *c, int64_t ms)
{
	(void)c;
	(void)ms;
}

void
log_event(const char *id, const char *fmt, ...)
{
	(void)id;
	(void)fmt;
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

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	int i;

	for (i = 0; asked[i].q; i++)
		;
	asked[i].q = q;
	q->slot = i;
	asked[i].type = type;
	(void)text_copy(asked[i].name, sizeof(asked[i].name), name, strlen(name));
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	int i;

	for (i = 0; i < 8; i++)
		if (asked[i].q == q)
			asked[i].q = NULL;
	q->slot = -1;
}

char *
dns_reverse(char dst[DNS_NAME], const struct ip *a)
{
	(void)snprintf(dst, DNS_NAME, "%d.%d.%d.%d.in-addr.arpa", a->a[15], a->a[14], a->a[13],
	    a->a[12]);
	return dst;
}

void
spf_check(struct spf *s, const struct ip *peer, const char *helo, const char *sender,
    const char *receiver)
{
	(void)peer;
	(void)helo;
	(void)sender;
	CHECK_STR(receiver, host);
	spf_asked = s;
}

void
spf_cancel(struct spf *s)
{
	if (spf_asked == s)
		spf_asked = NULL;
}

int
user_owns(const char *domain, size_t n)
{
	return text_is(domain, n, "example.org");
}

const struct rule *
rule_match(enum place place, const char *field, const char *text, size_t n)
{
	(void)field;
	(void)text;
	(void)n;
	return ruling && place == ruled_at ? ruling : NULL;
}

int
rule_any(enum place place)
{
	return ruling && place == ruled_at;
}

int
limit_count(enum counted what, const struct ip *peer)
{
	(void)peer;
	if (what == C_MESSAGES)
		return busy ? -1 : 0;
	CHECK_INT(what, C_REFUSED);
	wrong++;
	return 0;
}

int
limit_reached(enum counted what, const struct ip *peer)
{
	(void)what;
	(void)peer;
	return reached;
}

int64_t
limit_tarpit(int n)
{
	return n;
}

enum res
grey_ask(const struct ip *peer, const char *sender, const char *rcpt, int64_t *wait)
{
	(void)peer;
	(void)sender;
	CHECK_STR(rcpt, "alice@example.org");
	greys++;
	*wait = 9;
	return grey;
}

void
rules_check(void)
{
}

void
scan_check(void)
{
}

void
smtp_greet(struct smtp *s)
{
	s->state = S_START;
	greeted++;
}

/* ---- a stranger ---- */

static struct conn peer;
static struct smtp session;

static void
come(void)
{
	guard_close(&session);
	memset(asked, 0, sizeof(asked));
	memset(&session, 0, sizeof(session));
	session.c = &peer;
	session.user = -1;
	greeted = resumed = wrong = reached = greys = 0;
	ruling = NULL;
	if (ip_parse(&peer.peer, "203.0.113.5") < 0)
		abort();
	guard_open(&session);
	CHECK(session.visit.stranger && !greeted);
}

/* The answer to what is asked about a name: addresses or names between spaces; "!": no answer. */
static void
answer(const char *name, const char *text)
{
	static struct dns_answer a;
	static char words[256];
	struct dns_query *q = NULL;
	char *s, *save = NULL;
	int i;

	memset(&a, 0, sizeof(a));
	for (i = 0; i < 8; i++) {
		if (!asked[i].q || strcmp(asked[i].name, name) != 0)
			continue;
		q = asked[i].q;
		q->slot = -1;
		asked[i].q = NULL;
		break;
	}
	if (!CHECK_MSG(q != NULL, "nobody asks for %s", name))
		return;
	(void)text_copy(words, sizeof(words), text, strlen(text));
	for (s = strtok_r(words, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		if (*s == '!')
			break;
		if (ip_parse(&a.rr[a.n].ip, s) < 0) {
			a.rr[a.n].text = s;
			a.rr[a.n].n = strlen(s);
		}
		a.n++;
	}
	a.status = a.n ? DNS_OK : *text == '!' ? DNS_TIMEOUT : DNS_NXDOMAIN;
	q->done(q, &a);
}

#define PTR "5.113.0.203.in-addr.arpa"
#define BAD "5.113.0.203.bad.test"
#define GOOD "5.113.0.203.good.test"

static void
listing(const char *bad, const char *good)
{
	answer(BAD, bad);
	answer(GOOD, good);
	(void)guard_tick(1000);
	CHECK(!greeted);		/* the pause is not over */
	loop_now += greeting_pause;
	(void)guard_tick(1000);
	CHECK_INT(greeted, 1);
}

static void
hello(const char *helo)
{
	(void)text_copy(session.helo, sizeof(session.helo), helo, strlen(helo));
	guard_helo(&session);
}

/* MAIL, with what SPF says of HELO and sender. */
static void
mail(const char *sender, enum spf_result r)
{
	(void)text_copy(session.sender, sizeof(session.sender), sender, strlen(sender));
	CHECK(guard_mail(&session) == NULL);
	while (session.c->held && spf_asked) {
		spf_asked->result = r;
		spf_said = r;
		spf_asked->done(spf_asked);
		(void)guard_tick(1000);
	}
	CHECK(!session.c->held);
}

static const char *
rcpt(void)
{
	const struct rule *r;
	const char *error;
	struct addr a;

	CHECK_INT(addr_mailbox(&a, "alice@example.org", 17), 0);
	error = guard_rcpt(&session, &a, &r);
	return error ? error : guard_grey(&session, &a);
}

static void
starts(const char *got, const char *want)
{
	CHECK_MSG(got ? *want && !strncmp(got, want, strlen(want)) : !*want,
	    "\"%s\", not \"%s\"", got ? got : "", want);
}

static void
names(void)
{
	static const struct {
		const char *names, *first, *second;
		const char *name, *reply;
	} t[] = {
		{ "a.test", "203.0.113.5", NULL, "a.test", "" },
		{ "a.test b.test", "203.0.113.6", "192.0.2.1 203.0.113.5", "b.test", "" },
		{ "a.test", "203.0.113.6", NULL, "", "451 4.7.1" },
		{ "a.test", "", NULL, "", "451 4.7.1" },
		{ "a.test", "!", NULL, "", "" },
		{ "", NULL, NULL, "", "451 4.7.1" },
		{ "!", NULL, NULL, "", "" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		come();
		answer(PTR, t[i].names);
		if (t[i].first) {
			answer("a.test", t[i].first);
			if (strcmp(t[i].first, "203.0.113.5") != 0)
				answer(PTR, t[i].names);
		}
		if (t[i].second)
			answer("b.test", t[i].second);
		listing("", "");
		CHECK_STR(session.visit.name, t[i].name);
		hello("client.test");
		mail("x@y.test", SPF_PASS);
		starts(rcpt(), t[i].reply);
	}
}

static void
lists(void)
{
	static const struct {
		const char *bad, *good, *reply;
	} t[] = {
		{ "127.0.0.2", "", "550 5.7.1 Your address is listed by bad.test" },
		{ "127.0.0.1 127.0.0.9", "", "550" }, { "127.0.0.1", "", "" },
		{ "127.255.255.254", "", "" }, { "10.0.0.2", "", "" }, { "!", "!", "" },
		{ "127.0.0.2", "127.0.5.1", "" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		come();
		answer(PTR, "a.test");
		answer("a.test", "203.0.113.5");
		listing(t[i].bad, t[i].good);
		hello("client.test");
		mail("x@y.test", SPF_PASS);
		starts(rcpt(), t[i].reply);
	}
	/* a name counts when it is confirmed; and a list that is late is not the name's fault */
	come();
	answer(PTR, "a.test");
	answer(BAD, "");
	loop_now += guard_wait + 1;
	(void)guard_tick(1000);
	CHECK(greeted == 1 && !session.visit.name[0]);
	CHECK(session.visit.found == BIT(F_PTR_LATER));
	come();
	answer(PTR, "");
	loop_now += guard_wait + 1;
	(void)guard_tick(1000);
	CHECK(greeted == 1 && session.visit.found == BIT(F_PTR));
	come();			/* nobody answers in time */
	loop_now += guard_wait + 1;
	(void)guard_tick(1000);
	CHECK_INT(greeted, 1);
	for (i = 0; i < 8; i++)
		CHECK(!asked[i].q);
}

/* One that nothing is wrong with. */
static void
clean(void)
{
	come();
	answer(PTR, "a.test");
	answer("a.test", "203.0.113.5");
	listing("", "");
}

static void
words(void)
{
	static const struct {
		const char *helo, *sender;
		enum spf_result spf;
		const char *reply;
	} t[] = {
		{ "client.test", "x@y.test", SPF_PASS, "" },
		{ "client.test", "", SPF_NONE, "" },
		{ "client", "x@y.test", SPF_PASS, "451" },
		{ "[203.0.113.5]", "x@y.test", SPF_PASS, "" },
		{ "[203.0.113.6]", "x@y.test", SPF_PASS, "550" },
		{ "[203.0.113.5", "x@y.test", SPF_PASS, "451" },
		{ "[IPv6:::ffff:203.0.113.5]", "x@y.test", SPF_PASS, "" },
		{ "MX.example.org", "x@y.test", SPF_PASS, "550" },
		{ "example.org", "x@y.test", SPF_PASS, "550" },
		{ "client.test", "bob@EXAMPLE.org", SPF_PASS, "550 5.7.1 Our own people" },
		{ "client.test", "x@y.test", SPF_FAIL, "" },	/* DMARC will tell */
		{ "client.test", "x@y.test", SPF_SOFTFAIL, "451" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		clean();
		hello(t[i].helo);
		mail(t[i].sender, t[i].spf);
		starts(rcpt(), t[i].reply);
	}
	clean();
	guard_early(&session);
	hello("client.test");
	mail("x@y.test", SPF_PASS);
	starts(rcpt(), "554 5.5.0");
	/* SPF that does not come to an end */
	clean();
	hello("client.test");
	(void)text_copy(session.sender, sizeof(session.sender), "x@y.test", 8);
	CHECK(guard_mail(&session) == NULL && session.c->held);
	loop_now += guard_wait + 1;
	(void)guard_tick(1000);
	loop_now += guard_wait + 1;
	(void)guard_tick(1000);
	CHECK(!session.c->held && session.visit.spf == SPF_TEMPERROR);
}

static void
owners_rules(void)
{
	static const struct {
		enum place place;
		enum deed deed;
		const char *reply;
	} t[] = {
		{ IN_CONNECTION, DO_REFUSE, "550 5.7.1 away" }, { IN_CONNECTION, DO_ACCEPT, "" },
		{ IN_HELO, DO_REFUSE, "550 5.7.1 away" }, { IN_HELO, DO_DISCARD, "" },
		{ IN_MAIL, DO_REFUSE, "550 5.7.1 away" }, { IN_MAIL, DO_ACCEPT, "" },
		{ IN_RCPT, DO_REFUSE, "550 5.7.1 away" }, { IN_RCPT, DO_ACCEPT, "" },
		{ IN_HELO, DO_MARK, "451 4.7.1 Greylisted (no-name)" },
		{ IN_MAIL, DO_COPY, "451 4.7.1 Greylisted" },
		{ IN_RCPT, DO_MAILBOX, "451 4.7.1 Greylisted" },
	};
	static struct rule r = { .arg = "away" };
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		come();
		answer(PTR, "");
		ruling = &r;
		r.place = ruled_at = t[i].place;
		r.deed = t[i].deed;
		listing("", "");
		hello("client.test");
		mail("x@y.test", SPF_PASS);
		starts(rcpt(), t[i].reply);
	}
	/* who is on a list is let in by DO_ACCEPT only */
	for (i = DO_ACCEPT; i <= DO_MAILBOX; i++) {
		come();
		answer(PTR, "client.test");
		answer("client.test", "203.0.113.5");
		ruling = &r;
		r.place = ruled_at = IN_MAIL;
		r.deed = (enum deed)i;
		listing("127.0.0.2", "");
		hello("client.test");
		mail("x@y.test", SPF_PASS);
		starts(rcpt(), i == DO_ACCEPT || i == DO_DISCARD ? "" : i == DO_REFUSE ?
		    "550 5.7.1 away" : "550 5.7.1 Your address is listed by bad.test");
	}
}

static void
counts_wrong(void)
{
	clean();
	hello("client.test");
	mail("x@y.test", SPF_PASS);
	busy = 1;
	starts(guard_mail(&session), "450 4.7.1 Too many messages");
	busy = 0;
	busy = ours = 1;		/* a login that has come over a port for strangers */
	mail("x@y.test", SPF_PASS);
	busy = ours = 0;
	guard_wrong(&session);
	CHECK_INT(wrong, 1);
	CHECK(rcpt() == NULL);
	reached = 1;
	starts(rcpt(), "451 4.7.1 Too many wrong recipients");
	grey = R_OK;
	come();
	answer(PTR, "");
	listing("", "");
	hello("client.test");
	mail("x@y.test", SPF_PASS);
	CHECK(rcpt() == NULL && greys == 1);
	grey = R_TEMP;
}

/* ---- networks that need no login ---- */

static void
networks(void)
{
	static const struct {
		const char *address;
		int row;
	} t[] = {
		{ "192.0.2.0", 0 }, { "192.0.2.255", 0 },
		{ "192.0.3.0", -1 }, { "192.0.1.255", -1 },
		{ "198.51.100.7", 1 }, { "198.51.100.6", -1 }, { "198.51.100.8", -1 },
		{ "2001:db8::1", 2 }, { "2001:db8:0:ffff::1", 2 }, { "2001:db9::", -1 },
		{ "::1", 3 }, { "::2", -1 }, { "127.0.0.1", -1 }, { "10.0.0.1", -1 },
		{ "fe80::1", 4 }, { "febf::1", 4 }, { "fec0::1", -1 },
	};
	struct ip a;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(ip_parse(&a, t[i].address), 0);
		CHECK_MSG(guard_trusted(&a) == t[i].row, "%s: %d", t[i].address, guard_trusted(&a));
	}
	/* a network of IPv6 never means one of IPv4, though these are kept as such */
	trusted[4].network = "::/0";
	CHECK_INT(ip_parse(&a, "10.0.0.1"), 0);
	CHECK_INT(guard_trusted(&a), -1);
	CHECK_INT(ip_parse(&a, "fec0::1"), 0);
	CHECK_INT(guard_trusted(&a), 4);
	trusted[4].network = "0.0.0.0/0";
	CHECK_INT(guard_trusted(&a), -1);
	CHECK_INT(ip_parse(&a, "10.0.0.1"), 0);
	CHECK_INT(guard_trusted(&a), 4);
	trusted[4].network = "fe80::/10";
}

/* Run guard_check() in a child: its exit code. */
static int
exit_code(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		(void)close(STDERR_FILENO);
		guard_check();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
bad_rows(void)
{
	static const char *const bad[] = {
		"192.0.2", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "192.0.2.0/8/8",
		"::/129", "::g", "/8", "example.org", " 192.0.2.1", "192.0.2.1 ", "[::1]",
		"0000000000000000000000000000000000000000000000000000000000000000000000000000"
	};
	struct ip a;
	size_t i;

	CHECK_INT(exit_code(), 0);
	CHECK_INT(ip_parse(&a, "fe80::1"), 0);
	for (i = 0; i < LEN(bad); i++) {
		trusted[4].network = bad[i];
		CHECK_MSG(exit_code() == EX_CONFIG, "\"%s\" is taken", bad[i]);
		CHECK_INT(guard_trusted(&a), -1);
	}
	trusted[4].network = "fe80::/10";
	trusted[4].sender = "no address";
	CHECK_INT(exit_code(), EX_CONFIG);
	trusted[4].sender = "";
	trusted[4].hourly = -1;
	CHECK_INT(exit_code(), EX_CONFIG);
	trusted[4].hourly = 0;
	CHECK_INT(exit_code(), 0);
	trusted[4].network = "";
	CHECK_INT(exit_code(), 0);
	CHECK_INT(guard_trusted(&a), -1);
}

static void
bad_policies(void)
{
	static const struct {
		int good;
		struct policy row;
	} t[] = {
		{ 1, { F_PTR, A_MARK } }, { 0, { NFINDINGS, A_MARK } },
		{ 0, { F_PTR, (enum action)(A_REFUSE + 1) } }, { 0, { F_EARLY, A_MARK } },
		{ 0, { (enum finding)99, (enum action)77 } },
	};
	const struct policy was = policies[1];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		policies[1] = t[i].row;
		CHECK_MSG(exit_code() == (t[i].good ? 0 : EX_CONFIG), "row %zu", i);
	}
	policies[1] = was;
}

static void
bad_lists(void)
{
	static const struct {
		int good;
		struct dnslist row;
	} t[] = {
		{ 1, { "zen.test.", "*", A_MARK } }, { 0, { "https://zen.test", "*", A_MARK } },
		{ 0, { "zen.test", "", A_MARK } }, { 0, { "zen.test", "127.0.0.0/8", A_MARK } },
	};
	const struct dnslist was = dnslists[0];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		dnslists[0] = t[i].row;
		CHECK_MSG(exit_code() == (t[i].good ? 0 : EX_CONFIG), "row %zu", i);
	}
	dnslists[0] = was;
}

int
main(void)
{
	memcpy(policies, shipped_policies, sizeof(policies));
	names();
	lists();
	words();
	owners_rules();
	counts_wrong();
	guard_close(&session);
	networks();
	bad_rows();
	bad_policies();
	bad_lists();
	return test_end();
}
