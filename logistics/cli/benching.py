"""The command `bench`: what this machine and this disk can do, measured with jobs that do nothing."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore.lmdb_log import LmdbLog
from eventstore.records import Record
from logistics.cli.options import JsonOption
from logistics.cli.output import show_facts
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 10


def nothing() -> None:
    """Do nothing: the job and the step of `logistics bench`."""


def bench(
    *,
    jobs: Annotated[int, typer.Option(min=10, max=1_000_000, help="How many jobs are drained.")] = 5000,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where to make the store that is measured; it is removed again."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure this machine and this disk with jobs that do nothing; takes some seconds.

    A comparison with other libraries, over several rounds, is `make bench` in the repository: it needs these.
    """
    with TemporaryDirectory(prefix="logistics-bench-", dir=folder) as where:
        facts = measured(Path(where), jobs)
    show_facts({name: _rounded(value) for name, value in facts.items()}, as_json=json)


def measured(where: Path, jobs: int) -> dict[str, float]:
    """Return rates per second, and durations in seconds where the name says so."""
    few = max(10, jobs // 20)
    facts = {"synced_commits_per_s": _commits(where / "log", few)}
    with OrchestrationEngine(where / "store") as engine:
        queue = Queue("bench", engine=engine)
        lone = _seconds(lambda: [queue.enqueue(Job("nothing", nothing)) for _ in range(few)])
        bulk = _seconds(lambda: queue.enqueue_many([Job("nothing", nothing) for _ in range(jobs)]))
        drained = _seconds(lambda: JobScheduler(engine=engine).process(queue))
        facts |= {
            "enqueues_one_by_one_per_s": few / lone,
            "enqueues_in_bulk_per_s": jobs / bulk,
            "jobs_drained_per_s": (jobs + few) / drained,
        }
        workflow = WorkflowManager(engine).create("bench")
        for number in range(STEPS):
            workflow.add_step(f"step {number}", nothing)
        facts["chain_of_ten_steps_s"] = min(
            _seconds(lambda: WorkflowManager(engine).run("bench")) for _ in range(5)
        )
    events = LmdbLog.open(where / "store", read_only=True)
    facts["events"] = float(events.head.position)
    events.close()
    facts["reopening_s"] = _seconds(lambda: OrchestrationEngine(where / "store").close())
    return facts


def _commits(where: Path, count: int) -> float:
    """Return how many synced commits of one small event the disk takes: what a lone caller can hope for, at most."""
    log = LmdbLog.open(where)
    record = Record("bench:x", 1, "", "", b"\x91\xa5bench")

    def commit() -> None:
        for position in range(count):
            log.append([record], expected=position, epoch=1, recorded_us=1)

    seconds = _seconds(commit)
    log.close()
    return count / seconds


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return max(time.perf_counter() - begun, 1e-9)


def _rounded(value: float) -> float | int:
    return round(value) if value >= 100 else round(value, 5)  # noqa: PLR2004 -- more digits say nothing
