"""What the jobs and steps of these tests do."""

from __future__ import annotations

from logistics import BatchedJob, Job, Queue, Snooze, WorkflowManager


def one() -> int:
    return 1


def itself(item: int) -> int:
    return item


def ask_for_another() -> str:
    """Enqueue a job, and begin a run, as a job of the engine that runs this."""
    WorkflowManager().create("asked").add_step("one", one)
    WorkflowManager().start("asked").result(10)
    return Queue("q").enqueue(Job("another", one, job_id="another"))


async def cancel_another() -> bool:
    return Queue("q").cancel("another")


def fail() -> None:
    raise ValueError("it does not work")


def all_of_them(jobs: list[BatchedJob]) -> list[int]:
    return [1 for _ in jobs]


def not_now() -> None:
    """Want to be called again later."""
    raise Snooze(3600)
