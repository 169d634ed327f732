"""The module's own functions, awaited: `from unifetch.aio import get`, then `await get(url)`.

As in `api.py`, they share a client that keeps connections and nothing else; each event loop has its own.
"""

from __future__ import annotations

from .async_client import AsyncClient
from .async_fetching import fetch_all
from .loops import is_running, running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack

    from .arguments import AsyncBodyArguments, CallArguments, DownloadArguments
    from .async_client import AsyncStream
    from .downloads import Download
    from .messages import Response

__all__ = [
    "AsyncClient",
    "delete",
    "download",
    "fetch_all",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "stream",
]


async def request(method: str, url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
    """Send a request and read its response into memory; see `AsyncClient.request` for the arguments."""
    return await _client().request(method, url, **call)


async def get(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a GET request; see `Client.request` for the arguments."""
    return await _client().get(url, **call)


async def head(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a HEAD request; see `Client.request` for the arguments."""
    return await _client().head(url, **call)


async def options(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send an OPTIONS request; see `Client.request` for the arguments."""
    return await _client().options(url, **call)


async def delete(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a DELETE request; see `Client.request` for the arguments."""
    return await _client().delete(url, **call)


async def post(url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
    """Send a POST request; see `AsyncClient.request` for the arguments."""
    return await _client().request("POST", url, **call)


async def put(url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
    """Send a PUT request; see `AsyncClient.request` for the arguments."""
    return await _client().request("PUT", url, **call)


async def patch(url: str, **call: Unpack[AsyncBodyArguments]) -> Response[bytes]:
    """Send a PATCH request; see `AsyncClient.request` for the arguments."""
    return await _client().request("PATCH", url, **call)


def stream(method: str, url: str, **call: Unpack[AsyncBodyArguments]) -> AsyncStream:
    """Send a request and read its body as it comes, in an `async with` block; see `AsyncClient.stream`."""
    return _client().stream(method, url, **call)


async def download(url: str, path: str | PathLike[str], **call: Unpack[DownloadArguments]) -> Download:
    """Get a file, which is at `path` once it is whole; see `Client.download` for the arguments."""
    return await _client().download(url, path, **call)


_clients: dict[object, AsyncClient] = {}


def _client() -> AsyncClient:
    loop = running_loop()
    client = _clients.get(loop)
    if client is None:
        for other in list(_clients):
            if not is_running(other):
                del _clients[other]
        client = _clients.setdefault(loop, AsyncClient(cookies=False))
    return client
