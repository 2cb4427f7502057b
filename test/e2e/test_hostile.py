#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Mail on its way out to servers that do everything wrong: peer.py has them.

Each recipient ends as exactly one of sent, deferred (in `maild queue`, with words) and failed (a
report in the sender's mailbox); nothing hangs; when the servers have come to reason what was
deferred arrives, once. What arrives is byte for byte what was handed in."""
import calendar
import collections
import email
import email.policy

from harness import *
from peer import *

WAIT = 2500 * SLOW              # ms: the client's patience
KINDS = {
    # kind: (rows, port, TLS, verify, auth, protocol)
    'clear': (480, PORT, 'ROUTE_CLEAR', '', '', 'ROUTE_SMTP'),
    'may': (80, PORT, 'ROUTE_MAY', '', '', 'ROUTE_SMTP'),
    'must': (80, PORT, 'ROUTE_MUST', '', '', 'ROUTE_SMTP'),
    'ca': (4, PORT, 'ROUTE_MUST', 'ca', '', 'ROUTE_SMTP'),
    'pin': (4, PORT, 'ROUTE_MUST', 'sha256:%s', '', 'ROUTE_SMTP'),
    'wrap': (20, PORT, 'ROUTE_WRAP', '', '', 'ROUTE_SMTP'),
    'login': (70, PORT, 'ROUTE_MUST', '', 'smart', 'ROUTE_SMTP'),
    'nologin': (2, PORT, 'ROUTE_MUST', '', 'other', 'ROUTE_SMTP'),
    'lmtp': (60, PORT, 'ROUTE_CLEAR', '', '', 'ROUTE_LMTP'),
    'dead': (4, DEAD, 'ROUTE_CLEAR', '', '', 'ROUTE_SMTP'),
    'full': (2, FULL, 'ROUTE_CLEAR', '', '', 'ROUTE_SMTP'),
}
TLS = FEATURES + ('STARTTLS',)
ID = r'[0-9a-f]{21}'
S, D, F = 'sent', 'deferred', 'failed'

world = World(SCRATCH, KINDS, patience=25 * SLOW)
world.late = WAIT / 1000 + 1


def rows():
    out = []
    for kind, (n, port, tls, verify, auth, protocol) in KINDS.items():
        verify = verify % world.certs.pin if '%' in verify else verify
        for k in range(n):
            name = 'c%d.%s.test' % (k, kind)
            out.append('\\t{ "*", "%s", "%s", %d, %s, "%s", "%s", %s },' %
                       (name, name, port, tls, verify, auth, protocol))
    return '\\n'.join(out)


ROUTES = (r'(?s)(\broutes\[\] = \{\n).*?(\n\};)', r'\1' + rows() + r'\2')
RESOLVER = (r'(name_servers\[\] = \{)[^}]*\}', r'\1 "%s#%d" }' % NAMES)
PATIENCE = [setting(x, str(WAIT)) for x in ('client_connect', 'client_reply', 'client_data',
                                            'client_block', 'client_dot', 'tls_handshake')]
VARIANTS['hostile'] = [HOSTNAME, ROUTES, RESOLVER, setting('login_hourly', '0')] + PATIENCE
# its retries come soon, and end soon
VARIANTS['hasty'] = VARIANTS['hostile'] + [setting('retry_step', '1000'),
                                           setting('client_dot', '60000'),
                                           setting('lifetime', '%d' % (7000 * SLOW)),
                                           setting('delay_warning', '2000'),
                                           setting('host_rest', '500')]


def give(s, name, data, mode=0o600):
    """A file of the store."""
    with open(s.path(name), 'w') as f:
        f.write(data)
        os.fchmod(f.fileno(), mode)
        if ROOT:
            st = os.stat(s.store)
            os.fchown(f.fileno(), st.st_uid, st.st_gid)


def fresh(variant='hostile'):
    s = Server(variant, ('alice', 'bob'))
    give(s, 'secrets', '# ours\nsmart %s %s\n' % (NAME, PASSWORD))
    with open(world.certs.ca) as f:
        give(s, 'tls/ca.pem', f.read())
    return s


_server = []


def server():
    if not _server:
        _server.append(fresh())
        _server[0].sessions = _server[0].sender()
    return _server[0]


def post(s, host, rcpts='abc', text=None, c=None):
    """A letter from alice to some recipients of a host; its id."""
    own = c is None
    c = c or s.sender()
    i = c.mail(text or message(sender='alice@localhost', to='a@' + host.name),
               [r + '@' + host.name for r in rcpts], 'alice@localhost')
    if own:
        c.close()
    return i


# ---- what has become of letters ----

EVENT = re.compile(r'(?m)^\S+ (%s) (sent|deferred|failed|possible-duplicate|done)\b(.*)$' % ID)


class Log:
    """The log of a server from now on: what happened to the recipients of each letter."""

    def __init__(self, s):
        self.s, self.at = s, len(s.log())
        self.events = collections.defaultdict(list)     # (id, recipient): [verb]
        self.maybe = collections.Counter()              # id: possible duplicates
        self.done = set()
        self.words = {}

    def read(self):
        with open(self.s.logname, errors='replace') as f:
            f.seek(self.at)
            text = f.read()
        text = text[:text.rfind('\n') + 1]
        self.at += len(text.encode('utf-8', 'replace'))
        for i, verb, rest in EVENT.findall(text):
            if verb == 'possible-duplicate':
                self.maybe[i] += 1
            elif verb == 'done':
                self.done.add(i)
            else:
                m = re.search(r' to="([^"]*)" .*reply="(.*?)"(?: next=\S+)?$', rest)
                self.events[i, m.group(1)].append(verb)
                self.words[i, m.group(1)] = m.group(2)
        return self

    def has(self, i, host, rcpts='abc'):
        return all(self.events.get((i, r + '@' + host.name)) for r in rcpts)


def queue(s):
    """{(id, recipient): words} of those who wait."""
    r = s.command('queue')
    assert r.returncode == 0, r
    found, i = {}, None
    for line in r.stdout.splitlines():
        m = re.match(r'(%s) (\w+) ' % ID, line)
        if m:
            i = m.group(1)
            continue
        m = re.fullmatch(r'\twaiting +<(.*?)>(?: [^"]*?)?(?: "(.*)")?', line)
        if m:
            found[i, m.group(1)] = m.group(2)
    return found


def reports(s, user='alice'):
    """{recipient: [its fields]} of the reports of failure in a mailbox."""
    found = collections.defaultdict(list)
    for raw in mbox_read(s.path('mail', user)) if s.mbox(user) else []:
        m = email.message_from_bytes(raw, policy=email.policy.default)
        if m.get_content_type() != 'multipart/report':
            continue
        assert not m.defects, m.defects
        status = [p for p in m.iter_parts() if p.get_content_type() == 'message/delivery-status']
        assert len(status) == 1, m
        for part in list(status[0].get_payload())[1:]:
            if part['Action'] == 'failed':
                found[part['Final-Recipient'].split(';')[1].strip()].append(part)
    return found


class Case:
    def __init__(self, name, host, want, text=None, rcpts='abc', maybe=None, then=None):
        self.name, self.host, self.text, self.rcpts = name, host, text, rcpts
        self.then = then or {}          # how the host is when all is well
        self.want = want if isinstance(want, dict) else {r: want for r in rcpts}
        self.maybe = maybe              # is a possible duplicate to be logged?
        self.id = None

    def to(self, r):
        return r + '@' + self.host.name


class Trial:
    """Cases, all at once; what is wrong with how they end."""

    def __init__(self, s, cases):
        self.s, self.cases, self.log, self.wrong = s, cases, Log(s), []
        self.before = reports(s)
        with s.sender() as c:
            for x in cases:
                x.id = post(s, x.host, x.rcpts, x.text, c)

    def finish(self, seconds):
        """Bounded: all have an outcome, and all sessions are over."""
        by = time.monotonic() + seconds * SLOW
        while True:
            self.log.read()
            left = [x for x in self.cases if not self.log.has(x.id, x.host, x.rcpts)]
            if not left and not world.live:
                return
            if time.monotonic() > by:
                raise AssertionError('after %d s %d connections, and without an outcome: %s' % (
                    seconds * SLOW, world.live, [x.name for x in left]))
            time.sleep(0.05)

    def check(self, first=True):
        waits, told, forgotten = queue(self.s), reports(self.s), 0
        for x in self.cases:
            yes, maybe = x.host.taken()
            for r in x.rcpts:
                to, want = x.to(r), x.want[r]
                if not first and want == D:
                    want = S
                words = self.log.words.get((x.id, to))
                forgotten += (x.id, to) in waits and not waits[x.id, to]
                got = (self.log.events[x.id, to], (x.id, to) in waits, len(told.get(to, ())),
                       yes.get(to, 0))
                ok = {S: (got[0][-1] == S and got[0].count(S) == 1 and got[1:] == (False, 0, 1)),
                      D: (set(got[0]) == {D} and got[1:] == (True, 0, 0) and words),
                      F: (got[0][-1] == F and S not in got[0] and got[1:] == (False, 1, 0))}[want]
                if maybe.get(to) and not self.log.maybe[x.id]:
                    ok = False
                if first and x.maybe is not None and bool(self.log.maybe[x.id]) != x.maybe:
                    ok = False
                if not ok:
                    self.wrong.append('%s: %s: wanted %s%s; log %s, queued %s, reports %d, taken '
                                      '%d, perhaps %d, possible duplicates %d, words "%s"' %
                                      ((x.name, to, want, ' (maybe %s)' % x.maybe
                                        if x.maybe is not None else '') + got +
                                       (maybe.get(to, 0), self.log.maybe[x.id], words)))
        # the last words of about a thousand recipients are kept; few that meet lose them
        if forgotten > len(waits) / 10 and len(waits) < 200:
            self.wrong.append('%d of %d wait without words' % (forgotten, len(waits)))
        return self

    def well(self):
        """All is well now: what waits is sent, and the queue is empty of these cases."""
        for x in self.cases:
            x.host.script = {}
            for k, v in x.then.items():
                setattr(x.host, k, v)
        assert self.s.command('flush').returncode == 0
        ids = {x.id for x in self.cases}
        wait_for('all letters to be done', lambda: ids <= self.log.read().done, 30)
        wait_for('the end of all sessions', lambda: not world.live, 30)
        return self.check(False)

    def run(self, seconds=30, well=True):
        self.finish(seconds)
        self.check()
        self.words = dict(self.log.words)
        if well:
            self.well()
        bad = self.wrong + world.faults + strict(x.host for x in self.cases)
        world.faults.clear()
        assert not bad, '%d wrong:\n%s' % (len(bad), '\n'.join(bad[:40]))
        return self


def strict(hosts):
    """Whole texts: CR LF only, dots at line beginnings doubled."""
    bad = []
    for h in set(hosts):
        for x in h.letters:
            if not x.whole:
                continue
            if re.search(rb'(?<!\r)\n|\r(?!\n)', x.raw):
                bad.append('%s: a bare CR or LF' % h.name)
            if re.search(rb'(?m)^\.(?!\.)', x.raw):
                bad.append('%s: a dot that is not doubled' % h.name)
            if x.raw and not x.raw.endswith(b'\r\n'):
                bad.append('%s: no line end before the final dot' % h.name)
    return bad


# ---- each kind of reply at each step ----

PIPED = FEATURES
UNPIPED = ('8BITMIME', 'SIZE 10000000')
NO = ('5xx', '5xx bare')


def outcome(step, cls):
    """What the recipients a, b and c are to have; `rcpt` steps are about b."""
    if step == 'rset':
        return D
    if step == 'quit' or cls == 'drip':
        return S
    if cls == '2xx':
        return D if step in ('greeting', 'data', 'text') else S
    if cls in ('twice', 'early'):
        return S if step == 'dot' else D
    if cls in NO:
        return {'ehlo': S, 'mail': F, 'data': F, 'dot': F, 'text': F,
                'rcpt': {'a': S, 'b': F, 'c': S}}.get(step, D)
    if cls in ('4xx', '4xx bare') and step == 'rcpt':
        return {'a': S, 'b': D, 'c': S}
    return D


def said_within(p, good):
    time.sleep(0.5)
    p.send(good)


def plain_cases():
    # one that fits into no socket's buffer, and one that may
    huge, big = (message(sender='alice@localhost', body='not the shortest line, or is it\r\n' * n)
                 for n in (200000, 17000))
    for step in ('greeting', 'ehlo', 'helo', 'mail', 'rcpt', 'data', 'text', 'dot', 'rset', 'quit'):
        for cls, act in CLASSES.items():
            for features in (PIPED, UNPIPED):
                if features is UNPIPED and step not in ('mail', 'rcpt', 'data', 'dot'):
                    continue
                if step == 'text' and cls in ('drip', 'twice', 'early', 'half'):
                    continue            # there is no reply to be right
                script = {'rcpt:b' if step == 'rcpt' else step: act}
                if step == 'helo':
                    script['ehlo'] = CLASSES['5xx']
                if step == 'rset':
                    script['rcpt'] = CLASSES['4xx']
                if (step, cls) == ('text', '2xx'):
                    script['text'] = said_within
                maybe = None
                if step == 'dot':
                    maybe = outcome(step, cls) == D and cls not in ('4xx', '4xx bare', '421')
                elif step != 'text':
                    maybe = False
                yield Case('%s %s%s' % (step, cls, ' unpiped' if features is UNPIPED else ''),
                           world.host('clear', script, features=features,
                                      rcvbuf=4096 if step == 'text' else 0),
                           outcome(step, cls),
                           None if step != 'text' else huge if cls == '2xx' else big, maybe=maybe)
    yield Case('text stalls', world.host('clear', {'text': stalls}, rcvbuf=4096), D, huge,
               maybe=False)


def stalls(p, good):
    """Reads nothing for too long."""
    time.sleep(p.world.late + 1)
    p.wait_gone()


@test
def each_reply_at_each_step():
    s = server()
    before = state(s)
    t = Trial(s, list(plain_cases())).run()
    words = {x.name: t.words[x.id, x.to('b')] for x in t.cases}
    told = reports(s)
    for x in t.cases:
        if x.want['b'] == F:
            code = told[x.to('b')][0]['Diagnostic-Code']
            assert '550 5.7.1 never' in code or '599' in code, (x.name, code)
    for name, why in (('quit rst', '250 '), ('greeting twice', 'unexpected reply'),
                      ('greeting early', 'unexpected reply'), ('data 2xx', '354'),
                      ('greeting silence', 'timed out before the greeting'),
                      ('ehlo endless', 'no valid reply'), ('ehlo crawl', 'timed out after EHLO'),
                      ('mail fin', 'closed by peer after MAIL'), ('text 4xx', '450 4.2.0 not now'),
                      ('text stalls', 'timed out within the text'),
                      ('dot late', 'connection lost after the final dot')):
        assert why in words[name], (name, words[name])
    return '%d cases, %s' % (len(t.cases), calm(s, before))


def state(s):
    try:
        fds = len(os.listdir('/proc/%d/fd' % s.proc.pid))
    except PermissionError:
        fds = 0
    return fds, s.status('VmData'), s.heap()


def calm(s, before):
    """Descriptors and memory as they were."""
    wait_for('no more descriptors than before', lambda: state(s)[0] <= before[0], 10)
    after = state(s)
    if not SAN:
        assert after[1] == before[1], 'VmData was %d KB and is %d' % (before[1], after[1])
    return '%d descriptors, %d -> %d KB' % (after[0], before[2], after[2])


# ---- TLS ----

NO_TLS = FEATURES
ALERT = b'\x15\x03\x03\x00\x02\x02\x28'


def stalled(p, good):
    """Half a ServerHello."""
    p.more()
    p.send(b'\x16\x03\x03\x40\x00\x02')
    p.wait_gone()


def torn(p, good):
    p.more()
    p.send(b'\x16\x03\x03\x40\x00\x02\x00\x00\x4d\x03\x03')
    p.fin()


HANDSHAKES = {
    'silence': silence, 'fin': fin, 'rst': rst, 'stalled': stalled, 'torn': torn,
    'alert': say(ALERT), 'clear text': say(b'250 2.0.0 hello\r\n'),
    'garbage': say(b'\x80' * 3000), 'long record': say(b'\x16\x03\x03\xff\xff' + b'x' * 70000),
    'old': say(b'\x16\x03\x00\x00\x04\x0e\x00\x00\x00'),
}


def in_tls(act):
    """Only there; before it all is well."""
    def f(p, right):
        if p.tls:
            return act(p, right)
        p.send(right)
        return True
    return f


def notify(p, good):
    """TLS ends in order, where it must not."""
    with contextlib.suppress(OSError, ssl.SSLError, ValueError):
        p.s.unwrap()
    p.fin()


def below(p, good):
    """Clear text amidst the records."""
    p.raw.sendall(good)
    p.wait_gone()


def tls_cases():
    for cls, act in CLASSES.items():
        if cls == '2xx':
            act = say(b'298 odd but well\r\n', False)
        for kind in ('must', 'may'):
            want = S if cls == 'drip' or kind == 'may' and cls != '421' else D
            yield Case('%s starttls %s' % (kind, cls),
                       world.host(kind, {'starttls': act}, features=TLS), want, maybe=False)
    for name, act in HANDSHAKES.items():
        for kind in ('must', 'may', 'wrap'):
            yield Case('%s handshake %s' % (kind, name),
                       world.host(kind, {'handshake': act}, features=TLS),
                       S if kind == 'may' else D, maybe=False)
    for cls in ('4xx', '5xx', '421', 'garbage', 'NUL', 'early', 'silence', 'fin', 'rst', 'drip'):
        yield Case('ehlo in TLS ' + cls, world.host('must', {'ehlo': in_tls(CLASSES[cls])}),
                   outcome('ehlo', cls), maybe=False)
    for step in ('mail', 'dot'):
        for name, act in dict({c: CLASSES[c] for c in ('garbage', 'half', 'silence', 'fin', 'rst')},
                              notify=notify, below=below).items():
            yield Case('%s in TLS %s' % (step, name), world.host('must', {step: act}), D,
                       maybe=step == 'dot')
    yield Case('may, not offered', world.host('may'), S)
    yield Case('may, offered', world.host('may', features=TLS), S)
    yield Case('wrap', world.host('wrap'), S)
    yield Case('must, not offered', world.host('must', features=NO_TLS), D, then={'features': TLS})
    yield Case('must, offered again in TLS', world.host('must', {'ehlo': in_tls(
        say(b'250-x\r\n250 STARTTLS\r\n', True))}), S)
    yield Case('must, offered by HELO', world.host('must', {
        'ehlo': CLASSES['5xx'], 'helo': say(b'250-x\r\n250 STARTTLS\r\n', True)}), D)


def cert_cases():
    ca = [world.host('ca') for _ in range(4)]
    good = [world.certs.make('ca%d' % i, h.name, ca=True) for i, h in enumerate(ca)]
    ca[0].cert, ca[1].cert, ca[2].cert = good[0], good[0], world.certs.make('own', ca[2].name)
    ca[3].cert = good[3]
    ca[3].features = NO_TLS
    yield Case('ca', ca[0], S)
    yield Case('ca, another name', ca[1], D, then={'cert': good[1]})
    yield Case('ca, self-signed', ca[2], D, then={'cert': good[2]})
    yield Case('ca, not offered', ca[3], D, then={'features': TLS})
    pinned = world.certs.make('pinned', key=world.certs.pinned)
    yield Case('pin', world.host('pin', cert=pinned), S)
    yield Case('pin, another key', world.host('pin'), D, then={'cert': pinned})
    yield Case('pin, another key by the ca', world.host('pin', cert=good[0]), D,
               then={'cert': pinned})


@test
def tricks_with_tls():
    s = server()
    before = state(s)
    t = Trial(s, list(tls_cases()) + list(cert_cases())).run()
    for x in t.cases:
        h = x.host
        if x.name.startswith('may handshake') or x.name.startswith('may starttls ') and \
                x.name.split(' ', 2)[2] in ('garbage', 'fin', 'twice', 'late'):
            assert h.connections == 2, (x.name, h.connections)
            assert b'STARTTLS' in h.peers[0].said and b'STARTTLS' not in h.peers[1].said
        if x.name in ('may, offered', 'wrap', 'must, offered again in TLS', 'ca', 'pin'):
            assert h.connections == 1 and h.peers[0].tls, x.name
    return '%d cases, %s' % (len(t.cases), calm(s, before))


# ---- logging in ----

def login_cases():
    for cls, act in CLASSES.items():
        yield Case('auth ' + cls, world.host('login', {'auth': act}), S if cls == 'drip' else D)
    only = TLS + ('AUTH LOGIN',)
    for step in ('auth', 'name', 'password'):
        for cls in ('2xx', '3xx', '4xx', '5xx', '421', 'garbage', 'early', 'silence', 'rst'):
            yield Case('login %s %s' % (step, cls),
                       world.host('login', {step: CLASSES[cls]}, features=only), D)
    for words, want in (('AUTH PLAIN', S), ('AUTH LOGIN', S), ('AUTH CRAM-MD5', D), ('AUTH', D),
                        ('AUTH=PLAIN', S), ('auth plain', S), ('AUTH XPLAIN LOGINS', D)):
        yield Case('offers ' + words, world.host('login', features=TLS + (words,)), want,
                   then={'features': only})
    yield Case('no TLS', world.host('login', features=('AUTH PLAIN',)), D, then={'features': only})


@test
def logging_in_at_a_smarthost():
    """Whatever goes wrong, nothing comes back to the sender; nobody else sees the password."""
    s = server()
    t = Trial(s, list(login_cases())).run()
    nobody = Case('no secret', world.host('nologin'), D)
    Trial(s, [nobody]).run(well=False)
    assert s.command('drop', nobody.id, 'quiet').returncode == 0
    seen = s.log() + str(queue(s))
    for secret in (PASSWORD, b64(PASSWORD), plain(NAME, PASSWORD)):
        assert secret not in seen, 'the password is shown'
    assert all(h.said.count(b'AUTH LOGIN') <= h.connections for h in world.hosts.values())
    return '%d cases' % len(t.cases)


# ---- LMTP ----

def one_only(p, good):
    """One reply for three recipients, and no more."""
    p.send(good)
    p.wait_gone()


def lmtp_cases():
    def host(**script):
        return world.host('lmtp', {k.replace('_', ':'): v for k, v in script.items()})
    refuse, later = CLASSES['5xx'], CLASSES['4xx']
    yield Case('lmtp', host(), S)
    yield Case('lmtp, to each his own', host(dot_a=later, dot_b=refuse), dict(a=D, b=F, c=S))
    yield Case('lmtp, b is unknown', host(rcpt_b=refuse), dict(a=S, b=F, c=S))
    yield Case('lmtp, b later', host(rcpt_b=later), dict(a=S, b=D, c=S))
    yield Case('lmtp, nobody', host(rcpt=later), D)
    yield Case('lmtp, LHLO refused', host(ehlo=refuse), D)
    yield Case('lmtp, too few', host(dot_b=silence), dict(a=S, b=D, c=D), maybe=True)
    yield Case('lmtp, too few and gone', host(dot_b=fin), dict(a=S, b=D, c=D), maybe=True)
    yield Case('lmtp, too few and reset', host(dot_c=rst), dict(a=S, b=S, c=D), maybe=True)
    yield Case('lmtp, too many', host(after=say(b'250 2.0.0 one more\r\n' * 2)), S, maybe=False)
    yield Case('lmtp, too many refused', host(after=refuse), S, maybe=False)
    for cls in ('2xx', '3xx', '4xx', '5xx', '421', 'garbage', 'empty', 'NUL', 'changing', 'drip',
                'late', 'half'):
        got = {'2xx': S, 'drip': S, '5xx': F}.get(cls, D)
        rest = S if cls in ('2xx', 'drip', '4xx', '5xx') else D
        yield Case('lmtp, b %s' % cls, host(dot_b=CLASSES[cls]), dict(a=S, b=got, c=rest))
        yield Case('lmtp, a %s' % cls, host(dot_a=CLASSES[cls]), dict(a=got, b=rest, c=rest))


@test
def lmtp_answers_for_each():
    t = Trial(server(), list(lmtp_cases())).run()
    return '%d cases' % len(t.cases)


# ---- no connection, and other hosts ----

@test
def hosts_that_are_not_there():
    s = server()
    full = world.host('full', listen=False)
    deaf = socket.socket()
    deaf.bind((full.ips[0], FULL))
    deaf.listen(0)
    fill = [socket.socket() for _ in range(3)]
    for c in fill:
        c.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            c.connect((full.ips[0], FULL))
    cases = [Case('refused', world.host('dead', listen=False), D, maybe=False),
             Case('no answer to SYN', full, D, maybe=False),
             Case('at once: fin', world.host('clear', {'connect': fin}), D, maybe=False),
             Case('at once: rst', world.host('clear', {'connect': rst}), D, maybe=False),
             Case('at once: all replies', world.host('clear', {'connect': say(
                 b'220 x\r\n250 x\r\n' + b'250 x\r\n' * 4 + b'354 x\r\n250 x\r\n')}),
                  D, maybe=False)]
    for name, script in (('refuses', None), ('554', {'greeting': CLASSES['5xx']}),
                         ('421', {'greeting': goodbye}),
                         ('garbage', {'greeting': CLASSES['garbage']}),
                         ('silence', {'greeting': silence}), ('rst', {'ehlo': rst}),
                         ('ehlo 4xx', {'ehlo': CLASSES['4xx']})):
        h = world.host('clear', count=3)
        if script:
            for ip in h.ips[:2]:
                world.listen(Host(world, h.name, [ip], script, {}), ip, PORT)
        cases.append(Case('the third is well: ' + name, h, S, maybe=False))
    t = Trial(s, cases)
    t.finish(20)
    t.check()
    assert not t.wrong and not world.faults, '\n'.join(t.wrong + world.faults)
    words = ' '.join(t.log.words[x.id, x.to('a')] for x in cases[:2])
    assert 'efused' in words and 'timed out' in words, words
    for x in cases[:2]:
        assert s.command('drop', x.id, 'quiet').returncode == 0
    t.cases = cases[2:]
    t.well()
    deaf.close()
    for c in fill:
        c.close()
    assert not t.wrong, t.wrong


# ---- what arrives ----

def texts():
    rnd = random.Random(5)
    head = b'From: <alice@localhost>\r\nDate: Sun, 22 Nov 2026 03:03:14 +0000\r\n' \
        b'Message-ID: <x@localhost>\r\nSubject: x\r\n\r\n'
    dots = b''.join(rnd.choice((b'.', b'..', b'\r\n', b'.\r\n', b'\r\n.', b'x', b'.x', b' '))
                    for _ in range(60000)) + b'\r\n'
    yield 'empty body', head
    yield 'header only', head[:-2]
    yield 'one dot', head + b'.\r\n'
    yield 'dots', head + b'.\r\n..\r\n...\r\n.x\r\nx.\r\n .\r\n.\r\n'
    yield 'dots by chance', head + dots
    yield 'blank lines', head + b'\r\n' * 5000
    yield 'From ', head + b'From x\r\n>From x\r\n\r\nFrom y\r\n'
    yield '8-bit', head + bytes(range(128, 256)) * 3 + b'\r\n'
    yield 'controls', head + bytes(c for c in range(1, 32) if c not in (10, 13)) + b'\r\n'
    yield 'a long line', head + b'x' * 5000 + b'\r\n' + b'.' * 5000 + b'\r\n'
    yield 'a very long line', head + b'.y' * 150000 + b'\r\n'
    for n in range(8150, 8200, 7):
        yield 'a dot at %d' % n, head + b'z' * (n - len(head)) + b'\r\n.\r\n..\r\n'
    yield 'much', head + b''.join(b'%d.\r\n.%d\r\n' % (i, i) for i in range(70000))


def as_it_came(h, want, what):
    assert len(h.letters) == 1, (what, h.letters)
    text = h.letters[0].text
    m = re.match(rb'Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*', text)
    assert m, 'no trace field: %r' % text[:200]
    rest = text[m.end():]
    same(without_added(rest, want), want, what)


@test
def texts_arrive_as_they_came():
    s = server()
    cases, wanted = [], {}
    hosts = (lambda: world.host('clear'), lambda: world.host('clear', features=UNPIPED),
             lambda: world.host('must'), lambda: world.host('lmtp'),
             lambda: world.host('clear', slow=700, rcvbuf=2048))
    for k, (name, text) in enumerate(texts()):
        for j, host in enumerate(hosts):
            if j in (0, k % len(hosts)):
                cases.append(Case(name, host(), S, text, 'a', maybe=False))
                wanted[cases[-1]] = text
    t = Trial(s, cases).run(well=False)
    for x in t.cases:
        as_it_came(x.host, wanted[x], x.name)
    # BDAT may end without a line end; the final dot does not
    for tail in (b'no end', b'.', b'\r\n.'):
        h = world.host('clear')
        text = message(sender='alice@localhost') + tail
        with s.sender() as c:
            c.envelope('a@' + h.name, 'alice@localhost')
            c.send(b'BDAT %d LAST\r\n' % len(text) + text)
            assert c.reply().code == 250
        wait_for('it to arrive', lambda: h.taken()[0])
        as_it_came(h, text + b'\r\n', 'BDAT ... %r' % tail)
        assert not strict([h])
    return '%d letters' % len(cases)


@test
def eight_bit_text_without_8bitmime():
    """It comes back, by its word 5.6.3; and with 8BITMIME it is announced."""
    s = server()
    text = message(sender='alice@localhost', body='gr\xfc\xdfe\r\n')
    no = world.host('clear', features=('PIPELINING',))
    yes = world.host('clear')
    Trial(s, [Case('without', no, F, text, maybe=False)]).run()
    with s.sender() as c:
        c.expect(250, 'MAIL FROM:<alice@localhost> BODY=8BITMIME')
        c.expect(250, 'RCPT TO:<a@%s>' % yes.name)
        assert c.data(text).code == 250
    wait_for('it to arrive', lambda: yes.taken()[0])
    as_it_came(yes, text, '8-bit')
    assert no.said[-1] == b'QUIT' and not [x for x in no.said if x.startswith(b'MAIL')], no.said
    assert [x for x in yes.said if x.startswith(b'MAIL') and b' BODY=8BITMIME' in x], yes.said
    assert reports(s)['a@' + no.name][0]['Status'] == '5.6.3'


@test
def nobody_is_left_when_data_is_accepted():
    """PIPELINING: DATA was said already, and a server that says 354 gets an empty text."""
    s = server()
    for took in (b'250 2.0.0 taken\r\n', b'554 5.5.1 nobody\r\n'):
        h = world.host('clear', {'rcpt': CLASSES['5xx'], 'data': say(b'354 go\r\n', True),
                                 'dot': say(took, True)})
        Trial(s, [Case('nobody', h, F, maybe=False)]).run(well=False)
        assert [x.raw for x in h.letters] == [b''], h.letters


# ---- many ----

@test
def many_letters_take_few_connections():
    """A host that does not answer is left alone; then 200 letters go in a few sessions."""
    s = server()
    h = world.host('clear', {'greeting': CLASSES['4xx']})
    log = Log(s)
    with s.sender() as c:
        ids = [post(s, h, 'a', None, c) for _ in range(200)]
    wait_for('all to be put off', lambda: all(log.read().has(i, h, 'a') for i in ids), 20)
    tries = h.connections
    assert tries <= 4, '%d connections to a host that is down' % tries
    h.script = {}
    s.command('flush')
    wait_for('all to be sent', lambda: set(ids) <= log.read().done, 20)
    used = h.connections - tries
    assert used <= 8, '%d connections for 200 letters' % used
    assert h.taken()[0] == {'a@' + h.name: 200} and not strict([h])
    return '%d connections to learn that it is down, %d for 200 letters' % (tries, used)


# ---- stopping and starting ----

def next_of(log, i):
    return re.findall(r' %s deferred .* next=(\S+)' % i, log)


@test
def a_restart_keeps_the_schedule():
    s = fresh()
    h = world.host('clear', {'mail': CLASSES['4xx']})
    i = post(s, h, 'a')
    wait_for('its first attempt', lambda: next_of(s.log(), i))
    due = next_of(s.log(), i)[0]
    for how in (s.stop, s.kill):
        how()
        listed = [x for x in s.command('queue').stdout.splitlines() if x.startswith(i)]
        assert due in listed[0], (due, listed)
        mark = len(s.log())
        s.start()
        time.sleep(0.5)
        after = next_of(s.log()[mark:], i)
        assert not set(after) - {due}, (due, after)
        listed = [x for x in s.command('queue').stdout.splitlines() if x.startswith(i)]
        assert due in listed[0], (due, listed)
    born = int(i[:13], 16) // 1000000
    assert text_time(due) == born + 400, (due, born)


def text_time(t):
    return calendar.timegm(time.strptime(t, '%Y-%m-%dT%H:%M:%SZ'))


@test
def stopping_waits_for_the_last_word():
    """SIGTERM between the final dot and its reply: the reply is awaited, and nothing goes twice."""
    s = fresh()
    asked = threading.Event()

    def slowly(p, good):
        asked.set()
        time.sleep(1)
        p.send(good)
        return True
    h = world.host('clear', {'dot': slowly})
    i = post(s, h, 'a')
    assert asked.wait(10 * SLOW)
    t = time.monotonic()
    s.stop()
    took = time.monotonic() - t
    assert ' %s sent ' % i in s.log(), s.log()[-1500:]
    assert ' possible-duplicate ' not in s.log()
    s.start()
    assert queue(s) == {} and h.taken() == ({'a@' + h.name: 1}, {})
    return 'stopped after %.1f s' % took


@test
def stopping_does_not_wait_for_ever():
    asked = threading.Event()
    h = world.host('clear', {'dot': lambda p, good: (asked.set(), p.wait_gone())})
    s = fresh('hasty')
    i = post(s, h, 'a')
    assert asked.wait(10 * SLOW)
    t = time.monotonic()
    s.stop()
    took = time.monotonic() - t
    assert ' %s possible-duplicate ' % i in s.log() and ' %s deferred ' % i in s.log()
    h.script = {}
    s.start()
    wait_for('it to be sent', lambda: h.taken()[0].get('a@' + h.name))
    assert h.taken() == ({'a@' + h.name: 1}, {'a@' + h.name: 1})
    return 'stopped after %.1f s' % took


@test
def retried_then_returned():
    """On a short schedule: attempts, a warning, and the report at the end of its life."""
    s = fresh('hasty')
    h = world.host('clear', {'rcpt:b': CLASSES['4xx'], 'rcpt:c': CLASSES['4xx']})
    log = Log(s)
    i = post(s, h, 'abc')
    time.sleep(0.5)
    h.script = {'rcpt:c': CLASSES['4xx']}
    wait_for('its end', lambda: i in log.read().done, 20)
    ev = {r: log.events[i, r + '@' + h.name] for r in 'abc'}
    assert ev['a'] == [S] and ev['b'] == [D, S] and ev['c'][-1] == F, ev
    assert 3 <= ev['c'].count(D) <= 2 + (7 * SLOW) ** 0.5 + 1, ev
    assert h.taken()[0] == {r + '@' + h.name: 1 for r in 'ab'}
    told = [email.message_from_bytes(x, policy=email.policy.default)
            for x in mbox_read(s.path('mail', 'alice'))]
    acts = [(m.get_payload()[1].get_payload()[1]['Action'],
             m.get_payload()[1].get_payload()[1]['Final-Recipient']) for m in told]
    assert [a for a, _ in acts] == ['delayed', 'failed'], acts
    assert all('c@' + h.name in r for _, r in acts), acts
    assert '450 4.2.0 not now' in told[1].get_payload()[1].get_payload()[1]['Diagnostic-Code']
    return 'attempts of c: %d' % len(ev['c'])


# ---- by chance ----

QUICK = [c for c in CLASSES if c not in ('late', 'crawl', 'silence', 'twice', 'early')]


def chaos(rnd, steps):
    def some(step):
        def act(p, good):
            with p.world.lock:
                cls = rnd.choice(QUICK) if rnd.random() < 0.12 else None
            if cls:
                return CLASSES[cls](p, good)
            p.send(good)
            return good[:1] in b'23'
        return act
    return {step: some(step) for step in steps}


@test
def by_chance():
    """Hosts that fail anywhere, now and then: what is handed in is taken once or comes back."""
    s = server()
    rnd = random.Random(7)
    log = Log(s)
    steps = ('greeting', 'ehlo', 'helo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'dot', 'rset',
             'quit')
    hosts = [world.host(kind, chaos(rnd, steps))
             for kind in ('clear', 'lmtp', 'login', 'clear') * 4]
    ids = []
    with s.sender() as c:
        for _ in range(12):
            ids += [(post(s, h, 'abc', None, c), h) for h in hosts]
    for _ in range(4):
        s.command('flush')
        time.sleep(1)
    for h in hosts:
        h.script = {}
    for _ in range(3):
        s.command('flush')
        time.sleep(0.5)
    want = {i for i, _ in ids}
    wait_for('all to be done', lambda: want <= log.read().done, 30)
    wait_for('the end of all sessions', lambda: not world.live, 30)
    told, bad, n = reports(s), list(world.faults), collections.Counter()
    world.faults.clear()
    for h in hosts:
        yes, maybe = h.taken()
        mine = [i for i, x in ids if x is h]
        for r in 'abc':
            to = r + '@' + h.name
            back, took = len(told.get(to, ())), yes.get(to, 0)
            n['taken'] += took
            n['returned'] += back
            n['perhaps'] += maybe.get(to, 0)
            if took + back != len(mine):
                bad.append('%s: %d letters, %d taken, %d returned' % (to, len(mine), took, back))
        if sum(maybe.values()) > 3 * sum(log.maybe[i] for i in mine):
            bad.append('%s: not all possible duplicates are logged' % h.name)
    for (i, to), ev in log.events.items():
        if i in want and (sum(e in (S, F) for e in ev) != 1 or ev[-1] == D):
            bad.append('%s to %s: %s' % (i, to, ev))
    bad += strict(hosts)
    assert not bad, '\n'.join(bad[:30])
    return ', '.join('%s %d' % x for x in n.items())


main()
