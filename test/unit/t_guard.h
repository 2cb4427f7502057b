/* See LICENSE file for copyright and licence details. */
/* The settings for t_guard.c: config.h, but other networks and lists. */
#define login_hourly shipped_login_hourly
#define trusted shipped_trusted
#define dnslists shipped_dnslists
#define policies shipped_policies
/* the macro renames its type as well */
struct shipped_trusted {
	const char *network, *sender;
	int hourly;
};
#include "config.h"
#undef login_hourly
#undef trusted
#undef dnslists
#undef policies

static const int login_hourly = 7;

static struct trusted trusted[] = {
	{ "192.0.2.0/24",  "",              3 },
	{ "198.51.100.7",  "x@example.org", 0 },
	{ "2001:db8::/32", "",              2 },
	{ "::1/128",       "",              0 },
	{ "fe80::/10",     "",              0 },
};

static struct dnslist dnslists[] = {
	{ "bad.test",  "127.0.0.[2-9]", A_REFUSE },
	{ "good.test", "127.0.5.1",     A_ACCEPT },
	{ "",          "",              A_REFUSE },
};

/* As shipped, once main() has copied them. */
static struct policy policies[sizeof(shipped_policies) / sizeof(*shipped_policies)];
