# See LICENSE file for copyright and licence details.
"""Runs the real server on a store of its own and talks to it over raw sockets.

A test file imports this, marks functions with @test and ends with main(), which runs them, stops
the servers,
looks at how they ended and prints "N passed, N failed, N skipped" as its last line.

Environment: MAILD_CC, MAILD_CFLAGS, MAILD_LDFLAGS  how to build (default: as the Makefile does)
             MAILD_OUT    where the built variants are kept (default build/e2e)
             MAILD_SAN    1: built with sanitizers, so time and memory are not asserted
             VECTORS      data made by others (default ../shared/vectors)
"""
import base64
import contextlib
import email.utils
import fcntl
import hashlib
import mailbox
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VECTORS = os.path.join(TOP, os.environ.get('VECTORS', '../shared/vectors'))
SAN = os.environ.get('MAILD_SAN') == '1'
OUT = os.path.abspath(os.environ.get('MAILD_OUT', os.path.join(TOP, 'build', 'e2e')))
PW = 'correct horse battery'
ROOT = os.geteuid() == 0
SLOW = 4 if SAN else 1
PORTS = (25, 110, 465, 587, 995)


class Skip(Exception):
    pass


# ---- building ----

# Other settings, by textual substitution in config.h: (pattern, replacement), each must match.
def setting(name, value):
    return (r'(?m)(\b%s(?:\[\])?\s*=\s*)[^,;]+?(?=[,;}]|\s*/\*|\n)' % re.escape(name), r'\g<1>%s' %
            value)


def setting_text(name, value):
    return (r'(\b%s\[\] = )"[^"]*"' % name, r'\g<1>"%s"' % value)


ALIASES = [
    ('info', 'bob'),
    ('team', 'alice bob'),
    ('everyone', 'team carol'),
    ('exact@example.org', 'carol'),
    ('alice@example.org', 'bob'),
    ('*@example.net', 'carol'),
    ('postmaster', 'bob'),
    ('abuse', 'postmaster'),
]
ROWS = ''.join('\\t{ "%s", "%s" },\\n' % r for r in ALIASES)
DOMAINS = (r'(\bdomains\[\] = \{)[^}]*\}', r'\1 "localhost", "", "example.org", "example.net" }')
TABLE = (r'(?s)(aliases\[\] = \{\n).*?(\n\};)', r'\1' + ROWS.rstrip('\\n') + r'\2')
HOSTNAME = setting_text('hostname', 'mx.example.org')
CLEAR = (r'(?m)^(\t\{ "[^"]*",\s*\d+, TLS_START,\s*(?:SUBMISSION|POP3),\s*)0 \}', r'\g<1>1 }')
FASTLOGIN = setting('login_delay', '200')

def table(kind, *rows):
    """All rows of a table of config.h."""
    return (r'(?s)(struct %s \w+\[\] = \{\n).*?(\n\};)' % kind,
            r'\1' + '\\n'.join('\\t{ %s },' % r for r in rows) + r'\2')


# Everybody comes in as if he were no stranger.
WELCOME = [table('policy', 'F_EARLY, A_ACCEPT'), table('limit', 'C_OPEN, 0, 0, 0, 0'),
           setting('greeting_pause', '0'), setting('tarpit', '0'), setting('tarpit_max', '0')]

VARIANTS = {
    # the shipped settings
    'default': [],
    # passwords in clear text, aliases, own domains, short waits for those who type a wrong password
    'open': [HOSTNAME, DOMAINS, TABLE, CLEAR, FASTLOGIN, setting('login_delay_max', '1600'),
             setting('retry_locked', '500')],
    # everything small and short
    'tight': [HOSTNAME, CLEAR, setting('login_delay', '100'), setting('login_delay_max', '400'),
              setting('message_max', '200000'), setting('quota', '400000'),
              setting('ERRORS', '5'), setting('SESSIONS', '48'), setting('SPARE', '4'),
              setting('TLS_SESSIONS', '4'),
              setting('smtp_idle', '2000'), setting('smtp_data_idle', '1500'),
              setting('smtp_data_total', '4000'), setting('pop3_idle', '2000'),
              setting('tls_handshake', '1500'), setting('session_total', '8000'),
              setting('disk_reserve', '1 << 20'),
              (r"(subaddress = )'\+'", r"\1'-'"), setting('send_as_anyone', '1'),
              setting('journal_size', '1 << 20')],
    # no margin on the disk: the server runs into it
    'nomargin': [setting('disk_reserve', '0'), setting('inode_reserve', '0'),
                 setting('journal_size', '1 << 20'), CLEAR],
    # own domains, and name servers that nobody asks: what is for others waits
    'mute': [HOSTNAME, DOMAINS, TABLE, (r'(name_servers\[\] = \{)[^}]*\}', r'\1 "127.0.0.1#9" }'),
             setting('retry_locked', '500'), setting('message_max', '6000000')],
    # settings that cannot be
    'loop': [DOMAINS, (r'(?s)(aliases\[\] = \{\n).*?(\n\};)',
                       r'\1\t{ "one", "two" },\n\t{ "two", "three alice" },\n\t{ "three", "one" '
                       r'},\2')],
}


def make_config(variant):
    with open(os.path.join(TOP, 'config.h')) as f:
        text = f.read()
    # sanitizers look at what the sandbox hides from them
    for pattern, repl in VARIANTS[variant] + [setting('sandbox', '0')] * SAN:
        text, n = re.subn(pattern, repl, text)
        if not n:
            raise RuntimeError('config.h: nothing matches %r' % pattern)
    return text


def sources():
    h = hashlib.sha256()
    for d in ('', 'lib'):
        for name in sorted(os.listdir(os.path.join(TOP, d))):
            if name.endswith(('.c', '.h')) or name == 'Makefile':
                with open(os.path.join(TOP, d, name), 'rb') as f:
                    h.update(name.encode() + f.read())
    return h


def build(variant, extra_env=None):
    """The binary of a variant, built if need be. Safe to be called by several processes at once."""
    config = make_config(variant)
    h = sources()
    h.update(config.encode() + repr(extra_env).encode())
    os.makedirs(OUT, exist_ok=True)
    flags = [(k, os.environ[k2]) for k, k2 in (('CC', 'MAILD_CC'), ('CFLAGS', 'MAILD_CFLAGS'),
                                               ('LDFLAGS', 'MAILD_LDFLAGS'),
                                                ('BEARSSL', 'BEARSSL')) if os.environ.get(k2) or
             k2 == 'MAILD_LDFLAGS' and k2 in os.environ]
    kind = hashlib.sha256(repr((flags, extra_env)).encode()).hexdigest()[:8]
    name = os.path.join(OUT, 'maild-%s-%s' % (variant, kind))
    with open(name + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = name + '.stamp'
        if os.path.exists(name) and os.path.exists(stamp):
            with open(stamp) as f:
                if f.read() == h.hexdigest():
                    return name
        if not os.path.exists(name + '.h') or open(name + '.h').read() != config:
            with open(name + '.h', 'w') as f:
                f.write(config)
        cmd = ['make', '-s', 'OUT=' + name + '.o', 'BIN=' + name + '.new', 'CONFIG=' + name + '.h',
               name + '.new']
        cmd += ['%s=%s' % kv for kv in flags]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name + '.new')
        env = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
        env.update(extra_env or {})
        r = subprocess.run(cmd, cwd=TOP, env=env, capture_output=True, text=True, timeout=300)
        if r.returncode or not os.path.exists(name + '.new'):
            raise RuntimeError('building %s failed:\n%s%s' % (variant, r.stdout, r.stderr))
        os.rename(name + '.new', name)
        with open(stamp, 'w') as f:
            f.write(h.hexdigest())
    return name


def make(*args):
    """make in the tree itself, as the Makefile has it; what it says."""
    cmd = ['make', '-s'] + ['%s=%s' % (k, os.environ[e]) for k, e in
                            (('CC', 'MAILD_CC'), ('BEARSSL', 'BEARSSL')) if os.environ.get(e)]
    env = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    r = subprocess.run(cmd + list(args), cwd=TOP, env=env, capture_output=True, text=True,
                       timeout=300)
    if r.returncode:
        raise RuntimeError('make %s: %s' % (' '.join(args), r.stderr))
    return r.stdout


# ---- servers ----

SCRATCH = tempfile.mkdtemp(prefix='maild-test.')
os.chmod(SCRATCH, 0o755)
SERVERS = []
SAN_REPORT = re.compile(r'ERROR: AddressSanitizer|runtime error:|ERROR: LeakSanitizer|SUMMARY: '
                        r'\w+Sanitizer')
SAN_ENV = {'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=1:symbolize=0',
           'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1:symbolize=0'}


def free_base():
    """An N with 25+N, 110+N, ... free, below the range of ephemeral ports."""
    for _ in range(200):
        n = random.randrange(1100, 31000)
        ok = True
        for p in PORTS:
            for fam, addr in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
                with socket.socket(fam, socket.SOCK_STREAM) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        if fam == socket.AF_INET6:
                            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        s.bind((addr, p + n))
                    except OSError as e:
                        ok = ok and e.errno in (97, 99)
        if ok:
            return n
    raise RuntimeError('no free ports')


class Server:
    """One maild on one store."""

    def __init__(self, variant='default', users=(), store=None, start=True, prefix=(), env=None):
        self.bin = build(variant)
        self.variant = variant
        self.prefix = list(prefix)
        self.env = dict(os.environ, **SAN_ENV, **(env or {}))
        self.store = store or os.path.join(tempfile.mkdtemp(dir=SCRATCH), 'store')
        os.chmod(os.path.dirname(self.store), 0o755)
        self.logname = os.path.join(SCRATCH, 'log.%d' % len(SERVERS))
        open(self.logname, 'w').close()
        self.proc = None
        self.n = 0
        self.killed = False
        SERVERS.append(self)
        if start:
            self.start()
            for u in users:
                self.passwd(u)

    def port(self, p):
        return self.n + p

    def spawn(self):
        with open(self.logname, 'a') as log:
            self.proc = subprocess.Popen(self.prefix + [self.bin, '-d', self.store, '-p',
                                                        str(self.n)],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env=self.env)

    def start(self, timeout=30, tries=4):
        """Wait until it greets; another N if somebody took the ports."""
        for i in range(tries):
            if i or not self.n:
                self.n = free_base()
            mark = len(self.log())
            self.spawn()
            by = time.monotonic() + timeout * SLOW
            while time.monotonic() < by and self.proc.poll() is None:
                try:
                    with socket.create_connection(('127.0.0.1', self.port(25)), timeout=2) as s:
                        if s.recv(3) == b'220':
                            return self
                except OSError:
                    pass
                time.sleep(0.02)
            if self.proc.poll() is None:
                self.kill()
                raise RuntimeError('no greeting within %d s; log:\n%s' %
                                   (timeout * SLOW, self.log()[mark:]))
            if not re.search(r'(?i)in use', self.log()[mark:]):
                break
        raise RuntimeError('server ended with %s; log:\n%s' %
                           (self.proc.returncode, self.log()[mark:]))

    def log(self):
        with open(self.logname, errors='replace') as f:
            return f.read()

    def wait_log(self, pattern, timeout=5, mark=0):
        by = time.monotonic() + timeout * SLOW
        while time.monotonic() < by:
            if re.search(pattern, self.log()[mark:]):
                return True
            time.sleep(0.02)
        return False

    def running(self):
        return self.proc is not None and self.proc.poll() is None

    def signal(self, sig):
        self.proc.send_signal(sig)

    def stop(self, timeout=15):
        """SIGTERM, and the way it ends."""
        if not self.proc:
            return 0
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            rc = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError('still running %d s after SIGTERM' % (timeout * SLOW))
        self.proc = None
        if rc:
            raise RuntimeError('ended with %s; log:\n%s' % (rc, self.log()[-3000:]))
        return rc

    def kill(self):
        if self.proc:
            if self.proc.poll() is None:
                self.proc.kill()
            self.proc.wait(20)
            self.proc = None

    def restart(self):
        self.stop()
        return self.start()

    def command(self, *args, stdin='', **kw):
        return subprocess.run([self.bin] + [args[0], '-d', self.store] + list(args[1:]),
                              input=stdin,
                              capture_output=True, text=True, timeout=60 * SLOW, env=self.env, **kw)

    def passwd(self, name, password=PW):
        r = self.command('passwd', name, stdin=password + '\n')
        if r.returncode:
            raise RuntimeError('passwd %s: %d %s' % (name, r.returncode, r.stderr))

    def files(self):
        """The paths of all files of the store (the sockets are none)."""
        for d, _, files in os.walk(self.store):
            for f in files:
                if os.path.isfile(os.path.join(d, f)):
                    yield os.path.join(d, f)

    def path(self, *p):
        return os.path.join(self.store, *p)

    def mbox(self, name):
        try:
            with open(self.path('mail', name), 'rb') as f:
                return f.read()
        except FileNotFoundError:
            return b''

    def status(self, key):
        """A number of /proc/PID/status (KB for sizes)."""
        with open('/proc/%d/status' % self.proc.pid) as f:
            return int(re.search(r'(?m)^%s:\s+(\d+)' % key, f.read()).group(1))

    def heap(self):
        """KB of memory that is its own (pages of mapped files are not)."""
        return self.status('RssAnon')

    def cpu(self):
        with open('/proc/%d/stat' % self.proc.pid) as f:
            v = f.read().rsplit(')', 1)[1].split()
        return (int(v[11]) + int(v[12])) / os.sysconf('SC_CLK_TCK')

    # clients
    def smtp(self, port=25, **kw):
        return Smtp(self, port, **kw)

    def pop(self, port=None, **kw):
        return Pop(self, port or 995, **kw)

    def login(self, user='alice', password=PW, port=None, **kw):
        p = self.pop(port, **kw)
        p.ok('USER ' + user)
        p.ok('PASS ' + password)
        return p

    def sender(self, user='alice', port=465, **kw):
        """A submission session that has logged in."""
        c = self.smtp(port, **kw)
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain(user, PW))
        return c

    def deliver(self, data, to='alice@localhost', sender='peer@remote.test', **kw):
        with self.smtp(25, **kw) as c:
            c.ehlo()
            return c.mail(data, to, sender)

    def settled(self, timeout=20):
        """Large letters, and those whose mailbox was locked, lie in the queue for a while after
        their 250."""
        wait_for('an empty queue', lambda: not os.listdir(self.path('spool', 'queue')), timeout)

    def fetch(self, user='alice', port=None):
        """All messages, raw."""
        self.settled()
        with self.login(user, port=port) as p:
            n, _ = p.stat()
            out = [p.retr(i + 1) for i in range(n)]
            p.ok('QUIT')
        return out

    def clear(self, user='alice'):
        self.settled()
        with self.login(user) as p:
            n, _ = p.stat()
            p.send(b''.join(b'DELE %d\r\n' % (i + 1) for i in range(n)))
            for _ in range(n):
                assert p.line().startswith(b'+OK')
            p.ok('QUIT')


_shared = {}


def shared(variant='default', users=('alice', 'bob', 'carol')):
    """A server that the tests of a file have in common."""
    if variant not in _shared:
        _shared[variant] = Server(variant, users)
    return _shared[variant]


# ---- raw clients ----

class Closed(Exception):
    pass


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


class Line:
    """A socket read in lines, over TLS or not."""

    def __init__(self, server, port, tls=False, source=None, host='127.0.0.1', timeout=20,
                 greet=True,
                 rcvbuf=0):
        self.server = server
        self.buf = b''
        self.s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET,
                               socket.SOCK_STREAM)
        self.s.settimeout(timeout * SLOW)
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.s.bind((source, 0))
        self.s.connect((host, server.port(port)))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls or port in (465, 995):
            self.wrap()
        if greet:
            self.greet()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.s.close()

    def wrap(self, ctx=None):
        self.s = (ctx or context()).wrap_socket(self.s, server_hostname='localhost')
        self.s.settimeout(20 * SLOW)

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def trickle(self, data):
        for i in range(len(data)):
            self.send(data[i:i + 1])

    def more(self):
        try:
            b = self.s.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            b = b''
        if not b:
            raise Closed('connection closed by the server')
        self.buf += b

    def line(self):
        while b'\n' not in self.buf:
            self.more()
        i = self.buf.index(b'\n') + 1
        out, self.buf = self.buf[:i], self.buf[i:]
        assert out.endswith(b'\r\n'), 'a reply line without CR LF: %r' % out
        assert len(out) <= 512, 'a reply line of %d octets' % len(out)
        assert all(32 <= c < 127 for c in out[:-2]), 'control characters in a reply: %r' % out
        return out[:-2]

    def eof(self):
        """Nothing more comes, and the server closes."""
        try:
            self.more()
        except Closed:
            assert not self.buf, 'unexpected %r' % self.buf
            return
        raise AssertionError('expected the end, got %r' % self.buf)

    def quiet(self, seconds=0.3):
        """Nothing comes for a while."""
        self.s.settimeout(seconds)
        try:
            self.more()
        except (TimeoutError, ssl.SSLWantReadError):
            pass
        except Closed:
            raise AssertionError('closed')
        finally:
            self.s.settimeout(20 * SLOW)
        assert not self.buf, 'unexpected %r' % self.buf


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[0][:3])
        self.text = '\n'.join(x[4:].decode() for x in lines)
        m = re.match(r'([245]\.\d{1,3}\.\d{1,3})(?: |$)', self.text)
        self.enhanced = m.group(1) if m else None

    def __repr__(self):
        return ' / '.join(x.decode() for x in self.lines)


class Smtp(Line):
    last = b''

    def greet(self):
        self.greeting = self.reply(plain=True)
        assert self.greeting.code == 220, self.greeting

    def reply(self, plain=False):
        lines = [self.line()]
        while lines[-1][3:4] == b'-':
            lines.append(self.line())
        for x in lines:
            assert re.match(rb'[2-5]\d\d[ -]',
                            x) and x[:3] == lines[0][:3], 'not a reply: %r' % lines
        r = Reply(lines)
        if not plain and lines[0][:1] != b'3':
            # RFC 2034 4: every reply but the greeting and that to EHLO
            for x in lines:
                m = re.match(rb'([245])\d\d[ -]([245])\.\d+\.\d+( |$)', x)
                assert m and m.group(1) == m.group(2), 'no enhanced status code: %r' % lines
        return r

    def cmd(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.send(data + b'\r\n')
        return self.reply(plain=bool(re.match(rb'(?i)(ehlo|helo) ', data)) and self.peek2())

    def peek2(self):
        while not self.buf:
            self.more()
        return self.buf[:1] == b'2'

    def expect(self, code, text, enhanced=None):
        r = self.cmd(text)
        codes = code if isinstance(code, tuple) else (code,)
        assert r.code in codes, '%r: wanted %s, got %r' % (text[:80], code, r)
        if enhanced:
            want = enhanced if isinstance(enhanced, tuple) else (enhanced,)
            assert r.enhanced in want, '%r: wanted %s, got %r' % (text[:80], enhanced, r)
        return r

    def ehlo(self, name='client.test'):
        r = self.expect(250, 'EHLO ' + name)
        self.words = [x[4:].decode() for x in r.lines[1:]]
        return self.words

    def starttls(self):
        self.expect(220, 'STARTTLS', '2.0.0')
        assert not self.buf
        self.wrap()

    def envelope(self, to, sender):
        self.expect(250, 'MAIL FROM:<%s>' % sender)
        for t in [to] if isinstance(to, str) else to:
            self.expect(250, 'RCPT TO:<%s>' % t)

    def data(self, data):
        """data with CR LF line ends; stuffed here. The final reply."""
        self.expect(354, 'DATA')
        self.send(stuff(data))
        return self.reply()

    def mail(self, data, to, sender='peer@remote.test'):
        """One message; its id."""
        self.envelope(to, sender)
        r = self.data(data)
        assert r.code == 250, r
        m = re.fullmatch(r'2\.0\.0 Ok: queued as ([0-9A-Za-z.-]+)', r.text)
        assert m, r
        return m.group(1)


class Pop(Line):
    def greet(self):
        self.greeting = self.line()
        assert self.greeting.startswith(b'+OK'), self.greeting

    def cmd(self, text):
        self.send((text if isinstance(text, bytes) else text.encode()) + b'\r\n')
        r = self.line()
        assert re.match(rb'(\+OK|-ERR|\+)( |$)', r), r
        return r.decode()

    def ok(self, text):
        r = self.cmd(text)
        assert r.startswith('+OK'), '%r: %s' % (text[:80], r)
        return r

    def err(self, text, code=None):
        r = self.cmd(text)
        assert r.startswith('-ERR'), '%r: %s' % (text[:80], r)
        if code:
            assert r.startswith('-ERR [%s]' % code), '%r: wanted [%s], got %s' % (text[:80], code,
                    r)
        return r

    def multi(self):
        """The octets of a multi-line answer, as they were sent, without the last dot; stuffing
        undone."""
        if self.buf.startswith(b'.\r\n'):
            self.buf = self.buf[3:]
            return b''
        parts = bytearray(self.buf)
        self.buf = b''
        at = 0
        while True:
            i = parts.find(b'\r\n.\r\n', max(0, at - 5))
            if parts.startswith(b'.\r\n'):
                out, rest = b'', bytes(parts[3:])
                break
            if i >= 0:
                out, rest = bytes(parts[:i + 2]), bytes(parts[i + 5:])
                break
            at = len(parts)
            self.more()
            parts += self.buf
            self.buf = b''
        self.buf = rest
        if out.startswith(b'..'):
            out = out[1:]
        return out.replace(b'\r\n..', b'\r\n.')

    def lines(self, text):
        self.ok(text)
        return self.multi().decode().splitlines()

    def stat(self):
        m = re.fullmatch(r'\+OK (\d+) (\d+)( .*)?', self.ok('STAT'))
        assert m
        return int(m.group(1)), int(m.group(2))

    def list(self):
        return [tuple(map(int, x.split())) for x in self.lines('LIST')]

    def uidl(self):
        return [x.split(' ')[1] for x in self.lines('UIDL')]

    def retr(self, i):
        self.ok('RETR %d' % i)
        return self.multi()

    def stls(self):
        self.ok('STLS')
        assert not self.buf
        self.wrap()


def cut(data, how):
    """data in pieces: 'burst', 'bytes', or a seed for random ones."""
    if how == 'burst':
        return [data]
    if how == 'bytes':
        return [data[i:i + 1] for i in range(len(data))]
    rnd, out, i = random.Random(how), [], 0
    while i < len(data):
        k = rnd.choice((1, 2, 3, 7, 50, 500))
        out.append(data[i:i + k])
        i += k
    return out


def transcript(c, pieces, timeout=30):
    """Send the pieces one by one while reading what comes; all of it, until the server closes. One
    thread: a TLS
    socket of Python is not to be used by two."""
    got, again = bytearray(), (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    pieces = list(pieces)
    n = at = 0
    by = time.monotonic() + timeout * SLOW
    c.s.setblocking(False)
    while time.monotonic() < by:
        try:
            if n < len(pieces):
                at += c.s.send(pieces[n][at:])
                if at == len(pieces[n]):
                    n, at = n + 1, 0
        except again:
            pass
        except OSError:
            n = len(pieces)
        try:
            b = c.s.recv(65536)
            if not b:
                return bytes(got)
            got += b
        except again:
            if n == len(pieces):
                select.select([c.s], [], [], 0.5)
        except OSError:
            return bytes(got)
    raise AssertionError('no end of the session; so far %r' % bytes(got[-200:]))


def stuff(data):
    if data.startswith(b'.'):
        data = b'.' + data
    return data.replace(b'\r\n.', b'\r\n..') + b'.\r\n'


def plain(user, password, authzid=''):
    return b64('%s\0%s\0%s' % (authzid, user, password))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def message(subject='test', body='Hello\r\n', sender='peer@remote.test', to='alice@localhost'):
    return ('From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 03:03:14 +0000\r\n'
            'Message-ID: <%016x@remote.test>\r\n\r\n%s'
            % (sender, to, subject, random.getrandbits(64), body)).encode()


def crlf(data):
    data = re.sub(rb'\r\n|\r|\n', b'\r\n', data)
    return data if not data or data.endswith(b'\r\n') else data + b'\r\n'


TRACE = re.compile(
    rb'Return-Path: <(?P<path>[^\r\n]*)>\r\n'
    rb'(?:Delivered-To: (?P<delivered>[^\r\n]+)\r\n)?'
    rb'(?P<results>Authentication-Results: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)?'
    rb'(?P<received>Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)')
RECEIVED = re.compile(
    rb'Received: from (?P<helo>\S+) \((?P<info>[^()]*(?:\([^()]*\)[^()]*)*)\)\s+'
    rb'by (?P<by>\S+)(?: \((?P<comment>[^()]*)\))?\s+'
    rb'with (?P<with>[A-Z0-9]+)(?:\s+\((?P<tls>[^()]*)\))?(?:\s+tls \S+)?\s+'
    rb'id (?P<id>[0-9A-Za-z.-]+)(?:\s+\((?P<tls2>[^()]*)\))?(?:\s+for <(?P<for>[^>]*)>)?'
    rb'\s*;\s+(?P<date>[^\r\n]+)\r\n')


def split_trace(raw):
    """(match of the trace fields on top, the rest)"""
    m = TRACE.match(raw)
    assert m, 'no trace fields on top: %r' % raw[:300]
    return m, raw[m.end():]


def same(got, want, what=''):
    if got == want:
        return
    i = next((k for k, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    raise AssertionError('%s: %d octets wanted, %d came; first difference at %d: wanted %r, got %r'
                         % (what, len(want), len(got), i, want[max(0, i - 30):i + 30],
                            got[max(0, i - 30):i + 30]))


ADDED = re.compile(rb'(Date: [^\r\n]+\r\n)?(Message-ID: <[^\r\n]+>\r\n)?(\r\n)?')


def without_added(rest, want):
    """rest without the Date and Message-ID that submission adds at the end of the header, if that
    makes it `want`."""
    n = len(rest) - len(want)
    i = 0
    while n > 0 and want[:i] == rest[:i]:
        if ADDED.fullmatch(rest[i:i + n]) and rest[i + n:] == want[i:]:
            return want
        if want[i:i + 2] == b'\r\n' or i >= len(want):
            break
        i = (want.find(b'\r\n', i) + 2 or len(want) + 2) if b'\r\n' in want[i:] else len(want) + 1
    return rest


def mbox_read(path, unquote=True):
    """Messages of an mboxrd file by Python's mailbox module, >From lines unquoted, LF line ends."""
    box = mailbox.mbox(path, create=False)
    try:
        out = [box.get_bytes(k) for k in box.iterkeys()]
    finally:
        box.close()
    return [re.sub(rb'(?m)^>(>*From )', rb'\1', x) for x in out] if unquote else out


def mbox_valid(data):
    """Invariant 5, by the letter."""
    if not data:
        return
    assert b'\r\n' not in data or True
    assert data.startswith(b'From '), 'does not begin with a From_ line: %r' % data[:80]
    assert data.endswith(b'\n\n'), 'does not end in a blank line: %r' % data[-80:]
    for m in re.finditer(rb'(?m)^From .*$', data):
        assert m.start() == 0 or data[m.start() - 2:m.start()] == b'\n\n', \
            'a From_ line without a blank line before it at %d' % m.start()
        assert re.fullmatch(rb'From \S+ +[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}',
                            m.group(0)), \
            m.group(0)


def wait_for(what, cond, timeout=10):
    by = time.monotonic() + timeout * SLOW
    while True:
        r = cond()
        if r:
            return r
        if time.monotonic() > by:
            raise AssertionError('not within %d s: %s' % (timeout * SLOW, what))
        time.sleep(0.02)


def vectors(*parts):
    d = os.path.join(VECTORS, *parts)
    if not os.path.exists(d):
        raise Skip('no %s' % os.path.join(*parts))
    return d


# ---- running ----

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def run_one(f, counts):
    name = f.__name__.strip('_').replace('_', ' ')
    t = time.monotonic()
    try:
        note = f()
    except Skip as e:
        counts[2] += 1
        print('skip  %s: %s' % (name, e), flush=True)
        return
    except Exception as e:
        counts[1] += 1
        where = traceback.extract_tb(e.__traceback__)
        own = [x for x in where if os.path.basename(x.filename) != 'harness.py'] or where
        line = own[-1].lineno
        print('FAIL  %s (line %d): %s: %s' % (name, line, type(e).__name__, str(e)[:1500] or
                                              own[-1].line), flush=True)
        if os.environ.get('MAILD_TRACE'):
            traceback.print_exc()
        return
    counts[0] += 1
    print('ok    %-60s %5.1f s%s' % (name, time.monotonic() - t, '  ' + note if note else ''),
          flush=True)


def main():
    only = sys.argv[1:]
    counts = [0, 0, 0]
    try:
        for f in TESTS:
            if not only or any(o in f.__name__ for o in only):
                run_one(f, counts)
                for v, s in list(_shared.items()):
                    if not s.running():
                        counts[1] += 1
                        print('FAIL  the server (%s) died during "%s"; log:\n%s' %
                              (v, f.__name__, s.log()[-3000:]))
                        del _shared[v]
        run_one(servers_stop_cleanly, counts)
    finally:
        for s in SERVERS:
            s.kill()
        if os.environ.get('MAILD_KEEP'):
            print('kept', SCRATCH)
        else:
            shutil.rmtree(SCRATCH, ignore_errors=True)
    print('%d passed, %d failed, %d skipped' % tuple(counts))
    sys.exit(1 if counts[1] else 0)


def servers_stop_cleanly():
    bad = []
    for s in SERVERS:
        try:
            s.stop()
        except RuntimeError as e:
            bad.append(str(e))
        m = SAN_REPORT.search(s.log())
        if m:
            bad.append(s.log()[max(0, m.start() - 200):m.start() + 3000])
    assert not bad, '\n'.join(bad)
