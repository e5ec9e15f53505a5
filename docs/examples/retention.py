"""Retention: what is over is archived and forgotten, what waits stays, and the tools still tell everything."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from logistics import Job, JobScheduler, OrchestrationEngine, Queue


def send(number: int) -> str:
    """Stand for a letter that is sent."""
    return f"letter {number} sent"


def main() -> None:
    """Do some work, forget it, and look at it all the same."""
    with TemporaryDirectory() as folder, OrchestrationEngine(Path(folder) / "store") as engine:
        queue = Queue("letters", engine=engine)
        sent = queue.enqueue_many([Job("send", send, (number,)) for number in range(100)])
        JobScheduler(engine=engine).process(queue)
        later = queue.schedule(Job("send", send, (100,)), timedelta(days=30))
        then = engine.get_metrics()["events_total"]

        engine.compact(
            timedelta(0)
        )  # a service says it once: OrchestrationEngine(retention=timedelta(days=30))

        print("sent, on record:", queue.get_job(sent[0]))
        print("still to be sent:", [job.job_id for job in queue.list_jobs()] == [later])
        print("counts stay:", queue.get_stats()["completed"])
        print("as it was:", engine.as_of(then).queues()["letters"].by_status["COMPLETED"])


if __name__ == "__main__":
    main()
