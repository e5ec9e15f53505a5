"""Whether the bytes of a command that a caller has written can be read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from actors.queue.messages import EnqueueJobs, SettleLease
from actors.runtime.errors import InputError, PayloadError
from actors.runtime.marks import Sealed
from actors.runtime.values import decode_call, decode_value
from actors.schedule.messages import ApplySchedules, PutSchedule
from actors.workflow.messages import CreateSession, DefineWorkflow, SignalRun, StartRun
from eventstore.errors import LogisticsError
from logistics.orchestration.definition import decode_definition
from logistics.orchestration.session import OrchestrationSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from actors.queue.specs import JobSpec
    from actors.runtime.messages import Message
    from actors.schedule.messages import JobTemplate
    from actors.workflow.specs import PlanStep

    Bytes = tuple[str, bytes, Callable[[bytes], object]]

MADE_BY: Mapping[Callable[..., object], str] = MappingProxyType(
    {
        decode_call: "; logistics.messages.encode_call makes such bytes",
        decode_value: "; logistics.messages.encode_result makes such bytes",
    }
)


def check_payloads(command: Message, *, limit: int) -> None:
    """Refuse bytes that could not be read once they are on record: what lists and shows them would fail for ever.

    `InputError` says which bytes and why, `PayloadError` that there are more than `limit` of them.
    """
    kind = type(command).__name__
    for where, data, read in _bytes_of(command):
        if len(data) > limit:
            msg = f"{kind}: {where} takes {len(data)} bytes, the limit is {limit} bytes (max_payload=)"
            raise PayloadError(msg, path=where, size=len(data), limit=limit)
        try:
            read(data)
        except LogisticsError as error:
            made = MADE_BY.get(read, "")
            msg = f"{kind}: {where}: {error}{made}"
            raise InputError(msg) from error


def _bytes_of(command: Message) -> Iterator[Bytes]:
    """What in a command is bytes: where, the bytes, and what reads them."""
    match command:
        case EnqueueJobs():
            yield from _calls("jobs[{}].payload", command.jobs)
        case SettleLease(outcome="ok"):
            yield "result", command.result, decode_value
        case PutSchedule():
            yield "target.payload", command.target.payload, decode_call
        case ApplySchedules():
            yield from _calls("schedules[{}].target.payload", [put.target for put in command.schedules])
        case StartRun():
            yield from _of_run(command)
        case SignalRun():
            yield "value", command.value, decode_value
        case DefineWorkflow():
            yield "definition", command.definition, lambda data: _read_definition(data, command.name)
        case CreateSession():
            yield "data", command.data, lambda data: _read_session(data, command.session_id)


def _of_run(command: StartRun) -> Iterator[Bytes]:
    yield "params", command.params, _read_params
    yield from _calls("plan.steps[{}].payload", command.plan.steps)
    for number, (_, plan) in enumerate(command.children):
        yield from _calls(f"children[{number}][1].steps[{{}}].payload", plan.steps)


def _calls(where: str, called: Iterable[JobSpec | JobTemplate | PlanStep]) -> Iterator[Bytes]:
    for number, each in enumerate(called):
        yield where.format(number), each.payload, decode_call


def _read_params(data: bytes) -> None:
    """Values by their names; of a subject they are sealed, and a mark is all that can be read."""
    value = decode_value(data)
    if not isinstance(value, Sealed):
        _read_named(value)


def _read_named(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        msg = f"expected a dict of values by their names, got {value!r}"
        raise InputError(msg)
    return value


def _read_definition(data: bytes, name: str) -> None:
    definition = decode_definition(data)
    if definition.name != name:
        msg = f"expected the definition of {name!r}, got that of {definition.name!r}"
        raise InputError(msg)
    for step in definition.steps:
        decode_call(step.payload)


def _read_session(data: bytes, session_id: str) -> None:
    session = OrchestrationSession.from_dict(_read_named(decode_value(data)))
    if session.session_id != session_id:
        msg = f"expected what describes session {session_id!r}, got that of {session.session_id!r}"
        raise InputError(msg)
