"""Asks for a file again and again, on new connections and on one that is kept: asking.py ADDRESS NAME ROOTS PATH.

Prints "begun" when both have answered. A line on standard input is answered, after 50 more requests of each kind, with
"failed N of M requests"."""

import http.client
import select
import socket
import ssl
import sys

address, name, roots, path = sys.argv[1:]
tls = ssl.create_default_context(cafile=roots)


class Connection(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection((address, 443), timeout=20)
        self.sock = tls.wrap_socket(plain, server_hostname=name)


asked = failed = 0


def ask(connection):
    global asked, failed
    asked += 1
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
    except (OSError, http.client.HTTPException) as error:
        failed += 1
        print(f"request {asked}: {error!r}", file=sys.stderr)
        connection.close()


kept = Connection(name)


def both():
    new = Connection(name)
    ask(new)
    new.close()
    # It opens anew by itself when it was told that the connection ends.
    ask(kept)


both()
print("begun", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    both()
for _ in range(50):
    both()
print(f"failed {failed} of {asked} requests", flush=True)
