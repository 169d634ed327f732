"""From a route to an open wire, for the awaited side of httpx and httpx2: address, connect, proxy, TLS.

A route is taken as the core has decided it, and no other. The libraries' own proxies are not used: they add fields to
a CONNECT, and their SOCKS takes it that a reply comes in one piece. A CONNECT is spoken by a library's own HTTP/1.1,
which is handed in, for this knows neither of the two.
"""

from __future__ import annotations

import socket
from functools import partial

from ..errors import ConnectError, ProxyError
from ..routes import is_looked_up
from .anyio_wire import connect, look_up
from .base import proxy_error
from .resolution import checked
from .socks import SCHEMES, converse_awaited, socks5

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    from ..routes import Route
    from .anyio_wire import Limit, Wire
    from .resolution import Address

    # Asks whoever is at the other end of a wire for a tunnel to this host and port; raises ProxyError.
    AskTunnel: TypeAlias = Callable[[Wire, str, int, Limit], Awaitable[None]]


async def dial(
    route: Route, tls: ssl.SSLContext | None, host: str, port: int, limit: Limit, ask_tunnel: AskTunnel
) -> Wire:
    """Open a connection along this route, as far as TLS with the origin.

    Args:
        route: how to get there.
        tls: for https.
        host, port: where to.
        limit: the seconds that are left.
        ask_tunnel: what an HTTP proxy is asked, on the way to an https origin.

    Raises:
        ConnectError, ProxyError, ConfigError: in our words already.
        TimeoutError, OSError, UnicodeError: in those of the system, of which a message is still to be made.
    """
    if route.proxy is not None:
        wire = await _through_proxy(route, host, port, limit, ask_tunnel if tls is not None else None)
    elif route.unix_socket is not None:
        wire = await _to_unix_socket(route.unix_socket, limit)
    else:
        wire = await _connected(await _chosen(route, host, port, limit), limit)
    if tls is not None:
        await _secured(wire, tls, host, limit)
    return wire


async def _to_unix_socket(path: str, limit: Limit) -> Wire:
    try:
        return await connect(socket.AF_UNIX, path, limit)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectError(f"no connection to unix socket {path!a}: {error}") from error


async def _through_proxy(route: Route, host: str, port: int, limit: Limit, ask_tunnel: AskTunnel | None) -> Wire:
    proxy = route.proxy
    if is_looked_up(route, host):
        host = str((await _chosen(route, host, port, limit))[0][1][0])
    wire: Wire | None = None
    try:
        wire = await _connected(await look_up(proxy.host, proxy.port, limit), limit)
        if route.proxy_tls is not None:
            await wire.start_tls(route.proxy_tls, proxy.host, limit)
        if proxy.scheme in SCHEMES:
            say, hear = partial(wire.write, limit=limit), partial(wire.read, limit=limit)
            await converse_awaited(socks5(proxy, host, port), say, hear)
        elif ask_tunnel is not None:
            await ask_tunnel(wire, host, port, limit)
    except BaseException as error:
        if wire is not None:
            wire.close()
        if isinstance(error, TimeoutError):
            raise TimeoutError(f"no connection through {proxy.url} in time") from error
        if isinstance(error, (OSError, UnicodeError, ProxyError)):
            raise proxy_error(error, proxy.url) from error
        raise
    return wire


async def _chosen(route: Route, host: str, port: int, limit: Limit) -> list[Address]:
    return checked(route, host, await look_up(route.address or host, port, limit))


async def _connected(addresses: list[Address], limit: Limit) -> Wire:
    failure: OSError | None = None
    for family, address in addresses:
        try:
            return await connect(family, address, limit)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


async def _secured(wire: Wire, tls: ssl.SSLContext, host: str, limit: Limit) -> None:
    try:
        await wire.start_tls(tls, host, limit)
    except BaseException:
        wire.close()
        raise
