"""Being told what happens."""

from __future__ import annotations

import logging

from unifetch import Client
from unifetch.observe.events import Event, Finished, Retrying
from unifetch.observe.logging import log_events


# [listener]
def watch(event: Event) -> None:
    if isinstance(event, Retrying):
        print(f"call {event.call}: again in {event.delay:.2f} s")
    elif isinstance(event, Finished):
        print(f"call {event.call}: {event.response.status} from {event.request.url}")


# [end]


def main(url: str) -> None:
    # [use]
    with Client(base_url=url, listeners=[watch]) as client:
        client.get("/busy", retry={"attempts": 3, "backoff": 0})
    # [end]

    # [logging]
    logging.basicConfig(level="INFO")  # a line for each call; DEBUG adds each attempt

    with Client(base_url=url, listeners=log_events) as client:
        client.get("/old")  # INFO:unifetch:call 2: GET http://…/new: 200 OK in 0.004 s
    # [end]
