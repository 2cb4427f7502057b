#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""The binary from outside: commands, exit codes, first start, certificates, signals."""
import pty
import select
import termios

from harness import *


def run(*args, variant='default', **kw):
    kw.setdefault('stdin', subprocess.DEVNULL)
    return subprocess.run([build(variant)] + list(args), capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, **SAN_ENV), **kw)


def store():
    d = os.path.join(tempfile.mkdtemp(dir=SCRATCH), 'store')
    os.chmod(os.path.dirname(d), 0o755)
    return d


@test
def the_binary_is_static():
    if SAN:
        raise Skip('not this build')
    with open(build('default'), 'rb') as f:
        data = f.read()
    assert data[:4] == b'\x7fELF'
    assert b'/ld-linux' not in data and b'ld-musl' not in data, 'it has an interpreter'


@test
def install_and_size():
    if SAN:
        raise Skip('not this build')
    d = tempfile.mkdtemp(dir=SCRATCH)
    for cmd in ('install', 'size', 'uninstall'):
        out = make('DESTDIR=' + d, 'PREFIX=/opt/x', cmd)
        files = sorted(os.path.relpath(os.path.join(a, f), d) for a, _, fs in os.walk(d)
                       for f in fs)
        if cmd == 'install':
            assert files == ['opt/x/sbin/maild', 'opt/x/sbin/mailq', 'opt/x/sbin/newaliases',
                             'opt/x/sbin/sendmail', 'opt/x/share/man/man8/maild.8'], files
            r = subprocess.run([os.path.join(d, files[0]), 'help'], capture_output=True, text=True)
            assert r.returncode == 0 and 'usage' in r.stdout
            r = subprocess.run([os.path.join(d, files[2])], capture_output=True, text=True)
            assert r.returncode == 0 and 'config.h' in r.stdout
        elif cmd == 'size':
            for word in ('text', 'data', 'bss', 'stripped', 'memory at most'):
                assert word in out, out
        else:
            assert not files, files


@test
def what_is_not_understood_is_a_usage_error():
    d = store()
    for args in (['frobnicate'], ['-x'], ['-d'], ['-p'], ['-p', 'x', '-d', d],
                 ['-p', '99999', '-d', d], ['passwd', '-d', d],
                 ['userdel', '-d', d], ['-d', d, 'what'], ['passwd', '-d', d, 'a', 'b'],
                 ['users', '-d', d, 'x']):
        r = run(*args)
        assert r.returncode == 64, (args, r.returncode, r.stderr)
        assert len(r.stderr) > 5, args
    assert not os.path.exists(d), 'it left something behind'


@test
def passwd_refuses_bad_names_and_short_passwords():
    s = shared()
    for name in ('', '../x', 'a/b', '.x', '-x', 'a b', 'x' * 33, 'a@b', 'a:b', 'a\nb', '\u00e4',
                 'a+b', '..', '_x', 'a\0b'[:1] + '*'):
        r = s.command('passwd', name, stdin=PW + '\n')
        assert 64 <= r.returncode <= 78, (name, r.returncode, r.stderr)
        assert r.stderr, name
    for pw in ('', 'short', '1234567'):
        r = s.command('passwd', 'dave', stdin=pw + '\n')
        assert 64 <= r.returncode <= 78 and r.stderr, (pw, r.returncode, r.stderr)
    r = s.command('passwd', 'dave', stdin='')
    assert 64 <= r.returncode <= 78
    r = s.command('passwd', 'dave', stdin='x' * 5000 + '\n')
    assert 64 <= r.returncode <= 78, 'a password that no client can send'
    assert 'dave' not in s.command('users').stdout
    assert sorted(os.listdir(os.path.dirname(s.store))) == ['store']
    r = s.command('passwd', 'dave', stdin='12345678')
    assert r.returncode == 0, r.stderr
    with s.login('dave', '12345678') as p:
        p.stat()
    s.command('userdel', 'dave')


VARIANTS['nohost'] = [setting_text('hostname', 'not_a host')]


@test
def a_host_name_that_is_none():
    r = run('-d', store(), variant='nohost')
    assert r.returncode == 78 and 'hostname "not_a host"' in r.stderr, r


@test
def names_are_lower_case():
    s = shared()
    r = s.command('passwd', 'Frank', stdin=PW + '\n')
    if r.returncode == 0:
        assert 'frank' in s.command('users').stdout
        with s.login('frank') as p:
            p.stat()
        s.command('userdel', 'frank')
    else:
        assert 64 <= r.returncode <= 78


@test
def a_new_password_counts_at_the_next_login():
    s = shared()
    s.passwd('erin', 'first password')
    with s.login('erin', 'first password') as p:
        s.passwd('erin', 'second password')
        p.stat()
        p.ok('QUIT')
    with s.pop(source='127.0.4.1') as p:
        p.ok('USER erin')
        p.err('PASS first password', 'AUTH')
        p.ok('USER erin')
        p.ok('PASS second password')
        p.ok('QUIT')


def on_terminal(argv, answers, timeout=20):
    """Run on a terminal of its own, type the answers when asked; (exit code, what was shown, was
    echo on when asked)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(SAN_ENV)
        os.execv(argv[0], argv)
    shown, echo, asked = b'', [], 0
    by = time.monotonic() + timeout * SLOW
    try:
        while time.monotonic() < by:
            r, _, _ = select.select([fd], [], [], 0.2)
            if r:
                try:
                    b = os.read(fd, 4096)
                except OSError:
                    break
                if not b:
                    break
                shown += b
            # a question: a line that does not end, and nothing more comes
            if shown and not shown.endswith(b'\n') and asked < len(answers) and not r:
                echo.append(bool(termios.tcgetattr(fd)[3] & termios.ECHO))
                os.write(fd, answers[asked].encode() + b'\n')
                asked += 1
                shown += b'\n'
        p, st = wait_for('its end', lambda: (lambda v: v if v[0]
                                             else None)(os.waitpid(pid, os.WNOHANG)), 10)
    finally:
        os.close(fd)
    return os.waitstatus_to_exitcode(st), shown.decode(), echo


@test
def passwd_on_a_terminal_asks_twice_without_echo():
    s = shared()
    argv = [s.bin, 'passwd', '-d', s.store, 'tty']
    rc, shown, echo = on_terminal(argv, ['terminal secret', 'terminal secret'])
    assert rc == 0, (rc, shown)
    assert echo == [False, False], 'echo was on (or it did not ask twice): %r %r' % (echo, shown)
    assert 'terminal secret' not in shown, shown
    with s.login('tty', 'terminal secret') as p:
        p.stat()
    rc, shown, echo = on_terminal(argv, ['another secret', 'different secret'])
    assert 64 <= rc <= 78, (rc, shown)
    wait_for('free', lambda: True)
    time.sleep(0.1)
    with s.login('tty', 'terminal secret') as p:
        p.stat()
    s.command('userdel', 'tty')


@test
def passwd_gives_the_terminal_back_when_interrupted():
    s = shared()
    pid, fd = pty.fork()
    if pid == 0:
        # the shell looks at the terminal after maild has been interrupted
        os.environ.update(SAN_ENV)
        os.execv('/bin/sh', ['sh', '-c',
                             'trap : INT; "$0" passwd -d "$1" intr; stty -a | grep -o -- "-*echo '
                             '"; sleep 5',
                             s.bin, s.store])
    shown = b''
    by = time.monotonic() + 15 * SLOW
    sent = False
    while time.monotonic() < by and b'echo' not in shown:
        if select.select([fd], [], [], 0.3)[0]:
            try:
                shown += os.read(fd, 4096)
            except OSError:
                break
        elif shown and not sent:
            os.write(fd, b'\x03')
            sent = True
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    assert b'echo' in shown and b'-echo' not in shown, shown


@test
def users_lists_messages_and_bytes():
    s = shared()
    s.clear('bob')
    s.clear('carol')
    for _ in range(3):
        s.deliver(message('count', 'x' * 1000 + '\r\n'), 'bob@localhost')
    with s.login('bob') as p:
        n, octets = p.stat()
        p.ok('QUIT')
    r = s.command('users')
    assert r.returncode == 0, r.stderr
    rows = {x.split()[0]: x.split()[1:] for x in r.stdout.splitlines() if x.strip()}
    assert {'alice', 'bob', 'carol'} <= set(rows), r.stdout
    numbers = [int(x) for x in rows['bob'] if x.isdigit()]
    assert numbers[0] == 3, r.stdout
    assert numbers[1] in (octets, len(s.mbox('bob'))) or abs(numbers[1] - octets) < 500, (r.stdout,
            octets)
    assert [int(x) for x in rows['carol'] if x.isdigit()][:2] == [0, 0], r.stdout
    assert 'SCRAM' not in r.stdout


@test
def userdel_moves_the_mailbox_aside():
    s = shared()
    s.passwd('gone')
    m = message('keep me')
    s.deliver(m, 'gone@localhost')
    time.sleep(0.1)
    assert s.command('userdel', 'gone').returncode == 0
    found = []
    for f in s.files():
        with open(f, 'rb') as x:
            if not f.startswith(s.path('spool')) and b'Subject: keep me' in x.read():
                found.append(f)
    assert len(found) == 1 and found[0] != s.path('mail', 'gone'), found
    with s.smtp() as c:
        c.ehlo()
        c.expect(250, 'MAIL FROM:<a@remote.test>')
        c.expect(550, 'RCPT TO:<gone@localhost>', '5.1.1')
    with s.pop(source='127.0.4.2') as p:
        p.ok('USER gone')
        p.err('PASS ' + PW, 'AUTH')
    assert 'gone' not in s.command('users').stdout.split()
    r = s.command('userdel', 'gone')
    assert 64 <= r.returncode <= 78 and r.stderr, (r.returncode, r.stderr)
    # the name again: an empty mailbox, and the old one stays aside
    s.passwd('gone')
    with s.login('gone') as p:
        assert p.stat() == (0, 0)
        p.ok('QUIT')
    s.deliver(message('second life'), 'gone@localhost')
    assert len(s.fetch('gone')) == 1
    s.command('userdel', 'gone')
    with open(found[0], 'rb') as x:
        assert b'keep me' in x.read()


@test
def userdel_during_a_session():
    s = shared()
    s.passwd('leaving')
    s.deliver(message('one'), 'leaving@localhost')
    with s.login('leaving') as p, s.smtp() as c:
        c.ehlo()
        c.envelope(['leaving@localhost', 'alice@localhost'], 'a@remote.test')
        s.command('userdel', 'leaving')
        c.data(message('two'))
        with contextlib.suppress(Closed):
            if p.cmd('RETR 1').startswith('+OK'):
                p.multi()
            p.cmd('QUIT')
    with s.smtp() as c:
        c.ehlo()


@test
def commands_work_without_a_server():
    d = store()
    for args in (['users', '-d', d], ['userdel', '-d', d, 'x']):
        r = run(*args)
        assert 0 <= r.returncode <= 78, (args, r.returncode)
    r = run('passwd', '-d', d, 'early', stdin=None, input=PW + '\n')
    assert r.returncode == 0, (r.returncode, r.stderr)
    assert 'early' in run('users', '-d', d).stdout
    s = Server('default', store=d)
    with s.login('early') as p:
        p.stat()
    s.deliver(message(), 'early@localhost')
    assert len(s.fetch('early')) == 1
    s.stop()
    r = run('userdel', '-d', d, 'early')
    assert r.returncode == 0, r.stderr
    assert 'early' not in run('users', '-d', d).stdout.split()


@test
def many_at_once_lose_no_account():
    s = shared()
    ps = [subprocess.Popen([s.bin, 'passwd', '-d', s.store, 'par%d' % i], stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                           env=s.env) for i in range(8)]
    for p in ps:
        p.stdin.write(PW.encode() + b'\n')
        p.stdin.close()
    rcs = [p.wait(60 * SLOW) for p in ps]
    users = s.command('users').stdout.split()
    for i, rc in enumerate(rcs):
        assert rc == 0, 'par%d: %d %s' % (i, rc, ps[i].stderr.read())
        assert 'par%d' % i in users, 'par%d was lost' % i
        s.command('userdel', 'par%d' % i)


@test
def passwords_are_kept_as_verifiers_only():
    s = shared()
    found = 0
    for f in s.files():
        with open(f, 'rb') as x:
            data = x.read()
        assert PW.encode() not in data, f
        found += len(re.findall(rb'SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/'
                                rb'=]{44}:[A-Za-z0-9+/=]{44}', data))
    assert found >= 3
    assert PW not in s.log()
    users = open(s.path('users')).read()
    salts = re.findall(r'SCRAM-SHA-256\$\d+:([^$]+)\$', users)
    assert len(set(salts)) == len(salts), 'the same salt twice'
    # the verifier is RFC 5803's
    m = re.search(r'(?m)^alice\W.*?SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(\S+)', users)
    salted = hashlib.pbkdf2_hmac('sha256', PW.encode(), base64.b64decode(m.group(2)),
                                 int(m.group(1)))
    import hmac
    client = hmac.digest(salted, b'Client Key', 'sha256')
    assert base64.b64decode(m.group(3)) == hashlib.sha256(client).digest()
    assert base64.b64decode(m.group(4)) == hmac.digest(salted, b'Server Key', 'sha256')


@test
def a_second_server_is_refused_and_told_who_holds_the_store():
    s = shared()
    r = run('-d', s.store, '-p', str(free_base()))
    assert 64 <= r.returncode <= 78 or r.returncode == 1, (r.returncode, r.stderr)
    assert r.returncode != 0 and re.search(r'\b%d\b' % s.proc.pid, r.stderr), r.stderr
    with s.smtp() as c:
        c.ehlo()


@test
def ports_in_use_are_named():
    s = shared()
    r = run('-d', store(), '-p', str(s.n))
    assert r.returncode != 0 and str(s.port(25)) in r.stderr, r.stderr


@test
def a_loop_of_aliases_is_found_at_start():
    r = run('-d', store(), '-p', str(free_base()), variant='loop')
    assert 64 <= r.returncode <= 78 or r.returncode == 1, (r.returncode, r.stderr)
    assert 'alias' in r.stderr and re.search('one|two|three', r.stderr), r.stderr


@test
def the_first_start_makes_all_it_needs_and_says_so():
    s = Server('default')
    log = s.log()
    assert re.search(r'(?i)cert', log) and re.search(r'(?i)self-signed|made|new', log), log
    key = s.path('tls', 'key.pem')
    assert os.stat(key).st_mode & 0o077 == 0
    out = subprocess.run(['openssl', 'x509', '-in', s.path('tls', 'cert.pem'), '-noout', '-text',
                          '-ext', 'subjectAltName'],
                         capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    with s.smtp() as c:
        name = c.greeting.text.split()[0]
    assert 'DNS:' + name in out.stdout or 'IP Address' in out.stdout, out.stdout
    assert 'ecdsa-with-SHA256' in out.stdout and ('P-256' in out.stdout or
                                                  'prime256v1' in out.stdout), out.stdout
    r = subprocess.run(['openssl', 'verify', '-x509_strict', '-CAfile', s.path('tls', 'cert.pem'),
                        s.path('tls', 'cert.pem')],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr + r.stdout
    r = subprocess.run(['openssl', 'pkey', '-in', key, '-check', '-noout'], capture_output=True,
                       text=True)
    assert r.returncode == 0, r.stderr
    ctx = ssl.create_default_context(cafile=s.path('tls', 'cert.pem'))
    if '.' in name or name == 'localhost':
        with socket.create_connection(('127.0.0.1', s.port(995)), timeout=10) as x:
            ctx.wrap_socket(x, server_hostname=name).close()
    der = peer_cert(s)
    s.restart()
    assert peer_cert(s) == der, 'another certificate after a restart'
    s.stop()


def peer_cert(s, port=995):
    with socket.create_connection(('127.0.0.1', s.port(port)), timeout=10) as x:
        with context().wrap_socket(x) as t:
            assert t.version() == 'TLSv1.2'
            return t.getpeercert(True)


def make_pair(kind, days=90, cn='mx.example.org'):
    d = tempfile.mkdtemp(dir=SCRATCH)
    key, cert = os.path.join(d, 'key.pem'), os.path.join(d, 'cert.pem')

    def ssl_(*a):
        r = subprocess.run(['openssl'] + list(a), capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
    if kind.startswith('ec'):
        curve = 'P-384' if '384' in kind else 'P-256'
        ssl_('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:' + curve, '-out', key)
        if 'sec1' in kind:
            ssl_('ec', '-in', key, '-out', key + '.2')
            if 'params' in kind:
                ssl_('ecparam', '-name', 'prime256v1', '-out', key + '.p')
                with open(key + '.p') as a, open(key + '.2') as b:
                    text = a.read() + b.read()
                with open(key + '.2', 'w') as f:
                    f.write(text)
            os.rename(key + '.2', key)
    else:
        ssl_('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', key)
        if 'pkcs1' in kind:
            ssl_('rsa', '-in', key, '-traditional', '-out', key + '.2')
            os.rename(key + '.2', key)
    ssl_('req', '-x509', '-new', '-key', key, '-subj', '/CN=' + cn, '-days', str(days), '-out',
         cert, '-addext',
         'subjectAltName=DNS:' + cn)
    if 'crlf' in kind:
        for f in (key, cert):
            with open(f, 'rb') as x:
                data = x.read()
            with open(f, 'wb') as x:
                x.write(b'a comment before\r\n' + data.replace(b'\n', b'\r\n'))
    return cert, key


def install(s, cert=None, key=None):
    st = os.stat(s.store)
    for src, name in ((cert, 'cert.pem'), (key, 'key.pem')):
        if src is None:
            continue
        new = s.path('tls', name + '.tmp')
        with open(new, 'wb') as f:
            f.write(src if isinstance(src, bytes) else open(src, 'rb').read())
        os.chmod(new, 0o600)
        if ROOT:
            os.chown(new, st.st_uid, st.st_gid)
        os.rename(new, s.path('tls', name))


def der(cert):
    with open(cert) as f:
        text = f.read()
    return ssl.PEM_cert_to_DER_cert(text[text.index('-----BEGIN CERT'):].split('-----END')[0] +
                                    '-----END CERTIFICATE-----\n')


@test
def certificates_of_all_kinds_are_loaded_on_sighup():
    s = Server('default')
    for kind in ('ec-pkcs8', 'ec-sec1', 'ec-sec1-params', 'ec384-pkcs8', 'rsa-pkcs1', 'rsa-pkcs8',
                 'ec-pkcs8-crlf'):
        cert, key = make_pair(kind)
        mark = len(s.log())
        install(s, cert, key)
        s.signal(signal.SIGHUP)
        try:
            wait_for(kind + ' in use', lambda: peer_cert(s) == der(cert), 5)
        except AssertionError as e:
            raise AssertionError('%s; log: %s' % (e, s.log()[mark:]))
        assert re.search('(?i)cert', s.log()[mark:]), 'not logged'
        with s.smtp(465) as c:
            c.ehlo()
    s.restart()
    assert peer_cert(s) == der(cert)
    s.stop()


@test
def a_chain_is_sent_whole():
    s = Server('default')
    d = tempfile.mkdtemp(dir=SCRATCH)
    ca, cakey = make_pair('ec-pkcs8', cn='test ca')
    script = '''set -e; cd "$0"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
    openssl req -new -key key.pem -subj /CN=mx.example.org -out req.pem
    printf 'subjectAltName=DNS:mx.example.org\nbasicConstraints=CA:FALSE\n' >ext
    openssl x509 -req -in req.pem -CA "$1" -CAkey "$2" -CAcreateserial -days 30 \\
        -out leaf.pem -extfile ext
    cat leaf.pem "$1" >cert.pem'''
    r = subprocess.run(['sh', '-c', script, d, ca, cakey], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    install(s, os.path.join(d, 'cert.pem'), os.path.join(d, 'key.pem'))
    s.signal(signal.SIGHUP)
    wait_for('the chain', lambda: peer_cert(s) == der(os.path.join(d, 'leaf.pem')), 5)
    r = subprocess.run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % s.port(995),
                        '-showcerts', '-CAfile', ca,
                        '-verify_return_error'], input='QUIT\n', capture_output=True, text=True,
                       timeout=20)
    assert r.stdout.count('BEGIN CERTIFICATE') == 2 and 'Verify return code: 0' in r.stdout, \
        r.stdout[-1500:] + r.stderr
    s.stop()


@test
def a_broken_pair_keeps_the_old_one():
    s = Server('default')
    cert, key = make_pair('ec-pkcs8')
    install(s, cert, key)
    s.signal(signal.SIGHUP)
    wait_for('the good pair', lambda: peer_cert(s) == der(cert), 5)
    other, okey = make_pair('ec-sec1')
    rsa, rkey = make_pair('rsa-pkcs8')
    good = open(cert, 'rb').read()
    for what, c, k in (('another certificate', other, None), ('another key', cert, okey),
                       ('other kinds', rsa, okey),
                       ('rsa key', cert, rkey), ('garbage', b'garbage\n', None),
                       ('empty', b'', b''),
                       ('half a certificate', good[:len(good) // 2], key),
                       ('no base64', good.replace(b'M', b'!', 3), key),
                       ('half a key', cert, open(key, 'rb').read()[:80]),
                       ('the wrong way round', key, cert),
                       ('not DER', b'-----BEGIN CERTIFICATE-----\nAAAA\n-----END '
                                   b'CERTIFICATE-----\n', key),
                       ('very long', good * 400, key)):
        mark = len(s.log())
        install(s, c, k)
        s.signal(signal.SIGHUP)
        if what != 'very long':
            assert s.wait_log(r'(?i)tls|cert|key', 5, mark), 'nothing is logged about ' + what
        time.sleep(0.05)
        assert peer_cert(s) == der(cert), what
    os.unlink(s.path('tls', 'key.pem'))
    s.signal(signal.SIGHUP)
    time.sleep(0.1)
    assert peer_cert(s) == der(cert)
    install(s, rsa, rkey)
    s.signal(signal.SIGHUP)
    wait_for('the next good pair', lambda: peer_cert(s) == der(rsa), 5)
    s.stop()


@test
def a_start_with_a_broken_pair_is_refused():
    s = Server('default')
    s.stop()
    st = os.stat(s.path('tls', 'key.pem'))
    with open(s.path('tls', 'key.pem'), 'w') as f:
        f.write('garbage')
    r = run('-d', s.store, '-p', str(s.n))
    assert r.returncode != 0 and re.search('(?i)key|cert', r.stderr), (r.returncode, r.stderr)
    with open(s.path('tls', 'key.pem')) as f:
        assert f.read() == 'garbage', 'it wrote over the key'


@test
def expiry_is_warned_of():
    s = Server('default')
    for days, warn in ((13, True), (16, False)):
        cert, key = make_pair('ec-pkcs8', days=days)
        mark = len(s.log())
        install(s, cert, key)
        s.signal(signal.SIGHUP)
        wait_for('the pair', lambda: peer_cert(s) == der(cert), 5)
        time.sleep(0.1)
        assert bool(re.search(r'(?i)expire', s.log()[mark:])) == warn, (days, s.log()[mark:])
    s.stop()


@test
def a_clock_before_the_build_date_is_named():
    exe = build('default', {'SOURCE_DATE_EPOCH': '4102444800'})
    d = store()
    log = os.path.join(SCRATCH, 'clock.log')
    with open(log, 'w') as f:
        p = subprocess.Popen([exe, '-d', d, '-p', str(free_base())], stderr=f,
                             stdin=subprocess.DEVNULL,
                             env=dict(os.environ, **SAN_ENV))
    try:
        wait_for('a word about the clock', lambda: re.search('(?i)clock', open(log).read()), 5)
    finally:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


@test
def root_is_given_up():
    if not ROOT:
        raise Skip('not root')
    s = shared()
    with open('/proc/%d/status' % s.proc.pid) as f:
        text = f.read()
    assert re.search(r'(?m)^Uid:\s+8025\s+8025\s+8025\s+8025$', text), text
    assert re.search(r'(?m)^Gid:\s+8025\s+8025\s+8025\s+8025$', text), text
    assert re.search(r'(?m)^Groups:\s*(8025\s*)?$', text), text
    assert re.search(r'(?m)^CapEff:\s+0+$', text) and re.search(r'(?m)^CapPrm:\s+0+$', text), text
    assert re.search(r'(?m)^NoNewPrivs:\s+1$', text), text
    assert os.readlink('/proc/%d/root' % s.proc.pid) == s.store
    assert os.stat(s.store).st_uid == 8025
    assert os.stat(s.path('mail')).st_uid == 8025


@test
def root_can_run_the_commands_and_the_server_reads_what_they_wrote():
    s = shared()
    s.passwd('byroot')
    if ROOT:
        assert os.stat(s.path('users')).st_uid == 8025
    with s.login('byroot') as p:
        p.stat()
    s.command('userdel', 'byroot')


@test
def it_runs_without_root():
    if not ROOT:
        raise Skip('all the others do')
    d = store()
    os.makedirs(d)
    os.chown(d, 65534, 65534)
    os.chmod(d, 0o700)
    exe = build('default')
    if subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'test', '-x',
                       exe]).returncode:
        # the work tree is not open to everyone
        shutil.copy(exe, os.path.join(os.path.dirname(d), 'maild'))
        exe = os.path.join(os.path.dirname(d), 'maild')
    s = Server('default', store=d, start=False, prefix=['setpriv', '--reuid=65534',
                                                        '--regid=65534', '--clear-groups'])
    s.bin = exe
    os.chmod(SCRATCH, 0o755)
    s.start()
    r = subprocess.run(s.prefix + [exe, 'passwd', '-d', d, 'alice'], input=PW + '\n',
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    s.deliver(message('unprivileged'))
    assert len(s.fetch()) == 1
    s.stop()


@test
def sigterm_and_sigint_end_it_in_order():
    for sig in (signal.SIGTERM, signal.SIGINT):
        s = Server('open', ['alice'])
        ids = [s.deliver(message('n%d' % i)) for i in range(5)]
        a = s.smtp()
        a.ehlo()
        a.envelope('alice@localhost', 'x@remote.test')
        a.expect(354, 'DATA')
        a.send('Subject: unfinished\r\n\r\nmore to come')
        b = s.smtp()
        b.ehlo()
        p = s.login(port=995)
        p.ok('DELE 1')
        q = s.smtp(465)
        time.sleep(0.1)
        s.signal(sig)
        r = a.reply()
        assert r.code == 421 and r.enhanced[0] == '4', r
        assert s.proc.wait(10 * SLOW) == 0
        s.proc = None
        assert not any(x in s.mbox('alice') for x in (b'unfinished',))
        for i in ids:
            assert s.mbox('alice').count(b'id ' +
                                         i.encode()) == 1, 'not in the mailbox after the end'
        s.start()
        assert len(s.fetch()) == 5
        s.stop()


@test
def an_idle_session_does_not_delay_the_end():
    s = Server('default', ['alice'])
    cs = [s.smtp() for _ in range(5)] + [s.smtp(465) for _ in range(2)] + [s.pop()
            for _ in range(2)]
    x = socket.create_connection(('127.0.0.1', s.port(465)))
    t = time.monotonic()
    s.stop()
    if not SAN:
        assert time.monotonic() - t < 4.5, 'took %.1f s' % (time.monotonic() - t)


@test
def an_idle_server_sleeps():
    s = Server('default', ['alice'])
    s.deliver(message())
    cs = [s.smtp() for _ in range(3)] + [s.pop() for _ in range(2)]
    time.sleep(2.5)
    a = s.cpu()
    time.sleep(1.5)
    assert s.cpu() - a <= 0.05, 'used %.2f s of CPU in 1.5 s of nothing' % (s.cpu() - a)
    s.stop()


@test
def an_existing_store_is_not_changed_by_a_start():
    s = Server('default', ['alice'])
    s.deliver(message())
    s.stop()
    before = s.mbox('alice'), open(s.path('users')).read(), open(s.path('tls', 'cert.pem')).read()
    s.start()
    s.stop()
    assert before == (s.mbox('alice'), open(s.path('users')).read(),
                      open(s.path('tls', 'cert.pem')).read())


main()
