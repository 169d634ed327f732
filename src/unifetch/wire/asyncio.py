"""From a request to an open connection, awaited: `blocking.py` once more, with the same steps in the same order.

Every step ends with the connect timeout or the deadline, and with the task, if it is cancelled; if it fails, what was
opened is closed. A name that is being looked up is left behind in its thread, which the end of the loop does not wait
for.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from ..backends.base import connect_ends, time_left
from ..errors import UnifetchError
from ..model.route import is_looked_up
from .asyncio_wire import TLS, Wire
from .happy_eyeballs import no_connection, no_tls, no_way_through, taking_turns, until_next
from .reader import RECEIVE, ByteReader
from .resolution import checked, look_up_awaited
from .tunnels import agreement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..model.messages import RawRequest
    from .resolution import Address
    from .timer import Clock

    Stream = Wire | TLS  # what bytes go through


async def dial(request: RawRequest, clock: Clock, session: ssl.SSLSession | None = None) -> Stream:
    """Open a connection for this request.

    Args:
        request: its host and port, its route, its TLS context, its timeouts.
        clock: what ends the waits of the connection, then and later.
        session: a TLS session to resume.

    Raises:
        NameResolutionError, ConnectError, ProxyError, TLSError, ConnectTimeout: with `request_sent` "no".
        ConfigError: its proxy cannot keep to what the route says besides.
    """
    route, ends = request.route, connect_ends(request)
    try:
        if route.proxy is not None:
            sock = await _through_proxy(request, ends, clock)
        elif route.unix_socket is not None:
            sock = await _wire(await _connect([(socket.AF_UNIX, route.unix_socket)], ends), clock)
        else:
            sock = await _wire(await _connect(await _chosen(request, ends), ends), clock)
    except UnifetchError:
        raise
    except (OSError, ValueError) as error:
        raise no_connection(error, request) from error
    return sock if request.scheme == "http" else await _secure(sock, request.tls, request, ends, session)


# --- The address ----------------------------------------------------------------------------------


async def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    route = request.route
    found = await look_up_awaited(route.address or request.host, request.port, time_left(ends))
    return taking_turns(checked(route, request.host, found))


# --- The connection -------------------------------------------------------------------------------


async def _connect(addresses: list[Address], ends: float | None) -> socket.socket:
    if len(addresses) == 1:
        async with asyncio.timeout(time_left(ends)):
            return await _attempt(*addresses[0])
    waiting = list(addresses)
    racing: list[asyncio.Task[socket.socket]] = []
    failure = OSError("no address")
    try:
        while waiting or racing:
            if waiting:
                racing.append(asyncio.create_task(_attempt(*waiting.pop(0))))
            seconds = until_next(waiting, ends)
            decided, _ = await asyncio.wait(racing, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in decided:
                racing.remove(task)
                try:
                    return task.result()
                except OSError as error:
                    failure = error
        raise failure
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_discard)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    # It came in second, or failed when nobody asked any more.
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _attempt(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if not isinstance(address, str):  # the path of a unix socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, os.strerror(error.errno)) from error  # asyncio has words of its own
        raise
    return sock


async def _wire(sock: socket.socket, clock: Clock) -> Wire:
    loop = asyncio.get_running_loop()
    is_unix = sock.family not in (socket.AF_INET, socket.AF_INET6)
    create: Any = loop.create_unix_connection if is_unix else loop.create_connection
    try:
        wire: Wire = (await create(lambda: Wire(sock, clock), sock=sock))[1]
    except BaseException:
        sock.close()
        raise
    return wire


# --- The proxy ------------------------------------------------------------------------------------


async def _through_proxy(request: RawRequest, ends: float | None, clock: Clock) -> Stream:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        host = (await _chosen(request, ends))[0][1][0]
    sock: Stream | None = None
    try:
        found = await look_up_awaited(proxy.host, proxy.port, time_left(ends))
        sock = await _wire(await _connect(taking_turns(found), ends), clock)
        if proxy.scheme == "https":
            sock = await _secure(sock, route.proxy_tls, proxy, ends)
        await _converse(sock, request, host, ends)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if (failure := no_way_through(proxy, error)) is not None:
            raise failure from error
        raise
    return sock


async def _converse(sock: Stream, request: RawRequest, host: str, ends: float | None) -> None:
    reader = ByteReader()
    for step in agreement(reader, request, host):
        time_left(ends)
        if isinstance(step, bytes):
            sent = 0
            while sent < len(step):
                sent += await sock.send(step[sent:], ends)
        elif step is None:
            if data := await sock.recv(RECEIVE, ends):
                reader.feed(data)
            else:
                reader.feed_eof()


# --- TLS ------------------------------------------------------------------------------------------


async def _secure(
    sock: Stream, tls: ssl.SSLContext | None, peer: Any, ends: float | None, session: ssl.SSLSession | None = None
) -> Stream:
    try:
        if tls is None:
            raise ValueError("there is no context for it")
        host = peer.host.removesuffix(".")  # no certificate has the dot of a complete name (RFC 6066 §3)
        time_left(ends)
        secured = TLS(sock, tls, host, session)
        await secured.handshake(ends)
        return secured
    except BaseException as error:
        sock.close()
        if isinstance(error, (OSError, ValueError)):
            raise no_tls(error, peer) from error
        raise
