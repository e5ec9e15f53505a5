"""Programs as users write them, each ending in its own way. Run as `python -m tests.faults.programs NAME STORE LINES`.

Each says `job ID` for what was acknowledged, and what else its test waits for.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from actors.queue.messages import EnqueueJobs
from actors.queue.specs import JobSpec
from actors.runtime.attempt import AttemptContext
from actors.runtime.values import encode_call
from eventstore.errors import StoreError
from logistics.orchestration import staying
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.stores import STORES
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.faults import tasks
from tests.faults.children import say
from tests.support.denied import deny

FOR_EVER = threading.Event()
BEGINNING = "LOGISTICS_TEST_BEGINNING"
"""Where processes for jobs say that they begin, and take their time; unset: they just begin."""


def enqueue(engine: OrchestrationEngine, spec: JobSpec) -> None:
    """Put a job on its queue and say so."""
    engine.send(EnqueueJobs(jobs=(spec,)))
    say(f"job {spec.job_id}")


def at_work(store: str, lines: str) -> OrchestrationEngine:
    """Open an engine with jobs that run, and some that wait."""
    engine = OrchestrationEngine(store, workers=2)
    scheduler = JobScheduler(engine=engine)
    scheduler.start("load")
    for number in range(6):
        enqueue(engine, tasks.job(f"job-{number}", lines, pause_ms=200))
    scheduler.stop()  # else the program stays for them
    return engine


def falls_off_the_end(store: str, lines: str) -> None:
    """Just end."""
    at_work(store, lines)


def exits(store: str, lines: str) -> None:
    """End with a code of its own."""
    at_work(store, lines)
    sys.exit(3)


def raises(store: str, lines: str) -> None:
    """End with an error."""
    at_work(store, lines)
    raise tasks.PlannedFailureError


def exits_while_the_disk_is_away(store: str, lines: str) -> None:
    """End while nothing can be written."""
    engine = at_work(store, lines)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        engine.send(EnqueueJobs(jobs=(tasks.job("lost", lines),)))
    except StoreError:
        say("failed")


def is_left_by_a_thread(store: str, lines: str) -> None:
    """End while a thread of its own waits for a result that never comes."""
    engine = at_work(store, lines)
    enqueue(engine, tasks.job("never", lines, queue="unserved"))

    def wait() -> None:
        try:
            Queue("unserved", engine=engine).result("never")
        except BaseException as error:  # noqa: BLE001 -- told
            say(f"thread {type(error).__name__}")

    threading.Thread(target=wait, daemon=True).start()


def stays(store: str, lines: str) -> None:
    """Stay alive for a scheduler that was started, with the main program at its end."""
    engine = OrchestrationEngine(store, workers=2)
    JobScheduler(engine=engine).start("load")
    enqueue(engine, tasks.job("job-0", lines))
    Queue("load", engine=engine).result("job-0")
    say("ready")


class _Interrupting(dict[str, Any]):
    """Whoever looks what is in it is interrupted."""

    def values(self) -> Any:
        signal.raise_signal(signal.SIGINT)
        return super().values()


def is_interrupted_as_it_leaves(store: str, lines: str) -> None:
    """Come to the end of the main program, and be interrupted before the wait for the scheduler has begun."""
    stays(store, lines)
    STORES._open = _Interrupting(STORES._open)


def sleeps(store: str, lines: str) -> None:
    """Start a scheduler and sleep in the main program."""
    stays(store, lines)
    FOR_EVER.wait()


def _at_long_work(store: str, lines: str, executor: str) -> OrchestrationEngine:
    """Have a job run that ends soon, and one that does not; say so when the engine closes, which is soon then."""
    staying.TERMINATED_S = 3.0
    engine = OrchestrationEngine(store, workers=2, executor=executor)
    JobScheduler(engine=engine).start("load")
    for name, pause_ms in (("soon", 500), ("never", 120_000)):
        enqueue(engine, tasks.job(name, lines, pause_ms=pause_ms))
    while len(_read(lines)) < 2:
        FOR_EVER.wait(0.01)
    _tell_of_closing(engine)
    return engine


def _tell_of_closing(engine: OrchestrationEngine) -> None:
    runtime = engine.store.runtime

    def tell() -> None:
        while runtime.accepting:
            threading.Event().wait(0.005)
        say("closing")

    threading.Thread(target=tell, daemon=True).start()


def _read(lines: str) -> list[str]:
    path = Path(lines)
    return path.read_text().splitlines() if path.exists() else []


def works(store: str, lines: str) -> None:
    """Start a scheduler, and sleep in the main program while jobs run."""
    _at_long_work(store, lines, "thread")
    say("ready")
    FOR_EVER.wait()


def works_within(store: str, lines: str) -> None:
    """Do the same within a `with`, which a signal leaves."""
    with _at_long_work(store, lines, "thread"):
        say("ready")
        FOR_EVER.wait()


def worked(store: str, lines: str) -> None:
    """Have started something, and stopped it again."""
    at_work(store, lines)
    say("ready")
    FOR_EVER.wait()


def takes_in(store: str, lines: str) -> None:
    """Take in what would end the main program, and go on."""
    staying.TAKEN_IN_S = 0.1
    try:
        with OrchestrationEngine(store) as engine:
            JobScheduler(engine=engine).start("load")
            say("ready")
            FOR_EVER.wait()
    except SystemExit:
        say("took it in")
    FOR_EVER.wait()


def works_in_processes(store: str, lines: str) -> None:
    """Do the same with jobs in processes."""
    _at_long_work(store, lines, "process")
    say("ready")
    FOR_EVER.wait()


class _Telling:
    """What wakes a program that stays: that it stays is said when it is first waited for."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()
        self.put, self.empty = self._queue.put, self._queue.empty
        self._is_told = False

    def get(self, timeout: float) -> None:
        if not self._is_told:
            self._is_told = True
            say("ready")
        self._queue.get(timeout=timeout)


def begins_processes(store: str, lines: str) -> None:
    """Be at the beginning of processes for jobs: they import this module, and stay there for a while."""
    beginning = Path(store).with_name("beginning")
    beginning.mkdir()
    os.environ[BEGINNING] = str(beginning)
    engine = OrchestrationEngine(store, workers=2, executor="process")
    JobScheduler(engine=engine).start("load")
    try:
        for name in ("one", "two"):
            enqueue(engine, tasks.job(name, lines))
        while len(list(beginning.iterdir())) < 2:
            FOR_EVER.wait(0.01)
        say("ready")
        FOR_EVER.wait()
    except KeyboardInterrupt:
        say("interrupted")


def _begin_slowly() -> None:
    beginning = Path(os.environ[BEGINNING])
    (beginning / str(os.getpid())).touch()
    FOR_EVER.wait(0.5)


def works_on(store: str, lines: str) -> None:
    """Come to the end of the main program while jobs run."""
    _at_long_work(store, lines, "thread")
    STORES.stay._wakes = _Telling()  # type: ignore[assignment]


def works_on_with_a_handler(store: str, lines: str) -> None:
    """Do the same with an answer of one's own to SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    works_on(store, lines)


def works_for_ever(store: str, lines: str) -> None:
    """Have two schedulers, of two engines, and be in `run_forever` of one of them."""
    other = OrchestrationEngine(":memory:")
    JobScheduler(engine=other).start("load")
    engine = OrchestrationEngine(store)
    scheduler = CronScheduler(engine=engine)

    def tell() -> None:
        while not scheduler.running:
            FOR_EVER.wait(0.005)
        say("ready")

    threading.Thread(target=tell).start()
    scheduler.run_forever()
    say(f"closed {engine.closed}")


def is_closed_late(store: str, lines: str) -> None:
    """Leave closing to a thread, which comes to that when the main program has ended and no thread can be begun."""
    engine = OrchestrationEngine(store, workers=2)
    JobScheduler(engine=engine).start("load")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError

    def close() -> None:
        threading.main_thread().join()
        threading.Thread.start = refuse  # type: ignore[assignment, method-assign]  # as Python 3.12 does then
        engine.close()
        say("closed")

    threading.Thread(target=close).start()
    say("ready")
    FOR_EVER.wait()


def has_children(store: str, lines: str) -> None:
    """Start a scheduler, and have forked children that SIGTERM ends at any moment, as it ends any others."""
    stays(store, lines)
    ends = set()

    def fork() -> None:
        for _ in range(50):
            child = os.fork()
            if not child:
                signal.alarm(20)
                FOR_EVER.wait()
            os.kill(child, signal.SIGTERM)
            ends.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    fork()
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    say(f"children {ends}")


def waits(store: str, lines: str) -> None:
    """Wait for a result that does not come."""
    with OrchestrationEngine(store, workers=2) as engine:
        enqueue(engine, tasks.job("never", lines, queue="unserved"))
        say("ready")
        Queue("unserved", engine=engine).result("never")


def processes(store: str, lines: str, *, pause_ms: int = 500) -> None:
    """Process a queue with a job that takes a while."""
    with OrchestrationEngine(store, workers=2) as engine:
        enqueue(engine, tasks.job("long", lines, pause_ms=pause_ms))
        engine.subscribe("job.started", lambda _event, _position: say("ready"), after=0)
        _tell_of_closing(engine)
        JobScheduler(engine=engine).process(Queue("load", engine=engine))


def processes_for_ever(store: str, lines: str) -> None:
    """Process a queue with a job that takes too long."""
    processes(store, lines, pause_ms=120_000)


def is_interrupted_often(store: str, lines: str) -> None:
    """Enqueue until told to stop, whatever Ctrl-C interrupts."""
    engine = OrchestrationEngine(store, workers=2)
    JobScheduler(engine=engine).start("load")
    stop = threading.Event()

    def obey() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=obey, daemon=True).start()
    say("ready")
    number = 0
    while True:
        try:
            while not stop.is_set():
                number += 1
                enqueue(engine, tasks.job(f"job-{number}", lines))
            break
        except KeyboardInterrupt:
            say("interrupted")
    engine.close(1)
    say("closed")


def forks(store: str, lines: str) -> None:
    """Fork with the engine open: the child is refused at once and leaves at once, the parent goes on."""
    engine = OrchestrationEngine(store, workers=2)
    scheduler = JobScheduler(engine=engine)
    scheduler.start("load")
    enqueue(engine, tasks.job("before", lines))
    child = os.fork()
    if not child:
        signal.alarm(20)  # it is nobody's child whom a test could end
        begun_s = time.monotonic()
        try:
            engine.send(EnqueueJobs(jobs=(tasks.job("child", lines),)))
        except StoreError as error:
            say(f"child {type(error).__name__}")
        for use in (
            lambda: OrchestrationEngine(store),
            lambda: Queue("load", engine=engine).size(),
            lambda: engine.history("job:before"),
            lambda: engine.erase("nobody"),
            lambda: engine.subscribe("*", print),
            lambda: engine.follow("reader", "*", print),
        ):
            try:
                use()
            except StoreError as error:
                say(f"child {type(error).__name__}")
        say(f"child healthy {engine.health_check()['healthy']}")
        engine.close()
        say(f"child took {time.monotonic() - begun_s < 1}")
        sys.exit(0)  # with everything that an interpreter does at its end
    _, status = os.waitpid(child, 0)
    say(f"child ended {os.waitstatus_to_exitcode(status)}")
    enqueue(engine, tasks.job("after", lines))
    say(f"result {Queue('load', engine=engine).result('after', 10)}")
    scheduler.stop()


def leaves_an_orphan(store: str, lines: str) -> None:
    """Own a store and have a child, made by a fork, that outlives it."""
    engine = OrchestrationEngine(store, workers=2)
    child = os.fork()
    if not child:
        sys.stdin.read()  # until the test is over
        os._exit(0)
    enqueue(engine, tasks.job("one", lines))
    say(f"orphan {child}")
    FOR_EVER.wait()


def runs_out_of_disk(store: str, lines: str) -> None:
    """Reach a limit of the file's size, be told, and go on when there is room."""
    with OrchestrationEngine(store, workers=2) as engine:
        JobScheduler(engine=engine).start("load")
        enqueue(engine, tasks.job("before", lines))
        size = Path(store, "data.mdb").stat().st_size + 65_536
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        number, error = 0, None
        while error is None:
            number += 1
            try:
                enqueue(engine, _large(f"large-{number}", lines))
            except StoreError as problem:
                error = problem
        say(f"error {type(error).__name__} {error.__cause__!r} {error}".replace("\n", " "))
        try:
            engine.send(EnqueueJobs(jobs=(_large("refused", lines),)))
        except StoreError as problem:
            say(f"then {problem}".replace("\n", " "))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _insist(lambda: enqueue(engine, _large(f"large-{number}", lines)))
        say(f"result {Queue('load', engine=engine).result(f'large-{number}', 10)}")


def loses_its_disk(store: str, lines: str) -> None:
    """Be told that no commit comes to an end any more, and close all the same."""
    with OrchestrationEngine(store) as engine:
        enqueue(engine, tasks.job("before", lines))
        deny("fdatasync", errno.EIO, all_threads=True)
        for number in range(3):
            try:
                enqueue(engine, tasks.job(f"lost-{number}", lines))
            except StoreError as problem:
                say(f"error {problem}")
        say(f"healthy {engine.health_check()['healthy']}")


def _large(job_id: str, lines: str) -> JobSpec:
    payload = encode_call((lines,), {"pause_ms": 0, "failures": 0, "ballast": "x" * 30_000})
    return JobSpec(job_id, "load", "large", f"{__spec__.name}:carry", payload, inputs=tasks.CONTEXT)


def carry(path: str, ctx: AttemptContext, **_ballast: object) -> int:
    """Leave a line."""
    tasks.note(path, ctx)
    return ctx.attempt


def _insist(call: Callable[[], None]) -> None:
    while True:
        try:
            return call()
        except StoreError:
            threading.Event().wait(0.005)


PROGRAMS: dict[str, Callable[[str, str], None]] = {
    program.__name__: program
    for program in (
        falls_off_the_end, exits, raises, exits_while_the_disk_is_away, is_left_by_a_thread, stays,
        is_interrupted_as_it_leaves, sleeps, waits, processes, processes_for_ever, is_interrupted_often, forks,
        leaves_an_orphan, runs_out_of_disk, loses_its_disk, works, works_within, worked, takes_in,
        begins_processes, works_in_processes, works_on, works_on_with_a_handler, works_for_ever,
        is_closed_late, has_children,
    )
}  # fmt: skip

if __name__ == "__mp_main__" and BEGINNING in os.environ:
    _begin_slowly()
if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2], sys.argv[3])
