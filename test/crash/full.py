#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""Disks that really fill up, run out of inodes or die under the server (no injection).

  full.py BINARY WORKDIR

BINARY is maild built with rig.crash_config(). Small file systems (tmpfs, ext4, xfs) are filled with
mail; the answers must be 4xx, mail that was accepted must be readable, a start on the full disk
must work, and when there is room again everything goes on. Needs root. The final line is
`N passed, N failed`."""
import os, shutil, signal, subprocess, sys, time
sys.dont_write_bytecode = True
import rig

ADD = 1000


class Place:
    """A small file system with a store, and the book of that store."""

    def __init__(self, work, template, book, kind, inodes=False):
        self.kind, self.image = kind, os.path.join(work, kind + '.img')
        self.mnt = os.path.join(work, kind)
        self.store = os.path.join(self.mnt, 'store')
        self.book = rig.Book(book)
        os.makedirs(self.mnt, exist_ok=True)
        if kind == 'tmpfs':
            few = ',nr_inodes=60' if inodes else ''
            run('mount', '-t', 'tmpfs', '-o', 'size=3m' + few, 'none', self.mnt)
        else:
            run('rm', '-f', self.image)
            run('truncate', '-s', '300M' if kind == 'xfs' else '8M', self.image)
            few = ['-N', '64', '-m', '0'] if inodes else []
            run('mkfs.' + kind, '-q', *few, self.image)
            self.mount()
        rig.copy(template, self.store)
        run('sync', '-f', self.mnt)
        if kind == 'xfs':           # its least size is a lot: leave 3 MiB
            v = os.statvfs(self.mnt)
            run('fallocate', '-l', str(v.f_bavail * v.f_frsize - (3 << 20)), self.mnt + '/filler')
        self.extra = os.path.join(self.mnt, 'extra')
        self.spare = os.path.join(self.mnt, 'spare')      # room that somebody can make
        run('fallocate', '-l', '512K', self.spare)
        self.log = os.path.join(work, kind + '.log')
        open(self.log, 'w').close()

    def mount(self):
        run('mount', '-o', 'loop', self.image, self.mnt)

    def umount(self):
        run('umount', self.mnt)

    def fill_inodes(self):
        os.makedirs(self.extra, exist_ok=True)
        try:
            for i in range(10000):
                with open('%s/%d' % (self.extra, i), 'x'):
                    pass
        except OSError:
            pass


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def world_of(srv, book):
    return rig.World(book, 25 + ADD, 110 + ADD, alive=srv.alive)


def readable(world, place):
    """With a full disk: every mailbox opens, or says that it is for now that it does not."""
    for u in rig.USERS:
        p = rig.Pop3(world, u)
        try:
            if p.ok:
                p.cmd('QUIT')
            elif '[SYS/TEMP]' not in p.why and '[IN-USE]' not in p.why:
                world.fault('%s on a bad disk: %s', u, p.why)
        except rig.Gone:        # in the middle of an answer it cannot say more
            if not world.alive():
                raise
        p.close()


def fill(world, size, tag):
    """Letters until ten in a row are refused; returns how many were taken."""
    taken = refused = i = 0
    while refused < 10 and i < 2000:
        before = len(world.refused)
        to = ['alice', 'bob'][:1 + i % 2]
        rig.deliver(world, [world.book.letter('%s%d' % (tag, i), to, size)])
        more = len(world.refused) > before
        refused, taken, i = (refused + 1 if more else 0), taken + (not more), i + 1
    if i == 2000:
        world.fault('the disk never filled')
    return taken


def room(binary, place):
    """Fill it with mail, large and small; crash; start; make room; go on."""
    faults = []
    srv = rig.Server(binary, place.store, ADD, log=place.log)
    if not srv.up():
        return ['no start: ' + srv.log()[-300:]]
    w = world_of(srv, place.book)
    took = [fill(w, size, 's%d-' % size) for size in (150 << 10, 20 << 10, 700)]
    readable(w, place)
    if not any(r.startswith('452') for r in w.refused):
        w.fault('full, and no 452: %s', w.refused[-1:])
    lines = srv.log().count('\n')
    if lines > 3000:
        w.fault('%d log lines', lines)
    os.kill(srv.p.pid, signal.SIGKILL)
    srv.p.wait()
    srv = rig.Server(binary, place.store, ADD, log=place.log)
    if not srv.up():
        w.fault('no start on a full disk: %s', srv.log()[-300:])
    else:
        readable(w, place)
        w.patient = True
        os.unlink(place.spare)      # without any reserve (config.h) recovery may have no room
        rig.delete(w, 'bob', lambda toks: toks)     # needs no room: the file is cut to nothing
        rig.delete(w, 'dave', lambda toks: toks[:2])
        time.sleep(.2)
        rig.deliver(w, [w.book.letter('room-again', ['carol'], 2000)])
    code = srv.stop()
    if code:
        w.fault('exit %s', code)
    faults += w.faults + rig.judge(binary, place.store, ADD, place.book, rig.USERS, twice=True)
    return faults, 'took %s' % took


def inodes(binary, place):
    """No file can be made; then some can."""
    srv = rig.Server(binary, place.store, ADD, log=place.log)
    if not srv.up():
        return ['no start: ' + srv.log()[-300:]]
    w = world_of(srv, place.book)
    place.fill_inodes()
    for i in range(6):
        size = (700, 150 << 10)[i % 2]
        rig.deliver(w, [w.book.letter('i%d' % i, ['alice', 'carol'], size)])
    readable(w, place)
    shutil.rmtree(place.extra)
    w.patient = True
    rig.deliver(w, [w.book.letter('free', ['alice', 'carol'])])
    rig.delete(w, 'frank', lambda toks: toks[1:3])
    place.fill_inodes()
    code = srv.stop()
    if code:
        w.fault('exit %s', code)
    shutil.rmtree(place.extra)
    return w.faults + rig.judge(binary, place.store, ADD, place.book, rig.USERS), ''


def dies(binary, place):
    """Every call fails from one moment to the next; then the machine gets its disk back."""
    srv = rig.Server(binary, place.store, ADD, log=place.log)
    if not srv.up():
        return ['no start: ' + srv.log()[-300:]]
    w = world_of(srv, place.book)
    rig.deliver(w, [w.book.letter('d%d' % i, ['alice']) for i in range(5)],
                [w.book.letter('D', ['bob'], 150 << 10)])
    run('xfs_io', '-x', '-c', 'shutdown', place.mnt)
    before = srv.log().count('\n')
    for i in range(4):
        size = (700, 150 << 10)[i % 2]
        rig.deliver(w, [w.book.letter('x%d' % i, ['alice', 'carol'], size)])
    readable(w, place)
    if not w.refused:
        w.fault('nothing was refused by a dead disk')
    time.sleep(.3)
    lines = srv.log().count('\n') - before
    if not 0 < lines < 60:
        w.fault('%d log lines for a dead disk:\n%s', lines, srv.log()[-600:])
    srv.stop()
    place.umount()
    place.mount()
    faults = w.faults + rig.judge(binary, place.store, ADD, place.book, rig.USERS)
    return faults, '%d log lines' % lines


def main():
    binary, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    os.makedirs(work, exist_ok=True)
    os.environ['JUDGE_LOG'] = os.path.join(work, 'judge.log')
    template = os.path.join(work, 'template')
    shutil.rmtree(template, ignore_errors=True)
    book = rig.template(binary, template, ADD)
    passed = failed = 0
    for test, kind, few in ((room, 'tmpfs', False), (room, 'ext4', False), (room, 'xfs', False),
                            (inodes, 'tmpfs', True), (inodes, 'ext4', True),
                            (dies, 'ext4', False), (dies, 'xfs', False)):
        t, place = time.time(), Place(work, template, book, kind, few)
        try:
            r = test(binary, place)
            faults, note = r if isinstance(r, tuple) else (r, '')
        except rig.Gone as e:
            with open(place.log, errors='replace') as f:
                faults, note = ['the server is gone: %s; %s' % (e, f.read()[-400:])], ''
        finally:
            subprocess.run(['umount', '-l', place.mnt], check=False)
        passed, failed = passed + (not faults), failed + bool(faults)
        for f in faults[:6]:
            print('BAD %s on %s: %s' % (test.__name__, kind, f))
        print('%-7s %-6s %s %.0f s %s' % (test.__name__, kind, 'BAD' if faults else 'ok',
                                          time.time() - t, note), flush=True)
    print('%d passed, %d failed' % (passed, failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
