#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""What takes its time: time-outs, the certificate that is noticed by itself. Runs beside the
others, it only waits."""
from harness import *


def timed(f):
    t = time.monotonic()
    r = f()
    return time.monotonic() - t, r


@test
def silence_before_a_command_ends_with_421():
    s = shared('tight')
    for greet in (True, False):
        with s.smtp() as c:
            if greet:
                c.ehlo()
            t, r = timed(c.reply)
            assert r.code == 421 and r.enhanced[0] == '4', r
            assert 1.5 <= t <= 6 * SLOW, t
            c.eof()


@test
def silence_within_data_ends_with_421():
    s = shared('tight')
    with s.smtp() as c:
        c.ehlo()
        c.envelope('alice@localhost', 'a@remote.test')
        c.expect(354, 'DATA')
        c.send('Subject: half\r\n\r\nhalf a mess')
        t, r = timed(c.reply)
        assert r.code == 421, r
        assert 1.2 <= t <= 6 * SLOW, t
        c.eof()
    assert not any(b'half' in x for x in s.fetch())


@test
def dripping_does_not_keep_data_alive_for_ever():
    s = shared('tight')
    with s.smtp() as c:
        c.ehlo()
        c.envelope('alice@localhost', 'a@remote.test')
        c.expect(354, 'DATA')
        t = time.monotonic()
        c.s.settimeout(0.2)
        while time.monotonic() - t < 12 * SLOW:
            try:
                c.send('x')
                c.more()
                break
            except (TimeoutError, ssl.SSLWantReadError):
                pass
            except (OSError, Closed):
                break
        t = time.monotonic() - t
        assert 3 <= t <= 9 * SLOW, 'ended after %.1f s' % t


@test
def a_session_does_not_last_for_ever_whatever_it_sends():
    s = shared('tight')
    for port, data in ((25, b'N'), (25, b'NOOP\r\n'), (995, b'N')):
        with (s.smtp() if port == 25 else s.login('carol')) as c:
            t = time.monotonic()
            c.s.settimeout(0.3)
            while time.monotonic() - t < 20 * SLOW:
                try:
                    c.send(data)
                    while True:
                        c.more()
                except (TimeoutError, ssl.SSLWantReadError):
                    pass
                except (OSError, Closed):
                    break
            t = time.monotonic() - t
        assert 4 <= t < 19 * SLOW, '%d %r: it lasted %.1f s' % (port, data, t)


@test
def pop3_ends_after_its_time_and_deletes_nothing():
    s = shared('tight')
    s.clear('bob')
    s.deliver(message('stay'), 'bob@localhost')
    with s.login('bob') as p:
        p.ok('DELE 1')
        t = time.monotonic()
        with contextlib.suppress(Closed):
            while True:
                p.more()
        t = time.monotonic() - t
        assert 1.5 <= t <= 6 * SLOW, t
    assert len(s.fetch('bob')) == 1


@test
def activity_keeps_a_session():
    s = shared('tight')
    with s.smtp() as c, s.login('carol') as p:
        c.ehlo()
        for _ in range(6):
            time.sleep(0.7)
            c.expect(250, 'NOOP')
            p.ok('NOOP')


@test
def a_silent_handshake_ends():
    s = shared('tight')
    for port in (465, 995):
        with socket.create_connection(('127.0.0.1', s.port(port)), timeout=20 * SLOW) as x:
            t = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while x.recv(100):
                    pass
            assert time.monotonic() - t < 6 * SLOW


@test
def a_peer_that_does_not_read_its_421_does_not_stay():
    s = shared('tight')
    xs = []
    for _ in range(5):
        c = s.smtp(rcvbuf=2048)
        c.ehlo()
        c.s.settimeout(0.3)
        with contextlib.suppress(OSError):
            while True:
                c.s.sendall(b'HELP\r\n' * 1000)
        xs.append(c)
    fds = len(os.listdir('/proc/%d/fd' % s.proc.pid))
    wait_for('their end', lambda: len(os.listdir('/proc/%d/fd' % s.proc.pid)) <= fds - 5, 45)
    for c in xs:
        c.close()


@test
def a_new_certificate_is_noticed_within_a_minute():
    s = Server('default', ['alice'])
    d = tempfile.mkdtemp(dir=SCRATCH)
    r = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-subj',
                        '/CN=mx.example.org', '-days', '90', '-keyout', d + '/key.pem', '-out', d +
                        '/cert.pem'],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    st = os.stat(s.store)
    for name in ('key.pem', 'cert.pem'):
        os.chmod(os.path.join(d, name), 0o600)
        if ROOT:
            os.chown(os.path.join(d, name), st.st_uid, st.st_gid)
        os.rename(os.path.join(d, name), s.path('tls', name))
        # between the two it must not be without
        time.sleep(0.5)
    with open(s.path('tls', 'cert.pem')) as f:
        want = ssl.PEM_cert_to_DER_cert(f.read())

    def now():
        with socket.create_connection(('127.0.0.1', s.port(995)), timeout=10) as x:
            with context().wrap_socket(x) as t:
                return t.getpeercert(True) == want
    t = time.monotonic()
    while time.monotonic() - t < 70 and not now():
        time.sleep(1)
    t = time.monotonic() - t
    assert now(), 'not after 70 s'
    s.stop()
    return 'after %.0f s' % t


main()
