"""What every bridge is told, and the bounds that its front library gives: phases, and the total that it does not have.

A bridge enters below the policies of a client, so it takes how to get there and within which bounds, and no more.
"""

from __future__ import annotations

from functools import lru_cache

from ..errors import InvalidSetting
from ..model.timeouts import Timeout

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import Any, TypedDict

    from ..client.config import BackendTypes
    from ..client.settings import Listener
    from ..policies.limits import LimitsTypes
    from ..policies.proxies import ProxyTypes
    from ..policies.tls import TLSTypes

    class BridgeArguments(TypedDict, total=False):
        """What a bridge accepts; what is left out is as `configure` says, but for backend and proxy."""

        backend: BackendTypes | None
        tls: TLSTypes
        proxy: ProxyTypes
        resolve: Mapping[str, str]
        forbid_private: bool
        unix_socket: str | os.PathLike[str] | None
        listeners: Iterable[Listener | str] | Listener | str
        total: float | None
        limits: LimitsTypes
        http2: bool | str


TAKEN = ("backend", "tls", "proxy", "resolve", "forbid_private", "unix_socket", "listeners", "total", "limits", "http2")
_SOONEST, _YEAR = 1e-6, 31_536_000.0


def checked(settings: Mapping[str, Any], **defaults: Any) -> tuple[dict[str, Any], float | None]:
    """The settings of the client underneath, and the total.

    Raises:
        InvalidSetting: for a name that a bridge does not take, or a total that is no duration.
    """
    for name in settings:
        if name not in TAKEN:
            raise InvalidSetting(f"a bridge takes no {name}=; it takes {', '.join(TAKEN)}")
    told = {"proxy": None, **defaults, **settings, "backend": settings.get("backend") or "socket"}
    total = told.pop("total", None)
    Timeout(total)
    return told, total


@lru_cache(256)
def phases(
    total: float | None, connect: float | None, read: float | None, write: float | None, pool: float | None
) -> Timeout:
    """The timeout of one exchange: the same object each time, which tells a client that its plan still holds.

    A phase of no time at all ends at once, as it does in the libraries; one of more than a year does not end.
    """
    return Timeout(total, connect=_phase(connect), read=_phase(read), write=_phase(write), pool=_phase(pool))


def _phase(seconds: float | None) -> float | None:
    return None if seconds is None or seconds > _YEAR else max(seconds, _SOONEST)
