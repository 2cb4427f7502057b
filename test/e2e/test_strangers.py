#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Mail from strangers: what is found out about them and their letters, and what follows. The clients
have addresses of 127.1.0.5/24 and names from a server of ours (names.py); signatures are made by
dkimpy."""
import atexit
import functools

from harness import *

DNS = ('127.66.0.53', 32553)
JUNK = b'X-Spam-Flag: YES'
HERE = os.path.dirname(os.path.abspath(__file__))


RULES = [
    'IN_CONNECTION, "", "*.barred.test", DO_REFUSE, "keep out"',
    'IN_CONNECTION, "", "127.1.99.5", DO_ACCEPT, ""',
    'IN_HELO, "", "*.spam.test|spam.test", DO_DISCARD, ""',
    'IN_MAIL, "", "*@bulk.test", DO_MARK, ""',
    'IN_MAIL, "", "boss@*", DO_ACCEPT, ""',
    'IN_RCPT, "", "old@*", DO_REFUSE, "has left us"',
    'IN_RCPT, "", "postmaster@*", DO_ACCEPT, ""',
    'IN_RCPT, "", "shop@*", DO_REDIRECT, "bob"',
    'IN_RCPT, "", "carol@*", DO_COPY, "bob@example.org"',
    'IN_RCPT, "", "alice+one@*", DO_COPY, "away@far.test"',
    'IN_RCPT, "", "alice+two@*", DO_COPY, "away@far.test"',
    'IN_RCPT, "", "list@*", DO_MAILBOX, "carol"',
    'IN_RCPT, "", "void@*", DO_DISCARD, ""',
    'IN_HEADER, "Subject", "*lottery*", DO_REFUSE, ""',
    'IN_HEADER, "List-Id", "*<dev.test>*", DO_MAILBOX, "carol"',
    'IN_HEADER, "Subject", "*for bob*", DO_COPY, "bob"',
    'IN_ATTACHMENT, "", "*.scr", DO_REFUSE, "no such files"',
    'IN_ATTACHMENT, "", "*.exe|*.js", DO_MARK, ""',
]
LISTS = ['"good.test", "127.0.*.1", A_ACCEPT', '"bad.test", "127.0.0.[2-9]", A_REFUSE',
         '"grey.test", "*", A_GREYLIST']
POLICIES = ['F_PTR_LATER, A_MARK']
LIMITS = ['C_OPEN, 500, 500, 0, 0', 'C_REFUSED, 5, 50, 600000, 600000',
          'C_LOGINS, 3, 50, 600000, 600000']

STRANGERS = [
    HOSTNAME, DOMAINS, FASTLOGIN, CLEAR,
    (r'(name_servers\[\] = \{)[^}]*\}', r'\1 "%s#%d" }' % DNS),
    table('trusted', '"127.0.0.1/32", "", 0'),
    table('rule', *RULES), table('dnslist', *LISTS), table('limit', *LIMITS),
    setting('greeting_pause', '200'), setting('guard_wait', '3000'), setting('grey_wait', '2000'),
    setting('tarpit', '100'), setting('tarpit_max', '300'),
]
VARIANTS['strangers'] = STRANGERS


class Names:
    """The name server, with a zone of lines."""

    def __init__(self, zone):
        path = os.path.join(SCRATCH, 'zone')
        with open(path, 'w') as f:
            f.write(zone)
        self.p = subprocess.Popen(['/usr/bin/python3', '-B', os.path.join(HERE, 'names.py'), DNS[0],
                                   str(DNS[1]), path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        assert self.p.stdout.readline() == b'ready\n'
        atexit.register(self.stop)

    def stop(self):
        self.p.stdin.close()
        self.p.wait(10)


r = subprocess.run(['sh', os.path.join(TOP, 'test', 'need'), '/usr/bin/python3:python3',
                    '-python3-dnslib=py3-dnslib', '-python3-dkim=py3-dkimpy'], timeout=500,
                   capture_output=True, text=True)
if r.returncode:
    sys.exit('FAIL  %s\n0 passed, 1 failed, 0 skipped' % (r.stdout + r.stderr))


def keys():
    """An RSA key: the PEM file, and the text of its record."""
    path = os.path.join(SCRATCH, 'key.pem')
    run = functools.partial(subprocess.run, check=True, capture_output=True, timeout=60)
    run(['openssl', 'genrsa', '-traditional', '-out', path, '2048'])
    der = run(['openssl', 'rsa', '-in', path, '-pubout', '-outform', 'der']).stdout
    return path, 'v=DKIM1; k=rsa; p=' + base64.b64encode(der).decode()


SIGN = '''import sys, dkim
sys.stdout.buffer.write(dkim.sign(sys.stdin.buffer.read(), b's1', sys.argv[2].encode(),
    open(sys.argv[1], 'rb').read(), canonicalize=(b'relaxed', b'relaxed')))'''


def signed(data, domain):
    r = subprocess.run(['/usr/bin/python3', '-c', SIGN, KEY, domain], input=data, check=True,
                       capture_output=True, timeout=60)
    return r.stdout + data


KEY, RECORD = keys()
ZONE = '''
5.1.1.127.in-addr.arpa PTR mx.friend.test
mx.friend.test A 127.1.1.5
friend.test TXT v=spf1 a:mx.friend.test -all
s1._domainkey.friend.test TXT %(key)s
_dmarc.friend.test TXT v=DMARC1; p=reject
bank.test TXT v=spf1 ip4:127.1.77.5 -all
s1._domainkey.bank.test TXT %(key)s
_dmarc.bank.test TXT v=DMARC1; p=reject
shy.test TXT v=spf1 -all
_dmarc.shy.test TXT v=DMARC1; p=quarantine
watch.test TXT v=spf1 -all
_dmarc.watch.test TXT v=DMARC1; p=none
plain.test TXT v=spf1 -all
mute.test SILENT
s1._domainkey.mute.test SILENT
_dmarc.late.test SILENT
_dmarc.slow.test TXT v=DMARC1; p=reject
slow.test SILENT
5.2.1.127.in-addr.arpa PTR mx.liar.test
mx.liar.test A 127.1.3.5
5.4.1.127.in-addr.arpa PTR mx.barred.test
mx.barred.test A 127.1.4.5
5.6.1.127.in-addr.arpa SERVFAIL
5.7.1.127.in-addr.arpa PTR a.many.test
5.7.1.127.in-addr.arpa PTR b.many.test
a.many.test A 127.1.8.5
b.many.test A 127.1.7.5
5.10.1.127.in-addr.arpa PTR mx.listed.test
mx.listed.test A 127.1.10.5
5.10.1.127.bad.test A 127.0.0.2
5.11.1.127.in-addr.arpa PTR mx.error.test
mx.error.test A 127.1.11.5
5.11.1.127.bad.test A 127.255.255.254
5.12.1.127.good.test A 127.0.10.1
5.12.1.127.bad.test A 127.0.0.3
5.13.1.127.in-addr.arpa PTR mx.grey.test
mx.grey.test A 127.1.13.5
5.13.1.127.grey.test A 127.0.0.1
5.14.1.127.in-addr.arpa PTR mx.odd.test
mx.odd.test A 127.1.14.5
5.14.1.127.bad.test A 10.0.0.2
''' % {'key': RECORD}
for n in range(20, 60):
    ZONE += '5.%d.1.127.in-addr.arpa PTR h%d.host.test\nh%d.host.test A 127.1.%d.5\n' % (n, n, n, n)
NAMES = Names(ZONE.lstrip())
FRIEND = '127.1.1.5'
OTHER = '127.1.20.5'


def server():
    return shared('strangers', ('alice', 'bob', 'carol', 'alice.junk'))


def letter(author='someone@nowhere.test', extra='', body='hello\r\n'):
    return ('%sFrom: <%s>\r\nTo: alice@example.org\r\nSubject: a letter\r\n'
            'Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@test>\r\n\r\n%s' %
            (extra, author, random.getrandbits(60), body)).encode()


def send(data, source=OTHER, sender='someone@nowhere.test', to='alice@example.org',
         helo='client.nowhere.test', s=None):
    """The last reply, and of RCPT if that is refused."""
    with (s or server()).smtp(25, source=source) as c:
        c.ehlo(helo)
        c.expect(250, 'MAIL FROM:<%s>' % sender)
        for t in [to] if isinstance(to, str) else to:
            r = c.cmd('RCPT TO:<%s>' % t)
            if r.code != 250:
                return r
        return c.data(data)


def got(data, user='alice', where=None, **kw):
    """It is taken: what is then in the mailbox, below From_, Return-Path and Delivered-To."""
    s = kw.get('s') or server()
    r = send(data, **kw)
    assert r.code == 250, r
    id = r.text.split()[-1]
    text = s.mbox(where or user)
    at = text.rindex(b'\nReceived:', 0, text.index(id.encode()))
    start = text.rindex(b'\nFrom ', 0, at) if b'\nFrom ' in text[:at] else 0
    end = text.find(b'\n\nFrom ', at)
    lines = text[start:end if end > 0 else None].lstrip(b'\n').split(b'\n')
    assert lines[1].startswith(b'Return-Path:') and lines[2].startswith(b'Delivered-To:'), lines[:4]
    return b'\n'.join(lines[3:])


def field(text, name):
    """The values of a field, unfolded."""
    head = text.split(b'\n\n')[0].decode()
    return re.findall(r'(?mi)^%s:\s*(.*)$' % name, re.sub(r'\n[ \t]+', ' ', head))


def results(text):
    """What the topmost field says, as {method: result}, and all of it."""
    v = field(text, 'Authentication-Results')[0]
    assert text.startswith(b'Authentication-Results: mx.example.org;'), text[:200]
    return dict(re.findall(r'; (\w+)=(\w+)', v)), v


@test
def a_friend_passes_and_the_letter_says_why():
    data = signed(letter('anna@friend.test'), 'friend.test')
    t = got(data, source=FRIEND, sender='anna@friend.test', helo='mx.friend.test')
    r, v = results(t)
    assert r == {'iprev': 'pass', 'spf': 'pass', 'dkim': 'pass', 'dmarc': 'pass'}, v
    assert 'header.d=friend.test' in v and 'header.from=friend.test' in v
    assert 'smtp.mailfrom=friend.test' in v and JUNK not in t
    assert b'\nReceived: from mx.friend.test (mx.friend.test [127.1.1.5])' in t
    assert t.rstrip().replace(b'\n', b'\r\n').endswith(data.rstrip()), t[-300:]
    assert server().wait_log(r'check from=127\.1\.1\.5 name=mx\.friend\.test spf=pass dkim=pass '
                             r'dmarc=pass author=friend\.test -> accepted')


@test
def one_octet_changed_and_the_signature_is_wrong():
    data = signed(letter('anna@bank.test'), 'bank.test')
    assert send(data, sender='x@nowhere.test').code == 250          # signed: DMARC passes
    for a, b in ((b'hello', b'hullo'), (b'Subject: a l', b'Subject: A l'), (b'b=', b'b=A')):
        at = data.rindex(a) if a != b'b=' else data.index(a)
        r = send(data[:at] + b + data[at + len(a):], sender='x@nowhere.test')
        assert r.code == 550 and r.enhanced == '5.7.1' and 'DMARC' in r.text, r


@test
def what_the_domain_of_the_author_wants_is_done():
    r = send(letter('boss2@bank.test'))
    assert r.code == 550 and r.enhanced == '5.7.1', r
    t = got(letter('anna@shy.test'), where='alice.junk')
    assert JUNK in t and b'dmarc=quarantine' in t and results(t)[0]['dmarc'] == 'fail'
    t = got(letter('anna@watch.test'))
    assert JUNK not in t and results(t)[0]['dmarc'] == 'fail'
    r = send(letter('boss2@deep.below.bank.test'))
    assert r.code == 550, r


@test
def a_hard_fail_of_spf_is_marked_unless_dmarc_passes():
    t = got(letter(), sender='x@plain.test', where='alice.junk')
    assert JUNK in t and results(t)[0]['spf'] == 'fail'
    data = signed(letter('anna@bank.test'), 'bank.test')
    t = got(data, sender='x@plain.test')
    assert JUNK not in t


@test
def without_a_mailbox_for_junk_it_is_only_marked():
    t = got(letter(), sender='x@plain.test', to='bob@example.org', user='bob')
    assert JUNK in t


@test
def findings_that_claim_to_be_ours_are_taken_out():
    ours = 'Authentication-Results: mx.example.org;\r\n\tdkim=pass header.d=evil.test\r\n'
    odd = 'authentication-results : (a comment) "MX.example.org" 1; spf=pass\r\n'
    other = 'Authentication-Results: mx.friend.test; spf=pass\r\n'
    t = got(letter(extra=ours + other))
    v = field(t, 'Authentication-Results')
    assert len(v) == 2 and v[1] == 'mx.friend.test; spf=pass', v
    assert b'evil.test' not in t
    r = send(letter(extra=odd))
    assert r.code == 550 and r.enhanced == '5.6.0', r


@test
def nobody_outside_sends_as_one_of_us():
    r = send(letter('bob@example.org'), sender='bob@example.org')
    assert r.code == 550 and r.enhanced == '5.7.1' and 'log in' in r.text, r


@test
def a_letter_has_one_author():
    head = b'To: alice@example.org\r\n\r\nhello\r\n'
    for f in (b'', b'From: <a@a.test>\r\nFrom: <b@b.test>\r\n', b'From: <a@a.test>, <b@b.test>\r\n',
              b'From: <a@a\x00.test>\r\n', b'From : <a@a.test>\r\n', b'From: nobody\r\n',
              b'From: <a@a.test>\r\nX\x01Y: z\r\n', b'From: <a@a.test>\r\nno field\r\n'):
        r = send(f + head)
        assert r.code == 550 and r.enhanced == '5.6.0', (f, r)
    assert send(b'From: <a@a.test>, <b@a.test>\r\n' + head).code == 250


@test
def who_speaks_first_is_refused():
    s = server()
    with s.smtp(25, source=OTHER, greet=False) as c:
        c.send('EHLO client.nowhere.test\r\n')
        c.greet()
        assert c.reply(plain=True).code == 250
        c.expect(250, 'MAIL FROM:<a@nowhere.test>')
        c.expect(554, 'RCPT TO:<alice@example.org>', '5.5.0')


@test
def names_in_helo_are_looked_at():
    for helo in ('mx.example.org', 'example.net', '[127.1.21.5]', '[IPv6:::1]'):
        r = send(letter(), helo=helo)
        assert r.code == 550 and 'HELO' in r.text, (helo, r)
    assert send(letter(), helo='[127.1.20.5]').code == 250
    r = send(letter(), helo='localhost', source='127.1.21.5')
    assert r.code == 550, r     # one of our domains
    r = send(letter(), helo='friendly', source='127.1.22.5')
    assert r.code == 451 and 'Greylisted' in r.text, r


@test
def the_doubtful_come_again():
    data = letter()
    r = send(data, source='127.1.2.5', sender='a@nowhere.test')      # its name is not its own
    assert r.code == 451 and r.enhanced == '4.7.1' and 'Greylisted' in r.text, r
    assert send(data, source='127.1.2.5', sender='a@nowhere.test').code == 451
    time.sleep(2.2)
    t = got(data, source='127.1.2.5', sender='a@nowhere.test')
    assert results(t)[0]['iprev'] == 'fail'
    assert send(letter(), source='127.1.2.5', sender='b@nowhere.test').code == 250  # it is known


@test
def one_of_several_names_is_enough():
    t = got(letter(), source='127.1.7.5')
    assert results(t)[0]['iprev'] == 'pass' and b'(b.many.test [127.1.7.5])' in t


@test
def a_name_that_cannot_be_found_now_is_no_reason():
    t = got(letter(), source='127.1.6.5')
    assert results(t)[0]['iprev'] == 'temperror', results(t)


@test
def lists_are_asked():
    r = send(letter(), source='127.1.10.5')
    assert r.code == 550 and 'bad.test' in r.text, r
    assert send(letter(), source='127.1.11.5').code == 250
    assert server().wait_log(r'dnslist zone=bad\.test error=127\.255\.255\.254')
    assert send(letter(), source='127.1.12.5', helo='x').code == 250     # one of the good
    assert send(letter(), source='127.1.14.5').code == 250
    r = send(letter(), source='127.1.13.5')
    assert r.code == 451, r


@test
def name_servers_that_are_silent_stop_nobody():
    start = time.monotonic()
    t = got(letter(), sender='x@mute.test')
    assert results(t)[0]['spf'] == 'temperror', results(t)
    assert time.monotonic() - start < 20 * SLOW
    # a policy that may be there, and what may have passed: not for good
    for author, sender in (('a@late.test', 'x@nowhere.test'), ('a@slow.test', 'x@slow.test')):
        r = send(letter(author), sender=sender)
        assert r.code == 451 and r.enhanced == '4.7.1', r


@test
def rules_refuse_and_accept():
    assert 'keep out' in send(letter(), source='127.1.4.5').text
    r = send(letter('boss2@bank.test'), source='127.1.99.5')
    assert r.code == 250, r
    assert send(letter('boss2@bank.test'), sender='boss@nowhere.test').code == 250
    r = send(letter(), to='old@example.org')
    assert r.code == 550 and 'has left us' in r.text, r
    r = send(letter(extra='Subject: =?utf-8?q?the_L=4fttery?=\r\n'))
    assert r.code == 550 and r.enhanced == '5.7.1', r


@test
def a_recipient_that_is_refused_opens_no_door():
    with server().smtp(25, source=OTHER) as c:
        c.ehlo('client.nowhere.test')
        c.expect(250, 'MAIL FROM:<someone@nowhere.test>')
        c.expect(550, 'RCPT TO:<postmaster@elsewhere.test>', '5.7.1')
        c.expect(250, 'RCPT TO:<alice@example.org>')
        r = c.data(letter('boss2@bank.test'))
    assert r.code == 550 and 'DMARC' in r.text, r
    assert send(letter('boss2@bank.test'), to='postmaster@example.org').code == 250


@test
def quotes_do_not_hide_a_recipient():
    for a in ('old', 'OLD', '"old"', '"o\\ld"'):
        r = send(letter(), to=a + '@example.org')
        assert r.code == 550 and 'has left us' in r.text, (a, r)


@test
def slow_name_servers_of_some_keep_nobody_out():
    s = server()
    held = []
    try:
        for i in range(70):
            c = s.smtp(25, source='127.1.%d.5' % (20 + i % 40))
            held.append(c)
            c.ehlo('h.host.test')
            c.send(b'MAIL FROM:<x@mute.test>\r\n')
        r = send(letter())
        assert r.code == 250, r
    finally:
        for c in held:
            c.close()


@test
def rules_mark_and_discard():
    t = got(letter(), sender='news@bulk.test', where='alice.junk')
    assert JUNK in t
    before = server().mbox('alice')
    r = send(letter(), helo='mx.spam.test')
    assert r.code == 250 and server().mbox('alice') == before, r
    r = send(letter(), to='void@example.org')
    assert r.code == 250 and server().wait_log('-> discarded ' + r.text.split()[-1]), r
    assert server().mbox('alice') == before


@test
def rules_lead_elsewhere():
    got(letter(), to='shop@example.org', user='bob')
    t = letter(body='for the list\r\n')
    got(t, to='list@example.org', user='carol')
    t = letter(body='copied %d\r\n' % random.getrandbits(60))
    got(t, to='carol@example.org', user='carol')
    assert t.split(b'\r\n\r\n')[1].strip() in server().mbox('bob')
    r = send(letter(), to=['alice+one@example.org', 'alice+two@example.org'])
    assert r.code == 250, r
    with open(server().path('spool', 'out', r.text.split()[-1])) as f:
        envelope = f.read().partition('\n\n')[0]
    assert envelope.count('\nT<away@far.test> FORWARD=alice+2Bone@example.org') == 1 and \
        envelope.count('far.test') == 1, envelope
    t = letter(extra='List-Id: dev <dev.test>\r\n', body='dev %d\r\n' % random.getrandbits(60))
    got(t, user='carol')
    assert t.split(b'\r\n\r\n')[1].strip() not in server().mbox('alice')
    t = letter(body='both %d\r\n' % random.getrandbits(60)).replace(b'a letter', b'for bob, too')
    got(t)
    assert t.split(b'\r\n\r\n')[1].strip() in server().mbox('bob')


def attached(name):
    return letter(extra='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n',
                  body='--b1\r\n\r\nsee\r\n--b1\r\nContent-Type: application/octet-stream\r\n'
                  'Content-Disposition: attachment; %s\r\n\r\nMZ\r\n--b1--\r\n' % name)


@test
def dangerous_attachments_are_found():
    for name in ('filename=invoice.EXE', 'filename*=utf-8\'\'in%76oice.e%78e',
                 'filename*0="invoice.pdf  .";\r\n filename*1="exe"',
                 'filename="=?utf-8?b?aW52b2ljZS5leGU=?="'):
        t = got(attached(name), where='alice.junk')
        assert JUNK in t and b'attachment' in t, (name, t[:500])
    assert JUNK not in got(attached('filename=invoice.pdf'))
    two = attached('filename=a.js').replace(b'--b1--', b'--b1\r\nContent-Type: x/y; name=a.scr'
                                            b'\r\n\r\nMZ\r\n--b1--')
    for data in (attached('filename=a.scr'), two):
        r = send(data)
        assert r.code == 550 and 'no such files' in r.text, r


@test
def trusted_networks_and_logins_are_not_judged():
    s = server()
    with s.smtp(25) as c:
        c.ehlo('x')
        id = c.mail(b'no author\r\n', 'alice@example.org', 'bob@example.org')
    assert id.encode() in s.mbox('alice')
    with s.smtp(25, source=OTHER) as c:
        c.ehlo('x')
        c.starttls()
        c.ehlo('x')
        c.expect(235, 'AUTH PLAIN ' + plain('bob', PW))
        id = c.mail(b'no author\r\n', 'alice@example.org', 'bob@example.org')
    text = s.mbox('alice')
    assert id.encode() in text and b'Authentication-Results' not in text.split(id.encode())[1]


@test
def a_large_letter_comes_whole_and_holds_up_nobody():
    s = server()
    body = ''.join('%08x ' % random.getrandbits(32) * 6 + '\r\n' for _ in range(90000))
    data = letter(body=body)
    slow = []

    def ping():
        with s.smtp(25) as c:
            while not done:
                start = time.monotonic()
                c.expect(250, 'NOOP')
                slow.append(time.monotonic() - start)
                time.sleep(0.002)
    done = []
    t = threading.Thread(target=ping)
    t.start()
    try:
        r = send(data)
    finally:
        done.append(1)
        t.join()
    assert r.code == 250, r
    s.settled()
    assert data.split(b'\r\n\r\n', 1)[1].replace(b'\r\n', b'\n') in s.mbox('alice')
    if not SAN:
        assert sorted(slow)[len(slow) * 99 // 100] < 0.1, max(slow)


@test
def chunks_are_looked_into_as_well():
    data = letter('boss2@bank.test')
    with server().smtp(25, source=OTHER) as c:
        c.ehlo('client.nowhere.test')
        c.envelope('alice@example.org', 'someone@nowhere.test')
        c.send(b'BDAT %d LAST\r\n' % len(data) + data)
        r = c.reply()
    assert r.code == 550 and 'DMARC' in r.text, r


@test
def commands_sent_together_are_answered_in_order():
    data = letter()
    with server().smtp(25, source=OTHER) as c:
        c.ehlo('client.nowhere.test')
        for _ in range(3):
            c.send(b'MAIL FROM:<x@plain.test>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n')
            assert [c.reply().code for _ in range(3)] == [250, 250, 354]
            c.send(stuff(data) + b'NOOP\r\n')
            assert c.reply().text.startswith('2.0.0 Ok: queued') and c.reply().code == 250


@test
def a_header_that_is_too_large_is_refused():
    r = send(letter(extra=''.join('X-%d: %s\r\n' % (i, 'y' * 900) for i in range(100))))
    assert r.code == 552 and r.enhanced == '5.3.4', r
    start = time.monotonic()
    sig = 'DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=b; h=from:to; bh=AA==; b=AA==\r\n'
    t = got(letter(extra=sig * 700))
    assert results(t)[1].count('dkim=') <= 9
    assert time.monotonic() - start < 10 * SLOW


@test
def who_asks_for_people_we_do_not_have_learns_nothing_more():
    s = Server('strangers', ('alice',))
    with s.smtp(25, source='127.1.30.5') as c:
        c.ehlo('h30.host.test')
        c.expect(250, 'MAIL FROM:<a@nowhere.test>')
        for i in range(5):
            c.expect(550, 'RCPT TO:<nobody%d@example.org>' % i, '5.1.1')
        c.expect(550, 'RCPT TO:<nobody@example.org>', '5.1.1')
        for who in ('alice', 'nobody7', 'alice'):
            c.expect(451, 'RCPT TO:<%s@example.org>' % who, '4.7.1')
    assert s.wait_log(r'from=127\.1\.30\.5 .*ban')
    s.restart()
    with s.smtp(25, source='127.1.30.5', greet=False) as c:
        assert c.line().startswith(b'421 4.7.0 ')
        c.eof()
    assert send(letter(), source='127.1.31.5', s=s).code == 250
    s.stop()


@test
def who_guesses_passwords_is_sent_away():
    s = Server('strangers', ('alice',))
    for i in range(4):
        with s.smtp(587, source='127.1.32.5') as c:
            c.ehlo('x')
            with contextlib.suppress(Closed):
                c.expect((535, 421), 'AUTH PLAIN ' + plain('alice', 'wrong%d' % i))
    with s.smtp(587, source='127.1.32.5', greet=False) as c:
        assert c.line().startswith(b'421 4.7.0 ')
    with s.pop(110, source='127.1.32.5', greet=False) as c:
        assert c.line().startswith(b'-ERR ')
    with s.smtp(587, source='127.1.33.5') as c:
        c.ehlo('x')
        c.expect(235, 'AUTH PLAIN ' + plain('alice', PW))
    s.stop()


if __name__ == '__main__':
    main()
