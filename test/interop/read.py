# See LICENSE file for copyright and licence details.
"""Readers: each fetches over STLS and POP3S, leaves on the server, fetches only what is new where
it remembers, and deletes; what it has stored is what RETR sends, but for what it adds itself."""
import glob
import os
import re

from kit import *

NOBODY = 65534
FEW = ('plain', 'eight', 'from', 'dots')


class Account:
    """All that a reader needs to know."""
    def __init__(self, server, ca, name, wrap, reader):
        self.name = name
        self.wrap = wrap
        self.reader = reader
        self.ca = ca
        self.port = server.port(995 if wrap else 110)
        self.dir = '%s/%s.%s' % (server.top, reader, name)
        os.mkdir(self.dir, 0o755)
        self.seen = set()

    def new_files(self, pattern):
        """Contents of the files that have come, in order of their names or times."""
        new = sorted(set(glob.glob(self.dir + pattern)) - self.seen, key=order)
        self.seen.update(new)
        return [read(f) for f in new]


def order(path):
    """Programs number maildir files in ways of their own; times tell the order."""
    return os.stat(path).st_mtime_ns, path


def maildir(path):
    for d in ('', '/cur', '/new', '/tmp'):
        os.makedirs(path + d, exist_ok=True)
    return path


def must(result):
    code, out = result
    if code:
        raise RuntimeError('%d %s' % (code, out))
    return out


def mpop(auth):
    def fetch(a, delete):
        f = write(
            a.dir + '/rc', '\n'.join([
                'account default', 'host localhost',
                'port %d' % a.port, 'tls on', 'timeout 30', 'tls_starttls ' +
                ('off' if a.wrap else 'on'), 'tls_trust_file ' + a.ca, 'auth ' + auth,
                'user ' + a.name,
                'password "%s"' % PASSWORD, 'keep ' +
                ('off' if delete else 'on'), 'received_header off',
                'uidls_file %s/uidls' % a.dir, 'pipelining on',
                'delivery maildir ' + maildir(a.dir + '/md')
            ]) + '\n')
        must(run(['mpop', '-C', f]))
        return a.new_files('/md/new/*')

    return fetch


def fetchmail(a, delete):
    f = write(
        a.dir + '/rc', 'set invisible\nset no bouncemail\nset no spambounce\n'
        'poll localhost protocol pop3 port %d auth password timeout 30 uidl bad-header accept\n'
        ' user "%s" password "%s" is root here %s sslproto "TLS1.2" sslcertck sslcertfile "%s"\n'
        ' no rewrite %s fetchsizelimit 0\n'
        ' mda "cat >%s/m.$(date +%%s%%N)"\n' % (a.port, a.name, PASSWORD, 'ssl' if a.wrap else '',
                                                a.ca, 'nokeep flush' if delete else 'keep', a.dir))
    code, out = run(
        ['fetchmail', '-f', f, '-i', a.dir + '/ids', '--pidfile', a.dir + '/pid', '-v'],
        env={'FETCHMAILHOME': a.dir, 'HOME': a.dir})
    if code not in (0, 1):
        raise RuntimeError('%d %s' % (code, out))
    return a.new_files('/m.*')


def getmail(a, delete):
    f = write(
        a.dir + '/rc', '\n'.join([
            '[retriever]', 'type = SimplePOP3SSLRetriever', 'server = localhost',
            'port = %d' % a.port, 'username = ' + a.name, 'password = ' + PASSWORD,
            'ca_certs = ' + a.ca, 'timeout = 30', '[destination]', 'type = Maildir',
            'path = %s/' % maildir(a.dir + '/md'), '[options]', 'delivered_to = false',
            'received = false', 'read_all = false', 'verbose = 2', 'delete = ' +
            ('true' if delete else 'false')
        ]) + '\n')
    if os.getuid() == 0:  # it does not deliver as root
        for d, _, files in os.walk(a.dir):
            for x in [d] + [d + '/' + x for x in files]:
                os.chown(x, NOBODY, NOBODY)
    must(run(['getmail', '--getmaildir', a.dir, '--rcfile', f], user=NOBODY))
    return a.new_files('/md/new/*')


def net_pop3(a, delete):
    d = '%s/%d' % (a.dir, len(os.listdir(a.dir)))
    os.mkdir(d)
    n = int(
        must(
            run([
                'perl', HERE + '/net_pop3.pl',
                str(a.port), 'wrap' if a.wrap else 'starttls', a.ca, a.name, PASSWORD, d,
                'delete' if delete else 'keep'
            ])))
    out = [read('%s/%d' % (d, i + 1)) for i in range(n)]
    for i, m in enumerate(out):
        if lf(read('%s/%d.top' % (d, i + 1))) != top(lf(m), 2):
            raise RuntimeError('TOP %d: %r' % (i + 1, read('%s/%d.top' % (d, i + 1))[-200:]))
    return [lf(m) for m in out]


def top(m, n):
    """Header, blank line and n lines of a message with LF line ends."""
    h, sep, body = m.partition(b'\n\n')
    return h + sep + b''.join(body.splitlines(True)[:n]) if sep else m


def curl(auth):
    def fetch(a, delete):
        base = [
            'curl', '-sS', '--max-time', '30', '--cacert', a.ca, '--ssl-reqd', '--user',
            a.name + ':' + PASSWORD, '--login-options', 'AUTH=' + auth
        ]
        url = '%s://localhost:%d/' % ('pop3s' if a.wrap else 'pop3', a.port)
        out, sizes = [], [l.split() for l in must(run(base + [url])).splitlines()]
        uids = [l.split() for l in must(run(base + ['-X', 'UIDL', url])).splitlines()]
        if [s[0] for s in sizes] != [u[0] for u in uids] or len({u[1] for u in uids}) != len(uids):
            raise RuntimeError('LIST %r UIDL %r' % (sizes, uids))
        for number, octets in sizes:
            f = '%s/%s' % (a.dir, number)
            must(run(base + ['-o', f, url + number]))
            m = read(f)
            if len(m) != int(octets):
                raise RuntimeError('LIST says %s, it got %d' % (octets, len(m)))
            must(run(base + ['-o', f, '-X', 'TOP %s 2' % number, url]))
            if lf(read(f)) != top(lf(m), 2):
                raise RuntimeError('TOP %s: %r' % (number, read(f)[-200:]))
            out.append(lf(m))
        if delete:
            for _ in sizes:
                must(run(base + ['-I', '-X', 'DELE 1', url]))
        return out

    return fetch


def in_tmux(dir, rc, keys, *args, user=None):
    """mutt on a terminal of its own, with keys pushed; when it does not end: its screen."""
    write(dir + '/muttrc', rc + '\npush "%s"\n' % keys, 0o644)
    write(
        dir + '/start', 'cd %s\nmutt -n -F muttrc %s\necho $? >done.new\nmv done.new done\n' %
        (dir, ' '.join("'%s'" % a for a in args)), 0o755)
    if os.path.exists(dir + '/done'):
        os.unlink(dir + '/done')
    mux = ['tmux', '-S', dir + '/tmux', '-f', '/dev/null']
    env = {'TERM': 'xterm', 'HOME': dir, 'USER': 'tester', 'LC_ALL': 'C.UTF-8'}
    must(
        run(mux + ['new-session', '-d', '-x', '100', '-y', '30', 'sh start'],
            cwd=dir,
            env=env,
            user=user))
    try:
        if not until(lambda: os.path.exists(dir + '/done'), 30):
            raise RuntimeError('mutt does not end: ' +
                               run(mux + ['capture-pane', '-p'], user=user)[1])
        code = int(read(dir + '/done'))
        if code:
            raise RuntimeError('mutt ends with %d' % code)
    finally:
        run(mux + ['kill-server'], user=user)


MUTTRC = '''set copy=yes confirmcreate=no confirmappend=no delete=yes quit=yes move=no
set sleep_time=0 wait_key=no mark_old=no write_inc=0 read_inc=0 beep=no fcc_attach=yes record=""
set header_cache="" mail_check_stats=no pager_stop=no charset="utf-8"
set sort=mailbox-order folder="." tmpdir="."
'''


def mutt(a, delete):
    """It copies into a maildir: into an mbox it would not quote From_ lines."""
    out = maildir('%s/out%d' % (a.dir, len(os.listdir(a.dir))))
    rc = MUTTRC + (
        'set pop_user="%s" pop_pass="%s" ssl_starttls=yes ssl_force_tls=yes certificate_file="%s"\n'
        'set ssl_verify_host=yes ssl_verify_dates=yes\n' % (a.name, PASSWORD, a.ca))
    keys = '<tag-pattern>~A<enter><tag-prefix><copy-message>%s<enter>' % out
    if delete:
        keys += '<tag-prefix><delete-message><sync-mailbox>'
    in_tmux(a.dir, rc, keys + '<exit>', '-f',
            '%s://localhost:%d/' % ('pops' if a.wrap else 'pop', a.port))
    # the files have the dates of their mails; the ids of our Received fields tell the order
    return sorted((read(f) for f in glob.glob(out + '/new/*') + glob.glob(out + '/cur/*')),
                  key=lambda m: re.search(rb'\sid (\w+)', m)[1])


# ---- what readers change themselves ----


def as_is(m):
    return m


def empty_field(m):
    """getmail6 puts a space after the colon of an empty field."""
    return m.replace(b'X-Empty: \n', b'X-Empty:\n')


def no_notes(m):
    """mutt: its own header fields; blank lines at the end are not told from the separating one."""
    return bare(m).rstrip(b'\n')


# Name, how it fetches, POP3S only, whether it remembers what it has fetched, mails it is given,
# what to forgive when comparing
READERS = [('mpop user', mpop('user'), False, True, None, as_is),
           ('mpop plain', mpop('plain'), False, True, FEW, as_is),
           ('mpop login', mpop('login'), False, True, FEW, as_is),
           ('fetchmail', fetchmail, False, True, None, as_is),
           ('getmail6', getmail, True, True, None, empty_field),
           ('Net::POP3', net_pop3, False, False, None, as_is),
           ('curl PLAIN', curl('PLAIN'), False, False, None, as_is),
           ('curl LOGIN', curl('LOGIN'), False, False, FEW, as_is),
           ('mutt', mutt, False, False, None, no_notes), ]


def reader(server, ca, name, fetch, wrap, remembers, which, forgive):
    label = '%s over %s' % (name, 'POP3S' if wrap else 'STLS')
    sent = [m for k, m in awkward() if not which or k in which]
    box = server.fresh(sent, prefix='read')
    a = Account(server, ca, box, wrap, name.split()[0].replace(':', ''))

    def compare(what, got, want):
        same(label + ': ' + what, [forgive(m) for m in got], [forgive(lf(m)) for m in want])

    held = agree(server, box)
    compare('%d mails fetched as they are' % len(held), fetch(a, False), held)
    check(label + ': left on the server', mails(server, box) == held)
    server.deliver(box, [head('late') + b'one more\r\n'])
    now = mails(server, box)
    compare('then only the new one' if remembers else 'again, and a new one', fetch(a, False),
            now[len(held):] if remembers else now)
    server.deliver(box, [head('later') + b'one more\r\n'])
    now = mails(server, box)
    compare('fetched to be deleted', fetch(a, True), now[len(held) + 1:] if remembers else now)
    left = mails(server, box)
    if left and remembers:
        fetch(a, True)
        left = mails(server, box)
    check(label + ': deleted', left in ([], now[:len(held) + 1] if name == 'getmail6' else []),
          '%d left' % len(left))
    case(label, agree, server, box)


def main(server, ca, only_names=os.environ.get('READERS', '')):
    for name, fetch, only, remembers, which, forgive in READERS:
        if only_names and name not in only_names.split(','):
            continue
        for wrap in (True, ) if only else (False, True):
            case('%s %s' % (name, 'POP3S' if wrap else 'STLS'), reader, server, ca, name, fetch,
                 wrap, remembers, which, forgive)
