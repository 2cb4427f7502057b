/* See LICENSE file for copyright and licence details. */
/* Mail on its way out: which letter when, to which host. */
#include "relay.h"
