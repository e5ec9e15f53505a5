"""Reading the log from a thread of a caller's or a worker's, with patience while the engine reopens it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

from actors.runtime.errors import not_now
from eventstore.errors import ForkedError, ReopenNeededError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PAUSES_S: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0)
"""How long the engine is given to come back from a failed commit, try by try."""


def patiently(look: Callable[[], T], passing: type[StoreError] = ReopenNeededError) -> T:
    """Return what `look` reads; after a failed commit the log is reopened, which is waited for.

    `passing` is the error that says so.
    """
    for pause_s in PAUSES_S:
        try:
            return look()
        except ForkedError:  # that does not pass
            raise
        except passing:
            threading.Event().wait(pause_s)
    try:
        return look()
    except ReopenNeededError as error:
        raise not_now(error) from error
