#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""A power cut: the server runs in a small virtual machine whose every disk write is logged, clients
here talk to it, and the disk is rebuilt as it could look after a cut at many moments. Each rebuilt
disk is mounted, the server started on it, and all compared with what had been confirmed until then.

  powercut.py [--fs ext4|xfs] [-n STATES] [-s SEED] [-k DIR] BINARY KERNELDIR WORKDIR

BINARY is maild built with rig.crash_config(); KERNELDIR an unpacked linux-image package. Needs
qemu, busybox (static), cpio, gzip, mkfs and root. Software emulation: KVM is not everywhere.
A state of the disk after a cut: everything up to the last flush before the cut, and of the writes
after it none, all, a random half, or a random half of their pieces of 4096 or 512 bytes - what a
volatile write cache may do. Writes with FUA are whole. Half of the cuts are made exactly when a
client had been told that its mail is safe. The final line is `N passed, N failed`; a test is one
disk state (and one is that all went well while the machine ran)."""
import argparse, os, random, re, shutil, socket, struct, subprocess, sys, threading, time
sys.dont_write_bytecode = True
import rig

SECTOR, FLUSH, FUA, DISCARD, MARK = 512, 1, 2, 4, 8
FORWARD = "busybox nc 127.0.0.1 %d" % rig.SINK[1]     # from the guest to the sink
MODULES = ('virtio_blk', 'virtio_net', 'virtio_pci', 'xfs')

INIT = '''#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc p /proc
mount -t sysfs s /sys
mount -t devtmpfs d /dev
mount -t tmpfs t /tmp
for m in $(cat /mod/order); do insmod /mod/$m; done
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
mount -t %s /dev/vda /mnt && echo MOUNTED
%s
echo SERVER-ENDED
sleep 1000
'''


class Disk:
    """The log of all writes (dm-log-writes format), as qemu's blklogwrites keeps it."""

    def __init__(self, path):
        self.f = open(path, 'rb')
        self.entries = []

    def mark(self):
        """How many entries there are now."""
        return struct.unpack('<QQQI', os.pread(self.f.fileno(), 28, 0))[2]

    def load(self):
        _, _, n, size = struct.unpack('<QQQI', os.pread(self.f.fileno(), 28, 0))
        at = size
        for _ in range(n):
            sector, count, flags, _ = struct.unpack('<QQQQ', os.pread(self.f.fileno(), 32, at))
            at += size
            data = None if flags & (DISCARD | MARK) or not count else at
            self.entries.append((sector * size, count * size, flags, data))
            if data:
                at += count * size

    def pieces(self, entry, how, rnd):
        """Which parts of a write that no flush has covered survive: (offset, length) pairs."""
        n = entry[1]
        if how == 'all' or how == 'half' and rnd.random() < .5:
            return [(0, n)]
        if how in ('pages', 'sectors'):
            step = 4096 if how == 'pages' else SECTOR
            return [(i, min(step, n - i)) for i in range(0, n, step) if rnd.random() < .5]
        return []

    def rebuild(self, path, cut, how, rnd):
        last = max([i for i in range(cut) if self.entries[i][2] & FLUSH], default=-1)
        fd = os.open(path, os.O_WRONLY)
        for i, e in enumerate(self.entries[:cut]):
            if e[3] is None:
                continue
            whole = i < last or e[2] & FUA
            for at, n in [(0, e[1])] if whole else self.pieces(e, how, rnd):
                os.pwrite(fd, os.pread(self.f.fileno(), n, e[3] + at), e[0] + at)
        os.close(fd)
        return cut - 1 - last


def module_files(kernel):
    """The modules we need and what they need, in an order that loads."""
    top = os.path.join(kernel, 'lib/modules')
    top = os.path.join(top, os.listdir(top)[0])
    files = {}
    for d, _, names in os.walk(top):
        for f in names:
            m = re.match(r'(.*)\.ko(\.xz|\.zst)?$', f)
            if m:
                files[m.group(1).replace('-', '_')] = os.path.join(d, f)
    order = []

    def need(name):
        path = files.get(name)
        if not path or path in order:
            return
        unpack = {'xz': ['xz', '-dc'], 'st': ['zstd', '-dc']}.get(path[-2:], ['cat'])
        data = subprocess.run(unpack + [path], check=True, stdout=subprocess.PIPE).stdout
        m = re.search(rb'(?:^|\0)depends=([^\0]*)\0', data)
        for dep in m.group(1).decode().split(',') if m else ():
            need(dep.replace('-', '_'))
        if path not in order:
            order.append(path)
            plain[path] = data

    plain = {}
    for name in MODULES:
        need(name)
    return [(re.sub(r'\.(xz|zst)$', '', os.path.basename(p)), plain[p]) for p in order]


def initrd(o, w):
    for d in ('bin', 'proc', 'sys', 'dev', 'mnt', 'mod', 'tmp', 'etc'):
        os.makedirs(os.path.join(w, 'rd', d))
    shutil.copy('/bin/busybox', w + '/rd/bin/busybox')
    shutil.copy(o.binary, w + '/rd/bin/maild')
    order = module_files(o.kernel)
    for name, data in order:
        with open(os.path.join(w, 'rd/mod', name), 'wb') as f:
            f.write(data)
    with open(w + '/rd/mod/order', 'w') as f:
        f.write('\n'.join(n for n, _ in order) + '\n')
    with open(w + '/rd/init', 'w') as f:
        f.write(INIT % (o.fs, 'maild -d /mnt/store'))
    for f in ('/rd/init', '/rd/bin/maild', '/rd/bin/busybox'):
        os.chmod(w + f, 0o755)
    subprocess.run('cd rd && find . | cpio -o -H newc --quiet | gzip -1 >../rd.gz', shell=True,
                   check=True, cwd=w)


def disks(o, w):
    """The disk before the machine starts: accounts and some mail are on it. Returns the book."""
    book = rig.template(o.binary, w + '/template', 1000)
    size = '300M' if o.fs == 'xfs' else '64M'
    subprocess.run(['truncate', '-s', size, w + '/disk'], check=True)
    subprocess.run(['mkfs.' + o.fs, '-q', w + '/disk'], check=True, stderr=subprocess.DEVNULL)
    os.makedirs(w + '/m')
    subprocess.run(['mount', '-o', 'loop', w + '/disk', w + '/m'], check=True)
    rig.copy(w + '/template', w + '/m/store')
    subprocess.run(['umount', w + '/m'], check=True)
    subprocess.run(['cp', '--sparse=always', w + '/disk', w + '/base'], check=True)
    subprocess.run(['truncate', '-s', '2G', w + '/log'], check=True)
    return book


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Machine:
    def __init__(self, o, w):
        boot = os.path.join(o.kernel, 'boot')
        image = [f for f in os.listdir(boot) if f.startswith('vmlinuz')][0]
        self.console = w + '/console'
        self.smtp, self.pop3 = free_port(), free_port()
        net = ('user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:%d-:25,hostfwd=tcp:127.0.0.1:%d-:110,'
               'guestfwd=tcp:%s:%d-cmd:%s')
        with open(self.console, 'w') as f:
            self.p = subprocess.Popen([
                'qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', '192', '-nographic',
                '-no-reboot', '-kernel', os.path.join(boot, image), '-initrd', 'rd.gz',
                '-append', 'console=ttyS0 panic=-1 quiet', '-blockdev',
                'driver=file,node-name=f0,filename=disk', '-blockdev',
                'driver=file,node-name=l0,filename=log', '-blockdev',
                'driver=blklogwrites,node-name=b0,file=f0,log=l0,log-super-update-interval=1',
                # blklogwrites before 9.0 garbles its log when zeroes are written as such
                '-device', 'virtio-blk-pci,drive=b0,write-cache=on,write-zeroes=off,discard=off',
                '-netdev', net % (self.smtp, self.pop3, *rig.SINK, FORWARD),
                '-device', 'virtio-net-pci,netdev=n0,romfile='],
                cwd=w, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)

    def said(self):
        with open(self.console, errors='replace') as f:
            return f.read()

    def up(self):
        end = time.time() + 120
        while time.time() < end and self.p.poll() is None and 'SERVER-ENDED' not in self.said():
            if 'MOUNTED' in self.said():
                try:
                    with socket.create_connection(('127.0.0.1', self.smtp), timeout=5) as s:
                        if s.recv(512).startswith(b'220'):
                            return
                except OSError:
                    pass
            time.sleep(.2)
        raise SystemExit('the machine did not come up:\n' + self.said()[-1500:])

    def end(self):
        self.p.kill()
        self.p.wait()


def client(world, k, stop, seconds):
    """One of several: letters, some to two mailboxes, some large, and its own maildrop to tidy."""
    rnd = random.Random('%d' % k)
    mine, i, end = rig.USERS[k], 0, time.time() + seconds
    while time.time() < end and not stop.is_set():
        i += 1
        # the letters are short, so that much happens; every 20th is a file of its own
        b = world.book
        size = (80 << 10) if i % 20 == 7 else rnd.choice((500, 1500, 6000))
        to = [mine] if i % 5 else [mine, 'frank']
        to = ['%s@far.example' % mine] if i % 6 == 4 else to
        batch = [b.letter('p%d-%d-%d' % (k, i, j), to, size) for j in range(1 + i % 3)]
        try:
            rig.deliver(world, batch)
            if i % 4 == 3:
                rig.delete(world, mine, [
                    lambda t: t[:], lambda t: t[-2:], lambda t: t[:1] + t[2:3],
                    lambda t: t[len(t) // 3:len(t) // 2]][rnd.randrange(4)])
            if i % 7 == 6:
                time.sleep(rnd.random() * .3)
        except rig.Gone as e:
            world.fault('client %d: %s', k, e)
            return


def work(o, w, book, sink):
    """Run the machine and the clients; returns the disk's log and the faults seen meanwhile."""
    m, disk = Machine(o, w), None
    try:
        m.up()
        disk = Disk(w + '/log')
        world = rig.World(book, m.smtp, m.pop3, mark=disk.mark)
        sink.mark = disk.mark
        stop = threading.Event()
        ts = [threading.Thread(target=client, args=(world, k, stop, o.time)) for k in range(4)]
        for t in ts:
            t.start()
        for t in ts:
            t.join(o.time + 60)
        stop.set()
    finally:
        m.end()
    if 'Kernel panic' in m.said() or 'SERVER-ENDED' in m.said():
        world.fault('the guest: %s', m.said()[-600:])
    disk.load()
    return disk, world.faults


def moments(o, disk, book, rnd):
    """Where to cut, and what becomes of the writes no flush has covered."""
    acks = [t[1] for m in book.letters.values() for t in m.tries if t[2] == 'yes' and t[1]]
    acks += [d.after for d in book.deletions if d.outcome == 'yes']
    n, first = len(disk.entries), min(acks)
    kinds = ('none', 'all', 'half', 'pages', 'sectors')
    for k in range(o.states):
        # 'none' right after a confirmation is the hardest: it comes most often
        if k % 2:
            yield rnd.choice(acks), rnd.choice(kinds + ('none', 'none'))
        else:
            yield rnd.randint(first, n), kinds[k // 2 % len(kinds)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument('binary')
    ap.add_argument('kernel')
    ap.add_argument('workdir')
    ap.add_argument('--fs', default='ext4', choices=('ext4', 'xfs'))
    ap.add_argument('-n', '--states', type=int, default=40)
    ap.add_argument('-s', '--seed', type=int, default=int(time.time()))
    ap.add_argument('-t', '--time', type=int, default=15, help='seconds of work before the end')
    ap.add_argument('-k', '--keep', help='copy the bad disks there')
    o = ap.parse_args()
    o.binary, o.kernel = os.path.abspath(o.binary), os.path.abspath(o.kernel)
    rnd, w, begun = random.Random(o.seed), os.path.abspath(o.workdir), time.time()
    if os.path.exists(w + '/rd'):
        raise SystemExit(w + ' has been used already')
    os.makedirs(w, exist_ok=True)
    initrd(o, w)
    book = disks(o, w)
    old = set(book.letters)
    sink = rig.Sink()
    disk, faults = work(o, w, book, sink)
    was = sink.got
    failed = 1 if faults else 0
    for f in faults[:5]:
        print('BAD while it ran: ' + f)
    sent = [m for t, m in book.letters.items() if t not in old]
    print('%s, seed %d: %d letters and %d deletions confirmed, %d sent on, %d writes and '
          '%d flushes, %.0f s' % (
        o.fs, o.seed, sum(m.count()[0] for m in sent),
        sum(len(d.toks) for d in book.deletions if d.outcome == 'yes'), len(was),
        sum(1 for e in disk.entries if e[3]), sum(e[2] & FLUSH for e in disk.entries),
        time.time() - begun), flush=True)
    for k, (cut, how) in enumerate(moments(o, disk, book, rnd)):
        sink.got, sink.text = {}, {}
        bad = state(o, w, disk, book, cut, how, rnd) + [
            f for f in far(book, was, sink, cut)]
        if bad:
            failed += 1
            print('BAD %s: cut at entry %d of %d, of the uncovered writes: %s' %
                  (o.fs, cut, len(disk.entries), how))
            for f in bad:
                print('    ' + f.rstrip())
            if o.keep:
                os.makedirs(o.keep, exist_ok=True)
                shutil.copy(w + '/crash', '%s/%s-%d-%s' % (o.keep, o.fs, cut, how))
                subprocess.run(['cp', '--sparse=always', w + '/log', o.keep + '/log'], check=True)
    print('%s: %d disk states, %d bad, %.0f s' % (o.fs, o.states, failed, time.time() - begun))
    print('%d passed, %d failed' % (o.states + 1 - failed, failed))
    return failed > 0


def far(book, was, sink, cut):
    """Mail for the other server that was confirmed before the cut has gone, or goes now, whole."""
    for m in book.letters.values():
        least = m.count(cut)[0]
        for r in [r for r in m.rcpts if '@' in r]:
            before = [k for k in was.get((m.tok, r), ()) if k <= cut]
            now = sink.got.get((m.tok, r), ())
            if len(before) + len(now) < least or len(now) > 1:
                yield '%s: %s went %d times before, %d times now' % (
                    r, m.tok, len(before), len(now))
            if now and not sink.text[m.tok].endswith(b'\r\n' + m.text):
                yield '%s: %s is torn or changed' % (r, m.tok)


def send_rest(o, store):
    """What waits for the other server goes now."""
    srv = rig.Server(o.binary, store, 1000)
    if srv.up():
        subprocess.run([o.binary, '-d', store, 'flush'], check=False, stdout=subprocess.DEVNULL)
    end = time.time() + rig.WAIT
    while os.listdir(store + '/spool/out') and time.time() < end:
        time.sleep(.02)
    srv.stop()


def mount(o, w):
    """Mount the rebuilt disk; False if that is not to be done. Of ext4, the super block (two
    sectors, read before the journal) may be torn: fsck, which a boot runs, has copies of it."""
    cmd = ['mount', '-o', 'loop', w + '/crash', w + '/m']
    if not subprocess.run(cmd).returncode:
        return True
    if o.fs != 'ext4' or subprocess.run(['fsck.ext4', '-y', w + '/crash'],
                                        stdout=subprocess.DEVNULL).returncode > 1:
        return False
    print('mounted after fsck')
    return not subprocess.run(cmd).returncode


def state(o, w, disk, book, cut, how, rnd):
    """Rebuild the disk, mount it, judge the store on it."""
    subprocess.run(['cp', '--sparse=always', w + '/base', w + '/crash'], check=True)
    disk.rebuild(w + '/crash', cut, how, rnd)
    if o.keep:
        shutil.copy(w + '/crash', w + '/crash.was')
    if not mount(o, w):
        return ['the file system cannot be mounted']
    try:
        send_rest(o, w + '/m/store')
        bad = rig.judge(o.binary, w + '/m/store', 1000, book, rig.USERS, cut)
        if bad:
            with open(w + '/m/store.judge') as f:
                rows = [r for r in f if ' pop3 ' not in r]
            bad = bad[:6] + ['the server said:'] + rows[1:12]
        return bad
    finally:
        subprocess.run(['umount', w + '/m'], check=True)
        if o.keep:
            os.replace(w + '/crash.was', w + '/crash')


if __name__ == '__main__':
    sys.exit(main())
