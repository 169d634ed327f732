"""What the conformance classes share: a client over the backend under test, and skips by capability only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from ... import Client
from ...backends.base import AsyncBackend, Backend, Capability
from ..awaited import client_of

Test = TypeVar("Test", bound=Callable[..., None])
BackendFactory = Callable[[], Backend | AsyncBackend]


def requires(*capabilities: Capability) -> Callable[[Test], Test]:
    """Hold a backend to this test if it declares these capabilities.

    If it does not, the test still runs, and has to fail: a capability that is there should be declared. A backend that
    can do part of one says so in an attribute `partial_capabilities`, a frozenset: then such a test may pass or not.
    """

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(self: Conformance, client: Client, **fixtures: object) -> None:
            missing = [each for each in capabilities if each not in client.backend.capabilities]
            if not missing:
                test(self, client=client, **fixtures)
                return
            names = ", ".join(each.name for each in missing)
            try:
                test(self, client=client, **fixtures)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # however it fails, it fails
                pytest.skip(f"{client.backend.name} does not declare {names}")
            if all(each in getattr(client.backend, "partial_capabilities", ()) for each in missing):
                return
            pytest.fail(
                f"{client.backend.name} passes, but does not declare {names}; a backend that can do part of it "
                "names it in partial_capabilities"
            )

        return run  # type: ignore[return-value]  # wraps() keeps the signature for pytest's fixtures

    return decorate


class Conformance:
    """Base of the classes: a module that imports them defines the fixture `backend_factory`.

    The factory is called once for each test and returns a new `Backend`.
    """

    @pytest.fixture
    def client(self, backend_factory: BackendFactory) -> Iterator[Client]:
        """A client over a new backend, or over an AsyncBackend an `AwaitedClient`; 10 seconds end whatever hangs."""
        with client_of(backend_factory(), timeout=10) as client:
            yield client
