/* See LICENSE file for copyright and licence details. */
/* The settings for t_grey.c: config.h, but a small table, and times that the tests may change. */
#define grey_wait shipped_grey_wait
#define grey_retry shipped_grey_retry
#define grey_known shipped_grey_known
#define GREYS SHIPPED_GREYS
#include "config.h"
#undef grey_wait
#undef grey_retry
#undef grey_known
#undef GREYS

enum { GREYS = 2048 };

static int64_t grey_wait = 300000, grey_retry = 86400000, grey_known = 3024000000;
