/* The log: one line an event on stderr, "TIME ID VERB key=value ...". */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

/* One event. `id` is a session or letter id, or "-". The rest is printf's; no newline, no text of a
 * peer that has not gone through text_escape(). Lines over 1000 octets are cut. Keeps errno. */
void log_event(const char *id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Start-up only: "maild: ...", with strerror() if fmt ends in ':', then exit with a code of
 * sysexits(3). */
void die(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

/* A broken invariant of ours: say where and abort. */
void bug(const char *file, int line, const char *what) __attribute__((noreturn));
#define BUG_IF(x) do { if (x) bug(__FILE__, __LINE__, #x); } while (0)

#endif
