"""By which name a function is stored: the name that leads back to it, or the refusal of one that none leads to."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from actors.runtime.errors import FunctionError, UnresolvedFunctionError
from actors.runtime.walking import INTERPRETERS, MAIN_NAMES, UserFunction, shown, walk

SCRIPT_PREFIX: Final = "__main__@"
_TASK_NAME: Final = re.compile(r"[^\x00-\x1f\x7f:@]{1,200}")
_TASK_MARK: Final = "__logistics_task__"

# --- named tasks ------------------------------------------------------------------------------------


class NamedTask(NamedTuple):
    """A function that `@task(name=…)` has named."""

    func: UserFunction
    home: str
    qualname: str


# With the default engine the only process-wide state: decorators run at import, before any engine is there.
# It is written by `name_task` alone; a name that is in here is found whatever module its reference names.
_TASKS: Final[dict[str, NamedTask]] = {}


def name_task(func: UserFunction, name: str) -> str:
    """Enter a function into the process' table of named tasks and return its reference.

    Naming the same function again (a reloaded module) replaces the entry. A name that another function has
    is refused.
    """
    check_task_name(name)
    check_kind(func)
    if not isinstance(func, FunctionType):
        raise _refusal(func, "only a function can be named", "put @staticmethod or @classmethod above @task")
    entry = NamedTask(func, home_of(func), func.__qualname__)
    known = _TASKS.setdefault(name, entry)
    if known[1:] != entry[1:]:
        raise FunctionError(
            f"the task name {name!r} is taken by {known.home}:{known.qualname}; "
            f"choose another name for {entry.home}:{entry.qualname}"
        )
    _TASKS[name] = entry
    func.__dict__[_TASK_MARK] = name
    return f"{name}@{entry.home}"


def named(name: str) -> UserFunction | None:
    """Return the function that a decorator has given a name; None if none has."""
    entry = _TASKS.get(name)
    return None if entry is None else entry.func


def _task_ref(func: UserFunction) -> str:
    # functools.wraps copies the mark to a wrapper, hence the look at the table: it knows which one was named.
    name = getattr(func, _TASK_MARK, "")
    entry = _TASKS.get(name)
    return f"{name}@{entry.home}" if entry is not None and entry.func is func else ""


def check_task_name(name: str) -> None:
    """Refuse what no task can be called."""
    if not _TASK_NAME.fullmatch(name) or name in MAIN_NAMES:
        raise FunctionError(
            f"a task's name is 1 to 200 characters without control characters, '@' and ':', got {name!r}"
        )


# --- from a function to its name ----------------------------------------------------------------------


def function_ref(func: UserFunction) -> str:
    """The name under which a function is stored; raises `FunctionError` for what no name leads back to."""
    check_kind(func)
    return _task_ref(func) or _path_ref(func)


def _path_ref(func: UserFunction) -> str:
    home, qualname = home_of(func), _qualname_of(func)
    ref = f"{home}:{qualname}"
    try:
        found = walk(_loaded(func, home), qualname, ref=ref)
    except UnresolvedFunctionError as error:
        raise FunctionError(
            f"{shown(func)} cannot be found again by its name: {error.detail}; {_advice(func)}"
        ) from error
    if found != func:
        raise FunctionError(
            f"the name {ref!r} leads to another object than {shown(func)}: it was decorated or redefined; "
            f"pass what {qualname!r} names now"
        )
    return ref


def _loaded(func: UserFunction, home: str) -> ModuleType:
    name = module_name(func)
    module = sys.modules.get("__main__" if name in MAIN_NAMES else name)
    if module is None:
        raise FunctionError(
            f"{shown(func)} says that it belongs to {home!r}, which is not an imported module; "
            "move it to a file that can be imported"
        )
    return module


def check_kind(func: object) -> None:
    """Refuse what has no name of its own."""
    objection = _objection_to_kind(func) or _objection_to_name(func) or _objection_to_what_it_returns(func)
    if objection:
        raise _refusal(func, *objection)


def _objection_to_kind(func: Any) -> tuple[str, str] | None:
    if isinstance(func, functools.partial | functools.partialmethod):
        return "a partial is not stored by name", "pass the function, and its arguments as args= and kwargs="
    if isinstance(func, type):
        return "a class is not a function", "write a function that makes and uses the object"
    if not callable(func):
        return "this cannot be called", "pass the function itself, without calling it"
    if isinstance(func, MethodType):
        return _objection_to_method(func)
    if isinstance(func, BuiltinFunctionType):
        return _objection_to_builtin(func)
    if not isinstance(func, FunctionType):
        return "an object that can be called is not a function", "write a module-level function that calls it"
    return None


def _objection_to_method(method: MethodType) -> tuple[str, str] | None:
    if not isinstance(method.__self__, type):
        return (
            "a method bound to an object cannot be stored, its object would be lost",
            "make it a static method, a class method or a function, and pass the data as arguments",
        )
    if not isinstance(method.__func__, FunctionType):
        return "a class method must wrap a function", "write a function that calls it"
    return None


def _advice(func: UserFunction) -> str:
    if module_name(func) in MAIN_NAMES and getattr(func, "__globals__", {}) is not vars(
        sys.modules["__main__"]
    ):
        return (
            "the script runs inside another program (`python -m cProfile` or the like), which is `__main__`: "
            "move the function to a module, and import it"
        )
    return "pass a function that a module holds under its own name"


def _objection_to_builtin(func: BuiltinFunctionType) -> tuple[str, str] | None:
    if not isinstance(func.__self__, ModuleType | None):
        return "a method of a built-in object cannot be stored", "write a function that calls it"
    if func in INTERPRETERS:
        return "it would run stored text as code", "write a function that does what you need"
    return None


def _objection_to_name(func: Any) -> tuple[str, str] | None:
    if func.__name__ == "<lambda>":
        return "a lambda has no name that leads back to it", "define it with def at the top of a module"
    if "<locals>" in func.__qualname__:
        return (
            "a function defined inside another one cannot be found again after a restart",
            "move it to the top of a module, and pass what it used from around it as arguments",
        )
    return None


def _objection_to_what_it_returns(func: Any) -> tuple[str, str] | None:
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        return "what a generator yields cannot be stored as it is", "write a function that returns a list"
    return None


def _refusal(func: object, why: str, advice: str) -> FunctionError:
    return FunctionError(f"expected a function that can be found by name, got {shown(func)}: {why}; {advice}")


def module_name(func: UserFunction) -> str:
    """Return the name of the module that a function says it belongs to."""
    # A class method belongs to the class it was taken from, not to the one that defines it.
    owner = func.__self__ if inspect.ismethod(func) else func
    name = getattr(owner, "__module__", None)
    if not isinstance(name, str) or not name:
        raise _refusal(func, "it belongs to no module", "write a function in a module that calls it")
    return name


def _qualname_of(func: UserFunction) -> str:
    if inspect.ismethod(func) and isinstance(func.__self__, type):
        return f"{func.__self__.__qualname__}.{func.__name__}"
    return func.__qualname__


def home_of(func: UserFunction) -> str:
    """Return where a function is found again: a module's name, or `__main__@` and a script's path."""
    name = module_name(func)
    if name not in MAIN_NAMES:
        return name
    home = home_of_main()
    # A script may be followed by an interactive session; what is typed there is not in the script.
    if not home or _is_typed_in(func):
        raise _refusal(
            func,
            "functions of an interactive session, a notebook or `python -c` are gone after a restart",
            "put it into a file and import it, or run the file",
        )
    return home


def _is_typed_in(func: UserFunction) -> bool:
    code = getattr(inspect.unwrap(getattr(func, "__func__", func)), "__code__", None)
    return code is not None and code.co_filename.startswith("<")


def home_of_main() -> str:
    """Where functions of `__main__` are stored: a module's name or a script's path; empty if it has neither.

    `python -m package.module` can be imported under its real name, and every process that imports it finds
    the same functions. `python -m package` runs `package.__main__`, whose import would run the program, so
    that counts as a script.
    """
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", "")
    if name and name.rpartition(".")[2] not in MAIN_NAMES:
        return str(name)
    # `python -i` takes the file's name away when the script has ended; whoever loaded it still knows.
    path = getattr(main, "__file__", None) or getattr(getattr(main, "__loader__", None), "path", None)
    return SCRIPT_PREFIX + os.path.abspath(path) if isinstance(path, str) and path else ""  # noqa: PTH100 -- symlinks stay
