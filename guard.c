/* See LICENSE file for copyright and licence details. */
/*
 * Is this peer welcome? The order of what is found out about it, and what follows from that.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"

enum { NTRUSTED = sizeof(trusted) / sizeof(*trusted) };

/* ---- networks that need no login ---- */

/* "address" or "address/bits": 0 or -1. */
static int
parse_network(struct ip *net, int *bits, const char *text)
{
	char address[IP_TEXT];
	size_t n = strcspn(text, "/");
	uint64_t v = 128;
	int most;

	if (text_copy(address, sizeof(address), text, n) < 0 || ip_parse(net, address) < 0)
		return -1;
	most = ip_is4(net) ? 32 : 128;
	if (text[n] && (text_u64(text + n + 1, strlen(text + n + 1), &v) < 0 || v > (uint64_t)most))
		return -1;
	*bits = text[n] ? (int)v + 128 - most : 128;
	return 0;
}

int
guard_trusted(const struct ip *peer)
{
	struct ip net;
	int bits, i;

	for (i = 0; i < NTRUSTED; i++) {
		if (parse_network(&net, &bits, trusted[i].network) < 0 ||
		    ip_is4(&net) != ip_is4(peer))
			continue;
		if (ip_within(peer, &net, bits))
			return i;
	}
	return -1;
}

void
guard_check(void)
{
	struct addr a;
	struct ip net;
	int bits, i;

	for (i = 0; i < NTRUSTED; i++) {
		if (parse_network(&net, &bits, trusted[i].network) < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d \"%s\": not an address or "
			    "network", i + 1, trusted[i].network);
		if (trusted[i].sender[0] &&
		    addr_mailbox(&a, trusted[i].sender, strlen(trusted[i].sender)) < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d \"%s\": its sender is not an "
			    "address", i + 1, trusted[i].network);
		if (trusted[i].hourly < 0)
			die(EX_CONFIG, "config.h: trusted[] row %d: hourly is negative", i + 1);
	}
	if (login_hourly < 0)
		die(EX_CONFIG, "config.h: login_hourly is negative");
}
