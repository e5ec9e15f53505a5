"""Processes that end, are told to end, fork, or meet another one at the store (F12–F14, F17, F18, F35, F36)."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from random import Random

import pytest

from actors.queue.events import AttemptInterrupted, JobCompleted, JobRetrying
from actors.runtime.events import EngineClosed
from eventstore.errors import StoreInUseError
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.staying import GRACE_S
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.faults.children import Child, Interpreters, Nursery
from tests.faults.evidence import Evidence
from tests.support.scale import scaled

AT_ONCE_S = 3.0
"""Far longer than a process takes to go, on a machine that many share; waiting for anything takes longer."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def run(program: str, store: Path) -> Child:
    """Start a program in an interpreter of its own."""
    return Child(Interpreters(), "tests.faults.programs", program, store, store.parent / "lines")


def acknowledged(said: list[str]) -> set[str]:
    return {line.removeprefix("job ") for line in said if line.startswith("job ")}


def check(store: Path, said: list[str]) -> Evidence:
    evidence = Evidence.of(store)
    evidence.check_executions(store.parent / "lines")
    assert acknowledged(said) <= evidence.history.jobs.keys(), "acknowledged and lost"
    return evidence


@pytest.mark.parametrize(
    ("program", "code", "error"),
    [("falls_off_the_end", 0, ""), ("exits", 3, ""), ("raises", 1, "PlannedFailureError")],
)
def test_an_interpreter_that_ends_without_closing_closes_properly(
    program: str, code: int, error: str, store: Path
) -> None:
    """F17. What runs is waited for; what waits is there at the next start."""
    with run(program, store) as child:
        said = child.rest()
        assert child.end() == code, child.errors
        assert error in child.errors
        assert child.errors.count("Traceback") == bool(error), child.errors
    evidence = check(store, said)
    assert isinstance(evidence.events[-1], EngineClosed)
    assert len(evidence.all(JobCompleted)) >= 2
    assert evidence.all(AttemptInterrupted) == []


def test_an_interpreter_that_ends_while_nothing_can_be_written_ends(store: Path) -> None:
    with run("exits_while_the_disk_is_away", store) as child:
        said = child.rest()
        assert "failed" in said
        assert child.end() == 0, child.errors
        assert child.errors == ""
    check(store, said)


def test_a_thread_that_waits_when_the_interpreter_ends_is_told(store: Path) -> None:
    with run("is_left_by_a_thread", store) as child:
        said = child.rest()
        assert child.end() == 0, child.errors
        assert "thread EngineClosedError" in said
        assert child.errors == ""
    check(store, said)


@pytest.mark.parametrize("program", ["stays", "sleeps", "waits", "processes"])
def test_ctrl_c_ends_a_program_at_once_and_properly(program: str, store: Path) -> None:
    """F12. Also when the program is over and only a started scheduler keeps the process."""
    with run(program, store) as child:
        said = child.expect("ready")
        begun_s = time.monotonic()
        child.send(signal.SIGINT)
        code = child.end()
        assert time.monotonic() - begun_s < AT_ONCE_S, child.errors
        assert code in (0, 1, 130, -signal.SIGINT)
    evidence = check(store, said)
    assert isinstance(evidence.events[-1], EngineClosed)
    assert evidence.all(AttemptInterrupted) == [], "what runs is waited for, up to the grace"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_processes_that_begin_say_nothing_of_a_signal_to_all(number: signal.Signals, store: Path) -> None:
    """As Ctrl-C in a terminal is."""
    with run("begins_processes", store) as child:
        said = child.expect("ready")
        os.killpg(child.pid, number)
        said += child.rest()
        child.end()
        assert child.errors == ""
    evidence = check(store, said)
    assert not any(event.charged for event in evidence.all(AttemptInterrupted))
    assert evidence.all(JobRetrying) == []


def test_ctrl_c_at_any_moment_of_the_end_keeps_no_store_from_being_closed(store: Path) -> None:
    with run("is_interrupted_as_it_leaves", store) as child:
        said = child.rest()
        assert child.end() == 0
        assert child.errors == ""
    assert isinstance(check(store, said).events[-1], EngineClosed)


def test_ctrl_c_for_the_second_time_is_no_worse_than_a_kill(store: Path) -> None:
    """F13. The first one waits for what runs."""
    with run("processes_for_ever", store) as child:
        said = child.expect("ready")
        child.send(signal.SIGINT)
        said += child.expect("closing")
        begun_s = time.monotonic()
        child.send(signal.SIGINT)
        child.end()
        assert time.monotonic() - begun_s < AT_ONCE_S, child.errors
    check(store, said)


def test_sigterm_to_a_program_that_has_started_nothing_is_no_worse_than_a_kill(store: Path) -> None:
    """F12. Python's own action: the program's author may choose another one, and nothing depends on it."""
    with run("processes", store) as child:
        said = child.expect("ready")
        child.send(signal.SIGTERM)
        assert child.end() == -signal.SIGTERM
    check(store, said)
    with OrchestrationEngine(store) as engine:
        JobScheduler(engine=engine).process("load")
        assert Queue("load", engine=engine).result("long", 10) == 2


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("works", 143),
        ("works_within", 143),
        ("works_in_processes", 143),
        ("works_on", 0),
        ("works_on_with_a_handler", 0),
    ],
)
def test_sigterm_ends_a_program_that_has_started_something_properly(
    program: str, code: int, store: Path
) -> None:
    """F12. Sent to all its processes, as systemd does: what runs has its time, and what does not end costs nobody."""
    with run(program, store) as child:
        said = child.expect("ready")
        begun_s = time.monotonic()
        os.killpg(child.pid, signal.SIGTERM)
        assert child.end() == code, child.errors
        assert time.monotonic() - begun_s < GRACE_S, "else who sent it might have killed it"
        assert child.errors == ""
    evidence = check(store, said)
    assert isinstance(evidence.events[-1], EngineClosed)
    assert [event.job_id for event in evidence.all(JobCompleted)] == ["soon"]
    assert [(event.job_id, event.charged) for event in evidence.all(AttemptInterrupted)] == [("never", False)]


@pytest.mark.parametrize(
    ("program", "code", "word"), [("works_for_ever", 0, "closed True"), ("is_closed_late", 143, "closed")]
)
def test_sigterm_ends_a_program_that_closes_by_itself(
    program: str, code: int, word: str, store: Path
) -> None:
    """Of `run_forever`, whatever else was started; and where a thread closes when the main program has ended."""
    with run(program, store) as child:
        said = child.expect("ready")
        child.send(signal.SIGTERM)
        said += child.rest()
        assert child.end() == code, child.errors
        assert child.errors == ""
    assert word in said
    assert isinstance(check(store, said).events[-1], EngineClosed)


def test_sigterm_for_the_second_time_is_no_worse_than_a_kill(store: Path) -> None:
    with run("works", store) as child:
        said = child.expect("ready")
        child.send(signal.SIGTERM)
        said += child.expect("closing")
        child.send(signal.SIGTERM)
        assert child.end() == -signal.SIGTERM, child.errors
    check(store, said)


@pytest.mark.parametrize("program", ["worked", "takes_in"])
def test_sigterm_ends_a_program_in_any_case(program: str, store: Path) -> None:
    """At once if nothing is started any more; if the main program does not end, as pytest does not, in the end."""
    with run(program, store) as child:
        said = child.expect("ready")
        child.send(signal.SIGTERM)
        assert child.end() == -signal.SIGTERM, child.errors
    check(store, said)


def test_forked_children_answer_sigterm_as_others_do(store: Path) -> None:
    with run("has_children", store) as child:
        child.expect(f"children {{{-signal.SIGTERM}}}")
        child.send(signal.SIGINT)
        child.end()


def test_ctrl_c_between_commit_and_answer_loses_nothing_and_locks_nothing(
    store: Path, nursery: Nursery
) -> None:
    """F14. The moments are drawn: each interrupt comes a fraction of a millisecond after an answer."""
    random = Random(14)
    lines = store.parent / "lines"
    with Child(nursery, "tests.faults.programs", "is_interrupted_often", store, lines) as child:
        said = child.expect("ready")
        for _ in range(scaled("INTERRUPTS", 100)):
            line = child.line()
            assert line is not None, child.explain()
            said.append(line)
            threading.Event().wait(random.uniform(0, 0.001))
            child.send(signal.SIGINT)
            said += child.expect("interrupted")
        child.say("stop")
        said += child.expect("closed")
        assert child.end() == 0, child.errors
    evidence = check(store, said)
    assert isinstance(evidence.events[-1], EngineClosed)


def test_a_fork_is_refused_at_once_and_harms_nobody(store: Path) -> None:
    """F18."""
    with run("forks", store) as child:
        said = child.rest()
        assert child.end() == 0, child.errors
    assert [line for line in said if line.startswith("child")] == [
        *["child ForkedError"] * 7,
        "child healthy False",
        "child took True",
        "child ended 0",
    ], child.errors
    assert "result 1" in said
    evidence = check(store, said)
    assert set(evidence.history.jobs) == {"before", "after"}
    assert len(evidence.all(EngineClosed)) == 1


def test_a_second_process_is_refused_and_told_who_owns_the_store(store: Path) -> None:
    """F35."""
    with run("sleeps", store) as child:
        child.expect("ready")
        with pytest.raises(StoreInUseError, match=rf"process {child.pid}, since \d{{4}}-"):
            OrchestrationEngine(store)
        assert Evidence.of(store).history.jobs.keys() == {"job-0"}, "looking is allowed"
        child.kill()
    with OrchestrationEngine(store) as engine:
        assert Queue("load", engine=engine).result("job-0", 10) == 1


def test_a_killed_owner_leaves_no_lock_even_if_a_child_of_it_lives_on(store: Path) -> None:
    """F36."""
    with run("leaves_an_orphan", store) as child:
        child.expect("job one")
        orphan = int((child.line() or "").removeprefix("orphan "))
        child.send(signal.SIGKILL)
        assert child.end() == -signal.SIGKILL
        os.kill(orphan, 0)  # it is there
        with OrchestrationEngine(store) as engine:
            assert Queue("load", engine=engine).size() == 1
        os.kill(orphan, signal.SIGKILL)


def test_a_full_disk_is_told_clearly_and_the_engine_goes_on_when_there_is_room(store: Path) -> None:
    """F21, F45, with a limit on the size of files: the kernel refuses in the middle of a commit."""
    with run("runs_out_of_disk", store) as child:
        said = child.rest()
        assert child.end() == 0, child.errors
    error = next(line for line in said if line.startswith("error"))
    assert "Input/output error" in error or "File too large" in error
    assert "repeat with the same id" in error
    refusal = next(line for line in said if line.startswith("then"))
    assert "nothing was changed" in refusal
    assert "Input/output error" in refusal or "File too large" in refusal, "the reason is told, too"
    assert said[-1] == "result 1"
    check(store, said)


def test_f25_an_engine_whose_disk_syncs_nothing_any_more_takes_nothing_on_and_closes(store: Path) -> None:
    """What was acknowledged before is there, and goes on, as soon as the disk is back."""
    with run("loses_its_disk", store) as child:
        said = child.rest()
        assert child.end() == 0, child.errors
    errors = [line for line in said if line.startswith("error")]
    assert ["Input/output error" in line for line in errors] == [True] * 3
    assert "repeat with the same id" in errors[0]
    assert "healthy False" in said
    evidence = check(store, said)
    assert "before" in evidence.history.jobs
    with OrchestrationEngine(store) as engine:
        JobScheduler(engine=engine).process(Queue("load", engine=engine))
        assert Queue("load", engine=engine).result("before", 10) == 1
