/* See LICENSE file for copyright and licence details. */
/* DKIM signatures. */
#include "dkim.h"
