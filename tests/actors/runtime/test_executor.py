"""One contract for every executor: starts are idempotent, ends are kept until they are acknowledged (R14)."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

import pytest

from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.errors import WouldDeadlockError
from actors.runtime.executor import ThreadExecutor
from actors.simulation.parts import SimExecutor
from tests.support.collecting import at_every_collection


class Rig(Protocol):
    executor: Any
    reports: list[AttemptKey]
    begun: list[AttemptKey]

    def let_finish(self, key: AttemptKey) -> None: ...

    def until(self, condition: Callable[[], bool]) -> None: ...


class ThreadRig:
    def __init__(self) -> None:
        self.reports: list[AttemptKey] = []
        self.begun: list[AttemptKey] = []
        self.changed = threading.Condition()
        self._allowed: set[AttemptKey] = set()
        self.executor = ThreadExecutor(2, run=self._run, report=self._report)

    def _run(self, attempt: StartAttempt) -> AttemptFinished:
        with self.changed:
            self.begun.append(attempt.key)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: attempt.key in self._allowed, timeout=10)
        return AttemptFinished(key=attempt.key, outcome="ok")

    def _report(self, end: AttemptFinished) -> None:
        with self.changed:
            self.reports.append(end.key)
            self.changed.notify_all()

    def let_finish(self, key: AttemptKey) -> None:
        with self.changed:
            self._allowed.add(key)
            self.changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=10)


class SimRig:
    def __init__(self) -> None:
        self.reports: list[AttemptKey] = []
        self.begun: list[AttemptKey] = []
        self.executor = SimExecutor(self, 2, self.begun.append)  # type: ignore[arg-type]  # only `report` is used

    def report(self, end: AttemptFinished, _cause: str) -> None:
        self.reports.append(end.key)

    def let_finish(self, key: AttemptKey) -> None:
        self.executor.finish(key, outcome="ok", now_us=0)

    def until(self, condition: Callable[[], bool]) -> None:
        assert condition()


@pytest.fixture(params=[ThreadRig, SimRig])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig: Rig = request.param()
    yield rig
    rig.executor.close(0)


def key(job: str, attempt: int = 1) -> AttemptKey:
    return AttemptKey(job, attempt, 1)


def test_an_attempt_is_begun_and_its_end_reported(rig: Rig) -> None:
    rig.executor.start(StartAttempt(key=key("a")))
    rig.until(lambda: rig.begun == [key("a")])
    rig.let_finish(key("a"))
    rig.until(lambda: rig.reports == [key("a")])


def test_a_start_that_comes_again_starts_nothing_while_it_runs_nor_when_it_has_ended(rig: Rig) -> None:
    rig.executor.start(StartAttempt(key=key("a")))
    rig.executor.start(StartAttempt(key=key("a")))
    rig.until(lambda: rig.begun == [key("a")])
    rig.let_finish(key("a"))
    rig.until(lambda: rig.reports == [key("a")])
    rig.executor.start(StartAttempt(key=key("a")))
    rig.executor.start(StartAttempt(key=key("b")))
    rig.until(lambda: key("b") in rig.begun)
    assert rig.begun == [key("a"), key("b")]
    rig.let_finish(key("b"))


def test_another_attempt_of_the_same_job_is_another_one(rig: Rig) -> None:
    rig.executor.start(StartAttempt(key=key("a")))
    rig.executor.start(StartAttempt(key=key("a", 2)))
    rig.until(lambda: len(rig.begun) == 2)
    rig.let_finish(key("a"))
    rig.let_finish(key("a", 2))


def test_an_end_is_told_again_until_it_is_acknowledged(rig: Rig) -> None:
    rig.executor.start(StartAttempt(key=key("a")))
    rig.until(lambda: rig.begun == [key("a")])
    rig.let_finish(key("a"))
    rig.until(lambda: rig.reports == [key("a")])
    rig.executor.report_unacknowledged()
    rig.until(lambda: rig.reports == [key("a")] * 2)
    assert rig.executor.knows(key("a"))
    rig.executor.acknowledge(key("a"))
    assert not rig.executor.knows(key("a"))
    rig.executor.report_unacknowledged()
    assert rig.reports == [key("a")] * 2


def test_a_closed_executor_begins_nothing(rig: Rig) -> None:
    assert rig.executor.close(0)
    rig.executor.start(StartAttempt(key=key("a")))
    assert rig.begun == []


def test_attempts_beyond_the_workers_wait_their_turn() -> None:
    rig = ThreadRig()
    keys = [key(name) for name in "abcd"]
    for each in keys:
        rig.executor.start(StartAttempt(key=each))
    rig.until(lambda: len(rig.begun) == 2)
    assert set(rig.begun) == set(keys[:2])
    for each in keys:
        rig.let_finish(each)
    rig.until(lambda: len(rig.reports) == 4)
    rig.executor.close(0)


def test_one_that_waits_can_be_given_back_and_never_begins() -> None:
    rig = ThreadRig()
    keys = [key(name) for name in "abc"]
    for each in keys:
        rig.executor.start(StartAttempt(key=each))
    rig.until(lambda: len(rig.begun) == 2)
    rig.executor.cancel(keys[2])
    for each in keys[:2]:
        rig.let_finish(each)
    rig.until(lambda: len(rig.reports) == 3)
    assert keys[2] not in rig.begun
    rig.executor.close(0)


def test_a_worker_that_was_made_up_is_given_back_when_the_call_that_nobody_waited_for_returns() -> None:
    rig = ThreadRig()
    for name in "abc":
        rig.executor.start(StartAttempt(key=key(name)))
    rig.until(lambda: len(rig.begun) == 2)
    first = rig.begun[0]
    assert rig.executor.cancel(first)
    rig.until(lambda: key("c") in rig.begun)
    assert (rig.executor.capacity, rig.executor.is_cancelled(first)) == (3, True)
    rig.let_finish(first)
    rig.until(lambda: first in rig.reports)
    assert (rig.executor.capacity, rig.executor.is_cancelled(first)) == (2, False)
    for each in rig.begun:
        rig.let_finish(each)
    rig.until(lambda: len(rig.reports) == 3)
    rig.executor.close(0)


def test_closing_waits_for_what_runs_only_as_long_as_it_is_told() -> None:
    rig = ThreadRig()
    rig.executor.start(StartAttempt(key=key("a")))
    rig.until(lambda: rig.begun == [key("a")])
    assert not rig.executor.close(0.01)
    rig.let_finish(key("a"))
    assert rig.executor.close(10)


def test_workers_can_be_there_before_there_is_work() -> None:
    executor = ThreadExecutor(
        3, run=lambda _start: AttemptFinished(key=key("a"), outcome="ok"), report=lambda _end: None
    )
    executor.hire()
    executor.hire()
    assert len(executor._threads) == 3
    executor.close(0)


def test_the_last_worker_may_not_wait_for_others() -> None:
    executor = ThreadExecutor(
        2, run=lambda _start: AttemptFinished(key=key("a"), outcome="ok"), report=lambda _end: None
    )
    with executor.blocking(key("a")):
        pass
    first = executor.blocking(key("a"))
    with first, pytest.raises(WouldDeadlockError, match="all 2 workers would be waiting"):
        executor.blocking(key("b")).__enter__()
    with executor.blocking(key("b")), executor.blocking(key("b")):
        pass
    with executor.blocking(key("a")):
        pass


def test_closing_waits_until_an_end_is_reported_too() -> None:
    """Else who closes would say first that the attempt was interrupted, and its work would be done again."""
    reporting, go_on = threading.Event(), threading.Event()

    def report(_end: AttemptFinished) -> None:
        reporting.set()
        assert go_on.wait(10)

    executor = ThreadExecutor(
        1, run=lambda start: AttemptFinished(key=start.key, outcome="ok"), report=report
    )
    executor.start(StartAttempt(key=key("a")))
    assert reporting.wait(10)
    assert not executor.close(0.01)
    go_on.set()
    assert executor.close(10)


def test_a_thread_that_cannot_be_had_loses_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = ThreadRig()
    rig.executor.start(StartAttempt(key=key("a")))

    def refuse(_thread: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        rig.executor.start(StartAttempt(key=key("b")))
    rig.let_finish(key("a"))
    rig.let_finish(key("b"))
    rig.until(lambda: rig.reports == [key("a"), key("b")])
    assert rig.executor.close(10)


def test_an_attempt_that_never_got_here_is_given_back_when_nobody_waits_for_it(rig: Rig) -> None:
    """Its start was recorded, and lost with the commit behind which it was to be let out."""
    rig.executor.cancel(key("lost"))
    assert rig.reports == [key("lost")]
    assert not rig.begun


def test_nobody_is_hired_once_the_executor_has_closed() -> None:
    executor = ThreadExecutor(
        2, run=lambda start: AttemptFinished(key=start.key, outcome="ok"), report=lambda _: None
    )
    executor.close(0)
    executor.hire()
    assert not executor._threads


def test_those_at_work_can_be_counted_while_they_come_and_go() -> None:
    executor = ThreadExecutor(
        2, run=lambda start: AttemptFinished(key=start.key, outcome="ok"), report=lambda _: None
    )
    keys = (AttemptKey(f"j{number}", 1, 1) for number in range(10**6))
    executor._running.update(islice(keys, 40))
    with at_every_collection(lambda: executor._running.add(next(keys))):
        assert executor.abandoned == 0


def test_f77_a_child_that_a_job_forked_does_nothing_of_what_waits() -> None:
    code = """
import os, threading, warnings
from actors.runtime.effects import AttemptFinished, AttemptKey, StartAttempt
from actors.runtime.executor import ThreadExecutor

warnings.simplefilter("ignore")
all_wait, ended = threading.Event(), threading.Semaphore(0)

def run(start):
    if start.key.job_id == "forks":
        all_wait.wait()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
    else:
        os.write(1, b"done ")
    return AttemptFinished(key=start.key, outcome="ok")

executor = ThreadExecutor(1, run=run, report=lambda end: ended.release())
for job_id in ("forks", "waits"):
    executor.start(StartAttempt(AttemptKey(job_id, 1, 1)))
all_wait.set()
ended.acquire()
ended.acquire()
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60).stdout
        == b"done "
    )


def test_one_of_a_batch_that_is_cancelled_is_told_and_the_call_is_stopped_when_nobody_waits_for_it() -> None:
    """The call goes by the first of those that are left: it must be found by whichever key."""
    begun, go_on = threading.Semaphore(0), threading.Event()
    stopped: list[AttemptKey] = []
    told: list[AttemptKey] = []
    calls: list[StartAttempt] = []

    def run(start: StartAttempt) -> AttemptFinished:
        begun.release()
        assert go_on.wait(10)
        return AttemptFinished(key=start.key, outcome="ok")

    def run_batch(start: StartAttempt, settle: Callable[[AttemptFinished], None]) -> None:
        calls.append(start)
        for each in (start.key, *start.others):
            settle(run(StartAttempt(key=each)))

    executor = ThreadExecutor(
        1, run=run, run_batch=run_batch, report=lambda _end: None, stop=stopped.append, tell=told.append
    )
    executor.start(StartAttempt(key=key("blocks")))
    assert begun.acquire(timeout=10)
    executor.start(StartAttempt(key=key("a"), batched=True, others=(key("b"), key("c"))))
    executor.cancel(key("a"))
    go_on.set()
    go_on = threading.Event()
    assert begun.acquire(timeout=10)
    assert [(each.key, each.others) for each in calls] == [(key("b"), (key("c"),))]
    executor.cancel(key("b"))
    assert (key("b") in told, stopped) == (True, [])
    executor.cancel(key("c"))
    assert {key("b"), key("c")} <= set(stopped)
    go_on.set()
    assert executor.close(10)


def test_a_call_is_abandoned_when_the_last_of_it_has_ended_that_anybody_waits_for() -> None:
    """Who was cancelled before that must not cost a worker, nor keep a process."""
    begun, go_on, told_of, ended = (threading.Event() for _ in range(4))
    stopped: list[AttemptKey] = []

    def run_batch(start: StartAttempt, settle: Callable[[AttemptFinished], None]) -> None:
        begun.set()
        assert go_on.wait(10)
        settle(AttemptFinished(key=start.key, outcome="ok"))
        told_of.set()
        assert ended.wait(10)
        settle(AttemptFinished(key=start.others[0], outcome="ok"))

    executor = ThreadExecutor(
        1,
        run=lambda start: AttemptFinished(key=start.key, outcome="ok"),
        run_batch=run_batch,
        report=lambda _end: None,
        stop=stopped.append,
    )
    executor.start(StartAttempt(key=key("a"), batched=True, others=(key("b"),)))
    assert begun.wait(10)
    executor.cancel(key("b"))
    assert (executor.capacity, stopped) == (1, [])
    go_on.set()
    assert told_of.wait(10)
    assert (executor.capacity, executor.abandoned) == (2, 1)
    assert key("b") in stopped
    workers = list(executor._threads)
    ended.set()
    assert executor.close(10)
    for worker in workers:
        worker.join(10)
    assert executor.capacity == 1


class BatchRig:
    """One worker that makes a call for two attempts, which settles both when it is let."""

    def __init__(self, kind: type[ThreadExecutor] = ThreadExecutor) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.executor = kind(
            1,
            run=lambda start: AttemptFinished(key=start.key, outcome="ok"),
            report=lambda _end: None,
            run_batch=self._run,
        )
        self.executor.start(StartAttempt(key=key("a"), batched=True, others=(key("b"),)))
        assert self.begun.wait(10)

    def _run(self, start: StartAttempt, settle: Callable[[AttemptFinished], None]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        for each in (start.key, *start.others):
            settle(AttemptFinished(key=each, outcome="ok"))


def test_closing_waits_for_a_batch_although_nobody_waits_for_the_first_of_it() -> None:
    rig = BatchRig()
    rig.executor.cancel(key("a"))
    assert rig.executor.abandoned == 0
    assert not rig.executor.close(0)
    rig.go_on.set()
    assert rig.executor.close(10)


def test_a_batch_that_ends_while_the_last_of_it_is_cancelled_gives_back_the_worker_that_was_made_up() -> None:
    given_back, cancelled = threading.Event(), threading.Event()

    class Interleaved(ThreadExecutor):
        """Has the call end between the look whether anybody waits for it and the making up."""

        def _is_awaited(self, each: AttemptKey) -> bool:
            if each == key("b") and each in self._cancelled and not given_back.is_set():
                batch.go_on.set()
                assert given_back.wait(10)
            return super()._is_awaited(each)

        def _give_back(self, each: AttemptKey) -> None:
            super()._give_back(each)
            if threading.current_thread() in self._threads:
                given_back.set()
                assert cancelled.wait(10)

    batch = BatchRig(Interleaved)
    batch.executor.cancel(key("a"))
    batch.executor.cancel(key("b"))
    cancelled.set()
    assert batch.executor.close(10)
    assert batch.executor.capacity == 1
