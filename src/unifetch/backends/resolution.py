"""Names to addresses, by the system's `getaddrinfo`, which nothing interrupts.

So that a timeout reaches it, it runs in a thread of its own, and is left behind there if it takes too long. Neither the
end of the program waits for that thread nor that of an event loop, as it would for one of its executor.

What was found is what is to be connected to: there is no second look-up, whose outcome nobody has checked.
"""

from __future__ import annotations

import socket
import threading

from ..routes import refuse_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from ..routes import Route

    Found: TypeAlias = list[Any]  # as of `socket.getaddrinfo`


def numeric(host: str, port: int) -> Found | None:
    """What an address stands for, which needs no resolver and no thread; None for a name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return None


def look_up(host: str, port: int, seconds: float | None) -> Found:
    """The addresses of a name.

    Raises:
        OSError, UnicodeError: there is none.
        TimeoutError: there is none in time.
    """
    outcome: list[Found | Exception] = []
    begin(host, port, outcome.append).join(seconds)
    if not outcome:
        raise TimeoutError(f"no address for {host} in time")
    return settled(outcome[0])


def begin(host: str, port: int, tell: Callable[[Found | Exception], object]) -> threading.Thread:
    """Look a name up in a thread, which tells the outcome itself."""

    def ask() -> None:
        outcome: Found | Exception
        try:
            outcome = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001  # it is raised where the outcome is waited for
            outcome = error
        tell(outcome)

    thread = threading.Thread(target=ask, name=f"resolving {host}", daemon=True)
    thread.start()
    return thread


def settled(outcome: Found | Exception) -> Found:
    """What was found, or the error raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def checked(route: Route, host: str, found: Found) -> Found:
    """The same addresses, if this route may lead to each of them.

    Raises:
        ConnectError: one is not public, and that is asked for.
    """
    if route.public_only:
        for _, _, _, _, address in found:
            refuse_private(host, str(address[0]))
    return found
