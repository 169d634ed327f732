"""TLS inside TLS: an https origin behind an https proxy.

`SSLContext.wrap_socket` takes over a file descriptor, on which the outer connection is. So the inner one reads from and
writes to memory, and the outer one carries its bytes.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from time import monotonic

from .reader import RECEIVE

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class TLSInTLS:
    """What a connection needs of a socket. The timeout is for each call as a whole; the first is the handshake."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        self._outer = outer
        self._seconds = seconds
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""  # records that the outer connection did not take yet
        self._carry(self._inner.do_handshake)

    def selected_alpn_protocol(self) -> str | None:
        """What the origin has chosen by ALPN."""
        return self._inner.selected_alpn_protocol()

    def send(self, data: bytes | memoryview) -> int:
        """Send some of the data, and say how much. All of it is encrypted first, so it should not be much.

        With a timeout of 0, what the outer connection does not take leaves with the next call.
        """
        self._flush(monotonic() + (self._seconds or 0))
        return self._carry(lambda: self._inner.write(data))

    def recv(self, limit: int) -> bytes:
        """What is there, as soon as there is something; b"" once the peer has said that it is done."""
        return self._carry(lambda: self._inner.read(limit))

    def recv_into(self, place: memoryview) -> int:
        """As `recv`, into this place: the number of bytes."""
        return self._carry(lambda: self._inner.read(len(place), place))  # type: ignore[return-value]  # here an int

    def _carry(self, step: Callable[[], T]) -> T:
        ends = monotonic() + (self._seconds or 0)
        while True:
            try:
                outcome = step()
            except ssl.SSLWantReadError:
                if self._unsent:  # of an upload: a peer that takes no more of it may have answered
                    self._flush_at_once()
                else:
                    self._flush(ends)
                self._set_time(ends)
                if data := self._outer.recv(RECEIVE):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()  # the origin has not said that it is done: the next step fails
            else:
                with suppress(BlockingIOError, ssl.SSLWantWriteError):
                    self._flush(ends)
                return outcome

    def _flush(self, ends: float) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._set_time(ends)
            self._unsent = self._unsent[self._outer.send(self._unsent) :]

    def _flush_at_once(self) -> None:
        self._outer.settimeout(0)
        with suppress(BlockingIOError, ssl.SSLWantWriteError):
            while self._unsent:
                self._unsent = self._unsent[self._outer.send(self._unsent) :]

    def _set_time(self, ends: float) -> None:
        seconds = self._seconds
        if seconds:  # 0 is not to wait, None to wait for ever
            seconds = ends - monotonic()
            if seconds <= 0:
                raise TimeoutError("timed out")
        self._outer.settimeout(seconds)

    def pending(self) -> int:
        """Bytes that have come, and have left the file descriptor."""
        return self._inner.pending() + self._incoming.pending + self._outer.pending()

    def fileno(self) -> int:
        """The file descriptor, to wait for; -1 once it is closed."""
        return self._outer.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of each call, in seconds."""
        self._seconds = seconds

    def close(self) -> None:
        """Close both connections; neither is waited for."""
        self._outer.close()
