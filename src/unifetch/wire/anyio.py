"""From a request to an open wire, for the awaited side of httpx and httpx2: `blocking.py` once more, by anyio.

It has the same steps in the same order, on asyncio, uvloop and trio alike. Every step ends with the connect timeout or
the deadline, and with the task, if it is cancelled; if it fails, what was opened is closed. A name that is being looked
up is left behind in its thread, which the end of the loop does not wait for.
"""

from __future__ import annotations

import os
import socket
from functools import partial

import anyio

from ..backends.base import connect_ends, time_left
from ..errors import UnifetchError
from ..model.route import is_looked_up
from .anyio_wire import Wire
from .happy_eyeballs import no_connection, no_tls, no_way_through, taking_turns, until_next
from .resolution import begin, checked, numeric, settled
from .tunnels import agreement

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address


async def dial(request: RawRequest) -> Wire:
    """Open a connection for this request.

    Args:
        request: its host and port, its route, its TLS context, its timeouts.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    route, ends = request.route, connect_ends(request)
    try:
        if route.proxy is not None:
            wire = await _through_proxy(request, ends)
        elif route.unix_socket is not None:
            wire = Wire(await _connect([(socket.AF_UNIX, route.unix_socket)], ends))
        else:
            wire = Wire(await _connect(await _chosen(request, ends), ends))
    except UnifetchError:
        raise
    except (OSError, ValueError) as error:
        raise no_connection(error, request) from error
    if request.scheme == "https":
        await _secure(wire, request.tls, request, ends)
    return wire


# --- The address ----------------------------------------------------------------------------------


async def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    route = request.route
    found = await look_up(route.address or request.host, request.port, time_left(ends))
    return taking_turns(checked(route, request.host, found))


async def look_up(host: str, port: int, seconds: float | None) -> list[Address]:
    """The addresses of a host, as `resolution.look_up`, awaited on every event loop."""
    if found := numeric(host, port):
        return found
    outcome: list[Any] = []
    # Of all that a thread can tell a task by, this is what every event loop waits for.
    told, tells = socket.socketpair()

    def tell(found: Any) -> None:
        with tells:
            outcome.append(found)

    with told:
        told.setblocking(False)
        begin(host, port, tell)
        with anyio.fail_after(seconds):
            await anyio.wait_readable(told)
    return settled(outcome[0])


# --- The connection -------------------------------------------------------------------------------


async def _connect(addresses: list[Address], ends: float | None) -> socket.socket:
    if len(addresses) == 1:
        with anyio.fail_after(time_left(ends)):
            return await _attempt(*addresses[0])
    waiting = list(addresses)
    connected: list[socket.socket] = []
    failure = OSError("no address")

    async def race(family: int, address: Any) -> None:
        nonlocal failure
        try:
            connected.append(await _attempt(family, address))
            group.cancel_scope.cancel()
        except OSError as error:
            failure = error
            failed.set()

    try:
        with anyio.fail_after(time_left(ends)):
            async with anyio.create_task_group() as group:
                while waiting:
                    failed = anyio.Event()
                    group.start_soon(race, *waiting.pop(0))
                    with anyio.move_on_after(until_next(waiting, None)):  # the time is up for all of them at once
                        await failed.wait()
        if not connected:
            raise failure
        return connected.pop()
    finally:
        for sock in connected:  # it came in second, or there is nobody any more who would take it
            sock.close()


async def _attempt(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if isinstance(address, str):
            await _to_unix_socket(sock, address)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _to_address(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _to_address(sock: socket.socket, address: Any) -> None:
    try:
        sock.connect(address)
    except (BlockingIOError, InterruptedError):
        await anyio.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code)) from None


async def _to_unix_socket(sock: socket.socket, path: str) -> None:
    while True:
        try:
            return sock.connect(path)
        except BlockingIOError:
            await anyio.sleep(0.005)  # its queue is full, of which nothing tells the end


# --- The proxy ------------------------------------------------------------------------------------


async def _through_proxy(request: RawRequest, ends: float | None) -> Wire:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        host = (await _chosen(request, ends))[0][1][0]
    wire: Wire | None = None
    try:
        found = await look_up(proxy.host, proxy.port, time_left(ends))
        wire = Wire(await _connect(taking_turns(found), ends))
        if proxy.scheme == "https":
            await _secure(wire, route.proxy_tls, proxy, ends)
        await _converse(wire, request, host, ends)
    except BaseException as error:
        if wire is not None:
            wire.close()
        if (failure := no_way_through(proxy, error)) is not None:
            raise failure from error
        raise
    return wire


async def _converse(wire: Wire, request: RawRequest, host: str, ends: float | None) -> None:
    from .reader import RECEIVE, ByteReader  # with its package, which nothing else here needs

    limit = partial(time_left, ends)
    reader = ByteReader()
    for step in agreement(reader, request, host):
        limit()
        if isinstance(step, bytes):
            await wire.write(step, limit)
        elif step is None:
            if data := await wire.read(RECEIVE, limit):
                reader.feed(data)
            else:
                reader.feed_eof()


# --- TLS ------------------------------------------------------------------------------------------


async def _secure(wire: Wire, tls: ssl.SSLContext | None, peer: Any, ends: float | None) -> None:
    try:
        if tls is None:
            raise ValueError("there is no context for it")
        await wire.start_tls(tls, peer.host, partial(time_left, ends))
    except BaseException as error:
        wire.close()
        if isinstance(error, (OSError, ValueError)):
            raise no_tls(error, peer) from error
        raise
