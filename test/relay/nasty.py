# See LICENSE file for copyright and licence details.
"""A name server that says what real ones do not say to order: nasty.py ADDRESS UPSTREAM.

    servfail.test, refused.test   that
    silent.test                   nothing
    garbage.test                  octets that are no DNS message
    lame.test                     no error, no answer, no authority
    tc.test                       by UDP: truncated, without an answer; by TCP: UPSTREAM's answer
    another name                  UPSTREAM's answer, after a forged one with a wrong id

It writes what it was asked, one line a question: udp or tcp, name, type."""
import socket
import struct
import sys
import threading

SERVFAIL, REFUSED = 2, 5


def question(q):
    """(name, type, the question's octets)"""
    labels, i = [], 12
    while q[i]:
        labels.append(q[i + 1:i + 1 + q[i]].decode('latin1').lower())
        i += 1 + q[i]
    return '.'.join(labels), struct.unpack('>H', q[i + 1:i + 3])[0], q[12:i + 5]


def header(q, flags):
    return q[:2] + struct.pack('>HHHHH', 0x8000 | flags | q[2] << 8 & 0x100, 1, 0, 0, 0)


def upstream(q, tcp):
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(10)
        s.connect((sys.argv[2], 53))
        if not tcp:
            s.send(q)
            return s.recv(4096)
        s.sendall(struct.pack('>H', len(q)) + q)
        return whole(s)


def whole(s):
    def some(n):
        b = b''
        while len(b) < n:
            more = s.recv(n - len(b))
            if not more:
                raise EOFError
            b += more
        return b
    return some(struct.unpack('>H', some(2))[0])


def answers(q, tcp):
    """What is sent back, one after the other."""
    name, kind, asked = question(q)
    # one write: many threads say so
    print('%s %s %d\n' % ('tcp' if tcp else 'udp', name, kind), end='', flush=True)
    under = lambda d: name == d or name.endswith('.' + d)
    if under('servfail.test'):
        return [header(q, SERVFAIL) + asked]
    if under('refused.test'):
        return [header(q, REFUSED) + asked]
    if under('silent.test'):
        return []
    if under('garbage.test'):
        return [q[:2] + b'\xff' * 40]
    if under('lame.test'):
        return [header(q, 0) + asked]
    if under('tc.test') and not tcp:
        return [header(q, 0x0200 | 0x80) + asked]
    forged = bytes([q[0] ^ 0x55]) + q[1:2] + header(q, 0x80 | 3)[2:] + asked
    return ([] if tcp else [forged]) + [upstream(q, tcp)]


def datagram(s, q, peer):
    try:
        for a in answers(q, False):
            s.sendto(a, peer)
    except (OSError, IndexError, EOFError) as e:
        print('error', e, flush=True)


def stream(s):
    try:
        with s:
            s.settimeout(20)
            while True:
                for a in answers(whole(s), True):
                    s.sendall(struct.pack('>H', len(a)) + a)
    except (OSError, IndexError, EOFError):
        pass


def listen(address):
    s = socket.create_server((address, 53))
    while True:
        threading.Thread(target=stream, args=(s.accept()[0], ), daemon=True).start()


if __name__ == '__main__':
    threading.Thread(target=listen, args=(sys.argv[1], ), daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], 53))
    while True:
        q, peer = udp.recvfrom(4096)
        threading.Thread(target=datagram, args=(udp, q, peer), daemon=True).start()
