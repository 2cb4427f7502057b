/* Messages of the DNS: questions written, answers read. No network and no state. RFC 1035, 6891. */
#ifndef DNSMSG_H
#define DNSMSG_H

#include <stddef.h>
#include <stdint.h>

#include "dns.h"

enum {
	DNSMSG_UDP = 1232,	/* octets of an answer by UDP: never in fragments */
	DNSMSG_TCP = 16384,	/* and by TCP */
	DNSMSG_ASK = 300	/* room for a question */
};

/* What an answer comes to. */
enum dnsmsg {
	M_ALIEN,		/* not an answer to this question */
	M_TRUNCATED,		/* TC: ask by TCP */
	M_FORMERR,		/* also NOTIMP: perhaps it does not like EDNS */
	/* this server does not help: SERVFAIL, REFUSED, broken, a referral */
	M_REFUSED,
	/* the CNAMEs end at `name`, about which it says nothing: ask for that */
	M_FOLLOW,
	M_OK, M_NODATA, M_NXDOMAIN
};

/* What was found in an answer. */
struct dns_found {
	char name[DNS_NAME];	/* where the CNAMEs end, or the name that was asked for */
	int links;		/* how many they are */
	int cut;
	int rrs;		/* records */
	uint32_t ttl;		/* M_NODATA, M_NXDOMAIN: 0 if the answer names none */
	/* The records, packed: preference and length (2 octets each, the machine's order), as many
	 * octets (16 of an address), a NUL. */
	size_t n;
	char b[DNS_DATA];
};

/* A name as it is compared: lower case, no last dot, in bounds. 0, or -1: it is none. */
int dnsmsg_name(char dst[DNS_NAME], const char *name);

/* Write a question to p: its length. name: as of dnsmsg_name(). edns: the answer may be DNSMSG_UDP
 * octets long. */
size_t dnsmsg_ask(unsigned char p[DNSMSG_ASK], const char *name, int type, unsigned id, int edns);

/* Read the answer to that question. links: as many CNAMEs may be followed. */
enum dnsmsg dnsmsg_read(struct dns_found *f, const unsigned char *p, size_t n, const char *name,
    int type, unsigned id, int links);

/* Packed records into a->rr, which point into b. */
void dnsmsg_unpack(struct dns_answer *a, int type, const char *b, size_t n);

#endif
