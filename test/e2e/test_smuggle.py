#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Nothing but CR LF . CR LF ends DATA, and nothing sent in clear text is obeyed after STARTTLS or
STLS."""
from harness import *

HIDDEN = (b'MAIL FROM:<evil@remote.test>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\n'
          b'Subject: smuggled\r\n\r\nsecond\r\n')
ENDS = [b'\r\n', b'\n', b'\r', b'\r\r\n', b'\n\r', b'\r\n\r', b'\n\n', b'\r\r', b'\0', b'\0\r\n',
        b'\r\n\0', b'\r\0\n', b'\r\0', b'\0\n',
        b' \r\n', b'\t', b'', b'\x85', b'\xe2\x80\xa8', b'\x0b', b'\x0c', b'\r\n.']


def expected(body):
    """(does it end too early for the test, is there a bare CR or LF)"""
    rest = body.replace(b'\r\n', b'')
    return b'\r\n.\r\n' in b'\r\n' + body, b'\r' in rest or b'\n' in rest


def smuggle(s, a, z, how):
    body = b'Subject: first\r\n\r\ntext' + a + b'.' + z + HIDDEN
    early, bare = expected(body)
    if early:
        return
    s.clear('alice')
    with s.smtp(timeout=10) as c:
        c.ehlo()
        c.envelope('alice@localhost', 'peer@remote.test')
        c.expect(354, 'DATA')
        wire = body + b'\r\n.\r\nNOOP\r\nQUIT\r\n'
        if how == 'burst':
            c.send(wire)
        elif how == 'parts':
            i = wire.index(a + b'.' + z) + len(a)
            for x in (wire[:i], wire[i:i + 1], wire[i + 1:i + 1 + len(z)], wire[i + 1 + len(z):]):
                c.send(x)
                time.sleep(0.005)
        else:
            c.trickle(wire)
        codes = [c.reply().code, c.reply().code, c.reply().code]
        c.eof()
    what = '%r . %r (%s)' % (a, z, how)
    assert codes[0] // 100 == (5 if bare else 2), '%s: %r' % (what, codes)
    assert codes[1:] == [250, 221], '%s: %r' % (what, codes)
    got = s.fetch('alice')
    assert len(got) == (0 if bare else 1), '%s: %d messages' % (what, len(got))
    if got:
        same(split_trace(got[0])[1], re.sub(rb'(?<=\r\n)\.', b'', body) + b'\r\n', what)


@test
def every_combination_around_the_dot():
    s = shared('open')
    n = 0
    for a in ENDS:
        for z in ENDS:
            for how in ('burst',) if SAN else ('burst', 'parts'):
                smuggle(s, a, z, how)
                n += 1
    for a, z in ((b'\n', b'\n'), (b'\r', b'\r'), (b'\r\n', b'\n'), (b'\n', b'\r\n'),
                 (b'\r', b'\r\n'), (b'\r\n', b'\r'),
                 (b'\0', b'\r\n'), (b'\r\n', b'\0')):
        smuggle(s, a, z, 'bytes')
    return '%d combinations' % n


@test
def a_dot_right_after_data():
    s = shared('open')
    for first in (b'.\n', b'.\r', b'.\0\r\n', b'\n.\r\n', b'\0.\r\n', b'\r.\r\n', b'.\r\r\n',
                  b'\n.\n'):
        s.clear('alice')
        with s.smtp() as c:
            c.ehlo()
            c.envelope('alice@localhost', 'peer@remote.test')
            c.expect(354, 'DATA')
            c.send(first + HIDDEN + b'.\r\nNOOP\r\n')
            c.reply()
            assert c.reply().code == 250
            c.expect(221, 'QUIT')
        assert len(s.fetch('alice')) <= 1, first


@test
def the_error_of_one_body_is_not_that_of_the_next():
    s = shared('open')
    s.clear('alice')
    with s.smtp() as c:
        c.ehlo()
        c.envelope('alice@localhost', 'peer@remote.test')
        r = c.data(b'bare\nlf\r\n')
        assert r.code // 100 == 5, r
        c.mail(message('good'), 'alice@localhost')
    assert len(s.fetch('alice')) == 1


def injected(c, verb, attack):
    """verb with attack behind it in one segment: answered with an error, and closed."""
    c.send(verb + b'\r\n' + attack)
    x = c.line()
    assert x[:1] in (b'4', b'5', b'-'), x
    c.eof()


def late(c, verb, attack, after):
    """The attack in a segment of its own, before the handshake: it spoils the handshake, or it is
    lost."""
    c.send(verb + b'\r\n')
    x = c.line()
    assert x[:3] in (b'220', b'+OK'), x
    c.send(attack)
    time.sleep(0.05)
    try:
        c.wrap()
        after(c)
    except (OSError, Closed):
        pass


@test
def clear_text_behind_starttls():
    s = shared()
    s.clear('alice')
    attack = b'EHLO evil.test\r\n' + HIDDEN + b'.\r\n'

    def nothing_remembered(c):
        c.expect(503, 'RCPT TO:<alice@localhost>')
    for port in (25, 587):
        for a in (attack, b'NOOP\r\n', b'N', b'\r\n', b'RSET\r\n' * 50):
            with s.smtp(port) as c:
                c.ehlo()
                injected(c, b'STARTTLS', a)
            with s.smtp(port) as c:
                c.ehlo()
                late(c, b'STARTTLS', a, nothing_remembered)
    assert not s.fetch('alice')


@test
def clear_text_behind_stls():
    s = shared()

    def not_logged_in(p):
        p.err('STAT')
    for a in (b'USER alice\r\nPASS %s\r\nSTAT\r\n' % PW.encode(), b'CAPA\r\n', b'N',
              b'USER alice\r\n'):
        with s.pop(110) as p:
            injected(p, b'STLS', a)
        with s.pop(110) as p:
            late(p, b'STLS', a, not_logged_in)


@test
def a_name_given_before_tls_is_forgotten():
    with shared('open').pop(110) as p:
        p.ok('USER alice')
        p.stls()
        p.err('PASS ' + PW)


main()
