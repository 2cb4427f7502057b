/* with: lib/addr.c lib/canon.c lib/dkimcheck.c lib/idn.c lib/text.c lib/x509.c */
/* See LICENSE file for copyright and licence details. */
/*
 * A line that is what the DNS says, then a mail. However the body is cut, the same comes out, and
 * nothing passes: nobody has a private key. What is shown of a signature is clean, and the bodies
 * are those that a plain reading of RFC 6376 3.4 gives.
 */
#include <errno.h>

#include "fuzz.h"
#include "lib/dkimcheck.h"
#include "lib/text.h"

enum { MOST = 1 << 16, NOW = 1700000000 };

static struct dkimcheck whole, cut;
static struct dns_query *asked[2 * DKIM_CHECKED];
static char plain[3 * MOST];
static int nasked, told, refuse;

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	HOLDS(type == DNS_TXTS && strlen(name) < 512 && strstr(name, "._domainkey."));
	if (refuse) {
		errno = refuse > 1 ? EAGAIN : EINVAL;
		return -1;
	}
	HOLDS(nasked < 2 * DKIM_CHECKED);
	asked[nasked++] = q;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	int i;

	for (i = 0; i < nasked; i++) {
		if (asked[i] == q)
			asked[i] = NULL;
	}
}

static void
done(struct dkimcheck *d)
{
	HOLDS(d == &whole || d == &cut);
	told++;
}

/* The canonical body, a line at a time: its length. */
static size_t
canonical_body(const char *p, size_t n, int relaxed)
{
	size_t at = 0, begin = 0, end = 0, i;

	for (i = 0; i < n; i++) {
		if (relaxed && (p[i] == ' ' || p[i] == '\t')) {
			if (at == begin || plain[at - 1] != ' ')
				plain[at++] = ' ';
		} else if (p[i] != '\n') {
			plain[at++] = p[i];
		}
		if (p[i] != '\n' && i + 1 < n)
			continue;
		if (relaxed && at > begin && plain[at - 1] == ' ')
			at--;
		if (at > begin)
			end = at + 2;
		plain[at++] = '\r';
		plain[at++] = '\n';
		begin = at;
	}
	if (!end && !relaxed) {
		memcpy(plain, "\r\n", 2);
		end = 2;
	}
	return end;
}

static void
check_body(const struct dkimcheck *d, const char *p, size_t n)
{
	unsigned char want[br_sha256_SIZE], got[br_sha256_SIZE];
	br_sha256_context c;
	size_t len;
	int i;

	for (i = 0; i < 2; i++) {
		if (!(d->wanted >> i & 1))
			continue;
		len = canonical_body(p, n, i);
		br_sha256_init(&c);
		br_sha256_update(&c, plain, len);
		br_sha256_out(&c, want);
		HOLDS(canon_body_hash(&d->body[i], got) == len);
		HOLDS(!memcmp(got, want, sizeof(got)));
	}
}

/* The header ends with its blank line, or with the text. */
static size_t
header_of(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && (p[i] != '\n' || (i && p[i - 1] != '\n')); i++)
		;
	return i;
}

static void
clean(const struct dkim_signature *s)
{
	size_t i;

	HOLDS(s->result != DKIM_PASS && *s->reason && strlen(s->reason) < DKIM_REASON);
	HOLDS(!*s->domain || addr_domain(s->domain, strlen(s->domain)));
	HOLDS(strlen(s->selector) <= DKIM_SELECTOR && strlen(s->b) <= 8);
	for (i = 0; s->selector[i]; i++)
		HOLDS(text_alnum(s->selector[i]) || strchr("-_.", s->selector[i]));
	for (i = 0; s->b[i]; i++)
		HOLDS(text_alnum(s->b[i]) || strchr("+/", s->b[i]));
	HOLDS(!s->limited || s->result != DKIM_PASS);
}

/* Header, body in pieces (whole: seed is NULL), and the question whether it asks. */
static int
run(struct dkimcheck *d, const char *p, size_t n, uint32_t *seed)
{
	size_t at = header_of(p, n), k;

	memset(d, 0xaa, sizeof(*d));
	d->done = done;
	dkimcheck_header(d, p, at, NOW);
	for (at += at < n; at < n; at += k) {
		k = seed ? fuzz_piece(seed, n - at) : n - at;
		dkimcheck_body(d, p + at, k);
	}
	at = header_of(p, n);
	at += at < n;
	check_body(d, p + at, n - at);
	return dkimcheck_finish(d);
}

static void
answer(const char *text, size_t n, enum dns_status status)
{
	static struct dns_answer a;
	struct dns_query *q;
	int i, k = nasked;

	a.status = status;
	a.n = status == DNS_OK ? 2 : 0;
	a.rr[0].text = a.rr[1].text = text;
	a.rr[0].n = n;
	a.rr[1].n = n / 2;
	for (i = 0; i < k; i++) {
		q = asked[i];
		asked[i] = NULL;
		q->slot = -1;
		q->done(q, &a);
	}
	nasked = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char in[MOST];
	const char *mail;
	uint32_t seed;
	size_t n;
	int a, b, i;

	seed = fuzz_seed(&data, &size);
	if (!size || size > sizeof(in))
		return 0;
	memcpy(in, data, size);
	mail = memchr(in, '\n', size);
	if (!mail)
		return 0;
	n = size - (size_t)(++mail - in);
	refuse = seed % 16 == 15 ? 2 : seed % 16 == 14;
	told = 0;
	a = run(&whole, mail, n, NULL);
	b = run(&cut, mail, n, &seed);
	HOLDS(a == b && told == 0 && a == (nasked > 0));
	if (seed % 16 == 13) {
		dkimcheck_cancel(&whole);
		dkimcheck_cancel(&cut);
		nasked = 0;
	} else {
		answer(in, size - n - 1, seed % 16 == 12 ? DNS_NXDOMAIN : DNS_OK);
		HOLDS(told == 2 * a);
	}
	HOLDS(whole.n == cut.n && whole.more == cut.more && whole.n <= DKIM_CHECKED);
	for (i = 0; i < whole.n; i++) {
		clean(&whole.sig[i]);
		HOLDS(whole.sig[i].result == cut.sig[i].result &&
		    whole.sig[i].reason == cut.sig[i].reason &&
		    !memcmp(whole.sig[i].header, cut.sig[i].header, br_sha256_SIZE));
	}
	return 0;
}
