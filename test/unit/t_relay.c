/* with: relay.c outcome.c out.c letter.c store.c queue.c recover.c box.c user.c lib/addr.c lib/fs.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The schedule of the relay, over the real store: when letters are due, which sessions are begun,
 * what becomes of each outcome. Name servers, sessions and reports are made up here; the clock is
 * ours.
 */
#include "t_relay.h"

static void
test_outcomes(void)
{
	static const char *const one[] = { "a@x.example" };
	static const char *const three[] = { "a@x.example", "b@x.example NOTIFY=SUCCESS",
	    "c@y.example" };
	static const char *const forward[] = { "a@x.example",
	    "b@x.example FORWARD=list@localhost" };

	post_out(one, 1);
	CHECK(relay_busy(id));
	run();
	CHECK_INT(nasked, 1);
	answer(1, 0);
	run();
	CHECK_INT(ntalks, 1);
	CHECK_INT(talk("s"), 1);
	CHECK_STR(states(), "gone");
	CHECK(!relay_busy(id));
	CHECK(was_logged("sent to=\"a@x.example\" host=mx0.x.example"));

	post_out(three, 3);		/* x.example is known by now */
	go();
	CHECK_INT(ntalks, 2);
	CHECK_INT(talk("sfl"), 3);
	CHECK_STR(states(), "DDT");
	CHECK_STR(reports, "sent a@x.example ;failed b@x.example 5.1.1;");
	CHECK(outcome_words(id, 0) == NULL);
	at(401);
	run();
	CHECK_INT(talk("s"), 1);
	CHECK_STR(states(), "gone");

	post_out(forward, 2);
	run();
	CHECK_INT(ntalks, 1);
	CHECK_INT(talk("s"), 2);
	CHECK_STR(states(), "gone");

	/* what cannot be reported now stays */
	report_result = -1;
	post_out(one, 1);
	run();
	CHECK_INT(talk("f"), 1);
	CHECK_STR(states(), "T");
	report_result = 0;
	at(401);
	run();
	CHECK_INT(talk("f"), 1);
	CHECK_STR(states(), "gone");
}

/* The schedule: tried 400 n^2 seconds after the birth, told of after 4 hours, back after 5 days. */
static void
test_schedule(int restart)
{
	static const char *const one[] = { "late@x.example" };
	int64_t t, want = 0, last = 0;
	int n = 0;

	post_out(one, 1);
	for (t = 0; t <= 432000; t += 100) {
		at(t);
		pass_s(100);
		at(t);
		if (restart && n > 1 && t == last + 500)
			relay_init();
		go();
		if (!ntalks)
			continue;
		CHECK_INT(t, want);
		last = t;
		CHECK_INT(talk("l"), 1);
		n++;
		want = t < 432000 ? 400 * (int64_t)n * n : 0;
		if (want > 432000)
			want = 432000;
		CHECK_STR(states(), t < 14400 ? "T" : t < 432000 ? "WT" : "gone");
	}
	CHECK_INT(n, 34);
	CHECK_STR(reports, "delayed late@x.example 4.2.0;failed late@x.example 4.2.0;");
}

static void
test_hosts(void)
{
	static const char *const one[] = { "a@two.example" }, *const bad[] = { "a@none.example" };
	static const char *const norow[] = { "a@norow.example" };

	post_out(one, 1);
	run();
	answer(2, 0);
	run();
	CHECK_STR(talks[0].hop.host, "mx0.two.example");
	refuse_all(OVER_TLS);			/* once more in clear text */
	run();
	CHECK_STR(talks[0].hop.host, "mx0.two.example");
	CHECK_INT(talks[0].hop.clear, 1);
	refuse_all(OVER_CONNECT);		/* the other one */
	run();
	CHECK_STR(talks[0].hop.host, "mx1.two.example");
	refuse_all(OVER_CONNECT);		/* none is left: it rests */
	run();
	CHECK_INT(ntalks, 0);
	CHECK_STR(states(), "T");
	CHECK(!relay_busy(id));
	CHECK_STR(outcome_words(id, 25), "connection refused");
	CHECK(was_logged("deferred to=\"a@two.example\" host=- status=4.4.1"));
	post_out(one, 1);			/* another letter does not even try */
	run();
	CHECK_INT(ntalks + nasked, 0);
	CHECK_STR(states(), "T");
	CHECK_INT(relay_flush("two.example"), 0);	/* unless it is told to */
	run();
	answer(2, 0);
	run();
	CHECK_INT(talk("s"), 2);
	CHECK_STR(states(), "gone");

	post_out(bad, 1);
	run();
	answer(0, WAY_LATER);
	run();
	CHECK_STR(states(), "T");
	CHECK_INT(relay_flush(id), 1);
	run();
	answer(0, WAY_NEVER);
	run();
	CHECK_STR(states(), "gone");
	CHECK_STR(reports, "failed a@none.example 5.1.2;");

	post_out(norow, 1);
	run();
	CHECK_STR(states(), "gone");
	CHECK_STR(reports, "failed a@norow.example 5.4.4;");
}

static void
test_postmaster(void)
{
	static const char *const two[] = { "a@x.example", "b@x.example" };

	post_out(two, 2);
	errno = 0;
	CHECK_INT(relay_drop(id, 1), -1);
	CHECK_INT(errno, EBUSY);
	go();
	CHECK_INT(talk("l"), 2);
	CHECK_INT(relay_due(id), born + 400);
	CHECK_INT(out_hold(id), 0);
	at(401);
	run();
	CHECK_INT(ntalks, 0);
	CHECK_INT(relay_flush(id), 1);
	go();
	CHECK_INT(talk("sl"), 2);
	CHECK_STR(states(), "DT");
	CHECK_INT(relay_drop(id, 1), 0);
	CHECK_STR(reports, "sent a@x.example ;failed b@x.example 5.0.0;");
	CHECK_STR(states(), "gone");
	CHECK_INT(relay_drop(id, 1), -1);
	CHECK_INT(errno, ENOENT);
	CHECK_INT(relay_flush(id), -1);
	CHECK_INT(errno, ENOENT);
}

/* More recipients than one transaction takes, and more letters than one session. */
static void
test_many(void)
{
	static char names[150][40];
	const char *rcpt[150];
	int i;

	for (i = 0; i < 150; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "r%d@x.example", i);
		rcpt[i] = names[i];
	}
	post_out(rcpt, 150);
	go();
	CHECK_INT(ntalks, 1);
	CHECK_INT(talk("s"), 150);
	CHECK_STR(states(), "gone");
}

/* One session tries a host; when that is greeted there may be more, as many as the host takes. */
static void
test_probes(void)
{
	static const char *const one[] = { "a@probe.example" };
	struct sending *s;
	int i;

	for (i = 0; i < 40; i++)
		post_out(one, 1);
	go();
	CHECK_INT(ntalks, 1);
	s = talks[0].u->next(talks[0].arg);
	run();
	CHECK_INT(ntalks, PER_HOST);
	s->to[0].outcome = O_SENT;
	talks[0].u->sent(talks[0].arg, s);
	ntalks--;
	talks[ntalks].u->over(talks[ntalks].arg, OVER_CONNECT, "4.7.0", "too many connections");
	run();
	CHECK_INT(ntalks, PER_HOST - 1);
	CHECK_INT(talk("s"), 39);
	CHECK_STR(states(), "gone");
	CHECK(!was_logged("deferred"));
	for (i = 0; i < 40; i++)		/* it remembers */
		post_out(one, 1);
	run();
	CHECK_INT(ntalks, PER_HOST - 1);
	CHECK_INT(talk("s"), 40);
}

/* How many syncs a checkpoint takes when so many letters wait. */
static unsigned
checkpoint(int letters)
{
	static const char *const one[] = { "a@syncs.example" };
	unsigned before;
	int i;

	for (i = 0; i < letters; i++)
		post_out(one, 1);
	before = nsyncs;
	CHECK_INT(store_checkpoint(), 0);
	return nsyncs - before;
}

static void
test_syncs(void)
{
	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(checkpoint(3), 3 + 2);	/* and the directory, and the journal */
	CHECK_INT(checkpoint(40), 1 + 2);
	fault_set(F_SYNC, 41, 0, EIO);		/* that of the whole file system: one by one */
	CHECK_INT(checkpoint(40), 41 + 2);
	CHECK_INT(fault_clear(), 1);
	go();
	CHECK_INT(talk("s"), 83);
	CHECK_INT(checkpoint(0), 2);		/* what is gone needs none */
}

/* Hosts that say nothing do not take all sessions from the others. */
static void
test_silence(void)
{
	char name[40];
	const char *one[1] = { name };
	int i;

	for (i = 0; i < CLIENTS; i++) {
		(void)snprintf(name, sizeof(name), "a@s%d.example", i);
		post_out(one, 1);
	}
	go();
	CHECK_INT(ntalks, (CLIENTS + 1) / 2);
	(void)snprintf(name, sizeof(name), "a@probe.example");	/* is known to be well */
	for (i = 0; i < 9; i++)
		post_out(one, 1);
	go();
	CHECK_INT(ntalks, (CLIENTS + 1) / 2 + PER_HOST - 1);
	CHECK(talk("s") >= 9);
	pass_s(1);
	run();
	CHECK(talk("s") > 0);
	run();
	CHECK_INT(ntalks, 0);
	CHECK_STR(states(), "gone");
}

/* The server ends and starts again: what was never tried goes at once. */
static void
test_start(void)
{
	static const char *const one[] = { "a@x.example" };

	store_out = NULL;
	post_out(one, 1);
	relay_init();
	go();
	CHECK_INT(talk("s"), 1);
	CHECK_STR(states(), "gone");
}

/*
 * Its file could not be made: the journal keeps the letter, and it goes when the disk allows it,
 * even if nothing else comes meanwhile.
 */
static void
test_owed(void)
{
	static const char *const one[] = { "a@x.example" };

	CHECK_INT(store_checkpoint(), 0);
	fault_set(F_NAME, 1, 1, ENOSPC);
	post_out(one, 1);
	CHECK(fault_clear() > 0);
	CHECK_STR(states(), "gone");
	pass_s(2);
	ticks();
	at(2);
	CHECK_STR(states(), "T");
	go();
	CHECK_INT(talk("s"), 1);
	CHECK_STR(states(), "gone");
}

/* In a busy queue there is a walk every few seconds: what is late or from the future is found by
 * them. */
static void
test_grid(void)
{
	static const char *const one[] = { "a@x.example" };
	int64_t b, t, due;
	int n;

	report_result = -1;
	post_out(one, 1);
	go();
	CHECK_INT(talk("l"), 1);
	for (n = 0, t = 432000; t < 432600; t += 20) {
		at(t);
		CHECK_INT(relay_flush("other.example"), 0);
		go();
		n += talk("l");
	}
	CHECK(n >= 9 && n <= 12);
	report_result = 0;
	at(t + 60);
	go();
	CHECK_INT(talk("l"), 1);
	CHECK_STR(states(), "gone");
	b = mail_birth(id);
	for (n = 0, t = 0; t < b - 4000; t += 20)
		n += (due = outcome_due(id, t)) <= t + 20 && due > t;
	CHECK_INT(n, (b - 4000) / 3600);
}

/* A session of before a rest ends while the name servers are asked anew: that question is under way
 * still. */
static void
test_asking(void)
{
	static const char *const one[] = { "a@rest.example" };
	struct sending *first, *s;
	int i;

	for (i = 0; i < 9; i++)
		post_out(one, 1);
	go();
	first = talks[0].u->next(talks[0].arg);
	first->to[0].outcome = O_SENT;
	run();
	CHECK_INT(ntalks, PER_HOST);
	s = talks[1].u->next(talks[1].arg);
	s->to[0].outcome = O_SENT;
	for (i = PER_HOST - 1; i > 1; i--)
		talks[i].u->over(talks[i].arg, OVER_LOGIN, "4.7.8", "no");
	CHECK_INT(relay_flush("rest.example"), 0);
	run();
	CHECK_INT(nasked, 1);
	talks[1].u->sent(talks[1].arg, s);
	talks[1].u->over(talks[1].arg, OVER_LOGIN, "4.7.8", "no");
	CHECK_INT(relay_flush("rest.example"), 0);
	run();
	CHECK_INT(nasked, 1);
	ntalks = 1;
	talks[0].u->sent(talks[0].arg, first);
	CHECK_INT(talk("s"), 7);
	CHECK_STR(states(), "gone");
	answer(1, 0);
}

/* How many files are in a directory. */
static int
files_in(const char *path)
{
	struct fs_dir d;
	int n = 0;

	if (fs_diropen(&d, path) < 0)
		abort();
	while (fs_dirnext(&d))
		n++;
	return n;
}

/* The disk is mended, and the store has looked at what is on it. */
static void
heal(int64_t age)
{
	CHECK(fault_clear() > 0);
	CHECK(store_broken());
	pass_s(6);
	ticks();
	CHECK(!store_broken());
	at(age);
	relay_new(NULL);	/* as the store has said, but by the clock of the letters */
}

/* Files that cannot be synced when there are too many of them to remember: the journal has them. */
static void
test_unsynced(void)
{
	static const char *const one[] = { "a@x.example" };
	int i;

	CHECK_INT(store_checkpoint(), 0);
	for (i = 0; i < 512; i++)
		post_out(one, 1);
	fault_set(F_SYNC, 2, 1, EIO);
	post_out(one, 1);
	heal(6);
	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(files_in("spool/out"), 513);
	go();
	CHECK_INT(talk("s"), 513);
	CHECK_INT(files_in("spool/out"), 0);
}

/* What was noted as sent stays so when the store must be healed, wherever the note is. */
static void
test_healed(void)
{
	static const char *const two[] = { "a@x.example", "b@y.example" };
	struct sending *s;
	int again;

	/* in the journal, not yet synced */
	CHECK_INT(store_checkpoint(), 0);
	post_out(two, 1);
	go();
	CHECK_INT(talk("s"), 1);
	fault_set(F_SYNC, 1, 0, EIO);
	CHECK_INT(store_checkpoint(), -1);
	heal(6);
	CHECK_STR(states(), "gone");

	/* in the file only, as the journal takes nothing; or in neither of them */
	for (again = 0; again < 2; again++) {
		CHECK_INT(store_checkpoint(), 0);
		post_out(two, 1);
		go();
		CHECK_INT(ntalks, 1);
		s = talks[0].u->next(talks[0].arg);
		if (!CHECK(s != NULL))
			return;
		fault_set(again ? F_WRITE : F_SYNC, 1, again, again ? ENOSPC : EIO);
		if (!again)
			CHECK_INT(post("alice", NULL, "x\n", 2), R_TEMP);
		s->to[0].outcome = O_SENT;
		talks[0].u->sent(talks[0].arg, s);
		CHECK(talks[0].u->next(talks[0].arg) == NULL);
		talks[0].u->over(talks[0].arg, OVER_DONE, "", "");
		ntalks = 0;
		heal(6);
		run();
		CHECK_STR(states(), "gone");
	}

	/* in a file that is made anew meanwhile */
	CHECK_INT(store_checkpoint(), 0);
	post_out(two, 2);
	go();
	CHECK_INT(ntalks, 2);
	s = talks[0].u->next(talks[0].arg);
	fault_set(F_SYNC, 1, 0, EIO);
	CHECK_INT(store_checkpoint(), -1);
	heal(6);
	CHECK_STR(states(), "TT");
	s->to[0].outcome = O_SENT;
	talks[0].u->sent(talks[0].arg, s);
	CHECK_STR(states(), "DT");
	(void)talk("s");
	CHECK_STR(states(), "gone");
}

/* A recipient is tried when the letter is due, also while another one is still with a slow
 * server. */
static void
test_slow(void)
{
	static const char *const two[] = { "a@slow.example", "b@quick.example" };
	struct sending *s, *t;

	at(10);
	run();
	at(-5);
	CHECK_INT(relay_flush("other.example"), 0);
	run();
	post_out(two, 2);
	go();
	CHECK_INT(ntalks, 2);
	s = talks[0].u->next(talks[0].arg);
	t = talks[1].u->next(talks[1].arg);
	t->to[0].outcome = O_LATER;
	talks[1].u->sent(talks[1].arg, t);
	talks[1].u->over(talks[1].arg, OVER_DONE, "", "");
	at(3);		/* nor by a walk for others */
	CHECK_INT(relay_flush("other.example"), 0);
	run();
	CHECK_INT(ntalks, 2);
	at(399);
	run();
	CHECK_INT(ntalks, 2);
	at(400);
	run();
	CHECK_INT(ntalks, 3);
	t = talks[2].u->next(talks[2].arg);
	if (!CHECK(t != NULL))
		return;
	CHECK_INT(t->n, 1);
	t->to[0].outcome = O_SENT;
	talks[2].u->sent(talks[2].arg, t);
	talks[2].u->over(talks[2].arg, OVER_DONE, "", "");
	CHECK_STR(states(), "TD");
	s->to[0].outcome = O_SENT;
	ntalks = 1;
	talks[0].u->sent(talks[0].arg, s);
	CHECK_INT(talk("s"), 0);
	CHECK_STR(states(), "gone");
}

/* More than can be kept until the disk takes it: who may get a letter twice is in the log. */
static void
test_unnoted(void)
{
	static char names[100][40];
	const char *rcpt[100];
	struct sending *s[3];
	int i, k;

	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(files_in("spool/out"), 0);
	for (k = 0; k < 3; k++) {
		for (i = 0; i < 100; i++) {
			(void)snprintf(names[i], sizeof(names[i]), "r%d@unnoted%d.example", i, k);
			rcpt[i] = names[i];
		}
		post_out(rcpt, 100);
	}
	go();
	CHECK_INT(ntalks, 3);
	for (k = 0; k < 3; k++) {
		s[k] = talks[k].u->next(talks[k].arg);
		if (!CHECK(s[k] && s[k]->n == 100))
			return;
	}
	fault_set(F_WRITE, 1, 1, ENOSPC);
	for (k = 0; k < 3; k++) {
		CHECK(!was_logged("possible-duplicate"));
		for (i = 0; i < 100; i++)
			s[k]->to[i].outcome = O_SENT;
		talks[k].u->sent(talks[k].arg, s[k]);
		talks[k].u->over(talks[k].arg, OVER_DONE, "", "");
	}
	CHECK(was_logged("possible-duplicate at="));
	ntalks = 0;
	heal(6);
	CHECK_INT(relay_flush(NULL), 0);
	go();
	CHECK_INT(talk("s"), 300 - 256);
	CHECK_STR(states(), "gone");
}

/* A letter does not wait for a session that is busy for long with another one. */
static void
test_busy(void)
{
	static const char *const one[] = { "a@busy.example" };
	struct sending *s, *t;

	post_out(one, 1);
	go();
	CHECK_INT(ntalks, 1);
	s = talks[0].u->next(talks[0].arg);
	post_out(one, 1);
	run();
	CHECK_INT(ntalks, 1);		/* it may be free at any moment */
	pass_s(2);
	run();
	if (!CHECK_INT(ntalks, 2))
		return;
	t = talks[1].u->next(talks[1].arg);
	if (!CHECK(s && t))
		return;
	t->to[0].outcome = s->to[0].outcome = O_SENT;
	talks[1].u->sent(talks[1].arg, t);
	talks[1].u->over(talks[1].arg, OVER_DONE, "", "");
	CHECK_STR(states(), "gone");		/* the second one */
	ntalks = 1;
	talks[0].u->sent(talks[0].arg, s);
	CHECK_INT(talk("s"), 0);
}

/* While a destination's letters are given up its slot is not for the report about them. */
static void
test_report(void)
{
	char name[40];
	const char *one[1] = { name };
	int i;

	for (i = 0; i <= DESTINATIONS; i++) {
		(void)snprintf(name, sizeof(name), "a@never%d.example", i % DESTINATIONS);
		if (i == DESTINATIONS)
			reporter = "me@far.example";
		post_out(one, 1);
		run();
		if (i < DESTINATIONS)
			answer(0, WAY_NEVER);
		run();
	}
	CHECK(reporter == NULL);
	CHECK(!was_logged("failed to=\"me@far.example\""));
	go();
	CHECK_INT(talk("s"), 1);
	CHECK_STR(states(), "gone");
}

/* Some seconds go by; how many recipients get the outcome. */
static int
busy_seconds(int from, int to, const char *how)
{
	int n = 0, t;

	for (t = from; t < to; t++) {
		pass_s(1);
		at(t);
		go();
		CHECK(ntalks <= CLIENTS);
		n += talk(how);
	}
	return n;
}

/*
 * More destinations than are remembered: letters wait for room, which those that rest make, and
 * others are not tried before they are due.
 */
static void
test_full(void)
{
	static const char *const dead[] = { "a@dead.example" };
	static const char *const two[] = { "a@grey.example", "b@grey.example" };
	static char grey[ID_TEXT];
	char name[40];
	const char *one[1] = { name };
	struct sending *s;
	int i;

	relay_init();
	post_out(dead, 1);
	go();
	refuse_all(OVER_CONNECT);
	run();
	id_us -= 100000000;
	post_out(two, 1);
	memcpy(grey, id, ID_TEXT);
	post_out(two + 1, 1);
	id_us += 100000000;
	go();
	CHECK_INT(talk("l"), 2);
	for (i = 0; i < DESTINATIONS + 50; i++) {
		(void)snprintf(name, sizeof(name), "a@full%d.example", i);
		post_out(one, 1);
	}
	run();
	CHECK_INT(nasked, DESTINATIONS);
	CHECK_INT(busy_seconds(1, 40, "l"), DESTINATIONS + 50);

	at(300);
	go();
	CHECK_INT(ntalks, 1);
	s = talks[0].u->next(talks[0].arg);
	s->to[0].outcome = O_LATER;
	talks[0].u->sent(talks[0].arg, s);
	s = talks[0].u->next(talks[0].arg);
	CHECK(!relay_busy(grey));
	for (i = 400; i < 410; i++) {
		pass_s(1);
		at(i);
		run();
		CHECK(!relay_busy(grey));
	}
	s->to[0].outcome = O_SENT;
	talks[0].u->sent(talks[0].arg, s);
	CHECK_INT(busy_seconds(410, 440, "s"), DESTINATIONS + 51);
	CHECK_STR(states(), "gone");
	CHECK_INT(busy_seconds(1500, 1501, "s"), 1);
	CHECK_INT(files_in("spool/out"), 0);
}

/* A host where each session breaks off within the letter is left alone after some of them. */
static void
test_losses(void)
{
	static const char *const one[] = { "a@lost.example" };
	struct sending *s;
	int all, i, n = 0;

	for (i = 0; i < 20; i++)
		post_out(one, 1);
	for (go(); (all = ntalks); run()) {
		ntalks = 0;
		for (i = 0; i < all; i++) {
			s = talks[i].u->next(talks[i].arg);
			if (s) {
				n++;
				s->to[0].outcome = O_LATER;
				talks[i].u->sent(talks[i].arg, s);
			}
			talks[i].u->over(talks[i].arg, s ? OVER_LOST : OVER_DONE, "4.4.2", "lost");
		}
	}
	CHECK(n >= 3 && n <= 1 + PER_HOST);
	CHECK(!relay_busy(id));
}

/* A letter that waits for a mailbox is dropped as well, and one that waits for both. */
static void
test_drop_local(void)
{
	static const struct user_set alice = { .bit = { 1 } };
	static char text[1 << 15], box[1 << 17];
	struct letter *l = &post_letter;
	struct other o;
	int both;

	CHECK_INT(store_checkpoint(), 0);
	CHECK_INT(user_find("alice", 5), 0);
	other_lock(&o, "mail/alice");
	for (both = 0; both < 2; both++) {
		CHECK_INT(letter_begin(l, 0, "me@localhost", 12, "BY=alice"), R_OK);
		CHECK_INT(letter_rcpt(l, "alice@localhost", 15, &alice), R_OK);
		if (both)
			CHECK_INT(letter_out(l, "a@dropped.example", 17, ""), R_OK);
		memset(text, 'x', sizeof(text));
		memcpy(text, "Subject: drop me\n\n", 18);
		letter_text(l, text, both ? sizeof(text) : 30);
		memcpy(id, l->id, ID_TEXT);
		l->done = post_answered;
		letter_finish(l);
		(void)store_commit(1);
		CHECK_INT(post_answer, R_OK);
		ticks();
		at(0);
		run();
		answer(0, WAY_LATER);
		run();
		reports[0] = '\0';
		CHECK_INT(relay_drop(id, 1), 0);
		CHECK_STR(reports, both ? "failed a@dropped.example 5.0.0;"
		    "failed alice@localhost 5.0.0;" : "failed alice@localhost 5.0.0;");
		CHECK_INT(relay_drop(id, 1), -1);
		CHECK_INT(errno, ENOENT);
	}
	other_end(&o);
	pass_s(6);
	ticks();
	CHECK_INT(count(box, slurp("mail/alice", box, sizeof(box)), "drop me"), 0);
	CHECK_INT(files_in("spool/queue") + files_in("spool/bad"), 0);
}

/* That a host refuses our password is no fault of the recipient. */
static void
test_login(void)
{
	static const char *const one[] = { "a@login.example" };

	post_out(one, 1);
	go();
	ntalks = 0;
	talks[0].u->over(talks[0].arg, OVER_LOGIN, "5.7.8", "535 5.7.8 no");
	run();
	CHECK(was_logged("deferred to=\"a@login.example\" host=- status=4.7.8"));
	CHECK_STR(states(), "T");
	CHECK_INT(relay_drop(id, 0), 0);
}

int
main(void)
{
	store_here();
	loop_wall = 429782;	/* that is in the ids */
	relay_init();
	test_outcomes();
	test_schedule(0);
	test_schedule(1);
	test_hosts();
	test_postmaster();
	test_many();
	test_probes();
	test_silence();
	test_syncs();
	test_start();
	test_owed();
	test_grid();
	test_asking();
	test_unsynced();
	test_healed();
	test_slow();
	test_busy();
	test_report();
	test_full();
	test_unnoted();
	test_losses();
	test_drop_local();
	test_login();
	return test_end();
}
