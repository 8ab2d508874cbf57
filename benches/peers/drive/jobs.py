"""The jobs: what is asked of whom. benches/README.md explains each figure.

A job tells who takes part and puts its load on one of them; `turn` measures what that costs. What a load tells is
counted in `count` (or `bytes`, for streams), in `seconds`.
"""

import dataclasses
import time
from typing import Callable

import load
from contenders import PEERS, TUNED
from kernel import Processes
from stage import ASKED_AGAIN, BUNDLE, SMALL, Failed, token_request

ALL = ["none", *PEERS, "gateway"]
SERVE_FILES = ["none", "nginx", "caddy", "gateway"]
POST = b"\x08\x01" * 64
TOKEN = "/auth/room/getJoinToken"
VERIFY = "/api/verifyToken"
HEALTH = "/healthCheck"
MIB = 1 << 20


@dataclasses.dataclass
class Job:
    title: str
    who: list
    load: Callable
    # What one operation is, for the column's name.
    each: str = "request"
    # A process of its own for each turn: memory that was once used is seldom given back.
    fresh: bool = False


@dataclasses.dataclass
class Size:
    """How much of everything."""

    seconds: float
    warm: float
    idle: int
    rate: int


FULL = Size(seconds=4, warm=1, idle=5000, rate=1000)
QUICK = Size(seconds=1, warm=0.2, idle=300, rate=300)


def _files(path, h2, **headers):
    drive = load.h2load if h2 else load.wrk

    def on(at, seconds, _size):
        return drive(at.endpoint(files=True, h2=h2), path, max(1, round(seconds)), headers=headers)

    return on


def _post(path, h2, body, signed=False):
    drive = load.h2load if h2 else load.wrk

    def on(at, seconds, _size):
        headers = at.stage.signed(body, at.caller) if signed else {"Content-Type": "application/protobuf"}
        seconds = max(1, round(seconds))
        return drive(at.endpoint(h2=h2), path, seconds, headers=headers, body=body, folder=at.folder)

    return on


def _connect(tls, groups):
    def on(at, seconds, _size):
        told = load.own(
            "handshakes", at.endpoint(tls=True), seconds, tls=tls, groups=groups, path=HEALTH, connections=8
        )
        first = 8 if tls == "resumed" else 0
        if told["resumed"] not in ({0} if tls == "full" else range(told["count"] - first, told["count"] + 1)):
            raise Failed(f"{told['resumed']} of {told['count']} connections were resumed")
        return told

    return on


def _bell(connections):
    def on(at, seconds, _size):
        return load.own("bell", at.endpoint(), seconds, path=HEALTH, connections=connections)

    return on


def _join(kind, connections):
    def on(at, seconds, _size):
        return load.own(
            kind,
            at.endpoint(),
            seconds,
            connections=connections,
            groups="hybrid",
            token=at.stage.join_token(),
            files=",".join(ASKED_AGAIN),
        )

    return on


def _echo(at, seconds, _size):
    return load.own("echo", at.endpoint(), seconds, path="/ws", connections=64, bytes=128)


def _steady(at, seconds, size):
    return load.own("steady", at.endpoint(), seconds, path=HEALTH, connections=16, rate=size.rate)


def _upload(at, seconds, _size):
    path = "/api/fileUpload"
    return load.own("upload", at.endpoint(), seconds, path=path, connections=4, bytes=32 * MIB)


def _download(at, seconds, _size):
    path = f"/download/recording/{64 * MIB}"
    return load.own("download", at.endpoint(), seconds, path=path, connections=4)


def _relay(secure):
    """HTTP over a port whose bytes go on as they are, or as TURN's do: after TLS."""

    def on(at, seconds, _size):
        path = f"/download/recording/{64 * MIB}"
        return load.own("download", at.relay(secure), seconds, path=path, connections=4, name="turn.localhost")

    return on


def _idle(at, _seconds, size):
    """What a WebSocket holds in memory while nothing happens on it."""
    processes = at.processes
    before = processes.pss_kib()
    with load.Idle(at.endpoint(), "/ws", size.idle) as idle:
        time.sleep(2)
        after = processes.pss_kib()
        return {
            "count": idle.opened,
            "seconds": idle.seconds,
            "client_cpu": 0,
            "kib_each": (after - before) / idle.opened,
        }


def _start(at, _seconds, _size):
    return {"count": 1, "seconds": 1, "client_cpu": 0, "start_ms": at.start_ms}


def _with_and_without(variant, who):
    return [name + suffix for name in who for suffix in ("", variant)]


_LOGGED = [*PEERS, "gateway"]
_RELAYING = ["haproxy+relay", "gateway+relay"]
_ISSUING = [*ALL, "gateway+embedded"]
_TOKEN = token_request()

JOBS = {
    "small-h1": Job("A file of 1 KiB, HTTP/1.1", SERVE_FILES, _files(SMALL, False)),
    "small-h2": Job("A file of 1 KiB, HTTP/2", SERVE_FILES, _files(SMALL, True)),
    "bundle-h1": Job(
        "500 KB of script as brotli, HTTP/1.1", SERVE_FILES, _files(BUNDLE, False, **{"Accept-Encoding": "br"})
    ),
    "bundle-h2": Job(
        "500 KB of script as brotli, HTTP/2", SERVE_FILES, _files(BUNDLE, True, **{"Accept-Encoding": "br"})
    ),
    "forward-h1": Job("A POST forwarded, HTTP/1.1", ALL, _post(VERIFY, False, POST)),
    "forward-h2": Job("A POST forwarded, HTTP/2", ALL, _post(VERIFY, True, POST)),
    "token-h1": Job("getJoinToken, HTTP/1.1", _ISSUING, _post(TOKEN, False, _TOKEN, signed=True), "token"),
    "token-h2": Job("getJoinToken, HTTP/2", _ISSUING, _post(TOKEN, True, _TOKEN, signed=True), "token"),
    "connect-full": Job("A new connection with one request", ALL, _connect("full", "x25519"), "connection"),
    "connect-resumed": Job("The same, resumed", ALL, _connect("resumed", "x25519"), "connection"),
    "connect-hybrid": Job(
        "A new connection, the client offers X25519MLKEM768 as well", ALL, _connect("full", "hybrid"), "connection"
    ),
    "bell-400": Job("400 new connections at the same moment", ALL, _bell(400), "connection"),
    "bell-2000": Job("2,000 new connections at the same moment", ALL, _bell(2000), "connection"),
    "join": Job("One join, 8 at a time", _LOGGED, _join("join", 8), "join"),
    "join-2000": Job("2,000 joins at the same moment", _LOGGED, _join("joins", 2000), "join"),
    "echo": Job("A message of 128 bytes, to and fro on a WebSocket", ALL, _echo, "message"),
    "idle": Job("WebSockets that are open and silent", _LOGGED, _idle, "WebSocket", fresh=True),
    "steady": Job("A forwarded GET at a fixed rate", ALL, _steady),
    "upload": Job("Uploads of 32 MiB", ALL, _upload, "MiB"),
    "download": Job("Recordings of 64 MiB", ALL, _download, "MiB"),
    "relay": Job("Bytes relayed as they are", _RELAYING, _relay(False), "MiB"),
    "relay-tls": Job("Bytes relayed after TLS, as TURN's are", _RELAYING, _relay(True), "MiB"),
    "log": Job(
        "A POST forwarded, with and without an access log",
        _with_and_without("+log", _LOGGED),
        _post(VERIFY, False, POST),
    ),
    "limits": Job(
        "getJoinToken forwarded, for one caller and for one of 1,000 with limits of their own",
        _with_and_without("+callers", ["gateway"]),
        _post(TOKEN, False, _TOKEN, signed=True),
        "token",
    ),
    "start": Job("From the start to the first answer", _LOGGED, _start, "start", fresh=True),
}


def tuned(name, labels, programs):
    """The tuned peers that take part in a job beside these contenders. Only Debian's nginx sends brotli."""
    if name.startswith("bundle"):
        return []
    peers = [label.partition("+") for label in labels]
    return [f"{peer}{TUNED}{plus}{variant}" for peer, plus, variant in peers if peer + TUNED in programs]


def turn(job, at, size):
    """One contender's turn: warm up, then count."""
    if not job.fresh:
        job.load(at, size.warm, size)
    processes: Processes = at.processes
    processes.forget_peak()
    began = processes.cpu_seconds()
    wall = time.monotonic()
    told = job.load(at, size.seconds, size)
    wall = time.monotonic() - wall
    # The last log lines and farewells are part of the work.
    time.sleep(0.05)
    used = processes.cpu_seconds() - began
    count = told["bytes"] / MIB if "bytes" in told else told["count"]
    extras = ("kib_each", "start_ms", "p50_us", "p99_us", "p999_us", "max_us", "bytes_each")
    proxied = at.name != "none"
    return {
        "count": count,
        "cpu_us": used / count * 1e6 if proxied else None,
        "per_second": count / told["seconds"],
        "peak_mib": processes.peak_kib() / 1024 if proxied else None,
        "client_cpu_us": told["client_cpu"] / count * 1e6,
        "cores_busy": used / wall,
        **{name: told[name] for name in extras if name in told},
    }
