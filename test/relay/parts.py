# See LICENSE file for copyright and licence details.
"""What is proved. Each part is a generator: up to its `yield` it sends, after that it looks what
became of it, so that the waits of all parts are one."""
import re

import kit
import servers
from kit import check, until
from letters import *
from world import NET4, NET6

PARTS = []


def part(f):
    PARTS.append(f)
    return f


def look(l, host, user, name, more=None):
    """It is there, once, and as it was handed in; more(received field) may find a fault."""
    got = arrive(host, user, l)
    if not check(name + ' arrives', got, 'not within 20 s'):
        return None
    check(name + ' arrives once, byte by byte', len(got) == 1 and not exact(l, got[0]),
          '%d copies; %s' % (len(got), exact(l, got[0])))
    if more:
        fault = more(received(got[0]))
        check(name + ': ' + more.__doc__, not fault, fault)
    return got[0]


def with_tls(r):
    """by TLS"""
    return '' if re.search(r'(?i)with e?smtps', r) else r


def in_clear(r):
    """in clear text"""
    return '' if re.search(r'(?i)with e?smtp(?!s)', r) else r


def by4(r):
    """by IPv4"""
    return '' if NET4 in r.split(' by ')[0] else r


def by6(r):
    """by IPv6"""
    return '' if NET6 in r.split(' by ')[0] else r


@part
def servers_(w):
    """Every server, with and without TLS, by IPv4 and by IPv6; and back, by a reply."""
    hosts = [('px', w.px), ('ex', w.ex), ('os', w.os), ('ch', w.ch)]
    letters = []
    for short, h in hosts:
        # OpenSMTPD's handshake fails: once more in clear text
        first = in_clear if short == 'os' else with_tls
        for kind, more in (('', first), ('v4.', by4), ('v6.', by6), ('vplain.', in_clear)):
            if short == 'ch' and kind == 'vplain.':
                continue
            l = w.alice.post('bob@%s%s.test' % (kind, short), NASTY)
            letters.append((short, h, kind, more, l))
    yield
    for short, h, kind, more, l in letters:
        m = look(l, h, 'bob', 'to %s%s.test' % (kind, short), more)
        if m and not kind:
            back = Letter('bob@%s.test' % short, 'alice@maild.test', NASTY,
                          b'In-Reply-To: <%s@letters.test>\r\n' % l.token.encode())
            from_outside(h, 'bob', back)
            got = until(lambda: boxed(w.m1, 'alice', back.token), 20)
            if check('the reply from %s.test comes back' % short, got):
                check('the reply from %s.test came by TLS' % short,
                      not with_tls(received(got[0])), received(got[0]))
                check('the reply from %s.test is exact' % short, not exact(back, got[0]),
                      exact(back, got[0]))


@part
def large(w):
    """5 MB to each, by TLS and without."""
    line = bytes(range(33, 127)) * 10
    body = b''.join(line[i % 90:i % 90 + 70] + b'\r\n' for i in range(5 * 1024 * 1024 // 72))
    letters = [(h, d, w.alice.post('bob@' + d, body)) for h, d in (
        (w.px, 'px.test'), (w.px, 'vplain.px.test'), (w.ex, 'ex.test'), (w.os, 'os.test'),
        (w.ch, 'ch.test'))]
    yield
    for h, d, l in letters:
        look(l, h, 'bob', '5 MB to ' + d)


@part
def lines(w):
    """Lines over 998 octets: to those that take them."""
    body = b'a' * 5000 + b'\r\n.' + b'b' * 1999 + b'\r\n'
    letters = [(h, d, w.alice.post('bob@' + d, body))
               for h, d in ((w.px, 'px.test'), (w.ex, 'ex.test'), (w.ch, 'ch.test'))]
    yield
    for h, d, l in letters:
        look(l, h, 'bob', 'lines of 5,000 octets to ' + d)


@part
def together(w):
    """Several recipients of one domain share a transaction."""
    a = w.alice.post(['bob@px.test', 'carl@px.test', 'dora@px.test'])
    b = w.alice.post(['bob@ex.test', 'carl@ex.test', 'bob@px.test'])
    yield
    for u in ('bob', 'carl', 'dora'):
        look(a, w.px, u, 'to three at px.test: ' + u)
    ids = re.findall(r'(\w+): message-id=<%s@' % a.token, w.px.log())
    n = [re.search(r'%s: from=.*nrcpt=(\d+)' % i, w.px.log()).group(1) for i in ids]
    check('three recipients at px.test are one transaction', n == ['3'], n)
    for u in ('bob', 'carl'):
        look(b, w.ex, u, 'to two at ex.test and one elsewhere: ' + u)
    look(b, w.px, 'bob', 'to two at ex.test and one elsewhere: the one')
    l = re.findall(r'<= \S+ .*id=%s@.* for (.*)' % b.token, w.ex.log())
    check('two recipients at ex.test are one transaction', l == ['bob@ex.test carl@ex.test'], l)


# Domain, and what is special about it
TO_POSTFIX = [
    ('dead.test', 'first MX refuses connections'),
    ('drop.test', 'first MX does not answer'),
    ('cname.test', 'MX is a CNAME'),
    ('canon.test', 'domain is a CNAME'),
    ('fallback.test', 'no MX, but an address'),
    ('noaddr2.test', 'first MX has no address'),
    ('big.test', 'answer is truncated: 41 MX records'),
]


@part
def exchangers(w):
    """The ways to a host by DNS."""
    letters = [(d, what, w.alice.post('bob@' + d, NASTY)) for d, what in TO_POSTFIX]
    own = w.alice.post('bob@self.test')
    yield
    for d, what, l in letters:
        look(l, w.px, 'bob', '%s (%s)' % (d, what))
    refused(w, own, 'bob@self.test', r'5\.4\.6', '', 'the best MX is ourselves')
    check('self.test: nobody else gets it', not found(w.px, 'bob', own))


def refused(w, l, recipient, status, words, name, user='alice'):
    r, got = report(w.m1, user, l, recipient)
    if not check(name + ': comes back', r, 'no report within 20 s\n' + w.m1.about(l)):
        return
    check(name + ': a report that Python reads', got and not r.faults, r.faults)
    if not got:
        return
    check('%s: status %s' % (name, got[1]), re.fullmatch(status, got[1]), got)
    if words:
        check(name + ": the remote server's words", re.search(words, got[2], re.I), got)
    check(name + ': the original is in it', l.token.encode() in r.original, r.original[:300])
    check(name + ': nothing of it is left in the queue', until(lambda: l.id not in w.m1.waiting(),
                                                               10))


@part
def bounces(w):
    """What cannot be delivered comes back with the reason."""
    cases = [
        ('bob@null.test', r'5\.1\.10', '', 'null MX'),
        ('bob@nosuch.invalid', r'5\.1\.2', '', 'no such domain'),
        ('bob@mxnoaddr.test', r'5\.\d+\.\d+', '', 'MX without an address'),
        ('bob@nxmx.test', r'5\.\d+\.\d+', '', 'MX that does not exist'),
        ('nosuch@px.test', r'5\.1\.1', '550 5.1.1 .*nosuch@px.test', 'no such user at Postfix'),
        ('nosuch@ex.test', r'5\.\d\.\d', '550 .*unknown user', 'no such user at Exim'),
        ('nosuch@os.test', r'5\.\d\.\d', '550.*invalid recipient', 'no such user at OpenSMTPD'),
        ('nosuch@ch.test', r'5\.1\.1', '550 5.1.1 ', 'no such user at chasquid'),
        ('bob@denied.test', r'5\.\d\.\d', '550 relay not permitted', 'refused by Exim'),
    ]
    letters = [(w.alice.post(r, NASTY), r, s, words, n) for r, s, words, n in cases]
    both = w.alice.post(['bob@px.test', 'nosuch@px.test'], NASTY)
    yield
    for l, r, s, words, n in letters:
        refused(w, l, r, s, words, n)
    look(both, w.px, 'bob', 'one good and one bad recipient: the good one')
    refused(w, both, 'nosuch@px.test', r'5\.1\.1', '550 5.1.1', 'one good and one bad recipient')
    r = report(w.m1, 'alice', both, 'nosuch@px.test')[0]
    check('the report is about the bad one alone', r and list(r.recipients) == ['nosuch@px.test'])
    check('MX without an address: not to the A record', not found(w.px, 'bob', letters[2][0]))


@part
def deferrals(w):
    """What may get better waits."""
    cases = [
        ('bob@servfail.test', r'4\.4\.3', '', 'SERVFAIL'),
        ('bob@refused.test', r'4\.4\.3', '', 'the name server refuses'),
        ('bob@silent.test', r'4\.4\.3', '', 'the name server is silent'),
        ('bob@garbage.test', r'4\.4\.3', '', 'the name server talks garbage'),
        ('bob@gone.test', r'4\.4\.\d', 'refused', 'nobody listens'),
        ('bob@badpw.test', r'4\.\d\.\d', '535', 'the smarthost refuses the password'),
        ('bob@nopw.test', r'4\.\d\.\d', '', 'no line in secrets'),
        ('bob@selfsigned.test', r'4\.7\.\d', '', 'a certificate that nobody vouches for'),
        ('bob@badname.test', r'4\.7\.\d', '', "another host's certificate"),
        ('bob@badpin.test', r'4\.7\.\d', '', 'another public key'),
        ('bob@notls.test', r'4\.7\.\d', 'STARTTLS', 'TLS demanded of one that has none'),
    ]
    letters = [(w.alice.post(r), r, s, words, n) for r, s, words, n in cases]
    yield
    for l, r, s, words, n in letters:
        seen = until(lambda: w.m1.events(l.id, ' deferred ', r), 30, 0.2)
        if not check(n + ': waits', seen, w.m1.about(l)):
            continue
        m = re.search(r'status=(\S+) reply="(.*?)"', seen[0])
        check('%s: status %s' % (n, m and m.group(1)), m and re.fullmatch(s, m.group(1)), seen[0])
        if words:
            check(n + ': the reason is in the log', m and words in m.group(2), seen[0])
        check(n + ': not sent back', not reports(w.m1, 'alice', l) and l.id in w.m1.waiting())
        w.put_aside(l)
    code, q = w.one.run(['maild', 'queue'])
    check('maild queue names them', all(r in q for _, r, _, _, _ in letters), q)


@part
def smarthost(w):
    """AUTH over 587 and 465; CA and pinned key."""
    letters = [(d, p, w.alice.post('bob@' + d, NASTY))
               for d, p in (('smart587.test', 587), ('smart465.test', 465), ('smartca.test', 465))]
    yield
    for d, port, l in letters:
        look(l, w.ex, 'bob', 'by the smarthost, %s' % d, with_tls)
        line = re.findall(r'<= .*id=%s@.*' % l.token, w.ex.log())
        check('%s: port %d, with its login' % (d, port), len(line) == 1 and
              re.search(r']:%d .*A=plain:maild' % port, line[0]), line)


@part
def lmtp(w):
    """Dovecot: each recipient has an outcome of its own."""
    l = w.alice.post(['bob@lmtp.test', 'nosuch@lmtp.test', 'full@lmtp.test'], NASTY)
    outside = from_outside(w.px, 'bob', Letter('bob@px.test', 'bob@lmtp.test', NASTY))
    yield
    look(l, w.dove, 'bob', 'LMTP: the good recipient')
    refused(w, l, 'nosuch@lmtp.test', r'5\.1\.1', '550 5.1.1', 'LMTP: an unknown one')
    refused(w, l, 'full@lmtp.test', r'5\.2\.2', '552 5.2.2', 'LMTP: a full one, after the text')
    check('LMTP: the full one has nothing', not found(w.dove, 'full', l))
    look(outside, w.dove, 'bob', 'LMTP: from outside')


@part
def forwarding(w):
    """An alias to outside: the sender is rewritten, and finds back."""
    def send(alias):
        return from_outside(w.ex, 'bob', Letter('bob@ex.test', alias + '@maild.test', NASTY))
    plain, both, late, none, chain, ping = [send(a) for a in ('forward', 'both', 'late', 'nowhere',
                                                              'chain', 'ping')]
    mine = w.alice.post('forward@maild.test', NASTY)
    yield
    m = look(plain, w.px, 'bob', 'forwarded to px.test')
    path = m and re.search(rb'Return-Path: <(.*)>', m).group(1).decode()
    check('its sender is rewritten', m and re.fullmatch(
        r'(?i)SRS0[=+-][^=]+=[^=]+=ex\.test=bob@maild\.test', path), path)
    check('an alias to a mailbox and to outside: the mailbox',
          until(lambda: boxed(w.m1, 'carol', both.token), 20))
    look(both, w.ex, 'bob', 'an alias to a mailbox and to outside: outside')
    look(mine, w.px, 'bob', "a user's letter to an alias")
    returned(w, late, 'px refuses it later: the report finds back to ex.test')
    returned(w, chain, 'forwarded twice (SRS1): the report finds back to ex.test')
    log = w.m2.words()
    check('forwarded twice: SRS1 was there', re.search('(?i)srs1', log + w.px.log()))
    check("forwarded twice: the report's signature holds", w.m1.events(
        r' check from=%s11 ' % re.escape(NET4), 'dkim=pass', 'dmarc=pass', r'author=px\.test'))
    check('forwarded to nobody: postmaster is told', until(
        lambda: boxed(w.m1, 'carol', none.token), 20))
    rounds = [len(w.m1.events(' sent ', 'ping@two.test')), len(w.m2.events(' sent ',
                                                                          'ping@maild.test'))]
    check('a loop of two servers ends after %d and %d rounds' % tuple(rounds), until(
        lambda: w.idle(ping), 20) and 1 <= rounds[0] <= 3, rounds)


def returned(w, l, name):
    def look_():
        return [d for _, d in servers.maildir(w.ex, 'bob')
                if l.token.encode() in d and b'multipart/report' in d.split(b'\n\n')[0] and
                b'by mx.maild.test' in d.split(b'\n\n')[0]]
    check(name, until(look_, 20, 0.2), w.m1.about(l))


@part
def addresses(w):
    """Spellings of a recipient."""
    to = ['"bob"@px.test', 'bob@PX.TEST', 'bob@[%s20]' % NET4, 'bob@[IPv6:%s14]' % NET6]
    letters = [(t, w.alice.post(t)) for t in to]
    utf8 = w.alice.post('bob@px.test', head='X-Name: b\u00f8b\r\n'.encode(), mail=['SMTPUTF8'])
    idn = w.alice.post('bob@b\u00fccher.test', mail=['SMTPUTF8'])
    none = w.alice.post('bob@os.test', head='X-Name: b\u00f8b\r\n'.encode(), mail=['SMTPUTF8'])
    yield
    for t, l in letters:
        look(l, w.px, 'bob', 'to ' + t)
    m = look(utf8, w.px, 'bob', 'SMTPUTF8')
    check('SMTPUTF8 is passed on', m and 'with UTF8SMTPS' in received(m), m and received(m))
    look(idn, w.px, 'bob', 'to a domain with an umlaut')
    refused(w, none, 'bob@os.test', r'5\.6\.7', '', 'SMTPUTF8 to a server without')


@part
def signatures(w):
    """DKIM, with the key in the zone as `maild dkim` printed it."""
    l = w.alice.post('dora@px.test', NASTY)
    h = w.alice.post('dora@px.test', b'', b'Cc: <carl@px.test>\r\nReply-To: <x@maild.test>\r\n')
    yield
    for what, x in (('nasty text', l), ('empty text', h)):
        m = look(x, w.px, 'dora', 'signed, ' + what)
        if not m:
            continue
        ar = re.search(rb'Authentication-Results: mx.px.test;(?:.*\n[ \t])*?.*dkim=(\w+)', m)
        check('opendkim in Postfix, %s: pass' % what, ar and ar.group(1) == b'pass',
              m[:m.index(b'\n\n')].decode('latin1'))
        raw = m[m.index(b'Received:'):].replace(b'\n', b'\r\n')
        code, out = w.px.run(['/usr/bin/dkimverify'], raw)
        check('dkimpy, %s: good' % what, code == 0 and 'signature ok' in out, out)
    if m:
        code, out = w.px.run(['/usr/bin/dkimverify'], raw.replace(b'letter T', b'Letter T'))
        check('dkimpy: a changed subject is seen', code == 1, out)


@part
def poor(w):
    """STARTTLS that fails; a server without 8BITMIME and PIPELINING."""
    old = w.alice.post('bob@old.test', NASTY)
    seven = w.alice.post('bob@seven.test', NASTY)
    yield
    look(old, w.px, 'bob', 'STARTTLS fails', in_clear)
    got = until(lambda: found(w.px, 'bob', seven) or reports(w.m1, 'alice', seven), 20)
    if got and reports(w.m1, 'alice', seven):
        refused(w, seven, 'bob@seven.test', r'5\.6\.3', '', 'no 8BITMIME')
    elif check('no 8BITMIME: arrives', got):
        m = email.message_from_bytes(got[0], policy=email.policy.SMTP)
        want = seven.data.split(b'\r\n\r\n', 1)[1]
        check('no 8BITMIME: 7 bits', max(got[0]) < 128)
        text = m.get_payload(decode=True).replace(b'\r\n', b'\n')
        check('no 8BITMIME: the same once decoded', text == want.replace(b'\r\n', b'\n'),
              kit.difference([text], [want.replace(b'\r\n', b'\n')]))


@part
def six(w):
    """A host without IPv4, one without IPv6, and one with a dead name server."""
    a = w.six_alice.post('bob@v6.px.test', NASTY)
    b = w.six_alice.post('alice@maild.test', NASTY)
    c = w.six_alice.post('bob@v4.px.test')
    d = w.alice.post('alice@six.test', NASTY)
    e = w.two_alice.post('bob@px.test', NASTY)
    f = w.two_alice.post('bob@tc.test', NASTY)
    g = w.alice.post('alice@two.test', NASTY)
    h = from_outside(w.px, 'bob', Letter('bob@px.test', 'alice@six.test', NASTY))
    yield
    look(a, w.px, 'bob', 'IPv6 alone to v6.px.test', by6)
    mine(w.m1, b, 'IPv6 alone to maild.test')
    mine(w.m6, d, 'maild.test to IPv6 alone')
    mine(w.m2, g, 'maild.test to IPv4 alone')
    mine(w.m6, h, 'px.test to IPv6 alone')
    look(e, w.px, 'bob', 'IPv4 alone to px.test, which has both', by4)
    look(f, w.px, 'bob', 'truncated answer without records, second name server')
    asked = w.dns.read('/var/log/nasty.log').decode()
    check('it was asked by UDP and then by TCP', re.search(r'(?s)udp tc.test 15.*tcp tc.test 15',
                                                          asked), asked[-500:])
    seen = until(lambda: w.m6.events(c.id, ' deferred '), 20)
    check('IPv6 alone to v4.px.test: waits', seen, w.m6.about(c))
    said = []
    check('maild drop', until(lambda: said.append(w.six.run(['maild', 'drop', c.id, 'quiet'])) or
                              said[-1][0] == 0, 20, 0.5), said)
    if len(said) > 1:
        print('      ', said)


def mine(maild, l, name):
    got = until(lambda: boxed(maild, 'alice', l.token), 20)
    if check(name + ' arrives', got):
        check(name + ' arrives once, byte by byte', len(got) == 1 and not exact(l, got[0]),
              '%d; %s' % (len(got), exact(l, got[0])))


@part
def lateness(w):
    """A warning after 4 seconds, the end after 12 (mx.two.test)."""
    l = w.two_alice.post('bob@gone.test', NASTY)
    yield
    r, got = report(w.m2, 'alice', l, 'bob@gone.test', 'delayed')
    check('late: a warning', r and not r.faults, r and r.faults)
    check('late: its status %s' % (got and got[1]), got and got[1][0] == '4', got)
    r, got = report(w.m2, 'alice', l, 'bob@gone.test', 'failed', 30)
    check('too late: comes back', r and not r.faults, w.m2.about(l))
    check('too late: status %s' % (got and got[1]), got and re.match(r'[45]\.4\.', got[1]), got)
    check('too late: one warning, one end', len(reports(w.m2, 'alice', l)) == 2)


@part
def notification(w):
    """DSN (RFC 3461): passed on to those that know it; reported by us for those that do not."""
    a = w.alice.post('carl@px.test', NASTY, mail=['RET=HDRS', 'ENVID=env+2Bone'],
                     rcpt=['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;carl+40px@px.test'])
    b = w.alice.post('bob@ch.test', NASTY, rcpt=['NOTIFY=SUCCESS'])
    c = w.alice.post('nosuch@px.test', NASTY, rcpt=['NOTIFY=NEVER'])
    yield
    look(a, w.px, 'carl', 'with NOTIFY')
    r, got = report(w.m1, 'alice', a, 'carl@px.test', 'delivered')
    check('NOTIFY=SUCCESS passed on: Postfix reports it', r)
    check('ENVID passed on', r and 'env+one' in (r.about['Original-Envelope-Id'] or ''),
          r and r.about.as_string())
    r, got = report(w.m1, 'alice', b, 'bob@ch.test', 'relayed')
    check('NOTIFY=SUCCESS to chasquid: we report "relayed"', r and not r.faults, w.m1.about(b))
    gone = until(lambda: c.id not in w.m1.waiting(), 20)
    check('NOTIFY=NEVER: no report', gone and not reports(w.m1, 'alice', c))


@part
def sendmail(w):
    """maild sendmail, as cron has it."""
    l = Letter('carol@maild.test', 'bob@px.test', b'text\r\n')
    code, out = w.one.run(['maild', 'sendmail', '-t', '-i', '-f', 'carol@maild.test'],
                          l.data.replace(b'\r\n', b'\n'))
    yield
    check('maild sendmail: taken', code == 0, (code, out))
    look(l, w.px, 'bob', 'maild sendmail')


@part
def backup(w):
    """Mail for a primary that is away: kept, carried on when it is back, few connections."""
    outside = [from_outside(w.px, 'bob', Letter('bob@px.test', 'bob@primary.test', NASTY))
               for _ in range(3)]
    inside = [w.alice.post('bob@primary.test') for _ in range(12)]
    yield
    kept = until(lambda: len(w.m1.events('bob@primary.test', ' deferred ')) >= 13, 40, 0.2)
    check('backup MX: mail for the absent primary is kept', kept, w.m1.queue())
    w.ex.address(32)
    code, out = w.one.run(['maild', 'flush', 'primary.test'])
    check('backup MX: maild flush', code == 0, out)
    for i, l in enumerate(outside):
        look(l, w.ex, 'bob', 'backup MX: letter %d from outside, once the primary is back' % i)
    got = [arrive(w.ex, 'bob', l) for l in inside]
    check('backup MX: all letters, each once', all(g and len(g) == 1 for g in got),
          [g and len(g) for g in got])
    lines = [re.search(r'<= .* \[\S*?\]:(\d+) .*id=%s@' % l.token, w.ex.log()) for l in inside]
    ports = {m.group(1) for m in lines if m}
    check('12 letters for one host took %d connections' % len(ports), all(lines) and
          len(ports) <= 6, ports)


def ending(w):
    """What all logs say at the end, and whether nothing is left."""
    for m, name in ((w.m1, 'mx.maild.test'), (w.m2, 'mx.two.test'), (w.m6, 'mx.six.test')):
        bad = m.events(r'bug|disk-trouble|unreadable|breach|possible-duplicate|cannot')
        check(name + ': nothing bad in the log', not bad, '\n'.join(bad[:5]))
        check(name + ': spool/bad is empty', not m.files('bad'), m.files('bad'))
        left = until(lambda: not m.files('out') and not m.files('queue'), 20)
        check(name + ': nothing is left but what was put aside', left, m.queue())
        check(name + ': stops when it is told to', m.stop(), m.words()[-500:])
    complaints = [l for h in (w.px, w.ex, w.os, w.ch, w.dove) for n in h.logs
                  for l in h.read(n).decode(errors='replace').splitlines()
                  if COMPLAINT.search(l) and not WANTED.search(l)]
    check('no server complains of the protocol', not complaints, '\n'.join(complaints[:9]))


COMPLAINT = re.compile(r'(?i)improper|pipelining|non-smtp|syntax error|protocol (error|violation)|'
                       r'synchronization|lost connection|too many|timeout|timed out|'
                       r'bare (cr|lf|newline)|line too long|unrecognized|bad sequence|unexpected')
# handshakes that were to fail, what Postfix was told to hide, and OpenSMTPD about itself
WANTED = re.compile(r'lost connection after STARTTLS from mx\.maild\.test|discarding EHLO|'
                    r'debug: |timeout for session hangon')
