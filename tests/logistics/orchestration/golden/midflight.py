"""Makes the golden file of a store whose process was stopped in the middle of runs of every kind.

`python -m tests.logistics.orchestration.golden.midflight FILE` writes what the code of the day leaves; a file
that was published is never written again: later code must go on from it (F97).
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

from logistics.audit.exchange import export_lines
from logistics.audit.store_reader import StoreReader
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.job import Job
from logistics.task.queue import Queue

MODULE = "tests.logistics.orchestration.golden.midflight"
MIDFLIGHT = importlib.import_module(MODULE)
"""This module under the name by which its functions are stored, also when it is the program."""
WAIT_S = 30.0


class Gate:
    """What holds functions back while the file is made, and counts their calls when it is read."""

    held = threading.Event()
    go_on = threading.Event()
    holding = False
    calls: list[str]


Gate.calls = []


def noted(name: str) -> str:
    """Be called, be counted, return."""
    Gate.calls.append(name)
    return name


def held(name: str) -> str:
    """Hold the process in the middle of its work, when the file is made."""
    Gate.calls.append(name)
    if Gate.holding:
        Gate.held.set()
        Gate.go_on.wait(WAIT_S)
    return name


def numbers() -> list[int]:
    """Return a list."""
    Gate.calls.append("numbers")
    return [0, 1, 2, 3]


def square(item: int) -> int:
    """Do the work of an item; the third one holds."""
    Gate.calls.append(f"square {item}")
    if item > 1 and Gate.holding:
        Gate.go_on.wait(WAIT_S)
    return item * item


def total(square: list[int]) -> int:
    """Join the items."""
    return sum(square)


def book() -> str:
    """Do what can be undone."""
    Gate.calls.append("book")
    return "room 7"


def unbook(book: str) -> None:
    """Undo it."""
    Gate.calls.append(f"undo {book}")


def fail_later(approval: str) -> None:
    """Fail once the signal has come."""
    raise ValueError(f"no room for {approval}")


def define(manager: WorkflowManager) -> None:
    """Define a workflow of each kind."""
    chain = manager.create("chain").add_step("first", noted, kwargs={"name": "first"})
    chain.add_step("middle", held, kwargs={"name": "middle"})
    chain.add_step("last", noted, kwargs={"name": "last"}, max_retries=3, retry_delay=[0.5, 1])
    listed = manager.create("list").add_step("numbers", numbers)
    listed.add_step("square", square, map_over="numbers", parallel=2).add_step("total", total)
    manager.create("inner").add_step("x", noted, kwargs={"name": "x"}).add_wait("word")
    nested = manager.create("nested").add_workflow("inside", "inner")
    nested.add_finally("tidy", noted, kwargs={"name": "tidy"})
    undone = manager.create("undone").add_step("book", book, compensate=unbook).add_wait("approval")
    undone.add_step("fail", fail_later)
    manager.create("long").add_wait("pause", timedelta(days=36_500))


def work(store: Path) -> None:
    """Be the process that is killed: stand in the middle of everything, say so, and wait for the end."""
    Gate.holding = True
    engine = OrchestrationEngine(store, workers=6)
    manager = WorkflowManager(engine)
    define(manager)
    session = engine.create_session(session_id="golden", max_parallel_workflows=1)
    within = WorkflowManager(engine, session_id=session)
    Queue("later", engine=engine).enqueue(Job("waiting", noted, args=["job"], job_id="waiting"))
    runs = {name: manager.start(name) for name in ("list", "nested", "undone", "long", "chain")}
    places = [within.start("undone") for _ in range(2)]
    ids = {name: run.run_id for name, run in runs.items()} | {
        f"place {number}": run.run_id for number, run in enumerate(places)
    }
    waiting = [runs["undone"].run_id, runs["long"].run_id, places[0].run_id, f"{ids['nested']}.0"]
    assert Gate.held.wait(WAIT_S)
    pause = threading.Event()
    while not all((run := manager.get_run(each)) and run.status == "WAITING" for each in waiting):
        pause.wait(0.01)
    while sum(call.startswith("square") for call in Gate.calls) < 4:
        pause.wait(0.01)
    sys.stdout.write(json.dumps(ids) + "\n")
    sys.stdout.flush()
    pause.wait()


def main(target: Path) -> None:
    """Write the file, and beside it the ids of its runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        command = [sys.executable, "-m", MODULE, "--work", str(store)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            ids = process.stdout.readline()
            process.kill()
        target.with_suffix(".ids.json").write_bytes(ids)
        with StoreReader(store) as reader:
            target.write_bytes(b"".join(line + b"\n" for line in export_lines(reader)))


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        MIDFLIGHT.work(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
