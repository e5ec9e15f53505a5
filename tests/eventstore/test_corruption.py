"""Damage of every kind, in masses: it is detected, or it is harmless; no answer is wrong (F28–F31).

`LOGISTICS_TEST_FLIPS=14000 LOGISTICS_TEST_PAGES=4000 LOGISTICS_TEST_CUTS=2000` makes a long run of 20,000.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from eventstore.doctor import WRONG, examine
from tests.eventstore import corruption
from tests.eventstore.support import run_child
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

CODE = "import sys; from tests.eventstore.corruption import main; main(sys.argv[1:])"
NUMBERS = {"flips": 200, "pages": 60, "cuts": 40}
AT_ONCE = 250
"""How many cases a child tries at most, as it has an end of its own."""


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corruption") / "store"
    corruption.build(path)
    return path


def outcomes(original: Path, folder: Path, kind: str, number: int) -> tuple[Counter[str], list[int]]:
    """Return how often each outcome was met, and the cases that killed the child that tried them."""
    seen: Counter[str] = Counter()
    deadly: list[int] = []
    begin = 0
    while begin < number:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        child = run_child(CODE, folder, kind, begin, min(begin + AT_ONCE, number))
        assert child.returncode <= 0, child.stderr
        for line in child.stdout.splitlines():
            case, _, outcome = line.partition(" ")
            begin = int(case) + 1
            assert not outcome.startswith("wrong"), f"{kind} {case}: {outcome}"
            if outcome:
                seen[outcome] += 1
            else:
                deadly.append(int(case))
    return seen, deadly


@pytest.mark.parametrize("kind", NUMBERS)
def test_damage_is_detected_or_harmless_and_never_a_wrong_answer(
    original: Path, tmp_path: Path, kind: str
) -> None:
    """Where a page's own structure is hit, the engine itself may die of it; whoever looks for it finds it."""
    number = scaled(kind, NUMBERS[kind])
    seen, deadly = outcomes(original, tmp_path / "store", kind, number)
    assert seen["error"] > number // 10
    assert seen["harmless"] + seen["error"] + len(deadly) == number
    for case in deadly:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        shutil.copytree(original, tmp_path / "store")
        data = tmp_path / "store" / "data.mdb"
        data.write_bytes(corruption.damaged(data.read_bytes(), kind, case))
        findings = [each for _, found in examine(tmp_path / "store") for each in found]
        assert any(each.level == WRONG for each in findings), f"{kind} {case}"
