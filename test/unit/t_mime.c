/* with: lib/mime.c lib/words.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/* Names of attachments: each message, and what is told of it, in order, with '|' behind each. */
#include <dirent.h>

#include "lib/mime.h"
#include "test.h"

static char *told;
static size_t ntold, most;

static void
name(void *arg, const char *p, size_t n)
{
	(void)arg;
	CHECK(n > 0 && n <= MIME_NAME && strlen(p) == n);
	if (ntold + n + 1 > most)
		return;
	memcpy(told + ntold, p, n);
	ntold += n;
	told[ntold++] = '|';
}

static struct mime m;

static size_t
machine(char *out, size_t size, const char *in, size_t n, const struct cut *c)
{
	size_t at = 0, k;

	told = out;
	most = size;
	ntold = 0;
	mime_init(&m, name, NULL);
	for (; at < n; at += k) {
		k = test_piece(c, at, n);
		mime_feed(&m, in + at, k);
	}
	mime_finish(&m);
	return ntold;
}

struct vector {
	const char *in, *want;
};

static void
all(const char *before, const char *after, const struct vector *v, size_t n)
{
	static char in[65536], out[65536];
	struct cut c = { 65536, 65536 };
	size_t i, len;

	for (i = 0; i < n; i++) {
		len = (size_t)snprintf(in, sizeof(in), "%s%s%s", before, v[i].in, after);
		if (!CHECK_MEM(out, machine(out, sizeof(out), in, len, &c), v[i].want,
		    strlen(v[i].want)))
			printf("\tin: %s\n", v[i].in);
		CHECK_SPLIT(machine, in, len);
	}
}

/* What stands behind "Content-Disposition: attachment". */
static const struct vector parameters[] = {
	{ "", "" },
	{ "; filename=a.exe", "a.exe|" },
	{ "; filename=\"a.exe\"", "a.exe|" },
	{ " ; FileName = \"a.exe\" ; size=3", "a.exe|" },
	{ ";\n filename=\"a b.exe\"", "a b.exe|" },
	{ ";\n filename=\n \"a.exe\"", "a.exe|" },
	{ ";filename=a.exe;name=b.exe;x-name=c.exe;filenames=d.exe", "a.exe|b.exe|" },
	{ "; filename=\"\"; filename=", "" },
	/* what some read otherwise */
	{ "; filename=a b.exe", "a|a b.exe|" },
	{ "; filename=a.exe b c d; x", "a.exe|a.exe b c d|" },
	{ "; filename=a.exe (b)", "a.exe|a.exe (b)|" },
	{ "; filename=a.exe(b)", "a.exe|a.exe(b)|" },
	{ "; filename=\"a.txt\".exe", "a.txt|a.txt.exe|" },
	{ "; filename=\"a.txt\" \".exe\"", "a.txt|a.txt .exe|" },
	{ "; filename=\"a.exe", "a.exe|" },
	{ "; filename=a.exe\"", "a.exe|a.exe|" },
	{ "; filename=\"a.exe; x=y", "a.exe|a.exe; x=y|" },
	{ "; filename=\"a; b.exe\"", "a|a; b.exe|" },
	{ "; x=\"; filename=a.exe", "a.exe|" },
	{ "; filename=\"a.txt; filename=b.exe", "a.txt|a.txt; filename|b.exe|" },
	{ "; filename=\"a.txt\\\"; filename=b.exe; y=\"",
	    "a.txt|a.txt\"; filename|; filename|b.exe|" },
	{ " filename=a.exe", "a.exe|" },
	{ ", filename=a.exe", "a.exe|" },
	{ "; (c;x=\"y) filename (d) = a.exe", "a.exe|" },
	{ "; filename (d;filename=a.exe", "a.exe|" },
	{ "; filename=\"a\\.e\\xe\"", "a.exe|xe|" },
	{ "; filename=\"C:\\dir\\a.exe\"", "C:dira.exe|a.exe|" },
	{ "; filename=\"/etc/a.exe\"", "a.exe|" },
	{ "; filename=c:\\dir\\a.exe", "c|a.exe|" },
	{ "; filename=\"a.e\n xe\"", "a.e xe|a.exe|" },
	{ "; filename=\"a.exe. . ..\"", "a.exe|" },
	{ "; filename=\"a.exe/\"", "a.exe|" },
	{ "; filename=\" ..\"", "" },
	{ "; filename=\"a\tb\x7f.exe\"", "a?b?.exe|" },
	{ "; filename=\"\xc3\xa9\xe9.exe\"", "\xc3\xa9?.exe|" },
	/* RFC 2231 */
	{ "; filename*=utf-8''%c3%A9.exe", "\xc3\xa9.exe|" },
	{ "; filename*=iso-8859-1'en'%e9%80.exe", "\xc3\xa9\xe2\x82\xac.exe|" },
	{ "; filename*=koi8-r''%c1a.exe", "?a.exe|" },
	{ "; filename*=\"utf-8''a%2eexe\"", "a.exe|" },
	{ "; filename*=a%2eexe", "a.exe|" },
	{ "; filename*=utf-8'a%2eexe", "utf-8'a.exe|" },
	{ "; filename*=utf-8''100%.exe%4", "100%.exe|" },
	{ "; filename*=utf-8''a%00.exe", "a|a?.exe|" },
	{ "; filename=a.txt; filename*=utf-8''b.exe", "a.txt|b.exe|" },
	{ "; filename*0=a.; filename*1=exe", "a.exe|" },
	{ "; filename*0=\"a b\"; filename*1=\".exe\"", "a b.exe|" },
	{ "; filename*1=exe;filename*0=\"a.\"", "a.exe|" },
	{ "; filename*0*=utf-8'en'%c3; filename*1*=%a9; filename*2=.exe",
	    "\xc3\xa9.exe|\xc3\xa9.exe|" },
	{ "; filename*0*=utf-8''a; filename*1=%2eexe", "a%2eexe|a.exe|" },
	{ "; filename*0=a; filename*10=.exe; filename*9=b", "a|ab.exe|" },
	{ "; filename*0=a.exe; filename*2=b", "a.exe|a.exeb|" },
	{ "; filename*0=a; filename*0=b; filename*1=.exe; filename*1=.txt", "a.exe|b.txt|" },
	{ "; filename*0=a; filename=b; filename*1=c", "b|ac|" },
	{ "; filename*0==?utf-8?q?a.ex?=; filename*1==?utf-8?q?e?=", "==|a.exe|" },
	{ "; filename*x=a", "a|" },
	{ "; filename*0*=utf-8''a; filename*1*='b'.exe", "a'b'.exe|" },
	{ "; filename*0000000000000000000000000*=utf-8''%41", "A|" },
	{ "; filename*=\"utf-8''=?utf-8?q?a=2?==?utf-8?q?Eexe?=\"", "aEexe|a.exe|" },
	{ "; filename*0=\"=?utf-8?b?YS5le?=\"; filename*1=\" =?utf-8?b?GU=?=\"", "a.e|a.exe|" },
	{ "; filename *=utf-8''%41", "A|" },
	{ "; filename*0=a.; filename*1=exe (x)", "a.exe|a.exe (x)|" },
	/* RFC 2047 */
	{ "; filename=\"=?utf-8?B?YS5leGU=?=\"", "a.exe|" },
	{ "; filename==?UTF-8?b?YS5leGU?=", "a.exe|" },
	{ "; filename=\"=?utf-8?q?a?= =?utf-8?q?=2Eexe?=\"", "a.exe|" },
	{ "; filename=\"=?utf-8?q?a?=\n =?utf-8?q?=2Eexe?= b\"",
	    "a.exe b|=?utf-8?q?a?==?utf-8?q?=2Eexe?= b|" },
	{ "; filename=\"=?utf-8?q?a_b?=c=?utf-8?q?.exe?=\"", "a bc.exe|" },
	{ "; filename=\"=?iso-8859-1?q?=e9.exe?=\"", "\xc3\xa9.exe|" },
	{ "; filename=\"=?windows-1252*de?q?=80.exe?=\"", "\xe2\x82\xac.exe|" },
	{ "; filename=\"=?utf-16be?b?AGEALgBlAHgAZQ==?=\"", "a.exe|" },
	{ "; filename=\"=?utf-8?q?=c3?= =?utf-8?q?=a9.exe?=\"", "\xc3\xa9.exe|" },
	{ "; filename=\"=?utf-8?b?YS4=?= =?utf-8?b?ZXhl?=\"", "a.exe|" },
	{ "; filename=\"=?utf-8?b?YS4=ZXhl?=\"", "a.exe|" },
	{ "; filename=\"=?utf-8?x?a?=.exe\"", "=?utf-8?x?a?=.exe|=?utf-8?x?a?=.exe|" },
	{ "; filename=\"=?a b?q?c.exe\"", "c.exe|=?a b?q?c.exe|" },
	{ "; filename=\"=?x =?utf-8??q?a.exe?=\"", "=?x a.exe|=?x =?utf-8??q?a.exe?=|" },
	{ "; filename==?utf-8?q?a;b.exe?=; filename=c", "a|=?utf-8?q?a|a;b.exe|c|" },
	{ "; filename==?utf-8?q?a;filename=c",
	    "a|=?utf-8?q?a|a;filename|=?utf-8?q?a;filename|c|" },
	{ "; filename==?utf-8?q?a?=b", "a|ab|" },
	{ "; filename=\"=?a.exe\" b", "=?a.exe|=?a.exe b|=?a.exe b|" },
	{ "; filename\\*=utf-8''a; filename*1=.exe", "a|a.exe|a.exe|" },
	{ "; filename=\"=?x?q?a.exe\"", "a.exe|=?x?q?a.exe|" },
	{ "; filename=\"=?x?b?YS5\"", "a|=?x?b?YS5|" },
	{ "; filename=\"==?x?q?a?==\"", "=a=|" },
	{ "; filename=\"=?utf-8?q?a.exe=00.txt?=\"", "a.exe|a.exe?.txt|" },
	{ "; filename=\"=?utf-8?q?..=2Fa.exe?=\"", "a.exe|" },
	/* words that some join before they decode them */
	{ "; filename=\"=?utf-8?b?YS5le?= =?utf-8?b?GU=?=\"", "a.e|a.exe|" },
	{ "; filename=\"=?utf-8?q?a=2?= =?utf8?Q?Eexe?= b\"", "aEexe b|a.exe b|" },
	{ "; filename=\"=?utf-8?q?a=2?= =?utf-8?q?Eexe=00?=\"; name=b",
	    "aEexe|a.exe|aEexe|a.exe|b|" },
	{ "; filename==?utf-8?q?a=2?==?utf-8?q?Ee;xe?=",
	    "a|aEe|a.e|=?utf-8?q?a=2?==?utf-8?q?Ee|aEe;xe|a.e;xe|" },
	{ "; filename=\"=?utf-8?q?a=2?= =?koi8-r?q?Eexe?=\"", "aEexe|" },
	{ "; filename=\"=?utf-8?q?a=2?= =?utf-8?b?RWV4ZQ?=\"", "aEexe|" },
	{ "; filename=\"=?utf-8?q?a=2?=b=?utf-8?q?Eexe?=\"", "abEexe|" },
	{ "; filename=\"=?utf-8?q?a=2?= =?utf-8?q?Eexe?= =?b\"", "aEexe =?b|a.exe =?b|" },
	/* ISO 2022, and a NUL in what may be UTF-16 */
	{ "; filename=\"=?iso-2022-jp?q?=1B(Ja.=1B(Be=1B$B=1B$(Dx=1B$@e?=\"", "a.exe|" },
	{ "; filename*=iso-2022-jp''a.e%1B%28Bxe", "a.exe|" },
	{ "; filename=\"=?iso-2022-jp?q?a.e=1B(?= =?iso-2022-jp?q?Bxe?=\"", "a.eBxe|a.exe|" },
	{ "; filename*=\"x''%1B(B=?utf-8?q?a=2?==?utf-8?q?Eexe?=\"", "aEexe|a.exe|" },
	{ "; filename*0*=\"x''%1B(B=?utf-8?q?a=2?=\"; filename*1=\"=?utf-8?q?Eexe?=\"",
	    "aEexe|a.exe|aEexe|a.exe|" },
	{ "; filename=\"=?x?q?a=1B.e=1B$.x=1Be?=\"", "a?.e.x?e|" },
	{ "; filename=\"=?utf-8?q?a=1B(B?=\"", "a?(B|" },
	{ "; filename=\"=?koi8-r?q?a.exe=00.txt?=\"", "a.exe|a.exe.txt|" },
	{ "; filename=\"=?utf-16le?b?YQAuAGUAeABlAA==?=\"", "a|a.exe|" },
	/* other control characters for space */
	{ ";\x0b filename\x0c=a.exe", "a.exe|" },
	{ "; filename\x1c*=utf-8''%41", "A|" },
	{ "; x=\"a; filename\x1f=b", "b|" },
	{ "; filename\x7f=a; filename\xa0=b", "" },
	{ "; filename=\"=?utf-8?q?what?.exe?=\"", "what?.exe|=?utf-8?q?what?.exe?=|" },
};

/* Whole messages. */
static const struct vector messages[] = {
	{ "", "" },
	{ "\n", "" },
	{ "Content-Disposition:filename=a", "a|" },
	{ "content-TYPE : x/y; name=a\n", "a|" },
	{ "Content-Type: name=a\n", "a|" },
	{ "Content-Type: x/y;\n\n name=a\n", "" },
	{ "Content-Type: x/y;\n \n name=a\n", "a|" },
	{ "Content-Types: x/y; name=a\nX: Content-Type: x/y; name=b\n", "" },
	{ "Content-Type: x/y; name=a\nContent-Type: x/y; name=b\n", "a|b|" },
	{ "X: y\n\nContent-Type: x/y; name=a\n", "" },
	{ "Content-Type: =?utf-8?b?eC95OyA=?=\n =?utf-8?q?name=3D=22a_b=22?=; name=c\n", "a b|c|" },
	{ "Content-Type: =x/y; name=a=?utf-8?q?=2Eexe?=\n", "a.exe|" },
	{ "Content-Disposition\n : x; filename=1\nContent-Type\x0b: x/y; name=2\nContent-\n"
	    " Disposition: x; filename=3\nContent-\x0b-Type: x/y; name=4\n", "1|2|" },
	{ "Content-Type: x/y; name*0=a; name*1=b\nContent-Type: x/y; name*0=c; name*1=d\n",
	    "ab|cd|" },
	{ "Content-Type: =?utf-8?q?x/y;_na?=\n =?utf-8?q?me=3D1?=\n", "1|" },
	{ "Content-Type: x/y; z=\"; \\\n name=1\n", "1|" },
	/* multiparts */
	{ "Content-Type: multipart/mixed; boundary=b\n\n"
	    "Content-Type: x/y; name=0\n--b\nContent-Type: x/y; name=1\n\n"
	    "Content-Type: x/y; name=0\n--b\nContent-Disposition: x; filename=\"2\"\n\nx\n--b--\n",
	    "1|2|" },
	{ "Content-Type: multipart/mixed; boundary=\"b b \"\n\n--b b  \t\n"
	    "Content-Type: x/y; name=1",
	    "1|" },
	{ "Content-Type: multipart/mixed; boundary=b\n\n-b\nContent-Type: x/y; name=1\n"
	    " --b\nContent-Type: x/y; name=2\nx--b\nContent-Type: x/y; name=3\n--\n"
	    "Content-Type: x/y; name=4\n--B\nContent-Type: x/y; name=5\n", "" },
	/* nested, closed or not, look-alikes, boundaries of the other one */
	{ "Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: multipart/y; boundary=bb\n\n"
	    "--bb\nContent-Type: x/y; name=1\n\n--b\nContent-Type: x/y; name=2\n\n"
	    "--bb\nContent-Type: x/y; name=3\n\n--b--\n\n--bb--\n\n--b\nContent-Type: x/y; name=4",
	    "1|2|3|4|" },
	{ "Content-Type: multipart/x; boundary=b; boundary=c\n"
	    "Content-Type: multipart/x; boundary=d\n\n--b\nContent-Type: x/y; name=1\n\n"
	    "--c\nContent-Type: x/y; name=2\n\n"
	    "--d\nContent-Type: x/y; name=3\n\n", "1|2|3|" },
	{ "Content-Type: multipart/x; boundary=b c\n\n--b\nContent-Type: x/y; name=1\n\n", "1|" },
	{ "Content-Type: multipart/x; boundary=\"b=\"\\\n\n--b=\nContent-Type: x/y; name=1\n",
	    "1|" },
	{ "Content-Type: multipart/x; boundary=b (c)\n\n--b\nContent-Type: x/y; name=1\n\n", "1|" },
	/* no boundary, or a doubtful one */
	{ "Content-Type: multipart/x\n\n--b\nContent-Type: x/y; name=1\n\n", "1|" },
	{ "Content-Type: multipart/x; boundary=\"\"\n\n--b\nContent-Type: x/y; name=1\n\n", "1|" },
	{ "Content-Type: multipart/x; boundary=\"a\\b\"\n\n--ab\nContent-Type: x/y; name=1\n\n",
	    "1|" },
	{ "Content-Type: multipart/x; boundary*=us-ascii''a%62\n\n--ab\n"
	    "Content-Type: x/y; name=1\n",
	    "1|" },
	{ "Content-Type: multipart/x; boundary*0=a; boundary*1=b\n\n--ab\n"
	    "Content-Type: x/y; name=1",
	    "1|" },
	{ "Content-Type: multipart/x; boundary=\"\"\n\n--\nContent-Type: x/y; name=1\n\n--  \n"
	    "Content-Type: x/y; name=2\n\n-\nContent-Type: x/y; name=3\n", "1|2|" },
	/* headers without bodies, bodies without headers */
	{ "Content-Type: multipart/x; boundary=b\n--b\nContent-Type: x/y; name=1\n--b\n"
	    "Content-Type: x/y; name=2\n--b\n\n\nContent-Type: x/y; name=3\n--b", "1|2|3|" },
	{ "Content-Type: multipart/x; boundary=b\n\n--b\nno field\n: no\n"
	    "Content-Type: x/y; name=1\n",
	    "1|" },
	/* messages in it */
	{ "Content-Type: (a (b); c) \"message/rfc822\"\n\nContent-Type: (;name=1\n", "1|" },
	{ "Content-Type: (name) x/y (a b; c) name (d)=1; (e) name=2\n", "1|2|" },
	{ "Content-Type: message/rfc822\n\nSubject: x\nContent-Type: x/y; name=1\n\n"
	    "Content-Type: x/y; name=2\n", "1|" },
	{ "Content-Type: message/rfc822\n\nContent-Type: message/rfc822; name=1\n\n"
	    "Content-Type: multipart/x; boundary=b; name=2\n\n--b\nContent-Type: x/y; name=3\n",
	    "1|2|3|" },
	{ "Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: x/y; name=1\n\n"
	    "Content-Type: x/y; name=0\n--b\nX: y\n\nContent-Type: x/y; name=2\n\n--b\n"
	    "Content-Type: text/plain\n\nContent-Type: x/y; name=0\n", "1|2|" },
	{ "Content-Type: x?message/rfc822\n\nContent-Type: message/rfc822?x; name=1\n\n"
	    "Content-Type: x?message; name=2\n\nContent-Type: x/y; name=3\n", "1|2|3|" },
	/* by its name */
	{ "Content-Type: x/y; name=a.EML\n\nContent-Type: x/y; name=1.emlx\n\n"
	    "Content-Type: x/y; name=2\n", "a.EML|1.emlx|" },
	{ "Content-Type: x/y; name=\"a.eml\"\nContent-Transfer-Encoding: base64\n\n"
	    "Q29udGVudC1UeXBlOiB4L3k7\nDQogbmFtZT0xDQoNCnlhZGE=\n", "a.eml|1|" },
	/* some decode these */
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
	    "Q29udGVudC1UeXBlOiB4L3k7\nDQogbmFtZT0xDQoNCnlhZGE=\n", "1|" },
	{ "Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: message/rfc822\n"
	    "Content-Transfer-Encoding: BASE64 (x)\n\nQ29udGVudC1UeXBlOiB4L3k7IG5hbWU9MQ==\n--b\n"
	    "Content-Type: x/y; name=2\n\nQ29udGVudC1UeXBlOiB4L3k7IG5hbWU9MQ==\n", "1|2|" },
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
	    "Content-Type: x/y; name=1\n\n", "1|" },
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"
	    "Content-Type: multi=\npart/x; boundary=3D\"b\"\n\n--b\nContent-Type: x/y; =  \n"
	    "name=3D=31=2Eexe\n\n", "1.exe|" },
	/* uuencode */
	{ "X: y\n\nbegin 644 a b.exe\nM\nbegin 0755 c.exe\nbegin 64 d\nbegin 689 e\nbegin  644 f\n",
	    "a b.exe|c.exe|" },
	{ "Content-Type: multipart/x; boundary=b\n\n--b\n\nbegin 644 a.exe\n M\nbcc: x\n\n--b\n"
	    "begin 600 b\n", "a.exe|b|" },
};

/* ---- long and many ---- */

static char big[1 << 20], got[1 << 20];

static size_t
filled(const char *before, const char *unit, size_t size, const char *after)
{
	size_t at = strlen(before), k = strlen(unit);

	memcpy(big, before, at);
	for (; at + k <= size; at += k)
		memcpy(big + at, unit, k);
	memcpy(big + at, after, strlen(after));
	return at + strlen(after);
}

static void
ends(const char *before, const char *unit, const char *after, const char *want)
{
	struct cut c = { 4096, 4096 };
	char told_as[64];
	size_t n;

	(void)snprintf(told_as, sizeof(told_as), "%s|", want);
	n = machine(got, sizeof(got) - 1, big, filled(before, unit, 70000, after), &c);
	got[n] = '\0';
	if (!CHECK(strstr(got, told_as)))
		printf("\t%s...%s: %.*s\n", before, after, n < 600 ? (int)n : 600, got);
}

static void
long_ones(void)
{
	static const char *const befores[] = {
		"Content-Disposition: x; filename=", "Content-Disposition: x; filename=\"",
		"Content-Disposition: x; filename*=utf-8''", "Content-Disposition: x; filename*=",
		"Content-Disposition: x; filename*0=",
		"Content-Disposition: x; filename==?utf-8?q?",
		"Content-Disposition: x; y=", "Content-Disposition: ", "Content-Disposition: x;",
		"X:", "Content-Disposition: =?x?q?", "Content-Disposition: x; filename=\"=?",
	};
	static const char *const units[] = {
		"x", " ", ".", "\\", "/", "%41", "\xc3\xa9", "=", "?"
	};
	struct cut c = { 8192, 8192 };
	size_t i, k, n;

	for (i = 0; i < LEN(befores); i++) {
		for (k = 0; k < LEN(units); k++)
			ends(befores[i], units[k], ".exe\nContent-Type: x/y; name=a.exe\n", ".exe");
	}
	for (k = 0; k < LEN(units); k++) {
		for (i = 0; i < 4; i++)
			ends(befores[i], units[k], ".exe", ".exe");
	}
	/* what counts for nothing at the end does not push out what does */
	ends("Content-Type: x; name=\"0123456789.exe", " ", "\"", "0123456789.exe");
	ends("Content-Type: x; name=\"a.exe", ". /", "\"", "a.exe");
	/* base64 that is cut goes on where it was */
	ends("Content-Type: x; name==?utf-8?b?", "YWJj\n ", "LmV4ZQ==?=", "abc.exe");
	/* pieces: the first and the last ones stay */
	n = filled("Content-Type: x; name*0=a", ";name*7=0123456789", 70000, ";name*8=.exe");
	n = machine(got, sizeof(got), big, n, &c);
	CHECK(n > 5 && got[0] == 'a' && !memcmp(got + n - 5, ".exe|", 5));
	for (i = 0, n = 17; i < 3000; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, ";name*%d=0123456789",
		    (int)(3000 - i));
	memcpy(big, "Content-Type: x/y", 17);
	n = machine(got, sizeof(got), big, n, &c);
	CHECK(n > 9 && !memcmp(got + n - 9, "23456789|", 9));
	/* more boundaries than are kept */
	for (i = 0, n = 0; i < 100; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "%s%d\nContent-Type: multipart/x; "
		    "boundary=%d\n\n", i ? "--" : "X: ", (int)i - 1, (int)i);
	n += (size_t)snprintf(big + n, sizeof(big) - n, "--99\nContent-Type: x/y; name=a");
	CHECK_MEM(got, machine(got, sizeof(got), big, n, &c), "a|", 2);
	/* many parts */
	n = filled("Content-Type: multipart/x; boundary=b\n\n",
	    "--b\nContent-Type: x/y; name=a\n\n", 900000, "");
	CHECK_INT(machine(got, sizeof(got), big, n, &c), 2 * ((900000 - 39) / 31));
}

/* A word that is cut in two anywhere. */
static void
torn(void)
{
	static const char *const words[] = { "b?YWJjZGVmLmV4ZQ==", "q?a=62c=64ef=2E=65xe" };
	struct cut c = { 4096, 4096 };
	size_t i, k, n;

	for (i = 0; i < LEN(words); i++) {
		for (k = 2; words[i][k]; k++) {
			n = (size_t)snprintf(big, sizeof(big), "Content-Type: x/y; name="
			    "\"=?utf-8?%.*s?=\n =?utf-8?%.2s%s?=\"", (int)k, words[i], words[i],
			    words[i] + k);
			got[machine(got, sizeof(got) - 1, big, n, &c)] = '\0';
			CHECK_MSG(strstr(got, "abcdef.exe|"), "%s: %s", big, got);
		}
	}
}

/* ---- others' messages ---- */

static void
vectors(void)
{
	static const struct vector v[] = {
		{ "02-plaintext+attachment.eml", "attach.png" },
		{ "10-plaintext+(HTML+embedded-image)+attachment.eml", "kigaaldcbanejcbi.png" },
		{ "external-attach-test", "check.exe" },
		{ "bug513543", "foo.txt" },
		{ "multipart-message-4.eml", "attached-message.eml" },
		{ "mime-torture", "Alices_PDP-10" },
	};
	const char *dir = test_vectors("mime/thunderbird");
	struct cut c = { 1000, 1000 };
	char path[4096 + 512], *in, names[512];
	struct dirent *e;
	size_t i, k, n, len;
	DIR *d;

	d = dir ? opendir(dir) : NULL;
	while (d && (e = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		in = e->d_name[0] != '.' ? test_slurp(path, &n) : NULL;
		if (!in)
			continue;
		for (i = k = 0; i < n; i++) {
			if (in[i] != '\r')
				in[k++] = in[i];
		}
		if (k < 10000)
			CHECK_SPLIT(machine, in, k);
		len = machine(got, sizeof(got) - 1, in, k, &c);
		got[len] = '\0';
		for (i = 0; i < LEN(v); i++) {
			(void)snprintf(names, sizeof(names), "%s|", v[i].want);
			if (!strcmp(v[i].in, e->d_name))
				CHECK_MSG(strstr(got, names), "%s: %s: %s", v[i].in, names, got);
		}
		free(in);
	}
	if (d)
		(void)closedir(d);
}

static void
texts(void)
{
	static const struct vector v[] = {
		{ "", "" },
		{ " \t ", "" },
		{ " a  b ", "a  b" },
		{ "\n a\n b\n", "a b" },
		{ "=?utf-8?q?=C3=A9?=\n =?utf-8?b?w6k=?= x", "\xc3\xa9\xc3\xa9 x" },
		{ "a\x01\x80", "a??" },
		{ "=?utf-8?q?_a?=", " a" },
		{ "=?iso-2022-jp?b?GyRCJEobKEI=?= a", "$J a" },
		{ "0123456789abcdef", "0123456789abcdef" },
		{ "0123456789abcdefg", "01234567cdefg" },
	};
	char out[17];
	size_t i;

	for (i = 0; i < LEN(v); i++) {
		(void)words_decode(out, sizeof(out), v[i].in, strlen(v[i].in));
		CHECK_STR(out, v[i].want);
	}
}

int
main(void)
{
	all("Content-Disposition: attachment", "", parameters, LEN(parameters));
	all("Content-Disposition: attachment", "\n\nx\n", parameters, LEN(parameters));
	all("", "", messages, LEN(messages));
	texts();
	long_ones();
	torn();
	vectors();
	printf("%lu octets\n", (unsigned long)sizeof(struct mime));
	return test_end();
}
