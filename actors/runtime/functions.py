"""References to users' functions: how a function is named in the store, and how the name leads back to it.

Four forms, told apart without guessing (no module or qualified name contains `@` or `:`):

- `package.module:Class.method`: a function of an importable module;
- `__main__@/absolute/script.py:function`: a function of the script that the process runs;
- `name@package.module` or `name@__main__@/absolute/script.py`: a task named by decorator, with the module
  that has to be imported to find it;
- `name`: a named task whose module somebody else has to import.

A store names functions, so whoever can write to it can call every function that can be imported;
`FunctionRegistry(modules=…)` is the restriction.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from fnmatch import fnmatchcase
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

from eventstore.errors import LogisticsError

UserFunction = Callable[..., Any]

# A child of multiprocessing's spawn knows its parent's script under the second name.
_MAIN_NAMES: Final = frozenset({"__main__", "__mp_main__"})
_SCRIPT_PREFIX: Final = "__main__@"
# Calling these with stored text would run stored text as code.
_INTERPRETERS: Final = frozenset({eval, exec, compile, __import__})
_TASK_NAME: Final = re.compile(r"[^\x00-\x1f\x7f:@]{1,200}")
_TASK_MARK: Final = "__logistics_task__"
_MISSING: Final = object()


class FunctionError(LogisticsError, ValueError):
    """What was given cannot be stored by name; the message says why and what to do."""


class UnresolvedReason(StrEnum):
    """Why a reference does not lead to a function in this process, now."""

    MALFORMED = "MALFORMED"
    NOT_ALLOWED = "NOT_ALLOWED"
    IMPORT_FAILED = "IMPORT_FAILED"
    NOT_FOUND = "NOT_FOUND"
    NOT_A_FUNCTION = "NOT_A_FUNCTION"
    OTHER_SCRIPT = "OTHER_SCRIPT"
    NOT_YET_DEFINED = "NOT_YET_DEFINED"


class UnresolvedFunctionError(LogisticsError, LookupError):
    """A stored reference leads to no function here; it may do so later, or in another process."""

    def __init__(self, ref: str, reason: UnresolvedReason, detail: str) -> None:
        super().__init__(f"{ref!r} cannot be resolved ({reason}): {detail}")
        self.ref = ref
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[UnresolvedFunctionError], tuple[str, UnresolvedReason, str]]:
        """Let the error travel between processes."""
        return type(self), (self.ref, self.reason, self.detail)


class FunctionRef(NamedTuple):
    """A reference taken apart; what a form does not have is the empty string."""

    task: str
    home: str  # a module's name, or `__main__@` and a script's path
    qualname: str

    @property
    def script(self) -> str:
        """Path of the script that the function belongs to."""
        return self.home.removeprefix(_SCRIPT_PREFIX) if self.home.startswith(_SCRIPT_PREFIX) else ""

    @property
    def module(self) -> str:
        """The module's name, as `modules=` patterns see it."""
        return "__main__" if self.script else self.home


def parse_ref(ref: str) -> FunctionRef:
    """Take a reference apart without importing anything."""
    if ref.startswith(_SCRIPT_PREFIX):
        path, _, qualname = ref.removeprefix(_SCRIPT_PREFIX).rpartition(":")
        return FunctionRef("", _SCRIPT_PREFIX + path, qualname)
    task, at, home = ref.partition("@")
    if at:
        return FunctionRef(task, home, "")
    home, colon, qualname = ref.partition(":")
    return FunctionRef("", home, qualname) if colon else FunctionRef(ref, "", "")


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
    _check_task_name(name)
    _check_kind(func)
    if not isinstance(func, FunctionType):
        raise _refusal(func, "only a function can be named", "put @staticmethod or @classmethod above @task")
    entry = NamedTask(func, _home_of(func), func.__qualname__)
    known = _TASKS.setdefault(name, entry)
    if known[1:] != entry[1:]:
        raise FunctionError(
            f"the task name {name!r} is taken by {known.home}:{known.qualname}; "
            f"choose another name for {entry.home}:{entry.qualname}"
        )
    _TASKS[name] = entry
    func.__dict__[_TASK_MARK] = name
    return f"{name}@{entry.home}"


def _task_ref(func: UserFunction) -> str:
    # functools.wraps copies the mark to a wrapper, hence the look at the table: it knows which one was named.
    name = getattr(func, _TASK_MARK, "")
    entry = _TASKS.get(name)
    return f"{name}@{entry.home}" if entry is not None and entry.func is func else ""


def _check_task_name(name: str) -> None:
    if not _TASK_NAME.fullmatch(name) or name in _MAIN_NAMES:
        raise FunctionError(
            f"a task's name is 1 to 200 characters without control characters, '@' and ':', got {name!r}"
        )


# --- from a function to its name ----------------------------------------------------------------------


def function_ref(func: UserFunction) -> str:
    """The name under which a function is stored; raises `FunctionError` for what no name leads back to."""
    _check_kind(func)
    return _task_ref(func) or _path_ref(func)


def _path_ref(func: UserFunction) -> str:
    home, qualname = _home_of(func), _qualname_of(func)
    ref = f"{home}:{qualname}"
    try:
        found = _walk(_loaded(func, home), qualname, ref=ref)
    except UnresolvedFunctionError as error:
        raise FunctionError(
            f"{_shown(func)} cannot be found again by its name: {error.detail}; "
            "pass a function that a module holds under its own name"
        ) from error
    if found != func:
        raise FunctionError(
            f"the name {ref!r} leads to another object than {_shown(func)}: it was decorated or redefined; "
            f"pass what {qualname!r} names now"
        )
    return ref


def _loaded(func: UserFunction, home: str) -> ModuleType:
    name = _module_name(func)
    module = sys.modules.get("__main__" if name in _MAIN_NAMES else name)
    if module is None:
        raise FunctionError(
            f"{_shown(func)} says that it belongs to {home!r}, which is not an imported module; "
            "move it to a file that can be imported"
        )
    return module


def _check_kind(func: object) -> None:
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


def _objection_to_builtin(func: BuiltinFunctionType) -> tuple[str, str] | None:
    if not isinstance(func.__self__, ModuleType | None):
        return "a method of a built-in object cannot be stored", "write a function that calls it"
    if func in _INTERPRETERS:
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
    return FunctionError(
        f"expected a function that can be found by name, got {_shown(func)}: {why}; {advice}"
    )


def _shown(func: object) -> str:
    name = getattr(func, "__qualname__", None)
    kind = "class" if isinstance(func, type) else type(func).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else f"an object of type {kind}"


def _module_name(func: UserFunction) -> str:
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


def _home_of(func: UserFunction) -> str:
    name = _module_name(func)
    if name not in _MAIN_NAMES:
        return name
    home = _home_of_main()
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


def _home_of_main() -> str:
    """Where functions of `__main__` are stored: a module's name or a script's path; empty if it has neither.

    `python -m package.module` can be imported under its real name, and every process that imports it finds
    the same functions. `python -m package` runs `package.__main__`, whose import would run the program, so
    that counts as a script.
    """
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", "")
    if name and name.rpartition(".")[2] not in _MAIN_NAMES:
        return str(name)
    # `python -i` takes the file's name away when the script has ended; whoever loaded it still knows.
    path = getattr(main, "__file__", None) or getattr(getattr(main, "__loader__", None), "path", None)
    return _SCRIPT_PREFIX + os.path.abspath(path) if isinstance(path, str) and path else ""  # noqa: PTH100 -- symlinks stay


# --- from a name to its function ----------------------------------------------------------------------


class FunctionRegistry:
    """Finds functions by their references; one for each engine, safe to use from many threads.

    `modules` are patterns in the manner of `fnmatch` (`("myapp", "myapp.*")`); `None` allows every module.
    The running script's own module is `__main__`. What has been found once is remembered; what has not is
    looked for again.
    """

    def __init__(self, modules: tuple[str, ...] | None = None) -> None:
        if isinstance(modules, str):
            raise FunctionError(
                f"modules= is a tuple of patterns, got the text {modules!r}; write ({modules!r},)"
            )
        self._patterns = None if modules is None else tuple(modules)
        self.modules = modules
        """Patterns of the modules whose functions may be called; None: any."""
        self._refs: dict[UserFunction, str] = {}
        self._found: dict[str, UserFunction] = {}
        self._named: dict[str, UserFunction] = {}

    def register(self, func: UserFunction, name: str | None = None) -> str:
        """Check a function, remember it, and return the reference to store.

        With `name` it is stored as that task; whoever resolves it in another process has to register it
        there as well.
        """
        if name is not None:
            return self._register_named(func, name)
        ref = self.known(func)
        if ref is None:
            ref = function_ref(func)
            self._check_registered(func, ref)
            self._refs[func] = ref
            self._found[ref] = func
        return ref

    def resolve(self, ref: str) -> UserFunction:
        """The function that a reference names; raises `UnresolvedFunctionError` with the reason.

        Imports the module if need be, with whatever the import does and however long it takes.
        """
        func = self._found.get(ref)
        if func is None:
            func = self._found[ref] = self._look_up(ref)
        return func

    def known(self, func: UserFunction) -> str | None:
        """Return the reference of a function that was registered before; None if it was not."""
        try:
            return self._refs.get(func)
        except TypeError:  # unhashable, so no function; `function_ref` says what it is
            return None

    def knows(self, ref: str) -> bool:
        """Whether a reference was registered or found before: looks up nothing, imports nothing."""
        return ref in self._found

    def _register_named(self, func: UserFunction, name: str) -> str:
        _check_task_name(name)
        _check_kind(func)
        ref = f"{name}@{_home_of(func)}"
        self._check_registered(func, ref)
        self._named[name] = self._found[ref] = func
        return ref

    def _check_registered(self, func: UserFunction, ref: str) -> None:
        module = parse_ref(ref).module
        if not self._allows(module):
            raise FunctionError(
                f"{_shown(func)} is in {module!r}, which modules={self._patterns!r} does not allow; "
                "add a pattern for it"
            )

    def _look_up(self, ref: str) -> UserFunction:
        parts = parse_ref(ref)
        if not (parts.task or (parts.home and parts.qualname)):
            raise UnresolvedFunctionError(
                ref, UnresolvedReason.MALFORMED, "expected 'module:name' or 'task@module'"
            )
        if parts.home and not self._allows(parts.module):
            raise self._forbidden(ref, parts.module)
        func = self._task(parts, ref) if parts.task else _walk(_module(parts, ref), parts.qualname, ref=ref)
        # An allowed module may hold, under any name, what it imported from another one.
        if not self._allows(_own_module(func)):
            raise self._forbidden(ref, _own_module(func))
        return func

    def _task(self, parts: FunctionRef, ref: str) -> UserFunction:
        func = self._task_if_known(parts.task)
        if func is None and parts.home:
            module = _module(parts, ref)
            func = self._task_if_known(parts.task)
            if func is None:
                raise _not_found(ref, module, f"it does not define a task named {parts.task!r}")
        if func is None:
            detail = f"no task named {parts.task!r} has been defined; import the module that defines it"
            raise UnresolvedFunctionError(ref, UnresolvedReason.NOT_YET_DEFINED, detail)
        return func

    def _task_if_known(self, name: str) -> UserFunction | None:
        entry = _TASKS.get(name)
        return self._named.get(name) or (entry.func if entry is not None else None)

    def _allows(self, module: str) -> bool:
        return self._patterns is None or any(fnmatchcase(module, pattern) for pattern in self._patterns)

    def _forbidden(self, ref: str, module: str) -> UnresolvedFunctionError:
        detail = f"modules={self._patterns!r} does not allow {module!r}"
        return UnresolvedFunctionError(ref, UnresolvedReason.NOT_ALLOWED, detail)


def _own_module(func: UserFunction) -> str:
    name = _module_name(func)
    if name not in _MAIN_NAMES:
        return name
    return parse_ref(f"{_home_of_main()}:").module


def _module(parts: FunctionRef, ref: str) -> ModuleType:
    main_home = _home_of_main()
    if parts.home == main_home or (parts.script and _same_file(parts.script, main_home)):
        return sys.modules["__main__"]
    if parts.script:
        running = main_home.removeprefix(_SCRIPT_PREFIX) or "no script"
        detail = f"it belongs to the script {parts.script!r}, this process runs {running}; run it again"
        raise UnresolvedFunctionError(ref, UnresolvedReason.OTHER_SCRIPT, detail)
    if not all(part.isidentifier() for part in parts.home.split(".")):
        raise UnresolvedFunctionError(ref, UnresolvedReason.MALFORMED, f"{parts.home!r} is no module's name")
    return _imported(parts.home, ref)


def _same_file(script: str, main_home: str) -> bool:
    return os.path.realpath(script) == os.path.realpath(main_home.removeprefix(_SCRIPT_PREFIX))


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _imported(name: str, ref: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # a module may do anything when imported, sys.exit() included
        if not isinstance(error, Exception | SystemExit | GeneratorExit) and _is_main_thread():
            raise  # Ctrl-C, or what a handler made of the signal
        detail = f"importing {name!r} raised {type(error).__name__}: {error}"
        raise UnresolvedFunctionError(ref, UnresolvedReason.IMPORT_FAILED, detail) from error


def _walk(module: ModuleType, qualname: str, *, ref: str) -> UserFunction:
    """Go from a module to a function through modules and classes only, running no code on the way."""
    owner: ModuleType | type = module
    *path, last = qualname.split(".")
    for part in path:
        step = _attribute(owner, part)
        if step is _MISSING:
            raise _not_found(ref, module, f"{_title(owner)} has no attribute {part!r}")
        if not isinstance(step, ModuleType | type):
            raise _not_a_function(
                ref, f"{part!r} is {_shown(step)}; only modules and classes are walked through"
            )
        owner = step
    target = _attribute(owner, last)
    if target is _MISSING:
        raise _not_found(ref, module, f"{_title(owner)} has no attribute {last!r}")
    return _as_function(target, owner, ref)


def _attribute(owner: ModuleType | type, name: str) -> Any:
    if isinstance(owner, ModuleType):
        return vars(owner).get(name, _MISSING)
    return inspect.getattr_static(owner, name, _MISSING)


def _as_function(target: Any, owner: ModuleType | type, ref: str) -> UserFunction:
    func = _of_class(target, owner, ref) if isinstance(owner, type) else target
    if isinstance(func, FunctionType | MethodType | BuiltinFunctionType) and func not in _INTERPRETERS:
        return func
    raise _not_a_function(
        ref, f"expected a function, a static method or a class method, found {_shown(target)}"
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


def _not_found(ref: str, module: ModuleType, detail: str) -> UnresolvedFunctionError:
    # A script, or a module whose import is still going on, may get there.
    unfinished = module.__name__ in _MAIN_NAMES or getattr(module.__spec__, "_initializing", False)
    reason = UnresolvedReason.NOT_YET_DEFINED if unfinished else UnresolvedReason.NOT_FOUND
    return UnresolvedFunctionError(ref, reason, detail)


def _not_a_function(ref: str, detail: str) -> UnresolvedFunctionError:
    return UnresolvedFunctionError(ref, UnresolvedReason.NOT_A_FUNCTION, detail)


def _title(owner: ModuleType | type) -> str:
    return f"{'module' if isinstance(owner, ModuleType) else 'class'} {owner.__name__!r}"
