"""From a URL to an open connection, awaited: `dial.py` once more, with the same steps in the same order.

Every step ends with the connect timeout or the deadline, and with the task, if it is cancelled: what it had opened
is closed then. A name that is being resolved is left behind in its thread, which the end of the loop does not wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from ...errors import (
    ConfigError,
    ConnectError,
    ConnectTimeout,
    NameResolutionError,
    ProxyError,
    TLSError,
    UnifetchError,
    evidence,
)
from ...routes import is_looked_up, refuse_private
from .async_stream import TLS, Wire
from .dial import ATTEMPT_DELAY, _end, _left, _reason, _taking_turns
from .proxies import connect, socks5
from .reader import ByteReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ...messages import RawRequest
    from .async_stream import Clock
    from .dial import Address
    from .proxies import Conversation

    Stream = Wire | TLS


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
    route, ends = request.route, _end(request)
    where = f"{request.host}:{request.port}"
    sock: Stream
    try:
        if route.proxy is not None:
            sock = await _through_proxy(request, ends, clock)
        elif route.unix_socket is not None:
            where = f"unix socket {route.unix_socket!a}"
            sock = await _connect([(socket.AF_UNIX, route.unix_socket)], ends, clock)
        else:
            sock = await _connect(await _chosen(request, ends), ends, clock)
    except UnifetchError:
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection to {where} in time") from error
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise NameResolutionError(f"no address for {request.host}: {error.strerror}") from error
        raise ConnectError(f"no connection to {where}: {error.strerror or error}") from error
    return sock if request.tls is None else await _secure(sock, request.tls, request.host, request.port, ends, session)


# --- The address ----------------------------------------------------------------------------------


async def _chosen(request: RawRequest, ends: float | None) -> list[Address]:
    # What is refused or allowed here is what is connected to: there is no second look-up.
    addresses = await _addresses(request.route.address or request.host, request.port, ends)
    if request.route.public_only:
        for _, address in addresses:
            refuse_private(request.host, address[0])
    return addresses


async def _addresses(host: str, port: int, ends: float | None) -> list[Address]:
    try:
        # An address needs no resolver, and no thread.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await _resolved(host, port, _left(ends))
    return _taking_turns([(family, address) for family, _, _, _, address in found])


async def _resolved(host: str, port: int, seconds: float | None) -> list[Any]:
    # A thread of its own, as in dial.py: those of the loop's executor are few, and `asyncio.run` waits for them.
    import threading

    loop = asyncio.get_running_loop()
    outcome: list[Any] = []
    resolved = asyncio.Event()

    def resolve() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            outcome.append(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(resolved.set)

    threading.Thread(target=resolve, name=f"resolving {host}", daemon=True).start()
    async with asyncio.timeout(seconds):
        await resolved.wait()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    found: list[Any] = outcome[0]
    return found


# --- The connection -------------------------------------------------------------------------------


async def _connect(addresses: list[Address], ends: float | None, clock: Clock) -> Wire:
    if len(addresses) == 1:
        async with asyncio.timeout(_left(ends)):
            sock = await _attempt(*addresses[0])
    else:
        sock = await _race(addresses, ends)
    try:
        loop = asyncio.get_running_loop()
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            create: Any = loop.create_connection
        else:
            create = loop.create_unix_connection
        async with asyncio.timeout(_left(ends)):
            wire: Wire = (await create(lambda: Wire(sock, clock), sock=sock))[1]
    except BaseException:
        sock.close()
        raise
    return wire


async def _attempt(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, _reason(error.errno)) from error  # asyncio has words of its own
        raise
    return sock


async def _race(addresses: list[Address], ends: float | None) -> socket.socket:
    waiting = list(addresses)
    racing: list[asyncio.Task[socket.socket]] = []
    winner: asyncio.Task[socket.socket] | None = None
    failure: OSError = OSError("no address")
    try:
        while winner is None:
            if waiting:
                racing.append(asyncio.create_task(_attempt(*waiting.pop(0))))
            elif not racing:
                raise failure
            left = _left(ends)
            delay = left if not waiting else ATTEMPT_DELAY if left is None else min(ATTEMPT_DELAY, left)
            done, _ = await asyncio.wait(racing, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    winner = task
                    break
                if not isinstance(error, OSError):
                    raise error
                failure = error
                racing.remove(task)
        return winner.result()
    finally:
        for task in racing:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_discard)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    # It came in second, or failed when nobody asked any more.
    if not task.cancelled() and task.exception() is None:
        task.result().close()


# --- The proxy ------------------------------------------------------------------------------------


async def _through_proxy(request: RawRequest, ends: float | None, clock: Clock) -> Stream:
    route, proxy = request.route, request.route.proxy
    reader = ByteReader()
    steps = await _conversation(request, reader, ends)
    sock: Stream | None = None
    try:
        sock = await _connect(await _addresses(proxy.host, proxy.port, ends), ends, clock)
        if route.proxy_tls is not None:
            sock = await _secure(sock, route.proxy_tls, proxy.host, proxy.port, ends)
        await _converse(sock, steps, reader, ends)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, TimeoutError):
            raise ConnectTimeout(f"no connection through {proxy.url} in time") from error
        if isinstance(error, ConfigError) or not isinstance(error, (OSError, EOFError, UnifetchError)):
            raise
        # Whatever it was, there is no connection, and the request has not left.
        reason = getattr(error, "strerror", None) or str(error) or "it ended the connection"
        failure = ProxyError(f"no connection through {proxy.url}: {reason}")
        failure.status = getattr(error, "status", None)
        raise failure from error
    return sock


async def _conversation(request: RawRequest, reader: ByteReader, ends: float | None) -> Conversation | tuple[()]:
    route, proxy, host = request.route, request.route.proxy, request.host
    if is_looked_up(route, host):
        host = (await _chosen(request, ends))[0][1][0]
    if proxy.scheme in ("socks5", "socks5h"):
        return socks5(reader, proxy, host, request.port)
    return () if request.tls is None else connect(reader, host, request.port, route.connect_headers)


async def _converse(sock: Stream, steps: Iterable[object], reader: ByteReader, ends: float | None) -> None:
    for step in steps:
        _left(ends)
        if isinstance(step, bytes):
            sent = 0
            while sent < len(step):
                sent += await sock.send(step[sent:], ends)
        elif step is None:
            data = await sock.recv(4096, ends)
            if data:
                reader.feed(data)
            else:
                reader.feed_eof()
    if early := sock.recv_now(4096):
        reader.feed(early)
    if len(reader):
        raise ProxyError(f"it sent something before it was asked: {evidence(bytes(reader.data[reader.at :]))}")


# --- TLS ------------------------------------------------------------------------------------------


async def _secure(
    sock: Stream,
    context: ssl.SSLContext,
    host: str,
    port: int,
    ends: float | None,
    session: ssl.SSLSession | None = None,
) -> Stream:
    try:
        _left(ends)
        secured = TLS(sock, context, host, session)
        await secured.handshake(ends)
        return secured
    except TimeoutError as error:
        sock.close()
        raise ConnectTimeout(f"no TLS with {host}:{port} in time") from error
    except ssl.SSLError as error:
        sock.close()
        # A certificate is refused for a reason in words; other failures have a code.
        reason = getattr(error, "verify_message", "") or error.reason or error
        raise TLSError(f"TLS with {host}:{port} failed: {reason}") from error
    except OSError as error:
        sock.close()
        raise TLSError(f"TLS with {host}:{port} failed: {error.strerror or error}") from error
    except BaseException:
        sock.close()
        raise
