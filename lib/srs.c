/* See LICENSE file for copyright and licence details. */
/* Sender rewriting for forwarded mail. */
#include "srs.h"
