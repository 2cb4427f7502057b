/* See LICENSE file for copyright and licence details. */
/*
 * Forwarding: mail that an alias leads to outside addresses leaves with a sender of ours
 * (lib/srs.h), so that the next server does not take it for forged, and a bounce to it finds its
 * way back. The secret is the file srs.secret of the store: without it bounces under way are lost.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "lib/fs.h"
#include "lib/log.h"
#include "lib/srs.h"
#include "lib/text.h"
#include "relay.h"

enum { SECRET = 32, SECRET_MIN = 16 };

static unsigned char secret[2 * SECRET + 1];
static struct srs srs = { secret, 0, host };

/* The name that bounces come back to: a machine that others know. */
static const char *
domain(void)
{
	size_t i;

	for (i = 0; i < sizeof(domains) / sizeof(*domains); i++) {
		if (strcmp(domains[i], "localhost") != 0)
			return domains[i][0] ? domains[i] : host;
	}
	return host;
}

void
forward_init(void)
{
	ssize_t n = fs_slurp("srs.secret", (char *)secret, sizeof(secret));

	if (n < 0 && errno == ENOENT) {
		random_bytes(secret, SECRET);
		n = SECRET;
		if (fs_replace(".", "srs.secret.tmp", "srs.secret", secret, SECRET, 0600) < 0)
			die(EX_CANTCREAT, "srs.secret:");
	}
	if (n < 0)
		die(EX_IOERR, "srs.secret:");
	if (n < SECRET_MIN)
		die(EX_DATAERR, "srs.secret: shorter than %d octets; remove it to have a new one",
		    SECRET_MIN);
	srs.nsecret = (size_t)n;
	srs.domain = domain();
}

int
forward_sender(const char *sender, char dst[ADDR_TEXT + 1])
{
	const char *at = strrchr(sender, '@');

	if (!at || user_owns(at + 1, strlen(at + 1)))
		return text_copy(dst, ADDR_TEXT + 1, sender, strlen(sender));
	return srs_forward(&srs, dst, sender, loop_wall / 86400);
}

int
forward_reverse(const char *local, size_t n, char dst[ADDR_TEXT + 1])
{
	return srs_reverse(&srs, dst, local, n, loop_wall / 86400);
}

int
relay_sender(const struct sending *s, const char *sender, char dst[ADDR_TEXT + 1])
{
	if (s->forward)
		return forward_sender(sender, dst);
	return text_copy(dst, ADDR_TEXT + 1, sender, strlen(sender));
}
