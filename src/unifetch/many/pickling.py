"""What goes to another process with its credentials: settings and requests, as they are.

A pickle of ours masks credentials, because nobody knows who will see it, and what would be sent with the mask is
refused. A parcel is for those who have to send them: the workers of an executor, to which the caller hands the
call. Whoever carries it (a pipe, a cluster's network) can read it.
"""

from __future__ import annotations

import pickle
from io import BytesIO

from ..model.frozen import Value
from ..model.headers import Headers
from ..model.url import URL

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any

# What pickling raises, for a generator, an open file, a lambda or a class inside a function.
CANNOT_BE_PACKED = (pickle.PicklingError, TypeError, AttributeError, ValueError)


def pack(value: object) -> bytes:
    """A parcel of anything that pickles.

    Raises:
        CANNOT_BE_PACKED: for something that does not.
    """
    file = BytesIO()
    _Packer(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def unpack(parcel: bytes) -> Any:
    """What was packed. A parcel is code, as every pickle is: it must come from where we sent it."""
    return pickle.loads(parcel)  # noqa: S301  # it comes as the function came that is called with it


class _Packer(pickle.Pickler):
    """Goes past the masks: the fields of each value, not what its class would give to a pickle."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Headers):
            return Headers.trusted, (value.pairs,)
        if isinstance(value, URL):
            return URL, (_with_userinfo(value),)
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
