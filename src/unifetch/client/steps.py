"""What a call needs done, one step at a time, by whoever drives it: the words between `call.py` and the two clients.

Fetch(auth, …)       have credentials fetched            -> their fields; None: another call has fetched them
RawRequest           send it                             -> RawResponse
ReadBody(raw, …)     read the body, or open the stream   -> the body
Discard(raw)         be done with this response          -> None
Abandon(raw)         close it, with its connection       -> None
Sleep(seconds)       wait                                -> None
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from ..policies.auth import Auth, AuthMemory, FinalRequest
    from ..policies.incoming import Incoming
    from .call import Journey

    Step: TypeAlias = "Fetch | RawRequest | ReadBody | Discard | Abandon | Sleep"
    Steps = Generator[Step, None, None]

# The credentials that the running code is fetching: a request that it makes meanwhile must not wait for them.
_fetching: ContextVar[tuple[Fetch, ...]] = ContextVar("unifetch_fetching", default=())


class Fetch:
    """Fetch credentials for a request, or wait for another call that does. Fetching may block, or be awaited.

    Attributes:
        seconds: the longest wait; None for any.
    """

    __slots__ = ("_coroutine", "_is_one", "_is_over", "_outer", "auth", "memory", "request", "seconds")

    def __init__(self, auth: Auth, request: FinalRequest, memory: AuthMemory, seconds: float | None) -> None:
        self.auth = auth
        self.request = request
        self.memory = memory
        self.seconds = seconds
        self._is_one = auth.is_fetched_for_all and all(each.memory is not memory for each in _running())
        self._is_over = False
        self._outer: Any = None
        self._coroutine: Coroutine[Any, Any, Any] | None = None

    def begin(self, wake: Callable[[], object]) -> bool:
        """Whether to fetch; if not, `wake` is called once another has fetched or failed."""
        if not self._is_one:
            return True
        if not self.memory.begin_fetch(self, wake):
            return False
        self._outer = _fetching.set((*_running(), self))
        if self.auth.wants(self.memory):
            return True
        self.end()  # another has, just now
        wake()
        return False

    def start(self) -> Any:
        """What was fetched, or an awaitable of it."""
        found = self.auth.fetch(self.request, self.memory)
        if isinstance(found, Coroutine):
            self._coroutine = found
            if self._is_over:  # this is a thread, and whoever was to await it is gone
                found.close()
        return found

    def finish(self, found: Any) -> Pairs:
        """The header fields made of what was fetched."""
        return self.auth.fetched(found, self.request, self.memory)

    def end(self) -> None:
        """Let the calls that wait go on, whether it was fetched or not. Ending twice does no harm."""
        self._is_over = True
        if self._outer is not None:
            outer, self._outer = self._outer, None
            with suppress(ValueError):  # of another context, if it is the garbage collector that ends the call
                _fetching.reset(outer)
        self.memory.end_fetch(self)
        if self._coroutine is not None:
            self._coroutine.close()  # in case nobody has awaited it


def _running() -> tuple[Fetch, ...]:
    # Those that the running code is within. One that an interrupt has ended may still be named.
    return tuple(each for each in _fetching.get() if each.memory.fetched_by is each)


class ReadBody:
    """Read the body of a response: all of it, or as a stream.

    Attributes:
        raw: a RawResponse, or an AsyncRawResponse for a driver that awaits.
        incoming: what its body passes through.
        whole: whether to read it to the end.
        journey: the call that it belongs to; it gives errors their context.
    """

    __slots__ = ("incoming", "journey", "raw", "whole")

    def __init__(self, raw: Any, incoming: Incoming, whole: bool, journey: Journey) -> None:
        self.raw = raw
        self.incoming = incoming
        self.whole = whole
        self.journey = journey


class Discard:
    """Be done with a response: read on if little is left, so that the connection can be used again."""

    __slots__ = ("raw",)
    most = 64 * 1024  # bytes; reading more than this costs more than a new connection

    def __init__(self, raw: Any) -> None:
        self.raw = raw


class Abandon:
    """Close a response that something went wrong with."""

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        self.raw = raw


class Sleep:
    """Wait."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
