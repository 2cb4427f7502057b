/* Text of a header that is encoded: RFC 2047 words, and what they are made of. */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

/* The value of a header field, unfolded and decoded, without white space around it: its length. It
 * is valid UTF-8 (what is not, and control octets, become '?'), cut in the middle if it does not
 * fit (size is at least 9), NUL-terminated. */
size_t words_decode(char *dst, size_t size, const char *p, size_t n);

/* The same for n octets of what has been decoded; dst may be p, and has room for a NUL more. n. */
size_t words_clean(char *dst, const char *p, size_t n);

/* Text that is cut in the middle; of a long run of dots and spaces only some are kept: they must
 * not push out what is before them, which may be the end of a file name. */
struct keep {
	char *p;
	uint16_t size, n;
	uint16_t run;
	uint16_t cut;			/* not all is there */
};
void keep_init(struct keep *k, char *p, size_t size);
void keep_put(struct keep *k, char ch);

/* Does it count for nothing at the end of a file name? Windows drops dots and spaces there. */
int keep_idle(char ch);

/* %XX or =XX: one octet in, so many out (0 to 3), in held. What is begun and not ended is lost. */
struct hex {
	unsigned char n;
	char held[3];
};
size_t hex_feed(struct hex *h, char escape, char ch);

/* base64: one octet in, the one that is complete now, or -1. Padding begins anew, what else is
 * there is left out. Both are zero at first. */
int b64_feed(unsigned char *bits, unsigned char *acc, char ch);

/* A charset by its name (a language may be behind it, RFC 2231 5). */
unsigned char words_charset(const char *p, size_t n);

/* Text with encoded words in it. */
struct words {
	struct keep *out;
	enum { W_TEXT, W_BEGIN, W_DATA, W_END } state;
	unsigned char base, charset;	/* around the words, and in one */
	unsigned char odd;		/* some programs would not take one for one */
	unsigned char b64;		/* its encoding */
	unsigned char join;		/* words with but space between are one text */
	unsigned char torn;		/* so it was: an octet began in one and ended in the next */
	unsigned char escape;		/* in an escape of ISO 2022 */
	unsigned char after;		/* nothing but space since the last one */
	unsigned char bits, acc;
	unsigned char nhold;
	uint32_t spaces;
	struct hex hex;
	char hold[48];			/* what may become one */
};
void words_init(struct words *w, struct keep *out);

/* 1: there was a NUL in it, where a name ends for programs in C. */
int words_feed(struct words *w, char ch);
void words_end(struct words *w);

#endif
