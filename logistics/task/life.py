"""How long a job may wait and run, and what its exceptions mean: as users say it, and as the queue takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from actors.queue.specs import NO_LIFE, PROCESS, THREAD, JobLife
from actors.runtime.errors import InputError
from actors.runtime.verdict import PREDICATE
from logistics.inputs import duration_us, instant_us, span_us

if TYPE_CHECKING:
    from logistics.inputs import Duration

EXECUTORS = (THREAD, PROCESS)
"""Where functions may run."""
Condition: TypeAlias = type[BaseException] | Callable[[BaseException], object] | str
"""An exception type, a function of an exception, or the stored name of either."""
Conditions: TypeAlias = Condition | Iterable[Condition]


def find_condition(name: str, resolve: Callable[[str], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the exception type, or the function of an exception, that a text `module:Name` means.

    Imports the module; `resolve` finds functions by name. `InputError`, and what `resolve` raises.
    """
    module, _, qualname = name.partition(":")
    if name.startswith(PREDICATE):
        return resolve(name.removeprefix(PREDICATE))
    try:
        found: Any = import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"expected the name of an exception, or of a function of one, got {name!r}"
        raise InputError(msg) from error
    return found if _is_exception(found) else resolve(name)


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def conditions(what: str, given: Conditions) -> tuple[Condition, ...]:
    """Return one or several conditions on exceptions, checked."""
    if given == ():
        return ()
    several = not isinstance(given, str | type) and isinstance(given, Iterable)
    checked: tuple[Any, ...] = tuple(given) if several else (given,)  # type: ignore[arg-type]
    for each in checked:
        is_type = _is_exception(each)
        is_name = isinstance(each, str) and ":" in each
        if not (is_type or is_name or (callable(each) and not isinstance(each, type))):
            msg = f"{what}: expected exception types or functions of an exception, got {each!r}"
            raise InputError(msg)
    return checked


_NOTHING = (None,) * 5


def job_life(
    timeout: Duration | None,
    expires: Duration | datetime | None,
    heartbeat: Duration | None,
    executor: str | None = None,
    result_ttl: Duration | None = None,
) -> JobLife:
    """Return the limits of a job, checked."""
    if (timeout, expires, heartbeat, executor, result_ttl) == _NOTHING:
        return NO_LIFE
    expires_us, expires_in_us = 0, 0
    if isinstance(expires, datetime):
        expires_us = instant_us("expires", expires)
    elif expires is not None:
        expires_in_us = span_us("expires", expires, least_us=1)
    return JobLife(
        timeout_us=_span_us("timeout", timeout),
        expires_us=expires_us,
        expires_in_us=expires_in_us,
        heartbeat_us=_span_us("heartbeat", heartbeat),
        executor="" if executor is None else check_executor(executor),
        result_ttl_us=_span_us("result_ttl", result_ttl),
    )


def check_executor(executor: object) -> str:
    """Return where functions are to run."""
    if executor not in EXECUTORS:
        msg = f"executor: expected {' or '.join(map(repr, EXECUTORS))}, got {executor!r}"
        raise InputError(msg)
    return str(executor)


def _span_us(what: str, span: Any) -> int:
    return 0 if span is None else duration_us(what, span, least_us=1)
