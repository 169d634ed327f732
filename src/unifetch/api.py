"""One line for one request: the module's own functions, over one client of the whole process.

That client keeps connections, so that the second request to a server is quick, but neither cookies nor
anything else from one call to the next.
"""

from __future__ import annotations

import atexit

from .client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack

    from .arguments import BodyArguments, CallArguments, DownloadArguments
    from .client import Stream
    from .downloads import Download
    from .messages import Response

_client = Client(cookies=False)
atexit.register(_client.close)  # what is idle then is no leak


def request(method: str, url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
    """Send a request and read its response into memory; see `Client.request` for the arguments."""
    return _client.request(method, url, **call)


def get(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a GET request; see `Client.request` for the arguments."""
    return _client.get(url, **call)


def head(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a HEAD request; see `Client.request` for the arguments."""
    return _client.head(url, **call)


def options(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send an OPTIONS request; see `Client.request` for the arguments."""
    return _client.options(url, **call)


def delete(url: str, **call: Unpack[CallArguments]) -> Response[bytes]:
    """Send a DELETE request; see `Client.request` for the arguments."""
    return _client.delete(url, **call)


def post(url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
    """Send a POST request; see `Client.request` for the arguments."""
    return _client.request("POST", url, **call)


def put(url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
    """Send a PUT request; see `Client.request` for the arguments."""
    return _client.request("PUT", url, **call)


def patch(url: str, **call: Unpack[BodyArguments]) -> Response[bytes]:
    """Send a PATCH request; see `Client.request` for the arguments."""
    return _client.request("PATCH", url, **call)


def stream(method: str, url: str, **call: Unpack[BodyArguments]) -> Stream:
    """Send a request and read its body as it comes, in a `with` block; see `Client.stream`."""
    return _client.stream(method, url, **call)


def download(url: str, path: str | PathLike[str], **call: Unpack[DownloadArguments]) -> Download:
    """Get a file, which is at `path` once it is whole; see `Client.download` for the arguments."""
    return _client.download(url, path, **call)
