"""Steps of every kind: a list known only at run time, conditions, waiting, undoing, running again from a step."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import logistics
from logistics import OrchestrationEngine, RunStatus, Workflow, WorkflowManager

BROKEN = Path("printer-is-broken")


@logistics.workflow(name="price")
class Price:
    """What an order costs: a workflow of its own."""

    @staticmethod
    def lines(order: list[int]) -> list[int]:
        """Get the run's parameter."""
        return order

    @logistics.step(map_over="lines", parallel=2)
    @staticmethod
    def cost(item: int) -> int:
        """Get each line of the order, two at a time."""
        return 3 * item

    @staticmethod
    def total(cost: list[int]) -> int:
        """Get what the lines cost, in their order."""
        return sum(cost)


def reserve(price: int) -> str:
    """Reserve the goods."""
    return f"reserved for {price}"


def release(reserve: str) -> None:
    """Undo it: called if the order fails or is cancelled."""
    print(f"undone: {reserve}")


def discount(price: int) -> int:
    """Give back a tenth."""
    return price // 10


def invoice(price: int, discount: int | None) -> str:
    """Fail as long as the printer is broken."""
    if BROKEN.exists():
        raise RuntimeError("the printer is broken")
    return f"to pay: {price - (discount or 0)}"


def log() -> None:
    """Run at the end, whatever happened."""
    print("logged")


@logistics.workflow
def order(workflow: Workflow) -> None:
    """Price it, reserve it, have it approved, print an invoice."""
    workflow.add_workflow("price", "price", params={"order": "{{params.lines}}"})
    workflow.add_step("reserve", reserve, compensate=release)
    workflow.add_wait("approval", schema={"ok": "bool"}, timeout=timedelta(days=7))
    workflow.add_step(
        "discount", discount, depends_on=["price"], when="{{price.output}} > 50", required=False
    )
    workflow.add_step(
        "invoice", invoice, depends_on=["price", "discount", "approval"], when="{{approval.output}}.ok"
    )
    workflow.add_finally("log", log)


def main() -> None:
    """Run an order that fails, and run it again from where it failed."""
    with OrchestrationEngine() as engine:
        workflows = WorkflowManager(engine)
        workflows.define(Price)
        workflows.define(order)
        BROKEN.touch()
        first = workflows.start("order", lines=[10, 12])
        first.signal("approval", {"ok": True})
        failed = first.result(timeout=60)
        assert failed.status is RunStatus.FAILED
        print(failed.error, failed.steps["reserve"].compensated)

        BROKEN.unlink()
        again = first.retry()
        again.signal("approval", {"ok": True})  # behind what was undone, so it is asked for again
        result = again.result(timeout=60)
        print(result["invoice"], "of run", again.origin == first.run_id, result.steps["price"].kept_from)
        assert result["invoice"] == "to pay: 60"


if __name__ == "__main__":
    main()
