"""Every backend is held to the contract by the same classes that third parties use."""

from __future__ import annotations

import pytest

from unifetch.backends import BACKENDS, is_installed, load, load_async
from unifetch.testing.conformance import *  # noqa: F403  # pytest collects the classes from here
from unifetch.testing.conformance.base import BackendFactory

KINDS = [
    *BACKENDS,
    *(f"{name}, awaited" for name, entry in BACKENDS.items() if entry.async_factory),
    "urllib, in threads",
]


@pytest.fixture(params=KINDS)
def backend_factory(request: pytest.FixtureRequest) -> BackendFactory:
    """Each backend of the table whose library is installed, in turn: for threads, and for an event loop."""
    name, _, kind = request.param.partition(", ")
    if not is_installed(name):
        pytest.skip(f"the library of {name} is not installed")
    return (load_async if kind else load)(name)
