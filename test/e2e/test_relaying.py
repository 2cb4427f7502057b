#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Mail for other servers, as it is taken in: who may, what then stands in spool/out, and that
nobody else can. The name server of this variant does not answer, so all that goes out waits
there."""
import hmac
import smtplib

from harness import *

VARIANTS['carry'] = WELCOME + [
    HOSTNAME, DOMAINS, FASTLOGIN, setting('message_max', '6000000'),
    (r'(name_servers\[\] = \{)[^}]*\}', r'\1 "127.0.0.1#9" }'),
    (r'(relay_domains\[\] = \{)[^}]*\}', r'\1 "behind.test" }'),
    (r'(?s)(struct trusted trusted\[\] = \{\n).*?(\n\};)',
     r'\1\t{ "127.0.3.0/28", "", 1000 },\n\t{ "127.0.3.64", "printer@example.org", 3 },\2'),
    (r'(?s)(aliases\[\] = \{\n).*?(\n\};)',
     r'\1\t{ "postmaster", "bob" },\n\t{ "away", "X@far.test y@two.test" },\n'
     r'\t{ "both", "bob away x@FAR.test" },\n\t{ "*@example.net", "all@far.test" },\2'),
    (r'/\* (\{ "0\.0\.0\.0", 2525, TLS_START, TRUSTED,\s+0 \},)[^*]*\*/', r'\1'),
    setting('login_hourly', '120'),
]
PORTS = (2525,)
LOG = 'F<alice@localhost> BY=alice'


def server():
    return shared('carry')


def queued(s, id):
    """(lines of the envelope, text) of a letter for others."""
    path = s.path('spool', 'out', id)
    wait_for(path, lambda: os.path.exists(path))
    with open(path, 'rb') as f:
        head, _, text = f.read().partition(b'\n\n')
    return head.decode().split('\n'), text


def check(s, id, lines, text=None):
    """The lines are these, and the text, below our Received field, is byte for byte that."""
    got, body = queued(s, id)
    assert got == lines, '%r, wanted %r' % (got, lines)
    body = re.sub(rb'^Authentication-Results:.*\n(?:\t.*\n)*', b'', body)
    m = RECEIVED.match(body.replace(b'\n', b'\r\n'))
    assert m and m.group('id').decode() == id, body[:300]
    if text is not None:
        n = body[:m.end() - m.group(0).count(b'\n')]
        same(without_added(body[len(n):].replace(b'\n', b'\r\n'), text), text, id)
    return m


def number(s):
    return len(os.listdir(s.path('spool', 'out')))


def trusted_smtp(s, source):
    return s.smtp(2525, source=source)


class Local(Smtp):
    """The socket of the store for programs of this machine."""

    def __init__(self, s):
        self.server = s
        self.buf = b''
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(20 * SLOW)
        self.s.connect(s.path('submit'))
        self.greet()


def strange(n=20000, seed=1):
    """A text with all that may go wrong on the way, in lines that end in CR LF."""
    rnd = random.Random(seed)
    words = [b'.', b'..', b'. ', b'From here', b'>From', b'\xff\xfe\x80', b'\0', b'', b'x' * 998,
             b'--', b'MAIL FROM:<>', b'QUIT', b'DATA', b'RSET',
             'Gr\u00fc\u00dfe \u20ac'.encode(), b'\t']
    out = message('strange')
    while len(out) < n:
        out += b' '.join(rnd.choice(words) for _ in range(rnd.randrange(4))) + b'\r\n'
    return out


@test
def a_login_sends_to_anywhere():
    s = server()
    text = strange()
    with s.sender() as c:
        id = c.mail(text, ['someone@far.test', '"o > dd"@[192.0.2.1]', 'bob@localhost'],
                    'alice@localhost')
    check(s, id, [LOG, 'T<someone@far.test>', 'T<"o > dd"@[192.0.2.1]>',
                  'T<bob@localhost> bob'], text)
    raw = s.fetch('bob')[-1]
    same(split_trace(raw)[1], text, 'the local one')


@test
def smtplib_and_curl_send_to_anywhere():
    s = server()
    text = message('smtplib', 'line\r\n.dot\r\n\r\nFrom here\r\n', 'alice@localhost')
    before = set(os.listdir(s.path('spool', 'out')))
    with smtplib.SMTP('127.0.0.1', s.port(587), timeout=20) as c:
        c.starttls(context=context())
        c.login('alice', PW)
        c.sendmail('alice@localhost', ['a@far.test', 'b@far.test'], text)
        c.sendmail('alice@localhost', ['a@far.test'], text, mail_options=['RET=HDRS', 'ENVID=e1'],
                   rcpt_options=['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;a@far.test'])
    r = subprocess.run(['curl', '-sS', '-k', '--max-time', '60', '--ssl-reqd',
                        'smtps://127.0.0.1:%d/client.test' % s.port(465), '--user', 'alice:' + PW,
                        '--mail-from', 'alice@localhost', '--mail-rcpt', 'c@far.test',
                        '--upload-file', '-'],
                       input=text, capture_output=True)
    assert r.returncode == 0, r.stderr
    new = sorted(set(os.listdir(s.path('spool', 'out'))) - before)
    assert len(new) == 3, new
    check(s, new[0], [LOG, 'T<a@far.test>', 'T<b@far.test>'], text)
    check(s, new[1], ['F<alice@localhost> RET=HDRS ENVID=e1 BY=alice',
                      'T<a@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@far.test'], text)
    with open(s.path('spool', 'out', new[2]), 'rb') as f:
        assert (f.readline().startswith(b'F<alice@localhost> ') and
                f.readline() == b'T<c@far.test>\n')


@test
def success_at_home_is_told():
    s = server()
    s.clear()
    text = message('told', 'x\r\n', 'alice@localhost')
    for rcpt, final in (('bob@localhost', 'bob@localhost'),
                        ('postmaster', 'postmaster@mx.example.org')):
        with s.sender() as c:
            c.expect(250, 'MAIL FROM:<alice@localhost>')
            c.expect(250, 'RCPT TO:<%s> NOTIFY=SUCCESS' % rcpt)
            c.expect(354, 'DATA')
            c.send(text + b'.\r\n')
            assert c.reply().code == 250
        wait_for('the report', lambda: s.fetch())
        report = s.fetch()[0]
        want = 'Final-Recipient: rfc822; %s\r\nAction: delivered\r\n' % final
        assert want.encode() in report, report
        s.clear()
        s.clear('bob')


@test
def a_large_letter_for_both():
    s = server()
    s.clear('bob')
    text = strange(2000000, 2)
    with s.sender() as c:
        id = c.mail(text, ['big@far.test', 'bob@localhost'], 'alice@localhost')
    check(s, id, [LOG, 'T<big@far.test>', 'T<bob@localhost> bob'], text)
    same(split_trace(s.fetch('bob')[0])[1], text)
    s.clear('bob')
    # and it is still there after the local one is done with
    assert queued(s, id)[0][1] == 'T<big@far.test>'


@test
def a_trusted_host_needs_no_login():
    s = server()
    text = b'Subject: scan\r\n\r\nx\r\n'
    with trusted_smtp(s, '127.0.3.1') as c:
        c.ehlo()
        id = c.mail(text, ['a@far.test', 'bob@localhost'], 'scanner@anything.test')
    lines, body = queued(s, id)
    assert lines == ['F<scanner@anything.test> BY=[127.0.3.1]', 'T<a@far.test>',
                     'T<bob@localhost> bob']
    assert re.search(rb'(?m)^Date: ', body) and re.search(rb'(?m)^Message-ID: <', body), body
    with trusted_smtp(s, '127.0.3.64') as c:
        c.ehlo()
        for sender in ('root@cam', '', 'alice@localhost'):
            id = c.mail(text, 'a@far.test', sender)
            assert queued(s, id)[0] == ['F<printer@example.org> BY=[127.0.3.64]', 'T<a@far.test>']
        mark = len(s.log())
        c.expect(250, 'MAIL FROM:<x@y.test>')
        for to in ('a@far.test', 'bob@localhost', 'a@far.test'):
            c.expect(450, 'RCPT TO:<%s>' % to, '4.7.1')
        c.expect(550, 'RCPT TO:<nobody@localhost>', '5.1.1')
        c.expect(554, 'DATA')
        assert s.wait_log('limit from=127.0.3.64', mark=mark)
        assert len(re.findall('limit from=', s.log()[mark:])) == 1
    with trusted_smtp(s, '127.0.3.1') as c:
        c.ehlo()
        c.mail(text, 'a@far.test')


@test
def others_must_log_in_on_that_port():
    s = server()
    for source in ('127.0.3.16', '127.0.3.63', '127.0.3.65', '127.0.0.1'):
        with trusted_smtp(s, source) as c:
            c.ehlo()
            c.expect(530, 'MAIL FROM:<alice@localhost>', '5.7.0')
            c.expect(503, 'RCPT TO:<a@far.test>')
            c.expect(538, 'AUTH PLAIN ' + plain('alice', PW))
            c.starttls()
            c.ehlo()
            c.expect(530, 'MAIL FROM:<alice@localhost>', '5.7.0')
            c.expect(235, 'AUTH PLAIN ' + plain('alice', PW))
            c.expect(553, 'MAIL FROM:<bob@localhost>', '5.7.1')
            id = c.mail(message(), 'a@far.test', 'alice@localhost')
        assert queued(s, id)[0][0] == LOG
    # nor does an address of ours help on port 25 or 587
    for port in (25, 587):
        with s.smtp(port, source='127.0.3.1') as c:
            c.ehlo()
            if port == 25:
                c.expect(250, 'MAIL FROM:<alice@localhost>')
                c.expect(550, 'RCPT TO:<a@far.test>', '5.7.1')
            else:
                c.expect(530, 'MAIL FROM:<alice@localhost>')


@test
def this_machine_is_served_by_a_socket():
    s = server()
    text = strange(5000, 3)
    with Local(s) as c:
        assert not [x for x in c.ehlo() if x.split()[0] in ('STARTTLS', 'AUTH')]
        c.expect(503, 'STARTTLS')
        c.expect(538, 'AUTH PLAIN ' + plain('alice', PW))
        id = c.mail(text, ['a@far.test', 'bob@localhost'], 'anybody@where.test')
    check(s, id, ['F<anybody@where.test> BY=local', 'T<a@far.test>', 'T<bob@localhost> bob'], text)
    assert s.wait_log('via=local .*queued ' + id)


@test
def domains_that_are_carried_on():
    s = server()
    text = message()
    with s.smtp() as c:
        c.ehlo()
        id = c.mail(text, ['who@behind.test', 'WHO@BEHIND.TEST'], 'peer@remote.test')
        c.expect(250, 'MAIL FROM:<>')
        c.expect(550, 'RCPT TO:<who@sub.behind.test>', '5.7.1')
    check(s, id, ['F<peer@remote.test>', 'T<who@behind.test>', 'T<WHO@BEHIND.TEST>'], text)


@test
def aliases_lead_to_other_servers():
    s = server()
    s.clear('bob')
    text = strange(3000, 4)
    with s.smtp() as c:
        c.ehlo()
        id = c.mail(text, ['both+tag=1@example.org', 'away@localhost', 'both@localhost'])
    check(s, id, ['F<peer@remote.test>', 'T<both+tag=1@example.org> bob',
                  'T<x@FAR.test> FORWARD=both+2Btag+3D1@example.org',
                  'T<y@two.test> FORWARD=both+2Btag+3D1@example.org'], text)
    same(split_trace(s.fetch('bob')[0])[1], text)
    with s.smtp() as c:
        c.ehlo()
        id = c.mail(text, ['whoever@example.net', 'carol@example.net'], '')
    check(s, id, ['F<>', 'T<all@far.test> FORWARD=whoever@example.net',
                  'T<carol@example.net> carol'], text)


@test
def what_comes_back_ends():
    s = server()
    before = number(s)
    with s.smtp() as c:
        c.ehlo()
        for field in (b'Delivered-To: away@localhost\r\n',
                      b'X: y\r\ndelivered-to:\tAWAY@LocalHost\r\n',
                      b'Delivered-To: <away@localhost>\r\n'):
            c.envelope('away@localhost', 'peer@remote.test')
            r = c.data(field + message())
            assert r.code == 554 and r.enhanced == '5.4.6', r
            c.envelope('away@localhost', 'peer@remote.test')
            r = c.cmd(b'BDAT %d LAST\r\n' % len(field + b'\r\n') + field)
            assert r.code == 554 and r.enhanced == '5.4.6', r
        assert number(s) == before
        c.mail(b'Delivered-To: away@localhost\r\n' + message(), 'both@localhost')
        c.mail(message(body='Delivered-To: away@localhost\r\n'), 'away@localhost')
        c.envelope('away@localhost', 'peer@remote.test')
        r = c.data(b'Received: x\r\n' * 100 + message())
        assert r.code == 554 and r.enhanced == '5.4.6', r


def srs0(s, local, domain):
    """As the papers have it: SRS0=hash=day=domain=local."""
    with open(s.path('srs.secret'), 'rb') as f:
        secret = f.read()
    assert len(secret) == 32 and os.stat(s.path('srs.secret')).st_mode & 0o777 == 0o600
    alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
    day = int(time.time()) // 86400 % 1024
    rest = '%s%s=%s=%s' % (alphabet[day >> 5], alphabet[day & 31], domain, local)
    mac = hmac.new(secret, b'0' + rest.lower().encode(), 'sha256').digest()
    bits = int.from_bytes(mac[:4], 'big')
    return 'SRS0=%s=%s' % (''.join(alphabet[bits >> (27 - 5 * i) & 31] for i in range(5)), rest)


@test
def bounces_of_forwarded_mail_find_their_way_back():
    s = server()
    text = message('bounce')
    good = srs0(s, 'ann+x', 'remote.test')
    with s.smtp() as c:
        c.ehlo()
        for address in (good + '@example.org', good.lower() + '@localhost'):
            id = c.mail(text, address, '')
            lines, _ = queued(s, id)
            assert lines[0] == 'F<>' and lines[1].lower() == 't<ann+x@remote.test>', lines
        c.expect(250, 'MAIL FROM:<>')
        for address in (good.replace('remote', 'remotf') + '@example.org',
                        good[:5] + 'A' + good[6:] + '@localhost' if good[5] != 'A' else
                        'SRS0=A@localhost',
                        'SRS0=@localhost', 'SRS1=' + good[5:] + '@localhost'):
            c.expect(550, 'RCPT TO:<%s>' % address, '5.1.1')
        c.expect(550, 'RCPT TO:<%s@remote.test>' % good, '5.7.1')
        c.expect(250, 'RSET')
        c.expect(250, 'MAIL FROM:<ann@other.test>')
        c.expect(550, 'RCPT TO:<%s@example.org>' % good, '5.1.1')
    # a catch-all does not take them either
    with s.smtp() as c:
        c.ehlo()
        c.expect(250, 'MAIL FROM:<ann@other.test>')
        c.expect(550, 'RCPT TO:<%s@example.net>' % good, '5.1.1')


@test
def the_secret_stays_over_a_restart():
    s = server()
    with open(s.path('srs.secret'), 'rb') as f:
        secret = f.read()
    s.restart()
    with open(s.path('srs.secret'), 'rb') as f:
        assert f.read() == secret


@test
def nobody_else_can_relay():
    s = server()
    before = number(s)
    senders = ['<peer@remote.test>', '<>', '<alice@localhost>',
               '<alice@localhost> AUTH=alice@localhost', '<printer@example.org>',
               '<@localhost:peer@remote.test>', '<postmaster@[127.0.0.1]>']
    tricks = ['a@far.test', 'A@FAR.TEST', 'a%far.test@localhost', 'a%far.test@mx.example.org',
              'a%far.test@[127.0.0.1]', 'a%far.test', 'far.test!a', 'far.test!a@localhost',
              '@localhost:a@far.test', '@mx.example.org,@localhost:a@far.test',
              '"a@far.test"@localhost', '"a@far.test"', '"a%far.test"@localhost',
              '"<a@far.test>"@localhost', 'a@far.test@localhost', 'a@localhost@far.test',
              'a@[192.0.2.9]', 'alice@[127.0.0.1]', 'a@[IPv6:::1]', 'alice+x@far.test',
              'a+alice@far.test', 'alice@localhost.far.test', 'alice@far.test.localhost',
              'a@far.test,alice@localhost', 'alice@localhost>,<a@far.test',
              'a@far.test\\@localhost', 'a@far.test\t', 'a@far.test\0@localhost',
              'a@sub.behind.test', 'a%behind.test@far.test', 'a@behind.test@far.test',
              'X@far.test', 'y@two.test', 'away@far.test', 'all@far.test',
              'SRS0=AAAAA=AA=far.test=a@localhost',
              'SRS1=AAAAA=far.test==AAAAA=AA=b=a@localhost',
              'a@far.test> NOTIFY=NEVER ORCPT=rfc822;alice@localhost',
              'a@far.test> FORWARD=away@localhost', 'postmaster@far.test', '#1', 'a@2130706433',
              'a@127.0.0.1', 'a@', '|cat', '/etc/passwd']
    for port, source in ((25, None), (587, None), (2525, None), (2525, '127.0.3.17')):
        for sender in senders:
            for i in range(0, len(tricks), 9):
                with s.smtp(port, source=source) as c:
                    c.ehlo()
                    if port == 25:
                        c.expect(250, 'MAIL FROM:' + sender)
                    else:
                        c.expect(530, 'MAIL FROM:' + sender)
                    for x in tricks[i:i + 9]:
                        r = c.cmd('RCPT TO:<%s>' % x)
                        assert r.code // 100 == 5, '%s to %s on port %d: %r' % (sender, x, port, r)
                    c.expect((503, 554), 'DATA')
                    if port == 25 or i:
                        continue
                    # not after a login that failed, was given up, or is gone with STARTTLS
                    c.starttls()
                    c.ehlo()
                    c.expect(334, 'AUTH PLAIN')
                    c.expect(501, '*')
                    c.expect(530, 'MAIL FROM:' + sender)
    assert number(s) == before, 'something got out'


@test
def a_login_has_so_many_recipients_an_hour():
    s = server()
    mark = len(s.log())
    with s.sender('carol') as c:
        for n in (100, 20):
            c.expect(250, 'MAIL FROM:<carol@localhost>')
            for i in range(n):
                c.expect(250, 'RCPT TO:<r%d@far.test>' % i)
            r = c.data(message())
            assert r.code == 250, r
    with s.sender('carol', port=465, source='127.0.5.9') as c:
        c.expect(250, 'MAIL FROM:<carol@localhost>')
        for i in range(5):
            c.expect(450, 'RCPT TO:<r%d@far.test>' % i, '4.7.1')
        c.expect(450, 'RCPT TO:<bob@localhost>', '4.7.1')
    assert len(re.findall('limit from=.* user=carol', s.log()[mark:])) == 1
    with s.sender('alice') as c:
        c.mail(message(), 'a@far.test', 'alice@localhost')
    # mail for carol is not hers
    s.deliver(message(), 'carol@localhost')


@test
def smtputf8():
    s = server()
    import email.message
    m = email.message.EmailMessage()
    m['From'], m['To'], m['Subject'] = 'alice@localhost', 'j\u00fcrgen@far.test', 'Gr\u00fc\u00dfe'
    m['Date'], m['Message-ID'] = 'Sun, 22 Nov 2026 03:03:14 +0000', '<u@localhost>'
    m.set_content('Sch\u00f6ne Gr\u00fc\u00dfe\n')
    before = set(os.listdir(s.path('spool', 'out')))
    with smtplib.SMTP_SSL('127.0.0.1', s.port(465), timeout=20, context=context()) as c:
        c.login('alice', PW)
        c.send_message(m)
    id, = set(os.listdir(s.path('spool', 'out'))) - before
    m = check(s, id, ['F<alice@localhost> BODY=8BITMIME SMTPUTF8 BY=alice',
                      'T<j\u00fcrgen@far.test>'])
    assert m.group('with') == b'UTF8SMTPSA', m.group(0)
    assert m.group('for').decode() == 'j\u00fcrgen@far.test'
    with s.sender() as c:
        c.expect(553, 'MAIL FROM:<j\u00fcrgen@localhost>', '5.6.7')
        c.expect(250, 'MAIL FROM:<alice@localhost>')
        c.expect(553, 'RCPT TO:<j\u00fcrgen@far.test>', '5.6.7')
        c.expect(250, 'RSET')
        c.expect(250, 'MAIL FROM:<alice@localhost> SMTPUTF8')
        c.expect(501, b'RCPT TO:<j\xfcrgen@far.test>')
        c.expect(250, 'RCPT TO:<j\u00fcrgen@far.test>')


@test
def bdat_in_any_pieces():
    s = server()
    for seed in range(6 if SAN else 20):
        rnd = random.Random(seed)
        text = strange(rnd.choice((10, 1000, 40000, 400000)), seed).replace(b'\0', b'')
        if seed % 3 == 0:
            text = text[:-2]
        out, at = b'', 0
        while at < len(text) or not at:
            k = rnd.choice((0, 1, 2, 3, 100, 5000, 100000))
            last = at + k >= len(text)
            out += b'BDAT %d%s\r\n' % (min(k, len(text) - at), b' LAST' if last else b'')
            out += text[at:at + k]
            at += k
        out += b'NOOP\r\n'
        with s.sender() as c:
            c.envelope('a@far.test', 'alice@localhost')
            for p in cut(out, 'burst' if seed % 2 or len(out) > 50000 else seed):
                c.send(p)
            r = c.reply()
            while 'queued' not in r.text:
                assert r.code == 250, r
                r = c.reply()
            id = r.text.split()[-1]
            assert c.reply().code == 250
        check(s, id, [LOG, 'T<a@far.test>'], text if text.endswith(b'\r\n') else text + b'\r\n')


@test
def bdat_out_of_place_is_swallowed():
    s = server()
    evil = b'MAIL FROM:<>\r\nRCPT TO:<alice@localhost>\r\nDATA\r\nevil\r\n.\r\n'
    with s.smtp() as c:
        for start in (b'', b'EHLO x.test\r\n', b'MAIL FROM:<peer@remote.test>\r\n',
                      b'RCPT TO:<a@far.test>\r\n'):
            if start:
                c.expect((250, 550), start[:-2])
            c.send(b'BDAT %d LAST\r\n' % len(evil) + evil + b'NOOP\r\n')
            r = c.reply()
            assert r.code in (503, 554), r
            assert c.reply().code == 250
    with s.smtp() as c:
        c.ehlo()
        c.expect(250, 'MAIL FROM:<peer@remote.test>')
        c.expect(250, 'RCPT TO:<alice@localhost>')
        c.send(b'BDAT 3\r\na\r\n')
        assert c.reply().code == 250
        c.expect(503, 'DATA')
        c.expect(503, 'RCPT TO:<alice@localhost>')
        c.expect(501, 'BDAT x LAST')
        c.eof()


@test
def bdat_is_as_strict_as_data():
    s = server()
    s.clear('alice')
    for text in (b'a\nb\r\n', b'a\rb\r\n', b'a\r', b'a\r\r\n', b'\n', b'a\r\n.\nb\r\n'):
        with s.smtp() as c:
            c.ehlo()
            for k in range(len(text) + 1):
                c.envelope('alice@localhost', 'peer@remote.test')
                c.expect(250, 'BDAT 0')
                c.send(b'BDAT %d\r\n' % k + text[:k])
                assert c.reply().code == 250
                c.send(b'BDAT %d LAST\r\n' % (len(text) - k) + text[k:])
                r = c.reply()
                assert r.code == 554 and r.enhanced == '5.6.0', (text, k, r)
    assert s.fetch('alice') == []


@test
def a_size_that_is_too_large_for_bdat():
    s = server()
    with s.smtp() as c:
        c.ehlo()
        c.envelope('alice@localhost', 'peer@remote.test')
        c.send(b'BDAT 6000001\r\n')
        for _ in range(60):
            c.send(b'x' * 100000)
        c.send(b'xBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n')
        assert c.reply().code == 552
        assert c.reply().code == 503
        assert c.reply().code == 250


main()
