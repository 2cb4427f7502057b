/* See LICENSE file for copyright and licence details. */
/* The command line that programs expect: sendmail, mailq, newaliases. */
#include "mail.h"
