/* See LICENSE file for copyright and licence details. */
/*
 * What tests of the relay share: name servers, sessions with other servers and reports that are
 * made up, a clock of our own, and letters in spool/out of a real store (rooms.h).
 */
#ifndef T_RELAY_H
#define T_RELAY_H

#include "rooms.h"

#include "relay.h"

/* ---- what is made up ---- */

enum { ASKED = 300 };

static struct {
	struct hop hop;
	const struct client_user *u;
	void *arg;
} talks[ASKED];
static int ntalks;
static struct {
	struct way *w;
} asked[ASKED];
static int nasked;
static char reports[1 << 16];
static int report_result;
static const char *reporter;	/* reports are letters to that address */

static void post_report(void);

int
client_start(const struct hop *h, const struct client_user *u, void *arg)
{
	if (ntalks == ASKED)
		return -1;
	talks[ntalks].hop = *h;
	talks[ntalks].u = u;
	talks[ntalks++].arg = arg;
	return 0;
}

int
client_count(void)
{
	return ntalks;
}

int
route_row(const char *sender, const char *recipient)
{
	(void)sender;
	return strcmp(recipient, "norow.example") == 0 ? -1 : 0;
}

int
route_find(struct way *w, int row, const char *domain, void (*done)(struct way *w))
{
	w->row = row;
	w->done = done;
	w->state = WAY_ASKING;
	w->until = loop_now + 3600000;
	(void)snprintf(w->name, sizeof(w->name), "%s", domain);
	w->n = 0;
	asked[nasked++].w = w;
	return 0;
}

void
route_hop(struct hop *h, const struct way *w, int i)
{
	memset(h, 0, sizeof(*h));
	(void)snprintf(h->host, sizeof(h->host), "mx%d.%.99s", i, w->name);
	h->route = &routes[0];
}

int
bounce(enum report what, const struct sending *s, const unsigned char *which, int64_t until)
{
	static const char *const names[] = { "failed", "delayed", "sent" };
	struct out_line l;
	int i;

	(void)until;
	for (i = 0; i < s->n; i++)
		if (which[i] && out_line(s->fd, s->to[i].at, &l) > 0)
			(void)snprintf(reports + strlen(reports), sizeof(reports) - strlen(reports),
			    "%s %s %s;", names[what], l.mailbox, s->to[i].status);
	if (reporter)
		post_report();
	return report_result;
}

/* The name servers answer all questions: n hosts, or with 0 what `state` says. */
static void
answer(int n, int state)
{
	struct way *w;

	while (nasked) {
		w = asked[--nasked].w;
		w->n = n;
		w->state = n ? WAY_OPEN : state;
		w->words = "no such thing";
		(void)snprintf(w->status, sizeof(w->status), "%s",
		    state == WAY_NEVER ? "5.1.2" : "4.4.3");
		w->done(w);
	}
}

/* ---- driving ---- */

static int64_t born;		/* of the last letter, real time */
static char id[ID_TEXT];

/* It is now so many seconds after the birth. */
static void
at(int64_t s)
{
	loop_wall = born + s;
}

static void
run(void)
{
	int i;

	for (i = 0; i < 1000 && relay_tick(60000) == 0; i++)
		;
	CHECK(i < 1000);
}

/* The same, with name servers that know one host. */
static void
go(void)
{
	run();
	answer(1, 0);
	run();
}

/* A letter to the recipients, lines of the file; it is in spool/out then. */
static void
post_out(const char *const *rcpt, int n)
{
	struct letter *l = &post_letter;
	char line[ADDR_TEXT], *params;
	int i;

	post_answer = R_AGAIN;
	CHECK_INT(letter_begin(l, 0, "me@localhost", 12, "BY=alice"), R_OK);
	for (i = 0; i < n; i++) {
		(void)snprintf(line, sizeof(line), "%s", rcpt[i]);
		params = strchr(line, ' ');
		if (params)
			*params++ = '\0';
		CHECK_INT(letter_out(l, line, strlen(line), params ? params : ""), R_OK);
	}
	letter_text(l, "Subject: x\n\ny\n", 14);
	memcpy(id, l->id, ID_TEXT);
	born = mail_birth(id);
	at(0);
	l->done = post_answered;
	letter_finish(l);
	(void)store_commit(1);
	CHECK_INT(post_answer, R_OK);
	reports[0] = '\0';
	log_clear();
}

static void
post_report(void)
{
	const char *to = reporter;
	struct letter l;

	reporter = NULL;
	CHECK_INT(letter_begin(&l, 1, "", 0, "BY=local"), R_OK);
	CHECK_INT(letter_out(&l, to, strlen(to), ""), R_OK);
	letter_text(&l, "Subject: report\n\ny\n", 19);
	memcpy(id, l.id, ID_TEXT);
	l.done = post_answered;
	letter_finish(&l);
	(void)store_commit(1);
}

/* The states of the recipients in the file, "TDD", or "gone"; W first if the delay was told. */
static const char *
states(void)
{
	static char s[256];
	struct out_line l;
	off_t p = 0, text, end;
	int fd = out_open(id, 0, &text, &end), n = 0;
	long k;

	if (fd < 0)
		return "gone";
	while ((k = out_line(fd, p, &l)) > 0) {
		if (l.state != 'F')
			s[n++] = l.state;
		p += k;
	}
	s[n] = '\0';
	(void)close(fd);
	return s;
}

/* The sessions that were begun take all they get; outcomes go round through `how`: s, l, f. */
static int
talk(const char *how)
{
	struct sending *s;
	int i, k, n = 0, all = ntalks;

	for (i = 0; i < all; i++) {
		while ((s = talks[i].u->next(talks[i].arg))) {
			for (k = 0; k < s->n; k++, n++) {
				switch (how[(size_t)n % strlen(how)]) {
				case 's':
					s->to[k].outcome = O_SENT;
					break;
				case 'f':
					s->to[k].outcome = O_FAILED;
					(void)snprintf(s->to[k].status, STATUS_TEXT, "5.1.1");
					break;
				default:
					s->to[k].outcome = O_LATER;
					(void)snprintf(s->to[k].status, STATUS_TEXT, "4.2.0");
					(void)snprintf(s->to[k].words, WORDS, "later, \"please\"");
				}
			}
			talks[i].u->sent(talks[i].arg, s);
		}
	}
	ntalks = 0;
	for (i = 0; i < all; i++)
		talks[i].u->over(talks[i].arg, OVER_DONE, "", "");
	return n;
}

/* None of the sessions comes about. */
static void
refuse_all(enum over why)
{
	int i, all = ntalks;

	ntalks = 0;
	for (i = 0; i < all; i++)
		talks[i].u->over(talks[i].arg, why, "4.4.1", "connection refused");
}

#endif
