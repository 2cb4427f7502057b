/* See LICENSE file for copyright and licence details. */
/*
 * What becomes of a sending: the marks in its file, the reports to senders, the log, the last
 * words.
 *
 *	recipient sent				D
 *	refused for good			a report is queued, then D
 *	refused for now, no connection ...	T; after delay_warning a report (W),
 *						after lifetime as refused
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/text.h"
#include "relay.h"
#include "store.h"

enum { REMEMBERED = 1024 };	/* recipients whose last words are kept */

static struct {
	char id[ID_TEXT];
	off_t at;
	char words[160];
} remembered[REMEMBERED];

const size_t outcome_memory = sizeof(remembered);

/* ---- times ---- */

int64_t
outcome_due(const char *id, int64_t t)
{
	int64_t b = mail_birth(id), step = retry_step / 1000, end = b + lifetime / 1000, due = b;
	int n;

	/* full hours and minutes: an attempt must not move away from those who look for it often */
	if (b > t + 3600)
		return t - t % 3600 + 3600;	/* a clock was wrong */
	if (t >= end)
		return t - t % 60 + 60;		/* its end has not been reported yet */
	for (n = 0; due <= t; n++)
		due = b + step * n * n;
	return due < end ? due : end;
}

/* ---- last words ---- */

static size_t
slot(const char *id, off_t at)
{
	uint64_t h = (uint64_t)at;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619;
	return (size_t)(h % REMEMBERED);
}

static void
remember(const char *id, const struct target *t)
{
	size_t i = slot(id, t->at);

	memcpy(remembered[i].id, id, ID_TEXT);
	remembered[i].at = t->at;
	(void)text_escape(remembered[i].words, sizeof(remembered[i].words), t->words,
	    strlen(t->words));
}

const char *
outcome_words(const char *id, off_t at)
{
	size_t i = slot(id, at);

	return !strcmp(remembered[i].id, id) && remembered[i].at == at ? remembered[i].words : NULL;
}

/* ---- the outcome ---- */

static const char *
who(char dst[ADDR_TEXT * 4 + 1], const struct sending *s, off_t at)
{
	struct out_line l;

	if (out_line(s->fd, at, &l) <= 0)
		return "?";
	return text_escape(dst, ADDR_TEXT * 4 + 1, l.mailbox, strlen(l.mailbox));
}

static void
say(const struct sending *s, const struct target *t, const char *verb, const char *where)
{
	char to[ADDR_TEXT * 4 + 1], words[2 * WORDS], next[DATE_TEXT];

	log_event(s->id, "%s to=\"%s\" host=%s status=%s reply=\"%s\"%s%s", verb, who(to, s, t->at),
	    where, t->status, text_escape(words, sizeof(words), t->words, strlen(t->words)),
	    t->outcome == O_LATER ? " next=" : "",
	    t->outcome == O_LATER ? text_utc(next, outcome_due(s->id, loop_wall)) : "");
}

/* Those that come back: first the report, then the mark. */
static void
fail_marked(struct sending *s, const unsigned char *which, const char *where)
{
	int i;

	if (!memchr(which, 1, (size_t)s->n) || bounce(REPORT_FAILED, s, which, 0) < 0)
		return;
	for (i = 0; i < s->n; i++) {
		if (!which[i])
			continue;
		say(s, &s->to[i], "failed", where);
		(void)out_mark(s->id, s->fd, s->to[i].at, 'D');		/* else it comes again */
	}
}

static void
delay_marked(struct sending *s, const unsigned char *which, int64_t age)
{
	struct out_line l;

	if (age < delay_warning || !memchr(which, 1, (size_t)s->n) || out_line(s->fd, 0, &l) <= 0 ||
	    l.state == 'W')
		return;
	if (bounce(REPORT_DELAYED, s, which, mail_birth(s->id) + lifetime / 1000) == 0)
		(void)out_mark(s->id, s->fd, 0, 'W');			/* else it is told again */
}

int
outcome_conclude(struct sending *s, const char *where)
{
	unsigned char failed[RECIPIENTS] = { 0 }, later[RECIPIENTS] = { 0 },
	    sent[RECIPIENTS] = { 0 };
	int64_t age = (loop_wall - mail_birth(s->id)) * 1000;
	struct target *t;
	int i;

	s->host = where;
	for (i = 0; i < s->n; i++) {
		t = &s->to[i];
		if (t->outcome == O_NONE)
			t->outcome = O_LATER;
		if (t->outcome == O_SENT) {
			say(s, t, "sent", where);
			(void)out_mark(s->id, s->fd, t->at, 'D');	/* else it goes again */
			sent[i] = t->dsn != DSN_PROMISED;
			continue;
		}
		if (t->outcome == O_LATER) {
			remember(s->id, t);
			say(s, t, "deferred", where);
		}
		failed[i] = t->outcome == O_FAILED || age >= lifetime;
		later[i] = !failed[i];
	}
	if (memchr(sent, 1, (size_t)s->n))
		(void)bounce(REPORT_SENT, s, sent, 0);		/* only who has asked for it */
	fail_marked(s, failed, where);
	delay_marked(s, later, age);
	i = out_finish(s->id, s->fd) == 1;
	if (i)
		log_event(s->id, "done");
	(void)close(s->fd);	/* synced by and by */
	s->fd = -1;
	return i;
}

/* ---- giving up ---- */

/* The next recipients of a letter that are left in one of its files, from *at: 1, or 0. */
static int
collect_left(struct sending *s, off_t *at, int remote)
{
	struct out_line l;
	long n;

	s->n = 0;
	while (s->n < RECIPIENTS && (n = out_line(s->fd, *at, &l)) > 0) {
		if (l.state == 'T' && out_remote(&l) == remote) {
			memset(&s->to[s->n], 0, sizeof(s->to[0]));
			s->to[s->n].at = *at;
			s->to[s->n].outcome = O_FAILED;
			(void)text_copy(s->to[s->n].status, STATUS_TEXT, "5.0.0", 5);
			(void)text_copy(s->to[s->n].words, WORDS, "given up by the postmaster", 26);
			s->n++;
		}
		*at += n;
	}
	return s->n > 0;
}

/* Those in the file at hand, for other servers or for mailboxes: 0 or -1. */
static int
drop_left(struct sending *s, int tell, int remote)
{
	unsigned char all[RECIPIENTS];
	off_t at = 0;
	int i, r = 0;

	memset(all, 1, sizeof(all));
	while (r == 0 && collect_left(s, &at, remote)) {
		if (tell)
			r = bounce(REPORT_FAILED, s, all, 0);
		for (i = 0; i < s->n && r == 0; i++) {
			say(s, &s->to[i], "dropped", "-");
			r = remote ? out_mark(s->id, s->fd, s->to[i].at, 'D') :
			    fs_write(s->fd, "D", 1, s->to[i].at);
		}
	}
	return r;
}

int
outcome_drop(struct sending *s, const char *id, int tell)
{
	int any, r = 0;

	(void)text_copy(s->id, sizeof(s->id), id, strlen(id));
	s->host = NULL;
	s->fd = out_open(id, 0, &s->text, &s->end);
	if (s->fd < 0 && errno == ENOENT)
		s->fd = out_open(id, 1, &s->text, &s->end);
	any = s->fd >= 0;
	if (!any && errno != ENOENT)
		return -1;
	if (any) {
		r = drop_left(s, tell, 1);
		if (r == 0 && out_finish(id, s->fd) < 0)
			r = -1;
		(void)close(s->fd);	/* synced by and by */
	}
	if (r < 0)
		return r;
	s->fd = queue_take(id, &s->text, &s->end);
	if (s->fd < 0)
		return any && errno == ENOENT ? 0 : -1;
	r = drop_left(s, tell, 0);
	if (r == 0 && (fs_sync(s->fd) < 0 || queue_gone(id) < 0))
		r = -1;
	(void)close(s->fd);	/* what counts was synced */
	return r;
}
