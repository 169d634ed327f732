"""The driver: it does what a journey asks for.

A `Client` holds settings and connections. Many threads use it at once; after a fork, the child starts with
connections of its own. `async_client.py` is the same, awaited.
"""

from __future__ import annotations

import os
from io import BytesIO
from time import sleep
from warnings import warn

from ..errors import IncompleteBody, InvalidRequest, StreamError
from ..model.headers import Headers
from ..model.messages import RawRequest, RawResponse, Request
from ..policies.bodies import NO_BODY, encode
from .base_client import BaseClient, check_arguments
from .connection_limit import Slots, ThreadEvent, wait_for_slot
from .signatures import EDITOR, describe
from .steps import Abandon, Discard, Fetch, ReadBody, Sleep

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Any, Self, Unpack

    from ..backends.base import Backend
    from ..model.headers import HeaderTypes, Pairs
    from ..model.messages import Response
    from ..policies.bodies import Progress
    from ..policies.ranges import DigestTypes
    from .arguments import (
        BodyArguments,
        CallArguments,
        ExchangeArguments,
        every_argument,
        every_argument_of_an_exchange,
    )
    from .call import Journey
    from .downloads import Download


class Client(BaseClient):
    """Settings and connections that many requests share.

    Args:
        backend: who carries the requests: a name, a `Backend`, or a native object. None leaves it to
            `use_backend`, `configure`, the environment and the default, each time anew.
        cookies: a jar to begin with and to fill; True for a new one, False to keep none.
        **settings: see `Settings`; each accepts plain data. One that is not given is left to `configure`.

    Raises:
        ConfigError: for an unknown setting or a value that will not do; it names the key.
    """

    # --- Asking -----------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        json: Any = None,
        form: Any = None,
        files: Any = None,
        progress: Progress | None = None,
        **call: Unpack[CallArguments],
    ) -> Response[bytes]:
        """Send a request and read its response into memory.

        Args:
            method: the method; the usual ones in any case, any other as it is written.
            url: an absolute http or https URL, or one relative to `base_url`.
            params: appended to the query: a mapping or pairs; None drops a key, a list repeats it. Text is appended as
                it is.
            headers: a mapping or pairs; they replace the client's fields of the same name.
            cookies: a mapping, sent to the origin of the URL and no other; False for a call without the jar.
            auth: `(username, password)`, an `Auth`, or a callable that signs; not sent to another origin.
            body: bytes-like, str (as UTF-8), a binary file from where it stands, or an iterable of bytes.
            json: sent as compact UTF-8.
            form: a mapping or pairs, sent as application/x-www-form-urlencoded, or beside `files`.
            files: a mapping or pairs, sent as multipart/form-data: to each name a path (`os.PathLike`), a binary
                file, bytes, a tuple `(filename, content[, content_type[, headers]])`, or a list of these.
            trailers: a mapping or pairs, sent after a body that is an iterator.
            progress: called as `progress(sent, total)`, in bytes, each time the backend has taken a block of the
                body; `total` is None where only the end will tell. What it raises ends the call.
            timeout: seconds in all, or a `Timeout`, or a mapping of its fields; None for no limit.
            redirects: the most redirects to follow; 0 returns the redirect itself.
            retry: a `Retry`, a number of attempts, or a mapping of its fields; None for never.
            decode: False for the body as it was sent, in its content coding.
            backend: a name, a `Backend`, or a native object, for this call.
            **call: limits, tls, http2, proxy, unix_socket, resolve, forbid_private: as in `Settings`, for this call.

        Raises:
            InvalidRequest, ConfigError: before anything is sent.
            ConnectError, ConnectionLost, TimedOut, ProtocolError: as the exchange fails.
        """
        content = encode(body, json=json, form=form, files=files, progress=progress)
        if EDITOR:
            every_argument(**call)
        return self._drive(self._journey(method, url, content, "request()", call))

    def send(self, request: Request, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a `Request`, and read its response into memory.

        The arguments are those of `get`; `headers` are merged into those of the request, which win.
        """
        if EDITOR:
            every_argument(**call)
        if not isinstance(request, Request):
            raise InvalidRequest(
                f"request: send() takes a Request, not {type(request).__name__}; request(method, url) takes a URL"
            )
        check_arguments("send()", call)
        call["headers"] = Headers(call.get("headers")).merged(request.headers)
        content = {name: vars(request).get(name) for name in ("body", "json", "form", "files")}
        return self.request(request.method, request.url, **content, **call)

    def get(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a GET request; see `request`."""
        if EDITOR:
            every_argument(**call)
        return self._drive(self._journey("GET", url, NO_BODY, "get()", call))

    def head(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a HEAD request; see `request`."""
        if EDITOR:
            every_argument(**call)
        return self._drive(self._journey("HEAD", url, NO_BODY, "head()", call))

    def options(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send an OPTIONS request; see `request`."""
        if EDITOR:
            every_argument(**call)
        return self._drive(self._journey("OPTIONS", url, NO_BODY, "options()", call))

    def delete(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a DELETE request; see `request`."""
        if EDITOR:
            every_argument(**call)
        return self._drive(self._journey("DELETE", url, NO_BODY, "delete()", call))

    def post(self, url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
        """Send a POST request; see `request`."""
        check_arguments("post()", call)
        return self.request("POST", url, **call)

    def put(self, url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
        """Send a PUT request; see `request`."""
        check_arguments("put()", call)
        return self.request("PUT", url, **call)

    def patch(self, url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
        """Send a PATCH request; see `request`."""
        check_arguments("patch()", call)
        return self.request("PATCH", url, **call)

    def stream(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        json: Any = None,
        form: Any = None,
        files: Any = None,
        progress: Progress | None = None,
        **call: Unpack[CallArguments],
    ) -> Stream:
        """Send a request, and read its body as it comes: `with client.stream("GET", url) as response: …`.

        The arguments are those of `request`. Without a `timeout` of its own, a stream has no total.
        """
        if EDITOR:
            every_argument(**call)
        call["timeout"] = self.unbounded(call)
        content = encode(body, json=json, form=form, files=files, progress=progress)
        return Stream(self, self._journey(method, url, content, "stream()", call))

    def open(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        json: Any = None,
        form: Any = None,
        files: Any = None,
        progress: Progress | None = None,
        **call: Unpack[CallArguments],
    ) -> Response[Iterator[bytes]]:
        """Send a request, and hand over its response as soon as its head is there; whoever has it closes it.

        It is for a response that outlives any `with` block, such as one that a library hands on to its own callers;
        otherwise use `stream`. Read it to its end, or call `response.close()`; `response.file()` is its body as a file.
        The arguments are those of `request`. Without a `timeout` of its own, there is no total.
        """
        if EDITOR:
            every_argument(**call)
        call["timeout"] = self.unbounded(call)
        content = encode(body, json=json, form=form, files=files, progress=progress)
        return self._drive(self._journey(method, url, content, "open()", call), whole=False)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = None,
        body: Any = None,
        **call: Unpack[ExchangeArguments],
    ) -> Response[Iterator[bytes]]:
        """Perform one exchange: this request as it is written, and its response as it comes, which its caller closes.

        No redirect is followed, no cookie sent or kept, no credential added, nothing repeated (not even on a connection
        that the server has just closed), no content decoded: it is for libraries with policies of their own. The
        client's timeouts, limits, TLS, proxies and listeners hold.

        Args:
            method: the method.
            url: an absolute http or https URL; userinfo in it is not sent.
            headers: every field to send, in order, and no other: only Host and the framing of the body are added
                where they are missing. The client's own headers are not sent.
            body: as in `request`.
            trailers, timeout, limits, tls, http2, proxy, unix_socket, resolve, forbid_private, backend: as in
                `request`. Without a `timeout` of its own, there is no total.

        Raises:
            InvalidHeader: for framing that contradicts the body, and for fields that no exchange can carry.
            UnifetchError: as `request` does.
        """
        if EDITOR:
            every_argument_of_an_exchange(**call)
        call["timeout"] = self.unbounded(call)
        return self._drive(self._exchange(method, url, headers, encode(body), call), whole=False)

    def download(
        self,
        url: str,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        digest: DigestTypes = None,
        progress: Progress | None = None,
        **call: Unpack[CallArguments],
    ) -> Download:
        """Get a file, which is at `path` once it is whole and verified; until then, what was there stays.

        The other arguments are those of `request`. Without a `timeout` of its own, a download has no total.

        Args:
            path: where it goes; no server chooses a name.
            resume: continue an earlier download of this URL that broke off, if a strong validator says that the
                server's file is still the same; else start again. What can be resumed is kept in a hidden file beside
                `path`.
            digest: the one that the file must have: `"sha-256:…"` in hexadecimal, or a mapping of several. A
                Repr-Digest of the response (RFC 9530) is verified as well.
            progress: called as `progress(received, total)`, in bytes of the file, when a response begins and at
                each piece; `total` is None where only the end will tell. What it raises ends the call.

        Raises:
            StatusError: for any response that brings no file, with the beginning of its body.
            ProtocolError: for a digest that differs; what was received is removed.
            OSError: if the file cannot be written; `BlockingIOError` while another download writes it.
        """
        if EDITOR:
            every_argument(**call)
        from .downloads import Part, download, target_of

        part = Part(path, target_of(self, url, call), resume=resume, digest=digest, progress=progress)
        return download(self, url, part, call)

    # --- Driving the journey ----------------------------------------------------------------------

    def _drive(self, journey: Journey, whole: bool = True) -> Response[Any]:
        send: Any = journey.plan.backend.send
        steps, slots = journey.steps(whole), self._slots
        outcome: Any = None
        try:
            step = next(steps, None)
            while step is not None:
                outcome, is_over = None, True
                try:
                    try:
                        if type(step) is RawRequest:
                            origin, limits = journey.request.url.origin, journey.plan.shared
                            if not slots.take(journey, origin, limits):
                                wait_for_slot(slots, journey, origin, limits, step.timeout, step.deadline)
                            outcome = send(step)
                            is_over = (whole or journey.plan.exact) and outcome.content is not None
                        elif type(step) is ReadBody:
                            is_over = False  # if it fails, the next step closes it
                            outcome = self._receive(step)
                            is_over = whole
                        elif type(step) is Discard:
                            self._discard(step)
                        elif type(step) is Abandon:
                            step.raw.close()
                        elif type(step) is Sleep:
                            sleep(step.seconds)
                        elif type(step) is Fetch:
                            outcome = self._fetch(step)
                    finally:
                        if is_over:  # its connection is free, or it has none
                            slots.give_back(journey)
                except BaseException as error:  # noqa: BLE001  # the journey raises what it does not handle
                    step = steps.throw(error)
                else:
                    journey.outcome = outcome
                    step = next(steps, None)
            response: Response[Any] = journey.response
            journey.outcome = journey.response = None  # else a stream that its caller drops would stay
            return response
        except BaseException:
            slots.held.pop(journey, None)  # before anything that can be interrupted
            steps.close()
            if isinstance(outcome, (RawResponse, BodyStream)):  # it will reach nobody
                outcome.close()
            slots.give_back(journey)
            raise

    def _fetch(self, step: Fetch) -> Pairs | None:
        from ..policies.auth import at_once

        done = ThreadEvent()
        if not step.begin(done.set):
            done.wait(step.seconds)
            return None
        return step.finish(at_once(step.start()))

    def _receive(self, step: ReadBody) -> bytes | BodyStream:
        if not step.whole:
            return BodyStream(step, self._slots)
        journey, incoming, chunks = step.journey, step.incoming, iter(step.raw.body)
        if step.raw.read_into is not None and (place := incoming.place()) is not None:
            chunks = iter([place.fill(step.raw.read_into, journey.check_deadline)])
        body = next(chunks, b"")
        journey.check_deadline()
        if incoming.is_all(body):
            for excess in chunks:
                incoming.feed(excess)
                incoming.finish()  # which raises: this is more than was declared
        else:
            # A BytesIO gives its buffer away without a copy; joining a list would need the body twice.
            whole = BytesIO()
            _collect(whole, incoming.feed(body), journey)
            for chunk in chunks:
                journey.check_deadline()
                _collect(whole, incoming.feed(chunk), journey)
            incoming.finish()
            body = whole.getvalue()
        step.raw.close()
        return body

    def _discard(self, step: Discard) -> None:
        left = step.most
        try:
            for chunk in step.raw.body:
                left -= len(chunk)
                if left < 0:
                    break
        finally:
            step.raw.close()

    # --- Settings and backends --------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """The backend that a call would use now; `client.backend.native` is the library's own object."""
        backend: Backend = self._backend(None)
        return backend

    # --- Ending -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close idle connections; the client takes no more calls. A native object that was injected stays open.

        A client that `with_` has made has no connections of its own to close.
        """
        self._closed = True
        self._forget_plans()
        if self._root is not None:
            return
        self._slots.close_abandoned()
        with self._lock:
            backends = self._backends.copy()
        for name, backend in backends.items():
            backend.close()
            self._backends.pop(name, None)  # afterwards, so that whoever was interrupted can call again

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _collect(whole: BytesIO, pieces: Iterable[bytes], journey: Journey) -> None:
    for piece in pieces:
        if piece:
            whole.write(piece)
        else:
            journey.check_deadline()


describe(vars(Client).values())


class Stream:
    """A response whose body is read as it comes, inside a `with` block; at its end the response is closed."""

    def __init__(self, client: Client, journey: Journey) -> None:
        self._client = client
        self._journey = journey
        self._used = False
        self._response: Response[Iterator[bytes]] | None = None

    def __enter__(self) -> Response[Iterator[bytes]]:
        if self._used:
            raise StreamError("this stream was used already; ask for another")
        self._used = True
        response: Response[Iterator[bytes]] = self._client._drive(self._journey, whole=False)
        self._response = response
        return response

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            self._response.close()


class BodyStream:
    """The decoded body of a stream: an iterator over what is there, as soon as it is there.

    If it is dropped before its end, unclosed, a ResourceWarning says so, and its client's next call closes it.
    """

    _journey: Journey = None  # type: ignore[assignment]  # for one whose __init__ failed, which has a __del__ all the same

    def __init__(self, step: ReadBody, slots: Slots) -> None:
        self._raw = step.raw
        self._chunks = iter(self._raw.body)
        self._incoming = step.incoming
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False
        self._closed = False
        self._slots = slots
        self._journey = step.journey

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._closed:
            raise StreamError("this stream is closed; read it inside its `with` block")
        try:
            while not (piece := next(self._pieces, None)) and not (piece is None and self._ended):
                if piece is not None:  # a pause
                    self._journey.check_deadline()
                elif (chunk := next(self._chunks, None)) is None:
                    self._incoming.finish()
                    self._ended = True
                else:
                    self._journey.check_deadline()
                    self._pieces = iter(self._incoming.feed(chunk))
        except BaseException as error:
            self._ended, self._pieces = True, iter(())
            self._raw.close()
            self._slots.give_back(self._journey)
            if isinstance(error, IncompleteBody):
                self._incoming.locate(error)
            self._journey.explain(error)
            raise
        if piece is None:
            self._slots.give_back(self._journey)
            raise StopIteration
        return piece

    @property
    def trailers(self) -> Headers:
        """The fields that came after the body, once it was read to its end."""
        return Headers.trusted(self._raw.trailers)

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._closed = True
        self._raw.close()
        self._slots.give_back(self._journey)

    def __del__(self) -> None:
        if self._journey is None or self._journey not in self._slots.held:
            return
        self._slots.abandon(self._journey, self._raw.close)
        warn(f"unclosed stream of {self._journey.request!r}", ResourceWarning, source=self, stacklevel=2)
