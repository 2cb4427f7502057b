/* with: lib/addr.c lib/fs.c lib/idn.c lib/ip.c lib/scram.c lib/text.c */
/* config: test/unit/t_rooms.h */
/* See LICENSE file for copyright and licence details. */
/*
 * The file of the accounts while the server runs: what the input has before a line "%%" is read,
 * then what comes up to the next takes its place, then commands write to it; the rest are
 * addresses. Names keep their slots, whoever is not in the file any more is gone with the verifier,
 * an edit is seen at once and changes one line. Addresses lead to accounts that are there.
 * (f_login.c reads the same lines by itself, without files.)
 */
#include "house.h"
#define splice splice_in	/* fcntl.h has one too */
#include "user.c"

enum { PARTS = 3 };

int64_t loop_now, loop_wall;

static char file[USERS_FILE];

/* All that is known agrees with itself. */
static void
consistent(void)
{
	struct scram_verifier v;
	const struct user *u;
	int i, k, free_ones = 0;

	for (i = 0; i < ACCOUNTS; i++) {
		u = user_at(i);
		free_ones += !u;
		if (!u)
			continue;
		HOLDS(!free_ones && user_valid(u->name, strlen(u->name)));
		HOLDS(u->gone == !u->verifier[0]);
		HOLDS(user_find(u->name, strlen(u->name)) == (u->gone ? -1 : i));
		HOLDS(u->gone || scram_parse(&v, u->verifier, strlen(u->verifier)) == 0);
		for (k = 0; k < i; k++)
			HOLDS(strcmp(u->name, user_at(k)->name) != 0);
	}
	HOLDS(!user_at(-1) && !user_at(ACCOUNTS));
}

static void
put_file(const char *p, size_t n)
{
	(void)unlink("users");		/* another inode: another stamp, however fast we are */
	house_spill("users", p, n);
	HOLDS(user_load() == 0);
	consistent();
}

/* Lines of an account in the file. */
static int
lines_of(const char *name, size_t n)
{
	const char *p = file, *e;
	struct part line;
	struct entry entry;
	int k = 0;

	for (; p < file + n; p = e + 1) {
		e = memchr(p, '\n', (size_t)(file + n - p));
		e = e ? e : file + n;
		line.p = p;
		line.n = (size_t)(e - p);
		k += parse_line(&entry, &line) == 0 && text_is(entry.name.p, entry.name.n, name);
	}
	return k;
}

/* As `maild passwd` and `maild remove` do it. */
static void
edits(const char *name, const char *verifier)
{
	size_t was = house_slurp("users", file, sizeof(file)), n;
	int had = lines_of(name, was), slot;

	if (user_write(name, verifier) < 0) {
		HOLDS(errno == EFBIG);
		return;
	}
	n = house_slurp("users", file, sizeof(file));
	HOLDS(lines_of(name, n) == (verifier != NULL));
	HOLDS(verifier || had || n == was);
	HOLDS(user_load() == 0);
	consistent();
	slot = user_find(name, strlen(name));
	HOLDS(verifier ? slot >= 0 || users[ACCOUNTS - 1].name[0] : slot < 0);
	HOLDS(slot < 0 || !strcmp(user_at(slot)->verifier, verifier));
	HOLDS(access("users.tmp", F_OK) < 0);
}

/* An address, and the same as a login name. */
static void
look_up(const char *p, size_t n)
{
	struct user_set to;
	struct forwards out;
	struct addr a;
	enum where w;
	int i, some = 0, slot = user_login(p, n);

	HOLDS(slot < 0 || (user_at(slot) && !user_at(slot)->gone));
	if (addr_mailbox8(&a, p, n) < 0)
		return;
	w = user_resolve(&to, &out, &a);
	for (i = 0; i < (int)(8 * sizeof(to.bit)); i++)
		if (user_in(&to, i)) {
			HOLDS(i < ACCOUNTS && user_at(i) && !user_at(i)->gone);
			HOLDS(user_may_send(i, &a));
			some = 1;
		}
	HOLDS(out.n >= 0 && out.n <= FORWARDS_MAX && (w == W_LOCAL) == (some || out.n));
	HOLDS(w != W_LATER && (w == W_REMOTE) <= !user_owns(a.domain, a.ndomain));
	for (i = 0; i < ACCOUNTS; i++)
		HOLDS(user_in(&to, i) || !user_may_send(i, &a));
}

static void
look_up_all(const char *p, size_t n)
{
	const char *end = p + n, *e;
	int i;

	for (i = 0; p < end && i < 16; p = e + 1, i++) {
		e = memchr(p, '\n', (size_t)(end - p));
		e = e ? e : end;
		look_up(p, (size_t)(e - p));
		if (e == end)
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char good[] = "SCRAM-SHA-256$4096:c2FsdA==$"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	const char *part[PARTS], *end = (const char *)data + size, *cut;
	char names[ACCOUNTS][NAME_TEXT];
	size_t n[PARTS];
	int i;

	/* a larger file is not read: then all wait */
	if (!size || size >= sizeof(content))
		return 0;
	memset(users, 0, sizeof(users));
	memset(&stamp, 0, sizeof(stamp));
	for (i = 0; i < PARTS; i++) {
		part[i] = i ? part[i - 1] + n[i - 1] + 3 : (const char *)data;
		part[i] = part[i] < end ? part[i] : end;
		cut = i < PARTS - 1 ? memmem(part[i], (size_t)(end - part[i]), "%%\n", 3) : end;
		n[i] = (size_t)((cut ? cut : end) - part[i]);
	}
	put_file(part[0], n[0]);
	for (i = 0; i < ACCOUNTS; i++)
		memcpy(names[i], users[i].name, NAME_TEXT);
	put_file(part[1], n[1]);
	for (i = 0; i < ACCOUNTS && names[i][0]; i++)
		HOLDS(!strcmp(names[i], users[i].name));
	look_up_all(part[2], n[2]);
	edits("alice", good);
	edits("bob", NULL);
	edits("alice", NULL);
	return 0;
}
