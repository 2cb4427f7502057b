/* See LICENSE file for copyright and licence details. */
/*
 * Logins, and what failed ones cost. A password is checked in slices, so that deriving its key does
 * not stall the loop, and a name that does not exist costs what a wrong password costs. The last
 * password that was right for an account is remembered as a keyed tag, so that a client that comes
 * every minute is not derived anew each time; a wrong one always takes the long way. Failures are
 * counted by address, never by account: nobody can lock out somebody else.
 */
#define _GNU_SOURCE
#include <string.h>

#include <bearssl_hash.h>
#include <bearssl_hmac.h>

#include "lib/text.h"
#include "mail.h"

enum {
	TAG = 32,		/* octets of HMAC-SHA-256 */
	STEP = 128		/* rounds between two looks at the clock */
};

/* After failed logins. */
struct peer {
	struct ip net;		/* all of an IPv4 address, a /64 of IPv6 */
	int64_t delay;		/* what the last failure cost; the next one costs twice that */
	int64_t last;		/* loop_now of the last failure; 0: free entry */
	unsigned char tried[8];	/* as in struct login */
};

static struct peer peers[GUARDED];
static struct {
	int set;
	unsigned char b[TAG];
} tags[ACCOUNTS];
static br_hmac_key_context boot_key;
static int booted;

/* ---- failures by address ---- */

static struct ip
network(const struct ip *peer)
{
	struct ip net = *peer;

	if (!ip_is4(peer))
		memset(net.a + 8, 0, 8);
	return net;
}

static struct peer *
find(const struct ip *net)
{
	int i;

	for (i = 0; i < GUARDED; i++)
		if (peers[i].last && !memcmp(&peers[i].net, net, sizeof(*net)))
			return &peers[i];
	return NULL;
}

/* A free entry, or the one that has been quiet for longest. */
static struct peer *
replace(const struct ip *net)
{
	struct peer *p = &peers[0];
	int i;

	for (i = 1; i < GUARDED && p->last; i++)
		if (peers[i].last < p->last)
			p = &peers[i];
	memset(p, 0, sizeof(*p));
	p->net = *net;
	return p;
}

int64_t
guard_failed(const struct ip *peer)
{
	struct ip net = network(peer);
	struct peer *p = find(&net);

	if (!p)
		p = replace(&net);
	else if (loop_now - p->last > login_forget)
		p->delay = 0;
	p->delay = p->delay ? 2 * p->delay : login_delay;
	if (p->delay > login_delay_max)
		p->delay = login_delay_max;
	p->last = loop_now ? loop_now : 1;
	return p->delay;
}

int
guard_repeats(const struct login *l, const struct ip *peer)
{
	struct ip net = network(peer);
	struct peer *p = find(&net);
	int again;

	if (!p)
		return 0;
	again = !memcmp(p->tried, l->tried, sizeof(p->tried));
	memcpy(p->tried, l->tried, sizeof(p->tried));
	return again;
}

void
guard_passed(const struct ip *peer)
{
	struct ip net = network(peer);
	struct peer *p = find(&net);

	if (p)
		p->last = 0;
}

/* ---- tags of passwords that were right ---- */

static void
boot(void)
{
	unsigned char key[TAG];

	if (booted)
		return;
	random_bytes(key, sizeof(key));
	br_hmac_key_init(&boot_key, &br_sha256_vtable, key, sizeof(key));
	scram_wipe(key, sizeof(key));
	booted = 1;
}

/* HMAC of two strings, kept apart by the NUL of the first. */
static void
hmac(unsigned char out[TAG], const char *a, const char *b)
{
	br_hmac_context h;

	br_hmac_init(&h, &boot_key, 0);
	br_hmac_update(&h, a, strlen(a) + 1);
	br_hmac_update(&h, b, strlen(b));
	br_hmac_out(&h, out);
	scram_wipe(&h, sizeof(h));
}

static int
same(const unsigned char *a, const unsigned char *b, size_t n)
{
	unsigned char d = 0;
	size_t i;

	for (i = 0; i < n; i++)
		d |= a[i] ^ b[i];
	return !d;
}

/* Is it the password that was right last time, for the verifier that holds now? */
static int
remembered(const struct login *l, const struct user *u)
{
	unsigned char tag[TAG];

	hmac(tag, u->verifier, l->sasl.password);
	return tags[l->slot].set && same(tag, tags[l->slot].b, TAG);
}

/* Only if the account still has the verifier that was checked: passwords change while we derive. */
static void
remember(const struct login *l, const struct user *u)
{
	struct scram_verifier v;

	if (scram_parse(&v, u->verifier, strlen(u->verifier)) < 0 ||
	    !same(v.stored, l->verifier.stored, sizeof(v.stored)))
		return;
	hmac(tags[l->slot].b, u->verifier, l->sasl.password);
	tags[l->slot].set = 1;
}

/* ---- logins ---- */

static void
wipe(struct login *l)
{
	sasl_wipe(&l->sasl);
	scram_wipe(&l->verifier, sizeof(l->verifier));
	scram_wipe(&l->work, sizeof(l->work));
	l->state = L_IDLE;
}

/* For a name that does not exist: the work of one that does, always with the same salt. */
static void
dummy(struct login *l)
{
	unsigned char tag[TAG];

	l->slot = -1;
	hmac(tag, "salt", l->sasl.name);
	memset(&l->verifier, 0, sizeof(l->verifier));
	l->verifier.iterations = password_rounds;
	l->verifier.nsalt = SCRAM_SALT;
	memcpy(l->verifier.salt, tag, SCRAM_SALT);
}

enum res
login_start(struct login *l)
{
	const struct user *u;

	boot();
	l->state = L_IDLE;
	l->slot = -1;
	if (user_load() < 0) {
		wipe(l);
		return R_TEMP;
	}
	l->slot = user_login(l->sasl.name, strlen(l->sasl.name));
	u = user_at(l->slot);
	if (u && remembered(l, u)) {
		wipe(l);
		return R_OK;
	}
	if (!u || scram_parse(&l->verifier, u->verifier, strlen(u->verifier)) < 0)
		dummy(l);
	scram_start(&l->work, &l->verifier, l->sasl.password, strlen(l->sasl.password));
	l->state = L_DERIVE;
	return R_AGAIN;
}

/* The derivation is complete: is it the account's, and is there still such an account? */
static enum res
verdict(struct login *l)
{
	const struct user *u = user_at(l->slot);

	if (!scram_check(&l->work, &l->verifier) || !u || u->gone)
		return R_PERM;
	remember(l, u);
	return R_OK;
}

enum res
login_work(struct login *l, int *slot)
{
	unsigned char tag[TAG];
	int64_t start = loop_ms();
	enum res r;

	if (l->state == L_DERIVE) {
		while (!scram_step(&l->work, STEP))
			if (loop_ms() - start >= SLICE_MS)
				return R_AGAIN;
		r = verdict(l);
		hmac(tag, l->sasl.name, l->sasl.password);
		memcpy(l->tried, tag, sizeof(l->tried));
		wipe(l);
		if (r != R_OK)
			l->slot = -1;
	}
	*slot = l->slot;
	return l->slot < 0 ? R_PERM : R_OK;
}
