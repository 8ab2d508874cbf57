"""The parts of an official installation that are no programs of the tests: plugnmeet-server at 8080 as far as a join goes,
LiveKit at 7880, Etherpad at 9001, the ingress at 8089 and 1936, and somebody at UDP port 443, as LiveKit is.

installed.py API_KEY SECRET prints "ready" when all of them listen."""

import base64
import hashlib
import hmac
import http.server
import json
import socket
import sys
import threading
import time

API_KEY, SECRET = sys.argv[1:]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(asked):
    """Source: docs/plugnmeet.md section 4."""
    user, now = asked["user_info"], int(time.time())
    claims = {"exp": now + 600, "iss": API_KEY, "name": user["name"], "nbf": now}
    claims |= {"room_id": asked["room_id"], "sub": user["user_id"], "user_id": user["user_id"]}
    text = b".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + base64url(hmac.digest(SECRET.encode(), text, "sha256"))).decode()


class Part(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        # LiveKit without a token; /healthCheck and all others.
        self.answer(401 if self.path.startswith("/rtc/validate") else 200)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/auth/room/getJoinToken":
            return self.answer(404)
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if self.headers["API-KEY"] != API_KEY or self.headers["HASH-SIGNATURE"] != signed:
            return self.answer(401, b'{"status":false,"msg":"can\'t verify"}', "application/json")
        answer = {"status": True, "msg": "success", "token": token(json.loads(body))}
        self.answer(200, json.dumps(answer).encode(), "application/json")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # who only looks whether somebody listens


for port in 8080, 7880, 9001, 8089, 1936:
    server = Server(("127.0.0.1", port), Part)
    threading.Thread(target=server.serve_forever, daemon=True).start()
media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
media.bind(("0.0.0.0", 443))
print("ready", flush=True)
while True:
    media.recvfrom(2048)
