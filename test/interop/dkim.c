/* See LICENSE file for copyright and licence details. */
/*
 * dkim DOMAIN WHEN FILE...: in a store, sign mails (LF line ends) with its key for the domain, as
 * the server does. To FILE.signed goes the mail as it would be sent, CR LF; a line for each file
 * says whether it could be signed, and the domain in its From field, which need not be DOMAIN. The
 * text is fed in pieces of another size for each file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dkim.h"
#include "mail.h"

static char in[1 << 24];
static struct dkim_sign d;

/* What sign.c takes from tls.c, for the command that is not run here. */
void
random_bytes(void *p, size_t n)
{
	(void)p;
	(void)n;
	abort();
}

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static void
put(FILE *f, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			(void)fputc('\r', f);
		(void)fputc(p[i], f);
	}
	if (n && p[n - 1] != '\n')
		(void)fputs("\r\n", f);
}

static size_t
feed(const char *file, size_t piece)
{
	size_t at, k, n;
	ssize_t r;

	r = fs_slurp(file, in, sizeof(in));
	if (r < 0)
		fail(file);
	n = (size_t)r;
	dkim_init(&d);
	for (at = 0; at < n; at += k) {
		k = n - at < piece ? n - at : piece;
		dkim_feed(&d, in + at, k);
	}
	return n;
}

static void
sign(const char *file, const char *domain, int64_t when, size_t piece)
{
	char field[DKIM_FIELD], from[ADDR_DOMAIN + 1], path[4096];
	const br_rsa_private_key *key = sign_key(domain);
	size_t n = feed(file, piece);
	long len = -1;
	FILE *f;

	if (dkim_from(&d, from, sizeof(from)) < 0)
		from[0] = '\0';
	else if (key)
		len = dkim_finish(&d, field, domain, "maild", key, when);
	(void)printf("%s %s\n", len < 0 ? "unsigned" : "signed", *from ? from : "-");
	if (len < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s.signed", file);
	f = fopen(path, "wb");
	if (!f)
		fail(path);
	put(f, field, (size_t)len);
	put(f, in, n);
	if (fclose(f))
		fail(path);
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 3; i < argc; i++)
		sign(argv[i], argv[1], atoll(argv[2]), (size_t)i % 97 + 1);
	return 0;
}
