#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""compare.py [--rounds N] PEER...: maild beside other servers in one run of the harness in $SHARED,
and what it was to reach against what was measured. PEER: a name in $SHARED/peers; smtp-sink, the
ceiling of the load, is always added."""
import argparse, json, os, statistics, subprocess, sys
sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.abspath(os.environ.get("SHARED", HERE + "/../../../shared/bench"))
sys.path[:0] = [HERE, SHARED + "/lib"]
import server

ADAPTER = HERE + "/maild.sh"
SINK, OURS = "smtp-sink", "maild"
CELLS = "s1-2k-keep s10-2k-keep s100-2k-keep s1-100k-keep s10-100k-keep s100-100k-keep".split()
FORKING = {"postfix", "exim", "opensmtpd", "dovecot", "popa3d", "mailutils", "courier"}


def role(peer):
    r = subprocess.run(["bash", "-c", '. "$1"; echo $PEER_ROLE', "x",
                        "%s/peers/%s.sh" % (SHARED, peer)], capture_output=True, text=True)
    return r.stdout.split()


def harness(tool, out, *a):
    """run one of the harness's commands; its samples"""
    r = subprocess.run([SHARED + "/" + tool, "--out", out] + list(a), stdout=subprocess.DEVNULL)
    if r.returncode:
        print("! %s ended with %d" % (tool, r.returncode))
    try:
        return [json.loads(l) for l in open(out)]
    except FileNotFoundError:
        return []


def middle(samples, get):
    """median of what get() finds, by peer; spoiled samples only where there are no others"""
    v = {}
    for x in samples:
        y = get(x)
        if y is not None:
            v.setdefault(x["peer"], {}).setdefault(bool(x.get("spoiled")), []).append(y)
    return {p: statistics.median(y.get(False) or y[True]) for p, y in v.items()}


def num(x):
    if x is None:
        return "-"
    return "%.0f" % x if abs(x) >= 100 else "%.1f" % x if abs(x) >= 10 else "%.3g" % x


def show(title, v):
    v = sorted(v.items(), key=lambda i: i[0] != OURS)
    print("  %-44s %s" % (title, "  ".join("%s %s" % (p, num(x)) for p, x in v)), flush=True)


verdicts = []


def target(what, want, got, least=True):
    """note a target: `got` must be at least (or at most) `want`"""
    word = "not measured"
    if want is not None and got is not None:
        word = "met" if (got >= want if least else got <= want) else "MISSED"
    verdicts.append((what, ("at least " if least else "at most ") + num(want), num(got), word))


def others(v, skip=(SINK,)):
    return {p: x for p, x in v.items() if p != OURS and p not in skip}


def ingest(o, peers, append):
    x = harness("smtp-ingest", o.out + "/ingest.jsonl", "--rounds", str(o.rounds),
                "--timeout", "20", "--cells", ",".join(CELLS), ADAPTER, SINK, *peers)
    for c in CELLS:
        acc, rate, cpu = (middle([y for y in x if y["cell"] == c], lambda y: y[k])
                          for k in ("acc_rate", "dlv_rate", "cpu_per_1000"))
        n = c[1:c.index("-")]
        show(c + " accepted/s", acc)
        show(c + " delivered/s", rate)
        show(c + " CPU s/1000", cpu)
        best = max(others(rate).values(), default=None)
        if c == "s1-2k-keep":
            target("2 KiB, 1 session, delivered/s (half the disk's %s appends)" % num(append),
                   append / 2, rate.get(OURS))
        elif "-2k-" in c and best:
            target("2 KiB, %s sessions, delivered/s (8 x %s or 60 %% of %s)" %
                   (n, num(best), num(rate[SINK])), min(8 * best, 0.6 * rate[SINK]), rate.get(OURS))
        elif best:
            target("100 KiB, %s session(s), delivered/s (2 x %s)" % (n, num(best)), 2 * best,
                   rate.get(OURS))
        if "postfix" in cpu:
            # what stores nothing has to receive it too: less than that cannot be
            target("%s, CPU s/1000 (postfix / 15; %s takes %s)" % (c, SINK, num(cpu.get(SINK))),
                   cpu["postfix"] / 15, cpu.get(OURS), False)


def idle(o, port, peers):
    x = harness("smtp-idle", "%s/idle-%s.jsonl" % (o.out, port), "--port", port,
                "--conns", "0,1000", "--timeout", "45", ADAPTER, *peers)
    base = {y["peer"]: y["pss_kib"] for y in x if y["conns"] == 0}
    kib = middle([y for y in x if y["conns"] and y["held"]],
                 lambda y: (y["pss_kib"] - base[y["peer"]]) / y["held"])
    show("KiB an idle %s session" % port, kib)
    fork = [v for p, v in others(kib).items() if p in FORKING]
    if fork:
        target("KiB an idle %s session (leanest forking peer / 10)" % port, min(fork) / 10,
               kib.get(OURS), False)
    for p, v in others(kib).items():
        if p not in FORKING:
            target("KiB an idle %s session (less than %s)" % (port, p), v, kib.get(OURS), False)


def pop3(o, peers):
    x = harness("pop3-fetch", o.out + "/fetch.jsonl", "--rounds", str(o.rounds), "--msgs", "10000",
                "--mib", "100", "--timeout", "30", ADAPTER, *peers)

    def get(label, f):
        good = lambda y: [s for s in y["sessions"] if s["label"] == label and "error" not in s]
        return middle(x, lambda y: next((f(s) for s in good(y)), None))

    opened = {l: get(l, lambda s: s["login"] + s["stat"] + s["list"] + s["uidl"])
              for l in ("cold", "warm", "append", "disk")}
    for l, v in opened.items():
        show("%s: login STAT LIST UIDL, ms" % l, {p: t * 1000 for p, t in v.items()})
    retr = {l: get(l, lambda s: s["n_retr"] / s["retr"]) for l in ("retr", "retrq")}
    show("RETR one by one, messages/s", retr["retr"])
    show("the same, client acknowledging at once", retr["retrq"])
    show("DELE of half, QUIT, ms", get("dele", lambda s: s["quit"] * 1000))
    ours = opened["cold"].get(OURS)
    if "popa3d" in opened["warm"]:      # cold it sleeps a second; warm it scans all the same
        target("first open of 100 MiB, s (popa3d's scan)", opened["warm"]["popa3d"], ours, False)
    if "dovecot" in opened["cold"]:
        target("first open of 100 MiB, s (dovecot / 10)", opened["cold"]["dovecot"] / 10, ours,
               False)
    best = [max(retr[l].get(p, 0) for l in retr) for p in peers]
    target("RETR one by one, messages/s", max(best, default=None),
           max(retr[l].get(OURS, 0) for l in retr))


def pipelined(o, peers):
    """commands ahead: with our own client, in the harness's rooms"""
    import core
    b = server.Bench(TLS_SESSIONS=1100)
    rate, reopen = {}, {}
    try:
        server.make_mailbox(b.dir + "/big", 10000, 100 << 20)
        for name in [ADAPTER] + peers:
            p = core.Peer(name).start()
            if p.store == "mbox":
                subprocess.run(["cp", b.dir + "/big", p.mailbox()], check=True)
                os.chown(p.mailbox(), 20000, 20000)
                b.ports["POP3"] = p.pop3
                try:
                    # the second of each: what there is to remember is remembered by then
                    _, empty, _, x = [b.tool("pop3", "open", p.pop3, u, core.PASS)
                                      for u in ("1bench", "1bench", core.USER, core.USER)]
                    reopen[p.name] = (x["pass"] + x["stat"] - empty["pass"] - empty["stat"]) * 1000
                    x = b.tool("pop3", "retr", p.pop3, core.USER, core.PASS, 64)
                    rate[p.name] = x["messages"] / x["seconds"]
                except RuntimeError as e:
                    print("  %s: %s" % (p.name, str(e).strip()[-200:]))
            p.stop()
    finally:
        b.end()
    show("RETR 64 ahead, messages/s", rate)
    show("re-open, PASS + STAT beyond an empty one, ms", reopen)
    target("RETR pipelined, messages/s", max(others(rate).values(), default=None), rate.get(OURS))
    target("re-open with a valid index, ms", 3, reopen.get(OURS), False)


def logins(o, peers):
    x = harness("pop3-logins", o.out + "/logins.jsonl", "--rounds", str(o.rounds), "--seconds", "2",
                ADAPTER, *peers)
    for n in (1, 50):
        rate = middle([y for y in x if y["conc"] == n], lambda y: y.get("rate"))
        show("small sessions/s, %d client(s)" % n, rate)
        show("CPU ms each", middle([y for y in x if y["conc"] == n],
                                   lambda y: y.get("cpu_ms")))
        target("small sessions/s, %d client(s)" % n, max(others(rate).values(), default=None),
               rate.get(OURS))


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--only", default="ingest,idle,fetch,pipelined,logins")
    a.add_argument("peer", nargs="+")
    o = a.parse_args()
    b = server.Bench()
    o.out = b.dir
    only = o.only.split(",")
    os.environ.setdefault("BENCH_TMP", os.environ.get("TMPDIR", "/var/tmp"))
    os.environ.setdefault("BENCH_PEERS", os.environ.get("TMPDIR", "/tmp") + "/peers")
    try:
        roles = {p: role(p) for p in o.peer if p != SINK}
        for p, r in roles.items():
            if not r:
                sys.exit("compare: no peer %s in %s/peers" % (p, SHARED))
        mta = [p for p, r in roles.items() if "smtp" in r]
        mra = [p for p, r in roles.items() if "pop3" in r]
        append = statistics.median(b.tool("disk", b.dir, 1000)["append_2k"] for _ in range(3))
        print("measured beside: %s" % " ".join(o.peer))
        if mta and "ingest" in only:
            ingest(o, mta, append)
        if "idle" in only:
            for port, peers in (("smtp", mta), ("pop3", mra)):
                if peers:
                    idle(o, port, peers)
        if mra and "fetch" in only:
            pop3(o, mra)
        if mra and "pipelined" in only:
            pipelined(o, mra)
        if mra and "logins" in only:
            logins(o, mra)
    finally:
        b.end()
    w = max(len(v[0]) for v in verdicts) if verdicts else 0
    print("\n%-*s  %-18s %-10s" % (w, "target", "to reach", "measured"))
    for v in verdicts:
        print("%-*s  %-18s %-10s %s" % ((w,) + v))


if __name__ == "__main__":
    main()
