"""Slots: who may use a connection, who is next, and that none is ever lost."""

from __future__ import annotations

import dis
import gc
import queue
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Literal

import pytest

from unifetch import Client, Limits, Timeout
from unifetch.backends.base import Capability
from unifetch.client.connection_limit import Place, Slots, wait_for_slot
from unifetch.errors import ConnectionLost, PoolTimeout
from unifetch.model.headers import Headers
from unifetch.model.messages import RawRequest, RawResponse

A, B = "http://a.test", "http://b.test"
ONE = Limits(connections=1)
ONE_EACH = Limits(connections=3, connections_per_origin=1)


class Waiting(Place):
    """A place of somebody who counts how often it is woken."""

    def __init__(self, call: str, origin: str = A, limits: Limits = ONE) -> None:
        super().__init__(call, origin, limits, self._woken)
        self.wakes = 0

    def _woken(self) -> None:
        self.wakes += 1


def test_a_slot_is_free_again_once_it_was_given_back() -> None:
    """As many calls as the limit hold one at a time."""
    slots, limits = Slots(), Limits(connections=2)

    assert [True, True, False] == [slots.take(call, A, limits) for call in "xyz"]
    slots.give_back("x")
    assert [True, False] == [slots.take(call, A, limits) for call in "zx"]


def test_an_origin_has_its_own_limit() -> None:
    """Another origin is not concerned."""
    slots = Slots()

    assert [True, False, True] == [
        slots.take(call, origin, ONE_EACH) for call, origin in (("x", A), ("y", A), ("z", B))
    ]


def test_no_limit() -> None:
    """None is no bound."""
    slots, limits = Slots(), Limits(connections=None, connections_per_origin=None)

    assert all(slots.take(call, A, limits) for call in range(1000))


def test_giving_back_twice_frees_one() -> None:
    """A slot that was given back already is not somebody else's."""
    slots = Slots()
    slots.take("x", A, ONE)
    slots.give_back("x")
    slots.take("y", A, ONE)
    slots.give_back("x")

    assert not slots.take("z", A, ONE)


def test_the_queue_is_served_in_order() -> None:
    """The first to wait is the next, and nobody who comes later goes before."""
    slots, first, second = Slots(), Waiting("first"), Waiting("second")
    slots.take("x", A, ONE)
    slots.join(first)
    slots.join(second)
    slots.held.pop("x")  # as far as somebody comes who is interrupted there

    assert not slots.take("late", A, ONE)
    slots.serve()
    assert ({"first": A}, 1, 0) == (slots.held, first.wakes, second.wakes)
    slots.give_back("first")
    assert ({"second": A}, 1) == (slots.held, second.wakes)


def test_a_full_origin_holds_up_nobody_else() -> None:
    """Who waits for another origin is served before those in front that cannot be."""
    slots, blocked, other = Slots(), Waiting("blocked", A, ONE_EACH), Waiting("other", B, ONE_EACH)
    for call, origin in (("x", A), ("y", B)):
        slots.take(call, origin, ONE_EACH)
    slots.join(blocked)
    slots.join(other)
    slots.give_back("y")

    assert ({"x": A, "other": B}, 0) == (slots.held, blocked.wakes)


def test_who_leaves_is_passed_over() -> None:
    """A slot does not go to somebody who waits no longer."""
    slots, gone, here = Slots(), Waiting("gone"), Waiting("here")
    slots.take("x", A, ONE)
    slots.join(gone)
    slots.join(here)
    gone.left = True
    slots.give_back("x")

    assert {"here": A} == slots.held


def test_an_abandoned_stream_is_closed_by_whoever_comes_next() -> None:
    """A finalizer only leaves a note; the slot is free once the connection is closed."""
    slots, waiting, closed = Slots(), Waiting("w"), []
    slots.take("x", A, ONE)
    slots.join(waiting)
    slots.abandon("x", lambda: closed.append("x"))

    assert ([], {"x": A}, 1) == (closed, slots.held, waiting.wakes)
    slots.serve()  # what the one who was woken does
    assert (["x"], {"w": A}) == (closed, slots.held)


def test_a_slot_in_vain() -> None:
    """PoolTimeout names the limits, and the queue is left."""
    slots = Slots()
    slots.take("x", A, ONE)

    with pytest.raises(PoolTimeout, match=r"the limits are 1 in all, 100 to http://a.test\Z"):
        wait_for_slot(slots, "y", A, ONE, Timeout(pool=0.01), None)
    assert ({"x": A}, 0) == (slots.held, len(slots.queue))


# --- Interrupts -----------------------------------------------------------------------------------


class Network:
    """A backend without a network: each answer says where to go, and it knows which are open."""

    name = "network"
    contract: Literal[1] = 1
    capabilities: frozenset[Capability] = frozenset()
    native: object = None

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.failures = 0

    def send(self, request: RawRequest) -> RawResponse:
        if self.failures:
            self.failures -= 1
            raise ConnectionLost("lost", request_sent="maybe")
        number = len(self.open)
        response = RawResponse(200, "OK", "HTTP/1.1", Headers(), iter([b"x", b"y"]), lambda: self.open.discard(number))
        if request.target == "/":
            response.status, response.headers = 302, Headers({"Location": f"{B}/end"})
        self.open.add(number)
        return response

    def close(self) -> None:
        pass


def get(client: Client, network: Network) -> None:
    """A redirect to another origin, and its end."""
    client.get(A)


def read(client: Client, network: Network) -> None:
    """A stream that is read to its end."""
    with client.stream("GET", A) as response:
        response.read()


def close(client: Client, network: Network) -> None:
    """A stream that is closed before it."""
    with client.stream("GET", A) as response:
        next(response.body)


def fail(client: Client, network: Network) -> None:
    """A failure, and another attempt."""
    network.failures = 1
    client.get(A, retry={"attempts": 2, "backoff": 0})


def wait(client: Client, network: Network) -> None:
    """A wait for somebody else's slot, who gives it back."""
    client._slots.take("other", A, ONE)
    client.get(A)


def wait_in_vain(client: Client, network: Network) -> None:
    """A wait that ends with PoolTimeout."""
    client._slots.take("other", A, ONE)
    try:
        with pytest.raises(PoolTimeout):
            client.get(A, timeout=Timeout(pool=1e-9))
    finally:
        client._slots.held.pop("other")


@pytest.mark.skipif(not hasattr(sys, "settrace"), reason="this Python cannot be traced")
@pytest.mark.filterwarnings("ignore:unclosed stream:ResourceWarning")
@pytest.mark.parametrize("journey", [get, read, close, fail, wait, wait_in_vain])
def test_an_interrupt_anywhere_loses_no_slot(
    journey: Callable[[Client, Network], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at each point where the interpreter looks for it: the next call finds all slots free."""
    client = Client(backend=Network())

    class Queue(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            client._slots.give_back("other")
            return super().get(block, 0.01)

    monkeypatch.setattr(queue, "SimpleQueue", Queue)
    count = 0
    while True:
        network = Network()
        client = Client(backend=network, limits=ONE, timeout=Timeout(pool=5))
        count += 1
        interrupt = Interrupt(count)
        try:
            with interrupt:
                journey(client, network)
        except KeyboardInterrupt:
            pass
        client._slots.held.pop("other", None)
        if client._slots.held:
            gc.collect()
        network.failures = 0
        client.get(f"{B}/after")

        assert ({}, 0) == (client._slots.held, len(client._slots.queue)), f"after {count}: {interrupt.where}"
        if not interrupt.where:
            break
    assert count > 30


class Interrupt:
    """Raises KeyboardInterrupt in our code at the so-and-so-many-th point where a signal could have done it.

    Those are the entry of a function, the return from a call, and the jump back in a loop.
    """

    def __init__(self, count: int) -> None:
        self.left = count
        self.where = ""
        self.last: dict[int, str] = {}  # by id: to hold a frame would keep alive what it holds

    def __enter__(self) -> None:
        self.outer = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 only traces them if it is told before settrace
        sys.settrace(self.trace)

    def __exit__(self, *error: object) -> None:
        sys.settrace(self.outer)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(OURS) or frame.f_code.co_name == "__del__":  # where Python drops it
            return None
        frame.f_trace_opcodes = True
        if event == "call":
            self.last[id(frame)] = "RESUME"
        elif event == "exception":
            self.last[id(frame)] = ""  # a call that raises goes to its handler at once
        elif event == "opcode":
            last = self.last[id(frame)]
            self.last[id(frame)] = opcodes(frame.f_code)[frame.f_lasti]
            if last.startswith(("RESUME", "CALL", "JUMP_BACKWARD")):
                self.left -= 1
                if self.left == 0:
                    self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                    raise KeyboardInterrupt
        return self.trace


OURS = tuple(f"unifetch/client/{name}.py" for name in ("sync_client", "connection_limit", "call"))
_opcodes: dict[CodeType, dict[int, str]] = {}


def opcodes(code: CodeType) -> dict[int, str]:
    """The names of a function's instructions, by their offsets."""
    if code not in _opcodes:
        _opcodes[code] = {each.offset: each.opname for each in dis.get_instructions(code)}
    return _opcodes[code]
