"""urllib3: the pool of connections that requests stands on.

What it does by itself: normalise the target once more, add User-Agent, Accept-Encoding and Host, follow
redirects and repeat requests (three times), decode, and leave the head and the chunks to `http.client`.
Here its pools keep the connections, and nothing else of it is used: no retries, no decoding, and
connections of our own, which send and receive as `http_client.py` says.

An injected `PoolManager` keeps its own connections and its own TLS settings, and so its own ways with
malformed responses; what then cannot be promised is not declared.
"""

from __future__ import annotations

from functools import partial

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    HTTPError,
    IncompleteRead,
    InvalidHeader,
    LocationValueError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import ConnectTimeoutError
from urllib3.exceptions import NameResolutionError as Urllib3NameResolutionError
from urllib3.exceptions import ProtocolError as Urllib3ProtocolError
