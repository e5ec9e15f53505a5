"""The commands that read, prove and copy: what they print, and that nothing of it disturbs anybody."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from actors.folding import event_codec
from actors.runtime.errors import UnresolvedFunctionError, UnresolvedReason
from actors.runtime.fold import snapshot_of
from actors.snapshotting import take_snapshot
from eventstore.lmdb_log import LmdbLog
from eventstore.owner import INFO_NAME
from logistics.audit.exchange import export_lines
from logistics.audit.store_view import StoreView
from logistics.cli import copying
from logistics.cli.interrupts import Interrupted
from logistics.cli.main import main
from logistics.cli.output import cell
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.schedule.manager import ScheduleManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from logistics.testing import VirtualClock, settle
from tests.logistics.audit import functions

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "logistics.cli.main"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "store"
    with OrchestrationEngine(path) as engine:
        queue = Queue("done", engine=engine)
        queue.enqueue(Job("good", functions.one, job_id="good"))
        Queue("limited", engine=engine).pause()
        queue.enqueue(Job("bad", functions.fail, max_retries=0, job_id="bad"))
        JobScheduler(engine=engine).process(queue)
        Queue("later", engine=engine).enqueue(Job("waiting", functions.one, job_id="waiting"))
        workflows = WorkflowManager(engine)
        workflows.create("w").add_step("a", functions.one)
        workflows.run("w")
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
    return path


Said = Callable[..., list[Any]]


@pytest.fixture
def said(store: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command with --json and return the lines it prints."""

    def run(*arguments: str, code: int = 0) -> list[Any]:
        assert main([*arguments, "--json", "--store", str(store)]) == code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_status_counts_everything(said: Said) -> None:
    (facts,) = said("status")
    queues = {row["queue"]: row for row in facts["queues"]}
    assert (queues["done"]["completed"], queues["done"]["failed"], queues["later"]["ready"]) == (1, 1, 1)
    assert facts["runs"]["completed"] == facts["schedules"] == 1
    assert facts["in_use"] == ""
    (before,) = said("status", "--at", "1")
    assert (before["position"], before["queues"]) == (1, [])


def test_lists(said: Said) -> None:
    assert [(row["job_id"], row["status"], row["name"]) for row in said("jobs")] == [
        ("waiting", "PENDING", "waiting")
    ]
    ended = {row["job_id"]: row for row in said("jobs", "--ended", "--queue", "done")}
    assert (ended["good"]["status"], ended["bad"]["status"]) == ("COMPLETED", "FAILED")
    assert "it does not work" in ended["bad"]["error"]
    (run,) = said("runs", "--name", "w")
    assert (run["workflow"], run["status"]) == ("w", "COMPLETED")
    assert said("runs", "--name", "x") == []
    (schedule,) = said("schedules", "list")
    assert (schedule["name"], schedule["runs"]) == ("nightly", 0)
    assert schedule["next"].endswith("T00:00:00Z")


def test_people_are_told_of_what_a_list_leaves_out(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lines(*arguments: str) -> list[str]:
        assert main([*arguments, "--store", str(store)]) == 0
        return capsys.readouterr().out.splitlines()

    assert lines("jobs")[-1] == "those that have ended (3) are shown by --ended"
    assert lines("jobs", "--queue", "later")[-1].startswith("waiting ")
    more = "there are more than these 1: --limit shows them"
    for command in (("jobs", "--ended"), ("events",)):
        assert lines(*command, "-n", "1")[-1] == more
    assert lines("runs", "-n", "1")[-1] != more
    assert more not in lines("jobs", "--ended", "-n", "4")


def test_jobs_are_listed_by_status_and_name(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [row["job_id"] for row in said("jobs", "--status", "failed")] == ["bad"]
    both = said("jobs", "--status", "FAILED", "--status", "pending")
    assert [row["job_id"] for row in both] == ["waiting", "bad"]
    assert [row["job_id"] for row in said("jobs", "--status", "pending")] == ["waiting"]
    assert [row["job_id"] for row in said("jobs", "--ended", "--name", "good")] == ["good"]
    assert main(["jobs", "--status", "lost", "--store", str(store)]) == 2
    assert "status: expected one of PENDING, SCHEDULED" in capsys.readouterr().err
    assert main(["jobs", "--status", "failed", "--at", "3", "--store", str(store)]) == 2
    assert "--at: of a moment only" in capsys.readouterr().err


def test_a_job_is_shown_with_its_attempts(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad,) = said("show", "bad")
    assert (bad["queue"], bad["status"], bad["tries"], bad["result"]) == ("done", "FAILED", 1, None)
    assert bad["function"] == "tests.logistics.audit.functions:fail"
    assert bad["traceback"].splitlines()[-1] == bad["error"]
    (attempt,) = bad["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["error"]) == (1, "failed", bad["error"])
    assert said("show", "good")[0]["result"] == 1
    assert said("show", "job:waiting")[0]["attempts"] == []
    assert main(["show", "bad", "--store", str(store)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert ["function", bad["function"]] in [line.split() for line in shown]
    assert shown[-1] == bad["error"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(7e-05, "0.00007"), (1.0, "1"), (0.5, "0.5"), (100.0, "100"), (0.0, "0"), (1e300, "1e+300")],
)
def test_a_number_is_shown_without_an_exponent(value: float, text: str) -> None:
    assert cell(value) == text


def test_a_schedule_is_shown_with_what_is_to_come(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (listed,) = said("schedules", "list")
    (nightly,) = said("show", "nightly")
    assert len(nightly.pop("to_come")) == 5
    assert nightly == listed
    assert (listed["when"], listed["zone"], listed["state"]) == ("0 0 * * *", "UTC", "")
    assert main(["show", "schedule:nightly", "--store", str(store)]) == 0
    told = capsys.readouterr().out
    assert "0 0 * * *" in told
    assert "triggered or backfilled, too: logistics history schedule:nightly" in told


def test_what_events_say_is_named_for_people_and_as_published_for_programs(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (enqueued,) = said("events", "--pattern", "job.enqueued", "-n", "1")
    assert enqueued["data"]["spec"][:2] == ["good", "done"]
    assert main(["show", str(enqueued["position"]), "--store", str(store)]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("data"))
    assert data["spec"] == {
        "job_id": "good",
        "queue": "done",
        "name": "good",
        "function": "tests.logistics.audit.functions:one",
        "payload": [[], {}],
    }


def test_differences_show_people_only_what_is_not_the_same(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = [row["tag"] for row in said("events")]
    ended = tags.index("job.completed") + 1
    moments = (str(ended - 1), str(ended))
    (whole,) = [row for row in said("diff", *moments) if row["part"] == "queues"]
    assert "ready" in whole["before"]
    assert main(["diff", *moments, "--store", str(store)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("queues ")]
    assert "COMPLETED" in line
    assert "ready" not in line


def test_a_run_is_shown_with_its_steps_and_their_times(
    said: Said, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = said("runs", "--status", "completed")
    (shown,) = said("show", row["run_id"])
    (step,) = shown.pop("steps")
    assert shown == row
    assert (step["step"], step["status"], len(step["attempts"])) == ("a", "COMPLETED", 1)
    attempt = step["attempts"][0]
    assert attempt["outcome"] == "completed"
    assert step["queued"] <= attempt["started"] == step["started"] <= attempt["ended"] == step["ended"]
    assert step["seconds"] >= 0
    assert main(["show", row["run_id"], "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["a", "COMPLETED"] for line in lines)
    assert said("runs", "--status", "failed") == []


def test_runs_that_wait_are_paused_or_have_no_function_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store) as engine:
        workflows = WorkflowManager(engine)
        workflows.create("w").add_wait("approval").add_step("a", functions.one)
        for paused in (False, True):
            run = workflows.start("w")
            if paused:
                run.pause()
        workflows.create("parked").add_step("a", functions.one, queue="q")
        parked = workflows.start("parked")
        with pytest.MonkeyPatch.context() as away:
            away.setattr(engine.functions, "resolve", _not_found)
            away.setattr(engine.functions, "knows", lambda _ref: False)
            JobScheduler(engine=engine).process(Queue("q", engine=engine))
        assert parked.status == "PARKED"
    assert main(["runs", "--json", "--store", str(store)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["status"] for row in rows] == ["PARKED", "PAUSED", "WAITING"]
    errors = [row["error"] for row in rows]
    assert errors[1:] == [None, None]
    assert errors[0].endswith("it is away")


def test_attempts_of_jobs_are_counted_alike_whether_those_that_have_ended_are_listed_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store, clock=VirtualClock()) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue(Job("snoozed", functions.not_now, max_retries=0, job_id="snoozed"))
        queue.enqueue(Job("retrying", functions.fail, max_retries=1, retry_delay=3600, job_id="retrying"))
        queue.enqueue(Job("again", functions.fail, max_retries=0, job_id="again"))
        queue.enqueue(Job("parked", functions.one, max_retries=0, job_id="parked"))
        with pytest.MonkeyPatch.context() as away:
            known = engine.functions.resolve
            away.setattr(engine.functions, "knows", lambda ref: not ref.endswith("one"))
            away.setattr(
                engine.functions, "resolve", lambda ref: (_not_found if ref.endswith("one") else known)(ref)
            )
            scheduler = JobScheduler(engine=engine)
            scheduler.start(queue)
            settle(engine)
            scheduler.stop()
        queue.retry("again")
        assert queue.get_status("parked") == "UNRESOLVED"
        jobs = [queue.get_job(job_id) for job_id in ("snoozed", "retrying", "again", "parked")]
        counts = {job.job_id: job.attempts for job in jobs if job is not None}
    assert counts == {"snoozed": 0, "retrying": 1, "again": 0, "parked": 0}
    for command in (["jobs"], ["jobs", "--ended"]):
        assert main([*command, "--json", "--store", str(store)]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {row["job_id"]: row["attempts"] for row in rows} == counts


def test_who_reads_after_a_power_failure_is_told_that_the_last_commit_may_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store"
    with OrchestrationEngine(path) as engine:
        Queue("q", engine=engine).enqueue(Job("one", functions.one))
        living = (path / INFO_NAME).read_bytes()
    told = []
    for owner in (living, b'{"pid":1,"boot_id":"another","since":""}'):
        (path / INFO_NAME).write_bytes(owner)
        assert main(["jobs", "--store", str(path)]) == 0
        told.append(capsys.readouterr().err)
    OrchestrationEngine(path).close()
    assert main(["jobs", "--store", str(path)]) == 0
    told.append(capsys.readouterr().err)
    assert told[::2] == ["", ""]
    assert told[1] == (
        f"logistics: {path} was in use when the machine went down: its last commit may be missing here until a "
        "program opens the store; `logistics doctor` says whether it is\n"
    )


def test_an_id_alone_is_the_run_that_a_schedule_began_and_not_the_job_that_began_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store, clock=VirtualClock()) as engine:
        workflow = WorkflowManager(engine).create("w").add_step("a", functions.fail)
        schedules = ScheduleManager(engine=engine)
        schedules.schedule_cron("nightly", "0 0 * * *", workflow)
        run_id = schedules.trigger("nightly")
        schedules.start()
        settle(engine)
        run = WorkflowManager(engine).get_run(run_id)
        assert run is not None
        assert run.result(60).status == "FAILED"
        assert engine.why(run_id).subject == f"run:{run_id}"
    for command in (["show", run_id], ["why", run_id], ["history", run_id]):
        assert main([*command, "--store", str(store)]) == 0
        assert "it does not work" in capsys.readouterr().out


def test_a_job_that_waits_after_a_failure_is_listed_with_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    with OrchestrationEngine(store, clock=VirtualClock()) as engine:
        queue = Queue("q", engine=engine)
        queue.enqueue(Job("fail", functions.fail, max_retries=1, retry_delay=3600, jitter=False))
        before = engine.as_of().position
        JobScheduler(engine=engine).start(queue)
        settle(engine)
    assert main(["jobs", "--json", "--store", str(store)]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["status"], row["error"]) == ("RETRYING", "ValueError: it does not work")
    assert main(["jobs", "--json", "--at", str(before), "--store", str(store)]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["status"], row["error"]) == ("PENDING", None)


def _not_found(ref: str) -> None:
    raise UnresolvedFunctionError(ref, UnresolvedReason.NOT_FOUND, "it is away")


def test_an_unknown_status_is_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--status", "lost", "--store", str(store)]) == 2
    assert "status: expected one of PENDING, RUNNING" in capsys.readouterr().err


def test_events_one_by_one_and_of_one_thing(said: Said) -> None:
    events = said("events")
    assert [row["position"] for row in events] == list(range(1, len(events) + 1))
    assert [row["tag"] for row in said("history", "good")] == ["job.enqueued", "job.started", "job.completed"]
    assert said("history", "job:good") == said("history", "good")
    last = said("history", "good")[-1]
    assert said("show", str(last["position"])) == [last]
    assert said("show", "queue:limited") == [said("history", "queue:limited")[-1]]
    assert {row["tag"] for row in said("events", "--pattern", "run.*")} >= {"run.created", "run.completed"}
    assert said("events", "--after", "3", "--upto", "5", "-n", "1") == events[3:4]
    assert said("tail", "-n", "2") == events[-2:]


def test_a_tail_says_what_each_event_is_about(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "-n", "1000", "--store", str(store)]) == 0
    lines = [line.split(maxsplit=4)[2:] for line in capsys.readouterr().out.splitlines()]
    assert ["job.enqueued", "job:waiting", "waiting"] in lines
    (failed,) = [line for line in lines if line[0] == "job.failed"]
    assert failed[1:] == ["job:bad", "ValueError: it does not work"]


def test_proofs(said: Said, store: Path, tmp_path: Path) -> None:
    (facts,) = said("verify", "--deep")
    assert facts["problem"] == ""
    (replayed,) = said("replay")
    assert replayed["state_hash"] == facts["state_hash"]
    (with_state,) = said("replay", "--to", "4", "--state")
    assert set(with_state["state"]) == {"supervisor", "queue", "scheduler", "clock"}
    assert {row["part"] for row in said("diff", "1")} >= {"queues", "run_totals", "schedules"}
    assert said("diff", "3", "3") == []


def test_f43_a_deep_look_says_what_it_compared_and_finds_a_snapshot_of_another_state(
    store: Path, tmp_path: Path, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    """A snapshot of the same code that gives another state: a fold that was not what it seemed."""
    (facts,) = said("verify", "--deep")
    assert facts["snapshots"].startswith("none")
    copy = tmp_path / "copy"
    assert main(["backup", str(copy), "--store", str(store)]) == 0
    take_snapshot(copy, facts["position"])
    capsys.readouterr()
    assert main(["verify", "--deep", "--json", "--store", str(copy)]) == 0
    deep = json.loads(capsys.readouterr().out)
    assert deep["snapshots"] == dict.fromkeys(
        ("supervisor", "queue", "scheduler", "clock"), facts["position"]
    )
    assert deep["state_hash"] == facts["state_hash"]
    with LmdbLog.open(copy) as log:
        states = StoreView(log, event_codec(), 3)._states
        log.save_snapshot("queue", facts["position"], snapshot_of(states["queue"]))
    assert main(["verify", "--deep", "--json", "--store", str(copy)]) == 1
    assert "another state" in json.loads(capsys.readouterr().out)["problem"]


def test_a_store_that_is_not_whole_fails_to_verify(store: Path, tmp_path: Path, said: Said) -> None:
    copy = tmp_path / "copy"
    assert main(["backup", str(copy), "--store", str(store)]) == 0
    data = copy / "data.mdb"
    content = bytearray(data.read_bytes())
    at = -1
    while (at := content.find(b"waiting", at + 1)) >= 0:
        content[at] ^= 1
    data.write_bytes(content)
    assert main(["verify", "--store", str(copy)]) == 1
    assert main(["restore", str(copy), "--store", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


def test_copies_go_out_and_come_back(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["backup", str(tmp_path / "backup"), "--store", str(store)],
        ["restore", str(tmp_path / "backup"), "--store", str(tmp_path / "restored")],
        ["export", "--output", str(tmp_path / "lines"), "--store", str(store)],
        ["verify", "--export", str(tmp_path / "lines")],
        ["import", str(tmp_path / "lines"), "--store", str(tmp_path / "imported")],
    ):
        assert main(arguments) == 0, capsys.readouterr().err
    assert f"bytes  {(tmp_path / 'lines').stat().st_size}" in capsys.readouterr().out
    heads = set()
    for name in (store, tmp_path / "restored", tmp_path / "imported"):
        with LmdbLog.open(name, read_only=True) as log:
            heads.add(log.head)
    assert len(heads) == 1
    for arguments in (
        ["backup", str(tmp_path / "backup"), "--store", str(store)],
        ["restore", str(tmp_path / "backup"), "--store", str(tmp_path / "restored")],
        ["import", str(tmp_path / "lines"), "--store", str(tmp_path / "imported")],
        ["export", "--output", str(tmp_path / "lines"), "--store", str(store)],
    ):
        assert main(arguments) == 2
    lines = (tmp_path / "lines").read_bytes().splitlines(keepends=True)
    (tmp_path / "fewer").write_bytes(b"".join(lines[:-1]))
    assert main(["verify", "--export", str(tmp_path / "fewer")]) == 1
    there = set(tmp_path.iterdir())
    assert main(["import", str(tmp_path / "fewer"), "--store", str(tmp_path / "part")]) == 2
    assert main(["import", str(store / "STORE"), "--store", str(tmp_path / "part")]) == 2
    assert set(tmp_path.iterdir()) == there


def test_a_moment_may_be_said_as_how_long_ago_and_a_rehearsal_as_how_long(said: Said) -> None:
    assert said("events", "--upto", "7d") == []
    assert said("events", "--after", "7d") == said("events", "--upto", "0s") == said("events")
    assert [each["schedule"] for each in said("rehearse", "--until", "36h")[0]["schedules"]] == ["nightly"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Interrupted(2)])
def test_an_export_that_is_not_written_whole_leaves_nothing(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    def some(*what: Any) -> Iterator[bytes]:
        yield from islice(export_lines(*what), 3)
        raise error

    monkeypatch.setattr(copying, "export_lines", some)
    there, code = set(tmp_path.iterdir()), 2 if isinstance(error, OSError) else 130
    assert main(["export", "-o", str(tmp_path / "lines"), "--store", str(store)]) == code
    assert set(tmp_path.iterdir()) == there
    assert "goes on" not in capsys.readouterr().err, "an export begins anew"


def test_an_export_is_durable_with_its_name(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        named = (tmp_path / "lines").exists()
        synced.append((named, os.path.samestat(os.fstat(descriptor), tmp_path.stat())))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    assert main(["export", "-o", str(tmp_path / "lines"), "--store", str(store)]) == 0
    assert synced == [(False, False), (True, True)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["status", "--store", "nowhere"], "there is no store at "),
        (
            ["doctor", "--store", "nowhere"],
            "nowhere. Name the folder of a store, here or in $LOGISTICS_HOME.",
        ),
        (["restore", "nowhere", "--store", "new"], "nowhere is no backup: it has no file STORE. Name a"),
        (["schedules", "pause", "x", "--store", "nowhere"], "Name the folder of a store"),
        (["schedules", "preview", "x"], "no schedule 'x' on record"),
        (["status", "--store", ":memory:"], "in memory"),
        (["show", "nobody"], "nothing on record is called 'nobody'"),
        (["show", "999999"], "nothing is at position 999999"),
        (["show", "0"], "nothing is at position 0"),
        (["history", "job:nobody"], "nothing on record"),
        (["status", "--at", "soon"], "expected a position, an instant"),
        (["status", "--at", "9999999999d"], "or a span like 2h, got '9999999999d'"),
        (["rehearse", "--until", "5"], "--until: expected an instant like"),
        (["status", "--at", "999999"], "expected a position from 0"),
        (["diff", "x"], "expected a position, an instant"),
        (["verify", "--export", "/nowhere"], "No such file"),
        (["import", "/nowhere"], "No such file"),
        (["events", "--limit", "0"], "limit"),
    ],
)
def test_f39_mistakes_are_one_line_and_code_2(
    *,
    arguments: list[str],
    text: str,
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(store))
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert text in told.err


def test_people_get_tables_without_control_characters(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGISTICS_HOME", str(store))
    for arguments in (
        ["status"],
        ["jobs", "--ended"],
        ["runs"],
        ["schedules", "list"],
        ["events"],
        ["tail"],
        ["show", "bad"],
    ):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert out.strip()
    assert main(["jobs", "--queue", "empty"]) == 0
    assert capsys.readouterr().out == "no jobs\n"
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["problem", "none"]


@pytest.mark.no_cover
def test_f95_a_poor_locale_and_a_narrow_terminal_harm_nobody(store: Path) -> None:
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "COLUMNS": "40",
        "PYTHONUTF8": "0",
    }
    for arguments in (["jobs", "--ended"], ["status"], ["events", "--json"]):
        child = subprocess.run(
            [*COMMAND, *arguments, "--store", str(store)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert (child.returncode, child.stderr) == (0, b"")


@pytest.mark.parametrize(
    "arguments",
    [["events", "--json"], ["jobs", "--ended"], ["--help"], ["runs", "--help"], ["schema"]],
    ids=" ".join,
)
def test_f95_a_command_ends_quietly_when_nobody_reads_what_it_prints(
    store: Path, arguments: list[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, "LOGISTICS_HOME": str(store)},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (child.returncode, child.stderr) == (141, b"")


@pytest.mark.no_cover
@pytest.mark.parametrize(("arguments", "code"), [("jobs --ended", 0), ("--help", 0), ("jobs --nonsense", 2)])
def test_a_command_that_has_nowhere_to_print_to_ends_quietly(store: Path, arguments: str, code: int) -> None:
    child = subprocess.run(
        ["sh", "-c", f'exec "$0" -m logistics {arguments} >&- 2>&-', sys.executable],
        cwd=ROOT,
        env={**os.environ, "LOGISTICS_HOME": str(store)},
        check=False,
    )
    assert child.returncode == code


@pytest.mark.no_cover
def test_the_command_is_a_module_too(store: Path) -> None:
    command = [sys.executable, "-m", "logistics", "status", "--json"]
    environment = {**os.environ, "LOGISTICS_HOME": str(store)}
    child = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert json.loads(child.stdout)["in_use"] is not None


WRITER = """
import sys
from logistics import Job, OrchestrationEngine, Queue
from logistics.testing import VirtualClock, settle
from tests.logistics.audit import functions
with OrchestrationEngine(sys.argv[1]) as engine:
    queue = Queue("q", engine=engine)
    print("ready", flush=True)
    while True:
        queue.enqueue_many([Job("j", functions.one) for _ in range(4)])
"""


@pytest.mark.no_cover
def test_f94_readers_beside_a_working_process_see_whole_prefixes_also_when_it_is_killed(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(store)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == b"ready\n"
        tail = subprocess.Popen(
            [*COMMAND, "tail", "--follow", "--json", "-n", "0", "--store", str(store)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert tail.stdout is not None
        positions = [json.loads(tail.stdout.readline())["position"] for _ in range(200)]
        assert positions == list(range(positions[0], positions[0] + 200))
        tail.kill()
        tail.wait()
        tail.stdout.close()
        facts = _json("status", store)
        assert f"process {writer.pid}," in facts["in_use"]
        (queue,) = facts["queues"]
        assert queue["ready"] % 4 == 0  # a frame is seen whole or not at all
        assert queue["ready"] == facts["position"] - 1
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert _json("verify", store)["problem"] == ""
    with OrchestrationEngine(store) as engine:
        assert Queue("q", engine=engine).size() % 4 == 0


def _json(command: str, store: Path) -> Any:
    child = subprocess.run(
        [*COMMAND, command, "--json", "--store", str(store)], cwd=ROOT, capture_output=True, check=True
    )
    return json.loads(child.stdout)


def test_events_come_in_the_shape_of_cloud_events(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for command in ("events", "tail"):
        arguments = [
            command,
            "--pattern",
            "job.failed",
            "-n",
            "1000",
            "--cloud-events",
            "--store",
            str(store),
        ]
        assert main(arguments) == 0
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1]
    (event,) = map(json.loads, lines[0].splitlines())
    assert (event["type"], event["subject"]) == ("logistics.job.failed", "job:bad")
    assert event["source"].startswith("urn:logistics:")
