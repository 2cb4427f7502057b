# See LICENSE file for copyright and licence details.
"""DKIM: the key that `maild dkim` makes and the record it prints, and signatures by lib/dkim.c and
sign.c as dkimpy, Mail::DKIM and opendkim judge them, given the record without any DNS.  What they
sign is VECTORS/mime and mails with everything that canonicalization may get wrong; then one octet
is changed, and none of them may be content."""
import email.parser
import email.utils
import glob
import random
import re

from kit import *

TOP = os.path.normpath(HERE + '/../..')
PARTS = ['sign.c'] + ['lib/%s.c' % n for n in ('dkim', 'canon', 'idn', 'pem', 'x509', 'scram',
                                               'text', 'fs', 'log', 'addr')]
DOMAIN = 'example.org'
NAME = 'maild._domainkey.example.org'
WHEN = 1700000000

# Each: TXT record, files; a line "pass", "fail" or another word for each file
DKIMPY = '''
import sys, dkim
for f in sys.argv[2:]:
    try:
        r = dkim.verify(open(f, 'rb').read(), dnsfunc=lambda name, **k: sys.argv[1].encode()
                        if name == b'%s.' else None, minkey=1024)
    except Exception as e:
        r = e
    print('pass' if r is True else 'fail' if r is False else 'none %%r' %% r)
''' % NAME

PERL = r'''
use strict;
use Mail::DKIM::Verifier;
use Mail::DKIM::PublicKey;
my $record = shift @ARGV;
no warnings 'redefine';
*Mail::DKIM::PublicKey::fetch_async = sub {
    my ($class, %p) = @_;
    my $key = "$p{Selector}._domainkey.$p{Domain}" eq 'NAME' ? $class->parse($record) : undef;
    return sub { $p{Callbacks}{Success}->($key) };
};
for my $f (@ARGV) {
    local $/;
    open my $h, '<:raw', $f or die;
    my $v = Mail::DKIM::Verifier->new;
    $v->PRINT(<$h>);
    $v->CLOSE;
    print $v->result . ' ' . $v->result_detail . "\n";
}
'''.replace('NAME', NAME)


def dkimpy(server, record, files):
    return lines(run(['/usr/bin/python3', '-c', DKIMPY, record] + files, cwd='/'))


def mail_dkim(server, record, files):
    return lines(run(['perl', '-e', PERL, record] + files))


def lines(result):
    return result[1].splitlines()


def opendkim(server, record, files):
    keys = write(server.top + '/keys', '%s %s\n' % (NAME, record))
    conf = write(server.top + '/opendkim.conf', 'Mode v\nTestPublicKeys %s\nUserID %d\n' %
                 (keys, os.getuid()))
    out = run(['/usr/sbin/opendkim', '-x', conf, '-t', ','.join(files)])[1]
    said = dict(re.findall(r'^opendkim: (\S+): (.*)$', out, re.M))
    return [{
        'succeeded': 'pass', 'failed': 'fail'
    }.get(re.sub(r'^verification \([^)]*\) (\w+).*', r'\1', said.get(f, '')),
            'none ' + said.get(f, out[-200:])) for f in files]


# With what each cannot read: names with white space before their colon, with a tab there, NULs
VERIFIERS = [('dkimpy', dkimpy, rb'(?m)^[!-9;-~]+[ \t]+:'), ('Mail::DKIM', mail_dkim, None),
             ('opendkim', opendkim, rb'(?m)^[!-9;-~]+\t+:|\0')]


def judge(server, record, all_files, want, what):
    """All files with each verifier."""
    for name, verify, awry in VERIFIERS:
        files = [f for f in all_files if not awry or not re.search(awry, read(f))]
        got = []
        for i in range(0, len(files), 50):
            got += verify(server, record, files[i:i + 50])
        bad = ['%s: %s' % (f, r) for f, r in zip(files, got) if r.split()[0] != want]
        check('%s: %s: %d of %d' % (name, what, len(files) - len(bad), len(files)),
              len(got) == len(files) > 0 and not bad, '\n'.join(bad[:5]) or got[-3:])


# ---- mails, LF line ends ----


def submitted(mail):
    """As they are when the server signs: no From_ line, with the fields that it adds."""
    mail = re.sub(rb'\A(From .*\n)+', b'', mail.replace(b'\r', b''))
    head = re.split(rb'^\n', mail, 1, re.M)[0]
    for field in (b'Message-ID: <x@example.org>', b'Date: Thu, 05 Nov 2026 10:11:12 +0000',
                  b'From: a@example.org'):
        if not re.search(rb'(?mi)^' + field.split()[0][:-1] + rb'[ \t]*:', head):
            mail = field + b'\n' + mail
    return mail


def special():
    body = [
        b'', b'\n', b'\n\n\n', b' \n', b' \n\t\n  \n', b'x', b'x\n', b'x\n\n', b'x\n \n\t\n',
        b'\nx\n', b' x\n', b'\tx\n', b'x \n', b'x\t \n', b'a  b\t\tc \t d\n', b'\n\n\nx\n\n\n y',
        b'x' * 998 + b'\n', b'y ' * 5000 + b'\n', b'\xc3\xa9\xff\xfe\x80\n', b'a\0b\n', b'.\n..\n',
        b'From x\n', b'x\n' * 20000, b'\n' * 20000, b'\n' * 20000 + b'x'
    ]
    head = [
        b'Subject:\n', b'Subject: \n', b'Subject:x\n', b'Subject : x\n', b'subject\t:\t x \t \n',
        b'SUBJECT: a\n  b\n\tc\n', b'Subject:\n  a\n', b'Subject: a\n \n b\n',
        b'Subject: a \n b\t\n',
        b'Subject: \xc3\xa9t\xc3\xa9\n', b'Subject: %s\n' % (b'long ' * 190),
        b'To: a@example.net,\n\tb@example.net,\n\t"x, y" <c@example.net>\n',
        b'To: a\nTo: b\nCc: c\n',
        b'Subject: one\nX: y\nSubject: two\n', b'X-A: 1\nX-B:2\nX-C : 3\nSender: s@example.org\n',
        b'Reply-To: r@example.org\nIn-Reply-To: <a@b>\nReferences: <a@b>\n <c@d>\n\t<e@f>\n'
        b'MIME-Version: 1.0\nContent-Type: text/plain;\n charset=us-ascii\n'
        b'Content-Transfer-Encoding: 7bit\nContent-Language: en\nContent-ID: <x@y>\n'
        b'Content-Description: d\nContent-Disposition: inline\n',
        b'Received: from a by b; Thu, 05 Nov 2026 10:11:12 +0000\n' * 40,
        b'DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=eA==; b=eA==\n',
    ]
    return [submitted(b'Subject: s\n\n' + b) for b in body] + [
        submitted(b'Subject: header only\n')
    ] + [submitted(h + b'\nbody\n') for h in head]


def vectors():
    dir = os.path.join(os.environ.get('VECTORS', ''), 'mime')
    files = sorted(f for f in glob.glob(dir + '/*/*')
                   if os.path.isfile(f) and not f.endswith(('.out', '.txt')))
    return [submitted(read(f)) for f in files]


def froms():
    """Header fields, and the domain that is to be found."""
    return [(b'a@example.org', 'example.org'), (b'A <A@EXAMPLE.Org>', 'example.org'),
            (b'"x <y@evil.example>, z" <a@example.org> (c@evil.example)', 'example.org'),
            (b'a@example.org, b@example.org', 'example.org'),
            (b'a@example.org, b@example.net', '-'),
            (b'list: a@example.org, b@example.org;', 'example.org'), (b'undisclosed:;', '-'),
            (b'<@x.example,@y.example:a@example.org>', 'example.org'), (b'a', '-'), (b'<>', '-'),
            (b'"a@evil.example"@example.org', 'example.org'),
            (b'a@[192.0.2.1]', '-'), (b'a@example.org\nFrom: b@example.org', '-'),
            (b'\n a\n @\n example.org', 'example.org')]


# ---- changes ----


def change(data, at):
    """Another octet there; always one that counts."""
    return data[:at] + (b'z' if data[at:at + 1] == b'q' else b'q') + data[at + 1:]


def solid(data, begin, end, rnd):
    """Somewhere in there, a letter or digit: without it, the field is still one."""
    at = [m.start() for m in re.finditer(rb'[0-9A-Za-z]', data[begin:end])]
    return begin + rnd.choice(at) if at else None


def split(signed):
    """Where the mail's own header begins, and its body."""
    own = re.search(rb'\r\n(?![ \t])', signed).end()
    end = re.search(rb'^\r\n', signed[own:], re.M)
    return own, own + end.end() if end else len(signed)


def broken(signed, rnd):
    """Variants that must not pass: [(what, mail)]"""
    own, body = split(signed)
    out = [('a second From', signed[:own] + b'From: evil@example.net\r\n' + signed[own:])]
    names = re.search(rb'h=([^;]*);', signed[:own])[1].lower().split(b':')
    names = b'|'.join(sorted({re.escape(n.strip()) for n in names}))
    fields = [
        m for m in re.finditer(rb'(?mi)^(%s)[ \t]*:(.*\r\n([ \t].*\r\n)*)' % names,
                               signed[own:body]) if re.search(rb'[0-9A-Za-z]', m[2])
    ]
    m = rnd.choice(fields)
    at = solid(signed, own + m.start(2), own + m.end(2), rnd)
    out.append(('an octet of the header', change(signed, at)))
    at = solid(signed, body, len(signed), rnd)
    more = b'x\r\n' if b'\r\n\r\n' in signed else b'\r\nx\r\n'
    out.append(('more body', signed + more) if at is None else
               ('an octet of the body', change(signed, at)))
    at = re.search(rb't=1700000000', signed).end() - 1
    out.append(('t=', signed[:at] + b'1' + signed[at + 1:]))
    return out


def same(signed):
    """Folded and spaced otherwise, more blank lines at the end: still good."""
    own, body = split(signed)
    head = re.sub(rb'(?m)^(from|subject|to):', lambda m: m[1].upper() + b':   ', signed[own:body],
                  flags=re.I)
    head = re.sub(rb'(?m)([^\s:]) (?=[^\s:])(?![^\r]*\r\n\Z)', rb'\1\r\n\t ', head)
    text = signed[body:]
    if text:
        text = re.sub(rb'(?m)(?<=\S)\r\n', rb' \t\r\n', text) + b' \r\n\r\n'
    return signed[:own] + head + text


# ---- the checks ----


def command(server):
    """The key and its record; returns the text of the record."""
    argv = [server.binary, 'dkim', '-d', server.dir, 'Example.ORG']
    code, out = run(argv)
    m = re.match(r'(\S+)\. IN TXT \(((?:\s+"[^"]*")+)\s*\)\n; .*\n\Z', out)
    check('dkim: a record for the zone', code == 0 and m and m[1] == NAME, out)
    strings = re.findall(r'"([^"]*)"', m[2])
    check('dkim: strings of at most 255 octets', all(len(s) <= 255 for s in strings), out)
    check('dkim: a second time, the same', run(argv) == (0, out))
    key = server.dir + '/dkim/example.org.pem'
    pub = run(['openssl', 'pkey', '-in', key, '-pubout', '-outform', 'PEM'])[1]
    p = ''.join(strings).partition('p=')[2]
    check('dkim: the record has the key', ''.join(pub.split('\n')[1:-2]) == p, pub + p)
    check('dkim: a sound key of 2048 bits', '2048 bit' in run(
        ['openssl', 'pkey', '-in', key, '-check', '-noout', '-text'])[1])
    st = os.stat(key)
    top = os.stat(server.dir)
    check('dkim: the key is for the server alone',
          (st.st_mode & 0o7777, st.st_uid, st.st_gid) == (0o600, top.st_uid, top.st_gid), st)
    secret = read(key).decode().split('\n')[12]  # in the private exponent
    check('dkim: nothing secret is shown', secret not in out)
    for bad in ('', '.', '..', '../x', '/etc/x', 'a..b', '.a', 'a.', '-a', 'a/b', 'a_b', 'a b',
                'x' * 64, 'a.' * 101 + 'a', '\u00e9' * 64 + '.example', '[192.0.2.1]'):
        code, said = run(argv[:-1] + [bad])
        check('dkim: no domain: %.20r' % bad, code == (64 if bad == '-a' else 65), said)
    check('dkim: no other file was made',
          sorted(os.listdir(server.dir + '/dkim')) == ['example.org.pem', 'lock'])
    code, said = run(argv[:-1] + ['\u00e9.example'])
    check('dkim: a domain beyond ASCII', code == 0 and
          said.startswith('maild._domainkey.xn--9ca.example. IN TXT ('), said)
    for name, pem in (('damaged', read(key)[:700]), ('ec', ec_key())):
        path = write('%s/dkim/%s.example.pem' % (server.dir, name), pem)
        code, said = run(argv[:-1] + [name + '.example'])
        check('dkim: a key that is no RSA key is left alone: ' + name,
              code == 65 and read(path) == pem, said)
    return ''.join(strings)


def ec_key():
    return run(['openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout'])[1].encode()


def build(server):
    out = server.top + '/dkim'
    env = {
        'CC': os.environ.get('CC') or 'musl-gcc', 'LDFLAGS': '-static',
        'CFLAGS': '-std=c11 -O1 -D_POSIX_C_SOURCE=200809L -I' + TOP
    }
    src = [HERE + '/dkim.c'] + [TOP + '/' + p for p in PARTS]
    if 'musl-gcc' in env['CC']:
        src.append(TOP + '/lib/compat.c')
    code, said = run(['sh', HERE + '/../build', out] + src, env=env, cwd=TOP)
    return check('dkim: the signing program is built', code == 0, said) and out


def sign(server, signer, mails):
    """[(file of the signed mail or None, domain of its From field)]"""
    files = [write('%s/%04d.m' % (server.top, i), m) for i, m in enumerate(mails)]
    said = lines(run([signer, DOMAIN, str(WHEN)] + files, cwd=server.dir, seconds=120))
    if len(said) != len(files):
        raise RuntimeError(said[-3:])
    return [(f + '.signed' if s.startswith('signed ') else None, s.split()[1])
            for f, s in zip(files, said)]


def parsed(mail):
    """The domain of a From field, as Python reads it."""
    m = email.parser.BytesHeaderParser().parsebytes(mail)
    addresses = email.utils.getaddresses(str(f) for f in m.get_all('From', []))
    domains = {a.rpartition('@')[2].lower() for _, a in addresses if '@' in a}
    return domains.pop() if len(domains) == 1 else '-'


def main(server, ca):
    record = command(server)
    signer = build(server)
    if not signer:
        return
    got = sign(server, signer, [b'From: %s\n\nx\n' % f for f, _ in froms()])
    bad = [(f, want, d) for (f, want), (_, d) in zip(froms(), got) if d != want]
    check('dkim: whose mail it is: %d From fields' % len(got), not bad, bad)
    mails = [submitted(m) for _, m in ordinary() + awkward()] + special()
    mails += vectors()
    got = sign(server, signer, mails)
    bad = [(m[:300], d) for m, (_, d) in zip(mails, got) if d not in ('-', parsed(m))]
    check('dkim: Python finds the same domains', not bad, bad[:2])
    good = [f for f, _ in got if f]
    check('dkim: %d of %d mails are signed' % (len(good), len(mails)), len(good) >= len(mails) - 9,
          [m[:300] for m, (f, _) in zip(mails, got) if not f][:9])
    judge(server, record, good, 'pass', 'signatures are good')
    long = [f for f in good if max(map(len, read(f).split(b'\r\n\r\n')[0].split(b'\r\n')[:8])) > 78]
    check('dkim: the field is folded', not long, long[:3])
    rnd = random.Random(6376)
    variants = {}
    for f in good:
        for i, (what, mail) in enumerate(broken(read(f), rnd)):
            variants.setdefault(what, []).append(write('%s.%d' % (f, i), mail))
    for what, files in variants.items():
        judge(server, record, files, 'fail', 'changed: ' + what)
    judge(server, record, [write(f + '.same', same(read(f))) for f in good], 'pass',
          'folded and spaced otherwise')
