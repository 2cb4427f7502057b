# See LICENSE file for copyright and licence details.
"""DKIM verification: what dkimpy, Mail::DKIM and libopendkim sign, with all four canonical forms,
and what we sign ourselves passes in lib/dkimcheck.c; with one octet of a signed field, of the body,
of bh= or of b= changed, it does not. Signed is what test/interop/dkim.py signs."""
import random
import re

import dkim
from dkim import lines, special, submitted, vectors
from kit import *

TOP = dkim.TOP
PARTS = ['lib/%s.c' % n for n in ('dkimcheck', 'canon', 'idn', 'x509', 'text', 'fs', 'addr')]
DOMAIN, SELECTOR = 'example.org', 'test'
FORMS = [(h, b) for h in ('simple', 'relaxed') for b in ('simple', 'relaxed')]

# Each: key file, form of the header, of the body, files: writes FILE.signed, says "signed" or not
DKIMPY = '''
import sys, dkim
key = open(sys.argv[1], 'rb').read()
for f in sys.argv[4:]:
    mail = open(f, 'rb').read()
    try:
        s = dkim.sign(mail, b'test', b'example.org', key, length=LENGTH,
                      canonicalize=(sys.argv[2].encode(), sys.argv[3].encode()))
        open(f + '.signed', 'wb').write(s + mail)
        print('signed')
    except Exception as e:
        print('unsigned %r' % e)
'''

PERL = r'''
use strict;
use Mail::DKIM::Signer;
use Mail::DKIM::PrivateKey;
my ($file, $h, $b, @files) = @ARGV;
my $key = Mail::DKIM::PrivateKey->load(File => $file);
for my $f (@files) {
    local $/;
    open my $in, '<:raw', $f or die;
    my $mail = <$in>;
    my $s = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => "$h/$b",
        Domain => 'example.org', Selector => 'test', Key => $key);
    $s->PRINT($mail);
    $s->CLOSE;
    open my $out, '>:raw', "$f.signed" or die;
    print $out $s->signature->as_string . "\r\n" . $mail;
    close $out or die;
    print "signed\n";
}
'''

OPENDKIM = r'''
import ctypes, re, sys
lib = ctypes.CDLL('libopendkim.so.11')
P, S = ctypes.c_void_p, ctypes.c_size_t
for name, types in (('init', [P, P]), ('header', [P, P, S]), ('eoh', [P]), ('body', [P, P, S]),
                    ('eom', [P, P]), ('getsighdr', [P, P, S, S]), ('free', [P]),
                    ('sign', [P, P, P, P, P, P, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                              ctypes.c_ssize_t, P])):
    f = getattr(lib, 'dkim_' + name)
    f.argtypes, f.restype = types, P if name in ('init', 'sign') else ctypes.c_int
key = open(sys.argv[1], 'rb').read()
form = [['simple', 'relaxed'].index(f) for f in sys.argv[2:4]]
handle = lib.dkim_init(None, None)

def sign(mail):
    stat = ctypes.c_int(0)
    d = lib.dkim_sign(handle, b'x', None, key, b'test', b'example.org', form[0], form[1], 1, LENGTH,
                      ctypes.byref(stat))
    head, blank, body = re.split(rb'^(\r\n)', mail, 1, re.M) if re.search(
        rb'^\r\n', mail, re.M) else (mail, b'', b'')
    r = stat.value
    for f in re.findall(rb'[^\r\n].*\r\n(?:[ \t].*\r\n)*', head):
        r = r or lib.dkim_header(d, f[:-2], len(f) - 2)
    r = r or lib.dkim_eoh(d)
    if body:
        r = r or lib.dkim_body(d, body, len(body))
    r = r or lib.dkim_eom(d, None)
    text = ctypes.create_string_buffer(8192)
    r = r or lib.dkim_getsighdr(d, text, 8192, 16)
    lib.dkim_free(d)
    if r:
        return None
    return b'DKIM-Signature: ' + re.sub(rb'\r?\n', b'\r\n', text.value) + b'\r\n' + mail

for f in sys.argv[4:]:
    signed = sign(open(f, 'rb').read())
    if signed:
        open(f + '.signed', 'wb').write(signed)
    print('signed' if signed else 'unsigned')
'''

PYTHON = ['/usr/bin/python3', '-c']
# With what each cannot sign: names with white space before their colon, NULs in the header
SIGNERS = [('dkimpy', PYTHON + [DKIMPY.replace('LENGTH', 'False')], rb'(?m)^[!-9;-~]+[ \t]+:'),
           ('Mail::DKIM', ['perl', '-e', PERL], None),
           ('opendkim', PYTHON + [OPENDKIM.replace('LENGTH', '-1')],
            rb'(?m)^[!-9;-~]+[ \t]+:|\0')]
LIMITED = [('dkimpy with l=', PYTHON + [DKIMPY.replace('LENGTH', 'True')], SIGNERS[0][2]),
           ('opendkim with l=', PYTHON + [OPENDKIM.replace('LENGTH', '1 << 40')], SIGNERS[2][2])]


def build(server):
    out = server.top + '/dkimcheck'
    env = {
        'CC': os.environ.get('CC') or 'musl-gcc', 'LDFLAGS': '-static',
        'CFLAGS': '-std=c11 -O1 -D_POSIX_C_SOURCE=200809L -I' + TOP
    }
    src = [HERE + '/dkimcheck.c'] + [TOP + '/' + p for p in PARTS]
    if 'musl-gcc' in env['CC']:
        src.append(TOP + '/lib/compat.c')
    code, said = run(['sh', HERE + '/../build', out] + src, env=env, cwd=TOP)
    return check('dkimcheck: the verifying program is built', code == 0, said) and out


def make_key(server):
    """The private key's file, and the record."""
    path = server.top + '/key'
    run(['openssl', 'genrsa', '-traditional', '-out', path, '2048'])
    pem = run(['openssl', 'rsa', '-in', path, '-pubout'])[1]
    p = re.search(r'-----BEGIN PUBLIC KEY-----(.*)-----END', pem, re.S)[1].replace('\n', '')
    return path, '%s._domainkey.%s v=DKIM1; k=rsa; p=%s\n' % (SELECTOR, DOMAIN, p)


def verify(program, keys, files):
    got = []
    for i in range(0, len(files), 200):
        got += lines(run([program, keys, str(dkim.WHEN + 10**9)] + files[i:i + 200], seconds=120))
    return got


def sign(name, command, key, form, files):
    """The files that are signed now."""
    got = []
    for i in range(0, len(files), 50):
        got += lines(run(command + [key] + list(form) + files[i:i + 50], cwd='/', seconds=120))
    good = [f + '.signed' for f, s in zip(files, got) if s == 'signed']
    check('dkimcheck: %s signs, %s/%s: %d of %d' % (name, *form, len(good), len(files)),
          len(got) == len(files) and len(good) >= len(files) - 2, got[-3:])
    return good


def judge(program, keys, what, files, want):
    got = verify(program, keys, files)
    bad = ['%s: %s' % (f, r) for f, r in zip(files, got) if r.split()[0] not in want]
    check('dkimcheck: %s: %s: %d of %d' %
          (what, ' or '.join(want), len(files) - len(bad), len(files)),
          len(got) == len(files) > 0 and not bad, '\n'.join(bad[:5]) or got[-3:])


def value(signed, name, rnd, own):
    """A place in the base64 of a tag, not in its last group."""
    m = re.search(rb'[;\s]' + name + rb'=([^;]*?)[\s;]*(;|\r\n(?![ \t]))', signed[:own])
    return dkim.solid(signed, m.start(1), m.end(1) - 6, rnd)


def broken(signed, rnd):
    """Variants that must not pass: [(what, mail)]"""
    own, body = dkim.split(signed)
    at = [('bh=', value(signed, b'bh', rnd, own)), ('b=', value(signed, b'b', rnd, own))]
    names = re.search(rb'[\s;]h=([^;]*)', signed[:own])[1].lower().split(b':')
    names = b'|'.join(sorted({re.escape(n.strip()) for n in names}))
    fields = [
        m for m in re.finditer(rb'(?mi)^(?:%s)[ \t]*:(.*\r\n([ \t].*\r\n)*)' % names,
                               signed[own:body]) if re.search(rb'[0-9A-Za-z]', m[1])
    ]
    m = rnd.choice(fields)
    at.append(('a field', dkim.solid(signed, own + m.start(1), own + m.end(1), rnd)))
    at.append(('the body', dkim.solid(signed, body, len(signed), rnd)))
    return [(what, dkim.change(signed, i)) for what, i in at if i is not None]


def own(server, program):
    """What we sign, we verify."""
    record = run([server.binary, 'dkim', '-d', server.dir, DOMAIN])[1]
    record = ''.join(re.findall(r'"([^"]*)"', record))
    keys = write(server.top + '/own', '%s %s\n' % (dkim.NAME, record))
    signer = dkim.build(server)
    mails = [submitted(m) for _, m in ordinary() + awkward()] + special() + vectors()
    good = [f for f, _ in dkim.sign(server, signer, mails) if f]
    judge(program, keys, 'our own', good, ['pass'])
    rnd = random.Random(8301)
    variants = [write(f + '.no', m) for f in good for _, m in broken(read(f), rnd)]
    judge(program, keys, 'our own, an octet changed', variants, ['fail'])


def main(server, ca):
    program = build(server)
    if not program:
        return
    key, record = make_key(server)
    keys = write(server.top + '/keys', record)
    mails = [submitted(m) for _, m in ordinary() + awkward()] + special() + vectors()
    files = [
        write('%s/%04d.m' % (server.top, i), m.replace(b'\n', b'\r\n')) for i, m in enumerate(mails)
        if m.endswith(b'\n')
    ]
    rnd = random.Random(6376)
    for name, command, awry in SIGNERS + LIMITED:
        mine = [f for f in files if not awry or not re.search(awry, read(f))]
        for form in FORMS:
            what = '%s, %s/%s' % (name, *form)
            good = sign(name, command, key, form, mine)
            judge(program, keys, what, good, ['pass'])
            if 'l=' in name:
                more = [write(f + '.more', read(f) + b'\r\nmore\r\n') for f in good]
                judge(program, keys, what + ', more body', more, ['policy'])
                continue
            variants = {}
            for f in good:
                for i, (changed, mail) in enumerate(broken(read(f), rnd)):
                    variants.setdefault(changed, []).append(write('%s.%d' % (f, i), mail))
            for changed, names in variants.items():
                judge(program, keys, what + ', changed: ' + changed, names, ['fail'])
    own(server, program)
