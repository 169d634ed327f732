"""From a request to an open connection: address, connect, what a proxy wants to hear, TLS.

This decides, once for every backend, what happens and in which order: which name is looked up by whom, which addresses
are refused, what a proxy is told, whose certificate is asked for, and which error it is if a step fails. Whatever waits
is asked of a driver: `blocking.py`, `asyncio.py` and `anyio.py` have one each, with the same methods, and aiohttp's
backend has one that connects by aiohttp's connector. What a driver's method returns, a `yield` gives back: the outcome
itself, or what is to be awaited for it.

A proxy that is dead does not mean a direct connection, and what was checked is what is connected to: there is no second
look-up. If anything fails, what was opened is closed, and the request has not left.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager

from ..errors import ConfigError, ConnectError, ConnectTimeout, NameResolutionError, ProxyError, UnifetchError
from ..model.route import is_looked_up, is_loopback_name, refuse_private
from .happy_eyeballs import taking_turns
from .reader import ByteReader
from .tls_errors import handshake_failed
from .tunnels import agreement

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterator
    from typing import Any, Protocol, TypeAlias, TypeVar

    from ..model.messages import RawRequest
    from .resolution import Address

    T = TypeVar("T")
    Steps: TypeAlias = Generator[Any, Any, T]

    class Driver(Protocol):
        """What waits. Each step ends in time, or raises TimeoutError; other errors are OSError or ValueError."""

        wire: Any  # the connection, once there is one

        def look_up(self, host: str, port: int) -> Any:
            """The addresses of a host."""

        def connect(self, addresses: list[Address]) -> Any:
            """Open a connection to one of these, by Happy Eyeballs."""

        def send(self, data: bytes) -> Any:
            """Send all of it."""

        def receive(self) -> Any:
            """What there is, as soon as there is something; `b""` at the end."""

        def start_tls(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None) -> Any:
            """Shake hands with this host, inside of whatever the connection is already."""

        def close(self) -> None:
            """Close what was opened; it waits for nothing."""


def dial(driver: Driver, request: RawRequest, session: ssl.SSLSession | None = None) -> Steps[Any]:
    """Open a connection for this request, with a TLS session to resume, and return the driver's wire.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    try:
        if request.route.proxy is None:
            yield from _directly(driver, request)
        else:
            yield from _through_proxy(driver, request)
        if request.scheme == "https":
            yield from _secured(driver, request.tls, request, session)
    except BaseException:
        driver.close()
        raise
    return driver.wire


def _directly(driver: Driver, request: RawRequest) -> Steps[None]:
    path = request.route.unix_socket
    with _no_connection(request):
        yield driver.connect((yield from _chosen(driver, request)) if path is None else [(socket.AF_UNIX, path)])


# --- The address ----------------------------------------------------------------------------------


def _chosen(driver: Driver, request: RawRequest) -> Steps[list[Address]]:
    route, host = request.route, request.host
    found: list[Address]
    if route.address is None and is_loopback_name(host):
        # IPv4 first: a proxy is asked for one address only, and more servers of this kind listen there.
        found = [(socket.AF_INET, ("127.0.0.1", request.port)), (socket.AF_INET6, ("::1", request.port, 0, 0))]
    else:
        found = yield driver.look_up(route.address or host, request.port)
    if route.public_only:
        for _, address in found:
            refuse_private(host, str(address[0]))
    return taking_turns(found)


# --- The proxy ------------------------------------------------------------------------------------


def _through_proxy(driver: Driver, request: RawRequest) -> Steps[None]:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        with _no_connection(request):
            host = (yield from _chosen(driver, request))[0][1][0]
    try:
        yield driver.connect(taking_turns((yield driver.look_up(proxy.host, proxy.port))))
        if proxy.scheme == "https":
            yield from _secured(driver, route.proxy_tls, proxy)
        yield from _converse(driver, request, host)
    except ConfigError:
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection through {proxy.url} in time") from error
    except (OSError, UnicodeError, UnifetchError) as error:
        failure = ProxyError(f"no connection through {proxy.url}: {_reason(error)}")
        failure.status = getattr(error, "status", None)
        raise failure from error


def _converse(driver: Driver, request: RawRequest, host: str) -> Steps[None]:
    reader = ByteReader()
    for step in agreement(reader, request, host):
        if isinstance(step, bytes):
            yield driver.send(step)
        elif step is None:
            if data := (yield driver.receive()):
                reader.feed(data)
            else:
                reader.feed_eof()


# --- TLS ------------------------------------------------------------------------------------------


def _secured(
    driver: Driver, context: ssl.SSLContext | None, peer: Any, session: ssl.SSLSession | None = None
) -> Steps[None]:
    try:
        if context is None:
            raise ValueError("there is no context for it")
        host = peer.host.removesuffix(".")  # no certificate has the dot of a complete name (RFC 6066 §3)
        yield driver.start_tls(context, host, session)
    except TimeoutError as error:
        raise ConnectTimeout(f"no TLS with {peer.host}:{peer.port} in time") from error
    except (OSError, ValueError) as error:
        raise handshake_failed(error, peer.host, peer.port) from error


# --- Errors ---------------------------------------------------------------------------------------


@contextmanager
def _no_connection(request: RawRequest) -> Iterator[None]:
    path = request.route.unix_socket
    where = f"{request.host}:{request.port}" if path is None else f"unix socket {path!a:.500}"
    try:
        yield
    except UnifetchError:
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection to {where} in time") from error
    except (OSError, ValueError) as error:
        if path is None and isinstance(error, (socket.gaierror, UnicodeError)):
            raise NameResolutionError(f"no address for {request.host}: {_reason(error)}") from error
        raise ConnectError(f"no connection to {where}: {_reason(error)}") from error


def _reason(error: BaseException) -> object:
    return getattr(error, "strerror", None) or error


# --- How a driver goes through the steps ----------------------------------------------------------


def carried_out(steps: Steps[T]) -> T:
    """The outcome of the steps of a driver that blocks: each has been done by the time that it is yielded."""
    try:
        outcome = next(steps)
        while True:
            outcome = steps.send(outcome)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # what the steps return


async def carried_out_awaited(steps: Steps[T]) -> T:
    """The same for a driver whose steps are to be awaited."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await step
            except BaseException as error:  # noqa: BLE001  # whatever it is, the steps decide
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # what the steps return
