/* See LICENSE file for copyright and licence details. */
/* The keys that sign our mail: dkim/DOMAIN.pem, and the command that makes them. */
#include "mail.h"
