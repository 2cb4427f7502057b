/* See LICENSE file for copyright and licence details. */
/* A resolver that never blocks. */
#include "dns.h"
