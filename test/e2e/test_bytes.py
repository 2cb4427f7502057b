#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""What POP3 hands out is what SMTP took in, byte for byte, and the mailbox says the same to
others."""
from harness import *


def generated():
    rnd = random.Random(7)
    head = b'From: <a@remote.test>\r\nSubject: generated\r\n\r\n'
    letters = bytes(range(33, 127))
    out = {
        'empty message': b'',
        'one empty line': b'\r\n',
        'two empty lines': b'\r\n\r\n',
        'empty body': head,
        'header without a body': b'Subject: x\r\nTo: y\r\n',
        'no header at all': b'\r\njust text\r\n',
        'text without a header': b'this is no header field\r\nnor this\r\n\r\nFrom here on\r\n',
        'ends in empty lines': head + b'text\r\n\r\n\r\n\r\n',
        'only empty lines': head + b'\r\n' * 50,
        'begins with From_': b'From x@y.test Sun Nov 22 03:03:14 2026\r\n' + head + b'text\r\n',
        'begins with >From_': b'>From x@y.test Sun Nov 22 03:03:14 2026\r\n' + head + b'text\r\n',
        'From_ lines': head + b'From \r\n\r\nFrom x\r\nFrom x@y.test Sun Nov 22 03:03:14 2026\r\n'
                              b'\r\n'
                              b'From x@y.test Sun Nov 22 03:03:14 2026\r\nSubject: inner\r\n\r\n'
                              b'text\r\n',
        '>From_ lines': head + b'>From a\r\n>>From b\r\n>>>>>From c\r\n> From d\r\n >From e\r\n'
                               b'>from f\r\nFrom\r\n>From\r\n'
                               b'>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>From g\r\n>>>>>>>>>>>\r\n'
                               b'>>>>>Fro\r\nFrom\tx\r\n',
        'a From_ line at the end': head + b'\r\nFrom x@y.test Sun Nov 22 03:03:14 2026\r\n',
        'a long run of >': head + b'>' * 5000 + b'From x\r\n' + b'>' * 40000 + b'\r\n' +
        b'>' * 8191 + b'From \r\n',
        'leading dots': head + b'.\r\n..\r\n...\r\n.x\r\n..x\r\n.\r\n\r\n.\r\n',
        'dots and From': head + b'.From x\r\n..From y\r\nFrom .\r\n>.From\r\n.>From z\r\n',
        'starts with a dot': b'.\r\n.first\r\n',
        'all octets but CR and LF': head + bytes(c for c in range(256) if c not in (10, 13)) * 3 +
        b'\r\n',
        'NUL': head + b'a\0b\r\n\0\r\n\0\0.\0\r\n.\0\r\nFrom\0 x\r\n',
        '8 bit header': 'Subject: Gr\u00fc\u00dfe \u4f60\u597d\r\n\r\n\u00e9\r\n'.encode(),
        'latin-1': 'Subject: Gr\u00fc\u00dfe\r\n\r\n\u00e9\r\n'.encode('latin-1'),
        'a folded header': b'Subject: a\r\n b\r\n\tc\r\n \r\nX: y\r\n\r\nbody\r\n',
        'fields that look like ours': b'Return-Path: <evil@remote.test>\r\nDelivered-To: evil\r\n'
                                      b'Received: from a by b\r\n'
                                      b'Content-Length: 5\r\nX-UIDL: 1\r\nStatus: RO\r\nLines: '
                                      b'1\r\n\r\ntext\r\n',
        'blanks at line ends': head + b'a \r\nb\t\r\n \r\n\t\r\nc  \r\n',
        'from in the header': b'Subject: x\r\nFrom x@y.test Sun Nov 22 03:03:14 2026\r\n\r\nFrom '
                              b'y\r\n',
    }
    for n in (78, 997, 998, 999, 1000, 1001, 4095, 4096, 5000, 8191, 8192, 8193, 65537):
        out['a line of %d octets' % n] = head + b'x' * n + b'\r\n' + b'.' * n + b'\r\nend\r\n'
    # every alignment of what needs care against buffers of 4096 and 8192
    for k in range(0, 12, 1 if not SAN else 4):
        for size in (4096, 8192, 65536):
            out['alignment %d - %d' % (size, k)] = (head + b'y' * (size - len(head) - k) +
                                                    b'\r\nFrom x\r\n.\r\n>From y\r\n\r\n' +
                                                    b'z' * (size - 20 + k) + b'\r\n..\r\n')
    for i in range(10 if SAN else 40):
        words = [b'From ', b'>', b'From', b'.', b'\r\n', b'\r\n', b'x', b'\r\n\r\n', b'\0', b' ',
                 b'>From ', b'From x@y Sun Nov 22 03:03:14 2026']
        out['random %d' % i] = head + crlf(b''.join(rnd.choice(words)
                                                    for _ in range(rnd.randrange(1,
                                                            2000))).replace(b'\r\n', b'\n'))
    for i, size in enumerate((200000, 262143, 262144, 300000, 1 << 20)):
        out['%d octets' % size] = head + crlf(b'\n'.join(bytes(rnd.choices(letters, k=75))
                                                         for _ in range(size // 76)))
    if not SAN:
        line = bytes(rnd.choices(letters, k=74)) + b'\r\n.'
        out['20 MB'] = head + line * (20 * 1024 * 1024 // len(line)) + b'\r\n'
    return out


def collection():
    """vectors/mime and vectors/mbox: each mail, and each mbox file as one mail of its own."""
    out = {}
    for kind in ('mime', 'mbox'):
        top = vectors(kind)
        for d, _, names in sorted(os.walk(top)):
            for name in sorted(names):
                if name in ('SOURCE.txt', 'LICENSE'):
                    continue
                with open(os.path.join(d, name), 'rb') as f:
                    data = f.read()
                key = os.path.relpath(os.path.join(d, name), VECTORS)
                out[key] = crlf(data)
                if kind == 'mbox':
                    for i, m in enumerate(re.split(rb'(?m)^From .*\r?\n', data)[1:]):
                        out['%s #%d' % (key, i)] = crlf(m)
    assert len(out) >= 118, len(out)
    return out


def round_trip(mails, send_port, read_port, s, user='alice', trickle=False):
    s.clear(user)
    names = sorted(mails)
    ids = []
    c = s.smtp(send_port) if send_port != 465 else s.sender(user)
    with c:
        if send_port != 465:
            c.ehlo()
        for name in names:
            # pipelined, as far as RFC 2920 lets it
            c.send('MAIL FROM:<%s> BODY=8BITMIME\r\nRCPT TO:<%s@localhost>\r\nDATA\r\n'
                   % (user + '@localhost' if send_port == 465 else 'peer@remote.test', user))
            for want in (250, 250, 354):
                r = c.reply()
                assert r.code == want, (name, r)
            c.send(stuff(mails[name]))
            r = c.reply()
            assert r.code == 250, '%s: %r' % (name, r)
            ids.append(r.text.split()[-1])
        c.expect(221, 'QUIT')
    s.settled()
    with s.login(user, port=read_port) as p:
        n, octets = p.stat()
        assert n == len(names), '%d messages of %d' % (n, len(names))
        sizes = p.list()
        assert sum(x[1] for x in sizes) == octets, 'STAT and LIST differ'
        if read_port != 110:
            got = [p.retr(i + 1) for i in range(n)]
        else:
            # all of them in one burst
            p.send(b''.join(b'RETR %d\r\n' % (i + 1) for i in range(n)))
            got = []
            for _ in range(n):
                assert p.line().startswith(b'+OK')
                got.append(p.multi())
        p.ok('QUIT')
    name_of = dict(zip(ids, names))
    for i, raw in enumerate(got):
        m, rest = split_trace(raw)
        # large ones may come later than those behind them
        name = name_of.pop(RECEIVED.fullmatch(m.group('received')).group('id').decode())
        assert sizes[i] == (i + 1, len(raw)), '%s: LIST says %r, RETR sends %d' % (name, sizes[i],
                len(raw))
        want = mails[name]
        same(without_added(rest, want) if send_port == 465 else rest, want, name)
    # the same from the file, by another program's eyes
    box = s.mbox(user)
    mbox_valid(box)
    file = mbox_read(s.path('mail', user))
    assert len(file) == len(got), 'the mailbox module finds %d messages of %d' % (len(file),
            len(got))
    for i, (a, b) in enumerate(zip(file, got)):
        same(a.replace(b'\n', b'\r\n'), b, 'mailbox module: message %d' % i)
    return len(names)


@test
def generated_mail_in_clear_text():
    return '%d mails' % round_trip(generated(), 25, 110, shared('open'))


@test
def generated_mail_over_tls():
    return '%d mails' % round_trip(generated(), 465, 995, shared('open'))


@test
def collected_mail_in_clear_text():
    return '%d mails' % round_trip(collection(), 25, 110, shared('open'))


@test
def collected_mail_over_tls():
    return '%d mails' % round_trip(collection(), 465, 995, shared('open'))


@test
def the_same_after_a_restart_and_without_the_index():
    s = shared('open')
    mails = {k: v for k, v in generated().items() if len(v) < 200000}
    round_trip(mails, 25, 110, s)
    before = s.fetch('alice')
    s.restart()
    assert s.fetch('alice') == before
    s.stop()
    shutil.rmtree(s.path('spool', 'index'))
    os.mkdir(s.path('spool', 'index'))
    st = os.stat(s.path('spool'))
    os.chown(s.path('spool', 'index'), st.st_uid, st.st_gid)
    s.start()
    assert s.fetch('alice') == before


@test
def one_byte_at_a_time():
    s = shared('open')
    mails = {k: v for k, v in generated().items() if len(v) < 1200}
    s.clear('bob')
    for name in sorted(mails):
        with s.smtp() as c:
            c.ehlo()
            c.envelope('bob@localhost', 'peer@remote.test')
            c.expect(354, 'DATA')
            c.trickle(stuff(mails[name]))
            assert c.reply().code == 250
    for name, raw in zip(sorted(mails), s.fetch('bob')):
        same(split_trace(raw)[1], mails[name], name)
    return '%d mails' % len(mails)


@test
def cut_at_every_place_in_turn():
    """The same body, split in two at each byte position."""
    s = shared('open')
    s.clear('bob')
    body = b'Subject: cut\r\n\r\n.dot\r\n\r\nFrom x\r\n..\r\n>From y\r\n'
    wire = stuff(body)
    for i in range(1, len(wire), 3 if SAN else 1):
        with s.smtp() as c:
            c.ehlo()
            c.envelope('bob@localhost', 'peer@remote.test')
            c.expect(354, 'DATA')
            c.send(wire[:i])
            time.sleep(0.003)
            c.send(wire[i:])
            assert c.reply().code == 250
    for raw in s.fetch('bob'):
        same(split_trace(raw)[1], body)


@test
def a_mail_that_is_its_own_mailbox():
    """RETR, then mail that again: quoting does not pile up wrongly."""
    s = shared('open')
    s.clear('carol')
    body = b'Subject: x\r\n\r\nFrom a\r\n>From b\r\n.\r\n'
    for _ in range(6):
        with s.smtp() as c:
            c.ehlo()
            c.mail(body, 'carol@localhost')
        body = s.fetch('carol')[-1]
    assert body.count(b'Received: ') == 6
    assert body.endswith(b'Subject: x\r\n\r\nFrom a\r\n>From b\r\n.\r\n')


main()
