/* A table of fixed size in a file, mapped: keys of 16 octets, kept over a restart. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { TABLE_KEY = 16, TABLE_WAYS = 8 };

struct table_row {
	unsigned char key[TABLE_KEY];	/* all zero: free */
	uint32_t since, last;		/* real time, seconds */
	uint32_t n;			/* the user's */
	uint32_t until;			/* the user's */
};

struct table {
	struct table_row *row;		/* mapped; or the caller's memory */
	size_t n;			/* a power of two times TABLE_WAYS */
};

/*
 * Map (making it, or making it anew if it is not one of ours or of another size) the file at path
 * with n rows. If the disk does not allow it, rows in `spare` (n of them, zeroed, the caller's, may
 * be NULL) serve until the next start: then -1 with errno, else 0. It is a cache: whatever is in it
 * may be false, and losing it is no harm beyond what it remembers.
 */
int table_open(struct table *t, const char *path, size_t n, struct table_row *spare);

/* The row of a key: if there is none and make is 1, a free one, or in place of the one of its TABLE_WAYS
 * that was used (last) least recently; a new one is all zero but for its key. NULL: none. */
struct table_row *table_find(struct table *t, const unsigned char key[TABLE_KEY], int make);

/* A key for octets: SHA-256 with a secret of the caller's in front, cut. */
void table_key(unsigned char key[TABLE_KEY], const void *secret, size_t nsecret, const void *p,
    size_t n);

#endif
