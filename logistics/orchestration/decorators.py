"""Naming functions, and workflows that are written as a class or as a function that wires steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Never, TypeVar, overload

from actors.runtime.errors import InputError
from actors.runtime.naming import name_task
from logistics.inputs import check_name, check_options
from logistics.orchestration.workflow import Workflow

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound=Callable[..., Any])
MARK = "__logistics_workflow__"
STEP_MARK = "__logistics_step__"


class Outline(NamedTuple):
    """What a decorator has said about a workflow."""

    name: str
    description: str


def task(*what: Never, name: str = "") -> Callable[[F], F]:
    """Give a function a name of its own: it is stored by that, and found again wherever its module has it.

    `FunctionError` if another function has the name, or it is none; `InputError` without a name, which a type
    checker says, too, where it stands.
    """
    if what or not isinstance(name, str) or not name:
        first: object = next(iter(what), None)
        given = first if isinstance(first, str) else getattr(first, "__name__", "…")
        msg = (
            f'a task needs a name: write @task(name="{given}"); a function stored by its own name needs none'
        )
        raise InputError(msg)

    def named(func: F) -> F:
        name_task(func, name)
        return func

    return named


@overload
def step(func: F, /) -> F: ...


@overload
def step(**options: Any) -> Callable[[F], F]: ...


def step(func: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
    """Say how a method of a `workflow` class is a step; `options` are those of `Workflow.add_step`.

    `InputError` for one that there is not, and for what is no function.
    """
    parameters = inspect.signature(Workflow.add_step).parameters.values()
    check_options("step", options, [each.name for each in parameters if each.kind is each.KEYWORD_ONLY])
    if func is not None and not callable(func) and not isinstance(func, staticmethod | classmethod):
        msg = f"step: expected a function, or options by name, got {func!r}"
        raise InputError(msg)

    def described(func: F) -> F:
        plain = func.__func__ if isinstance(func, staticmethod | classmethod) else func
        setattr(plain, STEP_MARK, options)
        return func

    return described if func is None else described(func)


@overload
def workflow(what: W, /) -> W: ...


@overload
def workflow(*, name: str | None = None, description: str | None = None) -> Callable[[W], W]: ...


def workflow(
    what: W | None = None, /, *, name: str | None = None, description: str | None = None
) -> W | Callable[[W], W]:
    """Make a workflow of a class or a function, for `WorkflowManager.define`; it is returned as it is.

    A class has a step for each of its static methods, in their order, that does not begin with an underscore:
    it depends on those whose names its parameters have. A function is called with an empty `Workflow` and
    adds the steps to it. The name is that of the class or function, the description its docstring's first
    line, unless something else is said.
    """
    if what is not None and not hasattr(what, "__name__"):
        msg = f"workflow: expected a class or a function, or name=…, got {what!r}"
        raise InputError(msg)

    def marked(what: W) -> W:
        doc = (inspect.getdoc(what) or "").partition("\n")[0]
        outline = Outline(
            check_name("name", what.__name__ if name is None else name),
            doc if description is None else description,
        )
        setattr(what, MARK, outline)
        return what

    return marked if what is None else marked(what)


def outline_of(what: Any) -> Outline:
    """Return what the decorator has said; `InputError` for what it was not put on."""
    outline = vars(what).get(MARK) if hasattr(what, "__dict__") else None
    if not isinstance(outline, Outline):
        msg = f"expected a class or function with @logistics.workflow, got {what!r}"
        raise InputError(msg)
    return outline


def _wire(workflow: Workflow, what: Callable[[Workflow], object]) -> None:
    """Have a function add the steps. It is no workflow itself: what it calls is called now, not when that runs."""
    expected = (
        f"workflow {workflow.name!r}: expected a function of a Workflow that adds its steps, as in "
        f"def {what.__name__}(workflow): workflow.add_step(…)"
    )
    signature = inspect.signature(what)
    try:
        signature.bind(workflow)
    except TypeError as error:
        msg = f"{expected}; got {what.__name__}{signature}"
        raise InputError(msg) from error
    what(workflow)
    if not workflow.steps:
        msg = f"{expected}; {what.__name__}{signature} added none: parameters of a run go to its steps by their names"
        raise InputError(msg)


def add_steps(workflow: Workflow, what: Any) -> None:
    """Add the steps that a class or a function means."""
    if not isinstance(what, type):
        _wire(workflow, what)
        return
    methods = {
        name: method.__func__
        for name, method in vars(what).items()
        if isinstance(method, staticmethod) and not name.startswith("_")
    }
    if not methods:
        msg = f"workflow {workflow.name!r}: class {what.__name__} has no static method that could be a step"
        raise InputError(msg)
    for name, method in methods.items():
        options = dict(getattr(method, STEP_MARK, {}))
        parameters = inspect.signature(method).parameters
        options.setdefault(
            "depends_on", [other for other in parameters if other in methods and other != name]
        )
        workflow.add_step(name, method, **options)
