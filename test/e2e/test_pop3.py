#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""POP3: every command, states, deletion, unique ids, other programs at the mailbox."""
from harness import *

CAPA = 'TOP UIDL USER SASL STLS PIPELINING RESP-CODES AUTH-RESP-CODE EXPIRE IMPLEMENTATION'.split()


def fill(s, n=5, user='alice'):
    s.clear(user)
    with s.smtp() as c:
        c.ehlo()
        out = []
        for i in range(n):
            m = message('nr %d' % i, 'line one of %d\r\n.dot\r\n\r\nlast\r\n' % i)
            c.mail(m, user + '@localhost')
            out.append(m)
    return out


def bodies(s, user='alice'):
    return [split_trace(x)[1] for x in s.fetch(user)]


@test
def capa_is_the_same_before_and_after_login():
    with shared('open').pop(110) as p:
        a = p.lines('CAPA')
        p.ok('USER alice')
        p.ok('PASS ' + PW)
        assert p.lines('CAPA') == a
    assert sorted(x.split()[0] for x in a) == sorted(CAPA), a
    assert 'SASL PLAIN LOGIN' in a and 'EXPIRE NEVER' in a, a
    assert any(x.startswith('IMPLEMENTATION ') for x in a)
    with shared().pop(995) as p:
        a = p.lines('CAPA')
        p.ok('USER alice')
        p.ok('PASS ' + PW)
        assert p.lines('CAPA') == a
    assert set(x.split()[0] for x in a) | {'STLS'} == set(CAPA), a
    with shared().pop(110) as p:
        a = {x.split()[0] for x in p.lines('CAPA')}
        # USER and SASL only where they would be taken (RFC 2595 4)
        assert a | {'USER', 'SASL'} == set(CAPA) and 'STLS' in a, a
        p.stls()
        a = {x.split()[0] for x in p.lines('CAPA')}
        assert a | {'STLS'} == set(CAPA), a


@test
def passwords_are_not_taken_in_clear_text():
    with shared().pop(110) as p:
        for x in ('USER alice', 'PASS ' + PW, 'AUTH PLAIN ' + plain('alice', PW), 'AUTH PLAIN',
                  'AUTH LOGIN'):
            r = p.err(x)
            assert 'TLS' in r or x.startswith('PASS'), r
        p.err('STAT')
        p.stls()
        p.ok('USER alice')
        p.ok('PASS ' + PW)


@test
def a_listener_may_take_them():
    with shared('open').pop(110) as p:
        p.ok('USER alice')
        p.ok('PASS ' + PW)
        p.stat()


@test
def auth_in_all_its_forms():
    s = shared('open')
    for a in ('AUTH PLAIN ' + plain('alice', PW), 'auth plain ' + plain('ALICE@localhost', PW)):
        with s.pop() as p:
            p.ok(a)
            p.stat()
    with s.pop() as p:
        assert p.cmd('AUTH PLAIN').rstrip() == '+'
        p.ok(plain('alice', PW))
        p.stat()
    with s.pop() as p:
        r = p.cmd('AUTH LOGIN')
        assert r.startswith('+ ') and base64.b64decode(r[2:]).lower().startswith(b'user'), r
        r = p.cmd(b64('alice'))
        assert r.startswith('+ ') and base64.b64decode(r[2:]).lower().startswith(b'pass'), r
        p.ok(b64(PW))
        p.stat()
    with s.pop(source='127.0.3.1') as p:
        assert p.cmd('AUTH PLAIN').startswith('+')
        p.err('*')
        p.err('AUTH PLAIN !!!')
        p.err('AUTH PLAIN ' + b64('x'))
        p.err('AUTH CRAM-MD5')
        p.err('AUTH PLAIN ' + plain('alice', PW, 'bob'))
        r = p.cmd('AUTH')
        if r.startswith('+OK'):
            assert p.multi().decode().split() == ['PLAIN', 'LOGIN']
        p.ok('AUTH PLAIN ' + plain('alice', PW))
        p.err('AUTH PLAIN ' + plain('alice', PW))
        p.err('USER alice')


@test
def commands_before_login():
    with shared().pop() as p:
        for x in ('STAT', 'LIST', 'UIDL', 'RETR 1', 'TOP 1 0', 'DELE 1', 'RSET', 'NOOP', 'FOO', '',
                  'PASS x', 'STLS'):
            p.err(x)
        p.ok('QUIT')
        p.eof()


@test
def a_wrong_password_waits_and_says_auth():
    s = shared()
    with s.pop(source='127.0.3.2') as p, s.smtp() as other:
        other.ehlo()
        p.ok('USER alice')
        t = time.monotonic()
        p.send('PASS wrong\r\n')
        while time.monotonic() - t < 0.8:
            other.expect(250, 'NOOP')
            time.sleep(0.02)
        a = p.line().decode()
        first = time.monotonic() - t
        assert a.startswith('-ERR [AUTH]'), a
        assert first >= 0.99, first
        p.ok('USER nobody.at.all')
        t = time.monotonic()
        b = p.err('PASS wrong', 'AUTH')
        assert a == b, (a, b)
        assert time.monotonic() - t >= 1.9, 'the delay does not grow'
        p.ok('USER alice')
    with s.pop(source='127.0.3.3') as p:
        p.ok('USER alice')
        p.ok('PASS ' + PW)


@test
def passwords_with_blanks_and_8_bit():
    s = shared('open')
    for pw in ('two  blanks in it', ' leading blank', 'trailing blank ',
               'p\u00e4ssw\u00f6rd \u4f60\u597d'):
        s.passwd('pat', pw)
        with s.login('pat', pw) as p:
            p.stat()
        with s.pop() as p:
            p.ok('AUTH PLAIN ' + plain('pat', pw))


@test
def an_empty_mailbox():
    s = shared()
    s.passwd('newcomer')
    with s.login('newcomer') as p:
        assert p.stat() == (0, 0)
        assert p.list() == [] and p.uidl() == []
        for x in ('RETR 1', 'LIST 1', 'UIDL 1', 'TOP 1 0', 'DELE 1', 'RETR 0'):
            p.err(x)
        p.ok('QUIT')


@test
def the_commands_of_a_session():
    s = shared()
    mails = fill(s)
    with s.login() as p:
        n, octets = p.stat()
        assert n == 5
        sizes = p.list()
        assert [i for i, _ in sizes] == [1, 2, 3, 4, 5] and sum(x for _, x in sizes) == octets
        raw = [p.retr(i) for i in (1, 2, 3, 4, 5)]
        assert [len(x) for x in raw] == [x for _, x in sizes]
        assert [split_trace(x)[1] for x in raw] == mails
        for i in (1, 5):
            assert p.ok('LIST %d' % i).split()[1:3] == [str(i), str(sizes[i - 1][1])]
        uids = p.uidl()
        assert p.ok('UIDL 3').split()[1:] == ['3', uids[2]]
        assert len(set(uids)) == 5 and all(re.fullmatch('[!-~]{1,70}', u) for u in uids), uids
        p.ok('NOOP')
        p.err('TOP 1')
        p.err('TOP 1 x')
        p.err('FOO')
        p.err('STLS')
        assert p.ok('stat').split()[1] == '5'
        p.ok('QUIT')
        p.eof()
    for verb in ('RETR', 'LIST', 'UIDL', 'DELE', 'TOP'):
        with s.login() as p:
            for arg in ('0', '6', '-1', 'x', '1x', '99999999999999999999', '4294967297', '1 2 3',
                        '+1', ''):
                if arg or verb not in ('LIST', 'UIDL'):
                    tail = ' 0' if verb == 'TOP' and arg not in ('1 2 3', '') else ''
                    p.err('%s %s%s' % (verb, arg, tail))
            assert p.stat()[0] == 5
            p.ok('QUIT')


@test
def top():
    s = shared()
    s.clear('alice')
    body = b'one\r\n.two\r\n\r\nFrom four\r\n>From five\r\nsix\r\n'
    s.deliver(b'Subject: t\r\n\r\n' + body)
    s.deliver(b'Subject: no body, no empty line\r\n')
    with s.login() as p:
        whole = p.retr(1)
        head = whole[:whole.index(b'\r\n\r\n') + 4]
        lines = body.split(b'\r\n')
        for n in range(8):
            p.ok('TOP 1 %d' % n)
            want = head + b''.join(x + b'\r\n' for x in lines[:min(n, 6)])
            same(p.multi(), want, 'TOP 1 %d' % n)
        p.ok('TOP 1 4294967295')
        same(p.multi(), whole)
        p.ok('QUIT')
    with s.login() as p:
        p.ok('TOP 2 0')
        top0 = p.multi()
        whole = p.retr(2)
        assert top0 in (whole, whole + b'\r\n')


@test
def delete_reset_quit():
    s = shared()
    mails = fill(s)
    with s.login() as p:
        sizes = dict(p.list())
        p.ok('DELE 2')
        p.ok('DELE 4')
        for x in ('DELE 2', 'RETR 2', 'TOP 2 0', 'LIST 2', 'UIDL 2'):
            p.err(x)
        assert p.stat() == (3, sizes[1] + sizes[3] + sizes[5])
        assert [i for i, _ in p.list()] == [1, 3, 5]
        assert [x.split()[0] for x in p.lines('UIDL')] == ['1', '3', '5']
        p.ok('RSET')
        assert p.stat()[0] == 5
        assert len(p.uidl()) == 5
        p.ok('DELE 1')
        p.ok('QUIT')
    assert bodies(s) == mails[1:]


@test
def without_quit_nothing_is_deleted():
    s = shared()
    mails = fill(s)
    p = s.login()
    for i in range(1, 6):
        p.ok('DELE %d' % i)
    p.close()
    wait_for('the mailbox to be free', lambda: 'ok' if s_free(s) else None)
    assert bodies(s) == mails
    # nor when the connection breaks within QUIT's line
    p = s.login()
    p.ok('DELE 1')
    p.send('QUI')
    p.close()
    wait_for('the mailbox to be free', lambda: s_free(s))
    assert bodies(s) == mails


def s_free(s, user='alice'):
    with s.pop() as p:
        p.ok('USER ' + user)
        r = p.cmd('PASS ' + PW)
        if r.startswith('+OK'):
            p.ok('QUIT')
            return True
        assert '[IN-USE]' in r, r
        return False


@test
def every_subset_of_a_few_can_be_deleted():
    s = shared()
    for mask in range(1, 16):
        mails = fill(s, 4)
        before = s.fetch()
        with s.login() as p:
            uids = p.uidl()
            for i in range(4):
                if mask >> i & 1:
                    p.ok('DELE %d' % (i + 1))
            p.ok('QUIT')
        keep = [i for i in range(4) if not mask >> i & 1]
        with s.login() as p:
            assert p.uidl() == [uids[i] for i in keep], mask
            assert [p.retr(k + 1) for k in range(len(keep))] == [before[i] for i in keep], mask
            p.ok('QUIT')
        mbox_valid(s.mbox('alice'))
        assert len(mbox_read(s.path('mail', 'alice'))) == len(keep)


@test
def deletion_while_mail_arrives():
    s = shared()
    mails = fill(s, 3)
    with s.login() as p:
        p.ok('DELE 1')
        p.ok('DELE 2')
        p.ok('DELE 3')
        late = message('late', 'came meanwhile\r\n')
        s.deliver(late)
        assert p.stat()[0] == 0
        p.ok('QUIT')
    assert bodies(s) == [late]
    with s.login() as p:
        p.ok('DELE 1')
        s.deliver(mails[0])
        s.deliver(mails[1])
        p.ok('QUIT')
    assert bodies(s) == mails[:2]


@test
def a_second_session_is_told_in_use():
    s = shared()
    fill(s, 2)
    with s.login() as p:
        with s.pop() as q:
            q.ok('USER alice')
            q.err('PASS ' + PW, 'IN-USE')
        with s.pop(110) as q:
            q.stls()
            q.err('AUTH PLAIN ' + plain('alice', PW), 'IN-USE')
        with s.pop(source='127.0.3.9') as q:
            # who does not know the password is not told
            q.ok('USER alice')
            q.err('PASS wrong', 'AUTH')
        with s.login('bob') as q:
            q.stat()
        extra = message('extra')
        s.deliver(extra)
        assert p.stat()[0] == 2 and len(p.list()) == 2
        p.err('RETR 3')
        p.ok('QUIT')
    assert len(bodies(s)) == 3 and bodies(s)[2] == extra


@test
def unique_ids_last():
    s = shared()
    mails = fill(s, 6)
    with s.login() as p:
        first = p.uidl()
    wait_for('free', lambda: s_free(s))
    with s.login() as p:
        assert p.uidl() == first
        p.ok('QUIT')
    s.restart()
    with s.login() as p:
        assert p.uidl() == first, 'after a restart'
        p.ok('QUIT')
    s.deliver(mails[0])
    with s.login() as p:
        assert p.uidl()[:6] == first, 'after one more'
        p.ok('DELE 2')
        p.ok('DELE 5')
        p.ok('QUIT')
    rest = [first[i] for i in (0, 2, 3, 5)]
    with s.login() as p:
        assert p.uidl()[:4] == rest, 'after deletions'
        new = p.uidl()[4]
        assert new not in first, 'the same mail once more has the same id'
        p.ok('QUIT')
    s.stop()
    for f in os.listdir(s.path('spool', 'index')):
        os.unlink(s.path('spool', 'index', f))
    s.start()
    with s.login() as p:
        assert p.uidl() == rest + [new], 'after the index was lost'
        p.ok('QUIT')
    os.unlink(s.path('spool', 'index', 'alice'))
    with s.login() as p:
        assert p.uidl() == rest + [new], 'after the index was lost while running'
        p.ok('QUIT')


@test
def unique_ids_are_never_used_twice():
    s = shared()
    seen = set()
    m = message('again and again')
    for _ in range(5):
        s.clear('bob')
        s.deliver(m, 'bob@localhost')
        s.deliver(m, 'bob@localhost')
        with s.login('bob') as p:
            u = p.uidl()
            p.ok('QUIT')
        assert len(set(u)) == 2 and not seen & set(u)
        seen |= set(u)


@test
def a_damaged_index_is_only_a_cache():
    s = shared()
    mails = fill(s, 6)
    with s.login() as p:
        uids = p.uidl()
        p.ok('QUIT')
    path = s.path('spool', 'index', 'alice')
    good = open(path, 'rb').read()
    rnd = random.Random(3)
    for what in ('empty', 'short', 'noise', 'zeros', 'longer', 'half'):
        bad = {'empty': b'', 'short': good[:-7], 'noise': rnd.randbytes(len(good)),
               'zeros': bytes(len(good)),
               'longer': good + rnd.randbytes(100), 'half': good[:len(good) // 2]}[what]
        with open(path, 'r+b') as f:
            f.truncate(0)
            f.write(bad)
        with s.login() as p:
            assert p.uidl() == uids, what
            assert [split_trace(p.retr(i + 1))[1] for i in range(6)] == mails, what
            p.ok('QUIT')


@test
def pipelined_and_byte_by_byte():
    s = shared('open')
    script = (b'CAPA\r\nUSER alice\r\nPASS %s\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\n'
              b'DELE 1\r\nLIST\r\nRETR 1\r\n'
              b'FOO\r\nRSET\r\nRETR 3\r\nRETR 2\r\nNOOP\r\nLIST 2\r\nQUIT\r\n' % PW.encode())
    fill(s, 3)
    outs = []
    for how in ('burst', 'bytes', 'burst'):
        wait_for('free', lambda: s_free(s))
        with s.pop(110, greet=False) as p:
            outs.append(transcript(p, cut(script, how)))
    assert outs[0] == outs[1] == outs[2]
    assert outs[0].count(b'+OK') >= 15, outs[0]


@test
def long_and_odd_command_lines():
    with shared().pop() as p:
        p.err('USER ' + 'x' * 10000)
        p.err(b'US\0ER alice')
        p.ok('USER alice')
        p.ok('PASS ' + PW)
        p.err('RETR ' + '0' * 9000 + '1')
        p.ok('NOOP')
    with shared().pop() as p:
        # a bare LF does not end a line; what it hides is never obeyed
        p.send(b'CAPA\nCAPA\r\n')
        assert p.line().startswith(b'-ERR')
        with contextlib.suppress(Closed):
            assert p.line().startswith(b'-ERR')


@test
def too_many_errors_end_the_session():
    with shared().pop() as p:
        n = 0
        with contextlib.suppress(Closed, OSError):
            while n < 60:
                p.err('FOO')
                n += 1
        assert 10 <= n < 60, n


@test
def other_programs_add_and_remove():
    s = shared('open')
    mails = fill(s, 3)
    path = s.path('mail', 'alice')
    with s.login() as p:
        uids = p.uidl()
        p.ok('QUIT')
    box = mailbox.mbox(path, create=False)
    box.lock()
    box.add(b'From: <local@program>\nSubject: foreign\n\nFrom inside\n')
    box.flush()
    box.unlock()
    box.close()
    with s.login() as p:
        assert p.stat()[0] == 4
        assert p.uidl()[:3] == uids
        assert b'Subject: foreign' in p.retr(4)
        p.ok('QUIT')
    data = s.mbox('alice')
    cut = data.index(b'\n\nFrom ') + 2
    owner = os.stat(path)
    # in place, as some do
    with open(path, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        f.write(data[cut:])
        f.truncate()
    with s.login() as p:
        assert p.stat()[0] == 3
        assert p.uidl()[:2] == uids[1:]
        assert split_trace(p.retr(1))[1] == mails[1]
        p.ok('QUIT')
    # by a new file, as others do
    with open(path + '.new', 'wb') as f:
        f.write(data)
    os.chown(path + '.new', owner.st_uid, owner.st_gid)
    os.chmod(path + '.new', 0o600)
    os.rename(path + '.new', path)
    with s.login() as p:
        assert p.uidl()[:3] == uids and p.stat()[0] == 4
        p.ok('QUIT')
    s.deliver(mails[0])
    with s.login() as p:
        assert p.stat()[0] == 5
        p.ok('QUIT')
    # it vanishes
    os.unlink(path)
    with s.login() as p:
        assert p.stat() == (0, 0)
        p.ok('QUIT')
    s.deliver(mails[0])
    assert bodies(s) == mails[:1]


@test
def a_mailbox_that_does_not_end_in_a_blank_line_is_mended():
    s = shared('open')
    for tail in (b'', b'\n', b'\n\n', b'half a line'):
        fill(s, 1)
        data = s.mbox('alice').rstrip(b'\n') + tail
        with open(s.path('mail', 'alice'), 'r+b') as f:
            f.truncate(0)
            f.write(data)
        new = message('after')
        s.deliver(new)
        got = s.fetch()
        assert len(got) == 2, (tail, len(got))
        same(split_trace(got[1])[1], new)
        mbox_valid(s.mbox('alice'))


@test
def changed_under_an_open_session():
    """A foreign rewrite during a session never makes RETR send bytes of the wrong message, nor QUIT
    delete one."""
    s = shared('open')
    mails = fill(s, 4)
    path = s.path('mail', 'alice')
    data = s.mbox('alice')
    cut = data.index(b'\n\nFrom ') + 2
    for way in ('in place', 'new file'):
        with open(path, 'r+b') as f:
            f.truncate(0)
            f.write(data)
        p = s.login()
        assert p.stat()[0] == 4
        p.ok('DELE 1')
        if way == 'in place':
            with open(path, 'r+b') as f:
                f.write(data[cut:])
                f.truncate()
        else:
            with open(path + '.x', 'wb') as f:
                f.write(data[cut:])
            st = os.stat(path)
            os.chown(path + '.x', st.st_uid, st.st_gid)
            os.chmod(path + '.x', 0o600)
            os.rename(path + '.x', path)
        for i in (2, 3, 4):
            try:
                r = p.cmd('RETR %d' % i)
                if r.startswith('+OK'):
                    assert split_trace(p.multi())[1] == mails[i - 1], \
                        'RETR %d: another message (%s)' % (i, way)
            except Closed:
                break
        with contextlib.suppress(Closed, OSError):
            p.cmd('QUIT')
        p.close()
        wait_for('free', lambda: s_free(s))
        assert bodies(s) == mails[1:], 'something else was deleted (%s)' % way


@test
def a_mailbox_locked_by_another_program():
    s = shared('open')
    fill(s, 1)
    path = s.path('mail', 'alice')
    with open(path, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        t = time.monotonic()
        m = message('locked')
        size = os.fstat(f.fileno()).st_size
        s.deliver(m)
        assert time.monotonic() - t < 2 * SLOW, 'the peer had to wait'
        s.deliver(message('to another'), 'bob@localhost')
        time.sleep(0.2)
        assert os.fstat(f.fileno()).st_size == size, 'it wrote under a foreign lock'
        # the lock is looked at again and again, nobody is stalled
        with s.smtp() as c:
            c.ehlo()
    wait_for('the letter', lambda: m.replace(b'\r\n', b'\n')[:100] in s.mbox('alice'), 10)
    wait_for('free', lambda: s_free(s))
    got = bodies(s)
    assert got.count(m) == 1 and len(got) == 2


@test
def a_restart_while_a_mailbox_is_locked():
    s = shared('open')
    s.clear('bob')
    s.deliver(message('before'), 'bob@localhost')
    path = s.path('mail', 'bob')
    ms = [message('waits %d' % i) for i in range(3)]
    with open(path, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        for m in ms:
            s.deliver(m, ['bob@localhost', 'carol@localhost'])
        s.kill()
        # the start waits for the lock, for a while
        t = threading.Timer(1.5, fcntl.lockf, (f, fcntl.LOCK_UN))
        t.start()
        s.start()
        t.join()
        fcntl.lockf(f, fcntl.LOCK_EX)
        s.deliver(ms[0], ['carol@localhost', 'bob@localhost'])
        s.stop()
        s.start()
    wait_for('the letters', lambda: all(m.replace(b'\r\n', b'\n') in s.mbox('bob') for m in ms), 15)
    s.settled()
    wait_for('free', lambda: s_free(s, 'bob'))
    got = bodies(s, 'bob')
    assert [got.count(m) for m in ms] == [2, 1, 1], [got.count(m) for m in ms]


@test
def quit_in_the_same_moment_as_letters_come():
    """Both in one turn of the loop: the deletion syncs and resets the journal, in which the letters
    were just put."""
    s = shared('open')
    for kind in ('locked', 'killed'):
        fill(s, 2, 'alice')
        s.clear('bob')
        s.deliver(message('before'), 'bob@localhost')
        ms = [message('same moment %d' % i) for i in range(4)]

        def almost(m):
            c = s.smtp()
            c.ehlo()
            c.envelope('bob@localhost', 'peer@remote.test')
            c.expect(354, 'DATA')
            c.send(stuff(m)[:-3])
            return c
        # the loop looks at older connections first
        cs = [almost(m) for m in ms[:2]]
        with s.login('alice') as p, open(s.path('mail', 'bob'), 'r+b') as f:
            cs += [almost(m) for m in ms[2:]]
            p.ok('DELE 1')
            fcntl.lockf(f, fcntl.LOCK_EX)
            s.signal(signal.SIGSTOP)
            for c in cs:
                c.send(b'.\r\n')
            p.send('QUIT\r\n')
            time.sleep(0.1)
            s.signal(signal.SIGCONT)
            assert p.line().startswith(b'+OK')
            for c in cs:
                assert c.reply().code == 250
                c.close()
            if kind == 'killed':
                s.kill()
        if kind == 'killed':
            s.start()
        wait_for('the letters', lambda: len(bodies(s, 'bob')) == 5, 10)
        assert sorted(bodies(s, 'bob')[1:]) == sorted(ms)
        assert len(bodies(s, 'alice')) == 1


@test
def a_program_that_had_the_old_file_open_loses_nothing():
    """It opened the mailbox, we replaced it by a new file (QUIT), then it got its lock and appended
    to the old one."""
    s = shared('open')
    mails = fill(s, 3)
    with open(s.path('mail', 'alice'), 'ab') as f:
        with s.login() as p:
            p.ok('DELE 1')
            p.ok('QUIT')
        fcntl.lockf(f, fcntl.LOCK_EX)
        f.write(b'From x@y.test Sun Nov 22 03:03:14 2026\nSubject: slow program\n\nlate\n\n')
        f.flush()
        fcntl.lockf(f, fcntl.LOCK_UN)
    wait_for('what it wrote', lambda: b'Subject: slow program' in s.fetch()[-1], 10)
    s.deliver(mails[0])
    got = s.fetch()
    assert len(got) == 4
    assert [split_trace(x)[1] for x in got[:2] + got[3:]] == mails[1:] + mails[:1]
    mbox_valid(s.mbox('alice'))


@test
def a_mailbox_that_is_none():
    """A directory, a link to something else: not followed, told as a temporary trouble, and nothing
    is lost."""
    s = shared('open')
    s.clear('carol')
    path = s.path('mail', 'carol')
    other = s.path('spool', 'elsewhere')
    with open(other, 'w') as f:
        f.write('somebody else\'s file')
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    for make, unmake in ((lambda: os.mkdir(path), lambda: os.rmdir(path)),
                         (lambda: os.symlink('../spool/elsewhere', path), lambda: os.unlink(path))):
        make()
        m = message('waits')
        s.deliver(m, 'carol@localhost')
        with s.pop() as p:
            p.ok('USER carol')
            p.err('PASS ' + PW, 'SYS/TEMP')
        unmake()
        assert [split_trace(x)[1] for x in s.fetch('carol')] == [m]
        s.clear('carol')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    with open(other) as f:
        assert f.read() == 'somebody else\'s file'
    os.unlink(other)


@test
def only_modern_tls():
    s = shared()
    for ciphers in ('ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'AES128-GCM-SHA256',
                    'AES256-SHA', 'ECDHE-ECDSA-AES128-SHA'):
        ctx = context()
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            ctx.set_ciphers(ciphers + ':@SECLEVEL=0')
        except ssl.SSLError:
            continue
        with socket.create_connection(('127.0.0.1', s.port(995)), timeout=10) as x:
            try:
                ctx.wrap_socket(x)
            except OSError:
                continue
            raise AssertionError(ciphers + ' was accepted')


@test
def tls_ends_in_order():
    with shared().pop() as p:
        p.ok('QUIT')
        p.s.settimeout(5 * SLOW)
        assert p.s.recv(100) == b'', 'no close_notify'      # raises if the end is ragged


@test
def a_client_that_closes_at_once():
    s = shared()
    for port in (995, 110, 25, 465):
        for _ in range(20):
            x = socket.create_connection(('127.0.0.1', s.port(port)), timeout=5)
            x.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            x.close()
    assert s_free(s)


main()
