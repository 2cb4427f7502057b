#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Mail from programs of this machine: sendmail as cron, PHP, mail(1) and mutt call it."""
import email
import email.policy
import pwd

from harness import *

USERS = ('alice', 'bob', 'carol')
ME = pwd.getpwuid(os.getuid()).pw_name


def server():
    return shared('mute', USERS)


def run(s, args, data=b'', name='sendmail', **kw):
    """maild by another name; args may be text as in a shell."""
    link = os.path.join(tempfile.mkdtemp(dir=SCRATCH), name)
    os.symlink(s.bin, link)
    if isinstance(args, str):
        args = args.split()
    if isinstance(data, str):
        data = data.encode()
    return subprocess.run([link, '-d', s.store] + list(args), input=data, capture_output=True,
                          timeout=60 * SLOW, env=s.env, **kw)


def ok(s, args, data, **kw):
    r = run(s, args, data, **kw)
    assert r.returncode == 0 and not r.stderr and not r.stdout, (args, r)


def got(s, user):
    """What came for a user since the last time: (return path, message) each."""
    out = []
    for raw in s.fetch(user):
        m, rest = split_trace(raw)
        out.append((m.group('path').decode(), rest))
    s.clear(user)
    return out


def one(s, user):
    msgs = got(s, user)
    assert len(msgs) == 1, (user, msgs)
    return msgs[0]


def none(s, *users):
    for u in users or USERS:
        assert got(s, u) == [], u


HEAD = 'Subject: x\nDate: Sun, 22 Nov 2026 03:03:14 +0000\nMessage-ID: <1@x.test>\n'


@test
def as_cron_and_other_programs_call_it():
    s = server()
    msg = 'From: root (Cron Daemon)\nTo: alice\nSubject: Cron <root@box> ls\n\nout\n'
    for args, to in (('-FCronDaemon -odi -oem -oi -t -f root', None),      # vixie-cron, isc-cron
                     ('-FCronDaemon -i -B8BITMIME -oem alice', None),      # cronie
                     ('-ti', None),                                        # busybox crond
                     ('-t -i', None),                                      # PHP
                     ('-i alice', None),                                   # git send-email
                     ('-oem -oi -- alice', None),                          # mutt
                     ('-i alice@localhost', None),
                     ('-bm -v -G -n -m -U -x y -h 3 -L tag -O A=b -oQx -X /x alice', None),
                     ('-Am -em -C /dev/null -f bob@example.org alice', None)):
        ok(s, args, msg)
        path, rest = one(s, 'alice')
        assert path in ('root@mx.example.org', ME + '@mx.example.org', 'bob@example.org'), path
        assert rest.startswith(b'From: root (Cron Daemon)\r\nTo: alice\r\n'), rest
        m = email.message_from_bytes(rest)
        assert m['Date'] and m['Message-ID'] and m.get_payload() == 'out\r\n', rest


@test
def recipients_of_the_header():
    s = server()
    for fields, want in (
            ('To: alice\n', 'a'),
            # an address of the catch-all, which is carol's
            ('To: "Doe, J." <any@example.net>, (x) bob@localhost (y (z))\n', 'bc'),
            ('To: Team: alice@localhost,\n\t<bob>;\nCC: undisclosed-recipients:;\n', 'ab'),
            ('to : alice@localhost\nbCC:\n carol,\n\tbob@localhost\n', 'abc'),
            ('Bcc: alice\n', 'a'),
            ('To: bob\nResent-To: alice\nCc: carol\n', 'a'),
            ('Resent-From: x@y.test\nTo: bob\nResent-Bcc: alice, carol\n', 'ac'),
            ('To: alice, alice, alice@mx.example.org, <alice>\n', 'a')):
        ok(s, '-t', fields + HEAD + '\nx\n')
        for u in USERS:
            msgs = got(s, u)
            assert len(msgs) == (u[0] in want), (fields, u, msgs)
            for _, rest in msgs:
                assert not re.search(rb'(?im)^(resent-)?bcc', rest), rest
                assert b'carol,\r\n\tbob' not in rest, 'a folded Bcc was left'


@test
def addresses_beyond_ascii():
    s = server()
    to = 'To: K <k\u00f6ln@example.net>\n'        # the catch-all's
    ok(s, '-t -f j\u00fcrgen@b\u00fccher.test', to + HEAD + '\nx\n')
    path, rest = one(s, 'carol')
    assert path == 'j\u00fcrgen@b\u00fccher.test' and crlf(to.encode()) in rest, (path, rest)
    r = run(s, '-t', b'To: k\xf6ln@example.net\n\nx\n')              # that is no UTF-8
    assert r.returncode == 65 and b'not an address: k\\xf6ln@example.net' in r.stderr, r
    none(s)


@test
def arguments_and_header_together():
    s = server()
    ok(s, 'alice', 'To: bob\n' + HEAD + '\nx\n')
    one(s, 'alice')
    none(s)
    ok(s, '-t alice', 'To: bob\n' + HEAD + '\nx\n')
    one(s, 'alice')
    one(s, 'bob')
    ok(s, ['alice, Bob <bob@localhost>', 'carol'], HEAD + '\nx\n')
    for u in USERS:
        one(s, u)


@test
def what_is_written_comes_out():
    s = server()
    for data, want in (
            (b'a\nb\n', b'a\r\nb\r\n'),
            (b'a\r\nb\r\n', b'a\r\nb\r\n'),
            (b'no end', b'no end\r\n'),
            (b'.x\n..\n...\n.\r.\n', b'.x\r\n..\r\n...\r\n.\r\n.\r\n'),
            (b'10%\r50%\r100%\n', b'10%\r\n50%\r\n100%\r\n'),
            (b'a\r\r\nb\r', b'a\r\nb\r\n'),
            (b'', b''),
            (b'\n\n', b'\r\n\r\n'),
            (b'From x\n>From y\n', b'From x\r\n>From y\r\n'),
            ('J\u00fcrgen \u20ac\n'.encode(), 'J\u00fcrgen \u20ac\r\n'.encode()),
            (b'x' * 990 + b'\n' + b'y' * 20000 + b'\n', b'x' * 990 + b'\r\n' + b'y' * 20000 +
             b'\r\n')):
        ok(s, '-i alice', b'From: x@y.test\n' + HEAD.encode() + b'\n' + data)
        same(one(s, 'alice')[1], crlf(b'From: x@y.test\n' + HEAD.encode()) + b'\r\n' + want,
             repr(data[:40]))
    more = b'.\r\nmore\r\n'
    for args, end in (('alice', b''), ('-i alice', more), ('-oi alice', more),
                      ('-o i alice', more)):
        ok(s, args, b'From: x@y.test\n' + HEAD.encode() + b'\nbody\n.\nmore\n')
        rest = one(s, 'alice')[1]
        assert rest.endswith(b'\r\n\r\nbody\r\n' + end), (args, rest)


@test
def cut_at_each_buffer():
    """Line ends, dots and fields around multiples of the buffers."""
    s = server()
    for n in list(range(2040, 2056)) + list(range(8180, 8200)):
        text = 'From: x@y.test\n' + HEAD + '\n'
        text += 'p' * (n - len(text) - 1) + '\n.dot\r\n.\nBcc: no field\n'
        ok(s, '-i alice', text)
        same(one(s, 'alice')[1], crlf(text.encode()), str(n))
    for n in list(range(8180, 8200)):
        text = 'From: x@y.test\n' + HEAD
        text += 'X: ' + 'p' * (n - len(text) - 4) + '\n'
        body = 'Cc: alice\n\nx\n'
        ok(s, '-t', text + 'Bcc: bob,\n ' + 'carol,' * 2000 + '\n' + body)
        for u in USERS:
            same(one(s, u)[1], crlf((text + body).encode()), '%s %d' % (u, n))


@test
def what_the_header_lacks():
    s = server()
    me = ME + '@mx.example.org'
    for args, text, want in (
            ('', 'Subject: x\n\nbody\n', me),
            ('-F Nobody', 'Subject: x\n\nbody\n', '"Nobody" <%s>' % me),
            (['-F', 'A "B" \\ C., D'], 'Subject: x\n\nbody\n', '"A \\"B\\" \\\\ C., D" <%s>' % me),
            (['-F', 'J\u00fcrgen'], 'Subject: x\n\nbody\n', 'J\u00fcrgen <%s>' % me),
            (['-F', '\u00e4' * 60], 'Subject: x\n\nbody\n', '\u00e4' * 22 + ' <%s>' % me),
            ('-f bob@example.org', 'Subject: x\n\nbody\n', 'bob@example.org'),
            (['-f', 'Bob <bob@example.org>'], 'Subject: x\n\nbody\n', 'bob@example.org'),
            (['-f', '<>'], 'Subject: x\n\nbody\n', me),
            (['-f', ''], 'Subject: x\n\nbody\n', me),
            ('-F Nobody', 'FROM: x@y.test\nSubject: x\n\nbody\n', 'x@y.test'),
            ('', 'body\n', me),
            ('', '\nbody\n', me),
            ('', 'body: no\n', me),
            ('', ' folded\n', me),
            ('', 'Subject: x\nno field\n\nbody\n', me),
            ('', '', me)):
        args = args.split() if isinstance(args, str) else args
        ok(s, args + ['alice'], text)
        path, rest = one(s, 'alice')
        m = email.message_from_bytes(rest, policy=email.policy.default)
        w = email.message_from_string('From: ' + want + '\n\n', policy=email.policy.default)
        addr, waddr = m['From'].addresses[0], w['From'].addresses[0]
        assert addr == waddr, (args, text, m['From'], want)
        assert len(m.get_all('From')) == len(m.get_all('Date')) == len(m.get_all('Message-ID')) == 1
        assert not m.defects, (text, m.defects, rest)
        if text and not text.startswith('body:'):
            assert rest.endswith(crlf(text.encode()).split(b'\r\n\r\n')[-1].lstrip(b'\r\n')), rest
        assert path == ('bob@example.org' if 'bob@' in repr(args) else '' if '-f' in args else me)


@test
def a_from_line_and_a_return_path_are_not_sent():
    s = server()
    ok(s, 'alice', 'From bob Sun Nov 22 03:03:14 2026 ' + 'x' * 9000 + '\nFrom: x@y.test\n'
       'Return-Path: <evil@y.test>\n' + HEAD + '\nbody\n')
    same(one(s, 'alice')[1], crlf(b'From: x@y.test\n' + HEAD.encode() + b'\nbody\n'))


@test
def exit_codes_and_nothing_half():
    s = server()
    msg = 'From: x@y.test\n' + HEAD + '\nx\n'
    many = ' '.join('u%d@remote.test' % i for i in range(101))
    for args, data, code in (
            ('', msg, 64), ('-t', msg, 65), ('-t', 'To: \n' + msg, 65), ('-q', '', 0),
            ('-Z alice', msg, 64), ('-bd', '', 64), ('-bt', '', 64), ('-f', msg, 64),
            ('nobody', msg, 67), ('alice nobody', msg, 67), ('alice@', msg, 65),
            (['-F', 'a\nTo: bob', 'alice'], msg, 64), (['alice\r\nDATA'], msg, 65),
            (['a b'], msg, 65), ('-f @ alice', msg, 65), ('alice ' + many, msg, 65),
            ('-t', 'To: alice, John Doe\n' + msg, 65), ('-t', 'To: alice, <bob\n' + msg, 65),
            ('-t', 'To: alice\nCc: (\n' + msg, 65), ('-R WRONG alice', msg, 65),
            ('-N never,x alice', msg, 67), (['-V', 'a b', 'alice'], msg, 64),
            ('alice', msg + 'x' * 6000000, 65)):
        r = run(s, args, data)
        assert r.returncode == code, (args, r)
        assert bool(r.stderr) == bool(code), (args, r)
        assert len(r.stderr.splitlines()) <= 2 and not re.search(rb'[^ -~\n]', r.stderr), r
    none(s)


@test
def a_message_that_breaks_off_is_not_sent():
    s = server()
    link = os.path.join(tempfile.mkdtemp(dir=SCRATCH), 'sendmail')
    os.symlink(s.bin, link)
    tmp = tempfile.mkdtemp(dir=SCRATCH)
    p = subprocess.Popen([link, '-d', s.store, 'alice'], stdin=subprocess.PIPE,
                         env=dict(s.env, TMPDIR=tmp))
    p.stdin.write(b'Subject: x\n\nhalf\n')
    p.stdin.flush()
    time.sleep(0.3)
    p.kill()
    p.wait(10)
    none(s)
    assert os.listdir(tmp) == []


@test
def a_large_message_and_many_at_once():
    s = server()
    text = 'From: x@y.test\n' + HEAD + '\n' + ''.join('.%d\n' % i for i in range(500000))
    ok(s, '-t', 'To: alice, bob\n' + text)
    for u in ('alice', 'bob'):
        same(one(s, u)[1], crlf(('To: alice, bob\n' + text).encode()))
    link = os.path.join(tempfile.mkdtemp(dir=SCRATCH), 'sendmail')
    os.symlink(s.bin, link)
    ps = []
    for i in range(40):
        p = subprocess.Popen([link, '-d', s.store, '-i', 'alice'], stdin=subprocess.PIPE,
                             env=s.env)
        p.stdin.write(b'Subject: %d\n\nx\n' % i)
        p.stdin.close()
        ps.append(p)
    assert [p.wait(60 * SLOW) for p in ps] == [0] * 40
    subjects = [int(email.message_from_bytes(r)['Subject']) for _, r in got(s, 'alice')]
    assert sorted(subjects) == list(range(40)), subjects


@test
def without_a_server():
    s = Server('mute', USERS)
    msg = 'Subject: x\n\nx\n'
    ok(s, 'alice', msg)
    s.stop()
    for how in ('stopped', 'killed'):
        if how == 'killed':
            s.start()
            s.kill()
        r = run(s, 'alice', msg)
        assert r.returncode == 75 and b'the server is not running' in r.stderr, r
        r = run(s, '-bs', 'EHLO x\r\nQUIT\r\n')
        assert r.returncode == 75 and r.stdout.startswith(b'421 4.3.2 '), r
        r = run(s, '', name='mailq')
        assert r.returncode == 0 and r.stdout == b'the queue is empty\n', r
    s.start()
    ok(s, 'alice', msg)
    assert len(got(s, 'alice')) == 2
    r = subprocess.run([s.bin, '-d', s.path('none'), 'sendmail', 'alice'], input=b'x\n',
                       capture_output=True, env=s.env)
    assert r.returncode == 75, r


@test
def smtp_by_standard_input():
    s = server()
    data = message()
    r = run(s, '-bs', b'EHLO x\r\nMAIL FROM:<bob@example.org>\r\nRCPT TO:<alice@localhost>\r\n'
            b'DATA\r\n' + stuff(data) + b'QUIT\r\n')
    assert r.returncode == 0, r
    assert [x[:3] for x in r.stdout.split(b'\r\n')][-6:] == [b'250', b'250', b'354', b'250',
                                                             b'221', b''], r.stdout
    assert one(s, 'alice') == ('bob@example.org', data)
    r = run(s, '-bs', b'EHLO x\r\nNOOP\r\n')
    assert r.returncode == 0 and r.stdout.endswith(b'250 2.0.0 Ok\r\n'), 'the end without QUIT'


@test
def other_names_and_other_users():
    s = server()
    r = run(s, '', name='newaliases')
    assert r.returncode == 0 and b'config.h' in r.stdout, r
    r = run(s, '-bi')
    assert r.returncode == 0 and b'config.h' in r.stdout, r
    for args, name in (('', 'mailq'), ('-bp', 'sendmail')):
        r = run(s, args, name=name)
        assert r.returncode == 0 and r.stdout == b'the queue is empty\n', r
    r = subprocess.run([s.bin, '-d', s.store, 'mailq'], capture_output=True, env=s.env)
    assert r.returncode == 0 and r.stdout == b'the queue is empty\n', r
    if not ROOT:
        raise Skip('only root can be somebody else')
    d = tempfile.mkdtemp(dir=SCRATCH)
    os.chmod(d, 0o755)
    shutil.copy(s.bin, os.path.join(d, 'maild'))
    someone = dict(user=65534, group=65534, extra_groups=[], env=dict(s.env, TMPDIR='/nowhere'),
                   capture_output=True, cwd='/', timeout=60)
    r = subprocess.run([d + '/maild', '-d', s.store, 'sendmail', 'alice'], input=b'x\n', **someone)
    assert r.returncode == 0, r
    assert one(s, 'alice')[0] == 'nobody@mx.example.org'
    for args in (['queue'], ['flush'], ['sendmail', '-bp'], ['users'], ['passwd', 'mallory']):
        r = subprocess.run([d + '/maild', '-d', s.store] + args, input=b'long enough\n', **someone)
        assert r.returncode in (66, 73, 77) and r.stderr, (args, r)
        assert b'alice' not in r.stdout


@test
def the_store_is_open_to_nothing_else():
    s = server()
    for a, dirs, files in os.walk(s.store):
        for f in dirs + files:
            st = os.lstat(os.path.join(a, f))
            want = {'submit': 0o666, 'cert.pem': 0o644}.get(f, 0o700 if f in dirs else 0o600)
            assert st.st_mode & 0o7777 == want, (f, oct(st.st_mode))
            assert st.st_uid == os.stat(s.store).st_uid, f
    assert os.stat(s.store).st_mode & 0o7777 == 0o711


class Fake(threading.Thread):
    """A server at the socket that says what it is told to: replies, one for each command; None:
    it hangs up."""

    def __init__(self, store, replies):
        super().__init__(daemon=True)
        self.replies, self.got = replies, b''
        path = os.path.join(store, 'submit')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        cwd = os.getcwd()
        os.chdir(store)
        self.listener.bind('submit')
        os.chdir(cwd)
        self.listener.listen(1)
        self.start()

    def run(self):
        c, _ = self.listener.accept()
        c.settimeout(0.5 * SLOW)
        with c, c.makefile('rb') as f, contextlib.suppress(OSError):
            for r in self.replies:
                if r is None:
                    return
                c.sendall(r.encode())
                line = f.readline()
                self.got += line
                while r.startswith('354') and line and line != b'.\r\n':
                    line = f.readline()
                    self.got += line


@test
def a_server_that_misbehaves():
    store = os.path.join(tempfile.mkdtemp(dir=SCRATCH), 'store')
    os.mkdir(store)
    s = server()
    good = ['220 x\r\n', '250-x\r\n250 DSN\r\n', '250 ok\r\n', '250 ok\r\n', '354 go\r\n',
            '250 ok\r\n']
    steps = ('greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'end')
    perm = (75, 75, 65, 67, 65, 65)
    for i, step in enumerate(steps):
        for bad, code in ((None, 75), ('421 4.3.2 down\r\n', 75), ('450 4.2.0 later\r\n', 75),
                          ('550 5.1.1 no\r\n', perm[i]), ('550-a\r\n550 5.1.1 b\r\n', perm[i]),
                          ('250 \x1b[31m\r\n' if step == 'DATA' else '354 x\r\n', 75),
                          ('hello\r\n', 75), ('x' * 5000 + '\r\n', 75), ('250-a\r\n', 75),
                          ('250 a\n', 75)):
            f = Fake(store, good[:i] + [bad, None])
            r = subprocess.run([s.bin, '-d', store, 'sendmail', 'alice'], input=b'x\n',
                               capture_output=True, timeout=60, env=s.env)
            f.join(30)
            assert r.returncode == code, (step, bad, r)
            assert r.stderr and not re.search(rb'[^ -~\n]', r.stderr), r
            assert (b'\r\n.\r\n' in f.got) == (step == 'end'), \
                (step, bad, f.got)
    f = Fake(store, good + [None])
    r = subprocess.run([s.bin, '-d', store, 'sendmail', '-N', 'NEVER', '-R', 'HDRS', '-V', 'e1',
                        'alice'], input='\u00e4\n'.encode(), capture_output=True, timeout=60,
                       env=s.env)
    f.join(30)
    assert r.returncode == 0, r
    want = ('EHLO mx.example.org\r\nMAIL FROM:<%s@mx.example.org> SIZE=4 BODY=8BITMIME RET=HDRS '
            'ENVID=e1\r\nRCPT TO:<alice@mx.example.org> NOTIFY=NEVER\r\nDATA\r\n'
            'From: <%s@mx.example.org>\r\n\r\n\u00e4\r\n.\r\nQUIT\r\n' % (ME, ME)).encode()
    same(f.got, want)


def need(*tools):
    r = subprocess.run(['sh', os.path.join(TOP, 'test', 'need')] + list(tools), timeout=500,
                       capture_output=True, text=True)
    if r.returncode:
        raise Skip(r.stderr.strip().splitlines()[-1])


def home():
    d = tempfile.mkdtemp(dir=SCRATCH)
    return d, dict(os.environ, HOME=d, LC_ALL='C.UTF-8', **SAN_ENV)


@test
def from_s_nail():
    need('s-nail')
    s = server()
    d, env = home()
    with open(d + '/sendmail', 'w') as f:
        f.write('#!/bin/sh\nexec %s -d %s sendmail "$@"\n' % (s.bin, s.store))
    os.chmod(d + '/sendmail', 0o755)
    with open(d + '/attached', 'wb') as f:
        f.write(bytes(range(256)) * 40)
    r = subprocess.run(['s-nail', '-:/', '-Sv15-compat', '-Smta=' + d + '/sendmail', '-Ssendwait',
                        '-s', 'Gr\u00fc\u00dfe', '-b', 'carol@localhost', '-c', 'bob@localhost',
                        '-a', d + '/attached', 'alice@localhost'], input='.\nHell\u00f6\n'.encode(),
                       capture_output=True, timeout=60, env=env)
    assert r.returncode == 0, r
    for u in USERS:
        path, rest = one(s, u)
        m = email.message_from_bytes(rest, policy=email.policy.default)
        assert m['Subject'] == 'Gr\u00fc\u00dfe' and m['Bcc'] is None, rest
        parts = list(m.iter_parts())
        assert parts[1].get_content() == bytes(range(256)) * 40
        assert 'Hell\u00f6' in parts[0].get_content()
    r = subprocess.run(['s-nail', '-:/', '-Sv15-compat', '-Smta=' + d + '/sendmail', '-Ssendwait',
                        '-s', 'x', 'nobody@localhost'], input=b'x\n', capture_output=True,
                       timeout=60, env=env)
    assert r.returncode != 0, 'a refusal was not noticed'


@test
def from_mutt():
    need('mutt')
    s = server()
    d, env = home()
    with open(d + '/muttrc', 'w') as f:
        f.write('set sendmail="%s -d %s sendmail -oem -oi"\nset copy=no\nset from="bob@localhost"\n'
                'set use_envelope_from=yes\nset dsn_notify="never"\nset send_charset="utf-8"\n'
                % (s.bin, s.store))
    r = subprocess.run(['mutt', '-n', '-F', d + '/muttrc', '-s', 'Gr\u00fc\u00dfe', '-b',
                        'carol@localhost', '--', 'alice@localhost'],
                       input='.\nHell\u00f6\nFrom me\n'.encode(), capture_output=True, timeout=60,
                       env=env)
    assert r.returncode == 0, r
    for u in ('alice', 'carol'):
        path, rest = one(s, u)
        m = email.message_from_bytes(rest, policy=email.policy.default)
        assert path == 'bob@localhost' and m['Subject'] == 'Gr\u00fc\u00dfe' and m['Bcc'] is None
        assert m.get_content() == '.\r\nHell\u00f6\r\nFrom me\r\n', rest


@test
def what_is_for_others_waits():
    s = server()
    ok(s, 'someone@remote.test', 'Subject: x\n\nx\n')
    r = run(s, '-bp')
    assert b'<someone@remote.test>' in r.stdout and b'BY=local' in r.stdout, r
    ok(s, '-f bob@example.org alice someone@remote.test', 'Subject: x\n\nx\n')
    one(s, 'alice')
    r = run(s, '-bp')
    assert r.stdout.count(b'<someone@remote.test>') == 2 and b'alice' not in r.stdout, r


main()
