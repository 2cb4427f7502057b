# See LICENSE file for copyright and licence details.
"""A small world of hosts: each a process in namespaces of its own (network, mounts, PIDs, name)
with a root directory of its own, laid over this machine's; one bridge joins them.

All of it lives in the namespaces that `run` has made: when the first process of those ends,
however that may be, the kernel ends everything in them, and nothing is left."""
import os
import re
import shlex
import signal
import subprocess

import kit

TOP = os.path.normpath(os.path.dirname(os.path.abspath(__file__)) + '/../..')
LAYERS = TOP + '/build/relay/layers'
NET4, NET6 = '198.51.100.', '2001:db8::'
DNS, CLIENT = 2, 254  # last number of the name server's address and of ours

hosts = {}


def sh(command, seconds=60):
    code, out = kit.run(['sh', '-ec', command], seconds=seconds)
    if code:
        raise RuntimeError('%s: %d\n%s' % (command, code, out))
    return out


def begin(directory):
    """The bridge and our own place at it; `directory` becomes a file system in memory."""
    sh('mount --make-rprivate /; mount -t tmpfs -o mode=755 tmpfs %s' % directory)
    sh('''ip link set lo up
        ip link add br0 type bridge forward_delay 0
        ip link set br0 up
        ip addr add %s%d/24 dev br0; ip addr add %s%x/64 dev br0 nodad''' %
       (NET4, CLIENT, NET6, CLIENT))
    Host.top = directory


class Host:
    """number: its last octet; more: further numbers (its second, third ... address)."""
    top = None

    def __init__(self, name, number, layers=(), more=(), v4=True, v6=True):
        self.name, self.number, self.v4, self.v6 = name, number, v4, v6
        self.short = name.split('.')[1] if name.startswith('mx.') else name.split('.')[0]
        self.dir = Host.top + '/' + self.short
        self.root = self.dir + '/root'
        self.held = []  # processes that we wait for at the end
        copy = '; '.join('cp -a %s/%s/. upper' % (LAYERS, l) for l in layers) or ':'
        sh('''cd %s; mkdir -p upper work root; %s; chmod 755 . upper
            mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
            mount -t proc proc root/proc; mount --rbind /dev root/dev
            for d in tmp run var/mail var/spool var/log home
            do mkdir -p root/$d; mount -t tmpfs -o mode=755 tmpfs root/$d; done
            chmod 1777 root/tmp root/var/mail root/var/log; mkdir root/run/lock
            rm -f root/etc/cron.d/* root/etc/mail.rc''' %
           (self.made(), copy))
        self.init = subprocess.Popen(
            ['unshare', '--mount', '--net', '--uts', '--ipc', '--pid', '--fork',
             '--root=' + self.root, 'sh', '-c',
             'mount -t proc proc /proc; hostname %s; echo up; while :; do sleep 3600; done' % name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        if self.init.stdout.readline() != b'up\n':
            raise RuntimeError('no namespaces for ' + name)
        kids = kit.read('/proc/%d/task/%d/children' % (self.init.pid, self.init.pid))
        self.pid = int(kids.split()[0])
        self.join([number] + list(more))
        self.names()
        hosts[self.short] = self

    def made(self):
        os.mkdir(self.dir, 0o755)
        return self.dir

    def join(self, numbers):
        sh('''ip link add v%s type veth peer name eth0 netns %d
            ip link set v%s master br0 up''' % (self.short, self.pid, self.short))
        self.sh('ip link set lo up; ip link set eth0 up')
        if not self.v6:
            self.sh('echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6')
        for n in numbers:
            self.address(n)

    def address(self, n, verb='add'):
        if self.v4:
            self.sh('ip addr %s %s%d/24 dev eth0' % (verb, NET4, n))
        if self.v6:
            more = '' if verb == 'del' else 'nodad' if n == self.number else 'nodad preferred_lft 0'
            self.sh('ip addr %s %s%x/64 dev eth0 %s' % (verb, NET6, n, more))

    def names(self):
        self.write('/etc/resolv.conf', 'nameserver %s%d\n' % (NET4, DNS) if self.v4 else
                   'nameserver %s%x\n' % (NET6, DNS))
        own = '%s%d' % (NET4, self.number) if self.v4 else '%s%x' % (NET6, self.number)
        self.write('/etc/hosts', '127.0.0.1 localhost\n::1 localhost\n%s %s %s\n' %
                   (own, self.name, self.short))
        self.write('/etc/hostname', self.name + '\n')
        self.write('/etc/mailname', self.name + '\n')
        self.write('/etc/nsswitch.conf',
                   'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n')
        self.write('/etc/aliases', '')

    # -- files ----
    def path(self, name):
        return self.root + name

    def write(self, name, text, mode=0o644, owner=None):
        p = self.path(name)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        if os.path.islink(p) or os.path.exists(p):
            os.unlink(p)
        kit.write(p, text, mode)
        os.chmod(p, mode)
        if owner:
            self.sh('chown %s %s' % (owner, shlex.quote(name)))

    def read(self, name):
        try:
            return kit.read(self.path(name))
        except FileNotFoundError:
            return b''

    def user(self, name, number):
        """An account with a home, unless the machine has it."""
        for f, line in (('passwd', '%s:x:%d:%d::/home/%s:/bin/sh\n'), ('group', '%s:x:%d:\n'),
                        ('shadow', '%s:*:19000:0:99999:7:::\n')):
            text = self.read('/etc/' + f).decode()
            if not re.search('(?m)^%s:' % name, text):
                values = {'passwd': (name, number, number, name), 'group': (name, number),
                          'shadow': (name, )}[f]
                self.write('/etc/' + f, text + line % values, 0o640 if f == 'shadow' else 0o644)
        self.sh('mkdir -p /home/%s; chown %s:%s /home/%s' % ((name, ) * 4))

    # -- programs ----
    def inside(self, argv):
        return ['nsenter', '-t', str(self.pid), '-m', '-n', '-u', '-i', '-p', '--root=' +
                '/proc/%d/root' % self.pid, '--wd=/proc/%d/root' % self.pid] + list(argv)

    def run(self, argv, data=b'', seconds=60):
        return kit.run(self.inside(argv), data, seconds=seconds)

    def sh(self, command, data=b'', seconds=60):
        code, out = self.run(['sh', '-ec', command], data, seconds)
        if code:
            raise RuntimeError('%s: %s: %d\n%s' % (self.short, command, code, out))
        return out

    def start(self, argv, log):
        """A program that stays in the foreground; what it says goes to a file."""
        with open(self.path(log), 'ab') as f:
            p = subprocess.Popen(self.inside(argv), stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                 start_new_session=True)
        self.held.append(p)
        return p

    def listens(self, port):
        """Is somebody there? Seen from the kernel's table, without a connection."""
        want = ':%04X ' % port
        for f in ('tcp', 'tcp6'):
            text = kit.read('/proc/%d/net/%s' % (self.pid, f)).decode()
            for line in text.splitlines()[1:]:
                w = line.split()
                if (w[1] + ' ').endswith(want) and w[3] == '0A':
                    return True
        return False

    def wait_port(self, port, seconds=20):
        if not kit.until(lambda: self.listens(port), seconds):
            raise RuntimeError('%s: nobody listens on port %d\n%s' %
                               (self.short, port, self.tail()))

    logs = ()

    def tail(self, n=15):
        out = []
        for l in self.logs:
            out += [l + ':'] + self.read(l).decode(errors='replace').splitlines()[-n:]
        return '\n'.join(out)

    def log(self):
        return self.read(self.logs[0]).decode(errors='replace')

    def end(self):
        if self.init.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.init.wait(20)
        for p in self.held:
            p.wait(20)


def end():
    for h in hosts.values():
        h.end()


def save(directory):
    """What the hosts wrote, for those who want to know more than a test says."""
    sh('rm -rf %s; mkdir -p %s' % (directory, directory))
    for h in hosts.values():
        sh('mkdir %s/%s; cd %s; cp -a var/log var/mail home etc %s/%s 2>/dev/null || :' %
           (directory, h.short, h.root, directory, h.short))
