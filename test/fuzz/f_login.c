/* with: lib/sasl.c lib/scram.c lib/addr.c lib/idn.c lib/ip.c lib/text.c */
/* See LICENSE file for copyright and licence details. */
/*
 * Logins. Lines of a client in AUTH: what they give is what a plain reading gives, and nothing
 * stays of what failed. A verifier that is taken comes back as it was. The file of the accounts: of
 * each name the first good line counts, and an edit leaves all others as they are.
 */
#include "fuzz.h"
#include "user.c"

enum { MOST = 4096 };

char host[HOST_TEXT] = "mx.example.com";

/* A verifier. */
#define A43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
static const char good[] = "SCRAM-SHA-256$4096:c2FsdA==$" A43 "=:" A43 "=";

/* ---- what the others do: a log would be too slow, no file is touched ---- */

void
log_event(const char *id, const char *fmt, ...)
{
	HOLDS(id && fmt);
}

void
die(int code, const char *fmt, ...)
{
	(void)code;
	HOLDS(!fmt);
	abort();
}

void
bug(const char *file_name, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file_name, line, what);
	abort();
}

ssize_t
fs_slurp(const char *path, char *dst, size_t size)
{
	HOLDS(path && dst && !size);
	return -1;
}

int
fs_replace(const char *dir, const char *tmp, const char *path, const void *p, size_t n, mode_t mode)
{
	HOLDS(dir && tmp && path && p && n && !mode);
	return -1;
}

void
fs_stamp(struct stamp *t, const struct stat *st)
{
	HOLDS(t && !st);
}

int
fs_same(const struct stamp *a, const struct stamp *b)
{
	HOLDS(a && !b);
	return 0;
}

/* ---- AUTH ---- */

static int
wiped(const struct sasl *s)
{
	size_t i;

	for (i = 0; i < sizeof(s->name); i++)
		if (s->name[i])
			return 0;
	for (i = 0; i < sizeof(s->password); i++)
		if (s->password[i])
			return 0;
	return 1;
}

/* Does a part stand in dst as a string? */
static int
is_string(const char *dst, size_t size, const char *p, size_t n)
{
	return n && n < size && !memchr(p, '\0', n) && strlen(dst) == n && !memcmp(dst, p, n);
}

/* PLAIN with these octets, decoded. */
static void
plain(const struct sasl *s, enum sasl_result r, const char *p, size_t n)
{
	const char *end = p + n, *name, *pw;
	int other;

	name = memchr(p, '\0', n);
	pw = name ? memchr(name + 1, '\0', (size_t)(end - name - 1)) : NULL;
	other = pw && name > p &&
	    !text_ieq(p, (size_t)(name - p), name + 1, (size_t)(pw - name - 1));
	if (r == SASL_DONE) {
		HOLDS(pw && is_string(s->name, sizeof(s->name), name + 1, (size_t)(pw - name - 1)));
		HOLDS(is_string(s->password, sizeof(s->password), pw + 1, (size_t)(end - pw - 1)));
		HOLDS(!other);
	} else {
		HOLDS(r == SASL_BAD && wiped(s));
		HOLDS(!pw || name + 1 == pw || pw + 1 == end || pw - name - 1 >= SASL_NAME ||
		    end - pw - 1 >= SASL_PASSWORD || memchr(pw + 1, '\0', (size_t)(end - pw - 1)) ||
		    other);
	}
}

/* Lines as they come: it ends as it should, and by itself. */
static void
exchange(const char *mech, const char *p, size_t n)
{
	const char *e, *end = p + n, *initial = NULL;
	enum sasl_result r;
	struct sasl s;
	int lines;

	e = memchr(p, '\n', n);
	if (n && *p != '\n')
		initial = p;
	memset(&s, 'x', sizeof(s));
	r = sasl_start(&s, mech, strlen(mech), initial, (size_t)((e ? e : end) - p));
	for (lines = 0; r == SASL_MORE && e; lines++) {
		p = e + 1;
		e = memchr(p, '\n', (size_t)(end - p));
		r = sasl_step(&s, p, (size_t)((e ? e : end) - p));
	}
	HOLDS(lines <= 2 && r != SASL_UNKNOWN);
	if (r == SASL_MORE)
		HOLDS(s.challenge && !s.password[0]);
	else if (r == SASL_DONE)
		HOLDS(s.name[0] && s.password[0]);
	else
		HOLDS(wiped(&s));
}

/* The octets themselves, encoded: at once or asked for. */
static void
encoded(const char *p, size_t n, size_t cut)
{
	static char text[2 * MOST];
	enum sasl_result r;
	struct sasl s, t;
	size_t len;

	len = text_base64(text, sizeof(text), p, n);
	r = sasl_start(&s, "plain", 5, n ? text : "=", n ? len : 1);
	plain(&s, r, p, n);
	HOLDS(sasl_start(&t, "PLAIN", 5, NULL, 0) == SASL_MORE && !*t.challenge);
	HOLDS(sasl_step(&t, text, len) == r);
	HOLDS(!strcmp(s.name, t.name) && !strcmp(s.password, t.password));
	/* LOGIN: cut in two */
	len = text_base64(text, sizeof(text), p, cut);
	HOLDS(sasl_start(&s, "login", 5, NULL, 0) == SASL_MORE);
	r = sasl_step(&s, text, len);
	HOLDS((r == SASL_MORE) == is_string(s.name, sizeof(s.name), p, cut));
	HOLDS(r == SASL_MORE || (r == SASL_BAD && wiped(&s)));
	if (r != SASL_MORE)
		return;
	len = text_base64(text, sizeof(text), p + cut, n - cut);
	r = sasl_step(&s, text, len);
	if (r == SASL_DONE)
		HOLDS(is_string(s.name, sizeof(s.name), p, cut) &&
		    is_string(s.password, sizeof(s.password), p + cut, n - cut));
	else
		HOLDS(r == SASL_BAD && wiped(&s) && (cut == n || n - cut >= SASL_PASSWORD ||
		    memchr(p + cut, '\0', n - cut)));
}

/* ---- verifiers ---- */

static int
verifier(const char *p, size_t n)
{
	struct scram_verifier v, w;
	char text[SCRAM_TEXT];
	size_t len;

	if (scram_parse(&v, p, n) < 0)
		return 0;
	HOLDS(v.iterations >= SCRAM_MIN_ITER && v.iterations <= SCRAM_MAX_ITER);
	HOLDS(v.nsalt >= 1 && v.nsalt <= sizeof(v.salt));
	(void)scram_format(text, &v);
	len = strlen(text);
	if (!len) {
		HOLDS(v.nsalt > SCRAM_SALT);
		return 1;
	}
	HOLDS(scram_parse(&w, text, len) == 0 && !memcmp(&v, &w, sizeof(v)));
	HOLDS(len <= n && !memcmp(text + len - 50, p + n - 50, 50));
	return 1;
}

/* ---- the file ---- */

/* A good line of an account: the length of its name, else 0. */
static size_t
good_line(const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	size_t name = colon ? (size_t)(colon - p) : 0, i;

	for (i = 0; i < name; i++)
		if (!p[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", p[i]) ||
		    (!i && strchr("._-", p[i])))
			return 0;
	if (!name || name >= NAME_TEXT || n - name - 1 >= SCRAM_TEXT)
		return 0;
	return verifier(colon + 1, n - name - 1) ? name : 0;
}

/* The table is what the text says, read plainly. */
static void
table(const char *p, size_t n)
{
	const char *end = p + n, *e;
	size_t name, len;
	int i, seen = 0;
	struct user_set had;

	memset(&had, 0, sizeof(had));
	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		len = (size_t)(e - p);
		name = good_line(p, len);
		i = name ? slot_of(p, name) : -1;
		if (name)
			HOLDS(i >= 0 || users[ACCOUNTS - 1].name[0]);
		if (i < 0 || user_in(&had, i))
			continue;
		had.bit[i / 8] |= (unsigned char)(1 << i % 8);
		seen++;
		HOLDS(!users[i].gone && strlen(users[i].verifier) == len - name - 1);
		HOLDS(!memcmp(users[i].verifier, p + name + 1, len - name - 1));
	}
	for (i = 0; i < ACCOUNTS && users[i].name[0]; i++) {
		HOLDS(users[i].gone == !user_in(&had, i));
		HOLDS(users[i].gone == !users[i].verifier[0]);
		seen -= !users[i].gone;
	}
	HOLDS(!seen);
}

/* The next line of p..end that is not one of this account; NULL: there is none. */
static const char *
other(const char *p, const char *end, const char *name, const char **behind)
{
	const char *e;
	size_t k;

	for (; p < end; p = e) {
		e = memchr(p, '\n', (size_t)(end - p));
		k = good_line(p, (size_t)((e ? e : end) - p));
		e = e ? e + 1 : end;
		*behind = e;
		if (k != strlen(name) || memcmp(p, name, k))
			return p;
	}
	return NULL;
}

/* How many good lines of the account there are. */
static int
count(const char *p, const char *end, const char *name)
{
	size_t k = strlen(name);
	const char *e;
	int n = 0;

	for (; p < end; p = e + 1) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		n += good_line(p, (size_t)(e - p)) == k && !memcmp(p, name, k);
	}
	return n;
}

/* All other lines are as they were, and it has so many. */
static void
changed(const char *was, size_t n, size_t len, const char *name, int lines)
{
	const char *a, *ae, *b, *be, *end = content + len;
	size_t ka, kb;

	HOLDS(count(content, end, name) == lines);

	for (a = was, b = content; ; a = ae, b = be) {
		a = other(a, was + n, name, &ae);
		b = other(b, end, name, &be);
		HOLDS(!a == !b);
		if (!a)
			break;
		ka = (size_t)(ae - a) - (ae[-1] == '\n');
		kb = (size_t)(be - b) - (be[-1] == '\n');
		HOLDS(ka == kb && !memcmp(a, b, ka));
	}
}

static void
file(const char *p, size_t n, uint32_t seed)
{
	static const char *const names[] = { "alice", "bob", "a.b-c_d", "carol" };
	const struct part name = { names[seed & 3], strlen(names[seed & 3]) };
	char line[NAME_TEXT + SCRAM_TEXT + 2];
	size_t len = n, k = 0;
	int i;

	memset(users, 0, sizeof(users));
	memcpy(content, p, n);
	take_file(n);
	table(p, n);
	memcpy(content, p, n);
	if (seed & 4)
		k = (size_t)snprintf(line, sizeof(line), "%s:%s\n", name.p, good);
	if (edit(&len, &name, line, k) < 0)
		return;
	changed(p, n, len, name.p, k > 0);
	take_file(len);
	table(content, len);
	i = slot_of(name.p, name.n);
	if (k)
		HOLDS(i < 0 ? users[ACCOUNTS - 1].name[0] : !strcmp(users[i].verifier, good));
	else
		HOLDS(i < 0 || users[i].gone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = fuzz_seed(&data, &size);
	const char *p = (const char *)data;

	if (!size || size > MOST)
		return 0;
	exchange("PLAIN", p, size);
	exchange("LOGIN", p, size);
	encoded(p, size, size * (seed >> 3) / 31);
	(void)verifier(p, size);
	file(p, size, seed);
	return 0;
}
