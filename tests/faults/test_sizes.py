"""Jobs that wait for each other by the thousand, on a real store (F79). `FAN_OUT` and `CHAIN` make them more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from logistics import Chain, Job, JobScheduler, OrchestrationEngine, Queue
from tests.faults import jobs as do
from tests.support.scale import scaled

WIDE = scaled("FAN_OUT", 4_000)
DEEP = scaled("CHAIN", 1_500)


def statuses(queue: Queue) -> Counter[str]:
    stats = queue.get_stats()
    return Counter(
        {name: stats[name] for name in ("pending", "completed", "failed", "cancelled") if stats[name]}
    )


def test_f79_thousands_that_wait_for_one_and_one_that_waits_for_thousands(tmp_path: Path) -> None:
    """The store is opened anew while they wait."""
    with OrchestrationEngine(tmp_path / "store") as engine:
        wide = [Job("child", do.add, [n, 1]) for n in range(WIDE)]
        stages = Queue(engine=engine).enqueue_chain(
            Job("parent", do.add, [0, 0]).then(wide).then(Job("join", do.add, [1, 2]))
        )
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        assert statuses(queue) == Counter(pending=WIDE + 2)
        assert len(queue) == 1, "all but one wait for another one"
        JobScheduler(engine=engine).process(queue)
        assert statuses(queue) == Counter(completed=WIDE + 2)
        assert queue.result(stages[1][-1]) == WIDE
        assert queue.result(stages[2][0]) == 3


def test_f79_a_chain_of_thousands_is_cancelled_from_its_first_link_on(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        chain = Chain().then(Job("first", do.raises, ["ValueError"], max_retries=0))
        for n in range(DEEP):
            chain = chain.then(Job("link", do.add, [n, n]))
        queue.enqueue_chain(chain)
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        JobScheduler(engine=engine).process(queue)
        assert statuses(queue) == Counter(failed=1, cancelled=DEEP)


def test_f79_a_chain_of_thousands_runs_from_end_to_end(tmp_path: Path) -> None:
    with OrchestrationEngine(tmp_path / "store") as engine:
        queue = Queue(engine=engine)
        chain = Chain()
        for _ in range(DEEP // 3):
            chain = chain.then(Job("link", do.add, [1, 1]))
        stages = queue.enqueue_chain(chain)
        JobScheduler(engine=engine).process(queue)
        assert statuses(queue) == Counter(completed=DEEP // 3)
        assert queue.result(stages[-1][0]) == 2
