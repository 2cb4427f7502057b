/* See LICENSE file for copyright and licence details. */
/* The settings for t_guard.c: config.h, but small tables, short waits and few rounds. */
#define login_delay shipped_login_delay
#define login_delay_max shipped_login_delay_max
#define login_forget shipped_login_forget
#define login_hourly shipped_login_hourly
#define trusted shipped_trusted
#define password_rounds shipped_password_rounds
#define GUARDED SHIPPED_GUARDED
/* the macro renames its type as well */
struct shipped_trusted {
	const char *network, *sender;
	int hourly;
};
#include "config.h"
#undef login_delay
#undef login_delay_max
#undef login_forget
#undef login_hourly
#undef trusted
#undef password_rounds
#undef GUARDED

enum { GUARDED = 4 };

static const int64_t login_delay = 20, login_delay_max = 100, login_forget = 5000;
static const uint32_t password_rounds = 5000;
static const int login_hourly = 7;

static struct trusted trusted[] = {
	{ "192.0.2.0/24",  "",              3 },
	{ "198.51.100.7",  "x@example.org", 0 },
	{ "2001:db8::/32", "",              2 },
	{ "::1/128",       "",              0 },
	{ "fe80::/10",     "",              0 },
};
