"""Bodies as they come: bytes, lines, server-sent events."""

from __future__ import annotations

from unifetch import Client, stream


def main(url: str) -> None:
    # [bytes]
    with stream("GET", f"{url}/file") as response:
        response.raise_for_status()
        for piece in response.body:
            print(len(piece), "bytes")
    # [end]

    with Client(base_url=url) as client:
        # [lines]
        with client.stream("GET", "/log") as response:
            assert list(response.lines()) == ["first", "second", "third"]
        # [end]

        # [events]
        with client.stream("GET", "/events", headers={"Accept": "text/event-stream"}) as response:
            for event in response.events():
                print(event.event, event.id, event.data)  # price 1 {"gold": 2600}
        # [end]
        with client.stream("GET", "/events") as response:
            events = list(response.events())
        assert [(each.event, each.id, each.data) for each in events] == [
            ("price", "1", '{"gold": 2600}'),
            ("message", "2", "two\nlines"),
        ]
        assert events[0].retry == 5000

        # [rest]
        with client.stream("GET", "/data.json") as response:
            if response.headers["Content-Type"] == "application/json":
                whole = response.read()  # the rest of it, as a response that is plain data
                assert whole.json() == {"page": 2}
        # [end]
