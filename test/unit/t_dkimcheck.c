/* with: lib/dkimcheck.c lib/dkim.c lib/canon.c lib/idn.c lib/addr.c lib/text.c lib/x509.c */
/*
 * See LICENSE file for copyright and licence details.
 * DKIM signatures as they are verified: what passes, what does not and why, keys of all kinds, each
 * octet changed. Bounds and what others have signed: t_dkimvec.c and test/interop/dkimcheck.py.
 */
#include "lib/dkim.h"
#include "t_dkimcheck.h"

/* ---- signatures ---- */

#define V1 "DKIM-Signature: v=1; a=rsa-sha256; "
#define MORE "Subject: x  y\nX: 1\nFrom: \ta@example.org \nSubject:\tz\n"

static const struct {
	const char *field, *header, *body;
	enum dkim_result result;
	const char *reason;
} cases[] = {
	{ SIG END, FROM, "x\n", DKIM_PASS, "" },
	{ SIG END, FROM, "", DKIM_PASS, "" },
	{ SIG END, FROM, "\n\n", DKIM_PASS, "" },
	{ SIG "c=simple; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=relaxed; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=simple/simple; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=simple/relaxed; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=relaxed/simple; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=relaxed/relaxed; " END, MORE, BODY, DKIM_PASS, "" },
	{ SIG "c=relaxed/relaxed; " END, MORE, "", DKIM_PASS, "" },
	{ SIG "c=relaxed/simple; " END, MORE, "", DKIM_PASS, "" },
	{ SIG "c=RELAXED/Simple; " END, MORE, BODY, DKIM_PASS, "" },
	/* folded everywhere; b= first, in the middle, with white space around */
	{ "DKIM-Signature:\n v\t=\n\t1 ;a = rsa-sha256\n ; d=\n example.org;s=s;\n\t"
	  "c=relaxed/simple;h = \n from\n\t: to :\n subject ;bh=$h;b=\n $b\n\t\n", MORE, BODY,
	  DKIM_PASS, "" },
	{ "DKIM-Signature:b=$b;bh=$h;v=1;a=rsa-sha256;d=example.org;s=s;h=from;\n", MORE, BODY,
	  DKIM_PASS, "" },
	{ "dkim-signature : v=1; a=rsa-sha256; b= \n $b \n ;d=example.org; s=s; bh=$H; h=From;"
	  " b1=x\n", MORE, BODY, DKIM_PASS, "" },
	{ "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed; b= \n $b \n ;d=example.org; s=s; bh=$H;"
	  " h=From; \n", MORE, BODY, DKIM_PASS, "" },
	/* h= */
	{ SIG "h=subject:from:subject; bh=$H; b=$B\n", MORE, BODY, DKIM_PASS, "" },
	{ SIG "h=subject:from:subject:subject:subject:y:from; bh=$H; b=$B\n", MORE, BODY, DKIM_PASS,
	  "" },
	{ SIG "c=relaxed; h=SUBJECT:X:FROM:subject; bh=$H; b=$B\n", MORE, BODY, DKIM_PASS, "" },
	{ SIG "h=from:dkim-signature; bh=$H; b=$B\n", FROM, BODY, DKIM_PASS, "" },
	{ SIG "h=from:dkim-signature:dkim-signature; bh=$H; b=$B\n",
	  "DKIM-Signature: x\n" FROM, BODY, DKIM_PASS, "" },
	{ SIG "h=subject; bh=$H; b=$B\n", MORE, BODY, DKIM_PERMERROR, "From is not signed" },
	{ SIG "h=from :; bh=$H; b=$B\n", MORE, BODY, DKIM_PERMERROR, "malformed h=" },
	{ SIG "h=; bh=$H; b=$B\n", MORE, BODY, DKIM_PERMERROR, "malformed h=" },
	{ SIG "h=fromm:xfrom; bh=$H; b=$B\n", MORE, BODY, DKIM_PERMERROR, "From is not signed" },
	/* what is wrong with tags */
	{ SIG END, "From : a\n", BODY, DKIM_PASS, "" },
	{ SIG "v=1; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y=1; y=1; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "Y=1; y=1; y1=; y_=; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "=y; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "1y=; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "_y=; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y z=; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y=\1; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y=\x7f; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y=\r; " END, FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ SIG "y=\"\\; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "y=\xc3\xa9; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "y= a = b c; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "h=from; bh=$H; b=$B; \n", FROM, BODY, DKIM_PASS, "" },
	{ "DKIM-Signature:\n", FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ "DKIM-Signature: ;\n", FROM, BODY, DKIM_PERMERROR, "malformed tags" },
	{ "DKIM-Signature: v=1;\n", FROM, BODY, DKIM_PERMERROR, "a tag is missing" },
	{ "DKIM-Signature: a=rsa-sha256; d=example.org; s=s; " END, FROM, BODY, DKIM_PERMERROR,
	  "a tag is missing" },
	{ "DKIM-Signature: v=1; d=example.org; s=s; " END, FROM, BODY, DKIM_PERMERROR,
	  "a tag is missing" },
	{ "DKIM-Signature: v=1; a=rsa-sha256; s=s; " END, FROM, BODY, DKIM_PERMERROR,
	  "a tag is missing" },
	{ V1 "d=example.org; " END, FROM, BODY, DKIM_PERMERROR, "a tag is missing" },
	{ SIG "bh=$H; b=$B\n", FROM, BODY, DKIM_PERMERROR, "a tag is missing" },
	{ SIG "h=from; b=$B\n", FROM, BODY, DKIM_PERMERROR, "a tag is missing" },
	{ SIG "h=from; bh=$H\n", FROM, BODY, DKIM_PERMERROR, "a tag is missing" },
	{ "DKIM-Signature: v=2; a=rsa-sha256; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_PERMERROR, "not version 1" },
	{ "DKIM-Signature: v=; a=rsa-sha256; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_PERMERROR, "not version 1" },
	{ "DKIM-Signature: v=1; a=rsa-sha1; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_PERMERROR, "rsa-sha1 is not believed" },
	{ "DKIM-Signature: v=1; a=ed25519-sha256; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_NEUTRAL, "Ed25519 is not supported" },
	{ "DKIM-Signature: v=1; a=rsa-sha3; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_NEUTRAL, "an algorithm that is not known" },
	{ "DKIM-Signature: v=1; a=; d=example.org; s=s; " END, FROM, BODY,
	  DKIM_NEUTRAL, "an algorithm that is not known" },
	{ SIG "c=; " END, FROM, BODY, DKIM_PERMERROR, "malformed c=" },
	{ SIG "c=nowsp; " END, FROM, BODY, DKIM_PERMERROR, "malformed c=" },
	{ SIG "c=relaxed/; " END, FROM, BODY, DKIM_PERMERROR, "malformed c=" },
	{ SIG "q=dns/txt; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "q=foo : dns/txt; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "q=dns; " END, FROM, BODY, DKIM_PERMERROR, "the key is not in the DNS" },
	{ SIG "q=; " END, FROM, BODY, DKIM_PERMERROR, "the key is not in the DNS" },
	/* i= */
	{ SIG "i=@example.org; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "i=a=20b@EXAMPLE.org; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "i=a@b@x.example.org; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "i=@x.y.example.org; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "i=@xexample.org; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=@example.net; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=@org; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=example.org; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=@; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	{ SIG "i=@.example.org; " END, FROM, BODY, DKIM_PERMERROR, "i= is not within d=" },
	/* times */
	{ SIG "t=1700000000; x=1700000001; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "t=0; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "x=1700000000; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "x=1699999999; " END, FROM, BODY, DKIM_POLICY, "the signature has expired" },
	{ SIG "t=1; x=2; " END, FROM, BODY, DKIM_POLICY, "the signature has expired" },
	{ SIG "x=99999999999999999999999999999999; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "t=1700000300; " END, FROM, BODY, DKIM_PASS, "" },
	{ SIG "t=1700000301; " END, FROM, BODY, DKIM_POLICY, "signed in the future" },
	{ SIG "t=99999999999999999999999999999999; " END, FROM, BODY, DKIM_POLICY,
	  "signed in the future" },
	{ SIG "t=1700000000; x=1700000000; " END, FROM, BODY, DKIM_PERMERROR,
	  "malformed t= or x=" },
	{ SIG "t=; " END, FROM, BODY, DKIM_PERMERROR, "malformed t= or x=" },
	{ SIG "t=-1; " END, FROM, BODY, DKIM_PERMERROR, "malformed t= or x=" },
	{ SIG "x=1e9; " END, FROM, BODY, DKIM_PERMERROR, "malformed t= or x=" },
	/* l= */
	{ SIG "l=3; " END, FROM, "x\n\n\n", DKIM_PASS, "" },
	{ SIG "c=simple/relaxed; l=5; " END, FROM, "x  y \n", DKIM_PASS, "" },
	{ SIG "l=2; " END, FROM, "", DKIM_PASS, "" },
	{ SIG "l=0; " END, FROM, "", DKIM_POLICY, "l= leaves text out" },
	{ SIG "c=simple/relaxed; l=0; " END, FROM, "", DKIM_PASS, "" },
	{ SIG "l=2; " END, FROM, "x\n", DKIM_POLICY, "l= leaves text out" },
	{ SIG "l=0; " END, FROM, "x\n", DKIM_POLICY, "l= leaves text out" },
	{ SIG "l=4; " END, FROM, "x\n", DKIM_FAIL, "the body is shorter than l=" },
	{ SIG "l=99999999999999999999999999; " END, FROM, "x\n", DKIM_FAIL,
	  "the body is shorter than l=" },
	{ SIG "l=; " END, FROM, "x\n", DKIM_PERMERROR, "malformed l=" },
	{ SIG "l=+3; " END, FROM, "x\n", DKIM_PERMERROR, "malformed l=" },
	/* b=, bh= */
	{ SIG "h=from; bh=$H; b=\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=; b=$B\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=AAAA; b=$B\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=$H$H; b=$B\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=$H; b=$BAAAA\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=$H; b=?$B\n", FROM, BODY, DKIM_PERMERROR, "malformed b= or bh=" },
	{ SIG "h=from; bh=$H; b=AAAA\n", FROM, BODY, DKIM_FAIL,
	  "the header or the key is another" },
	{ SIG "h=from; bh=$H; b=AAAA$B\n", FROM, BODY, DKIM_FAIL,
	  "the header or the key is another" },
	{ SIG "h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=$B\n", FROM, BODY,
	  DKIM_FAIL, "the body has changed" },
	/* padding is optional (RFC 6376 2.10) */
	{ SIG "h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; b=$B\n", FROM, BODY,
	  DKIM_FAIL, "the body has changed" },
	/* d=, s= */
	{ V1 "d=EXAMPLE.Org; s=S; " END, FROM, BODY, DKIM_PASS, "" },
	{ V1 "d=; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=org; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=example.org.; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=a..org; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=a\"b.org; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=a.\xff; s=s; " END, FROM, BODY, DKIM_PERMERROR, "malformed d=" },
	{ V1 "d=example.org; s=; " END, FROM, BODY, DKIM_PERMERROR, "malformed s=" },
	{ V1 "d=example.org; s=a\"b; " END, FROM, BODY, DKIM_PERMERROR, "malformed s=" },
	{ V1 "d=example.org; s=a..b; " END, FROM, BODY, DKIM_PERMERROR, "malformed s=" },
	{ V1 "d=example.org; s=.a; " END, FROM, BODY, DKIM_PERMERROR, "malformed s=" },
	{ V1 "d=example.org; s=no; " END, FROM, BODY, DKIM_PERMERROR, "no key" },
};

static void
test_cases(void)
{
	static char mail[MAIL];
	size_t i, n;

	for (i = 0; i < LEN(cases); i++) {
		only(KEY, good);
		n = sign(mail, cases[i].field, cases[i].header, cases[i].body, &key.sk);
		(void)check(mail, n);
		expect(cases[i].field, cases[i].result, cases[i].reason);
	}
}

/* ---- keys ---- */

static const struct {
	const char *text;		/* $: the key */
	enum dkim_result result;
	const char *reason;
} keys[] = {
	{ "v=DKIM1; k=rsa; p=$", DKIM_PASS, "" },
	{ "p=$", DKIM_PASS, "" },
	{ " p=$ ; ", DKIM_PASS, "" },
	{ "v=DKIM1; p=$;", DKIM_PASS, "" },
	{ " v = DKIM1 ;k=RSA; n=what a key; g=*; x=y; p=$", DKIM_PASS, "" },
	{ "h=sha1:sha256; s=email; t=s; p=$", DKIM_PASS, "" },
	{ "h=sha256; s=foo : *; t=x:s; p=$", DKIM_PASS, "" },
	{ "p=", DKIM_PERMERROR, "the key is revoked" },
	{ "v=DKIM1; p= ;", DKIM_PERMERROR, "the key is revoked" },
	{ "v=DKIM1; k=ed25519; p=$", DKIM_PERMERROR, "the key is of another kind" },
	{ "k=; p=$", DKIM_PERMERROR, "the key is of another kind" },
	{ "h=sha1; p=$", DKIM_PERMERROR, "the key is for other hashes" },
	{ "s=tlsrpt; p=$", DKIM_PERMERROR, "the key is not for mail" },
	{ "s=; p=$", DKIM_PERMERROR, "the key is not for mail" },
	{ "t=y; p=$", DKIM_NONE, "the key is for tests" },
	{ "t=s:y; p=", DKIM_NONE, "the key is for tests" },
	{ "v=DKIM2; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "v=dkim1; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "k=rsa; v=DKIM1; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "v=DKIM1: k=rsa; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "v=DKIM1; p=$; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "v=DKIM1; k=rsa", DKIM_PERMERROR, "malformed key record" },
	{ "v=spf1 -all", DKIM_PERMERROR, "malformed key record" },
	{ "", DKIM_PERMERROR, "malformed key record" },
	{ ";", DKIM_PERMERROR, "malformed key record" },
	{ "x\1=; p=$", DKIM_PERMERROR, "malformed key record" },
	{ "p=AAAA", DKIM_PERMERROR, "malformed key" },
	{ "p=?", DKIM_PERMERROR, "malformed key" },
	{ "p=$?", DKIM_PERMERROR, "malformed key" },
	{ "p=A$", DKIM_PERMERROR, "malformed key" },
	{ "p=AAAA$", DKIM_PERMERROR, "malformed key" },
	{ "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", DKIM_PERMERROR, "malformed key" },
};

static void
test_keys(void)
{
	static char mail[MAIL], spaced[4096];
	size_t i, k, n;

	n = sign(mail, SIG END, FROM, BODY, &key.sk);
	for (i = 0; i < LEN(keys); i++) {
		only(KEY, with_key(keys[i].text, key.p));
		(void)check(mail, n);
		expect(keys[i].text, keys[i].result, keys[i].reason);
	}
	/* white space within, and no padding */
	for (i = k = 0; key.p[i]; i++) {
		spaced[k++] = key.p[i];
		if (i % 9 == 0)
			spaced[k++] = " \t"[i % 2];
	}
	while (spaced[k - 1] == '=' || blank(spaced[k - 1]))
		k--;
	spaced[k] = '\0';
	only(KEY, with_key("p=$", spaced));
	CHECK_INT(check(mail, n), DKIM_PASS);
	/* t=s: i= is the domain of d= */
	n = sign(mail, SIG "i=@x.example.org; " END, FROM, BODY, &key.sk);
	only(KEY, with_key("p=$", key.p));
	CHECK_INT(check(mail, n), DKIM_PASS);
	only(KEY, with_key("t=s; p=$", key.p));
	CHECK_INT(check(mail, n), DKIM_PERMERROR);
	expect("t=s", DKIM_PERMERROR, "the key is not for subdomains");
	/* a test key, and a body that has changed: as if it were not signed */
	only(KEY, with_key("t=y; p=$", key.p));
	mail[n - 5]++;
	CHECK_INT(check(mail, n), DKIM_NONE);
	only(KEY, good);
	CHECK_INT(check(mail, n), DKIM_FAIL);
	expect("body", DKIM_FAIL, "the body has changed");
}

/* Keys of other sizes; the modulus need not be one. */
static void
test_sizes(void)
{
	static unsigned char ones[1025];
	static const unsigned char exponents[][5] = {
		{ 0, 0, 0, 0, 1 }, { 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 2 }, { 1, 0, 0, 0, 1 },
		{ 0, 1, 0, 0, 1 }, { 0, 255, 255, 255, 255 }
	};
	static const struct {
		size_t bits;
		const char *reason;
	} sizes[] = {
		{ 8, "the key is too short" }, { 512, "the key is too short" },
		{ 1016, "the key is too short" }, { 1024, NULL }, { 2048, NULL },
		{ 4096, NULL }, { 4104, "the key is too long" }, { 8192, "the key is too long" },
	};
	static char mail[MAIL], p[2048];
	br_rsa_public_key pk = key.pk;
	size_t i, n;

	n = sign(mail, SIG END, FROM, BODY, &key.sk);
	memset(ones, 0xff, sizeof(ones));
	for (i = 0; i < LEN(sizes); i++) {
		pk.n = ones;
		pk.nlen = sizes[i].bits / 8;
		record(p, &pk);
		only(KEY, with_key("p=$", p));
		(void)check(mail, n);
		expect("bits", sizes[i].reason ? DKIM_POLICY : DKIM_FAIL, sizes[i].reason ?
		    sizes[i].reason : "the header or the key is another");
	}
	/* 1023 bits */
	ones[0] = 0x7f;
	pk.nlen = 128;
	record(p, &pk);
	only(KEY, with_key("p=$", p));
	(void)check(mail, n);
	expect("bits", DKIM_POLICY, "the key is too short");
	for (i = 0; i < LEN(exponents); i++) {
		pk = key.pk;
		pk.e = (unsigned char *)(uintptr_t)exponents[i];
		pk.elen = 5;
		while (pk.elen && !*pk.e) {
			pk.e++;
			pk.elen--;
		}
		record(p, &pk);
		only(KEY, with_key("p=$", p));
		(void)check(mail, n);
		expect("exponent", i < 4 ? DKIM_PERMERROR : DKIM_FAIL,
		    i < 4 ? "malformed key" : "the header or the key is another");
	}
	n = sign(mail, SIG END, FROM, BODY, &small.sk);
	only(KEY, with_key("p=$", small.p));
	(void)check(mail, n);
	expect("768", DKIM_POLICY, "the key is too short");
	n = sign(mail, SIG END, FROM, BODY, &three.sk);
	only(KEY, with_key("p=$", three.p));
	CHECK_INT(check(mail, n), DKIM_PASS);
	/* the right key by itself, RFC 8017 A.1.1; what is behind it */
	n = sign(mail, SIG END, FROM, BODY, &key.sk);
	memset(ones, 0, sizeof(ones));
	i = (size_t)text_unbase64(ones, sizeof(ones), key.p, strlen(key.p));
	text_base64(p, sizeof(p), ones + 22, i - 22);
	only(KEY, with_key("p=$", p));
	CHECK_INT(check(mail, n), DKIM_PASS);
	text_base64(p, sizeof(p), ones + 22, i - 21);
	only(KEY, with_key("p=$", p));
	CHECK_INT(check(mail, n), DKIM_PERMERROR);
	for (; i > 0; i--) {
		text_base64(p, sizeof(p), ones, i - 1);
		only(KEY, with_key("p=$", p));
		CHECK_INT(check(mail, n), DKIM_PERMERROR);
	}
}

/* Several records: those that are no keys do not count, each key is tried. */
static void
test_records(void)
{
	static char mail[MAIL], other[4096];
	size_t n = sign(mail, SIG END, FROM, BODY, &key.sk);

	(void)snprintf(other, sizeof(other), "v=DKIM1; p=%s", three.p);
	only(KEY, "v=spf1 -all");
	zone[0].text[1] = good;
	CHECK_INT(check(mail, n), DKIM_PASS);
	zone[0].text[0] = other;
	CHECK_INT(check(mail, n), DKIM_PASS);
	zone[0].text[0] = good;
	zone[0].text[1] = other;
	CHECK_INT(check(mail, n), DKIM_PASS);
	zone[0].text[0] = other;
	zone[0].text[1] = "v=spf1 -all";
	CHECK_INT(check(mail, n), DKIM_FAIL);
	zone[0].text[1] = "p=";
	zone[0].text[2] = good;
	CHECK_INT(check(mail, n), DKIM_PASS);
}

static void
test_dns(void)
{
	static const struct {
		enum dns_status status;
		enum dkim_result result;
		const char *reason;
	} bad[] = {
		{ DNS_NXDOMAIN, DKIM_PERMERROR, "no key" },
		{ DNS_NODATA, DKIM_PERMERROR, "no key" },
		{ DNS_SERVFAIL, DKIM_TEMPERROR, "no answer from the DNS" },
		{ DNS_TIMEOUT, DKIM_TEMPERROR, "no answer from the DNS" },
	};
	static char mail[MAIL], field[512];
	size_t i, n = sign(mail, SIG END, FROM, BODY, &key.sk);

	for (i = 0; i < LEN(bad); i++) {
		only(KEY, good);
		zone[0].status = bad[i].status;
		(void)check(mail, n);
		expect("dns", bad[i].result, bad[i].reason);
	}
	only(KEY, good);
	refuse = EAGAIN;
	CHECK_INT(check(mail, n), DKIM_TEMPERROR);
	refuse = EINVAL;
	CHECK_INT(check(mail, n), DKIM_PERMERROR);
	refuse = 0;
	/* names too long for the DNS */
	for (i = 1; i < 70; i++) {
		(void)snprintf(field, sizeof(field), "DKIM-Signature: v=1; a=rsa-sha256; "
		    "d=%0*d.%060d.%060d.%060d.org; s=%0*d; " END, (int)i % 60 + 1, 1,
		    2, 3, 4, (int)i, 5);
		n = sign(mail, field, FROM, BODY, &key.sk);
		CHECK_INT(check(mail, n), DKIM_PERMERROR);
		CHECK_INT(strlen(d.sig[0].selector), i < 64 ? i : 0);
	}
	/* what comes out while it is not known, and after it was forgotten */
	n = sign(mail, SIG END, FROM, BODY, &key.sk);
	feed(mail, n);
	expect("open", DKIM_TEMPERROR, "the key has not come");
	CHECK_INT(dkimcheck_finish(&d), 1);
	dkimcheck_cancel(&d);
	CHECK_INT(deliver(), 0);
	CHECK_INT(told, 0);
	expect("cancelled", DKIM_TEMPERROR, "the key has not come");
	dkimcheck_cancel(&d);
	feed(mail, n);
	dkimcheck_cancel(&d);
	memset(&d, 0, sizeof(d));
	dkimcheck_cancel(&d);
}

/* ---- several signatures, what is shown of them ---- */

static void
test_shown(void)
{
	static const struct {
		const char *tags, *domain, *selector, *b;
	} shown[] = {
		{ "d=Example.ORG; s=S.One; b=abc\n\tdefghij; v=2", "example.org", "s.one",
		  "abcdefgh" },
		{ "d=b\xc3\xbc" "cher.example; s=\xc3\xbc; b=a+/=; v=2", "xn--bcher-kva.example",
		  "xn--tda", "a+/" },
		{ "d=x\"y.org; s=a_b-c; b=\"quoted\"", "", "a_b-c", "" },
		{ "d=[192.0.2.1]; s=(x); b=ab\xc3\xa9", "", "", "ab" },
		{ "d=a.b; d=a.b; s=x", "", "", "" },
	};
	static char mail[MAIL];
	size_t i;
	int n;

	for (i = 0; i < LEN(shown); i++) {
		n = snprintf(mail, sizeof(mail), "DKIM-Signature: %s\n" FROM "\n", shown[i].tags);
		CHECK_INT(check(mail, (size_t)n), DKIM_PERMERROR);
		CHECK_STR(d.sig[0].domain, shown[i].domain);
		CHECK_STR(d.sig[0].selector, shown[i].selector);
		CHECK_STR(d.sig[0].b, shown[i].b);
	}
	/* RFC 8616: the key is asked for at A-labels */
	only("xn--tda._domainkey.xn--bcher-kva.example", good);
	i = sign(mail, "DKIM-Signature: v=1; a=rsa-sha256; d=b\xc3\xbc" "cher.example; s=\xc3\xbc; "
	    "i=@x.xn--bcher-kva.example; " END, FROM, BODY, &key.sk);
	CHECK_INT(check(mail, i), DKIM_PASS);
	CHECK_INT(check(BYTES("From: a@b.c\n\nDKIM-Signature: x\n")), DKIM_NONE);
	CHECK_INT(d.n, 0);
	CHECK_INT(check("", 0), DKIM_NONE);
	/* NUL */
	(void)check(BYTES("DKIM-Signature: v=1; x=\0; d=a.b\nFrom: a@b.c\n\n"));
	expect("NUL", DKIM_PERMERROR, "malformed tags");
	CHECK_STR(dkim_word(DKIM_NONE), "none");
	CHECK_STR(dkim_word(DKIM_PERMERROR), "permerror");
	CHECK_STR(dkim_word(DKIM_NEUTRAL), "neutral");
}

static void
test_several(void)
{
	static char mail[MAIL], header[MAIL];
	size_t i, n, k = 0;

	only(KEY, good);
	for (i = 0; i < 7; i++)
		k = put(header, k, "DKIM-Signature: v=1; s=%d\n", (int)i);
	(void)put(header, k, FROM "Dkim-Signature: x\nDKIM-Signature: y\n");
	n = sign(mail, SIG END, header, BODY, &key.sk);
	CHECK_INT(check(mail, n), DKIM_PASS);
	CHECK_INT(d.n, DKIM_CHECKED);
	CHECK_INT(d.more, 2);
	for (i = 1; i < DKIM_CHECKED; i++)
		CHECK_STR(d.sig[i].reason, "a tag is missing");
	/* both good, each with its own canonical form, and one between them */
	n = sign(mail, SIG "c=relaxed/relaxed; " END, FROM, BODY, &key.sk);
	mail[n - strlen(BODY) - 1] = '\0';
	(void)put(header, 0, "DKIM-Signature: v=1; a=ed25519-sha256; d=example.org; s=e; h=from; "
	    "bh=AAAA; b=AAAA\n%s", mail);
	n = sign(mail, SIG "h=from:dkim-signature:dkim-signature; bh=$H; b=$B\n", header, BODY,
	    &key.sk);
	CHECK_INT(check(mail, n), DKIM_PASS);
	CHECK_INT(d.n, 3);
	CHECK_INT(d.sig[1].result, DKIM_NEUTRAL);
	CHECK_INT(d.sig[2].result, DKIM_PASS);
	CHECK_INT(d.more, 0);
}

/* ---- one octet changed ---- */

static void
test_changes(void)
{
	static const char *const how[] = {
		"c=simple/simple; ", "c=simple/relaxed; ", "c=relaxed/simple; ",
		"c=relaxed/relaxed; "
	};
	static char mail[MAIL], field[1024];
	size_t i, at, n, passed;
	char was;

	only(KEY, good);
	for (i = 0; i < LEN(how); i++) {
		(void)snprintf(field, sizeof(field),
		    SIG "%sh=subject:from:to:subject; bh=$h;\n b=$b\n", how[i]);
		n = sign(mail, field, "Subject: one\nTo: b\nSubject: a b,\n\tc\n" FROM,
		    "one two\n\nthree\n", &key.sk);
		CHECK_INT(check(mail, n), DKIM_PASS);
		for (at = passed = 0; at < n; at++) {
			was = mail[at];
			mail[at] = was == 'q' ? 'z' : 'q';
			passed += check(mail, n) == DKIM_PASS;
			mail[at] = was;
		}
		CHECK_INT(passed, 0);
		/* and one left out: only white space and padding may be */
		for (at = passed = 0; at < n; at++) {
			memcpy(field, mail, n);
			memmove(field + at, field + at + 1, n - at - 1);
			if (check(field, n - 1) == DKIM_PASS)
				CHECK(strchr(" \t\n=", mail[at]) != NULL);
		}
	}
	/* what is below the signed ones may not come; on top it may, if it is not signed twice */
	n = sign(mail, SIG END, FROM, "x\n", &key.sk);
	memmove(mail + 16, mail, n);
	memcpy(mail, "From: b@exam.p.e\n", 16);
	mail[15] = '\n';
	n += 16;
	(void)check(mail, n);
	expect("From on top", DKIM_PASS, "");
	n = sign(mail, SIG "h=from:from; bh=$H; b=$B\n", FROM, "x\n", &key.sk);
	memmove(mail + 16, mail, n);
	memcpy(mail, "From: b@exam.p.\n", 16);
	(void)check(mail, n + 16);
	expect("From on top", DKIM_FAIL, "the header or the key is another");
}

/* ---- cut anywhere ---- */

static void
test_cut(void)
{
	static char mail[MAIL], header[MAIL];
	size_t n;

	only(KEY, good);
	n = sign(mail, SIG "c=relaxed/relaxed; " END, FROM, BODY, &key.sk);
	mail[n - strlen(BODY) - 1] = '\0';
	(void)put(header, 0, "%s", mail);
	n = sign(mail, SIG END, header, BODY, &key.sk);
	CHECK_SPLIT(machine, mail, n);
	CHECK_INT(d.sig[0].result, DKIM_PASS);
	CHECK_INT(d.sig[1].result, DKIM_PASS);
}

/* ---- our own signatures ---- */

static void
test_own(void)
{
	static const char *const mails[] = {
		"From: a@example.org\n\n",
		"From: a@example.org\nTo : b\n c\t\nSubject:\n\n x\t y \n\n\n",
		"Subject: s\nFROM:a@example.org\nSubject: t\n\n\n\na\n\n",
	};
	static struct dkim_sign s;
	static char mail[MAIL];
	char field[DKIM_FIELD];
	size_t i, k;
	long n;

	only("maild._domainkey.example.org", good);
	for (i = 0; i < LEN(mails); i++) {
		dkim_init(&s);
		dkim_feed(&s, mails[i], strlen(mails[i]));
		n = dkim_finish(&s, field, "example.org", "maild", &key.sk, NOW);
		CHECK(n > 0);
		k = put(mail, 0, "%s%s", field, mails[i]);
		CHECK_INT(check(mail, k), DKIM_PASS);
		mail[k - 2]++;
		CHECK(check(mail, k) != DKIM_PASS);
	}
}

int
main(void)
{
	make_keys();
	test_cases();
	test_keys();
	test_sizes();
	test_records();
	test_dns();
	test_shown();
	test_several();
	test_changes();
	test_cut();
	test_own();
	CHECK(sizeof(struct dkimcheck) < 16384);
	return test_end();
}
