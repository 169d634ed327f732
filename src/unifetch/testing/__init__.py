"""What users of unifetch test with, and authors of backends: one seam before every backend, and a scripted server.

`unifetch.testing.intercept` puts a handler before whatever backend was chosen, and shuts the network.
`unifetch.testing.Server` answers with exactly the bytes that a test writes, and records what it is sent.
`unifetch.testing.conformance` holds a backend to its contract; it needs pytest.
"""

from __future__ import annotations

from .answer import Answer
from .cassette import Cassette
from .faults import Faults
from .har import CassetteError
from .intercept import (
    Drop,
    Forward,
    Handler,
    Intercepted,
    ReadBody,
    Unanswered,
    Unmet,
    forward,
    intercept,
)
from .mock import Mock, Route
from .secrets import SecretFound
from .server import Server, refused_port
from .steps import (
    Close,
    Drip,
    Flood,
    HalfClose,
    OnConnect,
    OnHead,
    Pause,
    Receive,
    RecordedRequest,
    Reset,
    Script,
    Signal,
    Stall,
    StartTLS,
    Step,
    Truncate,
    Wait,
    reply,
)
from .sweep import Point, sweep
from .virtual_time import VirtualTime

__all__ = [
    "Answer",
    "Cassette",
    "CassetteError",
    "Close",
    "Drip",
    "Drop",
    "Faults",
    "Flood",
    "Forward",
    "HalfClose",
    "Handler",
    "Intercepted",
    "Mock",
    "OnConnect",
    "OnHead",
    "Pause",
    "Point",
    "ReadBody",
    "Receive",
    "RecordedRequest",
    "Reset",
    "Route",
    "Script",
    "SecretFound",
    "Server",
    "Signal",
    "Stall",
    "StartTLS",
    "Step",
    "Truncate",
    "Unanswered",
    "Unmet",
    "VirtualTime",
    "Wait",
    "forward",
    "intercept",
    "refused_port",
    "reply",
    "sweep",
]
