"""A workflow's definition as plain data: what a file of it would say, in one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.runtime.binding import is_templated
from actors.runtime.values import decode_call
from logistics.orchestration.definition import DEFAULT_RETRY_US, StepDefinition

if TYPE_CHECKING:
    from logistics.orchestration.definition import Definition, ParameterDefinition

PLAIN = (
    "function",
    "workflow",
    "when",
    "on_failure",
    "map_over",
    "parallel",
    "compensate",
    "cache_key",
    "executor",
    "queue",
    "priority",
)
"""Keys of a step whose values are what they are called, left out if they are empty."""


def as_data(definition: Definition) -> dict[str, Any]:
    """Return what a file would say; nothing that has its default."""
    data: dict[str, Any] = {"name": definition.name}
    if definition.description:
        data["description"] = definition.description
    if definition.params is not None:
        data["params"] = {each.name: _parameter(each) for each in definition.params}
    last: dict[bool, str] = {}
    steps = []
    for step in definition.steps:
        steps.append(_step(step, before=last.get(step.last)))
        last[step.last] = step.name
    return data | {"steps": steps}


def _parameter(parameter: ParameterDefinition) -> dict[str, Any]:
    data: dict[str, Any] = {} if parameter.type == "str" else {"type": parameter.type}
    if parameter.has_default:
        data["default"] = parameter.default
    elif not parameter.required:
        data["required"] = False
    if parameter.description:
        data["description"] = parameter.description
    return data


def _step(step: StepDefinition, *, before: str | None) -> dict[str, Any]:
    data: dict[str, Any] = {"name": step.name}
    args, kwargs = decode_call(step.payload)
    if step.wait:
        data["wait"] = _wait(step, args)
    elif args:
        data["args"] = list(args)
    if kwargs:
        data["params" if step.workflow else "kwargs"] = kwargs
    if step.templated != is_templated([list(args), kwargs]):
        data["templated"] = step.templated
    data |= {key: value for key in PLAIN if (value := getattr(step, key))}
    if step.when_function:
        data["when"] = step.when_function
    if step.depends_on != (() if before is None else (before,)):
        data["dependencies"] = list(step.depends_on)
    if step.max_retries:
        data["max_retries"] = step.max_retries
    data |= _retries(step)
    spans = {"timeout": step.timeout_us, "heartbeat": step.heartbeat_us, "cache_for": step.cache_us}
    data |= {key: span / 1e6 for key, span in spans.items() if span}
    flags = {"required": (step.required, True), "finally": (step.last, False)}
    data |= {key: value for key, (value, default) in flags.items() if value is not default}
    return data | ({"resources": dict(step.resources)} if step.resources else {})


def _retries(step: StepDefinition) -> dict[str, Any]:
    """Return when it is tried again, and after what."""
    data: dict[str, Any] = {
        key: list(names) for key in ("retry_on", "give_up_on") if (names := getattr(step, key))
    }
    backoff = step.backoff
    if backoff is not None and backoff.delays:
        data["retry_delay"] = [delay / 1e6 for delay in backoff.delays]
    elif step.retry_us != DEFAULT_RETRY_US:
        data["retry_delay"] = step.retry_us / 1e6
    if backoff is not None and backoff.shape in ("linear", "fixed"):
        data["backoff"] = backoff.shape
    if backoff is not None and (backoff.jitter or backoff.shape == "exponential"):
        data["jitter"] = backoff.jitter
    return data


def _wait(step: StepDefinition, args: tuple[Any, ...]) -> dict[str, Any]:
    if step.wait == "time":
        return {"seconds": step.wait_us / 1e6}
    data: dict[str, Any] = {"run": args[0]} if step.wait == "run" else {"signal": True}
    if step.schema is not None:
        data["schema"] = step.schema
    if step.wait_us:
        data["timeout"] = step.wait_us / 1e6
    return data
