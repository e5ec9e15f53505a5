"""From a definition to the plan of a run: its edges, and what each parameter gets."""

from __future__ import annotations

import inspect
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from actors.queue.specs import NO_LIFE, Input, JobLife, RetryPolicy
from actors.runtime.binding import (
    ITEM,
    PARAMS,
    Binding,
    BindingError,
    find_parameters,
    find_references,
    is_templated,
    plan_bindings,
    refers_to_item,
)
from actors.runtime.errors import UnresolvedFunctionError
from actors.runtime.values import decode_call
from actors.workflow.condition import parse
from actors.workflow.specs import Plan, PlanStep, StepOptions, WaitPlan
from logistics.errors import GraphError
from logistics.orchestration.definition import encode_definition
from logistics.orchestration.graph import graph_problems
from logistics.task.options import RETRY_CAP_US

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from actors.runtime.functions import FunctionRegistry
    from logistics.orchestration.definition import Definition, StepDefinition

OF_PARAMS = f"{PARAMS}."
WHO_GETS_ITEMS = f"an item goes to the parameter {ITEM!r}, or else to the one that would get the list"
ORDINARY = StepOptions()
DEEPEST = 100
"""Runs that are inside each other, at most: planning one takes a few frames of Python's stack for each."""
ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode


Find: TypeAlias = "Callable[[str], Prepared | None]"
"""Finds a workflow by its name."""


class PlannedRun(NamedTuple):
    """A plan and its fingerprint."""

    plan_id: str
    plan: Plan
    children: tuple[tuple[str, Plan], ...] = ()
    """Of the runs that its steps are, and theirs; each behind those that have it."""
    made_of: tuple[tuple[str, Prepared], ...] = ()
    """The workflows that those runs are of."""


class _Arguments(NamedTuple):
    """A step's constants, and what they refer to."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    steps: frozenset[str]
    params: frozenset[str]
    templated: bool
    item: bool = False
    """Whether they refer to the item of a list."""


_NO_ARGUMENTS = _Arguments((), {}, frozenset(), frozenset(), templated=False)


class Prepared:
    """A definition that does not change any more, with its bytes and the plans made of it."""

    def __init__(self, definition: Definition, functions: FunctionRegistry) -> None:
        self.definition = definition
        self.encoded = encode_definition(definition)
        self.functions = tuple(dict.fromkeys(each for step in definition.steps for each in step.functions))
        """References of everything that it calls."""
        self.recorded = False
        """Whether it is durable, and whoever waits for its functions knows of them."""
        self._registry = functions
        self._plans: dict[frozenset[str], PlannedRun] = {}

    def plan(self, params: frozenset[str], find: Find, within: tuple[str, ...] = ()) -> PlannedRun:
        """Return the plan of a run that is given these parameters; refuses what `make_plan` does."""
        planned = self._plans.get(params)
        if planned is None or any(find(name) is not prepared for name, prepared in planned.made_of):
            planned = make_plan(
                self.definition, params=params, functions=self._registry, find=find, within=within
            )
            self._plans[params] = planned
        return planned


def make_plan(
    definition: Definition,
    *,
    params: Collection[str],
    functions: FunctionRegistry,
    find: Find = lambda _: None,
    within: tuple[str, ...] = (),
) -> PlannedRun:
    """Return the plan of a run that is given these parameters.

    `GraphError` names every circle, self-dependency and unknown step; `BindingError` every parameter that
    nothing fills, every run parameter that no step takes, every function or workflow that cannot be found.
    `within` names the workflows that have this one as a step.
    """
    arguments = {step.name: _arguments(step) for step in definition.steps}
    edges = edges_of(definition)
    planner = _Planner(definition, edges, params=params, functions=functions)
    children = Children(definition.name, find, within)
    steps = tuple(planner.step(step, arguments[step.name], children) for step in definition.steps)
    planner.check_params()
    if planner.problems:
        raise BindingError(f"workflow {definition.name!r}, {problem}" for problem in planner.problems)
    plan = Plan(definition.name, steps)
    plan_id = blake2b(ENCODE(plan), digest_size=16).hexdigest()
    return PlannedRun(plan_id, plan, tuple(children.plans.items()), tuple(children.made_of.items()))


def edges_of(definition: Definition) -> dict[str, tuple[str, ...]]:
    """Return what each step waits for, by its name; `GraphError` names every problem."""
    edges = {step.name: _edges(step, definition, _arguments(step)) for step in definition.steps}
    problems = (*graph_problems(edges), *_late(definition, edges))
    if problems:
        raise GraphError(definition.name, problems)
    return edges


def _late(definition: Definition, edges: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a sentence for each step that waits for one which is begun when all others have ended."""
    last = {step.name for step in definition.steps if step.last}
    for step in definition.steps if last else ():
        for other in edges[step.name]:
            if other in last and not step.last:
                yield f"step {step.name!r} depends on {other!r}, a finally step, which is begun after it"


class Children:
    """The plans of the runs that the steps of a workflow are."""

    def __init__(self, name: str, find: Find, within: tuple[str, ...]) -> None:
        self._within = (*within, name)
        self._find = find
        self.plans: dict[str, Plan] = {}
        self.made_of: dict[str, Prepared] = {}

    def add(self, name: str, params: frozenset[str]) -> str:
        """Return the fingerprint of the plan of a run of a workflow that is given these parameters."""
        if name in self._within:
            path = " -> ".join((*self._within[self._within.index(name) :], name))
            problem = f"a run of a workflow cannot be a step of itself: {path}"
            raise GraphError(self._within[-1], (problem,))
        if len(self._within) > DEEPEST:
            problem = f"more than {DEEPEST} runs would be inside each other: {self._within[0]} -> … -> {name}"
            raise GraphError(self._within[-1], (problem,))
        prepared = self._find(name)
        if prepared is None:
            raise BindingError([f"there is no workflow {name!r}: create it, or load it from a file"])
        planned = prepared.plan(params, self._find, self._within)
        self.made_of |= {name: prepared, **dict(planned.made_of)}
        for plan_id, plan in ((planned.plan_id, planned.plan), *planned.children):
            self.plans.pop(plan_id, None)  # behind whatever has it
            self.plans[plan_id] = plan
        return planned.plan_id


def _life(step: StepDefinition) -> JobLife | None:
    life = JobLife(
        timeout_us=step.timeout_us,
        heartbeat_us=step.heartbeat_us,
        retry_on=step.retry_on,
        give_up_on=step.give_up_on,
        executor=step.executor,
    )
    return None if life == NO_LIFE else life


def _wait(step: StepDefinition) -> WaitPlan | None:
    if not step.wait:
        return None
    schema = None if step.schema is None else tuple(sorted(step.schema.items()))
    return WaitPlan(step.wait, step.wait_us, schema)


def _options(
    step: StepDefinition, when_inputs: tuple[Input, ...], undo_inputs: tuple[Input, ...], child: str
) -> StepOptions | None:
    """Return what is out of the ordinary about a step; None if nothing is."""
    options = StepOptions(
        required=step.required,
        on_failure=step.on_failure or ("skip" if step.required else "continue"),
        last=step.last,
        when=step.when,
        when_function=step.when_function,
        when_inputs=when_inputs,
        mapped=bool(step.map_over),
        parallel=step.parallel,
        child=child,
        wait=_wait(step),
        compensate=step.compensate,
        compensate_inputs=undo_inputs,
        resources=step.resources,
        life=_life(step),
        cache_us=step.cache_us,
        cache_key=step.cache_key,
        backoff=step.backoff,
    )
    return None if options == ORDINARY else options


def _arguments(step: StepDefinition) -> _Arguments:
    args, kwargs = decode_call(step.payload)
    if not step.templated:
        return _Arguments(args, kwargs, frozenset(), frozenset(), templated=False)
    constants = [args, kwargs]
    return _Arguments(
        args,
        kwargs,
        find_references(constants),
        find_parameters(constants),
        is_templated(constants),
        refers_to_item(constants),
    )


def _edges(step: StepDefinition, definition: Definition, arguments: _Arguments) -> tuple[str, ...]:
    """Return what a step waits for: as declared, then what it refers to, in the workflow's order."""
    referred = set(arguments.steps)
    if step.when:
        referred |= parse(step.when).steps
    if step.map_over and not step.map_over.startswith(OF_PARAMS):
        referred.add(step.map_over)
    if not referred:
        return step.depends_on
    known = [each.name for each in definition.steps if each.name in referred]
    unknown = sorted(referred.difference(known))
    return tuple(dict.fromkeys((*step.depends_on, *known, *unknown)))


class _Planner:
    """Plans one step after the other, and collects what is wrong."""

    def __init__(
        self,
        definition: Definition,
        edges: Mapping[str, Sequence[str]],
        *,
        params: Collection[str],
        functions: FunctionRegistry,
    ) -> None:
        self.problems: list[str] = []
        self._definition = definition
        self._edges = edges
        self._numbers = {step.name: number for number, step in enumerate(definition.steps)}
        self._params = frozenset(params)
        self._taken: set[str] = set()
        self._open: set[str] = set()
        """Parameters of functions that no constant and no dependency fills: a run parameter could."""
        self._functions = functions

    def step(self, step: StepDefinition, arguments: _Arguments, children: Children) -> PlanStep:
        inputs: list[Input] = []
        when_inputs: list[Input] = []
        undo_inputs: list[Input] = []
        child = ""
        try:
            if step.function:
                inputs = self._mapped(step, arguments) if step.map_over else self._bindings(step, arguments)
            inputs += self._references(arguments) + self._item(step, arguments)
            when_inputs = self._when(step)
            undo_inputs = self._undo(step)
            if step.workflow:
                child = children.add(step.workflow, frozenset(arguments.kwargs))
        except BindingError as error:
            self.problems += [f"step {step.name!r}: {problem}" for problem in error.problems]
        taken = (each.source for each in (*inputs, *when_inputs, *undo_inputs) if each.kind.endswith("param"))
        self._taken.update(taken)
        return PlanStep(
            name=step.name,
            function=step.function,
            payload=step.payload,
            depends_on=tuple(self._numbers[other] for other in self._edges[step.name]),
            inputs=tuple(inputs),
            retry=RetryPolicy(step.max_retries, step.retry_us, max(step.retry_us, RETRY_CAP_US)),
            queue=step.queue,
            priority=step.priority,
            options=_options(step, tuple(when_inputs), tuple(undo_inputs), child),
        )

    def _mapped(self, step: StepDefinition, arguments: _Arguments) -> list[Input]:
        """Return the inputs of a step that is called for each item: `item`, or what would get the list, gets it."""
        kind, source = self._list(step)
        by_name = ITEM in self._signature(step.function).parameters and ITEM not in arguments.kwargs
        try:
            inputs = self._bindings(step, arguments, item_of=step.map_over if by_name else "")
        except BindingError as error:
            raise BindingError(f"{problem}; {WHO_GETS_ITEMS}" for problem in error.problems) from error
        mapped = [
            msgspec.structs.replace(each, kind=f"item-{kind}")
            if (each.kind, each.source) == (kind, source) and (each.parameter == ITEM or not by_name)
            else each
            for each in inputs
        ]
        if mapped == inputs and not arguments.item:
            raise BindingError(
                [f"map_over: no parameter takes the items of {step.map_over!r}; {WHO_GETS_ITEMS}"]
            )
        return mapped

    def _list(self, step: StepDefinition) -> tuple[str, str]:
        """Return of which kind the list is that a step is mapped over, and where it is."""
        if not step.map_over.startswith(OF_PARAMS):
            return "step", str(self._numbers[step.map_over])
        name = step.map_over.removeprefix(OF_PARAMS)
        if name not in self._params:
            raise BindingError([f"map_over: the run is not given a parameter {name!r}"])
        return "param", name

    def _item(self, step: StepDefinition, arguments: _Arguments) -> list[Input]:
        """Return what `{{item}}` means: the parameters of a run for each item need it."""
        if arguments.item and not step.map_over:
            raise BindingError(["it refers to {{item}}, and is not mapped over a list"])
        if step.map_over and step.workflow and not arguments.item:
            raise BindingError(
                [f"map_over: no parameter refers to {{{{item}}}}, an item of {step.map_over!r}"]
            )
        if not arguments.item:
            return []
        kind, source = self._list(step)
        return [Input("", f"ref-item-{kind}", source)]

    def _undo(self, step: StepDefinition) -> list[Input]:
        """Return what the function gets that compensates a step: its output by its name, else the only one."""
        if not step.compensate:
            return []
        names = self._signature(step.compensate).parameters
        others = (other for other in self._edges[step.name] if other in names)
        try:
            return self._bindings(
                msgspec.structs.replace(step, function=step.compensate),
                _NO_ARGUMENTS,
                dependencies=(step.name, *others),
            )
        except BindingError as error:
            raise BindingError(f"compensate: {problem}" for problem in error.problems) from error

    def _when(self, step: StepDefinition) -> list[Input]:
        """Return what the condition of a step refers to, or what its function gets."""
        if step.when_function:
            try:
                return self._bindings(
                    msgspec.structs.replace(step, function=step.when_function), _NO_ARGUMENTS
                )
            except BindingError as error:
                raise BindingError(f"when: {problem}" for problem in error.problems) from error
        if not step.when:
            return []
        condition = parse(step.when)
        return self._references(_Arguments((), {}, condition.steps, condition.params, templated=False))

    def _bindings(
        self,
        step: StepDefinition,
        arguments: _Arguments,
        *,
        dependencies: Sequence[str] | None = None,
        item_of: str = "",
    ) -> list[Input]:
        """Return where the parameters of a function come from; with `item_of`, `item` is the name of that."""
        signature = self._signature(step.function)
        params = set(self._params)
        dependencies = list(self._edges[step.name] if dependencies is None else dependencies)
        if item_of.startswith(OF_PARAMS):
            params.add(ITEM)
        elif item_of:
            dependencies.append(ITEM)
        bindings = plan_bindings(
            signature,
            dependencies=dependencies,
            params=params,
            args=arguments.args,
            kwargs=arguments.kwargs,
            used=arguments.steps,
            others={name for name in signature.parameters if name in self._numbers and name != step.name},
        )
        filled = {each.parameter for each in bindings if each.kind != "param"}
        self._open.update(name for name in signature.parameters if name not in filled)
        return [
            Input(each.parameter, each.kind, self._source(each, item_of), each.positional)
            for each in bindings
            if each.kind != "const"
        ]

    def _source(self, binding: Binding, item_of: str) -> str:
        name = binding.source
        if item_of and name == ITEM:
            name = item_of.removeprefix(OF_PARAMS)
        return str(self._numbers[name]) if binding.kind == "step" else name

    def _signature(self, function: str) -> inspect.Signature:
        try:
            return inspect.signature(self._functions.resolve(function))
        except UnresolvedFunctionError as error:
            raise BindingError([str(error)]) from error
        except (TypeError, ValueError) as error:
            text = f"the parameters of {function!r} cannot be found out; write a function that calls it"
            raise BindingError([text]) from error

    def _references(self, arguments: _Arguments) -> list[Input]:
        missing = sorted(arguments.params - self._params)
        if missing:
            raise BindingError(
                f"it refers to {{{{params.{name}}}}}, which the run is not given" for name in missing
            )
        steps = [Input(name, "ref-step", str(self._numbers[name])) for name in sorted(arguments.steps)]
        params = [Input(name, "ref-param", name) for name in sorted(arguments.params)]
        if arguments.templated and not (steps or params or arguments.item):
            return [Input("", "ref", "")]
        return steps + params

    def check_params(self) -> None:
        """Refuse what no step takes: most likely a name was misspelt, and a default would be used instead."""
        if self._definition.params is not None:
            return  # declared: they were checked against the declaration
        left = sorted(self._params - self._taken)
        if left and not self.problems:
            takes = ", ".join(sorted(self._open)) or "none"
            self.problems += [f"run: no step takes a parameter {name!r}; they take: {takes}" for name in left]
