"""A slow server, in no time."""

from __future__ import annotations

import pytest

from unifetch import Client, ReadTimeout, TotalTimeout, get
from unifetch.testing import Faults, Mock, Pause, Server, Stall, reply

API = "https://api.example.org"


# [slow]
def test_a_body_that_drips(unifetch_mock: Mock) -> None:
    unifetch_mock.get(f"{API}/slow").reply(chunks=[b"a", Pause(20), b"b", Pause(20), b"c"])

    with pytest.raises(TotalTimeout):
        get(f"{API}/slow", timeout=30)
    assert unifetch_mock.passed == 30


def test_a_server_that_falls_silent(unifetch_mock: Mock) -> None:
    unifetch_mock.get(f"{API}/report").reply(chunks=[b"half", Stall()])

    with pytest.raises(ReadTimeout):
        get(f"{API}/report", timeout={"read": 120})
    assert unifetch_mock.passed == 120


# [end]


# [session]
def test_a_session_that_ends_after_an_hour(unifetch_mock: Mock) -> None:
    unifetch_mock.get(f"{API}/in").reply(headers={"Set-Cookie": "session=1; Max-Age=3600"})
    unifetch_mock.get(f"{API}/me", headers={"Cookie": "session=1"}).reply(200)
    unifetch_mock.get(f"{API}/me", headers={"Cookie": None}).reply(401)

    with Client(base_url=API) as client:
        client.get("/in")
        assert client.get("/me").status == 200
        unifetch_mock.advance(3601)
        assert client.get("/me").status == 401


# [end]


def main() -> None:
    for test in (test_a_body_that_drips, test_a_server_that_falls_silent, test_a_session_that_ends_after_an_hour):
        with Mock() as mock:
            test(mock)

    # [faults]
    with Server(reply(200, b"whole")) as server, Faults(seed=7) as faults:
        faults.slow_dns(5, at=1)
        faults.reset(after=2, at=2)

        assert get(server.url).body == b"whole"
        assert get(server.url, retry=2).body == b"whole"
        assert [name for _, name, _ in faults.fired] == ["slow_dns(5)", "reset(after=2)"]
    # [end]
