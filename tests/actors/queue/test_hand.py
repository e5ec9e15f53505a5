"""Work taken by hand: given out for a while, ended as its taker says, or cut off."""

from __future__ import annotations

from typing import Any

from actors.queue.events import (
    AttemptInterrupted,
    JobCompleted,
    JobFailed,
    JobLeased,
    JobRetrying,
)
from actors.queue.messages import (
    CancelJob,
    GetStats,
    LeaseJob,
    SettleLease,
    Unfinished,
)
from actors.runtime.effects import (
    AttemptKey,
)
from actors.runtime.errors import InputError
from actors.runtime.messages import Shutdown
from tests.actors.queue.bench import (
    NEVER_AGAIN,
    RULES,
    SECOND,
    START,
    Bench,
    lease_and_lose,
    spec,
)


def idle(**more: Any) -> Bench:
    """A queue that nobody serves."""
    return Bench(served=frozenset(), **more)


def leased(job_id: str = "a", **more: Any) -> tuple[Bench, AttemptKey]:
    bench = idle()
    bench.enqueue(spec(job_id, **more))
    key = bench.when(LeaseJob("q", 60 * SECOND)).reply
    assert isinstance(key, AttemptKey)
    return bench, key


def test_the_first_ready_job_is_given_out_for_a_while() -> None:
    bench = idle()
    assert bench.when(LeaseJob("q", SECOND)).reply is None
    bench.enqueue(spec("a"), spec("b", priority=1))
    said = bench.when(LeaseJob("q", SECOND))
    assert said.reply == AttemptKey("b", 1, 1)
    assert said.events == [JobLeased("b", 1, 1, START, START + SECOND)]
    assert bench.running == []
    assert bench.when(GetStats("q")).reply.by_status["RUNNING"] == 1
    assert bench.when(Unfinished("q")).reply == 1
    bench.check()


def test_hand_work_ends_as_its_taker_says() -> None:
    bench, key = leased()
    said = bench.when(SettleLease(key, "ok", result=b"r"))
    assert said.reply is True
    assert said.events == [JobCompleted("a", 1, b"r", START, 0)]
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench, key = leased()
    assert bench.when(SettleLease(key, "error", error="E")).events == [
        JobRetrying("a", 1, "E", "", START, START)
    ]
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench.check()


def test_an_unknown_outcome_is_refused() -> None:
    bench, key = leased()
    refusal = bench.refusal(SettleLease(key, "done"))
    assert isinstance(refusal, InputError)
    assert str(refusal) == "outcome: expected 'ok' or 'error', got 'done'"


def test_a_lease_that_runs_out_counts_as_an_attempt_and_fences_its_taker() -> None:
    bench, key = leased(retry=NEVER_AGAIN)
    assert RULES.next_wake_us(bench.state, bench.context()) == START + 60 * SECOND
    assert bench.pass_time(60 * SECOND - 1).events == []
    said = bench.pass_time(1)
    assert said.events == [AttemptInterrupted("a", 1, bench.now_us, charged=True, reason="lease expired")]
    assert not bench.state.jobs["a"].course.suspect
    assert bench.when(SettleLease(key, "ok")).reply is False
    assert [lease_and_lose(bench) for _ in range(2)][-1].of(JobFailed)
    bench.check()


def test_hand_work_is_cut_off_at_once_by_the_end_of_its_process_and_charged() -> None:
    bench, key = leased(retry=NEVER_AGAIN)
    assert bench.rebuild().events == []
    said = bench.restart()
    assert said.events == [
        AttemptInterrupted("a", 1, START, charged=True, reason="process ended while taken by hand")
    ]
    assert bench.when(SettleLease(key, "ok")).reply is False


def test_closing_takes_hand_work_back_uncharged() -> None:
    bench, _ = leased(retry=NEVER_AGAIN)
    assert bench.ask(Shutdown()).events == [AttemptInterrupted("a", 1, START, charged=False, reason="closed")]
    assert bench.restart().events == []
    bench.check()


def test_hand_work_can_be_cancelled() -> None:
    bench, key = leased()
    said = bench.when(CancelJob("a"))
    assert said.reply is True
    assert said.effects == []
    assert bench.when(SettleLease(key, "ok")).reply is False
    bench.check()
