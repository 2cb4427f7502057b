/* with: smtp.c envelope.c forward.c letter.c store.c queue.c recover.c out.c box.c user.c lib/addr.c lib/dot.c lib/fs.c lib/header.c lib/ip.c lib/journal.c lib/loop.c lib/mbox.c lib/sasl.c lib/srs.c lib/text.c lib/idn.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * BDAT, RFC 3030: chunks of any size, pipelined with what follows; lines as strict as in DATA;
 * chunks that are not wanted are swallowed, never taken for commands.
 */
#include "t_smtp.h"

#define ENV "MAIL FROM:<s@far.example>\r\nRCPT TO:<alice@localhost>\r\n"
#define ENV_OK FROM TO
#define MORE "250 2.0.0 Go on\r\n"
#define BARE "554 5.6.0 Bare CR or LF in the message (RFC 5321 2.3.8)\r\n"

static const struct script {
	const char *in;
	size_t n;
	const char *out;
} scripts[] = {
	/* one chunk, several, empty ones; the size in any form; commands right behind them */
	{ BYTES(START ENV "BDAT 15 LAST\r\nSubject: x\r\n\r\ny"), STARTED ENV_OK QUEUED(1)
	    ALICE SMTP_A(1) "Subject: x\n\ny\n\n" },
	{ BYTES(START ENV "BDAT 4\r\nSubjBDAT 10\r\nect: x\r\n\r\n"
	    "BDAT 3 LAST\r\ny\r\nNOOP\r\n" ENV),
	    STARTED ENV_OK MORE MORE QUEUED(1) OK ENV_OK ALICE SMTP_A(1) "Subject: x\n\ny\n\n" },
	{ BYTES(START ENV "bdat 0012  last\r\nA: b\r\n\r\n.\r\nxBDAT 0 LAST\r\nQUIT\r\n"),
	    STARTED ENV_OK QUEUED(1) BAD_SEQ BYE "$" ALICE SMTP_A(1) "A: b\n\n.\nx\n\n" },
	{ BYTES(START ENV "BDAT 0\r\nBDAT 0\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	    STARTED ENV_OK MORE MORE QUEUED(1) OK ALICE SMTP_A(1) "\n" },
	{ BYTES(START ENV "BDAT 5\r\nA: b\rBDAT 1\r\n\nBDAT 2\r\n\r\nBDAT 1\r\n.BDAT 1\r\n\r"
	    "BDAT 1 LAST\r\n\n" ENV),
	    STARTED ENV_OK MORE MORE MORE MORE MORE QUEUED(1) ENV_OK ALICE SMTP_A(1)
	    "A: b\n\n.\n\n" },
	/* a last line without its end gets one */
	{ BYTES(START "MAIL FROM:<>\r\nRCPT TO:<x@behind.example>\r\nBDAT 3\r\na\r\n"
	    "BDAT 1 LAST\r\nbNOOP\r\n"),
	    STARTED FROM TO MORE QUEUED(1) OK "[out]\nF<>\nT<x@behind.example>\n\n"
	    TRACE("ESMTP", 1, "", "for <x@behind.example>") "a\nb\n" },
	/* dots, From_ lines and eight bits are text */
	{ BYTES(START ENV "BDAT 28 LAST\r\n.\r\n..\r\nQUIT\r\nFrom x\r\n\xff\r\n.\r\n.BDAT 1"),
	    STARTED ENV_OK QUEUED(1) ALICE SMTP_A(1) ".\n..\nQUIT\n>From x\n\xff\n.\n.\n\n" },
	/* bare ones, within a chunk and across them: at the end, and nothing gets through */
	{ BYTES(START ENV "BDAT 2\r\na\nBDAT 3 LAST\r\nb\r\nNOOP\r\n"),
	    STARTED ENV_OK MORE BARE OK },
	{ BYTES(START ENV "BDAT 2\r\na\rBDAT 2 LAST\r\nb\nNOOP\r\n"), STARTED ENV_OK MORE BARE OK },
	{ BYTES(START ENV "BDAT 2\r\na\rBDAT 0 LAST\r\nNOOP\r\n"), STARTED ENV_OK MORE BARE OK },
	{ BYTES(START ENV "BDAT 2 LAST\r\na\rNOOP\r\n"), STARTED ENV_OK BARE OK },
	{ BYTES(START ENV "BDAT 1\r\n\nBDAT 4 LAST\r\na\r\nbNOOP\r\n"),
	    STARTED ENV_OK MORE BARE OK },
	{ BYTES(START ENV "BDAT 3\r\na\r\nBDAT 1\r\n\rBDAT 3 LAST\r\n\r\nbNOOP\r\n"),
	    STARTED ENV_OK MORE MORE BARE OK },
	/* out of place: swallowed, answered */
	{ BYTES("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), HI EHLO_FIRST OK },
	{ BYTES(START "BDAT 6\r\nQUIT\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\n" ENV),
	    STARTED BAD_SEQ OK BAD_SEQ ENV_OK },
	{ BYTES(START "MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<bob@localhost>\r\n"
	    "BDAT 2 LAST\r\n\r\n"),
	    STARTED FROM "554 5.5.1 No valid recipients\r\n" TO QUEUED(1) BOB
	    HEAD("MAILER-DAEMON", "", "bob@localhost")
	    TRACE("ESMTP", 1, "", "for <bob@localhost>") "\n\n" },
	{ BYTES(START "MAIL FROM:<>\r\nRCPT TO:<nobody@localhost>\r\nBDAT 6\r\nQUIT\r\n"
	    "BDAT 6 LAST\r\nQUIT\r\nRSET\r\n"),
	    STARTED FROM NO_USER "554 5.5.1 No valid recipients\r\n"
	    "554 5.5.1 No valid recipients\r\n" OK },
	/* within a text: nothing but BDAT, and what ends or forgets it */
	{ BYTES(START ENV "BDAT 3\r\na\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:<bob@localhost>\r\n"
	    "AUTH PLAIN\r\nNOOP\r\nVRFY x\r\n"),
	    STARTED ENV_OK MORE BAD_SEQ BAD_SEQ BAD_SEQ BAD_SEQ OK
	    "252 2.0.0 Send it, then we will see\r\n" },
	{ BYTES(START ENV "BDAT 3\r\na\r\nDATA\r\nBDAT 3 LAST\r\nb\r\nDATA\r\n"),
	    STARTED ENV_OK MORE BAD_SEQ QUEUED(1) BAD_SEQ ALICE SMTP_A(1) "a\nb\n\n" },
	{ BYTES(START ENV "BDAT 3\r\na\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\n" ENV "DATA\r\n.\r\n"),
	    STARTED ENV_OK MORE OK BAD_SEQ ENV_OK GO QUEUED(2) ALICE SMTP_A(2) "\n" },
	{ BYTES(START ENV "BDAT 3\r\na\r\nEHLO c.example\r\n" ENV "BDAT 3 LAST\r\nb\r\n"),
	    STARTED ENV_OK MORE FEATURES(STARTTLS, "") ENV_OK QUEUED(2) ALICE SMTP_A(2) "b\n\n" },
	{ BYTES(START ENV "BDAT 2\r\na\rRSET\r\n" ENV "BDAT 3 LAST\r\nb\r\n"
	    ENV "DATA\r\n..\r\n.\r\n"),
	    STARTED ENV_OK MORE OK ENV_OK QUEUED(2) ENV_OK GO QUEUED(3) ALICE SMTP_A(2) "b\n\n"
	    SMTP_A(3) ".\n\n" },
	/* without a size nobody knows where commands begin again */
	{ BYTES(START ENV "BDAT\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT x\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT -1\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT 1 2\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT 1 LAST LAST\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT LAST\r\nNOOP\r\n"), STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT 18446744073709551616 LAST\r\nNOOP\r\n"),
	    STARTED ENV_OK BAD_ARG "$" },
	{ BYTES(START ENV "BDAT 18446744073709551615 LAST\r\nQUIT\r\n"), STARTED ENV_OK },
	{ BYTES(START "MAIL FROM:<> BODY=BINARYMIME\r\nMAIL FROM:<> BODY=8BITMIME\r\n"),
	    STARTED "501 5.5.4 Bad BODY\r\n" FROM },
	/* a loop is one here as well */
	{ BYTES(START "MAIL FROM:<>\r\nRCPT TO:<away@localhost>\r\nBDAT 20\r\nDelivered-To: away@l"
	    "BDAT 14 LAST\r\nocalhost\r\n\r\nxyNOOP\r\n"),
	    STARTED FROM TO MORE
	    "554 5.4.6 It was forwarded for this address before: a loop\r\n" OK },
};

static void
test_scripts(void)
{
	const struct script *t;
	size_t i;

	for (i = 0; i < LEN(scripts); i++) {
		t = &scripts[i];
		talk(t->in, t->n);
		if (!CHECK_MEM(said, nsaid, t->out, strlen(t->out)))
			test_show("for ", t->in, t->n);
		CHECK_SPLIT(session, t->in, t->n);
	}
}

/*
 * All sequences of CR, LF, dot and NUL up to five bytes, behind "x" and before "y", in two chunks,
 * cut at each place. By the standard: no dot counts, and it is refused if there is a bare CR or LF.
 */
static void
smuggle(const char *seq, size_t n, size_t cut)
{
	char text[16], in[512], want[512];
	size_t nin, i, o;
	int bare = 0;

	text[0] = 'x';
	memcpy(text + 1, seq, n);
	text[++n] = 'y';
	n++;
	nin = (size_t)snprintf(in, sizeof(in), "%sBDAT %d\r\n", START ENV, (int)cut);
	memcpy(in + nin, text, cut);
	nin += cut;
	nin += (size_t)snprintf(in + nin, sizeof(in) - nin, "BDAT %d LAST\r\n", (int)(n - cut));
	memcpy(in + nin, text + cut, n - cut);
	nin += n - cut;
	memcpy(in + nin, "NOOP\r\n", 6);
	nin += 6;
	talk(in, nin);
	o = (size_t)snprintf(want, sizeof(want), "%s", ALICE SMTP_A(1));
	for (i = 0; i < n; i++) {
		bare |= (text[i] == '\r' && text[i + 1] != '\n') ||
		    (text[i] == '\n' && text[i - 1] != '\r');
		if (text[i] != '\r')
			want[o++] = text[i];
	}
	want[o++] = '\n';
	want[o++] = '\n';
	if (bare) {
		if (!CHECK(told(MORE BARE OK) && !told("[alice]")))
			test_show("in", text, n);
		return;
	}
	if (!CHECK(told(MORE QUEUED(1) OK) && nsaid >= o && !memcmp(said + nsaid - o, want, o)))
		test_show("in", text, n);
}

static void
test_smuggling(void)
{
	static const char bytes[] = { '\r', '\n', '.', '\0' };
	char seq[6];
	unsigned i, n, k;
	size_t cut;

	for (n = 0; n <= 5; n++) {
		for (i = 0; i < 1u << 2 * n; i++) {
			for (k = 0; k < n; k++)
				seq[k] = bytes[i >> 2 * k & 3];
			if (n < 5)
				for (cut = 0; cut <= n + 2; cut++)
					smuggle(seq, n, cut);
			else
				smuggle(seq, n, 1 + i % 6);
		}
	}
}

/* The same text, chunks of each size: the same letter. */
static void
test_chunks(void)
{
	static char text[6000];
	size_t at, i, k, n, size;

	n = (size_t)snprintf(text, sizeof(text), "Subject: long\r\n\r\n");
	for (i = 0; n < 5000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d: %.*s\r\n",
		    i % 5 ? "" : ".", (int)i, (int)(i * 7 % 90),
		    "a line that is as long as it is, in a letter that has many of them, one "
		    "behind the other");
	for (size = 1; size < 5100; size += size < 70 ? 1 : 501) {
		nbig = 0;
		add(START ENV);
		for (at = 0; at < n; at += k) {
			char line[40];

			k = n - at < size ? n - at : size;
			(void)snprintf(line, sizeof(line), "BDAT %d%s\r\n", (int)k,
			    at + k == n ? " LAST" : "");
			if (nbig + k + 40 > sizeof(big))
				abort();
			add(line);
			memcpy(big + nbig, text + at, k);
			nbig += k;
			big[nbig] = '\0';
		}
		add("NOOP\r\n");
		talk(big, nbig);
		CHECK_INT(count(said, nsaid, MORE), (int)((n + size - 1) / size) - 1);
		CHECK(told(QUEUED(1) OK ALICE SMTP_A(1) "Subject: long\n\n.0: \n1: a line \n2: "));
		for (i = k = 0; i < n; i++)
			if (text[i] != '\r')
				big[k++] = text[i];
		big[k++] = '\n';
		CHECK_MEM(said + nsaid - k, k, big, k);
	}
}

/* message_max: told as soon as it is passed, and what still comes of it is swallowed. */
static void
test_size(void)
{
	static const struct {
		size_t first, second;
		const char *want;
	} t[] = {
		{ 400, 100, MORE QUEUED(1) OK },
		{ 400, 101, MORE "552 5.3.4 Message too large\r\n" OK },
		{ 501, 2, "552 5.3.4 Message too large\r\n" BAD_SEQ OK },
		{ 3000, 9000, "552 5.3.4 Message too large\r\n" BAD_SEQ OK },
	};
	char line[40];
	size_t i;

	message_max = 500;
	for (i = 0; i < LEN(t); i++) {
		nbig = 0;
		add("HELO c.example\r\n" ENV);
		(void)snprintf(line, sizeof(line), "BDAT %d\r\n", (int)t[i].first);
		add(line);
		add_many('z', t[i].first);
		(void)snprintf(line, sizeof(line), "BDAT %d LAST\r\n", (int)t[i].second);
		add(line);
		add_many('z', t[i].second);
		add("NOOP\r\n");
		talk(big, nbig);
		CHECK_MSG(told(t[i].want), "case %d", (int)i);
		CHECK_INT(told("[alice]"), i == 0);
		CHECK_SPLIT(session, big, nbig);
	}
	message_max = 50 << 20;
}

/* A client that goes away, or waits too long, within and between chunks. */
static void
test_ends(void)
{
	static const char in[] = START ENV "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n";
	size_t n;

	for (n = 0; n < sizeof(in); n++) {
		start_client("192.0.2.1");
		if (send(client, in, n, MSG_NOSIGNAL) != (ssize_t)n)
			abort();
		end_client();
		nsaid = take_boxes(said, sizeof(said));
		CHECK_INT(told("a\nb\n"), n == sizeof(in) - 1);
	}
	/* a drip of chunks, or within a chunk, has an end */
	for (n = 0; n < 2; n++) {
		int64_t start, took;

		smtp_data_total = 150;
		start_client("192.0.2.1");
		(void)settle(said, sizeof(said));
		(void)send(client, START ENV, sizeof(START ENV) - 1, MSG_NOSIGNAL);
		(void)settle(said, sizeof(said));
		if (n)
			(void)send(client, "BDAT 1000000\r\n", 14, MSG_NOSIGNAL);
		start = loop_ms();
		while (loop_ms() - start < 3000 && !gone() && !peer->closing) {
			(void)send(client, n ? "x\r\n" : "BDAT 3\r\nx\r\n",
			    n ? 3 : 11, MSG_NOSIGNAL);
			(void)poll(NULL, 0, 2);
			loop_turn(0, NULL, store_commit);
			(void)recv(client, said, sizeof(said), 0);
		}
		took = loop_ms() - start;
		CHECK_MSG(took >= 140 && took < 3000, "ended after %d ms", (int)took);
		end_client();
		smtp_data_total = 300000;
		CHECK_INT(take_boxes(said, sizeof(said)), 0);
	}
}

/* A disk that is full while chunks come. */
static void
test_disk(void)
{
	start_client("192.0.2.1");
	(void)settle(said, sizeof(said));
	(void)send(client, START ENV, sizeof(START ENV) - 1, MSG_NOSIGNAL);
	(void)settle(said, sizeof(said));
	fault_set(F_WRITE, 1, 1, ENOSPC);
	nbig = 0;
	add("BDAT 20000\r\n");
	add_many('z', 20000);
	add("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
	nsaid = 0;
	for (size_t at = 0; at < nbig; at += 4096) {
		(void)send(client, big + at, nbig - at < 4096 ? nbig - at : 4096, MSG_NOSIGNAL);
		nsaid += settle(said + nsaid, sizeof(said) - nsaid);
	}
	fault_clear();
	CHECK_SAID("452 4.3.1 Not enough disk space, try again later\r\n" BAD_SEQ OK);
	end_client();
	CHECK_INT(take_boxes(said, sizeof(said)), 0);
}

int
main(void)
{
	smtp_test_init();
	test_scripts();
	test_smuggling();
	test_chunks();
	test_size();
	test_ends();
	test_disk();
	return test_end();
}
