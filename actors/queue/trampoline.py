"""Running one attempt on a worker: arguments from the log, the call, and its end as data."""

from __future__ import annotations

import time
from functools import partial
from hashlib import blake2b
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from actors.queue.batch import BatchedJob, call_for_all
from actors.queue.ending import failed, returned, succeeded
from actors.queue.inputs import Inputs
from actors.queue.messages import FunctionsKnown
from actors.queue.sending import Member, Sender, sealing_key
from actors.queue.specs import NO_LIFE, NOTE_CACHED, NOTE_SKIP, NOTE_STORED, NOTE_VALUE, THREAD
from actors.runtime.attempt import CURRENT, AttemptContext, context_place, printable
from actors.runtime.binding import CONTEXT_PARAMETER, substitute
from actors.runtime.effects import GIVE_UP, AttemptFinished, StartAttempt, Verdict
from actors.runtime.errors import ErasedError, PoolClosedError, UnresolvedFunctionError, UnresolvedReason
from actors.runtime.loop import EventLoop
from actors.runtime.values import convert_call, decode_call, encode_call, encode_result
from actors.runtime.verdict import judge
from actors.workflow.condition import parse
from eventstore.errors import CorruptStoreError, LogisticsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.queue.specs import Input, JobLife, JobSpec, StepWork
    from actors.runtime.effects import AttemptKey
    from actors.runtime.engine import Runtime
    from actors.runtime.functions import FunctionRegistry
    from actors.runtime.pool import PoolFactory

POOL = "pool"
"""In a pool of the user's own, made by a factory."""
NO_RESULT = encode_result(None)
MAX_CALL = 1 << 30
"""Bytes of a call that is looked at for its fingerprint: it is made all the same."""
NO_ARGUMENTS = encode_call((), {})

Plan: TypeAlias = "Callable[[Runtime, JobSpec], bytes]"
"""Returns the `StartRun` of a schedule's firing, as bytes; `UnresolvedFunctionError` if it cannot be begun for now."""

_Values: TypeAlias = "tuple[dict[str, Any], dict[str, Any], list[tuple[Input, Any]]]"


def no_plan(_runtime: Runtime, spec: JobSpec) -> bytes:
    """Plan no run: nobody here knows how."""
    raise UnresolvedFunctionError(spec.function, UnresolvedReason.NOT_FOUND, "workflows are not known here")


class Trampoline:
    """Executes attempts for an executor. Never raises: whatever user code does comes back as data (F69)."""

    def __init__(
        self,
        runtime: Runtime,
        functions: FunctionRegistry,
        *,
        max_payload: int,
        executor: str | PoolFactory = THREAD,
        workers: int = 1,
        max_tasks_per_child: int | None = None,
        plan: Plan = no_plan,
    ) -> None:
        self._runtime = runtime
        self._functions = functions
        self._max_payload = max_payload
        self._inputs = Inputs(runtime)
        self._executor = executor if isinstance(executor, str) else POOL
        self._plan = plan
        self._loop = EventLoop()
        self._sender = Sender(
            runtime,
            functions.modules,
            max_payload,
            factory=None if isinstance(executor, str) else executor,
            workers=workers,
            max_tasks_per_child=max_tasks_per_child,
        )

    def __call__(self, start: StartAttempt) -> AttemptFinished:
        """Run the attempt."""
        started_us = self._runtime.clock.now_us()
        try:
            spec: JobSpec = start.spec or self._inputs.spec(start.key.job_id)
        except BaseException as error:  # noqa: BLE001 -- whatever a log raises
            return _not_begun(start, error, started_us)
        key = sealing_key(spec)
        return self._run_sealed(start, spec, key, started_us) if key else self._run(start, spec, started_us)

    def _run_sealed(self, start: StartAttempt, spec: JobSpec, key: str, started_us: int) -> AttemptFinished:
        """Run the attempt of a job of a subject: what comes in is opened, what comes out is sealed."""
        vault = self._runtime.vault
        try:
            opened = (
                spec if _gives_run(spec) else msgspec.structs.replace(spec, payload=vault.open(spec.payload))
            )
            return vault.seal_end(self._run(start, opened, started_us), key)
        except LogisticsError as error:
            return _not_begun(start, error, started_us)

    def _run(self, start: StartAttempt, spec: JobSpec, started_us: int) -> AttemptFinished:
        try:
            if spec.work is not None and (note := self._note(spec.work, spec, start)):
                return AttemptFinished(
                    key=start.key,
                    outcome="ok",
                    result=NO_RESULT,
                    started_us=started_us,
                    correlation=start.correlation,
                    note=note,
                )
            function = self._functions.resolve(spec.function)
            args, kwargs = self._arguments(spec, function, start)
            fingerprint = self._fingerprint(spec, args, kwargs)
            if fingerprint and (end := self._from_cache(fingerprint, spec, start, started_us)):
                return end
        except BaseException as error:  # noqa: BLE001 -- an import may run any code, and raise anything
            return _not_begun(start, error, started_us)
        place = self._place_of(spec)
        if place == THREAD:
            end = self._call(start, spec, function, args, kwargs, started_us=started_us)
        else:
            end = self._sender.send(start, spec, args, kwargs, pooled=place == POOL)
        if fingerprint and end.outcome == "ok":
            return msgspec.structs.replace(end, note=NOTE_STORED + fingerprint.encode())
        return end

    def _from_cache(
        self, fingerprint: str, spec: JobSpec, start: StartAttempt, started_us: int
    ) -> AttemptFinished | None:
        """Return the end of an attempt whose call is not made, as an identical one has been made not long ago."""
        assert spec.work is not None
        cached = self._inputs.cached(fingerprint, started_us - spec.work.cache_us)
        if cached is None:
            return None
        job_id, result = cached
        return AttemptFinished(
            key=start.key,
            outcome="ok",
            result=result,
            started_us=started_us,
            correlation=start.correlation,
            note=NOTE_CACHED + job_id.encode(),
        )

    def stop(self, key: AttemptKey) -> None:
        """Stop an attempt that nobody waits for any more, if it is on the event loop or in a process."""
        self._loop.stop(key)
        self._sender.stop(key)

    def tell(self, key: AttemptKey) -> None:
        """Let an attempt of a batch in a process know that nobody waits for it, while others of it go on."""
        self._sender.tell(key)

    def close(self) -> None:
        """End the event loop and all processes."""
        self._loop.close()
        self._sender.close()

    def found_meanwhile(self, end: AttemptFinished) -> FunctionsKnown | None:
        """Say so if a function was registered while word that it cannot be found was on its way.

        `FunctionsKnown` of whoever registered it may have reached the queue first, and woken nobody. To be
        asked once that word has been sent: then either this, or that, comes after it.
        """
        try:
            spec = self._inputs.spec(end.key.job_id)
            known = self._functions.knows(spec.function) or self._can_be_planned(spec)
        except StoreError:
            return None  # the log is being reopened: the end is reported again, and this is asked again
        return FunctionsKnown(functions=(spec.function,)) if known else None

    def _can_be_planned(self, spec: JobSpec) -> bool:
        try:
            return _gives_run(spec) and bool(self._plan(self._runtime, spec))
        except UnresolvedFunctionError:
            return False

    def _call(
        self,
        start: StartAttempt,
        spec: JobSpec,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
        *,
        started_us: int,
    ) -> AttemptFinished:
        token = CURRENT.set((self._runtime, start.key))
        begun_ns = time.perf_counter_ns()
        try:
            value = function(*args, **kwargs)
            if isinstance(value, CoroutineType):
                is_cancelled = partial(self._runtime.executor.is_cancelled, start.key)
                value = self._loop.run(start.key, value, is_cancelled=is_cancelled)
            result = encode_result(value, limit=self._max_payload)
        except PoolClosedError:
            return returned(start)
        except BaseException as error:  # noqa: BLE001 -- user code: SystemExit and the like end the attempt only
            run_us = (time.perf_counter_ns() - begun_ns) // 1000
            return failed(start, error, started_us, run_us, self._judge(error, spec.life or NO_LIFE))
        finally:
            CURRENT.reset(token)
        return succeeded(start, result, started_us, begun_ns)

    # -- many in one call -------------------------------------------------------------------------------

    def run_batch(self, start: StartAttempt, settle: Callable[[AttemptFinished], None]) -> None:
        """Make the attempts of a batch in one call; `settle` is called once with the end of each. Never raises."""
        members: list[Member] = []
        functions = []
        for key in (start.key, *start.others):
            each = StartAttempt(key=key)
            started_us = self._runtime.clock.now_us()
            try:
                spec = self._inputs.spec(key.job_id)
                each = StartAttempt(key=key, correlation=spec.owner)
                functions.append(self._functions.resolve(spec.function))
                call = self._batched(spec, each)
                members.append(Member(each, spec, call, self._sealing(spec, settle), started_us))
            except BaseException as error:  # noqa: BLE001 -- as for a single attempt
                settle(_not_begun(each, error, started_us))
        if not members:
            return
        place = self._place_of(members[0].spec)
        if place == THREAD:
            self._call_batch(functions[0], members)
        else:
            self._sender.send_batch(members, pooled=place == POOL)

    def _batched(self, spec: JobSpec, start: StartAttempt) -> tuple[Any, Any]:
        args, kwargs = decode_call(self._runtime.vault.open(spec.payload))
        return (*args, *(value for _, value in self._values(spec, start)[2])), kwargs

    def _call_batch(self, function: Callable[..., Any], members: list[Member]) -> None:
        key = members[0].start.key

        def call(jobs: list[BatchedJob]) -> object:
            answers = function(jobs)
            if isinstance(answers, CoroutineType):
                return self._loop.run(key, answers, is_cancelled=is_cancelled)
            return answers

        def is_cancelled() -> bool:
            return all(self._runtime.executor.is_cancelled(member.start.key) for member in members)

        token = CURRENT.set((self._runtime, key))
        try:
            call_for_all(call, [self._batched_job(*member) for member in members])
        finally:
            CURRENT.reset(token)

    def _sealing(
        self, spec: JobSpec, settle: Callable[[AttemptFinished], None]
    ) -> Callable[[AttemptFinished], None]:
        """Return what settles a job of a batch, sealed if the job is a subject's."""
        key = sealing_key(spec)
        if not key:
            return settle

        def settle_sealed(end: AttemptFinished) -> None:
            try:
                sealed = self._runtime.vault.seal_end(end, key)
            except LogisticsError as error:
                sealed = _not_begun(StartAttempt(key=end.key), error, end.started_us)
            settle(sealed)

        return settle_sealed

    def _batched_job(
        self,
        start: StartAttempt,
        spec: JobSpec,
        call: tuple[Any, Any],
        settle: Callable[[AttemptFinished], None],
        started_us: int,
    ) -> BatchedJob:
        return BatchedJob(
            start,
            AttemptContext(start.key, spec.name, spec.owner, self._runtime),
            call,
            settle=settle,
            judge=lambda error: self._judge(error, spec.life or NO_LIFE),
            max_payload=self._max_payload,
            started_us=started_us,
        )

    def _place_of(self, spec: JobSpec) -> str:
        return (spec.life is not None and spec.life.executor) or self._executor

    def _judge(self, error: BaseException, life: JobLife) -> Verdict:
        return judge(error, life.retry_on, life.give_up_on, self._functions.resolve)

    # -- what is done beside a call ---------------------------------------------------------------------

    def _note(self, work: StepWork, spec: JobSpec, start: StartAttempt) -> bytes:
        """Return what the owner is told instead of calling the function; empty if that is to be called."""
        if not self._holds(work, spec, start):
            return NOTE_SKIP
        if not work.gives:
            return b""
        if work.gives == "run":
            return NOTE_VALUE + self._plan(self._runtime, spec)
        if work.gives == "count":
            return NOTE_VALUE + str(self._inputs.count(spec.inputs[0], spec)).encode()
        args, kwargs = decode_call(spec.payload)
        steps, params, _ = self._values(spec, start)
        if work.gives == "params":
            kwargs = substitute(kwargs, steps, params)
            data = encode_result(dict(sorted(kwargs.items())), limit=self._max_payload)
            return NOTE_VALUE + (self._runtime.vault.seal(data, work.key) if work.key else data)
        return NOTE_VALUE + "".join(map(str, substitute(args, steps, params))).encode()

    def _holds(self, work: StepWork, spec: JobSpec, start: StartAttempt) -> bool:
        """Whether the condition of a step holds."""
        if not (work.when or work.when_function):
            return True
        given = msgspec.structs.replace(spec, inputs=work.when_inputs, payload=NO_ARGUMENTS)
        if work.when:
            steps, params, _ = self._values(given, start)
            return parse(work.when).holds(steps, params)
        function = self._functions.resolve(work.when_function)
        args, kwargs = self._arguments(given, function, start)
        return bool(function(*args, **kwargs))

    def _fingerprint(self, spec: JobSpec, args: Any, kwargs: Mapping[str, Any]) -> str:
        """Return what makes a call identical to another one; empty if outputs of such calls are not used again.

        The context of the attempt is no part of it. Of a subject's, nobody without the key can guess it.
        """
        work = spec.work
        if work is None or not work.cache_us:
            return ""
        plain = {key: value for key, value in kwargs.items() if not isinstance(value, AttemptContext)}
        call = encode_call(args, dict(sorted(plain.items())), limit=MAX_CALL)
        made_of = msgspec.msgpack.encode((spec.function, work.cache_key, call))
        salt = self._runtime.vault.salt(work.key) if work.key else b""
        return blake2b(salt + made_of, digest_size=16).hexdigest()

    # -- where arguments come from ----------------------------------------------------------------------

    def _arguments(self, spec: JobSpec, function: Callable[..., Any], start: StartAttempt) -> tuple[Any, Any]:
        if not spec.inputs:
            args, kwargs = decode_call(spec.payload, function)
            place = context_place(function)
            if place is not None and len(args) <= place and CONTEXT_PARAMETER not in kwargs:
                kwargs[CONTEXT_PARAMETER] = AttemptContext(start.key, spec.name, spec.owner, self._runtime)
            return args, kwargs
        args, kwargs = decode_call(spec.payload)
        steps, params, values = self._values(spec, start)
        if any(given.kind.startswith("ref") for given in spec.inputs):
            args, kwargs = substitute(args, steps, params), substitute(kwargs, steps, params)
        return _filled(function, args, kwargs, values)

    def _values(self, spec: JobSpec, start: StartAttempt) -> _Values:
        """Return what references mean, outputs and run parameters, and what is passed itself."""
        steps: dict[str, Any] = {}
        params: dict[str, Any] = {}
        values: list[tuple[Input, Any]] = []
        for given in spec.inputs:
            if given.kind == "ctx":
                values.append((given, AttemptContext(start.key, spec.name, spec.owner, self._runtime)))
            elif given.kind == "ref-param":
                params[given.parameter] = self._inputs.of(given, spec)
            elif given.kind.startswith("ref-"):
                steps[given.parameter] = self._inputs.of(given, spec)
            elif given.kind != "ref":
                values.append((given, self._inputs.of(given, spec)))
        return steps, params, values


def _gives_run(spec: JobSpec) -> bool:
    """Whether a job is the firing of a workflow: whoever plans the run opens what it gets, and seals it again."""
    return spec.work is not None and spec.work.gives == "run"


def _not_begun(start: StartAttempt, error: BaseException, started_us: int) -> AttemptFinished:
    """Return the end of an attempt of which the function was not even called."""
    if isinstance(error, UnresolvedFunctionError):
        return AttemptFinished(
            key=start.key,
            outcome="unresolved",
            error=printable(str(error)),
            started_us=started_us,
            correlation=start.correlation,
        )
    if isinstance(error, StoreError) and not isinstance(error, CorruptStoreError):
        return returned(start)  # the log is being reopened: the attempt never began, and is not charged
    if isinstance(error, ErasedError):
        return failed(start, error, started_us, 0, Verdict(GIVE_UP))
    return failed(start, error, started_us, 0)


def _filled(
    function: Callable[..., Any], args: Any, kwargs: Any, values: list[tuple[Input, Any]]
) -> tuple[Any, Any]:
    """Add the inputs to the constants, everything converted by annotations but the context."""
    places = list(args)
    contexts = {}
    for given, value in values:
        if given.positional:
            places.append(value)
        elif given.kind == "ctx":
            contexts[given.parameter] = value
        else:
            kwargs[given.parameter] = value
    args, kwargs = convert_call(tuple(places), kwargs, function)
    return args, kwargs | contexts
