#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""The sandbox of the running server, from inside: a server with a hole (test/sandbox/probe.c) has
served a mail and then does what it must not. Started by root and by an ordinary user, on this
kernel and on those that lack Landlock, seccomp or both (test/sandbox/without.c)."""
import errno

from harness import *

SINK = 32625
VARIANTS['sandboxed'] = [
    HOSTNAME, DOMAINS, TABLE, CLEAR, FASTLOGIN,
    (r'\{ "\*", "\*", "", 25, ROUTE_MAY, "", "", ROUTE_SMTP \},',
     '{ "*", "*", "[127.0.0.1]", %d, ROUTE_CLEAR, "", "", ROUTE_SMTP },' % SINK)]
VARIANTS['unboxed'] = VARIANTS['sandboxed'] + [setting('sandbox', '0')]
VARIANTS['scanned'] = VARIANTS['sandboxed'] + [
    (r'\{ "", "", 0, DOWN_ACCEPT, 0 \},', '{ "one", "unix:run/one", 1, DOWN_ACCEPT, 5000 },'
     '{ "two", "inet:127.0.0.1:%d", 1, DOWN_ACCEPT, 5000 },' % (SINK + 1))]
USER = 65534
KILLED, DONE = 'killed', 0
HERE = os.path.join(TOP, 'test', 'sandbox')


def cc(*args):
    r = subprocess.run([os.environ.get('MAILD_CC') or 'musl-gcc', '-std=c11', '-D_GNU_SOURCE='] +
                       list(args), capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr


def tools():
    """probe.o becomes a part of all that is built here; a program that takes away."""
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(HERE, 'probe.c'), 'rb') as f:
        probe = os.path.join(OUT, 'probe-%s.o' % hashlib.sha256(f.read()).hexdigest()[:8])
    if not os.path.exists(probe):
        cc('-Os', '-fPIE', '-c', '-o', probe + str(os.getpid()), os.path.join(HERE, 'probe.c'))
        os.rename(probe + str(os.getpid()), probe)
    flags = os.environ.get('MAILD_LDFLAGS', '-static -Wl,-z,relro,-z,now')
    os.environ['MAILD_LDFLAGS'] = flags + ' ' + probe
    without = os.path.join(SCRATCH, 'without')
    cc('-static', '-I', TOP, '-o', without, os.path.join(HERE, 'without.c'))
    return without


WITHOUT = tools()


def versions():
    """What this kernel has: the version of Landlock (0: none)."""
    import ctypes
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


LANDLOCK = versions()


class Probe(Server):
    """A server with a hole, of root or of an ordinary user, on a kernel that lacks something."""

    def __init__(self, act, user=0, lacks=None, variant='sandboxed'):
        prefix = [WITHOUT, lacks] if lacks else []
        if user and ROOT:
            prefix += ['setpriv', '--reuid=%d' % user, '--regid=%d' % user, '--clear-groups']
        self.act = act
        self.pipe, self.end = os.pipe()
        os.set_inheritable(self.end, True)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.other = subprocess.Popen(['sleep', '600'], user=user if user and ROOT else None)
        super().__init__(variant, prefix=prefix, start=False, env={
            'PROBE': act, 'PROBE_FD': str(self.end), 'PROBE_PID': str(self.other.pid),
            'PROBE_PORT': str(self.listener.getsockname()[1])})
        # where everybody may run it
        self.bin = shutil.copy(self.bin, os.path.join(SCRATCH, 'maild-' + variant))
        os.makedirs(self.store, 0o700)
        if user and ROOT:
            os.chown(self.store, user, user)
        self.prepare()
        self.start()
        self.passwd('alice')

    def prepare(self):
        pass

    def spawn(self):
        with open(self.logname, 'a') as log:
            self.proc = subprocess.Popen(self.prefix + [self.bin, '-d', self.store, '-p',
                                                        str(self.n)],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env=self.env, pass_fds=[self.end])

    def holds(self):
        return set(re.search(r' sandbox holds=(\S+)', self.log()).group(1).split(','))

    def done(self):
        """A mail is served, then the hole is used: how that went."""
        self.deliver(message('before'))
        assert len(self.fetch()) == 1
        return self.use()

    def use(self):
        self.signal(signal.SIGUSR1)
        by = time.monotonic() + 10 * SLOW
        while time.monotonic() < by:
            if select.select([self.pipe], [], [], 0.02)[0]:
                return int(os.read(self.pipe, 32))
            if self.proc.poll() is not None:
                return KILLED if self.proc.returncode == -signal.SIGSYS else \
                    'ended with %s' % self.proc.returncode
        raise AssertionError('nothing happened')

    def close(self):
        if self.proc and self.proc.poll() is not None:
            self.proc = None
        self.kill()
        self.other.kill()
        self.other.wait()
        os.close(self.pipe)
        os.close(self.end)
        self.listener.close()


def outcome(*args, **kw):
    s = Probe(*args, **kw)
    try:
        return s.done(), s.holds() if 'variant' not in kw else set()
    finally:
        s.close()
        SERVERS.remove(s)


def name(x):
    return errno.errorcode.get(x, x) if x else x


def expect(user, lacks, table):
    bad, n = [], 0
    for act, want in table.items():
        got, holds = outcome(act, user=user, lacks=lacks)
        n += 1
        if got not in (want if isinstance(want, tuple) else (want,)):
            bad.append('%s: %s' % (act, name(got)))
    assert not bad, ', '.join(bad)
    return '%d acts' % n


NEEDS = {'files': 2, 'ports': 4, 'signals': 6}


def modes():
    return [0, USER] if ROOT else [USER]


def both(f):
    """A test as root and as an ordinary user."""
    for user in modes():
        def one(user=user):
            return f(user)
        one.__name__ = '%s_%s' % (f.__name__, 'by_a_user' if user else 'by_root')
        test(one)


@both
def it_says_what_holds(user):
    always = {'limits', 'dump'} | (set() if user else {'chroot'})
    lock = {k for k, v in NEEDS.items() if LANDLOCK >= v}
    for lacks, want in ((None, lock | {'seccomp'}), ('landlock', {'seccomp'}), ('seccomp', lock),
                        ('both', set())):
        s = Probe('nothing', user=user, lacks=lacks)
        try:
            assert s.holds() == want | always, (lacks, s.holds())
            assert s.done() == DONE and s.running()
            s.stop()
        finally:
            s.close()
            SERVERS.remove(s)


# What kills it, whoever has started it, with Landlock or without.
FATAL = ('exec', 'exec-kept', 'fork', 'ptrace', 'ptrace-other', 'kill', 'bind', 'listen', 'setuid',
         'setresuid', 'setgid', 'mount', 'unshare', 'chroot', 'code')


@both
def what_is_not_on_the_list_kills(user):
    return expect(user, None, dict.fromkeys(FATAL, KILLED))


@both
def nothing_outside_is_opened_no_other_port_connected(user):
    if LANDLOCK < 4:
        raise Skip('Landlock of version %d' % LANDLOCK)
    gone = errno.EACCES if user else errno.ENOENT   # Landlock, or not below the new root
    return expect(user, None, {
        'open': gone, 'open-dots': gone, 'open-proc': gone, 'open-kept': errno.EACCES,
        'open-kept-proc': (errno.EACCES, errno.ENOENT), 'list-kept': errno.EACCES,
        'connect': errno.EACCES})


@both
def without_landlock(user):
    """The root that was changed still holds, and the list of calls."""
    gone = DONE if user else errno.ENOENT
    table = {'open': gone, 'open-dots': gone, 'open-proc': gone, 'connect': DONE}
    table.update(dict.fromkeys(('exec', 'bind', 'setuid', 'fork', 'kill', 'ptrace'), KILLED))
    return expect(user, 'landlock', table)


@both
def without_seccomp(user):
    if LANDLOCK < 6:
        raise Skip('Landlock of version %d' % LANDLOCK)
    gone = errno.EACCES if user else errno.ENOENT
    return expect(user, 'seccomp', {
        'open': gone, 'open-kept': errno.EACCES, 'exec': gone, 'exec-kept': errno.EACCES,
        'connect': errno.EACCES, 'bind': errno.EACCES, 'fork': errno.EAGAIN, 'kill': errno.EPERM,
        'ptrace-other': errno.EPERM, 'setuid': errno.EPERM, 'setresuid': errno.EPERM,
        'setgid': errno.EPERM, 'mount': errno.EPERM, 'chroot': errno.EPERM})


@both
def without_both(user):
    """What is as old as the hills still holds."""
    gone = DONE if user else errno.ENOENT
    return expect(user, 'both', {
        'open': gone, 'fork': errno.EAGAIN, 'setuid': errno.EPERM, 'setresuid': errno.EPERM,
        'mount': errno.EPERM, 'chroot': errno.EPERM, 'connect': DONE, 'bind': DONE})


@test
def switched_off_the_same_acts_are_done():
    """So the hole does what it is to do."""
    for act in ('open', 'open-dots', 'open-proc', 'open-kept', 'fork', 'connect', 'bind', 'listen',
                'kill', 'ptrace', 'code'):
        got, _ = outcome(act, user=USER, variant='unboxed')
        assert got == DONE, (act, name(got))
    got, _ = outcome('exec', user=USER, variant='unboxed')
    assert got == 'ended with 0', got


@test
def the_numbers_are_those_of_the_kernel():
    arch = {'x86_64': 'X86_64', 'aarch64': 'AARCH64', 'riscv64': 'RISCV64'}.get(os.uname().machine)
    dirs = ['/usr/include', '/usr/include/%s-linux-gnu' % os.uname().machine]
    asm = [d for d in dirs if os.path.exists(d + '/asm/unistd.h')]
    if not arch or not asm or not os.path.exists('/usr/include/linux/audit.h'):
        raise Skip('no headers of the kernel')
    r = subprocess.run(['sh', os.path.join(HERE, 'numbers'),
                        os.environ.get('MAILD_CC') or 'musl-gcc', 'AUDIT_ARCH_' + arch, asm[0],
                        '/usr/include'], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout.strip()


# ---- an ordinary day ----

class Sink(threading.Thread):
    """A server that takes mail."""

    def __init__(self):
        super().__init__(daemon=True)
        self.got = []
        self.s = socket.create_server(('127.0.0.1', SINK), reuse_port=True)
        self.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.s.shutdown(socket.SHUT_RDWR)               # or accept() goes on
        self.s.close()

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            c.settimeout(10)
            with c, c.makefile('rwb') as f, contextlib.suppress(OSError):
                self.talk(f)

    def talk(self, f):
        def say(x):
            f.write(x + b'\r\n')
            f.flush()
        say(b'220 sink')
        for line in f:
            v = line[:4].upper()
            if v == b'DATA':
                say(b'354 go')
                text = b''
                while not text.endswith(b'\r\n.\r\n'):
                    text += f.readline()
                self.got.append(text)
                say(b'250 taken')
            elif v == b'QUIT':
                say(b'221 bye')
                return
            else:
                say(b'250 ok')


def day(user, lacks):
    sink = Sink()
    s = Probe('nothing', user=user, lacks=lacks)
    try:
        s.passwd('bob')                                     # accounts come while it runs
        for i in range(3):
            s.deliver(message('in %d' % i))
        s.deliver(message('large', 'x' * 70 + '\r\n' + ('y' * 70 + '\r\n') * 9000))
        with s.sender() as c:                               # over TLS, to ours and outside
            c.mail(message('out'), ['bob@localhost', 'x@far.test'], 'alice@localhost')
        wait_for('mail outside', lambda: any(b'Subject: out' in x for x in sink.got))
        r = subprocess.run([s.bin, '-d', s.store, 'sendmail', '-f', 'alice@localhost',
                            'alice@localhost', 'far@far.test'], input=b'Subject: cron\n\nok\n',
                           capture_output=True, timeout=60)
        assert r.returncode == 0, r
        wait_for('mail of sendmail', lambda: any(b'Subject: cron' in x for x in sink.got))
        wait_for('an empty queue', lambda: s.command('queue').stdout == 'the queue is empty\n')
        s.settled()
        with s.login() as p:
            assert p.stat()[0] == 5
            p.ok('DELE 2')
            p.ok('DELE 4')
            p.ok('QUIT')
        assert [re.search(rb'Subject: ([^\r]*)', x).group(1) for x in s.fetch()] == \
            [b'in 0', b'in 2', b'cron']
        sink.close()                                        # nobody there: deferred, then dropped
        with s.sender() as c:
            i = c.mail(message('later'), 'y@far.test', 'alice@localhost')
        assert s.wait_log(r' %s deferred ' % i, 20)
        assert s.command('drop', i).returncode == 0
        wait_for('the report', lambda: any(b'y@far.test' in x for x in s.fetch()))
        mark = len(s.log())
        os.unlink(s.path('tls', 'cert.pem'))                # another certificate
        os.unlink(s.path('tls', 'key.pem'))
        other = Server('sandboxed', start=False)
        os.makedirs(other.store, 0o700)
        other.start()
        other.stop()
        SERVERS.remove(other)
        for f in ('key.pem', 'cert.pem'):
            shutil.copy(other.path('tls', f), s.path('tls', f + '.new'))
            st = os.stat(s.path('tls'))
            os.chown(s.path('tls', f + '.new'), st.st_uid, st.st_gid)
            os.rename(s.path('tls', f + '.new'), s.path('tls', f))
        s.signal(signal.SIGHUP)
        assert s.wait_log(r' tls cert=', 10, mark), s.log()[mark:]
        s.deliver(message('after'))
        assert s.use() == DONE
        assert s.stop() == 0
        assert ' stopped\n' in s.log()
    finally:
        s.close()
        sink.close()
        SERVERS.remove(s)


class Scanned(Probe):
    def prepare(self):
        os.mkdir(self.path('run'))
        os.chmod(self.path('run'), 0o755)
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(self.path('run', 'one'))
        os.chmod(self.path('run', 'one'), 0o666)
        unix.listen()
        self.scanners = [unix, socket.create_server(('127.0.0.1', SINK + 1), reuse_port=True)]


@both
def scanners_are_reached(user):
    """Through a socket of the store and a port that a row names; they hang up at once."""
    s = Scanned('connect', user=user, variant='scanned')
    came = [0, 0]

    def hang_up(i):
        with contextlib.suppress(OSError):
            while True:
                s.scanners[i].accept()[0].close()
                came[i] += 1
    for i in (0, 1):
        threading.Thread(target=hang_up, args=(i,), daemon=True).start()
    try:
        s.deliver(message('scanned'))
        assert min(came) > 0, (came, s.log())
        assert LANDLOCK < 4 or s.use() == errno.EACCES
    finally:
        for x in s.scanners:
            x.shutdown(socket.SHUT_RDWR)
            x.close()
        s.close()
        SERVERS.remove(s)


@both
def an_ordinary_day_goes_on_inside(user):
    for lacks in (None, 'landlock', 'seccomp'):
        day(user, lacks)


main()
