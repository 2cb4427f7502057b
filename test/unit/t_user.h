/* The settings for t_user.c: config.h, but few accounts, and tables that the tests may write to. */
#define aliases shipped_aliases
#define domains shipped_domains
#define relay_domains shipped_relay_domains
#define ACCOUNTS SHIPPED_ACCOUNTS
#include "config.h"
#undef aliases
#undef domains
#undef relay_domains
#undef ACCOUNTS

enum { ACCOUNTS = 5 };

static const char *domains[] = { "example.org", "", "example.net" };

static const char *relays[] = { "", "behind.example" };
#define relay_domains relays

static struct alias aliases[16];
