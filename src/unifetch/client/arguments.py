"""The keyword arguments of the public calls, written down once for type checkers, editors and `inspect`.

At run time only `signatures.py` imports it, when somebody asks for a signature.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import IO, Any, Literal, TypedDict
from typing import Unpack as Unpack

from .downloads import Download as Download

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from ..model.headers import HeaderTypes
    from ..model.timeouts import TimeoutTypes
    from ..observe.events import Event
    from ..policies.auth import AuthTypes
    from ..policies.bodies import Progress
    from ..policies.limits import LimitsTypes
    from ..policies.proxies import ProxyTypes
    from ..policies.ranges import DigestTypes
    from ..policies.retries import RetryTypes
    from ..policies.tls import TLSTypes
    from .config import BackendTypes
else:
    HeaderTypes = Any  # part of types below that nobody looks at when the program runs

ParamTypes = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | None
BodyTypes = bytes | bytearray | memoryview | str | IO[bytes] | Iterable[bytes] | None
FileContent = PathLike[Any] | IO[bytes] | bytes | bytearray | memoryview | Iterable[bytes]
FileTypes = (
    FileContent
    | tuple[str | None, FileContent | str]
    | tuple[str | None, FileContent | str, str | None]
    | tuple[str | None, FileContent | str, str | None, HeaderTypes]
)
OneOrMore = FileTypes | list[Any]
# Pairs are a sequence, not any iterable: a mapping is an iterable, too, so the type of a literal would be ambiguous.
FilesTypes = Mapping[str, OneOrMore] | Sequence[tuple[str, OneOrMore]] | None


class CallArguments(TypedDict, total=False):
    """What every call accepts."""

    params: ParamTypes
    headers: HeaderTypes
    cookies: Mapping[str, str] | Literal[False] | None
    trailers: HeaderTypes
    auth: AuthTypes
    timeout: TimeoutTypes
    redirects: int
    retry: RetryTypes
    limits: LimitsTypes
    tls: TLSTypes
    http2: bool | Literal["only"]
    proxy: ProxyTypes
    unix_socket: str | os.PathLike[str] | None
    resolve: Mapping[str, str]
    forbid_private: bool
    decode: bool
    backend: BackendTypes | None


class ExchangeArguments(TypedDict, total=False):
    """What a single exchange accepts: how to get there, and within which bounds."""

    trailers: HeaderTypes
    timeout: TimeoutTypes
    limits: LimitsTypes
    tls: TLSTypes
    http2: bool | Literal["only"]
    proxy: ProxyTypes
    unix_socket: str | os.PathLike[str] | None
    resolve: Mapping[str, str]
    forbid_private: bool
    backend: BackendTypes | None


class BodyArguments(CallArguments, total=False):
    """What a call with a body accepts as well."""

    body: BodyTypes
    json: Any
    form: ParamTypes
    files: FilesTypes
    progress: Progress | None


class AsyncBodyArguments(CallArguments, total=False):
    """The same for an AsyncClient, which also sends what has to be awaited."""

    body: BodyTypes | AsyncIterable[bytes]
    json: Any
    form: ParamTypes
    files: FilesTypes
    progress: Progress | None


class DownloadArguments(CallArguments, total=False):
    """What a download accepts as well."""

    resume: bool
    digest: DigestTypes
    progress: Progress | None


class ClientArguments(TypedDict, total=False):
    """The settings of a client."""

    base_url: str | None
    headers: HeaderTypes
    params: ParamTypes
    auth: AuthTypes
    timeout: TimeoutTypes
    redirects: int
    retry: RetryTypes
    limits: LimitsTypes
    tls: TLSTypes
    http2: bool | Literal["only"]
    proxy: ProxyTypes
    unix_socket: str | os.PathLike[str] | None
    resolve: Mapping[str, str]
    forbid_private: bool
    decode: bool
    listeners: Callable[[Event], None] | Sequence[Callable[[Event], None]]


def every_argument(
    *,
    params: ParamTypes = ...,
    headers: HeaderTypes = ...,
    cookies: Mapping[str, str] | Literal[False] | None = ...,
    trailers: HeaderTypes = ...,
    auth: AuthTypes = ...,
    timeout: TimeoutTypes = ...,
    redirects: int = ...,
    retry: RetryTypes = ...,
    limits: LimitsTypes = ...,
    tls: TLSTypes = ...,
    http2: bool | Literal["only"] = ...,
    proxy: ProxyTypes = ...,
    unix_socket: str | os.PathLike[str] | None = ...,
    resolve: Mapping[str, str] = ...,
    forbid_private: bool = ...,
    decode: bool = ...,
    backend: BackendTypes | None = ...,
) -> Any:
    """What every call accepts, as a signature, for editors that read no TypedDict; nobody calls it."""


def every_argument_of_an_exchange(
    *,
    trailers: HeaderTypes = ...,
    timeout: TimeoutTypes = ...,
    limits: LimitsTypes = ...,
    tls: TLSTypes = ...,
    http2: bool | Literal["only"] = ...,
    proxy: ProxyTypes = ...,
    unix_socket: str | os.PathLike[str] | None = ...,
    resolve: Mapping[str, str] = ...,
    forbid_private: bool = ...,
    backend: BackendTypes | None = ...,
) -> Any:
    """What a single exchange accepts, likewise."""


def every_setting(
    *,
    base_url: str | None = ...,
    headers: HeaderTypes = ...,
    params: ParamTypes = ...,
    auth: AuthTypes = ...,
    timeout: TimeoutTypes = ...,
    redirects: int = ...,
    retry: RetryTypes = ...,
    limits: LimitsTypes = ...,
    tls: TLSTypes = ...,
    http2: bool | Literal["only"] = ...,
    proxy: ProxyTypes = ...,
    unix_socket: str | os.PathLike[str] | None = ...,
    resolve: Mapping[str, str] = ...,
    forbid_private: bool = ...,
    decode: bool = ...,
    listeners: Callable[[Event], None] | Sequence[Callable[[Event], None]] = ...,
) -> Any:
    """What a client accepts, likewise."""
