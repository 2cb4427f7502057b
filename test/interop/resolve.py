# See LICENSE file for copyright and licence details.
"""The resolver (lib/dns.c, by the program dnsq.c) against real name servers on loopback: nsd, which
answers from its zones and looks up nothing, dnsmasq that asks nsd, and unbound that does."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import kit
from kit import *

ZONE = '''$ORIGIN example.test.
$TTL 3600
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A 127.0.0.1
@ MX 10 MX1
@ MX 20 mx2.other.test.
@ MX 20 mx1.other.test.
@ TXT "v=spf1 mx -all"
@ TXT "two " "strings"
@ TXT "a \\" quote, a \\\\, \\200\\000"
mx1 A 192.0.2.1
mx1 A 192.0.2.2
mx1 AAAA 2001:db8::25
null MX 0 .
alias CNAME mx1
c1 CNAME c2
c2 CNAME c3
c3 CNAME Mx1
out CNAME host.other.test.
dangling CNAME nowhere.other.test.
nodata CNAME text
text TXT "x"
loop1 CNAME loop2
loop2 CNAME loop1
_dmarc TXT "v=DMARC1; p=none"
*.wild A 192.0.2.9
short 5 A 192.0.2.5
bad MX 10 b\\032ad
bad MX 20 mx1
onlybad MX 10 "b\\"ad"
'''
OTHER = '''$ORIGIN other.test.
$TTL 600
@ SOA ns.example.test. hostmaster 1 3600 600 86400 120
@ NS ns.example.test.
host A 192.0.2.77
mx1 A 192.0.2.78
mx2 AAAA 2001:db8::2
'''
REVERSE4 = '''$ORIGIN 2.0.192.in-addr.arpa.
$TTL 600
@ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 120
@ NS ns.example.test.
1 PTR MX1.example.test.
2 CNAME 2.0/25
2.0/25 PTR classless.example.test.
'''
REVERSE6 = '''$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
$TTL 600
@ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 120
@ NS ns.example.test.
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR six.example.test.
'''
SIX = '5.2' + '.0' * 22 + '.8.b.d.0.1.0.0.2.ip6.arpa'
LONG = ['%04d %s' % (i, 'abcdefghij' * 24) for i in range(25)]
LOADS = ['192.0.2.%d' % i for i in range(1, 101)]
HOSTS = ['%d a-rather-long-name-of-a-host-%02d.example.test.' % (i, i) for i in range(40)]

# Name, type, status, longest TTL (None: any), and the records in any order
QUESTIONS = [
    ('mx1.example.test', 'A', 'OK', 3600, ['192.0.2.1', '192.0.2.2']),
    ('MX1.Example.TEST.', 'AAAA', 'OK', 3600, ['2001:db8::25']),
    ('example.test', 'MX', 'OK', 3600,
     ['10 mx1.example.test.', '20 mx2.other.test.', '20 mx1.other.test.']),
    ('null.example.test', 'MX', 'OK', 3600, ['0 .']),
    ('example.test', 'TXT', 'OK', 3600,
     ['v=spf1 mx -all', 'two strings', r'a \" quote, a \\, \xc8\x00']),
    ('_dmarc.example.test', 'TXT', 'OK', 3600, ['v=DMARC1; p=none']),
    ('long.example.test', 'TXT', 'OK', 3600, [''.join(LONG)]),
    ('many.example.test', 'A', 'OK', 3600, 64),
    ('exchangers.example.test', 'MX', 'OK', 3600, HOSTS),
    ('alias.example.test', 'A', 'OK', 3600, ['192.0.2.1', '192.0.2.2']),
    ('alias.example.test', 'CNAME', 'OK', 3600, ['mx1.example.test']),
    ('c1.example.test', 'AAAA', 'OK', 3600, ['2001:db8::25']),
    ('out.example.test', 'A', 'OK', 600, ['192.0.2.77']),
    ('out.example.test', 'AAAA', 'NODATA', None, []),
    ('dangling.example.test', 'A', 'NXDOMAIN', None, []),
    ('nodata.example.test', 'A', 'NODATA', None, []),
    ('text.example.test', 'A', 'NODATA', None, []),
    ('nowhere.example.test', 'A', 'NXDOMAIN', None, []),
    ('a.b.wild.example.test', 'A', 'OK', 3600, ['192.0.2.9']),
    ('short.example.test', 'A', 'OK', 5, ['192.0.2.5']),
    ('loop1.example.test', 'A', 'SERVFAIL', None, []),
    ('host.broken.test', 'A', 'SERVFAIL', None, []),
    ('bad.example.test', 'MX', 'OK', 3600, ['20 mx1.example.test.']),
    ('onlybad.example.test', 'MX', 'SERVFAIL', None, []),
    ('1.2.0.192.in-addr.arpa', 'PTR', 'OK', 600, ['mx1.example.test']),
    ('2.2.0.192.in-addr.arpa', 'PTR', 'OK', 600, ['classless.example.test']),
    ('3.2.0.192.in-addr.arpa', 'PTR', 'NXDOMAIN', None, []),
    (SIX, 'PTR', 'OK', 600, ['six.example.test']),
]


def zones(d):
    zone = ZONE + 'long TXT %s\n' % ' '.join('"%s"' % s for s in LONG)
    zone += ''.join('many A %s\n' % a for a in LOADS)
    zone += ''.join('exchangers MX %s\n' % h for h in HOSTS)
    z = {
        'example.test': zone, 'other.test': OTHER, '2.0.192.in-addr.arpa': REVERSE4,
        '8.b.d.0.1.0.0.2.ip6.arpa': REVERSE6
    }
    for name, text in z.items():
        write(d + '/' + name, text, 0o644)
    return list(z) + ['broken.test']


class Named:
    """A name server of the test's own: a command, and the port it listens on."""
    def __init__(self, name, port, argv, log):
        self.name = name
        self.port = port
        self.log = log
        with open(log, 'wb') as f:
            self.process = subprocess.Popen(argv,
                                            stdin=subprocess.DEVNULL,
                                            stdout=f,
                                            stderr=f,
                                            start_new_session=True)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def tail(self):
        return read(self.log).decode(errors='replace')[-600:]


def nsd(d, names):
    port = free_port()
    conf = ('server:\n ip-address: 127.0.0.1@%d\n zonesdir: "%s"\n username: ""\n chroot: ""\n'
            ' pidfile: ""\n database: ""\n zonelistfile: "%s/list"\n xfrdfile: "%s/xfrd"\n'
            ' server-count: 1\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n' %
            (port, d, d, d))
    conf += ''.join('zone:\n name: "%s"\n zonefile: "%s"\n' % (n, n) for n in names)
    return Named('nsd', port,
                 [shutil.which('nsd', path=PATH), '-d', '-c',
                  write(d + '/nsd.conf', conf)], d + '/nsd.log')


def dnsmasq(d, upstream):
    port = free_port()
    return Named('dnsmasq', port, [
        shutil.which('dnsmasq', path=PATH), '-k', '--conf-file=/dev/null', '--no-resolv',
        '--no-hosts', '--listen-address=127.0.0.1', '--bind-interfaces', '--port=%d' % port,
        '--pid-file=', '--log-facility=-', '--user=root', '--server=127.0.0.1#%d' % upstream
    ], d + '/dnsmasq.log')


def unbound(d, upstream, names):
    port = free_port()
    conf = ('server:\n interface: 127.0.0.1@%d\n directory: "%s"\n chroot: ""\n username: ""\n'
            ' pidfile: ""\n use-syslog: no\n do-not-query-localhost: no\n do-ip6: no\n'
            ' module-config: "iterator"\n num-threads: 1\n local-zone: "test." nodefault\n' %
            (port, d))
    conf += ''.join(' local-zone: "%s." nodefault\n' % n for n in names if 'arpa' in n)
    conf += 'remote-control:\n control-enable: no\n'
    conf += ''.join('stub-zone:\n name: "%s"\n stub-addr: 127.0.0.1@%d\n' % (n, upstream)
                    for n in names + ['.'])
    return Named('unbound', port,
                 [shutil.which('unbound', path=PATH), '-d', '-p', '-c',
                  write(d + '/unbound.conf', conf)], d + '/unbound.log')


PATH = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'


def build(d):
    """The program dnsq: the resolver with a command line."""
    top = os.path.abspath(kit.HERE + '/../..')
    files = [top + '/test/interop/dnsq.c'
             ] + [top + '/lib/%s.c' % n for n in ('dns', 'dnsmsg', 'loop', 'log', 'ip', 'text')]
    code, out = run(['sh', top + '/test/build', d + '/dnsq'] + files,
                    env={
                        'CC': 'cc', 'LDFLAGS': '',
                        'CFLAGS': '-std=c11 -g -O1 -D_GNU_SOURCE -I%s -fsanitize=address' % top
                    })
    return check('dnsq is built', code == 0, out)


class Answer:
    def __init__(self, line):
        head, *self.records = line.split('\t')
        self.name, self.type, self.status, self.ttl, self.cut = head.split(' ')


def ask(d, servers, questions):
    """Answers by (name, type), the number of them that came from the cache, seconds."""
    begin = time.monotonic()
    code, out = run([d + '/dnsq', ','.join('127.0.0.1#%d' % s for s in servers)] +
                    [a for q in questions for a in q[:2]])
    lines = out.splitlines()
    if code or not lines or not lines[-1].startswith('again '):
        raise RuntimeError('dnsq: %d %s' % (code, out))
    found = [Answer(l) for l in lines[:-1]]
    return {(a.name, a.type): a for a in found}, int(lines[-1][6:]), time.monotonic() - begin


def judge(question, a):
    """What is wrong with an answer; '' if nothing."""
    name, kind, status, ttl, records = question
    if not a:
        return 'no answer'
    if a.status != status:
        return 'status %s, want %s' % (a.status, status)
    if isinstance(records, int):
        good = len(set(a.records)) == records and a.cut == '1'
    else:
        good = sorted(a.records) == sorted(records) and a.cut == '0'
    if not good:
        return 'records %r cut %s' % (a.records, a.cut)
    if ttl and not 0 < int(a.ttl) <= ttl:
        return 'TTL %s, want at most %d' % (a.ttl, ttl)
    return ''


def answers(d, s, questions):
    """All questions at once. What has a TTL is known afterwards."""
    got, again, _ = ask(d, [s.port], questions)
    for q in questions:
        wrong = judge(q, got.get(q[:2]))
        check('%s: %s %s' % (s.name, q[0], q[1]), not wrong, wrong)
    known = sum(int(a.ttl) > 0 for a in got.values())
    check('%s: %d answers are known without asking again' % (s.name, known), again == known
          and known >= 20, again)


def failing(d, s):
    """Another server that is silent, refuses, or is not there, and then this one."""
    q = QUESTIONS[:3]
    with socket.socket(type=socket.SOCK_DGRAM) as u:
        u.bind(('127.0.0.1', 0))
        silent = u.getsockname()[1]
        got, _, took = ask(d, [silent, s.port], q)
        check('%s: behind a silent server' % s.name,
              not any(judge(x, got.get(x[:2])) for x in q) and 2.5 < took < 5, took)
        got, _, took = ask(d, [silent], q[:1])
        a = got.get(q[0][:2])
        check('a silent server alone: timed out', a and a.status == 'TIMEOUT' and 7 < took < 11,
              took)
    got, _, took = ask(d, [free_port(), s.port], q)
    check('%s: behind a closed port' % s.name,
          not any(judge(x, got.get(x[:2])) for x in q) and took < 2, took)
    got, _, took = ask(d, [free_port()], q[:1])
    a = got.get(q[0][:2])
    check('a closed port alone: timed out at once', a and a.status == 'TIMEOUT' and took < 2, took)


def ready(d, s):
    """It answers; a server that does not start fails here."""
    def up():
        if s.process.poll() is not None:
            return False
        try:
            with socket.create_connection(('127.0.0.1', s.port), 2):
                pass
            return ask(d, [s.port], QUESTIONS[:1])[0][QUESTIONS[0][:2]].status == 'OK'
        except (OSError, KeyError):
            return False

    return check(s.name + ' answers', until(up, 20, 0.2), s.tail())


def main(server, cert):
    """The mail server is not asked anything here."""
    d = tempfile.mkdtemp(prefix='resolve.')
    started = []
    try:
        if not build(d):
            return
        names = zones(d)
        started.append(nsd(d, names))
        if not ready(d, started[0]):
            return
        started.append(dnsmasq(d, started[0].port))
        started.append(unbound(d, started[0].port, names))
        refused = [('host.elsewhere.test', 'A', 'SERVFAIL', None, [])]
        for s in started:
            if s is started[0] or ready(d, s):
                case(s.name, answers, d, s, QUESTIONS + refused)
        case('failing', failing, d, started[0])
    finally:
        for s in reversed(started):
            s.stop()
        shutil.rmtree(d, ignore_errors=True)


if __name__ == '__main__':
    main(None, None)
    print('%d passed, %d failed' % (kit.passed, kit.failed))
