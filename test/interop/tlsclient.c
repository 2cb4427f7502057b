/* See LICENSE file for copyright and licence details. */
/*
 * TLS as a client, on its own: tlsclient PORT NAME WORD connects to 127.0.0.1, shakes hands as
 * routes[] of config.h would have it with `verify` WORD, says "hello" and shows what comes back. It
 * prints "up VERSION SUITE" and the answer, or "down" and why. tls/ca.pem is in the directory it
 * is started in.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mail.h"

enum { CONNS = 2, LIMIT_MS = 15000 };

char host[HOST_TEXT] = "mx.example.org";

static struct conn conns[CONNS];
static struct buf bufs[2 * CONNS];
static struct pollfd polls[CONNS];
static int ups;

static void
began(struct conn *c)
{
	ups = 1;
	printf("up %s %s\n", tls_version(c), tls_cipher(c));
	conn_put(c, "hello\n", 6);
}

static void
input(struct conn *c)
{
	const char *p;
	size_t n;

	p = conn_in(c, &n);
	(void)fwrite(p, 1, n, stdout);
	if (memchr(p, '\n', n))
		conn_close(c, "heard enough");
	conn_eat(c, n);
}

static void
end(struct conn *c)
{
	if (!ups)
		printf("down %s\n", c->why ? c->why : "no reason");
}

static const struct kind kind = { "client", began, input, NULL, NULL, NULL, NULL, end };

static int
dial(int port)
{
	struct sockaddr_in in = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_family = AF_INET;
	in.sin_port = htons((uint16_t)port);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	return fd;
}

/* Microseconds of processor time: what others take is not ours. */
static int64_t
cpu(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
	static const struct loop_memory mem = { conns, bufs, polls, CONNS };
	struct tls_trust t;
	struct conn *c;
	int64_t before, until, slow = 0;
	int fd;

	if (argc != 4 || tls_trust(&t, argv[3]) < 0)
		return 2;
	fd = dial((int)strtol(argv[1], NULL, 10));
	if (fd < 0) {
		perror("connect");
		return 2;
	}
	loop_init(&mem);
	c = conn_new(fd, &kind, &transport_plain, 0);
	if (tls_connect(c, argv[2], &t) < 0)
		conn_abort(c, c->why ? c->why : "no reason");
	for (until = loop_now + LIMIT_MS; conn_at(0) && loop_now < until;) {
		before = cpu();
		loop_turn(100, NULL, NULL);
		if (cpu() - before > slow)
			slow = cpu() - before;
	}
	if (conn_at(0))
		printf("down no end\n");
	fprintf(stderr, "longest turn %d us\n", (int)slow);
	return fflush(stdout) || !ups;
}
