"""The past is exact: the state at any position is the one that was there, and asking for it changes nothing."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from actors.assembly import ACTORS
from actors.folding import event_codec
from actors.queue.messages import EnqueueJobs, GetStats, PauseQueue, Unfinished
from actors.queue.specs import JobSpec
from actors.runtime.actor import EventSourcedActor
from actors.runtime.attempt import firing_of
from actors.runtime.errors import InputError
from actors.runtime.fold import snapshot_of
from actors.simulation.world import WorkflowWorld, World
from eventstore.errors import ReopenNeededError
from eventstore.memory_log import MemoryLog
from eventstore.records import Record, Stored
from logistics.audit.differences import differences
from logistics.audit.history import History
from logistics.audit.store_view import StoreView
from logistics.messages import GetClock
from logistics.orchestration.engine import OrchestrationEngine
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.faults import tasks
from tests.support.scale import scaled

CODEC = event_codec()
ROOT = Path(__file__).parents[3]


@pytest.fixture
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Witness:
    """Writes down the state of each actor of a world after each of its turns, by all that the actor had recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[tuple[str, bytes], Any] = {}
        self._chains: dict[int, tuple[Any, bytes]] = {}
        self._log: MemoryLog | None = None
        real = EventSourcedActor._take_in

        def take_in(actor: EventSourcedActor, decision: Any, records: list[Record], *more: Any) -> None:
            chain = self._chain_of(actor)
            real(actor, decision, records, *more)
            for record in records:
                chain = link(chain, record)
            self._chains[id(actor.state)] = actor.state, chain
            self.seen[actor.rules.name, chain] = actor.state.dump()

        monkeypatch.setattr(EventSourcedActor, "_take_in", take_in)

    def live(self, seed: int) -> MemoryLog:
        """Return the log of a simulated life full of faults."""
        world = (World, WorkflowWorld)[seed % 2](seed, steps=1500)
        self._log = world.medium
        world.run()
        return world.medium

    def _chain_of(self, actor: EventSourcedActor) -> bytes:
        """Return what this state has taken in; one that is new begins with what the log has by now."""
        if id(actor.state) in self._chains:
            return self._chains[id(actor.state)][1]
        assert self._log is not None
        return [b"", *chains(self._log, actor.state)][-1]


def link(chain: bytes, record: Record) -> bytes:
    return hashlib.sha256(chain + record.payload).digest()


def chains(log: MemoryLog, state: Any) -> Iterator[bytes]:
    """Yield for each position what an actor with such a state had recorded by then."""
    chain = b""
    for frame in log.frames():
        for record, event in zip(frame.records, CODEC.decode_frame(frame), strict=True):
            if type(event) in state.handlers:
                chain = link(chain, record)
            yield chain


def live_states(log: MemoryLog) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the states as actors have them: each event taken in by its owner, one by one."""
    states = {actor.rules.name: actor.rules.initial() for actor in ACTORS}
    yield 0, {name: state.dump() for name, state in states.items()}
    for frame in log.frames():
        for position, event in enumerate(CODEC.decode_frame(frame), frame.first):
            for state in states.values():
                if type(event) in state.handlers:
                    state.evolve(event)
            yield position, {name: state.dump() for name, state in states.items()}


@pytest.mark.parametrize("seed", range(scaled("time_travels", 5)))
@pytest.mark.usefixtures("_quiet")
def test_the_state_at_every_position_is_the_one_that_was_live_there(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each turn of an actor as it was written down then; within a turn, by taking in event after event."""
    witness = Witness(monkeypatch)
    log, random = witness.live(seed), Random(seed)
    history = History(log, CODEC, lambda: log.head.position)
    names = [actor.rules.name for actor in ACTORS]
    recorded = [[b"", *chains(log, actor.rules.initial())] for actor in ACTORS]
    written_down = 0
    for position, live in live_states(log):
        view = history.as_of(position)
        assert view.position == position
        assert view.dump() == live
        for name, chain in zip(names, recorded, strict=True):
            if (name, chain[position]) in witness.seen:
                assert live[name] == witness.seen[name, chain[position]]
                written_down += 1
        if random.random() < 0.02:  # from here on, views may begin with this
            for name in names:
                log.save_snapshot(name, position, snapshot_of(view._states[name]))
    assert written_down > 2 * log.head.position


@pytest.mark.usefixtures("_quiet")
def test_the_same_log_gives_the_same_hash_in_every_process(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        for number in range(20):
            engine.send(EnqueueJobs(jobs=(tasks.job(f"j{number}", tmp_path / "l"),)))
        expected = engine.as_of().state_hash()
        position = engine.as_of().position
    code = (
        "import sys; from logistics.audit.store_reader import StoreReader\n"
        "with StoreReader(sys.argv[1]) as reader:\n"
        "    print(reader.as_of(int(sys.argv[2])).state_hash())"
    )
    for seed in ("0", "1", "2"):
        child = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s"), str(position)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert child.stdout.strip() == expected


def test_a_moment_is_a_position_or_an_instant(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        before = datetime.now(UTC)
        ids = [engine.send(EnqueueJobs(jobs=(tasks.job(f"j{n}", tmp_path / "l"),)))[0] for n in range(3)]
        views = [engine.as_of(position) for position in range(engine.as_of().position + 1)]
        for view in views[1:]:
            assert engine.as_of(view.at).position >= view.position
            assert engine.as_of(view.at - timedelta(microseconds=1)).position < view.position
        assert engine.as_of(before - timedelta(days=1)).position == 0
        assert engine.as_of(before + timedelta(days=1)).position == views[-1].position
        assert [job.job_id for job in views[-1].jobs()] == ids
        assert [len(list(view.jobs("load"))) for view in views] == [0, 0, 1, 2, 3]
        for moment in (-1, len(views), True, "yesterday", datetime(2026, 1, 1)):  # noqa: DTZ001 -- naive on purpose
            with pytest.raises(InputError):
                engine.as_of(moment)  # type: ignore[arg-type]


def test_a_view_answers_what_the_engine_answered_then(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        queue = Queue("load", engine=engine)
        CronScheduler(engine=engine).schedule("nightly", "0 0 * * *", tasks.note, [str(tmp_path / "l")])
        answers: list[tuple[int, Any, int]] = []
        for number in range(5):
            engine.send(EnqueueJobs(jobs=(tasks.job(f"j{number}", tmp_path / "l"),)))
            if number == 2:
                queue.cancel("j0")
            answers.append(
                (engine.as_of().position, engine.query("queue", GetStats(queue="load")), queue.size())
            )
        for position, stats, size in answers:
            view = engine.as_of(position)
            assert view.queues()["load"] == stats
            assert view.ask(GetStats(queue="load")).ready == size
            assert [schedule.name for schedule in view.schedules()] == ["nightly"]
            assert view.ask(Unfinished(queue="load")) == size
        assert engine.as_of().ask(GetClock()) is not None
        assert list(engine.as_of().runs()) == []
        assert engine.as_of().resources() == ()
        assert sum(engine.as_of().run_totals().values()) == 0


def test_the_past_takes_no_commands_and_does_nothing(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        engine.send(EnqueueJobs(jobs=(tasks.job("j", tmp_path / "l"),)))
        position = engine.as_of().position
        view = engine.as_of(position)
        before = view.state_hash()
        spec = JobSpec("other", "load", "n", "m:f", b"")
        for command in (EnqueueJobs(jobs=(spec,)), PauseQueue(queue="load"), object()):
            with pytest.raises(InputError, match=r"command|expected a query"):
                view.ask(command)  # type: ignore[arg-type]
        assert view.state_hash() == before
        assert engine.as_of().position == position
        assert "StoreView(position=" in repr(view)


def test_differences_name_what_came_went_and_changed(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "s") as engine:
        engine.send(EnqueueJobs(jobs=(tasks.job("a", tmp_path / "l"), tasks.job("b", tmp_path / "l"))))
        before = engine.as_of()
        Queue("load", engine=engine).cancel("a")
        engine.send(EnqueueJobs(jobs=(tasks.job("c", tmp_path / "l"),)))
        engine.send(PauseQueue(queue="load"))
        after = engine.as_of()
    found = {(each.part, each.key): each for each in differences(before, after)}
    assert found["jobs", "a"].after is None
    assert found["jobs", "c"].before is None
    assert ("jobs", "b") not in found
    assert found["queues", "load"].before != found["queues", "load"].after
    assert not list(differences(after, after))


def succeed() -> None:
    """Be a job's function."""


@pytest.mark.parametrize("reader", ["history", "last", "frames", "at"])
def test_a_view_waits_for_the_engine_that_comes_back_from_a_failed_commit(
    reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OrchestrationEngine(":memory:") as engine:
        queue = Queue("q", engine=engine)
        job_id = queue.enqueue(Job("a", succeed))
        JobScheduler(engine=engine).process(queue)
        log, view = engine.store.runtime.log, engine.as_of()
        read, failures = getattr(log, reader), [ReopenNeededError("a commit has failed")]

        def look(*asked: Any, **how: Any) -> Any:
            if failures:
                raise failures.pop()
            return read(*asked, **how)

        monkeypatch.setattr(log, reader, look)
        assert view.why(job_id).status == "COMPLETED"
        view.rehearse(view.at)
        assert not failures


def test_a_job_that_asks_for_its_firing_waits_for_the_engine_that_comes_back() -> None:
    answers: list[Any] = [ReopenNeededError("a commit has failed"), None]

    def first(_entity: str, *, upto: int) -> Stored:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return Stored(upto, 1, Record("job:s.7", 1, "", "", b""))

    runtime: Any = SimpleNamespace(
        log=SimpleNamespace(first=first),
        journal=SimpleNamespace(watermark=1),
        codec=SimpleNamespace(decode=lambda _record: SimpleNamespace(at_us=8)),
    )
    assert firing_of(runtime, "s.7", "schedule:s") == (8, 7)
    assert answers == []


def test_a_store_in_memory_has_a_past_too() -> None:
    with OrchestrationEngine(":memory:") as engine:
        assert engine.as_of().position == 1
        assert StoreView(engine.store.runtime.log, CODEC, 1, snapshots=False).dump() == engine.as_of(0).dump()
