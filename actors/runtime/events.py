"""The runtime's own events: the engine opened, the engine closed."""

from __future__ import annotations

from actors.runtime.messages import Event

ENGINE = "engine"


class EngineOpened(Event, frozen=True, tag="engine.opened"):
    """The synced barrier on top of everything read: only now does what was read count as durable (R12)."""

    epoch: int
    generation: int
    at_us: int
    version: str
    tzdata: str

    @property
    def entity(self) -> str:
        """The engine itself."""
        return ENGINE


class EngineClosed(Event, frozen=True, tag="engine.closed"):
    """The last event of a clean shutdown."""

    epoch: int
    at_us: int

    @property
    def entity(self) -> str:
        """The engine itself."""
        return ENGINE
