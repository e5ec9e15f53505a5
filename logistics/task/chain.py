"""Jobs that follow each other: chains, groups, and a last one that gets what a group came to."""

from __future__ import annotations

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
    """Yield the jobs that follow a job's success, and its failure.

    A job with an id of its own gives them theirs, so that enqueueing it twice makes each once.
    """
    for sort, follower in (("ok", job.on_success), ("failed", job.on_failure)):
        if follower is None:
            continue
        after = (spec.job_id,) if sort == "ok" else ()
        follows = make(follower, after, key_in(spec.payload), 0)
        if follower.job_id is None:
            own = f"{spec.job_id}.{sort}" if job.job_id is not None else new_id()
            follows = msgspec.structs.replace(follows, job_id=own)
        if sort == "failed":
            terms = msgspec.structs.replace(follows.terms or Terms(), on_failure_of=spec.job_id)
            follows = msgspec.structs.replace(follows, terms=terms)
        yield follows
        yield from callbacks(follower, follows, make)
