/* with: lib/ip.c */
/* See LICENSE file for copyright and licence details. */
/* Addresses: text there and back, networks, socket addresses. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/ip.h"
#include "test.h"

static void
text(void)
{
	static const struct {
		const char *in, *want;	/* NULL: refused */
		int is4;
	} t[] = {
		{ "192.0.2.1", "192.0.2.1", 1 },
		{ "0.0.0.0", "0.0.0.0", 1 },
		{ "255.255.255.255", "255.255.255.255", 1 },
		{ "::ffff:192.0.2.1", "192.0.2.1", 1 },
		{ "::1", "::1", 0 },
		{ "::", "::", 0 },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", 0 },
		{ "fe80::1:2:3", "fe80::1:2:3", 0 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 0 },
		{ "", NULL, 0 },
		{ "192.0.2", NULL, 0 },
		{ "192.0.2.256", NULL, 0 },
		{ "192.0.2.1 ", NULL, 0 },
		{ "2001:db8::1::2", NULL, 0 },
		{ "fe80::1%eth0", NULL, 0 },
		{ "localhost", NULL, 0 },
	};
	char d[IP_TEXT];
	struct ip a;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		if (!CHECK_INT(ip_parse(&a, t[i].in), t[i].want ? 0 : -1) || !t[i].want)
			continue;
		CHECK_STR(ip_text(d, &a), t[i].want);
		CHECK_INT(ip_is4(&a), t[i].is4);
	}
}

static void
networks(void)
{
	static const struct {
		const char *a, *net;
		int bits, want;
	} t[] = {
		{ "192.0.2.1", "192.0.2.0", 96 + 24, 1 },
		{ "192.0.3.1", "192.0.2.0", 96 + 24, 0 },
		{ "192.0.3.1", "192.0.2.0", 96 + 23, 1 },
		{ "192.0.2.1", "192.0.2.1", 96 + 32, 1 },
		{ "192.0.2.1", "192.0.2.0", 96 + 32, 0 },
		{ "192.0.2.1", "192.0.2.0", 96 + 31, 1 },
		{ "203.0.113.9", "192.0.2.0", 96, 1 },
		{ "::1", "192.0.2.0", 96, 0 },
		{ "::1", "192.0.2.0", 0, 1 },
		{ "::1", "192.0.2.0", -1, 1 },
		{ "2001:db8:1:2:3::4", "2001:db8:1:2::", 64, 1 },
		{ "2001:db8:1:3::4", "2001:db8:1:2::", 64, 0 },
		{ "2001:db8:1:3::4", "2001:db8:1:2::", 63, 1 },
		{ "2001:db8::", "2001:db8::", 128, 1 },
		{ "2001:db8::1", "2001:db8::", 128, 0 },
		{ "2001:db8::1", "2001:db8::", 127, 1 },
		{ "2001:db8::1", "2001:db8::1", 500, 1 },
	};
	struct ip a, net;
	size_t i;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(ip_parse(&a, t[i].a), 0);
		CHECK_INT(ip_parse(&net, t[i].net), 0);
		CHECK_MSG(ip_within(&a, &net, t[i].bits) == t[i].want, "%s in %s/%d", t[i].a,
		    t[i].net, t[i].bits);
	}
}

static void
sockets(void)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr other;
	struct ip a, want;
	int port;

	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	in.sin_port = htons(2525);
	in.sin_addr.s_addr = htonl(0xc0000201);
	CHECK_INT(ip_from(&a, &port, (struct sockaddr *)&in), 0);
	CHECK_INT(ip_parse(&want, "192.0.2.1"), 0);
	CHECK_MEM(&a, sizeof(a), &want, sizeof(want));
	CHECK_INT(port, 2525);

	memset(&in6, 0, sizeof(in6));
	in6.sin6_family = AF_INET6;
	in6.sin6_port = htons(65535);
	in6.sin6_addr.s6_addr[0] = 0xfe;
	in6.sin6_addr.s6_addr[15] = 9;
	CHECK_INT(ip_from(&a, &port, (struct sockaddr *)&in6), 0);
	CHECK_INT(ip_parse(&want, "fe00::9"), 0);
	CHECK_MEM(&a, sizeof(a), &want, sizeof(want));
	CHECK_INT(port, 65535);

	memset(&other, 0, sizeof(other));
	other.sa_family = AF_UNIX;
	CHECK_INT(ip_from(&a, &port, &other), -1);
}

/* Into a socket address and back. */
static void
there_and_back(void)
{
	static const struct {
		const char *text;
		int family;
		socklen_t n;
	} t[] = {
		{ "192.0.2.1", AF_INET, sizeof(struct sockaddr_in) },
		{ "2001:db8::25", AF_INET6, sizeof(struct sockaddr_in6) },
	};
	struct sockaddr_storage sa;
	struct ip a, b;
	size_t i;
	int port;

	for (i = 0; i < LEN(t); i++) {
		CHECK_INT(ip_parse(&a, t[i].text), 0);
		CHECK_INT(ip_to(&sa, &a, 2525), t[i].n);
		CHECK_INT(sa.ss_family, t[i].family);
		CHECK_INT(ip_from(&b, &port, (struct sockaddr *)&sa), 0);
		CHECK_MEM(&b, sizeof(b), &a, sizeof(a));
		CHECK_INT(port, 2525);
	}
}

int
main(void)
{
	text();
	networks();
	sockets();
	there_and_back();
	return test_end();
}
