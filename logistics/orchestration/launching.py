"""What a run of a schedule is made of: found out when it fires, from the definition that is on record then."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from actors.clock.zones import to_datetime
from actors.queue.specs import WORKFLOW
from actors.runtime.attempt import Firing, firing_of
from actors.runtime.errors import ErasedError, UnresolvedFunctionError, UnresolvedReason
from actors.runtime.seals import key_in
from actors.runtime.values import decode_call
from actors.workflow.events import WorkflowDefined
from actors.workflow.messages import StartRun
from eventstore.errors import LogisticsError, StoreError
from logistics.errors import WorkflowNotFoundError
from logistics.orchestration.definition import decode_definition
from logistics.orchestration.files import checked_params, encode_params
from logistics.orchestration.plan import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.queue.specs import JobSpec
    from actors.runtime.engine import Runtime
    from actors.runtime.functions import FunctionRegistry
    from logistics.orchestration.plan import Find

KEPT = 256
"""Definitions that are kept with their plans, ready to be used again."""
TIMES = re.compile(r"\{\{\s*(scheduled_at|scheduled_date|fired_at)\s*\}\}")
"""What a text in the parameters of a scheduled run may name."""
ENCODE = msgspec.msgpack.Encoder().encode


class Launcher:
    """Plans runs of schedules, on workers, by the definitions on record: what is not saved is not finished."""

    def __init__(self, functions: FunctionRegistry, max_payload: int) -> None:
        self._max_payload = max_payload
        self._prepared = lru_cache(KEPT)(lambda data: Prepared(decode_definition(data), functions))

    def __call__(self, runtime: Runtime, spec: JobSpec) -> bytes:
        """Return the `StartRun` of a firing, as bytes.

        `UnresolvedFunctionError` if there is no such workflow, or a run of it cannot be begun as it is defined
        now: the firing is parked with the reason, and tried again when the workflow is defined anew. `ErasedError`
        if its parameters were of a subject that has been erased.
        """
        try:
            return ENCODE(self._planned(runtime, spec))
        except (StoreError, ErasedError):
            raise
        except LogisticsError as error:
            raise UnresolvedFunctionError(spec.function, UnresolvedReason.NOT_FOUND, str(error)) from error

    def _planned(self, runtime: Runtime, spec: JobSpec) -> StartRun:
        def find(name: str) -> Prepared | None:
            stored = runtime.log.last(f"workflow:{name}", upto=runtime.journal.watermark)
            event = None if stored is None else runtime.codec.decode(stored.record)
            return self._prepared(event.definition) if isinstance(event, WorkflowDefined) else None

        name = spec.function.removeprefix(WORKFLOW)
        prepared = find(name)
        if prepared is None:
            msg = f"there is no workflow {name!r} on record: define it, and save, run or schedule it"
            raise WorkflowNotFoundError(msg)
        vault, key = runtime.vault, key_in(spec.payload)
        (zone,), given = decode_call(vault.open(spec.payload))
        firing = firing_of(runtime, spec.job_id, spec.owner)
        assert firing is not None
        values = checked_params(prepared.definition, with_times(given, firing, zone))
        planned = prepared.plan(frozenset(values), find)
        params = encode_params(values, limit=self._max_payload)
        return StartRun(
            run_id=spec.job_id,
            plan=planned.plan,
            plan_id=planned.plan_id,
            params=vault.seal(params, key) if key else params,
            blocking=False,
            children=planned.children,
            owner=spec.owner,
        )


def check_run(prepared: Prepared, params: Mapping[str, Any], zone: str, now_us: int, find: Find) -> None:
    """Refuse parameters with which no run could be begun if a schedule in this zone fired now."""
    values = checked_params(prepared.definition, with_times(params, Firing(now_us, now_us), zone))
    prepared.plan(frozenset(values), find)


def with_times(params: Mapping[str, Any], firing: Firing, zone: str) -> dict[str, Any]:
    """Return parameters in whose texts `{{scheduled_at}}` and its like have become times in a zone, ISO 8601.

    A run that was triggered has no time of its own: for it that of the trigger counts.
    """
    scheduled_us = firing.fired_us if firing.scheduled_us is None else firing.scheduled_us
    scheduled_at = to_datetime(zone, scheduled_us)
    times = {
        "scheduled_at": scheduled_at.isoformat(),
        "scheduled_date": scheduled_at.date().isoformat(),
        "fired_at": to_datetime(zone, firing.fired_us).isoformat(),
    }

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return TIMES.sub(lambda found: times[found[1]], value)
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        return [filled(each) for each in value] if isinstance(value, list) else value

    return {name: filled(value) for name, value in params.items()}
