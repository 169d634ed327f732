"""Many requests over kept connections, with faults in between: no answer may go to the wrong request.

    python tests/soak/soak.py --requests 100000 --backend socket

Each request carries its number, and each good answer repeats it. The faults are drawn from the number, so that
a run can be repeated. At the end no socket may be left open. `tests/test_soak.py` runs a short one.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from unifetch import Client, ConnectionLost, Timeout, UnifetchError
from unifetch.testing import Close, RecordedRequest, Reset, Script, Server, Stall, reply

HEAD = b"HTTP/1.1 200 OK\r\n"

# What the server may do, and how often in a thousand; the rest is a plain answer.
FAULTS = {
    "chunks": 150,
    "interim": 50,
    "redirect": 50,
    "no content": 30,
    "closes after": 40,
    "closes before": 30,
    "resets before": 30,
    "short body": 30,
    "reset in the body": 30,
    "short chunks": 30,
    "more than it says": 30,
    "not HTTP": 20,
    "cut head": 20,
    "server error": 30,
    "stalls": 2,
}


def fault_of(number: int) -> str:
    """What happens to the request of this number."""
    drawn = random.Random(number).randrange(1000)
    for fault, share in FAULTS.items():
        drawn -= share
        if drawn < 0:
            return fault
    return "none"


def answer(request: RecordedRequest) -> Script:
    """The script for a request."""
    number = request.target.rpartition("/")[2].encode()
    body = number * 20
    fault = "none" if request.target.startswith("/again/") else fault_of(int(number))
    scripts: dict[str, Script] = {
        "none": reply(200, body),
        "chunks": reply(200, [body[:7], body[7:]]),
        "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, body),
        "redirect": reply(302, b"moved", {"Location": f"/again/{int(number)}"}),
        "no content": reply(204, b"", {"X-Number": number.decode()}),
        "closes after": [reply(200, body), Close()],
        "closes before": Close(),
        "resets before": Reset(),
        "short body": [HEAD + b"Content-Length: 9999\r\n\r\n" + body, Close()],
        "reset in the body": [HEAD + b"Content-Length: 9999\r\n\r\n" + body, Reset()],
        "short chunks": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", Close()],
        "more than it says": reply(200, body) + reply(200, b"of somebody else"),
        "not HTTP": [b"\x16\x03\x01 hello\r\n\r\n", Close()],
        "cut head": [HEAD + b"Content-Le", Close()],
        "server error": reply(503, body),
        "stalls": Stall(),
    }
    return scripts[fault]


FAILING = {
    "closes before",
    "resets before",
    "short body",
    "reset in the body",
    "short chunks",
    "not HTTP",
    "cut head",
    "stalls",
}


# A request on a kept connection that the server was just closing is sent once more, and may meet another such one
# (RFC 9112 §9.3.1): that is an error, and no wrong answer.
TWICE = "ConnectionLost, on two kept connections"


def ask(client: Client, url: str, number: int) -> str:
    """Send one request, and say what came of it.

    Raises:
        AssertionError: for an answer to another request, a fault that passed for an answer, or the other way round.
    """
    fault = fault_of(number)
    failure: UnifetchError | None = None
    body, status = b"", 0
    try:
        if number % 5 == 0:
            with client.stream("GET", f"{url}/{number}") as response:
                body, status = b"".join(response.body), response.status
        elif number % 97 == 0:
            with client.stream("GET", f"{url}/{number}") as response:
                next(iter(response.body), b"")  # and leave the rest
            return "left"
        else:
            whole = client.get(f"{url}/{number}")
            body, status = whole.body, whole.status
    except UnifetchError as error:
        failure = error
    if isinstance(failure, ConnectionLost) and failure.reused and fault not in FAILING:
        return TWICE
    assert (failure is not None) == (fault in FAILING), f"{number} ({fault}) gave {failure!r}, {body!r}"
    if failure is not None:
        return type(failure).__name__
    expected = b"" if fault == "no content" else b"%d" % number * 20
    assert body == expected, f"{number} ({fault}) got {body!r}"
    return str(status)


def sockets() -> int:
    """How many sockets this process has open, where the system tells."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
        except OSError:  # it was closed in between
            continue
    return count


def soak(backend: str, requests: int, threads: int = 8) -> Counter[str]:
    """Run it, and count what came of the requests.

    Raises:
        AssertionError: if an answer was wrong or a socket was left.
    """
    outcomes: Counter[str] = Counter()
    gc.collect()  # what others have left open is not ours
    before = sockets()
    # A few at a time on one server, because it records them.
    for start in range(0, requests, 5000):
        numbers = range(start, min(start + 5000, requests))
        timeout = Timeout(30, read=2)
        with Server(answer, lifetime=600) as server, Client(backend, timeout=timeout, proxy=None) as client:
            with ThreadPoolExecutor(threads) as pool:
                outcomes.update(pool.map(lambda number: ask(client, server.url, number), numbers))
    if backend != "socket":
        gc.collect()  # libraries leave a connection that broke to the collector
    left = sockets() - before
    assert left == 0, f"{left} sockets are left open"
    return outcomes


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="socket")
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    started = time.monotonic()
    outcomes = soak(options.backend, options.requests)
    for outcome, count in outcomes.most_common():
        print(f"{count:8} {outcome}")
    assert outcomes[TWICE] <= options.requests / 1000, "too many requests were lost"
    print(f"{options.requests} requests in {time.monotonic() - started:.0f} s, no wrong answer, no socket left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
