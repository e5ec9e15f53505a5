"""The queues: the lanes of each in their order, the jobs that wait for an instant, and what is counted."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, Any

from actors.queue.gates import Gate
from actors.queue.heads import Heads, in_order
from actors.queue.jobs import WAITING
from actors.queue.specs import JobStatus, QueueSettings
from actors.queue.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.queue.jobs import Job, Kind
    from actors.queue.lanes import Lane
    from actors.queue.specs import Rate

MANY_SPANS = 1_024
"""Spans with retries in them that are kept without looking whether they have passed."""
STRIDE = 1_000_000
"""What a start costs a group of weight 1."""


class Group:
    """Those in a queue among whom its workers are shared evenly, or by weight; its own lanes in their order."""

    __slots__ = ("busy", "lanes", "name", "running", "size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lanes: Heads[Lane] = Heads()
        """Those that have ready jobs and are not parked."""
        self.size = 0
        """Its lanes, also those without jobs."""
        self.busy = 0
        """Its lanes with ready jobs, parked or not."""
        self.running = 0
        """Attempts that hold a worker; not counted of those who have no group."""


class Line:
    """One queue: its lanes with ready jobs, the jobs that wait for an instant, and its counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.is_loose = False
        """Whether its ready jobs do not stand in their lanes: only while all that happens is past."""
        self.counts = dict.fromkeys(JobStatus, 0)
        self.ready_count = 0
        self.retried = 0
        self.leased = 0
        """Jobs taken by hand."""
        self.tallies = Tallies()
        self.settings = QueueSettings()
        self.function_limits: dict[str, int] = {}
        """Of the settings, by function."""
        self.weights: dict[str, int] = {}
        """Of the settings, by group."""
        self.retries: dict[int, int] = {}
        """How many retries fall due in which span of the retry rate."""
        self._spans_limit = MANY_SPANS
        self._room: dict[int, int] = {}
        """Of spans that are full: where there was room next. A memory of what was looked at, no part of the state."""
        self.gate: Gate | None = None
        """What holds back the queue as a whole."""
        self.gates: dict[tuple[str, str], Gate] = {}
        """What holds back those of one key, of one function."""
        self.groups: dict[str, Group] = {}
        self.turns: dict[str, int] = {}
        """How much each group has had, divided by its weight; none: as little as any."""
        self.turn = 0
        """How much the group had that was served last: who comes anew begins here, and catches up on nothing."""
        self.heads: Heads[Group] = Heads()
        """Groups with a lane that is not parked, in the order in which they are served."""
        self.lanes: dict[Lane, None] = {}
        """All of them, also those without jobs."""
        self.active: dict[Lane, None] = {}
        """Lanes with ready jobs, parked or not."""
        self.aside: dict[str, Job] = {}
        """Jobs that wait for other jobs, or for their function."""
        self.waiting: list[tuple[int, int, Job]] = []
        """A heap of the jobs that wait for an instant, by that; some of them wait no more."""

    def count(self, status: JobStatus, by: int = 1) -> None:
        """Count a job in or out of a status."""
        self.counts[status] += by

    # -- lanes and groups -------------------------------------------------------------------------------

    @property
    def is_special(self) -> bool:
        """Whether each start may change who comes next."""
        return self.gate is not None or self.turn > 0 or bool(self.turns) or len(self.groups) > 1

    def group(self, name: str) -> Group:
        """Return a group, new if there was none of this name."""
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name)
        return group

    def gates_of(self, kind: Kind) -> tuple[Gate, ...]:
        """Return what holds back the jobs of a kind beside the queue's own limits."""
        settings = self.settings
        gates = []
        if kind.key and (settings.key_concurrency or settings.key_rate):
            gates.append(self.gate_of("key", kind.key))
        if kind.function in self.function_limits:
            gates.append(self.gate_of("function", kind.function))
        return tuple(gates)

    def gate_of(self, sort: str, name: str) -> Gate:
        """Return the gate of one key, or of one function, new if there was none."""
        gate = self.gates.get((sort, name))
        if gate is None:
            settings = self.settings
            gate = (
                Gate(settings.key_concurrency, settings.key_rate)
                if sort == "key"
                else Gate(self.function_limits[name], None)
            )
            self.gates[sort, name] = gate
        return gate

    def configure(self, settings: QueueSettings) -> None:
        """Have other settings, and new gates; those of lanes are up to the hall."""
        if settings.retry_rate != self.settings.retry_rate:
            self.retries = {}
            self._room = {}
        self.settings = settings
        self.function_limits = dict(settings.function_concurrency)
        self.weights = dict(settings.weights)
        self.gates.clear()
        limits = settings.concurrency or settings.rate is not None
        self.gate = Gate(settings.concurrency, settings.rate) if limits else None

    def memory(self, since_us: int) -> tuple[Any, list[Any]]:
        """Give what the queue's rate remembers, and those of keys."""
        images = [(*name, gate.dump(since_us)) for name, gate in self.gates.items()]
        return self.gate and self.gate.dump(since_us), sorted(each for each in images if each[2] is not None)

    def remember(self, memory: Any, memories: list[Any]) -> None:
        """Take back what `memory` gave."""
        if self.gate is not None and memory is not None:
            self.gate.restore(memory)
        for sort, name, image in memories:
            self.gate_of(sort, name).restore(image)

    def retry_us(self, rate: Rate, due_us: int, others: Iterable[int]) -> int:
        """Return when a retry that is due then may be: in the first span from there that has room, evenly.

        `others` fall due at those times, beside what is on record.
        """
        decided = Counter(other // rate.per_us for other in others)
        span = self._with_room(due_us // rate.per_us, rate)
        while (there := self.retries.get(span, 0) + decided[span]) >= rate.count:
            span = self._with_room(span + 1, rate)
        return max(due_us, span * rate.per_us + there * rate.per_us // rate.count)

    def _with_room(self, span: int, rate: Rate) -> int:
        """Return the first span from one on that is not full; what was found to be full is not looked at each time."""
        full = []
        while self.retries.get(span, 0) >= rate.count:
            full.append(span)
            span = self._room.get(span, span + 1)
        for each in full:
            self._room[each] = span
        return span

    def retrying(self, due_us: int, at_us: int) -> None:
        """Note that a retry falls due."""
        rate = self.settings.retry_rate
        if rate is None:
            return
        span = due_us // rate.per_us
        self.retries[span] = self.retries.get(span, 0) + 1
        if len(self.retries) > self._spans_limit:
            self.retries = dict(self.dump_retries(at_us))
            self._room = {}
            self._spans_limit = max(MANY_SPANS, 2 * len(self.retries))

    def dump_retries(self, since_us: int) -> list[tuple[int, int]]:
        """Give the spans that have not passed."""
        rate = self.settings.retry_rate
        if rate is None:
            return []
        return sorted(each for each in self.retries.items() if each[0] >= since_us // rate.per_us)

    def first(self) -> Lane | None:
        """Return the lane that is next, unless its own limits hold it back."""
        group = self.heads.first()
        return None if group is None else group.lanes.first()

    def put(self, lane: Lane) -> None:
        """Give a lane with ready jobs its place."""
        lane.group.lanes.put(lane, lane.rank)
        self.place(lane.group)

    def clear_places(self) -> None:
        """Take all lanes and groups from their places."""
        self.heads = Heads()
        for group in self.groups.values():
            group.lanes = Heads()

    def take_out(self, lane: Lane) -> None:
        """Take a lane from its place."""
        lane.group.lanes.remove(lane)
        self.place(lane.group)

    def place(self, group: Group) -> None:
        """Give a group its place, which is that of its first lane."""
        rank = group.lanes.first_key()
        if rank is None:
            self.heads.remove(group)
        else:
            self.heads.put(group, self._rank(group, *rank))

    def rank_of(self, lane: Lane) -> tuple[int, ...]:
        """Return the place of a lane in this queue: by priority, then by what its group has had, then by age."""
        return self._rank(lane.group, *lane.rank)

    def _rank(self, group: Group, level: int, order: int) -> tuple[int, int, int]:
        return (level, self.turns.get(group.name, 0), order)

    def serve(self, group: Group) -> bool:
        """Note that a job of a group has started: its next one comes when the others have had as much.

        Whether that counts: not where there are no groups.
        """
        if not group.name and not self.turn and not self.turns:
            return False
        weight = self.weights.get(group.name, 1)
        self.turn = max(self.turns.get(group.name, 0), self.turn)
        self.turns[group.name] = self.turn + STRIDE // weight
        if not self.active:
            self._forget_turns()
        self.place(group)
        return True

    def begin(self, group: Group) -> None:
        """Note that a group without ready jobs has one."""
        if self.turns.get(group.name, 0) < self.turn:
            self.turns[group.name] = self.turn

    def _forget_turns(self) -> None:
        """Forget what groups have had that have nothing to do, as nobody waits: else each ever served would stay."""
        groups = self.groups
        self.turns = {
            name: turn
            for name, turn in self.turns.items()
            if not name or (name in groups and groups[name].running)
        }

    def dump_turns(self) -> Any:
        """Give what groups have had, as far as it makes a difference."""
        busy = {group.name for group in self.groups.values() if group.busy}
        return sorted((name, turn) for name, turn in self.turns.items() if turn > self.turn or name in busy)

    def in_order(self) -> Iterator[Job]:
        """Yield the ready jobs by priority and age."""
        lanes = (lane.in_order() for lane in self.active)
        return heapq.merge(*lanes, key=lambda job: (-job.kind.priority, job.order))

    # -- jobs that wait for an instant --------------------------------------------------------------------

    def wait(self, job: Job) -> None:
        """Keep a job until its time comes."""
        heapq.heappush(self.waiting, (job.course.due_us, job.order, job))

    def trim_waiting(self) -> None:
        """Drop what waits no more from the head of those that wait."""
        while self.waiting and not _is_waiting(self.waiting[0]):
            heapq.heappop(self.waiting)

    def next_due_us(self) -> int | None:
        """Return the earliest instant for which a job waits."""
        return self.waiting[0][0] if self.waiting else None

    def due(self, now_us: int) -> Iterator[Job]:
        """Yield the jobs whose time has come, earliest first; looks no further than it is asked."""
        for entry in in_order(self.waiting):
            if entry[0] > now_us:
                return
            if _is_waiting(entry):
                yield entry[2]

    def in_time(self) -> Iterator[Job]:
        """Yield the jobs that wait for an instant, in no order."""
        return (entry[2] for entry in self.waiting if _is_waiting(entry))

    def not_begun(self) -> Iterator[Job]:
        """Yield every job that is neither running nor over."""
        yield from self.in_order()
        yield from (entry[2] for entry in sorted(self.waiting, key=_place) if _is_waiting(entry))
        yield from self.aside.values()


def _place(entry: tuple[int, int, Job]) -> tuple[int, int]:
    return entry[:2]


def _is_waiting(entry: tuple[int, int, Job]) -> bool:
    due_us, order, job = entry
    return job.status in WAITING and job.course.due_us == due_us and job.order == order
