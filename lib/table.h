/* A table of fixed size that is kept in a file: rows by a hashed key, each for a time. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { TABLE_KEY = 20, TABLE_WAYS = 8, TABLE_SECRET = 32 };

struct table_row {
	unsigned char key[TABLE_KEY];
	uint32_t since;		/* real time, seconds: when the row was made */
	uint32_t until;		/* the user's: when it ends; 0: free */
	uint32_t n;		/* the user's */
};

/* All but fd and failed is filled in by the caller before table_open(). */
struct table {
	struct table_row *row;		/* the caller's memory, zeroed */
	size_t n;			/* a power of two times TABLE_WAYS; 0: nothing is kept */
	uint32_t life;			/* the longest time, in seconds, that a row may have */
	unsigned char secret[TABLE_SECRET];	/* random; the file's, if there is one */
	int fd;				/* -1: no file */
	int failed;			/* the last write has */
};

/*
 * Read the file at path, or make it (anew if it is not one of ours or of another size). -1 with
 * errno: the disk does not allow it, and the rows are in memory only until the next start. It is a
 * cache: whatever is in the file is harmless, and losing it is no harm beyond what it remembers.
 */
int table_open(struct table *t, const char *path);

/*
 * The row of a key that lives at real time `now`, NULL: there is none. make: then it is made, in
 * place of the row of its TABLE_WAYS that ends first, `until` being so; never NULL if t->n.
 */
struct table_row *table_find(struct table *t, const unsigned char key[TABLE_KEY], int64_t now);
struct table_row *table_make(struct table *t, const unsigned char key[TABLE_KEY], int64_t now,
    int64_t until);

/* A row has been changed: into the file. -1 with errno: it cannot be written, and could before. */
int table_save(struct table *t, const struct table_row *r);

/* A key for octets: SHA-256 with the table's secret in front, cut. Its first four octets choose the
 * TABLE_WAYS rows, so nobody outside can tell which keys share them. */
void table_key(const struct table *t, unsigned char key[TABLE_KEY], const void *p, size_t n);

#endif
