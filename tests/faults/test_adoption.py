"""A program that runs a workflow, killed again and again: the same call goes on with the same run."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest

from actors.workflow.events import RunAdopted, RunCompleted, RunCreated, StepCompleted
from tests.faults.adoption import LAST, STEPS
from tests.faults.children import Child, Nursery
from tests.faults.evidence import Evidence
from tests.support.scale import scaled


@pytest.mark.parametrize("seed", range(scaled("ADOPTIONS", 3)))
def test_a_run_that_was_cut_off_is_gone_on_with_by_the_same_call(
    seed: int, tmp_path: Path, nursery: Nursery
) -> None:
    """Each life gets past one step at least, so that none is cut off as often as would end it.

    None is killed after its last step: the run may be over then, before its caller hears of it, and the same
    call would rightly begin another one.
    """
    random = Random(seed)
    store, lines = tmp_path / "store", tmp_path / "lines"
    said: list[str] = []
    lives = 0
    while not any(line.startswith("run ") for line in said):
        lives += 1
        with Child(nursery, "tests.faults.adoption", store, lines) as child:
            child.expect("begin")
            for _ in range(random.randint(2, 3)):
                line = child.line()
                assert line is not None, child.explain()
                said.append(line)
                if line.startswith("run "):
                    break
                if line.endswith(LAST):
                    child.say("go on")
                    said.append(child.line() or child.explain())
                    break
            else:
                threading.Event().wait(random.uniform(0, 0.002))  # the random moment
            said += child.kill()
    evidence = Evidence.of(store)
    evidence.check_executions(lines)
    (created,) = evidence.all(RunCreated)
    assert [line for line in said if line.startswith("run ")] == [
        f"run {created.run_id} COMPLETED {lives > 1}"
    ]
    assert len(evidence.all(RunCompleted)) == 1
    assert len(evidence.all(StepCompleted)) == STEPS
    assert min(1, lives - 1) <= len(evidence.all(RunAdopted)) <= lives - 1
