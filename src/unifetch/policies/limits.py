"""What a server may cost us, in numbers.

The limits on the head of a response are the same for every backend, so that what one accepts, all accept. They are not
settings. `wire/http11.py` applies them while a head arrives, `check_head` to one that a library has read.
"""

from __future__ import annotations

from itertools import chain

from ..errors import InvalidSetting, ProtocolError, TooLarge, evidence, shown
from ..model.frozen import Value, check_keys, of_fields

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never, TypeAlias

    from ..model.headers import Pairs

    LimitsTypes: TypeAlias = "Mapping[str, Any] | Limits"

MAX_FIELDS = 1000  # header fields in one response
MAX_LINE = 64 * 1024  # bytes of one header line
MAX_HEAD = 100 * 1024  # bytes of the whole head


class Limits(Value):
    """Bounds on what a client uses and accepts; `None` means no bound.

    Args:
        connections: connections that a client uses at once, to all origins together; a call that finds none free
            waits, at most for `Timeout.pool`. The client's value holds for all of its calls.
        connections_per_origin: the same, to one origin.
        body: decoded bytes of a body that is read into memory. A stream is bounded by its reader.
        ratio: decoded bytes for each byte received, in a body that is read into memory; it counts from 16 MiB on.

    Raises:
        InvalidSetting: for anything but a positive whole number or None.
    """

    connections: int | None
    connections_per_origin: int | None
    body: int | None
    ratio: int | None

    def __init__(
        self,
        *,
        connections: int | None = 100,
        connections_per_origin: int | None = 100,
        body: int | None = 1024**3,
        ratio: int | None = 200,
        **other: Never,
    ) -> None:
        if other:
            check_keys("limits", other, Limits.__annotations__)
        vars(self).update(
            connections=connections, connections_per_origin=connections_per_origin, body=body, ratio=ratio
        )
        for name, bound in vars(self).items():
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
                raise InvalidSetting(f"limits: {name} must be a positive whole number or None, not {shown(bound)}")

    @classmethod
    def of(cls, setting: LimitsTypes) -> Limits:
        """From what a caller may write: a Limits, or a mapping of its fields; see `of_fields`."""
        return of_fields(cls, "limits", setting)


def check_head(status: int, http_version: str, pairs: Pairs) -> None:
    """Refuse the head of a response that not every backend could accept.

    Raises `ProtocolError` for another version of HTTP, or a status that is not final; `TooLarge` for too many fields, a
    line too long, or a head too large.
    """
    if http_version != "HTTP/1.1" and http_version not in ("HTTP/1.0", "HTTP/2"):
        raise ProtocolError(f"the response is in {evidence(http_version)}", request_sent="yes")
    if not 200 <= status <= 999:
        raise ProtocolError(f"{status} is no status of a final response", request_sent="yes")
    if len(pairs) > MAX_FIELDS:
        raise TooLarge(f"the response has {len(pairs)} header fields; the limit is {MAX_FIELDS}", request_sent="yes")
    if sum(map(len, chain.from_iterable(pairs))) <= MAX_LINE - 4 * len(pairs):
        return
    sizes = [len(name) + len(value) + 4 for name, value in pairs]  # ": " and CRLF
    if sum(sizes) > MAX_HEAD:
        raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
    if max(sizes) > MAX_LINE:
        raise TooLarge(f"a header line of the response is over the limit of {MAX_LINE} bytes", request_sent="yes")
