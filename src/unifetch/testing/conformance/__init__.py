"""The contract as tests: what unifetch promises of every backend, one promise a test.

A module of tests takes the classes over by importing them, and says which backend is meant:

    import pytest
    from unifetch.testing.conformance import *

    @pytest.fixture
    def backend_factory():
        return MyBackend

The tests speak to servers of their own on the loopback interface, and to nothing else.
"""

from __future__ import annotations

from .addresses import TestAddresses
from .agreement import TestAgreement
from .auth import TestAuth
from .clients import TestClients
from .connections import TestConnections, TestErrors
from .cookies import TestCookies
from .environment import TestEnvironment
from .exchanges import TestExchanges, TestOpen
from .extras import TestExtras
from .handshakes import TestHandshakes
from .http2 import TestHTTP2, TestMultiplex
from .limits import TestBombs, TestConnectionLimits, TestFloods
from .pinning import TestPinning
from .private_addresses import TestPrivateAddresses
from .proxies import TestProxies
from .redirects import TestRedirects
from .responses import TestBodies, TestDecoding, TestHeads, TestMalformed, TestStreaming, TestText
from .retries import TestRetries
from .socks import TestSocks
from .streams import TestDownloads, TestStreams
from .timeouts import TestTimeouts
from .trust import TestTrust
from .uploads import TestUploads
from .wire import TestInvalidCalls, TestWire

__all__ = [
    "TestAddresses",
    "TestAgreement",
    "TestAuth",
    "TestBodies",
    "TestBombs",
    "TestClients",
    "TestConnectionLimits",
    "TestConnections",
    "TestCookies",
    "TestDecoding",
    "TestDownloads",
    "TestEnvironment",
    "TestErrors",
    "TestExchanges",
    "TestExtras",
    "TestFloods",
    "TestHTTP2",
    "TestHandshakes",
    "TestHeads",
    "TestInvalidCalls",
    "TestMalformed",
    "TestMultiplex",
    "TestOpen",
    "TestPinning",
    "TestPrivateAddresses",
    "TestProxies",
    "TestRedirects",
    "TestRetries",
    "TestSocks",
    "TestStreaming",
    "TestStreams",
    "TestText",
    "TestTimeouts",
    "TestTrust",
    "TestUploads",
    "TestWire",
]
