"""The command `status`, and how queues stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstore.owner import living_owner
from logistics.audit.store_reader import StoreReader
from logistics.cli.options import AtOption, JsonOption, StoreOption, moment
from logistics.cli.output import say_json, show, show_facts

if TYPE_CHECKING:
    from logistics.audit.store_view import StoreView

QUEUES = ("queue", "state", "ready", "waiting", "running", "unresolved", "completed", "failed", "cancelled")
"""What a table of queues shows."""
NO_QUEUES = "no job was ever enqueued"


def status(*, store: StoreOption = None, at: AtOption = None, json: JsonOption = False) -> None:
    """Show how much there is of everything."""
    with StoreReader(store) as reader:
        view = reader.as_of(moment(at))
        queues = queue_rows(view)
        resources = [
            {"resource": each.name, "used": each.used, "capacity": each.capacity, "waiting": each.waiting}
            for each in view.resources()
        ]
        runs = {name.lower(): count for name, count in view.run_totals().items()}
        facts: dict[str, Any] = {
            "store": reader.path,
            "store_id": reader.store_id,
            "in_use": _in_use(reader.path),
            **({"part": reader.part} if reader.part else {}),
            "position": view.position,
            "at": view.at if view.position else None,
            "runs": runs,
            "schedules": len(view.schedules()),
        }
    if json:
        say_json(facts | {"queues": queues, "resources": resources})
        return
    show_facts(facts | {"in_use": facts["in_use"] or "by nobody", "runs": _in_words(runs)}, as_json=False)
    show(QUEUES, queues, as_json=False, empty=NO_QUEUES)
    if resources:
        show(tuple(resources[0]), resources, as_json=False, empty="")


def _in_use(path: str) -> str:
    """Return who has the store open now; empty for nobody."""
    owner = living_owner(Path(path))
    return "" if owner is None else f"by process {owner.pid}, since {owner.since}"


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def queue_rows(view: StoreView) -> list[dict[str, Any]]:
    """Return how many jobs of each queue stand how, and what was said of the queue."""
    return [
        {
            "queue": name,
            "state": ", ".join(word for word in ("paused", "draining") if getattr(stats, word)),
            "ready": stats.ready,
            "waiting": stats.waiting,
            "retried": stats.retried,
            **{status.lower(): count for status, count in stats.by_status.items()},
        }
        for name, stats in view.queues().items()
    ]
