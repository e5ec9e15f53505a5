"""`logistics preview` and `logistics schedules apply`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.manager import ScheduleManager
from tests.logistics.orchestration.children import ROOT

PREVIEW = ["preview", "30 2 * * *", "--tz", "Europe/Zurich", "--from", "2027-03-27", "-n", "3"]
FILE = """
name = "office"
timezone = "Europe/Zurich"

[[schedules]]
name = "backup"
function = "schedules_work:work"
cron = "30 2 * * *"
gap = "preserve_offset"
args = ["x"]
exclude = ["weekends", 2027-12-24, {holidays = "CH", subdivision = "ZH"}]
jitter = 60

[[schedules]]
name = "report"
function = "schedules_work:work"
monthly = {nth = -1, weekday = "fri", at = "16:00"}
overlap = "queue"

[[schedules]]
name = "rule"
function = "schedules_work:work"
rrule = "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=8"

[[schedules]]
name = "once"
function = "schedules_work:work"
at = 2900-01-01T00:00:00Z

[[schedules]]
name = "hashed"
function = "schedules_work:work"
cron = "H H * * *"
"""


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """Return what was printed, a value for each line of JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "schedules_work.py").write_text("def work(*args):\n    return list(args)\n")
    (tmp_path / "office.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "schedules_work", raising=False)
    return tmp_path


def test_a_preview_marks_gaps_and_folds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PREVIEW) == 0
    shown = capsys.readouterr().out.splitlines()
    (marked,) = [line for line in shown if "gap.shift_forward" in line]
    assert "Sun 2027-03-28 03:00:00" in marked
    assert "+0200" in marked
    assert (
        main(
            [
                "preview",
                "30 2 * * *",
                "--tz",
                "Europe/Zurich",
                "--from",
                "2027-10-31",
                "-n",
                "2",
                "--fold",
                "both",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out.count("fold.both") == 2


def test_a_preview_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PREVIEW, "--gap", "preserve_offset", "--json"]) == 0
    runs = lines(capsys)
    assert [run["at"] for run in runs] == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:30:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]
    assert [run["rule"] for run in runs] == ["", "gap.preserve_offset", ""]
    assert runs[1]["utc"] == "2027-03-28T01:30:00+00:00"


def test_a_preview_begins_with_the_moment_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "0 0 * * *", "--from", "2027-01-01", "-n", "1", "--json"]) == 0
    assert lines(capsys)[0]["at"] == "2027-01-01T00:00:00+00:00"
    assert main(["preview", "H 0 * * *", "--seconds"]) == 2
    assert main(["preview", "H 0 0 * * *", "--seconds", "-n", "2", "--json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["preview", "0 0 30 2 *"], "can never fire"),
        (["preview", "0 0 * * *", "--tz", "Europe/Zurch"], "did you mean Europe/Zurich"),
        (["preview", "0 0 * * *", "-n", "0"], "-n: expected a whole number from 1"),
        (["preview", "0 0 * * *", "--from", "soon"], "--from: expected a date"),
        (["preview", "0 0 * * *", "--gap", "jump"], "gap must be one of"),
        (["preview", "0 0 * * *", "--fold", "none"], "fold must be one of"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_file_is_applied_and_applied_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedules", "apply", "office.toml", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("created") == 5
    assert main(["schedules", "apply", "office.toml", "--json"]) == 0
    assert {each["change"] for each in lines(capsys)} == {"created"}
    assert main(["schedules", "apply", "office.toml"]) == 0
    assert capsys.readouterr().out == "5 unchanged\n"
    changed = FILE.replace("30 2 * * *", "45 2 * * *").replace('name = "once"', 'name = "other"')
    (folder / "office.toml").write_text(changed)
    assert main(["schedules", "apply", "office.toml"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "+ other: created",
        "~ backup: changed",
        "- once: removed",
        "3 unchanged",
    ]
    with OrchestrationEngine() as engine:
        tasks = {task.name: task for task in ScheduleManager(engine=engine).list_tasks()}
    assert set(tasks) == {"backup", "report", "rule", "other", "hashed"}
    assert tasks["backup"].expression.startswith("(45 2 * * *) but not weekends, holidays of CH-ZH, 2027")
    assert tasks["report"].overlap == "queue"
    assert {task.timezone for task in tasks.values()} == {"Europe/Zurich"}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'cron = "30 2 * * *"',
            'cron = "30 25 * * *"',
            "schedules[0] ('backup'): cron '30 25 * * *': hour field",
        ),
        ('cron = "30 2 * * *"', "", "expected one of cron, rrule, at, every"),
        ('cron = "30 2 * * *"', 'cron = "@daily"\nrrule = "FREQ=DAILY"', "got cron and rrule"),
        ('rrule = "FREQ=', 'gap = "skip"\nrrule = "FREQ=', "gap beside rrule: only cron takes it here"),
        ('overlap = "queue"', 'overlap = "both"', "overlap: expected one of skip"),
        ('overlap = "queue"', 'overlp = "queue"', "overlp: unknown key, did you mean 'overlap'?"),
        ("schedules_work:work", "schedules_work:gone", "schedules[0].function"),
        ("nth = -1, ", "", "give day=…, or nth=… together with weekday"),
        ("nth = -1, ", "every = 5, ", "unexpected keyword argument 'every'"),
        ('name = "report"', 'name = "backup"', "'backup' is there twice"),
        ('holidays = "CH"', 'country = "CH"', "exclude: expected {holidays"),
        ('timezone = "Europe/Zurich"', 'timezone = "Europe/Zurch"', "did you mean Europe/Zurich"),
        ("2900-01-01T00:00:00Z", "2900-01-01T00:00:00", "must be aware"),
    ],
)
def test_a_wrong_file_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, words: str
) -> None:
    assert before in FILE
    (folder / "office.toml").write_text(FILE.replace(before, after, 1))
    assert main(["schedules", "apply", "office.toml"]) == 2
    assert words in capsys.readouterr().err
    with OrchestrationEngine() as engine:
        assert ScheduleManager(engine=engine).list_tasks() == []


def applied(folder: Path) -> None:
    assert main(["schedules", "apply", str(folder / "office.toml")]) == 0


def test_a_schedule_is_paused_resumed_and_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    applied(folder)
    capsys.readouterr()
    orders = ("pause", "pause", "resume", "resume", "remove", "remove")
    assert [(main(["schedules", order, "report"]), capsys.readouterr().out.strip()) for order in orders] == [
        (0, "report: paused"),
        (0, "report: is paused already"),
        (0, "report: resumed"),
        (0, "report: is not paused"),
        (0, "report: removed"),
        (2, ""),
    ]


RUNNING = """
name = "ticks"
[[schedules]]
name = "tick"
function = "schedules_ticks:tick"
cron = "* * * * * *"
seconds = "first"
queue = "elsewhere"
"""
TICK = """
import sys

def tick():
    sys.stdout.write("tick\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_file_is_run_until_somebody_stops_it(tmp_path: Path, number: signal.Signals, code: int) -> None:
    (tmp_path / "ticks.toml").write_text(RUNNING)
    (tmp_path / "schedules_ticks.py").write_text(TICK)
    with subprocess.Popen(
        [sys.executable, "-m", "logistics.cli.main", "schedules", "run", "ticks.toml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().strip() for _ in range(4)]
        child.send_signal(number)
        assert child.wait(60) == code
    assert said[:2] == ["+ tick: created", "0 unchanged"]
    assert said[2].startswith("schedules: 1 to fire, the next one at ")
    assert said[3] == "tick"


def test_a_schedule_is_previewed_with_gaps_and_jitter(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    applied(folder)
    capsys.readouterr()
    assert main(["schedules", "preview", "backup", "-n", "400", "--json"]) == 0
    runs = lines(capsys)
    assert len(runs) == 400
    assert all(run["due"] >= run["at"] for run in runs)
    assert main(["schedules", "preview", "backup", "-n", "2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line[4:14] for line in shown] == [run["at"][:10] for run in runs[:2]]
    assert main(["schedules", "preview", "nobody"]) == 2


def test_a_schedule_is_triggered_and_its_past_made_up(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    applied(folder)
    assert main(["schedules", "trigger", "report"]) == 0
    capsys.readouterr()
    past = ["schedules", "backfill", "report", "--from", "2025-01-01", "--to", "2025-03-01", "--json"]
    assert main([*past, "--dry-run"]) == 0
    planned = lines(capsys)
    assert [run["at"] for run in planned] == ["2025-01-31T16:00:00+01:00", "2025-02-28T16:00:00+01:00"]
    assert main(past) == 0
    assert lines(capsys) == planned
    assert main(past[:-1]) == 0
    assert capsys.readouterr().out.strip() == "0 made up"
    assert main(["schedules", "backfill", "report", "--from", "62d", "--dry-run", "--json"]) == 0
    assert len(lines(capsys)) in {1, 2, 3}, "two months"
    with OrchestrationEngine() as engine:
        made_up = ScheduleManager(engine=engine).firings("report")
    assert [run.policy for run in made_up] == ["backfill", "backfill", "trigger"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["trigger", "nobody"],
        ["backfill", "nobody", "--from", "2025-01-01"],
        ["backfill", "report", "--from", "soon"],
        ["backfill", "report", "--from", "9999999999d"],
        ["backfill", "report", "--from", "2025-01-01", "--to", "soon"],
        ["backfill", "report"],
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    applied(folder)
    capsys.readouterr()
    assert main(["schedules", *arguments]) == 2
    assert capsys.readouterr().err


def test_a_mistake_and_a_dry_run_make_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, right = tmp_path / "wrong.toml", tmp_path / "right.toml"
    wrong.write_text("[[schedules]]\nname = 'a'\n")
    right.write_text(
        "name = 'g'\n[[schedules]]\nname = 'a'\ncron = '0 0 * * *'\nfunction = 'builtins:print'\n"
    )
    store = ["--store", str(tmp_path / "store")]
    for command in (["apply", str(wrong)], ["apply", str(tmp_path / "none.toml")], ["run", str(wrong)]):
        assert main(["schedules", *command, *store]) == 2
        assert capsys.readouterr().err.startswith("logistics: ")
    assert main(["schedules", "apply", str(right), "--dry-run", "--json", *store]) == 0
    assert lines(capsys) == [{"name": "a", "change": "created"}]
    assert set(tmp_path.iterdir()) == {wrong, right}
