"""F20: after a power failure each store opens with everything that was acknowledged, and with nothing half."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.eventstore.power_loss import MODES, outcomes, recording
from tests.support.scale import scaled

pytestmark = pytest.mark.no_cover


def test_f20_each_image_of_a_power_failure_opens_at_an_acknowledged_position(tmp_path: Path) -> None:
    """`LOGISTICS_TEST_IMAGES=50000` makes a long run."""
    number = scaled("images", 300)
    recorded = recording("as it is", tmp_path)
    assert {step.kind for step in recorded.steps} == {"write", "write through", "sync", "ack"}
    assert outcomes(tmp_path, recorded, number) == {"good": number}


@pytest.mark.parametrize(("mode", "share"), [("without sync", 0.5), ("told too early", 0.05)])
def test_f20_a_store_that_does_not_sync_or_tells_too_early_is_found_out(
    tmp_path: Path, mode: str, share: float
) -> None:
    """The test of the test: what the model can show, it shows."""
    number = scaled("images", 300) // 3
    seen = outcomes(tmp_path, recording(mode, tmp_path), number)
    assert seen["good"] < number * (1 - share), seen


@pytest.mark.parametrize("mode", MODES)
def test_what_was_recorded_can_be_used_where_nothing_can_be_traced(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    seen = outcomes(tmp_path, recording(mode, tmp_path), 30)
    assert (seen["good"] == 30) is (mode == "as it is"), seen
