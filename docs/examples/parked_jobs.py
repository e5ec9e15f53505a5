"""What is left of a bad day: jobs taken up again, given up, put on another queue, and a queue that is drained."""

from __future__ import annotations

from logistics import Job, JobScheduler, Queue, QueueDrainingError


def parse(text: str) -> int:
    """Stand for work that some input breaks."""
    return int(text)


def main() -> None:
    """Show what can be done with jobs that did not succeed, and with those that wait."""
    queue, slow = Queue("parsing"), Queue("slow")
    scheduler = JobScheduler()
    texts = ["1", "two", "3", "", "four"]
    queue.enqueue_many(Job("parse", parse, args=[text], max_retries=0) for text in texts)
    scheduler.process(queue)
    print("failed:", [job.args[0] for job in queue.list_jobs(status="FAILED")])

    for job in queue.list_jobs(status="FAILED"):
        if job.args == ("",):
            queue.discard(str(job.job_id))
    print("taken up again:", queue.retry_all(), "given up:", queue.get_stats()["cancelled"])
    scheduler.process(queue)
    print("failed again:", queue.get_stats()["failed"])

    queue.enqueue_many(Job("parse", parse, args=[str(n)]) for n in range(10))
    print("moved:", queue.move_all(slow, name="parse"), "left:", len(queue))
    scheduler.start(slow)
    print("drained:", slow.drain(timeout=30, refuse_new=True))
    try:
        slow.enqueue(Job("parse", parse, args=["5"]))
    except QueueDrainingError as error:
        print(error)
    slow.resume()
    scheduler.stop()


if __name__ == "__main__":
    main()
