"""What an event loop asks of a client besides being awaited: its connections end with the loop.

It stands here so that `async_client.py` can be read beside `sync_client.py`.
"""

from __future__ import annotations

from contextlib import suppress

from ..backends import load_async, with_capability, wrap_async
from ..backends.base import Capability
from ..errors import InvalidSetting, UnsupportedCapability, WriteTimeout
from .base_client import BaseClient
from .connection_limit import AsyncSlots
from .event_loops import Late, in_thread, in_time, in_trio, is_running, running_loop

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Any

    from ..backends.base import AsyncBackend
    from ..model.messages import RawRequest
    from .call import Journey
    from .call_settings import Plan
    from .config import BackendTypes

SPARE = 0.1  # seconds beyond the deadline, before what is awaited is cancelled from outside


class LoopClient(BaseClient):
    """A client of one event loop at a time; of another once the first has ended, and with it the connections."""

    _slots: AsyncSlots
    _slots_type = AsyncSlots
    _loop: object = None
    _in_trio = False
    _end_of_loop: AsyncGenerator[None, None] | None = None
    _of_this_loop: Plan | None = None

    @property
    def _settled(self) -> Plan | None:
        return self._of_this_loop if running_loop() is self._loop else None

    @_settled.setter
    def _settled(self, plan: Plan | None) -> None:
        self._of_this_loop = plan

    def _backend(self, named: BackendTypes | None) -> AsyncBackend:
        if self._root is not None:
            derived: AsyncBackend = super()._backend(named)
            return derived
        loop = running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        backend: AsyncBackend = BaseClient._backend(self, named)
        if self._in_trio and Capability.TRIO not in backend.capabilities:
            for name in [name for name, each in self._backends.items() if each is backend]:
                del self._backends[name]  # it has opened nothing, and cannot be closed here
            able = ", ".join(with_capability(Capability.TRIO))
            raise UnsupportedCapability(
                f"trio needs TRIO, which this {backend.name!r} backend does not have; it is in {able}"
            )
        return backend

    def _load(self, name: str) -> AsyncBackend:
        return load_async(name)()

    def _wrap(self, native: object) -> AsyncBackend:
        return wrap_async(native)

    def _move_to(self, loop: object) -> None:
        # Connections belong to the loop that they were opened in, and are closed when it ends.
        if self._loop is not None:
            if is_running(self._loop):
                raise InvalidSetting("this AsyncClient is in use in another event loop; each loop needs one of its own")
            self._forget()
        self._loop, self._in_trio = loop, in_trio()
        # Begun, but not awaited: asyncio and trio close the asynchronous generators that were begun when they end.
        self._end_of_loop = _closing(self._backends)
        with suppress(StopIteration):
            self._end_of_loop.__anext__().send(None)

    def _forget(self) -> None:
        super()._forget()
        self._loop = self._end_of_loop = None

    async def _upload(self, step: RawRequest, journey: Journey) -> Any:
        """Send a request whose body is not bytes: a loop must not wait for a file, or for a caller's iterator."""
        blocks = journey.body.open_async(in_thread)
        send: Any = journey.plan.backend.send
        try:
            # The backend keeps to the deadline where it waits itself, and knows best what was sent; but not where the
            # caller's iterator does.
            return await in_time(journey.left(SPARE), send, step.carrying(blocks))
        except Late as error:
            raise WriteTimeout("the body that is sent did not come in time", request_sent="maybe") from error
        finally:
            # An early answer leaves some of it unsent. It is still running if a thread asked for it and is cancelled.
            with suppress(RuntimeError):
                await blocks.aclose()


async def _closing(backends: dict[str, AsyncBackend]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while backends:
            await backends.popitem()[1].close()
