"""A workflow's definition: its steps by name, in one canonical form that survives restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.errors import InputError
from actors.runtime.values import encode_call
from actors.workflow.checks import ON_FAILURE
from actors.workflow.condition import parse
from eventstore.errors import CorruptStoreError
from logistics.inputs import MAX_PRIORITY, check_int, check_name, duration_us
from logistics.task import limits
from logistics.task.job import DEFAULT_RETRY_DELAY
from logistics.task.life import job_life
from logistics.task.options import MAX_RETRIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logistics.inputs import Duration

CANONICAL = msgspec.msgpack.Encoder(order="deterministic")
MAX_PARALLEL = 1_000_000
DEFAULT_RETRY_US = round(DEFAULT_RETRY_DELAY * 1_000_000)


class StepDefinition(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step as its author defined it. A new field needs a default: old bytes keep their meaning."""

    name: str
    function: str
    """A reference, as `actors.runtime.functions` makes it."""
    payload: bytes
    """Constant arguments as bytes (`encode_call`)."""
    depends_on: tuple[str, ...] = ()
    max_retries: int = 0
    retry_us: int = DEFAULT_RETRY_US
    """Base of the delay between tries."""
    queue: str = ""
    """Empty: the engine's own queue for steps."""
    priority: int = 0
    templated: bool = False
    """Whether texts in the arguments may hold `{{…}}` references, as those of files do."""
    when: str = ""
    """A condition (`actors.workflow.condition`)."""
    when_function: str = ""
    """The reference of a function instead."""
    required: bool = True
    on_failure: str = ""
    """Empty: `skip`, or `continue` if it is not required."""
    last: bool = False
    """Begun when all others have ended."""
    map_over: str = ""
    """A step, or `params.` and a run parameter: the function is called for each item of that list."""
    parallel: int = 0
    """Items under way at one time; 0: no limit."""
    compensate: str = ""
    """The reference of a function that undoes it."""
    workflow: str = ""
    """The workflow that it is a run of; the keyword arguments are the parameters of that run."""
    wait: str = ""
    """What it waits for: `time`, `signal` or `run`, the only argument."""
    wait_us: int = 0
    schema: dict[str, str] | None = None
    """Fields of the value that is sent to it, and their types."""
    resources: tuple[tuple[str, float], ...] = ()
    timeout_us: int = 0
    """How long a call may run; 0: as long as it likes."""
    heartbeat_us: int = 0
    """How long a call may give no sign of life; 0: for ever."""
    cache_us: int = 0
    """How old the output of an identical call may be that is used instead; 0: none is."""
    cache_key: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """References of all that it calls."""
        return tuple(filter(None, (self.function, self.when_function, self.compensate)))


class ParameterDefinition(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A parameter of the workflow's runs, as a file declares it."""

    name: str
    type: str = "str"
    default: Any = None
    has_default: bool = False
    required: bool = True
    description: str = ""


class Definition(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A workflow: equal definitions have equal bytes."""

    name: str
    description: str = ""
    params: tuple[ParameterDefinition, ...] | None = None
    """None: whatever its steps take."""
    steps: tuple[StepDefinition, ...] = ()


def encode_definition(definition: Definition) -> bytes:
    """Return the canonical bytes."""
    return CANONICAL.encode(definition)


def decode_definition(data: bytes) -> Definition:
    """Return the definition; `CorruptStoreError` if the bytes say something else, or something newer."""
    try:
        return msgspec.msgpack.decode(data, type=Definition)
    except (msgspec.DecodeError, ValueError) as error:
        msg = f"a workflow's definition cannot be read: {error}; a newer version may have written it"
        raise CorruptStoreError(msg) from error


def define_step(
    name: str,
    function: str,
    *,
    depends_on: tuple[str, ...],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    max_retries: int = 0,
    retry_delay: Duration = DEFAULT_RETRY_DELAY,
    queue: str | None = None,
    priority: int = 0,
    max_payload: int,
    templated: bool = False,
    when: str = "",
    when_function: str = "",
    required: bool = True,
    on_failure: str | None = None,
    last: bool = False,
    map_over: str | None = None,
    parallel: int | None = None,
    compensate: str = "",
    workflow: str = "",
    wait: str = "",
    wait_us: int = 0,
    schema: dict[str, str] | None = None,
    resources: Mapping[str, float] | None = None,
    timeout: Duration | None = None,
    heartbeat: Duration | None = None,
    cache_for: Duration | None = None,
    cache_key: str | None = None,
) -> StepDefinition:
    """Return a step made of a user's input, all of it checked; `InputError`, `PayloadError`."""
    if isinstance(args, str | bytes) or not hasattr(args, "__iter__"):
        msg = f"args: expected a list or tuple of arguments, got {args!r}"
        raise InputError(msg)
    life = job_life(timeout, None, heartbeat)
    return StepDefinition(
        name=check_name("name", name),
        function=function,
        payload=encode_call(tuple(args), {} if kwargs is None else kwargs, limit=max_payload),
        depends_on=depends_on,
        max_retries=check_int("max_retries", max_retries, least=0, most=MAX_RETRIES),
        retry_us=duration_us("retry_delay", retry_delay),
        queue="" if queue is None else check_name("queue", queue),
        priority=check_int("priority", priority, least=-MAX_PRIORITY, most=MAX_PRIORITY),
        templated=templated,
        when=when and parse(when).text,
        when_function=when_function,
        required=check_bool("required", required),
        on_failure=check_on_failure(on_failure),
        last=last,
        map_over="" if map_over is None else check_name("map_over", map_over),
        parallel=0 if parallel is None else check_int("parallel", parallel, least=1, most=MAX_PARALLEL),
        compensate=compensate,
        workflow=workflow and check_name("workflow", workflow),
        wait=wait,
        wait_us=wait_us,
        schema=schema,
        resources=limits.resources(resources),
        timeout_us=life.timeout_us,
        heartbeat_us=life.heartbeat_us,
        cache_us=0 if cache_for is None else duration_us("cache_for", cache_for, least_us=1),
        cache_key="" if cache_key is None else check_name("cache_key", cache_key),
    )


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


def check_text(what: str, value: object) -> str:
    """Return a text of any length."""
    if not isinstance(value, str):
        msg = f"{what}: expected text, got {value!r}"
        raise InputError(msg)
    return value


def check_dependencies(depends_on: object) -> tuple[str, ...]:
    """Return the names of steps, each once; whether there are such steps is seen when a run starts."""
    if isinstance(depends_on, str):
        msg = f"depends_on: expected a list of names, got the text {depends_on!r}; write [{depends_on!r}]"
        raise InputError(msg)
    if not isinstance(depends_on, list | tuple | set | frozenset):
        msg = f"depends_on: expected a list of names, got {depends_on!r}"
        raise InputError(msg)
    names = [check_name("depends_on", each) for each in depends_on]
    if isinstance(depends_on, set | frozenset):
        names.sort()  # the same order in every process
    return tuple(dict.fromkeys(names))
