/* See LICENSE file for copyright and licence details. */
/* main(): options, listeners, privileges, signals and the loop; nothing else. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lib/fs.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/text.h"
#include "relay.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum {
	LISTENERS = LEN(listeners),
	ACCEPTS = 64,		/* connections taken from one listener in a turn */
	FULL_MS = 50,		/* pause of a listener when there is no room */
	STOP_MS = 5000,		/* for sessions to take their goodbye */
	DNS_PORT = 53
};

_Static_assert(SESSIONS > SPARE + LISTENERS + 8, "SESSIONS is too small");
_Static_assert(RECIPIENTS >= 100, "RFC 5321 4.5.3.1.10 wants 100 recipients at least");
_Static_assert(ACCOUNTS <= 256, "a user_set has 256 bits");

char host[HOST_TEXT];
const char version[] = "0.1";
int stopping;

static struct conn conns[SESSIONS];
static struct buf bufs[2 * SESSIONS];
static struct pollfd polls[SESSIONS];
static volatile sig_atomic_t got_stop, got_hup;
static int rooted;		/* the store is our root */

/* ---- names ---- */

/* Microseconds since 1970, which never go back, and a number of this process: recovery and the
 * queue tell a letter's age from its id. */
char *
new_id(char dst[ID_TEXT])
{
	static uint64_t last;
	static uint32_t me;
	struct timespec t;
	uint64_t us;

	if (!me)
		random_bytes(&me, sizeof(me));
	(void)clock_gettime(CLOCK_REALTIME, &t);	/* cannot fail */
	us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	if (us <= last)
		us = last + 1;
	last = us;
	(void)snprintf(dst, ID_TEXT, "%013llx%08x", (unsigned long long)(us & 0xfffffffffffff), me);
	return dst;
}

char *
session_id(char dst[ID_TEXT])
{
	static uint32_t n;

	if (!n)
		random_bytes(&n, sizeof(n));
	(void)snprintf(dst, ID_TEXT, "%08x", n++);
	return dst;
}

const struct listener *
conn_listener(const struct conn *c)
{
	static const struct listener local = { "", 0, TLS_NONE, LOCAL, 0 };

	return c->listener < 0 ? &local : &listeners[c->listener];
}

static void
find_host(void)
{
	if (text_copy(host, sizeof(host), hostname, strlen(hostname)) < 0)
		die(EX_CONFIG, "config.h: hostname is too long");
	if (!host[0] && gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	if (hostname[0] && !addr_domain(host, strlen(host)))
		die(EX_CONFIG, "config.h: hostname \"%s\" is not the name of a host", hostname);
	if (!addr_domain(host, strlen(host)))
		(void)text_copy(host, sizeof(host), "localhost", 9);
}

/* ---- listeners ---- */

/* A word for who may not come in now, if it would be understood. */
static void
turn_away(int fd, const struct listener *l, const char *why)
{
	char text[HOST_TEXT + 80];
	int n;

	if (l->tls != TLS_WRAP) {
		n = snprintf(text, sizeof(text), "%s %s %s\r\n", l->protocol == POP3 ?
		    "-ERR [SYS/TEMP]" : "421 4.7.0", host, why);
		(void)send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	(void)close(fd);
}

static void
welcome(int fd, const struct sockaddr *sa, int row)
{
	static const int on = 1;
	const struct listener *l = &listeners[row];
	const char *why;
	struct conn *c;
	struct ip peer;
	int port;

	if (ip_from(&peer, &port, sa) < 0) {
		(void)close(fd);	/* cannot be */
		return;
	}
	if (limit_connect(&peer, &why) < 0) {
		turn_away(fd, l, why);
		return;
	}
	/* only slower without */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c = conn_new(fd, l->protocol == POP3 ? &pop3_kind : &smtp_kind, &transport_plain, SPARE);
	if (!c) {
		limit_gone(&peer);
		(void)close(fd);	/* nothing was said yet */
		return;
	}
	c->listener = row;
	c->peer = peer;
	c->peer_port = port;
	conn_limit(c, tls_handshake, tls_handshake);
	if (l->tls == TLS_WRAP && tls_start(c) < 0)
		conn_abort(c, "no TLS to be had");
}

static void
pause_listener(struct conn *c, const char *why)
{
	static int64_t last;

	if (!last || loop_now - last >= 60000) {
		log_event("-", "listener-waits reason=\"%s\"", why);
		last = loop_now;
	}
	conn_delay(c, FULL_MS);
}

static void
accept_ready(struct conn *c, int revents)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int fd, i;

	(void)revents;
	for (i = 0; i < ACCEPTS; i++) {
		if (conn_free() <= SPARE) {
			pause_listener(c, "too many connections");
			return;
		}
		n = sizeof(sa);
		fd = accept4(c->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE ||
			    errno == ENOBUFS || errno == ENOMEM)
				pause_listener(c, strerror(errno));
			return;
		}
		welcome(fd, (struct sockaddr *)&sa, c->listener);
	}
}

static const struct kind listener_kind = { .name = "listener", .ready = accept_ready };

/* The socket address of a row; its length. */
static socklen_t
row_address(struct sockaddr_storage *sa, const struct listener *l, int offset)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;
	int port = l->port + offset;

	memset(sa, 0, sizeof(*sa));
	if (port < 1 || port > 65535)
		die(EX_USAGE, "port %d plus %d is not a port", l->port, offset);
	if (inet_pton(AF_INET, l->address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, l->address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return sizeof(*in6);
	}
	die(EX_CONFIG, "config.h: listeners, row %d: \"%s\" is not an address",
	    (int)(l - listeners) + 1, l->address);
}

/* 1: it listens; 0: there is no IPv6 here. */
static int
listen_on(int row, int offset)
{
	static const int on = 1;
	const struct listener *l = &listeners[row];
	struct sockaddr_storage sa;
	socklen_t n = row_address(&sa, l, offset);
	struct conn *c;
	int fd;

	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && sa.ss_family == AF_INET6)
		return 0;
	if (fd < 0)
		die(EX_OSERR, "socket:");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (sa.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		die(EX_OSERR, "setsockopt:");
	if (bind(fd, (struct sockaddr *)&sa, n) < 0) {
		if (sa.ss_family == AF_INET6 && errno == EADDRNOTAVAIL) {
			(void)close(fd);	/* never used */
			return 0;
		}
		die(errno == EACCES ? EX_NOPERM : EX_OSERR, "%s port %d:", l->address,
		    l->port + offset);
	}
	if (listen(fd, SOMAXCONN) < 0)
		die(EX_OSERR, "listen:");
	c = conn_new(fd, &listener_kind, NULL, 0);
	c->listener = row;
	return 1;
}

static void
listen_all(int offset)
{
	int n = 0, row;

	for (row = 0; row < LISTENERS; row++)
		if (listeners[row].address[0])
			n += listen_on(row, offset);
	if (!n)
		die(EX_CONFIG, "config.h: no listener can be opened");
}

/* ---- privileges ---- */

/* Would root give away something that is not a store? Called in it. */
static void
check_store(const char *dir)
{
	static const char *const ours[] = {
		"mail", "spool", "tls", "dkim", "users", "users.lock", "users.tmp", "lock",
		"lost+found", "control", "submit", "secrets", "srs.secret", "srs.secret.tmp",
		"run"
	};
	struct fs_dir d;
	const char *name;
	size_t i;

	if (fs_diropen(&d, ".") < 0)
		die(EX_NOINPUT, "%s:", dir);
	while ((name = fs_dirnext(&d))) {
		for (i = 0; i < LEN(ours) && strcmp(name, ours[i]) != 0; i++)
			;
		if (i == LEN(ours))
			die(EX_CONFIG, "%s is not a store: there is \"%s\" in it", dir, name);
	}
}

/* Files that root has left in the store, by a command say, belong to the server as well. */
static void
give(const char *dir)
{
	struct fs_dir d;
	struct stat st;
	const char *name;
	int fd;

	if (fs_diropen(&d, dir) < 0)
		return;
	while ((name = fs_dirnext(&d))) {
		fd = openat(d.fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		/* a file with a second name may be somebody else's */
		if (fstat(fd, &st) == 0 && st.st_uid == 0 && (S_ISDIR(st.st_mode) ||
		    (S_ISREG(st.st_mode) && st.st_nlink == 1)) && fchown(fd, run_uid, run_gid) < 0)
			die(EX_NOPERM, "chown %s/%s:", dir, name);
		(void)close(fd);	/* only looked at */
	}
}

static void
give_store(void)
{
	static const char *const rooms[] = { ".", "mail", "spool", "tls", "dkim" };
	struct stat st;
	size_t i;

	if (stat(".", &st) < 0)
		die(EX_OSERR, "store:");
	if (st.st_uid == 0 && chown(".", run_uid, run_gid) < 0)
		die(EX_NOPERM, "chown:");
	for (i = 0; i < LEN(rooms); i++)
		give(rooms[i]);
}

/* In the present directory. Root becomes run_uid, or the owner of the store if that is somebody. */
static void
drop_privileges(void)
{
	struct stat st;

	if (geteuid() == 0) {
		give_store();
		if (stat(".", &st) < 0 || chroot(".") < 0 || setgroups(0, NULL) < 0 ||
		    setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
			die(EX_NOPERM, "giving up root:");
		if (setuid(0) == 0 || geteuid() == 0)
			die(EX_SOFTWARE, "root could not be given up");
		rooted = 1;
	}
}

/* The port behind the last `mark` of an address. */
static uint16_t
port_of(const char *address, int mark, uint16_t other)
{
	const char *p = strrchr(address, mark);
	uint64_t port;

	return p && text_u64(p + 1, strlen(p + 1), &port) == 0 && port <= 65535 ? (uint16_t)port :
	    other;
}

/* The ports that settings name. */
static int
all_ports(uint16_t *port)
{
	size_t i;
	int n = 0;

	port[n++] = DNS_PORT;
	for (i = 0; i < LEN(name_servers); i++)
		port[n++] = port_of(name_servers[i], '#', DNS_PORT);
	for (i = 0; i < LEN(routes); i++)
		port[n++] = (uint16_t)routes[i].port;
	for (i = 0; i < LEN(scanners); i++)
		if (!strncmp(scanners[i].address, "inet:", 5))
			port[n++] = port_of(scanners[i].address, ':', DNS_PORT);
	return n;
}

/* After this nothing can be opened but what is in the store, and little else be done. */
static void
enter_sandbox(void)
{
	static uint16_t ports[1 + LEN(name_servers) + LEN(routes) + LEN(scanners)];
	struct sandbox s = { .dir = ".", .ports = ports };
	size_t i;
	int holds;

	if (!sandbox) {
		log_event("-", "sandbox off");
		return;
	}
	s.nports = all_ports(ports);
	s.bind = control_tick(INT_MAX) != INT_MAX;
	for (i = 0; i < LEN(scanners); i++)
		s.local |= !strncmp(scanners[i].address, "unix:", 5);
	holds = sandbox_enter(&s);
	if (holds < 0)
		die(EX_OSERR, "sandbox:");
	log_event("-", "sandbox holds=limits,dump%s%s%s%s%s", rooted ? ",chroot" : "",
	    holds & SANDBOX_SECCOMP ? ",seccomp" : "", holds & SANDBOX_FILES ? ",files" : "",
	    holds & SANDBOX_PORTS ? ",ports" : "", holds & SANDBOX_SIGNALS ? ",signals" : "");
}

/* ---- serving ---- */

static void
on_signal(int sig)
{
	if (sig == SIGHUP)
		got_hup = 1;
	else
		got_stop = 1;
}

/* All are blocked but inside ppoll(), which takes `during`. */
static void
catch_signals(sigset_t *during)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa;
	sigset_t block;
	size_t i;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);	/* these cannot fail */
	sa.sa_handler = on_signal;
	(void)sigemptyset(&block);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		(void)sigaction(sigs[i], &sa, NULL);
		(void)sigaddset(&block, sigs[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &block, during);
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		(void)sigdelset(during, sigs[i]);
}

/* Each connection may have a scratch file or a mailbox and its index open. */
static void
raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max < 4 * SESSIONS ? r.rlim_max : 4 * SESSIONS;
	(void)setrlimit(RLIMIT_NOFILE, &r);	/* with less there is EMFILE, which is survived */
}

/* Certificates and dates in mail depend on the clock; a board without a battery starts in 1970. */
static void
check_clock(void)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char built[] = __DATE__;	/* "Nov 22 2026" */
	char date[DATE_TEXT], mon[4];
	long day, now;

	memcpy(mon, built, 3);
	mon[3] = '\0';
	day = (strtol(built + 7, NULL, 10) * 12 + (strstr(months, mon) - months) / 3) * 31 +
	    strtol(built + 4, NULL, 10);
	(void)text_utc(date, loop_wall);		/* "2026-11-22T03:03:14Z" */
	now = (strtol(date, NULL, 10) * 12 + strtol(date + 5, NULL, 10) - 1) * 31 +
	    strtol(date + 8, NULL, 10);
	if (now + 1 < day)
		log_event("-", "clock-wrong now=\"%s\" note=\"before this program was built, %s\"",
		    date, built);
}

/* End all sessions, with a word if they have one to say; how many there were. */
static int
end_all(int word)
{
	struct conn *c;
	int i, n = 0;

	for (i = 0; i < SESSIONS; i++) {
		c = conn_at(i);
		n += c != NULL;
		if (!c || c->dead || (word && c->closing))
			continue;
		if (word && c->kind->expire && c->up)
			c->kind->expire(c);
		else
			conn_abort(c, "stopping");
	}
	return n;
}

/* Nobody new comes in; who is there is told so. */
static void
say_goodbye(const sigset_t *sigs)
{
	int64_t until = loop_now + STOP_MS;
	int i, left;

	(void)store_commit(1);
	stopping = 1;
	(void)end_all(1);
	do {
		loop_turn(100, sigs, store_commit);
		for (i = left = 0; i < SESSIONS; i++)
			left += conn_at(i) != NULL;
	} while (left && loop_now < until);
	if (end_all(0))
		loop_turn(0, sigs, store_commit);	/* what they leave is noted */
}

static void
serve(const sigset_t *sigs)
{
	int wait;

	while (!got_stop) {
		loop_clock();
		tls_reload(got_hup);
		got_hup = 0;
		wait = control_tick(dns_tick(guard_tick(relay_tick(store_tick()))));
		loop_turn(wait < 30000 ? wait : 30000, sigs, store_commit);
	}
	say_goodbye(sigs);
	if (store_checkpoint() < 0)
		log_event("-", "stopped note=\"the journal is kept for the next start\"");
	else
		log_event("-", "stopped");
}

static int
run_server(const char *dir, int offset)
{
	static const struct loop_memory mem = { conns, bufs, polls, SESSIONS };
	sigset_t sigs;

	catch_signals(&sigs);
	loop_init(&mem);
	raise_limit();
	drop_init();
	route_init();
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		die(EX_CANTCREAT, "%s:", dir);
	if (chdir(dir) < 0)
		die(EX_NOINPUT, "%s:", dir);
	if (geteuid() == 0)
		check_store(dir);
	store_lock();
	listen_all(offset);
	drop_privileges();
	control_init();
	store_init();
	forward_init();
	relay_init();
	user_check();
	guard_check();
	limit_init();
	grey_init();
	check_clock();
	tls_init();
	enter_sandbox();
	log_event("-", "started version=%s host=%s store=%s", version, host, dir);
	serve(&sigs);
	return 0;
}

static void
usage(void)
{
	die(EX_USAGE, "usage: maild [-d dir] [-p number] | maild [-d dir] command; maild help says "
	    "which there are");
}

/* By this name we are called when other programs have mail. */
static int
is_sendmail(const char *name)
{
	const char *slash = strrchr(name, '/');

	name = slash ? slash + 1 : name;
	return !strcmp(name, "sendmail") || !strcmp(name, "mailq") || !strcmp(name, "newaliases");
}

int
main(int argc, char *argv[])
{
	const char *dir = store_dir;
	uint64_t offset = 0;
	int opt;

	(void)umask(077);
	find_host();
	if (is_sendmail(argv[0]))
		return sendmail_run(argc, argv, dir);
	while ((opt = getopt(argc, argv, "+d:p:")) != -1) {
		if (opt == 'd')
			dir = optarg;
		else if (opt != 'p' || text_u64(optarg, strlen(optarg), &offset) < 0 ||
		    offset > 65535)
			usage();
	}
	if (optind < argc && is_sendmail(argv[optind]))
		return sendmail_run(argc - optind, argv + optind, dir);
	if (optind < argc)
		return admin_run(argc - optind, argv + optind, dir);
	return run_server(dir, (int)offset);
}
