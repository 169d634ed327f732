"""The journey of a request: everything that unifetch decides, from the call to the response.

It is one generator, and it does no I/O. It yields what it needs done, one step at a time (`steps.py`), and finds the
outcome in `Journey.outcome`; an error of the network is thrown into it at the step that failed. A driver is all that is
needed around it, and it can be a synchronous or an asynchronous one (`sync_client.py`, `async_client.py`).

A body that came with its head and needs no decoding takes no step.
"""

from __future__ import annotations

from itertools import count

from ..backends.base import PROXY_CAPABILITIES
from ..errors import (
    ConfigError,
    ConnectionLost,
    IncompleteBody,
    StatusError,
    TimedOut,
    TooManyRedirects,
    TotalTimeout,
    UnifetchError,
    UnsupportedCapability,
    evidence,
)
from ..model.frozen import trusted
from ..model.headers import NO_HEADERS, Headers
from ..model.messages import RawRequest, RawResponse, Request, Response
from ..model.route import Route
from ..policies.bodies import NO_BODY
from ..policies.incoming import Incoming
from ..policies.limits import check_head
from ..policies.redirects import follow
from .call_settings import AGENT
from .steps import Abandon, Discard, Fetch, ReadBody, Sleep

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, Literal

    from ..errors import RequestSent
    from ..model.headers import Pairs
    from ..model.url import URL
    from ..policies.auth import Auth, AuthMemory, FinalRequest
    from ..policies.bodies import Body
    from ..policies.cookie_jar import CookieJar, Dropped
    from ..policies.retries import Retry
    from .call_settings import Plan
    from .steps import Steps

_calls = count(1)  # next() is atomic

_TICK = 0.01  # seconds by which the system may end a wait too early: it counts in ticks

# RFC 9110 §9.2.2: repeating one of these does what sending it once did.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Memory:
    """What a client keeps from one call to the next: its cookies, and what its auth has learnt; and its clocks.

    Attributes:
        clock: monotonic time, in seconds.
        calendar: seconds since the epoch, for cookies and dates.
        settings_auth: the client's own auth, which the memory belongs to.
        lock: makes storing cookies one step for all the threads of a client.
        jar: the cookies; None until there is one.
        keeps_cookies: whether cookies are kept at all.
        auth: what the client's own auth has learnt; None until it is used.
    """

    __slots__ = ("auth", "calendar", "clock", "jar", "keeps_cookies", "lock", "settings_auth")

    def __init__(
        self,
        lock: AbstractContextManager[Any],
        clock: Callable[[], float],
        calendar: Callable[[], float],
        *,
        jar: CookieJar | None,
        keeps_cookies: bool,
        settings_auth: Auth | None,
    ) -> None:
        self.lock = lock
        self.clock = clock
        self.calendar = calendar
        self.settings_auth = settings_auth
        self.jar = jar
        self.keeps_cookies = keeps_cookies
        self.auth: AuthMemory | None = None

    def with_auth(self, auth: Auth | None) -> Memory:
        """The same cookies beside another auth, which has learnt nothing yet."""
        from copy import copy

        if self.keeps_cookies:
            self.cookies()  # which both have from now on
        other = copy(self)
        other.settings_auth, other.auth = auth, None
        return other

    def cookies(self) -> CookieJar:
        """The jar, made when it is first needed."""
        if self.jar is None:
            from ..policies.cookie_jar import CookieJar

            self.jar = CookieJar()
        return self.jar

    def store(self, url: URL, set_cookie: list[str], now: float) -> list[Dropped]:
        """Keep the cookies of a response; the list names those that a limit has dropped."""
        with self.lock:
            return self.cookies().store(url, set_cookie, now)


class Journey:
    """One call, from its start to the last byte: what is being sent, by whom, and until when.

    Args:
        plan: what the call goes by, and who carries it.
        request: what is asked.
        body: the body that goes with it.
        memory: what the client keeps.
        cookies: the value of a Cookie field for the origin of this request, and for no other; False to leave the
            client's jar alone.

    Attributes:
        outcome: of the last step, put there by the driver. To send it into the generator, and to return the
            response from it, would cost an exception a call.
        response: what the call is answered with.
    """

    # Defaults of what few calls change. What every call reads is set in `__init__`: an object's own is read faster.
    call = 0  # its number, for listeners
    outcome: Any = None
    response: Any = None

    _answer: Pairs | None = None  # what answers the last 401, and how many were answered
    _answered = 0
    _own_memory: AuthMemory | None = None
    _shares_jar = True
    _jar: CookieJar | None = None  # of this call alone, where the client keeps none
    _failures: tuple[str, ...] = ()
    _reached: RequestSent = "no"  # how far the attempts before this one have come
    _resent = False
    _by_http1 = False  # as the server has asked
    _fresh = False  # after a 421: by a connection that has carried nothing else
    _at_home = True  # until a redirect leads to another origin; then credentials stay behind for good

    def __init__(
        self,
        plan: Plan,
        request: Request,
        body: Body,
        memory: Memory,
        cookies: str | Literal[False] | None,
    ) -> None:
        self.plan = plan
        self.request = request
        self.body = body
        self.memory = memory
        clock = memory.clock
        self.started = started = clock()
        total = plan.total
        self.deadline = None if total is None else started + total
        self.attempts = 0
        self.history: tuple[Response[bytes], ...] = ()
        self._cookies = cookies or None
        if cookies is False:
            self._shares_jar = False
        self._auth: Auth | None = plan.auth
        if request.url.username is not None and not plan.exact:
            from ..policies.auth import Basic

            self._auth = Basic.of_url(request.url) if plan.auth is None else plan.auth.of_user(request.url)

    def steps(self, whole: bool) -> Steps:
        """The steps of this call; when they end, `response` is there.

        This is the main loop of all of unifetch. Each turn sends one request; what comes of it ends the call, or
        leads to another turn.

        Args:
            whole: whether the body is read into memory, or left to be read as a stream.

        Raises:
            UnifetchError: whatever ends the call.
        """
        plan = self.plan
        if plan.listeners:
            self.call = next(_calls)
            self._tell("RequestStarted")
        try:
            while True:
                if self._auth is not None and self._at_home and self._auth.wants(self._auth_memory(self._auth)):
                    yield from self._fetched(self._auth)
                raw: RawResponse | None = None
                try:
                    yield self._attempt()
                    raw = self.outcome
                    headers = raw.headers
                    by_name = Headers.by_name(headers)
                    if plan.listeners:
                        self._tell_of(raw)
                    if not raw.is_checked:
                        check_head(raw.status, raw.http_version, headers.pairs)
                    if "set-cookie" in by_name:
                        self._keep_cookies(raw)
                    wait = None if raw.status < 300 else self._goes_on(raw)
                    if wait is None:
                        body, decoded = raw.content if whole else None, False
                        if plan.exact and raw.content is not None and len(raw.content) <= plan.most:
                            body = plan.body_there(raw)
                        elif body is None or "content-encoding" in by_name or len(body) > plan.most:
                            incoming = Incoming(
                                self.request.method,
                                raw.status,
                                headers,
                                plan.limits,
                                whole=whole,
                                decode=plan.decodes,
                            )
                            try:
                                yield ReadBody(raw, incoming, whole, self)
                            except IncompleteBody as error:
                                incoming.locate(error)
                                raise
                            body, decoded = self.outcome, incoming.is_decoded
                        self.response = response = self._response(raw, body, decoded)
                        break
                    yield Discard(raw)
                except GeneratorExit:  # the driver was interrupted, and has closed what it held
                    raise
                except BaseException as error:
                    if raw is not None:
                        yield Abandon(raw)
                    wait = self._tries_again(error)
                    if wait is None:
                        raise
                if wait:
                    yield Sleep(wait)
        except BaseException as error:
            self._tell("Failed", error)
            raise
        if plan.listeners:
            self._tell("Finished", response)

    # --- The request ------------------------------------------------------------------------------

    def _attempt(self) -> RawRequest:
        self.attempts = attempts = self.attempts + 1
        again = attempts > 1
        if again:
            self._check_deadline("no")
        plan, request, body = self.plan, self.request, self.body
        if body is NO_BODY and (request.headers is plan.headers or plan.exact):
            _, _, kept, sent = plan.kept_fields(request)
            fields = kept.copy()
            fields["target"] = request.url.target
        else:
            fields, sent = plan.raw_fields(request, body), None
        fields["deadline"] = self.deadline
        if again:
            self._as_learnt(fields)
        if self.memory.jar or self._cookies is not None or self._auth is not None or (again and self._jar):
            fields["headers"], sent = self._with_credentials(fields["headers"]), None
        if sent is None:
            if fields["trailers"]:
                names = ", ".join([name for name, _ in fields["trailers"]])
                fields["headers"] = (*fields["headers"], ("Trailer", names))  # RFC 9110 §6.6.2
            sent = Headers.trusted(fields["headers"])
        self._sent = sent
        if plan.listeners:
            self._tell("Attempt", self.attempts, sent, plan.name)
        raw = trusted(RawRequest, fields)
        return raw if plan.is_direct else self._routed(raw)

    def _as_learnt(self, fields: dict[str, Any]) -> None:
        """Apply what earlier attempts have taught."""
        if self._by_http1:
            fields["http2"] = False
            fields["tls"] = None if fields["tls"] is None else self.plan.settings.tls.offering(http2=False).context()
        if not self._at_home and fields["tls"] is not None and self.plan.settings.tls.client_cert is not None:
            fields["tls"] = self.plan.settings.tls.for_others().offering(fields["http2"]).context()
        if self._fresh:
            fields["fresh"] = True

    def _routed(self, raw: RawRequest) -> RawRequest:
        settings, url = self.plan.settings, self.request.url
        rules = settings.proxy
        proxy = None if rules is None or settings.unix_socket else rules.proxy_for(url.scheme, url.host, url.port)
        changes: dict[str, Any] = {}
        connect_headers: Pairs = ()
        if proxy is not None and (lacking := PROXY_CAPABILITIES[proxy.scheme]) not in self.plan.backend.capabilities:
            # Only the environment's comes this far: which hosts it exempts is known for each request. (One that was
            # set is refused by `check_settings`.)
            raise UnsupportedCapability(
                f"the environment ({url.scheme}_proxy, all_proxy) names {proxy.url} for {url.host}, and this "
                f"{self.plan.name!r} backend does not have {lacking.name}; proxy=None connects directly, "
                "no_proxy exempts hosts, and a backend by name goes through proxies"
            )
        if proxy is not None and not proxy.scheme.startswith("socks"):
            authorization = proxy.authorization
            credentials: Pairs = () if authorization is None else (("Proxy-Authorization", authorization),)
            if url.scheme == "http" and raw.http2 == "only":
                raise ConfigError(
                    "http2: an HTTP proxy speaks HTTP/1.1 for an http origin; 'only' goes by SOCKS, or without one"
                )
            if url.scheme == "http":
                changes = {"target": str(url), "headers": (*raw.headers, *credentials)}
            else:
                host = f"[{url.host}]" if ":" in url.host else url.host
                connect_headers = (("Host", f"{host}:{url.port}"), *AGENT, *credentials)
        proxy_tls = None
        if proxy is not None and proxy.scheme == "https":
            proxy_tls = (proxy.tls or settings.tls.for_proxy()).context()
        route = Route(
            proxy=proxy,
            connect_headers=connect_headers,
            proxy_tls=proxy_tls,
            unix_socket=settings.unix_socket,
            address=settings.resolve.get(url.host),
            public_only=settings.forbid_private,
        )
        return raw.routed(route, **changes)

    def _fetched(self, auth: Auth) -> Steps:
        # Not retried: what the caller's own code raises is no failure of an exchange.
        headers = Headers.trusted(self._with_cookies(self.plan.fields(self.request, self.body)))
        request = self._final(headers)
        memory = self._auth_memory(auth)
        self._answer = None
        while self._answer is None and auth.wants(memory):
            fetch = Fetch(auth, request, memory, self.left())
            try:
                yield fetch
                fetch.end()
            finally:
                fetch.end()  # an interrupt may have cut the first short
            self._check_deadline("no")
            self._answer = self.outcome  # None if another call has fetched

    def _with_cookies(self, pairs: Pairs) -> Pairs:
        jar = self._jar
        if jar is None and self._shares_jar:
            jar = self.memory.jar
        if (jar or self._cookies is not None) and "cookie" not in self.request.headers:
            # A Cookie field of the caller's own takes the place of ours.
            value = jar.header(self.request.url, self.memory.calendar()) if jar else None
            if self._cookies is not None and self._at_home:
                from ..policies.cookies import merged

                value = merged(value, self._cookies)
            if value is not None:
                pairs = (*pairs, ("Cookie", value))
        return pairs

    def _with_credentials(self, pairs: Pairs) -> Pairs:
        pairs = self._with_cookies(pairs)
        if self._auth is None or not self._at_home:
            return pairs
        headers = Headers.trusted(pairs)
        self._signed = self._final(headers)
        credentials, self._answer = self._answer, None
        if credentials is None:
            credentials = self._auth.authorize(self._signed, self._auth_memory(self._auth))
        vars(self._signed)["credentials"] = credentials
        return headers.merged(Headers(credentials)).pairs

    def _final(self, headers: Headers) -> FinalRequest:
        from ..policies.auth import FinalRequest

        return FinalRequest(self.request.method, self.request.url, headers, self.body.source)

    def _auth_memory(self, auth: Auth) -> AuthMemory:
        from ..policies.auth import AuthMemory

        if auth is not self.memory.settings_auth:
            if self._own_memory is None:  # auth of this call alone
                self._own_memory = AuthMemory()
            return self._own_memory
        with self.memory.lock:
            if self.memory.auth is None:
                self.memory.auth = AuthMemory(lock=self.memory.lock)
            return self.memory.auth

    # --- What came of it --------------------------------------------------------------------------

    def _keep_cookies(self, raw: RawResponse) -> None:
        memory, values = self.memory, raw.headers.get_all("set-cookie")
        if memory.keeps_cookies and self._shares_jar:
            dropped = memory.store(self.request.url, values, memory.calendar())
        elif raw.status >= 300:
            # A call keeps its cookies from one request to the next, or a gate that sets one and redirects to itself
            # would never end.
            if self._jar is None:
                from copy import copy

                from ..policies.cookie_jar import CookieJar

                kept = memory.jar if self._shares_jar else None
                self._jar = CookieJar() if kept is None else copy(kept)
            dropped = self._jar.store(self.request.url, values, memory.calendar())
        else:
            return
        for cookie in dropped:
            self._tell("CookieDropped", *cookie)

    def _tell_of(self, raw: RawResponse) -> None:
        for status, fields in raw.interim:
            self._tell("InterimResponse", status, fields)
        where = getattr(raw, "stream", ())  # only of HTTP/2
        self._tell("ResponseHead", raw.status, raw.reason, raw.http_version, raw.headers, *where)

    def _goes_on(self, raw: RawResponse) -> float | None:
        """The seconds to wait before another request, if this response (300 or above) leads to one; else None."""
        if raw.status == 401 and self._is_answered(raw):
            return 0
        if raw.status == 421 and raw.http_version == "HTTP/2" and not self._fresh and self.body.replayable:
            # RFC 9110 §15.5.20: another connection may lead to a server that is responsible.
            self._fresh = True
            self._failures += ("421 on a connection that is shared",)
            return 0
        settings = self.plan.settings
        wait = None if settings.retry is None else self._wait(settings.retry, None, raw)
        if wait is not None:
            self._failures += (f"{raw.status} {evidence(raw.reason)[1:-1]}".strip(),)
            self._reached = "yes"
            self._tell("Retrying", wait, None, raw.status)
            return wait
        if settings.redirects and raw.status < 400:
            target = follow(self.request, raw.status, raw.headers, replayable=self.body.replayable)
            if target is not None:
                self._move(raw, target)
                return 0
        return None

    def _is_answered(self, raw: RawResponse) -> bool:
        if self._auth is None or not self._at_home or not self.body.replayable:
            return False
        memory = self._auth_memory(self._auth)
        answer = self._auth.answer(self._signed, memory, response=raw.headers, answered=self._answered)
        self._answered += 1
        self._answer = answer or None
        return answer is not None

    def _move(self, raw: RawResponse, target: Request) -> None:
        if len(self.history) == self.plan.settings.redirects:
            raise TooManyRedirects(
                f"more than {self.plan.settings.redirects} redirects, the last to {target.url}", request_sent="yes"
            )
        self._tell("Redirect", raw.status, target.url)
        self.history += (self._response(raw, b""),)
        if target.url.origin != self.request.url.origin:
            self._at_home = False
        if target.body is None:
            self.body = NO_BODY
        self.request = target
        self._failures, self._reached = (), "no"
        self._answered = 0
        self._by_http1 = self._fresh = False

    def _tries_again(self, error: BaseException) -> float | None:
        """The seconds to wait before another request, if this failure leads to one; else None.

        What the caller's own stream has raised is raised again, in place of what the backend made of it.
        """
        if self.body.failure is not None:
            raise self.body.failure from None
        self.explain(error)
        if not isinstance(error, UnifetchError):
            return None
        retry = self.plan.settings.retry
        if isinstance(error, ConnectionLost) and not (self._resent or self.plan.exact) and self._may_resend(error):
            # One resend needs no `retry`; but where there is one, it counts as an attempt.
            self._resent = True
            if retry is None or len(self._failures) + 1 < retry.attempts:
                self._failures += (_outcome(error),)
                if not error.unprocessed:
                    self._reached = error.request_sent
                return 0
        if retry is None or isinstance(error, StatusError):
            return None
        wait = self._wait(retry, error, None)
        if wait is not None:
            self._failures += (_outcome(error),)
            self._reached = error.request_sent
            self._tell("Retrying", wait, error, None)
        return wait

    def _may_resend(self, error: ConnectionLost) -> bool:
        if not self.body.replayable:
            return False
        if error.unprocessed == "by HTTP/1.1":
            if self.plan.http2 == "only":
                return False
            self._by_http1 = True
        # RFC 9113 §8.7: whatever the method. RFC 9112 §9.3.1: if it does no harm twice.
        return bool(error.unprocessed) or (error.reused and self.request.method in IDEMPOTENT)

    def _wait(self, retry: Retry, error: UnifetchError | None, raw: RawResponse | None) -> float | None:
        from random import random

        wait = retry.wait_before(
            len(self._failures) + 1,
            self.request.method,
            replayable=self.body.replayable,
            error=error,
            status=raw.status if raw else None,
            headers=raw.headers if raw else None,
            now=self.memory.calendar(),
            random=random(),  # noqa: S311  # jitter
        )
        if wait is not None and raw is not None and wait > retry.max_wait:
            message = f"{raw.status} with a Retry-After of {wait:.0f} s, which is above max_wait, {retry.max_wait:g} s"
            raise StatusError(message, self._response(raw, b""))
        # A wait that the deadline would cut short only delays the answer.
        if wait is None or (self.deadline is not None and self.memory.clock() + wait >= self.deadline):
            return None
        return wait

    # --- The response -----------------------------------------------------------------------------

    def _response(self, raw: RawResponse, body: Any, decoded: bool = False) -> Response[Any]:
        request, clock = self.request, self.memory.clock
        # It shows the fields that went out, which explain a 400 better than those that were asked for. The request is
        # ours, and changed in place, unless a listener has seen it.
        if self.plan.listeners:
            request = trusted(Request, {**vars(request), "headers": self._sent})
        else:
            vars(request)["headers"] = self._sent
        return trusted(
            Response,
            {
                "status": raw.status,
                "reason": raw.reason,
                "headers": raw.headers,
                "body": body,
                "url": request.url,
                "http_version": raw.http_version,
                "history": self.history,
                "request": request,
                "backend": self.plan.name,
                "elapsed": clock() - self.started,
                "trailers": Headers.trusted(raw.trailers) if raw.trailers else NO_HEADERS,
                "decoded": decoded,
            },
        )

    # --- Time and errors --------------------------------------------------------------------------

    def left(self, spare: float = 0) -> float | None:
        """Seconds until the deadline, plus `spare`; None if there is no deadline."""
        return None if self.deadline is None else max(self.deadline - self.memory.clock(), 0) + spare

    def check_deadline(self) -> None:
        """Raise `TotalTimeout` once the deadline has passed; asked at each piece of a body, which may drip for ever."""
        if self.deadline is not None and self.memory.clock() >= self.deadline:
            self._check_deadline("yes")

    def explain(self, error: BaseException) -> None:
        """Give an error its context: the request, the backend, and what came of the attempts before.

        Raises `TotalTimeout` in place of another timeout once the deadline has passed: the total has cut it short.
        """
        if not isinstance(error, UnifetchError):
            return
        if isinstance(error, TimedOut) and not isinstance(error, TotalTimeout):
            try:
                self._check_deadline(error.request_sent, _TICK)
            except TotalTimeout as total:
                raise total from error
        self._describe(error)

    def _check_deadline(self, sent: RequestSent, early: float = 0) -> None:
        if self.deadline is None or self.memory.clock() < self.deadline - early:
            return
        error = TotalTimeout(f"not over within the total timeout of {self.plan.total:g} s", request_sent=sent)
        self._describe(error)
        raise error

    def _describe(self, error: UnifetchError) -> None:
        error.request, error.backend = self.request, self.plan.name
        if self._failures or self.plan.settings.retry is not None:
            error.attempts = (*self._failures, _outcome(error))
        if error.request_sent == "no":
            error.request_sent = self._reached

    def _tell(self, event: str, *details: Any) -> None:
        if self.plan.listeners:
            told = getattr(self.plan.events, event)(self.call, self.request, self.memory.clock(), *details)
            for listener in self.plan.listeners:
                listener(told)


def _outcome(error: UnifetchError) -> str:
    return f"{type(error).__name__}: {error}"
