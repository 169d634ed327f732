"""The guard of `conftest.py`: no test reaches beyond loopback, and none is led astray by its environment."""

from __future__ import annotations

import os
import socket

import pytest

from conftest import VARIABLES


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("0.0.0.0", 80), ("example.org", 80)])
def test_no_connection(address: tuple[str, int]) -> None:
    """A connection elsewhere is not even tried, and no `except Exception` hides it."""
    for connect in (socket.socket.connect, socket.socket.connect_ex):
        with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match="only loopback"):
            connect(sock, address)
    with pytest.raises(pytest.fail.Exception, match="only loopback"):
        socket.create_connection(address, timeout=1)


@pytest.mark.parametrize("name", ["example.org", "localhost.example.org", "test.example.org"])
def test_no_look_up(name: str) -> None:
    """Nor is a name looked up."""
    with pytest.raises(pytest.fail.Exception, match="only loopback"):
        socket.getaddrinfo(name, 80)


@pytest.mark.parametrize("name", ["name.invalid", "a.b.test.", "test", b"name.invalid"])
def test_names_that_never_exist(name: str | bytes) -> None:
    """They have no address, whatever resolver this machine has (RFC 6761 §6.2, §6.4)."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(name, 80)


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.2", "::1", "localhost", b"localhost", None])
def test_loopback(name: str | bytes | None) -> None:
    """Loopback is as it ever was."""
    assert [] != socket.getaddrinfo(name, 80)


def test_environment() -> None:
    """Nothing of it says which proxy, certificates or backend to use."""
    assert [] == [name for name in os.environ if name.upper() in VARIABLES]
