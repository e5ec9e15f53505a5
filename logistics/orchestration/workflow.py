"""A workflow as its author builds it, step by step."""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from actors.queue.messages import FunctionsKnown
from actors.runtime.attempt import cause_here
from actors.runtime.binding import is_templated
from actors.runtime.errors import EngineClosedError, InputError
from actors.workflow.messages import DefineWorkflow
from logistics.ids import new_id
from logistics.inputs import check_name, check_named, check_options, duration_us
from logistics.orchestration.canonical import as_data
from logistics.orchestration.definition import Definition, check_dependencies, check_text, define_step
from logistics.orchestration.plan import Prepared
from logistics.orchestration.schema import field_types
from logistics.orchestration.step_options import CallOptions, StepOptions
from logistics.task.options import DEFAULT_RETRY_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from logistics.inputs import Duration
    from logistics.orchestration.stores import Store
    from logistics.task.life import Conditions

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
        retry_delay: Duration | Sequence[Duration] = DEFAULT_RETRY_DELAY,
        backoff: str = "exponential",
        jitter: bool | None = None,
        timeout: Duration | None = None,
        heartbeat: Duration | None = None,
        retry_on: Conditions = (),
        give_up_on: Conditions = (),
        executor: str | None = None,
        when: str | Callable[..., Any] | None = None,
        required: bool = True,
        on_failure: str | None = None,
        map_over: str | None = None,
        parallel: int | None = None,
        compensate: Callable[..., Any] | None = None,
        cache_for: Duration | None = None,
        cache_key: str | None = None,
        resources: Mapping[str, float] | None = None,
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
                0: at once. A list has a delay for each retry, the last one for all that follow.
            backoff: `exponential`, `linear` (the base times the failures, up to 5 minutes) or `fixed`.
            jitter: any time between 0 and the delay; as it is, only of an exponential one.
            timeout: a call that has not ended after so many seconds is abandoned, and has failed; None: never.
            heartbeat: the same for one that gives no sign of life (`ctx.heartbeat()`, `ctx.progress(…)`) for so
                many seconds.
            retry_on: exception types, or functions of an exception, after which there is another try; after
                all others there is none. Nothing named: after all.
            give_up_on: likewise, after which there is none.
            executor: `thread` or `process`: where it runs, if not where the engine says.
            when: a condition, unless which holds the step is skipped: an expression such as
                `"{{total.output}} > 100 and {{params.mail}}"`, or a function whose parameters are filled as
                those of `func`.
            required: whether the run fails if the step does.
            on_failure: what becomes of others if the step has no output, as it failed or was skipped: `skip`
                those that depend on it, or `continue` with them, None in place of the output (what is said
                by leaving it out if it is not required); `stop`: as `skip`, and its failure ends the run.
                If it was skipped because a step before it has failed that is required, so are those.
            map_over: a step whose output is a list, or `params.` and the name of a run parameter that is one:
                the function is called for each item, as a job of its own; the parameter `item`, else the one
                that would get the list, gets the item. The output is the list of outputs in the same order.
            parallel: items under way at one time, at most; None: as many as there are workers.
            compensate: a function that undoes the step, called with its output if it has succeeded and the
                run then fails or is cancelled: the last step first, one after the other, each tried 11 times
                at least.
            cache_for: if an identical call, of the same function with the same arguments, has succeeded within so
                many seconds, in whatever run, its output is used, and the function is not called: see
                `StepResult.cached_from`.
            cache_key: calls with another one are not identical; change it when the function changes.
            resources: amounts of resources (`ResourceManager`) that each call waits for and holds while it
                runs, all or none.
            queue: a queue that a `JobScheduler` serves; None: the engine's own, always served.
            priority: higher ones start first.

        `FunctionError` for a function that cannot be found again by name, `PayloadError` for arguments that
        are no plain data or too large, `ConditionError` for a condition that cannot be read, `InputError` for
        anything else that makes no sense, and for a name that another step has.

        """
        options = StepOptions(
            max_retries=max_retries,
            retry_delay=retry_delay,
            backoff=backoff,
            jitter=jitter,
            timeout=timeout,
            heartbeat=heartbeat,
            retry_on=retry_on,
            give_up_on=give_up_on,
            executor=executor,
            required=required,
            on_failure=on_failure,
            map_over=map_over,
            parallel=parallel,
            cache_for=cache_for,
            cache_key=cache_key,
            resources=resources,
            queue=queue,
            priority=priority,
        )
        undo = "" if compensate is None else self._store.functions.register(compensate)
        return self._add(name, func, options, depends_on, when, args=args, kwargs=kwargs, compensate=undo)

    def add_workflow(
        self,
        name: str,
        workflow: str,
        *,
        params: Mapping[str, Any] | None = None,
        depends_on: Collection[str] | None = None,
        when: str | Callable[..., Any] | None = None,
        required: bool = True,
        on_failure: str | None = None,
        map_over: str | None = None,
        parallel: int | None = None,
    ) -> Workflow:
        """Add a step that is a run of another workflow, or one for each item of a list; return the workflow.

        Args:
            name: the step's.
            workflow: the name of the other workflow, which has to be defined when a run begins.
            params: the parameters of that run, plain data; `{{step.output}}`, `{{params.name}}` and, with
                `map_over`, `{{item}}` in texts stand for values, as in files.
            depends_on: as for `add_step`, and so are `when`, `required` and `on_failure`.
            when: see there.
            required: see there.
            on_failure: see there.
            map_over: a step whose output is a list, or `params.` and the name of a run parameter that is one:
                there is a run for each item, and the output is the list of their outputs in the same order.
            parallel: runs under way at one time, at most; None: 512.

        The output is that of the run, whose id is that of this run, a dot and the number of the step; of a run for
        an item, a colon and the number of the item are behind it. Cancelling, pausing and resuming pass on to it.

        """
        given = check_named("params", params)
        return self._add(
            name,
            None,
            StepOptions(required=required, on_failure=on_failure, map_over=map_over, parallel=parallel),
            depends_on,
            when,
            kwargs=given,
            templated=is_templated(given),
            workflow=workflow,
        )

    def add_wait(
        self,
        name: str,
        span: Duration | None = None,
        *,
        run: str | None = None,
        schema: Any = None,
        timeout: Duration | None = None,
        depends_on: Collection[str] | None = None,
        when: str | Callable[..., Any] | None = None,
        required: bool = True,
        on_failure: str | None = None,
    ) -> Workflow:
        """Add a step that waits, durably, and occupies no worker; return the workflow.

        Args:
            name: the step's. Without `span` and `run` it waits for `WorkflowRun.signal(name, payload)`, and
                the payload is its output.
            span: how long, in seconds or as a `timedelta`.
            run: the id of another run, whose end it waits for, and whose output becomes its own; most often
                a reference such as `"{{params.run}}"`. It fails if that run does not succeed.
            schema: the fields of the payload and their types (`str`, `int`, `float`, `bool`, `json`; with `?`
                behind it, a field may be left out) as a dict, or a dataclass or `msgspec.Struct` that has them.
            timeout: after so many seconds without a signal, or the end of the run, it has failed.
            depends_on: as for `add_step`, and so are `when`, `required` and `on_failure`.
            when: see there.
            required: see there.
            on_failure: see there.

        """
        kind = "run" if run is not None else "signal" if span is None else "time"
        if (span is not None) + (run is not None) + (schema is not None) > 1:
            msg = "add_wait: expected one of span, run and schema, got more"
            raise InputError(msg)
        if kind == "time" and timeout is not None:
            msg = "add_wait: timeout: a step that waits for a time ends by itself"
            raise InputError(msg)
        limit = timeout if span is None else span
        return self._add(
            name,
            None,
            StepOptions(required=required, on_failure=on_failure),
            depends_on,
            when,
            args=() if run is None else (check_text("run", run),),
            templated=run is not None and is_templated(run),
            wait=kind,
            wait_us=0 if limit is None else duration_us("span" if span is not None else "timeout", limit),
            schema=field_types(schema),
        )

    def add_finally(
        self,
        name: str,
        func: Callable[..., Any],
        *,
        depends_on: Collection[str] | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        when: str | Callable[..., Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Workflow:
        """Add a step that is run when all others have ended, however they did; return the workflow.

        It runs after a failure and after a cancellation, too. Of a step in `depends_on` that has no output
        it gets None. Without `depends_on` it follows the one added by `add_finally` before it. If it fails
        and is required, the run has failed. `options` are those of `add_step` that are about how it is called:
        `max_retries`, `retry_delay`, `backoff`, `jitter`, `timeout`, `heartbeat`, `retry_on`, `give_up_on`, `executor`,
        `required`, `resources`, `queue`, `priority`.
        """
        check_options("add_finally", options, CallOptions.__annotations__)
        last = StepOptions(last=True, **options)
        return self._add(name, func, last, depends_on, when, args=args, kwargs=kwargs)

    def _add(
        self,
        name: str,
        func: Callable[..., Any] | None,
        options: StepOptions,
        depends_on: Collection[str] | None,
        when: str | Callable[..., Any] | None,
        **described: Any,
    ) -> Workflow:
        check_name("name", name)
        functions = self._store.functions
        function = "" if func is None else functions.register(func)
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
            before = (each.name for each in reversed(self._steps.values()) if each.last is options.last)
            step = define_step(
                name,
                function,
                options,
                depends_on=tuple(islice(before, 1)) if given is None else given,
                register=functions.register,
                max_payload=int(self._store.options["max_payload"]),
                when=expression,
                when_function=when_function,
                **described,
            )
            with suppress(EngineClosedError):  # what is defined needs none, and no job waits there any more
                announce(self._store, step.functions)
            self._steps[name] = step
            self._prepared = None
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain data, as a file has it: `WorkflowManager.from_dict` reads it.

        Nothing that has its default is in it. Values that JSON cannot carry, such as bytes, stay as they are.
        """
        return as_data(self.prepared().definition)

    @property
    def fingerprint(self) -> str:
        """A hash of the definition: equal definitions have equal ones, wherever and however they were made."""
        return blake2b(self.prepared().encoded, digest_size=16).hexdigest()

    def save(self) -> None:
        """Make the definition durable now; runs in progress keep the one they started with."""
        runtime = self._store.runtime
        cause = cause_here(runtime) or f"command:{new_id()}"
        runtime.send("supervisor", self.define_command(), cause=cause).get(SAVE_TIMEOUT_S)

    def define_command(self) -> DefineWorkflow:
        """Return the command that makes the definition durable, for `OrchestrationEngine.send`."""
        return DefineWorkflow(name=self.name, definition=self.prepared().encoded)

    def prepared(self) -> Prepared:
        """Return what has been defined so far, for runs; steps added later do not change it."""
        with self._lock:
            if self._prepared is None:
                definition = msgspec.structs.replace(self._outline, steps=tuple(self._steps.values()))
                self._prepared = Prepared(definition, self._store.functions)
            return self._prepared


def store_of(workflow: Workflow) -> Store:
    """Return the store that a workflow belongs to."""
    return workflow._store  # noqa: SLF001 -- no business of its users


def announce(store: Store, functions: tuple[str, ...]) -> None:
    """Have jobs go on that wait for these functions to be found.

    A step of an interrupted run may be due before its script has defined its function again.
    """
    if functions:
        store.runtime.send("queue", FunctionsKnown(functions=functions))
