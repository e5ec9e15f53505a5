"""The log as a port: what every implementation promises, kept by one contract suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from eventstore.errors import ConflictError, FencedError
from eventstore.records import Frame, Head, Record, Stored
from eventstore.retention import Compaction, Horizon


class Log(Protocol):
    """An append-only sequence of records, written in frames by one writer, read by many threads.

    Positions are gapless and begin with 1. No read returns anything beyond `upto`, nor beyond
    the head. Every call may raise `StoreError`; after an `OutcomeUnknownError` all but `reopen`
    and `close` raise `ReopenNeededError`, after `close` all but `close` raise `StoreClosedError`.
    """

    @property
    def store_id(self) -> str:
        """The store's own id, given once when it was created."""

    @property
    def head(self) -> Head:
        """The end of the log as this handle knows it: all of it is durable."""

    @property
    def horizon(self) -> Horizon:
        """Up to where the log was compacted: of what is there, only what was `kept` is left."""

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        """Write one frame, all or nothing, durable when this returns; return the new head.

        `ValueError` for no records or an empty entity, `CodecError` for what cannot be encoded,
        `ConflictError` unless `expected` is the head's position, `FencedError` for an epoch below
        the head's, `NotWrittenError` if the same batch may simply be repeated: after all of these
        the log is as it was. `OutcomeUnknownError` for everything else.
        """

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        """Yield what was written after a position, in order, checked.

        Ends at the head of the moment when the iteration begins. A frame that a bound falls into
        is handed out with only the records inside. `CorruptStoreError` for wrong bytes, a gap,
        or a broken chain; `CompactedError` for an `after` before the horizon.
        """

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        """Return all records of an entity, oldest first; costs what that history costs."""

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        """Return the oldest record of an entity."""

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        """Return the newest record of an entity."""

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        """Yield the entities that begin with `prefix`, each once, from the greatest downwards.

        With `before`, only those below it. Ids made of the time come newest first. Entities are ordered by
        their code points; the iteration ends at the head of the moment when it begins.
        """

    def at(self, position: int) -> Stored | None:
        """Return the record at a position; None outside the log. `CompactedError` for one that was taken out."""

    def kept(self) -> Iterator[Stored]:
        """Yield what is left up to the horizon, in order."""

    def compact(self, plan: Compaction) -> None:
        """Forget everything up to a horizon but what a plan keeps, durably when this returns.

        Positions stay what they were, and a fold begins with the plan's states from then on. Not while
        somebody may still write because of what is forgotten. `ValueError` for a plan that does not fit,
        else as `append`. What was forgotten is taken out by `tidy`.
        """

    def tidy(self) -> bool:
        """Do one short piece of housekeeping, in a transaction of its own; whether there may be more.

        Raises as `append` does.
        """

    def reopen(self) -> Head:
        """Begin anew from what is on disk, as a new process would, and return its head.

        Until an append has succeeded on top, what is read may still be lost to a power failure.
        """

    def save_snapshot(self, name: str, position: int, data: bytes) -> None:
        """Keep a copy of some state as of a position, beside a few older ones of that name.

        `ValueError` for a position beyond the head, `StoreError` if it cannot be written; the log
        is not touched by that.
        """

    def load_snapshots(self, name: str, *, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield positions, up to `upto`, and data, newest first: of those that are whole and of this log.

        The last is the state as of the horizon, if there is one: without it, nothing can be folded.
        """

    def tend(self) -> None:
        """Do what is due beside the writing, once a second: note how far the log has come, durably.

        Whatever goes wrong is logged once and harms nobody.
        """

    def close(self) -> None:
        """Give everything back; a second call does nothing."""


def check_head(head: Head, *, expected: int, epoch: int) -> None:
    """Refuse an append at a stale position or epoch."""
    if epoch < head.epoch:
        raise FencedError(f"epoch {epoch} is over: the log is in epoch {head.epoch}")
    if expected != head.position:
        raise ConflictError(f"the log ends at {head.position}, not at {expected}")


def check_snapshot(position: int, head: Head) -> None:
    """Refuse a snapshot of what the log does not hold."""
    if not 0 <= position <= head.position:
        raise ValueError(f"a snapshot at {position} is beyond the log, which ends at {head.position}")
