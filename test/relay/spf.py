# See LICENSE file for copyright and licence details.
"""The SPF test suite over SMTP: spf.py [ID...]; `run` starts it in a network namespace of its own.

Each test of VECTORS/spf connects from its client's address, which the loopback interface has here,
says its HELO and sender, and what the server found is read in the letter that has arrived. The zone
of the scenario is served by a name server in this process; the server starts anew for each, since
it remembers names."""
import concurrent.futures
import ipaddress
import os
import re
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(HERE + '/../..')
os.environ.setdefault('MAILD_OUT', TOP + '/build/relay')
sys.path[:0] = [HERE, TOP + '/test/e2e']

import yaml
from dnslib import QTYPE, RCODE, RR, A, AAAA, CNAME, MX, PTR, TXT, DNSRecord

import harness
from prepare import table

SUITE = 'rfc7208-tests.yml'
MOST = 190  # so many tests can be said over SMTP, at least
LATE = 5000  # ms that the server waits for names

# What SMTP cannot say, or our server does not take: the reply to it, and why
UNSAID = {
    'invalid-domain-long-via-macro': ('HELO', 'HELO of percent signs'),
    'invalid-hello-macro': ('HELO', 'HELO with a quote and a blank'),
    'toolonglabel': ('MAIL', 'a domain with a label of 64 octets'),
    'emptylabel': ('MAIL', 'a domain with empty labels'),
    'nolocalpart': ('MAIL', 'a sender without a local part'),
    'dorky-sentinel': ('MAIL', 'a blank in a local part'),
}

# What our resolver does not do: in an MX record it takes no name that a host cannot have
OTHERWISE = {'mx-colon-domain': 'temperror', 'mx-colon-domain-ip4mapped': 'temperror'}

harness.VARIANTS['relay-spf'] = [
    harness.setting_text('hostname', 'mx.receiver.test'),
    (r'(\bdomains\[\] = \{)[^}]*\}', r'\1 "receiver.test" }'),
    (r'(\bname_servers\[\] = \{)[^}]*\}', r'\1 "127.0.0.1#53" }'),
    # nothing is refused before the text: the results are wanted
    table('policies', ['F_EARLY, A_REFUSE']),
    table('rules', ['IN_HELO, "", "no rule", DO_MARK, ""']),
    table('limits', ['C_OPEN, 9999, 9999, 0, 0']),
    harness.setting('greeting_pause', '20'), harness.setting('guard_wait', str(LATE)),
]

# ---- the name server ----

MAKE = {'A': A, 'AAAA': AAAA, 'CNAME': CNAME, 'PTR': PTR, 'MX': lambda d: MX(d[1], d[0]),
        'TXT': lambda d: TXT(d)}


def strings(data):
    """A TXT record: the suite's strings, or a text cut in pieces of 255 octets."""
    if isinstance(data, list):
        return [s.encode('latin-1') for s in data]
    b = str(data).encode('latin-1')
    return [b[i:i + 255] for i in range(0, len(b), 255)] or [b'']


def records(entries):
    """(type, data) of a name. SPF records are TXT records too, unless there are such."""
    pairs = [('TIMEOUT', '') if e == 'TIMEOUT' else next(iter(e.items())) for e in entries]
    for kind, data in pairs:
        if kind == 'SPF' and 'TXT' not in [k for k, _ in pairs]:
            kind = 'TXT'
        if kind != 'SPF' and not (kind == 'TXT' and data == 'NONE'):
            yield kind, strings(data) if kind == 'TXT' else data


def the_zone(scenario):
    return {name.lower().rstrip('.'): list(records(entries))
            for name, entries in scenario['zonedata'].items()}


def found(zone, name, kind):
    """The answer's records: [(name, type, data)], with what a CNAME leads to; None: silence."""
    out = []
    for _ in range(9):
        rows = zone.get(name.lower().rstrip('.'), [])
        mine = [(name, k, d) for k, d in rows if k in (kind, 'CNAME')]
        out += mine
        if not mine and any(k == 'TIMEOUT' for k, _ in rows):
            return None
        if not mine or mine[0][1] == kind:
            break
        name = mine[0][2]
    return out


def answer(zone, packet, most):
    """The octets of a reply, truncated at `most`; None: there is none."""
    ask = DNSRecord.parse(packet)
    label = ask.q.qname
    name = '.'.join(p.decode('latin-1') for p in label.label)
    kind = QTYPE.get(ask.q.qtype)
    got = found(zone, name, kind)
    if got is None:
        return None
    out = ask.reply()
    if not got and not any(n == name.lower() or n.endswith('.' + name.lower()) for n in zone):
        out.header.rcode = RCODE.NXDOMAIN
    for owner, k, data in got:
        out.add_answer(RR(label if owner == name else owner, getattr(QTYPE, k), ttl=60,
                          rdata=MAKE[k](data)))
    b = out.pack()
    if len(b) > most:
        out.rr.clear()
        out.header.tc = 1
        b = out.pack()
    return b


class Names:
    zone = {}
    trouble = None

    def ask(self, packet, most):
        try:
            return answer(self.zone, packet, most)
        except Exception as e:
            self.trouble = '%s: %s: %s' % (packet.hex(), type(e).__name__, e)
            return None

    def __init__(names):
        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                b = names.ask(self.request[0], 512)
                if b:
                    self.request[1].sendto(b, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(n := self.rfile.read(2)) == 2:
                    b = names.ask(self.rfile.read(struct.unpack('>H', n)[0]), 65535)
                    if b:
                        self.wfile.write(struct.pack('>H', len(b)) + b)

        for kind, handler in ((socketserver.ThreadingUDPServer, Udp),
                              (socketserver.ThreadingTCPServer, Tcp)):
            kind.daemon_threads = True
            s = kind(('127.0.0.1', 53), handler)
            threading.Thread(target=s.serve_forever, daemon=True).start()


# ---- one test ----


def address(text):
    a = ipaddress.ip_address(text)
    return a.version == 6 and a.ipv4_mapped or a


class Unsaid(Exception):
    pass


def say(c, verb, text):
    r = c.cmd(text)
    if r.code != 250:
        raise Unsaid('%s: %r' % (verb, r))


def send(server, t, name):
    """The letter's id."""
    a = address(t['host'])
    with harness.Smtp(server, 25, host='127.0.0.1' if a.version == 4 else '::1',
                      source=str(a)) as c:
        say(c, 'HELO', 'EHLO ' + t['helo'])
        say(c, 'MAIL', 'MAIL FROM:<%s>' % t['mailfrom'])
        say(c, 'RCPT', 'RCPT TO:<alice@receiver.test>')
        r = c.data(b'From: <anybody@author.test>\r\nSubject: %s\r\n\r\nhello\r\n' % name.encode())
        if r.code != 250:
            raise Unsaid('DATA: %r' % r)
        return r.text.split()[-1]


def results(server, id):
    """The value of Authentication-Results of a letter, unfolded."""
    text = server.mbox('alice')
    head = text[:text.index(b'\n\n', text.index(b'id ' + id.encode()))]
    head = head[head.rindex(b'\nDelivered-To:'):].decode('latin-1')
    m = re.search(r'(?m)^Authentication-Results: (.*(?:\n[ \t].*)*)', head)
    return ' '.join(m.group(1).split())


def one(server, name, t):
    """(outcome, why): 'ok', 'wrong', 'unsaid'."""
    try:
        id = send(server, t, name)
    except Unsaid as e:
        stage = str(e).split(':')[0]
        if UNSAID.get(name, ('', ''))[0] == stage:
            return 'unsaid', UNSAID[name][1]
        return 'wrong', e
    except (OSError, harness.Closed, AssertionError) as e:
        return 'wrong', '%s: %s' % (type(e).__name__, e)
    value = results(server, id)
    about = 'smtp.mailfrom' if t['mailfrom'] else 'smtp.helo'
    m = re.search(r'; spf=(\w+) (?:\([^)]*\) )?%s=' % re.escape(about), value)
    want = t['result'] if isinstance(t['result'], list) else [t['result']]
    if name in OTHERWISE:
        if m and m.group(1) == OTHERWISE[name]:
            return 'unsaid', 'a host named "foo:bar/baz" is none to our resolver'
        return 'wrong', 'judged as the suite has it: take it out of OTHERWISE'
    if m and m.group(1) in want:
        return 'ok', m.group(1)
    return 'wrong', 'wanted %s: %s' % ('/'.join(want), value)


# ---- all of them ----


def addresses(suite):
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for a in {address(t['host']) for s in suite for t in s['tests'].values()}:
        subprocess.run(['ip', 'addr', 'add', '%s/%d' % (a, a.max_prefixlen), 'dev', 'lo'] +
                       ['nodad'] * (a.version == 6), check=True)


def scenario(names, server, s, only):
    names.zone = the_zone(s)
    server.restart() if server.running() else server.start()
    tests = [(n, t) for n, t in s['tests'].items() if not only or n in only]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        out = pool.map(lambda p: one(server, *p), tests)
        return [(n, *r) for (n, _), r in zip(tests, out)]


def run(only):
    with open(harness.vectors('spf', SUITE), encoding='utf-8') as f:
        suite = list(yaml.safe_load_all(f))
    addresses(suite)
    names = Names()
    server = harness.Server('relay-spf', start=False)
    server.passwd('alice')
    out = []
    for s in suite:
        begin = time.monotonic()
        got = scenario(names, server, s, only)
        out += got
        print('      %-45s %3d tests, %4.1f s' % (s['description'], len(got),
                                                  time.monotonic() - begin), flush=True)
    server.stop()
    return out, names.trouble


def main(only):
    begin = time.monotonic()
    good = bad = 0
    try:
        out, trouble = run(only)
        for name, outcome, why in out:
            if outcome == 'unsaid':
                print('      left out: %s (%s)' % (name, why))
            elif outcome == 'wrong':
                print('FAIL  %s: %s' % (name, why))
                bad += 1
        good = sum(o == 'ok' for _, o, _ in out)
        if trouble:
            print('FAIL  the name server: ' + trouble)
            bad += 1
        if not only and good < MOST:
            print('FAIL  %d tests of the suite, at least %d can be said' % (good, MOST))
            bad += 1
        print('      SPF over SMTP: %d of %d tests, %d right, %d left out, %.0f s' %
              (good + bad, len(out), good, sum(o == 'unsaid' for _, o, _ in out),
               time.monotonic() - begin))
    except harness.Skip as e:
        print('skip  SPF over SMTP: %s; VECTORS=DIR says where it is' % e)
        return 0
    except Exception as e:
        print('FAIL  SPF over SMTP: %s: %s' % (type(e).__name__, e))
        bad += 1
    finally:
        for s in harness.SERVERS:
            s.kill()
        if os.environ.get('MAILD_KEEP'):
            print('kept', harness.SCRATCH)
        else:
            harness.shutil.rmtree(harness.SCRATCH, ignore_errors=True)
    print('%d passed, %d failed' % (good, bad))
    return 1 if bad or not good else 0


if __name__ == '__main__':
    # the end of the first process here ends all
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
