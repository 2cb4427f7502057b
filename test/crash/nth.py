#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Something happens to the n-th file-system call of a scenario, for every n; then the store is
judged.

  nth.py [-j JOBS] [-e EVERY] [-o] BINARY INJECT WORKDIR ACTION...

BINARY is maild built with rig.crash_config(), INJECT is inject.c built. WORKDIR is best on tmpfs.
ACTION is one of those of inject.c: kill torn | short full ENOSPC EIO EROFS (the server must answer
4xx and go on); ENOSPC*20: so many calls in a row; cut:ext4, cut:xfs: the server is killed at the
n-th changing call and the loop-mounted file system shut down without writing anything back;
cut-nosync:ext4: the same with sync calls that do nothing (must find faults; -o: stop at the first);
strace:CALL: killed by strace at its n-th such call, as a check of inject.c.
Prefix passwd-, newuser- or userdel- to an action: the command, not the server, is hit; recover-:
the start after a crash is hit; relay-: mail for another server. Needs root. The final
line is `N passed, N failed`; a test is one ACTION at one n."""
import argparse, ctypes, multiprocessing, os, random, re, shutil, subprocess, sys, time, traceback
sys.dont_write_bytecode = True
import rig

CLONE_NEWNET = 0x40000000
ERRORS = ('short', 'full', 'ENOSPC', 'EIO', 'EROFS')


def serve(world):
    """Deliveries and deletions of all kinds; about a checkpoint's time lies between the parts."""
    b = world.book
    rig.deliver(world,
                [b.letter('a1', ['alice']), b.letter('a2', ['alice'], 1500),
                 b.letter('b1', ['bob'])],
                [b.letter('ab', ['alice', 'bob'], 3000)],
                [b.letter('e1', ['erin'])])
    rig.deliver(world, [b.letter('big', ['bob'], 300 << 10)], [b.letter('c1', ['carol'])])
    # the newest letter goes while it is only in the journal, then one comes to the same place
    rig.delete(world, 'carol', lambda toks: toks)
    rig.deliver(world, [b.letter('c2', ['carol'])])
    rig.delete(world, 'dave', lambda toks: toks)
    time.sleep(.08)
    f1 = b.letter('f1', ['frank'])
    rig.delete(world, 'frank', lambda toks: toks[1:4],
               lambda: rig.deliver(world, [f1]))
    rig.deliver(world, [b.letter('ef', ['erin', 'frank', 'dave'], 2500)])
    rig.delete(world, 'erin', lambda toks: toks[-2:])
    rig.deliver(world, [b.letter('big2', ['alice', 'erin'], 100 << 10)])
    rig.delete(world, 'alice', lambda toks: toks[:1] + toks[-1:])
    time.sleep(.08)
    rig.deliver(world, [b.letter('z%d' % i, ['carol'], 20000) for i in range(3)],
                [b.letter('y%d' % i, ['alice'], 20000) for i in range(3)])


class Run:
    """One scenario with one blow. `faults`: what was found; `hit`: the call ('': no call n)."""

    def __init__(self, o, k, book, action, n):
        self.o, self.book, self.action, self.n = o, rig.Book(book), action, n
        self.add = 1000 * (k + 1)
        self.dir = os.path.join(o.workdir, 'w%d' % k)
        self.faults, self.hit = [], ''
        os.makedirs(self.dir, exist_ok=True)
        self.store = os.path.join(self.dir, 'store')
        self.report = os.path.join(self.dir, 'report')
        self.log = os.path.join(self.dir, 'log')
        for f in (self.report, self.log, self.store + '.judge'):
            if os.path.exists(f):
                os.unlink(f)

    def wrap(self):
        if self.action.startswith('strace:'):
            call = self.action[7:]
            return ['strace', '-f', '-q', '-o', self.report, '-e', 'trace=' + call, '-e',
                    'inject=%s:signal=KILL:when=%d' % (call, self.n)]
        a, _, count = self.action.partition('*')
        return [self.o.inject, '-r', self.report, '-a', a, '-n', str(self.n), '-c', count or '1']

    def struck(self):
        with open(self.report) as f:
            rows = f.readlines()
        hits = [r.split(' ', 1)[1].strip() for r in rows if r.startswith('fired')]
        if any('killed by SIGKILL' in r for r in rows):
            hits = [r.strip() for r in rows][-2:]
        self.hit = hits[0] if hits else ''

    def scenario(self, part):
        """Start, work, SIGTERM, all under inject."""
        srv = rig.Server(self.o.binary, self.store, self.add, self.wrap(), self.log, self.report)
        self.world = w = rig.World(self.book, 25 + self.add, 110 + self.add, alive=srv.alive)
        w.patient = self.action.split('*')[0] in ERRORS
        try:
            if srv.up():
                part(w)
            elif w.patient and srv.alive():
                w.fault('the server neither starts nor ends')
        except rig.Gone as e:
            if w.patient:
                w.fault('the server is gone (%s): %s', e, srv.log()[-400:])
        finally:
            code = srv.stop()
        self.struck()
        if not self.hit or self.action.split('*')[0] in ('short', ):
            if code:
                w.fault('exit %s: %s', code, srv.log()[-400:])
        if code is None:
            w.fault('SIGTERM did not end it')
        if w.refused and w.patient:
            said = srv.log()
            if not re.search(r'-trouble |I/O error|No space|Read-only', said):
                w.fault('trouble was answered with %s, and the log says nothing: %s', w.refused[0],
                        said[-300:])
        self.faults += w.faults

    def judge(self):
        self.faults += rig.judge(self.o.binary, self.store, self.add, self.book, rig.USERS,
                                 twice=self.n % 4 == 0)


class Serve(Run):
    def go(self):
        rig.copy(self.o.template, self.store)
        self.scenario(serve)
        self.judge()


class Cut(Run):
    """As Serve, but on a file system of its own that forgets what was not synced."""

    def __init__(self, o, k, book, action, n):
        kind, self.fs = action.split(':')
        super().__init__(o, k, book, 'nosync' if kind == 'cut-nosync' else 'kill', n)
        self.mnt = os.path.join(self.dir, 'm')
        self.image = os.path.join(self.dir, 'image')
        self.store = os.path.join(self.mnt, 'store')
        os.makedirs(self.mnt, exist_ok=True)

    def go(self):
        base = os.path.join(self.o.workdir, self.fs)
        subprocess.run(['cp', '--sparse=always', base, self.image], check=True)
        self.mount()
        try:
            self.scenario(serve)
            if self.hit:
                subprocess.run(['xfs_io', '-x', '-c', 'shutdown', self.mnt], check=True,
                               stdout=subprocess.DEVNULL)
                self.umount()
                self.mount()
            self.judge()
        finally:
            self.umount()

    def mount(self):
        options = 'loop,nouuid' if self.fs == 'xfs' else 'loop'    # copies of one image
        subprocess.run(['mount', '-o', options, self.image, self.mnt], check=True)

    def umount(self):
        subprocess.run(['umount', self.mnt], check=False)


def serve_relay(world):
    """Letters for another server, alone and beside local ones, small and large, some at a second
    try."""
    b = world.book
    far = ['%s@far.example' % x for x in ('one', 'two', 'later')]
    rig.deliver(world,
                [b.letter('o1', far[:1]), b.letter('o2', far[:2], 1500)],
                [b.letter('m1', ['alice', far[0]], 3000), b.letter('l1', far[2:])])
    rig.deliver(world, [b.letter('big', far[:1], 300 << 10)],
                [b.letter('mixed', ['bob', far[1]], 100 << 10)])
    time.sleep(.1)
    rig.deliver(world, [b.letter('p%d' % i, far[:1], 2000) for i in range(3)],
                [b.letter('q%d' % i, far[1:2] + ['carol'], 20000) for i in range(3)])
    time.sleep(.1)


class Relay(Run):
    """Mail for another server, in a network of its own: nothing is lost, and nothing that was noted
    as sent goes again. extra: letters that may go twice because of the blow."""
    extra = 4

    def go(self):
        rig.copy(self.o.template, self.store)
        self.sink = rig.Sink()
        try:
            self.blow()
            self.judge()
            self.judge_sink()
        finally:
            self.sink.close()

    def blow(self):
        self.scenario(serve_relay)

    def judge(self):
        srv = rig.Server(self.o.binary, self.store, self.add, log=self.log)
        end = time.time() + rig.WAIT
        if not srv.up():
            self.faults.append('no start: ' + srv.log()[-300:])
        while os.listdir(os.path.join(self.store, 'spool/out')) and time.time() < end:
            time.sleep(.02)
        if srv.stop():
            self.faults.append('exit: ' + srv.log()[-300:])
        left = os.listdir(os.path.join(self.store, 'spool/out'))
        if left:
            self.faults.append('still there: %s; %s' % (left, srv.log()[-600:]))
        super().judge()

    def judge_sink(self):
        twice = 0
        for m in self.book.letters.values():
            least, most = m.count()
            for r in [r for r in m.rcpts if '@' in r]:
                n = len(self.sink.got.get((m.tok, r), ()))
                twice += max(0, n - most)
                if not least <= n <= most + 1:
                    self.faults.append('%s: %s came %d times, should be %d' % (r, m.tok, n, least))
                if n and not self.sink.text[m.tok].endswith(b'\r\n' + m.text):
                    self.faults.append('%s: %s is torn or changed' % (r, m.tok))
        if twice > (self.extra if self.hit else 0):
            self.faults.append('%d letters came twice' % twice)


class Recover(Run):
    """The start after a crash is hit; the crash itself was at one of a few places."""

    def __init__(self, o, k, book, action, n):
        where, self.which = action.split(':')
        super().__init__(o, k, book, where, n)
        with open(os.path.join(o.workdir, 'crashed', self.which + '.book'), 'rb') as f:
            import pickle
            self.book = pickle.load(f)

    def go(self):
        rig.copy(os.path.join(self.o.workdir, 'crashed', self.which), self.store)
        self.scenario(lambda w: rig.deliver(w, [self.book.letter('after', ['alice', 'erin'])]))
        self.judge()


class Command(Run):
    """passwd and userdel are hit, beside a server (odd n) or alone."""

    def __init__(self, o, k, book, action, n):
        self.verb, rest = action.split('-', 1)
        super().__init__(o, k, book, rest, (n + 1) // 2)
        self.beside = n % 2

    def run(self, args, text=b''):
        try:
            return subprocess.run(self.wrap() + [self.o.binary] + args, input=text,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=rig.WAIT)
        except subprocess.TimeoutExpired:
            self.faults.append('the command did not end')

    def go(self):
        rig.copy(self.o.template, self.store)
        srv = rig.Server(self.o.binary, self.store, self.add, log=self.log) if self.beside else None
        if srv and not srv.up():
            self.faults.append('no server: ' + srv.log()[-300:])
        new, who = 'quite another one', 'erin' if self.verb == 'userdel' else 'bob'
        if self.verb == 'passwd':
            r = self.run(['passwd', '-d', self.store, who], new.encode() + b'\n')
        elif self.verb == 'newuser':
            who = 'greta'
            r = self.run(['passwd', '-d', self.store, who], new.encode() + b'\n')
        else:
            r = self.run(['userdel', '-d', self.store, who])
        self.struck()
        if not self.hit and r and r.returncode:
            self.faults.append('exit %d: %r' % (r.returncode, r.stdout))
        if self.hit and r and r.returncode and not r.stdout and r.returncode != 137:
            self.faults.append('exit %d and no word' % r.returncode)
        done = r is not None and r.returncode == 0
        if not srv:
            srv = rig.Server(self.o.binary, self.store, self.add, log=self.log)
            if not srv.up():
                self.faults.append('the server does not start: ' + srv.log()[-300:])
                return
        self.logins(srv, who, new, done)
        code = srv.stop()
        if code:
            self.faults.append('exit %s: %s' % (code, srv.log()[-300:]))
        self.mail(who, done)

    def logins(self, srv, who, new, done):
        """Whose password works? The old one or the new one, never both, never none."""
        works = []
        for p in (rig.PASSWORD, new):
            c = rig.Pop3(rig.World(self.book, 0, 110 + self.add), who, p)
            works.append(c.ok)
            if c.ok:
                c.cmd('QUIT')
            c.close()
        good = {'passwd': ([False, True], [True, False]),
                'newuser': ([False, True], [False, False]),
                'userdel': ([False, False], [True, False])}[self.verb]
        if works != good[0] and (done or works != good[1]):
            self.faults.append('old and new password of %s: %s, the command %s' %
                               (who, works, 'had worked' if done else 'had failed'))
        self.there = any(works)
        if works == [False, True]:
            self.book.password[who] = new

    def mail(self, who, done):
        """Nobody else has lost anything; mail of an ended account is moved, not lost."""
        if self.verb != 'userdel' or self.there:
            self.judge()
            return
        self.faults += rig.judge(self.o.binary, self.store, self.add, self.book,
                                 [u for u in rig.USERS if u != who])
        path = os.path.join(self.store, 'mail', who)
        if done and os.path.exists(path):
            self.faults.append('userdel said it was done, mail/%s is still there' % who)
        have = b''
        for d, _, files in os.walk(self.store):
            for f in files:
                if os.path.isfile(os.path.join(d, f)) and (
                        who in f or os.path.basename(d) not in ('mail', 'index')):
                    with open(os.path.join(d, f), 'rb') as fd:
                        have += fd.read()
        for t, m in self.book.letters.items():
            if who in m.rcpts and m.text.replace(b'\r\n', b'\n').split(b'\n')[-2] not in have:
                self.faults.append('userdel has lost ' + t)


def make(o, k, book, action, n):
    if action.startswith('cut'):
        return Cut(o, k, book, action, n)
    if action.startswith('relay-'):
        return Relay(o, k, book, action[6:], n)
    if action.startswith('recover-'):
        return Recover(o, k, book, action[8:], n)
    if action.split('-')[0] in ('passwd', 'newuser', 'userdel'):
        return Command(o, k, book, action, n)
    return Serve(o, k, book, action, n)


def worker(o, k, book, action, counter, found, past):
    """Take the next n until it lies behind the last call (twice: not every run is alike)."""
    if action.startswith('relay-'):     # all of them have a sink at the same port
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare')
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        subprocess.run(['ip', 'addr', 'add', rig.SINK[0] + '/32', 'dev', 'lo'], check=True)
    while past.value < 2 and not (o.once and found.qsize()):
        with counter.get_lock():
            counter.value += o.every
            n = counter.value
        r = make(o, k, book, action, n)
        try:
            r.go()
        except Exception:
            r.faults.append('the rig failed: ' + traceback.format_exc())
        if r.hit or isinstance(r, Command) and r.beside:
            with past.get_lock():
                past.value = 0 if r.hit else past.value
        else:
            with past.get_lock():
                past.value += 1
        if r.faults:
            found.put((n, r.hit, r.faults))
            if o.keep:
                rig.copy(r.store, os.path.join(o.keep, '%s-%d' % (action.replace(':', '-'), n)))
        if o.only:
            return


def every(o, book, action):
    """All n of one action; returns (passed, failed)."""
    t = time.time()
    start = (o.only - o.every) if o.only else -random.randrange(o.every)
    counter, past = multiprocessing.Value('l', start), multiprocessing.Value('l', 0)
    found = multiprocessing.Manager().Queue()
    ps = [multiprocessing.Process(target=worker, args=(o, k, book, action, counter, found, past))
          for k in range(1 if o.only else o.jobs)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    bad = []
    while not found.empty():
        bad.append(found.get())
    total = (counter.value - start) // o.every
    for n, hit, faults in sorted(bad)[:o.show]:
        print('BAD %s at call %d (%s):' % (action, n, hit or 'nothing was hit'))
        for f in faults[:4]:
            print('    ' + f.replace('\n', '\n      '))
    if len(bad) > o.show:
        print('... and %d more' % (len(bad) - o.show))
    print('%-18s %4d runs, %d with faults, %.0f s' %
          (action, total, len(bad), time.time() - t), flush=True)
    return total - len(bad), len(bad)


def crashed_stores(o, book, count=4):
    """Stores as a crash leaves them, from kills spread over the scenario."""
    import pickle
    top = os.path.join(o.workdir, 'crashed')
    os.makedirs(top, exist_ok=True)
    r = Serve(o, 0, book, 'count', 0)
    rig.copy(o.template, r.store)
    r.scenario(serve)
    with open(r.report) as f:
        calls = [int(x.split()[1]) for x in f if x.startswith('calls')][0]
    names = []
    for i in range(count):
        r = Serve(o, 0, book, 'kill', calls * (2 * i + 1) // (2 * count))
        rig.copy(o.template, r.store)
        r.scenario(serve)
        rig.copy(r.store, os.path.join(top, str(i)))
        with open(os.path.join(top, '%d.book' % i), 'wb') as f:
            pickle.dump(r.book, f)
        names.append(str(i))
    print('the scenario makes %d changing calls' % calls, flush=True)
    return names


def base_image(o, fs):
    path, mnt = os.path.join(o.workdir, fs), os.path.join(o.workdir, 'base')
    os.makedirs(mnt, exist_ok=True)
    subprocess.run(['truncate', '-s', '300M' if fs == 'xfs' else '48M', path], check=True)
    subprocess.run(['mkfs.' + fs, '-q', path], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(['mount', '-o', 'loop', path, mnt], check=True)
    rig.copy(o.template, os.path.join(mnt, 'store'))
    subprocess.run(['umount', mnt], check=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument('binary')
    ap.add_argument('inject')
    ap.add_argument('workdir')
    ap.add_argument('action', nargs='+')
    ap.add_argument('-j', '--jobs', type=int, default=2)
    ap.add_argument('-e', '--every', type=int, default=1, help='only every so many-th call')
    ap.add_argument('-o', '--once', action='store_true', help='stop an action at its first fault')
    ap.add_argument('-n', '--only', type=int, help='only this call')
    ap.add_argument('-k', '--keep', help='copy the stores with faults there')
    ap.add_argument('-s', '--show', type=int, default=6)
    o = ap.parse_args()
    o.binary, o.inject = os.path.abspath(o.binary), os.path.abspath(o.inject)
    o.workdir = os.path.abspath(o.workdir)
    if o.keep:
        os.makedirs(o.keep, exist_ok=True)
    o.template = os.path.join(o.workdir, 'template')
    shutil.rmtree(o.template, ignore_errors=True)
    book = rig.template(o.binary, o.template, 1000)
    actions, names = [], None
    for a in o.action:
        if a.startswith('recover-'):
            names = names or crashed_stores(o, book)
            actions += ['%s:%s' % (a, x) for x in names]
        else:
            actions.append(a)
        if a.startswith('cut'):
            base_image(o, a.split(':')[1])
    passed = failed = 0
    for a in actions:
        p, f = every(o, book, a)
        passed, failed = passed + p, failed + f
    print('%d passed, %d failed' % (passed, failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
