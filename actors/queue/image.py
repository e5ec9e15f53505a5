"""What the queue knows as plain data, and back."""

from __future__ import annotations

from itertools import chain, groupby, repeat
from typing import Any, Self

import msgspec

from actors.queue.floor import QueueFloor
from actors.queue.jobs import UNTOUCHED, WAITING, Course, Job, Kind
from actors.queue.specs import JobStatus
from actors.runtime.effects import AttemptKey
from eventstore.decoding import converter

COURSE = Course.__struct_fields__

# Looking a member up in its class is slow, and this is done for every job.
_PENDING = JobStatus.PENDING
_RUNNING = JobStatus.RUNNING
_KIND = converter(Kind)
_COURSE = converter(Course)


class QueueImage(QueueFloor):
    """A floor that can be written down."""

    def dump(self) -> Any:
        """Give the state as plain data."""
        kinds: dict[Kind, int] = {}
        jobs = self._dump_jobs(kinds)
        zombies = [
            (msgspec.structs.astuple(key), owner, kinds.setdefault(kind, len(kinds)))
            for key, (owner, kind) in self.zombies.items()
        ]
        last = self.hall.last_kind and kinds.setdefault(self.hall.last_kind, len(kinds))
        return {
            "kinds": [msgspec.to_builtins(kind) for kind in kinds],
            "last": last,
            "jobs": jobs,
            "lines": [
                (line.name, line.paused, line.retried, list(line.counts.items()), line.tallies.dump())
                for line in self.lines.values()
            ],
            "running": list(self.running),
            "hall": (self.hall.newest_us, self.hall.dump(self._order)),
            "unique": self.unique.dump(),
            "zombies": zombies,
            "batches": sorted(
                {tuple(sorted(map(msgspec.structs.astuple, batch))) for batch in self.batches.values()}
            ),
            "leases": list(self.leases.items()),
            "expiries": list(self.expiries.items()),
            "pulses": list(self.pulses.items()),
            "deadlines": list(self.deadlines.items()),
            "unresolved": [(function, list(jobs)) for function, jobs in self.unresolved.items()],
            "dependents": [(job_id, list(waiting)) for job_id, waiting in self.dependents.items()],
            "run_us": list(self.run_us.items()),
            "draining": sorted(self.draining),
            "resources": self.resources.dump(),
            "order": self._order,
        }

    @classmethod
    def restore(cls, image: Any) -> Self:
        """Return the state whose `dump` was `image`."""
        state = cls()
        for name, paused, retried, counts, tallies in image["lines"]:
            line = state.hall.line(name)
            line.retried = retried
            line.paused = paused
            line.tallies.restore(tallies)
            line.counts.update((JobStatus(status), count) for status, count in counts)
        state.hall.expect(len(image["kinds"]))
        kinds = [state.hall.kind(_KIND(kind).values) for kind in image["kinds"]]
        state._restore_jobs(image["jobs"], kinds)
        state.leases = dict(image["leases"])
        state.expiries = dict(image["expiries"])
        state.pulses = dict(image["pulses"])
        for job_id, at_us in image["deadlines"]:
            state._set_deadline(job_id, at_us)
        state.running = {job_id: state.jobs[job_id] for job_id in image["running"]}
        for batch in image["batches"]:
            state._ride_together({AttemptKey(*key) for key in batch})
        state.suspects = sum(job.course.suspect for job in state.running.values())
        state.zombies = {AttemptKey(*key): (owner, kinds[kind]) for key, owner, kind in image["zombies"]}
        state.outlived = {(key.job_id, key.attempt): key for key in state.zombies}
        state.hall.last_kind = None if image["last"] is None else kinds[image["last"]]
        state.resources.restore(image["resources"])
        state._restore_hall(*image["hall"])
        state._restore_places()
        state.unique.restore(image["unique"], state.jobs)
        state.hall.restore_turns(image["hall"][1])
        state.unresolved = {function: dict.fromkeys(jobs) for function, jobs in image["unresolved"]}
        state.dependents = {job_id: list(waiting) for job_id, waiting in image["dependents"]}
        state.run_us = dict(image["run_us"])
        state.draining = set(image["draining"])
        state._order = image["order"]
        return state

    def _dump_jobs(self, kinds: dict[Kind, int]) -> Any:
        """Give the jobs by columns, and of what most have in common only the exceptions."""
        jobs = list(self.jobs.values())
        for job in jobs:
            kinds.setdefault(job.kind, len(kinds))
        return {
            "ids": list(self.jobs),
            "kinds": [(kinds[kind], len(list(same))) for kind, same in groupby(job.kind for job in jobs)],
            "orders": [(order, len(list(same))) for order, same in groupby(job.order for job in jobs)],
            "owners": [(n, job.owner) for n, job in enumerate(jobs) if job.owner],
            "statuses": [(n, job.status.value) for n, job in enumerate(jobs) if job.status is not _PENDING],
            "courses": [
                (n, msgspec.structs.astuple(job.course))
                for n, job in enumerate(jobs)
                if job.course is not UNTOUCHED
            ],
        }

    def _restore_jobs(self, image: Any, kinds: list[Kind]) -> None:
        orders = chain.from_iterable(repeat(order, count) for order, count in image["orders"])
        kind_of = chain.from_iterable(repeat(kinds[kind], count) for kind, count in image["kinds"])
        jobs = [
            Job(job_id, kind, "", UNTOUCHED, _PENDING, order)
            for job_id, kind, order in zip(image["ids"], kind_of, orders, strict=True)
        ]
        for n, owner in image["owners"]:
            jobs[n].owner = owner
        for n, status in image["statuses"]:
            jobs[n].status = JobStatus(status)
        for n, course in image["courses"]:
            jobs[n].course = _COURSE(dict(zip(COURSE, course, strict=True)))
        for job in jobs:
            self.jobs[job.job_id] = job
            self.lanes[job.kind].size += 1

    def _restore_hall(self, newest_us: int, image: Any) -> None:
        for _, kind in self.zombies.values():
            self.lanes[kind].size += 1
        for kind in self._holders():
            self.resources.take(self.lanes[kind].needs)
            self.lanes[kind].group.running += bool(kind.group)
        self.hall.newest_us = newest_us
        self.hall.restore(image, self._holders())

    def _restore_places(self) -> None:
        for job in sorted(self.jobs.values(), key=lambda job: job.order):
            if job.is_ready:
                self.hall.push(job)
            elif job.status in WAITING:
                self._wait(job)
            elif job.status is not _RUNNING:
                self.lines[job.queue].aside[job.job_id] = job
            elif job.job_id in self.leases:
                self.lines[job.queue].leased += 1
        for job_id, until_us in self.leases.items():
            self.lease_ends.put(job_id, (until_us,))
