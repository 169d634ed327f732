"""The one client that the module's own functions use: it keeps connections, and nothing else of a call."""

from __future__ import annotations

import atexit

from .sync_client import Client

SHARED = Client(cookies=False)
SHARED.notices_environment = True
atexit.register(SHARED.close)  # what is idle then is no leak
