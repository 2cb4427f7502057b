/* See LICENSE file for copyright and licence details. */
/* The settings for t_guard.c: config.h, but other networks. */
#define login_hourly shipped_login_hourly
#define trusted shipped_trusted
/* the macro renames its type as well */
struct shipped_trusted {
	const char *network, *sender;
	int hourly;
};
#include "config.h"
#undef login_hourly
#undef trusted

static const int login_hourly = 7;

static struct trusted trusted[] = {
	{ "192.0.2.0/24",  "",              3 },
	{ "198.51.100.7",  "x@example.org", 0 },
	{ "2001:db8::/32", "",              2 },
	{ "::1/128",       "",              0 },
	{ "fe80::/10",     "",              0 },
};
