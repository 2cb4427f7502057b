#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""A disk that is full, read-only or failing: a temporary answer, a word in the log, nothing harmed.
Needs root and mount."""
from harness import *

MOUNTS = []


def mount(*args):
    """Mount on a fresh directory; undone at the end."""
    if not ROOT:
        raise Skip('not root')
    d = tempfile.mkdtemp(dir=SCRATCH)
    r = subprocess.run(['mount'] + list(args) + [d], capture_output=True, text=True)
    if r.returncode:
        raise Skip('cannot mount: ' + r.stderr.strip())
    MOUNTS.append(d)
    os.chmod(d, 0o755)
    return d


def unmount():
    for s in SERVERS:
        s.kill()
    while MOUNTS:
        subprocess.run(['umount', MOUNTS.pop()], capture_output=True)


def tmpfs(size, *opts):
    return mount('-t', 'tmpfs', '-o', ','.join(['size=%d' % size, 'mode=755'] + list(opts)),
                 'tmpfs')


def fill(d, leave):
    v = os.statvfs(d)
    n = v.f_bavail * v.f_frsize - leave
    if n > 0:
        with open(os.path.join(d, 'filler'), 'wb') as f:
            os.posix_fallocate(f.fileno(), 0, n)


def unfill(d):
    os.unlink(os.path.join(d, 'filler'))


def try_mail(s, data, to='alice@localhost'):
    """The first reply that is no success, or the last."""
    with s.smtp() as c:
        c.ehlo()
        r = c.cmd('MAIL FROM:<a@remote.test>')
        if r.code == 250:
            r = c.cmd('RCPT TO:<%s>' % to)
        if r.code == 250:
            r = c.cmd('DATA')
        if r.code == 354:
            c.send(stuff(data))
            r = c.reply()
        c.expect(250, 'NOOP')
    return r


@test
def a_margin_stays_free():
    d = tmpfs(64 << 20)
    s = Server('default', ['alice'], store=os.path.join(d, 'store'))
    m = message('before')
    assert try_mail(s, m).code == 250
    fill(d, 12 << 20)
    r = try_mail(s, message('refused'))
    assert r.code == 452 and r.enhanced == '4.3.1', r
    assert re.search(r'(?i)space|full|disk|room', s.log()), 'nothing in the log'
    with s.login() as p:
        assert p.stat()[0] == 1
        p.ok('QUIT')
    unfill(d)
    wait_for('mail is taken again', lambda: try_mail(s, message('after')).code == 250, 10)
    fill(d, 20 << 20)
    r = try_mail(s, message('big', ('x' * 70 + '\r\n') * 150000))
    assert r.code == 452, 'the margin was used up: %r' % r
    unfill(d)
    got = s.fetch()
    assert len(got) == 2 and split_trace(got[0])[1] == m
    with s.login() as p:
        p.ok('DELE 1')
        p.ok('QUIT')
    assert len(s.fetch()) == 1
    s.stop()


@test
def inodes_in_reserve():
    d = tmpfs(64 << 20, 'nr_inodes=600')
    s = Server('default', ['alice'], store=os.path.join(d, 'store'))
    assert try_mail(s, message('before')).code == 250
    for i in range(420):
        try:
            open(os.path.join(d, 'f%d' % i), 'w').close()
        except OSError:
            break
    r = try_mail(s, message('refused'))
    assert r.code == 452 and r.enhanced == '4.3.1', r
    for f in os.listdir(d):
        if re.fullmatch(r'f\d+', f):
            os.unlink(os.path.join(d, f))
    wait_for('mail is taken again', lambda: try_mail(s, message('after')).code == 250, 10)
    s.stop()


@test
def really_full():
    """Without a margin: the write itself fails, in the middle of things."""
    d = tmpfs(24 << 20)
    s = Server('nomargin', ['alice', 'bob'], store=os.path.join(d, 'store'))
    kept = []
    for i in range(3):
        kept.append(message('kept %d' % i))
        assert try_mail(s, kept[-1]).code == 250
    with s.login() as p:
        uids = p.uidl()
        p.ok('QUIT')
    codes = set()
    for leave in (4 << 20, 300000, 70000, 20000, 5000, 0):
        fill(d, leave)
        for size in (100, 3000, 100000, 2000000):
            m = message('maybe %d %d' % (leave, size), ('y' * 70 + '\r\n') * (size // 72))
            r = try_mail(s, m)
            codes.add(r.code)
            assert r.code in (250, 452), r
            assert r.code == 250 or r.enhanced == '4.3.1', r
            if r.code == 250:
                kept.append(m)
        unfill(d)
    assert 452 in codes
    # the disk has room again: everything acknowledged, nothing else
    wait_for('mail is taken again', lambda: (lambda m: try_mail(s, m).code == 250 and
                                             (kept.append(m) or True))(message('after')), 10)

    def all_there():
        # large ones may come later than those behind them
        return sorted(split_trace(x)[1] for x in s.fetch()) == sorted(kept) or None
    wait_for('every letter that was acknowledged, once', all_there, 15)
    mbox_valid(s.mbox('alice'))
    with s.login() as p:
        assert p.uidl()[:3] == uids
        p.ok('QUIT')
    # deletion on a full disk: done, or refused and nothing lost
    fill(d, 0)
    with s.login() as p:
        p.ok('DELE 2')
        r = p.cmd('QUIT')
    unfill(d)
    time.sleep(0.1)
    got = [split_trace(x)[1] for x in s.fetch()]
    want = kept[:1] + kept[2:]
    assert sorted(got) == sorted(want if r.startswith('+OK') else kept), (r, len(got), len(kept))
    # killed while full, started when there is room
    fill(d, 0)
    s.kill()
    unfill(d)
    s.start()
    assert [split_trace(x)[1] for x in s.fetch()] == got
    s.stop()


@test
def started_on_a_full_disk():
    d = tmpfs(24 << 20)
    s = Server('nomargin', ['alice'], store=os.path.join(d, 'store'))
    assert try_mail(s, message('kept')).code == 250
    s.kill()
    fill(d, 0)
    try:
        s.start(tries=1)
        r = try_mail(s, message('refused', 'x' * 70 + '\r\n' * 100))
        assert r.code in (250, 452), r
    except RuntimeError as e:
        assert re.search(r'(?i)space', str(e)), e
    s.kill()
    unfill(d)
    s.start()
    assert b'Subject: kept' in s.fetch()[0]
    s.stop()


@test
def a_socket_that_cannot_be_made():
    d = tempfile.mkdtemp(dir=SCRATCH)
    os.chmod(d, 0o755)
    s = Server('default', ['alice'], store=d + '/store')
    s.stop()
    if os.path.exists(s.path('control')):
        os.unlink(s.path('control'))
    os.mkdir(s.path('control'))
    s.start()
    wait_for('the word in the log', lambda: 'socket-missing file=control' in s.log())
    assert try_mail(s, message('meanwhile')).code == 250
    os.rmdir(s.path('control'))
    wait_for('the socket', lambda: os.path.exists(s.path('control')), 20)
    assert s.command('queue').returncode == 0
    assert s.log().count('socket-missing') <= 4
    s.stop()


@test
def read_only():
    if not ROOT:
        raise Skip('not root')
    image = os.path.join(SCRATCH, 'image')
    with open(image, 'wb') as f:
        f.truncate(64 << 20)
    if not shutil.which('mkfs.ext4') or subprocess.run(['mkfs.ext4', '-q', image],
                                                       capture_output=True).returncode:
        raise Skip('no mkfs.ext4')
    d = mount('-o', 'loop,errors=remount-ro', image)
    dev = os.path.basename(subprocess.run(['findmnt', '-no', 'SOURCE', d], capture_output=True,
                                          text=True).stdout.strip())
    trigger = '/sys/fs/ext4/%s/trigger_fs_error' % dev
    if not os.path.exists(trigger):
        raise Skip('no way to make it fail')
    s = Server('nomargin', ['alice'], store=os.path.join(d, 'store'))
    m = message('before')
    assert try_mail(s, m).code == 250
    time.sleep(1.5)
    with open(trigger, 'w') as f:
        f.write('test')
    mark = len(s.log())
    for size in (10, 1000, 300000):
        for _ in range(4):
            r = try_mail(s, message('refused', ('x' * 70 + '\r\n') * (size // 70)))
            assert r.code == 451 and r.enhanced and r.enhanced[:3] == '4.3', r
    lines = [x for x in s.log()[mark:].splitlines()
             if re.search(r'(?i)read-only|EROFS|input/output', x)]
    assert 1 <= len(lines) <= 4, 'logged %d times' % len(lines)
    # a session needs the index, which cannot be written; what must not be is a confirmed deletion
    with s.pop() as p:
        p.ok('USER alice')
        r = p.cmd('PASS ' + PW)
        if r.startswith('+OK'):
            assert p.stat()[0] == 1 and split_trace(p.retr(1))[1] == m
            p.ok('DELE 1')
            r = p.cmd('QUIT')
        assert r.startswith('-ERR [SYS/TEMP]'), r
    s.kill()
    subprocess.run(['umount', d], check=True)
    subprocess.run(['mount', '-o', 'loop,errors=remount-ro', image, d], check=True)
    s.start()
    assert [split_trace(x)[1] for x in s.fetch()] == [m]
    s.stop()


try:
    main()
finally:
    unmount()
