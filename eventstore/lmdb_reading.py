"""Reading of the log on disk: frames by their positions, records by what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from eventstore.entity_index import EntityIndex, MissingRowError
from eventstore.errors import CompactedError, CorruptStoreError, StoreError
from eventstore.frame_cache import FrameCache
from eventstore.frame_table import NoFrameError, count_commits, read_batch, read_frame, read_head
from eventstore.framing import decode_frame
from eventstore.lmdb_engine import LmdbEngine
from eventstore.records import EMPTY, Frame, Head, Stored
from eventstore.retention import Horizon, Remnant, decode_remnant, is_remnant
from eventstore.shedding import read_index, read_ledger

T = TypeVar("T")


class LmdbReading(LmdbEngine):
    """What a `Log` answers; a handle that only reads follows the one that writes."""

    @property
    def head(self) -> Head:
        """The end of the log; a handle that only reads looks it up whenever somebody has committed."""
        if self._folder.read_only:
            self._look_at_end()
        self._check_usable()
        return self._head

    @property
    def horizon(self) -> Horizon:
        """Up to where the log was compacted; a handle that only reads looks it up each time."""
        _ = self.head
        return self._ledger.horizon

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of the states that are kept as of the horizon."""
        return self._ledger.bases

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        return self._frames(after=max(after, 0), end=self._end(upto))

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        end = self._end(upto)

        def look(index: EntityIndex) -> list[Stored]:
            return [self._stored(position, entity) for position in index.all_of(entity, end=end)]

        return self._looked_up(look)

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        end = self._end(upto)

        def look(index: EntityIndex) -> Stored | None:
            position = index.first(entity)
            return self._stored(position, entity) if 0 < position <= end else None

        return self._looked_up(look)

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        end = self._end(upto)

        def look(index: EntityIndex) -> Stored | None:
            position = index.last(entity, end=end)
            return self._stored(position, entity) if position else None

        return self._looked_up(look)

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        end = self._end(upto)
        while True:
            index = self._entities
            version = index.version
            try:
                for entity, position in self._index().entities(prefix, before=before):
                    self._check_usable()
                    before = entity
                    if position <= end:
                        yield entity
            except (MissingRowError, CompactedError):
                if not self._has_changed(index, version):
                    raise
            else:
                return

    def at(self, position: int) -> Stored | None:
        if not 1 <= position <= self.head.position:
            return None
        try:
            stored = self._frame_of(position).stored(position)
        except CompactedError as error:
            raise self._compacted(position) from error
        if position <= self._ledger.horizon.head.position:  # perhaps only not yet taken out
            entity = stored.record.entity
            if position not in self._looked_up(lambda index: index.all_of(entity, end=position)):
                raise self._compacted(position)
        return stored

    def kept(self) -> Iterator[Stored]:
        horizon = self.horizon.head.position
        for position in self._looked_up(lambda index: index.positions(upto=horizon)):
            yield self._frame_of(position).stored(position)

    # --- the end of the log -------------------------------------------------------------------------

    def _look_at_end(self) -> None:
        """Read the head if somebody has committed since it was read, and the index if the log was compacted."""
        commits = self._view(count_commits, "frames")
        if commits != self._commits:
            self._head = self._view(read_head, "frames", horizon=self._ledger.horizon.head)
            if self._view(read_ledger, "about").horizon != self._ledger.horizon:
                with self._indexing:
                    self._entities = self._read_index()
                    self._cache = FrameCache()
            self._commits = commits  # last: another thread does not think that all of it is known already

    def _end(self, upto: int | None) -> int:
        end = self.head.position
        return end if upto is None else min(upto, end)

    def _horizon_now(self) -> Horizon:
        """Return the horizon on disk: a handle that only reads may not have heard of it."""
        return self._view(read_ledger, "about").horizon

    # --- frames -------------------------------------------------------------------------------------

    def _frames(self, *, after: int, end: int) -> Iterator[Frame]:
        """Yield what is behind a position, without a look at where the log ends now."""
        if after >= end:
            return
        horizon = self._ledger.horizon
        if after < horizon.head.position:
            raise self._compacted(after + 1)
        first = after + 1
        try:
            first = self._whole_frame(first).first
            previous = self._head_at(first - 1).link
            while first <= end:
                for position, value in self._view(read_batch, "frames", first=first, end=end):
                    self._check_usable()
                    frame = _following(first, previous, position, value)
                    first, previous = frame.last + 1, frame.link
                    yield frame.clipped(after=after, upto=end)
        except CorruptStoreError as error:
            now = self._horizon_now()
            if now == horizon or first > now.head.position + 1:
                raise
            raise _compacted(first, now) from error  # since it began

    def _stored(self, position: int, entity: str) -> Stored:
        stored = self._frame_of(position).stored(position)
        if stored.record.entity != entity:
            raise CorruptStoreError(
                f"the index of {entity!r} leads to {stored.record.entity!r} at {position}"
            )
        return stored

    def _frame_of(self, position: int) -> Frame | Remnant:
        return self._cache.get(position, self._load)

    def _whole_frame(self, position: int) -> Frame:
        """Return the frame behind the horizon that holds a position."""
        frame = self._frame_of(position)
        if isinstance(frame, Remnant):
            raise CorruptStoreError(
                f"the frame at position {position} is not whole, though nothing was taken out"
            )
        return frame

    def _had(self, head: Head) -> bool:
        """Whether this was the end of the log once; one that was put back, and went on differently, lacks it."""
        try:
            return head == EMPTY or (
                head.position <= self._head.position and self._head_at(head.position) == head
            )
        except CompactedError:
            return False

    def _head_at(self, position: int) -> Head:
        """Return the head that the log had at the horizon, or at a frame's end behind it."""
        horizon = self._ledger.horizon.head
        return horizon if position == horizon.position else self._whole_frame(position).head

    def _load(self, position: int) -> tuple[Frame | Remnant, int]:
        try:
            first, value = self._view(read_frame, "frames", position=position)
        except NoFrameError as error:
            raise self._missing(position) from error
        frame = decode_remnant(first, value) if is_remnant(value) else decode_frame(first, value)
        if not frame.first <= position <= frame.last:
            raise self._missing(position)
        return frame, len(value)

    def _missing(self, position: int) -> StoreError:
        """Return what it means that no frame holds a position."""
        horizon = self._horizon_now()
        if position <= horizon.head.position:
            return _compacted(position, horizon)
        return NoFrameError(f"no frame holds position {position}")

    def _compacted(self, position: int) -> CompactedError:
        return _compacted(position, self._ledger.horizon)

    # --- the index ----------------------------------------------------------------------------------

    def _index(self) -> EntityIndex:
        """Return the index, once it knows the log up to the head: as it does but after opening."""
        index = self._entities
        if index.end < self._head.position:
            with self._indexing:
                index = self._entities
                if self._folder.read_only and self._head.position - index.end > self._segment_records:
                    index = self._entities = self._read_index()
                for frame in self._frames(after=index.end, end=self._head.position):
                    index.add(frame)
        return index

    def _looked_up(self, look: Callable[[EntityIndex], T]) -> T:
        """Look into the index, again if it was changed meanwhile, and rows of it or frames are gone."""
        while True:
            index = self._entities
            version = index.version
            try:
                return look(self._index())
            except (MissingRowError, CompactedError):
                if not self._has_changed(index, version):
                    raise

    def _has_changed(self, index: EntityIndex, version: object) -> bool:
        """Whether the index has other segments than it had; a handle that only reads looks them up."""
        if self._folder.read_only:
            with self._indexing:
                if self._entities is index:
                    self._entities = self._read_index()
        return self._entities.version != version

    def _read_index(self) -> EntityIndex:
        """Return the index as it is on disk now."""
        self._ledger, segments = self._view(read_index, "index", about=self._databases.about)
        return self._new_index(segments)


def _compacted(position: int, horizon: Horizon) -> CompactedError:
    return CompactedError(position, horizon.head.position, horizon.archive)


def _following(first: int, previous: bytes, position: int, value: bytes) -> Frame:
    """Return the frame stored under a position, if it is the one that follows. `CorruptStoreError`."""
    frame = decode_frame(position, value)
    if position != first or frame.previous != previous:
        raise CorruptStoreError(f"the chain is broken at position {first}")
    return frame
