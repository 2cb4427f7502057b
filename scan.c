/* See LICENSE file for copyright and licence details. */
/* (being written) */
#include "check.h"
