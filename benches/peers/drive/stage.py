"""What all contenders share in a run: certificate, files, secrets, the upstream; and a folder that goes when it ends.

Nothing outlives a run: each program has a session of its own, and all of a session's processes are ended with it.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = HERE.parent / "clients/target/release/plugnmeet-gateway-clients"
CALLERS = 1000
WORKERS = 2

SMALL = "/conference/assets/imgs/small.svg"
BUNDLE = "/conference/assets/js/main-module.Bq7xK2_a.js"
# Without a hash in their name, so that a browser asks for them again, as fonts, wasm and images are; nobody compresses them.
ASKED_AGAIN = [f"/conference/assets/again/{number}.woff2" for number in range(11)]


class Failed(Exception):
    """A contender or a client does not do what it should: there is no figure then, and the reason is said."""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def end(process):
    """Ends a program with all that it started."""
    for kind, patience in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Stage:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gateway-bench-"))
        self.certs, self.client = self.folder / "certs", self.folder / "client"
        self.log = self.folder / "log.sock"
        self.api_key, self.secret = "plugnmeet", "a secret of a benchmark, and of no more than 32 bytes at all"
        self.upstream_port, self.secure_port = free_port(), free_port()
        self.running = []
        try:
            self._certificate()
            self._client()
            self._upstream()
        except BaseException:
            self.close()
            raise

    def close(self):
        for process in reversed(self.running):
            end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, command, folder, environment=None, stdout=None):
        """Starts a program in a session of its own."""
        with open(folder / "stderr", "ab") as stderr:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout or stderr,
                stderr=stderr,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def stop(self, process):
        end(process)
        self.running.remove(process)

    def signed(self, body, caller=None):
        """The fields by which a request is the caller's."""
        key, secret = (f"caller-{caller}", self.caller_secret(caller)) if caller else (self.api_key, self.secret)
        return {
            "API-KEY": key,
            "HASH-SIGNATURE": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }

    def join_token(self):
        """A join token that the server would have signed."""

        def part(of):
            return base64.urlsafe_b64encode(of).rstrip(b"=")

        now = int(time.time())
        claims = {"exp": now + 3600, "iss": self.api_key, "name": "Ann", "nbf": now}
        claims |= {"room_id": "room01", "sub": "ann", "user_id": "ann"}
        signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
        return (signed + b"." + part(hmac.digest(self.secret.encode(), signed, "sha256"))).decode()

    @staticmethod
    def caller_secret(caller):
        return f"the secret of caller {caller}, which is long enough"

    def _certificate(self):
        """ECDSA on P-256, the same for all; HAProxy wants both halves in one file."""
        self.certs.mkdir()
        chain, key = self.certs / "localhost.pem", self.certs / "localhost.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-days", "7", "-subj", "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
            + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", chain, "-keyout", key],
            check=True,
            capture_output=True,
        )
        key.chmod(0o600)
        both = self.folder / "both.pem"
        both.write_bytes(chain.read_bytes() + key.read_bytes())
        both.chmod(0o600)

    def _client(self):
        """A client's folder: a page, a small file, and 500 KB of script that brotli takes to a quarter."""
        words = random.Random(2)
        names = ["".join(words.choices("abcdefghijklmnopqrstuvwxyz", k=words.randint(2, 9))) for _ in range(4000)]
        script = ""
        while len(script) < 500_000:
            name, other, third = words.choices(names, k=3)
            script += words.choice(
                [
                    f"function {name}({other}){{return {third}({other},{words.randint(0, 999)})}}",
                    f"const {name}={other}.{third};",
                    f'if({name}.{other}==="{third}")throw new Error("{other}");',
                    f"export{{{name} as {other}}};\n",
                ]
            )
        files = {
            "index.html": "<!doctype html><html><head><title>plugNmeet</title></head><body></body></html>",
            SMALL.removeprefix("/conference/"): '<svg xmlns="http://www.w3.org/2000/svg">'.ljust(1018) + "</svg>",
            BUNDLE.removeprefix("/conference/"): script[:500_000],
            "assets/config.js": 'window.PLUG_N_MEET_SERVER_URL="https://localhost";'.ljust(2000),
        }
        for name, text in files.items():
            path = self.client / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            subprocess.run(["brotli", "--best", "--keep", path], check=True)
        for path in ASKED_AGAIN:
            file = self.client / path.removeprefix("/conference/")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(words.randbytes(1024))

    def _upstream(self):
        folder = self.folder / "upstream"
        folder.mkdir()
        command = [CLIENTS, "upstream", "--log", self.log]
        command += ["--plain", f"127.0.0.1:{self.upstream_port}", "--secure", f"127.0.0.1:{self.secure_port}"]
        command += ["--certificate", self.certs / "localhost.pem", "--key", self.certs / "localhost.key"]
        process = self.start(command, folder)
        wait_for(self.upstream_port, process, folder)
        wait_for(self.secure_port, process, folder)


def wait_for(port, process, folder, patience=20):
    """Waits until somebody listens, or says why nobody will."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.002)
    raise Failed(f"{process.args[0]} does not listen:\n{(folder / 'stderr').read_text()[-2000:]}")


def token_request():
    return json.dumps(
        {
            "room_id": "room01",
            "user_info": {"name": "Ann", "user_id": "ann", "is_admin": False, "is_hidden": False},
        }
    ).encode()
