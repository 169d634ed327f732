"""The module's own functions, awaited: `from unifetch.aio import get`, then `await get(url)`.

As in `api.py`, they share a client that keeps connections and nothing else; each event loop has its own.
"""

from __future__ import annotations

from os import PathLike

from .client.async_client import AsyncClient, AsyncStream
from .client.async_shared_client import shared
from .client.signatures import arguments, describe
from .many.async_fetch_all import fetch_all
from .model.messages import Response

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


async def request(method: str, url: str, **call: arguments.Unpack[arguments.AsyncBodyArguments]) -> Response[bytes]:
    """Send a request and read its response into memory; see `AsyncClient.request` for the arguments."""
    return await shared().request(method, url, **call)


async def get(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a GET request; see `AsyncClient.request` for the arguments."""
    return await shared().get(url, **call)


async def head(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a HEAD request; see `AsyncClient.request` for the arguments."""
    return await shared().head(url, **call)


async def options(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send an OPTIONS request; see `AsyncClient.request` for the arguments."""
    return await shared().options(url, **call)


async def delete(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a DELETE request; see `AsyncClient.request` for the arguments."""
    return await shared().delete(url, **call)


async def post(url: str, **call: arguments.Unpack[arguments.AsyncBodyArguments]) -> Response[bytes]:
    """Send a POST request; see `AsyncClient.request` for the arguments."""
    return await shared().post(url, **call)


async def put(url: str, **call: arguments.Unpack[arguments.AsyncBodyArguments]) -> Response[bytes]:
    """Send a PUT request; see `AsyncClient.request` for the arguments."""
    return await shared().put(url, **call)


async def patch(url: str, **call: arguments.Unpack[arguments.AsyncBodyArguments]) -> Response[bytes]:
    """Send a PATCH request; see `AsyncClient.request` for the arguments."""
    return await shared().patch(url, **call)


def stream(method: str, url: str, **call: arguments.Unpack[arguments.AsyncBodyArguments]) -> AsyncStream:
    """Send a request and read its body as it comes, in an `async with` block; see `AsyncClient.stream`."""
    return shared().stream(method, url, **call)


async def download(
    url: str, path: str | PathLike[str], **call: arguments.Unpack[arguments.DownloadArguments]
) -> arguments.Download:
    """Get a file, which is at `path` once it is whole; see `AsyncClient.download` for the arguments."""
    return await shared().download(url, path, **call)


describe(list(globals().values()))
