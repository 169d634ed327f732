"""What `-v` and `--timing` show of a call, as its events tell it. Credentials are masked."""

from __future__ import annotations

import sys

from ..masking import masked, masked_field
from ..observe import events
from .terminal import Style, printable, say

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from ..model.headers import Headers


class Conversation:
    """A listener that shows each step on standard error: heads as they go over the wire, and what led to the next.

    Args:
        http2: the setting of the client, which says what a request line can say of the version.
    """

    def __init__(self, http2: bool | str = False) -> None:
        self._style = Style(sys.stderr)
        self._http2 = http2

    def __call__(self, event: events.Event) -> None:
        style = self._style
        if isinstance(event, events.Attempt):
            say(style.dim(f"* {event.request.url.origin} through {printable(event.backend)}"))
            line = f"> {style.bold(event.request.method)} {masked(event.request.url.target)}"
            say(f"{line} {self._version(event.request.url.scheme)}".rstrip())
            self._fields(">", event.headers)
        elif isinstance(event, events.InterimResponse):
            say(f"< {style.bold(str(event.status))} before the answer")
            self._fields("<", event.headers)
        elif isinstance(event, events.ResponseHead):
            if event.stream is not None:
                say(style.dim(f"* connection {event.connection}, stream {event.stream}"))
            say(f"< {event.http_version} {style.bold(str(event.status))} {printable(event.reason)}".rstrip())
            self._fields("<", event.headers)
        elif isinstance(event, events.Redirect):
            say(style.dim(f"* {event.status} leads to {masked(str(event.url))}"))
        elif isinstance(event, events.Retrying):
            why = f"{event.status}" if event.error is None else f"{type(event.error).__name__}: {event.error}"
            say(style.dim(f"* again in {event.delay:.1f} s, after {printable(why)}"))

    def _version(self, scheme: str) -> str:
        if self._http2 and scheme == "https" and self._http2 != "only":
            return ""  # the server chooses while TLS is set up, which comes after this; its answer names the version
        return "HTTP/2" if self._http2 == "only" else "HTTP/1.1"

    def _fields(self, mark: str, headers: Headers) -> None:
        for name, value in headers.pairs:
            say(f"{mark} {self._style.cyan(printable(name))}: {printable(masked_field(name, value))}")
        say(mark)


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
        say(f"{'':>10}  {'answer after':>12}  {'':16}")
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
