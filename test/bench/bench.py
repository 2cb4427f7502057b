#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""bench.py [--quick] [--rounds N] [PART...]: what maild does on this machine, beside what the
machine can do. Parts: limits smtp writes idle pop3 sessions start (all of them if none is named).
Needs python3, cc, smtp-source and smtp-sink (Debian: postfix), strace for "writes". Everything is
on 127.0.0.1 and in a directory under $TMPDIR (/var/tmp), which must be on the disk to be
measured."""
import argparse, os, resource, shutil, socket, ssl, statistics, subprocess, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server
from server import Bench, Server, make_mailbox, DOMAIN, PASSWORD, USER

PARTS = ("limits", "smtp", "writes", "idle", "pop3", "sessions", "start")
KIB = 1024


def show(v, unit="", places=None):
    v = [x for x in v if x is not None]
    if not v:
        return "-"
    f = lambda x: "%.0f" % x if abs(x) >= 100 else "%.1f" % x if abs(x) >= 10 else "%.3g" % x
    m = f(statistics.median(v)) + unit
    return m if len(v) == 1 else "%s (%s-%s)" % (m, f(min(v)), f(max(v)))


def table(head, rows):
    rows = [head] + [[str(x) for x in r] for r in rows]
    w = [max(len(r[i]) for r in rows) for i in range(len(head))]
    for i, r in enumerate(rows):
        cells = [x.rjust(w[k]) if k else x.ljust(w[k]) for k, x in enumerate(r)]
        print("  " + "  ".join(cells).rstrip())
        if i == 0:
            print("  " + "  ".join("-" * x for x in w))
    print(flush=True)


def source(port, sessions, size, count, timeout=120):
    """smtp-source over kept connections: seconds"""
    t = time.time()
    r = subprocess.run(["smtp-source", "-d", "-f", "sender@" + DOMAIN, "-t", USER + "@" + DOMAIN,
                        "-M", DOMAIN, "-l", str(size), "-s", str(sessions), "-m", str(count),
                        "127.0.0.1:%d" % port], stderr=subprocess.PIPE, text=True, timeout=timeout)
    if r.returncode or r.stderr.strip():
        raise RuntimeError("smtp-source: " + r.stderr[-300:])
    return time.time() - t


class Sink:
    """smtp-sink, which stores nothing: what smtp-source can do at best"""

    def __init__(self, b):
        self.b, self.port = b, server.free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.p = subprocess.Popen(["smtp-sink"] + user + ["127.0.0.1:%d" % self.port, "1024"],
                                  stderr=subprocess.DEVNULL)
        b.live.append(self.p)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)

    def end(self):
        self.p.terminate()
        self.p.wait(10)
        self.b.live.remove(self.p)


def limits(b, o):
    print("The machine: %s" % " ".join(os.uname()[::2]))
    x = [b.tool("disk", b.dir, 300 if o.quick else 1000) for _ in range(1 if o.quick else o.rounds)]
    names = {"append_2k": "2 KiB appended and synced",
             "append_100k": "100 KiB appended and synced",
             "overwrite_2k": "2 KiB written over and synced",
             "overwrite_10x2k": "2 KiB, ten to a sync",
             "overwrite_100x2k": "2 KiB, a hundred to a sync",
             "files_2k": "2 KiB files made, synced, renamed"}
    table(["the disk", "a second"], [[n, show([y[k] for y in x])] for k, n in names.items()])


CELLS = [(s, z) for z in (2048, 102400) for s in (1, 10, 100)]


def cell(sessions, size):
    return "%d session%s, %d KiB" % (sessions, "s" * (sessions > 1), size // KIB)


def count_of(sessions, size, quick):
    n = {1: 1000, 10: 3000, 100: 5000}[sessions]
    if size > 10000:
        n = {1: 200, 10: 500, 100: 500}[sessions]
    return n // 5 if quick else n


def one_load(s, sessions, size, n):
    before, cpu = s.messages(), s.cpu()
    t = time.time()
    took = source(s.b.ports["SMTP"], sessions, size, n)
    end = time.time() + 30
    while s.messages() - before < n and time.time() < end:
        time.sleep(0.02)
    got = s.messages() - before
    if got != n:
        raise RuntimeError("%d of %d messages are in the mailbox" % (got, n))
    delivered = max(took, os.stat(s.mailbox()).st_mtime - t)
    return dict(accepted=n / took, delivered=n / delivered, cpu=(s.cpu() - cpu) / n * 1e6)


def smtp(b, o):
    sink = Sink(b)
    rows = []
    for sessions, size in CELLS:
        n = count_of(sessions, size, o.quick)
        best, x = [], []
        for _ in range(o.rounds):
            best.append(n / source(sink.port, sessions, size, n))
            s = Server(b)
            source(b.ports["SMTP"], min(sessions, 10), 2048, 50)
            x.append(one_load(s, sessions, size, n))
            s.remove()
        rows.append([cell(sessions, size)] + [show([y[k] for y in x])
                    for k in ("accepted", "delivered", "cpu")] + [show(best)])
    sink.end()
    table(["SMTP in, durable", "accepted/s", "delivered/s", "CPU us/message", "smtp-sink/s"], rows)


SYNCS = ("fsync", "fdatasync", "syncfs", "sync_file_range", "msync")


def strace_counts(name):
    n = {}
    for l in open(name):
        f = l.split()
        if len(f) >= 5 and f[0].replace(".", "").isdigit() and f[-1] != "total":
            n[f[-1]] = int(f[3])
    return n


def writes(b, o):
    rows = []
    for sessions, size in CELLS:
        n = count_of(sessions, size, True)
        s = Server(b)
        source(b.ports["SMTP"], min(sessions, 10), 2048, 50)
        time.sleep(1.2)
        w = s.written()
        one_load(s, sessions, size, n)
        time.sleep(1.5)         # with the checkpoint
        w = (s.written() or 0) - w if w is not None else None
        s.remove()
        calls = {}
        if shutil.which("strace"):
            out = b.dir + "/strace.out"
            s = Server(b, wrap=["strace", "-f", "-qq", "-c", "-o", out])
            one_load(s, sessions, size, n)
            time.sleep(1.2)
            s.stop()
            calls = strace_counts(out)
            s.remove()
        syncs = sum(calls.get(k, 0) for k in SYNCS)
        top = sorted(((v / n, k) for k, v in calls.items()), reverse=True)[:7]
        rows.append([cell(sessions, size)] +
                    ["-" if w is None else "%.0f" % (w / n),
                     "-" if w is None else "%.2f" % (w / n / size),
                     "%.3f" % (syncs / n) if calls else "-",
                     "%.1f" % (sum(calls.values()) / n) if calls else "-",
                     " ".join("%s %.1f" % (k, v) for v, k in top)])
    table(["a message, in runs of their own", "bytes written", "/ size", "syncs", "system calls",
           "the most frequent"], rows)


class Idle:
    """one idle session, after its greeting or its TLS handshake"""
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE

    def __init__(self, b, proto, tls):
        name = {"smtp": "SMTP", "pop3": "POP3S" if tls else "POP3"}[proto]
        s = socket.create_connection(("127.0.0.1", b.ports[name]), 10)
        if tls and proto == "smtp":
            for cmd in (None, b"EHLO bench.test\r\n", b"STARTTLS\r\n"):
                if cmd:
                    s.sendall(cmd)
                r = s.recv(4096)
                if r[:1] != b"2":
                    raise RuntimeError("%r" % r)
        if tls:
            s = self.ctx.wrap_socket(s)
        if not (tls and proto == "smtp") and not s.recv(512).startswith((b"220", b"+OK")):
            raise RuntimeError("no greeting")
        self.s = s


def idle(b, o):
    rows = []
    for proto in ("smtp", "pop3"):
        for tls in (0, 1):
            s = Server(b)
            source(b.ports["SMTP"], 2, 2048, 20)
            time.sleep(0.5)
            held, v = [], []
            for n in (0, 100, 1000):
                while len(held) < n:
                    held.append(Idle(b, proto, tls))
                time.sleep(0.3)
                v.append(s.rss()[0])
            for h in held:
                h.s.close()
            s.remove()
            rows.append([proto + (", TLS" if tls else ", clear")] +
                        ["%.2f" % (x / KIB) for x in v] + ["%.2f" % ((v[2] - v[0]) / 1000)])
    table(["memory of idle sessions", "none, MiB", "100, MiB", "1000, MiB", "KiB a session"],
          rows)


def scan_rate(path):
    """MiB/s of counting From_ lines through read(): what looking at the file costs at least"""
    t, n = time.monotonic(), 0
    with open(path, "rb", 0) as f:
        while True:
            d = f.read(1 << 18)
            if not d:
                break
            n += d.count(b"\nFrom ")
    return os.stat(path).st_size / (time.monotonic() - t) / (1 << 20)


def pop3(b, o):
    src, count = b.dir + "/big", 10000
    make_mailbox(src, count, 100 << 20)
    rate = scan_rate(src)
    keys = ("pass", "stat", "list", "uidl", "quit")
    r = {"login": [], "empty": [], "first": [], "again": []}
    rate = [rate]
    fetch = {1: [], 64: []}
    for _ in range(o.rounds):
        s = Server(b)
        r["login"].append(b.pop3("open"))
        r["empty"].append(b.pop3("open"))
        s.put_mailbox(src)
        rate.append(scan_rate(s.mailbox()))     # and it is in the page cache
        for k in ("first", "again"):
            cpu = s.cpu()
            x = b.pop3("open")
            if x["messages"] != count:
                raise RuntimeError("%d messages of %d" % (x["messages"], count))
            time.sleep(0.02)
            x["cpu"] = s.cpu() - cpu
            r[k].append(x)
        for depth in fetch:
            cpu = s.cpu()
            x = b.pop3("retr", depth)
            x["cpu"] = s.cpu() - cpu
            fetch[depth].append(x)
        s.remove()
    ms = lambda k, f: show([f(x) * 1000 for x in r[k]])
    login = statistics.median(x["pass"] for x in r["empty"])
    rows = []
    for k, n in (("login", "empty, first login"), ("empty", "empty mailbox"),
                 ("first", "first open"), ("again", "open again")):
        rows.append([n] + [ms(k, lambda x: x[y]) for y in keys] +
                    [ms(k, lambda x: max(0, x["pass"] - login)),
                     ms(k, lambda x: x["cpu"]) if k in ("first", "again") else "-"])
    print("POP3, 100 MiB in 10,000 messages (counting From_ lines through read(): %s MiB/s)" %
          show(rate))
    table(["ms"] + [k.upper() for k in keys] + ["PASS less empty", "CPU"], rows)
    figures = (lambda x: x["messages"] / x["seconds"],
               lambda x: x["bytes"] / x["seconds"] / (1 << 20),
               lambda x: x["cpu"] / x["bytes"] * (1 << 30))
    table(["RETR of everything", "messages/s", "MiB/s", "CPU s/GiB"],
          [[n] + [show([f(x) for x in fetch[d]]) for f in figures]
           for d, n in ((1, "one by one"), (64, "64 ahead"))])


def sessions(b, o):
    small = b.dir + "/small"
    make_mailbox(small, 5, 10240)
    s = Server(b, users=50)
    for u in [USER] + ["%d%s" % (i, USER) for i in range(1, 51)]:
        s.put_mailbox(small, u)
    rows = []
    for clients in (1, 50):
        x = []
        for _ in range(o.rounds):
            cpu = s.cpu()
            y = b.pop3("sessions", clients, 1 if o.quick else 3)
            y["cpu"] = (s.cpu() - cpu) / max(1, y["sessions"])
            x.append(y)
        rows.append(["%d client%s" % (clients, "s" * (clients > 1)),
                     show([y["sessions"] / y["seconds"] for y in x]),
                     show([y.get("p50", 0) * 1000 for y in x]),
                     show([y.get("p99", 0) * 1000 for y in x]),
                     show([y["cpu"] * 1000 for y in x]), show([y["failed"] for y in x])])
    s.remove()
    table(["POP3 sessions on 5 messages", "a second", "p50 ms", "p99 ms", "CPU ms each", "failed"],
          rows)


def start(b, o):
    first, again, rss = [], [], []
    for _ in range(o.rounds):
        s = Server(b)
        first.append(s.start_s * 1000)
        s.stop()
        s.start()
        again.append(s.start_s * 1000)
        rss.append(s.rss()[0] / KIB)
        s.remove()
    table(["start to greeting", ""],
          [["first start (makes key and certificate), ms", show(first)], ["later, ms", show(again)],
           ["resident then, MiB", show(rss)],
           ["size of the program, stripped, KiB", show([stripped(b)])]])


def stripped(b):
    subprocess.run(["strip", "-o", b.dir + "/stripped", b.maild], check=True)
    return os.stat(b.dir + "/stripped").st_size / KIB


def main():
    a = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--quick", action="store_true", help="one round of short loads")
    a.add_argument("--rounds", type=int)
    a.add_argument("part", nargs="*", metavar="PART")
    o = a.parse_args()
    o.rounds = o.rounds or (1 if o.quick else 3)
    bad = [p for p in o.part if p not in PARTS]
    if bad:
        a.error("no such part: " + " ".join(bad))
    for tool in ("smtp-source", "smtp-sink"):
        if not shutil.which(tool):
            sys.exit("bench: no %s (Debian: apt-get install postfix)" % tool)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else 4096, hard))
    b = Bench(TLS_SESSIONS=1100)
    try:
        for p in o.part or PARTS:
            globals()[p](b, o)
    finally:
        b.end()


if __name__ == "__main__":
    main()
