"""Stores in memory that are dropped unclosed, as tests drop them: nothing is left of them, unless they are at work."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from actors.workflow.messages import CancelRun
from logistics.audit.store_view import StoreView
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.stores import STORES, Store
from logistics.orchestration.workflow import Workflow
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.schedule.cron_scheduler import CronScheduler
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue

PATIENCE_S = 10.0
BEGUN, GO_ON = threading.Event(), threading.Event()


def double(number: int) -> int:
    return 2 * number


def hold() -> None:
    BEGUN.set()
    assert GO_ON.wait(PATIENCE_S)


@pytest.fixture(autouse=True)
def gates() -> Iterator[None]:
    BEGUN.clear()
    GO_ON.clear()
    yield
    GO_ON.set()


def dropped() -> Store:
    """Use a queue in memory as a test does, and leave it."""
    queue = Queue(backend="memory")
    job_id = queue.enqueue(Job("double", double, args=[1]))
    JobScheduler().process(queue)
    assert queue.result(job_id) == 2
    return queue.engine.store


def open_another() -> None:
    gc.collect()
    OrchestrationEngine(":memory:").close()


def test_whoever_drops_many_queues_in_memory_has_the_threads_of_one() -> None:
    open_another()
    before = threading.active_count()
    stores = [dropped() for _ in range(20)]
    open_another()
    assert all(store.closed.is_set() for store in stores)
    assert threading.active_count() <= before


def serves(engine: OrchestrationEngine) -> Callable[[], object]:
    JobScheduler(engine=engine).start()
    store = engine.store
    (key,) = store.servers
    return lambda: store.unserve(key)


def fires(engine: OrchestrationEngine) -> Callable[[], object]:
    CronScheduler(engine=engine).start()
    store = engine.store

    def end() -> None:
        (scheduler,) = store.schedulers
        assert isinstance(scheduler, CronScheduler)
        scheduler.stop()

    return end


def waits(engine: OrchestrationEngine) -> Callable[[], object]:
    workflow = WorkflowManager(engine).create("waits").add_wait("later", timedelta(hours=1))
    run = WorkflowManager(engine).start(workflow.name)
    store, run_id = engine.store, run.run_id
    return lambda: OrchestrationEngine.borrow(store).send(CancelRun(run_id=run_id))


def runs(engine: OrchestrationEngine) -> Callable[[], object]:
    scheduler = JobScheduler(engine=engine)
    scheduler.start()
    Queue(engine=engine).enqueue(Job("hold", hold))
    assert BEGUN.wait(PATIENCE_S)
    scheduler.stop()
    runtime = engine.store.runtime

    def end() -> None:
        GO_ON.set()
        while runtime.executor.under_way:
            threading.Event().wait(0.01)

    return end


@pytest.mark.parametrize("begin", [serves, fires, waits, runs])
def test_one_where_something_goes_on_stays_until_that_is_over(
    begin: Callable[[OrchestrationEngine], Callable[[], object]],
) -> None:
    def use() -> tuple[Store, Callable[[], object]]:
        engine = OrchestrationEngine(":memory:")
        return engine.store, begin(engine)

    store, end = use()
    open_another()
    assert not store.closed.is_set()
    end()
    del end
    open_another()
    assert store.closed.is_set()


@pytest.mark.parametrize("hear", ["subscribe", "follow"])
def test_one_that_somebody_hears_of_stays(hear: str) -> None:
    def use() -> tuple[Store, Callable[[], object]]:
        engine = OrchestrationEngine(":memory:")
        if hear == "subscribe":
            engine.subscribe("*", print)
        else:
            engine.follow("reader", "*", print)
        return engine.store, engine._subscriptions.close

    store, unsubscribe = use()
    open_another()
    assert not store.closed.is_set()
    unsubscribe()
    STORES.release(store, 0)


def test_one_whose_past_somebody_looks_at_stays_until_that_is_dropped() -> None:
    def use() -> tuple[Store, str, StoreView]:
        engine = OrchestrationEngine(":memory:")
        job_id = Queue(engine=engine).enqueue(Job("double", double, args=[1]))
        return engine.store, job_id, engine.as_of()

    store, job_id, view = use()
    open_another()
    assert view.why(job_id).subject == f"job:{job_id}"
    del view
    open_another()
    assert store.closed.is_set()


def test_a_workflow_is_defined_further_though_its_store_is_closed() -> None:
    def define() -> Workflow:
        engine = OrchestrationEngine(":memory:")
        return WorkflowManager(engine).create("sums").add_step("first", double, args=[1])

    workflow = define()
    open_another()
    with OrchestrationEngine(":memory:") as engine:
        same = WorkflowManager(engine).create("sums").add_step("first", double, args=[1])
        same.add_step("second", double, args=[2])
        assert workflow.add_step("second", double, args=[2]).fingerprint == same.fingerprint


def test_one_that_is_closed_is_given_back_once() -> None:
    def use() -> Store:
        with OrchestrationEngine(":memory:") as engine:
            return engine.store

    store = use()
    open_another()
    assert store.handles == 0


def test_one_on_disk_is_left_to_the_end_of_the_program(tmp_path: object) -> None:
    def use() -> Store:
        return OrchestrationEngine(f"{tmp_path}/store").store

    store = use()
    open_another()
    assert not store.closed.is_set()
    STORES.release(store, 0)
