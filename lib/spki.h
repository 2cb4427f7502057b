/* The public key of a certificate that comes in pieces, as its SubjectPublicKeyInfo. */
#ifndef SPKI_H
#define SPKI_H

#include <stddef.h>
#include <stdint.h>

enum { SPKI_MAX = 600 };		/* octets: an RSA key of 4096 bits has 550 */

struct spki {
	unsigned char der[SPKI_MAX];
	size_t n;
	uint32_t left;			/* octets of the present element that are still to come */
	int item, state, more;
};

void spki_init(struct spki *s);
void spki_push(struct spki *s, const void *p, size_t n);

/* Is der[0..n) the key? 0: no certificate came, or not as far as its key, or that is too long. */
int spki_done(const struct spki *s);

#endif
