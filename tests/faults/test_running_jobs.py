"""Jobs in processes and on the event loop, and what becomes of them when they die, hang, or are left alone."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from actors.queue.events import JobFailed, JobStarted
from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobLife, JobSpec, RetryPolicy
from actors.runtime.clock import VirtualClock
from actors.runtime.output import KEPT_BYTES
from actors.runtime.values import encode_call
from logistics import (
    InputError,
    Job,
    JobCancelledError,
    JobFailedError,
    JobScheduler,
    JobStatus,
    OrchestrationEngine,
    Queue,
)
from tests.faults import jobs as do
from tests.logistics.task.support import pass_time
from tests.support.scale import scaled

PATIENCE_S = 60.0
TIMES = 30
"""How much longer than the catalogue of faults allows something may take here: this machine may be busy."""
REPLACED_S = 2.0
"""How soon another process takes jobs when one has died (F68)."""
ORPHANED_S = 2.0
"""How soon a process is gone whose parent has died (F75)."""
CALL = encode_call((), {})


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(clock: VirtualClock) -> Iterator[Queue]:
    with OrchestrationEngine(":memory:", workers=2, clock=clock) as engine:
        queue = Queue("work", engine=engine)
        scheduler = JobScheduler(engine=engine)
        scheduler.start("work")
        yield queue
        scheduler.stop()
        engine.close(0)


def process_job(func: Callable[..., Any], *args: Any, **more: Any) -> Job:
    return Job(func.__name__, func, args, executor="process", **{"max_retries": 0, **more})


def run(queue: Queue, job: Job) -> Any:
    return queue.result(queue.enqueue(job), PATIENCE_S)


def appears(path: Path) -> None:
    """Wait for a file."""
    waiting = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        if path.exists():
            return
        waiting.wait(0.01)
    raise AssertionError(f"{path} never came")


def is_gone(pid: int, within_s: float) -> bool:
    """Whether a process ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], within_s)
    finally:
        os.close(descriptor)
    return bool(ready)


needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux has it")


def test_a_job_runs_in_a_process_of_its_own_which_is_used_again(queue: Queue) -> None:
    first = run(queue, process_job(do.whereabouts))
    assert first != os.getpid()
    assert run(queue, process_job(do.whereabouts)) == first
    assert run(queue, Job("here", do.whereabouts)) == os.getpid()
    assert run(queue, process_job(do.add, 1, 2)) == 3


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_a_job_in_a_process_may_start_processes_of_its_own(way: str, queue: Queue) -> None:
    assert run(queue, process_job(do.squares_elsewhere, way, [2, 3])) == [4, 9]
    assert run(queue, process_job(do.squares_elsewhere, way, [4])) == [16]


def test_the_pipe_to_a_process_blocks_also_where_sockets_do_not(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of gevent, once it has taken the place of the standard library, say that they do."""

    class Unblocking(socket.socket):
        def setblocking(self, _flag: bool, /) -> None:
            super().setblocking(False)

    def pair() -> list[Unblocking]:
        ends = [Unblocking(fileno=end.detach()) for end in real()]
        for end in ends:
            end.setblocking(True)
        return ends

    real = socket.socketpair
    monkeypatch.setattr(socket, "socketpair", pair)
    assert run(queue, process_job(do.add, 1, 2)) == 3


def test_an_engine_says_where_its_jobs_run_and_a_job_may_say_otherwise() -> None:
    with OrchestrationEngine(":memory:", executor="process") as engine:
        queue = Queue(engine=engine)
        there, here = Job("there", do.whereabouts), Job("here", do.whereabouts, executor="thread")
        ids = queue.enqueue_many([there, here])
        JobScheduler(engine=engine).process(queue)
        assert [queue.result(job_id) == os.getpid() for job_id in ids] == [False, True]


@pytest.mark.parametrize(
    ("func", "how"),
    [
        (do.killed, r"signal 9 \(SIGKILL\)"),
        (do.exits, "exit code 3"),
        (do.crashes, r"signal 11 \(SIGSEGV\)"),
    ],
)
def test_f68_a_worker_that_dies_costs_its_own_attempt_only(
    queue: Queue, func: Callable[..., Any], how: str
) -> None:
    innocent = run(queue, process_job(do.whereabouts))
    with pytest.raises(JobFailedError, match=f"WorkerDied: the process that ran it .*{how}"):
        run(queue, process_job(func))
    died_s = time.monotonic()
    others = [queue.enqueue(process_job(do.add, n, n)) for n in range(4)]
    assert [queue.result(job_id, PATIENCE_S) for job_id in others] == [0, 2, 4, 6]
    assert time.monotonic() - died_s < TIMES * REPLACED_S
    for job_id in others:
        started = [
            event for _, event in queue.engine.history(f"job:{job_id}") if isinstance(event, JobStarted)
        ]
        assert len(started) == 1
    assert innocent != os.getpid()


def test_f68_an_idle_worker_that_is_killed_costs_nobody_anything(queue: Queue) -> None:
    pid = run(queue, process_job(do.whereabouts))
    os.kill(pid, signal.SIGKILL)
    assert run(queue, process_job(do.whereabouts)) != pid


def test_f69_a_process_outlives_a_job_that_wants_to_exit(queue: Queue) -> None:
    pid = run(queue, process_job(do.whereabouts))
    with pytest.raises(JobFailedError, match="SystemExit: 3"):
        run(queue, process_job(do.raises_system_exit))
    assert run(queue, process_job(do.whereabouts)) == pid


@pytest.mark.parametrize(
    ("func", "error"), [(do.raises_unpicklable, "ValueError: handle"), (do.returns_handle, "PayloadError")]
)
def test_f70_what_cannot_be_sent_back_is_told_as_text(
    queue: Queue, func: Callable[..., Any], error: str
) -> None:
    with pytest.raises(JobFailedError, match=error):
        run(queue, process_job(func))


@needs_pidfd
@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_f73_a_process_that_never_ends_is_killed(
    queue: Queue, clock: VirtualClock, tmp_path: Path, how: str
) -> None:
    note = tmp_path / "pid"
    job_id = queue.enqueue(process_job(do.never_ends, str(note), timeout=5))
    appears(note)
    pid = int(note.read_text())
    if how == "cancel":
        assert queue.cancel(job_id)
    else:
        pass_time(queue.engine, clock, 5)
    with pytest.raises(JobFailedError if how == "timeout" else JobCancelledError):
        queue.result(job_id, PATIENCE_S)
    assert is_gone(pid, PATIENCE_S)
    assert run(queue, process_job(do.add, 1, 2)) == 3


PARENT = """
import sys
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.faults import jobs

if __name__ == "__main__":
    engine = OrchestrationEngine(":memory:")
    queue = Queue("work", engine=engine)
    queue.enqueue(Job("stays", jobs.never_ends, [sys.argv[1]], executor="process"))
    JobScheduler(engine=engine).process(queue)
"""


@needs_pidfd
def test_f75_a_worker_whose_parent_was_killed_ends(tmp_path: Path) -> None:
    script, note = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(note)], env={**os.environ, "PYTHONPATH": root}
    )
    try:
        appears(note)
    finally:
        parent.kill()
        parent.wait()
    assert is_gone(int(note.read_text()), TIMES * ORPHANED_S)


def test_f77_what_a_job_spoils_it_spoils_in_its_process(queue: Queue, tmp_path: Path) -> None:
    before = Path.cwd()
    assert run(queue, process_job(do.spoils, str(tmp_path))) == str(tmp_path)
    assert Path.cwd() == before
    assert "SPOILT" not in os.environ


def test_f77_a_process_serves_only_so_many_attempts(tmp_path: Path) -> None:
    with OrchestrationEngine(
        tmp_path / "store", workers=1, executor="process", max_tasks_per_child=2
    ) as engine:
        queue = Queue(engine=engine)
        ids = queue.enqueue_many(Job("where", do.whereabouts) for _ in range(5))
        JobScheduler(engine=engine).process(queue)
        pids = [queue.result(job_id) for job_id in ids]
    assert pids[0] == pids[1]
    assert pids[2] == pids[3]
    assert len(set(pids)) == 3
    with pytest.raises(InputError, match="max_tasks_per_child: expected"):
        OrchestrationEngine(":memory:", max_tasks_per_child=0)


def test_f76_of_what_a_process_prints_the_end_is_kept_as_plain_text(queue: Queue) -> None:
    much = scaled("PRINTED_MIB", 8) << 20
    job_id = queue.enqueue(process_job(do.prints, much))
    queue.result(job_id, PATIENCE_S)
    output = queue.get_output(job_id)
    assert len(output) < KEPT_BYTES + 100
    first, *_, told, end = output.splitlines()
    assert first.endswith("bytes before this were not kept)")
    assert int(first[1:].split()[0]) > much - KEPT_BYTES
    assert told == "red \ufffd and bell"
    assert end == "the end"
    events = [entry.event for entry in queue.get_history(job_id)]
    assert events == ["job.enqueued", "job.started", "attempt.printed", "job.completed"]
    again = queue.enqueue(process_job(do.add, 1, 2))
    assert queue.result(again, PATIENCE_S) == 3
    assert queue.get_output(again) == "", "nothing is left over from the attempt before"


def test_f76_what_a_process_printed_outlives_it(queue: Queue) -> None:
    job_id = queue.enqueue(process_job(do.prints_and_dies))
    with pytest.raises(JobFailedError, match="SIGKILL"):
        queue.result(job_id, PATIENCE_S)
    assert queue.get_output(job_id) == "last words\n"
    other = queue.enqueue(process_job(do.prints_in_a_child))
    queue.result(other, PATIENCE_S)
    assert queue.get_output(other, attempt=1) == "from a child\n"
    assert queue.get_output(other, attempt=2) == ""


def test_a_job_in_a_process_has_its_context(queue: Queue) -> None:
    job_id = queue.enqueue(process_job(do.reports, heartbeat=600))
    assert queue.result(job_id, PATIENCE_S) == [job_id, 1, False]


def test_closing_ends_processes_at_nobodys_charge(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    engine = OrchestrationEngine(tmp_path / "store")
    queue = Queue("work", engine=engine)
    job_id = queue.enqueue(process_job(do.never_ends, str(note)))
    JobScheduler(engine=engine).start("work")
    appears(note)
    engine.close(0)
    with OrchestrationEngine(tmp_path / "store") as again:
        job = Queue("work", engine=again).get_job(job_id)
        assert job is not None
        assert (job.status, job.attempts) == (JobStatus.PENDING, 0)


def test_an_executor_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="executor: expected 'thread' or 'process', got 'fibre'"):
        Job("j", do.add, executor="fibre")
    with pytest.raises(InputError, match="executor: expected"):
        OrchestrationEngine(":memory:", executor="fibre")


# -- the event loop --------------------------------------------------------------------------------------


def test_all_coroutines_run_on_one_loop(queue: Queue) -> None:
    ids = queue.enqueue_many([Job("loop", do.on_a_loop) for _ in range(6)])
    assert len({queue.result(job_id, PATIENCE_S) for job_id in ids}) == 1


def test_f69_a_coroutine_that_wants_to_exit_ends_itself_only(queue: Queue) -> None:
    loop = run(queue, Job("loop", do.on_a_loop))
    with pytest.raises(JobFailedError, match="SystemExit: 3"):
        run(queue, Job("exits", do.raises_system_exit_on_a_loop, max_retries=0))
    assert run(queue, Job("loop", do.on_a_loop)) == loop


def test_a_coroutine_is_cancelled_with_its_job(queue: Queue, tmp_path: Path) -> None:
    note = tmp_path / "ended"
    job_id = queue.enqueue(Job("stays", do.never_ends_on_a_loop, [str(note)]))
    appears(tmp_path / "ended.begun")
    assert queue.cancel(job_id)
    appears(note)


# -- functions that cannot be had, and whatever they raise ---------------------------------------------------


HOLD = threading.Event()


@pytest.mark.parametrize(
    ("body", "error"),
    [("raise RuntimeError('no')", "IMPORT_FAILED"), ("raise SystemExit(3)", "IMPORT_FAILED")],
)
def test_f71_a_job_whose_function_cannot_be_had_waits_and_others_run(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, error: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_module.py").write_text(body + "\n\ndef work():\n    return 1\n")
    unresolved: SimpleQueue[Any] = SimpleQueue()
    queue.engine.subscribe("job.unresolved", lambda event, _position: unresolved.put(event))
    job_id = queue.engine.send(
        EnqueueJobs(jobs=(JobSpec("broken", "work", "n", "broken_module:work", CALL),))
    )[0]
    assert run(queue, Job("other", do.add, (1, 2))) == 3
    assert unresolved.get(timeout=PATIENCE_S).job_id == job_id
    job = queue.get_job(job_id)
    assert job is not None
    assert (job.status, job.attempts) == (JobStatus.UNRESOLVED, 0)
    assert error in str(job.error)


def test_f72_an_import_that_hangs_is_given_up_by_the_timeout(
    queue: Queue, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    begun = tmp_path / "begun"
    (tmp_path / "slow_module.py").write_text(
        f"from pathlib import Path\nPath({str(begun)!r}).touch()\n"
        "from tests.faults.test_running_jobs import HOLD\nHOLD.wait()\n\ndef work():\n    return 1\n"
    )
    life = JobLife(timeout_us=5_000_000)
    spec = JobSpec("slow", "work", "n", "slow_module:work", CALL, retry=RetryPolicy(0), life=life)
    ended = queue.engine.watch("job:slow")  # `result` would look for the function, too
    queue.engine.send(EnqueueJobs(jobs=(spec,)))
    appears(begun)
    pass_time(queue.engine, clock, 5)
    try:
        event = ended.get(PATIENCE_S)
        assert isinstance(event, JobFailed)
        assert event.error == "TimeoutError: attempt 1 did not end within 5 s"
        assert run(queue, Job("other", do.add, (1, 2))) == 3
    finally:
        HOLD.set()


def test_f68_a_worker_that_dies_is_noticed_although_it_leaves_a_child_behind(
    queue: Queue, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    try:
        with pytest.raises(JobFailedError, match="SIGKILL"):
            run(queue, process_job(do.forks_and_dies, str(note)))
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


def test_f77_who_closes_the_output_closes_it_for_nobody_else(queue: Queue) -> None:
    run(queue, process_job(do.closes_output))
    run(queue, process_job(do.prints, 1024))


@needs_pidfd
def test_f77_a_child_that_a_job_forked_does_not_answer_for_it_nor_for_the_next_one(queue: Queue) -> None:
    assert run(queue, process_job(do.forks)) == "parent"
    assert run(queue, process_job(do.add, 1, 2)) == 3


def test_f77_sigterm_ends_what_a_job_in_a_process_has_started(queue: Queue) -> None:
    """Though it does not end the process itself, whose end is its parent's affair."""
    ended = -signal.SIGTERM
    assert run(queue, process_job(do.terminates_its_children)) == [ended, ended]


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_f69_a_retry_of_one_s_own_that_does_not_say_when_is_a_failure(queue: Queue, executor: str) -> None:
    with pytest.raises(JobFailedError, match="Limited: 429"):
        run(queue, Job("limited", do.is_limited, executor=executor, max_retries=0))


@pytest.mark.parametrize("executor", ["thread", "process"])
@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"])
def test_f69_whatever_a_function_raises_ends_its_attempt_only(queue: Queue, executor: str, kind: str) -> None:
    with pytest.raises(JobFailedError, match=f"{kind}: no"):
        run(queue, Job("raises", do.raises, (kind,), executor=executor, max_retries=0))
    assert run(queue, Job("other", do.add, (1, 2), executor=executor)) == 3
