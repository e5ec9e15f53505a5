"""F61: a history of long ago gives the state that it has always given, whatever became of the code that folds it.

`history.jsonl` is an export of a real store, `history_views.json` what was to be seen in it then. What alters one
of these views has changed what released events mean. `python -m tests.golden.test_golden_history` writes both anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from actors.folding import event_codec
from eventstore.log import Log
from eventstore.memory_log import MemoryLog
from logistics.audit.exchange import export_lines, import_lines
from logistics.audit.store_reader import StoreReader
from logistics.audit.store_view import StoreView
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.resource_manager import ResourceManager
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.audit import functions

HERE = Path(__file__).parent
HISTORY, VIEWS = HERE / "history.jsonl", HERE / "history_views.json"


def views(log: Log, position: int) -> dict[str, Any]:
    """Return what is to be seen at a position, by names that are public."""
    view = StoreView(log, event_codec(), position)
    return {
        "position": position,
        "queues": {
            name: {"ready": stats.ready, "waiting": stats.waiting, "by_status": {**stats.by_status}}
            for name, stats in view.queues().items()
        },
        "jobs": [[job.job_id, job.queue, str(job.status), job.attempts] for job in view.jobs()],
        "runs": [[run.workflow, str(run.status)] for run in view.runs()],
        "run_totals": view.run_totals(),
        "schedules": [[each.name, each.next_us, each.runs, each.paused] for each in view.schedules()],
        "resources": [[each.name, each.capacity] for each in view.resources()],
    }


def test_f61_a_history_of_long_ago_gives_the_state_that_it_has_always_given() -> None:
    log = MemoryLog()
    with HISTORY.open("rb") as lines:
        head = import_lines(lines, log)
    expected = json.loads(VIEWS.read_text(encoding="utf-8"))
    assert expected[-1]["position"] == head.position
    for each in expected:
        assert json.loads(json.dumps(views(log, each["position"]))) == each


def live(path: Path) -> None:
    """Have a store live through something of everything."""
    with OrchestrationEngine(path) as engine:
        queue = Queue("work", engine=engine)
        for number in range(3):
            queue.enqueue(Job("good", functions.one, job_id=f"good-{number}", priority=number))
        queue.enqueue(Job("bad", functions.fail, max_retries=0, job_id="bad"))
        queue.enqueue(Job("again", functions.fail, max_retries=1, retry_delay=3600.0, job_id="again"))
        queue.schedule(Job("later", functions.one, job_id="later"), timedelta(days=9))
        queue.cancel("good-1")
        ResourceManager(engine=engine).add_resource("gpu", "device", 2)
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", functions.one)
        hand = Queue("hand", engine=engine)
        hand.enqueue(Job("taken", functions.one, job_id="taken"))
        hand.dequeue(lease=10**6)
        JobScheduler(engine=engine).start(queue)
        for job_id in ("good-0", "good-2"):
            queue.result(job_id, timeout=30)
        workflows = WorkflowManager(engine)
        workflows.create("steps").add_step("a", functions.one).add_step("b", functions.one)
        workflows.run("steps")
        workflows.create("breaks").add_step("a", functions.fail).add_step("b", functions.one)
        workflows.run("breaks")
    with OrchestrationEngine(path) as engine:
        Queue("work", engine=engine).pause()
        Queue("work", engine=engine).enqueue(Job("waits", functions.one, job_id="waits"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        live(Path(folder) / "store")
        with StoreReader(Path(folder) / "store") as reader:
            HISTORY.write_bytes(b"".join(line + b"\n" for line in export_lines(reader)))
    made = MemoryLog()
    with HISTORY.open("rb") as written:
        end = import_lines(written, made).position
    seen = [views(made, position) for position in (*range(5, end, 5), end)]
    VIEWS.write_text(json.dumps(seen, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{end} events\n")
