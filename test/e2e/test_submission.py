#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Ports 587 and 465: logging in, who may send as whom, what is added; smtplib and curl as
clients."""
import smtplib

from harness import *


@test
def mail_without_auth_is_refused():
    with shared().smtp(465) as c:
        c.ehlo()
        c.expect(530, 'MAIL FROM:<alice@localhost>', '5.7.0')
        c.expect((503, 530), 'RCPT TO:<alice@localhost>')
        c.expect((503, 530), 'DATA')
        c.expect(250, 'RSET')


@test
def passwords_are_not_taken_in_clear_text():
    with shared().smtp(587) as c:
        c.ehlo()
        for x in ('AUTH PLAIN ' + plain('alice', PW), 'AUTH PLAIN', 'AUTH LOGIN'):
            r = c.expect((530, 538, 523), x, ('5.7.0', '5.7.11', '5.7.10'))
        assert 'TLS' in r.text, r
        c.expect(530, 'MAIL FROM:<alice@localhost>')


@test
def auth_on_port_25_without_tls_is_refused():
    with shared().smtp(25) as c:
        c.ehlo()
        c.expect((502, 503, 504, 530, 538), 'AUTH PLAIN ' + plain('alice', PW))


@test
def auth_plain_with_an_initial_response():
    with shared().smtp(465) as c:
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW), '2.7.0')
        c.expect(503, 'AUTH PLAIN ' + plain('alice', PW), '5.5.1')
        c.expect(250, 'MAIL FROM:<alice@localhost>')


@test
def auth_plain_with_a_continuation():
    with shared().smtp(465) as c:
        c.ehlo()
        r = c.expect(334, 'AUTH PLAIN')
        assert r.text == '', r
        c.expect(235, plain('alice', PW), '2.7.0')


@test
def auth_login():
    for initial in (False, True):
        with shared().smtp(465) as c:
            c.ehlo()
            if initial:
                r = c.expect(334, 'AUTH LOGIN ' + b64('alice'))
            else:
                r = c.expect(334, 'auth login')
                assert base64.b64decode(r.text).lower().startswith(b'user'), r
                r = c.expect(334, b64('alice'))
            assert base64.b64decode(r.text).lower().startswith(b'pass'), r
            c.expect(235, b64(PW), '2.7.0')


@test
def auth_names():
    for name in ('alice', 'ALICE', 'alice@localhost', 'Alice@LOCALHOST'):
        with shared().smtp(465) as c:
            c.ehlo()
            c.expect(235, 'AUTH PLAIN ' + plain(name, PW))
    with shared().smtp(465) as c:
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW, 'alice'))
    for i, name in enumerate(('alice@other.test', 'alice+x', 'ali', '', 'alice@', '../mail/alice',
                              'postmaster', 'x' * 300)):
        with shared().smtp(465, source='127.0.2.%d' % (i + 1)) as c:
            c.ehlo()
            c.expect((501, 535), 'AUTH PLAIN ' + plain(name, PW))
    with shared().smtp(465, source='127.0.2.50') as c:
        c.ehlo()
        c.expect((501, 535), 'AUTH PLAIN ' + plain('alice', PW, 'bob'))
        c.expect(530, 'MAIL FROM:<bob@localhost>')


@test
def auth_that_is_cancelled_or_malformed():
    with shared().smtp(465, source='127.0.2.60') as c:
        c.ehlo()
        c.expect(334, 'AUTH PLAIN')
        c.expect(501, '*')
        c.expect(334, 'AUTH LOGIN')
        c.expect(334, b64('alice'))
        c.expect(501, '*')
        for x in ('!!!!', 'YWxpY2U', 'YQ==YQ==', b64('no nuls'), b64('a\0b'), '=' * 8):
            c.expect(501, 'AUTH PLAIN ' + x, ('5.5.2', '5.5.4', '5.7.0', '5.7.8'))
        c.expect(504, 'AUTH CRAM-MD5', ('5.5.4', '5.7.4'))
        c.expect((501, 504), 'AUTH')
        c.expect(530, 'MAIL FROM:<alice@localhost>')
        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW))


@test
def auth_before_ehlo_or_within_mail_is_out_of_sequence():
    with shared().smtp(465) as c:
        c.expect(503, 'AUTH PLAIN ' + plain('alice', PW), '5.5.1')
    with shared().sender() as c:
        c.expect(250, 'MAIL FROM:<alice@localhost>')
        c.expect(503, 'AUTH PLAIN ' + plain('alice', PW), '5.5.1')


@test
def long_lines_of_auth():
    with shared('open').smtp(465, source='127.0.2.61') as c:
        c.ehlo()
        c.expect((500, 501, 535), 'AUTH PLAIN ' + plain('a' * 1500, 'b' * 1500))
        c.expect(334, 'AUTH PLAIN')
        c.expect((500, 501, 535), plain('a' * 1500, 'b' * 1500))
        c.expect(250, 'NOOP')
    s = shared('open')
    long = 'long password ' * 15
    s.passwd('lengthy', long[:200])
    with s.smtp(465) as c:
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain('lengthy@mx.example.org', long[:200]))


@test
def a_wrong_password_waits():
    s = shared()
    with s.smtp(465, source='127.0.2.70') as c, s.smtp(25) as other:
        c.ehlo()
        other.ehlo()
        t = time.monotonic()
        c.send('AUTH PLAIN ' + plain('alice', 'wrong password') + '\r\n')
        n = 0
        while time.monotonic() - t < 0.8:
            other.expect(250, 'NOOP')
            n += 1
            time.sleep(0.02)
        r = c.reply()
        first = time.monotonic() - t
        assert r.code == 535 and r.enhanced == '5.7.8', r
        assert first >= 0.99, 'answered after %.2f s' % first
        t = time.monotonic()
        r2 = c.expect(535, 'AUTH PLAIN ' + plain('nobody.at.all', 'wrong password'), '5.7.8')
        second = time.monotonic() - t
        assert r2.text == r.text, 'unknown names are told apart: %r %r' % (r, r2)
        assert second >= 1.9, 'the delay does not grow: %.2f s, %.2f s' % (first, second)
        # another address is not made to wait, and the account is not locked
        with s.smtp(465, source='127.0.2.71') as d:
            d.ehlo()
            t = time.monotonic()
            d.expect(235, 'AUTH PLAIN ' + plain('alice', PW))
            if not SAN:
                assert time.monotonic() - t < 1.9


@test
def failures_are_counted_across_sessions_and_protocols():
    s = shared('open')
    waits = []
    for i in range(3):
        t = time.monotonic()
        if i % 2:
            with s.pop(source='127.0.2.80') as p:
                t = time.monotonic()
                p.ok('USER alice')
                p.err('PASS wrong', 'AUTH')
        else:
            with s.smtp(465, source='127.0.2.80') as c:
                c.ehlo()
                t = time.monotonic()
                c.expect(535, 'AUTH PLAIN ' + plain('alice', 'wrong'))
        waits.append(time.monotonic() - t)
    assert waits[0] >= 0.2 and waits[1] >= 0.4 and waits[2] >= 0.8, waits


@test
def a_login_sends_as_itself_and_its_aliases():
    s = shared('open')
    with s.sender('bob') as c:
        for a in ('bob@localhost', 'BOB@Example.ORG', 'bob+x@localhost', 'info@localhost',
                  'alice@example.org',
                  'postmaster@localhost', 'abuse@example.org', 'team@localhost'):
            c.expect(250, 'MAIL FROM:<%s>' % a)
            c.expect(250, 'RSET')
        for a in ('alice@localhost', 'carol@localhost', 'exact@example.org', 'nobody@localhost',
                  'bob@other.test',
                  'whoever@example.net'):
            c.expect((550, 553), 'MAIL FROM:<%s>' % a, '5.7.1')
            c.expect(503, 'RCPT TO:<alice@localhost>')


@test
def a_setting_lets_it_send_as_anyone():
    with shared('tight').smtp(465) as c:
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain('bob', PW))
        c.expect(250, 'MAIL FROM:<someone@other.test>')


@test
def foreign_recipients_are_not_relayed():
    with shared().smtp(25) as c:
        c.ehlo()
        c.expect(250, 'MAIL FROM:<alice@localhost>')
        c.expect(550, 'RCPT TO:<someone@other.test>', '5.7.1')
        c.expect(550, 'RCPT TO:<someone@[127.0.0.1]>')
        c.expect(250, 'RCPT TO:<bob@localhost>')


@test
def date_and_message_id_are_added_where_they_are_missing():
    s = shared()
    s.clear('bob')
    cases = [b'Subject: none\r\n\r\nbody\r\n',
             b'Date: Sun, 22 Nov 2026 03:03:14 +0000\r\nSubject: d\r\n\r\nbody\r\n',
             b'message-id: <x@y.test>\r\n\r\nDate: in the body\r\n', b'\r\nno header\r\n', b'',
             b'DATE: Sun, 22 Nov 2026 03:03:14 +0000\r\nMessage-Id:\r\n <a@b.test>\r\n\r\nbody\r\n',
             b'Subject: no body, no empty line\r\n',
             b'X: y\r\n Date: folded\r\n\r\nMessage-ID: <in@body>\r\n']
    with s.sender() as c:
        for x in cases:
            c.mail(x, 'bob@localhost', 'alice@localhost')
    for x, raw in zip(cases, s.fetch('bob')):
        rest = split_trace(raw)[1]
        head, sep, body = rest.partition(b'\r\n\r\n') if not rest.startswith(b'\r\n') else (b'',
                b'\r\n', rest[2:])
        own = x.partition(b'\r\n\r\n')[0] if not x.startswith(b'\r\n') else b''
        assert without_added(rest, x) == x, 'the message itself was changed: %r became %r' % (x,
                rest)
        for name in (b'Date', b'Message-ID'):
            n = len(re.findall(rb'(?mi)^%s:' % name, head))
            assert n == 1, '%d %s fields in %r' % (n, name, rest)
        m = re.search(rb'(?m)^Message-ID: (.*)\r$', head + b'\r\n')
        if not re.search(rb'(?mi)^message-id:', own):
            assert re.fullmatch(rb'<[^\s<>@]+@[^\s<>@]+>', m.group(1)), m.group(1)
        m = re.search(rb'(?m)^Date: (.*)\r$', head + b'\r\n')
        if not re.search(rb'(?mi)^date:', own):
            when = email.utils.parsedate_to_datetime(m.group(1).decode())
            assert abs(when.timestamp() - time.time()) < 120 * SLOW
    # on port 25 nothing is added
    s.clear('bob')
    s.deliver(cases[0], 'bob@localhost')
    same(split_trace(s.fetch('bob')[0])[1], cases[0])


@test
def starttls_forgets_the_session():
    with shared('open').smtp(587) as c:
        c.ehlo()
        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW))
        c.expect(250, 'MAIL FROM:<alice@localhost>')
        c.expect(250, 'RSET')
        c.starttls()
        c.expect(503, 'MAIL FROM:<alice@localhost>')
        c.ehlo()
        c.expect(530, 'MAIL FROM:<alice@localhost>')


@test
def starttls_within_mail_or_twice():
    with shared().smtp() as c:
        c.ehlo()
        c.expect(250, 'MAIL FROM:<a@remote.test>')
        r = c.cmd('STARTTLS')
        assert r.code in (220, 503), r
        if r.code == 220:
            c.wrap()
            c.expect(503, 'RCPT TO:<alice@localhost>')
    with shared().smtp() as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        c.expect((502, 503), 'STARTTLS', '5.5.1')


@test
def smtplib_and_poplib():
    import poplib
    s = shared()
    s.clear('carol')
    text = message('smtplib', 'line\r\n.dot\r\n\r\nFrom here\r\n')
    with smtplib.SMTP('127.0.0.1', s.port(25), timeout=20) as c:
        assert c.sendmail('a@remote.test', ['carol@localhost'], text) == {}
    with smtplib.SMTP('127.0.0.1', s.port(587), timeout=20) as c:
        c.starttls(context=context())
        c.login('alice', PW)
        c.sendmail('alice@localhost', ['carol@localhost'], text)
    with smtplib.SMTP_SSL('127.0.0.1', s.port(465), timeout=20, context=context()) as c:
        c.login('alice@localhost', PW)
        c.sendmail('alice@localhost', ['carol@localhost'], text)
    for ssl_ in (False, True):
        if ssl_:
            p = poplib.POP3_SSL('127.0.0.1', s.port(995), timeout=20, context=context())
        else:
            p = poplib.POP3('127.0.0.1', s.port(110), timeout=20)
            p.stls(context())
        p.user('carol')
        p.pass_(PW)
        assert p.stat()[0] == 3
        for i in (1, 2, 3):
            lines = p.retr(i)[1]
            same(split_trace(b'\r\n'.join(lines) + b'\r\n')[1], text, 'poplib')
        assert len(p.uidl()[1]) == 3
        p.quit()


def curl(*args, stdin=None):
    r = subprocess.run(['curl', '-sS', '-k', '--max-time', '60'] + list(args), input=stdin,
                       capture_output=True)
    assert r.returncode == 0, 'curl %s: %d %s' % (' '.join(args), r.returncode, r.stderr.decode())
    return r.stdout


@test
def curl_sends_and_reads():
    s = shared()
    s.clear('carol')
    text = message('curl', 'hello\r\n.\r\n..two\r\nFrom me\r\n')
    curl('smtp://127.0.0.1:%d/client.test' % s.port(25), '--mail-from', 'a@remote.test',
         '--mail-rcpt', 'carol@localhost',
         '--upload-file', '-', stdin=text)
    curl('smtp://127.0.0.1:%d/client.test' % s.port(587), '--ssl-reqd', '--user', 'alice:' + PW,
         '--mail-from', 'alice@localhost',
         '--mail-rcpt', 'carol@localhost', '--upload-file', '-', stdin=text)
    for mech in ('PLAIN', 'LOGIN'):
        curl('smtps://127.0.0.1:%d/client.test' % s.port(465), '--login-options', 'AUTH=' + mech,
             '--user', 'alice:' + PW,
             '--mail-from', 'alice@localhost', '--mail-rcpt', 'carol@localhost', '--upload-file',
             '-', stdin=text)
    urls = ('pop3s://127.0.0.1:%d/' % s.port(995), 'pop3://127.0.0.1:%d/' % s.port(110))
    for url in urls:
        for opt in ([], ['--login-options', 'AUTH=PLAIN'], ['--login-options', 'AUTH=LOGIN']):
            args = ['--ssl-reqd', '--user', 'carol:' + PW] + opt
            assert len(curl(*args, url).splitlines()) == 4
            same(split_trace(curl(*args, url + '3'))[1], text, 'curl')


@test
def passwords_are_not_logged():
    s = shared()
    with s.smtp(465, source='127.0.2.90') as c:
        c.ehlo()
        c.cmd('AUTH PLAIN ' + plain('alice', 'wrong but secret'))
        c.cmd('AUTH LOGIN')
        c.cmd(b64('alice'))
        c.cmd(b64('wrong but secret'))
    for x in (PW, 'wrong but secret', b64(PW), plain('alice', PW),
              plain('alice', 'wrong but secret'), b64('wrong but secret')):
        assert x not in s.log()


@test
def one_account_per_session_slot_is_not_left_behind():
    """500 logins in a row: nothing runs out."""
    s = shared('open')
    with s.sender('alice') as c:
        c.mail(message(), 'alice@localhost', 'alice@localhost')
    for _ in range(30 if SAN else 150):
        with s.pop(110) as p:
            p.ok('USER carol')
            p.ok('PASS ' + PW)
            p.ok('QUIT')
            p.eof()


main()
