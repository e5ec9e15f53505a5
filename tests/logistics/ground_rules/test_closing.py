"""What a closed engine says, and what can be seen of an open one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from actors.queue.messages import (
    GetStats,
)
from logistics.errors import (
    EngineClosedError,
)
from logistics.orchestration.engine import OrchestrationEngine
from logistics.task.job import Job
from logistics.task.job_scheduler import JobScheduler
from logistics.task.queue import Queue
from tests.logistics.ground_rules.support import refused
from tests.logistics.task.functions import add


def test_a_closed_engine_says_so_whatever_it_is_asked(engine: OrchestrationEngine, queue: Queue) -> None:
    job_id = queue.enqueue(Job("sum", add))
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        lambda: engine.send(GetStats("work")),
        lambda: engine.subscribe("job.*", print),
        lambda: engine.register_event_handler("job.*", print),
        engine.get_system_status,
        engine.get_metrics,
        engine.create_session,
        lambda: engine.get_session("s"),
        lambda: engine.close_session("s"),
        lambda: queue.enqueue(Job("sum", add)),
        lambda: queue.enqueue_many([Job("sum", add)]),
        lambda: queue.schedule(Job("sum", add), 1),
        queue.dequeue,
        queue.size,
        queue.peek,
        queue.clear,
        queue.pause,
        queue.resume,
        queue.get_stats,
        lambda: queue.get_job(job_id),
        lambda: queue.get_status(job_id),
        lambda: queue.result(job_id),
        lambda: queue.cancel(job_id),
        lambda: queue.retry(job_id),
        lambda: JobScheduler(engine=engine).start(),
        lambda: JobScheduler().process(queue),
    ]
    for call in calls:
        with refused("^this engine was closed; make a new one$", EngineClosedError):
            call()
    assert engine.health_check() == {"healthy": False, "problem": "closed", "path": ":memory:", "backlog": 0}
    assert repr(engine) == "OrchestrationEngine(':memory:', closed)"


@pytest.mark.parametrize("grace", [-1, math.nan, math.inf, "1", None, True])
def test_a_bad_grace_closes_nothing(engine: OrchestrationEngine, grace: Any) -> None:
    with refused("^grace: expected "):
        engine.close(grace)
    assert not engine.closed


def test_seeing_is_plain_data(engine: OrchestrationEngine, queue: Queue) -> None:
    queue.enqueue(Job("sum", add))
    assert engine.health_check()["healthy"] is True
    status = engine.get_system_status()
    assert status["jobs"]["pending"] == 1
    assert status["position"] >= 2
    assert engine.get_metrics()["jobs_ready"] == 1
