"""A workflow's definition: its steps by name, in one canonical form that survives restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.specs import Backoff
from actors.runtime.errors import InputError
from actors.runtime.values import encode_call
from actors.workflow.condition import parse
from eventstore.decoding import msgpack_decoder
from eventstore.errors import CorruptStoreError
from logistics.inputs import check_arguments, check_name, check_named
from logistics.task.options import DEFAULT_RETRY_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logistics.orchestration.step_options import StepOptions

CANONICAL = msgspec.msgpack.Encoder(order="deterministic")
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
    backoff: Backoff | None = None
    """How the delay between tries grows, if not exponentially with full jitter."""
    retry_on: tuple[str, ...] = ()
    """Exceptions after which it is tried again (`actors.runtime.verdict`); none: after all."""
    give_up_on: tuple[str, ...] = ()
    executor: str = ""
    """Where it runs; empty: where the engine says."""

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


_DECODE = msgpack_decoder(Definition)


def encode_definition(definition: Definition) -> bytes:
    """Return the canonical bytes."""
    return CANONICAL.encode(definition)


def decode_definition(data: bytes) -> Definition:
    """Return the definition; `CorruptStoreError` if the bytes say something else, or something newer."""
    try:
        return _DECODE(data)
    except (msgspec.DecodeError, ValueError) as error:
        msg = f"a workflow's definition cannot be read: {error}; a newer version may have written it"
        raise CorruptStoreError(msg) from error


def define_step(
    name: str,
    function: str,
    options: StepOptions,
    *,
    depends_on: tuple[str, ...],
    register: Callable[[Callable[..., object]], str],
    max_payload: int,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    when: str = "",
    workflow: str = "",
    **described: Any,
) -> StepDefinition:
    """Return a step made of a user's input, all of it checked; `described` are fields that need no checking.

    `InputError`, `PayloadError`. `register` names functions that the options have.
    """
    return StepDefinition(
        name=check_name("name", name),
        function=function,
        payload=encode_call(check_arguments(args), check_named("kwargs", kwargs), limit=max_payload),
        depends_on=depends_on,
        when=when and parse(when).text,
        workflow=workflow and check_name("workflow", workflow),
        **options.checked(register),
        **described,
    )


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
