/* with: lib/authres.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Authentication-Results: fields as they are written, what peers say in them, too little room; read
 * back by a reader of the whole grammar of RFC 8601 2.2, and by Python's authres if it is there;
 * and who claims to be us.
 */
#include <unistd.h>

#include "lib/addr.h"
#include "lib/authres.h"
#include "lib/text.h"
#include "test.h"

#define A10 "aaaaaaaaaa"
#define A100 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10
#define U "\xc3\xa4"
#define HEAD "Authentication-Results: mx.example.org"

/* What is written: one letter a call, then its arguments. */
struct call {
	char what;		/* r(esult), p(roperty), c(omment) */
	const char *a, *b, *c;
};

static const struct {
	struct call calls[8];
	const char *out;
} fields[] = {
	{ { { 0, NULL, NULL, NULL } }, HEAD "; none\n" },
	{ { { 'c', "a comment", NULL, NULL } }, HEAD " (a comment); none\n" },
	{ { { 'p', "smtp.mailfrom", "x", NULL } }, HEAD "; none\n" },
	{ { { 'r', "auth", "pass", "" } }, HEAD ";\n\tauth=pass\n" },
	{ { { 'r', "spf", "pass", "" }, { 'p', "smtp.mailfrom", "example.net", NULL },
	    { 'r', "dkim", "fail", "body has changed" }, { 'p', "header.d", "example.com", NULL },
	    { 'p', "header.s", "x-1_y", NULL }, { 'p', "header.b", "aB/+cd==", NULL } },
	    HEAD ";\n\tspf=pass smtp.mailfrom=example.net;\n"
	    "\tdkim=fail reason=\"body has changed\" header.d=example.com\n"
	    "\theader.s=x-1_y header.b=\"aB/+cd==\"\n" },
	{ { { 'r', "dmarc", "fail", "" }, { 'c', "p=reject", NULL, NULL },
	    { 'p', "header.from", "example.com", NULL } },
	    HEAD ";\n\tdmarc=fail (p=reject) header.from=example.com\n" },
	{ { { 'r', "iprev", "pass", "" }, { 'p', "policy.iprev", "192.0.2.1", NULL },
	    { 'p', "policy.iprev", "2001:db8::1", NULL } },
	    HEAD ";\n\tiprev=pass policy.iprev=192.0.2.1 policy.iprev=\"2001:db8::1\"\n" },
};

/* Values of a property: as it is, or what comes out. */
static const struct {
	const char *in, *out;	/* NULL: the same */
} values[] = {
	{ "example.com", NULL },
	{ "a_b", NULL },
	{ "a@example.com", NULL },
	{ "a+b=c/d?e@example.com", NULL },
	{ "@example.com", NULL },
	{ "!#$%&'*+-.^_`{|}~", NULL },
	{ "", "\"\"" },
	{ "a b", "\"a b\"" },
	{ "a;b", "\"a;b\"" },
	{ "a; dmarc=pass", "\"a; dmarc=pass\"" },
	{ "a(b", "\"a(b\"" },
	{ "a\"b\\", "\"a\\\"b\\\\\"" },
	{ "\"a b\"@c", "\"\\\"a b\\\"@c\"" },
	{ "a=b", "\"a=b\"" },
	{ "a@b@c", "\"a@b@c\"" },
	{ "a@[192.0.2.1]", "\"a@[192.0.2.1]\"" },
	{ "a@b_c", "\"a@b_c\"" },
	{ "@", "\"@\"" },
	{ "a\r\nX: y", "\"a??X: y\"" },
	{ "a\tb\x01\x7f", "\"a?b??\"" },
	{ U "@b" U ".example", "\"" U "@b" U ".example\"" },
	{ "\xe2\x82\xac \xf0\x9f\x93\xa7", "\"\xe2\x82\xac \xf0\x9f\x93\xa7\"" },
	{ "\xff\xc3(\xc0\xaf\xed\xa0\x80", "\"?\?(?????\"" },
	{ "\xc2\x85\xc2\x9f", "\"????\"" },
	{ A100 A100 A10 A10 A10 A10 A10 "123456789", A100 A100 A10 A10 A10 A10 A10 "123456" },
	{ A100 A100 A10 A10 A10 A10 A10 "12345" U, "\"" A100 A100 A10 A10 A10 A10 A10 "12345?\"" },
};

/* ---- a strict reader of RFC 8601 2.2 ---- */

static const char *
cfws(const char *p)
{
	int depth = 0;
	size_t len;

	for (; *p; p += len) {
		len = 1;
		if (*p == '(')
			depth++;
		else if (depth && *p == ')')
			depth--;
		else if (*p == '\n' && p[1] != '\t' && p[1] != ' ')
			return p;
		else if (!strchr(" \t\n", *p)) {
			if (!depth)
				return p;
			if (*p == '\\' || *p == 0x7f || (*p & 0x80 ?
			    !(len = addr_utf8(p, strlen(p))) : *p < ' '))
				return NULL;
		}
	}
	return depth ? NULL : p;
}

static const char *
keyword(const char *p)
{
	const char *s = p;

	while (text_alnum((unsigned char)*p) || *p == '-')
		p++;
	return p > s ? p : NULL;
}

static int
is_token(int ch)
{
	return ch > 32 && ch < 127 && !strchr("()<>@,;:\\\"/[]?=", ch);
}

/* A value, or for properties an address; what it means goes to out. */
static const char *
value(const char *p, int property, char out[600])
{
	const char *s = p;
	struct addr a;
	size_t len;

	if (*p == '"') {
		for (p++; *p != '"'; p += len) {
			len = 1;
			if (*p == '\\')
				p++;
			else if (*p & 0x80)
				len = addr_utf8(p, strlen(p));
			if (!len || (unsigned char)*p < ' ' || *p == 0x7f)
				return NULL;
			memcpy(out, p, len);
			out += len;
		}
		*out = '\0';
		return p + 1;
	}
	while (*p && !strchr(" \t\n;", *p))
		p++;
	memcpy(out, s, (size_t)(p - s));
	out[p - s] = '\0';
	while (is_token((unsigned char)*s))
		s++;
	if (p > s && !property)
		return NULL;
	if (p > s && *out != '@' && addr_mailbox(&a, out, strlen(out)) < 0)
		return NULL;
	if (p > s && *out == '@' && !addr_domain(out + 1, strlen(out + 1)))
		return NULL;
	return *out ? p : NULL;
}

/* The whole field: how many results, or -1. What it says goes to out, one item a line. */
static int
parse(const char *p, char *out, size_t size)
{
	static const char head[] = "Authentication-Results:";
	char text[600];
	const char *s;
	int n = 0, property;

	*out = '\0';
	if (strncmp(p, head, sizeof(head) - 1) != 0 || !(p = cfws(p + sizeof(head) - 1)) ||
	    !(p = value(p, 0, text)) || strcmp(text, "mx.example.org") != 0 || !(p = cfws(p)))
		return -1;
	if (!strncmp(p, "; none", 6))
		return !strcmp(p + 6, "\n") ? 0 : -1;
	for (; *p == ';'; n++) {
		s = cfws(p + 1);
		p = s ? keyword(s) : NULL;
		if (!p || *p != '=' || !keyword(++p))
			return -1;
		p = keyword(p);
		snprintf(out + strlen(out), size - strlen(out), "%.*s\n", (int)(p - s), s);
		while ((p = cfws(p)) && keyword(p)) {
			s = p;
			p = keyword(p);
			property = *p == '.';
			if (!property && strncmp(s, "reason=", 7) != 0)
				return -1;
			if (property && !(p = keyword(p + 1)))
				return -1;
			if (*p++ != '=' || !(p = value(p, property, text)))
				return -1;
			snprintf(out + strlen(out), size - strlen(out), "%.*s%s\n",
			    (int)(strcspn(s, "=") + 1), s, text);
		}
		if (!p)
			return -1;
	}
	return n && !strcmp(p, "\n") ? n : -1;
}

/* Lines: not too long, and white space at the beginning of all but the first. */
static void
check_lines(const char *p)
{
	const char *lf;

	for (; *p; p = lf + 1) {
		lf = strchr(p, '\n');
		if (!CHECK(lf))
			return;
		CHECK(lf - p < 900);
		CHECK(!lf[1] || lf[1] == '\t');
	}
}

static size_t
write_calls(char *dst, size_t size, const struct call *c)
{
	struct authres a;

	authres_begin(&a, dst, size, "mx.example.org");
	for (; c->what; c++) {
		if (c->what == 'r')
			authres_result(&a, c->a, c->b, c->c);
		else if (c->what == 'p')
			authres_property(&a, c->a, c->b);
		else
			authres_comment(&a, c->a);
	}
	return authres_end(&a);
}

static void
check_fields(void)
{
	char out[4096], items[4096];
	size_t i, n;

	for (i = 0; i < LEN(fields); i++) {
		n = write_calls(out, sizeof(out), fields[i].calls);
		CHECK_MEM(out, n, fields[i].out, strlen(fields[i].out));
		CHECK(parse(out, items, sizeof(items)) >= 0);
		check_lines(out);
	}
}

static void
check_values(void)
{
	char out[4096], items[4096], want[4096];
	struct authres a;
	size_t i, n;

	for (i = 0; i < LEN(values); i++) {
		authres_begin(&a, out, sizeof(out), "mx.example.org");
		authres_result(&a, "x", "pass", values[i].in);
		authres_comment(&a, values[i].in);
		authres_property(&a, "smtp.helo", values[i].in);
		authres_property(&a, "smtp.helo", "end");
		n = authres_end(&a);
		CHECK_INT(n, strlen(out));
		snprintf(want, sizeof(want), "smtp.helo=%s",
		    values[i].out ? values[i].out : values[i].in);
		CHECK_MSG(strstr(out, want) != NULL, "%s not in %s", want, out);
		CHECK_MSG(parse(out, items, sizeof(items)) == 1, "%s", out);
		check_lines(out);
		if (strlen(values[i].in) < AUTHRES_VALUE && !strchr(values[i].out ? values[i].out :
		    "", '?')) {
			snprintf(want, sizeof(want), "x=pass\n%s%s%ssmtp.helo=%s\n"
			    "smtp.helo=end\n", *values[i].in ? "reason=" : "", values[i].in,
			    *values[i].in ? "\n" : "", values[i].in);
			CHECK_STR(items, want);
		}
	}
	authres_begin(&a, out, sizeof(out), "mx.example.org");
	authres_comment(&a, "a) ;\\ (b\n\xff" U "\"");
	n = authres_end(&a);
	CHECK_INT(n, strlen(out));
	CHECK_STR(out, HEAD " (a? ;? ?b??" U "\"); none\n");
}

/* As much room as there may be: whole results only, and always an end. */
static void
check_room(void)
{
	static const struct call calls[] = {
		{ 'c', "about", NULL, NULL },
		{ 'r', "one", "pass", "" }, { 'p', "x.y", "z", NULL }, { 'c', "good", NULL, NULL },
		{ 'r', "two", "pass", A100 A100 }, { 'p', "x.y", "z", NULL },
		{ 'r', "three", "none", "" },
		{ 0, NULL, NULL, NULL }
	};
	char *p, items[4096];
	size_t size, n;
	int all = 0, results;

	for (size = 0; size < 400; size++) {
		p = malloc(size ? size : 1);
		if (!p)
			abort();
		n = write_calls(p, size, calls);
		if (!n) {
			CHECK(size < sizeof(HEAD) + 8);
		} else {
			CHECK(n < size && p[n] == '\0' && p[n - 1] == '\n' && strlen(p) == n);
			results = parse(p, items, sizeof(items));
			CHECK_MSG(results >= 0, "%lu: %s", (unsigned long)size, p);
			CHECK((strstr(p, "one=") != NULL) == (strstr(p, "(good)") != NULL));
			CHECK((strstr(p, "two=") != NULL) <= (strstr(p, "aaa\" x.y=z") != NULL ||
			    strstr(p, "aaa\n\tx.y=z") != NULL));
			CHECK(results >= (size > 90) && results <= 3);
			all += results == 3;
		}
		free(p);
	}
	CHECK(all > 10);
}

static const struct {
	const char *in;
	int claim;
} claims[] = {
	{ " mx.example.org; none\n", 1 },
	{ "mx.example.org;spf=pass", 1 },
	{ " MX.Example.ORG", 1 },
	{ " mx.example.org.;", 1 },
	{ " mx.example.org 1; none", 1 },
	{ "\n\tmx.example.org\n\t;none", 1 },
	{ " (a (b) \\) c) mx.example.org(d)\n (e) 1 (f);", 1 },
	{ " \"mx.example.org\"; none", 1 },
	{ " \"mx.\\example.org\" ; none", 1 },
	{ " \"mx.exam\n ple.org\"; none", 0 },
	{ " \"mx.exam\nple.org\"; none", 1 },
	{ " mx.example.com; none", 0 },
	{ " example.org; none", 0 },
	{ " mx.example.orgx; none", 0 },
	{ " xmx.example.org; none", 0 },
	{ " other.example 1; none", 0 },
	{ " (mx.example.org) other.example; none", 0 },
	{ " other.example (mx.example.org); spf=pass (mx.example.org) x", 0 },
	{ " \"other.example; mx.example.org\"; none", 0 },
	{ " other; mx.example.org; none", 0 },
	{ " \"\"; none", 0 },
	{ " " U ".example; none", 0 },
	{ " " A100 A100 A100 "; none", 0 },
	{ " " A100 A100 A100 "mx.example.org; none", 0 },
	/* not to be parsed */
	{ "", 1 },
	{ " ", 1 },
	{ " ; none", 1 },
	{ " spf=pass smtp.mailfrom=x", 1 },
	{ " other.example/1; none", 1 },
	{ " other.example x; none", 1 },
	{ " other.example 1x; none", 1 },
	{ " other.example 1 2; none", 1 },
	{ " other.example, mx.example.org; none", 1 },
	{ " (other.example; none", 1 },
	{ " other.example (; none", 1 },
	{ " other.example (\\); none", 1 },
	{ " other.example 1 (", 1 },
	{ " other.example) mx.example.org; none", 1 },
	{ " \"other.example; none", 1 },
	{ " \"other.example\\", 1 },
	{ " \"other.example\x01\"; none", 1 },
	{ " \"other.example\xff\"; none", 1 },
	{ " other.example\xff; none", 1 },
	{ " other.example\r; none", 1 },
	{ " @other.example; none", 1 },
	{ " [192.0.2.1]; none", 1 },
};

static void
check_claims(void)
{
	char *p;
	size_t i, k, n;

	for (i = 0; i < LEN(claims); i++) {
		n = strlen(claims[i].in);
		for (k = 0; k <= n; k++) {
			p = malloc(k ? k : 1);
			if (!p)
				abort();
			memcpy(p, claims[i].in, k);
			if (k < n)
				(void)authres_claims(p, k, "mx.example.org");
			else
				CHECK_MSG(authres_claims(p, k, "mx.example.org") ==
				    claims[i].claim, "%s", claims[i].in);
			free(p);
		}
	}
	CHECK_INT(authres_claims(BYTES(" mx\0.example.org; none"), "mx.example.org"), 1);
	CHECK_INT(authres_claims(BYTES(" b\xc3\xbc" "cher.example;"), "xn--bcher-kva.example"), 1);
	CHECK_INT(authres_claims(BYTES(" xn--bcher-kva.EXAMPLE;"), "b\xc3\xbc" "cher.example"), 1);
}

/* Values that Python's authres must find again, item by item; a quoted one it reads in the last
 * place only. */
static void
check_python(void)
{
	static const char script[] =
	    "import re, sys, authres\n"
	    "for f in open('fields', newline='').read().split('\\0')[:-1]:\n"
	    "  want, f = f.split('\\1')\n"
	    "  h = authres.AuthenticationResultsHeader.parse(f.replace('\\n', '\\r\\n').strip())\n"
	    "  r, = h.results\n"
	    "  got = [re.sub(r'\\\\(.)', r'\\1', x) for x in (h.authserv_id, r.method, r.result,\n"
	    "    r.reason, r.properties[1].value, r.properties[0].value)]\n"
	    "  if got != ['mx.example.org', 'dkim', 'pass', want, want, 'first']:\n"
	    "    print(got, repr(want)); sys.exit(1)\n";
	char out[4096];
	struct authres a;
	FILE *f;
	size_t i;

	/* root may install it, one of the two programs of this test at a time */
	if (system("/usr/bin/python3 -c 'import authres' 2>/dev/null || { [ \"$(id -u)\" = 0 ] && "
	    "flock -w 200 \"$SRC/test/need\" sh \"$SRC/test/need\" -python3-authres=py3-authres && "
	    "/usr/bin/python3 -c 'import authres' 2>/dev/null; }") != 0) {
		test_skipped++;
		return;
	}
	f = fopen("fields", "w");
	if (!CHECK(f))
		return;
	for (i = 0; i < LEN(values); i++) {
		if (!*values[i].in || strlen(values[i].in) > AUTHRES_VALUE ||
		    strchr(values[i].out ? values[i].out : "", '?'))
			continue;
		if (!addr_ascii(values[i].in, strlen(values[i].in)))
			continue;	/* it knows no RFC 6532 */
		authres_begin(&a, out, sizeof(out), "mx.example.org");
		authres_result(&a, "dkim", "pass", values[i].in);
		authres_property(&a, "header.s", "first");
		authres_property(&a, "header.d", values[i].in);
		(void)authres_end(&a);
		fprintf(f, "%s%c%s%c", values[i].in, 1, out, 0);
	}
	fclose(f);
	f = fopen("read.py", "w");
	if (!CHECK(f))
		return;
	fputs(script, f);
	fclose(f);
	CHECK(system("/usr/bin/python3 read.py") == 0);
	unlink("read.py");
	unlink("fields");
}

int
main(void)
{
	check_fields();
	check_values();
	check_room();
	check_claims();
	check_python();
	return test_end();
}
