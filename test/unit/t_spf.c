/* with: lib/spf.c lib/spfterm.c lib/idn.c lib/addr.c lib/ip.c lib/text.c */
/*
 * See LICENSE file for copyright and licence details.
 * SPF with a resolver of our own: each mechanism, modifier and macro, and who is asked about. And
 * the test suite of RFC 7208, if it is in VECTORS/spf: test/unit/spf-vectors makes lines of it.
 * Limits and enemies: t_spflimits.c.
 */
#include "t_spf.h"

/* ---- tables ---- */

struct row {
	const char *peer;
	const char *policy;		/* of example.com */
	const char *want;
	const char *words;		/* NULL: whatever */
};

static void
rows(const struct row *r, size_t n)
{
	char line[4096];
	int ok;

	for (; n; n--, r++) {
		nzone = 0;
		zone_add(common);
		(void)snprintf(line, sizeof(line), "example.com TXT %s", r->policy);
		zone_add(line);
		ok = comes_to(r->want, r->peer, "helo.example.com", "user@example.com");
		if (!CHECK_MSG(ok, "%s: %s: %s (%s), want %s", r->peer, r->policy,
		    spf_word(spf.result), spf.words, r->want))
			continue;
		if (r->words)
			CHECK_MSG(!strcmp(r->words, spf.words), "%s: \"%s\", want \"%s\"",
			    r->policy, spf.words, r->words);
	}
}

static void
test_syntax(void)
{
	static const char *const good[] = {
		"v=spf1", "V=SPF1", "v=spf1 ", "v=spf1   ?all  ", "v=spf1 a:a.example.com/32//128",
		"v=spf1 a//0 a/0 mx/32//0 MX:a.example.com//12 PTR Ptr:example.com",
		"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:::1 IP6:2001:DB8::1/128",
		"v=spf1 ip6:::ffff:192.0.2.1/128 a:%{d} a:%{D} a:x.%{d2R-+,/_=.}",
		"v=spf1 a:%{d127} a:%{d99999999999999999999} a:x%% a:x%_ a:x%- a:%{i}/12//3",
		"v=spf1 exists:x.x-y exists:x.1-2 exists:_x._y.com exists:x.y.com.",
		"v=spf1 x= x-y.z_1=%{c}%{r}%{t}/:= exp=x.example.com", "v=spf1 a:.com a:..com",
		"v=spf1 a:foo/bar/baz.com//3 a:foo:x.com all= mx=x all=y",
	};
	static const char *const bad[] = {
		"all:", "all:x.com", "all/1", "all.", "al", "alll", "+", "-", "+-all", "--all",
		"-x=y",
		"include", "include:", "include:x", "include:x.com/24", "exists", "exists:",
		"exists/24", "exists:x.com/24", "redirect", "redirect:x.com", "redirect=",
		"redirect=com", "redirect=x.com/24", "exp:x.com", "exp=", "=", "=x", "1=x", "-=x",
		"a:", "a:/24", "a/", "a//", "a/33", "a//129", "a/-1", "a/024", "a/24/", "a/24//",
		"a/24//64//64", "a//64/24", "a/24/24", "a///24", "a/1000", "a/24x", "a24",
		"a:x.com/", "a:x.com//", "a:x.com/33", "a:x.com//129", "a:com", "a:com.", "a:x.-y",
		"a:x.y-", "a:x.123", "a:x..", "a:x.y..", "a:x.y_z", "a:192.0.2.1", "a:x.y:25",
		"mx:", "mx/33", "ptr:", "ptr/24", "ptr:x.com/24", "ptr:com",
		"ip4", "ip4:", "ip4/24", "ip4:192.0.2", "ip4:192.0.2.256", "ip4:192.0.2.1.1",
		"ip4:192.0.2.1/33", "ip4:192.0.2.1/", "ip4:192.0.2.1//32", "ip4:192.0.2.01",
		"ip4:192.0.2.1/032", "ip4:192.0.2.1:25", "ip4:::1", "ip4:2001:db8::1",
		"ip4:x.com", "ip4:%{i}", "ip6", "ip6:", "ip6:192.0.2.1", "ip6:2001:db8::1/129",
		"ip6:2001:db8::1//64", "ip6:x", "ip6::x::", "ip6:2001:db8::1%eth0",
		"ip6:2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000:0000:0000:0000:0000",
		"a:%", "a:x%", "a:%x", "a:%{", "a:%{}", "a:%{d", "a:%{x}", "a:%{1}", "a:%{d0}",
		"a:%{d00}", "a:%{dr2}", "a:%{drr}", "a:%{d:}", "a:%{d}x", "a:%{d}x.y%", "a:%(d)",
		"a:%{c}.com", "a:%{r}", "a:%{T}.com", "exp=%{c}.com", "redirect=%{r}",
		"x=%", "x=%{z}", "x=\\x7f", "a:\\x7f.com",
		"exp=x.com exp=x.com", "redirect=x.com redirect=x.com", "exp=x.com EXP=y.com",
		"a\\x09mx", "\\x00", "all\\x00", "a:x\\x00.com", "x=\\x00", "a:x.com\\x7f",
		"\\xc3\\xa4",
		"x\\xc3=y", "a:\\xc3\\xa4.com", "ip4:192.0.2.1\\x00", "ip4:192.0.2.1/3\\x00",
	};
	char line[512];
	size_t i;
	int ok;

	for (i = 0; i < LEN(good); i++) {
		nzone = 0;
		(void)snprintf(line, sizeof(line), "e.com TXT %s", good[i]);
		zone_add(line);
		start(&spf, "192.0.2.9", "h", "u@e.com");
		CHECK(deliver(0));
		CHECK_MSG(!ended || spf.result != SPF_PERMERROR, "%s: %s", good[i], spf.words);
		spf_cancel(&spf);
	}
	for (i = 0; i < LEN(bad); i++) {
		nzone = 0;
		(void)snprintf(line, sizeof(line), "e.com TXT v=spf1 +all %s", bad[i]);
		zone_add(line);
		ok = comes_to("permerror", "192.0.2.9", "h", "u@e.com");
		CHECK_MSG(ok, "%s: %s", bad[i], spf_word(spf.result));
		CHECK_INT(asks, 1);
	}
}

static void
test_addresses(void)
{
	static const struct row t[] = {
		{ "192.0.2.1", "v=spf1 a -all", "pass", "" },
		{ "192.0.2.9", "v=spf1 a -all", "fail", "" },
		{ "192.0.2.9", "v=spf1 a/28 -all", "pass", "" },
		{ "192.0.2.9", "v=spf1 a//0 -all", "fail", "" },
		{ "198.51.100.1", "v=spf1 a/0 -all", "pass", "" },
		{ "2001:db8::1", "v=spf1 a -all", "pass", "" },
		{ "2001:db8::2", "v=spf1 a -all", "fail", "" },
		{ "2001:db8::2", "v=spf1 a/0//126 -all", "pass", "" },
		{ "2001:db8::2", "v=spf1 a/0 -all", "fail", "" },
		{ "::ffff:192.0.2.1", "v=spf1 a -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 a:mapped.example.com -all", "fail", "" },
		{ "192.0.2.3", "v=spf1 ~a:a.example.com -all", "softfail", "" },
		{ "192.0.2.3", "v=spf1 ?a:A.Example.COM. -all", "neutral", "" },
		{ "192.0.2.3", "v=spf1 a:%{d} -a:a.%{d} ?all", "fail", "" },
		{ "192.0.2.3", "v=spf1 a:six.example.com -all", "fail", "" },
		{ "192.0.2.3", "v=spf1 a:late.example.com -all", "temperror",
		    "DNS error: a:late.example.com" },
		{ "192.0.2.3", "v=spf1 a:bad.example.com +all", "temperror", NULL },
		{ "192.0.2.11", "v=spf1 mx -all", "pass", "" },
		{ "192.0.2.12", "v=spf1 mx -all", "pass", "" },
		{ "192.0.2.13", "v=spf1 mx -all", "fail", "" },
		{ "192.0.2.13", "v=spf1 mx/30//0 -all", "pass", "" },
		{ "2001:db8::12", "v=spf1 mx:example.com -all", "pass", "" },
		{ "2001:db8::13", "v=spf1 mx/0 -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 mx:null.example.com -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 mx:host.example.com ?all", "neutral", "" },
		{ "192.0.2.1", "v=spf1 mx:badhost.example.com -all", "temperror",
		    "DNS error: mx:badhost.example.com" },
		{ "192.0.2.1", "v=spf1 exists:a.example.com -all", "pass", "" },
		{ "2001:db8::9", "v=spf1 exists:a.example.com -all", "pass", "" },
		{ "2001:db8::9", "v=spf1 exists:six.example.com -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 exists:bad.example.com -all", "temperror", NULL },
		{ "192.0.2.1", "v=spf1 ip4:192.0.2.0/24 -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 -ip4:192.0.2.1 +all", "fail", "" },
		{ "192.0.2.1", "v=spf1 ~ip4:192.0.2.2/31 ~ip4:192.0.2.0/31 -all", "softfail", "" },
		{ "192.0.2.1", "v=spf1 ip4:10.0.0.0/0 -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 ip6:::ffff:192.0.2.1 ip6:::/0 -all", "fail", "" },
		{ "2001:db8::9", "v=spf1 ip4:0.0.0.0/0 ip6:2001:db9::/32 -all", "fail", "" },
		{ "2001:db8::9", "v=spf1 ip6:2001:DB8::/32 -all", "pass", "" },
		{ "192.0.2.1", "v=spf1", "neutral", "" },
		{ "192.0.2.1", "v=spf1 a:none.example.com", "neutral", "" },
		{ "192.0.2.1", "v=spf1 all -all", "pass", "" },
		/* names that cannot be: no look-up, none of them void */
		{ "192.0.2.1", "v=spf1 a:..com a:%{d}..com mx:x..com exists:x..com a:x..com -all",
		    "fail", "" },
	};

	rows(t, LEN(t));
}

static void
test_names(void)
{
	static const struct row t[] = {
		{ "192.0.2.1", "v=spf1 ptr -all", "pass", "" },
		{ "2001:db8::1", "v=spf1 ptr -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 ptr:HOST.example.com -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 ptr:st.example.com -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 ptr:example.net -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 ptr:x.host.example.com -all", "fail", "" },
		{ "192.0.2.2", "v=spf1 ptr -all", "fail", "" },	/* its name has no address */
		{ "192.0.2.3", "v=spf1 ptr -all", "fail", "" },		/* badexample.com */
		{ "192.0.2.4", "v=spf1 ptr -all", "fail", "" },
		{ "192.0.2.5", "v=spf1 ptr:example.net -all", "pass", "" },
		{ "192.0.2.5", "v=spf1 ptr:%{d} ~ptr:ex.%{d1r}.net -all", "softfail", "" },
		{ "192.0.2.5", "v=spf1 ptr:%{d} ptr:%{p} -all", "pass", "" },
		{ "192.0.2.77", "v=spf1 ptr a:no.example.com a:no2.example.com -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 exists:%{p}.x exists:%{p} -all", "pass", "" },
		{ "192.0.2.5", "v=spf1 redirect=%{p2}", "permerror", "no policy: example.net" },
	};

	rows(t, LEN(t));
}

static void
test_nested(void)
{
	static const struct row t[] = {
		{ "192.0.2.1", "v=spf1 include:pass.example.com -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 ~include:pass.example.com -all", "softfail", "" },
		{ "192.0.2.1", "v=spf1 -include:pass.example.com +all", "fail", "" },
		{ "192.0.2.1", "v=spf1 include:fail.example.com ?all", "neutral", "" },
		{ "192.0.2.1", "v=spf1 include:soft.example.com -all", "fail", "" },
		{ "192.0.2.1", "v=spf1 include:neutral.example.com +all", "pass", "" },
		{ "192.0.2.1", "v=spf1 include:empty.example.com +all", "pass", "" },
		{ "192.0.2.1", "v=spf1 include:none.example.com +all", "permerror",
		    "no policy: none.example.com" },
		{ "192.0.2.1", "v=spf1 include:nx.example.com +all", "permerror",
		    "no policy: nx.example.com" },
		{ "192.0.2.1", "v=spf1 include:a..com +all", "permerror", "no policy: a..com" },
		{ "192.0.2.1", "v=spf1 include:late.example.com +all", "temperror",
		    "DNS error: late.example.com" },
		{ "192.0.2.1", "v=spf1 include:wrong.example.com +all", "permerror",
		    "no such term: foo" },
		{ "192.0.2.1", "v=spf1 include:long.example.com -all", "pass", "" },
		{ "192.0.2.1", "v=spf1 -include:long.example.com exp=why.%{d}", "fail",
		    "Because." },
		/* the domain of the level counts, before, in and after it */
		{ "192.0.2.3", "v=spf1 -a include:redir.example.com ~a:a.%{d}", "softfail", "" },
		{ "192.0.2.1", "v=spf1 redirect=pass.example.com", "pass", "" },
		{ "192.0.2.1", "v=spf1 redirect=fail.example.com", "fail", "Because." },
		{ "192.0.2.1", "v=spf1 exp=no.example.com redirect=redir.example.com", "fail",
		    "Because." },
		{ "192.0.2.1", "v=spf1 redirect=empty.example.com exp=why.example.com", "neutral",
		    "" },
		{ "192.0.2.1", "v=spf1 redirect=nx.example.com", "permerror",
		    "no policy: nx.example.com" },
		{ "192.0.2.1", "v=spf1 redirect=fail.example.com ?all", "neutral", "" },
		{ "192.0.2.1", "v=spf1 redirect=fail.example.com a", "pass", "" },
		{ "192.0.2.1", "v=spf1 include:redir.example.com ?all", "neutral", "" },
		{ "192.0.2.1", "v=spf1 include:example.com", "permerror",
		    "too many look-ups: include:example.com" },
		{ "192.0.2.1", "v=spf1 redirect=%{d}", "permerror",
		    "too many look-ups: redirect=%{d}" },
		{ "192.0.2.1", "v=spf1 -all exp=why.example.com", "fail", "Because." },
		{ "192.0.2.1", "v=spf1 exp=why.example.com ?all", "neutral", "" },
		{ "192.0.2.1", "v=spf1 -all exp=two.example.com", "fail", "" },
		{ "192.0.2.1", "v=spf1 -all exp=bad.example.com", "fail", "" },
		{ "192.0.2.1", "v=spf1 -all exp=nx.example.com", "fail", "" },
		{ "192.0.2.1", "v=spf1 -all exp=x..com", "fail", "" },
		{ "192.0.2.1", "v=spf1 include:fail.example.com -all", "fail", "" },
	};

	rows(t, LEN(t));
}

/* ---- macros ---- */

static void
test_macros(void)
{
	static const struct {
		const char *peer, *sender, *text, *want;
	} t[] = {
		{ "192.0.2.1", "strong-bad@email.example.com", "%{s}",
		    "strong-bad@email.example.com" },
		{ "192.0.2.1", "strong-bad@email.example.com", "%{o} %{d} %{d4} %{d3} %{d2} %{d1}",
		    "email.example.com email.example.com email.example.com email.example.com "
		    "example.com com" },
		{ "192.0.2.1", "strong-bad@email.example.com", "%{dr} %{d2r} %{l} %{l-} %{lr} "
		    "%{lr-} "
		    "%{l1r-} %{l1-}",
		    "com.example.email example.email strong-bad strong.bad strong-bad bad.strong "
		    "strong bad" },
		{ "192.0.2.1", "a-b+c.d_e=f/g@email.example.com", "%{l-+._=/} %{lr-+._=/} "
		    "%{l2r-+} %{l2+} %{l9} %{l3.} %{l1/}",
		    "a.b.c.d.e.f.g g.f.e.d.c.b.a b.a a-b.c.d_e=f/g "
		    "a-b+c.d_e=f/g a-b+c.d_e=f/g g" },
		{ "192.0.2.1", "--a-@email.example.com", "%{l-} %{lr-} %{l2-} %{l2r-} %{l1-}|",
		    "..a. .a.. a. . |" },
		{ "192.0.2.1", "u@email.example.com", "%{i} %{ir} %{v} %{c} %{i3} %{i1r}",
		    "192.0.2.1 1.2.0.192 in-addr 192.0.2.1 0.2.1 192" },
		{ "2001:db8::cb01", "u@email.example.com", "%{i} %{v} %{c} %{i1r} %{i2}",
		    "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1 ip6 "
		    "2001:db8::cb01 2 0.1" },
		{ "192.0.2.1", "u@email.example.com", "%{h} %{r} %{t} %{H}%{R2}",
		    "helo.example.com mx.example.org 1700000000 helo.example.comexample.org" },
		{ "192.0.2.1", "u@email.example.com", "100%% sure%_or%-not", "100% sure or%20not" },
		{ "192.0.2.1", "a b/c~d._-@email.example.com", "%{l} %{L} %{S}",
		    "a b/c~d._- a%20b%2Fc~d._- a%20b%2Fc~d._-%40email.example.com" },
		{ "192.0.2.1", "\xc3\xa4@email.example.com", "%{l} %{L}", "\\xc3\\xa4 %C3%A4" },
		{ "192.0.2.1", "a\"b\\@email.example.com", "%{l} \"\\", "a\\\"b\\\\ \\\"\\\\" },
		{ "192.0.2.1", "a\r\n\tb@email.example.com", "%{l}", "a\\x0d\\x0a\\x09b" },
		{ "192.0.2.1", "@email.example.com", "%{l} %{s}",
		    "postmaster postmaster@email.example.com" },
		{ "192.0.2.1", "email.example.com", "%{l} %{s}",
		    "postmaster postmaster@email.example.com" },
		{ "192.0.2.1", "a@b@email.example.com", "%{l} %{o}", "a@b email.example.com" },
		{ "192.0.2.1", "u@EMAIL.Example.COM", "%{d} %{o}",
		    "email.example.com email.example.com" },
		{ "192.0.2.1", "u@email.example.com", "%{p} %{p1} %{P}", "host.example.com com "
		    "host.example.com" },
		{ "192.0.2.2", "u@email.example.com", "%{p}", "unknown" },
		{ "192.0.2.4", "u@email.example.com", "%{p}", "unknown" },
		{ "192.0.2.5", "u@email.example.com", "%{p}", "ex.example.net" },
		{ "192.0.2.6", "u@email.example.com", "%{p}", "ex.example.net" },
		{ "192.0.2.1", "u@email.example.com", "%{S} %{C} %{T}",
		    "u%40email.example.com 192.0.2.1 1700000000" },
		/* not as it should be: as if there were none */
		{ "192.0.2.1", "u@email.example.com", "x %", "" },
		{ "192.0.2.1", "u@email.example.com", "x %{x}", "" },
		{ "192.0.2.1", "u@email.example.com", "x %{d0}", "" },
		{ "192.0.2.1", "u@email.example.com", "x %{d", "" },
		{ "192.0.2.1", "u@email.example.com", "x\\x09y", "" },
		{ "192.0.2.1", "u@email.example.com", "x\\x00", "" },
		{ "192.0.2.1", "u@email.example.com", "\\xe4", "" },
		{ "192.0.2.1", "u@email.example.com", "", "" },
	};
	char line[512];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		nzone = 0;
		zone_add(common);
		zone_add("email.example.com TXT v=spf1 -all exp=x.%{d}");
		(void)snprintf(line, sizeof(line), "x.email.example.com TXT %s", t[i].text);
		zone_add(line);
		CHECK_STR(check(t[i].peer, "helo.example.com", t[i].sender), "fail");
		CHECK_STR(spf.words, t[i].want);
	}
}

/* The best name: the domain itself, one below it, any other. */
static void
test_best_name(void)
{
	nzone = 0;
	zone_add(common);
	zone_add("example.com TXT v=spf1 -all exp=x.%{d}\nx.example.com TXT %{p} %{d}\n"
	    "w.example.com TXT v=spf1 -all exp=x.example.com\n"
	    "ample.com TXT v=spf1 -all exp=x.example.com\n"
	    "com.example TXT v=spf1 include:example.com a:%{p} -all exp=x.example.com");
	check("192.0.2.6", "h", "u@example.com");
	CHECK_STR(spf.words, "example.com example.com");
	check("192.0.2.6", "h", "u@w.example.com");
	CHECK_STR(spf.words, "w.example.com w.example.com");
	zone_add("v.com TXT v=spf1 include:u.net exists:%{p}.%{d} -all\n"
	    "u.net TXT v=spf1 exists:%{p}.%{d} ?all\n6.2.0.192.in-addr.arpa PTR x.v.com\n"
	    "x.v.com A 192.0.2.6\nx.v.com.v.com A 192.0.2.6");
	CHECK_STR(check("192.0.2.6", "h", "u@v.com"), "pass");
	nzone -= 5;
	check("192.0.2.6", "h", "u@ample.com");
	CHECK_STR(spf.words, "ex.example.net ample.com");
	check("192.0.2.7", "h", "u@com.example");
	CHECK_STR(spf.words, "unknown com.example");
	CHECK_STR(check("192.0.2.6", "h", "u@com.example"), "pass");
}

/* What is asked for. */
static void
test_questions(void)
{
	static const struct {
		const char *sender, *policy, *want;
	} t[] = {
		{ "u@e.com", "a:%{d2}.%{o} a:%{d}.com.", "16:e.com 1:e.com.e.com 1:e.com.com " },
		{ "u@e.com", "a:.%{d}", "16:e.com " },
		{ "u@e.com", "exists:%{L}.%{i}._spf.%{d}", "16:e.com 1:u.192.0.2.9._spf.e.com " },
		{ "\xc3\xa4@e.com", "exists:%{l}.%{d} a:%{L}.com", "16:e.com 1:%C3%A4.com " },
		{ "u@\xc3\xa4.com", "a:x.%{o}", "16:xn--4ca.com 1:x.xn--4ca.com " },
		/* cut from the left, by labels, to 253 octets */
		{ "u@e.com",
		    "a:x.%{l}123456789012345678901234567890123456789012345678901234567890"
		    ".a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c123456789012345678901234567890123456789012345678901234567890.%{d}",
		    "16:e.com 1:u123456789012345678901234567890123456789012345678901234567890"
		    ".a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c123456789012345678901234567890123456789012345678901234567890.e.com " },
		{ "u@e.com",
		    "a:%{l}12345678901234567890123456789012345678901234567890123456789012"
		    ".a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c123456789012345678901234567890123456789012345678901234567890.e.com.",
		    "16:e.com 1:a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c123456789012345678901234567890123456789012345678901234567890.e.com " },
		/* 253 as they are */
		{ "u@e.com",
		    "a:%{l}1234567890123456789012345678901234567890123456789012345678901"
		    ".a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c1234567890123456789012345678901234567890123456789012345678.e.com.",
		    "16:e.com 1:u1234567890123456789012345678901234567890123456789012345678901"
		    ".a123456789012345678901234567890123456789012345678901234567890"
		    ".b123456789012345678901234567890123456789012345678901234567890"
		    ".c1234567890123456789012345678901234567890123456789012345678.e.com " },
	};
	char line[1024];
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		nzone = 0;
		(void)snprintf(line, sizeof(line), "%s TXT v=spf1 %s",
		    t[i].sender[1] == '@' && t[i].sender[2] != 'e' ? "xn--4ca.com" : "e.com",
		    t[i].policy);
		zone_add(line);
		(void)check("192.0.2.9", "h", t[i].sender);
		CHECK_STR(asked_log, t[i].want);
	}
}

/* A name of 253 octets is asked for as it is, one of 254 without its first label. */
static void
test_long_names(void)
{
	char line[2048], want[600];
	int first, i, n;

	for (first = 40; first < 63; first++) {
		nzone = 0;
		n = snprintf(line, sizeof(line), "e.com TXT v=spf1 a:%%{l}");
		for (i = 1; i < first; i++)
			line[n++] = 'a';
		for (i = 0; i < 3 * 64; i++)
			line[n++] = i % 64 ? 'b' : '.';
		(void)snprintf(line + n, sizeof(line) - (size_t)n, ".%%{d} -all");
		zone_add(line);
		(void)check("192.0.2.9", "h", "u@e.com");
		(void)snprintf(want, sizeof(want), "16:e.com 1:%s%.*s.e.com ",
		    first + 198 <= 253 ? "u" : "", first + 191, line + 23);
		if (first + 198 > 253)
			(void)snprintf(want, sizeof(want), "16:e.com 1:%.*s.e.com ", 3 * 64 - 1,
			    line + 23 + first);
		CHECK_STR(asked_log, want);
	}
	/* much longer: 22 labels of different letters, the last four of which have room */
	nzone = 0;
	n = snprintf(line, sizeof(line), "e.com TXT v=spf1 a:");
	for (i = 0; i < 22 * 50; i++)
		line[n++] = (char)(i % 50 == 49 ? '.' : 'a' + i / 50);
	(void)snprintf(line + n, sizeof(line) - (size_t)n, "%%{d} -all");
	zone_add(line);
	(void)check("192.0.2.9", "h", "u@e.com");
	(void)snprintf(want, sizeof(want), "16:e.com 1:%.*se.com ", 200, line + n - 200);
	CHECK_STR(asked_log, want);
}

/* A name of up to 16 macros. */
static void
test_many_macros(void)
{
	char line[600];
	int i;

	for (i = 15; i < 18; i++) {
		nzone = 0;
		(void)snprintf(line, sizeof(line), "e.com TXT v=spf1 a:%.*s -all", 5 * i,
		    "%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}%{d1}"
		    "%{d1}%{d1}%{d1}");
		zone_add(line);
		(void)check("192.0.2.9", "h", "u@e.com");
		CHECK_INT(asks, 2);
		CHECK_INT(strlen(asked_log), i < 17 ? 12 + 3 * i : 9);
	}
}

/* ---- who is asked about ---- */

static void
test_senders(void)
{
	static const struct {
		const char *helo, *sender, *want;
	} t[] = {
		{ "h.example.com", "u@none.example.com", "none" },
		{ "h.example.com", "u@nx.example.com", "none" },
		{ "h.example.com", "u@late.example.com", "temperror" },
		{ "h.example.com", "u@bad.example.com", "temperror" },
		{ "pass.example.com", "", "pass" },
		{ "fail.example.com", "u@pass.example.com", "pass" },
		{ "localhost", "", "none" },
		{ "", "", "none" },
		{ "[192.0.2.1]", "", "none" },
		{ "pass.example.com", "u@[192.0.2.1]", "none" },
		{ "pass.example.com", "u@[IPv6:2001:db8::1.x]", "none" },
		{ "pass.example.com", "u@com", "none" },
		{ "pass.example.com", "u@com.", "none" },
		{ "pass.example.com", "u@a..com", "none" },
		{ "pass.example.com", "u@", "none" },
		{ "pass.example.com", "u@-.com\xff", "none" },
		{ "pass.example.com", "u@a b.com", "none" },
		{ "pass.example.com", "u@\n.com", "none" },
	};
	char sender[1024];
	size_t i;
	int ok;

	nzone = 0;
	zone_add(common);
	for (i = 0; i < LEN(t); i++) {
		ok = comes_to(t[i].want, "192.0.2.1", t[i].helo, t[i].sender);
		CHECK_MSG(ok, "\"%s\" \"%s\": %s", t[i].helo, t[i].sender,
		    spf_word(spf.result));
	}
	memset(sender, 'x', sizeof(sender));
	memcpy(sender + 65, "@pass.example.com", 18);
	CHECK_STR(check("192.0.2.1", "h", sender), "none");
	CHECK_STR(check("192.0.2.1", "h", sender + 1), "pass");
	memset(sender, 'x', sizeof(sender));
	sender[1023] = '\0';
	sender[1] = '@';
	CHECK_STR(check("192.0.2.1", sender, sender), "none");
	for (i = 3; i < 1000; i += 2)
		sender[i] = '.';
	CHECK_STR(check("192.0.2.1", sender, sender), "none");
	zone_add("e.com TXT v=spf1 -all exp=%{d}\n");
	CHECK_STR(check("192.0.2.1", sender, "u@e.com"), "fail");
	zone_add("f.com TXT v=spf1 -all exp=x.f.com\nx.f.com TXT %{h}|");
	CHECK_STR(check("192.0.2.1", sender, "u@f.com"), "fail");
	CHECK_INT(strlen(spf.words), SPF_WORDS - 1);
	CHECK(!memcmp(spf.words, sender, SPF_WORDS - 4));
	cut = 1;
	CHECK_STR(check("192.0.2.1", "h", "u@f.com"), "fail");
	CHECK_STR(spf.words, "");
	cut = 0;
	CHECK_STR(check("192.0.2.1", "h", "u@f.com"), "fail");
	CHECK_STR(spf.words, "h|");
	/* not for the DNS, whatever it would say */
	zone_add("com TXT v=spf1 +all\nlocalhost TXT v=spf1 +all\n[192.0.2.1] TXT v=spf1 +all\n");
	(void)check("192.0.2.1", "h", "u@com");
	CHECK_INT(asks, 0);
	(void)check("192.0.2.1", "h", "u@com.");
	CHECK_INT(asks, 0);
	(void)check("192.0.2.1", "localhost", "");
	CHECK_INT(asks, 0);
	CHECK_STR(check("192.0.2.1", "[192.0.2.1]", ""), "none");
	CHECK_INT(asks, 0);
	nzone = 0;
	zone_add("e.com TXT v=spf10 -all\ne.com TXT v=spf1\\x09-all\ne.com TXT  v=spf1 -all\n"
	    "e.com TXT v=spf\ne.com TXT v=spf1\\x00 -all\ne.com TXT \n");
	CHECK_STR(check("192.0.2.1", "h", "u@e.com"), "none");
	zone_add("e.com TXT V=sPf1 ~all\n");
	CHECK_STR(check("192.0.2.1", "h", "u@e.com"), "softfail");
	zone_add("e.com TXT v=spf1 ~all\n");
	CHECK_STR(check("192.0.2.1", "h", "u@e.com"), "permerror");
	CHECK_STR(spf.words, "two policies: e.com");
}

static void
test_words(void)
{
	static const char *const words[] = {
		"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"
	};
	size_t i;

	for (i = 0; i < LEN(words); i++)
		CHECK_STR(spf_word((enum spf_result)i), words[i]);
	CHECK(sizeof(struct spf) < 8192);
}

/* ---- the suite ---- */

/* Is word one of those in list, which commas separate? */
static int
is_one_of(const char *word, const char *list)
{
	size_t n;

	for (; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (strlen(word) == n && !memcmp(word, list, n))
			return 1;
	}
	return 0;
}

/* test, id, peer, helo, sender, results, explanation */
static int
suite_test(char *line)
{
	char *f[7], helo[1024], sender[1024], told[1024], *p = line;
	int i;

	for (i = 0; i < 7; i++) {
		f[i] = p;
		p += strcspn(p, "\t");
		if (!CHECK_MSG((*p == '\t') == (i < 6), "%s: %d fields", line, i))
			return 0;
		if (*p)
			*p++ = '\0';
	}
	(void)unescape(helo, f[3], strlen(f[3]));
	(void)unescape(sender, f[4], strlen(f[4]));
	(void)unescape(told, f[6], strlen(f[6]));
	(void)check(f[2], helo, sender);
	if (!CHECK_MSG(is_one_of(spf_word(spf.result), f[5]), "%s: %s (%s), want %s", f[1],
	    spf_word(spf.result), spf.words, f[5]))
		return 1;
	if (!strcmp(told, "DEFAULT"))
		told[0] = '\0';
	if (spf.result == SPF_FAIL && strcmp(told, "*") != 0)
		CHECK_MSG(!strcmp(spf.words, told), "%s: \"%s\", want \"%s\"", f[1], spf.words,
		    told);
	return 1;
}

static void
test_suite(void)
{
	const char *path = test_vectors("spf/rfc7208-tests.yml"), *src = getenv("SRC");
	static char cmd[8192], line[16384];
	int n = 0;
	FILE *f;

	if (!path)
		return;
	/* both builds of this test come at the same time */
	(void)snprintf(cmd, sizeof(cmd), "cd \"%s\" && exec 9<test/need && flock 9 && "
	    "sh test/need python3 flock:util-linux -python3-yaml=py3-yaml >&2 && "
	    "python3 test/unit/spf-vectors \"%s\"", src ? src : ".", path);
	f = popen(cmd, "r");
	if (!f)
		abort();
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "scenario"))
			nzone = 0;
		else if (!strncmp(line, "test\t", 5))
			n += suite_test(line);
		else
			zone_add(line);
	}
	CHECK_INT(pclose(f), 0);
	CHECK_INT(n, SUITE);
}

int
main(void)
{
	test_syntax();
	test_addresses();
	test_names();
	test_nested();
	test_macros();
	test_best_name();
	test_questions();
	test_long_names();
	test_many_macros();
	test_senders();
	test_words();
	test_suite();
	return test_end();
}
