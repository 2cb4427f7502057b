/* See LICENSE file for copyright and licence details. */
/* The sockets in the store, and the postmaster's view of the queue. */
#include "relay.h"
