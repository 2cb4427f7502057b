/* See LICENSE file for copyright and licence details. */
/*
 * The settings for tests of several rooms together (named in their second line): config.h, but with
 * a small journal, few accounts and sessions, and numbers that a test may change (rooms.h).
 */
#define domains shipped_domains
#define relay_domains shipped_relay_domains
#define trusted shipped_trusted
#define aliases shipped_aliases
#define SESSIONS SHIPPED_SESSIONS
#define ACCOUNTS SHIPPED_ACCOUNTS
#define ERRORS SHIPPED_ERRORS
#define BOXES SHIPPED_BOXES
#define DESTINATIONS SHIPPED_DESTINATIONS
#define ACTIVE SHIPPED_ACTIVE
#define message_max shipped_message_max
#define quota shipped_quota
#define disk_reserve shipped_disk_reserve
#define inode_reserve shipped_inode_reserve
#define journal_size shipped_journal_size
#define letter_small shipped_letter_small
#define smtp_idle shipped_smtp_idle
#define smtp_data_idle shipped_smtp_data_idle
#define smtp_data_total shipped_smtp_data_total
#define session_total shipped_session_total
#define checkpoint_every shipped_checkpoint_every
#define retry_locked shipped_retry_locked
#define send_as_anyone shipped_send_as_anyone
/* the macro renames its type as well */
struct shipped_trusted {
	const char *network, *sender;
	int hourly;
};
#include "config.h"
#undef domains
#undef relay_domains
#undef trusted
#undef aliases
#undef SESSIONS
#undef ACCOUNTS
#undef ERRORS
#undef BOXES
#undef DESTINATIONS
#undef ACTIVE
#undef message_max
#undef quota
#undef disk_reserve
#undef inode_reserve
#undef journal_size
#undef letter_small
#undef smtp_idle
#undef smtp_data_idle
#undef smtp_data_total
#undef session_total
#undef checkpoint_every
#undef retry_locked
#undef send_as_anyone

static const char *const domains[] = { "localhost", "", "catch.example" };

static const struct alias aliases[] = {
	{ "team",            "alice bob" },
	{ "*@catch.example", "bob" },
	{ "away",            "a@one.example Bob@Two.example" },
	{ "mixed",           "alice away bob@TWO.example c@three.example" },
};

static const char *const relay_domains[] = { "", "behind.example" };

static const struct trusted trusted[] = {
	{ "192.0.2.0/28", "",                    2 },
	{ "192.0.2.64",   "printer@example.org", 0 },
};

enum { SESSIONS = 60, ACCOUNTS = 12, ERRORS = 5, BOXES = 16, DESTINATIONS = 250, ACTIVE = 800 };

extern uint64_t message_max, quota, disk_reserve, inode_reserve, journal_size, letter_small;
extern int64_t smtp_idle, smtp_data_idle, smtp_data_total, session_total;
extern int64_t checkpoint_every, retry_locked;
extern int send_as_anyone;
