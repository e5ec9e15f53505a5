"""Projections: what they say is the fold of the log, each event exactly once, whenever they are built."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.errors import InputError
from logistics import (
    Job,
    JobScheduler,
    OrchestrationEngine,
    Projection,
    ProjectionError,
    Queue,
    RecordedEvent,
    Table,
)
from tests.logistics.audit import functions


class ByTag(Projection):
    """How often there was which event."""

    name = "by tag"

    def apply(self, event: RecordedEvent, table: Table) -> None:
        table[event.tag] = table.get(event.tag, 0) + 1


class Open(Projection):
    """Jobs that have not ended."""

    name = "open"
    events = "job.*"

    def apply(self, event: RecordedEvent, table: Table) -> None:
        assert event.event is not None
        if event.event.final:
            if event.entity in [key for key, _ in table.items("job:")]:
                del table[event.entity]
        elif event.tag == "job.enqueued":
            table[event.entity] = {"queue": event.data()["spec"][1]}


def tags(engine: OrchestrationEngine) -> Counter[str]:
    log = engine.store.runtime.log
    return Counter(record.tag for frame in log.frames() for record in frame.records)


def work(engine: OrchestrationEngine, count: int = 3) -> None:
    queue = Queue("q", engine=engine)
    queue.enqueue_many([Job("one", functions.one) for _ in range(count)])
    JobScheduler(engine=engine).process(queue)


@pytest.mark.parametrize("where", ["store", ":memory:"])
def test_it_is_built_from_what_was_before_and_goes_on_with_what_comes(where: str, tmp_path: Path) -> None:
    with OrchestrationEngine(where if where == ":memory:" else tmp_path / where) as engine:
        work(engine)
        by_tag = engine.project(ByTag())
        by_tag.wait_until(timeout=30)
        assert dict(by_tag) == tags(engine)
        work(engine)
        Queue("later", engine=engine).enqueue(Job("one", functions.one, job_id="waits"))
        open_jobs = engine.project(Open())
        for each in (by_tag, open_jobs):
            each.wait_until(timeout=30)
        assert by_tag["job.completed"] == 6
        assert dict(by_tag) == tags(engine)
        assert open_jobs.rows("job:") == [("job:waits", {"queue": "later"})]
        assert (len(open_jobs), "job:gone" in open_jobs, open_jobs.get("job:gone")) == (1, False, None)


def test_it_goes_on_where_it_was_and_another_version_is_made_anew(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        work(engine)
        engine.project(ByTag()).wait_until(timeout=30)
    with OrchestrationEngine(tmp_path / "s") as engine:
        work(engine)
        running = engine.project(ByTag())
        running.wait_until(timeout=30)
        assert dict(running) == tags(engine)
        running.stop()

        class Doubled(ByTag):
            version = 2

            def apply(self, event: RecordedEvent, table: Table) -> None:
                table[event.tag] = table.get(event.tag, 0) + 2

        doubled = engine.project(Doubled())
        doubled.wait_until(timeout=30)
        assert dict(doubled) == {tag: 2 * count for tag, count in tags(engine).items()}


def test_a_fold_that_raises_stops_there_with_all_before_it_taken_in(tmp_path: Path) -> None:
    class Broken(ByTag):
        def apply(self, event: RecordedEvent, table: Table) -> None:
            super().apply(event, table)
            if event.tag == "job.completed":
                raise ZeroDivisionError("of the projection")

    with OrchestrationEngine(tmp_path / "s") as engine:
        work(engine, 1)
        broken = engine.project(Broken())
        with pytest.raises(
            ProjectionError, match=r"cannot take in 'job.completed' of 'job:.*ZeroDivisionError"
        ):
            broken.wait_until(timeout=30)
        assert isinstance(broken.error, ProjectionError)
        assert "job.completed" not in broken
        assert broken["job.started"] == 1
        assert not broken.is_running
        mended = engine.project(ByTag())
        mended.wait_until(timeout=30)
        assert dict(mended) == tags(engine)
        work(engine, 1)  # nobody else was harmed


def test_names_keys_and_versions_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    class Nameless(ByTag):
        name = ""

    class Long(ByTag):
        name = "é" * 150

    class Wrong(ByTag):
        name = "wrong"

        def apply(self, event: RecordedEvent, table: Table) -> None:
            table["k" * 301] = 1

    with OrchestrationEngine(tmp_path / "s") as engine:
        for projection in (Nameless(), Long()):
            with pytest.raises(InputError, match="name"):
                engine.project(projection)
        for after in (-1, True, "x"):
            with pytest.raises(InputError, match="after"):
                engine.project(ByTag(), after=after)  # type: ignore[arg-type]
        with pytest.raises(ProjectionError, match="key: expected a text of 1 to 300 bytes"):
            engine.project(Wrong()).wait_until(timeout=30)
        engine.project(ByTag())
        with pytest.raises(InputError, match="stop it first"):
            engine.project(ByTag())


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        running = engine.project(ByTag())
        with pytest.raises(TimeoutError, match="not at 99"):
            running.wait_until(99, timeout=0)
        running.stop()
        with pytest.raises(Exception, match="was stopped"):
            running.wait_until(99, timeout=30)


def test_a_notebook_that_was_left_beside_another_log_is_not_believed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with OrchestrationEngine(tmp_path / name) as engine:
            work(engine, 1 + len(name))
            engine.project(ByTag()).wait_until(timeout=30)
    (tmp_path / "two" / "notebook").rename(tmp_path / "aside")
    (tmp_path / "one" / "notebook").rename(tmp_path / "two" / "notebook")
    with OrchestrationEngine(tmp_path / "two") as engine:
        running: Any = engine.project(ByTag())
        running.wait_until(timeout=30)
        assert dict(running) == tags(engine)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (ByTag, r"^projection: expected a Projection, got <class .*; make one of it: ByTag\(\)$"),
        (5, "^projection: expected a Projection, got 5$"),
        (int, "^projection: expected a Projection, got <class 'int'>$"),
    ],
    ids=str,
)
def test_what_is_no_projection_is_refused(what: Any, text: str) -> None:
    with OrchestrationEngine(":memory:") as engine, pytest.raises(InputError, match=text):
        engine.project(what)
