#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""outgoing.py [--quick] [--letters N] [--rounds N] [--mix NAME...] [--way NAME...] [SERVER...]:
mail on its way out, maild beside Postfix. A thousand domains, ten letters of 2 KiB for each,
smtp-sink takes them. Mixes: live (all domains take mail), dead (of a hundred 8 refuse the
connection and 2 drop it without a word). Ways: queue (the letters wait when the server starts),
through (they are handed in over 20 sessions while others leave). Servers: maild, postfix,
postfix-more (with more processes and sessions than its defaults allow).

Needs root and test/need. Everything is in a network namespace that has nothing but loopback, with a
name server of its own, and in a directory under $TMPDIR (/var/tmp), which must be on a disk. A
timing is no test: it fails only if a letter did not arrive, or did twice."""
import argparse, glob, os, re, selectors, shutil, signal, socket, statistics, subprocess, sys
import tempfile, threading, time
sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
SERVERS, MIXES, WAYS = ("maild", "postfix", "postfix-more"), ("live", "dead"), ("queue", "through")
SINK, REFUSES, SILENT = "10.99.0.1", "10.99.0.2", "10.99.0.3"
PER_DOMAIN, SIZE, SESSIONS, PATIENCE, QUIET = 10, 2048, 20, 300, 100
OWNER = 8025                    # run_uid of config.h
TICK = os.sysconf("SC_CLK_TCK")
live = []                       # processes to be ended with us


def sh(*a, **k):
    r = subprocess.run(a, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=120, **k)
    if r.returncode:
        raise RuntimeError("%s: %s" % (" ".join(a), r.stdout[-1000:]))
    return r.stdout


def begin(argv, cg=None, **k):
    def enter():
        if cg and cg.dir:
            with open(cg.dir + "/cgroup.procs", "w") as f:
                f.write("0")
    p = subprocess.Popen(argv, preexec_fn=enter, **k)
    live.append(p)
    return p


def finish(p, seconds=60):
    try:
        p.terminate()
        p.wait(seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait(20)
    if p in live:
        live.remove(p)


# -- letters -----------------------------------------------------------------

def domains(mix, n):
    """n domains: the live ones spread among the others"""
    kinds = ["live"] * 100
    if mix == "dead":
        for i in range(8):
            kinds[i * 12 + 3] = "refuses"
        for i in range(2):
            kinds[i * 50 + 9] = "silent"
    return ["d%d.%s.example" % (i, kinds[i % 100]) for i in range(n)]


def is_live(domain):
    return domain.endswith(".live.example")


def letters(mix, n):
    """recipients, one a letter: those of a domain are far from each other, as mail comes"""
    d = domains(mix, max(1, n // PER_DOMAIN))
    return [(i, "user%d@%s" % (i, d[i % len(d)])) for i in range(n)]


LINE = ("the of mail router and to in queue that is from message for it with as was on be "
        * 2)[:72]


def text(i, rcpt):
    head = ("From: sender@bench.test\nTo: %s\nSubject: letter %d\n"
            "Date: Sun, 22 Nov 2026 03:04:05 +0000\nMessage-ID: <%d@bench.test>\n\n" %
            (rcpt, i, i))
    lines = (SIZE - len(head)) // (len(LINE) + 1)
    return head + (LINE + "\n") * lines


def inject(port, mix, n):
    """hand them in over SESSIONS sessions, each letter in two round trips"""
    todo = letters(mix, n)
    todo.reverse()
    sel = selectors.DefaultSelector()
    left = [0]

    class Client:
        def __init__(self):
            self.s = socket.create_connection(("127.0.0.1", port), 10)
            self.s.setblocking(False)
            self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.buf, self.want, self.step, self.text = b"", 1, "greeting", b""
            sel.register(self.s, selectors.EVENT_READ, self)
            left[0] += 1

        def say(self, what, want, step):
            self.want, self.step = want, step
            if self.s.send(what) != len(what):
                raise RuntimeError("the socket took only a part")

        def next(self):
            if not todo:
                self.say(b"QUIT\r\n", 1, "quit")
                return
            i, to = todo.pop()
            self.text = text(i, to).replace("\n", "\r\n").encode() + b".\r\n"
            self.say(b"MAIL FROM:<sender@bench.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" %
                     to.encode(), 3, "data")

        def reply(self, line):
            if line[:1] not in b"23":
                raise RuntimeError("%s: %r" % (self.step, line))
            self.want -= 1
            if self.want:
                return
            if self.step == "greeting":
                self.say(b"EHLO client.test\r\n", 1, "ehlo")
            elif self.step == "data":
                self.say(self.text, 1, "dot")
            elif self.step == "quit":
                sel.unregister(self.s)
                self.s.close()
                left[0] -= 1
            else:
                self.next()

        def read(self):
            d = self.s.recv(4096)
            if not d:
                raise RuntimeError("closed in " + self.step)
            *lines, self.buf = (self.buf + d).split(b"\r\n")
            for l in lines:
                if l[3:4] != b"-":
                    self.reply(l)

    for _ in range(min(SESSIONS, n)):
        Client()
    while left[0]:
        ready = sel.select(PATIENCE)
        if not ready:
            raise RuntimeError("no reply")
        for key, _ in ready:
            key.data.read()


# -- what is around the server -------------------------------------------------

class Names:
    """dnsmasq: half of the live domains have an MX record, the others only an address"""

    def __init__(self, top, n):
        conf = ["no-resolv", "no-hosts", "bind-interfaces", "listen-address=127.0.0.1",
                "user=root", "pid-file=", "local-ttl=3600", "cache-size=0", "local=/example/",
                "host-record=mx.live.example," + SINK]
        at = {"live": SINK, "refuses": REFUSES, "silent": SILENT}
        for d in sorted(set(domains("live", n) + domains("dead", n))):
            conf.append("host-record=%s,%s" % (d, at[d.split(".")[1]]))
            if is_live(d) and int(d[1:d.index(".")]) % 2:
                conf.append("mx-host=%s,mx.live.example,10" % d)
        with open(top + "/dnsmasq.conf", "w") as f:
            f.write("\n".join(conf) + "\n")
        self.p = begin(["dnsmasq", "-k", "-C", top + "/dnsmasq.conf"])


def black_hole():
    """a listener whose queue is full: the kernel drops what else comes, without a word"""
    s = socket.socket()
    s.bind((SILENT, 25))
    s.listen(0)
    held = [s]
    for _ in range(4):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex((SILENT, 25))
        held.append(c)
    time.sleep(0.1)
    return held


class Sink:
    """smtp-sink; its counters with the time they were seen"""

    def __init__(self):
        out, w = os.pipe()
        self.p = begin(["smtp-sink", "-c", "-u", "nobody", "-m", "2000", SINK + ":25", "1024"],
                       stdout=w, stderr=subprocess.DEVNULL)
        os.close(w)
        os.set_blocking(out, False)
        self.out, self.tail = out, b""
        self.sessions = self.letters = 0
        self.seen = []          # (time, letters)
        for _ in range(500):
            try:
                socket.create_connection((SINK, 25), 1).close()
                break
            except OSError:
                time.sleep(0.01)
        time.sleep(0.1)
        self.look()
        self.seen = []
        self.first = self.sessions

    def look(self):
        while True:
            try:
                d = os.read(self.out, 1 << 16)
            except BlockingIOError:
                return
            if not d:
                raise RuntimeError("smtp-sink has ended")
            *whole, self.tail = (self.tail + d).split(b"\r")
            if not whole:
                continue
            v = dict(x.split(b"=") for x in whole[-1].split())
            self.sessions = int(v[b"sess"])
            if int(v[b"mesg"]) != self.letters:
                self.letters = int(v[b"mesg"])
                self.seen.append((time.monotonic(), self.letters))

    def wait(self, n, server, each=lambda: None):
        """until it has n letters; the time of the last"""
        end = time.monotonic() + PATIENCE
        while self.letters < n and time.monotonic() < end and server.lives():
            if self.seen and time.monotonic() > self.seen[-1][0] + QUIET:
                break
            each()
            time.sleep(0.005)
            self.look()
        return self.seen[-1][0] if self.seen else time.monotonic()

    def gap(self, start):
        """the longest time without a letter"""
        t = [start] + [x[0] for x in self.seen]
        return max([b - a for a, b in zip(t, t[1:])] or [0])

    def end(self):
        finish(self.p)
        os.close(self.out)


class Group:
    """CPU time of a server with all its processes: of a control group, else as /proc tells"""
    tops = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")

    def __init__(self, name):
        self.dir = None
        for top in self.tops:
            if os.path.exists(top + "/cpuacct.usage") or \
                    os.path.exists(top + "/cgroup.controllers"):
                try:
                    os.mkdir("%s/%s.%d" % (top, name, os.getppid()))
                    self.dir = "%s/%s.%d" % (top, name, os.getppid())
                    return
                except OSError:
                    pass

    def cpu(self, pids):
        try:
            if os.path.exists(self.dir + "/cpuacct.usage"):
                return int(open(self.dir + "/cpuacct.usage").read()) / 1e9
            return int(open(self.dir + "/cpu.stat").readline().split()[1]) / 1e6
        except (OSError, TypeError):
            return sum(self.of(p) for p in pids)

    @staticmethod
    def of(pid):
        try:
            own = int(open("/proc/%d/schedstat" % pid).read().split()[0]) / 1e9
            f = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
            return own + (int(f[13]) + int(f[14])) / TICK   # and of its children that have ended
        except (OSError, IndexError):
            return 0

    def end(self):
        for _ in range(100):
            try:
                if self.dir:
                    os.rmdir(self.dir)
                return
            except OSError:
                time.sleep(0.05)


def memory(pids, what):
    """a line of their status files in KiB, summed"""
    n = 0
    for p in pids:
        try:
            m = re.search(r"^%s:\s+(\d+)" % what, open("/proc/%d/status" % p).read(), re.M)
            n += int(m.group(1)) if m else 0
        except OSError:
            pass
    return n


# -- the servers ---------------------------------------------------------------

class Maild:
    port = 25

    @staticmethod
    def build(top):
        """with the settings of config.h but for the addresses"""
        with open(TREE + "/config.h") as f:
            c = f.read()
        for old, new in (
                (r'(char hostname\[\] = )"";', r'\1"bench.test";'),
                (r'(char \*const domains\[\] = ).*;', r'\1{ "bench.test" };'),
                (r'(char \*const name_servers\[\] = ).*;', r'\1{ "127.0.0.1" };'),
                (r'(?s)(struct listener listeners\[\] = \{\n).*?(\n\};)',
                 r'\1\t{ "127.0.0.1", 25, TLS_START, TRUSTED, 0 },\2'),
                (r'(?s)(struct trusted trusted\[\] = \{\n).*?(\n\};)',
                 r'\1\t{ "127.0.0.0/8", "", 0 },\2')):
            c, n = re.subn(old, new, c)
            if n != 1:
                sys.exit("outgoing: this is not a config.h that I know: " + old)
        with open(top + "/config.h", "w") as f:
            f.write(c)
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
        given = ["%s=%s" % (k, os.environ[k]) for k in ("CC", "BEARSSL") if os.environ.get(k)]
        sh("make", "-s", "-C", TREE, "OUT=" + top + "/out", "CONFIG=" + top + "/config.h",
           "BIN=" + top + "/maild", top + "/maild", *given, env=env)

    def __init__(self, top, name):
        self.top, self.store = top, tempfile.mkdtemp(prefix="maild.", dir=top)
        os.chmod(self.store, 0o755)
        self.group = Group(name)
        self.start()            # makes the store, key and certificate
        self.stop()

    def start(self):
        self.log = open(self.store + ".log", "a")
        t = time.monotonic()
        wrap = os.environ.get("WRAP", "").split()       # strace or perf, to see why
        self.p = begin(wrap + [self.top + "/maild", "-d", self.store], self.group,
                       stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        return wait_greeting(self, t)

    def lives(self):
        return self.p.poll() is None

    def pids(self):
        return [self.p.pid]

    def fill(self, mix, n):
        """queue files as relay.h describes them, of this moment"""
        now = int(time.time() * 1e6) - n
        for i, to in letters(mix, n):
            path = "%s/spool/out/%013x%08x" % (self.store, now + i, 0xbe9c4)
            with open(path, "w") as f:
                f.write("F<sender@bench.test> BY=[127.0.0.1]\nT<%s>\n\n"
                        "Received: from client.test (localhost [127.0.0.1])\n"
                        "\tby bench.test with ESMTP id %s\n"
                        "\tfor <%s>; Sun, 22 Nov 2026 03:04:05 +0000\n%s" %
                        (to, os.path.basename(path), to, text(i, to)))
            os.chown(path, OWNER, OWNER)

    def left(self):
        return len(os.listdir(self.store + "/spool/out"))

    def memory(self):
        return memory(self.pids(), "VmHWM")

    def stop(self):
        finish(self.p)
        self.log.close()

    def trouble(self):
        return open(self.store + ".log").read()[-1000:]

    def remove(self):
        self.stop()
        self.group.end()
        shutil.rmtree(self.store, ignore_errors=True)


class Postfix:
    port = 25
    more = ""

    def __init__(self, top, name):
        self.dir = tempfile.mkdtemp(prefix="postfix.", dir=top)
        os.chmod(self.dir, 0o755)
        self.get = {k: sh("postconf", "-d", "-h", k).strip() for k in
                    ("command_directory", "daemon_directory", "shlib_directory", "meta_directory",
                     "mail_owner")}
        self.group, self.p, self.peak = Group(name), None, 0
        os.mkdir(self.dir + "/lib")
        os.mkdir(self.dir + "/spool")
        shutil.chown(self.dir + "/lib", self.get["mail_owner"])
        dist = glob.glob(self.get["meta_directory"] + "/master.cf.proto") + \
            ["/usr/share/postfix/master.cf.dist"]
        with open(dist[-1]) as f:
            c = re.sub(r"(?m)^smtp( +)inet", r"127.0.0.1:25\1inet", f.read())
        with open(self.dir + "/master.cf", "w") as f:
            f.write(re.sub(r"(?m)^([a-z]+ +unix +[-yn] +[-yn] +)y ", r"\1n ", c))
        self.configure()
        sh("postfix", "-c", self.dir, "check")

    def configure(self, *more):
        with open(self.dir + "/main.cf", "w") as f:
            f.write("""
compatibility_level = 3.6
queue_directory = %s/spool
data_directory = %s/lib
command_directory = %s
daemon_directory = %s
shlib_directory = %s
myhostname = bench.test
mydestination = bench.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_bind_address = 0.0.0.0
alias_maps =
alias_database =
biff = no
%s
%s
""" % (self.dir, self.dir, self.get["command_directory"], self.get["daemon_directory"],
                self.get["shlib_directory"], self.more, "\n".join(more)))

    def start(self):
        t = time.monotonic()
        self.p = begin([self.get["daemon_directory"] + "/master", "-c", self.dir, "-d"],
                       self.group, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, start_new_session=True,
                       env=dict(os.environ, MAIL_CONFIG=self.dir))
        return wait_greeting(self, t)

    def lives(self):
        return self.p.poll() is None

    def pids(self):
        """the master and its children: all that it starts are"""
        try:
            kids = open("/proc/%d/task/%d/children" % (self.p.pid, self.p.pid)).read().split()
        except OSError:
            kids = []
        return [self.p.pid] + [int(x) for x in kids]

    def fill(self, mix, n):
        """handed in, put on hold, and let go when it does not run"""
        self.configure("smtpd_recipient_restrictions = check_client_access static:HOLD, permit")
        self.start()
        injector(self.port, mix, n, 1)
        self.stop()
        self.configure()
        sh("postsuper", "-c", self.dir, "-H", "ALL")

    def left(self):
        return sum(len(f) for q in ("maildrop", "incoming", "active", "deferred", "hold")
                   for _, _, f in os.walk("%s/spool/%s" % (self.dir, q)))

    def memory(self):
        """what its processes have for themselves, at its most: asked now and then"""
        self.peak = max(self.peak, memory(self.pids(), "RssAnon"))
        return self.peak

    def stop(self):
        pids = self.pids()[1:] if self.lives() else []
        finish(self.p)
        for pid in pids:        # what it leaves behind
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def trouble(self):
        return ""

    def remove(self):
        self.stop()
        self.group.end()
        shutil.rmtree(self.dir, ignore_errors=True)


class PostfixMore(Postfix):
    more = """default_process_limit = 200
initial_destination_concurrency = 20
"""


KIND = {"maild": Maild, "postfix": Postfix, "postfix-more": PostfixMore}


def wait_greeting(server, t):
    """seconds from its start to the 220"""
    while time.monotonic() - t < 60:
        if not server.lives():
            raise RuntimeError("it did not start: " + server.trouble())
        try:
            with socket.create_connection(("127.0.0.1", server.port), 2) as s:
                s.settimeout(20)
                if s.recv(3) == b"220":
                    return time.monotonic() - t
        except OSError:
            time.sleep(0.001)
    raise RuntimeError("no greeting")


def injector(port, mix, n, wait):
    p = begin([sys.executable, __file__, "--inject", str(port), mix, str(n)])
    if wait:
        code = p.wait(PATIENCE)
        live.remove(p)
        if code:
            raise RuntimeError("the letters could not be handed in")
    return p


# -- a measurement -----------------------------------------------------------

def run(top, name, mix, way, n):
    """one server, once: its figures"""
    s = KIND[name](top, name)
    expect = sum(is_live(to.split("@")[1]) for _, to in letters(mix, n))
    p = None
    try:
        if way == "queue":
            s.fill(mix, n)
            os.sync()
        sink = Sink()
        cpu, t = s.group.cpu([]) if s.group.dir else 0, time.monotonic()
        greeting = s.start()
        if way == "through":
            cpu, t = s.group.cpu(s.pids()), time.monotonic()
            p = injector(s.port, mix, n, 0)
        state = {"next": 0, "in": None}

        def now_and_then():
            if p and state["in"] is None and p.poll() is not None:
                state["in"] = time.monotonic() - t
            if time.monotonic() > state["next"]:
                s.memory()
                state["next"] = time.monotonic() + 0.5

        last = sink.wait(expect, s, now_and_then)
        used = s.group.cpu(s.pids()) - cpu
        if p:
            if p.wait(60):
                raise RuntimeError("the letters could not be handed in")
            live.remove(p)
        time.sleep(1.5)         # what comes twice comes now; and connections are closed
        sink.look()
        x = dict(server=name, mix=mix, way=way, start=greeting, seconds=last - t, cpu=used,
                 rate=expect / (last - t), per_cpu=expect / used, gap=sink.gap(t),
                 memory=s.memory() / 1024, sessions=sink.sessions - sink.first,
                 taken_in=n / state["in"] if state["in"] else None)
        left, dead = s.left(), n - expect
        if sink.letters != expect or left != dead:
            x["wrong"] = "%d letters of %d arrived, %d of %d are left in the queue" % (
                sink.letters, expect, left, dead)
            print("! %s, %s, %s: %s %s" % (name, mix, way, x["wrong"], s.trouble()))
        sink.end()
        return x
    finally:
        s.remove()


# -- what is said ----------------------------------------------------------------

def show(v, places=0):
    v = [x for x in v if x is not None]
    if not v:
        return "-"
    f = "%%.%df" % places
    m = f % statistics.median(v)
    return m if len(v) == 1 else "%s (%s-%s)" % (m, f % min(v), f % max(v))


def table(head, rows):
    w = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
    for r in [head, ["-" * k for k in w]] + rows:
        print("  " + "  ".join(x.rjust(w[i]) if i else x.ljust(w[i])
                               for i, x in enumerate(r)).rstrip())
    print(flush=True)


COLUMNS = (("start s", "start", 3), ("all out s", "seconds", 1), ("letters/s", "rate", 0),
           ("CPU s", "cpu", 2), ("letters/CPU s", "per_cpu", 0), ("longest gap s", "gap", 2),
           ("MiB", "memory", 1), ("connections", "sessions", 0), ("taken in/s", "taken_in", 0))


def report(o, got):
    for way in o.way:
        for mix in o.mix:
            print("%d letters to %d domains, %s, %s" % (
                o.letters, max(1, o.letters // PER_DOMAIN),
                "all live" if mix == "live" else "a tenth of them dead",
                "waiting at the start" if way == "queue" else "handed in meanwhile"))
            rows = [[s] + [show([x[k] for x in got if (x["server"], x["mix"], x["way"]) ==
                                 (s, mix, way)], p) for _, k, p in COLUMNS] for s in o.server]
            table([""] + [c[0] for c in COLUMNS], rows)
    print("  MiB: of maild the most that was ever resident, of Postfix what its processes have "
          "for\n  themselves, looked at twice a second.\n")
    mid = lambda s, mix, way, k: statistics.median(
        x[k] for x in got if (x["server"], x["mix"], x["way"]) == (s, mix, way))
    for way in o.way:
        for mix in o.mix:
            others = [s for s in o.server if s != "maild"]
            if "maild" not in o.server or not others:
                continue
            best = max(mid(s, mix, way, "per_cpu") for s in others)
            ours = mid("maild", mix, way, "per_cpu")
            print("%-8s %-5s letters a CPU second: %.0f, Postfix %.0f: %s" % (
                way, mix, ours, best, "met" if ours >= best else "MISSED"))
    if "maild" in o.server and "queue" in o.way:
        t = max(x["start"] for x in got if x["server"] == "maild" and x["way"] == "queue")
        print("start-up with the queue full, at most %.3f s: %s" % (
            t, "met" if t < 1 else "MISSED"))


def inside(o):
    """in the namespaces"""
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))
    top = tempfile.mkdtemp(prefix="maild-bench.", dir=os.environ.get("TMPDIR", "/var/tmp"))
    os.chmod(top, 0o755)
    got = []
    try:
        sh("ip", "link", "set", "lo", "up")
        for a in (SINK, REFUSES, SILENT):
            sh("ip", "addr", "add", a + "/32", "dev", "lo")
        with open(top + "/resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.1\n")
        sh("mount", "--bind", top + "/resolv.conf", os.path.realpath("/etc/resolv.conf"))
        # ext4 looks for inodes that were not in use lately: no run shall be slow because of the one
        # before, so each store gets a group of its own
        subprocess.run(["chattr", "+T", top], stderr=subprocess.DEVNULL)
        Maild.build(top)
        names = Names(top, max(1, o.letters // PER_DOMAIN))
        held = black_hole()
        for i in range(o.rounds):
            for way in o.way:
                for mix in o.mix:
                    for s in o.server[i % len(o.server):] + o.server[:i % len(o.server)]:
                        got.append(run(top, s, mix, way, o.letters))
        del held
        if names.p.poll() is not None:
            raise RuntimeError("dnsmasq has ended")
        report(o, got)
    finally:
        for p in list(live):
            finish(p)
        shutil.rmtree(top, ignore_errors=True)
    return any("wrong" in x for x in got)


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--inject":
        return inject(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    a = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--quick", action="store_true", help="one round of a thousand letters")
    a.add_argument("--letters", type=int)
    a.add_argument("--rounds", type=int)
    a.add_argument("--mix", nargs="+", choices=MIXES, default=list(MIXES))
    a.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    a.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    a.add_argument("server", nargs="*", metavar="SERVER")
    o = a.parse_args()
    o.server = o.server or list(SERVERS)
    o.rounds = o.rounds or (1 if o.quick else 3)
    o.letters = o.letters or (1000 if o.quick else 10000)
    bad = [s for s in o.server if s not in SERVERS]
    if bad:
        a.error("no such server: " + " ".join(bad))
    if o.inside:
        return inside(o)
    if os.geteuid():
        sys.exit("outgoing: needs root, for namespaces and Postfix")
    sh(TREE + "/test/need", "make", "unshare:util-linux", "ip:iproute2", "dnsmasq:dnsmasq-base",
       "smtp-sink:postfix")
    os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--pid",
                          "--fork", "--kill-child", "--mount-proc", sys.executable, __file__,
                          "--inside"] + sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
