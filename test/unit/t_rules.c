/* with: lib/addr.c lib/glob.c lib/text.c lib/words.c */
/* config: test/unit/t_rules.h */
/* See LICENSE file for copyright and licence details. */
/* rules[]: which row it is, rows that cannot be, and how long it may take. */
#include "rules.c"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include "test.h"

static jmp_buf out;
static char said[1024];

void
die(int code, const char *fmt, ...)
{
	va_list ap;

	(void)code;
	va_start(ap, fmt);
	(void)vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	longjmp(out, 1);
}

int
user_valid(const char *name, size_t n)
{
	return n && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == n;
}

/* Only alice has an account. */
enum where
user_meant(struct user_set *to, struct forwards *forwards, struct addr *a, const char *text)
{
	(void)to;
	(void)forwards;
	(void)a;
	return strchr(text, '@') ? W_REMOTE : strcmp(text, "alice") ? W_UNKNOWN : W_LOCAL;
}

static int told;

void
log_event(const char *id, const char *fmt, ...)
{
	(void)id;
	told += strstr(fmt, "nobody has this address") != NULL;
}

/* The number of the row from 1 on; 0: none. */
static int
row(const struct rule *r)
{
	return r ? (int)(r - rules) + 1 : 0;
}

static void
places(void)
{
	static const struct {
		enum place place;
		const char *text;
		int row;
	} v[] = {
		{ IN_CONNECTION, "192.0.2.1", 1 },
		{ IN_CONNECTION, "192.0.20.1", 0 },
		{ IN_CONNECTION, "mail.BAD.example", 1 },
		{ IN_CONNECTION, "", 0 },
		{ IN_HELO, "192.0.2.1", 0 },
		{ IN_HELO, "", 0 },
		{ IN_HELO, "LocalHost", 3 },
		{ IN_HELO, "localhost.", 0 },
		{ IN_MAIL, "", 4 },
		{ IN_MAIL, "a@Friend.Example", 5 },
		{ IN_MAIL, "a12@b", 5 },
		{ IN_MAIL, "a1@b", 0 },
		{ IN_RCPT, "old@x", 6 },
		{ IN_RCPT, "", 0 },
		{ IN_HEADER, "x", 0 },
		{ IN_ATTACHMENT, "a.EXE", 10 },
		{ IN_ATTACHMENT, ".exe", 10 },
		{ IN_ATTACHMENT, "dir/a.vbs", 10 },
		{ IN_ATTACHMENT, "a.vbx", 11 },
		{ IN_ATTACHMENT, "exe", 0 },
	};
	char text[64];
	size_t i, n;

	for (i = 0; i < LEN(v); i++) {
		n = strlen(v[i].text);
		memcpy(text, v[i].text, n);
		memcpy(text + n, ".exe", 4);	/* which is not part of it */
		CHECK_MSG(row(rule_match(v[i].place, "", text, n)) == v[i].row, "%s: row %d",
		    v[i].text, row(rule_match(v[i].place, "", text, n)));
	}
	CHECK_INT(row(rule_match(IN_ATTACHMENT, "", BYTES("a.exe\0.txt"))), 11);
	CHECK_INT(row(rule_match(IN_ATTACHMENT, "", BYTES("a\0b.exe"))), 10);
	CHECK_INT(row(rule_match(IN_HEADER, "SUBJECT", BYTES("a|b"))), 9);
	CHECK_INT(row(rule_match(IN_HEADER, "Subject", BYTES("a"))), 0);
	CHECK_INT(rule_any(IN_HEADER), 1);
	rules[2].pattern = "";
	CHECK_INT(rule_any(IN_HELO), 0);
	CHECK_INT(row(rule_match(IN_HELO, "", "localhost", 9)), 0);
	rules[2].pattern = "localhost";
}

static void
fields(void)
{
	static const struct {
		const char *header;
		int row;
	} v[] = {
		{ "", 0 },
		{ "\n", 0 },
		{ ":\n :\n", 0 },
		{ "Subject: an [invoice] of you\n", 7 },
		{ "subject :an\n [Invoice]", 7 },
		{ "X-Subject: [invoice]\nSubject\n: [invoice]\n", 0 },
		{ "Subject: x\n\tList-Id: <dev.example>\n", 0 },
		{ "Subject: x\nList-ID: x <dev.example>\nSubject: y\n", 8 },
		{ "List-ID: x <dev.example>\nSubject: [invoice]\n", 7 },
		{ "Subject: [invoice]\nList-ID: x <dev.example>\n", 7 },
		{ "Subject: =?iso-8859-1?q?=5Binvoice=5D?=\n", 7 },
		{ "Subject: =?iso-8859-1?q?=e9?=\n", 9 },
		{ "Subject: \xc3\xa9\xc3\n", 9 },
		{ "Subject: a|b\n", 9 },
		{ "Subject: a\nSubject: the end \t\n", 9 },
	};
	char *text;
	size_t i, n;

	for (i = 0; i < LEN(v); i++) {
		n = strlen(v[i].header);
		text = malloc(n + 1);	/* so that a sanitizer sees what is read behind it */
		if (!text)
			abort();
		memcpy(text, v[i].header, n);
		CHECK_MSG(row(rule_header(text, n)) == v[i].row, "%s: row %d", v[i].header,
		    row(rule_header(text, n)));
		free(text);
	}
}

/* Of a long text the beginning and the end are looked at. */
static void
long_texts(void)
{
	static char text[100000];

	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 4, ".exe", 4);
	CHECK_INT(row(rule_match(IN_ATTACHMENT, "", text, sizeof(text))), 10);
	CHECK_INT(row(rule_match(IN_RCPT, "", text, sizeof(text))), 0);
	memcpy(text, "old@", 4);
	CHECK_INT(row(rule_match(IN_RCPT, "", text, sizeof(text))), 6);
	memcpy(text, "Subject:", 8);
	memcpy(text + sizeof(text) - 4, " end", 4);
	CHECK_INT(row(rule_header(text, sizeof(text))), 9);
}

/* ---- rows that cannot be ---- */

static int
refused(void)
{
	*said = '\0';
	if (setjmp(out))
		return 1;
	rules_check();
	return 0;
}

static void
rows(void)
{
	static const char words[] = "Not here. Ask postmaster@example.org, please, who will tell.";
	static const struct {
		int good;
		struct rule r;
	} v[] = {
		{ 1, { IN_HELO, "", "", DO_MAILBOX, "" } },
		{ 1, { IN_HELO, "", "x", DO_ACCEPT, "" } },
		{ 0, { IN_HELO, "", "x", DO_ACCEPT, "x" } },
		{ 0, { IN_HELO, "", "x", DO_MARK, "x" } },
		{ 0, { IN_HELO, "", "x", DO_DISCARD, "x" } },
		{ 0, { (enum place)9, "", "x", DO_MARK, "" } },
		{ 0, { IN_HELO, "", "x", (enum deed)9, "" } },
		{ 1, { IN_HELO, "", "x", DO_REFUSE, "" } },
		{ 1, { IN_HELO, "", "x", DO_REFUSE, words } },
		{ 0, { IN_HELO, "", "x", DO_REFUSE, "a\r\nb" } },
		{ 0, { IN_HELO, "", "x", DO_REFUSE, "\xc3\xa9" } },
		{ 0, { IN_HELO, "", "a|", DO_MARK, "" } },
		{ 0, { IN_HELO, "", "|a", DO_MARK, "" } },
		{ 0, { IN_HELO, "", "a||b", DO_MARK, "" } },
		{ 1, { IN_HELO, "", "a\\|", DO_MARK, "" } },
		{ 1, { IN_HELO, "", "a\\", DO_MARK, "" } },
		{ 0, { IN_CONNECTION, "", "192.0.2.0/24", DO_MARK, "" } },
		{ 0, { IN_HELO, "Subject", "x", DO_MARK, "" } },
		{ 0, { IN_HEADER, "", "x", DO_MARK, "" } },
		{ 0, { IN_HEADER, "Subject:", "x", DO_MARK, "" } },
		{ 0, { IN_HEADER, "a b", "x", DO_MARK, "" } },
		{ 1, { IN_HEADER, "Subject", "x", DO_MARK, "" } },
		{ 1, { IN_MAIL, "", "x", DO_REDIRECT, "a@b.example" } },
		{ 1, { IN_MAIL, "", "x", DO_REDIRECT, "alice" } },
		{ 0, { IN_MAIL, "", "x", DO_REDIRECT, "" } },
		{ 0, { IN_MAIL, "", "x", DO_REDIRECT, "a@" } },
		{ 0, { IN_MAIL, "", "x", DO_REDIRECT, "a@b, c@d" } },
		{ 0, { IN_MAIL, "", "x", DO_COPY, "" } },
		{ 0, { IN_MAIL, "", "x", DO_COPY, "../x" } },
		{ 1, { IN_MAIL, "", "x", DO_COPY, "a@b.example" } },
		{ 1, { IN_MAIL, "", "x", DO_MAILBOX, "alice" } },
		{ 0, { IN_MAIL, "", "x", DO_MAILBOX, "" } },
		{ 0, { IN_MAIL, "", "x", DO_MAILBOX, "a@b.example" } },
		{ 0, { IN_MAIL, "", "x", DO_MAILBOX, "../x" } },
	};
	static char longer[600];
	const struct rule was = rules[3];
	size_t i;

	CHECK_MSG(!refused(), "%s", said);
	CHECK_INT(told, 2);		/* rows 7 and 8; it may be made later */
	for (i = 0; i < LEN(v); i++) {
		rules[3] = v[i].r;
		CHECK_MSG(refused() == !v[i].good, "%d %s %s: \"%s\"", (int)i, v[i].r.pattern,
		    v[i].r.arg, said);
		CHECK(v[i].good || strstr(said, "config.h: rules[] row 4 "));
	}
	memset(longer, 'x', sizeof(longer) - 1);
	rules[3].place = IN_HELO;
	rules[3].field = rules[3].arg = "";
	rules[3].deed = DO_MARK;
	rules[3].pattern = longer;
	longer[200] = longer[400] = '|';
	CHECK_MSG(!refused(), "%s", said);
	CHECK_INT(row(rule_match(IN_HELO, "", longer, 200)), 4);
	rules[3].deed = DO_REFUSE;
	rules[3].arg = longer;
	CHECK(refused());
	rules[3] = was;
}

/* ---- time: fnmatch() must not be exponential ---- */

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
times(void)
{
	static char text[65536];
	const struct rule was = rules[6];
	double start;
	size_t i;

	memset(text, 'a', sizeof(text));
	rules[6].pattern = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab*";
	start = seconds();
	CHECK_INT(row(rule_match(IN_HEADER, "Subject", text, 1024)), 0);
	printf("%.1f ms: a pattern with many stars\n", (seconds() - start) * 1e3);
	CHECK(seconds() - start < 0.2);
	memcpy(text, "Subject:", 8);
	for (i = 990; i < sizeof(text) - 8; i += 990)
		memcpy(text + i, "\nSubject:", 9);
	start = seconds();
	CHECK_INT(row(rule_header(text, sizeof(text))), 0);
	printf("%.1f ms: with all fields of a header\n", (seconds() - start) * 1e3);
	rules[6] = was;
	start = seconds();
	CHECK_INT(row(rule_header(text, sizeof(text))), 0);
	printf("%.1f ms: with usual patterns\n", (seconds() - start) * 1e3);
	for (i = 0; i + 10 < sizeof(text); i += 10)
		memcpy(text + i, "Subject:a\n", 10);
	start = seconds();
	CHECK_INT(row(rule_header(text, i)), 0);
	printf("%.1f ms: with many short fields\n", (seconds() - start) * 1e3);
}

int
main(void)
{
	places();
	fields();
	long_texts();
	rows();
	times();
	return test_end();
}
