"""The pages on time say what is: their scripts print what they say they print, and their schedules are accepted."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logistics import OrchestrationEngine, ScheduleManager
from logistics.schedule.files import load_schedules
from tests.docs.pages import ROOT, blocks
from tests.docs.scripts import environment

GUIDE = ROOT / "docs" / "guide"
JOBS = """
def report(*_): ...
def poll(*_): ...
def remind(*_): ...
def warm_up(): ...
when = __import__("datetime").datetime(2099, 1, 1, tzinfo=__import__("datetime").UTC)
"""


def run(script: str, folder: Path) -> list[str]:
    (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_page_on_time_prints_what_it_says(tmp_path: Path) -> None:
    (block,) = blocks((GUIDE / "time.md").read_text(encoding="utf-8"), "python")
    said = [line.partition("  # ")[2] for line in block.text.splitlines() if line.startswith("print(")]
    assert run(block.text, tmp_path) == said


def test_what_replaces_crontab_and_apscheduler_is_accepted(tmp_path: Path) -> None:
    text = (GUIDE / "coming_from_schedulers.md").read_text(encoding="utf-8")
    ours = [block.text for block in blocks(text, "python") if "from logistics import" in block.text]
    assert len(ours) == 2
    for script in ours:
        quiet = script.replace("cron.run_forever()", "pass").replace("manager.start()", "pass")
        run(JOBS + quiet, tmp_path)
    with OrchestrationEngine(tmp_path / ".logistics") as engine:
        names = [task.name for task in ScheduleManager(engine=engine).list_tasks()]
    assert names == ["backup", "poll", "remind Ada", "report"]


def test_what_replaces_celery_beat_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (GUIDE / "coming_from_schedulers.md").read_text(encoding="utf-8")
    (block,) = blocks(text, "toml")
    (tmp_path / "beat.toml").write_text(block.text, encoding="utf-8")
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "jobs", raising=False)
    with OrchestrationEngine(":memory:") as engine:
        file = load_schedules(tmp_path / "beat.toml", engine)
        manager = ScheduleManager(engine=engine)
        manager.apply(file.name, file.definitions)
        assert [task.name for task in manager.list_tasks()] == ["poll", "report"]
        (first, second) = manager.preview("poll", 2)
        assert (second.at - first.at).total_seconds() == 30
        assert first.at > datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.delitem(sys.modules, "jobs", raising=False)
