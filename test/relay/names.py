# See LICENSE file for copyright and licence details.
"""The names of the world: one zone, the root, served by nsd; unbound answers the hosts' questions
from it.  What no real server says is said by nasty.py, next to it."""
import ipaddress
import os

import kit
from world import DNS, NET4, NET6

AUTHORITY, NASTY, DEAD = 3, 4, 5  # more addresses of the host `dns`; nothing answers at the last
DROPPED = 66  # an address that nobody has

# host: last octet
ADDRESSES = {
    'mx.maild.test': 10, 'mx.two.test': 11, 'mx.six.test': 12,
    'mx.px.test': 20, 'mxplain.px.test': 21, 'mxold.px.test': 22, 'mxseven.px.test': 23,
    'mx.ex.test': 30, 'mxplain.ex.test': 31, 'smart.test': 30, 'other.test': 30,
    'mx.os.test': 40, 'mxplain.os.test': 41,
    'mx.ch.test': 50, 'dove.test': 60, 'late.ex.test': 32,
    'refuses.test': DEAD, 'fallback.test': 20, 'mxnoaddr.test': 20,
}
ONLY4 = {'mx.two.test', 'dropped.test'}
ONLY6 = {'mx.six.test'}
ADDRESSES['dropped.test'] = DROPPED
for short, n in (('px', 20), ('ex', 30), ('os', 40), ('ch', 50)):
    ADDRESSES['mx4.%s.test' % short] = ADDRESSES['mx6.%s.test' % short] = n
    ONLY4.add('mx4.%s.test' % short)
    ONLY6.add('mx6.%s.test' % short)

# domain: (preference, exchanger)...
EXCHANGERS = {
    'maild.test': [(10, 'mx.maild.test')], 'two.test': [(10, 'mx.two.test')],
    'six.test': [(10, 'mx.six.test')],
    'old.test': [(10, 'mxold.px.test')],  # its STARTTLS fails
    'seven.test': [(10, 'mxseven.px.test')],  # knows neither 8BITMIME nor PIPELINING nor TLS
    'dead.test': [(10, 'refuses.test'), (20, 'mx.px.test')],
    'drop.test': [(10, 'dropped.test'), (20, 'mx.px.test')],
    'gone.test': [(10, 'refuses.test')],
    'null.test': [(0, '')],
    'cname.test': [(10, 'www.px.test')],
    'noaddr2.test': [(5, 'empty.test'), (10, 'mx.px.test')],
    'mxnoaddr.test': [(10, 'empty.test')],
    'nxmx.test': [(10, 'nowhere.invalid')],
    'primary.test': [(10, 'late.ex.test'), (20, 'mx.maild.test')],
    'lmtp.test': [(10, 'mx.maild.test')],
    'denied.test': [(10, 'mx.ex.test')],
    'self.test': [(10, 'mx.maild.test'), (20, 'mx.px.test')],
    'big.test': [(10, 'mx.px.test')] +
                [(20, 'an-exchanger-with-a-long-name-number-%d.big.test' % i) for i in range(40)],
    'tc.test': [(10, 'mx.px.test')],
    'xn--bcher-kva.test': [(10, 'mx.px.test')],
}
for short in ('px', 'ex', 'os', 'ch'):
    EXCHANGERS['%s.test' % short] = [(10, 'mx.%s.test' % short)]
    for kind in ('plain', '4', '6'):
        EXCHANGERS['v%s.%s.test' % (kind, short)] = [(10, 'mx%s.%s.test' % (kind, short))]
for domain in ('smart587', 'smart465', 'smartca', 'badpw', 'nopw', 'badname', 'badpin'):
    EXCHANGERS[domain + '.test'] = [(10, 'mx.ex.test')]
CNAMES = {'www.px.test': 'mx.px.test', 'canon.test': 'px.test', 'fallcname.test': 'fallback.test'}
# who is local where, next to its own names
LOCAL = {
    'px': ['dead.test', 'drop.test', 'cname.test', 'canon.test', 'fallcname.test', 'fallback.test',
           'noaddr2.test', 'mxnoaddr.test', 'big.test', 'tc.test', 'old.test', 'seven.test',
           'self.test', 'b\u00fccher.test'],
    'ex': ['smart587.test', 'smart465.test', 'smartca.test', 'badpw.test', 'nopw.test',
           'badname.test', 'badpin.test', 'primary.test'],
    'os': [], 'ch': [],
}
# domain: what it says about those who send for it
POLICIES = {'strict.test': 'v=spf1 ip4:192.0.2.1 -all', 'nameless.test': 'v=spf1 ?all'}
for short in ('maild', 'two', 'six', 'px', 'ex', 'os', 'ch'):
    POLICIES['%s.test' % short] = 'v=spf1 mx -all'
    POLICIES['mx.%s.test' % short] = 'v=spf1 a -all'
for domain in ('strict', 'px', 'maild', 'two'):
    POLICIES['_dmarc.%s.test' % domain] = 'v=DMARC1; p=reject'
# unbound asks nasty.py for these
STRANGE = ['servfail.test', 'refused.test', 'silent.test', 'lame.test', 'garbage.test']


def local(short):
    return [d % short for d in ('%s.test', 'v4.%s.test', 'v6.%s.test', 'vplain.%s.test')
            ] + LOCAL[short]


def zone(records):
    named = set()
    out = ['$TTL 300', '. IN SOA ns.test. hostmaster.test. 1 3600 600 86400 2',
           '. IN NS ns.test.', 'ns.test. IN A %s%d' % (NET4, AUTHORITY),
           'empty.test. IN TXT "no address"']
    for h, n in sorted(ADDRESSES.items()):
        if h not in ONLY6:
            out.append('%s. IN A %s%d' % (h, NET4, n))
        if h not in ONLY4:
            out.append('%s. IN AAAA %s%x' % (h, NET6, n))
        if n not in named and h.startswith('mx.'):
            named.add(n)
            out.append('%d.100.51.198.in-addr.arpa. IN PTR %s.' % (n, h))
            nibbles = ipaddress.ip_address('%s%x' % (NET6, n)).reverse_pointer
            out.append('%s. IN PTR %s.' % (nibbles, h))
    for d, l in sorted(EXCHANGERS.items()):
        out += ['%s. IN MX %d %s.' % (d, p, x) for p, x in l]
    out += ['%s. IN TXT "%s"' % p for p in sorted(POLICIES.items())]
    out += ['%s. IN CNAME %s.' % c for c in sorted(CNAMES.items())]
    return '\n'.join(out + records) + '\n'


def start(h, records):
    """The name servers on the host `dns`; records: more lines of the zone."""
    h.logs = ('/var/log/nsd.log', '/var/log/unbound.log', '/var/log/nasty.log')
    h.user('nsd', 921)
    h.user('unbound', 922)
    h.write('/etc/nsd/root.zone', zone(records))
    h.write(
        '/etc/nsd/nsd.conf',
        '''server:
	ip-address: %s%d
	username: nsd
	chroot: ""
	zonesdir: /etc/nsd
	database: ""
	pidfile: /run/nsd.pid
	xfrdfile: /run/xfrd.state
	zonelistfile: /run/zone.list
	xfrdir: /tmp
	server-count: 1
remote-control:
	control-enable: no
zone:
	name: .
	zonefile: root.zone
''' % (NET4, AUTHORITY))
    h.sh('chown nsd /run /var/log; nsd-checkconf /etc/nsd/nsd.conf')
    stubs = ''.join('stub-zone:\n\tname: %s\n\tstub-addr: %s%d\n\tstub-no-cache: yes\n' %
                    (d, NET4, NASTY) for d in STRANGE)
    h.write(
        '/etc/unbound/unbound.conf',
        '''server:
	interface: %s%d
	interface: %s%x
	access-control: 0.0.0.0/0 allow
	access-control: ::/0 allow
	outgoing-interface: %s%d
	module-config: "iterator"
	username: unbound
	chroot: ""
	directory: /etc/unbound
	pidfile: /run/unbound.pid
	use-syslog: no
	logfile: /var/log/unbound.log
	log-queries: yes
	num-threads: 1
	do-not-query-localhost: no
	max-udp-size: 512
	infra-host-ttl: 0
	qname-minimisation: no
	local-zone: test nodefault
	local-zone: invalid nodefault
	local-zone: 8.b.d.0.1.0.0.2.ip6.arpa nodefault
	local-zone: 100.51.198.in-addr.arpa nodefault
	unblock-lan-zones: yes
	insecure-lan-zones: yes
remote-control:
	control-enable: no
stub-zone:
	name: .
	stub-addr: %s%d
	stub-prime: no
%s''' % (NET4, DNS, NET6, DNS, NET4, DNS, NET4, AUTHORITY, stubs))
    h.sh('chown unbound /var/log; touch /var/log/unbound.log; chown unbound /var/log/unbound.log')
    h.start(['nsd', '-d', '-c', '/etc/nsd/nsd.conf'], '/var/log/nsd.log')
    h.write('/nasty.py', kit.read(os.path.dirname(os.path.abspath(__file__)) + '/nasty.py'))
    h.start(['python3', '-B', '/nasty.py', '%s%d' % (NET4, NASTY), '%s%d' % (NET4, DNS)],
            '/var/log/nasty.log')
    h.start(['unbound', '-d', '-c', '/etc/unbound/unbound.conf'], '/var/log/unbound.log')
    h.wait_port(53)
    if not kit.until(lambda: answers(h), 20):
        raise RuntimeError('the name servers do not answer\n' + h.tail())


def answers(h):
    return '%s10' % NET4 in h.run(['getent', 'ahostsv4', 'mx.maild.test'], seconds=5)[1]
