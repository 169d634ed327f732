"""Names to addresses, by the system's `getaddrinfo`, which nothing interrupts.

So that a timeout reaches it, it runs in a thread of its own, which is left behind if it takes too long. Neither the end
of the program nor that of an event loop waits for that thread.
"""

from __future__ import annotations

import socket
import threading

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Address: TypeAlias = tuple[int, Any]  # the family, and what `socket.connect` takes
    Outcome: TypeAlias = list[Address] | Exception


def numeric(host: str, port: int) -> list[Address] | None:
    """What an address stands for, which needs no resolver and no thread; None for a name."""
    # Not by `getaddrinfo`, which imports Python's tables of Unicode for any host.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return [(family, (host, port, 0, 0) if family == socket.AF_INET6 else (host, port))]


def look_up(host: str, port: int, seconds: float | None) -> list[Address]:
    """The addresses of a host.

    Raises:
        OSError, UnicodeError: there is none.
        TimeoutError: there is none in time.
    """
    if found := numeric(host, port):
        return found
    outcome: list[Outcome] = []
    begin(host, port, outcome.append).join(seconds)
    if not outcome:
        raise TimeoutError(f"no address for {host} in time")
    return settled(outcome[0])


def begin(host: str, port: int, tell: Callable[[Outcome], object]) -> threading.Thread:
    """Look a name up in a thread, which tells the outcome itself."""

    def ask() -> None:
        outcome: Outcome
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome = [(family, address) for family, _, _, _, address in found]
        except Exception as error:  # noqa: BLE001  # it is raised where the outcome is waited for
            outcome = error
        tell(outcome)

    thread = threading.Thread(target=ask, name=f"resolving {host}", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the program is ending, and starts no thread any more: so it is asked here
        ask()
    return thread


def settled(outcome: Outcome) -> list[Address]:
    """What was found, or the error raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
