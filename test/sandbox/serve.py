#!/usr/bin/env python3
# See LICENSE file for copyright and licence details.
"""serve.py WORD[,WORD]... COMMAND...: start the server that the command is, on a store of its own,
and see that it says to be in a sandbox with these words, takes a mail, hands it out, reads its
certificate again and ends when told to."""
import os
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

words, command = set(sys.argv[1].split(',')), sys.argv[2:]
tmp = tempfile.mkdtemp()
os.chmod(tmp, 0o755)
store = os.path.join(tmp, 'store')
TEXT = b'From: <a@remote.test>\r\nTo: <alice@localhost>\r\nSubject: try\r\n\r\n.hello\r\n'


def log():
    with open(os.path.join(tmp, 'log')) as f:
        return f.read()


def wait(what, cond, seconds=60):
    by = time.monotonic() + seconds
    while not cond():
        if time.monotonic() > by or server.poll() is not None:
            raise SystemExit('%s: not so; log:\n%s' % (what, log()))
        time.sleep(0.05)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


def start():
    n = random.randrange(1100, 30000)
    with open(os.path.join(tmp, 'log'), 'w') as f:
        p = subprocess.Popen(command + ['-d', store, '-p', str(n)], stdin=subprocess.DEVNULL,
                             stdout=f, stderr=f)
    return p, n


def day():
    subprocess.run(command + ['-d', store, 'passwd', 'alice'], input=b'secret password\n',
                   check=True, timeout=120)
    with smtplib.SMTP('127.0.0.1', 25 + n, timeout=60) as c:
        c.sendmail('a@remote.test', ['alice@localhost'], TEXT)
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    p = poplib.POP3_SSL('127.0.0.1', 995 + n, context=c, timeout=60)
    p.user('alice')
    p.pass_('secret password')
    got = b'\r\n'.join(p.retr(1)[1]) + b'\r\n'
    assert got.endswith(TEXT), got
    p.dele(1)
    p.quit()
    mark = len(log())
    server.send_signal(signal.SIGHUP)
    wait('certificates are read again', lambda: ' tls cert=' in log()[mark:])


try:
    server, n = start()
    wait('started', lambda: ' started ' in log() and listens(25 + n))
    m = re.search(r' sandbox holds=(\S+)', log())
    assert m and set(m.group(1).split(',')) >= words, log()
    day()
    server.terminate()
    assert server.wait(60) == 0, log()
    print('sandbox holds=%s, a mail came and went' % m.group(1))
finally:
    if server.poll() is None:
        server.kill()
    shutil.rmtree(tmp, ignore_errors=True)
