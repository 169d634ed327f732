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
    StatusError,
    TimedOut,
    TooManyRedirects,
    TotalTimeout,
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
    from contextlib import AbstractContextManager
    from typing import Any, TypeAlias

    from .backends.base import Backend
    from .errors import RequestSent
    from .headers import Pairs
    from .messages import Request
    from .policies.auth import Auth, AuthMemory
    from .policies.bodies import Body
    from .policies.cookies import CookieJar
    from .policies.retries import Retry
    from .settings import Settings
    from .url import URL

    Step: TypeAlias = "RawRequest | Receive | Discard | Sleep"
    Steps = Generator[Step, Any, Response[Any]]
    Answer = Generator[Step, Any, RawResponse]
    Outcome = Generator[Step, Any, Response[Any] | Request]

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


class Memory:
    """What a client keeps from one call to the next: its cookies, and what its auth has learnt.

    Attributes:
        settings_auth: the client's own auth, which the memory belongs to.
        lock: makes storing cookies one step for all the threads of a client.
        jar: the cookies; None until there is one.
        keeps_cookies: whether cookies are kept at all.
        auth: what the client's own auth has learnt; None until it is used.
    """

    __slots__ = ("auth", "jar", "keeps_cookies", "lock", "settings_auth")

    def __init__(
        self,
        lock: AbstractContextManager[Any],
        *,
        jar: CookieJar | None,
        keeps_cookies: bool,
        settings_auth: Auth | None,
    ) -> None:
        self.lock = lock
        self.settings_auth = settings_auth
        self.jar = jar
        self.keeps_cookies = keeps_cookies
        self.auth: AuthMemory | None = None

    def store(self, url: URL, set_cookie: list[str], now: float) -> None:
        """Keep the cookies of a response."""
        from .policies.cookies import CookieJar

        with self.lock:
            if self.jar is None:
                self.jar = CookieJar()
            self.jar.store(url, set_cookie, now)


class Journey:
    """One call, from its start to the last byte: what is being sent, by whom, and until when.

    Args:
        request: what is asked.
        body: the body that goes with it.
        settings: what the call goes by.
        backend: who carries it.
        memory: what the client keeps.
        cookies: the value of a Cookie field for the origin of this request, and for no other.
        clock: monotonic time, in seconds.
        calendar: seconds since the epoch, for cookies and dates.
    """

    __slots__ = (
        "_at_home",
        "_auth",
        "_cookies",
        "attempts",
        "backend",
        "body",
        "calendar",
        "clock",
        "deadline",
        "history",
        "memory",
        "request",
        "settings",
        "started",
    )

    def __init__(
        self,
        request: Request,
        body: Body,
        settings: Settings,
        backend: Backend,
        memory: Memory,
        cookies: str | None,
        clock: Callable[[], float],
        calendar: Callable[[], float],
    ) -> None:
        self.request = request
        self.body = body
        self.settings = settings
        self.backend = backend
        self.memory = memory
        self.clock = clock
        self.calendar = calendar
        self.started = clock()
        total = settings.timeout.total
        self.deadline = None if total is None else self.started + total
        self.history: tuple[Response[bytes], ...] = ()
        self.attempts = 0
        self._cookies = cookies
        self._auth: Auth | None = settings.auth
        if self._auth is None and request.url.username is not None:
            from .policies.auth import Basic

            self._auth = Basic.of_url(request.url)
        self._at_home = True  # until a redirect leads to another origin; then credentials stay behind for good

    def steps(self, *, whole: bool) -> Steps:
        """The steps of this call; the generator returns its response.

        Args:
            whole: whether the body is read into memory, or left to be read as a stream.

        Raises:
            UnifetchError: whatever ends the call.
        """
        self._tell(events.RequestStarted)
        try:
            while True:
                outcome = yield from self._tried(whole)
                if isinstance(outcome, Response):
                    break
                self._move(outcome)
        except BaseException as error:
            self.explain(error)
            self._tell(events.Failed, error)
            raise
        self._tell(events.Finished, outcome)
        return outcome

    def _move(self, target: Request) -> None:
        if target.url.origin != self.request.url.origin:
            self._at_home = False
        if target.body is None:
            self.body = NO_BODY
        self.request = target

    # --- One request, until what came of it is final ----------------------------------------------

    def _tried(self, whole: bool) -> Outcome:
        retry = self.settings.retry
        if retry is None:
            answer = yield from self._authorized()
            return (yield from self._concluded(answer, whole))
        failures: list[str] = []
        while True:
            error: UnifetchError | None = None
            raw: RawResponse | None = None
            try:
                raw = yield from self._authorized()
                wait = self._wait(retry, len(failures) + 1, None, raw)
                if wait is None:
                    return (yield from self._concluded(raw, whole))
                yield Discard(raw)
                failures.append(f"{raw.status} {raw.reason}".strip())
            except UnifetchError as failure:
                error = failure
                self.explain(error)
                wait = self._wait(retry, len(failures) + 1, error, None)
                failures.append(f"{type(error).__name__}: {error}")
                if wait is None:
                    error.attempts = tuple(failures)
                    raise
            self._tell(events.Retry, wait, error, raw.status if raw else None)
            yield Sleep(wait)

    def _wait(self, retry: Retry, attempt: int, error: UnifetchError | None, raw: RawResponse | None) -> float | None:
        from random import random

        if isinstance(error, StatusError):
            return None
        wait = retry.wait_before(
            attempt,
            self.request.method,
            replayable=self.body.replayable,
            error=error,
            status=raw.status if raw else None,
            headers=raw.headers if raw else None,
            now=self.calendar(),
            random=random(),  # noqa: S311  # jitter
        )
        if wait is None:
            return None
        if raw is not None and wait > retry.max_wait:
            raw.close()
            message = f"{raw.status} with a Retry-After of {wait:.0f} s, which is above max_wait, {retry.max_wait:g} s"
            raise StatusError(message, self._response(raw, b""))
        # A wait that the deadline would cut short only delays the answer.
        return None if self.deadline is not None and self.clock() + wait >= self.deadline else wait

    # --- One request, with the credentials that are asked for -------------------------------------

    def _authorized(self) -> Answer:
        pairs = self._pairs()
        auth = self._auth
        if auth is None or not self._at_home:
            return (yield from self._answered(pairs))
        from .policies.auth import FinalRequest

        memory = self._memory_of(auth)
        final = FinalRequest(self.request.method, self.request.url, Headers.trusted(pairs), self.body.source)
        credentials = auth.authorize(final, memory)
        answered = 0
        while True:
            raw = yield from self._answered(final.headers.merged(Headers(credentials)).pairs)
            if raw.status != 401 or not self.body.replayable:
                return raw
            again = auth.answer(final, memory, response=raw.headers, answered=answered)
            if again is None:
                return raw
            credentials = again
            answered += 1
            yield Discard(raw)

    def _memory_of(self, auth: Auth) -> AuthMemory:
        from .policies.auth import AuthMemory

        if auth is not self.memory.settings_auth:
            return AuthMemory()  # auth of this call alone
        if self.memory.auth is None:
            self.memory.auth = AuthMemory()
        return self.memory.auth

    def _pairs(self) -> Pairs:
        pairs = wire_headers(self.request, self.body)
        jar = self.memory.jar
        if not jar and self._cookies is None:
            return pairs
        if "cookie" in self.request.headers:
            return pairs  # the caller has said it all
        value = jar.header(self.request.url, self.calendar()) if jar else None
        if self._cookies is not None and self._at_home:
            from .policies.cookies import merged

            value = merged(value, self._cookies)
        return pairs if value is None else (*pairs, ("Cookie", value))

    # --- One request, answered --------------------------------------------------------------------

    def _answered(self, pairs: Pairs) -> Answer:
        resent = False
        while True:
            raw_request = self._raw_request(pairs)
            try:
                raw: RawResponse = yield raw_request
                break
            except BaseException as error:
                if self.body.failure is not None:
                    raise self.body.failure from None
                stale = isinstance(error, ConnectionLost) and error.reused and not resent
                if not (stale and self.request.method in IDEMPOTENT and self.body.replayable):
                    raise
                resent = True
        self._tell(events.ResponseHead, raw.status, raw.reason, raw.http_version, raw.headers)
        try:
            check_head(raw.status, raw.http_version, raw.headers.pairs)
        except BaseException:
            raw.close()
            raise
        if self.memory.keeps_cookies and "set-cookie" in raw.headers:
            self.memory.store(self.request.url, raw.headers.get_all("set-cookie"), self.calendar())
        return raw

    def _raw_request(self, pairs: Pairs) -> RawRequest:
        self.attempts += 1
        self._check_deadline("no")
        settings, url = self.settings, self.request.url
        takes_context = Capability.TLS_CONTEXT in self.backend.capabilities
        if settings.listeners:
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

    def _concluded(self, raw: RawResponse, whole: bool) -> Outcome:
        """The response with its body, or the request that it redirects to."""
        most = self.settings.redirects
        try:
            target = None
            if most:
                target = follow(self.request, raw.status, raw.headers, replayable=self.body.replayable)
            if target is None:
                limits = self.settings.limits if whole else None
                incoming = Incoming(self.request.method, raw.status, raw.headers, limits)
                body = yield Receive(raw, incoming, whole, self)
                return self._response(raw, body)
            if len(self.history) == most:
                raise TooManyRedirects(f"more than {most} redirects, the last to {target.url}", request_sent="yes")
        except BaseException:
            raw.close()
            raise
        self._tell(events.Redirect, raw.status, target.url)
        yield Discard(raw)
        self.history += (self._response(raw, b""),)
        return target

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
