/* What store.c (letters coming in), queue.c (letters that wait) and recover.c (after a crash)
 * share. */
#ifndef STORE_H
#define STORE_H

#include "lib/journal.h"
#include "mail.h"

enum { RECORD_LETTER = 1, RECORD_NOTE = 2, RECORD_MARK = 3 };

extern struct journal journal;

/* ---- letter.c, for the store ---- */

/* The path of a letter's scratch file. Returns path. */
char *letter_path(char path[PATH_TEXT], const struct letter *l);

/* Into the file with what the pen holds: 0, or -1 and the letter is bad. */
int letter_spill(struct letter *l);

/* What of it is in no file: a pointer (NULL: nothing) and how much, *n. */
const char *letter_pen(const struct letter *l, size_t *n);

/* Take its pen away. What that holds is lost. */
void letter_unpen(struct letter *l);

/* ---- store.c ---- */

/* Log disk trouble, errno and place, once a minute for the same error. */
void store_trouble(const char *what);

/* What is on the disk is no longer known: accept nothing until recovery has been done. */
void store_break(const char *what);

/* Put a note about a mailbox into the journal if there is none: 0 or -1. It counts after a sync. */
int store_note(int user);

/* Append a small letter to a mailbox, at once: R_OK, R_TEMP, R_PERM. */
enum res store_append(const struct mail *m, int user);

/* Write queue files for letters whose mailboxes could not be written to: 0 or -1. */
int store_settle(void);

/* Write a queue file for the recipients of a letter whose accounts are gone: 0 or -1. */
int store_queue(const struct mail *m);

/* Recovery: let the queue bring a letter of the journal to an account, durably: 0 or -1. */
int store_defer(const struct mail *m, int user);

/* The queue has something to do: at once, or after retry_locked. */
void queue_kick(void);
void queue_late(void);

/* This letter was refused, but its file could not be removed: that is tried again, and nobody gets
 * it. */
void queue_void(const char *id);

/* Is no append of the queue under way? A checkpoint would void its note. */
int queue_idle(void);

/* A slice of the queue's work; wait, or less: the ms until it wants to be called again. */
int queue_tick(int wait);

/* Open a queue file: 0; -1: it is not there or does not parse (*bad is set). m->fd is the
 * caller's. */
int queue_open(struct mail *m, const char *id, int *bad);

/* A letter of the queue that shall not be delivered: its file, which nothing else has in hand and
 * no journal knows of, or -1 with errno; when all its recipients are D and synced it is removed: 0
 * or -1. */
int queue_take(const char *id, off_t *text, off_t *end);
int queue_gone(const char *id);

/* ---- out.c, for the store ---- */

/* A letter of the journal with recipients for other servers: make its file, not synced. 0 or -1. */
int out_put(const struct mail *m);

/* Sync what was made or changed: 0 or -1. Is there any? */
int out_sync(void);
int out_dirty(void);

/* Recovery: put a letter's file right (if it has recipients for others); overwrite a mark again;
 * and those that neither file nor journal have taken: 0 or -1. */
int out_recover(const struct mail *m);
int out_remark(const char *id, const void *p, size_t n);
int out_recall(void);

/* A change in a file of spool/out, for the journal: 0 or -1. It counts after a sync. */
int store_mark(const char *id, const void *p, size_t n);

/* Bring the mailboxes in line with the journal: 0, or -1 (logged). Everything is synced then. */
int recover(void);

#endif
