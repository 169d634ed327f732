"""A strict mock in front of every backend: requests must be announced, and announced ones must be made.

    with Mock() as mock:
        mock.post("https://api.example.org/orders/{id}", json={"n": 1}).reply(201, json={"id": 7})
        mock.get("https://api.example.org/slow").reply(chunks=[b"a", Pause(2), b"b"])
        mock.get("https://api.example.org/gone").fail(ConnectionLost, sent="maybe").then(200)
        ...
        assert mock.passed == 2

The mock controls time: a wait takes none, and `mock.passed` says how long it would have been.
"""

from __future__ import annotations

import difflib
import json as json_module
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    TotalTimeout,
    UnifetchError,
    WriteTimeout,
    evidence,
)
from ..masking import is_secret, masked_url
from ..model.url import URL, form_urlencode, spread
from .answer import Answer, Fields, Pieces
from .intercept import Handler, Intercepted, ReadBody, Steps, Unmet, intercept
from .steps import Step
from .virtual_time import VirtualTime

if TYPE_CHECKING:
    from ..errors import RequestSent
    from .on_the_wire import Wire

_NOTHING: Any = object()


class Mock(Handler):
    """Routes and their answers; strict, and in control of time.

    Args:
        base_url: what patterns without a host are relative to; by default they fit any host.
        time: the time that calls go by; None for the real one.

    Attributes:
        calls: the requests that a route took, in their order.
    """

    wire: Wire | None = None  # set by `--unifetch-wire`: the answers then come over sockets

    def __init__(self, base_url: str = "", *, time: VirtualTime | None = _NOTHING) -> None:
        if not isinstance(base_url, str):
            raise TypeError(f"base_url= is text, not {type(base_url).__name__}")
        self._base_url = base_url.rstrip("/")
        self._routes: list[Route] = []
        self.calls: list[Intercepted] = []
        self.time = VirtualTime() if time is _NOTHING else time

    # --- Announcing -------------------------------------------------------------------------------

    def route(
        self,
        method: str,
        url: str | re.Pattern[str],
        *,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        headers: Mapping[str, Any] | None = None,
        json: Any = _NOTHING,
        form: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Route:
        """Announce a request.

        Args:
            method: the method.
            url: the URL, or a path for any host. `{name}` stands for one segment of the path, `{name...}` for any
                number of them. Or a compiled expression for all of the URL.
            params: the whole query, its names in any order; if left out, any query fits. A value is as the client
                would write it, or `unittest.mock.ANY`, which fits all.
            headers: fields that are required: a value, a compiled expression, a function of the value, or None for a
                field that must be absent.
            json: the body as JSON, in which `unittest.mock.ANY` fits anything.
            form: the body as application/x-www-form-urlencoded, told as `params`.
            body: the body: bytes, text, a compiled expression of bytes, or a function of the bytes.
        """
        if not isinstance(url, (str, re.Pattern)):
            raise TypeError(f"the url of a route is text or a compiled expression, not {type(url).__name__}")
        if isinstance(url, str) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
            url = f"{self._base_url}/{url.lstrip('/')}"
        route = Route(method, url, params=params, headers=headers, json=json, form=form, body=body)
        self._routes.append(route)
        return route

    def get(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("GET", url, **criteria)

    def head(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("HEAD", url, **criteria)

    def options(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("OPTIONS", url, **criteria)

    def delete(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("DELETE", url, **criteria)

    def post(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("POST", url, **criteria)

    def put(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("PUT", url, **criteria)

    def patch(self, url: str | re.Pattern[str], **criteria: Any) -> Route:
        """See `route`."""
        return self.route("PATCH", url, **criteria)

    # --- Answering --------------------------------------------------------------------------------

    def handle(self, request: Intercepted) -> Steps:
        """Answer by the first route that fits."""
        yield ReadBody()
        for route in self._routes:
            if not route.is_spent and all(fits for _, fits, _ in route.check(request)):
                break
        else:
            return None
        self.calls.append(request)
        request.parameters = route.parameters(request)
        reply = route.take(request)
        if isinstance(reply, Failure):
            reply.take_time(request)
            raise reply.error()
        taken = reply(request) if callable(reply) and not isinstance(reply, Step) else reply
        if self.wire is not None:
            return (yield from self.wire.carry(request, taken))
        if isinstance(taken, Answer):
            return taken
        from .scripts import played

        return (yield from played(taken, request))

    # --- Being strict -----------------------------------------------------------------------------

    def explain(self, request: Intercepted) -> str:
        """The most similar route, and which of its criteria fit."""
        if not self._routes:
            return "the mock has no routes"
        nearest = max(self._routes, key=lambda route: route.closeness(request))
        lines = [
            f"the nearest of {len(self._routes)} routes: {nearest}" if self._routes[1:] else f"the route: {nearest}"
        ]
        for name, fits, why in nearest.check(request):
            lines.append(f"  {'✓' if fits else '✗'} {name}{'' if fits else f': {why}'}")
        if nearest.is_spent:
            lines.append(
                f"  ✗ times: it was called {nearest.calls} times already, and .times({nearest.calls}) allows no more"
            )
        return "\n".join(lines)

    def finish(self) -> None:
        """Check that every route was called as often as announced.

        Raises:
            Unmet: it names those that were not.
        """
        unmet = [f"  {route}: {why}" for route in self._routes if (why := route.lacks())]
        if unmet:
            raise Unmet("\n".join(["announced, and not asked for (.optional() allows that):", *unmet]))

    def __enter__(self) -> Self:
        """Be in front of every backend; over sockets, the servers run meanwhile."""
        self._stack = ExitStack()
        if self.wire is not None:
            self._stack.enter_context(self.wire)
        self._stack.enter_context(intercept(self))
        return self

    def __repr__(self) -> str:
        return f"<Mock of {len(self._routes)} routes>"


class Route:
    """One announced request and its answers; made by `Mock.route`.

    Attributes:
        calls: how often it was called.
        requests: those calls.
    """

    def __init__(
        self, method: str, url: str | re.Pattern[str], *, params: Any, headers: Any, json: Any, form: Any, body: Any
    ) -> None:
        self.method = method
        self.url = url
        self.requests: list[Intercepted] = []
        self._replies: list[Any] = []
        self._times: int | None = None
        self._is_optional = False
        self._origin, self._path = "", None
        self._params = None if params is None else _query_pairs(params)
        if isinstance(url, str):
            place, _, query = url.partition("#")[0].partition("?")
            self._origin, self._path = _split(place)
            if query and params is None:
                self._params = _parsed(query)
        self._headers = dict(headers or {})
        self._json = json
        self._form = None if form is None else _query_pairs(form)
        self._body = body.encode() if isinstance(body, str) else body

    # --- What it answers --------------------------------------------------------------------------

    def reply(
        self,
        status: Any = 200,
        body: bytes | str = b"",
        *,
        json: Any = _NOTHING,
        chunks: Pieces | None = None,
        headers: Fields = (),
        trailers: Fields = (),
        interim: Iterable[tuple[int, Fields]] = (),
        reason: str | None = None,
    ) -> Self:
        """Give this answer; the arguments are those of `Answer`.

        Instead of a status it takes an `Answer`, a script of `testing.Server`, or a function of the request that
        returns one of these. Called again, or as `then`, it gives the answer to the next call; the last one repeats.
        """
        if isinstance(status, BaseException) or (isinstance(status, type) and issubclass(status, BaseException)):
            raise TypeError(f"an error is given by .fail({getattr(status, '__name__', '…')}), not as a reply")
        if isinstance(status, Mapping) and not (status and all("/" in path for path in status)):
            raise TypeError(
                "a mapping as a reply is a script by paths, such as {'/orders': …}; json= answers with JSON"
            )
        if isinstance(status, (int, str)):
            said: dict[str, Any] = {"status": status, "body": body, "chunks": chunks, "headers": headers}
            said |= {"trailers": trailers, "interim": interim, "reason": reason}
            status = Answer(**said) if json is _NOTHING else Answer(**said, json=json)
        self._replies.append(status)
        return self

    then = reply

    def fail(self, error: type[UnifetchError] | UnifetchError, *, sent: RequestSent | None = None) -> Self:
        """Fail with this error; a timeout takes as long as the call allows.

        Args:
            error: its class, or an error to raise as it is.
            sent: whether the request was sent (`request_sent`); by default the usual value of the class.
        """
        kind = error if isinstance(error, type) else type(error)
        if not issubclass(kind, UnifetchError):
            raise TypeError(f"fail takes an error of unifetch, such as ConnectionLost, not {kind.__name__}")
        self._replies.append(Failure(error, sent))
        return self

    def times(self, count: int) -> Self:
        """Require exactly so many calls."""
        self._times = count
        return self

    def optional(self) -> Self:
        """Do not require a call."""
        self._is_optional = True
        return self

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.requests)

    @property
    def is_spent(self) -> bool:
        """Whether it was called as often as it may be."""
        return self._times is not None and self.calls >= self._times

    def take(self, request: Intercepted) -> Any:
        """The answer to this call."""
        self.requests.append(request)
        if not self._replies:
            return Answer()
        return self._replies[min(self.calls, len(self._replies)) - 1]

    def lacks(self) -> str:
        """What was announced and did not happen; "" if everything did."""
        if self._is_optional or (self._times is None and self.calls >= max(1, len(self._replies))):
            return ""
        if self._times is not None and len(self._replies) > self._times:
            return f"it has {len(self._replies)} answers, of which .times({self._times}) leaves some unused"
        if self._times is not None:
            return "" if self.calls == self._times else f"called {self.calls} times, not {self._times}"
        return f"called {self.calls} times, and has {len(self._replies)} answers" if self.calls else "never called"

    # --- Whether it fits --------------------------------------------------------------------------

    def check(self, request: Intercepted) -> list[tuple[str, bool, str]]:
        """Each criterion by its name, whether it fits, and why not."""
        found = [
            ("method", self.method == request.method, f"{request.method} is not {self.method}"),
            *self._place(request),
        ]
        if self._params is not None:
            asked = _parsed(request.target.partition("?")[2])
            found.append(("params", asked == self._params, f"{_shown(asked)} is not {_shown(self._params)}"))
        for name, expected in self._headers.items():
            value = request.headers.get(name)
            found.append((f"header {name}", _fits(expected, value), _why_header(name, expected, value)))
        if self._json is not _NOTHING:
            found.append(self._check_json(request))
        if self._form is not None:
            form = _parsed(request.body.decode("utf-8", "replace"))
            found.append(("form", form == self._form, f"{_shown(form)} is not {_shown(self._form)}"))
        if self._body is not None:
            is_exact = isinstance(self._body, bytes)
            why = difference([repr(self._body)], [repr(request.body)]) if is_exact else evidence(request.body)
            found.append(("body", _fits(self._body, request.body), why))
        return found

    def closeness(self, request: Intercepted) -> tuple[int, ...]:
        """How much of it fits; the URL counts most."""
        checked = self.check(request)
        place = sum(fits for name, fits, _ in checked if name in ("url", "host", "path"))
        return (place, sum(fits for _, fits, _ in checked) - sum(not fits for _, fits, _ in checked))

    def parameters(self, request: Intercepted) -> dict[str, str]:
        """The values of the placeholders in its pattern, decoded."""
        if isinstance(self.url, str):
            match = re.fullmatch(_pattern(self._path or ""), request.path)
        else:
            match = self.url.search(request.url)
        return {name: unquote(value) for name, value in match.groupdict().items()} if match else {}

    def _place(self, request: Intercepted) -> list[tuple[str, bool, str]]:
        if not isinstance(self.url, str):
            return [("url", self.url.fullmatch(request.url) is not None, f"it does not fit {self.url.pattern!r}")]
        origin, path = f"{request.raw.scheme}://{request.raw.host}:{request.raw.port}", request.path
        fits = re.fullmatch(_pattern(self._path or ""), path) is not None
        of_path = ("path", fits, f"{path} is not {self._path}")
        if not self._origin:
            return [of_path]
        return [("host", origin == self._origin, f"{origin} is not {self._origin}"), of_path]

    def _check_json(self, request: Intercepted) -> tuple[str, bool, str]:
        try:
            said = json_module.loads(request.body)
        except ValueError:
            return "json", False, f"the body is not JSON: {evidence(request.body)}"
        return "json", _is_json(self._json, said), difference(lines(self._json), lines(said))

    def __repr__(self) -> str:
        return f"{self.method} {self.url if isinstance(self.url, str) else self.url.pattern}"


class Failure:
    """An error as an answer."""

    def __init__(self, error: type[UnifetchError] | UnifetchError, sent: RequestSent | None) -> None:
        self._error = error
        self._sent = sent

    def take_time(self, request: Intercepted) -> None:
        """Let as much time pass as the call allows: a timeout takes that."""
        kind = self._error if isinstance(self._error, type) else type(self._error)
        if request.time is not None:
            left = None if request.raw.deadline is None else request.raw.deadline - request.time.clock()
            seconds = (
                left if issubclass(kind, TotalTimeout) else getattr(request.raw.timeout, _PHASES.get(kind, ""), None)
            )
            if seconds is not None:
                request.time.advance(seconds if left is None else min(seconds, left))

    def error(self) -> UnifetchError:
        """The error, anew for each call."""
        if not isinstance(self._error, type):
            return self._error
        usual: list[RequestSent] = [sent for kind, sent in _SENT if issubclass(self._error, kind)]
        sent = self._sent or [*usual, "maybe"][0]
        return self._error(f"{self._error.__name__}, as the mock was told", request_sent=sent)


_PHASES: dict[type[UnifetchError], str] = {
    PoolTimeout: "pool",
    ConnectTimeout: "connect",
    WriteTimeout: "write",
    ReadTimeout: "read",
}
_SENT: list[tuple[type[UnifetchError], RequestSent]] = [
    (ConnectError, "no"),
    (ConnectTimeout, "no"),
    (PoolTimeout, "no"),
    (ConnectionLost, "maybe"),
    (ProtocolError, "yes"),
]


# --- Comparing ------------------------------------------------------------------------------------


def _split(url: str) -> tuple[str, str]:
    """The origin of a pattern, "" if it fits any, and its path, both as a request has them."""
    scheme, _, rest = ("", "", url.lstrip("/")) if url[:1] == "/" else url.partition("://")
    authority, _, path = rest.partition("/") if scheme else ("", "", rest)
    path = re.sub("[^\x00-\x7f]+", lambda letters: quote(letters[0]), f"/{path}")
    if not scheme:
        return "", path
    origin = URL(f"{scheme}://{authority}/")
    return f"{origin.scheme}://{origin.host}:{origin.port}", path


def _pattern(path: str) -> str:
    parts = re.split(r"\{(\w+)(\.\.\.)?\}", path)
    texts, names, dots = parts[::3], parts[1::3], parts[2::3]
    holes = [f"(?P<{name}>{'.*' if many else '[^/]+'})" for name, many in zip(names, dots, strict=True)]
    return "".join(re.escape(text) + hole for text, hole in zip(texts, [*holes, ""], strict=True))


def _parsed(query: str) -> list[tuple[str, Any]]:
    # By name alone: values of the same name keep their order.
    return sorted(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"), key=itemgetter(0))


def _query_pairs(params: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in spread(params):
        # `unittest.mock.ANY` is what equals anything.
        found += [(key, value)] if value == object() else _parsed(form_urlencode([(key, value)]))
    return sorted(found, key=itemgetter(0))


def _is_json(announced: Any, said: Any) -> bool:
    if isinstance(announced, dict) and isinstance(said, dict):
        return announced.keys() == said.keys() and all(_is_json(value, said[key]) for key, value in announced.items())
    if isinstance(announced, (list, tuple)) and isinstance(said, list):
        return len(announced) == len(said) and all(map(_is_json, announced, said))
    # In Python, True equals 1; in JSON it does not.
    is_number = isinstance(announced, (bool, int, float))
    return bool(announced == said) and not (is_number and isinstance(announced, bool) != isinstance(said, bool))


def _fits(expected: Any, value: Any) -> bool:
    if expected is None or value is None:
        return expected is None and value is None
    if isinstance(expected, re.Pattern):
        return expected.search(value) is not None
    if callable(expected):
        function: Callable[[Any], object] = expected
        return bool(function(value))
    return bool(expected == value)


def _why_header(name: str, expected: Any, value: str | None) -> str:
    if value is None:
        return "it is not there"
    if is_secret(name):
        return "another credential"
    if callable(expected):
        return f"{evidence(value)}, to which {getattr(expected, '__qualname__', 'the function')} says no"
    wanted = expected.pattern if isinstance(expected, re.Pattern) else expected
    return "it is there" if expected is None else f"{evidence(value)} is not {wanted!r}"


def _shown(pairs: list[tuple[str, Any]]) -> str:
    plain = [(name, value if isinstance(value, (str, bytes)) else repr(value)) for name, value in pairs]
    return masked_url(f"?{urlencode(plain, safe='<>', errors='surrogateescape')}")[1:] or "nothing"


def lines(value: Any) -> list[str]:
    """A value as lines of JSON."""
    return json_module.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=repr).splitlines()


def difference(expected: list[str], said: list[str], signs: str = "- announced, + sent") -> str:
    """How two texts differ, line by line, cut short."""
    changes = list(difflib.unified_diff(expected, said, lineterm="", n=2))[3:]
    shown = [line if len(line) <= 200 else f"{line[:200]}…" for line in changes[:40]]
    return "\n".join([signs, *(f"      {line}" for line in shown)])
