"""The way from a module to a function in it, through modules and classes only, running no code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from actors.runtime.errors import UnresolvedFunctionError, UnresolvedReason

UserFunction = Callable[..., Any]

# A child of multiprocessing's spawn knows its parent's script under the second name.
MAIN_NAMES: Final = frozenset({"__main__", "__mp_main__"})
# Calling these with stored text would run stored text as code.
INTERPRETERS: Final = frozenset({eval, exec, compile, __import__})
_MISSING: Final = object()


def walk(module: ModuleType, qualname: str, *, ref: str) -> UserFunction:
    """Go from a module to a function through modules and classes only, running no code on the way."""
    owner: ModuleType | type = module
    *path, last = qualname.split(".")
    for part in path:
        step = _attribute(owner, part)
        if step is _MISSING:
            raise not_found(ref, module, f"{_title(owner)} has no attribute {part!r}")
        if not isinstance(step, ModuleType | type):
            raise _not_a_function(
                ref, f"{part!r} is {shown(step)}; only modules and classes are walked through"
            )
        owner = step
    target = _attribute(owner, last)
    if target is _MISSING:
        raise not_found(ref, module, f"{_title(owner)} has no attribute {last!r}")
    return _as_function(target, owner, ref)


def _attribute(owner: ModuleType | type, name: str) -> Any:
    if isinstance(owner, ModuleType):
        return vars(owner).get(name, _MISSING)
    return inspect.getattr_static(owner, name, _MISSING)


def _as_function(target: Any, owner: ModuleType | type, ref: str) -> UserFunction:
    func = _of_class(target, owner, ref) if isinstance(owner, type) else target
    if isinstance(func, FunctionType | MethodType | BuiltinFunctionType) and func not in INTERPRETERS:
        return func
    raise _not_a_function(
        ref, f"expected a function, a static method or a class method, found {shown(target)}"
    )


def _of_class(target: Any, owner: type, ref: str) -> Any:
    inner = getattr(target, "__func__", None)
    if isinstance(target, staticmethod) and isinstance(inner, FunctionType):
        return inner
    if isinstance(target, classmethod) and isinstance(inner, FunctionType):
        return target.__get__(None, owner)
    if isinstance(target, FunctionType):
        detail = f"{target.__qualname__!r} is a method that needs an object; make it a static method"
        raise _not_a_function(ref, detail)
    return None


def not_found(ref: str, module: ModuleType, detail: str) -> UnresolvedFunctionError:
    """Say that a module does not have what was looked for, or not yet."""
    # A script, or a module whose import is still going on, may get there.
    unfinished = module.__name__ in MAIN_NAMES or getattr(module.__spec__, "_initializing", False)
    reason = UnresolvedReason.NOT_YET_DEFINED if unfinished else UnresolvedReason.NOT_FOUND
    return UnresolvedFunctionError(ref, reason, detail)


def _not_a_function(ref: str, detail: str) -> UnresolvedFunctionError:
    return UnresolvedFunctionError(ref, UnresolvedReason.NOT_A_FUNCTION, detail)


def _title(owner: ModuleType | type) -> str:
    return f"{'module' if isinstance(owner, ModuleType) else 'class'} {owner.__name__!r}"


def shown(func: object) -> str:
    """Return what a message shows of what may be no function."""
    name = getattr(func, "__qualname__", None)
    kind = "class" if isinstance(func, type) else type(func).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else f"an object of type {kind}"
