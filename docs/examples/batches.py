"""Many jobs in one call: one insert for a hundred rows, and each of them with its own outcome."""

from __future__ import annotations

from logistics import BatchedJob, Job, JobScheduler, Queue

table: list[str] = []


def insert(jobs: list[BatchedJob]) -> list[object]:
    """Write as many rows as there are in one go; what cannot be written fails by itself."""
    good = [job for job in jobs if job.args[0]]
    table.extend(job.args[0] for job in good)
    print(f"one call for {len(jobs)} jobs")
    return [len(table) if job in good else ValueError("an empty row") for job in jobs]


def main() -> None:
    """Show that a call gets many jobs, and that each job has its own end."""
    queue = Queue("rows")
    rows = ["a", "b", "", "d", "e"]
    queue.enqueue_many(Job("insert", insert, args=[row], batch=100, max_retries=0) for row in rows)
    JobScheduler().process(queue)
    stats = queue.get_stats()
    print("completed:", stats["completed"], "failed:", stats["failed"])


if __name__ == "__main__":
    main()
