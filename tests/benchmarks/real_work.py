"""`python -m tests.benchmarks.real_work`: jobs with real work in them, against bare pools of threads and processes."""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from logistics import Job, JobScheduler, OrchestrationEngine, Queue

BLOCK = 65_536
WORKERS = 2


def digest(number: int) -> str:
    """Hash a block that no other job has."""
    return hashlib.sha256(number.to_bytes(8, "big") * (BLOCK // 8)).hexdigest()


def bare(pool: Executor, jobs: int) -> float:
    """Seconds that a bare pool takes, its workers there before."""
    with pool:
        list(pool.map(digest, range(WORKERS)))
        begun = time.perf_counter()
        list(pool.map(digest, range(jobs)))
        return time.perf_counter() - begun


def ours(executor: str, jobs: int, folder: Path) -> float:
    """Seconds that we take, durable from the first byte, the workers there before."""
    with OrchestrationEngine(folder / executor, workers=WORKERS, executor=executor) as engine:
        queue = Queue("work", engine=engine)
        scheduler = JobScheduler(engine=engine)
        queue.enqueue_many([Job("warm", digest, [number]) for number in range(4 * WORKERS)])
        scheduler.process(queue)
        begun = time.perf_counter()
        ids = queue.enqueue_many([Job("digest", digest, [number]) for number in range(jobs)])
        summary = scheduler.process(queue)
        took = time.perf_counter() - begun
        assert summary.completed == jobs, summary
        assert queue.result(ids[-1]) == digest(jobs - 1)
    return took


def measure(jobs: int, folder: Path) -> dict[str, float]:
    """Seconds by contestant."""
    spawn = multiprocessing.get_context("spawn")
    contestants: dict[str, Callable[[], float]] = {
        "in a loop": lambda: _loop(jobs),
        "ThreadPoolExecutor": lambda: bare(ThreadPoolExecutor(WORKERS), jobs),
        "ours, threads": lambda: ours("thread", jobs, folder),
        "ProcessPoolExecutor": lambda: bare(ProcessPoolExecutor(WORKERS, mp_context=spawn), jobs),
        "ours, processes": lambda: ours("process", jobs, folder),
    }
    return {name: contestant() for name, contestant in contestants.items()}


def _loop(jobs: int) -> float:
    begun = time.perf_counter()
    for number in range(jobs):
        digest(number)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for name, took_s in measure(jobs, Path(folder)).items():
            print(f"{name:20} {jobs / took_s:10,.0f} jobs/s {took_s / jobs * 1e6:8.1f} µs per job")


if __name__ == "__main__":
    main()
