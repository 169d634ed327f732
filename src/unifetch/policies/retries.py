"""Whether a request is sent again, and after how long: decided here, carried out by the call.

Off by default. Not repeated are requests that may have had an effect (RFC 9110 §9.2.2), bodies that cannot be sent
twice, and failures that would only happen again. Left out: a budget over many requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import (
    ConnectError,
    ConnectionLost,
    IncompleteBody,
    InvalidSetting,
    ProxyError,
    TimedOut,
    TLSError,
    TotalTimeout,
    shown,
)
from ..model.frozen import Value, check_keys, of_fields
from ..model.headers import is_token

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, Never, TypeAlias

    from ..errors import UnifetchError
    from ..model.headers import Headers

    RetryTypes: TypeAlias = "int | Mapping[str, Any] | Retry | None"

# Errors that another attempt may not meet, and those among them that it would.
_PASSING = (ConnectError, ConnectionLost, IncompleteBody, TimedOut)
_LASTING = (TLSError, TotalTimeout)


class Retry(Value):
    """When to send a request again.

    Args:
        attempts: how often it is sent at most, the first time included.
        backoff: seconds; the wait before attempt n + 1 is random, up to `backoff * 2 ** (n - 1)` ("full jitter").
        max_wait: the longest wait in seconds. A longer Retry-After is an error.
        statuses: the status codes to retry.
        methods: the methods to repeat even if the server may have received the request; by default the idempotent ones.
        respect_retry_after: whether to wait as long as a response's Retry-After says, instead of the back-off.

    Raises:
        InvalidSetting: it names the key.
    """

    attempts: int
    backoff: float
    max_wait: float
    statuses: tuple[int, ...]
    methods: tuple[str, ...]
    respect_retry_after: bool

    def __init__(
        self,
        attempts: int = 3,
        *,
        backoff: float = 0.5,
        max_wait: float = 60,
        statuses: Collection[int] = (429, 502, 503, 504),
        methods: Collection[str] = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"),
        respect_retry_after: bool = True,
        **other: Never,
    ) -> None:
        if other:
            check_keys("retry", other, Retry.__annotations__)
        if type(attempts) is not int or not 1 <= attempts <= 100:
            raise InvalidSetting(f"retry: attempts must be a whole number from 1 to 100, not {shown(attempts)}")
        for name, seconds in (("backoff", backoff), ("max_wait", max_wait)):
            if type(seconds) not in (int, float) or not 0 <= seconds <= 86_400:
                raise InvalidSetting(f"retry: {name} must be a number of seconds, at most a day, not {shown(seconds)}")
        if not _all(statuses, lambda status: type(status) is int and 400 <= status <= 999):
            raise InvalidSetting(
                f"retry: statuses must be a list of status codes from 400 to 999, not {shown(statuses)}"
            )
        if not _all(methods, lambda method: isinstance(method, str) and is_token(method)):
            raise InvalidSetting(f"retry: methods must be a list of methods, not {shown(methods)}")
        if type(respect_retry_after) is not bool:
            raise InvalidSetting(f"retry: respect_retry_after must be true or false, not {shown(respect_retry_after)}")
        vars(self).update(
            attempts=attempts,
            backoff=backoff,
            max_wait=max_wait,
            statuses=tuple(statuses),
            methods=tuple(methods),
            respect_retry_after=respect_retry_after,
        )

    @classmethod
    def of(cls, setting: RetryTypes) -> Retry | None:
        """From what a caller may write: the number of attempts, a mapping of the fields, or None for no retry.

        Raises:
            InvalidSetting: for another type, an unknown key, or a value out of range.
        """
        if setting is None:
            return None
        if hasattr(setting, "status_forcelist"):
            raise InvalidSetting(
                "retry: this is urllib3's Retry; unifetch.Retry(attempts=total + 1, backoff=backoff_factor, "
                "statuses=status_forcelist, methods=allowed_methods) is ours (docs/how-to/retries.md)"
            )
        return of_fields(cls, "retry", setting) if isinstance(setting, (Retry, Mapping)) else cls(setting)

    def wait_before(
        self,
        attempt: int,
        method: str,
        *,
        replayable: bool,
        error: UnifetchError | None = None,
        status: int | None = None,
        headers: Headers | None = None,
        now: float,
        random: float,
    ) -> float | None:
        """Seconds to wait before sending a request again, or None if its outcome is final.

        Only a Retry-After gives more than `max_wait`: then the server asks for too much, and the call fails.

        Args:
            attempt: how often the request was sent so far.
            method: its method.
            replayable: whether its body can be sent again; true without a body.
            error: what it failed with, or None if there is a response.
            status, headers: of the response.
            now: seconds since the epoch, for a Retry-After that is a date.
            random: from 0 to 1.
        """
        if attempt >= self.attempts or not replayable:
            return None
        if method not in self.methods and (error is None or error.request_sent != "no"):
            return None
        said = error.status if isinstance(error, ProxyError) else status
        if said is not None:
            if said not in self.statuses:
                return None
        elif not isinstance(error, _PASSING) or isinstance(error, _LASTING):
            return None
        if self.respect_retry_after and error is None and headers is not None:
            # With two, neither can be believed.
            values = headers.get_all("retry-after")
            after = retry_after(values[0], now) if len(values) == 1 else None
            if after is not None:
                return after
        return random * min(self.max_wait, self.backoff * 2.0 ** (attempt - 1))


def _all(values: object, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, (list, tuple, set, frozenset)) and all(map(fits, values))


# RFC 9110 §5.6.7: IMF-fixdate, and the two obsolete forms, RFC 850 and asctime.
_DATE = re.compile(
    r"""(?: [A-Z][a-z]{2},[ ][0-9]{2}[ ][A-Z][a-z]{2}[ ][1-9][0-9]{3}[ ]TIME[ ]GMT
          | [A-Z][a-z]+day,[ ][0-9]{2}-[A-Z][a-z]{2}-[0-9]{2}[ ]TIME[ ]GMT
          | [A-Z][a-z]{2}[ ][A-Z][a-z]{2}[ ][ 0-9][0-9][ ]TIME[ ][1-9][0-9]{3} )\Z""".replace(
        "TIME", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
    ),
    re.VERBOSE,
)


def retry_after(value: str, now: float) -> float | None:
    """Seconds from a Retry-After field (RFC 9110 §10.2.3): 0 for a date in the past, None for anything malformed.

    `now` is in seconds since the epoch. RFC 9110 has only whole seconds, but servers of language models send `0.7`.
    """
    if re.match(r"[0-9]+(?:\.[0-9]+)?\Z", value):
        return float(value)
    if not _DATE.match(value):
        return None
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).replace(tzinfo=UTC).timestamp() - now)
    except ValueError:  # a 31st of February
        return None
