"""Audit in ten minutes: what happened, why not, what was different then, what will be, and a table of one's own."""

from __future__ import annotations

from datetime import timedelta

from logistics import Job, JobScheduler, OrchestrationEngine, Projection, Queue, RecordedEvent, Table


def invoice(number: int) -> str:
    """Stand for the work; the thirteenth never works."""
    if number == 13:  # noqa: PLR2004 -- everybody knows that number
        raise ValueError("bad luck")
    return f"invoice {number}"


class Failures(Projection):
    """Failed jobs by their error: a read model, built from the events of the past."""

    name = "failures by error"
    events = "job.failed"

    def apply(self, event: RecordedEvent, table: Table) -> None:
        """Count one more."""
        error = event.data()["error"]
        table[error] = table.get(error, 0) + 1


def main() -> None:
    """Work, then ask."""
    with OrchestrationEngine() as engine:
        queue = Queue("invoices", engine=engine)
        before = engine.as_of()
        ids = queue.enqueue_many(
            [Job("invoice", invoice, args=[number], max_retries=0) for number in (12, 13)]
        )
        JobScheduler(engine=engine).process(queue)
        queue.pause()
        waiting = queue.enqueue(Job("invoice", invoice, args=[14]))

        print("Why is it not running?", engine.why(f"job:{waiting}"), sep="\n")
        print("Why did it end?", engine.why(f"job:{ids[1]}"), sep="\n")

        print("What happened to it?")
        for event in engine.history(f"job:{ids[1]}"):
            print(event[0], type(event[1]).__name__)

        print("What has changed since?")
        for difference in engine.diff(before.position):
            print(difference.part, difference.key)

        print("What was there before?", before.at, len(list(before.jobs("invoices"))), "jobs had not ended")

        queue.resume()
        now = engine.as_of()
        rehearsal = now.rehearse(now.at + timedelta(hours=1))
        print("What would happen?", [event.tag for event in rehearsal.events if waiting in event.entity])

        failures = engine.project(Failures())
        failures.wait_until(timeout=30)
        print("What fails, and how often?", dict(failures))

        JobScheduler(engine=engine).process(queue)
        print("Equal states have equal hashes:", engine.as_of(now.position).state_hash() == now.state_hash())


if __name__ == "__main__":
    main()
