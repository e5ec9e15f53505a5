"""A workflow: parallel branches, results passed by name, a parameter, retries, and what a failure leaves behind."""

from __future__ import annotations

from logistics import AttemptContext, WorkflowManager


def fetch(day: str) -> list[int]:
    """Get the run's parameter `day`."""
    return [int(part) for part in day.split("-")]


def total(fetch: list[int]) -> int:
    """Get the output of the step `fetch`."""
    return sum(fetch)


def largest(fetch: list[int]) -> int:
    """Get the same; independent steps run in parallel."""
    return max(fetch)


def report(total: int, largest: int, ctx: AttemptContext) -> str:
    """Get two outputs and the context of the attempt."""
    ctx.logger.info("reporting")
    return f"total {total}, largest {largest}, attempt {ctx.attempt}"


def broken() -> None:
    """Fail every time."""
    raise RuntimeError("the disk of the other machine is full")


def main() -> None:
    """Run a workflow that succeeds and one that does not."""
    workflows = WorkflowManager()

    daily = workflows.create("daily-report")
    daily.add_step("fetch", fetch, max_retries=3)
    daily.add_step("total", total, depends_on=["fetch"])
    daily.add_step("largest", largest, depends_on=["fetch"])
    daily.add_step("report", report, depends_on=["total", "largest"])
    result = workflows.run("daily-report", day="2027-03-28")
    print(result.status, "|", result.output, "|", result["total"])

    flaky = workflows.create("flaky")
    flaky.add_step("broken", broken, max_retries=1, retry_delay=0)
    flaky.add_step("after", fetch, kwargs={"day": "1-2-3"})  # follows the step before it: skipped
    flaky.add_step("alone", fetch, kwargs={"day": "4-5-6"}, depends_on=[])  # independent: goes on
    failed = workflows.run("flaky")
    print(failed.status, "|", failed.error)
    for name, step in failed.steps.items():
        print(f"  {name}: {step.status}, attempts {step.attempts}, output {step.output}")

    # Everything is on record, also for the next process.
    for run in workflows.list_runs(limit=3):
        print(run.started_at.isoformat(timespec="seconds"), run.name, run.status)


if __name__ == "__main__":
    main()
