"""How long each phase may take, and all of them together.

No timeout is infinite unless the caller writes `None`. The total is a deadline: it covers the wait for a connection,
name resolution, connecting, TLS, every redirect and retry, and the body.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InvalidSetting, shown
from .frozen import Value, check_keys

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Never, TypeAlias

    TimeoutTypes: TypeAlias = "float | Mapping[str, Any] | Timeout | None"


class Timeout(Value):
    """Seconds, per phase and in all; `None` means no limit.

    Args:
        total: from the call to the last byte of the body.
        connect: for one TCP connection with its TLS handshake.
        read: without a byte from the server.
        write: without the server taking a byte.
        pool: waiting for a free connection.

    Raises:
        InvalidSetting: for anything but a positive, finite number or None.
    """

    total: float | None
    connect: float | None
    read: float | None
    write: float | None
    pool: float | None

    def __init__(
        self,
        total: float | None = 300,
        *,
        connect: float | None = 10,
        read: float | None = 30,
        write: float | None = 30,
        pool: float | None = 30,
        **other: Never,
    ) -> None:
        if other:
            check_keys("timeout", other, Timeout.__annotations__)
        vars(self).update(total=total, connect=connect, read=read, write=write, pool=pool)
        for name, seconds in vars(self).items():
            _check(name, seconds)

    @classmethod
    def of(cls, setting: TimeoutTypes) -> Timeout:
        """From what a caller may write, on top of the defaults; see `changed`."""
        return setting if isinstance(setting, Timeout) else cls().changed(setting)

    def changed(self, setting: TimeoutTypes) -> Timeout:
        """These timeouts with what a caller says on top: a client on top of `configure`, a call on top of its client.

        A number is the total, and each wait except connecting may take all of it. A mapping changes the fields that
        it names. A `Timeout` replaces all of them, and None means no limit at all.

        Raises:
            InvalidSetting: for any other type, an unknown key, or a number that is no duration.
        """
        cls = type(self)
        if isinstance(setting, Timeout):
            return setting
        if setting is None:
            return cls(None, connect=None, read=None, write=None, pool=None)
        if isinstance(setting, (tuple, list)) and len(setting) == 2:
            connect, read = setting
            raise InvalidSetting(
                f"timeout: total must be one number; a pair is Timeout(connect={shown(connect)}, read={shown(read)})"
            )
        if isinstance(setting, Mapping):
            check_keys("timeout", setting, vars(self))
            return self.replace(**setting)
        _check("total", setting)
        return self.replace(total=setting, read=setting, write=setting, pool=setting)


def _check(name: str, seconds: object) -> None:
    if seconds is None:
        return
    # bool is an int in Python, but `timeout=True` is a mistake, not one second.
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidSetting(f"timeout: {name} must be a number of seconds or None, not {type(seconds).__name__}")
    # A year is more than anybody needs, and less than what overflows a platform's socket timeout.
    if not 0 < seconds <= 31_536_000:
        raise InvalidSetting(f"timeout: {name} must be above 0 and at most a year of seconds, not {shown(seconds)}")
