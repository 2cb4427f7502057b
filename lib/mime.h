/* The names of attachments: RFC 2045, 2046, 2047, 2183, 2231, however deep they are nested. */
#ifndef MIME_H
#define MIME_H

#include <stddef.h>

enum {
	MIME_DEPTH = 16,	/* multiparts within each other; deeper ones are read as text */
	MIME_NAME = 512		/* octets of a name; longer ones are cut in the middle, the end stays */
};

/* A message passing by. Everything below `arg` is lib/mime.c's own. */
struct mime;

/* The whole message (header, blank line, body; LF line ends) is fed piece by piece; `name` is told
 * each file name that a part goes by (filename= and name=, also of the message itself and within
 * message/rfc822), decoded, UTF-8 as far as it says so, control octets made '?', NUL-terminated.
 * An unnamed part with a dangerous type (application/x-msdownload, ...) is nobody's business here. */
struct mime_user {
	void (*name)(void *arg, const char *name, size_t n);
	void *arg;
};

/* (struct mime stands here, with sizes: see lib/mime.c's owner.) */

#endif
