/* with: letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * Letters coming in side by side, more than there are pens for, in pieces of any size, some given
 * up and some failing: each comes as it was written. And who shares a sync with whom.
 */
#include "rooms.h"

enum { LETTERS = 150, TEXT = 24 << 10, SIZE = 8 << 20 };

static struct one {
	struct letter l;
	enum { IDLE, OPEN, FINISHED, DONE, GIVEN_UP } state;
	enum res answer;
	size_t n;
	char text[TEXT];
} letters[LETTERS];

static char box[SIZE];
static uint64_t seed = 7;
static int alice;

static void
answered(struct letter *l, enum res r)
{
	struct one *o = (struct one *)(void *)((char *)l - offsetof(struct one, l));

	CHECK_INT(o->state, FINISHED);
	o->state = DONE;
	o->answer = r;
	letter_abort(l);
}

static void
begin(int i)
{
	struct one *o = &letters[i];
	struct user_set to;
	char trace[256];

	memset(&to, 0, sizeof(to));
	to.bit[alice / 8] = (unsigned char)(1 << alice % 8);
	o->n = 0;
	o->state = OPEN;
	if (letter_begin(&o->l, i, "s@far.example", 13, "") != R_OK ||
	    letter_rcpt(&o->l, "alice@localhost", 15, &to) != R_OK) {
		letter_abort(&o->l);
		o->state = IDLE;
		return;
	}
	o->n = trace_field(trace, sizeof(trace), o->l.id);
	trace[o->n++] = '\n';
	memcpy(o->text, trace, o->n);
	letter_text(&o->l, o->text, o->n);
}

static void
more(int i)
{
	static const char letter[] = "abcdefghijklmnopqrstuvwxyz";
	struct one *o = &letters[i];
	size_t k, n = test_random(&seed) % 8 ? 200 : 9000;

	n = test_random(&seed) % n;

	if (n > TEXT - o->n - 1)
		n = TEXT - o->n - 1;
	for (k = 0; k < n; k++)
		o->text[o->n + k] = test_random(&seed) % 40 ? letter[(i + (int)k) % 26] : '\n';
	letter_text(&o->l, o->text + o->n, n);
	o->n += n;
}

static void
finish(int i)
{
	struct one *o = &letters[i];

	letter_text(&o->l, "\n", 1);
	o->text[o->n++] = '\n';
	o->l.done = answered;
	o->state = FINISHED;
	letter_finish(&o->l);
}

static void
give_up(int i)
{
	letter_abort(&letters[i].l);
	letters[i].state = GIVEN_UP;
}

static void
settle(void)
{
	int i;

	(void)store_commit(1);
	fault_clear();
	for (i = 0; i < 6; i++) {
		pass_s(6);
		ticks();
	}
	CHECK(!store_broken());
}

static void
check_all(int round)
{
	size_t n = slurp("mail/alice", box, sizeof(box));
	const char *p;
	int i, k, all = 0;

	for (i = 0; i < LETTERS; i++) {
		struct one *o = &letters[i];

		CHECK(o->state != FINISHED);
		if (o->state != DONE && o->state != GIVEN_UP)
			continue;
		for (k = 0, p = box; (p = memmem(p, n - (size_t)(p - box), o->text, o->n)); p++)
			k++;
		(void)CHECK_MSG(k == (o->state == DONE && o->answer == R_OK),
		    "round %d: letter %d, answer %d: it is there %d times", round, i,
		    o->state == DONE ? (int)o->answer : -1, k);
		all++;
	}
	CHECK(all > 0);
	(void)unlink("mail/alice");
}

/* Everything at random, with one in about `every` calls failing now and then (0: none). */
static void
jumble(int round, int what, unsigned every, int err)
{
	int at, i;

	last_id = 0x1000u * (unsigned)(round + 1);
	for (i = 0; i < LETTERS; i++)
		letters[i].state = IDLE;
	for (at = 0; at < 4000; at++) {
		if (every && at % 50 == 0 && !store_broken())
			fault_set(what, 1 + (int)(test_random(&seed) % every), 0, err);
		i = (int)(test_random(&seed) % LETTERS);
		if (letters[i].state == IDLE)
			begin(i);
		else if (letters[i].state == OPEN && test_random(&seed) % 16 == 0)
			give_up(i);
		else if (letters[i].state == OPEN && test_random(&seed) % 12 == 0)
			finish(i);
		else if (letters[i].state == OPEN)
			more(i);
		if (test_random(&seed) % 10 == 0)
			(void)store_commit(test_random(&seed) % 4 == 0);
		if (test_random(&seed) % 100 == 0)
			(void)store_tick();
	}
	for (i = 0; i < LETTERS; i++)
		if (letters[i].state == OPEN)
			finish(i);
	settle();
	check_all(round);
}

static void
test_jumble(void)
{
	static const struct {
		int what;
		unsigned every;
		int err;
	} t[] = {
		{ F_NONE, 0, 0 }, { F_WRITE, 30, EIO }, { F_WRITE, 30, ENOSPC }, { F_SYNC, 10,
		    EIO },
		{ F_ANY, 40, EIO }
	};
	size_t i;
	int round;

	for (i = 0; i < LEN(t); i++)
		for (round = 0; round < 6; round++)
			jumble((int)i * 10 + round, t[i].what, t[i].every, t[i].err);
}

/* Letters that come within a few turns share a sync; quiet makes an end of waiting. */
static void
test_shared(void)
{
	unsigned before;
	int i;

	for (i = 0; i < 3; i++)
		letters[i].state = IDLE;
	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(store_commit(0), 0);		/* nothing to do */
	begin(0);
	begin(1);
	begin(2);
	finish(0);
	finish(1);
	before = nsyncs;
	CHECK_INT(store_commit(1), 0);
	CHECK_INT(nsyncs, before + 1);
	CHECK_INT(letters[0].state, DONE);
	CHECK_INT(letters[1].state, DONE);
	before = nsyncs;
	finish(2);
	for (i = 0; i < 20 && store_commit(0); i++)
		CHECK_INT(letters[2].state, FINISHED);
	CHECK_INT(nsyncs, before + 1);
	CHECK(i < 10);				/* it does not wait for ever */
	CHECK_INT(letters[2].state, DONE);
	/* a client that is gone before its letter was answered for */
	begin(0);
	finish(0);
	letter_abort(&letters[0].l);
	CHECK_INT(letters[0].state, DONE);
	CHECK_INT(letters[0].answer, R_OK);
	settle();
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int
main(void)
{
	int before;

	store_here();
	alice = user_find("alice", 5);
	before = descriptors();
	test_shared();
	test_jumble();
	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(descriptors(), before);
	return test_end();
}
