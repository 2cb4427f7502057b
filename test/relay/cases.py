# See LICENSE file for copyright and licence details.
"""cases.py DIR [-k] [PART...]: what is proved in the world; `run` starts it in the namespaces."""
import ctypes
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, HERE + '/../interop', HERE + '/../e2e']

import kit
import letters
import names
import parts
import prepare
import servers
import strangers
import world
from world import Host


class World:
    def __init__(self):
        """All hosts, started beside each other where that is no matter."""
        begin = time.monotonic()
        self.one = Host('mx.maild.test', 10)
        self.two = Host('mx.two.test', 11, v6=False)
        self.six = Host('mx.six.test', 12, v4=False)
        self.m1 = servers.Maild(self.one, 'relay', 'maild.test', ['alice', 'carol'])
        self.m2 = servers.Maild(self.two, 'relay-two', 'two.test', ['alice'])
        self.m6 = servers.Maild(self.six, 'relay-six', 'six.test', ['alice'])
        self.dns = Host('dns.test', world.DNS, ['dns'],
                        [names.AUTHORITY, names.NASTY, names.DEAD])
        dkim = self.m1.dkim()
        names.start(self.dns, [dkim, prepare.signing()])
        self.px = Host('mx.px.test', 20, ['postfix'], [21, 22, 23])
        servers.postfix(self.px, dkim)
        self.ex = Host('mx.ex.test', 30, ['exim'], [31])
        servers.exim(self.ex)
        self.os = Host('mx.os.test', 40, ['opensmtpd'], [41])
        servers.opensmtpd(self.os)
        self.ch = Host('mx.ch.test', 50, ['chasquid'])
        servers.chasquid(self.ch)
        self.dove = Host('dove.test', 60, ['dovecot'])
        servers.dovecot(self.dove)
        # what nobody has is not even looked for with ARP: connections to it go nowhere
        self.one.sh('ip neigh add %s%d lladdr 02:00:00:00:00:66 dev eth0 nud permanent' %
                    (world.NET4, names.DROPPED))
        self.two.write('/etc/resolv.conf', 'nameserver %s%d\nnameserver %s%d\n' %
                       (world.NET4, names.DEAD, world.NET4, names.NASTY))
        self.m1.secrets(kit.read(prepare.KEYS + '/ca.pem'), 'good %s %s' % servers.SMART,
                        'bad %s wrong-%s' % servers.SMART)
        self.one.sh('ip route add 203.0.113.0/24 dev eth0; ip route add 2001:db8:1::/64 dev eth0')
        for m in (self.m1, self.m2, self.m6):
            m.start()
        self.alice = letters.Desk(self.m1)
        self.two_alice = letters.Desk(self.m2)
        self.six_alice = letters.Desk(self.m6, host='%s%x' % (world.NET6, 12))
        print('      the world: %.0f s' % (time.monotonic() - begin), flush=True)


    def put_aside(self, l):
        """It has been seen to wait: no more attempts (and not in the middle of one)."""
        kit.until(lambda: self.one.run(['maild', 'hold', l.id])[0] == 0, 10)

    def idle(self, l):
        """Is nothing of a letter on its way in a maild?"""
        return not any(m.holds(l) for m in (self.m1, self.m2, self.m6))


def run_parts(w, chosen):
    """All are begun, then one after the other is looked at."""
    going = []
    for f in parts.PARTS + strangers.PARTS:
        if chosen and f.__name__.strip('_') not in chosen:
            continue
        g = f(w)
        begin = time.monotonic()
        if kit.case(f.__name__, lambda: next(g, 'done') is None):
            going.append((f, g, time.monotonic() - begin))
    for f, g, spent in going:
        begin = time.monotonic()
        kit.case(f.__name__, lambda: next(g, 0))
        print('      %s: %.1f + %.1f s' % (f.__name__.strip('_'), spent,
                                           time.monotonic() - begin), flush=True)
    kit.case('ending', parts.ending, w)


def shell():
    print('nsenter -a -t %d' % os.getpid(), {n: h.pid for n, h in world.hosts.items()}, flush=True)
    signal.pause()


def end_with_parent():
    """The death of `unshare` is ours, and so that of the whole world (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)


def main():
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))
    end_with_parent()
    args = sys.argv[2:]
    keep = args[:1] == ['-k']
    try:
        world.begin(sys.argv[1])
        w = World()
        if args == ['shell']:
            shell()
        run_parts(w, args[keep:])
    except KeyboardInterrupt:
        print('interrupted')
        kit.failed += 1
    except Exception as e:
        kit.check('the world', False, e)
    finally:
        if keep:
            world.save(prepare.BUILD + '/kept')
        world.end()
    print('%d passed, %d failed' % (kit.passed, kit.failed))
    return 1 if kit.failed or not kit.passed else 0


if __name__ == '__main__':
    sys.exit(main())
