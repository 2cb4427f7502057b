/* See LICENSE file for copyright and licence details. */
/* The settings for t_limit.c: config.h, but small numbers, which the tests may change. */
#define limits shipped_limits
#define tarpit shipped_tarpit
#define tarpit_max shipped_tarpit_max
#define trusted shipped_trusted
#define login_hourly shipped_login_hourly
#define COUNTED SHIPPED_COUNTED
/* the macro renames its type as well */
struct shipped_trusted {
	const char *network, *sender;
	int hourly;
};
#include "config.h"
#undef limits
#undef tarpit
#undef tarpit_max
#undef trusted
#undef login_hourly
#undef COUNTED

enum { COUNTED = 1024 };

static int64_t tarpit = 500, tarpit_max = 10000;
static const int login_hourly = 7;

/* What the stub of guard_trusted() in t_limit.c says. */
static const struct trusted trusted[] = {
	{ "10.0.0.0/8",  "", 3 },
	{ "fd00::/8",    "", 2 },
	{ "127.0.0.1",   "", 0 },
};

/* Not in the order of enum counted. */
static struct limit limits[] = {
	/* counted     address  network  window   ban */
	{ C_LOGINS,         3,       5,    1000, 60000 },
	{ C_OPEN,           2,       3,       0,     0 },
	{ C_MESSAGES,       4,       6,    2000,     0 },
	{ C_CONNECTS,      10,      20,   60000,     0 },
	{ C_REFUSED,        2,       0,    5000,  1500 },
};
