/* with: sign.c lib/idn.c lib/pem.c lib/x509.c lib/scram.c lib/text.c lib/fs.c lib/log.c lib/addr.c */
/*
 * See LICENSE file for copyright and licence details.
 * Keys that sign: which names become a path, that a file is read again when it is another one and
 * only then, and what is no key; x509_rsa() says of keys what openssl says.
 */
#include <errno.h>
#include <sys/wait.h>

#include "lib/pem.h"
#include "lib/x509.h"
#include "mail.h"
#include "test.h"

enum { NKEYS = 6 };	/* more than are kept */

void
random_bytes(void *p, size_t n)
{
	memset(p, 7, n);
}

static int
shell(const char *command)
{
	return system(command) == 0;
}

static void
put_key(const char *domain, int bits)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "openssl genrsa -out dkim/new %d 2>/dev/null && "
	    "mv dkim/new dkim/%s.pem", bits, domain);
	if (!shell(command))
		abort();
}

/* The first octets of a key's first factor: enough to tell keys apart. */
static uint64_t
which(const br_rsa_private_key *k)
{
	uint64_t v = 0;

	if (k)
		memcpy(&v, k->p, sizeof(v));
	return v;
}

static void
test_names(void)
{
	static const char *const bad[] = {
		"", ".", "..", "../example.org", "x/../example.org", "/example.org", "Example.org",
		"example.org.", ".example.org", "example..org", "exam_ple.org", "example.org/",
		"example.org\n", "-example.org", "*", "example.org.pem/../example.org",
		"b\xc3\xbc.org"
	};
	char lng[300];
	size_t i;

	put_key("example.org", 2048);
	CHECK(shell("mkdir dkim/x && cp dkim/example.org.pem example.org.pem && "
	    "cp dkim/example.org.pem dkim/Example.org.pem && cp dkim/example.org.pem dkim/.pem"));
	for (i = 0; i < LEN(bad); i++)
		CHECK_MSG(!sign_key(bad[i]), "name %s", bad[i]);
	memset(lng, 'a', sizeof(lng));
	for (i = 50; i < sizeof(lng); i += 51)
		lng[i] = '.';
	lng[sizeof(lng) - 1] = '\0';
	CHECK(!sign_key(lng));
	lng[200] = '\0';
	CHECK(!sign_key(lng));
	CHECK(sign_key("example.org") != NULL);
	CHECK(!sign_key("other.example"));
}

static void
test_cache(void)
{
	uint64_t seen[NKEYS];
	char domain[32];
	int i, round;

	for (i = 0; i < NKEYS; i++) {
		(void)snprintf(domain, sizeof(domain), "d%d.example", i);
		put_key(domain, 1024);
		seen[i] = which(sign_key(domain));
		CHECK(seen[i] != 0 && (!i || seen[i] != seen[i - 1]));
	}
	for (round = 0; round < 20; round++) {
		i = round * 5 % NKEYS;
		(void)snprintf(domain, sizeof(domain), "d%d.example", i);
		CHECK(which(sign_key(domain)) == seen[i]);
	}
	/* another file, then none, then the old one again */
	CHECK(shell("cp dkim/d0.example.pem old"));
	put_key("d0.example", 1024);
	CHECK(which(sign_key("d0.example")) != seen[0]);
	CHECK(which(sign_key("d0.example")) != 0);
	CHECK(shell("rm dkim/d0.example.pem"));
	CHECK(!sign_key("d0.example"));
	CHECK(shell("mv old dkim/d0.example.pem"));
	CHECK(which(sign_key("d0.example")) == seen[0]);
	/* what has not changed is not read */
	CHECK(sign_key("d0.example") == sign_key("d0.example"));
}

static void
test_no_keys(void)
{
	static const char *const make[] = {
		"echo >dkim/no.example.pem",
		"head -c 700 dkim/example.org.pem >dkim/no.example.pem",
		"openssl genrsa -out dkim/no.example.pem 512 2>/dev/null",
		"openssl genrsa -out dkim/no.example.pem 3080 2>/dev/null",
		"openssl ecparam -name prime256v1 -genkey -noout -out dkim/no.example.pem",
		"openssl genrsa -aes128 -passout pass:x -out dkim/no.example.pem 2048 2>/dev/null",
		"head -c 100000 /dev/zero >dkim/no.example.pem",
		"rm dkim/no.example.pem && mkdir dkim/no.example.pem"
	};
	size_t i;

	for (i = 0; i < LEN(make); i++) {
		/* some versions of openssl refuse to make short keys */
		CHECK_MSG(shell(make[i]) || i == 2, "%s", make[i]);
		CHECK_MSG(!sign_key("no.example"), "%s", make[i]);
		CHECK(!sign_key("no.example"));
	}
	CHECK(shell("rmdir dkim/no.example.pem"));
	put_key("no.example", 3072);
	CHECK(sign_key("no.example") != NULL);
	CHECK(shell("chmod 755 dkim && mv dkim away"));
	CHECK(!sign_key("no.example"));
	CHECK(shell(": >dkim"));
	CHECK(!sign_key("no.example"));
	CHECK(shell("rm dkim && mv away dkim"));
	CHECK(sign_key("no.example") != NULL);
}

/* A command of its own process, for it may end it: its exit code. */
static int
command(const char *domain, const char *out)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen(out, "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(99);
		exit(sign_command(domain, "STORE"));
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Does the record in the file `out` have the public key of the domain? */
static int
shows(const char *domain)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "head -n -1 out | tr -d '\\n' | sed 's/\" *\t*\"//g;"
	    "s/.*p=//; s/\".*//' | openssl base64 -d -A >got && openssl pkey -in dkim/%s.pem "
	    "-pubout -outform der | cmp -s - got", domain);
	return shell(text);
}

static void
test_command(void)
{
	uint64_t made;

	CHECK_INT(command("New.Example", "out"), 0);
	made = which(sign_key("new.example"));
	CHECK(made != 0);
	CHECK_INT(command("new.example", "again"), 0);
	CHECK(which(sign_key("new.example")) == made);
	CHECK(shell("cmp -s out again && ! ls dkim | grep -q new$"));
	CHECK(shell("test $(head -n 2 out | tr -cd '\"' | wc -c) = 4"));
	CHECK(shows("new.example"));
	/* a key of somebody else's is kept, and its record shown, if it is one */
	CHECK_INT(command("no.example", "out"), 0);
	CHECK(shows("no.example"));
	CHECK(shell("openssl genrsa -3 -out dkim/three.example.pem 1024 2>/dev/null"));
	CHECK_INT(command("three.example", "out"), 0);
	CHECK(shows("three.example"));
	/* another exponent */
	CHECK(shell("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -pkeyopt "
	    "rsa_keygen_pubexp:17 -out dkim/odd.example.pem 2>/dev/null"));
	CHECK_INT(command("odd.example", "out"), 65);
	CHECK(shell("cp dkim/no.example.pem old && echo >dkim/bad.example.pem"));
	CHECK_INT(command("bad.example", "out"), 65);
	CHECK(shell("test $(wc -c <dkim/bad.example.pem) = 1 && cmp -s old dkim/no.example.pem"));
	CHECK_INT(command("../bad.example", "out"), 65);
	CHECK_INT(command("b\xc3.example", "out"), 65);
	/* a domain beyond ASCII is its A-label */
	CHECK_INT(command("b\xc3\xbc" "cher.Example", "out"), 0);
	CHECK(sign_key("xn--bcher-kva.example") != NULL);
	CHECK(shows("xn--bcher-kva.example"));
	/* a disk on which nothing can be made */
	CHECK(shell("mv dkim away && : >dkim"));
	CHECK(command("no.example", "out") != 0);
	CHECK(shell("rm dkim && mv away dkim"));
}

static void
test_spki(void)
{
	static const int bits[] = { 1024, 1032, 2048 };
	unsigned char n[512], e[] = { 1, 0, 1 }, der[X509_MAX], big[X509_MAX];
	br_rsa_public_key pk = { n, 0, e, sizeof(e) };
	const br_rsa_private_key *sk;
	char *want;
	size_t i, nwant = 0, nder;

	for (i = 0; i < LEN(bits); i++) {
		put_key("spki.example", bits[i]);
		sk = sign_key("spki.example");
		if (!CHECK(sk && shell("openssl pkey -in dkim/spki.example.pem -pubout -outform der"
		    " >want")))
			continue;
		pk.nlen = br_rsa_compute_modulus_get_default()(n, sk);
		nder = x509_rsa(der, &pk);
		want = test_slurp("want", &nwant);
		CHECK_MEM(der, nder, want, nwant);
		free(want);
	}
	memset(big, 1, sizeof(big));
	pk.n = big;
	pk.nlen = sizeof(big);
	CHECK_INT(x509_rsa(der, &pk), 0);
}

int
main(void)
{
	CHECK(!sign_key("example.org"));
	CHECK(shell("mkdir dkim"));
	test_names();
	test_cache();
	test_no_keys();
	test_command();
	test_spki();
	return test_end();
}
