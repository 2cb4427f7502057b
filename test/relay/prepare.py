# See LICENSE file for copyright and licence details.
"""What the relay tests want before there is a world: certificates, and maild with other settings,
both kept in build/relay. The three servers are

    relay       mx.maild.test  routes to smarthosts and by LMTP, aliases to outside, backup MX
    relay-two   mx.two.test    gives up after some seconds
    relay-six   mx.six.test    as it ships, but for the times"""
import base64
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(HERE + '/../..')
BUILD = TOP + '/build/relay'
KEYS = BUILD + '/keys'

CERTS = {  # name of the files: names in the certificate, or None: signed by itself
    'smart': 'DNS:smart.test,DNS:mx.ex.test',
    'mx.px.test': None,
    'mx.os.test': None,
    'mx.ch.test': None,
}
SIGNED = 'px.test'  # whose mail opendkim signs
SELECTOR = 's1'


def openssl(*args):
    return subprocess.run(('openssl', ) + args, check=True, capture_output=True, timeout=60).stdout


def make_keys():
    if os.path.exists(KEYS + '/dkim.pem') and os.path.exists(KEYS + '/done'):
        return
    shutil.rmtree(KEYS, ignore_errors=True)
    os.makedirs(KEYS)
    new = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    ca, key = KEYS + '/ca.pem', KEYS + '/ca.key'
    openssl('req', '-x509', *new, '-keyout', key, '-out', ca, '-days', '3650', '-subj',
            '/CN=relay test authority', '-addext', 'basicConstraints=critical,CA:TRUE')
    for name, san in CERTS.items():
        f = KEYS + '/' + name
        if not san:
            openssl('req', '-x509', *new, '-keyout', f + '.key', '-out', f + '.pem', '-days',
                    '3650', '-subj', '/CN=' + name)
            continue
        openssl('req', *new, '-keyout', f + '.key', '-out', f + '.csr', '-subj', '/CN=' + name)
        with open(KEYS + '/ext', 'w') as e:
            e.write('subjectAltName=%s\nbasicConstraints=CA:FALSE\n' % san)
        openssl('x509', '-req', '-in', f + '.csr', '-CA', ca, '-CAkey', key, '-CAcreateserial',
                '-days', '3650', '-extfile', KEYS + '/ext', '-out', f + '.pem')
    openssl('genrsa', '-traditional', '-out', KEYS + '/dkim.pem', '2048')
    with open(KEYS + '/done', 'w'):
        pass


def signing():
    """The record of the key that opendkim signs with, as lines of the zone have it."""
    der = openssl('rsa', '-in', KEYS + '/dkim.pem', '-pubout', '-outform', 'der')
    text = 'v=DKIM1; k=rsa; p=' + base64.b64encode(der).decode()
    return '%s._domainkey.%s. IN TXT %s' % (SELECTOR, SIGNED, ' '.join(
        '"%s"' % text[i:i + 200] for i in range(0, len(text), 200)))


def pin(name):
    """What a route with sha256: wants to see."""
    public = openssl('x509', '-in', KEYS + '/%s.pem' % name, '-noout', '-pubkey')
    der = subprocess.run(['openssl', 'pkey', '-pubin', '-outform', 'der'], input=public,
                         check=True, capture_output=True).stdout
    return 'sha256:' + hashlib.sha256(der).hexdigest()


def table(name, rows):
    return (r'(?s)(\b%s\[\] = \{).*?(\n\};)' % name,
            lambda m: m.group(1) + ''.join('\n\t{ %s },' % r for r in rows) + m.group(2))


def words(name, values):
    return (r'(\b%s\[\] = \{)[^}]*\}' % name, r'\1 %s }' % ', '.join('"%s"' % v for v in values))


def route(recipient, host, port=25, tls='MAY', verify='', auth='', protocol='SMTP'):
    return '"*", "%s", "%s", %d, ROUTE_%s, "%s", "%s", ROUTE_%s' % (recipient, host, port, tls,
                                                                     verify, auth, protocol)


REST = route('*', '')
ROUTES = [
    ('smart587.test', 'smart.test', 587, 'MUST', 'ca', 'good'),
    ('smart465.test', 'smart.test', 465, 'WRAP', 'PIN', 'good'),
    ('smartca.test', 'smart.test', 465, 'WRAP', 'ca', 'good'),
    ('badpw.test', 'smart.test', 587, 'MUST', 'ca', 'bad'),
    ('nopw.test', 'smart.test', 587, 'MUST', 'ca', 'missing'),
    ('selfsigned.test', 'mx.px.test', 25, 'MUST', 'ca'),
    ('badname.test', 'other.test', 587, 'MUST', 'ca', 'good'),
    ('badpin.test', 'smart.test', 465, 'WRAP', 'sha256:' + '00' * 32, 'good'),
    ('notls.test', 'mxplain.px.test', 25, 'MUST'),
    ('lmtp.test', 'dove.test', 24, 'CLEAR', '', '', 'LMTP'),
]
ALIASES = [
    ('abuse', 'postmaster'),
    ('postmaster', 'carol'),
    ('forward', 'bob@px.test'),
    ('both', 'carol bob@ex.test'),
    ('late', 'late@px.test'),
    ('nowhere', 'nosuch@px.test'),
    ('chain', 'chain@two.test'),
    ('ping', 'ping@two.test'),
    ('list', 'bob@px.test carl@px.test bob@ex.test bob@os.test bob@ch.test'),
]


def settings(h):
    """Waits of seconds in place of minutes; strangers are judged as they are where it ships."""
    s = h.setting
    quick = [s('retry_step', '1000'), s('host_rest', '1000'), s('client_connect', '3000'),
             s('password_rounds', '4096'), s('login_hourly', '0'),
             s('greeting_pause', '100'), s('grey_wait', '2000')]
    h.VARIANTS['relay'] = quick + [
        h.setting_text('hostname', 'mx.maild.test'), words('domains', ['maild.test', '']),
        words('relay_domains', ['primary.test', 'lmtp.test']),
        table('routes', [route(*[pin('smart') if x == 'PIN' else x for x in r]) for r in ROUTES] +
              [REST]),
        table('aliases', ['"%s", "%s"' % a for a in ALIASES])]
    h.VARIANTS['relay-two'] = quick + [
        h.setting_text('hostname', 'mx.two.test'), words('domains', ['two.test', '']),
        table('aliases', ['"ping", "ping@maild.test"', '"chain", "late@px.test"']),
        s('delay_warning', '4000'), s('lifetime', '12000')]
    h.VARIANTS['relay-six'] = quick + [words('domains', ['six.test', ''])]


def main():
    make_keys()
    sys.path.insert(0, TOP + '/test/e2e')
    os.environ.setdefault('MAILD_OUT', BUILD)
    if os.environ.get('CC'):
        os.environ.setdefault('MAILD_CC', os.environ['CC'])
    import harness
    try:
        settings(harness)
        for v in ('relay', 'relay-two', 'relay-six'):
            built = harness.build(v)
            shutil.copy(built, BUILD + '/bin-' + v)
    finally:
        shutil.rmtree(harness.SCRATCH, ignore_errors=True)


if __name__ == '__main__':
    main()
