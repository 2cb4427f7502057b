/* IP addresses as 16 bytes; an IPv4 address is kept in its IPv4-mapped form ::ffff:a.b.c.d. */
#ifndef IP_H
#define IP_H

#include <stddef.h>
#include <sys/socket.h>

enum { IP_TEXT = 48 };		/* room for an address as text, with its NUL */

struct ip {
	unsigned char a[16];
};

/* Is it an IPv4 address? */
int ip_is4(const struct ip *a);

/* Are the first `bits` bits equal? For IPv4 add 96. */
int ip_within(const struct ip *a, const struct ip *net, int bits);

/* Text, as inet_ntop writes it (IPv4 without the prefix), always terminated; returns dst. */
char *ip_text(char dst[IP_TEXT], const struct ip *a);

/* The address and the port of a socket address; 0, or -1 for another family. */
int ip_from(struct ip *a, int *port, const struct sockaddr *sa);

/* The other way round: fills sa, returns its length. */
socklen_t ip_to(struct sockaddr_storage *sa, const struct ip *a, int port);

/* Parse text ("192.0.2.1" or "2001:db8::1"); 0 or -1. */
int ip_parse(struct ip *a, const char *text);

#endif
