"""The log in memory, with a page cache and a medium, for tests and for the simulation."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from threading import RLock

from eventstore.errors import ReopenNeededError, StoreClosedError
from eventstore.framing import encode_frame
from eventstore.log import check_head, check_snapshot
from eventstore.records import EMPTY, Frame, Head, Record, Stored
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
            return self._frames[self._synced - 1].last if self._synced else 0

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
        number = max(bisect_right(self._firsts, after + 1) - 1, 0)
        position = after
        while position < end:
            with self._lock:
                self._check_usable()
                frame = self._frames[number]
            yield frame.clipped(after=after, upto=end)
            position, number = frame.last, number + 1

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
        return self._frame_of(position).stored(position)

    def _positions(self, entity: str, upto: int | None) -> list[int]:
        end = self._end(upto)
        positions = self._index.get(entity, [])
        return positions[: bisect_right(positions, end)]

    def _holds(self, head: Head) -> bool:
        """Tell whether the log once ended with this head and still contains it."""
        if head.position > self._head().position:
            return False
        return head == EMPTY or self._frame_of(head.position).head == head

    def _check_usable(self) -> None:
        if self._refusal is StoreClosedError:
            raise StoreClosedError("the log is closed")
        if self._refusal is ReopenNeededError:
            raise ReopenNeededError("the log has to be reopened first")
