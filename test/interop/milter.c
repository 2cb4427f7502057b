/* See LICENSE file for copyright and licence details. */
/*
 * milter ADDRESS MS FILE [KEY=VALUE...]: show a mail (LF line ends) to a content scanner as the
 * server does, and say what came of it, one thing a line: result WORD, reply ..., quarantine ...,
 * edit KIND INDEX "NAME" "VALUE" (escaped), ms N; a new body goes to FILE.body as it came. KEYs: peer, port, name, helo, id, sender, login, and rcpt, once for each. With n=N it
 * is shown N times at once, and each but the first must come to the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lib/log.h"
#include "lib/text.h"

enum { MOST = 32, SLOTS = 40 };

char host[HOST_TEXT] = "mx.example.org";
const char version[] = "maild test";

static struct conn conns[SLOTS];
static struct buf bufs[2 * SLOTS];
static struct pollfd polls[SLOTS];
static struct scan scans[MOST];
static struct scan_facts facts;
static const char *rcpts[MOST];
static int nrcpts, left;
static FILE *mail, *body[MOST];

static const struct key {
	const char *name;
	const char **value;
} keys[] = {
	{ "name", &facts.name }, { "helo", &facts.helo }, { "id", &facts.id },
	{ "sender", &facts.sender }, { "login", &facts.login },
	{ "tls", &facts.tls_version }, { "cipher", &facts.tls_cipher },
};

static const char *
rcpt(void *arg, int i)
{
	(void)arg;
	return i < nrcpts ? rcpts[i] : NULL;
}

static long
get(void *arg, char *p, size_t n, uint64_t at)
{
	(void)arg;
	if (fseek(mail, (long)at, SEEK_SET) < 0)
		return -1;
	return (long)fread(p, 1, n, mail);
}

static int
take(void *arg, const char *p, size_t n)
{
	FILE *f = *(FILE **)arg;

	return !p || fwrite(p, 1, n, f) == n ? 0 : -1;
}

static void
done(struct scan *s)
{
	(void)s;
	left--;
}

static void
show(const char *what, const char *p, size_t n)
{
	static char t[4 * SCAN_EDITS + 8];

	printf(" %s\"%s\"", what, text_escape(t, sizeof(t), p, n));
}

static void
show_edits(const struct scan *s)
{
	static const char *const kinds[] = { "add", "insert", "change", "rcpt", "no-rcpt",
	    "sender" };
	const char *p = s->edits, *q;
	struct edit e;

	for (; p < s->edits + s->nedits; p += sizeof(e) + e.n) {
		memcpy(&e, p, sizeof(e));
		printf("edit %s %u", kinds[e.what], e.index);
		q = p + sizeof(e);
		show("", q, strlen(q));
		if (e.what <= EDIT_CHANGE) {
			q += strlen(q) + 1;
			show("", q, strlen(q));
		}
		putchar('\n');
	}
}

static size_t
header_size(void)
{
	int ch, lf = 1;
	size_t n = 0;

	while ((ch = getc(mail)) != EOF && !(lf && ch == '\n')) {
		lf = ch == '\n';
		n++;
	}
	return n;
}

static void
set(const char *word)
{
	const char *v = strchr(word, '=');
	size_t i;

	if (!v)
		die(64, "%s: not KEY=VALUE", word);
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (text_is(word, (size_t)(v - word), keys[i].name))
			*keys[i].value = v + 1;
	if (!strncmp(word, "rcpt=", 5) && nrcpts < MOST)
		rcpts[nrcpts++] = v + 1;
	if (!strncmp(word, "peer=", 5) && ip_parse(&facts.peer, v + 1) < 0)
		die(64, "%s: no address", v + 1);
	if (!strncmp(word, "port=", 5))
		facts.port = (int)strtol(v + 1, NULL, 10);
	if (!strncmp(word, "n=", 2))
		left = (int)strtol(v + 1, NULL, 10);
}

static int
alike(const struct scan *a, const struct scan *b)
{
	return a->result == b->result && a->nedits == b->nedits && !strcmp(a->reply, b->reply);
}

int
main(int argc, char **argv)
{
	static const char *const words[] = { "accept", "reject", "tempfail", "discard", "down" };
	struct loop_memory m = { conns, bufs, polls, SLOTS };
	struct scanner row = { "it", "", 0, DOWN_ACCEPT, 0 };
	char name[4096];
	int64_t began;
	size_t i;
	int n;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		*keys[i].value = "";
	left = 1;
	for (n = 4; n < argc; n++)
		set(argv[n]);
	if (argc < 4 || left < 1 || left > MOST || !(mail = fopen(argv[3], "rb")))
		die(64, "usage: milter ADDRESS MS FILE [KEY=VALUE...]");
	row.address = argv[1];
	row.ms = (int64_t)strtol(argv[2], NULL, 10);
	facts.rcpt = rcpt;
	facts.read = get;
	facts.body = take;
	facts.header = header_size();
	loop_init(&m);
	began = loop_ms();
	for (i = 0, n = left; i < (size_t)n; i++) {
		(void)snprintf(name, sizeof(name), i ? "%s.body.%d" : "%s.body", argv[3], (int)i);
		body[i] = fopen(name, "wb");
		if (!body[i])
			die(73, "%s:", name);
		facts.arg = &body[i];
		scans[i].done = done;
		if (scan_start(&scans[i], &row, &facts) < 0)
			die(75, "no connection");
	}
	while (left)
		loop_turn(1000, NULL, NULL);
	for (i = 0; i < (size_t)n; i++) {
		if (fclose(body[i]) != 0)
			die(73, "the body:");
		if (!alike(&scans[0], &scans[i]))
			die(1, "number %d: another result, %s \"%s\"", (int)i,
			    words[scans[i].result], scans[i].reply);
	}
	printf("result %s\nreply %s\nquarantine %s\n", words[scans[0].result], scans[0].reply,
	    scans[0].quarantine);
	show_edits(&scans[0]);
	printf("ms %d\n", (int)(loop_ms() - began));
	/* goodbye is said */
	loop_turn(0, NULL, NULL);
	loop_turn(0, NULL, NULL);
	return 0;
}
