"""The body of a stream as a file, for what takes files: `zipfile`, `csv`, `shutil`, the transports of SDKs."""

from __future__ import annotations

from io import RawIOBase

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any


class BodyFile(RawIOBase):
    """A raw binary file over pieces of bytes, each taken when the one before is used up.

    Args:
        pieces: the body; closing the file calls its `close`.
    """

    def __init__(self, pieces: Any) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def read(self, size: int | None = -1, /) -> bytes | None:
        """The next bytes that are there, at most this many; all of the rest for None or a negative number."""
        return super().read(-1 if size is None else size)

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of this buffer with what is there; the number of bytes, 0 at the end."""
        room = memoryview(buffer).cast("B")
        while not self._left and room:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(room), len(self._left))
        room[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        """Close the response as well."""
        if not self.closed:
            super().close()
            self._pieces.close()
