"""The release: approved it is published, refused it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logistics import OrchestrationEngine, RunStatus, WorkflowManager
from logistics.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "release.toml"


@pytest.fixture
def workflows() -> Iterator[WorkflowManager]:
    with OrchestrationEngine(":memory:") as engine:
        manager = WorkflowManager(engine)
        manager.load(EXAMPLE)
        yield manager


def test_an_approved_release_is_published_and_announced(workflows: WorkflowManager, tmp_path: Path) -> None:
    run = workflows.start("release", version="1.2", folder=str(tmp_path / "out"))
    run.signal("approval", {"approved": True})
    result = run.result(30)
    result.raise_for_status()
    where = str(tmp_path / "out" / "published" / "package-1.2.txt")
    assert result["publishing"] == [f"ada: look at {where}", f"grace: look at {where}"]
    assert result["tidy"] == ["package-1.2.txt", "published/package-1.2.txt", "tags/1.2"]


def test_a_refused_release_takes_its_tag_back(workflows: WorkflowManager, tmp_path: Path) -> None:
    run = workflows.start("release", version="1.2", folder=str(tmp_path / "out"))
    run.signal("approval", {"approved": False, "comment": "too early"})
    result = run.result(30)
    assert result.status is RunStatus.FAILED
    assert "not approved: too early" in str(result.error)
    assert result.steps["tag"].compensated is True
    assert result["tidy"] == ["package-1.2.txt"]


def test_it_is_valid_and_has_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out.startswith("release: 6 steps, ")
    assert main(["graph", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == (
        "release\n"
        "├─ build\n"
        "│  └─ tag (can be undone)\n"
        "│     └─ approval (waits for a signal)\n"
        "│        └─ approved\n"
        "│           └─ publishing (a run of publishing) (+ build)\n"
        "└─ tidy (finally)\n"
    )
    assert main(["graph", "--mermaid", str(EXAMPLE)]) == 0
    picture = capsys.readouterr().out
    assert picture.startswith('flowchart TD\n    s0["build"]\n    s1["tag (can be undone)"]\n')
    assert "    s3 --> s4\n    s0 --> s4\n" in picture
