/* with: lib/dkimcheck.c lib/canon.c lib/idn.c lib/addr.c lib/text.c lib/x509.c lib/pem.c lib/scram.c */
/*
 * See LICENSE file for copyright and licence details.
 * DKIM signatures that others have made, with keys of theirs; and messages that want to cost much:
 * the environment's SHOW says what they do.
 */
#include <time.h>

#include "lib/pem.h"
#include "t_dkimcheck.h"

/* ---- bounds ---- */

static double
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
timed(const char *what, const char *mail, size_t n)
{
	double least = 1e9, t;
	int i;

	for (i = 0; i < 5; i++) {
		t = now_ms();
		feed(mail, n);
		t = now_ms() - t;
		least = t < least ? t : least;
	}
	if (getenv("SHOW"))
		printf("%-30s %5.2f ms, %d signatures, %d more: %s\n", what, least, d.n, d.more,
		    d.n ? d.sig[0].reason : "");
	CHECK_MSG(least < 100, "%s: %.1f ms", what, least);
}

static void
test_hostile(void)
{
	static char mail[MAIL];
	size_t i, n;

	/* nothing but signatures, and nothing but fields */
	for (n = 0; n < 65000; n += 16)
		memcpy(mail + n, "DKIM-Signature:\n", 16);
	timed("empty signatures", mail, n);
	CHECK_INT(d.n, DKIM_CHECKED);
	CHECK_INT(d.more, n / 16 - DKIM_CHECKED);
	for (n = 0; n < 65000; )
		n = put(mail, n, SIG "h=from; bh=AAAA; b=AAAA\n");
	timed("signatures", mail, n);
	n = put(mail, 0, SIG "h=from; bh=AAAA; b=AAAA\n");
	for (i = 0; n < 65000; i++)
		n = put(mail, n, "%x:\n", (unsigned)i);
	timed("fields", mail, n);
	expect("fields", DKIM_PERMERROR, "the header is too long");
	n = put(mail, 0, SIG "h=from; bh=AAAA; b=AAAA\nX:");
	memset(mail + n, 'x', (1 << 17) - n);
	feed(mail, 1 << 17);
	expect("octets", DKIM_PERMERROR, "malformed b= or bh=");
	feed(mail, (1 << 17) + 1);
	expect("octets", DKIM_PERMERROR, "the header is too long");
	/* eight signatures with as many names as there may be, over as many fields */
	for (i = n = 0; i < 8; i++) {
		n = put(mail, n, SIG "c=relaxed; bh=AAAA; b=AAAA; h=from");
		while (n % 65536 < (i + 1) * 1500 && n < 65000)
			n = put(mail, n, ":x%04x", (unsigned)(n * 7 % 1016));
		mail[n++] = '\n';
	}
	for (i = 0; i < 1016; i++)
		n = put(mail, n, "x%04x: %20d\n", (unsigned)i, 1);
	timed("names over fields", mail, n);
	expect("names", DKIM_PERMERROR, "too many names in h=");
	for (i = n = 0; i < 8; i++) {
		int k;

		n = put(mail, n, SIG "c=relaxed; bh=AAAA; b=AAAA; h=from");
		for (k = 0; k < 127; k++)
			n = put(mail, n, ":%s%04x", i % 2 ? "x" : "X",
			    (unsigned)((size_t)k * 8 + i));
		mail[n++] = '\n';
	}
	for (i = 0; i < 1016; i++)
		n = put(mail, n, "x%04x: a b c d e f g h i j k l m n\n", (unsigned)i);
	timed("127 names over 1016 fields", mail, n);
	expect("names", DKIM_PERMERROR, "malformed b= or bh=");
	/* all of one name */
	for (i = n = 0; i < 8; i++) {
		int k;

		n = put(mail, n, SIG "c=relaxed; bh=AAAA; b=AAAA; h=from");
		for (k = 0; k < 127; k++)
			n = put(mail, n, ":x");
		mail[n++] = '\n';
	}
	for (i = 0; i < 1016 && n < 65000; i++)
		n = put(mail, n, "x: a b c d e f g h i j k l m n o p q r s\n");
	timed("one name", mail, n);
	/* eight times a header of one field, of single letters */
	for (i = n = 0; i < 8; i++)
		n = put(mail, n, SIG "c=relaxed; bh=AAAA; b=AAAA; h=from\n");
	n = put(mail, n, "From:");
	while (n < 65000)
		n = put(mail, n, " a\t\n");
	timed("a long field", mail, n);
	/* and as many octets in other things */
	n = put(mail, 0, "DKIM-Signature: ");
	while (n < 65000)
		n = put(mail, n, "a%x=;", (unsigned)n);
	mail[n++] = '\n';
	timed("tags", mail, n);
	n = put(mail, 0, SIG "h=from; bh=AAAA; b=");
	memset(mail + n, 'A', 65000);
	timed("b=", mail, n + 65000);
	memset(mail + n, '.', 65000);
	memcpy(mail, "DKIM-Signature: d=", 18);
	timed("d=", mail, n + 65000);
	memset(mail, 'x', 65000);
	mail[64000] = ':';
	timed("a name", mail, 65000);
	CHECK_INT(d.n, 0);
}

/* The number of names in h=. */
static void
test_names(void)
{
	static char mail[MAIL], field[MAIL];
	size_t n;
	int k;

	only(KEY, good);
	for (k = 126; k < 130; k++) {
		n = put(field, 0, SIG "h=from");
		while (strlen(field) < sizeof(SIG "h=from") - 1 + 2 * ((size_t)k - 1))
			n = put(field, n, ":x");
		(void)put(field, n, "; bh=$H; b=$B\n");
		n = sign(mail, field, "x: 1\nX: 2\n" FROM, BODY, &key.sk);
		CHECK_INT(check(mail, n), k <= 128 ? DKIM_PASS : DKIM_PERMERROR);
	}
}

/* Long keys cost: no more of them than for some milliseconds. */
static void
test_work(void)
{
	static unsigned char ones[512];
	static char mail[MAIL], p[2048];
	br_rsa_public_key pk = key.pk;
	size_t n = 0;
	double t;
	int i;

	memset(ones, 0xff, sizeof(ones));
	pk.n = ones;
	pk.nlen = sizeof(ones);
	record(p, &pk);
	only(KEY, with_key("p=$", p));
	for (i = 0; i < 8; i++) {
		n = put(mail, n, SIG "h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
		    "; b=%0682dA=\n", 0);
	}
	n = put(mail, n, FROM "\n");
	feed(mail, n);
	CHECK_INT(dkimcheck_finish(&d), 1);
	t = now_ms();
	CHECK_INT(deliver(), 8);
	if (getenv("SHOW"))
		printf("%-30s %5.2f ms\n", "8 keys of 4096 bits", now_ms() - t);
	for (i = 0; i < 8; i++)
		CHECK_INT(d.sig[i].result, i < 2 ? DKIM_FAIL : DKIM_POLICY);
	CHECK_STR(d.sig[7].reason, "too many long keys");
}

/* ---- what others have made ---- */

/* "name: \" and lines that go on, up to a blank line. */
static void
read_zone(char *text)
{
	char *p = text, *colon, *end;
	size_t i;

	no_zone();
	for (i = 0; i < LEN(zone) && (colon = strchr(p, ':')) != NULL; i++) {
		zone[i].name = p;
		*colon = '\0';
		zone[i].text[0] = p = colon + 1;
		end = strstr(p, "\n\n");
		if (end)
			*end = '\0';
		while ((colon = strstr(p, "\\\n")) != NULL)
			memcpy(colon, "  ", 2);
		if (!end)
			break;
		p = end + 2;
	}
}

static char *
slurp(const char *name, size_t *n)
{
	const char *path = test_vectors(name);
	char *text = path ? test_slurp(path, n) : NULL;
	size_t i, k = 0;

	for (i = 0; text && i < *n; i++) {
		if (text[i] != '\r')
			text[k++] = text[i];
	}
	if (text)
		text[*n = k] = '\0';
	return text;
}

/* Ed25519 is said to be good there; all else is as it is there. */
static void
test_chasquid(void)
{
	static const struct {
		const char *name;
		enum dkim_result results[4];
	} mails[] = {
		{ "01-rfc8463", { DKIM_NEUTRAL, DKIM_PASS } },
		{ "08-our_signature", { DKIM_NEUTRAL, DKIM_NEUTRAL, DKIM_PASS } },
		{ "10-strict_domain_check_pass", { DKIM_NEUTRAL, DKIM_PASS } },
	};
	char name[128], *dns, *mail;
	size_t i, n;
	int k;

	for (i = 0; i < LEN(mails); i++) {
		(void)snprintf(name, sizeof(name), "dkim/chasquid/%s.dns", mails[i].name);
		dns = slurp(name, &n);
		if (!dns)
			return;
		read_zone(dns);
		(void)snprintf(name, sizeof(name), "dkim/chasquid/%s.msg", mails[i].name);
		mail = slurp(name, &n);
		CHECK(mail != NULL);
		if (mail) {
			(void)check(mail, n);
			CHECK_INT(d.n, i == 1 ? 3 : 2);
			for (k = 0; k < d.n; k++)
				CHECK_INT(d.sig[k].result, mails[i].results[k]);
			CHECK_SPLIT(machine, mail, n);
		}
		free(mail);
		free(dns);
	}
}

/* Lines "name record", a blank line, the mail. */
static void
test_mail_auth(void)
{
	static const enum dkim_result results[][2] = {
		{ DKIM_NEUTRAL, DKIM_PASS }, { DKIM_PASS }, { DKIM_PASS, DKIM_PASS }
	};
	char name[64], *text, *p, *end;
	size_t i, k, n;

	for (i = 0; i < LEN(results); i++) {
		(void)snprintf(name, sizeof(name), "dkim/mail-auth/00%d.txt", (int)i + 1);
		text = slurp(name, &n);
		if (!text)
			return;
		no_zone();
		for (k = 0, p = text; *p != '\n'; p = end + 1, k++) {
			end = strchr(p, '\n');
			*end = '\0';
			zone[k].name = p;
			p = strchr(p, ' ');
			*p = '\0';
			zone[k].text[0] = p + 1;
		}
		p++;
		(void)check(p, n - (size_t)(p - text));
		CHECK_INT(d.n, i == 1 ? 1 : 2);
		for (k = 0; k < (size_t)d.n; k++)
			CHECK_MSG(d.sig[k].result == results[i][k], "%s: %s", name,
			    d.sig[k].reason);
		free(text);
	}
}

/* Keys and their records, some of them bad. */
static void
test_dkimpy(void)
{
	static const struct {
		const char *key, *record;
		enum dkim_result result;
		const char *reason;
	} pairs[] = {
		{ "test.private", "test.txt", DKIM_PASS, "" },
		{ "test.private", "test2.txt", DKIM_PASS, "" },
		{ "test.private", "badversion.txt", DKIM_PERMERROR, "malformed key record" },
		{ "test.private", "badk.txt", DKIM_PERMERROR, "the key is of another kind" },
		{ "test.private", "test_bad.txt", DKIM_PERMERROR, "malformed key" },
		{ "test.private", "test_tlsrpt.txt", DKIM_PERMERROR, "the key is not for mail" },
		{ "test.private", "ed25519test.dns", DKIM_PERMERROR, "the key is of another kind" },
		{ "test2.private", "test.txt", DKIM_PASS, "" },
		{ "1024_testkey.key", "1024_testkey_wo_markers.pub.txt", DKIM_PASS, "" },
		{ "1024_testkey.key", "1024_testkey_wo_markers.pub.rsa.txt", DKIM_PASS, "" },
		{ "2048_testkey.key", "2048_testkey_wo_markers.pub.txt", DKIM_PASS, "" },
		{ "2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt", DKIM_PASS, "" },
		{ "2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt", DKIM_PASS, "" },
		{ "1024_testkey.key", "2048_testkey_wo_markers.pub.txt", DKIM_FAIL,
		  "the header or the key is another" },
	};
	static char mail[MAIL];
	static struct pem_key sk;
	char name[128], *text;
	size_t i, n;

	for (i = 0; i < LEN(pairs); i++) {
		(void)snprintf(name, sizeof(name), "dkim/dkimpy/%s", pairs[i].key);
		text = slurp(name, &n);
		if (!text)
			return;
		CHECK(!pem_key(&sk, text, n));
		free(text);
		(void)snprintf(name, sizeof(name), "dkim/dkimpy/%s", pairs[i].record);
		text = slurp(name, &n);
		CHECK(text != NULL);
		if (!text)
			continue;
		while (n && text[n - 1] == '\n')
			text[--n] = '\0';
		only(KEY, text);
		n = sign(mail, SIG END, FROM, BODY, br_skey_decoder_get_rsa(&sk.d));
		(void)check(mail, n);
		expect(name, pairs[i].result, pairs[i].reason);
		free(text);
	}
}

/* Mails that were signed by others. Of two the key is not there: their bodies can be checked. */
static void
test_signed(void)
{
	static const struct {
		const char *name;
		int n;
		enum dkim_result results[2];
	} mails[] = {
		{ "dkim/dkimpy/rfc6376.signed.rsa.msg", 1, { DKIM_PASS } },
		{ "dkim/dkimpy/rfc6376.signed.msg", 2, { DKIM_NEUTRAL, DKIM_PASS } },
		{ "dkim/dkimpy/ed25519test2.msg", 1, { DKIM_NEUTRAL } },
		{ "dkim/dkimpy/message.mbox", 1, { DKIM_FAIL } },
		{ "dkim/dkimpy/test2.message", 1, { DKIM_FAIL } },
		{ "dkim/dkimpy/test_nofrom.message", 0, { DKIM_NONE } },
	};
	size_t i, n;
	char *mail, *key_text = slurp("dkim/dkimpy/test.txt", &n);
	int k;

	if (!key_text)
		return;
	no_zone();
	zone[0].name = "test._domainkey.football.example.com";
	zone[1].name = "2007-00._domainkey.kitterman.com";
	zone[2].name = "20120113._domainkey.gmail.com";
	key_text[strcspn(key_text, "\n")] = '\0';
	zone[0].text[0] = zone[1].text[0] = zone[2].text[0] = key_text;
	for (i = 0; i < LEN(mails); i++) {
		mail = slurp(mails[i].name, &n);
		CHECK(mail != NULL);
		if (!mail)
			continue;
		(void)check(mail, n);
		CHECK_INT(d.n, mails[i].n);
		for (k = 0; k < d.n; k++)
			CHECK_MSG(d.sig[k].result == mails[i].results[k], "%s: %s", mails[i].name,
			    d.sig[k].reason);
		if (d.n && mails[i].results[0] == DKIM_FAIL)
			CHECK_STR(d.sig[0].reason, "the header or the key is another");
		free(mail);
	}
	free(key_text);
}

int
main(void)
{
	make_keys();
	test_hostile();
	test_names();
	test_work();
	test_chasquid();
	test_mail_auth();
	test_dkimpy();
	test_signed();
	return test_end();
}
