/* with: lib/addr.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Paths and mailboxes. What is accepted holds no byte that could hurt, its parts lie where they
 * should and are accepted again by themselves; what stands behind it does not matter.
 */
#include "fuzz.h"
#include "lib/addr.h"

static void
parts(const struct addr *a, const char *p, size_t n, int allow)
{
	char dst[ADDR_LOCAL + 1];
	struct addr b;
	size_t i, len;

	HOLDS(a->mailbox >= p && a->mailbox + a->nmailbox <= p + n);
	HOLDS(a->local == a->mailbox && a->nlocal > 0 && a->nlocal <= ADDR_LOCAL);
	HOLDS(a->ndomain <= ADDR_DOMAIN);
	for (i = 0; i < a->nmailbox; i++)
		HOLDS((a->mailbox[i] >= ' ' && a->mailbox[i] <= '~') ||
		    ((allow & ADDR_UTF8) && (a->mailbox[i] & 0x80)));
	for (i = 0; i < a->nmailbox; i += len) {
		len = a->mailbox[i] & 0x80 ? addr_utf8(a->mailbox + i, a->nmailbox - i) : 1;
		HOLDS(len > 0);		/* as a whole it is UTF-8 */
	}
	if (a->ndomain) {
		HOLDS(a->domain == a->local + a->nlocal + 1 && a->domain[-1] == '@');
		HOLDS(a->nmailbox == a->nlocal + 1 + a->ndomain);
		HOLDS(a->literal ? addr_literal(a->domain, a->ndomain) :
		    addr_domain(a->domain, a->ndomain) == addr_ascii(a->domain, a->ndomain));
		if (addr_mailbox(&b, a->mailbox, a->nmailbox) == 0)
			HOLDS(b.nlocal == a->nlocal && b.ndomain == a->ndomain);
		else
			HOLDS(!addr_ascii(a->mailbox, a->nmailbox));
	} else {
		HOLDS(allow & ADDR_BARE);
		HOLDS(a->nmailbox == a->nlocal);
	}
	i = addr_local(dst, a);
	HOLDS(i <= a->nlocal && strlen(dst) == i);
}

static void
path(const char *p, size_t n, int allow)
{
	struct addr a, b;
	long len;

	len = addr_path(&a, p, n, allow);
	if (len < 0)
		return;
	HOLDS(len >= 2 && (size_t)len <= n && p[0] == '<' && p[len - 1] == '>');
	HOLDS(addr_path(&b, p, (size_t)len, allow) == len);
	HOLDS(addr_path(&b, p, (size_t)len - 1, allow) == -1);
	if (len > 2)
		parts(&a, p, n, allow);
	else
		HOLDS((allow & ADDR_NULL) && !a.nmailbox && !a.nlocal && !a.ndomain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p;
	struct addr a;
	int allow;

	p = (const char *)data;
	for (allow = 0; allow <= (ADDR_NULL | ADDR_BARE | ADDR_UTF8); allow++)
		path(p, size, allow);
	if (addr_mailbox(&a, p, size) == 0)
		parts(&a, p, size, 0);
	if (addr_literal(p, size))
		HOLDS(!addr_domain(p, size) && p[0] == '[');
	return 0;
}
