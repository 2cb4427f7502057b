# See LICENSE file for copyright and licence details.
"""A name server for test_strangers.py: names.py ADDRESS PORT FILE, with the library dnslib (package
python3-dnslib). A line of FILE is "NAME TYPE DATA"; the TYPEs SILENT and SERVFAIL are for all that is
asked about the name. It says "ready" and serves until its input ends."""
import collections
import socketserver
import sys
import threading

from dnslib import QTYPE, RCODE, RR, A, AAAA, CNAME, MX, PTR, TXT, DNSRecord

MAKE = {
    'A': A, 'AAAA': AAAA, 'CNAME': CNAME, 'PTR': PTR,
    'MX': lambda d: MX(d.split()[1], int(d.split()[0])),
    'TXT': lambda d: TXT([d[i:i + 255].encode() for i in range(0, len(d), 255)]),
}


def load(path):
    zone = collections.defaultdict(list)
    with open(path) as f:
        for line in f:
            name, kind, *data = line.rstrip('\n').split(' ', 2)
            zone[name.lower()].append((kind, data[0] if data else ''))
    return zone


def answer(zone, data):
    ask = DNSRecord.parse(data)
    name = str(ask.q.qname).rstrip('.').lower()
    out = ask.reply()
    rows = zone.get(name, [])
    if any(k == 'SILENT' for k, _ in rows):
        return None
    if any(k == 'SERVFAIL' for k, _ in rows):
        out.header.rcode = RCODE.SERVFAIL
    elif not any(n == name or n.endswith('.' + name) for n in list(zone)):
        out.header.rcode = RCODE.NXDOMAIN
    for kind, text in rows:
        if kind in MAKE and QTYPE[ask.q.qtype] == kind:
            out.add_answer(RR(ask.q.qname, ask.q.qtype, ttl=60, rdata=MAKE[kind](text)))
    return out.pack()


def main():
    zone = load(sys.argv[3])

    class Udp(socketserver.BaseRequestHandler):
        def handle(self):
            reply = answer(zone, self.request[0])
            if reply:
                self.request[1].sendto(reply, self.client_address)

    socketserver.ThreadingUDPServer.daemon_threads = True
    with socketserver.ThreadingUDPServer((sys.argv[1], int(sys.argv[2])), Udp) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        print('ready', flush=True)
        sys.stdin.read()
        s.shutdown()


if __name__ == '__main__':
    main()
