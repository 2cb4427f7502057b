# See LICENSE file for copyright and licence details.
"""More parts: how maild judges what servers of the world send as strangers, and how what it sends
itself is judged. px.test, maild.test and two.test have p=reject; each domain names its own host."""
import re

from kit import check, until
from letters import *
from parts import look
import servers
from servers import NAMELESS

PARTS = []


def part(f):
    PARTS.append(f)
    return f


def results(m, who):
    """What a server found, as {method: result}, of all its fields, and their text."""
    head = m.split(b'\n\n')[0].decode('latin1')
    fields = re.findall(r'(?m)^Authentication-Results:\s+%s;((?:.*\n?(?=[ \t]))*.*)' %
                        re.escape(who), head)
    text = ' '.join(' '.join(fields).split())
    return dict(re.findall(r'(?:^|[; ])(iprev|spf|dkim|dmarc)=(\w+)', text)), text


GOOD = {'iprev': 'pass', 'spf': 'pass', 'dkim': 'pass', 'dmarc': 'pass'}


def judged(maild, user, l, name, host, want):
    """It arrives, once and as it was, and its results are these."""
    got = until(lambda: boxed(maild, user, l.token), 20)
    if not check(name + ' arrives', got, maild.words()[-1500:]):
        return None
    check(name + ' arrives once, byte by byte', len(got) == 1 and not exact(l, got[0]),
          '%d; %s' % (len(got), exact(l, got[0])))
    r, text = results(got[0], host)
    check('%s: %s' % (name, ' '.join('%s=%s' % p for p in want.items())),
          {k: r.get(k) for k in want} == want, text)
    return text


def forged(host, user, sender, author):
    """A letter of a user of a server with another's name in its From field."""
    l = Letter(author, 'alice@maild.test', b'send me the money\r\n')
    text = l.data.replace(b'\r\n', b'\n')
    who = ['runuser', '-u', user, '--'] if user else []
    code, out = host.run(who + ['/usr/sbin/sendmail', '-i', '-f', sender] + l.to, text)
    if code:
        raise RuntimeError('sendmail at %s: %d %s' % (host.short, code, out))
    return l


@part
def friends(w):
    """What opendkim has signed passes; what has SPF alone as well."""
    a = from_outside(w.px, 'bob', Letter('bob@px.test', 'alice@maild.test', NASTY))
    b = from_outside(w.ex, 'bob', Letter('bob@ex.test', 'alice@maild.test', NASTY))
    c = from_outside(w.px, 'bob', Letter('bob@px.test', 'alice@six.test', NASTY))
    yield
    text = judged(w.m1, 'alice', a, 'signed by opendkim, from Postfix', 'mx.maild.test', GOOD)
    check('signed by opendkim: its domains are named', text and all(
        s in text for s in ('header.d=px.test', 'smtp.mailfrom=px.test', 'header.from=px.test',
                            'smtp.helo=mx.px.test')), text)
    judged(w.m1, 'alice', b, 'not signed, from Exim', 'mx.maild.test',
           dict(GOOD, dkim='none', dmarc='none'))
    judged(w.m6, 'alice', c, 'signed by opendkim, by IPv6 alone', 'mx.six.test', GOOD)


@part
def forgers(w):
    """p=reject: who is not named and has no signature is refused, and hears why."""
    who = 'ceo@strict.test'
    letters = [
        (forged(w.px, 'bob', 'bob@px.test', who), 'Postfix, sender of its own', w.px),
        (forged(w.ex, 'bob', 'bob@ex.test', who), 'Exim, sender of its own', w.ex),
    ]
    alien = [(forged(w.px, 'bob', who, who), 'Postfix, sender and author are forged', w.px),
             (forged(w.ex, None, who, who), 'Exim, sender and author are forged', w.ex)]
    neighbour = forged(w.ex, None, 'bob@px.test', 'bob@px.test')
    yield
    for l, name, h in letters:
        back = until(lambda: [d for _, d in servers.maildir(h, 'bob') if l.token.encode() in d], 20)
        check(name + ': comes back with our words', back and re.search(
            rb'550[- ]5\.7\.1\s+DMARC', back[0]), back and back[0][:1500])
    for l, name, h in alien:
        said = until(lambda: re.search(r'(?s)ceo@strict\.test.*550[- ]5\.7\.1 DMARC', h.log()), 20)
        check(name + ': refused with 550 5.7.1', said, h.tail())
    seen = until(lambda: w.m1.events(r'author=strict\.test', 'spf=fail', 'dkim=none',
                                     'dmarc=fail'), 20)
    check('the log says why', seen, '\n'.join(w.m1.events(' check ')[-9:]))
    check("not in a neighbour's name either (SPF of px.test does not name Exim)",
          until(lambda: w.m1.events(r'author=px\.test', 'spf=fail', 'dmarc=fail'), 20))
    for l in [x[0] for x in letters + alien] + [neighbour]:
        check('nothing of it arrived', not boxed(w.m1, 'alice', l.token))


@part
def nameless(w):
    """A host without a reverse name is greylisted, tries again and is taken."""
    def send():
        l = Letter('bob@nameless.test', 'alice@maild.test', NASTY)
        code, out = w.ex.run(['/usr/sbin/sendmail', '-i', '-f', l.sender] + l.to,
                             l.data.replace(b'\r\n', b'\n'))
        if code:
            raise RuntimeError('sendmail at ex: %d %s' % (code, out))
        return l
    l = send()
    yield
    text = judged(w.m1, 'alice', l, 'from Exim without a name', 'mx.maild.test',
                  {'iprev': 'fail', 'spf': 'neutral'})
    check('from Exim without a name: its address is named', text and any(
        'policy.iprev="%s"' % a in text or 'policy.iprev=%s' % a in text for a in NAMELESS), text)
    said = [x for x in w.ex.log().splitlines() if 'Greylisted' in x]
    check('from Exim without a name: was greylisted first', said and all('451 4.7.1' in x
                                                                       for x in said), w.ex.tail())
    before = len(said)
    judged(w.m1, 'alice', send(), 'the next one, at once', 'mx.maild.test', {'iprev': 'fail'})
    after = len([x for x in w.ex.log().splitlines() if 'Greylisted' in x])
    check('the next one is not greylisted', after == before, w.ex.tail())


@part
def ourselves(w):
    """What maild sends is judged: by maild, and by opendkim and opendmarc in Postfix."""
    a = w.alice.post('alice@two.test', NASTY)
    b = w.alice.post('alice@six.test', NASTY)
    c = w.alice.post('bob@px.test', NASTY)
    d = w.alice.post('dora@px.test')
    yield
    judged(w.m2, 'alice', a, 'maild to maild', 'mx.two.test', GOOD)
    judged(w.m6, 'alice', b, 'maild to maild, by IPv6', 'mx.six.test', GOOD)
    for l, user in ((c, 'bob'), (d, 'dora')):
        m = look(l, w.px, user, 'maild to Postfix')
        r, text = results(m, 'mx.px.test') if m else ({}, '')
        check('opendkim and opendmarc: spf=pass dkim=pass dmarc=pass',
              {k: r.get(k) for k in ('spf', 'dkim', 'dmarc')} ==
              {'spf': 'pass', 'dkim': 'pass', 'dmarc': 'pass'}, text or w.px.tail())
