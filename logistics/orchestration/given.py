"""What works on the engine that it was given, or on the default one."""

from __future__ import annotations

from actors.runtime.errors import InputError
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default


def refuse_engine(what: str, value: object, call: str) -> None:
    """Say how an engine is given to what takes something else first; `InputError`."""
    if isinstance(value, OrchestrationEngine):
        msg = f"{what}: got an engine; name it: {call}"
        raise InputError(msg)


class OnEngine:
    """Works on the engine that it was given; None: on the default one, opened at first use."""

    def __init__(self, engine: OrchestrationEngine | None = None) -> None:
        """Use `engine`, or the default engine."""
        self._given = None if engine is None else engine_or_default(engine)

    def __repr__(self) -> str:
        given = "" if self._given is None else f"engine={self._given!r}"
        return f"{type(self).__name__}({given})"

    @property
    def engine(self) -> OrchestrationEngine:
        """The engine that does the work, in whose store it is on record."""
        return engine_or_default(self._given)
