"""Attempts to connect: which address is next, how soon, and what is raised if all of them came to nothing.

It decides, for `blocking.py`, `asyncio.py` and `anyio.py`, and touches no socket. Whatever is raised,
the request has not left.
"""

from __future__ import annotations

from itertools import zip_longest
from socket import gaierror

from ..backends.base import time_left
from ..errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    ProxyError,
    TLSError,
    UnifetchError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address

# RFC 8305 §5: the Connection Attempt Delay, in seconds.
ATTEMPT_DELAY = 0.25


def taking_turns(addresses: list[Address]) -> list[Address]:
    """RFC 8305 §4: the resolver's order, but the families alternate, beginning with its first choice."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for pair in zip_longest(first, second) for each in pair if each is not None]


def until_next(waiting: list[Address], ends: float | None) -> float | None:
    """The seconds that the attempts under way have, before the next address joins them or the time is up."""
    left = time_left(ends)
    return left if not waiting else ATTEMPT_DELAY if left is None else min(ATTEMPT_DELAY, left)


def no_connection(error: Exception, request: RawRequest) -> UnifetchError:
    """What is raised if there is no connection to the origin: no address, no answer, or a refusal."""
    path = request.route.unix_socket
    where = f"{request.host}:{request.port}" if path is None else f"unix socket {path!a}"
    if isinstance(error, TimeoutError):
        return ConnectTimeout(f"no connection to {where} in time")
    if path is None and isinstance(error, (gaierror, UnicodeError)):
        return NameResolutionError(f"no address for {request.host}: {_reason(error)}")
    return ConnectError(f"no connection to {where}: {_reason(error)}")


def no_way_through(proxy: Any, error: BaseException) -> UnifetchError | None:
    """What is raised if there is none through this proxy; None for an error that is to be raised as it is."""
    if isinstance(error, TimeoutError):
        return ConnectTimeout(f"no connection through {proxy.url} in time")
    if isinstance(error, ConfigError) or not isinstance(error, (OSError, UnicodeError, UnifetchError)):
        return None
    failure = ProxyError(f"no connection through {proxy.url}: {_reason(error)}")
    failure.status = getattr(error, "status", None)
    return failure


def no_tls(error: Exception, peer: Any) -> UnifetchError:
    """What is raised if a handshake with an origin or a proxy has failed."""
    if isinstance(error, TimeoutError):
        return ConnectTimeout(f"no TLS with {peer.host}:{peer.port} in time")
    # A certificate is refused for a reason in words; other failures have a code.
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or _reason(error)
    return TLSError(f"TLS with {peer.host}:{peer.port} failed: {reason}")


def _reason(error: BaseException) -> object:
    return getattr(error, "strerror", None) or error
