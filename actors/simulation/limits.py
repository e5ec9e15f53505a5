"""What queues let through, counted anew from the log: at one time, in a span of time, with which resources (I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from actors.queue.events import (
    AttemptInterrupted,
    AttemptRefused,
    AttemptTimedOut,
    BatchStarted,
    JobCancelled,
    JobCompleted,
    JobEnqueued,
    JobExpired,
    JobFailed,
    JobLeased,
    JobMoved,
    JobRetried,
    JobRetrying,
    JobSnoozed,
    JobStarted,
    JobUnresolved,
    QueueConfigured,
    ResourceAdded,
    ResourceGranted,
    ResourceReleased,
    ResourceRemoved,
)
from actors.queue.specs import Scope, Terms
from actors.queue.unique import unique_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.specs import JobSpec, QueueSettings, Rate

ENDS = (JobCompleted, JobRetrying, JobSnoozed, JobFailed, AttemptInterrupted, JobUnresolved, AttemptRefused)
FINAL = (JobCompleted, JobFailed, JobCancelled, JobExpired)
NOTHING = Terms()


class Holder(NamedTuple):
    """An attempt that has begun and not ended."""

    spec: JobSpec
    epoch: int
    by_hand: bool


class Limits:
    """The attempts that go on, the settings of queues, and the starts that rates have seen."""

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers
        """How many attempts may be at work at one time; 0: not judged."""
        self._settings: dict[str, QueueSettings] = {}
        self._holders: dict[tuple[str, int], Holder] = {}
        self._together: dict[tuple[str, int], tuple[str, int]] = {}
        """The first attempt of the batch that an attempt is in."""
        self._outlived: set[tuple[str, int]] = set()
        """Those that nobody waits for any more while a worker has them."""
        self._starts: dict[tuple[str, str], list[int]] = {}
        self._newest_us = 0
        self._capacity: dict[str, float] = {}
        self._held: dict[str, tuple[tuple[str, float], ...]] = {}
        self._keys: dict[tuple[str, str], str] = {}
        """Who has which unique key."""

    def take(self, event: Any, spec: JobSpec | None) -> str:
        """Take in one event; return what it breaks, or nothing."""
        if isinstance(event, (JobEnqueued, JobRetried)):
            return self._take_key(event.spec)
        if isinstance(event, JobMoved):
            assert spec is not None
            had = [name for name, job_id in self._keys.items() if job_id == event.job_id]
            for name in had:
                del self._keys[name]
            return self._take_key(spec) if had else ""
        if spec is not None:
            return self._take_of_job(event, spec)
        if isinstance(event, QueueConfigured):
            self._settings[event.queue] = event.settings
            self._starts.clear()  # a rate that stays the same may go on; whether it does is tested elsewhere
        elif isinstance(event, ResourceAdded):
            self._capacity[event.name] = event.capacity
        elif isinstance(event, ResourceGranted):
            self._held[event.allocation_id] = event.amounts
        elif isinstance(event, ResourceReleased):
            self._held.pop(event.allocation_id, None)
        elif isinstance(event, ResourceRemoved):
            return self._remove(event.name)
        return ""

    def _remove(self, name: str) -> str:
        del self._capacity[name]
        holders = (each for key, each in self._holders.items() if key not in self._outlived)
        held = any(name == other for each in holders for other, _ in (each.spec.terms or NOTHING).resources)
        return f"{name} is removed while it is held" if held else ""

    def _take_of_job(self, event: Any, spec: JobSpec) -> str:
        unique = unique_of(spec)
        begins = isinstance(event, (JobStarted, JobLeased))
        if isinstance(event, FINAL) or (begins and unique is not None and unique.scope is Scope.PENDING):
            self._release_key(spec)
        if begins:
            return self._begin(event, spec)
        if isinstance(event, BatchStarted):
            first = (event.job_id, event.attempt)
            self._together.update(dict.fromkeys((first, *event.others), first))
        if isinstance(event, ENDS):
            key = (event.job_id, event.attempt)
            if key not in self._outlived or isinstance(event, AttemptRefused):
                self._end(key)
        elif isinstance(event, JobCancelled | AttemptTimedOut):
            self._cancel((event.job_id, event.attempt))
        return ""

    def _take_key(self, spec: JobSpec) -> str:
        unique = unique_of(spec)
        if unique is None or unique.scope is Scope.PERIOD:  # a period needs a clock that is never set back
            return ""
        other = self._keys.setdefault((spec.queue, unique.key), spec.job_id)
        return "" if other == spec.job_id else f"{other} and {spec.job_id} have one unique key"

    def _release_key(self, spec: JobSpec) -> None:
        unique = unique_of(spec)
        if unique is not None and self._keys.get((spec.queue, unique.key)) == spec.job_id:
            del self._keys[spec.queue, unique.key]

    def _end(self, key: tuple[str, int]) -> None:
        self._holders.pop(key, None)
        self._outlived.discard(key)

    def _cancel(self, key: tuple[str, int]) -> None:
        holder = self._holders.get(key)
        if holder is not None and holder.by_hand:
            self._end(key)
        elif holder is not None:
            self._outlived.add(key)

    def _begin(self, event: JobStarted | JobLeased, spec: JobSpec) -> str:
        if event.at_us < self._newest_us:
            self._starts.clear()  # the clock was set back
        self._newest_us = event.at_us
        for key in [key for key in self._outlived if self._holders[key].epoch < event.epoch]:
            self._end(key)  # its process is gone
        self._holders[event.job_id, event.attempt] = Holder(spec, event.epoch, isinstance(event, JobLeased))
        if self._workers and isinstance(event, JobStarted) and not event.behind:
            lost = {self._together[key] for key in self._outlived if key in self._together}
            at_work = len(
                {
                    self._together.get(key, key)
                    for key, each in self._holders.items()
                    if not each.by_hand and key not in self._outlived
                }
                - lost  # perhaps the others of the call have come to their ends, too, which are still to be told
            )
            is_alone = not (
                spec.terms or NOTHING
            ).batch  # else the next event may say with whom it shares a worker
            if is_alone and at_work > self._workers:
                return f"{at_work} attempts at work, {self._workers} workers"
        return next(self._broken(spec, event.at_us), "")

    def _broken(self, spec: JobSpec, at_us: int) -> Iterator[str]:
        settings = self._settings.get(spec.queue)
        terms = spec.terms or NOTHING
        mine = [holder.spec for holder in self._holders.values() if holder.spec.queue == spec.queue]
        if settings is not None:
            same_key = [each for each in mine if (each.terms or NOTHING).key == terms.key]
            same_function = [each for each in mine if each.function == spec.function]
            limit = dict(settings.function_concurrency).get(spec.function, 0)
            if len(mine) > (settings.concurrency or len(mine)):
                yield "more of a queue run than may"
            if terms.key and len(same_key) > (settings.key_concurrency or len(same_key)):
                yield "more of a key run than may"
            if len(same_function) > (limit or len(same_function)):
                yield "more of a function run than may"
            if self._is_too_fast((spec.queue, ""), settings.rate, at_us):
                yield "a queue is faster than its rate"
            if terms.key and self._is_too_fast((spec.queue, terms.key), settings.key_rate, at_us):
                yield "a key is faster than its rate"
        for name, _ in terms.resources:
            held = [amount for each in self._held.values() for other, amount in each if other == name]
            held += [
                amount
                for holder in self._holders.values()
                for other, amount in (holder.spec.terms or NOTHING).resources
                if other == name
            ]
            if sum(held) > self._capacity.get(name, 0.0):
                yield f"{name} is over-committed"

    def _is_too_fast(self, name: tuple[str, str], rate: Rate | None, at_us: int) -> bool:
        if rate is None:
            return False
        starts = self._starts.setdefault(name, [])
        starts.append(at_us)
        most = rate.count + rate.burst
        return sum(start > at_us - rate.per_us for start in starts) > most
