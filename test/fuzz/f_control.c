/* with: view.c out.c lib/addr.c lib/fs.c lib/idn.c lib/ip.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The postmaster's socket: a command, whole and in pieces, and behind a line "%%" letters of the
 * queue that say anything, with lines "%%" between them. The answer ends with "ok" or an error and
 * the connection; it is the same however the command comes; whatever stands in an envelope, a line
 * of the queue is printable; a text is shown as it is. Only what is an id becomes a path, only what
 * is an id or a domain comes to the relay. The first octet cuts.
 */
#include "house.h"
#include "store.h"
#include "wire.h"
#define flush flush_queue	/* the loop has such ones too */
#define address address_of
#include "control.c"

enum { MOST = 1 << 13, FILES = 6 };

const struct kind smtp_kind;

/* ---- the relay ---- */

int
relay_busy(const char *id)
{
	HOLDS(id_valid(id));
	return id[20] == '1';
}

int
relay_drop(const char *id, int tell)
{
	HOLDS(id_valid(id) && (tell == 0 || tell == 1));
	errno = id[20] == '2' ? EBUSY : ENOENT;
	return id[20] == '3' ? 0 : -1;
}

int
relay_flush(const char *what)
{
	HOLDS(!what || id_valid(what) || addr_domain(what, strlen(what)));
	errno = ENOENT;
	return what && id_valid(what) ? -1 : 3;
}

int64_t
relay_due(const char *id)
{
	HOLDS(id_valid(id));
	return id[20] == '1' ? 0 : INT64_MAX / 1000000;
}

const char *
outcome_words(const char *id, off_t at)
{
	HOLDS(id_valid(id) && at > 0);
	return at & 1 ? "250 \x01\"words\xff" : NULL;
}

int
store_mark(const char *id, const void *p, size_t n)
{
	HOLDS(!id && p && n);
	return -1;
}

void
store_trouble(const char *what)
{
	HOLDS(!what);
}

void
store_break(const char *what)
{
	HOLDS(!what);
}

int64_t
mail_birth(const char *id)
{
	return id[20] == '4' ? INT64_MAX / 1000 : 1790000000;
}

/* ---- */

static struct answer {
	size_t n;
	char b[WIRE_OUT];
} whole, cut;

/* The last line: "ok" or "error: CODE WORDS". */
static void
ended(const struct answer *a)
{
	const char *p = a->b + a->n;
	int code;

	HOLDS(a->n >= 3 && a->n < WIRE_OUT / 2 && p[-1] == '\n');
	for (p--; p > a->b && p[-1] != '\n'; p--)
		;
	if (memcmp(p, "ok\n", 3) != 0)
		HOLDS(sscanf(p, "error: %d", &code) == 1 && code >= 64 && code <= 78);
}

static void
printable(const struct answer *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		HOLDS((a->b[i] >= 0x20 && a->b[i] < 0x7f) || a->b[i] == '\n' || a->b[i] == '\t');
}

static void
session(struct answer *a, const char *p, size_t n, uint32_t seed)
{
	int fd = wire_socket(0, 0, 0), files = house_files();
	struct wire *w = wire_of(fd);

	control_welcome(fd);
	wire_rest(NULL);
	(void)wire_say(w, p, n, seed, NULL);
	/* without a line end there is no answer */
	if (w->open && !memchr(p, '\n', n) && n < CONTROL_LINE)
		HOLDS(!w->nout);
	else
		ended((memcpy(a->b, w->out, w->nout), a->n = w->nout, a));
	a->n = w->nout;
	if (w->open)
		wire_hangup(w, NULL);
	HOLDS(house_files() == files && conn_free() == SESSIONS && control_room());
}

static void
put_files(const char *p, size_t n)
{
	static const char *const rooms[] = { "spool/out", "spool/hold", "spool/queue" };
	const char *end = p + n, *e;
	char path[PATH_TEXT];
	int i;

	for (i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof(path), "%s/" HOUSE_BIRTH "0000000%d", rooms[i % 3], i);
		(void)unlink(path);
		if (p >= end)
			continue;
		e = memmem(p, (size_t)(end - p), "%%\n", 3);
		e = e ? e : end;
		house_spill(path, p, (size_t)(e - p));
		p = e + 3;
	}
	/* what was put on hold */
	for (i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof(path), "spool/hold/" HOUSE_BIRTH "0000000%d", i);
		if (i % 3 != 1)
			(void)unlink(path);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const dirs[] = { "spool", "spool/out", "spool/hold", "spool/queue" };
	static int up;
	uint32_t seed = 1 + fuzz_seed(&data, &size);
	const char *p = (const char *)data, *end = p + size, *letters;
	size_t n, i;

	for (i = 0; !up && i < 4; i++)
		(void)mkdir(dirs[i], 0700);
	if (!up)
		WIRE_LOOP(SESSIONS);
	up = 1;
	if (size > MOST)
		return 0;
	letters = memmem(p, size, "%%\n", 3);
	n = letters ? (size_t)(letters - p) : size;
	letters = letters ? letters + 3 : end;
	put_files(letters, (size_t)(end - letters));
	wire_slow = 0;
	session(&whole, p, n, 0);
	put_files(letters, (size_t)(end - letters));
	wire_slow = 1;
	session(&cut, p, n, seed);
	HOLDS(whole.n == cut.n && !memcmp(whole.b, cut.b, cut.n));
	for (i = 0; i < n && memchr(" \t\r", p[i], 3); i++)
		;
	if (n - i < 4 || memcmp(p + i, "show", 4) != 0)
		printable(&whole);
	return 0;
}

void
scram_wipe(void *p, size_t n)
{
	memset(p, 0, n);
}
