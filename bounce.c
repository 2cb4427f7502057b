/* See LICENSE file for copyright and licence details. */
/* Reports to senders, RFC 3464. */
#include "relay.h"
