"""The idle connections of the socket backend: which are kept."""

from __future__ import annotations

from typing import Any, ClassVar

from unifetch.backends.base import IDLE_SECONDS
from unifetch.backends.socket.pool import MAX_IDLE, Pool


class Idle:
    """A connection, as far as a pool looks into it."""

    closed: ClassVar[list[float]] = []  # until when those were useful that were closed
    exchanges = 2

    def __init__(self, useful_until: float, *, fit: bool = True) -> None:
        self.useful_until = useful_until
        self.fit = fit

    def release(self) -> bool:
        """Whether it can carry another request."""
        return self.fit

    is_fit = release

    def close(self) -> None:
        """Note it."""
        self.closed.append(self.useful_until)


def kept(pool: Any, keys: list[int]) -> list[int]:
    """How many of these origins' connections the pool has."""
    return [len(pool._idle.get(key, ())) for key in keys]


def put(pool: Any, key: int, at: float) -> list[float]:
    """Put a connection into it at this time; which ones it closes."""
    before = len(Idle.closed)
    pool.put(key, Idle(at))
    return Idle.closed[before:]


def test_an_origin_keeps_its_newest_connections() -> None:
    """Beyond the bound the oldest connection to an origin is closed."""
    pool = Pool()
    closed = [put(pool, 1, at / 10) for at in range(MAX_IDLE + 2)]

    assert [[]] * MAX_IDLE + [[0], [0.1]] == closed


def test_a_connection_that_is_not_fit_is_not_kept() -> None:
    """Neither when it comes nor when it would leave: then the one before it is taken."""
    pool: Any = Pool()
    good, bad = Idle(1), Idle(2)
    for each in (good, bad, Idle(3, fit=False)):
        pool.put(1, each)
    bad.fit = False

    assert pool.take(1) is good
    assert 2 == Idle.closed[-1]
    assert pool.take(1) is None


def test_an_old_connection_goes_when_a_newer_one_comes() -> None:
    """Whatever is past its use is closed, one at a time, by those that come to the same origin."""
    pool = Pool()
    closed = [put(pool, 1, at) for at in (0, 1, 2, IDLE_SECONDS + 1.5, IDLE_SECONDS + 1.6, IDLE_SECONDS + 1.7)]

    assert [[], [], [], [0], [1], []] == closed


def test_as_many_are_kept_as_were_in_use_at_once() -> None:
    """A client that uses many connections does not dial most of them again; one that visits many origins is no such."""
    pool: Any = Pool()
    many = [Idle(at / 1000) for at in range(MAX_IDLE * 2)]
    for connection in many:
        pool.opened(connection)
    for connection in many:
        pool.put(1, connection)

    assert [len(many)] == kept(pool, [1])

    crawler: Any = Pool()
    for at in range(1000):
        connection = Idle(at)
        crawler.opened(connection)
        crawler.put(at, connection)

    assert MAX_IDLE == sum(kept(crawler, list(range(1000))))


def test_a_crawler_keeps_a_bounded_number_of_connections() -> None:
    """A client that goes from origin to origin closes those to the origins that it used longest ago."""
    pool = Pool()
    closed = [at for at in range(1000) for at in put(pool, at, at)]

    assert list(range(1000 - MAX_IDLE)) == closed
    assert MAX_IDLE == sum(kept(pool, list(range(1000))))


def test_an_origin_in_use_stays() -> None:
    """Among many others, an origin that is used again and again keeps its connection."""
    pool = Pool()
    put(pool, -1, 0)
    for at in range(1, 1000):
        connection = pool.take(-1)
        assert connection is not None, f"it was gone before origin {at}"
        assert put(pool, -1, at) == []
        put(pool, at, at)


def test_origins_without_connections_are_forgotten() -> None:
    """What stays of an origin whose connections were all taken is nothing."""
    pool: Any = Pool()
    for at in range(1000):
        put(pool, at, at)
        pool.take(at)

    assert len(pool._idle) <= 2


def test_a_connection_that_comes_back_to_a_forgotten_origin_is_closed() -> None:
    """Where another thread forgets an origin just now, its connection is closed, and not lost."""
    pool: Any = Pool()

    class Forgetful(list[Any]):
        def append(self, connection: Any) -> None:
            del pool._idle[1]
            super().append(connection)

    pool._idle[1] = Forgetful()

    assert [5] == put(pool, 1, 5)
