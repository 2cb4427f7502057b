# See LICENSE file for copyright and licence details.
"""What the interop checks share: counting, a server, raw SMTP and POP3, certificates, mails."""
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

PASSWORD = 'correct horse 8.Battery'
OWNER = 8025  # who the store belongs to when the server was started by root
PORTS = (25, 587, 465, 110, 995)
HERE = os.path.dirname(os.path.abspath(__file__))

passed = failed = 0


def check(name, good, why=''):
    """One counted check; returns whether it was good."""
    global passed, failed
    if good:
        passed += 1
        print('ok    ' + name, flush=True)
    else:
        failed += 1
        print('FAIL  ' + name + (': ' + str(why).strip()[-1500:] if why else ''), flush=True)
    return bool(good)


def case(name, function, *args):
    """Run a function that makes checks of its own; whatever it raises is a failed check."""
    try:
        return function(*args)
    except Exception as e:
        check(name, False, '%s: %s' % (type(e).__name__, e))
        if os.environ.get('TRACE'):
            import traceback
            traceback.print_exc()
        return None


def run(argv, data=b'', env=None, seconds=60, user=None, cwd=None):
    """A program with a bound on its time: (exit code, all its output). 124: out of time."""
    e = dict(os.environ, LC_ALL='C', TZ='UTC')
    e.update(env or {})
    k = {}
    if user and os.getuid() == 0:
        k = dict(user=user, group=user, extra_groups=[])
    p = subprocess.Popen(argv,
                         stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT,
                         env=e,
                         cwd=cwd,
                         start_new_session=True,
                         **k)
    try:
        out, _ = p.communicate(data, timeout=seconds)
        return p.returncode, out.decode('utf-8', 'replace')
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        return 124, out.decode('utf-8', 'replace') + '\n(no end within %d s)' % seconds


def until(condition, seconds=10, step=0.05):
    """Wait for a condition, bounded; its last value."""
    end = time.monotonic() + seconds
    while True:
        v = condition()
        if v or time.monotonic() > end:
            return v
        time.sleep(step)


def write(path, data, mode=0o600):
    if isinstance(data, str):
        data = data.encode()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), 'wb') as f:
        f.write(data)
    return path


def read(path):
    with open(path, 'rb') as f:
        return f.read()


# ---- the server ----


def free_port():
    """A port that is free for UDP and TCP, below those that connections get for themselves."""
    for _ in range(200):
        a = '127.0.0.1', random.randrange(10000, 32000)
        with socket.socket(type=socket.SOCK_DGRAM) as u, socket.socket() as t:
            try:
                u.bind(a)
                t.bind(a)
                return a[1]
            except OSError:
                continue
    raise RuntimeError('no free port')


def free_offset():
    """An N for -p such that all ports are free."""
    for _ in range(200):
        n = random.randrange(10000, 31000)
        held = []
        try:
            for p in PORTS:
                for family in (socket.AF_INET, socket.AF_INET6):
                    s = socket.socket(family)
                    held.append(s)
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind(('', p + n))
            return n
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError('no free ports')


class Server:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.top = tempfile.mkdtemp(prefix='interop.')
        os.chmod(self.top, 0o755)
        self.dir = self.top + '/store'
        self.log = self.top + '/log'
        self.offset = free_offset()
        self.made = 0
        self.process = None

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([self.binary, '-d', self.dir, '-p',
                                             str(self.offset)],
                                            stdin=subprocess.DEVNULL,
                                            stdout=log,
                                            stderr=log,
                                            start_new_session=True)
        if not until(self.answers, 20):
            raise RuntimeError('the server does not start: ' +
                               read(self.log).decode(errors='replace'))

    def answers(self):
        if self.process.poll() is not None:
            return False
        try:
            for p in PORTS:
                socket.create_connection(('localhost', self.port(p)), 5).close()
            with Line(self, 25) as l:
                l.line()
            return True
        except (OSError, RuntimeError):
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
                return None
        return self.process.returncode if self.process else None

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def port(self, p):
        return p + self.offset

    def user(self, name):
        code, out = run([self.binary, 'passwd', '-d', self.dir, name], PASSWORD.encode() + b'\n')
        if code:
            raise RuntimeError('passwd %s: %d %s' % (name, code, out))
        return name

    def fresh(self, mails=(), prefix='u'):
        """A new account that already has these mails."""
        self.made += 1
        name = self.user('%s%d' % (prefix, self.made))
        self.deliver(name, mails)
        return name

    def box(self, name):
        return self.dir + '/mail/' + name

    def deliver(self, name, mails):
        if not mails:
            return
        with Smtp(self) as s:
            for m in mails:
                s.send('outside@example.org', [name + '@localhost'], m)

    def tail(self, n=10):
        return '\n'.join(read(self.log).decode(errors='replace').splitlines()[-n:])


class Line:
    """Lines over a socket, with a bound on every wait."""
    def __init__(self, server, port):
        self.s = socket.create_connection(('localhost', server.port(port)), 30)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.f = self.s.makefile('rb')

    def tls(self, ca=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = ca is not None
        c.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
        if ca:
            c.load_verify_locations(ca)
        self.s = c.wrap_socket(self.s, server_hostname='localhost')
        self.f = self.s.makefile('rb')

    def line(self):
        l = self.f.readline()
        if not l.endswith(b'\r\n'):
            raise RuntimeError('the server hung up, last: %r' % l)
        return l[:-2]

    def put(self, text):
        self.s.sendall(text + b'\r\n' if isinstance(text, bytes) else text.encode() + b'\r\n')

    def close(self):
        try:
            self.f.close()
            self.s.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()


class Smtp(Line):
    def __init__(self, server, port=25):
        super().__init__(server, port)
        self.reply()
        self.ask('EHLO client.example.org')

    def reply(self):
        while True:
            l = self.line()
            if l[3:4] != b'-':
                return l.decode('latin1')

    def ask(self, text, want='2'):
        self.put(text)
        r = self.reply()
        if not r.startswith(want):
            raise RuntimeError('%s: %s' % (text, r))
        return r

    def send(self, sender, recipients, mail):
        self.ask('MAIL FROM:<%s> BODY=8BITMIME' % sender)
        for r in recipients:
            self.ask('RCPT TO:<%s>' % r)
        self.ask('DATA', '3')
        self.s.sendall(re.sub(rb'(?m)^\.', b'..', mail) + b'.\r\n')
        r = self.reply()
        if not r.startswith('250'):
            raise RuntimeError('end of data: ' + r)
        return r


class Pop3(Line):
    """A session that has logged in over STLS."""
    def __init__(self, server, name):
        super().__init__(server, 110)
        self.line()
        self.ask('STLS')
        self.tls()
        self.ask('USER ' + name)
        self.ask('PASS ' + PASSWORD)

    def ask(self, text):
        self.put(text)
        l = self.line().decode('latin1')
        if not l.startswith('+OK'):
            raise RuntimeError('%s: %s' % (text, l))
        return l

    def lines(self, text):
        self.ask(text)
        out = []
        while True:
            l = self.line()
            if l == b'.':
                return out
            out.append(l[1:] if l[:1] == b'.' else l)

    def retr(self, i):
        return b''.join(l + b'\r\n' for l in self.lines('RETR %d' % i))

    def sizes(self):
        return [int(l.split()[1]) for l in self.lines('LIST')]

    def all(self):
        return [self.retr(i + 1) for i in range(len(self.sizes()))]


def mails(server, name):
    """All messages of an account as POP3 hands them out; sizes and counts must agree."""
    with Pop3(server, name) as p:
        n, octets = map(int, p.ask('STAT').split()[1:3])
        sizes = p.sizes()
        out = [p.retr(i + 1) for i in range(n)]
        p.ask('QUIT')
    if len(sizes) != n or sum(sizes) != octets or sizes != [len(m) for m in out]:
        raise RuntimeError(
            'STAT %d %d, LIST %r, RETR %r' % (n, octets, sizes, [len(m) for m in out]))
    return out


def wait_mails(server, name, n):
    """The same once there are n; large mail comes a little after its 250."""
    until(lambda: len(mails(server, name)) >= n, 15, 0.2)
    return mails(server, name)


# ---- mailboxes: our own reading of the format, from its definition ----

FROM = re.compile(rb'From .*(Mon|Tue|Wed|Thu|Fri|Sat|Sun) '
                  rb'(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9]?\d \d\d:\d\d')


def split_raw(data):
    """The messages of an mbox file, still quoted, LF, without From_ and separating blank line."""
    out, blank = [], True
    lines = data.split(b'\n')
    if lines[-1] == b'':
        lines.pop()
    for l in lines:
        if blank and FROM.match(l):
            if out and out[-1] and out[-1][-1] == b'':
                out[-1].pop()
            out.append([])
        elif out:
            out[-1].append(l)
        else:
            raise RuntimeError('the mailbox does not begin with a From_ line: %r' % l[:60])
        blank = l == b''
    if out and out[-1] and out[-1][-1] == b'':
        out[-1].pop()
    return [b''.join(l + b'\n' for l in m) for m in out]


def quote(m):
    return re.sub(rb'(?m)^(>*From )', rb'>\1', m)


def unquote(m):
    return re.sub(rb'(?m)^>(>*From )', rb'\1', m)


def split(data):
    return [unquote(m) for m in split_raw(data)]


def lf(m):
    return m.replace(b'\r\n', b'\n')


def crlf(m):
    return lf(m).replace(b'\n', b'\r\n')


OWN = (b'status', b'x-status', b'x-keywords', b'x-uid', b'x-imap', b'x-imapbase',
       b'content-length', b'lines', b'x-mozilla-status', b'x-mozilla-status2')


def bare(m, drop=OWN):
    """A message (LF) without the header fields in which mail readers keep their notes."""
    head, sep, body = m.partition(b'\n\n')
    out, keep = [], True
    for l in head.split(b'\n'):
        if l[:1] not in b' \t' or not l:
            keep = l.split(b':')[0].strip().lower() not in drop or b':' not in l
        if keep:
            out.append(l)
    return b'\n'.join(out) + sep + body


def trace(m):
    """The length of what the server put on top: Return-Path, Delivered-To, one Received."""
    n, received = 0, False
    for l in m.split(b'\n'):
        if not re.match(rb'(Return-Path|Delivered-To|Received):|[ \t]', l):
            break
        if l[:9] == b'Received:':
            if received:
                break
            received = True
        n += len(l) + 1
    return n


def agree(server, name):
    """POP3 shows exactly what the file holds (looked at when nothing changes); returns it."""
    for _ in range(40):
        held = box_bytes(server, name)
        seen = mails(server, name)
        if box_bytes(server, name) == held:
            break
        time.sleep(0.25)
    held = [crlf(m) for m in split(held)] if held else []
    if seen != held:
        raise RuntimeError('POP3 shows %d messages, the file has %d; first difference: %s' %
                           (len(seen), len(held), difference(seen, held)))
    return seen


def box_bytes(server, name):
    try:
        return read(server.box(name))
    except FileNotFoundError:
        return b''


def difference(a, b):
    """Where two lists of messages part."""
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            k = next((k for k in range(min(len(x), len(y))) if x[k] != y[k]), min(len(x), len(y)))
            return 'message %d of %d/%d octets, at %d: %r / %r' % (
                i + 1, len(x), len(y), k, x[max(0, k - 40):k + 60], y[max(0, k - 40):k + 60])
    return '%d / %d messages' % (len(a), len(b)) if len(a) != len(b) else 'none'


def same(name, a, b):
    return check(name, a == b, difference(a, b))


# ---- certificates of a test authority ----


class Authority:
    def __init__(self, top):
        self.dir = top + '/ca'
        os.mkdir(self.dir, 0o755)
        self.cert = self.dir + '/ca.pem'
        self.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                     '-nodes', '-keyout', self.dir + '/ca.key', '-out', self.cert, '-days', '90',
                     '-subj', '/CN=interop test authority', '-addext',
                     'basicConstraints=critical,CA:TRUE', '-addext',
                     'keyUsage=critical,keyCertSign,cRLSign')
        os.chmod(self.cert, 0o644)

    def openssl(self, *args):
        code, out = run(('openssl', ) + args)
        if code:
            raise RuntimeError('openssl %s: %s' % (args[0], out))

    def issue(self, kind):
        """A chain for localhost: (certificates, key), both PEM."""
        key, csr, crt = (self.dir + '/' + kind + s for s in ('.key', '.csr', '.crt'))
        new = ['-newkey', 'rsa:2048'
               ] if kind == 'rsa' else ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
        self.openssl('req', *new, '-nodes', '-keyout', key, '-out', csr, '-subj', '/CN=localhost')
        ext = write(
            self.dir + '/ext',
            'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n'
            'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n')
        self.openssl('x509', '-req', '-in', csr, '-CA', self.cert, '-CAkey', self.dir + '/ca.key',
                     '-CAcreateserial', '-days', '80', '-sha256', '-extfile', ext, '-out', crt)
        return read(crt) + read(self.cert), read(key)


def install(server, authority, kind):
    """Give the running server another certificate; it is taken at once on SIGHUP."""
    chain, key = authority.issue(kind)
    for name, data in (('key.pem', key), ('cert.pem', chain)):
        path = server.dir + '/tls/' + name
        write(path + '.new', data)
        if os.getuid() == 0:
            os.chown(path + '.new', OWNER, OWNER)
        os.rename(path + '.new', path)
    server.hup()

    leaf = ssl.PEM_cert_to_DER_cert(chain.decode().partition('-----END CERTIFICATE-----')[0] +
                                    '-----END CERTIFICATE-----\n')

    def taken():
        try:
            with Line(server, 995) as l:
                l.tls(authority.cert)
                return l.s.getpeercert(True) == leaf
        except OSError:
            return False

    return until(taken, 5)


# ---- mails ----

HEAD = ('From: Zoe <outside@example.org>\r\nTo: someone@localhost\r\nSubject: %s\r\n'
        'Date: Thu, 05 Nov 2026 10:11:12 +0000\r\nMessage-ID: <%s@example.org>\r\n')


def head(key, more=''):
    return (HEAD % (key, key) + more + '\r\n').encode()


def ordinary():
    """Mails that every program must be able to carry: (key, CR LF bytes)."""
    body8 = 'Gr\u00fc\u00dfe, \u4f60\u597d, \u043f\u0440\u0438\u0432\u0435\u0442\r\n'.encode()
    mime = ('MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
            'Content-Transfer-Encoding: 8bit\r\n')
    return [
        ('plain', head('plain') + b'Hello,\r\n\r\nall is well.\r\n'),
        ('dots', head('dots') + b'.\r\n..\r\n...\r\n.x\r\n\r\n.\r\nend.\r\n'),
        ('from',
         head('from') + b'From me to you\r\n\r\nFrom x Thu Nov  5 10:11:12 2026\r\n>From one\r\n'
         b'>>From two\r\n From three\r\n\r\n>From x Thu Nov  5 10:11:12 2026\r\nend\r\n'),
        ('eight', head('eight', mime) + body8 * 3 + b'\xe9t\xe9 \xff\xfe\r\n'),
        ('long', head('long') + b'x' * 998 + b'\r\n' + b'y' * 997 + b'.\r\n' + b'z\t \r\n' * 40),
        ('empty', head('empty')),
        ('big', head('big') +
         b''.join(b'%07d 0123456789 abcdefghijklmnopqrstuvwxyz, the quick brown fox\r\n' % i
                  for i in range(5000))),
    ]


def awkward():
    """Mails that mailbox formats and their readers get wrong."""
    return ordinary()[:6] + [
        ('noend', head('noend') + b'two blank lines follow\r\n\r\n\r\n'),
        ('many', head('many') + b'six blank lines follow\r\n\r\n\r\n\r\n\r\n\r\n\r\n'),
        ('blanks', head('blanks') + b'\r\n\r\n\r\n'),
        ('startblank', head('startblank') + b'\r\n\r\ntwo blank lines before\r\n'),
        ('headless',
         b'\r\nkey headless: a body without a header\r\n\r\nFrom a Thu Nov  5 10:11:12 2026\r\n'),
        ('fromfirst', b'\r\nFrom a Thu Nov  5 10:11:12 2026\r\nX: key fromfirst\r\n\r\nbody\r\n'),
        ('fromlast', head('fromlast') + b'text\r\n\r\nFrom a Thu Nov  5 10:11:12 2026\r\n'),
        ('frompair',
         head('frompair') + b'text\r\n\r\nFrom \r\n\r\nFrom a@b\r\n\r\nFROM x\r\nfrom x\r\n'),
        ('quoted', head('quoted') +
         b'>>>>>>>>>>>>>>>>>>>>>>>>>>>>From deep\r\n>From\r\n>From:x\r\n> From \r\n'),
        ('length', head('length', 'Content-Length: 3\r\n') +
         b'abc\r\n\r\nFrom a Thu Nov  5 10:11:12 2026\r\n'
         b'Subject: not a mail\r\n\r\nbody\r\n'),
        ('longlength',
         head('longlength', 'Content-Length: 1000000\r\nLines: 7\r\n') + b'short\r\n'),
        ('fold', head('fold', 'X-Fold: a\r\n\tb\r\n c\r\nX-Empty:\r\n') + b'x\r\n'),
        ('mbox', head('mbox') +
         b''.join(b'From a@b Thu Nov  5 10:11:12 2026\r\n' + head('in%d' % i) + b'body\r\n\r\n'
                  for i in range(5))), ('wide', head('wide') + b'w' * 5000 + b'\r\n'),
        ('space', head('space') + b' \r\n\t\r\nFrom behind a line that is not blank\r\n \r\n'),
        ('last', head('last') + b'the last one\r\n'),
    ]


def clean(server):
    shutil.rmtree(server.top, ignore_errors=True)


if __name__ == '__main__':
    sys.exit('run.py is the one to start')
