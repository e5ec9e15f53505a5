"""A workflow as its author builds it, step by step."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from actors.queue.messages import FunctionsKnown
from actors.runtime.errors import InputError
from actors.workflow.messages import DefineWorkflow
from logistics.ids import new_id
from logistics.inputs import check_name
from logistics.orchestration.definition import Definition, check_dependencies, define_step
from logistics.orchestration.plan import Prepared
from logistics.task.job import DEFAULT_RETRY_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from logistics.inputs import Duration
    from logistics.orchestration.stores import Store

SAVE_TIMEOUT_S = 300.0
"""How long `save` waits for the disk; the definition may still be recorded afterwards."""


class Workflow:
    """Steps with a name; `WorkflowManager.create` makes one.

    A step follows the one added before it unless it says what it depends on. The definition becomes durable,
    whole, when the workflow is first run or started, or with `save()`.
    """

    def __init__(self, store: Store, definition: Definition) -> None:
        # Not the handle that somebody may close: the store itself, as long as it is open.
        self._store = store
        self._lock = threading.Lock()
        self._outline = definition
        self._steps = {step.name: step for step in definition.steps}
        self._prepared: Prepared | None = None

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, steps={list(self._steps)!r})"

    @property
    def name(self) -> str:
        """The name by which it is run."""
        return self._outline.name

    @property
    def description(self) -> str:
        """What its author says about it."""
        return self._outline.description

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of its steps, in the order in which they were added."""
        return tuple(self._steps)

    def add_step(
        self,
        name: str,
        func: Callable[..., Any],
        *,
        depends_on: Collection[str] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        max_retries: int = 0,
        retry_delay: Duration = DEFAULT_RETRY_DELAY,
        when: str | Callable[..., Any] | None = None,
        required: bool = True,
        on_failure: str | None = None,
        queue: str | None = None,
        priority: int = 0,
    ) -> Workflow:
        """Add a step; return the workflow.

        Args:
            name: 1 to 200 characters; no other step of the workflow has it.
            func: a function that can be found again by name (see `docs/guide/functions.md`). A parameter
                named like a dependency gets that step's output, one named like a run parameter gets that,
                `ctx` gets the attempt's context; a single required parameter left gets the output of a single
                dependency.
            depends_on: names of steps that must succeed first, added already or later; None: the step added
                before this one; an empty list: no step.
            args: positional arguments, plain data.
            kwargs: keyword arguments, plain data.
            max_retries: tries after the first one; 0 for none.
            retry_delay: base of the delay in seconds, doubled each time up to 5 minutes, with full jitter;
                0: at once.
            when: a condition, unless which holds the step is skipped: an expression such as
                `"{{total.output}} > 100 and {{params.mail}}"`, or a function whose parameters are filled as
                those of `func`.
            required: whether the run fails if the step does.
            on_failure: what becomes of others if the step has no output, as it failed or was skipped: `skip`
                those that depend on it, or `continue` with them, None in place of the output (what is said
                by leaving it out if it is not required); `stop`: as `skip`, and its failure ends the run.
            queue: a queue that a `JobScheduler` serves; None: the engine's own, always served.
            priority: higher ones start first.

        `FunctionError` for a function that cannot be found again by name, `PayloadError` for arguments that
        are no plain data or too large, `ConditionError` for a condition that cannot be read, `InputError` for
        anything else that makes no sense, and for a name that another step has.

        """
        return self._add(
            name,
            func,
            depends_on,
            when,
            args=args,
            kwargs=kwargs,
            max_retries=max_retries,
            retry_delay=retry_delay,
            required=required,
            on_failure=on_failure,
            queue=queue,
            priority=priority,
        )

    def add_finally(
        self,
        name: str,
        func: Callable[..., Any],
        *,
        depends_on: Collection[str] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        max_retries: int = 0,
        retry_delay: Duration = DEFAULT_RETRY_DELAY,
        when: str | Callable[..., Any] | None = None,
        required: bool = True,
        queue: str | None = None,
        priority: int = 0,
    ) -> Workflow:
        """Add a step that is run when all others have ended, however they did; return the workflow.

        It runs after a failure and after a cancellation, too. Of a step in `depends_on` that has no output
        it gets None. Without `depends_on` it follows the one added by `add_finally` before it. If it fails
        and is required, the run has failed. The rest is as for `add_step`.
        """
        return self._add(
            name,
            func,
            depends_on,
            when,
            args=args,
            kwargs=kwargs,
            max_retries=max_retries,
            retry_delay=retry_delay,
            required=required,
            queue=queue,
            priority=priority,
            last=True,
        )

    def _add(
        self,
        name: str,
        func: Callable[..., Any],
        depends_on: Collection[str] | None,
        when: str | Callable[..., Any] | None,
        *,
        last: bool = False,
        **described: Any,
    ) -> Workflow:
        check_name("name", name)
        functions = self._store.functions
        function = functions.register(func)
        given = None if depends_on is None else check_dependencies(depends_on)
        expression, when_function = "", ""
        if isinstance(when, str):
            expression = when
        elif when is not None:
            when_function = functions.register(when)
        with self._lock:
            if name in self._steps:
                msg = f"workflow {self.name!r} has a step {name!r} already"
                raise InputError(msg)
            before = (each.name for each in reversed(self._steps.values()) if each.last is last)
            step = define_step(
                name,
                function,
                depends_on=tuple(islice(before, 1)) if given is None else given,
                max_payload=int(self._store.options["max_payload"]),
                when=expression,
                when_function=when_function,
                last=last,
                **described,
            )
            announce(self._store, step.functions)
            self._steps[name] = step
            self._prepared = None
        return self

    def save(self) -> None:
        """Make the definition durable now; runs in progress keep the one they started with."""
        prepared = self.prepared()
        command = DefineWorkflow(name=self.name, definition=prepared.encoded)
        self._store.runtime.send("supervisor", command, cause=f"command:{new_id()}").get(SAVE_TIMEOUT_S)

    def prepared(self) -> Prepared:
        """Return what has been defined so far, for runs; steps added later do not change it."""
        with self._lock:
            if self._prepared is None:
                definition = msgspec.structs.replace(self._outline, steps=tuple(self._steps.values()))
                self._prepared = Prepared(definition, self._store.functions)
            return self._prepared


def announce(store: Store, functions: tuple[str, ...]) -> None:
    """Have jobs go on that wait for these functions to be found.

    A step of an interrupted run may be due before its script has defined its function again.
    """
    if functions:
        store.runtime.send("queue", FunctionsKnown(functions=functions))
