"""Errors that the runtime raises or answers with."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from eventstore.errors import (
    DiskFullError,
    LogisticsError,
    OutcomeUnknownError,
    StoreError,
    StoreFullError,
    StoreLostError,
)


class EngineClosedError(LogisticsError):
    """The engine was closed, or is closing, and takes no more commands."""


class BusyError(LogisticsError, TimeoutError):
    """Too much is waiting to be written; nothing was changed, try again in a moment (F52)."""


class InternalError(LogisticsError):
    """A rule of ours raised. The command changed nothing; the text says what happened. Please report it."""


class InputError(LogisticsError, ValueError):
    """What was asked for cannot be: the text says what was expected and what was got."""


class UnknownIdError(LogisticsError, LookupError):
    """Nothing on record has this id or name."""


class ForgottenIdError(UnknownIdError):
    """The id is from before what the log still knows: whether it was used, nobody can tell (R21)."""


class ConflictingIdError(LogisticsError, ValueError):
    """An id was used again for something else (F65)."""


class DuplicateJobError(LogisticsError, ValueError):
    """Another job has the unique key; `job_id` says which."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class QueueDrainingError(LogisticsError, RuntimeError):
    """The queue takes no more jobs on until it is resumed."""


class WouldDeadlockError(LogisticsError, RuntimeError):
    """Waiting here would never end: every worker would be waiting and none left to do the work."""


def not_now(why: object) -> StoreError:
    """Return what to say while the engine comes back from a failed commit: of a full disk a `StoreFullError`."""
    text = f"the store cannot be used just now ({why}); nothing was changed, the engine comes back by itself"
    if isinstance(why, StoreFullError):
        return StoreFullError(text, remedy=why.remedy)
    return StoreError(
        text, remedy="Put its files back." if isinstance(why, StoreLostError) else "Try again in a moment."
    )


def unknown(text: str, why: BaseException | None) -> OutcomeUnknownError:
    """Return what to say of what a failed commit held, or would have held."""
    error = (DiskFullError if isinstance(why, DiskFullError) else OutcomeUnknownError)(text)
    error.__cause__ = why
    return error


class ErasedError(LogisticsError, LookupError):
    """What is needed cannot be read: its subject was erased, or the subject's key is not here."""


class SubjectInUseError(LogisticsError, ValueError):
    """A subject has work that is not over; `work` names some of it (`job:…`, `run:…`, `schedule:…`)."""

    def __init__(self, message: str, work: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.work = work


class PoolClosedError(LogisticsError):
    """The engine closes, and what runs on its event loop or in its processes is cut short."""


class PayloadError(LogisticsError, ValueError):
    """A value cannot be stored, or a stored one cannot be read; names the path, or the size and the limit."""

    defined_in: ClassVar[str] = "actors.runtime.values"

    def __init__(self, message: str, *, path: str = "", size: int = 0, limit: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.size = size
        self.limit = limit


class FunctionError(LogisticsError, ValueError):
    """What was given cannot be stored by name; the message says why and what to do."""

    defined_in: ClassVar[str] = "actors.runtime.functions"


class UnresolvedReason(StrEnum):
    """Why a reference does not lead to a function in this process, now."""

    MALFORMED = "MALFORMED"
    NOT_ALLOWED = "NOT_ALLOWED"
    IMPORT_FAILED = "IMPORT_FAILED"
    NOT_FOUND = "NOT_FOUND"
    NOT_A_FUNCTION = "NOT_A_FUNCTION"
    OTHER_SCRIPT = "OTHER_SCRIPT"
    NOT_YET_DEFINED = "NOT_YET_DEFINED"


class UnresolvedFunctionError(LogisticsError, LookupError):
    """A stored reference leads to no function here; it may do so later, or in another process."""

    defined_in: ClassVar[str] = "actors.runtime.functions"

    def __init__(self, ref: str, reason: UnresolvedReason, detail: str) -> None:
        super().__init__(f"{ref!r} cannot be resolved ({reason}): {detail}")
        self.ref = ref
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[UnresolvedFunctionError], tuple[str, UnresolvedReason, str]]:
        """Let the error travel between processes."""
        return type(self), (self.ref, self.reason, self.detail)
