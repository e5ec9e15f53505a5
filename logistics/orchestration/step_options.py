"""What may be said about how a step is called and what its failure means: by code and by files, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict

from actors.runtime.errors import InputError
from actors.runtime.verdict import name_of
from actors.workflow.checks import ON_FAILURE
from logistics.inputs import MAX_PRIORITY, check_int, check_name, duration_us
from logistics.task import limits
from logistics.task.life import Conditions, conditions, job_life
from logistics.task.options import DEFAULT_RETRY_DELAY, retry_policy

if TYPE_CHECKING:
    from logistics.inputs import Duration

MAX_PARALLEL = 1_000_000


class CallOptions(TypedDict, total=False):
    """Those options of a step that are about how it is called, and make sense of any."""

    max_retries: int
    retry_delay: Duration | Sequence[Duration]
    backoff: str
    jitter: bool | None
    timeout: Duration | None
    heartbeat: Duration | None
    retry_on: Conditions
    give_up_on: Conditions
    executor: str | None
    required: bool
    resources: Mapping[str, float] | None
    queue: str | None
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """The options of `Workflow.add_step` that mean the same for each call, as their author gave them."""

    max_retries: int = 0
    retry_delay: Duration | Sequence[Duration] | None = None
    """None: what jobs have."""
    backoff: str = "exponential"
    jitter: bool | None = None
    timeout: Duration | None = None
    heartbeat: Duration | None = None
    retry_on: Conditions = ()
    give_up_on: Conditions = ()
    executor: str | None = None
    required: bool = True
    on_failure: str | None = None
    last: bool = False
    map_over: str | None = None
    parallel: int | None = None
    cache_for: Duration | None = None
    cache_key: str | None = None
    resources: Mapping[str, float] | None = None
    queue: str | None = None
    priority: int = 0

    def checked(self, register: Callable[[Callable[..., object]], str]) -> dict[str, Any]:
        """Return the fields of a `StepDefinition` that say it; `InputError` begins with the name of the option.

        `register` names the functions that judge exceptions.
        """
        delay = DEFAULT_RETRY_DELAY if self.retry_delay is None else self.retry_delay
        policy, backoff = retry_policy(self.max_retries, delay, self.backoff, self.jitter)
        life = job_life(self.timeout, None, self.heartbeat, self.executor)
        return {
            "max_retries": policy.max_retries,
            "retry_us": policy.base_us,
            "backoff": backoff,
            "timeout_us": life.timeout_us,
            "heartbeat_us": life.heartbeat_us,
            "retry_on": _names("retry_on", self.retry_on, register),
            "give_up_on": _names("give_up_on", self.give_up_on, register),
            "executor": life.executor,
            "required": check_bool("required", self.required),
            "on_failure": check_on_failure(self.on_failure),
            "last": self.last,
            "map_over": "" if self.map_over is None else check_name("map_over", self.map_over),
            "parallel": _parallel(self.parallel),
            "cache_us": 0 if self.cache_for is None else duration_us("cache_for", self.cache_for, least_us=1),
            "cache_key": "" if self.cache_key is None else check_name("cache_key", self.cache_key),
            "resources": limits.resources(self.resources),
            "queue": "" if self.queue is None else check_name("queue", self.queue),
            "priority": check_int("priority", self.priority, least=-MAX_PRIORITY, most=MAX_PRIORITY),
        }

    def problems(self) -> Iterator[str]:
        """Yield all that is wrong, each beginning with the name of the option."""
        try:
            self.checked(str)
        except InputError:
            for each in fields(self):
                try:
                    StepOptions(**{each.name: getattr(self, each.name)}).checked(str)
                except InputError as error:
                    yield str(error)


def _names(what: str, given: Conditions, register: Callable[[Callable[..., object]], str]) -> tuple[str, ...]:
    return tuple(name_of(each, register) for each in conditions(what, given))


def _parallel(value: int | None) -> int:
    return 0 if value is None else check_int("parallel", value, least=1, most=MAX_PARALLEL)


def check_on_failure(value: object) -> str:
    """Return what the failure of a step means for others; None is left to the rule."""
    if value is None:
        return ""
    if value not in ON_FAILURE:
        msg = f"on_failure: expected one of {', '.join(ON_FAILURE)}, got {value!r}"
        raise InputError(msg)
    return str(value)


def check_bool(what: str, value: object) -> bool:
    """Return a truth value; nothing else is taken for one."""
    if not isinstance(value, bool):
        msg = f"{what}: expected True or False, got {value!r}"
        raise InputError(msg)
    return value
