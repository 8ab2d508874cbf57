"""The load clients: each function puts a load on one endpoint and tells what was done.

wrk for HTTP/1.1, h2load for HTTP/2, benches/clients for the rest. A client that reports an error, or any answer that is
not a good one, ends the run: nobody is measured while failing.
"""

import json
import re
import resource
import subprocess
import threading
import time

from stage import CLIENTS, Failed

PATIENCE = 60


def _ran(command, seconds):
    """Runs a client to its end, and tells its output and its own CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} hangs") from None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        raise Failed(f"{command[0]}: {(ran.stderr or ran.stdout).strip()[-500:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ran.stdout, used


def _matched(pattern, text, default=None):
    found = re.search(pattern, text)
    if not found and default is None:
        raise Failed(f"no {pattern} in:\n{text[-800:]}")
    return found.groups() if found else default


def wrk(endpoint, path, seconds, connections=32, headers=None, body=None, folder=None):
    secure, authority = endpoint
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    if body:
        # Several may run at once.
        script = folder / f"{threading.get_ident()}.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = {lua(body)}\n')
        command += ["--script", str(script)]
    text, used = _ran(command + [f"http{'s' * secure}://{authority}{path}"], seconds)
    count, took = _matched(r"(\d+) requests in ([\d.]+)s", text)
    # At the end of its time wrk may count what it cuts off itself as a timeout or a read error of a few.
    bad = int(_matched(r"Non-2xx or 3xx responses: (\d+)", text, ["0"])[0])
    if bad or not int(count):
        raise Failed(f"{bad} of {count} answers are errors")
    errors = _matched(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text, ["0"] * 4)
    if sum(map(int, errors)) > connections:
        raise Failed(f"socket errors: {errors}")
    size, unit = _matched(r", ([\d.]+)([KMG]?B) read", text)
    read = float(size) * {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}[unit]
    count = int(count)
    return {"count": count, "seconds": float(took), "client_cpu": used, "bytes_each": round(read / count)}


def lua(body):
    return '"' + "".join(f"\\{byte:03}" for byte in body) + '"'


def h2load(endpoint, path, seconds, connections=8, streams=16, headers=None, body=None, folder=None):
    secure, authority = endpoint
    command = ["h2load", "--threads=1", f"--clients={connections}", f"--max-concurrent-streams={streams}"]
    command += [f"--duration={seconds}", "--warm-up-time=0"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    if body:
        file = folder / f"{threading.get_ident()}.body"
        file.write_bytes(body)
        command += ["--data", str(file)]
    text, used = _ran(command + [f"http{'s' * secure}://{authority}{path}"], seconds)
    done, succeeded, failed, errored = map(
        int, _matched(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    )
    if failed or errored or not succeeded or succeeded < done:
        raise Failed(f"{failed} failed, {errored} errored, {succeeded} of {done} succeeded")
    read = int(_matched(r"traffic: [\d.]+[KMG]?B \((\d+)\) total", text)[0])
    return {"count": done, "seconds": seconds, "client_cpu": used, "bytes_each": round(read / done)}


def own(kind, endpoint, seconds, tls="full", **options):
    """One of benches/clients."""
    secure, authority = endpoint
    command = [str(CLIENTS), kind, "--to", authority, "--tls", tls if secure else "no", "--seconds", str(seconds)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    text, used = _ran(command, seconds)
    return {**json.loads(text), "client_cpu": used}


class Idle:
    """WebSockets that stand open for as long as this does."""

    def __init__(self, endpoint, path, connections):
        secure, authority = endpoint
        command = [str(CLIENTS), "idle", "--to", authority, "--tls", "full" if secure else "no"]
        command += ["--path", path, "--connections", str(connections)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.opened = 0

    def __enter__(self):
        started = time.monotonic()
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"idle: {self.process.stderr.read()[-500:]}")
        self.opened, self.seconds = json.loads(line)["count"], time.monotonic() - started
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
