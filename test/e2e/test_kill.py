#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""kill -9 at random moments under load. MAILD_ROUNDS says how many (default 15), MAILD_SEED makes
it repeatable.

What is known of each message in each mailbox: `must` (acknowledged), `maybe` (no answer came) or
`gone` (its deletion was
confirmed). After each restart, by POP3 and from the file: every `must` is there exactly once, no
`gone`, each `maybe` at most
once, and the octets are those that were sent. What a restart has shown to be there stays; what was
not there stays away."""
from harness import *

ROUNDS = int(os.environ.get('MAILD_ROUNDS', '15'))
SEED = int(os.environ.get('MAILD_SEED', random.getrandbits(32)))
USERS = ('alice', 'bob', 'carol')


def text(key):
    """The message of a key, the same each time."""
    rnd = random.Random(key)
    if key[0] == 'b':
        # takes the server some slices of time to put into a mailbox
        body = ('%060x\r\nFrom x\r\n' % rnd.getrandbits(240)) * (6 << 20 >> 6)
        return ('Subject: big\r\nX-Key: %s\r\n\r\n%send of %s\r\n' % (key, body, key)).encode()
    size = rnd.choice((0, 100, 2000, 2000, 9000, 60000, 300000 if rnd.random() < 0.5 else 500))
    lines = []
    n = 0
    while n < size:
        x = rnd.choice(('From me', '>From you', '.', '', 'x' * rnd.randrange(1, 75), '%030x' %
                        rnd.getrandbits(120)))
        lines.append(x)
        n += len(x) + 2
    return ('From: <a@remote.test>\r\nDate: Sun, 22 Nov 2026 03:03:14 +0000\r\nMessage-ID: '
            '<%s@remote.test>\r\nSubject: kill\r\nX-Key: %s\r\n\r\n%s\r\nend of %s\r\n' %
            (key, key, '\r\n'.join(lines), key)).encode()


class Load:
    def __init__(self, server):
        self.s = server
        self.lock = threading.Lock()
        self.sent_to = set()        # (key, user)
        self.ack = set()            # (key, user): acknowledged
        self.dele = {}              # (key, user) -> 'maybe' (QUIT is under way), 'gone' (confirmed)
        self.stop = False
        self.sent = self.acked = self.deleted = self.added = 0
        self.errors = []
        self.outside = threading.Lock()     # held while another program writes

    def state(self, k):
        return self.dele.get(k) or ('must' if k in self.ack else 'maybe')

    def sender(self, who, rnd):
        n = 0
        while not self.stop:
            try:
                with self.s.smtp(25 if rnd.random() < 0.8 else 465, timeout=5) as c:
                    c.ehlo()
                    tls = c.s.__class__.__name__ == 'SSLSocket'
                    if tls:
                        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW))
                    while not self.stop and n < 100000:
                        n += 1
                        key = '%s-%d' % (who, n)
                        to = rnd.sample(USERS, rnd.choice((1, 1, 1, 2, 3)))
                        data = stuff(text(key))
                        self.send(c, key, to, data, 'alice@localhost' if tls
                                  else 'peer@remote.test')
                        if rnd.random() < 0.1:
                            break
            except (OSError, Closed):
                time.sleep(0.01)
            except AssertionError as e:
                if not self.stop:
                    self.errors.append(str(e))
                    return

    def send(self, c, key, to, data, sender):
        c.send('MAIL FROM:<%s>\r\n' % sender + ''.join('RCPT TO:<%s@localhost>\r\n' % t
                                                       for t in to) + 'DATA\r\n')
        for _ in to:
            c.reply()
        c.reply()
        r = c.reply()
        assert r.code == 354, r
        with self.lock:
            self.sent += 1
            self.sent_to |= {(key, t) for t in to}
        c.send(data)
        r = c.reply()
        assert r.code == 250, r
        with self.lock:
            self.acked += 1
            # it may even be deleted already
            self.ack |= {(key, t) for t in to}

    def deleter(self, user, rnd):
        while not self.stop:
            try:
                with self.s.login(user, port=110, timeout=5) as p:
                    n, _ = p.stat()
                    ids = []
                    mine = [i for i in range(1, n + 1) if rnd.random() < 0.4]
                    p.send(b''.join(b'TOP %d 0\r\n' % i for i in mine))
                    for i in mine:
                        assert p.line().startswith(b'+OK')
                        ids.append(re.search(rb'X-Key: (\S+)', p.multi()).group(1).decode())
                    if mine:
                        p.send(b''.join(b'DELE %d\r\n' % i for i in mine))
                        for _ in mine:
                            assert p.line().startswith(b'+OK')
                    # some end without QUIT: nothing may go
                    if rnd.random() < 0.2:
                        continue
                    with self.lock:
                        self.dele.update({(k, user): 'maybe' for k in ids})
                    r = p.cmd('QUIT')
                    with self.lock:
                        for k in ids:
                            if r.startswith('+OK'):
                                self.dele[k, user] = 'gone'
                            else:
                                del self.dele[k, user]
                    self.deleted += len(ids)
                time.sleep(rnd.random() * 0.05)
            except (OSError, Closed):
                time.sleep(0.01)
            except AssertionError as e:
                if 'IN-USE' not in str(e) and not self.stop:
                    self.errors.append(str(e))
                    return
                time.sleep(0.01)

    def foreign(self, who, user, rnd):
        """Another program that adds mail under the lock, as it should: it looks whether the file is
        still the mailbox."""
        path = self.s.path('mail', user)
        n = 0
        while not self.stop:
            time.sleep(rnd.random() * 0.05)
            with self.outside, contextlib.suppress(FileNotFoundError, BlockingIOError), open(path,
                    'r+b') as f:
                if self.stop:
                    break
                fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(f.fileno()).st_ino != os.stat(path).st_ino:
                    continue
                n += 1
                key = '%s-%d' % (who, n)
                end = f.seek(0, 2)
                f.seek(max(0, end - 2))
                tail = f.read()
                mend = b'\n\n' if tail[-1:] not in b'\n' else b'\n' if tail.strip(b'\n') else b''
                f.write(mend + b'From local@program Sun Nov 22 03:03:14 2026\n' +
                        re.sub(rb'(?m)^(>*From )', rb'>\1', text(key).replace(b'\r\n', b'\n')) +
                        b'\n')
                f.flush()
                with self.lock:
                    self.sent_to.add((key, user))
                    self.ack.add((key, user))
                    self.added += 1

    def judge(self):
        self.s.settled()
        for u in USERS:
            mbox_valid(self.s.mbox(u))
            got = {}
            uids = {}
            wait_for('the mailbox to be free', lambda: self.free(u))
            with self.s.login(u, port=110) as p:
                n, octets = p.stat()
                sizes = dict(p.list())
                us = p.uidl()
                p.send(b''.join(b'RETR %d\r\n' % (i + 1) for i in range(n)))
                for i in range(n):
                    x = p.line()
                    assert x.startswith(b'+OK'), x
                    raw = p.multi()
                    assert len(raw) == sizes[i + 1], 'LIST is wrong'
                    m = re.search(rb'\r\nX-Key: (\S+)\r\n', raw)
                    assert m, 'torn: %r' % raw[:400]
                    key = m.group(1).decode()
                    assert key not in got, '%s is there twice for %s' % (key, u)
                    assert us[i] not in uids, '%s of %s has the unique-id of %s: %s' % (key, u,
                            uids[us[i]], us[i])
                    uids[us[i]] = key
                    same(raw if key[0] == 'f' else split_trace(raw)[1], text(key), 'torn: ' + key)
                    got[key] = raw
                p.ok('QUIT')
            file = mbox_read(self.s.path('mail', u)) if os.path.exists(self.s.path('mail',
                    u)) else []
            assert [x.replace(b'\n', b'\r\n')
                    for x in file] == list(got.values()), 'the file and POP3 differ'
            for k in [k for k in self.sent_to if k[1] == u]:
                st, there = self.state(k), k[0] in got
                assert st != 'must' or there, 'LOST: %s of %s was acknowledged' % k
                assert st != 'gone' or not there, 'BACK: %s of %s was deleted' % k
                # now it is known
                self.dele.pop(k, None)
                if there:
                    self.ack.add(k)
                else:
                    self.dele[k] = 'gone'
            for key in got:
                assert (key, u) in self.sent_to, '%s was never sent to %s' % (key, u)

    def free(self, user):
        try:
            with self.s.login(user, port=110) as p:
                p.ok('QUIT')
            return True
        except AssertionError as e:
            assert 'IN-USE' in str(e), e
            return False


@test
def killed_under_load():
    print('seed %d, %d rounds' % (SEED, ROUNDS), flush=True)
    rnd = random.Random(SEED)
    s = Server('open', USERS)
    load = Load(s)
    for i in range(ROUNDS):
        load.stop = False
        ts = [threading.Thread(target=load.sender, args=('r%d.%d' % (i, k),
                                                         random.Random(rnd.random())), daemon=True)
              for k in range(4)]
        ts += [threading.Thread(target=load.deleter, args=(u, random.Random(rnd.random())),
                                daemon=True) for u in USERS[:2]]
        ts.append(threading.Thread(target=load.foreign,
                                   args=('f%d' % i, USERS[i % 3], random.Random(rnd.random())),
                                   daemon=True))
        for t in ts:
            t.start()
        # what follows a second after the first mail: a checkpoint
        time.sleep(rnd.choice((rnd.random() * 0.3, rnd.random() * 1.5, 0.9 + rnd.random() * 0.3)))
        if i % 2:
            # in the middle of a large letter's way into its mailboxes
            with s.smtp() as c:
                c.ehlo()
                key, to = 'b%d' % i, rnd.sample(USERS, rnd.choice((1, 2)))
                data = text(key)
                paths = [s.path('mail', u) for u in to if os.path.exists(s.path('mail', u))]
                before = [os.path.getsize(x) for x in paths]
                load.send(c, key, to, stuff(data), 'peer@remote.test')
            part = rnd.random() * len(data)
            by = time.monotonic() + rnd.choice((0.02, 0.5, 0.5))
            while time.monotonic() < by and all(os.path.getsize(x) - n < part for x,
                                                n in zip(paths, before)):
                pass
        # the other program does not write to a mailbox that was torn a moment ago
        with load.outside:
            s.kill()
            load.stop = True
        for t in ts:
            t.join(20 * SLOW)
            assert not t.is_alive()
        assert not load.errors, 'round %d: %s' % (i, load.errors)
        # killed within its recovery, too
        for _ in range(rnd.choice((0, 0, 1, 2))):
            s.spawn()
            time.sleep(rnd.random() * 0.03)
            s.kill()
        s.start()
        try:
            load.judge()
        except AssertionError as e:
            raise AssertionError('seed %d, round %d: %s' % (SEED, i, e))
        # not too much piles up
        if i % 5 == 4:
            for u in USERS:
                s.clear(u)
            load.sent_to.clear()
            load.ack.clear()
            load.dele.clear()
    s.stop()
    assert load.acked > ROUNDS * 5 and load.deleted > 0, (load.acked, load.deleted)
    return '%d sent, %d acknowledged, %d deleted, %d added by another program' % (load.sent,
            load.acked, load.deleted, load.added)


@test
def accounts_survive_kill_9_of_passwd():
    """The file of accounts is the old one or the new one, whenever the command dies."""
    s = shared('default', USERS)
    rnd = random.Random(SEED)
    for i in range(12):
        p = subprocess.Popen([s.bin, 'passwd', '-d', s.store, 'tmp%d' % i], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=s.env)
        p.stdin.write(PW.encode() + b'\n')
        p.stdin.close()
        time.sleep(rnd.random() * 0.06 * SLOW)
        p.kill()
        p.wait()
        r = s.command('users')
        assert r.returncode == 0, r.stderr
        assert {'alice', 'bob', 'carol'} <= set(r.stdout.split()), r.stdout
    with s.login('alice') as p:
        p.stat()
    s.passwd('after')


main()
