"""The contract, version 1: what the core asks of whoever carries a request.

A backend performs one exchange. It writes the request that it is handed, unchanged, and returns the
head of the response and its undecoded body. It follows no redirect, repeats nothing, keeps no
cookies, decodes nothing but the transfer coding, and reads nothing from the environment.
"""

from __future__ import annotations

import sys
from enum import Enum
from time import monotonic

from ..errors import (
    ConfigConflict,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    IncompleteBody,
    InvalidSetting,
    InvalidURL,
    NameResolutionError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    TimedOut,
    TLSError,
    UnifetchError,
    evidence,
)
from ..model.messages import AsyncRawResponse as AsyncRawResponse  # public here, as is all that a backend needs
from ..model.messages import RawRequest as RawRequest
from ..model.messages import RawResponse as RawResponse
from ..model.route import Route as Route
from ..model.timeouts import Timeout as Timeout

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Literal, NoReturn, Protocol

    from ..errors import RequestSent
else:
    Protocol = object


class Capability(Enum):
    """What not every library can be told or asked through its interface.

    The conformance tests hold a backend to what it declares: a test may be skipped only where its
    capability is not declared, and a capability that is there undeclared is as much a failure.
    """

    HARD_DEADLINE = "the total timeout also ends a head or a read that drips"
    EXACT_TARGET = "sends the request target as it is handed over"
    EXACT_HEADERS = "sends the header fields as they are handed over, and no other"
    STRICT_HEAD = "reports a malformed, ambiguous or truncated head instead of guessing"
    STRICT_CHUNKS = "reports malformed or truncated chunked coding"
    INTERIM = "skips 1xx responses (RFC 9110 §15.2)"
    KEEP_ALIVE = "uses a connection for more than one request"
    EARLY_RESPONSE = "returns a response that came before the upload was complete"
    REQUEST_SENT = "knows whether a byte of a failed request had left"
    TLS_CONTEXT = "uses the SSLContext that it is handed"
    TLS_TRUNCATION = "reports a TLS connection that ended without close_notify"
    NO_CONTENT = "takes the answer to HEAD, a 204 and a 304, whatever its fields say of a content"
    NO_POISONING = "never takes bytes that came after a response for the next one"
    PROXY = "goes through an HTTP proxy, by CONNECT to an https origin"
    TLS_PROXY = "speaks TLS to a proxy"
    SOCKS = "goes through a SOCKS5 proxy"
    UNIX_SOCKET = "connects to a unix socket"
    RESOLVE = "connects to an address that it is handed, in place of the host's"
    FORBID_PRIVATE = "refuses addresses that are not public, after resolution"
    EXPECT_CONTINUE = "waits for 100 (Continue) before the body, where the request says Expect"
    TRAILERS = "tells trailer fields, and sends them"
    INTERIM_EVENTS = "tells of 1xx responses"
    HTTP2 = "speaks HTTP/2 where it is asked for and the server offers it"
    MULTIPLEX = "has several exchanges on one connection at once"
    NATIVE_ASYNC = "awaits the network; without it an AsyncClient runs the backend in threads"
    TRIO = "runs under trio as well as under asyncio"


# What only an `AsyncBackend` can have.
ASYNC_CAPABILITIES = frozenset({Capability.NATIVE_ASYNC, Capability.TRIO, Capability.MULTIPLEX})

# What a backend with a hand on the wire can do in HTTP/1.1: all of it. The conformance tests hold each of them to a
# capability that is added above.
HTTP_1_CAPABILITIES = frozenset(Capability) - {Capability.HTTP2} - ASYNC_CAPABILITIES
if sys.platform == "win32":
    HTTP_1_CAPABILITIES -= {Capability.UNIX_SOCKET}


# How long a connection may stay idle, on every backend. Servers close theirs after 60 seconds (nginx: 75) and more, and
# to go first avoids the race between their close and our next request.
IDLE_SECONDS = 50.0

# What it takes to go through a proxy, by its scheme.
PROXY_CAPABILITIES = {
    "http": Capability.PROXY,
    "https": Capability.TLS_PROXY,
    "socks5": Capability.SOCKS,
    "socks5h": Capability.SOCKS,
}


class Backend(Protocol):
    """One way to carry a request over the network.

    `send` raises unifetch's errors and no others, each with `request_sent` set; so does every step of the
    body that it returns. An exception that the caller's own body iterable raises passes through unharmed
    or wrapped: the core puts the original in its place.

    A backend is used by many threads at once.
    """

    name: str
    contract: Literal[1]
    capabilities: frozenset[Capability]
    native: object

    def send(self, request: RawRequest) -> RawResponse:
        """Perform one exchange, up to the head of the final response."""

    def close(self) -> None:
        """Close idle connections; a native object that was injected stays open."""


class AsyncBackend(Protocol):
    """The same contract, awaited: it declares NATIVE_ASYNC, and serves the tasks of one event loop.

    A request's body is bytes, an *asynchronous* iterable, or None. The body of a response is an asynchronous
    iterator, and its `close` is to be awaited.

    Cancellation is a promise: a task that is cancelled at any await, or whose exchange fails, leaves no open socket
    and no connection in the pool that was not read to its end. The cancellation itself passes through as it is.
    """

    name: str
    contract: Literal[1]
    capabilities: frozenset[Capability]
    native: object

    async def send(self, request: RawRequest) -> AsyncRawResponse:
        """Perform one exchange, up to the head of the final response."""

    async def close(self) -> None:
        """Close idle connections; a native object that was injected stays open."""


class Exchange:
    """One exchange as a backend's hooks see it: what the next step may take, and what has happened so far.

    Attributes:
        sent: whether a byte of the request has left (`"no"`, `"maybe"`), or a response come (`"yes"`).
        reused: whether the connection had carried a request before.
        answered: whether a byte of the response has come.
        ended: whether the server has ended its side of the connection.
        broke_sending: whether a step of the request failed.
    """

    __slots__ = ("answered", "broke_sending", "deadline", "ended", "reused", "sent", "timeout")

    def __init__(self, timeout: Timeout, deadline: float | None) -> None:
        self.timeout = timeout
        self.deadline = deadline
        self.sent: RequestSent = "no"
        self.reused = False
        self.answered = False
        self.ended = False
        self.broke_sending = False

    def where(self) -> str:
        """Where the connection ended, for a message."""
        if self.broke_sending and not self.answered:
            return SENDING
        return receiving("yes" if self.answered else self.sent)

    def within(self, seconds: float | None) -> float | None:
        """The seconds of a phase, cut to what is left until the deadline.

        Raises:
            TimeoutError: if nothing is left.
        """
        return within(seconds, self.deadline)


def within(seconds: float | None, deadline: float | None) -> float | None:
    """The seconds of a phase, cut to what is left until a deadline by `monotonic()`.

    Raises:
        TimeoutError: nothing is left.
    """
    if deadline is None:
        return seconds
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left if seconds is None or left < seconds else seconds


def ends_at(seconds: float | None, deadline: float | None) -> float | None:
    """When such a phase has to be over, by `monotonic()`; None for never.

    Raises:
        TimeoutError: the deadline has passed.
    """
    now = monotonic()
    if deadline is None:
        return None if seconds is None else now + seconds
    if deadline <= now:
        raise TimeoutError("the deadline has passed")
    return deadline if seconds is None or deadline < now + seconds else now + seconds


def connect_ends(request: RawRequest) -> float | None:
    """When connecting has to be over, by `monotonic()`: with its own timeout or with the deadline."""
    seconds, deadline = request.timeout.connect, request.deadline
    ends = None if seconds is None else monotonic() + seconds
    return deadline if ends is None or (deadline is not None and deadline < ends) else ends


def time_left(ends: float | None) -> float | None:
    """The seconds until a connection has to be open; None for any number, TimeoutError if none are left."""
    return within(None, ends)


def refuse_conflicts(native: object, carried: Mapping[str, bool]) -> None:
    """Refuse a native object of the caller's that carries settings which would be lost.

    Args:
        native: the object.
        carried: for each setting that it may carry, by name, whether it does.

    Raises:
        ConfigConflict: it names the first of them.
    """
    for name, is_set in carried.items():
        if is_set:
            raise ConfigConflict(f"this {_kind(native)} carries {name}, which would be lost; set it on unifetch")


def refuse_closed(native: object, is_closed: bool) -> None:
    """Refuse to send anything by a native object that its owner has closed; raises `InvalidSetting`."""
    if is_closed:
        raise InvalidSetting(f"backend: this {_kind(native)} is closed: open another, and a client for it")


def _kind(native: object) -> str:
    return f"{type(native).__module__.partition('.')[0]}.{type(native).__name__}"


def came_too_late(sent: RequestSent) -> str:
    """What to say of a server that did not answer in time."""
    return "the rest of the response did not come in time" if sent == "yes" else "no response came in time"


SENDING = "while the request was sent"


def receiving(sent: RequestSent) -> str:
    """Where a connection ended that was being read."""
    return "within the response" if sent == "yes" else "before an answer came"


def broken_by(error: BaseException, where: str) -> str:
    """What to say of a connection that this ended."""
    said = str(error)
    if "eof" in said.lower():  # in the words of Python or of OpenSSL
        return f"the TLS connection ended {where}, without close_notify (RFC 9112 §9.8): it may have been cut off"
    return f"the connection broke {where}: {getattr(error, 'strerror', None) or said or type(error).__name__}"


def translate(
    error: Exception, table: Mapping[type[Exception], type[UnifetchError]], exchange: Exchange, request: RawRequest
) -> NoReturn:
    """Raise our error for what a library raised: one of ours that it wraps, or by the first row of its table that fits.

    Args:
        error: what it raised.
        table: the adapter's `ERRORS`.
        exchange: how far the exchange had come.
        request: the request.
    """
    wrapped = list(causes(error))
    for cause in wrapped:
        if isinstance(cause, UnifetchError):
            raise cause from cause.__cause__
    kind = next(ours for theirs, ours in table.items() if any(isinstance(cause, theirs) for cause in wrapped))
    said = str(wrapped[-1]) or type(wrapped[-1]).__name__
    said = said if said.isprintable() and len(said) <= 200 else evidence(said, 200)
    if exchange.sent == "yes":
        if kind in (ConnectionLost, TLSError) or (exchange.ended and issubclass(kind, ProtocolError)):
            raise IncompleteBody(_lost(wrapped[-1], said, exchange), request_sent="yes") from error
    elif issubclass(kind, ConnectError) and kind is not ProxyError:
        raise connect_error(error, request.host, request.port) from error
    if exchange.ended and issubclass(kind, ProtocolError):
        kind = ConnectionLost
    sent: RequestSent = "no" if kind in _NOT_SENT else "yes" if exchange.answered else exchange.sent
    if kind is ReadTimeout:
        said = f"{came_too_late(sent)} ({said})"
    elif issubclass(kind, TimedOut):
        said = f"{request.host}:{request.port} was not done in time: {said}"
    elif kind is ConnectionLost:
        said = _lost(wrapped[-1], said, exchange)
    failure = kind(said, request_sent=sent)
    if isinstance(failure, ConnectionLost):
        failure.reused = exchange.reused and not exchange.answered
    raise failure from error


def _lost(error: BaseException, said: str, exchange: Exchange) -> str:
    where = exchange.where()
    return f"the connection ended {where}: {said}" if exchange.ended else broken_by(error, where)


# What is raised before anything leaves.
_NOT_SENT = (PoolTimeout, ConnectTimeout, ProxyError, InvalidURL)


def connect_error(error: BaseException, host: str, port: int) -> ConnectError:
    """What kept a connection from coming about, found in what a library wrapped around it.

    Libraries keep the original in `__cause__`, `args` or `reason`.
    """
    for cause in causes(error):
        # By name: importing `ssl` and `socket` here would cost every program that only speaks http.
        kinds = {kind.__name__ for kind in type(cause).__mro__}
        if "SSLError" in kinds or "CertificateError" in kinds:
            return TLSError(f"TLS with {host}:{port} failed: {cause}")
        if "gaierror" in kinds:
            return NameResolutionError(f"no address for {host}: {cause}")
    for cause in causes(error):
        if isinstance(cause, OSError):
            return ConnectError(f"no connection to {host}:{port}: {cause}")
    return ConnectError(f"no connection to {host}:{port}: {error}")


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it wraps, outermost first."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        found = queue.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            # Not `__context__`: what the caller was handling when it called us is no part of this.
            queue += [found.__cause__, getattr(found, "reason", None), *found.args]
