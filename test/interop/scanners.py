# See LICENSE file for copyright and licence details.
"""Mail through the server and its content scanners: what milter.py starts, in the rows of
scanners[], behind sockets of the store and ports of loopback.  What is answered, what is then in
the mailboxes, and what the log says of it; for mail of strangers (by port 25, from 127.1.20.5) and
of our own people (by submission)."""
import contextlib
import importlib
import threading

import milter
from kit import *
from milter import GTUBE, TOP

STRANGER = '127.1.20.5'
HEAD = '''From: Ann <%s>
To: Alice <alice@example.org>
Subject: %s
Date: Sun, 22 Nov 2026 03:03:14 +0000
Message-ID: <%s@example.net>
X-Key: %s
X-Tight:x
X-Folded: a
\tb
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

'''
harness = None      # test/e2e/harness.py makes a directory when it is loaded
made = 0


def letter(body, subject='a letter', author='ann@example.net', more=''):
    """(its key, its bytes with LF)"""
    global made
    made += 1
    key = 'key-%04d-%s' % (made, os.urandom(4).hex())
    return key, (more + HEAD % (author, subject, key, key) + body).encode()


def virus():
    key, m = letter('')
    body = milter.virus().partition(b'\n\n')[2].replace(b'x.com', b'x.dat')
    return key, m.replace(b'text/plain; charset=us-ascii', b'multipart/mixed; boundary=b') + body


class House:
    """The server, with a row for each scanner, and the scanners that run."""
    def __init__(self, server):
        self.bench = milter.Bench(server)
        self.rspamd, self.slow = free_port(), free_port()
        self.dns = socket.socket(type=socket.SOCK_DGRAM)
        self.dns.bind(('127.0.0.1', 0))
        threading.Thread(target=self.nothing, daemon=True).start()
        harness.OUT = server.top + '/build'
        harness.VARIANTS['scanners'] = [
            harness.HOSTNAME, harness.DOMAINS] + harness.WELCOME + [
            (r'(name_servers\[\] = \{)[^}]*\}',
             r'\1 "127.0.0.1#%d" }' % self.dns.getsockname()[1]),
            harness.table('trusted', '"127.0.0.1/32", "", 0'),
            harness.table('rule', 'IN_RCPT, "", "void@*", DO_DISCARD, ""',
                          'IN_HEADER, "X-Route", "out", DO_REDIRECT, "x@far.example"'),
            harness.table('scanner',
                          '"clamav", "unix:run/clamav", 1, DOWN_TEMPFAIL, 15000',
                          '"slow", "inet:127.0.0.1:%d", 1, DOWN_ACCEPT, 1500' % self.slow,
                          '"rspamd", "inet:127.0.0.1:%d", 0, DOWN_ACCEPT, 20000' % self.rspamd,
                          '"sa", "unix:run/sa", 1, DOWN_ACCEPT, 20000',
                          '"dkim", "unix:run/dkim", 1, DOWN_ACCEPT, 20000')]
        self.s = harness.Server('scanners', ('alice', 'bob', 'alice.junk'))
        os.mkdir(self.s.path('run'), 0o755)

    def nothing(self):
        """A name server that knows no name."""
        while True:
            try:
                q, a = self.dns.recvfrom(2000)
                self.dns.sendto(q[:2] + b'\x81\x83' + q[4:6] + bytes(6) + q[12:12 + q[12:].index(
                    b'\0') + 5], a)
            except (OSError, ValueError):
                if self.dns.fileno() < 0:
                    return

    def socket(self, name):
        return self.s.path('run', name)

    def up(self, start, *args):
        """Start a scanner; the server may connect to all sockets that there are."""
        good = start(self.bench, *args)
        for name in os.listdir(self.s.path('run')):
            os.chmod(self.socket(name), 0o666)
        return good

    def down(self, n=1):
        for _ in range(n):
            self.bench.daemons.pop().stop()

    def send(self, m, ours=False, to='alice@example.org'):
        """The answer to a letter (LF)."""
        s = self.s
        with (s.sender() if ours else s.smtp(25, source=STRANGER)) as c:
            c.s.settimeout(60)
            if not ours:
                c.ehlo('a.example.net')
            c.envelope(to, 'alice@example.org' if ours else 'ann@example.net')
            return c.data(crlf(m))

    def boxes(self, key):
        """{account: the letters with this key}, as they are in the mailboxes."""
        self.s.settled()
        found = {}
        for name in 'alice', 'bob', 'alice.junk':
            held = self.s.mbox(name)
            mine = [m for m in (split(held) if held else []) if key.encode() in m]
            if mine:
                found[name] = mine
        return found

    def arrives(self, key, name='alice'):
        """The one copy that is in this mailbox alone, below Return-Path and Delivered-To."""
        found = self.boxes(key)
        if list(found) != [name] or len(found[name]) != 1:
            raise RuntimeError('%s is in %r; log: %s' % (
                key, {k: len(v) for k, v in found.items()}, self.s.log()[-1500:]))
        return found[name][0]

    def logged(self, pattern):
        return self.s.wait_log(pattern)

    def stop(self):
        self.bench.stop()
        code = 0
        try:
            self.s.stop()
        except RuntimeError as e:
            code = e
        check('scanners: the server stops cleanly', code == 0, code)
        self.dns.close()


def fields(head):
    return re.findall(rb'(?m)^[^ \t\n].*\n(?:[ \t].*\n)*', head + b'\n')


def name_of(f):
    return f.partition(b':')[0].strip().lower().decode()


def sent(m, *added):
    """A letter as it was sent: without our fields on top, and those that scanners have added."""
    head, _, body = m.partition(b'\n\n')
    f = fields(head)
    while name_of(f[0]) != 'received':
        f.pop(0)
    return b''.join(x for x in f[1:] if name_of(x) not in added) + b'\n' + body


def values(m, name):
    return [re.sub(rb'\n[ \t]+', b' ', f.partition(b':')[2]).strip().decode('latin-1')
            for f in fields(m.partition(b'\n\n')[0]) if name_of(f) == name.lower()]


# ---- ClamAV ----

CLAM = ('x-virus-scanned', 'x-virus-status')


def clamav(h):
    ours = (False, True)
    if not h.up(milter.start_clamd):
        return False
    if not h.up(milter.start_clamav, 'Quarantine', h.socket('clamav')):
        return False
    for own in ours:
        who = 'ours' if own else 'a stranger'
        key, m = letter('nothing in it\n.\n..dots\n\n\n', more='X-Virus-Status: none\n')
        r = h.send(m, own)
        got = h.arrives(key)
        same('scanners: clamav: a good letter of %s, byte for byte' % who,
             [sent(got, *CLAM)], [m.replace(b'X-Virus-Status: none\n', b'')])
        check('scanners: clamav: its fields, in place of one that was there (%s)' % who, r.code ==
              250 and [v[:5] for v in values(got, 'X-Virus-Status')] == ['Clean'], got)
        key, m = virus()
        r = h.send(m, own)
        got = h.arrives(key, 'alice.junk')
        check('scanners: clamav: quarantine (%s)' % who, r.code == 250 and
              values(got, 'X-Spam-Flag') == ['YES'] and 'clamav' in
              values(got, 'X-Spam-Reason')[0] and 'Infected' in values(
                  got, 'X-Virus-Status')[0] and sent(got, *CLAM) == m, got)
        check('scanners: clamav: the log says so (%s)' % who, h.logged(
            r'scan by=clamav -> quarantined .*\n(.*\n)*.* -> queued %s' % r.text.split()[-1]),
            h.s.log()[-800:])
    key, m = virus()
    r = h.send(m, True, ['bob@example.org', 'x@far.example'])
    check('scanners: clamav: what should be held back does not leave', r.code == 554 and
          not h.boxes(key) and not os.listdir(h.s.path('spool', 'queue')), r)
    key, m = virus()
    r = h.send(b'X-Route: out\n' + m)
    check('scanners: clamav: nor by a rule', r.code == 554 and not h.boxes(key), r)
    key, m = virus()
    r = h.send(m, to='void@example.org')
    check('scanners: clamav: what a rule throws away is seen with its recipient', r.code == 250 and
          not h.boxes(key) and h.logged('rcpt=1 .* -> discarded'), r)
    h.down()
    if not h.up(milter.start_clamav, 'Blackhole', h.socket('clamav')):
        return False
    key, m = virus()
    r = h.send(m)
    check('scanners: clamav: discarded', r.code == 250 and not h.boxes(key) and
          h.logged('scan by=clamav -> discarded'), r)
    h.down()
    if not h.up(milter.start_clamav, 'Reject', h.socket('clamav'),
                'RejectMsg 100% of it is "%v"\n'):
        return False
    for own in ours:
        key, m = virus()
        r = h.send(m, own)
        check('scanners: clamav: refused in its words (%s)' % ('ours' if own else 'a stranger'),
              r.code // 100 == 5 and '100% of it is' in r.text and 'Test.Eicar' in r.text and
              not h.boxes(key), r)
    check('scanners: clamav: the log says so', h.logged(
        r'scan by=clamav -> refused\n.* reply="5\d\d .*100% of it is \\"Test'), h.s.log()[-800:])
    return True


def without(h):
    """clamd, and then clamav-milter, are not there for a while."""
    h.down(2)
    key, m = letter('x\n')
    r = h.send(m)
    check('scanners: without its milter 451', r.code == 451 and not h.boxes(key) and
          h.logged(r'scanner-down name=clamav reason='), r)
    check('scanners: and from ours', h.send(m, True).code == 451)
    if not h.up(milter.start_clamav, 'Reject', h.socket('clamav')):
        return False
    r = h.send(m)
    check('scanners: without clamd 451, and nothing arrives', r.code == 451 and not h.boxes(key), r)
    h.down()
    shutil.rmtree(h.bench.top + '/db')
    if not (h.up(milter.start_clamd) and h.up(milter.start_clamav, 'Reject', h.socket('clamav'))):
        return False
    r = h.send(m)
    check('scanners: the same letter, later', r.code == 250 and sent(h.arrives(key), *CLAM) == m, r)
    check('scanners: those with DOWN_ACCEPT were not there', all(
        h.logged('scanner-down name=%s ' % n) for n in ('slow', 'rspamd', 'sa', 'dkim')))
    return True


def many(h):
    """20 at once, 3 MB each."""
    rnd = random.Random(4)
    line = [('%050x' % rnd.getrandbits(200)).encode() + b'\n' for _ in range(1000)]
    letters, answers, seen = [], {}, []
    for _ in range(20):
        key, m = letter('')
        k = rnd.randrange(1, 999)
        letters.append((key, m + b''.join(line[k:] + line[:k]) * 60))

    def one(key, m):
        try:
            answers[key] = h.send(m)
        except Exception as e:
            answers[key] = e

    before = h.s.heap(), h.s.status('VmRSS')
    threads = [threading.Thread(target=one, args=l) for l in letters]
    begin = time.monotonic()
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads) and time.monotonic() < begin + 100:
        seen.append((h.s.heap(), h.s.status('VmRSS')))
        time.sleep(0.02)
    took = time.monotonic() - begin
    bad = [repr(r) for r in answers.values() if getattr(r, 'code', 0) != 250]
    check('scanners: 20 letters of %.1f MB at once are taken' % (len(letters[0][1]) / 1e6),
          len(answers) == 20 and not bad, bad[:3])
    held = h.boxes('X-Key: key-').get('alice', [])
    wrong = [key for key, m in letters if [sent(x, *CLAM) for x in held
                                           if key.encode() in x[:2000]] != [m]]
    check('scanners: all of them arrive whole, once', not wrong, wrong)
    most = max(a for a, _ in seen), max(b for _, b in seen)
    check('scanners: memory stays bounded', most[0] - before[0] < 8192,
          'KB before %r, most %r' % (before, most))
    print('      scanners: 20 at once: %.1f s; memory of its own %d KB, at most %d; RSS %d KB, at '
          'most %d' % (took, before[0], most[0], before[1], most[1]), flush=True)


# ---- rspamd ----

RS = ('x-spamd-bar', 'x-spam-status', 'x-spam')


def rspamd(h):
    if not h.up(milter.start_rspamd, h.rspamd):
        return
    key, m = letter(GTUBE + '\n')
    r = h.send(m)
    check('scanners: rspamd: GTUBE is refused', r.code == 554 and not h.boxes(key) and
          h.logged(r'scan by=rspamd -> refused\n.* reply="554 5\.7\.1 '), r)
    key, m = letter(GTUBE + '\n', author='alice@example.org')
    r = h.send(m, True)
    check('scanners: rspamd: what is ours it does not see', r.code == 250 and
          sent(h.arrives(key), *CLAM) == m, r)
    key, m = letter('Y' + GTUBE[1:] + '\n.dot\n\n')
    h.send(m)
    got = h.arrives(key)
    same('scanners: rspamd: fields are added, the rest is as it was', [sent(got, *CLAM, *RS)], [m])
    check('scanners: rspamd: its fields', 'Yes' in ''.join(
        values(got, 'X-Spam') + values(got, 'X-Spam-Status')), got)
    key, m = letter('Z' + GTUBE[1:] + '\n', subject='buy')
    h.send(m)
    same('scanners: rspamd: another subject', [sent(h.arrives(key), *CLAM, *RS)],
         [m.replace(b'Subject: buy', b'Subject: *** SPAM *** buy')])
    h.down()


# ---- opendkim ----

AR = 'Authentication-Results'
DKIMPY = '''import sys, dkim
d = dkim.DKIM(sys.stdin.buffer.read())
print(d.verify(dnsfunc=lambda name, timeout=5: sys.argv[1].encode()))'''


def dkimpy(h, m):
    code, out = run(['/usr/bin/python3', '-c', DKIMPY, h.bench.record], crlf(m), cwd='/')
    return out.strip()


def opendkim(h):
    if not h.up(milter.start_opendkim, 'sv', h.socket('dkim'), 'example.org'):
        return
    key, m = letter('signed\n\n.\nspace at the end \n\n\n', author='alice@example.org')
    for what, m in (('whole', m), ('a Message-ID is added',
                                   re.sub(rb'Message-ID: .*\n', b'', m))):
        r = h.send(m, True)
        got = [x for x in h.boxes(key)['alice'] if r.text.split()[-1].encode() in x][0]
        check('scanners: opendkim signs what is ours; dkimpy: it is good (%s)' % what,
              len(values(got, 'DKIM-Signature')) == 1 and dkimpy(h, got) == 'True', got.decode())
    check('scanners: dkimpy: one octet changed, it is not',
          'True' not in dkimpy(h, got.replace(b'signed', b'sIgned')))
    signed = sent(got, *CLAM)
    forged = '%s: mx.example.org; dkim=pass\n%s: other.example; dkim=pass\n' % (AR, AR)
    for what, m, want in (('a good signature', signed, 'dkim=pass'),
                          ('a broken one', signed.replace(b'signed', b'sIgned'), 'dkim=fail'),
                          ('none', None, 'dkim=none')):
        key, plain = letter('x\n')
        m = forged.encode() + re.sub(rb'X-Key: .*', b'X-Key: ' + key.encode(), m or plain)
        r = h.send(m)
        got = h.arrives(key)
        v = values(got, AR)
        check('scanners: opendkim verifies: %s' % what, len(v) == 3 and
              v[0].startswith('mx.example.org; iprev=') and v[1].startswith('mx.example.org;') and
              want in v[1] and v[2] == 'other.example; dkim=pass', v)


# ---- SpamAssassin ----

SA = ('x-spam-status', 'x-spam-level', 'x-spam-flag', 'x-spam-checker-version', 'x-spam-report')


def spamassassin(h):
    """opendkim is still there: two in a row."""
    if not (h.up(milter.start_spamd) and h.up(milter.start_spamass, 'mark', h.socket('sa'))):
        return
    key, m = letter('nothing in it\n')
    h.send(m)
    got = h.arrives(key)
    same('scanners: spamassassin: a good letter', [sent(got, *CLAM, *SA, AR.lower())], [m])
    check('scanners: three in a row: the fields of all', values(got, 'X-Virus-Status') and
          'No' in values(got, 'X-Spam-Status')[0] and 'dkim=none' in values(got, AR)[1], got)
    key, m = letter(GTUBE + '\n', subject='buy')
    h.send(m)
    got = h.arrives(key)
    check('scanners: spamassassin: GTUBE: flag, subject, new body', values(got, 'Subject') ==
          ['[SPAM] buy'] and 'YES' in values(got, 'X-Spam-Flag') and
          'multipart/mixed' in values(got, 'Content-Type')[0] and m.partition(b'\n\n')[2] in got and
          got.count(b'XJS*') >= 1 and b'Content analysis details' in got and b'\r' not in got, got)
    check('scanners: and the one behind it has its field', 'dkim=none' in values(got, AR)[1], got)
    h.down()
    if not h.up(milter.start_spamass, 'move', h.socket('sa'), ['-m', '-b', 'bob@example.org']):
        return
    key, m = letter(GTUBE + '\n')
    h.send(m)
    got = h.arrives(key, 'bob')
    check('scanners: spamassassin: to another recipient, the body as it was',
          sent(got, *CLAM, *SA, AR.lower(), 'x-spam-orig-to') == m, got)
    h.down()
    if h.up(milter.start_spamass, 'lose', h.socket('sa'), ['-m', '-b', 'ghost@example.org']):
        key, m = letter(GTUBE + '\n')
        r = h.send(m)
        check('scanners: spamassassin: to one that does not exist: not taken', r.code == 451 and
              not h.boxes(key) and h.logged('amend to="ghost@example.org" error='), r)


# ---- time ----


def hanging(h):
    """One that takes connections and says nothing."""
    with socket.socket() as l, h.s.smtp(25) as c:
        l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        l.bind(('127.0.0.1', h.slow))
        l.listen()
        c.ehlo()
        key, m = letter('wait\n')
        took, noops = [], []

        def send():
            begin = time.monotonic()
            took.append(h.send(m))
            took.append(time.monotonic() - begin)

        t = threading.Thread(target=send)
        t.start()
        while t.is_alive() and len(noops) < 500:
            begin = time.monotonic()
            c.expect(250, 'NOOP')
            noops.append((time.monotonic() - begin) * 1000)
            time.sleep(0.01)
        t.join(20)
        wait_many(h)
        with h.s.smtp(25, source=STRANGER) as gone:     # it does not wait for the answer
            gone.ehlo('a.example.net')
            gone.envelope('alice@example.org', 'ann@example.net')
            gone.expect(354, 'DATA')
            gone.send(harness.stuff(crlf(letter('gone\n')[1])))
            time.sleep(0.2)
        c.expect(250, 'NOOP')
    noops.sort()
    check('scanners: silence counts as down in its time', len(took) == 2 and took[0].code == 250 and
          1.4 < took[1] < 4 and sent(h.arrives(key), *CLAM) == m, took)
    check('scanners: meanwhile NOOP is answered within 50 ms', len(noops) > 20 and
          noops[len(noops) * 9 // 10] < 50, noops[-5:])
    print('      scanners: %d NOOP while one hangs: median %.1f ms, longest %.1f ms' %
          (len(noops), noops[len(noops) // 2], noops[-1]), flush=True)


def wait_many(h):
    """More letters than are looked into at a time, while one scanner hangs."""
    answers = []

    def one(m):
        try:
            answers.append(h.send(m).code)
        except Exception as e:
            answers.append(repr(e))

    letters = [letter('wait\n') for _ in range(80)]
    threads = [threading.Thread(target=one, args=(m, )) for _, m in letters]
    for t in threads:
        t.start()
    for t in threads:
        t.join(40)
    held = b''.join(h.boxes('X-Key: key-').get('alice', []))
    check('scanners: 80 letters at once while one hangs', answers == [250] * 80 and
          all(held.count(b'X-Key: %s\n' % k.encode()) == 1 for k, _ in letters), answers)
    check('scanners: memory is bounded then too', h.s.heap() < 16384, h.s.heap())


def frozen(h):
    """The same of one without which nothing is taken."""
    h.down()
    path = h.socket('clamav')
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    key, m = letter('wait\n')
    with socket.socket(socket.AF_UNIX) as l:
        l.bind(path)
        l.listen()
        os.chmod(path, 0o666)
        begin = time.monotonic()
        r = h.send(m)
        took = time.monotonic() - begin
    os.unlink(path)
    check('scanners: silence, and 451 in its time', r.code == 451 and 14.5 < took < 20 and
          not h.boxes(key), '%s %.1f s' % (r, took))
    return h.up(milter.start_clamav, 'Reject', path)


def main(server, ca):
    global harness
    os.environ.setdefault('MAILD_CC', os.environ.get('CC') or 'musl-gcc')
    sys.path.insert(0, TOP + '/test/e2e')
    harness = importlib.import_module('harness')
    h = None
    try:
        h = House(server)
        for part in clamav, without, many, hanging, frozen, rspamd, opendkim, spamassassin:
            begin = time.monotonic()
            if case('scanners: ' + part.__name__, part, h) is False:
                break
            print('      scanners: %s: %.0f s' % (part.__name__, time.monotonic() - begin),
                  flush=True)
    finally:
        if h:
            h.stop()
        for s in harness.SERVERS:
            s.kill()
        shutil.rmtree(harness.SCRATCH, ignore_errors=True)
