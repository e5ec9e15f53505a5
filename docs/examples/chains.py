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
    queue.enqueue(
        Job(
            "fails",
            fail,
            max_retries=0,
            on_success=Job("tell", tell, args=["done"], job_id="told-of-success"),
            on_failure=Job("tell", tell, args=["it failed"], job_id="told-of-failure"),
        )
    )
    JobScheduler().process(queue)
    print(queue.result(ids[-1][0]))
    print(queue.result("told-of-failure"), "|", queue.get_status("told-of-success"))


if __name__ == "__main__":
    main()
