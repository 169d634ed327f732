"""What a server may cost us, as numbers.

The limits on the head of a response are the same for every backend, so that a response that one accepts is accepted
by all. They are not settings. `wire/http11.py` holds a head to them while it comes, `check_head` one that a library
has read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from ..errors import InvalidSetting, ProtocolError, TooLarge, evidence
from ..model.frozen import Value

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from ..model.headers import Pairs

    LimitsTypes: TypeAlias = "Mapping[str, Any] | Limits"

MAX_FIELDS = 1000  # header fields in one response
MAX_LINE = 64 * 1024  # bytes of one header line
MAX_HEAD = 100 * 1024  # bytes of the whole head


class Limits(Value):
    """Bounds on what a client uses and accepts; `None` means no bound.

    Args:
        connections: connections that one client uses at once, to all origins together; a further call waits, for
            `Timeout.pool` at most. Those of a client hold for all of its calls, whatever a call says.
        connections_per_origin: the same, to one origin.
        body: decoded bytes of a body that is read into memory. A stream is bounded by its reader.
        ratio: decoded bytes for each byte that was received, in a body that is read into memory; it
            counts from 16 MiB on.

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
    ) -> None:
        fields = {
            "connections": connections,
            "connections_per_origin": connections_per_origin,
            "body": body,
            "ratio": ratio,
        }
        for name, bound in fields.items():
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 1):
                raise InvalidSetting(f"limits: {name} must be a positive whole number or None, not {bound!r}")
        vars(self).update(fields)

    @classmethod
    def of(cls, setting: LimitsTypes) -> Limits:
        """A `Limits` from what a caller may write: a Limits, or a mapping of its fields.

        Raises:
            InvalidSetting: for another type or an unknown key.
        """
        if isinstance(setting, Limits):
            return setting
        if not isinstance(setting, Mapping):
            raise InvalidSetting(f"limits: must be a Limits or its fields, not {type(setting).__name__}")
        if unknown := setting.keys() - cls.__annotations__.keys():
            raise InvalidSetting(
                f"limits: unknown key {sorted(map(str, unknown))[0]!r}; accepted are {', '.join(cls.__annotations__)}"
            )
        return cls(**setting)


def check_head(status: int, http_version: str, pairs: Pairs) -> None:
    """Hold the head of a response to what every backend must agree on.

    Raises:
        ProtocolError: for another version of HTTP, and for a status that ends no exchange.
        TooLarge: for more fields, a longer line or a larger head than the limits allow.
    """
    if http_version != "HTTP/1.1" and http_version not in ("HTTP/1.0", "HTTP/2"):
        raise ProtocolError(f"the response is in {evidence(http_version)}", request_sent="yes")
    if not 200 <= status <= 999:
        raise ProtocolError(f"{status} is no status of a final response", request_sent="yes")
    if len(pairs) > MAX_FIELDS:
        raise TooLarge(f"the response has {len(pairs)} header fields; the limit is {MAX_FIELDS}", request_sent="yes")
    if sum(map(len, chain.from_iterable(pairs))) > MAX_LINE - 4 * len(pairs):
        _check_sizes(pairs)


def _check_sizes(pairs: Pairs) -> None:
    sizes = [len(name) + len(value) + 4 for name, value in pairs]  # ": " and CRLF
    if sum(sizes) > MAX_HEAD:
        raise TooLarge(f"the head of the response is over the limit of {MAX_HEAD} bytes", request_sent="yes")
    if max(sizes) > MAX_LINE:
        raise TooLarge(f"a header line of the response is over the limit of {MAX_LINE} bytes", request_sent="yes")
