# See LICENSE file for copyright and licence details.
"""Senders: each puts mails in over port 25, submission with STARTTLS and implicit TLS, PLAIN and
LOGIN; what POP3 then hands out must be what was sent, byte for byte."""
import email
import json
import os
import re

from kit import *

NODEMAILER = '7.0.9'  # a fixed version
# What each way in is called, its port, its TLS, its AUTH mechanism
WAYS = [('port 25', 25, 'clear', None), ('port 25 STARTTLS', 25, 'starttls', None),
        ('587 STARTTLS PLAIN', 587, 'starttls', 'PLAIN'),
        ('587 STARTTLS LOGIN', 587, 'starttls', 'LOGIN'), ('465 PLAIN', 465, 'wrap', 'PLAIN'),
        ('465 LOGIN', 465, 'wrap', 'LOGIN'), ]


class Way:
    """All that a sender needs to know of one way in."""
    def __init__(self, server, ca, user, way):
        self.label, port, self.tls, self.mech = way
        self.port = server.port(port)
        self.ca = ca
        self.user = user
        self.sender = user + '@localhost' if self.mech else 'outside@example.org'
        self.top = server.top
        self.url = '%s://localhost:%d' % ('smtps' if self.tls == 'wrap' else 'smtp', self.port)


def swaks(w, to, key, mail):
    f = write('%s/swaks.%s' % (w.top, key), lf(mail)[:-1])  # it ends the last line itself
    a = [
        'swaks', '--server', 'localhost', '--port',
        str(w.port), '--helo', 'client.example.org', '--from', w.sender, '--to', to, '--data',
        '@' + f
    ]
    if w.tls != 'clear':
        a += [
            '--tls' if w.tls == 'starttls' else '--tls-on-connect', '--tls-verify',
            '--tls-ca-path', w.ca
        ]
    if w.mech:
        a += ['--auth', w.mech, '--auth-user', w.user, '--auth-password', PASSWORD]
    return run(a)


def curl(w, to, key, mail):
    f = write('%s/curl.%s' % (w.top, key), mail)
    a = [
        'curl', '-sS', '--max-time', '30', w.url + '/client.example.org', '--mail-from', w.sender,
        '--mail-rcpt', to, '-T', f
    ]
    if w.tls != 'clear':
        a += ['--ssl-reqd', '--cacert', w.ca]
    if w.mech:
        a += ['--user', w.user + ':' + PASSWORD, '--login-options', 'AUTH=' + w.mech]
    return run(a)


def msmtp(w, to, key, mail):
    c = [
        'account default', 'host localhost',
        'port %d' % w.port, 'from ' + w.sender, 'domain client.example.org', 'timeout 30',
        'set_from_header off', 'set_date_header off', 'undisclosed_recipients off',
        'tls ' + ('off' if w.tls == 'clear' else 'on')
    ]
    if w.tls != 'clear':
        c += ['tls_starttls ' + ('on' if w.tls == 'starttls' else 'off'), 'tls_trust_file ' + w.ca]
    if w.mech:
        c += ['auth ' + w.mech.lower(), 'user ' + w.user, 'password "%s"' % PASSWORD]
    f = write(w.top + '/msmtprc', '\n'.join(c) + '\n')
    return run(['msmtp', '-C', f, to], lf(mail))


def net_smtp(w, to, key, mail):
    return run([
        'perl', HERE + '/net_smtp.pl',
        str(w.port), w.tls, w.ca, w.mech or '-', w.user, PASSWORD, w.sender, to
    ], lf(mail))


def nodemailer(w, to, key, mail):
    f = write('%s/node.%s' % (w.top, key), mail)
    o = dict(host='localhost',
             port=w.port,
             secure=w.tls == 'wrap',
             name='client.example.org',
             connectionTimeout=20000)
    o['requireTLS' if w.tls == 'starttls' else 'ignoreTLS'] = w.tls != 'wrap'
    if w.mech:
        o.update(auth={'user': w.user, 'pass': PASSWORD}, authMethod=w.mech)
    job = dict(options=o, ca=w.ca, mails=[{'from': w.sender, 'to': to, 'file': f}])
    return run(['node', HERE + '/mailer.js'],
               json.dumps(job).encode(),
               env={'NODE_PATH': w.top + '/node/node_modules'})


def byte_for_byte(server, ca, name, send):
    """Each way in with mails that this sender passes on as they are."""
    box = server.fresh(prefix='to')
    user = server.fresh(prefix='from')
    sent, labels = [], []
    for way in WAYS:
        w = Way(server, ca, user, way)
        for key, m in ordinary():
            if way[1] != 587 and key in ('empty', 'long') or way[2] != 'clear' and key == 'big' \
                    or key == 'empty' and name == 'swaks':          # it puts a blank line there
                continue
            unique = b'<%s-%d@example.org>' % (key.encode(), len(sent))
            m = m.replace(b'outside@example.org', w.sender.encode())
            m = m.replace(b'<%s@example.org>' % key.encode(), unique)
            code, out = send(w, box + '@localhost', key, m)
            label = '%s, %s, %s' % (name, w.label, key)
            if code:
                check(label, False, '%d %s' % (code, out))
            else:
                sent.append((w, m, unique))
                labels.append(label)
    got = wait_mails(server, box, len(sent))
    check(name + ': all there, none twice',
          len(got) == len(sent), '%d of %d' % (len(got), len(sent)))
    for label, (w, m, unique) in zip(labels, sent):
        g = [g for g in got if b'Message-ID: ' + unique in g]
        if len(g) == 1:
            arrived(label, w, m, g[0])
        else:
            check(label, False, 'it is there %d times' % len(g))


def arrived(label, w, m, g):
    n = len(g) - len(m)
    why = ''
    if n <= 0 or g[n:] != m:
        why = difference([g[max(n, 0):]], [m])
    elif trace(g[:n] + b'\r\n') != n:
        why = 'on top: %r' % g[:n]
    elif not re.search(rb'\swith ' + protocol(w) + rb'\s', g[:n]):
        why = 'not with %s: %r' % (protocol(w), g[:n])
    check(label, not why, why)


def protocol(w):
    return b'ESMTP' + (b'' if w.tls == 'clear' else b'S') + (b'A' if w.mech else b'')


def s_nail(server, ca):
    """s-nail builds the mail itself: what arrives must be the copy that it keeps."""
    box = server.fresh(prefix='to')
    user = server.fresh(prefix='from')
    for way in WAYS:
        w = Way(server, ca, user, way)
        label = 's-nail, ' + w.label
        record = '%s/record.%s' % (server.top, w.label.replace(' ', '-'))
        a = [
            's-nail', '-:/', '-Sv15-compat', '-Ssendwait', '-Srecord=' + record,
            '-Sfrom=' + w.sender, '-Shostname=client.example.org', '-Sttycharset=utf-8',
            '-Smta=' + mta(w), '-Smta-bcc-ok'
        ]
        if w.tls != 'clear':
            a += ['-Stls-ca-file=' + ca, '-Stls-verify=strict']
        if w.tls == 'starttls':
            a += ['-Ssmtp-use-starttls']
        a += ['-Ssmtp-auth=' + (w.mech.lower() if w.mech else 'none')]
        text = 'Gr\u00fc\u00dfe\n.\n..\nFrom here\n\nFrom there\n' + 'x' * 2000 + '\nend\n'
        code, out = run(
            a + ['-s', 'gr\u00fc\u00df dich', '-a', HERE + '/kit.py', box + '@localhost'],
            text.encode(),
            env={'HOME': server.top, 'MAILRC': '/dev/null', 'LC_ALL': 'C.UTF-8'})
        if not check(label, code == 0, '%d %s' % (code, out)):
            continue
        g = wait_mails(server, box, WAYS.index(way) + 1)[-1]
        copy = bare(split(read(record))[-1])
        sent = lf(g)[trace(lf(g)):]
        check(label + ': as the copy it keeps',
              sent.rstrip(b'\n') == copy.rstrip(b'\n'), difference([sent], [copy]))
        parts = list(email.message_from_bytes(g).walk())
        check(
            label + ': text and attachment',
            lf(parts[1].get_payload(decode=True)) == text.encode() and
            lf(parts[2].get_payload(decode=True)) == read(HERE + '/kit.py'), g[-300:])


def mta(w):
    scheme = {'wrap': 'smtps', 'starttls': 'smtp', 'clear': 'smtp'}[w.tls]
    who = '%s:%s@' % (w.user, PASSWORD.replace(' ', '%20')) if w.mech else ''
    return '%s://%slocalhost:%d' % (scheme, who, w.port)


def many_recipients(server, ca):
    """One transaction, many recipients, some of them unknown; and the null sender."""
    names = [server.fresh(prefix='many') for _ in range(3)]
    m = head('rcpts') + b'to many\r\n'
    with Smtp(server) as s:
        s.send('', [n + '@LOCALHOST' for n in names] + [names[0] + '+tag@localhost'], m)
    check('three recipients, one twice, null sender: one copy each',
          [len(mails(server, n)) for n in names] == [1, 1, 1])
    code, out = run([
        'swaks', '--server', 'localhost', '--port',
        str(server.port(25)), '--from', '<>', '--to', names[0] + '@localhost,nobody@localhost',
        '--pipeline'
    ])
    check('swaks --pipeline, null sender, one recipient unknown', code == 0 or '550 5.1.1' in out,
          out)
    check('swaks --pipeline: arrived', len(mails(server, names[0])) == 2, out)
    code, out = run([
        'swaks', '--server', 'localhost', '--port',
        str(server.port(25)), '--from', 'a@example.org', '--to', 'b@example.com'
    ])
    check('swaks: relaying for a stranger is refused with 550 5.7.1', code != 0 and
          '550 5.7.1' in out, out)
    code, out = run([
        'swaks', '--server', 'localhost', '--port',
        str(server.port(587)), '--auth', 'PLAIN', '--auth-user', names[0], '--auth-password',
        PASSWORD, '--to', names[0] + '@localhost'
    ])
    check('swaks: no AUTH without TLS', code == 28, '%d %s' % (code, out))
    code, out = run([
        'swaks', '--server', 'localhost', '--port',
        str(server.port(587)), '--auth', 'PLAIN', '--tls', '--auth-user', names[0],
        '--auth-password', 'wrong horse', '--to', names[0] + '@localhost'
    ])
    check('swaks: a wrong password is refused with 535', code == 28 and '535 5.7.8' in out,
          '%d %s' % (code, out))


def offers(server, ca):
    """What the server offers, as msmtp and mpop list it; and both address families."""
    known = 'SIZE PIPELINING STARTTLS AUTH PLAIN LOGIN'
    for port in (25, 587):
        # under TLS msmtp lists what it saw before, too
        for tls, want in (('off', 'SIZE PIPELINING STARTTLS'), ('on', known)):
            code, out = run([
                'msmtp', '-C', '/dev/null', '--serverinfo', '--host=localhost', '--tls=' + tls,
                '--port=%d' % server.port(port), '--tls-trust-file=' + ca
            ])
            got = re.findall('[A-Z]{4,}', out.partition('Capabilities:')[2])
            check('msmtp sees what port %d offers, TLS %s' % (port, tls),
                  [w for w in known.split() if w in got] == want.split(), '%d %s' % (code, out))
    for tls, want in (('off', ['STLS']), ('on', ['PLAIN', 'LOGIN'])):
        code, out = run([
            'mpop', '-C', '/dev/null', '--serverinfo', '--host=localhost', '--tls=' + tls,
            '--port=%d' % server.port(110), '--tls-trust-file=' + ca
        ])
        got = re.findall('[A-Z-]{3,}', out.partition('capabilities:')[2])
        check(
            'mpop sees what port 110 offers, TLS %s' % tls, code == 0 and
            all(w in got for w in
                ['IMPLEMENTATION', 'PIPELINING', 'TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE'] +
                want) and (tls == 'on' or 'PLAIN' not in got), '%d %s' % (code, out))
    for address in ('127.0.0.1', '[::1]'):
        code, out = run([
            'curl', '-sSv', '--max-time', '20',
            'smtp://%s:%d' % (address, server.port(25)), '-X', 'HELP'
        ])
        check('curl reaches %s' % address, '220 ' in out and '214 ' in out, out)


def fetch_nodemailer(server):
    """Into a directory of its own, without running scripts of the package."""
    d = server.top + '/node'
    os.mkdir(d)
    write(d + '/package.json', '{"private": true}\n')
    code, out = run([
        'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', 'nodemailer@' + NODEMAILER
    ],
                    cwd=d,
                    seconds=120)
    return check('npm package nodemailer@%s is there' % NODEMAILER, code == 0, out)


def nodemailer_composes(server, ca):
    """Mails with attachments that nodemailer builds, through a pool of connections."""
    box = server.fresh(prefix='to')
    user = server.fresh(prefix='from')
    w = Way(server, ca, user, WAYS[2])
    data = read(HERE + '/kit.py').decode()
    job = dict(options=dict(host='localhost',
                            port=w.port,
                            requireTLS=True,
                            pool=True,
                            maxConnections=3,
                            auth={'user': user, 'pass': PASSWORD}),
               ca=ca,
               mails=[{
                   'from': w.sender, 'to': box + '@localhost', 'subject': 'gr\u00fc\u00df %d' % i,
                   'text': '.\n\u00fc\nFrom x\n',
                   'attachments': [{'filename': 'a.py', 'content': data}]
               } for i in range(12)])
    code, out = run(['node', HERE + '/mailer.js'],
                    json.dumps(job).encode(),
                    env={'NODE_PATH': server.top + '/node/node_modules'})
    check('nodemailer pool: 12 mails', code == 0 and
          len(re.findall(r'(?m)^250 2\.0\.0 Ok: queued as \w+', out)) == 12, out)
    got = [list(email.message_from_bytes(m).walk()) for m in mails(server, box)]
    check(
        'nodemailer pool: text and attachments',
        len(got) == 12 and all(
            lf(p[1].get_payload(decode=True)).strip() == '.\n\u00fc\nFrom x'.encode() and
            p[2].get_payload(decode=True) == data.encode() for p in got), len(got))


SENDERS = [('swaks', swaks), ('curl', curl), ('msmtp', msmtp), ('Net::SMTP', net_smtp),
           ('nodemailer', nodemailer)]


def main(server, ca):
    node = case('nodemailer', fetch_nodemailer, server)
    for name, send in SENDERS:
        if name != 'nodemailer' or node:
            case(name, byte_for_byte, server, ca, name, send)
    case('s-nail', s_nail, server, ca)
    case('offers', offers, server, ca)
    case('recipients', many_recipients, server, ca)
    if node:
        case('nodemailer composes', nodemailer_composes, server, ca)
