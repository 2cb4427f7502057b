/* See LICENSE file for copyright and licence details. */
/*
 * dkimcheck KEYS WHEN FILE...: verify the signatures of mails (LF or CR LF line ends) as the server
 * does; KEYS has lines "NAME RECORD" in place of the DNS. A line for each file: the result of the
 * signature on top and why. The body is fed in pieces of another size for each file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dkimcheck.h"
#include "lib/fs.h"

static char in[1 << 24], keys[1 << 16];
static struct dkimcheck d;
static struct {
	struct dns_query *q;
	char name[512];
} asked[DKIM_CHECKED];
static int nasked;

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	if (nasked == DKIM_CHECKED || type != DNS_TXTS) {
		errno = EAGAIN;
		return -1;
	}
	asked[nasked].q = q;
	(void)snprintf(asked[nasked++].name, sizeof(asked[0].name), "%s", name);
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	(void)q;
}

static void
answer(struct dns_query *q, const char *name)
{
	static struct dns_answer a;
	const char *p, *e;
	size_t n = strlen(name);

	a.status = DNS_NXDOMAIN;
	a.n = 0;
	for (p = keys; (e = strchr(p, '\n')) != NULL; p = e + 1) {
		if (strncmp(p, name, n) != 0 || p[n] != ' ')
			continue;
		a.status = DNS_OK;
		a.rr[a.n].text = p + n + 1;
		a.rr[a.n++].n = (size_t)(e - p) - n - 1;
	}
	q->done(q, &a);
}

static void
done(struct dkimcheck *x)
{
	(void)x;
}

static size_t
slurp(const char *file, char *p, size_t size)
{
	ssize_t r = fs_slurp(file, p, size - 1);
	size_t i, n = 0;

	if (r < 0) {
		perror(file);
		exit(2);
	}
	for (i = 0; i < (size_t)r; i++) {
		if (p[i] != '\r' || i + 1 == (size_t)r || p[i + 1] != '\n')
			p[n++] = p[i];
	}
	p[n] = '\0';
	return n;
}

static void
verify(const char *file, int64_t when, size_t piece)
{
	size_t at = 0, k, n = slurp(file, in, sizeof(in));
	int i;

	while (at < n && (in[at] != '\n' || (at && in[at - 1] != '\n')))
		at++;
	d.done = done;
	dkimcheck_header(&d, in, at, when);
	for (at += at < n; at < n; at += k) {
		k = n - at < piece ? n - at : piece;
		dkimcheck_body(&d, in + at, k);
	}
	nasked = 0;
	if (dkimcheck_finish(&d))
		for (i = 0; i < nasked; i++)
			answer(asked[i].q, asked[i].name);
	if (d.n)
		(void)printf("%s %s\n", dkim_word(d.sig[0].result), d.sig[0].reason);
	else
		(void)printf("unsigned\n");
}

int
main(int argc, char **argv)
{
	int i;

	if (argc > 2)
		(void)slurp(argv[1], keys, sizeof(keys));
	for (i = 3; i < argc; i++)
		verify(argv[i], atoll(argv[2]), (size_t)i % 97 + 1);
	return 0;
}
