/* with: letter.c lib/addr.c lib/authres.c lib/fs.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Letters written anew: envelopes with other recipients, headers with the changes of scanners, and
 * findings of others that claim to be ours. */
#include <stdarg.h>
#include <sys/stat.h>

#include "amend.c"
#include "store.h"
#include "test.h"

/* ---- the rest of the server ---- */

char host[HOST_TEXT] = "mx.example.org";
int64_t loop_now, loop_wall;
static struct user people[] = { { .name = "alice" }, { .name = "bob" }, { .name = "alice.junk" } };
static struct smtp session;
static struct inspection in;
static struct conn peer;

enum { PEOPLE = sizeof(people) / sizeof(*people) };

int
user_find(const char *name, size_t n)
{
	int i;

	for (i = 0; i < PEOPLE; i++)
		if (text_is(name, n, people[i].name))
			return i;
	return -1;
}

const struct user *
user_at(int slot)
{
	return slot < PEOPLE ? &people[slot] : NULL;
}

int
user_in(const struct user_set *s, int slot)
{
	return s->bit[slot / 8] >> slot % 8 & 1;
}

enum where
user_meant(struct user_set *to, struct forwards *out, struct addr *a, const char *text)
{
	int slot = user_find(text, strlen(text));

	memset(to, 0, sizeof(*to));
	memset(a, 0, sizeof(*a));
	out->n = 0;
	if (strchr(text, '@'))
		return W_REMOTE;
	if (slot < 0)
		return W_UNKNOWN;
	to->bit[slot / 8] |= (unsigned char)(1 << slot % 8);
	return W_LOCAL;
}

char *
new_id(char dst[ID_TEXT])
{
	return memcpy(dst, "new", 4);
}

int
conn_slot(const struct conn *c)
{
	(void)c;
	return 0;
}

int64_t
loop_ms(void)
{
	return loop_now;
}

enum res
store_room(uint64_t size)
{
	(void)size;
	return R_OK;
}

int
store_broken(void)
{
	return 0;
}

int
store_commit(int quiet)
{
	(void)quiet;
	return 0;
}

void
store_trouble(const char *what)
{
	CHECK_MSG(0, "%s", what);
}

void
log_event(const char *id, const char *fmt, ...)
{
	(void)id;
	(void)fmt;
}

void
smtp_trace(struct smtp *s, struct letter *l)
{
	(void)s;
	letter_text(l, "Received: us\n", 13);
}

const char *
spf_word(enum spf_result r)
{
	return r == SPF_PASS ? "pass" : "none";
}

const char *
dkim_word(enum dkim_result r)
{
	return r == DKIM_PASS ? "pass" : "none";
}

const char *
dmarc_word(enum dmarc_result r)
{
	return r == DMARC_PASS ? "pass" : "none";
}

const char *
dmarc_policy_word(enum dmarc_policy p)
{
	return p == POLICY_REJECT ? "reject" : "none";
}

char *
ip_text(char dst[IP_TEXT], const struct ip *a)
{
	(void)a;
	return memcpy(dst, "192.0.2.1", 10);
}

char *
inspect_header(struct inspection *i)
{
	static char text[HEADER_MAX + 2];
	long n = letter_read(&i->s->letter, text, i->header, (uint64_t)i->s->letter.text);

	text[n] = '\0';
	return text;
}

/* ---- a letter in, a letter out ---- */

static void
edit(int what, unsigned index, const char *a, const char *b)
{
	struct edit e;
	size_t na = strlen(a) + 1, nb = b ? strlen(b) + 1 : 0;

	memset(&e, 0, sizeof(e));
	memcpy(&e.what, &what, sizeof(e.what));
	e.index = index;
	e.n = (uint32_t)((na + nb + 7) & ~(size_t)7);
	memcpy(in.edits + in.nedits, &e, sizeof(e));
	memset(in.edits + in.nedits + sizeof(e), 0, e.n);
	memcpy(in.edits + in.nedits + sizeof(e), a, na);
	if (b)
		memcpy(in.edits + in.nedits + sizeof(e) + na, b, nb);
	in.nedits += sizeof(e) + e.n;
}

static void
start(const char *fields)
{
	struct user_set to;
	int i;

	letter_abort(&in.letter);
	letter_abort(&in.body);
	letter_abort(&session.letter);
	memset(&session, 0, sizeof(session));
	memset(&in, 0, sizeof(in));
	in.letter.fd = in.body.fd = -1;
	session.c = &peer;
	in.s = &session;
	in.header = strlen(fields);
	(void)letter_begin(&session.letter, 0, "from@a.test", 11, "BODY=8BITMIME");
	for (i = 0; i < 2; i++) {
		memset(&to, 0, sizeof(to));
		to.bit[0] = (unsigned char)(1 << i);
		(void)letter_rcpt(&session.letter, i ? "bob@us" : "alice@us", i ? 6 : 8, &to);
	}
	(void)letter_out(&session.letter, "x@far.test", 10, "NOTIFY=NEVER");
	letter_text(&session.letter, fields, in.header);
	letter_text(&session.letter, "\nbody\n", 6);
}

/* All of the new letter. */
static char *
done(void)
{
	static char text[HEADER_MAX];
	long n;

	CHECK_INT(amend_begin(&in), R_OK);
	while (amend_work(&in) == R_AGAIN)
		;
	n = letter_read(&in.letter, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

#define HEAD "From: a\nX: 1\nx : 2\n\tmore\nTo: b\n"
#define TOP "F<from@a.test> BODY=8BITMIME\nT<alice@us> alice\nT<bob@us> bob\n" \
	"T<x@far.test> NOTIFY=NEVER\n\n"

static void
headers(void)
{
	static const struct {
		int what;
		unsigned index;
		const char *name, *value, *want;
	} t[] = {
		{ EDIT_ADD, 0, "Y", " 3", HEAD "Y: 3\n" },
		{ EDIT_INSERT, 0, "Y", "3", "Y:3\n" HEAD },
		{ EDIT_INSERT, 2, "Y", " 3\n\tand", "From: a\nX: 1\nY: 3\n\tand\nx : 2\n\tmore\nTo: b\n" },
		{ EDIT_INSERT, 99, "Y", " 3", HEAD "Y: 3\n" },
		{ EDIT_CHANGE, 1, "x", " 9", "From: a\nx: 9\nx : 2\n\tmore\nTo: b\n" },
		{ EDIT_CHANGE, 2, "X", " 9", "From: a\nX: 1\nX: 9\nTo: b\n" },
		{ EDIT_CHANGE, 2, "X", "", "From: a\nX: 1\nTo: b\n" },
		{ EDIT_CHANGE, 3, "X", "", HEAD },
		{ EDIT_CHANGE, 3, "X", " 9", HEAD "X: 9\n" },
		{ EDIT_CHANGE, 0, "To", "", "From: a\nX: 1\nx : 2\n\tmore\n" },
	};
	char want[512];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		start(HEAD);
		edit(t[i].what, t[i].index, t[i].name, t[i].value);
		(void)snprintf(want, sizeof(want), TOP "Received: us\n%s\nbody\n", t[i].want);
		CHECK_STR(done(), want);
	}
	start(HEAD);		/* one after the other */
	edit(EDIT_CHANGE, 1, "X", "");
	edit(EDIT_CHANGE, 1, "X", " 7");
	edit(EDIT_INSERT, 0, "A", " 1");
	CHECK_STR(done(), TOP "Received: us\nA: 1\nFrom: a\nX: 7\nTo: b\n\nbody\n");
}

static void
envelopes(void)
{
	static struct rule r;

	start(HEAD);
	in.mark = 1;
	(void)snprintf(in.why, sizeof(in.why), "spf=fail");
	CHECK_STR(done(), "F<from@a.test> BODY=8BITMIME\nT<alice@us> alice.junk\nT<bob@us> bob\n"
	    "T<x@far.test> NOTIFY=NEVER\n\nX-Spam-Flag: YES\nX-Spam-Reason: spf=fail\n"
	    "Received: us\n" HEAD "\nbody\n");
	CHECK(user_in(&in.letter.to, 2) && !user_in(&in.letter.to, 0) && in.letter.out);

	start(HEAD);
	edit(EDIT_NO_RCPT, 0, "ALICE@us", NULL);
	edit(EDIT_RCPT, 0, "y@far.test", NULL);
	edit(EDIT_SENDER, 0, "", NULL);
	CHECK_STR(done(), "F<> BODY=8BITMIME\nT<bob@us> bob\nT<x@far.test> NOTIFY=NEVER\n"
	    "T<y@far.test> FORWARD=postmaster@mx.example.org\n\nReceived: us\n" HEAD "\nbody\n");

	start(HEAD);
	r.deed = DO_MAILBOX;
	r.arg = "bob";
	in.rule = &r;
	CHECK_STR(done(), "F<from@a.test> BODY=8BITMIME\nT<bob> bob\n\nReceived: us\n" HEAD
	    "\nbody\n");
	CHECK(!in.letter.out);

	start(HEAD);
	r.deed = DO_COPY;
	(void)snprintf(session.rcpt, sizeof(session.rcpt), "alice@us");
	r.arg = "z@far.test";
	in.rule = &r;
	CHECK(strstr(done(), "NEVER\nT<z@far.test> FORWARD=alice@us\n\n") != NULL);

	start(HEAD);		/* nothing goes to another server twice */
	edit(EDIT_RCPT, 0, "X@far.test", NULL);
	edit(EDIT_RCPT, 0, "y@far.test", NULL);
	edit(EDIT_RCPT, 0, "y@far.test", NULL);
	edit(EDIT_RCPT, 0, "bob@us", NULL);
	CHECK_STR(done(), "F<from@a.test> BODY=8BITMIME\nT<alice@us> alice\nT<bob@us> bob\n"
	    "T<x@far.test> NOTIFY=NEVER\nT<y@far.test> FORWARD=postmaster@mx.example.org\n"
	    "T<bob@us> FORWARD=postmaster@mx.example.org\n\nReceived: us\n" HEAD "\nbody\n");
	CHECK(in.leaves);

	start(HEAD);		/* for nobody: that is meant, or it is a mistake */
	edit(EDIT_NO_RCPT, 0, "alice@us", NULL);
	edit(EDIT_NO_RCPT, 0, "bob@us", NULL);
	edit(EDIT_NO_RCPT, 0, "x@far.test", NULL);
	CHECK_INT(amend_begin(&in), R_OK);
	CHECK(letter_alone(&in.letter));
	letter_abort(&in.letter);
	edit(EDIT_RCPT, 0, "ghost", NULL);
	CHECK_INT(amend_begin(&in), R_TEMP);

	start(HEAD);
	CHECK_STR(amend_rcpt(&session.letter, 0), "alice@us");
	CHECK_STR(amend_rcpt(&session.letter, 2), "x@far.test");
	CHECK(amend_rcpt(&session.letter, 3) == NULL);
}

static void
bodies(void)
{
	start(HEAD);
	CHECK_INT(amend_body(&in, NULL, 0), 0);
	CHECK_INT(amend_body(&in, "new\r", 4), 0);
	CHECK_INT(amend_body(&in, "\n", 1), 0);
	CHECK_STR(done(), TOP "Received: us\n" HEAD "\nnew\n");
	CHECK_INT(in.rebodied, 1);
	in.scanner = 1;
	CHECK_INT(amend_body(&in, NULL, 0), 0);
	CHECK(in.lost && in.rebodied == 2);
	start("");
	CHECK_STR(done(), TOP "Received: us\n\nbody\n");
}

/* As many fields as a header can have, and changes that pass them all. */
static void
steps(void)
{
	static char fields[HEADER_MAX];
	size_t i, n;

	CHECK(mkdir("spool", 0700) == 0 && mkdir("spool/tmp", 0700) == 0);
	for (n = 0; n + 3 <= sizeof(fields) - 1; n += 3)
		memcpy(fields + n, "a:\n", 3);
	start(fields);
	edit(EDIT_CHANGE, 1, "X", "");
	CHECK_INT(amend_begin(&in), R_OK);
	start(fields);
	for (i = 0; i < 300; i++)
		edit(EDIT_CHANGE, 1, "X", "");
	CHECK_INT(amend_begin(&in), R_PERM);
	start(fields);
	for (i = 0; i < 300; i++)
		edit(EDIT_INSERT, 0, "X", " y");
	CHECK_INT(amend_begin(&in), R_PERM);
	start("Subject: s\nTo: a\nFrom: b\nX: 1\n");
	for (i = 0; i < 300; i++)
		edit(i % 2 ? EDIT_INSERT : EDIT_CHANGE, (unsigned)i % 3, "X", " y");
	CHECK_INT(amend_begin(&in), R_OK);
}

#define AR "Authentication-Results"

/* With names as long as they can be. */
static void
longest(void)
{
	char domain[ADDR_DOMAIN + 1];
	const char *p;
	int k;

	memset(domain, 'x', sizeof(domain));
	memcpy(domain + ADDR_DOMAIN - 5, ".test", 6);
	start(HEAD);
	session.visit.stranger = 1;
	(void)snprintf(session.helo, sizeof(session.helo), "%.254s", domain);
	(void)snprintf(session.sender, sizeof(session.sender), "a@%s", domain);
	(void)snprintf(in.author, sizeof(in.author), "%s", domain);
	(void)snprintf(in.dmarc.domain, sizeof(in.dmarc.domain), "%s", domain);
	for (in.dkim.n = k = 0; k < DKIM_CHECKED; k++, in.dkim.n++) {
		in.dkim.sig[k].reason = "the key is broken, or it is not there any more at all";
		(void)snprintf(in.dkim.sig[k].domain, sizeof(in.dkim.sig[k].domain), "%s", domain);
		memset(in.dkim.sig[k].selector, 's', DKIM_SELECTOR);
		memcpy(in.dkim.sig[k].b, "01234567", 9);
	}
	in.dmarc_known = 1;
	in.dmarc.result = DMARC_FAIL;
	p = done();
	CHECK(strstr(p, "header.from=xx") != NULL);
	for (k = 0; (p = strstr(p, "header.s=s")); p++)
		k++;
	CHECK_INT(k, DKIM_CHECKED);
}

static void
claims(void)
{
	const char *t;

	start(AR ": mx.example.org; spf=pass\n" AR ": other.test; spf=pass\nFrom: a\n"
	    "authentication-RESULTS :\n mx.example.org 1; dkim=pass\n more\n");
	session.visit.stranger = 1;
	(void)snprintf(session.helo, sizeof(session.helo), "h");
	/* numbers of fields are those that the scanner has seen */
	edit(EDIT_CHANGE, 2, AR, " third.test; spf=none");
	t = done();
	CHECK(strstr(t, "\n\n" AR ": mx.example.org;") && strstr(t, "iprev=fail"));
	CHECK(strstr(t, "Received: us\n" AR ": third.test; spf=none\nFrom: a\n\nbody\n") != NULL);
	CHECK(strstr(t, "dkim=pass") == NULL);
}

/* Each scanner has seen the header as it came: what one before it has done does not move the
 * numbers of another, and is not undone. */
static void
several(void)
{
	start(HEAD);
	edit(EDIT_CHANGE, 1, "X", "");
	edit(EDIT_INSERT, 0, "X", " new");
	edit(EDIT_ADD, 0, "To", " c");
	edit(EDIT_END, 0, "", NULL);
	edit(EDIT_CHANGE, 2, "X", " 9");
	edit(EDIT_CHANGE, 1, "To", "");
	edit(EDIT_INSERT, 1, "A", " 1");
	edit(EDIT_ADD, 0, "X", " own");
	edit(EDIT_CHANGE, 3, "X", " mine");
	edit(EDIT_END, 0, "", NULL);
	CHECK_STR(done(), TOP "Received: us\nX: new\nFrom: a\nA: 1\nX: 9\nTo: c\nX: mine\n"
	    "\nbody\n");

	start(HEAD);
	edit(EDIT_CHANGE, 1, "X", "");
	edit(EDIT_END, 0, "", NULL);
	edit(EDIT_CHANGE, 1, "X", " 9");
	CHECK_STR(done(), TOP "Received: us\nFrom: a\nX: 9\nx : 2\n\tmore\nTo: b\n\nbody\n");

	start("From: a\nA\1x: b\nB\3: c\nno field\n");	/* no marks of ours */
	session.visit.stranger = 1;
	CHECK(strstr(done(), "us\nFrom: a\nA\1x: b\nB\3: c\nno field\n\nbody\n") != NULL);
}

int
main(void)
{
	session.letter.fd = in.letter.fd = in.body.fd = -1;
	headers();
	envelopes();
	bodies();
	claims();
	several();
	steps();
	longest();
	return test_end();
}
