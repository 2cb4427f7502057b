/* with: lib/loop.c lib/log.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * The loop, over socket pairs: who is called when, and when not; holds, delays and deadlines;
 * what a peer that does not listen can make it keep.
 */
#include "t_loop.h"

/* ---- input ---- */

static size_t
echoed(char *out, size_t size, const char *in, size_t n, const struct cut *cut)
{
	size_t at, piece, k = 0;

	begin(&echo);
	for (at = 0; at < n; at += piece) {
		piece = test_piece(cut, at, n);
		if (send(client[0], in + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			break;
		(void)hear(3);
		memcpy(out + k, got, ngot);
		k += ngot;
		if (k && out[k - 1] == '$')
			break;
	}
	if (!k || out[k - 1] != '$') {
		(void)hear(4);
		memcpy(out + k, got, ngot);
		k += ngot;
	}
	(void)size;
	finish();
	return k;
}

static void
test_input(void)
{
	static char in[30000];
	char *p;
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = i % 11 && i % 5003 ? 'a' : '\n';
	CHECK_SPLIT(echoed, in, 2000);
	CHECK_SPLIT(echoed, "a\nbc\n\nclose\nnot this\n", 21);
	begin(&echo);
	say("half a");
	CHECK_HEAR(5, "");
	say(" line\nand");
	CHECK_HEAR(5, "[half a line]");
	finish();
	CHECK_STR(why, "closed by peer");
	/* a line that fills the buffer and is not eaten */
	p = in;
	memset(p, 'x', sizeof(in));
	begin(&echo);
	CHECK_INT(send(client[0], p, BUFSZ - 1, 0), BUFSZ - 1);
	CHECK_HEAR(10, "");
	CHECK(!gone());
	say("x");
	turns(5);
	CHECK(gone());
	CHECK_STR(why, "input not understood");
	finish();
}

/* One that takes a byte at a time and says nothing gets the next one without another event. */
static void
nibble(struct conn *c)
{
	conn_eat(c, 1);
}

static const struct kind nibbler = { .name = "nibbler", .input = nibble, .end = ended };

static void
test_nibbler(void)
{
	static char in[BUFSZ];
	size_t n;

	begin(&nibbler);
	CHECK_INT(send(client[0], in, BUFSZ, 0), BUFSZ);
	turns(1);
	for (n = 0; n < BUFSZ && slept(5000) < 4000; n++)
		;
	CHECK(!gone());
	CHECK(!server[0]->in);
	finish();
}

static int
resume(int quiet)
{
	(void)quiet;
	conn_resume(server[0]);
	return 0;
}

/* A connection that was left with input in its buffer is looked at without another event. */
static void
test_hold(void)
{
	begin(&echo);
	say("a\nhold\nb\nc\n");
	CHECK_HEAR(10, "[a][hold]");
	CHECK(conn_busy(server[0]));
	conn_limit(server[0], 100, 100);
	ahead += 10;
	say("d\n");
	CHECK_HEAR(10, "");	/* no deadline while it is held */
	conn_limit(server[0], 0, 0);
	conn_resume(server[0]);
	CHECK_HEAR(4, "[b][c][d]");
	finish();
	/* silence counts from its end */
	begin(&polite);
	conn_limit(server[0], 5000, 0);
	say("hold\n");
	CHECK_HEAR(3, "[hold]");
	ahead += 10;
	loop_turn(0, NULL, resume);
	CHECK_HEAR(3, "");
	CHECK(!server[0]->expired);
	ahead += 6;
	CHECK_HEAR(3, "late");
	finish();
	/* the client has said all and closed its side: it gets its answers all the same */
	begin(&echo);
	say("hold\nlast\n");
	CHECK_INT(shutdown(client[0], SHUT_WR), 0);
	CHECK_HEAR(10, "[hold]");
	CHECK(!gone());
	conn_resume(server[0]);
	CHECK_HEAR(10, "[last]$");
	CHECK(gone());
	finish();
}

static void
test_delay(void)
{
	begin(&polite);
	conn_limit(server[0], 5000, 0);
	say("a\ndelay\nb\n");
	CHECK_HEAR(10, "");	/* what was in the output waits too */
	ahead += 2;
	CHECK_HEAR(10, "");
	ahead += 2;
	CHECK_HEAR(5, "[a][delay][b]");
	ahead += 4;			/* silence counts from the end of the delay */
	CHECK_HEAR(5, "");
	ahead += 2;
	CHECK_HEAR(5, "late");
	finish();
	begin(&polite);
	conn_limit(server[0], 1000, 0);		/* less than the delay */
	say("delay\n");
	turns(3);
	ahead += 4;
	CHECK_HEAR(5, "[delay]");
	CHECK(!server[0]->expired);
	finish();
}

/* ---- deadlines ---- */

static void
test_idle(void)
{
	int i;

	begin(&polite);
	conn_limit(server[0], 5000, 0);
	for (i = 0; i < 5; i++) {
		ahead += 3;
		say("a\n");
		CHECK_HEAR(3, "[a]");
	}
	ahead += 6;
	turns(3);
	CHECK_HEAR(3, "late");
	CHECK(!gone());
	turns(10);
	CHECK_INT(strlen(strchr(trail, 'x')), 1);	/* told once */
	ahead += 6;
	turns(3);
	CHECK(gone());
	CHECK_STR(why, "timed out");
	finish();
	begin(&echo);			/* a kind that has nothing to say */
	conn_limit(server[0], 5000, 0);
	ahead += 6;
	turns(2);
	CHECK(gone());
	CHECK_STR(why, "timed out");
	finish();
}

static void
test_total(void)
{
	int i;

	begin(&polite);
	conn_limit(server[0], 5000, 12000);
	for (i = 0; i < 3; i++) {
		ahead += 3;
		say("a\n");
		CHECK_HEAR(3, "[a]");
	}
	ahead += 4;
	say("a\n");
	CHECK_HEAR(1, "[a]late");
	CHECK_HEAR(3, "$");		/* that was its chance to end in order */
	CHECK_STR(why, "timed out");
	finish();
	begin(&polite);			/* a new state: the count begins anew */
	for (i = 0; i < 3; i++) {
		conn_limit(server[0], 0, 5000);
		ahead += 4;
		CHECK_HEAR(3, "");
	}
	finish();
}

static void
test_sleep(void)
{
	int64_t t;

	begin(&polite);
	turns(3);
	t = slept(30);
	CHECK_MSG(t >= 29, "%d ms", (int)t);
	conn_limit(server[0], 40, 0);
	t = slept(5000);
	CHECK_MSG(t >= 30 && t < 4000, "%d ms", (int)t);
	CHECK_HEAR(1, "late");
	conn_limit(server[0], 0, 0);
	server[0]->expired = 0;
	say("hold\nb\n");
	turns(5);
	t = slept(30);		/* its input does not wake the loop again and again */
	CHECK_MSG(t >= 29, "%d ms", (int)t);
	conn_resume(server[0]);
	t = slept(5000);
	CHECK_MSG(t < 4000, "%d ms", (int)t);
	finish();
}

/* ---- peers that do not listen ---- */

static void
test_producer(void)
{
	size_t before, i;

	made = 0;
	limit = 3000000;
	begin(&producer);
	turns(2000);
	before = made;
	CHECK_MSG(made < 1000000, "%lu bytes are waiting", (unsigned long)made);
	ntrail = 0;
	turns(100);
	CHECK_INT(made, before);
	CHECK_INT(ntrail, 0);		/* nobody is asked in vain */
	CHECK(slept(20) >= 19);
	for (i = 0; i < 3000000; ) {
		size_t k;

		(void)hear(20);
		for (k = 0; k < ngot && got[k] == (char)('a' + (i + k) % 23); k++)
			;
		if (!CHECK(ngot && k == ngot))
			break;
		i += ngot;
	}
	CHECK_INT(i, 3000000);
	turns(3);
	CHECK(slept(20) >= 19);		/* and when all is said the loop sleeps */
	finish();
}

/* Commands without end, and answers that nobody reads: what is taken in is bounded as well. */
static void
test_deaf(void)
{
	char line[64];
	size_t in = 0, out = 0;
	ssize_t n;
	int i, idle = 0;

	memset(line, 'q', sizeof(line));
	line[63] = '\n';
	begin(&echo);
	for (i = 0; i < 1000000 && idle < 50; i++) {
		n = send(client[0], line + in % 64, 64 - in % 64, MSG_NOSIGNAL);
		in += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turns(1);
	}
	CHECK_INT(idle, 50);
	CHECK(server[0]->bytes_in - server[0]->bytes_out < 2 * BUFSZ);
	CHECK(slept(20) >= 19);
	for (idle = 0; idle < 50; idle++) {
		(void)hear(2);
		out += ngot;
		if (ngot)
			idle = 0;
	}
	CHECK_INT(out, in / 64 * 65);
	finish();
}

int
main(void)
{
	loop_test_init();
	test_input();
	test_nibbler();
	test_hold();
	test_delay();
	test_idle();
	test_total();
	test_sleep();
	test_producer();
	test_deaf();
	return test_end();
}
