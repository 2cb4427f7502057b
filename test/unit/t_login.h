/* See LICENSE file for copyright and licence details. */
/* The settings for t_login.c: config.h, but small tables, short waits and few rounds. */
#define login_delay shipped_login_delay
#define login_delay_max shipped_login_delay_max
#define login_forget shipped_login_forget
#define password_rounds shipped_password_rounds
#define GUARDED SHIPPED_GUARDED
#include "config.h"
#undef login_delay
#undef login_delay_max
#undef login_forget
#undef password_rounds
#undef GUARDED

enum { GUARDED = 4 };

static const int64_t login_delay = 20, login_delay_max = 100, login_forget = 5000;
static const uint32_t password_rounds = 5000;
