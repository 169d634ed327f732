"""The seam at which a test steps between a call and its backend: one slot of the process, read once a call.

It is empty outside of tests; `unifetch.testing.intercept` fills it.
"""

from __future__ import annotations

import os

TYPE_CHECKING: bool = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .call import Journey

    class Interception(Protocol):
        """What stands in the slot."""

        def before(self, backend: Any) -> Any:
            """What carries the call in place of the backend chosen for it."""

        def journey(self, *what: Any) -> Journey:
            """The journey of a call, from the arguments of `Journey`."""


# Inherited by processes that are started inside `intercept`: no handler reaches them, and the network is shut.
SHUT = "UNIFETCH_NETWORK_SHUT"


class Unanswered(BaseException):
    """A request that no handler took: it did not reach the network. It is no `Exception`, so that no retry eats it."""


class Seam:
    """The slot: what stands before the backends of this process, if anything does."""

    def __init__(self) -> None:
        self.interception: Interception | None = None


class _Shut:
    """Before the backends of a process that was started inside `intercept`."""

    def before(self, backend: Any) -> Any:
        raise Unanswered(
            "this process was started inside intercept(), where the network is shut, and no handler reaches it; "
            f"remove {SHUT} from its environment if it may use the network"
        )

    def journey(self, *what: Any) -> Journey:
        raise NotImplementedError  # `before` comes first


SEAM = Seam()
if os.environ.get(SHUT):
    SEAM.interception = _Shut()
