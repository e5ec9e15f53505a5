"""Unique keys: one job at a time, the last arguments only, and a budget for retries."""

from __future__ import annotations

from logistics import DuplicateJobError, Job, JobScheduler, Queue, Rate


def send(invoice: int, text: str) -> str:
    """Stand for real work."""
    return f"invoice {invoice}: {text}"


def index(pages: int) -> str:
    """Stand for work that is worth doing once for many changes."""
    return f"{pages} pages"


def main() -> None:
    """Show what unique keys do."""
    queue = Queue("invoices")
    queue.configure(retry_rate=Rate(100, per=1))  # retries that may fall due in a second

    first = queue.enqueue(Job("send", send, args=[42, "first"], unique_key="42"))
    try:
        queue.enqueue(Job("send", send, args=[42, "second"], unique_key="42"))
    except DuplicateJobError as error:
        print("refused, it is the same as the first:", error.job_id == first)
    same = queue.enqueue(Job("send", send, args=[42, "x"], unique_key="42", on_conflict="return_existing"))
    print("returned:", same == first)
    second = queue.enqueue(Job("send", send, args=[42, "second"], unique_key="42", on_conflict="replace"))
    print("replaced:", queue.get_status(first))

    # Starts when the key has been quiet for a while, with the last arguments.
    ids = [queue.enqueue(Job("index", index, args=[n], unique_key="index", debounce=0.05)) for n in (1, 2, 3)]

    scheduler = JobScheduler()
    scheduler.start(queue)
    print(queue.result(second, timeout=30), "|", queue.result(ids[-1], timeout=30))
    scheduler.stop()
    print([str(queue.get_status(job_id)) for job_id in ids])


if __name__ == "__main__":
    main()
