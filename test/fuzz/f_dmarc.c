/* with: lib/dmarc.c lib/addr.c lib/idn.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Records and names of any kind. The input is lines: the author's domain, the authenticated ones
 * (the first octet tells SPF and DKIM apart), an empty line, then answers in the order of the
 * questions: records separated by octets 1, or one octet of a status. Questions are bounded and one
 * at a time, for names at or above those that began; the end comes once; a pass needs somebody
 * whose name shares the organisation of the author.
 */
#include <errno.h>

#include "fuzz.h"
#include "lib/dmarc.h"
#include "lib/text.h"

static struct {
	struct dns_query *q;
	int pending, asked, ended;
	const char *start;		/* where this walk began */
	int walk;			/* questions of it */
} dns;

int
dns_ask(struct dns_query *q, const char *name, enum dns_type type)
{
	const struct dmarc *d = q->arg;
	size_t n = strlen(name);

	HOLDS(!dns.pending && !dns.ended);
	HOLDS(type == DNS_TXTS || type == DNS_CNAME);
	HOLDS(type == DNS_CNAME || text_begins(name, n, "_dmarc."));
	dns.asked++;
	HOLDS(dns.asked <= DMARC_QUESTIONS);
	dns.walk = d->start == dns.start ? dns.walk + 1 : 1;
	HOLDS(dns.walk <= DMARC_WALK || d->step == DMARC_EXISTS);
	dns.start = d->start;
	if (n > 255 || strstr(name, "..") || name[n - 1] == '.') {
		errno = EINVAL;
		return -1;
	}
	dns.pending = 1;
	dns.q = q;
	return 0;
}

void
dns_cancel(struct dns_query *q)
{
	HOLDS(q == dns.q);
	dns.pending = 0;
}

static void
done(struct dmarc *d)
{
	HOLDS(d->arg == &dns && !dns.ended && !dns.pending);
	dns.ended = 1;
}

/* The next line: its length. */
static size_t
line(const char **p, const char *end, const char **text)
{
	const char *lf = *p < end ? memchr(*p, '\n', (size_t)(end - *p)) : NULL;

	*text = *p;
	*p = lf ? lf + 1 : end;
	return (size_t)((lf ? lf : end) - *text);
}

static void
answer(const char *text, size_t n)
{
	static struct dns_answer a;
	const char *cut;
	struct dns_query *q = dns.q;

	memset(&a, 0, sizeof(a));
	if (n <= 1) {
		a.status = n ? (enum dns_status)(1 + *text % 4) : DNS_NXDOMAIN;
	} else {
		while (a.n < DNS_RRS && n) {
			cut = memchr(text, 1, n);
			a.rr[a.n].text = text;
			a.rr[a.n].n = cut ? (size_t)(cut - text) : n;
			n -= a.rr[a.n].n + (cut != NULL);
			text += a.rr[a.n++].n + 1;
		}
		a.cut = n > 0;
	}
	dns.pending = 0;
	q->done(q, &a);
}

static int
is_below(const char *name, const char *above)
{
	size_t n = strlen(name), k = strlen(above);

	return n >= k && !strcmp(name + n - k, above) && (n == k || name[n - k - 1] == '.');
}

static void
verdict(const struct dmarc *d)
{
	int i, good = 0;

	HOLDS(d->result >= DMARC_NONE && d->result <= DMARC_PERMERROR);
	HOLDS(d->policy >= POLICY_NONE && d->policy <= POLICY_REJECT);
	HOLDS(*dmarc_word(d->result) && *dmarc_policy_word(d->policy));
	HOLDS(is_below(d->author, d->domain) || !*d->domain);
	HOLDS(is_below(d->author, d->organisation));
	HOLDS(d->result == DMARC_NONE || d->result == DMARC_TEMPERROR || *d->domain);
	HOLDS(d->result != DMARC_NONE || (!*d->domain && !d->policy));
	HOLDS(d->n <= DMARC_IDS);
	for (i = 0; i < d->n; i++)
		good |= is_below(d->id[i].domain, d->organisation) ||
		    !strcmp(d->id[i].domain, d->author);
	HOLDS(d->result != DMARC_PASS || good);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmarc d;
	const char *p = (const char *)data, *end = p + size, *text;
	char name[400];
	size_t n;
	int i;

	memset(&dns, 0, sizeof(dns));
	memset(&d, 0xa5, sizeof(d));
	d.done = done;
	d.arg = &dns;
	n = line(&p, end, &text);
	snprintf(name, sizeof(name), "%.*s", (int)n, text);
	dmarc_begin(&d, name);
	for (i = 0; (n = line(&p, end, &text)) > 0 && i < 50; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)n - 1, text + 1);
		(*text & 1 ? dmarc_spf : dmarc_dkim)(&d, name);
	}
	dns.q = &d.q;
	dmarc_check(&d);
	HOLDS(dns.ended == !dns.pending);
	for (i = 0; dns.pending; i++) {
		HOLDS(i < DMARC_QUESTIONS);
		n = line(&p, end, &text);
		if (size % 16 == 3 && i == 2) {
			dmarc_cancel(&d);
			HOLDS(!dns.pending && !dns.ended);
			return 0;
		}
		answer(text, n);
	}
	HOLDS(dns.ended);
	verdict(&d);
	return 0;
}
