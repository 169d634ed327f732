"""The keyword arguments of the public calls, written down once for type checkers.

Nothing imports this module at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypedDict

from .config import BackendTypes
from .events import Event
from .headers import HeaderTypes
from .policies.auth import AuthTypes
from .policies.limits import LimitsTypes
from .policies.retries import RetryTypes
from .policies.tls import TLSTypes
from .timeouts import TimeoutTypes

ParamTypes = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
BodyTypes = bytes | bytearray | memoryview | str | IO[bytes] | Iterable[bytes] | None


class CallArguments(TypedDict, total=False):
    """What every call accepts."""

    params: ParamTypes
    headers: HeaderTypes
    cookies: Mapping[str, str] | None
    auth: AuthTypes
    timeout: TimeoutTypes
    redirects: int
    retry: RetryTypes
    limits: LimitsTypes
    tls: TLSTypes
    backend: BackendTypes | None


class BodyArguments(CallArguments, total=False):
    """What a call with a body accepts besides."""

    body: BodyTypes
    json: Any
    form: ParamTypes


class ClientArguments(TypedDict, total=False):
    """The settings of a client."""

    base_url: str | None
    headers: HeaderTypes
    auth: AuthTypes
    timeout: TimeoutTypes
    redirects: int
    retry: RetryTypes
    limits: LimitsTypes
    tls: TLSTypes
    listeners: Callable[[Event], None] | Sequence[Callable[[Event], None]]
