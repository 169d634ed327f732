"""What authors and users of backends test with: a scripted server, and the contract as tests.

`unifetch.testing.Server` answers with exactly the bytes that a test writes, and records what it is sent.
`unifetch.testing.conformance` holds a backend to its contract; it needs pytest.
"""

from __future__ import annotations

from .server import (
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
    Server,
    Signal,
    Stall,
    StartTLS,
    Step,
    Truncate,
    Wait,
    refused_port,
    reply,
)

__all__ = [
    "Close",
    "Drip",
    "Flood",
    "HalfClose",
    "OnConnect",
    "OnHead",
    "Pause",
    "Receive",
    "RecordedRequest",
    "Reset",
    "Script",
    "Server",
    "Signal",
    "Stall",
    "StartTLS",
    "Step",
    "Truncate",
    "Wait",
    "refused_port",
    "reply",
]
