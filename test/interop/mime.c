/* See LICENSE file for copyright and licence details. */
/*
 * mime FILE...: the names of attachments in messages (LF line ends): a tab and FILE for each, then
 * one for each name. The text is fed in pieces of another size for each file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mime.h"

static char in[1 << 24];
static struct mime m;

static void
name(void *arg, const char *p, size_t n)
{
	(void)arg;
	(void)fwrite(p, 1, n, stdout);
	(void)putchar('\n');
}

int
main(int argc, char **argv)
{
	size_t n, at, k, piece;
	FILE *f;
	int i;

	for (i = 1; i < argc; i++) {
		f = fopen(argv[i], "rb");
		if (!f) {
			perror(argv[i]);
			return 2;
		}
		n = fread(in, 1, sizeof(in), f);
		(void)fclose(f);
		(void)printf("\t%s\n", argv[i]);
		piece = (size_t)i % 97 + 1;
		mime_init(&m, name, NULL);
		for (at = 0; at < n; at += k) {
			k = n - at < piece ? n - at : piece;
			mime_feed(&m, in + at, k);
		}
		mime_finish(&m);
	}
	return 0;
}
