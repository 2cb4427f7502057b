/* A journal: records appended to a file of fixed size, made durable together, forgotten
 * together. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The file is filled with zeros when it is made, so that appending is overwriting (no metadata to
 * commit: half again as many syncs a second). It holds two headers in turn, each with a generation
 * and a checksum; the valid one with the higher generation counts. Records carry the generation:
 * a reset writes the next header and with that all records are void. The first record that is
 * not whole or not of the generation ends the journal: what comes behind was never synced.
 */
enum {
	JOURNAL_HEAD = 4096,		/* of each header; records begin behind the two */
	JOURNAL_TAG = 40		/* bytes of a record's tag */
};

struct journal {
	int fd;
	int bad;		/* a write or sync has failed: good for reading only */
	uint64_t gen;
	off_t end;		/* where the next record goes */
	off_t last;		/* payload of the last record written */
	off_t size;		/* of the file */
	off_t synced;		/* records before this are on the disk */
};

struct record {
	uint32_t type;
	char tag[JOURNAL_TAG];	/* the caller's, NUL-padded */
	off_t at;		/* of the payload in the file */
	uint64_t n;		/* payload bytes */
};

/*
 * Open or make the journal at path (in directory dir) with room for about `size` bytes. Finds the
 * end of what is in it; one that is smaller gets the room that is missing. 0; -1 with errno:
 * EILSEQ, it is not a journal; others as from open().
 */
int journal_open(struct journal *j, const char *dir, const char *path, off_t size);

/* The record at *at (0: the first); moves *at behind it. 1; 0: the end; -1: it cannot be read. */
int journal_next(const struct journal *j, off_t *at, struct record *r);

/* Is there room for a record with n bytes of payload? */
int journal_fits(const struct journal *j, uint64_t n);

/* Write a record: begin, add the payload in pieces, end: it then has r->at. Each 0 or -1 with
 * errno; after -1 the record is not there, else its payload is at j->last. */
int journal_begin(struct journal *j, uint32_t type, const char *tag, uint64_t n);
int journal_add(struct journal *j, const void *p, size_t n);
int journal_end(struct journal *j);

/* Make all records durable: 0 or -1. After -1 the journal is bad: what was not synced may be
 * lost. */
int journal_sync(struct journal *j);

/* Void all records, durably, also those behind a torn one: 0 or -1 (then bad). Wanted after each
 * journal_open(), or records of the same generation could come to life again. */
int journal_reset(struct journal *j);

/* Are there records? */
int journal_empty(const struct journal *j);

void journal_close(struct journal *j);

#endif
