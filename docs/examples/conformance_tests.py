"""The contract, for the backend of plain_backend.py. It is a module of tests: pytest runs it."""

from __future__ import annotations

# [tests]
import pytest
from plain_backend import PlainBackend

from unifetch.testing.conformance import *  # noqa: F403  # pytest collects the classes from here


@pytest.fixture
def backend_factory() -> type[PlainBackend]:
    return PlainBackend


# [end]
