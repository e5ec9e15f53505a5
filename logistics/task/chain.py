"""Jobs that follow each other: chains, groups, and a last one that gets what a group came to."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from actors.queue.specs import Input, Terms
from actors.runtime.errors import InputError
from actors.runtime.seals import key_in
from logistics.ids import new_id
from logistics.task.job import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actors.queue.specs import JobSpec
    from logistics.task.job import Job

MakeSpec: TypeAlias = "Callable[[Job, tuple[str, ...], str, int], JobSpec]"
"""Returns the spec of a job that runs after others, sealed with the key of these if it has no subject of its own.

The number is of the results that it gets behind its arguments."""

LONGEST_ID = 400
"""Characters: an id that grows with each job behind it must find its place in the store."""


def group(jobs: Iterable[Job]) -> Chain:
    """Return a chain that begins with jobs side by side: `group([a, b]).then(c, results=True)`."""
    return Chain().then(jobs)


def chain_specs(chain: Chain, make: MakeSpec) -> Iterator[list[JobSpec]]:
    """Yield each stage of a chain as the queue takes it."""
    before: list[str] = []
    keys: set[str] = set()
    for jobs, with_results in chain.stages:
        if with_results and len(keys) > 1 and not all(job.subject for job in jobs):
            msg = "subject: a job that gets what was said of several subjects has to name its own"
            raise InputError(msg)
        count = len(before) if with_results else 0
        specs = [make(job, tuple(before), min(keys, default=""), count) for job in jobs]
        if with_results:
            results = (
                Input(f"result {n}", "step", job_id, positional=True) for n, job_id in enumerate(before)
            )
            inputs = tuple(results)
            specs = [msgspec.structs.replace(spec, inputs=inputs) for spec in specs]
        yield specs
        before = [spec.job_id for spec in specs]
        keys = {key for spec in specs if (key := key_in(spec.payload))}


def callbacks(job: Job, spec: JobSpec, make: MakeSpec) -> Iterator[JobSpec]:
    """Yield the jobs that follow a job's success, and its failure, and those that follow them, however far that goes.

    A job with an id of its own gives them theirs, so that enqueueing it twice makes each once. `InputError` for one
    that follows itself.
    """
    path = {id(job): job}
    left = [_followers(job, spec, make, named=job.job_id is not None)]
    while left:
        follower, follows, named = next(left[-1], (None, spec, False))
        if follower is None:
            left.pop()
            path.popitem()
            continue
        if id(follower) in path:
            msg = f"job {follower.name!r} is among the jobs that follow it; a new Job does the same once more"
            raise InputError(msg)
        yield follows
        path[id(follower)] = follower
        left.append(_followers(follower, follows, make, named=named))


def _followers(
    job: Job, spec: JobSpec, make: MakeSpec, *, named: bool
) -> Iterator[tuple[Job | None, JobSpec, bool]]:
    """Yield the jobs that follow one at once, and whether the ids of those behind them are to be made of theirs."""
    for sort, follower in (("ok", job.on_success), ("failed", job.on_failure)):
        if follower is None:
            continue
        after = (spec.job_id,) if sort == "ok" else ()
        follows = make(follower, after, key_in(spec.payload), 0)
        if follower.job_id is None:
            own = _id_behind(spec.job_id, sort) if named else new_id()
            follows = msgspec.structs.replace(follows, job_id=own)
        if sort == "failed":
            terms = msgspec.structs.replace(follows.terms or Terms(), on_failure_of=spec.job_id)
            follows = msgspec.structs.replace(follows, terms=terms)
        yield follower, follows, named or follower.job_id is not None


def _id_behind(job_id: str, sort: str) -> str:
    """Return the id of a job that follows one, the same each time; of one far behind it says no more of which."""
    own = f"{job_id}.{sort}"
    return own if len(own) <= LONGEST_ID else f"behind.{blake2b(own.encode(), digest_size=20).hexdigest()}"
