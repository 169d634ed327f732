"""What follows from settings and a backend, and the fields of the requests that go out by them.

Most calls go by the settings of the one before, so a plan is made once and used again. What a single call does is
decided in `call.py`.
"""

from __future__ import annotations

from functools import lru_cache, partial
from math import inf

from ..backends.base import Capability
from ..errors import InvalidHeader, InvalidURL
from ..masking import REDACTED
from ..model.headers import Headers
from ..model.route import DIRECT
from ..model.url import check_authority
from ..policies.bodies import NO_BODY, framing
from ..version import VERSION

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from ..backends.base import Backend
    from ..model.headers import Pairs
    from ..model.messages import RawResponse, Request
    from ..policies.bodies import Body
    from ..policies.limits import Limits
    from .config import Environment
    from .settings import Settings

    Kept = tuple[Headers, str, dict[str, Any], Headers]


class Plan:
    """Settings with a backend, and what follows from the two, worked out once for many calls.

    Args:
        settings: what is asked for; the backend can do all of it.
        backend: who carries the requests.
        process: the settings of the process when it was made.
        environment: what was read of the environment then. The plan holds while these and the backend are the same.
        shared: the client's own limits, by which its connections are counted.
        exact: whether it is for one exchange as its caller wrote it, to which only Host and framing are added.
    """

    __slots__ = (
        "_context",
        "auth",
        "backend",
        "base_url",
        "body_there",
        "decodes",
        "environment",
        "events",
        "exact",
        "fields",
        "has_headers",
        "headers",
        "http2",
        "is_direct",
        "kept",
        "limits",
        "listeners",
        "most",
        "name",
        "params",
        "process",
        "settings",
        "shared",
        "takes_context",
        "timeout",
        "total",
    )

    def __init__(
        self,
        settings: Settings,
        backend: Backend,
        process: Settings,
        environment: Environment,
        shared: Limits,
        *,
        exact: bool = False,
    ) -> None:
        self.settings = settings
        self.backend = backend
        self.process = process
        self.environment = environment
        self.shared = shared
        self.exact = exact
        self.body_there: Callable[[RawResponse], Any]
        if exact:  # no other plan has a use for it
            from .body_there import body_there

            self.body_there = body_there
        self.decodes = decodes = settings.decode and not exact
        self.fields = exact_headers if exact else wire_headers if decodes else partial(wire_headers, decode=False)
        self.kept: dict[str, Kept] = {}  # of `kept_fields`, by origin
        self.auth = settings.auth
        self.base_url = settings.base_url
        self.headers = settings.headers
        self.has_headers = bool(settings.headers.pairs)
        self.params = settings.params
        self.http2 = settings.http2
        self.limits = settings.limits
        self.most = inf if self.limits.body is None else self.limits.body
        self.listeners = settings.listeners
        if self.listeners:
            from ..observe import events  # where nobody listens, it is not imported

            self.events = events
        self.timeout = settings.timeout
        self.total = settings.timeout.total
        self.name = backend.name
        self.takes_context = Capability.TLS_CONTEXT in backend.capabilities
        self._context: ssl.SSLContext | None = None
        # Most calls go straight to their host.
        self.is_direct = not (settings.proxy or settings.unix_socket or settings.resolve or settings.forbid_private)

    def holds(self, backend: Backend, process: Settings, environment: Environment) -> bool:
        """Whether it is still what a call goes by: nobody has changed the backend, the process or the environment."""
        return self.backend is backend and self.process is process and self.environment is environment

    def raw_fields(self, request: Request, body: Body) -> dict[str, Any]:
        """The fields of a `RawRequest`, but for its deadline and for credentials."""
        url = request.url
        return {
            "method": request.method,
            "scheme": url.scheme,
            "host": url.host,
            "port": url.port,
            "target": url.target,
            "headers": self.fields(request, body),
            "body": None if body is NO_BODY else body.open(),
            "length": 0 if body is NO_BODY else body.length,
            "timeout": self.timeout,
            "deadline": None,
            "tls": self.context() if url.scheme == "https" else None,
            "route": DIRECT,
            "trailers": body.trailers,
            "http2": self.http2,
            "fresh": False,
        }

    def kept_fields(self, request: Request) -> Kept:
        """The fields for a request without a body, kept for the next one to its origin, with what they depend on.

        They hold for the same method and the very same object as headers: the client's own, or what a library above
        hands in again. Only the target differs: copy the fields, and set that.

        Returns:
            The headers and the method that they are for, the fields, and the headers that are sent.
        """
        kept = self.kept.get(request.url.origin)
        if kept is None or kept[0] is not request.headers or kept[1] != request.method:
            if len(self.kept) >= 256:
                self.kept.clear()
            made = self.raw_fields(request, NO_BODY)
            sent = Headers.trusted(made["headers"])
            kept = self.kept[request.url.origin] = request.headers, request.method, made, sent
        return kept

    def context(self) -> ssl.SSLContext | None:
        """The TLS context for https, if the backend takes one; kept, as a look-up takes longer."""
        if self._context is None and self.takes_context:
            self._context = self.settings.tls.offering(self.http2).context()
        return self._context


# Fields of the connection, whose owner decides what they say, each with what to do instead.
# `docs/how-to/header-fields.md` shows this table.
REFUSED = {
    "Content-Length": "it is that of the body; beside an iterator, the right one declares its length",
    "Transfer-Encoding": "an iterator as the body is sent in chunks",
    "Keep-Alive": "connections are kept by themselves, and limits= says how many",
    "Proxy-Connection": "it means nothing; keep-alive is accepted, and not sent",
    "TE": "trailers are read by themselves; only trailers is accepted, and not sent",
    "Trailer": "give trailers=, and it is written",
    "Upgrade": "http2=True asks for HTTP/2, and there is no other protocol",
    "HTTP2-Settings": "http2=True asks for HTTP/2",
    "Proxy-Authorization": "give a proxy's credentials in proxy=",
}
_FORBIDDEN = {name.lower(): instead for name, instead in REFUSED.items()}


def wire_headers(request: Request, body: Body, *, decode: bool = True) -> Pairs:
    """Every field that goes out, in the order in which it goes out: Host first, framing last.

    Args:
        decode: whether content codings are undone, and so are asked for.

    Raises:
        InvalidHeader: for a field that is not the caller's to set.
    """
    host = request.url.authority
    frame = framing(request.method, body)
    if not request.headers.pairs and not request.headers.dropped:
        return _usual_headers(host, frame, decode)
    dropped = request.headers.dropped
    if needed := dropped & _NEEDED:
        raise InvalidHeader(f"{min(needed)} cannot be left out: it is part of HTTP/1.1 (RFC 9112 §3.2, §6)")
    agent: Pairs = () if "user-agent" in dropped else AGENT
    accept: Pairs = () if "accept" in dropped else _ACCEPT
    coding = () if "accept-encoding" in dropped else _coding(decode)
    fields = []
    for pair in request.headers.pairs:
        name, value = pair
        name = name.lower()
        if name in _SPECIAL:
            if name == "host":
                if host is not request.url.authority:
                    raise InvalidHeader("a request has one Host (RFC 9112 §3.2)")
                host = _checked_host(value)
                continue
            if name == "user-agent":
                agent = ()
            elif name == "accept":
                accept = ()
            elif name == "accept-encoding":
                coding = ()
            elif name == "range":
                # A range of a coded body could not be decoded (Fetch, HTTP-network-or-cache fetch, step 8.17).
                coding = coding and _IDENTITY
            elif _happens_anyway(name, value.lower(), frame):
                continue
            elif name == "connection" and value.lower() != "close":
                raise InvalidHeader(f"Connection: {value} is not the caller's to say; close and keep-alive are")
            elif name in _FRAMING:
                raise InvalidHeader(f"{pair[0]}: {value} contradicts the body; leave framing to unifetch")
            elif name == "expect" and body is NO_BODY:
                raise InvalidHeader("Expect goes with a body (RFC 9110 §10.1.1)")
            elif name == "expect" and value.lower() != "100-continue":
                raise InvalidHeader("Expect: 100-continue is all that it can say (RFC 9110 §10.1.1)")
            elif name in _FORBIDDEN:
                raise InvalidHeader(f"{pair[0]} belongs to the connection, and unifetch sets it; {_FORBIDDEN[name]}")
        if value == REDACTED:
            raise InvalidHeader(f"header {pair[0]} holds the mask of a credential that was pickled; set it again")
        fields.append(pair)
    return (("Host", host), *agent, *accept, *coding, *fields, *frame)


_NEEDED = frozenset({"host", "content-length", "transfer-encoding"})

# What no exchange can carry: what leads to another protocol, or is for a proxy.
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_NEVER = frozenset({"upgrade", "http2-settings", "proxy-authorization"})


def exact_headers(request: Request, body: Body) -> Pairs:
    """The fields of an exchange: the caller's, in the caller's order, Host and framing where there are none.

    Host comes first (RFC 9110 §7.2).

    Raises:
        InvalidHeader: for framing that contradicts the body, and for a field that no exchange can carry.
    """
    fields = request.headers
    by_name = fields.by_name()
    if not_ours := _NEVER & by_name.keys():
        name = min(not_ours)
        hint = "; give a proxy's credentials in proxy=" if name == "proxy-authorization" else ""
        raise InvalidHeader(f"{name} has no place in one exchange{hint}")
    if REDACTED in by_name.values():
        raise InvalidHeader("a field holds the mask of a credential that was pickled; set it again")
    pairs = fields.pairs
    if "host" in by_name:
        _checked_host(by_name["host"])
        host = tuple(pair for pair in pairs if pair[0].lower() == "host")
        pairs = (*host, *fields.without("host").pairs)
    else:
        pairs = (("Host", request.url.authority), *pairs)
    frame = framing(request.method, body)
    declared = [(name, value.lower()) for name, value in pairs if name.lower() in _FRAMING]
    if not declared:
        return (*pairs, *frame)
    [(name, value)] = frame or (("Content-Length", "0"),)
    if declared != [(declared[0][0], value)] or declared[0][0].lower() != name.lower():
        size = "of unknown length" if body.length is None else f"of {body.length} bytes"
        raise InvalidHeader(f"the fields frame the body by {declared[0][0]}, which is not that of a body {size}")
    return pairs


def _happens_anyway(name: str, value: str, frame: Pairs) -> bool:
    """Whether a field asks, by habit, for what happens anyway; then it is not sent.

    Args:
        name, value: in lower case.
        frame: the fields that frame the body.
    """
    if name in _FRAMING:
        return (name, value) in [(key.lower(), said) for key, said in frame or (("Content-Length", "0"),)]
    if name == "connection":
        return {option.strip(" \t") for option in value.split(",")} <= {"keep-alive", "te"}
    return (name, value) in (("te", "trailers"), ("proxy-connection", "keep-alive"))


def _checked_host(value: str) -> str:
    # It decides where a server looks, so it holds only what a URL could.
    try:
        check_authority(value)
    except InvalidURL as error:
        raise InvalidHeader(f"Host: {error}") from None
    return value


@lru_cache(256)
def _usual_headers(host: str, frame: Pairs, decode: bool) -> Pairs:
    # Most requests have no fields of their own. They share one tuple, which also tells a backend that it has written it
    # before.
    return (("Host", host), *AGENT, *_ACCEPT, *_coding(decode), *frame)


def _coding(decode: bool) -> Pairs:
    if not decode:
        return _IDENTITY
    from ..policies.decoding import accept_encoding

    return (("Accept-Encoding", accept_encoding()),)


AGENT: Pairs = (("User-Agent", f"unifetch/{VERSION}"),)
_ACCEPT: Pairs = (("Accept", "*/*"),)
_IDENTITY: Pairs = (("Accept-Encoding", "identity"),)
_SPECIAL = frozenset(_FORBIDDEN) | {"host", "user-agent", "accept", "accept-encoding", "connection", "expect", "range"}
