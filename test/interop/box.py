# See LICENSE file for copyright and licence details.
"""Programs that work on mailboxes: they must see what we see, and what they change must be seen by
us, also while mail is being delivered; nothing is lost, nothing comes twice."""
import fcntl
import imaplib
import mailbox
import os
import pickle
import poplib
import random
import re
import signal
import subprocess
import threading
import time

from kit import *
from read import MUTTRC, in_tmux, must

poplib._MAXLINE = 100000
NEW = b'From new@example.org Thu Nov  5 10:11:12 2026\n'


def as_owner(function, *args):
    """Call it in a process of its own as the owner of the mailboxes; its result comes back."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(60)
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(OWNER)
                os.setuid(OWNER)
            out = (True, function(*args))
        except BaseException as e:
            out = (False, '%s: %s' % (type(e).__name__, e))
        with os.fdopen(w, 'wb') as f:
            pickle.dump(out, f)
        os._exit(0)
    os.close(w)
    with os.fdopen(r, 'rb') as f:
        data = f.read()
    os.waitpid(pid, 0)
    good, value = pickle.loads(data) if data else (False, 'it died')
    if not good:
        raise RuntimeError(value)
    return value


def ours(path):
    """Give a directory of the test to the owner of the mailboxes."""
    os.makedirs(path, exist_ok=True)
    if os.getuid() == 0:
        os.chown(path, OWNER, OWNER)
    return path


# ---- Python's mailbox module ----


def py_list(path):
    m = mailbox.mbox(path, create=False)
    return [m.get_bytes(k) for k in m.keys()]


def py_change(path, remove, add):
    """Remove messages by number and add some, all under its locks (dot and fcntl)."""
    m = mailbox.mbox(path, create=False)
    for _ in range(200):
        try:
            m.lock()
            break
        except mailbox.ExternalClashError:
            time.sleep(0.02)
    try:
        for k in remove:
            m.remove(m.keys()[k])
        for a in add:
            m.add(a)
        m.flush()
    finally:
        m.unlock()
        m.close()


# ---- formail and procmail ----


def formail(server, path, *options):
    d = ours(server.top + '/formail%d' % len(os.listdir(server.top)))
    must(
        run(['formail', *options, '-s', 'sh', '-c',
             'cat >%s/$FILENO' % d],
            read(path),
            env={'FILENO': '0000'}))
    return [re.sub(rb'\A[^\n]*\n', b'', read(d + '/' + f)) for f in sorted(os.listdir(d))]


def procmail(server, path, m):
    rc = write(
        ours(server.top + '/procmail') + '/rc',
        'PATH=/usr/bin:/bin\nMAILDIR=%s\nDEFAULT=%s\nLOCKSLEEP=1\nLOGFILE=\n:0:\n%s\n' %
        (server.top + '/procmail', path, path), 0o644)
    must(run(['procmail', '-f', 'new@example.org', rc], m, user=OWNER))


# ---- mutt ----


def mutt_list(server, path):
    d = ours(server.top + '/mutt%d' % len(os.listdir(server.top)))
    in_tmux(d,
            MUTTRC,
            '<tag-pattern>~A<enter><tag-prefix><copy-message>%s/out<enter><exit>' % d,
            '-R',
            '-f',
            path,
            user=OWNER)
    return [bare(m, NOTES) for m in split_raw(read(d + '/out'))]


# What mutt writes when it copies, and would replace in the copy
NOTES = (b'status', b'x-status', b'content-length', b'lines')


def mutt_change(server, path, delete, flag):
    """Delete and flag messages by number (from 1), save, quit."""
    d = ours(server.top + '/mutt%d' % len(os.listdir(server.top)))
    keys = ''.join('%d<enter><delete-message>' % i for i in delete)
    keys += ''.join('%d<enter><flag-message>' % i for i in flag)
    in_tmux(d, MUTTRC + 'set resolve=no\n', keys + '<sync-mailbox><quit>', '-f', path, user=OWNER)


# ---- Dovecot ----

CONF = '''
base_dir = {run}
state_dir = {run}
log_path = {top}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_vsz_limit = 0
first_valid_uid = 1
mail_location = mbox:{top}/home/%u:INBOX={mail}/%u
mail_uid = {uid}
mail_gid = {gid}
mbox_read_locks = fcntl
mbox_write_locks = fcntl
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={top}/home/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
}}
'''


class Dovecot:
    """A private one over the mailboxes of the server."""
    def __init__(self, server):
        top = ours(server.top + '/dovecot')
        ours(top + '/home')
        os.makedirs(top + '/run')
        root = os.getuid() == 0
        offset = free_offset()
        self.imap_port, self.pop3_port = offset + 465, offset + 110
        self.conf = write(
            top + '/conf',
            CONF.format(run=top + '/run',
                        top=top,
                        mail=server.dir + '/mail',
                        imap=self.imap_port,
                        pop3=self.pop3_port,
                        uid=OWNER if root else os.getuid(),
                        gid=OWNER if root else os.getgid()), 0o644)
        self.log = top + '/dovecot.log'
        self.process = subprocess.Popen(['/usr/sbin/dovecot', '-F', '-c', self.conf],
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        if not until(self.answers, 15):
            raise RuntimeError('dovecot does not start: ' + self.tail())

    def answers(self):
        try:
            self.imap('nobody').logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def tail(self):
        return read(self.log).decode(errors='replace')[-1500:] if os.path.exists(self.log) else ''

    def imap(self, name):
        i = imaplib.IMAP4('127.0.0.1', self.imap_port, timeout=30)
        i.login(name, 'x')
        return i

    def imap_list(self, name):
        i = self.imap(name)
        ok(i.select('INBOX', readonly=True))
        out = [lf(x[1]) for x in ok(i.fetch('1:*', '(BODY.PEEK[])')) if isinstance(x, tuple)]
        i.logout()
        return out

    def imap_change(self, name, delete, flag, append=()):
        i = self.imap(name)
        ok(i.select('INBOX'))
        ok(i.store(flag, '+FLAGS', r'(\Flagged \Seen $Label1)'))
        ok(i.store(delete, '+FLAGS', r'(\Deleted)'))
        ok(i.expunge())
        for m in append:
            ok(i.append('INBOX', None, None, m))
        ok(i.close())
        i.logout()

    def pop3(self, name):
        p = poplib.POP3('127.0.0.1', self.pop3_port, timeout=30)
        p.user(name)
        p.pass_('x')
        return p

    def pop3_list(self, name):
        p = self.pop3(name)
        out = [b''.join(l + b'\n' for l in p.retr(i + 1)[1]) for i in range(p.stat()[0])]
        p.quit()
        return out

    def pop3_delete(self, name, numbers):
        p = self.pop3(name)
        for n in numbers:
            p.dele(n)
        p.quit()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def ok(answer):
    if answer[0] != 'OK':
        raise RuntimeError('IMAP: %r' % (answer, ))
    return answer[1]


# ---- the same messages for everybody ----

# Dovecot keeps its notes in header fields and hides fields of such names from its clients
HIDDEN = (b'status', b'x-status', b'x-keywords', b'x-uid', b'x-imap', b'x-imapbase',
          b'content-length')


def look(server, dovecot, name, who):
    """All programs see what POP3 shows, in number and bytes."""
    view = agree(server, name)
    path = server.box(name)
    want = [quote(lf(m)) for m in view]

    def see(program, function, *args, forgive=lambda m: m):
        label = '%s sees what POP3 shows, %s' % (program, who)
        got = case(label, function, *args)
        if got is not None:
            same(label, [forgive(m) for m in got], [forgive(m) for m in want])

    see("Python's mailbox", as_owner, py_list, path)
    see('formail', formail, server, path, '-Y', forgive=lambda m: m.rstrip(b'\n'))
    see('mutt', mutt_list, server, path, forgive=lambda m: bare(m, NOTES))
    see('Dovecot IMAP', dovecot.imap_list, name, forgive=lambda m: bare(m, HIDDEN))
    see('Dovecot POP3', dovecot.pop3_list, name, forgive=lambda m: bare(m, HIDDEN))


def content(m):
    """A message without our trace fields and the notes of others, LF."""
    m = bare(lf(m))
    return m[trace(m):]


def as_delivered(server, dovecot):
    look(server, dovecot, server.fresh([m for k, m in awkward()], prefix='look'), 'as delivered')
    for key, m in awkward():
        look(server, dovecot, server.fresh([m], prefix='one'), 'alone: ' + key)


def vectors(*path):
    """Files of mails that others made; none without them."""
    top = os.path.join(os.environ.get('VECTORS', '../shared/vectors'), *path)
    return sorted(
        os.path.join(d, f) for d, _, files in os.walk(top) for f in files if f != 'SOURCE.txt')


def real_mail(server, dovecot):
    """Mails of the world: those in mime/ are delivered, the mailboxes of mbox/ put in place."""
    found = [f for f in vectors('mime') if f.endswith('.eml')]
    if not found:
        print('skip  mails of others: no vectors')
        return
    name = server.fresh([as_mail(read(f)) for f in found], prefix='real')
    check('%d mails of others are delivered' % len(found),
          len(wait_mails(server, name, len(found))) == len(found))
    look(server, dovecot, name, '%d mails of others' % len(found))
    for f in vectors('mbox'):
        foreign(server, dovecot, os.path.basename(f), read(f))


def as_mail(data):
    """CR LF line ends, and without the From_ line that some were saved with."""
    data = re.sub(rb'\AFrom [^\n]*\n', b'', data.replace(b'\r', b''))
    return data.replace(b'\n', b'\r\n')


def foreign(server, dovecot, label, data):
    """A mailbox that another program has written."""
    name = server.fresh(prefix='mbox')
    as_owner(write, server.box(name), data)
    late = head('more') + b'one more\r\n'
    if FROM.match(data):
        view = agree(server, name)
        check('%s has messages' % label, len(view) > 0)
        # Dovecot takes the last line end for the separating blank line, whatever is before it
        as_owner(write, server.box(name), data.rstrip(b'\n') + b'\n\n')
        look(server, dovecot, name, label)
        server.deliver(name, [late])
        account_for('%s takes one more' % label,
                    server,
                    name,
                    view, [late],
                    forgive=lambda m: m.rstrip(b'\n'))
    else:
        # not the format that we know: nothing is shown and nothing is changed
        check('%s is no mailbox to us' % label, mails(server, name) == [])
        server.deliver(name, [late])
        check('%s takes one more' % label, [content(m) for m in mails(server, name)] == [lf(late)])
        check('%s: nothing of it is touched' % label, read(server.box(name)).startswith(data))


class Deliverer(threading.Thread):
    """Mail that comes in while others work on the mailbox."""
    def __init__(self, server, name, tag, pause=0.01):
        super().__init__(daemon=True)
        self.server, self.name, self.tag, self.pause = server, name, tag, pause
        self.done = []
        self.trouble = ''
        self.over = threading.Event()

    def run(self):
        try:
            with Smtp(self.server) as s:
                while not self.over.is_set():
                    m = head('%s-%d' % (self.tag, len(
                        self.done))) + b'From x\r\n\r\n' * random.randrange(9) + b'.\r\n'
                    s.send('outside@example.org', [self.name + '@localhost'], m)
                    self.done.append(m)
                    time.sleep(self.pause)
        except Exception as e:
            self.trouble = '%s: %s' % (type(e).__name__, e)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *a):
        self.over.set()
        self.join(30)


def account_for(label, server, name, kept, arrived, maybe=(), forgive=lambda m: m):
    """The mailbox holds these messages, each exactly once, and at most once each of `maybe`; POP3
    agrees with the file. Mail that met a locked mailbox may need some seconds."""
    want = sorted(forgive(content(m)) for m in list(kept) + list(arrived))
    state = {}

    def settled():
        rest = [forgive(content(m)) for m in agree(server, name)]
        might = [forgive(content(m)) for m in maybe]
        state['lost'] = [m for m in want if not take(rest, m)]
        state['extra'] = [m for m in rest if not take(might, m)]
        return not state['lost']

    try:
        until(settled, 20, 0.5)
    except RuntimeError as e:
        return check(label, False, e)
    return check(
        label, not state['lost'] and not state['extra'],
        'of %d lost %d, too many %d: %r' % (len(want), len(state['lost']), len(
            state['extra']), [m[:300] for m in (state['lost'] + state['extra'])[:2]]))


def take(items, x):
    if x in items:
        items.remove(x)
        return True
    return False


def appended(n, tag):
    return [lf(head('%s-%d' % (tag, i)) + b'appended\r\n') for i in range(n)]


# ---- changes ----


def mutt_changes(server, dovecot):
    name = server.fresh([m for k, m in awkward()], prefix='mutt')
    view = agree(server, name)
    mutt_change(server, server.box(name), (2, 5), (3, 4))
    account_for('mutt deletes 2 and flags 2', server, name,
                [m for i, m in enumerate(view) if i not in (1, 4)], [])
    text = read(server.box(name))
    check('mutt has left its flags', text.count(b'\nX-Status: F\n') == 2, text[:300])
    look(server, dovecot, name, 'after mutt')
    with Deliverer(server, name, 'mutt') as d:
        time.sleep(0.3)
        view = mails(server, name)
        gone = view[:2]
        mutt_change(server, server.box(name), (1, 2), (3, ))
        time.sleep(0.3)
    check('mail is taken while mutt works on the mailbox', not d.trouble and d.done, d.trouble)
    left = [m for m in view[2:] if content(m) not in [content(crlf(x)) for x in d.done]]
    account_for('mutt deletes while mail comes: nothing lost', server, name, left, d.done, gone)
    look(server, dovecot, name, 'after mutt and deliveries')


def dovecot_changes(server, dovecot):
    name = server.fresh([m for k, m in awkward()], prefix='dove')
    view = agree(server, name)
    add = [crlf(m) for m in appended(2, 'imap')]
    dovecot.imap_change(name, '2,5', '1,3', add)
    kept = [m for i, m in enumerate(view) if i not in (1, 4)]
    account_for('Dovecot expunges 2, flags 2, appends 2 by IMAP', server, name, kept, add)
    dovecot.pop3_delete(name, (1, 3))
    kept = [m for i, m in enumerate(kept) if i not in (0, 2)]
    account_for('Dovecot deletes 2 by POP3', server, name, kept, add)
    look(server, dovecot, name, 'after Dovecot')
    with Deliverer(server, name, 'dove') as d:
        for _ in range(3):
            time.sleep(0.1)
            dovecot.imap_change(name, '1', '2,3')
            time.sleep(0.1)
            dovecot.pop3_delete(name, (1, ))
    check('mail is taken while Dovecot works on the mailbox', not d.trouble and d.done, d.trouble)
    # now and then Dovecot answers OK to an EXPUNGE and expunges nothing, with any program appending
    account_for('Dovecot expunges while mail comes: nothing lost', server, name, kept[6:],
                add + d.done, kept[:6])
    look(server, dovecot, name, 'after Dovecot and deliveries')


def python_changes(server, dovecot):
    name = server.fresh([m for k, m in awkward()], prefix='py')
    view = agree(server, name)
    add = appended(3, 'py')
    as_owner(py_change, server.box(name), (1, 3), add)
    kept = [m for i, m in enumerate(view) if i not in (1, 4)]
    account_for("Python's mailbox removes 2, adds 3", server, name, kept, [crlf(m) for m in add])
    look(server, dovecot, name, 'after Python')
    with Deliverer(server, name, 'py') as d:
        for i in range(8):
            time.sleep(0.05)
            more = appended(1, 'py%d' % i)
            add += more
            as_owner(py_change, server.box(name), (0, ), more)
    check('mail is taken while Python works on the mailbox', not d.trouble and d.done, d.trouble)
    account_for("Python's mailbox removes and adds while mail comes: nothing lost", server, name,
                kept[8:], [crlf(m) for m in add] + d.done)
    look(server, dovecot, name, 'after Python and deliveries')


def py_stale(path, scanned, add, ready, go):
    """Open the mailbox, let it be rewritten beneath, then change it; again if that fails."""
    m = mailbox.mbox(path, create=False)
    if scanned:
        m.keys()
    os.write(ready, b'x')
    os.read(go, 1)
    for _ in range(5):
        try:
            m.lock()
            if not add:
                m.remove(m.keys()[-1])
            for a in add:
                m.add(a)
            m.flush()
            m.unlock()
            m.close()
            return True
        except (mailbox.ExternalClashError, KeyError, IndexError):
            m._pending = False
            m.unlock()
            m.close()
            time.sleep(0.1)
            m = mailbox.mbox(path, create=False)
    return False


def stale_handles(server, dovecot):
    """POP3 rewrites a mailbox that Python has opened and not yet locked."""
    for label, scanned, add in (('removes from a mailbox it has read', True,
                                 []), ('removes from a mailbox it has opened', False, []),
                                ('adds to a mailbox it has read', True, appended(
                                    1, 'stale')), ('adds to a mailbox it has opened', False,
                                                   appended(1, 'stale'))):
        name = server.fresh([m for k, m in awkward()], prefix='stale')
        view = agree(server, name)
        ready, go = os.pipe(), os.pipe()
        result = []
        t = threading.Thread(target=lambda: result.append(
            as_owner(py_stale, server.box(name), scanned, add, ready[1], go[0])))
        t.start()
        os.read(ready[0], 1)
        with Pop3(server, name) as p:
            p.ask('DELE 2')
            p.ask('QUIT')
        late = head('late') + b'came in between\r\n'
        server.deliver(name, [late])
        os.write(go[1], b'x')
        t.join(30)
        for fd in ready + go:
            os.close(fd)
        kept = view[:1] + view[2:] + [late]
        if add:
            kept += [crlf(m) for m in add]
        else:
            kept.pop()  # the last one is removed
        account_for('Python %s while POP3 rewrites it' % label, server, name, kept, [])


def locked_append(path, m, halves):
    """What a careful program does: fcntl lock on the file that has the name, append, unlock."""
    with open(path, 'r+b', buffering=0) as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        end = f.seek(0, 2)
        data = (b'\n' if end and os.pread(f.fileno(), 2, end - 2) != b'\n\n' else
                b'') + NEW + quote(m) + b'\n'
        if halves:
            f.write(data[:len(data) // 2])
            time.sleep(0.05)
            f.write(data[len(data) // 2:])
        else:
            f.write(data)


def append_many(path, mails, halves):
    for m in mails:
        locked_append(path, m, halves)
        time.sleep(0.02)


def appends(server, dovecot):
    name = server.fresh([m for k, m in awkward()][:3], prefix='app')
    view = agree(server, name)
    add = appended(20, 'proc')
    with Deliverer(server, name, 'proc') as d:
        for m in add:
            procmail(server, server.box(name), m)
    check('mail is taken while procmail delivers', not d.trouble and d.done, d.trouble)
    account_for('procmail delivers 20 while mail comes: nothing lost',
                server,
                name,
                view, [crlf(m) for m in add] + d.done,
                forgive=lambda m: m.rstrip(b'\n'))
    look(server, dovecot, name, 'after procmail and deliveries')
    name = server.fresh([m for k, m in awkward()][:3], prefix='app')
    view = agree(server, name)
    add = appended(30, 'lock')
    with Deliverer(server, name, 'lock') as d:
        as_owner(append_many, server.box(name), add, True)
    check('mail is taken while another program appends', not d.trouble and d.done, d.trouble)
    account_for(
        '30 appends in two halves under a lock while mail comes: nothing lost, nothing torn',
        server, name, view, [crlf(m) for m in add] + d.done)
    look(server, dovecot, name, 'after appends and deliveries')


def deleting(server, dovecot):
    """Our own POP3 deletes while others append and mail comes."""
    name = server.fresh([m for k, m in awkward()], prefix='del')
    view = agree(server, name)
    add = appended(30, 'del')
    confirmed, refused = [], 0
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0:
                os.setgid(OWNER)
                os.setuid(OWNER)
            signal.alarm(60)
            for m in add:
                while True:
                    with open(server.box(name), 'r+b', buffering=0) as f:
                        fcntl.lockf(f, fcntl.LOCK_EX)
                        if os.fstat(f.fileno()).st_ino == os.stat(server.box(name)).st_ino:
                            f.seek(0, 2)
                            f.write(NEW + quote(m) + b'\n')
                            break
                time.sleep(0.03)
        finally:
            os._exit(0)
    with Deliverer(server, name, 'del', 0.03) as d:
        for i in range(8):
            try:
                with Pop3(server, name) as p:
                    m = p.retr(1)
                    p.ask('DELE 1')
                    p.ask('QUIT')
                    confirmed.append(m)
            except RuntimeError as e:
                refused += 1
                last = str(e)
                time.sleep(0.1)
    os.waitpid(pid, 0)
    check('POP3 deletes while others append: most sessions succeed',
          len(confirmed) >= 5, '%d of 8, %s' % (len(confirmed), last if refused else ''))
    kept = [m for m in view if m not in confirmed]
    account_for(
        'POP3 deletes while another program appends and mail comes: exactly the confirmed are gone',
        server, name, kept, [crlf(m) for m in add] + d.done)
    look(server, dovecot, name, 'after POP3 deletions')


def changed_beneath(server, dovecot):
    """Another program rewrites the mailbox while a POP3 session is open."""
    for how in ('Python', 'Dovecot'):
        sent = [m for k, m in awkward()]
        name = server.fresh(sent, prefix='bene')
        view = agree(server, name)
        with Pop3(server, name) as p:
            first = p.retr(1)
            if how == 'Python':
                as_owner(py_change, server.box(name), (0, ), ())
            else:
                dovecot.imap_change(name, '1', '2')
            wrong, refused = [], 0
            for i in range(2, len(view) + 1):
                try:
                    if p.retr(i) != view[i - 1]:
                        wrong.append(i)
                except RuntimeError:
                    refused += 1
            check('%s removes a message under an open session: RETR is right or refused' % how,
                  first == view[0] and not wrong, 'wrong: %r, refused: %d' % (wrong, refused))
            marked = None
            for i in (3, 5):
                try:
                    p.ask('DELE %d' % i)
                    marked = True
                except RuntimeError:
                    pass
            gone = []
            try:
                p.ask('QUIT')
                if marked:
                    gone = [view[2], view[4]]
            except RuntimeError:
                pass
        kept = [m for m in view[1:] if m not in gone]
        account_for(
            '%s removes a message under an open session: QUIT removes the right ones or none'
            % how, server, name, kept, [], [view[2], view[4]] if not gone else ())


def held_lock(server, dovecot):
    """A mailbox that is locked for seconds holds up nobody."""
    name = server.fresh([head('a') + b'a\r\n'], prefix='held')
    other = server.fresh([head('b') + b'b\r\n'], prefix='held')
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        f = open(server.box(name), 'r+b')
        fcntl.lockf(f, fcntl.LOCK_EX)
        os.write(w, b'x')
        time.sleep(3)
        os._exit(0)
    os.read(r, 1)
    begin = time.monotonic()
    m = head('c') + b'c\r\n'
    server.deliver(name, [m])
    took = time.monotonic() - begin
    check('mail for a locked mailbox is acknowledged at once', took < 0.5, '%.2f s' % took)
    begin = time.monotonic()
    server.deliver(other, [m])
    n = len(mails(server, other))
    took = time.monotonic() - begin
    check('another mailbox works meanwhile', took < 1 and n == 2, '%.2f s' % took)
    begin = time.monotonic()
    try:
        with Pop3(server, name) as p:
            p.ask('STAT')
            answer = 'open'
    except RuntimeError as e:
        answer = str(e)
    took = time.monotonic() - begin
    check('POP3 login to a locked mailbox is answered: [IN-USE], or it is shown', took < 35 and
          (answer == 'open' or '[IN-USE]' in answer), '%.2f s, %s' % (took, answer))
    os.waitpid(pid, 0)
    os.close(r)
    os.close(w)
    ok_ = until(lambda: len(mails(server, name)) == 2, 15, 0.3)
    check('mail that met a lock is there soon after', ok_)


def dot_locks(server, dovecot):
    """Python's mailbox module lets go of its fcntl lock before it renames: only NAME.lock tells."""
    name = server.fresh([head('a') + b'a\r\n'], prefix='dot')
    lock = server.box(name) + '.lock'
    as_owner(write, lock, b'')
    server.deliver(name, [head('b') + b'b\r\n'])
    n = len(split(read(server.box(name))))
    check('mail for a mailbox with a dot lock waits', n == 1, '%d messages' % n)
    os.unlink(lock)
    check('and is there soon after', until(lambda: len(mails(server, name)) == 2, 15, 0.3))
    as_owner(write, lock, b'')
    old = time.time() - 86400
    os.utime(lock, (old, old))
    server.deliver(name, [head('c') + b'c\r\n'])
    check('a dot lock that is a day old holds up nothing',
          until(lambda: len(mails(server, name)) == 3, 15, 0.3))
    if os.path.exists(lock):
        os.unlink(lock)


def main(server, ca):
    dovecot = case('Dovecot starts', Dovecot, server)
    if not dovecot:
        return
    try:
        for f in (as_delivered, real_mail, mutt_changes, dovecot_changes, python_changes,
                  stale_handles, appends, deleting, changed_beneath, held_lock, dot_locks):
            if f.__name__ in os.environ.get('BOX', f.__name__).split(','):
                case(f.__name__, f, server, dovecot)
    finally:
        dovecot.stop()
        if failures(dovecot.log):
            check('Dovecot has nothing to complain of', False, failures(dovecot.log))


def failures(log):
    return '\n'.join(
        l for l in read(log).decode(errors='replace').splitlines()
        if re.search(r'Error|Panic|Fatal|Warning', l) and 'Killed with signal 15' not in l)[-1500:]
