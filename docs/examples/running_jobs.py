"""Jobs in processes, with time limits, that say how far they are and what their exceptions mean."""

from __future__ import annotations

import hashlib
import os

from logistics import AttemptContext, Job, JobScheduler, Queue, Retry


def digest(blocks: int, ctx: AttemptContext) -> str:
    """Hash some blocks, and say how far it is."""
    total = hashlib.sha256()
    for number in range(blocks):
        total.update(bytes(65_536))
        ctx.progress(number + 1, total=blocks)
    return total.hexdigest()[:8]


def dies() -> None:
    """Take the process with it."""
    os._exit(3)


def waits_for_a_file(ctx: AttemptContext) -> str:
    """Find it at the second try."""
    if ctx.attempt == 1:
        raise Retry(after=0, reason="not there yet")
    return "found"


def refuses() -> None:
    """Fail in a way that no other try would change."""
    raise PermissionError("not yours")


def main() -> None:
    """Run one of each."""
    queue = Queue("jobs")
    ids = queue.enqueue_many(
        [
            Job("digest", digest, args=[8], executor="process", timeout=60),
            Job("dies", dies, executor="process", max_retries=0),
            Job("waits", waits_for_a_file, timeout=60),
            Job("refuses", refuses, give_up_on=PermissionError),
        ]
    )
    JobScheduler().process(queue)
    for job_id in ids:
        job = queue.get_job(job_id)
        assert job is not None
        print(job.name, job.status, job.attempts, job.result or job.error)


if __name__ == "__main__":
    main()
