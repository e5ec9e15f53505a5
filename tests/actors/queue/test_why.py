"""Why a job is not running: the answer and what the queue does next are one and the same."""

from __future__ import annotations

from random import Random

import pytest

from actors.queue.events import JobStarted
from actors.queue.messages import (
    AddResource,
    Allocate,
    ConfigureQueue,
    ExplainJob,
    LeaseJob,
    Obstacle,
    PauseQueue,
)
from actors.queue.specs import FIRINGS, JobStatus, QueueSettings, Rate, Terms
from actors.queue.why import obstacles
from tests.actors.queue.bench import RULES, SECOND, Bench, Said, spec
from tests.actors.queue.lives import ACTIONS, Life
from tests.support.scale import scaled


def why(bench: Bench, job_id: str) -> list[Obstacle]:
    """Everything that keeps a job from starting; the first ones that are asked for, as a caller asks."""
    return list(bench.ask(ExplainJob(job_id)).reply)


def codes(bench: Bench, job_id: str) -> list[str]:
    return [each.code for each in why(bench, job_id)]


class AskingBench(Bench):
    """A queue that is asked about each of its jobs before whatever it does next."""

    def settle(self) -> Said:
        total = Said([], [], [], None)
        for decision in RULES.settle(self.state, self.context()):
            started = [event.job_id for event, _ in decision.events if isinstance(event, JobStarted)]
            if started:
                self.ask_about_all(started[0])
            said = self._apply(decision)
            total.events.extend(said.events)
            total.effects.extend(said.effects)
            total.tells.extend(said.tells)
        self.ask_about_all(None)
        return total

    def ask_about_all(self, following: str | None) -> None:
        """Of all jobs only the next one has nothing in its way; it may start ahead of a free worker."""
        context = self.context()
        free = self.capacity - len(self.state.running) - len(self.state.zombies)
        for job in self.state.jobs.values():
            found = list(obstacles(self.state, job, context))
            if job.job_id != following:
                assert found, f"nothing keeps {job.job_id} from starting, but {following} does"
            elif free > 0:
                assert not found, (job, found)
            else:
                assert {each.code for each in found} == {"no_worker"}, (job, found)


@pytest.mark.parametrize("seed", range(scaled("queue_reasons", 40)))
def test_the_job_without_a_reason_is_the_one_that_starts_next_and_all_others_have_one(seed: int) -> None:
    random, life = Random(seed), Life()
    asking = AskingBench(capacity=2)
    asking.state, asking.log = life.bench.state, life.bench.log
    life.bench = asking
    for _ in range(80):
        life.step(random.choice(ACTIONS), random.randrange(12), random.randrange(12))


def test_asking_changes_nothing_and_who_has_ended_is_not_answered_for() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec("a"), spec("b"))
    before = bench.state.dump()
    assert why(bench, "b") == [Obstacle("no_worker", by=("job:a",), used=1, limit=1)]
    assert why(bench, "a") == [Obstacle("running")]
    assert bench.state.dump() == before
    bench.finish("a")
    assert bench.ask(ExplainJob("a")).reply is None
    assert bench.ask(ExplainJob("nobody")).reply is None


def test_who_waits_for_an_instant_a_function_or_another_job_says_so() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec("later", due_us=bench.now_us + SECOND), spec("first"), spec("then", after=("first",)))
    assert why(bench, "later") == [Obstacle("delayed", until_us=bench.now_us + SECOND)]
    assert why(bench, "then") == [Obstacle("dependency", by=("job:first",))]
    bench.finish("first", "unresolved")
    assert why(bench, "first") == [Obstacle("unresolved", "app:work")]
    bench.when(PauseQueue("q"))
    assert codes(bench, "later") == ["delayed", "paused"]


def test_who_failed_waits_for_its_next_try() -> None:
    bench = Bench(capacity=1)
    bench.enqueue(spec("a"))
    bench.finish("a", "error", error="no", advice="retry", after_us=SECOND)
    assert bench.state.jobs["a"].status is JobStatus.RETRYING
    assert why(bench, "a") == [Obstacle("retry", until_us=bench.now_us + SECOND)]


def test_a_queue_that_is_paused_or_that_nobody_serves_starts_nothing() -> None:
    bench = Bench(capacity=1, served=frozenset({"p"}))
    bench.enqueue(spec("a"), spec("firing", queue=FIRINGS))
    assert why(bench, "a") == [Obstacle("not_served", "q")]
    assert why(bench, "firing") == [Obstacle("not_served", FIRINGS)]
    bench.when(PauseQueue("q"))
    assert codes(bench, "a") == ["paused", "not_served"]


@pytest.mark.parametrize(
    ("limits", "code", "name"),
    [
        (QueueSettings(concurrency=1), "queue_limit", "q"),
        (QueueSettings(key_concurrency=1), "key_limit", "k"),
        (QueueSettings(function_concurrency=(("app:work", 1),)), "function_limit", "app:work"),
    ],
)
def test_a_limit_names_whose_it_is_and_who_is_inside(limits: QueueSettings, code: str, name: str) -> None:
    bench = Bench(capacity=9)
    bench.when(ConfigureQueue("q", limits))
    bench.enqueue(spec("a", terms=Terms(key="k")), spec("b", terms=Terms(key="k")))
    assert why(bench, "b") == [Obstacle(code, name, ("job:a",), used=1, limit=1)]


@pytest.mark.parametrize(
    ("limits", "code", "name"),
    [
        (QueueSettings(rate=Rate(1, 5 * SECOND)), "queue_rate", "q"),
        (QueueSettings(key_rate=Rate(1, 5 * SECOND, 1)), "key_rate", "k"),
    ],
)
def test_a_rate_says_until_when(limits: QueueSettings, code: str, name: str) -> None:
    bench = Bench(capacity=9)
    bench.when(ConfigureQueue("q", limits))
    bench.enqueue(spec("a", terms=Terms(key="k")), spec("b", terms=Terms(key="k")))
    assert why(bench, "b") == [Obstacle(code, name, until_us=bench.now_us + 5 * SECOND, limit=1)]


def test_a_resource_names_its_holders_and_those_who_stand_before() -> None:
    bench = Bench(capacity=9)
    bench.when(AddResource("gpu", "hardware", 2.0))
    bench.when(Allocate("mine", "me", (("gpu", 1.0),)))
    one, two = Terms(resources=(("gpu", 1.0),)), Terms(resources=(("gpu", 2.0),))
    bench.enqueue(spec("much", terms=two), spec("little", terms=one))
    assert why(bench, "much") == [
        Obstacle("resource", "gpu", ("allocation:mine",), used=1, limit=2, wanted=2)
    ]
    assert why(bench, "little") == [Obstacle("resource_line", "gpu", ("job:much",))]


def test_a_job_taken_by_hand_says_until_when() -> None:
    bench = Bench(capacity=1, served=frozenset())
    bench.enqueue(spec("a"), spec("b"))
    bench.when(LeaseJob("q", SECOND))
    assert why(bench, "a") == [Obstacle("taken", until_us=bench.now_us + SECOND)]
