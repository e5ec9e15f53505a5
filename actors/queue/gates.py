"""What holds jobs back: so many at one time, so many in a span of time. One gate for all that share a limit."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actors.queue.heads import Heads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.lanes import Lane
    from actors.queue.lines import Line
    from actors.queue.specs import Rate

ONLY_BY_AN_END = 2**63
"""The instant at which a gate opens that only the end of an attempt can open."""


class Parked:
    """Lanes that wait at one place: those of a queue in its own order, queues by the place of whom each has first.

    Two such places may have one and the same two in different orders: where lanes wait at several, all go by their
    place, or each of them could wait for another one.
    """

    __slots__ = ("_by_place", "_lanes", "_lines")

    def __init__(self, *, by_place: bool = False) -> None:
        self._by_place = by_place
        self._lanes: dict[Line, Heads[Lane]] = {}
        self._lines: Heads[Line] = Heads()

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, lane: Lane) -> None:
        """Have a lane wait here."""
        lanes = self._lanes.get(lane.line)
        if lanes is None:
            lanes = self._lanes[lane.line] = Heads()
        lanes.put(lane, self._rank_of(lane))
        self.look_at(lane.line)

    def remove(self, lane: Lane) -> None:
        """Have a lane wait here no more."""
        lanes = self._lanes[lane.line]
        lanes.remove(lane)
        if not lanes:
            del self._lanes[lane.line]
        self.look_at(lane.line)

    def order(self, *, by_place: bool) -> None:
        """Have all go by their place, or those of a queue in its order."""
        lanes = list(self)
        self._by_place = by_place
        self._lanes.clear()
        self._lines = Heads()
        for lane in lanes:
            self.put(lane)

    def _rank_of(self, lane: Lane) -> tuple[int, ...]:
        return lane.place if self._by_place else lane.line.rank_of(lane)

    def look_at(self, line: Line) -> None:
        """Give a queue its place, which is that of its first lane here."""
        first = self.first_of(line)
        if first is None:
            self._lines.remove(line)
        else:
            self._lines.put(line, first.place)

    def first(self) -> Lane | None:
        """Return the lane that is next."""
        line = self._lines.first()
        return None if line is None else self.first_of(line)

    def first_of(self, line: Line) -> Lane | None:
        """Return the first lane of a queue, by its place now: its group's turn may be later than when it came."""
        lanes = self._lanes.get(line)
        while lanes and (lane := lanes.first()) is not None:
            rank = self._rank_of(lane)
            if lanes.first_key() == rank:
                return lane
            lanes.put(lane, rank)
        return None

    def before(self, lane: Lane) -> Lane | None:
        """Return a lane that goes before this one: of its queue by their order, of others by their place."""
        own = self.first_of(lane.line)
        if own is not None and self._rank_of(own) < self._rank_of(lane):
            return own
        first = next((self.first_of(line) for line in self._lines if line is not lane.line), None)
        return first if first is not None and first.place < lane.place else None

    def of(self, line: Line) -> list[Lane]:
        """Return the lanes of a queue, in their order."""
        return list(self._lanes.get(line, ()))

    def __iter__(self) -> Iterator[Lane]:
        """Yield all lanes, one queue after the other."""
        for line in list(self._lanes):
            yield from self.of(line)


class Gate:
    """Lets through at most `limit` jobs at one time (0: any number), and no faster than `rate`.

    What it remembers of a time that now lies in the future was recorded before the clock was set back; it does
    not count, so that nothing waits for the clock to get there again.
    """

    __slots__ = ("_full_us", "_starts", "limit", "parked", "rate", "running")

    def __init__(self, limit: int, rate: Rate | None, parked: Parked | None = None) -> None:
        self.limit = limit
        self.rate = rate
        self.running = 0
        """Attempts that it let through and that have not ended."""
        self.parked = Parked() if parked is None else parked
        """Lanes that were held back here, by their first jobs."""
        self._starts: deque[int] = deque(maxlen=rate.count if rate is not None and not rate.burst else 0)
        """The newest instants of a sliding window."""
        self._full_us = 0
        """A token bucket: until when its tokens are spoken for, in microseconds times `rate.count`."""

    def opens_us(self, now_us: int) -> int:
        """Return when it lets the next job through: 0 for now."""
        if self.limit and self.running >= self.limit:
            return ONLY_BY_AN_END
        rate = self.rate
        if rate is None:
            return 0
        if rate.burst:
            return self._next_token_us(rate, now_us)
        starts = self._starts
        if len(starts) < rate.count or starts[0] > now_us or starts[0] + rate.per_us <= now_us:
            return 0
        return starts[0] + rate.per_us

    def _next_token_us(self, rate: Rate, now_us: int) -> int:
        now = now_us * rate.count
        if self._full_us - now > rate.burst * rate.per_us:
            return 0  # the clock was set back
        at = self._full_us - (rate.burst - 1) * rate.per_us
        return 0 if at <= now else -(-at // rate.count)

    def take(self, at_us: int) -> None:
        """Note that it let a job through."""
        self.running += 1
        rate = self.rate
        if rate is None:
            return
        if rate.burst:
            now = at_us * rate.count
            behind = self._full_us - now
            was = self._full_us if 0 < behind <= rate.burst * rate.per_us else now
            self._full_us = was + rate.per_us
        else:
            self._starts.append(at_us)

    def set_back(self, newest_us: int, now_us: int) -> None:
        """Forget what lies ahead of a clock that was set back, and what was past before: a snapshot had not had it."""
        rate = self.rate
        if rate is None:
            return
        if rate.burst:
            is_ahead = self._full_us - now_us * rate.count > rate.burst * rate.per_us
            if is_ahead or self._full_us <= newest_us * rate.count:
                self._full_us = 0
        else:
            kept = [start for start in self._starts if start <= now_us and start + rate.per_us > newest_us]
            self._starts = deque(kept, self._starts.maxlen)

    def dump(self, since_us: int) -> Any:
        """Give what its rate remembers that may still matter at `since_us`; None for nothing."""
        rate = self.rate
        if rate is None:
            return None
        if rate.burst:
            return divmod(self._full_us, rate.count) if self._full_us > since_us * rate.count else None
        return [start for start in self._starts if start + rate.per_us > since_us] or None

    def restore(self, image: Any) -> None:
        """Remember again."""
        assert self.rate is not None
        if self.rate.burst:
            whole, rest = image
            self._full_us = whole * self.rate.count + rest
        else:
            self._starts.extend(image)
