"""What an exception means for the job: another try, none, one at a given time, or none yet. Judged on the worker."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actors.runtime.effects import AS_USUAL, GIVE_UP, RETRY, SNOOZE, Verdict
from actors.runtime.errors import InputError
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("logistics.job")

PREDICATE = "?"
"""What the name of a predicate begins with; the name of an exception type does not."""
LONGEST_S = 100 * 366 * 86_400


def _after_us(after: object) -> int:
    total_seconds = getattr(after, "total_seconds", None)
    seconds = total_seconds() if total_seconds is not None else after
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_S:
        msg = f"after: expected 0 or more seconds, or a timedelta, got {after!r}"
        raise InputError(msg)
    return round(seconds * 1_000_000)


class Retry(LogisticsError):  # noqa: N818 -- raised to say what is to happen, not that something is wrong
    """Raised by a job: this attempt has failed, try again after so many seconds. It counts like any failure."""

    def __init__(self, after: object = 0, reason: str = "") -> None:
        self.after_us = _after_us(after)
        super().__init__(reason or f"to be tried again after {self.after_us / 1e6:g} s")


class Snooze(LogisticsError):  # noqa: N818 -- likewise
    """Raised by a job: not now, call me again after so many seconds. It counts as no attempt."""

    def __init__(self, after: object, reason: str = "") -> None:
        self.after_us = _after_us(after)
        super().__init__(reason or f"not now, again after {self.after_us / 1e6:g} s")


Retry.__module__ = Snooze.__module__ = "logistics"  # so that a traceback names what can be imported


def name_of(condition: object, register: Callable[[Callable[..., object]], str]) -> str:
    """Return the name by which an exception type, or a predicate on exceptions, is stored."""
    if isinstance(condition, str) and ":" in condition:
        return condition
    if isinstance(condition, type):
        if issubclass(condition, BaseException):
            return type_name(condition)
    elif callable(condition):
        return PREDICATE + register(condition)
    msg = f"expected exception types or functions of an exception, got {condition!r}"
    raise InputError(msg)


def type_name(kind: type) -> str:
    """Return the name by which an exception type is stored: that of the module where it stands."""
    return f"{getattr(kind, 'defined_in', kind.__module__)}:{kind.__qualname__}"


def judge(
    error: BaseException,
    retry_on: tuple[str, ...],
    give_up_on: tuple[str, ...],
    resolve: Callable[[str], Callable[..., object]],
) -> Verdict:
    """Judge what a job's function raised; `resolve` finds predicates by name. Never raises.

    A `Retry` or `Snooze` of the user's own that has not called `__init__` and does not say when is like any exception.
    """
    try:
        return _judged(error, retry_on, give_up_on, resolve)
    except BaseException as other:  # noqa: BLE001 -- whatever an exception's own attributes do
        logger.error("what a job raised could not be judged (%s)", type(other).__name__)  # noqa: TRY400 -- no text of it
        return AS_USUAL


def _judged(
    error: BaseException,
    retry_on: tuple[str, ...],
    give_up_on: tuple[str, ...],
    resolve: Callable[[str], Callable[..., object]],
) -> Verdict:
    if isinstance(error, Snooze | Retry):
        after_us = getattr(error, "after_us", None)
        if type(after_us) is int and 0 <= after_us <= LONGEST_S * 1_000_000:
            return Verdict(SNOOZE if isinstance(error, Snooze) else RETRY, after_us)
    if any(_applies(name, error, resolve) for name in give_up_on):
        return Verdict(GIVE_UP)
    if retry_on and not any(_applies(name, error, resolve) for name in retry_on):
        return Verdict(GIVE_UP)
    return AS_USUAL


def _applies(name: str, error: BaseException, resolve: Callable[[str], Callable[..., object]]) -> bool:
    if not name.startswith(PREDICATE):
        return any(type_name(kind) == name for kind in type(error).__mro__)
    try:
        return bool(resolve(name.removeprefix(PREDICATE))(error))
    except BaseException:
        logger.exception("the predicate %s could not judge %r; it is taken for false", name, error)
        return False
