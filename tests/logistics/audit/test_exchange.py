"""A log as lines of JSON: the same chain on the other side, and no change goes unnoticed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from random import Random

import pytest

from actors.runtime.errors import InputError, UnknownIdError
from eventstore.errors import CorruptStoreError, LogisticsError, NotAStoreError, ReplayError
from eventstore.lmdb_log import LmdbLog
from eventstore.memory_log import MemoryLog
from eventstore.opening import mark_as_part
from logistics.audit.exchange import Part, export_lines, import_lines, verify_export
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
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
        part = list(export_lines(reader, Part(run_id)))
        with pytest.raises(UnknownIdError):
            list(export_lines(reader, Part("nobody")))
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
        part = list(export_lines(reader, Part(late.run_id)))
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
        part = list(export_lines(reader, Part(fork.run_id)))
    with LmdbLog.open(tmp_path / "part") as log:
        import_lines(part, log)
    with StoreReader(tmp_path / "part") as copy:
        assert copy.as_of().run_totals()["FAILED"] == 2
        assert copy.of(f"job:{first.run_id}.0")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Part(pattern="*.completed", after=4), "tags *.completed, after position 4"),
        *(
            pytest.param(*each, marks=pytest.mark.no_cover)
            for each in (
                (Part(pattern="job.*"), "tags job.*"),
                (Part(entity="workflow:first"), "of workflow:first"),
                (Part(after=4, upto=9), "after position 4, up to position 9"),
            )
        ),
    ],
)
def test_a_filter_takes_what_it_says_and_comes_back_to_be_looked_into(
    part: Part, text: str, store: Path, tmp_path: Path
) -> None:
    with StoreReader(store) as reader:
        lines = list(export_lines(reader, part))
        wanted = [
            event
            for event in reader.events(part.pattern, after=part.after, upto=part.upto)
            if part.entity in {"", event.entity}
        ]
    assert json.loads(lines[0])["part"] == text
    assert [json.loads(line)["position"] for line in lines[1:]] == [event.position for event in wanted] != []
    target = tmp_path / "part"
    (tmp_path / "lines").write_bytes(b"\n".join(lines))
    assert main(["import", str(tmp_path / "lines"), "--store", str(target)]) == 0
    with StoreReader(target) as reader:
        assert [event[1:] for event in reader.events()] == [event[1:] for event in wanted]
        assert json.loads(next(export_lines(reader)))["part"] == reader.part == text
    with pytest.raises(LogisticsError, match="a part of a log only"):
        OrchestrationEngine(target)
    assert main(["doctor", "--store", str(target)]) == 0


def test_a_part_of_which_no_state_follows_says_so(store: Path, tmp_path: Path) -> None:
    with StoreReader(store) as reader, LmdbLog.open(tmp_path / "part") as log:
        import_lines(export_lines(reader, Part(pattern="job.completed")), log)
    with StoreReader(tmp_path / "part") as reader:
        with pytest.raises(ReplayError):
            reader.as_of()
        mark_as_part(tmp_path / "part", "tags job.completed")
        with pytest.raises(NotAStoreError, match="no state follows from it: tags"):
            reader.as_of()


def test_a_part_says_that_it_proves_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "lines"
    assert main(["export", "--of", "workflow:first", "--store", str(store), "-o", str(lines), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(lines), "bytes": lines.stat().st_size}
    assert main(["verify", "--export", str(lines), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["part"], said["events"]) == ("of workflow:first", 1)
    assert "not proven" in said["note"]
    lines.unlink()
    for wrong in (["--of", "nobody"], ["--run", "nobody"], ["--after", "soon"]):
        assert main(["export", *wrong, "--store", str(store), "-o", str(lines)]) == 2
        assert not lines.exists()
