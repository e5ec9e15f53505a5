"""The answer somebody waits for: set once, from any thread, awaited by any number."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("logistics.reply")

_UNSET: Final = object()


class Reply:
    """A one-shot future, lighter than Pykka's: one raw lock, no condition.

    The first of `set` and `fail` wins; a later one is ignored, because an answer that was given up
    (a failed commit, a dropped mailbox) may still be on its way.
    """

    __slots__ = ("_callbacks", "_error", "_gate", "_once", "_value")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._once = threading.Lock()
        self._value: Any = _UNSET
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Reply], None]] | None = None

    @property
    def done(self) -> bool:
        """True once there is an answer."""
        return self._value is not _UNSET or self._error is not None

    def set(self, value: object) -> None:
        """Answer with `value`; an exception is raised at the waiting side."""
        if not self._once.acquire(blocking=False):
            return
        if isinstance(value, BaseException):
            self._error = value
        else:
            self._value = value
        self._gate.release()
        if self._callbacks:
            self._call_back()

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self.set(error)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds (None: for ever); True if there is an answer."""
        if not self.done and self._gate.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            self._gate.release()
        return self.done

    def get(self, timeout: float | None = None) -> Any:
        """Return the answer or raise its error; `TimeoutError` after `timeout` seconds without one."""
        if not self.wait(timeout):
            msg = f"no answer within {timeout} s"
            raise TimeoutError(msg)
        if self._error is not None:
            raise self._error
        return self._value

    def when_done(self, callback: Callable[[Reply], None]) -> None:
        """Call `callback(self)` once answered, on the answering thread, or now if it is already."""
        callbacks = self._callbacks
        if callbacks is None:
            callbacks = self._callbacks = []
        callbacks.append(callback)
        if self.done:
            self._call_back()

    def _call_back(self) -> None:
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop(0)
            except IndexError:  # the other thread took the last one
                return
            try:
                callback(self)
            except Exception:  # whoever answers must not suffer: it may be the journal
                logger.exception("a callback of a reply failed")
