/* with: lib/loop.c lib/log.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Connections of the loop: how they end, transports that are brought up and put in later, the pool
 * and its slots, slices of work, kinds that are no streams, the end of a turn.
 */
#include "t_loop.h"

/* ---- ends ---- */

static void
test_close(void)
{
	int i;

	begin(&echo);
	say("a\nclose\nb\n");
	CHECK_HEAR(5, "[a][close]$");
	CHECK(!gone() || !why);
	say("more");			/* it may go on talking: nobody looks at it */
	CHECK_HEAR(3, "$");
	finish();
	CHECK(!why);
	/* a client that stays is left after a while */
	begin(&echo);
	say("a\n");
	(void)hear(3);
	conn_close(server[0], "enough");
	CHECK_HEAR(3, "$");
	CHECK(!gone());
	for (i = 0; i < 5 && !gone(); i++) {
		say("x");
		ahead += 1;
		turns(3);
	}
	CHECK(gone() && i >= 1 && i < 4);
	CHECK_STR(why, "enough");
	finish();
	/* one that does not take our last words too */
	made = 0;
	limit = 3000000;
	begin(&producer);
	turns(2000);
	conn_close(server[0], "enough");
	turns(10);
	CHECK(!gone());
	ahead += 20;
	turns(3);
	CHECK(!gone());
	ahead += 20;
	turns(3);
	CHECK(gone());
	finish();
	/* and nothing is said after goodbye */
	begin(&echo);
	conn_put(server[0], "bye", 3);
	conn_close(server[0], "x");
	conn_put(server[0], "no", 2);
	conn_close(server[0], "y");
	CHECK_HEAR(3, "bye$");
	finish();
	CHECK_STR(why, "x");
}

static void
test_abort(void)
{
	int fd;

	begin(&echo);
	fd = server[0]->fd;
	say("a\n");
	(void)hear(3);
	conn_put(server[0], "lost", 4);
	conn_abort(server[0], "trouble");
	CHECK(!gone());			/* only marked */
	turns(1);
	CHECK(gone());
	CHECK_STR(why, "trouble");
	CHECK_INT(fcntl(fd, F_GETFD), -1);
	CHECK_HEAR(1, "$");
	finish();
	begin(&echo);
	say("a\nabort\nb\n");
	turns(2);
	CHECK(gone());
	finish();
	/* the peer is gone with our words unread */
	begin(&echo);
	say("a\n");
	turns(3);
	(void)close(client[0]);
	turns(3);
	CHECK(gone());
	CHECK(why && (!strcmp(why, "read failed") || !strcmp(why, "closed by peer")));
	client[0] = open("/dev/null", O_RDONLY);
	finish();
}

static void
test_eof(void)
{
	begin(&echo);
	say("a\nb\nhalf");
	CHECK_INT(shutdown(client[0], SHUT_WR), 0);
	CHECK_HEAR(6, "[a][b]$");
	CHECK(gone());
	CHECK_STR(why, "closed by peer");
	finish();
	begin(&echo);			/* the end comes while an answer is being delayed */
	say("delay\nb\n");
	CHECK_INT(shutdown(client[0], SHUT_WR), 0);
	CHECK_HEAR(6, "");
	CHECK(!gone());
	ahead += 4;
	CHECK_HEAR(6, "[delay][b]$");
	finish();
}

static void
test_too_long(void)
{
	static char big[BUFSZ + 1];

	memset(big, 'y', sizeof(big) - 1);
	begin(&echo);
	conn_put(server[0], big, BUFSZ);
	CHECK_INT(conn_room(server[0]), 0);
	(void)hear(5);
	CHECK_INT(ngot, BUFSZ);
	CHECK_INT(conn_room(server[0]), BUFSZ);
	conn_put(server[0], big, 5000);
	conn_put(server[0], big, 5000);
	turns(1);
	CHECK(gone());
	CHECK_STR(why, "reply too long");
	finish();
	begin(&echo);
	conn_printf(server[0], "%s", big);
	turns(1);
	CHECK(gone());
	CHECK_STR(why, "reply too long");
	finish();
	begin(&echo);
	big[BUFSZ / 2 - 1] = '\0';
	conn_printf(server[0], "%s", big);
	(void)hear(3);
	CHECK_INT(ngot, BUFSZ / 2 - 1);
	finish();
}

/* ---- other transports ---- */

/*
 * One that shakes hands for three turns, gives out a byte at a time and has the rest in its
 * pocket.
 */
static struct transport odd;
static int hands, finishing, released;
static char pocket[256];
static size_t npocket;

static int
odd_up(struct conn *c)
{
	(void)c;
	step('u');
	c->again = hands > 0;
	return hands-- > 0 ? 0 : hands < -50 ? -1 : 1;
}

static ssize_t
odd_read(struct conn *c, void *p, size_t n)
{
	ssize_t k;

	if (!npocket) {
		k = transport_plain.read(c, pocket, sizeof(pocket));
		if (k <= 0)
			return k;
		npocket = (size_t)k;
	}
	(void)n;
	memcpy(p, pocket, 1);
	memmove(pocket, pocket + 1, --npocket);
	return 1;
}

static int
odd_pending(struct conn *c)
{
	(void)c;
	return npocket > 0;
}

static int
odd_events(struct conn *c, int want)
{
	return c->closing ? want | POLLOUT : want;
}

static int
odd_finish(struct conn *c)
{
	(void)c;
	step('f');
	return finishing-- <= 0;
}

static void
odd_release(struct conn *c)
{
	(void)c;
	released++;
}

static int
put_odd(struct conn *c)
{
	step('o');
	c->tp = &odd;
	hands = 3;
	return 0;
}

static int
put_none(struct conn *c)
{
	(void)c;
	return -1;
}

static void
test_transport(void)
{
	int64_t t;

	odd = transport_plain;
	odd.up = odd_up;
	odd.events = odd_events;
	odd.read = odd_read;
	odd.pending = odd_pending;
	odd.finish = odd_finish;
	odd.release = odd_release;
	released = 0;
	hands = 3;
	ntrail = 0;
	ends = 0;
	open_pair(0, &polite, &odd);
	turns(8);
	CHECK_STR(trail, "uuuus");
	say("first\nsecond\n");
	t = loop_ms();
	while (loop_ms() - t < 20000 && !strstr(hear(0), "second"))
		loop_turn(10000, NULL, NULL);	/* it must not sleep over what is in the pocket */
	CHECK(loop_ms() - t < 9000);
	finishing = 3;
	ntrail = 0;
	conn_close(server[0], "enough");
	turns(8);
	CHECK_STR(trail, "ffff");
	finish();
	CHECK_INT(released, 1);
	/* never up: a deadline still holds */
	hands = 1 << 20;
	ends = 0;
	open_pair(0, &polite, &odd);
	conn_limit(server[0], 0, 5000);
	turns(5);
	CHECK(!gone());
	ahead += 6;
	turns(3);
	CHECK(gone());
	CHECK_STR(why, "timed out");
	finish();
	/* fails */
	hands = -100;
	ends = 0;
	open_pair(0, &polite, &odd);
	turns(3);
	CHECK(gone());
	CHECK_STR(why, "handshake failed");
	finish();
}

static void
test_upgrade(void)
{
	begin(&polite);
	say("plain\n");
	CHECK_HEAR(3, "[plain]");
	ntrail = 0;
	say("secret\nsecret\n");
	conn_put(server[0], "go", 2);
	conn_upgrade(server[0], put_odd);
	CHECK(conn_busy(server[0]));
	turns(1);
	CHECK(!strchr(trail, 'i'));
	/* through the new transport: it was not read before */
	CHECK_HEAR(40, "go[secret][secret]");
	CHECK(!strncmp(trail, "ouuuus", 6));
	finish();
	/* what was in the buffer is dropped: it had come without protection */
	begin(&polite);
	say("hold\ninjected\n");
	CHECK_HEAR(3, "[hold]");
	conn_resume(server[0]);
	conn_upgrade(server[0], put_odd);
	turns(10);
	CHECK_HEAR(3, "");
	say("after\n");
	CHECK_HEAR(12, "[after]");
	finish();
	begin(&polite);
	conn_upgrade(server[0], put_none);
	turns(3);
	CHECK(gone());
	CHECK_STR(why, "no TLS to be had");
	finish();
}

/* ---- many connections ---- */

static void
test_pool(void)
{
	int extra[2], i;

	ends = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, extra) < 0)
		abort();
	for (i = 0; i < CONNS - 2; i++)
		open_pair(i, &echo, &transport_plain);
	CHECK_INT(conn_free(), 2);
	CHECK(!conn_new(extra[0], &echo, &transport_plain, 2));
	open_pair(CONNS - 2, &echo, &transport_plain);
	open_pair(CONNS - 1, &echo, &transport_plain);
	CHECK(!conn_new(extra[0], &echo, &transport_plain, 0));
	CHECK_INT(fcntl(extra[0], F_GETFD) >= 0, 1);
	(void)close(client[2]);
	turns(3);
	CHECK_INT(conn_free(), 1);
	CHECK(!conn_at(2) && conn_at(3) && !conn_at(-1) && !conn_at(CONNS));
	server[2] = conn_new(extra[0], &echo, &transport_plain, 0);
	CHECK_INT(conn_slot(server[2]), 2);
	client[2] = extra[1];
	for (i = 0; i < CONNS; i++)
		CHECK_INT(send(client[i], "a\n", 2, 0), 2);
	turns(4);
	for (i = 0; i < CONNS; i++) {
		CHECK_INT(recv(client[i], got, 9, 0), 3);
		(void)close(client[i]);
	}
	turns(3);
	CHECK_INT(ends, CONNS + 1);
	CHECK_INT(conn_free(), CONNS);
	/* every buffer comes back: there are only two for each connection */
	for (i = 0; i < 200; i++) {
		begin(&echo);
		say("a\nb");
		turns(2);
		finish();
	}
}

/* One that closes its neighbour, and opens another in the same turn. */
static int spare = -1;

static void
murder(struct conn *c)
{
	size_t n;

	(void)conn_in(c, &n);
	conn_eat(c, n);
	conn_abort(server[1], "murdered");
	if (spare >= 0)
		server[2] = conn_new(spare, &echo, &transport_plain, 0);
	spare = -1;
}

static const struct kind murderer = { .name = "murderer", .input = murder, .end = ended };

static void
test_reuse(void)
{
	int fd[2];

	ends = 0;
	open_pair(0, &murderer, &transport_plain);
	open_pair(1, &echo, &transport_plain);
	open_pair(3, &echo, &transport_plain);	/* leaves a slot free in the middle */
	open_pair(4, &echo, &transport_plain);
	turns(2);
	(void)close(client[3]);
	turns(3);
	CHECK(!conn_at(2) && conn_at(3));
	ends = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		abort();
	spare = fd[0];
	CHECK_INT(send(fd[1], "new\n", 4, 0), 4);
	CHECK_INT(send(client[0], "x", 1, 0), 1);
	CHECK_INT(send(client[1], "old\n", 4, 0), 4);
	ntrail = 0;
	turns(1);
	CHECK_STR(trail, "e");		/* neither the dead nor the unborn has been looked at */
	CHECK(server[2] != server[1]);
	CHECK(!conn_at(1));
	turns(3);
	CHECK_STR(trail, "esi");
	CHECK(recv(client[1], got, 9, 0) <= 0);
	CHECK_INT(recv(fd[1], got, 9, 0), 5);
	(void)close(client[0]);
	(void)close(client[1]);
	(void)close(client[4]);
	(void)close(fd[1]);
	turns(5);
	CHECK_INT(conn_free(), CONNS);
	CHECK_INT(ends, 4);
}

/* ---- work ---- */

static void
test_work(void)
{
	int i;

	ends = 0;
	for (i = 0; i < 4; i++) {
		open_pair(i, &echo, &transport_plain);
		server[i]->listener = i == 3 ? 0 : 4;	/* so many slices */
	}
	turns(2);
	for (i = 0; i < 3; i++)
		conn_work(server[i]);
	ntrail = 0;
	turns(3);
	CHECK_INT(send(client[3], "hello\n", 6, 0), 6);
	turns(1);
	CHECK(strchr(trail, 'i') != NULL);
	/* one slice a turn: the others are served meanwhile */
	CHECK_INT(recv(client[3], got, 9, 0), 7);
	CHECK(slept(5000) < 4000);
	turns(20);
	for (i = 0; i < 12; i++)
		if (trail[i] == 'i')
			memmove(trail + i, trail + i + 1, strlen(trail + i));
	CHECK_STR(trail, "012012012012");
	for (i = 0; i < 3; i++)
		CHECK_INT(recv(client[i], got, 9, 0), 4);
	CHECK(slept(20) >= 19);
	for (i = 0; i < 4; i++)
		(void)close(client[i]);
	turns(4);
	CHECK_INT(conn_free(), CONNS);
	/* one that ends while it has work to do is not asked again */
	begin(&echo);
	server[0]->listener = 100;
	conn_work(server[0]);
	turns(2);
	conn_abort(server[0], "x");
	ntrail = 0;
	turns(3);
	CHECK_STR(trail, "e");
	finish();
	begin(&echo);
	conn_work(server[0]);
	conn_close(server[0], "x");
	turns(3);
	CHECK(!strchr(trail, '0'));
	finish();
}

/* ---- what is not a stream ---- */

static void
was_ready(struct conn *c, int revents)
{
	char b[8];

	step(revents & POLLIN ? 'r' : '?');
	if (read(c->fd, b, 1) == 1 && b[0] == 'p')
		conn_delay(c, 3000);
}

static const struct kind plug = { .name = "plug", .ready = was_ready, .end = ended };

static void
test_ready(void)
{
	int fd[2];
	struct conn *c;

	if (pipe(fd) < 0)
		abort();
	ends = 0;
	c = conn_new(fd[0], &plug, &transport_plain, 0);
	CHECK(c != NULL);
	ntrail = 0;
	turns(3);
	CHECK_INT(ntrail, 0);
	CHECK_INT(write(fd[1], "abp", 3), 3);
	turns(3);
	CHECK_STR(trail, "rrr");
	CHECK_INT(write(fd[1], "c", 1), 1);
	turns(3);
	CHECK_STR(trail, "rrr");	/* it rests */
	CHECK(slept(20) >= 19);
	ahead += 4;
	turns(3);
	CHECK_STR(trail, "rrrr");
	conn_abort(c, "x");
	turns(1);
	CHECK_INT(ends, 1);
	(void)close(fd[1]);
}

/* ---- the end of a turn ---- */

static int commits, owing;

static int
commit(int quiet)
{
	commits++;
	step(quiet ? 'q' : 'c');
	if (owing)
		return owing--;
	if (server[0]->held) {
		conn_put(server[0], "committed", 9);
		conn_resume(server[0]);
	}
	return 0;
}

static void
test_commit(void)
{
	int64_t t;

	begin(&echo);
	say("hold\nnext\n");
	commits = 0;
	ntrail = 0;
	loop_turn(0, NULL, commit);
	CHECK_STR(trail, "ic");
	CHECK_HEAR(0, "[hold]committed");	/* in the same turn */
	loop_turn(5000, NULL, commit);
	CHECK_HEAR(0, "[next]");
	CHECK_INT(commits, 2);
	finish();
	/* as long as it wants to wait for more, the loop does not sleep */
	begin(&echo);
	say("hold\n");
	ntrail = 0;
	owing = 3;
	loop_turn(5000, NULL, commit);
	CHECK_HEAR(0, "[hold]");
	t = loop_ms();
	while (ntrail < 5)
		loop_turn(5000, NULL, commit);
	CHECK(loop_ms() - t < 4000);
	CHECK_STR(trail, "icqqq");
	CHECK_HEAR(0, "committed");
	finish();
}

static volatile sig_atomic_t signalled;

static void
on_signal(int sig)
{
	(void)sig;
	signalled++;
}

/* Signals come through only while the loop sleeps, and wake it. */
static void
test_signal(void)
{
	struct sigaction sa;
	sigset_t block, during;
	int64_t t;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	(void)sigaction(SIGUSR1, &sa, NULL);
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &block, &during);
	(void)raise(SIGUSR1);
	CHECK_INT(signalled, 0);
	t = loop_ms();
	loop_turn(5000, &during, NULL);
	CHECK_INT(signalled, 1);
	CHECK(loop_ms() - t < 4000);
	(void)sigprocmask(SIG_SETMASK, &during, NULL);
}

int
main(void)
{
	loop_test_init();
	test_close();
	test_abort();
	test_eof();
	test_too_long();
	test_transport();
	test_upgrade();
	test_pool();
	test_reuse();
	test_work();
	test_ready();
	test_commit();
	test_signal();
	return test_end();
}
