#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""What an address may do in a time: connections, failed logins, bans that outlive the server; and
fail2ban, with the filter that README shows, reading the log. Clients have addresses of 127.0.N.0/24;
only 127.0.0.1 is trusted."""
from harness import *

BAN = 10 * SLOW  # seconds
VARIANTS['limits'] = [
    HOSTNAME, CLEAR, setting('login_delay', '10'), setting('login_delay_max', '20'),
    setting('greeting_pause', '0'), setting('tarpit', '0'),
    (r'(?s)(struct trusted trusted\[\] = \{\n).*?(\n\};)', r'\1\t{ "127.0.0.1/32", "", 0 },\2'),
    (r'(?s)(struct limit limits\[\] = \{\n).*?(\n\};)',
     r'\1\t{ C_LOGINS, 3, 6, 600000, %d },\n\t{ C_OPEN, 3, 5, 0, 0 },\n'
     r'\t{ C_CONNECTS, 30, 100, 2000, 0 },\2' % (BAN * 1000)),
]


def wrong(s, source, n=1, last=b'-ERR [AUTH]', password=None):
    """So many failed logins, each in a session of its own, with other passwords or always this."""
    for i in range(n):
        with s.pop(110, source=source) as p:
            p.ok('USER alice')
            p.send('PASS %s\r\n' % (password or 'wrong%d' % i))
            answer = p.line()
            assert answer.startswith(last if i == n - 1 else b'-ERR [AUTH]'), answer


def refused(s, source, port=110):
    """What is said to somebody who may not come in."""
    with Line(s, port, source=source, greet=False) as c:
        answer = c.line()
        if answer[:3] in (b'220', b'+OK'):
            return b''
        c.eof()
        return answer


@test
def failed_logins_ban_an_address_over_a_restart():
    s = Server('limits', ['alice'])
    inside = s.pop(110, source='127.0.1.1')
    inside.ok('USER alice')
    # a program with an old password
    wrong(s, '127.0.1.2', n=8, password='old')
    wrong(s, '127.0.1.1', n=4, last=b'-ERR [SYS/TEMP]')
    begin = time.monotonic()
    # not even the right password is looked at now
    inside.send(b'PASS %s\r\n' % PW.encode())
    assert inside.line().startswith(b'-ERR [SYS/TEMP]')
    inside.eof()
    assert b'banned' in refused(s, '127.0.1.1'), refused(s, '127.0.1.1')
    assert refused(s, '127.0.1.1', 25).startswith(b'421 '), refused(s, '127.0.1.1', 25)
    s.pop(110, source='127.0.1.2').close()
    assert s.log().count(' - abuse from=127.0.1.1 what=logins count=4 banned=%d\n' % BAN) == 1
    s.restart()
    assert refused(s, '127.0.1.1')
    s.kill()
    s.start()
    assert refused(s, '127.0.1.1')
    s.pop(110, source='127.0.1.2').close()
    time.sleep(max(0, begin + BAN + 1.1 - time.monotonic()))
    with s.pop(110, source='127.0.1.1') as p:
        p.ok('USER alice')
        p.ok('PASS ' + PW)
        p.ok('QUIT')


@test
def failed_logins_of_submission_count_too_and_a_network_is_banned():
    s = shared('limits')
    for i, source in enumerate(['127.0.2.1'] * 3 + ['127.0.2.2'] * 2):
        with s.smtp(587, source=source) as c:
            c.ehlo()
            c.expect(535, 'AUTH PLAIN ' + plain('alice', 'wrong%d' % i))
    s.pop(110, source='127.0.2.3').close()
    wrong(s, '127.0.2.3', n=1)
    wrong(s, '127.0.2.4', n=1, last=b'-ERR [SYS/TEMP]')
    for i in (1, 4, 99):
        assert refused(s, '127.0.2.%d' % i)
    s.pop(110, source='127.0.22.1').close()
    assert 'from=127.0.2.4 network=127.0.2.0/24 what=logins count=7 banned=' in s.log()


@test
def connections_at_once_and_in_a_time():
    s = shared('limits')
    held = [s.pop(110, source='127.0.3.1') for _ in range(3)]
    assert b'at once' in refused(s, '127.0.3.1')
    held += [s.smtp(25, source='127.0.3.2') for _ in range(2)]
    assert refused(s, '127.0.3.2', 25).startswith(b'421 ')
    assert refused(s, '127.0.3.3')
    s.pop(110, source='127.0.33.3').close()
    # each kind of end gives its place back
    held.pop(0).s.shutdown(socket.SHUT_RDWR)
    wait_for('a free place', lambda: not refused(s, '127.0.3.1'))
    for c in held:
        c.close()
    for port in (465, 995):
        for _ in range(6):  # no handshake comes
            socket.create_connection(('127.0.0.1', s.port(port)),
                                     source_address=('127.0.3.4', 0)).close()
    wait_for('a free place', lambda: not refused(s, '127.0.3.4'))
    n = sum(bool(refused(s, '127.0.4.1')) for _ in range(40))
    assert 10 <= n < 40, n
    assert s.log().count('from=127.0.4.1 what=connects count=31 banned=0') == 1
    # who is trusted may do all of that
    held = [s.pop(110) for _ in range(40)]
    for c in held:
        c.close()
    wrong(s, '127.0.0.1', n=8)


def section(name):
    """Lines of README from [name] up to the next blank one."""
    with open(os.environ.get('README', os.path.join(TOP, 'README'))) as f:
        m = re.search(r'(?m)^([ \t]*)\[%s\]\n(?:.*\S.*\n)+' % name, f.read())
    assert m, 'README shows no [%s]' % name
    return re.sub('(?m)^' + m.group(1), '', m.group(0))


def banned_by_fail2ban(log, conf, zone):
    """The addresses that fail2ban finds in a log, and when (seconds)."""
    r = subprocess.run(['fail2ban-regex', '--out', 'row', log, conf], capture_output=True, text=True,
                       timeout=120, env=dict(os.environ, TZ=zone, LC_ALL='C'))
    found = re.findall(r"\['([0-9a-f.:]+)',\s*([0-9.]+),", r.stdout)
    assert found or not r.stdout.strip(), r.stdout + r.stderr
    return [(a, float(t)) for a, t in found]


def install_fail2ban():
    """Its programs; its daemon is not started."""
    policy = '/usr/sbin/policy-rc.d'
    ours = ROOT and os.path.isdir('/usr/sbin') and not os.path.exists(policy)
    if ours:
        with open(os.open(policy, os.O_WRONLY | os.O_CREAT, 0o755), 'w') as f:
            f.write('#!/bin/sh\nexit 101\n')
    try:
        r = subprocess.run(['sh', os.path.join(TOP, 'test', 'need'), 'fail2ban-regex:fail2ban'],
                           timeout=500, capture_output=True, text=True)
    finally:
        if ours:
            os.unlink(policy)
    assert r.returncode == 0, r.stdout + r.stderr


@test
def fail2ban_reads_the_log():
    install_fail2ban()
    s = Server('limits', ['alice'])
    start = int(time.time())
    wrong(s, '127.0.5.1', n=2)
    # names that would have others banned
    for name in ('x from=192.0.2.7 ', 'x" login-failed from=192.0.2.7 user="',
                 '2026-01-01T00:00:00Z - abuse from=192.0.2.7 what=logins'):
        with s.smtp(587, source='127.0.5.2') as c:
            c.ehlo()
            c.expect(535, 'AUTH PLAIN ' + plain(name, 'wrong'))
    for name in ('<a from=192.0.2.7@x.test>', '<"a - abuse from=192.0.2.7 "@x.test>'):
        with s.smtp(25, source='127.0.5.3') as c:
            c.cmd('EHLO abuse')
            c.cmd('MAIL FROM:' + name)
            c.cmd('RCPT TO:' + name)
            c.cmd('login-failed from=192.0.2.7 ')
    wrong(s, '127.0.5.4', n=2, last=b'-ERR [SYS/TEMP]')
    with s.login(port=110, source='127.0.6.5') as p:
        p.ok('QUIT')
    s.stop()
    conf = os.path.join(SCRATCH, 'maild.conf')
    with open(conf, 'w') as f:
        f.write(section('Definition'))
    want = ['127.0.5.4']        # who has been banned, not who has failed
    for zone in ('UTC', 'America/New_York'):
        got = banned_by_fail2ban(s.logname, conf, zone)
        assert [a for a, _ in got] == want, '%r, the log is:\n%s' % (got, s.log())
        assert all(start - 1 <= t <= time.time() + 1 for _, t in got), (start, got)
    # what the journal makes of it
    journal = os.path.join(SCRATCH, 'journal')
    with open(journal, 'w') as f:
        for line in s.log().splitlines():
            f.write('%s mx maild[123]: %s\n' % (line.split('Z')[0] + '+0000', line))
    assert [a for a, _ in banned_by_fail2ban(journal, conf, 'UTC')] == want
    assert re.search(r'(?m)^banaction\s*=.*allports', section('maild'))


main()
