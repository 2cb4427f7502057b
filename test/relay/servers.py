# See LICENSE file for copyright and licence details.
"""The servers of the world: Postfix, Exim, OpenSMTPD, chasquid, Dovecot and maild, each set up in
its host and started.  On the first four bob is a user (also carl and dora on Postfix) whose mail
lies in ~/Maildir."""
import os
import re
import signal

import kit
from names import local
from prepare import BUILD, KEYS, SELECTOR, SIGNED
from world import DNS, NET4, NET6

SMART = ('maild', 'a smart Password')  # what the smarthost wants
PASSWORD = kit.PASSWORD
# Exim's addresses of another network, without a name: what nameless.test sends comes from there
NAMELESS = '203.0.113.31', '2001:db8:1::1f'


def key(h, name, owner='root'):
    for end in ('pem', 'key'):
        h.write('/etc/tls/%s.%s' % (name, end), kit.read('%s/%s.%s' % (KEYS, name, end)), 0o600,
                owner)
    return '/etc/tls/%s.pem' % name, '/etc/tls/%s.key' % name


def maildir(h, user):
    """What has been delivered, file by file: (name, octets)."""
    d = h.path('/home/%s/Maildir/new' % user)
    if not os.path.isdir(d):
        return []
    return [(f, kit.read(d + '/' + f)) for f in sorted(os.listdir(d))]


# ---- Postfix ----

POSTFIX = '''compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.px.test
mydomain = px.test
myorigin = px.test
mydestination = %(domains)s
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = all
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps = unix:passwd.byname
biff = no
home_mailbox = Maildir/
message_size_limit = 30000000
mailbox_size_limit = 0
maillog_file = /var/log/postfix.log
smtpd_tls_cert_file = %(cert)s
smtpd_tls_key_file = %(key)s
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893
non_smtpd_milters = inet:127.0.0.1:8892
internal_mail_filter_classes = bounce
milter_default_action = tempfail
minimal_backoff_time = 5s
maximal_backoff_time = 10s
queue_run_delay = 5s
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
'''
# Postfix's own list of services has more; these do for mail in, out and local
MASTER = '''pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
'''


def postfix(h, dkim):
    """dkim: the key of maild.test, as the zone has it."""
    h.logs = ('/var/log/postfix.log', '/var/log/opendkim.log', '/var/log/opendmarc.log')
    h.user('postfix', 911)
    h.user('postdrop', 912)
    h.user('opendkim', 913)
    h.user('opendmarc', 923)
    for i, u in enumerate(('bob', 'carl', 'dora', 'late')):
        h.user(u, 2001 + i)
    cert, private = key(h, 'mx.px.test')
    v = dict(domains=', '.join(local('px')), cert=cert, key=private)
    master = MASTER
    for n, more in ((20, ''), (21, '-o smtpd_tls_security_level=none'),
                    (22, '-o smtpd_tls_protocols=TLSv1'),
                    (23, '-o smtpd_tls_security_level=none '
                     '-o smtpd_discard_ehlo_keywords=8bitmime,pipelining,smtputf8,dsn,chunking')):
        for address in ('%s%d' % (NET4, n), '[%s%x]' % (NET6, n)):
            master += '%s:25 inet n - n - - smtpd %s\n' % (address, more)
    h.write('/etc/postfix/main.cf', POSTFIX % v)
    h.write('/etc/postfix/master.cf', master)
    # its mail is refused after it has been taken
    h.write('/home/late/.forward', '"|exit 67"\n', 0o644, 'late')
    h.write(
        '/etc/opendkim.conf', 'Mode v\nSocket inet:8891@127.0.0.1\nUserID opendkim\n'
        'AuthservID mx.px.test\nAlwaysAddARHeader yes\nSyslog no\n'
        'TestPublicKeys /etc/keys\nPidFile /run/opendkim.pid\n')
    # from a file: its resolver falls over itself when many letters come at once (dkimpy takes the
    # key from the zone)
    h.write('/etc/keys', '%s %s\n' % (dkim.split()[0].rstrip('.'), ''.join(
        re.findall('"([^"]*)"', dkim))))
    # what its own people send is signed
    h.write('/etc/sign.pem', kit.read(KEYS + '/dkim.pem'), 0o600, 'opendkim')
    h.write(
        '/etc/opendkim-sign.conf', 'Mode s\nSocket inet:8892@127.0.0.1\nUserID opendkim\n'
        'Domain %s\nSelector %s\nKeyFile /etc/sign.pem\nCanonicalization relaxed/simple\n'
        'Syslog no\nPidFile /run/opendkim-sign.pid\n' % (SIGNED, SELECTOR))
    h.write(
        '/etc/opendmarc.conf', 'Socket inet:8893@127.0.0.1\nUserID opendmarc\n'
        'AuthservID mx.px.test\nTrustedAuthservIDs mx.px.test\nSPFIgnoreResults true\n'
        'SPFSelfValidate true\nSyslog false\nPidFile /run/opendmarc.pid\n')
    h.sh('''mkdir -p /var/spool/postfix /var/lib/postfix; chown postfix /var/lib/postfix
        touch /var/log/postfix.log
        postfix set-permissions 2>/dev/null || :
        chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
        chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue''')
    h.start(['opendkim', '-f', '-x', '/etc/opendkim.conf'], '/var/log/opendkim.log')
    h.start(['opendkim', '-f', '-x', '/etc/opendkim-sign.conf'], '/var/log/opendkim.log')
    h.start(['opendmarc', '-f', '-c', '/etc/opendmarc.conf'], '/var/log/opendmarc.log')
    for port in (8891, 8892, 8893):
        h.wait_port(port)
    h.start(['postfix', 'start-fg'], '/var/log/postfix-start.log')
    h.wait_port(25)


# ---- Exim, which is the smarthost too ----

EXIM = '''primary_hostname = mx.ex.test
domainlist local_domains = %(domains)s
spool_directory = /var/spool/exim
log_file_path = /var/log/exim/%%slog
local_interfaces = <; 0.0.0.0 ; ::0
daemon_smtp_ports = 25 : 465 : 587
tls_on_connect_ports = 465
tls_advertise_hosts = ${if or{{eq{$received_ip_address}{%(plain4)s}}\\
	{eq{$received_ip_address}{%(plain6)s}}}{}{*}}
tls_certificate = %(cert)s
tls_privatekey = %(key)s
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
log_selector = +smtp_connection +tls_cipher +incoming_port +incoming_interface +received_recipients
keep_environment =
qualify_domain = ex.test
trusted_users = root
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
message_size_limit = 30M
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept hosts = :
  accept authenticated = *
  accept domains = +local_domains
    endpass
    verify = recipient
  deny message = relay not permitted
begin routers
outside:
  driver = dnslookup
  domains = ! +local_domains
  transport = remote_smtp
  no_more
localuser:
  driver = accept
  check_local_user
  transport = local_delivery
  cannot_route_message = Unknown user
begin transports
remote_smtp:
  driver = smtp
  message_linelength_limit = 100000
  interface = ${if eq{$sender_address_domain}{nameless.test}{<; %(nameless)s}}
local_delivery:
  driver = appendfile
  directory = $home/Maildir
  create_directory
  maildir_format
  envelope_to_add
  return_path_add
begin retry
* * F,1m,2s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{%(name)s}}{eq{$auth3}{%(password)s}}}}
  server_set_id = $auth2
'''


def exim(h):
    h.sh('''ip addr add %s/24 dev eth0
        ip addr add %s/64 dev eth0 nodad preferred_lft 0''' % NAMELESS)
    h.logs = ('/var/log/exim/mainlog', '/var/log/exim/paniclog')
    h.user('Debian-exim', 914)
    for i, u in enumerate(('bob', 'carl')):
        h.user(u, 2001 + i)
    cert, private = key(h, 'smart', 'Debian-exim')
    h.write(
        '/etc/exim4/exim4.conf', EXIM %
        dict(domains=' : '.join(local('ex')), cert=cert, key=private, plain4='%s31' % NET4,
             plain6='%s%x' % (NET6, 31), nameless=' ; '.join(NAMELESS),
             name=SMART[0], password=SMART[1]), 0o640,
        'root:Debian-exim')
    h.sh('''mkdir -p /var/spool/exim /var/log/exim
        chown Debian-exim:Debian-exim /var/spool/exim /var/log/exim
        chmod 4755 /usr/sbin/exim4''')
    h.start(['exim4', '-bdf', '-q2s'], '/var/log/exim-start.log')
    h.wait_port(25)


# ---- OpenSMTPD. Debian 12's offers STARTTLS and then fails ("missing private key") ----


def opensmtpd(h):
    h.logs = ('/var/log/smtpd.log', )
    h.user('opensmtpd', 915)
    h.user('opensmtpq', 916)
    h.user('bob', 2001)
    cert, private = key(h, 'mx.os.test')
    lines = ['pki ours cert "%s"' % cert, 'pki ours key "%s"' % private,
             'smtp max-message-size "30M"', 'table domains { %s }' %
             ', '.join('"%s"' % d for d in local('os')), 'listen on lo']
    for n, more in ((40, ' tls pki ours'), (41, '')):
        for address in ('%s%d' % (NET4, n), '%s%x' % (NET6, n)):
            lines.append('listen on %s port 25%s hostname mx.os.test' % (address, more))
    lines += ['action "local" maildir "%{user.directory}/Maildir"', 'action "out" relay',
              'match from any for domain <domains> action "local"',
              'match from local for any action "out"']
    h.write('/etc/smtpd.conf', '\n'.join(lines) + '\n')
    h.write('/etc/mailname', 'os.test\n')
    h.sh('''mkdir -p /var/lib/opensmtpd/empty; chmod 711 /var/lib/opensmtpd/empty
        mkdir -p /var/spool/smtpd; chmod 711 /var/spool/smtpd
        chgrp opensmtpq /usr/sbin/smtpctl; chmod 2755 /usr/sbin/smtpctl
        smtpd -n''')
    h.start(['smtpd', '-d', '-v'], '/var/log/smtpd.log')
    h.wait_port(25)


# ---- chasquid ----

DELIVER = '''#!/bin/sh
d=/home/$1/Maildir
mkdir -p $d/new $d/tmp
f=$(mktemp $d/tmp/XXXXXXXX)
printf 'Return-Path: <%s>\\n' "$2" >$f
cat >>$f && mv $f $d/new/
'''


def chasquid(h):
    h.logs = ('/var/log/chasquid-mail.log', '/var/log/chasquid.log')
    h.user('bob', 2001)
    h.user('mail', 8)
    h.write('/deliver', DELIVER, 0o755)
    c = '/etc/chasquid'
    # its hook asks whichever scanners this machine happens to have
    h.sh('rm -rf %s/domains %s/certs %s/hooks; mkdir -p %s/certs/mx.ch.test' % (c, c, c, c))
    cert, private = key(h, 'mx.ch.test')
    h.sh('cp %s %s/certs/mx.ch.test/fullchain.pem; cp %s %s/certs/mx.ch.test/privkey.pem' %
         (cert, c, private, c))
    h.write(
        c + '/chasquid.conf', '''hostname: "mx.ch.test"
max_data_size_mb: 30
smtp_address: ":25"
submission_address: ":587"
data_dir: "/var/lib/chasquid"
mail_log_path: "/var/log/chasquid-mail.log"
mail_delivery_agent_bin: "/deliver"
mail_delivery_agent_args: "%to_user%"
mail_delivery_agent_args: "%from%"
''')
    for d in local('ch'):
        h.sh('mkdir -p %s/domains/%s; chasquid-util -C=%s user-add bob@%s --password="%s"' %
             (c, d, c, d, PASSWORD))
    h.start(['chasquid', '--config_dir=' + c], '/var/log/chasquid.log')
    h.wait_port(25)


# ---- Dovecot, for LMTP ----

DOVECOT = '''base_dir = /run/dovecot
state_dir = /var/lib/dovecot
log_path = /var/log/dovecot.log
protocols = lmtp
listen = *, ::
ssl = no
mail_location = maildir:~/Maildir
mail_plugins = quota
lda_mailbox_autocreate = yes
first_valid_uid = 1000
auth_username_format = %n
quota_full_tempfail = no
passdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = /etc/dovecot/users
}
plugin {
  quota = maildir:User quota
}
protocol lmtp {
  mail_plugins = quota
  postmaster_address = postmaster@lmtp.test
}
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
'''


def dovecot(h):
    h.logs = ('/var/log/dovecot.log', )
    users = ''
    for n, (u, rule) in enumerate((('bob', '*:storage=100M'), ('full', '*:bytes=300'))):
        h.user(u, 2001 + n)
        users += '%s:{PLAIN}x:%d:%d::/home/%s::userdb_quota_rule=%s\n' % (u, 2001 + n, 2001 + n, u,
                                                                          rule)
    for n, u in enumerate(('dovecot', 'dovenull')):
        h.user(u, 917 + n)
    h.write('/etc/dovecot/users', users)
    h.write('/etc/dovecot/relay.conf', DOVECOT)
    h.start(['dovecot', '-F', '-c', '/etc/dovecot/relay.conf'], '/var/log/dovecot-start.log')
    h.wait_port(24)


# ---- maild ----


class Maild:
    """As an owner runs it: by root, at the usual ports, its store where config.h has it."""
    store = '/var/mail/maild'
    log = '/var/log/maild.log'

    def __init__(self, h, variant, domain, users):
        self.h, self.domain = h, domain
        h.logs = (self.log, )
        h.write('/sbin/maild', kit.read(BUILD + '/bin-' + variant), 0o755)
        self.p = None
        for u in users:
            h.sh('maild passwd ' + u, PASSWORD.encode() + b'\n')

    def dkim(self):
        """Make the key; the lines for the zone."""
        return self.h.sh('maild dkim ' + self.domain)

    def secrets(self, ca, *lines):
        """What routes with "ca" and those with a password want to find in the store."""
        owner = '8025:8025'
        self.h.write(self.store + '/tls/ca.pem', ca, 0o600, owner)
        self.h.write(self.store + '/secrets', '\n'.join(lines) + '\n', 0o600, owner)

    def start(self):
        self.p = self.h.start(['maild'], self.log)
        self.h.wait_port(25)
        return self

    def stop(self):
        """As `systemctl stop` does it: True if it ended by itself and well."""
        for child in kit.read('/proc/%d/task/%d/children' % (self.p.pid, self.p.pid)).split():
            os.kill(int(child), signal.SIGTERM)
        return self.p.wait(20) == 0

    def words(self):
        return self.h.read(self.log).decode(errors='replace')

    def events(self, *patterns):
        """Lines of the log in which all these are found."""
        return [l for l in self.words().splitlines() if all(re.search(p, l) for p in patterns)]

    def box(self, user):
        """The messages of a mailbox (LF), trace fields and all."""
        data = self.h.read('%s/mail/%s' % (self.store, user))
        return kit.split(data) if data else []

    def queue(self):
        return self.h.run(['maild', 'queue'])[1]

    def files(self, room):
        return os.listdir(self.h.path('%s/spool/%s' % (self.store, room)))

    def waiting(self):
        return self.files('out')

    def holds(self, l):
        """Does a letter wait here, or a report about it?"""
        for room in ('out', 'hold', 'queue'):
            for f in self.files(room):
                if l.token.encode() in self.h.read('%s/spool/%s/%s' % (self.store, room, f)):
                    return True
        return False

    def about(self, l):
        """What the log says of a letter."""
        return '\n'.join(self.events(l.id)) if l.id else self.words()[-1500:]
