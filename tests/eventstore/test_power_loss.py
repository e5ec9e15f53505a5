"""F20: after a power failure each store opens with everything that was acknowledged, and with nothing half."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.eventstore.power_loss import COMMITS, MODES, REOPENED_AT, outcomes, recording
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover

META_PAGES_END = 2 * 4096


def test_f20_each_image_of_a_power_failure_opens_at_an_acknowledged_position(tmp_path: Path) -> None:
    """`LOGISTICS_TEST_IMAGES=50000` makes a long run."""
    number = scaled("images", 300)
    recorded = recording("as it is", tmp_path)
    assert {step.kind for step in recorded.steps} == {"write", "sync", "ack", "forgot"}
    assert outcomes(tmp_path, recorded, number) == {"good": number}


@pytest.mark.parametrize(("mode", "share"), [("without sync", 0.5), ("told too early", 0.05)])
def test_f20_a_store_that_does_not_sync_or_tells_too_early_is_found_out(
    tmp_path: Path, mode: str, share: float
) -> None:
    """The test of the test: what the model can show, it shows."""
    number = scaled("images", 300) // 3
    seen = outcomes(tmp_path, recording(mode, tmp_path), number)
    assert seen["good"] < number * (1 - share), seen


def test_a_commit_waits_for_one_flush_and_what_could_not_be_found_again_for_two(tmp_path: Path) -> None:
    unflushed: tuple[int, ...] = ()
    at: dict[str, list[tuple[int, ...]]] = {"ack": [], "forgot": []}
    for step in recording("as it is", tmp_path).steps:
        if step.kind == "sync":
            unflushed = ()
        elif step.kind == "write":
            unflushed += (step.offset,)
        else:
            at[step.kind].append(unflushed)
    assert at["forgot"] == [()]
    others = at["ack"]
    first, reopened = others.pop(0), others.pop(REOPENED_AT - 1)
    assert first == reopened == ()
    assert all(len(offsets) <= 1 and max(offsets, default=0) < META_PAGES_END for offsets in others)
    assert sum(map(len, others)) > COMMITS / 2


def test_f20_a_store_that_does_not_look_for_its_last_commit_is_found_out(tmp_path: Path) -> None:
    """A commit is flushed once: without the search, its meta page is what a power failure takes."""
    number = scaled("images", 300) // 3
    seen = outcomes(tmp_path, recording("as it is", tmp_path), number, "not taken back")
    assert set(seen) == {"good", "lost"}
    assert seen["lost"] > number / 10


@pytest.mark.parametrize("mode", MODES)
def test_what_was_recorded_can_be_used_where_nothing_can_be_traced(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    seen = outcomes(tmp_path, recording(mode, tmp_path), 30)
    assert (seen["good"] == 30) is (mode == "as it is"), seen
