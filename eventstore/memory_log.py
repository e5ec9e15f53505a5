"""The log in memory, with a page cache and a medium, for tests and for the simulation."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from threading import RLock

from eventstore.errors import CompactedError, ReopenNeededError, StoreClosedError
from eventstore.framing import encode_frame
from eventstore.log import check_head, check_snapshot
from eventstore.records import EMPTY, Frame, Head, Record, Stored
from eventstore.retention import NO_HORIZON, Compaction, Horizon, check_plan
from eventstore.snapshots import KEPT


class MemoryLog:
    """A `Log` that lives as long as its object, with the same frames and links as on disk.

    What a process has written is in the cache; what is synced is on the medium too. `kill` loses
    neither, `power_failure` loses what is in the cache alone; after either of them, `reopen` is
    what the next process does.
    """

    def __init__(self, *, store_id: str = "00000000-0000-0000-0000-000000000000") -> None:
        """Begin empty."""
        self.store_id = store_id
        self._lock = RLock()
        self._frames: list[Frame] = []
        self._firsts: list[int] = []
        self._synced = 0
        self._index: defaultdict[str, list[int]] = defaultdict(list)
        self._horizon = NO_HORIZON
        self._kept: dict[int, Stored] = {}
        self._bases: dict[str, bytes] = {}
        self._snapshots: dict[str, list[tuple[int, bytes, Head]]] = defaultdict(list)
        self._refusal: type[StoreClosedError | ReopenNeededError] | None = None

    @property
    def head(self) -> Head:
        """The end of the log."""
        with self._lock:
            self._check_usable()
            return self._head()

    @property
    def synced(self) -> int:
        """The position up to which a power failure loses nothing."""
        with self._lock:
            return self._frames[self._synced - 1].last if self._synced else self._horizon.head.position

    @property
    def horizon(self) -> Horizon:
        """Up to where the log was compacted."""
        return self._horizon

    def append(self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int) -> Head:
        """Write one frame and sync it, with all that was only cached before it."""
        with self._lock:
            head = self.append_cached(records, expected=expected, epoch=epoch, recorded_us=recorded_us)
            self._synced = len(self._frames)
            return head

    def append_cached(
        self, records: Sequence[Record], *, expected: int, epoch: int, recorded_us: int
    ) -> Head:
        """Write one frame to the cache alone, as a commit does whose sync then fails."""
        with self._lock:
            self._check_usable()
            head = self._head()
            check_head(head, expected=expected, epoch=epoch)
            frame, _ = encode_frame(records, head=head, epoch=epoch, recorded_us=recorded_us)
            self._frames.append(frame)
            self._firsts.append(frame.first)
            for position, record in enumerate(frame.records, frame.first):
                self._index[record.entity].append(position)
            return frame.head

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        """Yield what was written after a position, up to the head of this moment."""
        end, after = self._end(upto), max(after, 0)
        position = after
        while position < end:
            with self._lock:
                self._check_usable()
                horizon, archive = self._horizon
                if position < horizon.position:
                    raise CompactedError(position + 1, horizon.position, archive)
                frame = self._frame_of(position + 1)
            yield frame.clipped(after=after, upto=end)
            position = frame.last

    def history(self, entity: str, *, upto: int | None = None) -> list[Stored]:
        """Return all records of an entity, oldest first."""
        with self._lock:
            return [self._stored(position) for position in self._positions(entity, upto)]

    def first(self, entity: str, *, upto: int | None = None) -> Stored | None:
        """Return the oldest record of an entity."""
        with self._lock:
            end = self._end(upto)
            positions = self._index.get(entity)
            return self._stored(positions[0]) if positions and positions[0] <= end else None

    def last(self, entity: str, *, upto: int | None = None) -> Stored | None:
        """Return the newest record of an entity."""
        with self._lock:
            positions = self._positions(entity, upto)
            return self._stored(positions[-1]) if positions else None

    def entities(self, prefix: str, *, before: str | None = None, upto: int | None = None) -> Iterator[str]:
        """Yield the entities that begin with `prefix`, from the greatest downwards."""
        with self._lock:
            end = self._end(upto)
            found = [
                entity
                for entity, positions in self._index.items()
                if entity.startswith(prefix)
                and (before is None or entity < before)
                and positions
                and positions[0] <= end
            ]
        for entity in sorted(found, reverse=True):
            self._check_usable()
            yield entity

    def at(self, position: int) -> Stored | None:
        """Return the record at a position."""
        with self._lock:
            return self._stored(position) if 1 <= position <= self._end(None) else None

    def kept(self) -> Iterator[Stored]:
        """Yield what is left up to the horizon."""
        with self._lock:
            yield from sorted(self._kept.values())

    def compact(self, plan: Compaction) -> None:
        """Forget everything up to a horizon but what the plan keeps, at once, and sync it."""
        with self._lock:
            self._check_usable()
            head = plan.horizon.head
            check_plan(plan, self._head(), self._horizon)
            if not self._holds(head):
                raise ValueError(f"the horizon at {head.position} is not a head that this log had")
            kept = {place: self._stored(place) for _, places in plan.kept for place in places}
            number = bisect_right(self._firsts, head.position)
            for positions in self._index.values():
                positions[:] = [each for each in positions if each > head.position or each in kept]
            del self._frames[:number], self._firsts[:number]
            self._synced = len(self._frames)
            self._kept, self._bases, self._horizon = kept, dict(plan.bases), plan.horizon

    def tidy(self) -> bool:
        """Nothing is left to be done."""
        self._check_usable()
        return False

    def save_snapshot(self, name: str, position: int, data: bytes) -> None:
        """Keep a copy of some state, together with the head that it is a state of."""
        with self._lock:
            self._check_usable()
            head = self._head()
            check_snapshot(position, head)
            kept = [each for each in self._snapshots[name] if each[0] != position]
            self._snapshots[name] = sorted([*kept, (position, bytes(data), head)], reverse=True)[:KEPT]

    def load_snapshots(self, name: str, *, upto: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield positions and data, newest first, unless the log has lost what the snapshot knew."""
        with self._lock:
            self._check_usable()
            kept = [(position, data) for position, data, head in self._snapshots[name] if self._holds(head)]
        kept = [(position, data) for position, data in kept if position >= self._horizon.head.position]
        if name in self._bases:
            kept.append((self._horizon.head.position, self._bases[name]))
        for position, data in kept:
            if upto is None or position <= upto:
                yield position, data

    def tend(self) -> None:
        """Nothing is beside this log."""

    def kill(self) -> None:
        """Let the process die: the cache stays, as with kill -9."""
        with self._lock:
            self._refusal = ReopenNeededError

    def power_failure(self) -> None:
        """Let the machine die: what was not synced is gone."""
        with self._lock:
            lost = self._frames[self._synced :]
            del self._frames[self._synced :], self._firsts[self._synced :]
            for frame in reversed(lost):
                for record in reversed(frame.records):
                    self._index[record.entity].pop()
            self._refusal = ReopenNeededError

    def reopen(self) -> Head:
        """Begin anew from what cache and medium hold."""
        with self._lock:
            if self._refusal is StoreClosedError:
                self._check_usable()
            self._refusal = None
            return self._head()

    def close(self) -> None:
        """Refuse everything from now on."""
        with self._lock:
            self._refusal = StoreClosedError

    def _head(self) -> Head:
        return self._frames[-1].head if self._frames else EMPTY

    def _end(self, upto: int | None) -> int:
        end = self.head.position
        return end if upto is None else min(upto, end)

    def _frame_of(self, position: int) -> Frame:
        return self._frames[bisect_right(self._firsts, position) - 1]

    def _stored(self, position: int) -> Stored:
        if position > self._horizon.head.position:
            return self._frame_of(position).stored(position)
        if position not in self._kept:
            raise CompactedError(position, self._horizon.head.position, self._horizon.archive)
        return self._kept[position]

    def _positions(self, entity: str, upto: int | None) -> list[int]:
        end = self._end(upto)
        positions = self._index.get(entity, [])
        return positions[: bisect_right(positions, end)]

    def _holds(self, head: Head) -> bool:
        """Tell whether the log once ended with this head and still contains it."""
        if head.position > self._head().position:
            return False
        if head.position <= self._horizon.head.position:
            return head == self._horizon.head
        return self._frame_of(head.position).head == head

    def _check_usable(self) -> None:
        if self._refusal is StoreClosedError:
            raise StoreClosedError("the log is closed")
        if self._refusal is ReopenNeededError:
            raise ReopenNeededError("the log has to be reopened first")
