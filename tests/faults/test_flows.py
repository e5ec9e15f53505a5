"""Kill -9 under runs that wait, fan out over lists, have runs as steps and undo what they did: all end as they must."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from random import Random

import pytest

from actors.workflow.events import RunCompleted, RunFailed, UndoEnded
from tests.faults import flows
from tests.faults.children import Child, Nursery
from tests.faults.evidence import Evidence
from tests.faults.flow_steps import ITEMS
from tests.support.scale import scaled

KILLS = scaled("FLOW_KILLS", 8)
EXECUTIONS = flows.EACH * (1 + 2 * (ITEMS + 2) + 4 + 5)
"""How many there are if nothing is cut off."""


def live(nursery: Nursery, folder: Path) -> Child:
    return Child(nursery, "tests.faults.flows", folder / "store", folder / "lines")


def check(folder: Path) -> Evidence:
    """Hold the log against its invariants and against what was executed."""
    evidence = Evidence.of(folder / "store")
    evidence.check_executions(folder / "lines")
    return evidence


@pytest.mark.parametrize("seed", range(1, 1 + scaled("FLOW_SEEDS", 1)))
def test_runs_of_every_kind_end_as_they_must_however_often_their_process_is_killed(
    seed: int, nursery: Nursery, tmp_path: Path
) -> None:
    random = Random(seed)
    under_way = 0
    for _ in range(KILLS):
        with live(nursery, tmp_path) as child:
            child.expect("open")
            for _ in range(random.randrange(2 * EXECUTIONS // KILLS)):
                line = child.line()
                if line == "idle":
                    break
            threading.Event().wait(random.uniform(0, 0.003))  # the moment of the kill: nothing is waited for
            child.kill()
        evidence = check(tmp_path)
        under_way += any(end == "open" for end in evidence.history.runs.values())
    with live(nursery, tmp_path) as child:
        said = child.expect("idle")
        child.say("close")
        assert child.end() == 0, child.errors
    ends = dict(_end(line) for line in said if line.startswith("ended"))
    begun = {line.partition(" ")[2] for line in said if line.startswith("run")}
    assert ends.keys() == begun
    for run_id, (status, output) in ends.items():
        assert (status, output) == EXPECTED[run_id.partition("-")[0]], run_id
    assert under_way > KILLS / 2, "most kills must hit a process that has runs under way"
    evidence = check(tmp_path)
    assert len(evidence.all(RunCompleted, RunFailed)) == flows.EACH * (len(flows.KINDS) + 1 + ITEMS)
    undone = [(event.run_id, event.step, event.error) for event in evidence.all(UndoEnded)]
    assert sorted(undone, key=lambda each: each[0]) == [
        (f"undone-{number}", step, "") for number in range(flows.EACH) for step in (1, 0)
    ], "each once, the last step first"
    assert all(not state.dump().get("runs") for state in evidence.states.values())


def _end(line: str) -> tuple[str, tuple[str, object]]:
    _, run_id, status, output = line.split(" ", 3)
    return run_id, (status, json.loads(output))


EXPECTED = {
    "waits": ("COMPLETED", "waits.after"),
    "list": ("COMPLETED", sum(n * n for n in range(ITEMS))),
    "each": ("COMPLETED", sum(n * n for n in range(ITEMS))),
    "nested": ("COMPLETED", "nested.after"),
    "undone": ("FAILED", None),
}
