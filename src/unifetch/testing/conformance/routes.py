"""Routes: through a proxy or not, by name or to an address, and what each of those on the way gets to see.

The proxies are scripted: a server that answers a CONNECT and then speaks TLS on the same connection is proxy and
origin in one, and has recorded every byte that either of them was told. Where TLS has to go through TLS, a
`Relay` connects the two. The names end in .test and have no address but those that a test gives them.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import select
import shutil
import socket
import ssl
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ... import Timeout
from .. import (
    Close,
    Server,
    Step,
)
from ..server import Connection
from .base import Conformance

AGREED = b"HTTP/1.1 200 Connection established\r\n\r\n"
BASIC = "Basic " + base64.b64encode("user:p\u00e4ss:w@rd".encode()).decode()
BASIC_A = "Basic " + base64.b64encode(b"a:1").decode()
LOGIN = "user:p%C3%A4ss%3Aw%40rd"
SHORT = Timeout(20, connect=0.3)
# Not of anybody's test network: those are not public.
PUBLIC = "8.8.8.8"
# httpcore leaves it to Python to close a unix socket that did not connect, which is no matter of the contract. A test
# with this mark ends with a garbage collection, so that the warning does not come in another one.
LEFT_TO_PYTHON = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")


class Authority:
    """A certificate authority of the tests.

    Attributes:
        trusted: the setting `tls=` of a client that trusts it, and nobody else.
    """

    def __init__(self) -> None:
        trustme = pytest.importorskip("trustme", reason="trustme is not installed: no certificates for TLS")
        self._authority = trustme.CA()
        directory = tempfile.mkdtemp(prefix="unifetch-conformance-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        ca_file = Path(directory, "ca.pem")
        self._authority.cert_pem.write_to_path(ca_file)
        self.trusted = {"ca_file": str(ca_file)}

    @functools.cache  # noqa: B019  # there is one authority, and it lives as long as the process
    def server(self, *names: str) -> ssl.SSLContext:
        """The context of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.configure(context, *names)
        return context

    def certificate(self, *names: str) -> Any:
        """A certificate for these names, as trustme's `LeafCert`."""
        return self._authority.issue_cert(*names)

    def configure(self, context: ssl.SSLContext, *names: str) -> None:
        """Have a server show a certificate for these names, and trust those of this authority."""
        self._authority.issue_cert(*names).configure_cert(context)
        self._authority.configure_trust(context)


@functools.cache
def authority() -> Authority:
    """The one authority of this process; skips the test without trustme."""
    return Authority()


class Relay(Step):
    """What a proxy does once it has agreed: it copies bytes both ways until one side ends.

    Args:
        port: of the origin.
        patience: seconds to wait before each copy, for more to come.
    """

    def __init__(self, port: int, *, patience: float = 0) -> None:
        self.port = port
        self.patience = patience

    def run(self, connection: Connection) -> None:
        near = connection.socket
        with socket.create_connection(("127.0.0.1", self.port)) as far:
            try:
                while True:
                    for source in select.select([near, far], [], [])[0]:
                        time.sleep(self.patience)
                        data = source.recv(65536)
                        if not data:
                            return Close().run(connection)
                        (far if source is near else near).sendall(data)
            except OSError:
                return Close().run(connection)


class Socks5(Step):
    """The server's side of SOCKS5.

    Args:
        method: what it chooses of the methods that it is offered; 2 asks for a login, 255 accepts none.
        failure: what it says to the login.
        code: its reply: 0 for a connection.
        bound: the address in that reply, with its type.

    Attributes:
        offered: the methods that it was offered.
        login: the login as it came.
        destination: the type of the address, the address, the port.
    """

    def __init__(
        self, method: int = 0, *, failure: int = 0, code: int = 0, bound: bytes = b"\x01\x00\x00\x00\x00"
    ) -> None:
        self.method = method
        self.failure = failure
        self.code = code
        self.bound = bound
        self.offered = b""
        self.login: tuple[bytes, bytes] | None = None
        self.destination: tuple[int, bytes, int] | None = None

    def run(self, connection: Connection) -> None:
        def take(size: int) -> bytes:
            data = b""
            with contextlib.suppress(OSError):
                data = connection.socket.recv(size, socket.MSG_WAITALL)
            if len(data) < size:  # the client has left
                Close().run(connection)
            return data

        assert b"\x05" == take(1)
        self.offered = take(take(1)[0])
        connection.send(bytes((5, self.method)))
        if self.method == 2:
            assert b"\x01" == take(1)
            self.login = take(take(1)[0]), take(take(1)[0])
            connection.send(bytes((1, self.failure)))
        assert b"\x05\x01\x00" == take(3)
        kind = take(1)[0]
        address = take({1: 4, 4: 16}.get(kind) or take(1)[0])
        self.destination = (kind, address, int.from_bytes(take(2), "big"))
        connection.send(bytes((5, self.code, 0)) + self.bound + b"\x00\x00")


class Internet:
    """Names with addresses that the test gives them, and connections to those that end at loopback.

    Attributes:
        answers: for each name the addresses of one look-up after the other; the last stays.
        asked: the names that were looked up.
        reached: the addresses that were connected to.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.reached: list[str] = []
        getaddrinfo, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

        def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if _is_address(name):
                addresses = [name]
            elif name not in self.answers:
                return getaddrinfo(host, port, *args, **options)
            elif options.get("flags", 0) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not an address")
            else:
                self.asked.append(name)
                answers = self.answers[name]
                addresses = answers.pop(0) if len(answers) > 1 else answers[0]
            return [_found(address, int(port)) for address in addresses]

        def to_loopback(address: Any) -> Any:
            self.reached.append(address[0])
            return ("127.0.0.1", address[1]) if address[0] == PUBLIC else address

        patch.setattr(socket, "getaddrinfo", look_up)
        patch.setattr(socket.socket, "connect", lambda sock, address: connect(sock, to_loopback(address)))
        patch.setattr(socket.socket, "connect_ex", lambda sock, address: connect_ex(sock, to_loopback(address)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _found(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def proxy(server: Server, login: str = "", scheme: str = "http") -> str:
    """The URL of a scripted proxy."""
    return f"{scheme}://{login and login + '@'}127.0.0.1:{server.port}"


class Routes(Conformance):
    """What the classes of routes need."""

    @pytest.fixture
    def internet(self, monkeypatch: pytest.MonkeyPatch) -> Internet:
        """Names and addresses of the test's own."""
        return Internet(monkeypatch)
