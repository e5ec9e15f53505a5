"""Where ready jobs of one kind stand, in their order."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from actors.queue.resources import in_units
from actors.queue.specs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.gates import Gate
    from actors.queue.jobs import Job, Kind
    from actors.queue.lines import Line
    from actors.queue.resources import Units

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
STRETCH = 1_024
"""Ready jobs of a lane of which the collector sees each, and those that stand together behind them."""


class Lane:
    """The ready jobs of one kind, first in first out.

    The garbage collector looks at each job in a list or deque whenever it looks at everything: those that will not
    start soon are in tuples, which it lets alone once it has seen that nothing in them concerns it.
    """

    __slots__ = ("behind", "gates", "group", "is_plain", "kind", "line", "needs", "parked", "ready", "size")

    def __init__(self, kind: Kind, line: Line) -> None:
        self.kind = kind
        self.line = line
        self.group = line.group(kind.group)
        self.group.size += 1
        self.look_at_gates()
        self.needs: Units = in_units(kind.resources)
        """What an attempt holds of resources."""
        self.parked: tuple[Gate, ...] = ()
        """Where it stands aside because its first job cannot start."""
        self.ready: deque[Job] = deque()
        """The first of them."""
        self.behind: deque[tuple[Job, ...] | list[Job]] = deque()
        """The others, in stretches."""
        self.size = 0
        """Live jobs of this kind, ready or not, and attempts that have outlived their jobs."""

    def look_at_gates(self) -> None:
        """See which gates its queue has for it."""
        self.gates = self.line.gates_of(self.kind)
        kind = self.kind
        self.is_plain = not (self.all_gates or kind.resources or kind.life or kind.group)
        """Whether nothing counts its attempts, and no limit is set to them."""

    @property
    def all_gates(self) -> tuple[Gate, ...]:
        """What counts its attempts."""
        gate = self.line.gate
        return self.gates if gate is None else (gate, *self.gates)

    @property
    def rank(self) -> tuple[int, int]:
        """The place of its first job among the lanes of its group."""
        order = self.ready[0].order
        ageing_us = self.line.settings.ageing_us
        if ageing_us:
            return (order // ageing_us - self.kind.priority, order)
        return (-self.kind.priority, order)

    @property
    def place(self) -> tuple[int, ...]:
        """The place of its first job among all queues: priority, then age."""
        return (-self.kind.priority, self.ready[0].order)

    def shift(self) -> None:
        """Let its first job go, and those behind it that are ready no more."""
        ready = self.ready
        ready.popleft()
        while True:
            while ready and (ready[0].status is not _PENDING or ready[0].course.missing):
                ready.popleft()
            if ready or not self.behind:
                return
            ready.extend(self.behind.popleft())

    def line_up(self, jobs: list[Job]) -> None:
        """Have jobs stand behind the first one, where there are no others."""
        self.ready.extend(jobs[:STRETCH])
        self.behind.extend(tuple(jobs[n : n + STRETCH]) for n in range(STRETCH, len(jobs), STRETCH))

    def stand_behind(self, job: Job) -> None:
        """Put a job behind all others of many."""
        behind = self.behind
        last = behind[-1] if behind else ()
        if type(last) is not list:
            behind.append([job])
            return
        last.append(job)
        if len(last) == STRETCH:
            behind[-1] = tuple(last)

    def in_order(self) -> Iterator[Job]:
        """Yield its ready jobs."""
        return (job for job in chain(self.ready, chain.from_iterable(self.behind)) if job.is_ready)

    def first_run(self) -> Iterator[Job]:
        """Yield the first ready jobs, as far as certainly no other job comes in between, and nothing holds them.

        Not all of many: who has started them asks again.
        """
        if self.gates or self.needs or self.line.is_special:
            yield self.ready[0]
            return
        order = self.ready[0].order
        for job in self.ready:
            if job.order != order:
                return
            if job.status is _PENDING and not job.course.missing:
                yield job
