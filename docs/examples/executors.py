"""Jobs in a pool of another maker, whose processes are set up once; who kills its process is charged, no other is."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from logistics import Job, JobScheduler, OrchestrationEngine, Queue

MODEL: dict[str, int] = {}


def load() -> None:
    """Set a process up: what takes long is done once."""
    MODEL.update(apples=3, pears=4)


def price(fruit: str, kilos: int) -> int:
    """Look something up in what was loaded."""
    return MODEL[fruit] * kilos


def dies() -> None:
    """Take the process with it, and so the pool."""
    os._exit(3)


def set_up(workers: int) -> ProcessPoolExecutor:
    """Make a pool."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=load)


def main() -> None:
    """Have four jobs done in such pools."""
    with OrchestrationEngine(executor=set_up, workers=2) as engine:
        queue = Queue("prices", engine=engine)
        jobs = [Job(f"price {kilos}", price, ["apples", kilos]) for kilos in (1, 2, 3)]
        ids = queue.enqueue_many([*jobs, Job("dies", dies, max_retries=0)])
        JobScheduler(engine=engine).process(queue)
        for job_id in ids:
            job = queue.get_job(job_id)
            assert job is not None
            print(job.name, job.status, job.attempts, job.result or (job.error or "").partition(" (")[0])


if __name__ == "__main__":
    main()
