"""Worlds whose log is compacted while everything else goes on, with plans that are old when they are carried out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors.forgetting import forget
from actors.queue.messages import RetryJob
from actors.queue.specs import FINAL
from actors.retention import FOLDED, Survey, plan_compaction, texts
from actors.runtime.errors import BusyError
from actors.runtime.fold import replay
from actors.simulation.checks import violated
from actors.simulation.world import World
from eventstore.errors import StoreError
from eventstore.retention import NO_HORIZON
from eventstore.segments import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.runtime.engine import Runtime
    from eventstore.log import Log
    from eventstore.records import Frame
    from eventstore.retention import Compaction

REPEATED = 5
"""Jobs that callers may still enqueue once more: the newest of those that they have shared."""


class ForgettingWorld(World):
    """A world that forgets. Callers repeat what they have asked for, but not after it was over for long."""

    survey_type: ClassVar[type[Survey]] = Survey
    forget: ClassVar[Callable[[Runtime, Compaction], bool]] = staticmethod(forget)
    waits_for_lookers: ClassVar[bool] = True

    def __init__(self, seed: int, *, steps: int = 300) -> None:
        self._old_frames: list[Frame] = []
        """What was compacted, as it was."""
        self._compaction: Compaction | None = None
        super().__init__(seed, steps=steps)

    def _actions(self) -> list[tuple[float, Callable[[], object]]]:
        actions = [*super()._actions(), (1.0, self._retry_something_old)]
        if self.runtime.recovering is None and self.runtime.accepting:
            actions.append((0.3, self._plan_compaction) if self._compaction is None else (0.5, self._compact))
        return actions

    def _retry_something_old(self) -> None:
        """Have somebody take up again what may be about to be forgotten; nobody waits for the answer."""
        ended = [job_id for job_id, job in self.durable().jobs.items() if job.status in FINAL]
        if ended:
            with suppress(StoreError, BusyError):
                self.runtime.send("queue", RetryJob(job_id=self.random.choice(ended)))

    def _plan_compaction(self) -> None:
        old_us = self.random.choice((0, 0, 1_000_000, 60_000_000))
        pinned = [job.job_id for job in self.jobs[-REPEATED:]]
        pinned += texts(
            [msgspec.to_builtins(caller.last_message) for caller in self.callers if caller.waiting]
        )
        self._compaction = plan_compaction(
            self.medium,
            self.codec,
            [actor.rules for actor in self.actor_types],
            before_us=self.clock.now_us() - old_us,
            upto=self.runtime.journal.watermark,
            pinned=pinned,
            survey_type=self.survey_type,
        )
        self.count("planned" if self._compaction else "nothing to forget")

    def _compact(self) -> None:
        plan, before = self._compaction, self.medium.horizon
        assert plan is not None
        if self.runtime.journal.committing.locked() or (
            self.waits_for_lookers and self.runtime.looking.occupied
        ):
            return  # threads would wait
        self._compaction = None
        self.durable()
        frames = list(self.medium.frames(after=before.head.position, upto=plan.horizon.head.position))
        try:
            if not type(self).forget(self.runtime, plan):
                self.count("stood against")
        except ValueError:
            self.count("planned for another log")
        except StoreError:
            self.count("compaction failed")
        if self.medium.horizon != before:
            self._old_frames += frames
            self.count("compacted")
            self._check_kept()

    def _check_kept(self) -> None:
        """See that whatever goes on has its whole past (R8's corollary), and everything else all of it or nothing."""
        wanted: dict[str, list[int]] = {}
        for frame in _WholeLog(self._old_frames, self.medium).frames(upto=self.medium.synced):
            for position, record in enumerate(frame.records, frame.first):
                wanted.setdefault(record.entity, []).append(position)
        durable = self.durable()
        open_runs = {run_id for run_id, ended in durable.runs.items() if ended == "open"}
        needed = {f"run:{run_id}" for run_id in open_runs}
        needed |= {
            f"job:{job_id}"
            for job_id, job in durable.jobs.items()
            if job.status not in FINAL or job.spec.owner.removeprefix("run:") in open_runs
        }
        for entity, positions in wanted.items():
            found = [stored.position for stored in self.medium.history(entity)]
            if entity in needed and found != positions:
                raise violated("something that goes on was forgotten", entity)
            if kind_of(entity) not in FOLDED and found not in ([], positions):
                raise violated("half of something was forgotten", entity)

    def _check_states(self) -> None:
        """See that forgetting has changed no state: the fold of all there ever was is what lives."""
        super()._check_states()
        rules = [actor.rules for actor in self._alive()]
        states = {each.name: each.initial() for each in rules}
        whole: Any = _WholeLog(self._old_frames, self.medium)
        replay(whole, self.codec, states, dict.fromkeys(states, 0), upto=self.medium.synced)
        for actor in self._alive():
            if actor.state.dump() != states[actor.rules.name].dump():
                raise violated("forgetting has changed a state", actor.rules.name)


class _WholeLog:
    """What was compacted, and what came behind it."""

    horizon = NO_HORIZON

    def __init__(self, old: list[Frame], log: Log) -> None:
        self._old = old
        self._log = log

    def frames(self, *, after: int = 0, upto: int | None = None) -> Iterator[Frame]:
        """Yield all frames; `after` is 0 here."""
        assert not after
        yield from self._old
        yield from self._log.frames(after=self._log.horizon.head.position, upto=upto)
