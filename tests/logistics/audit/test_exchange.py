"""A log as lines of JSON: the same chain on the other side, and no change goes unnoticed."""

from __future__ import annotations

import json
import threading
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
from logistics.orchestration.project_manager import ProjectManager
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


def test_a_run_takes_its_children_its_signals_and_what_it_was_made_of(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        ProjectManager(engine=engine).create_project("p")
        session = engine.create_session()
        workflows = WorkflowManager(engine)
        workflows.create("inner").add_step("a", functions.one).add_wait("go")
        workflows.create("middle").add_workflow("inner", "inner")
        workflows.create("outer").add_workflow("middle", "middle").add_step("last", functions.one)
        begun = threading.Event()
        engine.subscribe(
            "step.waiting", lambda event, _: begun.set() if event.run_id.endswith(".0.0") else None
        )
        run = workflows.start("outer")
        child = f"{run.run_id}.0.0"
        assert begun.wait(60)
        inner_run = workflows.get_run(child)
        assert inner_run is not None
        inner_run.signal("go", {"yes": True})
        assert run.result(timeout=60).success
        waiting = workflows.create("waiting").add_wait("other", run=run.run_id)
        waiting.add_step("b", functions.one)
        late = workflows.start("waiting")
        assert late.result(timeout=60).success
        other = workflows.run("waiting")
        engine.close_session(session)
    with StoreReader(tmp_path / "store") as reader:
        part = list(export_lines(reader, run_id=late.run_id))
        whole = reader.position
    with LmdbLog.open(tmp_path / "part") as log:
        import_lines(part, log)
    with StoreReader(tmp_path / "part") as copy, StoreReader(tmp_path / "store") as reader:
        assert copy.position < whole
        for entity in (f"run:{late.run_id}", f"run:{run.run_id}", f"run:{child}", f"signal:{child}.1"):
            assert [each.raw for each in copy.of(entity)] == [each.raw for each in reader.of(entity)], entity
        assert copy.first_of(f"run:{other.run_id}") is None
        view = copy.as_of()
        assert view.run_totals()["COMPLETED"] == 4
        assert [event.tag for event in copy.of(f"job:{child}.0")][-1] == "job.completed"
        assert view.why(f"run:{child}").status == "COMPLETED"


def test_a_run_of_a_project_and_a_fork_open_elsewhere(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        ProjectManager(engine=engine).create_project("p")
        workflows = WorkflowManager(engine)
        workflows.create("w").add_step("a", functions.one).add_step("b", functions.fail)
        first = workflows.run("w")
        run = workflows.get_run(first.run_id)
        assert run is not None
        fork = run.retry()
        assert not fork.result(timeout=60).success
    with StoreReader(tmp_path / "store") as reader:
        part = list(export_lines(reader, run_id=fork.run_id))
    with LmdbLog.open(tmp_path / "part") as log:
        import_lines(part, log)
    with StoreReader(tmp_path / "part") as copy:
        assert copy.as_of().run_totals()["FAILED"] == 2
        assert copy.of(f"job:{first.run_id}.0")
