/* See LICENSE file for copyright and licence details. */
/* The settings for t_pop3.c: config.h, but with waits that the tests may change, and few errors. */
#define login_delay shipped_login_delay
#define login_delay_max shipped_login_delay_max
#define password_rounds shipped_password_rounds
#define pop3_login shipped_pop3_login
#define pop3_idle shipped_pop3_idle
#define ERRORS SHIPPED_ERRORS
#include "config.h"
#undef login_delay
#undef login_delay_max
#undef password_rounds
#undef pop3_login
#undef pop3_idle
#undef ERRORS

enum { ERRORS = 5 };

static int64_t login_delay, login_delay_max = 1000;
static int64_t pop3_login = 60000, pop3_idle = 600000;
static const uint32_t password_rounds = 4096;
