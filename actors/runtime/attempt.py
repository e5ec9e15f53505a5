"""What user code may ask about the attempt that runs it, and how it knows whose worker it is on."""

from __future__ import annotations

import contextvars
import inspect
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from actors.runtime.binding import CONTEXT_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.effects import AttemptKey


class AttemptContext:
    """Handed to a function that has a parameter named `ctx`: which job, step and attempt this is."""

    __slots__ = ("attempt", "job_id", "logger", "name", "run_id")

    def __init__(self, key: AttemptKey, name: str, owner: str) -> None:
        self.job_id = key.job_id
        """The job's id; a step's too."""
        self.attempt = key.attempt
        """1 for the first attempt."""
        self.name = name
        """The job's name; of a step `workflow.step`."""
        self.run_id = owner.removeprefix("run:") if owner.startswith("run:") else None
        """The run that a step belongs to, or None."""
        ids = {"job_id": key.job_id, "attempt": key.attempt, "run_id": self.run_id}
        self.logger = logging.LoggerAdapter(logging.getLogger("logistics.job"), ids)
        """Logs with the ids in `extra`."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job: give it to whatever must not do the work twice."""
        return self.job_id

    def __repr__(self) -> str:
        """Show the ids."""
        return f"AttemptContext(job_id={self.job_id!r}, attempt={self.attempt}, name={self.name!r})"


@lru_cache(maxsize=1024)
def context_place(func: Callable[..., Any]) -> int | None:
    """Return which parameter of a function is named `ctx` and can be passed by name; None if there is none."""
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError):  # some functions written in C have no signature
        return None
    wanted = parameters.get(CONTEXT_PARAMETER)
    if wanted is None or wanted.kind not in (wanted.POSITIONAL_OR_KEYWORD, wanted.KEYWORD_ONLY):
        return None
    return list(parameters).index(CONTEXT_PARAMETER)


CURRENT: contextvars.ContextVar[Any] = contextvars.ContextVar("logistics_runtime")
"""The runtime on whose worker the present code runs; unset elsewhere."""
