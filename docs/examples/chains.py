"""Jobs after jobs: callbacks, chains, and a last one that gets what a group came to."""

from __future__ import annotations

from logistics import Job, JobScheduler, Queue, group


def fetch(page: int) -> list[int]:
    """Stand for a download."""
    return [page, page * 10]


def add(*lists: list[int]) -> int:
    """Add up what others have fetched."""
    return sum(map(sum, lists))


def report(total: int) -> str:
    """Say what came out."""
    return f"total: {total}"


def fail() -> None:
    """Fail every time."""
    raise ValueError("no such page")


def tell(what: str) -> str:
    """Stand for a message to somebody."""
    return what


def main() -> None:
    """Show what follows what."""
    queue = Queue("pages")
    pages = [Job(f"fetch {page}", fetch, args=[page]) for page in (1, 2, 3)]
    chain = group(pages).then(Job("add", add), results=True).then(Job("report", report), results=True)
    ids = queue.enqueue_chain(chain)  # one commit
    # With an id of its own the job's callbacks have theirs, too, and enqueueing it again makes nothing twice.
    told = Job("tell", tell, args=["it failed"])
    queue.enqueue(Job("fails", fail, max_retries=0, on_failure=told, on_success=told, job_id="page-4"))
    JobScheduler().process(queue)
    print(queue.result(ids[-1][0]))
    print(queue.result("page-4.failed"), "|", queue.get_status("page-4.ok"))


if __name__ == "__main__":
    main()
