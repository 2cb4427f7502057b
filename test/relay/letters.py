# See LICENSE file for copyright and licence details.
"""Letters that can be told apart, handing them in, finding them again, and reading reports."""
import email
import email.policy
import re
import smtplib
import ssl

import kit
import servers
from world import NET4

count = 0

# All that may go wrong on the way, and no line over 998 octets
NASTY = (b'.\r\n..\r\n...\r\n.a dot in front\r\n \r\n\r\n\r\nFrom the start of a line\r\n'
         b'>From with a quote\r\n>>From with two\r\ntrailing blanks   \r\ntab\t\r\n'
         b'caf\xc3\xa9 \xe9\xff\x80 8-bit text\r\n' + b'=3D=20 is no encoding\r\n' + b'x' * 998 +
         b'\r\n' + b'.' + b'y' * 997 + b'\r\nquit\r\n.quit\r\nQUIT\r\nRSET\r\n')


class Letter:
    """token: a word that no other letter has; data: what is handed in."""

    def __init__(self, sender, to, body=b'hello\r\n', head=b''):
        global count
        count += 1
        self.token = 'T%04dQ' % count
        self.sender = sender
        self.to = [to] if isinstance(to, str) else list(to)
        self.id = None
        self.data = (b'From: <%s>\r\nTo: %s\r\nSubject: letter %s\r\n'
                     b'Date: Sun, 22 Nov 2026 03:03:14 +0000\r\nMessage-ID: <%s@letters.test>\r\n'
                     b'%sMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
                     b'Content-Transfer-Encoding: 8bit\r\nContent-Disposition: inline\r\n\r\n' %
                     (sender.encode(), ', '.join('<%s>' % t for t in self.to).encode(),
                      self.token.encode(), self.token.encode(), head)) + body


class Desk:
    """A session of a user with a maild, over STARTTLS and with a login."""

    def __init__(self, maild, user='alice', host=None):
        self.user, self.domain = user, maild.domain
        self.host = host or '%s%d' % (NET4, maild.h.number)
        self.s = None

    def open(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.s = smtplib.SMTP(self.host, 587, local_hostname='desk.test', timeout=30)
        self.s.starttls(context=context)
        self.s.login(self.user, kit.PASSWORD)

    def post(self, to, body=b'hello\r\n', head=b'', mail=(), rcpt=()):
        """Hand a letter in; it knows its id then."""
        l = Letter('%s@%s' % (self.user, self.domain), to, body, head)
        if not self.s:
            self.open()
        self.must(self.s.mail(l.sender, ['BODY=8BITMIME'] + list(mail)))
        for t in l.to:
            self.must(self.s.rcpt(t, list(rcpt)))
        text = self.must(self.s.data(l.data))
        l.id = re.search(r'queued as (\S+)', text).group(1)
        return l

    def must(self, reply):
        if reply[0] >= 400:
            raise RuntimeError('%s: %r' % (self.host, reply))
        return reply[1].decode()


def from_outside(host, user, l):
    """bob at another server sends by its own sendmail (chasquid has none: by submission)."""
    text = l.data.replace(b'\r\n', b'\n')
    if host.short == 'ch':
        code, out = host.run(['python3', '-c', SUBMIT, l.sender, kit.PASSWORD] + l.to, l.data)
    else:
        code, out = host.run(['runuser', '-u', user, '--', '/usr/sbin/sendmail', '-i', '-f',
                              l.sender] + l.to, text)
    if code:
        raise RuntimeError('sendmail at %s: %d %s' % (host.short, code, out))
    return l


SUBMIT = '''
import smtplib, ssl, sys
c = ssl._create_unverified_context()
s = smtplib.SMTP('127.0.0.1', 587, timeout=20)
s.starttls(context=c)
s.login(sys.argv[1], sys.argv[2])
s.sendmail(sys.argv[1], sys.argv[3:], sys.stdin.buffer.read())
s.quit()
'''


def found(host, user, l):
    """The copies of a letter that have come to a user of another server (LF)."""
    mark = b'Message-ID: <%s@letters.test>' % l.token.encode()
    return [d for _, d in servers.maildir(host, user)
            if mark in d.split(b'\n\n')[0] or b'Message-Id' + mark[10:] in d.split(b'\n\n')[0]]


def arrive(host, user, l, seconds=20):
    """The same, waiting for the first."""
    return kit.until(lambda: found(host, user, l), seconds, 0.1)


def boxed(maild, user, token):
    """The messages of a user of maild in whose text a word is."""
    return [m for m in maild.box(user) if token.encode() in m]


def received(m):
    """The topmost Received field, unfolded."""
    head = m.split(b'\n\n')[0].decode('latin1')
    r = re.search(r'(?im)^received: (.*(?:\n[ \t].*)*)', head)
    return ' '.join(r.group(1).split()) if r else ''


OURS = re.compile(rb'(?i)(return-path|x-original-to|delivered-to|envelope-to|received|received-spf|'
                  rb'authentication-results|dkim-signature|delivery-date):')


def exact(l, m):
    """'' if what arrived is what was handed in under trace fields; else the difference."""
    want = l.data.replace(b'\r\n', b'\n')
    if not m.endswith(want):
        at = m.find(want[:want.index(b'\nSubject')])
        return 'no such octets at the end: ' + kit.difference([m[max(at, 0):]], [want])
    for line in m[:len(m) - len(want)].split(b'\n'):
        if line and line[:1] not in b' \t' and not OURS.match(line):
            return 'this came on top: %r' % line
    return ''


# ---- reports ----


class Report:
    """A multipart/report as Python reads it (RFC 3464), with what must be in it."""

    def __init__(self, raw):
        m = email.message_from_bytes(raw, policy=email.policy.default)
        self.m, self.faults = m, []
        parts = list(m.iter_parts()) if m.is_multipart() else []
        kinds = [p.get_content_type() for p in parts]
        if m.get_content_type() != 'multipart/report' or \
                m.get_param('report-type') != 'delivery-status' or len(kinds) != 3:
            self.faults.append('not a report: %s %r' % (m.get_content_type(), kinds))
            return
        if kinds[0] != 'text/plain' or kinds[1] not in ('message/delivery-status',
                                                        'message/global-delivery-status'):
            self.faults.append('parts %r' % kinds)
        if kinds[2] not in ('message/rfc822', 'text/rfc822-headers', 'message/global-headers'):
            self.faults.append('third part ' + kinds[2])
        for p in [m] + list(m.walk()):
            self.faults += [str(d) for d in p.defects]
        if not m['Auto-Submitted'] or not m['Auto-Submitted'].startswith('auto-'):
            self.faults.append('no Auto-Submitted')
        self.text = parts[0].get_content()
        blocks = parts[1].get_payload()
        self.about = blocks[0]
        self.recipients = {}
        for b in blocks[1:]:
            if b.keys():
                self.recipients[b['Final-Recipient'].split(';')[1].strip()] = b
        self.original = parts[2].as_bytes()

    def of(self, recipient):
        """(action, status, diagnostic) for a recipient, or None."""
        b = self.recipients.get(recipient)
        return b and (b['Action'], b['Status'], ' '.join((b['Diagnostic-Code'] or '').split()))


def reports(maild, user, l):
    """The reports about a letter in a mailbox; what names it but is none is left out."""
    out = []
    for m in boxed(maild, user, l.token):
        if b'multipart/report' in m.split(b'\n\n')[0]:
            out.append(Report(m))
    return out


def report(maild, user, l, recipient, action='failed', seconds=20):
    """Wait for the report about a recipient: (Report, (action, status, diagnostic)), or (None,
    None)."""
    def look():
        for r in reports(maild, user, l):
            if not hasattr(r, 'recipients'):
                return r, None
            if r.of(recipient) and r.of(recipient)[0] == action:
                return r, r.of(recipient)
    return kit.until(look, seconds, 0.1) or (None, None)
