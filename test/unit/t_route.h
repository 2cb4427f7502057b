/* See LICENSE file for copyright and licence details. */
/* The settings for t_route.c: config.h with other routes. */
#define routes shipped_routes
#include "config.h"
#undef routes

static const struct route routes[] = {
	{ "smart.org", "*", "smart.example", 587, ROUTE_MUST, "", "", ROUTE_SMTP },
	{ "*", ".lmtp.example", "[127.0.0.1]", 24, ROUTE_CLEAR, "", "", ROUTE_LMTP },
	{ "*", "*", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP },
};
