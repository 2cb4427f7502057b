/* See LICENSE file for copyright and licence details. */
/*
 * A POP3 client that costs little, for measuring a server on 127.0.0.1. Prints "name value" lines.
 *   pop3 open PORT USER PASSWORD         one session: USER PASS STAT LIST UIDL QUIT, seconds each
 *   pop3 retr PORT USER PASSWORD DEPTH   RETR of everything, DEPTH commands ahead of the answers
 *   pop3 sessions PORT USER PASSWORD CLIENTS SECONDS
 *       whole sessions (USER PASS STAT QUIT, to the close); with more than one client, client i is
 *       the user "<i>USER", from 1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 64, LINE = 600, SAMPLES = 1 << 18 };

struct client {
	int fd, step;
	size_t n;
	double born;
	char line[LINE];
};

static char in[1 << 18];
static size_t have, used;	/* in in[] */
static int sock = -1, port;
static float latency[SAMPLES];

static void
die(const char *what, const char *why)
{
	(void)printf("error %s %s\n", what, why);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
dial(void)
{
	struct sockaddr_in a;
	int fd, on = 1;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_port = htons((unsigned short)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void
say(const char *s, size_t n)
{
	ssize_t r;

	while (n) {
		r = send(sock, s, n, MSG_NOSIGNAL);
		if (r <= 0)
			die("send", strerror(errno));
		s += r;
		n -= (size_t)r;
	}
}

static void
more(void)
{
	ssize_t r;

	if (used < have)
		memmove(in, in + used, have - used);
	have -= used;
	used = 0;
	if (have == sizeof(in))
		die("read", "line too long");
	r = read(sock, in + have, sizeof(in) - have);
	if (r <= 0)
		die("read", r ? strerror(errno) : "end");
	have += (size_t)r;
}

/* The next line; valid until the next call. Its length without CR LF goes to *n. */
static const char *
line(size_t *n)
{
	const char *p, *e;

	while (!(e = memchr(in + used, '\n', have - used)))
		more();
	p = in + used;
	used = (size_t)(e - in) + 1;
	*n = (size_t)(e - p);
	if (*n && p[*n - 1] == '\r')
		(*n)--;
	return p;
}

/* A first line that must begin with +OK; its text goes to dst. */
static size_t
ok(char *dst, size_t size)
{
	size_t n, k;
	const char *p = line(&n);

	k = n < size - 1 ? n : size - 1;
	memcpy(dst, p, k);
	dst[k] = '\0';
	if (n < 3 || memcmp(p, "+OK", 3) != 0)
		die("reply", dst);
	return n + 2;
}

/* The lines up to the final dot: their octets. Looks for the dot only, not at each line. */
static size_t
body(void)
{
	static const char end[] = "\r\n.\r\n";
	size_t total = 0, n;
	const char *p;

	while (have - used < 3)
		more();
	if (memcmp(in + used, ".\r\n", 3) == 0) {
		used += 3;
		return 3;
	}
	for (;;) {
		p = memmem(in + used, have - used, end, 5);
		if (p) {
			n = (size_t)(p - (in + used)) + 5;
			used += n;
			return total + n;
		}
		if (have - used > 4) {
			n = have - used - 4;
			used += n;
			total += n;
		}
		more();
	}
}

static double
command(const char *name, const char *cmd, int multi)
{
	char text[LINE];
	double t = now();

	say(cmd, strlen(cmd));
	(void)ok(text, sizeof(text));
	if (multi)
		(void)body();
	t = now() - t;
	if (name)
		(void)printf("%s %.6f\n", name, t);
	return t;
}

static long
login(const char *user, const char *password)
{
	char text[LINE];
	double t = now();

	sock = dial();
	if (sock < 0)
		die("connect", strerror(errno));
	(void)ok(text, sizeof(text));
	(void)printf("greeting %.6f\n", now() - t);
	(void)snprintf(text, sizeof(text), "USER %s\r\n", user);
	(void)command("user", text, 0);
	(void)snprintf(text, sizeof(text), "PASS %s\r\n", password);
	(void)command("pass", text, 0);
	t = now();
	say("STAT\r\n", 6);
	(void)ok(text, sizeof(text));
	(void)printf("stat %.6f\n", now() - t);
	return strtol(text + 3, NULL, 10);
}

static void
finish(void)
{
	double t = now();

	(void)command("quit", "QUIT\r\n", 0);
	while (read(sock, in, sizeof(in)) > 0)
		continue;
	(void)printf("closed %.6f\n", now() - t);
}

static int
open_one(char **v)
{
	(void)printf("messages %ld\n", login(v[0], v[1]));
	(void)command("list", "LIST\r\n", 1);
	(void)command("uidl", "UIDL\r\n", 1);
	finish();
	return 0;
}

static int
retrieve(char **v)
{
	long depth = strtol(v[2], NULL, 10), count = login(v[0], v[1]), asked = 0, got = 0;
	char cmds[LINE * 8], text[LINE];
	double t = now(), bytes = 0;
	size_t n;

	while (got < count) {
		/* fill up when half of what was asked for has come */
		n = 0;
		while (asked - got <= depth / 2 || n) {
			if (asked == count || asked - got >= depth || n > sizeof(cmds) - 32)
				break;
			n += (size_t)snprintf(cmds + n, sizeof(cmds) - n, "RETR %ld\r\n", ++asked);
		}
		if (n)
			say(cmds, n);
		(void)ok(text, sizeof(text));
		bytes += (double)body();
		got++;
	}
	t = now() - t;
	(void)printf("messages %ld\nbytes %.0f\nseconds %.6f\n", got, bytes, t);
	finish();
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int
client_start(struct client *c)
{
	c->born = now();
	c->step = 0;
	c->n = 0;
	c->fd = dial();
	return c->fd < 0 ? -1 : 0;
}

/* The answer to a step has come: send the next command. -1: the session fails. */
static int
client_step(struct client *c, int i, int clients, char **v)
{
	char cmd[LINE];
	int n;

	if (c->line[0] != '+')
		return -1;
	switch (c->step++) {
	case 0:
		if (clients > 1)
			n = snprintf(cmd, sizeof(cmd), "USER %d%s\r\n", i + 1, v[0]);
		else
			n = snprintf(cmd, sizeof(cmd), "USER %s\r\n", v[0]);
		break;
	case 1:
		n = snprintf(cmd, sizeof(cmd), "PASS %s\r\n", v[1]);
		break;
	case 2:
		n = snprintf(cmd, sizeof(cmd), "STAT\r\n");
		break;
	case 3:
		n = snprintf(cmd, sizeof(cmd), "QUIT\r\n");
		break;
	default:
		return 0;
	}
	c->n = 0;
	return send(c->fd, cmd, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* There is something to read: 0: go on; 1: the session has ended as it should; -1: it failed. */
static int
client_read(struct client *c, int i, int clients, char **v)
{
	ssize_t r = read(c->fd, c->line + c->n, sizeof(c->line) - c->n);

	if (r <= 0)
		return !r && c->step == 5 ? 1 : -1;
	c->n += (size_t)r;
	if (!memchr(c->line, '\n', c->n))
		return c->n < sizeof(c->line) ? 0 : -1;
	return client_step(c, i, clients, v);
}

static int
sessions(char **v)
{
	static struct client c[CLIENTS];
	struct pollfd p[CLIENTS];
	int clients = (int)strtol(v[2], NULL, 10), i, r, live = 1;
	double start = now(), end = start + (double)strtol(v[3], NULL, 10), last = start;
	size_t n = 0, failed = 0;

	if (clients < 1 || clients > CLIENTS)
		die("clients", v[2]);
	for (i = 0; i < clients; i++)
		c[i].fd = -1;
	while (live && failed < 100 && now() < end + 30) {
		live = 0;
		for (i = 0; i < clients; i++) {
			if (c[i].fd < 0 && now() < end && client_start(&c[i]) < 0)
				failed++;
			p[i].fd = c[i].fd;
			p[i].events = POLLIN;
			live += c[i].fd >= 0;
		}
		(void)poll(p, (nfds_t)clients, 1000);
		for (i = 0; i < clients; i++) {
			if (c[i].fd < 0 || !p[i].revents)
				continue;
			r = client_read(&c[i], i, clients, v);
			if (!r)
				continue;
			(void)close(c[i].fd);
			c[i].fd = -1;
			last = now();
			if (r > 0 && n < SAMPLES)
				latency[n++] = (float)(last - c[i].born);
			failed += r < 0;
		}
	}
	qsort(latency, n, sizeof(latency[0]), compare);
	(void)printf("sessions %zu\nfailed %zu\nseconds %.6f\n", n, failed, last - start);
	if (n) {
		(void)printf("p50 %.6f\n", (double)latency[n / 2]);
		(void)printf("p99 %.6f\n", (double)latency[n * 99 / 100]);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	(void)alarm(300);
	if (argc > 2)
		port = (int)strtol(argv[2], NULL, 10);
	if (argc == 5 && strcmp(argv[1], "open") == 0)
		return open_one(argv + 3);
	if (argc == 6 && strcmp(argv[1], "retr") == 0)
		return retrieve(argv + 3);
	if (argc == 7 && strcmp(argv[1], "sessions") == 0)
		return sessions(argv + 3);
	(void)fprintf(stderr, "usage: see the head of pop3.c\n");
	return 64;
}
