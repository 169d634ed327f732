"""The driver, awaited: it does what the exchange asks for, and lets other tasks go on meanwhile.

`client.py` is the same for threads. What each decides about a request, they have from the exchange; here is only
what waits. A task that is cancelled leaves no connection behind, neither open nor half read in a pool.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO

from .backends import load_async, with_capability, wrap_async
from .backends.base import Capability
from .base_client import BaseClient, absolute
from .errors import InvalidSetting, StreamError, UnsupportedCapability
from .exchange import Close, Discard, Receive, Sleep
from .headers import Headers
from .loops import in_thread, in_trio, is_running, running_loop, sleep
from .messages import AsyncRawResponse, RawRequest
from .policies.bodies import NO_BODY, encode_async
from .slots import AsyncSlots, await_slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from types import TracebackType
    from typing import Any, Self, Unpack

    from .arguments import AsyncBodyArguments, CallArguments
    from .backends.base import AsyncBackend
    from .config import BackendTypes
    from .downloads import Download
    from .exchange import Journey
    from .messages import Response
    from .policies.bodies import Body, Progress
    from .policies.ranges import DigestTypes


class AsyncClient(BaseClient):
    """Settings and connections that many requests of one event loop share: a `Client` that is awaited.

    Args:
        backend: who carries the requests: a name, an `AsyncBackend`, or a native object, also one that blocks: that
            runs in threads. None leaves it to `use_backend`, `configure`, the environment and the default.
        cookies: a jar to begin with and to fill; True for a new one, False to keep none.
        **settings: see `Settings`; each accepts plain data. One that is not given is left to `configure`.

    Raises:
        ConfigError: for an unknown setting or a value that will not do; it names the key.
    """

    _slots: AsyncSlots
    _slots_type = AsyncSlots
    _loop: object = None
    _end_of_loop: AsyncGenerator[None, None] | None = None

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
                        origin, limits = journey.request.url.origin, self.settings.limits
                        if slots.has_abandoned:
                            await slots.await_abandoned()
                        if not slots.take(journey, origin, limits):
                            await await_slot(slots, journey, origin, limits, step.timeout, step.deadline)
                        if step.body is not None and type(step.body) is not bytes:
                            step = step.routed(step.route, body=journey.body.open_async(in_thread))
                        outcome = await send(step)
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
        journey, incoming = step.journey, step.incoming
        # A BytesIO gives its buffer away without a copy; joining a list would need the body twice.
        whole = BytesIO()
        async for chunk in step.raw.body:
            journey.check_deadline()
            whole.writelines(incoming.feed(chunk))
        whole.writelines(incoming.finish())
        await step.raw.close()
        self._slots.give_back(journey)
        return whole.getvalue()

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
        backend: AsyncBackend = super()._backend(None)
        return backend

    def _backend(self, named: BackendTypes | None) -> AsyncBackend:
        loop = running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        backend: AsyncBackend = super()._backend(named)
        if Capability.TRIO not in backend.capabilities and in_trio():
            for name in [name for name, each in self._backends.items() if each is backend]:
                del self._backends[name]  # it has opened nothing, and cannot be closed here
            able = ", ".join(with_capability(Capability.TRIO))
            raise UnsupportedCapability(
                f"trio needs TRIO, which this {backend.name!r} backend does not have; {able} have it"
            )
        return backend

    def _move_to(self, loop: object) -> None:
        # Connections belong to the loop that they were opened in, and are closed when it ends.
        if self._loop is not None:
            if is_running(self._loop):
                raise InvalidSetting("this AsyncClient is in use in another event loop; each loop needs one of its own")
            self._forget()
        self._loop = loop
        # Begun, but not awaited: asyncio and trio close the asynchronous generators that were begun when they end.
        self._end_of_loop = _closing(self._backends)
        with suppress(StopIteration):
            self._end_of_loop.__anext__().send(None)

    def _forget(self) -> None:
        super()._forget()
        self._loop = self._end_of_loop = None

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


async def _closing(backends: dict[str, AsyncBackend]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while backends:
            await backends.popitem()[1].close()


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
    tells of it.
    """

    _journey: Journey | None = None

    def __init__(self, step: Receive, slots: AsyncSlots) -> None:
        self._raw: AsyncRawResponse = step.raw
        self._pieces: AsyncGenerator[bytes, None] = _decoded(step, slots)
        self._closed = False
        self._slots = slots
        self._journey = step.journey

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StreamError("this stream is closed; read it inside its `async with` block")
        return await anext(self._pieces)

    @property
    def trailers(self) -> Headers:
        """The fields that came after the body, once it was read to its end."""
        return Headers.trusted(self._raw.trailers)

    async def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._closed = True
        await self._pieces.aclose()
        await self._raw.close()
        self._slots.give_back(self._journey)

    def __del__(self) -> None:
        if self._journey is None or self._journey not in self._slots.held:
            return
        self._slots.abandon(self._journey, self._raw.close)
        from warnings import warn

        warn(f"unclosed stream of {self._journey.request!r}", ResourceWarning, source=self, stacklevel=2)


async def _decoded(step: Receive, slots: AsyncSlots) -> AsyncGenerator[bytes, None]:
    # A function, not a method: a generator that knew its stream would keep it alive.
    journey, incoming = step.journey, step.incoming
    try:
        async for chunk in step.raw.body:
            journey.check_deadline()
            for piece in incoming.feed(chunk):
                yield piece
        for piece in incoming.finish():
            yield piece
    except GeneratorExit:
        raise
    except BaseException as error:
        await step.raw.close()
        slots.give_back(journey)
        journey.explain(error)
        raise
    slots.give_back(journey)
