"""Users' functions are found again by name, or refused with advice."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

import pytest

from actors.runtime import naming
from actors.runtime.errors import FunctionError, UnresolvedFunctionError, UnresolvedReason
from actors.runtime.functions import FunctionRegistry, parse_ref
from actors.runtime.naming import function_ref, name_task
from eventstore.errors import LogisticsError

ROOT = Path(__file__).resolve().parents[3]


def plain(x: int) -> int:
    return x + 1


async def coroutine_function(x: int) -> int:
    return x


def generator_function() -> Iterator[int]:
    yield 1


def traced(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def _bare(x: int) -> int:
    return x


decorated = traced(_bare)
anonymous = lambda x: x  # noqa: E731 -- the case in question


@traced
def wrapped(x: int) -> int:
    return x * 2


class Base:
    class Inner:
        @staticmethod
        def deep() -> str:
            return "deep"

    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def make(cls) -> str:
        return cls.__name__

    def method(self) -> None:
        """Need an object."""

    def __call__(self) -> None:
        """Make its objects callable."""


class Child(Base):
    """Inherits its class method."""


class UnhashableCallable:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __call__(self) -> None:
        """Do nothing."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder on the path; modules imported from it are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    table: dict[str, Any] = {}
    monkeypatch.setattr(naming, "_TASKS", table)
    return table


# --- names of functions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("func", "qualname"),
    [
        (plain, "plain"),
        (coroutine_function, "coroutine_function"),
        (wrapped, "wrapped"),
        (Base.static, "Base.static"),
        (Child.static, "Base.static"),
        (Base.make, "Base.make"),
        (Child.make, "Child.make"),
        (Base.Inner.deep, "Base.Inner.deep"),
    ],
)
def test_a_function_is_stored_as_module_and_qualname_and_found_by_another_registry(
    func: Callable[..., Any], qualname: str
) -> None:
    ref = FunctionRegistry().register(func)
    assert ref == function_ref(func) == f"{__name__}:{qualname}"
    assert FunctionRegistry().resolve(ref) == func


@pytest.mark.parametrize("func", [time.sleep, math.sqrt, print, os.path.join, textwrap.dedent])
def test_functions_of_the_standard_library_are_found_whatever_they_are_written_in(
    func: Callable[..., Any],
) -> None:
    assert FunctionRegistry().resolve(function_ref(func)) is func


def test_an_inherited_class_method_keeps_the_class_it_was_taken_from() -> None:
    registry = FunctionRegistry()
    assert registry.resolve(registry.register(Child.make))() == "Child"
    assert FunctionRegistry().resolve(function_ref(Child.make))() == "Child"


def _closure() -> Callable[[], None]:
    def inner() -> None:
        """Live in a function."""

    return inner


@pytest.mark.parametrize(
    ("func", "what", "advice"),
    [
        (lambda: None, "lambda", "def at the top of a module"),
        (anonymous, "lambda", "def at the top of a module"),
        (_closure(), "inside another one", "move it to the top of a module"),
        (functools.partial(plain, 1), "partial", "args= and kwargs="),
        (Base().method, "bound to an object", "static method"),
        (Base.method, "needs an object", "static method"),
        (Base(), "object that can be called", "module-level function"),
        (UnhashableCallable(), "object that can be called", "module-level function"),
        (functools.cache(plain), "object that can be called", "module-level function"),
        (MethodType(functools.cache(plain), Base), "must wrap a function", "write a function"),
        (str.join, "object that can be called", "module-level function"),
        (Base, "a class is not a function", "write a function"),
        (plain(1), "cannot be called", "without calling it"),
        (None, "cannot be called", "without calling it"),
        ("module:name", "cannot be called", "without calling it"),
        ([].append, "built-in object", "write a function"),
        (generator_function, "generator", "returns a list"),
        (eval, "stored text as code", "write a function"),
        (exec, "stored text as code", "write a function"),
        (_bare.__get__(3), "bound to an object", "static method"),
    ],
)
def test_what_no_name_leads_back_to_is_refused_with_advice(func: Any, what: str, advice: str) -> None:
    with pytest.raises(FunctionError) as caught:
        FunctionRegistry().register(func)
    assert what in str(caught.value)
    assert advice in str(caught.value)
    assert isinstance(caught.value, LogisticsError)
    assert isinstance(caught.value, ValueError)


def test_a_function_whose_name_leads_to_another_object_is_refused() -> None:
    with pytest.raises(FunctionError, match="leads to another object"):
        function_ref(decorated)
    original = wrapped.__wrapped__  # type: ignore[attr-defined]
    with pytest.raises(FunctionError, match="decorated or redefined"):
        function_ref(original)


def test_a_function_of_a_module_that_cannot_be_imported_is_refused() -> None:
    namespace: dict[str, Any] = {"__name__": "made.up"}
    exec("def f(): pass", namespace)
    with pytest.raises(FunctionError, match=r"'made\.up', which is not an imported module"):
        function_ref(namespace["f"])


def test_a_function_that_was_deleted_from_its_module_is_refused(package: Path) -> None:
    (package / "short_lived.py").write_text("def f(): pass\ng = f\n")
    func = FunctionRegistry().resolve("short_lived:f")
    del sys.modules["short_lived"].__dict__["f"]
    with pytest.raises(FunctionError, match="no attribute 'f'"):
        function_ref(func)


# --- finding functions --------------------------------------------------------------------------------


def _unresolved(ref: str, registry: FunctionRegistry | None = None) -> UnresolvedFunctionError:
    with pytest.raises(UnresolvedFunctionError) as caught:
        (registry or FunctionRegistry()).resolve(ref)
    assert isinstance(caught.value, LookupError)
    assert caught.value.ref == ref
    return caught.value


@pytest.mark.parametrize(
    ("ref", "reason", "detail"),
    [
        (
            "no_such_module_at_all:f",
            UnresolvedReason.IMPORT_FAILED,
            "No module named 'no_such_module_at_all'",
        ),
        (f"{__name__}:nothing", UnresolvedReason.NOT_FOUND, "no attribute 'nothing'"),
        (f"{__name__}:Base.nothing", UnresolvedReason.NOT_FOUND, "class 'Base' has no attribute 'nothing'"),
        (f"{__name__}:Nothing.f", UnresolvedReason.NOT_FOUND, "no attribute 'Nothing'"),
        (f"{__name__}:Base", UnresolvedReason.NOT_A_FUNCTION, "found class 'Base'"),
        (f"{__name__}:ROOT", UnresolvedReason.NOT_A_FUNCTION, "found an object of type"),
        (f"{__name__}:Base.method", UnresolvedReason.NOT_A_FUNCTION, "needs an object"),
        (f"{__name__}:Base.__doc__", UnresolvedReason.NOT_A_FUNCTION, "found an object of type"),
        (f"{__name__}:plain.__globals__.get", UnresolvedReason.NOT_A_FUNCTION, "only modules and classes"),
        (f"{__name__}:ROOT.exists", UnresolvedReason.NOT_A_FUNCTION, "only modules and classes"),
        ("builtins:eval", UnresolvedReason.NOT_A_FUNCTION, "expected a function"),
        ("builtins:__import__", UnresolvedReason.NOT_A_FUNCTION, "expected a function"),
        ("", UnresolvedReason.MALFORMED, "expected 'module:name'"),
        (":f", UnresolvedReason.MALFORMED, "expected 'module:name'"),
        ("module:", UnresolvedReason.MALFORMED, "expected 'module:name'"),
        (".relative:f", UnresolvedReason.MALFORMED, "no module's name"),
        ("../../etc/passwd:f", UnresolvedReason.MALFORMED, "no module's name"),
        ("a b:f", UnresolvedReason.MALFORMED, "no module's name"),
        ("__main__@/no/such/script.py:f", UnresolvedReason.OTHER_SCRIPT, "'/no/such/script.py'"),
        ("__main__@/no/such/__main__.py:f", UnresolvedReason.OTHER_SCRIPT, "move it to another module"),
        ("name@__main__@/no/such/script.py", UnresolvedReason.OTHER_SCRIPT, "run it again"),
        ("no-such-task", UnresolvedReason.NOT_YET_DEFINED, "import the module that defines it"),
        (f"no-such-task@{__name__}", UnresolvedReason.NOT_FOUND, "does not define a task"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(ref: str, reason: UnresolvedReason, detail: str) -> None:
    error = _unresolved(ref)
    assert error.reason == reason
    assert detail in str(error)


def test_walking_through_modules_and_classes_works() -> None:
    assert FunctionRegistry().resolve("os:path.join") is os.path.join


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def f(:", "SyntaxError"),
        ("raise GeneratorExit", "GeneratorExit"),
    ],
)
def test_whatever_an_import_raises_is_the_reason(package: Path, source: str, text: str) -> None:
    (package / "broken_module.py").write_text(source)
    error = _unresolved("broken_module:f")
    assert error.reason == UnresolvedReason.IMPORT_FAILED
    assert text in str(error)


@pytest.mark.parametrize("made_of_it", ["KeyboardInterrupt", "type('Terminated', (BaseException,), {})"])
def test_an_interrupt_during_an_import_belongs_to_the_main_thread_alone(
    package: Path, made_of_it: str
) -> None:
    (package / "interrupted.py").write_text(f"raise {made_of_it}")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 -- whatever it is, it is handed on as it is
        FunctionRegistry().resolve("interrupted:f")
    assert not isinstance(caught.value, Exception)
    with ThreadPoolExecutor(1) as pool:
        said = str(pool.submit(_unresolved, "interrupted:f").result(timeout=60))
    assert f"raised {type(caught.value).__name__}" in said


def test_a_failure_is_not_remembered_and_a_success_is(package: Path) -> None:
    registry = FunctionRegistry()
    module = package / "mended_later.py"
    module.write_text("raise ValueError('not yet')")
    _unresolved("mended_later:f", registry)
    module.write_text("def f(): return 'mended, and longer than it was'\n")
    found = registry.resolve("mended_later:f")
    assert found() == "mended, and longer than it was"
    del sys.modules["mended_later"]
    module.unlink()
    assert registry.resolve("mended_later:f") is found


def test_an_attribute_of_a_module_still_being_imported_is_not_yet_defined(package: Path) -> None:
    (package / "halfway.py").write_text(
        textwrap.dedent(
            """
            from actors.runtime.errors import UnresolvedFunctionError
            from actors.runtime.functions import FunctionRegistry
            try:
                FunctionRegistry().resolve("halfway:f")
            except UnresolvedFunctionError as error:
                seen = error.reason
            def f(): return seen
            """
        )
    )
    assert FunctionRegistry().resolve("halfway:f")() == UnresolvedReason.NOT_YET_DEFINED


def test_a_registered_function_is_resolved_to_that_object(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FunctionRegistry()
    ref = registry.register(plain)
    original = plain
    monkeypatch.setattr(sys.modules[__name__], "plain", wrapped)
    assert registry.resolve(ref) is original


def test_an_unresolved_error_survives_a_trip_between_processes() -> None:
    error = _unresolved("no_such_module_at_all:f")
    kind, arguments = error.__reduce__()
    assert str(kind(*arguments)) == str(error)


# --- restriction ---------------------------------------------------------------------------------------


def test_modules_restricts_what_is_registered_imported_and_found(package: Path) -> None:
    (package / "guarded").mkdir()
    (package / "guarded" / "__init__.py").write_text("")
    (package / "guarded" / "jobs.py").write_text("import os\nfrom shutil import rmtree\ndef f(): return 1\n")
    (package / "outside.py").write_text("raise SystemError('imported all the same')")
    registry = FunctionRegistry(("guarded", "guarded.*"))
    assert registry.resolve("guarded.jobs:f")() == 1
    for ref in (
        "outside:f",
        "guarded.jobs:rmtree",
        "guarded.jobs:os.system",
        "__main__@/x.py:f",
        "t@outside",
    ):
        error = _unresolved(ref, registry)
        assert error.reason == UnresolvedReason.NOT_ALLOWED, ref
        assert "does not allow" in str(error)
    with pytest.raises(FunctionError, match="does not allow; add a pattern"):
        registry.register(plain)


def test_a_lone_text_for_modules_is_refused() -> None:
    with pytest.raises(FunctionError, match=r"write \('myapp',\)"):
        FunctionRegistry("myapp")  # type: ignore[arg-type]


# --- named tasks ----------------------------------------------------------------------------------------

TASK_MODULE = """
from actors.runtime.naming import name_task
def send(): return "sent"
name_task(send, "send-mail")
"""


@pytest.mark.usefixtures("tasks")
def test_a_named_task_is_found_by_importing_its_module(package: Path) -> None:
    (package / "mailing.py").write_text(TASK_MODULE)
    assert FunctionRegistry().resolve("send-mail@mailing")() == "sent"
    func = sys.modules["mailing"].send
    assert function_ref(func) == FunctionRegistry().register(func) == "send-mail@mailing"
    assert FunctionRegistry().resolve("send-mail")() == "sent"


@pytest.mark.usefixtures("tasks")
def test_a_named_task_that_moved_is_found_once_its_new_module_is_imported(package: Path) -> None:
    (package / "new_place.py").write_text(TASK_MODULE)
    ref = "send-mail@old_place"
    assert _unresolved(ref).reason == UnresolvedReason.IMPORT_FAILED
    FunctionRegistry().resolve("new_place:send")
    assert FunctionRegistry().resolve(ref)() == "sent"


@pytest.mark.usefixtures("tasks")
def test_a_task_name_belongs_to_one_function() -> None:
    assert name_task(plain, "one") == name_task(plain, "one") == f"one@{__name__}"
    with pytest.raises(FunctionError, match=f"taken by {__name__}:plain"):
        name_task(Base.static, "one")


@pytest.mark.usefixtures("tasks")
def test_a_wrapper_of_a_named_task_is_not_that_task() -> None:
    name_task(_bare, "inner")
    with pytest.raises(FunctionError, match="leads to another object"):
        function_ref(traced(_bare))
    del _bare.__dict__["__logistics_task__"]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("name", ["", "a:b", "a@b", "x" * 201, "a\nb", "__main__"])
def test_a_task_name_that_would_be_misread_is_refused(name: str) -> None:
    with pytest.raises(FunctionError, match="a task's name is 1 to 200 characters"):
        name_task(plain, name)


@pytest.mark.usefixtures("tasks")
def test_only_functions_can_be_named() -> None:
    with pytest.raises(FunctionError, match="above @task"):
        name_task(Base.make, "made")


@pytest.mark.usefixtures("tasks")
def test_a_name_given_at_registration_belongs_to_that_registry(tasks: dict[str, Any]) -> None:
    registry = FunctionRegistry()
    ref = registry.register(plain, name="nightly")
    assert ref == f"nightly@{__name__}"
    assert registry.resolve(ref) is registry.resolve("nightly") is plain
    assert tasks == {}
    assert _unresolved(ref).reason == UnresolvedReason.NOT_FOUND


@pytest.mark.parametrize(
    ("ref", "parts", "script", "module"),
    [
        ("a.b:C.d", ("", "a.b", "C.d"), "", "a.b"),
        ("__main__@/x:y/s.py:f", ("", "__main__@/x:y/s.py", "f"), "/x:y/s.py", "__main__"),
        ("t@a.b", ("t", "a.b", ""), "", "a.b"),
        ("t@__main__@/x@y:z.py", ("t", "__main__@/x@y:z.py", ""), "/x@y:z.py", "__main__"),
        ("t", ("t", "", ""), "", ""),
    ],
)
def test_a_reference_can_be_taken_apart_without_importing(
    ref: str, parts: tuple[str, str, str], script: str, module: str
) -> None:
    parsed = parse_ref(ref)
    assert tuple(parsed) == parts
    assert (parsed.script, parsed.module) == (script, module)


# --- the script that runs ---------------------------------------------------------------------------------

SCRIPT = """
import sys
from actors.runtime.functions import *
from actors.runtime.naming import name_task
def early(): return 1
def show(thing):
    try: print(thing())
    except FunctionError: print("refused")
    except UnresolvedFunctionError as error: print(error.reason)
show(lambda: function_ref(early))
show(lambda: FunctionRegistry().resolve(function_ref(early)) is early)
show(lambda: FunctionRegistry().resolve(function_ref(early).replace("early", "late")))
def late(): return 2
show(lambda: FunctionRegistry().resolve(function_ref(early).replace("early", "late"))())
name_task(late, "late-task")
show(lambda: function_ref(late))
show(lambda: FunctionRegistry().resolve(function_ref(late))())
show(lambda: FunctionRegistry(("__main__", "pkg.*")).register(early))
show(lambda: FunctionRegistry(("other",)).register(early))
"""


def _python(*arguments: str, cwd: Path, stdin: str | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _expected(home: str) -> list[str]:
    resolved = ["True", "NOT_YET_DEFINED", "2"]
    return [f"{home}:early", *resolved, f"late-task@{home}", "2", f"{home}:early", "refused"]


def test_functions_of_a_script_are_stored_with_its_absolute_path(tmp_path: Path) -> None:
    script = tmp_path / "my script@1:2.py"
    script.write_text(SCRIPT)
    assert _python(script.name, cwd=tmp_path) == _expected(f"__main__@{script}")


def test_a_script_reached_by_a_link_keeps_the_links_path_and_answers_to_both(tmp_path: Path) -> None:
    script, link = tmp_path / "release-1.py", tmp_path / "current.py"
    script.write_text(SCRIPT + f"show(lambda: FunctionRegistry().resolve('__main__@{script}:early')())\n")
    link.symlink_to(script)
    assert _python(str(link), cwd=tmp_path) == [*_expected(f"__main__@{link}"), "1"]


def test_functions_of_a_module_run_with_m_are_stored_under_its_real_name(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "mod.py").write_text(SCRIPT)
    assert _python("-m", "pkg.mod", cwd=tmp_path) == _expected("pkg.mod")
    importer = "from actors.runtime.functions import *; print(FunctionRegistry().resolve('pkg.mod:early')())"
    assert _python("-c", importer, cwd=tmp_path)[-1] == "1"


def test_functions_of_a_package_run_with_m_are_stored_with_its_script_as_importing_it_would_run_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "pkg").mkdir()
    main = tmp_path / "pkg" / "__main__.py"
    main.write_text(SCRIPT)
    assert _python("-m", "pkg", cwd=tmp_path) == _expected(f"__main__@{main}")


def test_functions_typed_in_are_refused(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        from actors.runtime.naming import function_ref

        def typed(): pass

        try: print(function_ref(typed))
        except ValueError as error: print(error)

        """
    )
    for lines in (
        _python("-c", code, cwd=tmp_path),
        _python("-", cwd=tmp_path, stdin=code),
        _python("-i", cwd=tmp_path, stdin=code),
    ):
        assert len(lines) == 1
        assert "gone after a restart; put it into a file" in lines[0]


def test_what_is_typed_into_a_scripts_namespace_is_refused_and_its_own_functions_are_not(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from actors.runtime.naming import function_ref
            def own(): pass
            exec(compile("def typed(): pass", "<stdin>", "exec"))
            print(function_ref(own))
            try: function_ref(typed)
            except ValueError as error: print(error)
            """
        )
    )
    lines = _python(str(script), cwd=tmp_path)
    assert lines[0] == f"__main__@{script}:own"
    assert "interactive session" in lines[1]


def test_a_script_whose_session_goes_on_keeps_its_functions(tmp_path: Path) -> None:
    """`python -i` takes `__file__` away when the script has ended."""
    script = tmp_path / "script.py"
    script.write_text("from actors.runtime.functions import function_ref\ndef own(): pass\n")
    typed = "def typed(): pass\n\ntry: function_ref(typed)\nexcept ValueError as error: print(error)\n\n"
    own, refusal = _python("-i", str(script), cwd=tmp_path, stdin=f"print(function_ref(own))\n{typed}")
    assert own == f"__main__@{script}:own"
    assert "interactive session" in refusal


def test_a_spawned_child_finds_the_functions_of_its_parents_script(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing
            from actors.runtime.functions import FunctionRegistry
            from actors.runtime.naming import function_ref
            def work(): return "worked"
            def child(ref, out): out.put([FunctionRegistry().resolve(ref)(), function_ref(work)])
            if __name__ == "__main__":
                context = multiprocessing.get_context("spawn")
                out = context.Queue()
                process = context.Process(target=child, args=(function_ref(work), out))
                process.start()
                print(*out.get(timeout=30), sep="\\n")
                process.join()
            """
        )
    )
    assert _python(str(script), cwd=tmp_path) == ["worked", f"__main__@{script}:work"]


def test_registering_a_known_function_again_costs_a_lookup() -> None:
    registry = FunctionRegistry()
    ref = registry.register(plain)
    assert registry.register(plain) is ref


def test_a_function_of_a_script_that_a_profiler_runs_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script runs under the name of `__main__`, which the profiler is."""
    profiler = ModuleType("__main__")
    profiler.__file__ = str(tmp_path / "profiler.py")
    monkeypatch.setitem(sys.modules, "__main__", profiler)
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(tmp_path / "script.py")}
    exec(compile("def work_of_script(): ...", names["__file__"], "exec"), names)
    with pytest.raises(FunctionError, match="move the function to a module, and import it"):
        function_ref(names["work_of_script"])
