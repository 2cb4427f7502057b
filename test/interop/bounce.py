# See LICENSE file for copyright and licence details.
"""Reports to senders as others read them: Python's email module (structure, every field of RFC
3464), and two programs that evaluate bounces, Mail::DeliveryStatus::BounceParser and Sisimai. The
reports are those of test/unit/t_bounce.c: ordinary ones, and all that hostile servers can do to
them. It needs no server: bounce.py runs alone too."""
import email
import email.utils
import glob
import re
import shutil
import tempfile

from kit import *

TOP = os.path.normpath(HERE + '/../..')
NEED = ['gcc', 'perl', '-libmail-deliverystatus-bounceparser-perl', '-libsisimai-perl']

# The report of test_bytes(), by its original recipient
ORDINARY = b'x+y@list.example'

# RFC 3464 2.2 and 2.3: what may be there, once each, and how it looks
ADDRESS = r'(rfc822; ?[ -~]+|utf-8; ?[^\x00-\x1f\x7f]+)'
DATE = r'\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000'
MESSAGE = {
    'Original-Envelope-Id': r'[^\x00-\x1f\x7f]+',
    'Reporting-MTA': r'dns; mx\.example\.org',
    'Arrival-Date': DATE,
}
RECIPIENT = {
    'Original-Recipient': ADDRESS,
    'Final-Recipient': ADDRESS,
    'Action': r'failed|delayed|relayed|delivered',
    'Status': r'[245]\.\d{1,3}\.\d{1,3}',
    'Remote-MTA': r'dns; [^\x00-\x1f\x7f]+',
    'Diagnostic-Code': r'(smtp; \d\d\d( |$)|X-Maild; )[^\x00-\x1f\x7f]*',
    'Last-Attempt-Date': DATE,
    'Final-Log-ID': r'[0-9a-f]{21}',
    'Will-Retry-Until': DATE,
}
CLASSES = {'failed': '45', 'delayed': '4', 'relayed': '2', 'delivered': '2'}

# Each: files; for each a line "recipient action status" with a comma between recipients
PARSER = r'''
use strict;
use Mail::DeliveryStatus::BounceParser;
for my $f (@ARGV) {
    local $/;
    open my $h, '<:raw', $f or die;
    my $b = Mail::DeliveryStatus::BounceParser->new(<$h>);
    print join(',', map { join ' ', map { $_ // '' } $_->get('email'), $_->get('action'),
        $_->get('status') } $b->reports), "\n";
}
'''
SISIMAI = r'''
use strict;
use Sisimai;
for my $f (@ARGV) {
    my $v = Sisimai->make($f, delivered => 1) || [];
    print join(',', map { join ' ', $_->recipient->address, $_->action,
        $_->deliverystatus } @$v), "\n";
}
'''


def build(top):
    """The reports of the unit test, as mails without their From_ line."""
    src = TOP + '/test/unit/t_bounce.c'
    with open(src) as f:
        parts = re.match(r'/\* with: (.*) \*/', f.readline()).group(1).split()
    env = {
        'CC': 'gcc', 'LDFLAGS': '', 'CONFIG': 'test/unit/t_rooms.h',
        'CFLAGS': '-std=c11 -O1 -D_GNU_SOURCE= -I' + TOP
    }
    binary = top + '/t_bounce'
    code, said = run(['sh', HERE + '/../build', binary, src] + [TOP + '/' + p for p in parts],
                     env=env,
                     cwd=TOP,
                     seconds=300)
    if code:
        raise RuntimeError(said)
    for d in ('/work', '/reports'):
        os.mkdir(top + d)
    code, said = run([binary], env={'BOUNCES': top + '/reports'}, cwd=top + '/work', seconds=300)
    if code:
        raise RuntimeError(said)
    files = sorted(glob.glob(top + '/reports/*.eml'))
    for f in files:
        text = read(f).partition(b'\n')[2]
        write(f, re.sub(rb'(?m)^>(>*From )', rb'\1', text))
    return files


def fields(group, allowed, wanted):
    """What is wrong with a group of fields; '' if nothing."""
    names = [n for n, _ in group.items()]
    for n in names:
        if n not in allowed or names.count(n) > 1:
            return 'field %s' % n
        value = re.sub(r'\r?\n', '', str(group[n]))
        if not re.fullmatch(allowed[n], value):
            return '%s: %r' % (n, value)
    missing = [n for n in wanted if n not in names]
    return 'no %s' % missing if missing else ''


def status_error(part, raw):
    """message/delivery-status, and the same of message/global-delivery-status."""
    if part.get_content_subtype() == 'delivery-status':
        groups = part.get_payload()
    else:
        # unknown to Python: taken apart here, each group as a header
        groups = [email.message_from_string(g) for g in raw.decode().strip().split('\n\n')[1:]]
    if len(groups) < 2:
        return 'no recipient'
    error = fields(groups[0], MESSAGE, ['Reporting-MTA', 'Arrival-Date'])
    for g in groups[1:]:
        error = error or fields(g, RECIPIENT,
                                ['Final-Recipient', 'Action', 'Status', 'Last-Attempt-Date'])
        if not error and g['Status'][0] not in CLASSES[g['Action']]:
            error = 'status %s of action %s' % (g['Status'], g['Action'])
        if not error and ('Will-Retry-Until' in g) != (g['Action'] == 'delayed'):
            error = 'Will-Retry-Until'
        if g.defects or g.get_payload():
            error = error or 'defects %s %r' % (g.defects, g.get_payload())
    return error


def head_error(m):
    want = {
        'Return-Path': '<>', 'From': 'Mail Delivery System <MAILER-DAEMON@mx.example.org>',
        'Auto-Submitted': 'auto-replied', 'MIME-Version': '1.0'
    }
    for n in want:
        if m.get_all(n) != [want[n]]:
            return '%s: %s' % (n, m.get_all(n))
    known = set(want) | {
        'Delivered-To', 'Received', 'Date', 'To', 'Subject', 'Message-ID', 'Content-Type',
        'Content-Transfer-Encoding'
    }
    strange = [n for n in m.keys() if n not in known or len(m.get_all(n)) != 1]
    if strange:
        return 'fields %s' % strange
    if len(email.utils.getaddresses(m.get_all('To'))) != 1:
        return 'To: %s' % m['To']
    return '' if email.utils.parsedate_tz(m['Date']) else 'Date: %s' % m['Date']


def error_of(text):
    """What is wrong with a report; '' if nothing."""
    m = email.message_from_bytes(text)
    if m.defects or head_error(m):
        return '%s %s' % (m.defects, head_error(m))
    if (m.get_content_type() != 'multipart/report' or
            m.get_param('report-type') != 'delivery-status'):
        return m['Content-Type']
    parts = m.get_payload()
    types = [p.get_content_type() for p in parts]
    if len(parts) != 3 or types[0] != 'text/plain' or not re.fullmatch(
            r'message/(global-)?delivery-status', types[1]) or types[2] not in (
                'text/rfc822-headers', 'message/rfc822', 'message/global-headers',
                'message/global'):
        return str(types)
    for p in parts:
        if p.defects:
            return '%s %s' % (p.get_content_type(), p.defects)
    parts[0].get_payload(decode=True).decode(parts[0].get_content_charset())
    if any(len(line) > 998 for line in text.split(b'\n')) or b'\0' in text or b'\r' in text:
        return 'its lines'
    raw = text.split(b'\n--' + m.get_boundary().encode())
    return status_error(parts[1], raw[2]) if len(raw) == 5 else '%d boundaries' % len(raw)


def evaluate(name, script, files, want):
    code, said = run(['perl', '-e', script] + files)
    check('%s understands an ordinary report' % name, code == 0 and
          said.splitlines() == want, said)


def reports(top):
    files = build(top)
    check('there are reports of all kinds', len(files) > 1000, len(files))
    bad = [(f, e) for f, e in ((f, error_of(read(f))) for f in files) if e]
    check('%d reports are what RFC 3464 and RFC 6522 say' % len(files), not bad,
          bad and '%d are not: %s\n%s' % (len(bad), bad[0], read(bad[0][0])[:1500]))
    ids = [email.message_from_bytes(read(f))['Message-ID'] for f in files]
    check('each has a Message-ID of its own', len(set(ids)) == len(ids))
    full = [m for m in (email.message_from_bytes(read(f)) for f in files)
            if m.get_payload()[2].get_content_type() == 'message/rfc822']
    check('a letter that came along whole is taken apart again',
          full and full[0].get_payload()[2].get_payload()[0].get_payload() == 'The text.\n',
          full and full[0].as_string())
    ordinary = [f for f in files if ORDINARY in read(f)][:1]
    evaluate('Mail::DeliveryStatus::BounceParser', PARSER, ordinary,
             ['x+y@list.example failed 5.1.1,y@dead.example failed 4.4.1'])
    evaluate('Sisimai', SISIMAI, ordinary,
             ['x@far.example failed 5.1.1,y@dead.example failed 4.4.1'])


def main(server=None, ca=None):
    code, said = run(['sh', HERE + '/../need'] + NEED, seconds=500)
    if not check('what this needs is there', code == 0, said):
        return
    top = tempfile.mkdtemp(prefix='bounce.')
    try:
        case('reports', reports, top)
    finally:
        shutil.rmtree(top)


if __name__ == '__main__':
    import kit
    main()
    print('%d passed, %d failed' % (kit.passed, kit.failed))
    sys.exit(1 if kit.failed or not kit.passed else 0)
