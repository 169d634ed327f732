"""The awaited body of one response in a pool of httpx or httpx2, and what becomes of the connection after it.

Only a connection whose response was read to its end serves another. With anything else that ends a body it is closed
first, by an ordinary call, which no cancellation can interrupt; then the library's generators come to their end.
"""

from __future__ import annotations

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from .httpx_network import PooledConnection


class PooledBody:
    """The chunks of one response, as the pool's HTTP/1.1 gives them.

    Args:
        connection: what they come by.
        stream: what gives them.

    Attributes:
        interrupted: what ended `aclose`, which never raises: the pool would not finish its own.
    """

    def __init__(self, connection: PooledConnection, stream: Any) -> None:
        self._connection = connection
        self._stream = stream
        self._chunks: Any = None
        self._ended = False
        self._closed = False
        self.interrupted: BaseException | None = None

    def __aiter__(self) -> PooledBody:
        return self

    async def __anext__(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._stream.__aiter__()
        try:
            chunk: bytes = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._ended = True
            raise
        except BaseException:
            self._closed = True
            self._connection.close()
            raise
        return chunk

    async def aclose(self) -> None:
        """Let the connection serve another if all was read, else close it."""
        if self._closed:
            return
        self._closed = True
        if not self._ended:
            self._connection.close()
        try:
            if self._ended:
                await self._stream.aclose()
                self._connection.release()
            elif self._chunks is not None:
                # The next read fails, and so ends each generator inside; closing the outermost leaves the inner ones.
                async for _ in self._chunks:
                    pass
        except Exception:  # noqa: BLE001  # it ends, by the closed connection or by a deadline that has passed
            self._connection.close()
        except BaseException as error:  # noqa: BLE001  # a cancellation; raised by who has called the pool
            self._connection.close()
            self.interrupted = error
