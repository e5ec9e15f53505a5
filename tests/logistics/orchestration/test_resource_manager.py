"""Resources as their users see them: waited for in line, given back whatever happens."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.queue.events import ResourceGranted
from actors.queue.messages import Release
from logistics.errors import EngineClosedError, InputError, UnknownIdError, WouldDeadlockError
from logistics.orchestration.allocations import take
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.resource_manager import ResourceManager, ResourceUsage
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.orchestration.steps import WAIT_S


@pytest.fixture
def resources(engine: OrchestrationEngine) -> ResourceManager:
    manager = ResourceManager(engine=engine)
    manager.add_resource("gpu", "device", 2)
    return manager


@pytest.fixture
def requested(engine: OrchestrationEngine) -> Callable[[], None]:
    """Wait until somebody stands in line."""
    happened = threading.Semaphore(0)
    engine.subscribe("resource.requested", lambda _event, _position: happened.release())

    def wait() -> None:
        assert happened.acquire(timeout=WAIT_S)

    return wait


class Call(threading.Thread):
    """Something called on a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call
        self._outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._call()
        except Exception as error:  # noqa: BLE001 -- raised again where it is asked for
            self._outcome = error

    def outcome(self) -> Any:
        self.join(WAIT_S)
        assert not self.is_alive()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def used(resources: ResourceManager, name: str = "gpu") -> tuple[float, int]:
    usage = resources.get_usage(name)
    assert usage is not None
    return usage.used, usage.waiting


def test_what_is_free_is_held_until_it_is_released(resources: ResourceManager) -> None:
    held = resources.allocate("gpu", "me", 1.5)
    assert held is not None
    assert (held.requester, held.amounts) == ("me", {"gpu": 1.5})
    assert resources.get_usage("gpu") == ResourceUsage("gpu", "device", 2.0, 1.5, 0.5, 0, {"me": 1.5})
    assert resources.allocate("gpu", "me") is None, "0 does not wait"
    assert resources.release(held.allocation_id) is True
    assert resources.release(held.allocation_id) is False
    assert used(resources) == (0, 0)


def test_a_request_waits_until_there_is_enough(
    resources: ResourceManager, requested: Callable[[], None]
) -> None:
    held = resources.allocate("gpu", "me", 2)
    assert held is not None
    waiter = Call(lambda: resources.allocate("gpu", "you", 1, timeout=None))
    requested()
    assert used(resources) == (2, 1)
    resources.release(held.allocation_id)
    assert waiter.outcome().requester == "you"
    assert used(resources) == (1, 0)


def test_who_waits_too_long_gets_none_and_leaves_the_line(resources: ResourceManager) -> None:
    held = resources.allocate("gpu", "me", 2)
    assert held is not None
    assert resources.allocate("gpu", "you", 2, timeout=0.01) is None
    assert used(resources) == (2, 0)
    resources.release(held.allocation_id)
    assert used(resources) == (0, 0), "nobody was granted anything behind their back"


def test_a_grant_in_the_very_moment_of_giving_up_is_given_back(
    resources: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release comes between the end of the wait and the word that it is over."""
    engine = resources.engine
    held = resources.allocate("gpu", "me", 2)
    assert held is not None

    def wait(_reply: Any, _timeout_s: float | None) -> Any:
        resources.release(held.allocation_id)
        assert used(resources) == (2, 0), "granted to the one who waits"
        raise TimeoutError

    monkeypatch.setattr(engine, "wait", wait)
    assert resources.allocate("gpu", "you", 2, timeout=1) is None
    assert used(resources) == (0, 0)


def test_whoever_is_interrupted_while_waiting_leaves_the_line(
    resources: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_reply: Any, _timeout_s: float | None) -> Any:
        raise KeyboardInterrupt

    resources.allocate("gpu", "me", 2)
    monkeypatch.setattr(resources.engine, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        resources.allocate("gpu", "you", 2, timeout=None)
    assert used(resources) == (2, 0)


def test_a_request_whose_answer_was_lost_holds_nothing(
    resources: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = resources.engine
    ask = engine.ask

    def lossy(actor: str, message: Any) -> Any:
        answer = ask(actor, message)
        if isinstance(message, Release):
            return answer
        raise TimeoutError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "ask", lossy)
        with pytest.raises(TimeoutError):
            take(engine, "a", requester="me", amounts=(("gpu", 1.0),), timeout_s=0)
    assert used(resources) == (0, 0)


def test_several_resources_are_all_or_none(resources: ResourceManager) -> None:
    resources.add_resource("memory", "GB", 64)
    assert resources.allocate_all("me", {"gpu": 1, "memory": 65 - 1}) is not None
    assert resources.allocate_all("you", {"gpu": 1, "memory": 1}) is None
    assert used(resources) == (1, 0)


def test_many_threads_never_hold_more_than_there_is(resources: ResourceManager) -> None:
    most = 0
    holding = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal most, holding
        for _ in range(10):
            held = resources.allocate("gpu", "thread", 1, timeout=None)
            assert held is not None
            with lock:
                holding += 1
                most = max(most, holding)
            with lock:
                holding -= 1
            resources.release(held.allocation_id)

    for thread in [Call(work) for _ in range(6)]:
        thread.outcome()
    assert 1 <= most <= 2
    assert used(resources) == (0, 0)


def test_what_a_closed_engine_s_process_held_is_free_again(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        resources = ResourceManager(engine=engine)
        resources.add_resource("gpu", "device", 2)
        assert resources.allocate("gpu", "me", 2) is not None
    with OrchestrationEngine(tmp_path / "store") as engine:
        assert used(ResourceManager(engine=engine)) == (0, 0)
        granted = [event for _, event in engine.history("allocation:none")]
        assert not [event for event in granted if isinstance(event, ResourceGranted)]


def test_whoever_waits_when_the_engine_closes_is_told(
    resources: ResourceManager, requested: Callable[[], None]
) -> None:
    resources.allocate("gpu", "me", 2)
    waiter = Call(lambda: resources.allocate("gpu", "you", 1, timeout=None))
    requested()
    resources.engine.close()
    with pytest.raises(EngineClosedError):
        waiter.outcome()


def wait_for_gpu() -> bool:
    return ResourceManager().allocate("gpu", "a job", 1, timeout=None) is not None


def test_the_last_free_worker_does_not_wait_for_a_resource() -> None:
    with OrchestrationEngine(":memory:", workers=1) as engine:
        resources = ResourceManager(engine=engine)
        resources.add_resource("gpu", "device", 1)
        resources.allocate("gpu", "me")
        queue = Queue(engine=engine)
        job_id = queue.enqueue(Job("greedy", wait_for_gpu, max_retries=0))
        JobScheduler().process(queue)
        job = queue.get_job(job_id)
        assert job is not None
        assert (job.error or "").startswith(WouldDeadlockError.__name__)
        assert used(resources) == (1, 0)


def test_resources_are_listed_in_their_order_and_can_be_changed(resources: ResourceManager) -> None:
    resources.add_resource("cpu", "core", 0.5)
    resources.add_resource("gpu", "card", 4)
    assert [(each.name, each.type, each.capacity) for each in resources.list_resources()] == [
        ("gpu", "card", 4.0),
        ("cpu", "core", 0.5),
    ]
    assert resources.get_usage("tpu") is None


@pytest.mark.parametrize("amount", [0, -1, math.nan, math.inf, True, "1", None, 10**400])
def test_bad_amounts_are_refused(resources: ResourceManager, amount: Any) -> None:
    with pytest.raises(InputError, match=r"^capacity: expected a number above 0, got "):
        resources.add_resource("cpu", "core", amount)
    with pytest.raises(InputError, match=r"^amounts: amount of 'gpu': expected a number above 0, got "):
        resources.allocate("gpu", "me", amount)
    with pytest.raises(InputError, match=r"^amounts: amount of 'gpu': expected a number above 0, got "):
        resources.allocate_all("me", {"gpu": amount})


@pytest.mark.parametrize("amounts", [{}, None, [("gpu", 1)], "gpu"])
def test_several_are_a_mapping_with_something_in_it(resources: ResourceManager, amounts: Any) -> None:
    with pytest.raises(InputError, match=r"^amounts: expected "):
        resources.allocate_all("me", amounts)


def test_names_ids_and_timeouts_are_checked(resources: ResourceManager) -> None:
    with pytest.raises(InputError, match=r"^name: names that begin with '@' are the engine's own"):
        resources.add_resource("@session:x", "own", 1)
    with pytest.raises(InputError, match=r"^type: expected a name, got None"):
        resources.add_resource("cpu", None, 1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^requester: "):
        resources.allocate("gpu", "")
    with pytest.raises(InputError, match=r"^timeout: expected "):
        resources.allocate("gpu", "me", timeout=-1)
    with pytest.raises(InputError, match=r"^allocation_id: expected "):
        resources.release(None)  # type: ignore[arg-type]
    with pytest.raises(UnknownIdError, match="no resource 'tpu'; there is "):
        resources.allocate("tpu", "me")
    with pytest.raises(InputError, match=r"3.0 of 'gpu' can never be granted: its capacity is 2.0"):
        resources.allocate("gpu", "me", 3, timeout=None)


def test_a_preview_says_who_is_in_the_way(engine: OrchestrationEngine) -> None:
    resources = ResourceManager(engine=engine)
    resources.add_resource("gpu", "device", 2)
    resources.add_resource("memory", "GB", 64)
    assert resources.preview({"gpu": 2, "memory": 64}).granted
    held = resources.allocate_all("train", {"gpu": 1.5, "memory": 8})
    assert held is not None
    found = resources.preview({"gpu": 1, "memory": 16})
    assert (found.granted, found.missing, found.holders, found.ahead) == (
        False,
        {"gpu": 0.5},
        {"gpu": {"train": 1.5}},
        (),
    )
    requested = threading.Event()
    engine.subscribe("resource.requested", lambda _event, _position: requested.set())
    waiter = Call(lambda: resources.allocate("gpu", "next", 1, timeout=None))
    assert requested.wait(WAIT_S)
    usage = resources.get_usage("gpu")
    assert usage is not None
    assert (usage.waiting, usage.line) == (1, (("next", 1.0),))
    behind = resources.preview({"gpu": 0.5})
    assert (behind.granted, behind.missing, behind.ahead) == (False, {}, ("next",))
    assert resources.preview({"memory": 56}).granted, "nobody waits for that"
    resources.release(held.allocation_id)
    assert waiter.outcome() is not None
    assert resources.preview({"gpu": 1}).granted


def test_a_preview_of_what_cannot_be_is_refused(engine: OrchestrationEngine) -> None:
    resources = ResourceManager(engine=engine)
    resources.add_resource("gpu", "device", 2)
    with pytest.raises(UnknownIdError, match="no resource 'cpu'; there is 'gpu'"):
        resources.preview({"cpu": 1})
    with pytest.raises(InputError, match=r"3\.0 of 'gpu' can never be granted: its capacity is 2\.0"):
        resources.preview({"gpu": 3})
