/* What view.c (the queue as text), control.c (over the socket) and admin.c (by itself) share. */
#ifndef CONTROL_H
#define CONTROL_H

#include "lib/fs.h"
#include "mail.h"

enum {
	CONTROL_LINE = 512,	/* octets of a command and of the last line of an answer */
	VIEW_PIECE = 4096	/* of text that a view makes at once */
};

/* Is it the id of a letter? Only then it may become a part of a path. */
int id_valid(const char *id);

/*
 * The queue, or one letter of it, as text. A letter has a line
 *
 *	ID STATE AGE SIZE NEXT <SENDER> PARAMETERS
 *
 * where the state is active, deferred, hold or local (it waits for a mailbox), and a line for
 * each recipient: TAB STATE <RECIPIENT> PARAMETERS "LAST WORDS". Only the place is kept.
 */
struct view {
	struct fs_dir dir;
	int room;		/* in which directory of spool/ we are */
	int fd;			/* a letter, -1: none in hand */
	int one;		/* show: this letter alone, and its text */
	int any;		/* there was a letter */
	char id[ID_TEXT];
	off_t at;		/* of the next line or piece */
	off_t text, end;
};

/* All of them, or one: 0, or -1 with errno (ENOENT: there is none, EILSEQ: it does not parse). */
void view_queue(struct view *v);
int view_show(struct view *v, const char *id);

/* The next piece, with room for VIEW_PIECE in dst: its length; 0: all said; -1 with errno. */
ssize_t view_next(struct view *v, char *dst);

/* Let go of what is open. Safe on one that has ended, or is empty memory with both fd -1. */
void view_end(struct view *v);

#define CONTROL_SOCKET "control"
#define SUBMIT_SOCKET "submit"

/* For commands, in the store: a connection to one of these, with a bound on each wait; -1 with
 * errno (ENOENT or ECONNREFUSED: no server runs). */
int control_dial(const char *name);

/*
 * Change the queue: words are "hold" ID, "drop" ID ["quiet"], "flush" [ID or domain]. 0, or a code
 * of sysexits(3); what there is to say about it is in answer, without a line end, or "".
 */
int control_change(char **words, int n, char answer[CONTROL_LINE]);

extern const size_t control_memory;

/* For commands: say what is wrong, with strerror() if fmt ends in ':'; returns the exit code. */
int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
