"""What a worker would find out for a step without any output: what hangs on the parameters of its run alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.queue.specs import NOTE_VALUE
from actors.runtime.binding import substitute
from actors.runtime.seals import key_in
from actors.runtime.values import decode_call, decode_value, encode_result
from actors.workflow.events import RunCreated
from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from actors.queue.specs import Input, JobSpec
    from actors.runtime.messages import Event


def foreseen(spec: JobSpec, created: Event | None) -> bytes | None:
    """Return the note that a worker would tell the owner of a job, a run that was created so; None if nobody knows."""
    if not isinstance(created, RunCreated) or key_in(created.params):
        return None
    if not all(each.kind == "ref" or each.kind.endswith("param") for each in spec.inputs):
        return None
    try:
        return NOTE_VALUE + _found_out(spec, decode_value(created.params))
    except (
        LogisticsError,
        LookupError,
        TypeError,
    ):  # the step would fail, or its run is one of a firing to come
        return None


def _found_out(spec: JobSpec, params: dict[str, Any]) -> bytes:
    work = spec.work
    assert work is not None
    if work.gives == "count":
        return b"%d" % len(_list(spec.inputs[0], params))
    args, kwargs = decode_call(spec.payload)
    items = {each.parameter: _list(each, params)[work.item] for each in spec.inputs if "item-" in each.kind}
    if work.gives == "params":
        return encode_result(dict(sorted(substitute(kwargs, items, params).items())))
    return "".join(map(str, substitute(args, items, params))).encode()


def _list(given: Input, params: dict[str, Any]) -> list[Any]:
    found = params[given.source]
    if not isinstance(found, list):
        raise TypeError(given.source)
    return found
