"""HTTP/2 as RFC 9113 has it, on one connection: what comes for all of its streams is sorted out to each of them.

Frames, HPACK and the states of streams are h2's. What h2 leaves to others, or does to all streams of a connection where
one is at fault, stands here, in the order in which the bytes travel:

    bytes ─► frames, counted and bounded ─► h2 ─► events ─► the head, the pieces and the trailers of a stream

- Data does not pass through h2, which would copy it five times; nor do the windows (§5.2) that go with it.
- A GOAWAY never reaches h2, which would take it for the end: streams that the server still answers go on (§6.8).
- A response that is malformed ends its stream, and no other (§8.1.1). h2's own checks would end the connection.
- A connection on which a server sends much of no use is ended (§10.5).
- The window of a stream is given back as the caller takes the bytes, so that a slow caller slows the server and fills
  no memory; that of the connection as they come, so that a slow caller slows no other.

A `Session` does no I/O and waits for nothing: bytes go in by `receive` and come out by `outgoing`, and a driver looks
at its `HTTP2Stream` again whenever something came.

Left out: server push (switched off), priorities, Upgrade from HTTP/1.1 (which RFC 9113 has given up), CONNECT.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from itertools import count

from h2 import events
from h2.config import DummyLogger, H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, H2Error
from h2.settings import SettingCodes, Settings

from ..errors import ConnectionLost, IncompleteBody, ProtocolError, TLSError, TooLarge, UnifetchError, evidence
from ..model.headers import Headers
from .http2_fields import HidingDecoder, PlainEncoder, checked_fields, request_fields, sent_field, size_of
from .http11 import MAX_HEAD, MAX_INTERIM, MAX_TRAILERS, Head, framing
from .reader import RECEIVE, ByteReader

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

    from ..errors import RequestSent
    from ..model.headers import Pairs
    from ..model.messages import RawRequest
    from .http2_fields import Fields
    from .reader import Steps

# Bytes. What a server may send ahead of the caller, on a stream; and ahead of us, on a connection.
STREAM_WINDOW = 1024**2
CONNECTION_WINDOW = 16 * 1024**2
# Streams on one connection at once, whatever more a server allows; the number of the last one (§5.1.1).
MAX_STREAMS = 100
LAST_NUMBER = 2**31 - 1
# Bytes. A frame that is longer than this was never allowed (§4.2); our table of what was sent is no larger than this.
MAX_FRAME = 16_384
MAX_TABLE = 4_096
# Frames that bring nothing: so many at once, so many a second, and one more for each frame of ours that asks for some.
IDLE_FRAMES = 1_000
IDLE_FRAMES_A_SECOND = 100

_DATA, _HEADERS, _PUSH_PROMISE, _GOAWAY, _CONTINUATION = 0, 1, 5, 7, 9
_END_STREAM, _END_HEADERS, _PADDED = 1, 4, 8
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_ADDRESS = re.compile(r"( from)? <[\w.]+( object)? at 0x\w+>")  # hpack shows where in our memory a block is


# === §1 A stream: one request, and what came of it ====================================================


class HTTP2Stream:
    """One exchange, beside which the connection may carry others.

    Attributes:
        number: its identifier, odd (§5.1.1).
        method: of the request.
        sent: whether a byte of the request has left (`"no"`, `"maybe"`), or a response come (`"yes"`).
        is_sent: whether the request is complete.
        interim: the 1xx responses, as (status, headers).
        head: the head of the final response, once it has come.
        is_over: whether the response is complete.
        trailers: the fields that came after the body.
        failure: what ended it, unless the response did.
    """

    def __init__(self, number: int, method: str) -> None:
        self.number = number
        self.method = method
        self.sent: RequestSent = "no"
        self.is_sent = self.is_over = False
        self.interim: list[tuple[int, Headers]] = []
        self.head: Head | None = None
        self.trailers: Pairs = ()
        self.failure: UnifetchError | None = None
        self._pieces: deque[bytes] = deque()
        self._window = STREAM_WINDOW  # bytes that the server may send
        self._unreturned = 0  # bytes that have come since it was last given some back
        self._untaken = 0  # of these, what the caller has not taken
        self._budget = MAX_HEAD

    def answer(self) -> Head | None:
        """The head of the final response, once it has come; its failure if there will be none."""
        if self.head is None and self.failure is not None:
            raise self.failure
        return self.head

    @property
    def is_decided(self) -> bool:
        """Whether a final response has begun, or there will be none: an upload ends then."""
        return self.head is not None or self.failure is not None

    def has_news(self) -> bool:
        """Whether there is something to take of the body, or nothing more to come.

        Raises:
            UnifetchError: the body broke off; what came before is to be taken first.
        """
        if self._pieces or self.is_over:
            return True
        if self.failure is not None:
            raise self.failure
        return False


# === §2 The connection ================================================================================


_numbers = count(1)


class Session:
    """A connection in HTTP/2, from the client's preface on.

    Attributes:
        streams: those that are not over, by number.
        changed: those for which something came; a driver empties it once it has looked.
        is_settled: whether the server has said how many streams it takes at once (its SETTINGS, §3.4).
        is_closing: whether it takes no new stream: the server said so, or something is wrong.
        failure: what ended it.
        number: its own, which no other of this process has.
    """

    def __init__(self) -> None:
        # Fields are checked below, in both directions: what h2 finds wrong would be the end of the connection.
        self._h2 = h2 = H2Connection(_CONFIGURATION)
        h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        h2.decoder, h2.encoder = HidingDecoder(), PlainEncoder()
        h2.decoder.max_header_list_size = MAX_HEAD
        h2.initiate_connection()
        self._updates = [_window_update(0, CONNECTION_WINDOW - 65_535)]
        self._window = CONNECTION_WINDOW
        self._unreturned = 0
        self._waiting = b""  # what h2 has written before something that is not to be sent
        self.streams: dict[int, HTTP2Stream] = {}
        self._reset: dict[int, HTTP2Stream] = {}  # streams that we have ended, and of which the server may not know yet
        self.changed: set[HTTP2Stream] = set()
        self.is_settled = self.is_closing = False
        self.failure: UnifetchError | None = None
        self.number = next(_numbers)
        self._next = 1
        self._allowed = float(IDLE_FRAMES)
        self._now = 0.0
        self._block = 0  # bytes of the header block that is coming
        self._reader = ByteReader()
        self._frames = self._read_frames()
        next(self._frames)

    @property
    def room(self) -> int:
        """How many streams can be opened now. Before the server has spoken, it is one (§3.4)."""
        if self.is_closing or self._next > LAST_NUMBER:
            return 0
        most = min(self._h2.remote_settings.max_concurrent_streams, MAX_STREAMS) if self.is_settled else 1
        return max(0, most - len(self.streams))

    def outgoing(self) -> bytes:
        """What is to be written next; it is given once."""
        data: bytes = self._waiting + self._h2.data_to_send()
        self._waiting = b""
        if self._updates:
            data += b"".join(self._updates)
            self._updates.clear()
        return data

    # --- Sending the request ---

    def open(self, request: RawRequest) -> HTTP2Stream:
        """Begin a request: its head is to be written next.

        Raises:
            InvalidRequest: a line ending, NUL or space that would make this another request than was meant.
            ConnectionLost, TLSError: there is no connection any more.
        """
        if self.failure is not None:
            raise self._unusable(self.failure)
        stream = HTTP2Stream(self._next, request.method)
        fields = request_fields(request)
        try:
            self._h2.send_headers(stream.number, fields, end_stream=request.body is None)
        except H2Error as error:
            raise self._unusable(error) from error
        stream.is_sent = request.body is None
        self._allowed += 2
        self._next += 2
        self.streams[stream.number] = stream
        return stream

    def _unusable(self, error: Exception) -> UnifetchError:
        self.is_closing = True
        if isinstance(error, TLSError):
            return TLSError(str(error))  # another connection would fare no better
        lost = ConnectionLost(f"the connection takes no request any more: {error}")
        lost.unprocessed = "again"
        return lost

    def sendable(self, stream: HTTP2Stream) -> int:
        """How many bytes of a body can be sent now: 0 or less while the server takes none (§6.9.2)."""
        if stream.number not in self.streams:
            return 0
        window: int = self._h2.local_flow_control_window(stream.number)
        return min(window, self._h2.max_outbound_frame_size, RECEIVE)

    def send_data(self, stream: HTTP2Stream, data: bytes | memoryview) -> None:
        """Send some of the body, no more than is sendable."""
        self._h2.send_data(stream.number, bytes(data))
        self._allowed += 2

    def send_end(self, stream: HTTP2Stream, trailers: Pairs = ()) -> None:
        """End the request; an InvalidRequest, as by `open`, for trailers that cannot be."""
        if trailers:
            self._h2.send_headers(stream.number, [sent_field(*field) for field in trailers], end_stream=True)
        else:
            self._h2.end_stream(stream.number)
        stream.is_sent = True

    def abandon(self, stream: HTTP2Stream) -> None:
        """Want no more of this stream, nor go on with its request."""
        stream._pieces.clear()
        if stream.failure is None and not (stream.is_over and stream.is_sent):
            self._reset_stream(stream, ErrorCodes.CANCEL)
            stream.failure = self._broken_off(stream, "it was closed")  # for a reader that goes on
            self.changed.add(stream)
        self.streams.pop(stream.number, None)

    def _reset_stream(self, stream: HTTP2Stream, code: ErrorCodes) -> None:
        with suppress(H2Error):  # it is over as far as h2 is concerned
            self._h2.reset_stream(stream.number, code)
            if not stream.is_over:
                self._reset[stream.number] = stream
                if len(self._reset) > MAX_STREAMS:  # of the oldest nothing comes any more
                    del self._reset[next(iter(self._reset))]

    # --- Receiving the response ---

    def take_whole(self, stream: HTTP2Stream) -> bytes | None:
        """All of the body, if the exchange is over and the length is as declared; None if it has to be read."""
        if not stream.is_over or not stream.is_sent or stream.trailers or stream.head is None:
            return None
        if stream.head.framing != "close" and stream.head.framing != sum(map(len, stream._pieces)):
            return None
        return self.take(stream)

    def take(self, stream: HTTP2Stream) -> bytes:
        """All that has come of a body; b"" if nothing has. The server may send as much again."""
        pieces = stream._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._return(stream)
        return data

    def _return(self, stream: HTTP2Stream) -> None:
        # What was taken may be sent anew; that is told once it is worth a frame.
        size, stream._untaken = stream._untaken, 0
        stream._unreturned += size
        if stream._unreturned >= STREAM_WINDOW // 2 and not stream.is_over and stream.failure is None:
            self._updates.append(_window_update(stream.number, stream._unreturned))
            stream._window += stream._unreturned
            stream._unreturned = 0

    def _return_to_connection(self, size: int) -> None:
        self._unreturned += size
        if self._unreturned >= CONNECTION_WINDOW // 4:
            self._updates.append(_window_update(0, self._unreturned))
            self._window += self._unreturned
            self._unreturned = 0

    def receive(self, data: bytes, now: float) -> None:
        """Take what came. It raises nothing: each stream has its own failure.

        Args:
            data: bytes, in any portion.
            now: the time in seconds, by any clock that does not go back.
        """
        if self.failure is not None:
            return
        if now > self._now:
            self._allowed = min(self._allowed + (now - self._now) * IDLE_FRAMES_A_SECOND, IDLE_FRAMES)
            self._now = now
        self._reader.feed(data)
        try:
            next(self._frames)
        except DenialOfServiceError:
            self._break(TooLarge(f"a head of more than {MAX_HEAD // 1024} KiB", request_sent="yes"))
        except H2Error as error:
            said = evidence(_ADDRESS.sub("", str(error)), 200)[1:-1]
            self._break(ProtocolError(f"not as HTTP/2 has it: {said}", request_sent="yes"))
        except _Fatal as refused:
            with suppress(H2Error):
                self._h2.close_connection(refused.code)
            self._break(refused.kind(refused.args[0], request_sent="yes"))

    def end(self, reason: str, refused: TLSError | None = None) -> None:
        """Say that the connection has ended: nothing more will come.

        Args:
            reason: what to say of it.
            refused: the error, if the server has refused the certificate that we showed, or that we showed none.
        """
        if self.failure is None:
            self.failure = refused or ConnectionLost(reason)
            self.is_closing = True
            for stream in list(self.streams.values()):
                failure = self._broken_off(stream, reason)
                self._fail(stream, TLSError(str(refused), request_sent=stream.sent) if refused else failure)

    def _broken_off(self, stream: HTTP2Stream, reason: str) -> UnifetchError:
        if stream.head is not None:
            return IncompleteBody(f"{reason} within the response", request_sent="yes")
        where = "before an answer came" if stream.is_sent else "while the request was sent"
        lost = ConnectionLost(f"{reason} {where}", request_sent=stream.sent)
        lost.reused = stream.number > 1 and stream.sent != "yes"
        return lost

    def _break(self, failure: UnifetchError) -> None:
        self.failure = failure
        self.is_closing = True
        for stream in list(self.streams.values()):
            # Each has an error of its own, as its caller adds to it.
            self._fail(stream, type(failure)(str(failure), request_sent="yes"))

    def _fail(self, stream: HTTP2Stream, failure: UnifetchError) -> None:
        stream.failure = failure
        self.streams.pop(stream.number, None)
        self.changed.add(stream)

    # === §3 Frames (RFC 9113 §4) ======================================================================

    def _read_frames(self) -> Steps[None]:
        reader, h2 = self._reader, self._h2
        is_in_block = False
        while True:
            while len(reader) < 9:
                yield
            at = reader.at
            head = reader.data[at : at + 9]
            length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            if head.startswith(b"HTTP/1."):
                raise _Fatal(
                    "the server answers in HTTP/1.1, and does not speak HTTP/2 there: ask without http2=",
                    ErrorCodes.PROTOCOL_ERROR,
                )
            if length > MAX_FRAME:
                raise _Fatal(f"a frame of {length} bytes, where {MAX_FRAME} are allowed", ErrorCodes.FRAME_SIZE_ERROR)
            if kind == _HEADERS and not head[8] & 1:  # §5.1.1; h2 takes it for a stream that was pushed
                raise _Fatal("a HEADERS on a stream that is not of the client", ErrorCodes.PROTOCOL_ERROR)
            self._weigh(kind, flags, length)
            while len(reader) < 9 + length:
                yield
            frame = reader.take(9 + length)
            number = int.from_bytes(frame[5:9]) & LAST_NUMBER
            if is_in_block and kind != _CONTINUATION:  # §6.10; h2 does not see all of them
                raise _Fatal("another frame within a header block", ErrorCodes.PROTOCOL_ERROR)
            if kind in (_HEADERS, _PUSH_PROMISE, _CONTINUATION):
                is_in_block = not flags & _END_HEADERS
            if kind == _GOAWAY:
                self._go_away(frame[9:], number)
                continue
            if kind == _DATA:
                frame = self._data(frame, flags, number)
                if not frame:
                    continue
            if number in self._reset and kind in (_HEADERS, _CONTINUATION):
                self._ignore(frame, flags, number)
                continue
            for event in h2.receive_data(frame):
                act = _ACTIONS.get(type(event))
                if act is not None:
                    act(self, event)

    def _weigh(self, kind: int, flags: int, length: int) -> None:
        # Before the frame itself is here: nothing is kept for what is refused.
        if kind in (_HEADERS, _PUSH_PROMISE):
            self._block = 0
        if kind in (_HEADERS, _CONTINUATION):
            self._block += length
            if self._block > MAX_HEAD:
                raise _Fatal(f"a head of more than {MAX_HEAD // 1024} KiB", ErrorCodes.ENHANCE_YOUR_CALM, kind=TooLarge)
        elif kind != _DATA or (not length and not flags & _END_STREAM):
            self._count_idle()

    def _count_idle(self) -> None:
        self._allowed -= 1
        if self._allowed < 0:
            raise _Fatal("too many frames that bring nothing", ErrorCodes.ENHANCE_YOUR_CALM)

    def _data(self, frame: bytes, flags: int, number: int) -> bytes:
        # The body is kept here; h2 is told of its end, and of DATA where none should be: as a frame that is empty.
        size = len(frame) - 9
        self._window -= size
        if self._window < 0:
            raise _Fatal("more data than the window of the connection allows", ErrorCodes.FLOW_CONTROL_ERROR)
        data = frame[9:]
        if flags & _PADDED:
            if not data or data[0] >= size:
                raise _Fatal("a frame of padding alone", ErrorCodes.PROTOCOL_ERROR)
            data = data[1 : size - data[0]]
        stream = self.streams.get(number) or self._reset.get(number)
        if stream is not None:
            stream._window -= size
            if stream._window < 0:
                raise _Fatal("more data than the window of the stream allows", ErrorCodes.FLOW_CONTROL_ERROR)
        self._return_to_connection(size)
        if number in self._reset:
            if flags & _END_STREAM:
                del self._reset[number]
            return b""
        if stream is not None and stream.head is not None and not stream.is_over:
            stream._untaken += size
            if data:
                stream._pieces.append(data)
                self.changed.add(stream)
            else:
                self._return(stream)
                if size:
                    self._count_idle()
            if not flags & _END_STREAM:
                return b""
        return b"\0\0\0\0%c%b" % (flags & _END_STREAM, frame[5:9])

    def _ignore(self, frame: bytes, flags: int, number: int) -> None:
        # §5.1: what was under way when we reset its stream. h2 has to see it, for HPACK, and would reset it once more.
        self._waiting += self._h2.data_to_send()
        self._h2.receive_data(frame)
        self._h2.data_to_send()
        if frame[3] == _HEADERS and flags & _END_STREAM and flags & _END_HEADERS:
            del self._reset[number]

    def _go_away(self, payload: bytes, number: int) -> None:
        # §6.8. What is above was not processed; what is not goes on to be answered.
        if len(payload) < 8:
            raise _Fatal("a GOAWAY that is too short", ErrorCodes.FRAME_SIZE_ERROR)
        if number:
            raise _Fatal("a GOAWAY on a stream", ErrorCodes.PROTOCOL_ERROR)
        self.is_closing = True
        last, code = int.from_bytes(payload[:4]) & LAST_NUMBER, int.from_bytes(payload[4:8])
        for stream in [each for each in self.streams.values() if each.number > last]:
            self._reset_stream(stream, ErrorCodes.CANCEL)
            reason = f"the server goes away ({_code(code)})"
            # Its word is not believed of a request that it is answering already.
            self._fail(stream, _unprocessed(reason) if stream.head is None else self._broken_off(stream, reason))

    # === §4 Events =====================================================================================

    def _on_fields(self, event: Any) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        self.changed.add(stream)
        try:
            if isinstance(event, events.TrailersReceived):
                stream.trailers = checked_fields(event.headers, MAX_TRAILERS, "trailers: 8 KiB")
                return
            head = self._head(stream, event.headers)
            if isinstance(event, events.ResponseReceived):
                stream.head = head
            elif len(stream.interim) < MAX_INTERIM:
                stream.interim.append((head.status, head.headers))
            else:
                raise TooLarge(f"more than {MAX_INTERIM} interim (1xx) responses")
            stream.sent = "yes"
        except ProtocolError as error:
            self._malformed(stream, error)

    def _on_end(self, event: events.StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        if stream.head is None:
            self._malformed(stream, ProtocolError("the stream ended before a response"))
            return
        stream.is_over = True
        self.changed.add(stream)
        if stream.is_sent:
            del self.streams[stream.number]

    def _on_reset(self, event: events.StreamReset) -> None:
        stream = self.streams.pop(event.stream_id, None)
        self._reset.pop(event.stream_id, None)
        if stream is None or stream.is_over:  # after a complete response it only says: send no more (§8.1)
            return
        if not event.remote_reset:  # h2 has, for something that ends one stream alone (§5.4.2)
            wrong = f"not as HTTP/2 has it: the stream was reset ({_code(event.error_code)})"
            self._fail(stream, ProtocolError(wrong, request_sent="yes"))
            return
        reason = f"the server reset the stream ({_code(event.error_code)})"
        if stream.head is None and event.error_code == ErrorCodes.REFUSED_STREAM:
            self._fail(stream, _unprocessed(reason))
        elif stream.head is None and event.error_code == ErrorCodes.HTTP_1_1_REQUIRED:
            lost = _unprocessed(reason)
            lost.unprocessed = "by HTTP/1.1"
            self._fail(stream, lost)
        else:
            failure = self._broken_off(stream, reason)
            if isinstance(failure, ConnectionLost):
                failure.reused = False  # the connection is well, and nothing was idle
            self._fail(stream, failure)

    def _on_settings(self, event: events.RemoteSettingsChanged) -> None:
        self.is_settled = True
        if SettingCodes.HEADER_TABLE_SIZE in event.changed_settings:
            encoder = self._h2.encoder
            encoder.header_table_size = min(encoder.header_table_size, MAX_TABLE)
        self.changed.update(self.streams.values())  # their windows may be others

    def _on_window(self, event: events.WindowUpdated) -> None:
        if event.stream_id:
            if (stream := self.streams.get(event.stream_id)) is not None:
                self.changed.add(stream)
        else:
            self.changed.update(self.streams.values())

    def _malformed(self, stream: HTTP2Stream, error: ProtocolError) -> None:
        error.request_sent = "yes"
        self._reset_stream(stream, ErrorCodes.PROTOCOL_ERROR)
        self._fail(stream, error)

    # === §5 The fields of a response (RFC 9113 §8.2, §8.3.2) ===========================================

    def _head(self, stream: HTTP2Stream, fields: Fields) -> Head:
        name, status = fields[0] if fields else (b"", b"")
        if name != b":status" or not _STATUS.fullmatch(status) or status == b"101":
            raise ProtocolError(f"the response does not begin with a :status that it may have: {evidence(status)}")
        pairs = checked_fields(fields[1:], stream._budget, "response head: 100 KiB")
        stream._budget -= size_of(pairs)
        index = dict(pairs)
        if len(index) != len(pairs):
            index = Headers.trusted(pairs).by_name()
        code = int(status)
        length = framing(stream.method, code, "HTTP/2", index) if code >= 200 else 0
        return Head(code, "", "HTTP/2", Headers.trusted(pairs, index), length, persists=True)


class _Fatal(Exception):
    """The connection cannot go on."""

    def __init__(self, message: str, code: ErrorCodes, *, kind: type[ProtocolError] = ProtocolError) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class _Silent(DummyLogger):
    """Says nothing: h2 logs thirty things a request, which takes time."""

    def debug(self, *args: Any, **options: Any) -> None:
        pass

    trace = debug


_CONFIGURATION = H2Configuration(
    logger=_Silent("h2"),
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)
_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
    SettingCodes.MAX_FRAME_SIZE: MAX_FRAME,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
}

_ACTIONS: dict[type[Any], Any] = {
    events.ResponseReceived: Session._on_fields,
    events.InformationalResponseReceived: Session._on_fields,
    events.TrailersReceived: Session._on_fields,
    events.StreamEnded: Session._on_end,
    events.StreamReset: Session._on_reset,
    events.RemoteSettingsChanged: Session._on_settings,
    events.WindowUpdated: Session._on_window,
}


def _window_update(number: int, size: int) -> bytes:
    return b"\0\0\x04\x08\0%b%b" % (number.to_bytes(4), size.to_bytes(4))


def _unprocessed(reason: str) -> ConnectionLost:
    lost = ConnectionLost(f"{reason} and has not processed the request")
    lost.unprocessed = "again"
    return lost


def _code(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code:#x}"
