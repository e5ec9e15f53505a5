"""A queue: priorities, retries, a job for later, a failure that is looked at, work taken by hand."""

from __future__ import annotations

from datetime import timedelta

from logistics import Job, JobFailedError, JobScheduler, Queue


def resize(image: str, width: int) -> str:
    """Stand for real work."""
    return f"{image} at {width}"


def fail(reason: str) -> None:
    """Fail every time."""
    raise ValueError(reason)


def main() -> None:
    """Show what a queue does."""
    queue = Queue("images")

    # Durable when enqueue returns. Higher priority first, first in first out among equals.
    ids = queue.enqueue_many(Job(f"resize {n}", resize, args=[f"{n}.png", 640]) for n in range(3))
    urgent = queue.enqueue(Job("resize logo", resize, kwargs={"image": "logo.png", "width": 64}), priority=10)
    failing = queue.enqueue(Job("fails", fail, args=["no such image"], max_retries=2, retry_delay=0.01))
    later = queue.schedule(Job("resize tomorrow", resize, args=["x.png", 1]), timedelta(days=1))

    # Serves the queue until nothing is ready, running or about to be retried.
    print(JobScheduler().process(queue))

    print(queue.result(urgent), "|", queue.result(ids[0]))
    print(queue.get_status(later), "and cancelled:", queue.cancel(later))
    try:
        queue.result(failing)
    except JobFailedError as error:
        print(error.error)  # error.traceback has the rest

    # By hand: no worker runs it; say how it ended before the lease runs out.
    queue.enqueue(Job("resize by hand", resize, args=["y.png", 2]))
    job = queue.dequeue(lease=30)
    if job is not None:
        queue.complete(job, result="done by somebody")
    print(queue.get_stats())


if __name__ == "__main__":
    main()
