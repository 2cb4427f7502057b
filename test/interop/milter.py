# See LICENSE file for copyright and licence details.
"""Content scanners: clamav-milter with clamd, rspamd's milter proxy, opendkim, spamass-milter with
spamd, each with settings, rules and keys made here, on sockets of a temporary directory; nothing is
fetched.  milter.c shows them mails with scan.c of the server, and says what they want."""
import base64
import pwd
import signal

from kit import *

TOP = os.path.normpath(HERE + '/../..')
PARTS = ['scan.c'] + ['lib/%s.c' % n for n in ('milter', 'loop', 'text', 'log', 'reply', 'addr',
                                               'ip')]
# In two halves, or this file would be one that scanners find
EICAR = 'X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR' + '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'
GTUBE = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD' + '-ANTI-UBE-TEST-EMAIL*C.34X'
KINDS = ('add', 'insert', 'change', 'rcpt', 'no-rcpt', 'sender')

HEAD = '''Received: from a.example.net (a.example.net [192.0.2.7])
\tby mx.example.org with ESMTP id abc; Sun, 22 Nov 2026 03:03:14 +0000
From: Ann <ann@example.net>
To: Bob <bob@example.org>
Subject: %s
Date: Sun, 22 Nov 2026 03:03:14 +0000
Message-ID: <1@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

'''


def mail(subject, body):
    return (HEAD % subject + body).encode()


def virus():
    return mail('a file', '').replace(
        b'text/plain; charset=us-ascii', b'multipart/mixed; boundary=b') + (
            '--b\nContent-Type: text/plain\n\nsee there\n--b\nContent-Type: '
            'application/octet-stream; name=x.com\nContent-Transfer-Encoding: base64\n\n%s\n'
            '--b--\n' % base64.b64encode(EICAR.encode()).decode()).encode()


# ---- scanners ----


class Daemon:
    """A program of ours in the foreground, ended with all that it has started."""
    def __init__(self, top, name, argv, ready, seconds=40):
        self.log = '%s/%s.log' % (top, name)
        with open(self.log, 'ab') as f:
            self.p = subprocess.Popen(argv, cwd=top, stdin=subprocess.DEVNULL, stdout=f,
                                      stderr=f, start_new_session=True)
        self.up = until(lambda: self.p.poll() is not None or ready(), seconds)
        self.up = check('milter: %s starts' % name, self.up and self.p.poll() is None,
                        read(self.log)[-800:])

    def stop(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.p.pid, sig)
            except ProcessLookupError:
                pass
            try:
                self.p.wait(3)
            except subprocess.TimeoutExpired:
                pass


def answers(where):
    """Does somebody accept connections there (a path, or a port on loopback)?"""
    s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    with s:
        try:
            s.connect(where if isinstance(where, str) else ('127.0.0.1', where))
            return True
        except OSError:
            return False


class Bench:
    """The temporary directory, the driver, and the daemons that run."""
    def __init__(self, server):
        self.top = server.top + '/milter'
        os.mkdir(self.top)
        self.driver = self.top + '/show'
        self.daemons = []
        self.n = 0

    def build(self):
        env = dict(CC='cc', LDFLAGS='', CFLAGS='-std=c11 -O1 -g -D_GNU_SOURCE= -I' + TOP)
        code, out = run(['sh', TOP + '/test/build', self.driver, HERE + '/milter.c'] +
                        [TOP + '/' + p for p in PARTS], env=env, cwd=TOP)
        return check('milter: the driver builds', code == 0, out)

    def start(self, name, argv, where, seconds=40):
        where = os.path.join(self.top, where) if isinstance(where, str) else where
        d = Daemon(self.top, name, argv, lambda: answers(where), seconds)
        self.daemons.append(d)
        return d.up

    def stop(self):
        while self.daemons:
            self.daemons.pop().stop()

    def show(self, address, message, *more, ms=30000):
        """What the scanner at address says to a message."""
        self.n += 1
        path = write('%s/mail.%d' % (self.top, self.n), message)
        more = list(more)
        if not any(m.startswith('rcpt=') for m in more):
            more += ['peer=192.0.2.7', 'port=4711', 'name=a.example.net', 'helo=a.example.net',
                     'sender=ann@example.net', 'rcpt=bob@example.org', 'id=0123abc']
        code, out = run([self.driver, address, str(ms), path] + more, cwd=self.top)
        return Said(code, out, read(path + '.body') if code == 0 else b'')


class Said:
    def __init__(self, code, out, body):
        self.code, self.out, self.body = code, out, body
        self.result = self.word('result')
        self.reply = self.word('reply')
        self.quarantine = self.word('quarantine')
        self.edits = [(k, int(i), *[unescape(s) for s in re.findall(r'"((?:\\.|[^"\\])*)"', s)])
                      for k, i, s in re.findall(r'(?m)^edit (\S+) (\d+) (.*)$', out)]

    def word(self, key):
        m = re.search(r'(?m)^%s (.*)$' % key, self.out)
        return m.group(1) if m else ''

    def field(self, name):
        """The last value that a field gets."""
        v = [e[3] for e in self.edits if len(e) > 3 and e[2].lower() == name.lower()]
        return v[-1] if v else ''

    def kinds(self, kind):
        return [e for e in self.edits if e[0] == kind]


def unescape(s):
    return re.sub(r'\\(x[0-9a-f]{2}|.)',
                  lambda m: chr(int(m.group(1)[1:], 16)) if len(m.group(1)) > 1 else m.group(1), s)


def apply(message, said):
    """The message with the changes, as check.h describes them."""
    head, _, body = message.partition(b'\n\n')
    fields = re.findall(rb'(?m)^[^ \t\n].*\n(?:[ \t].*\n)*', head + b'\n')
    for e in said.edits:
        if e[0] not in KINDS[:3]:
            continue
        line = ('%s:%s\n' % (e[2], e[3])).encode('latin-1')
        same = [i for i, f in enumerate(fields)
                if f.partition(b':')[0].strip().lower() == e[2].lower().encode()]
        if e[0] == 'insert':
            fields.insert(e[1], line)
        elif e[0] == 'change' and e[1] <= len(same):
            fields[same[e[1] - 1]:same[e[1] - 1] + 1] = [line] if e[3] else []
        elif e[3]:
            fields.append(line)
    return b''.join(fields) + b'\n' + (said.body.replace(b'\r\n', b'\n') or body)


# ---- ClamAV ----


def start_clamd(b):
    os.mkdir(b.top + '/db')
    write(b.top + '/db/test.ndb', 'Test.Eicar:0:*:%s\n' % EICAR.encode().hex(), 0o644)
    conf = write(b.top + '/clamd.conf', 'LocalSocket %s/clamd.sock\nDatabaseDirectory %s/db\n'
                 'Foreground true\nMaxThreads 4\nTemporaryDirectory %s\n' % ((b.top, ) * 3))
    return b.start('clamd', ['/usr/sbin/clamd', '-c', conf], 'clamd.sock')


def start_clamav(b, how, where, more=''):
    """clamav-milter on a socket, that does this with what is infected."""
    where = os.path.join(b.top, where)
    conf = write('%s/clamav-%s.conf' % (b.top, how), 'MilterSocket unix:%s\n'
                 'ClamdSocket unix:%s/clamd.sock\nForeground true\nOnInfected %s\n'
                 'OnFail Defer\nAddHeader Replace\nTemporaryDirectory %s\n%s' %
                 (where, b.top, how, b.top, more))
    return b.start('clamav-milter-' + how, ['/usr/sbin/clamav-milter', '-c', conf], where)


def clamav(b):
    if not start_clamd(b):
        return
    for how, more in (('Quarantine', ''), ('Blackhole', ''),
                      ('Reject', 'RejectMsg 100% of it is "%v"\n')):
        if not start_clamav(b, how, how + '.sock', more):
            return
    good = mail('hello', 'nothing in it\n' * 10000)
    r = b.show('unix:Quarantine.sock', good)
    check('milter: clamav: a good mail of 140 KB', r.result == 'accept' and 'Clean' in
          r.field('X-Virus-Status') and not r.quarantine, r.out)
    r = b.show('unix:Quarantine.sock', good, 'n=20')
    check('milter: clamav: 20 at once', r.code == 0 and r.result == 'accept', r.out)
    r = b.show('unix:Quarantine.sock', virus())
    check('milter: clamav: EICAR in an attachment, quarantine', r.result == 'accept' and
          r.quarantine and 'Infected (Test.Eicar' in r.field('X-Virus-Status'), r.out)
    r = b.show('unix:Reject.sock', virus())
    check('milter: clamav: refused in its own words', r.result == 'reject' and
          re.match(r'5\d\d 5\.\d\.\d 100% of it is .*Test\.Eicar', r.reply), r.out)
    r = b.show('unix:Blackhole.sock', virus())
    check('milter: clamav: discarded', r.result == 'discard', r.out)
    b.daemons.pop(0).stop()     # clamd
    r = b.show('unix:Reject.sock', good)
    check('milter: clamav: without clamd, try again', r.result == 'tempfail' and
          r.reply.startswith('4'), r.out)


# ---- rspamd ----

RSPAMD = '''
options {
	pidfile = "%(top)s/rspamd.pid"; filters = ""; enable_test_patterns = true;
	dns { nameserver = ["127.0.0.1:%(dns)d:1"]; timeout = 50ms; retransmits = 1; }
	url_tld = "%(top)s/tld"; hs_cache_dir = "%(top)s"; control_socket = "%(top)s/rspamd.ctl mode=0600";
}
logging { type = "console"; level = "info"; }
lua = "$RULESDIR/rspamd.lua"
modules { path = "$PLUGINSDIR/milter_headers.lua"; }
milter_headers { use = ["x-spamd-bar", "x-spam-status"]; }
metric { name = "default"; actions { reject = 15; add_header = 6; greylist = 4; } }
actions { reject = 15; rewrite_subject = 8; add_header = 6; greylist = 4; }
worker "rspamd_proxy" {
	bind_socket = "127.0.0.1:%(port)d"; milter = yes; timeout = 20s; count = 1;
	quarantine_on_reject = %(quarantine)s;
	upstream "local" { default = yes; self_scan = yes; }
}
'''


def start_rspamd(b, port, quarantine='no'):
    write(b.top + '/tld', 'com\nnet\norg\nexample\n', 0o644)    # all there are take it a while
    conf = write('%s/rspamd-%s.conf' % (b.top, quarantine), RSPAMD % dict(
        top=b.top, dns=free_port(), port=port, quarantine=quarantine), 0o644)
    argv = ['/usr/bin/rspamd', '-f', '-c', conf]
    for d in 'DBDIR', 'RUNDIR', 'LOGDIR':
        argv += ['--var', '%s=%s' % (d, b.top)]
    return b.start('rspamd-' + quarantine, argv + ['-i'] * (os.getuid() == 0), port)


def rspamd(b):
    for quarantine in 'no', 'yes':
        port = free_port()
        if not start_rspamd(b, port, quarantine):
            return
        where = 'inet:127.0.0.1:%d' % port
        r = b.show(where, mail('x', GTUBE + '\n'))
        if quarantine == 'yes':
            check('milter: rspamd: GTUBE, quarantine', r.result == 'accept' and r.quarantine, r.out)
            continue
        check('milter: rspamd: GTUBE is refused', r.result == 'reject' and
              re.match(r'554 5\.7\.1 \w', r.reply), r.out)
        r = b.show(where, mail('hello', 'nothing in it\n'))
        check('milter: rspamd: a good mail', r.result == 'accept' and not r.quarantine and
              r.field('X-Spamd-Bar'), r.out)
        r = b.show(where, mail('hello', 'nothing in it\n' * 20000), 'n=10', 'peer=2001:db8::7',
                   'helo=a.example.net', 'sender=', 'rcpt=bob@example.org', 'rcpt=c@example.org')
        check('milter: rspamd: IPv6, null sender, two recipients, 10 at once',
              r.code == 0 and r.result == 'accept', r.out)
        r = b.show(where, mail('x', 'Y' + GTUBE[1:] + '\n'))
        check('milter: rspamd: the pattern for "add header"', r.result == 'accept' and
              (r.field('X-Spam') or 'Yes' in r.field('X-Spam-Status')), r.out)
        r = b.show(where, mail('x', 'Z' + GTUBE[1:] + '\n'))
        check('milter: rspamd: the pattern for another subject', r.result == 'accept' and
              r.kinds('change') == [('change', 1, 'Subject', ' *** SPAM *** x')], r.out)


# ---- opendkim ----


def start_opendkim(b, mode, where, domain, more=''):
    """It signs (s), verifies (v) or both, with the key s1 of a domain."""
    where = os.path.join(b.top, where)
    key = b.top + '/s1.private'
    if not os.path.exists(key):
        run(['openssl', 'genrsa', '-out', key, '1024'])
    p = subprocess.run(['openssl', 'rsa', '-in', key, '-pubout', '-outform', 'DER'],
                       capture_output=True)
    b.record = 'v=DKIM1; k=rsa; p=%s' % base64.b64encode(p.stdout).decode()
    keys = write(b.top + '/keys', 's1._domainkey.%s %s\n' % (domain, b.record))
    conf = ('UserID %s\nBackground no\nSyslog no\nAuthservID mx.example.org\nMode %s\n'
            'Socket local:%s\n' % (pwd.getpwuid(os.getuid()).pw_name, mode, where))
    if 'v' in mode:
        conf += 'TestPublicKeys %s\nAlwaysAddARHeader yes\n' % keys
    if 's' in mode:
        conf += ('Domain %s\nSelector s1\nKeyFile %s\nCanonicalization simple/simple\n'
                 'RequireSafeKeys no\n' % (domain, key))
    conf = write('%s/dk-%s.conf' % (b.top, mode), conf + more)
    return b.start('opendkim-' + mode, ['/usr/sbin/opendkim', '-f', '-x', conf], where)


def opendkim(b):
    if not (start_opendkim(b, 'v', 'dk-v.sock', 'example.net') and
            start_opendkim(b, 's', 'dk-s.sock', 'example.net')):
        return
    name = 'Authentication-Results'
    r = b.show('unix:dk-v.sock', mail('x', 'y\n'))
    check('milter: opendkim: no signature', r.result == 'accept' and 'dkim=none' in r.field(name) and
          [e[:2] for e in r.kinds('insert')] == [('insert', 0)], r.out)
    forged = b'%s: mx.example.org; dkim=pass\n%s: other.example; dkim=pass\n' % (
        (name.encode(), ) * 2)
    r = b.show('unix:dk-v.sock', forged + mail('x', 'y\n'))
    got = apply(forged + mail('x', 'y\n'), r)
    check('milter: opendkim: what claims to be ours is removed', r.kinds('change') ==
          [('change', 1, name, '')] and got.count(b'dkim=pass') == 1 and b'dkim=none' in got, r.out)
    plain = mail('folded\n  and  spaced \n\tsubject', '.\n..dots\n \n\nspace at the end \n\n\n')
    plain = b'X-None:\nX-Tight:x\nX-Tab:\tx\n' + plain
    r = b.show('unix:dk-s.sock', plain, 'peer=127.0.0.1', 'helo=x', 'sender=ann@example.net',
               'rcpt=bob@example.org', 'login=ann', 'id=1')
    signed = apply(plain, r)
    check('milter: opendkim signs', r.result == 'accept' and b'\nDKIM-Signature:' in
          b'\n' + signed, r.out)
    r = b.show('unix:dk-v.sock', signed)
    check('milter: opendkim: its signature is good (simple/simple)', 'dkim=pass' in r.field(name),
          r.out)
    r = b.show('unix:dk-v.sock', signed.replace(b'X-Tight:x', b'X-Tight: x').replace(
        b'..dots', b'.dots'))
    check('milter: opendkim: one octet less is not', 'dkim=fail' in r.field(name), r.out)
    big = b'X-Long: ' + b'x' * 50000 + b'\n' + mail('x', 'y\n' * 500000)
    r = b.show('unix:dk-v.sock', big)
    check('milter: opendkim: a field of 50 KB, a body of 1 MB', r.result == 'accept', r.out)


# ---- SpamAssassin ----


def start_spamd(b):
    os.mkdir(b.top + '/sa')
    write(b.top + '/sa/local.cf', 'report_safe 1\nrewrite_header Subject [SPAM]\nuse_bayes 0\n'
          'use_auto_whitelist 0\n', 0o644)
    write(b.top + '/sa/init.pre', ''.join('loadplugin Mail::SpamAssassin::Plugin::%s\n' % p for p in
                                          ('Check', 'BodyEval', 'HeaderEval', 'MIMEEval')), 0o644)
    os.chmod(b.top + '/sa', 0o755)
    b.spamd = free_port()
    user = ['-u', 'nobody'] if os.getuid() == 0 else []
    spamd = shutil.which('spamd') or '/usr/sbin/spamd'
    return b.start('spamd', [spamd, '-L', '-x', '-4', '-i', '127.0.0.1:%d' % b.spamd, '-m', '2',
                             '--min-children=1', '-s', 'stderr', '--siteconfigpath',
                             b.top + '/sa'] + user, b.spamd, 60)


def start_spamass(b, name, where, more=()):
    milter = shutil.which('spamass-milter') or '/usr/sbin/spamass-milter'
    return b.start('spamass-' + name, [milter, '-p', where] + list(more) +
                   ['--', '-d', '127.0.0.1', '-p', str(b.spamd)], where)


def spamassassin(b):
    if not start_spamd(b):
        return
    for name, more in (('mark', []), ('refuse', ['-r', '15', '-R', 'no, %s %% of that']),
                       ('move', ['-m', '-b', 'junk@example.org'])):
        if not start_spamass(b, name, 'sa-%s.sock' % name, more):
            return
    good, spam = mail('hello', 'nothing in it\n'), mail('buy', GTUBE + '\n')
    r = b.show('unix:sa-mark.sock', good)
    check('milter: spamassassin: a good mail', r.result == 'accept' and not r.body and
          'No' in r.field('X-Spam-Status'), r.out)
    r = b.show('unix:sa-mark.sock', spam)
    got = apply(spam, r)
    check('milter: spamassassin: GTUBE: flag, subject, new body', r.result == 'accept' and
          'YES' in r.field('X-Spam-Flag') and '[SPAM]' in r.field('Subject') and
          b'\r\n' in r.body and not re.search(rb'\r(?!\n)|(?<!\r)\n', r.body) and
          b'multipart/mixed' in got and b'GTUBE' in got, r.out)
    r = b.show('unix:sa-refuse.sock', spam)
    check('milter: spamassassin: GTUBE is refused', r.result == 'reject' and
          re.match(r'550 5\.7\.1 no, %s % of that$', r.reply), r.out)
    r = b.show('unix:sa-move.sock', spam)
    check('milter: spamassassin: to another recipient', r.result == 'accept' and
          [e[2] for e in r.kinds('no-rcpt')] == ['bob@example.org'] and
          [e[2] for e in r.kinds('rcpt')] == ['junk@example.org'], r.out)


def down(b):
    """Nobody there, and one that says nothing."""
    m = mail('x', 'y\n')
    check('milter: no socket: down', b.show('unix:nobody.sock', m).result == 'down')
    check('milter: no port: down',
          b.show('inet:127.0.0.1:%d' % free_port(), m).result == 'down')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        r = b.show('inet:127.0.0.1:%d' % s.getsockname()[1], m, ms=700)
        check('milter: silence: down in time', r.result == 'down' and
              650 <= int(r.word('ms')) < 2500, r.out)


def main(server, ca):
    b = Bench(server)
    if not b.build():
        return
    for part in down, opendkim, clamav, rspamd, spamassassin:
        begin = time.monotonic()
        case('milter: ' + part.__name__, part, b)
        b.stop()
        print('      milter: %s: %.0f s' % (part.__name__, time.monotonic() - begin), flush=True)
