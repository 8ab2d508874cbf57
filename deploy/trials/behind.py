"""What a contained gateway finds around it: a DNS server at 127.0.0.1 that knows one name, and a server behind that name.

Prints "ready" when both listen."""

import http.server
import socket
import threading

NAME = b"\x10plugnmeet-server\x00"


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"it is plugnmeet-server"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answer(question):
    """RFC 1035 section 4.1: an A record of the one name; no records of another type; no other name."""
    end = question.index(b"\x00", 12) + 5
    name, kind = question[12 : end - 4], question[end - 4 : end - 2]
    if name != NAME:
        return question[:2] + b"\x81\x83" + question[4:6] + b"\x00" * 6 + question[12:end]
    if kind != b"\x00\x01":
        return question[:2] + b"\x81\x80" + question[4:6] + b"\x00" * 6 + question[12:end]
    head = question[:2] + b"\x81\x80" + b"\x00\x01\x00\x01\x00\x00\x00\x00" + question[12:end]
    return head + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01"


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    question, asker = dns.recvfrom(512)
    dns.sendto(answer(question), asker)
