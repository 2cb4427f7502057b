/* See LICENSE file for copyright and licence details. */
/* One session with another server, SMTP or LMTP. */
#include "relay.h"
