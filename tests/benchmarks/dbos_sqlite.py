"""The peer DBOS on SQLite: its file put into WAL beforehand, which it does not do itself."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dbos import DBOS, DBOSClient

from tests.benchmarks import measure, tasks
from tests.benchmarks.model import Case

QUEUE = "bench"
STEPS = 10
POLL_S = 0.01


@DBOS.workflow()
def job(number: int) -> int:
    return tasks.noop(number)


@DBOS.step()
def step() -> int:
    return tasks.step()


@DBOS.workflow()
def chain_of_steps() -> None:
    for _ in range(STEPS):
        step()


@DBOS.step()
def hold() -> int:
    return tasks.hold()


@DBOS.workflow()
def interrupted() -> None:
    hold()
    step()


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'dbos.sqlite'}"


def launch(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "dbos.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url(folder),
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    DBOS.launch()


def enqueue(count: int, folder: Path) -> Mapping[str, float]:
    launch(folder)
    _register_idle_queue()
    return measure.one_by_one(lambda number: DBOS.enqueue_workflow(QUEUE, job, number), count)


def enqueue_from_threads(count: int, folder: Path) -> Mapping[str, float]:
    launch(folder)
    _register_idle_queue()
    return measure.from_threads(lambda number: DBOS.enqueue_workflow(QUEUE, job, number), count)


def _register_idle_queue() -> None:
    """A queue whose worker does not look for work while enqueuing is measured."""
    DBOS.register_queue(QUEUE, polling_interval_sec=600.0)


def enqueue_many(count: int, folder: Path) -> Mapping[str, float]:
    """Its way to enqueue several at once: many in one transaction of the caller."""
    launch(folder)
    _register_idle_queue()
    client = DBOSClient(system_database_url=url(folder))
    return measure.in_chunks(lambda numbers: _enqueue_in_one_transaction(client, folder, numbers), count)


def _enqueue_in_one_transaction(client: Any, folder: Path, numbers: Sequence[int]) -> None:
    engine = client._sys_db.engine
    with engine.begin() as connection:
        for number in numbers:
            client.enqueue_in_transaction(connection, _options(), number)


def _options() -> Any:
    return {"queue_name": QUEUE, "workflow_name": job.__qualname__, "app_version": "1"}


def drain(count: int, folder: Path) -> Mapping[str, float]:
    launch(folder)
    client = DBOSClient(system_database_url=url(folder))
    _enqueue_in_one_transaction(client, folder, range(count))
    client.destroy()

    def run() -> None:
        DBOS.register_queue(QUEUE, polling_interval_sec=POLL_S)
        _wait_for_successes(folder, count)

    return {"per_s": measure.rate(count, run)}


def chain(count: int, folder: Path) -> Mapping[str, float]:
    launch(folder)
    latency = measure.median_ms(chain_of_steps, max(3, count // 10))

    def run() -> None:
        for handle in [DBOS.start_workflow(chain_of_steps) for _ in range(count)]:
            handle.get_result(polling_interval_sec=POLL_S)

    return {"latency_ms": latency, "per_s": measure.rate(count * STEPS, run)}


def recover(count: int, folder: Path) -> Mapping[str, float]:
    """Workflows that were running when the process was killed, until all of them have ended."""
    measure.killed_after("tests.benchmarks.dbos_sqlite", str(count), str(folder))

    def run() -> None:
        launch(folder)
        _wait_for_successes(folder, count)

    return {"runs_per_s": measure.rate(count, run)}


def _wait_for_successes(folder: Path, count: int) -> None:
    with closing(sqlite3.connect(folder / "dbos.sqlite", timeout=30)) as database:
        query = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
        measure.wait_until(lambda: database.execute(query).fetchone()[0] >= count)


def start_and_hold(count: int, folder: Path) -> None:
    launch(folder)
    for _ in range(count):
        DBOS.start_workflow(interrupted)
    measure.say_ready_and_wait()


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "W1": enqueue,
        "W1b": enqueue_many,
        "W1c": enqueue_from_threads,
        "W2": drain,
        "W3": chain,
        "W4": recover,
    }
)

if __name__ == "__main__":
    start_and_hold(int(sys.argv[1]), Path(sys.argv[2]))
