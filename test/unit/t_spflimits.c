/* with: lib/spf.c lib/spfterm.c lib/idn.c lib/addr.c lib/ip.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * SPF at its limits: look-ups, names, levels and room; hostile policies and octets; questions that
 * are answered never, or all mixed.
 */
#include "t_spf.h"

/* ---- limits ---- */

/* n times a term into line: "%d" in it counts. */
static void
repeat(char *line, size_t size, const char *term, int n)
{
	size_t len;
	int i;

	for (i = 0; i < n; i++) {
		len = strlen(line);
		(void)snprintf(line + len, size - len, " ");
		/* the terms are ours */
		(void)snprintf(line + len + 1, size - len - 1, term, i, i);
	}
}

static void
test_limits(void)
{
	static const struct {
		const char *term;
		int n;
		const char *want;
	} t[] = {
		{ "a:a.example.com", 10, "fail" },
		{ "a:a.example.com", 11, "permerror" },
		{ "mx", 10, "fail" },
		{ "mx", 11, "permerror" },
		{ "exists:%%{i}.%%{d}", 2, "fail" },
		{ "exists:%%{i}.%%{d}", 3, "permerror" },
		{ "a:n%d.example.com", 2, "fail" },
		{ "a:n%d.example.com", 3, "permerror" },
		{ "mx:n%d.example.com", 2, "fail" },
		{ "mx:n%d.example.com", 3, "permerror" },
		{ "mx:six.example.com", 3, "permerror" },
		{ "a:six.example.com", 3, "permerror" },
		{ "mx:six%d.example.com", 10, "fail" },	/* their names have no such address */
		{ "ptr", 10, "fail" },
		{ "ptr", 11, "permerror" },
		{ "ptr:%%{p}", 10, "fail" },
		{ "include:soft.example.com", 10, "fail" },
		{ "include:soft.example.com", 11, "permerror" },
		{ "include:long.example.com", 1, "pass" },
		{ "include:n%d.example.com", 1, "permerror" },
		{ "ip4:203.0.113.%d", 200, "fail" },
		{ "x=%d", 1000, "fail" },
		{ "a:%%{p}.x%d.example.com", 2, "fail" },
		{ "-all", 1000, "fail" },
	};
	char line[9000], more[200];
	size_t i;
	int k, ok;

	for (i = 0; i < LEN(t); i++) {
		nzone = 0;
		zone_add(common);
		for (k = 0; k < 10; k++) {
			(void)snprintf(more, sizeof(more), "six%d.example.com MX 1 six.example.com",
			    k);
			zone_add(more);
		}
		(void)snprintf(line, sizeof(line), "example.com TXT v=spf1");
		repeat(line, sizeof(line), t[i].term, t[i].n);
		repeat(line, sizeof(line), "-all exp=n%d.%%{d}", 1);
		zone_add(line);
		ok = comes_to(t[i].want, "192.0.2.99", "h", "u@example.com");
		CHECK_MSG(ok, "%d * %s: %s %s", t[i].n, t[i].term, spf_word(spf.result), spf.words);
	}
}

/* 10 names of an MX or PTR, not more; more addresses than an answer holds. */
static void
test_many(void)
{
	char line[200];
	int i;

	nzone = 0;
	zone_add("e.com TXT v=spf1 mx -all\nf.com TXT v=spf1 ptr -all\ng.com TXT v=spf1 a -all");
	for (i = 0; i < 10; i++) {
		(void)snprintf(line, sizeof(line), "e.com MX %d m%d.e.com\nm%d.e.com A 192.0.2.%d\n"
		    "99.2.0.192.in-addr.arpa PTR n%d.com\nn%d.com A 192.0.2.1", i, i, i, i, i, i);
		zone_add(line);
	}
	CHECK_STR(check("192.0.2.9", "h", "u@e.com"), "pass");
	CHECK_INT(asks, 12);
	CHECK_STR(check("192.0.2.99", "h", "u@f.com"), "fail");
	zone_add("e.com MX 9 m9.e.com\n99.2.0.192.in-addr.arpa PTR f.com\nf.com A 192.0.2.99");
	CHECK_STR(check("192.0.2.9", "h", "u@e.com"), "permerror");
	CHECK_STR(spf.words, "too many names: mx");
	CHECK_INT(asks, 2);
	CHECK_STR(check("192.0.2.99", "h", "u@f.com"), "fail");
	CHECK_INT(asks, 12);
	for (i = 0; i < 64; i++) {
		(void)snprintf(line, sizeof(line), "g.com A 198.51.100.%d", i);
		zone_add(line);
	}
	CHECK_STR(check("192.0.2.9", "h", "u@g.com"), "fail");
	zone_add("g.com A 192.0.2.9");
	CHECK_STR(check("198.51.100.63", "h", "u@g.com"), "pass");
	CHECK_STR(check("192.0.2.9", "h", "u@g.com"), "permerror");
	CHECK_STR(spf.words, "too many addresses: a");
	nzone = 0;
	for (i = 0; i < 64; i++)
		zone_add("e.com TXT x");
	CHECK_STR(check("192.0.2.9", "h", "u@e.com"), "none");
	zone_add("e.com TXT v=spf1 -all");
	CHECK_STR(check("192.0.2.9", "h", "u@e.com"), "permerror");
	CHECK_STR(spf.words, "too many texts: e.com");
}

/* Ten levels, and what is left to do at each of them. */
static void
test_deep(void)
{
	char line[300];
	int i;

	nzone = 0;
	for (i = 0; i < 11; i++) {
		(void)snprintf(line, sizeof(line), "n%d.com TXT v=spf1 include:n%d.com "
		    "ip4:192.0.2.%d -all", i, i + 1, i + 1);
		zone_add(line);
	}
	zone_add("m.com TXT v=spf1 include:n1.com -all\nn11.com TXT v=spf1 all");
	CHECK_STR(check("192.0.2.77", "h", "u@n1.com"), "pass");
	CHECK_INT(asks, 11);
	CHECK_STR(check("192.0.2.77", "h", "u@m.com"), "permerror");
	nzone = 0;
	for (i = 0; i < 10; i++) {
		(void)snprintf(line, sizeof(line), "n%d.com TXT v=spf1 include:n%d.com "
		    "ip4:192.0.2.%d ?all", i, i + 1, i + 1);
		zone_add(line);
	}
	zone_add("n10.com TXT v=spf1 -all");
	CHECK_STR(check("192.0.2.1", "h", "u@n0.com"), "pass");
	CHECK_STR(check("192.0.2.10", "h", "u@n0.com"), "pass");
	CHECK_STR(check("192.0.2.11", "h", "u@n0.com"), "neutral");
	/* the look-ups of all levels count together, wherever they were */
	nzone = 0;
	zone_add("e.com TXT v=spf1 a include:f.com include:f.com ip4:192.0.2.0/24 a -all\n"
	    "f.com TXT v=spf1 a a a redirect=g.com\ng.com TXT v=spf1 -all\n"
	    "e.com A 192.0.3.1\nf.com A 192.0.3.1\n");
	CHECK_STR(check("192.0.2.11", "h", "u@e.com"), "permerror");
	nzone -= 5;
	zone_add("e.com TXT v=spf1 include:f.com include:f.com ip4:192.0.2.0/24 a -all\n"
	    "f.com TXT v=spf1 a a a redirect=g.com\ng.com TXT v=spf1 -all\n"
	    "e.com A 192.0.3.1\nf.com A 192.0.3.1\n");
	CHECK_STR(check("192.0.2.11", "h", "u@e.com"), "pass");
	CHECK_INT(asks, 11);
	CHECK_STR(check("192.0.3.2", "h", "u@e.com"), "permerror");
}

/* ---- policies of enemies ---- */

/* One term of a policy that is n octets long. */
static void
long_policy(const char *before, char ch, size_t n, const char *after)
{
	static char line[9000];
	size_t len = strlen(before);

	nzone = 0;
	memcpy(line, before, len);
	memset(line + len, ch, n);
	(void)snprintf(line + len + n, sizeof(line) - len - n, "%s", after);
	zone_add(line);
	zone_add("2.2.0.192.in-addr.arpa PTR n.com\nn.com A 192.0.2.2");
}

static void
test_hostile(void)
{
	static const struct {
		const char *before;
		char ch;
		size_t n;
		const char *after, *want;
	} t[] = {
		{ "e.com TXT v=spf1 -all", ' ', 8100, "", "fail" },
		{ "e.com TXT v=spf1 x=", 'y', 8100, " -all", "fail" },
		{ "e.com TXT v=spf1 ", 'y', 8100, "", "permerror" },
		{ "e.com TXT v=spf1 ", '-', 8100, "", "permerror" },
		{ "e.com TXT v=spf1 a:", '%', 8100, ".com -all", "permerror" },
		{ "e.com TXT v=spf1 a:", '%', 4000, ".com -all", "fail" },
		{ "e.com TXT v=spf1 a:", '.', 4000, ".com -all", "fail" },
		{ "e.com TXT v=spf1 a:", 'y', 4000, ".com -all", "fail" },
		{ "e.com TXT v=spf1 a:%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}%{d}"
		    "%{d}.com ", ' ', 1, "-all\ne.come.come.come.come.come.come.come.come.come.come"
		    ".come.come.come.come.com.com A 192.0.2.2", "pass" },
		{ "e.com TXT v=spf1 exists:%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}%{i}"
		    "%{i}%{i}%{i} ", ' ', 1, "-all", "fail" },
		{ "e.com TXT v=spf1 a:%{d", '1', 4000, "} -all", "fail" },
		{ "e.com TXT v=spf1 a:%{d", '/', 4000, "}/24//24 -all", "fail" },
		{ "e.com TXT v=spf1 a/", '0', 4000, " -all", "permerror" },
		{ "e.com TXT v=spf1 ip4:", '1', 4000, " -all", "permerror" },
		{ "e.com TXT v=spf1 ip6:", ':', 4000, " -all", "permerror" },
		{ "e.com TXT v=spf1 ", '=', 4000, " -all", "permerror" },
		{ "e.com TXT v=spf1 redirect=", 'x', 8100, ".com", "permerror" },
		{ "e.com TXT v=spf1 include:", 'x', 8100, ".com", "permerror" },
		{ "e.com TXT v=spf1 -all exp=", 'x', 8100, ".com", "fail" },
		{ "e.com TXT v=spf1 exp=", 'x', 4700, ".%{p}.com -all", "fail" },
		{ "e.com TXT v=spf1 exp=e.%{d} -all\ne.e.com TXT ", 'x', 8100, "", "fail" },
		{ "e.com TXT v=spf1 exp=e.%{d} -all\ne.e.com TXT %{p}", 'x', 4700, "", "fail" },
		{ "e.com TXT v=spf1 exp=e.%{d} -all\ne.e.com TXT %{p}", '"', 300, "", "fail" },
		{ "e.com TXT v=spf1 exp=e.%{d} -all\ne.e.com TXT ", '%', 4000, "", "fail" },
		{ "e.com TXT v=spf1 exp=e.%{d} -all\ne.e.com TXT ", '%', 4001, "", "fail" },
	};
	static const char *const loops[] = {
		"a.com TXT v=spf1 include:b.com\nb.com TXT v=spf1 include:a.com -all",
		"a.com TXT v=spf1 redirect=b.com\nb.com TXT v=spf1 redirect=a.com",
		"a.com TXT v=spf1 include:b.com\nb.com TXT v=spf1 redirect=a.com",
		"a.com TXT v=spf1 include:%{d} include:%{d} include:%{d} include:%{d} mx",
		"a.com TXT v=spf1 include:a.%{d}\na.a.com TXT v=spf1 include:a.com ptr:%{p}",
	};
	size_t i;
	int ok;

	for (i = 0; i < LEN(t); i++) {
		long_policy(t[i].before, t[i].ch, t[i].n, t[i].after);
		ok = comes_to(t[i].want, "192.0.2.2", "h", "u@e.com");
		CHECK_MSG(ok, "%s%c...%s: %s %s", t[i].before, t[i].ch, t[i].after,
		    spf_word(spf.result), spf.words);
	}
	for (i = 0; i < LEN(loops); i++) {
		nzone = 0;
		zone_add(loops[i]);
		CHECK_STR(check("192.0.2.2", "h", "u@a.com"), "permerror");
		CHECK(asks < 40);
	}
}

/* The most that a check can ask for: MX and PTR with ten names each, and the macro p at each of
 * them, again for each domain. */
static void
test_most(void)
{
	char line[600];
	int i;

	nzone = 0;
	zone_add("e.com TXT v=spf1 mx:m%{p}.com mx:m%{p}.com mx:m%{p}.com mx:m%{p}.com "
	    "mx:m%{p}.com ptr:m%{p}.com ptr:m%{p}.com ptr:m%{p}.com ptr:m%{p}.com "
	    "redirect=f%{p}.com\n"
	    "funknown.com TXT v=spf1 -all exp=x%{p}.com\nxunknown.com TXT %{p}");
	for (i = 0; i < 10; i++) {
		(void)snprintf(line, sizeof(line), "munknown.com MX 1 n%d.com\n"
		    "2.2.0.192.in-addr.arpa PTR n%d.com\n", i, i);
		zone_add(line);
	}
	CHECK_STR(check("192.0.2.2", "h", "u@e.com"), "fail");
	CHECK_STR(spf.words, "unknown");
	/* 2 policies, p of both, mx, ptr, the text */
	CHECK_INT(asks, 2 + 2 * 11 + 9 * 11 + 1);
}

/* All the octets: `words` are always printable. */
static void
test_octets(void)
{
	char line[100], helo[64];
	int i, k;

	for (i = 1; i < 256; i++) {
		nzone = 0;
		(void)snprintf(line, sizeof(line), "e.com TXT v=spf1 x\\x%02xy -all", i);
		zone_add(line);
		zone_add("f.com TXT v=spf1 -all exp=x.f.com\nx.f.com TXT %{h}%{l}%{H}");
		for (k = 0; k < 63; k++)
			helo[k] = (char)(k % 3 ? 'x' : i);
		helo[63] = '\0';
		(void)check("192.0.2.1", helo, "u@e.com");
		CHECK_STR(check("192.0.2.1", helo, "u@f.com"), "fail");
		CHECK(spf.words[0]);
	}
}

/* ---- time ---- */

static void
test_time(void)
{
	static struct spf many[20];
	int i, k, n;

	nzone = 0;
	zone_add(common);
	zone_add("e.com TXT v=spf1 include:f.com mx:example.com ptr exp=x.com -all\n"
	    "f.com TXT v=spf1 a:a.example.com exists:%{p}.com ?all\nx.com TXT %{p}\n"
	    "e.com A 192.0.3.1");
	CHECK_STR(check("192.0.2.1", "h", "u@e.com"), "fail");
	CHECK_STR(spf.words, "host.example.com");
	n = asks;
	for (i = 1; i <= n; i++) {
		/* forgotten after each of its questions: nothing comes any more */
		start(&spf, "192.0.2.1", "h", "u@e.com");
		for (k = 1; k < i; k++)
			CHECK(deliver(0));
		CHECK_INT(ended, 0);
		CHECK_INT(asks, i);
		spf_cancel(&spf);
		CHECK(!deliver(0));
		spf_cancel(&spf);
		CHECK_INT(ended, 0);
		/* and no question can be asked any more: what matters fails */
		busy_from = i;
		(void)check("192.0.2.1", "h", "u@e.com");
		CHECK_INT(spf.result, i > n - 3 ? SPF_FAIL : SPF_TEMPERROR);
		busy_from = 0;
	}
	busy_from = 1;
	start(&spf, "192.0.2.1", "h", "u@e.com");
	busy_from = 0;
	CHECK_INT(ended, 1);
	CHECK_STR(spf.words, "DNS too busy: e.com");
	/* many at a time, their answers mixed */
	ended = 0;
	for (i = 0; i < 20; i++) {
		start(&many[i], "192.0.2.1", "h", i % 2 ? "u@e.com" : "u@redir.example.com");
		ended = 0;
	}
	for (i = 0; ended < 20 && i < 10000; i++)
		(void)deliver(i * 7 % 20);
	CHECK_INT(ended, 20);
	for (i = 0; i < 20; i++) {
		CHECK_INT(many[i].result, SPF_FAIL);
		CHECK_STR(many[i].words, i % 2 ? "host.example.com" : "Because.");
	}
	memset(&spf, 0, sizeof(spf));
	spf_cancel(&spf);
}

/* However full `text` is: names of the peer that find no room count as if there were none. */
static void
test_room(void)
{
	static char line[9000];
	char d[300];
	int i, k, n, ok = 1, pass = 0;

	for (i = 0; i < 4; i++)
		memset(d + 60 * i, i ? 'd' : 'c', 59);
	for (i = 0; i < 4; i++)
		d[60 * i + 59] = '.';
	memcpy(d + 240, "com", 4);
	for (k = 4200; k < 4800; k++) {
		nzone = 0;
		n = snprintf(line, sizeof(line), "%s TXT v=spf1 a:", d);
		memset(line + n, 'x', (size_t)k);
		(void)snprintf(line + n + k, sizeof(line) - (size_t)(n + k),
		    ".%%{p}.com ptr:x.com ptr -all");
		zone_add(line);
		(void)snprintf(line, sizeof(line), "9.2.0.192.in-addr.arpa PTR %s\n"
		    "9.2.0.192.in-addr.arpa PTR x.%s\n%s A 192.0.2.9\nx.%s A 192.0.2.9", d, d, d,
		    d);
		zone_add(line);
		(void)snprintf(line, sizeof(line), "u@%s", d);
		(void)check("192.0.2.9", "h", line);
		ok &= spf.result == SPF_PASS || spf.result == SPF_FAIL ||
		    !strncmp(spf.words, "policies too long: ", 19);
		pass += spf.result == SPF_PASS;
	}
	CHECK(ok);
	CHECK_INT(spf.result, SPF_PERMERROR);
	CHECK_MSG(pass > 100 && pass < 300, "%d", pass);
}

int
main(void)
{
	test_limits();
	test_many();
	test_deep();
	test_hostile();
	test_most();
	test_octets();
	test_room();
	test_time();
	return test_end();
}
