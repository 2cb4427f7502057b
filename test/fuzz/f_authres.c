/* with: lib/authres.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Fields with whatever peers say, in any room: each line but the first begins with white space,
 * nothing but printable octets and UTF-8, quotes and comments closed, a `;` outside of them before
 * each of our results only; ours is what we have written, whatever is put behind it. And fields of
 * others: who claims to be us, with folding or without.
 */
#include "fuzz.h"
#include "lib/addr.h"
#include "lib/authres.h"
#include "lib/text.h"

static const char id[] = "mx.example.org";

/* A well-formed field: how many results it has. */
static int
results(const char *p, size_t n)
{
	size_t i, len, column = 0;
	int quoted = 0, comment = 0, found = 0;

	HOLDS(n && p[n - 1] == '\n' && !p[n] && strlen(p) == n);
	for (i = 0; i < n; i += len, column++) {
		len = 1;
		if (p[i] == '\n') {
			HOLDS(!quoted && !comment && column < 900);
			HOLDS(i + 1 == n || p[i + 1] == '\t');
			column = 0;
		} else if (p[i] & 0x80) {
			HOLDS((len = addr_utf8(p + i, n - i)) > 0 && (quoted || comment));
		} else if (p[i] == '\t') {
			HOLDS(i && p[i - 1] == '\n');
		} else {
			HOLDS(p[i] >= ' ' && p[i] <= '~');
			if (quoted && p[i] == '\\') {
				len = 2;
				HOLDS(p[i + 1] == '"' || p[i + 1] == '\\');
			} else if (!comment && p[i] == '"') {
				quoted = !quoted;
			} else if (!quoted && (p[i] == '(' || p[i] == ')')) {
				HOLDS(comment == (p[i] == ')'));
				comment = !comment;
			} else if (!quoted && !comment) {
				HOLDS(p[i] != '\\' && p[i] != '<' && p[i] != '>' && p[i] != ',');
				found += p[i] == ';';
			}
		}
	}
	HOLDS(!quoted && !comment);
	return found;
}

/* The next text of the input: up to a NUL. */
static const char *
next(const char **p, const char *end)
{
	static char text[4][1024];
	static int k;
	size_t n = strnlen(*p, (size_t)(end - *p)), m = n < 1023 ? n : 1023;

	k = (k + 1) % 4;
	memcpy(text[k], *p, m);
	text[k][m] = '\0';
	*p += n + (*p + n < end);
	return text[k];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char unfolded[1 << 16];
	const char *p = (const char *)data, *end = p + size;
	struct authres a;
	size_t room, n, i, k;
	char *dst;
	int asked = 0, found;

	if (size < 2 || size >= sizeof(unfolded))
		return 0;
	n = size;
	found = authres_claims(p, n, id);
	for (i = k = 0; i < n; i++) {
		if (p[i] == '\n')
			unfolded[k++] = ' ';
		unfolded[k++] = p[i] == '\n' ? '\t' : p[i];
		if (k + 2 > sizeof(unfolded))
			return 0;
	}
	if (!memchr(p, '"', n) && !memchr(p, '\\', n))
		HOLDS(authres_claims(unfolded, k, id) == found);
	HOLDS(authres_claims("", 0, id));

	room = (size_t)(data[0] << 4 | data[1] >> 4);
	dst = malloc(room ? room : 1);
	if (!dst)
		abort();
	p += 2;
	authres_begin(&a, dst, room, id);
	while (p < end) {
		switch (*p++ & 3) {
		case 0:
			authres_result(&a, "dkim", "pass", "");
			asked++;
			break;
		case 1:
			authres_result(&a, "spf", "fail", next(&p, end));
			asked++;
			break;
		case 2:
			authres_property(&a, "smtp.mailfrom", next(&p, end));
			break;
		default:
			authres_comment(&a, next(&p, end));
		}
	}
	n = authres_end(&a);
	HOLDS(n < room || !n);
	HOLDS(n || room < sizeof(id) + 40);
	if (n) {
		found = results(dst, n);
		HOLDS(found == a.results + !a.results && a.results <= asked);
		HOLDS(text_begins(dst, n, "Authentication-Results: mx.example.org"));
		HOLDS(authres_claims(dst + 23, n - 23, id));
		HOLDS(!authres_claims(dst + 23, n - 23, "example.org"));
	}
	free(dst);
	return 0;
}
