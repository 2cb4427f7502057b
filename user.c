/* See LICENSE file for copyright and licence details. */
/*
 * Accounts, and the addresses that lead to them. The file `users` of the store has one line an
 * account, "name:VERIFIER" (lib/scram.h); empty lines and lines with '#' in front are left alone,
 * and so are lines that do not parse: they are logged and kept, never repaired or removed. Commands
 * replace the file as a whole while the server runs; the server looks at its stamp before each use.
 * An account keeps its slot in the table until the server ends, even when it is deleted, so that a
 * slot in a session or in a letter never comes to mean somebody else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "lib/fs.h"
#include "lib/idn.h"
#include "lib/log.h"
#include "lib/text.h"
#include "mail.h"

enum {
	NALIASES = sizeof(aliases) / sizeof(*aliases),
	NDOMAINS = sizeof(domains) / sizeof(*domains),
	NRELAYS = sizeof(relay_domains) / sizeof(*relay_domains),
	USERS_FILE = ACCOUNTS * 256	/* the file `users`, at most */
};

_Static_assert(ACCOUNTS >= 1 && ACCOUNTS <= 8 * sizeof(struct user_set),
    "config.h: ACCOUNTS is 1 to 256");

/* Some piece of text in somebody else's memory. */
struct part {
	const char *p;
	size_t n;
};

/* A line of the file `users`. */
struct entry {
	struct part name, verifier;
};

static struct user users[ACCOUNTS];
static struct stamp stamp;		/* of the file that the table was read from */
/* errno of the last attempt that failed, so that it is logged once */
static int trouble;
static char content[USERS_FILE];

int
user_valid(const char *name, size_t n)
{
	size_t i;

	if (n < 1 || n >= NAME_TEXT || !text_alnum(name[0]))
		return 0;
	for (i = 0; i < n; i++) {
		if (text_lower(name[i]) != name[i])
			return 0;
		if (!text_alnum(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
			return 0;
	}
	return 1;
}

/* ---- the file ---- */

/* The next line at *p, without its LF; moves *p behind it. 0: there is none. */
static int
next_line(const char **p, const char *end, struct part *line)
{
	const char *nl;

	if (*p == end)
		return 0;
	nl = memchr(*p, '\n', (size_t)(end - *p));
	line->p = *p;
	line->n = (size_t)((nl ? nl : end) - *p);
	*p = nl ? nl + 1 : end;
	return 1;
}

static int
parse_line(struct entry *e, const struct part *line)
{
	struct scram_verifier v;
	const char *colon;

	colon = memchr(line->p, ':', line->n);
	if (!colon)
		return -1;
	e->name.p = line->p;
	e->name.n = (size_t)(colon - line->p);
	e->verifier.p = colon + 1;
	e->verifier.n = line->n - e->name.n - 1;
	if (!user_valid(e->name.p, e->name.n) || e->verifier.n >= SCRAM_TEXT)
		return -1;
	return scram_parse(&v, e->verifier.p, e->verifier.n);
}

static int
slot_of(const char *name, size_t n)
{
	int i;

	for (i = 0; i < ACCOUNTS && users[i].name[0]; i++) {
		if (strlen(users[i].name) == n && !memcmp(users[i].name, name, n))
			return i;
	}
	return -1;
}

/* The slot for a name of the file: its old one, or a free one, or -1. */
static int
slot_for(const struct part *name)
{
	int i;

	i = slot_of(name->p, name->n);
	if (i >= 0)
		return i;
	for (i = 0; i < ACCOUNTS; i++) {
		if (!users[i].name[0]) {
			(void)text_copy(users[i].name, sizeof(users[i].name), name->p, name->n);
			return i;
		}
	}
	return -1;
}

static void
take_line(const struct part *line, int number, struct user_set *seen)
{
	struct entry e;
	int i;

	if (!line->n || line->p[0] == '#')
		return;
	if (parse_line(&e, line) < 0) {
		log_event("-", "users line=%d: malformed, left out", number);
		return;
	}
	i = slot_for(&e.name);
	if (i < 0) {
		log_event("-", "users line=%d: no room, ACCOUNTS in config.h is %d",
		    number, ACCOUNTS);
	} else if (user_in(seen, i)) {
		log_event("-", "users line=%d: %s is there twice, the first counts",
		    number, users[i].name);
	} else {
		seen->bit[i / 8] |= (unsigned char)(1 << i % 8);
		users[i].gone = 0;
		(void)text_copy(users[i].verifier, sizeof(users[i].verifier), e.verifier.p,
		    e.verifier.n);
	}
}

static void
take_file(size_t n)
{
	struct user_set seen;
	struct part line;
	const char *p = content;
	int i, number = 0;

	memset(&seen, 0, sizeof(seen));
	while (next_line(&p, content  + n, &line))
		take_line(&line, ++number, &seen);
	for (i = 0; i < ACCOUNTS && users[i].name[0]; i++) {
		if (!user_in(&seen, i)) {
			users[i].gone = 1;
			memset(users[i].verifier, 0, sizeof(users[i].verifier));
		}
	}
}

/* The file's text into `content`: its length, or -1. No file is an empty one. */
static ssize_t
read_file(void)
{
	ssize_t n;

	n = fs_slurp("users", content, sizeof(content));
	return n < 0 && errno == ENOENT ? 0 : n;
}

static int
failed(void)
{
	int e = errno;

	if (e != trouble)
		log_event("-", "users: cannot be read: %s; the accounts known so far stay",
		    strerror(e));
	trouble = e;
	errno = e;
	return -1;
}

int
user_load(void)
{
	static int loaded;
	struct stamp now;
	struct stat st;
	ssize_t n;

	memset(&now, 0, sizeof(now));
	if (stat("users", &st) == 0)
		fs_stamp(&now, &st);
	else if (errno != ENOENT)
		return failed();
	if (loaded && fs_same(&now, &stamp))
		return 0;
	n = read_file();
	if (n < 0)
		return failed();
	take_file((size_t)n);
	stamp = now;	/* older than what was read, never newer: at worst it is read once more */
	trouble = 0;
	loaded = 1;
	return 0;
}

/* Put n bytes in the place of `old` bytes at `at` of the text of *len bytes. */
static int
splice(size_t *len, size_t at, size_t old, const char *p, size_t n)
{
	if (*len - old + n >= sizeof(content)) {
		errno = EFBIG;
		return -1;
	}
	memmove(content  + at + n, content  + at + old, *len - at - old);
	memcpy(content  + at, p, n);
	*len += n - old;
	return 0;
}

/* Every line of the account goes; `line` comes where the first one was, or at the end. */
static int
edit(size_t *len, const struct part *name, const char *line, size_t n)
{
	const char *p = content, *start;
	struct entry e;
	struct part l;
	int done = 0;
	size_t new;

	for (start = p; next_line(&p, content  + *len, &l); start = p) {
		if (parse_line(&e, &l) < 0 || e.name.n != name->n ||
		    memcmp(e.name.p, name->p, name->n))
			continue;
		new = done ? 0 : n;
		if (splice(len, (size_t)(start - content), (size_t)(p - start), line, new) < 0)
			return -1;
		p = start + new;
		done = 1;
	}
	if (done || !n)
		return 0;
	if (*len && content[*len - 1] != '\n' && splice(len, *len, 0, "\n", 1) < 0)
		return -1;
	return splice(len, *len, 0, line, n);
}

int
user_write(const char *name, const char *verifier)
{
	char line[NAME_TEXT + SCRAM_TEXT + 2];
	struct part who = { name, strlen(name) };
	size_t len, n = 0;
	ssize_t r;

	BUG_IF(!user_valid(name, who.n));
	r = read_file();
	if (r < 0)
		return -1;
	len = (size_t)r;
	if (verifier) {
		BUG_IF(strlen(verifier) >= SCRAM_TEXT);
		memcpy(line, name, who.n);
		n = who.n;
		line[n++] = ':';
		memcpy(line + n, verifier, strlen(verifier));
		n += strlen(verifier);
		line[n++] = '\n';
	}
	if (edit(&len, &who, line, n) < 0)
		return -1;
	return fs_replace(".", "users.tmp", "users", content, len, 0600);
}

/* ---- look-ups ---- */

const struct user *
user_at(int slot)
{
	if (slot < 0 || slot >= ACCOUNTS || !users[slot].name[0])
		return NULL;
	return &users[slot];
}

int
user_find(const char *name, size_t n)
{
	int i;

	i = slot_of(name, n);
	return i >= 0 && !users[i].gone ? i : -1;
}

int
user_in(const struct user_set *s, int slot)
{
	return s->bit[slot / 8] >> slot % 8 & 1;
}

/* The account that is meant where none is named. */
static int
first_account(void)
{
	int i;

	for (i = 0; i < ACCOUNTS && users[i].name[0]; i++) {
		if (!users[i].gone)
			return i;
	}
	return -1;
}

static int
add(struct user_set *s, int slot)
{
	if (slot < 0)
		return 0;
	s->bit[slot / 8] |= (unsigned char)(1 << slot % 8);
	return 1;
}

int
user_owns(const char *domain, size_t n)
{
	const char *own;
	size_t i;

	for (i = 0; i < NDOMAINS; i++) {
		own = domains[i][0] ? domains[i] : host;
		if (n && idn_same(domain, n, own, strlen(own)))
			return 1;
	}
	return 0;
}

int
user_relays(const char *domain, size_t n)
{
	size_t i;

	for (i = 0; i < NRELAYS; i++) {
		if (n && idn_same(domain, n, relay_domains[i], strlen(relay_domains[i])))
			return 1;
	}
	return 0;
}

/* Split at the last '@': 1, or 0 if there is none (then *domain is empty). */
static int
split(const char *s, size_t n, struct part *local, struct part *domain)
{
	size_t i;

	for (i = n; i && s[i - 1] != '@'; i--)
		;
	local->p = s;
	local->n = i ? i - 1 : n;
	domain->p = i ? s + i : s + n;
	domain->n = i ? n - i : 0;
	return i != 0;
}

int
user_login(const char *name, size_t n)
{
	char low[NAME_TEXT];
	struct part local, domain;
	size_t i;

	if (split(name, n, &local, &domain) && !user_owns(domain.p, domain.n))
		return -1;
	if (local.n >= sizeof(low))
		return -1;
	for (i = 0; i < local.n; i++)
		low[i] = (char)text_lower(local.p[i]);
	return user_valid(low, local.n) ? user_find(low, local.n) : -1;
}

/* ---- aliases ---- */

/* A row whose left side is local@domain (domain empty: local alone), or -1. */
static int
row_exact(const struct part *local, const struct part *domain)
{
	struct part l, d;
	int i;

	for (i = 0; i < NALIASES; i++) {
		(void)split(aliases[i].from, strlen(aliases[i].from), &l, &d);
		if (text_ieq(l.p, l.n, local->p, local->n) &&
		    idn_same(d.p, d.n, domain->p, domain->n))
			return i;
	}
	return -1;
}

/* A row for the whole address or for its local part, or -1. */
static int
row_of(const struct part *local, const struct part *domain)
{
	static const struct part none = { "", 0 };
	int row = -1;

	if (domain->n)
		row = row_exact(local, domain);
	return row < 0 ? row_exact(local, &none) : row;
}

/* Drop the tag of a subaddress: 1 if there was one. */
static int
untag(struct part *local)
{
	const char *p;

	if (!subaddress || local->n < 2)
		return 0;
	p = memchr(local->p + 1, subaddress, local->n - 1);
	if (!p)
		return 0;
	local->n = (size_t)(p - local->p);
	return 1;
}

/* Does it leave our domains? */
static int
outside(const struct part *domain)
{
	return domain->n && !user_owns(domain->p, domain->n);
}

/*
 * What a name means, in the order of config.h: a row (>= 0, except `not`), or -1 and *slot is the
 * account, or -1 and *slot is -1: nobody of ours. Accounts are lower case: so is local.
 */
static int
meaning(struct part local, const struct part *domain, int not, int *slot)
{
	int row;

	*slot = -1;
	if (outside(domain))
		return -1;
	do {
		row = row_of(&local, domain);
		if (row >= 0 && row != not)
			return row;
		*slot = user_find(local.p, local.n);
	} while (*slot < 0 && untag(&local));
	return -1;
}

/* A word of a row's right side. */
struct word {
	struct part raw;		/* in config.h */
	struct part local, domain;	/* in lower case */
	char low[ADDR_TEXT + 1];
};

/* The next one; moves *to. 0: there is none. */
static int
next_word(const char **to, struct word *w)
{
	size_t i, n;

	*to += strspn(*to, " ");
	n = strcspn(*to, " ");
	if (!n)
		return 0;
	BUG_IF(n > ADDR_TEXT);	/* user_check */
	for (i = 0; i < n; i++)
		w->low[i] = (char)text_lower((unsigned char)(*to)[i]);
	w->raw.p = *to;
	w->raw.n = n;
	w->local = w->domain = w->raw;	/* split() says more; clang does not see that */
	*to += n;
	(void)split(w->low, n, &w->local, &w->domain);
	return 1;
}

static int
is_postmaster(const struct part *local)
{
	return text_is(local->p, local->n, "postmaster");
}

/* The number of a word among all words of aliases[], of the first one that is equal. */
static int
number(const struct part *raw)
{
	const char *words, *p;
	int id = 0, row;
	size_t n;

	for (row = 0; row < NALIASES; row++) {
		words = aliases[row].to;
		for (p = words + strspn(words, " "); *p; p += n, p += strspn(p, " "), id++) {
			n = strcspn(p, " ");
			if (text_ieq(p, n, raw->p, raw->n))
				return id;
		}
	}
	return -1;
}

/* user_check() has seen that there is room for all. */
static void
forward(struct forwards *out, const struct part *raw)
{
	int i, id = number(raw);

	for (i = 0; i < out->n && out->to[i].id != id; i++)
		;
	if (i < out->n || i == FORWARDS_MAX)
		return;
	out->to[i].p = raw->p;
	out->to[i].n = raw->n;
	out->to[i].id = id;
	out->n++;
}

/*
 * All accounts and outside addresses that a row leads to. Each row is taken once, so it ends
 * whatever the table says. A row that names itself means the account of that name.
 */
static int
expand(struct user_set *to, struct forwards *out, int row)
{
	static unsigned char due[NALIASES];	/* 1: to be looked at, 2: done */
	const char *words;
	struct word w;
	int found = 0, next, slot;

	memset(due, 0, sizeof(due));
	while (row >= 0) {
		due[row] = 2;
		words = aliases[row].to;
		while (next_word(&words, &w)) {
			next = meaning(w.local, &w.domain, row, &slot);
			if (outside(&w.domain)) {
				forward(out, &w.raw);
				found = 1;
				continue;
			}
			if (next < 0 && slot < 0 && is_postmaster(&w.local))
				slot = first_account();
			if (next >= 0 && !due[next])
				due[next] = 1;
			found |= add(to, slot);
		}
		for (row = NALIASES - 1; row >= 0 && due[row] != 1; row--)
			;
	}
	return found;
}

/* A local part in one of our domains (or postmaster without one). */
static enum where
resolve_own(struct user_set *to, struct forwards *out, const struct part *local,
    const struct part *domain)
{
	static const struct part star = { "*", 1 };
	int row, slot;

	row = meaning(*local, domain, -1, &slot);
	if (row < 0 && slot < 0 && domain->n)
		row = row_exact(&star, domain);
	if (row >= 0 && expand(to, out, row))
		return W_LOCAL;
	if (slot < 0 && is_postmaster(local))
		slot = first_account();
	return add(to, slot) ? W_LOCAL : W_UNKNOWN;
}

enum where
user_resolve(struct user_set *to, struct forwards *out, const struct addr *a)
{
	char low[ADDR_LOCAL + 1];
	struct part local, domain = { a->domain, a->ndomain };
	struct forwards nowhere;
	enum where w;
	int fresh;

	fresh = user_load() == 0;	/* trouble is logged, and the accounts known so far stay */
	memset(to, 0, sizeof(*to));
	if (!out)
		out = &nowhere;
	out->n = 0;
	if (a->literal)
		return W_REMOTE;
	if (a->ndomain && !user_owns(a->domain, a->ndomain))
		return W_REMOTE;
	local.p = low;
	local.n = addr_local(low, a);
	if (!a->ndomain && !is_postmaster(&local))
		return W_UNKNOWN;
	w = resolve_own(to, out, &local, &domain);
	return w == W_UNKNOWN && !fresh ? W_LATER : w;
}

enum where
user_meant(struct user_set *to, struct forwards *out, struct addr *a, const char *text)
{
	char low[ADDR_LOCAL + 1];
	struct part local, none = { "", 0 };

	if (addr_mailbox8(a, text, strlen(text)) == 0)
		return user_resolve(to, out, a);
	memset(a, 0, sizeof(*a));
	a->mailbox = a->local = text;
	a->nmailbox = a->nlocal = strlen(text);
	memset(to, 0, sizeof(*to));
	out->n = 0;
	if (a->nlocal > ADDR_LOCAL)
		return W_UNKNOWN;
	(void)user_load();	/* trouble is logged */
	local.p = low;
	local.n = addr_local(low, a);
	return resolve_own(to, out, &local, &none);
}

int
user_may_send(int slot, const struct addr *a)
{
	struct user_set s;

	if (send_as_anyone || !a->nmailbox)
		return 1;
	return slot >= 0 && slot < ACCOUNTS && user_resolve(&s, NULL, a) == W_LOCAL &&
	    user_in(&s, slot);
}

/* ---- the checks at start ---- */

static void
bad_row(int row, const char *what)
{
	die(EX_CONFIG, "config.h: aliases[] row %d { \"%s\", \"%s\" }: %s", row + 1,
	    aliases[row].from, aliases[row].to, what);
}

static void
check_domain(const char *table, size_t row, const char *domain)
{
	char text[ADDR_DOMAIN + 3] = "x@";
	struct addr a;

	if (text_copy(text + 2, sizeof(text) - 2, domain, strlen(domain)) < 0 ||
	    addr_mailbox8(&a, text, strlen(text)) < 0 || a.literal)
		die(EX_CONFIG, "config.h: %s[] row %d \"%s\": not a domain", table, (int)row + 1,
		    domain);
}

static void
check_domains(void)
{
	size_t i;

	for (i = 0; i < NDOMAINS; i++) {
		if (domains[i][0])
			check_domain("domains", i, domains[i]);
	}
	for (i = 0; i < NRELAYS; i++) {
		if (!relay_domains[i][0])
			continue;
		check_domain("relay_domains", i, relay_domains[i]);
		if (user_owns(relay_domains[i], strlen(relay_domains[i])))
			die(EX_CONFIG, "config.h: relay_domains[] row %d \"%s\": it is in "
			    "domains[] too", (int)i + 1, relay_domains[i]);
	}
}

/* What may be a local part: printable, or UTF-8. */
static int
printable(const struct part *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if ((unsigned char)s->p[i] <= ' ' || s->p[i] == 0x7f)
			return 0;
	}
	return s->n > 0 && s->n <= ADDR_LOCAL;
}

static void
check_from(int row)
{
	struct part local, domain;
	int at;

	at = split(aliases[row].from, strlen(aliases[row].from), &local, &domain);
	if (!printable(&local))
		bad_row(row, "not a local part, local@domain or *@domain");
	if (at && !user_owns(domain.p, domain.n))
		bad_row(row, "its domain is not in domains[]");
	if (!at && local.n == 1 && local.p[0] == '*')
		bad_row(row, "a catch-all needs its domain: *@domain");
	if (row_exact(&local, &domain) != row)
		bad_row(row, "the same left side as a row above");
}

static void
check_word(int row, struct word *w)
{
	char text[ADDR_TEXT * 4 + 1];
	struct addr a;
	int slot;

	if (!printable(&w->local))
		bad_row(row, "the right side has something that is no name");
	if (outside(&w->domain)) {
		if (addr_mailbox8(&a, w->raw.p, w->raw.n) < 0)
			bad_row(row, "the right side has something that is no address");
		return;
	}
	if (meaning(w->local, &w->domain, row, &slot) >= 0 || slot >= 0)
		return;
	(void)untag(&w->local);
	if (!user_valid(w->local.p, w->local.n))
		bad_row(row, "the right side names what is no alias and cannot be an account");
	if (!is_postmaster(&w->local))
		log_event("-", "config.h aliases[] row=%d: no account yet: \"%s\"", row + 1,
		    text_escape(text, sizeof(text), w->local.p, w->local.n));
}

static void
check_to(int row)
{
	const char *p, *words;
	struct word w;
	int n = 0;

	for (p = aliases[row].to; *p; p += strcspn(p, " ")) {
		p += strspn(p, " ");
		if (strcspn(p, " ") > ADDR_TEXT)
			bad_row(row, "the right side has a name that is too long");
	}
	words = aliases[row].to;
	for (; next_word(&words, &w); n++)
		check_word(row, &w);
	if (!n)
		bad_row(row, "the right side is empty");
}

static void
check_forwards(int row)
{
	struct user_set to;
	struct forwards out;

	memset(&to, 0, sizeof(to));
	out.n = 0;
	(void)expand(&to, &out, row);
	if (out.n == FORWARDS_MAX)
		bad_row(row, "it leads to too many outside addresses");
}

/* The next row that a right side leads to, or -1. */
static int
next_row(int row, const char **words)
{
	struct word w;
	int next, slot;

	while (next_word(words, &w)) {
		next = meaning(w.local, &w.domain, row, &slot);
		if (next >= 0)
			return next;
	}
	return -1;
}

/* Depth-first from a row that has not been seen; one that leads to a row on the path is a loop. */
static void
check_loops(int row)
{
	static const char *rest[NALIASES];	/* on the path: words still to follow */
	static int path[NALIASES];
	static unsigned char done[NALIASES];
	int depth = 0, next;

	if (done[row])
		return;
	path[0] = row;
	rest[row] = aliases[row].to;
	while (depth >= 0) {
		row = path[depth];
		next = next_row(row, &rest[row]);
		if (next < 0) {
			done[row] = 1;
			rest[row] = NULL;
			depth--;
		} else if (rest[next]) {
			bad_row(next, "it leads back to itself");
		} else if (!done[next]) {
			path[++depth] = next;
			rest[next] = aliases[next].to;
		}
	}
}

void
user_check_passwords(void)
{
	if (password_rounds < SCRAM_MIN_ITER || password_rounds > SCRAM_MAX_ITER)
		die(EX_CONFIG, "config.h: password_rounds is %d to %d",
		    SCRAM_MIN_ITER, SCRAM_MAX_ITER);
	if (password_min < 1 || password_min >= SASL_PASSWORD)
		die(EX_CONFIG, "config.h: password_min is 1 to %d", SASL_PASSWORD - 1);
}

void
user_check(void)
{
	int i;

	user_check_passwords();
	check_domains();
	for (i = 0; i < NALIASES; i++)
		check_from(i);
	for (i = 0; i < NALIASES; i++)
		check_to(i);
	for (i = 0; i < NALIASES; i++)
		check_loops(i);
	for (i = 0; i < NALIASES; i++)
		check_forwards(i);
	if (first_account() < 0)
		log_event("-", "users: no account yet; maild passwd NAME makes one");
}
