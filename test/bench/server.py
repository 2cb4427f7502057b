# See LICENSE file for copyright and licence details.
"""A maild of its own for a measurement: built from the tree with loopback ports, run in a directory
that goes away afterwards; its CPU time, memory and writes."""
import os, shutil, signal, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
TICK = os.sysconf("SC_CLK_TCK")
USER, PASSWORD, DOMAIN = "bench", "secret", "bench.test"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    """the directory of a run, the programs compiled for it, and what must be ended with it"""

    def __init__(self, **config):
        signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))     # what was begun is ended
        self.dir = tempfile.mkdtemp(prefix="maild-bench.", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.dir, 0o755)
        self.live = []
        self.ports = {n: free_port() for n in ("SMTP", "SUBMISSION", "SMTPS", "POP3", "POP3S")}
        self.count = 0
        env = dict(os.environ, **{n + "_PORT": str(p) for n, p in self.ports.items()})
        env.update({k: str(v) for k, v in config.items()})
        with open(self.dir + "/config.h", "w") as f:
            subprocess.run([HERE + "/mkconfig", TREE + "/config.h"], env=env, stdout=f, check=True)
        self.maild = self.dir + "/maild"
        make = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
        given = ["%s=%s" % (k, os.environ[k]) for k in ("CC", "BEARSSL") if os.environ.get(k)]
        subprocess.run(["make", "-s", "-C", TREE, "OUT=" + self.dir + "/out",
                        "CONFIG=" + self.dir + "/config.h", "BIN=" + self.maild,
                        self.maild] + given,
                       env=make, stdout=subprocess.DEVNULL, check=True)
        for tool in ("disk", "pop3"):
            subprocess.run([os.environ.get("BENCH_CC", "cc"), "-O2", "-o", self.dir + "/" + tool,
                            "%s/%s.c" % (HERE, tool)], check=True)

    def tool(self, *a):
        """run a tool of ours: its "name value" lines as a dict"""
        r = subprocess.run([self.dir + "/" + a[0]] + [str(x) for x in a[1:]],
                           capture_output=True, text=True)
        f = dict(x.split(None, 1) for x in r.stdout.splitlines() if " " in x)
        if r.returncode or "error" in f:
            raise RuntimeError("%s: %s %s" % (" ".join(map(str, a)), r.stdout, r.stderr))
        return {k: float(v) for k, v in f.items()}

    def pop3(self, what, *a):
        return self.tool("pop3", what, self.ports["POP3"], USER, PASSWORD, *a)

    def end(self):
        for p in list(self.live):
            p.kill()
            p.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)


class Server:
    """one maild on a fresh store"""

    def __init__(self, bench, users=0, wrap=()):
        self.b = bench
        bench.count += 1
        self.store = "%s/store%d" % (bench.dir, bench.count)
        self.logname = self.store + ".log"
        for n in [USER] + ["%d%s" % (i, USER) for i in range(1, users + 1)]:
            r = subprocess.run([bench.maild, "-d", self.store, "passwd", n], input=PASSWORD + "\n",
                               text=True, capture_output=True, timeout=60)
            if r.returncode:
                raise RuntimeError("passwd %s: %s" % (n, r.stderr))
        self.start(wrap)

    def start(self, wrap=()):
        self.log = open(self.logname, "a")
        t = time.monotonic()
        self.proc = subprocess.Popen(list(wrap) + [self.b.maild, "-d", self.store],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.b.live.append(self.proc)
        while not self.greets("SMTP") or not self.greets("POP3"):
            if self.proc.poll() is not None or time.monotonic() - t > 30:
                raise RuntimeError("no greeting: " + open(self.logname).read()[-1000:])
            time.sleep(0.001)
        self.start_s = time.monotonic() - t
        self.pid = self.proc.pid
        if wrap:
            kids = open("/proc/%d/task/%d/children" % (self.pid, self.pid)).read().split()
            self.pid = int(kids[0]) if kids else self.pid
        return self

    def greets(self, name):
        try:
            with socket.create_connection(("127.0.0.1", self.b.ports[name]), 2) as s:
                s.settimeout(5)
                return s.recv(3) in (b"220", b"+OK")
        except OSError:
            return False

    def stop(self):
        if self.proc in self.b.live:
            try:
                os.kill(self.pid, signal.SIGTERM)
                self.proc.wait(30)
            except (OSError, subprocess.TimeoutExpired):
                self.proc.kill()
                self.proc.wait(30)
            self.b.live.remove(self.proc)
        self.log.close()

    def remove(self):
        self.stop()
        shutil.rmtree(self.store, ignore_errors=True)

    # -- accounting ------------------------------------------------------------
    def cpu(self):
        """user + system seconds: from the scheduler's nanoseconds where the kernel tells them"""
        try:
            return int(open("/proc/%d/schedstat" % self.pid).read().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            f = open("/proc/%d/stat" % self.pid).read().rsplit(")", 1)[1].split()
            return (int(f[11]) + int(f[12])) / TICK

    def rss(self):
        """resident KiB: (all, of these its own and not those of the program's file)"""
        v = {}
        for l in open("/proc/%d/status" % self.pid):
            k, _, x = l.partition(":")
            if k in ("VmRSS", "RssAnon"):
                v[k] = int(x.split()[0])
        return v["VmRSS"], v.get("RssAnon", 0)

    def written(self):
        """bytes given to the disk's file systems, None if the kernel does not tell"""
        try:
            with open("/proc/%d/io" % self.pid) as f:
                return int(dict(l.split(": ") for l in f)["write_bytes"])
        except (OSError, KeyError):
            return None

    # -- the mailbox -------------------------------------------------------------
    def mailbox(self, user=USER):
        return "%s/mail/%s" % (self.store, user)

    def messages(self, user=USER):
        """how many there are, by their From_ lines"""
        n, tail = 0, b"\n"
        try:
            f = open(self.mailbox(user), "rb", 0)
        except FileNotFoundError:
            return 0
        with f:
            while True:
                d = f.read(1 << 20)
                if not d:
                    return n
                d = tail + d
                n += d.count(b"\nFrom ")
                tail = d[-5:]

    def put_mailbox(self, src, user=USER):
        """a mailbox made elsewhere takes the place of the user's, as another program might do it"""
        own = os.stat(self.store + "/mail")
        tmp = self.mailbox(user) + ".new"
        shutil.copyfile(src, tmp)
        os.chown(tmp, own.st_uid, own.st_gid)
        os.chmod(tmp, 0o600)
        os.rename(tmp, self.mailbox(user))


HEAD = """\
From sender@bench.test %s
Return-Path: <sender@bench.test>
Received: from localhost ([127.0.0.1])
\tby bench.test with ESMTP id %d
\tfor <bench@bench.test>; %s
From: sender@bench.test
To: bench@bench.test
Date: %s
Message-Id: <%d.%d@bench.test>
Subject: message number %d

"""


def make_mailbox(path, count, size):
    """a repeatable mboxrd file: `count` messages, about `size` bytes in all, each 1/4 to 7/4 of the
    mean"""
    words = ("the of mail router and to in queue that is from message for it with as was on be at "
             "spool").split()
    x, mean = 88172645463325252, size // count
    lines = []
    for i in range(512):
        line = b""
        while len(line) < 66 and (not line or x >> 33 & 31):
            x ^= x << 13 & (1 << 64) - 1
            x ^= x >> 7
            x ^= x << 17 & (1 << 64) - 1
            line += words[(x >> 33) % len(words)].encode() + b" "
        lines.append((b">From " if i % 200 == 7 else b"") + (b"" if i % 20 == 3 else line) + b"\n")
    with open(path, "wb") as f:
        for i in range(count):
            x ^= x << 13 & (1 << 64) - 1
            x ^= x >> 7
            x ^= x << 17 & (1 << 64) - 1
            t = time.gmtime(1700000000 + 60 * i)
            date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", t)
            head = (HEAD % (time.strftime("%a %b %e %H:%M:%S %Y", t), i, date, date, i, x >> 33,
                            i)).encode()
            want, k, body = mean // 4 + (x >> 33) % (mean * 3 // 2), x >> 40, []
            n = len(head)
            while n < want:
                body.append(lines[k % 512])
                n += len(body[-1])
                k += 1
            f.write(head + b"".join(body) + b"\n")
