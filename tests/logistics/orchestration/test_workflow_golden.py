"""Stores that earlier code left in the middle of their work go on under the code of today (F97)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from actors.queue.specs import JobStatus
from eventstore.lmdb_log import LmdbLog
from logistics.audit.exchange import import_lines
from logistics.orchestration.engine import OrchestrationEngine
from logistics.orchestration.project_manager import ProjectManager
from logistics.orchestration.run import WorkflowRun
from logistics.orchestration.workflow_manager import WorkflowManager
from logistics.task.queue import Queue
from tests.golden.bases import HISTORIES, Base, make
from tests.golden.bases import golden as bases
from tests.logistics.orchestration.golden.midflight import WAIT_S, Gate

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.jsonl"))


@pytest.fixture(params=[*FILES, *bases("midflight")], ids=lambda each: getattr(each, "stem", "") or each.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A store as a killed process left it, or as it was after a compaction, and the ids of its runs."""
    store = tmp_path / "store"
    if isinstance(request.param, Base):
        file = HISTORIES[request.param.history]
        make(request.param, store)
    else:
        file = request.param
        with LmdbLog.open(store) as log, file.open("rb") as lines:
            import_lines(lines, log)
    Gate.calls.clear()
    return store, json.loads(file.with_suffix(".ids.json").read_text())


def test_there_is_a_golden_file() -> None:
    assert FILES


def test_f97_runs_that_earlier_code_left_in_the_middle_go_on_from_the_golden_file(
    golden: tuple[Path, dict[str, str]],
) -> None:
    store, ids = golden
    with OrchestrationEngine(store, workers=4) as engine:
        manager = WorkflowManager(engine)

        def run(name: str, run_id: str = "") -> WorkflowRun:
            found = manager.get_run(run_id or ids[name])
            assert found is not None
            return found

        assert run("long").status == "WAITING"
        assert (run("place 0").status, run("place 1").status) == ("WAITING", "PENDING")
        for name in ("undone", "place 0", "place 1"):
            run(name).signal("approval", name)
        run("inside", f"{ids['nested']}.0").signal("word", "go")
        chain = run("chain").result(WAIT_S)
        assert chain.outputs == {"first": "first", "middle": "middle", "last": "last"}
        assert chain.steps["middle"].attempts == 2
        assert run("list").result(WAIT_S).output == 0 + 1 + 4 + 9
        nested = run("nested").result(WAIT_S)
        assert (nested.status, nested["inside"], nested["tidy"]) == ("COMPLETED", "go", "tidy")
        for name in ("undone", "place 0", "place 1"):
            undone = run(name).result(WAIT_S)
            assert undone.status == "FAILED"
            assert f"no room for {name}" in (undone.error or "")
            assert undone.steps["book"].compensated is True
        calls = Counter(Gate.calls)
        assert calls.keys() == {"middle", "last", "square 2", "square 3", "tidy", "book", "undo room 7"}
        assert calls["book"] == 1, "only of the run that had not begun: what has ended is not executed again"
        assert calls["undo room 7"] == 3
        assert [finding.problem for finding in manager.upgrade_check() if finding.blocking] == []
        assert Queue("later", engine=engine).get_status("waiting") is JobStatus.PENDING
        assert engine.close_session("golden")
        assert ProjectManager(store.parent / "root", engine=engine).list_projects() == []
        assert run("long").cancel()


def test_a_definition_of_earlier_code_can_be_run_again(golden: tuple[Path, dict[str, str]]) -> None:
    store, _ = golden
    with OrchestrationEngine(store, workers=4) as engine:
        manager = WorkflowManager(engine)
        assert {"chain", "list", "nested", "undone", "long"} <= set(manager.list_workflows())
        workflow = manager.get_workflow("chain")
        assert workflow is not None
        assert manager.from_dict(workflow.to_dict()).fingerprint == workflow.fingerprint
        assert manager.run("list").output == 14
