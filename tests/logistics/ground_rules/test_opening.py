"""What an engine says of what it is opened with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import VirtualClock
from eventstore.errors import NotAStoreError, ReopenNeededError
from eventstore.lmdb_log import LmdbLog
from logistics.errors import (
    InputError,
    LogisticsError,
    StoreError,
    StoreInUseError,
    TimezoneError,
)
from logistics.orchestration.engine import OrchestrationEngine, engine_or_default
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.resource_manager import ResourceManager
from logistics.orchestration.stores import STORES
from logistics.orchestration.task_orchestrator import TaskOrchestrator
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.schedule.manager import ScheduleManager
from logistics.schedule.recurring_scheduler import RecurringScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused, run_child
from tests.logistics.task.functions import add


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": -1}, "workers: expected a whole number from 0 to 10000, got -1"),
        ({"workers": True}, "workers: expected a whole number from 0 to 10000, got True"),
        ({"workers": 2.5}, r"workers: expected a whole number from 0 to 10000, got 2\.5"),
        ({"workers": "4"}, "workers: expected a whole number from 0 to 10000, got '4'"),
        ({"max_payload": 0}, "max_payload: expected a whole number from 1 to 1073741824, got 0"),
        ({"max_payload": -1}, "max_payload: expected a whole number from 1"),
        ({"timezone": "Europe/Zürich"}, "Europe/Zürich"),
        ({"timezone": "Nowhere/At_All"}, "there is no timezone 'Nowhere/At_All' in release"),
        ({"modules": 3}, r"modules: expected a tuple of patterns, as in \('myapp', 'myapp\.\*'\), got 3"),
        ({"modules": ["myapp", 3]}, "modules: expected a tuple of patterns"),
        ({"archive": "no"}, "archive: expected True or False, got 'no'"),
        ({"clock": 0}, r"clock: expected one such as logistics\.testing\.VirtualClock\(\), got 0"),
        ({"modules": "myapp"}, "modules= is a tuple of patterns, got the text 'myapp'"),
        ({"path": ""}, "path: expected the path of a folder, got ''"),
        ({"path": "a\x00b"}, r"path: expected the path of a folder, got 'a\\x00b'"),
        ({"path": b"bytes"}, "path: expected the path of a folder, got b'bytes'"),
        ({"path": 7}, "path: expected the path of a folder, got 7"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_engine_says_what_is_wrong_with_its_arguments(options: dict[str, Any], text: str) -> None:
    with refused(text, ValueError) as caught:
        OrchestrationEngine(**{"path": ":memory:"} | options)
    assert isinstance(caught.value, LogisticsError)


def test_an_unknown_zone_is_an_error_of_its_own() -> None:
    with refused("Europe/Zurich", TimezoneError):
        OrchestrationEngine(":memory:", timezone="Europe/Zuerich")


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious", encoding="utf-8")
    with pytest.raises(StoreError):
        OrchestrationEngine(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "precious"


def test_handles_on_one_store_agree_or_leave_it_out(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store", workers=2, timezone="Europe/Zurich") as first:
        text = f"the store {first.path} is open in this process with other settings than workers=3, "
        text += "timezone='UTC'; leave them out, or close it first"
        with pytest.raises(InputError) as caught:
            OrchestrationEngine(tmp_path / "store", workers=3, timezone="UTC")
        for part in ("workers=3", "timezone='UTC'", "open in this process with other settings"):
            assert part in str(caught.value)
        with refused("other settings than clock="):
            OrchestrationEngine(tmp_path / "store", clock=VirtualClock())
        with OrchestrationEngine(tmp_path / "store") as second:
            assert second.timezone == "Europe/Zurich"
            assert second.get_metrics()["workers"] == 2
        with OrchestrationEngine(tmp_path / "there" / ".." / "store", workers=2) as third:
            assert third.store is first.store


def test_the_default_store_is_found_at_the_time_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOGISTICS_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    here = engine_or_default(None)
    assert here.path == str((tmp_path / "here" / ".logistics").resolve())
    assert engine_or_default(None) is here
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "home"))
    home = engine_or_default(None)
    assert home.path == str((tmp_path / "home").resolve())
    assert Queue().engine is home
    for engine in (here, home):
        engine.close()
    again = Queue().engine
    assert not again.closed
    again.close()
    for path in (here.path, home.path):
        del STORES.defaults[path]


def test_nothing_is_opened_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(tmp_path / "home"))
    scheduler = JobScheduler()
    scheduler.stop()
    Job("sum", add)
    assert not (tmp_path / "home").exists()


def test_what_is_no_engine_is_refused() -> None:
    for make in (lambda it: Queue(engine=it), lambda it: JobScheduler(engine=it).engine):
        with refused("engine: expected an OrchestrationEngine, got ':memory:'"):
            make(":memory:")


OPEN = """
import sys
from logistics import OrchestrationEngine, StoreInUseError
try:
    OrchestrationEngine(sys.argv[1])
except StoreInUseError as error:
    assert error.__suppress_context__, "that a lock is taken says nothing more"
    print(error)
    print("; ".join(error.__notes__))
    sys.exit(7)
"""


def test_a_second_process_is_told_who_owns_the_store(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        child = run_child(OPEN, tmp_path / "store")
        assert child.returncode == 7, child.stderr
        first, second = child.stdout.splitlines()
        assert first.startswith(f"{engine.path} is open in process {os.getpid()}, since ")
        assert second == StoreInUseError.remedy
        assert "sending to a store from several processes is a later capability" in second
    assert run_child(OPEN, tmp_path / "store").returncode == 0


@pytest.mark.parametrize("path", ["file/store", "file/deeper/store", f"{'x' * 300}/store"])
def test_f39_where_no_folder_can_be_made_there_is_no_store_and_that_is_said_in_one_line(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("of somebody else")
    with pytest.raises(NotAStoreError) as caught:
        OrchestrationEngine(tmp_path / path)
    assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("path", ["", "a\0b", 5, "~nobody-of-this-name/x"])
def test_what_is_no_path_is_refused_wherever_one_is_said(tmp_path: Path, path: Any) -> None:
    with pytest.raises(InputError, match="keys: "):
        OrchestrationEngine(tmp_path / "store", keys=path)
    with pytest.raises(InputError, match="path: "):
        OrchestrationEngine(path)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_waits_for_the_engine_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, copy_to = [ReopenNeededError("a commit has failed")], LmdbLog.copy_to

    def copy(log: LmdbLog, folder: Path) -> None:
        if failures:
            raise failures.pop()
        copy_to(log, folder)

    monkeypatch.setattr(LmdbLog, "copy_to", copy)
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert engine.backup(tmp_path / "copy") > 0
    assert not failures


@pytest.mark.parametrize("path", ["", "a\0b", 5, None])
def test_a_backup_to_what_is_no_path_is_refused(tmp_path: Path, path: Any) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine, pytest.raises(InputError, match="path: "):
        engine.backup(path)


def test_f39_a_name_that_is_too_long_is_said_in_one_line(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    with pytest.raises(StoreError, match="name too long"):
        OrchestrationEngine(tmp_path / "store", keys=long)
    with (
        OrchestrationEngine(tmp_path / "store") as engine,
        pytest.raises(NotAStoreError, match="name too long"),
    ):
        engine.backup(long)


@pytest.mark.parametrize(
    "kind",
    [WorkflowManager, JobScheduler, CronScheduler, RecurringScheduler, TaskOrchestrator, ResourceManager],
)
def test_what_takes_an_engine_first_takes_it_by_position(kind: Any) -> None:
    with OrchestrationEngine(":memory:") as engine:
        assert kind(engine).engine is engine
        with pytest.raises(InputError, match=r"engine: expected an OrchestrationEngine, got 'default'"):
            kind("default")


@pytest.mark.parametrize("kind", [Queue, ScheduleManager, ProjectManager])
def test_what_takes_something_else_first_says_how_an_engine_is_given(kind: Any) -> None:
    with OrchestrationEngine(":memory:") as engine:
        with pytest.raises(InputError, match=rf"got an engine; name it: {kind.__name__}\(engine=…\)"):
            kind(engine)
        with pytest.raises(LogisticsError, match=r"(expected .*|must be .*)got (1\.5|float)"):
            kind(1.5)
