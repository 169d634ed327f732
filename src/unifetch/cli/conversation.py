"""What `-v` and `--timing` show of a call: its events, and the connections below it. Credentials are masked."""

from __future__ import annotations

import sys

from ..masking import masked, masked_field
from ..observe import events
from .terminal import Style, printable, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import ssl
    from contextlib import AbstractContextManager
    from typing import Any

    from ..model.headers import Headers


class Conversation:
    """A listener that shows each step on standard error: where a connection leads, what TLS has agreed, heads as they
    go over the wire, and what led to the next.

    Args:
        http2: the setting of the client, which says what a request line can say of the version.
    """

    def __init__(self, http2: bool | str = False) -> None:
        self._style = Style(sys.stderr)
        self._http2 = http2
        self._unsent: events.Attempt | None = None  # its head is shown when it goes out
        self._versions: dict[str, str] = {}  # which one TLS has agreed with an origin

    def __call__(self, event: events.Event) -> None:
        style = self._style
        if isinstance(event, events.Attempt):
            say(style.dim(f"* {event.request.url.origin} through {printable(event.backend)}"))
            self._unsent = event
        elif isinstance(event, events.InterimResponse):
            self._sent()
            say(f"< {style.bold(str(event.status))} before the answer")
            self._fields("<", event.headers)
        elif isinstance(event, events.ResponseHead):
            self._sent()
            if event.stream is not None:
                say(style.dim(f"* connection {event.connection}, stream {event.stream}"))
            say(f"< {event.http_version} {style.bold(str(event.status))} {printable(event.reason)}".rstrip())
            self._fields("<", event.headers)
        elif isinstance(event, events.Redirect):
            say(style.dim(f"* {event.status} leads to {masked(str(event.url))}"))
        elif isinstance(event, events.Retrying):
            why = f"{event.status}" if event.error is None else f"{type(event.error).__name__}: {event.error}"
            say(style.dim(f"* again in {event.delay:.1f} s, after {printable(why)}"))

    # --- What goes on below -----------------------------------------------------------------------

    def watching(self) -> AbstractContextManager[None]:
        """While it is entered, connections and TLS are shown, too."""
        from .trace import watched

        return watched(self._carried, connected=self._connected, secured=self._secured)

    def _connected(self, address: tuple[str, int]) -> None:
        say(self._style.dim(f"* connected to {address[0]}, port {address[1]}"))

    def _secured(self, tls: ssl.SSLSocket | ssl.SSLObject) -> None:
        cipher = tls.cipher()
        agreed = [tls.version(), cipher and cipher[0], "resumed" if tls.session_reused else None]
        say(self._style.dim(f"* {', '.join(filter(None, agreed))}"))
        if not tls.session_reused:
            say(self._style.dim(f"* {printable(_certificate(tls))}"))
        if self._unsent is not None:
            version = "HTTP/2" if tls.selected_alpn_protocol() == "h2" else "HTTP/1.1"
            self._versions[self._unsent.request.url.origin] = version

    def _carried(self, sock: object, mark: str, data: bytes) -> None:
        if mark != ">" or self._unsent is None:
            return
        if data.startswith(b"CONNECT "):
            say(self._style.dim(f"* a tunnel through it to {printable(data.split()[1].decode('latin-1'))}"))
        elif sock is None or self._unsent.request.url.scheme == "http":  # else the proxy is spoken to
            self._sent()

    def _sent(self) -> None:
        if self._unsent is None:
            return
        event, self._unsent = self._unsent, None
        url = event.request.url
        version = "HTTP/2" if self._http2 == "only" else self._versions.get(url.origin, "HTTP/1.1")
        say(f"> {self._style.bold(event.request.method)} {masked(url.target)} {version}")
        self._fields(">", event.headers)

    def _fields(self, mark: str, headers: Headers) -> None:
        for name, value in headers.pairs:
            say(f"{mark} {self._style.cyan(printable(name))}: {printable(masked_field(name, value))}")
        say(mark)


def _certificate(tls: ssl.SSLSocket | ssl.SSLObject) -> str:
    # As `SSLSocket.getpeercert` has it: empty if it was not verified.
    told: dict[str, Any] = tls.getpeercert() or {}
    if not told:
        return "its certificate was not verified"
    issuer = dict(pair for part in told["issuer"] for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName", "?")
    names = [name for _, name in told.get("subjectAltName", ())]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"certificate of {', '.join(names[:3])}{more}, by {by}, until {told['notAfter']}"


class Timing:
    """A listener that knows when things happened, and says at the end where the time went."""

    def __init__(self) -> None:
        self._events: list[events.Event] = []

    def __call__(self, event: events.Event) -> None:
        self._events.append(event)

    def show(self, end: float, size: int) -> None:
        """One line for each exchange, and one for all.

        Args:
            end: `time.monotonic()` after the last byte of the body.
            size: bytes of the body.
        """
        began, sent = self._events[0].time, 0.0
        say(f"{'':>10}  {'answer after':>12}")
        for event in self._events:
            if isinstance(event, events.Attempt):
                sent, number = event.time, event.number
            elif isinstance(event, events.ResponseHead):
                say(f"{number:>10}  {(event.time - sent) * 1000:>9.1f} ms  {event.status} {event.request.url.origin}")
                head = event.time
            elif isinstance(event, events.Retrying):
                say(f"{'wait':>10}  {event.delay * 1000:>9.1f} ms")
        say(f"{'body':>10}  {(end - head) * 1000:>9.1f} ms  {size} bytes")
        say(f"{'in all':>10}  {(end - began) * 1000:>9.1f} ms")
