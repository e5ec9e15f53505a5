"""A store that forgets what is over, while its engine runs and when nobody has it open."""

from __future__ import annotations

import errno
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lmdb
import pytest

from actors.compacting import PLAN_NAME, Compactor, Policy, Retainer
from actors.folding import RULES
from actors.queue.actor import QueueActor
from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec
from actors.retention import plan_compaction
from actors.runtime import fold
from actors.runtime.clock import VirtualClock
from actors.runtime.errors import ForgottenIdError, UnknownIdError
from actors.runtime.fingerprint import fingerprint
from actors.runtime.fold import first_states
from actors.runtime.values import encode_call
from actors.snapshotting import Child
from eventstore.archive import FOLDER_NAME
from eventstore.doctor import WARNING, WRONG, check_archive
from eventstore.errors import ArchiveError, CompactedError, DiskFullError, StoreError
from eventstore.lmdb_log import LmdbLog
from logistics.audit import narrowing, store_view
from logistics.audit.exchange import export_lines, verify_export
from logistics.audit.store_reader import StoreReader
from logistics.cli.main import main
from logistics.errors import RunNotFoundError
from logistics.ids import new_id
from logistics.inputs import as_datetime
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.retention import functions


def work(engine: OrchestrationEngine, jobs: int = 30) -> list[str]:
    """Run some jobs and a workflow to their end; return the ids of the jobs."""
    queue = Queue(engine=engine)
    ids = queue.enqueue_many([Job("double", functions.double, (n,)) for n in range(jobs)])
    JobScheduler(engine=engine).process(queue)
    flow = WorkflowManager(engine).create("flow")
    flow.add_step("ten", functions.ten).add_step("double", functions.double)
    assert WorkflowManager(engine).run("flow").output == 20
    return ids


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def half_done(engine: OrchestrationEngine) -> WorkflowRun:
    """Begin a run, and return it when its first step has ended; its second one is in the queue `slow`."""
    manager = WorkflowManager(engine)
    flow = manager.create("slow").add_step("ten", functions.ten)
    flow.add_step("double", functions.double, queue="slow")
    run = manager.start("slow")
    while run.steps["ten"].output != 10:
        pass
    return run


@pytest.mark.parametrize("archive", [True, False])
def test_a_failed_job_that_is_kept_from_before_the_horizon_is_listed(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, archive: bool
) -> None:
    monkeypatch.setattr(narrowing, "LOOKED_AT", 0)
    with OrchestrationEngine(path, archive=archive) as engine:
        queue = Queue(engine=engine)
        bad = queue.enqueue(Job("bad", functions.double, (None,), max_retries=0))
        work(engine, jobs=3)
        queue.schedule(Job("names it", functions.double, (bad,)), timedelta(hours=1))
        assert engine.compact(0) > 0
        assert [job.job_id for job in queue.list_jobs(status="FAILED")] == [bad]
    assert main(["jobs", "--status", "failed", "--json", "--store", str(path)]) == 0
    assert [json.loads(line)["job_id"] for line in capsys.readouterr().out.splitlines()] == [bad]


def test_a_commit_that_fails_while_the_log_is_tidied_is_got_over_though_nobody_commits_anything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log refused every look into it until somebody wrote something, who was told that this had failed."""
    with OrchestrationEngine(path) as engine:
        forgotten = work(engine, jobs=3)[0]
        tidy, commit, here = LmdbLog.tidy, LmdbLog._commit, threading.local()  # the keeper tidies, too

        def commit_on_a_full_disk(log: LmdbLog, transaction: Any) -> None:
            if getattr(here, "tidies", False):
                raise lmdb.DiskError("mdb_txn_commit: No space left on device, as planned")
            commit(log, transaction)

        def tidy_on_a_full_disk(log: LmdbLog) -> bool:
            here.tidies = True
            try:
                return tidy(log)
            finally:
                here.tidies = False

        with monkeypatch.context() as tidying:
            tidying.setattr(LmdbLog, "_commit", commit_on_a_full_disk)
            tidying.setattr(LmdbLog, "tidy", tidy_on_a_full_disk)
            with pytest.raises(DiskFullError):
                engine.compact(0, archive=False)
        assert engine.history(f"job:{forgotten}") == []
        assert engine.as_of().state_hash()
        assert engine.compact(0, archive=False)
        work(engine, jobs=1)


def test_a_state_is_folded_again_if_the_log_is_compacted_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with OrchestrationEngine(":memory:") as engine:
        work(engine, jobs=3)

        def interrupted(*what: Any, **how: Any) -> Any:
            begun = first_states(*what, **how)
            monkeypatch.undo()
            assert engine.compact(0) > 0
            return begun

        expected = engine.as_of().state_hash()
        monkeypatch.setattr(store_view, "first_states", interrupted)
        assert engine.as_of().state_hash() == expected
        with pytest.raises(CompactedError):
            engine.as_of(3)


def test_a_frame_of_more_records_than_a_compaction_goes_through_does_not_stop_it() -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue, runtime = Queue(engine=engine), engine.store.runtime
        queue.enqueue_many([Job("double", functions.double, (n,)) for n in range(100)])
        JobScheduler(engine=engine).process(queue)

        def horizon() -> int:
            end = runtime.journal.watermark
            plan = plan_compaction(
                runtime.log, runtime.codec, RULES, before_us=1 << 60, upto=end, least=50, records=10
            )
            assert plan is not None
            runtime.log.compact(plan)
            return plan.horizon.head.position

        assert horizon() < 50  # what was before that frame: less than is worth it
        assert horizon() > 100


def test_a_run_that_somebody_still_asks_about_was_forgotten(path: Path) -> None:
    with OrchestrationEngine(path, archive=False) as engine:
        WorkflowManager(engine).create("one").add_step("ten", functions.ten)
        run = WorkflowManager(engine).start("one")
        assert run.result().output == 10
        work(engine, jobs=3)
        engine.compact(0, archive=False)
        asks: tuple[Callable[[], object], ...] = (
            run.result,
            lambda: run.status,
            lambda: run.steps,
            run.history,
            run.pause,
            lambda: run.started_at,
        )
        for ask in asks:
            with pytest.raises(RunNotFoundError, match=f"run {run.run_id} is not on record any more"):
                ask()
        assert not run.cancel()


def test_what_is_over_is_forgotten_and_what_waits_is_not(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        queue = Queue(engine=engine)
        waiting = queue.schedule(Job("double", functions.double, (21,)), timedelta(hours=1))
        stats = queue.get_stats()
        horizon = engine.compact(0)
        assert 0 < horizon < engine.get_metrics()["events_total"]
        assert queue.get_stats() == stats
        assert queue.get_job(ids[0]) is None
        assert [job.job_id for job in queue.list_jobs()] == [waiting]
        assert WorkflowManager(engine).list_workflows() == ["flow"]
        assert list(WorkflowManager(engine).list_runs()) == []
        late = queue.enqueue(Job("double", functions.double, (4,)))
    with OrchestrationEngine(path) as engine:
        queue = Queue(engine=engine)
        found = queue.get_job(waiting)
        assert found is not None
        assert found.args == (21,)
        JobScheduler(engine=engine).process(queue)
        assert queue.result(late) == 8
        assert WorkflowManager(engine).run("flow").output == 20
        assert engine.compact(0) > horizon
        assert queue.get_job(waiting) is not None


def test_what_the_arguments_of_a_waiting_job_name_stays_unless_they_are_sealed(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        queue, later = Queue(engine=engine), Queue("later", engine=engine)
        ended = ("argument", "deep", "long", "sealed", "unnamed")
        for job_id in ended:
            queue.enqueue(Job("ten", functions.ten, job_id=job_id))
        JobScheduler(engine=engine).process(queue)
        inside = {"of": [{"job": "deep"}], "long": ["x" * 1000, "long"]}
        later.enqueue(Job("anything", functions.anything, ("argument",), inside))
        later.enqueue(Job("double", functions.double, ("sealed",), subject="customer:1"))
        engine.compact(0)
        assert [queue.get_job(job_id) is not None for job_id in ended] == [True, True, True, False, False]


def test_what_waits_stays_however_long_its_id_is() -> None:
    """Those of runs within runs within runs have no other bound than that of a `Key`."""
    spec = JobSpec("j" * 500, "later", "long", "no.such.module:f", encode_call((), {}))
    with OrchestrationEngine(":memory:") as engine:
        engine.ask("queue", EnqueueJobs(jobs=(spec,)))
        work(engine, jobs=3)
        assert engine.compact(0)
        assert Queue("later", engine=engine).get_job(spec.job_id) is not None


def test_a_run_that_was_under_way_tells_all_of_its_steps(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        run = half_done(engine)
        assert engine.compact(0)
        JobScheduler(engine=engine).process(Queue("slow", engine=engine))
        assert run.result(60).outputs == {"ten": 10, "double": 20}
    with OrchestrationEngine(path) as engine:
        found = WorkflowManager(engine).get_run(run.run_id)
        assert found is not None
        assert found.result(60).output == 20


def test_the_runs_of_a_list_stay_as_long_as_the_run_whose_items_they_are_and_are_forgotten_with_it() -> None:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.create("inner").add_step("double", functions.double)
        outer = manager.create("outer")
        outer.add_workflow("each", "inner", params={"number": "{{item}}"}, map_over="params.numbers")
        outer.add_step("ten", functions.ten, queue="slow")
        run = manager.start("outer", numbers=[1, 2])
        while run.steps["each"].output != [2, 4]:
            pass
        work(engine, jobs=1)
        assert engine.compact(0)
        assert run.steps["each"].output == [2, 4]
        JobScheduler(engine=engine).process(Queue("slow", engine=engine))
        assert run.result(60).outputs == {"each": [2, 4], "ten": 10}
        work(engine, jobs=1)
        assert engine.compact(0)
        assert {each.name for each in manager.list_runs()} == {"flow"}


def test_a_run_from_before_the_horizon_is_exported_whole_and_looked_into_elsewhere(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        run = half_done(engine)
        work(engine, jobs=1)
        horizon = engine.compact(0, archive=False)
        JobScheduler(engine=engine).process(Queue("slow", engine=engine))
        assert run.result(60).output == 20
        after = Queue("slow", engine=engine).enqueue(Job("double", functions.double, (1,)))
    lines, part = str(tmp_path / "lines"), str(tmp_path / "part")
    assert main(["export", "--run", run.run_id, "-o", lines, "--store", str(path)]) == 0
    assert main(["import", lines, "--store", part]) == 0
    with StoreReader(path) as whole, StoreReader(part) as elsewhere:
        assert horizon > whole.of(f"run:{run.run_id}")[0].position
        for entity in [f"run:{run.run_id}", *whole.entities(f"job:{run.run_id}.")]:
            assert [each.event for each in elsewhere.of(entity)] == [each.event for each in whole.of(entity)]
        assert elsewhere.as_of().run_totals()["COMPLETED"] == 1
        assert f"not compacted up to position {horizon}" in elsewhere.part
    assert main(["export", "--of", after, "--store", str(path)]) == 0
    capsys.readouterr()
    assert main(["export", "--pattern", "job.*", "--store", str(path)]) == 2
    assert f"begin behind position {horizon}" in capsys.readouterr().err
    assert main(["export", "--after", str(horizon), "--store", str(path)]) == 0


def test_the_tools_read_log_and_archive_as_one(path: Path, tmp_path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        middle = engine.get_metrics()["events_total"] // 2
        before = engine.as_of(middle).state_hash()
        engine.compact(0)
        assert engine.as_of(middle).state_hash() == before
        copy = tmp_path / "copy"
        engine.backup(copy)
    for where in (path, copy):
        with StoreReader(where) as reader:
            check = reader.check()
            assert (check.problem, check.records) == ("", reader.position)
            assert [event.position for event in reader.events()] == list(range(1, reader.position + 1))
            assert reader.of(f"job:{ids[3]}")[0].tag == "job.enqueued"
            assert f"job:{ids[3]}" in set(reader.entities("job:"))
            assert reader.as_of(middle).state_hash() == before
            now = reader.as_of(snapshots=False).state_hash()
            assert reader.as_of().state_hash() == now
            assert verify_export(list(export_lines(reader))).position == reader.position
    for command in (["verify", "--deep"], ["replay"], ["events"], ["history", ids[0]], ["status"]):
        assert main([*command, "--store", str(path)]) == 0


def test_the_archive_is_listed_and_a_damaged_file_is_named(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
    assert main(["archive", "--store", str(path)]) == 0
    assert capsys.readouterr().out == "nothing is archived\n"
    with OrchestrationEngine(path) as engine:
        horizon = engine.compact(0)
    assert main(["archive", "--json", "--store", str(path)]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["first"], row["last"], row["problem"]) == (1, horizon, "")
    file = path / FOLDER_NAME / row["file"]
    assert row["bytes"] == file.stat().st_size
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert main(["archive", "--json", "--store", str(path)]) == 1
    assert "is damaged at byte" in json.loads(capsys.readouterr().out)["problem"]


def test_what_goes_on_is_told_though_the_archive_is_damaged(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(path) as engine:
        ended = work(engine, jobs=3)
        later = Queue("later", engine=engine)
        ids = [later.enqueue(Job("kept", functions.double, (1,)))]
        engine.compact(0)
        ids.append(later.enqueue(Job("new", functions.double, (1,))))
    (file,) = (path / FOLDER_NAME).iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    for what in (
        ["status"],
        ["status", "--at", "2100-01-01"],
        ["jobs"],
        *([command, f"job:{job_id}"] for command in ("show", "history", "why") for job_id in ids),
    ):
        assert main([*what, "--store", str(path)]) == 0, what
    assert f"{file.name} is damaged: its table fails its checksum; what the log" in capsys.readouterr().err
    for what in (["jobs", "--ended"], ["history", ended[0]], ["events"]):
        assert main([*what, "--store", str(path)]) == 2, what
        assert file.name in capsys.readouterr().err
    (found,) = check_archive(str(path))
    assert (found.level, f"{file.name} is damaged" in found.text) == (WRONG, True)
    file.unlink()
    (found,) = check_archive(str(path))
    assert (found.level, f"Put {file.name} back" in found.remedy) == (WARNING, True)


def test_states_are_told_without_the_beginning_of_the_archive_whatever_code_has_compacted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the log alone knew the states with which it begins: after an upgrade the tools found none."""
    with OrchestrationEngine(path) as engine:
        work(engine, jobs=3)
        engine.compact(0, archive=False)
        work(engine, jobs=3)
        horizon = engine.compact(0)
        work(engine, jobs=3)
        expected = engine.as_of().state_hash()
    monkeypatch.setattr(fold, "fingerprint", lambda: bytes(len(fingerprint())))
    with StoreReader(path) as reader:
        assert reader.as_of().state_hash() == expected
        assert reader.as_of(snapshots=False).state_hash() == expected
        with pytest.raises(CompactedError):
            reader.as_of(horizon - 1)


def test_without_the_archive_what_was_forgotten_is_named(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        engine.compact(0)
        ended = engine.get_metrics()["events_total"]
        state = engine.as_of().state_hash()
    (archived,) = (path / FOLDER_NAME).iterdir()
    archived.rename(path / "elsewhere")
    with StoreReader(path) as reader:
        with pytest.raises(CompactedError, match=archived.name):
            next(reader.events())
        with pytest.raises(CompactedError, match=archived.name):
            reader.as_of(3)
        assert reader.as_of(ended).state_hash() == state
        assert reader.check().problem == ""
    with OrchestrationEngine(path) as engine:
        assert Queue(engine=engine).get_stats()["completed"] == 30


def test_an_id_from_before_the_horizon_is_never_taken_for_new(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        queue = Queue(engine=engine)
        mine = queue.enqueue(Job("mine", functions.ten, job_id="mine"))
        JobScheduler(engine=engine).process(queue)
        engine.compact(0)
        with pytest.raises(ForgottenIdError, match="may have been forgotten"):
            queue.enqueue(Job("double", functions.double, (3,), job_id=ids[3]))
        with pytest.raises(UnknownIdError):
            queue.retry(ids[3])
        assert queue.enqueue(Job("mine", functions.ten, job_id=mine)) == mine


def test_a_store_in_memory_forgets_too() -> None:
    with OrchestrationEngine(":memory:") as engine:
        ids = work(engine)
        assert engine.compact(0)
        assert Queue(engine=engine).get_job(ids[0]) is None
        assert engine.compact(timedelta(days=1)) == engine.compact(timedelta(days=1))


def test_what_is_not_old_enough_stays(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        assert engine.compact(timedelta(days=1)) == 0
        assert Queue(engine=engine).result(ids[0]) == 0
    assert not (path / FOLDER_NAME).exists()


def test_without_an_archive_it_is_gone(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        engine.compact(0, archive=False)
    assert not (path / FOLDER_NAME).exists()
    with StoreReader(path) as reader, pytest.raises(CompactedError, match="was compacted up to"):
        next(reader.events())


@pytest.mark.parametrize("what", ["Child.start", "remove_file"])
def test_what_the_system_refuses_a_compaction_is_said_in_words_of_ours(
    what: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "planned", "a file")

    monkeypatch.setattr(f"actors.compacting.{what}", fail)
    with (
        OrchestrationEngine(path) as engine,
        pytest.raises(StoreError, match=r"nothing was compacted: a file: planned"),
    ):
        engine.compact(0)


def test_a_plan_that_fails_says_why_and_nothing_is_forgotten(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        (path / FOLDER_NAME).write_text("in the way")
        with pytest.raises(StoreError, match=r"nothing was compacted: .*archive"):
            engine.compact(0)
        assert Queue(engine=engine).result(ids[0]) == 0


def test_a_plan_that_a_killed_owner_has_left_is_not_carried_out(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine, jobs=1)
        runtime = engine.store.runtime
        arguments = (path, 0, 1, 1, runtime.clock.now_us() + 1, runtime.journal.watermark)
        assert Child.end(Child("actors.compacting").start(*arguments)) == (0, b"")
        assert (path / PLAN_NAME).exists()
        assert engine.compact(timedelta(days=1)) == 0
        assert not (path / PLAN_NAME).exists()


def test_the_command_compacts_a_store_that_nobody_has_open(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OrchestrationEngine(path) as engine:
        ids = work(engine)
        assert main(["compact", "--keep-days", "0", "--store", str(path)]) != 0
        assert "open in" in capsys.readouterr().err
    assert main(["compact", "--keep-days", "0", "--store", str(path), "--json"]) == 0
    assert '"archived":' in capsys.readouterr().out
    assert main(["compact", "--keep-days", "0", "--store", str(path.parent / "none")]) != 0
    with StoreReader(path) as reader:
        assert reader.check().problem == ""
        assert len(reader.of(f"job:{ids[0]}")) == 3
    with LmdbLog.open(path, read_only=True) as log:
        assert log.history(f"job:{ids[0]}") == []
    with OrchestrationEngine(path) as engine:
        assert Queue(engine=engine).get_stats()["completed"] == 30


def test_an_engine_compacts_by_itself(path: Path) -> None:
    with OrchestrationEngine(path, retention=timedelta(days=7)) as engine:
        assert engine.store.runtime.keeper.retention is not None


class Stubborn(Compactor):
    """Fails at first, then says that it was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = threading.Event()

    def compact(self, policy: Policy) -> int:
        self.calls += 1
        if self.calls == 1:
            raise StoreError("not now")
        self.called.set()
        return 0

    def close(self) -> None:
        pass


def test_a_compaction_that_fails_is_tried_again_later() -> None:
    compactor = Stubborn()
    retainer = Retainer(compactor, Policy(0, every_s=0.001))
    retainer.start()
    assert compactor.called.wait(30)
    retainer.stop()
    retainer.stop()


def test_forgetting_waits_for_whoever_has_looked_something_up(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        runtime = engine.store.runtime
        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.append(engine.compact(0)))
        with runtime.looking:
            thread.start()
            thread.join(1.5)
            assert not done
        thread.join(60)
        assert done[0] > 0


def test_a_backfill_never_fires_what_was_compacted_away(path: Path) -> None:
    with OrchestrationEngine(path) as engine:
        schedules = ScheduleManager(engine=engine)
        schedules.schedule_cron("hourly", "0 * * * *", functions.ten, queue="mine")
        now = datetime.now(UTC)
        past = (now - timedelta(hours=5), now)
        fired = schedules.backfill("hourly", *past)
        assert fired
        JobScheduler(engine=engine).process(Queue("mine", engine=engine))
        assert schedules.backfill("hourly", *past) == []
        work(engine)  # so that what has fired is not the last that happened, which may be kept
        assert engine.compact(0)
        with pytest.raises(ForgottenIdError):
            schedules.backfill("hourly", *past)
        assert Queue("mine", engine=engine).size() == 0


def test_work_is_taken_though_the_clock_was_set_back_behind_what_is_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new id was taken for one that was forgotten: no run could begin until the clock was there again."""
    four_years_ns, time_ns = 4 * 365 * 86_400 * 10**9, time.time_ns
    monkeypatch.setattr(new_id, "_last_us", 0)
    with OrchestrationEngine(path) as engine:
        monkeypatch.setattr(time, "time_ns", lambda: time_ns() + four_years_ns)
        work(engine, jobs=1)
        monkeypatch.setattr(new_id, "_last_us", 0)  # as if what has happened had been asked for elsewhere
        assert engine.compact(0, archive=False)
        monkeypatch.setattr(time, "time_ns", time_ns)
        work(engine, jobs=1)
    monkeypatch.setattr(new_id, "_last_us", 0)  # as in a new process
    with OrchestrationEngine(path) as engine:
        work(engine, jobs=1)
        schedules = ScheduleManager(engine=engine)
        schedules.schedule_cron("hourly", "0 * * * *", functions.ten)
        assert schedules.trigger("hourly")
        now = datetime.now(UTC)
        assert schedules.backfill("hourly", now - timedelta(hours=2), now)


def test_states_as_of_the_horizon_that_do_not_fit_are_folded_from_the_archive(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OrchestrationEngine(path) as engine:
        work(engine)
        waiting = Queue(engine=engine).schedule(Job("double", functions.double, (21,)), timedelta(hours=1))
        assert engine.compact(0)
        ended = engine.get_metrics()["events_total"]
        state = engine.as_of().state_hash()
    shutil.rmtree(path / "snapshots", ignore_errors=True)
    restore = QueueActor.rules.restore

    def refuse(_self: object, image: Any) -> Any:
        if isinstance(image, list | dict | tuple):  # as code would that lays a state out otherwise
            raise TypeError("not laid out like this any more")
        return restore(image)

    with monkeypatch.context() as patched:
        patched.setattr(type(QueueActor.rules), "restore", refuse)
        with OrchestrationEngine(path) as engine:
            queue = Queue(engine=engine)
            assert queue.get_stats()["completed"] == 30
            assert [job.job_id for job in queue.list_jobs()] == [waiting]
            queue.enqueue(Job("double", functions.double, (4,)))
            JobScheduler(engine=engine).process(queue)
            assert engine.as_of(ended).state_hash() == state
        (archived,) = (path / FOLDER_NAME).iterdir()
        archived.rename(path / "elsewhere")
        with pytest.raises(StoreError, match=archived.name):
            OrchestrationEngine(path)
    with OrchestrationEngine(path) as engine:
        assert Queue(engine=engine).get_stats()["completed"] == 31


def test_a_schedule_that_goes_on_is_found_and_explained_though_its_past_is_forgotten(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = VirtualClock()
    begun = as_datetime(clock.now_us())
    with OrchestrationEngine(path, clock=clock) as engine:
        schedules = ScheduleManager(engine=engine)
        for name in ("hourly", "paused", "gone"):
            schedules.schedule_cron(name, "0 * * * *", functions.ten, queue="mine")
        schedules.backfill("hourly", begun - timedelta(hours=5), begun)
        schedules.pause("paused")
        schedules.cancel("gone")
        work(engine, jobs=1)
        clock.advance(7_200_000_000)
        assert engine.compact(0, archive=False)

        def codes(name: str, hours: int | None = None) -> list[str]:
            at = None if hours is None else begun + timedelta(hours=hours)
            return [reason.code for reason in engine.why(f"schedule:{name}", at=at).reasons]

        assert codes("hourly") == ["next"]
        assert codes("hourly", -3) == codes("paused", -3) == ["forgotten"]
        assert codes("hourly", 1) == ["not_served"]
        assert codes("paused", 1) == ["schedule_paused"]
        assert codes("paused") == ["schedule_paused"]
        schedules.resume("paused")
        assert codes("paused", 1) == ["schedule_paused"]
        assert codes("paused", 9) == ["to_come"]
        schedules.cancel("hourly")
        assert codes("hourly") == ["removed"]
        assert codes("hourly", 1) == ["skipped_missed"]
        with pytest.raises(UnknownIdError):
            engine.why("schedule:gone")
        schedules.pause("paused")
        clock.advance(7_200_000_000)
        work(engine, jobs=1)
        clock.advance(1)
        assert engine.compact(0, archive=False)
    for command in (
        ["show", "paused"],
        ["history", "schedule:paused"],
        ["why", "paused"],
        ["tail", "-n", "99"],
    ):
        assert main([*command, "--store", str(path)]) == 0, command
    assert main(["show", "gone", "--store", str(path)]) == 2
    assert "no events" in capsys.readouterr().out


def test_what_was_due_before_a_schedule_was_replaced_is_explained_though_its_definition_was_forgotten() -> (
    None
):
    """It was said to be from before the schedule was defined."""
    clock = VirtualClock()
    begun = as_datetime(clock.now_us())
    with OrchestrationEngine(":memory:", clock=clock) as engine:
        schedules = ScheduleManager(engine=engine)
        schedules.schedule_cron("hourly", "0 * * * *", functions.ten, queue="mine")
        clock.advance(5_400_000_000)
        work(engine, jobs=1)
        clock.advance(1)
        assert engine.compact(0)
        clock.advance(7_200_000_000)
        schedules.schedule_cron("hourly", "0 * * * *", functions.ten, queue="other")
        codes = [
            [
                reason.code
                for reason in engine.why("schedule:hourly", at=begun + timedelta(hours=hours)).reasons
            ]
            for hours in (-1, 3, 4)
        ]
    assert codes == [["forgotten"], ["skipped_missed"], ["to_come"]]


def test_an_engine_that_could_not_archive_what_it_is_to_forget_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ArchiveError, match="zstandard"):
        OrchestrationEngine(tmp_path / "store", retention=timedelta(days=30))
    assert not (tmp_path / "store").exists()
    OrchestrationEngine(tmp_path / "store", retention=timedelta(days=30), archive=False).close()
    OrchestrationEngine(":memory:", retention=timedelta(days=30)).close()
