"""Opening a store again: from snapshots, from the log, or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors import snapshotting
from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.queue.events import JobStarted
from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec
from actors.runtime.fold import first_states, fold
from actors.snapshotting import ChildPhotographer, take_snapshot
from eventstore.errors import ReplayError, SafeModeError, StoreInUseError
from eventstore.lmdb_log import LmdbLog
from logistics.orchestration.engine import OrchestrationEngine
from tests.faults.engines import eventually

RULES = [actor.rules for actor in ACTORS]


def fill(engine: OrchestrationEngine, jobs: int, prefix: str = "j") -> None:
    specs = tuple(JobSpec(f"{prefix}{number}", "q", "n", "m:f", b"\x92\x90\x80") for number in range(jobs))
    engine.send(EnqueueJobs(jobs=specs))


def begun(store: Path) -> set[int]:
    with LmdbLog.open(store, read_only=True) as log:
        return set(first_states(log, RULES)[1].values())


def states(store: Path, **options: Any) -> dict[str, Any]:
    with LmdbLog.open(store, read_only=True) as log:
        return {name: state.dump() for name, state in fold(log, event_codec(), RULES, **options).items()}


def test_a_clean_close_leaves_a_snapshot_that_the_next_start_begins_with(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        policy = engine.store.runtime.keeper.policy
        fill(engine, policy.least_events + 5)
        last = engine.store.runtime.journal.watermark
    assert begun(tmp_path / "s") == {last}
    assert states(tmp_path / "s", snapshots=True) == states(tmp_path / "s")
    with OrchestrationEngine(tmp_path / "s") as engine:
        assert engine.store.runtime.keeper.position == last
        assert engine.get_system_status()["jobs"]["pending"] == policy.least_events + 5
        fill(engine, 1, "later")
    assert begun(tmp_path / "s") == {last}  # one more event is not worth another one
    assert states(tmp_path / "s", snapshots=True) == states(tmp_path / "s")


def test_a_child_takes_a_snapshot_beside_a_working_engine(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        fill(engine, 50)
        keeper = engine.store.runtime.keeper
        upto = engine.store.runtime.journal.watermark
        keeper.policy = keeper.policy._replace(events=10, least_events=10, pause_s=0.0)
        fill(engine, 1, "meanwhile")
        log = engine.store.runtime.log
        eventually(lambda: min(first_states(log, RULES)[1].values()) >= upto)
    assert min(begun(tmp_path / "s")) >= upto
    assert states(tmp_path / "s", snapshots=True) == states(tmp_path / "s")


def test_closing_over_a_snapshot_that_is_under_way_leaves_one_all_the_same(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        fill(engine, 50)
        keeper = engine.store.runtime.keeper
        keeper.policy = keeper.policy._replace(events=10, least_events=10, pause_s=0.0)
        eventually(lambda: keeper._asked > 0)
        last = engine.store.runtime.journal.watermark
    assert begun(tmp_path / "s") == {last}


@pytest.mark.usefixtures("plain_children")
def test_f10_a_child_that_is_killed_leaves_the_older_snapshot(tmp_path: Path) -> None:
    store = tmp_path / "s"
    with OrchestrationEngine(store) as engine:
        fill(engine, 20)
        first = engine.store.runtime.journal.watermark
        fill(engine, 20, "more")
        last = engine.store.runtime.journal.watermark
    take_snapshot(store, first)
    kill = "import os, signal, eventstore.files as f; f.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)"
    code = snapshotting.CHILD.format(module=snapshotting.__name__)
    code = code.replace("main(sys", f"exec({kill!r}); main(sys")
    arguments = [sys.executable, "-c", code, json.dumps(sys.path), str(store), str(last)]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    ended, said = snapshotting.Child.end(child)
    assert ended == -signal.SIGKILL, said
    assert begun(store) == {first}
    assert list((store / "snapshots").glob("*.new"))
    assert states(store, snapshots=True) == states(store)
    take_snapshot(store, last)
    assert begun(store) == {last}
    assert not list((store / "snapshots").glob("*.new"))


def test_a_child_that_fails_is_warned_of_and_a_closed_one_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photographer = ChildPhotographer(tmp_path / "no store")
    photographer.take(1)
    eventually(lambda: not photographer.busy)
    assert "could not be taken" in caplog.text
    photographer.take(1)
    photographer.close()
    assert not photographer.busy


def test_a_child_that_is_made_while_somebody_closes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    child, make = snapshotting.Child("time"), subprocess.Popen

    def make_meanwhile(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        made = make([sys.executable, "-c", "input()"], **options)
        child.close()  # on another thread, between the making of the process and word of it
        return made

    monkeypatch.setattr(subprocess, "Popen", make_meanwhile)
    started = child.start()
    assert started.stdin
    started.stdin.close()  # so it ends, at the latest
    code, _ = child.end(started)
    assert code == -signal.SIGKILL


def poison(store: Path) -> int:
    """Append an event that no state can take in; return its position."""
    with LmdbLog.open(store) as log:
        record = event_codec().record(JobStarted("nobody", 1, 1, 1), entity="job:nobody")
        head = log.append([record], expected=log.head.position, epoch=log.head.epoch, recorded_us=10**16)
        return head.position


def test_f19_a_poison_event_is_named_and_leads_to_safe_mode_that_writes_nothing(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        fill(engine, 3)
    position = poison(tmp_path / "s")
    for _ in range(3):
        with pytest.raises(ReplayError, match=f"'job:nobody' at position {position}"):
            OrchestrationEngine(tmp_path / "s")
    before = (tmp_path / "s" / "data.mdb").read_bytes()
    with pytest.raises(SafeModeError, match=f"position {position}"):
        OrchestrationEngine(tmp_path / "s")
    assert (tmp_path / "s" / "data.mdb").read_bytes() == before


@pytest.mark.usefixtures("plain_children")
def test_f09_a_start_that_is_killed_does_not_count_towards_safe_mode(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from actors.runtime import engine; from logistics import OrchestrationEngine\n"
        "engine.replay = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "OrchestrationEngine(sys.argv[1])"
    )
    for _ in range(4):
        child = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s")],
            check=False,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.returncode == -signal.SIGKILL, child.stderr
    with OrchestrationEngine(tmp_path / "s") as engine:
        fill(engine, 1)
        with pytest.raises(StoreInUseError):
            LmdbLog.open(tmp_path / "s")
