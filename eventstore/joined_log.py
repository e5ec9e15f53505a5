"""A log together with the archive of what was taken out of it: it reads as if nothing ever had been."""

from __future__ import annotations

import logging
from heapq import merge
from itertools import chain, groupby
from typing import TYPE_CHECKING, NoReturn, TypeVar

from eventstore.errors import ArchiveError, CompactedError, StoreAccessError
from eventstore.records import EMPTY, Frame, Head, Record, Stored
from eventstore.retention import NO_HORIZON, Compaction, Horizon
from eventstore.segments import kind_of
from eventstore.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from eventstore.log import Log

T = TypeVar("T")
logger = logging.getLogger("logistics.archive")


class JoinedLog:
    """A `Log` that is only read. Of what the archive lacks, it says the same as the log alone."""

    def __init__(self, log: Log, folder: Path, *, whole: Collection[str] = ()) -> None:
        """Join a log and the folder with its archive, which need not be there.

        What the log has of an entity of one of the kinds `whole` is all that there is, or else the id was used
        before: so it is told without the archive, and with a warning, if that cannot be read.
        """
        self._log = log
        self._whole = whole
        self._folder = folder
        self._seen = NO_HORIZON
        self._shelf = Shelf(folder, EMPTY)
        self._is_warned = False

    @property
    def store_id(self) -> str:
        return self._log.store_id

    @property
    def head(self) -> Head:
        return self._log.head

    @property
    def horizon(self) -> Horizon:
        """Up to where neither the log nor the archive has all there was."""
        self._look()
        before = self._shelf.before
        return self._seen if before == self._seen.head else Horizon(before, "")

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        after = max(after, 0)
        end = self.head.position if upto is None else min(upto, self.head.position)
        seen = self._look()
        while after < end:
            try:
                for frame in self._frames(after, end, seen):
                    after = frame.last
                    yield frame
            except CompactedError:
                before, seen = seen, self._look()
                if seen == before:
                    raise  # else what is missing may be in the archive since

    def _frames(self, after: int, end: int, seen: int) -> Iterator[Frame]:
        if after < self._shelf.begin:
            yield from self._log.frames(after=after, upto=end)  # says what is missing
        for file in self._shelf.files(after=after, upto=end):
            for frame in file.frames(after=after):
                if frame.first > end:
                    return
                yield frame.clipped(after=after, upto=end)
        yield from self._log.frames(after=max(after, seen), upto=end)

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        def find() -> list[Stored]:
            recorded = self._log.history(entity, upto=upto)
            begin, seen = self._shelf.begin, self._seen.head.position
            if begin == seen:
                return recorded
            kept = [stored for stored in recorded if stored.position <= begin]
            newer = [stored for stored in recorded if stored.position > seen]
            try:
                return [*kept, *self._archived(entity, upto), *newer]
            except ArchiveError as error:
                self._make_do(entity, error)
                return recorded

        return self._steadily(find)

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        def find() -> Stored | None:
            found = self._log.first(entity, upto=upto)
            if found is not None and found.position <= self._shelf.begin:
                return found
            try:
                return next(self._archived(entity, upto), found)
            except ArchiveError as error:
                self._make_do(entity, error)
                return found

        return self._steadily(find)

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        found = self._log.last(entity, upto=upto)
        if found is not None and found.position > self._look():
            return found
        return next(reversed(self.history(entity, upto=upto)), None)

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        """Yield entities from the greatest downwards; reads all of the archive before the first."""
        while True:
            seen = self._look()
            for entity in self._entities(prefix, before, upto):
                if self._look() != seen:
                    break  # what was forgotten since, between the last one and this one, is in the archive
                before = entity
                yield entity
            else:
                if self._look() == seen:
                    return

    def _entities(self, prefix: str, before: str | None, upto: int | None) -> Iterator[str]:
        old = {
            record.entity
            for file in self._shelf.files(upto=upto)
            for frame in file.frames()
            if upto is None or frame.first <= upto
            for record in (frame if upto is None else frame.clipped(after=0, upto=upto)).records
            if record.entity.startswith(prefix) and (before is None or record.entity < before)
        }
        recorded = self._log.entities(prefix, before=before, upto=upto)
        for entity, _ in groupby(merge(sorted(old, reverse=True), recorded, reverse=True)):
            yield entity

    def at(self, position: int) -> Stored | None:
        def find() -> Stored | None:
            for file in self._shelf.files(after=position - 1, upto=position):
                return file.frame_of(position).stored(position)
            return self._log.at(position)

        return self._steadily(find)

    def kept(self) -> Iterator[Stored]:
        horizon = self.horizon.head.position
        return (stored for stored in (self._log.kept() if horizon else ()) if stored.position <= horizon)

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> NoReturn:  # noqa: ARG002 -- as in every log
        raise _refusal()

    def compact(self, plan: Compaction) -> NoReturn:  # noqa: ARG002 -- as in every log
        raise _refusal()

    def save_snapshot(self, name: str, position: int, data: bytes) -> NoReturn:  # noqa: ARG002 -- as in every log
        raise _refusal()

    def tidy(self) -> bool:
        return False

    def tend(self) -> None:
        """Nothing is to be looked after."""

    def reopen(self) -> Head:
        return self._log.reopen()

    def load_snapshots(self, name: str, *, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        return self._log.load_snapshots(name, upto=upto)

    def close(self) -> None:
        self._log.close()

    def _archived(self, entity: str, upto: int | None) -> Iterator[Stored]:
        positions = chain.from_iterable(
            ((file, position) for position in file.positions_of(entity))
            for file in self._shelf.files(upto=upto)
        )
        for file, position in positions:
            if upto is not None and position > upto:
                return
            yield file.frame_of(position).stored(position)

    def _make_do(self, entity: str, error: ArchiveError) -> None:
        """Raise the error, unless the log most likely has all of an entity."""
        if kind_of(entity) not in self._whole or self._log.first(entity) is None:
            raise error
        if not self._is_warned:
            self._is_warned = True
            logger.warning("%s; what the log itself has is told without it", error)

    def _steadily(self, find: Callable[[], T]) -> T:
        """Find something in log and archive, once more if the log was compacted meanwhile."""
        while True:
            seen = self._look()
            try:
                found = find()
            except CompactedError:
                if self._look() == seen:
                    raise
            else:
                if self._look() == seen:
                    return found

    def _look(self) -> int:
        """Look which files lead to the log's horizon now; return its position."""
        horizon = self._log.horizon
        if horizon != self._seen:
            self._shelf = Shelf(self._folder, horizon.head)
            self._seen = horizon
        return horizon.head.position


def _refusal() -> StoreAccessError:
    return StoreAccessError("a log joined with its archive is only read", remedy="Write to the log itself.")
