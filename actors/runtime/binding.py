"""What each parameter of a step's function gets: a plan made when a run starts, before any step of it runs.

A parameter named like a dependency gets that step's output, else one named like a run parameter gets that,
else `ctx` gets the step's context. A function with exactly one required parameter left, and exactly one
dependency whose output nothing has asked for, gets that output. Nothing else is guessed: a default stays
where there is one.

Files may also ask for values in the arguments themselves: `{{step.output}}` is a step's output,
`{{params.year}}` a run parameter. A text that is nothing but one reference becomes the value with its type;
inside other text the value is formatted (text as it is, anything else as JSON). `{{item}}` is the item of the list
that a step is mapped over. `{{{{` and `}}}}` stand for the braces themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from eventstore.errors import LogisticsError

if TYPE_CHECKING:
    from inspect import Parameter, Signature

CONTEXT_PARAMETER: Final = "ctx"
PARAMS: Final = "params"
"""The word before the dot that means run parameters; a step of a file cannot have this name."""
ITEM: Final = "item"
"""The word that means the item of a list."""

BindingKind = Literal["step", "param", "ctx", "const"]


class BindingError(LogisticsError, ValueError):
    """A step cannot be called with what there is; `problems` has a sentence for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Binding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where one argument comes from.

    `source` is a step's name for `step`, a run parameter's for `param`, empty for `ctx`; for `const` it is
    the index of a positional argument or the name of a keyword argument. Arguments with `positional` are
    passed in the order of the plan, the others by name.
    """

    parameter: str
    kind: BindingKind
    source: str = ""
    positional: bool = False


# --- the plan ---------------------------------------------------------------------------------------------


def plan_bindings(
    signature: Signature,
    *,
    dependencies: Sequence[str] = (),
    params: Iterable[str] = (),
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    used: Iterable[str] = (),
    others: Collection[str] = (),
) -> tuple[Binding, ...]:
    """The plan for one step; raises `BindingError` that names every problem.

    `params` are the names of the run's parameters, `args` and `kwargs` the step's constants. Steps in
    `used` are those whose outputs the constants refer to, so that they are not guessed for another
    parameter; `others` are those that are no dependencies, which may have been meant to be.
    """
    plan = _Plan(signature, args=args, kwargs=kwargs or {})
    plan.bind_by_name(dependencies, frozenset(params))
    plan.bind_the_only_one(dependencies, frozenset(used))
    plan.require_all(
        "no dependency and no run parameter has this name, args and kwargs do not give it", others
    )
    if plan.problems:
        raise BindingError(plan.problems)
    return plan.in_order()


def call_problems(
    signature: Signature, *, count: int, names: Iterable[str], ctx: bool = False
) -> tuple[str, ...]:
    """What keeps a function from being called with so many arguments and others by name; with `ctx` it gets that.

    As Python has it: what `**others` can take is no problem, though a step is told if it was meant for a place.
    """
    parameters = signature.parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        names = [name for name in names if name in parameters and _is_named(parameters[name])]
    plan = _Plan(signature, args=range(count), kwargs=dict.fromkeys(names))
    if ctx:
        plan.bind_by_name((), frozenset())
    plan.require_all("args and kwargs do not give it")
    return tuple(plan.problems)


class _Plan:
    def __init__(self, signature: Signature, *, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        self._parameters = signature.parameters
        self._bound: dict[str, Binding] = {}
        self._extras: list[Binding] = []
        self._bind_args(len(args))
        self._bind_kwargs(kwargs)

    def _bind_args(self, count: int) -> None:
        places = [each.name for each in self._parameters.values() if _is_positional(each)]
        for index, name in enumerate(places[:count]):
            self._bound[name] = Binding(name, "const", str(index), positional=True)
        rest = [each.name for each in self._parameters.values() if each.kind is each.VAR_POSITIONAL]
        if rest:
            self._extras = [
                Binding(f"*{rest[0]}", "const", str(index), positional=True)
                for index in range(len(places), count)
            ]
        elif count > len(places):
            self.problems.append(f"it takes {_count(len(places), 'positional argument')}, args has {count}")

    def _bind_kwargs(self, kwargs: Mapping[str, Any]) -> None:
        takes_any = any(each.kind is each.VAR_KEYWORD for each in self._parameters.values())
        for name in kwargs:
            parameter = self._parameters.get(name)
            if parameter is not None and _is_named(parameter):
                if name in self._bound:
                    self.problems.append(f"parameter {name!r} is given by args and by kwargs")
                self._bound[name] = Binding(name, "const", name)
            elif parameter is not None and parameter.kind is parameter.POSITIONAL_ONLY:
                self.problems.append(
                    f"parameter {name!r} is positional only, give it in args and not in kwargs"
                )
            elif takes_any:
                self._extras.append(Binding(name, "const", name))
            else:
                self.problems.append(f"it has no parameter {name!r}, which kwargs gives")

    def bind_by_name(self, dependencies: Sequence[str], params: frozenset[str]) -> None:
        for parameter in self._open():
            name = parameter.name
            if name in dependencies:
                self._bind(parameter, "step", name)
            elif name in params:
                self._bind(parameter, "param", name)
            elif name == CONTEXT_PARAMETER:
                self._bind(parameter, "ctx", "")

    def bind_the_only_one(self, dependencies: Sequence[str], used: frozenset[str]) -> None:
        required = [each for each in self._open() if each.default is each.empty]
        taken = used.union(each.source for each in self._bound.values() if each.kind == "step")
        if len(required) == len(dependencies) == 1 and dependencies[0] not in taken:
            self._bind(required[0], "step", dependencies[0])

    def require_all(self, why: str, others: Collection[str] = ()) -> None:
        taken = self._bound.get(CONTEXT_PARAMETER)
        if taken is not None and taken.positional:
            why += f", and args[{taken.source}] goes to {CONTEXT_PARAMETER!r}: have that behind the others"
        for parameter in self._open():
            if parameter.default is parameter.empty:
                meant = "; there is a step of this name: add it to depends_on" * (parameter.name in others)
                self.problems.append(f"nothing fills the required parameter {parameter.name!r}: {why}{meant}")
        gap = ""
        for parameter in self._parameters.values():
            if parameter.kind is parameter.POSITIONAL_ONLY:
                if parameter.name not in self._bound:
                    gap = gap or parameter.name
                elif gap:
                    self.problems.append(
                        f"parameter {parameter.name!r} is positional only, {gap!r} before it must be filled"
                    )

    def in_order(self) -> tuple[Binding, ...]:
        """Positional arguments first, each group as the function declares them."""
        declared = [self._bound[name] for name in self._parameters if name in self._bound]
        every = [*declared, *self._extras]
        return (
            *(each for each in every if each.positional),
            *(each for each in every if not each.positional),
        )

    def _open(self) -> list[Parameter]:
        each_kind = self._parameters.values()
        return [
            each
            for each in each_kind
            if (_is_positional(each) or _is_named(each)) and each.name not in self._bound
        ]

    def _bind(self, parameter: Parameter, kind: BindingKind, source: str) -> None:
        positional = parameter.kind is parameter.POSITIONAL_ONLY
        self._bound[parameter.name] = Binding(parameter.name, kind, source, positional)


def _is_positional(parameter: Parameter) -> bool:
    return parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}


def _is_named(parameter: Parameter) -> bool:
    return parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"


def assemble(
    plan: Iterable[Binding],
    *,
    outputs: Mapping[str, Any],
    params: Mapping[str, Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    ctx: Any = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments for the call that a plan describes."""
    constants = kwargs or {}
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for each in plan:
        if each.kind == "step":
            value = outputs[each.source]
        elif each.kind == "param":
            value = params[each.source]
        elif each.kind == "ctx":
            value = ctx
        else:
            value = args[int(each.source)] if each.positional else constants[each.source]
        if each.positional:
            positional.append(value)
        else:
            named[each.parameter] = value
    return tuple(positional), named


# --- references in files ----------------------------------------------------------------------------------


class Reference(NamedTuple):
    """What `{{…}}` refers to: a step's output, a run parameter or, with an empty name, an item."""

    kind: Literal["step", "param", "item"]
    name: str


_FORMS: Final = "{{step.output}} or {{params.name}}"
# Doubled braces first, so that they are never the beginning of a reference.
_TOKENS: Final = re.compile(r"\{\{\{\{|\}\}\}\}|\{\{([^{}]*)\}\}|\{\{")


def find_references(value: Any) -> frozenset[str]:
    """Names of the steps whose outputs a value asks for; raises `BindingError` for what is no reference."""
    return _names(value, "step")


def find_parameters(value: Any) -> frozenset[str]:
    """Names of the run parameters that a value asks for; raises `BindingError` for what is no reference."""
    return _names(value, "param")


def refers_to_item(value: Any) -> bool:
    """Whether a value asks for the item of a list; raises `BindingError` for what is no reference."""
    return bool(_names(value, "item"))


def is_templated(value: Any) -> bool:
    """Whether `substitute` would change a value: it has references, or doubled braces."""
    return any(_TOKENS.search(text) for text in _texts(value))


def substitute(value: Any, outputs: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Any:
    """The value with its references replaced; raises `BindingError` if one of them has no value.

    In `outputs` an item is the output of the step without a name.
    """
    given = params or {}

    def look_up(reference: Reference) -> Any:
        source, what = (given, "run parameter") if reference.kind == "param" else (outputs, "output of step")
        if reference.name not in source:
            raise BindingError([f"there is no {what} {reference.name!r}"])
        return source[reference.name]

    return _replaced(value, look_up)


def parse_reference(text: str) -> Reference:
    """Which step or parameter a text that is nothing but one reference refers to; raises `BindingError`."""
    token = _TOKENS.fullmatch(text)
    reference = None if token is None or token[1] is None else _reference(token)
    if reference is None or reference.kind == "item":
        raise BindingError([f"{text!r} is no reference: expected {_FORMS}"])
    return reference


def _names(value: Any, kind: str) -> frozenset[str]:
    return frozenset(
        reference.name for text in _texts(value) for reference in _references(text) if reference.kind == kind
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _references(text: str) -> Iterator[Reference]:
    problems: list[str] = []
    for token in _TOKENS.finditer(text):
        if token.group() not in {"{{{{", "}}}}"}:
            try:
                yield _reference(token)
            except BindingError as error:
                problems += error.problems
    if problems:
        raise BindingError(problems)


def _reference(token: re.Match[str]) -> Reference:
    inside = (token[1] or "").strip()
    if inside == ITEM:
        return Reference("item", "")
    head, dot, tail = inside.partition(".")
    if head == PARAMS and dot and tail:
        return Reference("param", tail)
    name, dot, attribute = inside.rpartition(".")
    if dot and name and attribute == "output":
        return Reference("step", name)
    found = f"{token.group()!r} in {token.string!r} is no reference"
    raise BindingError([f"{found}: expected {_FORMS}; double the braces to mean them"])


def _replaced(value: Any, look_up: Callable[[Reference], Any]) -> Any:
    if isinstance(value, str):
        return _replaced_text(value, look_up)
    if isinstance(value, Mapping):
        return {key: _replaced(each, look_up) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, look_up) for each in value]
    return value


def _replaced_text(text: str, look_up: Callable[[Reference], Any]) -> Any:
    whole = _TOKENS.fullmatch(text)
    if whole is not None and whole.group() not in {"{{{{", "}}}}"}:
        return look_up(_reference(whole))

    def formatted(token: re.Match[str]) -> str:
        if token.group() in {"{{{{", "}}}}"}:
            return token.group()[:2]
        value = look_up(_reference(token))
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _TOKENS.sub(formatted, text)
