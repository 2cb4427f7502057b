/* See LICENSE file for copyright and licence details. */
/* Letters that wait for other servers: their files. */
#include "relay.h"
