"""Sending on a blocking connection while listening: a server that refuses an upload answers and reads no more.

RFC 9112 §9.5 asks a client to watch for that. A send that blocks would not see it, and end with the write timeout.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .blocking import BlockingWire


def send_or_hear(sock: BlockingWire, data: bytes | memoryview, within: Callable[[], float | None]) -> int:
    """Send some of the data, as soon as the server takes any.

    Args:
        sock: the connection, with a timeout of 0. After 0 bytes, TLS has to be handed the same data again.
        data: what is to be sent.
        within: the seconds that the next wait may take.

    Returns:
        The number of bytes; 0 if something has come before the server took any: an answer, an end, a message of TLS.

    Raises:
        TimeoutError: neither happened in time.
        OSError: the connection broke.
    """
    import selectors

    while True:
        try:
            return sock.send(data)
        except OSError as error:
            events = _events(error)
            if not events:
                raise
        with selectors.DefaultSelector() as selector:
            selector.register(sock, events)
            ready = selector.select(within())
        if not ready:
            raise TimeoutError("the server takes no more")
        if ready[0][1] == selectors.EVENT_READ and events != selectors.EVENT_READ:
            return 0


def _events(error: OSError) -> int:
    # What a send that would block waits for; 0 for a failure. By name: `ssl` is not imported for plain HTTP.
    from selectors import EVENT_READ, EVENT_WRITE

    name = type(error).__name__
    if name == "SSLWantReadError":
        return EVENT_READ  # TLS negotiates anew, and sends nothing before it has read
    return EVENT_READ | EVENT_WRITE if name in ("BlockingIOError", "SSLWantWriteError") else 0
