/* A resolver that never blocks: queries as connections of the loop. RFC 1035, 2308, 3596, 6891. */
#ifndef DNS_H
#define DNS_H

#include <stddef.h>
#include <stdint.h>

#include "ip.h"

enum {
	DNS_NAME = 256,		/* a name as text with its NUL, without the last dot, lower case */
	DNS_RRS = 64,		/* records of an answer that are kept */
	DNS_DATA = 8192,	/* octets of all of them, with 5 on top of each */
	DNS_CHAIN = 8,		/* CNAMEs that are followed */
	DNS_SERVERS = 4		/* that are asked */
};

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXTS = 16, DNS_AAAA = 28 };

/* NODATA: the name exists, without such records. SERVFAIL: also REFUSED, a broken answer or chain.
 * TIMEOUT: no server has answered. The last two say nothing about the name. */
enum dns_status { DNS_OK, DNS_NODATA, DNS_NXDOMAIN, DNS_SERVFAIL, DNS_TIMEOUT };

struct dns_rr {
	struct ip ip;			/* A, AAAA */
	uint16_t preference;		/* MX */
	/* MX, PTR, CNAME: a name ("" is the root: null MX); TXT: the strings joined. A NUL
	 * follows. */
	const char *text;
	size_t n;			/* of text */
};

struct dns_answer {
	enum dns_status status;
	uint32_t ttl;			/* seconds */
	int n;				/* DNS_OK: at least 1, otherwise 0 */
	int cut;			/* there were more records than DNS_RRS or DNS_DATA hold */
	struct dns_rr rr[DNS_RRS];
};

/* A question, owned by the caller until `done` has been called or dns_cancel(). */
struct dns_query {
	/* a is valid during the call only. q is the caller's again and may be asked with at
	 * once. */
	void (*done)(struct dns_query *q, const struct dns_answer *a);
	void *arg;			/* the caller's */
	int slot;			/* the resolver's; -1: nothing under way */
};

struct dns_server {
	struct ip ip;
	int port;
};

/* The servers to ask, in this order; at most DNS_SERVERS count. None: the one of this machine.
 * random: fills with n unpredictable bytes. */
void dns_init(const struct dns_server *servers, int n, void (*random)(void *p, size_t n));

/* Read name servers from the text of a resolv.conf: how many were put into s (at most max). */
int dns_resolv_conf(struct dns_server *s, int max, const char *text);

/*
 * Ask. name: any case, with or without a last dot. `done` is called in a later turn, never from
 * here, also for what the cache knows. 0; -1: it is no name (errno EINVAL: for good), or too many
 * questions are under way (EAGAIN): try later.
 */
int dns_ask(struct dns_query *q, const char *name, enum dns_type type);

/* Forget a question; harmless if nothing is under way. */
void dns_cancel(struct dns_query *q);

/* The name for PTR questions: "4.3.2.1.in-addr.arpa" or ip6.arpa. Returns dst. */
char *dns_reverse(char dst[DNS_NAME], const struct ip *a);

/* Send what has been asked, deliver what the cache knows, give up what has taken too long. To be
 * called before each turn, after all who might ask: ms until it wants to be called again. */
int dns_tick(int wait);

/* Memory of the resolver in bytes. */
extern const size_t dns_memory;

#endif
