"""The journey of a request: everything that unifetch decides, from the call to the response.

It is one generator, and it does no I/O. It yields what it needs done, one step at a time, and is sent
the outcome; an error of the network is thrown into it at the step that failed. A driver is all that
is needed around it (`client.py`), and it can be a synchronous or an asynchronous one:

    RawRequest           send it                             -> RawResponse
    Receive(raw, …)      read the body, or open the stream   -> the body
    Discard(raw)         be done with this response          -> None
    Sleep(seconds)       wait                                -> None
"""

from __future__ import annotations

from . import events
from .backends.base import Capability
from .errors import (
    ConnectionLost,
    InvalidHeader,
    TimedOut,
    TotalTimeout,
    TooManyRedirects,
    UnifetchError,
)
from .headers import REDACTED, Headers
from .messages import RawRequest, RawResponse, Response
from .policies.bodies import NO_BODY, framing
from .policies.decoding import accept_encoding
from .policies.incoming import Incoming
from .policies.limits import check_head
from .policies.redirects import follow
from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    from .backends.base import Backend
    from .errors import RequestSent
    from .headers import Pairs
    from .messages import Request
    from .policies.bodies import Body
    from .settings import Settings

    Step: TypeAlias = "RawRequest | Receive | Discard | Sleep"
    Steps = Generator[Step, Any, Response[Any]]

# RFC 9110 §9.2.2: repeating one of these does what sending it once did.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

# Fields of the connection, not of the request: what they say is decided by whoever owns the connection.
_FORBIDDEN = frozenset(
    {
        "content-length",
        "transfer-encoding",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
    }
)


class Receive:
    """Read the body of a response: all of it, or as a stream.

    Attributes:
        raw: the response.
        incoming: what to pass its body through.
        whole: whether to read it to the end.
        journey: the call that it belongs to; it gives errors their context.
    """

    __slots__ = ("incoming", "journey", "raw", "whole")

    def __init__(self, raw: RawResponse, incoming: Incoming, whole: bool, journey: Journey) -> None:
        self.raw = raw
        self.incoming = incoming
        self.whole = whole
        self.journey = journey


class Discard:
    """Be done with a response: read on if little is left, so that the connection can be used again."""

    __slots__ = ("raw",)
    most = 64 * 1024  # bytes; reading more than this costs more than a new connection

    def __init__(self, raw: RawResponse) -> None:
        self.raw = raw


class Sleep:
    """Wait."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Journey:
    """One call, from its start to the last byte: what is being sent, by whom, and until when."""

    __slots__ = ("attempts", "backend", "body", "clock", "deadline", "history", "request", "settings", "started")

    def __init__(
        self,
        request: Request,
        body: Body,
        settings: Settings,
        backend: Backend,
        clock: Callable[[], float],
    ) -> None:
        self.request = request
        self.body = body
        self.settings = settings
        self.backend = backend
        self.clock = clock
        self.started = clock()
        total = settings.timeout.total
        self.deadline = None if total is None else self.started + total
        self.history: tuple[Response[bytes], ...] = ()
        self.attempts = 0

    def steps(self, *, whole: bool) -> Steps:
        """The steps of this call; the generator returns its response.

        Args:
            whole: whether the body is read into memory, or left to be read as a stream.

        Raises:
            UnifetchError: whatever ends the call.
        """
        self._tell(events.RequestStarted)
        try:
            response = yield from self._redirected(whole)
        except BaseException as error:
            self._tell(events.Failed, error)
            raise
        self._tell(events.Finished, response)
        return response

    # --- One request after the other, as redirects lead -------------------------------------------

    def _redirected(self, whole: bool) -> Steps:
        most = self.settings.redirects
        while True:
            raw = yield from self._answered()
            try:
                check_head(raw.status, raw.http_version, raw.headers.pairs)
                target = None
                if most:
                    target = follow(self.request, raw.status, raw.headers, replayable=self.body.replayable)
                if target is None:
                    return (yield from self._received(raw, whole))
                if len(self.history) == most:
                    raise TooManyRedirects(f"more than {most} redirects, the last to {target.url}", request_sent="yes")
            except BaseException as error:
                raw.close()
                self.explain(error)
                raise
            self._tell(events.Redirect, raw.status, target.url)
            yield Discard(raw)
            self.history += (self._response(raw, b""),)
            if target.body is None:
                self.body = NO_BODY
            self.request = target

    # --- One request, answered --------------------------------------------------------------------

    def _answered(self) -> Generator[Step, Any, RawResponse]:
        resent = False
        while True:
            raw_request = self._raw_request()
            try:
                raw: RawResponse = yield raw_request
                break
            except BaseException as error:
                if self.body.failure is not None:
                    raise self.body.failure from None
                stale = isinstance(error, ConnectionLost) and error.reused and not resent
                if not (stale and self.request.method in IDEMPOTENT and self.body.replayable):
                    self.explain(error)
                    raise
                resent = True
        self._tell(events.ResponseHead, raw.status, raw.reason, raw.http_version, raw.headers)
        return raw

    def _raw_request(self) -> RawRequest:
        self.attempts += 1
        self._check_deadline("no")
        settings, url = self.settings, self.request.url
        pairs = wire_headers(self.request, self.body)
        takes_context = Capability.TLS_CONTEXT in self.backend.capabilities
        if self.settings.listeners:
            self._tell(events.Attempt, self.attempts, Headers.trusted(pairs), self.backend.name)
        return RawRequest(
            self.request.method,
            url,
            pairs,
            self.body.open(),
            self.body.length,
            settings.timeout,
            self.deadline,
            settings.tls.context() if url.scheme == "https" and takes_context else None,
        )

    # --- The response -----------------------------------------------------------------------------

    def _received(self, raw: RawResponse, whole: bool) -> Steps:
        limits = self.settings.limits if whole else None
        incoming = Incoming(self.request.method, raw.status, raw.headers, limits)
        body = yield Receive(raw, incoming, whole, self)
        return self._response(raw, body)

    def _response(self, raw: RawResponse, body: Any) -> Response[Any]:
        return Response(
            status=raw.status,
            headers=raw.headers,
            body=body,
            request=self.request,
            reason=raw.reason,
            url=self.request.url,
            http_version=raw.http_version,
            history=self.history,
            backend=self.backend.name,
            elapsed=self.clock() - self.started,
        )

    # --- Time and errors --------------------------------------------------------------------------

    def check_deadline(self) -> None:
        """Called at each piece of a body, because a body that drips never leaves a read waiting.

        Raises:
            TotalTimeout: once the deadline has passed.
        """
        self._check_deadline("yes")

    def explain(self, error: BaseException) -> None:
        """Give an error its context: the request and the backend.

        Raises:
            TotalTimeout: in its place, if it came of the deadline. Whatever phase was cut short then was
                cut short by the total.
        """
        if not isinstance(error, UnifetchError):
            return
        if isinstance(error, TimedOut) and not isinstance(error, TotalTimeout):
            try:
                self._check_deadline(error.request_sent)
            except TotalTimeout as total:
                raise total from error
        error.request, error.backend = self.request, self.backend.name

    def _check_deadline(self, sent: RequestSent) -> None:
        if self.deadline is None or self.clock() < self.deadline:
            return
        error = TotalTimeout(
            f"not over within the total timeout of {self.settings.timeout.total:g} s", request_sent=sent
        )
        error.request, error.backend = self.request, self.backend.name
        raise error

    def _tell(self, event: Any, *details: Any) -> None:
        for listener in self.settings.listeners:
            listener(event(self.request, self.clock(), *details))


def wire_headers(request: Request, body: Body) -> Pairs:
    """Every field that goes out, in the order in which it goes out: Host first, framing last.

    Raises:
        InvalidHeader: for a field that is not the caller's to set.
    """
    host = request.url.authority
    agent: Pairs = _AGENT
    accept: Pairs = _ACCEPT
    coding: Pairs = (("Accept-Encoding", accept_encoding()),)
    if not request.headers.pairs:
        return (("Host", host), *agent, *accept, *coding, *framing(request.method, body))
    fields = []
    for pair in request.headers.pairs:
        name, value = pair
        name = name.lower()
        if name in _SPECIAL:
            if name == "host":
                if host is not request.url.authority:
                    raise InvalidHeader("a request has one Host (RFC 9112 §3.2)")
                host = value
                continue
            if name == "user-agent":
                agent = ()
            elif name == "accept":
                accept = ()
            elif name == "accept-encoding":
                coding = ()
            elif name == "connection" and value.lower() != "close":
                raise InvalidHeader(f"Connection: {value} is not the caller's to say; close is")
            elif name == "expect":
                raise InvalidHeader("Expect: no backend waits for 100 (Continue)")
            elif name in _FORBIDDEN:
                raise InvalidHeader(f"{pair[0]} belongs to the connection, and unifetch sets it")
        if value == REDACTED:
            raise InvalidHeader(f"header {pair[0]} holds the mask of a credential that was pickled; set it again")
        fields.append(pair)
    return (("Host", host), *agent, *accept, *coding, *fields, *framing(request.method, body))


_AGENT: Pairs = (("User-Agent", f"unifetch/{VERSION}"),)
_ACCEPT: Pairs = (("Accept", "*/*"),)
_SPECIAL = _FORBIDDEN | {"host", "user-agent", "accept", "accept-encoding", "connection", "expect"}
