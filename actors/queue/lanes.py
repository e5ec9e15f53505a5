"""Where waiting jobs stand: those of one kind in a lane, the lanes of one queue in a line, each in its order."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from actors.queue.messages import JobStatus, RetryPolicy
from actors.runtime.effects import AttemptKey

if TYPE_CHECKING:
    from collections.abc import Iterator

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
WAITING = frozenset({JobStatus.SCHEDULED, JobStatus.RETRYING})
"""The statuses of jobs that wait for an instant."""

T = TypeVar("T")


class Heads(Generic[T]):
    """Things in the order of their keys: a change costs a logarithm, a look at the first ones nothing.

    A heap; what was moved or taken out stays in it until it is first or the heap is mostly made of such.
    """

    __slots__ = ("_heap", "_keys", "_puts")

    def __init__(self) -> None:
        self._heap: list[tuple[tuple[int, ...], int, T]] = []
        self._keys: dict[T, tuple[int, ...]] = {}
        self._puts = 0

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, thing: T, key: tuple[int, ...]) -> None:
        """Give a thing its place, or another one."""
        if self._keys.get(thing) == key:
            return
        self._keys[thing] = key
        self._puts += 1
        heapq.heappush(self._heap, (key, self._puts, thing))
        self._trim()

    def remove(self, thing: T) -> None:
        """Take a thing out, if it is there."""
        if self._keys.pop(thing, None) is not None:
            self._trim()

    def first(self) -> T | None:
        """Return what is first."""
        return self._heap[0][2] if self._heap else None

    def first_key(self) -> tuple[int, ...] | None:
        """Return the key of what is first."""
        return self._heap[0][0] if self._heap else None

    def __iter__(self) -> Iterator[T]:
        """Yield everything in order; looks no further than it is asked."""
        heap = self._heap
        ahead = [(*heap[0][:2], 0)] if heap else []
        while ahead:
            key, _, index = heapq.heappop(ahead)
            thing = heap[index][2]
            if self._keys.get(thing) is key:
                yield thing
            for child in (2 * index + 1, 2 * index + 2):
                if child < len(heap):
                    heapq.heappush(ahead, (*heap[child][:2], child))

    def _trim(self) -> None:
        heap, keys = self._heap, self._keys
        while heap and keys.get(heap[0][2]) is not heap[0][0]:
            heapq.heappop(heap)
        if len(heap) > 2 * len(keys) + 16:
            heap[:] = [entry for entry in heap if keys.get(entry[2]) is entry[0]]
            heapq.heapify(heap)


class Kind(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What many jobs have in common: there is one of each, and its jobs stand in one lane."""

    queue: str
    function: str
    priority: int
    retry: RetryPolicy


class Course(msgspec.Struct, gc=False):
    """What has become of a job so far: made when there is something to say."""

    attempt: int = 0
    """Number of the newest attempt."""
    charged: int = 0
    """Attempts that count: those that failed, and interruptions that are charged."""
    counted: bool = True
    """Whether the running attempt surely reached a worker."""
    suspect: bool = False
    """An attempt was interrupted: perhaps the job kills its process, so it runs with nothing behind it."""
    due_us: int = 0
    epoch: int = 0
    missing: int = 0
    """Jobs it waits for."""


class Untouched(Course, frozen=True, gc=False):  # type: ignore[misc]  # what may be written elsewhere is only read here
    """The course of a job that has only been enqueued."""


UNTOUCHED = Untouched()
"""Shared by all jobs that have only been enqueued."""


class Job(msgspec.Struct, gc=False, eq=False):
    """A live job: what deciding needs, nothing more. Its arguments and fingerprint stay on disk."""

    job_id: str
    kind: Kind
    owner: str
    course: Course
    status: JobStatus = _PENDING
    order: int = 0
    """Place in the line: first in, first out among equals."""

    @property
    def own(self) -> Course:
        """The course of this job alone, to be written in."""
        if self.course is UNTOUCHED:
            self.course = Course()
        return self.course

    @property
    def key(self) -> AttemptKey:
        """The newest attempt."""
        course = self.course
        return AttemptKey(self.job_id, course.attempt, course.epoch)

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self.kind.queue

    @property
    def is_ready(self) -> bool:
        """Whether it could start now, if its queue is served and a worker free."""
        return self.status is _PENDING and not self.course.missing


class Lane:
    """The ready jobs of one kind, first in first out."""

    __slots__ = ("kind", "line", "ready", "size")

    def __init__(self, kind: Kind, line: Line) -> None:
        self.kind = kind
        self.line = line
        self.ready: deque[Job] = deque()
        self.size = 0
        """Live jobs of this kind, ready or not."""

    @property
    def rank(self) -> tuple[int, ...]:
        """The place of its first job among the lanes."""
        return (-self.kind.priority, self.ready[0].order)

    def in_order(self) -> Iterator[Job]:
        """Yield its ready jobs."""
        return (job for job in self.ready if job.is_ready)

    def first_run(self) -> Iterator[Job]:
        """Yield the first ready jobs, as far as certainly no job of another lane comes in between."""
        order = self.ready[0].order
        for job in self.ready:
            if job.order != order:
                return
            if job.is_ready:
                yield job


class Line:
    """One queue: its lanes with ready jobs, the jobs that wait for an instant, and its counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.counts: dict[JobStatus, int] = {}
        self.ready_count = 0
        self.retried = 0
        self.leased = 0
        """Jobs taken by hand."""
        self.lanes: Heads[Lane] = Heads()
        self.aside: dict[str, Job] = {}
        """Jobs that wait for other jobs, or for their function."""
        self.waiting: list[tuple[int, int, Job]] = []
        """A heap of the jobs that wait for an instant, by that; some of them wait no more."""

    def count(self, status: JobStatus, by: int = 1) -> None:
        """Count a job in or out of a status."""
        self.counts[status] = self.counts.get(status, 0) + by

    def push(self, lane: Lane, job: Job) -> bool:
        """Put a job at the end of its lane; whether this is now the first lane."""
        lane.ready.append(job)
        self.ready_count += 1
        if len(lane.ready) > 1:
            return False
        self.lanes.put(lane, lane.rank)
        return self.lanes.first() is lane

    def leave(self, lane: Lane, job: Job) -> bool:
        """Note that a job is ready no more; whether another lane may be first now.

        It leaves its lane as soon as it is first there.
        """
        self.ready_count -= 1
        ready = lane.ready
        if ready[0] is not job:
            return False
        ready.popleft()
        while ready:
            if ready[0].is_ready:
                if ready[0].order == job.order:
                    return False
                self.lanes.put(lane, lane.rank)
                return True
            ready.popleft()
        self.lanes.remove(lane)
        return True

    def in_order(self) -> Iterator[Job]:
        """Yield the ready jobs in the order in which they would start if nothing held them back."""
        lanes = (lane.in_order() for lane in self.lanes)
        return heapq.merge(*lanes, key=lambda job: (-job.kind.priority, job.order))

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

    def due(self, now_us: int) -> list[Job]:
        """Return the jobs whose time has come, earliest first; looks only at those (it is a heap)."""
        found = []
        stack = [0]
        while stack:
            index = stack.pop()
            if index < len(self.waiting) and self.waiting[index][0] <= now_us:
                if _is_waiting(self.waiting[index]):
                    found.append(self.waiting[index])
                stack += (2 * index + 1, 2 * index + 2)
        return [job for _, _, job in sorted(found, key=lambda entry: entry[:2])]

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
