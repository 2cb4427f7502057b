# See LICENSE file for copyright and licence details.
"""What the crash tests share: a server to start and stop, clients for SMTP and POP3, a book of all
that was asked for and confirmed, and a judge that compares a store with the book."""
import base64, email, hashlib, mailbox, os, re, shutil, signal, socket, subprocess, threading, time

PASSWORD = 'correct horse'
WAIT = 15           # seconds; no wait here is longer
SINK = '10.0.2.100', 2525       # where crash_config() sends mail for far.example


class Gone(Exception):
    """The connection ended without an answer."""


class Fault(Exception):
    """Something the server may never do."""


# ---- letters and deletions, and what became of them ----

class Letter:
    """One mail. `tries` are (mark before, mark after, outcome): outcome 'yes', 'no' or 'doubt'."""

    def __init__(self, tok, rcpts, size=600):
        self.tok, self.rcpts, self.tries = tok, rcpts, []
        self.text = self.make(tok, size)

    @staticmethod
    def make(tok, size):
        rows = ['X-Token: ' + tok, 'From: <sender@example.org>', 'Subject: letter ' + tok, '']
        rows += ['From here on %s counts its lines' % tok, '>From %s' % tok, '.', '..dots', '']
        rows.append('From sender@example.org Thu Jan  1 00:00:00 1970')
        have, i = sum(len(r) + 2 for r in rows), 0
        seed = hashlib.sha256(tok.encode()).digest()
        while have < size:
            row = '%s %06d %s' % (tok, i, base64.b64encode(seed).decode())
            seed = hashlib.sha256(seed).digest() if i < 64 else seed[1:] + seed[:1]
            rows.append(row)
            have += len(row) + 2
            i += 1
        return ('\r\n'.join(rows) + '\r\n').encode()

    def stuffed(self):
        return re.sub(rb'(?m)^\.', b'..', self.text) + b'.\r\n'

    def count(self, cut=None):
        """How often it may be in a mailbox: (least, most), when the world ended at `cut`."""
        least = most = 0
        for before, after, outcome in self.tries:
            if cut is not None and before > cut:
                continue
            if outcome == 'yes' and (cut is None or after <= cut):
                least, most = least + 1, most + 1
            elif outcome != 'no':
                most += 1
        return least, most


class Deletion:
    def __init__(self, user, toks):
        self.user, self.toks, self.before, self.after, self.outcome = user, toks, None, None, None

    def state(self, cut=None):
        if self.before is None or cut is not None and self.before > cut:
            return 'no'
        if self.outcome == 'yes' and cut is not None and self.after > cut:
            return 'doubt'
        return self.outcome or 'doubt'


class Book:
    def __init__(self, other=None):
        self.letters = dict(other.letters) if other else {}
        self.deletions = list(other.deletions) if other else []
        self.uidl = dict(other.uidl) if other else {}      # (user, token) -> unique id, must stay
        self.password = {}                                  # of users with another one

    def letter(self, tok, rcpts, size=600):
        self.letters[tok] = Letter(tok, rcpts, size)
        return self.letters[tok]

    def expected(self, user, cut=None):
        """token -> (least, most) for one mailbox, and the deletions that nobody confirmed."""
        want = {}
        for m in self.letters.values():
            if user in m.rcpts:
                want[m.tok] = m.count(cut)
        doubt = []
        for d in self.deletions:
            if d.user != user:
                continue
            s = d.state(cut)
            if s == 'doubt':
                doubt.append(d.toks)
            for t in [t for t in d.toks if t in want] if s != 'no' else ():
                want[t] = (0, 0) if s == 'yes' else (0, want[t][1])
        return want, doubt


# ---- the world a client lives in ----

class World:
    """Where the server is and what was found. mark() is the time of a test that has one."""

    def __init__(self, book, smtp, pop3, host='127.0.0.1', mark=lambda: 0, alive=lambda: True):
        self.book, self.smtp, self.pop3, self.host = book, smtp, pop3, host
        self.mark, self.alive = mark, alive
        self.faults, self.refused = [], []
        self.patient = False        # try again what was refused for now

    def fault(self, fmt, *args):
        self.faults.append(fmt % args if args else fmt)


class Wire:
    def __init__(self, world, port):
        self.world, self.buf = world, b''
        try:
            self.s = socket.create_connection((world.host, port), timeout=WAIT)
        except OSError as e:
            raise Gone(str(e))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        try:
            self.s.sendall(data)
        except OSError as e:
            raise Gone(str(e))

    def line(self):
        while b'\n' not in self.buf:
            try:
                more = self.s.recv(1 << 16)
            except OSError as e:
                raise Gone(str(e))
            if not more:
                raise Gone('end of file')
            self.buf += more
        row, self.buf = self.buf.split(b'\n', 1)
        return row.rstrip(b'\r')

    def close(self):
        self.s.close()


class Smtp(Wire):
    def __init__(self, world):
        super().__init__(world, world.smtp)
        self.reply()
        self.send(b'EHLO client.example.org\r\n')
        self.reply()

    def reply(self):
        while True:
            row = self.line()
            if row[3:4] != b'-':
                return row.decode('latin1')

    def group(self, m):
        rows = ['MAIL FROM:<sender@example.org>'] + [
            'RCPT TO:<%s>' % (r if '@' in r else r + '@localhost') for r in m.rcpts]
        return ('\r\n'.join(rows + ['DATA']) + '\r\n').encode()

    def read_group(self, m):
        """The answers to group(): '' if the text may follow, else the first refusal."""
        bad = ''
        for i in range(len(m.rcpts) + 2):
            r = self.reply()
            if r[0] not in '23' and not bad:
                bad = r
        if r.startswith('354') and bad:     # some recipients were taken: send nothing to them
            self.send(b'.\r\n')
            r = self.reply()
            if r.startswith('2'):
                self.world.fault('an empty letter was taken: %s', r)
        return bad


def burst(world, sessions):
    """Letters for several sessions at once; a text and the next envelope go in one segment."""
    left, wires = [list(s) for s in sessions], []
    again, lost, known = [], 0, len(world.refused)
    for s in left:
        try:
            w = Smtp(world)
            w.send(w.group(s[0]))
            wires.append(w)
        except Gone:
            wires.append(None)
            lost += 1
    while any(w and s for w, s in zip(wires, left)):
        ready = []
        for k, (w, s) in enumerate(zip(wires, left)):
            bad = 'gone'
            if w and s:
                try:
                    bad = w.read_group(s[0])
                except Gone:
                    wires[k], lost = None, lost + 1
            ready.append(bad)
        for k, (w, s) in enumerate(zip(wires, left)):
            if not wires[k] or not s:
                continue
            out, m = b'', s[0]
            if ready[k]:
                again.append(m)
                world.refused.append(ready[k])
                s.pop(0)
                out = b'RSET\r\n'
            else:
                m.tries.append([world.mark(), None, 'doubt'])
                out = m.stuffed()
                if len(s) > 1:
                    out += w.group(s[1])
            try:
                w.send(out)
                if ready[k]:
                    w.reply()
                    if s:
                        w.send(w.group(s[0]))
            except Gone:
                wires[k], lost = None, lost + 1
        for k, (w, s) in enumerate(zip(wires, left)):
            if not wires[k] or ready[k]:
                continue
            m = s.pop(0)
            try:
                r = w.reply()
            except Gone:
                wires[k], lost = None, lost + 1
                continue
            if r[0] == '2':
                m.tries[-1][1:] = [world.mark(), 'yes']
            else:
                m.tries[-1][2] = 'no'
                again.append(m)
                world.refused.append(r)
    for w in wires:
        if w:
            w.close()
    for r in world.refused[known:]:
        if r[0] != '4':
            world.fault('trouble on our side was answered with %s', r)
    if lost and not world.alive():
        raise Gone('server')
    if lost:
        world.fault('a session ended without an answer while the server lived')
    return again


def deliver(world, *sessions):
    again = burst(world, sessions)
    end = time.time() + WAIT
    while again and world.patient:
        if time.time() > end:
            world.fault('still refused after %d s: %s', WAIT, world.refused[-1])
            return
        time.sleep(.05)
        again = burst(world, [[m] for m in again])


class Pop3(Wire):
    def __init__(self, world, user, password=PASSWORD):
        super().__init__(world, world.pop3)
        self.ok = self.line().startswith(b'+OK')
        self.why = ''
        if self.ok:
            self.cmd('USER ' + user)
            self.ok = self.cmd('PASS ' + password)

    def cmd(self, s):
        self.send(s.encode() + b'\r\n')
        r = self.line()
        if not r.startswith(b'+OK'):
            self.why = r.decode('latin1')
        return r.startswith(b'+OK')

    def text(self):
        rows = []
        while True:
            r = self.line()
            if r == b'.':
                return rows
            rows.append(r[1:] if r[:1] == b'.' else r)

    def rows(self, s):
        if not self.cmd(s):
            raise Fault(self.why)
        return [r.decode().split(' ', 1)[1] for r in self.text()]

    def each(self, fmt, n):
        """A pipelined command for each of n messages; yields (first line, rows)."""
        out = b''.join((fmt % (i + 1)).encode() + b'\r\n' for i in range(n))
        self.send(out)
        for i in range(n):
            first = self.line()
            yield first, self.text() if first.startswith(b'+OK') else None


def token(data):
    m = re.search(rb'(?m)^X-Token: (\S+)\r?$', data)
    return m.group(1).decode() if m else None


def login(world, user, password=PASSWORD):
    """A session that is in, after some patience; None if it is refused all the time."""
    end = time.time() + WAIT
    while True:
        p = Pop3(world, user, password)
        if p.ok:
            return p
        p.close()
        if '[AUTH]' in p.why or '[' not in p.why:
            world.fault('login of %s was answered with %s', user, p.why)
            return None
        if '[IN-USE]' not in p.why:
            world.refused.append(p.why)
            if not world.patient:
                return None
        if time.time() > end:
            world.fault('login of %s refused for %d s: %s', user, WAIT, p.why)
            return None
        time.sleep(.02)


def delete_once(world, user, choose, meanwhile):
    p = login(world, user)
    if not p:
        return True
    d = None
    try:
        toks = []
        if not p.cmd('STAT'):
            raise Fault(p.why)
        for first, rows in p.each('TOP %d 0', len(p.rows('LIST'))):
            if rows is None:
                raise Fault(first.decode())
            toks.append(token(b'\n'.join(rows)))
            if not toks[-1]:
                world.fault('%s: a torn message is to be seen: %r', user, rows[:4])
        want = choose(toks)
        d = Deletion(user, want)
        world.book.deletions.append(d)
        for t in want:
            if not p.cmd('DELE %d' % (toks.index(t) + 1)):
                raise Fault(p.why)
        d.before = world.mark()
        p.send(b'QUIT\r\n')
        meanwhile()
        r = p.line().decode('latin1')
        # RFC 1939 6: after -ERR some or none of them may be gone
        d.outcome = 'yes' if r.startswith('+OK') else 'doubt'
        d.after = world.mark()
        if d.outcome != 'yes':
            raise Fault(r)
        return True
    except Fault as e:
        world.refused.append(str(e))
        if not str(e).startswith('-ERR'):
            world.fault('strange answer: %s', e)
        return False
    except Gone:
        if not world.alive():
            raise
        world.refused.append('the connection was cut in the middle of an answer')
        if d and d.before:
            world.fault('no answer to QUIT while the server lived')
        return False
    finally:
        if d and d.before is None:
            d.outcome = 'no'
        p.close()


def delete(world, user, choose, meanwhile=lambda: None):
    """A POP3 session deletes what choose(tokens) returns; meanwhile() runs after QUIT is sent."""
    for i in range(8):
        done = delete_once(world, user, choose, lambda: None if i else meanwhile())
        if done or not world.patient:
            return
        time.sleep(.05)
    world.fault('deletions of %s were refused to the end: %s', user, world.refused[-1])


# ---- where mail for far.example goes ----

class Sink(threading.Thread):
    """Takes mail at SINK; `got` has the marks of (token, recipient). later@: 450 the first time."""

    def __init__(self, mark=lambda: 0):
        super().__init__(daemon=True)
        self.got, self.told, self.text, self.mark = {}, set(), {}, mark
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind(('', SINK[1]))
        self.s.listen(50)
        self.start()

    def run(self):
        while True:
            try:
                c = self.s.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.session, args=(c,), daemon=True).start()

    def session(self, c):
        try:
            with c, c.makefile('rb') as f:
                c.sendall(b'220 sink.example ESMTP\r\n')
                self.commands(c, f)
        except OSError:
            pass

    def commands(self, c, f):
        rcpts, sender = [], b''
        for row in f:
            verb, word = row[:4].upper(), row.strip()
            if verb == b'EHLO':
                c.sendall(b'250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n')
                continue
            if verb == b'MAIL':
                rcpts, sender = [], word
            if verb == b'RCPT':
                to = word.decode().split('<')[1].split('>')[0]
                if to.startswith('later') and (to, sender) not in self.told:
                    self.told.add((to, sender))
                    c.sendall(b'450 4.2.0 later\r\n')
                    continue
                rcpts.append(to)
            if verb == b'DATA':
                if not rcpts:
                    c.sendall(b'554 5.5.1 no recipients\r\n')
                    continue
                c.sendall(b'354 go on\r\n')
                self.take(f, rcpts)
            c.sendall(b'221 2.0.0 bye\r\n' if verb == b'QUIT' else b'250 2.0.0 ok\r\n')
            if verb == b'QUIT':
                return

    def take(self, f, rcpts):
        rows = []
        for row in f:
            if row == b'.\r\n':
                break
            rows.append(row[1:] if row[:1] == b'.' else row)
        else:
            return
        text = b''.join(rows)
        tok = token(text)
        self.text[tok] = text
        for r in rcpts:
            self.got.setdefault((tok, r), []).append(self.mark())

    def close(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()


# ---- the server ----

class Server:
    """The program on a store, perhaps under test/crash/inject. It is up when it greets."""

    def __init__(self, binary, store, add, wrap=(), log=None, report=None):
        self.add, self.report = add, report
        self.logname = log or store.rstrip('/') + '.log'
        with open(self.logname, 'ab') as f:
            self.p = subprocess.Popen(list(wrap) + [binary, '-d', store, '-p', str(add)],
                                      stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def alive(self):
        end = time.time() + (.5 if self.report else 0)   # the tracer may need a moment to say so
        while self.p.poll() is None and time.time() < end:
            time.sleep(.01)
        return self.p.poll() is None

    def up(self):
        end = time.time() + WAIT
        while time.time() < end:
            try:
                s = socket.create_connection(('127.0.0.1', 25 + self.add), timeout=WAIT)
                with s:
                    if s.recv(512).startswith(b'220'):
                        return True
            except OSError:
                pass
            if self.p.poll() is not None:
                return False
            time.sleep(.005)
        return False

    def pid(self):
        if not self.report:
            return self.p.pid
        with open(self.report) as f:
            row = f.readline().split()
        if row[:1] == ['pid']:
            return int(row[1])
        with open('/proc/%d/task/%d/children' % (self.p.pid, self.p.pid)) as f:    # strace's
            return int(f.read())

    def stop(self):
        """SIGTERM; the exit code, or None if it had to be killed."""
        if self.p.poll() is None:
            try:
                os.kill(self.pid(), signal.SIGTERM)
            except (OSError, ValueError):
                pass
        try:
            return self.p.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        if self.p.poll() is None:
            self.p.kill()
        self.p.wait()

    def log(self):
        with open(self.logname, errors='replace') as f:
            return f.read()


# ---- the judge ----

def judge_pop3(world, users, cut=None):
    """Read every mailbox by POP3 and compare it with the book."""
    for user in users:
        p = login(world, user, world.book.password.get(user, PASSWORD))
        if not p:
            continue
        try:
            sizes, ids = p.rows('LIST'), p.rows('UIDL')
            got = []
            for i, (first, rows) in enumerate(p.each('RETR %d', len(sizes))):
                if rows is None:
                    world.fault('%s: RETR %d: %s', user, i + 1, first.decode('latin1'))
                    continue
                data = b''.join(r + b'\r\n' for r in rows)
                if len(data) != int(sizes[i]):
                    world.fault('%s: LIST says %s octets, RETR sent %d', user, sizes[i], len(data))
                got.append((data, ids[i]))
            p.cmd('QUIT')
        except Fault as e:
            world.fault('%s: %s', user, e)
            continue
        finally:
            p.close()
        if len(set(ids)) != len(ids):
            world.fault('%s: a unique id stands twice', user)
        compare(world, user, [d for d, _ in got], cut)
        for data, uid in got:
            want = world.book.uidl.get((user, token(data)))
            if want and want != uid:
                world.fault('%s: the unique id of %s has changed', user, token(data))


def compare(world, user, got, cut=None):
    book, seen = world.book, {}
    for data in got:
        t = token(data)
        m = book.letters.get(t)
        at = data.find(b'X-Token: ')
        if not m:
            world.fault('%s: a message nobody sent: %r', user, data[:200])
        elif data[at:] != m.text:
            world.fault('%s: %s is torn or changed: %d octets instead of %d', user, t,
                        len(data) - at, len(m.text))
        elif not data.startswith(b'Return-Path: <sender@example.org>\r\n'):
            world.fault('%s: %s has lost its first line: %r', user, t, data[:60])
        seen[t] = seen.get(t, 0) + 1
    want, doubt = book.expected(user, cut)
    for t, (least, most) in want.items():
        k = seen.get(t, 0)
        if not least <= k <= most:
            world.fault('%s: %s is there %d times, should be %s', user, t, k,
                        least if least == most else '%d to %d' % (least, most))
    for toks in doubt:
        k = sum(seen.get(t, 0) for t in toks)
        if k and k != len(toks) and not any(d.user == user and d.outcome == 'yes' and
                                            set(d.toks) & set(toks) for d in book.deletions):
            world.fault('%s: of %d deletions in one QUIT %d were done', user, len(toks),
                        len(toks) - k)


FROM_LINE = re.compile(rb'^From \S+ +(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z][a-z] [ 0-3]\d '
                       rb'\d\d:\d\d:\d\d \d{4}$')


def judge_file(world, user, path, cut=None):
    """The mailbox as a file: a valid mboxrd, and Python's reader sees the same messages."""
    if not os.path.exists(path):
        return compare(world, user, [], cut)
    with open(path, 'rb') as f:
        data = f.read()
    if not data:
        return compare(world, user, [], cut)
    if b'\r' in data or b'\0' in data:
        world.fault('%s: CR or NUL in the mailbox', user)
    if not data.endswith(b'\n\n'):
        world.fault('%s: the mailbox does not end in a blank line', user)
    rows = data.split(b'\n')
    starts = [i for i, r in enumerate(rows) if r.startswith(b'From ')]
    if starts[:1] != [0]:
        world.fault('%s: the mailbox does not begin with a From_ line', user)
    for i in starts:
        if not FROM_LINE.match(rows[i]) or i and rows[i - 1]:
            world.fault('%s: bad From_ line %d: %r', user, i + 1, rows[i])
    box, got = mailbox.mbox(path, create=False), []
    try:
        for k in range(len(box)):
            raw = box.get_bytes(k)
            raw = re.sub(rb'(?m)^>(>*From )', rb'\1', raw)
            got.append(raw.replace(b'\n', b'\r\n'))
    finally:
        box.close()
    if len(got) != len(starts):
        world.fault('%s: %d From_ lines, Python sees %d messages', user, len(starts), len(got))
    compare(world, user, got, cut)


def leftovers(world, store):
    """After a start and a clean stop nothing may be waiting."""
    for d in ('tmp', 'queue', 'bad'):
        d = os.path.join(store, 'spool', d)
        for f in os.listdir(d) if os.path.isdir(d) else ():
            world.fault('left behind: %s/%s', os.path.basename(d), f)


def judge_log(store):
    """Beside the store, or where JUDGE_LOG says (its disk may be full)."""
    return os.environ.get('JUDGE_LOG') or store.rstrip('/') + '.judge'


def judge(binary, store, add, book, users, cut=None, twice=False):
    """Start the server on the store, read all, stop it, look at the files. Returns the faults."""
    srv = Server(binary, store, add, log=judge_log(store))
    world = World(book, 25 + add, 110 + add, alive=srv.alive)
    try:
        if not srv.up():
            world.fault('the server does not start again: %s', srv.log()[-300:])
            return world.faults
        end = time.time() + WAIT
        while os.listdir(os.path.join(store, 'spool/queue')) and time.time() < end:
            time.sleep(.01)         # large letters come a moment later
        judge_pop3(world, users, cut)
    except Gone as e:
        world.fault('while the mailboxes were read: %s; %s', e, srv.log()[-300:])
    finally:
        code = srv.stop()
    if code:
        world.fault('SIGTERM ended in %s: %s', code, srv.log()[-300:])
    for user in users:
        judge_file(world, user, os.path.join(store, 'mail', user), cut)
    leftovers(world, store)
    if twice:                       # what a second start does to it
        srv = Server(binary, store, add, log=judge_log(store))
        srv.up()
        srv.stop()
        for user in users:
            judge_file(world, user, os.path.join(store, 'mail', user), cut)
    return world.faults


# ---- a store to begin with ----

USERS = ('alice', 'bob', 'carol', 'dave', 'erin', 'frank')
OLD = {'alice': 3, 'bob': 2, 'dave': 5, 'erin': 6, 'frank': 7}


def passwd(binary, store, name, password=PASSWORD):
    return subprocess.run([binary, 'passwd', '-d', store, name], input=password.encode() + b'\n',
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT)


def template(binary, store, add):
    """A store with accounts and mail, made by the server itself; returns its book."""
    book = Book()
    os.makedirs(store, exist_ok=True)
    srv = Server(binary, store, add)
    if not srv.up():
        raise SystemExit('the server does not start: ' + srv.log()[-500:])
    try:
        for u in USERS:
            r = passwd(binary, store, u)
            if r.returncode:
                raise SystemExit('passwd: ' + r.stdout.decode())
        world = World(book, 25 + add, 110 + add, alive=srv.alive)
        deliver(world, [book.letter('old-%s-%d' % (u, i), [u], 300 + 700 * i)
                        for u in OLD for i in range(OLD[u])])
        for u in OLD:
            p = login(world, u)
            ids = p.rows('UIDL')
            for i, uid in enumerate(ids):
                book.uidl[u, 'old-%s-%d' % (u, i)] = uid
            p.close()
        if world.faults:
            raise SystemExit('\n'.join(world.faults))
    finally:
        srv.stop()
    faults = judge(binary, store, add, book, USERS)
    if faults:
        raise SystemExit('before any crash:\n' + '\n'.join(faults))
    return book


def copy(src, dst):
    shutil.rmtree(dst, ignore_errors=True)
    subprocess.run(['cp', '-a', '--sparse=always', src, dst], check=True)


def crash_config(src, dst, strangers=False):
    """The shipped settings, but passwords in clear text (loopback), quick rounds and checkpoints,
    no reserve of room, small journal; clients of the virtual machine are trusted, as we are. With
    strangers nobody is trusted: all mail is looked into (and nothing held against it; name servers
    are not there), and written anew."""
    with open(src) as f:
        s = f.read()
    if strangers:
        for table, row in (('trusted', '"192.0.2.1/32", "", 0'), ('policy', 'F_EARLY, A_ACCEPT'),
                           ('limit', 'C_OPEN, 0, 0, 0, 0')):
            s, k = re.subn(r'(?s)(struct %s \w+\[\] = \{\n).*?(\n\};)' % table,
                           r'\1\t{ %s },\2' % row, s)
            if not k:
                print('config.h has no table of struct %s any more' % table)
        s = re.sub(r'greeting_pause = \d+', 'greeting_pause = 0', s)
        s = re.sub(r'(name_servers\[\] = \{)[^}]*\}', r'\1 "127.0.0.1#9" }', s)
    else:
        s, k = re.subn(r'(struct trusted \w+\[\] = \{\n)', r'\1\t{ "10.0.2.2/32", "", 0 },\n', s)
        if not k:
            print('config.h has no table of struct trusted any more')
    s = re.sub(r'(\{ "[^"]*", *\d+, TLS_\w+, *\w+, *)0( \})', r'\g<1>1\2', s)
    s = s.replace('relay_domains[] = { "" }', 'relay_domains[] = { "far.example" }')
    s = s.replace('static const struct route routes[] = {',
                  '''static const struct route routes[] = {
\t{ "*", "far.example", "[%s]", %d, ROUTE_CLEAR, "", "", ROUTE_SMTP },''' % SINK)
    for name, value in (('password_rounds', '4096'), ('checkpoint_every', '60'),
                        ('disk_reserve', '0'), ('inode_reserve', '0'), ('retry_step', '1000'),
                        ('journal_size', '256 << 10'),
                        ('letter_small', '64 << 10'), ('retry_locked', '60'),
                        ('login_delay', '10')):
        s, k = re.subn(r'\b%s = [^,;]+' % name, '%s = %s' % (name, value), s)
        if not k:
            print('config.h has no %s any more' % name)
    with open(dst, 'w') as f:
        f.write(s)
