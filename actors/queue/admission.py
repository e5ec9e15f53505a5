"""What is put on a queue: ids known before, keys, needs, and what comes after what."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from actors.queue import allocation
from actors.queue.cancelling import cancel_one
from actors.queue.events import JobEnqueued
from actors.queue.floor import Retired, waits_for
from actors.queue.life import check_life
from actors.queue.outcome import retired_of, tell_owner
from actors.queue.queues import refuse_if_draining
from actors.queue.specs import Conflict, JobStatus
from actors.queue.unique import existing, unique_of
from actors.runtime.errors import ConflictingIdError, DuplicateJobError, InputError, UnknownIdError
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.queue.messages import EnqueueJobs
    from actors.queue.specs import JobSpec
    from actors.queue.state import QueueState
    from actors.runtime.messages import Context, Decision

FIRST_TERMS = 6
"""So many fields the terms had when fingerprints were first made of them."""
ENCODE = msgspec.msgpack.Encoder().encode


def digest_of(spec: JobSpec) -> bytes:
    """Return the fingerprint by which a repeated id is known to mean the same job.

    An owner derives the ids of its jobs from its own, so theirs mean the same whatever an upgrade has added
    to the spec. For the others it is made of what makes the job; a field that is added later counts only where
    it is used.
    """
    if spec.owner:
        return blake2b(spec.owner.encode(), digest_size=8).digest()
    retry = (spec.retry.max_retries, spec.retry.base_us, spec.retry.cap_us)
    made_of: tuple[object, ...] = (
        spec.queue,
        spec.name,
        spec.function,
        spec.payload,
        spec.priority,
        retry,
        spec.due_us,
        spec.after,
    )
    if spec.terms is not None:
        stated = msgspec.structs.astuple(spec.terms)
        while len(stated) > FIRST_TERMS and not stated[-1]:
            stated = stated[:-1]
        made_of += (stated,)
    if spec.life is not None:
        made_of += (spec.life,)
    return blake2b(ENCODE(made_of), digest_size=8).digest()


TAKEN = b""
"""In place of the fingerprint of a job that was not looked up: it is another one."""


def enqueue(state: QueueState, message: EnqueueJobs, context: Context, decision: Decision) -> None:
    """Take jobs on, all or none; answered with the id of each, or of the one that stands for it."""
    seen: dict[str, bytes] = {}
    keys: dict[tuple[str, str], str] = {}
    instead: dict[str, str] = {}
    replaced: set[str] = set()
    ids = []
    for spec in message.jobs:
        digest = digest_of(spec)
        before = _digest_on_record(state, spec.job_id, context, seen)
        job_id = spec.job_id
        if before is None and instead and _is_cut_off(spec, instead, whole=message.whole):
            job_id = instead[spec.job_id] = ""  # what it follows was not enqueued
        elif before is None:
            if state.draining and not spec.owner:
                refuse_if_draining(state, spec.queue)
            check_life(spec, context)
            missing = _missing(state, spec, context, seen) if spec.after or spec.terms is not None else 0
            if spec.terms is not None:
                job_id = _check_terms(state, spec, context, decision, keys=keys, replaced=replaced)
            if job_id == spec.job_id:
                decision.emit(JobEnqueued(spec, digest, context.now_us, missing), spec.owner)
                seen[spec.job_id] = digest
            else:
                instead[spec.job_id] = job_id
        elif before != digest:
            _conflict(spec, context, decision)
        elif spec.owner:
            _tell_again(state, spec, context, decision)
        ids.append(job_id)
    if replaced:
        _check_not_replaced((spec for spec in message.jobs if spec.job_id in seen), replaced)
    decision.answer(tuple(ids))


def _is_cut_off(spec: JobSpec, instead: dict[str, str], *, whole: bool) -> bool:
    """Whether a job follows one that was not enqueued; `DuplicateJobError` if they are to be enqueued whole."""
    lost = sorted(instead.keys() & waits_for(spec).keys())
    if lost and whole:
        holder = instead[lost[0]]
        what = f"job {spec.name!r} is to run after {lost[0]!r}, which is not enqueued"
        raise DuplicateJobError(f"{what}: job {holder!r} has its unique key", holder)
    return bool(lost)


def _check_not_replaced(jobs: Iterable[JobSpec], replaced: set[str]) -> None:
    """Refuse a job that would wait for one which this very command cancels."""
    for spec in jobs:
        lost = [other for other in waits_for(spec) if other in replaced]
        if lost:
            raise InputError(f"job {spec.job_id!r} is to run after {lost[0]!r}, which would be replaced")


def _check_terms(
    state: QueueState,
    spec: JobSpec,
    context: Context,
    decision: Decision,
    *,
    keys: dict[tuple[str, str], str],
    replaced: set[str],
) -> str:
    """Return the id of the job, or of the one that stands for it; an owner is told what anybody else is refused."""
    assert spec.terms is not None
    try:
        allocation.check_needs(state, spec.terms, owned=bool(spec.owner))
        return _unique_id(state, spec, context, decision, keys=keys, replaced=replaced)
    except LogisticsError as refusal:
        if not spec.owner:
            raise
        failed = Retired(JobStatus.FAILED, 0, 0, str(refusal), context.now_us)
        tell_owner(spec.owner, spec.job_id, failed, decision)
        return ""


def _unique_id(
    state: QueueState,
    spec: JobSpec,
    context: Context,
    decision: Decision,
    *,
    keys: dict[tuple[str, str], str],
    replaced: set[str],
) -> str:
    unique = unique_of(spec)
    if unique is None:
        return spec.job_id
    name = (spec.queue, unique.key)
    if name in keys:
        if unique.conflict is not Conflict.RETURN:
            text = f"two jobs of one call want the unique key {unique.key!r} of queue {spec.queue!r}"
            raise DuplicateJobError(f"{text}: one is {spec.name!r}", keys[name])
        return keys[name]
    other, before = existing(state, spec, unique, context.now_us, replaced)
    if other is None:
        keys[name] = spec.job_id
    if before is not None and before.job_id not in replaced:
        why = f"replaced by job {spec.job_id!r}"
        replaced.add(before.job_id)
        cancel_one(state, before, context, decision, why, gone=replaced)
    return other or spec.job_id


def _conflict(spec: JobSpec, context: Context, decision: Decision) -> None:
    """Refuse an id that is taken; an owner cannot choose another one, so for it the job has failed."""
    error = f"job id {spec.job_id!r} is on record for another job"
    if not spec.owner:
        raise ConflictingIdError(error)
    tell_owner(spec.owner, spec.job_id, Retired(JobStatus.FAILED, 0, 0, error, context.now_us), decision)


def _digest_on_record(
    state: QueueState, job_id: str, context: Context, seen: dict[str, bytes]
) -> bytes | None:
    recent = state.recent.get(job_id)
    if recent is not None:
        return recent
    known = context.known.get(f"job:{job_id}")
    if known is not None and isinstance(first := known.history[0], JobEnqueued):
        return first.digest
    if job_id in state.jobs:  # an id that was said to be new
        return TAKEN
    return seen.get(job_id)


def _tell_again(state: QueueState, spec: JobSpec, context: Context, decision: Decision) -> None:
    """Answer an owner who asks again for a job that is over: pull, not push (R8)."""
    retired = state.retired.get(spec.job_id)
    known = context.known.get(f"job:{spec.job_id}")
    if retired is None and known is not None:
        retired = retired_of(known)
    if retired is not None:
        tell_owner(spec.owner, spec.job_id, retired, decision)


def _missing(state: QueueState, spec: JobSpec, context: Context, seen: dict[str, bytes]) -> int:
    missing = 0
    for other in waits_for(spec):
        if other in state.jobs or other in seen:
            missing += 1
            continue
        known = context.known.get(f"job:{other}")
        retired = state.retired.get(other) or (known and retired_of(known))
        if not retired:
            msg = f"job {spec.job_id!r} is to run after {other!r}, which is not on record"
            raise UnknownIdError(msg)
        if other not in spec.after:
            msg = f"job {spec.job_id!r} is to run should {other!r} fail, which is {retired.status}"
            raise InputError(msg)
        if retired.status is not JobStatus.COMPLETED:
            msg = f"job {spec.job_id!r} is to run after {other!r}, which is {retired.status}"
            raise InputError(msg)
    return missing
