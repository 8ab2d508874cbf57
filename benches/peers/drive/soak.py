"""The gateway alone under all loads at once, for as long as is asked: no answer may be wrong, and its memory stays.

Beside the loads there are clients that leave in the middle: of a handshake, of a head, of a body, of an answer.
"""

import contextlib
import random
import socket
import ssl
import threading
import time

from contenders import Contender
from jobs import JOBS, QUICK, VERIFY
from stage import Failed

# Those that need a process of their own, or its log, say nothing here. h2load resets its streams where its warm-up ends, which
# a busy gateway takes for a rapid reset: it cuts the connection, and rightly.
# `join-2000` opens as many connections as `limits.connections` allows one address, and the relays need ports of their own.
LEFT_OUT = ("idle", "start", "log", "limits", "join-2000", "relay", "relay-tls")
LOADS = [name for name in JOBS if name not in LEFT_OUT and not name.endswith("-h2")]
# What a process may have more in the second half than in the first: what is used at once differs by chance. Ten minutes and
# more are needed for both to have all loads.
GROWTH = 1.1
SAMPLES = 20


def _in_the_middle(at, until):
    """Clients that leave in the middle of everything."""
    host, port = at.endpoint()[1].split(":")
    context = ssl._create_unverified_context()
    starts = [
        b"",
        b"GET /confer",
        b"POST " + VERIFY.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
        b"GET /download/recording/67108864 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    chance = random.Random(1)
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as plain:
            if chance.random() < 0.2:
                plain.sendall(b"\x16\x03\x01\x02\x00half a hello")
            else:
                with context.wrap_socket(plain) as secure:
                    secure.sendall(chance.choice(starts))
                    time.sleep(chance.random() / 10)
        time.sleep(0.02)


def _in_turns(at, until, names, failures):
    """Load after load, each for a few seconds."""
    while time.monotonic() < until and not failures:
        name = names[0]
        names = names[1:] + names[:1]
        try:
            JOBS[name].load(at, 3, QUICK)
        except Failed as failure:
            failures.append(f"{name}: {failure}")


def soak(stage, given, say):
    """True if nothing failed and memory did not grow."""
    at = Contender(stage, "gateway", given)
    try:
        until = time.monotonic() + given.soak * 60
        failures, threads = [], []
        for turn in range(3):
            names = LOADS[:]
            random.Random(turn).shuffle(names)
            threads.append(threading.Thread(target=_in_turns, args=(at, until, names, failures)))
        threads.append(threading.Thread(target=_in_the_middle, args=(at, until)))
        for thread in threads:
            thread.start()
        memory = []
        while time.monotonic() < until and not failures:
            time.sleep(given.soak * 60 / SAMPLES)
            memory.append(at.processes.pss_kib() / 1024)
            say(f"soak: {len(memory)} of {SAMPLES}, {memory[-1]:.1f} MiB")
        for thread in threads:
            thread.join()
        for failure in failures:
            say(f"soak: FAILED, {failure}")
        # Each half of a long soak has all loads, the largest too.
        half = SAMPLES // 2
        early, late = max(memory[:half], default=0), max(memory[half:], default=0)
        print(f"Memory at most: {early:.1f} MiB in the first half, {late:.1f} MiB in the second.")
        return not failures and late <= early * GROWTH
    finally:
        at.close()
