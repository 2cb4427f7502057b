/* with: lib/dmarc.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * DMARC with a resolver that knows a small zone and answers when it is told to: records, the walk
 * up the tree, alignment, policies, errors; the examples of RFC 9989 (B.1, B.4 and 4.10); which
 * names are asked for, and how many.
 */
#include <errno.h>

#include "lib/dmarc.h"
#include "lib/text.h"
#include "test.h"

#define R "v=DMARC1; p=reject"

/* Texts at _dmarc.NAME; "!" and a status: the answer for NAME itself in the questions for it. */
static const struct {
	const char *name, *text;
} zone[] = {
	/* RFC 9989, B.1 and B.4.1 */
	{ "_dmarc.example.com", R },
	{ "child.example.com", "" },
	{ "_dmarc.signing.example.com", R },
	{ "_dmarc.example.net", R },
	/* B.4.3 */
	{ "_dmarc.bank.example", "v=DMARC1; p=reject; psd=y; np=quarantine" },
	{ "_dmarc.giant.bank.example", "v=DMARC1; p=none" },
	{ "mega.bank.example", "" },
	/* 4.10.2 */
	{ "_dmarc.n.test", R },
	{ "_dmarc.mail.n.test", "v=DMARC1; p=quarantine; psd=n" },
	/* policies */
	{ "_dmarc.all.test", "v=DMARC1; p=reject; sp=quarantine; np=none" },
	{ "sub.all.test", "" },
	{ "_dmarc.own.all.test", "v=DMARC1; p=none; sp=reject" },
	{ "_dmarc.nosp.test", "v=DMARC1; p=quarantine; np=reject" },
	{ "sub.nosp.test", "" },
	{ "dangling.nosp.test", "!cname" },
	{ "slow.nosp.test", "!timeout" },
	{ "_dmarc.there.nosp.test", "v=spf1 -all" },
	{ "_dmarc.t.test", "v=DMARC1; p=reject; sp=quarantine; np=none; t=y" },
	{ "sub.t.test", "" },
	{ "_dmarc.tn.test", "v=DMARC1; p=reject; t=n" },
	{ "_dmarc.tx.test", "v=DMARC1; p=reject; t=x" },
	/* strict */
	{ "_dmarc.strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s" },
	{ "_dmarc.aspf.test", "v=DMARC1; p=reject; aspf=s" },
	{ "_dmarc.adkim.test", "v=DMARC1; p=reject; adkim=s; aspf=r" },
	/* several records, and what is none */
	{ "_dmarc.two.test", R },
	{ "_dmarc.two.test", "v=DMARC1; p=none" },
	{ "_dmarc.beside.test", "v=spf1 -all" },
	{ "_dmarc.beside.test", R },
	{ "_dmarc.beside.test", "v=DMARC2; p=none" },
	{ "_dmarc.two.up.test", R },
	{ "_dmarc.two.up.test", R },
	{ "_dmarc.up.test", "v=DMARC1; p=quarantine" },
	{ "_dmarc.lower.test", "v=dmarc1; p=reject" },
	/* errors */
	{ "_dmarc.timeout.test", "!timeout" },
	{ "_dmarc.servfail.test", "!servfail" },
	{ "_dmarc.a.servfail.test", R },
	{ "_dmarc.ids.test", R },
	{ "_dmarc.bad.ids.test", "!servfail" },
	{ "_dmarc.inner.ids.test", "v=DMARC1; p=none; psd=n" },
	{ "_dmarc.suffix.ids.test", "v=DMARC1; p=none; psd=y" },
	{ "_dmarc.cut.test", "!cut" },
	{ "_dmarc.invalid.test", "v=DMARC1; p=rejekt" },
	{ "_dmarc.invalidsp.test", "v=DMARC1; p=reject; sp=rejekt" },
	{ "_dmarc.reported.test", "v=DMARC1; p=rejekt; rua=mailto:a@b; np=reject" },
	/* a public suffix that sends itself */
	{ "_dmarc.suffix.test", "v=DMARC1; p=reject; psd=y" },
	{ "_dmarc.only.suffix.test", "v=DMARC1; p=none" },
	/* with eight labels and more */
	{ "_dmarc.3.4.5.6.7.long.test", "v=DMARC1; p=reject; psd=y" },
	{ "_dmarc.x.1.2.3.4.5.6.7.far.test", "v=DMARC1; p=reject; psd=n" },
	/* a domain at the top */
	{ "_dmarc.top", R },
	{ "_dmarc.brand", "v=DMARC1; p=reject; psd=n" },
};

static struct {
	struct dns_query *q;
	char name[300];
	enum dns_type type;
} waiting[4];
static int nwaiting, asked, busy;
static char log_[4096];

static int
known(const char *name)
{
	size_t i, n = strlen(name), k;

	for (i = 0; i < LEN(zone); i++) {
		k = strlen(zone[i].name);
		if (k >= n && !strcmp(zone[i].name + k - n, name) &&
		    (k == n || zone[i].name[k - n - 1] == '.'))
			return 1;
	}
	return 0;
}

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	asked++;
	if (strlen(name) > 255 || strlen(name) >= sizeof(waiting[0].name)) {
		errno = EINVAL;
		return -1;
	}
	if (busy || nwaiting == LEN(waiting)) {
		errno = EAGAIN;
		return -1;
	}
	waiting[nwaiting].q = q;
	strcpy(waiting[nwaiting].name, name);
	waiting[nwaiting].type = type;
	q->slot = nwaiting++;
	if (strlen(log_) + strlen(name) + 8 < sizeof(log_))
		snprintf(log_ + strlen(log_), sizeof(log_) - strlen(log_), "%s%s%s",
		    *log_ ? " " : "", type == DNS_TXTS ? "" : "?",
		    text_begins(name, strlen(name), "_dmarc.") ? name + 7 : name);
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	int i;

	for (i = 0; i < nwaiting; i++)
		if (waiting[i].q == q)
			waiting[i] = waiting[--nwaiting];
	q->slot = -1;
}

static void
special(struct dns_answer *a, const char *text, enum dns_type type)
{
	if (!strcmp(text, "!timeout"))
		a->status = DNS_TIMEOUT;
	else if (!strcmp(text, "!servfail"))
		a->status = DNS_SERVFAIL;
	else if (!strcmp(text, "!cut"))
		a->cut = 1;
	else
		a->status = type == DNS_CNAME ? DNS_OK : DNS_NXDOMAIN;
}

/* Answer the first question: 0 when there is none. */
static int
deliver(void)
{
	static struct dns_answer a;
	struct dns_query *q;
	size_t i;

	if (!nwaiting)
		return 0;
	memset(&a, 0, sizeof(a));
	for (i = 0; i < LEN(zone); i++) {
		if (strcmp(zone[i].name, waiting[0].name) != 0)
			continue;
		if (zone[i].text[0] == '!') {
			special(&a, zone[i].text, waiting[0].type);
			if (!a.cut)
				break;
			a.rr[a.n].text = R;
			a.rr[a.n++].n = sizeof(R) - 1;
		} else if (*zone[i].text && waiting[0].type == DNS_TXTS) {
			a.rr[a.n].text = zone[i].text;
			a.rr[a.n++].n = strlen(zone[i].text);
		}
	}
	if (a.status == DNS_OK && !a.n && waiting[0].type != DNS_CNAME)
		a.status = known(waiting[0].name) ? DNS_NODATA : DNS_NXDOMAIN;
	else if (a.status == DNS_OK && !a.n)
		a.status = known(waiting[0].name) ? DNS_NODATA : DNS_NXDOMAIN;
	q = waiting[0].q;
	waiting[0] = waiting[--nwaiting];
	q->slot = -1;
	q->done(q, &a);
	return 1;
}

static int called;

static void
done(struct dmarc *d)
{
	called++;
	CHECK(d->arg == (void *)&called);
}

/* ids: "spf=a dkim=b": what has passed. 1: `done` was called. */
static void
start(struct dmarc *d, const char *author, const char *ids)
{
	char name[300];
	size_t n;

	memset(d, 0x5a, sizeof(*d));
	d->done = done;
	d->arg = &called;
	called = asked = 0;
	*log_ = '\0';
	dmarc_begin(d, author);
	for (; *ids; ids += n + (ids[n] == ' ')) {
		n = strcspn(ids, " ");
		snprintf(name, sizeof(name), "%.*s", (int)(n - (*ids == 's' ? 4 : 5)),
		    ids + (*ids == 's' ? 4 : 5));
		if (*ids == 's')
			dmarc_spf(d, name);
		else
			dmarc_dkim(d, name);
	}
}

static void
check(struct dmarc *d, const char *author, const char *ids)
{
	int i, n;

	start(d, author, ids);
	dmarc_check(d);
	CHECK_INT(called, !nwaiting);
	for (i = 0; i < 1000 && deliver(); i++) {
		n = nwaiting;
		CHECK(called ? n == 0 : n == 1);
	}
	CHECK_INT(called, 1);
}

static const struct {
	const char *author, *ids;
	enum dmarc_result result;
	enum dmarc_policy policy;
	const char *domain, *organisation, *asked;
} cases[] = {
	/* RFC 9989 B.1.1: SPF in strict and relaxed alignment, and not */
	{ "example.com", "spf=example.com", DMARC_PASS, POLICY_REJECT, "example.com", "example.com",
	    "example.com" },
	{ "example.com", "spf=child.example.com", DMARC_PASS, POLICY_REJECT, "example.com",
	    "example.com", "example.com com child.example.com" },
	{ "child.example.com", "spf=example.net", DMARC_FAIL, POLICY_REJECT, "example.com",
	    "example.com", "child.example.com example.com com" },
	/* B.1.2: DKIM */
	{ "example.com", "dkim=example.com", DMARC_PASS, POLICY_REJECT, "example.com",
	    "example.com", "example.com" },
	{ "child.example.com", "dkim=example.com", DMARC_PASS, POLICY_REJECT, "example.com",
	    "example.com", "child.example.com example.com com" },
	{ "child.example.com", "dkim=example.net", DMARC_FAIL, POLICY_REJECT, "example.com",
	    "example.com", "child.example.com example.com com" },
	/* B.4.1 */
	{ "example.com", "spf=example.com dkim=signing.example.com", DMARC_PASS, POLICY_REJECT,
	    "example.com", "example.com", "example.com" },
	{ "example.com", "dkim=signing.example.com", DMARC_PASS, POLICY_REJECT, "example.com",
	    "example.com", "example.com com signing.example.com" },
	{ "signing.example.com", "dkim=example.com", DMARC_PASS, POLICY_REJECT,
	    "signing.example.com", "example.com", "signing.example.com example.com com" },
	/* B.4.2 */
	{ "a.b.c.d.e.f.g.h.i.j.k.example.com", "spf=example.com", DMARC_PASS, POLICY_REJECT,
	    "example.com", "example.com", "a.b.c.d.e.f.g.h.i.j.k.example.com "
	    "g.h.i.j.k.example.com h.i.j.k.example.com i.j.k.example.com j.k.example.com "
	    "k.example.com example.com com" },
	{ "a.b.c.d.e.f.g.h.i.j.k.example.com", "dkim=signing.example.com", DMARC_PASS,
	    POLICY_REJECT, "example.com", "example.com", "a.b.c.d.e.f.g.h.i.j.k.example.com "
	    "g.h.i.j.k.example.com h.i.j.k.example.com i.j.k.example.com j.k.example.com "
	    "k.example.com example.com com signing.example.com" },
	/* B.4.3 */
	{ "giant.bank.example", "spf=mail.giant.bank.example dkim=mail.mega.bank.example",
	    DMARC_PASS, POLICY_NONE, "giant.bank.example", "giant.bank.example",
	    "giant.bank.example bank.example mail.giant.bank.example" },
	{ "giant.bank.example", "dkim=mail.mega.bank.example", DMARC_FAIL, POLICY_NONE,
	    "giant.bank.example", "giant.bank.example", "giant.bank.example bank.example" },
	/* below a public suffix without a record: that of the suffix; this one exists */
	{ "mega.bank.example", "dkim=mail.mega.bank.example", DMARC_PASS, POLICY_REJECT,
	    "bank.example", "mega.bank.example",
	    "mega.bank.example bank.example mail.mega.bank.example" },
	{ "mega.bank.example", "dkim=giant.bank.example", DMARC_FAIL, POLICY_REJECT, "bank.example",
	    "mega.bank.example", "mega.bank.example bank.example ?mega.bank.example" },
	{ "a.mega.bank.example", "spf=mega.bank.example", DMARC_PASS, POLICY_REJECT, "bank.example",
	    "mega.bank.example", "a.mega.bank.example mega.bank.example bank.example" },
	{ "a.no.bank.example", "", DMARC_FAIL, POLICY_QUARANTINE, "bank.example", "no.bank.example",
	    "a.no.bank.example no.bank.example bank.example ?a.no.bank.example" },
	/* 4.10.2: psd=n */
	{ "a.mail.n.test", "spf=mail.n.test", DMARC_PASS, POLICY_QUARANTINE, "mail.n.test",
	    "mail.n.test", "a.mail.n.test mail.n.test" },
	{ "a.mail.n.test", "spf=n.test", DMARC_FAIL, POLICY_QUARANTINE, "mail.n.test",
	    "mail.n.test", "a.mail.n.test mail.n.test" },
	{ "a.mail.n.test", "spf=b.mail.n.test", DMARC_PASS, POLICY_QUARANTINE, "mail.n.test",
	    "mail.n.test", "a.mail.n.test mail.n.test b.mail.n.test" },
	{ "a.n.test", "spf=b.mail.n.test", DMARC_FAIL, POLICY_REJECT, "n.test", "n.test",
	    "a.n.test n.test test b.mail.n.test mail.n.test" },
	/* no record */
	{ "no.invalid", "spf=no.invalid", DMARC_NONE, POLICY_NONE, "", "no.invalid",
	    "no.invalid invalid" },
	{ "lower.test", "spf=lower.test", DMARC_NONE, POLICY_NONE, "", "lower.test",
	    "lower.test test" },
	{ "", "spf=a.test", DMARC_NONE, POLICY_NONE, "", "", "" },
	{ "a..test", "spf=a.test", DMARC_NONE, POLICY_NONE, "", "a..test", "a..test .test test" },
	/* several: none; others beside it do not matter */
	{ "two.test", "spf=two.test", DMARC_NONE, POLICY_NONE, "", "two.test", "two.test test" },
	{ "two.up.test", "", DMARC_FAIL, POLICY_QUARANTINE, "up.test", "up.test",
	    "two.up.test up.test test" },
	{ "cut.test", "spf=cut.test", DMARC_NONE, POLICY_NONE, "", "cut.test", "cut.test test" },
	{ "beside.test", "", DMARC_FAIL, POLICY_REJECT, "beside.test", "beside.test",
	    "beside.test" },
	/* p, sp, np: the author's own, one that exists, one that does not */
	{ "all.test", "", DMARC_FAIL, POLICY_REJECT, "all.test", "all.test", "all.test" },
	{ "sub.all.test", "", DMARC_FAIL, POLICY_QUARANTINE, "all.test", "all.test",
	    "sub.all.test all.test test ?sub.all.test" },
	{ "no.all.test", "", DMARC_FAIL, POLICY_NONE, "all.test", "all.test",
	    "no.all.test all.test test ?no.all.test" },
	{ "own.all.test", "", DMARC_FAIL, POLICY_NONE, "own.all.test", "own.all.test",
	    "own.all.test" },
	{ "sub.nosp.test", "", DMARC_FAIL, POLICY_QUARANTINE, "nosp.test", "nosp.test",
	    "sub.nosp.test nosp.test test ?sub.nosp.test" },
	{ "no.nosp.test", "", DMARC_FAIL, POLICY_REJECT, "nosp.test", "nosp.test",
	    "no.nosp.test nosp.test test ?no.nosp.test" },
	{ "dangling.nosp.test", "", DMARC_FAIL, POLICY_QUARANTINE, "nosp.test", "nosp.test",
	    "dangling.nosp.test nosp.test test ?dangling.nosp.test" },
	{ "there.nosp.test", "", DMARC_FAIL, POLICY_QUARANTINE, "nosp.test", "nosp.test",
	    "there.nosp.test nosp.test test" },
	{ "slow.nosp.test", "", DMARC_TEMPERROR, POLICY_NONE, "nosp.test", "nosp.test",
	    "slow.nosp.test nosp.test test ?slow.nosp.test" },
	{ "no.nosp.test", "spf=nosp.test", DMARC_PASS, POLICY_QUARANTINE, "nosp.test", "nosp.test",
	    "no.nosp.test nosp.test test" },
	{ "bad.ids.test", "", DMARC_TEMPERROR, POLICY_NONE, "", "bad.ids.test", "bad.ids.test" },
	/* t=y: one step milder */
	{ "t.test", "", DMARC_FAIL, POLICY_QUARANTINE, "t.test", "t.test", "t.test" },
	{ "sub.t.test", "", DMARC_FAIL, POLICY_NONE, "t.test", "t.test", "sub.t.test t.test test" },
	{ "no.t.test", "", DMARC_FAIL, POLICY_NONE, "t.test", "t.test", "no.t.test t.test test" },
	{ "tn.test", "", DMARC_FAIL, POLICY_REJECT, "tn.test", "tn.test", "tn.test" },
	{ "tx.test", "", DMARC_FAIL, POLICY_REJECT, "tx.test", "tx.test", "tx.test" },
	/* strict: the same name, and nothing is asked for its sake */
	{ "strict.test", "spf=a.strict.test dkim=b.strict.test", DMARC_FAIL, POLICY_REJECT,
	    "strict.test", "strict.test", "strict.test" },
	{ "strict.test", "spf=a.strict.test dkim=strict.test", DMARC_PASS, POLICY_REJECT,
	    "strict.test", "strict.test", "strict.test" },
	{ "a.strict.test", "spf=strict.test dkim=strict.test", DMARC_FAIL, POLICY_REJECT,
	    "strict.test", "strict.test", "a.strict.test strict.test test" },
	{ "a.strict.test", "spf=a.strict.test", DMARC_PASS, POLICY_REJECT, "strict.test",
	    "strict.test", "a.strict.test strict.test test" },
	{ "aspf.test", "spf=a.aspf.test", DMARC_FAIL, POLICY_REJECT, "aspf.test", "aspf.test",
	    "aspf.test" },
	{ "aspf.test", "dkim=a.aspf.test", DMARC_PASS, POLICY_REJECT, "aspf.test", "aspf.test",
	    "aspf.test test a.aspf.test" },
	{ "aspf.test", "spf=a.aspf.test dkim=a.aspf.test", DMARC_PASS, POLICY_REJECT, "aspf.test",
	    "aspf.test", "aspf.test test a.aspf.test" },
	{ "adkim.test", "dkim=a.adkim.test", DMARC_FAIL, POLICY_REJECT, "adkim.test", "adkim.test",
	    "adkim.test" },
	{ "adkim.test", "spf=a.adkim.test", DMARC_PASS, POLICY_REJECT, "adkim.test", "adkim.test",
	    "adkim.test test a.adkim.test" },
	/* case, and U-labels */
	{ "Example.COM", "spf=EXAMPLE.com", DMARC_PASS, POLICY_REJECT, "example.com", "example.com",
	    "example.com" },
	{ "example.com", "spf=\xc3\xbc.example.com", DMARC_PASS, POLICY_REJECT, "example.com",
	    "example.com", "example.com com xn--tda.example.com" },
	/* names that look alike */
	{ "example.com", "spf=badexample.com dkim=example.com.evil.test dkim=com spf=ample.com",
	    DMARC_FAIL, POLICY_REJECT, "example.com", "example.com", "example.com com" },
	/* errors: of the author's walk, of others */
	{ "timeout.test", "spf=timeout.test", DMARC_TEMPERROR, POLICY_NONE, "", "timeout.test",
	    "timeout.test" },
	{ "b.servfail.test", "spf=b.servfail.test", DMARC_TEMPERROR, POLICY_NONE, "",
	    "b.servfail.test", "b.servfail.test servfail.test" },
	{ "a.servfail.test", "spf=b.servfail.test", DMARC_TEMPERROR, POLICY_NONE, "",
	    "a.servfail.test", "a.servfail.test servfail.test" },
	{ "a.servfail.test", "spf=a.servfail.test", DMARC_PASS, POLICY_REJECT, "a.servfail.test",
	    "a.servfail.test", "a.servfail.test" },
	{ "a.servfail.test", "", DMARC_FAIL, POLICY_REJECT, "a.servfail.test", "a.servfail.test",
	    "a.servfail.test" },
	{ "ids.test", "spf=bad.ids.test", DMARC_TEMPERROR, POLICY_NONE, "ids.test", "ids.test",
	    "ids.test test bad.ids.test" },
	{ "ids.test", "spf=bad.ids.test dkim=good.ids.test", DMARC_PASS, POLICY_REJECT, "ids.test",
	    "ids.test", "ids.test test bad.ids.test good.ids.test" },
	{ "ids.test", "spf=bad.ids.test dkim=inner.ids.test", DMARC_TEMPERROR, POLICY_NONE,
	    "ids.test", "ids.test", "ids.test test bad.ids.test inner.ids.test" },
	{ "ids.test", "spf=inner.ids.test dkim=a.inner.ids.test", DMARC_FAIL, POLICY_REJECT,
	    "ids.test", "ids.test",
	    "ids.test test inner.ids.test a.inner.ids.test inner.ids.test" },
	{ "ids.test", "spf=suffix.ids.test dkim=a.suffix.ids.test", DMARC_FAIL, POLICY_REJECT,
	    "ids.test", "ids.test",
	    "ids.test test suffix.ids.test a.suffix.ids.test suffix.ids.test" },
	/* policies that are none */
	{ "invalid.test", "spf=invalid.test", DMARC_PERMERROR, POLICY_NONE, "invalid.test",
	    "invalid.test", "invalid.test" },
	{ "a.invalidsp.test", "spf=invalidsp.test", DMARC_PERMERROR, POLICY_NONE, "invalidsp.test",
	    "invalidsp.test", "a.invalidsp.test invalidsp.test test" },
	{ "reported.test", "spf=reported.test", DMARC_PASS, POLICY_NONE, "reported.test",
	    "reported.test", "reported.test" },
	{ "a.reported.test", "", DMARC_FAIL, POLICY_NONE, "reported.test", "reported.test",
	    "a.reported.test reported.test test" },
	/* a public suffix is nobody's organisation but its own */
	{ "suffix.test", "spf=suffix.test", DMARC_PASS, POLICY_REJECT, "suffix.test", "suffix.test",
	    "suffix.test" },
	{ "suffix.test", "spf=a.suffix.test", DMARC_FAIL, POLICY_REJECT, "suffix.test",
	    "suffix.test", "suffix.test" },
	{ "a.suffix.test", "spf=suffix.test spf=b.suffix.test", DMARC_FAIL, POLICY_REJECT,
	    "suffix.test", "a.suffix.test", "a.suffix.test suffix.test" },
	{ "only.suffix.test", "spf=a.only.suffix.test", DMARC_PASS, POLICY_NONE, "only.suffix.test",
	    "only.suffix.test", "only.suffix.test suffix.test a.only.suffix.test" },
	{ "x.only.suffix.test", "spf=suffix.test", DMARC_FAIL, POLICY_NONE, "only.suffix.test",
	    "only.suffix.test", "x.only.suffix.test only.suffix.test suffix.test" },
	/* the organisation has eight labels and is jumped over; and one that nobody finds */
	{ "x.y.2.3.4.5.6.7.long.test", "spf=z.2.3.4.5.6.7.long.test", DMARC_PASS, POLICY_REJECT,
	    "3.4.5.6.7.long.test", "2.3.4.5.6.7.long.test",
	    "x.y.2.3.4.5.6.7.long.test 3.4.5.6.7.long.test z.2.3.4.5.6.7.long.test "
	    "3.4.5.6.7.long.test" },
	{ "x.1.2.3.4.5.6.7.far.test", "spf=y.x.1.2.3.4.5.6.7.far.test", DMARC_FAIL, POLICY_REJECT,
	    "x.1.2.3.4.5.6.7.far.test", "x.1.2.3.4.5.6.7.far.test",
	    "x.1.2.3.4.5.6.7.far.test y.x.1.2.3.4.5.6.7.far.test 3.4.5.6.7.far.test "
	    "4.5.6.7.far.test 5.6.7.far.test 6.7.far.test 7.far.test far.test test" },
	/* a record at the top is that of a public suffix, unless it says psd=n */
	{ "a.top", "spf=b.top", DMARC_FAIL, POLICY_REJECT, "top", "a.top", "a.top top" },
	{ "a.top", "spf=b.a.top", DMARC_PASS, POLICY_REJECT, "top", "a.top", "a.top top b.a.top" },
	{ "top", "spf=a.top", DMARC_FAIL, POLICY_REJECT, "top", "top", "top" },
	{ "a.brand", "spf=b.brand", DMARC_PASS, POLICY_REJECT, "brand", "brand",
	    "a.brand brand b.brand" },
};

static void
check_cases(void)
{
	static struct dmarc d;
	size_t i;

	for (i = 0; i < LEN(cases); i++) {
		check(&d, cases[i].author, cases[i].ids);
		CHECK_MSG(d.result == cases[i].result, "%s, %s: %s", cases[i].author, cases[i].ids,
		    dmarc_word(d.result));
		CHECK_MSG(d.policy == cases[i].policy, "%s, %s: %s", cases[i].author, cases[i].ids,
		    dmarc_policy_word(d.policy));
		CHECK_STR(d.domain, cases[i].domain);
		CHECK_STR(d.organisation, cases[i].organisation);
		CHECK_STR(log_, cases[i].asked);
	}
}

/* Records at the author's domain, given by the answer itself. */
static const struct {
	const char *text;
	size_t n;
	enum dmarc_result result;
	enum dmarc_policy policy;
	int relaxed;		/* is b.rec.test aligned? */
} records[] = {
	{ BYTES("v=DMARC1;p=reject"), DMARC_FAIL, POLICY_REJECT, 1 },
	{ BYTES("v=DMARC1; p=none;"), DMARC_FAIL, POLICY_NONE, 1 },
	{ BYTES("V = DMARC1 ; P = Reject ; ADKIM=S"), DMARC_FAIL, POLICY_REJECT, 0 },
	{ BYTES("v=DMARC1\t;\tp\t=\tquarantine\t;\t"), DMARC_FAIL, POLICY_QUARANTINE, 1 },
	{ BYTES("v=DMARC1;;; ;p=reject;;"), DMARC_FAIL, POLICY_REJECT, 1 },
	{ BYTES("v=DMARC1; adkim=s; x=y; p=reject; pct=0; rf=afrf; ri=1"), DMARC_FAIL,
	    POLICY_REJECT, 0 },
	/* no p */
	{ BYTES("v=DMARC1"), DMARC_FAIL, POLICY_NONE, 1 },
	{ BYTES("v=DMARC1;"), DMARC_FAIL, POLICY_NONE, 1 },
	{ BYTES("v=DMARC1; rua=mailto:a@b"), DMARC_FAIL, POLICY_NONE, 1 },
	{ BYTES("v=DMARC1; sp=reject"), DMARC_FAIL, POLICY_NONE, 1 },
	/* an invalid one */
	{ BYTES("v=DMARC1; p"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p="), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject quarantine"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject, sp=none"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject\0"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=r\xc3\xa9ject"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=rejec"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=rejects"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; np=x"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua="), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua=mailto"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua=mailto:"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua=:a@b"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua=a@b:c"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=reject; sp=x; rua= ,, a@b , mailto:a@b!10m ,"), DMARC_FAIL,
	    POLICY_NONE, 1 },
	{ BYTES("v=DMARC1; rua=https://x; p=x; adkim=s"), DMARC_FAIL, POLICY_NONE, 0 },
	/* the first of a name counts */
	{ BYTES("v=DMARC1; p=reject; p=none"), DMARC_FAIL, POLICY_REJECT, 1 },
	{ BYTES("v=DMARC1; p=x; p=none"), DMARC_PERMERROR, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1; p=none; v=DMARC1; p=reject"), DMARC_FAIL, POLICY_NONE, 1 },
	/* other tags that are invalid have their default */
	{ BYTES("v=DMARC1; p=reject; adkim=x; aspf=; psd=maybe; t=yes"), DMARC_FAIL, POLICY_REJECT,
	    1 },
	{ BYTES("v=DMARC1; p=reject; adkim=s s"), DMARC_FAIL, POLICY_REJECT, 1 },
	{ BYTES("v=DMARC1; p=reject; =s; adkim = s"), DMARC_FAIL, POLICY_REJECT, 0 },
	{ BYTES("v=DMARC1; p=reject; t=Y"), DMARC_FAIL, POLICY_QUARANTINE, 1 },
	{ BYTES("v=DMARC1; p=reject; a\0b=\xff; \0; t=Y"), DMARC_FAIL, POLICY_QUARANTINE, 1 },
	/* no records */
	{ BYTES(""), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES(";"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v="), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1 p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1, p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1\0; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC1\n; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=DMARC10; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("v=Dmarc1; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES(" v=DMARC1; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("; v=DMARC1; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("p=reject; v=DMARC1"), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("\"v=DMARC1; p=reject\""), DMARC_NONE, POLICY_NONE, 0 },
	{ BYTES("=DMARC1; p=reject"), DMARC_NONE, POLICY_NONE, 0 },
};

/* Answer all that is asked, _dmarc.rec.test with a text. */
static void
serve(const char *text, size_t n)
{
	static struct dns_answer a;
	struct dns_query *q;
	int i;

	for (i = 0; i < 100 && nwaiting; i++) {
		memset(&a, 0, sizeof(a));
		a.status = DNS_NXDOMAIN;
		if (!strcmp(waiting[0].name, "_dmarc.rec.test")) {
			a.status = DNS_OK;
			a.n = 1;
			a.rr[0].text = text;
			a.rr[0].n = n;
		}
		q = waiting[0].q;
		waiting[0] = waiting[--nwaiting];
		q->done(q, &a);
	}
}

static void
check_records(void)
{
	static struct dmarc d;
	char *p;
	size_t i, n;

	for (i = 0; i < LEN(records); i++) {
		n = records[i].n;
		p = malloc(n ? n : 1);		/* what is read behind the end is noticed */
		if (!p)
			abort();
		memcpy(p, records[i].text, n);
		start(&d, "rec.test", "");
		dmarc_check(&d);
		serve(p, n);
		CHECK_MSG(d.result == records[i].result && d.policy == records[i].policy &&
		    called == 1, "%s: %s, %s", records[i].text, dmarc_word(d.result),
		    dmarc_policy_word(d.policy));
		start(&d, "rec.test", "dkim=b.rec.test");
		dmarc_check(&d);
		serve(p, n);
		CHECK_MSG(d.result == (records[i].relaxed ? DMARC_PASS : records[i].result),
		    "%s: %s", records[i].text, dmarc_word(d.result));
		/* cut anywhere it does no harm */
		for (n = 0; n < records[i].n; n++) {
			start(&d, "rec.test", "");
			dmarc_check(&d);
			serve(p, n);
			CHECK_INT(called, 1);
		}
		free(p);
	}
}

/* 8 KB of it. */
static void
check_big(void)
{
	static struct dmarc d;
	static char big[8192];
	static const char *const fill[] = {
		";", "x=y;", " ", "p=none;", "\xff", "rua=a,", "=", ","
	};
	size_t i, k, n;

	for (i = 0; i < LEN(fill); i++) {
		n = (size_t)snprintf(big, sizeof(big), R ";");
		for (k = strlen(fill[i]); n + k + 10 < sizeof(big); n += k)
			memcpy(big + n, fill[i], k);
		memcpy(big + n, ";adkim=s", 8);
		start(&d, "rec.test", "dkim=b.rec.test");
		dmarc_check(&d);
		serve(big, n + 8);
		CHECK_INT(d.result, DMARC_FAIL);
		CHECK_INT(d.policy, POLICY_REJECT);
	}
}

/* As many look-ups as can be. */
static void
check_bounds(void)
{
	static struct dmarc d;
	static const char tail[] = ".2.3.4.5.6.7.8.9.10.11.ids.test";
	char name[300], ids[4000] = "";
	int i;

	for (i = 0; i < 2 * DMARC_IDS; i++) {
		snprintf(name, sizeof(name), "dkim=i%d%s ", i, tail);
		strcat(ids, name);
	}
	check(&d, "no.ids.test", ids);
	CHECK_INT(d.result, DMARC_PASS);	/* of the first */
	CHECK_INT(asked, 3 + 6);
	/* they end nowhere: each costs eight */
	ids[0] = '\0';
	for (i = 0; i < 2 * DMARC_IDS; i++) {
		snprintf(name, sizeof(name), "dkim=i%d.x.1.2.3.4.5.6.7.far.test ", i);
		strcat(ids, name);
	}
	check(&d, "x.1.2.3.4.5.6.7.far.test", ids);
	CHECK_INT(d.result, DMARC_FAIL);
	CHECK_INT(asked, 1 + 8 * DMARC_IDS);
	CHECK(asked <= DMARC_QUESTIONS);
	/* twice the same counts once */
	check(&d, "ids.test", "spf=bad.ids.test spf=bad.ids.test dkim=bad.ids.test "
	    "spf=Bad.ids.TEST");
	CHECK_INT(asked, 3);
	/* names that are too long to be asked for */
	memset(name, 'a', sizeof(name));
	for (i = 49; i < 250; i += 50)
		name[i] = '.';
	strcpy(name + 243, ".ids.test");
	check(&d, name, "spf=ids.test");
	CHECK_INT(d.result, DMARC_PASS);
	CHECK_INT(d.exists, 0);
	memset(name, 'b', 20);
	snprintf(ids, sizeof(ids), "spf=%s", name);
	check(&d, "ids.test", ids);
	CHECK_INT(d.result, DMARC_PASS);
	strcpy(ids, "spf=");
	memset(ids + 4, 'a', 400);
	ids[300] = '\0';
	check(&d, "ids.test", ids);
	CHECK_INT(d.result, DMARC_FAIL);
	CHECK_INT(d.n, 0);
}

static void
check_ends(void)
{
	static struct dmarc d;
	struct dmarc zero;

	/* cancelled: nothing is called any more; and again without harm */
	start(&d, "example.com", "spf=child.example.com");
	dmarc_check(&d);
	dmarc_cancel(&d);
	dmarc_cancel(&d);
	CHECK_INT(deliver(), 0);
	CHECK_INT(called, 0);
	start(&d, "example.com", "spf=child.example.com");
	dmarc_cancel(&d);
	dmarc_check(&d);
	CHECK(deliver());
	dmarc_cancel(&d);
	CHECK_INT(deliver(), 0);
	CHECK_INT(called, 0);
	memset(&zero, 0, sizeof(zero));
	dmarc_cancel(&zero);
	/* no more questions: at once, or later */
	busy = 1;
	start(&d, "example.com", "spf=child.example.com");
	dmarc_check(&d);
	CHECK_INT(d.result, DMARC_TEMPERROR);
	CHECK_INT(called, 1);
	busy = 0;
	start(&d, "example.com", "spf=child.example.com");
	dmarc_check(&d);
	busy = 1;
	CHECK(deliver());
	CHECK_INT(called, 1);
	CHECK_INT(d.result, DMARC_TEMPERROR);
	busy = 0;
	/* no domain */
	start(&d, "", "spf=example.com");
	dmarc_check(&d);
	CHECK_INT(d.result, DMARC_NONE);
	CHECK_INT(called, 1);
	CHECK_STR(d.organisation, "");
}

/* ---- against the letter of RFC 9989 4.10, without shortcuts, on small trees ---- */

static struct {
	char name[64];
	int psd, strict;		/* psd: 'u', 'n', 'y' */
} tree[12];
static int ntree;

static int
find(const char *name)
{
	int i;

	for (i = 0; i < ntree && strcmp(tree[i].name, name) != 0; i++)
		;
	return i < ntree ? i : -1;
}

static int
labels(const char *name)
{
	int n = 1;

	for (; *name; name++)
		n += *name == '.';
	return n;
}

/* 4.10: the names with records that a walk finds, longest first: how many. */
static int
walked(const char *name, int found[8])
{
	int i, n = 0, first = 1;

	for (;;) {
		i = find(name);
		if (i >= 0) {
			found[n++] = i;
			if (tree[i].psd != 'u' || (labels(name) == 1 && !first))
				break;
		}
		first = 0;
		if (labels(name) == 1)
			break;
		do {
			name = strchr(name, '.') + 1;
		} while (labels(name) > 7);
	}
	return n;
}

/* 4.10.2 */
static const char *
organisation(const char *name)
{
	int found[8], n = walked(name, found), i;
	const char *p;

	for (i = 0; i < n; i++) {
		if (tree[found[i]].psd == 'n')
			return tree[found[i]].name;
		if (strcmp(tree[found[i]].name, name) != 0 && (tree[found[i]].psd == 'y' ||
		    (tree[found[i]].psd == 'u' && labels(tree[found[i]].name) == 1))) {
			for (p = name; labels(p) > labels(tree[found[i]].name) + 1; )
				p = strchr(p, '.') + 1;
			return p;
		}
	}
	return n ? tree[found[n - 1]].name : name;
}

/* 4.10.1: whose record, of those that the walk has found, or -1 */
static int
policy_of(const char *author)
{
	int found[8], n = walked(author, found), i;

	if (n && !strcmp(tree[found[0]].name, author))
		return found[0];
	for (i = 0; i < n && strcmp(tree[found[i]].name, organisation(author)) != 0; i++)
		;
	return i < n ? found[i] : n ? found[n - 1] : -1;
}

static void
random_name(char dst[64], uint64_t *seed)
{
	int n = (int)(test_random(seed) % 11);

	if (test_random(seed) % 2)
		n %= 4;
	*dst = '\0';
	while (n-- > 0)
		strcat(dst, test_random(seed) % 8 ? "a." : "b.");
	strcat(dst, "t");
}

static void
random_tree(uint64_t *seed)
{
	char name[64];

	for (ntree = 0; ntree < (int)LEN(tree) && test_random(seed) % 8; ) {
		random_name(name, seed);
		if (find(name) >= 0)
			continue;
		strcpy(tree[ntree].name, name);
		tree[ntree].psd = "uuuuuny"[test_random(seed) % 7];
		tree[ntree++].strict = test_random(seed) % 4 == 0;
	}
}

static void
serve_tree(void)
{
	static struct dns_answer a;
	struct dns_query *q;
	char text[100];
	int i;

	while (nwaiting) {
		memset(&a, 0, sizeof(a));
		i = find(waiting[0].name + 7);
		a.status = i < 0 ? DNS_NXDOMAIN : DNS_OK;
		if (i >= 0) {
			a.n = 1;
			snprintf(text, sizeof(text), "v=DMARC1; p=reject; psd=%c; aspf=%c",
			    tree[i].psd, tree[i].strict ? 's' : 'r');
			a.rr[0].text = text;
			a.rr[0].n = strlen(text);
		}
		q = waiting[0].q;
		waiting[0] = waiting[--nwaiting];
		q->done(q, &a);
	}
}

static void
check_letter(void)
{
	static struct dmarc d;
	uint64_t seed = 9989;
	char author[64], id[3][64], ids[256];
	enum dmarc_result want;
	int i, k, of, count[5] = { 0 };

	for (i = 0; i < 50000; i++) {
		random_tree(&seed);
		random_name(author, &seed);
		for (k = 0; k < 3; k++)
			random_name(id[k], &seed);
		snprintf(ids, sizeof(ids), "spf=%s spf=%s spf=%s", id[0], id[1], id[2]);
		start(&d, author, ids);
		dmarc_check(&d);
		serve_tree();
		of = policy_of(author);
		want = of < 0 ? DMARC_NONE : DMARC_FAIL;
		for (k = 0; of >= 0 && k < 3; k++)
			if (!strcmp(author, id[k]) || (!tree[of].strict &&
			    !strcmp(organisation(author), organisation(id[k]))))
				want = DMARC_PASS;
		count[want]++;
		if (d.result == want && !strcmp(d.domain, of < 0 ? "" : tree[of].name))
			continue;
		CHECK_MSG(0, "%s, %s: %s, want %s; of %s", author, ids, dmarc_word(d.result),
		    dmarc_word(want), d.domain);
		for (k = 0; k < ntree; k++)
			printf("\t%s psd=%c %d\n", tree[k].name, tree[k].psd, tree[k].strict);
		return;
	}
	CHECK_MSG(count[DMARC_PASS] > 3000 && count[DMARC_FAIL] > 3000, "%d passes, %d fails",
	    count[DMARC_PASS], count[DMARC_FAIL]);
}

int
main(void)
{
	check_letter();
	check_cases();
	check_records();
	check_big();
	check_bounds();
	check_ends();
	CHECK_STR(dmarc_word(DMARC_NONE), "none");
	CHECK_STR(dmarc_word(DMARC_PERMERROR), "permerror");
	CHECK_STR(dmarc_policy_word(POLICY_QUARANTINE), "quarantine");
	return test_end();
}
