"""A store that a newer version has written in: shown, not understood, and never written to."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from eventstore.errors import ReplayError, SafeModeError, StoreError
from eventstore.lmdb_log import LmdbLog
from eventstore.records import Record
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.queue import Queue
from tests.logistics.audit import functions

NEWER = {
    "tag": Record("job:it", 1, "", "", msgspec.msgpack.encode(["job.teleported", "it", 7])),
    "version": Record("job:it", 2, "", "", msgspec.msgpack.encode(["job.ready", {"new": "shape"}])),
}


@pytest.fixture(params=sorted(NEWER))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with OrchestrationEngine(tmp_path / "store") as engine:
        Queue("q", engine=engine).enqueue(Job("one", functions.one, job_id="it"))
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
    with LmdbLog.open(tmp_path / "store") as log:
        head = log.head
        log.append(
            [NEWER[request.param]], expected=head.position, epoch=head.epoch, recorded_us=head.recorded_us
        )
    return tmp_path / "store"


def test_reading_tools_show_what_they_do_not_understand(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--store", str(store)]
    for command in (["history", "job:it"], ["events"], ["tail"], ["show", "job:it"]):
        assert main([*command, "--json", *where]) == 0
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["tag"] in {"unknown(job.teleported)", "unknown(job.ready)"}
        assert last["data"] in (["job.teleported", "it", 7], ["job.ready", {"new": "shape"}])
    assert main(["show", "schedule:nightly", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["tag"] == "schedule.put"
    assert main(["verify", *where]) == 0
    assert main(["export", "-o", str(tmp_path / "lines"), *where]) == 0
    assert main(["import", str(tmp_path / "lines"), "--store", str(tmp_path / "copy")]) == 0
    assert main(["backup", str(tmp_path / "backup"), *where]) == 0
    with StoreReader(store) as reader, StoreReader(tmp_path / "copy") as copy:
        assert reader.of("job:it")[-1].event is None
        assert copy.position == reader.position
        assert reader.as_of(reader.position - 1).why("job:it").status == "PENDING"


def test_what_needs_the_state_says_in_one_line_that_the_code_is_too_old(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["status"], ["jobs"], ["why", "job", "it"], ["replay"]):
        assert main([*command, "--store", str(store)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "unknown event" in error


def test_nothing_is_written_to_it(store: Path) -> None:
    with LmdbLog.open(store, read_only=True) as log:
        before = log.head
    for _ in range(5):
        with pytest.raises(StoreError, match="unknown event") as refused:
            OrchestrationEngine(store)
        assert isinstance(refused.value, ReplayError | SafeModeError)
    with LmdbLog.open(store, read_only=True) as log:
        assert log.head == before
