/* with: lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Mails of any kind. However they are cut, the same is hashed: of the body what a plain reading of
 * RFC 6376 3.4.4 gives; and a domain found in From is one. Nothing is signed, that would take too
 * long.
 */
#include "fuzz.h"
#include "lib/canon.c"
#include "lib/dkim.c"

enum { MOST = 1 << 16 };

static struct dkim_sign whole, cut;
static char plain[3 * MOST];

/* The canonical body, a line at a time: its length. */
static size_t
canonical_body(const char *p, size_t n)
{
	size_t at = 0, end = 0, i;

	for (i = 0; i < n; i++) {
		if (is_space(p[i])) {
			if (!at || plain[at - 1] != ' ')
				plain[at++] = ' ';
		} else if (p[i] != '\n') {
			plain[at++] = p[i];
		}
		if (p[i] != '\n' && i + 1 < n)
			continue;
		if (at && plain[at - 1] == ' ')
			at--;
		if (at && plain[at - 1] != '\n')
			end = at + 2;
		plain[at++] = '\r';
		plain[at++] = '\n';
	}
	return end;
}

/* Where the body begins; n: there is none. */
static size_t
body_of(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && (!i || p[i - 1] == '\n'))
			return i + 1;
	}
	return n;
}

static void
check_body(const char *p, size_t n)
{
	char got[BASE64], want[BASE64];
	unsigned char hash[br_sha256_SIZE];
	br_sha256_context c;

	br_sha256_init(&c);
	br_sha256_update(&c, plain, canonical_body(p, n));
	br_sha256_out(&c, hash);
	(void)text_base64(want, sizeof(want), hash, sizeof(hash));
	body_hash(&whole, got);
	HOLDS(!strcmp(got, want));
	body_hash(&cut, got);
	HOLDS(!strcmp(got, want));
}

/* All but the value of b=, and the hash of the header. */
static size_t
all(const struct dkim_sign *s, char dst[DKIM_FIELD], unsigned char hash[br_sha256_SIZE])
{
	struct out o = { dst, 0, 0, 0 };
	struct field f[PICKS];
	int n;

	n = pick(s, f);
	if (n < 0)
		return 0;
	write_tags(&o, s, f, n, "example.org", "maild", 1700000000);
	HOLDS(!o.full && o.n < DKIM_FIELD);
	header_hash(&o, f, n, hash);
	return o.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char in[MOST], a[DKIM_FIELD], b[DKIM_FIELD];
	unsigned char ha[br_sha256_SIZE], hb[br_sha256_SIZE];
	size_t at, k, n;
	uint32_t seed;

	seed = fuzz_seed(&data, &size);
	if (!size || size > sizeof(in))
		return 0;
	memcpy(in, data, n = size);
	dkim_init(&whole);
	dkim_feed(&whole, in, n);
	dkim_init(&cut);
	for (at = 0; at < n; at += k) {
		k = fuzz_piece(&seed, n - at);
		dkim_feed(&cut, in + at, k);
	}
	HOLDS(whole.failed == cut.failed && whole.in_body == cut.in_body);
	if (!whole.failed) {
		at = body_of(in, n);
		check_body(in + at, n - at);
	}
	at = all(&whole, a, ha);
	HOLDS(all(&cut, b, hb) == at &&
	    (!at || (!memcmp(a, b, at) && !memcmp(ha, hb, sizeof(ha)))));
	if (dkim_from(&whole, a, sizeof(a)) < 0) {
		HOLDS(dkim_from(&cut, b, sizeof(b)) < 0);
	} else {
		HOLDS(dkim_from(&cut, b, sizeof(b)) == 0 && !strcmp(a, b));
		HOLDS(addr_domain(a, strlen(a)));
	}
	return 0;
}
