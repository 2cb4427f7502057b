/* See LICENSE file for copyright and licence details. */
/*
 * IP addresses as 16 bytes. IPv4 is kept in its IPv4-mapped IPv6 form, so that both kinds are
 * compared, masked and stored by the same code.
 */
#include <sys/types.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "ip.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

int
ip_is4(const struct ip *a)
{
	return !memcmp(a->a, mapped, sizeof(mapped));
}

int
ip_within(const struct ip *a, const struct ip *net, int bits)
{
	int whole, rest;

	if (bits <= 0)
		return 1;
	if (bits > 128)
		bits = 128;
	whole = bits / 8;
	rest = bits % 8;
	if (memcmp(a->a, net->a, (size_t)whole) != 0)
		return 0;
	return !rest || (a->a[whole] ^ net->a[whole]) >> (8 - rest) == 0;
}

char *
ip_text(char dst[IP_TEXT], const struct ip *a)
{
	const char *s;

	if (ip_is4(a))
		s = inet_ntop(AF_INET, a->a + 12, dst, IP_TEXT);
	else
		s = inet_ntop(AF_INET6, a->a, dst, IP_TEXT);
	if (!s)
		dst[0] = '\0';
	return dst;
}

static void
from4(struct ip *a, const struct in_addr *in)
{
	memcpy(a->a, mapped, sizeof(mapped));
	memcpy(a->a + 12, in, 4);
}

int
ip_from(struct ip *a, int *port, const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		from4(a, &in.sin_addr);
		*port = ntohs(in.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		memcpy(a->a, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
		return 0;
	default:
		return -1;
	}
}

socklen_t
ip_to(struct sockaddr_storage *sa, const struct ip *a, int port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(sa, 0, sizeof(*sa));
	if (ip_is4(a)) {
		memset(&in, 0, sizeof(in));
		in.sin_family = AF_INET;
		in.sin_port = htons((uint16_t)port);
		memcpy(&in.sin_addr, a->a + 12, 4);
		memcpy(sa, &in, sizeof(in));
		return sizeof(in);
	}
	memset(&in6, 0, sizeof(in6));
	in6.sin6_family = AF_INET6;
	in6.sin6_port = htons((uint16_t)port);
	memcpy(&in6.sin6_addr, a->a, 16);
	memcpy(sa, &in6, sizeof(in6));
	return sizeof(in6);
}

int
ip_parse(struct ip *a, const char *text)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, text, &in) == 1) {
		from4(a, &in);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &in6) == 1) {
		memcpy(a->a, &in6, 16);
		return 0;
	}
	return -1;
}
