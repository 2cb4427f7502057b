/* with: smtp.c envelope.c forward.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/sasl.c lib/srs.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The life of an SMTP session: TLS, logins, waits, clients that hang up or do not listen, and a
 * disk that fails at each call in turn: what got a 250 is in the mailboxes once, what did not is
 * not.
 */
#include "t_smtp.h"

/* ---- TLS, waits, hang-ups ---- */

static void
say(const char *text)
{
	size_t k, n = strlen(text);

	nsaid = 0;
	do {
		k = n < 4096 ? n : 4096;	/* what surely fits into the socket */
		if (send(client, text, k, MSG_NOSIGNAL) != (ssize_t)k)
			(void)CHECK_MSG(0, "cannot send");
		text += k;
		n -= k;
		nsaid += settle(said + nsaid, sizeof(said) - nsaid - 1);
	} while (n);
	said[nsaid] = '\0';
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_starttls(void)
{
	int before = descriptors();

	start_client("2001:db8::1");
	say("EHLO before.example\r\n");
	say("MAIL FROM:<x@far.example>\r\nRSET\r\nMAIL FROM:<x@far.example>\r\nHELO x\r\n");
	say("MAIL FROM:<x@far.example>\r\nRCPT TO:<bob@localhost>\r\n");
	say("STARTTLS\r\n");
	CHECK_STR(said, "220 2.0.0 Go ahead\r\n");
	say("MAIL FROM:<>\r\n");
	CHECK_STR(said, EHLO_FIRST);
	say(START);
	CHECK_STR(said, FEATURES("", AUTH));
	say("STARTTLS\r\n");
	CHECK_STR(said, "503 5.5.1 TLS is not to be had now\r\n");
	say("RCPT TO:<bob@localhost>\r\n");
	CHECK_STR(said, BAD_SEQ);
	last_id = 0;
	say(TXN "x\r\n.\r\n");
	end_client();
	nsaid = take_boxes(said, sizeof(said));
	CHECK_INT(descriptors(), before);
	CHECK_SAID(ALICE HEAD("s@far.example", "s@far.example", "alice@localhost")
	    "Received: from c.example ([IPv6:2001:db8::1])\n\tby mx.example.org with ESMTPS id "
	    ID(1)
	    "\n\t(TLSv1.2 TLS_SUITE)\n\tfor <alice@localhost>; " DATE "\nx\n\n");

	/* what stands behind it in the same packet is never obeyed */
	start_client("192.0.2.1");
	say(START "STARTTLS\r\n" START TXN "x\r\n.\r\n");
	CHECK(told("554 5.5.1 Nothing may follow STARTTLS\r\n"));
	CHECK(!told(FROM) && !told("220 2.0.0") && (gone() || peer->closing));
	end_client();
	nsaid = take_boxes(said, sizeof(said));
	CHECK_INT(nsaid, 0);
}

/* Nothing more is known of a login after STARTTLS, and it may be done once in a session. */
static void
test_login_delay(void)
{
	int64_t start;

	row = SUBMIT;
	fail_delay = 60;
	fails = 0;
	start_client("192.0.2.1");
	(void)settle(said, sizeof(said));
	start = loop_ms();
	say(START "AUTH PLAIN AGFsaWNlAHdyb25n\r\nNOOP\r\n");
	CHECK(loop_ms() - start >= 60);
	CHECK(told("535 5.7.8 Wrong name or password\r\n" OK));
	CHECK_INT(fails, 1);
	CHECK(was_logged("login-failed from=192.0.2.1 protocol=smtp user=\"alice\""));
	CHECK(!was_logged("wrong") && !was_logged("secret"));
	say("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n");
	CHECK_INT(fails, 0);
	end_client();
	fail_delay = 0;
	row = MX;
}

/* The session is left alone until it ends; how long that took. */
static int64_t
wait_end(int64_t most)
{
	int64_t start = loop_ms();
	ssize_t n;

	nsaid = 0;
	while (!gone() && loop_ms() - start < most) {
		loop_turn(5, NULL, store_commit);
		n = recv(client, said + nsaid, sizeof(said) - nsaid, 0);
		nsaid += n > 0 ? (size_t)n : 0;
		if (n == 0) {
			(void)close(client);
			client = -1;
		}
	}
	return loop_ms() - start;
}

static void
test_waits(void)
{
	static const struct {
		const char *in, *out;
		int64_t least, most;
	} t[] = {
		{ "", "421 4.4.2 mx.example.org has waited too long\r\n", 80, 150 },
		{ START TXN, "421 4.4.2 mx.example.org has waited too long\r\n", 40, 110 },
		{ START TXN "one line\r\n", "421 4.4.2 mx.example.org has waited too long\r\n", 40,
		    110 },
		{ START TXN "x\r\n.\r\n", "421 4.4.2 mx.example.org has waited too long\r\n", 80,
		    150 },
	};
	int64_t took;
	size_t i;

	smtp_idle = 100;
	smtp_data_idle = 60;
	for (i = 0; i < LEN(t); i++) {
		start_client("192.0.2.1");
		say(t[i].in);
		took = wait_end(9000);
		CHECK_MSG(took >= t[i].least - 20, "after %d ms", (int)took);
		CHECK_MSG(took < 5000, "after %d ms", (int)took);
		CHECK_MEM(said, nsaid, t[i].out, strlen(t[i].out));
		if (client >= 0)
			end_client();
		(void)take_boxes(said, sizeof(said));
	}
	/* a drip of text does not keep it open */
	smtp_data_total = 150;
	start_client("192.0.2.1");
	say(START TXN);
	took = loop_ms();
	while (loop_ms() - took < 3000 && !gone() && !peer->closing) {
		(void)send(client, "x\r\n", 3, MSG_NOSIGNAL);
		(void)poll(NULL, 0, 2);
		loop_turn(0, NULL, store_commit);
	}
	took = loop_ms() - took;
	CHECK(took >= 140 && took < 3000);
	end_client();
	smtp_idle = smtp_data_idle = smtp_data_total = 300000;
	CHECK_INT(take_boxes(said, sizeof(said)), 0);
	/* the end of the server */
	start_client("192.0.2.1");
	say(START TXN);
	stopping = 1;
	peer->kind->expire(peer);
	nsaid = settle(said, sizeof(said));
	CHECK_SAID("421 4.3.2 mx.example.org is going down\r\n");
	end_client();
	stopping = 0;
}

/* The client hangs up after each byte of a session: there is a mail, or there is none. */
static void
test_hang_up(void)
{
	static const char in[] = START TXN "Subject: x\r\n\r\ny\r\n.\r\nQUIT\r\n";
	size_t n, end = (size_t)(strstr(in, "\r\n.\r\n") + 5 - in);
	int before = descriptors();

	for (n = 0; n < sizeof(in); n++) {
		start_client("192.0.2.1");
		if (send(client, in, n, MSG_NOSIGNAL) != (ssize_t)n)
			abort();
		end_client();
		nsaid = take_boxes(said, sizeof(said));
		CHECK_INT(count(said, nsaid, "\nSubject: x\n"), n >= end);
	}
	CHECK_INT(descriptors(), before);
}

/* A client that never reads gets no more than the buffers hold, and all when it reads at last. */
static void
test_deaf(void)
{
	static const char noops[] = "NOOP\r\nNOOP\r\n";
	size_t sent = 0, got = 0;
	ssize_t n;
	int i, idle = 0;

	start_client("192.0.2.1");
	for (i = 0; i < 100000 && idle < 100; i++) {
		n = send(client, &noops[sent % 6], 6, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		loop_turn(0, NULL, NULL);
	}
	CHECK_INT(idle, 100);
	if (sent % 6)
		sent -= sent % 6;
	for (idle = 0; idle < 100; idle++) {
		loop_turn(0, NULL, NULL);
		while ((n = recv(client, said, sizeof(said), 0)) > 0)
			got += (size_t)n, idle = 0;
	}
	CHECK_INT(got, strlen(HI) + sent / 6 * strlen(OK));
	end_client();
}

/* ---- a disk that fails ---- */

/* Until the store has recovered and nothing waits. */
static void
heal(void)
{
	int i;

	for (i = 0; i < 5 || (store_broken() && i < 10); i++) {
		pass_s(6);
		(void)store_tick();
		drain_queue();
	}
	CHECK(!store_broken());
}

static const char faulted[] = "HELO c.example\r\n" TXN "Subject: a\r\n.\r\n"
    "MAIL FROM:<s@far.example>\r\nRCPT TO:<team@localhost>\r\nDATA\r\nSubject: b\r\n.\r\n";

/* Each letter that has got its 250 is where it belongs, once; the others nowhere or once. */
static void
check_faulted(int at, size_t nboxes)
{
	const char *boxes = said + nsaid, *p = said;
	char id[ID_TEXT], line[64];
	int i, n, want, acked;

	for (i = 1; i <= 3; i++) {
		(void)snprintf(id, sizeof(id), "0006410f3a2b1%08x", i);
		(void)snprintf(line, sizeof(line), "queued as %s\r\n", id);
		acked = memmem(p, nsaid, line, strlen(line)) != NULL;
		(void)snprintf(line, sizeof(line), " id %s\n", id);
		n = count(boxes, nboxes, line);
		want = i == 1 ? 1 : 2;
		if (acked)
			(void)CHECK_MSG(n == want, "fault %d: letter %d is there %d times", at, i,
			    n);
		else
			(void)CHECK_MSG(n == 0,
			    "fault %d: letter %d was refused and is there %d times", at,
			    i, n);
	}
}

static void
test_faults(int what, int stay, int err)
{
	size_t k, nboxes;
	int at, hit;

	nbig = 0;
	add(faulted);
	add("MAIL FROM:<s@far.example>\r\nRCPT TO:<team@localhost>\r\nDATA\r\nSubject: c\r\n");
	for (k = 0; k < 600; k++)
		add("a line of a letter that is not small\r\n");
	add(".\r\nNOOP\r\n");
	for (at = 1; at < 1000; at++) {
		last_id = 0;
		start_client("192.0.2.1");
		fault_set(what, at, stay, err);
		nsaid = 0;
		for (k = 0; k < nbig; k += 4096) {
			(void)send(client, big + k, nbig - k < 4096 ? nbig - k : 4096,
			    MSG_NOSIGNAL);
			nsaid += settle(said + nsaid, sizeof(said) - nsaid);
		}
		(void)store_tick();
		pass_s(2);
		(void)store_tick();
		hit = fault_clear();
		CHECK(gone() || peer->closing || told("\r\n" OK));
		end_client();
		heal();
		nboxes = take_boxes(said + nsaid, sizeof(said) - nsaid);
		check_faulted(at, nboxes);
		if (!hit)
			break;
		talk(faulted, sizeof(faulted) - 1);	/* and it goes on as before */
		CHECK(told(QUEUED(1)) && told(QUEUED(2)));
	}
	CHECK_MSG(at > 3 && at < 1000, "%d calls can fail", at - 1);
}

/* Space is another kind of trouble than errors: other servers treat them differently. */
static void
test_codes(void)
{
	static const struct {
		int what, err;
		const char *reply;
	} t[] = {
		{ F_WRITE, ENOSPC, "452 4.3.1 Not enough disk space, try again later\r\n" },
		{ F_WRITE, EDQUOT, "452 4.3.1 Not enough disk space, try again later\r\n" },
		{ F_WRITE, EIO, "451 4.3.0 Disk trouble, try again later\r\n" },
		{ F_WRITE, EIO, "451 4.3.0 Disk trouble, try again later\r\n" },
		{ F_WRITE, ENOSPC, "452 4.3.1 Not enough disk space, try again later\r\n" },
		{ F_SYNC, EIO, "451 4.3.0 Disk trouble, try again later\r\n" },
	};
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		start_client("192.0.2.1");
		say(START TXN);
		fault_set(t[i].what, 1, 1, t[i].err);
		if (i % 2) {			/* more than is kept in memory */
			memset(big, 'x', 20000);
			memcpy(big + 20000, "\r\n.\r\n", 6);
			say(big);
		} else {
			say("text\r\n.\r\n");
		}
		CHECK_STR(said, t[i].reply);
		fault_clear();
		end_client();
		heal();
		CHECK_INT(take_boxes(said, sizeof(said)), 0);
	}
}

static void
test_room(void)
{
	static const char in[] = "HELO c.example\r\nMAIL FROM:<>\r\nNOOP\r\n";

	disk_reserve = UINT64_C(1) << 60;
	talk(BYTES(in));
	CHECK_SAID(HI HOST "452 4.3.1 Not enough disk space, try again later\r\n" OK);
	disk_reserve = 1 << 20;
	inode_reserve = UINT64_C(1) << 60;
	talk(BYTES(in));
	/* some file systems have no number of inodes */
	CHECK(told("452 4.3.1") || told(FROM));
	inode_reserve = 0;
}

int
main(void)
{
	smtp_test_init();
	test_starttls();
	test_login_delay();
	test_waits();
	test_hang_up();
	test_deaf();
	test_room();
	test_codes();
	test_faults(F_ANY, 0, EIO);
	test_faults(F_WRITE, 1, ENOSPC);
	test_faults(F_SYNC, 1, EIO);
	test_faults(F_ANY, 1, EIO);
	test_faults(F_ANY, 1, ENOSPC);
	test_faults(F_WRITE, 0, ENOSPC);
	return test_end();
}
