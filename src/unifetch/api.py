"""One line for one request: the module's own functions, over one client of the whole process.

That client keeps connections from one call to the next, so that the second request to a server is quick, and nothing
else: no cookies.
"""

from __future__ import annotations

from os import PathLike

from .client.shared_client import SHARED
from .client.signatures import arguments, describe
from .client.sync_client import Stream
from .model.messages import Response


def request(method: str, url: str, **call: arguments.Unpack[arguments.BodyArguments]) -> Response[bytes]:
    """Send a request and read its response into memory; see `Client.request` for the arguments."""
    return SHARED.request(method, url, **call)


def get(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a GET request; see `Client.request` for the arguments."""
    return SHARED.get(url, **call)


def head(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a HEAD request; see `Client.request` for the arguments."""
    return SHARED.head(url, **call)


def options(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send an OPTIONS request; see `Client.request` for the arguments."""
    return SHARED.options(url, **call)


def delete(url: str, **call: arguments.Unpack[arguments.CallArguments]) -> Response[bytes]:
    """Send a DELETE request; see `Client.request` for the arguments."""
    return SHARED.delete(url, **call)


def post(url: str, **call: arguments.Unpack[arguments.BodyArguments]) -> Response[bytes]:
    """Send a POST request; see `Client.request` for the arguments."""
    return SHARED.post(url, **call)


def put(url: str, **call: arguments.Unpack[arguments.BodyArguments]) -> Response[bytes]:
    """Send a PUT request; see `Client.request` for the arguments."""
    return SHARED.put(url, **call)


def patch(url: str, **call: arguments.Unpack[arguments.BodyArguments]) -> Response[bytes]:
    """Send a PATCH request; see `Client.request` for the arguments."""
    return SHARED.patch(url, **call)


def stream(method: str, url: str, **call: arguments.Unpack[arguments.BodyArguments]) -> Stream:
    """Send a request and read its body as it comes, in a `with` block; see `Client.stream`."""
    return SHARED.stream(method, url, **call)


def download(
    url: str, path: str | PathLike[str], **call: arguments.Unpack[arguments.DownloadArguments]
) -> arguments.Download:
    """Get a file, which is at `path` once it is whole; see `Client.download` for the arguments."""
    return SHARED.download(url, path, **call)


describe(list(globals().values()))
