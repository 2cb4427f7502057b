/* with: lib/mime.c lib/words.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Names of attachments: the cutting makes no difference (but for the order, where a part is read
 * decoded as well), names are clean, and a name in a header of ours is found whatever comes before
 * it in that header.
 */
#include "fuzz.h"
#include "lib/addr.h"
#include "lib/mime.h"

static struct mime m;
static uint64_t sum;
static unsigned long count, found;

static void
name(void *arg, const char *p, size_t n)
{
	uint64_t h = 1469598103934665603u;
	size_t i, len;

	(void)arg;
	HOLDS(n > 0 && n <= MIME_NAME && strlen(p) == n);
	HOLDS(!strpbrk(p, "/\\") && !strchr(" .\"", p[n - 1]));
	for (i = 0; i < n; i += len) {
		len = addr_utf8(p + i, n - i);
		HOLDS(len || (p[i] >= ' ' && p[i] < 0x7f));
		len += !len;
	}
	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)p[i]) * 1099511628211u;
	sum += h;
	count++;
	found += n >= 9 && !strcmp(p + n - 9, "found.exe");
}

static void
all(const char *p, size_t n, uint32_t seed, int cut)
{
	size_t piece;

	sum = count = found = 0;
	mime_init(&m, name, NULL);
	for (; n; p += piece, n -= piece) {
		piece = cut ? fuzz_piece(&seed, n) : n;
		mime_feed(&m, p, piece);
		HOLDS(m.outer.name.n <= m.outer.name.size && m.outer.raw.n <= m.outer.raw.size);
		HOLDS(m.outer.joined_name.n <= m.outer.joined_name.size);
		HOLDS(m.outer.used <= sizeof(m.outer.arena));
	}
	mime_finish(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char field[] = "\nContent-Disposition: x; filename=\"found.exe\"\n\n";
	uint32_t seed = fuzz_seed(&data, &size);
	unsigned long n;
	uint64_t h;
	char text[80], *p;
	size_t len;

	all((const char *)data, size, seed, 0);
	n = count;
	h = sum;
	all((const char *)data, size, seed, 1);
	HOLDS(n == count && h == sum);
	HOLDS(n <= size / 2);

	len = words_decode(text, 9 + seed % (sizeof(text) - 8), (const char *)data, size);
	HOLDS(len < 9 + seed % (sizeof(text) - 8) && strlen(text) == len);

	/* in a header without a blank line in it */
	p = malloc(size + sizeof(field));
	HOLDS(p);
	if (size)
		memcpy(p, data, size);
	p[size] = '\0';
	if (size && strlen(p) == size && !strstr(p, "\n\n") && *p != '\n' && p[size - 1] != '\n') {
		memcpy(p + size, field, sizeof(field) - 1);
		all(p, size + sizeof(field) - 1, seed, 1);
		HOLDS(found);
	}
	free(p);
	return 0;
}
