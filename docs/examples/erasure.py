"""Erasure: what jobs and runs were told of somebody is sealed, and gone for good when that is asked for."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from logistics import Job, JobScheduler, OrchestrationEngine, Queue, WorkflowManager


def write_letter(name: str) -> str:
    """Stand for a letter that is written."""
    return f"Dear {name}"


def main() -> None:
    """Write to two people, erase one, and look at what is left."""
    with TemporaryDirectory() as folder, OrchestrationEngine(Path(folder) / "store") as engine:
        queue = Queue("letters", engine=engine)
        ada = queue.enqueue(Job("letter", write_letter, ("Ada",), subject="customer:1"))
        bob = queue.enqueue(Job("letter", write_letter, ("Bob",), subject="customer:2"))
        JobScheduler(engine=engine).process(queue)
        flow = WorkflowManager(engine, subject="customer:1")
        flow.create("welcome").add_step("letter", write_letter)
        run = flow.start("welcome", name="Ada")
        print("before:", queue.result(ada), "|", queue.result(bob), "|", run.result().output)

        erasure = engine.erase("customer:1", by="data protection officer")

        print("erased:", erasure is not None)
        print(
            "after:",
            type(queue.result(ada)).__name__,
            "|",
            queue.result(bob),
            "|",
            type(run.output()).__name__,
        )
        print("what happened is still known:", [entry.event for entry in queue.get_history(ada)])


if __name__ == "__main__":
    main()
