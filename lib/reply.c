/* See LICENSE file for copyright and licence details. */
/* Replies of an SMTP server, read strictly. */
#include "reply.h"
