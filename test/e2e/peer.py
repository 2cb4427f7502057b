# See LICENSE file for copyright and licence details.
"""Other servers for test_hostile.py: SMTP and LMTP on loopback that misbehave on order, and a name
server that leads to them.

A World has hosts; each has a name, an address of 127.88.0.0/16 and a script, {step: action}. An
action is called with the connection and the reply that would be right; it says what it likes and
returns whether the server goes on as after "yes" (True) or "no" (False, None), or raises Gone.
Steps: connect greeting ehlo helo starttls handshake auth name password mail rcpt (or rcpt:LOCAL)
data text dot (for LMTP dot:LOCAL) rset quit."""
import base64
import hashlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

NET = '127.88.'
NAMES = (NET + '0.53', 32553)
PORT, DEAD, FULL = 32525, 32526, 32527
NAME, PASSWORD = 'relay', 'Wa:ter  melon'
FEATURES = ('PIPELINING', 'SIZE 10000000', '8BITMIME', 'ENHANCEDSTATUSCODES')


class Gone(Exception):
    pass


class Refused(Gone):
    pass


class Letter:
    """What a host was given: the text as it came, without the final dot."""

    def __init__(self, sender, rcpts):
        self.sender, self.rcpts, self.raw = sender, rcpts, b''
        self.whole = False
        self.verdict = {r: None for r in rcpts}     # True: taken, False: refused, None: who knows

    @property
    def text(self):
        raw = self.raw[1:] if self.raw.startswith(b'.') else self.raw
        return raw.replace(b'\r\n.', b'\r\n')


class Peer:
    """One connection of a host, in a thread of its own."""

    def __init__(self, host, s):
        self.host, self.world, self.s, self.raw = host, host.world, s, s
        self.buf = b''
        self.tls = False
        self.said = []
        self.letter = None
        s.settimeout(self.world.patience)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fault(self, what):
        self.world.faults.append('%s: %s' % (self.host.name, what))

    def send(self, data):
        try:
            self.s.sendall(data)
        except (OSError, ssl.SSLError):
            raise Gone

    def more(self):
        try:
            b = self.s.recv(self.host.slow or 65536)
        except TimeoutError:
            self.fault('the client neither speaks nor goes')
            raise Gone
        except (OSError, ssl.SSLError):
            raise Gone
        if not b:
            raise Gone
        self.buf += b

    def line(self):
        while b'\n' not in self.buf:
            self.more()
        i = self.buf.index(b'\n') + 1
        line, self.buf = self.buf[:i], self.buf[i:]
        if not line.endswith(b'\r\n') or len(line) > 1024 or \
                any(c < 32 or c == 127 for c in line[:-2]):
            self.fault('not a command line: %r' % line[:200])
        self.said.append(line[:-2])
        self.host.said.append(line[:-2])
        return line[:-2].decode('utf-8', 'replace')

    def wait_gone(self):
        """The client is to end it."""
        while True:
            self.more()
            self.buf = b''

    def fin(self):
        try:
            self.raw.shutdown(socket.SHUT_WR)
        except OSError:
            raise Gone
        self.s = self.raw
        try:
            self.wait_gone()
        finally:
            raise Gone

    def rst(self):
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raise Gone

    def step(self, name, good, also=None):
        for key in (also, name):
            if key in self.host.script:
                return self.host.script[key](self, good)
        self.send(good)
        return good[:1] in b'23'

    def wrap(self):
        if 'handshake' in self.host.script and not self.host.script['handshake'](self, b''):
            self.wait_gone()
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*self.host.cert)
        try:
            self.raw = self.s
            fd = self.s.detach()        # so that what is below TLS can still be closed
            self.raw = socket.socket(fileno=fd)
            self.raw.settimeout(self.world.patience)
            self.s = ctx.wrap_socket(self.raw.dup(), server_side=True)
            self.s.settimeout(self.world.patience)
        except (OSError, ssl.SSLError):
            raise Gone
        if self.buf:
            self.fault('clear text before the handshake: %r' % self.buf)
        self.buf = b''
        self.tls = True

    # ---- the dialogue ----

    def run(self):
        self.step('connect', b'')
        if self.host.wrapped:
            self.wrap()
        self.step('greeting', b'220 %s ESMTP\r\n' % self.host.name.encode())
        while True:
            line = self.line()
            verb = line.split(' ')[0].split(':')[0].upper()
            f = getattr(self, 'do_' + verb.lower(), None)
            if f:
                f(line)
            else:
                self.fault('an unknown command: %r' % line)
                self.send(b'500 what?\r\n')

    def hello(self, line, lmtp):
        if self.host.lmtp != lmtp:
            self.fault('%r for the wrong protocol' % line)
        words = [b'%s at your service' % self.host.name.encode()]
        words += [f.encode() for f in self.host.features if not (self.tls and f == 'STARTTLS')]
        lines = [b'250-%s\r\n' % w for w in words[:-1]] + [b'250 %s\r\n' % words[-1]]
        self.step('ehlo', b''.join(lines))

    def do_ehlo(self, line):
        self.hello(line, False)

    def do_lhlo(self, line):
        self.hello(line, True)

    def do_helo(self, line):
        self.step('helo', b'250 well\r\n')

    def do_starttls(self, line):
        if self.step('starttls', b'220 go on\r\n'):
            self.wrap()

    def do_auth(self, line):
        if self.host.private and not self.tls:
            self.fault('a login without TLS: %r' % line)
        words = line.split(' ')
        if words[1] == 'PLAIN':
            good = base64.b64decode(words[2]).decode() == '\0%s\0%s' % (NAME, PASSWORD)
        else:
            name, word = self.ask('auth', b'334 VXNlcm5hbWU6\r\n'), None
            if name is not None:
                word = self.ask('name', b'334 UGFzc3dvcmQ6\r\n')
            if word is None:
                return
            good = (name, word) == (NAME, PASSWORD)
        if not good:
            self.fault('wrong name or password: %r' % self.said[-3:])
        self.step('auth' if words[1] == 'PLAIN' else 'password', b'235 2.7.0 welcome\r\n')

    def ask(self, step, good):
        if not self.step(step, good):
            return None
        line = self.line()
        if line == 'QUIT':
            self.do_quit(line)
        return base64.b64decode(line).decode()

    def do_mail(self, line):
        if self.letter:
            self.fault('MAIL within a transaction')
        if self.host.private and not self.tls:
            self.fault('mail without TLS')
        m = re.match(r'MAIL FROM:<([^>]*)>( .*)?$', line)
        if self.step('mail', b'250 2.1.0 fine\r\n'):
            self.letter = Letter(m.group(1), [])

    def do_rcpt(self, line):
        m = re.match(r'RCPT TO:<([^>]*)>( .*)?$', line)
        good = b'250 2.1.5 fine\r\n' if self.letter else b'503 5.5.1 no MAIL\r\n'
        if self.step('rcpt', good, 'rcpt:' + m.group(1).split('@')[0]) and self.letter:
            self.letter.rcpts.append(m.group(1))

    def do_data(self, line):
        good = (b'354 go\r\n' if self.letter and self.letter.rcpts else
                b'554 5.5.1 no recipients\r\n')
        if self.step('data', good):
            self.text()
        # else the transaction stays, RFC 5321 4.1.1.4, until RSET

    def text(self):
        mine, self.letter = self.letter or Letter('?', []), None
        mine.verdict = {r: None for r in mine.rcpts}
        self.host.letters.append(mine)
        if 'text' in self.host.script:
            while len(self.buf) < 1000:
                self.more()
            if not self.step('text', b'250 2.0.0 fine\r\n'):
                time.sleep(0.3)         # a text that goes on must not hide what was said
                self.wait_gone()
        data, at = bytearray(self.buf), 0
        while True:
            end = 0 if data.startswith(b'.\r\n') else data.find(b'\r\n.\r\n', at) + 2
            if end != 1 and (end or data.startswith(b'.\r\n')):
                break
            at = max(0, len(data) - 4)
            self.buf = b''
            self.more()
            data += self.buf
        mine.raw, self.buf = bytes(data[:end]), bytes(data[end + 3:])
        mine.whole = True
        if self.host.lmtp:
            for r in mine.rcpts:
                self.dot(mine, [r], 'dot:' + r.split('@')[0])
            self.step('after', b'')
        else:
            self.dot(mine, mine.rcpts)

    def dot(self, letter, rcpts, also=None):
        try:
            took = self.step('dot', b'250 2.0.0 taken\r\n', also)
        except Refused:
            letter.verdict.update({r: False for r in rcpts})
            raise
        letter.verdict.update({r: took for r in rcpts})
        if took is None and self.host.lmtp:
            self.wait_gone()            # or it would go on with the next recipient

    def do_rset(self, line):
        self.letter = None
        self.step('rset', b'250 2.0.0 fine\r\n')

    def do_quit(self, line):
        self.step('quit', b'221 2.0.0 bye\r\n')
        raise Gone


class Host:
    def __init__(self, world, name, ips, script, kw):
        self.world, self.name, self.ips = world, name, ips
        self.script = script
        self.features = kw.pop('features', FEATURES)
        self.cert = kw.pop('cert', world.cert)
        self.wrapped, self.lmtp = kw.pop('wrapped', False), kw.pop('lmtp', False)
        self.private = kw.pop('private', False)
        self.slow = kw.pop('slow', 0)   # octets it reads at a time
        self.rcvbuf = kw.pop('rcvbuf', 0)
        assert not kw, kw
        self.letters, self.said, self.peers = [], [], []
        self.connections = 0

    def taken(self):
        """{recipient: how often it was taken}, and the same for 'who knows'."""
        yes, maybe = {}, {}
        for x in list(self.letters):
            for r, v in list(x.verdict.items()):
                if v:
                    yes[r] = yes.get(r, 0) + 1
                elif v is None and x.whole:
                    maybe[r] = maybe.get(r, 0) + 1
        return yes, maybe


class World:
    def __init__(self, scratch, kinds, patience=20):
        self.kinds = kinds              # {kind: (number of hosts, ...)}
        self.patience = patience
        self.hosts, self.faults, self.used = {}, [], {}
        self.records = {}
        self.live = 0
        self.lock = threading.Lock()
        self.ends = False
        self.certs = Certs(scratch)
        self.cert = self.certs.make('self')
        self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        by = time.monotonic() + 180
        while True:                     # it is also the lock against another run of this test
            try:
                self.names.bind(NAMES)
                break
            except OSError:
                if time.monotonic() > by:
                    raise
                time.sleep(0.2)
        self.thread(self.answer)

    def thread(self, f, *args):
        threading.Thread(target=f, args=args, daemon=True).start()

    def host(self, kind, script=None, count=1, listen=True, **kw):
        """The next one of a kind. count: of its addresses; only the last of them listens."""
        k = self.used[kind] = self.used.get(kind, -1) + 1
        assert k < self.kinds[kind][0], 'too few rows for ' + kind
        name = 'c%d.%s.test' % (k, kind)
        row = 4 * (list(self.kinds).index(kind) * 1000 + k)
        ips = [NET + '%d.%d' % (1 + (row + i) // 250, 1 + (row + i) % 250) for i in range(count)]
        kw.setdefault('wrapped', kind == 'wrap')
        kw.setdefault('lmtp', kind == 'lmtp')
        kw.setdefault('private', self.kinds[kind][2] in ('ROUTE_MUST', 'ROUTE_WRAP'))
        if kw['private'] and not kw['wrapped']:
            kw.setdefault('features', FEATURES + ('STARTTLS', 'AUTH PLAIN LOGIN'))
        h = Host(self, name, ips, script or {}, kw)
        self.hosts[name] = h
        self.records[name] = ips
        if listen:
            self.listen(h, ips[-1], self.kinds[kind][1])
        return h

    def listen(self, h, ip, port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if h.rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, h.rcvbuf)
        s.bind((ip, port))
        s.listen(64)
        self.thread(self.accept, h, s)

    def accept(self, h, s):
        while True:
            c, _ = s.accept()
            h.connections += 1
            self.thread(self.serve, h, c)

    def serve(self, h, c):
        with self.lock:
            self.live += 1
        p = Peer(h, c)
        h.peers.append(p)
        try:
            p.run()
        except Gone:
            pass
        except Exception as e:
            if not self.ends:
                p.fault('the script broke: %s %s' % (type(e).__name__, e))
        finally:
            for s in (p.s, p.raw):
                try:
                    s.close()
                except OSError:
                    pass
            with self.lock:
                self.live -= 1

    # ---- the name server ----

    def answer(self):
        while True:
            q, to = self.names.recvfrom(4096)
            at, labels = 12, []
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode('latin-1').lower())
                at += 1 + q[at]
            kind, question = struct.unpack('>H', q[at + 1:at + 3])[0], q[12:at + 5]
            ips = self.records.get('.'.join(labels))
            rrs = [b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4' + socket.inet_aton(i) for i in ips or ()
                   if kind == 1]
            head = struct.pack('>HHHHHH', struct.unpack('>H', q[:2])[0],
                               0x8580 | (3 if ips is None else 0), 1, len(rrs), 0, 0)
            self.names.sendto(head + question + b''.join(rrs), to)


def scalar_key(path):
    """A P-256 key that is always the same, so that its pin can be compiled in."""
    der = (bytes.fromhex('30310201010420') + hashlib.sha256(b'a key for tests only').digest() +
           bytes.fromhex('a00a06082a8648ce3d030107'))
    with open(path + '.der', 'wb') as f:
        f.write(der)
    openssl('pkey', '-inform', 'DER', '-in', path + '.der', '-out', path)


def openssl(*args):
    r = subprocess.run(('openssl',) + args, capture_output=True, timeout=60)
    if r.returncode:
        raise RuntimeError('openssl %s: %s' % (' '.join(args), r.stderr.decode()))
    return r.stdout


class Certs:
    """(chain, key) files."""

    def __init__(self, scratch):
        self.dir = os.path.join(scratch, 'certs')
        os.mkdir(self.dir)
        self.pinned = os.path.join(self.dir, 'pinned.key')
        scalar_key(self.pinned)
        der = openssl('pkey', '-in', self.pinned, '-pubout', '-outform', 'DER')
        self.pin = hashlib.sha256(der).hexdigest()
        self.ca, self.cakey = self.make('ca')

    def make(self, name, san=None, key=None, ca=False):
        """Self-signed, or with ca for the name `san` by ours."""
        key = key or os.path.join(self.dir, name + '.key')
        crt = os.path.join(self.dir, name + '.crt')
        if not os.path.exists(key):
            openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key)
        args = ['req', '-new', '-key', key, '-subj', '/CN=' + (san or name), '-out', crt]
        if not ca:
            openssl(*args, '-x509', '-days', '30')
            return crt, key
        ext = os.path.join(self.dir, name + '.ext')
        with open(ext, 'w') as f:
            f.write('subjectAltName=DNS:%s\n' % san)
        openssl(*args)
        openssl('x509', '-req', '-in', crt, '-CA', self.ca, '-CAkey', self.cakey, '-days', '30',
                '-CAcreateserial', '-extfile', ext, '-out', crt + '.signed')
        return crt + '.signed', key


# ---- actions ----

def say(data, took=None):
    def act(p, good):
        p.send(data)
        return took
    return act


def last_line(good):
    return good[good.rstrip().rfind(b'\n') + 1:]


def silence(p, good):
    p.wait_gone()


def fin(p, good):
    p.fin()


def rst(p, good):
    p.rst()


def half(p, good):
    p.send(good[:len(good) // 2])
    p.fin()


def goodbye(p, good):
    p.send(b'421 4.3.2 going down\r\n')
    try:
        p.fin()
    finally:
        raise Refused


def endless(p, good):
    by = time.monotonic() + p.world.patience
    while time.monotonic() < by:
        p.send((good[:3] + b'-more\r\n') * 40)
        time.sleep(0.005)
    p.fault('an endless reply was read to the end')


def drip(p, good):
    for i in range(len(good)):
        p.send(good[i:i + 1])
        time.sleep(0.001)
    return True


def crawl(p, good):
    """So slowly that the reply is never complete in time; the client goes."""
    by = time.monotonic() + p.world.patience
    p.send(good[:3] + b' ')
    while time.monotonic() < by:
        p.send(b'x')
        time.sleep(0.3)
    p.fault('a reply that never ends was read for ever')


def late(p, good):
    time.sleep(p.world.late)
    p.send(good)
    p.wait_gone()


def twice(p, good):
    p.send(good + good)
    return True


def early(p, good):
    """And the reply to what comes next."""
    p.send(good + b'250 2.0.0 early\r\n')
    return True


CLASSES = {
    '2xx': say(b'298 odd but well\r\n', True),
    '3xx': say(b'399 and now?\r\n'),
    '4xx': say(b'450 4.2.0 not now\r\n', False),
    '4xx bare': say(b'459\r\n', False),
    '5xx': say(b'550 5.7.1 never\r\n', False),
    '5xx bare': say(b'599\r\n', False),
    '1xx': say(b'150 wait\r\n'),
    '6xx': say(b'650 what is this\r\n'),
    '421': goodbye,
    'garbage': say(b'\x16\x03\xff GET / \xfe\xff\r\n'),
    'no code': say(b'ok, fine\r\n'),
    'empty': say(b'\r\n'),
    'bare LF': lambda p, good: p.send(good[:-2] + b'\n'),
    'NUL': lambda p, good: p.send(last_line(good)[:4] + b'a\0b\r\n'),
    'long': lambda p, good: p.send(good[:3] + b' ' + b'x' * 9000 + b'\r\n'),
    'endless': endless,
    'changing': lambda p, good: p.send(good[:3] + b'-one\r\n550 5.0.0 two\r\n'),
    'twice': twice,
    'early': early,
    'drip': drip,
    'crawl': crawl,
    'late': late,
    'silence': silence,
    'half': half,
    'fin': fin,
    'rst': rst,
}
