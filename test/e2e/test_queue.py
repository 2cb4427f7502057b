#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""The postmaster's commands for the queue, with the server up and down."""
import email
import email.policy
import stat

from harness import *

ID = r'[0-9a-f]{21}'


def post(s, to, sender='alice@example.org', text='Subject: x\n\nhello\n'):
    """A letter from alice, by sendmail; its id."""
    mark = len(s.log())
    r = subprocess.run([s.bin, '-d', s.store, 'sendmail', '-f', sender] + to.split(),
                       input=text.encode(), capture_output=True, timeout=60, env=s.env)
    assert r.returncode == 0, r
    return re.search(r'-> queued (%s)\n' % ID, s.log()[mark:]).group(1)


def settle(s, i):
    """The first attempt has been made."""
    assert s.wait_log(r' %s deferred ' % i, 20), s.log()[-2000:]
    wait_for('the end of the attempt', lambda: ' active ' not in out(s, 'queue'))


def out(s, *args):
    r = s.command(*args)
    # without a server the command is its own, and logs
    assert r.returncode == 0 and (not r.stderr or not s.running()), (args, r)
    return r.stdout


def fails(s, code, *args, words=''):
    r = s.command(*args)
    assert r.returncode == code and not r.stdout and words in r.stderr and r.stderr, (args, r)


def queue(s):
    """{id: (state, size, next, sender, [(state, recipient, words)])}"""
    found = {}
    for line in out(s, 'queue').splitlines():
        m = re.fullmatch(r'(%s) (\w+) +([\ddhms]+) +(\d+) (\S+) +<(.*?)>(.*)' % ID, line)
        if m:
            rcpts = []
            assert m.group(1) not in found, 'twice'
            found[m.group(1)] = (m.group(2), int(m.group(4)), m.group(5), m.group(6), rcpts)
            continue
        if line == 'the queue is empty':
            assert not found
            continue
        m = re.fullmatch(r'\t(\w+) +<(.*?)>( [^"]*?)?(?: "(.*)")?', line)
        assert m, line
        rcpts.append((m.group(1), m.group(2), m.group(4)))
    return found


def fresh():
    return Server('mute', ('alice', 'bob', 'carol'))


@test
def what_waits_is_listed():
    s = fresh()
    assert out(s, 'queue') == 'the queue is empty\n'
    i = post(s, 'bob@remote.test carol@other.test alice@localhost')
    settle(s, i)
    q = queue(s)
    assert list(q) == [i], q
    state, size, due, sender, rcpts = q[i]
    assert (state, sender) == ('deferred', 'alice@example.org') and size > 50
    words = 'the name servers do not answer'
    assert rcpts == [('waiting', 'bob@remote.test', words), ('waiting', 'carol@other.test', words)]
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', due), due
    s.stop()
    q2 = queue(s)
    assert q2[i][:4] == q[i][:4], (q, q2)
    assert q2[i][4] == [(a, b, None) for a, b, _ in rcpts], 'words are not kept over a restart'
    s.start()
    assert queue(s)[i][:2] == q[i][:2]


@test
def hold_flush_and_drop():
    s = fresh()
    a, b = post(s, 'bob@remote.test'), post(s, 'carol@other.test', 'bob@example.org')
    u = post(s, 'dora@b\u00fccher.test')
    for i in (a, b, u):
        settle(s, i)
    assert out(s, 'hold', a) == ''
    assert queue(s)[a][0] == 'hold' and queue(s)[a][2] == '-' and queue(s)[b][0] == 'deferred'
    fails(s, 66, 'hold', a)
    assert os.listdir(s.path('spool', 'hold')) == [a]
    # all, or its domain: it stays where it is
    for args, again in ((['flush'], [b, u]), (['flush', 'OTHER.test'], [b]),
                        (['flush', 'b\u00fccher.test'], [u]),
                        (['flush', 'xn--bcher-KVA.test'], [u]),
                        (['flush', 'remote.test'], []), (['flush', 'nowhere.test'], []),
                        (['flush', b], [b]), (['flush', a], [a])):
        mark = len(s.log())
        assert out(s, *args) == ''
        for i in again:
            assert s.wait_log(r' %s deferred ' % i, 20, mark), (args, s.log()[mark:])
        time.sleep(0.2)
        tried = set(re.findall(r' (%s) deferred ' % ID, s.log()[mark:]))
        assert tried == set(again), (args, tried)
    assert queue(s)[a][0] == 'deferred', 'flushing a letter ends its hold'
    for i in (a, b):
        assert s.wait_log(r' %s (held|flushed) by=postmaster' % i), i
    out(s, 'drop', a, 'quiet')
    out(s, 'drop', u, 'quiet')
    assert list(queue(s)) == [b]
    out(s, 'hold', b)
    out(s, 'drop', b)
    assert queue(s) == {} and s.fetch('alice') == []
    m = email.message_from_bytes(s.fetch('bob')[0], policy=email.policy.default)
    assert m.get_content_type() == 'multipart/report' and 'carol@other.test' in m.as_string()
    for args in (['hold', a], ['drop', a], ['drop', a, 'quiet'], ['flush', a], ['show', a]):
        fails(s, 66, *args, words='no such letter')


@test
def the_same_without_the_server():
    s = fresh()
    a, b, c = (post(s, 'bob@remote.test', x) for x in ('alice@localhost', 'bob@localhost',
                                                       'carol@localhost'))
    for i in (a, b, c):
        settle(s, i)
    s.stop()
    assert set(queue(s)) == {a, b, c}
    out(s, 'hold', a)
    assert queue(s)[a][0] == 'hold'
    fails(s, 66, 'hold', a)
    fails(s, 75, 'flush', words='the server is not running')
    fails(s, 75, 'flush', a)
    out(s, 'drop', b, 'quiet')
    out(s, 'drop', c)
    for args in (['hold', c], ['drop', b], ['show', b]):
        fails(s, 66, *args, words='no such letter')
    assert 'hello' in out(s, 'show', a)
    assert list(queue(s)) == [a]
    s.start()
    assert queue(s)[a][0] == 'hold'
    assert [len(s.fetch(u)) for u in ('alice', 'bob', 'carol')] == [0, 0, 1]
    s.kill()
    r = subprocess.run([s.bin, '-d', s.path('none'), 'queue'], capture_output=True, env=s.env)
    assert r.returncode == 66


@test
def show_gives_the_letter():
    s = fresh()
    text = 'From: x@y.test\nSubject: x\n\n' + 'a line\n' * 20000 + 'no end, ok\n\nok\n'
    i = post(s, 'bob@remote.test', text=text)
    settle(s, i)
    for down in (0, 1):
        if down:
            s.stop()
        head, got = out(s, 'show', i).split('\n\n', 1)
        assert head.startswith(i + ' deferred ') and '\n\twaiting <bob@remote.test>' in head, head
        assert got.startswith('Received: from ') and got.endswith(text[text.index('a line'):])
    for bad in ('../../etc/passwd', '.', '', 'x' * 21, i[:-1], i + '0', i.upper(), '0' * 300):
        fails(s, 65, 'show', bad)
        fails(s, 65, 'hold', bad)
        fails(s, 65, 'drop', bad)
    s.start()
    for bad in ('../../etc/passwd', '.', 'x' * 21, i[:-1], i + '0', '0' * 300):
        fails(s, 65, 'show', bad)
        fails(s, 65, 'hold', bad)
        fails(s, 65, 'drop', bad)
    fails(s, 64, 'drop', i, 'loudly')
    for bad in ('a b', 'a\nqueue', '-x.test', '*', 'x' * 300):
        r = s.command('flush', '--' if bad[0] == '-' else bad)
        assert r.returncode in (64, 65), (bad, r)


@test
def what_waits_for_a_mailbox_is_listed():
    s = fresh()
    with open(s.path('mail', 'alice'), 'w') as f:
        os.fchmod(f.fileno(), 0o600)
        if ROOT:
            os.fchown(f.fileno(), os.stat(s.store).st_uid, os.stat(s.store).st_gid)
        fcntl.lockf(f, fcntl.LOCK_EX)
        i = s.deliver(message())
        big = s.deliver(message(body='x' * 70 + '\r\n' * 9000),
                        ['alice@localhost', 'bob@localhost'])
        q = wait_for('two letters', lambda: (lambda q: len(q) == 2 and q)(queue(s)))
        assert q[i][0] == q[big][0] == 'local'
        assert q[i][3] == 'peer@remote.test'
        assert q[i][4] == [('waiting', 'alice@localhost', None)], q[i]
        assert 'Hello' in out(s, 'show', i)
        for args in (['hold', i], ['flush', i]):
            fails(s, 66, *args, words='no such letter waits for other servers')
        out(s, 'drop', i, 'quiet')
        assert list(queue(s)) == [big]
    s.settled()
    assert queue(s) == {} and len(s.fetch()) == 1


def talk(s, data, name='control', wait=10):
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(wait)
    cwd = os.getcwd()
    os.chdir(s.store)
    c.connect(name)
    os.chdir(cwd)
    c.sendall(data)
    return c


def answer(c):
    with c:
        parts = []
        while True:
            b = c.recv(65536)
            if not b:
                return b''.join(parts)
            parts.append(b)


@test
def the_socket_takes_one_line_and_no_nonsense():
    s = fresh()
    empty = b'the queue is empty\nok\n'
    for data, want in ((b'queue\n', empty), (b'  queue \r\n', empty), (b'queue\nqueue\n', empty),
                       (b'\n', b'error: 64 '), (b'queue x\n', b'error: 64 '),
                       (b'show\n', b'error: 64 '), (b'QUEUE\n', b'error: 64 '),
                       (b'a b c d\n', b'error: 64 '), (b'queue\0\n', b'error: 64 '),
                       (b'x' * 600, b'error: 64 '),
                       (b'x' * 100000 + b'\n', b'error: 64 '), (b'show ../users\n', b'error: 65 '),
                       (b'hold \xff\n', b'error: 65 '), (b'flush a/b\n', b'error: 65 ')):
        try:
            got = answer(talk(s, data))
        except (ConnectionResetError, BrokenPipeError):
            assert len(data) > 90000
            continue
        assert got.startswith(want) and got.endswith(b'\n') and got.count(b'\n') <= 2, (data, got)
    c = talk(s, b'que')
    c.close()
    for i in range(5):
        assert answer(talk(s, b'queue\n')).endswith(b'ok\n')
    # more than there are places: the others wait, nobody is turned away
    cs = [talk(s, b'') for i in range(20)]
    time.sleep(0.2)
    for c in cs:
        c.sendall(b'queue\n')
    for c in cs:
        assert answer(c).endswith(b'ok\n')


@test
def ten_thousand_letters():
    """Listed in slices: nobody waits, no memory is taken, and a slow reader hurts nobody."""
    s = fresh()
    s.stop()
    st = os.stat(s.store)
    d = s.path('spool', 'hold')
    for i in range(10000):
        path = os.path.join(d, '%021x' % (0x0006410f3a2b1000000000 + i))
        with open(path, 'w') as f:
            f.write('F<s%d@example.org> BY=local\n' % i +
                    'T<a@remote.test>\nD<b@remote.test>\n' * 5 + '\nSubject: x\n\nx\n')
        os.chmod(path, 0o600)
        if ROOT:
            os.chown(path, st.st_uid, st.st_gid)
    down = queue(s)
    assert len(down) == 10000
    s.start()
    before = s.heap()
    slow = [talk(s, b'queue\n') for _ in range(3)]
    waits = []
    with s.smtp(25) as c:
        c.ehlo()
        p = subprocess.Popen([s.bin, '-d', s.store, 'queue'], stdout=subprocess.PIPE, text=True,
                             env=s.env)
        reader = concurrent(p)
        while p.poll() is None:
            t = time.monotonic()
            c.expect(250, 'NOOP')
            waits.append(time.monotonic() - t)
    text = reader()
    assert p.returncode == 0 and text.count('\n') == 110000, text.count('\n')
    took = sorted(waits)[len(waits) * 99 // 100]
    if not SAN:
        assert took < 0.05, 'NOOP took %.0f ms' % (took * 1000)
        assert s.heap() - before < 300, '%d KB more' % (s.heap() - before)
    for c in slow:
        c.close()
    up = queue(s)
    assert up == down, 'up and down differ'
    fails(s, 65, 'show', 'x')
    i = '%021x' % (0x0006410f3a2b1000000000 + 77)
    assert '<s77@example.org>' in out(s, 'show', i)
    out(s, 'drop', i, 'quiet')
    assert len(queue(s)) == 9999
    return '%d NOOPs, the worst of 99%%: %.1f ms' % (len(waits), took * 1000)


def concurrent(p):
    got = []
    t = threading.Thread(target=lambda: got.append(p.stdout.read()))
    t.start()

    def join():
        t.join(60)
        return got[0]
    return join


@test
def what_is_no_letter_does_no_harm():
    s = fresh()
    for room in ('out', 'hold', 'queue'):
        os.symlink('/etc/passwd', s.path('spool', room, '0006410f3a2b100000001'))
        os.mkfifo(s.path('spool', room, '0006410f3a2b100000002'))
        os.mkdir(s.path('spool', room, '0006410f3a2b100000003'))
        for name, text in (('4', ''), ('5', 'F<a>'), ('6', 'T<a>\n\n'), ('7', 'F<a>\n' * 100000),
                           ('8', 'x' * 100000), ('9', '\n')):
            with open(s.path('spool', room, '0006410f3a2b10000000' + name), 'w') as f:
                f.write(text)
    for k in range(1, 10):
        r = s.command('show', '0006410f3a2b10000000%d' % k)
        assert r.returncode in (65, 66, 74) and 'root' not in r.stdout, (k, r)
    assert 'root' not in out(s, 'queue')
    for room in ('out', 'hold', 'queue'):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(s.path('spool', room, '0006410f3a2b100000002'))
    s.stop()
    s.command('queue')


@test
def the_sockets_are_made_anew():
    s = fresh()
    for name in ('control', 'submit'):
        st = os.lstat(s.path(name))
        assert stat.S_ISSOCK(st.st_mode) and st.st_uid == os.stat(s.store).st_uid
    for kind in ('stale', 'file', 'link'):
        s.kill()
        for name in ('control', 'submit'):
            if kind == 'stale':
                continue
            os.unlink(s.path(name))
            if kind == 'file':
                open(s.path(name), 'w').close()
            else:
                os.symlink('/etc/passwd', s.path(name))
        s.start()
        assert out(s, 'queue') == 'the queue is empty\n'


main()
