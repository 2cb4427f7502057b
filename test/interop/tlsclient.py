# See LICENSE file for copyright and licence details.
"""TLS as a client: the handshakes of routes[] against openssl s_server and gnutls-serv. Keys of
both kinds, chains, names, dates, pinned keys, servers too new, too old or broken."""
import os
import random
import re
import socket
import subprocess
import threading

from kit import *

NAME = 'mx.example.org'
SOURCES = [
    'tls.c', 'cert.c', 'trust.c', 'lib/compat.c', 'lib/fs.c', 'lib/ip.c', 'lib/log.c', 'lib/loop.c',
    'lib/pem.c', 'lib/scram.c', 'lib/spki.c', 'lib/text.c', 'lib/x509.c'
]
EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
P384 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']
P521 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']
RSA = ['-newkey', 'rsa:2048']
RSA4 = ['-newkey', 'rsa:4096']
WEAK = ['-newkey', 'rsa:1024']
UNTRUSTED = 'certificate is not trusted'


class Makes:
    """Certificates: each a path without ending, which has .crt, .key and .chain."""
    def __init__(self, top):
        self.top = top
        self.n = 0

    def openssl(self, *args):
        code, out = run(('openssl', ) + args)
        if code:
            raise RuntimeError('openssl %s: %s' % (args[0], out))
        return out

    def path(self):
        self.n += 1
        return '%s/c%d' % (self.top, self.n)

    def root(self, kind, name='root'):
        p = self.path()
        self.openssl('req', '-x509', *kind, '-nodes', '-keyout', p + '.key', '-out', p + '.crt',
                     '-days', '90', '-subj', '/CN=' + name, '-addext',
                     'basicConstraints=critical,CA:TRUE', '-addext',
                     'keyUsage=critical,keyCertSign,cRLSign')
        write(p + '.chain', b'')
        return p

    def selfsigned(self, kind, ca=True):
        p = self.path()
        self.openssl('req', '-x509', *kind, '-nodes', '-keyout', p + '.key', '-out', p + '.crt',
                     '-days', '90', '-subj', '/CN=' + NAME, '-addext',
                     'subjectAltName=DNS:' + NAME, '-addext',
                     'basicConstraints=CA:' + ('TRUE' if ca else 'FALSE'))
        write(p + '.chain', b'')
        return p

    def issue(self, kind, by, san='DNS:' + NAME, ca=False, days=(-1, 90), digest='-sha256'):
        p = self.path()
        self.openssl('req', *kind, '-nodes', '-keyout', p + '.key', '-out', p + '.csr', '-subj',
                     '/CN=' + ('intermediate' if ca else 'server'))
        if ca:
            ext = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
        else:
            ext = ('subjectAltName=%s\nbasicConstraints=CA:FALSE\n'
                   'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' % san)
        write(p + '.ext', ext)
        write(p + '.db', b'')
        write(
            p + '.cnf', '[ca]\ndefault_ca=x\n[x]\ndatabase=%s.db\nnew_certs_dir=%s\npolicy=p\n'
            'unique_subject=no\nrand_serial=yes\n[p]\nCN=supplied\n' % (p, self.top))
        now = int(time.time())
        dates = [time.strftime('%Y%m%d%H%M%SZ', time.gmtime(now + d * 86400)) for d in days]
        self.openssl('ca', '-batch', '-notext', '-config', p + '.cnf', '-cert',
                     by + '.crt', '-keyfile', by + '.key', '-in', p + '.csr', '-out', p + '.crt',
                     '-extfile', p + '.ext', '-startdate', dates[0], '-enddate', dates[1], '-md',
                     digest[1:])
        write(p + '.chain', read(by + '.crt') + read(by + '.chain'))
        return p

    def pin(self, p):
        pub = self.openssl('x509', '-in', p + '.crt', '-noout', '-pubkey')
        write(p + '.pub', pub)
        self.openssl('pkey', '-pubin', '-in', p + '.pub', '-outform', 'der', '-out', p + '.spki')
        out = self.openssl('dgst', '-sha256', p + '.spki')
        return 'sha256:' + out.split()[-1]


class Peer:
    """A server program that answers one line with another."""
    def __init__(self, argv, port):
        self.port = port
        self.p = subprocess.Popen(argv,
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL,
                                  start_new_session=True)
        if not until(self.answers, 10):
            self.__exit__()
            raise RuntimeError('it does not start: ' + ' '.join(argv))

    def answers(self):
        """/proc tells without a connection, which some of them would count."""
        want = ':%04X 00000000:0000 0A' % self.port
        return any(want in read(f).decode() for f in ('/proc/net/tcp', '/proc/net/tcp6'))

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()


def s_server(c, *options):
    n = free_port()
    chain = ['-cert_chain', c + '.chain'] if read(c + '.chain') else []
    return Peer([
        'openssl', 's_server', '-accept', '127.0.0.1:%d' % n, '-cert', c + '.crt', '-key', c +
        '.key', '-rev', '-quiet'
    ] + chain + list(options), n)


def gnutls(c, *options):
    n = free_port()
    write(c + '.all', read(c + '.crt') + read(c + '.chain'))
    return Peer([
        'gnutls-serv', '--echo', '-q', '--x509certfile', c + '.all', '--x509keyfile', c + '.key',
        '-p', str(n)
    ] + list(options), n)


class Raw:
    """A server of a few lines: what it sends when the first bytes have come, then it hangs up."""
    def __init__(self, answer):
        self.s = socket.create_server(('127.0.0.1', 0))
        self.port = self.s.getsockname()[1]
        self.answer = answer
        self.t = threading.Thread(target=self.serve)

    def serve(self):
        self.s.settimeout(10)
        c, _ = self.s.accept()
        with c:
            c.settimeout(10)
            self.answer(c, c.recv(4096))

    def __enter__(self):
        self.t.start()
        return self

    def __exit__(self, *a):
        self.t.join()
        self.s.close()


def build(top, config):
    out = config + '.driver'
    code, said = run(['sh', HERE + '/../build', out, HERE + '/tlsclient.c'] +
                     [HERE + '/../../' + s for s in SOURCES],
                     env={
                         'CC': os.environ.get('CC') or 'musl-gcc', 'CONFIG': config,
                         'CFLAGS': '-std=c11 -Os -Wall -Wextra -Werror -D_GNU_SOURCE= -I' + HERE +
                         '/../..', 'LDFLAGS': '-static'
                     },
                     seconds=120)
    if code:
        raise RuntimeError(said)
    return out


def config(top, name, anchors):
    text = read(HERE + '/../../config.h').decode()
    lines = ''.join('\n\t"%s\\n"' % l for l in anchors.splitlines()) or '""'
    text, n = re.subn(r'(static const char anchors\[\] =) "";', lambda m: m[1] + lines + ';', text)
    if n != 1:
        raise RuntimeError('config.h has no anchors[]')
    return write('%s/%s.h' % (top, name), text)


class Client:
    def __init__(self, binary, top):
        self.binary = binary
        self.top = top
        self.slow = 0
        os.makedirs(top + '/tls', exist_ok=True)

    def trust(self, *roots):
        write(self.top + '/tls/ca.pem', b''.join(read(r + '.crt') for r in roots))

    def call(self, peer, name, word, binary=None):
        with peer:
            code, out = run([binary or self.binary, str(peer.port), name, word],
                            seconds=30,
                            cwd=self.top)
        m = re.search(r'longest turn (\d+) us', out)
        self.slow = max(self.slow, int(m[1]) if m else 10**6)
        if os.environ.get('TRACE'):
            print('      longest turn', m and m[1])
        return out

    def up(self, what, peer, name, word, suite='', binary=None):
        out = self.call(peer, name, word, binary)
        check(what, re.search(r'^up TLSv1.2 \w*%s\w*\n' % suite, out, re.M) and
              re.search('^(hello|olleh)', out, re.M), out)

    def down(self, what, why, peer, name, word):
        out = self.call(peer, name, word)
        check('%s: %s' % (what, why or 'fails'), re.search('^down .*' + why, out, re.M), out)


def both(c, what, cert, name, word, suite=''):
    c.up('openssl s_server, ' + what, s_server(cert), name, word, suite)
    c.up('gnutls-serv, ' + what, gnutls(cert), name, word, suite)


def chains(m, c):
    """Keys and chains of all kinds, to a root that is trusted."""
    for kind, root in (('EC', EC), ('RSA', RSA), ('P-384', P384), ('RSA 4096', RSA4)):
        r = m.root(root, 'root ' + kind)
        mid = m.issue(root, r, ca=True)
        c.trust(r)
        for leaf, new in (('EC', EC), ('RSA', RSA)):
            cert = m.issue(new, mid)
            suite = 'RSA' if leaf == 'RSA' else 'ECDSA'
            both(c, '%s certificate under %s root and intermediate' % (leaf, kind), cert, NAME,
                 'ca', suite)
            both(c, '%s certificate, its key pinned' % leaf, cert, 'x.example.org', m.pin(cert))
        deep = m.issue(EC, m.issue(root, m.issue(root, mid, ca=True), ca=True))
        both(c, 'chain of four under %s' % kind, deep, NAME, 'ca')
        write(deep + '.chain', b'')
        c.down('openssl s_server, intermediates are missing', UNTRUSTED, s_server(deep), NAME, 'ca')
    below = r
    for i in range(6):
        below = m.issue(EC, below, ca=True)
        if i > 3:
            cert = m.issue(EC, below)
            what = 'chain of %d below the root' % (i + 2)
            if i == 4:
                both(c, what, cert, NAME, 'ca')
            else:
                c.down(what, UNTRUSTED, s_server(cert), NAME, 'ca')
    for what, kind in (('P-384', P384), ('P-521', P521), ('RSA 4096', RSA4)):
        cert = m.issue(kind, r)
        both(c, '%s key of the server' % what, cert, NAME, 'ca')
        both(c, '%s key of the server, any' % what, cert, NAME, '')
        both(c, '%s key of the server, pinned' % what, cert, NAME, m.pin(cert))


def refusals(m, c, root, other):
    """What is wrong, as each kind of trust sees it: words for any, ca and the right pin."""
    name = 'certificate is for another name'
    dates = 'certificate has expired or is not valid yet'
    c.trust(root)
    for what, cert, why in (
        ('name', m.issue(EC, root, 'DNS:mail.example.org'),
         name), ('name, RSA', m.issue(RSA, root, 'DNS:mail.example.org'),
                 name), ('only an address', m.issue(EC, root, 'IP:127.0.0.1'),
                         name), ('wildcard too high', m.issue(EC, root, 'DNS:*.org'), name),
        ('expired', m.issue(EC, root, days=(-9, -1)),
         dates), ('expired, RSA', m.issue(RSA, root, days=(-9, -1)),
                  dates), ('not valid yet', m.issue(EC, root, days=(1, 9)),
                           dates), ('unknown CA', m.issue(EC, other),
                                    UNTRUSTED), ('unknown CA, RSA', m.issue(RSA, other), UNTRUSTED),
        ('self-signed', m.selfsigned(EC),
         UNTRUSTED),
        ('self-signed, no CA', m.selfsigned(RSA, False), UNTRUSTED),
        ('signed by one that is no CA', m.issue(EC, m.issue(EC, root)), ''),
        ('expired intermediate', m.issue(EC, m.issue(EC, root, ca=True, days=(-9, -1))), dates)):
        c.down(what, why, s_server(cert), NAME, 'ca')
        c.up(what + ', but any will do', s_server(cert), NAME, '')
        c.up(what + ', but the key is pinned', s_server(cert), NAME, m.pin(cert))
    for what, cert in (('CA:TRUE', m.selfsigned(EC)), ('CA:FALSE', m.selfsigned(RSA, False))):
        c.trust(cert)
        c.up('self-signed, %s, and in ca.pem itself' % what, s_server(cert), NAME, 'ca')
        c.down('the same with another name', name, s_server(cert), 'x.example.org', 'ca')
    c.trust(root)
    good = m.issue(EC, root)
    for what, cert in (('EC', good), ('RSA', m.issue(RSA, root))):
        for peer in (s_server, gnutls):
            c.down('another %s key than the pinned one' % what, 'public key is not the pinned one',
                   peer(cert), NAME, m.pin(root))
    c.up('wildcard', s_server(m.issue(EC, root, 'DNS:*.example.org')), NAME, 'ca')
    c.up('second name', s_server(m.issue(EC, root, 'DNS:a.org,DNS:' + NAME)), NAME, 'ca')
    c.down('the address of the server', name, s_server(good), '[127.0.0.1]', 'ca')
    weak = m.issue(WEAK, root)
    c.down('RSA key of 1024 bits', 'certificate has a weak key',
           s_server(weak, '-cipher', 'DEFAULT@SECLEVEL=0'), NAME, 'ca')
    c.up('RSA key of 1024 bits, any will do', s_server(weak, '-cipher', 'DEFAULT@SECLEVEL=0'), NAME,
         '')
    sha1 = m.issue(EC, root, digest='-sha1')
    c.down('signed by SHA-1', '', s_server(sha1, '-cipher', 'DEFAULT@SECLEVEL=0'), NAME, 'ca')
    os.unlink(c.top + '/tls/ca.pem')
    c.down('no ca.pem', 'no certificates to trust', s_server(good), NAME, 'ca')
    c.trust(root)


def servers(m, c, root):
    """Other things a server may want or lack."""
    ec, rsa = m.issue(EC, root), m.issue(RSA, root)
    for s in ('AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'):
        for k, cert in (('ECDSA', ec), ('RSA', rsa)):
            c.up('suite ECDHE-%s-%s' % (k, s), s_server(cert, '-cipher', 'ECDHE-%s-%s' % (k, s)),
                 NAME, 'ca', s.replace('-', '_').replace('AES', 'AES_').split('_SHA')[0])
    for g in ('X25519', 'P-256', 'P-384', 'P-521'):
        c.up('curve ' + g, s_server(rsa, '-groups', g), NAME, 'ca')
    c.up('a certificate is asked for', s_server(ec, '-verify', '1'), NAME, 'ca')
    c.up('a certificate is asked for (GnuTLS)', gnutls(ec, '--verify-client-cert'), NAME, 'ca')
    c.up('records of 512 octets', s_server(ec, '-max_send_frag', '512'), NAME, 'ca')
    c.down('a certificate is demanded', '', s_server(ec, '-Verify', '1'), NAME, 'ca')
    c.down('TLS 1.3 alone', 'peer says: protocol version', s_server(ec, '-tls1_3'), NAME, '')
    c.down('TLS 1.3 alone (GnuTLS)', 'peer says: handshake failure',
           gnutls(ec, '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.3'), NAME, '')
    c.down('TLS 1.1 alone', '', s_server(ec, '-tls1_1', '-cipher', 'ALL@SECLEVEL=0'), NAME, '')
    c.down('RSA key exchange alone', 'peer says: handshake failure',
           s_server(rsa, '-cipher', 'AES128-GCM-SHA256'), NAME, '')
    c.down('CBC alone', 'peer says: handshake failure',
           s_server(rsa, '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA256'), NAME, '')
    c.down('an X448 key exchange alone', 'peer says', s_server(rsa, '-groups', 'X448'), NAME, '')
    ed = m.path()
    m.openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', ed + '.key', '-out',
              ed + '.crt', '-subj', '/CN=ed')
    write(ed + '.chain', b'')
    c.down('an Ed25519 key alone', 'peer says: handshake failure', s_server(ed), NAME, '')


def broken(m, c, root):
    """Ends and rubbish at every place."""
    cert = m.issue(EC, root)
    for text in (b'', b'220 mx.example.org ESMTP\r\n', b'\x16\x03\x03', b'\x16\x03\x03\xff\xff',
                 b'HTTP/1.1 400 Bad Request\r\n\r\n', b'\0' * 5000,
                 b'\x15\x03\x03\0\2\2\x28', b'\x17\x03\x03\0\5hello',
                 b'\x16\x03\x03\0\4\x02\xff\xff\xff'):
        c.down('a server that says %r' % text[:30], '', Raw(lambda s, _: s.sendall(text)), NAME, '')
    rand = random.Random(7)
    for i in range(20):
        junk = bytes(rand.randrange(256) for _ in range(300))
        c.down('random octets %d' % i, '', Raw(lambda s, _: s.sendall(b'\x16\x03\x03\1\0' + junk)),
               NAME, '')

    def cut(peer, n, flip):
        """The answer of a real server up to n octets, or with the n-th one changed."""
        def serve(s, hello):
            with socket.create_connection(('127.0.0.1', peer.port)) as up:
                up.settimeout(0.3)
                up.sendall(hello)
                b = b''
                try:
                    while len(b) < 4000 and (d := up.recv(4096)):
                        b += d
                except socket.timeout:
                    pass
                if flip:
                    b = b[:n] + bytes([b[n] ^ 1]) + b[n + 1:] if n < len(b) else b + b'x'
                    try:
                        s.sendall(b)
                        s.shutdown(socket.SHUT_WR)
                        while d := s.recv(4096):
                            pass
                    except OSError:
                        pass
                else:
                    s.sendall(b[:n])

        return Raw(serve)

    with s_server(cert) as peer:
        for n in (1, 5, 40, 90, 100, 300, 500, 700, 800):
            c.down('broken off after %d octets' % n, 'tls: closed in the handshake',
                   cut(peer, n, False), NAME, 'ca')
    with s_server(cert) as peer:
        for n in list(range(10, 900, 97)):
            c.down('octet %d changed' % n, '', cut(peer, n, True), NAME, 'ca')


def builtin(m, c, top):
    root, other = m.root(EC, 'one'), m.root(RSA, 'two')
    both_roots = read(root + '.crt') + read(other + '.crt')
    b = build(top, config(top, 'builtin', both_roots.decode()))
    for what, by in (('first', root), ('second', other)):
        cert = m.issue(EC, by)
        c.up('the %s of two compiled-in certificates' % what, s_server(cert), NAME, 'builtin',
             binary=b)
        c.trust(m.root(EC, 'three'))
        out = c.call(s_server(cert), NAME, 'ca', b)
        check('what is compiled in does not count as "ca"', UNTRUSTED in out, out)
        c.trust(by)
        c.up('beside it, "ca"', s_server(cert), NAME, 'ca', binary=b)
    out = c.call(s_server(m.issue(EC, m.root(EC, 'three'))), NAME, 'builtin', b)
    check('not one of the compiled-in ones: ' + UNTRUSTED, UNTRUSTED in out, out)
    c.down('none compiled in', 'no certificates to trust compiled in', s_server(cert), NAME,
           'builtin')


def main(server, ca):
    top = server.top + '/tlsclient'
    os.mkdir(top)
    c = Client(build(top, config(top, 'plain', '')), top)
    m = Makes(top)
    root, other = m.root(EC), m.root(EC, 'another root')
    case('chains', chains, m, c)
    case('refusals', refusals, m, c, root, other)
    case('servers', servers, m, c, root)
    case('broken', broken, m, c, root)
    case('builtin', builtin, m, c, top)
    print('      the longest turn of the loop: %d us of CPU' % c.slow)
