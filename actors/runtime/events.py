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


class LogCompacted(Event, frozen=True, tag="log.compacted"):
    """Everything up to a horizon is about to be forgotten, but for what is kept: the chain vouches for both."""

    horizon: int
    """The position up to which."""
    link: str
    """Of the frame that ended there, in hexadecimal digits."""
    archive: str
    """The file that has what is forgotten; empty if it was not archived."""
    kept: str
    """SHA-256 of the entities that are kept, with their positions, in hexadecimal digits."""
    at_us: int

    @property
    def entity(self) -> str:
        """The engine itself."""
        return ENGINE


class SubjectErased(Event, frozen=True, tag="subject.erased"):
    """The key of a subject was destroyed: what was sealed with it cannot be read any more, by anybody."""

    key: str
    """The id of the key. Nothing on record says whose it was."""
    at_us: int
    by: str
    """Who has done it, as they said; empty if they did not."""

    @property
    def entity(self) -> str:
        """The subject, by its key."""
        return f"subject:{self.key}"
