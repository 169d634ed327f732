"""A connection that a library of asyncio has opened, taken over for HTTP/1.1 of our own.

A library of asyncio hands out a connection with a protocol of its own on it, and asyncio documents how to put another
one there. That is all that is needed to read and write as the socket client does: through an `AsyncConnection`, and
through TLS of ours where there is some. asyncio's own drops what came before a write that failed, be it the alert in
which a server says why it refuses us. This opens no connection and keeps none, and knows no library.
"""

from __future__ import annotations

import os
from contextlib import suppress
from weakref import WeakSet

from ..wire.asyncio_wire import AsyncioWire
from ..wire.reader import RECEIVE
from .socket.async_connection import AsyncConnection

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..model.messages import AsyncRawResponse, RawRequest
    from ..wire.asyncio_wire import AsyncioTLS
    from ..wire.timer import Clock


class TakenOver(AsyncioWire):
    """An open connection whose protocol is this, from now on.

    Args:
        transport: the connection.
        former: the protocol that was on it; it is still told of the end.
        clock: what ends the waits.

    Attributes:
        connection: the driver of HTTP/1.1 on it.
    """

    def __init__(self, transport: Any, former: Any, clock: Clock) -> None:
        super().__init__(transport.get_extra_info("socket"), clock)
        self._former = former
        self._give_back: Callable[[bool], None] | None = None
        self.connection_made(transport)
        transport.set_protocol(self)
        self.connection = AsyncConnection(self)
        _open.add(self)

    def carry(self, tls: AsyncioTLS) -> None:
        """Speak HTTP inside of this, which goes over the connection."""
        self.connection = AsyncConnection(tls)

    async def exchange(self, request: RawRequest, give_back: Callable[[bool], None]) -> AsyncRawResponse:
        """Perform one exchange, up to the head of the final response.

        Args:
            request: what to send, as it is.
            give_back: called once, when the exchange is over: with whether the connection can be used again.
        """
        self._give_back = give_back
        return await self.connection.exchange(request, self, None)

    def put(self, _: object, __: object) -> None:
        """The exchange is over, and its body was read to its end."""
        if self.connection.release():
            self._over(clean=True)

    def _over(self, *, clean: bool) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back(clean)

    def close(self) -> None:
        """Close it at once: what was not sent is dropped, and nobody waits for the peer."""
        super().close()
        self._over(clean=False)

    def has_ended(self) -> bool:
        """Whether the peer has ended it already, before the first exchange."""
        return self._ended or bool(self._transport.is_closing())

    # --- What the transport tells ---

    def buffer_updated(self, nbytes: int) -> None:
        """That many bytes have come; while the connection is idle, they are its end (RFC 9112 §9.2)."""
        super().buffer_updated(nbytes)
        if self._is_idle():
            self.close()

    def eof_received(self) -> bool:
        """The peer has ended its side. What is idle is to close."""
        super().eof_received()
        return not self._is_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, here or there."""
        super().connection_lost(exc)
        self._former.connection_lost(exc)

    def _is_idle(self) -> bool:
        return self._give_back is None and self.connection.exchanges > 0

    def _save_answer(self) -> None:
        # asyncio closes the socket after this call. Where others have closed it before, there is nothing to copy.
        with suppress(OSError, AttributeError, TypeError), self._sock.dup() as copy:
            self._data += copy.recv(RECEIVE)

    def inherit(self) -> None:
        """This process is a fork of the one that has the connection, and must leave it alone.

        A loop that closes a connection removes it from its epoll, which is still one and the same for both.
        """
        self._former.transport = None
        _inherited.append(self)


_open: WeakSet[TakenOver] = WeakSet()
_inherited: list[object] = []  # what must not even be collected
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: list(map(TakenOver.inherit, list(_open))))
