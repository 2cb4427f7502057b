/* See LICENSE file for copyright and licence details. */
/* Where to: the rows of routes[], MX records, addresses. */
#include "relay.h"
