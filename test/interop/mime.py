# See LICENSE file for copyright and licence details.
"""Names of attachments: what Python's email package writes, in all the ways it can, lib/mime.c
finds; then the messages are damaged at random, and it finds at least what Python's parser (by its
old rules and by its new ones) and Perl's MIME-tools see in them.  The mails of VECTORS/mime too."""
import email.header
import email.message
import email.mime.base
import email.mime.message
import email.mime.multipart
import email.mime.text
import email.policy
import glob
import random
import re
import urllib.parse
import warnings

from kit import *

TOP = os.path.normpath(HERE + '/../..')
PARTS = ['lib/%s.c' % n for n in ('mime', 'words', 'addr', 'text')]

# Each file: a tab and FILE, then a line for each name, as MIME-tools has it
PERL = r'''
use strict;
use MIME::Parser;
binmode STDOUT, ':utf8';
sub names {
    my ($e) = @_;
    my $n = $e->head->recommended_filename;
    if (defined $n) { $n =~ s/[\x00-\x1f]/?/g; print "$n\n"; }
    names($_) for $e->parts;
}
for my $f (@ARGV) {
    print "\t$f\n";
    my $p = MIME::Parser->new;
    $p->output_to_core(1);
    $p->tmp_to_core(1);
    $p->extract_uuencode(0);
    my $e = eval { $p->parse_open($f) };
    names($e) if $e;
}
'''


def build(server):
    out = server.top + '/mime'
    env = {
        'CC': os.environ.get('CC') or 'musl-gcc', 'LDFLAGS': '-static',
        'CFLAGS': '-std=c11 -O1 -D_POSIX_C_SOURCE=200809L -I' + TOP
    }
    src = [HERE + '/mime.c'] + [TOP + '/' + p for p in PARTS]
    if 'musl-gcc' in env['CC']:
        src.append(TOP + '/lib/compat.c')
    code, said = run(['sh', HERE + '/../build', out] + src, env=env, cwd=TOP)
    return check('mime: the reading program is built', code == 0, said) and out


def names(argv, files):
    """What a program tells of each file: [[name]]"""
    found = []
    for i in range(0, len(files), 500):
        out = subprocess.run(argv + files[i:i + 500], capture_output=True, timeout=300)
        if out.returncode:
            raise RuntimeError(out.stderr[-1000:])
        for line in out.stdout.decode('utf-8', 'replace').split('\n')[:-1]:
            if line.startswith('\t'):
                found.append([])
            else:
                found[-1].append(line)
    if len(found) != len(files):
        raise RuntimeError('%d of %d files' % (len(found), len(files)))
    return found


# ---- messages ----

WORDS = [
    'a', 'report', 'final', 'x y', 'caf\u00e9', '\u00fcber', '\u65e5\u672c\u8a9e', '\u20ac 100',
    '100%', 'a;b', 'a=b', "it's", 'a(b)', 'a,b', '[a]', 'a?b', '=?x', '_', '\U0001f600', 'a..b',
    'x' * 70, '\u5831\u544a' * 15, 'name=c', 'a&b', '#1', '\u0416\u0434\u0443', 'a@b', '<a>'
]
ENDS = ['.exe', '.txt', '.pdf', '.tar.gz', '.Scr', '.vbs', '.\u0442\u0435\u043a\u0441\u0442', '']


def some_name(rnd):
    return rnd.choice(['', '', ' ']).join(
        rnd.choice(WORDS) for i in range(rnd.randint(1, 3))) + rnd.choice(ENDS) or 'a'


def charset_of(name, rnd):
    for c in rnd.sample(['us-ascii', 'iso-8859-1', 'windows-1252'], 3):
        try:
            name.encode(c)
            return c
        except UnicodeError:
            pass
    return 'utf-8'


def rfc2231(field, key, name, charset, rnd):
    """In pieces, in any order."""
    text = email.utils.encode_rfc2231(name, charset, '')
    pieces, n = [], rnd.randint(10, 45)
    while text:
        m = re.match(r"(?:.*'.*'|[^%%']|%%..){1,%d}" % n, text)
        pieces.append(m[0])
        text = text[m.end():]
    out = ['%s*%d*=%s' % (key, i, p) for i, p in enumerate(pieces)]
    if rnd.random() < .3:
        rnd.shuffle(out)
    return field + ';\n ' + ';\n '.join(out)


def set_name(part, name, rnd):
    """In one of the ways that Python, or somebody else, has for it."""
    key, field = rnd.choice([('filename', 'Content-Disposition'), ('name', 'Content-Type')])
    value = 'attachment' if key == 'filename' else part['Content-Type'] or 'application/x'
    charset = charset_of(name, rnd)
    way = rnd.randrange(6)
    del part[field]
    part[field] = value.split(';')[0]
    if way == 0 or (way == 1 and charset != 'us-ascii'):
        part.set_param(key, (charset, rnd.choice(['', 'en']), name), header=field)
    elif way == 1:
        part.set_param(key, name, header=field)
    elif way == 2:
        word = email.header.Header(name, charset, maxlinelen=rnd.choice([40, 76]),
                                   continuation_ws=rnd.choice(' \t')).encode()
        part.replace_header(field, '%s; %s="%s"' % (part[field], key, re.sub(
            r'([\\"])', r'\\\1', word)))
    elif way == 3:
        part.replace_header(field, rfc2231(part[field], key, name, charset, rnd))
    elif way == 4:
        part.replace_header(field, '%s; %s=%s' % (part[field], key, email.header.Header(
            name, 'utf-8').encode()))
    else:
        plain = name.encode('ascii', 'replace').decode()
        part.set_param(key, plain, header=field)
        part.set_param(key + '*', email.utils.encode_rfc2231(name, charset, ''), header=field,
                       requote=False)


def modern(want, rnd):
    """A message as the new interface of the package makes it."""
    m = email.message.EmailMessage()
    m['Subject'] = 'x'
    m.set_content('text\n')
    for i in range(rnd.randint(1, 3)):
        want.append(some_name(rnd))
        if rnd.random() < .3:
            m.add_attachment('text\n--x\n', filename=want[-1], cte='8bit')
        else:
            m.add_attachment(rnd.randbytes(rnd.randint(0, 200)), maintype='application',
                             subtype='octet-stream', filename=want[-1])
    return m


def tree(want, rnd, depth):
    """A random message or part."""
    kind = rnd.random()
    if depth < 6 and kind < .35:
        m = email.mime.multipart.MIMEMultipart(rnd.choice(['mixed', 'alternative', 'digest', 'x']))
        for i in range(rnd.randint(0, 4)):
            m.attach(tree(want, rnd, depth + 1))
        m.preamble, m.epilogue = rnd.choice([None, '', 'x\n--\n']), rnd.choice([None, '', 'x\n--'])
        return m
    if depth < 6 and kind < .5:
        inner = tree(want, rnd, depth + 1) if rnd.random() < .7 else modern(want, rnd)
        return email.mime.message.MIMEMessage(inner)
    if kind < .6:
        return email.mime.text.MIMEText('text\nContent-Type: x/y; name=no.such\n\n--x\n')
    part = email.mime.base.MIMEBase('application', rnd.choice(['octet-stream', 'pdf', 'x']))
    part.set_payload(rnd.randbytes(rnd.randint(0, 300)))
    email.encoders.encode_base64(part)
    want.append(some_name(rnd))
    set_name(part, want[-1], rnd)
    return part


def message(rnd):
    """(names, its octets with LF line ends)"""
    want = []
    m = modern(want, rnd) if rnd.random() < .3 else tree(want, rnd, 0)
    policy = m.policy.clone(linesep='\n')
    return want, m.as_bytes(policy=policy)


def damaged(mail, rnd):
    """A few small changes where they may matter."""
    junk = [b'"', b'\\', b';', b'(', b')', b'\n', b'\n ', b'\n\n', b' ', b'\t', b'=', b"'", b'*',
            b'--', b'%', b'?', b'=?', b'?=', b'\xe9', b'\0', b':', b',', b'filename=', b'name=',
            b'boundary=', b'\nContent-Type: multipart/mixed\n', b'x']
    for i in range(rnd.randint(1, 4)):
        spots = [m.start() for m in re.finditer(
            rb'(?m)[;="*\'?/:]|^|^--|name|boundary', mail)] or [0]
        at = max(0, rnd.choice(spots) + rnd.randint(-1, 2))
        kind = rnd.random()
        if kind < .5:
            mail = mail[:at] + rnd.choice(junk) + mail[at:]
        elif kind < .8:
            mail = mail[:at] + mail[at + rnd.randint(1, 3):]
        else:
            lines = mail.split(b'\n')
            k = rnd.randrange(len(lines))
            lines[k:k + 1] = rnd.choice([[], lines[k:k + 1] * 2, [b''], [b' ' + lines[k]]])
            mail = b'\n'.join(lines)
    return mail.replace(b'\r', b'')


# ---- the readers ----


def python(mail, policy):
    """What the parser sees, each name as get_filename() has it."""
    out = []
    try:
        m = email.message_from_bytes(mail, policy=policy)
    except Exception:
        return out
    for part in m.walk():
        for get in (part.get_filename, lambda: part.get_param('name'),
                    lambda: part.get_param('filename', header='content-disposition')):
            try:
                name = get()
                if isinstance(name, tuple):
                    name = email.utils.collapse_rfc2231_value(name)
            except Exception:  # it has its faults
                continue
            if name:
                out.append(str(name))
    return out


def plain(name):
    """As much of a name as all agree on: decoded, no path, nothing idle at its end, ASCII."""
    try:
        name = str(email.header.make_header(email.header.decode_header(name)))
    except Exception:  # not all of that is decoded by everybody
        return ''
    return skeleton(name)


def skeleton(name):
    name = re.sub(r'[\s."/\\\x00-\x1f\x7f]+$', '', name)
    name = re.split(r'[/\\]', name)[-1]
    return re.sub(r'[^!-~]|[?"]', '', name)


def judge(what, files, ours, theirs):
    """What they see, we do: by the last letters, for where a name begins is not agreed upon.  Of
    those that end like a program one in a thousand may be missing; of the others, what each makes
    of the wrecks of encoded words differs more often."""
    programs, others, all = [], [], 0
    for f, mine, other in zip(files, ours, theirs):
        have = [skeleton(n) for n in mine]
        for name in other:
            want = {skeleton(name), plain(name), plain(urllib.parse.unquote(name))}
            if '' in want or '\\x' in name:
                continue
            all += 1
            if any(h.endswith(w[-8:]) for h in have for w in want):
                continue
            program = any(re.search(r'(?i)\.(exe|scr|vbs)$', w) for w in want)
            (programs if program else others).append((f, name, mine))
    bad = programs + others
    check('mime: %s: %d of %d names' % (what, all - len(bad), all),
          all and len(programs) < all / 1000 and len(others) < all / 50,
          '\n'.join('%s: %r not in %r' % b for b in bad[:8]))
    return bad


def vectors():
    dir = os.path.join(os.environ.get('VECTORS', ''), 'mime')
    return [(f, read(f).replace(b'\r', b'')) for f in sorted(glob.glob(dir + '/*/*'))
            if os.path.isfile(f) and not f.endswith(('.out', '.txt'))]


def main(server, ca):
    warnings.simplefilter('ignore')
    reader = build(server)
    if not reader:
        return
    rnd = random.Random(2183)
    mails = [message(rnd) for i in range(1500)]
    files = [write('%s/m%05d' % (server.top, i), m) for i, (_, m) in enumerate(mails)]
    ours = names([reader], files)
    bad = [(f, n, o) for f, (want, _), o in zip(files, mails, ours) for n in want
           if exact(n) not in o]
    check('mime: %d names that Python wrote are found to the letter' % sum(
        len(w) for w, _ in mails), not bad, '\n'.join('%s: %r not in %r' % b for b in bad[:8]))
    bad = [(f, o) for f, o in zip(files, ours) if 'no.such' in o]
    check('mime: no name is taken from a text', not bad, bad[:3])
    some = vectors()
    copies = [write('%s/v%05d' % (server.top, i), m) for i, (_, m) in enumerate(some)]
    found = names([reader], copies)
    for policy in (email.policy.compat32, email.policy.default):
        judge('vectors, as Python reads them', [f for f, _ in some], found,
              [python(m, policy) for _, m in some])
    judge('vectors, as Perl does', [f for f, _ in some], found, names(['perl', '-e', PERL], copies))
    broken = [damaged(m, rnd) for _, m in mails for i in range(4)]
    files = [write('%s/d%05d' % (server.top, i), m) for i, m in enumerate(broken)]
    ours = names([reader], files)
    for policy in (email.policy.compat32, email.policy.default):
        judge('%d damaged messages, as Python reads them' % len(files), files, ours,
              [python(m, policy) for m in broken])
    judge('damaged messages, as Perl does', files, ours, names(['perl', '-e', PERL], files))


def exact(name):
    """As lib/mime.c tells it."""
    name = re.sub(r'[. "/\\]+$', '', name)
    return re.split(r'[/\\]', name)[-1].lstrip(' "')
