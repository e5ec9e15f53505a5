"""The child of the kill campaign: the same orders in every life, told to the parent as each is answered.

Run as `python -m tests.faults.campaign STORE LINES JOBS RUNS`. It says `begin`, `open`, `job ID` and
`run ID` for what was acknowledged, `ran` for each execution, `idle` when nothing is left; a line on its
input has it close and end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import RetryPolicy
from actors.runtime.attempt import AttemptContext
from actors.runtime.errors import EngineClosedError
from actors.runtime.values import encode_call
from actors.workflow.messages import GetTotals, StartRun
from actors.workflow.specs import Plan, PlanStep, RunStatus
from eventstore.errors import OutcomeUnknownError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job_scheduler import JobScheduler
from logistics.task.waiting import wait_until_idle
from tests.faults import tasks
from tests.faults.children import say

WORKERS = 4
PAUSE_MS = 12
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((), (0,), (1,)),
    ((), (), (0, 1)),
    ((), (0,), (0,), (1, 2)),
)
"""What each step depends on."""


def until_closed(order: Callable[..., None]) -> Callable[..., None]:
    """Have a thread end in peace when the engine is closed under it."""

    def ordering(*given: Any) -> None:
        with suppress(EngineClosedError, OutcomeUnknownError):
            order(*given)

    return ordering


def job_ids(number: int) -> list[str]:
    """Return the ids of the campaign's jobs."""
    return [f"job-{index}" for index in range(number)]


def run_ids(number: int) -> list[str]:
    """Return the ids of the campaign's runs."""
    return [f"run-{index}" for index in range(number)]


def failures(index: int) -> int:
    """Return how often a job fails: one in 25 always, one in 5 once or twice."""
    if index % 25 == 7:
        return 1_000_000
    return 1 + index % 2 if index % 5 == 1 else 0


def start_run(run_id: str, index: int, path: str) -> StartRun:
    """Return the order for a run."""
    shape = SHAPES[index % len(SHAPES)]
    steps = tuple(
        PlanStep(
            f"step{number}",
            f"{tasks.__name__}:step",
            encode_call((path,), {"pause_ms": 1 + (index + number) % PAUSE_MS}),
            needs,
            inputs=tasks.CONTEXT,
            retry=RetryPolicy(index % 2, 0),
        )
        for number, needs in enumerate(shape)
    )
    plan = Plan("flow", steps)
    return StartRun(run_id, plan, f"plan-{index % 12}", b"\x80", blocking=False)


def obey(engine: OrchestrationEngine) -> None:
    """Close when the parent says so."""
    sys.stdin.readline()
    engine.close(1.0)


@until_closed
def order_jobs(engine: OrchestrationEngine, number: int, path: str) -> None:
    """Order all jobs, one by one; what was ordered in an earlier life is answered just the same."""
    for index, job_id in enumerate(job_ids(number)):
        retry = RetryPolicy(3, 1_000) if failures(index) < 10 else RetryPolicy(1, 1_000)
        spec = tasks.job(job_id, path, pause_ms=index * 7 % PAUSE_MS, failures=failures(index), retry=retry)
        answer = engine.send(EnqueueJobs(jobs=(spec,)))
        assert answer == (job_id,), answer
        say(f"job {job_id}")


@until_closed
def order_runs(engine: OrchestrationEngine, number: int, path: str) -> None:
    """Order all runs."""
    for index, run_id in enumerate(run_ids(number)):
        answer = engine.send(start_run(run_id, index, path))
        assert answer == run_id, answer
        say(f"run {run_id}")


def wait_for_runs(engine: OrchestrationEngine) -> None:
    """Wait until no run is live."""
    changed = threading.Event()
    watch = engine.store.runtime.watch
    watch.listen(changed)
    while engine.send(GetTotals())[RunStatus.RUNNING]:
        changed.wait(1.0)
        changed.clear()
    watch.unlisten(changed)


def main(store: str, path: str, jobs: int, runs: int) -> None:
    """Live one life."""
    note = tasks.note

    def tell_note(path: str, ctx: AttemptContext) -> None:
        note(path, ctx)
        say("ran")

    tasks.note = tell_note
    say("begin")
    engine = OrchestrationEngine(store, workers=WORKERS)
    say("open")
    threads = [
        threading.Thread(target=obey, args=(engine,)),
        threading.Thread(target=order_runs, args=(engine, runs, path)),
        threading.Thread(target=order_jobs, args=(engine, jobs, path)),
    ]
    JobScheduler(engine=engine).start("load")
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    with suppress(EngineClosedError, OutcomeUnknownError):
        wait_until_idle(engine, "load")
        wait_for_runs(engine)
        say("idle")
    threads[0].join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
