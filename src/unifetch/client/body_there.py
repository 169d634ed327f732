"""The body of an exchange, where all of it came with its head."""

from __future__ import annotations

from ..errors import StreamError
from ..model.headers import NO_HEADERS
from ..model.messages import AsyncRawResponse

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from ..model.messages import RawResponse


def body_there(raw: RawResponse) -> BodyThere | AsyncBodyThere:
    """The body of a response that has its `content`, for whoever blocks or awaits."""
    content: Any = raw.content
    return AsyncBodyThere(content) if isinstance(raw, AsyncRawResponse) else BodyThere(content)


class BodyThere:
    """The body of an exchange, where all of it came with its head: its connection is free already.

    Attributes:
        content: all of it, until it is read.
    """

    trailers = NO_HEADERS

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._closed:
            raise StreamError("this stream is closed; read it inside its `with` block")
        if not self.content:
            raise StopIteration
        content, self.content = self.content, b""
        return content

    def close(self) -> None:
        """Nothing is left to be given back."""
        self._closed = True


class AsyncBodyThere:
    """The same, awaited."""

    trailers = NO_HEADERS

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StreamError("this stream is closed; read it inside its `async with` block")
        if not self.content:
            raise StopAsyncIteration
        content, self.content = self.content, b""
        return content

    async def close(self) -> None:
        """Nothing is left to be given back."""
        self._closed = True
