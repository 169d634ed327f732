"""TLS inside TLS: an https origin behind a proxy that is spoken to over TLS itself.

`SSLContext.wrap_socket` works on a file descriptor, below whatever TLS is there already. So here the inner
connection reads from and writes to memory, and its bytes are carried by the outer one.
"""

from __future__ import annotations

import ssl
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class TLSInTLS:
    """What a `Connection` needs of a socket. As with `ssl.SSLSocket`, the timeout is for each call as a whole.

    Args:
        outer: the connection to the proxy.
        context, host: of the origin.
        seconds: the timeout; it also holds for the handshake, which is performed at once.

    Raises:
        OSError: the handshake failed; `ssl.SSLError` and `TimeoutError` are such.
    """

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        self._outer = outer
        self._seconds = seconds
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._carry(self._tls.do_handshake)

    def send(self, data: bytes | memoryview) -> int:
        """Send some of the data, and say how much."""
        return self._carry(lambda: self._tls.write(data))

    def recv(self, limit: int) -> bytes:
        """What is there, as soon as there is something; b"" after the peer has said that it is done."""
        return self._carry(lambda: self._tls.read(limit))

    def _carry(self, step: Callable[[], T]) -> T:
        ends = monotonic() + (self._seconds or 0)
        while True:
            try:
                outcome = step()
            except ssl.SSLWantReadError:
                self._flush(ends)
                self._arm(ends)
                if data := self._outer.recv(16 * 1024):  # the largest record
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush(ends)
                return outcome

    def _flush(self, ends: float) -> None:
        if data := self._outgoing.read():
            self._arm(ends)
            self._outer.sendall(data)

    def _arm(self, ends: float) -> None:
        seconds = self._seconds
        if seconds:  # 0 is not to wait, None to wait for ever
            seconds = ends - monotonic()
            if seconds <= 0:
                raise TimeoutError("timed out")
        self._outer.settimeout(seconds)

    def pending(self) -> int:
        """Bytes that have come, and are not to be seen at the file descriptor any more."""
        return self._tls.pending() + self._incoming.pending + self._outer.pending()

    def fileno(self) -> int:
        """The file descriptor, to wait for."""
        return self._outer.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout."""
        self._seconds = seconds

    def gettimeout(self) -> float | None:
        """The timeout."""
        return self._seconds

    def close(self) -> None:
        """Close both connections; neither is waited for."""
        self._outer.close()
