#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Mail on its way out to servers that do everything wrong: peer.py has them.

Each recipient ends as exactly one of sent, deferred (in `maild queue`, with words) and failed (a
report in the sender's mailbox); nothing hangs; when the servers have come to reason what was
deferred arrives, once. What arrives is byte for byte what was handed in."""
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
    'login': (60, PORT, 'ROUTE_MUST', '', 'smart', 'ROUTE_SMTP'),
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
    i = c.mail(text or message(sender='alice@localhost', to='a@' + host.domain),
               [r + '@' + host.domain for r in rcpts], 'alice@localhost')
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
        return all(self.events.get((i, r + '@' + host.domain)) for r in rcpts)


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
    def __init__(self, name, host, want, text=None, rcpts='abc', maybe=None):
        self.name, self.host, self.text, self.rcpts = name, host, text, rcpts
        self.want = want if isinstance(want, dict) else {r: want for r in rcpts}
        self.maybe = maybe              # is a possible duplicate to be logged?
        self.id = None

    def to(self, r):
        return r + '@' + self.host.domain


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
        waits, told = queue(self.s), reports(self.s)
        for x in self.cases:
            yes, maybe = x.host.taken()
            for r in x.rcpts:
                to, want = x.to(r), x.want[r]
                if not first and want == D:
                    want = S
                # the last words of so many are kept that few are forgotten when few wait
                words = waits.get((x.id, to)) or (len(waits) > 100 and self.log.words[x.id, to])
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
                                       (maybe.get(to, 0), self.log.maybe[x.id],
                                        self.log.words.get((x.id, to)))))
        return self

    def well(self):
        """All is well now: what waits is sent, and the queue is empty of these cases."""
        for x in self.cases:
            x.host.script = {}
            x.host.features = tuple(f for f in x.host.features) + getattr(x, 'then', ())
        assert self.s.command('flush').returncode == 0
        ids = {x.id for x in self.cases}
        wait_for('all letters to be done', lambda: ids <= self.log.read().done, 30)
        wait_for('the end of all sessions', lambda: not world.live, 30)
        return self.check(False)

    def run(self, seconds=30):
        self.finish(seconds)
        self.check().well()
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


@test
def each_reply_at_each_step():
    s = server()
    before = state(s)
    t = Trial(s, list(plain_cases())).run()
    words = {x.name: t.log.words[x.id, x.to('b')] for x in t.cases}
    told = reports(s)
    for x in t.cases:
        if x.want['b'] == F:
            code = told[x.to('b')][0]['Diagnostic-Code']
            assert '550 5.7.1 never' in code or '599' in code, (x.name, code)
    assert words['quit rst'].startswith('250 '), words['quit rst']
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


main()
