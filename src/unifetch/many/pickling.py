"""Pickles with credentials: settings and requests for another process, as they are.

An ordinary pickle masks credentials, because nobody knows who will see it, and the mask is never sent. The workers of
an executor have to send them, so what they get is packed here. Whoever carries it (a pipe, a cluster's network) can
read it.
"""

from __future__ import annotations

import pickle
from functools import partial
from io import BytesIO

from ..model.frozen import Value
from ..model.headers import Headers
from ..model.url import URL

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

# What pickling raises for a generator, an open file, a lambda or a class inside a function.
CANNOT_BE_PACKED = (pickle.PicklingError, TypeError, AttributeError, ValueError)


def pack(value: object) -> bytes:
    """A pickle of this, credentials included; raises one of `CANNOT_BE_PACKED` for something that does not pickle."""
    file = BytesIO()
    _Packer(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def unpack(packed: bytes) -> Any:
    """What was packed. As every pickle it can run code, so it must come from `pack`."""
    return pickle.loads(packed)  # noqa: S301  # it comes the same way as the function that is called with it


class _Packer(pickle.Pickler):
    """Bypasses the masks: it takes the fields of each value, not what its class gives to a pickle."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Headers):
            return Headers.trusted, (value.pairs,), (None, {"dropped": value.dropped})
        if isinstance(value, URL):
            return partial(URL, path_as_is=True), (_with_userinfo(value),)
        if isinstance(value, Value):
            return _value, (type(value), dict(vars(value)))
        return NotImplemented


def _value(kind: type[Value], fields: dict[str, Any]) -> Value:
    value = kind.__new__(kind)
    vars(value).update(fields)
    return value


def _with_userinfo(url: URL) -> str:
    from urllib.parse import quote

    userinfo = "" if url.username is None else f"{quote(url.username, safe='')}"
    if url.password is not None:
        userinfo += f":{quote(url.password, safe='')}"
    fragment = "" if url.fragment is None else f"#{url.fragment}"
    return f"{url.scheme}://{userinfo}{'@' if userinfo else ''}{url.authority}{url.target}{fragment}"
