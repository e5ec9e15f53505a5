"""Our side, against the public contract only."""

from __future__ import annotations

import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from actors.runtime.clock import VirtualClock
from logistics import (
    CronExpression,
    Job,
    JobScheduler,
    OrchestrationEngine,
    Queue,
    Rate,
    ScheduleDefinition,
    ScheduleManager,
    WorkflowManager,
)
from tests.benchmarks import measure, tasks
from tests.benchmarks.cron_walk import rates
from tests.benchmarks.followers import beside
from tests.benchmarks.model import Case
from tests.benchmarks.own_log import append_and_fold
from tests.benchmarks.w4_restart import RECOVERED_PER_EVENTS
from tests.benchmarks.w5_schedules import EVERY
from tests.benchmarks.w6_next_run import ZONE

STEPS = 10
CHUNK = 1_000
EVENTS_PER_JOB = 3
WAIT_S = 600.0


def job(number: int) -> Job:
    return Job("a no-op job", tasks.noop, args=(number,))


def fill(queue: Queue, count: int) -> None:
    for first in range(0, count, CHUNK):
        queue.enqueue_many([job(number) for number in range(first, min(first + CHUNK, count))])


def enqueue(count: int, folder: Path) -> Mapping[str, float]:
    with OrchestrationEngine(folder / "store") as engine:
        queue = Queue("default", engine=engine)
        return measure.one_by_one(lambda number: queue.enqueue(job(number)), count)


def enqueue_many(count: int, folder: Path) -> Mapping[str, float]:
    with OrchestrationEngine(folder / "store") as engine:
        queue = Queue("default", engine=engine)
        return measure.in_chunks(lambda numbers: queue.enqueue_many([job(each) for each in numbers]), count)


def enqueue_from_threads(count: int, folder: Path) -> Mapping[str, float]:
    with OrchestrationEngine(folder / "store") as engine:
        queue = Queue("default", engine=engine)
        return measure.from_threads(lambda number: queue.enqueue(job(number)), count)


def drain(count: int, folder: Path) -> Mapping[str, float]:
    with OrchestrationEngine(folder / "store") as engine:
        queue = Queue("default", engine=engine)
        fill(queue, count)
        scheduler = JobScheduler(engine=engine)
        rate = measure.rate(count, lambda: scheduler.process(queue))
        completed = queue.get_stats()["completed"]
    assert completed == count, f"{completed} of {count} jobs completed"
    return {"per_s": rate}


def growth(count: int, folder: Path) -> Mapping[str, float]:
    """The small numbers are measured before, between and after the others: a machine's own speed swings meanwhile."""
    small: dict[str, list[float]] = {"fewest": [], "few": []}
    costs: dict[str, float] = {}

    def measure_small() -> None:
        for (name, found), part in zip(small.items(), (1_000, 100), strict=True):
            where = folder / f"{name}-{len(found)}"
            found.append(_cost_of_a_job(max(1, count // part), max(1, count // 20), where))

    for name, part in (("many", 10), ("most", 1)):
        measure_small()
        costs[name] = _cost_of_a_job(max(1, count // part), max(1, count // 10), folder / name)
    measure_small()
    costs |= {name: statistics.fmean(found) for name, found in small.items()}
    most = 100 * costs["most"]
    percents = {"percent": most / costs["few"], "of_fewest_percent": most / costs["fewest"]}
    return {f"{name}_us": cost for name, cost in costs.items()} | percents


def _cost_of_a_job(waiting: int, jobs: int, folder: Path) -> float:
    """Run so many jobs at least, with so many waiting each time; return the CPU time of a job (µs)."""
    with OrchestrationEngine(folder) as engine:
        queue = Queue("default", engine=engine)
        scheduler = JobScheduler(engine=engine)
        fill(queue, 1)
        scheduler.process(queue)  # everything met once
        rounds = -(-jobs // waiting)
        spent_s = 0.0
        for _ in range(rounds):
            fill(queue, waiting)
            begin = time.process_time()
            scheduler.process(queue)
            spent_s += time.process_time() - begin
        return spent_s * 1e6 / (rounds * waiting)


KEYS = 1_000


def limited_job(number: int) -> Job:
    key = f"key {number % KEYS}"
    return Job("a no-op job", tasks.noop, args=(number,), unique_key=f"job {number}", concurrency_key=key)


def limits(count: int, folder: Path) -> Mapping[str, float]:
    """The same with plain jobs and with limited ones, each in a store of its own; plain ones before and after.

    Not so the memory: the second time it is there already.
    """
    before = _cost_of(folder / "plain", count, job)
    limited = _cost_of(folder / "limited", count, limited_job)
    after = _cost_of(folder / "plain again", count, job)
    plain = {name: (before[name] + after[name]) / 2 for name in before} | {"bytes": before["bytes"]}
    return {f"{name}_percent": 100 * limited[name] / max(plain[name], 1e-9) for name in plain}


def _cost_of(folder: Path, count: int, make: Callable[[int], Job]) -> dict[str, float]:
    with OrchestrationEngine(folder) as engine:
        queue = Queue("default", engine=engine)
        if make is limited_job:
            many = Rate(1_000_000, per=1, burst=1_000_000)
            queue.configure(
                concurrency=1_000, per_key=2, per_function={tasks.noop: 1_000}, rate=many, rate_per_key=many
            )
        before = _settled_memory()
        begin = time.process_time()
        for first in range(0, count, CHUNK):
            queue.enqueue_many([make(number) for number in range(first, min(first + CHUNK, count))])
        enqueue_s = time.process_time() - begin
        grown = _settled_memory() - before
        begin = time.process_time()
        JobScheduler(engine=engine).process(queue)
        return {"enqueue": enqueue_s, "bytes": float(max(grown, 1)), "run": time.process_time() - begin}


def chain(count: int, folder: Path) -> Mapping[str, float]:
    with OrchestrationEngine(folder / "store") as engine:
        workflows = WorkflowManager(engine)
        workflow = workflows.create("chain")
        for number in range(STEPS):
            workflow.add_step(f"step-{number}", tasks.step)
        latency = measure.median_ms(lambda: workflows.run("chain"), max(3, count // 10))

        def at_once() -> None:
            for run in workflows.start_many("chain", [{}] * count):
                run.output(timeout=WAIT_S)

        return {"latency_ms": latency, "per_s": measure.rate(count * STEPS, at_once)}


def lengths(count: int, folder: Path) -> Mapping[str, float]:
    costs = {
        name: _cost_of_a_step(max(1, count // part), max(4, count // 2), folder / name)
        for name, part in (("shortest", 1_000), ("short", 100), ("long", 10), ("longest", 1))
    }
    percent = 100 * costs["longest"] / costs["shortest"]
    return {f"{name}_us": cost for name, cost in costs.items()} | {"percent": percent}


def _cost_of_a_step(length: int, steps: int, folder: Path) -> float:
    """Run chains of this length, four at a time, of so many steps at least; return the CPU time of a step (µs)."""
    with OrchestrationEngine(folder) as engine:
        workflows = WorkflowManager(engine)
        workflow = workflows.create("chain")
        for number in range(length):
            workflow.add_step(f"step-{number}", tasks.step)
        workflows.run("chain")  # recorded, and everything met once
        rounds = -(-steps // (4 * length))
        begin = time.process_time()
        for _ in range(rounds):
            for run in workflows.start_many("chain", [{}] * 4):
                run.output(timeout=WAIT_S)
        return (time.process_time() - begin) * 1e6 / (rounds * 4 * length)


def restart(count: int, folder: Path) -> Mapping[str, float]:
    """Open a store with so many events; and open one with runs that were cut off, until all have ended."""
    jobs = folder / "jobs"
    measure.killed_after(__name__, "jobs", str(count // EVENTS_PER_JOB), str(jobs))
    begin = time.perf_counter()
    with OrchestrationEngine(jobs) as engine:
        opened_s = time.perf_counter() - begin
        completed = Queue("default", engine=engine).get_stats()["completed"]
    assert completed == count // EVENTS_PER_JOB, f"{completed} jobs are completed"

    runs = max(3, count // RECOVERED_PER_EVENTS)
    measure.killed_after(__name__, "runs", str(runs), str(folder / "runs"))
    rate = measure.rate(runs, lambda: _recover(folder / "runs"))
    return {"per_s": count / opened_s, "open_s": opened_s, "runs_per_s": rate}


def _recover(store: Path) -> None:
    with OrchestrationEngine(store) as engine:
        for run in WorkflowManager(engine).list_runs():
            assert run.result(timeout=WAIT_S).success


def _write_jobs(count: int, store: Path) -> None:
    engine = OrchestrationEngine(store)
    queue = Queue("default", engine=engine)
    fill(queue, count)
    JobScheduler(engine=engine).process(queue)
    measure.say_ready_and_wait()


def _write_runs(count: int, store: Path) -> None:
    workflows = WorkflowManager(OrchestrationEngine(store))
    workflow = workflows.create("interrupted")
    workflow.add_step("hold", tasks.hold)
    workflow.add_step("step", tasks.step)
    for _ in range(count):
        _ = workflows.start("interrupted")
    measure.say_ready_and_wait()


def memory(count: int, folder: Path) -> Mapping[str, float]:
    store = folder / "store"
    with OrchestrationEngine(store) as engine:
        queue = Queue("default", engine=engine)
        fill(queue, CHUNK)
        before = _settled_memory()
        fill(queue, count)
        grown = _settled_memory() - before
        stats_us = measure.median_ms(queue.get_stats, 20) * 1e3
    reopened = measure.report_of(__name__, "memory", str(store)) / (count + CHUNK)
    return {"bytes_per_job": grown / count, "reopened_bytes_per_job": reopened, "stats_us": stats_us}


def _settled_memory() -> int:
    gc.collect()
    return measure.anonymous_memory()


def _report_memory_of_an_open_store(store: Path) -> None:
    """In a process of its own: what opening the store adds, beyond what opening an empty one does."""
    with OrchestrationEngine(store.with_name("empty")) as engine:
        fill(Queue("default", engine=engine), 1)
        before = _settled_memory()
        with OrchestrationEngine(store):
            print(_settled_memory() - before, flush=True)


def schedules(count: int, folder: Path) -> Mapping[str, float]:
    """Add schedules in one call; have a fifth of them due, and wait until the last of their jobs has completed."""
    clock = VirtualClock()
    with OrchestrationEngine(folder / "store", clock=clock) as engine:
        manager = ScheduleManager(engine=engine)

        def add() -> None:
            texts = (f"{number % 60} {'*' if number % EVERY == 0 else 5} * * *" for number in range(count))
            manager.schedule_many(
                ScheduleDefinition(str(number), text, tasks.step) for number, text in enumerate(texts)
            )

        added = measure.rate(count, add)
        clock.advance(3_600_000_000)
        due = len(range(0, count, EVERY))
        completed = threading.Semaphore(0)
        engine.subscribe("job.completed", lambda *_: completed.release())

        def tick() -> None:
            manager.start()
            for _ in range(due):
                completed.acquire()

        rate = measure.rate(due, tick)
        manager.stop()
    return {"added_per_s": added, "fired_per_s": rate}


def _firings(text: str, begin: datetime) -> Iterator[datetime]:
    expression = CronExpression(text, timezone=ZONE)
    at: datetime | None = begin
    while at is not None:
        at = expression.next_run(at)
        if at is not None:
            yield at


def next_runs(count: int, _folder: Path) -> Mapping[str, float]:
    return rates(_firings, count)


def followed(count: int, folder: Path) -> Mapping[str, float]:
    return beside(count, folder, fill)


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "W1": enqueue,
        "W1b": enqueue_many,
        "W1c": enqueue_from_threads,
        "W2": drain,
        "W3": chain,
        "W4": restart,
        "W5": schedules,
        "W6": next_runs,
        "W7": memory,
        "W8": growth,
        "W9": limits,
        "W10": followed,
        "W11": lengths,
        "W12": append_and_fold,
    }
)


def main(role: str, *arguments: str) -> None:
    """The processes that are killed or measured from outside."""
    if role == "jobs":
        _write_jobs(int(arguments[0]), Path(arguments[1]))
    elif role == "runs":
        _write_runs(int(arguments[0]), Path(arguments[1]))
    else:
        _report_memory_of_an_open_store(Path(arguments[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
