"""The answers of a mock over real sockets: `testing.Server` on loopback sends them, the chosen backend receives them.

`--unifetch-wire` does this with the tests of a mock: in memory they are quick, here they are real. The backend connects
to loopback by `resolve`; for https, an authority made for this run (with the library trustme) issues the certificate.
Waits stay virtual: the server passes them on to the mock's time, once the client has read what came before.
"""

from __future__ import annotations

import functools
import ssl
from collections import defaultdict
from contextlib import ExitStack
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from ..errors import UnifetchError
from ..model.route import Route
from .answer import Answer, unrolled
from .intercept import Forward, Intercepted, Steps
from .server import Server
from .steps import Close, Drip, Pause, RecordedRequest, Reset, Stall, Step
from .taps import Tap, check_wait, tapped

if TYPE_CHECKING:
    from types import TracebackType

    from .server import Connection


_LOCK = Lock()  # the first requests may come at the same time, and have to find one server and one authority


class Wire:
    """Servers on loopback, for the time of one block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}
        self._tickets: defaultdict[tuple[str, str, str], list[_Ticket]] = defaultdict(list)

    def carry(self, request: Intercepted, taken: Any) -> Steps:
        """Send a request to the server of its scheme, which gives the answer."""
        ticket = _Ticket(request, taken)
        with _LOCK:
            server = self._server(request.raw.scheme)
            self._tickets[request.method, request.headers["host"], request.target].append(ticket)
            tls = None if request.raw.tls is None else _authority()[1]
        ticket.changed = server.changed
        request.change(route=Route(address="127.0.0.1"), port=server.port, target=request.target, tls=tls, http2=False)
        try:
            raw = yield Forward()
        except UnifetchError as error:
            raise ticket.failed(error) from error.__cause__
        return tapped(raw, request, ticket)  # type: ignore[no-any-return]  # of the kind that came

    def _server(self, scheme: str) -> Server:
        if scheme not in self._servers:
            tls = _authority()[0] if scheme == "https" else None
            self._servers[scheme] = self._stack.enter_context(Server(self._play, tls=tls))
        return self._servers[scheme]

    def _play(self, recorded: RecordedRequest) -> Any:
        with _LOCK:
            tickets = self._tickets[recorded.method, recorded.header("host") or "", recorded.target]
            # Of requests at the same time, the one that left first need not come first.
            ticket = next((each for each in tickets if each.request.body == recorded.body), tickets[0])
            tickets.remove(ticket)
        if recorded.body != ticket.request.body:
            raise AssertionError(
                f"{recorded.method} {recorded.target}: the body that arrived is not the one that was sent"
            )
        return ticket.script(recorded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class _Ticket(Tap):
    """One request on its way over the wire, and what the server has to do."""

    changed: Any

    def __init__(self, request: Intercepted, taken: Any) -> None:
        self.request = request
        self.verdict: BaseException | None = None
        self.read = 0  # bytes of the body that the client has read
        self._taken = taken

    def script(self, recorded: RecordedRequest) -> list[Any]:
        """What the server plays; its waits are the mock's."""
        if not isinstance(self._taken, Answer):
            return [self._timed(self._taken, recorded)]
        script: list[Any] = []
        answer, sent = self._taken, 0
        head, *rest = answer.script(recorded.method)[len(answer.interim) :]
        script += [*answer.script(recorded.method)[: len(answer.interim)], head]
        plain = answer.chunks is None or any(name.lower() == "content-length" for name, _ in answer.headers)
        for item in rest:
            if isinstance(item, bytes):
                # Of a chunk only its own bytes count, which are between two line ends.
                sent += len(item) if plain else max(0, len(item) - len(item.partition(b"\r\n")[0]) - 4)
            script.append(_Wait(self, item.seconds, sent) if isinstance(item, Pause) else item)
        if answer.http_version == "HTTP/1.0" or not (answer.framed and _is_framed(answer)):
            script.append(Close())
        return script

    def _timed(self, script: Any, recorded: RecordedRequest) -> Any:
        if isinstance(script, (Drip, Stall)):
            return [self._timed(part, recorded) for part in unrolled(script)]
        if isinstance(script, Pause):
            return _Wait(self, script.seconds, None)
        if isinstance(script, list):
            return [self._timed(part, recorded) for part in script]
        if callable(script) and not isinstance(script, Step):
            return self._timed(script(recorded), recorded)
        return script

    # --- As a tap ---

    def piece(self, data: bytes) -> Any:
        """Count what the client has read."""
        with self.changed:
            self.read += len(data)
            self.changed.notify_all()
        return (data,)

    def failed(self, error: UnifetchError) -> BaseException:
        """What a wait has led to in the mock's time."""
        return self.verdict or error


class _Wait(Step):
    """A pause in the mock's time."""

    def __init__(self, ticket: _Ticket, seconds: float, after: int | None) -> None:
        self._ticket = ticket
        self._seconds = seconds
        self._after = after  # None before the head

    def run(self, connection: Connection) -> None:
        ticket, request = self._ticket, self._ticket.request
        if self._after is not None:
            with connection.server.changed:
                connection.server.changed.wait_for(lambda: ticket.read >= (self._after or 0), 5)
        seconds, late = check_wait(Pause(self._seconds), request, "maybe" if self._after is None else "yes")
        if request.time is None:
            connection.pause(seconds)
        else:
            request.time.advance(seconds)
        if late is not None:
            ticket.verdict = late
            Reset().run(connection)


def _is_framed(answer: Answer) -> bool:
    names = {name.lower() for name, _ in answer.headers}
    return not names or bool(names & {"content-length", "transfer-encoding"}) or answer.framed


@functools.cache
def _authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for any name, and a client's context that trusts it."""
    try:
        import trustme
    except ImportError:
        raise RuntimeError(
            "mocked https on the wire needs a certificate, which trustme makes: pip install trustme"
        ) from None
    authority = trustme.CA()

    @functools.cache
    def context_of(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = context_of(name or "127.0.0.1")

    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.sni_callback = choose
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
