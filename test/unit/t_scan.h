/* See LICENSE file for copyright and licence details. */
/* The settings for t_scan.c: config.h, but the rows of scanners[] are the test's. */
#define scanners shipped_scanners
#include "config.h"
#undef scanners

extern struct scanner scanners[3];
