"""The command that says what is wrong with a store, and saves what is left of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.folding import event_codec
from actors.runtime.fold import snapshot_of
from eventstore.lmdb_log import LmdbLog
from eventstore.records import Record
from eventstore.retention import Compaction, Horizon
from logistics.audit.store_view import StoreView
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.audit import functions

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "logistics.cli.main"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue("q", engine=engine)
        for number in range(40):
            queue.enqueue(Job("one", functions.one, job_id=f"number-{number}"))
        JobScheduler(engine=engine).process(queue)
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "store")
    return tmp_path / "store"


Said = Callable[..., dict[str, Any]]


@pytest.fixture
def said(store: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*arguments: str, code: int, path: Path = store) -> dict[str, Any]:
        assert main(["doctor", *arguments, "--json", "--store", str(path)]) == code
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


def spoil(store: Path, text: bytes) -> None:
    data = store / "data.mdb"
    data.write_bytes(data.read_bytes().replace(text, text.swapcase()))


def test_a_sound_store_is_code_0(store: Path, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    answer = said(code=0)
    assert answer["sound"]
    assert [row["check"] for row in answer["findings"]] == [
        "folder",
        "pages",
        "frames",
        "snapshots",
        "archive",
        "events",
        "keys",
    ]
    assert main(["doctor", "--store", str(store)]) == 0
    assert "the store is sound" in capsys.readouterr().out


@pytest.mark.no_cover
def test_a_damaged_store_is_code_1_and_says_what_can_be_saved(
    store: Path, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(store, b"number-5")
    answer = said(code=1)
    assert not answer["sound"]
    assert 0 < answer["savable"] < answer["lost"][0][0] <= answer["known_end"]
    assert main(["doctor", "--store", str(store)]) == 1
    out = capsys.readouterr().out
    assert "logistics doctor --salvage" in out
    assert "something is wrong" in out


def test_what_is_left_becomes_a_store_that_works(store: Path, tmp_path: Path, said: Said) -> None:
    spoil(store, b"number-5")
    new = tmp_path / "new"
    report = said("--salvage", str(new), code=1)
    assert report["position"] == report["savable"] < report["known_end"]
    with OrchestrationEngine(new) as engine:
        queue = Queue("q", engine=engine)
        assert queue.get_status("number-4") == "PENDING"
        assert queue.get_job("number-5") is None
        JobScheduler(engine=engine).process(queue)
        assert queue.result("number-4") == functions.one()
    lines = [json.loads(line) for line in Path(report["behind_the_gap"]).read_bytes().splitlines()]
    assert lines[0]["part"] == "behind a gap"
    readable = {line["position"] for line in lines[1:]}
    assert readable == {n for first, last in report["unsaved"] for n in range(first, last + 1)}
    assert {"job:number-9"} <= {line["entity"] for line in lines[1:]}
    assert any(line["data"] for line in lines[1:])


@pytest.mark.no_cover
def test_a_sound_store_is_saved_whole(store: Path, tmp_path: Path, said: Said) -> None:
    report = said("--salvage", str(tmp_path / "new"), code=0)
    assert report["lost"] == report["unsaved"] == []
    assert said(code=0, path=tmp_path / "new")["sound"]


@pytest.mark.no_cover
def test_an_event_that_cannot_be_taken_in_is_named_and_can_be_cut_off(
    store: Path, tmp_path: Path, said: Said
) -> None:
    with LmdbLog.open(store) as log:
        head = log.head
        # An end of an attempt that was never begun: no version of the code has ever written that.
        last = next(stored for stored in log.history("job:number-1") if stored.record.tag == "job.completed")
        bad = Record("job:nobody", 1, "", "", last.record.payload.replace(b"number-1", b"number-x"))
        log.append([bad], expected=head.position, epoch=head.epoch, recorded_us=head.recorded_us)
    answer = said(code=1)
    (wrong,) = (row for row in answer["findings"] if row["level"] == "wrong")
    assert wrong["check"] == "events"
    assert f"at position {head.position + 1}" in wrong["text"]
    assert f"--upto {head.position}" in wrong["remedy"]
    said("--salvage", str(tmp_path / "new"), "--upto", str(head.position), code=1)
    assert said(code=0, path=tmp_path / "new")["sound"]


def test_f59_events_of_a_newer_version_are_a_warning(store: Path, said: Said) -> None:
    with LmdbLog.open(store) as log:
        head = log.head
        newer = Record("job:x", 1, "", "", b"\x92\xacjob.teleport\x01")
        log.append([newer], expected=head.position, epoch=head.epoch, recorded_us=head.recorded_us)
    answer = said(code=0)
    (warning,) = (row for row in answer["findings"] if row["level"] == "warning")
    assert "1 events are not understood: 'job.teleport', version 1" in warning["text"]


@pytest.mark.no_cover
def test_a_compacted_store_is_saved_from_its_horizon_on_and_works(
    store: Path, tmp_path: Path, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    with LmdbLog.open(store) as log:
        head = next(frame.head for frame in log.frames() if frame.last >= 60)
        states = StoreView(log, event_codec(), head.position)._states
        bases = {name: snapshot_of(state) for name, state in states.items()}
        live = [f"job:number-{n}" for n in range(40)]
        kept = [
            (each, [stored.position for stored in log.history(each, upto=head.position)]) for each in live
        ]
        kept = sorted(each for each in kept if each[1])
        log.compact(Compaction(Horizon(head, ""), kept, bases, log.head.position))
        while log.tidy():
            pass
        end, last = log.head.position, log.last("job:number-39")
    answer = said(code=0)
    assert answer["findings"][2]["text"].endswith("are whole")
    assert last is not None
    spoil(store, last.record.payload)
    assert said(code=1)["compacted_upto"] == head.position
    new = tmp_path / "new"
    report = said("--salvage", str(new), code=1)
    assert (
        head.position <= report["position"] == report["savable"] < last.position < report["known_end"] == end
    )
    assert said(code=0, path=new)["sound"]
    with OrchestrationEngine(new) as engine:
        queue = Queue("q", engine=engine)
        JobScheduler(engine=engine).process(queue)
        assert [queue.result(f"number-{n}") for n in range(40)] == [functions.one()] * 40
    spoil(store, bases["queue"])
    assert "the state of 'queue', as of the horizon, fails its checksum" in said(code=1)["problem"]
    spoil(store, b"engine.opened")  # in pages that are free, the very first frame may still be there
    assert main(["doctor", "--store", str(store), "--salvage", str(tmp_path / "none")]) == 2
    assert f"was compacted up to {head.position}, and what it kept" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("events", 2),
        ("why job number-5", 2),
        ("tail -n 900", 2),
        ("compact --keep-days 0", 2),
        ("verify", 1),
        ("doctor", 1),
    ],
)
def test_f29_a_page_that_kills_the_engine_kills_no_tool(store: Path, command: str, code: int) -> None:
    spoil_leaves(store)
    child = subprocess.run(
        [*COMMAND, *command.split(), "--store", str(store)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == code, child.stderr
    assert "doctor" in child.stdout + child.stderr
    assert "SIGABRT" in child.stdout + child.stderr
    assert "Traceback" not in child.stderr


def spoil_leaves(store: Path) -> None:
    """Have each page of frames but the first and the last say that it is of no kind: the engine aborts."""
    data = store / "data.mdb"
    content = bytearray(data.read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        part = content[page : page + 4096]
        if part[10] == 2 and b"job.enqueued" in part and b"engine." not in part:
            content[page + 10] = 0
    data.write_bytes(content)


def test_what_cannot_be_helped_is_one_line_and_code_2(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "data.mdb").write_bytes(b"nothing")
    for arguments, words in (
        (["--store", str(tmp_path)], "is not a store"),
        (["--store", str(store), "--salvage", str(tmp_path / "new")], "nothing can be saved"),
        (["--store", str(tmp_path / "no"), "--salvage", str(tmp_path / "new")], "has no data.mdb"),
        (["--store", str(store), "--upto", "0"], "upto"),
    ):
        assert main(["doctor", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
