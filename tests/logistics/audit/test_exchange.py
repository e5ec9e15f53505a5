"""A log as lines of JSON: the same chain on the other side, and no change goes unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from actors.runtime.errors import InputError, UnknownIdError
from eventstore.errors import CorruptStoreError, LogisticsError
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from logistics.audit.exchange import export_lines, import_lines, verify_export
from logistics.audit.store_reader import StoreReader
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.audit import functions
from tests.support.scale import scaled


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exchange") / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue_many([Job("one", functions.one) for _ in range(5)])
        JobScheduler(engine=engine).process(queue)
        workflows = WorkflowManager(engine)
        for name in ("first", "second"):
            workflows.create(name).add_step("a", functions.one).add_step("b", functions.one)
            workflows.run(name)
    return path


@pytest.fixture(scope="module")
def lines(store: Path) -> list[bytes]:
    with StoreReader(store) as reader:
        return [line + b"\n" for line in export_lines(reader)]


def test_an_export_comes_back_with_the_same_chain(store: Path, lines: list[bytes], tmp_path: Path) -> None:
    with LmdbLog.open(tmp_path / "copy") as copy, LmdbLog.open(store, read_only=True) as log:
        assert import_lines(lines, copy) == log.head == verify_export(lines)
        assert list(copy.frames()) == list(log.frames())
    with StoreReader(tmp_path / "copy") as one, StoreReader(store) as other:
        assert one.as_of().state_hash() == other.as_of().state_hash()
    assert json.loads(lines[2])["data"]["spec"][1] == "q"


def test_no_change_of_an_export_goes_unnoticed(lines: list[bytes]) -> None:
    random = Random(6)
    meant = (
        "position",
        "frame",
        "epoch",
        "recorded_us",
        "entity",
        "version",
        "cause",
        "correlation",
        "payload",
    )
    for _ in range(scaled("tamperings", 60)):
        number, name = random.randrange(1, len(lines)), random.choice(meant)
        event = json.loads(lines[number])
        was = event[name]
        event[name] = (
            was + 1 if isinstance(was, int) else (was[:-4] + "AAAA" if name == "payload" else was + "x")
        )
        if event[name] == was:
            continue
        changed = [*lines[:number], json.dumps(event).encode(), *lines[number + 1 :]]
        with pytest.raises(LogisticsError):
            verify_export(changed)
    for number in range(1, len(lines)):
        with pytest.raises(CorruptStoreError):
            verify_export([*lines[:number], *lines[number + 1 :]])
    with pytest.raises(LogisticsError):
        verify_export([lines[0], lines[2], lines[1], *lines[3:]])


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (b"", "first line"),
        (b"{}", "first line"),
        (b"\xff", "first line"),
        (b'{"logistics_export":9,"store_id":"","position":0}', "format 9"),
    ],
)
def test_what_is_no_export_is_refused(first: bytes, text: str, lines: list[bytes]) -> None:
    with pytest.raises(InputError, match=text):
        verify_export([first, *lines[1:]])
    with pytest.raises(InputError, match="line 3"):
        verify_export([*lines[:2], b"[", *lines[2:]])


def test_an_export_is_imported_into_an_empty_log_only(lines: list[bytes]) -> None:
    log = MemoryLog()
    import_lines(lines, log)
    with pytest.raises(InputError, match="empty"):
        import_lines(lines, log)


def test_one_run_takes_with_it_what_it_needs_and_opens_elsewhere(store: Path, tmp_path: Path) -> None:
    with StoreReader(store) as reader:
        run_id = next(reader.entities("run:")).removeprefix("run:")
        part = list(export_lines(reader, run_id=run_id))
        with pytest.raises(UnknownIdError):
            list(export_lines(reader, run_id="nobody"))
    with LmdbLog.open(tmp_path / "part") as log:
        import_lines(part, log)
    with StoreReader(tmp_path / "part") as reader:
        assert [event.tag for event in reader.of(f"run:{run_id}")][-1] == "run.completed"
        assert len(list(reader.entities(f"job:{run_id}."))) == 2
        assert reader.as_of().run_totals()["COMPLETED"] == 1
        assert not list(reader.events("engine.*"))
