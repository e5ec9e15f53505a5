"""What was said of a subject: sealed while it is kept, gone when it is erased, with the log as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.events import SubjectErased
from logistics import (
    Erased,
    InputError,
    Job,
    JobFailedError,
    JobScheduler,
    OrchestrationEngine,
    Queue,
    RecurringSchedule,
    ScheduleManager,
    Sealed,
    StoreInUseError,
    SubjectInUseError,
    WorkflowManager,
    group,
)
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
from logistics.testing import VirtualClock, pass_time
from tests.logistics.erasure import functions
from tests.logistics.erasure.functions import CANARY
from tests.support.scale import scaled

WHO = "customer:4711"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def is_in(folder: Path, text: str = CANARY) -> bool:
    return text.encode() in everything_in(folder)


def work(engine: OrchestrationEngine) -> dict[str, str]:
    """Do something of each kind for the subject; return the ids of the jobs by name."""
    queue = Queue(engine=engine)
    jobs = {
        "greet": Job(
            "greet",
            functions.greet,
            (CANARY,),
            subject=WHO,
            on_success=Job("after", functions.shout, (CANARY,)),
        ),
        "complain": Job("complain", functions.complain, (CANARY,), subject=WHO, max_retries=0),
        "talk": Job("talk", functions.talk, (CANARY,), subject=WHO, executor="process"),
        "batch": Job("batch", functions.all_together, (CANARY,), subject=WHO, batch=3),
    }
    ids = {name: queue.enqueue(job) for name, job in jobs.items()}
    two = group([Job(f"greet {n}", functions.greet, (CANARY,), subject=WHO) for n in range(2)])
    stages = queue.enqueue_chain(two.then(Job("join", functions.join), results=True))
    ids["join"] = stages[1][0]
    JobScheduler(engine=engine).process(queue)
    return ids


def flow(engine: OrchestrationEngine, **manager: Any) -> WorkflowManager:
    manager_ = WorkflowManager(engine, **manager)
    inner = manager_.create("inner")
    inner.add_step("greet", functions.greet)
    outer = manager_.create("outer")
    outer.add_step("spread", functions.spread, compensate=functions.undo)
    outer.add_step("shout", functions.shout, map_over="spread")
    outer.add_workflow("child", "inner", params={"name": "{{params.name}}"})
    outer.add_workflow("each", "inner", params={"name": "{{item}}"}, map_over="spread")
    outer.add_step("cached", functions.greet, cache_for=3600)
    return manager_


def test_what_is_sealed_is_read_like_anything_else(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        ids = work(engine)
        assert queue.result(ids["greet"]) == f"hello {CANARY}"
        assert queue.result(ids["join"]) == f"hello {CANARY}, hello {CANARY}"
        assert queue.result(ids["talk"]) == CANARY
        assert queue.result(ids["batch"]) == f"hello {CANARY}"
        with pytest.raises(JobFailedError, match=f"ValueError: no such person: {CANARY}"):
            queue.result(ids["complain"])
        job = queue.get_job(ids["greet"])
        assert job is not None
        assert job.args == (CANARY,)
        assert {job.args for job in queue.list_jobs(name="after")} == {(CANARY,)}
        result = flow(engine, subject=WHO).run("outer", name=CANARY)
        assert result.outputs["shout"] == [f"{CANARY} {n}".upper() for n in range(3)]
        assert result.outputs["child"] == f"hello {CANARY}"
        assert result.outputs["each"] == [f"hello {CANARY} {n}" for n in range(3)]
    assert not is_in(path)
    assert not is_in(path, CANARY.upper())
    assert not is_in(path, WHO)
    with OrchestrationEngine(path) as engine:
        assert Queue(engine=engine).result(ids["greet"]) == f"hello {CANARY}"


def test_what_was_erased_is_marked_wherever_it_is_read(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        ids = work(engine)
        run_id = flow(engine, subject=WHO).run("outer", name=CANARY).run_id
        other = queue.enqueue(Job("greet", functions.greet, ("somebody",), subject="another"))
        JobScheduler(engine=engine).process(queue)
        before = engine.as_of().state_hash()
        erasure = engine.erase(WHO, by="the officer")
        assert erasure is not None
        assert engine.as_of().state_hash() == before
        assert engine.erase(WHO) is None
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        mark = Erased(erasure.key)
        assert queue.result(ids["greet"]) == mark
        assert queue.result(ids["join"]) == mark
        with pytest.raises(JobFailedError, match=r"ValueError: ⟦erased"):
            queue.result(ids["complain"])
        job = queue.get_job(ids["greet"])
        assert job is not None
        assert job.args == (mark,)
        assert all(CANARY not in repr(vars(job)) for job in queue.list_jobs())
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        assert run.output() == mark
        outputs = {"spread": mark, "shout": [mark] * 3, "child": mark, "each": [mark] * 3, "cached": mark}
        assert run.result(10).outputs == outputs
        assert CANARY not in repr(vars(run.result(10))) + repr(list(run.history())) + repr(run.timeline())
        assert queue.result(other) == "hello somebody"
        assert engine.why(f"job:{ids['complain']}")
        (event,) = [event for _, event in engine.history(f"subject:{erasure.key}")]
        assert isinstance(event, SubjectErased)
        assert (event.key, event.by) == (erasure.key, "the officer")
        assert queue.enqueue(Job("greet", functions.greet, (CANARY,), subject=WHO)) != ids["greet"]
        JobScheduler(engine=engine).process(queue)
        assert queue.result(ids["greet"]) == mark
    with StoreReader(path) as reader:
        assert not reader.check().problem
        assert CANARY not in repr([event.data() for event in reader.events()])
        assert {"sealed": erasure.key} in [
            event.data().get("result") for event in reader.events("job.completed")
        ]


def test_what_needs_erased_data_fails_for_good_and_says_why() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        ids = work(engine)
        manager = flow(engine, subject=WHO)
        run = manager.start("outer", name=CANARY)
        run.result(60)
        engine.erase(WHO)
        queue.retry(ids["complain"])
        again = run.restart("spread")
        JobScheduler(engine=engine).process(queue)
        with pytest.raises(
            JobFailedError, match="ErasedError: what is needed was of a subject that has been erased"
        ):
            queue.result(ids["complain"], timeout=60)
        assert "ErasedError" in str(again.result(60).error)


def test_open_work_is_named_and_can_be_cancelled_first(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        waiting = queue.schedule(Job("greet", functions.greet, (CANARY,), subject=WHO), timedelta(hours=1))
        manager = WorkflowManager(engine, subject=WHO)
        manager.create("waits").add_step("greet", functions.greet, queue="nobody")
        run = manager.start("waits", name=CANARY)
        with pytest.raises(SubjectInUseError, match="nothing was erased") as refused:
            engine.erase(WHO)
        assert set(refused.value.work) == {f"job:{waiting}", f"run:{run.run_id}"}
        assert queue.get_job(waiting).args == (CANARY,)  # type: ignore[union-attr]
        erasure = engine.erase(WHO, cancel=True)
        assert erasure is not None
        assert set(erasure.cancelled) == set(refused.value.work)
        assert run.status == "CANCELLED"
        assert queue.get_job(waiting).args == (Erased(erasure.key),)  # type: ignore[union-attr]


def test_what_a_run_undoes_is_not_cut_off_but_waited_for() -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine, subject=WHO)
        steps = manager.create("fails")
        steps.add_step("spread", functions.spread, compensate=functions.undo, queue="mine")
        steps.add_step("complain", functions.stop_and_complain)
        undoing = Event()
        engine.subscribe("undo.scheduled", lambda _event, _position: undoing.set())
        JobScheduler(engine=engine).start("mine")
        run = manager.start("fails", name=CANARY)
        assert undoing.wait(60)
        with pytest.raises(TimeoutError):
            engine.erase(WHO, cancel=True, timeout=0.01)
        Queue("mine", engine=engine).resume()
        assert engine.erase(WHO, cancel=True) is not None
        assert run.result(0).steps["spread"].compensated is True


def test_a_schedule_of_a_subject_is_sealed_and_is_open_work() -> None:
    with OrchestrationEngine(":memory:") as engine:
        schedules = ScheduleManager(engine=engine)
        job = Job("greet", functions.greet, (CANARY,), subject=WHO)
        schedules.schedule_recurring("daily", RecurringSchedule.daily("04:00"), job, queue="mine")
        queue = Queue("mine", engine=engine)
        fired = schedules.trigger("daily")
        JobScheduler(engine=engine).process(queue)
        assert queue.result(fired) == f"hello {CANARY}"
        with pytest.raises(SubjectInUseError, match="schedule:daily"):
            engine.erase(WHO)
        assert engine.erase(WHO, cancel=True) is not None
        assert schedules.get("daily") is None


def test_a_schedule_that_has_nothing_more_to_fire_is_no_open_work() -> None:
    clock = VirtualClock()
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        schedules = ScheduleManager(engine=engine)
        job = Job("greet", functions.greet, (CANARY,), subject=WHO)
        schedules.schedule_once("once", clock.now + timedelta(hours=1), job, queue="mine")
        with pytest.raises(SubjectInUseError, match="schedule:once"):
            engine.erase(WHO)
        schedules.start()
        pass_time(engine, timedelta(hours=2))
        JobScheduler(engine=engine).process(Queue("mine", engine=engine))
        erasure = engine.erase(WHO)
        assert erasure is not None
        assert erasure.cancelled == ()
        task = schedules.get("once")
        assert task is not None
        assert (task.completed, task.runs) == (True, 1)


def test_a_job_with_an_id_of_its_own_is_the_same_job_when_it_is_enqueued_again() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue(engine=engine)
        jobs = [Job("greet", functions.greet, (CANARY,), subject=WHO, job_id="mine") for _ in range(2)]
        assert [queue.enqueue(job) for job in jobs] == ["mine", "mine"]


def test_a_job_taken_by_hand_is_sealed_too(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        ids = queue.enqueue_many([Job("x", functions.greet, (CANARY,), subject=WHO) for _ in range(2)])
        done, failing = queue.dequeue(), queue.dequeue()
        assert done is not None
        assert failing is not None
        assert done.args == (CANARY,)
        queue.complete(done, f"by hand: {CANARY}")
        queue.fail(failing, f"not for {CANARY}")
        ids += queue.enqueue_many([Job("y", functions.greet, (CANARY,), subject=WHO)])
        failing = queue.dequeue()
        assert failing is not None
        queue.fail(failing, "Canary: will not answer")
        assert queue.result(ids[0]) == f"by hand: {CANARY}"
    assert not is_in(path)
    assert not is_in(path, "Canary:"), "a name before a colon is that of an exception only if there is one"


def test_a_signal_to_a_run_of_a_subject_is_sealed(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        manager = WorkflowManager(engine, subject=WHO)
        manager.create("asks").add_wait("answer")
        run = manager.start("asks")
        run.signal("answer", CANARY)
        assert run.result(60).output == CANARY
        erasure = engine.erase(WHO)
        assert erasure is not None
        assert run.output() == Erased(erasure.key)
    assert not is_in(path)


def test_without_its_key_a_value_is_sealed_and_not_said_to_be_erased(path: Path, tmp_path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        engine.backup(tmp_path / "copy")
    assert not (tmp_path / "copy" / "keys").exists()
    with OrchestrationEngine(tmp_path / "copy") as engine:
        found = Queue(engine=engine).result(ids["greet"])
        assert type(found) is Sealed
    with OrchestrationEngine(tmp_path / "copy", keys=path / "keys") as engine:
        assert Queue(engine=engine).result(ids["greet"]) == f"hello {CANARY}"


def test_an_older_copy_of_the_keys_brings_nothing_back(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
    kept = (path / "keys").read_bytes()
    with OrchestrationEngine(path) as engine:
        assert engine.erase(WHO)
    (path / "keys").write_bytes(kept)
    with OrchestrationEngine(path) as engine:
        assert isinstance(Queue(engine=engine).result(ids["greet"]), Erased)
        assert engine.erase(WHO) is None
    assert (path / "keys").read_bytes() != kept


def test_compaction_archive_and_snapshots_hold_nothing_in_plain(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        ids = work(engine)
        stays = queue.schedule(
            Job("greet", functions.greet, (CANARY,), subject="another"), timedelta(hours=1)
        )
        erasure = engine.erase(WHO)
        assert erasure is not None
        assert engine.compact(0)
    assert not is_in(path)
    with StoreReader(path) as reader:
        assert not reader.check().problem
        assert reader.of(f"subject:{erasure.key}")
        assert reader.of(f"job:{ids['greet']}")
        assert reader.as_of(snapshots=False).state_hash() == reader.as_of().state_hash()
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        assert queue.get_job(stays).args == (CANARY,)  # type: ignore[union-attr]
        assert [event for _, event in engine.history(f"subject:{erasure.key}")]


def test_a_subject_without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with OrchestrationEngine(":memory:") as engine:
        with pytest.raises(InputError, match=r"logistics\[sign\]"):
            Queue(engine=engine).enqueue(Job("greet", functions.greet, ("x",), subject=WHO))
        assert len(engine.store.runtime.vault.keys) == 0


def test_results_of_two_subjects_need_one_to_be_named() -> None:
    with OrchestrationEngine(":memory:") as engine:
        both = group([Job("greet", functions.greet, (CANARY,), subject=who) for who in ("a", "b")])
        with pytest.raises(InputError, match="several subjects"):
            Queue(engine=engine).enqueue_chain(both.then(Job("join", functions.join), results=True))


def test_the_file_of_keys_is_private(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        Queue(engine=engine).enqueue(Job("plain", functions.greet, ("x",)))
        assert not (path / "keys").exists()
        Queue(engine=engine).enqueue(Job("greet", functions.greet, ("x",), subject=WHO))
    assert (path / "keys").stat().st_mode & 0o777 == 0o600


def test_who_erases_is_on_record_in_full_or_refused(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        with pytest.raises(InputError, match=r"by: expected at most 64 bytes, .* got 66"):
            engine.erase(WHO, by="Ä" * 33)
        erasure = engine.erase(WHO, by="Ä" * 32)
        assert erasure is not None
        ((_, event),) = engine.history(f"subject:{erasure.key}")
        assert isinstance(event, SubjectErased)
        assert event.by == "Ä" * 32


def test_of_several_that_erase_somebody_at_once_one_does_and_the_others_find_nothing(path: Path) -> None:
    with OrchestrationEngine(path) as engine, ThreadPoolExecutor(4) as callers:
        work(engine)
        done = list(callers.map(lambda _: engine.erase(WHO), range(4)))
        (erasure,) = [each for each in done if each is not None]
        assert len(engine.history(f"subject:{erasure.key}")) == 1


def test_two_stores_do_not_write_one_file_of_keys(path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "shared"
    with OrchestrationEngine(path, keys=keys) as engine:
        with pytest.raises(StoreInUseError, match=r"the keys .* are in use by the store"):
            OrchestrationEngine(tmp_path / "other", keys=keys)
        ids = work(engine)
    with OrchestrationEngine(tmp_path / "other", keys=keys) as engine:
        work(engine)
    with OrchestrationEngine(path, keys=keys) as engine:
        assert Queue(engine=engine).result(ids["greet"]) == f"hello {CANARY}"


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["enqueue", "run", "erase", "reopen"])), max_size=12
    )
)
@settings(
    max_examples=scaled("ERASURE_HISTORIES", 12), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_in_any_history_exactly_what_was_erased_is_gone(steps: list[tuple[str, str]]) -> None:
    """Against a plain model: which jobs of whom were enqueued since that subject was erased."""
    readable: dict[str, str] = {}
    gone: set[str] = set()
    with TemporaryDirectory() as folder:
        engine = OrchestrationEngine(folder)
        for who, what in (*steps, ("a", "reopen"), ("a", "run")):
            queue = Queue(engine=engine)
            if what == "enqueue":
                text = f"{CANARY} {who} {len(readable)}"
                readable[queue.enqueue(Job("greet", functions.greet, (text,), subject=who))] = text
            elif what == "run":
                JobScheduler(engine=engine).process(queue)
            elif what == "erase":
                mine = [job_id for job_id, text in readable.items() if f" {who} " in text]
                had = engine.erase(who, cancel=True)
                assert bool(had) == bool(mine)
                gone.update(mine)
                for job_id in mine:
                    del readable[job_id]
            else:
                engine.close()
                engine = OrchestrationEngine(folder)
        queue = Queue(engine=engine)
        for job_id in gone:
            job = queue.get_job(job_id)
            assert job is not None
            assert isinstance(job.args[0], Erased)
            assert job.result is None or isinstance(job.result, Erased)
        for job_id, text in readable.items():
            assert queue.result(job_id) == f"hello {text}"
        engine.close()
        assert not is_in(Path(folder))
        with StoreReader(folder) as reader:
            assert not reader.check().problem


DYING = """
import os, sys
from actors.runtime import vault
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.logistics.erasure import functions
engine = OrchestrationEngine(sys.argv[1])
queue = Queue(engine=engine)
print(queue.enqueue(Job("greet", functions.greet, (functions.CANARY,), subject="me")))
JobScheduler(engine=engine).process(queue)
def die(*_):
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
if sys.argv[2] == "before the event":
    vault._record = die
else:
    engine.store.runtime.vault.keys.forget = die
engine.erase("me", by="a hurried man")
"""


@pytest.mark.parametrize("moment", ["before the event", "behind the event"])
def test_a_kill_after_the_key_is_destroyed_loses_no_word_of_it(path: Path, moment: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", DYING, str(path), moment], capture_output=True, text=True, check=False
    )
    assert child.returncode == -9, child.stderr
    with OrchestrationEngine(path) as engine:
        found = Queue(engine=engine).result(child.stdout.strip())
        assert isinstance(found, Erased)
        (event,) = [event for _, event in engine.history(f"subject:{found.key}")]
        assert isinstance(event, SubjectErased)
        assert event.by == "a hurried man"
        assert not engine.store.runtime.vault.keys.destroyed
    with StoreReader(path) as reader:
        assert not reader.check().problem
    assert not is_in(path)


def test_the_command_erases_and_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        waiting = Queue(engine=engine).schedule(Job("x", functions.greet, ("x",), subject=WHO), 3600)
    command = ["erase", WHO, "--store", str(path), "--json"]
    assert main(command) == 2
    assert f"job:{waiting}" in capsys.readouterr().err
    assert main([*command, "--cancel", "--by", "the officer"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cancelled"] == [f"job:{waiting}"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["key"] is None
    assert main(command[:-1]) == 0
    assert capsys.readouterr().out == f"nothing is kept of {WHO!r}\n"
    assert main(["history", f"subject:{told['key']}", "--store", str(path), "--json"]) == 0
    assert "the officer" in capsys.readouterr().out
    assert main(["erase", WHO, "--store", str(path.parent / "none")]) != 0
    assert not (path.parent / "none").exists()
