# See LICENSE file for copyright and licence details.
"""Other people's programs against the built server: run.py [-k] MAILD [PART...]

Senders, readers, programs that work on mailboxes, TLS scanners. It installs them (test/need),
starts servers of its own on loopback, and ends with "N passed, N failed". -k keeps the temporary
directory. For work on the checks: READERS and BOX in the environment name the few to run, TRACE=1
shows where they broke."""
import os
import shutil
import subprocess
import sys
import time

import kit

# Program, and the Debian package that has it
TOOLS = [('swaks', 'swaks'), ('curl', 'curl'), ('msmtp', 'msmtp'), ('s-nail', 's-nail'),
         ('perl', 'perl'), ('node', 'nodejs'), ('npm', 'npm'), ('mpop', 'mpop'),
         ('fetchmail', 'fetchmail'), ('getmail', 'getmail6'), ('mutt', 'mutt'), ('tmux', 'tmux'),
         ('formail', 'procmail'), ('procmail', 'procmail'), ('/usr/sbin/dovecot', 'dovecot-core'),
         ('/usr/lib/dovecot/imap', 'dovecot-imapd'), ('/usr/lib/dovecot/pop3', 'dovecot-pop3d'),
         ('/usr/bin/python3', 'python3'), ('openssl', 'openssl'), ('gnutls-cli', 'gnutls-bin'),
         ('gnutls-serv', 'gnutls-bin'),
         ('sslscan', 'sslscan'), ('testssl', 'testssl.sh'), ('hexdump', 'bsdextrautils'),
         ('/usr/bin/dkimverify', 'python3-dkim'), ('/usr/sbin/opendkim', 'opendkim'),
         ('/usr/sbin/nsd', 'nsd'), ('/usr/sbin/dnsmasq', 'dnsmasq-base'),
         ('/usr/sbin/unbound', 'unbound'), ('/usr/sbin/clamd', 'clamav-daemon'),
         ('/usr/sbin/clamav-milter', 'clamav-milter'), ('/usr/bin/rspamd', 'rspamd'),
         ('/usr/sbin/spamd', 'spamd'), ('/usr/sbin/spamass-milter', 'spamass-milter')]
MODULES = [('Net::SMTP', 'perl'), ('IO::Socket::SSL', 'libio-socket-ssl-perl'),
           ('Authen::SASL', 'libauthen-sasl-perl'), ('Mail::DKIM', 'libmail-dkim-perl'),
           ('MIME::Parser', 'libmime-tools-perl')]


def there(tool):
    return shutil.which(tool) is not None


def module(name):
    return subprocess.run(['perl', '-M' + name, '-e1'], capture_output=True).returncode == 0


def missing():
    return [t + ':' + p
            for t, p in TOOLS if not there(t)] + ['-' + p for m, p in MODULES if not module(m)]


def tools():
    """Install what is not there, starting no daemon; what is missing then fails the run."""
    want = missing()
    if want:
        policy = '/usr/sbin/policy-rc.d'
        ours = os.getuid() == 0 and not os.path.exists(policy)
        if ours:
            kit.write(policy, '#!/bin/sh\nexit 101\n', 0o755)
        subprocess.run(['sh', kit.HERE + '/../need'] + want, timeout=500)
        if ours:
            os.unlink(policy)
    for p in sorted(set(w.partition(':')[2] or w[1:] for w in missing())):
        kit.check('package %s is there' % p, False, 'cannot be installed')
    return not missing()


def main(args):
    keep = args[:1] == ['-k']
    args = args[keep:]
    if not args:
        sys.exit(__doc__)
    if tools():
        import bounce
        import box
        import dkim
        import dkimcheck
        import milter
        import mime
        import read
        import resolve
        import scanners
        import send
        import tls
        import tlsclient
        parts = [('tls', tls), ('tlsclient', tlsclient), ('send', send), ('read', read),
                 ('box', box), ('dkim', dkim), ('dkimcheck', dkimcheck),
                 ('resolve', resolve),
                 ('bounce', bounce), ('milter', milter),
                 ('scanners', scanners), ('mime', mime)]
        for name, part in parts:
            if not args[1:] or name in args[1:]:
                begin = time.monotonic()
                one(args[0], name, part, keep)
                print('      %s: %.0f s' % (name, time.monotonic() - begin), flush=True)
    print('%d passed, %d failed' % (kit.passed, kit.failed))
    return 1 if kit.failed or not kit.passed else 0


def one(binary, name, part, keep):
    """A part of the checks on a server of its own, with a certificate of the test authority."""
    server = kit.Server(binary)
    try:
        server.start()
        if hasattr(part, 'before'):
            kit.case(name, part.before, server)
        authority = kit.Authority(server.top)
        kit.check(name + ': a new certificate is taken at once on SIGHUP',
                  kit.install(server, authority, 'ec'), server.tail())
        if hasattr(part, 'with_authority'):
            part.with_authority(server, authority)
        else:
            part.main(server, authority.cert)
    except Exception as e:
        kit.check(name, False, '%s: %s' % (type(e).__name__, e))
    code = server.stop()
    kit.check(name + ': the server stops cleanly', code == 0, '%s %s' % (code, server.tail()))
    if keep:
        print('      kept: ' + server.top)
    else:
        kit.clean(server)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
