"""Commits that fail: what was not written is heard of by nobody, and followers go on once the disk is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventstore.faulty_log import Fault
from logistics import OutcomeUnknownError
from logistics.messages import EnqueueJobs
from tests.faults import tasks
from tests.faults.engines import PATIENCE_S, insist, sabotaged_engine
from tests.faults.sabotage import SabotagedLmdb
from tests.logistics.following.test_projection import ByTag


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_followers_go_on_behind_a_commit_that_failed(
    fault: Fault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with sabotaged_engine(monkeypatch, SabotagedLmdb, tmp_path) as (engine, sabotage):
        heard: list[str] = []
        follower = engine.follow("all", "job.enqueued", lambda event, _: heard.append(event.spec.job_id))
        running = engine.project(ByTag())
        insist(engine, EnqueueJobs(jobs=(tasks.job("before", tmp_path / "lines"),)))
        sabotage.fail("job.enqueued", fault)
        with pytest.raises(OutcomeUnknownError):
            engine.send(EnqueueJobs(jobs=(tasks.job("failing", tmp_path / "lines"),)))
        insist(engine, EnqueueJobs(jobs=(tasks.job("after", tmp_path / "lines"),)))
        for each in (follower, running):
            each.wait_until(timeout=PATIENCE_S)
        on_record = [] if fault is Fault.BEFORE else ["failing"]
        assert heard == ["before", *on_record, "after"]
        assert running["job.enqueued"] == len(heard)
