"""What a queue says of itself: counts, quantiles, a list page by page, each attempt of a job, and its history."""

from __future__ import annotations

from logistics import AttemptContext, Job, JobScheduler, Queue


def resize(picture: str, ctx: AttemptContext) -> str:
    """Make it small; one of them succeeds at the second try only, and one never."""
    if picture == "broken.png" or (picture == "large.png" and ctx.attempt == 1):
        raise ValueError(f"{picture} cannot be read")
    return picture.replace(".png", ".jpg")


def main() -> None:
    """Have some pictures made small, and look at what came of it."""
    queue = Queue("pictures")
    pictures = ["cat.png", "dog.png", "large.png", "broken.png"]
    ids = queue.enqueue_many(
        Job("resize", resize, [picture], max_retries=1, retry_delay=0) for picture in pictures
    )
    JobScheduler().process(queue)

    stats = queue.get_stats()
    print("completed", stats["completed"], "failed", stats["failed"], "of", stats["total_jobs"])
    for function, metrics in queue.get_metrics()["functions"].items():
        print(function.partition(":")[2], metrics["completed"], "completed,", metrics["failed"], "failed")

    page = list(queue.list_jobs(2))
    older = list(queue.list_jobs(2, after=page[-1].job_id))
    print([job.args[0] for job in page], "and then", [job.args[0] for job in older])

    for attempt in queue.get_attempts(ids[2]):
        print("attempt", attempt.number, attempt.outcome, attempt.error or "")
    print([entry.event for entry in queue.get_history(ids[2])])


if __name__ == "__main__":
    main()
