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

import importlib
import os
import sys
import threading
from fnmatch import fnmatchcase
from types import ModuleType
from typing import NamedTuple

from actors.runtime.errors import FunctionError, UnresolvedFunctionError, UnresolvedReason
from actors.runtime.naming import (
    SCRIPT_PREFIX,
    check_kind,
    check_task_name,
    function_ref,
    home_of,
    home_of_main,
    module_name,
    named,
)
from actors.runtime.walking import MAIN_NAMES, UserFunction, not_found, shown, walk


class FunctionRef(NamedTuple):
    """A reference taken apart; what a form does not have is the empty string."""

    task: str
    home: str  # a module's name, or `__main__@` and a script's path
    qualname: str

    @property
    def script(self) -> str:
        """Path of the script that the function belongs to."""
        return self.home.removeprefix(SCRIPT_PREFIX) if self.home.startswith(SCRIPT_PREFIX) else ""

    @property
    def module(self) -> str:
        """The module's name, as `modules=` patterns see it."""
        return "__main__" if self.script else self.home


def parse_ref(ref: str) -> FunctionRef:
    """Take a reference apart without importing anything."""
    if ref.startswith(SCRIPT_PREFIX):
        path, _, qualname = ref.removeprefix(SCRIPT_PREFIX).rpartition(":")
        return FunctionRef("", SCRIPT_PREFIX + path, qualname)
    task, at, home = ref.partition("@")
    if at:
        return FunctionRef(task, home, "")
    home, colon, qualname = ref.partition(":")
    return FunctionRef("", home, qualname) if colon else FunctionRef(ref, "", "")


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
        check_task_name(name)
        check_kind(func)
        ref = f"{name}@{home_of(func)}"
        self._check_registered(func, ref)
        self._named[name] = self._found[ref] = func
        return ref

    def _check_registered(self, func: UserFunction, ref: str) -> None:
        module = parse_ref(ref).module
        if not self._allows(module):
            raise FunctionError(
                f"{shown(func)} is in {module!r}, which modules={self._patterns!r} does not allow; "
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
        func = self._task(parts, ref) if parts.task else walk(_module(parts, ref), parts.qualname, ref=ref)
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
                raise not_found(ref, module, f"it does not define a task named {parts.task!r}")
        if func is None:
            detail = f"no task named {parts.task!r} has been defined; import the module that defines it"
            raise UnresolvedFunctionError(ref, UnresolvedReason.NOT_YET_DEFINED, detail)
        return func

    def _task_if_known(self, name: str) -> UserFunction | None:
        return self._named.get(name) or named(name)

    def _allows(self, module: str) -> bool:
        return self._patterns is None or any(fnmatchcase(module, pattern) for pattern in self._patterns)

    def _forbidden(self, ref: str, module: str) -> UnresolvedFunctionError:
        detail = f"modules={self._patterns!r} does not allow {module!r}"
        return UnresolvedFunctionError(ref, UnresolvedReason.NOT_ALLOWED, detail)


def _own_module(func: UserFunction) -> str:
    name = module_name(func)
    if name not in MAIN_NAMES:
        return name
    return parse_ref(f"{home_of_main()}:").module


def _module(parts: FunctionRef, ref: str) -> ModuleType:
    main_home = home_of_main()
    if parts.home == main_home or (parts.script and _same_file(parts.script, main_home)):
        return sys.modules["__main__"]
    if parts.script:
        running = main_home.removeprefix(SCRIPT_PREFIX) or "no script"
        detail = f"it belongs to the script {parts.script!r}, this process runs {running}; run it again"
        if os.path.basename(parts.script) == "__main__.py":  # noqa: PTH119 -- of which processes read nothing
            detail += (
                "; for executor='process' move it to another module, as no process reads a package's __main__"
            )
        raise UnresolvedFunctionError(ref, UnresolvedReason.OTHER_SCRIPT, detail)
    if not all(part.isidentifier() for part in parts.home.split(".")):
        raise UnresolvedFunctionError(ref, UnresolvedReason.MALFORMED, f"{parts.home!r} is no module's name")
    return _imported(parts.home, ref)


def _same_file(script: str, main_home: str) -> bool:
    return os.path.realpath(script) == os.path.realpath(main_home.removeprefix(SCRIPT_PREFIX))


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
