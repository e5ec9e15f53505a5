"""Jobs in pools that a factory makes: who dies there costs its own attempt only, although the whole pool breaks."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from queue import Full, SimpleQueue
from typing import Any

import pytest

from actors.queue.events import AttemptInterrupted, JobStarted
from actors.runtime import pool
from actors.runtime.clock import VirtualClock
from actors.runtime.desk import Address
from actors.runtime.effects import AttemptKey
from actors.runtime.pool import ExecutorPool, Generation
from actors.runtime.processes import WorkerDiedError
from logistics import (
    InputError,
    Job,
    JobCancelledError,
    JobFailedError,
    JobScheduler,
    OrchestrationEngine,
    Queue,
)
from logistics.task.executors import loky_pool
from tests.faults import jobs as do
from tests.faults import ways
from tests.faults.test_executor_contract import events, until
from tests.faults.test_running_jobs import (
    ORPHANED_S,
    PATIENCE_S,
    TIMES,
    appears,
    is_gone,
    needs_pidfd,
    run,
)

pytestmark = pytest.mark.usefixtures("plain_children")

NOWHERE = Address("", b"", 0, 1)


def spawned(workers: int) -> Executor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


class Made:
    """A factory that remembers what it has made, and with how many workers."""

    def __init__(self, factory: Callable[[int], Executor]) -> None:
        self._factory = factory
        self.sizes: list[int] = []

    def __call__(self, workers: int) -> Executor:
        self.sizes.append(workers)
        return self._factory(workers)


@pytest.fixture(params=[loky_pool, spawned])
def made(request: pytest.FixtureRequest) -> Made:
    return Made(request.param)


@pytest.fixture
def queue(made: Made) -> Iterator[Queue]:
    yield from served(made)


def served(factory: Callable[[int], Executor], workers: int = 2) -> Iterator[Queue]:
    with OrchestrationEngine(":memory:", workers=workers, executor=factory, clock=VirtualClock()) as engine:
        scheduler = JobScheduler(engine=engine)
        scheduler.start("work")
        yield Queue("work", engine=engine)
        scheduler.stop()
        engine.close(0)


def a_job(func: Callable[..., Any], *args: Any, **more: Any) -> Job:
    return Job(func.__name__, func, args, **{"max_retries": 0, **more})


@pytest.mark.parametrize(
    ("made", "func"),
    [(loky_pool, do.killed), (loky_pool, do.exits), (loky_pool, do.crashes), (spawned, do.killed)],
    indirect=["made"],
)
def test_f68_who_breaks_a_pool_is_charged_and_who_is_in_it_is_not(
    queue: Queue, made: Made, tmp_path: Path, func: Callable[..., Any]
) -> None:
    innocent = queue.enqueue(a_job(ways.report, str(tmp_path)))
    appears(tmp_path / "begun-1")
    killer = queue.enqueue(a_job(func))
    until(lambda: len(events(queue, innocent, AttemptInterrupted)) == 1)
    (tmp_path / "go").touch()
    assert queue.result(innocent, PATIENCE_S) == "went"
    with pytest.raises(JobFailedError, match="WorkerDied: the pool that ran it broke"):
        queue.result(killer, PATIENCE_S)
    tries = {job_id: len(events(queue, job_id, JobStarted)) for job_id in (innocent, killer)}
    assert tries == {innocent: 2, killer: 2}, "both were suspect, and went alone the second time"
    charged = {job_id: job.attempts for job_id in tries if (job := queue.get_job(job_id)) is not None}
    assert charged == {innocent: 1, killer: 1}
    assert made.sizes == [2, 1, 1]
    assert run(queue, a_job(do.add, 1, 2)) == 3
    assert made.sizes == [2, 1, 1, 2]


def test_f68_who_was_alone_in_a_pool_is_charged_at_once(made: Made) -> None:
    for queue in served(made, workers=1):
        killer = queue.enqueue(a_job(do.killed, max_retries=1, retry_delay=0))
        with pytest.raises(JobFailedError, match="WorkerDied"):
            queue.result(killer, PATIENCE_S)
        assert len(events(queue, killer, JobStarted)) == 2
        assert events(queue, killer, AttemptInterrupted) == []
        assert made.sizes == [1, 1]


def test_f68_an_idle_worker_of_a_pool_that_is_killed_costs_nobody_anything(queue: Queue) -> None:
    pid = run(queue, a_job(do.whereabouts))
    assert pid != os.getpid()
    os.kill(pid, signal.SIGKILL)
    job_id = queue.enqueue(a_job(do.whereabouts))
    assert queue.result(job_id, PATIENCE_S) not in (pid, os.getpid()), (
        "perhaps at the second start, uncharged"
    )


class Overlooks(ProcessPoolExecutor):
    """A pool that takes its second call at the moment at which it breaks, and never answers it (seen with 3.11)."""

    def __init__(self) -> None:
        super().__init__(1, mp_context=multiprocessing.get_context("spawn"))
        self.calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        if self.calls == 2:
            for pid in self._processes:
                os.kill(pid, signal.SIGKILL)
            return Future()
        if self.calls > 2:
            raise BrokenExecutor("a worker has died")
        return super().submit(fn, *args, **kwargs)


def test_f68_a_call_that_a_pool_took_while_it_broke_is_made_in_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "STARTED_S", 0)
    pools: list[Executor] = [Overlooks()]
    for queue in served(lambda workers: pools.pop() if pools else spawned(workers), workers=1):
        assert run(queue, a_job(do.add, 1, 2)) == 3
        assert run(queue, a_job(do.add, 3, 4)) == 7


class Answers(Executor):
    """A pool that answers at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        answer.set_result(b"answer")
        return answer


class Forgets(Executor):
    """A pool that breaks with two calls in it, and answers the first one only (seen with 3.11)."""

    def __init__(self, *, meanwhile: Callable[[], object] | None) -> None:
        """`meanwhile`: it breaks while it takes the second one, and that is done before it has."""
        self.meanwhile = meanwhile
        self.calls: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(Future())
        if len(self.calls) > 1 and self.meanwhile is not None:
            self.break_now()
            self.meanwhile()
        return self.calls[-1]

    def break_now(self) -> None:
        if not self.calls[0].done():
            self.calls[0].set_exception(BrokenExecutor("a worker has died"))


@pytest.mark.parametrize("meanwhile", [True, False])
def test_f68_a_call_that_a_pool_forgot_when_it_broke_is_made_in_another_one(
    meanwhile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "NOTICED_S", 0)
    another_made = threading.Event()
    forgets = Forgets(meanwhile=partial(another_made.wait, PATIENCE_S) if meanwhile else None)
    pools = iter((forgets, Answers()))

    def make(_workers: int) -> Executor:
        made = next(pools)
        if made is not forgets:
            another_made.set()
        return made

    def begun(_key: AttemptKey) -> bool:
        """Asked of the second call when the pool has it: now, at the latest, it breaks."""
        forgets.break_now()
        return False

    attempts = ExecutorPool(make, bytes, workers=2)
    run = partial(attempts.run, request=b"", hear=lambda _news: None)
    with ThreadPoolExecutor(2) as threads:
        try:
            one = threads.submit(run, (AttemptKey("one", 1, 1),), is_cancelled=lambda _key: False)
            until(lambda: bool(forgets.calls))
            two = threads.submit(run, (AttemptKey("two", 1, 1),), is_cancelled=begun)
            assert [each.result(PATIENCE_S) for each in (one, two)] == [b"answer"] * 2
        finally:
            for call in forgets.calls:
                call.cancel()  # who waits for it would wait for ever
    attempts.close()


@needs_pidfd
def test_f73_who_is_given_up_is_told_and_killed_when_the_others_have_left_the_pool(
    queue: Queue, tmp_path: Path
) -> None:
    stuck, other = tmp_path / "stuck", tmp_path / "other"
    other.mkdir()
    hangs = queue.enqueue(a_job(do.never_ends, str(stuck)))
    stays = queue.enqueue(a_job(ways.report, str(other)))
    appears(stuck)
    appears(other / "begun-1")
    assert queue.cancel(hangs)
    with pytest.raises(JobCancelledError):
        queue.result(hangs, PATIENCE_S)
    assert run(queue, a_job(do.add, 1, 2)) == 3, "in a new pool, as the old one has a worker less"
    os.kill(int(stuck.read_text()), 0)  # it is there still
    (other / "go").touch()
    assert queue.result(stays, PATIENCE_S) == "went"
    assert len(events(queue, stays, JobStarted)) == 1
    assert is_gone(int(stuck.read_text()), PATIENCE_S)


def test_f73_a_function_in_a_pool_sees_that_nobody_waits_for_it(queue: Queue, tmp_path: Path) -> None:
    stuck, other = tmp_path / "stuck", tmp_path / "other"
    for folder in (stuck, other):
        folder.mkdir()
    told = queue.enqueue(a_job(ways.stay, str(stuck)))
    stays = queue.enqueue(a_job(ways.report, str(other)))
    appears(stuck / "begun-1")
    appears(other / "begun-1")
    assert queue.cancel(told)
    appears(stuck / "told")
    (other / "go").touch()
    assert queue.result(stays, PATIENCE_S) == "went"


PARENT = """
import sys
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.faults import jobs
from tests.faults.test_pools import loky_pool, spawned

if __name__ == "__main__":
    engine = OrchestrationEngine(":memory:", executor={"loky": loky_pool, "spawned": spawned}[sys.argv[1]])
    queue = Queue("work", engine=engine)
    queue.enqueue(Job("stays", jobs.never_ends, [sys.argv[2]]))
    JobScheduler(engine=engine).process(queue)
"""


def run_parent(script: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Run a program that is to be killed."""
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )


@needs_pidfd
@pytest.mark.parametrize("pool", ["loky", "spawned"])
def test_f75_a_worker_of_a_pool_ends_when_its_engine_was_killed(tmp_path: Path, pool: str) -> None:
    script, note = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT)
    parent = run_parent(script, pool, note)
    try:
        appears(note)
    finally:
        parent.kill()
        parent.wait()
    assert is_gone(int(note.read_text()), TIMES * ORPHANED_S)


UNCALLED = """
import sys, threading
from pathlib import Path
from logistics.task.executors import loky_pool

if __name__ == "__main__":
    pool = loky_pool(2)
    pool.submit(int).result()
    pool._processes_management_lock.acquire()  # as it does while it begins another worker: no idle one may end then
    note = Path(sys.argv[1])
    note.with_suffix(".part").write_text(" ".join(map(str, pool._processes)))
    note.with_suffix(".part").rename(note)
    threading.Event().wait()
"""


@needs_pidfd
def test_f75_a_worker_of_a_loky_pool_that_was_never_called_ends_when_its_engine_was_killed(
    tmp_path: Path,
) -> None:
    script, note = tmp_path / "parent.py", tmp_path / "pids"
    script.write_text(UNCALLED)
    parent = run_parent(script, note)
    try:
        appears(note)
    finally:
        parent.kill()
        parent.wait()
    workers = list(map(int, note.read_text().split()))
    try:
        assert [is_gone(pid, TIMES * ORPHANED_S) for pid in workers] == [True] * 2
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.no_cover
def test_functions_of_a_script_run_in_a_loky_pool(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from logistics import Job, JobScheduler, OrchestrationEngine, Queue\n\n"
        "def twice(n):\n    return 2 * n\n\n"
        "if __name__ == '__main__':\n"
        "    with OrchestrationEngine(':memory:', executor='loky') as engine:\n"
        "        queue = Queue(engine=engine)\n"
        "        job_id = queue.enqueue(Job('twice', twice, [21]))\n"
        "        JobScheduler(engine=engine).process(queue)\n"
        "        print(queue.result(job_id))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_a_pool_may_be_one_of_threads() -> None:
    for queue in served(ThreadPoolExecutor):
        assert run(queue, a_job(do.whereabouts)) == os.getpid()
        job_id = queue.enqueue(a_job(do.reports))
        assert queue.result(job_id, PATIENCE_S) == [job_id, 1, False]
        with pytest.raises(JobFailedError, match="SystemExit: 3"):
            run(queue, a_job(do.raises_system_exit))


def short_lived(workers: int) -> Executor:
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )


@pytest.mark.parametrize(("factory", "jobs"), [(short_lived, 3), (ThreadPoolExecutor, 20)])
def test_a_pool_remembers_nobody_who_has_ended(
    factory: Callable[[int], Executor], jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Generation] = []

    def keep(*args: Any) -> Generation:
        kept.append(Generation(*args))
        return kept[-1]

    monkeypatch.setattr(pool, "Generation", keep)
    for queue in served(factory, workers=1):
        for number in range(jobs):
            assert run(queue, a_job(do.add, number, 1)) == number + 1
        until(lambda: len(kept[0].guests) <= 1)
        assert kept[0].begun == {}
        assert len(kept) == 1


LINGERS = """
import sys
from pathlib import Path
from logistics import Job, JobScheduler, OrchestrationEngine, Queue
from tests.faults import jobs, ways
from tests.faults.test_pools import short_lived

pools = []

def kept(workers):
    pools.append(short_lived(workers))
    return pools[-1]

if __name__ == "__main__":
    with OrchestrationEngine(":memory:", workers=2, executor=kept) as engine:
        queue = Queue("work", engine=engine)
        JobScheduler(engine=engine).start("work")
        queue.result(queue.enqueue(Job("makes two workers of one", jobs.add, [1, 2])))
        queue.result(queue.enqueue(Job("lingers", ways.linger, [sys.argv[1]])))
    (Path(sys.argv[1]) / "go").touch()
"""


@pytest.mark.no_cover
def test_a_program_ends_although_its_pool_has_a_worker_to_replace_when_the_engine_closes(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(LINGERS)
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            _, complaints = program.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            raise
    assert (program.returncode, complaints) == (0, "")


def test_what_a_pool_that_is_over_still_has_to_do_is_done() -> None:
    made = short_lived(1)
    calls = [made.submit(int), made.submit(int)]
    Generation(made, NOWHERE, 1).end()
    del made
    assert [call.result(PATIENCE_S) for call in calls] == [0, 0]


class BreaksMeanwhile(ProcessPoolExecutor):
    """A pool that breaks while it begins its second worker: in 3.11 it overlooks that one, and waits for its end.

    It asks as many workers to end as it finds alive. If the first one, which was killed, still seems to be, the second
    one is asked in its place: here nobody ever is.
    """

    def __init__(self) -> None:
        super().__init__(2, mp_context=multiprocessing.get_context("spawn"))
        self.workers: dict[int, Any] = {}
        self.__dict__["_call_queue"].put_nowait = self._ask_nobody

    @staticmethod
    def _ask_nobody(_call: None) -> None:
        raise Full

    def _spawn_process(self) -> None:
        super()._spawn_process()  # type: ignore[misc]
        late = {pid: each for pid, each in self._processes.items() if pid not in self.workers}
        for first in self.workers.values():
            self._processes.pop(*late)
            first.kill()
            if sys.version_info < (3, 12):  # later ones break when this is done
                until(lambda: self.__dict__["_call_queue"]._closed)
            self._processes.update(late)
        self.workers.update(late)


@needs_pidfd
def test_f68_a_worker_that_a_pool_overlooked_while_it_broke_is_ended(tmp_path: Path) -> None:
    made = BreaksMeanwhile()
    first = made.submit(do.never_ends, str(tmp_path / "pid"))
    appears(tmp_path / "pid")
    second = made.submit(int)
    assert [type(each.exception(PATIENCE_S)) for each in (first, second)] == [BrokenProcessPool] * 2
    pools: list[Executor] = [made]
    attempts = ExecutorPool(lambda _workers: pools.pop() if pools else Broken(), bytes, workers=2)
    with pytest.raises(WorkerDiedError, match="no room"):
        attempts.run((AttemptKey("job", 1, 1),), b"", is_cancelled=lambda _: False, hear=lambda _: None)
    attempts.close()
    assert [is_gone(pid, PATIENCE_S) for pid in made.workers] == [True] * 2


class TakesLong(Executor):
    """A pool that ends when it may, and notes whether somebody waits for that."""

    def __init__(self) -> None:
        self.waited: SimpleQueue[bool] = SimpleQueue()
        self.may_end = threading.Event()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.waited.put(wait)
        if wait:
            self.may_end.wait()


def test_nobody_waits_for_a_pool_that_takes_long_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made = TakesLong()
    Generation(made, NOWHERE, 1).end()
    assert made.waited.get(timeout=PATIENCE_S), "on a thread"
    made.may_end.set()
    monkeypatch.setattr(threading.Thread, "start", no_more)
    Generation(made, NOWHERE, 1).end()
    assert not made.waited.get(timeout=PATIENCE_S), "as there is no thread to be had"


class Broken(Executor):
    """A pool that breaks before anything begins."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise BrokenExecutor("no room")


def test_a_pool_that_never_works_fails_the_attempt_after_three_tries() -> None:
    made = Made(lambda _workers: Broken())
    for queue in served(made):
        with pytest.raises(JobFailedError, match=r"the pool that ran it broke \(BrokenExecutor: no room\)"):
            run(queue, a_job(do.add, 1, 2))
        assert made.sizes == [2, 2, 2]
        assert run(queue, a_job(do.add, 1, 2, executor="thread")) == 3


def test_a_factory_that_fails_is_told_as_the_failure_of_the_attempt() -> None:
    def fails(_workers: int) -> Executor:
        raise OSError("no cluster")

    for queue in served(fails):
        with pytest.raises(JobFailedError, match="OSError: no cluster"):
            run(queue, a_job(do.add, 1, 2))


def test_loky_is_an_extra_that_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"'loky' needs the extra: pip install 'logistics\[loky\]'"):
        OrchestrationEngine(":memory:", executor="loky")


@pytest.mark.parametrize("wrong", [int, lambda _: None], ids=["a number", "nothing"])
def test_a_function_that_makes_something_else_is_told_as_the_failure_of_the_attempt(wrong: Any) -> None:
    for queue in served(wrong):
        with pytest.raises(JobFailedError, match=r"makes a concurrent\.futures\.Executor, it made"):
            run(queue, a_job(do.whereabouts))


def test_what_makes_no_pool_is_refused() -> None:
    with pytest.raises(InputError, match="'thread', 'process', 'loky', or a function that makes a pool"):
        OrchestrationEngine(":memory:", executor=3)  # type: ignore[arg-type]
