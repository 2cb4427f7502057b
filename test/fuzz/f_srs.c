/* with: lib/srs.c lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Senders and local parts of any kind. What is rewritten comes back as it was (an SRS form of
 * others as that of its first forwarder) and is an address; what comes back is one of ours in form.
 */
#include "fuzz.h"
#include "lib/srs.h"
#include "lib/text.h"

static const struct srs ours = { (const unsigned char *)"0123456789abcdef", 16, "fwd.example" };

static void
there(const char *sender, int64_t day)
{
	char dst[ADDR_TEXT + 1], was[ADDR_TEXT + 1];
	struct addr a, b;
	size_t n;

	if (srs_forward(&ours, dst, sender, day) < 0) {
		HOLDS(!*dst);
		return;
	}
	n = (size_t)(strrchr(dst, '@') - dst);
	HOLDS(n <= ADDR_LOCAL && srs_is(dst, n));
	HOLDS(srs_reverse(&ours, was, dst, n, day + 21) == 0);
	HOLDS(!strcmp(was, sender) || text_begins(sender, strlen(sender), "SRS"));
	if (addr_mailbox(&a, sender, strlen(sender)) == 0) {
		HOLDS(addr_mailbox(&b, dst, strlen(dst)) == 0 && b.nlocal == n);
		HOLDS(addr_mailbox(&b, was, strlen(was)) == 0 || strcmp(was, sender));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dst[ADDR_TEXT + 1], sender[512];
	int64_t day;

	if (size < 2 || size > sizeof(sender))
		return 0;
	day = (data[0] << 8 | data[1]) * INT64_C(7);
	size -= 2;
	memcpy(sender, data + 2, size);
	if (srs_reverse(&ours, dst, sender, size, day) == 0)
		HOLDS(srs_is(sender, size) && size <= ADDR_LOCAL && strchr(dst, '@'));
	else
		HOLDS(!*dst);
	sender[size] = '\0';
	there(sender, day);
	return 0;
}
