"""Every backend is held to the contract by the same classes that third parties use."""

from __future__ import annotations

import functools

import pytest

from unifetch.backends import BACKENDS, is_installed, load
from unifetch.testing.conformance import *  # noqa: F403  # pytest collects the classes from here
from unifetch.testing.conformance.base import BackendFactory


@pytest.fixture(params=list(BACKENDS))
def backend_factory(request: pytest.FixtureRequest) -> BackendFactory:
    """Each backend of the table whose library is installed, in turn."""
    if not is_installed(BACKENDS[request.param]):
        pytest.skip(f"the library of {request.param} is not installed")
    return functools.partial(load(request.param))
