"""The quick starts of README.md and the examples run as they stand, each as a script, each a second time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.scripts import run_once, stays_up

README = ROOT / "README.md"
EXAMPLES = ROOT / "docs" / "examples"
SUBJECTS = ("WorkflowManager", "Queue", "CronScheduler", "RecurringScheduler")


def quick_starts() -> list[Block]:
    return blocks(README.read_text(encoding="utf-8"), "python") if README.is_file() else []


def examples() -> list[Path]:
    return sorted(EXAMPLES.glob("*.py"))


def test_the_readme_has_the_four_quick_starts() -> None:
    assert README.is_file(), "README.md is missing"
    texts = [block.text for block in quick_starts()]
    missing = [subject for subject in SUBJECTS if not any(f"{subject}(" in text for text in texts)]
    assert not missing, f"README.md has no ```python quick start with {', '.join(missing)}"
    cron = [text for text in texts if "CronScheduler(" in text]
    assert any(stays_up(text) for text in cron), "the cron quick start starts no scheduler"


@pytest.mark.parametrize("block", quick_starts(), ids=lambda block: f"README.md:{block.line}")
def test_a_quick_start_runs_twice_in_one_folder(tmp_path: Path, block: Block) -> None:
    script = tmp_path / "quick_start.py"
    script.write_text(block.text, encoding="utf-8")
    run_once(script)
    run_once(script)


def test_there_are_examples() -> None:
    assert examples(), "docs/examples has no scripts"


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.name)
def test_an_example_runs_twice_in_one_folder(tmp_path: Path, path: Path) -> None:
    script = Path(shutil.copy(path, tmp_path))
    run_once(script)
    run_once(script)
