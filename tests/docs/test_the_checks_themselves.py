"""The checks of the documentation find what is wrong with a page, and leave alone what is right."""

from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.docs import api_reference, names, pages, scripts

NAMES = frozenset({"Queue", "enqueue", "get_stats", "actors", "queue", "LOGISTICS_HOME", "job", "enqueued"})
KNOWN = names.Code(NAMES)
SOURCE = """
class Base:
    limit: int = 0
class Queue(Base, Generic[T]):
    def enqueue(self, job): self.size = 1
class Other(Foreign):
    def other(self): ...
"""


@pytest.mark.parametrize(
    "word", ["Quueue", "Queue.enquue", "get_statz", "dequeue_all()", "LOGISTICS_HOM", "job.enqueuedd"]
)
def test_a_name_that_is_not_in_the_code_is_found(word: str) -> None:
    (complaint,) = names.unknown_names(f"See\n`{word}`.", KNOWN)
    assert complaint.startswith(f"line 2: `{word}`: the code has no ")


@pytest.mark.parametrize(
    "word",
    [
        "Queue",
        "Queue.enqueue(job, priority=None)",
        "get_stats()",
        "kill -9",
        "None",
        "UTC",
        "msgspec.Struct",
        "default",
        "$LOGISTICS_HOME",
        "sqlite3.connect",
        "ValueError",
        "job.enqueued",
        "actors/queue",
        "0 0 * * *",
        "--param",
    ],
)
def test_a_name_that_is_there_or_claims_nothing_is_left_alone(word: str) -> None:
    assert list(names.unknown_names(f"`{word}`", KNOWN)) == []


def test_names_in_fenced_code_are_left_to_those_who_run_it() -> None:
    assert list(names.unknown_names("```python\n`Quueue`\n```\n", KNOWN)) == []


def test_paths_and_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "here.md").touch()
    text = "[a](here.md) `here.md` [b](gone.md#part) `docs/gone.py` [c](https://example.org/x) `build/x.csv`"
    found = list(names.missing_files(text, tmp_path, tmp_path))
    assert found == ["line 1: the link to gone.md leads nowhere", "line 1: there is no `docs/gone.py`"]


def test_names_are_collected_from_code_and_its_strings(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mod.py").write_text("class A:\n    x: int\n    def f(self, arg=1): self.y = 't.ag'\n")
    known = names.read_code(tmp_path, ["p"]).names
    assert {"p", "mod", "A", "x", "f", "arg", "y", "t", "ag"} <= known


@pytest.mark.parametrize(
    ("word", "is_there"),
    [
        ("Queue.enqueue(job)", True),
        ("Queue.size", True),
        ("Queue.limit", True),
        ("Base.enqueue()", False),
        ("Queue.other", True),
        ("Base.other", False),
        ("Other.enqueue", True),
        ("mod.Queue", True),
    ],
)
def test_a_member_belongs_to_its_class_as_far_as_can_be_seen(
    tmp_path: Path, word: str, *, is_there: bool
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mod.py").write_text(SOURCE)
    complaints = list(names.unknown_names(f"`{word}`", names.read_code(tmp_path, ["p"])))
    assert (complaints == []) is is_there, complaints


def test_blocks_are_found_with_their_lines() -> None:
    found = pages.blocks("a\n```python\nx = 1\n```\n\n```console\n$ x\n```\n", "python")
    assert [(block.text, block.line) for block in found] == [("x = 1\n", 3)]


# --- scripts --------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_that_fails_is_reported_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"ended with 1(.|\n)*said(.|\n)*ZeroDivisionError"):
        scripts.run_once(script(tmp_path, "print('said')\n1 / 0\n"))


def test_a_script_that_ends_well_passes(tmp_path: Path) -> None:
    scripts.run_once(script(tmp_path, "import logging\n"))


def test_a_script_prints_what_it_says_that_it_prints(tmp_path: Path) -> None:
    scripts.run_once(script(tmp_path, "print(1 + 1)  # 2\n"), as_said=True)
    with pytest.raises(AssertionError, match=r"is said to print \['3'\]"):
        scripts.run_once(script(tmp_path, "print(1 + 1)  # 3\n"), as_said=True)


SCHEDULER = """
import signal, threading
class Scheduler:
    def start(self):
        done = threading.Event()
        if {polite}:
            signal.signal(signal.SIGINT, lambda *_: done.set())
        threading.Thread(target=done.wait, daemon={daemon}).start()
scheduler = Scheduler()
scheduler.start()
"""


def test_a_script_that_stays_up_and_leaves_at_once_when_interrupted_passes(tmp_path: Path) -> None:
    text = SCHEDULER.format(polite=True, daemon=False)
    path = script(tmp_path, text)
    scripts.run_once(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_script_that_is_interrupted_with_a_traceback_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Traceback"):
        scripts.run_once(script(tmp_path, SCHEDULER.format(polite=False, daemon=False)))


def test_a_script_that_starts_and_stops_a_scheduler_ends_by_itself() -> None:
    assert not scripts.stays_up("scheduler.start()\nscheduler.stop()\n")
    assert scripts.stays_up("with engine:\n    cron_scheduler.run_forever()\n")
    assert not scripts.stays_up('run = workflows.start("data-pipeline")\n')


def test_a_script_that_does_not_leave_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "GONE_S", 0.2)
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    with pytest.raises(AssertionError, match="still there"):
        scripts.run_once(script(tmp_path, deaf + SCHEDULER.format(polite=False, daemon=False)))


def test_a_script_that_ends_before_it_is_up_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"ended before it was up(.|\n)*KeyError"):
        scripts.run_once(script(tmp_path, "raise KeyError\n" + SCHEDULER.format(polite=True, daemon=False)))


def test_a_child_can_import_the_packages_from_any_folder(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import eventstore"], cwd=tmp_path, env=scripts.environment(), check=True
    )


# --- api.md ---------------------------------------------------------------------------------------


class Colour(enum.StrEnum):
    RED = "RED"


class GoneError(LookupError):
    pass


class Thing:
    size: int

    def __init__(self, name: str = "default", *, colour: Colour = Colour.RED) -> None:
        self.name = name

    @property
    def weight(self) -> float:
        return 1.0

    @classmethod
    def make(cls, *args: Any) -> Thing:
        return cls()

    @staticmethod
    def count(limit: object = object()) -> int:
        return 0

    def put(self, key: str, /, value: int | None = None, **rest: Any) -> list[str]:
        return []

    def drop(self) -> None: ...

    def _hidden(self) -> None: ...


def helper(n: int, *, wait: float = 1.5) -> None: ...


MODULE = ModuleType("things")
MODULE.__dict__.update(Thing=Thing, helper=helper, Colour=Colour, GoneError=GoneError, other=helper)
MODULE.__dict__["__all__"] = ["Colour", "GoneError", "Thing", "helper"]

GOOD = """
### `Colour`
### `GoneError`
### `Thing(name="default", *, colour=Colour.RED)`
### `Thing.size`
### `Thing.weight -> float`
### `Thing.make(*args) -> Thing`
### `Thing.count(limit=...) -> int`
### `Thing.put(key, /, value: int | None = None, **rest) -> list[str]`
### `Thing.drop()`
### `helper(n, *, wait=1.5)`
"""


def test_a_true_page_passes() -> None:
    assert list(api_reference.complaints(GOOD, MODULE)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("### `Thing.drop()`\n", "", "Thing.drop is public and not on the page: ### `Thing.drop()`"),
        ("### `helper(n, *, wait=1.5)`\n", "", "not on the page: ### `helper(n, *, wait=1.5)`"),
        (
            "### `GoneError`\n",
            "### `GoneError`\n### `GoneError`\n",
            "GoneError is on the page more than once",
        ),
        ("### `GoneError`\n", "### `GoneError`\n### `Missing`\n", "Missing is on the page and not public"),
        (
            "### `GoneError`\n",
            "### `GoneError`\n### `other(n, *, wait=1.5)`\n",
            "other is on the page and not public",
        ),
        (
            "helper(n, *, wait=1.5)",
            "helper(m, *, wait=1.5)",
            "parameters are (n, wait), on the page (m, wait)",
        ),
        (
            "helper(n, *, wait=1.5)",
            "helper(n, wait=1.5)",
            "wait is keyword only, on the page positional or keyword",
        ),
        ("helper(n, *, wait=1.5)", "helper(n, *, wait=2)", "wait has the default 1.5, on the page 2"),
        ("helper(n, *, wait=1.5)", "helper(n, *, wait)", "wait has the default 1.5, on the page None"),
        ("helper(n, *, wait=1.5)", "helper(n=..., *, wait=1.5)", "n has the default None, on the page ..."),
        ("helper(n, *, wait=1.5)", "helper", "has no parameters on the page"),
        ("helper(n, *, wait=1.5)", "helper(n, *, wait=1.5) -> int", "returns None, on the page int"),
        ("helper(n, *, wait=1.5)", "helper(n n)", "is no list of parameters"),
        ("value: int | None", "value: int", "value is annotated int|None, on the page int"),
        ("-> list[str]", "", "returns list[str], on the page None"),
        ("Thing.weight -> float", "Thing.weight", "returns float, on the page None"),
        ("Thing.weight -> float", "Thing.weight() -> float", "is a property: no brackets"),
        (
            "colour=Colour.RED",
            "colour=Colour.BLUE",
            "colour has the default Colour.RED, on the page Colour.BLUE",
        ),
        ("`Thing.size`", "`Thing.size()`", "has brackets on the page and is no function"),
    ],
)
def test_a_page_that_differs_from_the_code_is_found(right: str, wrong: str, complaint: str) -> None:
    found = list(api_reference.complaints(GOOD.replace(right, wrong), MODULE))
    assert any(complaint in text for text in found), found
