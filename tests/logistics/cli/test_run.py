"""`logistics run`: goes on after a kill, says what became of it in short, and mistakes in one line each."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from rich.console import Console

from logistics.cli.interrupts import Interrupted, Interrupts
from logistics.cli.main import main
from logistics.cli.progress import progress_of
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.task_orchestrator import TaskOrchestrator
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from tests.logistics.orchestration import steps
from tests.logistics.orchestration.children import ROOT, run, until
from tests.support.scale import scaled

DEMO = ROOT / "docs" / "examples" / "dst_calendar.toml"
NAMES = ("dst_calendar.csv", "dst_calendar.sqlite")
COMMAND = ["-m", "logistics.cli.main", "run", str(DEMO), "--param", "year=2027", "--output", "out"]
STEPS = """
import sys

def one():
    return 1

def two(one):
    return {"two": one + 1}

def fail(ctx):
    raise ValueError("it does\\nnot work")

def hold(ctx):
    print(f"attempt {ctx.attempt}", flush=True)
    if sys.stdin.readline() == "":
        return "went on"

def data():
    rows = [[n, f"[{n}]"] for n in range(30)]
    return {"files": ["a/file.csv"], "table": {"columns": ["n", "text"], "rows": rows}}

def odd():
    return {(1, 2): b"bytes"}

def fails_at_first(item, ctx):
    if ctx.attempt == 1:
        raise ValueError("not yet")
    return item
"""


def workflow_file(folder: Path, *names: str, head: str = "", retries: int = 0) -> Path:
    """A workflow of the functions above; its module has a name of its own, modules are imported once."""
    module = "steps_of_" + re.sub(r"\W", "_", folder.name)
    (folder / f"{module}.py").write_text(STEPS, encoding="utf-8")
    parts = [
        f'[[steps]]\nname = "{name}"\nfunction = "{module}:{name}"\nmax_retries = {retries}\nretry_delay = 0'
        for name in names
    ]
    file = folder / "workflow.toml"
    file.write_text("\n".join([f'name = "w"\n{head}', *parts]), encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LOGISTICS_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- the main job -----------------------------------------------------------------------------------------


@cache
def undisturbed() -> dict[str, bytes]:
    folder = Path(mkdtemp())
    done = run(COMMAND, folder)
    assert done.returncode == 0, done.stderr
    assert str(folder / "out" / "dst_calendar.csv") in done.stdout
    assert "2027-03" in done.stdout
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "out" / name).read_bytes() for name in NAMES}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "mark",
    ["extract: running", "extract: completed", "transform: running", "load: running", "load: completed"],
)
def test_the_demo_goes_on_after_a_kill_and_writes_the_same_bytes(folder: Path, mark: str) -> None:
    with until(mark, COMMAND, folder) as process:
        process.kill()
    again = run([*COMMAND, "--json"], folder)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["success"]
    assert result["steps"]["extract"]["attempts"] == 1 or mark.startswith("extract")
    if result["steps"]["transform"]["attempts"] > 1:  # the kill came before it had ended, as it should
        assert result["adopted"]
    assert files(folder) == undisturbed()
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(NAMES)


@pytest.mark.no_cover
def test_the_demo_survives_kills_at_any_moment(folder: Path) -> None:
    moments = scaled("kill_moments", 4)
    for number in range(moments):
        with contextlib.suppress(subprocess.TimeoutExpired):
            run(COMMAND, folder, limit_s=0.25 + 1.5 * number / moments)
    done = run(COMMAND, folder)
    assert done.returncode == 0, done.stderr
    assert files(folder) == undisturbed()


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_ends_it_cleanly_and_the_same_command_goes_on(
    folder: Path, number: signal.Signals, code: int, word: str
) -> None:
    file = workflow_file(folder, "one", "hold")
    command = ["-m", "logistics.cli.main", "run", str(file)]
    with until("attempt 1", command, folder) as process:
        process.send_signal(number)
        assert process.stdout is not None
        rest = process.stdout.read()
    assert process.returncode == code, rest
    assert rest.splitlines()[-1] == f"logistics: {word}; the same command again goes on where this one was"
    assert "Traceback" not in rest
    again = run([*command, "--json"], folder)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout.splitlines()[-1])
    assert (result["adopted"], result["output"]) == (True, "went on")
    assert [step["attempts"] for step in result["steps"].values()] == [1, 1], "closing is nobody's charge"
    assert "going on with the run of 20" in again.stderr


# --- what it says -----------------------------------------------------------------------------------------


def test_success_shows_where_the_result_is_and_a_short_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(workflow_file(folder, "data"))]) == 0
    out, errors = capsys.readouterr()
    first, second, *table = out.splitlines()
    assert re.fullmatch(r"w: completed in \d+\.\d s", first)
    assert second == "a/file.csv"
    assert "[7]" in out
    assert "[24]" not in out
    assert table[-1] == "… and 6 more"
    assert errors.splitlines() == ["w: data: running", "w: data: completed"]


def test_other_results_are_shown_with_their_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(workflow_file(folder, "one", "two"))]) == 0
    out = capsys.readouterr().out
    assert re.search(r"one +completed +1 +\d", out)
    assert re.search(r"two +completed +1 +\d", out)
    assert main(["run", str(workflow_file(folder, "one"))]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "output: 1"


def test_a_failed_run_is_exit_code_one_and_one_line_without_a_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(workflow_file(folder, "fail", "two", retries=1))]) == 1
    out, errors = capsys.readouterr()
    assert re.search(r"fail +failed +2 ", out)
    assert re.search(r"two +skipped", out)
    last = errors.splitlines()[-1]
    assert re.fullmatch(r"w: failed in \d+\.\d s: step 'fail' failed: ValueError: it does not work", last)
    assert "w: fail: retrying" in errors
    assert "Traceback" not in out + errors


def test_lists_are_followed_item_by_item_and_their_retries_are_no_trouble(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    head = '[params.numbers]\ntype = "json"\n'
    file = workflow_file(folder, "fails_at_first", head=head, retries=1)
    file.write_text(file.read_text() + '\nmap_over = "params.numbers"\n')
    assert main(["run", str(file), "--param", "numbers=[1, 2, 3]"]) == 0
    assert "output: [1,2,3]" in capsys.readouterr().out
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert main(["runs", "--json"]) == 0
    assert main(["show", json.loads(capsys.readouterr().out)["run_id"]]) == 0
    header, row = re.findall(".*(?:items|3/3).*", capsys.readouterr().out)
    assert header.index("items") == row.index("3/3"), (
        "of a step that is mapped over a list, how many have ended"
    )


def test_json_is_one_line_with_everything_in_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(workflow_file(folder, "one", "two")), "--json"]) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    (line,) = out.splitlines()
    result = json.loads(line)
    with OrchestrationEngine() as engine:
        (found,) = WorkflowManager(engine).list_runs()
    assert result["run_id"] == found.run_id
    assert (result["name"], result["status"], result["error"]) == ("w", "COMPLETED", None)
    assert (result["success"], result["adopted"], result["output"]) == (True, False, {"two": 2})
    assert list(result["steps"]) == ["one", "two"]
    assert set(result["steps"]["one"]) == {"status", "attempts", "started_at", "ended_at", "error"}
    assert main(["run", str(workflow_file(folder, "fail")), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"].startswith("step 'fail' failed")


def test_what_json_has_no_form_for_is_written_as_python_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(workflow_file(folder, "odd")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "{(1, 2): b'bytes'}"


def test_the_store_is_where_one_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(workflow_file(folder, "one"))
    assert main(["run", file, "--store", "deep/er"]) == 0
    assert (folder / "deep" / "er").is_dir()
    assert not (folder / ".logistics").exists()
    monkeypatch.setenv("LOGISTICS_HOME", str(folder / "home"))
    assert main(["run", file]) == 0
    assert (folder / "home").is_dir()
    assert not (folder / ".logistics").exists()


# --- mistakes ---------------------------------------------------------------------------------------------

YEAR = """
[params.year]
type = "int"
"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "workflow.toml: the parameter 'year' (int) is missing"),
        (["--param", "year=soon"], "workflow.toml: parameter 'year': expected int, got 'soon'"),
        (["--param", "year=1", "--param", "yaer=1"], "there is no parameter 'yaer', did you mean 'year'?"),
        (["--param", "year"], "--param: expected NAME=VALUE, got 'year'"),
        (["--param", "=1"], "--param: expected NAME=VALUE, got '=1'"),
        (["--param", "year=1", "--param", "year=2"], "--param: 'year' is given twice"),
        (["--param", "year=1", "--output", "x"], "there is no parameter 'output'"),
        (
            ["--param", "output=y", "--output", "x"],
            "--output: the parameter 'output' is given by --param, too",
        ),
        (["--bogus"], "No such option"),
        (["--param", "year=1", "--store", "workflow.toml"], "workflow.toml"),
    ],
)
def test_bad_input_is_exit_code_two_and_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    file = workflow_file(folder, "one", head=YEAR)
    assert main(["run", str(file), *arguments]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    (line,) = errors.splitlines()
    assert line.startswith("logistics: ")
    assert text in line
    assert not (folder / ".logistics").exists(), "nothing is opened for a mistake"


def test_files_that_are_of_no_use_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.toml").write_text("name = 7", encoding="utf-8")
    circle = folder / "circle.toml"
    text = workflow_file(folder, "one", "two").read_text(encoding="utf-8")
    circle.write_text(text.replace('name = "one"', 'name = "one"\ndependencies = ["two"]'), encoding="utf-8")
    gone = folder / "gone.toml"
    gone.write_text('name = "w"\n[[steps]]\nname = "a"\nfunction = "nowhere:a"', encoding="utf-8")
    (folder / "timed.toml").write_text(
        text.replace("retry_delay = 0", "retry_delay = 0\ntimeout = 0", 1), encoding="utf-8"
    )
    for file, problem in {
        "nobody.toml": "nobody.toml: cannot be read: No such file or directory",
        "bad.toml": "bad.toml: line 1: name: expected `str`, got `int`",
        "gone.toml": "nowhere",
        "circle.toml": "these steps depend on each other in a circle: one -> two -> one",
        "timed.toml": "steps[0].timeout: expected more than 0 and at most",
    }.items():
        assert main(["run", file]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert problem in line


def test_a_store_in_use_is_named_with_its_owner(folder: Path) -> None:
    file = workflow_file(folder, "one")
    with OrchestrationEngine() as engine:
        assert engine.path == str(folder / ".logistics")
        done = run(["-m", "logistics.cli.main", "run", str(file)], folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(os.getpid()) in line


def test_a_run_is_of_the_session_and_under_the_project_that_one_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(folder / "store") as engine:
        session_id = engine.create_session("ada")
        ProjectManager(engine=engine).create_project("models")
    command = ["run", str(workflow_file(folder, "one")), "--store", "store"]
    assert main([*command, "--session", session_id, "--project", "models"]) == 0
    assert main(command) == 0
    capsys.readouterr()
    for option, value in (("--session", session_id), ("--project", "models")):
        assert main(["runs", "--store", "store", option, value, "--json"]) == 0
        row = json.loads(capsys.readouterr().out)
        assert (row["session"], row["project"]) == (session_id, "models")
        assert main([*command, option, "other"]) == 2
        assert "'other' on record" in capsys.readouterr().err


def test_jobs_are_listed_of_a_session_and_under_a_project(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(folder / "store") as engine:
        session_id = engine.create_session("ada")
        ProjectManager(engine=engine).create_project("models")
        for number, place in enumerate(({"session_id": session_id}, {"project": "models"}, {})):
            with TaskOrchestrator(engine=engine, **place) as tasks:
                tasks.submit_task(Job("task", steps.one, job_id=f"j{number}"))
                tasks.wait_for_completion()
    for options, found in ((["--session", session_id], "j0"), (["--project", "models"], "j1")):
        assert main(["jobs", "--ended", "--store", "store", "--json", *options]) == 0
        assert json.loads(capsys.readouterr().out)["job_id"] == found
        assert main(["jobs", "--store", "store", "--json", *options]) == 0
        assert capsys.readouterr().out == ""


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"logistics \S+\n", capsys.readouterr().out)


def test_without_the_extra_it_says_what_to_install(folder: Path) -> None:
    code = "import sys; sys.modules['{}'] = None; from logistics.cli.main import main; sys.exit(main([]))"
    for missing in ("typer", "rich"):
        done = run(["-c", code.format(missing)], folder)
        assert done.returncode == 2
        assert re.fullmatch(
            rf"logistics: the command line needs {missing}\S*: pip install 'logistics\[cli\]'\n", done.stderr
        )


# --- progress ---------------------------------------------------------------------------------------------


def shown(manager: WorkflowManager, name: str) -> str:
    """What a terminal was told of a run."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    run = manager.start(name)
    with progress_of(manager.engine, run, console, quiet=False):
        run.result(steps.WAIT_S)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_has_a_bar_for_each_step() -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.create("pipeline").add_step("one", steps.one).add_step("bad", steps.fail)
        manager.get_workflow("pipeline").add_step("after", steps.one)  # type: ignore[union-attr]
        last = shown(manager, "pipeline").rpartition("pipeline ")[2]
    assert re.search(r"3/3 ", last)
    for name, status in {"one": "completed", "bad": "failed", "after": "skipped"}.items():
        assert re.search(rf"  {name} +\S+ 1/1 {status}", last), last


def test_a_large_workflow_has_one_bar() -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        workflow = manager.create("large")
        for number in range(30):
            workflow.add_step(f"step {number}", steps.nothing, depends_on=[])
        text = shown(manager, "large")
    assert "30/30" in text
    assert "step 7" not in text


# --- signals ----------------------------------------------------------------------------------------------


def signalled(interrupts: Interrupts, *numbers: signal.Signals) -> Iterator[str]:
    with interrupts, interrupts.held_back():
        for number in numbers:
            signal.raise_signal(number)
        yield "held back"
        with interrupts.released():
            yield "not reached"


def test_a_signal_waits_where_it_would_cut_something_in_two_and_a_second_one_does_not() -> None:
    once = signalled(Interrupts(), signal.SIGTERM)
    assert next(once) == "held back"
    with pytest.raises(Interrupted) as caught:
        next(once)
    assert caught.value.number == signal.SIGTERM
    with pytest.raises(Interrupted):
        next(signalled(Interrupts(), signal.SIGTERM, signal.SIGINT))


def test_a_signal_that_comes_too_late_is_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts, interrupts.held_back():
        with interrupts.released():
            """The work is done."""
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
