"""The driver, awaited: it does what the exchange asks for, and lets other tasks go on meanwhile.

`client.py` is the same for threads. What each decides about a request, they have from the exchange; here is only
what waits. A task that is cancelled leaves no connection behind, neither open nor half read in a pool.
"""

from __future__ import annotations

import os
from io import BytesIO

from .backends import load_async, wrap_async
from .base_client import BaseClient, absolute
from .errors import StreamError
from .exchange import Close, Discard, Receive, Sleep
from .headers import Headers
from .loop_client import LoopClient
from .loops import sleep
from .messages import AsyncRawResponse, RawRequest
from .policies.bodies import NO_BODY, encode_async
from .slots import AsyncSlots, await_slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType
    from typing import Any, Self, Unpack

    from .arguments import AsyncBodyArguments, CallArguments
    from .backends.base import AsyncBackend
    from .downloads import Download
    from .exchange import Journey
    from .messages import Response
    from .policies.bodies import Body, Progress
    from .policies.ranges import DigestTypes


class AsyncClient(LoopClient):
    """Settings and connections that many requests of one event loop share: a `Client` that is awaited.

    Args:
        backend: who carries the requests: a name, an `AsyncBackend`, or a native object, also one that blocks: that
            runs in threads. None leaves it to `use_backend`, `configure`, the environment and the default.
        cookies: a jar to begin with and to fill; True for a new one, False to keep none.
        **settings: see `Settings`; each accepts plain data. One that is not given is left to `configure`.

    Raises:
        ConfigError: for an unknown setting or a value that will not do; it names the key.
    """

    # --- Asking -----------------------------------------------------------------------------------

    async def request(
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
        """Send a request and read its response into memory; see `Client.request` for the arguments and errors.

        As `body` it also takes an asynchronous iterable of bytes. A file, and any other iterable, is read in a thread.
        """
        content = encode_async(body, json=json, form=form, files=files, progress=progress)
        return await self._drive(self._journey(method, url, content, call))

    async def get(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a GET request; see `request`."""
        return await self._drive(self._journey("GET", url, NO_BODY, call))

    async def head(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a HEAD request; see `request`."""
        return await self._drive(self._journey("HEAD", url, NO_BODY, call))

    async def options(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send an OPTIONS request; see `request`."""
        return await self._drive(self._journey("OPTIONS", url, NO_BODY, call))

    async def delete(self, url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
        """Send a DELETE request; see `request`."""
        return await self._drive(self._journey("DELETE", url, NO_BODY, call))

    async def post(self, url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
        """Send a POST request; see `request`."""
        return await self.request("POST", url, **call)

    async def put(self, url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
        """Send a PUT request; see `request`."""
        return await self.request("PUT", url, **call)

    async def patch(self, url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
        """Send a PATCH request; see `request`."""
        return await self.request("PATCH", url, **call)

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
    ) -> AsyncStream:
        """Send a request, and read its body as it comes: `async with client.stream("GET", url) as response: …`.

        The arguments are those of `request`. Without a `timeout` of its own, a stream has no total.
        """
        call["timeout"] = self.unbounded(call)
        content = encode_async(body, json=json, form=form, files=files, progress=progress)
        return AsyncStream(self, method, url, content, call)

    async def download(
        self,
        url: str,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        digest: DigestTypes = None,
        progress: Progress | None = None,
        **call: Unpack[CallArguments],
    ) -> Download:
        """Get a file, which is at `path` once it is whole and verified; see `Client.download`."""
        from .downloads import async_download

        target = absolute(url, self.settings.base_url, call.pop("params", None))
        return await async_download(self, target, path, resume=resume, digest=digest, progress=progress, call=call)

    # --- Driving the exchange ---------------------------------------------------------------------

    async def _drive(self, journey: Journey, whole: bool = True) -> Response[Any]:
        send: Any = journey.plan.backend.send
        steps, slots = journey.steps(whole), self._slots
        outcome: Any = None
        try:
            step = next(steps, None)
            while step is not None:
                outcome = None
                try:
                    if type(step) is RawRequest:
                        origin, limits = journey.request.url.origin, journey.plan.shared
                        if slots.has_abandoned:
                            await slots.await_abandoned()
                        if not slots.take(journey, origin, limits):
                            await await_slot(slots, journey, origin, limits, step.timeout, step.deadline)
                        if step.body is None or type(step.body) is bytes:
                            outcome = await send(step)
                        else:
                            outcome = await self._upload(step, journey)
                        if whole and outcome.content is not None:  # its connection is free
                            slots.give_back(journey)
                    elif type(step) is Receive:
                        outcome = await self._receive(step)
                    elif type(step) is Discard:
                        await self._discard(step)
                        slots.give_back(journey)
                    elif type(step) is Close:
                        await step.raw.close()
                        slots.give_back(journey)
                    elif type(step) is Sleep:
                        await sleep(step.seconds)
                except BaseException as error:  # noqa: BLE001  # the exchange decides; it raises what it does not handle
                    step = steps.throw(error)
                    slots.give_back(journey)
                else:
                    journey.outcome = outcome
                    step = next(steps, None)
            response: Response[Any] = journey.response
            journey.outcome = journey.response = None  # a stream that its caller drops is to be gone
            return response
        except BaseException:
            slots.held.pop(journey, None)  # before anything that can be interrupted
            if isinstance(outcome, (AsyncRawResponse, AsyncBodyStream)):  # it will reach nobody
                await outcome.close()
            slots.give_back(journey)
            raise

    async def _receive(self, step: Receive) -> bytes | AsyncBodyStream:
        if not step.whole:
            return AsyncBodyStream(step, self._slots)
        journey, incoming, chunks = step.journey, step.incoming, step.raw.body
        body = await anext(chunks, b"")
        journey.check_deadline()
        if incoming.is_all(body):
            async for excess in chunks:
                incoming.feed(excess)
            incoming.finish()
        else:
            # A BytesIO gives its buffer away without a copy; joining a list would need the body twice.
            whole = BytesIO()
            whole.writelines(incoming.feed(body))
            async for chunk in chunks:
                journey.check_deadline()
                whole.writelines(incoming.feed(chunk))
            whole.writelines(incoming.finish())
            body = whole.getvalue()
        await step.raw.close()
        self._slots.give_back(journey)
        return body

    async def _discard(self, step: Discard) -> None:
        left = step.most
        try:
            async for chunk in step.raw.body:
                left -= len(chunk)
                if left < 0:
                    break
        finally:
            await step.raw.close()

    # --- Settings and backends --------------------------------------------------------------------

    @property
    def backend(self) -> AsyncBackend:
        """The backend that a call would use now; `client.backend.native` is the library's own object."""
        backend: AsyncBackend = BaseClient._backend(self, None)  # no event loop needs to run
        return backend

    def _load(self, name: str) -> AsyncBackend:
        return load_async(name)()

    def _wrap(self, native: object) -> AsyncBackend:
        return wrap_async(native)

    # --- Ending -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close idle connections. A native object that was injected stays open. The client is done."""
        self._closed = True
        await self._slots.await_abandoned()
        if self._end_of_loop is not None:
            await self._end_of_loop.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncStream:
    """A response whose body is read as it comes, inside an `async with` block; at its end the response is closed."""

    def __init__(self, client: AsyncClient, method: str, url: str, content: Body, call: CallArguments) -> None:
        self._client = client
        self._asked = method, url, content, call
        self._response: Response[AsyncIterator[bytes]] | None = None
        self._used = False

    async def __aenter__(self) -> Response[AsyncIterator[bytes]]:
        if self._used:
            raise StreamError("this stream was used already; ask for another")
        self._used = True
        journey = self._client._journey(*self._asked)
        response: Response[AsyncIterator[bytes]] = await self._client._drive(journey, whole=False)
        self._response = response
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        body = self._response and self._response.body
        if isinstance(body, AsyncBodyStream):
            await body.close()


class AsyncBodyStream:
    """The decoded body of a stream: an asynchronous iterator over what is there, as soon as it is there.

    One that is dropped before its end and unclosed is closed by the next call of its client; a ResourceWarning
    tells of it. It is no generator, which the event loop would have to close, if it were dropped.
    """

    _journey: Journey = None  # type: ignore[assignment]  # for one whose __init__ failed, which has a __del__ all the same

    def __init__(self, step: Receive, slots: AsyncSlots) -> None:
        self._raw: AsyncRawResponse = step.raw
        self._chunks = aiter(self._raw.body)
        self._incoming = step.incoming
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False
        self._closed = False
        self._slots = slots
        self._journey = step.journey

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StreamError("this stream is closed; read it inside its `async with` block")
        try:
            while True:
                for piece in self._pieces:
                    return piece
                if self._ended:
                    break
                await self._decode_more()
        except BaseException as error:
            self._ended, self._pieces = True, iter(())
            await self._raw.close()
            self._slots.give_back(self._journey)
            self._journey.explain(error)
            raise
        self._slots.give_back(self._journey)
        raise StopAsyncIteration

    async def _decode_more(self) -> None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self._ended, self._pieces = True, iter(self._incoming.finish())
        else:
            self._journey.check_deadline()
            self._pieces = iter(self._incoming.feed(chunk))

    @property
    def trailers(self) -> Headers:
        """The fields that came after the body, once it was read to its end."""
        return Headers.trusted(self._raw.trailers)

    async def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._closed = True
        await self._raw.close()
        self._slots.give_back(self._journey)

    def __del__(self) -> None:
        if self._journey is None or self._journey not in self._slots.held:
            return
        self._slots.abandon(self._journey, self._raw.close)
        from warnings import warn

        warn(f"unclosed stream of {self._journey.request!r}", ResourceWarning, source=self, stacklevel=2)
