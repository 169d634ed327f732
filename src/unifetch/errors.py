"""Every error that unifetch raises, as one tree.

The branches answer a caller's questions: was the call itself wrong (`InvalidRequest`, `ConfigError`), was there no
connection (`ConnectError`), did it take too long (`TimedOut`), did the connection break (`ConnectionLost`), or did the
peer break HTTP (`ProtocolError`)? Where the standard library has such an exception, the class also inherits from it.

An error never shows a credential: every message goes through `masking`, and its evidence is of limited length.
"""

from __future__ import annotations

from .masking import masked

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from .model.messages import Request, Response

    RequestSent = Literal["no", "maybe", "yes"]


class UnifetchError(Exception):
    """The root of every error raised by unifetch.

    Attributes:
        request_sent: `"no"` if not one byte of the request was sent, by this attempt or one before it; `"yes"` if at
            least the head of a response came; `"maybe"` in between. Only after `"no"` is it safe to repeat a request
            that is not idempotent (RFC 9110 §9.2.2).
        request: the request that failed, once there is one.
        backend: the name of the backend that carried it, once there is one.
        attempts: the outcome of each attempt, in words, if the request was retried.
    """

    attempts: tuple[str, ...] = ()
    request_sent: RequestSent = "no"
    request: Request | None = None
    backend: str | None = None

    def __init__(self, message: str = "", *, request_sent: RequestSent = "no") -> None:
        super().__init__(masked(message))
        self.request_sent = request_sent

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, unpickling calls the class with `args` alone, which fails for a subclass that takes more.
        state = dict(vars(self))
        if self.request is not None:
            state["request"] = self.request.without_stream()
        return _revive, (type(self), self.args, state)


def _revive(kind: type[UnifetchError], args: tuple[Any, ...], state: dict[str, Any]) -> UnifetchError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


# --- The call was wrong: nothing was sent ---------------------------------------------------------


class InvalidRequest(UnifetchError, ValueError):
    """The request cannot be sent as it is; no connection was made."""


class InvalidURL(InvalidRequest):
    """The URL is malformed, dangerous, or neither http nor https."""


class InvalidMethod(InvalidRequest):
    """The method is not a token (RFC 9110 §9.1), or one that a client cannot send."""


class InvalidHeader(InvalidRequest):
    """A field name or value that RFC 9110 §5 does not allow, or a field that belongs to unifetch."""


class InvalidBody(InvalidRequest):
    """The body has a type or a length that cannot be sent, or two bodies were given."""


class ConfigError(UnifetchError, ValueError):
    """A setting is wrong; the message names it and what is accepted."""


class InvalidSetting(ConfigError):
    """A setting has an unknown name, or a value of the wrong type or range."""


class UnknownBackend(ConfigError):
    """No backend has this name; the message lists those that exist."""


class BackendNotInstalled(ConfigError, ImportError):
    """The backend is known, its library is missing; the message says how to install it."""


class ConfigConflict(ConfigError):
    """An injected native object carries settings that unifetch would have to drop."""


class UnsupportedCapability(ConfigError):
    """The backend cannot do what was asked; the message names the backends that can."""


# --- There was no connection ----------------------------------------------------------------------


class ConnectError(UnifetchError, ConnectionError):
    """No connection to the server (or its proxy): refused, unreachable, reset while connecting."""


class NameResolutionError(ConnectError):
    """The host name has no address."""


class TLSError(ConnectError):
    """The TLS handshake failed: certificate, host name, version, or a peer that does not speak TLS."""


class ProxyError(ConnectError):
    """The proxy refused or failed to connect us.

    Attributes:
        status: the status code of its refusal of a CONNECT; else None.
    """

    status: int | None = None


# --- It took too long -----------------------------------------------------------------------------


class TimedOut(UnifetchError, TimeoutError):
    """A phase, or the whole call, took longer than its timeout."""


class PoolTimeout(TimedOut):
    """No connection became free within `Timeout.pool`."""


class ConnectTimeout(TimedOut):
    """No connection (TCP and TLS) within `Timeout.connect`."""


class WriteTimeout(TimedOut):
    """The server took no byte of the request for `Timeout.write`."""


class ReadTimeout(TimedOut):
    """The server sent no byte of the response for `Timeout.read`."""


class TotalTimeout(TimedOut):
    """The whole call (redirects, retries and body included) was not over within `Timeout.total`."""


# --- The connection broke, or the peer broke the protocol -----------------------------------------


class ConnectionLost(UnifetchError, ConnectionError):
    """The connection was reset or closed before the head of the response was complete.

    Attributes:
        reused: whether it had carried a request before, and not one byte of this response came. Then the server may
            have closed it as idle, and an idempotent request may be sent again (RFC 9112 §9.3.1).
        unprocessed: whether the server says that it did nothing with the request, so that any request may be sent again
            (RFC 9113 §8.7): `"again"`, or `"by HTTP/1.1"` if it asks for that; else "".
    """

    reused: bool = False
    unprocessed: Literal["", "again", "by HTTP/1.1"] = ""


class ProtocolError(UnifetchError):
    """The peer sent something that HTTP does not allow; the message shows it."""


class IncompleteBody(ProtocolError):
    """The connection ended before the body did (RFC 9112 §8)."""


class TooLarge(ProtocolError):
    """The response is over a limit; the message names the limit."""


class DecodingError(ProtocolError):
    """The body is not what its Content-Encoding says: corrupt, truncated, or followed by other data."""


class RedirectError(ProtocolError):
    """A redirect that cannot be followed: a bad Location, or a body that cannot be sent again."""


class TooManyRedirects(RedirectError):
    """More redirects than the limit allows."""


# --- The response is fine; what was done with it is not -------------------------------------------


class StatusError(UnifetchError):
    """Raised by `Response.raise_for_status()` for a status of 400 and above.

    Attributes:
        response: the response, as far as it was read.
    """

    response: Response[Any]
    request: Request

    def __init__(self, message: str, response: Response[Any]) -> None:
        super().__init__(message, request_sent="yes")
        self.response = response
        self.request = response.request
        self.backend = response.backend

    def __reduce__(self) -> tuple[Any, ...]:
        revive, (kind, args, state) = super().__reduce__()
        return revive, (kind, args, {**state, "response": self.response.without_stream()})


class InvalidJSON(UnifetchError, ValueError):
    """The body is not JSON in UTF-8 (RFC 8259 §8.1)."""


class StreamError(UnifetchError, RuntimeError):
    """The stream of a body was used after it was closed, or a second time."""


def shown(value: object) -> str:
    """What a caller gave where something else was wanted, to be shown: cut off, and whatever its own `repr` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # it is nested too deeply, has thousands of digits, or is simply broken
        return f"this {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


def evidence(data: bytes | str, limit: int = 80) -> str:
    """What the peer sent, to be shown: escaped, so that it cannot forge a log line, and cut off at the limit."""
    if len(data) <= limit:
        return repr(data)
    return f"{data[:limit]!r}… ({len(data)} in all)"
