"""Where what a step gets comes from: outputs, signals and parameters, read from the durable log."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.events import JobCompleted, JobEnqueued
from actors.runtime.depth import check_depth
from actors.runtime.errors import InputError
from actors.runtime.values import decode_value, encode_result
from actors.workflow.events import CallCached, PlanRecorded, RunCompleted, RunCreated, SignalReceived
from actors.workflow.past import leaves, run_of
from actors.workflow.specs import StepStatus
from eventstore.decoding import msgpack_decoder
from eventstore.errors import CorruptStoreError, LogisticsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.queue.specs import Input, JobSpec
    from actors.runtime.engine import Runtime
    from actors.runtime.messages import Event
    from actors.workflow.specs import Plan
    from eventstore.records import Frame

LISTS = 4
"""Lists kept in memory, item by item, while steps are mapped over them."""
NEAR, AHEAD, SMALL = 4, 1_024, 1_024
"""Jobs so near in the log follow each other; so many records are read ahead; so many bytes of arguments are kept."""
LEFT, FAR = 64, 16_384
"""With fewer jobs left of those that were read ahead, the next ones are read; so many records are read in one go."""
MAX_LIST = 1 << 30
"""Bytes of a list of run parameters that is taken apart: it was checked when the run began."""

_split = msgpack_decoder(list[msgspec.Raw])


class Inputs:
    """Reads inputs. Kinds and sources are those of `Input`."""

    def __init__(self, runtime: Runtime, *, marks: bool = False) -> None:
        """Read what the log of `runtime` has. With `marks`, what was erased gives a mark instead of `ErasedError`."""
        self._runtime = runtime
        self._opened = runtime.vault.show if marks else runtime.vault.open
        self._ahead: dict[str, JobSpec] = {}
        """Jobs that were enqueued right behind one that was asked for, while they are asked for in this order."""
        self._newest = 0
        """The position of the job that was looked up last, or up to where was read ahead."""
        self._frames: Iterator[Frame] = iter(())
        """What comes behind that."""
        self._is_in_order = False
        """Whether enough was read ahead to expect the next job behind it, once that was asked for."""
        self._reading = Lock()
        self._items = lru_cache(maxsize=LISTS)(self._read_items)

    def spec(self, job_id: str) -> JobSpec:
        """Return a job as it was enqueued.

        One thread at a time looks up what was not read ahead: the others, whose jobs are next, then have them.
        """
        spec = self._ahead.pop(job_id, None)
        if spec is None:
            with self._reading:
                if self._is_in_order and len(self._ahead) < LEFT:
                    self._read_ahead()
                spec = self._ahead.pop(job_id, None) or self._look_up(job_id)
        return spec

    def _look_up(self, job_id: str) -> JobSpec:
        position, event = self._find(f"job:{job_id}")
        assert isinstance(event, JobEnqueued)
        if self._newest < position <= self._newest + NEAR:
            self._read_ahead()
            self._ahead.pop(job_id, None)
        else:
            self._newest, self._frames = position, iter(())
        return event.spec

    def _read_ahead(self) -> None:
        """Read the small jobs behind what was read: to look each of them up would cost several times as much."""
        if len(self._ahead) >= LEFT:
            self._ahead = {}
        ahead, decode, begin = self._ahead, self._runtime.codec.decode_frame, self._newest
        try:
            while self._newest < begin + AHEAD and (frame := self._next_frame()) is not None:
                for event in decode(frame):
                    if type(event) is JobEnqueued and len(event.spec.payload) <= SMALL:
                        ahead[event.spec.job_id] = event.spec
                self._newest = frame.last
        except LogisticsError:
            self._frames = iter(())  # whoever needs what cannot be read will be told
        self._is_in_order = len(ahead) > LEFT

    def _next_frame(self) -> Frame | None:
        """Return the frame behind what was read, clipped; many are read in one go, as each beginning costs two more."""
        frame = next(self._frames, None)
        if frame is None:
            runtime, newest = self._runtime, self._newest
            self._frames = runtime.log.frames(after=newest, upto=min(newest + FAR, runtime.journal.watermark))
            frame = next(self._frames, None)
        return frame

    def of(self, given: Input, spec: JobSpec) -> Any:
        """Return the value of an input of a job."""
        kind = given.kind.removeprefix("ref-")
        if kind.startswith("item-"):
            assert spec.work is not None
            return self._item(kind.removeprefix("item-"), given.source, spec)
        if kind == "param":
            return self.params(spec.owner)[given.source]
        return self.output(kind, given.source)

    def params(self, owner: str) -> dict[str, Any]:
        """Return the parameters of a run."""
        created = self._first(owner)
        assert isinstance(created, RunCreated)
        params = decode_value(self._opened(created.params))
        assert isinstance(params, dict)
        return params

    def count(self, given: Input, spec: JobSpec) -> int:
        """Return how many items an input has; `InputError` if it is no list."""
        if given.kind in {"list", "runs"}:
            return int(given.source.partition("/")[0])
        return len(self._items(given.kind, given.source, spec.owner))

    def output(self, kind: str, source: str) -> Any:
        """Return the output of a step."""
        if kind in {"list", "done"}:
            count, _, prefix = source.partition("/")
            job_ids = [f"{prefix}{number}" for number in range(int(count))]
            if kind == "list":
                return [self._result(job_id) for job_id in job_ids]
            return [decode_value(data) for data in map(self._completed, job_ids) if data is not None]
        if kind == "runs":
            count, _, prefix = source.partition("/")
            return [self.run_output(f"{prefix}{number}") for number in range(int(count))]
        if kind == "step":
            return self._result(source)
        if kind == "signal":
            sent = self._first(f"signal:{source}")
            assert isinstance(sent, SignalReceived)
            return decode_value(self._opened(sent.value))
        return self.run_output(source) if kind == "run" else None

    def run_output(self, run_id: str, end: Event | None = None) -> Any:
        """Return what came of a run: the output of the step that no other needs, or a dict of several.

        `end` is how it ended, where that is known.
        """
        created = self._first(f"run:{run_id}")
        assert isinstance(created, RunCreated)
        recorded = self._first(f"plan:{created.plan_id}")
        assert isinstance(recorded, PlanRecorded)
        plan = recorded.plan
        last = leaves(plan)
        if self._is_plain(created, plan, end):
            outputs = {plan.steps[step].name: self._result(f"{run_id}.{step}") for step in last}
        else:
            run = run_of(plan, self._history(f"run:{run_id}"))
            outputs = {
                plan.steps[step].name: self.output(*run.output(step))
                for step in last
                if run.steps[step] is StepStatus.COMPLETED
            }
        if len(last) == 1:
            return next(iter(outputs.values()), None)
        return outputs or None

    def _is_plain(self, created: RunCreated, plan: Plan, end: Event | None) -> bool:
        """Whether surely every step of a run was one job of its own that has completed."""
        if created.origin or any(step.options is not None for step in plan.steps):
            return False
        return isinstance(end or self._last(f"run:{created.run_id}"), RunCompleted)

    def cached(self, fingerprint: str, since_us: int) -> tuple[str, bytes] | None:
        """Return the job of an identical call, and what came of it, if it has ended after `since_us`."""
        event = self._last(f"cache:{fingerprint}")
        if not isinstance(event, CallCached) or event.at_us < since_us:
            return None
        return event.job_id, self._result_bytes(event.job_id)

    # -- single values ---------------------------------------------------------------------------------------

    def _result(self, job_id: str) -> Any:
        return decode_value(self._result_bytes(job_id))

    def _result_bytes(self, job_id: str) -> bytes:
        data = self._completed(job_id)
        if data is None:
            msg = f"the output of job {job_id} is not in the log, though a step that needs it was started"
            raise CorruptStoreError(msg)
        return data

    def _completed(self, job_id: str) -> bytes | None:
        """Return what a job has returned; None if it has not completed."""
        entity = f"job:{job_id}"
        end = self._last(entity)
        if isinstance(end, JobCompleted):
            return self._opened(end.result)
        for event in reversed(self._history(entity)):  # a late end that was refused may have come after it
            if isinstance(event, JobCompleted):
                return self._opened(event.result)
        return None

    def _item(self, kind: str, source: str, spec: JobSpec) -> Any:
        assert spec.work is not None
        return decode_value(self._items(kind, source, spec.owner)[spec.work.item])

    def _read_items(self, kind: str, source: str, owner: str) -> list[bytes]:
        """Take a list apart into its items as bytes, so that each is decoded for one attempt alone."""
        if kind == "step":
            data = self._result_bytes(source)
        else:
            value = self.params(owner)[source] if kind == "param" else self.output(kind, source)
            data = encode_result(value, limit=MAX_LIST)
        check_depth(data, 256)
        try:
            return [bytes(item) for item in _split(data)]
        except msgspec.ValidationError as error:
            msg = f"a step is mapped over a list, and what it got is none: {error}"
            raise InputError(msg) from error

    def _first(self, entity: str) -> Any:
        return self._find(entity)[1]

    def _find(self, entity: str) -> tuple[int, Any]:
        stored = self._runtime.log.first(entity, upto=self._runtime.journal.watermark)
        if stored is None:
            msg = f"{entity} is not in the log, though its start is"
            raise CorruptStoreError(msg)
        return stored.position, self._runtime.codec.decode(stored.record)

    def _last(self, entity: str) -> Event | None:
        stored = self._runtime.log.last(entity, upto=self._runtime.journal.watermark)
        return None if stored is None else self._runtime.codec.decode(stored.record)

    def _history(self, entity: str) -> list[Event]:
        runtime = self._runtime
        past = runtime.log.history(entity, upto=runtime.journal.watermark)
        return [runtime.codec.decode(stored.record) for stored in past]
